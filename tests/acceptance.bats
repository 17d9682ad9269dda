#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# What a new user tried and was surprised by: each test is something that once ended
# in a crash, never, or with an answer that was not what it should be.

load helper

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	printf '%s\n' ts,k,v \
		1970-01-01T00:00:01Z,a,1 1970-01-01T00:00:12Z,b,2 1970-01-01T00:00:09Z,a,3 \
		1970-01-01T00:00:25Z,a,4 1970-01-01T00:00:26Z,,6 1970-01-01T00:00:41Z,b,7 >w.csv
}

# usage_error MESSAGE COMMAND…: exit 64, that message, no output.
usage_error() {
	local message=$1
	shift
	run --separate-stderr timeout 10 "$@"
	assert_equal "$status" 64
	# shellcheck disable=SC2154 # bats sets it
	assert_equal "$stderr" "$message"
	assert_equal "$output" ''
}

# ---- windows ---------------------------------------------------------------------

@test "a global window with --trigger every ends with the data, firing once more" {
	fkeyby --time ts --watermark 5s k w.csv | fwindow global --trigger every=10s |
		timeout 10 freduce 'l=array_agg(v)' --ocsv >out
	assert_equal "$(cat out)" 'k,l
a,"[1,3,4]"
a,"[1,3,4]"
b,[2]
a,"[1,3,4]"
b,"[2,7]"
,[6]
a,"[1,3,4]"
b,"[2,7]"
,[6]'
}

@test "a global window with --trigger every by the clock shows what is left at the end" {
	fkeyby k w.csv | fwindow global --trigger every=1h --processing-time |
		timeout 10 freduce n=count --ocsv >out
	assert_equal "$(cat out)" 'k,n
a,3
b,2
,1'
}

@test "what needs event time says so where there is none" {
	local message='fwindow: these records have no event time: give --time (and --watermark) to the tool that reads the text, or --processing-time here'

	usage_error "$message" fwindow global --trigger every=10s w.csv --ocsv
	usage_error "$message" fwindow count 2 --keep 1s w.csv --ocsv
}

# ---- names and expressions -----------------------------------------------------------

@test "no two columns of a result have the same name" {
	fkeyby --time ts k w.csv -o keyed.flue
	fkeyby k w.csv | fwindow count 2 -o counted.flue
	fwindow tumble 10s keyed.flue -o windowed.flue
	usage_error 'freduce: the result would have two columns "k": choose another name' \
		freduce k=count keyed.flue --ocsv
	usage_error 'freduce: the result would have two columns "window_end": choose another name' \
		freduce window_end=count windowed.flue --ocsv
	usage_error 'freduce: "op" is the first column of --updates: choose another name' \
		freduce --updates op=count keyed.flue --ocsv
	fwindow tumble 10s --time ts w.csv | freduce n=count -q -o results.flue
	usage_error 'fwindow: there is a column window_start already: give it another name with fmap' \
		fwindow tumble 20s results.flue --ocsv
	run -0 freduce op=count window_end=count counted.flue --ocsv
	assert_line --index 0 k,op,window_end
}

@test "unnest outside of fmap is refused" {
	usage_error 'freduce: unnest gives several rows: that is for fmap, before or after in: unnest(array_agg(v))' \
		freduce 'n=unnest(array_agg(v))' w.csv --ocsv
	usage_error 'ffilter: unnest(v) gives several rows, not a condition; see fmap' \
		ffilter 'unnest(v)' w.csv --ocsv
	usage_error 'fcat: --time: it gives several values, not one time' \
		fcat --time 'unnest(v)' w.csv --ocsv
	usage_error 'fcat: --watermark-at: it gives several values, not one time' \
		fcat --time ts --watermark-at 'unnest(v)' w.csv --ocsv
}

@test "an unknown aggregate names the nearest one" {
	usage_error 'freduce: unknown aggregate coutn (did you mean count?) in: coutn(*)' \
		freduce 'n=coutn(*)' w.csv --ocsv
}

# ---- changelogs ------------------------------------------------------------------------

@test "fcat --final keeps what values are, of more than ten columns too" {
	local row='"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":true,"k":false,"l":"5","m":null,"n":{"x":1},"o":[1],"p":"","q":7'

	printf '%s\n' "{\"op\":\"+I\",$row}" "{\"op\":\"+I\",${row/7/8}}" "{\"op\":\"-D\",${row/7/8}}" >log.jsonl
	run -0 fcat --final log.jsonl --ojsonl
	assert_output "{$row}"
}

# ---- output ----------------------------------------------------------------------------

@test "a tool that waits for input notices that the reader of its text has gone" {
	mkfifo hold
	exec 9<>hold
	(
		echo k
		echo 1
		read -r -t 10 <&9
	) | {
		fcat --icsv --ocsv || echo $? >status
		echo >&9
	} | head -n 1 >out
	exec 9>&-
	assert_equal "$(cat out status)" 'k
141'
}

@test "a file is not read while it is appended to" {
	cp w.csv grows.csv
	run timeout 10 bash -c 'fcat grows.csv >>grows.csv'
	assert_equal "$status" 64
	assert_output 'fcat: the input is standard output too; see -o'
	cmp w.csv grows.csv
}

@test "the name of an output that would have to be compressed is refused" {
	usage_error 'fcat: -o out.csv.gz: the output is not compressed; pipe it into gzip' \
		fcat w.csv -o out.csv.gz
	[ ! -e out.csv.gz ]
}
