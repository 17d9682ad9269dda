/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The columns of a text as they become known: a header and an index by name.
 * Private to lib/format.
 */
#ifndef FL_FORMAT_NAMES_H
#define FL_FORMAT_NAMES_H

#include "base/err.h"
#include "base/mem.h"
#include "stream/header.h"

struct fl_names {
	struct fl_header header; /* .columns and .column_count */
	uint32_t *table;         /* open addressing: column + 1, 0 is free */
	uint32_t table_size;     /* a power of two, or 0 */
	uint32_t *twin;          /* one a column: the number of its last namesake */
	uint64_t seed;           /* no crafted collisions */
};

void fl_names_init(struct fl_names *n);
void fl_names_release(struct fl_names *n);

/* The column so named, or FL_NO_COLUMN. */
uint32_t fl_names_find(const struct fl_names *n, const char *name, size_t len);

/*
 * Append a column. FL_EDATA: the name has a NUL byte. FL_ELIMIT: there are
 * FL_COLUMNS_MAX already. The name must be new.
 */
int fl_names_add(struct fl_names *n, const char *name, size_t len, struct fl_err *err);

/*
 * The same for a name that may be there already or be empty: a second a becomes
 * a_2, as Miller has it; an empty name becomes the number of its column.
 */
int fl_names_add_unique(struct fl_names *n, const char *name, size_t len, struct fl_err *err);

/* A view of the columns as fl_reader_columns gives it. */
static inline const struct fl_header *
fl_names_header(const struct fl_names *n)
{
	return &n->header;
}

#endif
