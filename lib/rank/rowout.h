/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of the input as results: [window_start, window_end,] the input's columns, what
 * was computed, and behind that the columns that the input grew later.
 */
#ifndef FL_RANK_ROWOUT_H
#define FL_RANK_ROWOUT_H

#include "rank/items.h"
#include "run/op.h"
#include "state/kept.h"
#include "time/window.h"

struct fl_rowout {
	struct fl_run *run;
	uint32_t front; /* columns before the input's: 2 or 0 */
	uint32_t known; /* columns of the input at open */
	uint32_t seen;  /* and now */
	uint32_t extra; /* computed columns */
	struct fl_build build;
	struct fl_vec *vecs; /* scratch for fl_rowout_batch */
	/* what has packed the items' rows; NULL: they are as in stream/row.h. Borrowed */
	const struct fl_kept *kept;
};

struct fl_rowout_column {
	const char *name;
	enum fl_kind kind;
};

/*
 * Make the outgoing header: bounds (NULL: none) of windows in front, extra columns
 * behind. updates: rows have kinds. FL_EUSAGE: two columns of one name.
 */
int fl_rowout_open(struct fl_rowout *o, struct fl_run *run, const struct fl_window_spec *bounds,
		   const struct fl_rowout_column *extra, uint32_t extra_count, bool updates,
		   struct fl_err *err);
void fl_rowout_release(struct fl_rowout *o);

/* The incoming header has grown. */
int fl_rowout_columns(struct fl_rowout *o, struct fl_err *err);

/*
 * Put the columns of a kept row; the bounds and extra columns are put by the caller,
 * into build.col[0], [1] and fl_rowout_extra. Then fl_rowout_end.
 */
void fl_rowout_item(struct fl_rowout *o, const struct fl_item *item);

static inline struct fl_colbuf *
fl_rowout_extra(struct fl_rowout *o)
{
	return &o->build.col[o->front + o->known];
}

/* The row is whole. Large amounts are emitted at once. */
int fl_rowout_end(struct fl_rowout *o, int64_t time, int64_t wm, enum fl_rowkind op,
		  struct fl_err *err);

/*
 * Emit a batch of the input's columns with vectors of the extra ones, as they are.
 * What is held goes first.
 */
int fl_rowout_batch(struct fl_rowout *o, struct fl_batch *b, const struct fl_vec *extra,
		    struct fl_err *err);

/* Emit what is held. */
int fl_rowout_flush(struct fl_rowout *o, struct fl_err *err);

#endif
