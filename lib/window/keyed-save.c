/* SPDX-License-Identifier: Apache-2.0 */
/* Windows kept key by key: snapshots, and the state on disk. */
#include <stdlib.h>

#include "stream/row.h"
#include "time/timestamp.h"
#include "window/keyed-int.h"
#include "window/save.h"

/* ---- places ----------------------------------------------------------------------- */

#define STEPS FL_KEYED_PLACES
#define AT_MAX (INT64_MAX / STEPS) /* places tell no later moments apart: the year 10889 */
#define SCALE_MAX INT64_C(28672)   /* more than scale gives */

int64_t
fl__keyed_place_of(int64_t at, int64_t step)
{
	at = at > AT_MAX ? AT_MAX : at < -AT_MAX ? -AT_MAX : at;
	return at * STEPS + step;
}

int64_t
fl__keyed_place_time(int64_t place)
{
	int64_t at = place >> 15; /* rounds down */

	return at >= AT_MAX ? FL_TIME_MAX : at;
}

_Static_assert(STEPS == 1 << 15, "a place is a moment and 15 bits");

/* A number in fewer bits, in the same order: its 10 highest bits, and where they are. */
static int64_t
scale(uint64_t x)
{
	unsigned bits;

	if (x < 512)
		return (int64_t)x;
	bits = 63 - (unsigned)__builtin_clzll(x);
	return (int64_t)((uint64_t)(bits - 8) << 9 | (x >> (bits - 9) & 511));
}

/*
 * Where a pane stands among those that are due at its moment: in the order of by_window
 * (keyed.c), but not so fine.
 */
static int64_t
step_of(const struct fl_keyed *k, const struct fl_pane *p, int64_t at)
{
	int64_t n, i, each;

	if (at >= AT_MAX && p->window.end != FL_TIME_MAX)
		return 0;
	if (p->window.end <= at) /* it goes, without a row */
		return 0;
	if (k->spec.kind == FL_WINDOW_SESSION)
		return scale((uint64_t)(p->window.end - at));
	if (!k->aligned)
		return scale(p->seq);
	/* windows that hold a moment: the steps are shared by them, as they end */
	n = fl_windows_count(&k->windows, at);
	if (n <= 1)
		return scale(p->seq);
	each = k->windows.step ? k->windows.step : k->windows.grid;
	i = (p->window.end - fl_windows_nth(&k->windows, at, 0).end) / each;
	i = i < 0 ? 0 : i >= n ? n - 1 : i;
	if (n > SCALE_MAX)
		return (int64_t)((double)i / (double)n * (double)SCALE_MAX);
	return i * (SCALE_MAX / n) + scale(p->seq) * (SCALE_MAX / n) / SCALE_MAX;
}

int64_t
fl__keyed_place(const struct fl_keyed *k, const struct fl_pane *p)
{
	int64_t at = due_time(k, p);

	if (at == FL_TIME_MAX && k->spec.trigger == FL_TRIGGER_COUNT)
		return FL_TIME_MAX;
	return fl__keyed_place_of(at, step_of(k, p, at));
}

/* ---- snapshots -------------------------------------------------------------------- */

/* Behind the accumulator of a pane; the accumulator that was told comes last. */
struct saved_pane {
	uint64_t seq;
	int64_t every_ms;
	int64_t count;
	uint64_t flags;
};

/* Before a kept row. */
struct saved_row {
	uint64_t seq;
	int64_t time;
};

enum { SAVED_FILLED = 1, SAVED_END_DONE = 2, SAVED_TOLD = 4 };

size_t
fl_keyed_bytes(const struct fl_keyed *k)
{
	if (fl_spill_on_disk(&k->spill))
		return 0; /* files that are there already */
	return fl__keyed_held(k);
}

static struct saved_pane
saved_of(const struct fl_pane *p)
{
	return (struct saved_pane){ p->seq, p->more->every_ms, p->more->count,
				    (p->filled ? SAVED_FILLED : 0u) |
					    (p->end_done ? SAVED_END_DONE : 0u) |
					    (p->more->told ? SAVED_TOLD : 0u) };
}

/* Whether panes of these windows can be like that. */
static bool
can_have(const struct fl_keyed *k, const struct saved_pane *saved)
{
	bool more = saved->every_ms != FL_TIME_MAX || saved->count || saved->flags & SAVED_TOLD;

	return !(more && k->is_plain) && (k->aggs || !(saved->flags & SAVED_TOLD));
}

static void
set_pane(const struct fl_keyed *k, struct fl_pane *p, const struct saved_pane *saved)
{
	p->filled = saved->flags & SAVED_FILLED;
	p->end_done = saved->flags & SAVED_END_DONE;
	if (k->is_plain)
		return;
	p->more->every_ms = saved->every_ms;
	p->more->count = saved->count;
}

static void
save_pane(const struct fl_keyed *k, const struct fl_pane *p, struct fl_buf *value,
	  struct fl_save *s)
{
	const struct fl_pane_more *more = p->more;
	struct saved_pane extra = saved_of(p);

	fl_buf_clear(value);
	/* of kept rows the accumulator is made anew at each firing */
	fl_window_put_acc(value, k->keeps_rows ? NULL : k->aggs, p->acc);
	fl_buf_put(value, &extra, sizeof extra);
	if (more->told)
		fl_buf_put(value, more->told_acc.data, more->told_acc.len);
	fl_window_save_entry(s, &p->window, p->entry, value);
}

static void
save_rows(const struct fl_pane *p, struct fl_buf *value, struct fl_save *s)
{
	for (const struct fl_kept *r = p->more->first; r; r = r->next) {
		struct saved_row head = { r->seq, r->time };

		fl_buf_clear(value);
		fl_buf_put(value, &head, sizeof head);
		fl_buf_put(value, r->data, r->bytes);
		fl_window_save_entry(s, &p->window, p->entry, value);
	}
}

/* All panes; of one key the last of the list first, as it is built from its end. */
static void
save_all(const struct fl_keyed *k, bool rows, struct fl_save *s)
{
	struct fl_buf value = { 0 }, list = { 0 };

	for (uint32_t i = 0; i < k->table.count; i++) {
		struct fl_entry *e = fl_table_at(&k->table, i);
		struct fl_pane **pane;

		fl_buf_clear(&list);
		for (struct fl_pane *p = e->deleted ? NULL : *panes_of(e); p; p = p->next)
			fl_buf_put(&list, &p, sizeof p);
		pane = (struct fl_pane **)(void *)list.data;
		for (size_t n = list.len / sizeof *pane; n > 0; n--) {
			if (rows)
				save_rows(pane[n - 1], &value, s);
			else
				save_pane(k, pane[n - 1], &value, s);
		}
	}
	fl_buf_release(&value);
	fl_buf_release(&list);
}

/* ---- on disk ---------------------------------------------------------------------- */

/*
 * The value of a key, version 1: its panes, of its list the last first, each
 *	i64 start, i64 end of the window, struct saved_pane
 *	u32 length of the accumulator, the accumulator (of kept rows: nothing)
 *	u32 length of what was told, that
 *	u64 number of kept rows, each: struct saved_row, u32 length, stream/row.h
 */
#define VALUE_VERSION 1

static void
put_bytes(struct fl_buf *out, const void *p, size_t n)
{
	uint32_t len = (uint32_t)n;

	fl_buf_put(out, &len, sizeof len);
	if (n)
		fl_buf_put(out, p, n);
}

static void
encode_pane(const struct fl_keyed *k, const struct fl_pane *p, struct fl_buf *out)
{
	const struct fl_pane_more *more = p->more;
	struct saved_pane saved = saved_of(p);
	uint64_t rows = 0;

	fl_buf_put(out, &p->window, sizeof p->window);
	fl_buf_put(out, &saved, sizeof saved);
	fl_window_put_acc(out, k->keeps_rows ? NULL : k->aggs, p->acc);
	put_bytes(out, more->told_acc.data, more->told ? more->told_acc.len : 0);
	for (const struct fl_kept *r = more->first; r; r = r->next)
		rows++;
	fl_buf_put(out, &rows, sizeof rows);
	for (const struct fl_kept *r = more->first; r; r = r->next) {
		struct saved_row head = { r->seq, r->time };

		fl_buf_put(out, &head, sizeof head);
		put_bytes(out, r->data, r->bytes);
	}
}

static void
encode(void *self, int64_t ns, struct fl_entry *e, struct fl_buf *out)
{
	struct fl_keyed *k = self;
	struct fl_pane **pane;
	size_t n;

	(void)ns;
	fl_buf_clear(&k->list);
	for (struct fl_pane *p = *panes_of(e); p; p = p->next)
		fl_buf_put(&k->list, &p, sizeof p);
	pane = (struct fl_pane **)(void *)k->list.data;
	for (n = k->list.len / sizeof *pane; n > 0; n--)
		encode_pane(k, pane[n - 1], out);
}

/* What is left of a value. */
struct rest {
	const char *p;
	size_t n;
};

static bool
take(struct rest *r, void *to, size_t n)
{
	if (r->n < n)
		return false;
	memcpy(to, r->p, n);
	r->p += n;
	r->n -= n;
	return true;
}

/* Bytes behind their length. */
static bool
take_bytes(struct rest *r, struct rest *ret)
{
	uint32_t n;

	if (!take(r, &n, sizeof n) || r->n < n)
		return false;
	*ret = (struct rest){ r->p, n };
	r->p += n;
	r->n -= n;
	return true;
}

static int
damaged(struct fl_err *err)
{
	return fl_fail(err, FL_EDATA, "a window in RocksDB's files is damaged");
}

static int
decode_rows(struct fl_keyed *k, struct fl_pane *p, struct rest *r, struct fl_err *err)
{
	uint64_t rows;

	if (!take(r, &rows, sizeof rows) || (rows && !k->keeps_rows))
		return damaged(err);
	for (; rows; rows--) {
		struct saved_row head;
		struct rest row;

		if (!take(r, &head, sizeof head) || !take_bytes(r, &row) ||
		    fl_row_check(row.p, row.n, err) < 0)
			return damaged(err);
		fl__keyed_link_row(k, p, row.p, row.n, head.seq, head.time);
	}
	return 0;
}

/*
 * Kept with a lateness that was longer: it would have been cleaned up since the restore,
 * but comes from disk only now.
 */
static bool
is_over(const struct fl_keyed *k, const struct saved_pane *saved, const struct fl_window *w)
{
	struct fl_pane p = { .window = *w };

	return k->other_lateness && k->wm_ms > k->restored_ms && cleanup_time(k, &p) <= k->wm_ms &&
	       (saved->flags & SAVED_END_DONE || k->spec.trigger == FL_TRIGGER_COUNT);
}

static int
decode_pane(struct fl_keyed *k, struct fl_entry *e, struct rest *r, struct fl_err *err)
{
	struct saved_pane saved;
	struct fl_window w;
	struct rest acc, told;
	struct fl_pane *p;

	if (!take(r, &w, sizeof w) || w.start > w.end || !take(r, &saved, sizeof saved) ||
	    !take_bytes(r, &acc) || !take_bytes(r, &told) || !can_have(k, &saved))
		return damaged(err);
	p = fl__keyed_new_pane(k, e, &w, saved.seq);
	set_pane(k, p, &saved);
	if (!k->keeps_rows && fl_aggs_load(k->aggs, p->acc, acc.p, acc.n, err) < 0)
		return err->code;
	if (saved.flags & SAVED_TOLD) {
		p->more->told = true;
		fl_buf_put(&p->more->told_acc, told.p, told.n);
		k->row_bytes += p->more->told_acc.cap;
	}
	if (decode_rows(k, p, r, err) < 0)
		return err->code;
	if (is_over(k, &saved, &w))
		fl__keyed_drop_pane(k, p);
	else
		fl__keyed_set_timer(k, p);
	return 0;
}

static int
decode(void *self, int64_t ns, struct fl_entry *e, struct fl_bytes value, struct fl_err *err)
{
	struct fl_keyed *k = self;
	struct fl_key key = fl_entry_key(e);
	struct rest r = { value.p, value.n };

	(void)ns;
	if (!fl_key_check(&key, fl_run_header(k->run, 0)->key_count))
		return damaged(err);
	if (k->other_lateness) /* it is due at another time than was written */
		fl_spill_changed(&k->spill, e);
	while (r.n)
		if (decode_pane(k, e, &r, err) < 0)
			return err->code;
	return 0;
}

/*
 * The place of the first pane that is due. What was due before the watermark when it came
 * (records behind it, with "every") is due with the next one.
 */
static int64_t
due(void *self, int64_t ns, struct fl_entry *e)
{
	const struct fl_keyed *k = self;
	int64_t first = FL_TIME_MAX;

	(void)ns;
	for (const struct fl_pane *p = *panes_of(e); p; p = p->next) {
		int64_t place = fl__keyed_place(k, p);

		first = place < first ? place : first;
	}
	return first > k->handled || k->handled == FL_TIME_MAX ? first : k->handled + 1;
}

static void
forget(void *self)
{
	fl__keyed_clear(self);
}

/* For fcheckpoint show: struct saved_pane, saved_row, and the value of a key. */
#define PANE "arrival:u64 next_trigger:time counted:i64? bits64(filled,fired,told)"
#define ROW "arrival:u64 time:time"

static void
about(const void *self, struct fl_buf *out)
{
	const struct fl_keyed *k = self;
	const struct fl_header *in = fl_run_header(k->run, 0);

	if (k->keeps_rows)
		fl_window_about(in, NULL, false, "",
				"@[]{start end " PANE " size -:bytes size -:bytes "
				"@[u64]{" ROW " size row:row}}",
				out);
	else
		fl_window_about(in, k->aggs, in->changelog, "",
				"@[]{start end skip(32) size aggregates size -:bytes skip(8)}",
				out);
}

size_t
fl__keyed_held(const struct fl_keyed *k)
{
	return k->budget.used + k->row_bytes + (k->aggs ? fl_aggs_extra_bytes(k->aggs) : 0);
}

static size_t
held(const void *self)
{
	return fl__keyed_held(self);
}

int
fl__keyed_open_spill(struct fl_keyed *k, struct fl_err *err)
{
	static const struct fl_spill_ops ops = {
		.version = VALUE_VERSION,
		.table_at = offsetof(struct fl_keyed, table),
		.encode = encode,
		.decode = decode,
		.due = due,
		.forget = forget,
		.held = held,
		.about = about,
	};

	k->handled = FL_TIME_MIN;
	return fl_spill_open(&k->spill, k->run, &ops, k, &k->keys, err);
}

void
fl__keyed_ask_for_timer(struct fl_keyed *k)
{
	int64_t at = fl_timers_earliest(&k->timers), there;

	if (fl_spill_on_disk(&k->spill)) {
		there = fl__keyed_place_time(fl_spill_next(&k->spill));
		/* after a restore it is not known; what has passed comes with the next ms */
		there = there > k->wm_ms || k->wm_ms == FL_TIME_MAX ? there : k->wm_ms + 1;
		at = there < at ? there : at;
	}
	fl_run_timer(k->run, at);
}

/* ---- saving and loading ------------------------------------------------------------ */

int
fl_keyed_before_save(struct fl_keyed *k, struct fl_err *err)
{
	return fl_spill_checkpoint(&k->spill, err);
}

static void
save_section(struct fl_save *s, const char *name, const struct fl_header *in, const char *layout)
{
	struct fl_buf about = { 0 };

	fl_window_about(in, NULL, false, "window", layout, &about);
	fl_save_section(s, name, 1, about.data);
	fl_buf_release(&about);
}

void
fl_keyed_save(const struct fl_keyed *k, struct fl_save *s)
{
	const struct fl_header *in = fl_run_header(k->run, 0);
	struct fl_window_saved w = { .engine = "keyed",
				     .spec = k->said,
				     .updates = k->updates,
				     .wm_ms = k->wm_ms,
				     .seq = k->seq,
				     .entries = k->table.live,
				     .timer_ms = fl_timers_now(&k->timers) };

	fl_window_save(s, &w, in, k->aggs);
	if (fl_spill_on_disk(&k->spill)) {
		fl_spill_save(&k->spill, s);
		return;
	}
	if (k->keeps_rows)
		save_section(s, "panes", in, "size -:bytes " PANE " -:bytes");
	else
		fl_window_save_section(s, "panes", in, k->aggs, true);
	save_all(k, false, s);
	save_section(s, "rows", in, ROW " row:row");
	if (k->keeps_rows)
		save_all(k, true, s);
}

/* What was told, as it would have been saved by the present list of aggregates. */
static int
load_told(struct fl_keyed *k, struct fl_pane *p, struct fl_aggs_loader *loader, const char *told,
	  size_t n, struct fl_err *err)
{
	void *acc = fl_xcalloc(1, fl_aggs_size(k->aggs) + 8);
	int rc = fl_aggs_loader_load(loader, acc, told, n, err);

	if (rc == 0)
		fl_aggs_save(k->aggs, acc, &p->more->told_acc);
	fl_aggs_clear(k->aggs, acc);
	free(acc);
	k->row_bytes += p->more->told_acc.cap;
	p->more->told = true;
	return rc;
}

static int
load_pane(struct fl_keyed *k, struct fl_entry *e, const struct fl_window *w,
	  struct fl_aggs_loader *loader, const char *value, uint32_t n, struct fl_load *l,
	  struct fl_err *err)
{
	struct saved_pane saved;
	const char *acc, *rest;
	uint32_t acc_len, rest_len;
	struct fl_pane *p;

	if (!fl_window_split(value, n, sizeof saved, &acc, &acc_len, &rest, &rest_len) ||
	    w->start > w->end)
		return fl_load_damaged(l, "a window of a key", err);
	memcpy(&saved, rest, sizeof saved);
	if (!can_have(k, &saved))
		return fl_load_damaged(l, "a window with something that it cannot have", err);
	p = fl__keyed_new_pane(k, e, w, saved.seq);
	set_pane(k, p, &saved);
	if (!k->keeps_rows && fl_aggs_loader_load(loader, p->acc, acc, acc_len, err) < 0)
		return err->code;
	if (saved.flags & SAVED_TOLD &&
	    load_told(k, p, loader, rest + sizeof saved, rest_len - sizeof saved, err) < 0)
		return err->code;
	fl__keyed_set_timer(k, p);
	return 0;
}

static int
load_row(struct fl_keyed *k, struct fl_entry *e, const struct fl_window *w, const char *value,
	 uint32_t n, struct fl_load *l, struct fl_err *err)
{
	struct saved_row head;
	struct fl_pane *p = *panes_of(e);

	while (p && (p->window.start != w->start || p->window.end != w->end))
		p = p->next;
	if (!p || !k->keeps_rows || n < sizeof head)
		return fl_load_damaged(l, "a row of no window", err);
	memcpy(&head, value, sizeof head);
	value += sizeof head;
	n -= (uint32_t)sizeof head;
	if (fl_row_check(value, n, err) < 0)
		return fl_load_damaged(l, "a row of a window", err);
	fl__keyed_link_row(k, p, value, n, head.seq, head.time);
	return 0;
}

static int
load_section(struct fl_keyed *k, bool rows, struct fl_aggs_loader *loader, struct fl_load *l,
	     struct fl_err *err)
{
	struct fl_window_entries *b = fl_xcalloc(1, sizeof *b);
	struct fl_entry *entry[FL_WINDOW_LOAD_BATCH];
	int rc;

	b->key_count = fl_run_header(k->run, 0)->key_count;
	while ((rc = fl_window_load_entries(b, l, true, &k->keys, err)) > 0) {
		rc = fl_spill_put(&k->spill, 0, &k->table, b->key, NULL, b->n, 0, entry, err);
		for (uint32_t i = 0; i < b->n && rc == 0; i++)
			rc = rows ? load_row(k, entry[i], &b->ns[i], b->value[i], b->value_len[i],
					     l, err)
				  : load_pane(k, entry[i], &b->ns[i], loader, b->value[i],
					      b->value_len[i], l, err);
		if (rc == 0)
			rc = fl_spill_trim(&k->spill, err);
		if (rc < 0)
			break;
	}
	free(b);
	return rc;
}

/* The sections of a checkpoint of memory, of which the first has begun. */
static int
load_panes(struct fl_keyed *k, struct fl_aggs_loader *loader, struct fl_load *l, struct fl_err *err)
{
	int rc = load_section(k, false, loader, l, err);

	if (rc == 0)
		rc = fl_window_section(l, "rows", err);
	return rc < 0 ? rc : load_section(k, true, NULL, l, err);
}

int
fl_keyed_load(struct fl_keyed *k, struct fl_load *l, struct fl_err *err)
{
	struct fl_window_saved w = { .engine = "keyed", .spec = k->said, .updates = k->updates };
	int rc = fl_window_load(l, &w, fl_run_header(k->run, 0), k->aggs, err);

	if (rc == 0) {
		k->seq = w.seq;
		k->wm_ms = k->restored_ms = w.wm_ms;
		k->handled = fl__keyed_place_of(w.wm_ms, STEPS - 1);
		fl_timers_start(&k->timers, w.timer_ms);
		if (!fl_spill_on_disk(&k->spill))
			fl_table_expect(&k->table, w.entries);
		rc = fl_window_load_state(l, &w, "panes", &k->spill, err);
	}
	if (rc == 1)
		k->other_lateness = w.lateness != k->spec.lateness;
	else if (rc == 0)
		rc = load_panes(k, w.loader, l, err);
	fl_aggs_loader_free(w.loader);
	if (rc >= 0 && k->spec.processing_time)
		fl__keyed_ask_for_timer(k);
	if (rc < 0 || fl_spill_on_disk(&k->spill))
		return rc < 0 ? rc : 0;
	return fl_budget_check(&k->budget, fl_keyed_bytes(k) - k->budget.used, err);
}
