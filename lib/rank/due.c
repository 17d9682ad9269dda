/* SPDX-License-Identifier: Apache-2.0 */
#include "rank/due.h"

#include "base/heap.h"

static bool
before(const void *a, const void *b, const void *ctx)
{
	const struct fl_due *x = a, *y = b;

	(void)ctx;
	return x->time != y->time ? x->time < y->time : x->seq < y->seq;
}

void
fl_dues_push(struct fl_dues *d, const struct fl_due *x)
{
	fl_heap_push(&d->heap, x, sizeof *x, before, NULL);
}

struct fl_due
fl_dues_pop(struct fl_dues *d)
{
	struct fl_due first;

	fl_heap_pop(&d->heap, &first, sizeof first, before, NULL);
	return first;
}

void
fl_dues_release(struct fl_dues *d)
{
	fl_buf_release(&d->heap);
}
