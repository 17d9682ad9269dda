/* SPDX-License-Identifier: Apache-2.0 */
/* Rankings in windows of time: per slice the best rows of each key, merged as windows fire. */
#include <stdlib.h>

#include "rank/rank.h"
#include "time/timestamp.h"

int
fl__panes_open(struct fl_rank *r, const struct fl_window_spec *w, struct fl_err *err)
{
	struct fl_header *out = fl_run_out(r->run);
	int rc;

	if (w->trigger != FL_TRIGGER_DEFAULT || w->keep_count >= 0 || w->keep_time >= 0)
		return fl_fail(err, FL_EUSAGE,
			       "rows are ranked when a window ends: fwindow's --trigger and --keep "
			       "have no meaning here");
	if (w->lateness)
		return fl_fail(err, FL_EUSAGE,
			       "rows are ranked once, when a window ends: fwindow's --lateness has "
			       "no meaning here");
	if (w->kind == FL_WINDOW_TUMBLE)
		rc = fl_windows_tumble(&r->windows, w->size, w->offset, err);
	else if (w->kind == FL_WINDOW_SLIDE)
		rc = fl_windows_slide(&r->windows, w->size, w->slide, w->offset, err);
	else if (w->kind == FL_WINDOW_CUMULATE)
		rc = fl_windows_cumulate(&r->windows, w->size, w->slide, w->offset, err);
	else
		rc = w->kind == FL_WINDOW_SESSION
			     ? 0
			     : fl_fail(err, FL_EUSAGE,
				       "rows are ranked in windows of time: tumble, slide, cumulate, "
				       "session");
	if (rc < 0)
		return rc;
	r->processing_time = w->processing_time;
	if (w->kind == FL_WINDOW_SESSION)
		fl__sessions_open(r, w->size);
	free(out->time);
	out->time = fl_xstrdup("window_time");
	return fl_late_open(&r->late, r->run, w->late, err);
}

static void
release_slice(struct fl_rank *r, struct fl_rank_slice *sl)
{
	fl__rank_clear_table(r, &sl->table, true);
	fl_table_release(&sl->table);
	fl_buf_release(&sl->pending);
}

void
fl__panes_release(struct fl_rank *r)
{
	fl__sessions_release(r);
	for (uint32_t i = 0; i < r->slice_count; i++)
		release_slice(r, &r->slice[i]);
	free(r->slice);
	fl_table_release(&r->merged);
	fl_late_release(&r->late);
}

/* ---- slices ----------------------------------------------------- */

/* The first window with this slice that has not fired at watermark wm. */
static bool
next_window(const struct fl_rank *r, const struct fl_rank_slice *sl, int64_t wm,
	    struct fl_window *ret)
{
	int64_t lo = 0, hi = fl_windows_count(&r->windows, sl->start), n = hi;

	while (lo < hi) { /* they are in the order in which they end */
		int64_t mid = lo + (hi - lo) / 2;

		if (fl_windows_nth(&r->windows, sl->start, mid).end - 1 > wm)
			hi = mid;
		else
			lo = mid + 1;
	}
	if (lo < n)
		*ret = fl_windows_nth(&r->windows, sl->start, lo);
	return lo < n;
}

void
fl__panes_schedule(struct fl_rank *r)
{
	r->due_ms = FL_TIME_MAX;
	for (uint32_t i = 0; i < r->slice_count; i++) {
		struct fl_window w;

		if (!next_window(r, &r->slice[i], r->wm_ms, &w) || w.end - 1 >= r->due_ms)
			continue;
		r->due_ms = w.end - 1;
		r->next = w;
	}
	if (r->processing_time)
		fl_run_timer(r->run, r->due_ms);
}

static struct fl_rank_slice *
new_slice(struct fl_rank *r, uint32_t at, const struct fl_window *bounds)
{
	int64_t n = fl_windows_count(&r->windows, bounds->start);
	struct fl_rank_slice *sl;

	if (r->slice_count == r->slice_cap) {
		r->slice_cap = r->slice_cap ? 2 * r->slice_cap : 16;
		r->slice = fl_xreallocarray(r->slice, r->slice_cap, sizeof *r->slice);
	}
	sl = &r->slice[at];
	memmove(sl + 1, sl, (r->slice_count - at) * sizeof *sl);
	r->slice_count++;
	*sl = (struct fl_rank_slice){ .start = bounds->start, .end = bounds->end };
	/* between the windows of a slide > size: late once the watermark has passed it */
	sl->last_due = n ? fl_windows_nth(&r->windows, sl->start, n - 1).end - 1 : sl->end - 1;
	fl_table_init(&sl->table, &r->budget, sizeof(struct fl_sorted));
	return sl;
}

struct fl_rank_slice *
fl__panes_slice(struct fl_rank *r, int64_t time)
{
	uint32_t lo = 0, hi = r->slice_count;
	struct fl_window bounds;
	struct fl_rank_slice *sl;

	if (r->slice_last < r->slice_count) {
		sl = &r->slice[r->slice_last];
		if (time >= sl->start && time < sl->end)
			return sl;
	}
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (r->slice[mid].end <= time)
			lo = mid + 1;
		else
			hi = mid;
	}
	r->slice_last = lo;
	if (lo < r->slice_count && r->slice[lo].start <= time)
		return &r->slice[lo];
	bounds = fl_slice_at(&r->windows, time);
	sl = new_slice(r, lo, &bounds);
	fl__panes_schedule(r);
	return sl;
}

/* Slices all of whose windows have fired. */
static int
drop_slices(struct fl_rank *r, struct fl_err *err)
{
	uint32_t kept = 0;
	int rc = 0;

	for (uint32_t i = 0; i < r->slice_count; i++) {
		struct fl_rank_slice *sl = &r->slice[i];

		if (sl->last_due > r->wm_ms || sl->pending.len) {
			r->slice[kept++] = *sl;
			continue;
		}
		if (rc == 0)
			rc = fl_spill_drop(&r->spill, sl->start, err);
		release_slice(r, sl);
	}
	r->slice_count = kept;
	r->slice_last = 0;
	return rc;
}

/* ---- firing ----------------------------------------------------- */

static bool
in_window(const struct fl_rank *r, const struct fl_rank_slice *sl, const struct fl_window *w)
{
	return sl->start >= w->start && sl->end <= w->end &&
	       (sl->table.live || fl_spill_is_away(&r->spill, sl->start));
}

/* The items of one slice's group among those of the window; they stay the slice's. */
static void
merge_group(struct fl_rank *r, struct fl_sorted *to, const struct fl_sorted *from)
{
	for (uint32_t i = 0; i < from->count; i++) {
		struct fl_item *item = fl_sorted_at(from, i);
		struct fl_sortkey key = fl_item_key(item);
		uint32_t at = fl_sorted_find(to, r->order, &key, item->seq);

		if (at >= r->cap)
			return; /* those behind it are no better */
		(void)fl__rank_insert(r, to, item, at);
	}
}

static int
merge_slice(struct fl_rank *r, const struct fl_rank_slice *sl, struct fl_err *err)
{
	if (fl_spill_bring(&r->spill, sl->start, err) < 0)
		return err->code;
	for (uint32_t i = 0; i < sl->table.count; i++) {
		struct fl_entry *from = fl_table_at(&sl->table, i), *to;
		struct fl_key key = fl_entry_key(from);

		key.hash = from->hash;
		if (fl_table_put(&r->merged, &key, NULL, 1, from->seq, &to, NULL, err) < 0)
			return err->code;
		if (from->seq < to->seq)
			to->seq = from->seq;
		merge_group(r, fl__rank_group(to), fl__rank_group(from));
	}
	return 0;
}

static int
put_table(struct fl_rank *r, const struct fl_window *w, const struct fl_table *t,
	  struct fl_err *err)
{
	uint32_t n = fl__rank_entries(r, t);
	struct fl_entry **e = (struct fl_entry **)(void *)r->entries.data;

	for (uint32_t i = 0; i < n; i++)
		if (fl__rank_put_group(r, fl__rank_group(e[i]), w, r->wm_ms, err) < 0)
			return err->code;
	return 0;
}

static int
put_entry(void *self, struct fl_entry *e, struct fl_err *err)
{
	struct fl_rank *r = self;

	return fl__rank_put_group(r, fl__rank_group(e), &r->next, r->wm_ms, err);
}

static int
fire(struct fl_rank *r, const struct fl_window *w, struct fl_err *err)
{
	const struct fl_rank_slice *only = NULL;
	uint32_t n = 0;
	int rc = 0;

	for (uint32_t i = 0; i < r->slice_count; i++) {
		if (in_window(r, &r->slice[i], w)) {
			only = &r->slice[i];
			n++;
		}
	}
	if (n == 0)
		return 0;
	if (n == 1 && fl_spill_on_disk(&r->spill))
		return fl_spill_each(&r->spill, only->start, put_entry, err);
	if (n == 1)
		return put_table(r, w, &only->table, err);
	for (uint32_t i = 0; i < r->slice_count && rc == 0; i++)
		if (in_window(r, &r->slice[i], w))
			rc = merge_slice(r, &r->slice[i], err);
	if (rc == 0)
		rc = put_table(r, w, &r->merged, err);
	fl__rank_clear_table(r, &r->merged, false);
	return rc;
}

int
fl__panes_advance(struct fl_rank *r, int64_t wm_ms, struct fl_err *err)
{
	int64_t in_force = r->wm_ms;

	if (wm_ms <= r->wm_ms)
		return 0;
	if (r->gap && fl__sessions_advance(r, wm_ms, err) < 0)
		return err->code;
	while (r->due_ms <= wm_ms && r->due_ms < FL_TIME_MAX) {
		struct fl_window w = r->next;

		r->wm_ms = in_force; /* what the next tool sees before these rows */
		if (fire(r, &w, err) < 0)
			return err->code;
		r->wm_ms = w.end - 1;
		fl__panes_schedule(r);
		if (fl_spill_trim(&r->spill, err) < 0) /* the groups of the window */
			return err->code;
	}
	r->wm_ms = wm_ms;
	if (r->slice_count && r->slice[0].last_due <= wm_ms) { /* the oldest goes first */
		if (drop_slices(r, err) < 0)
			return err->code;
		fl__panes_schedule(r);
	}
	return 0;
}

/* ---- records ---------------------------------------------------- */

static int
add_slice(struct fl_rank *r, struct fl_rank_slice *sl, const struct fl_batch *b,
	  const struct fl_key *keys, struct fl_err *err)
{
	const uint32_t *rows = (const uint32_t *)(const void *)sl->pending.data;
	uint32_t n = (uint32_t)(sl->pending.len / sizeof *rows);
	struct fl_entry **entry;

	if (n == 0)
		return 0;
	fl_buf_clear(&r->entries);
	entry = (struct fl_entry **)(void *)fl_buf_reserve(&r->entries, n * sizeof *entry);
	if (fl_spill_put(&r->spill, sl->start, &sl->table, keys, rows, n, r->seq, entry, err) < 0)
		return err->code;
	for (uint32_t k = 0; k < n; k++)
		if (fl__rank_offer(r, fl__rank_group(entry[k]), b, rows[k], r->wm_ms, err) < 0)
			return err->code;
	fl_buf_clear(&sl->pending);
	return 0;
}

static int
add_pending(struct fl_rank *r, const struct fl_batch *b, const struct fl_key *keys,
	    struct fl_err *err)
{
	int rc = 0;

	for (uint32_t i = 0; i < r->slice_count && rc == 0; i++)
		rc = add_slice(r, &r->slice[i], b, keys, err);
	return rc;
}

int
fl__panes_batch(struct fl_rank *r, const struct fl_batch *b, const struct fl_key *keys,
		struct fl_err *err)
{
	int64_t now = fl_run_now(r->run);
	const int64_t *wm;

	if (r->gap)
		return fl__sessions_batch(r, b, keys, err);
	wm = r->processing_time ? NULL : fl_batch_wm(b, &r->wm_scratch);
	if (!wm && fl__panes_advance(r, now, err) < 0)
		return err->code;
	for (uint32_t i = 0; i < b->rows; i++) {
		int64_t time = wm ? b->time[i] : now;
		struct fl_rank_slice *sl;

		if (wm && wm[i] > r->wm_ms &&
		    (wm[i] < r->due_ms ? 0 : add_pending(r, b, keys, err)) < 0)
			return err->code;
		if (wm && fl__panes_advance(r, wm[i], err) < 0)
			return err->code;
		if (r->bad.count && r->bad.mask.data[i])
			continue;
		sl = fl__panes_slice(r, time);
		if (sl->last_due <= r->wm_ms)
			fl_late_add(&r->late, i);
		else
			fl_buf_put(&sl->pending, &i, sizeof i);
	}
	if (add_pending(r, b, keys, err) < 0)
		return err->code;
	return fl_late_flush(&r->late, b, err);
}
