/* SPDX-License-Identifier: Apache-2.0 */
#include "window/keyed.h"

#include <stdlib.h>

#include "stream/row.h"
#include "time/timestamp.h"
#include "window/keyed-int.h"

#define PORTION_MIN 512 /* records whose keys are brought back from disk at once */
#define FIRED_MAX 512   /* results put together; more would leave the cache before they are */

static const struct fl_window unbounded = { FL_TIME_MIN, FL_TIME_MAX };

/* ---- life cycle ------------------------------------------------------------------- */

static bool
has_bounds(const struct fl_window_spec *s)
{
	return s->kind != FL_WINDOW_COUNT && s->kind != FL_WINDOW_GLOBAL;
}

static int
open_assigner(struct fl_keyed *k, struct fl_err *err)
{
	const struct fl_window_spec *s = &k->spec;

	k->aligned = true;
	switch (s->kind) {
	case FL_WINDOW_TUMBLE:
		return fl_windows_tumble(&k->windows, s->size, s->offset, err);
	case FL_WINDOW_SLIDE:
		return fl_windows_slide(&k->windows, s->size, s->slide, s->offset, err);
	case FL_WINDOW_CUMULATE:
		return fl_windows_cumulate(&k->windows, s->size, s->slide, s->offset, err);
	default:
		k->aligned = false;
		return 0;
	}
}

/* Flink's count windows are global windows with a trigger, and an evictor. */
static void
expand_count(struct fl_window_spec *s)
{
	if (s->kind != FL_WINDOW_COUNT || s->trigger != FL_TRIGGER_DEFAULT)
		return;
	s->trigger = FL_TRIGGER_COUNT;
	if (s->slide) {
		s->trigger_arg = s->slide;
		s->keep_count = s->size;
	} else {
		s->trigger_arg = s->size;
		s->purge = true;
	}
}

int
fl_keyed_open(struct fl_keyed *k, struct fl_run *run, const struct fl_window_spec *spec,
	      struct fl_aggs *aggs, struct fl_results *results, struct fl_late *late, bool updates,
	      struct fl_err *err)
{
	*k = (struct fl_keyed){ .spec = *spec,
				.run = run,
				.aggs = aggs,
				.results = results,
				.late = late,
				.updates = updates,
				.wm_ms = FL_TIME_MIN };
	k->spec.late = NULL;
	k->said = k->spec;
	expand_count(&k->spec);
	if (k->spec.trigger == FL_TRIGGER_EAGER) {
		k->spec.trigger = FL_TRIGGER_COUNT;
		k->spec.trigger_arg = 1;
	}
	k->keeps_rows = !aggs || k->spec.keep_count >= 0 || k->spec.keep_time >= 0;
	k->is_plain = !k->keeps_rows && !updates && k->spec.trigger == FL_TRIGGER_DEFAULT;
	k->plain.every_ms = FL_TIME_MAX;
	k->more_at = (sizeof(struct fl_pane) + (aggs ? fl_aggs_size(aggs) : 0) + 7) & ~(size_t)7;
	k->pane_bytes = k->more_at + (k->is_plain ? 0 : sizeof(struct fl_pane_more));
	fl_keys_init(&k->keys);
	fl_timers_init(&k->timers);
	fl_table_init(&k->table, &k->budget, sizeof(struct fl_pane *));
	fl_build_init(&k->rows, fl_run_header(run, 0)->column_count);
	if (!aggs)
		fl_build_init(&k->out, fl_run_out(run)->column_count);
	k->bounds_at = has_bounds(spec) ? fl_run_header(run, 0)->column_count : UINT32_MAX;
	k->out.timed = true;
	if (open_assigner(k, err) < 0 || fl__keyed_open_spill(k, err) < 0)
		return err->code;
	fl_budget_init(&k->budget, fl_spill_memory_max(&k->spill));
	return 0;
}

static void
drop_rows(struct fl_keyed *k, struct fl_pane *p)
{
	struct fl_kept *next;

	for (struct fl_kept *r = p->more->first; r; r = next) {
		next = r->next;
		k->row_bytes -= sizeof *r + r->bytes;
		free(r);
	}
	if (p->more->first)
		p->more->first = p->more->last = NULL;
}

static void
pane_free(struct fl_keyed *k, struct fl_pane *p)
{
	drop_rows(k, p);
	if (k->aggs)
		fl_aggs_clear(k->aggs, p->acc);
	if (p->more != &k->plain) {
		k->row_bytes -= p->more->told_acc.cap;
		fl_buf_release(&p->more->told_acc);
	}
	p->next = k->free_panes;
	k->free_panes = p;
	k->budget.used -= k->pane_bytes;
}

/* A pane that is out of its key's list: freed when no timer points to it any more. */
static void
pane_drop(struct fl_keyed *k, struct fl_pane *p)
{
	if (p->timers == 0)
		pane_free(k, p);
}

/* ---- timers ------------------------------------------------------------------------- */

void
fl__keyed_set_timer(struct fl_keyed *k, struct fl_pane *p)
{
	int64_t due = due_time(k, p);

	if (p->dead || (p->timers && p->timer_ms <= due))
		return;
	fl_timers_push(&k->timers, due, p);
	p->timers++;
	p->timer_ms = due;
}

/* ---- rows that are kept ------------------------------------------------------------------ */

void
fl__keyed_link_row(struct fl_keyed *k, struct fl_pane *p, const char *packed, size_t n,
		   uint64_t seq, int64_t time)
{
	struct fl_kept *r = fl_xmalloc(sizeof *r + n);

	*r = (struct fl_kept){ .seq = seq, .time = time, .bytes = n };
	memcpy(r->data, packed, n);
	k->row_bytes += sizeof *r + n;
	if (p->more->last)
		p->more->last->next = r;
	else
		p->more->first = r;
	p->more->last = r;
}

static void
keep_row(struct fl_keyed *k, struct fl_pane *p, uint32_t row, int64_t time)
{
	fl_buf_clear(&k->packed);
	(void)fl_row_pack(k->batch, row, &k->packed);
	fl__keyed_link_row(k, p, k->packed.data ? k->packed.data : "", k->packed.len, k->seq + row,
			   time);
}

/* Flink's evictors, before the window function; what they remove is gone. */
static void
evict(struct fl_keyed *k, struct fl_pane *p)
{
	struct fl_kept **at = &p->more->first, *r;
	int64_t newest = FL_TIME_MIN, over = 0;

	for (r = p->more->first; r; r = r->next) {
		newest = r->time > newest ? r->time : newest;
		over++;
	}
	over -= k->spec.keep_count;
	p->more->last = NULL;
	while ((r = *at)) {
		bool out = (k->spec.keep_count >= 0 && over > 0) ||
			   (k->spec.keep_time >= 0 &&
			    fl_wm_of(newest, k->spec.keep_time) + 1 >= r->time);

		if (out) {
			over--;
			*at = r->next;
			k->row_bytes -= sizeof *r + r->bytes;
			free(r);
			continue;
		}
		p->more->last = r;
		at = &r->next;
	}
}

/* ---- firing ---------------------------------------------------------------------------------- */

static int
add_pending(struct fl_keyed *k, struct fl_err *err)
{
	uint32_t n = (uint32_t)(k->add_rows.len / sizeof(uint32_t));
	int rc;

	if (n == 0)
		return 0;
	rc = fl_aggs_add(k->aggs, (void *const *)(void *)k->add_accs.data,
			 (const uint32_t *)(const void *)k->add_rows.data, 0, n, k->seq, err);
	fl_buf_clear(&k->add_accs);
	fl_buf_clear(&k->add_rows);
	return rc;
}

/* Put what has fired, then free the panes that are done with. */
static int
put_fired(struct fl_keyed *k, struct fl_err *err)
{
	uint32_t n = (uint32_t)(k->fired.len / sizeof(struct fl_result));
	struct fl_pane **done = (struct fl_pane **)(void *)k->done.data;
	int rc = 0;

	if (n)
		rc = fl_results_put_each(k->results,
					 (const struct fl_result *)(void *)k->fired.data, n, err);
	for (size_t i = 0; i < k->done.len / sizeof(struct fl_pane *); i++)
		pane_drop(k, done[i]);
	fl_buf_clear(&k->fired);
	fl_buf_clear(&k->done);
	return rc;
}

static void
push_result(struct fl_keyed *k, struct fl_pane *p, void *acc, enum fl_rowkind op)
{
	struct fl_result r = {
		.window = p->window, .entry = p->entry, .acc = acc, .wm = k->wm_ms, .op = op
	};

	fl_buf_put(&k->fired, &r, sizeof r);
}

/* Compute the accumulator of a pane that keeps its records. */
static int
reduce_rows(struct fl_keyed *k, struct fl_pane *p, struct fl_err *err)
{
	struct fl_badrows bad = { 0 };
	uint32_t n = 0;
	void **accs;
	int rc;

	fl_build_clear(&k->rows);
	k->rows.timed = true;
	for (const struct fl_kept *r = p->more->first; r; r = r->next, n++) {
		fl_row_put(r->data, r->bytes, k->rows.col, k->rows.cols);
		fl_build_row(&k->rows, r->time, k->wm_ms, FL_INSERT);
	}
	fl_aggs_clear(k->aggs, p->acc);
	fl_aggs_init(k->aggs, p->acc);
	if (n == 0)
		return 0;
	accs = fl_xcalloc(n, sizeof *accs);
	for (uint32_t i = 0; i < n; i++)
		accs[i] = p->acc;
	rc = fl_aggs_prepare(k->aggs, fl_build_view(&k->rows), &bad, err);
	if (rc == 0 && bad.count) /* were not kept; but a snapshot can hold anything */
		rc = fl_fail(err, FL_EDATA, "a record of a restored window: %s", bad.reason);
	if (rc == 0)
		rc = fl_aggs_add(k->aggs, accs, NULL, 0, n, 0, err);
	fl_badrows_release(&bad);
	free(accs);
	return rc;
}

/* A kept row into out: at bounds_at stand the bounds of its window. */
static void
put_row(struct fl_keyed *k, const struct fl_pane *p, const struct fl_kept *r)
{
	struct fl_colbuf *col = k->out.col;
	uint32_t at = k->bounds_at, cols = k->out.cols;

	if (at == UINT32_MAX) {
		fl_row_put(r->data, r->bytes, col, cols);
		return;
	}
	fl_row_put(r->data, r->bytes, col, at);
	fl_put_time(&col[at], p->window.start);
	fl_put_time(&col[at + 1], p->window.end);
	fl_row_put_from(r->data, r->bytes, at, col + at + 2, cols - at - 2);
}

/* The rows of a pane as the result. */
static int
emit_rows(struct fl_keyed *k, const struct fl_pane *p, struct fl_err *err)
{
	for (const struct fl_kept *r = p->more->first; r; r = r->next) {
		put_row(k, p, r);
		fl_build_row(&k->out, r->time, k->wm_ms, FL_INSERT);
	}
	if (fl_build_bytes(&k->out) < FL_KIB(256))
		return 0;
	if (fl_emit(k->run, fl_build_view(&k->out), err) < 0)
		return err->code;
	fl_build_clear(&k->out);
	return 0;
}

/* Retract what a pane has told, as it was told. */
static int
retract(struct fl_keyed *k, struct fl_pane *p, enum fl_rowkind op, struct fl_err *err)
{
	void *acc = fl_xcalloc(1, fl_aggs_size(k->aggs) + 8);
	int rc;

	fl_aggs_init(k->aggs, acc);
	rc = fl_aggs_load(k->aggs, acc, p->more->told_acc.data, p->more->told_acc.len, err);
	if (rc == 0) {
		push_result(k, p, acc, op);
		rc = put_fired(k, err);
	}
	fl_aggs_clear(k->aggs, acc);
	free(acc);
	return rc;
}

static int
fire(struct fl_keyed *k, struct fl_pane *p, struct fl_err *err)
{
	if (k->keeps_rows) {
		if (!p->more->first)
			return 0; /* as Flink: nothing to fire; but what an evictor empties fires */
		evict(k, p);
		if (!k->aggs)
			return emit_rows(k, p, err);
		if (reduce_rows(k, p, err) < 0)
			return err->code;
	} else if (!p->filled) {
		return 0; /* purged, nothing since */
	}
	if (!k->updates) {
		push_result(k, p, p->acc, FL_INSERT);
		return 0;
	}
	if (p->more->told && retract(k, p, FL_UPDATE_BEFORE, err) < 0)
		return err->code;
	push_result(k, p, p->acc, p->more->told ? FL_UPDATE_AFTER : FL_INSERT);
	p->more->told = true;
	k->row_bytes -= p->more->told_acc.cap;
	fl_buf_clear(&p->more->told_acc);
	fl_aggs_save(k->aggs, p->acc, &p->more->told_acc);
	k->row_bytes += p->more->told_acc.cap;
	return 0;
}

/* The content goes, the window stays. What has fired must be put first. */
static int
purge(struct fl_keyed *k, struct fl_pane *p, struct fl_err *err)
{
	if (put_fired(k, err) < 0)
		return err->code;
	drop_rows(k, p);
	p->filled = false;
	if (k->aggs) {
		fl_aggs_clear(k->aggs, p->acc);
		fl_aggs_init(k->aggs, p->acc);
	}
	return 0;
}

static int
fire_and_purge(struct fl_keyed *k, struct fl_pane *p, struct fl_err *err)
{
	if (fire(k, p, err) < 0)
		return err->code;
	return k->spec.purge ? purge(k, p, err) : 0;
}

static void
unlink_pane(struct fl_keyed *k, struct fl_pane *p)
{
	struct fl_pane **at = panes_of(p->entry);

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	if (!*panes_of(p->entry))
		fl_buf_put(&k->idle_keys, &p->entry, sizeof p->entry);
	p->dead = true;
}

void
fl__keyed_drop_pane(struct fl_keyed *k, struct fl_pane *p)
{
	unlink_pane(k, p);
	pane_drop(k, p);
}

/* Something is due for the pane at this moment. */
static int
pane_due(struct fl_keyed *k, struct fl_pane *p, int64_t at, struct fl_err *err)
{
	int64_t every;

	fl_spill_changed(&k->spill, p->entry);
	if (p->more->every_ms <= at) {
		/* What never ends would, once the data has ended, fire for ever. */
		bool last = p->more->every_ms == end_time(p) ||
			    (k->ending && end_time(p) == FL_TIME_MAX);

		if (__builtin_add_overflow(p->more->every_ms, k->spec.trigger_arg, &every) ||
		    every > end_time(p))
			every = end_time(p);
		p->more->every_ms = last ? FL_TIME_MAX : every;
		if (!last && fire_and_purge(k, p, err) < 0)
			return err->code;
	}
	if (!p->end_done && at >= end_time(p) && k->spec.trigger != FL_TRIGGER_COUNT) {
		p->end_done = true;
		if (fire_and_purge(k, p, err) < 0)
			return err->code;
	}
	if (at < cleanup_time(k, p)) {
		fl__keyed_set_timer(k, p);
		return 0;
	}
	unlink_pane(k, p);
	fl_buf_put(&k->done, &p, sizeof p);
	return 0;
}

static int
by_window(const void *a, const void *b)
{
	const struct fl_pane *x = *(struct fl_pane *const *)a, *y = *(struct fl_pane *const *)b;

	if (x->window.end != y->window.end)
		return x->window.end < y->window.end ? -1 : 1;
	if (x->window.start != y->window.start)
		return x->window.start < y->window.start ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/*
 * All that is due at a moment. On disk a moment may be too large for the memory: only what
 * is due at or before its place until (fl__keyed_place); *ret_left says that there was more.
 */
static int
fire_moment(struct fl_keyed *k, int64_t at, int64_t until, bool *ret_left, struct fl_err *err)
{
	struct fl_pane **pane, *p;
	size_t n;

	fl_buf_clear(&k->due);
	while ((p = fl_timers_take(&k->timers))) {
		p->timers--;
		p->timer_ms = FL_TIME_MAX;
		if (p->dead)
			pane_drop(k, p);
		else if (due_time(k, p) > at)
			fl__keyed_set_timer(k, p);
		else if (!p->is_due)
			fl_buf_put(&k->due, &p, sizeof p);
		p->is_due = !p->dead && due_time(k, p) <= at;
	}
	n = k->due.len / sizeof(struct fl_pane *);
	pane = (struct fl_pane **)(void *)k->due.data;
	if (n > 1)
		qsort(pane, n, sizeof(struct fl_pane *), by_window);
	for (size_t i = 0; i < n; i++) {
		pane[i]->is_due = false;
		if (*ret_left || (until < FL_TIME_MAX && fl__keyed_place(k, pane[i]) > until)) {
			*ret_left = true;
			fl__keyed_set_timer(k, pane[i]);
			continue;
		}
		if (pane_due(k, pane[i], at, err) < 0)
			return err->code;
	}
	return 0;
}

/* Firings may be put later, as long as nothing changes what they show. */
static bool
may_defer(const struct fl_keyed *k)
{
	return k->spec.lateness == 0 && k->spec.trigger == FL_TRIGGER_DEFAULT && !k->updates &&
	       k->fired.len < FIRED_MAX * sizeof(struct fl_result);
}

/* What is due at or before wm_ms and, of what is on disk, at or before the place until. */
static int
fire_until(struct fl_keyed *k, int64_t wm_ms, int64_t until, struct fl_err *err)
{
	bool left = false;
	int64_t last = fl__keyed_place_time(until), at;

	last = last < wm_ms ? last : wm_ms;
	while (!left && fl_timers_may_be_due(&k->timers, last) &&
	       fl_timers_next(&k->timers, last, &at)) {
		if (add_pending(k, err) < 0 || fire_moment(k, at, until, &left, err) < 0)
			return err->code;
		if (k->fired.len >= FIRED_MAX * sizeof(struct fl_result) && put_fired(k, err) < 0)
			return err->code;
	}
	return 0;
}

/* Forget all if it is too much; what points to panes is finished before. */
static int
trim(struct fl_keyed *k, struct fl_err *err)
{
	if (!fl_spill_is_full(&k->spill))
		return 0;
	if (add_pending(k, err) < 0 || put_fired(k, err) < 0)
		return err->code;
	return fl_spill_trim(&k->spill, err);
}

/*
 * The same in portions that fit the memory, where there is more on disk. What the records
 * in hand need is not forgotten for that: it would have to be brought back at once.
 */
static int
fire_from_disk(struct fl_keyed *k, int64_t wm_ms, struct fl_err *err)
{
	int64_t all = fl__keyed_place_of(wm_ms, FL_KEYED_PLACES - 1), until;

	do {
		if (fl_spill_due(&k->spill, all, &until, err) < 0 ||
		    fire_until(k, wm_ms, until < all ? until : FL_TIME_MAX, err) < 0)
			return err->code;
		k->handled = until;
		if (fl__keyed_held(k) > k->needed + fl_backend_cache_max(k->spill.backend) / 2 &&
		    trim(k, err) < 0)
			return err->code;
	} while (until < all);
	return 0;
}

static int
fire_due(struct fl_keyed *k, int64_t wm_ms, struct fl_err *err)
{
	k->ending = wm_ms == FL_TIME_MAX;
	if ((fl_spill_on_disk(&k->spill) ? fire_from_disk(k, wm_ms, err)
					 : fire_until(k, wm_ms, FL_TIME_MAX, err)) < 0)
		return err->code;
	k->wm_ms = wm_ms;
	return may_defer(k) ? 0 : put_fired(k, err);
}

static void
forget_idle_keys(struct fl_keyed *k)
{
	struct fl_entry **e = (struct fl_entry **)(void *)k->idle_keys.data;

	size_t n = k->idle_keys.len / sizeof(struct fl_entry *);

	for (size_t i = 0; i < n; i++) {
		if (i + 16 < n)
			__builtin_prefetch(e[i + 16]);
		if (i + 8 < n)
			fl_table_prefetch(&k->table, e[i + 8]);
		if (!e[i]->deleted && !*panes_of(e[i]))
			fl_spill_delete(&k->spill, 0, &k->table, e[i]);
	}
	fl_buf_clear(&k->idle_keys);
}

static int
flush(struct fl_keyed *k, struct fl_err *err)
{
	int rc = put_fired(k, err);

	if (rc == 0 && k->out.rows)
		rc = fl_emit(k->run, fl_build_view(&k->out), err);
	fl_build_clear(&k->out);
	forget_idle_keys(k);
	if (k->spec.processing_time)
		fl__keyed_ask_for_timer(k);
	return rc;
}

int
fl_keyed_advance(struct fl_keyed *k, int64_t wm_ms, struct fl_err *err)
{
	int rc = wm_ms > k->wm_ms ? fire_due(k, wm_ms, err) : 0;

	if (rc < 0 || flush(k, err) < 0)
		return err->code;
	return fl_spill_trim(&k->spill, err);
}

/* ---- records ---------------------------------------------------------------------- */

struct fl_pane *
fl__keyed_new_pane(struct fl_keyed *k, struct fl_entry *e, const struct fl_window *w, uint64_t seq)
{
	struct fl_pane *p = k->free_panes;

	if (p)
		k->free_panes = p->next;
	else
		p = fl_arena_alloc(&k->arena, k->pane_bytes);
	k->budget.used += k->pane_bytes;
	*p = (struct fl_pane){
		.entry = e, .window = *w, .seq = seq, .next = *panes_of(e), .more = &k->plain
	};
	if (!k->is_plain) {
		p->more = (struct fl_pane_more *)(void *)((char *)p + k->more_at);
		*p->more = (struct fl_pane_more){ .every_ms = FL_TIME_MAX };
	}
	if (k->aggs)
		fl_aggs_init(k->aggs, p->acc);
	*panes_of(e) = p;
	return p;
}

static struct fl_pane *
pane_at(struct fl_keyed *k, struct fl_entry *e, const struct fl_window *w, uint64_t seq)
{
	for (struct fl_pane *p = *panes_of(e); p; p = p->next)
		if (p->window.start == w->start && p->window.end == w->end)
			return p;
	return fl__keyed_new_pane(k, e, w, seq);
}

/* The records of both, by arrival. */
static void
merge_rows(struct fl_pane *to, struct fl_pane *from)
{
	struct fl_kept *a = to->more->first, *b = from->more->first, **at = &to->more->first;

	while (a || b) {
		struct fl_kept **next = !b || (a && a->seq < b->seq) ? &a : &b;

		*at = to->more->last = *next;
		*next = (*next)->next;
		at = &to->more->last->next;
	}
	if (from->more->first)
		from->more->first = from->more->last = NULL;
}

/* Everything of from into to; from goes. */
static int
merge_panes(struct fl_keyed *k, struct fl_pane *to, struct fl_pane *from, struct fl_err *err)
{
	if (add_pending(k, err) < 0)
		return err->code;
	if (k->aggs && fl_aggs_merge(k->aggs, to->acc, from->acc, err) < 0)
		return err->code;
	merge_rows(to, from);
	to->filled = to->filled || from->filled;
	if (!k->is_plain) {
		to->more->count += from->more->count;
		if (from->more->every_ms < to->more->every_ms)
			to->more->every_ms = from->more->every_ms;
	}
	to->seq = from->seq < to->seq ? from->seq : to->seq;
	fl__keyed_drop_pane(k, from);
	return 0;
}

/* A pane of the key, other than not, that the window touches or overlaps. */
static struct fl_pane *
touching(struct fl_entry *e, const struct fl_window *w, const struct fl_pane * not )
{
	for (struct fl_pane *p = *panes_of(e); p; p = p->next)
		if (p != not &&w->start <= p->window.end && w->end >= p->window.start)
			return p;
	return NULL;
}

/*
 * The session of a record: its own window, merged with those of the key that it
 * touches, and with those that the merged one then touches.
 */
static int
session_of(struct fl_keyed *k, struct fl_entry *e, int64_t time, uint64_t seq, struct fl_pane **ret,
	   struct fl_err *err)
{
	struct fl_window w = { .start = time };
	struct fl_pane *into = NULL, *p;

	if (__builtin_add_overflow(time, k->spec.size, &w.end))
		w.end = FL_TIME_MAX;
	while ((p = touching(e, &w, into))) {
		if (w.start >= p->window.start && w.end <= p->window.end) {
			*ret = p; /* inside it: nothing changes */
			return 0;
		}
		if (p->more->told && retract(k, p, FL_DELETE, err) < 0)
			return err->code;
		if (!k->is_plain)
			p->more->told = false;
		w.start = p->window.start < w.start ? p->window.start : w.start;
		w.end = p->window.end > w.end ? p->window.end : w.end;
		if (into && merge_panes(k, into, p, err) < 0)
			return err->code;
		into = into ? into : p;
		into->window = w;
		into->end_done = end_time(into) <= k->wm_ms;
	}
	*ret = into ? into : fl__keyed_new_pane(k, e, &w, seq);
	return 0;
}

/* The trigger looks at a record that was added. */
static int
on_element(struct fl_keyed *k, struct fl_pane *p, int64_t time, struct fl_err *err)
{
	const struct fl_window_spec *s = &k->spec;

	if (s->trigger == FL_TRIGGER_COUNT) {
		if (++p->more->count < s->trigger_arg)
			return 0;
		p->more->count = 0;
		if (add_pending(k, err) < 0 || fire_and_purge(k, p, err) < 0)
			return err->code;
		return may_defer(k) ? 0 : put_fired(k, err);
	}
	if (has_bounds(s) && end_time(p) <= k->wm_ms) {
		p->end_done = true;
		if (add_pending(k, err) < 0 || fire_and_purge(k, p, err) < 0)
			return err->code;
		return put_fired(k, err);
	}
	if (s->trigger == FL_TRIGGER_EVERY && p->more->every_ms == FL_TIME_MAX) {
		int64_t next = fl_window_start(time, 0, s->trigger_arg);

		if (__builtin_add_overflow(next, s->trigger_arg, &next) || next > end_time(p))
			next = end_time(p);
		p->more->every_ms = next;
	}
	return 0;
}

static int
add_to(struct fl_keyed *k, struct fl_pane *p, uint32_t row, int64_t time, struct fl_err *err)
{
	void *acc = p->acc;

	p->filled = true;
	if (k->keeps_rows) {
		keep_row(k, p, row, time);
	} else {
		fl_buf_put(&k->add_accs, &acc, sizeof acc);
		fl_buf_put(&k->add_rows, &row, sizeof row);
	}
	if (on_element(k, p, time, err) < 0)
		return err->code;
	fl__keyed_set_timer(k, p);
	return 0;
}

static bool
is_late(const struct fl_keyed *k, int64_t time)
{
	int64_t own;

	return !__builtin_add_overflow(time, k->spec.lateness, &own) && own <= k->wm_ms;
}

static int
add_aligned(struct fl_keyed *k, struct fl_entry *e, uint32_t row, int64_t time, struct fl_err *err)
{
	int64_t n = fl_windows_count(&k->windows, time);
	bool taken = false;

	for (int64_t i = 0; i < n; i++) {
		struct fl_window w = fl_windows_nth(&k->windows, time, i);

		if (fl_window_cleanup_time(&w, k->spec.lateness) <= k->wm_ms)
			continue;
		taken = true;
		if (add_to(k, pane_at(k, e, &w, k->seq + row), row, time, err) < 0)
			return err->code;
	}
	if (!taken && is_late(k, time))
		fl_late_add(k->late, row);
	return 0;
}

static int
add_record(struct fl_keyed *k, struct fl_entry *e, uint32_t row, int64_t time, struct fl_err *err)
{
	struct fl_pane *p = NULL;

	if (k->aligned)
		return add_aligned(k, e, row, time, err);
	if (!has_bounds(&k->spec))
		return add_to(k, pane_at(k, e, &unbounded, k->seq + row), row, time, err);
	if (session_of(k, e, time, k->seq + row, &p, err) < 0)
		return err->code;
	if (cleanup_time(k, p) > k->wm_ms)
		return add_to(k, p, row, time, err);
	fl__keyed_drop_pane(k, p); /* only its own window, and that is late */
	if (is_late(k, time))
		fl_late_add(k->late, row);
	return 0;
}

/* The entries of records from .. to of the batch in hand, and what is kept of them. */
static int
put_entries(struct fl_keyed *k, const struct fl_key *keys, uint32_t from, uint32_t to,
	    struct fl_entry **entry, struct fl_err *err)
{
	if (fl_spill_put(&k->spill, 0, &k->table, keys + from, NULL, to - from, k->seq + from,
			 entry + from, err) < 0)
		return err->code;
	k->needed = fl__keyed_held(k);
	return 0;
}

/* How many records are taken at once: on disk their keys should fit the memory. */
static uint32_t
portion_of(const struct fl_keyed *k)
{
	size_t n;

	if (!fl_spill_on_disk(&k->spill))
		return UINT32_MAX;
	n = fl_backend_cache_max(k->spill.backend) / (4 * (k->table.entry_size + k->pane_bytes));
	return n < PORTION_MIN ? PORTION_MIN : n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

/* A key without windows begins with this record, whatever came of it before. */
static int
begin_key(struct fl_keyed *k, struct fl_entry *e, const struct fl_key *key, uint64_t seq,
	  struct fl_err *err)
{
	fl_buf_put(&k->idle_keys, &e, sizeof e);
	if (e->tags != key->tags && put_fired(k, err) < 0) /* it may be printed yet */
		return err->code;
	e->tags = key->tags;
	e->seq = seq;
	return 0;
}

static int
add_records(struct fl_keyed *k, const int64_t *wm, int64_t now, const struct fl_key *keys,
	    struct fl_entry **entry, struct fl_err *err)
{
	const struct fl_batch *b = k->batch;
	uint32_t portion = portion_of(k), put = 0;
	uint64_t evictions = 0;

	for (uint32_t i = 0; i < b->rows; i++) {
		int64_t time = k->spec.processing_time ? now : b->time ? b->time[i] : 0;

		if (wm && wm[i] > k->wm_ms && fire_due(k, wm[i], err) < 0)
			return err->code;
		if (i == put) {
			if (i > 0 && trim(k, err) < 0)
				return err->code;
			put = b->rows - i > portion ? i + portion : b->rows;
			evictions = UINT64_MAX;
		}
		if (k->spill.evictions != evictions && put_entries(k, keys, i, put, entry, err) < 0)
			return err->code;
		evictions = k->spill.evictions;
		if (!*panes_of(entry[i]) && begin_key(k, entry[i], &keys[i], k->seq + i, err) < 0)
			return err->code;
		if (k->bad.count && k->bad.mask.len && k->bad.mask.data[i])
			continue;
		if (add_record(k, entry[i], i, time, err) < 0)
			return err->code;
	}
	return add_pending(k, err);
}

int
fl_keyed_batch(struct fl_keyed *k, const struct fl_batch *b, struct fl_err *err)
{
	const struct fl_header *h = fl_run_header(k->run, 0);
	int64_t now = fl_run_now(k->run);
	const int64_t *wm = k->spec.processing_time ? NULL : fl_batch_wm(b, &k->wm_scratch);
	const struct fl_key *keys;
	struct fl_entry **entry;

	k->batch = b;
	if (h->column_count > k->rows.cols) {
		fl_build_clear(&k->rows);
		fl_build_resize(&k->rows, h->column_count);
		if (!k->aggs) /* nothing is held between batches */
			fl_build_resize(&k->out, fl_run_out(k->run)->column_count);
	}
	fl_badrows_reset(&k->bad);
	if (k->aggs && (fl_aggs_prepare(k->aggs, b, &k->bad, err) < 0 ||
			fl_run_bad(k->run, b, &k->bad, NULL, err) < 0))
		return err->code;
	if (!wm && fl_keyed_advance(k, now, err) < 0)
		return err->code;
	fl_buf_clear(&k->entries);
	entry = (struct fl_entry **)(void *)fl_buf_reserve(&k->entries, b->rows * sizeof *entry);
	if (fl_keys_of(&k->keys, h, b, &keys, err) < 0 ||
	    add_records(k, wm, now, keys, entry, err) < 0)
		return err->code;
	k->seq += b->rows;
	k->needed = 0;
	if (fl_late_flush(k->late, b, err) < 0 || flush(k, err) < 0)
		return err->code;
	if (fl_spill_on_disk(&k->spill))
		return fl_spill_trim(&k->spill, err);
	return fl_budget_check(&k->budget,
			       k->row_bytes + (k->aggs ? fl_aggs_extra_bytes(k->aggs) : 0), err);
}

/* Panes that were merged into others and wait for their timer. */
static void
release_merged(struct fl_keyed *k)
{
	struct fl_pane *p;
	int64_t at;

	while (fl_timers_next(&k->timers, FL_TIME_MAX, &at))
		while ((p = fl_timers_take(&k->timers))) {
			p->timers--;
			if (p->dead)
				pane_drop(k, p);
		}
}

void
fl__keyed_clear(struct fl_keyed *k)
{
	int64_t now = fl_timers_now(&k->timers);

	release_merged(k);
	fl_timers_release(&k->timers);
	fl_timers_init(&k->timers);
	fl_timers_start(&k->timers, now);
	for (uint32_t i = 0; i < k->table.count; i++) {
		struct fl_entry *e = fl_table_at(&k->table, i);
		struct fl_pane *next;

		for (struct fl_pane *p = e->deleted ? NULL : *panes_of(e); p; p = next) {
			next = p->next;
			pane_free(k, p);
		}
	}
	fl_table_clear(&k->table);
	k->free_panes = NULL;
	fl_arena_release(&k->arena);
	fl_buf_clear(&k->idle_keys);
}

void
fl_keyed_release(struct fl_keyed *k)
{
	if (!k->run)
		return;
	fl__keyed_clear(k);
	fl_spill_close(&k->spill);
	fl_table_release(&k->table);
	fl_budget_release(&k->budget);
	fl_keys_release(&k->keys);
	fl_timers_release(&k->timers);
	fl_buf_release(&k->due);
	fl_buf_release(&k->fired);
	fl_buf_release(&k->done);
	fl_buf_release(&k->idle_keys);
	fl_buf_release(&k->add_accs);
	fl_buf_release(&k->add_rows);
	fl_buf_release(&k->entries);
	fl_buf_release(&k->wm_scratch);
	fl_buf_release(&k->packed);
	fl_buf_release(&k->list);
	fl_badrows_release(&k->bad);
	fl_build_release(&k->rows);
	fl_build_release(&k->out);
}
