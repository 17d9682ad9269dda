/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows that windows give: [window_start, window_end,] KEY..., NAME...
 * collected into batches and emitted. Used by slices.c and keyed.c.
 */
#ifndef FL_WINDOW_RESULTS_H
#define FL_WINDOW_RESULTS_H

#include "expr/agg.h"
#include "run/op.h"
#include "state/table.h"
#include "time/window.h"

struct fl_results {
	struct fl_run *run;
	struct fl_aggs *aggs;
	uint32_t key_count;
	uint32_t bounds; /* columns for the window's bounds: 2 or 0 */
	enum fl_kind *key_kind;
	struct fl_build build;
	struct fl_buf accs;    /* void *, of the rows in hand */
	struct fl_buf entries; /* struct fl_entry *, likewise */
};

/*
 * Make the outgoing header's columns from the incoming one's keys and the names
 * of aggs, and be ready for rows. bounds: rows have window_start, window_end.
 * changelog: rows carry a row kind. timed: rows carry the window's last ms as
 * their event time.
 */
void fl_results_open(struct fl_results *r, struct fl_run *run, struct fl_aggs *aggs, bool bounds,
		     bool seconds, bool changelog, bool timed);
void fl_results_release(struct fl_results *r);

/*
 * One row for each entry[0..n), whose accumulator is accs[i] (NULL: the entry's
 * value): the keys, the window's bounds, the aggregates' results. wm is the
 * watermark in force. Large amounts are emitted at once.
 */
int fl_results_put(struct fl_results *r, const struct fl_window *w, struct fl_entry *const *entry,
		   void *const *accs, uint32_t n, int64_t wm, enum fl_rowkind op,
		   struct fl_err *err);

/* A row of a window of its own. */
struct fl_result {
	struct fl_window window;
	struct fl_entry *entry;
	void *acc;
	int64_t wm;
	enum fl_rowkind op;
};

/* The same for rows of different windows, in the order given. */
int fl_results_put_each(struct fl_results *r, const struct fl_result *row, uint32_t n,
			struct fl_err *err);

/* Emit what is held. */
int fl_results_flush(struct fl_results *r, struct fl_err *err);

#endif
