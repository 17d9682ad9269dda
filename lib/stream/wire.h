/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The payload of a BATCH frame. Private to lib/stream (frame.c calls it).
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

#endif
