#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# frank, fdedup and fover against the window functions of SQLite: random tables, many of
# whose values are equal or NULL, random frames, orders and disorder. FLUE_SEEDS seeds
# from FLUE_SEED on.
#
# Each test is a process of its own: what it sets is not meant for others.
# shellcheck disable=SC2030,SC2031

load helper

setup() {
	cd "$BATS_TEST_TMPDIR" || return
}

# make_table SEED [DISORDER]: t.csv with n (arrival), ts, k, v, w; rows out of order by
# less than DISORDER ms.
make_table() {
	awk -v seed="$1" -v disorder="${2:-0}" '
	function pick(n) { return int(rand() * n) }
	BEGIN {
		srand(seed)
		rows = 1 + pick(120)
		print "n,ts,k,v,w"
		for (i = 0; i < rows; i++) {
			t += pick(4) ? 0 : pick(2000)
			ts = 1000000000000 + t + pick(disorder + 1)
			v = rand() < 0.1 ? "" : rand() < 0.2 ? pick(40) / 4 : pick(10) - 3
			printf "%d,%.0f,%s,%s,%s\n", i, ts, pick(5) ? substr("abcd", pick(4) + 1, 1) : "", v,
				pick(2) ? pick(4) : substr("pqrs", pick(4) + 1, 1)
		}
	}' >t.csv
}

# plain: numbers as they are shortest: SQLite's 8.0 and our 8.00 are 8.
plain() {
	sed -E -e 's/(\.[0-9]*[1-9])0+(,|$)/\1\2/g' -e 's/\.0+(,|$)/\1/g' |
		LC_ALL=C sort
}

# sql QUERY: over t, rows sorted by bytes. NULL is the empty field, as in CSV.
sql() {
	sqlite3 >sql.out <<-SQL
		create table raw(n, ts, k, v, w);
		.mode csv
		.import --skip 1 t.csv raw
		create table t as select cast(n as int) n, cast(ts as int) ts, nullif(k, '') k,
			cast(nullif(v, '') as numeric) v, w,
			case when w glob '[0-9]*' then 0 else 1 end text from raw;
		.mode list
		.separator ,
		$1;
	SQL
	plain <sql.out
}

# same QUERY COMMAND…: what the shell COMMAND prints as CSV are the rows of QUERY.
same() {
	sql "$1" >expected
	shift
	bash -o pipefail -c "$*" >out.csv 2>messages ||
		fail "seed $seed: $*: $(cat messages)"
	[ ! -s messages ] || fail "seed $seed: $*: $(cat messages)"
	tail -n +2 out.csv | plain | diff -u --label sqlite --label flue expected - ||
		fail "seed $seed (FLUE_SEED=$seed FLUE_SEEDS=1): $*"
}

# for_seeds DISORDER FUNCTION: with $seed set, its table made.
for_seeds() {
	local first=${FLUE_SEED:-1} seed

	for ((seed = first; seed < first + ${FLUE_SEEDS:-30}; seed++)); do
		make_table "$seed" "$1"
		"$2"
	done
}

timed="fkeyby --time ts --time-format epoch-ms --watermark 5s"

# ---- frank ---------------------------------------------------------------------------

orders=('v desc' 'v' 'v desc nulls first, n desc' 'w, v desc' '-v, ts' 'w desc')
sql_orders=('v desc nulls last' 'v nulls last' 'v desc nulls first, n desc'
	'text, w, v desc nulls last' '-v nulls last, ts' 'text desc, w desc')

best_rows() {
	local limit=$((seed % 4 + 1)) offset=$((seed % 3)) o=$((seed % ${#orders[@]}))
	local query

	query="select n, k, v, w, r from (select *, row_number() over
		(partition by k order by ${sql_orders[o]}, n) r from t)
		where r > $offset and r <= $((offset + limit))"
	same "$query" "fkeyby k t.csv | frank $limit --offset $offset --by '${orders[o]}' --rank r |
		fmap --only n=n k=k v=v w=w r=r --ocsv"
	same "$query" "fkeyby k t.csv | frank $limit --offset $offset --by '${orders[o]}' --rank r \
		--updates | fcat --final | fmap --only n=n k=k v=v w=w r=r --ocsv"
	same "select n, k, v, w from ($query)" "fkeyby k t.csv |
		frank $limit --offset $offset --by '${orders[o]}' --updates | fcat --final |
		fmap --only n=n k=k v=v w=w --ocsv"
}

@test "frank: the best rows of each key are those of row_number()" {
	for_seeds 0 best_rows
}

# The best of an aggregate that goes up and down; ties may be any of those that tie.
best_sums() {
	local limit=$((seed % 5 + 1))

	same "select s, r from (select sum(v) s, row_number() over (order by sum(v) desc nulls last) r
		from t group by k) where r <= $limit" \
		"fkeyby k t.csv | freduce 's=sum(v)' --updates | fmap --only k=k s=s one=1 | fkeyby one |
		frank $limit --by 's desc' --rank r --updates | fcat --final | fmap --only s=s r=r --ocsv"
	same "select s from (select sum(v) s, row_number() over (order by sum(v) desc nulls last) r
		from t group by k) where r <= $limit" \
		"fkeyby k t.csv | freduce 's=sum(v)' --updates | fmap --only k=k s=s one=1 | fkeyby one |
		frank $limit --by 's desc' | fmap --only s=s --ocsv"
}

@test "frank: the best of a changelog follow it" {
	for_seeds 0 best_sums
}

# make_changes SEED: c.csv, rows that come and go, many of them equal; and t.csv, what is
# left, by arrival.
make_changes() {
	awk -v seed="$1" '
	function pick(n) { return int(rand() * n) }
	BEGIN {
		srand(seed)
		print "op,k,v" >"c.csv"
		print "n,ts,k,v,w" >"t.csv"
		steps = 1 + pick(150)
		for (i = 0; i < steps; i++) {
			if (count && rand() < 0.45) { # the earliest of those that are equal
				row = have[order[j = pick(count)]]
				for (j = 0; have[order[j]] != row; j++)
					;
				print (pick(2) ? "-D" : "-U") "," row >"c.csv"
				for (count--; j < count; j++)
					order[j] = order[j + 1]
			} else {
				have[i] = substr("ab", pick(2) + 1, 1) "," (pick(8) ? pick(6) : "")
				print (pick(2) ? "+I" : "+U") "," have[i] >"c.csv"
				order[count++] = i
			}
		}
		for (j = 0; j < count; j++)
			print order[j] ",0," have[order[j]] "," >"t.csv"
	}'
}

changes() {
	local limit=$((seed % 4 + 1)) offset=$((seed % 3)) query

	make_changes "$seed"
	query="select k, v, r from (select *, row_number() over
		(partition by k order by v desc nulls last, n) r from t)
		where r > $offset and r <= $((offset + limit))"
	same "$query" "fcat --changelog c.csv | fkeyby k |
		frank $limit --offset $offset --by 'v desc' --rank r --updates | fcat --final --ocsv"
	same "select k, v from ($query)" "fcat --changelog c.csv | fkeyby k |
		frank $limit --offset $offset --by 'v desc' --updates | fcat --final --ocsv"
	same "select k, v from ($query)" "fcat --changelog c.csv | fkeyby k |
		frank $limit --offset $offset --by 'v desc' --ocsv"
}

@test "frank: rows are taken back, the next ones follow" {
	for_seeds 0 changes
}

best_in_windows() {
	local limit=$((seed % 3 + 1))

	same "select (ts/1000)*1000, k, n, r from (select *, row_number() over
		(partition by ts/1000, k order by v desc nulls last, n) r from t) where r <= $limit" \
		"$timed k t.csv | fwindow tumble 1s | frank $limit --by 'v desc' --rank r |
		fmap --only s=window_start k=k n=n r=r --ocsv --otime epoch-ms"
	same "select s * 1000, n from (select *, row_number() over
		(partition by s, k order by v desc nulls last, n) r from t, (select value s from
		generate_series((select min(ts)/1000 - 2 from t), (select max(ts)/1000 from t)))
		where ts/1000 between s and s + 2) where r <= $limit" \
		"$timed k t.csv | fwindow slide 3s 1s | frank $limit --by 'v desc' |
		fmap --only s=window_start n=n --ocsv --otime epoch-ms"
}

@test "frank: windows, tumbling and sliding" {
	for_seeds 3000 best_in_windows
}

best_in_sessions() {
	local limit=$((seed % 3 + 1))

	same "select first, last + 400, n, r from (select *, min(ts) over w first, max(ts) over w last,
		row_number() over (partition by k, session order by v desc nulls last, n) r
		from (select *, sum(new) over (partition by k order by ts, n) session from
			(select *, ts - lag(ts, 1, 0) over (partition by k order by ts, n) > 400 new from t))
		window w as (partition by k, session)) where r <= $limit" \
		"$timed k t.csv | fwindow session 400ms | frank $limit --by 'v desc' --rank r |
		fmap --only s=window_start e=window_end n=n r=r --ocsv --otime epoch-ms"
}

@test "frank: sessions" {
	for_seeds 3000 best_in_sessions
}

@test "frank: sessions come as they do in freduce, late rows and all" {
	seed=5
	make_table 400 6000
	key="fkeyby --time ts --time-format epoch-ms --watermark 100ms k t.csv"
	bash -c "$key | fwindow session 200ms | freduce hi='max(v)' --ocsv" >want 2>want.err
	bash -c "$key | fwindow session 200ms | frank 1 --by 'v desc' |
		fmap --only window_start=window_start window_end=window_end k=k hi=v --ocsv" \
		>got 2>got.err
	diff want got
	diff <(sed s/freduce// want.err) <(sed s/frank// got.err)
	grep -q late got.err
}

@test "frank: many rows of one key, in any order" {
	seq 0 20000 | awk 'BEGIN { srand(7); print "n,ts,k,v,w" }
		{ print $1 ",0,a," int(rand() * 5000) "," }' >t.csv
	seed=7
	same "select n from t order by v, n limit 3000 offset 500" \
		"frank 3000 --offset 500 --by v t.csv | fmap --only n=n --ocsv"
	same "select n from t order by v desc, n limit 1000" \
		"frank 1000 --by 'v desc' --updates t.csv | fcat --final | fmap --only n=n --ocsv"
	# as a changelog of which half is taken back
	awk -F, 'NR == 1 { print "op," $0; next } { print "+I," $0 }
		NR % 2 { print "-D," $0 }' t.csv >c.csv
	awk -F, 'NR == 1 || NR % 2 == 0' t.csv >kept.csv && mv kept.csv t.csv
	same "select n from t order by v desc, n limit 2000" \
		"fcat --changelog c.csv | frank 2000 --by 'v desc' --updates | fcat --final |
		fmap --only n=n --ocsv"
}

# ---- fdedup --------------------------------------------------------------------------

one_row() {
	same "select n, k from (select *, row_number() over (partition by k order by ts, n) r from t)
		where r = 1" "$timed k t.csv | fdedup | fmap --only n=n k=k --ocsv"
	same "select n, k from (select *, row_number() over (partition by k order by ts, n) r from t)
		where r = 1" "$timed k t.csv | fdedup --updates | fcat --final | fmap --only n=n k=k --ocsv"
	same "select n, k from (select *, row_number() over (partition by k order by ts desc, n desc) r
		from t) where r = 1" "$timed k t.csv | fdedup --keep last | fmap --only n=n k=k --ocsv"
	same "select n, k from (select *, row_number() over (partition by k order by n) r from t)
		where r = 1" "fkeyby k t.csv | fdedup | fmap --only n=n k=k --ocsv"
	same "select n, k from (select *, row_number() over (partition by k order by n desc) r from t)
		where r = 1" "fkeyby k t.csv | fdedup --keep last --updates | fcat --final |
		fmap --only n=n k=k --ocsv"
	same "select distinct k, v from t" "fmap --only k=k v=v t.csv | fdedup --ocsv"
}

@test "fdedup: the first and the last row of each key, by time and by arrival" {
	for_seeds 4000 one_row
}

# The rule in awk: in order of time, within 700 ms of the last that passed.
within() {
	local keep

	for keep in first last; do
		tail -n +2 t.csv | sort -s -t , -k 2,2n | awk -F, -v keep="$keep" '
			keep == "first" {
				if (!($3 in at) || $2 - at[$3] > 700) { print $1; at[$3] = $2 }
				next
			}
			{
				if ($3 in at && $2 - at[$3] > 700) print held[$3]
				at[$3] = $2
				held[$3] = $1
			}
			END { if (keep == "last") for (k in held) print held[k] }' |
			LC_ALL=C sort >expected
		bash -o pipefail -c "$timed k t.csv | fdedup --within 700ms --keep $keep |
			fmap --only n=n --ocsv" >out.csv
		tail -n +2 out.csv | LC_ALL=C sort | diff -u expected - || fail "seed $seed: $keep"
	done
}

@test "fdedup: within a time of the row that is kept" {
	for_seeds 4000 within
}

@test "fdedup: what passes does not depend on how the input is cut" {
	make_table 5 2000
	for keep in first last; do
		$timed k t.csv | fdedup --within 500ms --keep $keep --ocsv >whole.csv
		dd bs=7 status=none if=t.csv | $timed k --icsv - | fdedup --within 500ms --keep $keep \
			--ocsv | diff whole.csv -
	done
	$timed k t.csv | fdedup --ocsv >whole.csv
	dd bs=7 status=none if=t.csv | $timed k --icsv - | fdedup --ocsv | diff whole.csv -
}

# ---- fover ---------------------------------------------------------------------------

over() {
	local n=$((seed % 5)) part='partition by k order by ts, n'

	same "select n, k, sum(v) over w, count(v) over w, min(v) over w, max(v) over w,
		count(*) over w from t window w as ($part rows $n preceding)" \
		"$timed k t.csv | fover --rows $n 's=sum(v)' 'c=count(v)' 'lo=min(v)' 'hi=max(v)' a=count |
		fmap --only n=n k=k s=s c=c lo=lo hi=hi a=a --ocsv"
	same "select n, sum(v) over w, max(v) over w, count(*) over w from t
		window w as (partition by k order by ts range $((n * 300)) preceding)" \
		"$timed k t.csv | fover --range $((n * 300))ms 's=sum(v)' 'hi=max(v)' a=count |
		fmap --only n=n s=s hi=hi a=a --ocsv"
	same "select n, sum(v) over w, min(v) over w from t
		window w as (partition by k order by ts)" \
		"$timed k t.csv | fover 's=sum(v)' 'lo=min(v)' |
		fmap --only n=n s=s lo=lo --ocsv"
	same "select n, sum(v) over w, count(*) over w from t
		window w as ($part rows unbounded preceding)" \
		"$timed k t.csv | fover --rows unbounded 's=sum(v)' a=count |
		fmap --only n=n s=s a=a --ocsv"
	same "select n, sum(v) over (order by n rows $n preceding) from t" \
		"fover --rows $n 's=sum(v)' t.csv | fmap --only n=n s=s --ocsv"
}

@test "fover: aggregates over rows and ranges" {
	for_seeds 4000 over
}

places() {
	local n=$((seed % 4))

	same "select n, k, lag(v, $n) over w, lag(w, 1, 'none') over w, row_number() over w,
		rank() over r, dense_rank() over r, count(*) over (partition by k order by ts, n rows 1
		preceding)
		from t window w as (partition by k order by ts, n), r as (partition by k order by ts)" \
		"$timed k t.csv | fover --rows 1 'a=lag(v, $n)' \"b=lag(w, 1, 'none')\" 'c=row_number()' \
		'd=rank()' 'e=dense_rank()' f=count | fmap --only n=n k=k a=a b=b c=c d=d e=e f=f --ocsv"
	same "select n, lead(v, $n) over w, lead(n, 1, -1) over w, sum(v) over
		(partition by k order by ts range 500 preceding)
		from t window w as (partition by k order by ts, n)" \
		"$timed k t.csv | fover --range 500ms 'a=lead(v, $n)' 'b=lead(n, 1, -1)' 's=sum(v)' |
		fmap --only n=n a=a b=b s=s --ocsv"
}

@test "fover: lag, lead, row_number, rank, dense_rank" {
	for_seeds 4000 places
}

@test "fover: rows come in order of time, whatever the cut of the input" {
	make_table 11 4000
	$timed k t.csv | fover --rows 2 's=sum(v)' 'p=lag(n)' --ocsv >whole.csv
	tail -n +2 whole.csv | cut -d, -f2,1 | sort -c -t, -k 2,2n -k 1,1n
	dd bs=7 status=none if=t.csv | $timed k --icsv - |
		fover --rows 2 's=sum(v)' 'p=lag(n)' --ocsv | diff whole.csv -
}

@test "fover: late rows are counted, and written where --late says" {
	printf 'ts,k,v\n1000,a,1\n9000,a,2\n3000,a,3\n500,a,4\n20000,a,5\n' >t.csv
	run --separate-stderr bash -c "fkeyby --time ts --time-format epoch-ms k t.csv |
		fover n=count --late late.csv --ocsv"
	assert_success
	# shellcheck disable=SC2154 # run sets it
	assert_equal "$stderr" "fover: 2 late records written to late.csv"
	assert_output "$(printf 'ts,k,v,n\n1000,a,1,1\n9000,a,2,2\n20000,a,5,3\n')"
	assert_equal "$(cat late.csv)" "$(printf 'ts,k,v\n3000,a,3\n500,a,4\n')"
}

# ---- what is refused -------------------------------------------------------------------

refused() {
	run "$@"
	assert_failure 64
}

@test "what cannot be ranked or framed is refused" {
	make_table 1
	refused frank 0 --by v t.csv
	refused frank 3 t.csv
	refused frank --by v t.csv
	refused frank 3 --by '' t.csv
	refused frank 3 --by 'v,,w' t.csv
	refused frank 3 --by 'nosuch desc' t.csv
	refused frank 3 --by v --rank k t.csv
	refused fdedup --within 1s t.csv
	refused fdedup --late x.csv t.csv
	refused fover --range 1s n=count t.csv
	refused fover --rows 1 --range 1s n=count t.csv
	refused fover --rows x n=count t.csv
	refused fover 'x=lag()' t.csv
	refused fover 'x=lag(v, w)' t.csv
	refused fover 'x=row_number(v)' t.csv
	refused fover 'k=count' t.csv
	refused bash -o pipefail -c "fkeyby k t.csv | freduce n=count --updates | fover s=count"
	refused bash -o pipefail -c "$timed k t.csv | fwindow count 3 | frank 1 --by v"
	refused bash -o pipefail -c "$timed k t.csv | fwindow tumble 1s --lateness 1s | frank 1 --by v"
	refused bash -o pipefail -c "$timed k t.csv | fwindow tumble 1s | fover s=count"
}

@test "a value that is no number is a bad record" {
	printf 'k,v\na,1\na,x\na,3\n' >t.csv
	run --separate-stderr fover 's=sum(v)' --ocsv t.csv
	assert_failure 65
	run --separate-stderr fover --on-error skip 's=sum(v)' --ocsv t.csv
	assert_success
	assert_output "$(printf 'k,v,s\na,1,1\na,3,4\n')"
	run --separate-stderr frank 2 --by 'v*2 desc' --on-error skip --ocsv t.csv
	assert_success
	assert_output "$(printf 'k,v\na,3\na,1\n')"
}

# ---- checkpoints -----------------------------------------------------------------------

# make_long: long.csv, 500,000 rows of 2,000 keys, out of order by up to 3 s.
make_long() {
	awk 'BEGIN {
		srand(20)
		print "n,ts,k,v"
		for (i = 0; i < 500000; i++) {
			t += int(rand() * 30)
			printf "%d,%.0f,k%d,%d\n", i, 1000000000000 + t + int(rand() * 3000),
				rand() * 2000, rand() * 1000
		}
	}' >long.csv
}

# killed COMMAND…: run between fcheckpoint begin and commit, all processes killed twice, a
# little after a new checkpoint, the result is that of the line without kills. Counts the
# kills that came before the end in $kills.
killed() {
	local key="fkeyby --icsv --time ts --time-format epoch-ms --watermark 4s k" line pid before

	rm -rf ck out.csv
	bash -o pipefail -c "$key long.csv | $* --ocsv" >want.csv
	line="fcheckpoint begin -d ck --every 5ms long.csv | $key | $* | fcheckpoint commit -o out.csv"
	for _ in 1 2; do
		before=$(newest)
		setsid bash -o pipefail -c "$line" >/dev/null 2>&1 3>&- &
		pid=$!
		for ((i = 0; i < 1000; i++)); do
			[ "$(newest)" = "$before" ] || break
			sleep 0.01
		done
		sleep "0.0$((RANDOM % 4))"
		kill -KILL -- "-$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
		fcheckpoint list ck | grep -q ' finished ' || kills=$((kills + 1))
	done
	timeout 60 bash -o pipefail -c "$line" >messages 2>&1 || fail "$*: $? $(cat messages)"
	cmp want.csv out.csv || fail "$*: another result after $kills kills"
}

@test "killed and started again, the results are the same" {
	local i

	kills=0
	make_long
	killed frank 3 --by "'v desc'" --rank r --updates
	killed frank 3 --by "'v desc, n desc'"
	killed fwindow slide 60s 20s \| frank 2 --by "'v desc'"
	killed fwindow session 500ms \| frank 2 --by "'v desc'"
	killed freduce "'s=sum(v)'" --updates \| frank 5 --by "'s desc'" --updates
	killed fdedup
	killed fdedup --keep last --updates
	killed fdedup --within 60s
	killed fdedup --within 60s --keep last
	killed fover --rows 3 "'s=sum(v)'" "'p=lag(n)'" "'r=rank()'"
	killed fover --range 50s "'hi=max(v)'" "'f=lead(n)'"
	[ "$kills" -ge 10 ] || fail "only $kills kills"
}

@test "a checkpoint of other arguments is refused, naming both" {
	make_long
	line() {
		fcheckpoint begin -d ck --every 5ms --keep-open long.csv |
			fkeyby --icsv --time ts --time-format epoch-ms --watermark 4s k | "$@" |
			fcheckpoint commit -o out.csv
	}
	set -o pipefail
	line frank 3 --by 'v desc' --updates
	run line frank 3 --by v --updates
	assert_failure 78
	assert_output --partial 'by v desc'
	run line frank 5 --by 'v desc' --updates
	assert_failure 78
	rm -rf ck out.csv
	line fover 's=sum(v)'
	run line fover 's=max(v)'
	assert_failure 78
	assert_output --partial 's=max(v)'
	rm -rf ck out.csv
	line fdedup --within 1s
	run line fdedup --within 1s --keep last
	assert_failure 78
	assert_output --partial '--keep first'
}
