/* SPDX-License-Identifier: Apache-2.0 */
/* fdedup: one row per key. */
#include "rank/dedup.h"
#include "rank/rank.h"
#include "time/duration.h"

struct fdedup {
	int keep;                /* 0 first, 1 last */
	const char *within_text; /* --within, and in ms */
	int64_t within;
	bool has_within;
	const char *late;
	bool updates;
	bool ranked; /* by rank, else dedup */
	struct fl_sortby order;
	struct fl_rank rank;
	struct fl_dedup dedup;
};

static int
words(void *self, struct fl_run *run, char **words, int count, int *ret_used, struct fl_err *err)
{
	struct fdedup *f = self;

	(void)run;
	(void)words;
	(void)count;
	*ret_used = 0;
	f->has_within = f->within_text != NULL;
	if (f->has_within && fl_duration_parse(f->within_text, 0, &f->within, err) < 0)
		return fl_wrap(err, "--within");
	if (f->late && !f->has_within)
		return fl_fail(err, FL_EUSAGE,
			       "--late goes with --within; behind windows it is fwindow's");
	if (f->updates && f->has_within)
		return fl_fail(err, FL_EUSAGE,
			       "--updates has no meaning with --within: its rows are never taken "
			       "back");
	return 0;
}

/* Deduplication as a ranking of which the first row counts. */
static int
open_rank(struct fdedup *f, struct fl_run *run, bool timed, struct fl_err *err)
{
	struct fl_rank_spec spec = { .limit = 1,
				     .updates = f->updates,
				     .whole_rows = true,
				     .what = f->keep ? "the last row" : "the first row",
				     .order = &f->order };

	f->ranked = true;
	fl_sortby_arrival(&f->order, timed, f->keep);
	return fl_rank_open(&f->rank, run, &spec, err);
}

static int
open(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fdedup *f = self;
	const struct fl_header *in = fl_run_header(run, 0);
	bool windowed = in->window.kind != FL_WINDOW_NONE;
	bool timed = in->time && !in->window.processing_time;
	struct fl_dedup_spec spec = { .last = f->keep,
				      .updates = f->updates,
				      .within = f->has_within ? f->within : -1,
				      .late = f->late };

	if (f->has_within && (windowed || in->changelog))
		return fl_fail(err, FL_EUSAGE,
			       windowed ? "--within and windows: one of them"
					: "--within a changelog: not possible, its rows are taken "
					  "back");
	if (!f->has_within && (windowed || in->changelog || f->keep || (timed && f->updates)))
		return open_rank(f, run, timed, err);
	return fl_dedup_open(&f->dedup, run, &spec, err);
}

static int
columns(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fdedup *f = self;

	(void)run;
	return f->ranked ? fl_rank_columns(&f->rank, err) : fl_dedup_columns(&f->dedup, err);
}

static int
on_batch(void *self, struct fl_run *run, uint32_t input, const struct fl_batch *b,
	 struct fl_err *err)
{
	struct fdedup *f = self;

	(void)run;
	(void)input;
	return f->ranked ? fl_rank_batch(&f->rank, b, err) : fl_dedup_batch(&f->dedup, b, err);
}

static int
on_watermark(void *self, struct fl_run *run, int64_t wm_ms, int64_t *forward_ms, struct fl_err *err)
{
	struct fdedup *f = self;

	(void)run;
	return f->ranked ? fl_rank_watermark(&f->rank, wm_ms, forward_ms, err)
			 : fl_dedup_watermark(&f->dedup, wm_ms, forward_ms, err);
}

static int
on_timer(void *self, struct fl_run *run, int64_t now_ms, struct fl_err *err)
{
	struct fdedup *f = self;

	(void)run;
	return f->ranked ? fl_rank_timer(&f->rank, now_ms, err) : 0;
}

static int
on_end(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fdedup *f = self;

	(void)run;
	return f->ranked ? fl_rank_end(&f->rank, err) : 0;
}

static int
before_snapshot(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fdedup *f = self;

	(void)run;
	return f->ranked ? fl_rank_checkpoint(&f->rank, err) : fl_dedup_checkpoint(&f->dedup, err);
}

static void
snapshot(void *self, struct fl_run *run, struct fl_save *s)
{
	struct fdedup *f = self;

	(void)run;
	if (f->ranked)
		fl_rank_snapshot(&f->rank, s);
	else
		fl_dedup_snapshot(&f->dedup, s);
}

static int
restore(void *self, struct fl_run *run, struct fl_load *l, struct fl_err *err)
{
	struct fdedup *f = self;

	(void)run;
	return f->ranked ? fl_rank_restore(&f->rank, l, err) : fl_dedup_restore(&f->dedup, l, err);
}

static size_t
state_bytes(const void *self)
{
	const struct fdedup *f = self;

	return f->ranked ? fl_rank_bytes(&f->rank) : fl_dedup_bytes(&f->dedup);
}

static void
close_dedup(void *self)
{
	struct fdedup *f = self;

	fl_rank_release(&f->rank);
	fl_dedup_release(&f->dedup);
	fl_sortby_release(&f->order);
}

#define AT(m) offsetof(struct fdedup, m)

static const struct fl_opt opts[] = {
	{ .name = "keep",
	  .type = FL_OPT_ENUM,
	  .offset = AT(keep),
	  .arg = "first|last",
	  .value = "first|last",
	  .help = "which row of a key (first)" },
	{ .name = "within",
	  .type = FL_OPT_STRING,
	  .offset = AT(within_text),
	  .arg = "DUR",
	  .help = "only rows this close to the one kept" },
	{ .name = "late",
	  .type = FL_OPT_STRING,
	  .offset = AT(late),
	  .arg = "FILE",
	  .help = "--within: rows that came too late" },
	{ .name = "updates",
	  .type = FL_OPT_FLAG,
	  .offset = AT(updates),
	  .help = "the changelog as it happens, op first" },
	{ .type = FL_OPT_END },
};

static const struct fl_op fdedup_op = {
	.name = "fdedup",
	.summary = "one row per key",
	.usage = "[FILE...]",
	.notes = "By event time where there is one, else by arrival. Without a key, rows that are\n"
		 "  equal in all columns are duplicates.\n"
		 "\n"
		 "  fkeyby order log.csv | fdedup\n"
		 "  fkeyby --time ts --watermark 5s host alarms.csv | fdedup --within 10m\n",
	.opts = opts,
	.self_size = sizeof(struct fdedup),
	.inputs_max = 1,
	.words = words,
	.open = open,
	.columns = columns,
	.on_batch = on_batch,
	.on_watermark = on_watermark,
	.on_timer = on_timer,
	.on_end = on_end,
	.close = close_dedup,
	.before_snapshot = before_snapshot,
	.snapshot = snapshot,
	.restore = restore,
	.state_bytes = state_bytes,
};

int
main(int argc, char **argv)
{
	return fl_main(&fdedup_op, argc, argv);
}
