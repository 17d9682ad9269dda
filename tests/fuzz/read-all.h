/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of readers: run a whole text through one, in pieces, and write down
 * all that came of it as text that can be compared.
 *
 *	1: a=x b=~ c=""         line 1: NULL is ~, absent nothing, the empty string ""
 *	3! <text> <reason>      a bad record
 *	error -65: <message>    what the reader could not go on from
 */
#ifndef TESTS_FUZZ_READ_ALL_H
#define TESTS_FUZZ_READ_ALL_H

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "format/reader.h"

static inline void
show_bytes(struct fl_buf *out, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];

		if (isprint(c) && !strchr("\\~\" ", c))
			fl_buf_putc(out, (char)c);
		else
			fl_buf_printf(out, "\\%02x", c);
	}
}

static inline void
show_value(struct fl_buf *out, const struct fl_vec *v, size_t i)
{
	size_t n;
	const char *p = fl_text(v, i, &n);

	if (fl_is_null(v, i))
		fl_buf_puts(out, "~");
	else if (n == 0)
		fl_buf_puts(out, "\"\"");
	show_bytes(out, p, n);
}

static inline void
show_result(struct fl_buf *out, const struct fl_header *h, const struct fl_read_result *r,
	    bool reasons)
{
	for (uint32_t i = 0; i < r->batch.rows; i++) {
		fl_buf_printf(out, "%" PRIu64 ":", r->batch.line + i);
		for (uint32_t c = 0; c < r->batch.cols; c++) {
			if (fl_tag_of(&r->batch.col[c], i) == FL_TAG_ABSENT)
				continue;
			fl_buf_putc(out, ' ');
			show_bytes(out, h->columns[c].name, h->columns[c].name_len);
			fl_buf_putc(out, '=');
			show_value(out, &r->batch.col[c], i);
		}
		fl_buf_putc(out, '\n');
	}
	if (!r->has_bad)
		return;
	fl_buf_printf(out, "%" PRIu64 "! ", r->bad.line);
	show_bytes(out, r->bad.text, r->bad.len);
	fl_buf_printf(out, "%s%s\n", reasons ? " " : "", reasons ? r->bad.reason : "");
}

/* A value said to be clean has nothing that CSV would quote. */
static inline bool
clean_is_true(const struct fl_batch *b)
{
	for (uint32_t c = 0; c < b->cols; c++) {
		for (uint32_t i = 0; b->col[c].clean && i < b->rows; i++) {
			size_t n;
			const char *p = fl_text(&b->col[c], i, &n);

			if (n == 0 && fl_tag_of(&b->col[c], i) == FL_TAG_STRING)
				return false;
			for (size_t k = 0; k < n; k++)
				if (memchr("\",\r\n", p[k], 4))
					return false;
		}
	}
	return true;
}

/*
 * Read text[0..n), of which cut(arg, have) says how much is there when have bytes
 * were not enough; NULL: all of it at once. The pieces are copied to places of
 * their own, so that reading outside them is found.
 */
static inline void
read_text(struct fl_reader *r, const char *text, size_t n, size_t (*cut)(void *, size_t), void *arg,
	  struct fl_buf *out, bool reasons)
{
	size_t done = 0, have = cut ? 0 : n;
	struct fl_read_result result;
	struct fl_err err;

	fl_reader_file(r);
	for (;;) {
		char *piece = malloc(have - done + FL_READER_PAD);
		int rc;

		memcpy(piece, text + done, have - done);
		memset(piece + (have - done), '"', FL_READER_PAD);
		memset(&result, 0, sizeof result);
		rc = have > done ? fl_reader_read(r, piece, have - done, have == n, &result, &err)
				 : 0;
		if (rc < 0)
			fl_buf_printf(out, "error %d: %s\n", rc, err.msg);
		else if (have > done)
			show_result(out, fl_reader_columns(r), &result, reasons);
		if (rc == 0 && !clean_is_true(&result.batch))
			fl_buf_puts(out, "not clean\n");
		free(piece);
		done += result.taken;
		if (rc < 0 || (done == n && have == n))
			break;
		if (result.taken == 0 && !result.has_bad && result.batch.rows == 0) {
			if (have == n) {
				fl_buf_puts(out, "stuck\n");
				break;
			}
			have = cut(arg, have);
			have = have > n ? n : have;
		}
	}
	fl_buf_putc(out, 0);
}

#endif
