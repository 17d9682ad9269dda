/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Side files: --late, --reject, --else. Small sinks beside the main output; the
 * interface for operators is in op.h. Private to lib/run.
 */
#ifndef FL_RUN_SIDE_H
#define FL_RUN_SIDE_H

#include "run/op.h"

/* Create path and put it at the head of *list, which owns it. NULL and *err. */
struct fl_side *fl_side_open(struct fl_side **list, const char *path, const struct fl_header *h,
			     const struct fl_zone *zone, struct fl_err *err);

/* Write out what is held, of s and all behind it in the list. */
int fl_sides_flush(struct fl_side *s, struct fl_err *err);

/* The last lines, and close, with every error told. */
int fl_sides_end(struct fl_side *list, struct fl_err *err);

void fl_sides_free(struct fl_side *list);

#endif
