/* SPDX-License-Identifier: Apache-2.0 */
#include "state/areas.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

#define ALIGNMENT 64u
#define BLOCK_MAX FL_KIB(128) /* larger ones would leave much of an area unused */
#define EMPTY_MAX 2u          /* areas kept without blocks */

#if defined(__SANITIZE_ADDRESS__)
#define IS_CHECKED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_CHECKED 1
#endif
#endif
#ifndef IS_CHECKED
#define IS_CHECKED 0
#endif

struct block {
	struct block *next;
};

/* At the begin of its FL_PAGES_UNIT bytes, to which it is aligned. */
struct fl_area {
	struct fl_area *next, *prev; /* among those with room; next: among the empty ones */
	struct block *given;         /* back */
	uint32_t made;               /* blocks that were taken once */
	uint32_t used;
	uint32_t count;
	uint32_t size; /* number of its blocks' size */
	_Alignas(ALIGNMENT) char data[];
};

static struct fl_area *
area_of(void *block)
{
	return (struct fl_area *)(void *)((char *)block - ((uintptr_t)block & (FL_PAGES_UNIT - 1)));
}

static void
push_open(struct fl_areas *a, struct fl_area *area)
{
	struct fl_area **head = &a->size[area->size].open;

	area->prev = NULL;
	area->next = *head;
	if (*head)
		(*head)->prev = area;
	*head = area;
}

static void
remove_open(struct fl_areas *a, struct fl_area *area)
{
	if (area->prev)
		area->prev->next = area->next;
	else
		a->size[area->size].open = area->next;
	if (area->next)
		area->next->prev = area->prev;
}

/* ---- memory that is prepared ---- */

struct fl_areas_ahead {
	char *areas;
	size_t count, taken; /* areas; those in use */
	char *also;
	size_t also_bytes;
	atomic_bool stopped;
	pthread_t thread;
};

static void *
prepare(void *arg)
{
	struct fl_areas_ahead *h = arg;

	for (size_t at = 0; at < h->also_bytes && !atomic_load(&h->stopped); at += FL_PAGES_UNIT)
		fl_pages_prepare(h->also + at, FL_PAGES_UNIT);
	for (size_t i = 0; i < h->count && !atomic_load(&h->stopped); i++)
		fl_pages_prepare(h->areas + i * FL_PAGES_UNIT, FL_PAGES_UNIT);
	return NULL;
}

void
fl_areas_expect(struct fl_areas *a, size_t bytes, void *also, size_t also_bytes)
{
	struct fl_areas_ahead *h;

	if (IS_CHECKED || a->ahead || bytes < FL_PAGES_UNIT)
		return;
	h = fl_xcalloc(1, sizeof *h);
	h->count = bytes / FL_PAGES_UNIT;
	h->areas = fl_pages_new(h->count * FL_PAGES_UNIT);
	h->also = also;
	h->also_bytes = also_bytes;
	a->ahead = h;
	if (pthread_create(&h->thread, NULL, prepare, h) == 0)
		return;
	fl_pages_free(h->areas, h->count * FL_PAGES_UNIT);
	free(h);
	a->ahead = NULL;
}

void
fl_areas_settle(struct fl_areas *a)
{
	struct fl_areas_ahead *h = a->ahead;

	if (!h)
		return;
	atomic_store(&h->stopped, true);
	(void)pthread_join(h->thread, NULL);
	if (h->taken < h->count)
		fl_pages_free(h->areas + h->taken * FL_PAGES_UNIT,
			      (h->count - h->taken) * FL_PAGES_UNIT);
	free(h);
	a->ahead = NULL;
}

static struct fl_area *
take_prepared(struct fl_areas_ahead *h)
{
	if (!h || h->taken == h->count)
		return NULL;
	return (struct fl_area *)(void *)(h->areas + h->taken++ * FL_PAGES_UNIT);
}

/* ---- areas ---- */

static struct fl_area *
new_area(struct fl_areas *a, uint32_t size)
{
	struct fl_area *area = a->empty;

	if (area) {
		a->empty = area->next;
		a->empty_count--;
	} else {
		area = take_prepared(a->ahead);
		area = area ? area : fl_pages_new(FL_PAGES_UNIT);
	}
	*area = (struct fl_area){
		.size = size,
		.count = (uint32_t)((FL_PAGES_UNIT - sizeof *area) / a->size[size].block),
	};
	push_open(a, area);
	return area;
}

/* The number of a size of blocks; FL_AREAS_SIZES: there is none for it. */
static uint32_t
size_number(struct fl_areas *a, size_t block)
{
	uint32_t i = 0;

	while (i < FL_AREAS_SIZES && a->size[i].block && a->size[i].block != block)
		i++;
	if (i < FL_AREAS_SIZES)
		a->size[i].block = block;
	return i;
}

void *
fl_areas_take(struct fl_areas *a, size_t bytes)
{
	size_t block = (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	struct fl_area *area;
	struct block *b;
	uint32_t size;

	if (IS_CHECKED || block == 0 || block > BLOCK_MAX)
		return NULL;
	size = size_number(a, block);
	if (size == FL_AREAS_SIZES)
		return NULL;
	area = a->size[size].open;
	if (!area)
		area = new_area(a, size);
	b = area->given;
	if (b)
		area->given = b->next;
	else
		b = (struct block *)(void *)(area->data + area->made++ * block);
	if (++area->used == area->count)
		remove_open(a, area);
	return b;
}

void
fl_areas_give(struct fl_areas *a, void *block)
{
	struct fl_area *area = area_of(block);
	struct block *b = block;

	b->next = area->given;
	area->given = b;
	if (area->used-- == area->count)
		push_open(a, area);
	if (area->used)
		return;
	remove_open(a, area);
	if (a->empty_count == EMPTY_MAX) {
		fl_pages_free(area, FL_PAGES_UNIT);
		return;
	}
	area->next = a->empty;
	a->empty = area;
	a->empty_count++;
}

void
fl_areas_release(struct fl_areas *a)
{
	struct fl_area *area;

	fl_areas_settle(a);
	for (uint32_t i = 0; i < FL_AREAS_SIZES; i++)
		fl_assert(!a->size[i].open);
	while ((area = a->empty)) {
		a->empty = area->next;
		fl_pages_free(area, FL_PAGES_UNIT);
	}
	*a = (struct fl_areas){ 0 };
}
