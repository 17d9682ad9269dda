/* SPDX-License-Identifier: Apache-2.0 */
#include "window/timers.h"

#include <stdlib.h>

#include "base/heap.h"

/* int64_t in the order of uint64_t. */
static uint64_t
ordered(int64_t at)
{
	return (uint64_t)at ^ (UINT64_C(1) << 63);
}

static struct fl_timer *
items(const struct fl_buf *b)
{
	return (struct fl_timer *)(void *)b->data;
}

static size_t
item_count(const struct fl_buf *b)
{
	return b->len / sizeof(struct fl_timer);
}

void
fl_timers_init(struct fl_timers *t)
{
	*t = (struct fl_timers){ .earliest = UINT64_MAX };
}

int64_t
fl_timers_now(const struct fl_timers *t)
{
	return (int64_t)(t->now ^ (UINT64_C(1) << 63));
}

void
fl_timers_start(struct fl_timers *t, int64_t now)
{
	t->now = ordered(now);
}

void
fl_timers_release(struct fl_timers *t)
{
	fl_buf_release(&t->due);
	fl_buf_release(&t->past);
	for (unsigned l = 0; l < FL_TIMER_LEVELS; l++) {
		for (unsigned d = 0; t->bucket[l] && d < FL_TIMER_DIGITS; d++)
			fl_buf_release(&t->bucket[l][d]);
		free(t->bucket[l]);
	}
}

static bool
before(const void *a, const void *b, const void *ctx)
{
	(void)ctx;
	return ((const struct fl_timer *)a)->at < ((const struct fl_timer *)b)->at;
}

/* A timer that is after now. */
static void
insert(struct fl_timers *t, const struct fl_timer *timer)
{
	uint64_t at = ordered(timer->at);
	unsigned level, digit;

	level = (63 - (unsigned)__builtin_clzll(at ^ t->now)) / 8;
	digit = at >> (8 * level) & 255;
	if (!t->bucket[level])
		t->bucket[level] = fl_xcalloc(FL_TIMER_DIGITS, sizeof(struct fl_buf));
	fl_buf_put(&t->bucket[level][digit], timer, sizeof *timer);
	t->used[level][digit / 64] |= UINT64_C(1) << digit % 64;
}

void
fl_timers_push(struct fl_timers *t, int64_t at, void *what)
{
	struct fl_timer timer = { at, what };

	if (ordered(at) > t->now)
		insert(t, &timer);
	else
		fl_heap_push(&t->past, &timer, sizeof timer, before, NULL);
	if (ordered(at) < t->earliest)
		t->earliest = ordered(at);
}

/* The first bucket that is not empty: all in it come before all in later ones. */
static bool
lowest(const struct fl_timers *t, unsigned *ret_level, unsigned *ret_digit)
{
	for (unsigned l = 0; l < FL_TIMER_LEVELS; l++) {
		for (unsigned w = 0; w < FL_TIMER_DIGITS / 64; w++) {
			if (!t->used[l][w])
				continue;
			*ret_level = l;
			*ret_digit = w * 64 + (unsigned)__builtin_ctzll(t->used[l][w]);
			return true;
		}
	}
	return false;
}

static uint64_t
minimum(const struct fl_timers *t)
{
	const struct fl_buf *b;
	uint64_t min = UINT64_MAX;
	unsigned level, digit;

	if (t->due.len)
		return t->moment;
	if (t->past.len)
		return ordered(items(&t->past)->at);
	if (!lowest(t, &level, &digit))
		return min;
	if (level == 0)
		return (t->now & ~UINT64_C(255)) | digit;
	b = &t->bucket[level][digit];
	for (size_t i = 0; i < item_count(b); i++)
		min = ordered(items(b)[i].at) < min ? ordered(items(b)[i].at) : min;
	return min;
}

int64_t
fl_timers_earliest(const struct fl_timers *t)
{
	return (int64_t)(minimum(t) ^ (UINT64_C(1) << 63));
}

/* The first moment of the past. */
static void
take_past(struct fl_timers *t)
{
	struct fl_timer timer;

	while (t->past.len && ordered(items(&t->past)->at) == t->moment) {
		fl_heap_pop(&t->past, &timer, sizeof timer, before, NULL);
		fl_buf_put(&t->due, &timer, sizeof timer);
	}
}

bool
fl_timers_next(struct fl_timers *t, int64_t until, int64_t *ret_at)
{
	unsigned level = 0, digit = 0;
	struct fl_buf *b;

	t->earliest = minimum(t);
	if (t->due.len == 0 && t->past.len == 0 && !lowest(t, &level, &digit))
		return false;
	if (t->earliest > ordered(until))
		return false;
	*ret_at = (int64_t)(t->earliest ^ (UINT64_C(1) << 63));
	if (t->due.len)
		return true;
	t->moment = t->earliest;
	if (t->past.len) {
		take_past(t);
		return true;
	}
	/* with the new moment all of this bucket goes into lower ones, or is due */
	t->now = t->moment;
	b = &t->bucket[level][digit];
	t->used[level][digit / 64] &= ~(UINT64_C(1) << digit % 64);
	for (size_t i = 0; i < item_count(b); i++) {
		__builtin_prefetch(items(b)[i].what); /* it comes up soon */
		if (ordered(items(b)[i].at) == t->now)
			fl_buf_put(&t->due, &items(b)[i], sizeof *items(b));
		else
			insert(t, &items(b)[i]);
	}
	if (level > 1) /* its turn comes again in hours, or never */
		fl_buf_release(b);
	fl_buf_clear(b);
	return true;
}

void *
fl_timers_take(struct fl_timers *t)
{
	if (t->due.len == 0)
		return NULL;
	t->due.len -= sizeof(struct fl_timer);
	return items(&t->due)[item_count(&t->due)].what;
}
