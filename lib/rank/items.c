/* SPDX-License-Identifier: Apache-2.0 */
#include "rank/items.h"

#include <stdlib.h>

#include "base/err.h"

#define STEP 16u           /* classes of small pieces: multiples of it */
#define SMALL_CLASSES 128u /* up to 2 KiB */
#define SMALL_MAX (STEP * SMALL_CLASSES)
#define ARENA_MAX FL_KIB(64) /* larger pieces go back to the system */

/*
 * Class of a size: multiples of STEP up to SMALL_MAX, then four to each doubling.
 * *ret_size is what the class holds.
 */
static uint32_t
class_of(size_t size, size_t *ret_size)
{
	size_t base = SMALL_MAX;
	uint32_t class = SMALL_CLASSES;

	if (size <= SMALL_MAX) {
		class = size ? (uint32_t)((size - 1) / STEP) : 0;
		*ret_size = (class + 1) * STEP;
		return class;
	}
	while (2 * base < size) {
		base *= 2;
		class += 4;
	}
	for (uint32_t quarter = 1; quarter <= 4; quarter++) {
		*ret_size = base + base / 4 * quarter;
		if (size <= *ret_size)
			return class + quarter - 1;
	}
	return class + 3;
}

size_t
fl_items_size(uint32_t class)
{
	uint32_t above;

	if (class < SMALL_CLASSES)
		return (class + 1) * (size_t)STEP;
	above = class - SMALL_CLASSES;
	return ((size_t)SMALL_MAX << above / 4) / 4 * (5 + above % 4);
}

void
fl_items_release(struct fl_items *s)
{
	fl_arena_release(&s->arena);
	*s = (struct fl_items){ 0 };
}

void *
fl_items_take(struct fl_items *s, size_t size, uint32_t *ret_class)
{
	size_t whole;
	uint32_t class = class_of(size, &whole);
	void *p = s->spare[class];

	fl_assert(class < FL_ITEM_CLASSES);
	*ret_class = class;
	if (p) {
		memcpy(&s->spare[class], p, sizeof(void *));
		return p;
	}
	if (whole <= ARENA_MAX)
		return fl_arena_alloc(&s->arena, whole);
	s->large += whole;
	return fl_xmalloc(whole);
}

void
fl_items_give(struct fl_items *s, void *p, uint32_t class)
{
	size_t size = fl_items_size(class);

	if (size > ARENA_MAX) {
		s->large -= size;
		free(p);
		return;
	}
	memcpy(p, &s->spare[class], sizeof(void *));
	s->spare[class] = p;
}

static struct fl_item *
item_new(struct fl_items *s, uint64_t seq, int64_t time, const struct fl_sortkey *key,
	 uint32_t cells, const char *row, size_t row_len, bool linked)
{
	size_t other_len = 0, cell_bytes = cells * sizeof(struct fl_sortcell);
	size_t before = linked ? sizeof(struct fl_item_link) : 0;
	struct fl_sortcell *to;
	struct fl_item *item;
	uint32_t class;
	char *p;

	fl_assert(cells <= UINT16_MAX);
	for (uint32_t c = 0; c < cells; c++)
		if (key->cell[c].type == FL_SORT_OTHER)
			other_len += (size_t)key->cell[c].i;
	p = fl_items_take(s, before + sizeof *item + cell_bytes + other_len + row_len, &class);
	memset(p, 0, before);
	item = (struct fl_item *)(void *)(p + before);
	*item = (struct fl_item){
		.seq = seq,
		.time = time,
		.cells = (uint16_t)cells,
		.other_len = (uint32_t)other_len,
		.row_len = (uint32_t)row_len,
		.class = (uint16_t) class,
		.linked = linked,
	};
	to = (struct fl_sortcell *)(void *)item->data;
	other_len = 0;
	for (uint32_t c = 0; c < cells; c++) {
		to[c] = key->cell[c];
		if (to[c].type != FL_SORT_OTHER)
			continue;
		to[c].off = (uint32_t)other_len;
		memcpy(item->data + cell_bytes + other_len, key->other + key->cell[c].off,
		       (size_t)to[c].i);
		other_len += (size_t)to[c].i;
	}
	if (row_len)
		memcpy(item->data + cell_bytes + other_len, row, row_len);
	return item;
}

struct fl_item *
fl_item_new(struct fl_items *s, uint64_t seq, int64_t time, const struct fl_sortkey *key,
	    uint32_t cells, const char *row, size_t row_len)
{
	return item_new(s, seq, time, key, cells, row, row_len, false);
}

struct fl_item *
fl_item_new_linked(struct fl_items *s, uint64_t seq, int64_t time, const struct fl_sortkey *key,
		   uint32_t cells, const char *row, size_t row_len)
{
	return item_new(s, seq, time, key, cells, row, row_len, true);
}

void
fl_item_free(struct fl_items *s, struct fl_item *item)
{
	fl_items_give(s, item->linked ? (void *)fl_item_link(item) : item, item->class);
}
