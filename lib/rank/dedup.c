/* SPDX-License-Identifier: Apache-2.0 */
#include "rank/dedup.h"

#include <stdlib.h>

#include "stream/row.h"
#include "time/timestamp.h"

/* What is known of a key. */
struct state {
	int64_t time;         /* TOLD, HELD: of that row; PENDING: of the earliest */
	struct fl_item *held; /* within, last */
	uint32_t pending;     /* rows in the queue that point to the entry */
};

/* fl_entry.flags */
enum {
	TOLD = 1,    /* a row has passed; within, last: is held */
	PENDING = 2, /* without within: one is in the queue */
};

static struct state *
state_of(struct fl_entry *e)
{
	return (struct state *)(void *)e->value;
}

int
fl_dedup_open(struct fl_dedup *d, struct fl_run *run, const struct fl_dedup_spec *spec,
	      struct fl_err *err)
{
	const struct fl_header *in = fl_run_header(run, 0);

	*d = (struct fl_dedup){
		.spec = *spec, .timed = in->time != NULL, .run = run, .wm_ms = FL_TIME_MIN
	};
	fl_budget_init(&d->budget, fl_run_memory_max(run));
	fl_groupkeys_init(&d->keys, true);
	fl_table_init(&d->table, &d->budget, sizeof(struct state));
	if (spec->within >= 0 && !d->timed)
		return fl_fail(err, FL_EUSAGE,
			       "--within needs event time: give --time (and --watermark) to the "
			       "tool that reads the text");
	if (fl_rowout_open(&d->out, run, NULL, NULL, 0, spec->updates, err) < 0)
		return err->code;
	d->out.build.timed = d->timed;
	return fl_late_open(&d->late, run, spec->late, err);
}

void
fl_dedup_release(struct fl_dedup *d)
{
	if (!d->run)
		return;
	while (fl_dues_count(&d->rows))
		fl_item_free(&d->mem, fl_dues_pop(&d->rows).item);
	for (uint32_t i = 0; i < d->table.count; i++) {
		struct fl_entry *e = fl_table_at(&d->table, i);

		if (!e->deleted && state_of(e)->held)
			fl_item_free(&d->mem, state_of(e)->held);
	}
	fl_dues_release(&d->rows);
	fl_dues_release(&d->expiry);
	fl_table_release(&d->table);
	fl_budget_release(&d->budget);
	fl_groupkeys_release(&d->keys);
	fl_items_release(&d->mem);
	fl_late_release(&d->late);
	fl_rowout_release(&d->out);
	fl_buf_release(&d->entries);
	fl_buf_release(&d->chosen);
	fl_buf_release(&d->pool);
	fl_buf_release(&d->pack);
	fl_buf_release(&d->wm_scratch);
}

int
fl_dedup_columns(struct fl_dedup *d, struct fl_err *err)
{
	return fl_rowout_columns(&d->out, err);
}

/* ---- passing ---------------------------------------------------- */

static int
pass(struct fl_dedup *d, const struct fl_item *item, int64_t wm, struct fl_err *err)
{
	fl_rowout_item(&d->out, item);
	return fl_rowout_end(&d->out, item->time, wm, FL_INSERT, err);
}

/* Keep record row of b in the queue. */
static void
push_row(struct fl_dedup *d, const struct fl_batch *b, uint32_t row, struct fl_entry *e)
{
	struct fl_due due = { .time = b->time[row], .seq = d->seq + row, .entry = e };
	struct fl_sortkey none = { 0 };

	fl_buf_clear(&d->pack);
	(void)fl_row_pack(b, row, &d->pack);
	due.item = fl_item_new(&d->mem, due.seq, due.time, &none, 0, d->pack.data, d->pack.len);
	fl_dues_push(&d->rows, &due);
	state_of(e)->pending++;
}

/* ---- by arrival ------------------------------------------------- */

/* The records chosen[0..n) of b pass as they are. */
static int
pass_chosen(struct fl_dedup *d, const struct fl_batch *b, struct fl_err *err)
{
	uint32_t n = (uint32_t)(d->chosen.len / sizeof(uint32_t));
	struct fl_batch out;

	if (n == 0)
		return 0;
	if (n == b->rows)
		return fl_emit(d->run, b, err);
	fl_batch_select(b, (const uint32_t *)(const void *)d->chosen.data, n, &d->pool, &out);
	return fl_emit(d->run, &out, err);
}

static int
by_arrival(struct fl_dedup *d, const struct fl_batch *b, struct fl_entry **entry,
	   struct fl_err *err)
{
	fl_buf_clear(&d->chosen);
	for (uint32_t i = 0; i < b->rows; i++) {
		if (entry[i]->flags & TOLD)
			continue;
		entry[i]->flags |= TOLD;
		fl_buf_put(&d->chosen, &i, sizeof i);
	}
	return pass_chosen(d, b, err);
}

/* ---- by time ---------------------------------------------------- */

/* None that is earlier than time can come at this watermark. */
static bool
is_settled(int64_t time, int64_t wm)
{
	return wm >= time || wm == time - 1;
}

static int
settle(struct fl_dedup *d, int64_t wm, struct fl_err *err)
{
	const struct fl_due *first;
	int rc = 0;

	while (rc == 0 && (first = fl_dues_first(&d->rows)) && is_settled(first->time, wm)) {
		struct fl_due due = fl_dues_pop(&d->rows);

		if (!(due.entry->flags & TOLD))
			rc = pass(d, due.item, d->wm_ms, err);
		due.entry->flags |= TOLD;
		fl_item_free(&d->mem, due.item);
	}
	return rc;
}

static int
by_time(struct fl_dedup *d, const struct fl_batch *b, uint32_t row, struct fl_entry *e,
	struct fl_err *err)
{
	struct state *s = state_of(e);
	int64_t time = b->time[row];

	if (e->flags & TOLD || (e->flags & PENDING && s->time <= time))
		return 0;
	e->flags |= PENDING;
	s->time = time;
	push_row(d, b, row, e);
	return is_settled(time, d->wm_ms) ? settle(d, d->wm_ms, err) : 0;
}

/* ---- within a time ---------------------------------------------- */

static int64_t
later(int64_t time, int64_t by)
{
	int64_t sum;

	return __builtin_add_overflow(time, by, &sum) ? FL_TIME_MAX : sum;
}

/* The watermark that goes on when wm is in force. */
static int64_t
forwarded(const struct fl_dedup *d, int64_t wm)
{
	int64_t behind;

	if (!d->spec.last || wm == FL_TIME_MAX || wm == FL_TIME_MIN)
		return wm;
	return __builtin_sub_overflow(wm, d->spec.within, &behind) ? FL_TIME_MIN : behind;
}

static void
expire_at(struct fl_dedup *d, struct fl_entry *e)
{
	struct fl_due due = { .time = later(state_of(e)->time, d->spec.within),
			      .seq = e->seq,
			      .entry = e };

	fl_dues_push(&d->expiry, &due);
}

/* A row in its turn. What it is compared with has not expired. */
static int
take_row(struct fl_dedup *d, const struct fl_due *due, struct fl_err *err)
{
	struct state *s = state_of(due->entry);
	bool known = due->entry->flags & TOLD;
	int rc = 0;

	s->pending--;
	if (!d->spec.last) {
		if (!known)
			rc = pass(d, due->item, d->wm_ms, err);
		fl_item_free(&d->mem, due->item);
		if (known)
			return rc;
	} else {
		if (s->held)
			fl_item_free(&d->mem, s->held);
		s->held = due->item;
	}
	s->time = due->time;
	due->entry->flags |= TOLD;
	if (!known)
		expire_at(d, due->entry);
	return rc;
}

static int
take_expiry(struct fl_dedup *d, const struct fl_due *due, struct fl_err *err)
{
	struct fl_entry *e = due->entry;
	struct state *s = state_of(e);
	int rc = 0;

	if (later(s->time, d->spec.within) > due->time) { /* another row came since */
		expire_at(d, e);
		return 0;
	}
	if (s->held) {
		rc = pass(d, s->held, forwarded(d, d->wm_ms), err);
		fl_item_free(&d->mem, s->held);
		s->held = NULL;
	}
	e->flags &= (uint8_t)~TOLD;
	if (s->pending == 0)
		fl_table_delete(&d->table, e);
	return rc;
}

/* Everything up to watermark wm, in order of time; at one time rows come first. */
static int
advance_within(struct fl_dedup *d, int64_t wm, struct fl_err *err)
{
	int rc = 0;

	while (rc == 0) {
		const struct fl_due *row = fl_dues_first(&d->rows);
		const struct fl_due *end = fl_dues_first(&d->expiry);
		struct fl_due due;

		row = row && row->time <= wm ? row : NULL;
		end = end && end->time <= wm ? end : NULL;
		if (row && (!end || row->time <= end->time)) {
			due = fl_dues_pop(&d->rows);
			rc = take_row(d, &due, err);
		} else if (end) {
			due = fl_dues_pop(&d->expiry);
			rc = take_expiry(d, &due, err);
		} else {
			break;
		}
	}
	return rc;
}

static int
advance(struct fl_dedup *d, int64_t wm, struct fl_err *err)
{
	int rc;

	if (wm <= d->wm_ms)
		return 0;
	rc = d->spec.within >= 0 ? advance_within(d, wm, err) : settle(d, wm, err);
	d->wm_ms = wm;
	return rc;
}

/* ---- batches ---------------------------------------------------- */

/* A record within a time: what is plainly a duplicate is not kept until its turn. */
static int
add_within(struct fl_dedup *d, const struct fl_batch *b, const struct fl_key *key, uint32_t row,
	   struct fl_err *err)
{
	struct fl_entry *e;

	if (b->time[row] <= d->wm_ms) {
		fl_late_add(&d->late, row);
		return 0;
	}
	if (fl_table_put(&d->table, key, NULL, 1, d->seq + row, &e, NULL, err) < 0)
		return err->code;
	if (!d->spec.last && e->flags & TOLD && b->time[row] >= state_of(e)->time &&
	    b->time[row] <= later(state_of(e)->time, d->spec.within))
		return 0;
	push_row(d, b, row, e);
	return 0;
}

static int
add_in_time(struct fl_dedup *d, const struct fl_batch *b, const struct fl_key *keys,
	    struct fl_entry **entry, struct fl_err *err)
{
	const int64_t *wm = fl_batch_wm(b, &d->wm_scratch);
	int rc = 0;

	for (uint32_t i = 0; i < b->rows && rc == 0; i++) {
		rc = advance(d, wm[i], err);
		if (rc < 0)
			break;
		rc = d->spec.within >= 0 ? add_within(d, b, &keys[i], i, err)
					 : by_time(d, b, i, entry[i], err);
	}
	if (rc == 0 && fl_late_flush(&d->late, b, err) < 0)
		rc = err->code;
	return rc < 0 ? rc : fl_rowout_flush(&d->out, err);
}

int
fl_dedup_batch(struct fl_dedup *d, const struct fl_batch *b, struct fl_err *err)
{
	const struct fl_key *keys;
	struct fl_entry **entry;
	int rc;

	if (fl_groupkeys_of(&d->keys, fl_run_header(d->run, 0), b, &keys, err) < 0)
		return err->code;
	fl_buf_clear(&d->entries);
	entry = (struct fl_entry **)(void *)fl_buf_reserve(&d->entries,
							   b->rows * sizeof *entry + 1);
	/* within a time entries go while others come: each is looked up in its turn */
	if (d->spec.within < 0 &&
	    fl_table_put(&d->table, keys, NULL, b->rows, d->seq, entry, NULL, err) < 0)
		return err->code;
	rc = d->timed ? add_in_time(d, b, keys, entry, err) : by_arrival(d, b, entry, err);
	d->seq += b->rows;
	return rc < 0 ? rc
		      : fl_budget_check(&d->budget,
					fl_items_bytes(&d->mem) + d->rows.heap.cap +
						d->expiry.heap.cap,
					err);
}

int
fl_dedup_watermark(struct fl_dedup *d, int64_t wm_ms, int64_t *forward_ms, struct fl_err *err)
{
	if (!d->timed)
		return 0;
	*forward_ms = forwarded(d, wm_ms);
	if (advance(d, wm_ms, err) < 0)
		return err->code;
	return fl_rowout_flush(&d->out, err);
}

size_t
fl_dedup_bytes(const struct fl_dedup *d)
{
	return d->budget.used + fl_items_bytes(&d->mem);
}

/* ---- checkpoints ------------------------------------------------ */

/*
 * Sections, version 1
 *	"dedup"    numbers by name: "seq", "watermark", "keep" (0 first, 1 last), "within"
 *	"keys"     an entry a key: u64 arrival of the key, i64
 *	           time, u8 flags, and the row that is held
 *	"pending"  an entry a row that is not decided: its key, and the row
 * A row: u64 arrival, i64 time, the packed row up to the end of the value.
 */

static void
put_row(struct fl_buf *value, const struct fl_item *item)
{
	fl_buf_put(value, &item->seq, sizeof item->seq);
	fl_buf_put(value, &item->time, sizeof item->time);
	fl_buf_put(value, fl_item_row(item), item->row_len);
}

static void
save_entry(struct fl_save *s, const struct fl_entry *e, const struct fl_buf *value)
{
	struct fl_state_entry out = { .ns = "",
				      .value = value->data,
				      .value_len = (uint32_t)value->len };

	fl_groupkeys_save(e, &out);
	fl_save_entry(s, &out);
}

void
fl_dedup_snapshot(const struct fl_dedup *d, struct fl_save *s)
{
	struct fl_buf value = { 0 };

	fl_save_section(s, "dedup", 1, NULL);
	fl_save_int(s, "seq", (int64_t)d->seq);
	fl_save_int(s, "watermark", d->wm_ms);
	fl_save_int(s, "keep", d->spec.last);
	fl_save_int(s, "within", d->spec.within);
	fl_save_section(s, "keys", 1, "{\"value\":\"bytes\"}");
	for (uint32_t i = 0; i < d->table.count; i++) {
		struct fl_entry *e = fl_table_at(&d->table, i);

		if (e->deleted || (!e->flags && state_of(e)->pending == 0))
			continue;
		fl_buf_clear(&value);
		fl_buf_put(&value, &e->seq, sizeof e->seq);
		fl_buf_put(&value, &state_of(e)->time, sizeof(int64_t));
		fl_buf_put(&value, &e->flags, sizeof e->flags);
		if (state_of(e)->held)
			put_row(&value, state_of(e)->held);
		save_entry(s, e, &value);
	}
	fl_save_section(s, "pending", 1, "{\"value\":\"bytes\"}");
	for (size_t i = 0; i < fl_dues_count(&d->rows); i++) {
		fl_buf_clear(&value);
		put_row(&value, fl_dues_at(&d->rows, i)->item);
		save_entry(s, fl_dues_at(&d->rows, i)->entry, &value);
	}
	fl_buf_release(&value);
}

/* A row up to end; NULL with *err. */
static struct fl_item *
load_row(struct fl_dedup *d, struct fl_load *l, const char *p, const char *end, struct fl_err *err)
{
	struct fl_sortkey none = { 0 };
	uint64_t seq;
	int64_t time;

	if (!fl_take_bytes(&p, end, &seq, sizeof seq) ||
	    !fl_take_bytes(&p, end, &time, sizeof time)) {
		(void)fl_load_damaged(l, "a row", err);
		return NULL;
	}
	if (fl_row_check(p, (size_t)(end - p), err) < 0)
		return NULL;
	return fl_item_new(&d->mem, seq, time, &none, 0, p, (size_t)(end - p));
}

static int
load_key(struct fl_dedup *d, struct fl_load *l, const struct fl_state_entry *in, struct fl_err *err)
{
	struct fl_key key = fl_groupkeys_loaded(&d->keys, in);
	const char *p = in->value, *end = p + in->value_len;
	struct fl_entry *e;
	struct state *s;
	uint64_t seq;
	int64_t time;
	uint8_t flags;
	uint32_t made;

	if (!fl_take_bytes(&p, end, &seq, sizeof seq) ||
	    !fl_take_bytes(&p, end, &time, sizeof time) ||
	    !fl_take_bytes(&p, end, &flags, sizeof flags))
		return fl_load_damaged(l, "a key", err);
	if (fl_table_put(&d->table, &key, NULL, 1, seq, &e, &made, err) < 0)
		return err->code;
	s = state_of(e);
	if (!made)
		return fl_load_damaged(l, "a key that comes twice", err);
	s->time = time;
	e->flags = flags & (TOLD | PENDING);
	if (d->spec.within >= 0 && flags & TOLD)
		expire_at(d, e);
	if (p == end)
		return d->spec.last && flags & TOLD
			       ? fl_load_damaged(l, "a key without its row", err)
			       : 0;
	s->held = load_row(d, l, p, end, err);
	return s->held ? 0 : err->code;
}

static int
load_pending(struct fl_dedup *d, struct fl_load *l, const struct fl_state_entry *in,
	     struct fl_err *err)
{
	struct fl_key key = fl_groupkeys_loaded(&d->keys, in);
	struct fl_item *item = load_row(d, l, in->value, in->value + in->value_len, err);
	struct fl_entry *e;
	struct fl_due due;

	if (!item)
		return err->code;
	if (fl_table_put(&d->table, &key, NULL, 1, item->seq, &e, NULL, err) < 0) {
		fl_item_free(&d->mem, item);
		return err->code;
	}
	due = (struct fl_due){ .time = item->time, .seq = item->seq, .item = item, .entry = e };
	fl_dues_push(&d->rows, &due);
	state_of(e)->pending++;
	if (e->flags & TOLD || d->spec.within >= 0)
		return 0;
	if (!(e->flags & PENDING) || item->time < state_of(e)->time)
		state_of(e)->time = item->time;
	e->flags |= PENDING;
	return 0;
}

static int
load_number(struct fl_dedup *d, const struct fl_state_entry *e, struct fl_err *err)
{
	int64_t v;

	if (fl_state_int(e, &v, err) < 0)
		return err->code;
	if (fl_state_is(e, "seq"))
		d->seq = (uint64_t)v;
	else if (fl_state_is(e, "watermark"))
		d->wm_ms = v;
	else if (fl_state_is(e, "keep") && v != (int64_t)d->spec.last)
		return fl_fail(err, FL_ECONFIG, "the checkpoint is of --keep %s, not of --keep %s",
			       v ? "last" : "first", d->spec.last ? "last" : "first");
	else if (fl_state_is(e, "within") && (v < 0) != (d->spec.within < 0))
		return fl_fail(err, FL_ECONFIG,
			       "the checkpoint is of a line %s --within, not %s it",
			       v < 0 ? "without" : "with", v < 0 ? "with" : "without");
	return 0;
}

int
fl_dedup_restore(struct fl_dedup *d, struct fl_load *l, struct fl_err *err)
{
	struct fl_state_section section;
	struct fl_state_entry e;
	int more, rc = 0;

	while ((more = fl_load_section(l, &section, err)) > 0) {
		bool keys = strcmp(section.name, "keys") == 0;
		bool pending = strcmp(section.name, "pending") == 0;

		if ((!keys && !pending && strcmp(section.name, "dedup") != 0) ||
		    section.version != 1)
			return fl_load_unknown(l, &section, err);
		while (rc == 0 && (rc = fl_load_entry(l, &e, err)) > 0)
			rc = keys      ? load_key(d, l, &e, err)
			     : pending ? load_pending(d, l, &e, err)
				       : load_number(d, &e, err);
		if (rc < 0)
			return rc;
	}
	return more;
}
