/* SPDX-License-Identifier: Apache-2.0 */
/* frank: the best rows per key and window. */
#include <errno.h>
#include <stdlib.h>

#include "rank/rank.h"

struct frank {
	int64_t limit;
	const char *by;
	const char *rank_name;
	int64_t offset;
	bool updates;
	struct fl_sortby order;
	struct fl_rank rank;
	struct fl_buf what;
};

static int
words(void *self, struct fl_run *run, char **words, int count, int *ret_used, struct fl_err *err)
{
	struct frank *f = self;
	char *end;

	(void)run;
	if (!count)
		return fl_fail(err, FL_EUSAGE,
			       "say how many rows, and by what: frank 3 --by 'x desc'");
	errno = 0;
	f->limit = strtoll(words[0], &end, 10);
	if (errno || !*words[0] || *end || f->limit <= 0)
		return fl_fail(err, FL_EUSAGE, "\"%s\" is not a number of rows", words[0]);
	if (!f->by)
		return fl_fail(err, FL_EUSAGE, "say by what: frank %s --by 'x desc'", words[0]);
	if (f->rank_name && !*f->rank_name)
		return fl_fail(err, FL_EUSAGE, "--rank wants a name");
	*ret_used = 1;
	return 0;
}

static int
open(void *self, struct fl_run *run, struct fl_err *err)
{
	struct frank *f = self;
	struct fl_rank_spec spec = { .limit = f->limit,
				     .offset = f->offset,
				     .rank_name = f->rank_name,
				     .updates = f->updates,
				     .order = &f->order };

	if (fl_sortby_parse(&f->order, f->by, fl_run_expr_env(run), err) < 0)
		return err->code;
	fl_buf_printf(&f->what, "by %s", f->by);
	fl_buf_putc(&f->what, '\0');
	spec.what = f->what.data;
	return fl_rank_open(&f->rank, run, &spec, err);
}

static int
columns(void *self, struct fl_run *run, struct fl_err *err)
{
	struct frank *f = self;

	(void)run;
	return fl_rank_columns(&f->rank, err);
}

static int
on_batch(void *self, struct fl_run *run, uint32_t input, const struct fl_batch *b,
	 struct fl_err *err)
{
	struct frank *f = self;

	(void)run;
	(void)input;
	return fl_rank_batch(&f->rank, b, err);
}

static int
on_watermark(void *self, struct fl_run *run, int64_t wm_ms, int64_t *forward_ms, struct fl_err *err)
{
	struct frank *f = self;

	(void)run;
	return fl_rank_watermark(&f->rank, wm_ms, forward_ms, err);
}

static int
on_timer(void *self, struct fl_run *run, int64_t now_ms, struct fl_err *err)
{
	struct frank *f = self;

	(void)run;
	return fl_rank_timer(&f->rank, now_ms, err);
}

static int
on_end(void *self, struct fl_run *run, struct fl_err *err)
{
	struct frank *f = self;
	const char *name;

	for (size_t i = 0; (name = fl_sortby_unseen(&f->order, i)); i++)
		fl_run_unseen(run, name);
	return fl_rank_end(&f->rank, err);
}

static int
before_snapshot(void *self, struct fl_run *run, struct fl_err *err)
{
	struct frank *f = self;

	(void)run;
	return fl_rank_checkpoint(&f->rank, err);
}

static void
snapshot(void *self, struct fl_run *run, struct fl_save *s)
{
	struct frank *f = self;

	(void)run;
	fl_rank_snapshot(&f->rank, s);
}

static int
restore(void *self, struct fl_run *run, struct fl_load *l, struct fl_err *err)
{
	struct frank *f = self;

	(void)run;
	return fl_rank_restore(&f->rank, l, err);
}

static size_t
state_bytes(const void *self)
{
	const struct frank *f = self;

	return fl_rank_bytes(&f->rank);
}

static void
close_rank(void *self)
{
	struct frank *f = self;

	fl_rank_release(&f->rank);
	fl_sortby_release(&f->order);
	fl_buf_release(&f->what);
}

#define AT(m) offsetof(struct frank, m)

static const struct fl_opt opts[] = {
	{ .name = "by",
	  .type = FL_OPT_STRING,
	  .offset = AT(by),
	  .arg = "LIST",
	  .help = "what to sort by: 'price desc, ts'" },
	{ .name = "rank",
	  .type = FL_OPT_STRING,
	  .offset = AT(rank_name),
	  .arg = "NAME",
	  .help = "add a column with the place: 1, 2, ..." },
	{ .name = "offset",
	  .type = FL_OPT_INT,
	  .offset = AT(offset),
	  .arg = "K",
	  .help = "leave the first K out: places K+1 to K+N" },
	{ .name = "updates",
	  .type = FL_OPT_FLAG,
	  .offset = AT(updates),
	  .help = "the changelog as it happens, op first" },
	{ .type = FL_OPT_END },
};

static const struct fl_op frank_op = {
	.name = "frank",
	.summary = "the best rows per key and window",
	.usage = "N --by LIST [FILE...]",
	.notes = "LIST: columns or expressions, each with asc (default) or desc; NULL comes\n"
		 "  last unless it says nulls first. Of equal rows the earlier arrival is better.\n"
		 "\n"
		 "  frank 10 --by 'bytes desc' access.csv\n"
		 "  fkeyby auction bids.csv | frank 1 --by 'price desc, ts'\n",
	.opts = opts,
	.self_size = sizeof(struct frank),
	.inputs_max = 1,
	.words = words,
	.open = open,
	.columns = columns,
	.on_batch = on_batch,
	.on_watermark = on_watermark,
	.on_timer = on_timer,
	.on_end = on_end,
	.close = close_rank,
	.before_snapshot = before_snapshot,
	.snapshot = snapshot,
	.restore = restore,
	.state_bytes = state_bytes,
};

int
main(int argc, char **argv)
{
	return fl_main(&frank_op, argc, argv);
}
