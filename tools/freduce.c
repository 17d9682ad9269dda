/* SPDX-License-Identifier: Apache-2.0 */
/* freduce: aggregate per key and window. */
#include <stdlib.h>

#include "expr/agg.h"
#include "run/op.h"
#include "time/timestamp.h"
#include "window/groups.h"
#include "window/keyed.h"
#include "window/late.h"
#include "window/slices.h"

struct freduce {
	bool updates;
	char **definitions; /* NAME=EXPR, borrowed from the command line */
	int count;
	struct fl_aggs *aggs;
	struct fl_results results;
	struct fl_late late;
	bool windowed; /* by slices or keyed windows; else groups */
	bool sliced;
	struct fl_slices slices;
	struct fl_keyed keyed;
	struct fl_groups groups;
};

static int
words(void *self, struct fl_run *run, char **words, int count, int *ret_used, struct fl_err *err)
{
	struct freduce *r = self;
	int n = 0;

	(void)run;
	while (n < count && strchr(words[n], '='))
		n++;
	if (n == 0)
		return fl_fail(err, FL_EUSAGE,
			       "say what to compute: NAME=EXPR, for example n=count "
			       "'total=sum(bytes)'");
	r->definitions = words;
	r->count = n;
	*ret_used = n;
	return 0;
}

/* Windows that are slices of time with nothing unusual about them. */
static bool
is_sliced(const struct fl_window_spec *w)
{
	return (w->kind == FL_WINDOW_TUMBLE || w->kind == FL_WINDOW_SLIDE ||
		w->kind == FL_WINDOW_CUMULATE) &&
	       w->trigger == FL_TRIGGER_DEFAULT && !w->purge && w->keep_count < 0 &&
	       w->keep_time < 0;
}

static bool
whole_seconds(const struct fl_window_spec *w)
{
	return w->kind != FL_WINDOW_SESSION && w->size % 1000 == 0 && w->slide % 1000 == 0 &&
	       w->offset % 1000 == 0;
}

/* Names of the result: window_start, window_end, the key's, then those of the command line. */
static int
check_names(const struct fl_header *out, bool updates, struct fl_err *err)
{
	for (uint32_t i = 0; i < out->column_count; i++) {
		const struct fl_column *c = &out->columns[i];

		if (fl_header_find(out, c->name, c->name_len) != i)
			return fl_fail(
				err, FL_EUSAGE,
				"the result would have two columns \"%s\": choose another name",
				c->name);
		if (updates && strcmp(c->name, "op") == 0)
			return fl_fail(
				err, FL_EUSAGE,
				"\"op\" is the first column of --updates: choose another name");
	}
	return 0;
}

static int
open_windows(struct freduce *r, struct fl_run *run, const struct fl_window_spec *spec,
	     struct fl_err *err)
{
	if (fl_late_open(&r->late, run, spec->late, err) < 0)
		return err->code;
	if (r->sliced)
		return fl_slices_open(&r->slices, run, spec, r->aggs, &r->results, &r->late,
				      r->updates, err);
	return fl_keyed_open(&r->keyed, run, spec, r->aggs, &r->results, &r->late, r->updates, err);
}

static int
open(void *self, struct fl_run *run, struct fl_err *err)
{
	struct freduce *r = self;
	const struct fl_header *in = fl_run_header(run, 0);
	struct fl_header *out = fl_run_out(run);
	const struct fl_window_spec *spec = &in->window;
	bool bounds;

	r->windowed = spec->kind != FL_WINDOW_NONE;
	r->sliced = r->windowed && is_sliced(spec);
	if (r->windowed && in->changelog)
		return fl_fail(err, FL_EUSAGE, "a changelog cannot be windowed");
	r->aggs = fl_aggs_new(fl_run_expr_env(run));
	for (int i = 0; i < r->count; i++)
		if (fl_aggs_define(r->aggs, r->definitions[i], err) < 0)
			return err->code;
	if (fl_aggs_bind(r->aggs, in, in->changelog, err) < 0)
		return err->code;
	bounds = r->windowed && spec->kind != FL_WINDOW_COUNT && spec->kind != FL_WINDOW_GLOBAL;
	fl_results_open(&r->results, run, r->aggs, bounds, whole_seconds(spec), r->updates, bounds);
	if (check_names(out, r->updates, err) < 0)
		return err->code;
	out->changelog = r->updates;
	out->window.kind = FL_WINDOW_NONE;
	free(out->time);
	out->time = bounds ? fl_xstrdup("window_time") : NULL;
	if (r->windowed)
		return open_windows(r, run, spec, err);
	return fl_groups_open(&r->groups, run, r->aggs, &r->results, r->updates, err);
}

static int
columns(void *self, struct fl_run *run, struct fl_err *err)
{
	struct freduce *r = self;

	return fl_aggs_bind(r->aggs, fl_run_header(run, 0), fl_run_header(run, 0)->changelog, err);
}

static int
on_batch(void *self, struct fl_run *run, uint32_t input, const struct fl_batch *b,
	 struct fl_err *err)
{
	struct freduce *r = self;

	(void)run;
	(void)input;
	if (!r->windowed)
		return fl_groups_batch(&r->groups, b, err);
	return r->sliced ? fl_slices_batch(&r->slices, b, err) : fl_keyed_batch(&r->keyed, b, err);
}

/* Fire what is due, and let the results go before the watermark does. */
static int
advance(struct freduce *r, int64_t wm_ms, struct fl_err *err)
{
	int rc = 0;

	if (r->windowed)
		rc = r->sliced ? fl_slices_advance(&r->slices, wm_ms, err)
			       : fl_keyed_advance(&r->keyed, wm_ms, err);
	return rc < 0 || !r->windowed ? rc : fl_results_flush(&r->results, err);
}

static int
on_watermark(void *self, struct fl_run *run, int64_t wm_ms, int64_t *forward_ms, struct fl_err *err)
{
	struct freduce *r = self;

	(void)forward_ms;
	if (fl_run_header(run, 0)->window.processing_time && wm_ms < FL_TIME_MAX)
		return 0;
	return advance(r, wm_ms, err);
}

static int
on_timer(void *self, struct fl_run *run, int64_t now_ms, struct fl_err *err)
{
	(void)run;
	return advance(self, now_ms, err);
}

static int
on_end(void *self, struct fl_run *run, struct fl_err *err)
{
	struct freduce *r = self;
	const char *name;

	for (size_t i = 0; (name = fl_aggs_unseen(r->aggs, i)); i++)
		fl_run_unseen(run, name);
	return r->windowed ? 0 : fl_groups_end(&r->groups, err);
}

/* ---- snapshots ---------------------------------------------------------------------- */

/* What has fired within a batch goes out before the barrier does. */
static int
before_snapshot(void *self, struct fl_run *run, struct fl_err *err)
{
	struct freduce *r = self;

	(void)run;
	if (fl_results_flush(&r->results, err) < 0)
		return err->code;
	if (!r->windowed)
		return fl_groups_before_save(&r->groups, err);
	return r->sliced ? fl_slices_before_save(&r->slices, err)
			 : fl_keyed_before_save(&r->keyed, err);
}

static void
snapshot(void *self, struct fl_run *run, struct fl_save *s)
{
	struct freduce *r = self;

	(void)run;
	if (!r->windowed)
		fl_groups_save(&r->groups, s);
	else if (r->sliced)
		fl_slices_save(&r->slices, s);
	else
		fl_keyed_save(&r->keyed, s);
}

static int
restore(void *self, struct fl_run *run, struct fl_load *l, struct fl_err *err)
{
	struct freduce *r = self;

	(void)run;
	if (!r->windowed)
		return fl_groups_load(&r->groups, l, err);
	return r->sliced ? fl_slices_load(&r->slices, l, err) : fl_keyed_load(&r->keyed, l, err);
}

static bool
snapshot_copies(const void *self)
{
	const struct freduce *r = self;

	if (!r->windowed)
		return fl_groups_flat(&r->groups);
	return r->sliced && fl_slices_flat(&r->slices);
}

static size_t
state_bytes(const void *self)
{
	const struct freduce *r = self;

	if (!r->windowed)
		return fl_groups_bytes(&r->groups);
	return r->sliced ? fl_slices_bytes(&r->slices) : fl_keyed_bytes(&r->keyed);
}

static int64_t
state_keys(const void *self)
{
	const struct freduce *r = self;

	if (!r->windowed)
		return r->groups.table.live;
	return r->sliced ? fl_slices_keys(&r->slices) : r->keyed.table.live;
}

static void
close_reduce(void *self)
{
	struct freduce *r = self;

	fl_slices_release(&r->slices);
	fl_keyed_release(&r->keyed);
	fl_groups_release(&r->groups);
	fl_late_release(&r->late);
	fl_results_release(&r->results);
	fl_aggs_free(r->aggs);
}

static const struct fl_opt opts[] = {
	{ .name = "updates",
	  .type = FL_OPT_FLAG,
	  .offset = offsetof(struct freduce, updates),
	  .help = "the changelog as it happens, op first" },
	{ .type = FL_OPT_END },
};

static const struct fl_op freduce_op = {
	.name = "freduce",
	.summary = "aggregate per key and window",
	.usage = "NAME=EXPR... [FILE...]",
	.notes = "EXPR: SQL over count sum avg min max first last median p50 p99 stddev var\n"
		 "  count(distinct x) approx_count_distinct approx_p99 topk(x,k) array_agg\n"
		 "  string_agg(x,sep) arg_min(x,by) arg_max(x,by) bool_and bool_or;\n"
		 "  each with filter (where ...)\n"
		 "\n"
		 "  fkeyby url clicks.csv | freduce n=count 'bytes=sum(bytes)'\n"
		 "  fkeyby --time ts --watermark 5s url clicks.csv | fwindow tumble 1m |\n"
		 "    freduce n=count 'p=p99(ms)'\n",
	.opts = opts,
	.self_size = sizeof(struct freduce),
	.inputs_max = 1,
	.words = words,
	.open = open,
	.columns = columns,
	.on_batch = on_batch,
	.on_watermark = on_watermark,
	.on_timer = on_timer,
	.on_end = on_end,
	.close = close_reduce,
	.snapshot = snapshot,
	.restore = restore,
	.state_bytes = state_bytes,
	.snapshot_copies = snapshot_copies,
	.state_keys = state_keys,
	.before_snapshot = before_snapshot,
};

int
main(int argc, char **argv)
{
	return fl_main(&freduce_op, argc, argv);
}
