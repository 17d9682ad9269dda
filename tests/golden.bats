#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# The cases of tests/golden, whose README.md says what their files are. A case is
# registered by one line at the end; the first test finds those that are not.

load helper

golden_dir=$BATS_TEST_DIRNAME/golden

# golden CASE: run it in all its forms.
golden() {
	local form forms

	forms=$(sed -n 's/^# forms: //p' "$golden_dir/$1/cmd")
	for form in ${forms:-csv jsonl slow}; do
		run_form "$1" "$form"
	done
}

# run_form CASE FORM: in a scratch copy; fails showing what differs.
run_form() {
	local want=0 got=0 scratch=$BATS_TEST_TMPDIR/$2
	local stdout=$scratch.stdout stderr=$scratch.stderr

	cp -R "$golden_dir/$1" "$scratch"
	chmod -R u+w "$scratch"
	cd "$scratch" || return
	[ ! -e status ] || want=$(cat status)
	feed_form "$2" >"$stdout" 2>"$stderr" || got=$?
	diff -u --label expected --label "$2" out "$stdout" || {
		cat "$stderr"
		return 1
	}
	check_stderr "$2" err "$stderr"
	[ "$got" -eq "$want" ] || {
		echo "$2: exit status $got, expected $want"
		return 1
	}
}

# feed_form FORM: run ./cmd with its input in that form.
feed_form() {
	local input=in.csv format=--icsv

	[ -e in.csv ] || input=in.jsonl format=--ijsonl
	case $1 in
	csv)
		IN=in.csv timeout 20 bash -e cmd </dev/null
		;;
	jsonl)
		[ -e in.jsonl ] || fcat --icsv --ojsonl in.csv >in.jsonl || return
		IN=in.jsonl timeout 20 bash -e cmd </dev/null
		;;
	slow)
		# What dd says if its reader has gone is not what is tested.
		dd bs=1 status=none if="$input" 2>/dev/null |
			IN="$format -" timeout 20 bash -e cmd
		;;
	esac
}

# check_stderr FORM PATTERNS FILE: each pattern matches a line, each line a pattern.
check_stderr() {
	local pattern

	if [ ! -e "$2" ]; then
		[ ! -s "$3" ] || {
			echo "$1: unexpected on standard error:"
			cat "$3"
			return 1
		}
		return 0
	fi
	while IFS= read -r pattern; do
		grep -Eq -e "$pattern" "$3" || {
			echo "$1: no line of standard error matches $pattern:"
			cat "$3"
			return 1
		}
	done <"$2"
	if grep -Ev -f "$2" "$3"; then
		echo "$1: unexpected on standard error, see above"
		return 1
	fi
}

@test "every folder of tests/golden is registered here" {
	diff -u --label registered --label folders \
		<(sed -n 's/^@test "golden: \(.*\)" { golden .*/\1/p' "$BATS_TEST_FILENAME" | sort) \
		<(find "$golden_dir" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort)
}

@test "golden: count-slide" { golden count-slide; }
@test "golden: count-slide-above-size" { golden count-slide-above-size; }
@test "golden: cumulate-behind" { golden cumulate-behind; }
@test "golden: delay-datastream" { golden delay-datastream; }
@test "golden: evict-before-drops-state" { golden evict-before-drops-state; }
@test "golden: evict-count-zero" { golden evict-count-zero; }
@test "golden: evict-time" { golden evict-time; }
@test "golden: fsort-by" { golden fsort-by; }
@test "golden: fsort-by-nulls" { golden fsort-by-nulls; }
@test "golden: fsort-time" { golden fsort-time; }
@test "golden: global-count" { golden global-count; }
@test "golden: join-cogroup-tumble" { golden join-cogroup-tumble; }
@test "golden: join-interval-both-negative" { golden join-interval-both-negative; }
@test "golden: join-interval-both-positive" { golden join-interval-both-positive; }
@test "golden: join-interval-empty-exclusive" { golden join-interval-empty-exclusive; }
@test "golden: join-interval-exclusive" { golden join-interval-exclusive; }
@test "golden: join-interval-late" { golden join-interval-late; }
@test "golden: join-interval-lower-above-upper" { golden join-interval-lower-above-upper; }
@test "golden: join-session" { golden join-session; }
@test "golden: join-slide" { golden join-slide; }
@test "golden: join-sql-interval-join-full" { golden join-sql-interval-join-full; }
@test "golden: join-sql-interval-join-inner" { golden join-sql-interval-join-inner; }
@test "golden: join-sql-interval-join-strict" { golden join-sql-interval-join-strict; }
@test "golden: join-sql-temporal-join" { golden join-sql-temporal-join; }
@test "golden: join-sql-temporal-join-left" { golden join-sql-temporal-join-left; }
@test "golden: join-sql-window-join-anti" { golden join-sql-window-join-anti; }
@test "golden: join-sql-window-join-inner" { golden join-sql-window-join-inner; }
@test "golden: join-sql-window-join-left" { golden join-sql-window-join-left; }
@test "golden: late-drop" { golden late-drop; }
@test "golden: late-side" { golden late-side; }
@test "golden: lateness-refire" { golden lateness-refire; }
@test "golden: lateness-refire-updates" { golden lateness-refire-updates; }
@test "golden: out-of-order" { golden out-of-order; }
@test "golden: rjoin-anti" { golden rjoin-anti; }
@test "golden: rjoin-cross" { golden rjoin-cross; }
@test "golden: rjoin-full-retract" { golden rjoin-full-retract; }
@test "golden: rjoin-inner" { golden rjoin-inner; }
@test "golden: rjoin-left-retract" { golden rjoin-left-retract; }
@test "golden: rjoin-nonequi" { golden rjoin-nonequi; }
@test "golden: rjoin-semi" { golden rjoin-semi; }
@test "golden: session-bridge" { golden session-bridge; }
@test "golden: session-late" { golden session-late; }
@test "golden: session-late-bridge" { golden session-late-bridge; }
@test "golden: session-merge-continuous" { golden session-merge-continuous; }
@test "golden: session-merge-refire" { golden session-merge-refire; }
@test "golden: session-overlap-fired" { golden session-overlap-fired; }
@test "golden: session-touch" { golden session-touch; }
@test "golden: session-trigger-count" { golden session-trigger-count; }
@test "golden: slide-behind" { golden slide-behind; }
@test "golden: slide-gaps" { golden slide-gaps; }
@test "golden: slide-negative-ts" { golden slide-negative-ts; }
@test "golden: slide-not-multiple" { golden slide-not-multiple; }
@test "golden: sql-avg-int-alone" { golden sql-avg-int-alone; }
@test "golden: sql-csv-empty-number" { golden sql-csv-empty-number; }
@test "golden: sql-csv-long-row" { golden sql-csv-long-row; }
@test "golden: sql-csv-short-row" { golden sql-csv-short-row; }
@test "golden: sql-cumulate" { golden sql-cumulate; }
@test "golden: sql-cumulate-not-multiple" { golden sql-cumulate-not-multiple; }
@test "golden: sql-dedup-first-proctime" { golden sql-dedup-first-proctime; }
@test "golden: sql-dedup-last-proctime" { golden sql-dedup-last-proctime; }
@test "golden: sql-delay" { golden sql-delay; }
@test "golden: sql-distinct" { golden sql-distinct; }
@test "golden: sql-division" { golden sql-division; }
@test "golden: sql-division-by-zero" { golden sql-division-by-zero; }
@test "golden: sql-group" { golden sql-group; }
@test "golden: sql-group-all-aggs" { golden sql-group-all-aggs; }
@test "golden: sql-group-global-retract" { golden sql-group-global-retract; }
@test "golden: sql-group-null-key" { golden sql-group-null-key; }
@test "golden: sql-group-retract-null" { golden sql-group-retract-null; }
@test "golden: sql-having" { golden sql-having; }
@test "golden: sql-hop-empty-slices" { golden sql-hop-empty-slices; }
@test "golden: sql-hop-gap" { golden sql-hop-gap; }
@test "golden: sql-hop-not-multiple" { golden sql-hop-not-multiple; }
@test "golden: sql-hop-not-multiple-rows" { golden sql-hop-not-multiple-rows; }
@test "golden: sql-json-bad" { golden sql-json-bad; }
@test "golden: sql-lag" { golden sql-lag; }
@test "golden: sql-nan-minmax" { golden sql-nan-minmax; }
@test "golden: sql-negative-ts" { golden sql-negative-ts; }
@test "golden: sql-null-rowtime" { golden sql-null-rowtime; }
@test "golden: sql-null-rowtime-skip" { golden sql-null-rowtime-skip; }
@test "golden: sql-over-nonpositive-ts" { golden sql-over-nonpositive-ts; }
@test "golden: sql-over-range" { golden sql-over-range; }
@test "golden: sql-over-range-unbounded" { golden sql-over-range-unbounded; }
@test "golden: sql-over-rows-unbounded" { golden sql-over-rows-unbounded; }
@test "golden: sql-session-late" { golden sql-session-late; }
@test "golden: sql-sum-bigint-overflow" { golden sql-sum-bigint-overflow; }
@test "golden: sql-sum-decimal" { golden sql-sum-decimal; }
@test "golden: sql-sum-double" { golden sql-sum-double; }
@test "golden: sql-sum-double-retract" { golden sql-sum-double-retract; }
@test "golden: sql-sum-tinyint" { golden sql-sum-tinyint; }
@test "golden: sql-top1" { golden sql-top1; }
@test "golden: sql-topn-null" { golden sql-topn-null; }
@test "golden: sql-topn-offset" { golden sql-topn-offset; }
@test "golden: sql-topn-updating" { golden sql-topn-updating; }
@test "golden: sql-tumble" { golden sql-tumble; }
@test "golden: sql-tumble-offset-too-big" { golden sql-tumble-offset-too-big; }
@test "golden: sql-upsert-input" { golden sql-upsert-input; }
@test "golden: sql-upsert-rows" { golden sql-upsert-rows; }
@test "golden: sql-upsert-text" { golden sql-upsert-text; }
@test "golden: sql-window-cascade" { golden sql-window-cascade; }
@test "golden: sql-window-dedup-last" { golden sql-window-dedup-last; }
@test "golden: sql-window-global" { golden sql-window-global; }
@test "golden: sql-window-null" { golden sql-window-null; }
@test "golden: sql-window-topn" { golden sql-window-topn; }
@test "golden: trigger-continuous" { golden trigger-continuous; }
@test "golden: trigger-continuous-purge" { golden trigger-continuous-purge; }
@test "golden: trigger-continuous-skip" { golden trigger-continuous-skip; }
@test "golden: trigger-count-purge" { golden trigger-count-purge; }
@test "golden: tumble-boundaries" { golden tumble-boundaries; }
@test "golden: tumble-negative-ts" { golden tumble-negative-ts; }
@test "golden: tumble-offset-negative" { golden tumble-offset-negative; }
@test "golden: tumble-offset-too-big" { golden tumble-offset-too-big; }
@test "golden: window-all" { golden window-all; }
