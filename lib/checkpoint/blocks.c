/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/blocks.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL /* other libraries export the same names, of other versions */
#include <xxhash.h>

#include "base/io.h"
#include "base/mem.h"

#define EXTENT FL_MIB(4)     /* read at once: the disk is not to wait for a processor */
#define EXTENTS 4u           /* one is read, one is checked, one is the caller's, one waits */
#define AHEAD_FROM FL_MIB(1) /* a smaller file is in memory as a whole */
#define ALIGNMENT 4096u      /* of what is read past the page cache */

_Static_assert(sizeof(struct fl_block_head) == 16, "block head");
#define HASHED offsetof(struct fl_block_head, hash)

/* How a large file is read. */
enum way {
	CACHED, /* from the page cache, where all of it may still be; until something is not */
	DIRECT, /* from the disk, past the page cache */
	PLAIN,
};

/* Some blocks, one behind the other, and what is wrong behind them. */
struct extent {
	const char *p;
	size_t len;
	uint64_t offset; /* in the file */
	bool is_last;    /* ends with the block that is the end, or has an error */
	struct fl_err err;
	char *memory, *room; /* room: aligned, of size bytes */
	size_t size;
};

struct fl_blocks {
	int fd; /* -1: from memory */
	const char *name;
	uint64_t size;
	uint64_t offset;    /* of the next block that is read */
	const char *memory; /* the whole file, with fd -1 or if it is small; else NULL */
	struct fl_buf own;  /* of which memory is a part, if it is not borrowed */
	enum way way;
	struct extent extent[EXTENTS];
	struct extent *x; /* in hand; NULL: none yet */
	size_t at;        /* in it, of the caller's next block */

	/* with threads only: extents that are free, that were read, and that were checked */
	bool has_threads;
	uint32_t turn; /* the next extent for the caller */
	sem_t room, filled, checked;
	atomic_bool stopped;
	pthread_t reader, checker;
};

uint64_t
fl__block_hash(const struct fl_block_head *head, const void *payload)
{
	XXH3_state_t state;

	(void)XXH3_64bits_reset(&state);
	(void)XXH3_64bits_update(&state, head, HASHED);
	(void)XXH3_64bits_update(&state, payload, head->len);
	return XXH3_64bits_digest(&state);
}

int
fl__block_damaged(const char *name, uint64_t offset, const char *what, struct fl_err *err)
{
	return fl_fail(err, FL_EDATA, "%s: damaged at byte %llu: %s", name,
		       (unsigned long long)offset, what);
}

static int
damaged_at(const struct fl_blocks *b, uint64_t offset, const char *what, struct fl_err *err)
{
	return fl__block_damaged(b->name, offset, what, err);
}

/* n bytes of the file from offset on, all of them. */
static int
read_at(struct fl_blocks *b, uint64_t offset, void *to, size_t n, struct fl_err *err)
{
	int64_t got;

	if (b->memory) {
		memcpy(to, b->memory + offset, n);
		return 0;
	}
	got = fl_io_read_at(b->fd, to, n, offset, b->name, err);
	if (got < 0)
		return (int)got;
	if ((uint64_t)got < n)
		return damaged_at(b, offset + (uint64_t)got, "the file became shorter", err);
	return 0;
}

/* ---- blocks ------------------------------------------------------------------------- */

/*
 * The block at offset, of which the n bytes from p on are there: its size, which may be more
 * than n. 0: not even its head is there.
 */
static int64_t
parse(const struct fl_blocks *b, uint64_t offset, const char *p, size_t n, struct fl_block *ret,
      struct fl_err *err)
{
	uint64_t left = b->size - offset;
	struct fl_block_head *h = &ret->head;

	if (left < sizeof *h)
		return damaged_at(b, offset, left ? "it ends within a block" : "its end is missing",
				  err);
	if (n < sizeof *h)
		return 0;
	memcpy(h, p, sizeof *h);
	if (h->type < FL_BLOCK_SECTION || h->type > FL_BLOCK_FLAT || h->zero[0] || h->zero[1] ||
	    h->zero[2] || h->len > FL_BLOCK_MAX)
		return damaged_at(b, offset, "no block begins here", err);
	if (h->len > left - sizeof *h)
		return damaged_at(b, offset, "it ends within this block", err);
	ret->offset = offset;
	ret->payload = p + sizeof *h;
	return (int64_t)sizeof *h + h->len;
}

/* The block of an extent that is at a place of it. */
static int64_t
block_at(const struct fl_blocks *b, const struct extent *x, size_t at, struct fl_block *ret)
{
	struct fl_err none;
	int64_t size = parse(b, x->offset + at, x->p + at, x->len - at, ret, &none);

	fl_assert(size > 0);
	return size;
}

static void
make_room(struct extent *x, size_t n)
{
	if (x->size >= n)
		return;
	free(x->memory);
	x->size = n;
	x->memory = fl_xmalloc(n + ALIGNMENT);
	x->room = x->memory + (-(uintptr_t)x->memory & (ALIGNMENT - 1));
}

/*
 * Have x->p be n bytes of the file from offset on. What is in the page cache is taken from
 * there. The rest is not brought there: a state is read once, and the memory is wanted for the state
 * itself, which the system would have to clear first for both.
 */
static int
fetch(struct fl_blocks *b, struct extent *x, uint64_t offset, size_t n)
{
	size_t before = offset % ALIGNMENT;
	size_t whole = (before + n + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);

	if (b->memory) {
		x->p = b->memory + offset;
		return 0;
	}
	make_room(x, whole);
	x->p = x->room + before;
	if (b->way == CACHED) {
		if (fl_io_read_cached(b->fd, x->room + before, n, offset))
			return 0;
		b->way = fl_io_set_direct(b->fd, true) ? DIRECT : PLAIN;
	}
	if (b->way == DIRECT) {
		if (fl_io_read_once(b->fd, x->room, whole, offset - before) >= before + n)
			return 0;
		/* a file system that wants more of it, or an error, which is met again */
		(void)fl_io_set_direct(b->fd, false);
		b->way = PLAIN;
	}
	return read_at(b, offset, x->room + before, n, &x->err);
}

/* The whole blocks among the n bytes of x: how many bytes they have goes into x->len. The
 * size of the first, which may not be whole; or an error behind them. */
static int64_t
find_blocks(const struct fl_blocks *b, struct extent *x, size_t n)
{
	int64_t first = 0, size;

	for (;;) {
		struct fl_block block;

		size = parse(b, x->offset + x->len, x->p + x->len, n - x->len, &block, &x->err);
		first = x->len ? first : size;
		if (size <= 0 || (uint64_t)size > n - x->len)
			break;
		x->len += (size_t)size;
		if (block.head.type == FL_BLOCK_END) {
			x->is_last = true;
			return first;
		}
	}
	x->is_last = size < 0;
	return first;
}

/* The next blocks of the file: at least one, or an error. */
static void
read_extent(struct fl_blocks *b, struct extent *x)
{
	uint64_t left = b->size - b->offset;
	size_t n = left < EXTENT ? (size_t)left : EXTENT;
	int64_t first;

	x->offset = b->offset;
	x->len = 0;
	x->is_last = fetch(b, x, b->offset, n) < 0;
	first = x->is_last ? 0 : find_blocks(b, x, n);
	if (first > 0 && x->len == 0) { /* it is larger than that */
		x->is_last = fetch(b, x, b->offset, (size_t)first) < 0;
		if (!x->is_last)
			(void)find_blocks(b, x, (size_t)first);
	}
	b->offset += x->len;
}

static void
check_extent(const struct fl_blocks *b, struct extent *x)
{
	struct fl_block block;

	for (size_t at = 0, size; at < x->len; at += size) {
		size = (size_t)block_at(b, x, at, &block);
		if (fl__block_hash(&block.head, block.payload) == block.head.hash)
			continue;
		(void)damaged_at(b, block.offset, "the checksum of this block is wrong", &x->err);
		x->is_last = true;
		x->len = at;
	}
}

/* ---- ahead ----------------------------------------------------------------------------- */

static void
wait_for(sem_t *sem)
{
	while (sem_wait(sem) < 0) /* a signal */
		;
}

static void *
read_ahead(void *arg)
{
	struct fl_blocks *b = arg;
	bool more = true;

	for (uint32_t i = 0; more; i = (i + 1) % EXTENTS) {
		wait_for(&b->room);
		if (atomic_load(&b->stopped))
			break;
		read_extent(b, &b->extent[i]);
		more = !b->extent[i].is_last;
		(void)sem_post(&b->filled);
	}
	return NULL;
}

static void *
check_ahead(void *arg)
{
	struct fl_blocks *b = arg;
	bool more = true;

	for (uint32_t i = 0; more; i = (i + 1) % EXTENTS) {
		wait_for(&b->filled);
		if (atomic_load(&b->stopped))
			break;
		check_extent(b, &b->extent[i]);
		more = !b->extent[i].is_last;
		(void)sem_post(&b->checked);
	}
	return NULL;
}

static void
end_threads(struct fl_blocks *b)
{
	(void)sem_destroy(&b->room);
	(void)sem_destroy(&b->filled);
	(void)sem_destroy(&b->checked);
}

static void
stop_checker(struct fl_blocks *b)
{
	atomic_store(&b->stopped, true);
	(void)sem_post(&b->filled);
	(void)pthread_join(b->checker, NULL);
}

static void
start_threads(struct fl_blocks *b)
{
	(void)sem_init(&b->room, 0, EXTENTS);
	(void)sem_init(&b->filled, 0, 0);
	(void)sem_init(&b->checked, 0, 0);
	if (pthread_create(&b->checker, NULL, check_ahead, b) == 0) {
		b->has_threads = pthread_create(&b->reader, NULL, read_ahead, b) == 0;
		if (!b->has_threads)
			stop_checker(b);
	}
	if (!b->has_threads)
		end_threads(b);
}

static void
stop_threads(struct fl_blocks *b)
{
	if (!b->has_threads)
		return;
	atomic_store(&b->stopped, true);
	(void)sem_post(&b->room);
	(void)pthread_join(b->reader, NULL);
	stop_checker(b);
	end_threads(b);
}

/* Take the next extent in hand. */
static void
next_extent(struct fl_blocks *b)
{
	bool is_first = !b->x;

	if (is_first && !b->memory)
		start_threads(b);
	b->x = &b->extent[b->turn];
	b->at = 0;
	if (!b->has_threads) {
		read_extent(b, b->x);
		check_extent(b, b->x);
		return;
	}
	if (!is_first)
		(void)sem_post(&b->room);
	wait_for(&b->checked);
	b->turn = (b->turn + 1) % EXTENTS;
}

/* ---- interface -------------------------------------------------------------------------- */

static struct fl_blocks *
open_with(struct fl_blocks *b, struct fl_err *err)
{
	char magic[FL_STATE_MAGIC_LEN];
	int rc = 0;

	if (b->size < FL_STATE_MAGIC_LEN)
		rc = damaged_at(b, b->size, "it ends within its first eight bytes", err);
	else
		rc = read_at(b, 0, magic, FL_STATE_MAGIC_LEN, err);
	if (rc == 0 && memcmp(magic, FL_STATE_MAGIC, FL_STATE_MAGIC_LEN) != 0)
		rc = damaged_at(b, 0, "this is no state of an operator", err);
	b->offset = FL_STATE_MAGIC_LEN;
	if (rc == 0)
		return b;
	fl__blocks_close(b);
	return NULL;
}

struct fl_blocks *
fl__blocks_open(int fd, uint64_t size, const char *name, struct fl_err *err)
{
	struct fl_blocks *b = fl_xcalloc(1, sizeof *b);

	b->fd = fd;
	b->name = name;
	b->size = size;
	if (size < AHEAD_FROM) {
		char *all = fl_buf_reserve(&b->own, size + 1);

		if (read_at(b, 0, all, size, err) < 0) {
			fl__blocks_close(b);
			return NULL;
		}
		b->memory = all;
	} else {
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* for PLAIN */
	}
	return open_with(b, err);
}

struct fl_blocks *
fl__blocks_from(const char *p, size_t n, const char *name, struct fl_err *err)
{
	struct fl_blocks *b = fl_xcalloc(1, sizeof *b);

	b->fd = -1;
	b->name = name;
	b->memory = p;
	b->size = n;
	return open_with(b, err);
}

void
fl__blocks_close(struct fl_blocks *b)
{
	if (!b)
		return;
	stop_threads(b);
	if (b->fd >= 0)
		(void)close(b->fd);
	for (uint32_t i = 0; i < EXTENTS; i++)
		free(b->extent[i].memory);
	fl_buf_release(&b->own);
	free(b);
}

uint64_t
fl__blocks_size(const struct fl_blocks *b)
{
	return b->size;
}

int
fl__blocks_peek(struct fl_blocks *b, uint64_t offset, void *to, size_t n, struct fl_err *err)
{
	fl_assert(!b->has_threads && offset <= b->size && n <= b->size - offset);
	return read_at(b, offset, to, n, err);
}

int
fl__blocks_next(struct fl_blocks *b, struct fl_block *ret, struct fl_err *err)
{
	if (!b->x || (b->at == b->x->len && !b->x->is_last))
		next_extent(b);
	if (b->at == b->x->len) {
		fl_assert(b->x->err.code);
		*err = b->x->err;
		return err->code;
	}
	b->at += (size_t)block_at(b, b->x, b->at, ret);
	return 0;
}
