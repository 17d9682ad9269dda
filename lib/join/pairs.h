/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all joins share: the columns of the result, rows made of a left and a right
 * half, the further condition (--on), keys of both sides, and the engines' table of
 * calls. An engine (interval, windowed, temporal, regular, lookup) decides which
 * halves belong together, and when.
 *
 * Columns of the result
 *	[window_start, window_end,] the left's columns, the right's without its key
 *	columns. So key columns are there once, with the left's names; where a row has
 *	no left half, their values are the right's. A column of the right whose name
 *	the left has too gets _r behind it, or what --rprefix and --lprefix say. semi
 *	and anti joins give the left's columns only. Columns that come later (JSONL)
 *	are appended, whichever side they come from.
 *
 * Halves
 *	One half of a result is a kept record (packed: stream/row.h, or state/kept.h
 *	where fl_pairs_kept says so; all columns of its side), a record of the batch in hand, or nothing: NULLs.
 *
 * Calling sequence
 *	fl_pairs_open(&p, …)                  in the engine's open
 *	fl_pairs_columns(&p, &err)            when a header grew
 *	fl_pairs_batch(&p, side, b)           first thing in on_batch
 *	fl_pairs_keys(&p, side, b, &keys, …)
 *	  with a condition: fl_pairs_try for every candidate, fl_pairs_test, then look
 *	  at the verdicts
 *	  fl_pairs_put for every row of the result
 *	fl_pairs_flush(&p, &err)              last thing in on_batch and in advance
 *	fl_pairs_release(&p)
 */
#ifndef FL_JOIN_PAIRS_H
#define FL_JOIN_PAIRS_H

#include "checkpoint/snapshot.h"
#include "expr/expr.h"
#include "run/op.h"
#include "state/kept.h"
#include "state/key.h"
#include "stream/row.h"

enum fl_join_kind {
	FL_JOIN_INNER = 0,
	FL_JOIN_LEFT,
	FL_JOIN_RIGHT,
	FL_JOIN_FULL,
	FL_JOIN_SEMI, /* left rows that have a partner */
	FL_JOIN_ANTI, /* left rows that have none */
	FL_JOIN_KINDS
};

/* The sides, which are the inputs' numbers too. */
enum fl_join_side { FL_JOIN_SIDE_LEFT = 0, FL_JOIN_SIDE_RIGHT = 1 };

/* What the command line says. Strings are borrowed from it. */
struct fl_join_options {
	enum fl_join_kind kind;
	const char *on;      /* --on, or NULL */
	const char *lprefix; /* --lprefix, --rprefix, or NULL */
	const char *rprefix;
	const char *late;  /* --late, or NULL */
	const char *right; /* the word RIGHT; as an input it is opened by the runner,
	                      for --lookup by the engine */
	bool interval;     /* --between */
	int64_t lower;     /* ms, inclusive: --open is already in them; lower > upper: */
	int64_t upper;     /* the range is empty, nothing matches */
	bool as_of;
	bool lookup;
	const char *lookup_key; /* --lookup-key, or NULL */
};

/* "inner", … */
const char *fl_join_kind_name(enum fl_join_kind kind);

/* Whether rows of a side without a partner are rows of the result, padded with NULLs. */
static inline bool
fl_join_is_outer(enum fl_join_kind kind, enum fl_join_side side)
{
	return kind == FL_JOIN_FULL ||
	       kind == (side == FL_JOIN_SIDE_LEFT ? FL_JOIN_LEFT : FL_JOIN_RIGHT);
}

/*
 * An engine. self is zeroed; the calls are those of struct fl_op (run/op.h), which
 * tools/fjoin.c hands on. NULL where that op.h says so too, except open, on_batch and
 * release, which all have.
 */
struct fl_join_engine {
	const char *name; /* "interval join", for messages */
	size_t self_size;
	int (*open)(void *self, struct fl_run *run, const struct fl_join_options *o,
		    struct fl_err *err);
	int (*columns)(void *self, struct fl_err *err);
	int (*on_batch)(void *self, enum fl_join_side side, const struct fl_batch *b,
			struct fl_err *err);
	/* The watermark of both inputs together moved; *forward_ms as in on_watermark. */
	int (*advance)(void *self, int64_t wm_ms, int64_t *forward_ms, struct fl_err *err);
	int (*on_timer)(void *self, int64_t now_ms, struct fl_err *err);
	int (*end)(void *self, struct fl_err *err);
	void (*snapshot)(void *self, struct fl_save *s);
	int (*restore)(void *self, struct fl_load *l, struct fl_err *err);
	size_t (*state_bytes)(const void *self);
	int (*before_snapshot)(void *self, struct fl_err *err);
	void (*release)(void *self); /* also after a failed open */
};

/* One half of a row of the result. */
struct fl_half {
	const char *p; /* a packed record, or NULL */
	uint32_t len;
	uint32_t row; /* p NULL: record of the batch in hand, or FL_NO_ROW: NULLs */
};

#define FL_NO_ROW UINT32_MAX

static inline struct fl_half
fl_half_kept(const char *p, uint32_t len)
{
	return (struct fl_half){ .p = p, .len = len, .row = FL_NO_ROW };
}

static inline struct fl_half
fl_half_row(uint32_t row)
{
	return (struct fl_half){ .row = row };
}

static inline struct fl_half
fl_half_none(void)
{
	return (struct fl_half){ .row = FL_NO_ROW };
}

struct fl_pairs_side {
	const struct fl_header *header; /* incoming */
	uint32_t columns;               /* of header: how many are mapped */
	uint32_t *to;    /* column of the result of each of them, FL_NO_COLUMN: none (keys
	                    of the right) */
	uint32_t *alone; /* the same for a row that has no other half */
	uint32_t *full;  /* column of fl_pairs.full of each of them */
	const struct fl_batch *batch; /* in hand, or NULL */
	const struct fl_kept *kept;   /* what has packed its kept records; NULL: they are as
	                                 in stream/row.h */
};

struct fl_pairs {
	struct fl_run *run;
	enum fl_join_kind kind;
	const struct fl_join_options *options;
	uint32_t bounds; /* leading columns for the window's bounds: 2 or 0 */
	struct fl_pairs_side side[2];
	struct fl_keys keys;

	struct fl_build build; /* rows of the result, not yet emitted */
	int64_t start, end;    /* fl_pairs_window */

	struct fl_side *late_file; /* --late */
	const char *late_path;
	struct fl_build late;  /* late rows not yet written */
	uint64_t late_padded;  /* late rows that came out padded, and are in no file */
	uint64_t late_dropped; /* since they were last told to the runner */

	struct fl_expr *on;
	struct fl_header full; /* columns the condition sees: for semi and anti joins more
	                          than the result has */
	struct fl_build candidates;
	struct fl_buf verdict; /* one byte a candidate */
	struct fl_badrows bad;
	struct fl_buf rows;
};

/* How results are, besides their columns. */
struct fl_pairs_form {
	bool bounds;    /* rows begin with window_start, window_end (fl_pairs_window) */
	bool seconds;   /* … which are whole seconds */
	bool changelog; /* rows carry a row kind */
	bool timed;     /* rows carry an event time */
};

/*
 * Make the outgoing header (columns, key: the left's; the window is cleared, changelog
 * set, time kept only if timed) and be ready. o is borrowed. right: the right side's
 * header where it is not an input of the run (--lookup), else NULL; borrowed.
 * FL_EUSAGE: a side that is not keyed, sides keyed by different numbers of columns, two
 * columns of one name, a bad condition. Both sides without key columns is allowed: all
 * rows have the one empty key.
 */
int fl_pairs_open(struct fl_pairs *p, struct fl_run *run, const struct fl_join_options *o,
		  const struct fl_header *right, const struct fl_pairs_form *form,
		  struct fl_err *err);
void fl_pairs_release(struct fl_pairs *p); /* a zeroed struct is fine */

/* Kept halves of a side are packed by kept (borrowed) from now on. */
static inline void
fl_pairs_kept(struct fl_pairs *p, enum fl_join_side side, const struct fl_kept *kept)
{
	p->side[side].kept = kept;
}

/* A header has grown: append its new columns. Call with nothing pending (flushed). */
int fl_pairs_columns(struct fl_pairs *p, struct fl_err *err);

/*
 * The batch in hand of a side, borrowed until the next call or fl_pairs_flush. Only
 * one side has one at a time.
 */
void fl_pairs_batch(struct fl_pairs *p, enum fl_join_side side, const struct fl_batch *b);

/*
 * Keys of the records of b, comparable (bytes and hash) with those of the other side;
 * as fl_keys_of: valid until the next call, borrowing from b.
 */
int fl_pairs_keys(struct fl_pairs *p, enum fl_join_side side, const struct fl_batch *b,
		  const struct fl_key **ret, struct fl_err *err);

/* Set key->hash of a key that was kept (fl_entry_key, a restored one). */
void fl_pairs_rehash(const struct fl_pairs *p, struct fl_key *key);

/* Whether any column of the key is NULL: such rows match nothing. */
bool fl_pairs_key_is_null(const struct fl_pairs *p, const struct fl_key *key);

/*
 * A row of the result; copied when the call returns. semi and anti: right is not looked
 * at. wm: the watermark in force when it was due; time: its event time (if timed).
 * Emits when much has gathered.
 */
int fl_pairs_put(struct fl_pairs *p, struct fl_half left, struct fl_half right, int64_t time,
		 int64_t wm, enum fl_rowkind op, struct fl_err *err);

/* The same with the halves given by side: mine is of side, other is of the other one. */
int fl_pairs_put_sided(struct fl_pairs *p, enum fl_join_side side, struct fl_half mine,
		       struct fl_half other, int64_t time, int64_t wm, enum fl_rowkind op,
		       struct fl_err *err);

/* The window of the rows that are put from now on (form.bounds). */
void fl_pairs_window(struct fl_pairs *p, int64_t start, int64_t end);

/*
 * Late rows. They go to --late with the columns of the result, the other half empty
 * (semi and anti: with the right's columns too). padded: the row comes out all the
 * same, padded; then it is not lost, and without --late a note tells the count.
 * fl_pairs_late_open: path may be NULL. fl_pairs_notes: what is to be said at the end.
 */
int fl_pairs_late_open(struct fl_pairs *p, const char *path, struct fl_err *err);
void fl_pairs_late(struct fl_pairs *p, enum fl_join_side side, uint32_t row, bool padded);
void fl_pairs_notes(struct fl_pairs *p);

/* Emit what is held (late rows too), and forget the batch in hand. */
int fl_pairs_flush(struct fl_pairs *p, struct fl_err *err);

/*
 * The condition. Without one (fl_pairs_has_on false) every candidate is a pair, and
 * there is no need to try.
 *
 * fl_pairs_try adds a candidate (copied); fl_pairs_test evaluates all that were added
 * since the last test and gives one byte a candidate, in order, 1: the condition is
 * true. Valid until the next fl_pairs_try. Bad values: --on-error; with skip the
 * candidate is counted and is no pair. Memory is what the candidates take: test when
 * fl_pairs_tried says that there are thousands.
 */
static inline bool
fl_pairs_has_on(const struct fl_pairs *p)
{
	return p->on != NULL;
}
void fl_pairs_try(struct fl_pairs *p, struct fl_half left, struct fl_half right);
void fl_pairs_try_sided(struct fl_pairs *p, enum fl_join_side side, struct fl_half mine,
			struct fl_half other);
uint32_t fl_pairs_tried(const struct fl_pairs *p);
int fl_pairs_test(struct fl_pairs *p, const uint8_t **ret, struct fl_err *err);

/*
 * Pack record row of b, a record of side, for keeping: appended to out, all columns of
 * the batch. Returns the number of bytes.
 */
static inline size_t
fl_pairs_pack(const struct fl_batch *b, uint32_t row, struct fl_buf *out)
{
	return fl_row_pack(b, row, out);
}

/*
 * Snapshots. fl_pairs_save writes the section "join": kind, key and columns of both
 * sides, and `what` (the engine and those of its settings that may not change:
 * "interval join -10s..10s"). fl_pairs_load, with that section in hand, reads its
 * entries and says FL_ECONFIG, with both sides named, unless what was saved fits: the
 * same `what`, kind and keys; the columns of kept rows are the first columns of today's
 * headers. --on may have changed.
 */
#define FL_PAIRS_SECTION "join"
void fl_pairs_save(const struct fl_pairs *p, const char *what, struct fl_save *s);
int fl_pairs_load(const struct fl_pairs *p, const char *what, struct fl_load *l,
		  struct fl_err *err);

/*
 * How many records are taken at once: all that is kept of their keys has to fit the memory
 * where it may be on disk. UINT32_MAX: any number.
 */
struct fl_spill;
uint32_t fl_join_portion(const struct fl_spill *s);

/*
 * What an engine in event time saves besides: a section of kept rows, and what takes an
 * entry of it (s tells which section).
 */
struct fl_join_section {
	const char *name; /* NULL: the end of the list */
	uint32_t version; /* the latest that is known; older ones are, too */
	int (*load)(void *self, const struct fl_state_section *s, const struct fl_state_entry *e,
		    struct fl_load *l, struct fl_err *err);
};

/*
 * Restore such an engine: "join", as fl_pairs_load; "clock", the ints "watermark" into
 * *ret_wm and "arrivals" into *ret_seq, as far as they are there; the files of state on
 * disk; and the sections of rows. Another section, or a version that is not known, is an
 * error.
 */
int fl_join_restore(const struct fl_pairs *p, struct fl_spill *spill, const char *what,
		    int64_t *ret_wm, uint64_t *ret_seq, const struct fl_join_section *sections,
		    void *self, struct fl_load *l, struct fl_err *err);

/* Its beginning of a snapshot: the sections "join" and "clock". */
void fl_join_save(const struct fl_pairs *p, const char *what, int64_t wm, uint64_t seq,
		  struct fl_save *s);

/*
 * JSON for fl_save_section (checkpoint/about.h), appended to out with a NUL.
 *
 * Of a section that holds kept rows of a side, or what belongs to them: namespace "side",
 * the columns' names, and the layout of its values; NULL: they are packed rows.
 */
void fl_pairs_about(const struct fl_pairs *p, enum fl_join_side side, const char *layout,
		    struct fl_buf *out);

/* Of one with rows of both sides, row(left), row(right) in its layout. ns: "window" or "". */
void fl_pairs_about_both(const struct fl_pairs *p, const char *ns, const char *layout,
			 const int64_t (*windows)[2], uint32_t window_count, struct fl_buf *out);

#endif
