/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing records one below the other, a line a column, an empty line between:
 *
 *	host  h-1
 *	bytes 4096
 *
 * Names are padded to the longest of the record. NULL is nothing; a column that a
 * record does not have is left out. Control characters are shown as \n, \x1b and so
 * on, so a value is one line.
 */
#include <stdlib.h>

#include "format/cells.h"
#include "format/formats.h"
#include "format/outcols.h"

struct xtab {
	const struct fl_writer_type *type;
	bool started;
	struct fl_outcols cols;
	struct fl_time_text time;
};

/* Characters of UTF-8 text; good enough a width for names. */
static size_t
characters(const char *p, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += ((unsigned char)p[i] & 0xc0) != 0x80;
	return count;
}

static bool
has(const struct xtab *w, const struct fl_batch *b, uint32_t k, uint32_t row)
{
	uint32_t c = w->cols.index[k];

	return c != FL_NO_COLUMN && c < b->cols && fl_tag_of(&b->col[c], row) != FL_TAG_ABSENT;
}

/* The length of the longest name of the record. */
static size_t
longest(const struct xtab *w, const struct fl_header *h, const struct fl_batch *b, uint32_t row)
{
	size_t most = h->changelog ? 2 : 0;

	for (uint32_t k = 0; k < w->cols.count; k++) {
		const struct fl_column *c = fl_outcols_name(&w->cols, h, k);
		size_t n = has(w, b, k, row) ? characters(c->name, c->name_len) : 0;

		most = n > most ? n : most;
	}
	return most;
}

static void
put_line(struct fl_buf *out, const char *name, size_t name_len, size_t width, const char *p,
	 size_t n)
{
	fl_put_visible(out, name, name_len);
	for (size_t i = characters(name, name_len); i <= width; i++)
		fl_buf_putc(out, ' ');
	fl_put_visible(out, p, n);
	fl_buf_putc(out, '\n');
}

static void
put_row(struct xtab *w, const struct fl_header *h, const struct fl_batch *b, uint32_t row,
	struct fl_buf *out)
{
	size_t width = longest(w, h, b, row), n;
	char buf[FL_CELL_MAX];

	if (w->started)
		fl_buf_putc(out, '\n');
	w->started = true;
	if (h->changelog)
		put_line(out, "op", 2, width, fl_rowkind_text(b->op ? b->op[row] : FL_INSERT), 2);
	for (uint32_t k = 0; k < w->cols.count; k++) {
		const struct fl_column *name = fl_outcols_name(&w->cols, h, k);
		const char *p;
		uint32_t c;

		if (!has(w, b, k, row))
			continue;
		c = w->cols.index[k];
		p = fl_cell_any(&b->col[c], row, h->columns[c].seconds, &w->time, buf, &n);
		put_line(out, name->name, name->name_len, width, p, n);
	}
}

static int
xtab_write(struct fl_writer *writer, const struct fl_header *h, const struct fl_batch *b,
	   struct fl_buf *out, struct fl_err *err)
{
	struct xtab *w = (struct xtab *)writer;

	if (!b->rows)
		return 0;
	if (fl_outcols_prepare(&w->cols, h, NULL, err) < 0)
		return err->code;
	for (uint32_t i = 0; i < b->rows; i++)
		put_row(w, h, b, i, out);
	return 0;
}

static int
xtab_end(struct fl_writer *writer, const struct fl_header *h, struct fl_buf *out,
	 struct fl_err *err)
{
	struct xtab *w = (struct xtab *)writer;

	(void)out; /* no rows, no lines; but --columns may be wrong */
	return h && h->column_count ? fl_outcols_prepare(&w->cols, h, NULL, err) : 0;
}

static void
xtab_destroy(struct fl_writer *writer)
{
	fl_outcols_release(&((struct xtab *)writer)->cols);
	free(writer);
}

static struct fl_writer *
xtab_create(const struct fl_writer_options *o, struct fl_err *err)
{
	struct xtab *w = fl_xcalloc(1, sizeof *w);

	w->type = &fl_xtab_writer;
	w->time.zone = o->zone;
	w->time.epoch_ms = o->epoch_ms;
	if (fl_outcols_init(&w->cols, o->columns, err) < 0) {
		free(w);
		return NULL;
	}
	return (struct fl_writer *)w;
}

const struct fl_writer_type fl_xtab_writer = {
	.name = "xtab",
	.create = xtab_create,
	.write = xtab_write,
	.end = xtab_end,
	.destroy = xtab_destroy,
};
