/* SPDX-License-Identifier: Apache-2.0 */
#include "rank/sortby.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "stream/row.h"
#include "stream/value.h"

/* ---- text ------------------------------------------------------- */

/* Behind the quoted text that begins at p[i]: '…', "…" or $$…$$; else i. */
static size_t
skip_quoted(const char *p, size_t n, size_t i)
{
	char quote = p[i];

	if (quote == '\'' || quote == '"') {
		for (i++; i < n && p[i] != quote; i++)
			;
		return i < n ? i + 1 : n;
	}
	if (quote == '$' && i + 1 < n && p[i + 1] == '$') {
		for (i += 2; i + 1 < n && !(p[i] == '$' && p[i + 1] == '$'); i++)
			;
		return i + 1 < n ? i + 2 : n;
	}
	return i;
}

size_t
fl_list_part(const char *p, size_t n)
{
	int depth = 0;

	for (size_t i = 0; i < n;) {
		size_t behind = skip_quoted(p, n, i);

		if (behind > i) {
			i = behind;
			continue;
		}
		if (p[i] == ',' && depth == 0)
			return i;
		depth += (p[i] == '(' || p[i] == '[') - (p[i] == ')' || p[i] == ']');
		i++;
	}
	return n;
}

/* Take the word off the end of p[0..*n), if it stands there behind a blank. */
static bool
take_word(const char *p, size_t *n, const char *word)
{
	size_t len = strlen(word), end = *n;

	while (end && isspace((unsigned char)p[end - 1]))
		end--;
	if (end <= len || strncasecmp(p + end - len, word, len) != 0)
		return false;
	if (!isspace((unsigned char)p[end - len - 1]) && p[end - len - 1] != ')')
		return false;
	*n = end - len;
	return true;
}

static bool
take_two(const char *p, size_t *n, const char *first, const char *second)
{
	size_t end = *n;

	if (!take_word(p, &end, second) || !take_word(p, &end, first))
		return false;
	*n = end;
	return true;
}

static void
add_part(struct fl_sortby *o, const char *p, size_t n, const struct fl_expr_env *env)
{
	struct fl_sortby_part *by;
	char *text;

	o->by = fl_xreallocarray(o->by, o->count + 1, sizeof *o->by);
	by = &o->by[o->count++];
	*by = (struct fl_sortby_part){ 0 };
	if (take_two(p, &n, "nulls", "first"))
		by->nulls_first = true;
	else
		(void)take_two(p, &n, "nulls", "last");
	if (take_word(p, &n, "desc"))
		by->descending = true;
	else
		(void)take_word(p, &n, "asc");
	text = fl_xstrndup(p, n);
	by->expr = fl_expr_new(text, env);
	free(text);
}

int
fl_sortby_parse(struct fl_sortby *o, const char *text, const struct fl_expr_env *env,
		struct fl_err *err)
{
	size_t n = strlen(text);

	for (;;) {
		size_t part = fl_list_part(text, n), blank = strspn(text, " \t\n");

		if (blank >= part)
			return fl_fail(err, FL_EUSAGE,
				       "--by wants what to sort by: 'price desc, ts'");
		add_part(o, text + blank, part - blank, env);
		if (part == n)
			return 0;
		text += part + 1;
		n -= part + 1;
	}
}

void
fl_sortby_arrival(struct fl_sortby *o, bool timed, bool newest)
{
	o->by_time = timed;
	o->count = timed;
	o->newest = newest;
}

void
fl_sortby_release(struct fl_sortby *o)
{
	for (uint32_t i = 0; o->by && i < o->count; i++)
		fl_expr_free(o->by[i].expr);
	free(o->by);
	fl_buf_release(&o->cells);
	fl_buf_release(&o->other);
	*o = (struct fl_sortby){ 0 };
}

int
fl_sortby_bind(struct fl_sortby *o, const struct fl_header *h, struct fl_err *err)
{
	for (uint32_t i = 0; o->by && i < o->count; i++)
		if (fl_expr_bind(o->by[i].expr, h, err) < 0)
			return fl_wrap(err, "--by");
	return 0;
}

const char *
fl_sortby_unseen(const struct fl_sortby *o, size_t i)
{
	for (uint32_t k = 0; o->by && k < o->count; k++) {
		const char *name;

		for (size_t j = 0; (name = fl_expr_unseen(o->by[k].expr, j)); j++)
			if (i-- == 0)
				return name;
	}
	return NULL;
}

/* ---- sort values ------------------------------------------------ */

/* What is neither an integer nor a time: packed, numbers as numbers. */
static void
take_other(struct fl_sortby *o, const struct fl_vec *v, uint32_t row, struct fl_sortcell *to)
{
	struct fl_value value = fl_value_get(v, row);
	struct fl_vec number = { .kind = FL_DECIMAL };
	struct fl_batch one = { .cols = 1, .col = &number };
	struct fl_dec dec;

	if (fl_value_number(&value, &dec)) {
		if (fl_dec_is_int64(&dec, &to->i)) {
			to->type = FL_SORT_INT;
			return;
		}
		number.dec = &dec;
		row = 0;
	} else {
		number = *v;
	}
	to->type = FL_SORT_OTHER;
	to->off = (uint32_t)o->other.len;
	to->i = (int64_t)fl_row_pack(&one, row, &o->other);
}

static void
take_text(struct fl_sortby *o, const struct fl_vec *v, uint32_t row, struct fl_sortcell *to)
{
	enum fl_tag tag = fl_tag_of(v, row);
	size_t n;
	const char *p = fl_text(v, row, &n);

	if (tag <= FL_TAG_NUMBER && fl_int_parse(p, n, &to->i))
		to->type = FL_SORT_INT;
	else
		take_other(o, v, row, to);
}

static void
take_column(struct fl_sortby *o, const struct fl_vec *v, uint32_t rows, struct fl_sortcell *to)
{
	for (uint32_t i = 0; i < rows; i++, to += o->count) {
		*to = (struct fl_sortcell){ .type = FL_SORT_NULL };
		if (fl_is_null(v, i))
			continue;
		if (v->kind == FL_INT64 || v->kind == FL_TIME) {
			to->i = v->i64[i];
			to->type = v->kind == FL_TIME ? FL_SORT_TIME : FL_SORT_INT;
		} else if (v->kind == FL_TEXT) {
			take_text(o, v, i, to);
		} else {
			take_other(o, v, i, to);
		}
	}
}

int
fl_sortby_eval(struct fl_sortby *o, const struct fl_batch *b, struct fl_badrows *bad,
	       struct fl_err *err)
{
	struct fl_sortcell *cell;
	struct fl_vec v;

	fl_buf_clear(&o->cells);
	fl_buf_clear(&o->other);
	cell = (struct fl_sortcell *)(void *)fl_buf_reserve(
		&o->cells, (size_t)b->rows * o->count * sizeof *cell + 1);
	if (o->by_time)
		for (uint32_t i = 0; i < b->rows; i++)
			cell[i] = (struct fl_sortcell){ .i = b->time ? b->time[i] : 0,
							.type = FL_SORT_TIME };
	for (uint32_t c = 0; o->by && c < o->count; c++) {
		if (fl_expr_eval(o->by[c].expr, b, bad, &v, err) < 0)
			return err->code;
		take_column(o, &v, b->rows, cell + c);
	}
	return 0;
}

/* ---- comparing -------------------------------------------------- */

static struct fl_value
value_of(const struct fl_sortcell *cell, const char *other, struct fl_row_room *room)
{
	struct fl_value v = { .type = FL_V_NUMBER };
	struct fl_vec vec;

	if (cell->type == FL_SORT_INT) {
		v.number = fl_dec_from_int(cell->i);
		return v;
	}
	if (cell->type == FL_SORT_TIME) {
		v.type = FL_V_TIME;
		v.time_ms = cell->i;
		return v;
	}
	vec = fl_row_value(other + cell->off, (size_t)cell->i, 0, room);
	return fl_value_get(&vec, 0);
}

/* Neither is NULL. */
static int
compare_cells(const struct fl_sortcell *x, const char *x_other, const struct fl_sortcell *y,
	      const char *y_other)
{
	struct fl_row_room x_room, y_room;
	struct fl_value a, b;

	if (x->type == y->type && x->type != FL_SORT_OTHER)
		return (x->i > y->i) - (x->i < y->i);
	a = value_of(x, x_other, &x_room);
	b = value_of(y, y_other, &y_room);
	return fl_value_compare(&a, &b);
}

int
fl_sortby_compare(const struct fl_sortby *o, const struct fl_sortkey *a, uint64_t a_seq,
		  const struct fl_sortkey *b, uint64_t b_seq)
{
	bool later;

	for (uint32_t i = 0; i < o->count; i++) {
		const struct fl_sortcell *x = &a->cell[i], *y = &b->cell[i];
		bool first = o->by && o->by[i].nulls_first;
		bool descending = o->by ? o->by[i].descending : o->newest;
		int c;

		if (x->type == FL_SORT_NULL || y->type == FL_SORT_NULL) {
			c = (x->type == FL_SORT_NULL) - (y->type == FL_SORT_NULL);
			c = first ? -c : c;
		} else {
			c = compare_cells(x, a->other, y, b->other);
			c = descending ? -c : c;
		}
		if (c)
			return c;
	}
	later = a_seq > b_seq;
	return a_seq == b_seq ? 0 : later != o->newest ? 1 : -1;
}
