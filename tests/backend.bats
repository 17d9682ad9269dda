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
	: >go
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

# For begin: half of the file $1, then a line now and then, until there is a file go.
# shellcheck disable=SC2016
slowly='half=$(($(wc -l <"$1") / 2))
	head -n "$half" "$1"
	tail -n +"$((half + 1))" "$1" | {
		while [ ! -e go ] && IFS= read -r line; do
			echo "$line"
			sleep 0.01
		done
		cat
	}'

# killed VICTIM KILLS COMMAND…: run the line until it ends well. In its first KILLS runs
# VICTIM is killed when there is one more checkpoint. COMMAND prints the exit statuses.
killed() {
	local victim=$1 kills=$2 i before pid

	shift 2
	for ((i = 1; i <= 20; i++)); do
		rm -f go
		[ "$i" -le "$kills" ] || : >go
		before=$(newest)
		"$@" >statuses 2>err &
		pid=$!
		while [ "$i" -le "$kills" ] && [ "$(newest)" = "$before" ]; do
			kill -0 "$pid" || fail "run $i has ended: $(cat statuses err)"
			sleep 0.01
		done
		[ "$i" -gt "$kills" ] || pkill -9 -P "$pid" -x "$victim"
		wait "$pid" || true
		[ "$(cat statuses)" != "0 0 0 0 0" ] || break
	done
	assert_equal "$(cat statuses) $(tail -n 3 err)" "0 0 0 0 0 $(tail -n 3 err)"
	[ "$i" -gt "$kills" ] || fail "run $i was killed, and ended well"
}

# region FILE ARGUMENT…: the exit statuses of the line, in one word.
region() {
	local to=$1

	shift
	fcheckpoint begin -d ck --every 50ms -- bash -c "$slowly" - in.csv |
		fkeyby --icsv --time ts --watermark 3s k |
		fwindow slide 5m 1m |
		freduce -q "$@" n=count 's=sum(v)' 'list=array_agg(v)' |
		fcheckpoint commit -o "$to"
	echo "${PIPESTATUS[*]}"
}

@test "a region on disk goes on after kill -9 as if nothing had happened" {
	make_input 60000
	fkeyby --time ts --watermark 3s k in.csv | fwindow slide 5m 1m |
		freduce -q n=count 's=sum(v)' 'list=array_agg(v)' --ocsv >want.csv
	killed freduce 3 region out.csv --backend rocksdb --max-memory 1M
	cmp want.csv out.csv
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
}

# ---- fdedup, frank, fover ----

# pairs LINE…: in each, @ is where options of the backend go. The same bytes come out of
# memory and of a disk whose cache holds a part; the memory alone would not do.
pairs() {
	local line

	for line in "$@"; do
		eval "${line//@/}" >memory.csv || fail "$line"
		[ "$(wc -l <memory.csv)" -gt 5000 ] || fail "too few rows: $line"
		run eval "${line//@/--max-memory 400K}"
		[ "$status" -eq 71 ] || fail "400K are enough without a disk: $line"
		eval "${line//@/--backend rocksdb --max-memory 400K}" >disk.csv || fail "$line"
		cmp memory.csv disk.csv || fail "$line"
	done
	assert_equal "$(ls tmp)" ""
}

by_key='set -o pipefail; fkeyby k in.csv'
by_time='set -o pipefail; fkeyby --time ts --watermark 3s k in.csv'
changes='set -o pipefail; fkeyby k,v in.csv | freduce n=count --updates'

@test "fdedup: the same bytes on disk" {
	make_input 30000
	pairs "$by_key | fdedup --ocsv @" \
		"$by_time | fdedup --ocsv @" \
		"$by_key | fdedup --keep last --updates --ocsv @" \
		"$by_time | fdedup --within 200s --ocsv @" \
		"$by_time | fdedup --within 200s --keep last --ocsv @" \
		"$by_time | fwindow tumble 2m | fdedup --ocsv @" \
		"$by_time | fwindow session 40s | fdedup --keep last -q --ocsv @" \
		"$changes | fkeyby k | fdedup --keep last --updates --ocsv @"
}

@test "frank: the same bytes on disk, of tables, changelogs, windows" {
	make_input 30000
	pairs "$by_key | frank 2 --by 'v desc' --ocsv @" \
		"$by_key | frank 2 --by 'v desc, k' --offset 1 --rank r --updates --ocsv @" \
		"$by_time | fwindow tumble 2m | frank 2 --by 'v desc' --rank r --ocsv @" \
		"$by_time | fwindow slide 1m 7s | frank 2 --by 'v desc' --ocsv @" \
		"$by_time | fwindow cumulate 3m 1m | frank 2 --by 'v desc' --ocsv @" \
		"$by_time | fwindow session 40s | frank 2 --by 'v desc' --rank r -q --ocsv @" \
		"$changes | fkeyby k | frank 2 --by 'n desc, v' --ocsv @" \
		"$changes | fkeyby k | frank 2 --by 'n desc, v' --rank r --updates --ocsv @"
}

@test "fover: the same bytes on disk, of all frames" {
	make_input 30000
	pairs "$by_key | fover 's=sum(v)' 'r=row_number()' --ocsv @" \
		"$by_time | fover 's=sum(v)' 'r=rank()' -q --ocsv @" \
		"$by_time | fover --rows 2 'l=array_agg(v)' 'm=max(v)' -q --ocsv @" \
		"$by_time | fover --range 60s 's=sum(v)' 'd=count(distinct v)' -q --ocsv @" \
		"$by_time | fover --range unbounded 's=sum(v)' 'l=lag(v)' -q --ocsv @" \
		"$by_time | fover --rows 3 's=sum(v)' 'l=lead(v, 2, 7)' -q --ocsv @"
}

# kept_line STAGE…: a region whose STAGE keeps its state on disk; its exit statuses.
kept_line() {
	local tool=$1

	shift
	fcheckpoint begin -d ck --every 30ms -- bash -c "$slowly" - in.csv |
		fkeyby --icsv --time ts --watermark 3s k |
		fwindow "${window[@]}" |
		"$tool" -q --backend rocksdb --max-memory 1M "$@" |
		fcheckpoint commit -o out.csv
	echo "${PIPESTATUS[*]}"
}

# survives TOOL ARGUMENT…: the line of TOOL, killed twice, gives what it gives in memory.
survives() {
	rm -rf ck out.csv
	fkeyby --time ts --watermark 3s k in.csv | fwindow "${window[@]}" |
		"$1" -q "${@:2}" --ocsv >want.csv
	killed "$1" 2 kept_line "$@"
	cmp want.csv out.csv || fail "$*"
}

@test "fdedup, frank and fover on disk go on after kill -9 as if nothing had happened" {
	local window=()

	make_input 40000
	fwindow() { cat; } # until there is a window
	survives fdedup
	survives fdedup --within 60s --keep last
	survives frank 2 --by 'v desc'
	survives fover --rows 2 's=sum(v)' 'l=lag(v)' 'r=row_number()'
	unset -f fwindow
	window=(slide 5m 1m)
	survives frank 2 --by 'v desc'
	window=(session 30s)
	survives frank 2 --by 'v desc'
}

@test "a checkpoint of fdedup, frank and fover on disk is for the same backend; a damaged one is told" {
	local tool file

	make_input 20000
	line() {
		fcheckpoint begin -d "ck-$tool" --every 20ms --keep-open in.csv |
			fkeyby --icsv --time ts k | "$@" | fcheckpoint commit -o "$tool.csv"
		echo "${PIPESTATUS[2]}"
	}
	for tool in fdedup frank fover; do
		words=()
		[ $tool != frank ] || words=(2 --by 'v desc')
		[ $tool != fover ] || words=(--rows 2 's=sum(v)')
		make_input 20000
		line $tool -q "${words[@]}" --backend rocksdb --max-memory 1M >statuses 2>err || true
		echo '9999,user1,1' >>in.csv
		run line $tool -q "${words[@]}"
		assert_output --partial "--backend"
		assert_equal "${lines[-1]}" 78
		for file in "ck-$tool"/chk-*/*.files/*.sst; do
			# every byte that might be a value; RocksDB keeps sums of its blocks
			perl -pi -e 's/user1/usXr1/g' "$file"
		done
		run line $tool -q "${words[@]}" --backend rocksdb --max-memory 1M
		assert_equal "$tool ${lines[-1]}" "$tool 65"
	done
}

# ---- freduce and fwindow: windows by key, updates, changelogs, --ttl ----

sums="-q n=count 's=sum(v)' 'first=first(v)' 'list=array_agg(v)' --ocsv @"

@test "freduce: the same bytes on disk, of sessions and of late records" {
	make_input 15000
	pairs "$by_time | fwindow session 40s | freduce $sums" \
		"$by_time | fwindow session 20s --lateness 20s | freduce $sums" \
		"$by_time | fwindow session 20s --lateness 20s | freduce --updates $sums"
	# late records: many keys, and times that go back far behind the watermark
	awk -F , -v OFS=, 'NR % 9 == 4 { $1 -= 60 } 1' in.csv >late.in.csv
	pairs "${by_time/in.csv/late.in.csv} | fwindow session 9s --lateness 20s --late late.csv |
		freduce $sums && cat late.csv"
	[ "$(wc -l <late.csv)" -gt 1000 ]
}

@test "freduce: the same bytes on disk, of count and global windows and any trigger" {
	make_input 25000
	pairs "$by_key | fwindow count 2 | freduce $sums" \
		"$by_key | fwindow count 3 1 | freduce $sums" \
		"$by_key | fwindow global --trigger count=2 --purge | freduce $sums" \
		"$by_time | fwindow global --trigger every=50s | freduce $sums" \
		"$by_time | fwindow tumble 2m --trigger every=25s | freduce $sums" \
		"$by_time | fwindow tumble 2m --trigger eager | freduce $sums" \
		"$by_time | fwindow slide 2m 40s --trigger every=30s --lateness 20s | freduce $sums" \
		"$by_time | fwindow cumulate 4m 1m --trigger count=2 | freduce --updates $sums" \
		"$by_time | fwindow session 40s --trigger every=20s | freduce --updates $sums"
}

@test "freduce, fwindow: the same bytes on disk, of evictors, purging and rows" {
	make_input 15000
	pairs "$by_time | fwindow tumble 2m --keep 2 | freduce $sums" \
		"$by_time | fwindow slide 2m 1m --keep 30s | freduce $sums" \
		"$by_time | fwindow slide 2m 40s --purge --lateness 20s | freduce $sums" \
		"$by_time | fwindow session 40s --ocsv -q @" \
		"$by_time | fwindow tumble 2m --trigger every=25s --keep 3 --ocsv -q @"
}

@test "freduce: the same bytes on disk, of updates and of changelogs" {
	make_input 15000
	pairs "$by_key | freduce --updates $sums" \
		"$changes | fkeyby k | freduce c=count 's=sum(n)' 'm=max(v)' 'd=count(distinct v)' --ocsv @" \
		"$changes | fkeyby k | freduce --updates c=count 's=sum(n)' 'm=min(v)' --ocsv @"
}

@test "freduce, windows by key and updates on disk, goes on after kill -9 as if nothing had happened" {
	local window=(session 5s --lateness 5s)

	make_input 40000
	survives freduce n=count 's=sum(v)' 'list=array_agg(v)'
	window=(slide 2m 1m --trigger every=25s)
	survives freduce n=count 's=sum(v)'
	window=(count 3 1)
	survives freduce n=count 'list=array_agg(v)'
	fwindow() { cat; }
	survives freduce --updates n=count 's=sum(v)'
}

@test "a checkpoint of windows by key on disk is for the same backend, aggregates and --ttl" {
	line() {
		fcheckpoint begin -d ck --every 20ms --keep-open in.csv |
			fkeyby --icsv --time ts k | fwindow session 40s "${lateness[@]}" |
			freduce -q "$@" | fcheckpoint commit -o out.csv
		echo "${PIPESTATUS[3]}"
	}
	make_input 20000
	lateness=()
	line --backend rocksdb --max-memory 400K n=count >statuses 2>err || true
	assert_equal "$(cat statuses)" 0
	echo '9999,user1,1' >>in.csv
	run line n=count
	assert_output --partial "--backend"
	assert_equal "${lines[-1]}" 78
	run line --backend rocksdb m='sum(v)' n=count
	assert_output --partial "the aggregates must be those of the checkpoint"
	assert_equal "${lines[-1]}" 78
	lateness=(--lateness 10s)
	run line --backend rocksdb --max-memory 400K n=count
	assert_equal "$output" 0

	fwindow() { cat; }
	rm -rf ck out.csv
	line --backend rocksdb --max-memory 400K n=count >statuses 2>err || true
	echo '9999,user1,1' >>in.csv
	run line --backend rocksdb --ttl 1h n=count
	assert_output --partial "--ttl was not given at the checkpoint, and is given"
	assert_equal "${lines[-1]}" 78
}

@test "--ttl on disk: what has expired begins anew, and is not shown" {
	slowly() {
		make_input 20000
		cat in.csv
		sleep 5
		printf '9998,user1,1000\n9998,user2,2000\n9998,new,3000\n9999,user1,1\n'
	}
	local disk=(--backend rocksdb --max-memory 400K)

	slowly | fkeyby --icsv k | freduce --ttl 2s "${disk[@]}" 's=sum(v)' n=count --ocsv >out.csv
	assert_equal "$(cat out.csv)" "$(printf 'k,s,n\nuser1,1001,2\nuser2,2000,1\nnew,3000,1')"
	slowly | fkeyby --icsv k | freduce --ttl 2s --updates "${disk[@]}" 's=sum(v)' --ocsv |
		tail -n 5 >out.csv
	assert_equal "$(cat out.csv)" \
		"$(printf '+I,user1,1000\n+I,user2,2000\n+I,new,3000\n-U,user1,1000\n+U,user1,1001')"
	make_input 15000
	pairs "$by_key | freduce --ttl 1d $sums" "$by_key | freduce --ttl 1d --updates $sums"
}

# ---- fjoin ----

# make_sides [ROWS]: in.csv and other.csv, whose rows meet; some keys are NULL, some rows late.
make_sides() {
	local file seed=1

	for file in in.csv other.csv; do
		awk -v rows="${1:-4000}" -v seed=$((seed++)) 'BEGIN {
			srand(seed)
			print "ts,k,v"
			for (i = 0; i < rows; i++)
				print int(i / 20) - int(rand() * 3) - (rand() < 0.02 ? 20 : 0) "," \
					(rand() < 0.01 ? "" : "user" int(rand() * rows / 4)) "," i % 97
		}' >$file
	done
	: >go
}

# side FILE: keyed, and in windows where there is a $spans.
side() {
	# shellcheck disable=SC2086 # words
	fkeyby --time ts --watermark 3s k "$1" | if [ -n "$spans" ]; then fwindow $spans; else cat; fi
}

# changes FILE: a changelog of it.
changes() {
	fkeyby k "$1" | frank 2 --by 'v desc' --updates
}

# same_joins ARGUMENT…: fjoin gives the same bytes on disk, where the memory alone would not do.
same_joins() {
	side in.csv | fjoin -q "$@" --ocsv <(side other.csv) >memory.csv
	[ "$(wc -l <memory.csv)" -gt 50 ] || fail "too few rows: $*"
	run -71 bash -o pipefail -c "$(declare -f side); spans='$spans'
		side in.csv | fjoin -q $(printf '%q ' "$@") --max-memory $limit --ocsv <(side other.csv)"
	side in.csv | fjoin -q "$@" --backend rocksdb --max-memory "$limit" --ocsv <(side other.csv) \
		>disk.csv || fail "$spans: $*"
	cmp memory.csv disk.csv || fail "$spans: $*"
	assert_equal "$(ls tmp)" ""
}

@test "fjoin: the same bytes on disk, of intervals" {
	local kind spans='' limit=400K

	make_sides 4000
	for kind in inner left right full semi anti; do
		same_joins $kind --between=-200s,180s
	done
	same_joins full --between=-200s,180s --on 'v + v_r > 90'
	same_joins semi --between=-200s,180s --on 'v + v_r > 90'
	same_joins full --between=-200s,-10s
	same_joins full --between=20s,200s
}

@test "fjoin: the same bytes on disk, of versions" {
	local kind spans='' limit=400K

	make_sides 16000
	for kind in inner left; do
		same_joins $kind --as-of
		same_joins $kind --as-of --on 'v + v_r > 90'
	done
}

@test "fjoin: the same bytes on disk, of windows" {
	local kind spans limit

	make_sides 3000
	for limit in 'tumble 100s:256K' 'tumble 60s --lateness 60s:256K' 'slide 100s 40s:256K' \
		'slide 60s 25s --lateness 50s:256K' 'cumulate 3m 1m:256K' 'session 60s:400K' \
		'session 40s --lateness 100s:400K'; do
		spans=${limit%:*} limit=${limit#*:}
		for kind in inner full anti; do
			same_joins $kind
		done
		same_joins full --on 'v + v_r > 90'
	done
}

# table: what a changelog comes to, its rows in any order; else just the rows.
table() {
	if [ "$1" = inner ] || [ "$1" = semi ] && [ "$2" != changes ]; then
		tail -n +2 | sort
	else
		fcat --icsv --final --ocsv | tail -n +2 | sort
	fi
}

@test "fjoin: the same table on disk, of regular joins and of changelogs" {
	local kind input on

	make_sides 4000
	for input in 'fkeyby k' changes; do
		for kind in inner left right full semi anti; do
			for on in true 'v + v_r > 90'; do
				words=("$kind" --on "$on" --ocsv)
				[ "$on" != true ] || words=("$kind" --ocsv)
				$input in.csv | fjoin "${words[@]}" <($input other.csv) |
					table $kind "$input" >memory.csv
				[ "$(wc -l <memory.csv)" -gt 5 ] || fail "too few rows: $kind"
				$input in.csv |
					fjoin "${words[@]}" --backend rocksdb --max-memory 400K \
						<($input other.csv) | table $kind "$input" >disk.csv
				cmp memory.csv disk.csv || fail "$input: ${words[*]}"
			done
		done
	done
	run -71 bash -o pipefail -c 'fkeyby k in.csv |
		fjoin --max-memory 400K --ocsv <(fkeyby k other.csv)'
}

# join_line ARGUMENT…: a region of two sources whose join is on disk; its exit statuses.
join_line() {
	local stage=cat other=cat

	[ -z "$spans" ] || stage="fwindow $spans" other="fwindow --uid w $spans"
	fcheckpoint begin -d ck --name main --every 30ms -- bash -c "$slowly" - in.csv |
		fkeyby --icsv --time ts --watermark 3s k | $stage |
		fjoin -q --backend rocksdb --max-memory "$limit" "$@" \
			<(fcheckpoint begin -d ck --name other --every 30ms other.csv |
				fkeyby --uid other --icsv --time ts --watermark 3s k |
				$other) |
		fcheckpoint commit -o out.csv
	echo "${PIPESTATUS[*]}"
}

# join_survives ARGUMENT…: killed twice, the line gives what it gives in memory.
join_survives() {
	rm -rf ck out.csv
	side in.csv | fjoin -q "$@" --ocsv <(side other.csv) >want.csv
	killed fjoin 2 join_line "$@"
	cmp <(sort want.csv) <(sort out.csv) || fail "$spans: $*"
	[ -n "$any_order" ] || cmp want.csv out.csv || fail "$spans: $*"
}

@test "fjoin on disk goes on after kill -9 as if nothing had happened" {
	local spans='' any_order='' limit=512K

	make_sides 30000
	join_survives full --between=-10s,10s
	spans='tumble 20s'
	join_survives full
	spans='slide 20s 5s'
	join_survives anti
	spans='session 5s'
	join_survives full
	spans='' limit=4M
	join_survives left --as-of
}

@test "a regular join on disk goes on after kill -9 as if nothing had happened" {
	local spans='' any_order=1 limit=4M

	make_sides 30000
	join_survives inner --on 'v + v_r > 150'
}

@test "a checkpoint of fjoin on disk is for the same backend; a damaged one is told" {
	local spans='' limit=512K file

	make_sides 30000
	rm go
	join_line full --between=-10s,10s >statuses 2>err &
	line_pid=$!
	while [ "$(find ck -name MANIFEST 2>/dev/null | wc -l)" -lt 1 ]; do
		kill -0 $line_pid
		sleep 0.01
	done
	pkill -9 -P $line_pid -x fjoin
	wait $line_pid || true
	: >go
	cp -a ck good
	for file in ck/chk-*/*.files/*.sst; do
		perl -pi -e 's/user1/usXr1/g' "$file"
	done
	run join_line full --between=-10s,10s
	assert_output --partial 'damaged'
	assert_output --regexp '65 65 (0|65|141) 65'
	rm -r ck
	mv good ck
	join_line() {
		fcheckpoint begin -d ck --name main -- bash -c "$slowly" - in.csv |
			fkeyby --icsv --time ts --watermark 3s k |
			fjoin full --between=-10s,10s \
				<(fcheckpoint begin -d ck --name other other.csv |
					fkeyby --uid other --icsv --time ts --watermark 3s k) |
			fcheckpoint commit -o out.csv
		echo "${PIPESTATUS[*]}"
	}
	run join_line
	assert_output --partial '--backend'
	[[ " ${lines[-1]} " == *' 78 '* ]] || fail "$output"
}

# ---- from memory to disk, and back ----

# part OPTIONS LINE [BEGIN OPTION…]: a run of LINE over what log.csv holds; in it @ is where
# OPTIONS go. Its last exit status is in code, what it says in said.
part() {
	local at=$1 line=$2

	rm -f branch
	mkfifo branch
	code=$(timeout --foreground 30 bash -c "
		fcheckpoint begin -d ck --every 1h ${*:3} log.csv |
			fkeyby --icsv --time ts --watermark 3s k | ${line//@/$at} |
			fcheckpoint commit -o out.csv"'
		echo "${PIPESTATUS[-1]}"' 2>said)
}

# ends CODE LINE: the last part has ended so.
ends() {
	[ "$code" -eq "$1" ] || fail "$2: $code, not $1: $(cat said)"
}

# crossed LINE…: half of the input with the state in memory, the rest of it on disk, in two
# parts; between these there is no way back. The result is that of one run.
crossed() {
	local line on_disk="--backend rocksdb --max-memory ${limit-400K}" rows

	rows=$(wc -l <in.csv)
	for line; do
		rm -rf ck out.csv
		cp in.csv log.csv
		part '' "$line"
		ends 0 "$line"
		mv out.csv want.csv
		[ "$(wc -l <want.csv)" -gt 500 ] || fail "too few rows: $line"
		rm -r ck
		head -n $((rows / 2)) in.csv >log.csv
		part '' "$line" --keep-open
		ends 0 "$line"
		sed -n "$((rows / 2 + 1)),$((rows * 3 / 4))p" in.csv >>log.csv
		part "$on_disk" "$line" --keep-open
		ends 0 "$line"
		tail -n +$((rows * 3 / 4 + 1)) in.csv >>log.csv
		part '' "$line"
		ends 78 "$line"
		grep -q 'with --backend rocksdb at the checkpoint.* in memory: .*--backend' said ||
			fail "$line: $(cat said)"
		part "$on_disk" "$line"
		ends 0 "$line"
		if [ -n "${any_order-}" ]; then
			diff <(sort want.csv) <(sort out.csv) >differs || fail "$line: $(head differs)"
		else
			cmp want.csv out.csv || fail "$line"
		fi
	done
}

sums_at="freduce -q n=count 's=sum(v)' 'list=array_agg(v)' @"

@test "from memory to disk: freduce" {
	make_input 12000
	crossed "$sums_at" "$sums_at --updates" "freduce --ttl 1d n=count 's=sum(v)' @" \
		"fwindow tumble 100s | $sums_at" \
		"fwindow slide 60s 20s --lateness 20s | $sums_at" \
		"fwindow cumulate 60s 20s | $sums_at --updates" \
		"fwindow session 40s --lateness 5s | $sums_at" \
		"fwindow tumble 100s --trigger every=25s | $sums_at" \
		"fwindow count 2 | $sums_at" \
		"fwindow slide 2m 1m --keep 2 | $sums_at" \
		"freduce --uid inner n=count --updates | fkeyby --uid by n | freduce --updates m=count @"
}

@test "from memory to disk: fdedup, frank, fover" {
	make_input 12000
	crossed 'fdedup @' 'fdedup --keep last --updates @' 'fdedup --within 60s @' \
		'fwindow tumble 100s | fdedup --keep last @' \
		"frank 2 --by 'v desc' @" "frank 2 --by 'v desc' --rank r --updates @" \
		"fwindow slide 60s 20s | frank 1 --by 'v desc' @" \
		"fwindow session 40s | frank 1 --by 'v desc' -q @" \
		"fover --rows 2 's=sum(v)' 'l=lag(v)' -q @" \
		"fover --range 60s 'd=count(distinct v)' -q @" \
		"fover 's=sum(v)' 'n=lead(v)' -q @"
}

@test "from memory to disk: fjoin" {
	local sides="tee >(ffilter --uid right 'v % 3 <> 0' >branch) | ffilter 'v % 2 = 1' | fjoin -q @"

	make_sides 6000
	crossed "$sides full --between=-60s,60s branch" "$sides anti --between=-5s,5s branch" \
		"$sides left --as-of branch" "fwindow slide 100s 40s | $sides full branch" \
		"fwindow session 40s | $sides left branch"
	any_order=1 limit=1M crossed "$sides inner branch"
}
