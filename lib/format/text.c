/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading plain text: every line is a record, its one column is called line.
 * An empty line is the empty string, not NULL.
 */
#include <stdlib.h>

#include "format/formats.h"
#include "format/lines.h"
#include "format/names.h"
#include "format/scan.h"

/* Bytes to scan before looking whether the batch is full. */
#define WINDOW FL_KIB(32)

struct text {
	struct fl_reader base;
	size_t record_max;
	struct fl_scanner scanner;
	struct fl_names names;
	struct fl_vec vec;
	struct fl_positions ends;  /* of the lines, and 0xffffffff before the first */
	struct fl_positions pairs; /* starts and ends, where there are CRs */
	struct fl_buf tags;
};

/*
 * The ends of the lines of p[0..n), up to a batch full: how many. *ret_returns:
 * whether there are carriage returns among them.
 */
static uint32_t
find_lines(struct text *r, const char *p, size_t n, bool at_end, bool *ret_returns)
{
	struct fl_scan scan = { .delta = 0 };
	size_t at = 0, rows = 0, last;

	*fl_positions_reserve(&r->ends, 0, 1) = UINT32_MAX;
	while (at < n && rows < FL_BATCH_ROWS && at < FL_BATCH_BYTES + (rows ? 0 : r->record_max)) {
		size_t to = n - at > WINDOW ? at + WINDOW : n;

		scan.off = fl_positions_reserve(&r->ends, 1 + rows, to - at + FL_SCAN_SLACK);
		at = fl_scan(&r->scanner, p, at, to, &scan);
		rows = (size_t)(scan.off - r->ends.at) - 1;
	}
	last = (uint32_t)(r->ends.at[rows] + 1); /* where the line after them begins */
	if (at == n && at_end && last < n)
		*fl_positions_reserve(&r->ends, 1 + rows++, 1) = (uint32_t)n;
	*ret_returns = scan.returns > 0;
	return rows > FL_BATCH_ROWS ? FL_BATCH_ROWS : (uint32_t)rows;
}

/* The lines as pairs of start and end, without the CR of a CRLF. */
static void
cut_returns(struct text *r, const char *p, uint32_t rows)
{
	uint32_t *pair = fl_positions_reserve(&r->pairs, 0, 2 * (size_t)rows);

	for (uint32_t i = 0; i < rows; i++) {
		uint32_t start = r->ends.at[i] + 1, end = r->ends.at[i + 1];

		pair[2 * i] = start;
		pair[2 * i + 1] = end - (end > start && p[end - 1] == '\r');
	}
	r->vec.off = pair;
	r->vec.stride = 2;
	r->vec.gap = 0;
}

/* The first of the lines that is too long, or rows. */
static uint32_t
find_long(const struct text *r, uint32_t rows)
{
	for (uint32_t i = 0; i < rows; i++) {
		size_t len;

		(void)fl_text(&r->vec, i, &len);
		if (len > r->record_max)
			return i;
	}
	return rows;
}

static void
tag_empty(struct text *r, uint32_t rows)
{
	uint8_t *tags = (uint8_t *)fl_buf_reserve(&r->tags, rows + 1), any = 0;

	for (uint32_t i = 0; i < rows; i++) {
		size_t len;

		(void)fl_text(&r->vec, i, &len);
		tags[i] = len ? FL_TAG_PLAIN : FL_TAG_STRING;
		any |= tags[i] ^ FL_TAG_PLAIN;
	}
	r->vec.tags = any ? tags : NULL;
}

static int
text_read(struct fl_reader *reader, const char *p, size_t n, bool at_end,
	  struct fl_read_result *ret, struct fl_err *err)
{
	struct text *r = (struct text *)reader;
	int bom = r->base.file_start ? fl_bom_at(p, n, at_end) : 0;
	bool returns;
	uint32_t rows;

	ret->batch = (struct fl_batch){ .rows = 0 };
	ret->taken = 0;
	ret->has_bad = false;
	if (bom < 0)
		return 0;
	r->base.file_start = false;
	p += bom;
	n -= (size_t)bom;
	rows = find_lines(r, p, n, at_end, &returns);
	r->vec = (struct fl_vec){
		.kind = FL_TEXT, .stride = 1, .gap = 1, .bytes = p, .off = r->ends.at
	};
	if (returns)
		cut_returns(r, p, rows);
	if (n > r->record_max) {
		uint32_t found = rows;

		rows = find_long(r, rows);
		if (!rows && (found || fl_part_too_long(n, r->record_max)))
			return fl_record_too_long(r->base.line, r->record_max, err);
	}
	ret->taken = (uint32_t)(r->ends.at[rows] + 1);
	ret->taken = ret->taken > n ? n : ret->taken; /* the last line has no end */
	r->vec.bytes_len = ret->taken;
	ret->taken += (size_t)bom;
	if (!rows)
		return 0;
	tag_empty(r, rows);
	ret->batch = (struct fl_batch){
		.rows = rows, .cols = 1, .col = &r->vec, .line = r->base.line
	};
	r->base.line += rows;
	return 0;
}

static void
text_file(struct fl_reader *reader)
{
	struct text *r = (struct text *)reader;

	r->base.line = 1;
	r->base.file_start = true;
}

static const struct fl_header *
text_columns(const struct fl_reader *reader)
{
	return fl_names_header(&((const struct text *)reader)->names);
}

static void
text_destroy(struct fl_reader *reader)
{
	struct text *r = (struct text *)reader;

	fl_names_release(&r->names);
	free(r->ends.at);
	free(r->pairs.at);
	fl_buf_release(&r->tags);
	free(r);
}

static struct fl_reader *
text_create(const struct fl_reader_options *o, struct fl_err *err)
{
	struct text *r = fl_xcalloc(1, sizeof *r);

	r->base.type = &fl_text_reader;
	r->record_max = fl_record_max(o->record_max);
	fl_scanner_init(&r->scanner, -1, -1, FL_SCAN_LEVELS);
	fl_names_init(&r->names);
	(void)fl_names_add(&r->names, "line", 4, err); /* cannot fail: it is the first */
	text_file(&r->base);
	return &r->base;
}

const struct fl_reader_type fl_text_reader = {
	.name = "text",
	.create = text_create,
	.file = text_file,
	.read = text_read,
	.columns = text_columns,
	.destroy = text_destroy,
};
