/* SPDX-License-Identifier: Apache-2.0 */
#include "run/options.h"

#include <stdio.h>
#include <string.h>

#include "time/duration.h"

#define AT(m) offsetof(struct fl_options, m)

static const struct fl_opt input_opts[] = {
	{ .name = "icsv",
	  .type = FL_OPT_SET,
	  .offset = AT(in),
	  .value = "csv",
	  .help = "the input is CSV with a header line" },
	{ .name = "itsv", .type = FL_OPT_SET, .offset = AT(in), .value = "tsv", .help = "TSV" },
	{ .name = "ijsonl",
	  .type = FL_OPT_SET,
	  .offset = AT(in),
	  .value = "jsonl",
	  .help = "one JSON object a line" },
	{ .name = "iclf",
	  .type = FL_OPT_SET,
	  .offset = AT(in),
	  .value = "clf",
	  .help = "web server log, common or combined" },
	{ .name = "ilogfmt",
	  .type = FL_OPT_SET,
	  .offset = AT(in),
	  .value = "logfmt",
	  .help = "key=value lines" },
	{ .name = "isyslog",
	  .type = FL_OPT_SET,
	  .offset = AT(in),
	  .value = "syslog",
	  .help = "syslog, RFC 3164 or 5424" },
	{ .name = "ilogformat",
	  .type = FL_OPT_STRING,
	  .offset = AT(logformat),
	  .arg = "FMT",
	  .help = "nginx's log_format, Apache's LogFormat" },
	{ .name = "iregex",
	  .type = FL_OPT_STRING,
	  .offset = AT(regex),
	  .arg = "RE",
	  .help = "lines; named groups are columns" },
	{ .name = "itext",
	  .type = FL_OPT_SET,
	  .offset = AT(in),
	  .value = "text",
	  .help = "lines; one column, line" },
	{ .name = "implicit-csv-header",
	  .type = FL_OPT_FLAG,
	  .offset = AT(implicit_header),
	  .help = "no header line: columns 1, 2, 3" },
	{ .name = "allow-ragged-csv-input",
	  .type = FL_OPT_FLAG,
	  .offset = AT(allow_ragged),
	  .help = "rows may be short or long" },
	{ .name = "ifs",
	  .type = FL_OPT_CHAR,
	  .offset = AT(ifs),
	  .arg = "C",
	  .help = "field separator of CSV" },
	{ .type = FL_OPT_END },
};

static const struct fl_opt output_opts[] = {
	{ .name = "ocsv",
	  .type = FL_OPT_SET,
	  .offset = AT(out),
	  .value = "csv",
	  .help = "write CSV" },
	{ .name = "otsv", .type = FL_OPT_SET, .offset = AT(out), .value = "tsv", .help = "TSV" },
	{ .name = "ojsonl",
	  .type = FL_OPT_SET,
	  .offset = AT(out),
	  .value = "jsonl",
	  .help = "JSONL" },
	{ .name = "opprint",
	  .type = FL_OPT_SET,
	  .offset = AT(out),
	  .value = "pprint",
	  .help = "an aligned table" },
	{ .name = "oxtab",
	  .type = FL_OPT_SET,
	  .offset = AT(out),
	  .value = "xtab",
	  .help = "a line a column" },
	{ .name = "omd",
	  .type = FL_OPT_SET,
	  .offset = AT(out),
	  .value = "md",
	  .help = "a table of Markdown" },
	{ .name = "ologfmt",
	  .type = FL_OPT_SET,
	  .offset = AT(out),
	  .value = "logfmt",
	  .help = "key=value lines" },
	{ .name = "csv",
	  .type = FL_OPT_SET,
	  .offset = AT(in),
	  .offset2 = AT(out),
	  .value = "csv",
	  .help = "both: CSV" },
	{ .name = "tsv",
	  .type = FL_OPT_SET,
	  .offset = AT(in),
	  .offset2 = AT(out),
	  .value = "tsv",
	  .help = "both: TSV" },
	{ .name = "jsonl",
	  .type = FL_OPT_SET,
	  .offset = AT(in),
	  .offset2 = AT(out),
	  .value = "jsonl",
	  .help = "both: JSONL" },
	{ .name = "output",
	  .letter = 'o',
	  .type = FL_OPT_STRING,
	  .offset = AT(output),
	  .arg = "FILE",
	  .help = "write to FILE, format by its name" },
	{ .name = "append", .type = FL_OPT_FLAG, .offset = AT(append), .help = "to its end" },
	{ .name = "columns",
	  .type = FL_OPT_STRING,
	  .offset = AT(columns),
	  .arg = "A,B",
	  .help = "these columns, in this order" },
	{ .name = "headerless-csv-output",
	  .type = FL_OPT_FLAG,
	  .offset = AT(headerless),
	  .help = "no header line" },
	{ .name = "ofs",
	  .type = FL_OPT_CHAR,
	  .offset = AT(ofs),
	  .arg = "C",
	  .help = "field separator of CSV" },
	{ .name = "otime",
	  .type = FL_OPT_ENUM,
	  .offset = AT(otime),
	  .arg = "FORM",
	  .value = "iso|epoch-ms",
	  .help = "times as iso or epoch-ms" },
	{ .name = "color",
	  .type = FL_OPT_ENUM,
	  .offset = AT(color),
	  .arg = "WHEN",
	  .value = "auto|always|never",
	  .help = "auto, always, never" },
	{ .type = FL_OPT_END },
};

static const struct fl_opt time_opts[] = {
	{ .name = "time",
	  .type = FL_OPT_STRING,
	  .offset = AT(time),
	  .arg = "EXPR",
	  .help = "event time: a column or an expression" },
	{ .name = "time-format",
	  .type = FL_OPT_STRING,
	  .offset = AT(time_format),
	  .arg = "FMT",
	  .help = "auto, epoch-ms, iso, ... or strptime" },
	{ .name = "tz",
	  .type = FL_OPT_STRING,
	  .offset = AT(tz),
	  .arg = "ZONE",
	  .help = "zone of times without one, and out" },
	{ .name = "assume-year",
	  .type = FL_OPT_INT,
	  .offset = AT(assume_year),
	  .arg = "Y",
	  .help = "year of times without one" },
	{ .name = "watermark",
	  .type = FL_OPT_STRING,
	  .offset = AT(watermark),
	  .arg = "DUR",
	  .help = "how late rows may be; default 0s" },
	{ .name = "watermark-at",
	  .type = FL_OPT_STRING,
	  .offset = AT(watermark_at),
	  .arg = "EXPR",
	  .help = "the watermark, where not NULL" },
	{ .name = "idle-timeout",
	  .type = FL_OPT_DURATION,
	  .offset = AT(idle_ms),
	  .arg = "DUR",
	  .help = "then a quiet input holds nobody back" },
	{ .type = FL_OPT_END },
};

static const struct fl_opt other_opts[] = {
	{ .name = "on-error",
	  .type = FL_OPT_ENUM,
	  .offset = AT(on_error),
	  .arg = "WHAT",
	  .value = "fail|skip",
	  .help = "a bad record: fail (default) or skip" },
	{ .name = "reject",
	  .type = FL_OPT_STRING,
	  .offset = AT(reject),
	  .arg = "FILE",
	  .help = "skipped records, with line and reason" },
	{ .name = "uid",
	  .type = FL_OPT_STRING,
	  .offset = AT(uid),
	  .arg = "NAME",
	  .help = "name of this operator's state" },
	{ .name = "backend",
	  .type = FL_OPT_ENUM,
	  .offset = AT(backend),
	  .arg = "WHERE",
	  .value = "memory|rocksdb",
	  .help = "where state is: memory (default) or rocksdb" },
	{ .name = "max-memory",
	  .type = FL_OPT_SIZE,
	  .offset = AT(memory_max),
	  .arg = "SIZE",
	  .help = "limit of state; beyond it: exit 71" },
	{ .name = "ttl",
	  .type = FL_OPT_DURATION,
	  .offset = AT(ttl_ms),
	  .arg = "DUR",
	  .help = "forget keys that were not written for so long" },
	{ .name = "max-record",
	  .type = FL_OPT_SIZE,
	  .offset = AT(record_max),
	  .arg = "SIZE",
	  .help = "limit of a record; default 16M" },
	{ .name = "progress",
	  .type = FL_OPT_FLAG,
	  .offset = AT(progress),
	  .help = "what the tools are doing, on standard error" },
	{ .name = "explain",
	  .type = FL_OPT_FLAG,
	  .offset = AT(explain),
	  .help = "print the plan and the guarantee, process nothing" },
	{ .name = "quiet",
	  .letter = 'q',
	  .type = FL_OPT_FLAG,
	  .offset = AT(quiet),
	  .help = "no counts at exit, no hints" },
	{ .name = "help",
	  .letter = 'h',
	  .type = FL_OPT_FLAG,
	  .offset = AT(help),
	  .help = "this text" },
	{ .name = "version", .type = FL_OPT_FLAG, .offset = AT(version), .help = "the version" },
	{ .type = FL_OPT_END },
};

static const struct fl_opt no_opts[] = { { .type = FL_OPT_END } };

void
fl_options_init(struct fl_options *o, const struct fl_op *op, void *self,
		struct fl_opt_group groups[FL_OPTION_GROUPS])
{
	*o = (struct fl_options){ .ifs = ',', .ofs = ',', .record_max = FL_MIB(16) };
	groups[0] = (struct fl_opt_group){ op->name, op->opts ? op->opts : no_opts, self };
	groups[1] = (struct fl_opt_group){ "Input", input_opts, o };
	groups[2] = (struct fl_opt_group){ "Output", output_opts, o };
	groups[3] = (struct fl_opt_group){ "Time", time_opts, o };
	groups[4] = (struct fl_opt_group){ "Other", other_opts, o };
}

int
fl_options_check(struct fl_options *o, struct fl_err *err)
{
	if (o->watermark && o->watermark_at)
		return fl_fail(err, FL_EUSAGE, "give --watermark or --watermark-at, not both");
	if (o->watermark) {
		int rc = fl_duration_parse(o->watermark, 0, &o->watermark_ms, err);

		if (rc < 0)
			return fl_wrap(err, "--watermark");
	}
	if (o->reject && o->on_error == 0)
		return fl_fail(err, FL_EUSAGE, "--reject needs --on-error skip");
	if (o->append && !o->output)
		return fl_fail(err, FL_EUSAGE, "--append needs -o FILE");
	if (o->regex && o->logformat)
		return fl_fail(err, FL_EUSAGE, "give --iregex or --ilogformat, not both");
	if (o->regex)
		o->in = "regex";
	if (o->logformat)
		o->in = "logformat";
	if (o->record_max < 1 || o->record_max > FL_MIB(32))
		return fl_fail(err, FL_EUSAGE, "--max-record takes 1 to 32M");
	return 0;
}

/* ---- --help ------------------------------------------------------------------- */

#define HELP_WIDTH 79
#define HELP_INDENT 10

/*
 * Forty lines of eighty columns do not hold a line an option: a group is run on
 * as a paragraph. The tool's own options have a line each, with their text; the
 * common ones are told in the man page.
 */
static void
help_own(const struct fl_opt *opts, struct fl_buf *out)
{
	for (const struct fl_opt *o = opts; o->type != FL_OPT_END; o++) {
		size_t at = out->len;

		fl_buf_printf(out, "  --%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
		do
			fl_buf_putc(out, ' ');
		while (out->len - at < 24);
		fl_buf_printf(out, "%s\n", o->help);
	}
}

static void
help_group(const struct fl_opt_group *g, struct fl_buf *out)
{
	size_t line = out->len;

	fl_buf_printf(out, "%-*s", HELP_INDENT - 1, g->title);
	for (const struct fl_opt *o = g->opts; o->type != FL_OPT_END; o++) {
		char word[80];
		int n = snprintf(word, sizeof word, "--%s%s%s", o->name, o->arg ? " " : "",
				 o->arg ? o->arg : "");

		if (out->len - line + 1 + (size_t)n > HELP_WIDTH) {
			line = out->len + 1;
			fl_buf_printf(out, "\n%*s", HELP_INDENT - 1, "");
		}
		fl_buf_printf(out, " %s", word);
	}
	fl_buf_putc(out, '\n');
}

void
fl_options_short_help(const struct fl_op *op, struct fl_buf *out)
{
	fl_buf_printf(out, "Usage: %s [options] %s\n%s.\n\n%s", op->name, op->usage, op->summary,
		      op->notes);
	fl_buf_printf(out, "\n%s --help shows the options; all of it: man %s\n", op->name, op->name);
}

void
fl_options_help(const struct fl_op *op, const struct fl_opt_group groups[FL_OPTION_GROUPS],
		struct fl_buf *out)
{
	fl_buf_printf(out, "Usage: %s [options] %s\n%s.\n\n%s", op->name, op->usage, op->summary,
		      op->notes);
	if (op->opts) {
		fl_buf_puts(out, "\n");
		help_own(op->opts, out);
	}
	fl_buf_puts(out, "\n");
	for (size_t i = 1; i < FL_OPTION_GROUPS; i++)
		help_group(&groups[i], out);
	fl_buf_printf(out, "\nAll of it, with examples: man %s; the family: man flue\n", op->name);
}
