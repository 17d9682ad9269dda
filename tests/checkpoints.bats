#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Checkpoints of every version of the state formats, kept in tests/checkpoints: each is
# restored from, and its line goes on to the end of the input as if it had never stopped.

load helper

kept=$BATS_TEST_DIRNAME/checkpoints

# run_line NAME OUTPUT [OPTION…]: with the directory ck.
run_line() {
	rm -f branch
	mkfifo branch
	timeout 20 bash -c '. "$0"; directory=ck output=$2 name=$1; shift 2
		begin_options=("$@"); keep_line "$name"' "$kept/lines.bash" "$@"
}

# table FILE: what it comes to, in any order.
table() {
	if [[ $(head -n 1 "$1") = op,* ]]; then fcat --final --ocsv "$1"; else cat "$1"; fi | sort
}

# restore VERSION NAME: the first half's output, then what the restored line appends.
restore() {
	cd "$BATS_TEST_TMPDIR" || return
	cp -R "$kept/$1/$2" kept
	chmod -R u+w,go= kept
	cd kept || return
	cp first.csv out.csv
	# the log is followed, as it was; what it has by now is all that there is
	run_line "$2" second.csv --follow --every 50ms --allow-moved-input --allow-dropped-state &
	for _ in {1..100}; do
		sleep 0.1
		[ "$(fcheckpoint list --ojsonl ck 2>/dev/null | wc -l)" -lt 2 ] || break
	done
	fcheckpoint savepoint ck --drain >/dev/null
	wait "$!"

	# what an uninterrupted run gives
	rm -rf ck
	[ ! -e late.csv ] || mv late.csv late.second
	run_line "$2" whole.csv
	[ ! -e late.csv ] || diff -u late.csv late.second
	cat second.csv >>out.csv # the header line is in the first half, if that has one
	if [[ " ${tables[*]} " = *" ${2%-disk} "* ]]; then
		diff -u <(table whole.csv) <(table out.csv)
	else
		diff -u whole.csv out.csv
	fi
}

@test "every kept checkpoint is restored" {
	local dir version name

	# shellcheck disable=SC1091
	. "$kept/lines.bash"
	for dir in "$kept"/*/; do
		version=$(basename "$dir")
		for name in "$dir"*/; do
			name=$(basename "$name")
			BATS_TEST_TMPDIR=$BATS_TEST_TMPDIR/$version-$name
			mkdir "$BATS_TEST_TMPDIR"
			(restore "$version" "$name") || fail "$version/$name"
			BATS_TEST_TMPDIR=${BATS_TEST_TMPDIR%/*}
		done
	done
}

@test "each line of today has a kept checkpoint, and each kept one a line" {
	# shellcheck disable=SC1091
	. "$kept/lines.bash"
	diff -u <(printf '%s\n' "${lines[@]}" | sort) <(
		cd "$kept"
		printf '%s\n' */*/ | cut -d / -f 2 | sort -u
	)
}
