/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* program_invocation_short_name */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Names and values that a message quotes come from data: what a terminal would
 * obey becomes ?. Line feeds stay, some messages have several lines.
 */
static void
make_harmless(char *p)
{
	for (; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if (c == 0xc2 && (unsigned char)p[1] >= 0x80 && (unsigned char)p[1] < 0xa0) {
			*p++ = '?'; /* U+0080 to U+009F */
			*p = '?';
		} else if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f) {
			*p = '?';
		}
	}
}

int
fl_fail(struct fl_err *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(err->msg, sizeof err->msg, fmt, ap);
	va_end(ap);
	make_harmless(err->msg);
	err->code = code;
	err->quiet = false;
	return code;
}

int
fl_fail_errno(struct fl_err *err, int code, int errnum, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	(void)vsnprintf(err->msg, sizeof err->msg, fmt, ap);
	va_end(ap);
	make_harmless(err->msg);
	n = strlen(err->msg);
	(void)snprintf(err->msg + n, sizeof err->msg - n, ": %s", strerror(errnum));
	err->code = code;
	err->quiet = false;
	return code;
}

int
fl_wrap(struct fl_err *err, const char *fmt, ...)
{
	char old[sizeof err->msg];
	va_list ap;
	size_t n;

	memcpy(old, err->msg, sizeof old);
	va_start(ap, fmt);
	(void)vsnprintf(err->msg, sizeof err->msg, fmt, ap);
	va_end(ap);
	n = strlen(err->msg);
	(void)snprintf(err->msg + n, sizeof err->msg - n, ": %.*s", (int)(sizeof old - n - 3), old);
	return err->code;
}

void
fl_assert_failed(const char *file, int line, const char *what)
{
	(void)fprintf(stderr, "%s: %s:%d: this cannot be: %s (a bug; please report it)\n",
		      program_invocation_short_name, file, line, what);
	_Exit(70);
}
