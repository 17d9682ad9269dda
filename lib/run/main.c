/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "run/run.h"
#include "time/zone.h"

#ifdef HAVE_CONFIG_H
#include <config.h>
#else
#define PACKAGE_VERSION "0"
#endif

/*
 * A descriptor 0, 1 or 2 that was closed would be given to the first file that
 * is opened, and that file would be read or written by mistake. A placeholder
 * that cannot be used takes its place, so that using it is an error.
 */
static void
guard_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

/* Frames are wanted from the looks of the command line, before it is parsed. */
static bool
wants_frames(int argc, char **argv)
{
	static const char *const text[] = { "--ocsv",   "--otsv", "--ojsonl",  "--opprint",
					    "--csv",    "--tsv",  "--jsonl",   "-o",
					    "--output", "--help", "--version", "-h" };

	for (int i = 1; i < argc; i++)
		for (size_t k = 0; k < FL_ARRAY_LEN(text); k++)
			if (strncmp(argv[i], text[k], strlen(text[k])) == 0)
				return false;
	return fl_output_is_pipe();
}

static int
print_and_close(const struct fl_op *op, const char *text, size_t len)
{
	struct fl_err err = { 0 };

	if (fl_io_write(STDOUT_FILENO, text, len, "standard output", &err) == 0)
		return 0;
	if (!err.quiet)
		(void)fprintf(stderr, "%s: %s\n", op->name, err.msg);
	return -err.code;
}

static int
parse(struct fl_run *run, struct fl_opt_group *groups, char **words, int *ret_files,
      char ***ret_file, struct fl_err *err)
{
	int count, used = 0;

	if (fl_opt_parse(groups, FL_OPTION_GROUPS, run->argc, run->argv, words, &count, err) < 0)
		return err->code;
	if (run->opt.help || run->opt.version)
		return 0;
	if (fl_options_check(&run->opt, err) < 0)
		return err->code;
	if (run->op->words && run->op->words(run->self, run, words, count, &used, err) < 0)
		return err->code;
	*ret_file = words + used;
	*ret_files = count - used;
	if (run->opt.tz) {
		run->zone = fl_zone_open(run->opt.tz, err);
		if (!run->zone)
			return fl_wrap(err, "--tz");
	}
	run->env = (struct fl_expr_env){ .zone = run->zone, .now_ms = fl_clock_ms() };
	run->now_ms = run->env.now_ms;
	return 0;
}

static int
open_inputs(struct fl_run *run, char **files, int file_count, struct fl_err *err)
{
	bool several = run->op->inputs_max > 1;
	uint32_t first = several && run->op->stdin_first ? 1 : 0;
	uint32_t count = several ? first + (uint32_t)file_count : 1;

	if (count == 0)
		count = 1;
	if (count > run->op->inputs_max)
		return fl_fail(err, FL_EUSAGE, "at most %u inputs, not %u", run->op->inputs_max,
			       count);
	run->in = fl_xcalloc(count, sizeof *run->in);
	run->poll = fl_xcalloc(count + 2, sizeof *run->poll);
	for (; run->input_count < count; run->input_count++) {
		uint32_t i = run->input_count;
		bool own = several && i >= first && file_count;

		fl_input_init(&run->in[i], run, &run->opt, &run->env,
			      own ? &files[i - first] : files,
			      !several ? file_count
			      : own    ? 1
				       : 0);
	}
	fl_align_init(&run->align, count);
	return 0;
}

/* Stopped with a savepoint: the exit status that begin says, without a message. */
static int
stopped(const struct fl_run *run, struct fl_err *err)
{
	if (run->end.status != FL_END_STOPPED || run->end.code == 0)
		return 0;
	(void)fl_fail(err, -run->end.code, "stopped with a savepoint");
	err->quiet = true;
	return err->code;
}

/* The tool is the end of the stream, and writes by itself. */
static int
finish_own(struct fl_run *run, struct fl_err *err)
{
	int rc = run->op->on_finish(run->self, run, &run->end, err);

	if (rc == 0)
		rc = fl_sides_end(run->sides, err);
	fl__region_wait(run);
	return rc < 0 ? rc : stopped(run, err);
}

/* FILEs without a byte are no error, but may be a surprise. */
static void
note_empty(struct fl_run *run)
{
	for (uint32_t i = 0; i < run->input_count && !run->opened; i++) {
		const struct fl_input *in = &run->in[i];

		if (in->file_count == 1 && in->mode == FL_INPUT_TEXT && in->taken == 0)
			fl_run_note(run, "%s is empty", in->name);
	}
}

static int
run_stream(struct fl_run *run, char **files, int file_count, struct fl_err *err)
{
	struct fl_end end;
	int rc;

	if (open_inputs(run, files, file_count, err) < 0)
		return err->code;
	fl__progress_start(run);
	fl__hint_start(run);
	rc = fl_run_loop(run, err);
	if (rc == 0 && run->opt.explain)
		return run->explained ? 0 : fl__run_explain(run, err);
	if (rc < 0)
		return rc;
	note_empty(run);
	if (run->op->own_output)
		return finish_own(run, err);
	if (!run->opened) /* an empty input: there is nothing to write either */
		rc = fl__run_open_output(run, err);
	end = run->end;
	end.records = run->out.records;
	if (rc == 0)
		rc = fl_output_end(&run->out, &run->out_header, &end, err);
	run->end_sent = rc == 0;
	if (rc == 0)
		rc = fl_sides_end(run->sides, err);
	fl__region_wait(run); /* commit waits for what it writes */
	return rc < 0 ? rc : stopped(run, err);
}

/* The name alone, typed on a terminal: what it is for. */
static bool
asks_what(const struct fl_run *run)
{
	struct fl_buf text = { 0 };

	if (run->argc > 1 || !isatty(STDIN_FILENO))
		return false;
	fl_options_short_help(run->op, &text);
	(void)fwrite(text.data, 1, text.len, stderr);
	fl_buf_release(&text);
	return true;
}

/* Counts at exit: nothing is skipped or dropped silently. */
static void
print_counts(const struct fl_run *run)
{
	if (run->opt.quiet)
		return;
	if (run->bad_records)
		(void)fprintf(stderr, "%s: %llu bad record%s skipped\n", run->op->name,
			      (unsigned long long)run->bad_records,
			      run->bad_records == 1 ? "" : "s");
	if (run->late_records)
		(void)fprintf(stderr, "%s: %llu late record%s %s%s\n", run->op->name,
			      (unsigned long long)run->late_records,
			      run->late_records == 1 ? "" : "s",
			      run->late_path ? "written to " : "dropped",
			      run->late_path ? run->late_path : "");
	if (run->notes.len)
		(void)fwrite(run->notes.data, 1, run->notes.len, stderr);
}

static void
run_release(struct fl_run *run)
{
	fl__region_wait(run); /* it waits for what the operator's backend writes */
	if (run->op->close)
		run->op->close(run->self);
	fl__order_release(run);
	for (uint32_t i = 0; i < run->input_count; i++)
		fl_input_release(&run->in[i]);
	free(run->in);
	free(run->poll);
	fl_align_release(&run->align);
	fl_header_release(&run->out_header);
	fl_output_release(&run->out);
	fl_sides_free(run->sides);
	fl_zone_free(run->zone);
	fl_buf_release(&run->notes);
	for (size_t i = 0; i < run->kept_sides.len / sizeof(struct fl_kept_side); i++)
		free(((struct fl_kept_side *)(void *)run->kept_sides.data)[i].path);
	fl_buf_release(&run->kept_sides);
	fl__region_release(run);
	fl__progress_release(&run->progress);
	free(run->self);
}

/* --help or --version: the exit status, or -1 if neither was asked for. */
static int
help_or_version(const struct fl_run *run, const struct fl_opt_group *groups)
{
	struct fl_buf text = { 0 };
	int status = -1;

	if (run->opt.help)
		fl_options_help(run->op, groups, &text);
	else if (run->opt.version)
		fl_buf_printf(&text, "%s (flue) %s\n", run->op->name, PACKAGE_VERSION);
	if (text.len)
		status = print_and_close(run->op, text.data, text.len);
	fl_buf_release(&text);
	return status;
}

int
fl_main(const struct fl_op *op, int argc, char **argv)
{
	struct fl_run run = {
		.op = op,
		.argc = argc,
		.argv = argv,
		.timer_ms = INT64_MAX,
		.wm_ms = INT64_MIN,
		.progress.signal_fd = -1,
	};
	struct fl_opt_group groups[FL_OPTION_GROUPS];
	char **words = fl_xcalloc((size_t)argc + 1, sizeof *words), **files = NULL;
	struct fl_err err = { 0 };
	int file_count = 0, status, rc;

	guard_descriptors();
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
	run.self = fl_xcalloc(1, op->self_size);
	fl_header_init(&run.out_header);
	fl_output_init(&run.out);
	fl_options_init(&run.opt, op, run.self, groups);
	if (asks_what(&run)) {
		status = -FL_EUSAGE;
		goto out;
	}
	rc = parse(&run, groups, words, &file_count, &files, &err);
	if (rc == 0) {
		status = help_or_version(&run, groups);
		if (status >= 0)
			goto out;
		rc = run_stream(&run, files, file_count, &err);
	}
	status = -rc;
	if (rc == FL_EPIPE && fl_io_said_enough(STDOUT_FILENO)) {
		fl__run_enough(&run);
		status = 0;
	} else if (rc < 0) {
		struct fl_err ignored; /* one message is enough */

		/* what is finished leaves before the message that says why there is no more */
		fl__region_failed(&run, status, err.quiet);
		if (!run.end_sent && !op->own_output)
			fl_output_fail(&run.out, wants_frames(argc, argv), status);
		(void)fl_sides_flush(run.sides, &ignored);
		if (!err.quiet)
			(void)fprintf(stderr, "%s: %s\n", op->name, err.msg);
	}
	fl__progress_end(&run);
	print_counts(&run);
out:
	run_release(&run);
	free(words);
	return status;
}
