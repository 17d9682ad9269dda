/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of a state as people read them: by what their section says about itself. What
 * is not understood is shown as text, or as hexadecimal digits: a state of another
 * release, or of a tool that came later, can be looked at too.
 */
#include <stdio.h>
#include <stdlib.h>

#include "checkpoint/about.h"
#include "expr/agg.h"
#include "people.h"
#include "state/key.h"
#include "stream/row.h"
#include "window/save.h"

#define SHOWN_MAX 512u /* bytes of what is only bytes */

struct fc_entries {
	const struct fl_zone *zone;
	char name[FL_SECTION_NAME_MAX + 1];
	struct fl_state_about about;
	struct fl_buf parts; /* fl_aggs_parts, as the section "window" has it */
	struct fl_expr_env env;
	struct fl_aggs *aggs; /* of this section, or NULL */
	struct fl_aggs_loader *loader;
	void *acc, *other;
	struct fl_buf windows;    /* int64_t[2], as the section "slices" has them */
	struct fl_writer *writer; /* rows as JSON objects */
	struct fl_header names;   /* of the columns of results, or of the key */
	struct fl_build build;
	struct fl_buf text;
};

struct fc_entries *
fc_entries_new(const struct fc_people *p)
{
	struct fc_entries *x = fl_xcalloc(1, sizeof *x);
	struct fl_writer_options o = { .separator = ',',
				       .epoch_ms = p->otime == 1,
				       .zone = p->zone };
	struct fl_err ignored;

	x->zone = p->zone;
	x->env.zone = p->zone;
	x->writer = fl_writer_new(fl_writer_type("jsonl"), &o, &ignored);
	fl_assert(x->writer);
	fl_header_init(&x->names);
	return x;
}

static void
forget_section(struct fc_entries *x)
{
	fl_state_about_release(&x->about);
	fl_aggs_loader_free(x->loader);
	if (x->aggs)
		fl_aggs_clear(x->aggs, x->acc);
	fl_aggs_free(x->aggs);
	free(x->acc);
	free(x->other);
	fl_build_release(&x->build);
	fl_header_release(&x->names);
	fl_header_init(&x->names);
	x->build = (struct fl_build){ 0 };
	x->loader = NULL;
	x->aggs = NULL;
	x->acc = NULL;
	x->other = NULL;
}

void
fc_entries_free(struct fc_entries *x)
{
	forget_section(x);
	fl_header_release(&x->names);
	fl_writer_free(x->writer);
	fl_buf_release(&x->parts);
	fl_buf_release(&x->windows);
	fl_buf_release(&x->text);
	free(x);
}

/* The aggregates, compiled as the tool did. Where they are not those of the state, the
 * accumulators are shown as bytes. */
static void
compile(struct fc_entries *x)
{
	struct fl_aggs *a = fl_aggs_new(&x->env);
	struct fl_err ignored;
	int rc = 0;

	for (uint32_t i = 0; i < x->about.aggregate_count && rc == 0; i++)
		rc = fl_aggs_define(a, x->about.aggregates[i], &ignored);
	if (rc == 0)
		rc = fl_aggs_bind(a, &x->about.header, x->about.header.changelog, &ignored);
	if (rc == 0 && x->parts.len)
		x->loader = fl_aggs_loader_new(a, x->parts.data, x->parts.len, &ignored);
	if (rc < 0 || !x->loader) {
		fl_aggs_free(a);
		return;
	}
	x->aggs = a;
	x->acc = fl_xcalloc(1, fl_aggs_size(a) + 1);
	x->other = fl_xcalloc(1, fl_aggs_size(a) + 1);
	fl_aggs_init(a, x->acc);
	for (size_t i = 0; i < fl_aggs_count(a); i++) {
		const char *name = fl_aggs_name(a, i);

		(void)fl_header_add(&x->names, name, strlen(name), fl_aggs_kind(a, i));
	}
	fl_build_init(&x->build, (uint32_t)fl_aggs_count(a));
}

void
fc_entries_section(struct fc_entries *x, const struct fl_state_section *s)
{
	forget_section(x);
	memcpy(x->name, s->name, sizeof x->name);
	fl_state_about(s, &x->about);
	if (x->about.aggregate_count && strcmp(x->about.value, "aggregates") == 0)
		compile(x);
	else
		fl_build_init(&x->build, x->about.header.column_count);
}

/* ---- texts ---------------------------------------------------------------------------- */

/* UTF-8 without control bytes: people can read it. */
static bool
is_text(const char *p, size_t n)
{
	for (size_t i = 0; i < n;) {
		unsigned char c = (unsigned char)p[i];
		size_t more = c < 0x80                ? 0
			      : c >= 0xc2 && c < 0xe0 ? 1
			      : c >= 0xe0 && c < 0xf0 ? 2
						      : 3;

		if (c < ' ' || c == 0x7f || (c >= 0x80 && (c < 0xc2 || c > 0xf4)) || more >= n - i)
			return false;
		for (i++; more; more--, i++)
			if ((p[i] & 0xc0) != 0x80)
				return false;
	}
	return true;
}

static void
put_bytes(struct fl_colbuf *c, const char *p, size_t n)
{
	struct fl_buf hex = { 0 };
	size_t shown = n < SHOWN_MAX ? n : SHOWN_MAX;

	if (n <= SHOWN_MAX && is_text(p, n)) {
		fl_put_text(c, p, n, FL_TAG_STRING);
		return;
	}
	fl_buf_puts(&hex, "0x");
	for (size_t i = 0; i < shown; i++)
		fl_buf_printf(&hex, "%02x", (unsigned)(unsigned char)p[i]);
	if (shown < n)
		fl_buf_puts(&hex, "...");
	fl_put_text(c, hex.data, hex.len, FL_TAG_STRING);
	fl_buf_release(&hex);
}

/* The one row of x->build as a JSON object of h. False: it cannot be written as one. */
static bool
put_object(struct fc_entries *x, const struct fl_header *h, struct fl_colbuf *c)
{
	struct fl_err ignored;
	int rc;

	fl_buf_clear(&x->text);
	fl_build_row(&x->build, 0, 0, FL_INSERT);
	rc = fl_writer_write(x->writer, h, fl_build_view(&x->build), &x->text, &ignored);
	fl_build_clear(&x->build);
	if (rc < 0)
		return false;
	while (x->text.len && x->text.data[x->text.len - 1] == '\n')
		x->text.len--;
	fl_put_text(c, x->text.data, x->text.len, FL_TAG_OBJECT);
	return true;
}

/* ---- namespace ------------------------------------------------------------------------- */

static void
put_namespace(struct fc_entries *x, const struct fl_state_entry *e, struct fl_colbuf *c)
{
	char start[FL_TIME_TEXT_MAX], end[FL_TIME_TEXT_MAX], both[2 * FL_TIME_TEXT_MAX + 2];
	int64_t bounds[2];

	if (e->ns_len == sizeof bounds && strcmp(x->about.ns, "window") == 0) {
		memcpy(bounds, e->ns, sizeof bounds);
		(void)fl_time_format(bounds[0], x->zone, true, start);
		(void)fl_time_format(bounds[1], x->zone, true, end);
		(void)snprintf(both, sizeof both, "%s/%s", start, end);
		fl_put_text(c, both, strlen(both), FL_TAG_STRING);
	} else if (e->ns_len == sizeof bounds[0] && strcmp(x->about.ns, "arrival") == 0) {
		memcpy(bounds, e->ns, sizeof bounds[0]);
		(void)snprintf(both, sizeof both, "%lld", (long long)bounds[0]);
		fl_put_text(c, both, strlen(both), FL_TAG_STRING);
	} else if (x->about.side) {
		fl_put_text(c, x->about.side, strlen(x->about.side), FL_TAG_STRING);
	} else if (e->ns_len) {
		put_bytes(c, e->ns, e->ns_len);
	} else {
		fl_put_null(c);
	}
}

/* ---- key ------------------------------------------------------------------------------- */

/* A key of several columns, as a JSON object with their names. */
static bool
put_key_object(struct fc_entries *x, const struct fl_key *key, struct fl_colbuf *c)
{
	const struct fl_header *h = &x->about.header;
	struct fl_build was = x->build;
	struct fl_header names;
	bool ok;

	fl_header_init(&names);
	for (uint32_t i = 0; i < h->key_count; i++) {
		const struct fl_column *k = &h->columns[h->keys[i]];

		(void)fl_header_add(&names, k->name, k->name_len, FL_TEXT);
	}
	fl_build_init(&x->build, h->key_count);
	for (uint32_t i = 0; i < h->key_count; i++)
		fl_key_put(key, i, h->key_count, FL_TEXT, &x->build.col[i]);
	ok = put_object(x, &names, c);
	fl_build_release(&x->build);
	fl_header_release(&names);
	x->build = was;
	return ok;
}

static void
put_key(struct fc_entries *x, const struct fl_state_entry *e, struct fl_colbuf *c)
{
	struct fl_key key = { .p = e->key, .len = e->key_len, .tags = e->key_tags };
	uint32_t n = x->about.header.key_count;

	if (e->key_len == FL_STATE_NULL_KEY)
		fl_put_null(c);
	else if (x->about.keyed && n > 1 && fl_key_check(&key, n) && put_key_object(x, &key, c))
		return;
	else if (x->about.keyed && n == 1 && is_text(e->key, e->key_len))
		fl_put_text(c, e->key, e->key_len,
			    (enum fl_tag)(e->key_tags & 7) == FL_TAG_NUMBER ? FL_TAG_NUMBER
									    : FL_TAG_STRING);
	else
		put_bytes(c, e->key, e->key_len);
}

/* ---- value ------------------------------------------------------------------------------ */

static bool
put_aggregates(struct fc_entries *x, const struct fl_state_entry *e, struct fl_colbuf *c)
{
	const char *acc, *extra;
	uint32_t acc_len, extra_len;
	struct fl_err ignored;
	void *one = x->acc;
	bool ok;

	if (!x->aggs ||
	    !fl_window_split(e->value, e->value_len, 0, &acc, &acc_len, &extra, &extra_len))
		return false;
	ok = fl_aggs_loader_load(x->loader, x->acc, acc, acc_len, &ignored) == 0;
	fl_build_clear(&x->build);
	ok = ok && fl_aggs_results(x->aggs, &one, 1, x->build.col, &ignored) == 0 &&
	     put_object(x, &x->names, c);
	fl_aggs_clear(x->aggs, x->acc);
	fl_build_clear(&x->build);
	return ok;
}

static bool
put_merged(struct fc_entries *x, const struct fl_bytes *acc, size_t n, struct fl_colbuf *c)
{
	struct fl_err ignored;
	void *one = x->acc;
	bool ok = x->aggs != NULL;

	for (size_t i = 0; i < n && ok; i++) {
		fl_aggs_init(x->aggs, x->other);
		ok = fl_aggs_loader_load(x->loader, i ? x->other : x->acc, acc[i].p,
					 (uint32_t)acc[i].n, &ignored) == 0;
		if (i && ok)
			ok = fl_aggs_merge(x->aggs, x->acc, x->other, &ignored) == 0;
		fl_aggs_clear(x->aggs, x->other);
	}
	fl_build_clear(&x->build);
	ok = ok && fl_aggs_results(x->aggs, &one, 1, x->build.col, &ignored) == 0 &&
	     put_object(x, &x->names, c);
	if (x->aggs)
		fl_aggs_clear(x->aggs, x->acc);
	fl_build_clear(&x->build);
	return ok;
}

static bool
put_row(struct fc_entries *x, const char *p, size_t n, struct fl_colbuf *c)
{
	struct fl_err ignored;
	uint32_t cols = x->about.header.column_count;

	if (cols == 0 || fl_row_check(p, n, &ignored) < 0 || fl_row_columns(p, n) > cols)
		return false;
	fl_build_clear(&x->build);
	fl_row_put(p, n, x->build.col, cols);
	return put_object(x, &x->about.header, c);
}

/* Numbers are saved as eight bytes; a text of eight is told by being one. */
static bool
put_number(const struct fl_state_entry *e, bool time, struct fl_colbuf *c)
{
	int64_t v;

	if (e->value_len != sizeof v)
		return false;
	memcpy(&v, e->value, sizeof v);
	if (time)
		fl_put_time(c, v);
	else
		fl_put_int(c, v);
	return true;
}

static void
put_value(struct fc_entries *x, const struct fl_state_entry *e, struct fl_colbuf *c)
{
	const char *kind = x->about.value;

	if (strcmp(kind, "aggregates") == 0 && put_aggregates(x, e, c))
		return;
	if (strcmp(kind, "row") == 0 && put_row(x, e->value, e->value_len, c))
		return;
	if (strcmp(kind, "time") == 0 && put_number(e, true, c))
		return;
	if (strcmp(kind, "int64") == 0 && put_number(e, false, c))
		return;
	if (*kind == '\0' && !is_text(e->value, e->value_len) && put_number(e, false, c))
		return;
	put_bytes(c, e->value, e->value_len);
}

void
fc_entries_learn(struct fc_entries *x, const struct fl_state_entry *e)
{
	if (strcmp(x->name, "slices") == 0 && e->ns_len == 2 * sizeof(int64_t))
		fl_buf_put(&x->windows, e->ns, e->ns_len);
	if (strcmp(x->name, "window") != 0 || !fl_state_is(e, "aggregates"))
		return;
	fl_buf_clear(&x->parts);
	fl_buf_put(&x->parts, e->value, e->value_len);
}

void
fc_entries_put(struct fc_entries *x, const struct fl_state_entry *e, struct fc_table *t,
	       uint32_t first)
{
	fc_put(t, first, x->name);
	put_namespace(x, e, fc_cell(t, first + 1));
	put_key(x, e, fc_cell(t, first + 2));
	put_value(x, e, fc_cell(t, first + 3));
}

int64_t
fc_entries_window_end(const struct fc_entries *x, int64_t start_ms)
{
	for (size_t at = 0; at < x->windows.len; at += 2 * sizeof(int64_t)) {
		int64_t bounds[2];

		memcpy(bounds, x->windows.data + at, sizeof bounds);
		if (bounds[0] == start_ms)
			return bounds[1];
	}
	return start_ms;
}

void
fc_entries_put_parts(struct fc_entries *x, const struct fl_state_entry *e,
		     const struct fl_bytes *acc, size_t n, struct fc_table *t, uint32_t first)
{
	fc_put(t, first, x->name);
	put_namespace(x, e, fc_cell(t, first + 1));
	put_key(x, e, fc_cell(t, first + 2));
	if (!put_merged(x, acc, n, fc_cell(t, first + 3)))
		put_bytes(fc_cell(t, first + 3), n ? acc[0].p : "", n ? acc[0].n : 0);
}
