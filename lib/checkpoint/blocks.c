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

#define AHEAD 4u             /* blocks, of half a MiB as a rule */
#define AHEAD_FROM FL_MIB(1) /* a smaller file is read at once */
#define ALIGNMENT 4096u      /* of what is read past the page cache */

_Static_assert(sizeof(struct fl_block_head) == 16, "block head");
#define HASHED offsetof(struct fl_block_head, hash)

/* How a large file is read. */
enum way {
	CACHED, /* from the page cache, where all of it may still be; until something is not */
	DIRECT, /* from the disk, past the page cache */
	PLAIN,
};

/* A block that was read, or why it could not be. */
struct slot {
	char *memory, *room; /* room: aligned, of size bytes */
	size_t size;
	struct fl_block block;
	struct fl_err err;
};

struct fl_blocks {
	int fd; /* -1: from memory */
	const char *name;
	uint64_t size;
	uint64_t offset;    /* of the next block that is read */
	const char *memory; /* the whole file, with fd -1 or if it is small; else NULL */
	struct fl_buf own;  /* of which memory is a part, if it is not borrowed */
	enum way way;
	struct fl_block_head head; /* of the next block, if has_head */
	bool has_head;
	struct slot slot[AHEAD];

	/* with a thread only */
	bool has_thread;
	bool in_hand;  /* a slot is the caller's */
	uint32_t turn; /* the next slot for the caller */
	sem_t room, filled;
	atomic_bool stopped;
	pthread_t thread;
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

/* ---- a block -------------------------------------------------------------------------- */

static void
make_room(struct slot *s, size_t n)
{
	if (s->size >= n)
		return;
	free(s->memory);
	s->size = n;
	s->memory = fl_xmalloc(n + ALIGNMENT);
	s->room = s->memory + (-(uintptr_t)s->memory & (ALIGNMENT - 1));
}

/*
 * The same, into a slot. What is in the page cache is taken from there. The rest is not
 * brought there: a state is read once, and the memory is wanted for the state itself, which
 * the system would have to clear first for both.
 */
static int
fetch(struct fl_blocks *b, struct slot *s, uint64_t offset, size_t n, const char **ret,
      struct fl_err *err)
{
	size_t before = offset % ALIGNMENT;
	size_t whole = (before + n + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);

	make_room(s, whole);
	*ret = s->room + before;
	if (b->way == CACHED) {
		if (fl_io_read_cached(b->fd, s->room + before, n, offset))
			return 0;
		b->way = fl_io_set_direct(b->fd, true) ? DIRECT : PLAIN;
	}
	if (b->way == DIRECT) {
		if (fl_io_read_once(b->fd, s->room, whole, offset - before) >= before + n)
			return 0;
		/* a file system that wants more of it, or an error, which is met again */
		(void)fl_io_set_direct(b->fd, false);
		b->way = PLAIN;
	}
	return read_at(b, offset, s->room + before, n, err);
}

/* The head of the next block. */
static int
read_head(struct fl_blocks *b, struct slot *s, struct fl_block_head *ret, struct fl_err *err)
{
	uint64_t left = b->size - b->offset;
	const char *p = (const char *)&b->head;

	if (left < sizeof *ret)
		return damaged_at(b, b->offset,
				  left ? "it ends within a block" : "its end is missing", err);
	if (b->memory)
		p = b->memory + b->offset;
	else if (!b->has_head && fetch(b, s, b->offset, sizeof *ret, &p, err) < 0)
		return err->code;
	memcpy(ret, p, sizeof *ret);
	if (ret->type < FL_BLOCK_SECTION || ret->type > FL_BLOCK_FLAT || ret->zero[0] ||
	    ret->zero[1] || ret->zero[2] || ret->len > FL_BLOCK_MAX)
		return damaged_at(b, b->offset, "no block begins here", err);
	if (ret->len > left - sizeof *ret)
		return damaged_at(b, b->offset, "it ends within this block", err);
	return 0;
}

/* Its payload, and the head that follows, if there is one. */
static int
read_payload(struct fl_blocks *b, struct slot *s, uint32_t len, const char **ret,
	     struct fl_err *err)
{
	b->has_head = b->size - b->offset - len >= sizeof b->head;
	if (fetch(b, s, b->offset, len + (b->has_head ? sizeof b->head : 0), ret, err) < 0)
		return err->code;
	if (b->has_head)
		memcpy(&b->head, *ret + len, sizeof b->head);
	return 0;
}

static int
read_block(struct fl_blocks *b, struct slot *s, struct fl_err *err)
{
	struct fl_block *x = &s->block;

	x->offset = b->offset;
	if (read_head(b, s, &x->head, err) < 0)
		return err->code;
	b->offset += sizeof x->head;
	if (b->memory)
		x->payload = b->memory + b->offset;
	else if (read_payload(b, s, x->head.len, &x->payload, err) < 0)
		return err->code;
	b->offset += x->head.len;
	if (fl__block_hash(&x->head, x->payload) != x->head.hash)
		return damaged_at(b, x->offset, "the checksum of this block is wrong", err);
	return 0;
}

/* ---- ahead ----------------------------------------------------------------------------- */

/* Until the end block, which whoever takes the blocks looks at, or an error. */
static void *
read_ahead(void *arg)
{
	struct fl_blocks *b = arg;
	bool more = true;

	for (uint32_t i = 0; more; i = (i + 1) % AHEAD) {
		while (sem_wait(&b->room) < 0) /* a signal */
			;
		if (atomic_load(&b->stopped))
			break;
		more = read_block(b, &b->slot[i], &b->slot[i].err) == 0 &&
		       b->slot[i].block.head.type != FL_BLOCK_END;
		(void)sem_post(&b->filled);
	}
	return NULL;
}

static void
start_thread(struct fl_blocks *b)
{
	(void)sem_init(&b->room, 0, AHEAD);
	(void)sem_init(&b->filled, 0, 0);
	b->has_thread = pthread_create(&b->thread, NULL, read_ahead, b) == 0;
	if (b->has_thread)
		return;
	(void)sem_destroy(&b->room);
	(void)sem_destroy(&b->filled);
}

static void
stop_thread(struct fl_blocks *b)
{
	if (!b->has_thread)
		return;
	atomic_store(&b->stopped, true);
	(void)sem_post(&b->room);
	(void)pthread_join(b->thread, NULL);
	(void)sem_destroy(&b->room);
	(void)sem_destroy(&b->filled);
}

static int
take_ahead(struct fl_blocks *b, struct fl_block *ret, struct fl_err *err)
{
	struct slot *s = &b->slot[b->turn];

	if (b->in_hand)
		(void)sem_post(&b->room);
	while (sem_wait(&b->filled) < 0)
		;
	b->in_hand = true;
	b->turn = (b->turn + 1) % AHEAD;
	if (s->err.code) {
		*err = s->err;
		return err->code;
	}
	*ret = s->block;
	return 0;
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
	stop_thread(b);
	if (b->fd >= 0)
		(void)close(b->fd);
	for (uint32_t i = 0; i < AHEAD; i++)
		free(b->slot[i].memory);
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
	fl_assert(!b->has_thread && offset <= b->size && n <= b->size - offset);
	return read_at(b, offset, to, n, err);
}

int
fl__blocks_next(struct fl_blocks *b, struct fl_block *ret, struct fl_err *err)
{
	if (!b->memory && !b->has_thread)
		start_thread(b);
	if (b->has_thread)
		return take_ahead(b, ret, err);
	if (read_block(b, &b->slot[0], err) < 0)
		return err->code;
	*ret = b->slot[0].block;
	return 0;
}
