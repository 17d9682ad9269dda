/* SPDX-License-Identifier: Apache-2.0 */
#include "rank/due.h"

#include <stdbool.h>

static inline bool
before(const struct fl_due *a, const struct fl_due *b)
{
	return a->time != b->time ? a->time < b->time : a->seq < b->seq;
}

void
fl_dues_push(struct fl_dues *d, const struct fl_due *x)
{
	size_t i = fl_dues_count(d);
	struct fl_due *h;

	fl_buf_put(&d->heap, x, sizeof *x);
	h = (struct fl_due *)(void *)d->heap.data;
	for (; i > 0 && before(x, &h[(i - 1) / 2]); i = (i - 1) / 2)
		h[i] = h[(i - 1) / 2];
	h[i] = *x;
}

struct fl_due
fl_dues_pop(struct fl_dues *d)
{
	struct fl_due *h = (struct fl_due *)(void *)d->heap.data;
	struct fl_due first = h[0], last;
	size_t n, i = 0;

	d->heap.len -= sizeof *h;
	n = fl_dues_count(d);
	last = h[n];
	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= n)
			break;
		if (child + 1 < n && before(&h[child + 1], &h[child]))
			child++;
		if (!before(&h[child], &last))
			break;
		h[i] = h[child];
		i = child;
	}
	if (n)
		h[i] = last;
	return first;
}

void
fl_dues_release(struct fl_dues *d)
{
	fl_buf_release(&d->heap);
}
