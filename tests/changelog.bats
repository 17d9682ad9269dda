#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Changelogs: after any prefix of its inputs, what a pipeline has given is, folded, the
# query over the tables that the inputs are, folded. Random changelogs; SQLite says what
# is right. FLUE_SEEDS seeds from FLUE_SEED on ("make changelog-campaign SEEDS=10000").

load helper

setup() {
	cd "$BATS_TEST_TMPDIR" || return
}

# make_inputs SEED: l.csv and r.csv, changelogs of some dozens of rows over few values,
# so that equal rows, keys with many rows and NULL are frequent, cut off somewhere; and
# tables.sql, the tables that they are then.
make_inputs() {
	awk -v seed="$1" '
	function pick(n) { return int(rand() * n) }
	function key(  k) { k = pick(6); return k < 5 ? substr("abcde", k + 1, 1) : "" }
	function fresh(t) {
		return pick(4) "," key() "," (rand() < 0.1 ? "" : pick(8) - 2)
	}
	function sql_values(row,  f, n) {
		n = split(row, f, ",")
		return (f[1] == "" ? "NULL" : f[1]) "," (f[2] == "" ? "NULL" : "\047" f[2] "\047") \
			"," (f[3] == "" ? "NULL" : f[3])
	}
	function tell(t, op, row) { print (adds[t] ? "" : op ",") row > (t ".csv") }
	function put(t, row) { have[t, count[t]++] = row }
	function take(t,  i, row) {
		i = pick(count[t])
		row = have[t, i]
		have[t, i] = have[t, --count[t]]
		return row
	}
	# A step of a changelog. An update may change the key, or nothing.
	function step(t,  what, row) {
		what = rand()
		if (adds[t] || count[t] == 0 || what < 0.5) {
			row = fresh(t)
			tell(t, rand() < 0.9 ? "+I" : "+U", row)
			put(t, row)
		} else if (what < 0.75) {
			tell(t, rand() < 0.9 ? "-D" : "-U", take(t))
		} else {
			tell(t, "-U", take(t))
			row = fresh(t)
			tell(t, "+U", row)
			put(t, row)
		}
	}
	function table(t, last,  i) {
		print "create table " t "(" id[t] " int, k text, " last " int);" > "tables.sql"
		for (i = 0; i < count[t]; i++)
			print "insert into " t " values(" sql_values(have[t, i]) ");" > "tables.sql"
	}
	BEGIN {
		srand(seed)
		id["l"] = "id"; id["r"] = "rid"
		# Now and then one of them is no changelog.
		adds["l"] = rand() < 0.2
		adds["r"] = !adds["l"] && rand() < 0.25
		print (adds["l"] ? "" : "op,") "id,k,v" > "l.csv"
		print (adds["r"] ? "" : "op,") "rid,k,w" > "r.csv"
		lefts = 1 + pick(60)
		for (i = 0; i < lefts; i++)
			step("l")
		rights = 1 + pick(60)
		for (i = 0; i < rights; i++)
			step("r")
		table("l", "v")
		table("r", "w")
	}'
}

# feed SEED FILE [PROBABILITY]: the file, with pauses, so that inputs interleave.
feed() {
	awk -v seed="$1" -v p="${3:-0.08}" '
		BEGIN { srand(seed) }
		{ print }
		rand() < p { fflush(); system("sleep 0.002") }' "$2"
}

# as_stream FILE: standard input, which is FILE, as frames.
as_stream() {
	if [[ $(head -n 1 "$1") == op,* ]]; then
		fcat --icsv --changelog
	else
		fcat --icsv
	fi
}

left() {
	feed "$1" l.csv | as_stream l.csv | fkeyby k
}

right() {
	feed "$((seed + 1000003))" r.csv | as_stream r.csv | fkeyby k
}

# expect QUERY COLUMNS COMMAND…: the folded output of COMMAND, COLUMNS of it, is QUERY's.
expect() {
	local query=$1 columns=$2

	shift 2
	"$@" | fcat --final --ocsv --columns "$columns" >final.csv ||
		fail "seed $seed: $* ended with ${PIPESTATUS[*]}"
	printf '.mode list\n.separator ,\n%s;\n' "$query" | cat tables.sql - | sqlite3 |
		LC_ALL=C sort >expected
	tail -n +2 final.csv | LC_ALL=C sort | diff -u --label sqlite --label flue expected - ||
		fail "seed $seed (FLUE_SEED=$seed FLUE_SEEDS=1): $*: $query"
}

# for_seeds FUNCTION: with $seed set, its inputs made.
for_seeds() {
	local first=${FLUE_SEED:-1} seed

	for ((seed = first; seed < first + ${FLUE_SEEDS:-40}; seed++)); do
		rm -f l.csv r.csv
		make_inputs "$seed"
		"$1"
	done
}

# ---- joins -------------------------------------------------------------------------

join() {
	left "$seed" | fjoin "$@" <(right "$seed")
}

joined='id,k,v,rid,w'
both='l.id, coalesce(l.k, r.k), l.v, r.rid, r.w'

# joins CONDITION [OPTION…]: one kind a seed, so that all have their turn.
joins() {
	local on="l.k = r.k${1:+ and $1}"
	local kinds=(inner left right full semi anti)
	local kind=${kinds[seed % 6]}

	shift
	case $kind in
	inner | left | right | full)
		expect "select $both from l $kind join r on $on" "$joined" join "$kind" "$@"
		;;
	semi)
		expect "select id, k, v from l where exists (select 1 from r where $on)" id,k,v \
			join semi "$@"
		;;
	anti)
		expect "select id, k, v from l where not exists (select 1 from r where $on)" id,k,v \
			join anti "$@"
		;;
	esac
}

joins_plain() {
	joins ''
}

joins_on() {
	joins 'v > w' --on 'v > w'
}

@test "changelogs: joins are those of the tables" {
	for_seeds joins_plain
}

@test "changelogs: joins with a condition are those of the tables" {
	for_seeds joins_on
}

unkeyed() {
	feed "$seed" l.csv | as_stream l.csv |
		fjoin "$@" <(feed "$((seed + 7))" r.csv | as_stream r.csv)
}

joins_unkeyed() {
	expect 'select id, l.k, v, rid, r.k, w from l left join r on v = w + 1' id,k,v,rid,k_r,w \
		unkeyed left --on 'v = w + 1'
}

@test "changelogs: joins without a key are those of the tables" {
	for_seeds joins_unkeyed
}

# ---- other operators ----------------------------------------------------------------

aggregated() {
	left "$seed" | freduce n=count 'c=count(v)' 's=sum(v)' 'lo=min(v)' 'hi=max(v)' \
		'd=count(distinct v)' --updates
}

aggregates() {
	expect 'select k, count(*), count(v), sum(v), min(v), max(v), count(distinct v) from l
		group by k' k,n,c,s,lo,hi,d aggregated
}

@test "changelogs: aggregates are those of the table" {
	for_seeds aggregates
}

# as_table: what only adds is a table already, which fcat --final does not fold.
as_table() {
	if [[ $(head -n 1 l.csv) == op,* ]]; then
		fcat --final --ocsv
	else
		fcat --ocsv
	fi | sed '1s/^/op,/; 2,$s/^/+I,/' | fcat --icsv --changelog
}

mapped() {
	left "$seed" | ffilter 'v > 1' | fmap 'x=2*v+id' | as_table
}

maps() {
	expect 'select id, k, v, 2*v+id from l where v > 1' id,k,v,x mapped
}

@test "changelogs: filters and expressions are those of the table" {
	for_seeds maps
}

chained() {
	left "$seed" | fjoin left <(right "$seed" | ffilter 'w > 0') | fmap 'x=coalesce(w, 0) + v' |
		fkeyby id | freduce n=count 's=sum(x)' --updates | ffilter 'n > 1' | fkeyby n |
		freduce m=count 't=sum(s)' --updates
}

chains() {
	expect 'select n, count(*), sum(s) from (select id, count(*) n, sum(coalesce(w, 0) + v) s
		from l left join (select * from r where w > 0) r on l.k = r.k group by id
		having count(*) > 1) group by n' n,m,t chained
}

@test "changelogs: chains of joins and aggregates are those of the tables" {
	for_seeds chains
}

# ---- changelogs as text ----------------------------------------------------------------

@test "fcat --changelog: the column op becomes the kind of the row" {
	printf '%s\n' k,op,v a,+I,1 a,-U,1 a,+U,2 b,+I,5 a,-D,2 >c.csv
	run -0 bash -c 'fcat --changelog c.csv | fkeyby k | freduce "s=sum(v)" --updates --ocsv'
	assert_output 'op,k,s
+I,a,1
-D,a,1
+I,a,2
+I,b,5
-D,a,2'
	run -0 bash -c 'fcat --changelog c.csv | fcat --ocsv'
	assert_line --index 0 op,k,v
	run -0 bash -c 'fcat c.csv --ojsonl | fcat --ijsonl --changelog | fcat --final --ocsv'
	assert_output 'k,v
b,5'
}

@test "fcat --changelog: what is no changelog is refused, what is no kind is bad" {
	printf '%s\n' k,v a,1 >c.csv
	run -64 fcat --changelog c.csv --ocsv
	assert_output 'fcat: --changelog: there is no column "op"'
	printf '%s\n' op,k +I,a I,b -D,a >c.csv
	run -65 --separate-stderr fcat --changelog c.csv --ocsv
	# shellcheck disable=SC2154 # bats sets it
	assert_regex "$stderr" '^fcat: c.csv:3: op is \+I, -U, \+U or -D, not "I"$'
	run -0 --separate-stderr fcat --changelog --on-error skip c.csv --ocsv
	assert_output 'op,k
+I,a
-D,a'
	assert_equal "$stderr" 'fcat: 1 bad record skipped'
}
