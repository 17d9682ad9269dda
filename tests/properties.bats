#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# What holds for every input: results depend on the rows and their order alone, not
# on the format, on how the bytes arrive, or on tools in between; within the bound of
# the watermark not on the order either; and they are those of awk programs that do
# the windows by hand.

load helper

setup_file() {
	export SCRATCH=$BATS_FILE_TMPDIR

	in_order 20261121 4000 >"$SCRATCH/in-order.csv"
	shuffle 1 5000 "$SCRATCH/in-order.csv" >"$SCRATCH/shuffled.csv"
	# Rows up to 40 s out of order, for a watermark of 5 s: many are late.
	shuffle 2 40000 "$SCRATCH/in-order.csv" >"$SCRATCH/late.csv"
}

teardown() {
	[ -z "${source_pid:-}" ] || kill "$source_pid" 2>/dev/null || true
}

# in_order SEED ROWS: events of 40 users, some busy, with pauses, in the order of time.
in_order() {
	awk -v seed="$1" -v rows="$2" 'BEGIN {
		srand(seed)
		print "ts,user,bytes,cost"
		t = 1795255200000
		for (i = 0; i < rows; i++) {
			t += int(rand() * 400)
			if (rand() < 0.005)
				t += 45000
			printf "%.0f,u%d,%d,%.2f\n", t, int(40 * rand() * rand()),
				int(rand() * 100000) - 1000, rand() * 100
		}
	}'
}

# shuffle SEED BOUND FILE: rows out of order by less than BOUND ms.
shuffle() {
	head -n 1 "$3"
	tail -n +2 "$3" |
		awk -F , -v seed="$1" -v bound="$2" '
			BEGIN { srand(seed) }
			{ printf "%.0f %s\n", $1 + int(rand() * bound), $0 }' |
		sort -s -n -k 1,1 |
		cut -d ' ' -f 2-
}

# Windows over standard input or a file: reduce WINDOW [FORMAT AND FILE…].
# All aggregates but those that go by arrival.
reduce() {
	local window=$1

	shift
	# shellcheck disable=SC2086 # the window is several words
	fkeyby --time ts --watermark 5s user "$@" |
		fwindow $window |
		freduce n=count 'bytes=sum(bytes)' 'least=min(bytes)' 'most=max(bytes)' \
			'cost=sum(cost)' 'mean=avg(cost)' 'costs=count(distinct cost)' \
			'mid=median(bytes)' 'p=p90(bytes)' --ocsv --otime epoch-ms
}

# The same with aggregates that go by arrival too.
reduce_by_arrival() {
	local window=$1

	shift
	# shellcheck disable=SC2086
	fkeyby --time ts --watermark 5s user "$@" |
		fwindow $window |
		freduce n=count 'bytes=sum(bytes)' 'one=first(bytes)' 'end=last(bytes)' \
			"all=string_agg(bytes, ' ')" --ocsv --otime epoch-ms
}

windows=("tumble 10s" "slide 30s 10s" "slide 25s 10s" "session 1500ms" "cumulate 1m 20s")

same() { # FILE FILE: and not empty
	[ "$(wc -l <"$1")" -gt 10 ] || {
		echo "$1 has hardly any rows:"
		cat "$1"
		return 1
	}
	cmp "$1" "$2" || {
		diff -u "$1" "$2" | head -n 20
		return 1
	}
}

# by_hand SIZE SLIDE WATERMARK-DELAY FILE: count and sum per user and sliding (or
# tumbling) window, as rows fire; the number of late rows into the file "late-by-hand".
# The rule: before each record the watermark is the greatest time - delay - 1; a window
# [start, end) takes records while the watermark is below end - 1.
by_hand() {
	awk -v CONVFMT=%.17g -F , -v size="$1" -v slide="$2" -v delay="$3" '
		# Fire all windows that end at or before wm + 1, by their end.
		function fire(wm,    start, i, key) {
			for (start = oldest; start <= newest && start + size - 1 <= wm; start += slide) {
				for (i = 1; i <= keys[start]; i++) {
					key = start SUBSEP order[start, i]
					printf "%.0f,%.0f,%s,%d,%.0f\n", start, start + size,
						order[start, i], n[key], sum[key]
					delete n[key]
					delete sum[key]
					delete order[start, i]
				}
				delete keys[start]
			}
			if (start > oldest)
				oldest = start
		}
		function add(start, user, bytes,    key) {
			key = start SUBSEP user
			if (!(key in n)) {
				order[start, ++keys[start]] = user
				if (start > newest)
					newest = start
			}
			n[key]++
			sum[key] += bytes
		}
		NR == 1 {
			print "window_start,window_end,user,n,bytes"
			next
		}
		NR == 2 {
			greatest = $1
			wm = -1
			oldest = int($1 / slide) * slide - 100 * (size + slide)
		}
		{
			taken = 0
			last = int($1 / slide) * slide
			for (start = last; start > $1 - size; start -= slide) {
				if (start + size - 1 > wm) {
					add(start, $2, $3)
					taken = 1
				}
			}
			if (!taken)
				late++
			if (NR == 2 || $1 > greatest)
				greatest = $1
			wm = greatest - delay - 1
			fire(wm)
		}
		END {
			fire(newest + size)
			print late + 0 >"late-by-hand"
		}' "$4"
}

# check_by_hand SIZE SLIDE WINDOW FILE: the tools against awk, late rows too.
check_by_hand() {
	cd "$BATS_TEST_TMPDIR" || return
	by_hand "$1" "$2" 5000 "$4" >want
	# shellcheck disable=SC2086
	fkeyby --time ts --watermark 5s user "$4" |
		fwindow $3 --late late.csv |
		freduce n=count 'bytes=sum(bytes)' --ocsv --otime epoch-ms >got 2>messages
	same want got
	if [ "$(cat late-by-hand)" -eq 0 ]; then
		[ ! -s messages ]
		return
	fi
	grep -E "(^|[^0-9])$(cat late-by-hand) .*late" messages
	[ "$(tail -n +2 late.csv | wc -l)" -eq "$(cat late-by-hand)" ]
}

@test "tumbling windows: as counted by hand in awk" {
	check_by_hand 10000 10000 "tumble 10s" "$SCRATCH/in-order.csv"
	check_by_hand 10000 10000 "tumble 10s" "$SCRATCH/shuffled.csv"
}

@test "tumbling windows with late rows: as counted by hand in awk" {
	check_by_hand 10000 10000 "tumble 10s" "$SCRATCH/late.csv"
	[ "$(cat "$BATS_TEST_TMPDIR/late-by-hand")" -gt 100 ]
}

@test "sliding windows: as counted by hand in awk" {
	check_by_hand 30000 10000 "slide 30s 10s" "$SCRATCH/shuffled.csv"
	check_by_hand 25000 10000 "slide 25s 10s" "$SCRATCH/shuffled.csv"
}

@test "sliding windows with late rows: as counted by hand in awk" {
	check_by_hand 30000 10000 "slide 30s 10s" "$SCRATCH/late.csv"
	[ "$(cat "$BATS_TEST_TMPDIR/late-by-hand")" -gt 10 ]
	check_by_hand 25000 10000 "slide 25s 10s" "$SCRATCH/late.csv"
}

@test "sessions: as cut by hand in awk" {
	cd "$BATS_TEST_TMPDIR"
	tail -n +2 "$SCRATCH/shuffled.csv" | sort -t , -k 2,2 -k 1,1n |
		awk -F , -v gap=1500 '
			function end() {
				if (n)
					printf "%.0f,%.0f,%s,%d,%.0f\n", first, last + gap, user, n, sum
			}
			$2 != user || $1 > last + gap {
				end()
				user = $2
				first = $1
				n = sum = 0
			}
			{ last = $1; n++; sum += $3 }
			END { end() }' | sort -t , -k 2,2n -k 1,1n -k 3,3 >want
	fkeyby --time ts --watermark 5s user "$SCRATCH/shuffled.csv" |
		fwindow session 1500ms |
		freduce n=count 'bytes=sum(bytes)' --ocsv --otime epoch-ms \
			--headerless-csv-output >got
	# By end, then start, as it stands; sessions alike in both come in any order here.
	sort -s -t , -k 2,2n -k 1,1n got | cmp - got
	sort -t , -k 2,2n -k 1,1n -k 3,3 got >sorted
	same want sorted
}

@test "any order within the watermark's bound gives the same rows" {
	local seed window

	cd "$BATS_TEST_TMPDIR"
	for window in "${windows[@]}"; do
		reduce "$window" "$SCRATCH/in-order.csv" | sort >want
		for seed in 11 12 13; do
			shuffle "$seed" 5000 "$SCRATCH/in-order.csv" >in.csv
			reduce "$window" in.csv 2>messages | sort >got
			same want got
			[ ! -s messages ]
		done
	done
}

@test "any order within the bound gives the same bytes where one key is" {
	local seed

	cd "$BATS_TEST_TMPDIR"
	fwindow slide 25s 10s --time ts --watermark 5s "$SCRATCH/in-order.csv" |
		freduce n=count 'cost=sum(cost)' --ocsv >want
	for seed in 21 22 23; do
		shuffle "$seed" 5000 "$SCRATCH/in-order.csv" >in.csv
		fwindow slide 25s 10s --time ts --watermark 5s in.csv |
			freduce n=count 'cost=sum(cost)' --ocsv >got
		same want got
	done
}

@test "JSON lines give the same bytes as CSV" {
	local window

	cd "$BATS_TEST_TMPDIR"
	fcat --icsv --ojsonl "$SCRATCH/late.csv" >in.jsonl
	for window in "${windows[@]}"; do
		reduce "$window" "$SCRATCH/late.csv" >want
		reduce "$window" in.jsonl >got
		same want got
		reduce_by_arrival "$window" "$SCRATCH/late.csv" >want
		reduce_by_arrival "$window" in.jsonl >got
		same want got
	done
}

@test "there and back between CSV and JSON lines changes nothing" {
	cd "$BATS_TEST_TMPDIR"
	fcat --icsv --ojsonl "$SCRATCH/late.csv" >in.jsonl
	fcat --ijsonl --ocsv in.jsonl >back.csv
	same "$SCRATCH/late.csv" back.csv
}

@test "how the bytes arrive changes nothing" {
	local window

	cd "$BATS_TEST_TMPDIR"
	for window in "${windows[@]}"; do
		reduce_by_arrival "$window" "$SCRATCH/late.csv" >want 2>messages
		# shellcheck disable=SC2002 # a pipe is the point
		cat "$SCRATCH/late.csv" | reduce_by_arrival "$window" >got 2>messages-cat
		same want got
		cmp messages messages-cat
		for size in 7 61 4096; do
			dd if="$SCRATCH/late.csv" bs="$size" status=none |
				reduce_by_arrival "$window" >got 2>messages-dd
			same want got
			cmp messages messages-dd
		done
	done
}

# before_bad COMMAND…: it fails at a bad row of its input, with what is right before the row
# already written, in however many pieces the input came.
before_bad() {
	local size

	for size in 1 7 4096; do
		"$@" <rows.csv >want 2>messages-want && return 1
		# What dd says when its reader ends first does not matter.
		dd if=rows.csv bs="$size" 2>/dev/null | "$@" >got 2>messages && return 1
		cmp messages-want messages
		same want got
	done
}

@test "a bad row ends the output at the same place however the bytes arrive" {
	cd "$BATS_TEST_TMPDIR"
	{
		head -n 100 "$SCRATCH/in-order.csv"
		echo "late,u1,many,0.5"
		tail -n +101 "$SCRATCH/in-order.csv" | head -n 100
	} >rows.csv
	before_bad ffilter --icsv --ocsv 'bytes + 1 > -10000'
	before_bad fmap --icsv --ocsv 'half=bytes / 2'
	before_bad fkeyby --icsv --ocsv --time ts user
	before_bad freduce --icsv --ocsv --updates 'sum=sum(bytes)'
}

@test "tools in between that change nothing change nothing" {
	local window

	cd "$BATS_TEST_TMPDIR"
	for window in "${windows[@]}"; do
		reduce_by_arrival "$window" "$SCRATCH/late.csv" >want
		# shellcheck disable=SC2086
		fcat --time ts --watermark 5s "$SCRATCH/late.csv" |
			ffilter true |
			fkeyby user |
			fmap half='bytes / 2' |
			fwindow $window |
			fcat |
			freduce n=count 'bytes=sum(bytes)' 'one=first(bytes)' 'end=last(bytes)' \
				"all=string_agg(bytes, ' ')" |
			fcat --ocsv --otime epoch-ms >got
		same want got
	done
}

@test "a filter keeps the watermarks of the rows that it drops" {
	cd "$BATS_TEST_TMPDIR"
	# Late is late by all the rows: the oracle sees them, and drops those of others itself.
	by_hand 10000 10000 5000 "$SCRATCH/late.csv" | grep -E ',u1,|user' >want
	fcat --time ts --watermark 5s "$SCRATCH/late.csv" |
		ffilter "user = 'u1'" |
		fkeyby user |
		fwindow tumble 10s |
		freduce n=count 'bytes=sum(bytes)' --ocsv --otime epoch-ms >got
	same want got
}

# wait_until SECONDS COMMAND…: until it succeeds.
wait_until() {
	local end=$((SECONDS + $1))

	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || {
			echo "waited in vain for: $*"
			return 1
		}
		sleep 0.05
	done
}

lines_at_least() { # FILE N
	[ "$(wc -l <"$1")" -ge "$2" ]
}

@test "a growing file under tail -F gives the same bytes, and results while it grows" {
	local part pipeline_pid

	cd "$BATS_TEST_TMPDIR"
	reduce_by_arrival "tumble 10s" "$SCRATCH/late.csv" >want 2>messages

	mkfifo lines
	head -n 1 "$SCRATCH/late.csv" >growing.csv
	tail -F -n +1 growing.csv >lines 2>/dev/null 3>&- &
	source_pid=$!
	tee seen <lines | reduce_by_arrival "tumble 10s" >got 2>messages-got 3>&- &
	pipeline_pid=$!

	tail -n +2 "$SCRATCH/late.csv" | split -l 700 - part.
	for part in part.*; do
		# Not at a line's end: a row may come in two halves.
		head -c 1000 "$part" >>growing.csv
		sleep 0.1
		tail -c +1001 "$part" >>growing.csv
	done
	wait_until 10 cmp -s growing.csv seen
	# All but the windows that still wait for the watermark are there already.
	wait_until 10 lines_at_least got $(($(wc -l <want) - 60))
	[ "$(wc -l <got)" -lt "$(wc -l <want)" ]

	kill "$source_pid"
	wait "$pipeline_pid"
	same want got
	cmp messages messages-got
}
