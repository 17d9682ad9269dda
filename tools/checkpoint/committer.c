/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* pthread_condattr_setclock */
#include "committer.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/io.h"

#define GRACE_MS 5000   /* a sink that only watches waits so much longer */
#define ENDS 10         /* … and one that has ended, so many times --timeout */
#define POLL_MIN_US 300 /* between two looks at the directory */
#define POLL_MAX_US 20000
#define THOROUGH_US 50000 /* between two looks at everything */
#define STUCK_MIN_MS 20   /* between two looks for barriers that do not come */
#define STUCK_MAX_MS 1000

/* ---- waiting -------------------------------------------------------------------------- */

/* The time of the monotonic clock in so many microseconds. */
static void
after(struct timespec *t, int64_t us)
{
	(void)clock_gettime(CLOCK_MONOTONIC, t);
	t->tv_sec += us / 1000000;
	t->tv_nsec += us % 1000000 * 1000;
	if (t->tv_nsec >= 1000000000) {
		t->tv_sec++;
		t->tv_nsec -= 1000000000;
	}
}

bool
fc_committer_sleep(struct fc_committer *c, int64_t us)
{
	struct timespec t;
	bool go_on;

	after(&t, us);
	(void)pthread_mutex_lock(&c->lock);
	while (!c->stop && pthread_cond_timedwait(&c->changed, &c->lock, &t) == 0)
		;
	go_on = !c->stop;
	(void)pthread_mutex_unlock(&c->lock);
	return go_on;
}

/* How long to wait after the given number of looks. */
static int64_t
pause_us(unsigned looks)
{
	int64_t us = looks < 10 ? (int64_t)POLL_MIN_US << (looks / 2) : POLL_MAX_US;

	return us < POLL_MAX_US ? us : POLL_MAX_US;
}

static int
stopped(struct fl_err *err)
{
	(void)fl_fail(err, FL_ETEMP, "stopped before the checkpoint was complete");
	err->quiet = true;
	return FL_ETEMP;
}

/* When checkpoint e is given up, by the clock. */
static int64_t
deadline_of(const struct fc_committer *c, const struct fc_epoch *e)
{
	int64_t from = e->barrier.injected_ms ? e->barrier.injected_ms : fl_clock_ms();

	return from + c->attempt->timeout_ms;
}

/* ---- deciding ------------------------------------------------------------------------- */

/* What is missing will not come: the rest of the line has ended, or died. */
static bool
is_alone(const struct fc_committer *c)
{
	return !fl_ckdir_is_locked(c->dir, "lock");
}

/* Wait for every .done: 1 all are there, 0 not in time or one failed (c->reason). */
static int
wait_for_all(struct fc_committer *c, const struct fc_epoch *e, struct fl_err *err)
{
	int64_t deadline = deadline_of(c, e), thorough_us = fl_clock_us() + THOROUGH_US;
	char missing[300];

	for (unsigned looks = 0;; looks++) {
		bool alone = looks % 8 == 7 && is_alone(c);
		bool thorough = alone || fl_clock_us() >= thorough_us;
		int rc = fc_decider_look(&c->decider, thorough, err);

		if (thorough)
			thorough_us = fl_clock_us() + THOROUGH_US;
		if (rc > 0)
			return 1;
		if (rc == FL_ECONFIG)
			return rc;
		if (rc < 0) {
			(void)snprintf(c->reason, sizeof c->reason, "%.390s", err->msg);
			return 0;
		}
		if (alone || fl_clock_ms() >= deadline)
			break;
		if (!fc_committer_sleep(c, pause_us(looks)))
			return stopped(err);
	}
	fc_decider_missing(&c->decider, missing, sizeof missing);
	(void)snprintf(c->reason, sizeof c->reason, "not complete in time: no word from %s",
		       missing);
	return 0;
}

/* 1 complete, 0 abandoned. */
static int
decide(struct fc_committer *c, const struct fc_epoch *e, bool *ret_finished, struct fl_err *err)
{
	int rc;

	fc_decider_begin(&c->decider, e->barrier.id, c->lineage);
	rc = wait_for_all(c, e, err);
	if (rc < 0)
		return rc;
	if (rc > 0) {
		FL_FAULT("commit.last-done");
		rc = fc_decider_complete(&c->decider, &e->barrier, ret_finished, err);
		if (rc == 0)
			return 1;
		(void)snprintf(c->reason, sizeof c->reason, "%.390s", err->msg);
	}
	FL_FAULT("commit.abandon");
	/* a manifest that could not be written, and no word of it either: not to be gone on from */
	rc = fl_ck_abandon(c->dir, e->barrier.id, c->reason, err);
	FL_FAULT("commit.abandoned");
	return rc;
}

/* One checkpoint after the end of this sink: 1 it is complete, 0 not yet. */
static int
look_any(struct fc_committer *c, const struct fl_barrier *b, uint64_t *oldest, uint64_t *since,
	 bool *ret_finished, struct fl_err *err)
{
	struct fl_err why;
	int rc;

	fc_decider_begin(&c->decider, b->id, c->lineage);
	rc = fc_decider_look(&c->decider, true, &why);
	if (rc > 0) {
		rc = fc_decider_complete(&c->decider, b, ret_finished, &why);
		if (rc == 0)
			return 1;
	}
	if (rc == FL_ECONFIG) {
		*err = why;
		return rc;
	}
	if (*oldest != b->id && b->id > *oldest) {
		*oldest = b->id;
		*since = (uint64_t)fl_clock_ms();
	}
	if (rc == 0 && fl_clock_ms() - (int64_t)*since < c->attempt->timeout_ms)
		return 0;
	return fl_ck_abandon(c->dir, b->id, rc < 0 ? why.msg : "not complete in time", err);
}

/*
 * This sink has ended, others may go on: any checkpoint that becomes complete has the end
 * of this one in it. The begin that leads makes them; 1 complete, 0 abandoned.
 */
static int
decide_any(struct fc_committer *c, const struct fc_epoch *e, bool *ret_finished, struct fl_err *err)
{
	uint64_t id = e->barrier.id, oldest = 0, since = 0;
	int64_t deadline = deadline_of(c, e) + ENDS * c->attempt->timeout_ms;
	struct fl_buf ids = { 0 };
	bool alone = false;
	int rc = 0;

	while (rc == 0 && !alone && fl_clock_ms() < deadline &&
	       fc_committer_sleep(c, POLL_MAX_US)) {
		const uint64_t *p;

		alone = is_alone(c); /* before it looks a last time */
		fl_buf_clear(&ids);
		rc = fl_ck_list(c->dir, &ids, err);
		p = (const uint64_t *)(const void *)ids.data;
		for (size_t i = 0; i < ids.len / sizeof *p && rc == 0; i++) {
			struct fl_barrier b = { .id = p[i], .attempt = c->attempt->number };

			if (p[i] < id || fl_ck_look(c->dir, p[i]) != FL_CK_OPEN)
				continue;
			rc = look_any(c, &b, &oldest, &since, ret_finished, err);
		}
	}
	fl_buf_release(&ids);
	if (rc == 0)
		(void)snprintf(c->reason, sizeof c->reason, "the other sinks did not end");
	return rc;
}

/* ---- watching the one that decides ------------------------------------------------------- */

/* Whether manifest id has this sink in it: 1, 0; with ended, only at its end. */
static int
is_listed(struct fc_committer *c, uint64_t id, bool ended, bool *ret_finished, struct fl_err *err)
{
	struct fl_manifest m = { 0 };
	const struct fl_ck_op *op;
	int listed = 0;

	if (fl_manifest_read(c->dir, id, &m, err) < 0)
		return err->code;
	for (uint32_t i = 0; i < m.sink_count; i++)
		listed = listed || strcmp(m.sinks[i].uid, c->uid) == 0;
	op = fl_manifest_op(&m, c->uid);
	if (ended && !(op && op->finished))
		listed = 0;
	*ret_finished = m.finished;
	fl_manifest_release(&m);
	return listed;
}

/* The end of this sink is in any complete checkpoint after it. */
static int
look_ended(struct fc_committer *c, uint64_t id, bool *ret_decided, bool *ret_finished,
	   struct fl_err *err)
{
	struct fl_buf ids = { 0 };
	const uint64_t *p;
	int rc = fl_ck_list(c->dir, &ids, err);

	p = (const uint64_t *)(const void *)ids.data;
	for (size_t i = 0; i < ids.len / sizeof *p && rc == 0; i++)
		if (p[i] >= id && fl_ck_look(c->dir, p[i]) == FL_CK_COMPLETE)
			rc = is_listed(c, p[i], true, ret_finished, err);
	fl_buf_release(&ids);
	*ret_decided = rc > 0;
	return rc;
}

/* A complete checkpoint must know this sink: else begin was told of fewer. */
static int
look_decided(struct fc_committer *c, const struct fc_epoch *e, bool *ret_decided,
	     bool *ret_finished, struct fl_err *err)
{
	enum fl_ck_state state = fl_ck_look(c->dir, e->barrier.id);
	int rc;

	*ret_decided = state == FL_CK_COMPLETE || (state == FL_CK_ABANDONED && !e->final);
	if (*ret_decided && state == FL_CK_ABANDONED)
		(void)snprintf(c->reason, sizeof c->reason, "it was abandoned");
	if (state != FL_CK_COMPLETE)
		return e->final ? look_ended(c, e->barrier.id, ret_decided, ret_finished, err) : 0;
	rc = is_listed(c, e->barrier.id, false, ret_finished, err);
	if (rc != 0)
		return rc;
	return fl_fail(
		err, FL_ECONFIG,
		"%s is one fcheckpoint commit more than the %u that fcheckpoint begin was told "
		"of: say --sinks there",
		c->uid, c->attempt->sinks);
}

/* 1 complete, 0 abandoned. */
static int
watch(struct fc_committer *c, const struct fc_epoch *e, bool *ret_finished, struct fl_err *err)
{
	int64_t deadline = deadline_of(c, e) +
			   (e->final ? ENDS * c->attempt->timeout_ms : GRACE_MS);
	bool decided;
	int rc, fd;

	for (unsigned looks = 0;; looks++) {
		rc = look_decided(c, e, &decided, ret_finished, err);
		if (decided || rc < 0)
			return rc;
		rc = looks % 16 == 15 ? fl_ckdir_try_lock(c->dir, "decider", &fd, err) : 0;
		if (rc < 0) /* somebody has removed the directory: nothing is decided any more */
			return rc;
		/* the lock is free: the one that decides has died, or has just ended */
		if (rc > 0) {
			(void)close(fd);
			rc = look_decided(c, e, &decided, ret_finished, err);
			if (decided || rc < 0)
				return rc;
			return fl_fail(
				err, FL_ETEMP,
				"the fcheckpoint commit that completes checkpoints has died");
		}
		if (fl_clock_ms() >= deadline)
			return fl_fail(err, FL_ETEMP, "checkpoint %llu was not decided in time",
				       (unsigned long long)e->barrier.id);
		if (!fc_committer_sleep(c, pause_us(looks)))
			return stopped(err);
	}
}

/* ---- an epoch --------------------------------------------------------------------------- */

static char *
copy_text(const char *s)
{
	return s ? fl_xstrdup(s) : NULL;
}

static void
copy_op(struct fl_ck_op *to, const struct fl_ck_op *from)
{
	*to = *from;
	to->uid = copy_text(from->uid);
	to->tool = copy_text(from->tool);
	to->backend = copy_text(from->backend);
	to->state.name = copy_text(from->state.name);
	to->files = fl_xcalloc((size_t)from->file_count + 1, sizeof *to->files);
	for (uint32_t i = 0; i < from->file_count; i++) {
		to->files[i] = from->files[i];
		to->files[i].name = copy_text(from->files[i].name);
	}
}

static struct fc_piece *
pieces_of(const struct fl_buf *b, size_t *ret_count)
{
	*ret_count = b->len / sizeof(struct fc_piece);
	return (struct fc_piece *)(void *)b->data;
}

static int
put_done(struct fc_committer *c, struct fc_epoch *e, struct fl_err *err)
{
	struct fl_ck_done done = { .id = e->barrier.id, .attempt = c->attempt->number };
	size_t n;
	const struct fc_piece *p = pieces_of(&c->carried, &n);
	int rc;

	fl_header_init(&done.lineage);
	done.op = e->op;
	e->op = (struct fl_ck_op){ 0 };
	done.sink = fl_xcalloc(1, sizeof *done.sink);
	c->sink->type->describe(c->sink, p, n, done.sink);
	done.sink->records = e->records;
	done.lineage = *c->lineage; /* borrowed */
	FL_FAULT("commit.done");
	rc = fl_ck_put_done(c->dir, &done, err);
	FL_FAULT("commit.done.written");
	fl_header_init(&done.lineage);
	fl_ck_done_release(&done);
	return rc;
}

/* The results of a checkpoint that is complete go out. */
static int
commit(struct fc_committer *c, const struct fc_epoch *e, struct fl_err *err)
{
	struct fl_err ignored;
	uint32_t left;
	size_t n;
	struct fc_piece *p = pieces_of(&c->carried, &n);

	if (c->sink->type->commit(c->sink, p, n, err) < 0)
		return err->code;
	fl_buf_clear(&c->carried);
	if (e->final) {
		if (c->sink->type->finish(c->sink, err) < 0)
			return err->code;
		FL_FAULT("commit.delivered");
		fc_sink_delivered(c->sink, e->barrier.id);
	}
	FL_FAULT("commit.clean");
	if (c->decides)
		(void)fl_ckdir_clean(c->dir, c->attempt->retain, &left, &ignored);
	FL_FAULT("commit.cleaned");
	return 0;
}

static int
too_many(struct fc_committer *c, struct fl_err *err)
{
	if (c->abandoned <= c->attempt->tolerate)
		return 0;
	return fl_fail(
		err, FL_ETEMP,
		"%u checkpoint%s in a row abandoned, more than --tolerate %u, the last because of: "
		"%s. The same line again goes on from the last complete one",
		c->abandoned, c->abandoned == 1 ? " was" : "s were", c->attempt->tolerate,
		c->reason);
}

static int
abandoned(struct fc_committer *c, const struct fc_epoch *e, struct fl_err *err)
{
	(void)pthread_mutex_lock(&c->lock);
	c->carries = c->carried.len > 0;
	(void)pthread_mutex_unlock(&c->lock);
	if (e->final || (e->barrier.flags & FL_BARRIER_SAVEPOINT)) {
		if (!e->final)
			return 0; /* told where the end is: by fc_committer_wait's caller */
		return fl_fail(
			err, FL_ETEMP,
			"checkpoint %llu, the last, was abandoned: %s. The same line again goes "
			"on from the one before",
			(unsigned long long)e->barrier.id, c->reason);
	}
	return too_many(c, err);
}

/* The steps before the decision. A failed fsync is final: what it left is not used again. */
static int
prepare(struct fc_committer *c, struct fc_epoch *e, struct fl_err *err)
{
	struct fl_err ignored;
	size_t n;
	const struct fc_piece *p;

	p = pieces_of(&c->carried, &n);
	if (c->sink->type->settle(c->sink, p, n, err) < 0) {
		(void)fl_ck_put_failed(c->dir, e->barrier.id, c->uid, err->msg, &ignored);
		if (c->decides)
			(void)fl_ck_abandon(c->dir, e->barrier.id, err->msg, &ignored);
		return err->code;
	}
	if (put_done(c, e, err) < 0) {
		(void)fl_ck_put_failed(c->dir, e->barrier.id, c->uid, err->msg, &ignored);
		(void)snprintf(c->reason, sizeof c->reason, "%.390s", err->msg);
	}
	return 0;
}

static int
process(struct fc_committer *c, struct fc_epoch *e, struct fl_err *err)
{
	bool finished = false;
	int rc;

	fl_buf_put(&c->carried, e->pieces.data, e->pieces.len);
	fl_buf_clear(&e->pieces);
	if (c->given_up >= e->barrier.id && !e->final)
		return abandoned(c, e, err); /* its barrier came too late */
	if (prepare(c, e, err) < 0)
		return err->code;
	if (!c->decides)
		rc = watch(c, e, &finished, err);
	else if (e->final && c->attempt->sinks > 1)
		rc = decide_any(c, e, &finished, err);
	else
		rc = decide(c, e, &finished, err);
	if (rc < 0)
		return rc;
	if (rc == 0) {
		c->abandoned++;
		return abandoned(c, e, err);
	}
	if (commit(c, e, err) < 0)
		return err->code;
	c->abandoned = 0;
	(void)pthread_mutex_lock(&c->lock);
	c->carries = false;
	c->completed = e->barrier.id;
	c->finished = finished;
	(void)pthread_mutex_unlock(&c->lock);
	return 0;
}

/* ---- a barrier that does not come ---------------------------------------------------------- */

static int64_t
look_interval_ms(const struct fc_committer *c)
{
	int64_t ms = c->attempt->timeout_ms / 4;

	return ms > STUCK_MAX_MS ? STUCK_MAX_MS : ms < STUCK_MIN_MS ? STUCK_MIN_MS : ms;
}

/* The oldest checkpoint of this attempt that is open, and has not come here; 0: none. */
static int
oldest_open(struct fc_committer *c, uint64_t *ret, struct fl_err *err)
{
	struct fl_buf ids = { 0 };
	const uint64_t *id;
	uint64_t known = c->completed > c->given_up ? c->completed : c->given_up;
	int rc = fl_ck_list(c->dir, &ids, err);

	*ret = 0;
	id = (const uint64_t *)(const void *)ids.data;
	for (size_t i = 0; i < ids.len / sizeof *id && !*ret; i++)
		if (id[i] >= c->attempt->next_id && id[i] > known &&
		    fl_ck_look(c->dir, id[i]) == FL_CK_OPEN)
			*ret = id[i];
	fl_buf_release(&ids);
	return rc;
}

/*
 * An operator that stands still before it has passed a barrier on: nothing is heard of it
 * here but that the checkpoint's directory is there. It is given up by the same clock.
 */
static int
look_for_stuck(struct fc_committer *c, struct fl_err *err)
{
	int64_t now = fl_clock_ms();
	uint64_t id;

	if (oldest_open(c, &id, err) < 0)
		return err->code;
	if (id != c->awaited) {
		c->awaited = id;
		c->awaited_ms = now;
	}
	if (!id || now - c->awaited_ms < c->attempt->timeout_ms ||
	    !fc_decider_awaits_barrier(&c->decider, id))
		return 0;
	(void)snprintf(c->reason, sizeof c->reason,
		       "not complete in time: its barrier has not come to %s", c->uid);
	FL_FAULT("commit.abandon");
	if (fl_ck_abandon(c->dir, id, c->reason, err) < 0)
		return err->code;
	FL_FAULT("commit.abandoned");
	c->given_up = id;
	c->abandoned++;
	return too_many(c, err);
}

/* ---- the thread -------------------------------------------------------------------------- */

static void
free_epoch(struct fc_epoch *e)
{
	struct fl_ck_done done = { .op = e->op };

	fl_header_init(&done.lineage);
	fl_ck_done_release(&done);
	fl_buf_release(&e->pieces);
	free(e);
}

/* With the lock held: what is to be done next; false: nothing more. */
static bool
next_work(struct fc_committer *c)
{
	struct timespec t;
	int rc = 0;

	if (!c->decides || c->failed) {
		while (!c->stop && !c->hurry && (c->failed || !c->first))
			(void)pthread_cond_wait(&c->changed, &c->lock);
		return !c->stop;
	}
	after(&t, look_interval_ms(c) * 1000);
	while (!c->stop && !c->hurry && !c->first && rc == 0)
		rc = pthread_cond_timedwait(&c->changed, &c->lock, &t);
	return !c->stop;
}

static void *
work(void *arg)
{
	struct fc_committer *c = arg;

	(void)pthread_mutex_lock(&c->lock);
	while (next_work(c)) {
		struct fc_epoch *e = c->failed ? NULL : c->first;
		const struct fc_part *hurry = c->hurry;
		struct fl_err err = { 0 };
		int rc = 0;

		c->busy = true;
		(void)pthread_mutex_unlock(&c->lock);
		/* while an epoch is there, its part's bytes are brought to the disk anyway */
		if (e)
			rc = process(c, e, &err);
		else if (hurry)
			fc_part_hurry(hurry);
		else
			rc = look_for_stuck(c, &err);
		(void)pthread_mutex_lock(&c->lock);
		c->hurry = NULL;
		c->busy = false;
		if (e) {
			c->first = e->next;
			c->last = c->first ? c->last : NULL;
			free_epoch(e);
		}
		if (rc < 0 && !c->failed) {
			c->failed = true;
			c->err = err;
		}
		(void)pthread_cond_broadcast(&c->changed);
	}
	(void)pthread_mutex_unlock(&c->lock);
	return NULL;
}

int
fc_committer_start(struct fc_committer *c, bool only_watch, struct fl_err *err)
{
	pthread_condattr_t attr;
	sigset_t all, old;
	int rc;

	(void)pthread_mutex_init(&c->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&c->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
	c->decider_fd = -1;
	if (!only_watch) {
		rc = fl_ckdir_try_lock(c->dir, "decider", &c->decider_fd, err);
		if (rc < 0)
			return rc;
		c->decides = rc == 1;
	}
	/* signals are for the thread that reads */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&c->thread, NULL, work, c);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	c->running = rc == 0;
	return rc ? fl_fail_errno(err, FL_ELIMIT, rc, "cannot start a thread") : 0;
}

void
fc_committer_push(struct fc_committer *c, const struct fl_barrier *b, const struct fl_ck_op *op,
		  struct fl_buf *pieces, uint64_t records)
{
	struct fc_epoch *e = fl_xcalloc(1, sizeof *e);

	e->barrier = *b;
	e->final = op->finished;
	e->records = records;
	e->pieces = *pieces;
	*pieces = (struct fl_buf){ 0 };
	copy_op(&e->op, op);
	(void)pthread_mutex_lock(&c->lock);
	if (c->last)
		c->last->next = e;
	else
		c->first = e;
	c->last = e;
	(void)pthread_cond_broadcast(&c->changed);
	(void)pthread_mutex_unlock(&c->lock);
}

void
fc_committer_hurry(struct fc_committer *c, const struct fc_part *p)
{
	(void)pthread_mutex_lock(&c->lock);
	if (!c->first && !c->busy) {
		c->hurry = p;
		(void)pthread_cond_broadcast(&c->changed);
	}
	(void)pthread_mutex_unlock(&c->lock);
}

int
fc_committer_check(struct fc_committer *c, struct fl_err *err)
{
	int rc = 0;

	(void)pthread_mutex_lock(&c->lock);
	if (c->failed) {
		*err = c->err;
		rc = c->err.code;
	}
	(void)pthread_mutex_unlock(&c->lock);
	return rc;
}

bool
fc_committer_busy(struct fc_committer *c)
{
	bool busy;

	(void)pthread_mutex_lock(&c->lock);
	busy = c->first != NULL;
	(void)pthread_mutex_unlock(&c->lock);
	return busy;
}

bool
fc_committer_carries(struct fc_committer *c)
{
	bool carries;

	(void)pthread_mutex_lock(&c->lock);
	carries = c->carries;
	(void)pthread_mutex_unlock(&c->lock);
	return carries;
}

int
fc_committer_wait(struct fc_committer *c, struct fl_err *err)
{
	(void)pthread_mutex_lock(&c->lock);
	while (!c->failed && c->first)
		(void)pthread_cond_wait(&c->changed, &c->lock);
	(void)pthread_mutex_unlock(&c->lock);
	return fc_committer_check(c, err);
}

/* ---- after the end ------------------------------------------------------------------------ */

/* The job's last manifest, wherever it is: 1, or 0 not yet. */
static int
find_last(struct fc_committer *c, struct fl_manifest *ret, struct fl_err *err)
{
	int rc = fl_manifest_newest(c->dir, ret, err);

	if (rc <= 0 || ret->finished)
		return rc;
	fl_manifest_release(ret);
	return 0;
}

/* Whether each sink has written what was its last. */
static bool
all_written(struct fc_committer *c, const struct fl_manifest *m)
{
	char what[FL_CHECKPOINT_NAME_MAX], path[FL_CHECKPOINT_NAME_MAX];
	struct fl_err ignored;
	struct fl_buf none = { 0 };
	bool all = true;

	for (uint32_t i = 0; i < m->sink_count; i++) {
		const struct fl_ck_op *op = fl_manifest_op(m, m->sinks[i].uid);
		uint64_t id = op && op->checkpoint ? op->checkpoint : m->id;

		if (id < c->attempt->next_id) /* in an earlier attempt */
			continue;
		fl_ck_file(what, m->sinks[i].uid, c->attempt->number, "written");
		fl_ck_path(path, id, what);
		all = all && fl_ckdir_read(c->dir, path, 1, &none, &ignored) == 0;
	}
	fl_buf_release(&none);
	return all;
}

/* Go on deciding for the sinks that have not ended. */
static int
decide_rest(struct fc_committer *c, struct fl_err *err)
{
	struct fl_err ignored;
	uint32_t left;

	while (!c->finished) {
		struct fc_epoch e = { .barrier.id = c->completed + 1, .final = true };
		int rc = decide_any(c, &e, &c->finished, err);

		if (rc < 0)
			return rc;
		if (rc == 0)
			return fl_fail(err, FL_ETEMP, "%s", c->reason);
		c->completed = c->decider.id;
		(void)fl_ckdir_clean(c->dir, c->attempt->retain, &left, &ignored);
	}
	return 0;
}

int
fc_committer_finish(struct fc_committer *c, struct fl_err *err)
{
	int64_t deadline = fl_clock_ms() + ENDS * c->attempt->timeout_ms;
	struct fl_manifest m = { 0 };
	int rc;

	if (c->attempt->sinks <= 1)
		return 0;
	if (c->decides && decide_rest(c, err) < 0)
		return err->code;
	for (;;) {
		bool alone = is_alone(c); /* before it looks a last time */

		rc = find_last(c, &m, err);
		if (rc < 0)
			return rc;
		if (rc > 0 && all_written(c, &m))
			break;
		if (rc > 0)
			fl_manifest_release(&m);
		if (alone || fl_clock_ms() >= deadline)
			return fl_fail(err, FL_ETEMP, "another fcheckpoint commit %s",
				       alone ? "has died" : "did not end in time");
		if (!fc_committer_sleep(c, POLL_MAX_US))
			return stopped(err);
	}
	fl_manifest_release(&m);
	return 0;
}

static void
free_pieces(struct fl_buf *b)
{
	size_t n;
	struct fc_piece *p = pieces_of(b, &n);

	for (size_t i = 0; i < n; i++)
		if (p[i].last)
			fc_part_free(p[i].part);
	fl_buf_release(b);
}

void
fc_committer_stop(struct fc_committer *c)
{
	if (c->running) {
		(void)pthread_mutex_lock(&c->lock);
		c->stop = true;
		(void)pthread_cond_broadcast(&c->changed);
		(void)pthread_mutex_unlock(&c->lock);
		(void)pthread_join(c->thread, NULL);
		c->running = false;
	}
	while (c->first) {
		struct fc_epoch *e = c->first;

		c->first = e->next;
		free_pieces(&e->pieces);
		free_epoch(e);
	}
	free_pieces(&c->carried);
	fc_decider_release(&c->decider);
	if (c->decides)
		(void)close(c->decider_fd);
}
