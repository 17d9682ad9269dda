/* SPDX-License-Identifier: Apache-2.0 */
#include "join/temporal.h"

#include <stdlib.h>
#include <string.h>

#include "join/slab.h"
#include "state/table.h"
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
	uint64_t waiting; /* left rows that point here */
};

/* A left row that waits for the watermark. */
struct waiting {
	struct fl_entry *entry; /* NULL: its key is NULL */
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
		fl_table_delete(&t->table, e);
}

/* Add a version; one of the same time makes room for it. */
static void
add_version(struct temporal *t, struct fl_entry *e, int64_t time, bool gone, const char *p,
	    uint32_t len)
{
	struct version **at = &state_of(e)->newest, *v = fl_slab_take(&t->slab, sizeof *v + len);

	*v = (struct version){ .time = time, .len = len, .gone = gone };
	memcpy(v->data, p, len);
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

static bool
before(const struct timer *a, const struct timer *b)
{
	return a->time < b->time || (a->time == b->time && a->seq < b->seq);
}

static void
heap_push(struct temporal *t, struct timer w)
{
	size_t i = t->heap.len / sizeof w;
	struct timer *h;

	(void)fl_buf_reserve(&t->heap, sizeof w);
	h = (struct timer *)(void *)t->heap.data;
	t->heap.len += sizeof w;
	for (; i && before(&w, &h[(i - 1) / 2]); i = (i - 1) / 2)
		h[i] = h[(i - 1) / 2];
	h[i] = w;
}

static struct timer
heap_pop(struct temporal *t)
{
	struct timer *h = (struct timer *)(void *)t->heap.data, top = h[0], moved;
	size_t n = t->heap.len / sizeof *h - 1, i = 0, child;

	t->heap.len -= sizeof *h;
	moved = h[n];
	while ((child = 2 * i + 1) < n) {
		if (child + 1 < n && before(&h[child + 1], &h[child]))
			child++;
		if (!before(&h[child], &moved))
			break;
		h[i] = h[child];
		i = child;
	}
	h[i] = moved;
	return top;
}

static void
add_waiting(struct temporal *t, struct fl_entry *e, int64_t time, uint64_t seq, const char *p,
	    uint32_t len)
{
	struct waiting *w = fl_slab_take(&t->slab, sizeof *w + len);

	*w = (struct waiting){ .entry = e, .len = len };
	memcpy(w->data, p, len);
	if (e)
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

		if (w->entry) {
			state_of(w->entry)->waiting--;
			forget_key(t, w->entry);
		}
		fl_slab_give(&t->slab, w, sizeof *w + w->len);
	}
	fl_buf_clear(&t->due);
	return rc;
}

/* The watermark is now wm: left rows up to it come out. */
static int
move_on(struct temporal *t, int64_t wm, struct fl_err *err)
{
	int rc = 0;

	if (wm <= t->wm)
		return 0;
	while (t->heap.len && ((struct timer *)(void *)t->heap.data)->time <= wm && rc == 0) {
		struct due d = { .left = heap_pop(t) };

		if (d.left.row->entry) {
			prune(t, state_of(d.left.row->entry));
			d.version = version_at(state_of(d.left.row->entry), d.left.time);
		}
		fl_buf_put(&t->due, &d, sizeof d);
		if (t->due.len >= DUE_MAX * sizeof d)
			rc = tell_due(t, err);
	}
	if (rc == 0 && t->due.len)
		rc = tell_due(t, err);
	t->wm = wm;
	return rc;
}

/* ---- records ------------------------------------------------------------------------------- */

/* The entries of the keys of all records; NULL where the key is. */
static int
find_keys(struct temporal *t, enum fl_join_side side, const struct fl_batch *b,
	  struct fl_entry ***ret, struct fl_err *err)
{
	const struct fl_key *keys;
	struct fl_entry **entry;
	uint32_t *rows, n = 0;

	fl_buf_clear(&t->rows);
	fl_buf_clear(&t->entries);
	rows = (uint32_t *)(void *)fl_buf_reserve(&t->rows, b->rows * sizeof *rows);
	entry = (struct fl_entry **)(void *)fl_buf_reserve(&t->entries, b->rows * sizeof *entry);
	*ret = entry;
	if (fl_pairs_keys(&t->pairs, side, b, &keys, err) < 0)
		return err->code;
	for (uint32_t i = 0; i < b->rows; i++)
		if (!fl_pairs_key_is_null(&t->pairs, &keys[i]))
			rows[n++] = i;
	if (fl_table_put(&t->table, keys, rows, n, 0, entry, NULL, err) < 0)
		return err->code;
	for (uint32_t i = b->rows; i-- > 0;) {
		bool taken = n && rows[n - 1] == i;

		entry[i] = taken ? entry[--n] : NULL;
	}
	/* the watermark may go on inside the batch: what is found here must stay */
	for (uint32_t i = 0; i < b->rows; i++)
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

static int
on_batch(void *self, enum fl_join_side side, const struct fl_batch *b, struct fl_err *err)
{
	struct temporal *t = self;
	const int64_t *wms = fl_batch_wm(b, &t->scratch);
	struct fl_entry **entry;
	int rc = 0;

	if (find_keys(t, side, b, &entry, err) < 0)
		return err->code;
	for (uint32_t i = 0; i < b->rows && rc == 0; i++) {
		struct fl_entry *e = entry[i];

		rc = move_on(t, wms[i], err);
		fl_buf_clear(&t->packed);
		(void)fl_pairs_pack(b, i, &t->packed);
		if (side == FL_JOIN_SIDE_RIGHT)
			take_right(t, b, i, e);
		else if (e || t->outer)
			add_waiting(t, e, b->time[i], t->seq++, t->packed.data,
				    (uint32_t)t->packed.len);
		if (!e)
			continue;
		state_of(e)->waiting--;
		forget_key(t, e);
	}
	if (rc == 0)
		rc = fl_budget_check(&t->budget, 0, err);
	return rc < 0 ? rc : fl_pairs_flush(&t->pairs, err);
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
	fl_budget_init(&t->budget, fl_run_memory_max(run));
	fl_table_init(&t->table, &t->budget, sizeof(struct state));
	fl_slab_init(&t->slab, &t->budget);
	if (check_inputs(run, o, err) < 0 || fl_pairs_open(&t->pairs, run, o, NULL, &form, err) < 0)
		return err->code;
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

	fl_pairs_about(&t->pairs, FL_JOIN_SIDE_LEFT, &about);
	fl_save_section(s, "left rows", 1, about.data);
	for (size_t i = 0; i < t->heap.len / sizeof *h; i++) {
		const struct waiting *w = h[i].row;
		struct fl_key key = { .p = "", .len = FL_KEY_NULL };

		if (w->entry)
			key = fl_entry_key(w->entry);
		save_row(s, 'L', &key, h[i].time, h[i].seq, w->data, w->len, &value);
	}
	fl_buf_release(&about);
	fl_buf_release(&value);
}

static void
save_versions(const struct temporal *t, struct fl_save *s)
{
	struct fl_buf about = { 0 }, value = { 0 };

	fl_pairs_about(&t->pairs, FL_JOIN_SIDE_RIGHT, &about);
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

	fl_pairs_save(&t->pairs, what, s);
	fl_save_section(s, "clock", 1, NULL);
	fl_save_int(s, "watermark", t->wm);
	fl_save_int(s, "arrivals", (int64_t)t->seq);
	save_left(t, s);
	save_versions(t, s);
}

static int
load_clock(struct temporal *t, struct fl_load *l, struct fl_err *err)
{
	struct fl_state_entry e;
	int64_t seq;
	int rc;

	while ((rc = fl_load_entry(l, &e, err)) > 0) {
		if (fl_state_is(&e, "watermark"))
			rc = fl_state_int(&e, &t->wm, err);
		else if (fl_state_is(&e, "arrivals") && (rc = fl_state_int(&e, &seq, err)) == 0)
			t->seq = (uint64_t)seq;
		if (rc < 0)
			return rc;
	}
	return rc;
}

static int
load_row(struct temporal *t, bool left, const struct fl_state_entry *e, struct fl_load *l,
	 struct fl_err *err)
{
	struct fl_key key = { .p = e->key, .len = e->key_len, .tags = e->key_tags };
	bool null = e->key_len == FL_STATE_NULL_KEY;
	uint32_t len = e->value_len - SAVED_BYTES;
	struct fl_entry *entry = NULL;
	const char *p = e->value + SAVED_BYTES;
	uint64_t second;
	int64_t time;

	if (e->value_len < SAVED_BYTES || (null && !left) || fl_row_check(p, len, err) < 0)
		return fl_load_damaged(l, "a kept row", err);
	memcpy(&time, e->value, sizeof time);
	memcpy(&second, e->value + 8, sizeof second);
	if (!null) {
		fl_pairs_rehash(&t->pairs, &key);
		if (fl_table_put(&t->table, &key, NULL, 1, 0, &entry, NULL, err) < 0)
			return err->code;
	}
	if (left)
		add_waiting(t, entry, time, second, p, len);
	else
		add_version(t, entry, time, second != 0, p, len);
	return fl_budget_check(&t->budget, 0, err);
}

static int
load_rows(struct temporal *t, bool left, struct fl_load *l, struct fl_err *err)
{
	struct fl_state_entry e;
	int rc;

	while ((rc = fl_load_entry(l, &e, err)) > 0)
		if (load_row(t, left, &e, l, err) < 0)
			return err->code;
	return rc;
}

static int
restore(void *self, struct fl_load *l, struct fl_err *err)
{
	struct temporal *t = self;
	struct fl_state_section s;
	int rc;

	while ((rc = fl_load_section(l, &s, err)) > 0) {
		if (strcmp(s.name, FL_PAIRS_SECTION) == 0)
			rc = fl_pairs_load(&t->pairs, what, l, err);
		else if (strcmp(s.name, "clock") == 0)
			rc = load_clock(t, l, err);
		else if (strcmp(s.name, "left rows") == 0)
			rc = load_rows(t, true, l, err);
		else if (strcmp(s.name, "versions") == 0)
			rc = load_rows(t, false, l, err);
		else
			rc = fl_load_unknown(l, &s, err);
		if (rc < 0)
			return rc;
	}
	return rc;
}

static size_t
state_bytes(const void *self)
{
	const struct temporal *t = self;

	return t->slab.in_use;
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
	.state_bytes = state_bytes,
	.release = release,
};
