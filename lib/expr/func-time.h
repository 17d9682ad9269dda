/* SPDX-License-Identifier: Apache-2.0 */
/* Times to text and back by PostgreSQL's and Java's patterns. */
#ifndef FL_EXPR_FUNC_TIME_H
#define FL_EXPR_FUNC_TIME_H

#include "expr/expr-node.h"

/* Append the time by a pattern, in the expression's zone. What is no pattern stands for itself. */
void fl_x_put_char(struct fl_xcall *c, int64_t ms, const struct fl_xval *format);
void fl_x_put_java(struct fl_xcall *c, int64_t ms, const struct fl_xval *format);

/*
 * How long a text by such a pattern stays the same, in ms: a day, a minute, a
 * second or 1. Counted in civil time.
 */
int64_t fl_x_char_period(const struct fl_xval *format);
int64_t fl_x_java_period(const struct fl_xval *format);

/* Read a text by to_timestamp's pattern, as local time. 0 or -1 (fl_x_bad). */
int fl_x_from_char(struct fl_xcall *c, const struct fl_xval *text, const struct fl_xval *format,
		   int64_t *ret_local_ms);

/* The ISO year and week of a day (since the epoch), whose date is civil. */
int64_t fl_x_iso_year(int64_t days, const struct fl_civil *civil, int64_t *ret_week);

#endif
