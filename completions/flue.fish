# SPDX-License-Identifier: Apache-2.0
#
# Completion of the flue tools for fish: options, their values, the words of each tool, and
# the names of fields, from the header of the FILE that stands on the line already.
# Installed once a tool, under its name.

# Options of the command on the line, those that take a value with "=" behind them.
function __flue_options
    set -l words (commandline -opc)
    set -l tool (string replace -r '.*/' '' -- $words[1])
    if test "$tool" = fcheckpoint; and set -q words[2]
        set tool $tool $words[2]
    end
    command $tool --help 2>/dev/null | awk '
        /^  --/ { print $1 ($0 ~ /^  --[a-z-]+ [^ ]/ ? "=" : ""); next }
        /^([A-Z][a-z]* +|          )--/ {
            for (i = 1; i <= NF; i++)
                if ($i ~ /^--/)
                    print $i ($(i + 1) != "" && $(i + 1) !~ /^--/ ? "=" : "")
        }'
end

function __flue_fields
    set -l file
    set -l options
    for word in (commandline -op)[2..-1]
        switch $word
            case --icsv --itsv --ijsonl --iclf --ilogfmt --isyslog --implicit-csv-header
                set -a options $word
            case --csv --tsv --jsonl
                set -a options --i(string sub -s 3 -- $word)
            case '-*'
            case '*'
                if test -f "$word" -a -r "$word"
                    set file $word
                end
        end
    end
    test -n "$file"; or return 0
    set -l reader cat
    if contains -- --ilogfmt $options
        set reader head -n 1
    else if test (head -c 1 -- $file | string collect) = '{'
        set options --ijsonl
        set reader head -n 1
    end
    $reader -- $file 2>/dev/null | timeout 2 fcat $options --otsv 2>/dev/null | head -n 1 | tr '\t' '\n'
end

# Names behind what stands before the last one of the word.
function __flue_last
    set -l before (string replace -r '[A-Za-z0-9_.]*$' '' -- (commandline -ct | string replace -r '^[\'"]' ''))
    for name in $argv
        echo $before$name
    end
end

function __flue_complete
    set -l words (commandline -opc)
    set -l tool (string replace -r '.*/' '' -- $words[1])
    set -l current (commandline -ct)
    set -l options (__flue_options)
    set -l option $words[-1]
    if string match -qr '^--[a-z-]+=' -- $current
        set option (string replace -r '=.*' '' -- $current)
    end
    if contains -- "$option=" $options
        set -l values
        switch $option
            case --time --columns --by --lookup-key --watermark-at --on
                set values (__flue_last (__flue_fields))
            case --on-error
                set values fail skip
            case --color
                set values auto always never
            case --otime
                set values iso epoch-ms
            case --backend
                set values memory rocksdb
            case --open
                set values lower upper both
            case --keep
                set values first last
            case --trigger
                set values every= count= eager
            case --restart
                set values fixed exponential failure-rate
            case --time-format
                set values auto iso epoch epoch-ms epoch-us epoch-ns clf rfc2822 syslog
            case --tz
                set values UTC local (awk '/^[^#]/ { print $3 }' /usr/share/zoneinfo/zone.tab 2>/dev/null)
            case '*'
                __fish_complete_path (string replace -r '^--[a-z-]+=' '' -- $current)
                return
        end
        if test "$option" != "$words[-1]"
            printf '%s\n' $option=$values
        else
            printf '%s\n' $values
        end
        return
    end
    if string match -q -- '-*' $current
        string replace -r '=$' '' -- $options
        return
    end
    set -l first 1
    for word in $words[2..-1]
        string match -q -- '-*' $word; or set first 0
    end
    switch $tool
        case fcheckpoint
            if not set -q words[2]
                printf '%s\n' begin commit run list show verify diff savepoint rewind prune
                return
            end
        case fwindow
            test $first = 1; and printf '%s\n' tumble slide session cumulate count global
        case fjoin
            test $first = 1; and printf '%s\n' inner left right full semi anti
        case fkeyby ffilter
            test $first = 1; and __flue_last (__flue_fields)
        case fmap
            __flue_last (__flue_fields)
        case freduce fover
            __flue_last (__flue_fields) 'sum(' 'avg(' 'min(' 'max(' 'count(' 'first(' 'last(' \
                'median(' 'p99(' 'stddev(' 'topk(' 'array_agg(' 'string_agg('
    end
    __fish_complete_path $current
end

for __flue_tool in fcat fcheckpoint fdedup ffilter fjoin fkeyby fmap fover frank freduce fsort fsource funion fwindow
    complete -c $__flue_tool -f -a '(__flue_complete)'
end
set -e __flue_tool
