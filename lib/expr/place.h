/* SPDX-License-Identifier: Apache-2.0 */
/* A place in an expression, shown under a message. */
#ifndef FL_EXPR_PLACE_H
#define FL_EXPR_PLACE_H

#include <stdint.h>

#include "base/err.h"

#define FL_X_PLACE_MAX 480 /* bytes of what fl_x_place gives, with its NUL */

/*
 * Into buf, two lines without a final newline: the line of text that the byte
 * place is in, cut around it where it is long, and ^ under the word there. A
 * place behind the text is its end. Control characters are shown as ?.
 *
 *	\n  status >= 500 and lenght(path) > 3\n                    ^^^^^^
 */
void fl_x_place(const char *text, uint32_t place, char buf[FL_X_PLACE_MAX]);

/* Show the place under the message that err has, unless one is shown already. */
void fl_x_point(struct fl_err *err, const char *text, uint32_t place);

/* FL_EUSAGE: the message, and the place under it. */
int fl_x_fail(struct fl_err *err, const char *text, uint32_t place, const char *fmt, ...)
	FL_PRINTF(4, 5);

#endif
