/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Aggregates: NAME=EXPR of freduce, where EXPR is an SQL expression over
 * aggregate calls ("count", "sum(bytes)", "sum(a)/count(*)", "count(*) filter
 * (where status >= 500)").
 *
 * Concepts
 *	A fl_aggs is a list of named expressions, compiled together: equal calls
 *	are computed once. All calls of the list share one accumulator of
 *	fl_aggs_size bytes, which lives in the caller's state, one a group, 8-byte
 *	aligned, at an address that does not change. Accumulators whose content has
 *	no fixed size (distinct, lists, sketches) hold a pointer to memory of their
 *	own: fl_aggs_clear gives it back, fl_aggs_extra_bytes says how much there is
 *	in all.
 *
 * Work is done column by column: the caller finds the accumulator of each
 * record, then fl_aggs_add runs one loop a call over the batch.
 *
 * Order: first, last, array_agg and string_agg go by arrival. merge(dst, src)
 * is for slices of a window, older into newer or the reverse: the arrival
 * numbers (seq) in the accumulators decide.
 */
#ifndef FL_EXPR_AGG_H
#define FL_EXPR_AGG_H

#include "expr/expr.h"

struct fl_aggs;

/* Parse "NAME=EXPR" (NAME up to the first '='); may be called for each. */
struct fl_aggs *fl_aggs_new(const struct fl_expr_env *env);
int fl_aggs_define(struct fl_aggs *a, const char *definition, struct fl_err *err);
void fl_aggs_free(struct fl_aggs *a);

/*
 * Resolve against the incoming header, the first time parse. retract: the input
 * is a changelog, accumulators must be able to take records back (min, max,
 * first, last, distinct then keep all values). FL_EUSAGE as fl_expr_bind; also a
 * column outside any aggregate that is not a key.
 */
int fl_aggs_bind(struct fl_aggs *a, const struct fl_header *h, bool retract, struct fl_err *err);

size_t fl_aggs_size(const struct fl_aggs *a);         /* bytes of an accumulator */
size_t fl_aggs_count(const struct fl_aggs *a);        /* results: NAME=EXPRs */
const char *fl_aggs_name(const struct fl_aggs *a, size_t i);
enum fl_kind fl_aggs_kind(const struct fl_aggs *a, size_t i);

/* "NAME=EXPR", appended to out. */
void fl_aggs_definition(const struct fl_aggs *a, size_t i, struct fl_buf *out);
size_t fl_aggs_extra_bytes(const struct fl_aggs *a);  /* memory behind all accumulators */

/*
 * True if no result depends on the order of arrival: there is no first, last,
 * array_agg, string_agg, arg_min, arg_max or topk. (All can be merged from parts.)
 */
bool fl_aggs_order_free(const struct fl_aggs *a);

void fl_aggs_init(const struct fl_aggs *a, void *acc);
void fl_aggs_clear(struct fl_aggs *a, void *acc);     /* frees what it holds; then as after init */

/*
 * Evaluate the arguments for all of b. After it, fl_aggs_add may be called for
 * any of its records, in any portions, until b goes. Records for which an
 * argument is bad are in *bad and must not be added.
 */
int fl_aggs_prepare(struct fl_aggs *a, const struct fl_batch *b, struct fl_badrows *bad,
		    struct fl_err *err);

/*
 * Add records rows[0..n) of the prepared batch (rows NULL: first .. first+n-1),
 * record k into accumulator accs[k]. seq: arrival number of the batch's record 0
 * (record i is seq + i). A changelog's records are taken back where their row
 * kind says so. FL_EDATA: a sum that cannot be represented.
 */
int fl_aggs_add(struct fl_aggs *a, void *const *accs, const uint32_t *rows, uint32_t first,
		uint32_t n, uint64_t seq, struct fl_err *err);

/* Add what src holds to dst; src stays. */
int fl_aggs_merge(struct fl_aggs *a, void *dst, const void *src, struct fl_err *err);

/*
 * Append the results of accumulators accs[0..n) to the columns out[0 ..
 * fl_aggs_count): one value each. The expressions over the calls are evaluated
 * a batch at a time too. FL_EDATA: a division by zero and the like.
 */
int fl_aggs_results(struct fl_aggs *a, void *const *accs, uint32_t n, struct fl_colbuf *out,
		    struct fl_err *err);

/*
 * One accumulator as bytes, for snapshots, spilling and a backend on disk; and
 * back into a fresh (initialised) one. Format: versioned, little-endian, per
 * call; documented at the top of agg.c. FL_EDATA where bytes are not one.
 */
void fl_aggs_save(const struct fl_aggs *a, const void *acc, struct fl_buf *out);
int fl_aggs_load(struct fl_aggs *a, void *acc, const char *p, size_t n, struct fl_err *err);

/*
 * Accumulators that another list has saved: what both lists compute is kept, what only
 * this one does starts empty, what only the other did is dropped.
 *
 * fl_aggs_parts says, as bytes appended to out, what an accumulator of a list consists
 * of; they are saved beside accumulators, once. FL_EDATA where bytes are not that.
 */
struct fl_aggs_loader;
void fl_aggs_parts(const struct fl_aggs *a, struct fl_buf *out);
struct fl_aggs_loader *fl_aggs_loader_new(struct fl_aggs *a, const char *parts, size_t n,
					  struct fl_err *err);
void fl_aggs_loader_free(struct fl_aggs_loader *l); /* NULL is fine */
bool fl_aggs_loader_same(const struct fl_aggs_loader *l); /* the lists are equal */

/* As fl_aggs_load. */
int fl_aggs_loader_load(struct fl_aggs_loader *l, void *acc, const char *p, size_t n,
			struct fl_err *err);

/*
 * Accumulators that are flat have nothing behind them, and may be saved as they lie in
 * memory. fl_aggs_all_flat: all that there are; none ever is if fl_aggs_never_flat.
 */
bool fl_aggs_never_flat(const struct fl_aggs *a);
bool fl_aggs_all_flat(const struct fl_aggs *a);
bool fl_aggs_is_flat(const struct fl_aggs *a, const void *acc);

/* The same back into a fresh one; p is aligned to nothing. fl_aggs_loader_flat_size is how
 * many bytes each has; SIZE_MAX: the list is of a release that saved none so. */
size_t fl_aggs_loader_flat_size(const struct fl_aggs_loader *l);
int fl_aggs_loader_flat(struct fl_aggs_loader *l, void *acc, const char *p, struct fl_err *err);

/* Columns named that never came (JSONL), as fl_expr_unseen. */
const char *fl_aggs_unseen(const struct fl_aggs *a, size_t i);

#endif
