#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# How tools end when something is wrong around them: full disks, closed descriptors,
# inputs that cannot be read, mistyped words. One message each, and the exit status
# that scripts rely on; nothing written where it does not belong.

load robust

setup_file() {
	export CLICKS=$BATS_FILE_TMPDIR/clicks.csv MANY=$BATS_FILE_TMPDIR/many.csv
	export STREAM=$BATS_FILE_TMPDIR/clicks.flue

	make_clicks 30 >"$CLICKS"
	make_clicks 12000 >"$MANY" # more than is written at once
	fcat --time ts "$CLICKS" | cat >"$STREAM"
	# Files whose names say the format, on a disk that is full.
	for format in csv jsonl flue; do
		ln -s /dev/full "$BATS_FILE_TMPDIR/full.$format"
	done
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
}

# ---- standard output --------------------------------------------------------------

# try_output MESSAGE REDIRECTION INPUT: all tools and text formats, to a standard output
# that takes nothing.
try_output() {
	local tool format status

	for tool in "${all_tools[@]}"; do
		words_of "$tool"
		for format in "${text_formats[@]}"; do
			status=0
			eval '"$tool" "${words[@]}" "${of_text[@]}" --icsv "--o$format" <"$3" 2>err '"$2" ||
				status=$?
			one_message "$status" 74 err "$tool: $1" "$tool --o$format $2"
		done
	done
}

@test "a full disk is exit status 74, for every tool and text format" {
	try_output "cannot write standard output: No space left on device" '>/dev/full' "$CLICKS"
}

@test "a disk that becomes full early in a large output too" {
	try_output "cannot write standard output: No space left on device" '>/dev/full' "$MANY"
}

@test "a closed standard output is exit status 74, for every tool and text format" {
	try_output "cannot write standard output: Bad file descriptor" '>&-' "$CLICKS"
}

@test "a full disk under -o is exit status 74 and named, for frames too" {
	local tool to status

	for tool in "${all_tools[@]}"; do
		words_of "$tool"
		for to in "$BATS_FILE_TMPDIR"/full.{csv,jsonl,flue}; do
			status=0
			"$tool" "${words[@]}" "${of_text[@]}" "$MANY" -o "$to" 2>err || status=$?
			one_message "$status" 74 err "$tool: cannot write $to: No space left on device" \
				"$tool -o $to"
		done
	done
}

@test "a full disk ends the tools behind with 74 too, and no second message" {
	local tool

	for tool in "${all_tools[@]}"; do
		words_of "$tool"
		piped "fcat --time ts '$MANY' | $tool $quoted_words -o $BATS_FILE_TMPDIR/full.csv | cat"
		expect '@(0|141) 74 0' "$tool: cannot write */full.csv: No space left on device"
	done
}

@test "a full disk under a side file is exit status 74 and named" {
	local full=$BATS_FILE_TMPDIR/full.csv status=0

	ffilter 'bytes < 0' --else "$full" "$MANY" -o out.csv 2>err || status=$?
	one_message "$status" 74 err "ffilter: cannot write $full: No space left on device" --else
	(cat "$CLICKS" && yes ragged | head -n 20000) >ragged.csv
	status=0
	fcat -q --on-error skip --reject "$full" ragged.csv -o out.csv 2>err || status=$?
	one_message "$status" 74 err "fcat: cannot write $full: No space left on device" --reject
}

@test "--help and --version say so too when they cannot be written" {
	local tool option status

	for tool in "${all_tools[@]}"; do
		for option in --help --version; do
			status=0
			"$tool" "$option" >/dev/full 2>err || status=$?
			one_message "$status" 74 err \
				"$tool: cannot write standard output: No space left on device" "$tool $option"
			status=0
			"$tool" "$option" >&- 2>err || status=$?
			one_message "$status" 74 err \
				"$tool: cannot write standard output: Bad file descriptor" "$tool $option"
		done
	done
}

@test "an output that cannot be created is exit status 73" {
	local tool status

	for tool in "${all_tools[@]}"; do
		words_of "$tool"
		status=0
		"$tool" "${words[@]}" "${of_text[@]}" "$CLICKS" -o none/out.csv 2>err || status=$?
		one_message "$status" 73 err "$tool: cannot create none/out.csv: No such file or directory" \
			"$tool"
	done
}

# ---- standard error ---------------------------------------------------------------

@test "with standard error closed, no message goes into another file" {
	local status=0

	fcat "$CLICKS" >expected.csv
	(cat "$CLICKS" && echo ragged) >ragged.csv
	fcat --on-error skip --reject reject.csv ragged.csv -o out.csv 2>&-
	cmp expected.csv out.csv
	assert_equal "$(wc -l <reject.csv)" 2
	fcat ragged.csv 2>&- >out.csv || status=$?
	assert_equal "$status" 65
	run -0 grep -c ragged ragged.csv
	cmp -n "$(wc -c <out.csv)" expected.csv out.csv
	status=0
	# All three: the table of descriptors is empty when the files are opened.
	fcat "$CLICKS" -o out.csv <&- >&- 2>&- || status=$?
	assert_equal "$status" 0
	cmp expected.csv out.csv
}

# ---- standard input and files -----------------------------------------------------

@test "an input that cannot be read is exit status 66 and named, for every tool" {
	local tool status

	for tool in "${all_tools[@]}"; do
		words_of "$tool"
		status=0
		"$tool" "${words[@]}" <&- >out 2>err || status=$?
		one_message "$status" 66 err "$tool: cannot read standard input: Bad file descriptor" "$tool"
		status=0
		"$tool" "${words[@]}" </ >out 2>err || status=$?
		one_message "$status" 66 err "$tool: cannot read standard input: it is a directory" "$tool"
		status=0
		"$tool" "${words[@]}" / >out 2>err || status=$?
		one_message "$status" 66 err "$tool: cannot read /: it is a directory" "$tool"
		status=0
		"$tool" "${words[@]}" none.csv >out 2>err || status=$?
		one_message "$status" 66 err "$tool: cannot open none.csv: No such file or directory" "$tool"
		status=0
		"$tool" "${words[@]}" "${of_text[@]}" "$CLICKS" none.csv >out 2>err || status=$?
		one_message "$status" 66 err "$tool: cannot open none.csv: No such file or directory" \
			"$tool, the second file"
	done
}

@test "a file that is not there ends the tools behind with 66, silently" {
	piped "fkeyby url --time ts none.csv | ffilter 'bytes > 0' | fcat --ocsv"
	expect '66 66 66' 'fkeyby: cannot open none.csv: No such file or directory'
	assert_equal "$(cat out)" ""
}

# ---- usage ------------------------------------------------------------------------

@test "an unknown option is exit status 64 and names the nearest, for every tool" {
	local tool status

	for tool in "${all_tools[@]}"; do
		words_of "$tool"
		status=0
		"$tool" "${words[@]}" --ocvs "$CLICKS" >out 2>err || status=$?
		one_message "$status" 64 err "$tool: unknown option --ocvs (did you mean --ocsv[?])*" "$tool"
		[ ! -s out ] || fail "$tool has written something"
	done
}

@test "an unknown column is exit status 64 and names the nearest" {
	local line tool status

	for line in 'fkeyby urll' 'fkeyby ts,urll' 'ffilter urll>1' 'fmap x=urll' \
		'freduce n=max(urll)' 'fcat --time urll' 'fcat --ocsv --columns urll'; do
		tool=${line%% *}
		status=0
		# shellcheck disable=SC2086 # words
		$line "$CLICKS" >out 2>err || status=$?
		one_message "$status" 64 err "$tool: *urll*did you mean *url*" "$line"
		[ ! -s out ] || fail "$line has written something"
	done
}

@test "an unknown function is exit status 64 and names the nearest" {
	local line tool status

	for line in 'ffilter uper(url)=url' 'fmap x=uper(url)' 'freduce n=summ(bytes)'; do
		tool=${line%% *}
		status=0
		# shellcheck disable=SC2086
		$line "$CLICKS" >out 2>err || status=$?
		one_message "$status" 64 err "$tool: *function*did you mean *" "$line"
	done
}

@test "a usage error anywhere in a pipeline: one message, and its code for all behind" {
	local bad place tools

	for bad in --ocvs '--max-record 1T'; do
		for place in 0 1 2; do
			tools=("fkeyby url --time ts $MANY" "ffilter 'bytes > 0'" "fcat --ojsonl")
			tools[place]+=" $bad"
			piped "${tools[0]} | ${tools[1]} | ${tools[2]}"
			case $place in
			0) expect '64 64 64' 'fkeyby: *' ;;
			1) expect '@(0|141) 64 64' 'ffilter: *' ;;
			2) expect '@(0|141) @(0|141) 64' 'fcat: *' ;;
			esac
			assert_equal "$(cat out)" ""
		done
	done
}

@test "what cannot run leaves its output file alone" {
	local line

	for line in 'fcat --ocvs clicks.csv' 'fcat none.csv' 'fkeyby urll clicks.csv' \
		'ffilter urll>1 clicks.csv' 'fcat --time urll clicks.csv'; do
		cp "$CLICKS" clicks.csv
		echo precious >out.csv
		# shellcheck disable=SC2086
		run $line -o out.csv
		[ "$status" -ge 64 ] || fail "$line: status $status"
		assert_equal "$(cat out.csv)" precious
	done
	false | fcat -o out.csv 2>/dev/null || true
	assert_equal "$(cat out.csv)" precious
}

# ---- all the rest of the table ----------------------------------------------------

@test "exit status 0: done" {
	run -0 --separate-stderr fcat --ocsv "$CLICKS"
	assert_equal "$output" "$(cat "$CLICKS")"
	assert_equal "$stderr" ""
}

@test "exit status 64: an option's value out of range" {
	run -64 fcat --max-record 1T "$CLICKS"
	run -64 fcat --watermark soon --time ts "$CLICKS"
	run -64 fcat --on-error ignore "$CLICKS"
}

@test "exit status 65: bad data, with file and line" {
	(cat "$CLICKS" && echo ragged) >ragged.csv
	run -65 --separate-stderr fcat ragged.csv
	assert_equal "$stderr" "fcat: ragged.csv:32: expected 4 fields, found 1"
}

@test "exit status 71: a limit was reached, and the message names the option" {
	run -71 --separate-stderr fcat --max-record 20 "$CLICKS"
	assert_equal "${#stderr_lines[@]}" 1
	[[ $stderr == *--max-record* ]]
}

@test "exit status 75: the upstream died" {
	run -75 --separate-stderr fcat --frames < <(head -c 200 "$STREAM")
	assert_equal "${#stderr_lines[@]}" 1
}

@test "exit status 130: Ctrl-C" {
	mkfifo never
	exec 9<>never
	run -130 timeout --preserve-status --foreground -s INT 0.2 fcat never
}

@test "exit status 141: the reader went away" {
	# more than any pipe holds, so that it is noticed whoever is faster
	piped "{ cat '$MANY'; yes \"\$(tail -n 1 '$MANY')\"; } 2>/dev/null | fcat --icsv | true"
	expect '* 141 0' ''
}

# ---- starting, and colours --------------------------------------------------------

@test "no tool links what takes long to load" {
	local tool

	for tool in "${all_tools[@]}"; do
		run -0 ldd "$FLUE_BIN/$tool"
		assert_output --partial libc.so
		refute_output --partial rocksdb
		refute_output --partial rdkafka
		refute_output --partial "not found"
	done
}

@test "what is piped has the same bytes with NO_COLOR and without, and no colours" {
	local tool format escape=$'\033'

	fcat --opprint --color=always "$CLICKS" | grep -q "$escape"
	for tool in "${all_tools[@]}"; do
		words_of "$tool"
		for format in "${text_formats[@]}"; do
			"$tool" "${words[@]}" "${of_text[@]}" "--o$format" "$CLICKS" | cat >plain
			NO_COLOR=1 "$tool" "${words[@]}" "${of_text[@]}" "--o$format" "$CLICKS" | cat >no-color
			[ -s plain ] || fail "$tool --o$format prints nothing"
			cmp plain no-color
			! grep -q "$escape" plain || fail "$tool --o$format has colours in a pipe"
		done
	done
}
