#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Changelogs: after any prefix of its inputs, what a pipeline has given is, folded, the
# query over the tables that the inputs are, folded. Random changelogs; SQLite says what
# is right; changelog/prefixes.c does both. FLUE_SEEDS seeds from FLUE_SEED on ("make
# changelog-campaign SEEDS=10000").

# shellcheck disable=SC2016 # what stands in quotes is for the pipeline's bash, or SQL
load helper

setup_file() {
	export PREFIXES=$BATS_FILE_TMPDIR/prefixes

	"$FLUE_CC" -std=gnu17 -O1 -o "$PREFIXES" "$BATS_TEST_DIRNAME/changelog/prefixes.c" \
		-lsqlite3
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
}

# variant I N: of the seeds, those that are I modulo N, into ${seeds[@]}; false: there are
# none. So a seed by itself is tried as it was among all.
variant() {
	local first=${FLUE_SEED:-1} count=${FLUE_SEEDS:-100}
	local start=$((first + (($1 - first) % $2 + $2) % $2))
	local behind=$((first + count))

	((start < behind)) || return
	seeds=(--first "$start" --count $(((behind - start + $2 - 1) / $2)) --stride "$2")
}

# expect [OPTION…] QUERY COMMAND: with ${seeds[@]}.
expect() {
	local command=${*: -1}

	run "$PREFIXES" "${seeds[@]}" "${@:1:$#-1}" "set -o pipefail; $command"
	[ "$status" -eq 0 ] ||
		fail "$output"$'\n'"(FLUE_SEED=… FLUE_SEEDS=1: a seed by itself)"
}

# And with all seeds at once, in large batches.
expect_both() {
	expect "$@"
	expect --bulk "$@"
}

# Instead of bulk, some of the seeds with hundreds of rows.
expect_large() {
	expect "$@"
	seeds[3]=$(((seeds[3] + 49) / 50))
	expect --steps 1500 "$@"
}

# Options of what keeps state: FLUE_STATE, such as "--backend rocksdb --max-memory 1M".
state=${FLUE_STATE:-}

# The inputs. One that only grows has no op.
l='fcat --icsv --changelog'
r='fcat --icsv --changelog <&3'
growing_l='fcat --icsv'
growing_r='fcat --icsv <&3'

# ---- joins -------------------------------------------------------------------------

kinds=(inner left right full semi anti)
# the inputs whose rows come out though nothing is joined with them
alone=('' l r lr '' l)

# joined KIND CONDITION KEY: the query, and the columns of both results.
joined() {
	case $1 in
	semi) query="select id, k, v from l where exists (select 1 from r where $2)" ;;
	anti) query="select id, k, v from l where not exists (select 1 from r where $2)" ;;
	*) query="select id, $3, v, rid, w from l $1 join r on $2" ;;
	esac
	columns=id,k,v
	[[ $1 == semi || $1 == anti ]] || columns=id,k,v,rid,w
}

# joins CONDITION [OPTION…]: all kinds of joins of all kinds of inputs.
joins() {
	local on="l.k = r.k${1:+ and $1}" growing=(- l r lr) grows left right i query columns

	shift
	for ((i = 0; i < 24; i++)); do
		variant "$i" 24 || continue
		joined "${kinds[i % 6]}" "$on" 'coalesce(l.k, r.k)'
		grows=${growing[i / 6]} left=$l right=$r
		[[ $grows != *l* ]] || left=$growing_l
		[[ $grows != *r* ]] || right=$growing_r
		expect_both --two --leave --alone "${alone[i % 6]}" --adds "$grows" "$query" \
			"$left | fkeyby k | fjoin $state ${kinds[i % 6]} $* <($right | fkeyby k) \
				--ocsv --columns $columns"
	done
}

@test "changelogs: joins are those of the tables" {
	joins ''
}

@test "changelogs: joins with a condition are those of the tables" {
	joins 'v > w' --on "'v > w'"
}

@test "changelogs: joins without a key are those of the tables" {
	local on='v = w + 1' i query columns

	for i in {0..5}; do
		variant "$i" 6 || continue
		joined "${kinds[i]}" "$on" 'l.k, r.k'
		expect --two --alone "${alone[i]}" "$query" \
			"$l | fjoin $state ${kinds[i]} --on '$on' <($r) \
				--ocsv --columns ${columns/k,v,/k,k_r,v,}"
	done
}

# But where nothing is kept of a row that could tell: its key is NULL, or it is on the
# right of a semi or anti join, of which the number counts.
@test "changelogs: joins ignore what takes back rows that are not there" {
	local i query columns

	for i in {0..3}; do
		variant "$i" 4 || continue
		joined "${kinds[i]}" 'l.k = r.k' 'coalesce(l.k, r.k)'
		expect_both --two --leave --strays --no-null-keys --alone "${alone[i]}" "$query" \
			"$l | fkeyby k | fjoin $state ${kinds[i]} <($r | fkeyby k) \
				--ocsv --columns $columns"
	done
}

@test "changelogs: lookup joins pass the kinds of rows on" {
	local i

	{
		printf '%s\n' v,name 0,zero 1,one 1,uno 3,three
		printf '%d,~\n' {51..149..2} # sentinels'
	} >names.csv
	for i in 0 1; do
		variant "$i" 2 || continue
		expect_both "with names(n, name) as
			(values (0, 'zero'), (1, 'one'), (1, 'uno'), (3, 'three'))
			select id, k, v, name from l ${kinds[i]} join names on v = n" \
			"$l | fkeyby v | fjoin $state ${kinds[i]} --lookup names.csv --ocsv \
				--columns id,k,v,name"
	done
}

@test "changelogs: a union is that of the tables" {
	variant 0 1
	expect_both --two --alone lr 'select id, k, v from l union all select rid, k, w from r' \
		"funion <($l | fmap --only id=id k=k v=v) <($r | fmap --only id=rid k=k v=w) --ocsv"
}

# ---- aggregates -----------------------------------------------------------------------

@test "changelogs: aggregates are those of the table" {
	local query='select k, count(*), count(v), sum(v), min(v), max(v), count(distinct v),
		sum(distinct v), sum(v) / count(v), count(*) filter (where v > 1),
		max(v) filter (where id > 1), sum(id) from l group by k'
	local reduce="freduce $state n=count 'c=count(v)' 's=sum(v)' 'lo=min(v)' 'hi=max(v)' \
		'd=count(distinct v)' 'sd=sum(distinct v)' 'a=div(sum(v), count(v))' \
		'f=count(*) filter (where v > 1)' 'm=max(v) filter (where id > 1)' 'i=sum(id)'"

	variant 0 1
	expect_both --adds l --no-null-keys "$query" \
		"$growing_l | fkeyby k | $reduce --updates --ocsv"
	expect --bulk "$query" "$l | fkeyby k | $reduce --ocsv"
	expect --bulk "$query" "$l | fkeyby k | $reduce --updates --ocsv"
	expect_large --leave "$query" "$l | fkeyby k | $reduce --updates --ocsv"
}

@test "changelogs: aggregates of numbers and texts are those of the table" {
	variant 0 1
	expect_both --texts --leave 'select k, min(v), max(v), count(distinct v), count(v) from l
		group by k' "$l | fkeyby k | freduce $state 'lo=min(v)' 'hi=max(v)' \
			'd=count(distinct v)' 'c=count(v)' --updates --ocsv"
}

# They take back the first of equal values, whatever row it is of; so all ids are the same.
@test "changelogs: aggregates by arrival are those of the table" {
	local of='from l x where x.k is g.k and v is not null'
	local query="select k, (select v $of order by rowid limit 1),
		(select v $of order by rowid desc limit 1),
		(select group_concat(v, ';') from (select v $of order by rowid)),
		(select json_group_array(v) from (select v from l x where x.k is g.k order by rowid)),
		(select group_concat(v, ';') from (select v $of order by v desc))
		from (select distinct k from l) g"
	local reduce="freduce $state 'first=first(v)' 'last=last(v)' 'all=string_agg(v, \$\$;\$\$)' \
		'array=array_agg(v)' 'down=string_agg(v, \$\$;\$\$ order by v desc)'"

	variant 0 1
	expect_large --same-ids --leave "$query" "$l | fkeyby k | $reduce --updates --ocsv"
	expect --bulk --no-null-keys --same-ids "$query" "$l | fkeyby k | $reduce --ocsv"
}

@test "changelogs: least, greatest, middle, true for all: those of the table" {
	local of='from l x where x.k is g.k and v is not null'
	local query="select k, (select id $of order by v, rowid limit 1),
		(select id $of order by v desc, rowid limit 1),
		(select v from (select v, row_number() over (order by v) i, count(*) over () n $of)
			where i = (n + 1) / 2),
		(select v from (select v, row_number() over (order by v) i, count(*) over () n $of)
			where i = (n * 9 + 9) / 10),
		(select iif(count(v), iif(min(v > 1), 'true', 'false'), null) $of),
		(select iif(count(v), iif(max(v > 1), 'true', 'false'), null) $of)
		from (select distinct k from l) g"
	local reduce="freduce $state 'i=arg_min(id, v)' 'j=arg_max(id, v)' 'm=p50(v)' 'n=p90(v)' \
		'all=bool_and(v > 1)' 'any=bool_or(v > 1)'"

	variant 0 1
	expect_large --leave "$query" "$l | fkeyby k | $reduce --updates --ocsv"
	expect --bulk --no-null-keys "$query" "$l | fkeyby k | $reduce --ocsv"
}

# The only row changes with every sentinel; tick says so.
@test "changelogs: aggregates without a key are those of the table" {
	local mine="filter (where p = 's')"

	variant 0 1
	expect 'select count(*), sum(v), max(v), count(distinct v) from l' \
		"$l | freduce $state \"n=count(*) $mine\" \"s=sum(v) $mine\" \"m=max(v) $mine\" \
			\"d=count(distinct v) $mine\" \"tick=max(p) filter (where p <> 's')\" \
			--updates --ocsv"
}

# ---- ranking, duplicates ----------------------------------------------------------------

# ranks KEY N OFFSET PLACE BY ORDER: the rows of l at the places behind OFFSET.
ranks() {
	local key=${1/#p/1} # p is one and the same
	local query="select id, k, v${4:+, place} from (select *, row_number() over (
		partition by $key order by $6, rowid) place from l)
		where place > $3 and place <= $3 + $2"
	local rank="fkeyby $1 | frank $state $2 --offset $3 ${4:+--rank place} --by '$5'"

	expect_both --strays --copies $(($3 + 1)) "$query" "$l | $rank --updates --ocsv"
	expect --bulk "$query" "$l | $rank --ocsv"
	[ "$1" = k ] || return 0
	expect_both --adds l --no-null-keys --copies $(($3 + 1)) "$query" \
		"$growing_l | $rank --updates --ocsv"
}

@test "changelogs: the best rows of each key are those of the table" {
	local i

	for i in {0..11}; do
		variant "$i" 12 || continue
		ranks k $((i % 3 + 1)) $((i / 3 % 2)) "$( ((i < 6)) || echo place)" 'v desc, id' \
			'v desc nulls last, id'
	done
}

# Of few values, so with many ties.
@test "changelogs: the best rows of all are those of the table" {
	local i

	for i in {0..11}; do
		variant "$i" 12 || continue
		ranks p $((i % 3 + 1)) $((i / 3 % 2)) "$( ((i < 6)) || echo place)" \
			'id nulls first' 'id nulls first'
	done
}

@test "changelogs: numbers and texts rank as in the table" {
	variant 0 1
	expect_both --texts --strays 'select id, k, v from (select *, row_number() over (
		partition by k order by v desc nulls last, rowid) place from l) where place <= 2' \
		"$l | fkeyby k | frank $state 2 --by 'v desc' --updates --ocsv"
}

@test "changelogs: the best of many rows are those of the table" {
	variant 0 1
	expect_large --strays 'select id, k, v, place from (select *, row_number() over (
		order by v desc nulls last, id, rowid) place from l) where place <= 300' \
		"$l | fkeyby p | frank $state 300 --by 'v desc, id' --rank place --updates --ocsv"
}

@test "changelogs: first and last rows are those of the table" {
	local i order=(rowid 'rowid desc' 'id, rowid' 'id desc, rowid desc')
	local keep=(first last) time=('' '--time id --time-format epoch-ms')

	for i in {0..3}; do
		variant "$i" 4 || continue
		expect_both --strays "select id, k, v from (select *, row_number() over (
			partition by k order by ${order[i]}) place from l) where place = 1" \
			"$l ${time[i / 2]} | fkeyby k |
				fdedup $state --keep ${keep[i % 2]} --updates --ocsv"
		expect_both --adds l --no-null-keys "select id, k, v from (select *, row_number() over (
			partition by k order by ${order[i]}) place from l) where place = 1" \
			"$growing_l ${time[i / 2]} | fkeyby k |
				fdedup $state --keep ${keep[i % 2]} --updates --ocsv"
	done
}

@test "changelogs: different rows are those of the table" {
	variant 0 1
	expect_both --strays 'select distinct id, k, v from l' "$l | fdedup $state --updates --ocsv"
	expect --bulk 'select distinct id, k, v from l' "$l | fdedup $state --ocsv"
}

# ---- filters, expressions, chains --------------------------------------------------------

@test "changelogs: filters and expressions are those of the table" {
	variant 0 1
	expect_both 'select id, k, v, 2 * v + id from l where v > 1' \
		"$l | ffilter 'v > 1' | fmap 'x=2*v+id' --ocsv"
	expect_both "select id, v, 'a' from l union all select id, v, 'b' from l" \
		"$l | fmap --only p=p id=id v=v 'x=unnest(string_to_array(\$\$a b\$\$, \$\$ \$\$))' \
			--ocsv"
}

@test "changelogs: chains of joins and aggregates are those of the tables" {
	variant 0 1
	expect --two --alone l 'select n, count(*), sum(s) from (select id, count(*) n,
		sum(coalesce(w, 0) + v) s from l left join (select * from r where w > 0) r on l.k = r.k
		group by id having count(*) > 1) group by n' \
		"$l | fkeyby k | fjoin $state left <($r | ffilter 'w > 0' | fkeyby k) |
			fmap 'x=coalesce(w, 0) + v' | fkeyby p,id |
			freduce $state n=count 's=sum(x)' --updates |
			ffilter \"n > 1 or p <> 's'\" | fkeyby p,n |
			freduce $state m=count 't=sum(s)' --updates --ocsv"
}

@test "changelogs: chains of aggregates, ranks and joins are those of the tables" {
	variant 0 1
	# the most frequent values, with their places
	expect 'select v, n, place from (select *, row_number() over (order by n desc, v) place from
		(select v, count(*) n from l where v is not null group by v)) where place <= 3' \
		"$l | ffilter 'v is not null' | fkeyby p,v | freduce $state n=count --updates |
			fkeyby p | frank $state 3 --by 'n desc, v' --rank place --updates --ocsv"
	# the sum of the best row of each key
	expect 'select count(*), sum(v) from (select *, row_number() over (partition by k
		order by v desc nulls last, rowid) place from l) where place = 1 having count(*) > 0' \
		"$l | fkeyby p,k | frank $state 1 --by 'v desc' --updates | fkeyby p |
			freduce $state n=count 's=sum(v)' --updates --ocsv"
	# different keys joined with the last rows of theirs
	expect --two --alone '' 'select l.k, r.rid, r.w from (select distinct k from l) l join
		(select *, row_number() over (partition by k order by rowid desc) place from r) r
		on l.k = r.k where place = 1' \
		"$l | fmap --only p=p k=k | fdedup $state --updates | fkeyby k |
			fjoin $state <($r | fkeyby k | fdedup $state --keep last --updates) \
				--ocsv --columns k,rid,w"
	# a join whose result is joined again
	expect --two --alone l 'with y(m, n) as (values (1, 10), (3, 30)) select x.id, x.k, x.v, x.w, n
		from (select id, l.k, v, w from l left join r on l.k = r.k) x left join y on x.id = m' \
		"$l | fkeyby k | fjoin $state left <($r | fkeyby k) | fkeyby id |
			fjoin $state left <(printf 'id,n\n1,10\n3,30\n' | fkeyby --icsv id) \
			--ocsv --columns id,k,v,w,n"
}

@test "changelogs: the fold of one is the table, and ignores what is not there" {
	variant 0 1
	expect --bulk --strays 'select id, k, v from l' "fcat --icsv --final --ocsv"
	expect --bulk --strays 'select id, k, v from l' "$l | fcat --final --ocsv"
	expect --bulk --strays 'select id, k, v from l' "$l | fcat --ojsonl | fcat --ijsonl --final \
		--ocsv"
}

# ---- what takes no changelog ----------------------------------------------------------------

# Rows come in the order of time, no row is late, and a sentinel lets all before it out.
@test "changelogs: rows sorted by time, and aggregates over those before, grow as the table" {
	local timed='fcat --icsv --time t --time-format epoch-ms --watermark 3ms'

	variant 0 1
	expect --adds l --times --ordered 'select id, k, v, t from l order by t, rowid' \
		"$timed | fsort $state --ocsv"
	expect --adds l --times --no-null-keys 'select id, k, v, t, sum(v) over w, count(*) over w,
		min(v) over w, lag(v) over (partition by k order by t, rowid) from l
		window w as (partition by k order by t, rowid rows 2 preceding)' \
		"$timed | fkeyby k |
			fover $state --rows 2 's=sum(v)' n=count 'm=min(v)' 'o=lag(v)' --ocsv"
	expect --adds l --times --no-null-keys 'select id, k, v, t, sum(v) over w, count(*) over w,
		max(v) over w from l window w as (partition by k order by t range 3 preceding)' \
		"$timed | fkeyby k |
			fover $state --range 3ms 's=sum(v)' n=count 'm=max(v)' --ocsv"
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

# ---- changelogs that are not as they should be -------------------------------------------

# What is wrong: an update of what was not there, and two rows taken back that are not.
wrong() {
	printf '%s\n' op,k,v -U,a,1 +U,a,2 -D,b,1 +I,b,1 -D,b,9 "$@"
}

# ignores COLUMNS COMMAND: what COMMAND gives of wrong is, folded, the rest.
ignores() {
	run -0 --separate-stderr bash -o pipefail -c \
		"fcat --icsv --changelog | $2 --updates | fcat --final --ocsv --columns $1" < <(wrong)
	assert_output $'k,v\na,2\nb,1'
	assert_equal "$stderr" ''
}

@test "a row that is taken back but not there: fcat --final, frank, fdedup ignore it" {
	run -0 fcat --icsv --final --ocsv < <(wrong)
	assert_output $'k,v\na,2\nb,1'
	run -0 bash -c 'fcat --icsv --changelog | fcat --final --ocsv' < <(wrong)
	assert_output $'k,v\na,2\nb,1'
	ignores k,v 'frank 5 --by v'
	ignores k,v 'fkeyby k | frank 1 --by v'
	ignores k,v 'fkeyby k | fdedup'
	ignores k,v 'fkeyby k | fdedup --keep last'
	ignores k,v fdedup
}

@test "a row that is taken back but not there: filters and expressions pass it on" {
	run -0 bash -c 'fcat --icsv --changelog | ffilter "v < 9" | fmap x=v+1 --ocsv' < <(wrong)
	assert_output 'op,k,v,x
-U,a,1,2
+U,a,2,3
-D,b,1,2
+I,b,1,2'
}

@test "a row that is taken back but not there: freduce ignores it where the key has no rows" {
	local reduce='fcat --icsv --changelog | fkeyby k | freduce n=count "s=sum(v)" "m=max(v)"'

	run -0 bash -c "$reduce --updates --ocsv" < <(wrong)
	assert_output 'op,k,n,s,m
+I,a,1,2,2
+I,b,1,1,1
-D,b,1,1,1'
	# else it is one row less, whichever; without --updates too
	run -0 bash -c "$reduce --ocsv" < <(wrong)
	assert_output $'k,n,s,m\na,1,2,2'
	# and a key that has had none begins anew
	run -0 bash -c "$reduce --ocsv" < <(wrong +I,b,5 +I,a,3)
	assert_output $'k,n,s,m\na,2,5,3\nb,1,5,5'
	run -0 bash -c "$reduce --updates | fcat --final --ocsv" < <(wrong +I,b,5 +I,a,3)
	assert_output $'k,n,s,m\na,2,5,3\nb,1,5,5'
}

@test "a row that is taken back but not there: fjoin ignores it where it keeps rows" {
	printf '%s\n' k,w a,1 >r.csv
	run -0 bash -c 'fcat --icsv --changelog | fkeyby k | fjoin left <(fkeyby k r.csv) |
		fcat --final | fsort --by k --ocsv' < <(wrong)
	assert_output $'k,v,w\na,2,1\nb,1,'
	run -0 bash -c 'fkeyby k r.csv | fjoin full <(fcat --icsv --changelog <&3 | fkeyby k) |
		fcat --final | fsort --by k --ocsv --columns k,v,w' 3< <(wrong)
	assert_output $'k,v,w\na,2,1\nb,1,'
	run -0 bash -c 'fcat --icsv --changelog | fkeyby k | fjoin anti <(fkeyby k r.csv) |
		fcat --final --ocsv' < <(wrong)
	assert_output $'k,v\nb,1'
	# not where it keeps none: NULL is no key, and here the number of rows counts
	run -0 bash -c 'printf "op,k\n-D,\n" | fcat --icsv --changelog | fkeyby k |
		fjoin left <(fkeyby k r.csv) --ocsv'
	assert_output $'op,k,w\n-D,,'
	run -0 bash -c 'fkeyby k r.csv | fjoin semi <(printf "op,k,v\n+I,a,1\n-D,a,9\n" |
		fcat --icsv --changelog | fkeyby k) | fcat --final --ocsv'
	assert_output k,w
}

@test "a kind of row that there is not: a bad record" {
	local op mode

	for op in i +i '' '""' UPDATE '+U ' + -DD $'+I\r'; do
		for mode in --final --changelog; do
			printf '%s\n' op,k +I,a "$op,b" +I,c >c.csv
			run -65 --separate-stderr fcat "$mode" c.csv --ocsv
			assert_regex "$stderr" '^fcat: c.csv:3: op is \+I, -U, \+U or -D, not "'
			run -0 --separate-stderr fcat "$mode" --on-error skip --reject r.csv c.csv --ocsv \
				--columns k
			assert_output --partial $'a\n'
			refute_output --partial b
			assert_equal "$stderr" 'fcat: 1 bad record skipped'
			rm -f r.csv
		done
	done
	printf '%s\n' '{"op":"+I","k":"a"}' '{"op":null,"k":"b"}' '{"k":"b"}' '{"op":1,"k":"b"}' \
		'{"op":"+I","k":"c"}' >c.jsonl
	for mode in --final --changelog; do
		run -65 --separate-stderr fcat "$mode" c.jsonl --ojsonl
		assert_regex "$stderr" '^fcat: c.jsonl:2: op is '
		run -0 --separate-stderr fcat "$mode" --on-error skip c.jsonl --ocsv --columns k
		refute_output --partial b
		assert_equal "$stderr" 'fcat: 3 bad records skipped'
	done
}
