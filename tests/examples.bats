#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# What examples/ holds, and the lines that people are shown, as they are typed there.
# The examples of the manual are run by man-examples.bats.
#
# shellcheck disable=SC2154 # stderr, which run sets

load helper

setup() {
	cp -R "$FLUE_SOURCE/examples/." "$BATS_TEST_TMPDIR"
	chmod -R u+w "$BATS_TEST_TMPDIR"
	cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
	local pid

	while read -r pid; do
		kill "$pid" 2>/dev/null || true
	done < <(cat pids 2>/dev/null)
}

# wait_for SECONDS COMMAND…: until the command succeeds.
wait_for() {
	local tries=$(($1 * 20))

	shift
	until "$@"; do
		[ $((tries--)) -gt 0 ] || return 1
		sleep 0.05
	done
}

@test "the sample logs are what make-access-log writes" {
	./make-access-log csv | cmp - access.csv
	./make-access-log combined | cmp - access.log
}

@test "windows of a minute, with a late record" {
	run --separate-stderr bash -o pipefail -c "fkeyby --icsv --time ts --watermark 5s url clicks.csv | fwindow tumble 1m | freduce n=count 'bytes=sum(bytes)' --ocsv"
	assert_success
	assert_output "window_start,window_end,url,n,bytes
2026-03-16T10:00:00Z,2026-03-16T10:01:00Z,/,3,15360
2026-03-16T10:00:00Z,2026-03-16T10:01:00Z,/docs,3,4096
2026-03-16T10:01:00Z,2026-03-16T10:02:00Z,\"/search?q=a,b\",1,
2026-03-16T10:01:00Z,2026-03-16T10:02:00Z,/docs,1,300
2026-03-16T10:01:00Z,2026-03-16T10:02:00Z,/,1,5120
2026-03-16T10:02:00Z,2026-03-16T10:03:00Z,/,1,5120
2026-03-16T10:04:00Z,2026-03-16T10:05:00Z,/docs,1,2048"
	assert_equal "$stderr" "freduce: 1 late record dropped"
}

@test "sliding windows over JSON lines" {
	run bash -o pipefail -c "fkeyby user clicks.jsonl --time ts | fwindow slide 5m 2m | freduce n=count --ojsonl"
	assert_success
	assert_output '{"window_start":"2026-03-16T09:56:00Z","window_end":"2026-03-16T10:01:00Z","user":"ann","n":2}
{"window_start":"2026-03-16T09:56:00Z","window_end":"2026-03-16T10:01:00Z","user":"bob","n":2}
{"window_start":"2026-03-16T09:58:00Z","window_end":"2026-03-16T10:03:00Z","user":"ann","n":3}
{"window_start":"2026-03-16T09:58:00Z","window_end":"2026-03-16T10:03:00Z","user":"bob","n":4}
{"window_start":"2026-03-16T10:00:00Z","window_end":"2026-03-16T10:05:00Z","user":"ann","n":4}
{"window_start":"2026-03-16T10:00:00Z","window_end":"2026-03-16T10:05:00Z","user":"bob","n":4}
{"window_start":"2026-03-16T10:02:00Z","window_end":"2026-03-16T10:07:00Z","user":"bob","n":1}
{"window_start":"2026-03-16T10:02:00Z","window_end":"2026-03-16T10:07:00Z","user":"ann","n":1}
{"window_start":"2026-03-16T10:04:00Z","window_end":"2026-03-16T10:09:00Z","user":"ann","n":1}'
}

# The errors of a host are a session while at most 30 s lie between them; a model in awk,
# that sorts by host and time, says the same.
@test "bursts of errors, host by host" {
	ffilter --time ts --watermark 5s 'status >= 500' access.csv | fkeyby host | fwindow session 30s | freduce n=count 'first=min(ts)' --ocsv >printed 2>messages
	assert_equal "$(head -n 1 printed)" "window_start,window_end,host,n,first"
	assert_equal "$(cat messages)" ""
	# path may be quoted, so the status is found from its neighbours
	sed -nE 's/^([^,]*),([^,]*),[A-Z]+,("[^"]*"|[^,]*),5[0-9][0-9],.*/\2,\1/p' access.csv | sort |
		awk -F'[,T:Z]' '{
			s = $3 * 3600 + $4 * 60 + $5
			if ($1 != host || s - last > 30) { if (n) print host "," n "," first; n = 0; first = "" }
			host = $1; last = s; n++
			if (first == "") first = substr($0, index($0, ",") + 1)
		}
		END { print host "," n "," first }' | sort >model
	[ "$(wc -l <model)" -gt 20 ]
	diff <(sed 1d printed | cut -d, -f3- | sort) model
}

@test "a log that is being written: a minute is printed when it is complete" {
	head -n 100 access.log >grows.log
	{
		tail -F grows.log 2>/dev/null & echo $! | tee -a pids >tail.pid; wait
	} | fkeyby --iclf --watermark 5s host | fwindow tumble 1m | freduce n=count 'b=sum(bytes)' --ocsv >printed 2>messages &
	echo $! >>pids
	wait_for 10 grep -q '^2026-03-16T10:11:00Z,' printed
	refute grep -q '^2026-03-16T10:20:00Z,' printed
	sed -n '101,$p' access.log >>grows.log
	wait_for 10 grep -q '^2026-03-16T10:20:00Z,' printed
	kill "$(cat tail.pid)"
	wait_for 10 grep -q '^2026-03-16T10:29:00Z,' printed
}

@test "words that come over the network" {
	command -v nc >/dev/null && nc -h 2>&1 | grep -q -e '-k' || skip "no nc that can listen"
	{
		nc -lk 127.0.0.1 9999 & echo $! >>pids; wait
	} | fmap --itext --only 'word=unnest(string_to_array(line, $$ $$))' | fkeyby word | freduce n=count --updates --ocsv >printed &
	echo $! >>pids
	# shellcheck disable=SC2317 # wait_for calls it
	say() { echo "to be or not to be" >/dev/tcp/127.0.0.1/9999; }
	wait_for 5 say 2>/dev/null
	wait_for 10 grep -qx '+U,be,2' printed
	assert_equal "$(cat printed)" "op,word,n
+I,to,1
+I,be,1
+I,or,1
+I,not,1
-U,to,1
+U,to,2
-U,be,1
+U,be,2"
}

# The same without a network, for machines that have no nc.
@test "words that come through a pipe, one line at a time" {
	mkfifo words
	fmap --itext --only 'word=unnest(string_to_array(line, $$ $$))' <words | fkeyby word | freduce n=count --updates --ocsv >printed &
	echo $! >>pids
	exec 7>words
	echo "to be" >&7
	wait_for 10 grep -qx '+I,be,1' printed
	echo "or not to be" >&7
	wait_for 10 grep -qx '+U,be,2' printed
	exec 7>&-
	wait $!
	assert_equal "$(wc -l <printed)" 9
}

# Each of these prints rows, whatever they are: the tools' own tests say what is right.
@test "the pipelines over the access log, and the one that counts words" {
	local pipeline

	for pipeline in per-minute error-bursts busy-hosts; do
		"pipelines/$pipeline" >printed
		[ "$(wc -l <printed)" -ge 3 ] || fail "$pipeline prints $(wc -l <printed) lines"
	done
	run -0 pipelines/word-count <<<"to be or not to be"
	assert_output $'word,n\nto,2\nbe,2\nor,1\nnot,1'
}

# same_as_kept NAME: the pipeline prints what tests/examples/ has, and no message.
same_as_kept() {
	"pipelines/$1" >printed 2>messages || fail "$1: exit status $?: $(cat messages)"
	assert_equal "$(cat messages)" ""
	diff "$FLUE_SOURCE/tests/examples/$1.csv" printed
}

@test "page views of each user, in 5 minutes sliding by 2" {
	same_as_kept page-views
}

@test "page views, exactly once: the same, and a second run changes nothing" {
	pipelines/page-views-exactly-once once
	diff "$FLUE_SOURCE/tests/examples/page-views.csv" once/page-views.csv
	pipelines/page-views-exactly-once once
	diff "$FLUE_SOURCE/tests/examples/page-views.csv" once/page-views.csv
}

@test "the click-through rate of ads" {
	same_as_kept click-through
	# A click that comes after ten minutes does not count, and a second one neither.
	awk -F, '{ shown += $3; clicked += $4 } END { print shown, clicked }' printed >sums
	assert_equal "$(cat sums)" "60 15"
	[ "$(sed 1d ad-clicks.csv | cut -d, -f2 | sort -u | wc -l)" -eq 16 ]
	[ "$(sed 1d ad-clicks.csv | wc -l)" -eq 19 ]
}

@test "alarms of services" {
	same_as_kept service-alarms
}

@test "cards that should be looked at" {
	same_as_kept card-fraud
}

@test "trending items" {
	same_as_kept trending-items
}

@test "every pipeline is tried here" {
	local pipeline

	for pipeline in pipelines/*; do
		grep -Eq "(same_as_kept |pipelines/|[ (])${pipeline##*/}([ ;]|\$)" "$BATS_TEST_FILENAME" ||
			fail "$pipeline"
	done
}

@test "words from a socket" {
	local pid

	command -v nc >/dev/null && nc -h 2>&1 | grep -q -e '-k' || skip "no nc that can listen"
	pipelines/words-from-socket 9997 >printed 2>messages &
	pid=$!
	say() { echo "to be or not to be" >/dev/tcp/127.0.0.1/9997; }
	wait_for 5 say 2>/dev/null
	wait_for 10 grep -qx '+U,be,2' printed
	pkill -P "$pid" -x nc
	wait "$pid"
	refute grep -v '^Terminated$' messages # which is the shell's, of nc
	assert_equal "$(tail -n 4 printed)" $'-U,to,1\n+U,to,2\n-U,be,1\n+U,be,2'
}

@test "demo.sh shows a table, and what was late" {
	run --separate-stderr env TMPDIR="$BATS_TEST_TMPDIR" ./demo.sh
	assert_success
	assert_equal "$stderr" ""
	assert_line --regexp '^window_start +path +requests +bytes +p99_ms +errors$'
	assert_line --regexp '^2026-03-16T10:13:00Z +/api/search +[0-9]+ '
	assert_line "  freduce: 7 late records written to late.csv"
	assert_equal "$(wc -l <"$(echo flue-demo.*/late.csv)")" 8
	# It fits a terminal, but for the line with the directory.
	refute grep -E '^.{81}' <<<"$(grep -v '^  cd ' <<<"$output")"
	refute_output --partial $'\e'
}

@test "what demo.sh offers to paste works" {
	TMPDIR=$BATS_TEST_TMPDIR ./demo.sh >shown
	sed -n '/^  cd /,/^The tools:/s/^  //p' shown >pasted
	[ "$(wc -l <pasted)" -ge 6 ]
	run --separate-stderr bash pasted
	assert_success
	assert_equal "$stderr" ""
	assert_line --index 0 --partial '{"ts":"2026-03-16T10:00:00.097Z",'
	assert_line --regexp '^window_start +window_end +host +n +first$'
	assert_line --regexp '^2026-03-16T09:55:00Z,2026-03-16T10:05:00Z,192\.0\.2\.1,[0-9]+,[0-9.]+$'
	assert_line --regexp '^bob +4 ios$'
}

@test "scripts are clean" {
	command -v shellcheck >/dev/null || skip "no shellcheck"
	shellcheck demo.sh make-access-log operator/check pipelines/*
}
