/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of integers in one piece of memory: a head, and behind it a table with
 * open addressing, three quarters full at most. 0 stands for a free slot; whether
 * 0 itself is in the set, the head says.
 */
#include "expr/agg-int.h"

#define FIRST_SLOTS 4u

struct fl__ints {
	uint32_t n;    /* integers, 0 too */
	uint32_t mask; /* slots - 1 */
	bool zero;
	int64_t slot[];
};

static size_t
size_of(uint32_t slots)
{
	return sizeof(struct fl__ints) + slots * sizeof(int64_t);
}

/* Multiplying carries upward: the high half is the one that is mixed. */
static inline uint32_t
home(int64_t v, uint64_t seed)
{
	uint64_t x = ((uint64_t)v ^ seed) * UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)(x >> 32) ^ (uint32_t)(x >> 59);
}

static struct fl__ints *
make(struct fl__mem *m, uint32_t slots)
{
	struct fl__ints *s = fl__mem_alloc(m, size_of(slots));

	memset(s, 0, size_of(slots));
	s->mask = slots - 1;
	return s;
}

static struct fl__ints *
grow(struct fl__mem *m, struct fl__ints *old, uint64_t seed)
{
	uint32_t slots = 2 * (old->mask + 1);
	struct fl__ints *s = make(m, slots);

	s->n = old->n;
	s->zero = old->zero;
	for (uint32_t i = 0; i <= old->mask; i++) {
		uint32_t at = home(old->slot[i], seed) & s->mask;

		if (!old->slot[i])
			continue;
		while (s->slot[at])
			at = (at + 1) & s->mask;
		s->slot[at] = old->slot[i];
	}
	fl__mem_free(m, old, size_of(old->mask + 1));
	return s;
}

void
fl__ints_put(struct fl__mem *m, struct fl__ints **ref, int64_t v, uint64_t seed)
{
	struct fl__ints *s = *ref;
	uint32_t at;

	if (!s)
		s = *ref = make(m, FIRST_SLOTS);
	if (v == 0) {
		s->n += !s->zero;
		s->zero = true;
		return;
	}
	for (at = home(v, seed) & s->mask; s->slot[at]; at = (at + 1) & s->mask)
		if (s->slot[at] == v)
			return;
	s->slot[at] = v;
	if (++s->n > (s->mask + 1) / 4 * 3)
		*ref = grow(m, s, seed);
}

void
fl__ints_prefetch(const struct fl__ints *s, int64_t v, uint64_t seed)
{
	if (s)
		__builtin_prefetch(&s->slot[home(v, seed) & s->mask]);
}

uint32_t
fl__ints_count(const struct fl__ints *s)
{
	return s ? s->n : 0;
}

bool
fl__ints_next(const struct fl__ints *s, uint64_t *at, int64_t *ret)
{
	if (!s)
		return false;
	if (*at == 0 && s->zero) {
		*at = 1;
		*ret = 0;
		return true;
	}
	for (*at += *at == 0; *at <= (uint64_t)s->mask + 1; ++*at) {
		if (s->slot[*at - 1]) {
			*ret = s->slot[*at - 1];
			++*at;
			return true;
		}
	}
	return false;
}

void
fl__ints_free(struct fl__mem *m, struct fl__ints *s)
{
	if (s)
		fl__mem_free(m, s, size_of(s->mask + 1));
}
