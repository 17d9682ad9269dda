#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# What goes wrong between tools: one of them is killed, its reader leaves, somebody else
# writes into the pipe or changes what passes, the pipe gives a byte at a time. The end
# of a stream is never mistaken for the end of the data, damage is found and named, and
# for all of a pipeline there is one message.

# What is quoted is for the shells of the pipelines:
# shellcheck disable=SC2016

load robust

setup_file() {
	export CLICKS=$BATS_FILE_TMPDIR/clicks.csv MANY=$BATS_FILE_TMPDIR/many.csv
	export STREAM=$BATS_FILE_TMPDIR/clicks.flue COUNTS=$BATS_FILE_TMPDIR/counts.csv

	make_clicks 30 >"$CLICKS"
	make_clicks 40000 >"$MANY"
	# The words are part of the stream, so they do not name the test's directory.
	(cd "$BATS_FILE_TMPDIR" && fkeyby --time ts --watermark 1s url clicks.csv | cat >clicks.flue)
	fcat --ocsv "$STREAM" >"$COUNTS"
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
	[ -z "${background:-}" ] || kill "${background[@]}" 2>/dev/null || true
}

# A command for pipelines, which first notes its process in the file PID: noted PID COMMAND…
noted='noted() { echo "$BASHPID" >"$1"; shift; exec "$@"; }'

# ---- a tool dies ------------------------------------------------------------------

@test "kill -9 of the first tool: the others end with 75, one message, no window more" {
	mkfifo live
	piped "$noted"'
		{ exec 9>live; for s in 00 20 40; do echo "2026-11-21T10:00:${s}Z,/a,u1,1" >&9; done
			until [ "$(wc -l <closed.csv)" -ge 3 ]; do sleep 0.01; done 2>/dev/null
			kill -9 $(cat pid); } &
		(echo ts,url,user,bytes; cat) <live |
			noted pid fkeyby --time ts --watermark 0s url |
			fwindow tumble 10s | freduce n=count --ocsv |
			tee closed.csv'
	expect '@(0|141) 137 75 75 0' 'fwindow: *(was it killed?)*'
	# The watermark has passed the ends of the windows of :00 and :20, not of :40.
	assert_equal "$(cat out)" 'window_start,window_end,url,n
2026-11-21T10:00:00Z,2026-11-21T10:00:10Z,/a,1
2026-11-21T10:00:20Z,2026-11-21T10:00:30Z,/a,1'
}

@test "kill -9 of a tool in the middle: those before end with 141, those behind with 75" {
	piped "$noted"'
		(cat "$MANY"; until [ -s pid ]; do sleep 0.01; done; kill -9 $(cat pid)
			tail -n +2 "$MANY") |
			fkeyby --time ts --watermark 5s url |
			noted pid ffilter "bytes >= 0" | fmap "twice=bytes * 2" | fcat --ojsonl'
	expect '@(0|141) 141 137 75 75' 'fmap: *(was it killed?)*'
}

@test "kill -9 of all tools but the last: it ends with 75 and says so" {
	mkfifo live
	piped "$noted"'
		{ exec 9>live; echo "2026-11-21T10:00:00Z,/a,u1,1" >&9
			until [ "$(wc -l <rows.csv)" -ge 2 ]; do sleep 0.01; done 2>/dev/null
			# Stopped, the second cannot find out that the first is gone.
			kill -STOP $(cat pid2 pid1); kill -9 $(cat pid1 pid2); } &
		(echo ts,url,user,bytes; cat) <live |
			noted pid1 fkeyby --time ts url | noted pid2 ffilter "bytes > 0" |
			fcat --ocsv | tee rows.csv'
	expect '@(0|141) 137 137 75 0' 'fcat: *(was it killed?)*'
	assert_equal "$(tail -n +2 out)" '2026-11-21T10:00:00Z,/a,u1,1'
}

@test "an upstream that never starts is exit status 75, for every tool" {
	local tool

	for tool in "${all_tools[@]}"; do
		words_of "$tool"
		piped "false | $tool $quoted_words"
		expect '1 75' "$tool: *(was it killed?)*"
		piped "false | $tool $quoted_words | fcat --ocsv"
		expect '1 75 75' "$tool: *(was it killed?)*"
		assert_equal "$(cat out)" ""
	done
}

# ---- the reader goes --------------------------------------------------------------

@test "| head -1: every tool ends within a second, silently" {
	local tool start

	for tool in "${all_tools[@]}"; do
		words_of "$tool"
		start=${EPOCHREALTIME/./}
		piped "cat '$MANY' | $tool ${of_text[*]} $quoted_words --icsv --ojsonl | head -n 1"
		[ $((${EPOCHREALTIME/./} - start)) -lt 1000000 ] ||
			built_with_sanitizers || fail "$tool takes longer than a second"
		expect '@(0|141) @(0|141) 0' ''
		[[ $(cat out) == '{"'*'}' ]] || fail "$tool prints $(cat out)"
	done
}

@test "| head -1: a pipeline of five ends within a second, silently" {
	local start=${EPOCHREALTIME/./}

	piped "yes '2026-11-21T10:00:00Z,/a,u1,1' | fkeyby --implicit-csv-header --icsv 2 |
		ffilter '\"4\" > 0' | fmap 'twice=\"4\" * 2' | fcat --ocsv | head -n 1"
	[ $((${EPOCHREALTIME/./} - start)) -lt 1000000 ] || built_with_sanitizers
	expect '141 141 141 141 141 0' ''
	assert_equal "$(cat out)" '1,2,3,4,twice'
}

@test "a tool that waits for input notices within a second that its reader has gone" {
	local tool start

	for tool in "${all_tools[@]}"; do
		words_of "$tool"
		mkfifo "idle-$tool"
		exec 9<>"idle-$tool"
		start=${EPOCHREALTIME/./}
		# Nothing at all has come, then a header line and a row have.
		piped "$tool ${of_text[*]} $quoted_words <idle-$tool | true"
		expect '141 0' ''
		printf 'ts,url,user,bytes\n2026-11-21T10:00:00Z,/a,u1,1\n' >&9
		piped "$tool ${of_text[*]} $quoted_words <idle-$tool | true"
		expect '141 0' ''
		[ $((${EPOCHREALTIME/./} - start)) -lt 1000000 ] ||
			built_with_sanitizers || fail "$tool takes longer than a second"
		exec 9>&-
	done
}

# ---- others write into the pipe ---------------------------------------------------

# open_fifo: descriptor 7 writes into the FIFO both, which 8 keeps open without a reader.
# What is written until there is one has to fit into a pipe.
open_fifo() {
	[ -e both ] || mkfifo both
	exec 8<>both
	exec 7>both
}

# read_fifo WHAT: gives the FIFO to fcat, which must find that the stream is damaged.
read_fifo() {
	local status=0

	exec 9<both 8>&- 7>&-
	timeout 10 fcat --ocsv <&9 >out 2>err || status=$?
	exec 9<&-
	one_message "$status" 65 err 'fcat: *frame [0-9]*' "$1"
}

@test "two writers on one FIFO are found" {
	open_fifo
	fkeyby --time ts url "$CLICKS" >&7 7>&- 8>&- &
	background=("$!")
	fkeyby --time ts url "$CLICKS" >&7 7>&- 8>&- &
	background+=("$!")
	wait "${background[@]}"
	read_fifo "two small streams"
	grep -q 'two writers' err
}

@test "a second writer within the stream of the first is found" {
	local intruder

	fkeyby --time ts url "$MANY" | cat >many.flue
	for intruder in "cat $STREAM" "echo hello" "fkeyby --time ts url none.csv"; do
		open_fifo
		head -c 30000 many.flue >&7
		$intruder >&7 2>/dev/null || true
		tail -c +30001 many.flue >&7 2>/dev/null 7>&- 8>&- &
		background=("$!")
		read_fifo "$intruder"
		wait "${background[@]}" || true
	done
}

@test "two streams one behind the other are not one" {
	piped "cat '$STREAM' '$STREAM' | fcat --ocsv"
	expect '0 65' 'fcat: damaged stream: *END, frame *two writers*'
	piped "(cat '$STREAM'; echo hello) | fcat --ocsv"
	expect '@(0|141) 65' 'fcat: damaged stream: *END, frame *'
}

@test "a text filter between two tools is found: the message names frame and tool" {
	local filter

	for filter in sort 'cat -v' 'sed s/u1/user1/' 'grep -a /p/' 'tr -d "\r"' 'tail -n +2' \
		'tail -c +9' 'sed "s/\$/\\r/"' 'sed "s/FLUE/flue/"' 'iconv -f LATIN1 -t UTF-8' \
		'uniq' 'tac' 'nl' 'sed -n 2,4p' 'tr u v' 'cut -c 2-'; do
		# Uniq finds no two equal lines: it changes nothing, and may do so.
		[ "$filter" != uniq ] || continue
		piped "cat '$STREAM' | $filter | fcat --ocsv"
		expect '@(0|141) 0 65' 'fcat: *frame [0-9]*'
		piped "cat '$STREAM' | $filter | fwindow tumble 1m | fcat --ocsv"
		expect '@(0|141) 0 65 65' 'fwindow: *frame [0-9]*'
	done
	piped "cat '$STREAM' | head -n 1 | fcat --ocsv"
	expect '@(0|141) 0 @(65|75)' 'fcat: *'
}

@test "a filter that changes nothing may stand there" {
	piped "cat '$STREAM' | tee copy | sed s/nothing-like-it/x/ | fcat --ocsv"
	expect '0 0 0 0' ''
	cmp out "$COUNTS"
}

# ---- damage -----------------------------------------------------------------------

# try_streams STATUSES: each file damaged-* through a tool that decodes, some through
# one that passes frames on too. One message each, no crash, and no row that was not sent.
try_streams() {
	local file seen=0 status rows expected message

	expected=$(<"$COUNTS")
	for file in damaged-*; do
		status=0
		fcat --ocsv <"$file" >out 2>err || status=$?
		rows=$(<out)
		mapfile -t message <err
		# shellcheck disable=SC2053
		[[ $status == $1 && ${#message[@]} -eq 1 && ${message[0]} == fcat:\ * ]] ||
			fail "$file: exit status $status, ${message[*]}"
		[[ $expected == "$rows"* ]] || fail "$file: rows that were not sent: $rows"
		printf '%s %s\n' "$status" "${message[0]}" >>seen
		seen=$((seen + 1))
		[ $((seen % 9)) -eq 0 ] || continue
		# Fwindow hands batches on as they are, so the next tool may be the first to see it.
		piped "fwindow tumble 1m <$file | ffilter 'bytes > 5' | fcat --ocsv"
		expect "@(0|141|$1) $1 $1" 'f*: *'
	done
	[ "$seen" -gt 20 ] || fail "only $seen streams were tried"
}

# every WITH-SANITIZERS OTHERWISE: how far apart positions are.
every() {
	if built_with_sanitizers; then echo "$1"; else echo "$2"; fi
}

@test "a stream that is cut anywhere is exit status 75, with one message in all" {
	local size at

	size=$(wc -c <"$STREAM")
	for ((at = 1; at < size; at += $(every 67 17))); do
		head -c "$at" "$STREAM" >"damaged-$at"
	done
	head -c $((size - 1)) "$STREAM" >damaged-last
	head -c 8 "$STREAM" >damaged-8
	try_streams 75
}

@test "a bit that flips anywhere is exit status 65, with one message that names the frame" {
	# Within the magic it is no stream any more, but a strange CSV file.
	perl -e '
		my ($path, $step) = @ARGV;
		local $/;
		open my $in, "<:raw", $path or die;
		my $stream = <$in>;
		for (my ($at, $n) = (8, 0); $at < length $stream; $at += $step, $n++) {
			my $copy = $stream;
			substr($copy, $at, 1) ^= chr(1 << ($n % 8));
			open my $out, ">:raw", "damaged-$at" or die;
			print $out $copy;
			close $out or die;
		}' "$STREAM" "$(every 53 11)"
	try_streams '@(65|75)'
	# A length that grew by a flip looks like a stream that is cut, unless it is out of bounds.
	[ "$(grep -c '^65 ' seen)" -gt $((9 * $(grep -c '^75 ' seen))) ] ||
		fail "hardly any was found to be damaged"
	! grep '^65 ' seen | grep -v 'frame [0-9]' || fail "a message names no frame"
}

@test "random bytes behind the magic are exit status 65" {
	local seed

	for seed in 1 2 3 4 5 6 7 8; do
		perl -e 'srand(shift); print "\x93FLUE\r\n\x1a", map { chr int rand 256 } 1 .. 5000' "$seed" >noise
		piped "fcat --ocsv <noise"
		expect 65 'fcat: *frame 0*'
	done
}

@test "a frame that is cut while it is handed on: one message, all end with 75" {
	local size at

	# One BATCH of more than a pipe holds at once, through tools that do not decode it.
	fkeyby --time ts --watermark 1s url "$MANY" | cat >many.flue
	size=$(wc -c <many.flue)
	for at in 1000 100000 $((size / 2)) $((size - 100)) $((size - 50)) $((size - 49)) $((size - 1)); do
		piped "head -c $at many.flue | fwindow tumble 1m | fcat | fwindow tumble 1m | fcat --ojsonl"
		expect '0 75 75 75 75' 'fwindow: *(was it killed?)*'
	done
}

# ---- slow and odd pipes -----------------------------------------------------------

# one_by_one: copies standard input, a byte a write.
one_by_one='perl -e "\$| = 1; binmode STDIN; while (read STDIN, \$c, 1) { syswrite STDOUT, \$c }"'

@test "bytes that come one at a time give the same" {
	piped "$one_by_one <'$STREAM' | fcat --ocsv"
	expect '0 0' ''
	cmp out "$COUNTS"
	piped "$one_by_one <'$CLICKS' | fkeyby --time ts --watermark 1s url | $one_by_one |
		fwindow tumble 1m | $one_by_one | fcat --ojsonl"
	expect '0 0 0 0 0 0' ''
	mv out slow
	piped "fkeyby --time ts --watermark 1s url '$CLICKS' | fwindow tumble 1m | fcat --ojsonl"
	cmp out slow
}

@test "a reader that takes a byte at a time gets all" {
	piped "fcat --ocsv '$STREAM' | dd bs=1 status=none"
	expect '0 0' ''
	cmp out "$COUNTS"
}

# unblocked COMMAND…: with O_NONBLOCK set for its standard input and output.
unblocked='unblocked() { perl -MFcntl -e "for (*STDIN, *STDOUT) {
	fcntl(\$_, F_SETFL, fcntl(\$_, F_GETFL, 0) | O_NONBLOCK) or die } exec @ARGV" -- "$@"; }'

@test "descriptors that do not block give the same" {
	fcat --time ts --watermark 1s "$MANY" | fwindow tumble 1m | fcat --ocsv >expected
	piped "$unblocked
		(head -n 100 '$MANY'; sleep 0.1; tail -n +101 '$MANY') |
			unblocked fcat --time ts --watermark 1s |
			unblocked fwindow tumble 1m | unblocked fcat --ocsv |
			(sleep 0.1; cat)"
	expect '0 0 0 0 0' ''
	cmp out expected
}

@test "sockets in place of pipes give the same" {
	fkeyby --time ts --watermark 1s url "$MANY" | fwindow tumble 1m | fcat --ocsv >expected
	# Each tool of ARGV has the one end of a socket pair as its output, the next the other.
	piped "perl -MSocket -e '
		my @tools = split /;/, shift;
		my \$in = \\*STDIN;
		while (defined(my \$tool = shift @tools)) {
			my (\$mine, \$theirs);
			if (@tools) {
				socketpair(\$mine, \$theirs, AF_UNIX, SOCK_STREAM, 0) or die;
				setsockopt(\$theirs, SOL_SOCKET, SO_SNDBUF, 4096) or die;
			}
			if (!@tools || !fork) {
				open STDIN, q(<&), \$in or die if \$in != \*STDIN;
				open STDOUT, q(>&), \$theirs or die if @tools;
				close \$mine if @tools;
				exec split / /, \$tool;
			}
			close \$theirs;
			\$in = \$mine;
		}' 'fkeyby --time ts --watermark 1s url $MANY;fwindow tumble 1m;fcat --ocsv'"
	expect 0 ''
	cmp out expected
}
