/* SPDX-License-Identifier: Apache-2.0 */
#include "window/timers.h"

#include "base/err.h"

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

void
fl_timers_release(struct fl_timers *t)
{
	for (size_t i = 0; i < FL_ARRAY_LEN(t->bucket); i++)
		fl_buf_release(&t->bucket[i]);
}

static void
insert(struct fl_timers *t, const struct fl_timer *timer)
{
	uint64_t at = ordered(timer->at);
	unsigned b = at <= t->now ? 0 : 64 - (unsigned)__builtin_clzll(at ^ t->now);

	fl_buf_put(&t->bucket[b], timer, sizeof *timer);
	if (b < 4) /* it comes up soon */
		__builtin_prefetch(timer->what);
	t->used |= b < 64 ? UINT64_C(1) << b : 0;
}

void
fl_timers_push(struct fl_timers *t, int64_t at, void *what)
{
	insert(t, &(struct fl_timer){ at, what });
	if (ordered(at) < t->earliest)
		t->earliest = ordered(at);
}

/* The lowest bucket with something in it; 65: all are empty. */
static unsigned
lowest(const struct fl_timers *t)
{
	if (t->used)
		return (unsigned)__builtin_ctzll(t->used);
	return t->bucket[64].len ? 64 : 65;
}

static uint64_t
minimum(const struct fl_buf *b)
{
	uint64_t min = UINT64_MAX;

	for (size_t i = 0; i < item_count(b); i++)
		min = ordered(items(b)[i].at) < min ? ordered(items(b)[i].at) : min;
	return min;
}

int64_t
fl_timers_earliest(const struct fl_timers *t)
{
	unsigned b = lowest(t);

	if (b == 65)
		return INT64_MAX;
	return (int64_t)((b == 0 ? t->now : minimum(&t->bucket[b])) ^ (UINT64_C(1) << 63));
}

bool
fl_timers_next(struct fl_timers *t, int64_t until, int64_t *ret_at)
{
	unsigned b = lowest(t);
	struct fl_buf moved;
	uint64_t min;

	min = b == 65 ? UINT64_MAX : b == 0 ? t->now : minimum(&t->bucket[b]);
	t->earliest = min;
	if (b == 65 || min > ordered(until))
		return false;
	*ret_at = (int64_t)(min ^ (UINT64_C(1) << 63));
	if (b == 0)
		return true;
	/* with the new moment all of this bucket goes into lower ones */
	t->now = min;
	moved = t->bucket[b];
	t->bucket[b] = (struct fl_buf){ 0 };
	t->used &= b < 64 ? ~(UINT64_C(1) << b) : ~UINT64_C(0);
	for (size_t i = 0; i < item_count(&moved); i++)
		insert(t, &items(&moved)[i]);
	fl_assert(t->bucket[b].len == 0);
	fl_buf_release(&t->bucket[b]);
	fl_buf_clear(&moved);
	t->bucket[b] = moved; /* its storage is used again */
	return true;
}

void *
fl_timers_take(struct fl_timers *t)
{
	struct fl_buf *b = &t->bucket[0];

	if (b->len == 0)
		return NULL;
	b->len -= sizeof(struct fl_timer);
	if (b->len == 0)
		t->used &= ~UINT64_C(1);
	return items(b)[item_count(b)].what;
}
