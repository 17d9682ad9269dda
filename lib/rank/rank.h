/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The best rows per key: Flink's Top-N (ROW_NUMBER … <= N), and what it makes of
 * deduplication, a ranking by time of which the first row counts.
 *
 * Concepts
 *	A group is the rows of one key, in order. Of an input that only grows the best
 *	offset + limit are kept; a row gets in if it is strictly better than the worst.
 *	Of a changelog all rows are kept: where one of the best is taken back, the next
 *	follows. A row is taken back by what it looks like (fl_row_identity).
 *
 *	Without windows the result is a table: given at the end of the input, groups by
 *	first arrival, or told as it changes (updates). With ranks every row that moves is
 *	told; without, one that leaves and one that enters (-D +I; with a limit of one row
 *	-U +U).
 *
 *	With windows the rows come once, when the window fires. What is kept is the best
 *	rows of each slice of time (time/window.h); those of a window are among them.
 *	Sessions have theirs each.
 *
 * Watermarks: a table that is given at the end holds them back until then, so its rows
 * are not late for who reads them. fl_rank_watermark says what to forward.
 *
 * With --backend rocksdb the groups are on disk (run/spill.h, rankdisk.c). What a window
 * that has several slices gives must fit the memory when it fires.
 */
#ifndef FL_RANK_RANK_H
#define FL_RANK_RANK_H

#include "rank/groupkeys.h"
#include "rank/rowout.h"
#include "rank/sorted.h"
#include "run/spill.h"
#include "state/kept.h"
#include "window/late.h"
#include "window/timers.h"

struct fl_rank_spec {
	int64_t limit;         /* rows of a group, > 0 */
	int64_t offset;        /* of which so many first ones are left out */
	const char *rank_name; /* a column for the rank, or NULL. Borrowed */
	bool updates;
	bool whole_rows;         /* without key columns, each different row is a group */
	const char *what;        /* what a snapshot is compared by: "--by price desc". Borrowed */
	struct fl_sortby *order; /* bound by fl_rank_open; the caller's */
};

struct fl_rank_slice;

struct fl_rank {
	struct fl_rank_spec spec;
	struct fl_sortby *order;
	uint32_t cap;  /* rows kept of a group; UINT32_MAX: all */
	bool retracts; /* the input is a changelog */
	bool timed;
	struct fl_run *run;
	struct fl_rowout out;
	struct fl_spill spill;
	struct fl_budget budget;
	struct fl_groupkeys keys;
	struct fl_table table; /* value: struct fl_sorted */
	struct fl_table index; /* changelog: by hash of the row, struct fl_rank_same */
	struct fl_items mem;
	struct fl_kept kept; /* packs the items' rows */
	uint64_t seq;
	struct fl_buf pack, entries, rows, wm_scratch;
	struct fl_badrows bad;
	struct fl_build one; /* a kept row, as a batch again */
	struct fl_buf cells; /* of a row from disk */

	/* windows: panes.c */
	bool windowed;
	bool processing_time;
	struct fl_windows windows;
	struct fl_late late;
	struct fl_rank_slice *slice; /* open slices by time */
	uint32_t slice_count, slice_cap, slice_last;
	int64_t wm_ms;          /* in force */
	int64_t due_ms;         /* when a window fires next; FL_TIME_MAX: none */
	struct fl_window next;  /* that window */
	struct fl_table merged; /* scratch: the groups of a window */

	/* sessions: sessions.c */
	int64_t gap;             /* ms; 0: no sessions */
	struct fl_table by_key;  /* value: struct fl_rank_session *, the first of the key */
	struct fl_timers timers; /* of sessions */
	struct fl_buf due;       /* struct fl_rank_session *: that end now */

	bool restored;
	/* restoring: rows read, not yet in their groups */
	struct fl_build load;
	struct fl_buf load_rows;
};

/* In open. FL_EUSAGE: a window that cannot be ranked, a name twice. */
int fl_rank_open(struct fl_rank *r, struct fl_run *run, const struct fl_rank_spec *spec,
		 struct fl_err *err);
void fl_rank_release(struct fl_rank *r);

int fl_rank_columns(struct fl_rank *r, struct fl_err *err);
int fl_rank_batch(struct fl_rank *r, const struct fl_batch *b, struct fl_err *err);
int fl_rank_watermark(struct fl_rank *r, int64_t wm_ms, int64_t *forward_ms, struct fl_err *err);
int fl_rank_timer(struct fl_rank *r, int64_t now_ms, struct fl_err *err);
int fl_rank_end(struct fl_rank *r, struct fl_err *err);

int fl_rank_checkpoint(struct fl_rank *r, struct fl_err *err); /* before_snapshot */
void fl_rank_snapshot(const struct fl_rank *r, struct fl_save *s);
int fl_rank_restore(struct fl_rank *r, struct fl_load *l, struct fl_err *err);
size_t fl_rank_bytes(const struct fl_rank *r);

/* ---- inside: between rank.c, panes.c, sessions.c, ranksave.c and rankdisk.c ---- */

struct fl_rank_slice {
	int64_t start, end;
	int64_t last_due; /* watermark at which its last window fires */
	struct fl_table table;
	struct fl_buf pending; /* uint32_t: records of the batch not yet added */
};

struct fl_rank_session {
	struct fl_rank_session *next; /* of the same key */
	struct fl_entry *entry;
	struct fl_window window;
	struct fl_sorted rows;
	uint64_t seq;    /* its first arrival */
	uint32_t timers; /* queued; it is not freed before they have come up */
	uint32_t class;  /* of its memory */
	bool gone;
};

static inline struct fl_sorted *
fl__rank_group(struct fl_entry *e)
{
	return (struct fl_sorted *)(void *)e->value;
}

/* After the tables: keys may go to disk; the budget's limit. */
int fl__rank_open_spill(struct fl_rank *r, struct fl_err *err);

/* The entries of the keys of all records from first on, into r->entries; in t, of ns. */
int fl__rank_put_keys(struct fl_rank *r, int64_t ns, struct fl_table *t, const struct fl_key *keys,
		      uint32_t first, uint32_t rows, struct fl_err *err);

/* Keep record row of b in its group if it is among the best; told only with updates. */
int fl__rank_offer(struct fl_rank *r, struct fl_sorted *g, const struct fl_batch *b, uint32_t row,
		   int64_t wm, struct fl_err *err);

/* Add an item that is kept to its group; returns what fell out, NULL: nothing. */
struct fl_item *fl__rank_insert(struct fl_rank *r, struct fl_sorted *g, struct fl_item *item,
				uint32_t position);

/* The rows of a group that count, as results of a window (NULL: none). */
int fl__rank_put_group(struct fl_rank *r, const struct fl_sorted *g, const struct fl_window *w,
		       int64_t wm, struct fl_err *err);

/* The entries of a table by arrival, in r->entries; returns how many. */
uint32_t fl__rank_entries(struct fl_rank *r, const struct fl_table *t);

/* An item of record row of b, whose sort values are key. */
struct fl_item *fl__rank_item(struct fl_rank *r, const struct fl_batch *b, uint32_t row,
			      const struct fl_sortkey *key, uint64_t seq, int64_t time);

/* changelog: make an item findable by its row. FL_ELIMIT. */
int fl__rank_index(struct fl_rank *r, struct fl_item *item, struct fl_err *err);

void fl__rank_clear_table(struct fl_rank *r, struct fl_table *t, bool items);

int fl__panes_open(struct fl_rank *r, const struct fl_window_spec *w, struct fl_err *err);
void fl__panes_release(struct fl_rank *r);
int fl__panes_batch(struct fl_rank *r, const struct fl_batch *b, const struct fl_key *keys,
		    struct fl_err *err);
int fl__panes_advance(struct fl_rank *r, int64_t wm_ms, struct fl_err *err);
struct fl_rank_slice *fl__panes_slice(struct fl_rank *r, int64_t time); /* made if need be */
void fl__panes_schedule(struct fl_rank *r);

void fl__sessions_open(struct fl_rank *r, int64_t gap);
void fl__sessions_release(struct fl_rank *r);
void fl__sessions_forget(struct fl_rank *r);
int fl__sessions_batch(struct fl_rank *r, const struct fl_batch *b, const struct fl_key *keys,
		       struct fl_err *err);
int fl__sessions_advance(struct fl_rank *r, int64_t wm_ms, struct fl_err *err);

/* The first session of a key. */
static inline struct fl_rank_session **
fl__sessions_of(struct fl_entry *e)
{
	return (struct fl_rank_session **)(void *)e->value;
}

/* A session of the key of an entry of r->by_key. */
struct fl_rank_session *fl__sessions_add(struct fl_rank *r, struct fl_entry *e,
					 const struct fl_window *w, uint64_t seq);

#endif
