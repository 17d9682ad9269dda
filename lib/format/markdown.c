/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a table of Markdown:
 *
 *	| host | n |
 *	| --- | --- |
 *	| h-1 | 12 |
 *
 * A bar within a value is \|, control characters are shown as \n, \x1b and so on.
 * NULL is an empty cell. When the stream gets new columns, a new table begins behind
 * an empty line.
 */
#include <stdlib.h>

#include "format/cells.h"
#include "format/formats.h"
#include "format/outcols.h"

struct markdown {
	const struct fl_writer_type *type;
	bool started;
	struct fl_outcols cols;
	struct fl_time_text time;
	struct fl_buf text; /* of the value in hand */
};

static void
put_cell(struct markdown *w, const char *p, size_t n, struct fl_buf *out)
{
	fl_buf_clear(&w->text);
	fl_put_visible(&w->text, p, n);
	fl_buf_puts(out, " ");
	for (size_t i = 0; i < w->text.len; i++) {
		if (w->text.data[i] == '|')
			fl_buf_putc(out, '\\');
		fl_buf_putc(out, w->text.data[i]);
	}
	fl_buf_puts(out, " |");
}

static void
put_names(struct markdown *w, const struct fl_header *h, struct fl_buf *out)
{
	if (w->started)
		fl_buf_putc(out, '\n');
	w->started = true;
	fl_buf_putc(out, '|');
	if (h->changelog)
		fl_buf_puts(out, " op |");
	for (uint32_t k = 0; k < w->cols.count; k++) {
		const struct fl_column *c = fl_outcols_name(&w->cols, h, k);

		put_cell(w, c->name, c->name_len, out);
	}
	fl_buf_puts(out, "\n|");
	for (uint32_t k = 0; k < w->cols.count + h->changelog; k++)
		fl_buf_puts(out, " --- |");
	fl_buf_putc(out, '\n');
}

static void
put_row(struct markdown *w, const struct fl_header *h, const struct fl_batch *b, uint32_t row,
	struct fl_buf *out)
{
	char buf[FL_CELL_MAX];
	size_t n;

	fl_buf_putc(out, '|');
	if (h->changelog) {
		const char *op = fl_rowkind_text(b->op ? b->op[row] : FL_INSERT);

		put_cell(w, op, strlen(op), out);
	}
	for (uint32_t k = 0; k < w->cols.count; k++) {
		uint32_t c = w->cols.index[k];
		bool seconds = c != FL_NO_COLUMN && h->columns[c].seconds;
		const char *p = fl_cell_any(fl_batch_col(b, c), row, seconds, &w->time, buf, &n);

		put_cell(w, p, n, out);
	}
	fl_buf_putc(out, '\n');
}

/* Choose the columns, and begin a table where they are others than before. */
static int
prepare(struct markdown *w, const struct fl_header *h, struct fl_buf *out, struct fl_err *err)
{
	bool other;

	if (fl_outcols_prepare(&w->cols, h, &other, err) < 0)
		return err->code;
	if (other)
		put_names(w, h, out);
	return 0;
}

static int
markdown_write(struct fl_writer *writer, const struct fl_header *h, const struct fl_batch *b,
	       struct fl_buf *out, struct fl_err *err)
{
	struct markdown *w = (struct markdown *)writer;

	if (!b->rows)
		return 0;
	if (prepare(w, h, out, err) < 0)
		return err->code;
	for (uint32_t i = 0; i < b->rows; i++)
		put_row(w, h, b, i, out);
	return 0;
}

static int
markdown_end(struct fl_writer *writer, const struct fl_header *h, struct fl_buf *out,
	     struct fl_err *err)
{
	struct markdown *w = (struct markdown *)writer;

	return w->started || !h || !h->column_count ? 0 : prepare(w, h, out, err);
}

static void
markdown_destroy(struct fl_writer *writer)
{
	struct markdown *w = (struct markdown *)writer;

	fl_outcols_release(&w->cols);
	fl_buf_release(&w->text);
	free(w);
}

static struct fl_writer *
markdown_create(const struct fl_writer_options *o, struct fl_err *err)
{
	struct markdown *w = fl_xcalloc(1, sizeof *w);

	w->type = &fl_markdown_writer;
	w->time.zone = o->zone;
	w->time.epoch_ms = o->epoch_ms;
	if (fl_outcols_init(&w->cols, o->columns, err) < 0) {
		free(w);
		return NULL;
	}
	return (struct fl_writer *)w;
}

const struct fl_writer_type fl_markdown_writer = {
	.name = "md",
	.create = markdown_create,
	.write = markdown_write,
	.end = markdown_end,
	.destroy = markdown_destroy,
};
