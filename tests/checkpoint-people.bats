#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# fcheckpoint for people: list, show, verify, diff, savepoint, rewind, prune. The jobs are
# real ones: a source that takes its time, a checkpoint every few milliseconds.

load helper

# Rows of 20 users, a second apart; windows of a minute.
rows() {
	awk -v n="$1" 'BEGIN {
		print "ts,user,bytes"
		for (i = 0; i < n; i++) printf "%d,u%d,%d\n", 1700000000 + i, i % 20, i % 997
	}'
}

# job DIR OUT [commit options]: reads in.csv in ten pieces. NAP: seconds between them.
job() {
	local dir=$1 out=$2 got

	shift 2
	# shellcheck disable=SC2016
	fcheckpoint begin -q -d "$dir" --every 20ms --min-pause 1ms --retain 30 -- bash -c '
		head -1 in.csv
		for i in {0..9}; do
			sed -n "$((i * 600 + 2)),$((i * 600 + 601))p" in.csv
			sleep "${NAP:-0}"
		done' |
		fkeyby --icsv --time ts user | fwindow tumble 1m |
		freduce n=count 'b=sum(bytes)' | fcheckpoint commit -q -o "$out" --ocsv "$@" &&
		got=${PIPESTATUS[*]} || got=${PIPESTATUS[*]}
	[ "$got" = "${STATUSES:-0 0 0 0 0}" ] || fail "exit statuses $got"
}

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	rows 6000 >in.csv
	fkeyby --icsv --time ts user in.csv | fwindow tumble 1m |
		freduce n=count 'b=sum(bytes)' --ocsv >want.csv
	NAP=0.06 job finished finished.csv
	cmp want.csv finished.csv
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	ln -s "$BATS_FILE_TMPDIR/in.csv" in.csv
	want=$BATS_FILE_TMPDIR/want.csv
	finished=$BATS_FILE_TMPDIR/finished
}

# ids DIR KIND: the checkpoints of that kind, oldest first.
ids() {
	fcheckpoint list "$1" --ocsv | awk -F, -v kind="$2" '$3 == kind { print $1 }'
}

# Start a job that goes on for some seconds, and wait for its first checkpoint.
start_job() {
	NAP=0.5 job "$@" 3>&- &
	started=$!
	for _ in {1..100}; do
		[ -z "$(ids "$1" checkpoint 2>/dev/null)" ] || return 0
		sleep 0.05
	done
	fail "no checkpoint of $1 within 5 s"
}

@test "list: every checkpoint with its kind, the last one finished" {
	run -0 fcheckpoint list "$finished" --ocsv
	assert_line --index 0 checkpoint,time,kind,size,duration_ms,stall_us,operators
	[ "${#lines[@]}" -gt 4 ]
	assert_line --index -1 --regexp '^[0-9]+,20..-..-..T[0-9:.]+Z,finished,[0-9]+,[0-9]+,[0-9]+,5$'
	assert_line --index 1 --regexp ',checkpoint,'
}

@test "list: the formats of every other tool, a table also into a pipe" {
	run -0 fcheckpoint list "$finished"
	assert_line --index 0 --regexp '^checkpoint +time +kind +size'
	run -0 fcheckpoint list "$finished" --ojsonl
	assert_line --index 0 --regexp '^\{"checkpoint":1,"time":"20'
	run -0 fcheckpoint list "$finished" --otsv --headerless-csv-output
	run -0 fcheckpoint list "$finished" -o list.csv
	assert_output ""
	run -0 head -n 1 list.csv
	assert_output checkpoint,time,kind,size,duration_ms,stall_us,operators
	run -0 fcheckpoint list "$finished" --ojsonl --otime epoch-ms
	assert_line --index 0 --regexp '"time":1[0-9]{12},'
}

@test "show: the operators of the newest one, or of the one that is named" {
	run -0 fcheckpoint show "$finished" --ocsv
	assert_line --index 0 uid,tool,backend,size,entries,finished,duration_ms,stall_us,align_ms
	assert_line --regexp '^begin-1,fcheckpoint,memory,[0-9]+,[0-9]+,true,'
	assert_line --regexp '^freduce-1,freduce,memory,'
	run -0 fcheckpoint show "$finished@$(ids "$finished" checkpoint | head -n 1)" --ocsv
	assert_line --regexp '^freduce-1,freduce,memory,[0-9]+,[0-9]+,false,'
}

@test "show: the state of an operator, with keys, windows and sums" {
	local id

	id=$(ids "$finished" checkpoint | tail -n 1)
	run -0 fcheckpoint show "$finished@$id" freduce-1 --ojsonl
	assert_line --regexp '^\{"section":"[a-z]+","namespace":"2023-11-1.T..:..:00.000Z/2023-11-1.T..:..:00.000Z","key":"u7","value":\{"n":[0-9]+,"b":[0-9]+\},"bytes":[0-9]+\}$'
	# as many as there are users, all in one window that is open
	[ "$(grep -c '"value":{"n":' <<<"$output")" -le 40 ]
	run -0 fcheckpoint show "$finished@$id" begin-1 --ojsonl
	assert_line --partial '"section":"source"'
}

@test "show: a key of two columns, and what aggregates hold" {
	# --keep-open: the end of the file is a savepoint, and the windows stay open
	fcheckpoint begin -q --keep-open -d ck in.csv | fkeyby --icsv --time ts user,bytes |
		fwindow tumble 1d | freduce n=count 'd=count(distinct ts)' 'm=max(user)' |
		fcheckpoint commit -q -o out.csv
	[ "${PIPESTATUS[*]}" = "0 0 0 0 0" ]
	run -0 fcheckpoint show ck freduce-1 --ojsonl
	assert_line --regexp '"key":\{"user":"u3","bytes":"?3"?\},"value":\{"n":1,"d":1,"m":"u3"\}'
}

@test "show: what is not there is named" {
	run -64 fcheckpoint show "$finished" freduce-2
	assert_output --regexp '^fcheckpoint: checkpoint [0-9]+ of .* has no operator freduce-2; '
	run -66 fcheckpoint show "$finished@999"
	assert_output --partial 'has no complete checkpoint 999'
	run -66 fcheckpoint show none
	assert_output "fcheckpoint: cannot open none: No such file or directory"
	run -64 fcheckpoint show
	assert_output --partial 'too few words'
	mkdir empty
	run -78 fcheckpoint list empty
	assert_output --partial 'is no checkpoint directory'
}

@test "show: a state on disk, each key with its window, value and size" {
	local want=want-state

	awk 'BEGIN { print "ts,user,bytes"
		for (i = 0; i < 60000; i++) printf "%d,u%d,%d\n", 1700000000 + i / 1000, i * 7 % 20011, i }' >log.csv
	for window in "fwindow tumble 1h |" ""; do
		rm -rf ck out.csv
		# a little memory: values of a key are in several parts, in several files
		fcheckpoint begin -q -d ck --every 10ms --min-pause 1ms --keep-open log.csv |
			fkeyby --icsv --time ts user | eval "$window" 'freduce --backend rocksdb --max-memory 1M n=count "b=sum(bytes)"' |
			fcheckpoint commit -q -o out.csv
		fkeyby --icsv --time ts user log.csv | freduce n=count 'b=sum(bytes)' --ojsonl |
			sed 's/{"user":\("u[0-9]*"\),\(.*\)}/\1 {\2}/' | sort >"$want"
		[ "$(wc -l <"$want")" -eq 20011 ]
		fcheckpoint show ck freduce-1 --ojsonl >shown
		sed -n 's/.*"section":"files".*"key":\("u[0-9]*"\),"value":\({[^}]*}\),"bytes":[1-9][0-9]*}$/\1 \2/p' shown |
			sort | cmp - "$want"
		[ -z "$window" ] || grep -q '"namespace":"2023-11-14T22:00:00.000Z/2023-11-14T23:00:00.000Z","key":"u1"' shown
	done
	[ -z "$(ls ck/work)" ] || fail "left behind: $(ls ck/work)"
	fcheckpoint show ck --ocsv | grep -q '^freduce-1,freduce,rocksdb,[0-9]\{5,\},'

	# whole values of other operators
	rm -rf ck out.csv
	fcheckpoint begin -q -d ck --every 1h --keep-open log.csv | fkeyby --icsv --time ts user |
		fdedup --backend rocksdb | fcheckpoint commit -q -o out.csv
	run -0 bash -c 'fcheckpoint show ck fdedup-1 --ojsonl | grep -c "^{\"section\":\"files\",\"namespace\":null,\"key\":\"u[0-9]*\",\"value\":{\"time\":\"2023-[0-9T:.-]*Z\",\"passed\":true},\"bytes\":[1-9]"'
	assert_output 20011
}

@test "verify: a sound directory, and one with a damaged file: 65, the file and where" {
	local id file

	run -0 fcheckpoint verify "$finished" --ocsv
	refute_output --partial damaged
	assert_line --regexp '^[0-9]+,finished,[0-9]+,sound$'
	cp -r "$finished" copy
	id=$(ids copy checkpoint | head -n 1)
	file=$(printf 'chk-%010d/freduce-1.a1.state' "$id")
	printf 'X' | dd of="copy/$file" bs=1 seek=40 conv=notrunc status=none
	run --separate-stderr -65 fcheckpoint verify copy --ocsv
	assert_line --regexp "^$id,checkpoint,[0-9]+,damaged$"
	assert_line --regexp ',finished,[0-9]+,sound$'
	# shellcheck disable=SC2154
	[[ $stderr =~ /copy:\ $file:\ damaged\ at\ byte\ [0-9]+:\  ]] || fail "$stderr"
	rm "copy/$file"
	run -65 fcheckpoint verify "copy@$id" --ocsv
	assert_output --partial "$file: is missing"
	run -0 fcheckpoint verify "copy@$(ids copy finished)"
}

@test "verify: every file of a checkpoint is looked at" {
	local file id

	cp -r "$finished" copy
	id=$(ids copy checkpoint | tail -n 1)
	for file in "$(printf 'copy/chk-%010d' "$id")"/{MANIFEST,*.state}; do
		cp "$file" saved
		printf '\377' | dd of="$file" bs=1 seek=$(($(stat -c %s saved) / 2)) conv=notrunc status=none
		run -65 fcheckpoint verify "copy@$id"
		assert_output --partial "${file##*/}"
		head -c -1 saved >"$file"
		run -65 fcheckpoint verify "copy@$id"
		cp saved "$file"
	done
	run -0 fcheckpoint verify "copy@$id"
}

@test "diff: nothing between a checkpoint and itself, added and removed keys between two" {
	local id

	id=$(ids "$finished" checkpoint | tail -n 1)
	run -0 fcheckpoint diff "$finished@$id" "$finished@$id" --ocsv
	assert_output "op,uid,section,namespace,key,value"
	run -0 fcheckpoint diff "$finished@$id" "$finished" --ocsv
	# the sums of open windows are gone at the end, the source is further on
	assert_line --regexp '^-D,freduce-1,'
	assert_line --regexp '^-U,begin-1,'
	assert_line --regexp '^\+U,begin-1,'
	run -0 fcheckpoint diff "$finished" "$finished@$id" --ocsv
	assert_line --regexp '^\+I,freduce-1,'
}

@test "savepoint: asked for, waited for, kept; without a pipeline: 69" {
	local id

	run -69 fcheckpoint savepoint "$finished"
	assert_output --partial 'no pipeline is running'
	start_job ck out.csv
	run -0 fcheckpoint savepoint ck --ocsv
	assert_line --index 1 --regexp '^[0-9]+,savepoint,[0-9]+,/.*/ck/chk-[0-9]{10}$'
	id=$(ids ck savepoint)
	wait "$started"
	cmp "$want" out.csv
	run -0 fcheckpoint prune ck --retain 1 --ocsv
	assert_line "$id,kept"
	run -0 fcheckpoint list ck --ocsv
	assert_line --regexp "^$id,.*,savepoint,"
	[ "${#lines[@]}" -eq 3 ]
}

@test "savepoint --stop: the pipeline ends with 75, the same line goes on" {
	STATUSES="75 75 75 75 75" start_job ck out.csv
	run -0 fcheckpoint savepoint ck --stop --ocsv
	assert_line --index 1 --regexp ',savepoint,'
	wait "$started"
	[ "$(wc -l <out.csv)" -lt "$(wc -l <"$want")" ]
	job ck out.csv
	cmp "$want" out.csv
}

@test "savepoint --to: a directory of its own that can be gone on from" {
	STATUSES="75 75 75 75 75" start_job ck out.csv
	run -0 fcheckpoint savepoint ck --stop --to copy --ocsv
	assert_line --index 1 --regexp ',copy$'
	wait "$started"
	rm -r ck
	run -0 fcheckpoint verify copy --ocsv
	assert_line --regexp ',savepoint,[0-9]+,sound$'
	job copy out.csv
	cmp "$want" out.csv
	run -78 fcheckpoint savepoint "copy@$(ids copy savepoint)" --to "$finished"
	assert_output --partial 'has checkpoints already'
}

@test "rewind: newer ones are abandoned, the output is cut, the next run gives the same" {
	local id newest

	NAP=0.06 job ck out.csv
	newest=$(ids ck finished)
	id=$(ids ck checkpoint | sed -n 3p)
	run -0 fcheckpoint rewind "ck@$id" --ocsv
	assert_line --regexp '^checkpoint [0-9]+,abandoned,$'
	assert_line --regexp '/out.csv,cut,[0-9]+$'
	[ "$(ids ck checkpoint | tail -n 1)" -eq "$id" ]
	[ "$(stat -c %s out.csv)" -lt "$(stat -c %s "$want")" ]
	cmp -n "$(stat -c %s out.csv)" "$want" out.csv
	run -0 fcheckpoint rewind "ck@$id" --ocsv
	assert_line --regexp '/out.csv,as it was,[0-9]+$'
	job ck out.csv
	cmp "$want" out.csv
	# ids are not used again
	[ "$(ids ck finished)" -gt "$newest" ]
}

@test "rewind: segments that are newer are removed, one that was not whole is taken back" {
	local id

	NAP=0.06 job ck segments/ --segments 30K
	tail -qn +2 segments/*.csv | cmp <(tail -n +2 "$want")
	for id in $(ids ck checkpoint | sed -n '3p;5p' | sort -rn); do
		run -0 fcheckpoint rewind "ck@$id" --ocsv
		assert_output --regexp ',(removed|taken back),'
		job ck segments/ --segments 30K
		tail -qn +2 segments/*.csv | cmp <(tail -n +2 "$want")
	done
}

@test "rewind: not while a pipeline runs, not without an id, not over an edited output" {
	local id pid

	start_job ck out.csv
	id=$(ids ck checkpoint | head -n 1)
	run -69 fcheckpoint rewind "ck@$id"
	assert_output --regexp 'is in use by a running pipeline \(pid [0-9, ]+\)'
	pid=$(sed -n 's/.*pid \([0-9]*\).*/\1/p' <<<"$output")
	kill -0 "$pid"
	wait "$started"
	run -64 fcheckpoint rewind ck
	assert_output --partial 'ck@12'
	cp out.csv saved
	sed -i 's/,u/,U/' saved
	cat saved >out.csv
	id=$(ids ck checkpoint | tail -n 1)
	run -78 fcheckpoint rewind "ck@$id"
	assert_output --partial 'out.csv was edited'
	# nothing has happened
	cmp saved out.csv
	[ -z "$(ids ck abandoned)" ]
}

@test "rewind: past a damaged newest checkpoint, which the line never does by itself" {
	local id newest

	NAP=0.06 job ck out.csv
	newest=$(ids ck finished)
	: >"$(printf 'ck/chk-%010d/MANIFEST' "$newest")"
	STATUSES="65 65 65 65 65" job ck out.csv
	id=$(ids ck checkpoint | tail -n 1)
	run -0 fcheckpoint rewind "ck@$id" --ocsv
	assert_line "checkpoint $newest,abandoned,"
	job ck out.csv
	cmp "$want" out.csv
}

@test "prune: all but the newest go, nothing that they need" {
	cp -r "$finished" copy
	run -0 fcheckpoint prune copy --retain 2 --ocsv
	assert_line --index 1 '1,removed'
	[ "$(grep -c ',kept$' <<<"$output")" -eq 2 ]
	run -0 fcheckpoint verify copy
	run -64 fcheckpoint prune copy --retain 0
	# a damaged manifest: it is not known what is needed
	cp -r "$finished" damaged
	: >"$(printf 'damaged/chk-%010d/MANIFEST' "$(ids damaged checkpoint | head -n 1)")"
	run -74 fcheckpoint prune damaged --retain 1
	refute_output --partial ',removed'
}

@test "output that cannot be written is told" {
	# shellcheck disable=SC2016
	run -74 bash -c 'fcheckpoint show "$1" freduce-1 >/dev/full' - "$finished"
	assert_output "fcheckpoint: cannot write standard output: No space left on device"
	run -73 fcheckpoint list "$finished" -o none/x.csv
	assert_output --partial 'cannot create none/x.csv'
}
