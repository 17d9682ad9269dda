/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records that came too late for all their windows: counted, and written to
 * --late FILE if one was given. The consumer of the windows owns it.
 */
#ifndef FL_WINDOW_LATE_H
#define FL_WINDOW_LATE_H

#include "run/op.h"

struct fl_late {
	struct fl_run *run;
	const char *path;     /* borrowed from the header or the command line */
	struct fl_side *file; /* NULL: only counted */
	struct fl_buf rows;   /* uint32_t: late records of the batch in hand */
	struct fl_buf pool;
};

/* path: of the window's specification, or NULL. */
int fl_late_open(struct fl_late *l, struct fl_run *run, const char *path, struct fl_err *err);
void fl_late_release(struct fl_late *l);

/* Record row of the batch in hand is late. */
void fl_late_add(struct fl_late *l, uint32_t row);

/* The batch is done with: count and write. */
int fl_late_flush(struct fl_late *l, const struct fl_batch *b, struct fl_err *err);

#endif
