/* SPDX-License-Identifier: Apache-2.0 */
/* Single values as text, for the writers of lines. Private to lib/format. */
#ifndef FL_FORMAT_CELLS_H
#define FL_FORMAT_CELLS_H

#include "base/mem.h"
#include "stream/batch.h"
#include "stream/number.h"
#include "time/timestamp.h"

#define FL_CELL_MAX FL_NUMBER_TEXT_MAX

/* How times are written, and the text of the last one: windows repeat theirs. */
struct fl_time_text {
	const struct fl_zone *zone;
	bool epoch_ms;
	bool millis;
	bool valid; /* text is that of ms */
	int64_t ms;
	int64_t minute; /* start of the minute that text shows; INT64_MIN: not a plain one */
	size_t len;
	char text[FL_CELL_MAX];
};

/* Make t hold the text of ms. */
void fl_time_text_set(struct fl_time_text *t, int64_t ms);

/* "+I" and so on. */
const char *fl_rowkind_text(uint8_t op);

/*
 * The text of value i of a fixed-width vector, which is not NULL, into buf;
 * returns its length.
 */
size_t fl_cell_text(const struct fl_vec *v, size_t i, struct fl_time_text *t,
		    char buf[FL_CELL_MAX]);

/*
 * The text of value i of any vector, NULL being none; seconds: a time is written
 * without its milliseconds. Borrows from v and buf.
 */
const char *fl_cell_any(const struct fl_vec *v, size_t i, bool seconds, struct fl_time_text *t,
			char buf[FL_CELL_MAX], size_t *ret_len);

/*
 * What a terminal must not be sent, in b from byte `from` on, is made visible:
 * control characters but line feed and tab, ESC first of all, become \x1b and
 * so on.
 */
void fl_escape_controls(struct fl_buf *b, size_t from);

/* The length of the control character at p[0..n), or 0 if it is none. Tab and LF are. */
size_t fl_control_at(const char *p, size_t n);

/* Append p[0..n) with its control characters as \n, \t, \r and \xhh. */
void fl_put_visible(struct fl_buf *b, const char *p, size_t n);

#endif
