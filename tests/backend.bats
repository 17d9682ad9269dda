#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# State on disk (--backend rocksdb), and state that is forgotten (--ttl).

load helper

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	mkdir tmp
	export TMPDIR=$PWD/tmp
}

# make_input [ROWS]: keys come again and again, and late; there are many more than the
# limits below hold.
make_input() {
	awk -v rows="${1:-60000}" 'BEGIN {
		srand(5)
		print "ts,k,v"
		for (i = 0; i < rows; i++)
			print int(i / 100) - int(rand() * 8) ",user" int(rand() * 20000) "," i % 97
	}' >in.csv
}

# result FILE WINDOW ARGUMENT…: of freduce.
result() {
	local to=$1 window=$2

	shift 2
	if [ -n "$window" ]; then
		# shellcheck disable=SC2086 # words
		fkeyby --time ts --watermark 3s k in.csv | fwindow $window
	else
		fkeyby --time ts --watermark 3s k in.csv
	fi | freduce -q "$@" n=count 's=sum(v)' 'first=first(v)' 'list=array_agg(v)' 'p=p90(v)' \
		--ocsv >"$to"
}

@test "the results are the same bytes on disk, with a memory that holds a tenth" {
	local window

	make_input
	for window in '' 'tumble 1m' 'slide 5m 1m' 'slide 1m 7s --lateness 20s' 'cumulate 5m 1m' \
		'session 5s'; do
		result memory.csv "$window"
		result disk.csv "$window" --backend rocksdb --max-memory 1M
		[ "$(wc -l <memory.csv)" -gt 10000 ]
		cmp memory.csv disk.csv || fail "fwindow $window"
	done
}

@test "updates and late firings are the same, too" {
	make_input
	result memory.csv 'slide 1m 20s --lateness 20s' --updates
	result disk.csv 'slide 1m 20s --lateness 20s' --updates --backend rocksdb --max-memory 1M
	grep -q '^-U' memory.csv
	cmp memory.csv disk.csv
}

@test "the files are in TMPDIR, and gone afterwards" {
	make_input
	result disk.csv '' --backend rocksdb --max-memory 1M
	assert_equal "$(ls tmp)" ""
	TMPDIR=$PWD/none run -73 freduce --backend rocksdb n=count in.csv
	assert_output --partial "$PWD/none"
}

@test "the module is loaded when it is chosen, and named where it is missing" {
	make_input
	cp "$FLUE_BIN/freduce" .
	run -0 ./freduce n=count in.csv -o out.csv
	run -69 ./freduce --backend rocksdb n=count in.csv -o out.csv
	assert_output --partial 'rocksdb.so is not installed'
	run -64 freduce --backend disk n=count in.csv
}

# region FILE ARGUMENT…: the exit statuses of the line, in one word.
region() {
	local to=$1

	shift
	fcheckpoint begin -d ck --every 50ms in.csv |
		fkeyby --icsv --time ts --watermark 3s k |
		fwindow slide 5m 1m |
		freduce -q "$@" n=count 's=sum(v)' 'list=array_agg(v)' |
		fcheckpoint commit -o "$to"
	echo "${PIPESTATUS[*]}"
}

# killed N PID: kill freduce of the region that runs as PID, when there are N checkpoints.
killed() {
	local before=$1 i

	for ((i = 0; i < 400; i++)); do
		[ "$(find ck -name MANIFEST 2>/dev/null | wc -l)" -lt "$before" ] || break
		sleep 0.01
	done
	pkill -9 -P "$2" -x freduce || true
}

@test "a region on disk goes on after kill -9 as if nothing had happened" {
	local statuses kills=0 i region_pid

	command -v fcheckpoint >/dev/null
	make_input 400000
	fkeyby --time ts --watermark 3s k in.csv | fwindow slide 5m 1m |
		freduce -q n=count 's=sum(v)' 'list=array_agg(v)' --ocsv >want.csv
	for ((i = 1; i <= 20; i++)); do
		region out.csv --backend rocksdb --max-memory 1M >statuses 2>err &
		region_pid=$!
		[ "$i" -gt 4 ] || killed "$i" "$region_pid"
		wait "$region_pid" || true
		statuses=$(cat statuses)
		[ "$statuses" != "0 0 0 0 0" ] || break
		kills=$((kills + 1))
	done
	assert_equal "$statuses" "0 0 0 0 0"
	cmp want.csv out.csv
	[ "$kills" -gt 0 ] || fail "nothing was killed"
}

@test "a checkpoint on disk is for the same backend and aggregates" {
	make_input
	line() {
		fcheckpoint begin -d ck --every 20ms --keep-open in.csv | fkeyby --icsv --time ts k |
			freduce -q "$@" | fcheckpoint commit -o out.csv
		echo "${PIPESTATUS[2]}"
	}
	line --backend rocksdb --max-memory 1M n=count >statuses 2>err || true
	echo '9999,user1,1' >>in.csv
	run line n=count
	assert_output --partial "--backend"
	run line --backend rocksdb m='sum(v)' n=count
	assert_output --partial "aggregates"
}

@test "--ttl: what was not written for so long begins anew, and is not shown" {
	(printf 'k,v\na,1\nb,2\n' && sleep 1.5 && printf 'a,10\nc,5\n') |
		fkeyby --icsv k | freduce --ttl 1s 's=sum(v)' n=count --ocsv >out.csv
	assert_equal "$(cat out.csv)" "$(printf 'k,s,n\na,10,1\nc,5,1')"
	(printf 'k,v\na,1\nb,2\n' && sleep 1.5 && printf 'a,10\nc,5\n') |
		fkeyby --icsv k | freduce --ttl 1s --updates 's=sum(v)' --ocsv >out.csv
	assert_equal "$(cut -d, -f1,2,3 out.csv | tail -n 2)" "$(printf '+I,a,10\n+I,c,5')"
	printf 'k,v\na,1\nb,2\na,3\n' | fkeyby --icsv k | freduce --ttl 1d 's=sum(v)' --ocsv >out.csv
	assert_equal "$(cat out.csv)" "$(printf 'k,s\na,4\nb,2')"
	make_input
	run -64 freduce --ttl 1s --backend rocksdb n=count in.csv </dev/null
}
