/* SPDX-License-Identifier: Apache-2.0 */
/* fcheckpoint: finds the subcommand. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "checkpoint.h"
#include "run/options.h"

#ifdef HAVE_CONFIG_H
#include <config.h>
#else
#define PACKAGE_VERSION "0"
#endif

static const struct command {
	const char *name;
	int (*main)(int argc, char **argv);
} commands[] = {
	{ "begin", fc_begin }, { "commit", fc_commit },       { "run", fc_run },
	{ "list", fc_list },   { "show", fc_show },           { "verify", fc_verify },
	{ "diff", fc_diff },   { "savepoint", fc_savepoint }, { "rewind", fc_rewind },
	{ "prune", fc_prune },
};

static const char help_top[] =
	"Usage: fcheckpoint COMMAND [options] ...\n"
	"Make pipelines exactly once: kill one anywhere, run it again.\n"
	"\n"
	"  fcheckpoint begin -d ckpt a.csv | fkeyby user | freduce n=count |\n"
	"    fcheckpoint commit -o out.csv\n"
	"  fcheckpoint savepoint ckpt --stop\n"
	"\n"
	"In a line:\n"
	"  begin -d DIR [FILE...]      the source; begin -d DIR -- COMMAND runs one\n"
	"  commit [-o FILE]            the sink; results appear when they are final\n"
	"For people:\n"
	"  run SCRIPT [ARG...]         run it, and again when it was killed\n"
	"  list DIR, rewind DIR@ID     the checkpoints; go back to an older one\n"
	"  show DIR[@ID] [UID]         what one is made of; the state of an operator\n"
	"  verify DIR, diff DIR@A DIR@B  check all of it; what changed between two\n"
	"  savepoint DIR, prune DIR    one more, now; remove what is not needed\n"
	"\n";

static const char help_others[] = "Commit    --segments SIZE|DUR --read-uncommitted\n"
				  "Savepoint --stop --drain --to PATH --timeout DUR\n";

static const char help_end[] =
	"\nfcheckpoint COMMAND --help says more of one. All of it: man fcheckpoint\n";

/* ---- help ------------------------------------------------------------------------------- */

void
fc_help_options(const struct fl_opt *opts, struct fl_buf *out)
{
	for (const struct fl_opt *o = opts; o->type != FL_OPT_END; o++) {
		size_t at = out->len;

		fl_buf_printf(out, "  --%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
		do
			fl_buf_putc(out, ' ');
		while (out->len - at < 28);
		fl_buf_printf(out, "%s\n", o->help);
	}
}

#define HELP_WIDTH 79
#define HELP_INDENT 10

/* A paragraph of options: they are told in the man page. */
static void
help_group(const char *title, const struct fl_opt *opts, bool skip_common, struct fl_buf *out)
{
	size_t line = out->len;

	fl_buf_printf(out, "%-*s", HELP_INDENT - 1, title);
	for (const struct fl_opt *o = opts; o->type != FL_OPT_END; o++) {
		char word[80];
		int n;

		if (skip_common && (strcmp(o->name, "quiet") == 0 || strcmp(o->name, "help") == 0))
			continue; /* they stand among those that every tool takes */
		n = snprintf(word, sizeof word, "--%s%s%s", o->name, o->arg ? " " : "",
			     o->arg ? o->arg : "");

		if (out->len - line + 1 + (size_t)n > HELP_WIDTH) {
			line = out->len + 1;
			fl_buf_printf(out, "\n%*s", HELP_INDENT - 1, "");
		}
		fl_buf_printf(out, " %s", word);
	}
	fl_buf_putc(out, '\n');
}

static int
print(const char *p, size_t n)
{
	struct fl_err err = { 0 };

	if (fl_io_write(STDOUT_FILENO, p, n, "standard output", &err) == 0)
		return 0;
	if (!err.quiet)
		(void)fprintf(stderr, "fcheckpoint: %s\n", err.msg);
	return -err.code;
}

static int
help(void)
{
	static const struct fl_op none = { .name = "fcheckpoint" };
	struct fl_opt_group groups[FL_OPTION_GROUPS];
	struct fl_options common;
	struct fl_buf text = { 0 };
	int status;

	fl_buf_puts(&text, help_top);
	help_group("Begin", fc_begin_opts, true, &text);
	fl_buf_puts(&text, help_others);
	help_group("Run", fc_run_opts, true, &text);
	fl_options_init(&common, &none, NULL, groups); /* of commit */
	for (size_t i = 1; i < FL_OPTION_GROUPS; i++)
		help_group(groups[i].title, groups[i].opts, false, &text);
	fl_buf_puts(&text, help_end);
	status = print(text.data, text.len);
	fl_buf_release(&text);
	return status;
}

/* ---- dispatch ----------------------------------------------------------------------------- */

/* A closed descriptor 0, 1 or 2 would be given to the first file that is opened. */
static void
guard_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

static int
unknown(const char *word)
{
	const char *names[FL_ARRAY_LEN(commands)], *near;

	for (size_t i = 0; i < FL_ARRAY_LEN(commands); i++)
		names[i] = commands[i].name;
	near = fl_nearest(word, names, FL_ARRAY_LEN(names));
	if (near)
		(void)fprintf(stderr,
			      "fcheckpoint: unknown command %s (did you mean %s?); see --help\n",
			      word, near);
	else
		(void)fprintf(stderr, "fcheckpoint: unknown command %s; see --help\n", word);
	return -FL_EUSAGE;
}

int
main(int argc, char **argv)
{
	static const char version[] = "fcheckpoint (flue) " PACKAGE_VERSION "\n";

	guard_descriptors();
	if (argc < 2 && isatty(STDIN_FILENO)) {
		(void)fputs(help_top, stderr);
		(void)fputs(help_end + 1, stderr);
		return -FL_EUSAGE;
	}
	if (argc < 2) {
		(void)fputs("fcheckpoint: a command is missing: begin, commit, run, list, show, "
			    "verify, diff, savepoint, rewind or prune; see --help\n",
			    stderr);
		return -FL_EUSAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return help();
	if (strcmp(argv[1], "--version") == 0)
		return print(version, sizeof version - 1);
	if (strcmp(argv[1], "begin") == 0) /* who asks a whole line for its progress ends nothing */
		(void)signal(SIGUSR1, SIG_IGN);
	for (size_t i = 0; i < FL_ARRAY_LEN(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].main(argc - 1, argv + 1);
	return unknown(argv[1]);
}
