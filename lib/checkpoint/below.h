/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening files below a checkpoint directory, whatever somebody has put there: no
 * link is followed, no name leads out, and what is not a plain file is refused
 * (opening a FIFO would wait for ever). Private to lib/checkpoint.
 */
#ifndef FL_CHECKPOINT_BELOW_H
#define FL_CHECKPOINT_BELOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Whether name is one to three components of [A-Za-z0-9._-], none of which begins
 * with '.', of at most max bytes.
 */
bool fl__name_ok(const char *name, size_t max);

/*
 * openat(2), component by component, without following links. A descriptor, or -1
 * and errno. EINVAL: the name is not fl__name_ok.
 */
int fl__open_below(int dirfd, const char *name, int flags);

/* The directory that holds the last component of name, and *ret_last, that component,
 * within name. A new descriptor, or -1 and errno. */
int fl__open_parent(int dirfd, const char *name, const char **ret_last);

/*
 * A plain file for reading, and its size: a descriptor, or a negative code:
 * FL_ENOINPUT not there, FL_EDATA something else than a plain file.
 */
int fl__open_file(int dirfd, const char *name, uint64_t *ret_size, struct fl_err *err);

#endif
