/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One record as bytes, for state that keeps records: the rows of joins, ranks,
 * windows, sorts. What goes in comes out: kinds, tags and text are kept.
 *
 * Format: per column one byte (kind | tag << 4), then the value: INT64, TIME and
 * DOUBLE 8 bytes, BOOL 1, DECIMAL 24, TEXT its length as a varint (7 bits a byte,
 * lowest first) and its bytes. Little-endian. The number of columns is the number
 * of values; columns that a batch has not are not there.
 */
#ifndef FL_STREAM_ROW_H
#define FL_STREAM_ROW_H

#include "stream/batch.h"

/* Append record row of b; returns how many bytes that were. */
size_t fl_row_pack(const struct fl_batch *b, uint32_t row, struct fl_buf *out);

/*
 * The same for the columns cols[0..count) of b only, in that order (a column that
 * the batch has not is absent).
 */
size_t fl_row_pack_some(const struct fl_batch *b, uint32_t row, const uint32_t *cols,
			uint32_t count, struct fl_buf *out);

/*
 * Put the values of a packed record p[0..n) into to[0..cols): what the record has
 * not is put as absent, what is too many is left out.
 */
void fl_row_put(const char *p, size_t n, struct fl_colbuf *to, uint32_t cols);

/* The same for the values number first and later of the record. */
void fl_row_put_from(const char *p, size_t n, uint32_t first, struct fl_colbuf *to, uint32_t cols);

/*
 * The same by a map: value number i goes to col[map[i]], or nowhere where that is
 * UINT32_MAX; i < count, values that the record has not are put as absent.
 */
void fl_row_put_to(const char *p, size_t n, const uint32_t *map, uint32_t count,
		   struct fl_colbuf *col);

/*
 * A vector of one value that views value number c of a packed record, for
 * fl_value_get(v, 0). Borrows from p and from room.
 */
struct fl_row_room {
	uint32_t off[2];
	_Alignas(8) char fixed[sizeof(struct fl_dec)];
};
struct fl_vec fl_row_value(const char *p, size_t n, uint32_t c, struct fl_row_room *room);

/*
 * Bytes by which two records are equal as rows of a table: the values' texts, NULL
 * apart, whatever kinds their columns had in the batch. A changelog's -U and -D
 * find the row that they take back by it. Appended to out; returns their number.
 */
size_t fl_row_identity(const struct fl_batch *b, uint32_t row, struct fl_buf *out);

/* Such bytes as values again: texts, NULL where there are none. False: they are not that. */
bool fl_row_identity_put(const char *p, size_t n, struct fl_colbuf *to, uint32_t cols);

/* How many values a packed record has. */
uint32_t fl_row_columns(const char *p, size_t n);

/* Bytes that come from a file: FL_EDATA unless they are one packed record. */
int fl_row_check(const char *p, size_t n, struct fl_err *err);

#endif
