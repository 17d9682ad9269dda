/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fcheckpoint run SCRIPT: runs a script that holds a checkpointed line, and runs it again
 * where that helps: after exit 75, and after a death by a signal. Flink's restart
 * strategies say how often and how soon.
 *
 * What the script started is one process group, and this process adopts its orphans: so
 * nothing of a broken attempt is left when the next one begins.
 *
 * A stop that was asked for is not an accident. It is recorded in the checkpoint
 * directory; begin tells which one that is through the file that FLUE_RUN names.
 */
#define _GNU_SOURCE /* memfd_create */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "checkpoint.h"
#include "checkpoint/dir.h"
#include "time/duration.h"

#define TELL "FLUE_RUN"
#define GRACE_MS 2000 /* for the rest of a broken line to see that it is one */
#define POLL_MS 20
#define TOLD_MAX FL_KIB(64)

enum strategy { EXPONENTIAL = 0, FIXED, FAILURE_RATE };

struct run_options {
	int restart; /* enum strategy */
	int64_t attempts;
	const char *attempts_said;
	const char *delay, *initial, *max, *reset, *interval; /* durations, as typed */
	const char *multiplier, *jitter;
	int64_t failures;
	bool quiet, help;
	/* what they mean */
	int64_t delay_ms, initial_ms, max_ms, reset_ms, interval_ms;
	double multiply, jitter_part;
};

#define AT(m) offsetof(struct run_options, m)

const struct fl_opt fc_run_opts[] = {
	{ .name = "restart",
	  .type = FL_OPT_ENUM,
	  .offset = AT(restart),
	  .arg = "HOW",
	  .value = "exponential|fixed|failure-rate",
	  .help = "exponential (default), fixed, failure-rate" },
	{ .name = "attempts",
	  .type = FL_OPT_STRING,
	  .offset = AT(attempts_said),
	  .arg = "N",
	  .help = "restarts; fixed: 1, exponential: no end" },
	{ .name = "delay",
	  .type = FL_OPT_STRING,
	  .offset = AT(delay),
	  .arg = "DUR",
	  .help = "fixed, failure-rate: before each; 1s" },
	{ .name = "initial-delay",
	  .type = FL_OPT_STRING,
	  .offset = AT(initial),
	  .arg = "DUR",
	  .help = "exponential: the first delay; 1s" },
	{ .name = "max-delay",
	  .type = FL_OPT_STRING,
	  .offset = AT(max),
	  .arg = "DUR",
	  .help = "exponential: the longest; 1m" },
	{ .name = "multiplier",
	  .type = FL_OPT_STRING,
	  .offset = AT(multiplier),
	  .arg = "X",
	  .help = "exponential: each is so much longer; 1.5" },
	{ .name = "jitter",
	  .type = FL_OPT_STRING,
	  .offset = AT(jitter),
	  .arg = "X",
	  .help = "exponential: random part of it; 0.1" },
	{ .name = "reset-after",
	  .type = FL_OPT_STRING,
	  .offset = AT(reset),
	  .arg = "DUR",
	  .help = "exponential: back to the first; 1h" },
	{ .name = "failures",
	  .type = FL_OPT_INT,
	  .offset = AT(failures),
	  .arg = "N",
	  .help = "failure-rate: so many are borne ...; 1" },
	{ .name = "interval",
	  .type = FL_OPT_STRING,
	  .offset = AT(interval),
	  .arg = "DUR",
	  .help = "failure-rate: ... in so long; 1m" },
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

struct run {
	struct run_options opt;
	char **script; /* SCRIPT and its arguments, NULL behind them */
	int told_fd;   /* begin writes its directories here */
	pid_t group;
	uint32_t restarts;
	double next_delay_ms; /* exponential */
	int64_t *failed_ms;   /* failure-rate: the last ones */
	uint32_t failed_count;
	bool stopping; /* a signal has asked for it */
};

static volatile sig_atomic_t signals_seen, signal_last;

static void
on_signal(int sig)
{
	signal_last = sig;
	signals_seen = signals_seen + 1;
}

/* ---- the command line ---------------------------------------------------------------- */

static int
parse_number(const char *text, const char *name, double min, double max, double *to,
	     struct fl_err *err)
{
	char *end;
	double v;

	if (!text)
		return 0;
	v = strtod(text, &end);
	if (end == text || *end || !(v >= min && v <= max))
		return fl_fail(err, FL_EUSAGE, "--%s takes a number from %g to %g, not \"%s\"",
			       name, min, max, text);
	*to = v;
	return 0;
}

static int
parse_durations(struct run_options *o, struct fl_err *err)
{
	const struct {
		const char *name, *text;
		int64_t *to;
		int64_t value;
	} all[] = {
		{ "delay", o->delay, &o->delay_ms, 1000 },
		{ "initial-delay", o->initial, &o->initial_ms, 1000 },
		{ "max-delay", o->max, &o->max_ms, 60000 },
		{ "reset-after", o->reset, &o->reset_ms, 3600000 },
		{ "interval", o->interval, &o->interval_ms, 60000 },
	};

	for (size_t i = 0; i < FL_ARRAY_LEN(all); i++) {
		*all[i].to = all[i].value;
		if (all[i].text && fl_duration_parse(all[i].text, 0, all[i].to, err) < 0)
			return fl_wrap(err, "--%s", all[i].name);
	}
	return 0;
}

static int
check_options(struct run_options *o, struct fl_err *err)
{
	double attempts = o->restart == FIXED ? 1 : -1;

	o->multiply = 1.5;
	o->jitter_part = 0.1;
	if (parse_durations(o, err) < 0 ||
	    parse_number(o->multiplier, "multiplier", 1, 1000, &o->multiply, err) < 0 ||
	    parse_number(o->jitter, "jitter", 0, 1, &o->jitter_part, err) < 0 ||
	    parse_number(o->attempts_said, "attempts", 0, 1e9, &attempts, err) < 0)
		return err->code;
	o->attempts = (int64_t)attempts;
	if (o->failures < 1 || o->failures > 100000)
		return fl_fail(err, FL_EUSAGE, "--failures takes 1 to 100000");
	if (o->max_ms < o->initial_ms)
		return fl_fail(err, FL_EUSAGE, "--max-delay is shorter than --initial-delay");
	return 0;
}

/*
 * Options stand before SCRIPT; what stands behind it is the script's. So the command
 * line is parsed up to a word longer each time, until there is a word that is none.
 */
static int
parse(struct run *r, int argc, char **argv, struct fl_err *err)
{
	struct fl_opt_group group = { NULL, fc_run_opts, &r->opt };
	char **words = fl_xcalloc((size_t)argc + 1, sizeof *words);
	int count = 0, rc = 0;

	for (int n = 1; n <= argc && count == 0; n++) {
		r->opt = (struct run_options){ .failures = 1 };
		count = 0;
		rc = fl_opt_parse(&group, 1, n, argv, words, &count, err);
		if (rc == 0 && count)
			r->script = argv + n - 1;
	}
	free(words);
	if (rc < 0 || r->opt.help)
		return rc;
	if (!r->script)
		return fl_fail(err, FL_EUSAGE, "a SCRIPT is missing");
	if (access(r->script[0], R_OK) < 0)
		return fl_fail_errno(err, FL_ENOINPUT, errno, "cannot read %s", r->script[0]);
	return check_options(&r->opt, err);
}

/* ---- what begin tells ------------------------------------------------------------------ */

void
fc_run_tell(const char *directory)
{
	const char *to = getenv(TELL);
	struct fl_err ignored;
	struct fl_buf line = { 0 };
	int fd = to ? open(to, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY) : -1;

	if (fd < 0)
		return;
	fl_buf_printf(&line, "%s\n", directory);
	(void)fl_io_write(fd, line.data, line.len, to, &ignored);
	fl_buf_release(&line);
	(void)close(fd);
}

/* For each directory that this attempt has told: 1 where do_it says so. */
static bool
each_directory(struct run *r, bool (*do_it)(struct fl_ckdir *d, int arg), int arg)
{
	char told[TOLD_MAX + 1];
	struct fl_err ignored;
	int64_t n = fl_io_read_at(r->told_fd, told, TOLD_MAX, 0, "what begin told", &ignored);
	bool any = false;
	char *next;

	told[n > 0 ? n : 0] = '\0';
	for (char *line = told; (next = strchr(line, '\n')); line = next + 1) {
		struct fl_ckdir d;
		struct fl_attempt a = { 0 };

		*next = '\0';
		if (fl_ckdir_open(&d, line, false, &ignored) < 0)
			continue;
		if (fl_ckdir_read_attempt(&d, &a, &ignored) == 0) {
			d.attempt = a.number;
			any = do_it(&d, arg) || any;
		}
		fl_attempt_release(&a);
		fl_ckdir_close(&d);
	}
	return any;
}

static bool
was_asked(struct fl_ckdir *d, int arg)
{
	uint64_t serial;
	int code;
	enum fl_request_kind kind = fl_ckdir_asked(d, &code, &serial);

	(void)arg;
	return kind == FL_REQUEST_STOP || kind == FL_REQUEST_DRAIN;
}

static bool
ask_stop(struct fl_ckdir *d, int code)
{
	struct fl_err ignored;

	return fl_ckdir_ask(d, FL_REQUEST_STOP, code, &ignored) == 0;
}

/* ---- one attempt --------------------------------------------------------------------------- */

_Noreturn static void
become_script(const struct run *r, const char *tell)
{
	static char bash[] = "bash";
	size_t n = 0;
	char **args;

	while (r->script[n])
		n++;
	args = fl_xcalloc(n + 2, sizeof *args);
	args[0] = bash;
	for (size_t i = 0; i < n; i++)
		args[i + 1] = r->script[i];
	(void)setpgid(0, 0);
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGHUP, SIG_DFL);
	(void)setenv(TELL, tell, 1);
	(void)execvp("bash", args);
	(void)fprintf(stderr, "fcheckpoint run: cannot run bash: %s\n", strerror(errno));
	_exit(-FL_EUNAVAILABLE);
}

/* SIGTERM or Ctrl-C: the line is asked for a savepoint and its end. The next one passes
 * the signal on. */
static void
pass_on(struct run *r, int seen_before)
{
	int sig = signal_last;

	r->stopping = true;
	if (seen_before == 0 &&
	    each_directory(r, ask_stop, sig == SIGINT ? -FL_EINTERRUPT : -FL_ETEMP))
		return;
	(void)kill(-r->group, sig);
}

/* Wait for a child, any, for some ms; *ret_status is the script's when it ends. */
static bool
reap(struct run *r, int *ret_status)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == r->group)
			*ret_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status)
							  : WEXITSTATUS(status);
	return pid < 0 && errno == ECHILD; /* nobody is left */
}

/* End what is left of the group, and wait until it is gone. */
static void
end_group(struct run *r, bool broken)
{
	int64_t waited = 0;
	int ignored;

	while (!reap(r, &ignored) && kill(-r->group, 0) == 0) {
		if (broken && waited >= GRACE_MS)
			(void)kill(-r->group, SIGKILL);
		(void)fl_io_wait_readable(-1, POLL_MS);
		waited += POLL_MS;
	}
}

static bool
restartable(int status)
{
	return status == -FL_ETEMP || (status > 128 && status <= 128 + 64 &&
				       status != -FL_EINTERRUPT && status != -FL_EPIPE);
}

/* Run the script once: its exit status. */
static int
attempt(struct run *r, struct fl_err *err)
{
	int status = -1, seen = signals_seen;
	char tell[64];

	(void)snprintf(tell, sizeof tell, "/proc/%ld/fd/%d", (long)getpid(), r->told_fd);
	if (ftruncate(r->told_fd, 0) < 0)
		return fl_fail_errno(err, FL_EIO, errno, "cannot empty a file in memory");
	r->group = fork();
	if (r->group < 0)
		return fl_fail_errno(err, FL_EUNAVAILABLE, errno, "cannot start the script");
	if (r->group == 0)
		become_script(r, tell);
	(void)setpgid(r->group, r->group); /* whoever comes first */
	while (!reap(r, &status) && status < 0) {
		if (signals_seen != seen) {
			pass_on(r, seen);
			seen = signals_seen;
		}
		(void)fl_io_wait_readable(-1, POLL_MS);
	}
	return status < 0 ? -FL_EBUG : status;
}

/* ---- strategies ----------------------------------------------------------------------------- */

static double
random_part(void)
{
	uint32_t n;

	fl_random(&n, sizeof n);
	return (double)n / UINT32_MAX * 2 - 1;
}

/* How long to wait before the next attempt, ms; -1: give up. */
static int64_t
delay(struct run *r, int64_t ran_ms, int64_t now_ms)
{
	const struct run_options *o = &r->opt;
	double d;

	if (o->restart == FAILURE_RATE) {
		uint32_t n = 0;

		r->failed_ms = fl_xreallocarray(r->failed_ms, r->failed_count + 1,
						sizeof *r->failed_ms);
		for (uint32_t i = 0; i < r->failed_count; i++)
			if (now_ms - r->failed_ms[i] <= o->interval_ms)
				r->failed_ms[n++] = r->failed_ms[i];
		r->failed_ms[n++] = now_ms;
		r->failed_count = n;
		return n > (uint64_t)o->failures ? -1 : o->delay_ms;
	}
	if (o->restart == EXPONENTIAL && ran_ms >= o->reset_ms) {
		r->next_delay_ms = (double)o->initial_ms;
		r->restarts = 0;
	}
	if (o->attempts >= 0 && r->restarts >= o->attempts)
		return -1;
	if (o->restart == FIXED)
		return o->delay_ms;
	d = r->next_delay_ms;
	r->next_delay_ms = fmin(d * o->multiply, (double)o->max_ms);
	d += d * o->jitter_part * random_part();
	return (int64_t)fmin(fmax(d, 0), (double)o->max_ms);
}

static void remark(const struct run *r, const char *fmt, ...) FL_PRINTF(2, 3);

static void
remark(const struct run *r, const char *fmt, ...)
{
	va_list ap;

	if (r->opt.quiet)
		return;
	va_start(ap, fmt);
	(void)fputs("fcheckpoint run: ", stderr);
	(void)vfprintf(stderr, fmt, ap);
	(void)fputc('\n', stderr);
	va_end(ap);
}

/* Wait; a signal ends it: true. */
static bool
interrupted(int64_t ms)
{
	int64_t until = fl_clock_ms() + ms;

	while (!signals_seen && fl_clock_ms() < until)
		(void)fl_io_wait_readable(-1, POLL_MS);
	return signals_seen;
}

static int
supervise(struct run *r, struct fl_err *err)
{
	for (;;) {
		int64_t began_ms = fl_clock_ms(), now_ms, wait_ms;
		int status = attempt(r, err);
		bool again = restartable(status);

		if (status < 0)
			return status;
		if (again && (r->stopping || each_directory(r, was_asked, 0))) {
			end_group(r, false);
			remark(r, "%s was stopped as asked (exit %d)", r->script[0], status);
			return status;
		}
		end_group(r, status != 0);
		if (!again)
			return status;
		now_ms = fl_clock_ms();
		wait_ms = delay(r, now_ms - began_ms, now_ms);
		if (wait_ms < 0) {
			(void)fprintf(stderr,
				      "fcheckpoint run: %s ended with %d: giving up after %u "
				      "restart%s\n",
				      r->script[0], status, r->restarts,
				      r->restarts == 1 ? "" : "s");
			return -FL_ETEMP;
		}
		r->restarts++;
		remark(r, "%s ended with %d; restart %u in %lld ms", r->script[0], status,
		       r->restarts, (long long)wait_ms);
		if (interrupted(wait_ms))
			return signal_last == SIGINT ? -FL_EINTERRUPT : -FL_ETEMP;
	}
}

static int
print_help(void)
{
	struct fl_buf text = { 0 };
	struct fl_err err = { 0 };
	int rc;

	fl_buf_puts(
		&text,
		"Usage: fcheckpoint run [options] SCRIPT [ARG...]\n"
		"Runs SCRIPT by bash, and again after exit 75 or a death by a signal.\n\n"
		"A stop that was asked for (SIGTERM, fcheckpoint savepoint --stop) is one.\n\n");
	fc_help_options(fc_run_opts, &text);
	fl_buf_puts(&text, "\nAll of it, with examples: man fcheckpoint\n");
	rc = fl_io_write(STDOUT_FILENO, text.data, text.len, "standard output", &err);
	fl_buf_release(&text);
	return -rc;
}

int
fc_run(int argc, char **argv)
{
	struct sigaction a = { .sa_handler = on_signal };
	struct run r = { .told_fd = -1 };
	struct fl_err err = { 0 };
	int rc = parse(&r, argc, argv, &err);

	if (rc == 0 && r.opt.help)
		return print_help();
	if (rc == 0) {
		r.next_delay_ms = (double)r.opt.initial_ms;
		r.told_fd = memfd_create("flue-run", MFD_CLOEXEC);
		if (r.told_fd < 0)
			rc = fl_fail_errno(&err, FL_EIO, errno, "cannot make a file in memory");
	}
	if (rc == 0) {
		(void)sigaction(SIGTERM, &a, NULL);
		(void)sigaction(SIGINT, &a, NULL);
		(void)sigaction(SIGHUP, &a, NULL);
		(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
		rc = supervise(&r, &err);
	}
	if (rc < 0)
		(void)fprintf(stderr, "fcheckpoint run: %s\n", err.msg);
	if (r.told_fd >= 0)
		(void)close(r.told_fd);
	free(r.failed_ms);
	return rc < 0 ? -rc : rc;
}
