/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For people who wait: when the last tool of a pipeline on a terminal has printed nothing
 * for five seconds, one line on standard error says why. Private to lib/run.
 */
#ifndef FL_RUN_HINT_H
#define FL_RUN_HINT_H

#include <stdint.h>

#include "base/mem.h"

struct fl_run;

struct fl_hint {
	int64_t due_ms;   /* when to look next, by the clock; INT64_MAX: never */
	uint64_t records; /* what had been printed when it was looked at last */
};

/* The run begins: whether there is somebody to be told. */
void fl__hint_start(struct fl_run *run);

/* The clock is now_ms: look, if it is time to. */
void fl__hint_tick(struct fl_run *run, int64_t now_ms);

/* What the tool waits for, as one sentence without line end, appended to out. */
void fl__hint_text(const struct fl_run *run, struct fl_buf *out);

#endif
