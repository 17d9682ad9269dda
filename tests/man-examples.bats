#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# The examples of the manual and the README print what these say. How an example is
# written is said at the top of run-man-examples.

load helper

# examples_of PAGE
examples_of() {
	local page=$FLUE_SOURCE/$1

	[ -e "$page" ] || fail "$1 is missing"
	run "$FLUE_SOURCE/tests/run-man-examples" "$page"
	assert_success
}

@test "every page that has examples is registered here" {
	diff -u --label registered --label pages \
		<(sed -n 's/^@test .* { examples_of \(.*\); }$/\1/p' "$BATS_TEST_FILENAME" | sort) \
		<(cd "$FLUE_SOURCE" && {
			printf '%s\n' README.md man/*.1 man/*.7
			grep -l '^\.Sh EXAMPLES' man/*.5
		} | grep -v '\*' | sort)
}

@test "examples: README" { examples_of README.md; }
@test "examples: fcat(1)" { examples_of man/fcat.1; }
@test "examples: fcheckpoint(1)" { examples_of man/fcheckpoint.1; }
@test "examples: fdedup(1)" { examples_of man/fdedup.1; }
@test "examples: ffilter(1)" { examples_of man/ffilter.1; }
@test "examples: fjoin(1)" { examples_of man/fjoin.1; }
@test "examples: fkeyby(1)" { examples_of man/fkeyby.1; }
@test "examples: flue(7)" { examples_of man/flue.7; }
@test "examples: flue-checkpoint(5)" { examples_of man/flue-checkpoint.5; }
@test "examples: flue-cookbook(7)" { examples_of man/flue-cookbook.7; }
@test "examples: flue-expressions(7)" { examples_of man/flue-expressions.7; }
@test "examples: fmap(1)" { examples_of man/fmap.1; }
@test "examples: fover(1)" { examples_of man/fover.1; }
@test "examples: frank(1)" { examples_of man/frank.1; }
@test "examples: freduce(1)" { examples_of man/freduce.1; }
@test "examples: fsort(1)" { examples_of man/fsort.1; }
@test "examples: fsource(1)" { examples_of man/fsource.1; }
@test "examples: funion(1)" { examples_of man/funion.1; }
@test "examples: fwindow(1)" { examples_of man/fwindow.1; }
