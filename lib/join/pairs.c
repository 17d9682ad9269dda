/* SPDX-License-Identifier: Apache-2.0 */
#include "join/pairs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/about.h"
#include "run/options.h"
#include "run/spill.h"

#define EMIT_BYTES FL_KIB(256) /* held before they are emitted */

const char *
fl_join_kind_name(enum fl_join_kind kind)
{
	static const char *const names[FL_JOIN_KINDS] = { "inner", "left", "right",
							  "full",  "semi", "anti" };

	return names[kind];
}

/* ---- columns ----------------------------------------------------------------------- */

static bool
left_only(const struct fl_pairs *p)
{
	return p->kind == FL_JOIN_SEMI || p->kind == FL_JOIN_ANTI;
}

static bool
is_key(const struct fl_header *h, uint32_t column, uint32_t *ret_which)
{
	for (uint32_t k = 0; k < h->key_count; k++)
		if (h->keys[k] == column) {
			*ret_which = k;
			return true;
		}
	return false;
}

static bool
has_name(const struct fl_header *h, const char *name, size_t len)
{
	return fl_header_find(h, name, len) != FL_NO_COLUMN;
}

/* Whether a column, key apart, has a namesake on the other side. */
static bool
clashes(const struct fl_pairs *p, enum fl_join_side side, const struct fl_column *c)
{
	const struct fl_header *other = p->side[!side].header;
	uint32_t i = fl_header_find(other, c->name, c->name_len), which;

	if (i == FL_NO_COLUMN)
		return false;
	/* a key column of the right is not shown: its name is free */
	return side == FL_JOIN_SIDE_RIGHT || !is_key(other, i, &which);
}

/* What a column is called in the result; appended to out. */
static void
result_name(const struct fl_pairs *p, enum fl_join_side side, uint32_t column, struct fl_buf *out)
{
	const struct fl_column *c = &p->side[side].header->columns[column];
	const struct fl_join_options *o = p->options;
	const char *prefix = side == FL_JOIN_SIDE_LEFT ? o->lprefix : o->rprefix;
	uint32_t which;
	bool key = is_key(p->side[side].header, column, &which);
	bool clash = !key && clashes(p, side, c);

	if (clash && prefix)
		fl_buf_puts(out, prefix);
	fl_buf_put(out, c->name, c->name_len);
	if (clash && side == FL_JOIN_SIDE_RIGHT && !o->rprefix && !o->lprefix)
		fl_buf_puts(out, "_r");
	fl_buf_putc(out, '\0');
	out->len--;
}

/* Append a column to the outgoing header; returns its index. */
static uint32_t
show(struct fl_pairs *p, const struct fl_column *like, const char *name, size_t len)
{
	struct fl_header *out = fl_run_out(p->run);
	uint32_t to = fl_header_add(out, name, len, (enum fl_kind)like->kind);

	out->columns[to].seconds = like->seconds;
	return to;
}

static int
add_column(struct fl_pairs *p, enum fl_join_side side, uint32_t column, bool later,
	   struct fl_err *err)
{
	struct fl_pairs_side *s = &p->side[side];
	const struct fl_column *c = &s->header->columns[column];
	struct fl_buf name = { 0 };
	int rc = 0;

	result_name(p, side, column, &name);
	/* one that came later cannot rename what is there: it gets a name of its own */
	while (later && has_name(&p->full, name.data, name.len)) {
		fl_buf_puts(&name, side == FL_JOIN_SIDE_LEFT ? "_l" : "_r");
		fl_buf_putc(&name, '\0');
		name.len--;
	}
	if (has_name(&p->full, name.data, name.len))
		rc = fl_fail(err, FL_EUSAGE,
			     "the result would have two columns \"%s\": choose another --rprefix "
			     "or --lprefix, or rename one with fmap",
			     name.data);
	s->full[column] = fl_header_add(&p->full, name.data, name.len, (enum fl_kind)c->kind);
	p->full.columns[s->full[column]].seconds = c->seconds;
	if (!left_only(p))
		s->to[column] = show(p, c, name.data, name.len);
	else if (side == FL_JOIN_SIDE_LEFT)
		s->to[column] = show(p, c, c->name, c->name_len);
	s->alone[column] = s->to[column];
	fl_buf_release(&name);
	return rc;
}

static bool
is_taken(const struct fl_pairs_side *s, uint32_t column)
{
	for (uint32_t c = 0; c < s->columns; c++)
		if (s->alone[c] == column)
			return true;
	return false;
}

/* Map the columns of a side from the first that is not mapped yet. */
static int
map_columns(struct fl_pairs *p, enum fl_join_side side, bool later, struct fl_err *err)
{
	struct fl_pairs_side *s = &p->side[side];
	const struct fl_pairs_side *left = &p->side[FL_JOIN_SIDE_LEFT];
	uint32_t n = s->header->column_count, which;

	s->to = fl_xreallocarray(s->to, n + 1, sizeof *s->to);
	s->alone = fl_xreallocarray(s->alone, n + 1, sizeof *s->alone);
	s->full = fl_xreallocarray(s->full, n + 1, sizeof *s->full);
	for (uint32_t c = s->columns; c < n; c++) {
		s->to[c] = s->alone[c] = s->full[c] = FL_NO_COLUMN;
		if (side == FL_JOIN_SIDE_RIGHT && is_key(s->header, c, &which)) {
			uint32_t key = left->to[left->header->keys[which]];

			/* it takes its value from one place only */
			s->alone[c] = left_only(p) || is_taken(s, key) ? FL_NO_COLUMN : key;
		} else if (add_column(p, side, c, later, err) < 0) {
			return err->code;
		}
		s->columns = c + 1;
	}
	return 0;
}

static void
add_bounds(struct fl_pairs *p, bool seconds)
{
	static const char *const names[] = { "window_start", "window_end" };

	for (uint32_t i = 0; i < 2; i++) {
		uint32_t c = fl_header_add(&p->full, names[i], strlen(names[i]), FL_TIME);

		p->full.columns[c].seconds = seconds;
		(void)show(p, &p->full.columns[c], names[i], strlen(names[i]));
	}
	p->bounds = 2;
}

static void
make_keys(struct fl_pairs *p)
{
	const struct fl_header *left = p->side[FL_JOIN_SIDE_LEFT].header;
	struct fl_header *out = fl_run_out(p->run);

	out->keys = fl_xcalloc(left->key_count + 1, sizeof *out->keys);
	out->key_count = left->key_count;
	for (uint32_t k = 0; k < left->key_count; k++)
		out->keys[k] = p->side[FL_JOIN_SIDE_LEFT].to[left->keys[k]];
}

static int
make_columns(struct fl_pairs *p, const struct fl_pairs_form *form, struct fl_err *err)
{
	struct fl_header *out = fl_run_out(p->run);

	fl_header_clear_columns(out);
	if (form->bounds)
		add_bounds(p, form->seconds);
	if (map_columns(p, FL_JOIN_SIDE_LEFT, false, err) < 0 ||
	    map_columns(p, FL_JOIN_SIDE_RIGHT, false, err) < 0)
		return err->code;
	fl_build_resize(&p->build, out->column_count);
	make_keys(p);
	return 0;
}

/* ---- opening -------------------------------------------------------------------------- */

static int
check_keys(const struct fl_pairs *p, struct fl_err *err)
{
	const struct fl_header *l = p->side[FL_JOIN_SIDE_LEFT].header;
	const struct fl_header *r = p->side[FL_JOIN_SIDE_RIGHT].header;

	if (l->keyed != r->keyed)
		return fl_fail(err, FL_EUSAGE,
			       "the %s side has no key: name the columns that must be equal with "
			       "fkeyby on both sides",
			       l->keyed ? "right" : "left");
	if (l->key_count != r->key_count)
		return fl_fail(err, FL_EUSAGE,
			       "the left side is keyed by %u column%s, the right side by %u: they "
			       "must be as many",
			       l->key_count, l->key_count == 1 ? "" : "s", r->key_count);
	return 0;
}

static int
bind_condition(struct fl_pairs *p, struct fl_err *err)
{
	if (!p->on)
		return 0;
	if (fl_expr_bind(p->on, &p->full, err) < 0)
		return fl_wrap(err, "--on");
	if (fl_expr_is_set(p->on))
		return fl_fail(err, FL_EUSAGE, "--on: it gives several values, not one");
	fl_build_resize(&p->candidates, p->full.column_count);
	return 0;
}

int
fl_pairs_open(struct fl_pairs *p, struct fl_run *run, const struct fl_join_options *o,
	      const struct fl_header *right, const struct fl_pairs_form *form, struct fl_err *err)
{
	struct fl_header *out = fl_run_out(run);
	const struct fl_header *left = fl_run_header(run, 0);

	*p = (struct fl_pairs){ .run = run, .kind = o->kind, .options = o };
	p->side[FL_JOIN_SIDE_LEFT].header = left;
	p->side[FL_JOIN_SIDE_RIGHT].header = right ? right : fl_run_header(run, 1);
	fl_keys_init(&p->keys);
	fl_header_init(&p->full);
	/* only this says whether a column that nobody knows may still come */
	p->full.format = fl_header_grows(p->side[FL_JOIN_SIDE_RIGHT].header)
				 ? fl_xstrdup(p->side[FL_JOIN_SIDE_RIGHT].header->format)
			 : left->format ? fl_xstrdup(left->format)
					: NULL;
	fl_build_init(&p->build, 0);
	fl_build_init(&p->candidates, 0);
	fl_build_init(&p->late, 0);
	p->build.changelog = form->changelog;
	p->build.timed = form->timed;
	if (o->on)
		p->on = fl_expr_new(o->on, fl_run_expr_env(run));
	if (check_keys(p, err) < 0 || make_columns(p, form, err) < 0)
		return err->code;
	out->keyed = left->keyed;
	out->changelog = form->changelog;
	out->window.kind = FL_WINDOW_NONE;
	if (!form->timed) {
		free(out->time);
		out->time = NULL;
	}
	return bind_condition(p, err);
}

void
fl_pairs_release(struct fl_pairs *p)
{
	if (!p->run)
		return;
	for (int s = 0; s < 2; s++) {
		free(p->side[s].to);
		free(p->side[s].alone);
		free(p->side[s].full);
	}
	fl_keys_release(&p->keys);
	fl_build_release(&p->build);
	fl_build_release(&p->candidates);
	fl_build_release(&p->late);
	fl_expr_free(p->on);
	fl_header_release(&p->full);
	fl_buf_release(&p->verdict);
	fl_buf_release(&p->rows);
	fl_badrows_release(&p->bad);
	*p = (struct fl_pairs){ 0 };
}

int
fl_pairs_columns(struct fl_pairs *p, struct fl_err *err)
{
	fl_assert(p->build.rows == 0 && p->candidates.rows == 0);
	if (map_columns(p, FL_JOIN_SIDE_LEFT, true, err) < 0 ||
	    map_columns(p, FL_JOIN_SIDE_RIGHT, true, err) < 0)
		return err->code;
	fl_build_resize(&p->build, fl_run_out(p->run)->column_count);
	if (p->late_file)
		fl_build_resize(&p->late, p->full.column_count);
	return bind_condition(p, err);
}

/* ---- keys ------------------------------------------------------------------------------ */

int
fl_pairs_keys(struct fl_pairs *p, enum fl_join_side side, const struct fl_batch *b,
	      const struct fl_key **ret, struct fl_err *err)
{
	return fl_keys_of(&p->keys, p->side[side].header, b, ret, err);
}

void
fl_pairs_rehash(const struct fl_pairs *p, struct fl_key *key)
{
	key->hash = fl_key_hash(&p->keys, key);
}

bool
fl_pairs_key_is_null(const struct fl_pairs *p, const struct fl_key *key)
{
	uint32_t count = p->side[FL_JOIN_SIDE_LEFT].header->key_count, len;
	const char *at = key->p;

	if (count <= 1)
		return key->len == FL_KEY_NULL;
	for (uint32_t c = 0; c < count; c++) {
		memcpy(&len, at, sizeof len);
		if (len == FL_KEY_NULL)
			return true;
		at += sizeof len + len;
	}
	return false;
}

/* ---- rows of the result ------------------------------------------------------------------ */

void
fl_pairs_batch(struct fl_pairs *p, enum fl_join_side side, const struct fl_batch *b)
{
	p->side[side].batch = b;
	p->side[!side].batch = NULL;
}

void
fl_pairs_window(struct fl_pairs *p, int64_t start, int64_t end)
{
	p->start = start;
	p->end = end;
}

static void
put_half(const struct fl_pairs_side *s, const uint32_t *map, struct fl_half h,
	 struct fl_colbuf *col)
{
	if (h.p && s->kept) {
		fl_kept_put_to(s->kept, h.p, h.len, map, s->columns, col);
		return;
	}
	if (h.p) {
		fl_row_put_to(h.p, h.len, map, s->columns, col);
		return;
	}
	for (uint32_t c = 0; c < s->columns; c++)
		if (map[c] != FL_NO_COLUMN)
			fl_put_value(&col[map[c]], fl_batch_col(s->batch, c), h.row);
}

static bool
is_none(struct fl_half h)
{
	return !h.p && h.row == FL_NO_ROW;
}

/* NULLs where nothing was put: the row in hand is not yet counted. */
static void
pad(struct fl_build *b)
{
	for (uint32_t c = 0; c < b->cols; c++)
		if (b->col[c].rows == b->rows)
			fl_put_null(&b->col[c]);
}

static void
put_bounds(const struct fl_pairs *p, struct fl_build *b)
{
	if (!p->bounds)
		return;
	fl_put_time(&b->col[0], p->start);
	fl_put_time(&b->col[1], p->end);
}

static int
emit(struct fl_pairs *p, struct fl_err *err)
{
	int rc = 0;

	if (p->build.rows)
		rc = fl_emit(p->run, fl_build_view(&p->build), err);
	fl_build_clear(&p->build);
	return rc;
}

int
fl_pairs_put(struct fl_pairs *p, struct fl_half left, struct fl_half right, int64_t time,
	     int64_t wm, enum fl_rowkind op, struct fl_err *err)
{
	const struct fl_pairs_side *l = &p->side[FL_JOIN_SIDE_LEFT];
	const struct fl_pairs_side *r = &p->side[FL_JOIN_SIDE_RIGHT];
	struct fl_build *b = &p->build;
	bool padded = is_none(left) || is_none(right);

	put_bounds(p, b);
	if (!is_none(left))
		put_half(l, l->to, left, b->col);
	if (!is_none(right) && !left_only(p))
		put_half(r, is_none(left) ? r->alone : r->to, right, b->col);
	if (padded)
		pad(b);
	fl_build_row(b, time, wm, op);
	/* summing the columns' sizes costs more than a row: now and then is enough */
	return b->rows % 64 == 0 && fl_build_bytes(b) >= EMIT_BYTES ? emit(p, err) : 0;
}

int
fl_pairs_put_sided(struct fl_pairs *p, enum fl_join_side side, struct fl_half mine,
		   struct fl_half other, int64_t time, int64_t wm, enum fl_rowkind op,
		   struct fl_err *err)
{
	return side == FL_JOIN_SIDE_LEFT ? fl_pairs_put(p, mine, other, time, wm, op, err)
					 : fl_pairs_put(p, other, mine, time, wm, op, err);
}

/* ---- late rows ------------------------------------------------------------------------------ */

int
fl_pairs_late_open(struct fl_pairs *p, const char *path, struct fl_err *err)
{
	p->late_path = path;
	if (!path)
		return 0;
	fl_build_resize(&p->late, p->full.column_count);
	p->late_file = fl_run_side(p->run, path, &p->full, err);
	return p->late_file ? 0 : err->code;
}

void
fl_pairs_late(struct fl_pairs *p, enum fl_join_side side, uint32_t row, bool padded)
{
	const struct fl_pairs_side *s = &p->side[side], *left = &p->side[FL_JOIN_SIDE_LEFT];
	uint32_t which;

	if (!p->late_file) {
		p->late_padded += padded;
		p->late_dropped += !padded;
		return;
	}
	p->late_dropped++;
	for (uint32_t c = 0; c < s->columns; c++) {
		uint32_t to = s->full[c];

		if (to == FL_NO_COLUMN && is_key(s->header, c, &which))
			to = left->full[left->header->keys[which]];
		if (p->late.col[to].rows == p->late.rows)
			fl_put_value(&p->late.col[to], fl_batch_col(s->batch, c), row);
	}
	pad(&p->late);
	fl_build_row(&p->late, 0, 0, FL_INSERT);
}

static int
flush_late(struct fl_pairs *p, struct fl_err *err)
{
	int rc = 0;

	if (p->late_dropped)
		fl_run_late(p->run, p->late_dropped, p->late_path);
	p->late_dropped = 0;
	if (p->late.rows)
		rc = fl_side_write(p->late_file, &p->full, fl_build_view(&p->late), err);
	fl_build_clear(&p->late);
	return rc;
}

void
fl_pairs_notes(struct fl_pairs *p)
{
	const char *name;

	if (p->late_padded)
		fl_run_note(p->run, "%llu late record%s not joined, but padded at once",
			    (unsigned long long)p->late_padded, p->late_padded == 1 ? "" : "s");
	for (size_t i = 0; p->on && (name = fl_expr_unseen(p->on, i)); i++)
		fl_run_note(p->run, "--on: column \"%s\" never came", name);
}

int
fl_pairs_flush(struct fl_pairs *p, struct fl_err *err)
{
	p->side[0].batch = p->side[1].batch = NULL;
	if ((p->late_dropped || p->late.rows) && flush_late(p, err) < 0)
		return err->code;
	return p->build.rows ? emit(p, err) : 0;
}

/* ---- the condition -------------------------------------------------------------------------- */

void
fl_pairs_try(struct fl_pairs *p, struct fl_half left, struct fl_half right)
{
	const struct fl_pairs_side *l = &p->side[FL_JOIN_SIDE_LEFT];
	const struct fl_pairs_side *r = &p->side[FL_JOIN_SIDE_RIGHT];
	struct fl_build *b = &p->candidates;

	put_bounds(p, b);
	put_half(l, l->full, left, b->col);
	put_half(r, r->full, right, b->col);
	fl_build_row(b, 0, 0, FL_INSERT);
}

void
fl_pairs_try_sided(struct fl_pairs *p, enum fl_join_side side, struct fl_half mine,
		   struct fl_half other)
{
	if (side == FL_JOIN_SIDE_LEFT)
		fl_pairs_try(p, mine, other);
	else
		fl_pairs_try(p, other, mine);
}

uint32_t
fl_pairs_tried(const struct fl_pairs *p)
{
	return p->candidates.rows;
}

/*
 * The candidates of which the condition could not be said. Not fl_run_bad where that
 * would stop the tool: it would count records of the input, and these are pairs.
 */
static int
on_bad(struct fl_pairs *p, const struct fl_batch *b, struct fl_err *err)
{
	struct fl_batch shown = *b;
	uint32_t columns = p->side[FL_JOIN_SIDE_LEFT].columns;

	if (p->bad.count == 0)
		return 0;
	if (fl_run_options(p->run)->on_error == 0)
		return fl_fail(err, FL_EDATA, "bad pair of records: --on: %s%s", p->bad.reason,
			       p->bad.place);
	shown.cols = shown.cols < columns ? shown.cols : columns;
	return fl_run_bad(p->run, &shown, &p->bad, "--on", err);
}

int
fl_pairs_test(struct fl_pairs *p, const uint8_t **ret, struct fl_err *err)
{
	const struct fl_batch *b = fl_build_view(&p->candidates);
	uint8_t *verdict;
	uint32_t *rows, n = 0;
	int rc = 0;

	fl_buf_clear(&p->verdict);
	verdict = (uint8_t *)fl_buf_reserve(&p->verdict, b->rows + 1);
	memset(verdict, 0, b->rows);
	*ret = verdict;
	if (b->rows == 0)
		return 0;
	fl_buf_clear(&p->rows);
	rows = (uint32_t *)(void *)fl_buf_reserve(&p->rows, b->rows * sizeof *rows);
	fl_badrows_reset(&p->bad);
	rc = fl_expr_filter(p->on, b, &p->bad, rows, &n, err);
	for (uint32_t i = 0; i < n && rc == 0; i++)
		verdict[rows[i]] = 1;
	for (uint32_t i = p->bad.first; p->bad.count && i < p->bad.mask.len; i++)
		verdict[i] = p->bad.mask.data[i] ? 0 : verdict[i];
	if (rc == 0)
		rc = on_bad(p, b, err);
	fl_build_clear(&p->candidates);
	return rc;
}

/* ---- snapshots -------------------------------------------------------------------------------- */

/* Names, one behind the other: each its length in four bytes and its bytes. */
static void
put_name(struct fl_buf *out, const struct fl_column *c)
{
	uint32_t n = (uint32_t)c->name_len;

	fl_buf_put(out, &n, sizeof n);
	fl_buf_put(out, c->name, c->name_len);
}

static void
list_columns(const struct fl_pairs_side *s, bool keys, struct fl_buf *out)
{
	uint32_t n = keys ? s->header->key_count : s->columns;

	fl_buf_clear(out);
	for (uint32_t i = 0; i < n; i++)
		put_name(out, &s->header->columns[keys ? s->header->keys[i] : i]);
}

static const char *const side_words[2] = { "left", "right" };
static const char *const key_names[2] = { "left key", "right key" };
static const char *const column_names[2] = { "left columns", "right columns" };

/* For fcheckpoint show: lists of names. */
static const char *const layouts[][2] = {
	{ "left key", "[]{size text}" },
	{ "right key", "[]{size text}" },
	{ "left columns", "[]{size text}" },
	{ "right columns", "[]{size text}" },
};

void
fl_pairs_save(const struct fl_pairs *p, const char *what, struct fl_save *s)
{
	const char *kind = fl_join_kind_name(p->kind);
	struct fl_buf names = { 0 };

	fl_state_section_named(s, FL_PAIRS_SECTION, 1, layouts, FL_ARRAY_LEN(layouts));
	fl_save_bytes(s, "what", what, strlen(what));
	fl_save_bytes(s, "kind", kind, strlen(kind));
	for (int i = 0; i < 2; i++) {
		list_columns(&p->side[i], true, &names);
		fl_save_bytes(s, key_names[i], names.data, names.len);
		list_columns(&p->side[i], false, &names);
		fl_save_bytes(s, column_names[i], names.data, names.len);
	}
	fl_buf_release(&names);
}

/* The names of a list as text, for messages; false if it is no list. */
static bool
spell(const char *p, size_t n, struct fl_buf *out)
{
	const char *end = p + n;
	uint32_t len;

	fl_buf_clear(out);
	while ((size_t)(end - p) >= sizeof len) {
		memcpy(&len, p, sizeof len);
		p += sizeof len;
		if ((size_t)(end - p) < len)
			return false;
		if (out->len)
			fl_buf_putc(out, ',');
		fl_buf_put(out, p, len);
		p += len;
	}
	fl_buf_putc(out, '\0');
	out->len--;
	return p == end;
}

static int
differs(const char *what, const char *was, size_t was_len, const char *is, struct fl_err *err)
{
	return fl_fail(err, FL_ECONFIG,
		       "the checkpoint does not fit: its %s is \"%.*s\", here it is \"%s\"", what,
		       (int)(was_len < 200 ? was_len : 200), was, is);
}

/* A list of names: as it was, or (columns) as it began. */
static int
check_list(const struct fl_pairs *p, int side, bool keys, const struct fl_state_entry *e,
	   struct fl_load *l, struct fl_err *err)
{
	struct fl_buf now = { 0 }, was_text = { 0 }, now_text = { 0 };
	char what[32];
	bool same;
	int rc = 0;

	list_columns(&p->side[side], keys, &now);
	same = keys ? now.len == e->value_len : now.len >= e->value_len;
	if (!spell(e->value, e->value_len, &was_text))
		rc = fl_load_damaged(l, "a list of columns", err);
	if (rc == 0 && (!same || (e->value_len && memcmp(now.data, e->value, e->value_len) != 0))) {
		(void)spell(now.data, now.len, &now_text);
		(void)snprintf(what, sizeof what, "%s",
			       keys ? key_names[side] : column_names[side]);
		rc = differs(what, was_text.data, was_text.len, now_text.data ? now_text.data : "",
			     err);
	}
	fl_buf_release(&now);
	fl_buf_release(&was_text);
	fl_buf_release(&now_text);
	return rc;
}

static int
check_word(const char *name, const char *is, const struct fl_state_entry *e, struct fl_err *err)
{
	if (e->value_len == strlen(is) && memcmp(e->value, is, e->value_len) == 0)
		return 0;
	return differs(name, e->value, e->value_len, is, err);
}

int
fl_pairs_load(const struct fl_pairs *p, const char *what, struct fl_load *l, struct fl_err *err)
{
	struct fl_state_entry e;
	int rc;

	while ((rc = fl_load_entry(l, &e, err)) > 0) {
		if (fl_state_is(&e, "what"))
			rc = check_word("join", what, &e, err);
		else if (fl_state_is(&e, "kind"))
			rc = check_word("kind", fl_join_kind_name(p->kind), &e, err);
		for (int i = 0; i < 2 && rc >= 0; i++) {
			if (fl_state_is(&e, key_names[i]))
				rc = check_list(p, i, true, &e, l, err);
			else if (fl_state_is(&e, column_names[i]))
				rc = check_list(p, i, false, &e, l, err);
		}
		if (rc < 0)
			return rc;
	}
	return rc;
}

void
fl_pairs_about(const struct fl_pairs *p, enum fl_join_side side, const char *layout,
	       struct fl_buf *out)
{
	fl_state_say(&(struct fl_state_says){ .header = p->side[side].header,
					      .ns = "side",
					      .side = side_words[side],
					      .value = layout ? NULL : "row",
					      .layout = layout },
		     out);
}

void
fl_pairs_about_both(const struct fl_pairs *p, const char *ns, const char *layout,
		    const int64_t (*windows)[2], uint32_t window_count, struct fl_buf *out)
{
	const struct fl_header *left = p->side[0].header, *right = p->side[1].header;
	struct fl_header keys = { .columns = left->columns,
				  .keys = left->keys,
				  .key_count = left->key_count };

	/* .columns: none, only the names of the key */
	fl_state_say(&(struct fl_state_says){ .header = &keys,
					      .ns = ns,
					      .layout = layout,
					      .left = left,
					      .right = right,
					      .windows = windows,
					      .window_count = window_count },
		     out);
}

/* ---- state on disk ---------------------------------------------------------------------- */

#define PORTION_MIN 512u
#define KEY_BYTES FL_KIB(4) /* what is kept of a key, a guess on the high side */

uint32_t
fl_join_portion(const struct fl_spill *s)
{
	size_t n;

	if (!fl_spill_on_disk(s))
		return UINT32_MAX;
	n = fl_backend_cache_max(s->backend) / KEY_BYTES;
	return n < PORTION_MIN ? PORTION_MIN : n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

/* ---- engines in event time ------------------------------------------------------------- */

void
fl_join_save(const struct fl_pairs *p, const char *what, int64_t wm, uint64_t seq,
	     struct fl_save *s)
{
	static const char *const named[][2] = { { "watermark", "time" } };

	fl_pairs_save(p, what, s);
	fl_state_section_named(s, "clock", 1, named, FL_ARRAY_LEN(named));
	fl_save_int(s, "watermark", wm);
	fl_save_int(s, "arrivals", (int64_t)seq);
}

static int
load_clock(int64_t *ret_wm, uint64_t *ret_seq, struct fl_load *l, struct fl_err *err)
{
	struct fl_state_entry e;
	int64_t seq;
	int rc;

	while ((rc = fl_load_entry(l, &e, err)) > 0) {
		if (fl_state_is(&e, "watermark"))
			rc = fl_state_int(&e, ret_wm, err);
		else if (fl_state_is(&e, "arrivals") && (rc = fl_state_int(&e, &seq, err)) == 0)
			*ret_seq = (uint64_t)seq;
		if (rc < 0)
			return rc;
	}
	return rc;
}

static int
load_section(const struct fl_join_section *sections, const struct fl_state_section *s, void *self,
	     struct fl_load *l, struct fl_err *err)
{
	struct fl_state_entry e;
	int rc;

	while (sections->name && strcmp(s->name, sections->name) != 0)
		sections++;
	if (!sections->name || s->version == 0 || s->version > sections->version)
		return fl_load_unknown(l, s, err);
	while ((rc = fl_load_entry(l, &e, err)) > 0)
		if (sections->load(self, s, &e, l, err) < 0)
			return err->code;
	return rc;
}

int
fl_join_restore(const struct fl_pairs *p, struct fl_spill *spill, const char *what, int64_t *ret_wm,
		uint64_t *ret_seq, const struct fl_join_section *sections, void *self,
		struct fl_load *l, struct fl_err *err)
{
	struct fl_state_section s;
	int rc;

	while ((rc = fl_load_section(l, &s, err)) > 0) {
		if (strcmp(s.name, FL_PAIRS_SECTION) == 0)
			rc = fl_pairs_load(p, what, l, err);
		else if (strcmp(s.name, "clock") == 0)
			rc = load_clock(ret_wm, ret_seq, l, err);
		else if ((rc = fl_spill_load(spill, l, &s, err)) == 0)
			rc = load_section(sections, &s, self, l, err);
		if (rc < 0)
			return rc;
	}
	return rc;
}
