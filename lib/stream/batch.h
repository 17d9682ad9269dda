/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches: some thousands of records, column by column.
 *
 * Concepts
 *   Decoded input stays the text that it was. A TEXT column does not own one
 *   string a value; it is a view of an area of bytes:
 *
 *	value i is  bytes[ off[i * stride] + gap .. off[i * stride + 1] )
 *
 *   One formula covers every way in which text lies around:
 *     - packed            stride 1, gap 0   (off has one entry more than rows)
 *     - delimited lines   stride = fields of a line, gap 1: off holds the
 *                         positions of the delimiters themselves, as the CSV
 *                         scanner found them; column c starts at off + c
 *     - scattered (JSON)  stride 2 * fields, gap 0: pairs of start and end
 *     - one constant      stride 0
 *   off[0] of delimited lines is "one before the first byte", 0xffffffff at
 *   the start of the area; off + gap wraps to 0 (uint32_t arithmetic).
 *
 *   Other kinds are fixed width and come from computation.
 *
 * Missing values
 *   tags, where not NULL, holds one enum fl_tag a value; else tag holds for
 *   all. A value is NULL iff its tag is FL_TAG_NULL or FL_TAG_ABSENT, or it
 *   is TEXT of tag FL_TAG_PLAIN and empty (an unquoted empty CSV field).
 *
 * Ownership
 *   A vector or batch borrows everything it points to. What fl_op's on_batch
 *   is given lives until it returns.
 */
#ifndef FL_STREAM_BATCH_H
#define FL_STREAM_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

enum fl_kind {
	FL_TEXT = 0, /* bytes; what a value is, its tag says */
	FL_INT64,    /* int64_t */
	FL_DECIMAL,  /* struct fl_dec: exact, or a double beyond 38 digits */
	FL_DOUBLE,   /* double */
	FL_BOOL,     /* uint8_t 0 or 1 */
	FL_TIME,     /* int64_t, milliseconds since the epoch */
	FL_KINDS
};

enum fl_tag {
	FL_TAG_PLAIN = 0, /* TEXT without a type (CSV): a number where all of it
	                     is one, NULL where empty. Fixed width: a value */
	FL_TAG_STRING,    /* a string, also when it is empty or looks like a number */
	FL_TAG_NUMBER,    /* the text of a JSON number */
	FL_TAG_BOOL,      /* true or false */
	FL_TAG_NULL,      /* there, and null; no bytes */
	FL_TAG_ABSENT,    /* not there (JSON: the key is missing); no bytes */
	FL_TAG_OBJECT,    /* the text of a JSON object */
	FL_TAG_ARRAY,     /* the text of a JSON array */
	FL_TAGS
};

/*
 * A decimal: value = (hi:lo as a signed 128-bit integer) / 10^scale, or, where
 * scale is FL_DEC_DOUBLE, the bits of a double in lo. Compare and compute with
 * stream/number.h only.
 */
#define FL_DEC_DOUBLE 255u
#define FL_DEC_DIGITS_MAX 38
struct fl_dec {
	uint64_t lo;
	int64_t hi;
	uint32_t scale; /* decimal places 0..38, or FL_DEC_DOUBLE */
	uint32_t zero;  /* 0 */
};

struct fl_vec {
	uint8_t kind;        /* enum fl_kind */
	uint8_t tag;         /* enum fl_tag of all values, where tags is NULL */
	bool clean;          /* TEXT: no value has a quote, comma, CR or LF, or is a
	                        STRING of length 0: CSV needs no quotes */
	uint32_t stride;     /* TEXT: see above */
	uint32_t gap;        /* TEXT: 0 or 1 */
	const uint8_t *tags; /* one a value, or NULL */
	const char *bytes;   /* TEXT: the area */
	size_t bytes_len;    /* TEXT: its size */
	const uint32_t *off; /* TEXT: positions, each <= bytes_len */
	union {              /* fixed width: one element a value */
		const void *data;
		const int64_t *i64; /* INT64, TIME */
		const struct fl_dec *dec;
		const double *f64;
		const uint8_t *b;
	};
};

/* TEXT: where value i lies. */
static inline const char *
fl_text(const struct fl_vec *v, size_t i, size_t *ret_len)
{
	const uint32_t *o = v->off + i * v->stride;
	uint32_t start = o[0] + v->gap;

	*ret_len = o[1] - start;
	return v->bytes + start;
}

static inline enum fl_tag
fl_tag_of(const struct fl_vec *v, size_t i)
{
	return (enum fl_tag)(v->tags ? v->tags[i] : v->tag);
}

/* Whether value i is NULL (or absent). */
static inline bool
fl_is_null(const struct fl_vec *v, size_t i)
{
	enum fl_tag tag = fl_tag_of(v, i);
	size_t n;

	if (tag == FL_TAG_PLAIN && v->kind == FL_TEXT) {
		(void)fl_text(v, i, &n);
		return n == 0;
	}
	return tag == FL_TAG_NULL || tag == FL_TAG_ABSENT;
}

/* The changelog's row kinds, in Flink's order. */
enum fl_rowkind { FL_INSERT = 0, FL_UPDATE_BEFORE, FL_UPDATE_AFTER, FL_DELETE };

/* How the watermark in force before each record of a batch is known. */
enum fl_wm_mode {
	FL_WM_CONST = 0, /* wm_first for all records */
	FL_WM_DELAY,     /* max(wm_first, max(time of the records before) - wm_delay - 1) */
	FL_WM_COLUMN,    /* wm[i] */
};

struct fl_batch {
	uint32_t rows;
	uint32_t cols;
	struct fl_vec *col;  /* as the header's columns; trailing columns that the
	                        header has and the batch has not are absent */
	const int64_t *time; /* event time of each record in ms, or NULL */
	const uint8_t *op;   /* enum fl_rowkind of each record; NULL: all +I */
	enum fl_wm_mode wm_mode;
	int64_t wm_first;  /* watermark before the first record */
	int64_t wm_delay;  /* FL_WM_DELAY */
	const int64_t *wm; /* FL_WM_COLUMN */
	uint64_t line;     /* line of the first record in its file, 0: not known */
};

/* a - b - 1 for watermarks, without wrapping. */
static inline int64_t
fl_wm_of(int64_t time, int64_t delay)
{
	int64_t wm;

	if (__builtin_sub_overflow(time, delay, &wm) || wm == INT64_MIN)
		return INT64_MIN;
	return wm - 1;
}

/*
 * The watermark in force before each record: b->wm, or computed into scratch
 * (grown as needed, valid until it is used again). Flink: a record is behind
 * the watermark iff time <= wm.
 */
const int64_t *fl_batch_wm(const struct fl_batch *b, struct fl_buf *scratch);

/*
 * The watermark behind the last record, as far as the batch tells it (DELAY: all
 * of it; else what was in force before the last record).
 */
int64_t fl_batch_wm_last(const struct fl_batch *b);

/*
 * The column of index c; one that the batch does not have (JSONL that grew a
 * key later) is given as all absent.
 */
static inline const struct fl_vec *
fl_batch_col(const struct fl_batch *b, uint32_t c)
{
	static const uint32_t none[2] = { 0, 0 };
	static const struct fl_vec absent = {
		.kind = FL_TEXT, .tag = FL_TAG_ABSENT, .clean = true, .bytes = "", .off = none
	};

	return c < b->cols ? &b->col[c] : &absent;
}

/*
 * A batch under construction. Columns are filled value by value, or given as
 * finished vectors; rows must agree at the end.
 *
 *	fl_build_init(&w, cols);
 *	  per row: one fl_put_* a column, in any order; fl_build_row(&w, time, wm)
 *	fl_build_view(&w)  -> a struct fl_batch that borrows from w
 *	fl_build_clear(&w) -> empty, storage kept
 *	fl_build_release(&w)
 *
 * A column takes its kind from the first value put after a clear; a value of
 * another kind turns it into the one that holds both (INT64 with DECIMAL or
 * DOUBLE gives DECIMAL, anything with text gives TEXT).
 */
struct fl_colbuf {
	uint8_t kind;
	uint8_t tag; /* of all values so far, where !tagged */
	bool any;    /* a value that is not NULL was put */
	bool tagged; /* tags is in use */
	bool clean;
	uint32_t rows;
	struct fl_buf bytes; /* TEXT */
	struct fl_buf data;  /* TEXT: ends (uint32_t, off[0] = 0); else elements */
	struct fl_buf tags;
};

struct fl_build {
	uint32_t rows;
	uint32_t cols;
	struct fl_colbuf *col;
	struct fl_vec *vec; /* what fl_build_view hands out */
	struct fl_buf time, wm, op;
	bool timed;     /* rows carry a time */
	bool changelog; /* rows carry a row kind */
	struct fl_batch view;
};

void fl_build_init(struct fl_build *w, uint32_t cols);
void fl_build_resize(struct fl_build *w, uint32_t cols); /* only more, only while empty */
void fl_build_clear(struct fl_build *w);
void fl_build_release(struct fl_build *w);
size_t fl_build_bytes(const struct fl_build *w); /* about how large it has become */

void fl_put_text(struct fl_colbuf *c, const char *p, size_t n, enum fl_tag tag);

/* Whether CSV needs no quotes around a text, empty strings aside: struct fl_vec's clean. */
bool fl_text_is_clean(const char *p, size_t n);

/* fl_put_text where that is known; clean false: it does, or that is not known. */
static inline void
fl_put_text_known(struct fl_colbuf *c, const char *p, size_t n, enum fl_tag tag, bool clean)
{
	uint32_t end;

	if (c->kind != FL_TEXT || c->rows == 0 || !c->any || c->tagged || c->tag != tag) {
		fl_put_text(c, p, n, tag);
		return;
	}
	c->clean = c->clean && clean && (n || tag != FL_TAG_STRING);
	fl_buf_put(&c->bytes, p, n);
	fl_assert(c->bytes.len <= UINT32_MAX);
	end = (uint32_t)c->bytes.len;
	fl_buf_put(&c->data, &end, sizeof end);
	c->rows++;
}

void fl_put_int(struct fl_colbuf *c, int64_t v);
void fl_put_time(struct fl_colbuf *c, int64_t ms);
void fl_put_double(struct fl_colbuf *c, double v);
void fl_put_bool(struct fl_colbuf *c, bool v);
void fl_put_dec(struct fl_colbuf *c, const struct fl_dec *v); /* INT64 where it is one */
void fl_put_null(struct fl_colbuf *c);
void fl_put_value(struct fl_colbuf *c, const struct fl_vec *v, size_t i); /* any kind */

void fl_put_times(struct fl_colbuf *c, int64_t ms, uint32_t n); /* the same n times */
void fl_put_time_list(struct fl_colbuf *c, const int64_t *ms, uint32_t n);

/* End a row: time is ignored unless w->timed, op unless w->changelog. */
void fl_build_row(struct fl_build *w, int64_t time, int64_t wm, enum fl_rowkind op);
void fl_build_rows(struct fl_build *w, uint32_t n, int64_t time, int64_t wm, enum fl_rowkind op);
struct fl_batch *fl_build_view(struct fl_build *w);

/*
 * The records rows[0..n) of b (indexes in order) as a batch of their own, each
 * with the watermark that was in force before it. No text is copied: the areas
 * stay those of b. Everything else lies in *pool, until it is used again.
 */
void fl_batch_select(const struct fl_batch *b, const uint32_t *rows, uint32_t n,
		     struct fl_buf *pool, struct fl_batch *ret);

/*
 * The records from .. from+n of b as a batch of their own, in the time that it takes
 * to copy cols descriptions. wm: what fl_batch_wm gave for b. Everything borrows from
 * b, wm and *vec, which has room for b->cols.
 */
void fl_batch_slice(const struct fl_batch *b, const int64_t *wm, uint32_t from, uint32_t n,
		    struct fl_vec *vec, struct fl_batch *ret);

#endif
