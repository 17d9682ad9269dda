/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events of an input that were read before their turn, because a barrier lies behind
 * them (run/order.c). They are part of the snapshot, and come first on restore: what
 * Flink calls the in-flight data of an unaligned checkpoint. Kept as frames, in a
 * queue that spills. Private to lib/run.
 */
#ifndef FL_RUN_REPLAY_H
#define FL_RUN_REPLAY_H

#include "checkpoint/snapshot.h"
#include "run/queue.h"
#include "stream/frame.h"

struct fl_event;

struct fl_replay {
	struct fl_queue queue;
	struct fl_frame_writer writer;
	struct fl_buf frame; /* the one that was given last */
	struct fl_buf cols;
	uint64_t seq; /* of the frame that is given next */
};

void fl_replay_init(struct fl_replay *r);
void fl_replay_release(struct fl_replay *r);

static inline bool
fl_replay_empty(const struct fl_replay *r)
{
	return fl_queue_empty(&r->queue);
}

/* Append an event: HEADER (of in->header), BATCH, WATERMARK or END. */
int fl_replay_push(struct fl_replay *r, const struct fl_header *h, const struct fl_event *ev,
		   struct fl_err *err);

/* Take the first; r is not empty. It borrows from r until the next call. */
int fl_replay_pop(struct fl_replay *r, struct fl_event *ev, struct fl_err *err);

/* All of it into a section named name; it stays. And back, into an empty one. */
int fl_replay_save(struct fl_replay *r, const char *name, struct fl_save *s, struct fl_err *err);
int fl_replay_load(struct fl_replay *r, struct fl_load *l, struct fl_err *err);

#endif
