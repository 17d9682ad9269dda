/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into the tools of a line: in one of them the n-th call of one kind fails, once.
 *
 *	FLUE_FAIL_IN=TOOL     "freduce", "fcheckpoint begin"
 *	FLUE_FAIL=CALL:N:HOW  CALL is open, read, write, fsync, rename, mkdir, link, fork or
 *	                      thread; HOW is an error (ENOSPC …) or "short": a part is done
 *	FLUE_FAIL_LOG=FILE    gets a line when it has happened
 */
#undef _FORTIFY_SOURCE /* its inline functions have the names that are defined here */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "preload.h"

typedef ssize_t read_call(int, void *, size_t);
typedef ssize_t pread_call(int, void *, size_t, off_t);

static char tool[64]; /* of this process; "" is none that is meant */
static atomic_long counted;

static const struct {
	const char *name;
	int code;
} errors[] = {
	{ "ENOSPC", ENOSPC }, { "EIO", EIO },       { "EINTR", EINTR }, { "EMFILE", EMFILE },
	{ "EAGAIN", EAGAIN }, { "EDQUOT", EDQUOT }, { "short", -1 },
};

static void __attribute__((constructor)) find_tool(void)
{
	const char *want = getenv("FLUE_FAIL_IN");
	FILE *f = fopen("/proc/self/cmdline", "r");
	char words[256] = "";
	size_t n = f ? fread(words, 1, sizeof words - 1, f) : 0;
	const char *name = strrchr(words, '/') ? strrchr(words, '/') + 1 : words;
	const char *next = name + strlen(name) + 1;
	char both[sizeof tool];

	if (f)
		(void)fclose(f);
	if (!want || n == 0)
		return;
	(void)snprintf(both, sizeof both, "%.20s %.20s", name, next < words + n ? next : "");
	if (strcmp(name, want) == 0 || strcmp(both, want) == 0)
		(void)snprintf(tool, sizeof tool, "%s", want);
}

/* 0: this call is not the one; else errno's value, or -1 for a short one. */
static int
failure(const char *call)
{
	const char *spec = getenv("FLUE_FAIL"), *log = getenv("FLUE_FAIL_LOG");
	size_t n = strlen(call);
	char *end;
	long at;
	int fd;

	if (!*tool || !spec || strncmp(spec, call, n) != 0 || spec[n] != ':')
		return 0;
	at = strtol(spec + n + 1, &end, 10);
	if (*end != ':' || atomic_fetch_add(&counted, 1) + 1 != at)
		return 0;
	fd = log ? REAL(openat_call *, "openat64")(AT_FDCWD, log,
						   O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600)
		 : -1;
	if (fd >= 0 && REAL(write_call *, "write")(fd, "fired\n", 6) != 6)
		abort();
	if (fd >= 0)
		(void)close(fd);
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
		if (strcmp(end + 1, errors[i].name) == 0)
			return errors[i].code;
	abort();
}

/* Whether the call fails, with errno; else *n may have become less. */
static bool
fails(const char *call, size_t *n)
{
	int code = failure(call);

	if (code < 0 && n && *n > 1)
		*n /= 2;
	if (code > 0)
		errno = code;
	return code > 0;
}

/* ---- the calls ----------------------------------------------------------------------------- */

static int
open_it(int dirfd, const char *name, int flags, mode_t mode)
{
	if (fails("open", NULL))
		return -1;
	return REAL(openat_call *, "openat64")(dirfd, name, flags, mode);
}

ssize_t
read(int fd, void *p, size_t n)
{
	return fails("read", &n) ? -1 : REAL(read_call *, "read")(fd, p, n);
}

ssize_t
pread64(int fd, void *p, size_t n, off_t offset)
{
	return fails("read", &n) ? -1 : REAL(pread_call *, "pread64")(fd, p, n, offset);
}

ssize_t
write(int fd, const void *p, size_t n)
{
	return fails("write", &n) ? -1 : REAL(write_call *, "write")(fd, p, n);
}

ssize_t
pwrite64(int fd, const void *p, size_t n, off_t offset)
{
	return fails("write", &n) ? -1 : REAL(pwrite_call *, "pwrite64")(fd, p, n, offset);
}

ssize_t
writev(int fd, const struct iovec *iov, int count)
{
	size_t n = count > 0 ? iov[0].iov_len : 0, whole = n;

	if (fails("write", &n))
		return -1;
	if (n < whole)
		return REAL(write_call *, "write")(fd, iov[0].iov_base, n);
	return REAL(writev_call *, "writev")(fd, iov, count);
}

int
fsync(int fd)
{
	typedef int sync_call(int);

	return fails("fsync", NULL) ? -1 : REAL(sync_call *, "fsync")(fd);
}

int
fdatasync(int fd)
{
	typedef int sync_call(int);

	return fails("fsync", NULL) ? -1 : REAL(sync_call *, "fdatasync")(fd);
}

int
renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	typedef int rename_call(int, const char *, int, const char *, unsigned);

	if (fails("rename", NULL))
		return -1;
	return REAL(rename_call *, "renameat2")(from_dir, from, to_dir, to, flags);
}

int
renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return renameat2(from_dir, from, to_dir, to, 0);
}

int
rename(const char *from, const char *to)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int
mkdirat(int dirfd, const char *name, mode_t mode)
{
	typedef int mkdir_call(int, const char *, mode_t);

	return fails("mkdir", NULL) ? -1 : REAL(mkdir_call *, "mkdirat")(dirfd, name, mode);
}

int
mkdir(const char *name, mode_t mode)
{
	return mkdirat(AT_FDCWD, name, mode);
}

int
linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	typedef int link_call(int, const char *, int, const char *, int);

	if (fails("link", NULL))
		return -1;
	return REAL(link_call *, "linkat")(from_dir, from, to_dir, to, flags);
}

pid_t
fork(void)
{
	typedef pid_t fork_call(void);

	return fails("fork", NULL) ? -1 : REAL(fork_call *, "fork")();
}

int
pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
	typedef int create_call(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	if (fails("thread", NULL))
		return errno;
	return REAL(create_call *, "pthread_create")(thread, attr, start, arg);
}
