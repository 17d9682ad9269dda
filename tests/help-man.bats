#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# What a tool says of itself and what its manual page says are the same.
#
# An option is documented by a line ".It Fl NAME …" in mdoc (".It Fl -icsv",
# ".It Fl o , Fl -output Ar FILE"): a tool's own in the OPTIONS of its page, one that
# several tools have there too, or in the COMMON OPTIONS of flue(7).

load helper

# Every test is about each of the tools, and says for which ones it fails.
each_tool() {
	local tool wrong=()

	[ -n "$FLUE_TOOLS" ] || fail "there are no tools"
	for tool in $FLUE_TOOLS; do
		"$1" "$tool" || wrong+=("$tool")
	done
	[ ${#wrong[@]} -eq 0 ] || fail "wrong: ${wrong[*]}"
}

# section PAGE NAME: the lines of a section.
section() {
	sed -n "/^\.Sh $2\$/,/^\.Sh /p" "$FLUE_SOURCE/man/$1"
}

# Option names, one a line, sorted; without single letters, for which --help has no room.
# In --help, a tool's own options have a line each, begun by two spaces; those that several
# tools have stand in groups, ten columns to the right. Other lines are prose and examples.
options_of_help() {
	"$1" --help | sed -nE -e 's/^  (--[a-z-]+).*/\1/p' -e '/^([A-Z][a-z]* +| {10})--/p' |
		grep -oE -e '--[a-z][a-z-]*' | sort -u
}

options_of_section() {
	section "$1" "$2" | sed -n 's/^\.It Fl/Fl/p' | grep -oE 'Fl -[a-z][a-z-]*' |
		sed 's/^Fl -/--/' | sort -u
}

# options_of_pages TOOL: its own, and those that the tools have which read or write records.
options_of_pages() {
	options_of_section "$1.1" OPTIONS
	[ "$1" = fsource ] || options_of_section flue.7 "COMMON OPTIONS"
}

help_works() {
	"$1" --help >"$BATS_TEST_TMPDIR/help" 2>"$BATS_TEST_TMPDIR/messages" &&
		[ -s "$BATS_TEST_TMPDIR/help" ] && [ ! -s "$BATS_TEST_TMPDIR/messages" ]
}

@test "--help succeeds and prints to standard output alone" {
	each_tool help_works
}

help_fits() {
	[ "$("$1" --help | wc -l)" -le 40 ] && ! "$1" --help | expand | grep -E '.{81}'
}

@test "--help fits a terminal of 40 lines and 80 columns" {
	each_tool help_fits
}

version_is_right() {
	[ "$("$1" --version)" = "$1 (flue) $FLUE_VERSION" ]
}

@test "--version says the name and the version, and nothing else" {
	[ -n "$FLUE_VERSION" ]
	each_tool version_is_right
}

has_page() {
	grep -q "^\.Nm $1\$" "$FLUE_SOURCE/man/$1.1"
}

@test "every tool has a page" {
	each_tool has_page
}

help_is_documented() {
	local undocumented

	undocumented=$(comm -23 <(options_of_help "$1") \
		<(options_of_pages "$1" | sort -u))
	[ -z "$undocumented" ] || {
		printf '%s: in --help but in no page:\n%s\n' "$1" "$undocumented"
		return 1
	}
}

@test "every option of --help is in the manual" {
	each_tool help_is_documented
}

page_is_true() {
	local unknown

	[ -n "$(options_of_help "$1")" ] || return
	unknown=$(comm -13 <(options_of_help "$1") \
		<(options_of_pages "$1" | sort -u))
	[ -z "$unknown" ] || {
		printf '%s: in its page, or the common options, but not in --help:\n%s\n' "$1" "$unknown"
		return 1
	}
}

@test "every option of the manual is in --help" {
	each_tool page_is_true
}

same_in_both() {
	local description

	description=$(sed -n 's/^\.Nd //p' "$FLUE_SOURCE/man/$1.1")
	[ -n "$description" ] && "$1" --help | grep -qiF -- "$description"
}

@test "--help and the page's NAME describe the tool in the same words" {
	each_tool same_in_both
}
