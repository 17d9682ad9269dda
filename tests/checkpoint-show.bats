#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# fcheckpoint show and diff: the state of every operator, in words, with either backend. The
# lines are those of which checkpoints are kept (checkpoints/lines.bash).

load helper

kept=$BATS_TEST_DIRNAME/checkpoints

# keep NAME: a savepoint of the line, in NAME/ck; once more: one of the input that has grown.
# shellcheck disable=SC1091
keep() {
	mkdir -p "$1"
	cd "$1" || return
	if [ ! -p branch ]; then
		mkfifo branch
		(. "$kept/lines.bash" && make_log) >log.csv
		printf 'name,says\nkey1,one\nkey3,three\n' >names.csv
		head -n 300 log.csv >in.csv
	else
		tail -n +301 log.csv >>in.csv
	fi
	timeout 20 bash -c '. "$0"; begin_options=(--keep-open) output=out.csv directory=ck name=$1
		keep_line "$1"' "$kept/lines.bash" "$1" 2>errors || fail "$1: $(cat errors)"
	cd ..
}

# The savepoints of all lines, two of each; made once.
setup_file() {
	local name

	cd "$BATS_FILE_TMPDIR" || return
	# shellcheck disable=SC1091
	for name in $(. "$kept/lines.bash" && echo "${lines[@]}"); do
		keep "$name"
		keep "$name"
	done
}

setup() { cd "$BATS_TEST_TMPDIR" || return; }

all_lines() { find "$BATS_FILE_TMPDIR" -mindepth 1 -maxdepth 1 -type d | sort; }
uids() { fcheckpoint show "$1" --ocsv --headerless-csv-output | cut -d, -f1; }

# entries DIR UID: namespace, key and value of what the operator keeps, sorted. Arrival numbers
# stand at another place in memory; a key of which only a row waits has nothing itself there.
entries() {
	fcheckpoint show "$1" "$2" --ocsv --headerless-csv-output |
		grep -Ev '^(run|input\.[01]|window|slices|rank|dedup|over|join|clock),|^files,,directory,' |
		sed -E 's/^[^,]*,//; s/,[0-9]+$//; s/""arrival"":[0-9]+,//g' | grep -v ',$' | sort
}

@test "show: no value of any operator is bytes, with either backend" {
	local dir uid count=0

	for dir in $(all_lines); do
		for uid in $(uids "$dir/ck"); do
			run -0 --separate-stderr fcheckpoint show "$dir/ck" "$uid" --ocsv
			# shellcheck disable=SC2154
			[ -z "$stderr" ] || fail "$dir $uid: $stderr"
			# what aggregates are computed from is for a restore; their results are shown
			! grep -v '^window,,aggregates,' <<<"$output" | grep 0x || fail "$dir $uid"
			count=$((count + ${#lines[@]}))
		done
	done
	[ "$count" -gt 4000 ]
}

@test "show: a state on disk is shown as it is in memory" {
	local name uid count=0

	for name in $(cd "$BATS_FILE_TMPDIR" && ls -d -- *-disk); do
		# a join that counts partners keeps rows and numbers apart in memory
		[ "$name" != changelogs-disk ] || continue
		for uid in $(fcheckpoint show "$BATS_FILE_TMPDIR/$name/ck" --ocsv |
			awk -F, '$3 == "rocksdb" { print $1 }'); do
			entries "$BATS_FILE_TMPDIR/$name/ck" "$uid" >disk
			entries "$BATS_FILE_TMPDIR/${name%-disk}/ck" "$uid" >memory
			[ -s disk ] || fail "$name $uid: nothing is shown"
			diff -u memory disk
			count=$((count + 1))
		done
	done
	[ "$count" -ge 20 ]
}

@test "show: kept rows with their columns, counts and times" {
	local rows='\{"ts":[0-9]+,"k":"key[0-6]","v":[0-9]+\}' time='"20..-..-..T..:..:......Z"'
	local window='"20..-..-..T..:..:..\.000Z/20..-..-..T..:..:..\.000Z"'

	shown() { run -0 fcheckpoint show "$BATS_FILE_TMPDIR/$1/ck" "$2" --ojsonl; }
	shown interval-disk fjoin-1
	assert_line --regexp "^\{\"section\":\"files\",\"namespace\":\"(left|right)\",\"key\":\"key[0-6]\",\"value\":\{\"time\":$time,\"until\":$time,\"arrival\":[0-9]+,\"matched\":(true|false),\"row\":$rows\},\"bytes\":[0-9]+\}$"
	assert_line --partial '"section":"join","namespace":null,"key":"left columns","value":["ts","k","v"]'
	assert_line --regexp "\"section\":\"clock\",\"namespace\":null,\"key\":\"watermark\",\"value\":$time"
	shown interval fjoin-1
	assert_line --regexp "\"section\":\"left rows\",\"namespace\":\"left\",\"key\":\"key[0-6]\",\"value\":\{\"time\":$time,\"until\":$time,\"matched\":(true|false),\"arrival\":[0-9]+,\"row\":$rows\}"
	shown changelogs-disk fjoin-1
	assert_line --regexp "\"namespace\":\"left\",\"key\":\"key[0-6]\",\"value\":\{\"copies\":1,\"matches\":[01],\"row\":$rows\}"
	shown regular-semi fjoin-1
	assert_line --regexp '"section":"right-numbers","namespace":"right","key":"key[0-6]","value":\{"rows":[0-9]+\}'
	shown versions-disk fjoin-1
	assert_line --regexp "\"namespace\":\"right\",\"key\":\"key[0-6]\",\"value\":\{\"time\":$time,\"row\":$rows\}"
	shown pairs-disk fjoin-1
	assert_line --regexp "\"namespace\":$window,\"key\":\"key[0-6]\",\"value\":\{\"arrival\":[0-9]+,\"side\":\"(left|right)\",\"row\":$rows\}"
	shown rank-windows-disk frank-1
	assert_line --regexp "\"namespace\":$window,\"key\":\"key[0-6]\",\"value\":\{\"rows\":\[\{\"arrival\":[0-9]+,\"time\":$time,\"row\":$rows\}"
	shown dedup-within-disk fdedup-1
	assert_line --regexp "\"value\":\{\"time\":$time,\"passed\":true,\"held\":\{\"arrival\":[0-9]+,\"time\":$time,\"row\":$rows\}\}"
	assert_line --regexp "\"namespace\":\"pending\",\"key\":\"key[0-6]\",\"value\":\{\"arrival\":[0-9]+,\"time\":$time,\"row\":$rows\}"
	assert_line '{"section":"dedup","namespace":null,"key":"within","value":"8s","bytes":8}'
	shown over-range-disk fover-1
	assert_line --regexp "\"value\":\{\"last\":$time,\"row_number\":[0-9]+,.*\"rows\":\[\{.*$rows\}\],\"aggregates\":\{\"d\":[0-9]+,\"a\":\[[0-9,]+\]\}\}"
	shown evictor-disk freduce-1
	assert_line --regexp "\"namespace\":$window,\"key\":\"key[0-6]\",\"value\":\{\"arrival\":[0-9]+,\"time\":$time,\"row\":$rows\}"
	shown sort-by fsort-1
	assert_line --regexp "\"section\":\"rows\",.*\"value\":\{\"arrival\":0,\"time\":$time,\"row\":$rows\}"
	# a count window has no start and end
	shown count freduce-1
	assert_line --regexp "\"section\":\"rows\",\"namespace\":null,\"key\":\"key[0-6]\",\"value\":\{\"arrival\":[0-9]+,\"time\":$time,\"row\":$rows\}"
	shown tumble fkeyby-1
	assert_line --regexp "\"key\":\"assigner\",\"value\":\{\"watermark\":$time,\"time\":\"epoch-ms\"\}"
	assert_line '{"section":"input.0","namespace":null,"key":"reader","value":{"line":402,"fields":3},"bytes":16}'
}

@test "show: times as --otime and --tz say, in a value too" {
	run -0 fcheckpoint show "$BATS_FILE_TMPDIR/versions/ck" fjoin-1 --ojsonl --otime epoch-ms
	assert_line --regexp '"section":"versions",.*"value":\{"time":17000[0-9]{8},"row":'
	run -0 fcheckpoint show "$BATS_FILE_TMPDIR/pairs-disk/ck" fjoin-1 --ojsonl --otime epoch-ms
	assert_line --regexp '"namespace":"17000[0-9]{8}/17000[0-9]{8}"'
	run -0 fcheckpoint show "$BATS_FILE_TMPDIR/versions-disk/ck" fjoin-1 --ojsonl --tz Europe/Berlin
	assert_line --regexp '"value":\{"time":"2023-11-14T23:..:..\....\+01:00","row":'
}

@test "show: as a table, CSV and JSON lines" {
	printf 'k,v\na,1\n' >in.csv
	fcheckpoint begin -q -d ck --keep-open in.csv | fkeyby k |
		frank 1 --by v --backend rocksdb | fcheckpoint commit -q -o out.csv
	run -0 bash -c 'fcheckpoint show ck frank-1 | tail -n 1'
	assert_output --regexp '^files +- +a +\{"rows":\[\{"arrival":0,"row":\{"k":"a","v":1\}\}\]\} +[0-9]+$'
	run -0 bash -c 'fcheckpoint show ck frank-1 --ocsv | tail -n 1'
	assert_output --regexp '^files,,a,"\{""rows"":\[\{""arrival"":0,""row"":\{""k"":""a"",""v"":1\}\}\]\}",[0-9]+$'
	run -0 bash -c 'fcheckpoint show ck frank-1 --ojsonl | tail -n 1'
	assert_output --regexp '^\{"section":"files","namespace":null,"key":"a","value":\{"rows":\[\{"arrival":0,"row":\{"k":"a","v":1\}\}\]\},"bytes":[0-9]+\}$'
}

@test "show: keys of several columns, NULL, and whole rows" {
	local backend

	printf 'k,l,v\na,x,1\n,y,2\n' >in.csv
	for backend in memory rocksdb; do
		rm -rf ck out.csv
		fcheckpoint begin -q -d ck --keep-open in.csv | fkeyby k,l |
			fdedup --uid several --backend "$backend" | fkeyby --uid by k |
			fdedup --uid one --backend "$backend" | fcheckpoint commit -q -o out.csv
		run -0 fcheckpoint show ck several --ojsonl
		assert_line --partial '"namespace":null,"key":{"k":"a","l":"x"},"value":{"passed":true}'
		assert_line --partial '"namespace":null,"key":{"k":null,"l":"y"},"value":{"passed":true}'
		run -0 fcheckpoint show ck one --ojsonl
		assert_line --partial '"namespace":null,"key":"a","value":{"passed":true}'
		assert_line --partial '"namespace":null,"key":null,"value":{"passed":true}'
		rm -rf ck out.csv
		fcheckpoint begin -q -d ck --keep-open in.csv | fdedup --icsv --backend "$backend" |
			fcheckpoint commit -q -o out.csv
		run -0 fcheckpoint show ck fdedup-1 --ojsonl
		assert_line --partial '"key":{"k":"a","l":"x","v":1},"value":{"passed":true}'
		assert_line --partial '"key":{"k":null,"l":"y","v":2},"value":{"passed":true}'
	done
}

@test "show: the sizes of what is kept of a key are together that of its value" {
	local backend

	awk 'BEGIN { print "k,v"; for (i = 0; i < 1000; i++) printf "k%d,%d\n", i % 2, i }' >in.csv
	mkfifo branch
	for backend in memory rocksdb; do
		rm -rf ck out.csv
		fcheckpoint begin -q -d ck --keep-open in.csv | fkeyby k |
			tee >(ffilter --uid right 'v % 3 = 0' >branch) | ffilter --uid left 'v % 5 = 0' |
			fjoin branch --backend "$backend" | fcheckpoint commit -q -o out.csv
		fcheckpoint show ck fjoin-1 --ojsonl |
			sed -En 's/.*"namespace":"(left|right)","key":"(k[01])".*"bytes":([0-9]*)}$/\2 \3/p' |
			awk '{ n[$1]++; b[$1] += $2 } END { for (k in n) print k, n[k], b[k] }' | sort >"$backend"
	done
	[ "$(awk '{ n += $2 } END { print n }' memory)" -eq $((334 + 200)) ]
	# on disk 20 bytes stand before each row, 8 before those of each side, and 16 before all
	awk '{ print $1, $2, $3 + $2 * 20 + 2 * 8 + 16 }' memory | diff - rocksdb
}

# states DIR@ID: op is to come; uid, section, namespace, key and value of all operators.
states() {
	local uid

	for uid in $(uids "$1"); do
		fcheckpoint show "$1" "$uid" --ocsv --headerless-csv-output |
			sed -E "/^files,,directory,/d; s/^/$uid,/; s/,[0-9]+$//"
	done | sort
}

@test "diff: what show prints of the one and not of the other, with either backend" {
	local dir count=0

	for dir in $(all_lines); do
		states "$dir/ck@1" >before
		states "$dir/ck" >after
		run -0 fcheckpoint diff "$dir/ck@1" "$dir/ck" --ocsv
		sed -n 's/^-[DU],//p' <<<"$output" | sort | diff -u <(comm -23 before after) - || fail "$dir"
		sed -n 's/^+[IU],//p' <<<"$output" | sort | diff -u <(comm -13 before after) - || fail "$dir"
		count=$((count + ${#lines[@]}))
		run -0 fcheckpoint diff "$dir/ck" "$dir/ck" --ocsv
		assert_output "op,uid,section,namespace,key,value"
	done
	[ "$count" -gt 1000 ]
}

@test "diff: on disk a row that is added, one that is removed, a sum that has changed" {
	printf 'k,v\na,5\nb,1\n' >in.csv
	run_line() {
		fcheckpoint begin -q -d ck --keep-open in.csv | fkeyby k |
			frank 1 --by v --backend rocksdb --updates | fkeyby --uid by v |
			freduce n=count --updates --backend rocksdb | fcheckpoint commit -q -o out.csv
	}
	run_line
	printf 'a,3\nc,1\n' >>in.csv
	run_line
	run -0 bash -c 'fcheckpoint diff ck@1 ck@2 --ocsv | grep "^..,f[a-z]*-1,files," | sort'
	assert_output - <<-'END'
		+I,frank-1,files,,c,"{""rows"":[{""arrival"":3,""row"":{""k"":""c"",""v"":1}}]}"
		+I,freduce-1,files,,3,"{""n"":1}"
		+U,frank-1,files,,a,"{""rows"":[{""arrival"":2,""row"":{""k"":""a"",""v"":3}}]}"
		+U,freduce-1,files,,1,"{""n"":2}"
		-D,freduce-1,files,,5,"{""n"":1}"
		-U,frank-1,files,,a,"{""rows"":[{""arrival"":0,""row"":{""k"":""a"",""v"":5}}]}"
		-U,freduce-1,files,,1,"{""n"":1}"
	END
}

@test "show, diff: every kept checkpoint of older versions" {
	local dir uid count=0

	for dir in "$kept"/*/*/ck; do
		rm -rf ck
		cp -R "$dir" ck
		chmod -R u+w,go= ck
		for uid in $(uids ck); do
			run -0 --separate-stderr fcheckpoint show ck "$uid" --ocsv
			[ -z "$stderr" ] || fail "$dir $uid: $stderr"
			[ "${#lines[@]}" -gt 1 ]
			count=$((count + 1))
		done
		run -0 fcheckpoint diff ck@1 ck@1 --ocsv
		assert_output "op,uid,section,namespace,key,value"
	done
	[ "$count" -gt 40 ]
}
