/* SPDX-License-Identifier: Apache-2.0 */
#include "run/replay.h"

#include <sys/uio.h>

#include "checkpoint/about.h"
#include "run/input.h"

#define SAVED_PIECE FL_KIB(256)

void
fl_replay_init(struct fl_replay *r)
{
	/* no magic in here, and no frame number 0, which has to be a header */
	*r = (struct fl_replay){ .writer = { .started = true, .seq = 1 }, .seq = 1 };
	fl_queue_init(&r->queue);
}

void
fl_replay_release(struct fl_replay *r)
{
	fl_queue_release(&r->queue);
	fl_frame_writer_release(&r->writer);
	fl_buf_release(&r->frame);
	fl_buf_release(&r->cols);
}

static int
push_written(struct fl_replay *r, struct fl_err *err)
{
	struct fl_buf *out = &r->writer.out;
	int rc = out->len ? fl_queue_push(&r->queue, out->data, out->len, err) : 0;

	fl_buf_clear(out);
	return rc;
}

static int
push_batch(struct fl_replay *r, const struct fl_batch *b, struct fl_err *err)
{
	struct iovec *iov;
	size_t n;
	int rc = fl_frame_batch(&r->writer, b, &iov, &n, err);

	if (rc == 0)
		rc = push_written(r, err);
	for (size_t i = 0; rc == 0 && iov && i < n; i++)
		rc = fl_queue_push(&r->queue, iov[i].iov_base, iov[i].iov_len, err);
	return rc;
}

int
fl_replay_push(struct fl_replay *r, const struct fl_header *h, const struct fl_event *ev,
	       struct fl_err *err)
{
	switch (ev->type) {
	case FL_EV_HEADER:
		fl_frame_header(&r->writer, h);
		break;
	case FL_EV_BATCH:
		return push_batch(r, &ev->batch, err);
	case FL_EV_WATERMARK:
		fl_frame_watermark(&r->writer, &ev->wm);
		break;
	case FL_EV_END:
		fl_frame_end(&r->writer, &ev->end);
		break;
	default:
		return fl_fail(err, FL_EBUG, "event %d is not kept", (int)ev->type);
	}
	return push_written(r, err);
}

static int
take(struct fl_replay *r, size_t upto, struct fl_err *err)
{
	struct fl_buf *f = &r->frame;

	while (f->len < upto) {
		int64_t got = fl_queue_pop(&r->queue, fl_buf_reserve(f, upto - f->len),
					   upto - f->len, err);

		if (got < 0)
			return (int)got;
		if (got == 0)
			return fl_fail(err, FL_EDATA, "records kept at a barrier are cut off");
		f->len += (size_t)got;
	}
	return 0;
}

/* The event that a kept frame stands for. */
static int
event_of(struct fl_replay *r, const struct fl_frame *f, struct fl_event *ev, struct fl_err *err)
{
	*ev = (struct fl_event){ .type = FL_EV_NONE };
	switch (f->type) {
	case FL_FRAME_HEADER: /* the input has known it since */
		ev->type = FL_EV_HEADER;
		return 0;
	case FL_FRAME_BATCH:
		ev->type = FL_EV_BATCH;
		return fl_batch_decode(f, &r->cols, &ev->batch, err);
	case FL_FRAME_WATERMARK:
		ev->type = FL_EV_WATERMARK;
		return fl_frame_get_watermark(f, &ev->wm, err);
	case FL_FRAME_END:
		ev->type = FL_EV_END;
		return fl_frame_get_end(f, &ev->end, err);
	default:
		return fl_fail(err, FL_EDATA, "a barrier among records kept at a barrier");
	}
}

int
fl_replay_pop(struct fl_replay *r, struct fl_event *ev, struct fl_err *err)
{
	struct fl_frame f;
	size_t need = FL_FRAME_HEAD;
	int64_t taken;

	fl_buf_clear(&r->frame);
	do {
		if (take(r, need, err) < 0)
			return err->code;
		taken = fl_frame_parse(r->frame.data, r->frame.len, r->seq, &f, &need, err);
	} while (taken == 0);
	if (taken < 0)
		return (int)taken;
	r->seq++;
	return event_of(r, &f, ev, err);
}

/*
 * The queue is read to its end and filled again. Cut anywhere: on restore the pieces
 * are put together.
 */
int
fl_replay_save(struct fl_replay *r, const char *name, struct fl_save *s, struct fl_err *err)
{
	static const char *const named[][2] = { { "frames", "frames" } };
	struct fl_buf piece = { 0 };
	struct fl_queue again;
	int64_t got;
	int rc = 0;

	fl_queue_init(&again);
	fl_state_section_named(s, name, 1, named, FL_ARRAY_LEN(named));
	fl_save_int(s, "seq", (int64_t)r->seq);
	fl_save_int(s, "next", (int64_t)r->writer.seq);
	(void)fl_buf_reserve(&piece, SAVED_PIECE);
	while (rc == 0 && (got = fl_queue_pop(&r->queue, piece.data, SAVED_PIECE, err)) != 0) {
		if (got < 0) {
			rc = (int)got;
			break;
		}
		fl_save_bytes(s, "frames", piece.data, (size_t)got);
		rc = fl_queue_push(&again, piece.data, (size_t)got, err);
	}
	fl_queue_release(&r->queue);
	r->queue = again;
	fl_buf_release(&piece);
	return rc;
}

int
fl_replay_load(struct fl_replay *r, struct fl_load *l, struct fl_err *err)
{
	struct fl_state_entry e;
	int64_t n;
	int rc;

	while ((rc = fl_load_entry(l, &e, err)) > 0) {
		if (fl_state_is(&e, "frames")) {
			rc = fl_queue_push(&r->queue, e.value, e.value_len, err);
		} else if ((rc = fl_state_int(&e, &n, err)) == 0) {
			if (fl_state_is(&e, "seq"))
				r->seq = (uint64_t)n;
			else if (fl_state_is(&e, "next"))
				r->writer.seq = (uint64_t)n;
		}
		if (rc < 0)
			return rc;
	}
	return rc;
}
