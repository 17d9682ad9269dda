/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue of event timers: a radix heap.
 *
 * Time only moves forward: what is taken out is never before what was taken out
 * last. So a timer lies in a bucket chosen by the highest byte in which it differs
 * from the present moment, and by that byte's value. It moves to a lower one when
 * its bucket's turn comes: twice or three times in all. Pushing is an append, and
 * there is no tree to walk through memory.
 *
 * A timer of a moment that has passed already is due next, in its turn by its own moment:
 * what is due in which order depends on the timers alone, and not on when they were set.
 * There are few of these; they wait in a binary heap.
 */
#ifndef FL_WINDOW_TIMERS_H
#define FL_WINDOW_TIMERS_H

#include <stdbool.h>

#include "base/mem.h"

struct fl_timer {
	int64_t at;
	void *what;
};

#define FL_TIMER_LEVELS 8u /* bytes of a time */
#define FL_TIMER_DIGITS 256u

struct fl_timers {
	uint64_t now;       /* the latest moment there was, unsigned in the same order */
	uint64_t moment;    /* that of due: now, or one before it; likewise */
	uint64_t earliest;  /* not after any timer, in the same order; often exact */
	struct fl_buf due;  /* struct fl_timer: those of the moment */
	struct fl_buf past; /* struct fl_timer, a heap: of moments up to now */
	struct fl_buf *bucket[FL_TIMER_LEVELS];               /* FL_TIMER_DIGITS each, or NULL */
	uint64_t used[FL_TIMER_LEVELS][FL_TIMER_DIGITS / 64]; /* bits: not empty */
};

void fl_timers_init(struct fl_timers *t);
void fl_timers_release(struct fl_timers *t);

/* The latest moment; and an empty queue at that moment, as it was when it was saved. */
int64_t fl_timers_now(const struct fl_timers *t);
void fl_timers_start(struct fl_timers *t, int64_t now);

void fl_timers_push(struct fl_timers *t, int64_t at, void *what);

/*
 * The earliest moment at which a timer is due, which becomes the present one; not if it
 * is after until. false: there is none. All of the moment before must have been taken.
 */
bool fl_timers_next(struct fl_timers *t, int64_t until, int64_t *ret_at);

/* Take one timer of the present moment out; NULL: there is none (left). */
void *fl_timers_take(struct fl_timers *t);

/* Whether one may be due at until; cheap, for asking at every record. */
static inline bool
fl_timers_may_be_due(const struct fl_timers *t, int64_t until)
{
	return t->earliest <= ((uint64_t)until ^ (UINT64_C(1) << 63));
}

/* The earliest time without moving to it (INT64_MAX: none). Looks at one bucket. */
int64_t fl_timers_earliest(const struct fl_timers *t);

#endif
