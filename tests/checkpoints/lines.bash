# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The lines whose checkpoints are kept, one or more for each kind of state. begin_options,
# output and the directory are the caller's. NAME-disk is line NAME with the state of its
# operators in RocksDB.

memory_lines=(tumble slide cumulate session trigger count global evictor groups sums updates
	retract ttl interval interval-full interval-anti versions pairs pairs-sessions regular
	regular-full regular-semi changelogs lookup rank rank-windows rank-sessions dedup
	dedup-first dedup-within dedup-windows over over-range over-all sort sort-by final union)
disk_lines=(tumble slide session trigger count evictor groups updates retract ttl
	interval versions pairs pairs-sessions regular changelogs rank rank-windows
	rank-sessions dedup dedup-within dedup-windows over over-range)
# shellcheck disable=SC2034
lines=("${memory_lines[@]}" "${disk_lines[@]/%/-disk}")

# Those whose result is promised as a table only, not as bytes: the branches of a tee are
# joined as they come.
# shellcheck disable=SC2034
tables=(regular regular-full regular-semi changelogs)

make_log() {
	awk 'BEGIN {
		srand(11); print "ts,k,v"
		for (t = 1700000000000; i < 400; i++) {
			t += int(rand() * 2000)
			printf "%.0f,key%d,%d\n", t + int(rand() * 2000) - 1000, int(rand() * 7), i
		}
	}'
}

source_of() {
	fcheckpoint begin -q -d "$directory" "${begin_options[@]}" in.csv |
		fkeyby --time ts --time-format epoch-ms --watermark 2s k
}
sink() { fcheckpoint commit -q -o "$output"; }
reduce() { freduce "${backend[@]}" "$@"; }
join() { fjoin "${backend[@]}" "$@"; }

# keep_line NAME
keep_line() {
	local name=${1%-disk} backend=()

	[ "$name" = "$1" ] || backend=(--backend rocksdb)
	"line_${name//-/_}"
}

# ---- windows and aggregates ----

line_tumble() { source_of | fwindow tumble 20s | reduce n=count 's=sum(v)' 'm=max(v)' | sink; }
line_slide() { source_of | fwindow slide 60s 20s | reduce n=count 'd=count(distinct v % 5)' | sink; }
line_cumulate() {
	source_of | fwindow cumulate 60s 20s --lateness 10s --late late.csv | reduce n=count 'm=min(v)' | sink
}
line_session() { source_of | fwindow session 5s --lateness 2s | reduce n=count 'a=array_agg(v)' | sink; }
line_trigger() {
	source_of | fwindow tumble 60s --trigger every=10s | reduce n=count 'f=first(v)' 'l=last(v)' | sink
}
line_count() { source_of | fwindow count 7 3 | reduce n=count "a=string_agg(v, '+')" | sink; }
line_global() {
	source_of | fwindow global --trigger count=4 --purge | reduce n=count 'b=arg_max(ts, v)' | sink
}
line_evictor() { source_of | fwindow slide 60s 20s --keep 3 | reduce n=count 's=stddev(v)' | sink; }
line_groups() { source_of | reduce n=count 's=sum(v)' 'p=p90(v)' 't=topk(v % 3, 2)' | sink; }
# sums with nothing behind them, and texts that are longer than a value has room for
line_sums() {
	source_of | fmap "name='a key of more than 16 bytes: ' || k" "text='row ' || repeat('x', v % 30)" |
		fkeyby --uid named name |
		reduce n=count 's=sum(v)' 'a=avg(v)' 'd=stddev(v)' 't=last(text)' 'f=first(ts)' | sink
}
line_updates() { source_of | reduce --updates n=count 's=sum(v)' 'd=count(distinct v % 5)' | sink; }
# of a changelog: results are taken back
line_retract() {
	source_of | freduce --uid inner --updates n=count | fkeyby --uid by 'n' |
		reduce --updates m=count 'f=max(k)' | sink
}
line_ttl() { source_of | reduce --ttl 10000d n=count 's=sum(v)' | sink; }

# ---- joins: the branches of a tee meet again ----

# two_branches FILTER FILTER STAGE…: STAGE reads the first from stdin, the other from branch.
two_branches() {
	source_of | tee >(ffilter --uid right "$2" >branch) | ffilter --uid left "$1" | "${@:3}"
}
both_in() {
	source_of | fwindow "$@" | tee >(ffilter --uid right 'v % 3 <> 0' >branch) |
		ffilter --uid left 'v % 2 = 1'
}
line_interval() {
	source_of | tee >(ffilter --uid even 'v % 2 = 0' >branch) |
		ffilter --uid odd 'v % 2 = 1' | join left --between=-5s,5s branch | sink
}
line_interval_full() {
	two_branches 'v % 2 = 1' 'v % 2 = 0' join full --between=-5s,5s --on 'v < v_r' branch | sink
}
line_interval_anti() {
	two_branches 'v % 2 = 1' 'v % 2 = 0' join anti --between=1s,20s branch | sink
}
line_versions() { two_branches 'v % 2 = 1' 'v % 5 = 0' join left --as-of branch | sink; }
line_pairs() { both_in slide 20s 10s | join full branch | sink; }
line_pairs_sessions() { both_in session 10s | join semi branch | sink; }
line_regular() {
	source_of | tee >(ffilter --uid few 'v < 150' >branch) |
		ffilter --uid some 'v % 10 = 0' | join left branch | sink
}
line_regular_full() {
	two_branches 'v % 10 = 0' 'v % 13 = 0' join full --on 'v <> v_r' branch | sink
}
line_regular_semi() { two_branches 'v % 10 = 0' 'v < 100' join semi branch | sink; }
line_changelogs() {
	source_of | tee >(freduce --uid right --updates n=count >branch) |
		fdedup --uid left --keep last --updates | join left branch | sink
}
line_lookup() { source_of | fjoin left --lookup --lookup-key name names.csv | sink; }

# ---- rankings, duplicates, OVER ----

line_rank() { source_of | frank 3 --by 'v desc' --updates "${backend[@]}" | sink; }
line_rank_windows() {
	source_of | fwindow slide 40s 20s | frank 2 --by 'v desc' --rank r "${backend[@]}" | sink
}
line_rank_sessions() { source_of | fwindow session 5s | frank 1 --by 'v' "${backend[@]}" | sink; }
line_dedup() { source_of | fdedup --keep last --updates "${backend[@]}" | sink; }
line_dedup_first() { source_of | fdedup | sink; }
line_dedup_within() { source_of | fdedup --within 8s --keep last "${backend[@]}" | sink; }
line_dedup_windows() { source_of | fwindow tumble 40s | fdedup --keep last "${backend[@]}" | sink; }
line_over() { source_of | fover 'sofar=sum(v)' 'before=lag(v)' --rows 3 "${backend[@]}" | sink; }
line_over_range() {
	source_of | fover 'd=count(distinct v % 5)' 'a=array_agg(v)' --range 20s "${backend[@]}" | sink
}
line_over_all() { source_of | fover 's=sum(v)' 'r=row_number()' 'next=lead(v, 2)' | sink; }

# ---- the rest ----

line_sort() { source_of | fsort | sink; }
line_sort_by() { source_of | fsort --by 'k, v desc' | sink; }
line_final() { source_of | fdedup --keep last --updates | fcat --final | sink; }
line_union() {
	source_of | tee >(ffilter --uid even 'v % 2 = 0' >branch) |
		ffilter --uid odd 'v % 2 = 1' | funion - branch | sink
}
