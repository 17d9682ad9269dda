#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# What `make install` puts where, and what can be built and run from there: the tools, the
# module of --backend rocksdb, the headers, and the operator of examples/operator.

load helper

setup() {
	# The tools that are installed are found, and those that were built are not.
	PATH=$prefix/bin:${PATH//"$FLUE_BIN":/}
	cd "$BATS_TEST_TMPDIR" || return
}

setup_file() {
	export prefix=$BATS_FILE_TMPDIR/prefix
	install_to prefix="$prefix"
	# As the library was built, sanitizers and all.
	codegen=$(sed -n 's/^FLUE_CODEGEN = *//p' "$FLUE_BUILD/Makefile")
	# A C program that is linked with a sanitized library of C++, too: clang has to be told.
	if built_with_sanitizers && "$FLUE_CC" --version | grep -q clang; then
		codegen="$codegen -fsanitize-link-c++-runtime"
	fi
	export codegen
	cp -R "$FLUE_SOURCE/examples/operator" "$BATS_FILE_TMPDIR/operator"
	chmod -R u+w "$BATS_FILE_TMPDIR/operator"
}

# make_alone ARGUMENT…: with no flags of the make that runs the tests.
make_alone() {
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s "$@"
}

# install_to VARIABLE=DIRECTORY
install_to() {
	make_alone -C "$FLUE_BUILD" install "$1" \
		>"$BATS_FILE_TMPDIR/install.log" 2>&1 || fail "$(tail "$BATS_FILE_TMPDIR/install.log")"
}

# flue_pc ARGUMENT…: what pkg-config says of the installed library.
flue_pc() {
	PKG_CONFIG_PATH=$prefix/lib/pkgconfig pkg-config --define-prefix "$@" flue
}

# make_operator TARGET: outside of the tree, as its Makefile says.
make_operator() {
	PKG_CONFIG_PATH=$prefix/lib/pkgconfig make_alone -C "$BATS_FILE_TMPDIR/operator" "$1" \
		PKG_CONFIG='pkg-config --define-prefix' CC="$FLUE_CC" CFLAGS="-std=gnu17 -O2 -Wall -Wextra -Werror $codegen"
}

@test "every tool and every page of the manual is installed" {
	local tool page

	for tool in $FLUE_TOOLS; do
		assert_equal "$(command -v "$tool")" "$prefix/bin/$tool"
		run -0 "$tool" --version
		assert_output --partial "$FLUE_VERSION"
	done
	for page in "$FLUE_SOURCE"/man/*.[1-8]; do
		cmp "$page" "$prefix/share/man/man${page##*.}/${page##*/}"
	done
}

@test "a pipeline of installed tools, with state on disk" {
	cp "$FLUE_SOURCE/examples/clicks.csv" .
	fkeyby --icsv --time ts --watermark 5s url clicks.csv | fwindow tumble 1m |
		freduce -q n=count --ocsv >memory.csv
	fkeyby --icsv --time ts --watermark 5s url clicks.csv | fwindow tumble 1m |
		freduce -q n=count --backend rocksdb --ocsv >disk.csv
	[ "$(wc -l <memory.csv)" -eq 8 ]
	cmp memory.csv disk.csv
}

@test "DESTDIR takes everything, and works where it is" {
	local root=$PWD/root

	install_to DESTDIR="$root"
	assert_equal "$(find root -path '*/bin/freduce' -o -name rocksdb.so -o -name flue.pc | wc -l)" 3
	printf 'a\n1\n2\n' >in.csv
	run -0 "$(find "$root" -path '*/bin/freduce')" --backend rocksdb n=count in.csv --ocsv
	assert_output $'n\n2'
}

@test "a module that somebody else could have put there is not loaded" {
	[ "$(id -u)" -eq 0 ] || skip "only root can give a file away"
	mkdir -p bin lib/flue
	cp "$prefix/bin/freduce" bin
	cp "$prefix/lib/flue/rocksdb.so" lib/flue
	printf 'a\n1\n2\n' >in.csv
	run -0 bin/freduce --backend rocksdb n=count in.csv --ocsv
	chown 12345 lib/flue/rocksdb.so
	run -69 bin/freduce --backend rocksdb n=count in.csv --ocsv
	assert_output --partial "is not installed"
}

@test "every installed header compiles alone, outside of the tree" {
	local header cflags

	read -ra cflags < <(flue_pc --cflags)
	[ "$(find "$prefix/include/flue" -name '*.h' | wc -l)" -gt 15 ]
	while read -r header; do
		printf '#include "%s"\n' "$header" >alone.c
		"$FLUE_CC" -std=gnu17 -Wall -Wextra -Werror -Wno-unused-function "${cflags[@]}" \
			-fsyntax-only alone.c || fail "$header"
	done < <(find "$prefix/include/flue" -name '*.h' -printf '%P\n' | sort)
}

@test "flue.pc knows the version and the library" {
	assert_equal "$(flue_pc --modversion)" "$FLUE_VERSION"
	assert_regex "$(flue_pc --libs)" "-L$prefix/lib .*-lflue"
}

@test "examples/operator: builds, and says which hosts fell silent" {
	make_operator fquiet
	run -0 make_operator check
	assert_output --partial "the right hosts, alone and in a checkpointed line"
}

# make_beats: hosts are silent for 20 seconds now and then; beats come up to 6 seconds late.
make_beats() {
	awk 'BEGIN {
		srand(7)
		print "ts,host"
		for (i = 0; i < 100000; i++)
			print int(i / 50) - int(rand() * 7) ",host" int(rand() * 300)
	}' >all.csv
	fkeyby --time ts --watermark 3s host all.csv |
		"$BATS_FILE_TMPDIR/operator/fquiet" 20s -q --ocsv >wanted.csv
	[ "$(wc -l <wanted.csv)" -gt 1000 ]
}

# slowly: from standard input to output, so that there is time to kill.
slowly() {
	while [ "$(dd bs=64k count=1 status=none | tee /dev/fd/3 | wc -c)" -gt 0 ]; do
		sleep 0.02
	done 3>&1
}

# region ARGUMENT…: of begin; the exit statuses, in one word, or nothing if it failed.
region() {
	fcheckpoint begin -d ck --every 20ms "$@" beats.csv |
		fkeyby --icsv --time ts --watermark 3s host |
		slowly |
		"$BATS_FILE_TMPDIR/operator/fquiet" 20s -q |
		fcheckpoint commit -o out.csv
	echo "${PIPESTATUS[*]}"
}

@test "examples/operator: its state and timers come back in the next run" {
	make_operator fquiet
	make_beats
	head -n 50000 all.csv >beats.csv
	region --keep-open >statuses
	cp out.csv half.csv
	[ "$(wc -l <half.csv)" -gt 500 ]
	sed -n '50001,$p' all.csv >>beats.csv
	region >statuses
	assert_equal "$(cat statuses)" "0 0 0 0 0"
	cmp wanted.csv out.csv
}

@test "examples/operator: goes on after kill -9 as if nothing had happened" {
	local statuses="" i kills=0 pid

	make_operator fquiet
	make_beats
	cp all.csv beats.csv
	for i in 1 2 3 4 5; do
		region >statuses 2>err &
		pid=$!
		if [ "$i" -lt 4 ]; then
			sleep "0.$((i * 2))"
			pkill -9 -P "$pid" -x fquiet || true
		fi
		wait "$pid" || true
		statuses=$(cat statuses)
		[ "$statuses" != "0 0 0 0 0" ] || break
		kills=$((kills + 1))
	done
	assert_equal "$statuses" "0 0 0 0 0"
	[ "$kills" -gt 0 ] || fail "nothing was killed"
	cmp wanted.csv out.csv
}

@test "make uninstall leaves no file" {
	install_to prefix="$PWD/gone"
	[ -x gone/bin/fcat ]
	make_alone -C "$FLUE_BUILD" uninstall prefix="$PWD/gone" >/dev/null 2>&1
	assert_equal "$(find gone -type f -o -type l)" ""
}
