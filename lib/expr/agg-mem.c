/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of accumulators. There are millions of them, most with little in them,
 * so pieces of up to 1 KiB are cut from large blocks, in classes of 16, 32, 48,
 * 64, 96, 128, 192 .. bytes; what is freed waits in its class for the next.
 */
#include <stdlib.h>

#include "expr/agg-int.h"

#define SMALL 1024u

/* The class of a size, and the size of that class. */
static unsigned
class_of(size_t size, size_t *ret_size)
{
	unsigned class = 0;

	if (size <= 16) {
		*ret_size = 16;
		return 0;
	}
	/* two classes an octave: 2^n and 1.5 * 2^n */
	for (size_t have = 16;; class += 2, have *= 2) {
		if (size <= have) {
			*ret_size = have;
			return class;
		}
		if (have >= 32 && size <= have + have / 2) {
			*ret_size = have + have / 2;
			return class + 1;
		}
	}
}

size_t
fl__mem_round(size_t size)
{
	size_t ret = size;

	if (size <= SMALL)
		(void)class_of(size, &ret);
	return ret;
}

void *
fl__mem_alloc(struct fl__mem *m, size_t size)
{
	unsigned class;
	void *p;

	if (size > SMALL) {
		m->bytes += size;
		return fl_xmalloc(size);
	}
	class = class_of(size, &size);
	m->bytes += size;
	p = m->spare[class];
	if (!p)
		return fl_arena_alloc(&m->arena, size);
	memcpy(&m->spare[class], p, sizeof p);
	return p;
}

void
fl__mem_free(struct fl__mem *m, void *p, size_t size)
{
	unsigned class;

	if (!p)
		return;
	if (size > SMALL) {
		m->bytes -= size;
		free(p);
		return;
	}
	class = class_of(size, &size);
	m->bytes -= size;
	memcpy(p, &m->spare[class], sizeof p);
	m->spare[class] = p;
}

void *
fl__mem_grow(struct fl__mem *m, void *p, size_t old_size, size_t size)
{
	void *q;

	if (p && old_size > SMALL && size > SMALL) {
		m->bytes += size - old_size;
		return fl_xrealloc(p, size);
	}
	q = fl__mem_alloc(m, size);
	if (p)
		memcpy(q, p, old_size < size ? old_size : size);
	fl__mem_free(m, p, old_size);
	return q;
}

void
fl__mem_release(struct fl__mem *m)
{
	fl_arena_release(&m->arena);
	*m = (struct fl__mem){ 0 };
}
