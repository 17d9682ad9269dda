/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions: SQL as PostgreSQL reads it, over the columns of a stream,
 * evaluated a batch at a time.
 *
 * Calling sequence
 *	fl_expr_compile(&e, "status >= 500", FL_EXPR_SCALAR, &err)
 *	fl_expr_bind(e, header, &err)     at the first header and at each later one
 *	fl_expr_eval(e, batch, &bad, &vec, &err)          per batch
 *	fl_expr_free(e)
 *
 * Names
 *	Words that are columns of the stream, and JSON paths (.req.path,
 *	.items[0]), stand as they are, case and all; so parsing needs to know the
 *	columns: compile only keeps the text, the first bind parses it. A column
 *	that does not exist is FL_EUSAGE with the nearest name, unless the header's
 *	format is one whose records may grow columns (jsonl): then it is NULL until
 *	it comes, and fl_expr_unseen names it at the end.
 *
 * Bad values
 *	Arithmetic on something that is neither number nor NULL makes the record
 *	bad, not the call: its index and a reason go into *bad, and its result is
 *	NULL. The caller decides what becomes of the record.
 */
#ifndef FL_EXPR_EXPR_H
#define FL_EXPR_EXPR_H

#include "base/err.h"
#include "expr/place.h"
#include "stream/batch.h"
#include "stream/header.h"

struct fl_expr;

/* What expressions may see besides the columns. A zeroed struct is valid. */
struct fl_expr_env {
	const struct fl_zone *zone; /* --tz; NULL: UTC. Borrowed for the expression's life */
	int64_t now_ms;             /* now(): fixed at the start of the tool */
};

/* Records whose value could not be computed. A zeroed struct is valid. */
struct fl_badrows {
	struct fl_buf mask;    /* one byte a record, 1: bad; of length 0 if none is */
	uint32_t count;        /* how many are bad */
	uint32_t first;        /* index of the first */
	char reason[300];      /* of the first */
	char place[FL_X_PLACE_MAX]; /* of the first: where in the expression (expr/place.h), or "" */
};
void fl_badrows_reset(struct fl_badrows *b);
/* A record is counted once. True: it is the first by now, and fmt, ... the reason kept. */
bool fl_badrows_add(struct fl_badrows *b, uint32_t rows, uint32_t row, const char *fmt, ...)
	FL_PRINTF(4, 5);
void fl_badrows_release(struct fl_badrows *b);

/* Copies text and *env (NULL: all defaults). Nothing is parsed before the bind. */
struct fl_expr *fl_expr_new(const char *text, const struct fl_expr_env *env);
void fl_expr_free(struct fl_expr *e);

/*
 * Before the first bind: e finds its JSON paths together with others that share
 * p, which is borrowed. Then the owner of p calls fl_paths_begin (expr/paths.h)
 * before it evaluates any of them for another batch.
 */
struct fl_paths;
void fl_expr_share(struct fl_expr *e, struct fl_paths *p);

/*
 * Parse (the first time) and resolve the names against h. FL_EUSAGE: a syntax
 * error (PostgreSQL's message, with the place shown), an unknown column or
 * function with the nearest name, a wrong number of arguments, an aggregate
 * where none may stand.
 */
int fl_expr_bind(struct fl_expr *e, const struct fl_header *h, struct fl_err *err);

/* The kind that results have, as far as it is known before data (else FL_TEXT). */
enum fl_kind fl_expr_kind(const struct fl_expr *e);

/* If the expression is nothing but a column: its index; else FL_NO_COLUMN. */
uint32_t fl_expr_column(const struct fl_expr *e);

/* True for unnest(...) at the top: one record gives several (fl_expr_unnest). */
bool fl_expr_is_set(const struct fl_expr *e);

/*
 * Evaluate for all records of b. *ret has b->rows values and borrows from b
 * and from e, until the next evaluation of e. 0 or FL_ELIMIT and the like.
 */
int fl_expr_eval(struct fl_expr *e, const struct fl_batch *b, struct fl_badrows *bad,
		 struct fl_vec *ret, struct fl_err *err);

/*
 * Evaluate a condition: the indexes of the records for which it is true, in
 * order, into rows (room for b->rows); *ret_n of them. The simple and common
 * conditions (column against constant) have loops of their own.
 */
int fl_expr_filter(struct fl_expr *e, const struct fl_batch *b, struct fl_badrows *bad,
		   uint32_t *rows, uint32_t *ret_n, struct fl_err *err);

/*
 * Evaluate a set (fl_expr_is_set): *ret holds all elements of all records one
 * after the other, counts[i] says how many come from record i.
 */
int fl_expr_unnest(struct fl_expr *e, const struct fl_batch *b, struct fl_badrows *bad,
		   uint32_t *counts, struct fl_vec *ret, struct fl_err *err);

/*
 * A column that the expression names and that never came (JSONL), or NULL; i
 * counts them from 0.
 */
const char *fl_expr_unseen(const struct fl_expr *e, size_t i);

#endif
