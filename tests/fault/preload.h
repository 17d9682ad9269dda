/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What libraries share that are preloaded to stand between a tool and the system
 * (failing.c, record.c): the real calls, and those that open files, all of which end in
 * open_it, which the includer defines. To be included once, after _GNU_SOURCE was defined
 * and _FORTIFY_SOURCE, whose inline functions have the names that are defined here, was not.
 */
#ifndef FL_TESTS_FAULT_PRELOAD_H
#define FL_TESTS_FAULT_PRELOAD_H

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/uio.h>

/* What the symbol would be without this library. */
#define REAL(type, name) ((type)real(name))

static void *
real(const char *name)
{
	void *p = dlsym(RTLD_NEXT, name);

	if (!p)
		abort();
	return p;
}

typedef int openat_call(int, const char *, int, ...);
typedef ssize_t write_call(int, const void *, size_t);
typedef ssize_t pwrite_call(int, const void *, size_t, off_t);
typedef ssize_t writev_call(int, const struct iovec *, int);

static int open_it(int dirfd, const char *name, int flags, mode_t mode);

#define MODE_OF(flags, mode) \
	do { \
		va_list args; \
		va_start(args, flags); \
		(mode) = (flags) & (O_CREAT | O_TMPFILE) ? (mode_t)va_arg(args, unsigned) : 0; \
		va_end(args); \
	} while (0)

int
open64(const char *name, int flags, ...)
{
	mode_t mode;

	MODE_OF(flags, mode);
	return open_it(AT_FDCWD, name, flags, mode);
}

int
openat64(int dirfd, const char *name, int flags, ...)
{
	mode_t mode;

	MODE_OF(flags, mode);
	return open_it(dirfd, name, flags, mode);
}

/* The same without 64, whatever the headers make of these names. */
int plain_open(const char *name, int flags, ...) __asm__("open")
__attribute__((alias("open64"), nonnull(1)));
int plain_openat(int dirfd, const char *name, int flags, ...) __asm__("openat")
__attribute__((alias("openat64"), nonnull(2)));

#endif
