/* SPDX-License-Identifier: Apache-2.0 */
/* Line by line through a piece of text. Private to lib/format. */
#ifndef FL_FORMAT_LINES_H
#define FL_FORMAT_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

/* The longest record, whatever --max-record says: positions are 32 bits. */
#define FL_RECORD_LIMIT ((size_t)1 << 31)

/* When a batch is full, unless a record is longer. */
#define FL_BATCH_BYTES ((size_t)1 << 20)
#define FL_BATCH_ROWS 65536u

static inline size_t
fl_record_max(size_t option)
{
	return option && option < FL_RECORD_LIMIT ? option : FL_RECORD_LIMIT;
}

static inline int
fl_record_too_long(uint64_t line, size_t record_max, struct fl_err *err)
{
	return fl_fail(err, FL_ELIMIT, "line %llu: a record of more than %zu bytes (--max-record)",
		       (unsigned long long)line, record_max);
}

struct fl_line {
	size_t end;  /* behind the last byte of the line, its end left out */
	size_t next; /* where the next line begins */
};

/*
 * The line that begins at p[pos], of a piece of n bytes. A line ends in a line
 * feed, or where the file ends; a carriage return right before either belongs to
 * the line's end. false: the end is not there yet.
 */
static inline bool
fl_line_at(const char *p, size_t pos, size_t n, bool at_end, struct fl_line *ret)
{
	const char *newline = n > pos ? memchr(p + pos, '\n', n - pos) : NULL;

	if (!newline && !at_end)
		return false;
	ret->end = newline ? (size_t)(newline - p) : n;
	ret->next = ret->end + (newline != NULL);
	if (ret->end > pos && p[ret->end - 1] == '\r')
		ret->end--;
	return true;
}

/*
 * Whether what is there of a record that has no end yet is too long already: it
 * may still turn out to end in a carriage return that does not count.
 */
static inline bool
fl_part_too_long(size_t n, size_t record_max)
{
	return n > record_max + 1;
}

/* The length of a byte order mark at the start of a file; -1: more is needed to tell. */
static inline int
fl_bom_at(const char *p, size_t n, bool at_end)
{
	static const char mark[3] = "\xef\xbb\xbf";

	if (n < sizeof mark)
		return !at_end && memcmp(p, mark, n) == 0 ? -1 : 0;
	return memcmp(p, mark, sizeof mark) == 0 ? (int)sizeof mark : 0;
}

#endif
