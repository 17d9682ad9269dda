#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Data that is damaged, hostile or merely odd. What is accepted means what its format
# says; the rest is an error that names file and line, or with --on-error skip is
# counted, and kept by --reject. Nothing is lost without a word, and memory is bounded.

load robust

setup() {
	cd "$BATS_TEST_TMPDIR" || return
}

# converts INPUT OUTPUT IN-FORMAT OUT-FORMAT OPTION…: fcat makes of the one the other,
# both as printf writes them: in one piece, a byte at a time, and through frames.
converts() {
	local input=$1 output=$2 in=$3 out=$4

	shift 4
	# shellcheck disable=SC2059 # they are formats
	printf "$input" >input
	# shellcheck disable=SC2059
	printf "$output" >expected
	fcat "$in" "$out" "$@" input >got || fail "exit status $?: $input"
	cmp expected got || fail "$input gives $(cat got)"
	perl -e '$| = 1; while (read STDIN, $c, 1) { syswrite STDOUT, $c }' <input |
		fcat "$in" "$out" "$@" >got
	cmp expected got || fail "a byte at a time $input gives $(cat got)"
	fcat "$in" "$@" input -o frames.flue
	fcat "$out" frames.flue >got
	cmp expected got || fail "through frames $input gives $(cat got)"
}

# refuses INPUT MESSAGE OPTION…: an error of this line and reason, exit status 65; with
# --on-error skip one record is counted, and rejected with the same reason.
refuses() {
	local input=$1 line=${2%%:*} reason=${2#*:}

	shift 2
	# shellcheck disable=SC2059
	printf "$input" >input
	run -65 --separate-stderr fcat "$@" input
	# shellcheck disable=SC2053 # a pattern
	[[ $stderr == fcat:\ input:$line:\ $reason ]] || fail "$input: $stderr"
	run -0 --separate-stderr fcat "$@" --ocsv --on-error skip --reject reject.jsonl input
	assert_equal "$stderr" "fcat: 1 bad record skipped"
	assert_equal "$(wc -l <reject.jsonl)" 1
	[[ $(cat reject.jsonl) == "{\"file\":\"input\",\"line\":$line,\"reason\":\""* ]] ||
		fail "$(cat reject.jsonl)"
}

# ---- CSV --------------------------------------------------------------------------

@test "CSV: quotes, line ends, the mark at the beginning, the missing end of the last line" {
	local csv='a,b\n1,2\n3,4\n'

	converts 'a,b\n1,2\n3,4\n' "$csv" --icsv --ocsv
	converts 'a,b\n1,2\n3,4' "$csv" --icsv --ocsv
	converts 'a,b\r\n1,2\r\n3,4\r\n' "$csv" --icsv --ocsv
	converts 'a,b\r\n1,2\r\n3,4' "$csv" --icsv --ocsv
	converts 'a,b\n1,2\r\n3,4\n' "$csv" --icsv --ocsv
	converts '\xef\xbb\xbfa,b\n1,2\n3,4\n' "$csv" --icsv --ocsv
	converts '"a","b"\n"1",2\n3,"4"\n' "$csv" --icsv --ocsv
	converts 'a,b\n1,2\n3,4\n\n\r\n\n' "$csv" --icsv --ocsv
	converts 'a,b\n"1\n2","3\r\n4"\n' 'a,b\n"1\n2","3\r\n4"\n' --icsv --ocsv
	converts 'a,b\n"x""y",""\n' 'a,b\n"x""y",""\n' --icsv --ocsv
	converts 'a,b\n x , y \n' '{"a":" x ","b":" y "}\n' --icsv --ojsonl
	converts 'a,b\n,""\n' '{"a":null,"b":""}\n' --icsv --ojsonl
}

@test "CSV: no rows, no columns, one column, blank lines" {
	converts 'a,b\n' 'a,b\n' --icsv --ocsv
	converts 'a,b' 'a,b\n' --icsv --ocsv
	converts 'a,b\n' '' --icsv --ojsonl
	converts '' '' --icsv --ocsv
	converts 'a\n1\n\n2\n' '{"a":1}\n{"a":null}\n{"a":2}\n' --icsv --ojsonl
	refuses 'a,b\n1,2\n\n3,4\n' '3:expected 2 fields, found an empty line' --icsv
}

@test "CSV: a file whose lines end in CR alone is not taken for an empty one" {
	run -65 --separate-stderr fcat --icsv --ojsonl < <(printf 'a,b\r1,2\r3,4\r')
	assert_equal "$output" ""
	[[ $stderr == "fcat: standard input: line 1: the name of column 2 has a carriage return"* ]]
}

@test "CSV: NUL bytes and what is not UTF-8 are data" {
	converts 'a,b\n1\0002,\xff\xfe\n\0,\n' 'a,b\n1\0002,\xff\xfe\n\0,\n' --icsv --ocsv
	printf 'a\0,b\n1,2\n' >input
	run -65 --separate-stderr fcat input
	assert_equal "$stderr" "fcat: input: line 1: the name of column 1 has a NUL byte in it: this is not text"
	# JSON has no such strings; what is written is valid all the same.
	printf 'a,b\n1\0002,\xff\xfe\n' | fcat --ojsonl >out.jsonl
	run -0 fcat --ojsonl out.jsonl
	assert_output --partial '"1\u00002"'
}

@test "CSV: names that are missing or double become names of their own" {
	converts 'a,a,,a\n1,2,3,4\n' '{"a":1,"a_2":2,"3":3,"a_3":4}\n' --icsv --ojsonl
	converts ',\n1,2\n' '{"1":1,"2":2}\n' --icsv --ojsonl
}

@test "CSV: quotes where they cannot be" {
	refuses 'a,b\n1,2\n3,4"x"\n5,6\n' '3:a quote inside field 2*' --icsv
	refuses 'a,b\n1,2\n3,"4"x\n5,6\n' '3:field 2 goes on behind its closing quote' --icsv
	refuses 'a,b\n1,2\n3,"4\n5,6\n' '3:*quote*field 2*never closed' --icsv
	refuses 'a,b\n1,2\n"3\n3",4"\n5,6\n' '3:a quote inside field 2*' --icsv
}

@test "CSV: ragged rows say what was expected and what was found" {
	refuses 'a,b,c\n1,2,3\n4,5\n6,7,8\n' '3:expected 3 fields, found 2' --icsv
	refuses 'a,b,c\n1,2,3\n4,5,6,7\n6,7,8\n' '3:expected 3 fields, found 4' --icsv
	refuses 'a,b,c\n"1\n1",2,3\n4\n6,7,8\n' '4:expected 3 fields, found 1' --icsv
	refuses 'a\tb\n1\n2\t3\n' '2:expected 2 fields, found 1' --itsv
	converts 'a,b,c\n1,2\n3,4,5,6\n' '{"a":1,"b":2}\n{"a":3,"b":4,"c":5,"4":6}\n' \
		--icsv --ojsonl --allow-ragged-csv-input
}

@test "65,536 columns are taken, one more is refused" {
	(seq -s , 65536 && seq -s , 65536) >wide.csv
	fcat wide.csv --ocsv >out
	cmp wide.csv out
	fcat wide.csv | fcat --ocsv >out
	cmp wide.csv out
	(seq -s , 65537 && seq -s , 65537) >wider.csv
	run --separate-stderr fcat wider.csv
	[[ $status == @(65|71) && $stderr == 'fcat: wider.csv: line 1: '*65536* ]] || fail "$status $stderr"
	seq -f '"c%g":1' 65537 | paste -s -d , | sed 's/.*/{&}/' >wider.jsonl
	run --separate-stderr fcat wider.jsonl
	[[ $status == @(65|71) && $stderr == 'fcat: wider.jsonl:'*1:*65536* ]] || fail "$status $stderr"
}

# ---- JSON -------------------------------------------------------------------------

@test "JSON: numbers and strings stay the text that they were" {
	local line='{"big":123456789012345678901234567890.10e400,"f":1.10,"z":-0,"s":"007","e":"","n":null}\n'

	converts "$line" "$line" --ijsonl --ojsonl
	converts '{"a":1,"a":2}\n' '{"a":2}\n' --ijsonl --ojsonl
	converts '{"a":"x\\u0000y"}\n' '{"a":"x\\u0000y"}\n' --ijsonl --ojsonl
	converts '{"a":"\\ud83d\\ude00"}\n' '{"a":"😀"}\n' --ijsonl --ojsonl
}

@test "JSON: a record without columns is a record, and new columns may come later" {
	local tool first

	converts '{}\n{"b":1}\n' '{}\n{"b":1}\n' --ijsonl --ojsonl
	converts '{}\n\n{}' '{}\n{}\n' --ijsonl --ojsonl
	# No tool may see records before it has seen a header.
	for tool in "${all_tools[@]}"; do
		words_of "$tool"
		for first in '{}' '{}\n{"url":"/a","bytes":1}'; do
			# shellcheck disable=SC2059
			printf "$first\n" | "$tool" --ijsonl --ojsonl "${words[@]}" >out 2>err || {
				status=$?
				[ "$status" -lt 99 ] || fail "$tool: exit status $status: $(cat err)"
			}
		done
	done
}

@test "JSON: what is none is refused with its line" {
	local good='{"a":1}\n'

	refuses "$good{\"a\":\"x\\\\0y\"}\n" '2:not JSON: *' --ijsonl
	refuses "$good{\"a\":\"x\ty\"}\n" '2:not JSON: *control character*' --ijsonl
	refuses "$good{\"a\":\"\xff\"}\n" '2:not JSON: not UTF-8*' --ijsonl
	refuses "${good}[1]\n" '2:expected an object, found an array' --ijsonl
	refuses "${good}1\n" '2:expected an object, found a number' --ijsonl
	refuses "$good{\"a\":1\n" '2:not JSON: *' --ijsonl
	refuses "$good{\"a\":01}\n" '2:not JSON: *' --ijsonl
	refuses "$good{\"a\":1}{\"a\":2}\n" '2:not JSON: *' --ijsonl
	refuses "$good{\"a\":\"\\\\ud800\"}\n" '2:not JSON: *' --ijsonl
	refuses "$good{\"a\":nul}\n" '2:not JSON: *' --ijsonl
	refuses "$good{'a':1}\n" '2:not JSON: *' --ijsonl
	refuses "${good}hello\n" '2:not JSON: *' --ijsonl
}

# deep LEVELS OPEN CLOSE: a record with so many of these.
deep() {
	perl -e '
		my ($levels, $open, $close) = @ARGV;
		print "{\"a\":", $open x $levels, 1, $close x $levels, "}\n"' "$@"
}

@test "JSON: a hundred thousand levels are refused, a thousand are taken" {
	local open close

	for open in '[' '{"a":'; do
		close=]
		[ "$open" = '[' ] || close='}'
		deep 100000 "$open" "$close" >deep.jsonl
		run -65 --separate-stderr fcat --ojsonl deep.jsonl
		[[ $stderr == 'fcat: deep.jsonl:1: not JSON: nested deeper than '* ]] || fail "$stderr"
		run -0 --separate-stderr fcat --ojsonl --on-error skip deep.jsonl
		assert_equal "$stderr" "fcat: 1 bad record skipped"
		deep 1000 "$open" "$close" >deep.jsonl
		fcat --ojsonl deep.jsonl >out
		cmp deep.jsonl out
	done
	# Through expressions too.
	perl -e 'print "{\"a\":\"", "[" x 100000, "\"}\n"' >deep.jsonl
	fmap 'b=a::json' --ojsonl deep.jsonl >out 2>err || status=$?
	[ "${status:-0}" -lt 99 ] || fail "$status: $(cat err)"
}

# ---- size -------------------------------------------------------------------------

# long_line MIB BEFORE AFTER: one line of so much between these.
long_line() {
	printf '%s' "$2"
	head -c "$1M" /dev/zero | tr '\0' x
	printf '%s\n' "$3"
}

# within MIB COMMAND…: with address space for so much. Not with sanitizers, which take
# terabytes of it: there only the result counts.
within() {
	if ! built_with_sanitizers; then
		ulimit -v $(($1 * 1024))
	fi
	shift
	"$@"
}

@test "a line of 100 MiB is a limit reached, and memory is bounded, for every text format" {
	local format

	for format in icsv itsv ijsonl itext; do
		run -71 --separate-stderr within 100 fcat "--$format" -o out.csv < <(
			[ "$format" = ijsonl ] || echo column
			long_line 100 '' ''
		)
		[ "${#stderr_lines[@]}" -eq 1 ] || fail "$format: $stderr"
		[[ $stderr == 'fcat: standard input: line '[12]': '*--max-record* ]] || fail "$format: $stderr"
	done
}

@test "a line of 1 GiB from a pipe too" {
	run -71 --separate-stderr within 100 fcat --ocsv < <(long_line 1024 $'a,b\n' ,1)
	assert_equal "$stderr" \
		"fcat: standard input: line 2: a record of more than 16777216 bytes (--max-record)"
	run -71 --separate-stderr within 100 fcat --ocsv < <(long_line 1024 $'a,b\n"' '",1')
	assert_equal "$stderr" \
		"fcat: standard input: line 2: a record of more than 16777216 bytes (--max-record)"
}

@test "--max-record is as large as it says" {
	long_line 20 $'a,b\n' ,1 >long.csv
	run -71 fcat long.csv
	fcat --max-record 21M long.csv >out.csv
	cmp long.csv out.csv
	fcat --max-record 21M long.csv | fcat --ocsv >out.csv
	cmp long.csv out.csv
	run -71 fcat --max-record 1K --ocsv < <(long_line 1 $'a,b\n' ,1)
	printf 'a,b\n%s,1\n' "$(printf '%1000s' x)" | fcat --max-record 1K --ocsv >out.csv
}

@test "--max-memory ends a tool with too many keys, and the message names it" {
	local window

	(echo ts,k && seq 200000 | sed 's/^/1,/') >keys.csv
	for window in '' 'fwindow tumble 1m |' 'fwindow session 1m |' 'fwindow count 3 |' \
		'fwindow slide 1m 10s |' 'fwindow global --trigger count=3 |'; do
		piped "fkeyby --time ts k keys.csv | $window freduce --max-memory 2M n=count -o out.csv | cat"
		expect '@(0|141) *71 0' 'freduce: *--max-memory 2M*'
		[ ! -s out.csv ] || fail "results were written: $(head -n 3 out.csv)"
	done
	for window in 'array_agg(k)' 'string_agg(k, $$,$$)' 'count(distinct k)' 'median(k)'; do
		piped "freduce --max-memory 1M 'n=$window' keys.csv | fcat --ocsv"
		expect '71 71' 'freduce: *--max-memory 1M*'
	done
	piped "freduce --max-memory 64M 'n=count(distinct k)' keys.csv | fcat --ocsv"
	expect '0 0' ''
	assert_equal "$(tail -n 1 out)" 200000
}

@test "when the system gives no more memory, a tool ends with 71" {
	if built_with_sanitizers; then
		skip "the sanitizers take the address space"
	fi
	(echo k && seq 2000000) >keys.csv
	piped 'ulimit -v 60000; fkeyby k keys.csv | freduce n=count --ocsv'
	expect '@(0|141) 71' 'freduce: out of memory*--max-memory*'
}

# ---- --on-error and --reject ------------------------------------------------------

@test "--on-error skip: the number of bad records is printed, -q says nothing" {
	printf 'a,b\n1,2\n3\n4,5\n6,7,8\n9,"0"x\n10,11\n' >bad.csv
	run -0 --separate-stderr fcat --ocsv --on-error skip bad.csv
	assert_equal "$stderr" "fcat: 3 bad records skipped"
	assert_output 'a,b
1,2
4,5
10,11'
	run -0 --separate-stderr fcat --ocsv --on-error skip -q bad.csv
	assert_equal "$stderr" ""
	run -0 --separate-stderr fcat --ocsv --on-error skip bad.csv bad.csv
	assert_equal "$stderr" "fcat: 6 bad records skipped"
	# The count is one of its own tool only.
	piped 'fcat --on-error skip bad.csv | fkeyby a | freduce n=count --ocsv'
	expect '0 0 0' 'fcat: 3 bad records skipped'
}

@test "--reject holds each bad record with its file, line and reason" {
	printf 'a,b\n1,2\n3\n4,5\n"6\n6",7,8\n9,"0"x\n10,11\n' >bad.csv
	printf 'a,b\nx\n' >more.csv
	fcat -q --on-error skip --reject reject.csv bad.csv more.csv >out.csv
	run -0 cat reject.csv
	assert_output 'file,line,reason,record
bad.csv,3,"expected 2 fields, found 1",3
bad.csv,5,"expected 2 fields, found 3","""6
6"",7,8"
bad.csv,7,field 2 goes on behind its closing quote,"9,""0""x"
more.csv,2,"expected 2 fields, found 1",x'
	fcat -q --on-error skip --reject reject.jsonl bad.csv more.csv >out.csv
	fcat --ojsonl reject.csv | sed 's/"record":\([0-9]*\)}/"record":"\1"}/' >expected
	cmp expected reject.jsonl
	# It is there even if nothing is bad.
	printf 'a,b\n1,2\n' >good.csv
	rm reject.csv
	fcat --on-error skip --reject reject.csv good.csv >out.csv
	[ ! -s reject.csv ] || assert_equal "$(cat reject.csv)" "file,line,reason,record"
	run -64 fcat --reject reject.csv good.csv
}

@test "--reject holds records of which an expression or the time is wrong" {
	printf 'ts,b\n1000,1\nx,2\n3000,z\n,4\n5000,5\n' >bad.csv
	piped 'fcat --time ts --on-error skip --reject times.csv bad.csv |
		fmap --on-error skip --reject numbers.csv "c=b * 2" | fcat --ocsv'
	assert_equal "$statuses" "0 0 0"
	assert_equal "$(sort all)" 'fcat: 2 bad records skipped
fmap: 1 bad record skipped'
	assert_equal "$(cat out)" 'ts,b,c
1000,1,2
5000,5,10'
	assert_equal "$(cut -d , -f 1,2 times.csv)" 'file,line
bad.csv,3
bad.csv,5'
	run -0 cat numbers.csv
	assert_output --partial '"not a number: ""z""","3000,z"'
	for expression in 'c=b * 2' 'c=1/(b-1)' 'c=b::int'; do
		run -65 --separate-stderr fmap "$expression" bad.csv
		[[ $stderr == 'fmap: bad.csv:'[24]': '* ]] || fail "$stderr"
	done
}

@test "packed input that is damaged or cut is exit status 65" {
	local at

	(echo a,b && seq 5000 | sed 's/$/,x/') | gzip >good.csv.gz
	run -0 fcat --ocsv good.csv.gz
	for at in 10 25 1000 $(($(wc -c <good.csv.gz) - 1)); do
		head -c "$at" good.csv.gz >cut.csv.gz
		run -65 --separate-stderr fcat cut.csv.gz
		[[ $stderr == 'fcat: cut.csv.gz: gzip '*'cut off'* ]] || fail "$at: $stderr"
		perl -e '
			my ($at) = @ARGV;
			local $/;
			open my $in, "<:raw", "good.csv.gz" or die;
			my $all = <$in>;
			substr($all, $at - 5, 4) = "\xff\x00\xff\x00";
			open my $out, ">:raw", "flipped.csv.gz" or die;
			print $out $all' "$at"
		[ "$at" -gt 20 ] || continue
		run -65 --separate-stderr fcat flipped.csv.gz
		[[ $stderr == 'fcat: flipped.csv.gz: '* ]] || fail "$at: $stderr"
	done
}
