/* SPDX-License-Identifier: Apache-2.0 */
#include "window/slices.h"

#include <stdlib.h>

#include "time/timestamp.h"
#include "window/save.h"

struct fl_slice {
	int64_t start, end;
	int64_t first_due; /* watermark at which the first window with it fires */
	int64_t gone;      /* watermark at which the last window with it is cleaned up */
	bool hole;         /* between the windows of a slide > size */
	bool evicted;      /* keys may be on disk: what the table has are parts */
	bool stored;       /* something may be there */
	struct fl_table table;
	struct fl_buf pending; /* uint32_t: records of the batch not yet added */
};

/* fl_entry.flags: the accumulator was initialised, has changed since it was written. */
enum { ENTRY_INIT = 1, ENTRY_DIRTY = 2 };

#define FIRE_PORTION 4096u /* rows made at once of what comes from disk */

static bool
on_disk(const struct fl_slices *s)
{
	return s->parts.backend != NULL;
}

int
fl_slices_open(struct fl_slices *s, struct fl_run *run, const struct fl_window_spec *spec,
	       struct fl_aggs *aggs, struct fl_results *results, struct fl_late *late, bool updates,
	       struct fl_err *err)
{
	int rc = 0;

	*s = (struct fl_slices){ .spec = *spec,
				 .lateness = spec->lateness,
				 .processing_time = spec->processing_time,
				 .updates = updates,
				 .run = run,
				 .aggs = aggs,
				 .results = results,
				 .late = late,
				 .wm_ms = FL_TIME_MIN,
				 .due_ms = FL_TIME_MAX };
	s->spec.late = NULL;
	rc = fl_parts_open(&s->parts, run, aggs, NULL, err);
	fl_budget_init(&s->budget, on_disk(s) ? SIZE_MAX : fl_run_memory_max(run));
	fl_keys_init(&s->keys);
	fl_table_init(&s->merged, &s->budget, fl_aggs_size(aggs));
	if (rc < 0)
		return rc;
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
	clear_table(s, &s->merged);
	fl_table_release(&s->merged);
	fl_parts_release(&s->parts);
	free(s->files);
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

/* ---- on disk ------------------------------------------------------------------------- */

/* The namespace of a slice: namespaces ascend with time. */
struct slice_ns {
	char bytes[9];
};

static struct fl_bytes
ns_of(const struct fl_slice *sl, struct slice_ns *ns)
{
	uint64_t start = (uint64_t)sl->start ^ (UINT64_C(1) << 63);

	ns->bytes[0] = 'W';
	for (int i = 0; i < 8; i++)
		ns->bytes[1 + i] = (char)(start >> (56 - 8 * i));
	return (struct fl_bytes){ ns->bytes, sizeof ns->bytes };
}

static void
encode(void *ctx, const struct fl_entry *e, struct fl_buf *out)
{
	struct fl_slices *s = ctx;
	struct fl_part part = { .seq = e->seq, .tags = e->tags };

	fl_part_put(out, &part, s->aggs, e->value);
}

/* Write what has changed in a slice. */
static int
write_slice(struct fl_slices *s, struct fl_slice *sl, struct fl_err *err)
{
	struct slice_ns room;
	size_t n = 0;

	fl_buf_clear(&s->entries);
	for (uint32_t i = 0; i < sl->table.count; i++) {
		struct fl_entry *e = fl_table_at(&sl->table, i);

		if (!(e->flags & ENTRY_DIRTY))
			continue;
		fl_buf_put(&s->entries, &e, sizeof e);
		n++;
	}
	sl->stored = sl->stored || n;
	return n == 0 ? 0
		      : fl_backend_write(s->parts.backend, ns_of(sl, &room),
					 (struct fl_entry *const *)(void *)s->entries.data, n,
					 sl->evicted, encode, s, err);
}

/*
 * Write the slices with an edge in from .. to. evict: their tables begin empty; so do
 * those whose parts were written, as they must not be written again.
 */
static int
write_back(struct fl_slices *s, int64_t from, int64_t to, bool evict, struct fl_err *err)
{
	int rc = fl_backend_begin(s->parts.backend, err);

	for (uint32_t i = 0; i < s->count && rc == 0; i++)
		if (s->slice[i].start >= from && s->slice[i].end <= to)
			rc = write_slice(s, &s->slice[i], err);
	if (rc == 0)
		rc = fl_backend_end(s->parts.backend, err);
	for (uint32_t i = 0; i < s->count && rc == 0; i++) {
		struct fl_slice *sl = &s->slice[i];

		if (sl->start < from || sl->end > to || !sl->stored)
			continue;
		if (evict || sl->evicted) {
			clear_table(s, &sl->table);
			sl->evicted = true;
		}
		/* not before: what could not be written for one checkpoint is for the next */
		for (uint32_t k = 0; k < sl->table.count; k++)
			fl_table_at(&sl->table, k)->flags &= (uint8_t)~ENTRY_DIRTY;
	}
	return rc;
}

static int
check_memory(struct fl_slices *s, struct fl_err *err)
{
	size_t extra = fl_aggs_extra_bytes(s->aggs);

	if (!on_disk(s))
		return fl_budget_check(&s->budget, extra, err);
	return s->budget.used + extra > fl_backend_cache_max(s->parts.backend)
		       ? write_back(s, FL_TIME_MIN, FL_TIME_MAX, true, err)
		       : 0;
}

/* Slices all of whose windows are cleaned up, or that never got a record. */
static int
drop_slices(struct fl_slices *s, struct fl_err *err)
{
	uint32_t kept = 0;
	int rc = 0;

	for (uint32_t i = 0; i < s->count; i++) {
		struct fl_slice *sl = &s->slice[i];

		if (sl->gone > s->wm_ms || sl->pending.len) {
			s->slice[kept++] = *sl;
			continue;
		}
		if (sl->stored && rc == 0) {
			struct slice_ns room;

			rc = fl_backend_drop(s->parts.backend, ns_of(sl, &room), err);
		}
		slice_release(s, sl);
	}
	s->count = kept;
	s->last = 0;
	return rc;
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
		entry[i]->flags |= ENTRY_DIRTY;
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
	return sl->start >= w->start && sl->end <= w->end && (sl->table.live || sl->evicted);
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

/* ---- firing from disk ------------------------------------------------------------------ */

/* The slices of a window, side by side: each at its next key. */
struct side {
	struct fl_backend_walk *walk;
	struct fl_bytes order, value;
	struct fl_key key;
	bool ended;
};

struct disk_firing {
	struct fl_slices *s;
	const struct fl_window *window;
	struct side *side;
	uint32_t count;
	struct fl_arrivals *arrivals;
	void *acc, *other; /* scratch */
	struct fl_buf order, value;
};

static int
next_of(struct side *side, struct fl_err *err)
{
	int rc = fl_backend_walk_next(side->walk, &side->order, &side->key, &side->value, err);

	side->ended = rc == 0;
	return rc < 0 ? rc : 0;
}

static int
compare_order(struct fl_bytes a, struct fl_bytes b)
{
	int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

	return order ? order : (a.n > b.n) - (a.n < b.n);
}

/* The side whose key comes first; NULL: all have ended. *ret_more: others have it too. */
static struct side *
first_side(struct disk_firing *f, bool *ret_more)
{
	struct side *first = NULL;

	*ret_more = false;
	for (uint32_t i = 0; i < f->count; i++) {
		struct side *side = &f->side[i];
		int order;

		if (side->ended)
			continue;
		order = first ? compare_order(side->order, first->order) : -1;
		if (order < 0) {
			first = side;
			*ret_more = false;
		} else if (order == 0) {
			*ret_more = true;
		}
	}
	return first;
}

/* One key of several slices: its sum, into f->value. */
static int
sum_sides(struct disk_firing *f, struct fl_part *sum, struct fl_err *err)
{
	struct fl_aggs *aggs = f->s->aggs;
	int rc = 0;

	*sum = (struct fl_part){ .seq = UINT64_MAX };
	fl_aggs_init(aggs, f->acc);
	for (uint32_t i = 0; i < f->count && rc == 0; i++) {
		struct side *side = &f->side[i];
		struct fl_part part;

		if (side->ended ||
		    compare_order(side->order, (struct fl_bytes){ f->order.data, f->order.len }) !=
			    0)
			continue;
		fl_aggs_init(aggs, f->other);
		rc = fl_part_get(side->value, &part, aggs, f->other, err);
		if (rc == 0)
			rc = fl_aggs_merge(aggs, f->acc, f->other, err);
		fl_aggs_clear(aggs, f->other);
		if (rc == 0 && part.seq < sum->seq)
			*sum = part;
		if (rc == 0)
			rc = next_of(side, err);
	}
	fl_buf_clear(&f->value);
	if (rc == 0)
		fl_part_put(&f->value, sum, aggs, f->acc);
	fl_aggs_clear(aggs, f->acc);
	return rc;
}

/* All keys of the window's slices, by arrival. */
static int
merge_sides(struct disk_firing *f, struct fl_err *err)
{
	struct side *side;
	bool more;
	int rc = 0;

	for (uint32_t i = 0; i < f->count && rc == 0; i++)
		rc = next_of(&f->side[i], err);
	while (rc == 0 && (side = first_side(f, &more))) {
		struct fl_part part;
		struct fl_key key = side->key;

		if (!more) {
			rc = fl_part_head(side->value, &part, err);
			key.tags = part.tags;
			if (rc == 0)
				rc = fl_arrivals_put(f->arrivals, part.seq, &key, side->value, err);
			if (rc == 0)
				rc = next_of(side, err);
			continue;
		}
		fl_buf_clear(&f->order); /* what it views moves on with its side */
		fl_buf_put(&f->order, side->order.p, side->order.n);
		key.p = f->order.data + (side->key.p - side->order.p);
		rc = sum_sides(f, &part, err);
		key.tags = part.tags;
		if (rc == 0)
			rc = fl_arrivals_put(f->arrivals, part.seq, &key,
					     (struct fl_bytes){ f->value.data, f->value.len }, err);
	}
	return rc;
}

/* Whether its key, which came from a file, is one of ours. */
static bool
has_key(const struct fl_slices *s, const struct fl_entry *e)
{
	struct fl_key key = fl_entry_key(e);

	return fl_key_check(&key, s->results->key_count);
}

/* A key that comes from disk, in its turn. */
static int
take_key(void *ctx, uint64_t seq, const struct fl_key *key, struct fl_bytes value,
	 struct fl_err *err)
{
	struct disk_firing *f = ctx;
	struct fl_slices *s = f->s;
	struct fl_key k = *key;
	struct fl_part part;
	struct fl_entry *e;

	k.hash = fl_key_hash(&s->keys, &k);
	if (fl_table_put(&s->merged, &k, NULL, 1, seq, &e, NULL, err) < 0)
		return err->code;
	fl_aggs_init(s->aggs, e->value);
	if (!has_key(s, e))
		return fl_fail(err, FL_EDATA, "a sum in RocksDB's files is damaged");
	if (fl_part_get(value, &part, s->aggs, e->value, err) < 0)
		return err->code;
	if (s->merged.count < FIRE_PORTION)
		return 0;
	if (emit_table(s, f->window, &s->merged, err) < 0)
		return err->code;
	clear_table(s, &s->merged);
	return 0;
}

static int
fire_from_disk(struct fl_slices *s, const struct fl_window *w, struct fl_err *err)
{
	struct disk_firing f = { .s = s, .window = w };
	struct slice_ns room;
	int rc = write_back(s, w->start, w->end, true, err);

	f.side = fl_xcalloc(s->count, sizeof *f.side);
	f.arrivals = fl_arrivals_new(s->parts.backend);
	f.acc = fl_xcalloc(1, fl_aggs_size(s->aggs) + 8);
	f.other = fl_xcalloc(1, fl_aggs_size(s->aggs) + 8);
	for (uint32_t i = 0; i < s->count && rc == 0; i++)
		if (in_window(&s->slice[i], w) && s->slice[i].stored)
			f.side[f.count++].walk = fl_backend_walk_open(s->parts.backend,
								      ns_of(&s->slice[i], &room));
	if (rc == 0)
		rc = merge_sides(&f, err);
	if (rc == 0)
		rc = fl_arrivals_finish(f.arrivals, take_key, &f, err);
	if (rc == 0 && s->merged.count)
		rc = emit_table(s, w, &s->merged, err);
	clear_table(s, &s->merged);
	for (uint32_t i = 0; i < f.count; i++)
		fl_backend_walk_close(f.side[i].walk);
	fl_arrivals_free(f.arrivals);
	fl_buf_release(&f.order);
	fl_buf_release(&f.value);
	free(f.side);
	free(f.acc);
	free(f.other);
	return rc;
}

static int
fire(struct fl_slices *s, const struct fl_window *w, struct fl_err *err)
{
	const struct fl_slice *only = NULL;
	bool evicted = false;
	uint32_t n = 0;
	int rc = 0;

	for (uint32_t i = 0; i < s->count; i++) {
		if (in_window(&s->slice[i], w)) {
			only = &s->slice[i];
			evicted = evicted || only->evicted;
			n++;
		}
	}
	if (n == 0)
		return 0;
	if (evicted)
		return fire_from_disk(s, w, err);
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
		if (drop_slices(s, err) < 0)
			return err->code;
		schedule(s);
	}
	return 0;
}

/* ---- records behind the watermark ------------------------------------------------------ */

/* Add what a slice has of a key to *to, an entry of the scratch table, made if it is NULL. */
static int
add_part(struct fl_slices *s, const struct fl_key *key, uint64_t seq, uint32_t tags,
	 const void *acc, struct fl_entry **to, struct fl_err *err)
{
	if (!*to && fl_table_put(&s->merged, key, NULL, 1, seq, to, NULL, err) < 0)
		return err->code;
	if (!((*to)->flags & ENTRY_INIT))
		fl_aggs_init(s->aggs, (*to)->value);
	(*to)->flags |= ENTRY_INIT;
	(*to)->tags = tags;
	return fl_aggs_merge(s->aggs, (*to)->value, acc, err);
}

/* The same for what is on disk: rare enough to be read for one key alone. */
static int
add_from_disk(struct fl_slices *s, const struct fl_slice *sl, const struct fl_key *key,
	      struct fl_entry **to, struct fl_err *err)
{
	struct slice_ns room;
	struct fl_bytes value;
	struct fl_part part;
	void *acc;
	int rc = fl_backend_get(s->parts.backend, ns_of(sl, &room), key, 1, &value, err);

	if (rc < 0 || !value.p)
		return rc;
	acc = fl_xcalloc(1, fl_aggs_size(s->aggs) + 8);
	rc = fl_part_get(value, &part, s->aggs, acc, err);
	if (rc == 0)
		rc = add_part(s, key, part.seq, part.tags, acc, to, err);
	fl_aggs_clear(s->aggs, acc);
	free(acc);
	return rc;
}

/* The sum of one key over a window's slices, into the scratch table's one entry. */
static int
sum_key(struct fl_slices *s, const struct fl_window *w, const struct fl_key *key,
	struct fl_entry **ret, struct fl_err *err)
{
	*ret = NULL;
	for (uint32_t i = 0; i < s->count; i++) {
		const struct fl_slice *sl = &s->slice[i];
		struct fl_entry *e;

		if (!in_window(sl, w))
			continue;
		if (sl->evicted && add_from_disk(s, sl, key, ret, err) < 0)
			return err->code;
		e = fl_table_get(&sl->table, key);
		if (e && add_part(s, key, e->seq, e->tags, e->value, ret, err) < 0)
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
	return check_memory(s, err);
}

/* ---- snapshots ---------------------------------------------------------------------------- */

size_t
fl_slices_bytes(const struct fl_slices *s)
{
	if (on_disk(s))
		return 0; /* files that are there already */
	return s->budget.used + fl_aggs_extra_bytes(s->aggs);
}

int64_t
fl_slices_keys(const struct fl_slices *s)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < s->count; i++)
		if (s->slice[i].table.live > most)
			most = s->slice[i].table.live;
	return most;
}

/* All slices, also those without a key, and how many entries each has. */
static void
save_bounds(const struct fl_slices *s, struct fl_save *to)
{
	fl_save_section(to, "slices", 1, "{\"namespace\":\"window\",\"value\":\"int64\"}");
	for (uint32_t i = 0; i < s->count; i++) {
		struct fl_window bounds = { s->slice[i].start, s->slice[i].end };
		int64_t live = s->slice[i].table.live;
		struct fl_state_entry e = { .ns = (const char *)&bounds,
					    .ns_len = sizeof bounds,
					    .key = "",
					    .value = (const char *)&live,
					    .value_len = sizeof live };

		fl_save_entry(to, &e);
	}
}

int
fl_slices_before_save(struct fl_slices *s, struct fl_err *err)
{
	if (!on_disk(s))
		return 0;
	free(s->files);
	s->files = NULL;
	if (write_back(s, FL_TIME_MIN, FL_TIME_MAX, false, err) < 0)
		return err->code;
	return fl_parts_checkpoint(&s->parts, s->run, &s->files, err);
}

void
fl_slices_save(const struct fl_slices *s, struct fl_save *to)
{
	const struct fl_header *in = fl_run_header(s->run, 0);
	struct fl_window_saved w = { .engine = "slices",
				     .spec = s->spec,
				     .updates = s->updates,
				     .wm_ms = s->wm_ms,
				     .seq = s->seq };
	struct fl_buf value = { 0 }, rest = { 0 };

	fl_window_save(to, &w, in, s->aggs);
	save_bounds(s, to);
	if (on_disk(s)) {
		fl_parts_save(to, s->files, in, s->aggs, true);
		return;
	}
	fl_window_save_flat_section(to, "sums", in, s->aggs, true, 0);
	for (uint32_t i = 0; i < s->count; i++) {
		struct fl_window bounds = { s->slice[i].start, s->slice[i].end };
		struct fl_entry *const *e;

		fl_buf_clear(&rest);
		fl_window_save_flat(to, &bounds, &s->slice[i].table, s->aggs, 0, &rest);
		e = (struct fl_entry *const *)(void *)rest.data;
		for (size_t k = 0; k < rest.len / sizeof *e; k++) {
			fl_buf_clear(&value);
			fl_window_put_acc(&value, s->aggs, e[k]->value);
			fl_buf_put(&value, &e[k]->seq, sizeof e[k]->seq);
			fl_window_save_entry(to, &bounds, e[k], &value);
		}
	}
	fl_buf_release(&value);
	fl_buf_release(&rest);
}

bool
fl_slices_flat(const struct fl_slices *s)
{
	bool flat = true;

	for (uint32_t i = 0; i < s->count && flat; i++)
		flat = fl_window_all_flat(&s->slice[i].table, s->aggs);
	return flat;
}

/* The restore of sums, slice by slice. */
struct restore {
	struct fl_load *l;
	struct fl_aggs_loader *loader;
	struct fl_buf live;       /* int64_t: how many each slice had, a hint */
	struct fl_table *filling; /* of the slice in hand; NULL: none */
};

/* Slices must be those that the windows make, one behind the other. */
static int
load_bounds(struct fl_slices *s, struct restore *r, struct fl_err *err)
{
	struct fl_state_entry e;
	int rc;

	while ((rc = fl_load_entry(r->l, &e, err)) > 0) {
		struct fl_window bounds, own;
		int64_t live;

		if (e.ns_len != sizeof bounds || e.value_len != sizeof live)
			return fl_load_damaged(r->l, "a slice", err);
		memcpy(&bounds, e.ns, sizeof bounds);
		memcpy(&live, e.value, sizeof live);
		own = fl_slice_at(&s->windows, bounds.start);
		if (own.start != bounds.start || own.end != bounds.end || live < 0 ||
		    (s->count && s->slice[s->count - 1].end > bounds.start))
			return fl_load_damaged(r->l, "the bounds of a slice", err);
		(void)new_slice(s, s->count, &bounds);
		fl_buf_put(&r->live, &live, sizeof live);
	}
	return rc;
}

#define TWICE "two sums have the same key"

static int
end_filling(struct restore *r, struct fl_err *err)
{
	int rc = r->filling ? fl_table_filled(r->filling, err) : 0;

	r->filling = NULL;
	return rc > 0 ? fl_load_damaged(r->l, TWICE, err) : rc;
}

static bool
is_sound(const void *of, const struct fl_entry *e)
{
	const struct fl_slices *s = of;

	return has_key(s, e) && fl_aggs_is_flat(s->aggs, e->value);
}

/* Places for entries of one slice; those that lie flat are copied there. */
static int
put_places(struct fl_slices *s, struct restore *r, struct fl_slice *sl,
	   const struct fl_window_entries *b, struct fl_entry **ret, struct fl_err *err)
{
	const int64_t *live = (const int64_t *)(const void *)r->live.data;
	int rc;

	if (on_disk(s))
		return fl_table_put(&sl->table, b->key, NULL, b->n, 0, ret, NULL, err);
	if (r->filling != &sl->table) {
		if (end_filling(r, err) < 0)
			return err->code;
		if (sl->table.count) /* its sums are not one behind the other */
			return fl_load_damaged(r->l, "a sum", err);
		r->filling = &sl->table;
		fl_table_fill_begin(r->filling,
				    fl_load_expected(r->l, (uint64_t)live[sl - s->slice]));
	}
	rc = b->flat ? fl_table_fill_flat(r->filling, b->flat, b->n, &s->keys, is_sound, s, ret,
					  err)
		     : fl_table_fill(r->filling, b->key, b->n, 0, ret, err);
	return rc > 0 ? fl_load_damaged(r->l, rc == 1 ? TWICE : "a flat entry", err) : rc;
}

static int
load_other(struct restore *r, const struct fl_window_entries *b, uint32_t i, struct fl_entry *e,
	   struct fl_err *err)
{
	const char *acc, *rest;
	uint32_t acc_len, rest_len;

	if (!fl_window_split(b->value[i], b->value_len[i], sizeof e->seq, &acc, &acc_len, &rest,
			     &rest_len))
		return fl_load_damaged(r->l, "a sum", err);
	memcpy(&e->seq, rest, sizeof e->seq);
	return fl_aggs_loader_load(r->loader, e->value, acc, acc_len, err);
}

static int
load_flat(struct restore *r, const struct fl_window_entries *b, uint32_t i, struct fl_entry *e,
	  struct fl_err *err)
{
	e->seq = b->seq[i];
	return fl_aggs_loader_flat(r->loader, e->value, b->value[i], err);
}

static int
load_sums(struct fl_slices *s, struct restore *r, const struct fl_window_entries *b,
	  struct fl_err *err)
{
	struct fl_entry *entry[FL_WINDOW_LOAD_BATCH];
	uint32_t count = s->count;
	struct fl_slice *sl = slice_at(s, b->ns[0].start);
	int rc;

	if (s->count != count || sl->start != b->ns[0].start || sl->end != b->ns[0].end)
		return fl_load_damaged(r->l, "a sum of no slice", err);
	if (b->are_flat && !b->flat && fl_window_check_flat(b, r->loader, 0, r->l, err) < 0)
		return err->code;
	if (put_places(s, r, sl, b, entry, err) < 0)
		return err->code;
	for (uint32_t i = 0; i < b->n; i++) {
		if (entry[i]->flags)
			return fl_load_damaged(r->l, "a sum", err);
		entry[i]->flags |= ENTRY_INIT | ENTRY_DIRTY;
		if (b->flat)
			continue;
		fl_aggs_init(s->aggs, entry[i]->value);
		rc = b->are_flat ? load_flat(r, b, i, entry[i], err)
				 : load_other(r, b, i, entry[i], err);
		if (rc < 0)
			return rc;
	}
	return check_memory(s, err);
}

static int
load_slices(struct fl_slices *s, struct restore *r, struct fl_err *err)
{
	struct fl_window_entries *b;
	int rc = fl_window_section(r->l, "slices", err);

	if (rc == 0)
		rc = load_bounds(s, r, err);
	if (rc == 0)
		rc = fl_parts_load(&s->parts, r->l, s->run, s->aggs, r->loader, "sums", err);
	for (uint32_t i = 0; i < s->count && rc == 1; i++)
		s->slice[i].evicted = s->slice[i].stored = true;
	if (rc)
		return rc < 0 ? rc : 0;
	b = fl_xcalloc(1, sizeof *b);
	b->one_ns = true;
	b->key_count = s->results->key_count;
	if (!on_disk(s) && s->count)
		b->flat_size = fl_window_flat_size(&s->slice[0].table, r->loader);
	while (rc == 0 && (rc = fl_window_load_entries(b, r->l, true, &s->keys, err)) > 0)
		rc = load_sums(s, r, b, err);
	free(b);
	return rc < 0 ? rc : end_filling(r, err);
}

int
fl_slices_load(struct fl_slices *s, struct fl_load *l, struct fl_err *err)
{
	struct fl_window_saved w = { .engine = "slices", .spec = s->spec, .updates = s->updates };
	struct restore r = { .l = l };
	int rc = fl_window_load(l, &w, fl_run_header(s->run, 0), s->aggs, err);

	r.loader = w.loader;
	if (rc == 0)
		rc = load_slices(s, &r, err);
	s->seq = w.seq;
	s->wm_ms = w.wm_ms;
	fl_aggs_loader_free(w.loader);
	fl_buf_release(&r.live);
	if (rc == 0)
		schedule(s);
	return rc < 0 ? rc : check_memory(s, err);
}
