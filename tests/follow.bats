#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# fcheckpoint begin --follow: a log that grows and is rotated loses no line, whatever is
# done to it while it is read, and while it is not.

load helper

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	mkdir log
	mkfifo pipe
	n=0
}

teardown() {
	kill -9 "$begin" 2>/dev/null || true
}

# put N: so many lines more.
put() {
	local i

	for ((i = 0; i < $1; i++)); do
		echo "line $((n++))"
	done >>log/access.log
}

# start [OPTION…]: read the log.
start() {
	fcat --itext <pipe 2>/dev/null | timeout 60 fcheckpoint commit -o out --ocsv \
		--headerless-csv-output -q 2>commit-messages 3>&- &
	timeout 60 fcheckpoint begin -d ck --every 50ms "$@" --follow log/access.log >pipe 2>messages 3>&- &
	begin=$!
}

stop() {
	kill -TERM "$begin"
	wait "$begin" || [ $? -eq 75 ]
	wait
}

# complete: every line is there, once, in order.
complete() {
	local i=0

	stop
	for ((i = 0; i < n; i++)); do
		echo "line $i"
	done | cmp - out
}

# until_lines N: the output has so many.
until_lines() {
	local tries=100

	until [ "$(wc -l <out 2>/dev/null || echo 0)" -ge "$1" ]; do
		[ $((tries--)) -gt 0 ] || fail "only $(wc -l <out) of $1 lines: $(cat messages)"
		sleep 0.1
	done
}

@test "a log that grows is read as it grows" {
	put 10
	start
	until_lines 10
	put 5
	until_lines 15
	complete
}

@test "rename and create" {
	put 10
	start
	until_lines 10
	mv log/access.log log/access.log.1
	echo "line $((n++))" >>log/access.log.1 # by who has it open still
	put 5
	until_lines 16
	complete
}

@test "delete and create, while it is read" {
	put 10
	start
	until_lines 10
	put 3
	sleep 0.3
	rm log/access.log
	put 5
	until_lines 18
	complete
}

@test "rotated and packed several times while the line was down" {
	put 10
	start
	until_lines 10
	complete
	put 4
	mv log/access.log log/access.log.1
	put 6
	gzip log/access.log.1
	mv log/access.log.1.gz log/access.log.3.gz
	mv log/access.log log/access.log.2
	put 7
	mv log/access.log log/access.log.1
	put 8
	start
	until_lines 35
	complete
}

@test "siblings with dates" {
	put 10
	start
	until_lines 10
	complete
	mv log/access.log log/access.log-20260101
	put 6
	mv log/access.log log/access.log-20260102
	gzip log/access.log-2026010?
	put 7
	start
	until_lines 23
	complete
}

@test "a log that is gone is refused with 78, unless it is allowed; an inode used again is seen" {
	put 10
	start
	until_lines 10
	complete
	rm log/access.log
	put 5
	start
	wait "$begin" || [ $? -eq 78 ]
	wait
	grep -q 'allow-lost-input' messages
	start --allow-lost-input
	until_lines 15
	complete
	grep -q 'is lost' messages
}

@test "copytruncate is seen and told" {
	put 10
	start
	until_lines 10
	cp log/access.log log/access.log.1
	: >log/access.log
	put 3
	until_lines 13
	complete
	grep -q 'copytruncate.* 1 time' messages
}

@test "a log that was truncated and has grown beyond the position is seen" {
	put 3
	start
	until_lines 3
	kill -STOP "$(pgrep -P "$begin")" # so that it does not see the moment between
	: >log/access.log
	put 20
	kill -CONT "$(pgrep -P "$begin")"
	until_lines 23
	complete
	grep -q 'copytruncate' messages
}

@test "--keep-open ends at the end of the log, and finds what was rotated meanwhile" {
	put 10
	start --keep-open
	wait
	put 5
	mv log/access.log log/access.log.1
	touch -d '10 seconds ago' log/access.log.1
	put 5
	start --keep-open
	wait
	for ((i = 0; i < n; i++)); do
		echo "line $i"
	done | cmp - out
}
