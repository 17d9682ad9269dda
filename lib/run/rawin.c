/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* F_SETPIPE_SZ */
#include "run/rawin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "run/input.h"

/* Positions are small and what they stand for is not: few of them may be under way. */
#define PIPE_BYTES 4096

struct fl_rawin *
fl_rawin_new(struct fl_input *in)
{
	struct fl_rawin *r = fl_xcalloc(1, sizeof *r);

	r->fd = -1;
	r->wire = fl_xmalloc(sizeof *r->wire);
	fl_input_take(r->wire, in);
	(void)fcntl(r->wire->fd, F_SETPIPE_SZ, PIPE_BYTES); /* a hint */
	return r;
}

static void
close_file(struct fl_rawin *r)
{
	if (r->fd >= 0)
		(void)close(r->fd);
	r->fd = -1;
}

void
fl_rawin_free(struct fl_rawin *r)
{
	if (!r)
		return;
	close_file(r);
	fl_input_release(r->wire);
	free(r->wire);
	free(r->name);
	free(r);
}

static int
try_open(const char *path, const struct fl_raw *p)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_dev == p->dev &&
	    st.st_ino == p->ino)
		return fd;
	(void)close(fd);
	return -1;
}

/*
 * The file that a position is in: the source holds it open, so that it is found though
 * it was renamed since; else by its name, if that is still the same file.
 */
static int
open_file(struct fl_rawin *r, struct fl_err *err)
{
	const struct fl_raw *p = &r->piece;
	char path[64];

	if (r->fd >= 0 && r->fd_file == p->file)
		return 0;
	close_file(r);
	(void)snprintf(path, sizeof path, "/proc/%llu/fd/%u", (unsigned long long)p->pid,
		       (unsigned)p->fd);
	r->fd = try_open(path, p);
	if (r->fd < 0)
		r->fd = try_open(r->name, p);
	r->fd_file = p->file;
	if (r->fd >= 0)
		return 0;
	return fl_fail(err, FL_ECONFIG,
		       "cannot open %s as fcheckpoint begin sees it: was it replaced, or is this "
		       "another machine or user?",
		       r->name);
}

static int
take_piece(struct fl_rawin *r, const struct fl_event *ev, struct fl_err *err)
{
	struct fl_raw p;

	if (fl_raw_decode(&ev->frame, &p, err) < 0)
		return err->code;
	if (r->within && p.file != r->file)
		return fl_fail(err, FL_EDATA,
			       "damaged stream: file %llu begins before file %llu has ended",
			       (unsigned long long)p.file, (unsigned long long)r->file);
	if (!r->within) {
		free(r->name);
		r->name = fl_xstrndup(p.name, p.name_len);
	}
	r->piece = p;
	r->piece.name = NULL;
	r->done = 0;
	r->any = r->within = true;
	r->file = p.file;
	return p.flags & FL_RAW_BYTES || p.len == 0 ? 0 : open_file(r, err);
}

/* The next piece, or something else that is due; *ret_none if neither is there. */
static int
next_piece(struct fl_rawin *r, bool *ret_none, struct fl_err *err)
{
	struct fl_event ev;

	*ret_none = true;
	if (r->told)
		return 0;
	ev.type = FL_EV_NONE;
	if (fl_input_next(r->wire, &ev, err) < 0)
		return err->code;
	switch (ev.type) {
	case FL_EV_NONE:
	case FL_EV_HEADER:
	case FL_EV_WATERMARK: /* a source has no watermarks: they are made behind it */
		return 0;
	case FL_EV_BATCH:
		*ret_none = false;
		return take_piece(r, &ev, err);
	default:
		r->told = true;
		r->type = (int)ev.type;
		r->barrier = ev.barrier;
		r->end = ev.end;
		return 0;
	}
}

static int64_t
read_position(struct fl_rawin *r, void *to, size_t n, struct fl_err *err)
{
	int64_t got = fl_io_read_at(r->fd, to, n, r->piece.offset + r->done, r->name, err);

	if (got == 0)
		return fl_fail(err, FL_ECONFIG, "%s has become shorter while it was read", r->name);
	return got;
}

int64_t
fl_rawin_read(struct fl_rawin *r, void *to, size_t n, bool *ret_none, struct fl_err *err)
{
	uint64_t left = r->any ? r->piece.len - r->done : 0;
	int64_t got;

	*ret_none = false;
	while (left == 0) {
		if (r->any && (r->piece.flags & FL_RAW_LAST)) {
			r->within = r->any = false;
			return 0;
		}
		if (next_piece(r, ret_none, err) < 0)
			return err->code;
		if (*ret_none)
			return 0; /* also at a drain: what stands before it of a record is none */
		left = r->piece.len;
	}
	n = n < left ? n : (size_t)left;
	if (r->piece.flags & FL_RAW_BYTES) {
		memcpy(to, r->piece.bytes + r->done, n);
		got = (int64_t)n;
	} else {
		got = read_position(r, to, n, err);
	}
	if (got > 0)
		r->done += (uint64_t)got;
	return got;
}

int
fl_rawin_next_file(struct fl_rawin *r, bool *ret_none, struct fl_err *err)
{
	int rc;

	fl_assert(!r->within);
	rc = next_piece(r, ret_none, err);
	return rc < 0 ? rc : !*ret_none;
}

bool
fl_rawin_told(struct fl_rawin *r, struct fl_event *ev)
{
	if (!r->told)
		return false;
	r->told = false;
	ev->type = (enum fl_event_type)r->type;
	ev->barrier = r->barrier;
	ev->end = r->end;
	return true;
}

void
fl_rawin_restore(struct fl_rawin *r, uint64_t file, bool within, const struct fl_buf *name)
{
	r->file = file;
	r->within = within;
	free(r->name);
	r->name = fl_xstrndup(name->data, name->len);
}
