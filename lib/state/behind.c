/* SPDX-License-Identifier: Apache-2.0 */
#include "state/behind.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/mem.h"

#define PIECE_MAX FL_KIB(256)
#define PIECE_MIN FL_KIB(4)

enum kind { WRITE, DROP, CHECKPOINT, RUN };

struct job {
	enum kind kind;
	bool begins, ends;   /* WRITE: the first piece of a batch, the last */
	struct fl_buf bytes; /* WRITE: struct head, key, value …; DROP: both keys; or a path */
	size_t split;        /* DROP: where the second key begins */
	void (*run)(void *ctx);
	void *ctx;
	struct job *next;
};

/* Before a key and a value. */
struct head {
	uint32_t key_len;
	bool part, gone;
	uint64_t value_len;
};

struct fl_behind {
	const struct fl_store_ops *ops;
	struct fl_store *store;
	size_t queue_max, piece_max;

	/* the caller's */
	struct fl_buf piece; /* of the batch in hand */
	bool begun;          /* a piece of it is queued */

	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* under the lock */
	struct job *first, *last; /* the first is in hand */
	size_t queued;            /* bytes of them */
	bool ending;
	struct fl_err failed; /* code 0: nothing has */
	struct fl_err checkpoint;
	uint32_t checkpoints; /* queued, and not done */
};

/* ---- the thread ------------------------------------------------------------------------- */

static int
put_all(struct fl_behind *b, const struct fl_buf *piece, struct fl_err *err)
{
	int rc = 0;

	for (size_t at = 0; at < piece->len && rc == 0;) {
		const char *p = piece->data + at;
		struct fl_bytes key, value;
		struct head h;

		memcpy(&h, p, sizeof h);
		key = (struct fl_bytes){ p + sizeof h, h.key_len };
		value = (struct fl_bytes){ h.gone ? NULL : key.p + key.n, (size_t)h.value_len };
		at += sizeof h + key.n + (size_t)h.value_len;
		rc = b->ops->write_put(b->store, key, value, h.part, err);
	}
	return rc;
}

static void
write_piece(struct fl_behind *b, const struct job *j, struct fl_err *err)
{
	if (j->begins && b->ops->write_begin(b->store, err) < 0)
		return;
	if (put_all(b, &j->bytes, err) < 0 || !j->ends)
		return;
	(void)b->ops->write_end(b->store, err);
	FL_FAULT("rocksdb.written");
}

static int
drop(struct fl_behind *b, const struct job *j, struct fl_err *err)
{
	struct fl_bytes from = { j->bytes.data, j->split };
	struct fl_bytes to = { j->bytes.data + j->split, j->bytes.len - j->split };

	return b->ops->drop_range(b->store, from, to, err);
}

/* After an error nothing is written any more: what is there would have a gap. */
static void
perform(struct fl_behind *b, const struct job *j, struct fl_err *err)
{
	if (j->kind == RUN)
		j->run(j->ctx);
	if (err->code || j->kind == RUN)
		return;
	if (j->kind == WRITE) {
		write_piece(b, j, err);
	} else if (j->kind == DROP) {
		(void)drop(b, j, err);
	} else {
		FL_FAULT("rocksdb.checkpoint");
		(void)b->ops->checkpoint(b->store, j->bytes.data, err);
		FL_FAULT("rocksdb.linked");
	}
}

static void
free_job(struct job *j)
{
	fl_buf_release(&j->bytes);
	free(j);
}

/* With the lock held: the job in hand is done. */
static void
finish(struct fl_behind *b, const struct fl_err *err)
{
	struct job *j = b->first;

	b->queued -= j->bytes.len;
	b->first = j->next;
	b->last = b->first ? b->last : NULL;
	if (j->kind == CHECKPOINT) {
		b->checkpoint = *err;
		b->checkpoints--;
	} else if (err->code && !b->failed.code) {
		b->failed = *err;
	}
	free_job(j);
	(void)pthread_cond_broadcast(&b->changed);
}

static void *
work(void *arg)
{
	struct fl_behind *b = arg;

	(void)pthread_mutex_lock(&b->lock);
	for (;;) {
		const struct job *j;
		struct fl_err err;

		while (!b->first && !b->ending)
			(void)pthread_cond_wait(&b->changed, &b->lock);
		if (!b->first)
			break;
		err = b->failed;
		j = b->first;
		(void)pthread_mutex_unlock(&b->lock);
		perform(b, j, &err);
		(void)pthread_mutex_lock(&b->lock);
		finish(b, &err);
	}
	(void)pthread_mutex_unlock(&b->lock);
	return NULL;
}

/* ---- the queue -------------------------------------------------------------------------- */

struct fl_behind *
fl_behind_new(const struct fl_store_ops *ops, struct fl_store *store, size_t queue_max)
{
	struct fl_behind *b = fl_xcalloc(1, sizeof *b);

	b->ops = ops;
	b->store = store;
	b->queue_max = queue_max;
	b->piece_max = queue_max / 4 < PIECE_MAX ? queue_max / 4 : PIECE_MAX;
	if (b->piece_max < PIECE_MIN)
		b->piece_max = PIECE_MIN;
	(void)pthread_mutex_init(&b->lock, NULL);
	(void)pthread_cond_init(&b->changed, NULL);
	return b;
}

void
fl_behind_close(struct fl_behind *b)
{
	if (!b)
		return;
	if (b->running) {
		(void)pthread_mutex_lock(&b->lock);
		b->ending = true;
		(void)pthread_cond_broadcast(&b->changed);
		(void)pthread_mutex_unlock(&b->lock);
		(void)pthread_join(b->thread, NULL);
	}
	(void)pthread_cond_destroy(&b->changed);
	(void)pthread_mutex_destroy(&b->lock);
	fl_buf_release(&b->piece);
	free(b);
}

/* It begins with the first job; signals are for the others. */
static int
start(struct fl_behind *b, struct fl_err *err)
{
	sigset_t all, old;
	int code;

	if (b->running)
		return 0;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	code = pthread_create(&b->thread, NULL, work, b);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	b->running = code == 0;
	return code ? fl_fail_errno(err, FL_ELIMIT, code, "cannot start a thread for RocksDB") : 0;
}

/* With the lock held. */
static int
check(const struct fl_behind *b, struct fl_err *err)
{
	if (b->failed.code)
		*err = b->failed;
	return b->failed.code;
}

/* A job like that; its bytes are taken. */
static int
add(struct fl_behind *b, struct job job, struct fl_err *err)
{
	struct job *j;
	int rc = start(b, err);

	if (rc < 0) {
		fl_buf_release(&job.bytes);
		return rc;
	}
	j = fl_xmalloc(sizeof *j);
	*j = job;
	(void)pthread_mutex_lock(&b->lock);
	while (b->first && b->queued + j->bytes.len > b->queue_max)
		(void)pthread_cond_wait(&b->changed, &b->lock);
	b->queued += j->bytes.len;
	if (b->last)
		b->last->next = j;
	else
		b->first = j;
	b->last = j;
	b->checkpoints += j->kind == CHECKPOINT;
	rc = check(b, err);
	(void)pthread_cond_broadcast(&b->changed);
	(void)pthread_mutex_unlock(&b->lock);
	return rc;
}

int
fl_behind_settle(struct fl_behind *b, struct fl_err *err)
{
	int rc;

	if (!b->running)
		return 0;
	(void)pthread_mutex_lock(&b->lock);
	while (b->first)
		(void)pthread_cond_wait(&b->changed, &b->lock);
	rc = check(b, err);
	(void)pthread_mutex_unlock(&b->lock);
	return rc;
}

/* ---- batches ---------------------------------------------------------------------------- */

static int
add_piece(struct fl_behind *b, bool ends, struct fl_err *err)
{
	struct job job = { .kind = WRITE, .begins = !b->begun, .ends = ends, .bytes = b->piece };

	b->piece = (struct fl_buf){ 0 };
	b->begun = true;
	return add(b, job, err);
}

int
fl_behind_begin(struct fl_behind *b, struct fl_err *err)
{
	int rc;

	fl_buf_clear(&b->piece); /* left by an error */
	b->begun = false;
	(void)pthread_mutex_lock(&b->lock);
	rc = check(b, err);
	(void)pthread_mutex_unlock(&b->lock);
	return rc;
}

int
fl_behind_put(struct fl_behind *b, struct fl_bytes key, struct fl_bytes value, bool part,
	      struct fl_err *err)
{
	struct head h = { .key_len = (uint32_t)key.n, .part = part, .gone = !value.p };
	size_t n;
	char *to;

	h.value_len = value.p ? value.n : 0;
	n = sizeof h + key.n + (size_t)h.value_len;
	if (b->piece.len && b->piece.len + n > b->piece_max && add_piece(b, false, err) < 0)
		return err->code;
	to = fl_buf_reserve(&b->piece, b->piece.len || n > b->piece_max ? n : b->piece_max);
	memcpy(to, &h, sizeof h);
	memcpy(to + sizeof h, key.p, key.n);
	if (h.value_len)
		memcpy(to + sizeof h + key.n, value.p, value.n);
	b->piece.len += n;
	return 0;
}

int
fl_behind_end(struct fl_behind *b, struct fl_err *err)
{
	return b->piece.len || b->begun ? add_piece(b, true, err) : 0;
}

int
fl_behind_drop(struct fl_behind *b, struct fl_bytes from, struct fl_bytes to, struct fl_err *err)
{
	struct job job = { .kind = DROP, .split = from.n };

	fl_buf_put(&job.bytes, from.p, from.n);
	fl_buf_put(&job.bytes, to.p, to.n);
	return add(b, job, err);
}

int
fl_behind_run(struct fl_behind *b, void (*run)(void *ctx), void *ctx, struct fl_err *err)
{
	return add(b, (struct job){ .kind = RUN, .run = run, .ctx = ctx }, err);
}

/* ---- checkpoints ------------------------------------------------------------------------- */

int
fl_behind_checkpoint(struct fl_behind *b, const char *dir, struct fl_err *err)
{
	struct job job = { .kind = CHECKPOINT };

	fl_buf_put(&job.bytes, dir, strlen(dir) + 1);
	return add(b, job, err);
}

int
fl_behind_checkpointed(struct fl_behind *b, struct fl_err *err)
{
	int rc;

	(void)pthread_mutex_lock(&b->lock);
	while (b->checkpoints)
		(void)pthread_cond_wait(&b->changed, &b->lock);
	rc = b->checkpoint.code;
	if (rc)
		*err = b->checkpoint;
	(void)pthread_mutex_unlock(&b->lock);
	return rc;
}
