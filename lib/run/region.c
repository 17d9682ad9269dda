/* SPDX-License-Identifier: Apache-2.0 */
#include "run/region.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/io.h"
#include "run/run.h"
#include "run/state.h"
#include "state/backend.h"

#define RUN_SECTION "run"
#define OPERATOR_SECTION "operator"
#define RUN_VERSION 1u

/* A larger state is written by a child; of what is only copied, one larger than the second. */
#define ENCODE_MAX FL_MIB(1)
#define COPY_MAX FL_MIB(16)

/* ---- who am I? ------------------------------------------------------------------- */

/* "orders." where the path begins at fcheckpoint begin --name orders; else "". */
static size_t
source_prefix(const struct fl_header *h, const char **ret)
{
	static const char begin[] = ".begin-1";
	const char *uid = h->lineage_count ? h->lineage[0].uid : "";
	size_t n = strlen(uid);

	*ret = uid;
	if (n <= sizeof begin - 1 || strcmp(uid + n - (sizeof begin - 1), begin) != 0)
		return 0;
	return n - (sizeof begin - 2); /* with the dot */
}

void
fl__run_uid(const struct fl_run *run, const struct fl_header *h, struct fl_buf *out)
{
	const char *prefix;
	size_t n = source_prefix(h, &prefix);
	const char *name = run->op->uid_name ? run->op->uid_name : run->op->name;
	uint32_t count = 1;

	if (run->opt.uid) {
		fl_buf_puts(out, run->opt.uid);
		return;
	}
	for (uint32_t i = 0; i < h->lineage_count; i++)
		count += strcmp(h->lineage[i].tool, run->op->name) == 0;
	if (run->op->uid_name) /* fcheckpoint commit: begin is of the same tool */
		count = 1;
	fl_buf_put(out, prefix, n);
	fl_buf_printf(out, "%s-%u", name, count);
}

/* ---- signals ------------------------------------------------------------------------ */

/*
 * SIGTERM and the first Ctrl-C ask begin for a savepoint and the end; the tool itself goes
 * on until END comes. The second ends it at once.
 */
static void *
take_signals(void *arg)
{
	struct fl_region *g = arg;
	struct fl_err ignored;
	bool asked = false;
	sigset_t set;
	int sig;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	while (sigwait(&set, &sig) == 0 && !atomic_load(&g->ending)) {
		if (asked && sig == SIGINT)
			_exit(-FL_EINTERRUPT);
		(void)fl_ckdir_ask(&g->dir, FL_REQUEST_STOP,
				   sig == SIGINT ? -FL_EINTERRUPT : -FL_ETEMP, &ignored);
		asked = true;
	}
	return NULL;
}

static void
start_signals(struct fl_region *g)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	g->signals = pthread_create(&g->signals_thread, NULL, take_signals, g) == 0;
	if (!g->signals)
		(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* What the thread is about is finished first: it may be writing a request. */
static void
stop_signals(struct fl_region *g)
{
	if (!g->signals)
		return;
	atomic_store(&g->ending, true);
	(void)pthread_kill(g->signals_thread, SIGTERM);
	(void)pthread_join(g->signals_thread, NULL);
	g->signals = false;
}

/* ---- joining ------------------------------------------------------------------------- */

static int
other_attempt(const struct fl_region *g, const struct fl_input *in, const struct fl_header *h,
	      struct fl_err *err)
{
	return fl_fail(
		err, FL_ETEMP,
		"%s is of attempt %llu of %s, but another input is of attempt %llu of %s: what "
		"is left of an earlier run is still there; end it and run the line again",
		in->name, (unsigned long long)h->attempt, h->checkpoint_dir,
		(unsigned long long)g->attempt.number, g->dir.path);
}

static int
check_state(struct fl_run *run, const struct fl_manifest *m, struct fl_err *err)
{
	const struct fl_region *g = &run->region;
	bool stateful = run->op->stateful ? run->op->stateful(run->self)
					  : run->op->snapshot != NULL;

	for (uint32_t i = 0; i < run->input_count; i++)
		stateful = stateful || run->in[i].header.raw;
	if (fl_manifest_op(m, g->uid) || !stateful || g->attempt.allow_dropped)
		return 0;
	return fl_fail(
		err, FL_ECONFIG,
		"checkpoint %llu has no state of %s: it is new in this line, or stood elsewhere "
		"(--uid names it); fcheckpoint begin --allow-dropped-state lets it begin empty",
		(unsigned long long)m->id, g->uid);
}

static int
load_run(struct fl_run *run, struct fl_err *err)
{
	struct fl_state_section s;
	int rc;

	while ((rc = fl_load_section(run->region.load, &s, err)) > 0) {
		if (strcmp(s.name, OPERATOR_SECTION) == 0)
			return 0;
		rc = fl__load_run_section(run, run->region.load, &s, err);
		if (rc < 0)
			return rc;
	}
	return rc < 0 ? rc
		      : fl_load_damaged(run->region.load, "the operator's part is missing", err);
}

/* Find this operator's state in the checkpoint, and read the runner's part of it. */
static int
open_state(struct fl_run *run, struct fl_err *err)
{
	struct fl_region *g = &run->region;
	struct fl_manifest m = { 0 };
	const struct fl_ck_op *op;
	int rc = fl_manifest_read(&g->dir, g->restore_id, &m, err);

	if (rc == 0)
		rc = check_state(run, &m, err);
	op = rc == 0 ? fl_manifest_op(&m, g->uid) : NULL;
	if (op) {
		FL_FAULT("restore.manifest");
		g->finished = op->finished;
		if (!op->finished)
			rc = fl_ck_verify_files(&g->dir, &m, op, &g->seen, err);
	}
	if (op && rc == 0) {
		g->load = fl_manifest_load(&g->dir, &m, op, &g->state_name, err);
		rc = g->load ? load_run(run, err) : err->code;
		FL_FAULT("restore.run");
	}
	fl_manifest_release(&m);
	return rc;
}

int
fl__region_enter(struct fl_run *run, uint32_t i, const struct fl_header *h, struct fl_err *err)
{
	struct fl_region *g = &run->region;
	struct fl_buf uid = { 0 };
	uint64_t random;

	if (!h->checkpoint_dir)
		return 0;
	if (g->joined)
		return h->attempt == g->attempt.number &&
				       strcmp(h->checkpoint_dir, g->dir.path) == 0
			       ? 0
			       : other_attempt(g, &run->in[i], h, err);
	if (fl_ckdir_open(&g->dir, h->checkpoint_dir, false, err) < 0 ||
	    fl_ckdir_join(&g->dir, h->attempt, err) < 0 ||
	    fl_ckdir_read_attempt(&g->dir, &g->attempt, err) < 0)
		return err->code;
	fl__run_uid(run, h, &uid);
	g->uid = fl_xstrndup(uid.data, uid.len);
	fl_buf_release(&uid);
	fl_random(&random, sizeof random);
	(void)snprintf(g->instance, sizeof g->instance, "%016llx", (unsigned long long)random);
	fl_fault_uid(g->uid);
	if (fl_uid_check(g->uid, err) < 0 || fl_ckdir_claim(&g->dir, g->uid, g->instance, err) < 0)
		return err->code;
	g->joined = true;
	g->restore_id = h->restore_id;
	start_signals(g);
	return g->restore_id ? open_state(run, err) : 0;
}

int
fl__region_restore(struct fl_run *run, struct fl_err *err)
{
	struct fl_region *g = &run->region;
	struct fl_state_section s;
	int rc = 0;

	if (!g->load)
		return 0;
	if (!g->finished && run->op->restore && run->was_opened)
		rc = run->op->restore(run->self, run, g->load, err);
	else if (run->was_opened && !run->op->restore &&
		 (rc = fl_load_section(g->load, &s, err)) > 0)
		rc = fl_fail(err, FL_ECONFIG, "%s has state, but %s keeps none", g->state_name,
			     run->op->name);
	/* nothing comes from here before every byte of the state has been checked */
	if (rc == 0)
		rc = fl_load_rest(g->load, err);
	FL_FAULT("restore.operator");
	fl_load_close(g->load);
	g->load = NULL;
	return rc;
}

/* ---- a snapshot becomes durable --------------------------------------------------------- */

static int
sync_sides(const struct fl_snapshot_job *job, struct fl_err *err)
{
	const int *fd = (const int *)(const void *)job->sync.data;

	for (size_t i = 0; i < job->sync.len / sizeof *fd; i++)
		if (fsync(fd[i]) < 0)
			return fl_fail_errno(err, FL_EIO, errno, "cannot fsync a side file");
	return 0;
}

static void
put_failed(const struct fl_snapshot_job *job, const struct fl_err *err)
{
	struct fl_err ignored;

	(void)fl_ck_put_failed(job->dir, job->done.id, job->done.op.uid, err->msg, &ignored);
}

/* The file is written: fsync, rename, .done. */
static int
commit_state(struct fl_snapshot_job *job, struct fl_ckfile *f, struct fl_err *err)
{
	struct fl_ck_op *op = &job->done.op;

	op->state.size = fl_save_size(job->save);
	op->state.hash = fl_save_hash(job->save);
	op->entries = fl_save_entries(job->save);
	if (job->backend && fl_backend_checkpointed(job->backend, err) < 0)
		return err->code;
	if (job->backend && fl_ck_hash_files(job->dir, job->done.id, op, job->seen, err) < 0)
		return err->code;
	if (sync_sides(job, err) < 0 || fl_ckfile_commit(job->dir, f, err) < 0)
		return err->code;
	op->duration_ms = (fl_clock_us() - job->began_us) / 1000;
	if (job->stats) {
		job->stats->checkpoint_ms = op->duration_ms;
		job->stats->checkpoint_stall_us = op->stall_us;
		job->stats->checkpoint_bytes = (int64_t)op->state.size;
		job->stats->checkpoint = (int64_t)job->done.id;
	}
	return job->own_done ? 0 : fl_ck_put_done(job->dir, &job->done, err);
}

void
fl__region_files(struct fl_run *run, struct fl_backend *b)
{
	struct fl_snapshot_job *job = &run->region.job;

	job->backend = b;
	free(job->done.op.backend);
	job->done.op.backend = fl_xstrdup("rocksdb");
}

/* A state in memory. */
static int
write_state(struct fl_snapshot_job *job, struct fl_err *err)
{
	const struct fl_buf *b = fl_save_memory(job->save);
	char path[FL_CHECKPOINT_NAME_MAX];
	struct fl_ckfile f;
	int rc;

	if (fl_save_end(job->save, err) < 0)
		return err->code;
	fl_ck_path(path, job->done.id, job->done.op.state.name);
	if (fl_ckfile_create(job->dir, path, &f, err) < 0)
		return err->code;
	FL_FAULT("state.create");
	rc = fl_io_write(f.fd, b->data, b->len, path, err);
	FL_FAULT("state.written");
	if (rc == 0)
		rc = commit_state(job, &f, err);
	if (rc < 0)
		fl_ckfile_cancel(job->dir, &f);
	return rc;
}

static void *
write_in_thread(void *arg)
{
	struct fl_snapshot_job *job = arg;
	struct fl_err err = { 0 };

	if (write_state(job, &err) < 0)
		put_failed(job, &err);
	return NULL;
}

/* In the child, which has the state as it was at the barrier. */
static void
write_in_child(struct fl_run *run, struct fl_ckfile *f)
{
	struct fl_snapshot_job *job = &run->region.job;
	struct fl_err err = { 0 };
	int rc;

	fl_ckdir_unclaim(job->dir);
	job->done.op.stall_us = fl_clock_us() - job->began_us;
	run->op->snapshot(run->self, run, job->save);
	FL_FAULT("child.written");
	rc = fl_save_end(job->save, &err);
	/* what the stream waited for is the parent's return, not the child's turn to run */
	if (job->stats && job->stats->stood_us)
		job->done.op.stall_us = job->stats->stood_us;
	if (rc == 0)
		rc = commit_state(job, f, &err);
	if (rc < 0) {
		put_failed(job, &err);
		fl_ckfile_cancel(job->dir, f);
	}
	FL_FAULT("child.end");
	_exit(rc < 0);
}

void
fl__region_wait(struct fl_run *run)
{
	struct fl_snapshot_job *job = &run->region.job;

	if (!job->running)
		return;
	if (job->child)
		while (waitpid((pid_t)job->child, NULL, 0) < 0 && errno == EINTR)
			;
	else
		(void)pthread_join(job->thread, NULL);
	fl_save_free(job->save);
	fl_ck_done_release(&job->done);
	job->save = NULL;
	job->child = 0;
	job->running = false;
}

/* ---- at the barrier ----------------------------------------------------------------------- */

static void
begin_job(struct fl_run *run, const struct fl_barrier *b, bool finished)
{
	struct fl_region *g = &run->region;
	struct fl_snapshot_job *job = &g->job;
	char name[FL_CHECKPOINT_NAME_MAX];

	fl_ck_file(name, g->uid, g->attempt.number, "state");
	job->dir = &g->dir;
	job->seen = &g->seen;
	job->backend = NULL;
	job->stats = run->stats;
	job->done = (struct fl_ck_done){
		.id = b->id,
		.attempt = g->attempt.number,
		.op = { .uid = fl_xstrdup(g->uid),
			.tool = fl_xstrdup(run->op->name),
			.backend = fl_xstrdup("memory"),
			.state.name = fl_xstrdup(name),
			.checkpoint = b->id,
			.finished = finished },
	};
	if (g->first_barrier_us)
		job->done.op.align_ms = (job->began_us - g->first_barrier_us) / 1000;
	g->first_barrier_us = 0;
	fl_header_init(&job->done.lineage);
	fl_buf_clear(&job->sync);
	job->own_done = run->op->own_output;
	job->running = true;
}

/* The state is small: all of it into memory, now. */
static int
snapshot_small(struct fl_run *run, struct fl_err *err)
{
	struct fl_snapshot_job *job = &run->region.job;

	job->save = fl_save_new_in(&job->room, run->region.uid);
	if (fl__save_run(run, job->save, &job->sync, err) < 0)
		return err->code;
	fl_save_section(job->save, OPERATOR_SECTION, RUN_VERSION, NULL);
	if (run->op->snapshot && run->opened)
		run->op->snapshot(run->self, run, job->save);
	return 0;
}

static int
start_thread(struct fl_snapshot_job *job, struct fl_err *err)
{
	int code = pthread_create(&job->thread, NULL, write_in_thread, job);

	if (code)
		return fl_fail_errno(err, FL_ELIMIT, code, "cannot start a thread for a snapshot");
	return 0;
}

/* The state is large: the runner's part now, the operator's by a child. */
static int
snapshot_large(struct fl_run *run, struct fl_err *err)
{
	struct fl_snapshot_job *job = &run->region.job;
	char path[FL_CHECKPOINT_NAME_MAX];
	struct fl_ckfile f;
	pid_t pid;

	fl_ck_path(path, job->done.id, job->done.op.state.name);
	if (fl_ckfile_create(job->dir, path, &f, err) < 0)
		return err->code;
	job->save = fl_save_new(f.fd, run->region.uid);
	if (fl__save_run(run, job->save, &job->sync, err) < 0) {
		fl_ckfile_cancel(job->dir, &f);
		return err->code;
	}
	fl_save_section(job->save, OPERATOR_SECTION, RUN_VERSION, NULL);
	FL_FAULT("snapshot.fork");
	if (job->stats)
		job->stats->stood_us = 0;
	pid = fork();
	if (pid == 0)
		write_in_child(run, &f);
	if (pid < 0) {
		int code = errno;

		fl_ckfile_cancel(job->dir, &f);
		return fl_fail_errno(err, FL_ELIMIT, code, "cannot fork for a snapshot");
	}
	(void)close(f.fd); /* the child's now */
	job->child = pid;
	if (job->stats)
		job->stats->stood_us = fl_clock_us() - job->began_us;
	return 0;
}

/* Whether there is so much state that the stream shall not wait until it is copied. */
static bool
is_large(struct fl_run *run)
{
	const struct fl_op *op = run->op;
	size_t bytes;

	if (!run->opened || !op->state_bytes)
		return false;
	bytes = op->state_bytes(run->self);
	if (bytes <= ENCODE_MAX)
		return false;
	return bytes > COPY_MAX || !op->snapshot_copies || !op->snapshot_copies(run->self);
}

/* All that stands still at a barrier. */
static int
snapshot_now(struct fl_run *run, bool *ret_async, struct fl_err *err)
{
	struct fl_snapshot_job *job = &run->region.job;
	*ret_async = !job->own_done;
	if (run->opened && run->op->before_snapshot &&
	    run->op->before_snapshot(run->self, run, err) < 0)
		return err->code;
	/* what is in files is not copied; and a child would not have the backend's threads */
	if (!job->own_done && !job->backend && is_large(run))
		return snapshot_large(run, err);
	if (snapshot_small(run, err) < 0)
		return err->code;
	job->done.op.stall_us = fl_clock_us() - job->began_us;
	return job->own_done ? write_state(job, err) : start_thread(job, err);
}

/* A snapshot that fails fails its checkpoint, not the stream. */
int
fl__region_snapshot(struct fl_run *run, const struct fl_barrier *b, bool finished,
		    struct fl_err *err)
{
	struct fl_region *g = &run->region;
	struct fl_snapshot_job *job = &g->job;
	struct fl_err failed = { 0 };
	bool async;
	int rc;

	fl__region_wait(run); /* of a checkpoint that was abandoned, at the worst */
	FL_FAULT(finished ? "snapshot.final" : "snapshot.begin");
	job->began_us = fl_clock_us();
	begin_job(run, b, finished);
	rc = snapshot_now(run, &async, &failed);
	if (rc == 0 && async)
		return 0;
	if (rc < 0)
		put_failed(job, &failed);
	rc = 0;
	if (job->own_done && run->op->on_barrier)
		rc = run->op->on_barrier(run->self, run, b, &job->done.op, err);
	fl_save_free(job->save);
	fl_ck_done_release(&job->done);
	job->save = NULL;
	job->running = false;
	return rc;
}

void
fl__region_failed(struct fl_run *run, int status, bool told)
{
	struct fl_err ignored;

	if (run->region.joined && !told)
		(void)fl_ckdir_ask(&run->region.dir, FL_REQUEST_FAIL, status, &ignored);
}

void
fl__region_release(struct fl_run *run)
{
	struct fl_region *g = &run->region;

	fl__region_wait(run);
	stop_signals(g);
	fl_load_close(g->load);
	free(g->state_name);
	fl_attempt_release(&g->attempt);
	fl_buf_release(&g->job.sync);
	fl_buf_release(&g->job.room);
	fl_ck_seen_release(&g->seen);
	fl_ckdir_close(&g->dir);
	free(g->uid);
}
