/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packed input, gzip or zstd, a piece at a time: any number of members (frames) one
 * after the other, as gzip -d and zstd -d read them. No I/O.
 */
#ifndef FL_FORMAT_GUNZIP_H
#define FL_FORMAT_GUNZIP_H

#include "base/err.h"
#include "base/mem.h"

struct fl_gunzip;

/*
 * What p[0..n), the beginning of a file, is: 1 packed, 0 not, -1 more bytes are
 * needed to tell (never for n >= 4).
 */
int fl_packed_at(const char *p, size_t n);

struct fl_gunzip *fl_gunzip_new(void);
void fl_gunzip_free(struct fl_gunzip *g); /* NULL is fine */

/*
 * Unpack from in[0..in_len) into to[0..to_len): *ret_taken bytes were used,
 * *ret_made are there. Which of the two it is, the first byte of all says.
 * at_end: in is all that is left of the file. FL_EDATA: not packed, damaged, or cut
 * off, with the place in the packed file.
 */
int fl_gunzip_step(struct fl_gunzip *g, const char *in, size_t in_len, bool at_end, void *to,
		   size_t to_len, size_t *ret_taken, size_t *ret_made, struct fl_err *err);

/* Whether unpacked bytes are still held that found no room in the last call. */
bool fl_gunzip_pending(const struct fl_gunzip *g);

#endif
