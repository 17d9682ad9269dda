/* SPDX-License-Identifier: Apache-2.0 */
#include "format/linewise.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/lines.h"

/*
 * Beside a tag, until the batch is finished: the value lies in text. A key may
 * come twice in a line, so a place in moved may be named twice, or no more count.
 */
#define IN_TEXT 0x80u

/* Values of a batch, where there are many columns. */
#define BATCH_VALUES (1u << 20)

void
fl_linewise_init(struct fl_linewise *r, const struct fl_reader_type *type, fl_line_parse *parse,
		 const struct fl_reader_options *o)
{
	*r = (struct fl_linewise){
		.base = { .type = type, .line = 1, .file_start = true },
		.parse = parse,
		.record_max = fl_record_max(o->record_max),
	};
	fl_names_init(&r->names);
}

void
fl_linewise_release(struct fl_linewise *r)
{
	fl_names_release(&r->names);
	fl_buf_release(&r->cells);
	fl_buf_release(&r->tags);
	fl_buf_release(&r->text);
	fl_buf_release(&r->moved);
	fl_buf_release(&r->area);
	fl_buf_release(&r->column_tags);
	free(r->vec);
}

void
fl_linewise_file(struct fl_reader *reader)
{
	struct fl_linewise *r = (struct fl_linewise *)reader;

	r->base.line = 1;
	r->base.file_start = true;
}

const struct fl_header *
fl_linewise_columns(const struct fl_reader *reader)
{
	return fl_names_header(&((const struct fl_linewise *)reader)->names);
}

int
fl_linewise_add_column(struct fl_reader *r, const char *name, size_t len, struct fl_err *err)
{
	return fl_names_add(&((struct fl_linewise *)r)->names, name, len, err);
}

void
fl_linewise_set_text(struct fl_linewise *r, uint32_t column, size_t from, enum fl_tag tag)
{
	uint32_t at = (uint32_t)((size_t)r->rows * r->cols + column);

	fl_linewise_set(r, column, from, r->text.len, tag);
	r->tag[column] |= IN_TEXT;
	fl_buf_put(&r->moved, &at, sizeof at);
}

enum fl_line_verdict
fl_linewise_bad(struct fl_linewise *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(r->reason, r->reason_cap, fmt, ap);
	va_end(ap);
	return FL_LINE_BAD;
}

static void
begin_batch(struct fl_linewise *r, const char *p)
{
	r->piece = p;
	r->rows = 0;
	r->cols = r->names.header.column_count;
	fl_buf_clear(&r->cells);
	fl_buf_clear(&r->tags);
	fl_buf_clear(&r->text);
	fl_buf_clear(&r->moved);
}

/* Parse one line into a row of cells, which is kept if the line is good. */
static enum fl_line_verdict
take_line(struct fl_linewise *r, size_t start, size_t end, struct fl_err *err)
{
	size_t text = r->text.len, moved = r->moved.len, pairs = r->cols * 2 * sizeof *r->off;
	enum fl_line_verdict v;

	/* one column more than there are, so that none at all needs no care */
	r->off = (uint32_t *)(void *)fl_buf_reserve(&r->cells, pairs + 2 * sizeof *r->off);
	memset(r->off, 0, pairs);
	r->tag = (uint8_t *)fl_buf_reserve(&r->tags, r->cols + 1);
	memset(r->tag, FL_TAG_ABSENT, r->cols);
	v = r->parse(r, start, end, err);
	if (v == FL_LINE_OK) {
		r->cells.len += pairs;
		r->tags.len += r->cols;
		r->rows++;
	} else {
		r->text.len = text;
		r->moved.len = moved;
	}
	return v;
}

/* The decoded values go behind a copy of the input, and their positions with them. */
static void
join_area(struct fl_linewise *r, size_t taken)
{
	uint32_t *off = (uint32_t *)(void *)r->cells.data;
	uint8_t *tags = (uint8_t *)r->tags.data;
	const uint32_t *moved = (const void *)r->moved.data;

	fl_buf_clear(&r->area);
	fl_buf_put(&r->area, r->piece, taken);
	fl_buf_put(&r->area, r->text.data, r->text.len);
	for (size_t i = 0; i < r->moved.len / sizeof *moved; i++) {
		size_t at = moved[i];

		if (!(tags[at] & IN_TEXT))
			continue;
		tags[at] &= (uint8_t)~IN_TEXT;
		off[2 * at] += (uint32_t)taken;
		off[2 * at + 1] += (uint32_t)taken;
	}
}

/* A column's tags: one for all, or an array. */
static void
column_tags(struct fl_linewise *r, uint32_t c, struct fl_vec *v)
{
	const uint8_t *from = (const uint8_t *)r->tags.data + c;
	uint8_t *to = (uint8_t *)r->column_tags.data + (size_t)c * r->rows;
	uint8_t differ = 0;

	for (uint32_t i = 0; i < r->rows; i++) {
		to[i] = from[(size_t)i * r->cols];
		differ |= to[i] ^ to[0];
	}
	v->tag = to[0];
	v->tags = differ ? to : NULL;
}

static void
finish_batch(struct fl_linewise *r, size_t taken, struct fl_batch *b)
{
	bool joined = r->moved.len > 0;

	*b = (struct fl_batch){ .rows = r->rows, .line = r->base.line };
	if (!r->rows)
		return;
	if (joined)
		join_area(r, taken);
	if (r->cols > r->vec_cap) {
		r->vec_cap = r->cols;
		r->vec = fl_xreallocarray(r->vec, r->vec_cap, sizeof *r->vec);
	}
	fl_buf_clear(&r->column_tags);
	(void)fl_buf_reserve(&r->column_tags, (size_t)r->cols * r->rows + 1);
	for (uint32_t c = 0; c < r->cols; c++) {
		r->vec[c] = (struct fl_vec){
			.kind = FL_TEXT,
			.stride = 2 * r->cols,
			.bytes = joined ? r->area.data : r->piece,
			.bytes_len = joined ? r->area.len : taken,
			.off = (const uint32_t *)(const void *)r->cells.data + 2 * c,
		};
		column_tags(r, c, &r->vec[c]);
	}
	b->cols = r->cols;
	b->col = r->vec;
}

static bool
is_full(const struct fl_linewise *r, size_t pos)
{
	return r->rows &&
	       (pos >= FL_BATCH_BYTES || r->rows >= FL_BATCH_ROWS ||
		r->text.len >= FL_BATCH_BYTES || (size_t)r->rows * r->cols >= BATCH_VALUES);
}

/*
 * Lines from p[*pos] on into the batch. Returns the verdict on the line at *pos,
 * which is not taken, or FL_LINE_OK where it is not there yet or the batch is full.
 */
static enum fl_line_verdict
fill_batch(struct fl_linewise *r, size_t *pos, size_t n, bool at_end, struct fl_line *line,
	   struct fl_err *err)
{
	while (*pos < n && !is_full(r, *pos)) {
		bool whole = fl_line_at(r->piece, *pos, n, at_end, line);
		enum fl_line_verdict v;

		if (whole ? line->end - *pos > r->record_max
			  : fl_part_too_long(n - *pos, r->record_max)) {
			if (r->rows)
				return FL_LINE_OK;
			(void)fl_record_too_long(r->base.line, r->record_max, err);
			return FL_LINE_FAIL;
		}
		if (!whole)
			return FL_LINE_OK;
		v = take_line(r, *pos, line->end, err);
		if (v == FL_LINE_GREW && !r->rows) {
			begin_batch(r, r->piece);
			continue;
		}
		if (v != FL_LINE_OK)
			return v;
		*pos = line->next;
	}
	return FL_LINE_OK;
}

int
fl_linewise_read(struct fl_reader *reader, const char *p, size_t n, bool at_end,
		 struct fl_read_result *ret, struct fl_err *err)
{
	struct fl_linewise *r = (struct fl_linewise *)reader;
	int bom = r->base.file_start ? fl_bom_at(p, n, at_end) : 0;
	enum fl_line_verdict v;
	struct fl_line line;
	size_t pos = 0;

	ret->batch = (struct fl_batch){ .rows = 0 };
	ret->taken = 0;
	ret->has_bad = false;
	if (bom < 0)
		return 0;
	r->base.file_start = false;
	p += bom;
	n -= (size_t)bom;
	r->reason = ret->bad.reason;
	r->reason_cap = sizeof ret->bad.reason;
	begin_batch(r, p);
	v = fill_batch(r, &pos, n, at_end, &line, err);
	if (v == FL_LINE_FAIL)
		return err->code;
	finish_batch(r, pos, &ret->batch);
	r->base.line += r->rows;
	ret->taken = pos + (size_t)bom;
	if (v != FL_LINE_BAD && v != FL_LINE_SKIP)
		return 0;
	ret->has_bad = v == FL_LINE_BAD;
	ret->bad.line = r->base.line++;
	ret->bad.text = p + pos;
	ret->bad.len = line.end - pos;
	ret->taken = line.next + (size_t)bom;
	return 0;
}
