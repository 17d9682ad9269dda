#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# fjoin without time: regular joins, and lookups in a table. That the result is the right
# table is tested by tests/changelog.bats; here is what else there is to them.

# shellcheck disable=SC2030,SC2031 # each test has its own writer

load helper

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	printf '%s\n' id,k,v 1,a,10 2,b,20 3,a,30 4,,40 >l.csv
	printf '%s\n' id,k,w 1,a,100 2,c,200 3,,300 >r.csv
	printf '%s\n' user,v u1,1 u2,2 u3,3 ,4 >events.csv
	printf '%s\n' user,name,level u1,Ann,3 u2,Bob,1 u1,Anna,9 >users.csv
}

teardown() {
	[ -z "${writer:-}" ] || kill "$writer" 2>/dev/null || true
}

# joined OUT [ARGUMENT…]: l.csv with r.csv.
joined() {
	fkeyby k l.csv | fjoin "$@" <(fkeyby k r.csv)
}

# wait_for COMMAND…: until it succeeds, for ten seconds.
wait_for() {
	local i

	for ((i = 0; i < 500; i++)); do
		"$@" 2>/dev/null && return
		sleep 0.02
	done
	fail "in vain: $*"
}

# ---- the result -------------------------------------------------------------------

@test "regular join: inner and semi joins of inputs that only add are no changelogs" {
	run -0 bash -c 'fkeyby k l.csv | fjoin <(fkeyby k r.csv) --ocsv | sort'
	assert_output '1,a,10,1,100
3,a,30,1,100
id,k,v,id_r,w'
	sorted=$(joined semi --ocsv | sort)
	assert_equal "$sorted" '1,a,10
3,a,30
id,k,v'
}

@test "regular join: others are changelogs, of +I and -D" {
	local kind

	for kind in left right full anti; do
		joined "$kind" --ocsv >"$kind.csv"
		head -n 1 "$kind.csv" | grep -q '^op,' || fail "$kind: $(cat "$kind.csv")"
		tail -n +2 "$kind.csv" | cut -d , -f 1 | grep -qvE '^(\+I|-D)$' &&
			fail "$kind: $(cat "$kind.csv")"
	done
	assert_equal "$(fcat --final --ocsv right.csv | sort)" ',,,3,300
,c,,2,200
1,a,10,1,100
3,a,30,1,100
id,k,v,id_r,w'
}

@test "regular join: a row is padded until its first partner comes, and after its last" {
	printf '%s\n' op,id,k,w +I,1,a,100 +I,2,a,200 -D,1,a,100 -U,2,a,200 +U,2,b,200 >w.csv
	mkfifo rows
	{
		# all of the right side but its columns waits for what the left gives
		head -n 1 w.csv
		wait_for grep -q '+I,1,a,10' out.csv
		tail -n +2 w.csv
	} >rows &
	writer=$!
	head -n 2 l.csv | fkeyby --icsv k |
		fjoin left <(fcat --icsv --changelog rows | fkeyby k) --ocsv >out.csv
	assert_equal "$(cat out.csv)" 'op,id,k,v,id_r,w
+I,1,a,10,,
-D,1,a,10,,
+I,1,a,10,1,100
+I,1,a,10,2,200
-D,1,a,10,1,100
-D,1,a,10,2,200
+I,1,a,10,,'
}

@test "regular join: equal rows are counted; taking back what is not there changes nothing" {
	printf '%s\n' op,k,v +I,a,1 +I,a,1 +I,a,1 -D,a,1 -D,a,2 -D,b,1 +I,c,1 -D,c,1 -D,c,1 +I,c,1 >a.csv
	printf '%s\n' k,w a,5 c,6 >b.csv
	run -0 bash -c 'fcat --changelog a.csv | fkeyby k | fjoin left <(fkeyby k b.csv) |
		fcat --final --ocsv | sort'
	assert_output 'a,1,5
a,1,5
c,1,6
k,v,w'
}

@test "regular join: rows are the same by their values, whatever made them" {
	# 3 as the text of the input, and 3 as a number that was computed
	printf '%s\n' k,w a,1 >b.csv
	run -0 bash -c '{ printf "%s\n" op,n,k,v +I,1,a,3 +I,1,a,4; sleep 0.1; echo -D,2,a,3; } |
		fcat --icsv --changelog |
		fmap --only k=k "v=case when n = 1 then v else 1 + 2 end" | fkeyby k |
		fjoin left <(fkeyby k b.csv) | fcat --final --ocsv'
	assert_output 'k,v,w
a,4,1'
}

@test "regular join: columns that come later are appended, of either side" {
	printf '%s\n' '{"k":"a","v":1}' '{"k":"b","v":2,"x":7}' >a.jsonl
	printf '%s\n' '{"k":"a","w":1}' '{"k":"b","w":2,"y":8,"v":9}' >b.jsonl
	run -0 bash -c 'fkeyby k a.jsonl | fjoin <(fkeyby k b.jsonl) --ojsonl | sort'
	assert_line --index 0 '{"k":"a","v":1,"w":1}'
	assert_line --index 1 --regexp '"k":"b"'
	assert_line --index 1 --regexp '"x":7'
	assert_line --index 1 --regexp '"y":8'
	assert_line --index 1 --regexp '"v_?[a-z]*":9'
}

@test "regular join: over tee, a stream is joined with itself" {
	mkfifo copy
	seq 1 20000 | awk 'BEGIN { print "id,k" } { print $1 "," $1 % 7000 }' >t.csv
	run -0 bash -c 'fkeyby k t.csv | tee copy | fjoin copy --on "id < id_r" --ocsv |
		tail -n +2 | wc -l'
	# of 2 or 3 rows a key, 1 or 3 pairs
	assert_output "$((6000 * 3 + 1000 * 1))"
}

# ---- the condition ------------------------------------------------------------------

@test "regular join: a condition that cannot be computed is bad data" {
	printf '%s\n' k,w a,x >r.csv
	run -65 --separate-stderr bash -c \
		'set -o pipefail; fkeyby k l.csv | fjoin --on "v + w > 0" <(fkeyby k r.csv) --ocsv'
	# shellcheck disable=SC2154 # bats sets it
	assert_regex "$stderr" '^fjoin: .*--on'
	run -0 bash -c 'fkeyby k l.csv | fjoin left --on "v + w > 0" --on-error skip \
		<(fkeyby k r.csv) -q | fcat --final --ocsv | wc -l'
	assert_output 5
}

@test "regular join: without keys, the condition alone joins" {
	run -0 bash -c 'fcat l.csv | fjoin --on "v * 10 = w" <(fcat r.csv) --ocsv | sort'
	assert_output '1,a,10,1,a,100
2,b,20,2,c,200
3,a,30,3,,300
id,k,v,id_r,k_r,w'
}

@test "regular join: sides with keys of different numbers are refused" {
	run -64 --separate-stderr bash -c \
		'set -o pipefail; fkeyby k l.csv | fjoin <(fkeyby k,id r.csv) --ocsv'
	assert_output ''
}

# ---- size and time ------------------------------------------------------------------

@test "regular join: one key with very many rows costs no square of them" {
	# Of rows taken back one by one each must be found; partners must not be counted
	# row by row.
	awk 'BEGIN {
		print "op,k,v"
		for (i = 0; i < 100000; i++) print "+I,a," i
		for (i = 99999; i >= 0; i -= 2) print "-D,a," i
	}' >many.csv
	awk 'BEGIN { print "k,w"; for (i = 0; i < 100000; i++) print "a," i }' >right.csv
	run -0 timeout 60 bash -c 'fcat --changelog many.csv | fkeyby k |
		fjoin semi <(fkeyby k right.csv) | fcat --final --ocsv | wc -l'
	assert_output 50001
	run -0 timeout 60 bash -c 'fkeyby k right.csv |
		fjoin anti <(fcat --changelog many.csv | fkeyby k) | fcat --final --ocsv | wc -l'
	assert_output 1 # the header line
}

@test "regular join: what it gives leaves in pieces, not all at once" {
	built_with_sanitizers && skip "memory is not what it would be"
	awk 'BEGIN { print "k,v"; for (i = 0; i < 1500; i++) print "a," i }' >a.csv
	run -0 bash -c 'ulimit -v 400000
		fkeyby k a.csv | fjoin <(fkeyby k a.csv) | fcat --ocsv | wc -l'
	assert_output "$((1500 * 1500 + 1))"
}

@test "regular join: --max-memory is kept" {
	awk 'BEGIN { print "k,v"; for (i = 0; i < 100000; i++) print i ",abcdefgh" }' >a.csv
	run -71 --separate-stderr bash -c \
		'set -o pipefail; fkeyby k a.csv | fjoin --max-memory 1M <(fkeyby k r.csv) --ocsv'
	assert_regex "$stderr" 'fjoin: .*--max-memory 1M'
}

@test "regular join: results come while both inputs are open" {
	mkfifo one two
	fkeyby --icsv k one | fjoin <(fkeyby --icsv k two) --ocsv >out.csv &
	writer=$!
	exec {a}>one {b}>two
	printf '%s\n' k,v x,1 >&"$a"
	printf '%s\n' k,w x,2 >&"$b"
	wait_for grep -q '^x,1,2$' out.csv
	exec {b}>&- # one side has ended, the other goes on
	printf '%s\n' x,3 >&"$a"
	wait_for grep -q '^x,3,2$' out.csv
	exec {a}>&-
	wait "$writer"
	writer=
	assert_equal "$(cat out.csv)" 'k,v,w
x,1,2
x,3,2'
}

# ---- lookups --------------------------------------------------------------------------

@test "lookup join: inner and left, with a condition, NULL finds nothing" {
	run -0 bash -c 'fkeyby user events.csv | fjoin --lookup users.csv --ocsv'
	assert_output 'user,v,name,level
u1,1,Ann,3
u1,1,Anna,9
u2,2,Bob,1'
	printf '%s\n' user,name ,nobody u1,Ann >null.csv
	run -0 bash -c 'fkeyby user events.csv | fjoin left --lookup null.csv --ocsv'
	assert_output 'user,v,name
u1,1,Ann
u2,2,
u3,3,
,4,'
	run -0 bash -c 'fkeyby user events.csv |
		fjoin left --on "level > v+2" --lookup users.csv --ocsv'
	assert_output 'user,v,name,level
u1,1,Anna,9
u2,2,,
u3,3,,
,4,,'
}

@test "lookup join: JSONL and gzip files, a key of other names" {
	printf '%s\n' '{"id":"u1","n":1.50}' '{"name":"x","id":"u3","deep":{"a":1}}' >t.jsonl
	gzip <t.jsonl >t.jsonl.gz
	run -0 bash -c 'fkeyby user events.csv | fjoin --lookup --lookup-key id t.jsonl.gz --ojsonl'
	assert_output '{"user":"u1","v":1,"n":1.50}
{"user":"u3","v":3,"name":"x","deep":{"a":1}}'
	run -64 bash -c 'set -o pipefail; fkeyby user events.csv | fjoin --lookup t.jsonl --ocsv'
	assert_output 'fjoin: t.jsonl has no column "user": name those that must equal the left'\''s key with --lookup-key'
}

@test "lookup join: a table of SQLite keeps its types" {
	sqlite3 t.db "create table t(user text, id integer, x real, y);
		insert into t values ('u1', 1, 2.5, 'q'), ('u2', 2, 3, 4), ('u2', 7, 4.25, null)"
	run -0 bash -c 'fkeyby user events.csv | fjoin left --lookup t.db:t --ojsonl'
	assert_output '{"user":"u1","v":1,"id":1,"x":2.5,"y":"q"}
{"user":"u2","v":2,"id":2,"x":3,"y":4}
{"user":"u2","v":2,"id":7,"x":4.25,"y":null}
{"user":"u3","v":3,"id":null,"x":null,"y":null}
{"user":null,"v":4,"id":null,"x":null,"y":null}'
	# a column of numbers, one without a type; 02 is another key than 2
	printf '%s\n' v 2 02 4 >keys.csv
	run -0 bash -c 'fkeyby v keys.csv | fjoin --lookup t.db:t --lookup-key id --ocsv --columns v,user'
	assert_output 'v,user
2,u2'
	run -0 bash -c 'fkeyby v keys.csv | fjoin --lookup t.db:t --lookup-key y --ocsv --columns v,user'
	assert_output 'v,user
4,u2'
}

@test "lookup join: more keys than the cache of SQLite holds" {
	awk 'BEGIN {
		print "create table t(k integer primary key, w); begin;"
		for (i = 0; i < 120000; i++) print "insert into t values(" i ", " 2 * i ");"
		print "commit;"
	}' | sqlite3 t.db
	awk 'BEGIN { print "k"; for (i = 0; i < 120000; i++) print i "\n" i % 100 }' >k.csv
	run -0 bash -c "fkeyby k k.csv | fjoin --lookup t.db:t | ffilter 'w = 2*k' --ocsv | wc -l"
	assert_output 240001
}

# looked_up TABLE: a lookup join that is fed through descriptor $feed.
looked_up() {
	mkfifo in
	fkeyby --icsv user in | fjoin left --lookup "$1" --ocsv >out.csv 2>err.txt &
	writer=$!
	exec {feed}>in
	echo user,v >&"$feed"
}

# see ROW ANSWER: the row, sent until its answer comes (the table is looked at now and then).
see() {
	local i

	for ((i = 0; i < 200; i++)); do
		echo "$1" >&"$feed"
		sleep 0.03
		[ "$(tail -n 1 out.csv)" != "$2" ] || return 0
	done
	fail "$(tail -n 1 out.csv) is not $2"
}

@test "lookup join: a file that is replaced is read anew; a bad one is not" {
	looked_up users.csv
	see u2,1 u2,1,Bob,1
	printf '%s\n' user,level,name,new u2,5,Rob,x u4,6,Eve,y >next.csv
	mv next.csv users.csv
	see u4,2 u4,2,Eve,6
	see u2,3 u2,3,Rob,5
	printf '%s\n' user,name,level u2,Half >users.csv
	sleep 0.2
	see u4,4 u4,4,Eve,6
	sleep 0.2
	see u4,5 u4,5,Eve,6
	printf '%s\n' user,name,level u4,New,7 >next.csv
	mv next.csv users.csv
	see u4,6 u4,6,New,7
	exec {feed}>&-
	wait "$writer"
	writer=
	assert_equal "$(wc -l <err.txt)" 1
	assert_regex "$(cat err.txt)" \
		'^fjoin: --lookup: users.csv:2: .*: went on with the table as it was before$'
}

@test "lookup join: changes of an SQLite table are seen" {
	sqlite3 t.db "create table t(user text, name text); insert into t values ('u1', 'Ann')"
	looked_up t.db:t
	see u1,1 u1,1,Ann
	sqlite3 t.db "update t set name = 'Zoe'"
	see u1,2 u1,2,Zoe
	exec {feed}>&-
	wait "$writer"
	writer=
	assert_equal "$(cat err.txt)" ''
}

@test "lookup join: row kinds and event time stay" {
	printf '%s\n' op,user,v +I,u1,1 -U,u1,1 +U,u1,2 -D,u1,2 >c.csv
	run -0 bash -c 'fcat --changelog c.csv | fkeyby user |
		fjoin --lookup users.csv --ocsv --columns v,name'
	assert_output 'op,v,name
+I,1,Ann
+I,1,Anna
-U,1,Ann
-U,1,Anna
+U,2,Ann
+U,2,Anna
-D,2,Ann
-D,2,Anna'
	printf '%s\n' ts,user 1,u1 2,u2 61,u1 >t.csv
	run -0 bash -c 'fkeyby --time ts user t.csv | fjoin --lookup users.csv |
		fkeyby level | fwindow tumble 1m | freduce n=count --ocsv --otime epoch-ms'
	assert_output 'window_start,window_end,level,n
0,60000,3,1
0,60000,9,1
0,60000,1,1
60000,120000,3,1
60000,120000,9,1'
}

# texts COLUMN…: 12000 rows of texts of all lengths around those that are kept as words (8 to
# 256 bytes): some repeat, some do not, some need quotes; and those that repeat only later.
texts() {
	awk -v q='"' 'BEGIN {
		print "id,few,many,mixed,late"
		for (long = "x"; length(long) < 300;)
			long = long "y"
		for (i = 0; i < 12000; i++) {
			few = substr(long, 1, 5 + i % 6)
			if (i % 97 == 0)
				few = substr(long, 1, 254 + i % 5)
			else if (i % 13 == 0)
				few = q "a, " q q "quoted" q q " text" q
			mixed = i % 3 ? "one of some " i % 40 : "only once " i
			late = i < 9000 ? "different " i : "the same text"
			printf "%d,%s,unique text %d,%s,%s\n", i, i % 11 ? few : "", i, mixed, late
		}
	}'
}

@test "regular join: kept texts come back as they were, words and others" {
	texts >t.csv
	# one row at a time on the other side, so that each side is kept for the most part
	fkeyby id t.csv | fjoin <(fkeyby id t.csv | fmap --only id=id b=few c=many d=mixed e=late) \
		--ocsv | tail -n +2 | sort >got.csv
	sqlite3 :memory: '.mode csv' '.import t.csv t' '.mode list' \
		'select count(*) from t' >count
	assert_equal "$(wc -l <got.csv)" "$(cat count)"
	fcat t.csv --ojsonl | tail -n +1 | sort >want.jsonl
	for half in 'few=few many=many mixed=mixed late=late' 'few=b many=c mixed=d late=e'; do
		# shellcheck disable=SC2086 # words
		{ echo id,few,many,mixed,late,b,c,d,e && cat got.csv; } |
			fmap --icsv --only id=id $half --ojsonl | sort >half.jsonl
		cmp want.jsonl half.jsonl || fail "$half: $(diff want.jsonl half.jsonl | head -n 4)"
	done
}

@test "regular join: rows are taken back, whether their texts are words or not" {
	texts >t.csv
	{ sed -n '1s/^/op,/p; 2,$s/^/+I,/p' t.csv && sed -n '2,$s/^/-D,/p' t.csv | sed 1d; } >changes.csv
	run -0 bash -c 'fcat --changelog changes.csv | fkeyby id |
		fjoin <(fkeyby id t.csv) --ocsv | fcat --final --ocsv | cut -d , -f 1'
	assert_output 'id
0'
}

@test "lookup join: what cannot be is refused" {
	local case status

	sqlite3 t.db 'create table t(user)'
	while read -r status case; do
		run -"$status" bash -c "set -o pipefail; fkeyby user events.csv | fjoin $case --ocsv"
		[[ $output == fjoin:* ]] || fail "$case: $output"
	done <<-'EOF'
		66 --lookup none.csv
		66 --lookup none.db:t
		66 --lookup t.db:none
		65 --lookup users.csv:t
		64 --lookup users.txt
		64 full --lookup users.csv
		64 --lookup users.csv --lookup-key nam
		64 --lookup users.csv --lookup-key user,name
		64 --lookup-key user users.csv
	EOF
	run -64 bash -c 'fcat events.csv | fjoin --lookup users.csv --ocsv'
	assert_output --partial 'fkeyby'
	printf '%s\n' user,name u1 >bad.csv
	run -65 bash -c 'set -o pipefail; fkeyby user events.csv | fjoin --lookup bad.csv --ocsv'
	assert_output --regexp '^fjoin: bad.csv:2: '
}

# ---- --ttl -----------------------------------------------------------------------------

# step N: until the N-th line of out.csv is there; then a second and a half, with a TTL of one.
step() {
	local i

	for ((i = 0; i < 500; i++)); do
		[ "$(wc -l <out.csv)" -lt "$1" ] || break
		sleep 0.02
	done
	sleep 1.5
}

# aged KIND [ARGUMENT…]: 1,a is joined; then both have expired when 2,a and b's rows come.
aged() {
	: >out.csv
	mkfifo rows
	{
		printf '%s\n' id,k,w 1,a,100
		step "$lines_before"
		printf '%s\n' 2,b,200
		sleep 0.3
	} >rows &
	writer=$!
	{
		printf '%s\n' id,k,v 1,a,10 5,b,50
		step "$lines_before"
		printf '%s\n' 2,a,20 3,b,30
		sleep 0.3
	} | fkeyby --icsv k | fjoin "$@" --ttl 1s --ocsv <(fkeyby --icsv k rows) >out.csv
	rm rows
}

@test "regular join: --ttl: what has expired has no partners, and is not taken back" {
	local backend lines_before

	for backend in memory rocksdb; do
		lines_before=2
		aged inner --backend $backend
		assert_equal "$(sort out.csv)" $'1,a,10,1,100\n3,b,30,2,200\nid,k,v,id_r,w'
		aged semi --backend $backend
		assert_equal "$(sort out.csv)" $'1,a,10\n3,b,30\nid,k,v'
		# the pads of what has expired stay, and so does the pair: there is no third 10
		lines_before=3
		aged full --backend $backend
		assert_equal "$(fcat --final --ocsv out.csv | sort)" \
			$'1,a,10,1,100\n2,a,20,,\n3,b,30,2,200\n5,b,50,,\nid,k,v,id_r,w'
		aged anti --backend $backend
		assert_equal "$(fcat --final --ocsv out.csv | sort)" $'2,a,20\n5,b,50\nid,k,v'
	done
}

@test "regular join: --ttl: a row that is written again lives on" {
	(printf '%s\n' op,id,k +I,1,a && sleep 2 && echo +I,1,a && sleep 2 && echo -D,1,a) |
		fcat --icsv --changelog | fkeyby k |
		fjoin --ttl 3s --ocsv <( (echo k,w && sleep 5.3 && echo a,1) | fkeyby --icsv k) >out.csv
	assert_equal "$(cat out.csv)" $'op,id,k,w\n+I,1,a,1'
}

@test "regular join: --ttl: memory is free again, also while nothing comes" {
	rows() {
		echo id,k
		for part in 1 2 3; do
			seq $((part * 40000)) $((part * 40000 + 39999)) | sed 's/.*/&,key &/'
			sleep 2.5
		done
	}
	# one of the three parts fits
	run -71 bash -o pipefail -c "$(declare -f rows)
		rows | fkeyby --icsv k | fjoin --max-memory 9M <(echo k,v | fkeyby --icsv k) --ocsv"
	rows | fkeyby --icsv k | fjoin --ttl 1s --max-memory 9M <(echo k,v | fkeyby --icsv k) --ocsv \
		>out.csv
	assert_equal "$(cat out.csv)" id,k,v
}

@test "--ttl is for regular joins" {
	run -64 bash -c 'fkeyby user events.csv | fjoin --ttl 1h --lookup users.csv --ocsv'
	assert_output 'fjoin: --ttl is for regular joins: a lookup join forgets by the watermark, or keeps nothing'
}
