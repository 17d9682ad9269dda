/* SPDX-License-Identifier: Apache-2.0 */
/* fcheckpoint begin: the command line, the attempt, the restore, the loop. */
#include "begin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/io.h"
#include "checkpoint.h"
#include "time/duration.h"

#define AT(m) offsetof(struct fc_options, m)

const struct fl_opt fc_begin_opts[] = {
	{ .name = "directory",
	  .letter = 'd',
	  .type = FL_OPT_STRING,
	  .offset = AT(directory),
	  .arg = "DIR",
	  .help = "where checkpoints are kept (-d)" },
	{ .name = "every",
	  .type = FL_OPT_DURATION,
	  .offset = AT(every_ms),
	  .arg = "DUR",
	  .help = "a checkpoint so often; default 10s" },
	{ .name = "min-pause",
	  .type = FL_OPT_STRING,
	  .offset = AT(min_pause),
	  .arg = "DUR",
	  .help = "between two; default 500ms, or --every" },
	{ .name = "timeout",
	  .type = FL_OPT_DURATION,
	  .offset = AT(timeout_ms),
	  .arg = "DUR",
	  .help = "then one is abandoned; default 60s" },
	{ .name = "max-concurrent",
	  .type = FL_OPT_INT,
	  .offset = AT(max_concurrent),
	  .arg = "1",
	  .help = "one at a time" },
	{ .name = "tolerate",
	  .type = FL_OPT_INT,
	  .offset = AT(tolerate),
	  .arg = "N",
	  .help = "failures in a row, then 75; default 3" },
	{ .name = "retain",
	  .type = FL_OPT_INT,
	  .offset = AT(retain),
	  .arg = "N",
	  .help = "complete checkpoints kept; default 3" },
	{ .name = "at-least-once",
	  .type = FL_OPT_FLAG,
	  .offset = AT(at_least_once),
	  .help = "do not align; records may count twice" },
	{ .name = "sinks",
	  .type = FL_OPT_INT,
	  .offset = AT(sinks),
	  .arg = "N",
	  .help = "number of fcheckpoint commit; default 1" },
	{ .name = "name",
	  .type = FL_OPT_STRING,
	  .offset = AT(name),
	  .arg = "NAME",
	  .help = "of this source, where there are several" },
	{ .name = "follow",
	  .type = FL_OPT_FLAG,
	  .offset = AT(follow),
	  .help = "the last FILE grows and is rotated" },
	{ .name = "keep-open",
	  .type = FL_OPT_FLAG,
	  .offset = AT(keep_open),
	  .help = "at the end a checkpoint; windows stay open" },
	{ .name = "spool",
	  .type = FL_OPT_STRING,
	  .offset = AT(spool),
	  .arg = "FILE",
	  .help = "keep what a pipe brings in FILE first" },
	{ .name = "allow-dropped-state",
	  .type = FL_OPT_FLAG,
	  .offset = AT(allow_dropped),
	  .help = "state and operators need not match" },
	{ .name = "allow-lost-input",
	  .type = FL_OPT_FLAG,
	  .offset = AT(allow_lost_input),
	  .help = "--follow: go on where a log is gone" },
	{ .name = "allow-moved-input",
	  .type = FL_OPT_FLAG,
	  .offset = AT(allow_moved_input),
	  .help = "FILEs may be copies of those read" },
	{ .name = "quiet",
	  .letter = 'q',
	  .type = FL_OPT_FLAG,
	  .offset = AT(quiet),
	  .help = "no remarks (-q)" },
	{ .name = "help",
	  .letter = 'h',
	  .type = FL_OPT_FLAG,
	  .offset = AT(help),
	  .help = "this text" },
	{ .type = FL_OPT_END },
};

static const char begin_usage[] =
	"Usage: fcheckpoint begin -d DIR [options] [FILE...]\n"
	"       fcheckpoint begin -d DIR [options] -- COMMAND [ARG...]\n"
	"The source of a line that may be killed and run again.\n\n"
	"Reads FILEs in order, or standard input, or what COMMAND prints.\n\n";

/* ---- the command line ---------------------------------------------------------------- */

static int
check_options(struct fc_begin *b, bool command, struct fl_err *err)
{
	struct fc_options *o = &b->opt;

	if (!o->directory)
		return fl_fail(err, FL_EUSAGE, "-d DIR is missing: where checkpoints are kept");
	if (o->every_ms < 1 || o->timeout_ms < 1)
		return fl_fail(err, FL_EUSAGE, "--every and --timeout must be longer than 0");
	o->min_pause_ms = o->every_ms < 500 ? o->every_ms : 500;
	if (o->min_pause && fl_duration_parse(o->min_pause, 0, &o->min_pause_ms, err) < 0)
		return fl_wrap(err, "--min-pause");
	if (o->max_concurrent != 1)
		return fl_fail(
			err, FL_EUSAGE,
			"--max-concurrent takes 1: checkpoints are made one after the other");
	if (o->sinks < 1 || o->sinks > 1000 || o->retain < 1 || o->retain > 1000000 ||
	    o->tolerate > 1000000)
		return fl_fail(err, FL_EUSAGE,
			       "--sinks and --retain take 1 or more, --tolerate a number below a "
			       "million");
	if (o->follow && (command || b->source.word_count == 0))
		return fl_fail(err, FL_EUSAGE, "--follow needs a FILE");
	if (o->spool && (o->follow || command || b->source.word_count > 1))
		return fl_fail(err, FL_EUSAGE, "--spool is for one pipe");
	if (o->keep_open && command)
		return fl_fail(err, FL_EUSAGE, "--keep-open is for FILEs: a command has no more");
	if (o->name && strlen(o->name) > FL_UID_MAX - 16)
		return fl_fail(err, FL_EUSAGE, "--name is too long");
	(void)snprintf(b->uid, sizeof b->uid, "%s%sbegin-1", o->name ? o->name : "",
		       o->name ? "." : "");
	return o->name && fl_uid_check(o->name, err) < 0 ? fl_wrap(err, "--name") : 0;
}

/* Options and words; what stands behind "--" is a command. */
static int
parse(struct fc_begin *b, char **words, struct fl_err *err)
{
	struct fl_opt_group group = { NULL, fc_begin_opts, &b->opt };
	int own = 1, count;
	bool command;

	while (own < b->argc && strcmp(b->argv[own], "--") != 0)
		own++;
	command = own < b->argc;
	b->opt = (struct fc_options){ .every_ms = 10000,
				      .timeout_ms = 60000,
				      .max_concurrent = 1,
				      .tolerate = 3,
				      .retain = 3,
				      .sinks = 1 };
	if (fl_opt_parse(&group, 1, own, b->argv, words, &count, err) < 0)
		return err->code;
	if (b->opt.help)
		return 0;
	if (command && count)
		return fl_fail(err, FL_EUSAGE, "FILEs, or -- and a command, not both");
	if (command && own + 1 == b->argc)
		return fl_fail(err, FL_EUSAGE, "a command is missing behind --");
	b->source.words = command ? b->argv + own + 1 : words;
	b->source.word_count = (uint32_t)(command ? b->argc - own - 1 : count);
	if (check_options(b, command, err) < 0)
		return err->code;
	if (!command && count == 0) {
		static char dash[] = "-";

		words[0] = dash;
		b->source.word_count = 1;
	}
	b->source.mode = command         ? FC_COMMAND
			 : b->opt.follow ? FC_FOLLOW
			 : b->opt.spool  ? FC_SPOOL
					 : FC_FILES;
	b->source.spool = b->opt.spool;
	b->source.keep_open = b->opt.keep_open;
	b->source.allow_lost_input = b->opt.allow_lost_input;
	b->source.allow_moved_input = b->opt.allow_moved_input;
	return 0;
}

static int
print_help(void)
{
	struct fl_buf text = { 0 };
	struct fl_err err = { 0 };
	int rc;

	fl_buf_puts(&text, begin_usage);
	fc_help_options(fc_begin_opts, &text);
	fl_buf_puts(&text, "\nAll of it, with examples: man fcheckpoint\n");
	rc = fl_io_write(STDOUT_FILENO, text.data, text.len, "standard output", &err);
	fl_buf_release(&text);
	return -rc;
}

/* ---- the restore ------------------------------------------------------------------------ */

/* The names of all sources, those too that ended before this checkpoint: by their uids. */
static void
note_sources(struct fc_begin *b, const struct fl_manifest *m)
{
	static const char suffix[] = ".begin-1";

	for (uint32_t i = 0; i < m->op_count; i++) {
		const char *uid = m->ops[i].uid;
		size_t n = strlen(uid), tail = sizeof suffix - 1;

		if (n <= tail || strcmp(uid + n - tail, suffix) != 0)
			continue;
		fl_buf_put(&b->others, uid, n - tail);
		fl_buf_putc(&b->others, '\0');
	}
}

static int
load_positions(struct fc_begin *b, const struct fl_manifest *m, struct fl_err *err)
{
	const struct fl_ck_op *op = fl_manifest_op(m, b->uid);
	struct fl_load *l;
	char *name;
	int rc;

	if (!op && b->opt.allow_dropped)
		return 0;
	if (!op)
		return fl_fail(
			err, FL_ECONFIG,
			"checkpoint %llu has no state of the source %s: was --name given, or "
			"left out? --allow-dropped-state reads it from its beginning",
			(unsigned long long)m->id, b->uid);
	l = fl_manifest_load(&b->dir, m, op, &name, err);
	if (!l)
		return err->code;
	b->finished = m->finished || op->finished;
	b->all_finished = m->finished;
	note_sources(b, m);
	rc = m->finished    ? fc_source_check_finished(&b->source, l, err)
	     : op->finished ? 0
			    : fc_source_load(&b->source, l, err);
	if (rc == 0 && fl_load_rest(l, err) < 0)
		rc = fl_wrap(err, "%s", b->dir.path);
	fl_load_close(l);
	free(name);
	return rc;
}

static int
restore(struct fc_begin *b, struct fl_err *err)
{
	struct fl_manifest m = { 0 };
	int rc;

	b->restore_id = b->attempt.restore_id;
	if (b->restore_id == 0)
		return 0;
	FL_FAULT("begin.restore");
	rc = fl_manifest_read(&b->dir, b->restore_id, &m, err);
	if (rc == 0)
		rc = fl_manifest_check(&b->dir, &m, err);
	if (rc == 0)
		rc = load_positions(b, &m, err);
	fl_manifest_release(&m);
	return rc;
}

/* ---- the header ------------------------------------------------------------------------ */

static void
put_header(struct fc_begin *b)
{
	struct fl_lineage lineage = { .uid = b->uid,
				      .args = b->argv,
				      .arg_count = (uint32_t)b->argc };
	static char tool[] = "fcheckpoint";
	struct fl_header h;

	fl_header_init(&h);
	lineage.tool = tool;
	memcpy(lineage.instance, b->instance, sizeof lineage.instance);
	h.raw = true;
	h.lineage = &lineage;
	h.lineage_count = 1;
	h.checkpoint_dir = b->dir.path;
	h.attempt = b->attempt.number;
	h.restore_id = b->restore_id;
	fl_frame_header(&b->out, &h); /* h borrows everything: it is not released */
	b->header_sent = true;
}

static void
make_instance(struct fc_begin *b)
{
	uint64_t n;

	fl_random(&n, sizeof n);
	(void)snprintf(b->instance, sizeof b->instance, "%016llx", (unsigned long long)n);
}

/* ---- the loop ---------------------------------------------------------------------------- */

#define LINGER_MS 10000
#define LINGER_STEP_MS 10

/*
 * Everything has been sent. The reader may still have to open the files that are open
 * here, so wait until the last checkpoint is done with, or the reader is gone. One that
 * waits for the end of the pipe instead (cat) is not waited for for ever.
 */
static void
wait_for_reader(struct fc_begin *b)
{
	int64_t empty_ms = 0;
	int have;

	if (b->finished)
		return;
	while (!fl_io_reader_gone(STDOUT_FILENO, LINGER_STEP_MS) && !fc_signals_code()) {
		if (fl_ck_look(&b->dir, b->id) != FL_CK_OPEN || fc_has_lost(b, fl_clock_ms()))
			return;
		if (ioctl(STDOUT_FILENO, FIONREAD, &have) < 0 || have == 0)
			empty_ms += LINGER_STEP_MS;
		if (empty_ms > LINGER_MS)
			return;
	}
}

static int
one_step(struct fc_begin *b, struct fl_err *err)
{
	struct fl_raw piece;
	int rc;

	if (fc_send_pending(b))
		return fc_send_some(b, fc_patience(b), err);
	if (b->phase != FC_RUNNING) { /* what is left to do is on the disk, or up to others */
		if (fl_io_reader_gone(STDOUT_FILENO, fc_patience(b))) {
			err->quiet = true;
			return err->code = FL_EPIPE;
		}
		return 0;
	}
	rc = fc_source_next(&b->source, &piece, err);
	if (rc == FC_PIECE)
		fc_send_piece(b, &piece);
	else if (rc == FC_END)
		rc = fc_at_end(b, err);
	else if (rc == FC_WAIT) {
		if (fl_io_reader_gone(STDOUT_FILENO, 0)) {
			err->quiet = true;
			return err->code = FL_EPIPE;
		}
		fc_source_wait(&b->source, fc_patience(b));
	}
	return rc < 0 ? rc : 0;
}

static int
stream(struct fc_begin *b, struct fl_err *err)
{
	b->began_ms = fl_clock_ms();
	b->flowed = b->restored = b->source.total;
	if (b->finished) {
		struct fl_end end = { .checkpoint = b->restore_id };

		if (fc_tell_end(b, err) < 0)
			return err->code;
		fl_frame_end(&b->out, &end);
		fl_ckdir_ended(&b->dir);
		b->phase = FC_OVER;
	}
	while (b->phase != FC_OVER || fc_send_pending(b)) {
		if (fc_coordinate(b, err) < 0)
			return err->code;
		if (b->phase == FC_OVER && !fc_send_pending(b))
			break;
		if (one_step(b, err) < 0)
			return err->code;
	}
	FL_FAULT("begin.end_sent");
	fc_leader_leave(b);
	wait_for_reader(b);
	return 0;
}

static int
run(struct fc_begin *b, struct fl_err *err)
{
	if (fc_send_open(b, err) < 0)
		return err->code;
	fc_signals_start();
	if (fl_ckdir_open(&b->dir, b->opt.directory, true, err) < 0 || fc_attempt_enter(b, err) < 0)
		return err->code;
	fl_fault_uid(b->uid);
	FL_FAULT("begin.attempt");
	fc_run_tell(b->dir.path);
	make_instance(b);
	if (fl_ckdir_claim(&b->dir, b->uid, b->instance, err) < 0 || restore(b, err) < 0)
		return err->code;
	if (!b->finished && fc_source_start(&b->source, err) < 0)
		return err->code;
	put_header(b);
	FL_FAULT("begin.header");
	return stream(b, err);
}

/* Other sources and those behind are told, as far as they still listen; then the message. */
static void
fail(struct fc_begin *b, const struct fl_err *why)
{
	struct fl_end end = { .status = FL_END_FAILED, .code = -why->code };
	struct fl_err ignored;

	if (why->code != FL_EPIPE && b->dir.claim_fd >= 0)
		(void)fl_ckdir_ask(&b->dir, FL_REQUEST_FAIL, -why->code, &ignored);
	if (why->code != FL_EPIPE && fc_send_is_pipe()) {
		fl_frame_end(&b->out, &end);
		(void)fl_io_write(STDOUT_FILENO, b->out.out.data + b->sent,
				  b->out.out.len - b->sent, "standard output", &ignored);
	}
	if (!why->quiet)
		(void)fprintf(stderr, "fcheckpoint begin: %s\n", why->msg);
}

static void
release(struct fc_begin *b)
{
	fc_job_wait(b);
	fc_job_release(&b->job);
	fc_source_release(&b->source);
	fl_frame_writer_release(&b->out);
	fl_attempt_release(&b->attempt);
	fl_buf_release(&b->others);
	if (b->leader_fd >= 0)
		(void)close(b->leader_fd);
	if (b->dir.fd >= 0)
		fl_ckdir_close(&b->dir);
}

int
fc_begin(int argc, char **argv)
{
	struct fc_begin b = { .argc = argc, .argv = argv, .leader_fd = -1 };
	char **words = fl_xcalloc((size_t)argc + 1, sizeof *words);
	struct fl_err err = { 0 };
	int rc, status;

	b.dir.fd = b.dir.lock_fd = b.dir.claim_fd = -1;
	fc_source_init(&b.source);
	rc = parse(&b, words, &err);
	if (rc == 0 && b.opt.help) {
		free(words);
		return print_help();
	}
	if (rc == 0)
		rc = run(&b, &err);
	status = rc < 0 ? -rc : b.stop_code;
	if (rc == FL_EPIPE && fl_io_said_enough(STDOUT_FILENO))
		status = 0;
	else if (rc < 0)
		fail(&b, &err);
	fc_send_close(&b);
	release(&b);
	free(words);
	return status;
}
