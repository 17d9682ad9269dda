/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of a state as people read them: by what their section says about itself
 * (checkpoint/about.h). What is not understood is shown as text, or as hexadecimal digits:
 * a state of another release, or of a tool that came later, can be looked at too.
 */
#include <stdio.h>
#include <stdlib.h>

#include "checkpoint/about.h"
#include "expr/agg.h"
#include "layout.h"
#include "people.h"
#include "state/key.h"
#include "stream/row.h"
#include "window/save.h"

#define SHOWN_MAX 512u       /* bytes of what is only bytes */
#define TEXT_MAX FL_MIB(512) /* of one value, which has been cut long before that */

/* Columns of rows. */
enum set { COLUMNS, LEFT, RIGHT, SETS };

struct fc_entries {
	const struct fl_zone *zone;
	bool epoch_ms;
	fc_shown_fn *shown; /* gets what is shown */
	void *ctx;
	struct fl_state_section section;
	struct fl_state_about about;
	struct fc_layout *layout;     /* of values, or NULL */
	struct fc_layout **named;     /* of entries with names, as about.named */
	const struct fc_shown *whole; /* the entry whose pieces come */
	uint64_t head;                /* bytes of it that are before its value, not yet said */
	struct fl_buf parts;          /* fl_aggs_parts, as the section "window" has it */
	struct fl_expr_env env;
	struct fl_aggs *aggs; /* of this section, or NULL */
	struct fl_aggs_loader *loader;
	void *acc, *other;
	struct fl_buf windows;      /* int64_t[2], as the section "slices" has them */
	struct fl_writer *writer;   /* rows as JSON objects */
	struct fl_header names;     /* of the columns of results */
	struct fl_build build;      /* results */
	struct fl_build set[SETS];  /* rows */
	struct fl_header key_names; /* of the columns of the key */
	struct fl_build key;
	struct fl_buf text, ns;
};

/* ---- sections ------------------------------------------------------------------------- */

struct fc_entries *
fc_entries_new(const struct fc_people *p, fc_shown_fn *shown, void *ctx)
{
	struct fc_entries *x = fl_xcalloc(1, sizeof *x);
	struct fl_writer_options o = { .separator = ',',
				       .epoch_ms = p->otime == 1,
				       .zone = p->zone };
	struct fl_err ignored;

	x->shown = shown;
	x->ctx = ctx;
	x->zone = p->zone;
	x->epoch_ms = p->otime == 1;
	x->env.zone = p->zone;
	x->writer = fl_writer_new(fl_writer_type("jsonl"), &o, &ignored);
	fl_assert(x->writer);
	fl_header_init(&x->names);
	fl_header_init(&x->key_names);
	return x;
}

static void
forget_section(struct fc_entries *x)
{
	for (uint32_t i = 0; i < x->about.named_count; i++)
		fc_layout_free(x->named[i]);
	free(x->named);
	fc_layout_free(x->layout);
	fl_state_about_release(&x->about);
	fl_aggs_loader_free(x->loader);
	if (x->aggs)
		fl_aggs_clear(x->aggs, x->acc);
	fl_aggs_free(x->aggs);
	free(x->acc);
	free(x->other);
	fl_build_release(&x->build);
	fl_build_release(&x->key);
	for (int i = 0; i < SETS; i++)
		fl_build_release(&x->set[i]);
	fl_header_release(&x->names);
	fl_header_release(&x->key_names);
	fl_header_init(&x->names);
	fl_header_init(&x->key_names);
	x->build = x->key = (struct fl_build){ 0 };
	memset(x->set, 0, sizeof x->set);
	x->named = NULL;
	x->layout = NULL;
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
	fl_header_release(&x->key_names);
	fl_writer_free(x->writer);
	fl_buf_release(&x->parts);
	fl_buf_release(&x->windows);
	fl_buf_release(&x->text);
	fl_buf_release(&x->ns);
	free(x);
}

/* The aggregates, compiled as the tool did. Where they are not those of the state, the
 * accumulators are shown as bytes. Parts were not saved by what never changes its list. */
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
	if (rc < 0 || (x->parts.len && !x->loader)) {
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

static const struct fl_header *
columns_of(const struct fc_entries *x, enum set set)
{
	return set == LEFT ? &x->about.left : set == RIGHT ? &x->about.right : &x->about.header;
}

void
fc_entries_section(struct fc_entries *x, const struct fl_state_section *s)
{
	const struct fl_header *h = &x->about.header;

	forget_section(x);
	x->section = *s;
	x->section.about = "";
	x->section.about_len = 0;
	fl_state_about(s, &x->about);
	if (x->about.layout)
		x->layout = fc_layout_new(x->about.layout);
	x->named = fl_xcalloc(x->about.named_count + 1, sizeof(struct fc_layout *));
	for (uint32_t i = 0; i < x->about.named_count; i++)
		x->named[i] = fc_layout_new(x->about.named[i].layout);
	if (x->about.aggregate_count)
		compile(x);
	x->about.header.changelog = false; /* of what is aggregated; rows have no row kind */
	for (enum set i = 0; i < SETS; i++)
		fl_build_init(&x->set[i], columns_of(x, i)->column_count);
	fl_build_init(&x->key, h->key_count);
	for (uint32_t i = 0; i < h->key_count; i++) {
		const struct fl_column *k = &h->columns[h->keys[i]];

		(void)fl_header_add(&x->key_names, k->name, k->name_len, FL_TEXT);
	}
}

/* ---- texts ---------------------------------------------------------------------------- */

static void
put_bytes(struct fl_colbuf *c, const char *p, size_t n)
{
	struct fl_buf hex = { 0 };

	if (n <= SHOWN_MAX && fc_is_text(p, n)) {
		fl_put_text(c, p, n, FL_TAG_STRING);
		return;
	}
	fc_put_hex(p, n, &hex);
	fl_put_text(c, hex.data, hex.len, FL_TAG_STRING);
	fl_buf_release(&hex);
}

/* The one row of b as a JSON object of h, appended to out. False: it cannot be one. */
static bool
make_object(struct fc_entries *x, struct fl_build *b, const struct fl_header *h, struct fl_buf *out)
{
	struct fl_err ignored;
	int rc;

	fl_build_row(b, 0, 0, FL_INSERT);
	rc = fl_writer_write(x->writer, h, fl_build_view(b), out, &ignored);
	fl_build_clear(b);
	if (rc < 0)
		return false;
	while (out->len && out->data[out->len - 1] == '\n')
		out->len--;
	return true;
}

/* What was made of x->text, into a cell. */
static bool
put_made(struct fc_entries *x, bool made, struct fl_colbuf *c)
{
	if (made)
		fl_put_text(c, x->text.data, x->text.len, FL_TAG_OBJECT);
	return made;
}

/* ---- namespace ------------------------------------------------------------------------- */

/* A window; count and global windows have no start and end. */
static void
put_window(struct fc_entries *x, const int64_t bounds[2], struct fl_colbuf *c)
{
	char start[FL_TIME_TEXT_MAX], end[FL_TIME_TEXT_MAX], both[2 * FL_TIME_TEXT_MAX + 2];

	if (bounds[0] == FL_TIME_MIN && bounds[1] == FL_TIME_MAX) {
		fl_put_null(c);
		return;
	}
	if (x->epoch_ms) {
		(void)snprintf(both, sizeof both, "%lld/%lld", (long long)bounds[0],
			       (long long)bounds[1]);
	} else {
		(void)fl_time_format(bounds[0], x->zone, true, start);
		(void)fl_time_format(bounds[1], x->zone, true, end);
		(void)snprintf(both, sizeof both, "%s/%s", start, end);
	}
	fl_put_text(c, both, strlen(both), FL_TAG_STRING);
}

static void
put_namespace(struct fc_entries *x, const struct fl_state_entry *e, struct fl_colbuf *c)
{
	char text[32];
	int64_t bounds[2];

	if (e->ns_len == sizeof bounds && strcmp(x->about.ns, "window") == 0) {
		memcpy(bounds, e->ns, sizeof bounds);
		put_window(x, bounds, c);
	} else if (e->ns_len == sizeof bounds[0] && strcmp(x->about.ns, "arrival") == 0) {
		memcpy(bounds, e->ns, sizeof bounds[0]);
		(void)snprintf(text, sizeof text, "%lld", (long long)bounds[0]);
		fl_put_text(c, text, strlen(text), FL_TAG_STRING);
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
	uint32_t n = x->about.header.key_count;

	fl_build_clear(&x->key);
	fl_buf_clear(&x->text);
	for (uint32_t i = 0; i < n; i++)
		fl_key_put(key, i, n, FL_TEXT, &x->key.col[i]);
	return put_made(x, make_object(x, &x->key, &x->key_names, &x->text), c);
}

/* A key that is the whole row. */
static bool
put_key_row(struct fc_entries *x, const struct fl_state_entry *e, struct fl_colbuf *c)
{
	const struct fl_header *h = &x->about.header;
	struct fl_build *row = &x->set[COLUMNS];

	fl_build_clear(row);
	fl_buf_clear(&x->text);
	return fl_row_identity_put(e->key, e->key_len, row->col, h->column_count) &&
	       put_made(x, make_object(x, row, h, &x->text), c);
}

static void
put_key(struct fc_entries *x, const struct fl_state_entry *e, struct fl_colbuf *c)
{
	struct fl_key key = { .p = e->key, .len = e->key_len, .tags = e->key_tags };
	uint32_t n = x->about.header.key_count;

	if (e->key_len == FL_STATE_NULL_KEY || (x->about.keyed && n == 0 && e->key_len == 0))
		fl_put_null(c);
	else if (x->about.whole_rows && put_key_row(x, e, c))
		return;
	else if (x->about.keyed && n > 1 && fl_key_check(&key, n) && put_key_object(x, &key, c))
		return;
	else if (x->about.keyed && n == 1 && fc_is_text(e->key, e->key_len))
		fl_put_text(c, e->key, e->key_len,
			    (enum fl_tag)(e->key_tags & 7) == FL_TAG_NUMBER ? FL_TAG_NUMBER
									    : FL_TAG_STRING);
	else
		put_bytes(c, e->key, e->key_len);
}

/* ---- value ------------------------------------------------------------------------------ */

/* What is in x->acc as a JSON object, appended to out, if loaded; x->acc is empty then. */
static bool
take_results(struct fc_entries *x, bool loaded, struct fl_buf *out)
{
	struct fl_err ignored;
	void *one = x->acc;
	bool ok;

	fl_build_clear(&x->build);
	ok = loaded && fl_aggs_results(x->aggs, &one, 1, x->build.col, &ignored) == 0 &&
	     make_object(x, &x->build, &x->names, out);
	fl_aggs_clear(x->aggs, x->acc);
	fl_aggs_init(x->aggs, x->acc);
	fl_build_clear(&x->build);
	return ok;
}

static int
load_acc(struct fc_entries *x, void *acc, struct fl_bytes saved, struct fl_err *err)
{
	return x->loader ? fl_aggs_loader_load(x->loader, acc, saved.p, saved.n, err)
			 : fl_aggs_load(x->aggs, acc, saved.p, saved.n, err);
}

/* What n parts of an accumulator give together, as a JSON object; appended to out. */
static bool
make_results(struct fc_entries *x, const struct fl_bytes *acc, size_t n, struct fl_buf *out)
{
	struct fl_err ignored;
	bool ok = true;

	if (!x->aggs)
		return false;
	for (size_t i = 0; i < n && ok; i++) {
		fl_aggs_init(x->aggs, x->other);
		ok = load_acc(x, i ? x->other : x->acc, acc[i], &ignored) == 0;
		if (i && ok)
			ok = fl_aggs_merge(x->aggs, x->acc, x->other, &ignored) == 0;
		fl_aggs_clear(x->aggs, x->other);
	}
	return take_results(x, ok, out);
}

static bool
put_results(struct fc_entries *x, const struct fl_bytes *acc, size_t n, struct fl_colbuf *c)
{
	fl_buf_clear(&x->text);
	return put_made(x, make_results(x, acc, n, &x->text), c);
}

/* A flat entry: the accumulator as it lay in memory. */
static bool
put_flat(struct fc_entries *x, const struct fl_state_entry *e, struct fl_colbuf *c)
{
	size_t at = x->about.flat, size;
	struct fl_err ignored;
	bool ok;

	if (!x->loader)
		return false;
	size = fl_aggs_loader_flat_size(x->loader);
	if (size == SIZE_MAX || at > e->value_len || size > e->value_len - at)
		return false;
	ok = fl_aggs_loader_flat(x->loader, x->acc, e->value + at, &ignored) == 0;
	fl_buf_clear(&x->text);
	return put_made(x, take_results(x, ok, &x->text), c);
}

static bool
put_aggregates(struct fc_entries *x, const struct fl_state_entry *e, struct fl_colbuf *c)
{
	const char *acc, *extra;
	uint32_t acc_len, extra_len;

	if (e->is_flat)
		return put_flat(x, e, c);
	return fl_window_split(e->value, e->value_len, 0, &acc, &acc_len, &extra, &extra_len) &&
	       put_results(x, &(struct fl_bytes){ acc, acc_len }, 1, c);
}

/* A record of the columns of a set as a JSON object, appended to out. */
static bool
make_row(struct fc_entries *x, enum set set, const char *p, size_t n, struct fl_buf *out)
{
	const struct fl_header *h = columns_of(x, set);
	struct fl_build *row = &x->set[set];
	struct fl_err ignored;

	if (h->column_count == 0 || fl_row_check(p, n, &ignored) < 0 ||
	    fl_row_columns(p, n) > h->column_count)
		return false;
	fl_build_clear(row);
	fl_row_put(p, n, row->col, h->column_count);
	return make_object(x, row, h, out);
}

static bool
put_row(struct fc_entries *x, const char *p, size_t n, struct fl_colbuf *c)
{
	fl_buf_clear(&x->text);
	return put_made(x, make_row(x, COLUMNS, p, n, &x->text), c);
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
	if (*kind == '\0' && !fc_is_text(e->value, e->value_len) && put_number(e, false, c))
		return;
	put_bytes(c, e->value, e->value_len);
}

/* ---- layouts ----------------------------------------------------------------------------- */

static bool
layout_row(void *ctx, const char *set, const char *p, size_t n, struct fl_buf *out)
{
	if (!set)
		return make_row(ctx, COLUMNS, p, n, out);
	if (strcmp(set, "left") == 0)
		return make_row(ctx, LEFT, p, n, out);
	return strcmp(set, "right") == 0 && make_row(ctx, RIGHT, p, n, out);
}

static bool
layout_aggregates(void *ctx, const char *p, size_t n, struct fl_buf *out)
{
	return make_results(ctx, &(struct fl_bytes){ p, n }, 1, out);
}

static int
layout_piece(void *ctx, const struct fc_piece *piece, struct fl_err *err)
{
	struct fc_entries *x = ctx;
	struct fc_shown shown = *x->whole;

	shown.piece = piece;
	shown.bytes = piece->bytes;
	shown.bytes += x->head;
	x->head = 0;
	return x->shown(x->ctx, x, &shown, err);
}

/* What its value consists of, or NULL. */
static struct fc_layout *
layout_of(const struct fc_entries *x, const struct fl_state_entry *e)
{
	for (uint32_t i = 0; i < x->about.named_count && e->ns_len == 0; i++)
		if (fl_state_is(e, x->about.named[i].name))
			return x->named[i];
	return x->layout;
}

int
fc_entries_show(struct fc_entries *x, struct fc_shown *shown, struct fl_err *err)
{
	const struct fc_layout_to to = { .ctx = x,
					 .row = layout_row,
					 .aggregates = layout_aggregates,
					 .piece = layout_piece,
					 .zone = x->zone,
					 .epoch_ms = x->epoch_ms };
	const struct fl_state_entry *e = shown->entry;
	bool plain = shown->plain || shown->part_count;
	struct fc_layout *layout = plain ? NULL : layout_of(x, e);
	int rc = 0;

	shown->section = &x->section;
	x->whole = shown;
	x->head = shown->bytes - e->value_len;
	if (layout)
		rc = fc_layout_show(layout, e->value, e->value_len, &to, err);
	return rc ? (rc < 0 ? rc : 0) : x->shown(x->ctx, x, shown, err);
}

/* ---- what is shown -------------------------------------------------------------------------- */

void
fc_entries_learn(struct fc_entries *x, const struct fl_state_entry *e)
{
	if (strcmp(x->section.name, "slices") == 0 && e->ns_len == 2 * sizeof(int64_t))
		fl_buf_put(&x->windows, e->ns, e->ns_len);
	if (strcmp(x->section.name, "window") != 0 || !fl_state_is(e, "aggregates"))
		return;
	fl_buf_clear(&x->parts);
	fl_buf_put(&x->parts, e->value, e->value_len);
}

static void
put_piece(const struct fc_piece *piece, struct fl_colbuf *c)
{
	if (piece->tag == FL_TAG_NULL)
		fl_put_null(c);
	else if (piece->text_len > TEXT_MAX)
		put_bytes(c, piece->text, piece->text_len);
	else
		fl_put_text(c, piece->text, piece->text_len, piece->tag);
}

void
fc_shown_put(struct fc_entries *x, const struct fc_shown *shown, struct fc_table *t, uint32_t first)
{
	const struct fc_piece *piece = shown->piece;
	struct fl_colbuf *ns = fc_cell(t, first + 1), *value = fc_cell(t, first + 3);

	fc_put(t, first, shown->section->name);
	if (piece && piece->side)
		fl_put_text(ns, piece->side, piece->side_len, FL_TAG_STRING);
	else if (piece && piece->windowed)
		put_window(x, piece->bounds, ns);
	else
		put_namespace(x, shown->entry, ns);
	put_key(x, shown->entry, fc_cell(t, first + 2));
	if (piece)
		put_piece(piece, value);
	else if (shown->plain)
		put_bytes(value, shown->entry->value, shown->entry->value_len);
	else if (!shown->part_count)
		put_value(x, shown->entry, value);
	else if (!put_results(x, shown->parts, shown->part_count, value))
		put_bytes(value, shown->parts[0].p, shown->parts[0].n);
}

void
fc_shown_identity(struct fc_entries *x, const struct fc_shown *shown, uint64_t ret_key[2],
		  uint64_t *ret_value)
{
	const struct fc_piece *piece = shown->piece;
	struct fl_state_entry e = *shown->entry;
	struct fl_buf *ns = &x->ns;

	fl_buf_clear(ns);
	fl_buf_put(ns, e.ns, e.ns_len);
	if (piece) {
		fl_buf_putc(ns, piece->side ? 's' : piece->windowed ? 'w' : 'n');
		fl_buf_put(ns, piece->side, piece->side_len);
		if (piece->windowed)
			fl_buf_put(ns, piece->bounds, sizeof piece->bounds);
		e.value = piece->text;
		e.value_len = (uint32_t)piece->text_len;
	} else if (shown->part_count) {
		/* how many parts there are depends on when they were written */
		fl_buf_clear(&x->text);
		if (make_results(x, shown->parts, shown->part_count, &x->text)) {
			e.value = x->text.data;
			e.value_len = (uint32_t)x->text.len;
		}
	}
	e.ns = ns->data;
	e.ns_len = (uint32_t)ns->len;
	fl_state_identity(shown->section, &e, ret_key, ret_value);
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
	for (uint32_t i = 0; i < x->about.window_count; i++)
		if (x->about.windows[i][0] == start_ms)
			return x->about.windows[i][1];
	return start_ms;
}

bool
fc_entries_has_namespaces(const struct fc_entries *x)
{
	return !x->about.ns_said || *x->about.ns;
}

bool
fc_entries_by_window(const struct fc_entries *x)
{
	return strcmp(x->about.ns, "window") == 0;
}
