/* SPDX-License-Identifier: Apache-2.0 */
#include "rank/over.h"

#include <stdlib.h>

#include "stream/row.h"
#include "time/timestamp.h"

#define RING_MIN 4u

/* ---- life cycle ------------------------------------------------- */

static int
check_input(const struct fl_over *o, const struct fl_header *in, struct fl_err *err)
{
	if (in->changelog)
		return fl_fail(
			err, FL_EUSAGE,
			"a changelog has no order in time to aggregate over: make a table of "
			"it first (leave --updates out before)");
	if (in->window.kind != FL_WINDOW_NONE)
		return fl_fail(err, FL_EUSAGE,
			       "fover has frames of its own, it does not go behind fwindow");
	if (o->spec.frame == FL_OVER_RANGE && o->spec.before >= 0 && !o->timed)
		return fl_fail(
			err, FL_EUSAGE,
			"--range needs event time: give --time (and --watermark) to the tool "
			"that reads the text");
	return 0;
}

/* Where results stand: aggregates first, as fl_aggs_results puts them. */
static void
place_results(struct fl_over *o, struct fl_rowout_column *column)
{
	uint32_t next = o->agg_count;

	for (uint32_t i = 0; i < o->def_count; i++) {
		struct fl_over_def *d = &o->def[i];

		if (d->what != FL_OVER_AGGREGATE)
			d->column = next++;
		column[i].name = d->name;
		column[i].kind = d->what == FL_OVER_AGGREGATE ? fl_aggs_kind(o->aggs, d->column)
				 : d->expr                    ? fl_expr_kind(d->expr)
							      : FL_INT64;
		if (d->what == FL_OVER_LAG && d->places > o->lag_max)
			o->lag_max = d->places;
		if (d->what == FL_OVER_LEAD && d->places > o->lead_max)
			o->lead_max = d->places;
	}
}

int
fl_over_open(struct fl_over *o, struct fl_run *run, const struct fl_over_spec *spec,
	     struct fl_err *err)
{
	const struct fl_header *in = fl_run_header(run, 0);
	struct fl_rowout_column *column;
	int rc;

	o->run = run;
	o->spec = *spec;
	o->timed = in->time != NULL;
	o->wm_ms = FL_TIME_MIN;
	o->chunk = 1;
	fl_budget_init(&o->budget, fl_run_memory_max(run));
	fl_groupkeys_init(&o->keys, false);
	fl_build_init(&o->rows, in->column_count);
	o->rows.timed = o->rows.changelog = true;
	fl_build_init(&o->results, o->def_count);
	o->extra = fl_xcalloc(o->def_count, sizeof *o->extra);
	if (fl__over_bind(o, in, err) < 0)
		return err->code;
	fl_table_init(&o->table, &o->budget,
		      sizeof(struct fl_over_key) + (o->aggs ? fl_aggs_size(o->aggs) : 0));
	if (check_input(o, in, err) < 0 || fl__over_open_spill(o, err) < 0)
		return err->code;
	column = fl_xcalloc(o->def_count, sizeof *column);
	place_results(o, column);
	rc = fl_rowout_open(&o->out, run, NULL, column, o->def_count, false, err);
	free(column);
	return rc < 0 ? rc : fl_late_open(&o->late, run, spec->late, err);
}

static void
release_key(struct fl_over *o, struct fl_entry *e)
{
	struct fl_over_key *k = fl__over_key(e);

	for (uint32_t i = 0; i < k->count; i++)
		fl_item_free(&o->mem, *fl__over_at(k, i));
	if (k->ring)
		fl_items_give(&o->mem, k->ring, k->ring_class);
	if (o->aggs && e->flags & FL__OVER_INIT)
		fl_aggs_clear(o->aggs, fl__over_acc(e));
}

void
fl__over_forget(void *self)
{
	struct fl_over *o = self;

	while (fl_dues_count(&o->dues))
		fl_item_free(&o->mem, fl_dues_pop(&o->dues).item);
	for (uint32_t i = 0; i < o->table.count; i++)
		if (!fl_table_at(&o->table, i)->deleted)
			release_key(o, fl_table_at(&o->table, i));
	fl_dues_release(&o->dues);
	fl_table_clear(&o->table);
	fl_items_release(&o->mem);
}

static void
release_definitions(struct fl_over *o)
{
	for (uint32_t i = 0; i < o->def_count; i++) {
		free(o->def[i].name);
		free(o->def[i].text);
		fl_expr_free(o->def[i].expr);
		fl_expr_free(o->def[i].otherwise);
		fl_build_release(&o->def[i].rows);
		fl_buf_release(&o->def[i].missing);
	}
	free(o->def);
	fl_aggs_free(o->aggs);
}

void
fl_over_release(struct fl_over *o)
{
	if (o->table.budget) {
		fl__over_forget(o);
		fl_table_release(&o->table);
	}
	release_definitions(o);
	fl_spill_close(&o->spill);
	fl_dues_release(&o->dues);
	fl_budget_release(&o->budget);
	fl_groupkeys_release(&o->keys);
	fl_items_release(&o->mem);
	fl_late_release(&o->late);
	fl_rowout_release(&o->out);
	fl_build_release(&o->rows);
	fl_build_release(&o->results);
	fl_badrows_release(&o->bad);
	fl_buf_release(&o->turns);
	fl_buf_release(&o->entries);
	fl_buf_release(&o->pack);
	fl_buf_release(&o->wm_scratch);
	fl_buf_release(&o->good);
	fl_buf_release(&o->steps);
	fl_buf_release(&o->accs);
	fl_buf_release(&o->chosen);
	fl_buf_release(&o->wms);
	fl_buf_release(&o->pool);
	free(o->extra);
}

int
fl_over_columns(struct fl_over *o, struct fl_err *err)
{
	const struct fl_header *in = fl_run_header(o->run, 0);

	fl_build_resize(&o->rows, in->column_count);
	if (fl__over_bind(o, in, err) < 0)
		return err->code;
	return fl_rowout_columns(&o->out, err);
}

/* ---- keys ------------------------------------------------------- */

void
fl__over_init_key(struct fl_over *o, struct fl_entry *e)
{
	if (e->flags & FL__OVER_INIT)
		return;
	e->flags |= FL__OVER_INIT;
	fl__over_key(e)->last_ms = FL_TIME_MIN;
	if (o->aggs)
		fl_aggs_init(o->aggs, fl__over_acc(e));
}

void
fl__over_append(struct fl_over *o, struct fl_over_key *k, struct fl_item *item)
{
	if (k->count == k->cap) {
		uint32_t cap = k->cap ? 2 * k->cap : RING_MIN, class;
		struct fl_item **ring = fl_items_take(&o->mem, cap * sizeof(struct fl_item *),
						      &class);

		for (uint32_t i = 0; i < k->count; i++)
			ring[i] = *fl__over_at(k, i);
		if (k->ring)
			fl_items_give(&o->mem, k->ring, k->ring_class);
		k->ring = ring;
		k->ring_class = class;
		k->cap = cap;
		k->head = 0;
	}
	*fl__over_at(k, k->count++) = item;
}

/* ---- turns ------------------------------------------------------ */

/* The rows of one moment have joined their keys: as many come out, in that order. */
static int
take_turns(struct fl_over *o, struct fl_err *err)
{
	struct fl_entry *const *e = (struct fl_entry *const *)(void *)o->turns.data;
	size_t n = o->turns.len / sizeof *e;
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		if (fl__over_key(e[i])->count - fl__over_key(e[i])->shown > o->lead_max)
			rc = fl__over_show(o, e[i], err);
	fl_buf_clear(&o->turns);
	return rc;
}

static void
join(struct fl_over *o, struct fl_entry *e, struct fl_item *item)
{
	fl_spill_changed(&o->spill, e);
	fl__over_append(o, fl__over_key(e), item);
	fl__over_key(e)->last_ms = item->time;
	fl_buf_put(&o->turns, &e, sizeof(struct fl_entry *));
}

/* Those up to a time; the rows of keys on disk are in memory. */
static int
take_until(struct fl_over *o, int64_t until, struct fl_err *err)
{
	const struct fl_due *first;
	int rc = 0;

	while (rc == 0 && (first = fl_dues_first(&o->dues)) && first->time <= until) {
		int64_t time = first->time;

		do {
			struct fl_due due = fl_dues_pop(&o->dues);

			join(o, due.entry, due.item);
			first = fl_dues_first(&o->dues);
		} while (first && first->time == time);
		rc = take_turns(o, err);
	}
	return rc;
}

/* What is written down points to entries: it is computed before they are forgotten. */
static int
trim(struct fl_over *o, struct fl_err *err)
{
	if (!fl_spill_is_full(&o->spill))
		return 0;
	if (fl__over_flush(o, err) < 0)
		return err->code;
	return fl_spill_trim(&o->spill, err);
}

/* Everything up to watermark wm_ms. */
static int
advance(struct fl_over *o, int64_t wm_ms, struct fl_err *err)
{
	int64_t until = wm_ms;

	if (wm_ms <= o->wm_ms)
		return 0;
	do { /* on disk: as much as fits, then the next */
		if (until < wm_ms && trim(o, err) < 0)
			return err->code;
		if (fl_spill_due(&o->spill, wm_ms, &until, err) < 0 ||
		    take_until(o, until, err) < 0)
			return err->code;
	} while (until < wm_ms);
	o->wm_ms = wm_ms;
	return 0;
}

/* ---- rows in ---------------------------------------------------- */

static bool
is_late(const struct fl_over *o, struct fl_entry *e, int64_t time)
{
	if (o->aggs && o->spec.before >= 0)
		return time <= fl__over_key(e)->last_ms && fl__over_key(e)->last_ms > FL_TIME_MIN;
	return time <= o->wm_ms;
}

static struct fl_item *
new_item(struct fl_over *o, const struct fl_batch *b, uint32_t row)
{
	struct fl_sortkey none = { 0 };

	fl_buf_clear(&o->pack);
	(void)fl_row_pack(b, row, &o->pack);
	return fl_item_new_linked(&o->mem, o->seq + row, o->timed ? b->time[row] : 0, &none, 0,
				  o->pack.data, o->pack.len);
}

static int
add_row(struct fl_over *o, const struct fl_batch *b, uint32_t row, struct fl_entry *e,
	struct fl_err *err)
{
	struct fl_due due = { .entry = e };

	fl__over_init_key(o, e);
	if (!o->timed) {
		join(o, e, new_item(o, b, row));
		return take_turns(o, err);
	}
	if (is_late(o, e, b->time[row])) {
		fl_late_add(&o->late, row);
		return 0;
	}
	due.item = new_item(o, b, row);
	due.time = due.item->time;
	due.seq = due.item->seq;
	fl_dues_push(&o->dues, &due);
	return 0;
}

/* The entries of the keys from record first on, into o->entries. */
static int
put_keys(struct fl_over *o, const struct fl_key *keys, uint32_t first, uint32_t rows,
	 struct fl_err *err)
{
	struct fl_entry **entry;

	fl_buf_clear(&o->entries);
	entry = (struct fl_entry **)(void *)fl_buf_reserve(&o->entries, rows * sizeof *entry + 1);
	return fl_spill_put(&o->spill, 0, &o->table, keys + first, NULL, rows - first,
			    o->seq + first, entry + first, err);
}

int
fl_over_batch(struct fl_over *o, const struct fl_batch *b, struct fl_err *err)
{
	uint64_t evictions;
	const struct fl_key *keys;
	const int64_t *wm;
	int rc = 0;

	fl_badrows_reset(&o->bad);
	if ((o->aggs && fl_aggs_prepare(o->aggs, b, &o->bad, err) < 0) ||
	    fl__over_check(o, b, err) < 0 || fl_run_bad(o->run, b, &o->bad, NULL, err) < 0 ||
	    fl_groupkeys_of(&o->keys, fl_run_header(o->run, 0), b, &keys, err) < 0)
		return err->code;
	fl_buf_clear(&o->good); /* o->bad is used again before the batch is done with */
	fl_buf_put(&o->good, o->bad.mask.data, o->bad.count ? b->rows : 0);
	if (put_keys(o, keys, 0, b->rows, err) < 0)
		return err->code;
	wm = fl_batch_wm(b, &o->wm_scratch);
	evictions = o->spill.evictions;
	for (uint32_t i = 0; i < b->rows && rc == 0; i++) {
		rc = advance(o, wm[i], err);
		if (rc == 0 && evictions != o->spill.evictions)
			rc = put_keys(o, keys, i, b->rows, err);
		evictions = o->spill.evictions;
		if (rc == 0 && !(o->good.len && o->good.data[i]))
			rc = add_row(o, b, i, ((struct fl_entry **)(void *)o->entries.data)[i],
				     err);
	}
	o->seq += b->rows;
	if (rc < 0 || fl__over_flush(o, err) < 0 || fl_late_flush(&o->late, b, err) < 0 ||
	    fl_spill_trim(&o->spill, err) < 0)
		return err->code;
	return fl_budget_check(&o->budget,
			       fl_items_bytes(&o->mem) + o->dues.heap.cap +
				       (o->aggs ? fl_aggs_extra_bytes(o->aggs) : 0),
			       err);
}

int
fl_over_watermark(struct fl_over *o, int64_t wm_ms, int64_t *forward_ms, struct fl_err *err)
{
	if (o->lead_max)
		*forward_ms = FL_TIME_MIN; /* rows that wait for others are still to come */
	if (advance(o, wm_ms, err) < 0 || fl__over_flush(o, err) < 0)
		return err->code;
	return fl_spill_trim(&o->spill, err);
}

/* The rows that waited for followers, by time and arrival. */
int
fl_over_end(struct fl_over *o, struct fl_err *err)
{
	struct fl_dues left = { 0 };
	int rc = o->lead_max ? fl_spill_bring(&o->spill, 0, err) : 0;

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; o->lead_max && i < o->table.count; i++) {
		struct fl_entry *e = fl_table_at(&o->table, i);
		const struct fl_over_key *k = fl__over_key(e);

		for (uint32_t n = k->shown; n < k->count; n++) {
			const struct fl_item *item = *fl__over_at(k, n);

			fl_dues_push(&left, &(struct fl_due){ .time = item->time,
							      .seq = item->seq,
							      .entry = e });
		}
	}
	while (rc == 0 && fl_dues_count(&left))
		rc = fl__over_show(o, fl_dues_pop(&left).entry, err);
	fl_dues_release(&left);
	return rc < 0 ? rc : fl__over_flush(o, err);
}
