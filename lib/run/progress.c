/* SPDX-License-Identifier: Apache-2.0 */
#include "run/progress.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/io.h"
#include "run/run.h"
#include "time/duration.h"
#include "time/timestamp.h"

#define DRAW_MS 500     /* between two drawings on a terminal */
#define LINE_MS 5000    /* between two lines elsewhere */
#define SAMPLE_MS 200   /* between two looks at what takes time */
#define WATCHED_MS 2000 /* a tool behind that drew so recently goes on drawing */
#define ASIDE_MS 150    /* a tool in the middle lets the last one answer SIGUSR1 */
#define CELL 24
#define WIDTH 80 /* where the terminal does not say its own */

void
fl__progress_start(struct fl_run *run)
{
	struct fl_progress *p = &run->progress;
	sigset_t set;

	(void)signal(SIGUSR1, SIG_DFL); /* one that is ignored would not come */
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	p->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	p->on = run->opt.progress;
	p->tty = isatty(STDERR_FILENO);
	p->shares = p->tty && isatty(STDOUT_FILENO);
	p->due_ms = p->on ? fl_clock_ms() + (p->tty ? DRAW_MS : LINE_MS) : INT64_MAX;
	p->asked_ms = INT64_MAX;
}

void
fl__progress_release(struct fl_progress *p)
{
	for (uint32_t i = 0; i < p->row_count; i++)
		fl_stats_free(p->row[i].stats);
	free(p->row);
	p->row = NULL;
	p->row_count = 0;
	if (p->signal_fd > STDERR_FILENO)
		(void)close(p->signal_fd);
}

/* ---- cells ------------------------------------------------------------------------------ */

/* A number in at most five columns: 12345, 123k, 1.2M. */
static void
put_count(char cell[CELL], double n)
{
	static const char unit[] = " kMGT";
	size_t u = 0;

	if (n < 100000) {
		(void)snprintf(cell, CELL, "%.0f", n);
		return;
	}
	for (; n >= 1000 && u + 2 < sizeof unit; u++)
		n /= 1000;
	(void)snprintf(cell, CELL, n < 9.95 ? "%.1f%c" : "%.0f%c", n, unit[u]);
}

static void
put_bytes(char cell[CELL], int64_t bytes)
{
	static const char unit[] = "BKMGT";
	double n = (double)bytes;
	size_t u = 0;

	for (; n >= 1000 && u + 2 < sizeof unit; u++)
		n /= 1024;
	(void)snprintf(cell, CELL, u && n < 9.95 ? "%.1f%c" : "%.0f%c", n, unit[u]);
}

/* A time span in at most five columns: 0.2s, 59s, 12m, 30h, 400d. */
static void
put_span(char cell[CELL], int64_t ms)
{
	const double s = (double)ms / 1000;

	if (s < 10)
		(void)snprintf(cell, CELL, "%.1fs", s < 0 ? 0 : s);
	else if (s < 600)
		(void)snprintf(cell, CELL, "%.0fs", s);
	else if (s < 36000)
		(void)snprintf(cell, CELL, "%.0fm", s / 60);
	else if (s < 3600.0 * 96)
		(void)snprintf(cell, CELL, "%.0fh", s / 3600);
	else
		(void)snprintf(cell, CELL, "%.0fd", s / 86400);
}

/* "03-16 10:05:00", or with the year and the zone where there is room (a line). */
static void
put_watermark(char cell[FL_TIME_TEXT_MAX], int64_t ms, bool whole)
{
	char text[FL_TIME_TEXT_MAX];

	if (ms == FL_TIME_MIN || ms == FL_TIME_MAX) {
		(void)snprintf(cell, FL_TIME_TEXT_MAX, "%s", ms == FL_TIME_MIN ? "-" : "end");
		return;
	}
	(void)fl_time_format(ms, NULL, false, text);
	if (whole || strlen(text) != 20)
		(void)snprintf(cell, FL_TIME_TEXT_MAX, "%s", text);
	else
		(void)snprintf(cell, FL_TIME_TEXT_MAX, "%.5s %.8s", text + 5, text + 11);
}

/* The cells of a tool's row, in the order of the headings. */
enum { ROWS, RATE, WATERMARK, LAG, KEYS, STATE, CKPT, TOOK, SIZE, CELLS };

static void
fill_cells(const struct fl_progress_row *r, int64_t now_ms, bool whole,
	   char cell[CELLS][FL_TIME_TEXT_MAX])
{
	const struct fl_stats *s = r->stats;

	for (int i = 0; i < CELLS; i++)
		(void)snprintf(cell[i], FL_TIME_TEXT_MAX, "-");
	if (!s)
		return;
	if (s->rows_in >= 0) {
		put_count(cell[ROWS], (double)s->rows_in);
		put_count(cell[RATE], r->rate);
	}
	put_watermark(cell[WATERMARK], s->watermark_ms, whole);
	if (s->watermark_ms != FL_TIME_MIN && s->watermark_ms != FL_TIME_MAX)
		put_span(cell[LAG], now_ms - s->watermark_ms);
	if (s->keys >= 0)
		put_count(cell[KEYS], (double)s->keys);
	if (s->state_bytes >= 0)
		put_bytes(cell[STATE], s->state_bytes);
	if (!s->checkpoint)
		return;
	(void)snprintf(cell[CKPT], CELL, "%" PRId64, (int64_t)s->checkpoint);
	(void)snprintf(cell[TOOK], CELL, "%" PRId64 "/%.1f", (int64_t)s->checkpoint_ms,
		       (double)s->checkpoint_stall_us / 1000);
	put_bytes(cell[SIZE], s->checkpoint_bytes);
}

/* ---- drawing ------------------------------------------------------------------------------ */

/* Look at all tools: who is there, and how many rows a second since the last time. */
static void
look(struct fl_run *run, int64_t now_ms)
{
	struct fl_progress *p = &run->progress;
	int64_t now_us = fl_clock_us();
	struct fl_stats **page = fl_xcalloc(p->row_count, sizeof *page);

	for (uint32_t i = 0; i < p->row_count; i++)
		page[i] = p->row[i].stats;
	fl_stats_find(run->out_header.lineage, p->row_count, page);
	for (uint32_t i = 0; i < p->row_count; i++) {
		struct fl_progress_row *r = &p->row[i];
		int64_t rows;

		r->stats = page[i];
		if (!r->stats)
			continue;
		if (i + 1 < p->row_count)
			r->stats->watched_ms = now_ms;
		rows = r->stats->rows_in;
		if (r->at_us && now_us > r->at_us)
			r->rate = (double)(rows - r->rows) * 1e6 / (double)(now_us - r->at_us);
		r->rows = rows;
		r->at_us = now_us;
	}
	free(page);
}

void
fl__progress_open(struct fl_run *run)
{
	struct fl_progress *p = &run->progress;
	const struct fl_header *h = &run->out_header;

	p->row_count = h->lineage_count;
	p->row = fl_xcalloc(p->row_count, sizeof *p->row);
	run->stats = fl_stats_new(h->lineage[h->lineage_count - 1].instance);
	p->row[p->row_count - 1].stats = run->stats;
	p->start_us = fl_clock_us();
	if (p->on)
		look(run, fl_clock_ms()); /* a short run has ended before the first drawing */
}

static size_t
terminal_width(void)
{
	struct winsize w;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col ? w.ws_col : WIDTH;
}

/* A line of the block, cut at the width: one that wrapped could not be taken away. */
static void
put_line(struct fl_buf *out, const char *line, size_t width)
{
	size_t n = strlen(line);

	fl_buf_put(out, line, n < width ? n : width - 1);
	fl_buf_puts(out, "\n");
}

static void
put_block(struct fl_run *run, int64_t now_ms, struct fl_buf *out)
{
	struct fl_progress *p = &run->progress;
	const size_t width = terminal_width();
	char line[400];

	(void)snprintf(line, sizeof line, "%-11s %6s %5s %-14s %5s %5s %5s %5s %9s %5s", "", "ROWS",
		       "/S", "WATERMARK", "LAG", "KEYS", "STATE", "CKPT", "MS/STALL", "SIZE");
	put_line(out, line, width);
	for (uint32_t i = 0; i < p->row_count; i++) {
		char c[CELLS][FL_TIME_TEXT_MAX];

		fill_cells(&p->row[i], now_ms, false, c);
		(void)snprintf(line, sizeof line, "%-11.11s %6s %5s %-14s %5s %5s %5s %5s %9s %5s",
			       run->out_header.lineage[i].uid, c[ROWS], c[RATE], c[WATERMARK],
			       c[LAG], c[KEYS], c[STATE], c[CKPT], c[TOOK], c[SIZE]);
		put_line(out, line, width);
	}
}

/* Without a terminal: a line a tool, by words. */
static void
put_lines(struct fl_run *run, int64_t now_ms, struct fl_buf *out)
{
	static const char *const words[CELLS] = { "rows",       "rows/s",        "watermark",
						  "lag",        "keys",          "state",
						  "checkpoint", "took/stall ms", "size" };
	struct fl_progress *p = &run->progress;

	for (uint32_t i = 0; i < p->row_count; i++) {
		char c[CELLS][FL_TIME_TEXT_MAX];

		fill_cells(&p->row[i], now_ms, true, c);
		if (!p->row[i].stats)
			continue;
		fl_buf_puts(out, run->out_header.lineage[i].uid);
		for (int k = 0, n = 0; k < CELLS; k++)
			if (strcmp(c[k], "-") != 0)
				fl_buf_printf(out, "%s %s %s", n++ ? "," : ":", words[k], c[k]);
		fl_buf_puts(out, "\n");
	}
}

void
fl__progress_hide(struct fl_progress *p)
{
	struct fl_err ignored;
	char up[32];
	int n;

	if (!p->lines || !p->shares)
		return;
	n = snprintf(up, sizeof up, "\033[%uA\033[J", p->lines);
	(void)fl_io_write(STDERR_FILENO, up, (size_t)n, "standard error", &ignored);
	p->lines = 0;
}

static void
draw(struct fl_run *run, int64_t now_ms)
{
	struct fl_progress *p = &run->progress;
	struct fl_buf out = { 0 };
	struct fl_err ignored;

	if (p->row_count == 0)
		return;
	look(run, now_ms);
	if (p->tty && p->lines)
		fl_buf_printf(&out, "\033[%uA\033[J", p->lines);
	if (p->tty)
		put_block(run, now_ms, &out);
	else
		put_lines(run, now_ms, &out);
	p->lines = p->tty && p->on ? p->row_count + 1 : 0; /* a single answer is left alone */
	(void)fl_io_write(STDERR_FILENO, out.data, out.len, "standard error", &ignored);
	fl_buf_release(&out);
}

/* ---- when --------------------------------------------------------------------------------- */

void
fl__progress_sample(struct fl_run *run)
{
	struct fl_stats *s = run->stats;

	if (!s)
		return;
	s->rows_out = (int64_t)run->out.records;
	s->watermark_ms = run->align.wm;
	if (run->op->state_bytes && run->opened)
		s->state_bytes = (int64_t)run->op->state_bytes(run->self);
	if (run->op->state_keys && run->opened)
		s->keys = run->op->state_keys(run->self);
}

/* A tool behind this one draws it. */
static bool
watched(const struct fl_run *run, int64_t now_ms)
{
	return run->stats && now_ms - run->stats->watched_ms < WATCHED_MS;
}

/* SIGUSR1: the last tool answers at once; the others only if it does not. */
static void
take_signal(struct fl_run *run, int64_t now_ms)
{
	struct fl_progress *p = &run->progress;
	struct signalfd_siginfo info;
	struct fl_err ignored;

	if (p->signal_fd < 0 || !fl_io_readable(p->signal_fd) ||
	    fl_io_read(p->signal_fd, &info, sizeof info, "a signal", &ignored) <= 0)
		return;
	p->asked_ms = now_ms + (run->out.frames ? ASIDE_MS : 0);
}

void
fl__progress_tick(struct fl_run *run, int64_t now_ms)
{
	struct fl_progress *p = &run->progress;

	if (now_ms >= p->sample_ms) {
		p->sample_ms = now_ms + SAMPLE_MS;
		fl__progress_sample(run);
		take_signal(run, now_ms);
	}
	if (now_ms >= p->asked_ms) {
		p->asked_ms = INT64_MAX;
		fl__progress_sample(run);
		if (!run->out.frames || !watched(run, now_ms))
			draw(run, now_ms);
	}
	if (now_ms >= p->due_ms) {
		p->due_ms = now_ms + (p->tty ? DRAW_MS : LINE_MS);
		if (!watched(run, now_ms))
			draw(run, now_ms);
	}
}

int64_t
fl__progress_deadline(const struct fl_run *run)
{
	const struct fl_progress *p = &run->progress;

	return p->asked_ms < p->due_ms ? p->asked_ms : p->due_ms;
}

void
fl__progress_end(struct fl_run *run)
{
	struct fl_progress *p = &run->progress;
	int64_t now_ms = fl_clock_ms();

	fl__progress_sample(run);
	if (run->stats)
		run->stats->ended = 1;
	for (uint32_t i = 0; i < p->row_count; i++) /* in the end the mean rate */
		p->row[i] = (struct fl_progress_row){ p->row[i].stats, 0, p->start_us, 0 };
	if (p->on && !watched(run, now_ms))
		draw(run, now_ms);
	p->lines = 0;
}
