#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# fsort against sort(1), in and out of memory, and over checkpoints. What it does with
# watermarks stands in tests/golden/fsort-*.

load helper

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	awk 'BEGIN {
		srand(7)
		print "ts,k,v,s"
		for (i = 0; i < 40000; i++)
			printf "%d,%d,%d,%s\n", 1700000000 + int(i / 10) + int(rand() * 30),
				int(rand() * 1000), int(rand() * 10000), "x" int(rand() * 50)
	}' >in.csv
}

# sorted OPTION…: in.csv by sort(1), which is stable with -s.
sorted() {
	head -n 1 in.csv
	tail -n +2 in.csv | sort -s -t , "$@"
}

@test "by event time: a stream that is out of order within the watermark" {
	sorted -k 1,1n >expected
	fsort --time ts --watermark 30s in.csv --ocsv | cmp - expected
	# and nothing behind it is late: windows with no tolerance count the same
	fkeyby --time ts --watermark 30s k in.csv | fwindow tumble 1m | freduce n=count --ocsv |
		sort >windows
	fkeyby --time ts --watermark 30s k in.csv | fsort | fwindow tumble 1m |
		freduce n=count --ocsv | sort | cmp - windows
}

@test "by event time: what waits is bounded by --max-memory" {
	run -71 --separate-stderr fsort --time ts --watermark 30s --max-memory 10K in.csv --ocsv
	[[ $stderr == 'fsort: the rows that wait for the watermark take more than --max-memory'* ]]
}

@test "--by: in memory, in some runs, and in more runs than are merged at once" {
	local memory

	sorted -k 3,3nr -k 2,2n >expected
	for memory in 1G 1M 100K 10K; do
		fsort --by 'v desc, k' --max-memory "$memory" in.csv --ocsv | cmp - expected
	done
	sorted -k 4,4 >expected
	fsort --by s --max-memory 50K in.csv --ocsv | cmp - expected
}

@test "--by: rows that are longer than what is read at once" {
	awk 'BEGIN {
		for (long = "x"; length(long) < 300000; long = long long)
			;
		print "k,v"
		for (i = 0; i < 40; i++)
			print i * 7 % 40 "," (i % 3 ? "" : long) i
	}' >long.csv
	{ head -n 1 long.csv; tail -n +2 long.csv | sort -s -t , -k 1,1n; } >expected
	fsort --by k --max-memory 200K long.csv --ocsv | cmp - expected
}

@test "--by: memory stays bounded" {
	built_with_sanitizers && skip "sanitizers take memory of their own"
	{ echo ts,k,v,s; for _ in 1 2 3 4 5 6 7 8; do tail -n +2 in.csv; done; } >more.csv
	run -0 bash -c 'ulimit -v 200000; fsort --by v --icsv --max-memory 1M \
		more.csv --ocsv | tail -n 1'
	assert_output --regexp ',9999,x[0-9]+$'
}

@test "--by: the temporary directory is not there, or is full" {
	TMPDIR=/nonexistent run -73 --separate-stderr fsort --by v --max-memory 10K in.csv --ocsv
	[[ $stderr == 'fsort: cannot create a temporary file in /nonexistent: '* ]]
}

@test "what cannot be sorted says so" {
	run -64 --separate-stderr fsort in.csv
	[[ $stderr == *'there is no event time to sort by'* ]]
	run -64 --separate-stderr fsort --by vv in.csv
	[[ $stderr == *'unknown column "vv"'* ]]
	run -64 --separate-stderr fsort --by v --late l.csv in.csv
	[[ $stderr == *'--late goes with the order of time'* ]]
	run -64 --separate-stderr bash -c 'fkeyby --time ts k in.csv | fwindow tumble 1m | fsort'
	[[ $stderr == *'fsort goes before fwindow'* ]]
	run -64 --separate-stderr bash -c 'fkeyby k in.csv | freduce --updates n=count | fsort --by n'
	[[ $stderr == *'a changelog has an order of its own'* ]]
}

# Half of the input, a savepoint, the other half: as in one go.
in_two() {
	head -n 20001 in.csv >part.csv
	rm -rf ck out.csv
	for part in 1 2; do
		local open=(--keep-open)

		[ $part = 1 ] || open=()
		fcheckpoint begin -d ck "${open[@]}" part.csv |
			fkeyby --icsv --time ts --watermark 30s k | fsort "$@" |
			fcheckpoint commit -o out.csv
		[ $part = 2 ] || tail -n +20002 in.csv >>part.csv
	done
}

@test "rows that wait are in the checkpoint" {
	sorted -k 1,1n >expected
	in_two
	cmp out.csv expected
}

@test "--by: rows in memory and on disk are in the checkpoint" {
	sorted -k 3,3nr >expected
	in_two --by 'v desc' --max-memory 100K
	cmp out.csv expected
}

@test "a checkpoint of another order is refused" {
	head -n 100 in.csv >part.csv
	fcheckpoint begin -d ck --keep-open part.csv | fsort --by v --icsv | fcheckpoint commit -o out.csv
	run -78 --separate-stderr bash -c 'fcheckpoint begin -d ck part.csv | fsort --by k --icsv |
		fcheckpoint commit -o out.csv'
	[[ $stderr == *'were sorted by "v", not "k"'* ]]
}
