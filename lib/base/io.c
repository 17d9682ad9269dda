/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* splice */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#ifndef IOV_MAX
#define IOV_MAX 1024
#endif

int64_t
fl_io_read(int fd, void *to, size_t n, const char *name, struct fl_err *err)
{
	for (;;) {
		ssize_t got = read(fd, to, n);

		if (got >= 0)
			return got;
		if (errno == EAGAIN || errno == EWOULDBLOCK) {
			struct pollfd p = { .fd = fd, .events = POLLIN };

			(void)poll(&p, 1, -1);
		} else if (errno != EINTR) {
			return fl_fail_errno(err, FL_EIO, errno, "cannot read %s", name);
		}
	}
}

/* After a failed write: 0 to try again, or the error. */
static int
write_failed(int fd, const char *name, struct fl_err *err)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	switch (errno) {
	case EINTR:
		return 0;
	case EAGAIN:
		(void)poll(&p, 1, -1);
		return 0;
	case EPIPE:
		(void)fl_fail(err, FL_EPIPE, "the reader of %s has gone", name);
		err->quiet = true;
		return FL_EPIPE;
	default:
		return fl_fail_errno(err, FL_EIO, errno, "cannot write %s", name);
	}
}

static bool
is_pipe(int fd, struct stat *ret)
{
	struct statfs fs;

	return fstat(fd, ret) == 0 && S_ISFIFO(ret->st_mode) && fstatfs(fd, &fs) == 0 &&
	       fs.f_type == PIPEFS_MAGIC;
}

void
fl_io_say_enough(int fd)
{
	struct stat st;

	if (is_pipe(fd, &st))
		(void)fchmod(fd, (st.st_mode & ALLPERMS) | S_ISVTX);
}

bool
fl_io_said_enough(int fd)
{
	struct stat st;

	return is_pipe(fd, &st) && (st.st_mode & S_ISVTX);
}

int
fl_io_write(int fd, const void *p, size_t n, const char *name, struct fl_err *err)
{
	const char *from = p;

	while (n) {
		ssize_t done = write(fd, from, n);

		if (done < 0) {
			int rc = write_failed(fd, name, err);

			if (rc < 0)
				return rc;
			continue;
		}
		from += done;
		n -= (size_t)done;
	}
	return 0;
}

int
fl_io_writev(int fd, struct iovec *iov, size_t count, const char *name, struct fl_err *err)
{
	while (count) {
		ssize_t done = writev(fd, iov, count < IOV_MAX ? (int)count : IOV_MAX);

		if (done < 0) {
			int rc = write_failed(fd, name, err);

			if (rc < 0)
				return rc;
			continue;
		}
		for (; count && (size_t)done >= iov->iov_len; iov++, count--)
			done -= (ssize_t)iov->iov_len;
		if (count) {
			iov->iov_base = (char *)iov->iov_base + done;
			iov->iov_len -= (size_t)done;
		}
	}
	return 0;
}

int64_t
fl_io_write_some(int fd, const void *p, size_t n, int timeout_ms, const char *name,
		 struct fl_err *err)
{
	struct pollfd w = { .fd = fd, .events = POLLOUT };
	ssize_t done = write(fd, p, n);

	if (done >= 0)
		return done;
	if (errno != EAGAIN)
		return write_failed(fd, name, err);
	(void)poll(&w, 1, timeout_ms);
	return 0;
}

int64_t
fl_io_read_at(int fd, void *to, size_t n, uint64_t offset, const char *name, struct fl_err *err)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = pread(fd, (char *)to + done, n - done, (off_t)(offset + done));

		if (got == 0)
			break;
		if (got > 0)
			done += (size_t)got;
		else if (errno != EINTR)
			return fl_fail_errno(err, FL_EIO, errno, "cannot read %s", name);
	}
	return (int64_t)done;
}

bool
fl_io_read_cached(int fd, void *to, size_t n, uint64_t offset)
{
	struct iovec v = { .iov_base = to, .iov_len = n };

	return preadv2(fd, &v, 1, (off_t)offset, RWF_NOWAIT) == (ssize_t)n;
}

size_t
fl_io_read_once(int fd, void *to, size_t n, uint64_t offset)
{
	ssize_t got;

	do
		got = pread(fd, to, n, (off_t)offset);
	while (got < 0 && errno == EINTR);
	return got < 0 ? 0 : (size_t)got;
}

bool
fl_io_set_direct(int fd, bool direct)
{
	int flags = fcntl(fd, F_GETFL);

	flags = direct ? flags | O_DIRECT : flags & ~O_DIRECT;
	return flags >= 0 && fcntl(fd, F_SETFL, flags) == 0;
}

static int64_t
copy_some(int from, const char *from_name, int to, const char *to_name, size_t n,
	  struct fl_err *err)
{
	char chunk[FL_KIB(64)];
	int64_t got = fl_io_read(from, chunk, n < sizeof chunk ? n : sizeof chunk, from_name, err);

	if (got > 0 && fl_io_write(to, chunk, (size_t)got, to_name, err) < 0)
		return err->code;
	return got;
}

int64_t
fl_io_move(int from, const char *from_name, int to, const char *to_name, size_t n,
	   struct fl_err *err)
{
	size_t done = 0;
	bool spliced = true;

	while (done < n) {
		int64_t got = spliced ? splice(from, NULL, to, NULL, n - done, SPLICE_F_MOVE) : 0;

		if (got < 0 && errno == EINVAL)
			spliced = false; /* neither is a pipe, or a file system cannot */
		else if (got < 0 && write_failed(to, to_name, err) < 0)
			return err->code;
		if (!spliced)
			got = copy_some(from, from_name, to, to_name, n - done, err);
		if (!spliced && got < 0)
			return got;
		if (got == 0)
			return (int64_t)done;
		done += got > 0 ? (size_t)got : 0;
	}
	return (int64_t)done;
}

bool
fl_io_reader_gone(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd }; /* errors are told without being asked for */

	return poll(&p, 1, timeout_ms) > 0 && (p.revents & (POLLERR | POLLHUP | POLLNVAL));
}

bool
fl_io_readable(int fd)
{
	return fl_io_wait_readable(fd, 0);
}

bool
fl_io_wait_readable(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, timeout_ms) != 0;
}

int64_t
fl_clock_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t
fl_clock_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void
fl_random(void *to, size_t n)
{
	char *p = to;

	while (n) {
		ssize_t got = getrandom(p, n, 0);

		fl_assert(got > 0 || errno == EINTR);
		if (got > 0) {
			p += got;
			n -= (size_t)got;
		}
	}
}
