/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OVER aggregates: each row comes out with values computed from the rows of its key
 * that came before it in time: Flink's OVER.
 *
 * Concepts
 *	Rows wait until the watermark has reached their time, then take their turn: by
 *	time, of equal times by arrival. Without event time they take it at once.
 *
 *	A frame is the rows that aggregates see: the row itself and, of its key,
 *	    rows n      the n rows before it
 *	    range d     those at most d ms older, and all of the same time
 *	    unbounded   all before it; by range, also those of the same time
 *	Aggregates are kept up to date as rows enter and leave (fl_aggs retracts).
 *
 *	lag and lead take a value of a row so many places before or behind; lead makes
 *	a row wait for its followers, or the end. Then the watermark, too, is held back
 *	until the end.
 *
 * Late rows are dropped and counted: with a bounded frame those not behind the last
 * row of their key that had its turn, else those behind the watermark (as in Flink).
 *
 * Work is done in chunks: what happens is first written down as rows of a batch, with
 * the steps that lead from one result to the next, then computed column by column.
 *
 * With --backend rocksdb keys are on disk, with their rows (run/spill.h, oversave.c). Where
 * lead makes rows wait for the end, all keys must fit the memory then.
 */
#ifndef FL_RANK_OVER_H
#define FL_RANK_OVER_H

#include "expr/agg.h"
#include "rank/due.h"
#include "rank/groupkeys.h"
#include "rank/rowout.h"
#include "rank/saved.h"
#include "window/late.h"

enum fl_over_frame {
	FL_OVER_ROWS,
	FL_OVER_RANGE,
};

enum fl_over_what {
	FL_OVER_AGGREGATE,
	FL_OVER_LAG,
	FL_OVER_LEAD,
	FL_OVER_ROW_NUMBER,
	FL_OVER_RANK,
	FL_OVER_DENSE_RANK,
};

/* One NAME=EXPR. */
struct fl_over_def {
	char *name;
	char *text; /* as typed */
	enum fl_over_what what;
	uint32_t column;           /* of the results */
	uint32_t places;           /* lag, lead */
	struct fl_expr *expr;      /* lag, lead: of the other row */
	struct fl_expr *otherwise; /* lag, lead: of this row, where there is no other; or NULL */
	struct fl_build rows;      /* lag, lead: the other rows of the chunk */
	struct fl_buf missing;     /* uint8_t: there is none */
};

struct fl_over_spec {
	enum fl_over_frame frame;
	int64_t before;   /* rows or ms; -1: unbounded */
	const char *late; /* file, or NULL. Borrowed */
};

struct fl_over {
	struct fl_over_spec spec;
	struct fl_over_def *def;
	uint32_t def_count, agg_count;
	uint32_t lag_max, lead_max; /* rows */
	bool timed;
	struct fl_run *run;
	struct fl_aggs *aggs; /* NULL: there are none */
	struct fl_rowout out;
	struct fl_late late;
	struct fl_spill spill;
	struct fl_budget budget;
	struct fl_groupkeys keys;
	struct fl_table table; /* value: struct fl_over_key, then the accumulator */
	struct fl_items mem;
	struct fl_dues dues; /* rows whose turn has not come */
	int64_t wm_ms;       /* in force */
	uint64_t seq;
	uint64_t agg_seq;    /* arrival numbers of what aggregates see */
	struct fl_buf turns; /* struct fl_entry *: of the rows of one moment */
	struct fl_buf entries, pack, wm_scratch, good;
	struct fl_badrows bad;

	/* the chunk in hand */
	uint32_t chunk;
	struct fl_build rows;    /* what enters and leaves, and what is only shown */
	struct fl_buf steps;     /* struct fl_over_step */
	struct fl_build results; /* aggregates, then the others */
	struct fl_buf accs, chosen, wms, pool;
	struct fl_vec *extra;
};

/*
 * Add NAME=EXPR: lag(x [, places [, otherwise]]), lead(…), row_number(), rank(),
 * dense_rank(), or an expression over aggregates. Before the open. FL_EUSAGE.
 */
int fl_over_define(struct fl_over *o, const char *definition, const struct fl_expr_env *env,
		   struct fl_err *err);

/* In open. FL_EUSAGE: a changelog, windows, a range without event time. */
int fl_over_open(struct fl_over *o, struct fl_run *run, const struct fl_over_spec *spec,
		 struct fl_err *err);
void fl_over_release(struct fl_over *o);

int fl_over_columns(struct fl_over *o, struct fl_err *err);
int fl_over_batch(struct fl_over *o, const struct fl_batch *b, struct fl_err *err);
int fl_over_watermark(struct fl_over *o, int64_t wm_ms, int64_t *forward_ms, struct fl_err *err);
int fl_over_end(struct fl_over *o, struct fl_err *err);

/* A column that a definition names and that never came, or NULL; i from 0. */
const char *fl_over_unseen(const struct fl_over *o, size_t i);

int fl_over_checkpoint(struct fl_over *o, struct fl_err *err); /* before_snapshot */
void fl_over_snapshot(const struct fl_over *o, struct fl_save *s);
int fl_over_restore(struct fl_over *o, struct fl_load *l, struct fl_err *err);
size_t fl_over_bytes(const struct fl_over *o);

/* ---- inside: between over.c, overdef.c, overchunk.c and oversave.c ---- */

/*
 * A key: its rows in order, in a ring. Number 0 is the oldest that is still needed.
 *	frame <= shown <= added <= count: in the aggregates are frame .. added-1 (of an
 *	unbounded frame: all that were added), the next to come out is shown
 */
struct fl_over_key {
	struct fl_item **ring;
	uint32_t ring_class;
	uint32_t cap;  /* a power of two, or 0 */
	uint32_t head; /* place of number 0 */
	uint32_t count;
	uint32_t frame, shown, added;
	int64_t last_ms;  /* time of the last row that had its turn */
	uint64_t number;  /* rows that came out */
	int64_t shown_ms; /* time of the last of them */
	uint64_t rank, dense;
	struct fl_item *waiting; /* on disk: rows whose turn has not come, from prepare on */
};

/* A row that comes out. */
struct fl_over_step {
	struct fl_entry *entry;
	uint32_t row;      /* of the chunk's rows: what is shown */
	uint32_t first, n; /* of the chunk's rows: what enters and leaves for it */
	uint64_t number, rank, dense;
	int64_t wm;
};

static inline struct fl_over_key *
fl__over_key(struct fl_entry *e)
{
	return (struct fl_over_key *)(void *)e->value;
}

static inline void *
fl__over_acc(struct fl_entry *e)
{
	return e->value + sizeof(struct fl_over_key);
}

static inline struct fl_item **
fl__over_at(const struct fl_over_key *k, uint32_t number)
{
	return &k->ring[(k->head + number) & (k->cap - 1)];
}

enum { FL__OVER_INIT = 1 }; /* fl_entry.flags: the accumulator was initialised */

int fl__over_open_spill(struct fl_over *o, struct fl_err *err);

/* Nothing is kept any more. */
void fl__over_forget(void *self);

/* Make the entry of a key usable. */
void fl__over_init_key(struct fl_over *o, struct fl_entry *e);

/* A row joins those of its key. */
void fl__over_append(struct fl_over *o, struct fl_over_key *k, struct fl_item *item);

/* The next row of the key comes out: written into the chunk, which may be computed. */
int fl__over_show(struct fl_over *o, struct fl_entry *e, struct fl_err *err);

/* Compute what is in the chunk, and emit it. */
int fl__over_flush(struct fl_over *o, struct fl_err *err);

int fl__over_bind(struct fl_over *o, const struct fl_header *h, struct fl_err *err);

/* Evaluate lag's and lead's expressions for b: records that are bad go to o->bad. */
int fl__over_check(struct fl_over *o, const struct fl_batch *b, struct fl_err *err);

/* Put the results of lag and lead for the chunk; shown: its rows that come out. */
int fl__over_places(struct fl_over *o, const struct fl_batch *shown, struct fl_err *err);

#endif
