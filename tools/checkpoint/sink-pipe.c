/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pipe or a terminal: bytes go there when their checkpoint is complete. What was
 * written cannot be looked at, so after a restore the last checkpoint's come again:
 * at least once. After the end of the data they do so only where the mark is missing that
 * is made when all has been handed over.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/io.h"
#include "sink.h"

static int
write_out(struct fc_sink *s, int from, const char *path, uint64_t at, uint64_t n,
	  struct fl_err *err)
{
	int64_t done;

	if (lseek(from, (off_t)at, SEEK_SET) < 0)
		return fl_fail_errno(err, FL_EIO, errno, "cannot read %s", path);
	done = fl_io_move(from, path, s->fd, s->name, (size_t)n, err);
	if (done < 0)
		return err->code;
	if ((uint64_t)done < n)
		return fl_fail(err, FL_EIO, "%s has become shorter", path);
	s->committed += n;
	return 0;
}

static int
pipe_commit(struct fc_sink *s, struct fc_piece *pieces, size_t count, struct fl_err *err)
{
	FL_FAULT("commit.append");
	for (size_t i = 0; i < count; i++) {
		struct fc_piece *p = &pieces[i];

		if (write_out(s, p->part->fd, p->part->path, p->from, p->to - p->from, err) < 0)
			return err->code;
		fc_part_free(p->part);
		p->part = NULL;
	}
	FL_FAULT("commit.appended");
	return 0;
}

static int
pipe_finish(struct fc_sink *s, struct fl_err *err)
{
	(void)s;
	(void)err;
	return 0;
}

static void
pipe_describe(struct fc_sink *s, const struct fc_piece *pieces, size_t count, struct fl_ck_sink *to)
{
	fc_sink_describe(s, to);
	fc_pending_describe(pieces, count, to);
}

static int
again(struct fc_sink *s, const struct fl_ck_sink *from, struct fl_err *err)
{
	int rc = 0;

	s->committed = from->committed;
	if (s->delivered)
		return 0;
	if (from->pending_count)
		fc_sink_say(s,
			    "%s cannot be compared with what the last checkpoint wrote to it: its "
			    "results come again (at least once; -o FILE gives exactly once)",
			    s->name);
	for (uint32_t i = 0; i < from->pending_count && rc == 0; i++) {
		const struct fl_ck_pending *p = &from->pending[i];
		char *path;
		int fd = fc_pending_open(s, p, &path, err);

		if (fd < 0)
			return fd;
		rc = write_out(s, fd, path, p->from, p->to - p->from, err);
		(void)close(fd);
		free(path);
	}
	return rc;
}

static int
pipe_open(struct fc_sink *s, const struct fl_ck_sink *from, struct fl_err *err)
{
	s->fd = s->output ? open(s->output, O_WRONLY | O_CLOEXEC) : STDOUT_FILENO;
	if (s->fd < 0)
		return fl_fail_errno(err, FL_ECREATE, errno, "cannot open %s", s->name);
	s->path = fl_xstrdup(s->name);
	return from ? again(s, from, err) : 0;
}

const struct fc_sink_type fc_sink_pipe = {
	.kind = "pipe",
	.open = pipe_open,
	.put = fc_pending_put,
	.mark = fc_pending_mark,
	.settle = fc_pending_settle,
	.describe = pipe_describe,
	.commit = pipe_commit,
	.finish = pipe_finish,
};
