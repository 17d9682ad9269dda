/* SPDX-License-Identifier: Apache-2.0 */
#include "join/windowed.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "join/windows.h"
#include "time/timestamp.h"

struct windowed {
	struct fl_run *run;
	struct fl_wpairs out;
	struct fl_budget budget;
	struct fl_spill spill;
	struct fl_wstate st;
	bool by_session;
	struct fl_wslices slices;
	struct fl_wsessions sessions;
	uint64_t seq;
	bool nulls[2]; /* rows whose key is NULL come out, too */
	char what[160];

	bool pairs_late; /* --late: rows of both sides in one file */
	const char *late_path[2];
	struct fl_side *late_file[2];
	struct fl_buf late;                  /* uint32_t: rows of the batch in hand */
	struct fl_buf scratch, packed, pool; /* of the batch in hand */
	struct fl_buf rows;                  /* uint32_t: of the portion in hand */
};

/* ---- late rows ------------------------------------------------------------------------------ */

/* Each side's rows go to the file that its fwindow was given, or all to fjoin's --late. */
static int
open_late(struct windowed *w, const struct fl_join_options *o, struct fl_err *err)
{
	for (uint32_t i = 0; i < 2 && !o->late; i++) {
		const struct fl_header *h = fl_run_header(w->run, i);

		w->late_path[i] = h->window.late;
		if (!h->window.late)
			continue;
		if (i == 1 && w->late_path[0] && strcmp(w->late_path[0], w->late_path[1]) == 0)
			return fl_fail(err, FL_EUSAGE,
				       "both sides have --late %s: two files, or fjoin --late for "
				       "one with the rows of both",
				       h->window.late);
		w->late_file[i] = fl_run_side(w->run, h->window.late, h, err);
		if (!w->late_file[i])
			return err->code;
	}
	w->pairs_late = o->late;
	return fl_pairs_late_open(&w->out.pairs, o->late, err);
}

static void
add_late(struct windowed *w, enum fl_join_side side, uint32_t row)
{
	if (w->pairs_late)
		fl_pairs_late(&w->out.pairs, side, row, false);
	else
		fl_buf_put(&w->late, &row, sizeof row);
}

static int
flush_late(struct windowed *w, enum fl_join_side side, const struct fl_batch *b, struct fl_err *err)
{
	uint32_t n = (uint32_t)(w->late.len / sizeof(uint32_t));
	struct fl_batch late;
	int rc = 0;

	if (n == 0)
		return 0;
	fl_run_late(w->run, n, w->late_path[side]);
	if (w->late_file[side]) {
		fl_batch_select(b, (const uint32_t *)(const void *)w->late.data, n, &w->pool,
				&late);
		rc = fl_side_write(w->late_file[side], fl_run_header(w->run, side), &late, err);
	}
	fl_buf_clear(&w->late);
	return rc;
}

/* ---- records --------------------------------------------------------------------------------- */

static int
move_on(struct windowed *w, int64_t wm, struct fl_err *err)
{
	if (wm <= w->st.wm)
		return 0;
	return w->by_session ? fl_wsessions_advance(&w->sessions, wm, err)
			     : fl_wslices_advance(&w->slices, wm, err);
}

static int
add_row(struct windowed *w, enum fl_join_side side, const struct fl_key *key, int64_t time,
	uint64_t seq, bool *ret_late, struct fl_err *err)
{
	const char *p = w->packed.data;
	uint32_t len = (uint32_t)w->packed.len;

	return w->by_session
		       ? fl_wsessions_add(&w->sessions, side, key, time, seq, p, len, ret_late, err)
		       : fl_wslices_add(&w->slices, side, key, time, seq, p, len, ret_late, err);
}

/* Whether a record is looked at. */
static bool
counts(const struct windowed *w, enum fl_join_side side, const struct fl_key *key)
{
	return w->nulls[side] || !fl_pairs_key_is_null(&w->out.pairs, key);
}

/* On disk: what is kept of the keys of records first .. end-1 comes into memory. */
static int
bring(struct windowed *w, enum fl_join_side side, struct fl_wahead *a, uint32_t first, uint32_t end,
      struct fl_err *err)
{
	fl_buf_clear(&w->rows);
	for (uint32_t i = first; i < end; i++)
		if (counts(w, side, &a->keys[i]))
			fl_buf_put(&w->rows, &i, sizeof i);
	a->rows = (const uint32_t *)(const void *)w->rows.data;
	a->count = (uint32_t)(w->rows.len / sizeof *a->rows);
	return w->by_session ? fl_wsessions_bring(&w->sessions, a, err)
			     : fl_wslices_bring(&w->slices, a, err);
}

/*
 * Records first .. end-1. On disk bring only saves time: a key that is not in memory when
 * its record's turn comes is brought for itself.
 */
static int
add_rows(struct windowed *w, enum fl_join_side side, const struct fl_batch *b, struct fl_wahead *a,
	 uint32_t first, uint32_t end, struct fl_err *err)
{
	uint64_t evictions = w->spill.evictions - 1;

	for (uint32_t i = first; i < end; i++) {
		bool late = false;

		if (move_on(w, a->wm[i], err) < 0)
			return err->code;
		if (fl_spill_on_disk(&w->spill) && w->spill.evictions != evictions &&
		    bring(w, side, a, i, end, err) < 0)
			return err->code;
		evictions = w->spill.evictions;
		if (!counts(w, side, &a->keys[i]))
			continue;
		fl_buf_clear(&w->packed);
		(void)fl_pairs_pack(b, i, &w->packed);
		if (add_row(w, side, &a->keys[i], b->time[i], a->seq + i, &late, err) < 0)
			return err->code;
		if (late)
			add_late(w, side, i);
	}
	return fl_spill_trim(&w->spill, err);
}

static int
on_batch(void *self, enum fl_join_side side, const struct fl_batch *b, struct fl_err *err)
{
	struct windowed *w = self;
	struct fl_wahead a = { .time = b->time, .wm = fl_batch_wm(b, &w->scratch), .seq = w->seq };
	uint32_t most = fl_join_portion(&w->spill);

	fl_pairs_batch(&w->out.pairs, side, b);
	if (fl_pairs_keys(&w->out.pairs, side, b, &a.keys, err) < 0)
		return err->code;
	for (uint32_t first = 0, end; first < b->rows; first = end) {
		end = b->rows - first < most ? b->rows : first + most;
		if (add_rows(w, side, b, &a, first, end, err) < 0)
			return err->code;
	}
	w->seq += b->rows;
	if (fl_budget_check(&w->budget, 0, err) < 0 || flush_late(w, side, b, err) < 0)
		return err->code;
	return fl_pairs_flush(&w->out.pairs, err);
}

static int
advance(void *self, int64_t wm_ms, int64_t *forward_ms, struct fl_err *err)
{
	struct windowed *w = self;

	(void)forward_ms;
	if (move_on(w, wm_ms, err) < 0)
		return err->code;
	return fl_pairs_flush(&w->out.pairs, err);
}

/* ---- opening --------------------------------------------------------------------------------- */

static const char *
kind_name(enum fl_window_kind kind)
{
	static const char *const names[] = { "none",     "tumble", "slide", "session",
					     "cumulate", "count",  "global" };

	return names[kind];
}

static int
check_spec(const struct fl_window_spec *s, struct fl_err *err)
{
	if (s->kind == FL_WINDOW_COUNT || s->kind == FL_WINDOW_GLOBAL)
		return fl_fail(err, FL_EUSAGE,
			       "a join of %s windows is not possible: they have no end in time",
			       kind_name(s->kind));
	if (s->processing_time)
		return fl_fail(err, FL_EUSAGE, "a window join needs event time");
	if (s->trigger != FL_TRIGGER_DEFAULT || s->purge || s->keep_count >= 0 || s->keep_time >= 0)
		return fl_fail(err, FL_EUSAGE,
			       "a window join fires at the end of the window: no --trigger, "
			       "--purge or --keep");
	return 0;
}

static int
check_inputs(struct fl_run *run, struct fl_err *err)
{
	const struct fl_window_spec *l = &fl_run_header(run, 0)->window;
	const struct fl_window_spec *r = &fl_run_header(run, 1)->window;

	if (check_spec(l, err) < 0 || check_spec(r, err) < 0)
		return err->code;
	if (l->kind != r->kind || l->size != r->size || l->slide != r->slide ||
	    l->offset != r->offset || l->lateness != r->lateness)
		return fl_fail(err, FL_EUSAGE,
			       "the sides have different windows (%s, size %" PRId64
			       " ms, lateness %" PRId64 " ms; %s, size %" PRId64
			       " ms, lateness %" PRId64 " ms): give fwindow the same words on both",
			       kind_name(l->kind), l->size, l->lateness, kind_name(r->kind),
			       r->size, r->lateness);
	for (uint32_t i = 0; i < 2; i++) {
		const char *side = i == 0 ? "left" : "right";

		if (!fl_run_header(run, i)->time)
			return fl_fail(err, FL_EUSAGE,
				       "the %s side has no event time: give --time where it is "
				       "decoded, on both sides",
				       side);
		if (fl_run_header(run, i)->changelog)
			return fl_fail(err, FL_EUSAGE,
				       "the %s side is a changelog: it cannot be windowed", side);
	}
	return 0;
}

static int
make_windows(const struct fl_window_spec *s, struct fl_windows *ret, struct fl_err *err)
{
	if (s->kind == FL_WINDOW_TUMBLE)
		return fl_windows_tumble(ret, s->size, s->offset, err);
	if (s->kind == FL_WINDOW_SLIDE)
		return fl_windows_slide(ret, s->size, s->slide, s->offset, err);
	return fl_windows_cumulate(ret, s->size, s->slide, s->offset, err);
}

static bool
whole_seconds(const struct fl_window_spec *s)
{
	return s->kind != FL_WINDOW_SESSION && s->size % 1000 == 0 && s->slide % 1000 == 0 &&
	       s->offset % 1000 == 0;
}

/* Which rows come out without a partner; which are looked at if their key is NULL. */
static void
set_told(struct windowed *w, enum fl_join_kind kind)
{
	w->out.told[0] = fl_join_is_outer(kind, FL_JOIN_SIDE_LEFT) || kind == FL_JOIN_ANTI;
	w->out.told[1] = fl_join_is_outer(kind, FL_JOIN_SIDE_RIGHT);
	w->nulls[0] = w->out.told[0];
	w->nulls[1] = w->out.told[1];
	/* they match nothing, but rows of both sides make the sessions */
	if (w->by_session)
		w->nulls[0] = w->nulls[1] = w->out.told[0] || w->out.told[1];
}

static int
open_spill(struct windowed *w, struct fl_err *err)
{
	const struct fl_spill_ops *ops = w->by_session ? &fl_wsessions_spill : &fl_wslices_spill;
	void *self = w->by_session ? (void *)&w->sessions : (void *)&w->slices;

	if (fl_spill_open(&w->spill, w->run, ops, self, &w->out.pairs.keys, err) < 0)
		return err->code;
	w->budget.max = fl_spill_memory_max(&w->spill);
	return 0;
}

static int
open(void *self, struct fl_run *run, const struct fl_join_options *o, struct fl_err *err)
{
	struct windowed *w = self;
	const struct fl_window_spec spec = fl_run_header(run, 0)->window;
	struct fl_pairs_form form = { .bounds = true,
				      .seconds = whole_seconds(&spec),
				      .timed = true };
	struct fl_windows windows;

	w->run = run;
	fl_budget_init(&w->budget, SIZE_MAX);
	w->st = (struct fl_wstate){ .out = &w->out,
				    .budget = &w->budget,
				    .spill = &w->spill,
				    .lateness = spec.lateness,
				    .wm = FL_TIME_MIN,
				    .past = FL_TIME_MIN };
	fl_slab_init(&w->st.slab, &w->budget);
	if (check_inputs(run, err) < 0)
		return err->code;
	(void)snprintf(w->what, sizeof w->what,
		       "window join (%s, size %" PRId64 " ms, slide %" PRId64 " ms, offset %" PRId64
		       " ms)",
		       kind_name(spec.kind), spec.size, spec.slide, spec.offset);
	w->by_session = spec.kind == FL_WINDOW_SESSION;
	set_told(w, o->kind);
	if (w->by_session)
		fl_wsessions_init(&w->sessions, &w->st, spec.size);
	else if (make_windows(&spec, &windows, err) < 0)
		return err->code;
	else
		fl_wslices_init(&w->slices, &w->st, &windows);
	if (fl_pairs_open(&w->out.pairs, run, o, NULL, &form, err) < 0 ||
	    open_late(w, o, err) < 0 || open_spill(w, err) < 0)
		return err->code;
	free(fl_run_out(run)->time);
	fl_run_out(run)->time = fl_xstrdup("window_time");
	fl_run_in_time_order(run);
	return 0;
}

static int
columns(void *self, struct fl_err *err)
{
	struct windowed *w = self;

	return fl_pairs_columns(&w->out.pairs, err);
}

static int
end(void *self, struct fl_err *err)
{
	struct windowed *w = self;

	(void)err;
	fl_pairs_notes(&w->out.pairs);
	return 0;
}

static void
release(void *self)
{
	struct windowed *w = self;

	if (!w->run)
		return;
	fl_spill_close(&w->spill);
	fl_wslices_release(&w->slices);
	fl_wsessions_release(&w->sessions);
	fl_slab_release(&w->st.slab);
	fl_wpairs_release(&w->out);
	fl_budget_release(&w->budget);
	fl_buf_release(&w->late);
	fl_buf_release(&w->scratch);
	fl_buf_release(&w->packed);
	fl_buf_release(&w->pool);
	fl_buf_release(&w->rows);
}

/* ---- snapshots --------------------------------------------------------------------------------- */

/* Before the record in an entry's value: the side, the arrival number. */
#define SAVED_BYTES 9u

static void
snapshot(void *self, struct fl_save *s)
{
	struct windowed *w = self;
	struct fl_buf about = { 0 };

	fl_join_save(&w->out.pairs, w->what, w->st.wm, w->seq, s);
	if (fl_spill_on_disk(&w->spill)) {
		fl_spill_save(&w->spill, s);
		return;
	}
	fl_pairs_about_both(&w->out.pairs, "window", FL_WCELL_SAVED, NULL, 0, &about);
	fl_save_section(s, "rows", 1, about.data);
	fl_buf_release(&about);
	if (w->by_session)
		fl_wsessions_save(&w->sessions, s);
	else
		fl_wslices_save(&w->slices, s);
}

static int
load_row(void *self, const struct fl_state_section *s, const struct fl_state_entry *e,
	 struct fl_load *l, struct fl_err *err)
{
	struct fl_key key = { .p = e->key, .len = e->key_len, .tags = e->key_tags };
	enum fl_join_side side = FL_JOIN_SIDE_LEFT;
	uint32_t len = e->value_len - SAVED_BYTES;
	const char *p = e->value + SAVED_BYTES;
	struct windowed *w = self;
	struct fl_window window;
	uint64_t seq;

	(void)s;
	if (e->value_len < SAVED_BYTES || e->ns_len != 2 * sizeof(int64_t) ||
	    (uint8_t)e->value[0] > 1 || fl_row_check(p, len, err) < 0)
		return fl_load_damaged(l, "a kept row", err);
	side = (enum fl_join_side)e->value[0];
	memcpy(&seq, e->value + 1, sizeof seq);
	memcpy(&window.start, e->ns, sizeof window.start);
	memcpy(&window.end, e->ns + sizeof window.start, sizeof window.end);
	fl_pairs_rehash(&w->out.pairs, &key);
	w->st.past = w->st.wm;
	if (w->by_session) {
		if (fl_wsessions_load(&w->sessions, side, &key, &window, seq, p, len, err) < 0)
			return err->code;
	} else if (fl_wslices_load(&w->slices, side, &key, &window, seq, p, len, err) < 0) {
		return err->code;
	}
	if (fl_budget_check(&w->budget, 0, err) < 0)
		return err->code;
	return fl_spill_trim(&w->spill, err);
}

static const struct fl_join_section sections[] = {
	{ "rows", 1, load_row },
	{ NULL, 0, NULL },
};

static int
restore(void *self, struct fl_load *l, struct fl_err *err)
{
	struct windowed *w = self;
	int rc = fl_join_restore(&w->out.pairs, &w->spill, w->what, &w->st.wm, &w->seq, sections, w,
				 l, err);

	w->st.past = w->st.wm;
	if (rc == 0 && !w->by_session)
		fl_wslices_know(&w->slices);
	return rc;
}

static int
before_snapshot(void *self, struct fl_err *err)
{
	struct windowed *w = self;

	return fl_spill_checkpoint(&w->spill, err);
}

static size_t
state_bytes(const void *self)
{
	const struct windowed *w = self;

	return fl_spill_on_disk(&w->spill) ? 0 : w->st.slab.in_use;
}

const struct fl_join_engine fl_join_windowed = {
	.name = "window join",
	.self_size = sizeof(struct windowed),
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
