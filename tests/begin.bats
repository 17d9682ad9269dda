#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# fcheckpoint begin, the source of a checkpointed line, and fcheckpoint run.
# fcheckpoint begin --follow has a file of its own.

load helper

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	seq 1 300000 >a.txt
	seq 300001 300200 >b.txt
	cat a.txt b.txt >want
}

teardown() {
	local pid

	while read -r pid; do
		kill -9 "$pid" 2>/dev/null || true
	done < <(cat pids 2>/dev/null)
}

# line WORDS…: begin WORDS, decoded as lines, committed to out. Sets codes to the statuses.
line() {
	{
		timeout 30 fcheckpoint begin -d ck --every 10ms "$@" 2>messages |
			timeout 30 fcat --itext | timeout 30 fcheckpoint commit -o out \
				--ocsv --headerless-csv-output -q
		codes="${PIPESTATUS[*]}"
	} || true # what it ended with is in codes
}

# killed N WORDS…: the same line, its first process killed N times or until it is done.
killed() {
	local times=$1 i

	shift
	for ((i = 0; i < times; i++)); do
		rm -f pipe
		mkfifo pipe
		fcat --itext <pipe 2>/dev/null | fcheckpoint commit -o out --ocsv \
			--headerless-csv-output -q 2>/dev/null 3>&- &
		fcheckpoint begin -q -d ck --every 5ms "$@" >pipe 2>/dev/null 3>&- &
		echo "$!" >>pids
		sleep "$(printf '0.%03d' $((RANDOM % 20 + 4)))"
		kill -9 "$!" 2>/dev/null && kills=$((kills + 1))
		wait
	done
}

@test "FILEs are read in order; after the end the same line checks the output" {
	line a.txt b.txt
	[ "$codes" = "0 0 0" ]
	cmp want out
	line a.txt b.txt
	[ "$codes" = "0 0 0" ]
	cmp want out
}

@test "gzip, a command and a pipe give the same" {
	gzip -k a.txt
	line a.txt.gz b.txt
	[ "$codes" = "0 0 0" ]
	cmp want out

	rm -rf ck out
	line -- cat a.txt b.txt
	[ "$codes" = "0 0 0" ]
	cmp want out

	rm -rf ck out
	# shellcheck disable=SC2002 # a pipe, which cannot be read again
	cat want | line
	cmp want out
	grep -q 'at most once' messages
}

@test "killed at any moment, FILEs, gzip and a command go on where they were" {
	local kills=0 kind

	gzip -k a.txt
	for kind in "a.txt b.txt" "a.txt.gz b.txt" "-- cat a.txt b.txt"; do
		rm -rf ck out
		# shellcheck disable=SC2086 # several words
		killed 5 $kind
		# shellcheck disable=SC2086
		line $kind
		[ "$codes" = "0 0 0" ] || fail "$kind: $codes: $(cat messages)"
		cmp want out
	done
	[ "$kills" -gt 3 ]
}

@test "a grown, an edited and a replaced input are refused with 78" {
	line a.txt b.txt
	echo more >>b.txt
	line a.txt b.txt
	[ "$codes" = "78 78 78" ]
	grep -q 'b.txt has more than it has read' messages

	rm -rf ck out
	line --keep-open a.txt
	sed 's/^1$/7/' a.txt >c.txt
	cat c.txt >a.txt
	line --keep-open a.txt
	[ "$codes" = "78 78 78" ]
	grep -q 'a.txt is not the file .* first bytes differ' messages
	mv c.txt a.txt
	line --keep-open a.txt
	[ "$codes" = "78 78 78" ]
	grep -q 'another inode' messages
}

@test "--keep-open: a FILE that has grown, and one that was added, are read on" {
	line --keep-open a.txt
	[ "$codes" = "0 0 0" ]
	echo more >>a.txt
	line --keep-open a.txt
	[ "$codes" = "0 0 0" ]
	line a.txt b.txt
	[ "$codes" = "0 0 0" ]
	{
		cat a.txt b.txt
	} | cmp - out
}

@test "a command that fails is not the end of the data" {
	line -- bash -c 'cat a.txt; exit 3'
	[ "$codes" = "75 75 75" ]
	grep -q 'has failed with status 3' messages
	line -- bash -c 'cat a.txt; kill -9 $$'
	[ "$codes" = "75 75 75" ]
	grep -q 'ended by signal 9' messages
	line -- no-such-command
	[ "$codes" = "69 69 69" ]
	grep -q 'there is no such command' messages
}

@test "a command that prints something else after a restore is refused with 78" {
	mkfifo pipe
	fcat --itext <pipe | fcheckpoint commit -o out --ocsv -q 3>&- &
	fcheckpoint begin -q -d ck --every 10ms -- bash -c 'cat a.txt; exec sleep 20' >pipe 3>&- &
	echo "$!" >>pids
	sleep 0.5
	kill -TERM "$!"
	run wait "$!"
	wait
	line -- cat b.txt
	[ "$codes" = "78 78 78" ]
}

@test "SIGTERM stops with a savepoint and 75, SIGINT with 130; the line goes on" {
	local signal code

	for signal in TERM:75 INT:130; do
		rm -rf ck out pipe
		mkfifo pipe
		fcat --itext <pipe | fcheckpoint commit -o out --ocsv --headerless-csv-output -q 3>&- &
		# a command, as it must not have ended before the signal comes; jobs of a script
		# ignore SIGINT if nobody says otherwise
		env --default-signal=INT fcheckpoint begin -q -d ck \
			-- bash -c 'cat a.txt b.txt; exec sleep 20' >pipe 3>&- &
		echo "$!" >>pids
		sleep 0.4
		kill -"${signal%:*}" "$!"
		code=0
		wait "$!" || code=$?
		[ "$code" -eq "${signal#*:}" ]
		wait
		fcheckpoint list ck --ocsv | grep -q savepoint
		line -- cat a.txt b.txt
		[ "$codes" = "0 0 0" ]
		cmp want out
	done
}

@test "--spool keeps what a pipe brought" {
	mkfifo feed pipe
	fcat --itext <pipe 2>/dev/null | fcheckpoint commit -o out --ocsv \
		--headerless-csv-output -q 2>/dev/null 3>&- &
	fcheckpoint begin -q -d ck --every 10ms --spool spool feed >pipe 3>&- &
	echo "$!" >>pids
	exec 8>feed
	cat a.txt >&8
	sleep 0.3
	kill -9 "$!"
	wait
	exec 8>&-
	cat b.txt >feed &
	line --spool spool feed
	[ "$codes" = "0 0 0" ] || fail "$codes: $(cat messages)"
	cmp want out
}

@test "a second copy of a running line is refused with 69, and names the process" {
	mkfifo pipe
	fcat --itext <pipe | fcheckpoint commit -o out --ocsv -q 3>&- &
	fcheckpoint begin -q -d ck -- sleep 20 >pipe 3>&- &
	echo "$!" >>pids
	sleep 0.3
	line a.txt
	[ "$codes" = "69 69 69" ]
	grep -q "in use by .*[^0-9]$(tail -n 1 pids)[^0-9]" messages
	kill -TERM "$(tail -n 1 pids)"
	wait
}

@test "usage errors, a missing FILE, an output that is no pipe" {
	local words

	for words in "a.txt" "-d ck --every 0s a.txt" "-d ck --max-concurrent 2 a.txt" \
		"-d ck --sinks 0 a.txt" "-d ck --follow" "-d ck --name A.B a.txt" "-d ck x --" \
		"-d ck --spool s -- cat a.txt" "-d ck --no-such-option"; do
		# shellcheck disable=SC2086
		run bash -c "fcheckpoint begin $words 2>&1 >/dev/null | cat; exit \${PIPESTATUS[0]}"
		[ "$status" -eq 64 ] || fail "$words: $status"
		[ "$(wc -l <<<"$output")" -eq 1 ]
	done
	run -64 bash -c 'fcheckpoint begin -d ck a.txt >/dev/null'
	line no-such-file
	[ "$codes" = "66 66 66" ]
	run -64 fcheckpoint begn
	assert_output --partial "did you mean begin?"
	run -64 fcheckpoint
}

@test "a line without commit does not wait for ever" {
	run -75 bash -c 'timeout 20 fcheckpoint begin -d ck --every 1ms --timeout 100ms \
		-- bash -c "cat a.txt; sleep 0.1; cat a.txt; exec sleep 10" | cat >/dev/null
		exit "${PIPESTATUS[0]}"'
}

@test "a flue stream is no input" {
	fcat --itext a.txt | cat >a.flue
	line a.flue
	[ "$codes" = "65 65 65" ]
	grep -q 'is a flue stream' messages
}

@test "two sources with names share a directory, and go on together" {
	awk 'BEGIN { print "ts,k,a"; for (i = 0; i < 20000; i++) printf "%d,k%d,%d\n", 1700000000 + i / 50, i % 90, i }' >l.csv
	awk 'BEGIN { print "ts,k,b"; for (i = 0; i < 15000; i++) printf "%d,k%d,%d\n", 1700000000 + i / 40, i % 80, i }' >r.csv
	cat >line.sh <<-'EOF'
		key() { fkeyby --icsv --time ts --watermark 5s k; }
		fcheckpoint begin -q -d ck --every 20ms --name l l.csv | key |
			fjoin --between=-1s,1s <(fcheckpoint begin -q -d ck --every 20ms --name r r.csv | key) |
			fcheckpoint commit -q -o out.csv
	EOF
	fkeyby --icsv --time ts --watermark 5s k l.csv |
		fjoin --between=-1s,1s <(fkeyby --icsv --time ts --watermark 5s k r.csv) --ocsv >want.csv
	[ "$(wc -l <want.csv)" -gt 100 ]
	run -0 timeout 30 bash line.sh
	cmp want.csv out.csv
	run -0 timeout 30 bash line.sh # finished: both wait for each other, and end
	cmp want.csv out.csv
}

@test "run: again after 75 and after a death by a signal, not after anything else" {
	cat >script.sh <<-'EOF'
		echo x >>runs
		n=$(wc -l <runs)
		case $1 in
		codes) [ "$n" -ge 3 ] || exit 75 ;;
		signal) [ "$n" -ge 2 ] || kill -9 $$ ;;
		child) [ "$n" -ge 2 ] || { sleep 30 & kill -9 $$; } ;;
		*) exit "$1" ;;
		esac
	EOF
	local what

	for what in codes:3 signal:2 child:2; do
		rm -f runs
		run -0 timeout 20 fcheckpoint run -q --restart fixed --attempts 5 --delay 1ms script.sh "${what%:*}"
		[ "$(wc -l <runs)" -eq "${what#*:}" ]
	done
	for what in 64 65 78 130 141; do
		rm -f runs
		run "-$what" timeout 20 fcheckpoint run --restart fixed --delay 1ms script.sh "$what"
		[ "$(wc -l <runs)" -eq 1 ]
	done
}

@test "run: each strategy gives up as it should, with 75" {
	echo 'echo x >>runs; exit 75' >script.sh
	run -75 timeout 20 fcheckpoint run --restart fixed --delay 1ms script.sh
	[ "$(wc -l <runs)" -eq 2 ]
	assert_output --partial "giving up after 1 restart"
	rm runs
	run -75 timeout 20 fcheckpoint run --initial-delay 1ms --max-delay 5ms --attempts 4 script.sh
	[ "$(wc -l <runs)" -eq 5 ]
	rm runs
	run -75 timeout 20 fcheckpoint run --restart failure-rate --failures 3 --delay 1ms script.sh
	[ "$(wc -l <runs)" -eq 4 ]
	run -64 fcheckpoint run --restart never script.sh
	run -64 fcheckpoint run
	run -66 fcheckpoint run no-such-script
}

@test "run: a killed line goes on; a stop that was asked for is final" {
	cat >line.sh <<-'EOF'
		fcheckpoint begin -q -d ck --every 10ms -- bash -c 'cat a.txt b.txt; sleep 1' | fcat --itext |
			fcheckpoint commit -o out --ocsv --headerless-csv-output -q
	EOF
	fcheckpoint run -q --initial-delay 1ms line.sh 2>/dev/null 3>&- &
	echo "$!" >>pids
	sleep 0.4
	kill -9 "$(sed -n 's/.*"pid": \([0-9]*\).*/\1/p' ck/attempt)"
	wait "$!"
	cmp want out

	rm -rf ck out
	sed -i 's/sleep 1/exec sleep 20/' line.sh
	fcheckpoint run --initial-delay 1ms line.sh 2>messages 3>&- &
	echo "$!" >>pids
	sleep 0.5
	kill -TERM "$!"
	wait "$!" || [ $? = 75 ]
	grep -q 'stopped as asked' messages
}

@test "an empty file as one of two sources: it has to have its header line" {
	union() {
		bash -c 'funion <(fcheckpoint begin -d ck --name a empty.csv 2>>other | fkeyby --icsv k 2>>other) \
			<(fcheckpoint begin -d ck --name b full.csv 2>>other | fkeyby --icsv k 2>>other) |
			freduce n=count | fcheckpoint commit -o out.csv'
	}

	: >empty.csv
	printf 'k,v\na,1\nb,2\na,3\n' >full.csv
	run -64 union
	[[ $output = *"ends without a header line"*"give an empty file its header line"* ]]
	echo 'k,v' >empty.csv
	run -0 union
	[ "$(cat out.csv)" = $'k,n\na,2\nb,1' ]
}
