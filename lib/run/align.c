/* SPDX-License-Identifier: Apache-2.0 */
#include "run/align.h"

#include <stdlib.h>

void
fl_align_init(struct fl_align *a, uint32_t count)
{
	*a = (struct fl_align){ .count = count, .wm = INT64_MIN };
	a->in = fl_xcalloc(count, sizeof *a->in);
	for (uint32_t i = 0; i < count; i++)
		a->in[i] = (struct fl_align_input){ .wm = INT64_MIN, .aligned = true };
}

void
fl_align_release(struct fl_align *a)
{
	free(a->in);
	a->in = NULL;
}

bool
fl_align_all_ended(const struct fl_align *a)
{
	for (uint32_t i = 0; i < a->count; i++)
		if (!a->in[i].ended)
			return false;
	return true;
}

static bool
all_idle(const struct fl_align *a)
{
	for (uint32_t i = 0; i < a->count; i++)
		if (!a->in[i].idle)
			return false;
	return true;
}

/* The minimum over aligned, active inputs; INT64_MIN if there is none. */
static int64_t
minimum(const struct fl_align *a)
{
	int64_t min = INT64_MAX;
	bool any = false;

	for (uint32_t i = 0; i < a->count; i++) {
		const struct fl_align_input *in = &a->in[i];

		if (in->idle || !in->aligned)
			continue;
		any = true;
		min = in->wm < min ? in->wm : min;
	}
	return any ? min : INT64_MIN;
}

static int64_t
maximum(const struct fl_align *a)
{
	int64_t max = INT64_MIN;

	for (uint32_t i = 0; i < a->count; i++)
		max = a->in[i].wm > max ? a->in[i].wm : max;
	return max;
}

static bool
tell(struct fl_align *a, int64_t wm, bool idle, struct fl_watermark *ret)
{
	bool changed = wm > a->wm || idle != a->idle;

	if (wm > a->wm)
		a->wm = wm;
	a->idle = idle;
	*ret = (struct fl_watermark){ .ms = a->wm, .idle = a->idle };
	return changed;
}

bool
fl_align_watermark(struct fl_align *a, uint32_t i, const struct fl_watermark *wm,
		   struct fl_watermark *ret)
{
	struct fl_align_input *in = &a->in[i];
	bool was_minimum = in->aligned && !in->idle && in->wm == a->wm;

	if (wm->ms > in->wm)
		in->wm = wm->ms;
	if (wm->idle) {
		in->idle = true;
		if (all_idle(a))
			return tell(a, was_minimum ? maximum(a) : a->wm, true, ret);
		return tell(a, minimum(a), false, ret);
	}
	/* an input that wakes, or was behind, counts again once it has caught up */
	if (in->idle || !in->aligned)
		in->aligned = in->wm >= a->wm;
	in->idle = false;
	return tell(a, minimum(a), false, ret);
}

bool
fl_align_end(struct fl_align *a, uint32_t i, struct fl_watermark *ret)
{
	struct fl_align_input *in = &a->in[i];

	in->ended = true;
	in->waiting = false;
	in->wm = INT64_MAX;
	in->idle = false;
	in->aligned = true;
	return tell(a, minimum(a), false, ret);
}

bool
fl_align_barrier_complete(struct fl_align *a, struct fl_barrier *ret)
{
	if (!a->barrier_open)
		return false;
	for (uint32_t i = 0; i < a->count; i++)
		if (!a->in[i].waiting && !a->in[i].ended && !a->in[i].source)
			return false;
	for (uint32_t i = 0; i < a->count; i++)
		a->in[i].waiting = false;
	a->barrier_open = false;
	a->barrier_done = a->barrier.id;
	*ret = a->barrier;
	return true;
}

void
fl_align_give_up(struct fl_align *a, uint64_t id)
{
	if (id > a->barrier_done)
		a->barrier_done = id;
}

bool
fl_align_barrier(struct fl_align *a, uint32_t i, const struct fl_barrier *b, struct fl_barrier *ret)
{
	if (b->id <= a->barrier_done || (a->barrier_open && b->id < a->barrier.id))
		return false;
	if (a->barrier_open && b->id > a->barrier.id) {
		/* the older one will never be complete: who waits for it goes on */
		for (uint32_t k = 0; k < a->count; k++)
			a->in[k].waiting = false;
		a->barrier_done = a->barrier.id;
		a->barrier_open = false;
	}
	if (!a->barrier_open)
		a->barrier = *b;
	a->barrier_open = true;
	a->barrier.flags |= b->flags;
	a->in[i].waiting = true;
	return fl_align_barrier_complete(a, ret);
}
