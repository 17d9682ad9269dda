#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2016,SC2154
#
# fjoin with event time: intervals, windows, versions. What Flink answers is in
# tests/golden (join-*), regular joins and lookups are in fjoin-regular.bats.

load helper

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	printf '%s\n' ts,k,v 1000,a,1 2000,b,2 3000,,3 9000,a,4 >l.csv
	printf '%s\n' ts,k,v,w 1500,a,5,10 2500,c,6,20 3000,,7,30 9000,a,8,40 >r.csv
}

time=(--time ts --time-format epoch-ms --watermark 1s)

# side FILE [WINDOW…]: a keyed stream of it.
side() {
	if [ $# -gt 1 ]; then
		fkeyby "${time[@]}" k "$1" | fwindow "${@:2}"
	else
		fkeyby "${time[@]}" k "$1"
	fi
}

# joined ARGUMENT…: l.csv with r.csv.
joined() {
	side l.csv | fjoin "$@" <(side r.csv)
}

# windowed WINDOW ARGUMENT…
windowed() {
	local window

	read -ra window <<<"$1"
	side l.csv "${window[@]}" | fjoin "${@:2}" --otime epoch-ms <(side r.csv "${window[@]}")
}

# refused MESSAGE COMMAND…: with status 64, nothing on standard output.
refused() {
	run --separate-stderr -64 "${@:2}"
	assert_output ""
	assert_equal "$stderr" "fjoin: $1"
}

@test "interval join: the six kinds; NULL keys match nothing" {
	run -0 joined --between=-1s,1s --ocsv
	assert_output $'ts,k,v,ts_r,v_r,w\n1000,a,1,1500,5,10\n9000,a,4,9000,8,40'
	run -0 bash -c "$(declare -f side joined; declare -p time)
		for kind in left right full semi anti; do
			joined \$kind --between=-1s,1s --ocsv | tail -n +2 | sort
		done"
	assert_output "$(printf '%s\n' \
		1000,a,1,1500,5,10 2000,b,2,,, 3000,,3,,, 9000,a,4,9000,8,40 \
		,,,3000,7,30 ,c,,2500,6,20 1000,a,1,1500,5,10 9000,a,4,9000,8,40 \
		,,,3000,7,30 ,c,,2500,6,20 1000,a,1,1500,5,10 2000,b,2,,, 3000,,3,,, \
		9000,a,4,9000,8,40 \
		1000,a,1 9000,a,4 \
		2000,b,2 3000,,3)"
}

@test "columns: prefixes, a key of several columns and other names" {
	run -0 joined --between=0s,0s --lprefix l_ --ocsv
	assert_line -n 0 l_ts,k,l_v,ts,v,w
	run -0 joined --between=0s,0s --lprefix l_ --rprefix r_ --ocsv
	assert_line -n 0 l_ts,k,l_v,r_ts,r_v,w
	refused 'the result would have two columns "x_v": choose another --rprefix or --lprefix, or rename one with fmap' \
		bash -c 'fkeyby k l.csv | fmap x_v=v | fjoin --rprefix x_ <(fkeyby k r.csv) --ocsv'
	printf '%s\n' ts,a,b 1,x,y 2,x, >two.csv
	printf '%s\n' at,c,d,e 1,x,y,z 2,x,,n >other.csv
	run -0 bash -c 'fkeyby --time ts --time-format epoch-ms a,b two.csv |
		fjoin full --between=-1s,1s --ocsv \
			<(fkeyby --time at --time-format epoch-ms c,d other.csv)'
	assert_output $'ts,a,b,at,e\n1,x,y,1,z\n2,x,,,\n,x,,2,n'
}

@test "--on decides, and its bad values are bad records" {
	run -0 joined left --between=-1s,1s --on 'v_r > 5' --ocsv
	assert_line 9000,a,4,9000,8,40
	assert_line 1000,a,1,,,
	run -0 windowed 'tumble 10s' semi --on 'v + 4 = v_r and w = 10' --ocsv
	assert_output $'window_start,window_end,ts,k,v\n0,10000,1000,a,1'
	refused '--on: unknown column "vr" (did you mean "v"?)
  vr > 5
  ^^' \
		joined --between=-1s,1s --on 'vr > 5' --ocsv
	run -65 --separate-stderr joined --between=-1s,1s --on 'k + v > 0' --ocsv
	assert_regex "$stderr" '^fjoin: bad pair of records: --on: '
	run -0 --separate-stderr joined --between=-1s,1s --on 'k + v > 0' --on-error skip --ocsv
	assert_equal "$stderr" 'fjoin: 2 bad records skipped'
}

@test "usage: what does not go together is refused, and says why" {
	refused 'say what to join with: a file, a FIFO or <(another pipeline)' fjoin left --ocsv </dev/null
	refused 'one stream to join with, not 2' fjoin a b --ocsv </dev/null
	refused '--between: two durations, as in --between=-10s,10s, not "10s"' \
		fjoin --ocsv --between 10s r.csv </dev/null
	refused '--open: lower, upper or both, not "low"' \
		fjoin --ocsv --between 1s,2s --open low r.csv </dev/null
	refused '--open needs --between' fjoin --ocsv --open both r.csv </dev/null
	refused 'only one of --between, --as-of and --lookup' \
		fjoin --ocsv --between 1s,2s --as-of r.csv </dev/null
	refused '--as-of joins inner or left, not full' joined full --as-of --ocsv
	refused 'the right side has no event time: give --time where it is decoded, on both sides' \
		bash -c "$(declare -f side; declare -p time)
			side l.csv | fjoin --between=0s,1s <(fkeyby k r.csv) --ocsv"
	refused 'the left side is keyed by 1 column, the right side by 2: they must be as many' \
		bash -c 'fkeyby k l.csv | fjoin <(fkeyby k,v r.csv) --ocsv'
	refused 'the right side has no key: name the columns that must be equal with fkeyby on both sides' \
		bash -c 'fkeyby k l.csv | fjoin r.csv --ocsv'
	refused 'a join of count windows is not possible: they have no end in time' \
		windowed 'count 3' --ocsv
}

@test "windows must be the same on both sides" {
	run -64 bash -c "$(declare -f side; declare -p time)
		side l.csv tumble 10s | fjoin <(side r.csv tumble 20s) --ocsv"
	assert_regex "$output" '^fjoin: the sides have different windows \(tumble, size 10000 ms'
	refused 'the left side has been through fwindow, the other has not: a window join needs the same window on both' \
		bash -c "$(declare -f side; declare -p time)
			side l.csv tumble 10s | fjoin <(side r.csv) --ocsv"
	refused '--between joins no windows: leave out fwindow' windowed 'tumble 10s' --between=0s,1s --ocsv
}

@test "a late row within the lateness lets its key's pairs come again, later it is late" {
	printf '%s\n' ts,k,v,wm 1000,a,1, 1000,b,9,10000 2000,a,2,13000 3000,a,3, >late.csv
	printf '%s\n' ts,k,w,wm 1500,a,7, 1500,b,8,13000 >right.csv
	run -0 --separate-stderr bash -c '
		t="--time ts --time-format epoch-ms --watermark-at wm"
		w="fwindow tumble 10s --lateness 3s"
		fkeyby $t k late.csv | $w --late l.late.csv |
			fjoin <(fkeyby $t k right.csv | $w) |
			fmap --only v=v w=w --ocsv; cat l.late.csv'
	assert_equal "$stderr" 'fjoin: 1 late record written to l.late.csv'
	assert_output $'v,w\n1,7\n9,8\n1,7\n2,7\nts,k,v,wm\n3000,a,3,'
}

@test "what comes out of an outer join after waiting is not late for the next window" {
	run -0 --separate-stderr bash -c "$(declare -f side joined; declare -p time)
		awk 'BEGIN { print \"ts,k,v\"; for (i = 0; i < 500; i++) print i * 100 \",k\" i % 9 \",\" i }' >l.csv
		{ echo ts,k,w; echo 25000,none,1; } >r.csv
		joined left --between=-3s,3s | fkeyby k | fwindow tumble 1s | freduce n=count |
			fmap --only n=n | freduce 's=sum(n)' --ocsv"
	assert_equal "$stderr" ''
	assert_output $'s\n500'
}

@test "an empty side, or both" {
	echo ts,k,w >empty.csv
	for kind in inner left anti; do
		run -0 bash -c "$(declare -f side; declare -p time)
			side l.csv | fjoin $kind --between=0s,1s <(side empty.csv) --ocsv | wc -l"
		[ "$output" -eq "$([ "$kind" = inner ] && echo 1 || echo 5)" ] || fail "$kind: $output"
	done
	run -0 bash -c "$(declare -f side; declare -p time)
		side empty.csv | fjoin full --between=0s,1s <(side empty.csv) --ocsv"
}

@test "columns that come later, on either side" {
	printf '%s\n' '{"ts":1,"k":"a"}' '{"ts":2,"k":"a","new":5}' >l.jsonl
	printf '%s\n' '{"ts":1,"k":"a","w":1}' '{"ts":2,"k":"a","new":6}' >r.jsonl
	run -0 bash -c "$(declare -f side; declare -p time)
		side l.jsonl | fjoin --between=0s,0s <(side r.jsonl) --ojsonl"
	assert_output '{"ts":1,"k":"a","ts_r":1,"w":1}
{"ts":2,"k":"a","new":5,"ts_r":2,"new_r":6}'
	# one that comes when the right's has its name already
	run -0 bash -c "$(declare -f side; declare -p time)
		{ head -n 1 l.jsonl; sleep 0.5; tail -n 1 l.jsonl; } |
			fkeyby --ijsonl \"\${time[@]}\" k |
			fjoin --between=0s,0s <(side r.jsonl) --ojsonl"
	assert_output '{"ts":1,"k":"a","ts_r":1,"w":1}
{"ts":2,"k":"a","ts_r":2,"new":6,"new_l":5}'
}

@test "a row with a time far ahead does not keep all that come after it" {
	awk 'BEGIN { print "ts,k,v,wm"; print "99999999999,a,0,"
		for (i = 0; i < 300000; i++)
			print i * 10 ",k" i % 1000 ",some text that takes memory " i "," i * 10 }' >far.csv
	awk 'BEGIN { print "ts,k,w,wm"
		for (i = 0; i < 300000; i++) print i * 10 ",k" i % 1000 "," i "," i * 10 }' >near.csv
	run -0 bash -c "
		t='--time ts --time-format epoch-ms --watermark-at wm'
		fkeyby \$t k far.csv | fjoin --max-memory 16M --between=-1ms,1ms --ocsv \
			<(fkeyby \$t k near.csv) | wc -l"
	assert_output 300001
}

@test "one side's upstream dies: no result is made of half an input" {
	run -75 --separate-stderr bash -c "$(declare -f side; declare -p time)
		side l.csv | fjoin left --between=0s,1s <(side r.csv | head -c 300) --ocsv"
	assert_regex "$stderr" '^fjoin: '
	run -66 --separate-stderr bash -c 'fkeyby k l.csv | fjoin none.csv --ocsv'
	assert_regex "$stderr" '^fjoin: .*none.csv'
}

@test "--max-memory ends it before the machine does" {
	awk 'BEGIN { print "ts,k,v"; for (i = 0; i < 100000; i++) print i ",k" i ",text" }' >l.csv
	for how in --between=-1d,1d --as-of; do
		run -71 --separate-stderr bash -c "set -o pipefail; $(declare -f side; declare -p time)
			side l.csv | fjoin --max-memory 2M $how <(side l.csv) --ocsv >/dev/null"
		assert_regex "$stderr" '--max-memory 2M'
	done
	run -71 --separate-stderr bash -c "set -o pipefail; $(declare -f side; declare -p time)
		side l.csv tumble 1d | fjoin --max-memory 2M <(side l.csv tumble 1d) --ocsv >/dev/null"
	assert_regex "$stderr" '--max-memory 2M'
}
