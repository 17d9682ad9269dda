# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The pipelines that are killed, and what they should have given: shared by matrix and
# random. Each line_NAME is one checkpointed line over the inputs that make_inputs has
# made; plain_NAME is what its output must be, made without checkpoints. BACKEND is
# memory or rocksdb, EVERY the time between barriers.

time_of=(--time ts --time-format epoch-ms --watermark 1s)

# make_inputs ROWS: in.csv, of 500 keys k and 1500 users u; other.csv, fewer rows of the same
# time.
make_inputs() {
	awk -v rows="$1" 'BEGIN {
		srand(7); print "ts,k,v,u"
		for (t = 1700000000000; i < rows; i++) {
			t += int(rand() * 20)
			printf "%.0f,key%d,%d,%d\n", t + int(rand() * 1000) - 500, int(rand() * 500), i,
				i * 7919 % 1500
		}
	}' >in.csv
	awk -v rows="$(($1 / 10))" 'BEGIN {
		srand(8); print "ts,k,w"
		for (t = 1700000000000; i < rows; i++) {
			t += int(rand() * 200)
			printf "%.0f,key%d,%d\n", t + int(rand() * 1000) - 500, int(rand() * 500), i
		}
	}' >other.csv
}

# A process that dies behind its END is missed at --timeout.
begin() { fcheckpoint begin -d ck --every "${EVERY:-3ms}" --timeout 20s "$@"; }
keyby() { fkeyby "${time_of[@]}" "$@"; }
reduce() { freduce "${backend[@]}" "$@"; }

# A window behind a key: the line of the README.
line_chain() {
	begin in.csv | keyby k | fwindow tumble 10s | reduce n=count 's=sum(v)' |
		fcheckpoint commit -o out.csv
}
plain_chain() {
	keyby k in.csv | fwindow tumble 10s | freduce n=count 's=sum(v)' --ocsv
}

# Sessions with lateness, and windows over their results.
line_cascade() {
	begin in.csv | keyby k | fwindow session 5s --lateness 1s | reduce n=count |
		fkeyby n | fwindow slide 60s 20s | reduce --uid second m=count |
		fcheckpoint commit -o out.csv
}
plain_cascade() {
	keyby k in.csv | fwindow session 5s --lateness 1s | freduce n=count |
		fkeyby n | fwindow slide 60s 20s | freduce m=count --ocsv
}

# No windows: state that only grows, and a table at the end.
line_table() {
	begin in.csv | keyby k | reduce n=count 's=sum(v)' 'l=last(v)' 'd=count(distinct v % 7)' |
		fcheckpoint commit -o out.csv
}
plain_table() {
	keyby k in.csv | freduce n=count 's=sum(v)' 'l=last(v)' 'd=count(distinct v % 7)' --ocsv
}

# A tee whose branches meet again, over small pipes.
line_diamond() {
	begin in.csv | keyby k |
		tee >(ffilter --uid even 'v % 2 = 0' | fmap --uid mark 'half=v/2' >branch) |
		ffilter --uid odd 'v % 2 = 1' | funion - branch |
		fkeyby k | fwindow tumble 10s | reduce n=count 's=sum(v)' |
		fcheckpoint commit -o out.csv
}
plain_diamond() {
	funion <(keyby k in.csv | ffilter 'v % 2 = 1') \
		<(keyby k in.csv | ffilter 'v % 2 = 0' | fmap 'half=v/2') |
		fkeyby k | fwindow tumble 10s | freduce n=count 's=sum(v)' --ocsv
}

# Two sources, joined in the order of time.
line_join() {
	begin --name main in.csv | keyby k |
		fjoin "${backend[@]}" --between=-2s,2s \
			<(begin --name other other.csv | keyby k) |
		fcheckpoint commit -o out.csv
}
plain_join() {
	keyby k in.csv | fjoin --between=-2s,2s <(keyby k other.csv) --ocsv
}

# One source, and a file that a tool reads for itself.
line_file() {
	begin in.csv | keyby k | funion - other.csv "${time_of[@]}" |
		fkeyby k | fwindow tumble 10s | reduce n=count 's=sum(w)' |
		fcheckpoint commit -o out.csv
}
plain_file() {
	keyby k in.csv | funion - other.csv "${time_of[@]}" |
		fkeyby k | fwindow tumble 10s | freduce n=count 's=sum(w)' --ocsv
}

# Two sinks behind a tee.
line_sinks() {
	begin --sinks 2 in.csv | keyby k |
		tee >(ffilter --uid few 'v % 10 = 0' |
			fcheckpoint commit --uid few-out -o few.csv) |
		fwindow tumble 10s | reduce n=count 's=sum(v)' |
		fcheckpoint commit -o out.csv
}
plain_sinks() {
	keyby k in.csv | ffilter 'v % 10 = 0' --ocsv >few.want
	plain_chain
}

# Results in segments that appear whole.
line_segments() {
	begin in.csv | keyby k | fwindow tumble 10s | reduce n=count 's=sum(v)' |
		fcheckpoint commit -o seg --ocsv --segments 100K
}
plain_segments() {
	plain_chain
}

# Rows of the user that are too close to the last; what waits for the watermark.
line_dedup() {
	begin in.csv | keyby u | fdedup "${backend[@]}" --within 15s --keep last |
		fcheckpoint commit -o out.csv
}
plain_dedup() {
	keyby u in.csv | fdedup --within 15s --keep last --ocsv
}

# A ranking that changes with each row, as a changelog.
line_rank() {
	begin in.csv | keyby u | frank 2 --by 'v % 997 desc' --updates "${backend[@]}" |
		fcheckpoint commit -o out.csv
}
plain_rank() {
	keyby u in.csv | frank 2 --by 'v % 997 desc' --updates --ocsv
}

# Rankings of windows.
line_top() {
	begin in.csv | keyby u | fwindow tumble 60s | frank 1 --by 'v desc' "${backend[@]}" |
		fcheckpoint commit -o out.csv
}
plain_top() {
	keyby u in.csv | fwindow tumble 60s | frank 1 --by 'v desc' --ocsv
}

# Each row with its predecessors.
line_over() {
	begin in.csv | keyby u | fover --rows 3 's=sum(v)' 'before=lag(v)' "${backend[@]}" |
		fcheckpoint commit -o out.csv
}
plain_over() {
	keyby u in.csv | fover --rows 3 's=sum(v)' 'before=lag(v)' --ocsv
}

# A changelog, and the table that it comes to.
line_final() {
	begin in.csv | keyby k | reduce --updates n=count 's=sum(v)' | fcat --final |
		fcheckpoint commit -o out.csv
}
plain_final() {
	keyby k in.csv | freduce --updates n=count 's=sum(v)' | fcat --final --ocsv
}

# collect NAME: what a line has given, in out.csv.
collect() {
	[ "$1" != segments ] ||
		cat seg-* | awk 'NR == 1 || !/^window_start/' >out.csv
	[ "$1" != sinks ] || cmp few.want few.csv
}

# run_line NAME: in this directory, in a process group of its own.
run_line() {
	local name=$1

	backend=()
	[ "${BACKEND:-memory}" = memory ] || backend=(--backend "$BACKEND")
	case $BACKEND-$name in # a cache that does not hold them all
	rocksdb-dedup | rocksdb-rank | rocksdb-over) backend+=(--max-memory 400K) ;;
	rocksdb-top) backend+=(--max-memory 1M) ;;
	esac
	[ "$name" != diamond ] || [ -p branch ] || mkfifo branch
	set -o pipefail
	"line_$name"
}
