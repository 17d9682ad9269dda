/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a checkpoint is made, and how. begin only begins them: commit completes or
 * abandons them, and the directory says which.
 *
 *	decided   its directory is made, durably, by a thread
 *	injected  the positions are taken, BARRIER goes into the output
 *	durable   the thread writes them, then UID.aNNN.done
 *
 * The last one of a job that ends has no barrier: its positions are made durable, then
 * END goes out, which names it.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/io.h"
#include "begin.h"

#define REQUEST_MS 50 /* requests are looked for this often */
#define LOOK_MS 10    /* an open checkpoint is looked at this often */
#define LOST_MS 250   /* processes are looked for this often */
#define DECIDER_MS 500
#define JOB_MS 2 /* the loop waits no longer than this while the disk works */

/* ---- signals ------------------------------------------------------------------------- */

static volatile sig_atomic_t signal_code;

static void
on_signal(int sig)
{
	int saved = errno;

	if (sig == SIGINT && signal_code)
		_exit(-FL_EINTERRUPT); /* the second Ctrl-C */
	signal_code = sig == SIGINT ? -FL_EINTERRUPT : -FL_ETEMP;
	errno = saved;
}

void
fc_signals_start(void)
{
	struct sigaction a = { .sa_handler = on_signal }, before;

	(void)sigaction(SIGTERM, &a, NULL);
	/* whoever has it ignored (a job in the background of a script) means that */
	if (sigaction(SIGINT, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
		(void)sigaction(SIGINT, &a, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
}

int
fc_signals_code(void)
{
	return signal_code;
}

/* ---- work on the disk ---------------------------------------------------------------- */

static int
make_durable(struct fc_begin *b, struct fl_err *err)
{
	struct fc_job *job = &b->job;
	struct fl_ckfile file;
	char name[FL_CHECKPOINT_NAME_MAX], path[FL_CHECKPOINT_NAME_MAX];
	const struct fl_buf *bytes = fl_save_memory(job->save);
	int rc;

	if (fc_source_sync(&b->source, err) < 0)
		return err->code;
	fl_ck_file(name, b->uid, b->attempt.number, "state");
	fl_ck_path(path, job->record.id, name);
	rc = fl_ckfile_create(&b->dir, path, &file, err);
	if (rc < 0)
		return rc;
	rc = fl_io_write(file.fd, bytes->data, bytes->len, path, err);
	FL_FAULT("begin.state");
	if (rc == 0)
		rc = fl_ckfile_commit(&b->dir, &file, err);
	else
		fl_ckfile_cancel(&b->dir, &file);
	if (rc < 0)
		return rc;
	job->record.op.state.name = fl_xstrdup(name);
	job->record.op.state.size = bytes->len;
	job->record.op.state.hash = fl_save_hash(job->save);
	job->record.op.duration_ms = fl_clock_ms() - b->injected_ms;
	FL_FAULT("begin.done");
	return fl_ck_put_done(&b->dir, &job->record, err);
}

static int
create(struct fc_begin *b, struct fl_err *err)
{
	FL_FAULT("begin.create");
	if (fl_ck_create(&b->dir, b->job.record.id, err) < 0)
		return err->code;
	FL_FAULT("begin.created");
	return fc_leader_tell(b, b->job.record.id, b->why, err);
}

static void *
work(void *arg)
{
	struct fc_begin *b = arg;
	struct fc_job *job = &b->job;
	struct fl_err ignored;

	job->rc = job->create ? create(b, &job->err) : make_durable(b, &job->err);
	if (job->rc < 0 && !job->create)
		(void)fl_ck_put_failed(&b->dir, job->record.id, b->uid, job->err.msg, &ignored);
	atomic_store(&job->done, true);
	return NULL;
}

static void
job_start(struct fc_begin *b, bool creates)
{
	struct fc_job *job = &b->job;

	job->create = creates;
	job->running = true;
	job->rc = 0;
	atomic_store(&job->done, false);
	if (pthread_create(&job->thread, NULL, work, b) == 0)
		return;
	job->thread = pthread_self();
	(void)work(b); /* no thread to be had: the stream waits for the disk */
}

void
fc_job_release(struct fc_job *job)
{
	fl_ck_done_release(&job->record);
	job->record = (struct fl_ck_done){ 0 };
	fl_save_free(job->save);
	job->save = NULL;
}

void
fc_job_wait(struct fc_begin *b)
{
	struct fc_job *job = &b->job;

	if (job->running && !pthread_equal(job->thread, pthread_self()))
		(void)pthread_join(job->thread, NULL);
	job->running = false;
}

/* ---- a checkpoint ---------------------------------------------------------------------- */

/* The positions, as they are at this place of the stream. */
static int
take_positions(struct fc_begin *b, struct fl_err *err)
{
	struct fc_job *job = &b->job;
	struct fl_ck_done *r = &job->record;
	struct fc_place here;

	fc_job_release(job);
	job->save = fl_save_new(-1, b->uid);
	if (fc_source_save(&b->source, job->save, err) < 0 || fl_save_end(job->save, err) < 0 ||
	    fc_source_here(&b->source, &here, err) < 0)
		return err->code;
	r->id = b->id;
	r->attempt = b->attempt.number;
	r->op.uid = fl_xstrdup(b->uid);
	r->op.tool = fl_xstrdup("fcheckpoint");
	r->op.backend = fl_xstrdup("memory");
	r->op.checkpoint = b->id;
	r->op.entries = fl_save_entries(job->save);
	r->op.finished = b->why == FC_FINAL;
	r->source = fl_xcalloc(1, sizeof *r->source);
	r->source->name = fl_xstrdup(b->opt.name ? b->opt.name : "");
	r->source->file = fl_xstrdup(here.name ? here.name : "");
	r->source->offset = here.offset;
	return 0;
}

/* BARRIER into the output. Test points stand between its halves. */
static void
put_barrier(struct fc_begin *b)
{
	struct fl_barrier barrier = { .id = b->id,
				      .attempt = b->attempt.number,
				      .injected_ms = b->injected_ms };

	if (b->why == FC_SAVEPOINT || b->why == FC_STOP)
		barrier.flags |= FL_BARRIER_SAVEPOINT;
	FL_FAULT("begin.barrier");
	fl_frame_barrier(&b->out, &barrier);
	if (fl_fault_points()) {
		struct fl_err ignored;
		size_t half = b->out.out.len - 20; /* within the frame */

		while (b->sent < half && fc_send_pending(b)) {
			int64_t n = fl_io_write_some(STDOUT_FILENO, b->out.out.data + b->sent,
						     half - b->sent, 100, "output", &ignored);

			if (n < 0)
				break;
			b->sent += (size_t)n;
		}
		FL_FAULT("begin.half_barrier");
		while (fc_send_pending(b) && fc_send_some(b, 100, &ignored) == 0)
			;
		FL_FAULT("begin.barrier_sent");
	}
}

/* Its directory stands: now the stream is told. */
int
fc_inject(struct fc_begin *b, struct fl_err *err)
{
	b->injected_ms = fl_clock_ms();
	if (take_positions(b, err) < 0)
		return err->code;
	if (b->why != FC_FINAL)
		put_barrier(b);
	fc_source_barrier(&b->source, b->id);
	b->open = true;
	b->began_ms = b->injected_ms;
	b->flowed = b->source.total;
	b->retry = false;
	if (b->serial && b->why != FC_STOP && b->why != FC_FINAL)
		fl_ckdir_answered(&b->dir, b->serial);
	b->serial = 0;
	job_start(b, false);
	return 0;
}

static void
put_end(struct fc_begin *b)
{
	struct fl_end end = { .checkpoint = b->id };

	if (b->why == FC_FINAL) {
		end.status = FL_END_COMPLETE;
	} else {
		end.status = FL_END_STOPPED;
		end.code = b->stop_code;
	}
	FL_FAULT("begin.end");
	fl_frame_end(&b->out, &end);
	fl_ckdir_ended(&b->dir);
	b->phase = FC_OVER;
}

/* Its positions are durable, or cannot be. */
static int
after_durable(struct fc_begin *b, struct fl_err *err)
{
	bool last = b->why == FC_FINAL || b->why == FC_STOP || b->why == FC_PAUSE;

	b->making = false;
	if (b->job.rc < 0 && last) {
		*err = b->job.err;
		return b->job.rc;
	}
	if (b->job.rc < 0) /* the decider abandons it; the stream goes on */
		fc_source_note(&b->source, "checkpoint %llu failed: %s", (unsigned long long)b->id,
			       b->job.err.msg);
	if (last)
		put_end(b);
	return 0;
}

/* The disk has done what it was given. */
static int
after_job(struct fc_begin *b, struct fl_err *err)
{
	struct fc_job *job = &b->job;

	fc_job_wait(b);
	if (!job->create)
		return after_durable(b, err);
	if (job->rc == 0) {
		b->create_failures = 0;
		return fc_inject(b, err);
	}
	b->making = false;
	b->seen_serial = 0;
	b->began_ms = fl_clock_ms();
	if (b->phase == FC_ENDING || ++b->create_failures > (uint32_t)b->opt.tolerate) {
		*err = job->err;
		return job->rc;
	}
	fc_source_note(&b->source, "checkpoint %llu cannot be begun: %s", (unsigned long long)b->id,
		       job->err.msg);
	return 0;
}

static void
begin_checkpoint(struct fc_begin *b)
{
	b->why = b->due_why;
	b->due = false;
	b->serial = b->due_serial;
	b->due_serial = 0;
	b->making = true;
	b->id = b->next_id++;
	fc_job_release(&b->job);
	b->job.record.id = b->id;
	job_start(b, true);
}

/* ---- when ------------------------------------------------------------------------------ */

/* Whether it takes part in every checkpoint, and none is its last yet. */
static bool
goes_on(const struct fc_begin *b)
{
	return b->phase == FC_RUNNING || b->phase == FC_WAITING;
}

static void
give_end(struct fc_begin *b)
{
	struct fl_err ignored;

	b->phase = FC_ENDING;
	b->due_why = b->opt.keep_open ? FC_PAUSE : FC_FINAL;
	b->stop_code = 0;
	b->due = true;
	if (b->leader_fd < 0) /* it ends at the next checkpoint that is numbered */
		(void)fl_ckdir_ask(&b->dir, FL_REQUEST_CHECKPOINT, 0, &ignored);
}

/*
 * One of several sources is there until all are. The tools behind it are too, then, and when
 * the line fails it hears of it through them at once; where they had ended, it could not tell
 * that from a line that goes on. Only what has given nothing must not wait: the columns of an
 * empty input are known by its END, and commit waits for them.
 *
 * Where the region is kept open, the place at which one pauses must be the place of all: the
 * rows that another still has would else be taken without those that this one will bring.
 */
int
fc_at_end(struct fc_begin *b, struct fl_err *err)
{
	if (fc_tell_end(b, err) < 0)
		return err->code;
	if (b->opt.name && (b->opt.keep_open || b->source.total != b->restored))
		b->phase = FC_WAITING;
	else
		give_end(b);
	return 0;
}

static void
look_for_others(struct fc_begin *b, int64_t now_ms)
{
	if (b->phase != FC_WAITING || !fc_others_ready(b, now_ms))
		return;
	if (b->leader_fd >= 0 || !b->opt.keep_open)
		give_end(b);
}

static void
take_request(struct fc_begin *b, enum fl_request_kind kind, int code, uint64_t serial)
{
	if (kind == FL_REQUEST_CHECKPOINT || kind == FL_REQUEST_SAVEPOINT) {
		enum fc_why why = kind == FL_REQUEST_SAVEPOINT ? FC_SAVEPOINT : FC_ASKED;

		if (b->due && b->due_why >= why)
			return;
		b->due_why = why;
	} else {
		b->phase = FC_ENDING;
		b->due_why = kind == FL_REQUEST_DRAIN ? FC_FINAL : FC_STOP;
		b->stop_code = code;
	}
	b->due = true;
	b->due_serial = serial;
}

/* Signals and requests; both come to the leader through the directory. */
static void
look_for_requests(struct fc_begin *b, int64_t now_ms)
{
	struct fl_err ignored;
	enum fl_request_kind kind;
	uint64_t serial = 0;
	int code = signal_code;

	if (code && goes_on(b)) {
		(void)fl_ckdir_ask(&b->dir, FL_REQUEST_STOP, code, &ignored);
		if (b->leader_fd >= 0)
			take_request(b, FL_REQUEST_STOP, code, 0);
	}
	if (now_ms - b->look_ms < REQUEST_MS && now_ms >= b->look_ms)
		return;
	b->look_ms = now_ms;
	if (b->leader_fd < 0 || (!goes_on(b) && b->due_why == FC_STOP))
		return;
	kind = fl_ckdir_asked(&b->dir, &code, &serial);
	if (kind == FL_REQUEST_NONE || serial == b->seen_serial)
		return;
	if (kind == FL_REQUEST_FAIL) {
		b->broken = code;
		return;
	}
	b->seen_serial = serial;
	if (goes_on(b) || kind == FL_REQUEST_STOP)
		take_request(b, kind, code, serial);
}

bool
fc_has_lost(struct fc_begin *b, int64_t now_ms)
{
	if (now_ms - b->lost_look_ms >= LOST_MS || now_ms < b->lost_look_ms) {
		b->lost_look_ms = now_ms;
		b->lost = fl_ckdir_lost(&b->dir);
	}
	return b->lost;
}

/*
 * The pipe does not always tell that a tool has died: a foreign program between (tee)
 * sees it only when it writes, and nothing may flow any more. The pipes have the first
 * word, as who fails says why; at the second look this source ends the line.
 */
static void
look_for_lost(struct fc_begin *b, int64_t now_ms)
{
	bool before = b->lost;
	int64_t looked_ms = b->lost_look_ms;
	enum fl_request_kind kind;
	uint64_t serial;
	int code;

	if (!fc_has_lost(b, now_ms) || !before || b->lost_look_ms == looked_ms)
		return;
	kind = fl_ckdir_asked(&b->dir, &code, &serial);
	b->broken = kind == FL_REQUEST_FAIL ? code : -FL_ETEMP;
}

/* A line without fcheckpoint commit: nobody decides on its checkpoints. */
static void
look_at_decider(struct fc_begin *b, int64_t now_ms)
{
	if (now_ms - b->injected_ms > b->opt.timeout_ms + DECIDER_MS &&
	    !fl_ckdir_is_locked(&b->dir, "decider") &&
	    /* once more: commit writes its manifest, then gives the lock back */
	    fl_ck_look(&b->dir, b->id) == FL_CK_OPEN)
		b->broken = -FL_ETEMP;
}

/* What has become of the last checkpoint. */
static void
look_at_open(struct fc_begin *b, int64_t now_ms)
{
	enum fl_ck_state state;

	if (!b->open || (now_ms - b->look_ck_ms < LOOK_MS && now_ms >= b->look_ck_ms))
		return;
	b->look_ck_ms = now_ms;
	state = fl_ck_look(&b->dir, b->id);
	if (state == FL_CK_OPEN) {
		look_at_decider(b, now_ms);
		return;
	}
	b->open = false;
	b->ended_ms = now_ms;
	/* one that was abandoned is tried again, though an operator that stands still lets
	   nothing flow: --tolerate counts them */
	b->retry = state != FL_CK_COMPLETE;
	if (state == FL_CK_COMPLETE) {
		fc_source_complete(&b->source, b->id);
		if (b->source.mode == FC_SPOOL)
			fc_spool_trim(&b->source, &b->dir, b->opt.name);
	}
}

static bool
paused_enough(const struct fc_begin *b, int64_t now_ms)
{
	return now_ms - b->ended_ms >= b->opt.min_pause_ms || now_ms < b->ended_ms;
}

/* Whether the leader begins a checkpoint now. */
static bool
may_begin(struct fc_begin *b, int64_t now_ms)
{
	if (b->making || b->open || b->phase == FC_OVER)
		return false;
	if (b->due && b->due_why >= FC_SAVEPOINT)
		return true;
	if (!goes_on(b) || !paused_enough(b, now_ms))
		return false;
	/* at its end the leader does not see what flows: the others' records do */
	if (!b->due &&
	    (b->retry || b->source.total != b->flowed ||
	     (b->phase == FC_WAITING && b->all_joined)) &&
	    (now_ms - b->began_ms >= b->opt.every_ms || now_ms < b->began_ms)) {
		b->due = true;
		b->due_why = FC_PERIODIC;
	}
	return b->due;
}

/* What could not be said at once: a command's guarantee, a log that was cut. */
static void
print_notes(struct fc_begin *b)
{
	struct fl_buf *notes = &b->source.notes;
	struct fl_err ignored;
	size_t from = 0;

	while (from < notes->len) {
		const char *line = notes->data + from;
		size_t n = (size_t)((const char *)memchr(line, '\n', notes->len - from) - line) + 1;

		if (!b->opt.quiet) {
			static const char name[] = "fcheckpoint begin: ";

			(void)fl_io_write(STDERR_FILENO, name, sizeof name - 1, "stderr", &ignored);
			(void)fl_io_write(STDERR_FILENO, line, n, "stderr", &ignored);
		}
		from += n;
	}
	fl_buf_clear(notes);
}

int
fc_coordinate(struct fc_begin *b, struct fl_err *err)
{
	int64_t now_ms = fl_clock_ms();

	if (b->source.notes.len)
		print_notes(b);
	if (b->phase == FC_OVER)
		return 0;
	if (b->job.running && atomic_load(&b->job.done) && after_job(b, err) < 0)
		return err->code;
	look_for_requests(b, now_ms);
	look_at_open(b, now_ms);
	look_for_lost(b, now_ms);
	if (b->broken) {
		(void)fl_fail(err, -b->broken, "a tool behind this one has ended");
		err->quiet = true; /* it has said why, or was killed */
		return err->code;
	}
	look_for_others(b, now_ms);
	if (b->leader_fd < 0)
		return fc_follow_leader(b, now_ms, err);
	if (may_begin(b, now_ms))
		begin_checkpoint(b);
	return 0;
}

int
fc_patience(const struct fc_begin *b)
{
	if (b->job.running)
		return JOB_MS;
	if (b->due || b->open || b->phase != FC_RUNNING)
		return LOOK_MS;
	return b->opt.every_ms < REQUEST_MS ? LOOK_MS : REQUEST_MS;
}
