/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue of rows or moments by event time, of equal ones by arrival: a binary heap.
 * What comes in order is put in with one comparison.
 */
#ifndef FL_RANK_DUE_H
#define FL_RANK_DUE_H

#include "base/mem.h"

struct fl_item;
struct fl_entry;

struct fl_due {
	int64_t time;
	uint64_t seq;
	struct fl_item *item;   /* the owner's */
	struct fl_entry *entry; /* likewise */
};

struct fl_dues {
	struct fl_buf heap; /* struct fl_due */
};

static inline size_t
fl_dues_count(const struct fl_dues *d)
{
	return d->heap.len / sizeof(struct fl_due);
}

/* The earliest; NULL: there is none. Until the next call. */
static inline const struct fl_due *
fl_dues_first(const struct fl_dues *d)
{
	return d->heap.len ? (const struct fl_due *)(const void *)d->heap.data : NULL;
}

/* Number i of fl_dues_count, in no order. */
static inline const struct fl_due *
fl_dues_at(const struct fl_dues *d, size_t i)
{
	return (const struct fl_due *)(const void *)d->heap.data + i;
}

void fl_dues_push(struct fl_dues *d, const struct fl_due *x);
struct fl_due fl_dues_pop(struct fl_dues *d); /* there must be one */
void fl_dues_release(struct fl_dues *d);

#endif
