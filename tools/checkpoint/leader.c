/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several sources in one directory (begin --name). Who holds the lock "leader" numbers
 * the attempt and its checkpoints; the others join the attempt, and follow.
 *
 * The directory is the message here too. With --name, the leader notes beside each
 * checkpoint, before it sends its own barrier, why it is made:
 *
 *	chk-0000000012/NAME.begin-1.a003.barrier    "periodic", "stop 75", …
 *
 * and the others then send their barrier of this number, or, if they have ended, END.
 * claims/a003-leader says "living NAME" or "ended NAME": leadership passes on from a
 * source that ended; that of one that died is not taken over: the attempt is broken.
 * claims/a003-end.NAME is there when that source is at its end. Where it is kept open, it
 * stays until all are (fc_others_ready): one place for all of them, from which all go on.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "begin.h"

#define WAIT_MS 5000 /* for what is left of an earlier run to go */
#define GONE_MS 2000 /* for commit to come, when the reader has gone */
#define RETRY_MS 50
#define LOOK_MS 50
#define END_LOOK_MS 10
#define LOCK_LOOK_MS 200
#define NOTE_MAX 64

static const char *const why_name[] = {
	[FC_PERIODIC] = "periodic", [FC_ASKED] = "asked", [FC_SAVEPOINT] = "savepoint",
	[FC_STOP] = "stop",         [FC_PAUSE] = "pause", [FC_FINAL] = "final",
};

static void
leader_note(const struct fc_begin *b, char out[FL_CHECKPOINT_NAME_MAX])
{
	(void)snprintf(out, FL_CHECKPOINT_NAME_MAX, "claims/a%03llu-leader",
		       (unsigned long long)b->attempt.number);
}

static int
say(const struct fc_begin *b, const char *what, struct fl_err *err)
{
	char path[FL_CHECKPOINT_NAME_MAX], text[NOTE_MAX + FL_UID_MAX];

	if (!b->opt.name)
		return 0;
	leader_note(b, path);
	(void)snprintf(text, sizeof text, "%s %s", what, b->uid);
	return fl_ckdir_write(&b->dir, path, text, strlen(text), err);
}

static void
end_note(const struct fc_begin *b, const char *name, char out[FL_CHECKPOINT_NAME_MAX])
{
	(void)snprintf(out, FL_CHECKPOINT_NAME_MAX, "claims/a%03llu-end.%s",
		       (unsigned long long)b->attempt.number, name);
}

int
fc_tell_end(struct fc_begin *b, struct fl_err *err)
{
	char path[FL_CHECKPOINT_NAME_MAX];

	b->at_end_ms = fl_clock_ms();
	if (!b->opt.name)
		return 0;
	end_note(b, b->opt.name, path);
	return fl_ckdir_write(&b->dir, path, "end", 3, err);
}

/* ---- entering the attempt ------------------------------------------------------------ */

static uint64_t
highest_id(const struct fl_ckdir *d)
{
	struct fl_buf ids = { 0 };
	struct fl_err ignored;
	uint64_t id = 0;

	if (fl_ck_list(d, &ids, &ignored) == 0 && ids.len >= sizeof id)
		memcpy(&id, ids.data + ids.len - sizeof id, sizeof id);
	fl_buf_release(&ids);
	return id;
}

static int
lead(struct fc_begin *b, struct fl_err *err)
{
	struct fl_attempt *a = &b->attempt, before = { 0 };
	struct fl_manifest m = { 0 };
	struct fl_err ignored;
	char *name = fl_xstrdup(b->opt.name ? b->opt.name : "");
	int rc = fl_manifest_newest(&b->dir, &m, err);

	if (rc < 0) {
		free(name);
		return rc;
	}
	fl_attempt_release(a); /* it was looked at */
	a->next_id = highest_id(&b->dir) + 1;
	if (fl_ckdir_read_attempt(&b->dir, &before, &ignored) == 0 && before.next_id > a->next_id)
		a->next_id = before.next_id;
	fl_attempt_release(&before);
	a->restore_id = rc ? m.id : 0;
	fl_manifest_release(&m);
	a->sinks = (uint32_t)b->opt.sinks;
	a->at_least_once = b->opt.at_least_once;
	a->allow_dropped = b->opt.allow_dropped;
	a->timeout_ms = b->opt.timeout_ms;
	a->tolerate = (uint32_t)b->opt.tolerate;
	a->retain = (uint32_t)b->opt.retain;
	a->every_ms = b->opt.every_ms;
	a->min_pause_ms = b->opt.min_pause_ms;
	a->pid = getpid();
	a->sources = fl_xcalloc(1, sizeof *a->sources);
	a->sources[0] = name;
	a->source_count = 1;
	rc = fl_ckdir_begin(&b->dir, a, err);
	b->next_id = a->next_id;
	return rc < 0 ? rc : say(b, "living", err);
}

static bool
has_joined(const struct fl_attempt *a, const char *name)
{
	for (uint32_t i = 0; i < a->source_count; i++)
		if (strcmp(a->sources[i], name) == 0)
			return true;
	return false;
}

/* Whether the attempt that the directory is at has lost a process: it will end. */
static bool
is_broken(const struct fc_begin *b)
{
	struct fl_ckdir d = b->dir;

	d.attempt = b->attempt.number;
	return fl_ckdir_lost(&d);
}

/* The attempt of another leader, living or ended, which this source has not joined yet: 1. */
static int
join(struct fc_begin *b, bool ended, struct fl_err *err)
{
	struct fl_attempt *a = &b->attempt;

	fl_attempt_release(a);
	if (fl_ckdir_read_attempt(&b->dir, a, err) < 0)
		return 0; /* not numbered yet */
	if (!ended && (a->pid <= 0 || kill((pid_t)a->pid, 0) < 0))
		return 0; /* an old one */
	if (has_joined(a, b->opt.name) || is_broken(b))
		return 0; /* an old one, or the name is given twice */
	if (fl_ckdir_join(&b->dir, a->number, err) < 0)
		return 0;
	if (fl_ckdir_join_source(&b->dir, b->opt.name, err) < 0) {
		int rc = err->code == FL_ECONFIG ? 0 : err->code; /* at the same moment, another */

		fl_ckdir_leave(&b->dir);
		return rc;
	}
	b->heard = a->next_id - 1;
	return 1;
}

/* Whether the last leader of the attempt has ended, and not died. */
static bool
leader_has_ended(const struct fc_begin *b)
{
	char path[FL_CHECKPOINT_NAME_MAX];
	struct fl_buf text = { 0 };
	struct fl_err ignored;
	bool ended;

	leader_note(b, path);
	ended = fl_ckdir_read(&b->dir, path, NOTE_MAX + FL_UID_MAX, &text, &ignored) == 0 &&
		text.len > 5 && memcmp(text.data, "ended", 5) == 0;
	fl_buf_release(&text);
	return ended;
}

/*
 * This source holds the leader's lock. Alone in the directory it begins an attempt; else
 * the leader of a running one may have ended before this source came. 0: neither, yet.
 * *seen_free: it was alone before. Who had to wait is so for one more round: of a line that
 * was killed it may be what is left, and its reader is about to go.
 */
static int
lead_or_succeed(struct fc_begin *b, bool waited, bool *seen_free, struct fl_err *err)
{
	struct fl_err ignored;
	int rc;

	if (!fl_ckdir_is_locked(&b->dir, "lock")) {
		bool sure = !waited || *seen_free;

		*seen_free = true;
		if (!sure)
			return 0;
		rc = fl_ckdir_lock_alone(&b->dir, 0, err);
		if (rc == 0)
			rc = lead(b, err);
		return rc == FL_EUNAVAILABLE ? 0 : rc < 0 ? rc : 1;
	}
	fl_attempt_release(&b->attempt);
	if (fl_ckdir_read_attempt(&b->dir, &b->attempt, &ignored) < 0 || !leader_has_ended(b))
		return 0;
	rc = join(b, true, err);
	if (rc <= 0)
		return rc;
	b->next_id = highest_id(&b->dir) + 1;
	if (b->next_id < b->attempt.next_id)
		b->next_id = b->attempt.next_id;
	return say(b, "living", err) < 0 ? err->code : 1;
}

/*
 * Between two tries. Where the reader has gone, the line has failed: this source ends before
 * the next run of the line takes it for one of its own.
 */
static int
wait_to_enter(struct fl_err *err)
{
	if (fl_io_reader_gone(STDOUT_FILENO, RETRY_MS)) {
		(void)fl_fail(err, FL_EPIPE, "the reader has gone");
		err->quiet = true;
		return err->code;
	}
	if (fc_signals_code())
		return fl_fail(err, -fc_signals_code(), "ended before it had begun");
	return 0;
}

/* It could not enter in time. */
static int
refused(struct fc_begin *b, struct fl_err *err)
{
	if (b->leader_fd >= 0 && fl_ckdir_lock_alone(&b->dir, 0, err) < 0)
		return err->code;
	if (b->leader_fd >= 0 || !has_joined(&b->attempt, b->opt.name) || is_broken(b))
		return fl_fail(err, FL_ETEMP,
			       "%s: what is left of an earlier run is still there; run the line "
			       "again",
			       b->dir.path);
	return fl_fail(err, FL_EUNAVAILABLE,
		       "%s: source %s is already part of the running attempt %llu (its leader is "
		       "process %lld)",
		       b->dir.path, b->opt.name, (unsigned long long)b->attempt.number,
		       (long long)b->attempt.pid);
}

/* The number of the attempt that the directory is at; 0: none yet. */
static uint64_t
look_at_attempt(struct fc_begin *b)
{
	struct fl_err ignored;

	fl_attempt_release(&b->attempt);
	return fl_ckdir_read_attempt(&b->dir, &b->attempt, &ignored) < 0 ? 0 : b->attempt.number;
}

/*
 * Whether the attempt of this line is over before this source has joined it: one was begun
 * since the source began to wait (it found number), and it is broken, or already another's
 * turn. A tool of the line may still wait for this source's header, and not know.
 */
static bool
is_too_late(struct fc_begin *b, uint64_t number)
{
	uint64_t now = look_at_attempt(b);

	if (now <= number)
		return false;
	return now > number + 1 || is_broken(b) || (b->leader_fd >= 0 && !leader_has_ended(b));
}

/* With the code of the one that failed, if it has said why. */
static int
too_late(const struct fc_begin *b, struct fl_err *err)
{
	struct fl_ckdir d = b->dir;
	uint64_t serial;
	int code;

	d.attempt = b->attempt.number;
	if (fl_ckdir_asked(&d, &code, &serial) != FL_REQUEST_FAIL || code == 0)
		return fl_fail(err, FL_ETEMP,
			       "the source that numbers the checkpoints, or another, has died; "
			       "run the line again");
	(void)fl_fail(err, -code, "another source has failed");
	err->quiet = true;
	return err->code;
}

static int
enter_named(struct fc_begin *b, struct fl_err *err)
{
	uint64_t number = look_at_attempt(b);
	bool seen_free = false;

	for (int64_t waited = 0; waited < 2 * WAIT_MS; waited += RETRY_MS) {
		int rc = b->leader_fd >= 0
				 ? 1
				 : fl_ckdir_try_lock(&b->dir, "leader", &b->leader_fd, err);

		if (rc < 0)
			return rc;
		if (rc == 0)
			b->leader_fd = -1;
		if (waited > 0 && is_too_late(b, number))
			return too_late(b, err);
		*err = (struct fl_err){ 0 };
		rc = rc ? lead_or_succeed(b, waited > 0, &seen_free, err) : join(b, false, err);
		if (rc)
			return rc < 0 ? rc : 0;
		if (wait_to_enter(err) < 0)
			return err->code;
	}
	return refused(b, err);
}

/* The only source: the directory is its own once nobody else is in it. */
static int
enter_alone(struct fc_begin *b, struct fl_err *err)
{
	for (int64_t waited = 0; waited < WAIT_MS && fl_ckdir_is_locked(&b->dir, "lock");
	     waited += RETRY_MS)
		if (wait_to_enter(err) < 0)
			return err->code;
	return fl_ckdir_lock_alone(&b->dir, RETRY_MS, err);
}

int
fc_attempt_enter(struct fc_begin *b, struct fl_err *err)
{
	int rc;

	b->leader_fd = -1;
	if (b->opt.name)
		return enter_named(b, err);
	rc = enter_alone(b, err);
	if (rc < 0)
		return rc;
	rc = fl_ckdir_try_lock(&b->dir, "leader", &b->leader_fd, err);
	if (rc == 0)
		return fl_fail(err, FL_EUNAVAILABLE,
			       "%s: another fcheckpoint begin is starting in it", b->dir.path);
	return rc < 0 ? rc : lead(b, err);
}

/* ---- the leader tells --------------------------------------------------------------------- */

int
fc_leader_tell(struct fc_begin *b, uint64_t id, enum fc_why why, struct fl_err *err)
{
	char name[FL_CHECKPOINT_NAME_MAX], path[FL_CHECKPOINT_NAME_MAX], text[NOTE_MAX];

	if (!b->opt.name)
		return 0;
	fl_ck_file(name, "leader", b->attempt.number, "barrier");
	fl_ck_path(path, id, name);
	(void)snprintf(text, sizeof text, "%s %d", why_name[why], b->stop_code);
	return fl_ckdir_write(&b->dir, path, text, strlen(text), err);
}

/* Whether the sources have joined that are known from the checkpoint. */
static bool
known_have_joined(const struct fc_begin *b, const struct fl_attempt *a)
{
	for (size_t i = 0; i < b->others.len; i += strlen(b->others.data + i) + 1)
		if (!has_joined(a, b->others.data + i))
			return false;
	return true;
}

/* Whether each source that has joined is at its end. */
static bool
joined_are_at_end(const struct fc_begin *b, const struct fl_attempt *a)
{
	char path[FL_CHECKPOINT_NAME_MAX];
	struct fl_buf text = { 0 };
	struct fl_err ignored;
	bool all = true;

	for (uint32_t i = 0; i < a->source_count && all; i++) {
		end_note(b, a->sources[i], path);
		all = fl_ckdir_read(&b->dir, path, NOTE_MAX, &text, &ignored) == 0;
	}
	fl_buf_release(&text);
	return all;
}

bool
fc_others_ready(struct fc_begin *b, int64_t now_ms)
{
	bool long_ago = now_ms - b->at_end_ms >= WAIT_MS || now_ms < b->at_end_ms;
	struct fl_attempt a = { 0 };
	struct fl_err ignored;
	bool ready;

	if (now_ms - b->end_look_ms < END_LOOK_MS && now_ms >= b->end_look_ms)
		return false;
	b->end_look_ms = now_ms;
	/* commit is opened when the headers of all sources have come to it; where it waits
	   for a record too, or is missing, nobody is known to be still to come */
	if (!b->all_joined && !long_ago && !fl_ckdir_is_locked(&b->dir, "decider"))
		return false;
	if (fl_ckdir_read_attempt(&b->dir, &a, &ignored) < 0)
		return false;
	b->all_joined = long_ago || known_have_joined(b, &a);
	ready = b->all_joined && (!b->opt.keep_open || joined_are_at_end(b, &a));
	fl_attempt_release(&a);
	return ready;
}

/*
 * A source that has nothing more to give may end before the others have begun. They would
 * find nobody in the directory, and begin an attempt of their own: so it waits for them,
 * as far as it knows them from the checkpoint.
 */
static void
wait_for_others(struct fc_begin *b)
{
	bool all = false;

	for (int64_t waited = 0; !all && waited < WAIT_MS && !fc_signals_code();
	     waited += RETRY_MS) {
		struct fl_attempt a = { 0 };
		struct fl_err ignored;

		if (fc_has_lost(b, fl_clock_ms()) ||
		    fl_ckdir_read_attempt(&b->dir, &a, &ignored) < 0)
			return;
		all = known_have_joined(b, &a);
		fl_attempt_release(&a);
		if (!all)
			(void)fl_io_wait_readable(-1, RETRY_MS);
	}
}

/*
 * A short source, and the tools behind it, may have sent all and ended before a tool further
 * on has joined. Then nobody would be in the directory, and the next source would begin an
 * attempt of its own: so it stays until commit is there, which stays to the end. That its
 * reader has gone can mean both, that the line goes on or that it has failed.
 */
static void
wait_for_commit(struct fc_begin *b)
{
	bool gone = false;

	for (int64_t waited = 0; waited < (gone ? GONE_MS : WAIT_MS) && !fc_signals_code();
	     waited += RETRY_MS) {
		enum fl_ck_state state = fl_ck_look(&b->dir, b->id);

		if (state == FL_CK_COMPLETE || state == FL_CK_ABANDONED ||
		    fl_ckdir_is_locked(&b->dir, "decider") || fc_has_lost(b, fl_clock_ms()))
			return;
		gone = fl_io_reader_gone(STDOUT_FILENO, RETRY_MS);
		if (gone)
			(void)fl_io_wait_readable(-1, RETRY_MS);
	}
}

void
fc_leader_leave(struct fc_begin *b)
{
	struct fl_err ignored;

	if (b->opt.name) {
		wait_for_others(b);
		/* after the end of the job commit decides nothing, and all sources were known */
		if (!b->all_finished)
			wait_for_commit(b);
	}
	if (b->leader_fd < 0)
		return;
	if (say(b, "ended", &ignored) == 0 && b->opt.name) {
		(void)close(b->leader_fd);
		b->leader_fd = -1;
	}
}

/* ---- the others follow --------------------------------------------------------------------- */

/* Why the leader makes checkpoint id: 1, 0 if it has not said yet. */
static int
ask_why(const struct fc_begin *b, uint64_t id, enum fc_why *ret, int *ret_code)
{
	char name[FL_CHECKPOINT_NAME_MAX], path[FL_CHECKPOINT_NAME_MAX], word[16];
	struct fl_buf text = { 0 };
	struct fl_err ignored;
	int found = 0;

	fl_ck_file(name, "leader", b->attempt.number, "barrier");
	fl_ck_path(path, id, name);
	if (fl_ckdir_read(&b->dir, path, NOTE_MAX, &text, &ignored) == 0) {
		fl_buf_putc(&text, '\0');
		if (sscanf(text.data, "%15s %d", word, ret_code) == 2)
			for (int i = 0; i <= FC_FINAL; i++)
				if (strcmp(word, why_name[i]) == 0) {
					*ret = (enum fc_why)i;
					found = 1;
				}
	}
	fl_buf_release(&text);
	return found;
}

/* The newest checkpoint of this attempt that was not answered: its id, or 0. */
static uint64_t
newest(const struct fc_begin *b, enum fc_why *ret, int *ret_code)
{
	struct fl_buf ids = { 0 };
	struct fl_err ignored;
	uint64_t id = 0;
	size_t n;

	if (fl_ck_list(&b->dir, &ids, &ignored) < 0)
		ids.len = 0;
	for (n = ids.len / sizeof id; n > 0; n--) {
		memcpy(&id, ids.data + (n - 1) * sizeof id, sizeof id);
		if (id <= b->heard || ask_why(b, id, ret, ret_code))
			break;
	}
	fl_buf_release(&ids);
	return n > 0 && id > b->heard ? id : 0;
}

/*
 * The leader has made a checkpoint: this source's part in it. A source that has ended
 * gives END; one that lives has no end because the leader has one, unless all stop.
 */
static void
answer(struct fc_begin *b, uint64_t id, enum fc_why why, int code)
{
	b->heard = b->id = id;
	b->next_id = id + 1;
	b->making = true;
	if (why == FC_STOP || (why == FC_PAUSE && b->phase != FC_RUNNING)) {
		b->why = why;
		b->stop_code = code;
		b->phase = FC_ENDING;
	} else if (b->phase == FC_ENDING) {
		b->why = b->due_why;
	} else {
		b->why = why == FC_SAVEPOINT ? FC_SAVEPOINT : FC_PERIODIC;
	}
	b->due = false;
}

static int
look_at_leader(struct fc_begin *b, struct fl_err *err)
{
	enum fc_why why;
	int code, rc = fl_ckdir_try_lock(&b->dir, "leader", &b->leader_fd, err);

	if (rc <= 0) {
		b->leader_fd = -1;
		return rc;
	}
	if (!leader_has_ended(b))
		return fl_fail(
			err, FL_ETEMP,
			"the source that numbers the checkpoints has died; run the line again");
	if (newest(b, &why, &code)) { /* its last one is answered first */
		(void)close(b->leader_fd);
		b->leader_fd = -1;
		return 0;
	}
	b->next_id = highest_id(&b->dir) + 1;
	if (b->phase == FC_ENDING)
		b->due = true;
	return say(b, "living", err);
}

int
fc_follow_leader(struct fc_begin *b, int64_t now_ms, struct fl_err *err)
{
	enum fc_why why;
	uint64_t id;
	int code;

	if (b->making || b->phase == FC_OVER)
		return 0;
	if (now_ms - b->lead_look_ms < LOOK_MS && now_ms >= b->lead_look_ms)
		return 0;
	b->lead_look_ms = now_ms;
	id = newest(b, &why, &code);
	if (id) {
		answer(b, id, why, code);
		return fc_inject(b, err);
	}
	if (now_ms - b->lock_look_ms < LOCK_LOOK_MS && now_ms >= b->lock_look_ms)
		return 0;
	b->lock_look_ms = now_ms;
	return look_at_leader(b, err);
}
