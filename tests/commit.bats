#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# fcheckpoint commit: what it writes, when, and what it refuses to write. The rules are
# those of the section "Checkpoints" in ARCHITECTURE.md.

# What is quoted is for the shells of the pipelines:
# shellcheck disable=SC2016
# Set by run, and names that the tests choose themselves:
# shellcheck disable=SC2154,SC2012,SC2094

load helper

setup_file() {
	export CLICKS=$BATS_FILE_TMPDIR/clicks.csv WANTED=$BATS_FILE_TMPDIR/wanted.csv

	awk 'BEGIN {
		print "ts,user,bytes"
		for (i = 0; i < 60000; i++)
			printf "%s,u%d,%d\n", strftime("%Y-%m-%dT%H:%M:%SZ", 1700000000 + i / 20, 1),
				i * 7919 % 97, i % 1000
	}' >"$CLICKS"
	fkeyby --time ts --watermark 5s user "$CLICKS" | fwindow tumble 1m |
		freduce n=count 'bytes=sum(bytes)' --ocsv >"$WANTED"
	[ "$(wc -l <"$WANTED")" -gt 4000 ]
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	groups=()
}

teardown() {
	local group

	for group in "${groups[@]}"; do
		kill -KILL -- "-$group" 2>/dev/null || true
	done
}

# counts: the operators of the region; $begin and $rest are words of the line.
counts='fkeyby --icsv --time ts --watermark 5s user | fwindow tumble 1m |
	freduce n=count "bytes=sum(bytes)"'

# line COMMIT…: the whole region over CLICKS; its commit has these words, and may be
# followed by a redirection. Exit statuses: file status.
line() {
	bash -c "fcheckpoint begin -d ck --every 100ms ${begin:-} \"\$CLICKS\" | $counts |
		fcheckpoint commit $*"'
		echo "${PIPESTATUS[*]}" >status'
}

# live COMMIT…: the same in the background, over the growing file log.csv.
live() {
	[ -e log.csv ] || { head -n 1 "$CLICKS"; rows 1 20000; } >log.csv
	setsid bash -c "fcheckpoint begin -d ck --every 100ms --follow ${begin:-} log.csv | $counts |
		fcheckpoint commit $*"'
		echo "${PIPESTATUS[*]}" >status' 3>&- &
	group=$!
	groups+=("$group")
}

# rows FROM TO: rows of CLICKS, counted from 1.
rows() {
	tail -n +2 "$CLICKS" | sed -n "$1,$2p"
}

# until_true COMMAND…: wait for it, at most some seconds.
until_true() {
	local i

	for ((i = 0; i < 200; i++)); do
		! "$@" 2>/dev/null || return 0
		sleep 0.05
	done
	fail "did not come true: $*"
}

# at_least N FILE: whether FILE has N lines.
at_least() {
	[ "$(wc -l <"$2")" -ge "$1" ]
}

# commit_status: of the last line that ended.
commit_status() {
	sed 's/.* //' status
}

# end_group: kill -9 all of the line that runs.
end_group() {
	kill -KILL -- "-$group"
	wait "$group" 2>/dev/null || true
}

# stop_group: ask for the end by SIGTERM, wait for it.
stop_group() {
	pkill -TERM -g "$group" -x fcheckpoint
	wait "$group" || true
}

# ---- what it writes ------------------------------------------------------------------

@test "results are those of the line without checkpoints, with -o, >> and >" {
	line -o out.csv
	assert_equal "$(cat status)" "0 0 0 0 0"
	cmp out.csv "$WANTED"

	rm -r ck
	line --ocsv '>>' more.csv
	cmp more.csv "$WANTED"

	rm -r ck
	line --ocsv '>' third.csv
	cmp third.csv "$WANTED"
}

@test "the same line after the end: checked, said once, 0" {
	line -o out.csv
	cp out.csv before
	run --separate-stderr line -o out.csv
	assert_equal "$(cat status)" "0 0 0 0 0"
	cmp out.csv before
	assert_equal "${#stderr_lines[@]}" 1
	[[ $stderr = *"finished already, $(stat -c %s before) bytes in out.csv are as they should be" ]]
}

@test "the format is that of the option, of the name, of the input" {
	line -o out.jsonl
	head -n 1 out.jsonl | grep -q '^{"window_start":'
	rm -r ck
	line --otsv -o out
	head -n 1 out | grep -qP '^window_start\twindow_end\tuser\tn\tbytes$'
	rm -r ck
	line -o plain
	cmp plain "$WANTED"
	rm -r ck
	run line --opprint -o table
	assert_equal "$(commit_status)" 64
	assert_output --partial "a table cannot be gone on with"
	[ ! -e table ]
}

@test "a changelog has its column op first" {
	bash -c 'fcheckpoint begin -d ck "$CLICKS" | fkeyby --icsv user | freduce n=count --updates |
		fcheckpoint commit -o out.csv'
	assert_equal "$(head -n 2 out.csv)" "op,user,n
+I,u0,1"
}

@test "an empty table has its header line" {
	head -n 1 "$CLICKS" >none.csv
	CLICKS=none.csv line -o out.csv
	assert_equal "$(cat status)" "0 0 0 0 0"
	assert_equal "$(cat out.csv)" "$(head -n 1 "$WANTED")"
}

# ---- rule 4: output --------------------------------------------------------------------

@test "nothing is in the output before its checkpoint is complete" {
	begin='--every 1h' live -o out.csv
	until_true [ -e out.csv ]
	sleep 0.7
	assert_equal "$(stat -c %s out.csv)" 0
}

@test "results that nothing pushes out are asked a checkpoint for" {
	live -o out.csv
	until_true at_least 1000 out.csv
	cmp <(head -c "$(stat -c %s out.csv)" "$WANTED") out.csv
}

@test "killed at any checkpoint, the same line again: the same bytes, none taken back" {
	local i seen=0

	{ head -n 1 "$CLICKS"; rows 1 2000; } >log.csv
	for i in 1 2 3 4; do
		rows $((i * 10000 - 7999)) $((i * 10000 + 2000)) >>log.csv
		live -o out.csv
		until_true at_least $((i * 700)) out.csv
		end_group
		[ "$(wc -l <out.csv)" -ge "$seen" ]
		seen=$(wc -l <out.csv)
		cmp <(head -c "$(stat -c %s out.csv)" "$WANTED") out.csv
	done
	again -o out.csv
	assert_equal "$(commit_status)" 0
	cmp out.csv "$WANTED"
}

# A line that was killed after checkpoints with results; they stay in the directory.
killed_line() {
	live "$@"
	until_true at_least 1000 out.csv
	rows 20001 30000 >>log.csv
	until_true at_least 2000 out.csv
	end_group
}

# has_ended: whether the line in the background has; it is asked to.
has_ended() {
	! kill -0 "$group" || {
		timeout 5 fcheckpoint savepoint ck --drain >/dev/null 2>&1
		! kill -0 "$group"
	}
}

# again COMMIT…: the same line, with the rest of the rows, to its end.
again() {
	[ "$(wc -l <log.csv)" -gt 60000 ] || rows "$(wc -l <log.csv)" 60000 >>log.csv
	live "$@" '2>said'
	sleep 1 # a drain ends the job with what has been read by then
	until_true has_ended
	wait "$group" || true
	output=$(cat said)
}

@test "an output that was emptied by > is refused, with what to do" {
	killed_line --ocsv '>>' out.csv
	again --ocsv '>' out.csv
	assert_equal "$(commit_status)" 78
	assert_output --partial "was emptied"
	assert_output --partial ">>"
}

@test "an output that was shortened is refused, with both lengths" {
	killed_line -o out.csv
	truncate -s 100 out.csv
	again -o out.csv
	assert_equal "$(commit_status)" 78
	assert_output --partial "has 100 bytes, but"
	assert_equal "$(stat -c %s out.csv)" 100
}

@test "an output that was lengthened is refused, and not cut" {
	killed_line -o out.csv
	head -c 3000000 /dev/zero >>out.csv
	cp out.csv before
	again -o out.csv
	assert_equal "$(commit_status)" 78
	assert_output --partial "somebody else wrote behind"
	cmp out.csv before
}

@test "an output that was replaced or taken away is refused" {
	killed_line -o out.csv
	cp out.csv copy
	mv copy out.csv
	again -o out.csv
	assert_equal "$(commit_status)" 78
	assert_output --partial "it was replaced"
	rm out.csv
	again -o out.csv
	assert_equal "$(commit_status)" 78
	assert_output --partial "is not there"
	[ ! -e out.csv ]
}

@test "an output that was edited where it had been durable is refused" {
	line -o out.csv
	printf 'X' | dd of=out.csv bs=1 seek=$(($(stat -c %s out.csv) - 2)) conv=notrunc status=none
	# the last checkpoint's bytes are at hand: they are put right
	run line -o out.csv
	cmp out.csv "$WANTED"

	rm -r ck out.csv
	killed_line -o out.csv
	again -o out.csv
	assert_equal "$(commit_status)" 0
	before=$(cat ck/chk-*/MANIFEST | grep -o '"committed": *[0-9]*' | tail -n 1 | tr -dc 0-9)
	[ "$before" -gt 100 ]
	printf 'X' | dd of=out.csv bs=1 seek=$((before - 5)) conv=notrunc status=none
	again -o out.csv
	assert_equal "$(commit_status)" 78
	assert_output --partial "was edited"
}

@test "a torn tail, as a loss of power leaves it, is written again" {
	line -o out.csv
	truncate -s -10 out.csv
	run line -o out.csv
	assert_equal "$(cat status)" "0 0 0 0 0"
	cmp out.csv "$WANTED"

	truncate -s -1000 out.csv
	truncate -s +600 out.csv
	run line -o out.csv
	assert_output --partial "not whole, as after a loss of power"
	cmp out.csv "$WANTED"
}

@test "pending results that are damaged are found and named" {
	line -o out.csv
	truncate -s -10 out.csv
	file=$(ls ck/pending/* | tail -n 1)
	printf 'X' | dd of="$file" bs=1 seek=20 conv=notrunc status=none
	run line -o out.csv
	assert_equal "$(commit_status)" 65
	assert_output --partial "$file"
	rm "$file"
	run line -o out.csv
	assert_equal "$(commit_status)" 65
	assert_output --partial "$file"
}

@test "a file that is not empty is refused, and left alone, without --append" {
	echo mine >out.csv
	run line -o out.csv
	assert_equal "$(commit_status)" 78
	assert_output --partial "out.csv is not empty"
	assert_output --partial "--append"
	assert_equal "$(cat out.csv)" mine
}

@test "--append and >> write no second header line, and no other columns" {
	head -n 3 "$WANTED" >out.csv
	line --append -o out.csv
	assert_equal "$(cat status)" "0 0 0 0 0"
	cmp out.csv <(head -n 3 "$WANTED"; tail -n +2 "$WANTED")

	rm -r ck
	printf 'window_start,window_end,user,n\r\nold,,,\n' >out.csv
	run line --append -o out.csv
	assert_equal "$(commit_status)" 78
	assert_output --partial 'begins with the header line "window_start,window_end,user,n"'
	assert_equal "$(wc -l <out.csv)" 2

	rm -r ck
	cp "$WANTED" out.csv
	line --ocsv '>>' out.csv
	cmp out.csv <(cat "$WANTED"; tail -n +2 "$WANTED")
}

@test "a killed line with --append goes on behind what was there" {
	head -n 3 "$WANTED" >out.csv
	killed_line --append -o out.csv
	again --append -o out.csv
	assert_equal "$(commit_status)" 0
	cmp out.csv <(head -n 3 "$WANTED"; tail -n +2 "$WANTED")
}

@test "one pipeline at a time writes an output" {
	live -o out.csv
	until_true at_least 1000 out.csv
	run bash -c "fcheckpoint begin -d other \"\$CLICKS\" | $counts |
		fcheckpoint commit --append -o out.csv"
	assert_equal "$status" 69
	assert_output --partial "is being written by another pipeline"
}

@test "another format, other columns, another file: refused with both sides" {
	killed_line -o out.csv
	again --ojsonl -o out.csv
	assert_equal "$(commit_status)" 78
	assert_output --partial "was written as csv"
	again -o elsewhere.csv
	assert_equal "$(commit_status)" 78
	assert_output --partial "elsewhere.csv"
	assert_output --partial "/out.csv"
	counts='fkeyby --icsv --time ts --watermark 5s user | fwindow tumble 1m | freduce n=count'
	again -o out.csv
	assert_equal "$(commit_status)" 78
	assert_output --partial '"n","bytes"'
}

# ---- stopping ---------------------------------------------------------------------------

@test "SIGTERM: a savepoint, 75 and one line that says so; the same line goes on" {
	live -o out.csv '2>said'
	until_true at_least 1000 out.csv
	stop_group
	assert_equal "$(commit_status)" 75
	assert_equal "$(grep -c . said)" 1
	grep -q '^fcheckpoint: stopped with savepoint [0-9]*: the same line again goes on' said
	cmp <(head -c "$(stat -c %s out.csv)" "$WANTED") out.csv
	again -o out.csv
	assert_equal "$(commit_status)" 0
	cmp out.csv "$WANTED"
}

@test "a killed neighbour: 75, nothing is written that is not complete" {
	live -o out.csv '2>said'
	until_true at_least 1000 out.csv
	pkill -KILL -g "$group" -x freduce
	wait "$group" || true
	assert_equal "$(commit_status)" 75
	cmp <(head -c "$(stat -c %s out.csv)" "$WANTED") out.csv
}

# ---- where it does not belong -------------------------------------------------------------

@test "outside of a region: refused, naming begin" {
	run bash -c 'fkeyby user "$CLICKS" | fcheckpoint commit -o out.csv'
	assert_equal "$status" 64
	assert_output --partial "fcheckpoint begin"
	[ ! -e out.csv ]
	run fcheckpoint commit --icsv -o out.csv "$CLICKS"
	assert_equal "$status" 64
	[ ! -e out.csv ]
}

@test "frames, compressed files and directories are refused" {
	run line -o out.flue
	assert_equal "$(commit_status)" 64
	rm -r ck
	run line -o out.csv.gz
	assert_equal "$(commit_status)" 64
	rm -r ck
	mkdir out
	run line -o out
	assert_equal "$(commit_status)" 73
	assert_output --partial "--segments"
}

@test "a full disk is 74 and names the file" {
	[ -w /dev/full ]
	rm -rf ck
	# the pending file cannot grow: EFBIG stands for ENOSPC
	run bash -c "fcheckpoint begin -d ck --every 1h \"\$CLICKS\" | $counts |
		(ulimit -f 100; fcheckpoint commit -o out.csv)"
	assert_equal "$status" 74
	assert_output --partial "cannot write"
	assert_output --partial "ck/pending/commit-1.a1.0000000001"
	assert_equal "$(stat -c %s out.csv)" 0
	line -o out.csv
	cmp out.csv "$WANTED"
}

# ---- rule 6: several sinks -------------------------------------------------------------------

two_sinks='fcheckpoint begin -d ck --every 50ms --sinks 2 "$CLICKS" |
	fkeyby --icsv --time ts --watermark 5s user |
	tee >(fwindow tumble 1m | freduce n=count "bytes=sum(bytes)" |
		fcheckpoint commit --uid left -o left.csv; echo $? >left.status) |
	ffilter "bytes = 7" | fcheckpoint commit --uid right -o right.csv
	echo "$?" >right.status'

@test "two sinks: each has its results, and 0 means that both have" {
	bash -c "$two_sinks"
	assert_equal "$(cat right.status)" 0
	cmp left.csv "$WANTED"
	cmp right.csv <(ffilter 'bytes = 7' "$CLICKS" --ocsv)
	until_true [ -s left.status ]
	assert_equal "$(cat left.status)" 0

	# the same line after the end
	bash -c "$two_sinks"
	assert_equal "$(cat right.status)" 0
	cmp left.csv "$WANTED"
}

@test "one sink more than --sinks is refused by name" {
	run bash -c "${two_sinks/--sinks 2/}"
	until_true [ -s left.status ]
	grep -q 78 left.status right.status
	assert_output --partial "--sinks"
	assert_output --regexp "left|right"
}

# ---- pipes ------------------------------------------------------------------------------------

@test "into a pipe: the results, and after a restore at least once, which is said" {
	line '2>said |' cat '>out.csv'
	cmp out.csv "$WANTED"
	[ ! -s said ]

	rm -r ck out.csv
	killed_line '|' cat '>out.csv'
	again '2>told |' cat '>>out.csv'
	grep -q "at least once" told
	cmp <(sort -u out.csv) <(sort -u "$WANTED")
}

@test "--read-uncommitted writes at once, and a file is cut back to its checkpoint" {
	begin='--every 1h' live --read-uncommitted -o out.csv
	until_true at_least 1000 out.csv
	end_group
	rm -r ck out.csv

	live --read-uncommitted -o out.csv
	until_true at_least 1000 out.csv
	until_true [ -e ck/chk-0000000001/MANIFEST ]
	end_group
	echo "not committed" >>out.csv
	again --read-uncommitted -o out.csv
	assert_equal "$(commit_status)" 0
	cmp out.csv "$WANTED"
}

# ---- segments -----------------------------------------------------------------------------------

# joined FILE…: segments as one table.
joined() {
	head -n 1 "$1"
	tail -q -n +2 "$@"
}

@test "--segments: files with a header line each, that together are the table" {
	begin='--every 20ms' line --segments 1K -o part
	assert_equal "$(cat status)" "0 0 0 0 0"
	cmp <(joined part-*.csv) "$WANTED"
	assert_equal "$(find . -name '.*.pending')" ""
	run line --segments 1K -o part
	assert_equal "$(cat status)" "0 0 0 0 0"
	assert_output --partial "finished already"
	cmp <(joined part-*.csv) "$WANTED"
}

@test "--segments into a directory, by time; others that are there are refused" {
	mkdir out
	line --segments 1h -o out
	assert_equal "$(ls out)" part-0000000001.csv
	cmp out/part-0000000001.csv "$WANTED"
	rm -r ck
	run line --segments 1h -o out
	assert_equal "$(commit_status)" 78
	line --segments 1h -o out --append
	assert_equal "$(ls out | tail -n 1)" part-0000000002.csv
	run line --segments soon -o out
	assert_equal "$(commit_status)" 64
}

@test "--segments: killed, the same line again: the same rows, nothing appears half" {
	local i

	{ head -n 1 "$CLICKS"; rows 1 2000; } >log.csv
	for i in 1 2 3 4; do
		rows $((i * 10000 - 7999)) $((i * 10000 + 2000)) >>log.csv
		live --segments 10K -o part
		until_true [ -e "part-000000000$i.csv" ]
		end_group
		cmp <(joined part-*.csv) <(head -c "$(joined part-*.csv | wc -c)" "$WANTED")
	done
	again --segments 10K -o part
	assert_equal "$(commit_status)" 0
	cmp <(joined part-*.csv) "$WANTED"
	assert_equal "$(find . -name '.*.pending')" ""
}
