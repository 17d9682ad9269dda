/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of a ranking: "price desc, ts", expressions with asc (default) or desc,
 * and nulls last (default, for desc too) or nulls first. Or the order of
 * deduplication: by event time or arrival.
 *
 * Sort values are taken out of a batch once, column by column; integers and times
 * are then compared as such, everything else as fl_value_compare does. Rows that are
 * equal go by arrival, the earlier first (newest: the later).
 */
#ifndef FL_RANK_SORTBY_H
#define FL_RANK_SORTBY_H

#include "expr/expr.h"
#include "rank/items.h"

struct fl_sortby_part {
	struct fl_expr *expr;
	bool descending;
	bool nulls_first;
};

struct fl_sortby {
	struct fl_sortby_part *by;
	uint32_t count; /* cells of a sort key */
	bool by_time;   /* the one cell is the event time; no expressions */
	bool newest;    /* by_time: the latest first; of equal ones the later arrival */

	/* of the batch in hand */
	uint32_t rows;
	struct fl_buf cells; /* struct fl_sortcell, count a row */
	struct fl_buf other;
};

/* Parse text. FL_EUSAGE if it is empty; expressions are parsed by the bind. */
int fl_sortby_parse(struct fl_sortby *o, const char *text, const struct fl_expr_env *env,
		    struct fl_err *err);

/* By event time (timed) and arrival, the first or, newest, the last one first. */
void fl_sortby_arrival(struct fl_sortby *o, bool timed, bool newest);
void fl_sortby_release(struct fl_sortby *o);

/* As fl_expr_bind, for all expressions. */
int fl_sortby_bind(struct fl_sortby *o, const struct fl_header *h, struct fl_err *err);

/* Take the sort values of all records of b; bad ones are in *bad. */
int fl_sortby_eval(struct fl_sortby *o, const struct fl_batch *b, struct fl_badrows *bad,
		   struct fl_err *err);

/* Those of record row of the batch in hand. */
static inline struct fl_sortkey
fl_sortby_key(const struct fl_sortby *o, uint32_t row)
{
	return (struct fl_sortkey){
		.cell = (const struct fl_sortcell *)(const void *)o->cells.data +
			(size_t)row * o->count,
		.other = o->other.data,
	};
}

/* Less than, equal to or greater than 0: a comes before b. Never 0 for different seq. */
int fl_sortby_compare(const struct fl_sortby *o, const struct fl_sortkey *a, uint64_t a_seq,
		      const struct fl_sortkey *b, uint64_t b_seq);

/* A column that an expression names and that never came, or NULL; i from 0. */
const char *fl_sortby_unseen(const struct fl_sortby *o, size_t i);

/*
 * Where the part of text p[0..n) that ends at a comma outside of quotes and brackets
 * ends; n if there is no such comma.
 */
size_t fl_list_part(const char *p, size_t n);

#endif
