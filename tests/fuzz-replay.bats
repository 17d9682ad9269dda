#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Every fuzz target runs over its stored corpus, tests/fuzz/corpus/fuzz-NAME: seeds, and
# what fuzzing has found, so that it stays mended. `make fuzz` goes on from there.

load helper

setup() {
	cd "$FLUE_SOURCE/tests/fuzz" || return
	[ -n "$(find "$FLUE_BUILD/tests/fuzz" -type f -perm -u+x 2>/dev/null)" ] ||
		skip "make check builds the fuzz targets"
}

# replay TARGET FILE…: those files through that target; nothing may be found. Works for a
# target with libFuzzer in it too, which then runs each file once.
replay() {
	local target=$1

	shift
	run "$FLUE_BUILD/tests/fuzz/$target" "$@"
	[ "$status" -eq 0 ] || fail "$target: exit status $status: $output"
	# It did look at them, the last one too.
	assert_output --partial "${*: -1}"
}

@test "every fuzz target has a corpus of small files, and every corpus a target" {
	local name

	for name in fuzz-*.c; do
		[ -n "$(find "corpus/${name%.c}" -type f -size -17 2>/dev/null)" ] ||
			fail "corpus/${name%.c} has no files"
		[ -z "$(find "corpus/${name%.c}" -type f -size +16)" ] ||
			fail "corpus/${name%.c} has files of more than 8 KiB"
	done
	for name in corpus/*; do
		[ -e "${name#corpus/}.c" ] || fail "$name is nobody's corpus"
	done
}

@test "the stored corpus finds nothing in any fuzz target" {
	local name count=0

	for name in fuzz-*.c; do
		name=${name%.c}
		replay "$name" "corpus/$name"/*
		count=$((count + 1))
	done
	[ "$count" -ge 5 ]
}

@test "no input, and one byte, are inputs too" {
	local name byte

	: >"$BATS_TEST_TMPDIR/empty"
	for byte in 000 001 002 003 012 377; do
		# shellcheck disable=SC2059
		printf "\\$byte" >"$BATS_TEST_TMPDIR/byte-$byte"
	done
	for name in fuzz-*.c; do
		replay "${name%.c}" "$BATS_TEST_TMPDIR/empty" "$BATS_TEST_TMPDIR"/byte-*
	done
}

@test "a target without libFuzzer says which file it cannot read" {
	local target=$FLUE_BUILD/tests/fuzz/fuzz-frame

	! "$target" -help=1 2>&1 | grep -q libFuzzer || skip "it has libFuzzer"
	run -66 "$target" none
	assert_output "cannot open none: No such file or directory"
}
