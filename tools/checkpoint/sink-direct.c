/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --read-uncommitted: rows are in the output at once. A file is cut back on restore to
 * where the checkpoint had it, so its end is exactly once, but readers may have seen
 * rows that are taken back, and come again. A pipe is at least once.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/io.h"
#include "sink.h"

static int
direct_put(struct fc_sink *s, struct fl_buf *text, struct fl_err *err)
{
	uint64_t n = text->len;
	int rc;

	if (s->regular)
		rc = fc_write_at(s->fd, s->name, s->base + s->part_from, text->data, text->len,
				 err);
	else
		rc = fl_io_write(s->fd, text->data, text->len, s->name, err);
	fl_buf_clear(text);
	s->part_from += rc == 0 ? n : 0; /* without a part, where the output ends */
	return rc;
}

static int
direct_mark(struct fc_sink *s, bool end, struct fl_err *err)
{
	struct fc_piece piece = { .to = s->part_from };

	(void)end;
	(void)err;
	fl_buf_put(&s->pieces, &piece, sizeof piece);
	return 0;
}

static int
direct_settle(struct fc_sink *s, const struct fc_piece *pieces, size_t count, struct fl_err *err)
{
	(void)pieces;
	(void)count;
	if (s->regular && fsync(s->fd) < 0)
		return fl_fail_errno(err, FL_EIO, errno, "cannot fsync %s", s->name);
	return 0;
}

static void
direct_describe(struct fc_sink *s, const struct fc_piece *pieces, size_t count,
		struct fl_ck_sink *to)
{
	uint64_t end;
	char tail[4096];
	struct fl_err ignored;
	int64_t got;

	s->committed = count ? pieces[count - 1].to : s->committed;
	fc_sink_describe(s, to);
	to->more = fl_xstrdup("{\"uncommitted\": true}");
	if (!s->regular)
		return;
	end = s->base + s->committed;
	to->tail_len = end < sizeof tail ? end : sizeof tail;
	got = fc_read_at(s->fd, s->name, end - to->tail_len, tail, (size_t)to->tail_len, &ignored);
	to->tail_hash = fc_hash(tail, got > 0 ? (size_t)got : 0);
}

static int
direct_commit(struct fc_sink *s, struct fc_piece *pieces, size_t count, struct fl_err *err)
{
	(void)s;
	(void)pieces;
	(void)count;
	(void)err;
	return 0;
}

static int
direct_finish(struct fc_sink *s, struct fl_err *err)
{
	if (s->regular && !s->output)
		(void)lseek(STDOUT_FILENO, (off_t)(s->base + s->part_from), SEEK_SET);
	return direct_settle(s, NULL, 0, err);
}

static int
direct_open_file(struct fc_sink *s, const struct fl_ck_sink *from, struct fl_err *err)
{
	uint64_t size, most;
	bool created;

	if (fc_output_open(s, from, &created, err) < 0)
		return err->code;
	if (!from)
		return fc_output_fresh(s, err);
	most = from->base + from->committed;
	size = s->base;
	s->base = size > most ? most : size; /* what is behind was never committed */
	if (fc_output_same(s, from, &most, err) < 0)
		return err->code;
	FL_FAULT("commit.restore.compared");
	s->part_from = s->committed;
	if (size > most && ftruncate(s->fd, (off_t)most) < 0)
		return fl_fail_errno(err, FL_EIO, errno, "cannot cut %s", s->name);
	return 0;
}

static int
direct_open_pipe(struct fc_sink *s, const struct fl_ck_sink *from, struct fl_err *err)
{
	if (from && !s->finished)
		fc_sink_say(s, "%s: results since the last checkpoint come again (at least once)",
			    s->name);
	s->part_from = from ? from->committed : 0;
	s->fd = s->output ? open(s->output, O_WRONLY | O_CLOEXEC) : STDOUT_FILENO;
	if (s->fd < 0)
		return fl_fail_errno(err, FL_ECREATE, errno, "cannot open %s", s->name);
	s->path = fl_xstrdup(s->name);
	return 0;
}

const struct fc_sink_type fc_sink_direct_file = {
	.kind = "file",
	.goes_on = true,
	.open = direct_open_file,
	.put = direct_put,
	.mark = direct_mark,
	.settle = direct_settle,
	.describe = direct_describe,
	.commit = direct_commit,
	.finish = direct_finish,
};

const struct fc_sink_type fc_sink_direct_pipe = {
	.kind = "pipe",
	.open = direct_open_pipe,
	.put = direct_put,
	.mark = direct_mark,
	.settle = direct_settle,
	.describe = direct_describe,
	.commit = direct_commit,
	.finish = direct_finish,
};
