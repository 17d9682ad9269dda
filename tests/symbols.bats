#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# What the objects of the library define and call, as nm sees it: a rule that no
# comment, macro or string in the source can confuse.

load helper

# Which objects may call what. Fortified functions count under their plain names, and
# those that take 64-bit offsets too.
declare -gA only_in=(
	# Input and output are in one place, so that errors are seen everywhere.
	["read readv pread preadv recv"]="io.o queue.o zone.o"
	["write writev pwrite pwritev send"]="io.o queue.o"
	["poll ppoll select epoll_wait"]="io.o run.o"
	# The library neither prints nor exits; bugs and the lack of memory are told. A
	# snapshot child ends (region.o).
	["printf fprintf vprintf vfprintf puts putchar putc fputs fputc fwrite perror stdout stderr"]="main.o err.o mem.o"
	["exit _exit _Exit quick_exit abort raise"]="err.o mem.o region.o"
	# Results do not depend on when they are computed.
	["time clock gettimeofday clock_gettime"]="io.o"
	# Out of memory is handled once.
	["malloc calloc realloc reallocarray strdup strndup asprintf vasprintf"]="mem.o"
	# No option comes from the environment but NO_COLOR, TZ and TMPDIR.
	["getenv secure_getenv"]="backend.o output.o queue.o zone.o"
	# No bound, no error, a hidden state, or a shell.
	["strcpy stpcpy strcat sprintf vsprintf gets atoi atol atoll atof strtok system popen setlocale"]=""
)

setup() {
	library=$FLUE_BUILD/lib/libflue.a
	[ -e "$library" ] || fail "$library is not built"
}

# undefined: lines "OBJECT SYMBOL", for all that the library takes from elsewhere.
undefined() {
	nm -A -u "$library" | sed -n 's/.*libflue\.a:\([^:]*\): *[Uvw] /\1 /p' |
		sed -E 's/ __(isoc99_)?([a-z]+)_chk$/ \2/; s/([a-z])64$/\1/'
}

@test "what the library defines begins with fl_" {
	run -0 nm -A -g --defined-only "$library"
	assert_output --partial " T fl_"

	# Of C++, only what the compiler instantiates from headers: those symbols are weak.
	# Sanitizers and coverage add names that are reserved to them.
	run bash -c 'nm -A -g --defined-only "$1" |
		grep -Ev " (T|D|B|R) fl_| [WVu] _Z| [A-Za-z] (DW\.ref\.)?__" |
		grep ": *[0-9a-f]* [A-Za-z] "' - "$library"
	assert_output ""
}

@test "the library has no variables that can change" {
	local flag

	for flag in asan gcov; do
		! nm "$library" 2>/dev/null | grep -q "__$flag" || skip "an instrumented build has them"
	done
	# Constants with pointers in them stand in .data.rel.ro. What stands before the tab of
	# a line ends with the section.
	run bash -c 'objdump -t "$1" | awk -F "\t" "
		/file format/ { object = \$1 }
		\$1 ~ / O (\.data|\.data\.rel|\.data\.rel\.local|\.t?bss|\.tdata|\*COM\*)\$/ { print object, \$2 }"' \
		- "$library"
	assert_output ""
}

@test "the library reads, writes, waits, prints, exits and allocates where it may" {
	local symbols objects object symbol wrong=()

	undefined >"$BATS_TEST_TMPDIR/undefined"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/undefined")" -gt 100 ]
	for symbols in "${!only_in[@]}"; do
		objects=${only_in[$symbols]}
		while read -r object symbol; do
			[[ " $objects " = *" $object "* ]] || wrong+=("$object calls $symbol")
		done < <(grep -E " (${symbols// /|})\$" "$BATS_TEST_TMPDIR/undefined")
	done
	[ ${#wrong[@]} -eq 0 ] || fail "$(printf '%s\n' "${wrong[@]}")"
}

@test "an object that may read, print or allocate does so still" {
	# Else the table above allows what nobody needs.
	local symbols object wrong=()

	undefined >"$BATS_TEST_TMPDIR/undefined"
	for symbols in "${!only_in[@]}"; do
		for object in ${only_in[$symbols]}; do
			grep -Eq "^${object/./\\.} (${symbols// /|})\$" "$BATS_TEST_TMPDIR/undefined" ||
				wrong+=("$object calls none of $symbols")
		done
	done
	[ ${#wrong[@]} -eq 0 ] || fail "$(printf '%s\n' "${wrong[@]}")"
}
