/* SPDX-License-Identifier: Apache-2.0 */
#include "format/outcols.h"

#include <inttypes.h>
#include <stdlib.h>

/* One name of --columns from *p on, quoted or not; *p goes to the comma or NUL behind it. */
static int
take_name(const char **p, struct fl_buf *name, struct fl_err *err)
{
	const char *s = *p;

	fl_buf_clear(name);
	if (*s != '"') {
		while (*s && *s != ',')
			fl_buf_putc(name, *s++);
		*p = s;
		return name->len ? 0 : fl_fail(err, FL_EUSAGE, "--columns: an empty name");
	}
	for (s++; *s && (*s != '"' || s[1] == '"'); s++) {
		s += *s == '"';
		fl_buf_putc(name, *s);
	}
	if (*s != '"' || (s[1] && s[1] != ','))
		return fl_fail(err, FL_EUSAGE,
			       "--columns: a quote that is not closed before a comma");
	*p = s + 1;
	return 0;
}

int
fl_outcols_init(struct fl_outcols *o, const char *columns, struct fl_err *err)
{
	struct fl_buf name = { 0 };
	const char *p = columns;
	int rc = 0;

	*o = (struct fl_outcols){ .given = columns != NULL };
	fl_header_init(&o->wanted);
	while (p && rc == 0) {
		rc = take_name(&p, &name, err);
		if (rc < 0)
			break;
		if (o->wanted.column_count == FL_COLUMNS_MAX)
			rc = fl_fail(err, FL_ELIMIT, "--columns: more than %u", FL_COLUMNS_MAX);
		else
			(void)fl_header_add(&o->wanted, name.len ? name.data : "", name.len,
					    FL_TEXT);
		p = *p ? p + 1 : NULL;
	}
	fl_buf_release(&name);
	if (rc < 0)
		fl_outcols_release(o);
	return rc;
}

void
fl_outcols_release(struct fl_outcols *o)
{
	fl_header_release(&o->wanted);
	free(o->index);
	free(o->taken);
	o->index = NULL;
	o->taken = NULL;
}

/* Whether more columns may come: the text that was read first can bring new keys. */
static bool
may_grow(const struct fl_header *h)
{
	return h->format && (strcmp(h->format, "jsonl") == 0 || strcmp(h->format, "logfmt") == 0);
}

static int
choose_wanted(struct fl_outcols *o, const struct fl_header *h, struct fl_err *err)
{
	for (uint32_t i = 0; i < o->wanted.column_count; i++) {
		const struct fl_column *w = &o->wanted.columns[i];
		uint32_t c = fl_header_find(h, w->name, w->name_len);
		const char *near;

		o->index[o->count++] = c;
		if (c != FL_NO_COLUMN || may_grow(h))
			continue;
		near = fl_header_nearest(h, w->name, w->name_len);
		return fl_fail(err, FL_EUSAGE, "--columns: there is no column %.200s%s%.200s%s",
			       w->name, near ? "; did you mean " : "", near ? near : "",
			       near ? "?" : "");
	}
	return 0;
}

/* A changelog's op is written first in any case: to ask for it is fine, and changes nothing. */
static void
drop_op(struct fl_outcols *o, const struct fl_header *h)
{
	uint32_t c = fl_header_find(&o->wanted, "op", 2);

	if (!h->changelog || c == FL_NO_COLUMN || fl_header_find(h, "op", 2) != FL_NO_COLUMN)
		return;
	free(o->wanted.columns[c].name);
	o->wanted.column_count--;
	memmove(&o->wanted.columns[c], &o->wanted.columns[c + 1],
		(o->wanted.column_count - c) * sizeof o->wanted.columns[c]);
}

int
fl_outcols_choose(struct fl_outcols *o, const struct fl_header *h, const struct fl_batch *b,
		  struct fl_err *err)
{
	uint32_t room = h->column_count > o->wanted.column_count ? h->column_count
								 : o->wanted.column_count;

	if (o->chosen && (!o->given || o->seen == h->column_count))
		return 0;
	o->index = fl_xreallocarray(o->index, room + 1, sizeof *o->index);
	o->taken = fl_xrealloc(o->taken, h->column_count + 1);
	memset(o->taken, 0, h->column_count + 1);
	o->chosen = true;
	o->seen = h->column_count;
	o->count = 0;
	if (o->given) {
		drop_op(o, h);
		return choose_wanted(o, h, err);
	}
	for (uint32_t c = 0; c < h->column_count; c++) {
		if (b && fl_tag_of(fl_batch_col(b, c), 0) == FL_TAG_ABSENT)
			continue;
		o->taken[c] = 1;
		o->index[o->count++] = c;
	}
	return 0;
}

int
fl_outcols_prepare(struct fl_outcols *o, const struct fl_header *h, bool *ret_new,
		   struct fl_err *err)
{
	bool same = o->chosen && o->seen == h->column_count;

	if (ret_new)
		*ret_new = !same && !(o->given && o->chosen);
	if (same)
		return 0;
	o->chosen = false;
	return fl_outcols_choose(o, h, NULL, err);
}

/* Whether any value of a column is there. */
static bool
is_there(const struct fl_vec *v, uint32_t rows)
{
	if (!v->tags)
		return v->tag != FL_TAG_ABSENT;
	for (uint32_t i = 0; i < rows; i++)
		if (v->tags[i] != FL_TAG_ABSENT)
			return true;
	return false;
}

int
fl_outcols_check(const struct fl_outcols *o, const struct fl_header *h, const struct fl_batch *b,
		 struct fl_err *err)
{
	if (o->given || (o->count == o->seen && b->cols <= o->seen))
		return 0;
	for (uint32_t c = 0; c < b->cols; c++) {
		if ((c < o->seen && o->taken[c]) || !is_there(&b->col[c], b->rows))
			continue;
		return fl_fail(err, FL_EDATA,
			       "a record has the column %.200s, which the first record has not: "
			       "say --columns, or write JSONL",
			       h->columns[c].name);
	}
	return 0;
}
