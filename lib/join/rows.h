/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows that one side of a join keeps: packed records (stream/row.h) in lists,
 * one a key, in the order of their arrival.
 *
 * An input that only adds rows costs a list. One that takes rows back (a changelog)
 * costs an index too: a row to be taken back is found by what its values are, however
 * many rows its key has. Equal rows are then kept once, with their number.
 *
 * With a TTL the rows are also in a list by when they were written last, so that those
 * that have expired are found first, without looking at others.
 *
 * All memory comes from large blocks, and what removed rows leave is used again; when the
 * last row goes the blocks are given back.
 */
#ifndef FL_JOIN_ROWS_H
#define FL_JOIN_ROWS_H

#include "base/err.h"
#include "base/mem.h"
#include "state/kept.h"
#include "state/key.h"
#include "state/table.h"
#include "stream/batch.h"

#define FL_JROW_CLASSES 160u

struct fl_jrow {
	struct fl_jrow *next; /* of the same key */
	uint32_t len;
	uint32_t matches; /* how many kept rows of the other side it matches, where the
	                     join counts that row by row */
	char data[];      /* packed: fl_jrows.kept, or stream/row.h */
};

/* The rows of one key. A zeroed struct is an empty list. */
struct fl_jlist {
	struct fl_jrow *first, *last;
	uint64_t rows; /* equal ones are one */
};

struct fl_jrows {
	struct fl_budget *budget;
	bool changing; /* rows are taken back: there is an index */
	bool aging;    /* rows expire: there is a list by age */
	bool compact;  /* rows are packed by kept, else as in stream/row.h */
	struct fl_kept kept;
	struct fl_arena arena;
	size_t charged; /* of the arena's bytes, how many the budget knows of */
	void *spare[FL_JROW_CLASSES];
	/* the index: buckets of tracked rows */
	struct fl_keys keys; /* for its seed */
	struct fl_jtracked **bucket;
	uint32_t mask;
	uint32_t tracked; /* rows that can be removed */
	/* by age: what was written here, and what came back from elsewhere (struct fl_jaged
	 * in a heap: it may be written again, or removed, and is then passed over) */
	struct fl_jaged *oldest, *youngest;
	struct fl_buf returned;
	/* the record in hand */
	struct fl_buf packed, identity, other;
	uint64_t hash;
	struct fl_build build;
};

void fl_jrows_init(struct fl_jrows *s, struct fl_budget *budget, bool changing);
void fl_jrows_release(struct fl_jrows *s); /* a zeroed struct is fine */

/* Rows are to be packed as state/kept.h says. Before the first one comes. */
void fl_jrows_compact(struct fl_jrows *s);

/* Rows expire: fl_jrows_oldest. Before the first one comes. */
void fl_jrows_age(struct fl_jrows *s);

/*
 * Take record row of b in hand: the next find and add are about it. The number of
 * bytes that are kept of it is at most 4 GiB.
 */
void fl_jrows_take(struct fl_jrows *s, const struct fl_batch *b, uint32_t row);

/* The same with its columns cols[0..count), in that order. Only where rows do not change. */
void fl_jrows_take_some(struct fl_jrows *s, const struct fl_batch *b, uint32_t row,
			const uint32_t *cols, uint32_t count);

/* The same with a record packed as in stream/row.h, which fl_row_check has passed. */
void fl_jrows_take_packed(struct fl_jrows *s, const char *p, size_t n);

/* The kept row that equals the one in hand, or NULL. Only where rows change. */
struct fl_jrow *fl_jrows_find(struct fl_jrows *s);

/*
 * Keep the row in hand, at the end of list, with no matches. Its address does not
 * change. NULL: FL_ELIMIT, --max-memory.
 */
struct fl_jrow *fl_jrows_add(struct fl_jrows *s, struct fl_jlist *list, struct fl_err *err);

/* Forget all rows, and the words that they share: their lists are not to be used again. */
void fl_jrows_clear(struct fl_jrows *s);

/* Forget a row of list. Only where rows change or expire. */
void fl_jrows_remove(struct fl_jrows *s, struct fl_jlist *list, struct fl_jrow *r);

/*
 * Where rows expire: r, a row of list, is written at now_ms and is the youngest (a clock
 * that goes back is taken to stand still); or it was written at when_ms, and comes back.
 * One of them is said of every new row.
 */
void fl_jrow_written(struct fl_jrows *s, struct fl_jlist *list, struct fl_jrow *r, int64_t now_ms);
void fl_jrow_returned(struct fl_jrows *s, struct fl_jlist *list, struct fl_jrow *r,
		      int64_t when_ms);

/* When that was. */
int64_t fl_jrow_when(const struct fl_jrow *r);

/* The row that was written the longest ago, and its list; NULL: there is none. */
struct fl_jrow *fl_jrows_oldest(struct fl_jrows *s, struct fl_jlist **ret_list);

/* How many equal rows r stands for; 1 where rows do not change. */
uint32_t fl_jrow_copies(const struct fl_jrows *s, const struct fl_jrow *r);
void fl_jrow_set_copies(struct fl_jrows *s, struct fl_jrow *r, uint32_t copies);

#endif
