/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watermarks and barriers over several inputs. Pure: no I/O, no clock. Private
 * to lib/run.
 *
 * Watermarks (Flink's StatusWatermarkValve)
 *	The combined watermark is the minimum over the inputs that are aligned. It
 *	never goes back. An idle input is not waited for; when it wakes with a
 *	watermark behind the combined one, it is not aligned until it has caught up,
 *	so that it neither holds the others back nor turns time back. When the last
 *	active input goes idle, the watermark first jumps to the greatest of all,
 *	then the output is idle. An input that has ended has watermark FL_TIME_MAX.
 *
 * Barriers (exactly once)
 *	When the first input has delivered barrier n, alignment begins; each input
 *	that has delivered it waits. When all that have not ended have, the barrier
 *	is complete. A barrier older than the one in hand is ignored; a newer one
 *	abandons the one in hand and begins anew. An end counts as the barrier.
 */
#ifndef FL_RUN_ALIGN_H
#define FL_RUN_ALIGN_H

#include "stream/frame.h"

struct fl_align_input {
	int64_t wm;
	bool idle;
	bool aligned; /* counts for the minimum, unless idle */
	bool ended;
	bool waiting; /* has delivered the barrier in hand */
	bool source;  /* reads a file by itself: has no barriers, never waits */
};

struct fl_align {
	uint32_t count;
	struct fl_align_input *in;
	int64_t wm; /* combined, as last told */
	bool idle;
	bool barrier_open; /* an alignment is going on */
	struct fl_barrier barrier;
	uint64_t barrier_done; /* the highest id that was completed or abandoned */
	bool at_least_once;    /* nobody waits: what comes behind a barrier may be taken before
	                          the snapshot, and comes again after a restore */
};

void fl_align_init(struct fl_align *a, uint32_t count);
void fl_align_release(struct fl_align *a);

/*
 * Input i has told a watermark, or has ended. true: the combined watermark or
 * idleness has changed, and *ret is what to tell (a jump before idleness is in
 * it: idle with a greater ms).
 */
bool fl_align_watermark(struct fl_align *a, uint32_t i, const struct fl_watermark *wm,
			struct fl_watermark *ret);
bool fl_align_end(struct fl_align *a, uint32_t i, struct fl_watermark *ret);

/* Input i has delivered a barrier. true: all have, *ret is to be handled now, and
 * no input waits any more. */
bool fl_align_barrier(struct fl_align *a, uint32_t i, const struct fl_barrier *b,
		      struct fl_barrier *ret);

/* After an end: whether the barrier in hand is complete by it. */
bool fl_align_barrier_complete(struct fl_align *a, struct fl_barrier *ret);

/* Barrier id, and those before it, are not waited for, whichever inputs still deliver them.
 * Only while no alignment is going on. */
void fl_align_give_up(struct fl_align *a, uint64_t id);

/* Whether input i has to wait for the barrier of another. */
static inline bool
fl_align_waits(const struct fl_align *a, uint32_t i)
{
	return a->in[i].waiting && !a->at_least_once;
}

bool fl_align_all_ended(const struct fl_align *a);

#endif
