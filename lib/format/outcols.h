/* SPDX-License-Identifier: Apache-2.0 */
/* Which columns a writer of lines with fixed columns writes. Private to lib/format. */
#ifndef FL_FORMAT_OUTCOLS_H
#define FL_FORMAT_OUTCOLS_H

#include "base/err.h"
#include "base/mem.h"
#include "stream/header.h"

struct fl_outcols {
	struct fl_header wanted; /* --columns, as the columns of a header */
	bool given;              /* --columns was */
	bool chosen;
	uint32_t *index; /* of the header's columns; FL_NO_COLUMN: not there yet */
	uint32_t count;
	uint32_t seen;  /* the header's columns when index was made */
	uint8_t *taken; /* one a column of the header then: it is in index */
};

/* columns: a,b,c as --columns has it (names with commas in double quotes), or NULL. FL_EUSAGE. */
int fl_outcols_init(struct fl_outcols *o, const char *columns, struct fl_err *err);
void fl_outcols_release(struct fl_outcols *o);

/*
 * Choose: the wanted columns, or those that the first record of b has, or all (b
 * is NULL). Once they are chosen they stay, but wanted ones may come later where
 * the text can grow columns. FL_EUSAGE: a wanted column does not exist.
 */
int fl_outcols_choose(struct fl_outcols *o, const struct fl_header *h, const struct fl_batch *b,
		      struct fl_err *err);

/*
 * The same for writers that have no fixed columns: all that h has, again when it has
 * more. *ret_new (or NULL): they are chosen for the first time, or others than before.
 */
int fl_outcols_prepare(struct fl_outcols *o, const struct fl_header *h, bool *ret_new,
		       struct fl_err *err);

/* FL_EDATA if a record of b has a column that was not chosen, unless --columns was given. */
int fl_outcols_check(const struct fl_outcols *o, const struct fl_header *h,
		     const struct fl_batch *b, struct fl_err *err);

/* The name of the i-th chosen column. */
static inline const struct fl_column *
fl_outcols_name(const struct fl_outcols *o, const struct fl_header *h, uint32_t i)
{
	return o->given ? &o->wanted.columns[i] : &h->columns[o->index[i]];
}

#endif
