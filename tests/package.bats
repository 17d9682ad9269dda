#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# The Debian packages: built from what `make dist` gives, in a scratch directory, looked at
# by lintian, unpacked, and tried as debian/tests does where they are installed.

load helper

# Optimised less and without debug information, which takes half of the time.
setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s -C "$FLUE_BUILD" dist >log 2>&1 ||
		fail "make dist: $(tail log)"
	tar xf "$FLUE_BUILD/flue-$FLUE_VERSION.tar.xz"
	rm "$FLUE_BUILD/flue-$FLUE_VERSION.tar.xz"
	cd "flue-$FLUE_VERSION" || return
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL \
		DEB_BUILD_OPTIONS="nocheck noautodbgsym parallel=$(nproc)" \
		DEB_CFLAGS_APPEND='-O1 -g0' DEB_CXXFLAGS_APPEND='-O1 -g0' \
		dpkg-buildpackage -us -uc -b >../log 2>&1 </dev/null || fail "$(tail -n 40 ../log)"
}

setup() {
	cd "$BATS_FILE_TMPDIR" || return
	root=$BATS_FILE_TMPDIR/root
	[ -d "$root" ] || for package in ./*.deb; do
		dpkg-deb -x "$package" "$root"
	done
	libdir=$(dirname "$(find "$root/usr/lib" -name libflue.a)")
	PATH=$root/usr/bin:${PATH//"$FLUE_BIN":/}
}

@test "three packages are built from the distribution, without a warning" {
	assert_equal "$(printf '%s\n' *.deb | sed 's/_.*//' | sort)" $'flue\nflue-rocksdb\nlibflue-dev'
	# What dwz says of files without debug information is meant; and so are the compiler's
	# guesses with -O1: the other builds make warnings errors.
	refute grep -E '^d[a-z_-]*: warning' <(grep -v '^dh_dwz: ' log)
}

@test "lintian has nothing to object to" {
	run lintian --allow-root --fail-on error,warning ./*.changes
	assert_success
	refute_output --regexp '^[EW]: '
}

@test "each tool, its page, its library: in the package where it belongs" {
	local tool

	for tool in $FLUE_TOOLS; do
		[ -x "$root/usr/bin/$tool" ] || fail "$tool is missing"
		[ -e "$root/usr/share/man/man1/$tool.1.gz" ] || fail "man $tool is missing"
	done
	dpkg-deb -c flue-rocksdb_*.deb | grep -q '/flue/rocksdb\.so$'
	refute grep -q rocksdb <(dpkg-deb -f "$(echo flue_*.deb)" Depends)
	dpkg-deb -f flue-rocksdb_*.deb Depends | grep -q librocksdb
	dpkg-deb -c libflue-dev_*.deb | grep -q '/include/flue/run/op\.h$'
	dpkg-deb -c libflue-dev_*.deb | grep -q '/pkgconfig/flue\.pc$'
}

@test "the tools are hardened" {
	local file

	for file in "$root"/usr/bin/f* "$libdir/flue/rocksdb.so"; do
		readelf -hlW "$file" >elf
		readelf -dW "$file" >>elf
		grep -q 'Type: *DYN' elf && grep -q GNU_RELRO elf && grep -Eq 'BIND_NOW|Flags: .*NOW' elf ||
			fail "$file"
		refute grep -E 'GNU_STACK.* RWE' elf
	done
	readelf -sW --dyn-syms "$root/usr/bin/freduce" >symbols
	grep -q __stack_chk_fail symbols
}

@test "debian/tests/pipeline passes" {
	EXAMPLES=$root/usr/share/doc/flue/examples run -0 "flue-$FLUE_VERSION/debian/tests/pipeline"
	assert_line "the same three times"
}

@test "debian/tests/operator passes" {
	export PKG_CONFIG_PATH=$libdir/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
	export PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1
	EXAMPLES=$root/usr/share/doc/libflue-dev/examples run -0 \
		env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL "flue-$FLUE_VERSION/debian/tests/operator"
	assert_line --partial "the right hosts"
}
