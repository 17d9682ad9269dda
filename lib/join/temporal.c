/* SPDX-License-Identifier: Apache-2.0 */
#include "join/temporal.h"

#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "join/slab.h"
#include "run/spill.h"
#include "time/timestamp.h"

#define DUE_MAX 8192u /* left rows that come out together */

/* What a right row said about its key from its time on. */
struct version {
	struct version *older;
	int64_t time;
	uint32_t len;
	bool gone; /* -D: there is none */
	char data[];
};

/* The value of a key. */
struct state {
	struct version *newest;
	uint64_t waiting; /* left rows that point here, and records of the batch in hand */
	size_t first;     /* while it is written to disk: a number of the heap, + 1; 0: none */
};

/* A left row that waits for the watermark. */
struct waiting {
	struct fl_entry *entry;
	size_t next; /* of the same entry, as state.first */
	uint32_t len;
	char data[];
};

/* The heap of left rows: by time, then as they came. */
struct timer {
	int64_t time;
	uint64_t seq;
	struct waiting *row;
};

/* A left row that comes out now, and its version or NULL. */
struct due {
	struct timer left;
	const struct version *version;
};

struct temporal {
	struct fl_pairs pairs;
	struct fl_run *run;
	bool outer; /* left rows without a version come out too */
	int64_t wm;
	struct fl_budget budget;
	struct fl_table table;
	struct fl_spill spill;
	struct fl_slab slab;
	struct fl_buf heap; /* struct timer */
	uint64_t seq;
	struct fl_buf due; /* struct due */
	struct fl_buf scratch, packed, entries, rows;
};

static struct state *
state_of(struct fl_entry *e)
{
	return (struct state *)(void *)e->value;
}

/* ---- versions --------------------------------------------------------------------------- */

static void
free_version(struct temporal *t, struct version *v)
{
	fl_slab_give(&t->slab, v, sizeof *v + v->len);
}

/* Of the versions that are not after the watermark one is enough, and none if it says so. */
static void
prune(struct temporal *t, struct state *s)
{
	struct version **at = &s->newest, *v;

	while (*at && (*at)->time > t->wm)
		at = &(*at)->older;
	if (!*at)
		return;
	if (!(*at)->gone)
		at = &(*at)->older;
	v = *at;
	*at = NULL;
	while (v) {
		struct version *older = v->older;

		free_version(t, v);
		v = older;
	}
}

static void
forget_key(struct temporal *t, struct fl_entry *e)
{
	const struct state *s = state_of(e);

	if (!e->deleted && !s->newest && !s->waiting)
		fl_spill_delete(&t->spill, 0, &t->table, e);
}

static struct version *
new_version(struct temporal *t, int64_t time, bool gone, const char *p, uint32_t len)
{
	struct version *v = fl_slab_take(&t->slab, sizeof *v + len);

	*v = (struct version){ .time = time, .len = len, .gone = gone };
	memcpy(v->data, p, len);
	return v;
}

/* Add a version; one of the same time makes room for it. */
static void
add_version(struct temporal *t, struct fl_entry *e, int64_t time, bool gone, const char *p,
	    uint32_t len)
{
	struct version **at = &state_of(e)->newest, *v = new_version(t, time, gone, p, len);

	while (*at && (*at)->time > time)
		at = &(*at)->older;
	v->older = *at;
	if (v->older && v->older->time == time) {
		struct version *same = v->older;

		v->older = same->older;
		free_version(t, same);
	}
	*at = v;
}

static const struct version *
version_at(const struct state *s, int64_t time)
{
	const struct version *v = s->newest;

	while (v && v->time > time)
		v = v->older;
	return v && !v->gone ? v : NULL;
}

/* ---- left rows --------------------------------------------------------------------------- */

static inline bool
before(const void *a, const void *b, const void *ctx)
{
	const struct timer *x = a, *y = b;

	(void)ctx;
	return x->time < y->time || (x->time == y->time && x->seq < y->seq);
}

static void
heap_push(struct temporal *t, struct timer w)
{
	fl_heap_push(&t->heap, &w, sizeof w, before, NULL);
}

static struct timer
heap_pop(struct temporal *t)
{
	struct timer w;

	fl_heap_pop(&t->heap, &w, sizeof w, before, NULL);
	return w;
}

static void
add_waiting(struct temporal *t, struct fl_entry *e, int64_t time, uint64_t seq, const char *p,
	    uint32_t len)
{
	struct waiting *w = fl_slab_take(&t->slab, sizeof *w + len);

	*w = (struct waiting){ .entry = e, .len = len };
	memcpy(w->data, p, len);
	state_of(e)->waiting++;
	heap_push(t, (struct timer){ time, seq, w });
}

/* The verdicts on the rows of t->due that have a version; NULL: there is no condition. */
static int
judge(struct temporal *t, const uint8_t **ret, struct fl_err *err)
{
	const struct due *d = (const struct due *)(const void *)t->due.data;

	*ret = NULL;
	if (!fl_pairs_has_on(&t->pairs))
		return 0;
	for (size_t i = 0; i < t->due.len / sizeof *d; i++)
		if (d[i].version)
			fl_pairs_try(&t->pairs,
				     fl_half_kept(d[i].left.row->data, d[i].left.row->len),
				     fl_half_kept(d[i].version->data, d[i].version->len));
	return fl_pairs_test(&t->pairs, ret, err);
}

static int
tell(struct temporal *t, const struct due *d, bool pair, struct fl_err *err)
{
	struct fl_half left = fl_half_kept(d->left.row->data, d->left.row->len);
	struct fl_half right = pair ? fl_half_kept(d->version->data, d->version->len)
				    : fl_half_none();

	if (!pair && !t->outer)
		return 0;
	return fl_pairs_put(&t->pairs, left, right, d->left.time, t->wm, FL_INSERT, err);
}

/* What has gathered in t->due comes out. */
static int
tell_due(struct temporal *t, struct fl_err *err)
{
	const struct due *d = (const struct due *)(const void *)t->due.data;
	size_t n = t->due.len / sizeof *d;
	const uint8_t *verdict;
	int rc = judge(t, &verdict, err);

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = tell(t, &d[i], d[i].version && (!verdict || *verdict++), err);
	for (size_t i = 0; i < n; i++) {
		struct waiting *w = d[i].left.row;

		state_of(w->entry)->waiting--;
		forget_key(t, w->entry);
		fl_slab_give(&t->slab, w, sizeof *w + w->len);
	}
	fl_buf_clear(&t->due);
	return rc;
}

/* Left rows up to a time come out. */
static int
tell_until(struct temporal *t, int64_t until, struct fl_err *err)
{
	int rc = 0;

	while (t->heap.len && ((struct timer *)(void *)t->heap.data)->time <= until && rc == 0) {
		struct due d = { .left = heap_pop(t) };
		struct fl_entry *e = d.left.row->entry;

		fl_spill_changed(&t->spill, e);
		prune(t, state_of(e));
		d.version = version_at(state_of(e), d.left.time);
		fl_buf_put(&t->due, &d, sizeof d);
		if (t->due.len >= DUE_MAX * sizeof d)
			rc = tell_due(t, err);
	}
	return rc == 0 && t->due.len ? tell_due(t, err) : rc;
}

/* ---- on disk ------------------------------------------------------------------------------- */

/*
 * A value: the versions, the newest first, and the left rows that wait; of each i64 time,
 * u64 arrival number (left rows), u32 length, u8 what it is, then the record.
 */
struct saved_row {
	int64_t time;
	uint64_t seq;
	uint32_t len;
	uint8_t what;
};

enum { VERSION = 0, VERSION_GONE, LEFT_ROW };

#define SAVED_ROW 21u /* bytes of these, one behind the other */

static void
encode_row(struct fl_buf *out, const struct saved_row *x, const char *p)
{
	fl_buf_put(out, x, SAVED_ROW);
	fl_buf_put(out, p, x->len);
}

/* Find the left rows of each entry: once before all are encoded. */
static void
link_left(struct temporal *t)
{
	struct timer *h = (struct timer *)(void *)t->heap.data;

	for (uint32_t i = 0; i < t->table.count; i++)
		if (!fl_table_at(&t->table, i)->deleted)
			state_of(fl_table_at(&t->table, i))->first = 0;
	for (size_t i = t->heap.len / sizeof *h; i-- > 0;) {
		struct state *s = state_of(h[i].row->entry);

		h[i].row->next = s->first;
		s->first = i + 1;
	}
}

static void
encode(void *self, int64_t ns, struct fl_entry *e, struct fl_buf *out)
{
	const struct temporal *t = self;
	const struct timer *h = (const struct timer *)(const void *)t->heap.data;

	(void)ns;
	for (const struct version *v = state_of(e)->newest; v; v = v->older) {
		struct saved_row x = { v->time, 0, v->len, v->gone ? VERSION_GONE : VERSION };

		encode_row(out, &x, v->data);
	}
	for (size_t i = state_of(e)->first; i; i = h[i - 1].row->next) {
		const struct waiting *w = h[i - 1].row;
		struct saved_row x = { h[i - 1].time, h[i - 1].seq, w->len, LEFT_ROW };

		encode_row(out, &x, w->data);
	}
}

static int
decode(void *self, int64_t ns, struct fl_entry *e, struct fl_bytes value, struct fl_err *err)
{
	struct version **oldest = &state_of(e)->newest;
	struct temporal *t = self;
	struct saved_row x;

	(void)ns;
	for (; value.n; value.p += x.len, value.n -= x.len) {
		if (value.n < SAVED_ROW)
			return fl_fail(err, FL_EDATA, "a value in RocksDB's files is damaged");
		memcpy(&x, value.p, SAVED_ROW);
		value.p += SAVED_ROW;
		value.n -= SAVED_ROW;
		if (x.len > value.n || x.what > LEFT_ROW || fl_row_check(value.p, x.len, err) < 0)
			return fl_fail(err, FL_EDATA, "a value in RocksDB's files is damaged");
		if (x.what == LEFT_ROW) {
			add_waiting(t, e, x.time, x.seq, value.p, x.len);
			continue;
		}
		*oldest = new_version(t, x.time, x.what == VERSION_GONE, value.p, x.len);
		oldest = &(*oldest)->older;
	}
	return 0;
}

/* When the next of its left rows comes out. */
static int64_t
due(void *self, int64_t ns, struct fl_entry *e)
{
	const struct temporal *t = self;
	const struct timer *h = (const struct timer *)(const void *)t->heap.data;
	int64_t at = FL_TIME_MAX;

	(void)ns;
	for (size_t i = state_of(e)->first; i; i = h[i - 1].row->next)
		at = h[i - 1].time < at ? h[i - 1].time : at;
	return at;
}

static void
forget(void *self)
{
	struct temporal *t = self;

	fl_slab_release(&t->slab);
	fl_slab_init(&t->slab, &t->budget);
	fl_buf_release(&t->heap);
	fl_table_clear(&t->table);
}

static size_t
held(const void *self)
{
	const struct temporal *t = self;

	return t->budget.used + t->heap.len;
}

/* For fcheckpoint show: what encode writes. A deleted version is of the right, too. */
static void
about(const void *self, struct fl_buf *out)
{
	const struct temporal *t = self;

	fl_pairs_about_both(&t->pairs, "",
			    "@[]{time:time arrival:u64? size side(right,right deleted,left) "
			    "row:row(right,right,left)}",
			    NULL, 0, out);
}

static const struct fl_spill_ops spill_ops = {
	.version = 1,
	.table_at = offsetof(struct temporal, table),
	.encode = encode,
	.decode = decode,
	.due = due,
	.forget = forget,
	.held = held,
	.about = about,
};

/* No entry and no row is held across it. */
static int
trim(struct temporal *t, struct fl_err *err)
{
	if (!fl_spill_is_full(&t->spill))
		return 0;
	link_left(t);
	return fl_spill_trim(&t->spill, err);
}

/* ---- records ------------------------------------------------------------------------------- */

/* The watermark is now wm: left rows up to it come out, from disk in portions. */
static int
move_on(struct temporal *t, int64_t wm, struct fl_err *err)
{
	int64_t until;

	if (wm <= t->wm)
		return 0;
	do {
		if (fl_spill_due(&t->spill, wm, &until, err) < 0 || tell_until(t, until, err) < 0 ||
		    trim(t, err) < 0)
			return err->code;
	} while (until < wm);
	t->wm = wm;
	return 0;
}

/*
 * The entries of the keys of records first .. end-1, ret[0] being first's; NULL where the
 * key is and nothing comes of it.
 */
static int
find_keys(struct temporal *t, enum fl_join_side side, const struct fl_key *keys, uint32_t first,
	  uint32_t end, struct fl_entry ***ret, struct fl_err *err)
{
	bool nulls = side == FL_JOIN_SIDE_LEFT && t->outer;
	struct fl_entry **entry;
	uint32_t *rows, n = 0;

	fl_buf_clear(&t->rows);
	fl_buf_clear(&t->entries);
	rows = (uint32_t *)(void *)fl_buf_reserve(&t->rows, (end - first) * sizeof *rows);
	entry = (struct fl_entry **)(void *)fl_buf_reserve(&t->entries,
							   (end - first) * sizeof *entry);
	*ret = entry;
	for (uint32_t i = first; i < end; i++)
		if (nulls || !fl_pairs_key_is_null(&t->pairs, &keys[i]))
			rows[n++] = i;
	if (fl_spill_put(&t->spill, 0, &t->table, keys, rows, n, 0, entry, err) < 0)
		return err->code;
	for (uint32_t i = end; i-- > first;) {
		bool taken = n && rows[n - 1] == i;

		entry[i - first] = taken ? entry[--n] : NULL;
	}
	/* the watermark may go on inside the batch: what is found here must stay */
	for (uint32_t i = 0; i < end - first; i++)
		if (entry[i])
			state_of(entry[i])->waiting++;
	return 0;
}

static void
take_right(struct temporal *t, const struct fl_batch *b, uint32_t row, struct fl_entry *e)
{
	enum fl_rowkind op = b->op ? (enum fl_rowkind)b->op[row] : FL_INSERT;

	if (!e || op == FL_UPDATE_BEFORE)
		return;
	add_version(t, e, b->time[row], op == FL_DELETE, t->packed.data, (uint32_t)t->packed.len);
	prune(t, state_of(e));
}

/*
 * Records *io_next .. end-1, or as many of them as come before what was found is forgotten;
 * *io_next is the first that was not.
 */
static int
take_portion(struct temporal *t, enum fl_join_side side, const struct fl_batch *b,
	     const struct fl_key *keys, const int64_t *wms, uint32_t *io_next, uint32_t end,
	     struct fl_err *err)
{
	uint64_t evictions = t->spill.evictions;
	uint32_t first = *io_next;
	struct fl_entry **entry;

	if (find_keys(t, side, keys, first, end, &entry, err) < 0)
		return err->code;
	for (uint32_t i = first; i < end; i++, *io_next = i) {
		struct fl_entry *e = entry[i - first];

		if (move_on(t, wms[i], err) < 0)
			return err->code;
		if (t->spill.evictions != evictions)
			return 0;
		if (!e)
			continue;
		fl_buf_clear(&t->packed);
		(void)fl_pairs_pack(b, i, &t->packed);
		if (side == FL_JOIN_SIDE_RIGHT)
			take_right(t, b, i, e);
		else
			add_waiting(t, e, b->time[i], t->seq++, t->packed.data,
				    (uint32_t)t->packed.len);
		state_of(e)->waiting--;
		forget_key(t, e);
	}
	return trim(t, err);
}

static int
on_batch(void *self, enum fl_join_side side, const struct fl_batch *b, struct fl_err *err)
{
	struct temporal *t = self;
	const int64_t *wms = fl_batch_wm(b, &t->scratch);
	uint32_t most = fl_join_portion(&t->spill), next = 0;
	const struct fl_key *keys;

	if (fl_pairs_keys(&t->pairs, side, b, &keys, err) < 0)
		return err->code;
	while (next < b->rows) {
		uint32_t end = b->rows - next < most ? b->rows : next + most;

		if (take_portion(t, side, b, keys, wms, &next, end, err) < 0)
			return err->code;
	}
	if (fl_budget_check(&t->budget, 0, err) < 0)
		return err->code;
	return fl_pairs_flush(&t->pairs, err);
}

static int
advance(void *self, int64_t wm_ms, int64_t *forward_ms, struct fl_err *err)
{
	struct temporal *t = self;

	(void)forward_ms;
	if (move_on(t, wm_ms, err) < 0)
		return err->code;
	return fl_pairs_flush(&t->pairs, err);
}

/* ---- opening ------------------------------------------------------------------------------- */

static int
check_inputs(struct fl_run *run, const struct fl_join_options *o, struct fl_err *err)
{
	if (o->kind != FL_JOIN_INNER && o->kind != FL_JOIN_LEFT)
		return fl_fail(err, FL_EUSAGE, "--as-of joins inner or left, not %s",
			       fl_join_kind_name(o->kind));
	for (uint32_t i = 0; i < 2; i++)
		if (!fl_run_header(run, i)->time)
			return fl_fail(err, FL_EUSAGE,
				       "the %s side has no event time: give --time where it is "
				       "decoded, on both sides",
				       i == 0 ? "left" : "right");
	if (fl_run_header(run, 0)->changelog)
		return fl_fail(err, FL_EUSAGE,
			       "the left side is a changelog: --as-of needs rows that are only "
			       "inserted there");
	return 0;
}

static int
open(void *self, struct fl_run *run, const struct fl_join_options *o, struct fl_err *err)
{
	struct temporal *t = self;
	struct fl_pairs_form form = { .timed = true };

	t->run = run;
	t->outer = o->kind == FL_JOIN_LEFT;
	t->wm = FL_TIME_MIN;
	fl_budget_init(&t->budget, SIZE_MAX);
	fl_table_init(&t->table, &t->budget, sizeof(struct state));
	fl_slab_init(&t->slab, &t->budget);
	if (check_inputs(run, o, err) < 0 ||
	    fl_pairs_open(&t->pairs, run, o, NULL, &form, err) < 0 ||
	    fl_spill_open(&t->spill, run, &spill_ops, t, &t->pairs.keys, err) < 0)
		return err->code;
	t->budget.max = fl_spill_memory_max(&t->spill);
	fl_run_in_time_order(run);
	return 0;
}

static int
columns(void *self, struct fl_err *err)
{
	struct temporal *t = self;

	return fl_pairs_columns(&t->pairs, err);
}

static int
end(void *self, struct fl_err *err)
{
	struct temporal *t = self;

	(void)err;
	fl_pairs_notes(&t->pairs);
	return 0;
}

static void
release(void *self)
{
	struct temporal *t = self;

	if (!t->run)
		return;
	fl_spill_close(&t->spill);
	fl_slab_release(&t->slab);
	fl_table_release(&t->table);
	fl_budget_release(&t->budget);
	fl_pairs_release(&t->pairs);
	fl_buf_release(&t->heap);
	fl_buf_release(&t->due);
	fl_buf_release(&t->scratch);
	fl_buf_release(&t->packed);
	fl_buf_release(&t->entries);
	fl_buf_release(&t->rows);
}

/* ---- snapshots ------------------------------------------------------------------------------- */

static const char what[] = "temporal join";

/*
 * An entry's value: two numbers of 8 bytes, then the record. Left rows: time, arrival
 * number; versions: time, whether it says that there is none.
 */
#define SAVED_BYTES 16u

static void
save_row(struct fl_save *s, char side, const struct fl_key *key, int64_t time, uint64_t second,
	 const char *p, uint32_t len, struct fl_buf *value)
{
	fl_buf_clear(value);
	fl_buf_put(value, &time, sizeof time);
	fl_buf_put(value, &second, sizeof second);
	fl_buf_put(value, p, len);
	fl_save_entry(s, &(struct fl_state_entry){ .ns = &side,
						   .ns_len = 1,
						   .key = key->p,
						   .key_len = key->len,
						   .key_tags = key->tags,
						   .value = value->data,
						   .value_len = (uint32_t)value->len });
}

static void
save_left(const struct temporal *t, struct fl_save *s)
{
	const struct timer *h = (const struct timer *)(const void *)t->heap.data;
	struct fl_buf about = { 0 }, value = { 0 };

	fl_pairs_about(&t->pairs, FL_JOIN_SIDE_LEFT, "time:time arrival:u64 row:row", &about);
	fl_save_section(s, "left rows", 1, about.data);
	for (size_t i = 0; i < t->heap.len / sizeof *h; i++) {
		const struct waiting *w = h[i].row;
		struct fl_key key = fl_entry_key(w->entry);

		save_row(s, 'L', &key, h[i].time, h[i].seq, w->data, w->len, &value);
	}
	fl_buf_release(&about);
	fl_buf_release(&value);
}

static void
save_versions(const struct temporal *t, struct fl_save *s)
{
	struct fl_buf about = { 0 }, value = { 0 };

	fl_pairs_about(&t->pairs, FL_JOIN_SIDE_RIGHT, "time:time bits64(deleted) row:row", &about);
	fl_save_section(s, "versions", 1, about.data);
	for (uint32_t i = 0; i < t->table.count; i++) {
		struct fl_entry *e = fl_table_at(&t->table, i);
		struct fl_key key;

		if (e->deleted)
			continue;
		key = fl_entry_key(e);
		for (const struct version *v = state_of(e)->newest; v; v = v->older)
			save_row(s, 'R', &key, v->time, v->gone, v->data, v->len, &value);
	}
	fl_buf_release(&about);
	fl_buf_release(&value);
}

static void
snapshot(void *self, struct fl_save *s)
{
	struct temporal *t = self;

	fl_join_save(&t->pairs, what, t->wm, t->seq, s);
	if (fl_spill_on_disk(&t->spill)) {
		fl_spill_save(&t->spill, s);
		return;
	}
	save_left(t, s);
	save_versions(t, s);
}

static int
load_row(void *self, const struct fl_state_section *s, const struct fl_state_entry *e,
	 struct fl_load *l, struct fl_err *err)
{
	struct fl_key key = { .p = e->key, .len = e->key_len, .tags = e->key_tags };
	bool left = strcmp(s->name, "left rows") == 0;
	uint32_t len = e->value_len - SAVED_BYTES;
	const char *p = e->value + SAVED_BYTES;
	struct temporal *t = self;
	struct fl_entry *entry;
	uint64_t second;
	int64_t time;

	if (e->value_len < SAVED_BYTES || (e->key_len == FL_STATE_NULL_KEY && !left) ||
	    fl_row_check(p, len, err) < 0)
		return fl_load_damaged(l, "a kept row", err);
	memcpy(&time, e->value, sizeof time);
	memcpy(&second, e->value + 8, sizeof second);
	fl_pairs_rehash(&t->pairs, &key);
	if (fl_spill_put(&t->spill, 0, &t->table, &key, NULL, 1, 0, &entry, err) < 0)
		return err->code;
	if (left)
		add_waiting(t, entry, time, second, p, len);
	else
		add_version(t, entry, time, second != 0, p, len);
	return fl_budget_check(&t->budget, 0, err) < 0 ? err->code : trim(t, err);
}

static const struct fl_join_section sections[] = {
	{ "left rows", 1, load_row },
	{ "versions", 1, load_row },
	{ NULL, 0, NULL },
};

static int
restore(void *self, struct fl_load *l, struct fl_err *err)
{
	struct temporal *t = self;

	return fl_join_restore(&t->pairs, &t->spill, what, &t->wm, &t->seq, sections, t, l, err);
}

static int
before_snapshot(void *self, struct fl_err *err)
{
	struct temporal *t = self;

	if (fl_spill_on_disk(&t->spill))
		link_left(t);
	return fl_spill_checkpoint(&t->spill, err);
}

static size_t
state_bytes(const void *self)
{
	const struct temporal *t = self;

	return fl_spill_on_disk(&t->spill) ? 0 : t->slab.in_use;
}

const struct fl_join_engine fl_join_temporal = {
	.name = "temporal join",
	.self_size = sizeof(struct temporal),
	.open = open,
	.columns = columns,
	.on_batch = on_batch,
	.advance = advance,
	.end = end,
	.snapshot = snapshot,
	.restore = restore,
	.before_snapshot = before_snapshot,
	.state_bytes = state_bytes,
	.release = release,
};
