/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The payload of a BATCH frame, and frames of one piece. Private to lib/stream.
 *
 *	struct of fixed part (wire.c: wire_batch)
 *	one column descriptor a column (wire.c: wire_col)
 *	arrays, each at an 8-byte boundary, named by their place in the payload
 *
 * Columns may name the same array: the columns of one CSV batch share the
 * text and the positions of its delimiters.
 */
#ifndef FL_STREAM_WIRE_H
#define FL_STREAM_WIRE_H

#include <sys/uio.h>

#include "stream/batch.h"
#include "stream/frame.h"

/* Bytes that fl_wire_batch appends to meta, at the most. */
size_t fl_wire_meta_bytes(const struct fl_batch *b);

/* Pieces that fl_wire_batch makes, at the most, and one. */
size_t fl_wire_pieces_max(const struct fl_batch *b);

/*
 * Lay the batch out: iov[0 .. *ret_n) together are the payload, *ret_len bytes.
 * Text that is a small part of its area (rows were selected) is packed into
 * *pack. FL_ELIMIT: more than a frame holds.
 */
int fl_wire_batch(const struct fl_batch *b, struct fl_buf *meta, struct fl_buf *pack,
		  struct iovec *iov, size_t *ret_n, size_t *ret_len, struct fl_err *err);

/* Append a frame whose payload is one piece: len bytes, a multiple of 8 (frame.c). */
void fl_wire_put(struct fl_frame_writer *w, enum fl_frame_type type, const void *payload,
		 size_t len);

#endif
