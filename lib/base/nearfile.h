/* SPDX-License-Identifier: Apache-2.0 */
/* A file that is not there, and what was meant instead. */
#ifndef FL_BASE_NEARFILE_H
#define FL_BASE_NEARFILE_H

#include "base/err.h"

/*
 * FL_ENOINPUT: path cannot be opened, for errnum. Where there is no such file
 * the message names the nearest name of its directory, or the directory that is
 * missing. Returns the code.
 */
int fl_fail_open(struct fl_err *err, int errnum, const char *path);

#endif
