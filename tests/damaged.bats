#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Damaged checkpoints, end to end: whatever happens to a file of the newest checkpoint, the
# line finds it, names it and ends with 65 (78 where it is sound, but of something else);
# fcheckpoint verify finds it too; and after fcheckpoint rewind to the older checkpoint the
# line gives what it would have given. It never crashes, hangs or writes a wrong result.

# shellcheck disable=SC2012,SC2016

load helper

# line BEGIN: the job; its last exit status is in code, what it says in said.
line() {
	code=$(timeout --foreground 30 bash -c "fcheckpoint begin -d ck --every 1h --retain 9 $1 |
		fkeyby --icsv k | ${sum-$count} |
		fcheckpoint commit -o out.csv"'
		echo "${PIPESTATUS[-1]}"' 2>said)
}

# job: two checkpoints, each with results; the rest of the input is there.
job() {
	head -n 3000 in.csv >log.csv
	line "--keep-open log.csv"
	sed -n 3001,6000p in.csv >>log.csv
	line "--keep-open log.csv"
	[ "$code" -eq 0 ]
	tail -n +6001 in.csv >>log.csv
}

count="fwindow count 3 | freduce n=count 's=sum(v)' 'l=last(v)'"
# states on disk: parts that are merged, and rows that are brought back
rocks='freduce --backend rocksdb n=count "s=sum(v)" "l=last(v)"'
ranks='frank 2 --by "v desc" --rank r --updates --backend rocksdb'

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	awk 'BEGIN {
		srand(4); print "k,v"
		for (i = 0; i < 9000; i++) printf "key%d,%d\n", int(rand() * 200), i
	}' >in.csv
	fkeyby --icsv k in.csv | fwindow count 3 | freduce n=count 's=sum(v)' 'l=last(v)' --ocsv >want.csv
	[ "$(wc -l <want.csv)" -gt 2500 ]
	job
	cp -a ck ck.saved
	cp out.csv out.saved
	# of another job
	mkdir other
	cd other || return
	sed 's/key/KEY/' ../in.csv >in.csv
	job
	# and some with a state on disk
	for sum in "$rocks" "$ranks"; do
		cd .. || return
		mkdir "on-disk-${sum%% *}"
		cd "on-disk-${sum%% *}" || return
		cp ../in.csv .
		fkeyby --icsv k in.csv | eval "${sum/--backend rocksdb/} --ocsv" >want.csv
		job
		cp -a ck ck.saved
		cp out.csv out.saved
	done
}

# The job as it was; the files are the same inodes.
setup() {
	cd "$BATS_FILE_TMPDIR" || return
	fresh
	new=$(ls -d ck/chk-* | tail -n 1)
	old=$(ls -d ck/chk-* | tail -n 2 | head -n 1)
	[ "$old" != "$new" ]
}

fresh() {
	rm -rf ck
	cp -a ck.saved ck
	cat out.saved >out.csv
}

# found FILE [CODES]: verify and the line find the damage and name the file; the output is
# as it was.
found() {
	local name=${1##*/} codes=${2:-65}

	run timeout 10 fcheckpoint verify ck
	[ "$status" -eq 65 ] || fail "$what: verify ends with $status: $output"
	[[ $output = *"$name"* ]] || fail "$what: verify does not name $name: $output"
	line log.csv
	[[ " $codes " = *" $code "* ]] || fail "$what: the line ends with $code, not $codes: $(cat said)"
	grep -qF "$name" said || fail "$what: the line does not name $name: $(cat said)"
	[ "$(wc -l <said)" -eq 1 ] || fail "$what: more than one message: $(cat said)"
	cmp out.saved out.csv || fail "$what: the output was touched"
}

# back: from the older checkpoint all is as it should be.
back() {
	local id=$((10#${old##*-}))

	run timeout 10 fcheckpoint rewind "ck@$id"
	[ "$status" -eq 0 ] || fail "$what: rewind ends with $status: $output"
	line log.csv
	[ "$code" -eq 0 ] || fail "$what: after the rewind: $code: $(cat said)"
	cmp want.csv out.csv || fail "$what: after the rewind another result"
}

# flip FILE BYTE BIT
flip() {
	local byte

	byte=$(od -An -tu1 -j "$2" -N 1 "$1")
	# shellcheck disable=SC2059
	printf "\\x$(printf %02x $((byte ^ (1 << $3))))" |
		dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

states() {
	ls "$new"/*.state
}

@test "nothing damaged: the job goes on" {
	run -0 fcheckpoint verify ck
	line log.csv
	[ "$code" -eq 0 ]
	cmp want.csv out.csv
}

@test "cut off anywhere" {
	local f size n

	for f in $(states) "$new/MANIFEST"; do
		fresh
		size=$(stat -c %s "$f")
		for n in 0 1 8 $((size / 2)) $((size - 1)); do
			what="$f cut to $n of $size"
			fresh
			truncate -s "$n" "$f"
			found "$f"
		done
		back
	done
}

@test "any bit of the header, and bits all over" {
	local f size at

	for f in $(states) "$new/MANIFEST"; do
		fresh
		size=$(stat -c %s "$f")
		for at in 0 1 7 8 9 12 13 16 23 $((size / 3)) $((size * 2 / 3)) $((size - 9)) $((size - 2)); do
			what="$f, byte $at of $size"
			fresh
			flip "$f" "$at" $((at % 8))
			found "$f"
		done
		back
	done
}

@test "every bit of the header of one state" {
	local f at

	f=$(ls "$new"/freduce*.state)
	for ((at = 0; at < 24 * 8; at += 5)); do
		what="bit $at"
		fresh
		flip "$f" $((at / 8)) $((at % 8))
		found "$f"
	done
}

@test "something behind the end" {
	local f

	for f in $(states) "$new/MANIFEST"; do
		what="$f is longer"
		fresh
		printf '\0' >>"$f"
		found "$f"
	done
	back
}

@test "missing" {
	local f

	for f in $(states); do
		what="$f is missing"
		fresh
		rm "$f"
		found "$f"
		back
	done
}

@test "the states of two operators exchanged" {
	local a b

	what="exchanged"
	a=$(ls "$new"/freduce*.state)
	b=$(ls "$new"/fkeyby*.state)
	mv "$a" saved && mv "$b" "$a" && mv saved "$b"
	run -65 fcheckpoint verify ck
	line log.csv
	[ "$code" -eq 65 ] || fail "$code: $(cat said)"
	back
}

@test "an older state in the newer checkpoint, and the other way round" {
	local f

	for f in $(states); do
		what="$f is older"
		fresh
		cp "$(ls "$old/$(basename "$f" | sed 's/\.a[0-9]*\..*//')".*.state)" "$f"
		! cmp -s "$f" "ck.saved/${f#ck/}" || continue # a tool without state
		found "$f"
		back
	done
}

@test "a state and a manifest of another job" {
	local f

	for f in $(states); do
		what="$f is foreign"
		fresh
		cp "other/$f" "$f"
		! cmp -s "$f" "ck.saved/${f#ck/}" || continue
		found "$f" "65 78"
		back
	done
	what="the manifest is older"
	fresh
	cp "$old/MANIFEST" "$new/MANIFEST"
	found "$new/MANIFEST" "65 78"
	back
	what="the manifest is foreign"
	fresh
	cp "other/$new/MANIFEST" "$new/MANIFEST"
	run timeout 10 fcheckpoint verify ck
	[ "$status" -eq 65 ] || fail "verify: $status $output"
	line log.csv
	[ "$code" -eq 65 ] || [ "$code" -eq 78 ] || fail "$code: $(cat said)"
	cmp out.saved out.csv
	back
}

@test "a directory, a link or a FIFO in place of a file" {
	local f kind

	for f in $(states) "$new/MANIFEST"; do
		for kind in directory link dangling fifo; do
			what="$f is a $kind"
			fresh
			cp "$f" elsewhere
			rm "$f"
			case $kind in
			directory) mkdir "$f" ;;
			link) ln -s "$PWD/elsewhere" "$f" ;;
			dangling) ln -s "$PWD/nowhere" "$f" ;;
			fifo) mkfifo "$f" ;;
			esac
			found "$f"
		done
		back
	done
}

@test "results that were not in the output yet" {
	local f

	for f in ck/pending/*; do
		what="$f"
		fresh
		truncate -s -20 out.csv # they are needed
		cp out.csv out.short
		flip "$f" $(($(stat -c %s "$f") / 2)) 3
		run -65 fcheckpoint verify ck
		[[ $output = *"${f##*/}"* ]]
		line log.csv
		[ "$code" -eq 65 ] || [ "$code" -eq 0 ] || fail "$code: $(cat said)"
		if [ "$code" -eq 65 ]; then
			grep -qF "${f##*/}" said
			cmp out.short out.csv
		else
			cmp want.csv out.csv
		fi
	done
}

@test "what is said of the attempt" {
	local at size

	size=$(stat -c %s ck/attempt)
	for at in 0 $((size / 2)) $((size - 3)); do
		what="attempt, byte $at"
		fresh
		flip ck/attempt "$at" 2
		line log.csv
		[ "$code" -eq 65 ] || fail "$what: $code: $(cat said)"
		grep -q attempt said
		cmp out.saved out.csv
	done
}

@test "checkpoints that were never complete are of no matter" {
	local id

	id=$(printf 'ck/chk-%010d' $((10#${new##*-} + 5)))
	mkdir "$id"
	head -c 1000 /dev/urandom >"$id/freduce-1.a9.state"
	head -c 1000 /dev/urandom >"$id/freduce-1.a9.done"
	echo rubbish >"$id/MANIFEST.77.tmp"
	head -c 100 /dev/urandom >"$new/freduce-1.a1.state.9.tmp"
	line log.csv
	[ "$code" -eq 0 ] || fail "$code: $(cat said)"
	cmp want.csv out.csv
}

# ---- a state on disk -------------------------------------------------------------------------

# on_disk [LINE]: work with that job; its files of the newest checkpoint are in files.
on_disk() {
	sum=${1-$rocks}
	tool=${sum%% *}
	cd "$BATS_FILE_TMPDIR/on-disk-$tool" || return
	again
	new=$(ls -d ck/chk-* | tail -n 1)
	old=$(ls -d ck/chk-* | tail -n 2 | head -n 1)
	files=$(ls "$new/$tool"-1.a*.files/*)
	[ "$(wc -w <<<"$files")" -ge 4 ] || fail "$files"
	[[ $files = *.sst*CURRENT* || $files = *CURRENT*.sst* ]] || fail "$files"
}

# again: the job as it was. Its checkpoints share files, by hard links: to damage one only,
# it gets a copy.
again() {
	fresh
	[ -z "${1-}" ] || { cp -p "$1" copy && mv copy "$1"; }
}

@test "on disk: nothing damaged, the job goes on; the files are in the manifest, and linked" {
	on_disk
	run -0 fcheckpoint verify ck
	[ "$(grep -o '"name": *"freduce-1[^"]*files/' "$new/MANIFEST" | wc -l)" -eq "$(wc -w <<<"$files")" ]
	[ "$(ls -i ck/chk-*/freduce-1.a*.files/*.sst | awk '{ print $1 }' | sort | uniq -d | wc -l)" -ge 1 ]
	line log.csv
	[ "$code" -eq 0 ] || fail "$code: $(cat said)"
	cmp want.csv out.csv
}

@test "on disk: cut off, longer, any bits, missing" {
	local f size n at

	on_disk
	for f in $files; do
		size=$(stat -c %s "$f")
		for n in 0 1 $((size / 2)) $((size - 1)); do
			what="$f cut to $n of $size"
			again "$f"
			truncate -s "$n" "$f"
			found "$f"
		done
		for at in 0 $((size / 3)) $((size * 2 / 3)) $((size - 1)); do
			what="$f, byte $at of $size"
			again "$f"
			flip "$f" "$at" $((at % 8))
			found "$f"
		done
		what="$f is longer"
		again "$f"
		printf '\0' >>"$f"
		found "$f"
		what="$f is missing"
		again
		rm "$f"
		found "$f"
	done
	back
}

@test "on disk: exchanged, foreign, a link, a directory, one too many" {
	local sst other f

	on_disk
	sst=$(grep 'sst$' <<<"$files" | head -n 1)
	other=$(grep 'sst$' <<<"$files" | tail -n 1)
	[ "$sst" != "$other" ]
	what="exchanged"
	again
	mv "$sst" saved && mv "$other" "$sst" && mv saved "$other"
	run -65 fcheckpoint verify ck
	[[ $output = *"${sst##*/}"* || $output = *"${other##*/}"* ]]
	line log.csv
	[ "$code" -eq 65 ] || fail "$code: $(cat said)"
	what="older"
	again
	f=$(ls "$new"/*.files/MANIFEST-*)
	cp "$(ls "$old"/*.files/MANIFEST-* | head -n 1)" "$f"
	found "$f"
	what="a link"
	again
	mv "$sst" elsewhere.sst && ln -s "$PWD/elsewhere.sst" "$sst"
	found "$sst"
	what="a directory"
	again
	rm "$sst" && mkdir "$sst"
	found "$sst"
	what="one too many"
	again
	cp "$sst" "${sst%/*}/000099.sst"
	found 000099.sst
	what="all gone"
	again
	rm -r "${sst%/*}"
	found "${sst%/*}"
	back
}

@test "on disk: a table of the older checkpoint, and of another operator" {
	local f other

	for sum in "$rocks" "$ranks"; do
		on_disk "$sum"
		for f in $(grep 'sst$' <<<"$files"); do
			for other in "$old"/*.files/*.sst ../on-disk-*/ck.saved/"${f#ck/}"; do
				what="$f is $other"
				again "$f"
				! cmp -s "$f" "$other" || continue
				cp "$other" "$f"
				found "$f"
			done
		done
		what="the tables of the older checkpoint"
		again
		rm "${f%/*}"/*.sst && cp "$old"/*.files/*.sst "${f%/*}"
		found "$f"
		back
	done
}

@test "on disk: rows that are brought back: cut off, any bits, missing" {
	local f size

	on_disk "$ranks"
	for f in $files; do
		what="$f cut"
		again "$f"
		size=$(stat -c %s "$f")
		truncate -s $((size - 1)) "$f"
		found "$f"
		what="$f, byte $((size / 3))"
		again "$f"
		flip "$f" $((size / 3)) 5
		found "$f"
		what="$f is missing"
		again
		rm "$f"
		found "$f"
		back
	done
}

@test "on disk: a file that two checkpoints share is damaged in both" {
	local f

	for sum in "$rocks" "$ranks"; do
		on_disk "$sum"
		f=$(find "$old"/*.files -name '*.sst' | head -n 1)
		what="$f is shared"
		[ "$(stat -c %i "$f")" = "$(stat -c %i "$new/$tool"-1.a*.files/"${f##*/}")" ]
		flip "$f" 99 1
		found "$f"
		[ "$(grep -c damaged <<<"$output")" -ge 2 ] || fail "$output"
		run timeout 10 fcheckpoint rewind "ck@$((10#${old##*-}))"
		[ "$status" -eq 65 ] || fail "the rewind ends with $status: $output"
		[[ $output = *"${f##*/}"* ]] || fail "$output"
		# what was copied elsewhere in time is as good as ever
		flip "$f" 99 1
		what="repaired"
		back
	done
}

# hash FILE: as in manifests.
hash() {
	[ -x "$BATS_FILE_TMPDIR/hash" ] ||
		"$FLUE_CC" -x c -o "$BATS_FILE_TMPDIR/hash" - <<-'EOF'
			#define XXH_INLINE_ALL
			#include <stdio.h>
			#include <xxhash.h>
			int main(void)
			{
				static char b[1 << 20];
				size_t n = fread(b, 1, sizeof b, stdin);
				return printf("%016llx", (unsigned long long)XXH3_64bits(b, n)) < 0;
			}
		EOF
	"$BATS_FILE_TMPDIR/hash" <"$1"
}

# vouch FILE…: the manifest says that they are to be as they are.
vouch() {
	local f

	head -n -1 "$new/MANIFEST" >body
	for f; do
		awk -v name="\"${f#"$new/"}\"" -v size="$(stat -c %s "$f")" -v hash="$(hash "$f")" '
			/"name":/ { this = index($0, name) }
			this && /"size":/ { sub(/[0-9]+/, size) }
			this && /"hash":/ { sub(/"[0-9a-f]+"$/, "\"" hash "\""); this = 0 }
			{ print }' body >body.new
		mv body.new body
	done
	{ cat body && printf 'xxh3 %s\n' "$(hash body)"; } >"$new/MANIFEST"
}

@test "on disk: hostile files, of which the manifest is right" {
	local f a b size

	for sum in "$rocks" "$ranks"; do
		on_disk "$sum"
		cp "$new/MANIFEST" before
		# shellcheck disable=SC2086 # names without spaces
		vouch $files
		cmp before "$new/MANIFEST" # as it was made: the manifest is understood here
		a=$(grep 'sst$' <<<"$files" | head -n 1)
		b=$(grep 'sst$' <<<"$files" | tail -n 1)
		for what in exchanged current "cut "{a,b} "index "{a,b} "end "{a,b,MANIFEST}; do
			again
			case $what in
			*a) f=$a ;;
			*b) f=$b ;;
			*MANIFEST) f=$(grep MANIFEST- <<<"$files") ;;
			exchanged) f=$a && cp "$a" saved && rm "$a" && cp "$b" "$a" && rm "$b" && cp saved "$b" ;;
			current) f=$new/$tool-1.a2.files/CURRENT && echo OPTIONS-000007 >"$f" ;;
			esac
			cp -p "$f" copy && mv copy "$f"
			size=$(stat -c %s "$f")
			case $what in
			cut*) truncate -s $((size - 30)) "$f" ;;
			index*) flip "$f" $((size - 700)) 3 ;;
			end*) flip "$f" $((size - 9)) 3 ;;
			esac
			# shellcheck disable=SC2086
			vouch $files
			run -0 timeout 10 fcheckpoint verify ck
			line log.csv
			[ "$code" -eq 65 ] || fail "$what: the line ends with $code, not 65: $(cat said)"
			cmp out.saved out.csv || fail "$what: the output was touched"
		done
		back
	done
}
