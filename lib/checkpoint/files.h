/* SPDX-License-Identifier: Apache-2.0 */
/* What dir.c, files.c, request.c and clean.c share. Private to lib/checkpoint. */
#ifndef FL_CHECKPOINT_FILES_H
#define FL_CHECKPOINT_FILES_H

#include "checkpoint/dir.h"

/* Keep others from changing "attempt" and "request" until the descriptor returned is
 * closed. Waits: they have it for a moment only. */
int fl__lock_files(const struct fl_ckdir *d, struct fl_err *err);

/* DIR/attempt, durably. */
int fl__write_attempt(const struct fl_ckdir *d, const struct fl_attempt *a, struct fl_err *err);

/* Write a whole file; it appears whole. durable: survives a loss of power. */
int fl__put_file(const struct fl_ckdir *d, const char *name, const void *p, size_t n, bool durable,
		 struct fl_err *err);

/*
 * The names in a directory below DIR ("" for itself), without . and .., each with a
 * NUL behind it, appended to out, in no order. FL_ENOINPUT: there is no such directory.
 */
int fl__names(const struct fl_ckdir *d, const char *name, struct fl_buf *out, struct fl_err *err);

/*
 * The parts of "UID.aNNN.WHAT": the attempt, and where they lie. False where the name
 * is none.
 */
bool fl__parse_file(const char *name, size_t *ret_uid_len, uint64_t *ret_attempt,
		    const char **ret_what);

/* Half-written files, and claims of attempts before d->attempt. The caller is alone. */
void fl__sweep(const struct fl_ckdir *d);

/* Remove MANIFEST of checkpoint id, durably: it is complete no more. */
int fl__drop_manifest(const struct fl_ckdir *d, uint64_t id, struct fl_err *err);

/* Remove a file below DIR, or a directory as fl__remove_tree does. */
bool fl__remove_path(const struct fl_ckdir *d, const char *name);

/* Remove a directory below DIR with its files, and the directories in it with theirs.
 * False: something is left. */
bool fl__remove_tree(const struct fl_ckdir *d, const char *name);

#endif
