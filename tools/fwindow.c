/* SPDX-License-Identifier: Apache-2.0 */
/* fwindow: name the windows for what comes next. */
#include <errno.h>
#include <stdlib.h>

#include "checkpoint/snapshot.h"
#include "run/op.h"
#include "time/duration.h"
#include "time/window.h"
#include "window/keyed.h"
#include "window/late.h"

struct fwindow {
	struct fl_window_spec spec;
	const char *trigger;
	const char *keep;
	const char *late_path;
	/* printed as text: the rows with their windows */
	bool aligned;
	uint32_t bounds_at; /* column of window_start; later columns stand behind window_end */
	struct fl_windows windows;
	struct fl_late late;
	struct fl_keyed keyed;
	struct fl_buf rows, starts, ends, pool, wm;
	struct fl_vec *cols;
};

/* ---- words ---------------------------------------------------------------------- */

static const struct kind {
	const char *name;
	enum fl_window_kind kind;
	int sizes; /* words that must follow */
	int more;  /* and may */
	const char *syntax;
} kinds[] = {
	{ "tumble", FL_WINDOW_TUMBLE, 1, 0, "tumble SIZE" },
	{ "slide", FL_WINDOW_SLIDE, 2, 0, "slide SIZE SLIDE" },
	{ "session", FL_WINDOW_SESSION, 1, 0, "session GAP" },
	{ "cumulate", FL_WINDOW_CUMULATE, 2, 0, "cumulate SIZE STEP" },
	{ "count", FL_WINDOW_COUNT, 1, 1, "count N [SLIDE]" },
	{ "global", FL_WINDOW_GLOBAL, 0, 0, "global" },
};

static bool
parse_count(const char *s, int64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoll(s, &end, 10);
	return !errno && *s && !*end && *ret > 0;
}

static int
parse_size(const struct kind *k, const char *word, int64_t *to, struct fl_err *err)
{
	if (k->kind != FL_WINDOW_COUNT)
		return fl_duration_parse(word, 0, to, err) < 0 ? fl_wrap(err, "%s", k->syntax) : 0;
	if (parse_count(word, to))
		return 0;
	return fl_fail(err, FL_EUSAGE, "%s: \"%s\" is not a number of records", k->syntax, word);
}

static int
parse_trigger(struct fwindow *w, struct fl_err *err)
{
	const char *t = w->trigger;

	if (!t)
		return 0;
	if (strcmp(t, "eager") == 0) {
		w->spec.trigger = FL_TRIGGER_EAGER;
		return 0;
	}
	if (strncmp(t, "every=", 6) == 0) {
		w->spec.trigger = FL_TRIGGER_EVERY;
		if (fl_duration_parse(t + 6, 0, &w->spec.trigger_arg, err) < 0)
			return fl_wrap(err, "--trigger every");
		return w->spec.trigger_arg > 0
			       ? 0
			       : fl_fail(err, FL_EUSAGE,
					 "--trigger every=DUR: must be more than 0");
	}
	w->spec.trigger = FL_TRIGGER_COUNT;
	if (strncmp(t, "count=", 6) == 0 && parse_count(t + 6, &w->spec.trigger_arg))
		return 0;
	return fl_fail(err, FL_EUSAGE, "--trigger takes every=DUR, count=N or eager, not \"%s\"",
		       t);
}

static int
parse_keep(struct fwindow *w, struct fl_err *err)
{
	char *end;

	w->spec.keep_count = w->spec.keep_time = -1;
	if (!w->keep)
		return 0;
	errno = 0;
	w->spec.keep_count = strtoll(w->keep, &end, 10);
	if (!errno && *w->keep && !*end && w->spec.keep_count >= 0)
		return 0;
	w->spec.keep_count = -1;
	return fl_duration_parse(w->keep, 0, &w->spec.keep_time, err) < 0 ? fl_wrap(err, "--keep")
									  : 0;
}

/* What the assigners refuse is refused here, at once, and not by the next tool. */
static int
check_spec(struct fwindow *w, struct fl_err *err)
{
	struct fl_window_spec *s = &w->spec;

	switch (s->kind) {
	case FL_WINDOW_TUMBLE:
		w->aligned = true;
		return fl_windows_tumble(&w->windows, s->size, s->offset, err);
	case FL_WINDOW_SLIDE:
		w->aligned = true;
		return fl_windows_slide(&w->windows, s->size, s->slide, s->offset, err);
	case FL_WINDOW_CUMULATE:
		w->aligned = true;
		return fl_windows_cumulate(&w->windows, s->size, s->slide, s->offset, err);
	case FL_WINDOW_SESSION:
		if (s->size <= 0)
			return fl_fail(err, FL_EUSAGE, "session GAP: the gap must be more than 0");
		break;
	case FL_WINDOW_GLOBAL:
		if (s->trigger == FL_TRIGGER_DEFAULT)
			return fl_fail(err, FL_EUSAGE,
				       "a global window never fires by itself: give --trigger");
		break;
	default:
		break;
	}
	if (s->offset)
		return fl_fail(err, FL_EUSAGE, "--offset goes with tumble, slide and cumulate");
	return 0;
}

static int
unknown_kind(const char *word, struct fl_err *err)
{
	return fl_fail(err, FL_EUSAGE,
		       "\"%s\" is no kind of window: tumble SIZE, slide SIZE SLIDE, session GAP, "
		       "cumulate SIZE STEP, count N [SLIDE], global",
		       word);
}

static int
words(void *self, struct fl_run *run, char **words, int count, int *ret_used, struct fl_err *err)
{
	struct fwindow *w = self;
	const struct kind *k = NULL;
	int used = 1;

	(void)run;
	if (count == 0)
		return unknown_kind("", err);
	for (size_t i = 0; i < FL_ARRAY_LEN(kinds); i++)
		if (strcmp(words[0], kinds[i].name) == 0)
			k = &kinds[i];
	if (!k)
		return unknown_kind(words[0], err);
	if (count - 1 < k->sizes)
		return fl_fail(err, FL_EUSAGE, "say how long: fwindow %s", k->syntax);
	w->spec.kind = k->kind;
	if (k->sizes && parse_size(k, words[used++], &w->spec.size, err) < 0)
		return err->code;
	if (k->sizes > 1 && parse_size(k, words[used++], &w->spec.slide, err) < 0)
		return err->code;
	if (k->more && used < count && parse_count(words[used], &w->spec.slide))
		used++;
	*ret_used = used;
	w->spec.late = (char *)(uintptr_t)w->late_path;
	if (parse_trigger(w, err) < 0 || parse_keep(w, err) < 0)
		return err->code;
	return check_spec(w, err);
}

/* ---- the header ------------------------------------------------------------------- */

static int
open_text(struct fwindow *w, struct fl_run *run, struct fl_err *err)
{
	struct fl_header *out = fl_run_out(run);
	bool seconds = w->spec.size % 1000 == 0 && w->spec.slide % 1000 == 0 &&
		       w->spec.offset % 1000 == 0 && w->spec.kind != FL_WINDOW_SESSION;

	if (w->aligned && (w->spec.trigger != FL_TRIGGER_DEFAULT || w->keep))
		w->aligned = false;
	if (w->spec.kind != FL_WINDOW_COUNT && w->spec.kind != FL_WINDOW_GLOBAL) {
		uint32_t c = fl_header_find(out, "window_start", 12);

		if (c != FL_NO_COLUMN || fl_header_find(out, "window_end", 10) != FL_NO_COLUMN)
			return fl_fail(
				err, FL_EUSAGE,
				"there is a column window_%s already: give it another name with fmap",
				c != FL_NO_COLUMN ? "start" : "end");
		c = w->bounds_at = fl_header_add(out, "window_start", 12, FL_TIME);
		(void)fl_header_add(out, "window_end", 10, FL_TIME);
		out->columns[c].seconds = out->columns[c + 1].seconds = seconds;
	}
	if (fl_late_open(&w->late, run, w->late_path, err) < 0)
		return err->code;
	if (w->aligned)
		return 0;
	return fl_keyed_open(&w->keyed, run, &w->spec, NULL, NULL, &w->late, false, err);
}

static int
open(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fwindow *w = self;
	const struct fl_header *in = fl_run_header(run, 0);
	struct fl_header *out = fl_run_out(run);
	bool by_time = (w->spec.kind != FL_WINDOW_COUNT && w->spec.kind != FL_WINDOW_GLOBAL) ||
		       w->spec.trigger == FL_TRIGGER_EVERY || w->spec.keep_time >= 0;

	if (in->changelog)
		return fl_fail(err, FL_EUSAGE, "a changelog cannot be windowed");
	if (!in->time && by_time && !w->spec.processing_time)
		return fl_fail(
			err, FL_EUSAGE,
			"these records have no event time: give --time (and --watermark) to the tool "
			"that reads the text, or --processing-time here");
	if (fl_run_writes_text(run))
		return open_text(w, run, err);
	free(out->window.late);
	out->window = w->spec;
	out->window.late = w->late_path ? fl_xstrdup(w->late_path) : NULL;
	fl_run_pass(run);
	return 0;
}

static int
columns(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fwindow *w = self;
	const struct fl_header *in = fl_run_header(run, 0);
	struct fl_header *out = fl_run_out(run);
	uint32_t known = out->column_count;

	(void)err;
	if (w->bounds_at)
		known -= 2;
	fl_header_append(out, in, known);
	return 0;
}

/* ---- rows with their windows --------------------------------------------------------- */

static void
put_window(struct fwindow *w, uint32_t row, const struct fl_window *win)
{
	fl_buf_put(&w->rows, &row, sizeof row);
	fl_buf_put(&w->starts, &win->start, sizeof win->start);
	fl_buf_put(&w->ends, &win->end, sizeof win->end);
}

/*
 * As Flink's table functions: each row once for each of its windows, late or not,
 * unless --late asks for those that are too late for all of them.
 */
static void
assign(struct fwindow *w, const struct fl_batch *b, const int64_t *wm, int64_t now)
{
	for (uint32_t i = 0; i < b->rows; i++) {
		int64_t time = w->spec.processing_time ? now : b->time[i];
		int64_t n = fl_windows_count(&w->windows, time);
		struct fl_window last;

		if (n)
			last = fl_windows_nth(&w->windows, time, n - 1);
		if (n && w->late_path && !w->spec.processing_time &&
		    fl_window_cleanup_time(&last, w->spec.lateness) <= wm[i]) {
			fl_late_add(&w->late, i);
			continue;
		}
		for (int64_t k = 0; k < n; k++) {
			struct fl_window win = fl_windows_nth(&w->windows, time, k);

			put_window(w, i, &win);
		}
	}
}

static int
on_batch(void *self, struct fl_run *run, uint32_t input, const struct fl_batch *b,
	 struct fl_err *err)
{
	struct fwindow *w = self;
	struct fl_batch out;
	uint32_t cols;

	(void)input;
	if (!w->aligned)
		return fl_keyed_batch(&w->keyed, b, err);
	fl_buf_clear(&w->rows);
	fl_buf_clear(&w->starts);
	fl_buf_clear(&w->ends);
	assign(w, b, fl_batch_wm(b, &w->wm), fl_run_now(run));
	if (fl_late_flush(&w->late, b, err) < 0)
		return err->code;
	fl_batch_select(b, (const uint32_t *)(const void *)w->rows.data,
			(uint32_t)(w->rows.len / sizeof(uint32_t)), &w->pool, &out);
	if (out.rows == 0)
		return 0;
	cols = fl_run_out(run)->column_count;
	w->cols = fl_xreallocarray(w->cols, cols, sizeof *w->cols);
	for (uint32_t c = 0; c + 2 < cols; c++)
		w->cols[c < w->bounds_at ? c : c + 2] = *fl_batch_col(&out, c);
	w->cols[w->bounds_at] = (struct fl_vec){ .kind = FL_TIME, .data = w->starts.data };
	w->cols[w->bounds_at + 1] = (struct fl_vec){ .kind = FL_TIME, .data = w->ends.data };
	out.col = w->cols;
	out.cols = cols;
	return fl_emit(run, &out, err);
}

static int
on_watermark(void *self, struct fl_run *run, int64_t wm_ms, int64_t *forward_ms, struct fl_err *err)
{
	struct fwindow *w = self;

	(void)run;
	(void)forward_ms;
	if (w->aligned || (w->spec.processing_time && wm_ms < INT64_MAX))
		return 0;
	return fl_keyed_advance(&w->keyed, wm_ms, err);
}

static int
on_timer(void *self, struct fl_run *run, int64_t now_ms, struct fl_err *err)
{
	struct fwindow *w = self;

	(void)run;
	return fl_keyed_advance(&w->keyed, now_ms, err);
}

/* ---- snapshots ---------------------------------------------------------------------------- */

/* Windows are only kept where their rows are the result. */
static bool
keeps(const struct fwindow *w)
{
	return w->keyed.run != NULL;
}

static int
before_snapshot(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fwindow *w = self;

	(void)run;
	return keeps(w) ? fl_keyed_before_save(&w->keyed, err) : 0;
}

static void
snapshot(void *self, struct fl_run *run, struct fl_save *s)
{
	struct fwindow *w = self;

	(void)run;
	if (keeps(w))
		fl_keyed_save(&w->keyed, s);
}

static int
restore(void *self, struct fl_run *run, struct fl_load *l, struct fl_err *err)
{
	struct fwindow *w = self;
	struct fl_state_section section;
	int rc;

	(void)run;
	if (keeps(w))
		return fl_keyed_load(&w->keyed, l, err);
	rc = fl_load_section(l, &section, err);
	return rc > 0 ? fl_fail(err, FL_ECONFIG,
				"it kept rows at the checkpoint, and keeps none now: give the line as "
				"it was, or another --uid")
		      : rc;
}

static size_t
state_bytes(const void *self)
{
	const struct fwindow *w = self;

	return keeps(w) ? fl_keyed_bytes(&w->keyed) : 0;
}

static void
close_window(void *self)
{
	struct fwindow *w = self;

	fl_keyed_release(&w->keyed);
	fl_late_release(&w->late);
	fl_buf_release(&w->rows);
	fl_buf_release(&w->starts);
	fl_buf_release(&w->ends);
	fl_buf_release(&w->pool);
	fl_buf_release(&w->wm);
	free(w->cols);
}

#define AT(m) offsetof(struct fwindow, m)

static const struct fl_opt opts[] = {
	{ .name = "offset",
	  .type = FL_OPT_SIGNED_DURATION,
	  .offset = AT(spec.offset),
	  .arg = "DUR",
	  .help = "shift the windows against the epoch" },
	{ .name = "lateness",
	  .type = FL_OPT_DURATION,
	  .offset = AT(spec.lateness),
	  .arg = "DUR",
	  .help = "late rows this long after the end fire again" },
	{ .name = "late",
	  .type = FL_OPT_STRING,
	  .offset = AT(late_path),
	  .arg = "FILE",
	  .help = "rows that came too late, CSV or JSONL by name" },
	{ .name = "trigger",
	  .type = FL_OPT_STRING,
	  .offset = AT(trigger),
	  .arg = "WHEN",
	  .help = "every=DUR, count=N or eager" },
	{ .name = "purge",
	  .type = FL_OPT_FLAG,
	  .offset = AT(spec.purge),
	  .help = "a window that fires forgets its content" },
	{ .name = "keep",
	  .type = FL_OPT_STRING,
	  .offset = AT(keep),
	  .arg = "N|DUR",
	  .help = "only the last N rows, or those of the last DUR" },
	{ .name = "processing-time",
	  .type = FL_OPT_FLAG,
	  .offset = AT(spec.processing_time),
	  .help = "windows go by the clock" },
	{ .type = FL_OPT_END },
};

static const struct fl_op fwindow_op = {
	.name = "fwindow",
	.summary = "name the windows for whatever aggregates or joins next",
	.usage = "KIND... [FILE...]",
	.notes = "KIND: tumble SIZE | slide SIZE SLIDE | session GAP | cumulate SIZE STEP |\n"
		 "  count N [SLIDE] | global\n"
		 "\n"
		 "  fkeyby --time ts --watermark 5s url clicks.csv | fwindow tumble 1m |\n"
		 "    freduce n=count\n"
		 "  fkeyby --time ts user clicks.csv | fwindow session 30s --late late.csv |\n"
		 "    freduce n=count\n",
	.opts = opts,
	.self_size = sizeof(struct fwindow),
	.inputs_max = 1,
	.words = words,
	.open = open,
	.columns = columns,
	.on_batch = on_batch,
	.on_watermark = on_watermark,
	.on_timer = on_timer,
	.close = close_window,
	.snapshot = snapshot,
	.restore = restore,
	.state_bytes = state_bytes,
	.before_snapshot = before_snapshot,
};

int
main(int argc, char **argv)
{
	return fl_main(&fwindow_op, argc, argv);
}
