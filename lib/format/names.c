/* SPDX-License-Identifier: Apache-2.0 */
#include "format/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/io.h"

void
fl_names_init(struct fl_names *n)
{
	*n = (struct fl_names){ .table = NULL };
	fl_header_init(&n->header);
	fl_random(&n->seed, sizeof n->seed);
}

void
fl_names_release(struct fl_names *n)
{
	fl_header_release(&n->header);
	free(n->table);
	free(n->twin);
}

/* Where the name stands in the table, or the free place where it belongs. */
static uint32_t
slot(const struct fl_names *n, const char *name, size_t len)
{
	uint32_t mask = n->table_size - 1;
	uint32_t at = (uint32_t)XXH3_64bits_withSeed(name, len, n->seed) & mask;

	for (; n->table[at]; at = (at + 1) & mask) {
		const struct fl_column *c = &n->header.columns[n->table[at] - 1];

		if (c->name_len == len && memcmp(c->name, name, len) == 0)
			break;
	}
	return at;
}

static void
grow(struct fl_names *n)
{
	n->table_size = n->table_size ? 2 * n->table_size : 64;
	n->table = fl_xreallocarray(n->table, n->table_size, sizeof *n->table);
	n->twin = fl_xreallocarray(n->twin, n->table_size, sizeof *n->twin);
	memset(n->table, 0, n->table_size * sizeof *n->table);
	for (uint32_t c = 0; c < n->header.column_count; c++) {
		const struct fl_column *col = &n->header.columns[c];

		n->table[slot(n, col->name, col->name_len)] = c + 1;
	}
}

uint32_t
fl_names_find(const struct fl_names *n, const char *name, size_t len)
{
	uint32_t found = n->table ? n->table[slot(n, name, len)] : 0;

	return found ? found - 1 : FL_NO_COLUMN;
}

int
fl_names_add(struct fl_names *n, const char *name, size_t len, struct fl_err *err)
{
	uint32_t column;

	if (memchr(name, 0, len))
		return fl_fail(err, FL_EDATA, "the name of column %" PRIu32
			       " has a NUL byte in it: this is not text",
			       n->header.column_count + 1);
	if (memchr(name, '\r', len)) /* the whole file would be taken for its header line */
		return fl_fail(err, FL_EDATA,
			       "the name of column %" PRIu32
			       " has a carriage return in it; lines that end "
			       "in CR alone are not read (tr '\\r' '\\n' makes them lines)",
			       n->header.column_count + 1);
	if (n->header.column_count >= FL_COLUMNS_MAX)
		return fl_fail(err, FL_ELIMIT, "more than %u columns", FL_COLUMNS_MAX);
	if (2 * (n->header.column_count + 1) > n->table_size)
		grow(n);
	column = fl_header_add(&n->header, name, len, FL_TEXT);
	n->table[slot(n, name, len)] = column + 1;
	n->twin[column] = 1;
	return 0;
}

int
fl_names_add_unique(struct fl_names *n, const char *name, size_t len, struct fl_err *err)
{
	struct fl_buf b = { 0 };
	char number[16];
	uint32_t first;
	int rc;

	if (len == 0) {
		len = (size_t)snprintf(number, sizeof number, "%" PRIu32,
				       n->header.column_count + 1);
		name = number;
	}
	first = fl_names_find(n, name, len);
	if (first == FL_NO_COLUMN)
		return fl_names_add(n, name, len, err);
	do {
		fl_buf_clear(&b);
		fl_buf_put(&b, name, len);
		fl_buf_printf(&b, "_%" PRIu32, ++n->twin[first]);
	} while (fl_names_find(n, b.data, b.len) != FL_NO_COLUMN);
	rc = fl_names_add(n, b.data, b.len, err);
	fl_buf_release(&b);
	return rc;
}
