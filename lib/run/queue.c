/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* O_TMPFILE */
#include "run/queue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void
fl_queue_init(struct fl_queue *q)
{
	*q = (struct fl_queue){ .fd = -1 };
}

void
fl_queue_release(struct fl_queue *q)
{
	fl_buf_release(&q->mem);
	if (q->fd >= 0)
		(void)close(q->fd);
	fl_queue_init(q);
}

static const char *
temp_dir(void)
{
	const char *dir = getenv("TMPDIR");

	return dir && *dir ? dir : "/tmp";
}

int
fl_temp_file(struct fl_err *err)
{
	const char *dir = temp_dir();
	struct fl_buf path = { 0 };
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0) { /* a file system without it */
		fl_buf_printf(&path, "%s/flue-XXXXXX", dir);
		fl_buf_putc(&path, '\0');
		fd = mkostemp(path.data, O_CLOEXEC);
		if (fd >= 0)
			(void)unlink(path.data);
		fl_buf_release(&path);
	}
	if (fd < 0)
		return fl_fail_errno(err, FL_ECREATE, errno, "cannot create a temporary file in %s",
				     dir);
	return fd;
}

static int
open_spill(struct fl_queue *q, struct fl_err *err)
{
	q->fd = fl_temp_file(err);
	return q->fd < 0 ? err->code : 0;
}

static int
spill(struct fl_queue *q, const char *p, size_t n, struct fl_err *err)
{
	int rc = q->fd < 0 ? open_spill(q, err) : 0;

	while (rc == 0 && n) {
		ssize_t done = pwrite(q->fd, p, n, q->file_len);

		if (done < 0 && errno != EINTR)
			return fl_fail_errno(err, FL_EIO, errno,
					     "cannot write a temporary file in %s", temp_dir());
		if (done > 0) {
			q->file_len += done;
			p += done;
			n -= (size_t)done;
		}
	}
	return rc;
}

int
fl_queue_push(struct fl_queue *q, const void *p, size_t n, struct fl_err *err)
{
	if (q->mem_done == q->mem.len) {
		fl_buf_clear(&q->mem);
		q->mem_done = 0;
	}
	/* what is in the file comes after what is in memory, so once the file is
	 * in use everything new goes there, until it has been read to its end */
	if (q->file_done == q->file_len && q->mem.len + n <= FL_QUEUE_MEMORY) {
		fl_buf_put(&q->mem, p, n);
		return 0;
	}
	return spill(q, p, n, err);
}

static int64_t
pop_file(struct fl_queue *q, void *to, size_t n, struct fl_err *err)
{
	ssize_t got;

	do
		got = pread(q->fd, to, n, q->file_done);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		return fl_fail_errno(err, FL_EIO, got < 0 ? errno : EIO,
				     "cannot read a temporary file in %s", temp_dir());
	q->file_done += got;
	if (q->file_done == q->file_len) {
		q->file_done = q->file_len = 0;
		(void)ftruncate(q->fd, 0); /* gives space back early; harmless where it fails */
	}
	return got;
}

int64_t
fl_queue_pop(struct fl_queue *q, void *to, size_t n, struct fl_err *err)
{
	size_t have = q->mem.len - q->mem_done;

	if (have) {
		n = n < have ? n : have;
		memcpy(to, q->mem.data + q->mem_done, n);
		q->mem_done += n;
		return (int64_t)n;
	}
	if (q->file_done == q->file_len)
		return 0;
	have = (size_t)(q->file_len - q->file_done);
	return pop_file(q, to, n < have ? n : have, err);
}
