/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing to a file beside the computation: while the operator fills one buffer,
 * a thread hands the other to the system. Copying results into the page cache
 * takes as long as a fifth of computing them. Private to lib/run.
 *
 * For regular files only: into a pipe or to a terminal bytes have to leave at
 * once and in step with frames. What was handed over is written in order; an error
 * is told at the next call.
 */
#ifndef FL_RUN_WRITEBACK_H
#define FL_RUN_WRITEBACK_H

#include "base/err.h"
#include "base/mem.h"

struct fl_writeback;

/* name is for messages and lives as long as w. NULL where no thread can be had: then
 * the caller writes by itself. */
struct fl_writeback *fl_writeback_new(int fd, const char *name);

/*
 * Hand over the content of b, which is empty afterwards (its storage is exchanged).
 * Waits for the content handed over before. FL_EIO: that could not be written.
 */
int fl_writeback_put(struct fl_writeback *w, struct fl_buf *b, struct fl_err *err);

/* Wait until everything is written. */
int fl_writeback_drain(struct fl_writeback *w, struct fl_err *err);

/* Ends the thread; what was not drained is written first. NULL is fine. */
void fl_writeback_free(struct fl_writeback *w);

#endif
