/* SPDX-License-Identifier: Apache-2.0 */
#include "format/gunzip.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

struct fl_gunzip {
	z_stream z;
	ZSTD_DCtx *zstd; /* NULL: gzip, or nothing has come yet */
	uint64_t taken; /* bytes of the packed file so far, for messages */
	bool between;   /* no member is open */
	bool pending;   /* the room was full: there may be more */
};

#define GZIP_ONLY (15 + 16) /* zlib: the largest window, a gzip header is asked for */

#define ZSTD_FIRST_BYTE '\x28'

int
fl_packed_at(const char *p, size_t n)
{
	static const struct {
		const char *bytes;
		size_t len;
	} magics[] = { { "\x1f\x8b", 2 }, { "\x28\xb5\x2f\xfd", 4 } };
	int verdict = n ? 0 : -1;

	for (size_t i = 0; i < FL_ARRAY_LEN(magics); i++) {
		size_t len = n < magics[i].len ? n : magics[i].len;

		if (len && memcmp(p, magics[i].bytes, len) == 0)
			verdict = len == magics[i].len ? 1 : -1;
	}
	return verdict;
}

struct fl_gunzip *
fl_gunzip_new(void)
{
	struct fl_gunzip *g = fl_xcalloc(1, sizeof *g);

	fl_assert(inflateInit2(&g->z, GZIP_ONLY) == Z_OK);
	return g;
}

void
fl_gunzip_free(struct fl_gunzip *g)
{
	if (!g)
		return;
	(void)inflateEnd(&g->z);
	(void)ZSTD_freeDCtx(g->zstd);
	free(g);
}

bool
fl_gunzip_pending(const struct fl_gunzip *g)
{
	return g && g->pending;
}

static int
damaged(const struct fl_gunzip *g, const char *what, struct fl_err *err)
{
	return fl_fail(err, FL_EDATA, "%s data damaged at byte %llu: %s",
		       g->zstd ? "zstd" : "gzip", (unsigned long long)g->taken, what);
}

/* Zero bytes behind a member are padding (tapes), as gzip -d has it. */
static size_t
zeros_at(const char *p, size_t n)
{
	size_t i = 0;

	while (i < n && p[i] == '\0')
		i++;
	return i;
}

static int
gzip_step(struct fl_gunzip *g, const char *in, size_t in_len, bool at_end, void *to, size_t to_len,
	  size_t *ret_taken, size_t *ret_made, struct fl_err *err)
{
	size_t zeros = g->between ? zeros_at(in, in_len) : 0;
	int rc;

	*ret_taken = zeros;
	*ret_made = 0;
	g->taken += zeros;
	in += zeros;
	in_len -= zeros;
	if (in_len == 0 && !g->pending)
		return at_end && !g->between ? damaged(g, "it is cut off", err) : 0;
	in_len = in_len < UINT_MAX ? in_len : UINT_MAX;
	to_len = to_len < UINT_MAX ? to_len : UINT_MAX;
	g->between = false;
	g->z.next_in = (Bytef *)(uintptr_t)in;
	g->z.avail_in = (uInt)in_len;
	g->z.next_out = to;
	g->z.avail_out = (uInt)to_len;
	rc = inflate(&g->z, Z_NO_FLUSH);
	*ret_taken += in_len - g->z.avail_in;
	*ret_made = to_len - g->z.avail_out;
	g->taken += in_len - g->z.avail_in;
	g->pending = *ret_made == to_len && rc != Z_STREAM_END;
	if (rc == Z_STREAM_END) {
		g->between = true;
		rc = inflateReset(&g->z);
	}
	if (rc == Z_OK || rc == Z_BUF_ERROR)
		return 0;
	return rc == Z_MEM_ERROR ? fl_fail(err, FL_ELIMIT, "out of memory")
				 : damaged(g, g->z.msg ? g->z.msg : "not gzip", err);
}

static int
zstd_step(struct fl_gunzip *g, const char *in, size_t in_len, bool at_end, void *to, size_t to_len,
	  size_t *ret_taken, size_t *ret_made, struct fl_err *err)
{
	ZSTD_inBuffer from = { in, in_len, 0 };
	ZSTD_outBuffer made = { to, to_len, 0 };
	size_t rc;

	*ret_taken = *ret_made = 0;
	if (in_len == 0 && !g->pending)
		return at_end && !g->between ? damaged(g, "it is cut off", err) : 0;
	rc = ZSTD_decompressStream(g->zstd, &made, &from);
	if (ZSTD_isError(rc))
		return ZSTD_getErrorCode(rc) == ZSTD_error_memory_allocation
			       ? fl_fail(err, FL_ELIMIT, "out of memory")
			       : damaged(g, ZSTD_getErrorName(rc), err);
	*ret_taken = from.pos;
	*ret_made = made.pos;
	g->taken += from.pos;
	g->between = rc == 0;
	g->pending = made.pos == to_len && rc != 0;
	return 0;
}

int
fl_gunzip_step(struct fl_gunzip *g, const char *in, size_t in_len, bool at_end, void *to,
	       size_t to_len, size_t *ret_taken, size_t *ret_made, struct fl_err *err)
{
	if (!g->zstd && g->taken == 0 && in_len && in[0] == ZSTD_FIRST_BYTE) {
		g->zstd = ZSTD_createDCtx();
		if (!g->zstd)
			return fl_fail(err, FL_ELIMIT, "out of memory");
	}
	return g->zstd ? zstd_step(g, in, in_len, at_end, to, to_len, ret_taken, ret_made, err)
		       : gzip_step(g, in, in_len, at_end, to, to_len, ret_taken, ret_made, err);
}
