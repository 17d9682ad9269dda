# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What is set here is used there; and what is quoted is for the shell of a pipeline:
# shellcheck disable=SC2034,SC2016
#
# What tests/robust-*.bats share: how each tool is run, and pipelines whose statuses
# and messages are looked at. A new tool gets its line in words_of.

load helper

# Every statement about "each tool" is a loop over this. fjoin's FILE is not its input but
# the other side: it has tests/fjoin.bats. fcheckpoint is no filter: it has
# tests/begin.bats and tests/commit.bats; nor is fsource: tests/fsource.bats.
all_tools=${FLUE_TOOLS//fjoin/}
all_tools=${all_tools//fsource/}
read -ra all_tools <<<"${all_tools//fcheckpoint/}"
text_formats=(csv tsv jsonl pprint xtab md logfmt)

# words_of TOOL: sets words, what stands behind its name to run it on the columns
# ts,url,user,bytes, and the same for a shell to read, quoted_words. A tool that reads
# text of them is given "${of_text[@]}" too.
words_of() {
	case $1 in
	fcat) words=() ;;
	fdedup) words=() ;;
	ffilter) words=('bytes >= 0') ;;
	fkeyby) words=(url) ;;
	fmap) words=('twice=bytes * 2') ;;
	fover) words=('sofar=sum(bytes)') ;;
	frank) words=(3 --by 'bytes desc') ;;
	freduce) words=('n=count') ;;
	fsort) words=() ;;
	funion) words=() ;;
	fwindow) words=(tumble 1m) ;;
	*) fail "tests/robust.bash, words_of: say how $1 is run" ;;
	esac
	quoted_words=
	[ ${#words[@]} -eq 0 ] || printf -v quoted_words '%q ' "${words[@]}"
}
of_text=(--time ts --watermark 5s)

# make_clicks ROWS: CSV, in order of time, ten rows a second.
make_clicks() {
	awk -v rows="$1" 'BEGIN {
		print "ts,url,user,bytes"
		for (i = 0; i < rows; i++)
			printf "2026-11-21T%02d:%02d:%02d.%dZ,/p/%d,u%d,%d\n", 10 + int(i / 36000),
				int(i / 600) % 60, int(i / 10) % 60, i % 10, i % 7, i % 11, i
	}'
}

# piped SCRIPT: runs a pipeline, for 20 s at most. Sets statuses, and leaves what was
# printed in the files out and err of the test's directory.
piped() {
	local status=0

	timeout 20 bash -c "$1"'
		echo "${PIPESTATUS[*]}" >"$0"' "$BATS_TEST_TMPDIR/statuses" \
		>"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/all" || status=$?
	[ "$status" -ne 124 ] || fail "not ended after 20 seconds: $1"
	# What the shell says about a process that was killed is not a message of ours.
	grep -v ' Killed ' "$BATS_TEST_TMPDIR/all" >"$BATS_TEST_TMPDIR/err" || true
	statuses=$(cat "$BATS_TEST_TMPDIR/statuses")
}

# message FILE: what it says, without the place in an expression that is shown under it.
message() { grep -v '^  ' "$1"; }

# expect STATUSES PATTERN: of the pipeline that ran; PATTERN describes the one message,
# or is empty: there must be none.
expect() {
	local err=$BATS_TEST_TMPDIR/err pattern=$2

	# shellcheck disable=SC2053 # a pattern
	if [[ $statuses != $1 ]]; then
		fail "exit statuses $statuses, not $1; printed: $(head -c 2000 "$err")"
	elif [ -z "$pattern" ] && [ -s "$err" ]; then
		fail "there should be no message: $(head -c 2000 "$err")"
	elif [ -n "$pattern" ] && [ "$(message "$err" | wc -l)" -ne 1 ]; then
		fail "there should be one message: $(head -c 2000 "$err")"
	elif [ -n "$pattern" ] && [[ $(message "$err") != $pattern ]]; then
		fail "the message is \"$(cat "$err")\", not \"$pattern\""
	fi
}

# wait_until COMMAND…: tries until it succeeds, for ten seconds.
wait_until() {
	local tries=0

	until "$@"; do
		tries=$((tries + 1))
		[ "$tries" -lt 1000 ] || fail "has not come to be after ten seconds: $*"
		sleep 0.01
	done
}

# one_message STATUS WANTED-STATUS FILE PATTERN WHAT: how a single tool has ended.
one_message() {
	# shellcheck disable=SC2053
	if [ "$1" -ne "$2" ] || [ "$(message "$3" | wc -l)" -ne 1 ] ||
		[[ $(message "$3") != $4 ]]; then
		fail "$5: exit status $1, not $2, or another message than \"$4\": $(head -c 2000 "$3")"
	fi
}
