/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Aggregation without windows: one group a key over the whole input. Flink's
 * group aggregation.
 *
 * Either one row a key at the end of the input, keys by first arrival; or, with
 * updates, the changelog as it happens: +I for a group's first row, then -U +U
 * where the result has changed, -D when the last of its records was taken back.
 *
 * The input may be a changelog itself: its records are taken back as their row
 * kind says.
 */
#ifndef FL_WINDOW_GROUPS_H
#define FL_WINDOW_GROUPS_H

#include "window/results.h"

struct fl_groups {
	struct fl_run *run;
	struct fl_aggs *aggs;
	struct fl_results *results;
	bool updates;
	struct fl_budget budget;
	struct fl_keys keys;
	struct fl_table table; /* value: int64_t records, then the accumulator */
	uint64_t seq;
	struct fl_build before; /* updates: the result of a group before a record */
	struct fl_build after;
	struct fl_buf entries, accs, rows, wm_scratch;
	struct fl_badrows bad;
};

void fl_groups_open(struct fl_groups *g, struct fl_run *run, struct fl_aggs *aggs,
		    struct fl_results *results, bool updates);
void fl_groups_release(struct fl_groups *g);

int fl_groups_batch(struct fl_groups *g, const struct fl_batch *b, struct fl_err *err);

/* The end of the input: the rows, unless they were told as updates. */
int fl_groups_end(struct fl_groups *g, struct fl_err *err);

#endif
