/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into the tools of a line: records, in order, all that they do to the files
 * below one directory. What was not fsynced before a loss of power may be missing after
 * it; powerloss replays the record with some of it left out.
 *
 *	FLUE_RECORD_ROOT=DIR   absolute, without links in it
 *	FLUE_RECORD_LOG=FILE   outside of DIR; made by who starts the line
 *
 * A record is a line, and behind the line of a write its bytes:
 *	create|mkdir|unlink|link DIRINO INO NAME
 *	rename DIRINO INO NAME DIRINO2 NAME2   (what stood there is gone)
 *	write INO OFFSET LENGTH, truncate INO LENGTH, sync INO
 * A lock around call and record makes the order of records that of the calls.
 */
#undef _FORTIFY_SOURCE /* its inline functions have the names that are defined here */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "preload.h"

typedef int open_call(const char *, int, ...);
typedef int fd_call(int);

/* ---- the record ------------------------------------------------------------------------ */

static int
lock(void)
{
	const char *log = getenv("FLUE_RECORD_LOG");
	int fd = log ? REAL(open_call *, "open64")(log, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;

	while (fd >= 0 && flock(fd, LOCK_EX) < 0 && errno == EINTR)
		;
	return fd;
}

static void
unlock(int fd)
{
	int kept = errno;

	if (fd >= 0)
		(void)close(fd);
	errno = kept;
}

static void
put(int log, const void *p, size_t n)
{
	write_call *out = REAL(write_call *, "write");

	for (const char *at = p; n;) {
		ssize_t done = out(log, at, n);

		if (done < 0)
			abort();
		at += done;
		n -= (size_t)done;
	}
}

static void __attribute__((format(printf, 2, 3))) tell(int log, const char *format, ...)
{
	char line[PATH_MAX + 128];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof line, format, args);
	va_end(args);
	put(log, line, (size_t)n);
}

/* Whether a path is below the root, or the root. */
static bool
is_below(const char *path)
{
	const char *root = getenv("FLUE_RECORD_ROOT");
	size_t n = root ? strlen(root) : 0;

	return n && strncmp(path, root, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static bool
path_of(int fd, char out[PATH_MAX])
{
	char link[64];
	ssize_t n;

	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, out, PATH_MAX - 1);
	if (n <= 0)
		return false;
	out[n] = '\0';
	return true;
}

static bool
is_recorded(int fd)
{
	char path[PATH_MAX];

	return path_of(fd, path) && is_below(path) && !strstr(path, " (deleted)");
}

/* The directory that a name is in: its inode, and the last part of the name. */
struct place {
	uint64_t dir;
	const char *name;
	char path[PATH_MAX];
};

static bool
find_place(int dirfd, const char *name, struct place *ret)
{
	char base[PATH_MAX] = "", whole[2 * PATH_MAX], *slash;
	struct stat st;

	if (name[0] != '/' && dirfd == AT_FDCWD && !getcwd(base, sizeof base))
		return false;
	if (name[0] != '/' && dirfd != AT_FDCWD && !path_of(dirfd, base))
		return false;
	(void)snprintf(whole, sizeof whole, "%s%s%s", base, *base ? "/" : "", name);
	slash = strrchr(whole, '/');
	if (!slash)
		return false;
	*slash = '\0';
	if (!realpath(*whole ? whole : "/", ret->path) || !is_below(ret->path) ||
	    stat(ret->path, &st) < 0)
		return false;
	ret->dir = st.st_ino;
	ret->name = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
	return true;
}

static uint64_t
inode_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : st.st_ino;
}

static uint64_t
inode_at(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : st.st_ino;
}

/* ---- opening ---------------------------------------------------------------------------- */

static int
open_it(int dirfd, const char *name, int flags, mode_t mode)
{
	openat_call *call = REAL(openat_call *, "openat64");
	bool changes = (flags & (O_CREAT | O_TRUNC)) && !(flags & O_PATH);
	struct place at;
	uint64_t before;
	int fd, log;

	if (!changes || !find_place(dirfd, name, &at))
		return call(dirfd, name, flags, mode);
	log = lock();
	before = inode_at(dirfd, name);
	fd = call(dirfd, name, flags, mode);
	if (fd >= 0 && !before)
		tell(log, "create %llu %llu %s\n", (unsigned long long)at.dir,
		     (unsigned long long)inode_of(fd), at.name);
	else if (fd >= 0 && (flags & O_TRUNC))
		tell(log, "truncate %llu 0\n", (unsigned long long)before);
	unlock(log);
	return fd;
}

/* ---- writing ----------------------------------------------------------------------------- */

/* Where a write without a position will go. */
static uint64_t
position(int fd)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0 && (flags & O_APPEND))
		return fstat(fd, &st) < 0 ? 0 : (uint64_t)st.st_size;
	return (uint64_t)lseek(fd, 0, SEEK_CUR);
}

static void
tell_write(int log, int fd, const void *p, ssize_t n, uint64_t offset)
{
	if (n <= 0)
		return;
	tell(log, "write %llu %llu %lld\n", (unsigned long long)inode_of(fd),
	     (unsigned long long)offset, (long long)n);
	put(log, p, (size_t)n);
}

ssize_t
write(int fd, const void *p, size_t n)
{
	write_call *call = REAL(write_call *, "write");
	uint64_t offset;
	ssize_t done;
	int log;

	if (!is_recorded(fd))
		return call(fd, p, n);
	log = lock();
	offset = position(fd);
	done = call(fd, p, n);
	tell_write(log, fd, p, done, offset);
	unlock(log);
	return done;
}

ssize_t
writev(int fd, const struct iovec *iov, int count)
{
	ssize_t done = 0;

	if (!is_recorded(fd))
		return REAL(writev_call *, "writev")(fd, iov, count);
	for (int i = 0; i < count; i++) {
		ssize_t n = write(fd, iov[i].iov_base, iov[i].iov_len);

		if (n < 0)
			return done ? done : n;
		done += n;
		if ((size_t)n < iov[i].iov_len)
			break;
	}
	return done;
}

ssize_t
pwrite64(int fd, const void *p, size_t n, off_t offset)
{
	pwrite_call *call = REAL(pwrite_call *, "pwrite64");
	ssize_t done;
	int log;

	if (!is_recorded(fd))
		return call(fd, p, n, offset);
	log = lock();
	done = call(fd, p, n, offset);
	tell_write(log, fd, p, done, (uint64_t)offset);
	unlock(log);
	return done;
}

/*
 * What moves bytes inside the kernel is refused where it would reach a recorded file: the
 * tools then fall back to read and write.
 */
ssize_t
copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t n, unsigned flags)
{
	typedef ssize_t copy_call(int, off64_t *, int, off64_t *, size_t, unsigned);

	if (is_recorded(out)) {
		errno = EXDEV;
		return -1;
	}
	return REAL(copy_call *, "copy_file_range")(in, in_at, out, out_at, n, flags);
}

ssize_t
splice(int in, off64_t *in_at, int out, off64_t *out_at, size_t n, unsigned flags)
{
	typedef ssize_t splice_call(int, off64_t *, int, off64_t *, size_t, unsigned);

	if (is_recorded(out)) {
		errno = EINVAL;
		return -1;
	}
	return REAL(splice_call *, "splice")(in, in_at, out, out_at, n, flags);
}

ssize_t
sendfile64(int out, int in, off64_t *at, size_t n)
{
	typedef ssize_t send_call(int, int, off64_t *, size_t);

	if (is_recorded(out)) {
		errno = EINVAL;
		return -1;
	}
	return REAL(send_call *, "sendfile64")(out, in, at, n);
}

int
ftruncate64(int fd, off64_t length)
{
	typedef int truncate_call(int, off64_t);
	bool recorded = is_recorded(fd);
	int log = recorded ? lock() : -1;
	int rc = REAL(truncate_call *, "ftruncate64")(fd, length);

	if (recorded && rc == 0)
		tell(log, "truncate %llu %lld\n", (unsigned long long)inode_of(fd),
		     (long long)length);
	unlock(log);
	return rc;
}

static int
sync_it(int fd, const char *name)
{
	bool recorded = is_recorded(fd);
	int log = recorded ? lock() : -1;
	int rc = REAL(fd_call *, name)(fd);

	if (recorded && rc == 0)
		tell(log, "sync %llu\n", (unsigned long long)inode_of(fd));
	unlock(log);
	return rc;
}

int
fsync(int fd)
{
	return sync_it(fd, "fsync");
}

int
fdatasync(int fd)
{
	return sync_it(fd, "fdatasync");
}

/* ---- names --------------------------------------------------------------------------------- */

int
mkdirat(int dirfd, const char *name, mode_t mode)
{
	typedef int mkdir_call(int, const char *, mode_t);
	struct place at;
	bool recorded = find_place(dirfd, name, &at);
	int log = recorded ? lock() : -1;
	int rc = REAL(mkdir_call *, "mkdirat")(dirfd, name, mode);

	if (recorded && rc == 0)
		tell(log, "mkdir %llu %llu %s\n", (unsigned long long)at.dir,
		     (unsigned long long)inode_at(dirfd, name), at.name);
	unlock(log);
	return rc;
}

int
mkdir(const char *name, mode_t mode)
{
	return mkdirat(AT_FDCWD, name, mode);
}

int
unlinkat(int dirfd, const char *name, int flags)
{
	typedef int unlink_call(int, const char *, int);
	struct place at;
	bool recorded = find_place(dirfd, name, &at);
	int log = recorded ? lock() : -1;
	uint64_t ino = recorded ? inode_at(dirfd, name) : 0;
	int rc = REAL(unlink_call *, "unlinkat")(dirfd, name, flags);

	if (recorded && rc == 0)
		tell(log, "unlink %llu %llu %s\n", (unsigned long long)at.dir,
		     (unsigned long long)ino, at.name);
	unlock(log);
	return rc;
}

int
unlink(const char *name)
{
	return unlinkat(AT_FDCWD, name, 0);
}

int
renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	typedef int rename_call(int, const char *, int, const char *, unsigned);
	struct place a, b;
	bool recorded = find_place(from_dir, from, &a) && find_place(to_dir, to, &b);
	int log = recorded ? lock() : -1;
	uint64_t ino = recorded ? inode_at(from_dir, from) : 0;
	int rc = REAL(rename_call *, "renameat2")(from_dir, from, to_dir, to, flags);

	if (recorded && rc == 0)
		tell(log, "rename %llu %llu %s %llu %s\n", (unsigned long long)a.dir,
		     (unsigned long long)ino, a.name, (unsigned long long)b.dir, b.name);
	unlock(log);
	return rc;
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
linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	typedef int link_call(int, const char *, int, const char *, int);
	struct place at;
	bool recorded = find_place(to_dir, to, &at);
	int log = recorded ? lock() : -1;
	int rc = REAL(link_call *, "linkat")(from_dir, from, to_dir, to, flags);

	if (recorded && rc == 0)
		tell(log, "link %llu %llu %s\n", (unsigned long long)at.dir,
		     (unsigned long long)inode_at(to_dir, to), at.name);
	unlock(log);
	return rc;
}
