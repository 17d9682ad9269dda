/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a table for people: columns aligned by spaces, numbers to the right.
 *
 *	window_start         host  n bytes
 *	2023-11-14T22:13:00Z h-1  12  4096
 *	2023-11-14T22:13:00Z h-2   7     -
 *
 * Widths are learnt from the rows at hand, a page at the most, and kept, so that
 * a stream's table stays aligned though nothing waits for its end. When something
 * wider comes, the columns widen and the header line comes again, behind an
 * empty line; so it does when the stream gets new columns.
 *
 * NULL and absent are -, the empty string is "". Control characters are shown as
 * \n, \t, \x1b, so a value is one line and harmless. Where the terminal's width
 * is known and the table is wider, the widest columns are cut, marked with an
 * ellipsis.
 */
#include <stdlib.h>

#include "base/width.h"
#include "format/cells.h"
#include "format/formats.h"
#include "format/outcols.h"

/* Cells of a page, and its rows. */
#define PAGE_CELLS 65536u
#define PAGE_ROWS 1000u

/* A column is not cut below this. */
#define WIDTH_MIN 8u

#define ELLIPSIS "\xe2\x80\xa6"

struct cell {
	size_t at; /* in text */
	uint32_t len;
	uint32_t width; /* columns of the screen */
};

struct pprint {
	const struct fl_writer_type *type;
	bool color;
	size_t screen; /* its width, 0: any */
	struct fl_outcols cols;
	struct fl_time_text time;
	uint32_t count;  /* columns shown: a changelog's op is one more */
	uint32_t *need;  /* one a column: how wide it wants to be */
	uint32_t *width; /* how wide it is */
	bool *right;     /* aligned so */
	bool started;
	bool changed; /* other columns than those of the last header line */
	struct fl_buf text;
	struct fl_buf cells; /* struct cell: the header's, then row by row */
};

/* ---- a page ----------------------------------------------------------------------- */

/* What was appended to text from `at` on is a cell. */
static void
end_cell(struct pprint *w, size_t at)
{
	struct cell c = { .at = at, .len = (uint32_t)(w->text.len - at) };

	(void)fl_width_fit(w->text.data + at, c.len, UINT32_MAX, &c.width);
	fl_buf_put(&w->cells, &c, sizeof c);
}

static void
add_cell(struct pprint *w, const char *p, size_t n)
{
	size_t at = w->text.len;

	(void)fl_buf_reserve(&w->text, n + 1);
	fl_put_visible(&w->text, p, n);
	end_cell(w, at);
}

static void
add_value(struct pprint *w, const struct fl_vec *v, uint32_t i, bool millis)
{
	char buf[FL_CELL_MAX];
	const char *p = buf;
	size_t n;

	if (fl_is_null(v, i)) {
		add_cell(w, "-", 1);
		return;
	}
	if (v->kind == FL_TEXT) {
		p = fl_text(v, i, &n);
	} else {
		w->time.valid = w->time.valid && w->time.millis == millis;
		w->time.millis = millis;
		n = fl_cell_text(v, i, &w->time, buf);
	}
	if (n == 0)
		add_cell(w, "\"\"", 2);
	else
		add_cell(w, p, n);
}

static void
add_names(struct pprint *w, const struct fl_header *h)
{
	fl_buf_clear(&w->text);
	fl_buf_clear(&w->cells);
	if (h->changelog)
		add_cell(w, "op", 2);
	for (uint32_t i = 0; i < w->cols.count; i++) {
		const struct fl_column *c = fl_outcols_name(&w->cols, h, i);

		add_cell(w, c->name_len ? c->name : "\"\"", c->name_len ? c->name_len : 2);
	}
}

static void
add_rows(struct pprint *w, const struct fl_header *h, const struct fl_batch *b, uint32_t first,
	 uint32_t rows)
{
	for (uint32_t i = first; i < first + rows; i++) {
		if (h->changelog)
			add_cell(w, fl_rowkind_text(b->op ? b->op[i] : FL_INSERT), 2);
		for (uint32_t k = 0; k < w->cols.count; k++) {
			uint32_t c = w->cols.index[k];

			add_value(w, fl_batch_col(b, c), i,
				  c == FL_NO_COLUMN || !h->columns[c].seconds);
		}
	}
}

/* ---- widths ------------------------------------------------------------------------ */

/* The greatest width that all columns may have for a line to fit the screen. */
static uint32_t
width_limit(const struct pprint *w)
{
	uint32_t low = WIDTH_MIN, high = WIDTH_MIN;

	if (!w->screen)
		return UINT32_MAX;
	for (uint32_t c = 0; c < w->count; c++)
		high = w->need[c] > high ? w->need[c] : high;
	while (low < high) {
		uint32_t middle = low + (high - low + 1) / 2;
		size_t sum = w->count - 1; /* the spaces between */

		for (uint32_t c = 0; c < w->count; c++)
			sum += w->need[c] < middle ? w->need[c] : middle;
		if (sum <= w->screen)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* Whether a column's values on this page, of which there are some, are numbers all. */
static bool
is_numeric(const struct fl_vec *v, uint32_t first, uint32_t rows)
{
	struct fl_dec ignored;
	bool any = false;

	if (v->kind != FL_TEXT)
		return v->kind == FL_INT64 || v->kind == FL_DECIMAL || v->kind == FL_DOUBLE;
	for (uint32_t i = first; i < first + rows; i++) {
		size_t n;
		const char *p = fl_text(v, i, &n);

		if (fl_is_null(v, i))
			continue;
		if (!fl_number_parse(p, n, &ignored))
			return false;
		any = true;
	}
	return any;
}

/* Make the columns as wide as the page needs: whether that changes any. */
static bool
learn_widths(struct pprint *w)
{
	const struct cell *cell = (const void *)w->cells.data;
	size_t n = w->cells.len / sizeof *cell;
	bool more = false;
	uint32_t limit;

	for (size_t i = 0; i < n; i++) {
		uint32_t c = (uint32_t)(i % w->count), need = cell[i].width;

		if (need <= w->need[c])
			continue;
		/* some air, lest a counter that grows brings a header line with each digit */
		w->need[c] = w->changed ? need : need + need / 4;
		more = true;
	}
	if (!more && !w->changed)
		return false;
	limit = width_limit(w);
	more = w->changed;
	for (uint32_t c = 0; c < w->count; c++) {
		uint32_t width = w->need[c] < limit ? w->need[c] : limit;

		more = more || w->width[c] != width;
		w->width[c] = width;
	}
	return more;
}

/* ---- output ------------------------------------------------------------------------- */

static void
pad(struct fl_buf *out, uint32_t n)
{
	memset(fl_buf_reserve(out, n), ' ', n);
	out->len += n;
}

static void
put_line(struct pprint *w, const struct cell *cell, struct fl_buf *out)
{
	for (uint32_t c = 0; c < w->count; c++) {
		const char *p = w->text.data + cell[c].at;
		uint32_t width = cell[c].width, max = w->width[c];
		bool cut = width > max;
		size_t len = cut ? fl_width_fit(p, cell[c].len, max - 1, &width) : cell[c].len;
		uint32_t gap;

		width += cut;
		gap = max - width;
		if (c)
			fl_buf_putc(out, ' ');
		if (w->right[c])
			pad(out, gap);
		fl_buf_put(out, p, len);
		if (cut)
			fl_buf_puts(out, ELLIPSIS);
		if (!w->right[c] && c + 1 < w->count)
			pad(out, gap);
	}
	fl_buf_putc(out, '\n');
}

static void
put_header(struct pprint *w, struct fl_buf *out)
{
	if (w->started)
		fl_buf_putc(out, '\n');
	w->started = true;
	w->changed = false;
	if (w->color)
		fl_buf_puts(out, "\033[1m");
	put_line(w, (const struct cell *)(const void *)w->cells.data, out);
	if (w->color) {
		out->len--; /* the line's end stays plain */
		fl_buf_puts(out, "\033[0m\n");
	}
}

/* The columns to show, which JSONL may add to. */
static int
prepare(struct pprint *w, const struct fl_header *h, struct fl_err *err)
{
	bool other;

	if (fl_outcols_prepare(&w->cols, h, &other, err) < 0)
		return err->code;
	w->count = w->cols.count + h->changelog;
	if (!other)
		return 0;
	w->changed = true;
	w->need = fl_xreallocarray(w->need, w->count + 1, sizeof *w->need);
	w->width = fl_xreallocarray(w->width, w->count + 1, sizeof *w->width);
	w->right = fl_xreallocarray(w->right, w->count + 1, sizeof *w->right);
	memset(w->need, 0, (w->count + 1) * sizeof *w->need);
	memset(w->width, 0, (w->count + 1) * sizeof *w->width);
	memset(w->right, 0, (w->count + 1) * sizeof *w->right);
	return 0;
}

static void
write_page(struct pprint *w, const struct fl_header *h, const struct fl_batch *b, uint32_t first,
	   uint32_t rows, struct fl_buf *out)
{
	const struct cell *cell;

	add_names(w, h);
	add_rows(w, h, b, first, rows);
	if (learn_widths(w)) {
		for (uint32_t k = 0; w->changed && k < w->cols.count; k++)
			w->right[k + h->changelog] = is_numeric(fl_batch_col(b, w->cols.index[k]),
								first, rows);
		put_header(w, out);
	}
	cell = (const void *)w->cells.data;
	for (uint32_t i = 1; i <= rows; i++)
		put_line(w, cell + (size_t)i * w->count, out);
}

static int
pprint_write(struct fl_writer *writer, const struct fl_header *h, const struct fl_batch *b,
	     struct fl_buf *out, struct fl_err *err)
{
	struct pprint *w = (struct pprint *)writer;
	uint32_t page;

	if (!b->rows)
		return 0;
	if (prepare(w, h, err) < 0)
		return err->code;
	if (!w->count)
		return 0;
	page = PAGE_CELLS / w->count + 1;
	page = page < PAGE_ROWS ? page : PAGE_ROWS;
	for (uint32_t i = 0; i < b->rows; i += page)
		write_page(w, h, b, i, b->rows - i < page ? b->rows - i : page, out);
	return 0;
}

static int
pprint_end(struct fl_writer *writer, const struct fl_header *h, struct fl_buf *out,
	   struct fl_err *err)
{
	struct pprint *w = (struct pprint *)writer;

	if (w->started || !h || !h->column_count)
		return 0;
	if (prepare(w, h, err) < 0)
		return err->code;
	add_names(w, h);
	(void)learn_widths(w);
	put_header(w, out);
	return 0;
}

static void
pprint_destroy(struct fl_writer *writer)
{
	struct pprint *w = (struct pprint *)writer;

	fl_outcols_release(&w->cols);
	free(w->need);
	free(w->width);
	free(w->right);
	fl_buf_release(&w->text);
	fl_buf_release(&w->cells);
	free(w);
}

static struct fl_writer *
pprint_create(const struct fl_writer_options *o, struct fl_err *err)
{
	struct pprint *w = fl_xcalloc(1, sizeof *w);

	w->type = &fl_pprint_writer;
	w->color = o->color;
	w->screen = o->width;
	w->time.zone = o->zone;
	w->time.epoch_ms = o->epoch_ms;
	if (fl_outcols_init(&w->cols, o->columns, err) < 0) {
		free(w);
		return NULL;
	}
	return (struct fl_writer *)w;
}

const struct fl_writer_type fl_pprint_writer = {
	.name = "pprint",
	.create = pprint_create,
	.write = pprint_write,
	.end = pprint_end,
	.destroy = pprint_destroy,
};
