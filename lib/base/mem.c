/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* program_invocation_short_name */
#include "base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/err.h"

static _Noreturn void
out_of_memory(size_t size)
{
	(void)fprintf(stderr, "%s: out of memory (%zu bytes asked for); see --max-memory\n",
		      program_invocation_short_name, size);
	_Exit(71);
}

void *
fl_xmalloc(size_t size)
{
	void *p = malloc(size ? size : 1);

	if (!p)
		out_of_memory(size);
	return p;
}

void *
fl_xcalloc(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size ? size : 1);

	if (!p)
		out_of_memory(count * size);
	return p;
}

void *
fl_xrealloc(void *p, size_t size)
{
	p = realloc(p, size ? size : 1);
	if (!p)
		out_of_memory(size);
	return p;
}

void *
fl_xreallocarray(void *p, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		out_of_memory(SIZE_MAX);
	return fl_xrealloc(p, bytes);
}

char *
fl_xstrndup(const char *s, size_t n)
{
	char *p = fl_xmalloc(n + 1);

	if (n)
		memcpy(p, s, n);
	p[n] = '\0';
	return p;
}

char *
fl_xstrdup(const char *s)
{
	return fl_xstrndup(s, strlen(s));
}

void *
fl_pages_new(size_t bytes)
{
	size_t whole = bytes + FL_PAGES_UNIT, before, behind;
	char *p;

	if (whole < bytes)
		out_of_memory(SIZE_MAX);
	p = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		out_of_memory(bytes);
	before = -(uintptr_t)p & (FL_PAGES_UNIT - 1);
	behind = FL_PAGES_UNIT - before;
	if (before)
		(void)munmap(p, before);
	(void)munmap(p + before + bytes, behind);
	(void)madvise(p + before, bytes, MADV_HUGEPAGE); /* a hint; not every kernel has them */
	return p + before;
}

void
fl_pages_free(void *p, size_t bytes)
{
	(void)munmap(p, bytes);
}

void
fl_pages_prepare(void *p, size_t bytes)
{
#ifdef MADV_POPULATE_WRITE
	(void)madvise(p, bytes, MADV_POPULATE_WRITE);
#else
	(void)p;
	(void)bytes;
#endif
}

void
fl_buf_release(struct fl_buf *b)
{
	free(b->data);
	*b = (struct fl_buf){ 0 };
}

void
fl_buf_grow(struct fl_buf *b, size_t more)
{
	size_t need, cap = b->cap ? b->cap : 256;

	if (__builtin_add_overflow(b->len, more, &need))
		out_of_memory(SIZE_MAX);
	while (cap < need)
		cap += cap / 2 < need - cap ? need - cap : cap / 2;
	b->data = fl_xrealloc(b->data, cap);
	b->cap = cap;
}

void
fl_buf_puts(struct fl_buf *b, const char *s)
{
	fl_buf_put(b, s, strlen(s));
}

void
fl_buf_printf(struct fl_buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	fl_assert(n >= 0);
	(void)fl_buf_reserve(b, (size_t)n + 1);
	va_start(ap, fmt);
	(void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

struct fl_arena_block {
	struct fl_arena_block *next;
	size_t cap;
	size_t len;
	_Alignas(16) char data[];
};

#define ARENA_BLOCK (FL_KIB(64) - sizeof(struct fl_arena_block) - 64)

static struct fl_arena_block *
arena_block(struct fl_arena *a, size_t size)
{
	struct fl_arena_block *b = a->spare;

	if (b && b->cap >= size) {
		a->spare = b->next;
		b->len = 0;
		return b;
	}
	size = size > ARENA_BLOCK ? size : ARENA_BLOCK;
	b = fl_xmalloc(sizeof *b + size);
	b->cap = size;
	b->len = 0;
	a->bytes += sizeof *b + size;
	return b;
}

void *
fl_arena_alloc(struct fl_arena *a, size_t size)
{
	struct fl_arena_block *b = a->head;

	size = (size + 7) & ~(size_t)7;
	if (!b || b->cap - b->len < size) {
		b = arena_block(a, size);
		b->next = a->head;
		a->head = b;
	}
	b->len += size;
	return b->data + b->len - size;
}

char *
fl_arena_dup(struct fl_arena *a, const void *p, size_t n)
{
	char *to = fl_arena_alloc(a, n + 1);

	if (n)
		memcpy(to, p, n);
	to[n] = '\0';
	return to;
}

void
fl_arena_reset(struct fl_arena *a)
{
	struct fl_arena_block *b, *next;

	for (b = a->head; b; b = next) {
		next = b->next;
		if (b->cap == ARENA_BLOCK) {
			b->next = a->spare;
			a->spare = b;
		} else {
			a->bytes -= sizeof *b + b->cap;
			free(b);
		}
	}
	a->head = NULL;
}

void
fl_arena_release(struct fl_arena *a)
{
	struct fl_arena_block *b;

	fl_arena_reset(a);
	while ((b = a->spare)) {
		a->spare = b->next;
		free(b);
	}
	*a = (struct fl_arena){ 0 };
}
