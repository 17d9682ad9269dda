/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory: allocation that cannot fail, growable byte buffers, arenas.
 *
 * Running out of memory ends the process with status 71 and one message:
 * starting again from a checkpoint is the way to recover. What input can
 * make large is bounded before it is allocated (fl_buf_init's max, the
 * budget of state), so that a limit speaks before the kernel does.
 */
#ifndef FL_BASE_MEM_H
#define FL_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FL_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define FL_KIB(n) ((size_t)(n) << 10)
#define FL_MIB(n) ((size_t)(n) << 20)

void *fl_xmalloc(size_t size);
void *fl_xcalloc(size_t count, size_t size);
void *fl_xrealloc(void *p, size_t size);
void *fl_xreallocarray(void *p, size_t count, size_t size);
char *fl_xstrndup(const char *s, size_t n); /* copies n bytes (NULs too), adds a NUL */
char *fl_xstrdup(const char *s);

/*
 * Zeroed memory straight from the system, aligned to 2 MiB, in huge pages where the kernel
 * has them; bytes are a multiple of that unit. For what is large and stays for long: it is
 * resident as a whole once it is touched.
 */
#define FL_PAGES_UNIT FL_MIB(2)
void *fl_pages_new(size_t bytes);
void fl_pages_free(void *p, size_t bytes);

/* Have the system give the memory of pages now, not when they are touched. A hint. */
void fl_pages_prepare(void *p, size_t bytes);

/*
 * A growable array of bytes. data may move at every call that can grow it.
 * Never shrinks; fl_buf_clear keeps the storage. A zeroed struct is valid.
 */
struct fl_buf {
	char *data; /* NULL until something was reserved */
	size_t len; /* bytes in use */
	size_t cap; /* bytes allocated */
};

void fl_buf_release(struct fl_buf *b);
void fl_buf_grow(struct fl_buf *b, size_t more); /* out of line; use fl_buf_reserve */

static inline void
fl_buf_clear(struct fl_buf *b)
{
	b->len = 0;
}

/* Make room for at least more bytes behind len; returns where they go. */
static inline char *
fl_buf_reserve(struct fl_buf *b, size_t more)
{
	if (b->cap - b->len < more || !b->data)
		fl_buf_grow(b, more);
	return b->data + b->len;
}

static inline void
fl_buf_put(struct fl_buf *b, const void *p, size_t n)
{
	char *to = fl_buf_reserve(b, n);

	if (n)
		memcpy(to, p, n);
	b->len += n;
}

static inline void
fl_buf_putc(struct fl_buf *b, char c)
{
	*fl_buf_reserve(b, 1) = c;
	b->len++;
}

void fl_buf_puts(struct fl_buf *b, const char *s);
void fl_buf_printf(struct fl_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * An arena: many small things that are freed together. Addresses are stable.
 * fl_arena_reset keeps the blocks for reuse. A zeroed struct is valid.
 */
struct fl_arena {
	struct fl_arena_block *head;  /* the block in use */
	struct fl_arena_block *spare; /* kept by reset */
	size_t bytes;                 /* allocated from the system, for accounting */
};

void *fl_arena_alloc(struct fl_arena *a, size_t size);           /* 8-byte aligned, not zeroed */
char *fl_arena_dup(struct fl_arena *a, const void *p, size_t n); /* adds a NUL */
void fl_arena_reset(struct fl_arena *a);
void fl_arena_release(struct fl_arena *a);

#endif
