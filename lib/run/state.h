/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runner's own part of a snapshot: watermarks (they are restored, not made anew: a
 * row that was late before a kill must be late after it), counters, side files, and
 * where each input stands. Private to lib/run.
 */
#ifndef FL_RUN_STATE_H
#define FL_RUN_STATE_H

#include "checkpoint/snapshot.h"

struct fl_run;

/* Descriptors of side files that have to be fsynced are appended to *sync (int). */
int fl__save_run(struct fl_run *run, struct fl_save *s, struct fl_buf *sync, struct fl_err *err);

/* A section that fl__save_run wrote. */
int fl__load_run_section(struct fl_run *run, struct fl_load *l, const struct fl_state_section *s,
			 struct fl_err *err);

/* What a restored snapshot says of a side file's length; -1: nothing. */
int64_t fl__side_kept(const struct fl_run *run, const char *path);

#endif
