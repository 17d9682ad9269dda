/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* program_invocation_short_name */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
fl_fail(struct fl_err *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(err->msg, sizeof err->msg, fmt, ap);
	va_end(ap);
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
