/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* sync_file_range */
#include "part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define XXH_INLINE_ALL /* other libraries export the same names, of other versions */
#include <xxhash.h>

#include "base/io.h"
#include "run/writeback.h"

#define LARGE FL_KIB(128) /* a part that is put so much at once gets a thread */
#define PIECE FL_KIB(256)

struct fc_part *
fc_part_new(int fd, const char *path, const char *name, uint64_t len)
{
	struct fc_part *p = fl_xcalloc(1, sizeof *p);

	p->fd = fd;
	p->path = fl_xstrdup(path);
	p->name = fl_xstrdup(name);
	p->len = len;
	p->opened_us = fl_clock_us();
	p->hash = XXH3_createState();
	if (p->hash)
		(void)XXH3_64bits_reset(p->hash);
	return p;
}

void
fc_part_free(struct fc_part *p)
{
	if (!p)
		return;
	fl_writeback_free(p->writeback);
	if (p->fd >= 0)
		(void)close(p->fd);
	(void)XXH3_freeState(p->hash);
	free(p->path);
	free(p->name);
	free(p);
}

int
fc_part_put(struct fc_part *p, struct fl_buf *b, struct fl_err *err)
{
	int rc;

	if (!p->hash)
		return fl_fail(err, FL_ELIMIT, "%s: out of memory", p->path);
	(void)XXH3_64bits_update(p->hash, b->data, b->len);
	p->len += b->len;
	if (b->len >= LARGE && !p->writeback)
		p->writeback = fl_writeback_new(p->fd, p->path);
	if (p->writeback)
		return fl_writeback_put(p->writeback, b, err);
	rc = b->len ? fl_io_write(p->fd, b->data, b->len, p->path, err) : 0;
	fl_buf_clear(b);
	return rc;
}

int
fc_part_drain(struct fc_part *p, struct fl_err *err)
{
	return p->writeback ? fl_writeback_drain(p->writeback, err) : 0;
}

uint64_t
fc_part_hash(struct fc_part *p)
{
	uint64_t hash = XXH3_64bits_digest(p->hash);

	(void)XXH3_64bits_reset(p->hash);
	return hash;
}

int
fc_part_sync(const struct fc_part *p, struct fl_err *err)
{
	if (fsync(p->fd) == 0)
		return 0;
	return fl_fail_errno(err, FL_EIO, errno, "cannot fsync %s", p->path);
}

void
fc_part_hurry(const struct fc_part *p)
{
	(void)sync_file_range(p->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

uint64_t
fc_hash(const void *p, size_t n)
{
	return XXH3_64bits(p, n);
}

int64_t
fc_read_at(int fd, const char *path, uint64_t at, void *to, size_t n, struct fl_err *err)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = pread(fd, (char *)to + done, n - done, (off_t)(at + done));

		if (got == 0)
			break;
		if (got < 0 && errno != EINTR)
			return fl_fail_errno(err, FL_EIO, errno, "cannot read %s", path);
		done += got > 0 ? (size_t)got : 0;
	}
	return (int64_t)done;
}

int
fc_write_at(int fd, const char *path, uint64_t at, const void *p, size_t n, struct fl_err *err)
{
	size_t done = 0;

	while (done < n) {
		ssize_t put = pwrite(fd, (const char *)p + done, n - done, (off_t)(at + done));

		if (put < 0 && errno != EINTR)
			return fl_fail_errno(err, FL_EIO, errno, "cannot write %s", path);
		done += put > 0 ? (size_t)put : 0;
	}
	return 0;
}

int
fc_hash_range(int fd, const char *path, uint64_t from, uint64_t to, uint64_t *ret_hash,
	      struct fl_err *err)
{
	XXH3_state_t *state = XXH3_createState();
	char *buf = fl_xmalloc(PIECE);
	int rc = 0;

	if (!state) {
		free(buf);
		return fl_fail(err, FL_ELIMIT, "out of memory");
	}
	(void)XXH3_64bits_reset(state);
	while (from < to && rc == 0) {
		size_t want = to - from < PIECE ? (size_t)(to - from) : PIECE;
		int64_t got = fc_read_at(fd, path, from, buf, want, err);

		if (got < 0)
			rc = err->code;
		else if ((size_t)got < want)
			rc = fl_fail(err, FL_EDATA, "%s ends at byte %llu, before byte %llu", path,
				     (unsigned long long)from + (uint64_t)got,
				     (unsigned long long)to);
		else
			(void)XXH3_64bits_update(state, buf, want);
		from += want;
	}
	*ret_hash = XXH3_64bits_digest(state);
	(void)XXH3_freeState(state);
	free(buf);
	return rc;
}
