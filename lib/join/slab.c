/* SPDX-License-Identifier: Apache-2.0 */
#include "join/slab.h"

#define STEP 32u /* sizes up to LINEAR_MAX are rounded up to a multiple, above to a power of 2 */
#define LINEAR_MAX 4096u
#define LINEAR (LINEAR_MAX / STEP)

_Static_assert(LINEAR + 32 <= FL_SLAB_CLASSES, "every size that a row can have has a class");

void
fl_slab_init(struct fl_slab *s, struct fl_budget *budget)
{
	*s = (struct fl_slab){ .budget = budget };
}

void
fl_slab_release(struct fl_slab *s)
{
	if (s->budget)
		s->budget->used -= s->charged;
	fl_arena_release(&s->arena);
	*s = (struct fl_slab){ 0 };
}

/* The class of a size, and how large its pieces are. */
static uint32_t
class_of(size_t size, size_t *ret_bytes)
{
	uint32_t k = LINEAR;
	size_t bytes = LINEAR_MAX;

	if (size <= LINEAR_MAX) {
		k = (uint32_t)((size + STEP - 1) / STEP);
		*ret_bytes = (size_t)k * STEP;
		return k ? k - 1 : 0;
	}
	for (; bytes < size; bytes *= 2)
		k++;
	*ret_bytes = bytes;
	return k - 1;
}

void *
fl_slab_take(struct fl_slab *s, size_t size)
{
	size_t bytes;
	uint32_t k = class_of(size, &bytes);
	void *p = s->spare[k];

	s->in_use += bytes;
	if (p) {
		memcpy(&s->spare[k], p, sizeof(void *));
		return p;
	}
	p = fl_arena_alloc(&s->arena, bytes);
	s->budget->used += s->arena.bytes - s->charged;
	s->charged = s->arena.bytes;
	return p;
}

void
fl_slab_give(struct fl_slab *s, void *p, size_t size)
{
	size_t bytes;
	uint32_t k = class_of(size, &bytes);

	s->in_use -= bytes;
	memcpy(p, &s->spare[k], sizeof(void *));
	s->spare[k] = p;
}
