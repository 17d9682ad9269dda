/* SPDX-License-Identifier: Apache-2.0 */
/* One input: a regular file, a gzip file, or bytes that come once. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "source.h"

#define SMALL FL_KIB(64)      /* a file below this is cheaper to send than to open again */
#define POSITIONS FL_KIB(256) /* given at once: each time the reader is woken, and so are we; */
#define MANY 64u              /* … where there are so many: barriers go between them */

void
fc_place_release(struct fc_place *p)
{
	free(p->name);
	*p = (struct fc_place){ 0 };
}

void
fc_input_init(struct fc_input *in)
{
	*in = (struct fc_input){ .fd = -1 };
}

void
fc_input_release(struct fc_input *in)
{
	if (in->fd >= 0)
		(void)close(in->fd);
	fc_place_release(&in->at);
	fl_gunzip_free(in->gunzip);
	fl_buf_release(&in->buf);
	fl_buf_release(&in->head);
	fl_buf_release(&in->tail);
	fl_buf_release(&in->in);
	fc_input_init(in);
}

/* ---- opening ----------------------------------------------------------------------- */

int
fc_input_take(struct fc_input *in, int fd, const char *name, uint64_t n, struct fl_err *err)
{
	char first[FL_MAGIC_LEN] = { 0 };
	struct stat st;

	fc_input_release(in);
	in->fd = fd;
	in->at.name = fl_xstrdup(name);
	in->at.number = n;
	if (fstat(fd, &st) < 0)
		return fl_fail_errno(err, FL_ENOINPUT, errno, "cannot look at %s", name);
	if (S_ISDIR(st.st_mode))
		return fl_fail(err, FL_ENOINPUT, "%s is a directory", name);
	in->at.dev = st.st_dev;
	in->at.ino = st.st_ino;
	in->kind = FC_INPUT_STREAM;
	if (!S_ISREG(st.st_mode))
		return 0;
	if (fl_io_read_at(fd, first, sizeof first, 0, name, err) < 0)
		return err->code;
	if (memcmp(first, FL_MAGIC, sizeof first) == 0)
		return fl_fail(err, FL_EDATA,
			       "%s is a flue stream; a checkpointed line begins with text", name);
	in->kind = fl_packed_at(first, sizeof first) == 1 ? FC_INPUT_PACKED : FC_INPUT_FILE;
	in->size = (uint64_t)st.st_size;
	if (in->kind == FC_INPUT_PACKED) {
		in->at.packed = true;
		in->gunzip = fl_gunzip_new();
	}
	return 0;
}

int
fc_input_open(struct fc_input *in, const char *name, uint64_t n, struct fl_err *err)
{
	/* of a FIFO, O_NONBLOCK: its writer need not be there yet */
	int fd = strcmp(name, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
					: open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return fl_fail_errno(err, FL_ENOINPUT, errno, "cannot open %s",
				     strcmp(name, "-") == 0 ? "standard input" : name);
	return fc_input_take(in, fd, name, n, err);
}

/* ---- bytes that are not read again ------------------------------------------------- */

/* Keep the first and the last bytes of the text that goes by. */
static void
trace(struct fc_input *in, const char *p, size_t n)
{
	size_t room = FC_TRACE - (in->head.len < FC_TRACE ? in->head.len : FC_TRACE);
	size_t keep;

	if (in->at.offset == in->head.len && room)
		fl_buf_put(&in->head, p, n < room ? n : room);
	if (n >= FC_TRACE) {
		fl_buf_clear(&in->tail);
		fl_buf_put(&in->tail, p + n - FC_TRACE, FC_TRACE);
		return;
	}
	keep = in->tail.len + n > FC_TRACE ? FC_TRACE - n : in->tail.len;
	if (keep < in->tail.len)
		memmove(in->tail.data, in->tail.data + in->tail.len - keep, keep);
	in->tail.len = keep;
	fl_buf_put(&in->tail, p, n);
}

/* Unpack up to max bytes into buf: how many, 0 at the end. */
static int64_t
unpack(struct fc_input *in, size_t max, struct fl_err *err)
{
	size_t taken, made;

	fl_buf_clear(&in->buf);
	(void)fl_buf_reserve(&in->buf, max);
	while (in->buf.len < max) {
		if (in->in_done == in->in.len && !in->in_end && !fl_gunzip_pending(in->gunzip)) {
			int64_t got;

			fl_buf_clear(&in->in);
			in->in_done = 0;
			got = fl_io_read(in->fd, fl_buf_reserve(&in->in, FL_RAW_PIECE),
					 FL_RAW_PIECE, in->at.name, err);
			if (got < 0)
				return got;
			in->in.len = (size_t)got;
			in->in_end = got == 0;
		}
		if (fl_gunzip_step(in->gunzip, in->in.data + in->in_done, in->in.len - in->in_done,
				   in->in_end, in->buf.data + in->buf.len, max - in->buf.len,
				   &taken, &made, err) < 0)
			return fl_wrap(err, "%s", in->at.name);
		in->in_done += taken;
		in->buf.len += made;
		if (made == 0 && in->in_end && in->in_done == in->in.len)
			break;
	}
	return (int64_t)in->buf.len;
}

/* Read up to max bytes into buf; may wait. */
static int64_t
read_bytes(struct fc_input *in, size_t max, struct fl_err *err)
{
	int64_t got;

	fl_buf_clear(&in->buf);
	got = fl_io_read(in->fd, fl_buf_reserve(&in->buf, max), max, in->at.name, err);
	if (got > 0)
		in->buf.len = (size_t)got;
	return got;
}

/* ---- going on ------------------------------------------------------------------------ */

static int
differs(const struct fc_place *p, const char *what, struct fl_err *err)
{
	return fl_fail(
		err, FL_ECONFIG,
		"%s is not the file that the checkpoint was made of: %s; put it back, or go on "
		"afresh with another directory",
		p->name, what);
}

/* The bytes [at, at + n) of a regular file, n <= FC_TRACE, have this hash. */
static int
check_bytes(struct fc_input *in, const struct fc_place *p, uint64_t at, uint64_t n, uint64_t hash,
	    const char *what, struct fl_err *err)
{
	char bytes[FC_TRACE];
	int64_t got;

	if (n == 0)
		return 0;
	if (n > sizeof bytes)
		return fl_fail(err, FL_EDATA, "the checkpoint's position in %s is damaged",
			       p->name);
	got = fl_io_read_at(in->fd, bytes, n, at, in->at.name, err);
	if (got < 0)
		return (int)got;
	return (uint64_t)got == n && fl_raw_hash(bytes, n) == hash ? 0 : differs(p, what, err);
}

int
fc_input_check(struct fc_input *in, const struct fc_place *p, struct fl_err *err)
{
	if (in->size < p->offset)
		return differs(p, "it is shorter than the position", err);
	if (check_bytes(in, p, 0, p->head_len, p->head_hash, "its first bytes differ", err) < 0)
		return err->code;
	if (p->tail_len > p->offset)
		return fl_fail(err, FL_EDATA, "the checkpoint's position in %s is damaged",
			       p->name);
	return check_bytes(in, p, p->offset - p->tail_len, p->tail_len, p->tail_hash,
			   "the bytes before the position differ", err);
}

static int
check_trace(const struct fc_input *in, const struct fc_place *p, struct fl_err *err)
{
	if (in->head.len < p->head_len || fl_raw_hash(in->head.data, p->head_len) != p->head_hash)
		return differs(p, "its first bytes differ", err);
	if (in->tail.len < p->tail_len ||
	    fl_raw_hash(in->tail.data + in->tail.len - p->tail_len, p->tail_len) != p->tail_hash)
		return differs(p, "the bytes before the position differ", err);
	return 0;
}

/* What was given is made again and left out: unpacked, or read from the command. */
static int
skip_bytes(struct fc_input *in, const struct fc_place *p, struct fl_err *err)
{
	while (in->at.offset < p->offset) {
		uint64_t left = p->offset - in->at.offset;
		size_t max = left < FL_RAW_PIECE ? (size_t)left : FL_RAW_PIECE;
		int64_t got = in->kind == FC_INPUT_PACKED ? unpack(in, max, err)
							  : read_bytes(in, max, err);

		if (got < 0)
			return (int)got;
		if (got == 0)
			return differs(p, "it is shorter than the position", err);
		trace(in, in->buf.data, (size_t)got);
		in->at.offset += (uint64_t)got;
	}
	return check_trace(in, p, err);
}

int
fc_input_seek(struct fc_input *in, const struct fc_place *p, struct fl_err *err)
{
	int rc;

	if (in->kind != FC_INPUT_STREAM && p->ino && in->at.ino != p->ino)
		return differs(p, "it has another inode", err);
	if (in->kind == FC_INPUT_FILE && !p->packed)
		rc = fc_input_check(in, p, err);
	else if (in->at.packed != p->packed)
		return differs(p, "one of them is gzip", err);
	else
		rc = skip_bytes(in, p, err);
	if (rc == 0) {
		in->at.offset = p->offset;
		in->ended = p->done;
	}
	return rc;
}

/* ---- giving -------------------------------------------------------------------------- */

static void
fill_raw(struct fc_input *in, uint64_t len, bool last, struct fl_raw *ret)
{
	*ret = (struct fl_raw){
		.flags = last ? FL_RAW_LAST : 0,
		.file = in->at.number,
		.offset = in->at.offset,
		.len = len,
		.dev = in->at.dev,
		.ino = in->at.ino,
		.pid = (uint64_t)getpid(),
		.fd = (uint32_t)in->fd,
		.name = in->at.name,
		.name_len = (uint32_t)strlen(in->at.name),
	};
	in->at.offset += len;
	in->ended = last;
}

static int
look_at_size(struct fc_input *in, bool follow, struct fl_err *err)
{
	struct stat st;

	if (fstat(in->fd, &st) < 0)
		return fl_fail_errno(err, FL_EIO, errno, "cannot look at %s", in->at.name);
	in->size = (uint64_t)st.st_size;
	if (in->size < in->at.offset && follow)
		in->size = in->at.offset; /* follow.c looks into it */
	if (in->size < in->at.offset)
		return fl_fail(err, FL_ECONFIG, "%s has become shorter while it was read",
			       in->at.name);
	return 0;
}

static int
next_of_file(struct fc_input *in, bool follow, struct fl_raw *ret, struct fl_err *err)
{
	uint64_t len, max;
	bool as_bytes;
	int64_t got;

	if (look_at_size(in, follow, err) < 0)
		return err->code;
	/* what is read here is given here: the size may grow meanwhile */
	len = in->size - in->at.offset;
	if (len == 0 && follow)
		return FC_WAIT;
	as_bytes = in->as_bytes || in->size < SMALL;
	max = as_bytes || in->size < MANY * POSITIONS ? FL_RAW_PIECE : POSITIONS;
	len = len < max ? len : max;
	if (as_bytes) {
		fl_buf_clear(&in->buf);
		got = fl_io_read_at(in->fd, fl_buf_reserve(&in->buf, len), len, in->at.offset,
				    in->at.name, err);
		if (got < 0)
			return (int)got;
		len = (uint64_t)got;
		fill_raw(in, len, !follow && in->at.offset + len >= in->size, ret);
		ret->flags |= FL_RAW_BYTES;
		ret->bytes = in->buf.data;
		return FC_PIECE;
	}
	fill_raw(in, len, !follow && in->at.offset + len == in->size, ret);
	return FC_PIECE;
}

int
fc_input_next(struct fc_input *in, bool follow, struct fl_raw *ret, struct fl_err *err)
{
	int64_t got;

	if (in->ended || in->kind == FC_INPUT_NONE)
		return FC_END;
	if (in->kind == FC_INPUT_FILE)
		return next_of_file(in, follow, ret, err);
	if (in->kind == FC_INPUT_STREAM && !fl_io_readable(in->fd))
		return FC_WAIT;
	got = in->kind == FC_INPUT_PACKED ? unpack(in, FL_RAW_PIECE, err)
					  : read_bytes(in, FL_RAW_PIECE, err);
	if (got < 0)
		return (int)got;
	trace(in, in->buf.data, (size_t)got);
	fill_raw(in, (uint64_t)got, got == 0, ret);
	ret->flags |= FL_RAW_BYTES;
	ret->bytes = in->buf.data;
	return FC_PIECE;
}

int
fc_input_finish(struct fc_input *in, struct fl_raw *ret)
{
	fill_raw(in, 0, true, ret);
	return FC_PIECE;
}

/* ---- its place ------------------------------------------------------------------------- */

int
fc_input_here(struct fc_input *in, struct fc_place *ret, struct fl_err *err)
{
	char bytes[FC_TRACE];
	int64_t n;

	*ret = in->at;
	ret->done = in->ended;
	if (in->kind != FC_INPUT_FILE) {
		ret->head_len = in->head.len;
		ret->tail_len = in->tail.len;
		ret->head_hash = fl_raw_hash(in->head.data, in->head.len);
		ret->tail_hash = fl_raw_hash(in->tail.data, in->tail.len);
		return 0;
	}
	ret->head_len = ret->tail_len = in->at.offset < FC_TRACE ? in->at.offset : FC_TRACE;
	n = fl_io_read_at(in->fd, bytes, ret->head_len, 0, in->at.name, err);
	if (n < 0)
		return (int)n;
	ret->head_hash = fl_raw_hash(bytes, (size_t)n);
	n = fl_io_read_at(in->fd, bytes, ret->tail_len, in->at.offset - ret->tail_len, in->at.name,
			  err);
	if (n < 0)
		return (int)n;
	ret->tail_hash = fl_raw_hash(bytes, (size_t)n);
	return 0;
}
