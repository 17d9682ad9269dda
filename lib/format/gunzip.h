/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gzip input, a piece at a time: any number of members one after the other, as
 * gzip -d reads them. No I/O.
 */
#ifndef FL_FORMAT_GUNZIP_H
#define FL_FORMAT_GUNZIP_H

#include "base/err.h"
#include "base/mem.h"

struct fl_gunzip;

struct fl_gunzip *fl_gunzip_new(void);
void fl_gunzip_free(struct fl_gunzip *g); /* NULL is fine */

/*
 * Unpack from in[0..in_len) into to[0..to_len): *ret_taken bytes were used,
 * *ret_made are there. at_end: in is all that is left of the file. FL_EDATA: not
 * gzip, damaged, or cut off, with the place in the packed file.
 */
int fl_gunzip_step(struct fl_gunzip *g, const char *in, size_t in_len, bool at_end, void *to,
		   size_t to_len, size_t *ret_taken, size_t *ret_made, struct fl_err *err);

/* Whether unpacked bytes are still held that found no room in the last call. */
bool fl_gunzip_pending(const struct fl_gunzip *g);

#endif
