/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows that are kept: packed bytes with arrival number, event time and the values
 * by which they are sorted, in one piece of memory. Memory is in size classes; what
 * is given back is used again.
 */
#ifndef FL_RANK_ITEMS_H
#define FL_RANK_ITEMS_H

#include <stdbool.h>

#include "base/mem.h"

/* A value to sort by. */
struct fl_sortcell {
	int64_t i;     /* the number or time; OTHER: length of the packed value */
	uint32_t off;  /* OTHER: where it begins */
	uint32_t type; /* enum fl_sorttype */
};

enum fl_sorttype {
	FL_SORT_NULL = 0,
	FL_SORT_INT,
	FL_SORT_TIME,
	FL_SORT_OTHER, /* packed by fl_row_pack: decimals, doubles, texts, truth values */
};

/* The sort values of one row, in a batch or in an item. */
struct fl_sortkey {
	const struct fl_sortcell *cell; /* as many as the order has */
	const char *other;
};

struct fl_item {
	uint64_t seq; /* arrival */
	int64_t time; /* event time; 0 without */
	uint32_t other_len;
	uint32_t row_len;
	uint16_t class; /* of its memory */
	uint16_t cells;
	bool linked;             /* a struct fl_item_link stands before it */
	_Alignas(8) char data[]; /* cells, other, row */
};

/* The owner's own, for items that are linked. */
struct fl_item_link {
	struct fl_item *next;
	uint64_t ident; /* a hash of the row, or a place */
};

#define FL_ITEM_CLASSES 256u

struct fl_items {
	struct fl_arena arena;
	void *spare[FL_ITEM_CLASSES];
	size_t large; /* bytes outside of the arena */
};

void fl_items_release(struct fl_items *s); /* large items must have been freed */

/* About how much memory there is in all, spare one too. */
static inline size_t
fl_items_bytes(const struct fl_items *s)
{
	return s->arena.bytes + s->large;
}

/* Bare memory of the classes; *ret_class goes to fl_items_give. 8-byte aligned. */
void *fl_items_take(struct fl_items *s, size_t size, uint32_t *ret_class);
void fl_items_give(struct fl_items *s, void *p, uint32_t class);
size_t fl_items_size(uint32_t class); /* what a piece of the class holds */

/* Make an item of a packed row and its sort values. */
struct fl_item *fl_item_new(struct fl_items *s, uint64_t seq, int64_t time,
			    const struct fl_sortkey *key, uint32_t cells, const char *row,
			    size_t row_len);

/* The same with a link, zeroed. */
struct fl_item *fl_item_new_linked(struct fl_items *s, uint64_t seq, int64_t time,
				   const struct fl_sortkey *key, uint32_t cells, const char *row,
				   size_t row_len);
void fl_item_free(struct fl_items *s, struct fl_item *item);

static inline struct fl_item_link *
fl_item_link(struct fl_item *item)
{
	return (struct fl_item_link *)(void *)item - 1;
}

static inline struct fl_sortkey
fl_item_key(const struct fl_item *item)
{
	return (struct fl_sortkey){
		.cell = (const struct fl_sortcell *)(const void *)item->data,
		.other = item->data + item->cells * sizeof(struct fl_sortcell),
	};
}

static inline const char *
fl_item_row(const struct fl_item *item)
{
	return item->data + item->cells * sizeof(struct fl_sortcell) + item->other_len;
}

#endif
