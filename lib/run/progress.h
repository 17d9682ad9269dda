/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --progress and SIGUSR1: what the tools of a pipeline are doing, on standard error.
 * Private to lib/run.
 *
 * The tool that is asked shows itself and all tools before it (run/stats.h). On a
 * terminal it is a block that is drawn over itself twice a second, and taken away while
 * results are printed; elsewhere a line a tool every five seconds. Where several tools are
 * asked, the last of them shows, and those before see that they are being watched.
 */
#ifndef FL_RUN_PROGRESS_H
#define FL_RUN_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "run/stats.h"

struct fl_run;

/* A tool of the pipeline, as it was when it was drawn last. */
struct fl_progress_row {
	struct fl_stats *stats; /* NULL: not found */
	int64_t rows, at_us;
	double rate;
};

struct fl_progress {
	bool on;           /* --progress */
	bool tty;          /* standard error is a terminal */
	bool shares;       /* … on which results are printed too */
	int signal_fd;     /* SIGUSR1; -1: it cannot be taken */
	int64_t sample_ms; /* the clock when the slow numbers are due */
	int64_t due_ms;    /* … when to draw next; INT64_MAX: not by itself */
	int64_t asked_ms;  /* … when SIGUSR1 is to be answered; INT64_MAX: it was not sent */
	uint32_t lines;    /* of the block that stands above the cursor */
	int64_t start_us;
	struct fl_progress_row *row; /* one for each entry of the lineage */
	uint32_t row_count;
};

/* The tool begins: SIGUSR1 no longer ends it. */
void fl__progress_start(struct fl_run *run);

/* The outgoing header is known: the tool can be seen from now on. */
void fl__progress_open(struct fl_run *run);

/* The clock is now_ms: note numbers, look whether somebody has asked, draw what is due. */
void fl__progress_tick(struct fl_run *run, int64_t now_ms);

/* Note the numbers for those who look: before waiting. */
void fl__progress_sample(struct fl_run *run);

/* When to be called again at the latest (clock, ms), or INT64_MAX. */
int64_t fl__progress_deadline(const struct fl_run *run);

/* Results are about to be printed, perhaps on the same terminal: the block goes away. */
void fl__progress_hide(struct fl_progress *p);

/* The end: the last state is left standing. */
void fl__progress_end(struct fl_run *run);
void fl__progress_release(struct fl_progress *p);

#endif
