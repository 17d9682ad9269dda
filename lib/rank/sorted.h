/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Items in order: one of them, a small array, or a list of arrays of bounded size, so
 * that a place in a long sequence is found and made in little time. Positions count
 * from 0. A zeroed struct is an empty sequence.
 */
#ifndef FL_RANK_SORTED_H
#define FL_RANK_SORTED_H

#include "rank/sortby.h"

struct fl_segments;

struct fl_sorted {
	uint32_t count;
	uint32_t class; /* which of these it is, and the memory of an array */
	union {
		struct fl_item *one;
		struct fl_item **array;
		struct fl_segments *many;
	};
};

/* The position at which an item with this key and arrival stands, or would. */
uint32_t fl_sorted_find(const struct fl_sorted *s, const struct fl_sortby *o,
			const struct fl_sortkey *key, uint64_t seq);

struct fl_item *fl_sorted_at(const struct fl_sorted *s, uint32_t position);
void fl_sorted_insert(struct fl_sorted *s, struct fl_items *mem, uint32_t position,
		      struct fl_item *item);
struct fl_item *fl_sorted_remove(struct fl_sorted *s, struct fl_items *mem, uint32_t position);

/* Give its memory back; not that of the items, which are the caller's. */
void fl_sorted_clear(struct fl_sorted *s, struct fl_items *mem);

#endif
