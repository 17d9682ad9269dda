/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* F_SETPIPE_SZ, mkostemp */
#include "run/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "run/format.h"
#include "run/input.h"
#include "run/progress.h"

#define TEXT_FLUSH FL_KIB(128)
#define PIPE_BYTES (1 << 20)

void
fl_output_init(struct fl_output *o)
{
	*o = (struct fl_output){ .fd = STDOUT_FILENO,
				 .name = "standard output",
				 .wm = { .ms = INT64_MIN } };
}

void
fl_output_release(struct fl_output *o)
{
	if (o->beside)
		(void)unlink(o->beside); /* it did not get finished */
	free(o->beside);
	fl_writeback_free(o->writeback);
	fl_writer_free(o->writer);
	fl_frame_writer_release(&o->frame);
	fl_buf_release(&o->text);
}

bool
fl_output_is_pipe(void)
{
	struct stat st;

	return fstat(STDOUT_FILENO, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

const char *
fl_output_format(const struct fl_options *opt, const char *input_format, bool prefer_text)
{
	const char *by_name = opt->output ? fl_output_format_by_name(opt->output) : NULL;

	if (opt->out)
		return opt->out;
	if (by_name)
		return strcmp(by_name, "flue") == 0 ? NULL : by_name;
	if (!opt->output && !prefer_text && fl_output_is_pipe())
		return NULL;
	if (!opt->output && isatty(STDOUT_FILENO))
		return "pprint";
	return input_format && fl_writer_type(input_format) ? input_format : "csv";
}

/* A new file in the directory of the one that it will replace. */
static int
open_beside(struct fl_output *o, const struct fl_options *opt, struct fl_err *err)
{
	struct fl_buf path = { 0 };

	fl_buf_printf(&path, "%s.XXXXXX", opt->output);
	fl_buf_putc(&path, '\0');
	o->beside = path.data;
	o->fd = mkostemp(o->beside, O_CLOEXEC);
	if (o->fd >= 0)
		return 0;
	free(o->beside);
	o->beside = NULL;
	return fl_fail_errno(err, FL_ECREATE, errno, "cannot create a file beside %s", opt->output);
}

static int
open_file(struct fl_output *o, const struct fl_options *opt, bool replaces_input, bool *ret_grows,
	  struct fl_err *err)
{
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (opt->append ? O_APPEND : O_TRUNC);
	size_t len = strlen(opt->output);
	struct stat st;

	o->name = opt->output;
	if (len > 3 && strcmp(opt->output + len - 3, ".gz") == 0)
		return fl_fail(err, FL_EUSAGE,
			       "-o %s: the output is not compressed; pipe it into gzip",
			       opt->output);
	if (replaces_input && opt->append)
		return fl_fail(err, FL_EUSAGE, "--append: %s is the input too", opt->output);
	if (replaces_input)
		return open_beside(o, opt, err);
	o->fd = open(opt->output, flags, 0666);
	if (o->fd < 0)
		return fl_fail_errno(err, FL_ECREATE, errno, "cannot create %s", opt->output);
	*ret_grows = opt->append && fstat(o->fd, &st) == 0 && st.st_size > 0;
	return 0;
}

/* The finished file takes the place, and the permissions, of the old one. */
static int
rename_beside(struct fl_output *o, struct fl_err *err)
{
	struct stat st;

	if (!o->beside)
		return 0;
	if (stat(o->name, &st) == 0)
		(void)chmod(o->beside, st.st_mode & 07777);
	if (rename(o->beside, o->name) < 0)
		return fl_fail_errno(err, FL_EIO, errno, "cannot replace %s", o->name);
	free(o->beside);
	o->beside = NULL;
	return 0;
}

static size_t
terminal_width(void)
{
	struct winsize w;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 ? w.ws_col : 0;
}

int
fl_output_open(struct fl_output *o, const struct fl_options *opt, const char *input_format,
	       bool prefer_text, bool replaces_input, const struct fl_zone *zone,
	       struct fl_err *err)
{
	const char *format = fl_output_format(opt, input_format, prefer_text);
	bool grows = false, tty;
	struct fl_writer_options w;
	struct stat st;
	int rc = opt->output ? open_file(o, opt, replaces_input, &grows, err) : 0;

	if (rc == 0 && !opt->output && replaces_input)
		rc = fl_fail(err, FL_EUSAGE, "the input is standard output too; see -o");
	if (rc < 0)
		return rc;
	o->opened = true;
	o->frames = format == NULL;
	if (o->frames) {
		(void)fcntl(o->fd, F_SETPIPE_SZ, PIPE_BYTES); /* a hint; the default also works */
		return 0;
	}
	o->is_file = fstat(o->fd, &st) == 0 && S_ISREG(st.st_mode);
	tty = !opt->output && isatty(STDOUT_FILENO);
	w = (struct fl_writer_options){
		.separator = opt->ofs,
		.headerless = opt->headerless || grows, /* a second header line helps nobody */
		.columns = opt->columns,
		.epoch_ms = opt->otime == 1,
		.zone = zone,
		.color = opt->color == 1 || (opt->color == 0 && tty && !getenv("NO_COLOR")),
		.escape_controls = tty,
		.width = tty ? terminal_width() : 0,
	};
	o->writer = fl_writer_new(fl_writer_type(format), &w, err);
	return o->writer ? 0 : err->code;
}

/* A write has failed: what was to be written is lost, so nothing goes behind it. */
static int
lost(struct fl_output *o, const struct fl_err *err)
{
	o->failed = *err;
	return err->code;
}

int
fl_output_flush(struct fl_output *o, struct fl_err *err)
{
	struct fl_buf *b = o->frames ? &o->frame.out : &o->text;
	int rc;

	if (o->failed.code) {
		*err = o->failed;
		return err->code;
	}
	if (o->progress && b->len)
		fl__progress_hide(o->progress);
	if (b->len >= TEXT_FLUSH && o->is_file && !o->writeback)
		o->writeback = fl_writeback_new(o->fd, o->name);
	if (o->writeback)
		return fl_writeback_put(o->writeback, b, err);
	rc = b->len ? fl_io_write(o->fd, b->data, b->len, o->name, err) : 0;
	fl_buf_clear(b);
	return rc < 0 ? lost(o, err) : 0;
}

/* Everything is with the system when this returns. */
static int
flush_and_drain(struct fl_output *o, struct fl_err *err)
{
	int rc = fl_output_flush(o, err);

	return rc < 0 || !o->writeback ? rc : fl_writeback_drain(o->writeback, err);
}

int
fl_output_header(struct fl_output *o, const struct fl_header *h, struct fl_err *err)
{
	(void)err;
	if (o->frames && (!o->header_sent || o->columns_sent != h->column_count))
		fl_frame_header(&o->frame, h);
	o->header_sent = true;
	o->columns_sent = h->column_count;
	return 0;
}

/* Finished frames, then the pieces of one more, in one call. */
static int
write_pieces(struct fl_output *o, struct iovec *iov, size_t n, struct fl_err *err)
{
	int rc = fl_output_flush(o, err);

	if (rc < 0)
		return rc;
	return fl_io_writev(o->fd, iov, n, o->name, err) < 0 ? lost(o, err) : 0;
}

/* Rows from..from+n of b, for a batch that has to be sent in parts. */
static int
send_frame(struct fl_output *o, const struct fl_batch *b, struct fl_err *err)
{
	struct iovec *iov;
	struct fl_buf pool = { 0 }, rows = { 0 };
	struct fl_batch part;
	uint32_t *index, half = b->rows / 2;
	size_t n;
	int rc = fl_frame_batch(&o->frame, b, &iov, &n, err);

	if (rc == 0)
		return iov ? write_pieces(o, iov, n, err) : 0;
	if (rc != FL_ELIMIT || b->rows == 1)
		return rc;
	index = (uint32_t *)(void *)fl_buf_reserve(&rows, b->rows * sizeof *index);
	for (uint32_t i = 0; i < b->rows; i++)
		index[i] = i;
	fl_batch_select(b, index, half, &pool, &part);
	rc = send_frame(o, &part, err);
	if (rc == 0) {
		fl_batch_select(b, index + half, b->rows - half, &pool, &part);
		rc = send_frame(o, &part, err);
	}
	fl_buf_release(&pool);
	fl_buf_release(&rows);
	return rc;
}

int
fl_output_batch(struct fl_output *o, const struct fl_header *h, const struct fl_batch *b,
		struct fl_err *err)
{
	int rc;

	if (b->rows == 0)
		return 0;
	o->records += b->rows;
	if (o->frames)
		return send_frame(o, b, err);
	rc = fl_writer_write(o->writer, h, b, &o->text, err);
	if (rc == 0 && o->text.len >= TEXT_FLUSH)
		rc = fl_output_flush(o, err);
	return rc;
}

int
fl_output_watermark(struct fl_output *o, const struct fl_watermark *wm, struct fl_err *err)
{
	(void)err;
	if (wm->ms == o->wm.ms && wm->idle == o->wm.idle)
		return 0;
	fl_assert(wm->ms >= o->wm.ms);
	o->wm = *wm;
	if (o->frames)
		fl_frame_watermark(&o->frame, wm);
	return 0;
}

int
fl_output_barrier(struct fl_output *o, const struct fl_barrier *b, struct fl_err *err)
{
	if (!o->frames)
		return 0;
	fl_frame_barrier(&o->frame, b);
	return fl_output_flush(o, err);
}

int
fl_output_forward(struct fl_output *o, struct fl_input *in, const struct fl_frame *f,
		  struct fl_err *err)
{
	int rc = fl_output_flush(o, err);

	fl_assert(o->frames && f->seq == o->frame.seq);
	o->frame.seq++;
	return rc < 0 ? rc : fl_input_forward(in, f, o->fd, o->name, err);
}

int
fl_output_end(struct fl_output *o, const struct fl_header *h, const struct fl_end *end,
	      struct fl_err *err)
{
	int rc = 0;

	if (o->frames)
		fl_frame_end(&o->frame, end);
	else if (o->writer)
		rc = fl_writer_end(o->writer, h, &o->text, err);
	if (rc == 0)
		rc = flush_and_drain(o, err);
	if (rc == 0 && close(o->fd) < 0 && errno != EINTR)
		rc = fl_fail_errno(err, FL_EIO, errno, "cannot write %s", o->name);
	return rc < 0 ? rc : rename_beside(o, err);
}

void
fl_output_fail(struct fl_output *o, bool want_frames, int status)
{
	struct fl_err ignored;
	struct fl_end end = { .records = o->records, .status = FL_END_FAILED, .code = status };

	if (o->opened ? o->frames : want_frames) {
		o->frames = true;
		fl_frame_end(&o->frame, &end);
	}
	if (o->opened || want_frames)
		(void)flush_and_drain(o, &ignored); /* the failure itself has been told */
}
