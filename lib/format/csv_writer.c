/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing CSV and TSV.
 *
 * CSV quotes a value only where it has to: a separator, quote, CR or LF in it, or
 * the empty string, which is "" (NULL and absent are nothing at all). Lines end
 * in LF. TSV writes \t \n \r and \\ for tab, LF, CR and backslash.
 *
 * Rows that are views of text just read, with all their columns in a line as
 * they lay there, are copied in one go, many rows at a time (write_runs).
 */
#include <stdlib.h>

#include "base/itoa.h"
#include "format/cells.h"
#include "format/csv.h"
#include "format/formats.h"
#include "format/outcols.h"

/* Bytes that may be written behind what is asked for: short copies are whole vectors. */
#define SLACK 64

enum how { HOW_CLEAN, HOW_TEXT, HOW_INT, HOW_TIME, HOW_OTHER };

/* How a column of the batch in hand is written. */
struct column {
	const struct fl_vec *v;
	enum how how;
	bool tagged;              /* values may be NULL by their tags */
	struct fl_time_text time; /* lives on from batch to batch */
};

struct csv_writer {
	const struct fl_writer_type *type;
	bool tsv;
	char separator;
	bool headerless;
	bool escape_controls;
	bool header_written;
	struct fl_outcols cols;
	struct fl_time_text time; /* what each column's begins as */
	struct column *column;
	uint32_t column_cap;
};

/* The end of the output buffer, kept in registers while rows are written. */
struct sink {
	struct fl_buf *b;
	char *to;
	char *end; /* of the room there is */
};

static void
sink_open(struct sink *s, struct fl_buf *b)
{
	s->b = b;
	s->to = fl_buf_reserve(b, SLACK);
	s->end = b->data + b->cap;
}

static void
sink_close(struct sink *s)
{
	s->b->len = (size_t)(s->to - s->b->data);
}

static void
sink_grow(struct sink *s, size_t n)
{
	sink_close(s);
	s->to = fl_buf_reserve(s->b, n);
	s->end = s->b->data + s->b->cap;
}

static inline void
sink_room(struct sink *s, size_t n)
{
	if ((size_t)(s->end - s->to) < n + SLACK)
		sink_grow(s, n + SLACK);
}

/* Copy n bytes, for which there is room, of an area of which `left` bytes are readable. */
static inline void
sink_copy(struct sink *s, const char *p, size_t n, size_t left)
{
	if (n <= 16 && left >= 16)
		memcpy(s->to, p, 16);
	else
		memcpy(s->to, p, n);
	s->to += n;
}

/* ---- values ---------------------------------------------------------------- */

static void
put_quoted(struct sink *s, const char *p, size_t n)
{
	sink_room(s, 2 * n + 2);
	*s->to++ = '"';
	for (size_t i = 0; i < n; i++) {
		*s->to++ = p[i];
		if (p[i] == '"')
			*s->to++ = '"';
	}
	*s->to++ = '"';
}

static void
put_tsv(struct sink *s, const char *p, size_t n)
{
	sink_room(s, 2 * n);
	for (size_t i = 0; i < n; i++) {
		char c = p[i];

		if (c != '\t' && c != '\n' && c != '\r' && c != '\\') {
			*s->to++ = c;
			continue;
		}
		*s->to++ = '\\';
		*s->to++ = c == '\t' ? 't' : c == '\n' ? 'n' : c == '\r' ? 'r' : c;
	}
}

/* Any text; string: it is the empty string where it is empty, else NULL is. */
static void
put_text(const struct csv_writer *w, struct sink *s, const char *p, size_t n, bool string)
{
	if (w->tsv) {
		put_tsv(s, p, n);
	} else if (n == 0 ? string : !fl_csv_plain(p, n, w->separator)) {
		put_quoted(s, p, n);
	} else {
		sink_room(s, n);
		memcpy(s->to, p, n);
		s->to += n;
	}
}

static void
put_time(struct sink *s, struct fl_time_text *t, int64_t ms)
{
	if (!t->valid || t->ms != ms)
		fl_time_text_set(t, ms);
	memcpy(s->to, t->text, sizeof t->text);
	s->to += t->len;
}

_Static_assert(sizeof((struct fl_time_text *)0)->text <= SLACK, "put_time copies all of it");

static inline void
put_value(const struct csv_writer *w, struct sink *s, struct column *c, uint32_t i)
{
	const struct fl_vec *v = c->v;
	const char *p;
	size_t n;

	if (c->tagged) {
		enum fl_tag tag = fl_tag_of(v, i);

		if (tag == FL_TAG_NULL || tag == FL_TAG_ABSENT)
			return;
	}
	sink_room(s, FL_CELL_MAX);
	switch (c->how) {
	case HOW_CLEAN:
		p = fl_text(v, i, &n);
		sink_room(s, n);
		sink_copy(s, p, n, v->bytes_len - (size_t)(p - v->bytes));
		break;
	case HOW_TEXT:
		p = fl_text(v, i, &n);
		put_text(w, s, p, n, fl_tag_of(v, i) == FL_TAG_STRING);
		break;
	case HOW_INT:
		s->to += fl_itoa(v->i64[i], s->to);
		break;
	case HOW_TIME:
		put_time(s, &c->time, v->i64[i]);
		break;
	case HOW_OTHER:
		s->to += fl_cell_text(v, i, &c->time, s->to);
		break;
	}
}

/* ---- rows --------------------------------------------------------------------- */

static void
write_row(struct csv_writer *w, struct sink *s, const struct fl_batch *b, const struct fl_header *h,
	  uint32_t i)
{
	sink_room(s, 4);
	if (h->changelog) {
		memcpy(s->to, fl_rowkind_text(b->op ? b->op[i] : FL_INSERT), 2);
		s->to[2] = w->separator;
		s->to += w->cols.count ? 3 : 2;
	}
	for (uint32_t c = 0; c < w->cols.count; c++) {
		put_value(w, s, &w->column[c], i);
		sink_room(s, 1);
		*s->to++ = w->separator;
	}
	s->to -= w->cols.count > 0;
	*s->to++ = '\n';
}

/* Whether write_runs can be tried: all columns are clean views of one text. */
static bool
may_run(const struct csv_writer *w, const struct fl_header *h)
{
	if (h->changelog || !w->cols.count)
		return false;
	for (uint32_t c = 0; c < w->cols.count; c++)
		if (w->column[c].how != HOW_CLEAN || w->column[c].v->bytes != w->column[0].v->bytes)
			return false;
	return true;
}

/* Whether the values of row i lie in the text as they would be written; where. */
static inline bool
find_run(const struct csv_writer *w, uint32_t i, size_t *ret_start, size_t *ret_end)
{
	const struct fl_vec *v = w->column[0].v;
	const char *bytes = v->bytes;
	size_t n, at;

	at = (size_t)(fl_text(v, i, &n) - bytes);
	*ret_start = at;
	for (uint32_t c = 1; c < w->cols.count; c++) {
		at += n;
		if (at >= v->bytes_len || bytes[at] != w->separator)
			return false;
		at++;
		if (fl_text(w->column[c].v, i, &n) != bytes + at)
			return false;
	}
	*ret_end = at + n;
	return true;
}

static void
put_run(struct sink *s, const char *p, size_t n)
{
	sink_room(s, n + 1);
	memcpy(s->to, p, n);
	s->to += n;
	*s->to++ = '\n';
}

/* Rows that are lines of the text already; those that are not, one by one. */
static void
write_runs(struct csv_writer *w, struct sink *s, const struct fl_batch *b,
	   const struct fl_header *h)
{
	const char *bytes = w->column[0].v->bytes;
	size_t run = 0, run_end = 0, start = 0, end = 0;
	bool running = false;

	for (uint32_t i = 0; i < b->rows; i++) {
		bool found = find_run(w, i, &start, &end);

		if (found && running && start == run_end + 1 && bytes[run_end] == '\n') {
			run_end = end;
			continue;
		}
		if (running)
			put_run(s, bytes + run, run_end - run);
		running = found;
		run = start;
		run_end = end;
		if (!found)
			write_row(w, s, b, h, i);
	}
	if (running)
		put_run(s, bytes + run, run_end - run);
}

static void
prepare_columns(struct csv_writer *w, const struct fl_header *h, const struct fl_batch *b)
{
	if (w->cols.count > w->column_cap) {
		w->column = fl_xreallocarray(w->column, w->cols.count, sizeof *w->column);
		for (uint32_t c = w->column_cap; c < w->cols.count; c++)
			w->column[c] = (struct column){ .time = w->time };
		w->column_cap = w->cols.count;
	}
	for (uint32_t i = 0; i < w->cols.count; i++) {
		struct column *c = &w->column[i];
		uint32_t index = w->cols.index[i];
		bool millis = index == FL_NO_COLUMN || !h->columns[index].seconds;

		c->v = fl_batch_col(b, index);
		c->tagged = c->v->tags || c->v->tag == FL_TAG_NULL || c->v->tag == FL_TAG_ABSENT;
		c->time.valid = c->time.valid && c->time.millis == millis;
		c->time.millis = millis;
		if (c->v->kind == FL_TEXT)
			c->how = c->v->clean && w->separator == ',' ? HOW_CLEAN : HOW_TEXT;
		else
			c->how = c->v->kind == FL_INT64  ? HOW_INT
				 : c->v->kind == FL_TIME ? HOW_TIME
							 : HOW_OTHER;
	}
}

static void
write_header(struct csv_writer *w, const struct fl_header *h, struct sink *s)
{
	w->header_written = true;
	if (w->headerless)
		return;
	if (h->changelog) {
		put_text(w, s, "op", 2, true);
		*s->to++ = w->separator;
	}
	for (uint32_t i = 0; i < w->cols.count; i++) {
		const struct fl_column *c = fl_outcols_name(&w->cols, h, i);

		put_text(w, s, c->name, c->name_len, true);
		sink_room(s, 1);
		*s->to++ = w->separator;
	}
	if (w->cols.count || h->changelog)
		s->to[-1] = '\n';
	else
		*s->to++ = '\n';
}

/* ---- the writer ---------------------------------------------------------------- */

static int
csv_write(struct fl_writer *writer, const struct fl_header *h, const struct fl_batch *b,
	  struct fl_buf *out, struct fl_err *err)
{
	struct csv_writer *w = (struct csv_writer *)writer;
	size_t from = out->len;
	struct sink s;

	if (!b->rows)
		return 0;
	if (fl_outcols_choose(&w->cols, h, b, err) < 0 || fl_outcols_check(&w->cols, h, b, err) < 0)
		return err->code;
	prepare_columns(w, h, b);
	sink_open(&s, out);
	if (!w->header_written)
		write_header(w, h, &s);
	if (may_run(w, h))
		write_runs(w, &s, b, h);
	else
		for (uint32_t i = 0; i < b->rows; i++)
			write_row(w, &s, b, h, i);
	sink_close(&s);
	if (w->escape_controls)
		fl_escape_controls(out, from);
	return 0;
}

static int
csv_end(struct fl_writer *writer, const struct fl_header *h, struct fl_buf *out, struct fl_err *err)
{
	struct csv_writer *w = (struct csv_writer *)writer;
	size_t from = out->len;
	struct sink s;

	if (w->header_written || !h || !h->column_count)
		return 0;
	if (fl_outcols_choose(&w->cols, h, NULL, err) < 0)
		return err->code;
	sink_open(&s, out);
	write_header(w, h, &s);
	sink_close(&s);
	if (w->escape_controls)
		fl_escape_controls(out, from);
	return 0;
}

static void
csv_destroy(struct fl_writer *writer)
{
	struct csv_writer *w = (struct csv_writer *)writer;

	fl_outcols_release(&w->cols);
	free(w->column);
	free(w);
}

static struct fl_writer *
create(const struct fl_writer_type *type, bool tsv, char separator,
       const struct fl_writer_options *o, struct fl_err *err)
{
	struct csv_writer *w = fl_xcalloc(1, sizeof *w);

	w->type = type;
	w->tsv = tsv;
	w->separator = separator;
	w->headerless = o->headerless;
	w->escape_controls = o->escape_controls;
	w->time.zone = o->zone;
	w->time.epoch_ms = o->epoch_ms;
	if (fl_outcols_init(&w->cols, o->columns, err) < 0) {
		free(w);
		return NULL;
	}
	return (struct fl_writer *)w;
}

static struct fl_writer *
csv_create(const struct fl_writer_options *o, struct fl_err *err)
{
	char separator = o->separator ? o->separator : ',';

	if (separator == '"' || separator == '\n' || separator == '\r') {
		(void)fl_fail(err, FL_EUSAGE, "--ofs: a quote or line end cannot separate fields");
		return NULL;
	}
	return create(&fl_csv_writer, false, separator, o, err);
}

static struct fl_writer *
tsv_create(const struct fl_writer_options *o, struct fl_err *err)
{
	return create(&fl_tsv_writer, true, '\t', o, err);
}

const struct fl_writer_type fl_csv_writer = {
	.name = "csv",
	.create = csv_create,
	.write = csv_write,
	.end = csv_end,
	.destroy = csv_destroy,
};

const struct fl_writer_type fl_tsv_writer = {
	.name = "tsv",
	.create = tsv_create,
	.write = csv_write,
	.end = csv_end,
	.destroy = csv_destroy,
};
