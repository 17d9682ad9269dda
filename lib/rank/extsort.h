/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sorting more rows than fit in memory: rows are collected, and whenever they have
 * reached the memory that is allowed they are sorted and written to a temporary file as
 * a run; in the end the runs are merged. Stable: rows that the order holds equal come
 * out as they came in.
 *
 *	fl_extsort_init(&x, &order, memory_max);
 *	  fl_extsort_add(&x, &key, time, row, row_len, &err)    in the order of arrival
 *	fl_extsort_finish(&x, &err);
 *	  while ((rc = fl_extsort_next(&x, &item, &err)) > 0) …
 *	fl_extsort_release(&x);
 */
#ifndef FL_RANK_EXTSORT_H
#define FL_RANK_EXTSORT_H

#include "base/err.h"
#include "rank/sortby.h"

/* Rows in order, in the temporary file. */
struct fl_run_of_rows {
	uint64_t offset, len;
};

/* A run that is being read. */
struct fl_runcursor {
	uint64_t offset, end; /* what has not been read yet */
	struct fl_buf buf;
	size_t done;
	struct fl_item *item; /* the row in hand, in buf; NULL: there is none */
};

struct fl_extsort {
	const struct fl_sortby *order;
	size_t memory_max;
	uint64_t seq; /* rows that were added */
	struct fl_items mem;
	size_t bytes;       /* of rows in mem */
	struct fl_buf rows; /* struct fl_item *: those in memory, sorted by finish */
	size_t next;        /* of them, when they come out */
	int fd;             /* the temporary file, or -1 */
	uint64_t file_len;
	struct fl_buf runs; /* struct fl_run_of_rows */
	struct fl_buf out;  /* being written */
	struct fl_runcursor *cursor;
	uint32_t *heap; /* cursors, the one with the first row at the top */
	uint32_t count; /* cursors in the heap */
	uint32_t cursors;
	bool advance; /* the row of heap[0] was given: it is to go on */
};

/* order and memory_max (bytes, about) stay the caller's. */
void fl_extsort_init(struct fl_extsort *x, const struct fl_sortby *order, size_t memory_max);
void fl_extsort_release(struct fl_extsort *x);

/* FL_ECREATE, FL_EIO: the temporary file. */
int fl_extsort_add(struct fl_extsort *x, const struct fl_sortkey *key, int64_t time,
		   const char *row, size_t row_len, struct fl_err *err);

/* All rows are there: prepare to give them. */
int fl_extsort_finish(struct fl_extsort *x, struct fl_err *err);

/* The next row, borrowed until the next call: 1, 0 behind the last, or FL_EIO. */
int fl_extsort_next(struct fl_extsort *x, const struct fl_item **ret, struct fl_err *err);

/*
 * Call visit with every row, in no particular order, before fl_extsort_finish: for
 * snapshots. Reads only; may run in a forked child.
 */
int fl_extsort_each(const struct fl_extsort *x, void (*visit)(void *arg, const struct fl_item *),
		    void *arg, struct fl_err *err);

/* About how many bytes all rows are. */
size_t fl_extsort_bytes(const struct fl_extsort *x);

#endif
