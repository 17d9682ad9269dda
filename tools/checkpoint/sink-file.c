/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sink that is one file. Its bytes behind base are those of the completed checkpoints,
 * in order, and nothing else; a reader never sees one that is taken back.
 */
#define _GNU_SOURCE /* copy_file_range */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "sink.h"

#define PIECE FL_KIB(256)
#define TAIL 4096u

/* ---- appending ---------------------------------------------------------------------- */

/* Through memory, where the kernel does not copy between these two. */
static int
copy_slowly(const struct fc_sink *s, int from, const char *path, uint64_t at, uint64_t to,
	    uint64_t n, struct fl_err *err)
{
	char *buf = fl_xmalloc(PIECE);
	int rc = 0;

	while (n && rc == 0) {
		size_t want = n < PIECE ? (size_t)n : PIECE;
		int64_t got = fc_read_at(from, path, at, buf, want, err);

		if (got < 0)
			rc = err->code;
		else if ((size_t)got < want)
			rc = fl_fail(err, FL_EIO, "%s has become shorter", path);
		else
			rc = fc_write_at(s->fd, s->name, to, buf, want, err);
		at += want;
		to += want;
		n -= want;
	}
	free(buf);
	return rc;
}

/* n bytes of a pending file, from byte at, to byte `to` of the output. */
static int
copy(const struct fc_sink *s, int from, const char *path, uint64_t at, uint64_t to, uint64_t n,
     struct fl_err *err)
{
	loff_t in = (loff_t)at, out = (loff_t)to;

	while (n) {
		ssize_t done = copy_file_range(from, &in, s->fd, &out, (size_t)n, 0);

		if (done > 0) {
			n -= (uint64_t)done;
			continue;
		}
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0 &&
		    (errno == ENOSPC || errno == EIO || errno == EFBIG || errno == EDQUOT))
			return fl_fail_errno(err, FL_EIO, errno, "cannot write %s", s->name);
		return copy_slowly(s, from, path, (uint64_t)in, (uint64_t)out, n, err);
	}
	return 0;
}

/* In two halves, so that a test can stop between them. */
static int
append(struct fc_sink *s, int from, const char *path, uint64_t at, uint64_t n, struct fl_err *err)
{
	uint64_t half = n / 2, to = s->base + s->committed;

	if (copy(s, from, path, at, to, half, err) < 0)
		return err->code;
	FL_FAULT("commit.append.half");
	if (copy(s, from, path, at + half, to + half, n - half, err) < 0)
		return err->code;
	s->committed += n;
	return 0;
}

static int
file_commit(struct fc_sink *s, struct fc_piece *pieces, size_t count, struct fl_err *err)
{
	struct stat st;

	FL_FAULT("commit.append");
	if (fstat(s->fd, &st) < 0)
		return fl_fail_errno(err, FL_EIO, errno, "cannot look at %s", s->name);
	if ((uint64_t)st.st_size != s->base + s->committed)
		return fl_fail(
			err, FL_ECONFIG,
			"%s has %llu bytes, not the %llu that were written to it: somebody else "
			"writes to it too",
			s->path, (unsigned long long)st.st_size,
			(unsigned long long)(s->base + s->committed));
	for (size_t i = 0; i < count; i++) {
		struct fc_piece *p = &pieces[i];

		if (append(s, p->part->fd, p->part->path, p->from, p->to - p->from, err) < 0)
			return err->code;
		fc_part_free(p->part);
		p->part = NULL;
	}
	FL_FAULT("commit.appended");
	return 0;
}

static int
file_finish(struct fc_sink *s, struct fl_err *err)
{
	FL_FAULT("commit.output.sync");
	if (fsync(s->fd) < 0)
		return fl_fail_errno(err, FL_EIO, errno, "cannot fsync %s", s->name);
	FL_FAULT("commit.output.synced");
	if (!s->output) /* who writes behind us in the same script goes on behind us */
		(void)lseek(STDOUT_FILENO, (off_t)(s->base + s->committed), SEEK_SET);
	return 0;
}

/* Before the manifest of this epoch, the output is durable up to the end of the last. */
static int
file_settle(struct fc_sink *s, const struct fc_piece *pieces, size_t count, struct fl_err *err)
{
	if (file_finish(s, err) < 0)
		return err->code;
	return fc_pending_settle(s, pieces, count, err);
}

static void
file_describe(struct fc_sink *s, const struct fc_piece *pieces, size_t count, struct fl_ck_sink *to)
{
	uint64_t end = s->base + s->committed;
	char tail[TAIL];
	struct fl_err ignored;
	int64_t got;

	fc_sink_describe(s, to);
	to->tail_len = end < TAIL ? end : TAIL;
	got = fc_read_at(s->fd, s->name, end - to->tail_len, tail, (size_t)to->tail_len, &ignored);
	to->tail_hash = fc_hash(tail, got > 0 ? (size_t)got : 0);
	fc_pending_describe(pieces, count, to);
}

/* ---- restoring ------------------------------------------------------------------------ */

/*
 * How many of n bytes of a pending file, from byte at, stand at byte `to` of the output
 * too, of those `have` that are there.
 */
static int
same_bytes(struct fc_sink *s, int fd, const char *path, uint64_t at, uint64_t to, uint64_t have,
	   uint64_t *ret, struct fl_err *err)
{
	char *a = fl_xmalloc(PIECE), *b = fl_xmalloc(PIECE);
	uint64_t same = 0;
	bool differ = false;
	int rc = 0;

	while (same < have && !differ && rc == 0) {
		size_t want = have - same < PIECE ? (size_t)(have - same) : PIECE, i = 0;
		int64_t x = fc_read_at(fd, path, at + same, a, want, err);
		int64_t y = x < 0 ? x : fc_read_at(s->fd, s->name, to + same, b, want, err);

		if (y < 0) {
			rc = err->code;
			break;
		}
		want = x < y ? (size_t)x : (size_t)y;
		while (i < want && a[i] == b[i])
			i++;
		differ = i < want || want == 0;
		same += i;
	}
	free(a);
	free(b);
	*ret = same;
	return rc;
}

/*
 * One pending piece: what of it stands in the output stays, the rest is appended. A
 * tail that differs is what a loss of power left; it is not longer than the pending
 * bytes, and is cut.
 */
static int
complete_piece(struct fc_sink *s, const struct fl_ck_pending *p, uint64_t *size, struct fl_err *err)
{
	uint64_t n = p->to - p->from, to = s->base + s->committed, same = 0;
	uint64_t have = *size > to ? *size - to : 0;
	char *path;
	int fd = fc_pending_open(s, p, &path, err), rc;

	if (fd < 0)
		return fd;
	have = have < n ? have : n;
	rc = same_bytes(s, fd, path, p->from, to, have, &same, err);
	FL_FAULT("commit.restore.compared");
	if (rc == 0 && same < have) {
		fc_sink_say(s,
			    "%s: the %llu bytes behind byte %llu are not whole, as after a loss of "
			    "power; they are written again",
			    s->name, (unsigned long long)(*size - to - same),
			    (unsigned long long)(to + same));
		if (ftruncate(s->fd, (off_t)(to + same)) < 0)
			rc = fl_fail_errno(err, FL_EIO, errno, "cannot cut %s", s->name);
		*size = to + same;
	}
	if (rc == 0) {
		s->committed += same;
		rc = append(s, fd, path, p->from + same, n - same, err);
	}
	FL_FAULT("commit.restore.appended");
	(void)close(fd);
	free(path);
	return rc;
}

static int
file_open(struct fc_sink *s, const struct fl_ck_sink *from, struct fl_err *err)
{
	bool created;
	uint64_t size;

	if (fc_output_open(s, from, &created, err) < 0)
		return err->code;
	if (!from)
		return fc_output_fresh(s, err);
	if (fc_output_same(s, from, &size, err) < 0)
		return err->code;
	for (uint32_t i = 0; i < from->pending_count; i++)
		if (complete_piece(s, &from->pending[i], &size, err) < 0)
			return err->code;
	FL_FAULT("commit.restore.done");
	return file_finish(s, err);
}

const struct fc_sink_type fc_sink_file = {
	.kind = "file",
	.goes_on = true,
	.open = file_open,
	.put = fc_pending_put,
	.mark = fc_pending_mark,
	.settle = file_settle,
	.describe = file_describe,
	.commit = file_commit,
	.finish = file_finish,
};
