/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the readers share whose records are lines with values scattered in them
 * (CLF, logfmt, regular expressions). Private to lib/format.
 *
 * A format brings parse, which looks at one line and sets its values; the rest,
 * lines, batches, limits and bad records, is here. Values are views of the input
 * unless they had to be decoded; then, in that batch, the input is copied and
 * the decoded values stand behind it, so that a column still has one area.
 */
#ifndef FL_FORMAT_LINEWISE_H
#define FL_FORMAT_LINEWISE_H

#include "format/names.h"
#include "format/reader.h"

enum fl_line_verdict {
	FL_LINE_OK = 0,
	FL_LINE_BAD,  /* and why: fl_linewise_bad */
	FL_LINE_SKIP, /* no record */
	FL_LINE_GREW, /* names has new columns: bring it again */
	FL_LINE_FAIL, /* *err says why */
};

struct fl_linewise;
typedef enum fl_line_verdict fl_line_parse(struct fl_linewise *r, size_t start, size_t end,
					   struct fl_err *err);

struct fl_linewise {
	struct fl_reader base;
	fl_line_parse *parse;
	struct fl_names names;
	size_t record_max;

	/* the batch in hand; private but for piece */
	const char *piece;
	uint32_t rows, cols;
	uint32_t *off;       /* of the line in hand: start and end of each value */
	uint8_t *tag;        /* of the line in hand */
	struct fl_buf cells; /* all such pairs, row by row */
	struct fl_buf tags;  /* all such tags, row by row */
	struct fl_buf text;  /* decoded values */
	struct fl_buf moved; /* uint32_t: the cells that are positions in text */
	struct fl_buf area, column_tags;
	struct fl_vec *vec;
	uint32_t vec_cap;
	char *reason;
	size_t reason_cap;
};

void fl_linewise_init(struct fl_linewise *r, const struct fl_reader_type *type,
		      fl_line_parse *parse, const struct fl_reader_options *o);
void fl_linewise_release(struct fl_linewise *r);

/* The callbacks of struct fl_reader_type, for all of these readers. */
void fl_linewise_file(struct fl_reader *r);
int fl_linewise_read(struct fl_reader *r, const char *p, size_t n, bool at_end,
		     struct fl_read_result *ret, struct fl_err *err);
const struct fl_header *fl_linewise_columns(const struct fl_reader *r);
int fl_linewise_add_column(struct fl_reader *r, const char *name, size_t len, struct fl_err *err);

/* ---- for parse ------------------------------------------------------------ */

/* The value of a column: piece[start..end). Columns that are not set are absent. */
static inline void
fl_linewise_set(struct fl_linewise *r, uint32_t column, size_t start, size_t end, enum fl_tag tag)
{
	r->off[2 * column] = (uint32_t)start;
	r->off[2 * column + 1] = (uint32_t)end;
	r->tag[column] = (uint8_t)tag;
}

/* The same for what was appended to r->text, from there on. */
void fl_linewise_set_text(struct fl_linewise *r, uint32_t column, size_t from, enum fl_tag tag);

/* Say what is wrong; returns FL_LINE_BAD. */
enum fl_line_verdict fl_linewise_bad(struct fl_linewise *r, const char *fmt, ...) FL_PRINTF(2, 3);

#endif
