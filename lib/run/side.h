/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Side files: --late, --reject, --else. Small sinks beside the main output; the
 * interface for operators is in op.h. Private to lib/run.
 */
#ifndef FL_RUN_SIDE_H
#define FL_RUN_SIDE_H

#include "run/op.h"

/*
 * Create path and put it at the head of *list, which owns it. kept: bytes of it that a
 * checkpoint says are its own: what follows them is cut off; -1: it begins empty.
 * NULL and *err; FL_ECONFIG: it is shorter than that.
 */
struct fl_side *fl_side_open(struct fl_side **list, const char *path, const struct fl_header *h,
			     const struct fl_zone *zone, int64_t kept, struct fl_err *err);

/* Write out what is held, of s and all behind it in the list. */
int fl_sides_flush(struct fl_side *s, struct fl_err *err);

/*
 * At a barrier: write out what is held; then each file's path and length are saved in
 * the section in hand, and its descriptor, to be fsynced, is appended to *fds (int).
 */
struct fl_save;
int fl_sides_save(struct fl_side *list, struct fl_save *s, struct fl_buf *fds, struct fl_err *err);

/* The last lines, and close, with every error told. */
int fl_sides_end(struct fl_side *list, struct fl_err *err);

void fl_sides_free(struct fl_side *list);

#endif
