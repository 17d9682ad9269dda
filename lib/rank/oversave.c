/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OVER in checkpoints.
 *
 * Sections, version 1
 *	"over"     by name: numbers "seq", "agg-seq", "watermark"; text "definitions": frame
 *	           and definitions, which must be the same
 *	"keys"     an entry a key: struct fixed, its rows as length (u32) and row, the saved
 *	           accumulator
 *	"pending"  an entry a row whose turn has not come: its key, and the row
 * Rows: rank/saved.h. On disk, instead of keys and what is pending, the section "files"; the
 * value of a key is u32 rows whose turn has not come, these, sized, and then as in "keys".
 */
#include <stdlib.h>

#include "checkpoint/about.h"
#include "rank/over.h"
#include "stream/row.h"
#include "window/save.h"

/* What is said of a key, little-endian. */
struct fixed {
	uint64_t seq; /* arrival of the key */
	int64_t last_ms, shown_ms;
	uint64_t number, rank, dense;
	uint32_t count, frame, shown, added;
};

/* A key with the rows that have had their turn, and the accumulator. */
static void
put_key(const struct fl_over *o, struct fl_entry *e, struct fl_buf *value)
{
	const struct fl_over_key *k = fl__over_key(e);
	struct fixed f = { .seq = e->seq,
			   .last_ms = k->last_ms,
			   .shown_ms = k->shown_ms,
			   .number = k->number,
			   .rank = k->rank,
			   .dense = k->dense,
			   .count = k->count,
			   .frame = k->frame,
			   .shown = k->shown,
			   .added = k->added };

	fl_buf_put(value, &f, sizeof f);
	for (uint32_t i = 0; i < k->count; i++)
		fl_saved_put_sized(value, *fl__over_at(k, i));
	if (o->aggs)
		fl_aggs_save(o->aggs, fl__over_acc(e), value);
}

/* Frame and definitions, as text. */
static void
describe(const struct fl_over *o, struct fl_buf *to)
{
	fl_buf_printf(to, "%s %lld:", o->spec.frame == FL_OVER_ROWS ? "rows" : "range",
		      (long long)o->spec.before);
	for (uint32_t i = 0; i < o->def_count; i++)
		fl_buf_printf(to, " %s", o->def[i].text);
}

/* For fcheckpoint show: a row, a key as put_key writes it, and what is on disk. */
#define KEY(row) \
	"-:u64 last:time -:time row_number:u64 rank:u64 dense_rank:u64 count skip(12) " \
	"rows[#]<" row "> aggregates:aggregates"
#define STORED(row) "@pending[u32]<" row "> " KEY(row)

static void
say(const struct fl_over *o, const char *layout, struct fl_buf *out)
{
	fl_window_about(fl_run_header(o->run, 0), o->aggs, o->spec.before >= 0, "", layout, out);
}

void
fl_over_snapshot(const struct fl_over *o, struct fl_save *s)
{
	static const char *const named[][2] = { { "watermark", "time" } };
	struct fl_buf value = { 0 }, about = { 0 };

	fl_state_section_named(s, "over", 1, named, FL_ARRAY_LEN(named));
	fl_save_int(s, "seq", (int64_t)o->seq);
	fl_save_int(s, "agg-seq", (int64_t)o->agg_seq);
	fl_save_int(s, "watermark", o->wm_ms);
	describe(o, &value);
	fl_save_bytes(s, "definitions", value.data, value.len);
	if (fl_spill_on_disk(&o->spill)) {
		fl_spill_save(&o->spill, s);
		fl_buf_release(&value);
		return;
	}
	say(o, o->timed ? KEY(FL_SAVED_ROW) : KEY(FL_SAVED_ROW_UNTIMED), &about);
	fl_save_section(s, "keys", 1, about.data);
	fl_buf_release(&about);
	for (uint32_t i = 0; i < o->table.count; i++) {
		struct fl_entry *e = fl_table_at(&o->table, i);

		if (!(e->flags & FL__OVER_INIT))
			continue;
		fl_buf_clear(&value);
		put_key(o, e, &value);
		fl_saved_entry(s, e, &value);
	}
	fl_saved_pending(s, fl_run_header(o->run, 0), false);
	for (size_t i = 0; i < fl_dues_count(&o->dues); i++) {
		fl_buf_clear(&value);
		fl_saved_put_row(&value, fl_dues_at(&o->dues, i)->item);
		fl_saved_entry(s, fl_dues_at(&o->dues, i)->entry, &value);
	}
	fl_buf_release(&value);
}

size_t
fl_over_bytes(const struct fl_over *o)
{
	return o->budget.used + fl_items_bytes(&o->mem) +
	       (o->aggs ? fl_aggs_extra_bytes(o->aggs) : 0);
}

/* ---- reading ---------------------------------------------------- */

static int
damaged(struct fl_err *err)
{
	return fl_fail(err, FL_EDATA, "what was kept of a key is damaged");
}

/* What put_key wrote: p .. end, into an entry that is fresh. */
static int
take_key(struct fl_over *o, struct fl_entry *e, const char *p, const char *end, struct fl_err *err)
{
	struct fl_over_key *k = fl__over_key(e);
	struct fixed f;

	if (!fl_take_bytes(&p, end, &f, sizeof f) || f.frame > f.shown || f.shown > f.added ||
	    f.added > f.count)
		return damaged(err);
	fl__over_init_key(o, e);
	k->last_ms = f.last_ms;
	k->shown_ms = f.shown_ms;
	k->number = f.number;
	k->rank = f.rank;
	k->dense = f.dense;
	for (uint32_t i = 0; i < f.count; i++) {
		struct fl_item *item = fl_saved_get_sized(&o->mem, &p, end, err);

		if (!item)
			return err->code;
		fl__over_append(o, k, item);
	}
	k->frame = f.frame;
	k->shown = f.shown;
	k->added = f.added;
	if (!o->aggs)
		return p == end ? 0 : damaged(err);
	return fl_aggs_load(o->aggs, fl__over_acc(e), p, (size_t)(end - p), err);
}

static int
load_key(void *self, struct fl_load *l, const struct fl_state_entry *in, struct fl_err *err)
{
	struct fl_over *o = self;
	struct fl_key key = fl_groupkeys_loaded(&o->keys, in);
	uint32_t live = o->table.live;
	struct fl_entry *e;
	struct fixed f;
	int rc;

	if (in->value_len < sizeof f)
		return fl_load_damaged(l, "a key", err);
	memcpy(&f, in->value, sizeof f);
	if (fl_spill_put(&o->spill, 0, &o->table, &key, NULL, 1, f.seq, &e, err) < 0)
		return err->code;
	if (live == o->table.live)
		return fl_load_damaged(l, "a key that comes twice", err);
	rc = take_key(o, e, in->value, in->value + in->value_len, err);
	return rc == FL_EDATA ? fl_load_damaged(l, "a key", err) : rc;
}

static void
push_pending(struct fl_over *o, struct fl_entry *e, struct fl_item *item)
{
	fl_dues_push(&o->dues, &(struct fl_due){ .time = item->time,
						 .seq = item->seq,
						 .item = item,
						 .entry = e });
}

static int
load_pending(void *self, struct fl_load *l, const struct fl_state_entry *in, struct fl_err *err)
{
	struct fl_over *o = self;
	struct fl_key key = fl_groupkeys_loaded(&o->keys, in);
	struct fl_item *item = fl_saved_get_row(&o->mem, in->value, in->value + in->value_len,
						err);
	struct fl_entry *e;

	if (!item)
		return fl_load_damaged(l, "a row", err);
	if (fl_spill_put(&o->spill, 0, &o->table, &key, NULL, 1, item->seq, &e, err) < 0) {
		fl_item_free(&o->mem, item);
		return err->code;
	}
	fl__over_init_key(o, e);
	push_pending(o, e, item);
	return 0;
}

static int
load_number(void *self, const struct fl_state_entry *e, struct fl_err *err)
{
	struct fl_over *o = self;
	struct fl_buf now = { 0 };
	int64_t v;
	int rc = 0;

	if (fl_state_is(e, "definitions")) {
		describe(o, &now);
		if (e->value_len != now.len || memcmp(e->value, now.data, now.len) != 0)
			rc = fl_fail(err, FL_ECONFIG, "the checkpoint is of %.*s, not of %.*s",
				     (int)(e->value_len < 300 ? e->value_len : 300), e->value,
				     (int)(now.len < 300 ? now.len : 300), now.data);
		fl_buf_release(&now);
		return rc;
	}
	if (fl_state_int(e, &v, err) < 0)
		return err->code;
	if (fl_state_is(e, "seq"))
		o->seq = (uint64_t)v;
	else if (fl_state_is(e, "agg-seq"))
		o->agg_seq = (uint64_t)v;
	else if (fl_state_is(e, "watermark"))
		o->wm_ms = v;
	return 0;
}

int
fl_over_restore(struct fl_over *o, struct fl_load *l, struct fl_err *err)
{
	static const struct fl_saved_loader loader = {
		.numbers = "over", .number = load_number, .key = load_key, .pending = load_pending
	};

	return fl_saved_load(&loader, o, &o->spill, l, err);
}

/* ---- on disk ---------------------------------------------------- */

/* Link the rows whose turn has not come to their keys. */
static void
prepare(void *self)
{
	struct fl_over *o = self;

	for (uint32_t i = 0; i < o->table.count; i++)
		fl__over_key(fl_table_at(&o->table, i))->waiting = NULL;
	for (size_t i = 0; i < fl_dues_count(&o->dues); i++) {
		const struct fl_due *due = fl_dues_at(&o->dues, i);
		struct fl_over_key *k = fl__over_key(due->entry);

		fl_item_link(due->item)->next = k->waiting;
		k->waiting = due->item;
	}
}

static void
encode(void *self, int64_t ns, struct fl_entry *e, struct fl_buf *out)
{
	const struct fl_over_key *k = fl__over_key(e);
	const struct fl_over *o = self;
	size_t at = out->len;
	uint32_t n = 0;

	(void)ns;
	if (!(e->flags & FL__OVER_INIT))
		return;
	fl_buf_put(out, &n, sizeof n);
	for (struct fl_item *i = k->waiting; i; i = fl_item_link(i)->next, n++)
		fl_saved_put_sized(out, i);
	memcpy(out->data + at, &n, sizeof n);
	put_key(o, e, out);
}

static int
decode(void *self, int64_t ns, struct fl_entry *e, struct fl_bytes value, struct fl_err *err)
{
	const char *p = value.p, *end = p + value.n;
	struct fl_over *o = self;
	uint32_t n;

	(void)ns;
	if (!fl_take_bytes(&p, end, &n, sizeof n))
		return damaged(err);
	for (; n; n--) {
		struct fl_item *item = fl_saved_get_sized(&o->mem, &p, end, err);

		if (!item)
			return err->code;
		push_pending(o, e, item);
	}
	return take_key(o, e, p, end, err);
}

static int64_t
due_of(void *self, int64_t ns, struct fl_entry *e)
{
	int64_t due = FL_TIME_MAX;

	(void)self;
	(void)ns;
	for (struct fl_item *i = fl__over_key(e)->waiting; i; i = fl_item_link(i)->next)
		due = i->time < due ? i->time : due;
	return due;
}

static size_t
held(const void *self)
{
	const struct fl_over *o = self;

	return fl_over_bytes(o) + o->dues.heap.cap;
}

static void
about(const void *self, struct fl_buf *out)
{
	const struct fl_over *o = self;

	say(o, o->timed ? STORED(FL_SAVED_ROW) : STORED(FL_SAVED_ROW_UNTIMED), out);
}

static const struct fl_spill_ops spill_ops = {
	.version = 1,
	.table_at = offsetof(struct fl_over, table),
	.prepare = prepare,
	.encode = encode,
	.decode = decode,
	.due = due_of,
	.forget = fl__over_forget,
	.held = held,
	.about = about,
};

int
fl__over_open_spill(struct fl_over *o, struct fl_err *err)
{
	if (fl_spill_open(&o->spill, o->run, &spill_ops, o, &o->keys.keys, err) < 0)
		return err->code;
	o->budget.max = fl_spill_memory_max(&o->spill);
	return 0;
}

int
fl_over_checkpoint(struct fl_over *o, struct fl_err *err)
{
	return fl_spill_checkpoint(&o->spill, err);
}
