/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the files of a state backend on disk are: while a tool runs, in a directory of its
 * own, work/UID.aNNN in the checkpoint directory (a temporary one outside of a region); of
 * a checkpoint, hard links to them in chk-N; in the snapshot, a section that names those.
 */
#ifndef FL_RUN_STATEFILES_H
#define FL_RUN_STATEFILES_H

#include "checkpoint/snapshot.h"
#include "run/op.h"
#include "state/backend.h"

#define FL_STATEFILES_SECTION "files" /* version 1 */

/* Whether --backend says so. */
bool fl_statefiles_wanted(const struct fl_run *run);

/*
 * Open the backend with what o says; its directory and memory are filled in. As
 * fl_backend_open: NULL and *err on failure.
 */
struct fl_backend *fl_statefiles_open(struct fl_run *run, struct fl_backend_options o,
				      struct fl_err *err);

/*
 * In before_snapshot, all that changed has been written: the files of this checkpoint.
 * *ret_path is where they are, below the checkpoint directory; free it.
 */
int fl_statefiles_checkpoint(struct fl_backend *b, struct fl_run *run, char **ret_path,
			     struct fl_err *err);

/* In a section FL_STATEFILES_SECTION, which the caller has begun: what names them. */
void fl_statefiles_save(struct fl_save *s, const char *path);

/*
 * Read the section in hand, which is such a one: *ret_dir is the directory, for
 * fl_backend_options.from; free it. FL_EDATA: it names none.
 */
int fl_statefiles_load(struct fl_load *l, struct fl_run *run, char **ret_dir, struct fl_err *err);

/* Such a section, but the state is to be kept in memory: FL_ECONFIG. */
int fl_statefiles_refuse(struct fl_err *err);

#endif
