/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that come out: written down in a chunk, then computed together. */
#include <stdlib.h>

#include "rank/over.h"
#include "stream/row.h"
#include "time/timestamp.h"

#define CHUNK_ROWS 2048u

/* What the ident of an item's link says: the chunk and row where it was written down last. */
static uint64_t
place_id(uint32_t chunk, uint32_t row)
{
	return (uint64_t)chunk << 32 | row;
}

/* Write a row into the chunk; returns its number there. */
static uint32_t
write_row(struct fl_over *o, struct fl_item *item, enum fl_rowkind op)
{
	uint32_t row = o->rows.rows;

	fl_row_put(fl_item_row(item), item->row_len, o->rows.col, o->rows.cols);
	fl_build_row(&o->rows, item->time, o->wm_ms, op);
	fl_item_link(item)->ident = place_id(o->chunk, row);
	return row;
}

/* ---- frames ----------------------------------------------------- */

static int64_t
oldest_in_range(const struct fl_over *o, int64_t time)
{
	int64_t oldest;

	return __builtin_sub_overflow(time, o->spec.before, &oldest) ? FL_TIME_MIN : oldest;
}

/* The rows that are not in the frame of row shown any more leave. */
static void
rows_leave(struct fl_over *o, struct fl_over_key *k)
{
	int64_t oldest = oldest_in_range(o, (*fl__over_at(k, k->shown))->time);

	while (k->frame < k->shown) {
		struct fl_item *item = *fl__over_at(k, k->frame);
		bool stays = o->spec.frame == FL_OVER_RANGE
				     ? item->time >= oldest
				     : (int64_t)(k->shown - k->frame) <= o->spec.before;

		if (stays)
			return;
		(void)write_row(o, item, FL_DELETE);
		k->frame++;
	}
}

static void
rows_enter(struct fl_over *o, struct fl_over_key *k)
{
	int64_t time = (*fl__over_at(k, k->shown))->time;

	while (k->added < k->count) {
		struct fl_item *item = *fl__over_at(k, k->added);

		if (k->added > k->shown &&
		    (o->spec.frame == FL_OVER_ROWS || !o->timed || item->time > time))
			return;
		(void)write_row(o, item, FL_INSERT);
		k->added++;
	}
}

/* Rows that neither a frame nor lag will want again. */
static void
forget(struct fl_over *o, struct fl_over_key *k)
{
	uint32_t keep = o->lag_max < k->shown ? k->shown - o->lag_max : 0, drop;

	if (o->aggs && o->spec.before >= 0 && k->frame < keep)
		keep = k->frame;
	for (drop = 0; drop < keep; drop++)
		fl_item_free(&o->mem, *fl__over_at(k, drop));
	k->head = (k->head + drop) & (k->cap - 1);
	k->count -= drop;
	k->shown -= drop;
	k->added -= drop < k->added ? drop : k->added;
	k->frame -= drop < k->frame ? drop : k->frame;
}

/* ---- writing ---------------------------------------------------- */

static void
number_row(struct fl_over_key *k, int64_t time, struct fl_over_step *s)
{
	bool peer = k->number && time == k->shown_ms;

	k->number++;
	if (!peer) {
		k->rank = k->number;
		k->dense++;
	}
	k->shown_ms = time;
	s->number = k->number;
	s->rank = k->rank;
	s->dense = k->dense;
}

/* For lag and lead: the rows that they look at. */
static void
write_others(struct fl_over *o, const struct fl_over_key *k)
{
	for (uint32_t i = 0; i < o->def_count; i++) {
		struct fl_over_def *d = &o->def[i];
		int64_t at = d->what == FL_OVER_LAG ? (int64_t)k->shown - d->places
						    : (int64_t)k->shown + d->places;
		bool missing = at < 0 || at >= k->count;

		if (!d->expr)
			continue;
		fl_buf_putc(&d->missing, missing);
		if (missing) {
			fl_row_put(NULL, 0, d->rows.col, d->rows.cols);
		} else {
			struct fl_item *item = *fl__over_at(k, (uint32_t)at);

			fl_row_put(fl_item_row(item), item->row_len, d->rows.col, d->rows.cols);
		}
		fl_build_row(&d->rows, 0, 0, FL_INSERT);
	}
}

int
fl__over_show(struct fl_over *o, struct fl_entry *e, struct fl_err *err)
{
	struct fl_over_key *k = fl__over_key(e);
	struct fl_item *item = *fl__over_at(k, k->shown);
	struct fl_over_step s = { .entry = e, .first = o->rows.rows, .wm = o->wm_ms };
	uint64_t written;

	if (o->aggs) {
		if (o->spec.before >= 0)
			rows_leave(o, k);
		rows_enter(o, k);
	}
	s.n = o->rows.rows - s.first;
	written = fl_item_link(item)->ident;
	s.row = written >> 32 == o->chunk ? (uint32_t)written : write_row(o, item, FL_INSERT);
	number_row(k, item->time, &s);
	write_others(o, k);
	fl_buf_put(&o->steps, &s, sizeof s);
	k->shown++;
	if (k->added < k->shown)
		k->added = k->shown;
	if (!o->aggs || o->spec.before < 0)
		k->frame = k->shown;
	forget(o, k);
	return o->rows.rows >= CHUNK_ROWS ? fl__over_flush(o, err) : 0;
}

/* ---- computing -------------------------------------------------- */

static int
compute_aggregates(struct fl_over *o, const struct fl_over_step *step, uint32_t n,
		   struct fl_err *err)
{
	struct fl_batch *b = fl_build_view(&o->rows);

	fl_badrows_reset(&o->bad); /* what is bad was found when it came in */
	if (fl_aggs_prepare(o->aggs, b, &o->bad, err) < 0)
		return err->code;
	for (uint32_t i = 0; i < n; i++) {
		void *acc = fl__over_acc(step[i].entry), **accs;

		fl_buf_clear(&o->accs);
		accs = (void **)(void *)fl_buf_reserve(&o->accs, (step[i].n + 1) * sizeof *accs);
		for (uint32_t k = 0; k < step[i].n; k++)
			accs[k] = acc;
		if (fl_aggs_add(o->aggs, accs, NULL, step[i].first, step[i].n, o->agg_seq, err) <
			    0 ||
		    fl_aggs_results(o->aggs, &acc, 1, o->results.col, err) < 0)
			return err->code;
	}
	o->agg_seq += b->rows;
	return 0;
}

static void
put_numbers(struct fl_over *o, const struct fl_over_step *step, uint32_t n)
{
	for (uint32_t i = 0; i < o->def_count; i++) {
		const struct fl_over_def *d = &o->def[i];
		struct fl_colbuf *to = &o->results.col[d->column];

		for (uint32_t k = 0; d->what >= FL_OVER_ROW_NUMBER && k < n; k++)
			fl_put_int(to, (int64_t)(d->what == FL_OVER_ROW_NUMBER ? step[k].number
						 : d->what == FL_OVER_RANK     ? step[k].rank
									       : step[k].dense));
	}
}

static int
compute(struct fl_over *o, const struct fl_over_step *step, uint32_t n, struct fl_err *err)
{
	struct fl_batch shown;
	uint32_t *chosen;
	int64_t *wms;

	fl_buf_clear(&o->chosen);
	fl_buf_clear(&o->wms);
	chosen = (uint32_t *)(void *)fl_buf_reserve(&o->chosen, n * sizeof *chosen);
	wms = (int64_t *)(void *)fl_buf_reserve(&o->wms, n * sizeof *wms);
	for (uint32_t i = 0; i < n; i++) {
		chosen[i] = step[i].row;
		wms[i] = step[i].wm;
	}
	if (o->aggs && compute_aggregates(o, step, n, err) < 0)
		return err->code;
	fl_batch_select(fl_build_view(&o->rows), chosen, n, &o->pool, &shown);
	shown.wm_mode = FL_WM_COLUMN;
	shown.wm = wms;
	shown.wm_first = wms[0];
	shown.op = NULL;
	shown.time = o->timed ? shown.time : NULL;
	if (fl__over_places(o, &shown, err) < 0)
		return err->code;
	put_numbers(o, step, n);
	for (uint32_t i = 0; i < n; i++)
		fl_build_row(&o->results, 0, 0, FL_INSERT);
	(void)fl_build_view(&o->results);
	for (uint32_t i = 0; i < o->def_count; i++)
		o->extra[i] = o->results.vec[o->def[i].column];
	return fl_rowout_batch(&o->out, &shown, o->extra, err);
}

int
fl__over_flush(struct fl_over *o, struct fl_err *err)
{
	const struct fl_over_step *step = (const struct fl_over_step *)(const void *)o->steps.data;
	uint32_t n = (uint32_t)(o->steps.len / sizeof *step);
	int rc = n ? compute(o, step, n, err) : 0;

	fl_build_clear(&o->rows);
	fl_build_clear(&o->results);
	fl_buf_clear(&o->steps);
	o->chunk++;
	return rc;
}
