/* SPDX-License-Identifier: Apache-2.0 */
#include "window/slices.h"

#include <stdlib.h>

#include "time/timestamp.h"

struct fl_slice {
	int64_t start, end;
	int64_t first_due; /* watermark at which the first window with it fires */
	int64_t gone;      /* watermark at which the last window with it is cleaned up */
	bool hole;         /* between the windows of a slide > size */
	struct fl_table table;
	struct fl_buf pending; /* uint32_t: records of the batch not yet added */
};

enum { ENTRY_INIT = 1 }; /* fl_entry.flags: the accumulator was initialised */

int
fl_slices_open(struct fl_slices *s, struct fl_run *run, const struct fl_window_spec *spec,
	       struct fl_aggs *aggs, struct fl_results *results, struct fl_late *late, bool updates,
	       struct fl_err *err)
{
	int rc;

	*s = (struct fl_slices){ .lateness = spec->lateness,
				 .processing_time = spec->processing_time,
				 .updates = updates,
				 .run = run,
				 .aggs = aggs,
				 .results = results,
				 .late = late,
				 .wm_ms = FL_TIME_MIN,
				 .due_ms = FL_TIME_MAX };
	fl_budget_init(&s->budget, fl_run_memory_max(run));
	fl_keys_init(&s->keys);
	fl_table_init(&s->merged, &s->budget, fl_aggs_size(aggs));
	if (spec->kind == FL_WINDOW_TUMBLE)
		rc = fl_windows_tumble(&s->windows, spec->size, spec->offset, err);
	else if (spec->kind == FL_WINDOW_SLIDE)
		rc = fl_windows_slide(&s->windows, spec->size, spec->slide, spec->offset, err);
	else
		rc = fl_windows_cumulate(&s->windows, spec->size, spec->slide, spec->offset, err);
	return rc;
}

/* Free what accumulators hold outside their tables, then the entries. */
static void
clear_table(struct fl_slices *s, struct fl_table *t)
{
	if (fl_aggs_extra_bytes(s->aggs))
		for (uint32_t i = 0; i < t->count; i++)
			fl_aggs_clear(s->aggs, fl_table_at(t, i)->value);
	fl_table_clear(t);
}

static void
slice_release(struct fl_slices *s, struct fl_slice *sl)
{
	clear_table(s, &sl->table);
	fl_table_release(&sl->table);
	fl_buf_release(&sl->pending);
}

void
fl_slices_release(struct fl_slices *s)
{
	if (!s->run)
		return;
	for (uint32_t i = 0; i < s->count; i++)
		slice_release(s, &s->slice[i]);
	free(s->slice);
	fl_table_release(&s->merged);
	fl_budget_release(&s->budget);
	fl_keys_release(&s->keys);
	fl_buf_release(&s->wm_scratch);
	fl_buf_release(&s->entries);
	fl_buf_release(&s->accs);
	fl_buf_release(&s->order);
	fl_badrows_release(&s->bad);
}

/* ---- slices ---------------------------------------------------------------------- */

/* The first window with this slice that has not fired at watermark wm. */
static bool
next_window(const struct fl_slices *s, const struct fl_slice *sl, int64_t wm, struct fl_window *ret)
{
	int64_t lo = 0, hi = fl_windows_count(&s->windows, sl->start), n = hi;

	while (lo < hi) { /* they are in the order in which they end */
		int64_t mid = lo + (hi - lo) / 2;

		if (fl_windows_nth(&s->windows, sl->start, mid).end - 1 > wm)
			hi = mid;
		else
			lo = mid + 1;
	}
	if (lo < n)
		*ret = fl_windows_nth(&s->windows, sl->start, lo);
	return lo < n;
}

/* Find out which window fires next: the earliest that has a slice. */
static void
schedule(struct fl_slices *s)
{
	s->due_ms = FL_TIME_MAX;
	for (uint32_t i = 0; i < s->count; i++) {
		struct fl_window w;

		if (s->slice[i].hole || !next_window(s, &s->slice[i], s->wm_ms, &w) ||
		    w.end - 1 >= s->due_ms)
			continue;
		s->due_ms = w.end - 1;
		s->next = w;
	}
	if (s->processing_time)
		fl_run_timer(s->run, s->due_ms);
}

static struct fl_slice *
new_slice(struct fl_slices *s, uint32_t at, const struct fl_window *bounds)
{
	int64_t n = fl_windows_count(&s->windows, bounds->start);
	struct fl_window last;
	struct fl_slice *sl;

	if (s->count == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 16;
		s->slice = fl_xreallocarray(s->slice, s->cap, sizeof *s->slice);
	}
	sl = &s->slice[at];
	memmove(sl + 1, sl, (s->count - at) * sizeof *sl);
	s->count++;
	*sl = (struct fl_slice){ .start = bounds->start, .end = bounds->end, .hole = n == 0 };
	fl_table_init(&sl->table, &s->budget, fl_aggs_size(s->aggs));
	if (n == 0) {
		/* no window: late as soon as the watermark has passed the record */
		sl->first_due = sl->gone = FL_TIME_MIN;
		return sl;
	}
	sl->first_due = fl_windows_nth(&s->windows, sl->start, 0).end - 1;
	last = fl_windows_nth(&s->windows, sl->start, n - 1);
	sl->gone = fl_window_cleanup_time(&last, s->lateness);
	return sl;
}

static struct fl_slice *
slice_at(struct fl_slices *s, int64_t time)
{
	uint32_t lo = 0, hi = s->count;
	struct fl_window bounds;
	struct fl_slice *sl;

	if (s->last < s->count && time >= s->slice[s->last].start && time < s->slice[s->last].end)
		return &s->slice[s->last];
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (s->slice[mid].end <= time)
			lo = mid + 1;
		else
			hi = mid;
	}
	s->last = lo;
	if (lo < s->count && s->slice[lo].start <= time)
		return &s->slice[lo];
	bounds = fl_slice_at(&s->windows, time);
	sl = new_slice(s, lo, &bounds);
	return sl;
}

/* Slices all of whose windows are cleaned up, or that never got a record. */
static void
drop_slices(struct fl_slices *s)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < s->count; i++) {
		struct fl_slice *sl = &s->slice[i];

		if (sl->gone <= s->wm_ms && sl->pending.len == 0)
			slice_release(s, sl);
		else
			s->slice[kept++] = *sl;
	}
	s->count = kept;
	s->last = 0;
}

/* ---- adding ------------------------------------------------------------------------- */

static int
add_rows(struct fl_slices *s, struct fl_slice *sl, const struct fl_key *keys, const uint32_t *rows,
	 uint32_t n, struct fl_err *err)
{
	struct fl_entry **entry;
	void **accs;

	fl_buf_clear(&s->entries);
	fl_buf_clear(&s->accs);
	entry = (struct fl_entry **)(void *)fl_buf_reserve(&s->entries, n * sizeof *entry);
	accs = (void **)(void *)fl_buf_reserve(&s->accs, n * sizeof *accs);
	if (fl_table_put(&sl->table, keys, rows, n, s->seq, entry, NULL, err) < 0)
		return err->code;
	for (uint32_t i = 0; i < n; i++) {
		if (!(entry[i]->flags & ENTRY_INIT)) {
			fl_aggs_init(s->aggs, entry[i]->value);
			entry[i]->flags |= ENTRY_INIT;
		}
		accs[i] = entry[i]->value;
	}
	return fl_aggs_add(s->aggs, accs, rows, 0, n, s->seq, err);
}

/* Add what has been collected, slice by slice; within one by arrival. */
static int
add_pending(struct fl_slices *s, const struct fl_key *keys, struct fl_err *err)
{
	for (uint32_t i = 0; i < s->count; i++) {
		struct fl_slice *sl = &s->slice[i];
		uint32_t n = (uint32_t)(sl->pending.len / sizeof(uint32_t));

		if (n == 0)
			continue;
		if (add_rows(s, sl, keys, (const uint32_t *)(const void *)sl->pending.data, n,
			     err) < 0)
			return err->code;
		fl_buf_clear(&sl->pending);
	}
	return 0;
}

/* ---- firing ---------------------------------------------------------------------------- */

static bool
in_window(const struct fl_slice *sl, const struct fl_window *w)
{
	return sl->start >= w->start && sl->end <= w->end && sl->table.live;
}

static int
merge_slice(struct fl_slices *s, const struct fl_slice *sl, struct fl_err *err)
{
	for (uint32_t i = 0; i < sl->table.count; i++) {
		const struct fl_entry *from = fl_table_at(&sl->table, i);
		struct fl_key key = fl_entry_key(from);
		struct fl_entry *to;

		key.hash = from->hash;
		if (fl_table_put(&s->merged, &key, NULL, 1, from->seq, &to, NULL, err) < 0)
			return err->code;
		if (!(to->flags & ENTRY_INIT)) {
			fl_aggs_init(s->aggs, to->value);
			to->flags |= ENTRY_INIT;
		}
		if (from->seq < to->seq) {
			to->seq = from->seq;
			to->tags = from->tags;
		}
		if (fl_aggs_merge(s->aggs, to->value, from->value, err) < 0)
			return err->code;
	}
	return 0;
}

static int
by_arrival(const void *a, const void *b)
{
	const struct fl_entry *x = *(struct fl_entry *const *)a, *y = *(struct fl_entry *const *)b;

	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* The entries of a table by arrival, in s->order; returns how many. */
static uint32_t
entries_of(struct fl_slices *s, const struct fl_table *t)
{
	struct fl_entry **e;
	bool sorted = true;

	fl_buf_clear(&s->order);
	e = (struct fl_entry **)(void *)fl_buf_reserve(&s->order, (t->count + 1) * sizeof *e);
	for (uint32_t i = 0; i < t->count; i++) {
		e[i] = fl_table_at(t, i);
		sorted = sorted && (i == 0 || e[i - 1]->seq < e[i]->seq);
	}
	if (!sorted)
		qsort(e, t->count, sizeof(struct fl_entry *), by_arrival);
	return t->count;
}

static int
emit_table(struct fl_slices *s, const struct fl_window *w, const struct fl_table *t,
	   struct fl_err *err)
{
	uint32_t n = entries_of(s, t);

	return fl_results_put(s->results, w, (struct fl_entry *const *)(void *)s->order.data, NULL,
			      n, s->wm_ms, FL_INSERT, err);
}

static int
fire(struct fl_slices *s, const struct fl_window *w, struct fl_err *err)
{
	const struct fl_slice *only = NULL;
	uint32_t n = 0;
	int rc = 0;

	for (uint32_t i = 0; i < s->count; i++) {
		if (in_window(&s->slice[i], w)) {
			only = &s->slice[i];
			n++;
		}
	}
	if (n == 0)
		return 0;
	if (n == 1)
		return emit_table(s, w, &only->table, err);
	for (uint32_t i = 0; i < s->count && rc == 0; i++)
		if (in_window(&s->slice[i], w))
			rc = merge_slice(s, &s->slice[i], err);
	if (rc == 0)
		rc = emit_table(s, w, &s->merged, err);
	clear_table(s, &s->merged);
	return rc;
}

int
fl_slices_advance(struct fl_slices *s, int64_t wm_ms, struct fl_err *err)
{
	int64_t in_force = s->wm_ms;

	if (wm_ms <= s->wm_ms)
		return 0;
	while (s->due_ms <= wm_ms && s->due_ms < FL_TIME_MAX) {
		struct fl_window w = s->next;

		s->wm_ms = in_force; /* what the next tool sees before these rows */
		if (fire(s, &w, err) < 0)
			return err->code;
		s->wm_ms = w.end - 1;
		schedule(s);
	}
	s->wm_ms = wm_ms;
	if (s->count && s->slice[0].gone <= wm_ms) { /* the oldest goes first */
		drop_slices(s);
		schedule(s);
	}
	return 0;
}

/* ---- records behind the watermark ------------------------------------------------------ */

/* The sum of one key over a window's slices, into the scratch table's one entry. */
static int
sum_key(struct fl_slices *s, const struct fl_window *w, const struct fl_key *key,
	struct fl_entry **ret, struct fl_err *err)
{
	*ret = NULL;
	for (uint32_t i = 0; i < s->count; i++) {
		const struct fl_slice *sl = &s->slice[i];
		struct fl_entry *e;

		if (!in_window(sl, w) || !(e = fl_table_get(&sl->table, key)))
			continue;
		if (!*ret && fl_table_put(&s->merged, key, NULL, 1, e->seq, ret, NULL, err) < 0)
			return err->code;
		if (!((*ret)->flags & ENTRY_INIT))
			fl_aggs_init(s->aggs, (*ret)->value);
		(*ret)->flags |= ENTRY_INIT;
		(*ret)->tags = e->tags;
		if (fl_aggs_merge(s->aggs, (*ret)->value, e->value, err) < 0)
			return err->code;
	}
	return 0;
}

static int
emit_key(struct fl_slices *s, const struct fl_window *w, const struct fl_key *key,
	 enum fl_rowkind op, struct fl_err *err)
{
	struct fl_entry *e;
	int rc = sum_key(s, w, key, &e, err);

	if (rc == 0 && e)
		rc = fl_results_put(s->results, w, &e, NULL, 1, s->wm_ms, op, err);
	clear_table(s, &s->merged);
	return rc;
}

/*
 * A record one of whose windows has fired. It goes into the windows that are not
 * cleaned up yet; those of them that have fired fire again at once, for its key.
 */
static int
add_behind(struct fl_slices *s, struct fl_slice *sl, const struct fl_key *keys, uint32_t row,
	   int64_t time, struct fl_err *err)
{
	int64_t n = fl_windows_count(&s->windows, time), first = 0, i;
	int64_t start = sl->start;
	uint32_t at = (uint32_t)(sl - s->slice);
	bool *existed = fl_xcalloc((size_t)n, sizeof *existed);
	struct fl_entry *e;
	int rc = 0;

	while (first < n) {
		struct fl_window w = fl_windows_nth(&s->windows, start, first);

		if (fl_window_cleanup_time(&w, s->lateness) > s->wm_ms)
			break;
		first++;
	}
	if (first == n) {
		int64_t own;

		if (__builtin_add_overflow(time, s->lateness, &own) || own <= s->wm_ms)
			fl_late_add(s->late, row);
		free(existed);
		return 0;
	}
	for (i = first; i < n && rc == 0 && s->updates; i++) {
		struct fl_window w = fl_windows_nth(&s->windows, start, i);

		if (w.end - 1 > s->wm_ms)
			break;
		rc = sum_key(s, &w, &keys[row], &e, err);
		existed[i] = e != NULL;
		if (rc == 0 && e)
			rc = fl_results_put(s->results, &w, &e, NULL, 1, s->wm_ms, FL_UPDATE_BEFORE,
					    err);
		clear_table(s, &s->merged);
	}
	if (rc == 0)
		rc = add_rows(s, &s->slice[at], keys, &row, 1, err);
	for (i = first; i < n && rc == 0; i++) {
		struct fl_window w = fl_windows_nth(&s->windows, start, i);

		if (w.end - 1 > s->wm_ms)
			break;
		rc = emit_key(s, &w, &keys[row], existed[i] ? FL_UPDATE_AFTER : FL_INSERT, err);
	}
	free(existed);
	return rc;
}

/* ---- batches ------------------------------------------------------------------------------ */

struct cursor {
	const struct fl_batch *b;
	const struct fl_key *keys;
	const int64_t *time; /* NULL: processing time, now for all */
	const int64_t *wm;   /* NULL: processing time, does not move in a batch */
	int64_t now;
};

/* Records from..: collected until one needs more than that; returns its index. */
static uint32_t
collect_run(struct fl_slices *s, const struct cursor *c, uint32_t from)
{
	uint32_t i;

	for (i = from; i < c->b->rows; i++) {
		int64_t time = c->time ? c->time[i] : c->now;
		int64_t wm = c->wm ? c->wm[i] : s->wm_ms;
		struct fl_slice *sl;
		uint32_t before = s->count;

		if (wm >= s->due_ms)
			return i;
		if (s->bad.count && s->bad.mask.data[i])
			continue;
		s->wm_ms = wm;
		sl = slice_at(s, time);
		if (before != s->count)
			schedule(s);
		if (wm >= sl->first_due)
			return i;
		fl_buf_put(&sl->pending, &i, sizeof i);
	}
	return i;
}

/* One record that is not simply added. */
static int
one_record(struct fl_slices *s, const struct cursor *c, uint32_t i, struct fl_err *err)
{
	int64_t time = c->time ? c->time[i] : c->now;
	int64_t wm = c->wm ? c->wm[i] : s->wm_ms;
	struct fl_slice *sl;

	if (wm >= s->due_ms) /* windows fire before this record; it is looked at again */
		return fl_slices_advance(s, wm, err);
	s->wm_ms = wm;
	sl = slice_at(s, time);
	return add_behind(s, sl, c->keys, i, time, err);
}

int
fl_slices_batch(struct fl_slices *s, const struct fl_batch *b, struct fl_err *err)
{
	struct cursor c = { .b = b, .now = fl_run_now(s->run) };
	uint32_t i = 0;

	fl_badrows_reset(&s->bad);
	if (fl_aggs_prepare(s->aggs, b, &s->bad, err) < 0 ||
	    fl_run_bad(s->run, b, &s->bad, NULL, err) < 0 ||
	    fl_keys_of(&s->keys, fl_run_header(s->run, 0), b, &c.keys, err) < 0)
		return err->code;
	if (!s->processing_time) {
		c.time = b->time;
		c.wm = fl_batch_wm(b, &s->wm_scratch);
	} else if (fl_slices_advance(s, c.now, err) < 0) {
		return err->code;
	}
	for (;;) {
		bool fires;

		i = collect_run(s, &c, i);
		if (add_pending(s, c.keys, err) < 0)
			return err->code;
		if (i == b->rows)
			break;
		fires = c.wm && c.wm[i] >= s->due_ms;
		if (one_record(s, &c, i, err) < 0)
			return err->code;
		i += !fires;
	}
	s->seq += b->rows;
	if (fl_late_flush(s->late, b, err) < 0)
		return err->code;
	return fl_budget_check(&s->budget, fl_aggs_extra_bytes(s->aggs), err);
}
