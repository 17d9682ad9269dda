/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Aggregation over aligned windows: tumble, slide and cumulate with their
 * default trigger. Flink's slicing window aggregation, with the allowed lateness
 * of its DataStream windows.
 *
 * A record is added once, to the slice of time in which it lies; a window is the
 * sum of its slices when it fires. So the cost of a sliding window does not
 * depend on size / slide.
 *
 * Order and exactness
 *	Everything is as with a watermark after every record. Records are added in
 *	runs: a run ends where the watermark in force reaches the next window's end,
 *	and at a record one of whose windows has fired (it is late, or within the
 *	lateness fires its windows again).
 *
 * With --backend rocksdb the tables of the slices are a cache in front of the disk
 * (state/backend.h); a window some of whose slices are there is merged from there, in
 * bounded memory.
 *
 * Results: windows by their end, then start; within a window keys by first
 * arrival.
 */
#ifndef FL_WINDOW_SLICES_H
#define FL_WINDOW_SLICES_H

#include "checkpoint/snapshot.h"
#include "window/late.h"
#include "window/parts.h"
#include "window/results.h"

struct fl_slice; /* one slice of time and its table */

struct fl_slices {
	struct fl_windows windows;
	struct fl_window_spec spec; /* as it was said */
	int64_t lateness;
	bool processing_time;
	bool updates; /* a window that fires again retracts what it said */
	struct fl_run *run;
	struct fl_aggs *aggs;
	struct fl_results *results;
	struct fl_late *late;
	struct fl_budget budget;
	struct fl_keys keys;

	struct fl_slice *slice; /* open slices by time */
	uint32_t count, cap;
	uint32_t last;         /* index of the slice found last */
	int64_t wm_ms;         /* in force */
	int64_t due_ms;        /* watermark at which a window fires next; FL_TIME_MAX: none */
	struct fl_window next; /* that window */
	uint64_t seq;          /* arrival number of the next record */

	struct fl_parts parts;
	char *files;            /* of the checkpoint that is being made */
	struct fl_table merged; /* scratch: the sum of a window's slices */
	struct fl_buf wm_scratch, entries, accs, order;
	struct fl_badrows bad;
};

int fl_slices_open(struct fl_slices *s, struct fl_run *run, const struct fl_window_spec *spec,
		   struct fl_aggs *aggs, struct fl_results *results, struct fl_late *late,
		   bool updates, struct fl_err *err);
void fl_slices_release(struct fl_slices *s);

int fl_slices_batch(struct fl_slices *s, const struct fl_batch *b, struct fl_err *err);

/* For fl_op's before_snapshot, snapshot, restore and state_bytes; between two batches. */
int fl_slices_before_save(struct fl_slices *s, struct fl_err *err);
void fl_slices_save(const struct fl_slices *s, struct fl_save *to);
int fl_slices_load(struct fl_slices *s, struct fl_load *l, struct fl_err *err);
size_t fl_slices_bytes(const struct fl_slices *s);
bool fl_slices_flat(const struct fl_slices *s); /* for snapshot_copies */

/* For fl_op's state_keys: of the slices in memory, the one with most keys. */
int64_t fl_slices_keys(const struct fl_slices *s);

/* The watermark (or the clock) has reached wm_ms: fire what is due. */
int fl_slices_advance(struct fl_slices *s, int64_t wm_ms, struct fl_err *err);

#endif
