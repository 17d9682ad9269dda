# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What every bats file begins with:
#
#	load helper
#
# Loads bats-support and bats-assert, and sets, where `make check` has not,
#
#	FLUE_SOURCE    the source tree
#	FLUE_BUILD     the build tree
#	FLUE_BIN       the directory of the tools; it stands first in PATH
#	FLUE_TOOLS     their names
#	FLUE_VERSION   their version
#	FLUE_CC        the C compiler, FLUE_CXX the C++ compiler
#
# so that `bats tests/x.bats` works too, with what ./bootstrap build has built.

FLUE_SOURCE=${FLUE_SOURCE:-$(cd "$BATS_TEST_DIRNAME/.." && pwd)}
FLUE_BUILD=${FLUE_BUILD:-$FLUE_SOURCE/_build}
FLUE_BIN=${FLUE_BIN:-$FLUE_BUILD/tools}
FLUE_TOOLS=${FLUE_TOOLS:-$(sed -n 's|^\ttools/\([a-z]*\)\( .*\)\{0,1\}$|\1|p' "$FLUE_SOURCE/tools/local.mk" | xargs)}
FLUE_VERSION=${FLUE_VERSION:-$(sed -n 's/^AC_INIT(\[flue\], \[\(.*\)\])$/\1/p' "$FLUE_SOURCE/configure.ac")}
FLUE_CC=${FLUE_CC:-cc}
FLUE_CXX=${FLUE_CXX:-c++}
PATH=$FLUE_BIN:$PATH
export FLUE_SOURCE FLUE_BUILD FLUE_BIN FLUE_TOOLS FLUE_VERSION FLUE_CC FLUE_CXX PATH

# Output must not depend on who runs the tests.
export LC_ALL=C
unset TZ NO_COLOR

bats_require_minimum_version 1.5.0

# Debian keeps the bats libraries in the first of these.
BATS_LIB_PATH=/usr/lib/bats:/usr/lib:/usr/local/lib:${BATS_LIB_PATH:-}
bats_load_library bats-support
bats_load_library bats-assert

# built_with_sanitizers: some limits and times do not hold for such a build.
built_with_sanitizers() {
	grep -q -e '-fsanitize=address' "$FLUE_BUILD/Makefile"
}

# The manifest of the newest complete checkpoint in the directory ck; nothing: there is none.
newest() { find ck -name MANIFEST 2>/dev/null | sort | tail -n 1; }
