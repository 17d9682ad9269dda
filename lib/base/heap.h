/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A binary heap: an array of elements of one size, of which the least is the first.
 *
 * Everything is inlined, so that where size and before are constants of the caller's,
 * copying and comparing an element costs no call. Which of several elements that are
 * equal comes first is not said: where it matters, before must tell them apart.
 *
 * An element that is moved is not kept anywhere in between: x is what the caller has, and
 * must not lie in the part of the array that is in use.
 */
#ifndef FL_BASE_HEAP_H
#define FL_BASE_HEAP_H

#include <stdbool.h>

#include "base/mem.h"

/* Whether *a is to come out before *b. ctx is what the caller has passed. */
typedef bool fl_heap_before(const void *a, const void *b, const void *ctx);

#define FL_HEAP_INLINE static inline __attribute__((always_inline))

/*
 * The places 0 .. at-1 are a heap: put *x at the place `at`, or above it, so that those up
 * to `at` are one. What was there is overwritten.
 */
FL_HEAP_INLINE void
fl_heap_rise(void *heap, size_t at, const void *x, size_t size, fl_heap_before *before,
	     const void *ctx)
{
	char *h = heap;

	for (size_t up; at; at = up) {
		up = (at - 1) / 2;
		if (!before(x, h + up * size, ctx))
			break;
		memcpy(h + at * size, h + up * size, size);
	}
	memcpy(h + at * size, x, size);
}

/*
 * Of the places 0 .. n-1 all that are below `at` are heaps: put *x at the place `at`, or
 * below it, so that what begins there is one. What was there is overwritten.
 */
FL_HEAP_INLINE void
fl_heap_sink(void *heap, size_t n, size_t at, const void *x, size_t size, fl_heap_before *before,
	     const void *ctx)
{
	char *h = heap;

	for (size_t child; (child = 2 * at + 1) < n; at = child) {
		if (child + 1 < n && before(h + (child + 1) * size, h + child * size, ctx))
			child++;
		if (!before(h + child * size, x, ctx))
			break;
		memcpy(h + at * size, h + child * size, size);
	}
	memcpy(h + at * size, x, size);
}

/* A heap in a buffer: add *x. */
FL_HEAP_INLINE void
fl_heap_push(struct fl_buf *heap, const void *x, size_t size, fl_heap_before *before,
	     const void *ctx)
{
	size_t n = heap->len / size;

	(void)fl_buf_reserve(heap, size);
	heap->len += size;
	fl_heap_rise(heap->data, n, x, size, before, ctx);
}

/* Take the least out, into *ret. There must be one. */
FL_HEAP_INLINE void
fl_heap_pop(struct fl_buf *heap, void *ret, size_t size, fl_heap_before *before, const void *ctx)
{
	size_t n = heap->len / size - 1;

	memcpy(ret, heap->data, size);
	heap->len = n * size;
	if (n)
		fl_heap_sink(heap->data, n, 0, heap->data + n * size, size, before, ctx);
}

#endif
