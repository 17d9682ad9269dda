/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests that print TAP, the Test Anything Protocol.
 *
 *	int
 *	main(void)
 *	{
 *		tap_ok(fl_frob(3) == 9, "frob squares %d", 3);
 *		tap_eq_int(fl_frob(-1), 1, "frob of a negative number");
 *		return tap_done();
 *	}
 *
 * Every test prints one line, "ok 1 - title" or "not ok 1 - title", a failed
 * one also says where it stands. The plan "1..N" comes last, so a program that
 * dies on its way is a failure too: no plan. One program, one test file.
 */
#ifndef TESTS_UNIT_TAP_H
#define TESTS_UNIT_TAP_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static struct {
	unsigned count;
	unsigned failed;
} tap;

/* Each returns whether the test passed, to stop a loop after the first failure. */
#define tap_ok(cond, ...) tap_ok_at(__FILE__, __LINE__, (cond), __VA_ARGS__)
#define tap_eq_int(got, want, ...) \
	tap_eq_int_at(__FILE__, __LINE__, (got), (want), __VA_ARGS__)
#define tap_eq_str(got, want, ...) \
	tap_eq_str_at(__FILE__, __LINE__, (got), (want), __VA_ARGS__)

static inline void __attribute__((format(printf, 4, 0)))
tap_line(const char *file, int line, bool passed, const char *fmt, va_list ap)
{
	tap.count++;
	(void)printf("%sok %u - ", passed ? "" : "not ", tap.count);
	(void)vprintf(fmt, ap);
	(void)putchar('\n');
	if (!passed) {
		tap.failed++;
		(void)printf("#   at %s:%d\n", file, line);
	}
	(void)fflush(stdout); /* what ran before a crash must be seen */
}

static inline bool __attribute__((format(printf, 4, 5)))
tap_ok_at(const char *file, int line, bool passed, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tap_line(file, line, passed, fmt, ap);
	va_end(ap);
	return passed;
}

static inline bool __attribute__((format(printf, 5, 6)))
tap_eq_int_at(const char *file, int line, int64_t got, int64_t want, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tap_line(file, line, got == want, fmt, ap);
	va_end(ap);
	if (got != want)
		(void)printf("#   got %" PRId64 ", want %" PRId64 "\n", got, want);
	return got == want;
}

/* NULL is equal to NULL only. */
static inline bool __attribute__((format(printf, 5, 6)))
tap_eq_str_at(const char *file, int line, const char *got, const char *want, const char *fmt, ...)
{
	bool same = got && want ? strcmp(got, want) == 0 : got == want;
	va_list ap;

	va_start(ap, fmt);
	tap_line(file, line, same, fmt, ap);
	va_end(ap);
	if (!same)
		(void)printf("#   got  \"%s\"\n#   want \"%s\"\n", got ? got : "(null)",
			     want ? want : "(null)");
	return same;
}

/* A test that cannot run here, and why: counts as passed, and is seen. */
static inline void
tap_skip(const char *title, const char *why)
{
	(void)printf("ok %u - %s # SKIP %s\n", ++tap.count, title, why);
}

/* Print the plan; the exit status for main. */
static inline int
tap_done(void)
{
	(void)printf("1..%u\n", tap.count);
	return tap.failed ? 1 : 0;
}

#endif
