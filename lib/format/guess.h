/* SPDX-License-Identifier: Apache-2.0 */
/* What a text looks like that cannot be read in the format that it was taken for. */
#ifndef FL_FORMAT_GUESS_H
#define FL_FORMAT_GUESS_H

#include <stddef.h>

/*
 * p[0..n): the first line of a text, that is wrong in the format so named. The
 * end of a message that names another format, "; this looks like CSV: --icsv",
 * or "" where it looks like none.
 */
const char *fl_format_guess(const char *p, size_t n, const char *format);

#endif
