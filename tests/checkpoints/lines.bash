# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The lines whose checkpoints are kept, one or more for each kind of state. begin_options
# output and the directory are the caller's.

# shellcheck disable=SC2034
lines=(tumble slide session trigger groups interval regular rank dedup over union)

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

line_tumble() { source_of | fwindow tumble 20s | freduce n=count 's=sum(v)' 'm=max(v)' | sink; }
line_slide() { source_of | fwindow slide 60s 20s | freduce n=count 'd=count(distinct v % 5)' | sink; }
line_session() { source_of | fwindow session 5s --lateness 2s | freduce n=count 'a=array_agg(v)' | sink; }
line_trigger() { source_of | fwindow tumble 60s --trigger every=10s | freduce n=count 'f=first(v)' 'l=last(v)' | sink; }
line_groups() { source_of | freduce n=count 's=sum(v)' 'p=p90(v)' 't=topk(v % 3, 2)' | sink; }
line_interval() {
	source_of | tee >(ffilter --uid even 'v % 2 = 0' >branch) |
		ffilter --uid odd 'v % 2 = 1' | fjoin left --between=-5s,5s branch | sink
}
line_regular() {
	source_of | tee >(ffilter --uid few 'v < 150' >branch) |
		ffilter --uid some 'v % 10 = 0' | fjoin left branch | sink
}
line_rank() { source_of | frank 3 --by 'v desc' --updates | sink; }
line_dedup() { source_of | fdedup --keep last --updates | sink; }
line_over() { source_of | fover 'sofar=sum(v)' 'before=lag(v)' --rows 3 | sink; }
line_union() {
	source_of | tee >(ffilter --uid even 'v % 2 = 0' >branch) |
		ffilter --uid odd 'v % 2 = 1' | funion - branch | sink
}
