#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# The eleven rules of exactly-once (ARCHITECTURE.md, "Checkpoints"), each by a test of its
# name, end to end with the real tools. Where a test needs a process to end or to stand
# still at one place, the tools that have points are used (fault/points.c).

# What is quoted is for the shells of the pipelines, some variables are set by run:
# shellcheck disable=SC2016,SC2154,SC2012

load helper

by='fkeyby --time ts --time-format epoch-ms --watermark 1s'
sum='fwindow tumble 10s | freduce n=count "s=sum(v)"'

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	export FLUE_FAULT_BIN=${FLUE_FAULT_BIN:-$FLUE_BUILD/tests/fault/bin}
	awk 'BEGIN {
		srand(3); print "ts,k,v"
		for (t = 1700000000000; i < 20000; i++) {
			t += int(rand() * 20)
			printf "%.0f,key%d,%d\n", t + int(rand() * 1000) - 500, int(rand() * 300), i
		}
	}' >in.csv
	head -n 10001 in.csv >half.csv
	tail -n +10002 in.csv >rest.csv
	bash -c "$by k in.csv | $sum --ocsv" >want.csv
	[ "$(wc -l <want.csv)" -gt 3000 ]
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	ln -s "$BATS_FILE_TMPDIR"/{in,half,rest,want}.csv .
	# a source that takes its time, so that there are some checkpoints
	cat >feed <<-'END'
		head -n 1 "$1"
		for i in {0..7}; do
			sed -n "$((i * 2500 + 2)),$((i * 2500 + 2501))p" "$1"
			sleep "${NAP:-0.1}"
		done
	END
	pids=()
}

teardown() {
	local pid

	for pid in "${pids[@]}"; do
		kill -KILL -- "-$pid" 2>/dev/null || true
	done
}

# line BEGIN [COMMIT [MIDDLE]]: the region with those words, until it ends. Then status has
# the exit status of each process, said what they printed.
line() {
	timeout --foreground 60 bash -c "fcheckpoint begin -d ck --every 5ms $1 |
		${3:-$by --icsv k | $sum} | fcheckpoint commit ${2--o out.csv}"'
		echo "${PIPESTATUS[*]}" >status' 2>said
}

# faulty FAULT BEGIN…: the same with a fault, in a process group of its own, all of which
# is gone afterwards.
faulty() {
	local fault=$1

	shift
	(
		export FLUE_FAULT=$fault FLUE_FAULT_LOG=$PWD/points
		PATH=$FLUE_FAULT_BIN:$PATH
		setsid -w bash -c "$(declare -f line); by='$by' sum='$sum'"'; line "$@"' - "$@"
	) || true
	grep -q ^fired points || fail "the fault $fault did not happen"
}

# background FAULT BEGIN…: the same, not waited for; its process group is $group.
background() {
	local fault=$1

	shift
	FLUE_FAULT=$fault FLUE_FAULT_LOG=$PWD/points PATH=$FLUE_FAULT_BIN:$PATH \
		setsid env --default-signal=INT bash -c "$(declare -f line); by='$by' sum='$sum'"'; line "$@"' - "$@" 3>&- &
	group=$!
	pids+=("$group")
}

until_true() {
	local i

	for ((i = 0; i < 600; i++)); do # a machine that does much else takes its time
		! "$@" 2>/dev/null || return 0
		sleep 0.05
	done
	fail "did not come true: $*"
}

fired() {
	grep -q ^fired points
}

# held_pid: the pids of the processes in $group that stand still.
held_pid() {
	local pid

	for pid in $(pgrep -g "$group"); do
		[ "$(sed 's/.*) \(.\).*/\1/' "/proc/$pid/stat" 2>/dev/null)" != T ] || echo "$pid"
	done
}

# only_held_left: kill all of $group but the process that stands still, which is $held.
only_held_left() {
	local pid

	until_true fired
	until_true test -n "$(held_pid)"
	held=$(held_pid)
	for pid in $(pgrep -g "$group"); do
		[ "$pid" = "$held" ] || kill -KILL "$pid" 2>/dev/null || true
	done
	wait "$group" 2>/dev/null || true
}

# ends CODE [TEXT]: the last process of the line ended so, and the others too, or because
# their reader had; the message has TEXT.
ends() {
	local code

	for code in $(cat status); do
		[ "$code" = "$1" ] || { [ "$1" -gt 0 ] && [[ $code = 141 || $code = 0 ]]; } || break
	done
	[ "$code" = "$1" ] || fail "statuses $(cat status), not $1: $(cat said)"
	[ -z "${2-}" ] || grep -qF -- "$2" said || fail "not said: $2: $(cat said)"
}

# exact: the line once more, and the output is what it should be.
exact() {
	line "$@"
	ends 0
	cmp want.csv out.csv
}

abandoned() {
	ls ck/chk-*/ABANDONED
}

# let_go: until the line has ended, all that stands still in it goes on. Others get no
# signal: SIGCONT takes back the SIGSTOP by which a leak checker attaches to a process that
# ends, and it would wait for that for ever.
let_go() {
	local pid

	while kill -0 "$group" 2>/dev/null; do
		for pid in $(held_pid); do
			kill -CONT "$pid" 2>/dev/null || true
		done
		sleep 0.05
	done
	wait "$group" || true
}

complete() {
	ls ck/chk-*/MANIFEST 2>/dev/null
}

# many: a state of more than a mebibyte, which a child writes: the stream goes on while
# that child stands still.
many() {
	awk 'BEGIN { print "ts,k,v"; for (i = 0; i < 60000; i++) printf "%.0f,key%d,%d\n", 1700000000000 + i, i * 7 % 50000, i }' >many.csv
	sed -i 's/2500/7500/g; s/2501/7501/' feed
	table='fkeyby --icsv k | freduce --updates n=count "l=last(v)" "m=array_agg(v)"'
	bash -c "${table/--icsv k/k many.csv} --ocsv" >want.many
}

# ---- 1: attempts are fenced ---------------------------------------------------------------

@test "rule 1, fenced: the surviving commit of a killed attempt holds the next one off, completes nothing later" {
	background commit.last-done:2:hold "-- bash feed in.csv"
	only_held_left
	cp ck/attempt attempt.before
	line "-- bash feed in.csv"
	ends 69
	grep -qw "$held" said
	cmp attempt.before ck/attempt
	kill -CONT "$held"
	until_true test ! -e "/proc/$held"
	exact "-- bash feed in.csv"
	grep -q '"attempt": *2' ck/attempt
}

@test "rule 1, fenced: an orphaned snapshot child holds the lock, and its checkpoint stays incomplete" {
	many
	background child.written:1:hold "-- bash feed many.csv" "-o out.csv" "$table"
	only_held_left
	[ "$(cut -d ' ' -f 2 "/proc/$held/stat")" = "(freduce)" ]
	line "-- bash feed many.csv" "-o out.csv" "$table"
	ends 69
	grep -qw "$held" said || fail "$held is not named: $(cat said)"
	complete >before || true
	kill -CONT "$held"
	until_true test ! -e "/proc/$held"
	complete | cmp - before
	line "-- bash feed many.csv" "-o out.csv" "$table"
	ends 0
	cmp want.many out.csv
}

@test "rule 1, fenced: a second copy of a running line is refused, and names a living process" {
	cp half.csv log.csv
	background none:1:none "--follow log.csv"
	until_true complete
	(
		mkdir other
		cd other
		ln -s ../ck ../in.csv ../log.csv .
		line "--follow log.csv" "-o ../out.csv"
		ends 69 "in use by"
		for pid in $(grep -o '[0-9]*' said); do
			[ ! -d "/proc/$pid" ] || [ "$(ps -o pgid= -p "$pid" | tr -d ' ')" != "$group" ] || exit 0
		done
		fail "no living process is named: $(cat said)"
	)
}

@test "rule 1, fenced: inputs of two attempts, 75" {
	line in.csv
	mkfifo a b
	# a stream of this attempt, and one of the attempt before, kept in a file
	rm -r ck out.csv status
	fcheckpoint begin -q -d ck --every 1h in.csv 2>/dev/null | { $by --icsv k 2>/dev/null | cat >old.flue; }
	fcheckpoint begin -q -d ck --every 1h in.csv 2>/dev/null | $by --icsv k |
		{ code=0; funion - old.flue >/dev/null 2>said || code=$?; echo "$code" >status; } || true
	ends 75 "but another input is of attempt"
}

@test "rule 1, fenced: no output is opened before the header has come, and a stream of an attempt that is over is refused" {
	fcheckpoint begin -q -d ck --every 1h in.csv 2>/dev/null | cat >old.flue
	rm -f late.csv out.csv
	fcheckpoint begin -q -d ck --every 1h in.csv 2>/dev/null | cat >/dev/null
	run bash -c "$by --on-error skip --reject reject.csv k old.flue | fcheckpoint commit -o out.csv"
	[ "$status" -eq 69 ] || fail "$status: $output"
	[ ! -e out.csv ] && [ ! -e reject.csv ]
}

@test "rule 1, fenced: two branches of a tee with one uid are refused, with the advice to give --uid" {
	mkfifo branch
	run timeout 20 bash -c "fcheckpoint begin -d ck in.csv | $by --icsv k |
		tee >(ffilter 'v % 2 = 0' >branch) | ffilter 'v % 2 = 1' | funion - branch |
		fcheckpoint commit -o out.csv"
	[ "$status" -eq 78 ] || fail "$status: $output"
	assert_output --partial "ffilter-1"
	assert_output --partial "--uid"
	[ ! -s out.csv ]
}

# ---- 2: the barrier -------------------------------------------------------------------------

@test "rule 2, barrier: watermarks are restored: a row that was late before the kill is late after it" {
	local i

	# rows that are late, all along
	awk -F, 'NR == 1 || NR % 50 { print; next } { printf "%.0f,%s,%d\n", $1 - 60000, $2, $3 }' in.csv >late-in.csv
	bash -c "$by k late-in.csv | fwindow tumble 10s --late late.want | freduce n=count 's=sum(v)' --ocsv" >want.late
	[ "$(wc -l <late.want)" -gt 300 ]
	mid="$by --icsv k | fwindow tumble 10s --late late.csv | freduce n=count 's=sum(v)'"
	for i in 1 2 3; do
		faulty "begin.barrier_sent:$i:all" "-- bash feed late-in.csv" "-o out.csv" "$mid"
	done
	line "-- bash feed late-in.csv" "-o out.csv" "$mid"
	ends 0
	cmp want.late out.csv
	cmp late.want late.csv
}

@test "rule 2, barrier: --at-least-once counts no record less" {
	begin="--at-least-once -- bash feed in.csv"
	faulty begin.barrier_sent:3:all "$begin"
	line "$begin"
	ends 0
	cmp want.csv out.csv # one input only: nothing to align
}

@test "rule 2, barrier: none while nothing flows, but for results that wait for one" {
	cp half.csv log.csv
	background none:1:none "--follow log.csv" # every 5 ms
	until_true complete
	sleep 0.5
	before=$(ls -d ck/chk-* | tail -n 1)
	sleep 1
	[ "$(ls -d ck/chk-* | tail -n 1)" = "$before" ] || fail "more checkpoints than $before"
}

# ---- 3: one decider -----------------------------------------------------------------------------

names_freduce() {
	grep -q freduce-1 ck/chk-*/ABANDONED
}

@test "rule 3, decider: an abandoned checkpoint's results join the next" {
	many
	background child.written:1:hold "--timeout 300ms --tolerate 99 -- bash feed many.csv" "-o out.csv" "$table"
	until_true fired
	until_true names_freduce
	let_go
	ends 0
	cmp want.many out.csv
}

@test "rule 3, decider: more than --tolerate abandoned in a row end the line with 75, which goes on" {
	many
	background child.written:1:hold "--timeout 1s --tolerate 0 -- bash feed many.csv" "-o out.csv" "$table"
	until_true fired
	until_true abandoned
	let_go
	ends 75 --tolerate
	line "-- bash feed many.csv" "-o out.csv" "$table"
	ends 0
	cmp want.many out.csv
}

held_up() {
	grep -q "its barrier has not come to commit-1" ck/chk-*/ABANDONED
}

# stuck BEGIN: at its second barrier an operator stands still before it has passed it on, so
# that no commit hears of that checkpoint. The source is far from its end: that may take
# as long as it likes.
stuck() {
	NAP=0.7 FLUE_FAULT_UID=fwindow-1 background snapshot.begin:2:hold "$1"
	until_true fired
}

@test "rule 3, decider: a barrier that an operator holds up is given up at --timeout, and the line goes on" {
	stuck "--timeout 300ms --tolerate 999 -- bash feed in.csv"
	until_true held_up
	given_up=$(abandoned | tail -n 1)
	let_go
	ends 0
	cmp want.csv out.csv
	# and it was not the last that was tried
	[[ $(complete | tail -n 1) > $given_up ]]
}

@test "rule 3, decider: barriers that an operator holds up, more than --tolerate in a row, end the line with 75" {
	stuck "--timeout 300ms --tolerate 2 -- bash feed in.csv"
	until_true grep -q -e --tolerate said
	[ "$(abandoned | wc -l)" -ge 3 ]
	let_go
	ends 75 --tolerate
	exact "-- bash feed in.csv"
}

@test "rule 3, decider: what the end of the data gives may take longer than --timeout" {
	# no checkpoint but the last: on a busy machine another might take as long
	FLUE_FAULT_UID=fwindow-1 background snapshot.final:1:hold "--every 1h --timeout 50ms --tolerate 0 in.csv"
	until_true fired
	sleep 0.3 # five times as long
	! abandoned || fail "$(cat ck/chk-*/ABANDONED)"
	let_go
	ends 0
	cmp want.csv out.csv
}

# What has died is noticed within about a second, not by the clock of --timeout, which is a
# minute here: also where a foreign program stands between, which sees it only when it
# writes, and where nothing flows any more.

# missed BEGIN MIDDLE: with a fault; the line ends, and soon.
missed() {
	local begun=$SECONDS

	faulty "commit.done:1:kill" "$1" "--uid main -o out.csv" "$2"
	[ $((SECONDS - begun)) -lt 20 ] || fail "noticed after $((SECONDS - begun)) seconds"
	[ -s status ] || fail "it did not end"
}

@test "rule 3, decider: a commit that dies behind tee is missed, while the source is quiet and after its end" {
	late="$by --icsv k | tee copy | { sleep 0.3; exec fwindow tumble 10s; } | freduce n=count 's=sum(v)'"
	cp in.csv log.csv
	missed "--follow log.csv" "$late"
	line "log.csv" "--uid main -o out.csv" "$late"
	ends 0
	cmp want.csv out.csv

	rm -rf ck out.csv status points
	export NAP=0.01
	missed "-- bash feed in.csv" "$late"
	line "-- bash feed in.csv" "--uid main -o out.csv" "$late"
	ends 0
	cmp want.csv out.csv
}

@test "rule 3, decider: a second sink that dies behind tee is missed, while the source is quiet" {
	mid="$by --icsv k | tee >(sleep 0.3; ffilter 'v % 10 = 0' | fcheckpoint commit --uid few -o few.csv) | $sum"
	cp in.csv log.csv
	FLUE_FAULT_UID=few missed "--sinks 2 --follow log.csv" "$mid"
	line "--sinks 2 log.csv" "--uid main -o out.csv" "$mid"
	ends 0
	cmp want.csv out.csv
	until_true cmp -s few.csv <(ffilter 'v % 10 = 0' in.csv --ocsv)
}

# ---- 4: the output -----------------------------------------------------------------------------------

# A job that has stopped twice, with windows open, and results of two checkpoints or more.
stopped_job() {
	head -n 5000 half.csv >log.csv
	line "--keep-open log.csv" "${1--o out.csv}"
	ends 0
	tail -n +5001 half.csv >>log.csv
	line "--keep-open log.csv" "${1--o out.csv}"
	ends 0
	[ "$(wc -l <out.csv)" -gt 1000 ]
	cat rest.csv >>log.csv
}

@test "rule 4, output: shortened, 78, and what to do" {
	stopped_job
	truncate -s 100 out.csv
	line log.csv
	ends 78 "has 100 bytes"
	grep -q "rewind\|remove\|put it back\|begin anew\|another -d" said || fail "no way out: $(cat said)"
	[ "$(stat -c %s out.csv)" -eq 100 ]
}

@test "rule 4, output: lengthened, 78, and nothing is cut" {
	stopped_job
	head -c 2000000 /dev/zero >>out.csv
	cp out.csv before
	line log.csv
	ends 78
	cmp out.csv before
}

@test "rule 4, output: edited, 78" {
	stopped_job
	printf X | dd of=out.csv bs=1 seek=$(($(stat -c %s out.csv) / 2)) conv=notrunc status=none
	cp out.csv before
	line log.csv
	# beyond the last 4096 bytes before the checkpoint nobody looks
	[ "$(cat status)" = "0 0 0 0 0" ] || ends 78
	rm -r ck out.csv status
	stopped_job
	committed=$(cat ck/chk-*/MANIFEST | grep -o '"committed": *[0-9]*' | tail -n 1 | tr -dc 0-9)
	[ "$committed" -gt 10 ]
	printf X | dd of=out.csv bs=1 seek=$((committed - 5)) conv=notrunc status=none
	cp out.csv before
	line log.csv
	ends 78 "edited"
	cmp out.csv before
}

@test "rule 4, output: emptied by >, 78, and what to do" {
	stopped_job "--ocsv >>out.csv"
	line log.csv "--ocsv >out.csv"
	ends 78 ">>"
}

@test "rule 4, output: a torn tail is cut and written again" {
	line in.csv
	ends 0
	last=$(cat ck/chk-*/MANIFEST | grep -o '"committed": *[0-9]*' | tail -n 1 | tr -dc 0-9)
	size=$(stat -c %s out.csv)
	[ "$size" -gt "$last" ]
	for keep in 0 1 $(((size - last) / 2)) $((size - last - 1)); do
		truncate -s $((last + keep)) out.csv
		truncate -s "$size" out.csv # zeroes, as some file systems leave them
		exact in.csv
		truncate -s $((last + keep)) out.csv
		exact in.csv
	done
}

@test "rule 4, output: into a pipe, killed between the last manifest and its rows: they come, once more at the most" {
	cp want.csv want
	for point in commit.append commit.delivered; do
		rm -rf ck got status points
		faulty "$point:1:kill" "--every 1h in.csv" "| cat >got"
		line "--every 1h in.csv" "| cat >>got"
		ends 0
		cmp want.csv <(awk '!seen[$0]++' got) || fail "$point: rows are lost"
		cp got before
		# handed over: now nothing more comes
		line "--every 1h in.csv" "| cat >>got"
		ends 0 "finished already"
		cmp before got
	done
	[ "$(wc -l <got)" -eq $((2 * $(wc -l <want.csv))) ] # it was not known that they had come
}

# ---- 5: side files ---------------------------------------------------------------------------------------

@test "rule 5, side files: --late, --reject and --else after kills and restores are byte for byte the same" {
	local i

	awk -F, 'NR == 1 { print; next } NR % 50 == 0 { printf "%.0f,%s,%d\n", $1 - 60000, $2, $3; next }
		NR % 97 == 0 { print "soon," $2 "," $3; next } { print }' in.csv >bad.csv
	bash -c "$by --on-error skip --reject reject.want k bad.csv | ffilter --else else.want 'v % 3 > 0' |
		fwindow tumble 10s --late late.want | freduce n=count 's=sum(v)' --ocsv" >want.side
	wc -l reject.want else.want late.want | awk '$1 < 50 { exit 1 }'
	mid="$by --icsv --on-error skip --reject reject.csv k | ffilter --else else.csv 'v % 3 > 0' |
		fwindow tumble 10s --late late.csv | freduce n=count 's=sum(v)'"
	for i in 1 3 2; do
		faulty "begin.barrier_sent:$i:all" "-- bash feed bad.csv" "-o out.csv" "$mid"
		# what is not of a checkpoint is cut back
		echo "never committed" | tee -a reject.csv else.csv late.csv >/dev/null
	done
	line "-- bash feed bad.csv" "-o out.csv" "$mid"
	ends 0
	cmp want.side out.csv
	cmp <(cut -d , -f 2- reject.want) <(cut -d , -f 2- reject.csv) # the first is the file
	cmp else.want else.csv
	cmp late.want late.csv
}

# ---- 6: sinks --------------------------------------------------------------------------------------------------

two='ffilter --uid pass "v >= 0" | tee >(fcheckpoint commit --uid second -o second.csv 2>second.said; echo $? >second.status)'

@test "rule 6, sinks: two, killed at any checkpoint: each has its results" {
	local i

	mid="$by --icsv k | tee >(ffilter 'v % 10 = 0' | fcheckpoint commit --uid few -o few.csv; echo \$? >few.status) | $sum"
	for i in 1 3; do
		faulty "begin.barrier_sent:$i:all" "--sinks 2 -- bash feed in.csv" "--uid main -o out.csv" "$mid"
	done
	rm -f few.status
	line "--sinks 2 -- bash feed in.csv" "--uid main -o out.csv" "$mid"
	ends 0
	until_true test -s few.status
	[ "$(cat few.status)" -eq 0 ]
	cmp want.csv out.csv
	cmp few.csv <(ffilter 'v % 10 = 0' in.csv --ocsv)
}

@test "rule 6, sinks: one more than --sinks is refused by name" {
	run timeout 20 bash -c "fcheckpoint begin -d ck in.csv | $by --icsv k | $two |
		fcheckpoint commit --uid main -o out.csv; code=\$?; sleep 0.3; exit \$code"
	cat second.said
	grep -q "78" second.status || [ "$status" -eq 78 ] || fail "$status, $(cat second.status): $output"
	{ echo "$output"; cat second.said; } | grep -F -- --sinks | grep -q "main\|second"
}

@test "rule 6, sinks: a region that ends without commit is refused" {
	run timeout 20 bash -c "fcheckpoint begin -d ck --every 5ms in.csv | $by --icsv k | $sum --ocsv >out.csv; exit \${PIPESTATUS[3]}"
	[ "$status" -ne 0 ] || fail "$output"
	assert_output --partial "fcheckpoint commit"
	[ ! -s out.csv ]
}

# ---- 7: sources --------------------------------------------------------------------------------------------------

# sources LEFT RIGHT: two sources, joined within two seconds; words of each begin.
sources() {
	line "--name left $1" "-o out.csv" "$by --icsv k | fjoin --between=-2s,2s <(
		fcheckpoint begin -d ck --every 5ms --name right $2 | $by --icsv k)"
}

@test "rule 7, sources: one that has ended beside a live one; leadership passes on; killed, it goes on" {
	local i left right

	awk -F, 'NR == 1 { print "ts,k,w"; next } NR % 20 == 0' in.csv | head -n 200 >few.csv
	for left in few in; do
		right=$([ "$left" = in ] && echo few || echo in)
		bash -c "$by k $left.csv | fjoin --between=-2s,2s <($by k $right.csv) --ocsv" >want.join
		[ "$(wc -l <want.join)" -gt 10 ]
		rm -rf ck out.csv
		set -- few.csv "-- bash feed in.csv"
		[ "$left" = few ] || set -- "$2" "$1"
		# at the second checkpoint the short source has ended
		for i in 2 2; do
			rm -f points
			(
				export FLUE_FAULT=commit.manifest.written:$i:all FLUE_FAULT_LOG=$PWD/points
				PATH=$FLUE_FAULT_BIN:$PATH
				setsid -w bash -c "$(declare -f line sources); by='$by'"'; sources "$@"' - "$@"
			) || true
			fired || fail "no fault at $i, $left: $(cat status said)"
		done
		sources "$@"
		ends 0
		cmp want.join out.csv
	done
}

@test "rule 7, sources: a name joins an attempt once" {
	run timeout 30 bash -c "fcheckpoint begin -d ck --name same -- bash -c 'cat in.csv; exec sleep 20' | $by --icsv k |
		fjoin --between=-2s,2s <(sleep 0.5; fcheckpoint begin -d ck --name same in.csv | $by --icsv k) |
		fcheckpoint commit -o out.csv"
	[ "$status" -eq 69 ] || fail "$status: $output"
	assert_output --partial "source same is already part of"
}

# two LATE WORDS: the same line over left.csv and right.csv, with WORDS for both sources; the
# one that is called LATE (left, right, none) begins when something is written to gate.
two() {
	timeout --foreground 60 bash -c '
		source() {
			[ "$1" != "$late" ] || read -r <gate
			exec fcheckpoint begin -d ck --every 5ms --name "$@"
		}
		late=$1 words=$2
		source left $words left.csv | '"$by"' --icsv k | fjoin --between=-2s,2s <(
			source right $words right.csv | '"$by"' --icsv k) |
			fcheckpoint commit -o out.csv
		echo "${PIPESTATUS[*]}" >status' - "$@" 2>said
}

# in_background FAULT LATE WORDS: that, with a fault, in a process group of its own: $group.
in_background() {
	FLUE_FAULT=$1 FLUE_FAULT_LOG=$PWD/points PATH=$FLUE_FAULT_BIN:$PATH setsid bash -c \
		"$(declare -f two); by='$by'"'; two "$@"' - "$2" "${3-}" 3>&- &
	group=$!
	pids+=("$group")
}

# two_inputs: left.csv and right.csv, and what their join is: want.join.
two_inputs() {
	head -n 2000 in.csv >left.csv
	awk -F, 'NR == 1 { print "ts,k,w"; next } NR % 7 == 0' left.csv >right.csv
	bash -c "$by k left.csv | fjoin --between=-2s,2s <($by k right.csv) --ocsv" >want.join
	[ "$(wc -l <want.join)" -gt 200 ]
}

@test "rule 7, sources: kept open, they pause at one place, whoever comes late or ends first" {
	local late round

	two_inputs
	cp left.csv all.left
	cp right.csv all.right
	mkfifo gate
	for round in 1 2 3 4 5 6 7; do
		for late in left right none; do
			rm -rf ck out.csv status
			head -n 900 all.left >left.csv
			head -n 150 all.right >right.csv
			two "$late" --keep-open &
			if [ "$late" != none ]; then
				until_true test -s ck/attempt
				sleep 0.2 # it has read all that it has
				echo >gate
			fi
			wait $!
			[ "$(cat status)" = "0 0 0 0" ] || fail "round $round, $late late: $(cat status said)"
			# nothing new for one of them
			head -n 1500 all.left >left.csv
			two none --keep-open
			[ "$(cat status)" = "0 0 0 0" ] || fail "again, $round, $late: $(cat status said)"
			cp all.left left.csv
			cp all.right right.csv
			two none
			[ "$(cat status)" = "0 0 0 0" ] || fail "at last, $round, $late: $(cat status said)"
			cmp want.join out.csv
		done
	done
}

@test "rule 7, sources: kept open, one that is at its end waits for the other, and may be stopped" {
	two_inputs
	cp left.csv all.left
	head -n 900 all.left >left.csv
	FLUE_FAULT_UID=left.begin-1 in_background begin.attempt:1:hold none --keep-open
	until_true fired
	until_true test -e ck/claims/a001-end.right
	let_go
	[ "$(cat status)" = "0 0 0 0" ] || fail "$(cat status said)"
	cp all.left left.csv
	rm status points
	FLUE_FAULT_UID=left.begin-1 in_background begin.attempt:1:hold none --keep-open
	until_true fired
	until_true test -e ck/claims/a002-end.right
	kill -TERM "$(pgrep -g "$group" -f '^fcheckpoint begin .*--name right')"
	let_go
	ends 75
	two none
	[ "$(cat status)" = "0 0 0 0" ] || fail "$(cat status said)"
	cmp want.join out.csv
}

begins() {
	pgrep -g "$group" -f '^fcheckpoint begin'
}

# one_held: one of two sources stands still.
one_held() {
	[ -n "$(held_pid)" ] && [ "$(begins | wc -l)" -eq 2 ]
}

@test "rule 7, sources: one that waits to enter ends with its reader, and is in nobody's way" {
	local round other

	two_inputs
	for round in {1..20}; do
		rm -rf ck out.csv status points
		# who leads stands still before the attempt has a number
		in_background attempt.begin:1:hold none
		until_true fired
		until_true one_held
		other=$(begins | grep -vx "$(held_pid)")
		for pid in $(pgrep -g "$group" | grep -vx "$other"); do
			kill -KILL "$pid" 2>/dev/null || true
		done
		two none
		[ "$(cat status)" = "0 0 0 0" ] || fail "round $round: $(cat status said)"
		cmp want.join out.csv
		wait "$group" 2>/dev/null || true
	done
}

@test "rule 7, sources: any process killed, the same line at once: at the first try, or the second" {
	local i tries

	two_inputs
	for ((i = 0; i < 24; i++)); do
		rm -rf ck out.csv status points
		in_background none:1:none none
		until_true test -s ck/attempt
		# the i-th of those that live
		mapfile -t tools < <(pgrep -g "$group" -x 'f[a-z]*')
		[ "${#tools[@]}" -eq 0 ] || kill -KILL "${tools[i % ${#tools[@]}]}" 2>/dev/null || true
		for tries in 1 2 3; do
			two none
			[ "$(cat status)" != "0 0 0 0" ] || break
			[[ $(cat status) = *" 75" ]] || fail "round $i: $(cat status said)"
		done
		[ "$tries" -lt 3 ] || fail "round $i: $(cat status said)"
		cmp want.join out.csv
		wait "$group" 2>/dev/null || true
	done
}

@test "rule 7, sources: a stream from outside of the region is refused, naming begin" {
	run timeout 20 bash -c "fcheckpoint begin -d ck in.csv | $by --icsv k |
		fjoin --between=-2s,2s <($by k in.csv) | fcheckpoint commit -o out.csv"
	[ "$status" -eq 64 ] || [ "$status" -eq 78 ] || fail "$status: $output"
	assert_output --partial "begin"
}

@test "rule 7, sources: records of one come before another has told its columns, also after a restore" {
	# begin gives raw text, which funion decodes: its columns come with its first records
	cat >later <<-'END'
		until [ -e go ]; do sleep 0.05; done
		head -n 10001 "$1"
		sleep 0.3
		exec tail -n +10002 "$1"
	END
	union="funion ${by#fkeyby} --icsv - <(fcheckpoint begin -d ck --every 5ms --name fast half.csv | $by --icsv k)"
	begin="--name slow -- bash later in.csv"
	bash -c "funion ${by#fkeyby} in.csv <($by k half.csv) --ocsv" >want.union
	let_it() { sleep 0.7; touch go; }

	let_it &
	line "$begin" "-o out.csv" "$union"
	ends 0
	cmp want.union out.csv

	rm -rf ck out.csv
	FLUE_FAULT_UID=slow.begin-1 faulty begin.end:1:all "$begin" "-o out.csv" "$union"
	complete
	rm go
	let_it &
	line "$begin" "-o out.csv" "$union"
	ends 0
	cmp want.union out.csv
}

# ---- 8: input identity -----------------------------------------------------------------------------------------

@test "rule 8, input: edited, replaced, shortened: 78, and the output is not touched" {
	local what

	for what in first before replaced shortened gone; do
		rm -rf ck out.csv log.csv status
		stopped_job
		cp out.csv before
		case $what in
		first) printf X | dd of=log.csv bs=1 seek=9 conv=notrunc status=none ;;
		before) printf X | dd of=log.csv bs=1 seek=$(($(stat -Lc %s half.csv) - 100)) conv=notrunc status=none ;;
		replaced) cp log.csv copy && mv copy log.csv ;;
		shortened) truncate -s 5000 log.csv ;;
		gone) rm log.csv ;;
		esac
		line log.csv
		if [ "$what" = gone ]; then
			ends 66 log.csv
		else
			ends 78 log.csv
		fi
		cmp out.csv before
	done
}

@test "rule 8, input: files may be added at the end of the list, not before" {
	{ head -n 1 in.csv; cat rest.csv; } >second.csv
	line "--keep-open half.csv"
	ends 0
	cp -r ck saved && cp out.csv saved.csv
	line "second.csv half.csv"
	ends 78
	cmp out.csv saved.csv
	exact "half.csv second.csv"
}

# ---- 9: after the end ---------------------------------------------------------------------------------------------

@test "rule 9, end: the same line again: one message, 0; with a grown input 78, with advice" {
	cp in.csv log.csv
	line log.csv
	ends 0
	line log.csv
	ends 0
	[ "$(wc -l <said)" -eq 1 ]
	cmp want.csv out.csv
	echo 1800000000000,key1,1 >>log.csv
	line log.csv
	ends 78 --keep-open
	cmp want.csv out.csv
}

@test "rule 9, end: the same line with two sources again: none waits for what does not come" {
	local best=9999 begun ms

	two_inputs
	two none
	[ "$(cat status)" = "0 0 0 0" ] || fail "$(cat status said)"
	for _ in 1 2 3; do
		begun=$(date +%s%3N)
		two none
		ms=$(($(date +%s%3N) - begun))
		[ "$(cat status)" = "0 0 0 0" ] || fail "$(cat status said)"
		best=$((ms < best ? ms : best))
	done
	[ "$best" -lt 1500 ] || fail "it takes $best ms"
	cmp want.join out.csv
}

@test "rule 9, end: --keep-open five times over a growing log equals one run" {
	local i

	head -n 1 in.csv >log.csv
	for i in 1 2 3 4 5; do
		# not at a line's end
		tail -n +2 in.csv | head -c "$((i * 73001))" | tail -c 73001 >>log.csv
		line "--keep-open log.csv"
		[ "$(cat status)" = "0 0 0 0 0" ] || fail "run $i: $(cat status said)"
		cmp -n "$(stat -c %s out.csv)" want.csv out.csv
	done
	[ "$(stat -c %s out.csv)" -gt 1000 ]
	tail -n +2 in.csv | tail -c "+$((5 * 73001 + 1))" >>log.csv
	cmp log.csv in.csv
	exact log.csv
}

# ---- 10: going back --------------------------------------------------------------------------------------------------

@test "rule 10, back: rewind cuts the output; a line never does, and then gives the same" {
	line "--retain 50 -- bash feed in.csv"
	ends 0
	ids=$(fcheckpoint list ck --ocsv | awk -F, '$3 == "checkpoint" { print $1 }')
	[ "$(wc -w <<<"$ids")" -ge 2 ] || fail "only $(wc -w <<<"$ids") checkpoints"
	for id in $(sort -rn <<<"$ids"); do
		run -0 fcheckpoint rewind "ck@$id"
		cmp -n "$(stat -c %s out.csv)" want.csv out.csv
	done
	exact "-- bash feed in.csv"
}

# ---- 11: a full disk ------------------------------------------------------------------------------------------------------

# full MIB WORDS…: run with ck on a small disk that is full, then with room on it.
@test "rule 11, disk: full, 74 or abandoned, never a wrong output; with room the line goes on" {
	unshare -rm true 2>/dev/null || skip "no user namespaces"
	cat >inside.sh <<-'END'
		mkdir small && mount -t tmpfs -o size=$1 tmpfs small || exit 99
		for i in 1 2 3; do
			line "$2" "-o out.csv" | cat
			cat status said >>tries
			[ ! -e out.csv ] || cmp -n "$(stat -c %s out.csv)" want.csv out.csv || exit 1
			[ ! -e out.csv ] || [ "$(stat -c %s out.csv)" -le "$(stat -c %s want.csv)" ] || exit 2
		done
		mount -o remount,size=100m small
		line "$2" "-o out.csv"
		cat status said >>tries
		[ "$(cat status)" = "0 0 0 0 0" ] || exit 3
		cmp want.csv out.csv || exit 4
	END
	local size

	for size in 16k 48k 64k 96k 150k 250k; do
		rm -rf small out.csv status tries
		run unshare -rm bash -c "$(declare -f line | sed 's|-d ck|-d small/ck|'); by='$by' sum='$sum'; . ./inside.sh" \
			inside "$size" "in.csv"
		[ "$status" -ne 99 ] || skip "no tmpfs in a user namespace"
		[ "$status" -eq 0 ] || fail "size $size: $status $output $(cat tries)"
		# each message names its tool
		! grep -v -e '^[0-9 ]*$' -e '^f[a-z ]*: ' tries || fail "size $size: $(cat tries)"
		for code in $(grep '^[0-9 ]*$' tries); do
			case $code in 0 | 73 | 74 | 75 | 141) ;; *) fail "size $size: exit $code: $(cat tries)" ;; esac
		done
		grep -q "No space\|73\|74\|75" tries || [ "$size" = 250k ] || fail "size $size was not full: $(cat tries)"
	done
}

# ---- restore: what fits, and what does not --------------------------------------------------------------------------------

# changed MIDDLE [BEGIN [COMMIT]]: a job stops at the half, goes on as another line.
changed() {
	line "${2-} log.csv" "${3--o out.csv}" "$1"
}

@test "changed line: a filter that was added works, and renames nobody" {
	stopped_job
	changed "$by --icsv k | ffilter 'v % 2 = 0' | $sum"
	ends 0
	awk -F, 'NR <= 10001 || $3 % 2 == 0' in.csv >even.csv
	cmp <(bash -c "$by k even.csv | $sum --ocsv") out.csv
}

@test "changed line: another list of aggregates works" {
	stopped_job "-o out.csv --ojsonl"
	changed "$by --icsv k | fwindow tumble 10s | freduce n=count 's=sum(v)' 'm=max(v)'" "" "-o out.csv --ojsonl"
	ends 0
	# windows that were open at the change have all of n, those after it all
	cmp <(bash -c "$by k in.csv | fwindow tumble 10s | freduce n=count --ojsonl" | grep -o '"window_start.*"n":[0-9]*') \
		<(grep -o '"window_start.*"n":[0-9]*' out.csv)
	cmp <(bash -c "$by k in.csv | fwindow tumble 10s | freduce n=count 's=sum(v)' 'm=max(v)' --ojsonl" | tail -n 300) \
		<(tail -n 300 out.csv)
}

@test "changed line: another lateness works" {
	stopped_job
	changed "$by --icsv k | fwindow tumble 10s --lateness 5s | freduce n=count 's=sum(v)'"
	ends 0
	cmp want.csv out.csv
}

@test "changed line: another key, another window: 78, both sides are named" {
	stopped_job
	changed "$by --icsv v | $sum"
	ends 78
	changed "$by --icsv k | fwindow tumble 20s | freduce n=count 's=sum(v)'"
	ends 78
	grep -q "10s\|10000" said && grep -q "20s\|20000" said || fail "not both: $(cat said)"
	changed "$by --icsv k | fwindow session 10s | freduce n=count 's=sum(v)'"
	ends 78
	exact log.csv
}

@test "changed line: an operator that was dropped: 78, unless --allow-dropped-state" {
	cp half.csv log.csv
	line "--keep-open log.csv" "-o out.csv" "$by --icsv k | fdedup --within 1ms | $sum"
	ends 0
	cat rest.csv >>log.csv
	changed "$by --icsv k | $sum"
	ends 78 --allow-dropped-state
	grep -q fdedup-1 said
	changed "$by --icsv k | $sum" --allow-dropped-state
	ends 0
}

@test "changed line: an operator or a sink that was dropped, of two sinks: 78, unless --allow-dropped-state" {
	cp half.csv log.csv
	few="tee >(ffilter 'v % 10 = 0' | fcheckpoint commit --uid few -o few.csv 2>few.said) |"
	line "--keep-open --sinks 2 log.csv" "--uid main -o out.csv" "$by --icsv k | fdedup --within 1ms | $few $sum"
	ends 0
	cat rest.csv >>log.csv
	cp out.csv before
	line "--sinks 2 log.csv" "--uid main -o out.csv" "$by --icsv k | $few $sum"
	cat few.said >>said
	[[ " $(cat status) " = *" 78 "* ]] || grep -q "fdedup" few.said || fail "$(cat status said)"
	grep -q "has state of fdedup-1, but this line (begin-1, fkeyby-1, .* has no such" said || fail "$(cat said)"
	grep -q -e --allow-dropped-state said
	cmp before out.csv
	line "log.csv" "--uid main -o out.csv" "$by --icsv k | fdedup --within 1ms | $sum"
	ends 78 "has state of few"
	cmp before out.csv
	line "--sinks 2 --allow-dropped-state log.csv" "--uid main -o out.csv" "$by --icsv k | $few $sum"
	ends 0
}

@test "fcat --final in a region: its table is state, printed at the end" {
	head -n 2001 in.csv >all.csv
	table='fkeyby --icsv k | freduce --updates n=count "l=last(v)" | fcat --final'
	bash -c "cat all.csv | $table --ocsv" >want.final
	head -n 900 all.csv >log.csv
	for i in 1 2; do
		line "--keep-open log.csv" "-o out.csv" "$table"
		ends 0
		[ ! -s out.csv ]
		head -n 1500 all.csv >log.csv
	done
	run -0 fcheckpoint show ck fcat-1 --ocsv
	assert_line --regexp '^table,1,"\{""k"":""key[0-9]+"",""n"":[0-9]+,""l"":[0-9]+\}",1,8$'
	line log.csv "-o out.csv" "$table | ffilter true"
	ends 0
	line log.csv "-o out.csv" "$table"
	ends 0 "finished already"
	cmp <(bash -c "cat log.csv | $table --ocsv") out.csv

	# where the columns are others it does not fit; without --final nothing is kept
	rm -rf ck out.csv status
	line "--keep-open log.csv" "-o out.csv" "$table"
	cp all.csv log.csv
	line log.csv "-o out.csv" "${table/l=last/m=last}"
	ends 78 "k,n,l"
	line log.csv "-o out.csv" "${table% --final}"
	ends 78 --final
	line log.csv "-o out.csv" "$table"
	ends 0
	cmp want.final out.csv
}

@test "changed line: a converter that was added keeps nothing, and is welcome" {
	stopped_job
	changed "$by --icsv k | fcat | $sum"
	ends 0
	cmp want.csv out.csv
}

# ---- stopping ----------------------------------------------------------------------------------------------------------------

# stop_one SIGNAL PATTERN: a running line is stopped by a signal to one of its tools.
stop_one() {
	rm -rf ck out.csv status
	NAP=0.5 background none:1:none "-- bash feed in.csv"
	until_true complete
	kill "-$1" "$(pgrep -g "$group" -f "$2" | head -n 1)"
	until_true test -s status
	wait "$group" || true
}

@test "stop: SIGTERM to begin, a tool in the middle, or commit: a savepoint, 75, and on" {
	local who

	for who in "^fcheckpoint begin" "^freduce" "^fkeyby" "^fcheckpoint commit"; do
		stop_one TERM "$who"
		ends 75
		fcheckpoint list ck --ocsv | grep -q savepoint || fail "$who: no savepoint"
		cmp -n "$(stat -c %s out.csv)" want.csv out.csv
		NAP=0 exact "-- bash feed in.csv"
	done
}

# ctrl_c: to all tools of the line, as a terminal does; jobs of a script ignore SIGINT if
# nobody says otherwise.
ctrl_c() {
	pgrep -g "$group" -x 'f[a-z]*' | while read -r pid; do
		kill -INT "$pid" 2>/dev/null || true
	done
}

@test "stop: Ctrl-C once: a savepoint, 130; twice: at once" {
	NAP=0.5 background none:1:none "-- bash feed in.csv"
	until_true complete
	ctrl_c
	until_true test -s status
	ends 130
	fcheckpoint list ck --ocsv | grep -q savepoint
	NAP=0 exact "-- bash feed in.csv"

	rm -rf ck out.csv status points
	# nothing can become complete: one operator stands still
	NAP=0.3 FLUE_FAULT_UID=fwindow-1 background state.create:2:hold "-- bash feed in.csv"
	until_true fired
	ctrl_c
	sleep 0.3
	ctrl_c
	let_go
	grep -q 130 status || fail "$(cat status said)"
	NAP=0 exact "-- bash feed in.csv"
}

@test "stop: savepoint --stop and --drain" {
	cp half.csv log.csv
	background none:1:none "--follow log.csv"
	until_true complete
	run -0 timeout 10 fcheckpoint savepoint ck --stop
	wait "$group" || true
	ends 75
	cat rest.csv >>log.csv
	rm status
	background none:1:none "--follow log.csv"
	until_true test "$(complete | wc -l)" -gt 1
	sleep 0.5
	run -0 timeout 10 fcheckpoint savepoint ck --drain
	wait "$group" || true
	ends 0
	cmp want.csv out.csv
}
