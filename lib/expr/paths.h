/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON paths of one step (.bid.price) into the columns of a batch: a nested
 * object is walked once a record, however many of its members are looked for.
 *
 *	p = fl_paths_new()
 *	  fl_paths_want(p, column, "price", 5)     once for each path: its place
 *	fl_paths_begin(p, batch)                   at each batch
 *	  fl_paths_get(p, place, &vec)             the values of a path
 *	fl_paths_free(p)
 *
 * The values are views of the column; only where a member's strings have escapes
 * in a batch they lie in an area of their own.
 */
#ifndef FL_EXPR_PATHS_H
#define FL_EXPR_PATHS_H

#include "stream/batch.h"

struct fl_paths;

/* Where a path's values are found: which column, which of its members. */
struct fl_path {
	uint32_t group;
	uint32_t member;
};

struct fl_paths *fl_paths_new(void);
void fl_paths_free(struct fl_paths *p); /* NULL is fine */

/* Look for the member key of the objects in a column; the same again is one. */
struct fl_path fl_paths_want(struct fl_paths *p, uint32_t column, const char *key, size_t len);

/* b is what fl_paths_get is about; borrowed until the next begin. */
void fl_paths_begin(struct fl_paths *p, const struct fl_batch *b);

/*
 * The values: NULL or absent where the column is, absent where it is no object
 * or has no such member; of equal keys the first counts. *ret borrows from the
 * batch and from p until the next begin.
 */
void fl_paths_get(struct fl_paths *p, struct fl_path at, struct fl_vec *ret);

#endif
