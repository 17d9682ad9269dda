#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# What a new user tried and was surprised by: each test is something that once ended
# in a crash, never, or with an answer that was not what it should be.

# shellcheck disable=SC2016,SC2030,SC2031 # what bash -c and terminals are given is expanded there
load helper

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	printf '%s\n' ts,k,v \
		1970-01-01T00:00:01Z,a,1 1970-01-01T00:00:12Z,b,2 1970-01-01T00:00:09Z,a,3 \
		1970-01-01T00:00:25Z,a,4 1970-01-01T00:00:26Z,,6 1970-01-01T00:00:41Z,b,7 >w.csv
}

# usage_error MESSAGE COMMAND…: exit 64, that message, no output.
usage_error() {
	local message=$1
	shift
	run --separate-stderr timeout 10 "$@"
	assert_equal "$status" 64
	# shellcheck disable=SC2154 # bats sets it
	assert_equal "$stderr" "$message"
	assert_equal "$output" ''
}

# ---- windows ---------------------------------------------------------------------

@test "a global window with --trigger every ends with the data, firing once more" {
	fkeyby --time ts --watermark 5s k w.csv | fwindow global --trigger every=10s |
		timeout 10 freduce 'l=array_agg(v)' --ocsv >out
	assert_equal "$(cat out)" 'k,l
a,"[1,3,4]"
a,"[1,3,4]"
b,[2]
a,"[1,3,4]"
b,"[2,7]"
,[6]
a,"[1,3,4]"
b,"[2,7]"
,[6]'
}

@test "a global window with --trigger every by the clock shows what is left at the end" {
	fkeyby k w.csv | fwindow global --trigger every=1h --processing-time |
		timeout 10 freduce n=count --ocsv >out
	assert_equal "$(cat out)" 'k,n
a,3
b,2
,1'
}

@test "what needs event time says so where there is none" {
	local message='fwindow: these records have no event time: give --time (and --watermark) to the tool that reads the text, or --processing-time here'

	usage_error "$message" fwindow global --trigger every=10s w.csv --ocsv
	usage_error "$message" fwindow count 2 --keep 1s w.csv --ocsv
}

# ---- names and expressions -----------------------------------------------------------

@test "no two columns of a result have the same name" {
	fkeyby --time ts k w.csv -o keyed.flue
	fkeyby k w.csv | fwindow count 2 -o counted.flue
	fwindow tumble 10s keyed.flue -o windowed.flue
	usage_error 'freduce: the result would have two columns "k": choose another name' \
		freduce k=count keyed.flue --ocsv
	usage_error 'freduce: the result would have two columns "window_end": choose another name' \
		freduce window_end=count windowed.flue --ocsv
	usage_error 'freduce: "op" is the first column of --updates: choose another name' \
		freduce --updates op=count keyed.flue --ocsv
	fwindow tumble 10s --time ts w.csv | freduce n=count -q -o results.flue
	usage_error 'fwindow: there is a column window_start already: give it another name with fmap' \
		fwindow tumble 20s results.flue --ocsv
	run -0 freduce op=count window_end=count counted.flue --ocsv
	assert_line --index 0 k,op,window_end
}

@test "unnest outside of fmap is refused" {
	usage_error 'freduce: unnest gives several rows: that is for fmap, before or after
  unnest(array_agg(v))
  ^^^^^^' \
		freduce 'n=unnest(array_agg(v))' w.csv --ocsv
	usage_error 'ffilter: unnest(v) gives several rows, not a condition; see fmap' \
		ffilter 'unnest(v)' w.csv --ocsv
	usage_error 'fcat: --time: it gives several values, not one time' \
		fcat --time 'unnest(v)' w.csv --ocsv
	usage_error 'fcat: --watermark-at: it gives several values, not one time' \
		fcat --time ts --watermark-at 'unnest(v)' w.csv --ocsv
}

@test "an unknown aggregate names the nearest one" {
	usage_error 'freduce: unknown aggregate coutn (did you mean count?)
  coutn(*)
  ^^^^^' \
		freduce 'n=coutn(*)' w.csv --ocsv
}

# ---- changelogs ------------------------------------------------------------------------

@test "fcat --final keeps what values are, of more than ten columns too" {
	local row='"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":true,"k":false,"l":"5","m":null,"n":{"x":1},"o":[1],"p":"","q":7'

	printf '%s\n' "{\"op\":\"+I\",$row}" "{\"op\":\"+I\",${row/7/8}}" "{\"op\":\"-D\",${row/7/8}}" >log.jsonl
	run -0 fcat --final log.jsonl --ojsonl
	assert_output "{$row}"
}

# ---- output ----------------------------------------------------------------------------

@test "a tool that waits for input notices that the reader of its text has gone" {
	mkfifo hold
	exec 9<>hold
	(
		echo k
		echo 1
		read -r -t 10 <&9
	) | {
		fcat --icsv --ocsv || echo $? >status
		echo >&9
	} | head -n 1 >out
	exec 9>&-
	assert_equal "$(cat out status)" 'k
141'
}

@test "a file is not read while it is appended to" {
	cp w.csv grows.csv
	run timeout 10 bash -c 'fcat grows.csv >>grows.csv'
	assert_equal "$status" 64
	assert_output 'fcat: the input is standard output too; see -o'
	cmp w.csv grows.csv
}

@test "the name of an output that would have to be compressed is refused" {
	usage_error 'fcat: -o out.csv.gz: the output is not compressed; pipe it into gzip' \
		fcat w.csv -o out.csv.gz
	[ ! -e out.csv.gz ]
}

# ---- what is expected of such a tool on its first day --------------------------------------
#
# One test a row of the list of expectations, by its number. Many are tested in depth
# elsewhere, with many cases: here each is seen to hold once.

events() {
	printf '%s\n' ts,k,v 2026-01-01T00:00:05Z,a,1 2026-01-01T00:00:50Z,b,2 \
		2026-01-01T00:00:45Z,a,3 2026-01-01T00:01:30Z,a,4 2026-01-01T00:02:10Z,b,5
}

minutes() {
	fkeyby --icsv --time ts --watermark 10s k | fwindow tumble 1m | freduce n=count "$@"
}

@test "row 1: behind tail -F a minute appears when the watermark passes it, within 200 ms" {
	local began

	events | head -n 4 >grows.csv
	tail -n +1 -F grows.csv 2>/dev/null | minutes --ocsv >out &
	sleep 1
	[ ! -s out ]
	began=$(date +%s%N)
	echo 2026-01-01T00:01:30Z,a,4 >>grows.csv
	until [ -s out ]; do
		[ $((($(date +%s%N) - began) / 1000000)) -lt 2000 ] || fail "nothing appears"
		sleep 0.01
	done
	# tail itself may look only once a second where there is no inotify; 200 ms are ours
	run -0 cat out
	assert_line 2026-01-01T00:00:00Z,2026-01-01T00:01:00Z,a,2
	pkill -P "$BASHPID" -x tail || :
}

@test "row 2: a finished file gives the same rows as a slow pipe" {
	events >e.csv
	minutes --ocsv <e.csv >file
	while IFS= read -r line; do
		printf '%s\n' "$line"
		sleep 0.05
	done <e.csv | minutes --ocsv >pipe
	cmp file pipe
}

@test "row 3: head ends the pipeline at once, and quietly" {
	SECONDS=0
	run bash -c 'set -o pipefail; (seq 100000000 | sed "s/^/x,/") | fkeyby --icsv --implicit-csv-header 2 --ocsv | head -n 5'
	assert_equal "$status" 141
	assert_equal "${#lines[@]}" 5
	[ $SECONDS -le 3 ]
}

# region DIR OUT: a line that takes some seconds.
region() {
	fcheckpoint begin -q -d "$1" --every 100ms -- sh -c 'head -n 4 e.csv; sleep 2; tail -n +5 e.csv' |
		fkeyby --icsv --time ts --watermark 10s k | fwindow tumble 1m | freduce -q n=count |
		fcheckpoint commit -q -o "$2"
}

@test "row 4: a stop leaves a checkpoint and no half line; the same line goes on" {
	events >e.csv
	region whole whole.csv
	region d out.csv 2>/dev/null &
	sleep 1
	run fcheckpoint savepoint d --stop
	wait $! || :
	[ ! -s out.csv ] || [ "$(tail -c 1 out.csv | wc -l)" -eq 1 ]
	region d out.csv
	cmp whole.csv out.csv
}

@test "rows 5 and 35: kill -9, and the same line again: nothing is missing, nothing counts twice" {
	local tool

	events >e.csv
	region whole whole.csv
	for tool in fkeyby fwindow freduce fcheckpoint; do
		region "d-$tool" "$tool.csv" 2>/dev/null &
		sleep 0.8
		kill -9 "$(pgrep -P $! -x "$tool" | tail -n 1)"
		wait $! && fail "$tool was not killed" || :
		region "d-$tool" "$tool.csv"
		cmp whole.csv "$tool.csv"
	done
}

@test "row 6: the death of an upstream is not the end of the data" {
	events >e.csv
	run bash -c 'fkeyby --time ts k e.csv | head -c 600 | freduce n=count --ocsv'
	assert_equal "$status" 75
	refute_output --partial 'a,'
}

@test "row 7: a full disk is exit 74 and a message, in every format" {
	local format tool

	events >e.csv
	for format in csv tsv jsonl pprint; do
		run bash -c "fcat e.csv --o$format >/dev/full"
		assert_equal "$status" 74
		assert_output --partial 'No space left'
	done
	for tool in 'fkeyby k' 'ffilter true' 'fmap x=1' 'freduce n=count' fdedup 'frank 1 --by v' 'fover n=count' funion; do
		run bash -c "$tool --ocsv e.csv >/dev/full"
		assert_equal "$status" 74
	done
}

@test "row 8: CSV with quotes, CRLF, a byte order mark and line ends in fields" {
	printf '\xef\xbb\xbfa,b\r\n"x ""y""","1\n2"\r\n,""\r\n' >c.csv
	run -0 fcat c.csv --ojsonl
	assert_output '{"a":"x \"y\"","b":"1\n2"}
{"a":null,"b":""}'
}

@test "row 9: header names are fields at every stage, said once" {
	run -0 bash -c 'events() { :; }; fkeyby k w.csv | ffilter "v > 1" | fmap w=v*2 | freduce "s=sum(w)" --ocsv'
	assert_output 'k,s
b,18
a,14
,12'
}

@test "row 10: JSON paths are those of jq" {
	printf '%s\n' '{"a":{"b":[{"c":1},{"c":"x"}]},"d":[10,20]}' '{"a":{"b":[]},"d":7}' >p.jsonl
	fmap --only 'p=.a.b[0].c' 'q=.a.b[1].c' 'r=.d[1]' p.jsonl --ojsonl >ours
	assert_equal "$(head -n 1 ours)" '{"p":1,"q":"x","r":20}'
	command -v jq >/dev/null || skip "there is no jq"
	# a key that is absent is not shown as null
	jq -c '{p: .a.b[0].c?, q: .a.b[1].c?, r: (.d | if type == "array" then .[1] else null end)} |
		with_entries(select(.value != null))' p.jsonl >theirs
	cmp ours theirs
}

@test "row 11: a bad line is left out, counted, and kept with its number" {
	printf '%s\n' a,b 1,2 3 4,5 >b.csv
	run -0 fcat --on-error skip --reject r.csv b.csv --ocsv
	assert_line 'fcat: 1 bad record skipped'
	assert_equal "$(tail -n 1 r.csv)" 'b.csv,3,"expected 2 fields, found 1",3'
}

@test "row 12: ragged rows are an error with the line, or allowed" {
	printf '%s\n' a,b 1 2,3,4 >r.csv
	run fcat r.csv --ojsonl
	assert_equal "$status" 65
	assert_line 'fcat: r.csv:2: expected 2 fields, found 1'
	run -0 fcat --allow-ragged-csv-input r.csv --ojsonl
	assert_output '{"a":1}
{"a":2,"b":3,"3":4}'
}

@test "row 13: times are recognised" {
	local time

	for time in 2026-03-16T10:00:01Z 2026-03-16T10:00:01.000000Z '2026-03-16 11:00:01+01:00' \
		1773655201 1773655201000 1773655201000000 1773655201000000000 '[16/Mar/2026:10:00:01 +0000]'; do
		run -0 bash -c "printf '%s\n' ts '$time' | fkeyby --icsv --time ts ts | fwindow tumble 1s | freduce n=count --ocsv --columns window_start --headerless-csv-output"
		assert_output 2026-03-16T10:00:01Z
	done
	run -0 bash -c "printf '%s\n' 'Mar 16 10:00:01' | fcat --itext --time line --time-format syslog --assume-year 2026 | fwindow tumble 1s | freduce n=count --ocsv --columns window_start --headerless-csv-output"
	assert_output 2026-03-16T10:00:01Z
	run -0 bash -c "printf '%s\n' 'Mon, 16 Mar 2026 10:00:01 +0000' | fcat --itext --time line --time-format rfc2822 | fwindow tumble 1s | freduce n=count --ocsv --columns window_start --headerless-csv-output"
	assert_output 2026-03-16T10:00:01Z
}

@test "row 14: a time without a year or a zone is handled as it is told" {
	printf '%s\n' 'Mar 16 10:00:01 web x' >s.log
	run fcat --itext --time 'substr(line, 1, 15)' --time-format syslog s.log --ocsv
	assert_equal "$status" 64
	assert_output --partial --assume-year
	run -0 bash -c "printf '%s\n' ts '2026-07-01 12:00:00' | fcat --icsv --time ts --tz Europe/Berlin | fwindow tumble 1h | freduce n=count --ocsv --columns window_start"
	assert_line 2026-07-01T10:00:00Z
}

@test "row 15: clocks that are put forward and back, and leap days" {
	run -0 bash -c "printf '%s\n' ts '2026-03-29 01:30:00' '2026-03-29 03:30:00' '2026-10-25 03:30:00' '2024-02-29 00:00:00' | fcat --icsv --on-error skip --time ts --tz Europe/Berlin | fmap --only 'e=extract(epoch from ts::timestamp)' --ocsv | wc -l"
	assert_output 5
	run bash -c "printf '%s\n' ts 2026-02-29T00:00:00Z | fcat --icsv --time ts --ocsv"
	assert_equal "$status" 65
}

@test "row 16: any order within the watermark gives the same counts" {
	local i

	events >e.csv
	minutes --ocsv <e.csv | sort >wanted
	{
		sed -n 1p e.csv
		sed -n '2,4p' e.csv | tac
		sed -n '5,$p' e.csv
	} | fkeyby --icsv --time ts --watermark 1m k | fwindow tumble 1m | freduce n=count --ocsv | sort >got
	cmp wanted got
}

@test "row 17: late rows are counted and written" {
	events >e.csv
	echo 2026-01-01T00:00:01Z,a,9 >>e.csv
	run -0 bash -c 'fkeyby --time ts k e.csv | fwindow tumble 1m --late late.csv | freduce n=count --ocsv'
	assert_line 'freduce: 1 late record written to late.csv'
	assert_equal "$(tail -n 1 late.csv)" 2026-01-01T00:00:01Z,a,9
}

@test "row 18: a quiet input does not hold the others back" {
	events >e.csv
	mkfifo quiet
	(
		head -n 2 e.csv
		sleep 6
	) >quiet &
	(
		cat e.csv
		sleep 3
	) | timeout 5 funion --icsv --time ts --idle-timeout 500ms - quiet | fwindow tumble 1m |
		freduce n=count --ocsv >out &
	sleep 2.5
	run -0 cat out
	assert_line 2026-01-01T00:00:00Z,2026-01-01T00:01:00Z,4
	kill %1 2>/dev/null || :
	wait || :
}

@test "row 19: tumbling, sliding, session, cumulating and counting windows" {
	local kind

	events >e.csv
	for kind in 'tumble 1m' 'slide 2m 1m' 'session 30s' 'cumulate 2m 1m' 'count 2' 'global --trigger count=2'; do
		run -0 bash -c "fkeyby --time ts --watermark 10s k e.csv | fwindow $kind | freduce n=count --ocsv"
		[ "${#lines[@]}" -ge 1 ]
	done
}

@test "rows 20 and 21: many aggregates, over several keys, in one command" {
	run -0 bash -c "printf '%s\n' h,s,b x,1,10 x,1,20 x,2,30 y,1,40 | fkeyby --icsv h,s |
		freduce n=count 't=sum(b)' 'a=avg(b)' 'lo=min(b)' 'hi=max(b)' 'p=p50(b)' 'd=count(distinct b)' 'f=first(b)' 'l=last(b)' 'k=topk(b,1)' --ocsv --columns h,s,n,t,lo,hi,d,f,l"
	assert_output 'h,s,n,t,lo,hi,d,f,l
x,1,2,30,10,20,2,10,20
x,2,1,30,30,30,1,30,30
y,1,1,40,40,40,1,40,40'
}

@test "row 22: join within a time, and with a table" {
	printf '%s\n' k,name a,Ann >t.csv
	events >e.csv
	run -0 bash -c 'fkeyby --time ts --watermark 1m k e.csv | fjoin --between=-10s,10s <(fkeyby --time ts --watermark 1m k e.csv) | freduce n=count --ocsv'
	assert_output 'k,n
a,3
b,2'
	run -0 bash -c 'fkeyby k e.csv | fjoin --lookup --lookup-key k t.csv | freduce n=count --ocsv'
	assert_output 'k,n
a,3'
}

@test "row 23: duplicates within a time" {
	run -0 bash -c "printf '%s\n' ts,k 2026-01-01T00:00:00Z,a 2026-01-01T00:30:00Z,a 2026-01-01T02:00:00Z,a | fkeyby --icsv --time ts k | fdedup --within 1h --ocsv"
	assert_output 'ts,k
2026-01-01T00:00:00Z,a
2026-01-01T02:00:00Z,a'
}

@test "row 24: a threshold, and a gap" {
	events >e.csv
	run -0 bash -c 'fcat --time ts --watermark 10s e.csv | fwindow tumble 1m | freduce n=count | ffilter "n > 2" --ocsv --columns n'
	assert_output 'n
3'
	run -0 bash -c 'fkeyby --time ts --watermark 10s k e.csv | fover "p=lag(ts)" | ffilter "extract(epoch from ts::timestamp - p::timestamp) > 60" --ocsv --columns k,p'
	assert_output 'k,p
b,2026-01-01T00:00:50Z'
}

@test "row 26: memory has a limit, and a state that is larger goes to disk" {
	seq -f 'key%.0f' 1 60000 >keys
	run bash -c 'fkeyby --itext line keys | freduce n=count --max-memory 1M --ocsv'
	assert_equal "$status" 71
	run -0 bash -c 'fkeyby --itext line keys | freduce n=count --backend rocksdb --max-memory 16M --ocsv | wc -l'
	assert_output 60001
}

@test "row 27: a tool starts in a few milliseconds, with nothing else running" {
	built_with_sanitizers && skip "sanitizers take longer"
	local began i

	began=$(date +%s%N)
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		fcat --version >/dev/null
	done
	[ $((($(date +%s%N) - began) / 20000000)) -le 30 ] || fail "a start takes more than 30 ms"
}

@test "row 30: colour and tables on a terminal only" {
	run -0 bash -c 'fcat w.csv --opprint | grep -c "$(printf "\033")"'  || :
	assert_output 0
	script -qec 'fcat w.csv' /dev/null </dev/null | grep -q $'\e\[1m'
	NO_COLOR=1 script -qec 'fcat w.csv' /dev/null </dev/null | { ! grep -q $'\e'; }
}

@test "row 32: exit codes are those of the manual" {
	run ffilter 'nope > 1' w.csv --ocsv
	assert_equal "$status" 64
	run fcat --ijsonl w.csv --ocsv
	assert_equal "$status" 65
	run fcat missing.csv --ocsv
	assert_equal "$status" 66
	run fcat w.csv -o missing/out.csv
	assert_equal "$status" 73
	run bash -c 'set -o pipefail; fcat missing.csv | ffilter true | freduce n=count --ocsv'
	assert_equal "$status" 66
	assert_output 'fcat: cannot open missing.csv: No such file or directory'
}

@test "row 34: several files at once, merged by event time" {
	events >e1.csv
	sed 's/,a,/,c,/' e1.csv >e2.csv
	run -0 bash -c 'funion --time ts --watermark 10s e*.csv | fwindow tumble 1m | freduce n=count --ocsv --columns n'
	assert_output 'n
6
2
2'
}

@test "row 36: segments appear whole" {
	events >e.csv
	fcheckpoint begin -q -d d e.csv | minutes -q | fcheckpoint commit -q --segments 1M -o parts/ --ocsv
	run -0 bash -c 'cat parts/*.csv | wc -l'
	assert_output 5
	[ -z "$(find parts -name '*.tmp' -o -name '.*' -type f)" ]
}

@test "row 38: the state can be looked at, verified and exported" {
	events >e.csv
	fcheckpoint begin -q -d d --keep-open e.csv | minutes -q | fcheckpoint commit -q -o out.csv
	run -0 fcheckpoint show d freduce-1 --ojsonl
	assert_output --partial '"key":"b"'
	run -0 fcheckpoint verify d
}

@test "row 40: text tools may stand between, and frames that went through one are refused" {
	run -0 bash -c 'fcat w.csv --ocsv | sort -r | fkeyby --icsv --implicit-csv-header 2 | freduce n=count --ocsv | wc -l'
	run bash -c 'fkeyby k w.csv | sed "s/$/\r/" | freduce n=count --ocsv'
	assert_equal "$status" 65
	assert_output --partial --ocsv
}

@test "row 43: nothing that is read is run" {
	printf '%s\n' 'a,b' '$(touch pwned),`touch pwned`' ';touch pwned,|touch pwned' >x.csv
	fkeyby a x.csv | fmap c='a || b' | freduce 'l=array_agg(c)' --ocsv >/dev/null
	[ ! -e pwned ]
}

@test "row 44: the same input gives the same bytes" {
	local i

	events >e.csv
	minutes --ojsonl <e.csv >first
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		minutes --ojsonl <e.csv | cmp - first
	done
}

@test "row 28: every tool has a man page with examples, and --help has lines to copy" {
	local tool

	for tool in $FLUE_TOOLS; do
		grep -q '^\.Sh EXAMPLES' "$FLUE_SOURCE/man/$tool.1" || fail "$tool: no EXAMPLES"
		"$tool" --help | grep -qE "^  (f[a-z]+|tail|cat) " || fail "$tool: no example in --help"
	done
	# their output is compared by tests/man-examples.bats
	[ "$(grep -c '^\.Ss [0-9]' "$FLUE_SOURCE/man/flue-cookbook.7")" -ge 30 ]
}

@test "row 29: completion knows the fields of a file; see comfort.bats for zsh and fish" {
	run -0 bash -c '. "$FLUE_SOURCE/completions/flue.bash"
		COMP_WORDS=(fkeyby "" w.csv); COMP_CWORD=1; _flue 2>/dev/null; echo "${COMPREPLY[*]}"'
	assert_output 'ts k v'
}

@test "row 31: SIGUSR1 says how far the tools are" {
	local pid

	mkfifo frames
	freduce n=count --ocsv <frames >out 2>messages &
	pid=$!
	(
		cat w.csv
		sleep 1.5
	) | fkeyby --icsv --time ts --watermark 30s k >frames &
	sleep 0.7
	kill -USR1 "$pid"
	wait "$pid"
	run -0 cat messages
	assert_line --index 0 --regexp '^fkeyby-1: rows 6, rows/s [0-9]+, watermark 1970-01-01T00:00:10Z, lag '
	assert_line --index 1 --regexp '^freduce-1: rows 6, .*keys 3, state '
}

@test "row 33: a log that is renamed while it is read loses nothing; see follow.bats for more" {
	local begin i

	mkdir log
	mkfifo pipe
	seq -f 'line %g' 10 >log/a.log
	fcat --itext <pipe 2>/dev/null | fcheckpoint commit -q -o out --ocsv --headerless-csv-output 2>messages &
	fcheckpoint begin -d ck --every 50ms --follow log/a.log >pipe 2>messages &
	begin=$!
	sleep 0.5
	mv log/a.log log/a.log.1
	echo 'line 11' >>log/a.log.1
	echo 'line 12' >log/a.log
	for ((i = 0; i < 60; i++)); do
		[ "$(wc -l <out 2>/dev/null || echo 0)" -lt 12 ] || break
		sleep 0.1
	done
	kill -TERM "$begin"
	wait || :
	seq -f 'line %g' 12 | cmp - out
}

@test "row 41: --explain tells the guarantee, and why" {
	events >e.csv
	run -0 bash -c 'fcheckpoint begin -d d e.csv | fkeyby --icsv k | freduce n=count | fcheckpoint commit --ocsv --explain | cat'
	assert_line 'Guarantee: at least once'
	assert_output --partial 'The output is a pipe'
}

# ---- keys --------------------------------------------------------------------------

@test "fkeyby: a JSON path is a key, named as expressions find it" {
	printf '%s\n' '{"ts":1000000000,"user":{"id":7},"req":{"path":"/a","q":[1,2]}}' \
		'{"ts":1000000001,"user":{"id":8},"req":{"path":"/b"},"new":5}' \
		'{"ts":1000000060,"user":{"id":7},"req":null}' >n.jsonl
	run -0 --separate-stderr bash -c "fkeyby .user.id n.jsonl |
		freduce n=count 'p=first(.req.path)' 'k=max(user.id)' 'x=sum(new)' --ojsonl"
	assert_output - <<-'END'
		{"user.id":7,"n":2,"p":"/a","k":7,"x":null}
		{"user.id":8,"n":1,"p":"/b","k":8,"x":5}
	END
	assert_equal "$stderr" ''
	run -0 bash -c "fkeyby --time ts user.id,.req.q[1] n.jsonl | fwindow tumble 1m |
		freduce n=count --ocsv"
	assert_output - <<-'END'
		window_start,window_end,user.id,req.q[1],n
		2001-09-09T01:46:00Z,2001-09-09T01:47:00Z,7,2,1
		2001-09-09T01:46:00Z,2001-09-09T01:47:00Z,8,,1
		2001-09-09T01:47:00Z,2001-09-09T01:48:00Z,7,,1
	END
	# the longest name that there is wins, as in expressions
	run -0 bash -c 'echo "{\"a.b\":1,\"a\":{\"b\":2}}" | fkeyby .a.b | freduce n=count --ojsonl'
	assert_output '{"a.b":1,"n":1}'
}

@test "fkeyby: a path whose first part does not exist, is no path, or never comes" {
	usage_error $'fkeyby: unknown column "zz" (the columns are k, v, ts)\n  .zz.x\n  ^^^^^' \
		fkeyby .zz.x --ocsv <<<'k,v,ts'
	usage_error $'fkeyby: syntax error at "."\n  .k..b\n    ^' fkeyby .k..b --ocsv <<<'k,v,ts'
	usage_error 'fkeyby: no column "kk.x" (the columns are host, v, ts)' \
		fkeyby kk.x --ocsv <<<'host,v,ts'
	run -0 --separate-stderr bash -c 'echo "{\"k\":1}" | fkeyby .w.x | freduce n=count --ocsv'
	assert_output $'w.x,n\n,1'
	assert_equal "$stderr" 'fkeyby: column "w" never came (the only column is k)'
}
