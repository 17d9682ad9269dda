/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rankings in session windows: each session of a key has its best rows. Sessions that a
 * record touches become one before it is asked whether the record is late, as in Flink.
 */
#include <stdlib.h>

#include "rank/rank.h"
#include "time/timestamp.h"

void
fl__sessions_open(struct fl_rank *r, int64_t gap)
{
	r->gap = gap;
	fl_timers_init(&r->timers);
	fl_table_init(&r->by_key, &r->budget, sizeof(struct fl_rank_session *));
}

static void
ask_for_timer(struct fl_rank *r)
{
	int64_t at = fl_timers_earliest(&r->timers), on_disk = fl_spill_next(&r->spill);

	fl_run_timer(r->run, at < on_disk ? at : on_disk);
}

static void
set_timer(struct fl_rank *r, struct fl_rank_session *s)
{
	fl_timers_push(&r->timers, s->window.end - 1, s);
	s->timers++;
	if (r->processing_time)
		ask_for_timer(r);
}

struct fl_rank_session *
fl__sessions_add(struct fl_rank *r, struct fl_entry *e, const struct fl_window *w, uint64_t seq)
{
	uint32_t class;
	struct fl_rank_session *s = fl_items_take(&r->mem, sizeof *s, &class);

	*s = (struct fl_rank_session){ .next = *fl__sessions_of(e),
				       .entry = e,
				       .window = *w,
				       .seq = seq,
				       .class = class };
	*fl__sessions_of(e) = s;
	set_timer(r, s);
	return s;
}

/* Out of its key's list; its memory stays until no timer points to it. */
static void
unlink_session(struct fl_rank_session *s)
{
	struct fl_rank_session **at = fl__sessions_of(s->entry);

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	s->gone = true;
}

static void
free_session(struct fl_rank *r, struct fl_rank_session *s)
{
	for (uint32_t i = 0; i < s->rows.count; i++)
		fl_item_free(&r->mem, fl_sorted_at(&s->rows, i));
	fl_sorted_clear(&s->rows, &r->mem);
	if (s->gone && s->timers == 0)
		fl_items_give(&r->mem, s, s->class);
}

void
fl__sessions_forget(struct fl_rank *r)
{
	if (!r->gap)
		return;
	for (uint32_t i = 0; i < r->by_key.count; i++) {
		struct fl_entry *e = fl_table_at(&r->by_key, i);

		for (struct fl_rank_session *s = *fl__sessions_of(e); !e->deleted && s; s = s->next)
			free_session(r, s);
	}
	fl_table_clear(&r->by_key);
	fl_timers_release(&r->timers);
	fl_timers_init(&r->timers);
}

void
fl__sessions_release(struct fl_rank *r)
{
	fl__sessions_forget(r);
	if (r->gap) {
		fl_table_release(&r->by_key);
		fl_timers_release(&r->timers);
	}
	fl_buf_release(&r->due);
}

/* ---- records --------------------------------------------------------------------- */

static bool
touch(const struct fl_window *a, const struct fl_window *b)
{
	return a->start <= b->end && a->end >= b->start;
}

/* The best of both stay with to. */
static void
merge_rows(struct fl_rank *r, struct fl_sorted *to, struct fl_sorted *from)
{
	for (uint32_t i = 0; i < from->count; i++) {
		struct fl_item *item = fl_sorted_at(from, i), *out = item;
		struct fl_sortkey key = fl_item_key(item);
		uint32_t at = fl_sorted_find(to, r->order, &key, item->seq);

		if (at < r->cap)
			out = fl__rank_insert(r, to, item, at);
		if (out)
			fl_item_free(&r->mem, out);
	}
	fl_sorted_clear(from, &r->mem);
}

/* The session of the key that holds *w, which grows over all that it touches; or NULL. */
static struct fl_rank_session *
merge_touched(struct fl_rank *r, struct fl_entry *e, struct fl_window *w)
{
	struct fl_rank_session *into = NULL, *next;

	for (struct fl_rank_session *s = *fl__sessions_of(e); s; s = next) {
		next = s->next;
		if (!touch(&s->window, w))
			continue;
		w->start = s->window.start < w->start ? s->window.start : w->start;
		w->end = s->window.end > w->end ? s->window.end : w->end;
		if (!into) {
			into = s;
			continue;
		}
		into->seq = s->seq < into->seq ? s->seq : into->seq;
		merge_rows(r, &into->rows, &s->rows);
		unlink_session(s);
		free_session(r, s);
	}
	return into;
}

/*
 * A key that has no session any more. (On disk it goes with the next writing: it may come
 * again in this batch.)
 */
static void
drop_key(struct fl_rank *r, struct fl_entry *e)
{
	fl_spill_changed(&r->spill, e);
	if (!*fl__sessions_of(e) && !fl_spill_on_disk(&r->spill))
		fl_table_delete(&r->by_key, e);
}

static int
add_record(struct fl_rank *r, const struct fl_batch *b, const struct fl_key *key, uint32_t row,
	   int64_t time, struct fl_err *err)
{
	struct fl_window w = { .start = time };
	struct fl_rank_session *s;
	struct fl_entry *e;

	if (__builtin_add_overflow(time, r->gap, &w.end))
		w.end = FL_TIME_MAX;
	if (fl_spill_put(&r->spill, 0, &r->by_key, key, NULL, 1, r->seq + row, &e, err) < 0)
		return err->code;
	s = merge_touched(r, e, &w);
	if (!s && w.end - 1 <= r->wm_ms) {
		fl_late_add(&r->late, row);
		drop_key(r, e);
		return 0;
	}
	if (!s)
		s = fl__sessions_add(r, e, &w, r->seq + row);
	s->window = w; /* its timer is looked at again when it comes up */
	return fl__rank_offer(r, &s->rows, b, row, r->wm_ms, err);
}

int
fl__sessions_batch(struct fl_rank *r, const struct fl_batch *b, const struct fl_key *keys,
		   struct fl_err *err)
{
	int64_t now = fl_run_now(r->run);
	const int64_t *wm = r->processing_time ? NULL : fl_batch_wm(b, &r->wm_scratch);
	bool put = fl_spill_on_disk(&r->spill); /* keys are read together */

	for (uint32_t i = 0; i < b->rows; i++) {
		uint64_t evictions = r->spill.evictions;

		if (fl__panes_advance(r, wm ? wm[i] : now, err) < 0)
			return err->code;
		if ((put || evictions != r->spill.evictions) &&
		    fl__rank_put_keys(r, 0, &r->by_key, keys, i, b->rows, err) < 0)
			return err->code;
		put = false;
		if (r->bad.count && r->bad.mask.data[i])
			continue;
		if (add_record(r, b, &keys[i], i, wm ? b->time[i] : now, err) < 0)
			return err->code;
	}
	return fl_late_flush(&r->late, b, err);
}

/* ---- firing ------------------------------------------------------------------------- */

static int
by_start_and_arrival(const void *a, const void *b)
{
	const struct fl_rank_session *x = *(struct fl_rank_session *const *)a;
	const struct fl_rank_session *y = *(struct fl_rank_session *const *)b;

	if (x->window.start != y->window.start)
		return x->window.start < y->window.start ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* The sessions that end now; r->due has them. */
static int
fire_due(struct fl_rank *r, struct fl_err *err)
{
	struct fl_rank_session **s = (struct fl_rank_session **)(void *)r->due.data;
	size_t n = r->due.len / sizeof(struct fl_rank_session *);
	int rc = 0;

	if (n)
		qsort(s, n, sizeof(struct fl_rank_session *), by_start_and_arrival);
	for (size_t i = 0; i < n; i++) {
		struct fl_entry *e = s[i]->entry;

		if (rc == 0)
			rc = fl__rank_put_group(r, &s[i]->rows, &s[i]->window, r->wm_ms, err);
		unlink_session(s[i]);
		free_session(r, s[i]);
		drop_key(r, e);
	}
	fl_buf_clear(&r->due);
	return rc;
}

/* All that end at or before until; those of keys on disk are in memory. */
static int
fire_until(struct fl_rank *r, int64_t until, struct fl_err *err)
{
	int64_t at;

	if (!fl_timers_may_be_due(&r->timers, until))
		return 0;
	while (fl_timers_next(&r->timers, until, &at)) {
		struct fl_rank_session *s;

		while ((s = fl_timers_take(&r->timers))) {
			s->timers--;
			if (s->gone)
				free_session(r, s);
			else if (s->window.end - 1 > at)
				set_timer(r, s);
			else
				fl_buf_put(&r->due, &s, sizeof(struct fl_rank_session *));
		}
		if (fire_due(r, err) < 0)
			return err->code;
	}
	return 0;
}

int
fl__sessions_advance(struct fl_rank *r, int64_t wm_ms, struct fl_err *err)
{
	bool may_fire = fl_spill_on_disk(&r->spill) || fl_timers_may_be_due(&r->timers, wm_ms);
	int64_t until = wm_ms;

	do { /* on disk: as much as fits, then the next */
		if (until < wm_ms && fl_spill_trim(&r->spill, err) < 0)
			return err->code;
		if (fl_spill_due(&r->spill, wm_ms, &until, err) < 0 || fire_until(r, until, err) < 0)
			return err->code;
	} while (until < wm_ms);
	if (r->processing_time && may_fire)
		ask_for_timer(r);
	return 0;
}
