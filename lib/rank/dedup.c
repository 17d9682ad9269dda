/* SPDX-License-Identifier: Apache-2.0 */
#include "rank/dedup.h"

#include <stdlib.h>

#include "checkpoint/about.h"
#include "run/statefiles.h"
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

/* On disk: behind the state the rows in the queue, linked, from prepare on. */
static struct fl_item **
queued_of(struct fl_entry *e)
{
	return (struct fl_item **)(void *)(e->value + sizeof(struct state));
}

static const struct fl_spill_ops spill_ops;

int
fl_dedup_open(struct fl_dedup *d, struct fl_run *run, const struct fl_dedup_spec *spec,
	      struct fl_err *err)
{
	const struct fl_header *in = fl_run_header(run, 0);

	*d = (struct fl_dedup){
		.spec = *spec, .timed = in->time != NULL, .run = run, .wm_ms = FL_TIME_MIN
	};
	fl_groupkeys_init(&d->keys, true);
	fl_budget_init(&d->budget, fl_run_memory_max(run));
	fl_table_init(&d->table, &d->budget,
		      sizeof(struct state) +
			      (fl_statefiles_wanted(run) ? sizeof(struct fl_item *) : 0));
	if (fl_spill_open(&d->spill, run, &spill_ops, d, &d->keys.keys, err) < 0)
		return err->code;
	d->budget.max = fl_spill_memory_max(&d->spill);
	if (spec->within >= 0 && !d->timed)
		return fl_fail(err, FL_EUSAGE,
			       "--within needs event time: give --time (and --watermark) to the "
			       "tool that reads the text");
	if (fl_rowout_open(&d->out, run, NULL, NULL, 0, spec->updates, err) < 0)
		return err->code;
	d->out.build.timed = d->timed;
	return fl_late_open(&d->late, run, spec->late, err);
}

/* Nothing is kept any more. */
static void
forget(void *self)
{
	struct fl_dedup *d = self;

	for (size_t i = 0; i < fl_dues_count(&d->rows); i++)
		fl_item_free(&d->mem, fl_dues_at(&d->rows, i)->item);
	for (uint32_t i = 0; i < d->table.count; i++) {
		struct fl_entry *e = fl_table_at(&d->table, i);

		if (!e->deleted && state_of(e)->held)
			fl_item_free(&d->mem, state_of(e)->held);
	}
	fl_dues_release(&d->rows);
	fl_dues_release(&d->expiry);
	fl_table_clear(&d->table);
	fl_items_release(&d->mem);
}

void
fl_dedup_release(struct fl_dedup *d)
{
	if (!d->run)
		return;
	forget(d);
	fl_table_release(&d->table);
	fl_spill_close(&d->spill);
	fl_budget_release(&d->budget);
	fl_groupkeys_release(&d->keys);
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
	due.item = fl_spill_on_disk(&d->spill)
			   ? fl_item_new_linked(&d->mem, due.seq, due.time, &none, 0, d->pack.data,
						d->pack.len)
			   : fl_item_new(&d->mem, due.seq, due.time, &none, 0, d->pack.data,
					 d->pack.len);
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
by_arrival(struct fl_dedup *d, const struct fl_batch *b, struct fl_err *err)
{
	struct fl_entry **entry = (struct fl_entry **)(void *)d->entries.data;

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
		fl_spill_changed(&d->spill, due.entry);
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

	fl_spill_changed(&d->spill, due->entry);
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

	fl_spill_changed(&d->spill, e);
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
		fl_spill_delete(&d->spill, 0, &d->table, e);
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
	int64_t until = wm;
	int rc = 0;

	if (wm <= d->wm_ms)
		return 0;
	do { /* on disk: as much as fits, then the next */
		if (until < wm && fl_spill_trim(&d->spill, err) < 0)
			return err->code;
		rc = fl_spill_due(&d->spill, wm, &until, err);
		if (rc == 0)
			rc = d->spec.within >= 0 ? advance_within(d, until, err)
						 : settle(d, until, err);
	} while (rc == 0 && until < wm);
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
	if (fl_spill_put(&d->spill, 0, &d->table, key, NULL, 1, d->seq + row, &e, err) < 0)
		return err->code;
	if (!(e->flags & TOLD) && state_of(e)->pending == 0)
		e->seq = d->seq + row; /* it may have been put for a record that was late */
	if (!d->spec.last && e->flags & TOLD && b->time[row] >= state_of(e)->time &&
	    b->time[row] <= later(state_of(e)->time, d->spec.within))
		return 0;
	push_row(d, b, row, e);
	return 0;
}

/* The entries of the keys from record first on, into d->entries. */
static int
put_keys(struct fl_dedup *d, const struct fl_key *keys, uint32_t first, uint32_t rows,
	 struct fl_err *err)
{
	struct fl_entry **entry;

	fl_buf_clear(&d->entries);
	entry = (struct fl_entry **)(void *)fl_buf_reserve(&d->entries, rows * sizeof *entry + 1);
	return fl_spill_put(&d->spill, 0, &d->table, keys + first, NULL, rows - first,
			    d->seq + first, entry + first, err);
}

static int
add_in_time(struct fl_dedup *d, const struct fl_batch *b, const struct fl_key *keys,
	    struct fl_err *err)
{
	const int64_t *wm = fl_batch_wm(b, &d->wm_scratch);
	uint64_t evictions = d->spill.evictions;
	int rc = 0;

	for (uint32_t i = 0; i < b->rows && rc == 0; i++) {
		rc = advance(d, wm[i], err);
		if (rc == 0 && evictions != d->spill.evictions)
			rc = put_keys(d, keys, i, b->rows, err);
		evictions = d->spill.evictions;
		if (rc < 0)
			break;
		rc = d->spec.within >= 0
			     ? add_within(d, b, &keys[i], i, err)
			     : by_time(d, b, i, ((struct fl_entry **)(void *)d->entries.data)[i],
				       err);
	}
	if (rc == 0 && fl_late_flush(&d->late, b, err) < 0)
		rc = err->code;
	return rc < 0 ? rc : fl_rowout_flush(&d->out, err);
}

int
fl_dedup_batch(struct fl_dedup *d, const struct fl_batch *b, struct fl_err *err)
{
	const struct fl_key *keys;
	int rc = 0;

	if (fl_groupkeys_of(&d->keys, fl_run_header(d->run, 0), b, &keys, err) < 0)
		return err->code;
	/* within a time entries go while others come: each is looked up in its turn; on disk
	 * that must not read one key at a time */
	if (d->spec.within < 0 || fl_spill_on_disk(&d->spill))
		rc = put_keys(d, keys, 0, b->rows, err);
	if (rc < 0)
		return rc;
	rc = d->timed ? add_in_time(d, b, keys, err) : by_arrival(d, b, err);
	d->seq += b->rows;
	if (rc < 0 || fl_spill_trim(&d->spill, err) < 0)
		return err->code;
	return fl_budget_check(&d->budget,
			       fl_items_bytes(&d->mem) + d->rows.heap.cap + d->expiry.heap.cap,
			       err);
}

int
fl_dedup_watermark(struct fl_dedup *d, int64_t wm_ms, int64_t *forward_ms, struct fl_err *err)
{
	if (!d->timed)
		return 0;
	*forward_ms = forwarded(d, wm_ms);
	if (advance(d, wm_ms, err) < 0 || fl_spill_trim(&d->spill, err) < 0)
		return err->code;
	return fl_rowout_flush(&d->out, err);
}

size_t
fl_dedup_bytes(const struct fl_dedup *d)
{
	return d->budget.used + fl_items_bytes(&d->mem);
}

/* ---- on disk ---------------------------------------------------- */

/*
 * The value of a key: i64 time, u8 flags, u8 1: the row that is held follows, sized; then
 * the rows in the queue, sized (rank/saved.h).
 */

/* Link the rows in the queue to their keys. */
static void
prepare(void *self)
{
	struct fl_dedup *d = self;

	for (uint32_t i = 0; i < d->table.count; i++)
		if (!fl_table_at(&d->table, i)->deleted)
			*queued_of(fl_table_at(&d->table, i)) = NULL;
	for (size_t i = 0; i < fl_dues_count(&d->rows); i++) {
		const struct fl_due *due = fl_dues_at(&d->rows, i);

		if (d->spec.within < 0 && due->entry->flags & TOLD)
			continue; /* it will only be dropped */
		fl_item_link(due->item)->next = *queued_of(due->entry);
		*queued_of(due->entry) = due->item;
	}
}

static void
encode(void *self, int64_t ns, struct fl_entry *e, struct fl_buf *out)
{
	uint8_t flags = e->flags & (TOLD | PENDING);
	const struct state *s = state_of(e);

	(void)self;
	(void)ns;
	if (!flags && !*queued_of(e))
		return;
	fl_buf_put(out, &s->time, sizeof s->time);
	fl_buf_putc(out, (char)flags);
	fl_buf_putc(out, s->held != NULL);
	if (s->held)
		fl_saved_put_sized(out, s->held);
	for (struct fl_item *i = *queued_of(e); i; i = fl_item_link(i)->next)
		fl_saved_put_sized(out, i);
}

static int64_t
due_of(void *self, int64_t ns, struct fl_entry *e)
{
	const struct fl_dedup *d = self;
	int64_t due = FL_TIME_MAX;

	(void)ns;
	if (d->spec.within >= 0 && e->flags & TOLD)
		due = later(state_of(e)->time, d->spec.within);
	for (struct fl_item *i = *queued_of(e); i; i = fl_item_link(i)->next) {
		/* see is_settled */
		int64_t at = d->spec.within < 0 && i->time > FL_TIME_MIN ? i->time - 1 : i->time;

		due = at < due ? at : due;
	}
	return due;
}

static int
decode(void *self, int64_t ns, struct fl_entry *e, struct fl_bytes value, struct fl_err *err)
{
	const char *p = value.p, *end = p + value.n;
	struct fl_dedup *d = self;
	struct state *s = state_of(e);
	uint8_t flags, held;

	(void)ns;
	if (!fl_take_bytes(&p, end, &s->time, sizeof s->time) ||
	    !fl_take_bytes(&p, end, &flags, sizeof flags) ||
	    !fl_take_bytes(&p, end, &held, sizeof held) ||
	    (held != 0) != (d->spec.last && flags & TOLD))
		return fl_fail(err, FL_EDATA, "what was kept of a key is damaged");
	if (held) {
		s->held = fl_saved_get_sized(&d->mem, &p, end, err);
		if (!s->held)
			return err->code;
	}
	e->flags |= flags & (TOLD | PENDING);
	if (d->spec.within >= 0 && flags & TOLD)
		expire_at(d, e);
	while (p < end) {
		struct fl_due due = { .item = fl_saved_get_sized(&d->mem, &p, end, err),
				      .entry = e };

		if (!due.item)
			return err->code;
		due.time = due.item->time;
		due.seq = due.item->seq;
		fl_dues_push(&d->rows, &due);
		s->pending++;
	}
	return 0;
}

static size_t
held_bytes(const void *self)
{
	const struct fl_dedup *d = self;

	return d->budget.used + fl_items_bytes(&d->mem) + d->rows.heap.cap + d->expiry.heap.cap;
}

/* For fcheckpoint show: what is on disk, and in a checkpoint of memory. */
static const char layout_stored[] = "time:time? bits(passed) held[?u8]<" FL_SAVED_ROW "> "
				    "@pending[]<" FL_SAVED_ROW ">";
static const char layout_stored_untimed[] = "-:time bits(passed) held[?u8]<" FL_SAVED_ROW_UNTIMED
					    "> @pending[]<" FL_SAVED_ROW_UNTIMED ">";
static const char layout_key[] = "-:u64 time:time? bits(passed) held[?]{" FL_SAVED_ROW "}";
static const char layout_key_untimed[] = "-:u64 -:time bits(passed) held[?]{" FL_SAVED_ROW_UNTIMED
					 "}";

static void
about(const void *self, struct fl_buf *out)
{
	const struct fl_dedup *d = self;

	fl_state_say(
		&(struct fl_state_says){
			.header = fl_run_header(d->run, 0),
			.ns = "",
			.layout = d->timed ? layout_stored : layout_stored_untimed,
			.whole_rows = d->keys.whole_rows,
		},
		out);
}

static const struct fl_spill_ops spill_ops = {
	.version = 1,
	.table_at = offsetof(struct fl_dedup, table),
	.prepare = prepare,
	.encode = encode,
	.decode = decode,
	.due = due_of,
	.forget = forget,
	.held = held_bytes,
	.about = about,
};

int
fl_dedup_checkpoint(struct fl_dedup *d, struct fl_err *err)
{
	return fl_spill_checkpoint(&d->spill, err);
}

/* ---- checkpoints ------------------------------------------------ */

/*
 * Sections, version 1
 *	"dedup"    numbers by name: "seq", "watermark", "keep" (0 first, 1 last), "within"
 *	"keys"     an entry a key: u64 arrival of the key, i64
 *	           time, u8 flags, and the row that is held
 *	"pending"  an entry a row that is not decided: its key, and the row
 * Rows: rank/saved.h. On disk, instead of keys and what is pending, the section "files".
 */

void
fl_dedup_snapshot(const struct fl_dedup *d, struct fl_save *s)
{
	static const char *const named[][2] = {
		{ "watermark", "time" },
		{ "keep", "word64(first,last)" },
		{ "within", "duration" },
	};
	const struct fl_header *in = fl_run_header(d->run, 0);
	struct fl_buf value = { 0 };

	fl_state_section_named(s, "dedup", 1, named, FL_ARRAY_LEN(named));
	fl_save_int(s, "seq", (int64_t)d->seq);
	fl_save_int(s, "watermark", d->wm_ms);
	fl_save_int(s, "keep", d->spec.last);
	fl_save_int(s, "within", d->spec.within);
	if (fl_spill_on_disk(&d->spill)) {
		fl_spill_save(&d->spill, s);
		return;
	}
	fl_saved_section(s, "keys", in, d->timed ? layout_key : layout_key_untimed,
			 d->keys.whole_rows);
	for (uint32_t i = 0; i < d->table.count; i++) {
		struct fl_entry *e = fl_table_at(&d->table, i);

		if (e->deleted || (!e->flags && state_of(e)->pending == 0))
			continue;
		fl_buf_clear(&value);
		fl_buf_put(&value, &e->seq, sizeof e->seq);
		fl_buf_put(&value, &state_of(e)->time, sizeof(int64_t));
		fl_buf_put(&value, &e->flags, sizeof e->flags);
		if (state_of(e)->held)
			fl_saved_put_row(&value, state_of(e)->held);
		fl_saved_entry(s, e, &value);
	}
	fl_saved_pending(s, in, d->keys.whole_rows);
	for (size_t i = 0; i < fl_dues_count(&d->rows); i++) {
		fl_buf_clear(&value);
		fl_saved_put_row(&value, fl_dues_at(&d->rows, i)->item);
		fl_saved_entry(s, fl_dues_at(&d->rows, i)->entry, &value);
	}
	fl_buf_release(&value);
}

static int
load_key(void *self, struct fl_load *l, const struct fl_state_entry *in, struct fl_err *err)
{
	struct fl_dedup *d = self;
	struct fl_key key = fl_groupkeys_loaded(&d->keys, in);
	const char *p = in->value, *end = p + in->value_len;
	struct fl_entry *e;
	struct state *s;
	uint64_t seq;
	int64_t time;
	uint32_t live = d->table.live;
	uint8_t flags;

	if (!fl_take_bytes(&p, end, &seq, sizeof seq) ||
	    !fl_take_bytes(&p, end, &time, sizeof time) ||
	    !fl_take_bytes(&p, end, &flags, sizeof flags))
		return fl_load_damaged(l, "a key", err);
	if (fl_spill_put(&d->spill, 0, &d->table, &key, NULL, 1, seq, &e, err) < 0)
		return err->code;
	s = state_of(e);
	if (live == d->table.live)
		return fl_load_damaged(l, "a key that comes twice", err);
	s->time = time;
	e->flags |= flags & (TOLD | PENDING);
	if (d->spec.within >= 0 && flags & TOLD)
		expire_at(d, e);
	if (p == end)
		return d->spec.last && flags & TOLD
			       ? fl_load_damaged(l, "a key without its row", err)
			       : 0;
	s->held = fl_saved_get_row(&d->mem, p, end, err);
	return s->held ? 0 : fl_load_damaged(l, "a row", err);
}

static int
load_pending(void *self, struct fl_load *l, const struct fl_state_entry *in, struct fl_err *err)
{
	struct fl_dedup *d = self;
	struct fl_key key = fl_groupkeys_loaded(&d->keys, in);
	struct fl_item *item = fl_saved_get_row(&d->mem, in->value, in->value + in->value_len,
						err);
	struct fl_entry *e;
	struct fl_due due;

	if (!item)
		return fl_load_damaged(l, "a row", err);
	if (fl_spill_put(&d->spill, 0, &d->table, &key, NULL, 1, item->seq, &e, err) < 0) {
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
load_number(void *self, const struct fl_state_entry *e, struct fl_err *err)
{
	struct fl_dedup *d = self;
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
	static const struct fl_saved_loader loader = {
		.numbers = "dedup", .number = load_number, .key = load_key, .pending = load_pending
	};

	return fl_saved_load(&loader, d, &d->spill, l, err);
}
