/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before PostgreSQL's parser sees an expression: everything in it that names a
 * column is replaced by a quoted placeholder ("$0", "$1", ..), so that names
 * keep their case, are not cut at 63 bytes, may be SQL's reserved words, and
 * may be JSON paths. For parse.c only.
 *
 * What names a column is decided by where a word stands: where an operand is
 * expected, a word that is not followed by a parenthesis or a string literal,
 * and is no word of the syntax, can be nothing else.
 */
#ifndef FL_EXPR_PARSE_QUOTE_H
#define FL_EXPR_PARSE_QUOTE_H

#include "expr/expr-node.h"

/* One mention of a column: steps[0] is a word, the others go on from it. */
struct fl_xref {
	uint32_t place;
	struct fl_xstep *steps;
	uint32_t step_count;
};

struct fl_xquoted {
	struct fl_buf out; /* "SELECT ", the text with placeholders, a NUL */
	struct fl_buf map; /* uint32_t pairs: offset in out, offset in the text */
	struct fl_buf refs; /* struct fl_xref */
};

/*
 * h: columns that are named like a word of the syntax are found where an
 * operand is expected. FL_EUSAGE: too long or nested too deeply. q is zeroed by
 * the caller and released by it in any case.
 */
int fl_x_quote(const char *text, const struct fl_header *h, struct fl_xquoted *q,
	       struct fl_err *err);
void fl_x_quoted_release(struct fl_xquoted *q);

/* Where the byte at offset out stood in the text. */
uint32_t fl_x_quoted_place(const struct fl_xquoted *q, size_t out);

/* The ref that a ColumnRef's name stands for, or NULL. */
const struct fl_xref *fl_x_quoted_ref(const struct fl_xquoted *q, const char *name);

#endif
