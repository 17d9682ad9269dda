#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# The queries of bench/nexmark give the rows that Flink gave for the same events
# (tests/nexmark/qN.final.csv.gz, by bench/flink/run), some of them late; q6, which Flink
# cannot run, those of SQLite. Then the generator, and what makes the queries fast.

# shellcheck disable=SC2016 # $$ are SQL's quotes
load helper

setup_file() {
	export TMPDIR=$BATS_FILE_TMPDIR
	export NEXMARK=$FLUE_SOURCE/bench/nexmark
	export EVENTS=$BATS_FILE_TMPDIR/events
	"$NEXMARK/generate" "$EVENTS" --events 3000 --seed 7 --rate 30 --ties 10 \
		--out-of-order 60 --late 50,20000 --bytes 60,80,38 --base 1437004740000
}

query() {
	"$NEXMARK/$1.sh" "$EVENTS" >"$BATS_TEST_TMPDIR/rows" || return
	"$NEXMARK/compare" "$BATS_TEST_DIRNAME/nexmark/$1.final.csv.gz" "$BATS_TEST_TMPDIR/rows"
}

@test "q0: bids" { query q0; }
@test "q1: exact decimals" { query q1; }
@test "q2: a filter" { query q2; }
@test "q3: a join of two kinds of events" { query q3; }
@test "q4: a join, and the average of maxima" { query q4; }
@test "q5: sliding windows, and the best of each" { query q5; }
@test "q7: windows joined with what was in them" { query q7; }
@test "q8: who is in both of two windows" { query q8; }
@test "q9: the winning bid" { query q9; }
@test "q10: day and minute" { query q10; }
@test "q11: sessions" { query q11; }
@test "q13: a side table" { query q13; }
@test "q14: cases, hours and letters" { query q14; }
@test "q15: distinct counts by day" { query q15; }
@test "q16: distinct counts by channel and day" { query q16; }
@test "q17: statistics of an auction's day" { query q17; }
@test "q18: the last of each key" { query q18; }
@test "q19: the ten best with their place" { query q19; }
@test "q20: a wide join" { query q20; }
@test "q21: a pattern in a url" { query q21; }
@test "q22: parts of a url" { query q22; }
@test "q23: three streams" { query q23; }

@test "q6: the same as SQLite" {
	command -v sqlite3 >/dev/null || skip "no sqlite3"
	fmap --only id=.auction.id seller=.auction.seller opened=.auction.dateTime \
		expires=.auction.expires "$EVENTS/events.jsonl" |
		ffilter 'id is not null' --ocsv >"$BATS_TEST_TMPDIR/auction.csv"
	fmap --only auction=.bid.auction price=.bid.price dateTime=.bid.dateTime \
		"$EVENTS/events.jsonl" |
		ffilter 'auction is not null' --ocsv >"$BATS_TEST_TMPDIR/bid.csv"
	cd "$BATS_TEST_TMPDIR"
	sqlite3 -csv >expected <<-'SQL'
		CREATE TABLE auction (id INTEGER, seller INTEGER, opened TEXT, expires TEXT);
		CREATE TABLE bid (auction INTEGER, price INTEGER, dateTime TEXT);
		.import --skip 1 auction.csv auction
		.import --skip 1 bid.csv bid
		SELECT seller, CAST(avg(price) OVER (PARTITION BY seller ORDER BY dateTime, id
			ROWS BETWEEN 10 PRECEDING AND CURRENT ROW) AS INTEGER)
		FROM (SELECT a.id, a.seller, b.price, b.dateTime, row_number() OVER (
				PARTITION BY a.id, a.seller ORDER BY b.price DESC, b.rowid) AS place
			FROM auction a JOIN bid b ON a.id = b.auction
				AND b.dateTime BETWEEN a.opened AND a.expires)
		WHERE place <= 1;
	SQL
	[ "$(wc -l <expected)" -gt 100 ]
	"$NEXMARK/q6.sh" "$EVENTS" >rows
	"$NEXMARK/compare" expected rows
}

@test "q12: every bid is in a window of processing time" {
	bids=$(grep -c '"event_type":2' "$EVENTS/events.jsonl")
	run --separate-stderr "$NEXMARK/q12.sh" "$EVENTS"
	assert_success
	assert_line --index 0 'bidder,bid_count,starttime,endtime'
	[ "$(awk -F, 'NR > 1 { n += $2 } END { print n }' <<<"$output")" -eq "$bids" ]
	awk -F, 'NR > 1 && $4 - $3 != 10000 { exit 1 }' <<<"$output"
}

# ---- the generator ------------------------------------------------------------

@test "the generator: the same arguments give the same bytes, another seed others" {
	cd "$BATS_TEST_TMPDIR"
	"$NEXMARK/generate" - --events 2000 --seed 3 >a
	"$NEXMARK/generate" - --events 2000 --seed 3 >b
	"$NEXMARK/generate" - --events 2000 --seed 4 >c
	cmp a b
	run ! cmp -s a c
	# an event is a function of its number: two halves are the whole
	{
		"$NEXMARK/generate" - --events 1000 --seed 3
		"$NEXMARK/generate" - --events 1000 --seed 3 --first 1000
	} >halves
	cmp a halves
}

@test "the generator: the shares, the order, the times" {
	cd "$BATS_TEST_TMPDIR"
	"$NEXMARK/generate" - --events 5000 --rate 100 --ties 10 >a
	run awk '{ n[substr($0, 15, 1)]++ } END { print n[0], n[1], n[2] }' a
	assert_output '100 300 4600'
	"$NEXMARK/generate" - --events 5000 --rate 100 --ties 10 --out-of-order 100 >b
	run ! cmp -s a b
	cmp <(sort a) <(sort b)
	# ten events a time, a tenth of a second apart, in order
	fmap --ijsonl --only 't=coalesce(.bid.dateTime, .auction.dateTime, .person.dateTime)' --ocsv a |
		tail -n +2 >moments
	sort -c moments
	[ "$(uniq -c moments | awk '$1 != 10' | wc -l)" -eq 0 ]
	[ "$(sort -u moments | wc -l)" -eq 500 ]
}

@test "the generator: CSV has the same rows as JSON" {
	cd "$BATS_TEST_TMPDIR"
	"$NEXMARK/generate" d --csv --events 1000 --bytes 0,0,34
	fmap --only auction=.bid.auction bidder=.bid.bidder price=.bid.price channel=.bid.channel \
		url=.bid.url dateTime=.bid.dateTime extra=.bid.extra d/events.jsonl |
		ffilter 'auction is not null' --ocsv >bids
	cmp bids d/bid.csv
	fmap --only id=.person.id name=.person.name emailAddress=.person.emailAddress \
		creditCard=.person.creditCard city=.person.city state=.person.state \
		dateTime=.person.dateTime extra=.person.extra d/events.jsonl |
		ffilter 'id is not null' --ocsv >persons
	cmp persons d/person.csv
	[ "$(wc -l <d/auction.csv)" -eq 61 ]
}

@test "the generator: a live source keeps its rate, with times of now" {
	cd "$BATS_TEST_TMPDIR"
	start=$(date +%s%N)
	"$NEXMARK/generate" - --live --rate 1000 --events 500 >live
	took=$((($(date +%s%N) - start) / 1000000))
	[ "$took" -ge 400 ]
	[ "$(wc -l <live)" -eq 500 ]
	head -n 1 live >first
	ms=$(fmap --ijsonl --only 't=cast(.person.dateTime as timestamp)' --otime epoch-ms --ocsv first |
		sed -n 2p)
	[ "$ms" -ge $((start / 1000000)) ]
	[ "$ms" -le $((start / 1000000 + took)) ]
}

@test "the generator: what is no option is a usage error" {
	run "$NEXMARK/generate" - --events many
	assert_failure 64
	run "$NEXMARK/generate" - --csv --events 1
	assert_failure 64
	run "$NEXMARK/generate" -
	assert_failure 64
}

# ---- what makes the queries fast gives the same values ------------------------

@test "paths found together are what -> finds one by one" {
	cd "$BATS_TEST_TMPDIR"
	cat >in.jsonl <<-'E'
		{"a":{"k":1,"s":"x","long_name_of_a_member":true},"b":null}
		{"a":{"k":2,"s":"y","long_name_of_a_member":false},"b":{"k":"b"}}
		{"a":{"s":"z","k":3},"b":{}}
		{"a":{"long_name_of_a_member":null,"k":-1.50e3,"s":""},"b":{"k":[]}}
		{"a":{"k":{"k":9},"s":[1,"]",{"s":2}]},"b":{"k":"}"}}
		{"a":{ "k" : 4 , "s" : "spaced" },"b":5}
		{"a":{"k":"q\"uo\\te","s":"\u00e9\ud83d\ude00"},"b":[1]}
		{"a":{"k":5,"k":6,"s":"first of two"},"b":"text"}
		{"a":{"x\"k":0,"k":7,"\u0073":"by its escape"},"b":true}
		{"a":{"kk":0,"k":8,"ss":1},"b":{"k":null}}
		{"a":{},"b":{"k":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\\","s":"bb"}}
		{"a":{"s":"no k"},"b":{"":"empty","k":"k"}}
		{"a":"{\"k\":\"inside a string\"}","b":{"k":0.10}}
	E
	# many times, so that the order of the members changes within a batch and stays, too
	for _ in {1..50}; do cat in.jsonl; done >many.jsonl
	for file in in.jsonl many.jsonl; do
		fmap --ojsonl --only ak=.a.k as=.a.s al=.a.long_name_of_a_member bk=.b.k be=.b.nothing \
			bs=.b.s "$file" >together
		for name in 'ak=a->"k"' 'as=a->"s"' 'al=a->"long_name_of_a_member"' 'bk=b->"k"' \
			'be=b->"nothing"' 'bs=b->"s"'; do
			column=${name%%=*}
			fmap --ojsonl --only "${name//\"/\'}" "$file" >"$column.single"
			fmap --ojsonl --ijsonl --only "$column=$column" together >"$column.together"
			diff "$column.single" "$column.together"
		done
	done
	grep -q 'inside a string' ak.together
	# where the column itself is not there, neither is the path
	run fmap --ijsonl --ojsonl --only x=.a.k y=.a.s - <<<'{"b":1}
{"a":null}
{"a":{"k":null}}'
	assert_output $'{}\n{"x":null,"y":null}\n{"x":null}'
	grep -q '\[1,"\]",{"s":2}\]' as.together
	grep -q '"as":"é😀"' as.together
}

@test "a time's text is made anew when its minute, second or day is another" {
	cd "$BATS_TEST_TMPDIR"
	{
		echo t,day,minute,second,java
		for t in '2015-07-15 23:59:59.999' '2015-07-16 00:00:00.000' '2015-07-16 00:00:59.999' \
			'2015-07-16 00:01:00.000' '2015-07-15 23:59:59.999' '1969-12-31 23:59:59.999' \
			'1970-01-01 00:00:00.000' '1969-12-31 23:59:00.000'; do
			echo "$t,YYYY-MM-DD,HH24:MI,HH24:MI:SS.MS,yyyy/MM/dd HH:mm"
		done
	} >in.csv
	for zone in UTC America/St_Johns; do
		# a format out of a column is not remembered
		run fmap --tz "$zone" --only 'd=to_char(t, day) = to_char(t, $$YYYY-MM-DD$$)' \
			'm=to_char(t, minute) = to_char(t, $$HH24:MI$$)' \
			's=to_char(t, second) = to_char(t, $$HH24:MI:SS.MS$$)' \
			'j=date_format(t, java) = date_format(t, $$yyyy/MM/dd HH:mm$$)' --ocsv in.csv
		assert_success
		refute_output --partial false
		[ "$(grep -c '^true,true,true,true$' <<<"$output")" -eq 8 ]
	done
	run fmap --only 'x=to_char(t, $$YYYY-MM-DD HH24:MI$$)' --ocsv in.csv
	assert_line --index 1 '2015-07-15 23:59'
	assert_line --index 2 '2015-07-16 00:00'
	assert_line --index 4 '2015-07-16 00:01'
	assert_line --index 6 '1969-12-31 23:59'
	run fmap --only 'x=to_char(t, $$FMMI$$)' 'y=to_char(t, $$"DD"FMMS$$)' --ocsv in.csv
	assert_line --index 1 '59,DD999'
	assert_line --index 2 '0,DD000'
	assert_line --index 4 '1,DD000'
}

@test "distinct values are counted exactly: integers, other numbers, text" {
	cd "$BATS_TEST_TMPDIR"
	{
		echo k,v
		for v in 0 -0 00 5 5.0 05 -5 9223372036854775807 -9223372036854775808 \
			123456789012345678901 x '""' '' 5 0 x; do
			echo "a,$v"
		done
		# more of them, in an order that meets every size of the table
		seq -1500 1500 | sed 's/^/b,/'
		seq 1500 -1 -1500 | sed 's/^/b,/'
	} >in.csv
	fkeyby k in.csv | freduce 'n=count(distinct v)' \
		"few=count(distinct v) filter (where v < 100 and k = 'b')" --ocsv >out
	# NULL, the empty field, does not count
	grep -qx 'a,12,0' out
	grep -qx 'b,3001,1600' out
	# computed integers and doubles: 5 and 5.0 of a double are one
	printf 'v\n1\n2\n3\n4\n' >n.csv
	run freduce 'i=count(distinct div(v, 2))' 'd=count(distinct sqrt(v * v))' --ocsv n.csv
	assert_output $'i,d\n3,4'
}
