/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing logfmt: key=value pairs, one record a line.
 *
 *	host=h-1 msg="no route" n=4
 *
 * What reads back as it was: a value is quoted where it is empty, or has a space, a
 * quote, =, or a byte that must be escaped; NULL is nothing behind the =; a column
 * that a record does not have is left out. In keys, what a key cannot have is _.
 */
#include <stdlib.h>

#include "format/cells.h"
#include "format/formats.h"
#include "format/outcols.h"

struct logfmt_writer {
	const struct fl_writer_type *type;
	bool escape_controls;
	struct fl_outcols cols;
	struct fl_time_text time;
};

static void
put_key(struct fl_buf *out, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];

		fl_buf_putc(out, c <= ' ' || c == '"' || c == '=' || c == 0x7f ? '_' : p[i]);
	}
	if (n == 0)
		fl_buf_putc(out, '_');
}

static bool
is_plain(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];

		if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f)
			return false;
	}
	return n > 0;
}

static void
put_value(struct fl_buf *out, const char *p, size_t n)
{
	static const char shorts[] = "btn\0fr"; /* of 8 to 13 */

	if (is_plain(p, n)) {
		fl_buf_put(out, p, n);
		return;
	}
	fl_buf_putc(out, '"');
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];

		if (c == '"' || c == '\\')
			fl_buf_putc(out, '\\');
		if (c >= 8 && c <= 13 && c != 11) {
			fl_buf_putc(out, '\\');
			fl_buf_putc(out, shorts[c - 8]);
		} else if (c < ' ' || c == 0x7f) {
			fl_buf_printf(out, "\\u%04x", c);
		} else {
			fl_buf_putc(out, p[i]);
		}
	}
	fl_buf_putc(out, '"');
}

static void
put_row(struct logfmt_writer *w, const struct fl_header *h, const struct fl_batch *b, uint32_t row,
	struct fl_buf *out)
{
	size_t start = out->len, n;
	char buf[FL_CELL_MAX];

	if (h->changelog) {
		fl_buf_puts(out, "op=");
		fl_buf_puts(out, fl_rowkind_text(b->op ? b->op[row] : FL_INSERT));
	}
	for (uint32_t k = 0; k < w->cols.count; k++) {
		const struct fl_column *name = fl_outcols_name(&w->cols, h, k);
		uint32_t c = w->cols.index[k];
		const struct fl_vec *v;

		if (c == FL_NO_COLUMN || c >= b->cols)
			continue;
		v = &b->col[c];
		if (fl_tag_of(v, row) == FL_TAG_ABSENT)
			continue;
		if (out->len > start)
			fl_buf_putc(out, ' ');
		put_key(out, name->name, name->name_len);
		fl_buf_putc(out, '=');
		if (!fl_is_null(v, row)) {
			const char *p = fl_cell_any(v, row, h->columns[c].seconds, &w->time, buf,
						    &n);

			put_value(out, p, n);
		}
	}
	fl_buf_putc(out, '\n');
}

static int
logfmt_write(struct fl_writer *writer, const struct fl_header *h, const struct fl_batch *b,
	     struct fl_buf *out, struct fl_err *err)
{
	struct logfmt_writer *w = (struct logfmt_writer *)writer;
	size_t from = out->len;

	if (!b->rows)
		return 0;
	if (fl_outcols_prepare(&w->cols, h, NULL, err) < 0)
		return err->code;
	for (uint32_t i = 0; i < b->rows; i++)
		put_row(w, h, b, i, out);
	if (w->escape_controls)
		fl_escape_controls(out, from);
	return 0;
}

static int
logfmt_end(struct fl_writer *writer, const struct fl_header *h, struct fl_buf *out,
	   struct fl_err *err)
{
	struct logfmt_writer *w = (struct logfmt_writer *)writer;

	(void)out; /* no rows, no lines; but --columns may be wrong */
	return h && h->column_count ? fl_outcols_prepare(&w->cols, h, NULL, err) : 0;
}

static void
logfmt_destroy(struct fl_writer *writer)
{
	struct logfmt_writer *w = (struct logfmt_writer *)writer;

	fl_outcols_release(&w->cols);
	free(w);
}

static struct fl_writer *
logfmt_create(const struct fl_writer_options *o, struct fl_err *err)
{
	struct logfmt_writer *w = fl_xcalloc(1, sizeof *w);

	w->type = &fl_logfmt_writer;
	w->escape_controls = o->escape_controls;
	w->time.zone = o->zone;
	w->time.epoch_ms = o->epoch_ms;
	if (fl_outcols_init(&w->cols, o->columns, err) < 0) {
		free(w);
		return NULL;
	}
	return (struct fl_writer *)w;
}

const struct fl_writer_type fl_logfmt_writer = {
	.name = "logfmt",
	.create = logfmt_create,
	.write = logfmt_write,
	.end = logfmt_end,
	.destroy = logfmt_destroy,
};
