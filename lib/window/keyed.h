/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Windows kept key by key: sessions, count and global windows, and any window
 * with a trigger, an evictor or purging. Flink's WindowOperator, record by
 * record, with its merging window set for sessions.
 *
 * What happens at a record (event time ts, watermark wm in force)
 *	1. timers due at wm fire, if wm has moved since the last record;
 *	2. the record's windows are assigned; a session merges with the key's windows
 *	   that it touches (before the test of being late);
 *	3. a window whose cleanup time is <= wm does not take it; if none does and
 *	   ts + lateness <= wm, it is late;
 *	4. it is added; the trigger may fire the window, and purge it.
 *
 * Timers of a window: its end - 1 (default and "every" triggers), the next
 * multiple of "every", and its cleanup time. One timer a window stands for the
 * earliest of them, and is looked at again when it comes up, so that a session
 * that grows costs nothing there.
 *
 * With an evictor, or where the rows themselves are wanted (rows), windows keep
 * their records instead of an accumulator.
 *
 * With --backend rocksdb the table, the panes and their timers are a cache in front of the
 * disk (run/spill.h): a key is written, and brought back, with all of its panes.
 *
 * What happens in which order is said by the panes alone, so it is the same with either
 * backend: by the moment at which it is due, then the window's end and start, then the
 * arrival of the pane's first record. A key begins, with its arrival number and what its
 * value was, with the first record that comes when it has no pane.
 */
#ifndef FL_WINDOW_KEYED_H
#define FL_WINDOW_KEYED_H

#include "checkpoint/snapshot.h"
#include "run/spill.h"
#include "window/late.h"
#include "window/results.h"
#include "window/timers.h"

struct fl_pane; /* one window of one key */
struct fl_kept; /* a record that a window keeps */

/* What only windows with triggers, kept records or updates need. */
struct fl_pane_more {
	int64_t every_ms;       /* next firing of "every"; FL_TIME_MAX: none */
	int64_t count;          /* records since the count trigger fired */
	bool told;              /* updates: it has given a row */
	struct fl_buf told_acc; /* updates: the accumulator as it was told */
	struct fl_kept *first, *last;
};

struct fl_keyed {
	struct fl_window_spec spec; /* with count and eager expanded */
	struct fl_window_spec said; /* as it was said */
	struct fl_windows windows;  /* tumble, slide, cumulate */
	bool aligned;               /* one of these */
	bool updates;
	bool keeps_rows; /* panes hold records */
	struct fl_run *run;
	struct fl_aggs *aggs;       /* NULL: the rows are the result */
	struct fl_results *results; /* with aggs */
	struct fl_late *late;
	struct fl_budget budget;
	struct fl_keys keys;
	struct fl_table table; /* value: the key's first pane */
	struct fl_spill spill;
	int64_t handled;     /* on disk: the place up to which all has been dealt with */
	size_t needed;       /* bytes in memory when the keys of records in hand had come */
	bool other_lateness; /* on disk are panes that were kept with another one … */
	int64_t restored_ms; /* … at this watermark */
	size_t pane_bytes;
	size_t more_at; /* in a pane, where it has its own */
	bool is_plain;  /* panes need no more than this: */
	struct fl_pane_more plain;
	struct fl_pane *free_panes;
	struct fl_arena arena; /* panes */

	struct fl_timers timers;          /* of panes */
	struct fl_buf due;                /* struct fl_pane *: of one moment */
	struct fl_buf fired;              /* struct fl_result, not yet put */
	struct fl_buf done;               /* struct fl_pane *: to be freed once put */
	struct fl_buf idle_keys;          /* struct fl_entry *: perhaps without panes */
	struct fl_buf add_accs, add_rows; /* records not yet added */

	int64_t wm_ms; /* in force */
	bool ending;   /* the watermark goes to the end of time */
	uint64_t seq;
	const struct fl_batch *batch; /* in hand */
	struct fl_buf entries, wm_scratch, packed, list;
	struct fl_badrows bad;
	struct fl_build rows; /* kept records, as a batch again */
	struct fl_build out;  /* rows as the result: with their bounds */
	uint32_t bounds_at;   /* column of window_start in out; out.cols: none */
	size_t row_bytes;     /* of kept records and told results, for the budget */
};

/* aggs and results NULL: the windows' rows are emitted, with window_start and
 * window_end behind the columns known at open, where the windows have bounds. */
int fl_keyed_open(struct fl_keyed *k, struct fl_run *run, const struct fl_window_spec *spec,
		  struct fl_aggs *aggs, struct fl_results *results, struct fl_late *late,
		  bool updates, struct fl_err *err);
void fl_keyed_release(struct fl_keyed *k);

int fl_keyed_batch(struct fl_keyed *k, const struct fl_batch *b, struct fl_err *err);

/* For fl_op's before_snapshot, snapshot, restore and state_bytes; between two batches. */
int fl_keyed_before_save(struct fl_keyed *k, struct fl_err *err);
void fl_keyed_save(const struct fl_keyed *k, struct fl_save *s);
int fl_keyed_load(struct fl_keyed *k, struct fl_load *l, struct fl_err *err);
size_t fl_keyed_bytes(const struct fl_keyed *k);

/* The watermark (or the clock, for processing time) has reached wm_ms. */
int fl_keyed_advance(struct fl_keyed *k, int64_t wm_ms, struct fl_err *err);

#endif
