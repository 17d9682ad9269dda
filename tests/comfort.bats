#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# What a tool says to a person: help without arguments, what it waits for, how far it
# is, its plan, and what is wrong with what was typed.

# shellcheck disable=SC2016,SC2030,SC2031 # what bash -c and terminals are given is expanded there
load helper

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	printf '%s\n' ts,k,v \
		2026-01-01T00:00:01Z,a,1 2026-01-01T00:00:12Z,b,2 2026-01-01T00:01:09Z,a,3 >w.csv
}

# on_terminal SCRIPT: run it by bash on a terminal of its own; what it shows is in "shown",
# without colour. `script` gives it 80 columns if it can.
on_terminal() {
	printf '%s\n' "stty cols ${COLS:-80} rows 40 2>/dev/null" "$1" >on-terminal.sh
	timeout 30 script -qec 'bash on-terminal.sh' /dev/null </dev/null |
		tr -d '\r' | sed 's/\x1b\[[0-9;]*m//g' >shown
	return "${PIPESTATUS[0]}"
}

# ---- the name alone ----------------------------------------------------------------

@test "a tool without arguments on a terminal says what it does, with two examples, and ends" {
	local tool

	for tool in $FLUE_TOOLS; do
		on_terminal "$tool; echo status \$?"
		grep -q "^Usage: $tool " shown || fail "$tool: no usage: $(cat shown)"
		[ "$(grep -cE "^  (\w+=.* )?(f[a-z]+|tail|cat) " shown)" -ge 2 ] ||
			fail "$tool: not two examples: $(cat shown)"
		grep -q "^$tool.* --help " shown || fail "$tool does not name --help"
		assert_equal "$(tail -n 1 shown)" 'status 64'
		[ "$(wc -l <shown)" -le 40 ] || fail "$tool: longer than a screen"
	done
}

@test "a tool without arguments that is not on a terminal reads its input, or says what is missing" {
	run -0 bash -c 'fcat --ocsv <w.csv'
	assert_line --index 0 ts,k,v
	run bash -c 'freduce <w.csv'
	assert_equal "$status" 64
	refute_output --partial Usage
}

# ---- what a pipeline waits for --------------------------------------------------------

@test "after five quiet seconds the last tool says what it waits for, once" {
	on_terminal '(cat w.csv; sleep 12) | fkeyby --icsv --time ts --watermark 5s k | fwindow tumble 1h | freduce n=count'
	run -0 grep -n 'waiting' shown
	assert_output '1:freduce: waiting for input: watermark at 2026-01-01T00:01:03.999Z, next window closes at 2026-01-01T01:00:00Z (3 rows so far)'
	run -0 tail -n 1 shown
	assert_output --partial b
}

@test "what it says without input, without event time, and of a window behind the aggregation" {
	on_terminal '(sleep 6) | fkeyby --icsv k | freduce n=count >/dev/null'
	run -0 cat shown
	assert_output --partial 'freduce: waiting for input: nothing has come from standard input yet'
	on_terminal '(cat w.csv; sleep 6) | fkeyby --icsv k | freduce n=count'
	run -0 head -n 1 shown
	assert_output 'freduce: no result before the end of the input (3 rows so far)'
	on_terminal '(cat w.csv; sleep 6) | fkeyby --icsv --time ts k | fwindow slide 1h 15m | freduce n=count | fmap "m=n+1"'
	run -0 head -n 1 shown
	assert_output 'fmap: waiting for input: watermark at 2026-01-01T00:01:08.999Z, next window closes at 2026-01-01T00:15:00Z (0 rows so far)'
}

@test "it says nothing where results have come, with -q, or without a terminal" {
	on_terminal '(cat w.csv; sleep 6) | fkeyby --icsv --time ts k | fwindow tumble 1h | freduce -q n=count'
	run -1 grep waiting shown
	(
		cat w.csv
		sleep 6
	) | fkeyby --icsv --time ts k | fwindow tumble 1h | freduce n=count --ocsv 2>messages >out
	assert_equal "$(cat messages)" ''
	assert_equal "$(wc -l <out)" 3
}

# ---- progress --------------------------------------------------------------------------

# A pipeline that takes some seconds, of three tools.
slow_rows() {
	local i

	echo ts,k
	for i in 0 1 2 3; do
		seq -f "2026-01-01T00:0$i:00Z,k%g" 1000
		sleep 0.7
	done
}

@test "--progress draws one block for the whole pipeline over itself" {
	declare -f slow_rows >rows.sh
	on_terminal '. ./rows.sh; slow_rows | fkeyby --icsv --time ts k | fwindow tumble 1m | freduce n=count --progress >/dev/null'
	# each drawing but the first begins by taking the one before away: four lines
	run -0 grep -c $'^\e\[4A\e\[J' shown
	[ "$output" -ge 3 ]
	run -0 grep -cE '^fkeyby-1 ' shown
	[ "$output" -ge 4 ]
	grep -qE '^freduce-1 +[1-4]000 +[0-9]+ 01-01 00:00:59 +[0-9]+d +1000 +[0-9.]+[BkKM]' shown
	grep -qE '^freduce-1 +4000 +[0-9]+ end ' shown
	run -1 bash -c "sed 's/^\x1b.4A\x1b.J//' shown | grep -E '^.{80}'"
}

@test "results that are printed on the same terminal do not run into the block" {
	declare -f slow_rows >rows.sh
	on_terminal '. ./rows.sh; slow_rows | ffilter --icsv "k in (\$\$k1\$\$)" --ocsv --progress'
	# the block stands alone on its lines, and each row of the result too
	run -0 grep -cE $'^(\e\[2A\e\[J)?2026-01-01T00:0[0-3]:00Z,k1$' shown
	assert_output 4
}

@test "--progress without a terminal: a line a tool" {
	slow_rows | fkeyby --icsv --time ts k | fwindow tumble 1m |
		freduce n=count --progress --ocsv 2>messages >/dev/null
	run -0 cat messages
	assert_line --regexp '^fkeyby-1: rows 4000, rows/s [0-9]+'
	assert_line --regexp '^freduce-1: rows 4000, rows/s [0-9]+, watermark end'
}

@test "where several tools are told --progress, one draws" {
	slow_rows | fkeyby --progress --icsv --time ts k | fwindow --progress tumble 1m |
		freduce n=count --progress --ocsv 2>messages >/dev/null
	run -0 grep -c '^freduce-1' messages
	assert_output 1
	run -0 grep -c '^fkeyby-1' messages
	assert_output 1
}

@test "SIGUSR1 prints it once, for the tools before too, and ends nothing" {
	local pid

	mkfifo frames
	freduce n=count --ocsv <frames >out 2>messages &
	pid=$!
	(
		echo ts,k
		echo 2026-01-01T00:00:01Z,a
		sleep 2
		echo 2026-01-01T00:00:02Z,a
	) | fkeyby --icsv --time ts k >frames &
	sleep 1
	kill -USR1 "$pid"
	wait "$pid"
	assert_equal "$(cat out)" 'k,n
a,2'
	run -0 cat messages
	assert_line --index 0 --regexp '^fkeyby-1: rows 1, '
	assert_line --index 1 --regexp '^freduce-1: rows 1, .*keys 1, state '
	assert_equal "${#lines[@]}" 2
}

@test "SIGUSR1 to every process of a region: one answer, and all go on" {
	cat >line.sh <<-'END'
		fcheckpoint begin -q -d ck --every 200ms -- sh -c 'cat w.csv; sleep 2' |
			fkeyby --icsv --time ts k | freduce n=count | fcheckpoint commit -q -o out.csv
	END
	setsid -w bash line.sh 2>messages &
	sleep 1.2
	kill -USR1 $(pgrep -P "$(pgrep -P $! -x bash || echo $!)" 'f(checkpoint|keyby|reduce)')
	wait $!
	assert_equal "$(cat out.csv)" 'k,n
a,2
b,1'
	assert_equal "$(grep -c '^freduce-1' messages)" 1
}

@test "progress of a region tells the last checkpoint" {
	local pid

	mkfifo frames
	(
		echo ts,k
		seq -f '2026-01-01T00:00:00Z,k%g' 500
		sleep 2
	) | fcheckpoint begin -q -d ck --every 200ms | fkeyby --icsv --time ts k >frames &
	freduce n=count <frames 2>messages | fcheckpoint commit -o out.csv 2>ignored &
	pid=$!
	sleep 1.2
	kill -USR1 "$(pgrep -P $$ -x freduce)"
	wait "$pid"
	run -0 grep '^freduce-1' messages
	assert_output --regexp 'checkpoint [1-9][0-9]*, took/stall ms [0-9]+/[0-9.]+, size [0-9.]+[BK]'
}

# ---- the plan -----------------------------------------------------------------------------

@test "--explain prints the plan and processes nothing" {
	run -0 bash -c 'fkeyby --time ts --watermark 5s k w.csv | fwindow tumble 1m --lateness 10s |
		freduce "t=sum(v)" --max-memory 1M --explain'
	assert_line --index 0 'Plan: 3 operators, a process each; parallelism 1'
	assert_line '  1  fkeyby-1'
	assert_line '     time       ts; the watermark follows the latest by 5s'
	assert_line "     command    freduce 't=sum(v)' --max-memory 1M"
	assert_line '     windows    tumble 1m, of event time; late rows change results for 10s more'
	assert_line --regexp '^ +memory, at most 1M$'
	assert_line '     key        k'
	assert_line 'Guarantee: none after a failure'
	refute_output --partial window_start
}

@test "--explain leaves files and checkpoints as they are" {
	echo keep >out.csv
	fkeyby k w.csv | freduce n=count -o out.csv --explain >plan
	assert_equal "$(cat out.csv)" keep
	grep -q '^Guarantee' plan
}

# guarantee: of a line that ends with --explain; its first words.
guarantee() {
	sed -n 's/^Guarantee: //p'
}

@test "--explain tells the guarantee of a region, and what weakens it" {
	local tools='fkeyby --icsv k | freduce n=count'

	run -0 bash -c "fcheckpoint begin -d a w.csv | $tools | fcheckpoint commit -o out.csv --explain"
	assert_line --regexp '^Guarantee: exactly once'
	assert_output --partial "checkpoints are in $PWD/a"
	[ ! -e out.csv ]
	run -0 bash -c "fcheckpoint begin -d b w.csv | $tools | fcheckpoint commit --ocsv --explain | cat"
	assert_line 'Guarantee: at least once'
	assert_output --partial 'commit -o FILE'
	run -0 bash -c "cat w.csv | fcheckpoint begin -d c | $tools | fcheckpoint commit -o out.csv --explain"
	assert_line 'Guarantee: at most once'
	assert_output --partial '--spool'
	run -0 bash -c "cat w.csv | fcheckpoint begin -d d --spool s | $tools | fcheckpoint commit -o out.csv --explain"
	assert_line --regexp '^Guarantee: exactly once'
	run -0 bash -c "fcheckpoint begin -d e --at-least-once w.csv | $tools | fcheckpoint commit -o out.csv --explain"
	assert_line 'Guarantee: at least once'
	run -0 bash -c "fcheckpoint begin -d f w.csv | $tools | fcheckpoint commit -o out.csv --read-uncommitted --explain"
	assert_line 'Guarantee: at least once'
	run -0 bash -c "fcheckpoint begin -d g -- cat w.csv | $tools | fcheckpoint commit -o out.csv --explain"
	assert_line --regexp '^Guarantee: exactly once'
	assert_output --partial 'same bytes each time'
}

@test "a line that was explained runs afterwards" {
	fcheckpoint begin -d a w.csv | fkeyby --icsv k | freduce n=count |
		fcheckpoint commit -o out.csv --explain >/dev/null
	fcheckpoint begin -d a w.csv | fkeyby --icsv k | freduce n=count | fcheckpoint commit -o out.csv
	assert_equal "$(cat out.csv)" 'k,n
a,2
b,1'
}

# ---- completion ----------------------------------------------------------------------------

# completes WORDS… gives CANDIDATES…: what bash offers for the last of WORDS, or for the one
# that stands in brackets: [us] is completed, though others stand behind it.
completes() {
	local words=() at=0 expected

	while [ "$1" != gives ]; do
		words+=("$1")
		[[ $1 != \[*\] ]] || at=$((${#words[@]} - 1))
		shift
	done
	shift
	expected=$(printf '%s\n' "$@" | sort)
	(
		# shellcheck source=completions/flue.bash
		. "$FLUE_SOURCE/completions/flue.bash"
		COMP_WORDS=("${words[@]}")
		COMP_CWORD=$((at ? at : ${#words[@]} - 1))
		COMP_WORDS[COMP_CWORD]=${COMP_WORDS[COMP_CWORD]#\[}
		COMP_WORDS[COMP_CWORD]=${COMP_WORDS[COMP_CWORD]%\]}
		_flue 2>/dev/null || : # compopt works in a completion only
		printf '%s\n' "${COMPREPLY[@]}" | sort
	) >offered
	assert_equal "$(cat offered)" "$expected"
}

@test "bash completes options, their values and the words of tools" {
	completes fkeyby --time gives --time --time-format
	completes fwindow tumble 1m --lat gives --lateness --late
	completes fkeyby --time-format epoch- gives epoch-ms epoch-us epoch-ns
	completes fkeyby --on-error '' gives fail skip
	completes fwindow s gives slide session
	completes fcheckpoint sa gives savepoint
	completes fcheckpoint begin --ret gives --retain
	completes fkeyby --tz = Europe/Berl gives Europe/Berlin
	completes fwindow tumble s gives
}

@test "every option of every tool is offered" {
	local tool

	for tool in $FLUE_TOOLS; do
		[ "$tool" != fcheckpoint ] || continue # its options are those of its commands
		# shellcheck disable=SC2046 # words are meant
		completes "$tool" -- gives $("$tool" --help |
			sed -nE -e 's/^  (--[a-z-]+).*/\1/p' -e '/^([A-Z][a-z]* +| {10})--/p' |
			grep -oE -e '--[a-z][a-z-]*')
	done
}

@test "bash completes field names from the header of the file on the line" {
	printf '%s\n' '{"at":1,"user":{"id":7}}' '{"at":2,"other":8}' >j.jsonl
	printf '%s\n' 'time=1 level=info msg=hi' >l.log
	gzip -k w.csv
	completes fkeyby '[]' w.csv gives ts k v
	completes fkeyby '[k,t]' w.csv gives k,ts
	completes fkeyby '[]' w.csv.gz gives ts k v
	completes fkeyby w.csv --time t gives ts
	completes ffilter "['v > 3 and t]" w.csv gives 'v > 3 and ts'
	completes freduce "['s=sum(v]" w.csv gives 's=sum(v'
	completes fmap x = '[t]' w.csv gives ts
	completes fkeyby '[]' j.jsonl gives at user
	completes fkeyby --ilogfmt '[l]' l.log gives level
	completes fkeyby --iclf '[sta]' "$FLUE_SOURCE/examples/access.log" gives status
	completes fkeyby '[]' missing.csv gives
}

@test "fish completes options, values and field names" {
	command -v fish >/dev/null || skip "there is no fish"
	cat >complete.fish <<-'END'
		source $FLUE_SOURCE/completions/flue.fish
		for line in $argv
		    complete -C $line | string replace -r '\t.*' '' | sort | string join ' '
		end
	END
	export XDG_CONFIG_HOME=$PWD HOME=$PWD
	run -0 fish complete.fish 'fkeyby --time-f' 'fkeyby w.csv --time t' 'fwindow tum' \
		'fcheckpoint begin --tol' 'fkeyby --tz=Europe/Berl' 'fkeyby --on-error '
	assert_equal "$output" '--time-format
ts
tumble
--tolerate
--tz=Europe/Berlin
fail skip'
}

@test "zsh completes options, values and field names" {
	command -v zsh >/dev/null || skip "there is no zsh"
	cat >complete.zsh <<-'END'
		zmodload zsh/zpty
		zpty z "zsh -f -i"
		zpty -w z "PS1=; fpath=($FLUE_SOURCE/completions \$fpath); autoload -U compinit; compinit -u -d zd; setopt no_beep"
		zpty -w z 'echo read''y'
		zpty -r z seen '*ready*'
		for line; do
			zpty -w -n z "$line"$'\t'
			sleep 1
			zpty -w -n z $'\C-u'
		done
		sleep 1
		while zpty -r -t z line; do print -r -- "$line"; done
	END
	run -0 timeout 30 zsh -f complete.zsh 'fkeyby --time-f' 'fkeyby w.csv --time t' 'fwindow tum' \
		'fkeyby --tz=Europe/Berl'
	assert_output --partial 'fkeyby --time-format'
	assert_output --partial 'fkeyby w.csv --time ts'
	assert_output --partial 'fwindow tumble'
	assert_output --partial 'fkeyby --tz=Europe/Berlin'
}

@test "completions are installed for each tool, and taken away again" {
	local tool

	run -0 make -s -C "$FLUE_BUILD" install-completions DESTDIR="$PWD/root" prefix=/usr datadir=/usr/share
	for tool in $FLUE_TOOLS; do
		grep -q "^complete .*$tool" "root/usr/share/bash-completion/completions/$tool"
		grep -q " $tool" "root/usr/share/fish/vendor_completions.d/$tool.fish"
	done
	grep -q '^#compdef .*fwindow' root/usr/share/zsh/site-functions/_flue
	run -0 make -s -C "$FLUE_BUILD" uninstall-completions DESTDIR="$PWD/root" prefix=/usr datadir=/usr/share
	run -0 find root ! -type d
	assert_output ''
}

# ---- what was wrong ----------------------------------------------------------------------

# says STATUS MESSAGE COMMAND…: the exit status, and the one message.
says() {
	local status_wanted=$1 message=$2
	shift 2
	run --separate-stderr timeout 10 "$@"
	assert_equal "$status" "$status_wanted"
	# shellcheck disable=SC2154 # bats sets it
	assert_equal "$stderr" "$message"
}

@test "errors name the nearest field, function, aggregate, option, command" {
	says 64 'fkeyby: no column "tx" (did you mean "ts"?)' fkeyby tx w.csv --ocsv
	says 64 'ffilter: unknown column "vv" (did you mean "v"?)
  k = 1 or vv > 1
           ^^' ffilter 'k = 1 or vv > 1' w.csv --ocsv
	says 64 'fmap: x: unknown function lenght (did you mean length?)
  1 + lenght(k)
      ^^^^^^' fmap 'x=1 + lenght(k)' w.csv --ocsv
	says 64 'freduce: unknown function smu (did you mean sum?)
  smu(v)
  ^^^' freduce 'x=smu(v)' w.csv --ocsv
	says 64 'fkeyby: unknown option --tiem (did you mean --time?); see --help' fkeyby --tiem ts k w.csv --ocsv
	says 64 'fcheckpoint: unknown command comit (did you mean commit?); see --help' fcheckpoint comit
}

@test "where no column is near, those that there are are named" {
	says 64 'fkeyby: no column "zzz" (the columns are ts, k, v)' fkeyby zzz w.csv --ocsv
	tail -n +2 w.csv >no-header.csv
	run fkeyby zzz no-header.csv --ocsv
	assert_output --partial 'no header line? --implicit-csv-header'
	tr , ' ' <w.csv >spaces.csv
	says 64 'fkeyby: no column "zzz" (the only column is ts k v)' fkeyby zzz spaces.csv --ocsv
	echo '{"user":1}' >j.jsonl
	says 0 'ffilter: column "usr" never came (did you mean "user"?)' ffilter 'usr is null' j.jsonl --ojsonl
}

@test "habits of other languages are recognised in expressions" {
	says 64 'ffilter: unknown operator == (did you mean =?)
  k == 1
    ^^' ffilter 'k == 1' w.csv --ocsv
	says 64 'ffilter: unknown operator && (did you mean AND?)
  k && v
    ^^' ffilter 'k && v' w.csv --ocsv
	says 64 "ffilter: unknown column \"alice\" (text is written in single quotes: 'alice')
  k = \"alice\"
      ^^^^^^^" \
		ffilter 'k = "alice"' w.csv --ocsv
	says 64 'fmap: n: unknown function len (did you mean length?)
  len(k)
  ^^^' fmap 'n=len(k)' w.csv --ocsv
}

@test "the place of a mistake in an expression is shown under it" {
	says 64 'fmap: x: syntax error at the end: a ( is open
  foo(k
       ^' fmap 'x=foo(k' w.csv --ocsv
	# columns of the terminal, not bytes
	says 64 'fmap: x: unknown column "w" (the columns are ts, k, v)
  $$日本 é$$ || w
                ^' fmap 'x=$$日本 é$$ || w' w.csv --ocsv
	# of several lines the one; tabs and control characters are one column each
	says 64 'fmap: x: unknown column "ww" (the columns are ts, k, v)
  v + 1 /*?*/ + ww
                ^^' fmap $'x=k ||\n\tv\t+ 1 /*\e*/ + ww\n\t|| k' w.csv --ocsv
	# cut around the place
	says 64 'fmap: x: unknown column "zzz" (the columns are ts, k, v)
  ... || k || k || k || k || k || k || zzz || k || k || k || k || k || ...
                                       ^^^' \
		fmap "x=$(printf 'k || %.0s' {1..50})zzz$(printf ' || k%.0s' {1..50})" w.csv --ocsv
}

@test "so is the place of a value that cannot be computed" {
	printf 'a,b\n1,2\n3,x\n' >bad.csv
	says 65 'ffilter: bad.csv:3: not an integer: "x"
  a > 1 and cast(b as int) > 2
                      ^^^' ffilter 'a > 1 and cast(b as int) > 2' bad.csv --ocsv -o out.csv
	says 65 'fmap: bad.csv:3: not a number: "x"
  a * (1 + b)
           ^' fmap 'c=a * (1 + b)' bad.csv --ocsv -o out.csv
	says 65 'freduce: bad.csv:3: not an integer: "x"
  1 + sum(b::int)
             ^^^' freduce 's=1 + sum(b::int)' bad.csv --ocsv
	# the reason in a file of rejected records is one line
	ffilter 'b::int > 0' bad.csv --on-error skip --reject r.csv -q --ocsv >out.csv
	run cat r.csv
	assert_output $'file,line,reason,record\nbad.csv,3,"not an integer: ""x""","3,x"'
}

@test "every tool shows the place: keys, times, orders" {
	local caret=$'\n  1 + zz\n      ^^' columns='(the columns are ts, k, v)'
	says 64 "fkeyby: --time: unknown column \"zz\" $columns$caret" \
		fkeyby --time '1 + zz' k w.csv --ocsv
	says 64 "fkeyby: --watermark-at: unknown column \"zz\" $columns$caret" \
		fkeyby --time ts --watermark-at '1 + zz' k w.csv --ocsv
	says 64 "frank: --by: unknown column \"zz\" $columns$caret" \
		frank 1 --by '1 + zz' w.csv --ocsv
	says 64 "fsort: --by: unknown column \"zz\" $columns$caret" fsort --by '1 + zz' w.csv --ocsv
	says 64 "fover: x: unknown column \"zz\" $columns$caret" fover 'x=lag(1 + zz)' w.csv --ocsv
	says 64 "freduce: unknown column \"zz\" $columns$caret" freduce 'x=1 + zz' w.csv --ocsv
}

@test "a file of another format, a binary one, a missing one and an empty one are told as such" {
	echo '{"user":1}' >j.txt
	says 65 'fcat: j.txt: line 1: in the header line: a quote inside field 1, which does not begin with one; this looks like JSON lines: --ijsonl' \
		fcat --icsv j.txt --ocsv
	run fcat --icsv "$FLUE_SOURCE/examples/access.log" --ocsv
	assert_equal "$status" 65
	assert_output --partial 'this looks like the log of a web server: --iclf'
	says 65 'fcat: w.csv:1: not JSON: expected a value, at '"'t'"', byte 1 of 6; this looks like CSV: --icsv' fcat --ijsonl w.csv --ocsv
	head -c 3000 "$FLUE_BIN/fcat" >binary
	run fcat binary --ocsv
	assert_equal "$status" 65
	assert_output --partial 'this is not text'
	says 66 'fcat: cannot open missing.csv: No such file or directory' fcat missing.csv --ocsv
	: >empty.csv
	says 0 'fkeyby: empty.csv is empty' fkeyby k empty.csv --ocsv
	says 0 '' fkeyby -q k empty.csv --ocsv
}

@test "a FILE that is not there: the nearest name of its directory, or the directory" {
	mkdir -p logs/web
	cp w.csv logs/web/access.csv
	says 66 'fcat: cannot open ww.csv: No such file or directory (did you mean w.csv?)' fcat ww.csv --ocsv
	says 66 'fcat: cannot open logs/web/acces.csv: No such file or directory (did you mean logs/web/access.csv?)' \
		fcat logs/web/acces.csv --ocsv
	says 66 'fkeyby: cannot open logs/wbe/access.csv: there is no directory logs/wbe (did you mean logs/web/?)' \
		fkeyby k logs/wbe/access.csv --ocsv
	says 66 'fcat: cannot open logs/web/quite-another: No such file or directory' \
		fcat logs/web/quite-another --ocsv
	says 66 'fcheckpoint begin: cannot open ww.csv: No such file or directory (did you mean w.csv?)' \
		bash -c 'fcheckpoint begin -d ck ww.csv | cat >out; exit ${PIPESTATUS[0]}'
}

@test "a text in another format than the one it was taken for: the message names it" {
	printf 'a,b\n1,2\n' >c.jsonl
	says 65 "fcat: c.jsonl:1: not JSON: expected a value, at 'a', byte 1 of 3; this looks like CSV: --icsv" \
		fcat c.jsonl --ocsv
	says 65 'fcat: c.jsonl:1: not a CLF line: host and ident expected first; this looks like CSV: --icsv' \
		fcat --iclf c.jsonl --ocsv
	printf '{"a":1}\n' >j.csv
	run -65 fcat j.csv --ocsv
	assert_output --partial '; this looks like JSON lines: --ijsonl'
	printf 'a\t"b" c\n' >t.csv
	run -65 fcat t.csv --ocsv
	assert_output --partial '; this looks like TSV: --itsv'
	echo '192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 5' >clf
	run -65 fcat --isyslog clf --ocsv
	assert_output --partial '; this looks like the log of a web server: --iclf'
	echo 'Oct  9 22:33:20 host su[1]: "x" said' >sys.csv
	run -65 fcat sys.csv --ocsv
	assert_output --partial '; this looks like syslog: --isyslog'
	echo '{"a":1}' >good.jsonl
	echo 'ts=2026-01-01T00:00:00Z level=warn' >>good.jsonl
	run -65 fcat good.jsonl --ocsv # only where the first line is wrong
	refute_output --partial 'looks like'
	run -65 fcat --ijsonl <(sed 1d good.jsonl) --ocsv
	assert_output --partial '; this looks like logfmt: --ilogfmt'
}

@test "--iregex: a line that does not match is shown, and what helps" {
	printf '1 a\n  at x.y(Z)\n2 b\n' >stack.log
	says 65 'fcat: stack.log:2: the line does not match the regular expression:   at x.y(Z); --on-error skip leaves such lines out' \
		fcat --iregex '^(?<n>\d+) (?<w>\w+)$' stack.log --ocsv -o out.csv
	says 0 'fcat: 1 bad record skipped' \
		fcat --iregex '^(?<n>\d+) (?<w>\w+)$' --on-error skip stack.log --ocsv
	assert_output $'n,w\n1,a\n2,b'
}

@test "a time of a format that logs have: the message says which --time-format reads it" {
	local line format expected
	while IFS='|' read -r line format expected; do
		run -65 --separate-stderr fcat --implicit-csv-header --icsv --ifs ';' --time 1 \
			--ocsv <<<"$line"
		assert_equal "$stderr" \
			"fcat: standard input:1: not a time: \"$line\" (perhaps --time-format $format)"
		# and so it does
		format=${format//--assume-year Y/--assume-year 2026}
		run -0 bash -c "fcat --implicit-csv-header --icsv --ifs ';' --time 1 \
			--time-format $format | fwindow tumble 1s --ojsonl" <<<"$line"
	done <<-'END'
		03-17 16:13:38.811|'%m-%d %H:%M:%S.%f' --assume-year Y
		Sun Dec 04 04:47:44 2005|'%a %b %d %H:%M:%S %Y'
		2005-06-03-15.42.50.675872|'%Y-%m-%d-%H.%M.%S.%f'
		081109 203615|'%y%m%d %H%M%S'
		20171223-22:15:29:606|'%Y%m%d-%H:%M:%S:%f'
		10.30 16:49:06|'%m.%d %H:%M:%S' --assume-year Y
		17/06/09 20:10:40|'%y/%m/%d %H:%M:%S'
		31.12.2026 23:59|'%d.%m.%Y %H:%M'
	END
	says 65 'fcat: standard input:1: not a time: "x" (expected ISO 8601, epoch s, ms, us or ns, or CLF; others: --time-format)' \
		fcat --implicit-csv-header --icsv --time 1 --ocsv <<<'x'
	# what may be read in two ways is not guessed at
	run -65 fcat --implicit-csv-header --icsv --time 1 --ocsv <<<'03/04/2026 10:00:00'
	refute_output --partial perhaps
}

@test "--time names a column as it is, be it a number or words" {
	printf '2026-03-16T10:00:00Z,a\n' >no-header.csv
	run -0 bash -c 'fkeyby --implicit-csv-header --time 1 2 no-header.csv | fwindow tumble 1h --ocsv'
	assert_line '2026-03-16T10:00:00Z,a,2026-03-16T10:00:00Z,2026-03-16T11:00:00Z'
	printf 'my "time",k\n2026-03-16T10:00:00Z,a\n' | sed 's/^my.*,/"my ""time""",/' >words.csv
	run -0 bash -c "fkeyby --time 'my \"time\"' k words.csv | fwindow tumble 1h --ocsv"
	assert_line '2026-03-16T10:00:00Z,a,2026-03-16T10:00:00Z,2026-03-16T11:00:00Z'
	says 64 'fkeyby: --time: no column 7' fkeyby --implicit-csv-header --time 7 2 no-header.csv --ocsv
}

@test "--explain ends the tools before it with 0, a region and a large input too" {
	local clicks=$FLUE_SOURCE/examples/clicks.csv
	{ cat "$clicks"; for _ in {1..4000}; do tail -n +2 "$clicks"; done; } >large.csv
	run -0 bash -c 'set -o pipefail
		fkeyby --time ts url large.csv | fwindow tumble 1m | freduce n=count --explain'
	assert_line --partial 'Plan: 3 operators'
	run -0 bash -c 'set -o pipefail
		fcheckpoint begin -d ck large.csv | fkeyby --time ts url | freduce n=count |
		fcheckpoint commit -o out.csv --explain'
	assert_line --partial 'Guarantee: exactly once'
	# a reader that goes for any other reason is still told apart
	run bash -c 'fkeyby --time ts url large.csv | fmap x=1 --ocsv | head -n 1
		echo "${PIPESTATUS[*]}"'
	assert_line '141 141 0'
}
