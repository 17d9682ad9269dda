/* SPDX-License-Identifier: Apache-2.0 */
#include "run/writeback.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/io.h"

struct fl_writeback {
	int fd;
	const char *name;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct fl_buf full; /* being written while busy, else empty */
	bool busy;
	bool stop;
	struct fl_err err; /* of the first write that failed */
};

static void *
write_loop(void *arg)
{
	struct fl_writeback *w = arg;

	(void)pthread_mutex_lock(&w->lock);
	for (;;) {
		struct fl_err err = { 0 };

		while (!w->busy && !w->stop)
			(void)pthread_cond_wait(&w->changed, &w->lock);
		if (!w->busy)
			break;
		(void)pthread_mutex_unlock(&w->lock);
		(void)fl_io_write(w->fd, w->full.data, w->full.len, w->name, &err);
		(void)pthread_mutex_lock(&w->lock);
		if (err.code && !w->err.code)
			w->err = err;
		fl_buf_clear(&w->full);
		w->busy = false;
		(void)pthread_cond_broadcast(&w->changed);
	}
	(void)pthread_mutex_unlock(&w->lock);
	return NULL;
}

struct fl_writeback *
fl_writeback_new(int fd, const char *name)
{
	struct fl_writeback *w = fl_xcalloc(1, sizeof *w);
	sigset_t all, old;
	int rc;

	w->fd = fd;
	w->name = name;
	(void)pthread_mutex_init(&w->lock, NULL);
	(void)pthread_cond_init(&w->changed, NULL);
	/* signals are for the thread that computes */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&w->thread, NULL, write_loop, w);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc == 0)
		return w;
	free(w);
	return NULL;
}

/* With the lock held: wait until nothing is being written. */
static int
wait_idle(struct fl_writeback *w, struct fl_err *err)
{
	while (w->busy)
		(void)pthread_cond_wait(&w->changed, &w->lock);
	if (w->err.code)
		*err = w->err;
	return w->err.code;
}

int
fl_writeback_put(struct fl_writeback *w, struct fl_buf *b, struct fl_err *err)
{
	struct fl_buf empty;
	int rc;

	(void)pthread_mutex_lock(&w->lock);
	rc = wait_idle(w, err);
	if (rc == 0 && b->len) {
		empty = w->full;
		w->full = *b;
		*b = empty;
		w->busy = true;
		(void)pthread_cond_broadcast(&w->changed);
	}
	(void)pthread_mutex_unlock(&w->lock);
	fl_buf_clear(b);
	return rc;
}

int
fl_writeback_drain(struct fl_writeback *w, struct fl_err *err)
{
	int rc;

	(void)pthread_mutex_lock(&w->lock);
	rc = wait_idle(w, err);
	(void)pthread_mutex_unlock(&w->lock);
	return rc;
}

void
fl_writeback_free(struct fl_writeback *w)
{
	if (!w)
		return;
	(void)pthread_mutex_lock(&w->lock);
	w->stop = true;
	(void)pthread_cond_broadcast(&w->changed);
	(void)pthread_mutex_unlock(&w->lock);
	(void)pthread_join(w->thread, NULL);
	(void)pthread_mutex_destroy(&w->lock);
	(void)pthread_cond_destroy(&w->changed);
	fl_buf_release(&w->full);
	free(w);
}
