/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/heap.h"
#include "join/windows.h"
#include "time/timestamp.h"

/* A session of a key. It stays allocated while timers point to it. */
struct session {
	struct session *next; /* of the same key */
	struct fl_entry *entry;
	struct fl_window span;
	uint64_t seq;           /* of its first row */
	struct fl_window timed; /* the span for which it has timers */
	struct fl_wcell rows;
	uint32_t timers;
	bool dead; /* merged into another, or gone */
};

enum { FIRE = 0, FORGET };

struct timer {
	int64_t at; /* the watermark */
	int64_t start;
	uint64_t seq;
	struct session *session;
	int what;
};

static struct session **
sessions_of(struct fl_entry *e)
{
	return (struct session **)(void *)e->value;
}

void
fl_wsessions_init(struct fl_wsessions *s, struct fl_wstate *st, int64_t gap)
{
	*s = (struct fl_wsessions){ .st = st, .gap = gap };
	fl_table_init(&s->table, st->budget, sizeof(struct session *));
}

void
fl_wsessions_release(struct fl_wsessions *s)
{
	if (!s->st)
		return;
	fl_table_release(&s->table); /* sessions and rows are in the slab */
	fl_buf_release(&s->heap);
	fl_buf_release(&s->gone);
	fl_buf_release(&s->entries);
}

/* ---- timers ----------------------------------------------------------------------------------- */

/* By time; at one time those that fire by their start, then by arrival. */
static inline bool
before(const void *a, const void *b, const void *ctx)
{
	const struct timer *x = a, *y = b;

	(void)ctx;
	if (x->at != y->at)
		return x->at < y->at;
	if (x->what != y->what)
		return x->what < y->what;
	return x->start < y->start || (x->start == y->start && x->seq < y->seq);
}

static void
heap_push(struct fl_wsessions *s, struct timer w)
{
	fl_heap_push(&s->heap, &w, sizeof w, before, NULL);
	w.session->timers++;
}

static struct timer
heap_pop(struct fl_wsessions *s)
{
	struct timer w;

	fl_heap_pop(&s->heap, &w, sizeof w, before, NULL);
	w.session->timers--;
	return w;
}

static int64_t
last_ms(const struct session *p)
{
	return p->span.end == FL_TIME_MAX ? FL_TIME_MAX : p->span.end - 1;
}

static void
set_timer(struct fl_wsessions *s, struct session *p, int what)
{
	heap_push(s, (struct timer){
			     .at = what == FIRE ? last_ms(p)
						: fl_window_cleanup_time(&p->span, s->st->lateness),
			     .start = p->span.start,
			     .seq = p->seq,
			     .session = p,
			     .what = what });
}

/* ---- sessions ----------------------------------------------------------------------------------- */

static void
bury(struct fl_wsessions *s, struct session *p)
{
	p->dead = true;
	if (p->timers == 0)
		fl_slab_give(&s->st->slab, p, sizeof *p);
}

/* Out of its key's list. */
static void
unlink_session(struct session *p)
{
	struct session **at = sessions_of(p->entry);

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
}

/* A session that is gone, with its rows. */
static void
forget(struct fl_wsessions *s, struct session *p)
{
	unlink_session(p);
	fl_wcell_free(&p->rows, &s->st->slab);
	if (!*sessions_of(p->entry))
		fl_spill_delete(s->st->spill, 0, &s->table, p->entry);
	bury(s, p);
}

/* The rows of from behind those of to: they are put in order when they come out. */
static void
move_rows(struct fl_wcell *to, struct fl_wcell *from)
{
	for (int side = 0; side < 2; side++) {
		if (!from->first[side])
			continue;
		if (to->last[side])
			to->last[side]->next = from->first[side];
		else
			to->first[side] = from->first[side];
		to->last[side] = from->last[side];
	}
}

/* The session of a key that covers w, made of all that it touches. */
static struct session *
merge(struct fl_wsessions *s, struct fl_entry *e, struct fl_window w, uint64_t seq)
{
	struct session **at = sessions_of(e), *into = NULL;

	while (*at) {
		struct session *p = *at;

		if (p->span.start > w.end || p->span.end < w.start) {
			at = &p->next;
			continue;
		}
		w.start = p->span.start < w.start ? p->span.start : w.start;
		w.end = p->span.end > w.end ? p->span.end : w.end;
		if (!into) {
			into = p;
			at = &p->next;
			continue;
		}
		move_rows(&into->rows, &p->rows);
		into->seq = p->seq < into->seq ? p->seq : into->seq;
		*at = p->next;
		bury(s, p);
	}
	if (!into) {
		into = fl_slab_take(&s->st->slab, sizeof *into);
		*into = (struct session){
			.next = *sessions_of(e), .entry = e, .seq = seq, .timed = { 0, FL_TIME_MIN }
		};
		*sessions_of(e) = into;
	}
	into->span = w;
	return into;
}

/* Whether w touches a session that is there: then it is not late, whatever its own end. */
static bool
touches(struct fl_entry *e, const struct fl_window *w)
{
	for (const struct session *p = e ? *sessions_of(e) : NULL; p; p = p->next)
		if (p->span.start <= w->end && p->span.end >= w->start)
			return true;
	return false;
}

/* Timers for the span that it has now; older ones are passed over when their time comes. */
static void
set_timers(struct fl_wsessions *s, struct session *p)
{
	if (p->timed.start == p->span.start && p->timed.end == p->span.end)
		return;
	p->timed = p->span;
	if (last_ms(p) > s->st->past)
		set_timer(s, p, FIRE);
	if (s->st->lateness || last_ms(p) <= s->st->past)
		set_timer(s, p, FORGET);
}

static int
fire(struct fl_wsessions *s, const struct session *p, struct fl_err *err)
{
	const struct fl_wcell *c = &p->rows;
	struct fl_key key = fl_entry_key(p->entry);

	return fl_wpairs_group(s->st->out, &p->span, &c, 1,
			       fl_pairs_key_is_null(&s->st->out->pairs, &key), s->st->wm, err);
}

int
fl_wsessions_add(struct fl_wsessions *s, enum fl_join_side side, const struct fl_key *key,
		 int64_t time, uint64_t seq, const char *p, uint32_t len, bool *ret_late,
		 struct fl_err *err)
{
	struct fl_wstate *st = s->st;
	struct fl_window w = { .start = time };
	struct fl_entry *e;
	struct session *in;

	if (fl_spill_get(st->spill, 0, &s->table, key, NULL, 1, &e, err) < 0)
		return err->code;
	if (__builtin_add_overflow(time, s->gap, &w.end))
		w.end = FL_TIME_MAX;
	*ret_late = fl_window_cleanup_time(&w, st->lateness) <= st->wm && !touches(e, &w);
	if (*ret_late)
		return 0;
	if (!e && fl_spill_put(st->spill, 0, &s->table, key, NULL, 1, 0, &e, err) < 0)
		return err->code;
	fl_spill_changed(st->spill, e);
	in = merge(s, e, w, seq);
	fl_wcell_add(&in->rows, side, &st->slab, seq, p, len);
	set_timers(s, in);
	if (last_ms(in) > st->wm)
		return 0;
	if (fire(s, in, err) < 0)
		return err->code;
	return fl_wpairs_flush(st->out, st->wm, err);
}

static int
on_timer(struct fl_wsessions *s, const struct timer *t, struct fl_err *err)
{
	struct session *p = t->session;

	if (p->dead) {
		if (p->timers == 0)
			fl_slab_give(&s->st->slab, p, sizeof *p);
		return 0;
	}
	if (t->start != p->span.start)
		return 0;
	fl_spill_changed(s->st->spill, p->entry);
	if (t->what == FIRE && last_ms(p) == t->at) {
		if (fire(s, p, err) < 0)
			return err->code;
		if (s->st->lateness == 0)
			fl_buf_put(&s->gone, &p, sizeof p);
	} else if (t->what == FORGET &&
		   fl_window_cleanup_time(&p->span, s->st->lateness) <= t->at) {
		fl_buf_put(&s->gone, &p, sizeof p);
	}
	return 0;
}

/* Timers up to a time. */
static int
fire_until(struct fl_wsessions *s, int64_t until, struct fl_err *err)
{
	struct session *const *gone;

	fl_buf_clear(&s->gone);
	while (s->heap.len && ((struct timer *)(void *)s->heap.data)->at <= until) {
		struct timer t = heap_pop(s);

		if (on_timer(s, &t, err) < 0)
			return err->code;
	}
	if (fl_wpairs_flush(s->st->out, s->st->wm, err) < 0)
		return err->code;
	s->st->past = until;
	/* only now: what is told refers to their rows */
	gone = (struct session *const *)(void *)s->gone.data;
	for (size_t i = 0; i < s->gone.len / sizeof *gone; i++)
		forget(s, gone[i]);
	return 0;
}

int
fl_wsessions_advance(struct fl_wsessions *s, int64_t wm, struct fl_err *err)
{
	int64_t until;

	do {
		if (fl_spill_due(s->st->spill, wm, &until, err) < 0 ||
		    fire_until(s, until, err) < 0 || fl_spill_trim(s->st->spill, err) < 0)
			return err->code;
	} while (until < wm);
	s->st->wm = wm;
	return 0;
}

/* ---- on disk ---------------------------------------------------------------------------------- */

/* A value: of each session of the key this, then its rows (fl_wcell_encode). */
struct saved_session {
	struct fl_window span;
	uint64_t seq;
	uint64_t rows;
};

static void
encode(void *self, int64_t ns, struct fl_entry *e, struct fl_buf *out)
{
	(void)self;
	(void)ns;
	for (const struct session *p = *sessions_of(e); p; p = p->next) {
		struct saved_session x = { p->span, p->seq, fl_wcell_rows(&p->rows) };

		fl_buf_put(out, &x, sizeof x);
		fl_wcell_encode(&p->rows, out);
	}
}

static int
decode(void *self, int64_t ns, struct fl_entry *e, struct fl_bytes value, struct fl_err *err)
{
	struct session **at = sessions_of(e), *p;
	struct fl_wsessions *s = self;
	struct saved_session x;

	(void)ns;
	while (value.n) {
		if (value.n < sizeof x)
			return fl_fail(err, FL_EDATA, "a value in RocksDB's files is damaged");
		memcpy(&x, value.p, sizeof x);
		value.p += sizeof x;
		value.n -= sizeof x;
		p = fl_slab_take(&s->st->slab, sizeof *p);
		*p = (struct session){
			.entry = e, .span = x.span, .seq = x.seq, .timed = { 0, FL_TIME_MIN }
		};
		*at = p;
		at = &p->next;
		if (x.rows == UINT64_MAX ||
		    fl_wcell_decode(&p->rows, &s->st->slab, &value, x.rows, err) < 0)
			return fl_fail(err, FL_EDATA, "a value in RocksDB's files is damaged");
		set_timers(s, p);
	}
	return 0;
}

/* When the next of its sessions fires, or goes. */
static int64_t
due(void *self, int64_t ns, struct fl_entry *e)
{
	const struct fl_wsessions *s = self;
	int64_t first = FL_TIME_MAX;

	(void)ns;
	for (const struct session *p = *sessions_of(e); p; p = p->next) {
		int64_t at = last_ms(p);

		if (at <= s->st->past)
			at = fl_window_cleanup_time(&p->span, s->st->lateness);
		if (at <= s->st->past)
			at = s->st->past + 1;
		first = at < first ? at : first;
	}
	return first;
}

/* What points to sessions goes with them. */
static void
forget_all(void *self)
{
	struct fl_wsessions *s = self;

	fl_buf_release(&s->heap);
	fl_buf_clear(&s->gone);
	fl_table_clear(&s->table);
	fl_slab_release(&s->st->slab);
	fl_slab_init(&s->st->slab, s->st->budget);
}

static size_t
held(const void *self)
{
	const struct fl_wsessions *s = self;

	return s->st->budget->used + s->heap.len;
}

/* For fcheckpoint show: what encode writes. */
static void
about(const void *self, struct fl_buf *out)
{
	const struct fl_wsessions *s = self;

	fl_pairs_about_both(&s->st->out->pairs, "",
			    "@[]{start end -:u64 @[u64]{" FL_WCELL_ENCODED "}}", NULL, 0, out);
}

const struct fl_spill_ops fl_wsessions_spill = {
	.version = 1,
	.table_at = offsetof(struct fl_wsessions, table),
	.encode = encode,
	.decode = decode,
	.due = due,
	.forget = forget_all,
	.held = held,
	.about = about,
};

int
fl_wsessions_bring(struct fl_wsessions *s, const struct fl_wahead *a, struct fl_err *err)
{
	struct fl_entry **entry;

	/* a key that is late, and so gets no session, is forgotten with the others */
	fl_buf_clear(&s->entries);
	entry = (struct fl_entry **)(void *)fl_buf_reserve(&s->entries, a->count * sizeof *entry);
	return fl_spill_put(s->st->spill, 0, &s->table, a->keys, a->rows, a->count, a->seq, entry,
			    err);
}

/* ---- snapshots ------------------------------------------------------------------------------- */

void
fl_wsessions_save(const struct fl_wsessions *s, struct fl_save *to)
{
	struct fl_buf value = { 0 };

	for (uint32_t i = 0; i < s->table.count; i++) {
		struct fl_entry *e = fl_table_at(&s->table, i);
		struct fl_key key;

		if (e->deleted)
			continue;
		key = fl_entry_key(e);
		for (const struct session *p = *sessions_of(e); p; p = p->next)
			fl_wcell_save(&p->rows, &p->span, &key, to, &value);
	}
	fl_buf_release(&value);
}

int
fl_wsessions_load(struct fl_wsessions *s, enum fl_join_side side, const struct fl_key *key,
		  const struct fl_window *window, uint64_t seq, const char *p, uint32_t len,
		  struct fl_err *err)
{
	struct session *in;
	struct fl_entry *e;

	if (fl_spill_put(s->st->spill, 0, &s->table, key, NULL, 1, 0, &e, err) < 0)
		return err->code;
	for (in = *sessions_of(e); in; in = in->next)
		if (in->span.start == window->start && in->span.end == window->end)
			break;
	if (!in) {
		in = fl_slab_take(&s->st->slab, sizeof *in);
		*in = (struct session){ .next = *sessions_of(e),
					.entry = e,
					.span = *window,
					.seq = seq,
					.timed = { 0, FL_TIME_MIN } };
		*sessions_of(e) = in;
		set_timers(s, in);
	}
	in->seq = seq < in->seq ? seq : in->seq;
	fl_wcell_add(&in->rows, side, &s->st->slab, seq, p, len);
	return 0;
}
