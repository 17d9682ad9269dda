/* SPDX-License-Identifier: Apache-2.0 */
#include "people.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "checkpoint.h"
#include "run/format.h"

#define AT(member) offsetof(struct fc_people, member)
#define ROWS_AT_ONCE 1024u
#define TEXT_AT_ONCE FL_KIB(64)

const struct fl_opt fc_people_opts[] = {
	{ .name = "ocsv", .type = FL_OPT_SET, .offset = AT(out), .value = "csv", .help = "CSV" },
	{ .name = "otsv", .type = FL_OPT_SET, .offset = AT(out), .value = "tsv", .help = "TSV" },
	{ .name = "ojsonl",
	  .type = FL_OPT_SET,
	  .offset = AT(out),
	  .value = "jsonl",
	  .help = "JSON, an object a line" },
	{ .name = "opprint",
	  .type = FL_OPT_SET,
	  .offset = AT(out),
	  .value = "pprint",
	  .help = "a table (the default)" },
	{ .name = "headerless-csv-output",
	  .type = FL_OPT_FLAG,
	  .offset = AT(headerless),
	  .help = "CSV without its header line" },
	{ .name = "ofs",
	  .type = FL_OPT_CHAR,
	  .offset = AT(ofs),
	  .arg = "C",
	  .help = "CSV: what stands between fields" },
	{ .name = "output",
	  .letter = 'o',
	  .type = FL_OPT_STRING,
	  .offset = AT(output),
	  .arg = "FILE",
	  .help = "write to FILE (-o)" },
	{ .name = "otime",
	  .type = FL_OPT_ENUM,
	  .offset = AT(otime),
	  .arg = "FMT",
	  .value = "iso|epoch-ms",
	  .help = "times: iso (default) or epoch-ms" },
	{ .name = "tz",
	  .type = FL_OPT_STRING,
	  .offset = AT(tz),
	  .arg = "ZONE",
	  .help = "the zone of times; default UTC" },
	{ .name = "color",
	  .type = FL_OPT_ENUM,
	  .offset = AT(color),
	  .arg = "WHEN",
	  .value = "auto|always|never",
	  .help = "auto, always, never" },
	{ .name = "quiet",
	  .letter = 'q',
	  .type = FL_OPT_FLAG,
	  .offset = AT(quiet),
	  .help = "errors only (-q)" },
	{ .name = "help", .letter = 'h', .type = FL_OPT_FLAG, .offset = AT(help), .help = "this" },
	{ .type = FL_OPT_END },
};

static const struct fl_opt no_opts[] = { { .type = FL_OPT_END } };

/* ---- main ------------------------------------------------------------------------------- */

static int
print_help(const struct fc_subcommand *c, struct fl_err *err)
{
	struct fl_buf text = { 0 };
	int rc;

	fl_buf_printf(&text, "Usage: fcheckpoint %s %s\n%s\n", c->name, c->usage, c->help);
	if (c->opts)
		fc_help_options(c->opts, &text);
	fc_help_options(fc_people_opts, &text);
	rc = fl_io_write(STDOUT_FILENO, text.data, text.len, "standard output", err);
	fl_buf_release(&text);
	return rc;
}

static int
run_words(const struct fc_subcommand *c, struct fc_people *p, char **words, int count,
	  struct fl_err *err)
{
	if (p->help)
		return print_help(c, err);
	if (count < c->words_min || count > c->words_max)
		return fl_fail(err, FL_EUSAGE, "%s: fcheckpoint %s %s",
			       count < c->words_min ? "too few words" : "too many words", c->name,
			       c->usage);
	if (p->tz && !(p->zone = fl_zone_open(p->tz, err)))
		return fl_wrap(err, "--tz");
	return c->run(p, words, count, err);
}

int
fc_people_main(const struct fc_subcommand *c, int argc, char **argv)
{
	struct fc_people p = { .ofs = ',', .retain = -1, .timeout_ms = 600000 };
	struct fl_opt_group groups[] = {
		{ .opts = c->opts ? c->opts : no_opts, .into = &p },
		{ .opts = fc_people_opts, .into = &p },
	};
	char **words = fl_xcalloc((size_t)argc + 1, sizeof *words);
	struct fl_err err = { 0 };
	int count = 0, rc;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
	rc = fl_opt_parse(groups, FL_ARRAY_LEN(groups), argc, argv, words, &count, &err);
	if (rc == 0)
		rc = run_words(c, &p, words, count, &err);
	if (rc < 0 && !err.quiet)
		(void)fprintf(stderr, "fcheckpoint: %s\n", err.msg);
	fl_zone_free(p.zone);
	free(words);
	return -rc;
}

/* ---- DIR@ID ------------------------------------------------------------------------------ */

/* The number behind the last '@'; where it begins, or NULL. */
static const char *
split(const char *word, uint64_t *ret_id)
{
	const char *at = strrchr(word, '@');
	struct stat st;
	char *end;

	*ret_id = 0;
	if (!at || at[1] < '0' || at[1] > '9' || stat(word, &st) == 0)
		return NULL;
	*ret_id = strtoull(at + 1, &end, 10);
	return *end ? NULL : at;
}

int
fc_people_open(struct fl_ckdir *d, const char *word, bool needs_id, uint64_t *ret_id,
	       struct fl_err *err)
{
	const char *at = split(word, ret_id);
	char *path;
	int rc;

	if (!at)
		*ret_id = 0;
	if (needs_id && *ret_id == 0)
		return fl_fail(err, FL_EUSAGE,
			       "%s: say which checkpoint, as in %s@12; fcheckpoint list shows them",
			       word, word);
	path = at ? fl_xstrndup(word, (size_t)(at - word)) : fl_xstrdup(word);
	rc = fl_ckdir_open(d, path, false, err);
	free(path);
	return rc;
}

int
fc_people_manifest(const struct fl_ckdir *d, uint64_t id, struct fl_manifest *m, struct fl_err *err)
{
	int rc;

	if (id && fl_ck_look(d, id) == FL_CK_ABANDONED)
		return fl_fail(err, FL_ENOINPUT, "checkpoint %llu of %s is abandoned",
			       (unsigned long long)id, d->path);
	if (id)
		return fl_manifest_read(d, id, m, err);
	rc = fl_manifest_newest(d, m, err);
	if (rc == 0)
		return fl_fail(err, FL_ENOINPUT, "%s has no complete checkpoint", d->path);
	return rc < 0 ? rc : 0;
}

uint64_t
fc_op_size(const struct fl_ck_op *op)
{
	uint64_t size = op->state.size;

	for (uint32_t i = 0; i < op->file_count; i++)
		size += op->files[i].size;
	return size;
}

uint64_t
fc_manifest_size(const struct fl_manifest *m)
{
	uint64_t size = 0;

	for (uint32_t i = 0; i < m->op_count; i++)
		size += fc_op_size(&m->ops[i]);
	for (uint32_t i = 0; i < m->sink_count; i++)
		for (uint32_t k = 0; k < m->sinks[i].pending_count; k++)
			size += m->sinks[i].pending[k].to - m->sinks[i].pending[k].from;
	return size;
}

const char *
fc_manifest_kind(const struct fl_manifest *m)
{
	return m->finished ? "finished" : m->savepoint ? "savepoint" : "checkpoint";
}

/* ---- rows ---------------------------------------------------------------------------------- */

static size_t
terminal_width(void)
{
	struct winsize w;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 ? w.ws_col : 0;
}

int
fc_table_open(struct fc_table *t, const struct fc_people *p, const char *const *columns,
	      uint32_t count, struct fl_err *err)
{
	const char *by_name = p->output ? fl_output_format_by_name(p->output) : NULL;
	const struct fl_writer_type *type = fl_writer_type(p->out    ? p->out
							   : by_name ? by_name
								     : "pprint");
	bool tty = !p->output && isatty(STDOUT_FILENO);
	struct fl_writer_options o = {
		.separator = p->ofs,
		.headerless = p->headerless,
		.epoch_ms = p->otime == 1,
		.zone = p->zone,
		.color = p->color == 1 || (p->color == 0 && tty && !getenv("NO_COLOR")),
		.escape_controls = tty,
		.width = tty ? terminal_width() : 0,
	};

	*t = (struct fc_table){ .fd = STDOUT_FILENO, .name = "standard output" };
	fl_header_init(&t->header);
	fl_build_init(&t->build, count);
	for (uint32_t c = 0; c < count; c++)
		(void)fl_header_add(&t->header, columns[c], strlen(columns[c]), FL_TEXT);
	if (!type)
		return fl_fail(err, FL_EUSAGE, "-o %s: no format that can be written", p->output);
	t->writer = fl_writer_new(type, &o, err);
	if (!t->writer || !p->output)
		return t->writer ? 0 : err->code;
	t->name = p->output;
	t->fd = open(p->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (t->fd < 0)
		return fl_fail(err, FL_ECREATE, "cannot create %s", p->output);
	return 0;
}

static int
flush(struct fc_table *t, bool all, struct fl_err *err)
{
	int rc = 0;

	if (t->build.rows)
		rc = fl_writer_write(t->writer, &t->header, fl_build_view(&t->build), &t->text,
				     err);
	fl_build_clear(&t->build);
	if (rc == 0 && all)
		rc = fl_writer_end(t->writer, &t->header, &t->text, err);
	if (rc == 0 && (all || t->text.len >= TEXT_AT_ONCE)) {
		rc = fl_io_write(t->fd, t->text.data, t->text.len, t->name, err);
		fl_buf_clear(&t->text);
	}
	return rc;
}

int
fc_table_row(struct fc_table *t, struct fl_err *err)
{
	fl_build_row(&t->build, 0, 0, FL_INSERT);
	if (t->build.rows < ROWS_AT_ONCE && fl_build_bytes(&t->build) < FL_MIB(1))
		return 0;
	return flush(t, false, err);
}

int
fc_table_end(struct fc_table *t, int rc, struct fl_err *err)
{
	struct fl_err later;

	/* what came before an error is printed too; the first error is told */
	if (t->writer && t->fd >= 0 && flush(t, true, rc < 0 ? &later : err) < 0 && rc == 0)
		rc = err->code;
	if (t->fd >= 0 && t->fd != STDOUT_FILENO && close(t->fd) < 0 && rc == 0)
		rc = fl_fail(err, FL_EIO, "cannot write %s", t->name);
	fl_writer_free(t->writer);
	fl_build_release(&t->build);
	fl_header_release(&t->header);
	fl_buf_release(&t->text);
	return rc;
}
