/* SPDX-License-Identifier: Apache-2.0 */
#include "run/hint.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "run/run.h"
#include "time/duration.h"
#include "time/timestamp.h"
#include "time/window.h"

#define QUIET_MS 5000

void
fl__hint_start(struct fl_run *run)
{
	bool last = run->op->own_output ||
		    fl_output_format(&run->opt, NULL, run->prefer_text) != NULL;
	bool told = last && !run->opt.quiet && !run->opt.progress && !run->opt.explain &&
		    isatty(STDERR_FILENO);

	run->hint.due_ms = told ? fl_clock_ms() + QUIET_MS : INT64_MAX;
}

/* ---- which windows? -------------------------------------------------------------------- */

/*
 * The windows that fwindow was told on the command line, for a tool behind the one that
 * aggregates: the header no longer has them. false: none that end by themselves.
 */
static bool
typed_windows(const struct fl_lineage *l, struct fl_window_spec *ret)
{
	static const char *const kinds[] = { "tumble", "slide", "cumulate" };
	struct fl_err ignored;
	int64_t size[2] = { 0, 0 };

	*ret = (struct fl_window_spec){ .kind = FL_WINDOW_NONE };
	for (uint32_t i = 0; i < l->arg_count && !ret->kind; i++) {
		for (size_t k = 0; k < FL_ARRAY_LEN(kinds); k++)
			if (strcmp(l->args[i], kinds[k]) == 0)
				ret->kind = k == 0   ? FL_WINDOW_TUMBLE
					    : k == 1 ? FL_WINDOW_SLIDE
						     : FL_WINDOW_CUMULATE;
		for (uint32_t n = 0; ret->kind && n < 2 && i + 1 + n < l->arg_count; n++)
			if (fl_duration_parse(l->args[i + 1 + n], 0, &size[n], &ignored) < 0)
				break;
	}
	for (uint32_t i = 0; i < l->arg_count; i++)
		if (strncmp(l->args[i], "--offset", 8) == 0 ||
		    strcmp(l->args[i], "--processing-time") == 0)
			return false;
	ret->size = size[0];
	ret->slide = size[1];
	return ret->kind && size[0] > 0 && (ret->kind == FL_WINDOW_TUMBLE || size[1] > 0);
}

static bool
find_windows(const struct fl_header *h, struct fl_window_spec *ret)
{
	*ret = h->window;
	if (h->window.kind != FL_WINDOW_NONE)
		return !h->window.processing_time;
	for (uint32_t i = h->lineage_count; i > 0; i--)
		if (strcmp(h->lineage[i - 1].tool, "fwindow") == 0)
			return typed_windows(&h->lineage[i - 1], ret);
	return false;
}

/* The first end of a window that the watermark has not reached; FL_TIME_MAX: not known. */
static int64_t
next_end(const struct fl_header *h, int64_t wm_ms)
{
	struct fl_window_spec spec;
	int64_t step, cut = 0;

	if (!find_windows(h, &spec))
		return FL_TIME_MAX;
	switch (spec.kind) {
	case FL_WINDOW_TUMBLE:
		step = spec.size;
		break;
	case FL_WINDOW_SLIDE:
		step = spec.slide;
		cut = spec.size % spec.slide;
		break;
	case FL_WINDOW_CUMULATE:
		step = spec.slide;
		break;
	default:
		return FL_TIME_MAX;
	}
	/* a window fires when the watermark is its end - 1 */
	return fl_window_start(wm_ms + 1, spec.offset + cut, step) + step;
}

/* ---- what is it that is missing? --------------------------------------------------------- */

static void
put_time(struct fl_buf *out, const struct fl_run *run, int64_t ms)
{
	char text[FL_TIME_TEXT_MAX];
	size_t n = fl_time_format(ms, run->zone, ms % 1000 != 0, text);

	fl_buf_put(out, text, n);
}

/* Of several inputs, the one that holds the watermark back, and that nothing comes from. */
static uint32_t
slowest(const struct fl_run *run)
{
	uint32_t slow = 0;

	for (uint32_t i = 1; i < run->input_count; i++)
		if (run->align.in[i].wm < run->align.in[slow].wm)
			slow = i;
	return slow;
}

static const struct fl_input *
without_header(const struct fl_run *run)
{
	for (uint32_t i = 0; i < run->input_count; i++)
		if (!run->in[i].header_known && !run->in[i].ended)
			return &run->in[i];
	return &run->in[0];
}

static void
put_no_input(const struct fl_run *run, struct fl_buf *out)
{
	const struct fl_input *in = without_header(run);
	bool typed = in->fd == STDIN_FILENO && isatty(STDIN_FILENO);

	fl_buf_printf(out, "waiting for input: nothing has come from %s yet%s", in->name,
		      typed ? " (it is the terminal; Ctrl-D ends it)" : "");
}

static void
put_watermark(const struct fl_run *run, int64_t wm, struct fl_buf *out)
{
	const struct fl_header *h = &run->in[0].header;
	int64_t end = next_end(h, wm);

	fl_buf_puts(out, "waiting for input: watermark at ");
	put_time(out, run, wm);
	if (end != FL_TIME_MAX) {
		fl_buf_puts(out, ", next window closes at ");
		put_time(out, run, end);
	}
	if (run->input_count > 1)
		fl_buf_printf(out, "; %s holds it back", run->in[slowest(run)].name);
}

void
fl__hint_text(const struct fl_run *run, struct fl_buf *out)
{
	long long rows = run->stats ? (long long)run->stats->rows_in : 0;
	int64_t wm = run->align.wm;

	if (!run->opened) {
		put_no_input(run, out);
		return;
	}
	if (wm != FL_TIME_MIN && wm != FL_TIME_MAX) {
		put_watermark(run, wm, out);
	} else if (run->in[0].header.time && !run->in[0].header.processing_time) {
		fl_buf_puts(out, "waiting for input: no watermark yet");
		if (run->input_count > 1)
			fl_buf_printf(out, "; %s holds it back", run->in[slowest(run)].name);
	} else {
		fl_buf_puts(out,
			    rows ? "no result before the end of the input" : "waiting for input");
	}
	fl_buf_printf(out, " (%lld row%s so far)", rows, rows == 1 ? "" : "s");
}

void
fl__hint_tick(struct fl_run *run, int64_t now_ms)
{
	struct fl_hint *hint = &run->hint;
	struct fl_buf text = { 0 };
	struct fl_err ignored;

	if (now_ms < hint->due_ms)
		return;
	if (run->out.records != hint->records ||
	    (run->op->own_output && run->stats && run->stats->rows_in)) {
		hint->records = run->out.records;
		hint->due_ms = now_ms + QUIET_MS;
		return;
	}
	hint->due_ms = INT64_MAX;
	fl_buf_printf(&text, "%s: ", run->op->name);
	fl__hint_text(run, &text);
	fl_buf_putc(&text, '\n');
	(void)fl_io_write(STDERR_FILENO, text.data, text.len, "standard error", &ignored);
	fl_buf_release(&text);
}
