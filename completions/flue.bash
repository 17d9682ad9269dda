# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Completion of the flue tools for bash: options, their values, the words of each tool,
# and the names of fields, from the header of the FILE that stands on the line already.
# Installed once a tool, under its name. What options there are is asked of the tool.

# _flue_options COMMAND…: a line "--name" or "--name=" (it takes a value) for each option.
_flue_options() {
	"$@" --help 2>/dev/null | awk '
		/^  --/ { print $1 ($0 ~ /^  --[a-z-]+ [^ ]/ ? "=" : ""); next }
		/^([A-Z][a-z]* +|          )--/ {
			for (i = 1; i <= NF; i++)
				if ($i ~ /^--/)
					print $i ($(i + 1) != "" && $(i + 1) !~ /^--/ ? "=" : "")
		}'
}

# _flue_fields WORD…: the columns of the last word that is a file with some; the options
# among the words say how it has to be read.
_flue_fields() {
	local word file='' options=() reader=(cat)

	for word; do
		case $word in
		--icsv | --itsv | --ijsonl | --iclf | --ilogfmt | --isyslog | --implicit-csv-header)
			options+=("$word")
			;;
		--csv | --tsv | --jsonl) options+=("--i${word#--}") ;;
		-*) ;;
		*) if [ -f "$word" ] && [ -r "$word" ]; then file=$word; fi ;;
		esac
	done
	[ -n "$file" ] || return 0
	# Where each record may bring columns of its own, those of the first are shown.
	if [ "$(head -c 1 -- "$file" | tr -d '\0')" = '{' ]; then
		options=(--ijsonl)
		reader=(head -n 1)
	elif [[ " ${options[*]} " == *" --ilogfmt "* ]]; then
		reader=(head -n 1)
	fi
	"${reader[@]}" -- "$file" 2>/dev/null |
		timeout 2 fcat "${options[@]}" --otsv 2>/dev/null | head -n 1 | tr '\t' '\n'
}

# _flue_last CUR CANDIDATES: those that go on with the last name of CUR, behind what
# stands before it: "sum(by" gives "sum(bytes".
_flue_last() {
	local cur=$1 name before word

	name=${cur##*[!A-Za-z0-9_.]}
	before=${cur%"$name"}
	while IFS= read -r word; do
		[ -n "$word" ] && [[ $word == "$name"* ]] && COMPREPLY+=("$before$word")
	done <<<"$2"
	compopt -o nospace 2>/dev/null
}

_flue_words() {
	local word

	while IFS= read -r word; do
		COMPREPLY+=("$word")
	done < <(compgen -W "$2" -- "$1")
}

# The value of an option. 1: it is a file, or free text.
_flue_value() {
	local cur=$2

	case $1 in
	--time | --columns | --by | --lookup-key | --watermark-at | --on)
		_flue_last "$cur" "$(_flue_fields "${COMP_WORDS[@]:1}")"
		;;
	--on-error) _flue_words "$cur" 'fail skip' ;;
	--color) _flue_words "$cur" 'auto always never' ;;
	--otime) _flue_words "$cur" 'iso epoch-ms' ;;
	--backend) _flue_words "$cur" 'memory rocksdb' ;;
	--open) _flue_words "$cur" 'lower upper both' ;;
	--keep) _flue_words "$cur" 'first last' ;;
	--trigger) _flue_words "$cur" 'every= count= eager' ;;
	--restart) _flue_words "$cur" 'fixed exponential failure-rate' ;;
	--time-format)
		_flue_words "$cur" 'auto iso epoch epoch-ms epoch-us epoch-ns clf rfc2822 syslog'
		;;
	--tz)
		_flue_words "$cur" "UTC local $(awk '/^[^#]/ { print $3 }' \
			/usr/share/zoneinfo/zone.tab 2>/dev/null | tr '\n' ' ')"
		;;
	*) return 1 ;;
	esac
}

# The words of a tool that are no options. 1: they are files.
_flue_word() {
	local cur=$2 fields

	fields=$(_flue_fields "${COMP_WORDS[@]:1}")
	case $1 in
	fwindow) [ "$3" -gt 1 ] || _flue_words "$cur" 'tumble slide session cumulate count global' ;;
	fjoin) [ "$3" -gt 1 ] || _flue_words "$cur" 'inner left right full semi anti' ;;
	fkeyby | ffilter) [ "$3" -gt 1 ] || _flue_last "$cur" "$fields" ;;
	fmap) _flue_last "$cur" "$fields" ;;
	freduce | fover)
		_flue_last "$cur" "$fields
$(printf '%s\n' 'sum(' 'avg(' 'min(' 'max(' 'count(' 'first(' 'last(' 'median(' 'p99(' \
			'stddev(' 'topk(' 'array_agg(' 'string_agg(' 'arg_min(' 'arg_max(')"
		;;
	esac
	[ ${#COMPREPLY[@]} -gt 0 ]
}

_flue() {
	local tool=${COMP_WORDS[0]##*/} cur=${COMP_WORDS[COMP_CWORD]} i=$((COMP_CWORD - 1))
	local prev=${COMP_WORDS[i]} command options=() words=0 option

	COMPREPLY=()
	command=("$tool")
	if [ "$tool" = fcheckpoint ]; then
		if [ "$COMP_CWORD" -eq 1 ]; then
			_flue_words "$cur" \
				'begin commit run list show verify diff savepoint rewind prune --help --version'
			return
		fi
		command+=("${COMP_WORDS[1]}")
	fi
	# "=" is a word of its own to readline: --tz=Eu is --tz, =, Eu
	if [ "$cur" = = ]; then
		cur=
	elif [ "$prev" = = ]; then
		i=$((i - 1))
		prev=${COMP_WORDS[i]}
	fi
	cur=${cur#[\'\"]}
	while IFS= read -r option; do
		options+=("$option")
	done < <(_flue_options "${command[@]}")
	if [[ $prev == --* && " ${options[*]} " == *" $prev= "* ]]; then
		_flue_value "$prev" "$cur" || compopt -o default 2>/dev/null
		return
	fi
	case $cur in
	-*)
		_flue_words "$cur" "${options[*]%=}"
		return
		;;
	esac
	for ((i = 1; i <= COMP_CWORD; i++)); do
		[[ ${COMP_WORDS[i]} == -* ]] || words=$((words + 1))
	done
	_flue_word "$tool" "$cur" "$words" || compopt -o default 2>/dev/null
}

complete -F _flue fcat fcheckpoint fdedup ffilter fjoin fkeyby fmap fover frank freduce fsort fsource funion fwindow
