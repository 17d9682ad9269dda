/* SPDX-License-Identifier: Apache-2.0 */
#include "run/order.h"

#include <string.h>

#include "run/run.h"

#define AHEAD_MAX ((uint64_t)1 << 30) /* bytes, of an input read while another stays dry */

/* ---- whose turn is it? ------------------------------------------------------------ */

/* The watermark before the next record of input i, or a lower bound of it. */
static int64_t
watermark_before(const struct fl_run *run, uint32_t i)
{
	const struct fl_turn *t = &run->in[i].turn;

	return t->has ? t->wm[t->row] : run->align.in[i].wm;
}

/* Whether others have to think of input i at all. */
static bool
counts(const struct fl_run *run, uint32_t i)
{
	const struct fl_align_input *a = &run->align.in[i];

	return !a->ended && (run->in[i].turn.has || !a->idle);
}

/*
 * Up to which watermark input i may go on. false: it is not its turn.
 */
static bool
may_go(const struct fl_run *run, uint32_t i, int64_t *ret_limit)
{
	int64_t w = watermark_before(run, i), limit = INT64_MAX;

	for (uint32_t k = 0; k < run->input_count; k++) {
		int64_t b;

		if (k == i || !counts(run, k))
			continue;
		b = watermark_before(run, k);
		if (k < i ? w >= b : w > b)
			return false;
		b -= k < i; /* w < b: no overflow */
		limit = b < limit ? b : limit;
	}
	*ret_limit = limit;
	return true;
}

/* The records from row on before which no more than limit is in force. */
static uint32_t
count_until(const struct fl_turn *t, int64_t limit)
{
	uint32_t lo = t->row + 1, hi = t->batch.rows, step = 1;

	/* parts are often short: look near first */
	while (lo + step < hi && t->wm[lo + step - 1] <= limit) {
		lo += step;
		step *= 2;
	}
	hi = lo + step < hi ? lo + step : hi;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (t->wm[mid] <= limit)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo - t->row;
}

static int
give_part(struct fl_run *run, uint32_t i, int64_t limit, struct fl_err *err)
{
	struct fl_turn *t = &run->in[i].turn;
	uint32_t n = count_until(t, limit);
	struct fl_batch part = t->batch;
	int rc;

	if (n < t->batch.rows) {
		fl_buf_clear(&t->vec);
		fl_batch_slice(&t->batch, t->wm, t->row, n,
			       (void *)fl_buf_reserve(&t->vec, t->batch.cols * sizeof(struct fl_vec)),
			       &part);
	}
	run->current = i;
	rc = fl__run_batch(run, i, &part, err);
	t->row += n;
	t->has = t->row < t->batch.rows;
	return rc;
}

/* ---- taking what comes -------------------------------------------------------------- */

static void
take_batch(struct fl_turn *t, const struct fl_batch *b)
{
	t->batch = *b;
	t->row = 0;
	t->has = b->rows > 0;
	t->wm = fl_batch_wm(b, &t->scratch);
}

static int
take_events(struct fl_run *run, uint32_t i, bool *ret_any, struct fl_err *err)
{
	struct fl_turn *t = &run->in[i].turn;

	while (!t->has && !run->ended && !run->align.in[i].ended &&
	       !fl_align_waits(&run->align, i) && fl__run_may_read(run, i)) {
		struct fl_event ev = { .type = FL_EV_NONE };
		int rc;

		if (fl__run_event(run, i, &ev, err) < 0)
			return err->code;
		if (ev.type == FL_EV_NONE)
			return 0;
		*ret_any = true;
		if (ev.type == FL_EV_BATCH && run->opened) {
			take_batch(t, &ev.batch);
			continue;
		}
		rc = ev.type == FL_EV_WATERMARK ? fl__order_settle(run, err) : 0;
		if (rc == 0)
			rc = fl__run_handle(run, i, &ev, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- barriers --------------------------------------------------------------------------- */

/* The rows of the batch in hand that were not given yet, in front of what is set aside. */
static int
set_aside_rows(struct fl_run *run, uint32_t i, struct fl_err *err)
{
	struct fl_input *in = &run->in[i];
	struct fl_turn *t = &in->turn;
	struct fl_event ev = { .type = FL_EV_BATCH };
	struct fl_replay all;
	int rc;

	if (!t->has)
		return 0;
	fl_buf_clear(&t->vec);
	fl_batch_slice(&t->batch, t->wm, t->row, t->batch.rows - t->row,
		       (void *)fl_buf_reserve(&t->vec, t->batch.cols * sizeof(struct fl_vec)),
		       &ev.batch);
	fl_replay_init(&all);
	rc = fl_replay_push(&all, &in->header, &ev, err);
	while (rc == 0 && !fl_replay_empty(&in->replay)) {
		rc = fl_replay_pop(&in->replay, &ev, err);
		if (rc == 0)
			rc = fl_replay_push(&all, &in->header, &ev, err);
	}
	t->has = false;
	fl_replay_release(&in->replay);
	in->replay = all;
	return rc;
}

/*
 * A file that is read here stands behind what its reader has found and not yet given:
 * that is set aside, too.
 */
static int
set_aside_read(struct fl_run *run, uint32_t i, struct fl_err *err)
{
	struct fl_input *in = &run->in[i];

	while (fl_input_pending(in)) {
		struct fl_event ev = { .type = FL_EV_NONE };

		run->current = i;
		if (fl_input_next(in, &ev, err) < 0)
			return err->code;
		if (ev.type == FL_EV_NONE)
			continue;
		if (fl_replay_push(&in->replay, &in->header, &ev, err) < 0)
			return err->code;
		in->turn.told_end = ev.type == FL_EV_END;
	}
	return 0;
}

int
fl__order_set_aside(struct fl_run *run, struct fl_err *err)
{
	for (uint32_t i = 0; i < run->input_count; i++) {
		if (set_aside_rows(run, i, err) < 0)
			return err->code;
		if (run->align.in[i].source && set_aside_read(run, i, err) < 0)
			return err->code;
	}
	return 0;
}

/* Another input stands at a barrier, and it is its turn: read this one up to the same. */
static int
seek_barrier(struct fl_run *run, uint32_t i, bool *ret_any, struct fl_err *err)
{
	struct fl_input *in = &run->in[i];
	struct fl_event ev;

	if (set_aside_rows(run, i, err) < 0)
		return err->code;
	while (run->align.barrier_open && !fl_align_waits(&run->align, i)) {
		ev = (struct fl_event){ .type = FL_EV_NONE };
		if (in->turn.told_end) /* as good as a barrier */
			return fl__run_delivered(run, i, &run->align.barrier, err);
		run->current = i;
		if (fl_input_next(in, &ev, err) < 0)
			return err->code;
		if (ev.type == FL_EV_NONE)
			return 0;
		*ret_any = true;
		if (ev.type == FL_EV_BARRIER || ev.type == FL_EV_FAILED)
			return fl__run_handle(run, i, &ev, err);
		if (fl_replay_push(&in->replay, &in->header, &ev, err) < 0)
			return err->code;
		in->turn.told_end = ev.type == FL_EV_END;
	}
	return 0;
}

static int
seek_barriers(struct fl_run *run, bool *ret_any, struct fl_err *err)
{
	for (uint32_t i = 0; i < run->input_count && run->align.barrier_open; i++) {
		const struct fl_align_input *a = &run->align.in[i];

		if (a->waiting || a->ended || a->source)
			continue;
		if (seek_barrier(run, i, ret_any, err) < 0)
			return err->code;
	}
	return 0;
}

/* ---- the step ------------------------------------------------------------------------------ */

int
fl__step_in_order(struct fl_run *run, bool *ret_any, struct fl_err *err)
{
	int64_t limit;

	for (uint32_t i = 0; i < run->input_count && !run->ended; i++) {
		if (take_events(run, i, ret_any, err) < 0)
			return err->code;
		if (fl__order_ahead(run, i) && fl_input_read_ahead(&run->in[i], err) < 0)
			return err->code;
	}
	for (uint32_t i = 0; i < run->input_count && !run->ended; i++) {
		if (!run->in[i].turn.has || !may_go(run, i, &limit))
			continue;
		*ret_any = true;
		return give_part(run, i, limit, err);
	}
	return run->align.barrier_open && !run->ended ? seek_barriers(run, ret_any, err) : 0;
}

int
fl__order_settle(struct fl_run *run, struct fl_err *err)
{
	for (uint32_t i = 0; i < run->input_count; i++) {
		struct fl_watermark in = { .ms = watermark_before(run, i) }, all;

		if (run->in[i].turn.has && in.ms > run->align.in[i].wm &&
		    fl_align_watermark(&run->align, i, &in, &all) &&
		    fl__run_watermark(run, &all, err) < 0)
			return err->code;
	}
	return 0;
}

bool
fl__order_wants(const struct fl_run *run, uint32_t i)
{
	const struct fl_align_input *a = &run->align.in[i];

	if (a->ended)
		return false;
	if (!run->in[i].turn.has && !a->waiting)
		return true;
	return run->align.barrier_open && !a->waiting && !a->source;
}

bool
fl__order_ahead(const struct fl_run *run, uint32_t i)
{
	const struct fl_input *in = &run->in[i];

	if (!run->opened || run->align.in[i].ended || fl__order_wants(run, i))
		return false;
	if (in->shares)
		return true;
	return run->stuck && fl_queue_bytes(&in->queue) < AHEAD_MAX;
}

static bool
same_ancestor(const struct fl_header *a, const struct fl_header *b)
{
	for (uint32_t i = 0; i < a->lineage_count; i++)
		for (uint32_t k = 0; k < b->lineage_count; k++)
			if (strcmp(a->lineage[i].instance, b->lineage[k].instance) == 0)
				return true;
	return false;
}

void
fl__order_open(struct fl_run *run)
{
	for (uint32_t i = 0; i < run->input_count; i++)
		for (uint32_t k = 0; k < run->input_count; k++)
			if (i != k && same_ancestor(&run->in[i].header, &run->in[k].header))
				run->in[i].shares = true;
}

void
fl__order_release(struct fl_run *run)
{
	for (uint32_t i = 0; i < run->input_count; i++) {
		fl_buf_release(&run->in[i].turn.scratch);
		fl_buf_release(&run->in[i].turn.vec);
	}
}
