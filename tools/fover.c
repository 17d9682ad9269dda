/* SPDX-License-Identifier: Apache-2.0 */
/* fover: OVER aggregates, row by row. */
#include <errno.h>
#include <stdlib.h>

#include "rank/over.h"
#include "time/duration.h"

struct fover {
	const char *rows;
	const char *range;
	const char *late;
	char **definitions; /* NAME=EXPR, borrowed from the command line */
	int count;
	struct fl_over_spec spec;
	struct fl_over over;
};

static int
parse_frame(struct fover *f, struct fl_err *err)
{
	char *end;

	f->spec = (struct fl_over_spec){ .frame = f->rows ? FL_OVER_ROWS : FL_OVER_RANGE,
					 .before = -1,
					 .late = f->late };
	if (f->rows && f->range)
		return fl_fail(err, FL_EUSAGE, "--rows and --range: one of them");
	if (f->rows && strcmp(f->rows, "unbounded") != 0) {
		errno = 0;
		f->spec.before = strtoll(f->rows, &end, 10);
		if (errno || !*f->rows || *end || f->spec.before < 0)
			return fl_fail(err, FL_EUSAGE,
				       "--rows: \"%s\" is neither a number of rows nor unbounded",
				       f->rows);
	}
	if (f->range && strcmp(f->range, "unbounded") != 0 &&
	    fl_duration_parse(f->range, 0, &f->spec.before, err) < 0)
		return fl_wrap(err, "--range");
	return 0;
}

static int
words(void *self, struct fl_run *run, char **words, int count, int *ret_used, struct fl_err *err)
{
	struct fover *f = self;
	int n = 0;

	(void)run;
	while (n < count && strchr(words[n], '='))
		n++;
	if (n == 0)
		return fl_fail(err, FL_EUSAGE,
			       "say what to compute: NAME=EXPR, for example 'total=sum(bytes)' "
			       "'before=lag(bytes)'");
	f->definitions = words;
	f->count = n;
	*ret_used = n;
	return parse_frame(f, err);
}

static int
open(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fover *f = self;

	for (int i = 0; i < f->count; i++)
		if (fl_over_define(&f->over, f->definitions[i], fl_run_expr_env(run), err) < 0)
			return err->code;
	return fl_over_open(&f->over, run, &f->spec, err);
}

static int
columns(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fover *f = self;

	(void)run;
	return fl_over_columns(&f->over, err);
}

static int
on_batch(void *self, struct fl_run *run, uint32_t input, const struct fl_batch *b,
	 struct fl_err *err)
{
	struct fover *f = self;

	(void)run;
	(void)input;
	return fl_over_batch(&f->over, b, err);
}

static int
on_watermark(void *self, struct fl_run *run, int64_t wm_ms, int64_t *forward_ms, struct fl_err *err)
{
	struct fover *f = self;

	(void)run;
	return fl_over_watermark(&f->over, wm_ms, forward_ms, err);
}

static int
on_end(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fover *f = self;
	const char *name;

	for (size_t i = 0; (name = fl_over_unseen(&f->over, i)); i++)
		fl_run_unseen(run, name);
	return fl_over_end(&f->over, err);
}

static int
before_snapshot(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fover *f = self;

	(void)run;
	return fl_over_checkpoint(&f->over, err);
}

static void
snapshot(void *self, struct fl_run *run, struct fl_save *s)
{
	struct fover *f = self;

	(void)run;
	fl_over_snapshot(&f->over, s);
}

static int
restore(void *self, struct fl_run *run, struct fl_load *l, struct fl_err *err)
{
	struct fover *f = self;

	(void)run;
	return fl_over_restore(&f->over, l, err);
}

static size_t
state_bytes(const void *self)
{
	const struct fover *f = self;

	return fl_over_bytes(&f->over);
}

static void
close_over(void *self)
{
	struct fover *f = self;

	fl_over_release(&f->over);
}

#define AT(m) offsetof(struct fover, m)

static const struct fl_opt opts[] = {
	{ .name = "rows",
	  .type = FL_OPT_STRING,
	  .offset = AT(rows),
	  .arg = "N|unbounded",
	  .help = "over the row and the N before it" },
	{ .name = "range",
	  .type = FL_OPT_STRING,
	  .offset = AT(range),
	  .arg = "DUR|unbounded",
	  .help = "over the rows at most DUR older (unbounded)" },
	{ .name = "late",
	  .type = FL_OPT_STRING,
	  .offset = AT(late),
	  .arg = "FILE",
	  .help = "rows that came too late, CSV or JSONL by name" },
	{ .type = FL_OPT_END },
};

static const struct fl_op fover_op = {
	.name = "fover",
	.summary = "add aggregates over the rows before each row",
	.usage = "NAME=EXPR... [FILE...]",
	.notes = "EXPR: the aggregates of freduce, over the rows of the key so far in time; or\n"
		 "  lag(x [, rows [, otherwise]]) lead(...) row_number() rank() dense_rank()\n"
		 "\n"
		 "  fkeyby --time ts --watermark 5s host access.csv | fover 'last=lag(ts)'\n"
		 "  fkeyby --time ts seller sales.csv | fover --rows 10 'usual=avg(price)'\n",
	.opts = opts,
	.self_size = sizeof(struct fover),
	.inputs_max = 1,
	.words = words,
	.open = open,
	.columns = columns,
	.on_batch = on_batch,
	.on_watermark = on_watermark,
	.on_end = on_end,
	.close = close_over,
	.before_snapshot = before_snapshot,
	.snapshot = snapshot,
	.restore = restore,
	.state_bytes = state_bytes,
};

int
main(int argc, char **argv)
{
	return fl_main(&fover_op, argc, argv);
}
