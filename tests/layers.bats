#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# The layers of the library, and other rules on source files that a machine can check.

load helper

# What a layer's files may include, besides those of the layer itself.
declare -gA may_include=(
	[base]=""
	[time]="base"
	[stream]="time base"
	[expr]="stream time base"
	[format]="stream time base"
	[state]="stream time base"
	[checkpoint]="stream time base"
	[run]="checkpoint state expr format stream time base"
	[window]="run checkpoint state expr format stream time base"
	[join]="run checkpoint state expr format stream time base"
	[rank]="window run checkpoint state expr format stream time base"
	[tools]="rank join window run checkpoint state expr format stream time base"
)

# Which files may include the headers of other projects.
declare -gA only_in=(
	[csv.h]="lib/format/*"
	[jansson.h]="lib/stream/header.c lib/expr/parse.c lib/checkpoint/*"
	[pcre2.h]="lib/format/* lib/expr/*"
	[pg_query.h]="lib/expr/*"
	[pg_query/*]="lib/expr/*"
	[rocksdb/*]="lib/state/rocksdb.c"
	[simdjson.h]="lib/format/json_simdjson.cc"
	[sqlite3.h]="lib/join/lookup-sqlite.c"
	[xxhash.h]="lib/stream/* lib/state/* lib/expr/* lib/format/* lib/checkpoint/* tools/checkpoint/*"
	[zlib.h]="lib/format/* lib/checkpoint/*"
	[zstd.h]="lib/format/*"
	[zstd_errors.h]="lib/format/*"
)

setup() {
	cd "$FLUE_SOURCE" || return
}

# Prints "FILE HEADER" for each #include, with its quotes or brackets.
includes() {
	find lib tools -name '*.[ch]' -o -name '*.cc' | sort |
		xargs sed -n '/^#[ \t]*include/{s/^#[ \t]*include[ \t]*\(["<][^">]*[">]\).*/\1/;F;p}' |
		paste -d ' ' - -
}

# layer_of PATH: of a file, or of a header as it is included.
layer_of() {
	local path=${1#lib/}

	printf '%s' "${path%%/*}"
}

# matches WORD PATTERNS: is WORD one that a pattern of the list describes?
matches() {
	local pattern patterns

	read -ra patterns <<<"$2"
	for pattern in "${patterns[@]}"; do
		# shellcheck disable=SC2053 # it is a pattern
		[[ $1 != $pattern ]] || return 0
	done
	return 1
}

@test "every directory of lib/ is a layer that the table knows" {
	local dir

	for dir in lib/*/; do
		dir=$(basename "$dir")
		[ -n "${may_include[$dir]+known}" ] || fail "lib/$dir is not in the table"
	done
}

@test "files include their own layer and the ones below, none above or beside" {
	local file header from to wrong=()

	[ "$(includes | wc -l)" -gt 100 ]
	while read -r file header; do
		[ "${header:0:1}" = '"' ] || continue
		header=${header//\"/}
		[ "$header" = "${header#*/}" ] && continue # beside the file, see the next test
		from=$(layer_of "$file")
		to=$(layer_of "$header")
		[ "$from" != "$to" ] || continue
		matches "$to" "${may_include[$from]}" || wrong+=("$file includes $header")
	done < <(includes)
	[ ${#wrong[@]} -eq 0 ] || fail "$(printf '%s\n' "${wrong[@]}")"
}

@test "a header of ours is included by its path below lib/, or stands beside a tool of several files" {
	local file header wrong=()

	while read -r file header; do
		[ "${header:0:1}" = '"' ] || continue
		header=${header//\"/}
		[ -e "lib/$header" ] || [[ $file = tools/*/* && -e ${file%/*}/$header ]] ||
			wrong+=("$file includes $header")
	done < <(includes)
	[ ${#wrong[@]} -eq 0 ] || fail "$(printf '%s\n' "${wrong[@]}")"
}

@test "the headers of other projects are included where the table says" {
	local file header pattern wrong=()

	while read -r file header; do
		[ "${header:0:1}" = '<' ] || continue
		header=${header//[<>]/}
		for pattern in "${!only_in[@]}"; do
			matches "$header" "$pattern" || continue
			matches "$file" "${only_in[$pattern]}" || wrong+=("$file includes <$header>")
		done
	done < <(includes)
	[ ${#wrong[@]} -eq 0 ] || fail "$(printf '%s\n' "${wrong[@]}")"
}

@test "every header compiles alone, and twice" {
	local header wrong=()

	while read -r header; do
		printf '#include "%s"\n' "$header" "$header" >"$BATS_TEST_TMPDIR/alone.c"
		$FLUE_CC -std=gnu17 -Wall -Wextra -Wno-unused-function -Werror -Ilib \
			-fsyntax-only "$BATS_TEST_TMPDIR/alone.c" || wrong+=("$header")
	done < <(find lib -name '*.h' -printf '%P\n' | sort)
	[ ${#wrong[@]} -eq 0 ] || fail "$(printf '%s\n' "${wrong[@]}")"
}

@test "every source file names its licence" {
	local file wrong=()

	while read -r file; do
		head -n 5 "$file" | grep -q 'SPDX-License-Identifier: Apache-2\.0' || wrong+=("$file")
	done < <(
		find lib tools tests bench examples man -type f ! -path 'tests/golden/*/*' \
			\( -name '*.[ch1-8]' -o -name '*.cc' -o -name '*.mk' -o -name '*.bats' \
			-o -name '*.bash' -o -name '*.sh' -o -name '*.py' -o -name '*.awk' \
			-o -perm -u+x \)
		printf '%s\n' bootstrap build-aux/lint configure.ac Makefile.am .ci/run
	)
	[ ${#wrong[@]} -eq 0 ] || fail "$(printf '%s\n' "${wrong[@]}")"
}

@test "every file is listed in the local.mk of its directory" {
	local file name wrong=()

	while read -r file; do
		# A program is listed by its name, which is that of its source without ".c".
		name=${file//./\\.}
		grep -Eq "[	 ](${name}|${name%\\.c})( |\$)" "${file%%/*}/local.mk" || wrong+=("$file")
	done < <(
		find lib -name '*.[ch]' -o -name '*.cc'
		find tools -name '*.c'
		find man -name '*.[1-8]'
		find tests -maxdepth 1 -name '*.bats'
		find tests/unit tests/fuzz -name '*.[ch]'
	)
	[ ${#wrong[@]} -eq 0 ] || fail "$(printf '%s\n' "${wrong[@]}")"
}

@test "no two files of lib/ that are compiled have the same name" {
	# Their objects stand side by side in one archive, and in what nm and gdb say.
	run -0 bash -c "find lib \( -name '*.c' -o -name '*.cc' \) -printf '%f\n' | sort | uniq -d"
	assert_output ""
}
