/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading CSV and TSV.
 *
 * Two ways through the text
 *   Plain records have no quote (TSV: no backslash), the right number of
 *   fields, and the line end that the lines of this batch have. The scanner
 *   (scan.h) writes the positions of their delimiters one behind the other, and
 *   these are the batch's columns: nothing is copied, nothing is looked at
 *   twice but one line end a record, which shows that the delimiters between
 *   are what they should be.
 *   Every other record is odd. It goes alone: where it has a quote, libcsv in
 *   strict mode says whether it is one and what its fields are.
 *   tests/fuzz/fuzz-csv.c checks that both ways give the same.
 *
 * The area
 *   A batch without odd records borrows from the input. With the first odd one
 *   the records before it are copied, and so is what follows; an odd record is
 *   written out in plain form: its fields' contents, a delimiter behind each.
 *   So all records of a batch have the same layout, and positions never change.
 *
 * Line ends
 *   A line ends in LF or CRLF or with the file; a CR elsewhere is data. Where
 *   the first line of a batch ends in CRLF, CR is taken as one more delimiter,
 *   and a record as having one more field, that is empty and nobody's column:
 *
 *	a , b CR LF         stride 3
 *	  1   2  3
 *
 *   Records with the other line end than the batch's first are odd.
 *
 * Rules
 *   - The header line names the columns: names.h says how namesakes and empty
 *     names are told apart. A byte order mark before it is not part of it.
 *   - An empty line: in a file of one column, NULL. Else at the end of the file
 *     it is nothing, elsewhere a bad record (allow_ragged: skipped, as in
 *     Miller).
 *   - Line numbers count physical lines. A record of several lines is the last
 *     of its batch, so that record i of a batch always is at line + i.
 */
#include "format/csv.h"

#include <csv.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/formats.h"
#include "format/guess.h"
#include "format/lines.h"
#include "format/names.h"
#include "format/scan.h"

/*
 * Bytes to scan before looking at the records in them. Small after an odd
 * record: where all are odd, what is scanned in vain must stay small too.
 */
#define WINDOW_MAX FL_KIB(32)
#define WINDOW_MIN ((size_t)256)

/* Records that are worth a batch of their own, to keep them from being copied. */
#define ROWS_WORTH 4096u

/* A value whose tag is not FL_TAG_PLAIN. */
struct odd_value {
	uint32_t row;
	uint32_t column;
	uint32_t tag;
};

struct csv {
	struct fl_reader base;
	bool tsv;
	bool implicit_header, allow_ragged;
	char separator;
	size_t record_max;
	struct fl_scanner scanner;

	struct fl_names names;

	struct csv_parser parser;
	uint32_t fields;   /* of the odd record, so far */
	bool record_ended; /* libcsv has seen its end */

	/* the batch in hand */
	const char *piece;
	bool copied; /* into area */
	bool crlf;
	bool unclean; /* some value may need quotes, in any column */
	uint32_t rows, cols, stride;
	uint64_t extra_lines; /* physical lines of its records beyond one each */
	struct fl_buf area;
	struct fl_positions off;
	struct fl_buf odd;          /* struct odd_value, by row */
	struct fl_buf unclean_cols; /* one byte a column, if copied */
	struct fl_buf slots, tags;
	struct fl_vec *vec;
	uint32_t vec_cap;
};

/* Where the positions of the next record go: behind the end of the one before. */
static size_t
next_off(const struct csv *r)
{
	return (size_t)r->rows * r->stride + 1;
}

/* ---- plain records -------------------------------------------------------- */

/*
 * Records whose delimiters are the positions o[1..], up to the first that is
 * not plain, or n. o[0] is the delimiter before the first.
 */
static uint32_t
count_plain(const struct csv *r, const char *p, const uint32_t *o, uint32_t n)
{
	uint32_t delta = o[0] + 1, start = 0;

	for (uint32_t i = 0; i < n; i++, o += r->stride) {
		uint32_t end = o[r->stride] - delta, last = r->stride - r->crlf;

		for (uint32_t f = 1; f < last; f++)
			if (p[o[f] - delta] != r->separator)
				return i;
		if (p[o[last] - delta] != (r->crlf ? '\r' : '\n') || p[end] != '\n')
			return i;
		if (r->crlf ? o[last] + 1 != o[r->stride] : end > start && p[end - 1] == '\r')
			return i;
		if (end - r->crlf - start > r->record_max)
			return i;
		start = end + 1;
	}
	return n;
}

/*
 * The same, for records that are expected to be plain: where every record ends
 * in its last line end, and there are no more of these, what lies between are
 * separators. scan: what was found in this text.
 */
static uint32_t
check_plain(const struct csv *r, const char *p, const uint32_t *o, uint32_t n,
	    const struct fl_scan *scan, bool may_be_long)
{
	const uint32_t *end = o;
	uint32_t delta = o[0] + 1;
	unsigned wrong = 0;

	if (scan->newlines != n || (r->crlf ? scan->returns != n : scan->returns != 0) ||
	    may_be_long)
		return count_plain(r, p, o, n);
	for (uint32_t i = 0; i < n; i++) {
		end += r->stride;
		wrong |= (unsigned char)p[*end - delta] ^ (unsigned)'\n';
		if (r->crlf)
			wrong |= ((end[-1] + 1) ^ end[0]) |
				 ((unsigned char)p[end[-1] - delta] ^ (unsigned)'\r');
	}
	return wrong ? count_plain(r, p, o, n) : n;
}

enum stop {
	STOP_FULL, /* the batch is */
	STOP_ODD,  /* an odd record is next, or half of one */
	STOP_PART, /* all is taken but half a record */
};

static bool
is_full(const struct csv *r, size_t pos)
{
	return r->rows >= FL_BATCH_ROWS || pos >= FL_BATCH_BYTES || r->area.len >= FL_BATCH_BYTES;
}

/* Take the next n records, plain ones, to whose end the positions are there. */
static void
take_plain(struct csv *r, const char *p, size_t *pos, uint32_t n)
{
	const uint32_t *o = r->off.at + next_off(r) - 1;
	size_t bytes = o[(size_t)n * r->stride] - o[0];

	if (r->copied)
		fl_buf_put(&r->area, p + *pos, bytes);
	r->rows += n;
	*pos += bytes;
}

/* Take the plain records from p[*pos] on. */
static enum stop
plain_records(struct csv *r, const char *p, size_t *pos, size_t n, size_t *window)
{
	struct fl_scan scan = { .delta = r->copied ? (uint32_t)(r->area.len - *pos) : 0 };
	size_t at = *pos, found = 0;

	while (at < n && at - *pos <= r->record_max) {
		size_t to = n - at > *window ? at + *window : n;
		uint32_t candidates, good;

		scan.off = fl_positions_reserve(&r->off, next_off(r) + found,
						to - at + FL_SCAN_SLACK);
		at = fl_scan(&r->scanner, p, at, to, &scan);
		found = (size_t)(scan.off - r->off.at) - next_off(r);
		candidates = (uint32_t)(found / r->stride);
		if (candidates > FL_BATCH_ROWS - r->rows)
			candidates = FL_BATCH_ROWS - r->rows;
		good = check_plain(r, p + *pos, r->off.at + next_off(r) - 1, candidates, &scan,
				   n - *pos > r->record_max);
		take_plain(r, p, pos, good);
		found -= (size_t)good * r->stride;
		scan.newlines -= good;
		scan.returns -= r->crlf ? good : 0;
		r->unclean = r->unclean || (scan.returns && !r->crlf);
		if (is_full(r, *pos))
			return STOP_FULL;
		if (at < to || good < candidates || scan.newlines) {
			*window = WINDOW_MIN;
			return STOP_ODD;
		}
		*window = *window < WINDOW_MAX ? 2 * *window : WINDOW_MAX;
	}
	return at < n ? STOP_ODD : STOP_PART;
}

/* ---- odd records ---------------------------------------------------------- */

/* What became of a record. */
enum verdict {
	REC_OK,
	REC_BAD,  /* and why: reason */
	REC_SKIP, /* an empty line, or some */
	REC_PART, /* its end is not there yet */
	REC_LONG, /* longer than record_max */
	REC_WIDE, /* has more fields than the batch has columns, and may: not taken */
};

struct record {
	size_t end;     /* behind its last byte, the line end left out */
	size_t next;    /* where the next record begins */
	uint64_t lines; /* physical lines in it */
	char *reason;
	size_t reason_cap;
};

#define BAD(rec, ...) ((void)snprintf((rec)->reason, (rec)->reason_cap, __VA_ARGS__), REC_BAD)

/* From here on the batch's records lie in the area; those up to p[pos] are copied. */
static void
copy_batch(struct csv *r, const char *p, size_t pos)
{
	if (r->copied)
		return;
	r->copied = true;
	fl_buf_clear(&r->area);
	fl_buf_put(&r->area, p, pos);
	fl_buf_clear(&r->unclean_cols);
	memset(fl_buf_reserve(&r->unclean_cols, r->cols + 1), 0, r->cols);
}

static void
add_odd_value(struct csv *r, enum fl_tag tag)
{
	struct odd_value odd = { .row = r->rows, .column = r->fields, .tag = tag };

	fl_buf_put(&r->odd, &odd, sizeof odd);
}

/* The area has got the bytes of a field: a delimiter behind them ends it. */
static void
end_field(struct csv *r)
{
	*fl_positions_reserve(&r->off, next_off(r) + r->fields, 2) = (uint32_t)r->area.len;
	fl_buf_putc(&r->area, r->separator);
	r->fields++;
}

static void
put_field(struct csv *r, const char *p, size_t n)
{
	fl_buf_put(&r->area, p, n);
	if (!r->tsv && r->fields < r->cols && !fl_csv_plain(p, n, ','))
		r->unclean_cols.data[r->fields] = 1;
	end_field(r);
}

/* ---- libcsv's callbacks */

static void
on_field(void *p, size_t n, void *data)
{
	struct csv *r = data;

	if (p && n == 0) { /* "": the empty string */
		add_odd_value(r, FL_TAG_STRING);
		r->unclean = true;
	}
	put_field(r, p ? p : "", n);
}

static void
on_record(int c, void *data)
{
	struct csv *r = data;

	(void)c;
	r->record_ended = true;
}

static int
never(unsigned char c)
{
	(void)c;
	return 0;
}

static int
is_newline(unsigned char c)
{
	return c == '\n';
}

static int
is_return(unsigned char c)
{
	return c == '\r';
}

/* libcsv ready for a new record, whatever was before. */
static void
reset_parser(struct csv *r)
{
	csv_free(&r->parser);
	(void)csv_init(&r->parser, CSV_STRICT | CSV_STRICT_FINI | CSV_EMPTY_IS_NULL);
	csv_set_delim(&r->parser, (unsigned char)r->separator);
	csv_set_realloc_func(&r->parser, fl_xrealloc);
	csv_set_blk_size(&r->parser, FL_KIB(4));
	csv_set_space_func(&r->parser, never); /* spaces are data */
}

/* Show libcsv some bytes in which a record may end at c only; false: no CSV. */
static bool
feed(struct csv *r, const char *p, size_t n, int (*c)(unsigned char))
{
	csv_set_term_func(&r->parser, c);
	return csv_parse(&r->parser, p, n, on_field, on_record, r) == n;
}

/*
 * One line, with its end. Only at the line's end is a CR shown to libcsv as
 * what may end a record, so elsewhere it is data.
 */
static bool
feed_line(struct csv *r, const char *p, size_t pos, const struct fl_line *line)
{
	size_t newline = line->next > line->end && p[line->next - 1] == '\n';
	size_t ret = line->next - line->end - newline;

	if (!feed(r, p + pos, line->end - pos, is_newline))
		return false;
	if (ret && !feed(r, "\r", 1, is_return))
		return false;
	return r->record_ended || !newline || feed(r, "\n", 1, is_newline);
}

/* Where libcsv has stopped there is a quote too many. */
static enum verdict
misplaced_quote(struct csv *r, struct record *rec)
{
	bool quoted = r->parser.quoted;

	reset_parser(r);
	if (quoted)
		return BAD(rec, "field %" PRIu32 " goes on behind its closing quote",
			   r->fields + 1);
	return BAD(rec, "a quote inside field %" PRIu32 ", which does not begin with one",
		   r->fields + 1);
}

/* A record with a quote in it: libcsv's. */
static enum verdict
parse_quoted(struct csv *r, const char *p, size_t pos, size_t n, bool at_end, struct record *rec)
{
	uint64_t opened = 1; /* the line on which the last field began */
	struct fl_line line;
	size_t at = pos;

	r->record_ended = false;
	for (rec->lines = 1;; rec->lines++, at = line.next) {
		uint32_t before = r->fields;

		if (!fl_line_at(p, at, n, at_end, &line)) {
			reset_parser(r);
			return REC_PART;
		}
		rec->end = line.end;
		rec->next = line.next;
		if (!feed_line(r, p, at, &line))
			return misplaced_quote(r, rec);
		if (r->record_ended)
			return REC_OK;
		if (r->fields != before)
			opened = rec->lines;
		if (line.next < n)
			continue;
		if (!at_end) {
			reset_parser(r);
			return REC_PART;
		}
		if (csv_fini(&r->parser, on_field, on_record, r) == 0)
			return REC_OK;
		reset_parser(r);
		return BAD(rec,
			   "the quote that opens field %" PRIu32 " on line %" PRIu64
			   " is never closed",
			   r->fields + 1, r->base.line + r->rows + opened - 1);
	}
}

/* A TSV field with backslashes: what is no escape stays as it is. */
static void
put_escaped(struct csv *r, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char c = p[i], next = i + 1 < n ? p[i + 1] : 0;

		if (c == '\\' && (next == 't' || next == 'n' || next == 'r' || next == '\\')) {
			c = next == 't' ? '\t' : next == 'n' ? '\n' : next == 'r' ? '\r' : '\\';
			i++;
		}
		fl_buf_putc(&r->area, c);
	}
	end_field(r);
}

/* A line without quotes, or of TSV. */
static void
split_line(struct csv *r, const char *p, size_t n)
{
	for (;;) {
		const char *sep = memchr(p, r->separator, n);
		size_t len = sep ? (size_t)(sep - p) : n;

		if (r->tsv && memchr(p, '\\', len))
			put_escaped(r, p, len);
		else
			put_field(r, p, len);
		if (!sep)
			return;
		p += len + 1;
		n -= len + 1;
	}
}

/* An empty line of a file that has several columns. */
static enum verdict
empty_line(struct csv *r, const char *p, size_t pos, size_t n, bool at_end, struct record *rec)
{
	struct fl_line line;
	size_t at = pos;

	if (r->allow_ragged && r->base.width)
		return REC_SKIP;
	for (rec->lines = 0; at < n; rec->lines++, at = line.next) {
		if (!fl_line_at(p, at, n, at_end, &line))
			return REC_PART;
		if (line.end > at)
			break;
	}
	if (at == n && !at_end)
		return REC_PART;
	if (at == n) {
		rec->next = n;
		return REC_SKIP;
	}
	rec->lines = 1;
	return r->base.width ? BAD(rec, "expected %" PRIu32 " fields, found an empty line", r->base.width)
			: BAD(rec, "an empty line");
}

/*
 * The record at p[pos], whatever it is: its fields' contents go into the area
 * and r->fields is their number.
 */
static enum verdict
parse_record(struct csv *r, const char *p, size_t pos, size_t n, bool at_end, struct record *rec)
{
	size_t max = pos + r->record_max + 2;
	bool cut = n > max;
	enum verdict v = REC_OK;
	struct fl_line line;

	r->fields = 0;
	if (cut) {
		n = max;
		at_end = false;
	}
	if (!fl_line_at(p, pos, n, at_end, &line))
		return fl_part_too_long(n - pos, r->record_max) ? REC_LONG : REC_PART;
	*rec = (struct record){ line.end, line.next, 1, rec->reason, rec->reason_cap };
	if (line.end == pos && r->base.width != 1)
		v = empty_line(r, p, pos, n, at_end, rec);
	else if (!r->tsv && memchr(p + pos, '"', line.end - pos))
		v = parse_quoted(r, p, pos, n, at_end, rec);
	else
		split_line(r, p + pos, line.end - pos);
	if (v == REC_PART ? n - pos > r->record_max + 1 : rec->end - pos > r->record_max)
		return REC_LONG;
	return v;
}

/* Whether an odd record has as many fields as it should, made so if it may. */
static enum verdict
fit_record(struct csv *r, struct record *rec)
{
	if (r->fields > r->cols && r->allow_ragged)
		return REC_WIDE;
	if (r->fields != r->cols && !r->allow_ragged)
		return BAD(rec, "expected %" PRIu32 " field%s, found %" PRIu32, r->cols,
			   r->cols == 1 ? "" : "s", r->fields);
	while (r->fields < r->cols) {
		add_odd_value(r, FL_TAG_ABSENT);
		end_field(r);
	}
	r->area.data[r->area.len - 1] = '\n';
	if (r->crlf) {
		r->area.data[r->area.len - 1] = '\r';
		end_field(r);
		r->area.data[r->area.len - 1] = '\n';
	}
	return REC_OK;
}

/* Take one record the long way. Unless it is REC_OK, nothing has changed. */
static enum verdict
odd_record(struct csv *r, const char *p, size_t pos, size_t n, bool at_end, struct record *rec)
{
	size_t area, odd = r->odd.len;
	enum verdict v;

	copy_batch(r, p, pos);
	area = r->area.len;
	v = parse_record(r, p, pos, n, at_end, rec);
	if (v == REC_OK)
		v = fit_record(r, rec);
	if (v == REC_OK) {
		r->rows++;
		return v;
	}
	r->area.len = area;
	r->odd.len = odd;
	return v;
}

/* ---- batches ---------------------------------------------------------------- */

static void
begin_batch(struct csv *r, const char *p, size_t n, uint32_t cols)
{
	struct fl_line line;

	r->piece = p;
	r->copied = false;
	r->unclean = false;
	r->rows = 0;
	r->extra_lines = 0;
	r->cols = cols;
	r->crlf = fl_line_at(p, 0, n, false, &line) && line.next - line.end == 2;
	r->stride = cols + r->crlf;
	r->scanner.return_on = r->crlf ? ~(uint64_t)0 : 0;
	fl_buf_clear(&r->odd);
	fl_buf_clear(&r->area);
	*fl_positions_reserve(&r->off, 0, 2) = UINT32_MAX;
}

/* One array of tags for each column that has odd values. */
static void
fill_tags(struct csv *r)
{
	const struct odd_value *odd = (const void *)r->odd.data;
	size_t count = r->odd.len / sizeof *odd;
	uint32_t *slot, used = 0;
	uint8_t *tags;

	if (!count)
		return;
	fl_buf_clear(&r->slots);
	slot = (uint32_t *)(void *)fl_buf_reserve(&r->slots, r->cols * sizeof *slot);
	memset(slot, 0, r->cols * sizeof *slot);
	for (size_t i = 0; i < count; i++)
		if (!slot[odd[i].column])
			slot[odd[i].column] = ++used;
	fl_buf_clear(&r->tags);
	tags = (uint8_t *)fl_buf_reserve(&r->tags, (size_t)used * r->rows);
	memset(tags, FL_TAG_PLAIN, (size_t)used * r->rows);
	for (size_t i = 0; i < count; i++)
		tags[(size_t)(slot[odd[i].column] - 1) * r->rows + odd[i].row] =
			(uint8_t)odd[i].tag;
	for (uint32_t c = 0; c < r->cols; c++)
		if (slot[c])
			r->vec[c].tags = tags + (size_t)(slot[c] - 1) * r->rows;
}

static void
finish_batch(struct csv *r, size_t taken, struct fl_batch *b)
{
	bool clean = r->separator == ',' && !r->unclean;
	struct fl_vec v = {
		.kind = FL_TEXT,
		.tag = FL_TAG_PLAIN,
		.stride = r->stride,
		.gap = 1,
		.bytes = r->copied ? r->area.data : r->piece,
		.bytes_len = r->copied ? r->area.len : taken,
	};

	*b = (struct fl_batch){ .rows = r->rows, .line = r->base.line };
	if (!r->rows)
		return;
	if (r->cols > r->vec_cap) {
		r->vec_cap = r->cols;
		r->vec = fl_xreallocarray(r->vec, r->vec_cap, sizeof *r->vec);
	}
	for (uint32_t c = 0; c < r->cols; c++) {
		v.off = r->off.at + c;
		v.clean = clean && !(r->copied && r->unclean_cols.data[c]);
		r->vec[c] = v;
	}
	fill_tags(r);
	b->cols = r->cols;
	b->col = r->vec;
}

/* Columns for a record of that many fields: the new ones are called by their number. */
static int
widen(struct csv *r, uint32_t fields, struct fl_err *err)
{
	while (r->names.header.column_count < fields)
		if (fl_names_add_unique(&r->names, "", 0, err) < 0)
			return err->code;
	return 0;
}

/*
 * Records from p[*pos] on into the batch. Ends with the verdict on the record at
 * *pos, which is not taken: REC_OK if there is nothing wrong with it.
 */
static enum verdict
fill_batch(struct csv *r, const char *p, size_t *pos, size_t n, bool at_end, struct record *rec)
{
	size_t window = WINDOW_MAX;

	while (*pos < n && !is_full(r, *pos)) {
		enum stop stop = plain_records(r, p, pos, n, &window);
		enum verdict v;

		if (stop == STOP_FULL || *pos == n)
			break;
		if (stop == STOP_PART && !at_end && !fl_part_too_long(n - *pos, r->record_max))
			return REC_PART;
		if (!r->copied && r->rows >= ROWS_WORTH)
			break;
		v = odd_record(r, p, *pos, n, at_end, rec);
		if (v != REC_OK)
			return v;
		*pos = rec->next;
		r->extra_lines = rec->lines - 1;
		if (r->extra_lines)
			break;
	}
	return REC_OK;
}

/* Hand out the batch, which ends at p[pos], and what is wrong with the record there. */
static int
settle(struct csv *r, const char *p, size_t pos, enum verdict v, const struct record *rec,
       struct fl_read_result *ret, struct fl_err *err)
{
	if (v == REC_LONG && r->rows == 0)
		return fl_record_too_long(r->base.line, r->record_max, err);
	finish_batch(r, pos, &ret->batch);
	r->base.line += r->rows + r->extra_lines;
	ret->taken = pos;
	if (v != REC_BAD && v != REC_SKIP)
		return 0;
	ret->has_bad = v == REC_BAD;
	ret->bad.line = r->base.line;
	ret->bad.text = p + pos;
	ret->bad.len = rec->end - pos;
	ret->taken = rec->next;
	r->base.line += rec->lines;
	return 0;
}

/* The first record of a text without a header line says how many columns there are. */
static enum verdict
count_columns(struct csv *r, const char *p, size_t n, bool at_end, struct record *rec)
{
	enum verdict v;

	begin_batch(r, p, n, 0);
	copy_batch(r, p, 0);
	v = parse_record(r, p, 0, n, at_end, rec);
	begin_batch(r, p, n, 0);
	return v;
}

static int
read_records(struct csv *r, const char *p, size_t n, bool at_end, struct fl_read_result *ret,
	     struct fl_err *err)
{
	struct record rec = { .reason = ret->bad.reason, .reason_cap = sizeof ret->bad.reason };
	enum verdict v;
	size_t pos = 0;

	if (!r->base.width) {
		v = count_columns(r, p, n, at_end, &rec);
		if (v != REC_OK)
			return settle(r, p, 0, v, &rec, ret, err);
		if (widen(r, r->fields, err) < 0)
			return err->code;
		r->base.width = r->fields;
	}
	begin_batch(r, p, n, r->base.width);
	v = fill_batch(r, p, &pos, n, at_end, &rec);
	if (v == REC_WIDE && r->rows == 0) {
		uint32_t cols = r->fields;

		if (widen(r, cols, err) < 0)
			return err->code;
		begin_batch(r, p, n, cols);
		v = fill_batch(r, p, &pos, n, at_end, &rec);
	}
	return settle(r, p, pos, v, &rec, ret, err);
}

/* ---- the beginning of a file ------------------------------------------------- */

/* The record in the area as column names. */
static int
take_names(struct csv *r, struct fl_names *names, struct fl_err *err)
{
	for (uint32_t f = 0; f < r->fields; f++) {
		uint32_t start = r->off.at[f] + 1;

		if (fl_names_add_unique(names, r->area.data + start, r->off.at[f + 1] - start,
					err) < 0)
			return err->code;
	}
	return 0;
}

/* A further file has to have the same columns. */
static int
compare_names(const struct csv *r, const struct fl_names *names, struct fl_err *err)
{
	const struct fl_column *a = r->names.header.columns, *b = names->header.columns;

	if (names->header.column_count != r->base.width)
		return fl_fail(err, FL_EDATA,
			       "the header line has %" PRIu32
			       " columns, that of the first file %" PRIu32,
			       names->header.column_count, r->base.width);
	for (uint32_t c = 0; c < r->base.width; c++)
		if (a[c].name_len != b[c].name_len ||
		    memcmp(a[c].name, b[c].name, a[c].name_len) != 0)
			return fl_fail(err, FL_EDATA,
				       "column %" PRIu32 " is \"%.200s\" in the header line, "
				       "but \"%.200s\" in that of the first file",
				       c + 1, b[c].name, a[c].name);
	return 0;
}

static int
learn_names(struct csv *r, struct fl_err *err)
{
	struct fl_names names;
	int rc;

	if (!r->base.width) {
		rc = take_names(r, &r->names, err);
		r->base.width = r->fields;
		return rc;
	}
	fl_names_init(&names);
	rc = take_names(r, &names, err);
	if (rc == 0)
		rc = compare_names(r, &names, err);
	fl_names_release(&names);
	return rc;
}

/* The header line at p[pos]: *ret_next is what is behind it, or 0 if it is not there yet. */
static int
read_header(struct csv *r, const char *p, size_t pos, size_t n, bool at_end, size_t *ret_next,
	    struct fl_err *err)
{
	char reason[sizeof((struct fl_bad *)0)->reason];
	struct record rec = { .reason = reason, .reason_cap = sizeof reason };
	enum verdict v;

	*ret_next = 0;
	begin_batch(r, p, n, 0);
	copy_batch(r, p, 0);
	v = parse_record(r, p, pos, n, at_end, &rec);
	if (v == REC_PART)
		return 0;
	if (v == REC_LONG)
		return fl_record_too_long(1, r->record_max, err);
	if (rec.end == pos)
		return fl_fail(err, FL_EDATA, "line 1: the header line is empty");
	if (v == REC_BAD)
		return fl_fail(err, FL_EDATA, "line 1: in the header line: %s%s", reason,
			       fl_format_guess(p + pos, rec.end - pos, r->base.type->name));
	if (learn_names(r, err) < 0)
		return fl_wrap(err, "line 1");
	*ret_next = rec.next;
	r->base.line = 1 + rec.lines;
	return 0;
}

/*
 * What comes before the records, if this is the beginning of a file. false: more
 * of the text is needed; or *rc says what is wrong.
 */
static bool
read_head(struct csv *r, const char *p, size_t n, bool at_end, size_t *ret_head, int *rc,
	  struct fl_err *err)
{
	int bom;

	*rc = 0;
	*ret_head = 0;
	if (!r->base.file_start)
		return true;
	bom = fl_bom_at(p, n, at_end);
	if (bom < 0)
		return false;
	if (n >= 2 && (memcmp(p, "\xff\xfe", 2) == 0 || memcmp(p, "\xfe\xff", 2) == 0)) {
		*rc = fl_fail(err, FL_EDATA, "the text is UTF-16; make it UTF-8 first (iconv)");
		return false;
	}
	*ret_head = (size_t)bom;
	if (!r->implicit_header && n > (size_t)bom) {
		*rc = read_header(r, p, (size_t)bom, n, at_end, ret_head, err);
		if (*rc < 0 || *ret_head == 0)
			return false;
	}
	r->base.file_start = !(r->implicit_header || n > (size_t)bom || at_end);
	return !r->base.file_start;
}

static int
csv_read(struct fl_reader *reader, const char *p, size_t n, bool at_end, struct fl_read_result *ret,
	 struct fl_err *err)
{
	struct csv *r = (struct csv *)reader;
	size_t head;
	int rc;

	ret->batch = (struct fl_batch){ .rows = 0 };
	ret->taken = 0;
	ret->has_bad = false;
	if (!read_head(r, p, n, at_end, &head, &rc, err))
		return rc;
	rc = n > head ? read_records(r, p + head, n - head, at_end, ret, err) : 0;
	ret->taken += head;
	return rc;
}

static void
csv_file(struct fl_reader *reader)
{
	struct csv *r = (struct csv *)reader;

	r->base.line = 1;
	r->base.file_start = true;
	reset_parser(r);
}

static const struct fl_header *
csv_columns(const struct fl_reader *reader)
{
	return fl_names_header(&((const struct csv *)reader)->names);
}

static int
csv_add_column(struct fl_reader *reader, const char *name, size_t len, struct fl_err *err)
{
	return fl_names_add(&((struct csv *)reader)->names, name, len, err);
}

static void
csv_destroy(struct fl_reader *reader)
{
	struct csv *r = (struct csv *)reader;

	csv_free(&r->parser);
	fl_names_release(&r->names);
	fl_buf_release(&r->area);
	fl_buf_release(&r->odd);
	fl_buf_release(&r->unclean_cols);
	fl_buf_release(&r->slots);
	fl_buf_release(&r->tags);
	free(r->off.at);
	free(r->vec);
	free(r);
}

static struct csv *
create(const struct fl_reader_options *o, char separator, int stop)
{
	struct csv *r = fl_xcalloc(1, sizeof *r);

	r->implicit_header = o->implicit_header;
	r->allow_ragged = o->allow_ragged;
	r->separator = separator;
	r->record_max = fl_record_max(o->record_max);
	fl_scanner_init(&r->scanner, separator, stop, FL_SCAN_LEVELS);
	fl_names_init(&r->names);
	(void)csv_init(&r->parser, CSV_STRICT);
	csv_file(&r->base);
	return r;
}

static struct fl_reader *
csv_create(const struct fl_reader_options *o, struct fl_err *err)
{
	char separator = o->separator ? o->separator : ',';
	struct csv *r;

	if (separator == '"' || separator == '\n' || separator == '\r') {
		(void)fl_fail(err, FL_EUSAGE, "--ifs: a quote or line end cannot separate fields");
		return NULL;
	}
	r = create(o, separator, '"');
	r->base.type = &fl_csv_reader;
	return &r->base;
}

static struct fl_reader *
tsv_create(const struct fl_reader_options *o, struct fl_err *err)
{
	struct csv *r = create(o, '\t', '\\');

	(void)err;
	r->base.type = &fl_tsv_reader;
	r->tsv = true;
	return &r->base;
}

const struct fl_reader_type fl_csv_reader = {
	.name = "csv",
	.create = csv_create,
	.file = csv_file,
	.read = csv_read,
	.columns = csv_columns,
	.add_column = csv_add_column,
	.destroy = csv_destroy,
};

const struct fl_reader_type fl_tsv_reader = {
	.name = "tsv",
	.create = tsv_create,
	.file = csv_file,
	.read = csv_read,
	.columns = csv_columns,
	.add_column = csv_add_column,
	.destroy = csv_destroy,
};
