/* SPDX-License-Identifier: Apache-2.0 */
/* fjoin: join two streams by key: in windows, within a time, by version, or as tables. */
#include <stdlib.h>
#include <string.h>

#include "join/interval.h"
#include "join/lookup.h"
#include "join/regular.h"
#include "join/temporal.h"
#include "join/windowed.h"
#include "run/op.h"
#include "run/options.h"
#include "time/duration.h"

#define BOUND_MAX (INT64_C(10000) * 366 * 86400 * 1000) /* ms: no times are further apart */

struct fjoin {
	struct fl_join_options o;
	const char *between;
	const char *open;
	const struct fl_join_engine *engine;
	void *join; /* the engine's self */
};

/* ---- the command line --------------------------------------------------------------- */

static bool
kind_of(const char *word, enum fl_join_kind *ret)
{
	for (int k = 0; k < FL_JOIN_KINDS; k++)
		if (strcmp(word, fl_join_kind_name((enum fl_join_kind)k)) == 0) {
			*ret = (enum fl_join_kind)k;
			return true;
		}
	return false;
}

/* One of the two durations of --between. */
static int
parse_bound(const char *p, size_t n, int64_t *ret, struct fl_err *err)
{
	char *text = fl_xstrndup(p, n);
	int rc = fl_duration_parse(text, FL_DURATION_SIGNED, ret, err);

	free(text);
	return rc < 0 ? fl_wrap(err, "--between") : 0;
}

/* --between=LOWER,UPPER and --open, to bounds that are both inclusive. */
static int
parse_between(struct fjoin *j, struct fl_err *err)
{
	const char *comma = strchr(j->between, ',');
	bool lower = j->open && strcmp(j->open, "lower") == 0;
	bool upper = j->open && strcmp(j->open, "upper") == 0;
	bool both = j->open && strcmp(j->open, "both") == 0;

	if (!comma)
		return fl_fail(err, FL_EUSAGE,
			       "--between: two durations, as in --between=-10s,10s, not \"%s\"",
			       j->between);
	if (j->open && !lower && !upper && !both)
		return fl_fail(err, FL_EUSAGE, "--open: lower, upper or both, not \"%s\"", j->open);
	if (parse_bound(j->between, (size_t)(comma - j->between), &j->o.lower, err) < 0 ||
	    parse_bound(comma + 1, strlen(comma + 1), &j->o.upper, err) < 0)
		return err->code;
	if (j->o.lower < -BOUND_MAX || j->o.upper > BOUND_MAX)
		return fl_fail(err, FL_EUSAGE, "--between: more than 10000 years");
	if (j->o.lower > j->o.upper)
		return fl_fail(err, FL_EUSAGE, "--between: the lower bound is above the upper one");
	j->o.lower += lower || both;
	j->o.upper -= upper || both;
	j->o.interval = true;
	return 0;
}

static int
check_options(struct fjoin *j, struct fl_err *err)
{
	if (!!j->between + j->o.as_of + j->o.lookup > 1)
		return fl_fail(err, FL_EUSAGE, "only one of --between, --as-of and --lookup");
	if (j->o.lookup_key && !j->o.lookup)
		return fl_fail(err, FL_EUSAGE, "--lookup-key needs --lookup");
	if (j->open && !j->between)
		return fl_fail(err, FL_EUSAGE, "--open needs --between");
	return j->between ? parse_between(j, err) : 0;
}

static int
words(void *self, struct fl_run *run, char **words, int count, int *ret_used, struct fl_err *err)
{
	struct fjoin *j = self;
	int used = count > 0 && kind_of(words[0], &j->o.kind) ? 1 : 0;

	(void)run;
	if (count - used != 1)
		return fl_fail(err, FL_EUSAGE,
			       count == used ? "say what to join with: a file, a FIFO or "
					       "<(another pipeline)"
					     : "one stream to join with, not %d",
			       count - used);
	j->o.right = words[used];
	/* a table that is looked up is no input */
	*ret_used = used + (j->o.lookup ? 1 : 0);
	return check_options(j, err);
}

/* ---- the engine ---------------------------------------------------------------------- */

static int
choose(struct fjoin *j, struct fl_run *run, struct fl_err *err)
{
	bool left = fl_run_header(run, 0)->window.kind != FL_WINDOW_NONE;
	bool right = !j->o.lookup && fl_run_header(run, 1)->window.kind != FL_WINDOW_NONE;

	if (left != right && !j->o.lookup)
		return fl_fail(err, FL_EUSAGE,
			       "the %s side has been through fwindow, the other has not: a window "
			       "join needs the same window on both",
			       left ? "left" : "right");
	if (left && (j->o.interval || j->o.as_of || j->o.lookup))
		return fl_fail(err, FL_EUSAGE, "--%s joins no windows: leave out fwindow",
			       j->o.interval ? "between"
			       : j->o.as_of  ? "as-of"
					     : "lookup");
	j->engine = j->o.lookup     ? &fl_join_lookup
		    : j->o.as_of    ? &fl_join_temporal
		    : j->o.interval ? &fl_join_interval
		    : left          ? &fl_join_windowed
				    : &fl_join_regular;
	if (j->o.late && !j->o.interval && !left)
		return fl_fail(err, FL_EUSAGE, "--late needs --between, or windows");
	if (fl_run_options(run)->ttl_ms && j->engine != &fl_join_regular)
		return fl_fail(err, FL_EUSAGE,
			       "--ttl is for regular joins: a %s forgets by the watermark, or keeps "
			       "nothing",
			       j->engine->name);
	return 0;
}

static int
open(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fjoin *j = self;

	if (choose(j, run, err) < 0)
		return err->code;
	j->join = fl_xcalloc(1, j->engine->self_size);
	return j->engine->open(j->join, run, &j->o, err);
}

static int
columns(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fjoin *j = self;

	(void)run;
	return j->engine->columns ? j->engine->columns(j->join, err) : 0;
}

static int
on_batch(void *self, struct fl_run *run, uint32_t input, const struct fl_batch *b,
	 struct fl_err *err)
{
	struct fjoin *j = self;

	(void)run;
	return j->engine->on_batch(j->join, (enum fl_join_side)input, b, err);
}

static int
on_watermark(void *self, struct fl_run *run, int64_t wm_ms, int64_t *forward_ms, struct fl_err *err)
{
	struct fjoin *j = self;

	(void)run;
	return j->engine->advance ? j->engine->advance(j->join, wm_ms, forward_ms, err) : 0;
}

static int
on_timer(void *self, struct fl_run *run, int64_t now_ms, struct fl_err *err)
{
	struct fjoin *j = self;

	(void)run;
	return j->engine->on_timer ? j->engine->on_timer(j->join, now_ms, err) : 0;
}

static int
on_end(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fjoin *j = self;

	(void)run;
	return j->engine->end ? j->engine->end(j->join, err) : 0;
}

static void
close_join(void *self)
{
	struct fjoin *j = self;

	if (j->join)
		j->engine->release(j->join);
	free(j->join);
}

static void
snapshot(void *self, struct fl_run *run, struct fl_save *s)
{
	struct fjoin *j = self;

	(void)run;
	if (j->engine->snapshot)
		j->engine->snapshot(j->join, s);
}

static int
restore(void *self, struct fl_run *run, struct fl_load *l, struct fl_err *err)
{
	struct fjoin *j = self;

	(void)run;
	return j->engine->restore ? j->engine->restore(j->join, l, err) : 0;
}

static size_t
state_bytes(const void *self)
{
	const struct fjoin *j = self;

	return j->engine && j->engine->state_bytes ? j->engine->state_bytes(j->join) : 0;
}

static int
before_snapshot(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fjoin *j = self;

	(void)run;
	return j->engine->before_snapshot ? j->engine->before_snapshot(j->join, err) : 0;
}

static const struct fl_opt opts[] = {
	{ .name = "between",
	  .type = FL_OPT_STRING,
	  .offset = offsetof(struct fjoin, between),
	  .arg = "LO,HI",
	  .help = "interval join: right.time - left.time" },
	{ .name = "open",
	  .type = FL_OPT_STRING,
	  .offset = offsetof(struct fjoin, open),
	  .arg = "WHICH",
	  .help = "lower, upper, both: bounds that do not match" },
	{ .name = "as-of",
	  .type = FL_OPT_FLAG,
	  .offset = offsetof(struct fjoin, o.as_of),
	  .help = "the version of RIGHT at the left row's time" },
	{ .name = "lookup",
	  .type = FL_OPT_FLAG,
	  .offset = offsetof(struct fjoin, o.lookup),
	  .help = "RIGHT is a table: what it has now" },
	{ .name = "lookup-key",
	  .type = FL_OPT_STRING,
	  .offset = offsetof(struct fjoin, o.lookup_key),
	  .arg = "COLS",
	  .help = "the table's columns that equal the key" },
	{ .name = "on",
	  .type = FL_OPT_STRING,
	  .offset = offsetof(struct fjoin, o.on),
	  .arg = "EXPR",
	  .help = "a further condition" },
	{ .name = "late",
	  .type = FL_OPT_STRING,
	  .offset = offsetof(struct fjoin, o.late),
	  .arg = "FILE",
	  .help = "rows that came too late, CSV or JSONL" },
	{ .name = "lprefix",
	  .type = FL_OPT_STRING,
	  .offset = offsetof(struct fjoin, o.lprefix),
	  .arg = "P",
	  .help = "before same-named columns of the left" },
	{ .name = "rprefix",
	  .type = FL_OPT_STRING,
	  .offset = offsetof(struct fjoin, o.rprefix),
	  .arg = "P",
	  .help = "before same-named columns of the right" },
	{ .type = FL_OPT_END },
};

static const struct fl_op fjoin_op = {
	.name = "fjoin",
	.summary = "join two streams by key",
	.usage = "[inner|left|right|full|semi|anti] RIGHT",
	.notes = "Standard input is the left side; RIGHT is a file, a FIFO or <(a pipeline).\n"
		 "  Both are keyed by as many columns.\n"
		 "\n"
		 "  fkeyby --time ts user clicks.csv |\n"
		 "    fjoin --between=-10s,10s <(fkeyby --time ts user orders.csv)\n"
		 "  fkeyby user clicks.csv | fjoin left <(fkeyby user names.csv)\n",
	.opts = opts,
	.self_size = sizeof(struct fjoin),
	.inputs_max = 2,
	.stdin_first = true,
	.words = words,
	.open = open,
	.columns = columns,
	.on_batch = on_batch,
	.on_watermark = on_watermark,
	.on_timer = on_timer,
	.on_end = on_end,
	.close = close_join,
	.snapshot = snapshot,
	.restore = restore,
	.state_bytes = state_bytes,
	.before_snapshot = before_snapshot,
};

int
main(int argc, char **argv)
{
	return fl_main(&fjoin_op, argc, argv);
}
