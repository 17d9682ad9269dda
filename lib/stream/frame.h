/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames: the byte stream between two tools, version 1. Little-endian.
 *
 *	offset  bytes
 *	0       8      magic 93 46 4c 55 45 0d 0a 1a, once, before the first frame
 *	then frames, each
 *	0       1      type, enum fl_frame_type
 *	1       3      flags; zero unless defined
 *	4       4      payload length, a multiple of 8, at most 64 MiB
 *	8       8      sequence number, from 0
 *	16      8      XXH3-64 of bytes 0..15 and the payload
 *	24      …      payload
 *
 * A frame is valid iff (1) its type is known and its flags are zero, (2) its
 * length is a multiple of 8 and in bounds, (3) its sequence number is one more
 * than that of the frame before, (4) the checksum is right, (5) the first
 * frame is HEADER or END, only the last is END, and (6) its payload is what
 * its type says. Batches have their own rules (fl_batch_decode).
 *
 *	HEADER     JSON, padded with spaces
 *	BATCH      struct of stream/wire.c: a table of columns and their arrays
 *	WATERMARK  int64 ms, uint64 1 if idle else 0
 *	BARRIER    uint64 checkpoint id, uint64 attempt, int64 injected at (ms of
 *	           the clock), uint64 flags
 *	END        uint64 records sent, uint64 final checkpoint id, uint32 status,
 *	           int32 exit code
 */
#ifndef FL_STREAM_FRAME_H
#define FL_STREAM_FRAME_H

#include "base/err.h"
#include "base/mem.h"
#include "stream/batch.h"
#include "stream/header.h"

#define FL_MAGIC \
	"\x93" \
	"FLUE\r\n\x1a"
#define FL_MAGIC_LEN 8u
#define FL_FRAME_HEAD 24u
#define FL_FRAME_MAX ((uint32_t)FL_MIB(64))

enum fl_frame_type {
	FL_FRAME_HEADER = 1,
	FL_FRAME_BATCH = 2,
	FL_FRAME_WATERMARK = 3,
	FL_FRAME_BARRIER = 4,
	FL_FRAME_END = 5,
};

enum fl_end_status {
	FL_END_COMPLETE = 0, /* the end of the data: windows fire */
	FL_END_STOPPED = 1,  /* stopped after a savepoint: nothing fires */
	FL_END_FAILED = 2,   /* exit with code, silently: the message was printed */
};

enum { FL_BARRIER_SAVEPOINT = 1, FL_BARRIER_DRAIN = 2 };

struct fl_watermark {
	int64_t ms;
	bool idle;
};

struct fl_barrier {
	uint64_t id;
	uint64_t attempt;
	int64_t injected_ms;
	uint64_t flags;
};

struct fl_end {
	uint64_t records;
	uint64_t checkpoint;
	uint32_t status; /* enum fl_end_status */
	int32_t code;    /* FL_END_FAILED: exit status */
};

/*
 * The writing side. Control frames are appended to out; a batch is handed over
 * as a list of pieces, so that its arrays go from where they lie into the pipe
 * without being copied here. Does no I/O.
 */
struct fl_frame_writer {
	uint64_t seq;
	bool started;       /* the magic is out */
	struct fl_buf out;  /* finished bytes that nobody has taken yet */
	struct fl_buf meta; /* what the pieces of the last batch need besides it */
	struct fl_buf iov;  /* struct iovec: the pieces */
	struct fl_buf pack; /* rows that were packed */
};

void fl_frame_writer_release(struct fl_frame_writer *w);

void fl_frame_header(struct fl_frame_writer *w, const struct fl_header *h);
void fl_frame_watermark(struct fl_frame_writer *w, const struct fl_watermark *wm);
void fl_frame_barrier(struct fl_frame_writer *w, const struct fl_barrier *b);
void fl_frame_end(struct fl_frame_writer *w, const struct fl_end *end);

/*
 * Frame a batch. A small one is appended to out, and *ret_iov is NULL. Of a
 * large one *ret_iov is the list of pieces that stand for the whole frame, to
 * be written behind out; they borrow from b and w, until w is used again.
 * FL_ELIMIT: it does not fit into a frame (the caller then sends fewer rows at once).
 */
struct iovec;
int fl_frame_batch(struct fl_frame_writer *w, const struct fl_batch *b, struct iovec **ret_iov,
		   size_t *ret_count, struct fl_err *err);

/*
 * One frame, found and checked. payload borrows from the input that gave it
 * and is 8-byte aligned.
 */
struct fl_frame {
	enum fl_frame_type type;
	uint64_t seq;
	const char *payload;
	uint32_t len;
};

/*
 * Check the frame that begins at p, of which have bytes are there. Returns the
 * number of bytes that the whole frame takes, 0 if more are needed (then
 * *ret_need says how many in all are known to be), or a negative code. expect
 * is the sequence number that is due.
 */
int64_t fl_frame_parse(const char *p, size_t have, uint64_t expect, struct fl_frame *ret,
		       size_t *ret_need, struct fl_err *err);

/*
 * Only the head of the frame that begins at p, FL_FRAME_HEAD bytes: type, number and
 * length, checked as far as a head can be; payload is not set. 0 or FL_EDATA.
 */
int fl_frame_parse_head(const char *p, uint64_t expect, struct fl_frame *ret, struct fl_err *err);

int fl_frame_get_watermark(const struct fl_frame *f, struct fl_watermark *ret, struct fl_err *err);
int fl_frame_get_barrier(const struct fl_frame *f, struct fl_barrier *ret, struct fl_err *err);
int fl_frame_get_end(const struct fl_frame *f, struct fl_end *ret, struct fl_err *err);

/* The number of records that a BATCH frame says it has. */
uint32_t fl_frame_rows(const struct fl_frame *f);

/*
 * View a BATCH payload as a batch: nothing is copied, everything is checked,
 * so that no value can point outside the payload. The vectors live in *cols,
 * which the caller owns and reuses.
 */
int fl_batch_decode(const struct fl_frame *f, struct fl_buf *cols, struct fl_batch *ret,
		    struct fl_err *err);

#endif
