/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON Lines: one object a line, its keys the columns.
 *
 * What is read
 *   A record is a line that holds one JSON object and white space. Lines of
 *   white space are skipped. A line feed ends a line, a carriage return before
 *   it does not matter; so does a byte order mark at the start of a file.
 *   Every record is validated whole, however little of it is used. Numbers of
 *   any size are read. \u0000 in a string is a character like others; in a key
 *   it is a bad record, as are escaped halves of surrogate pairs, where
 *   simdjson refuses them. Of equal keys the last one counts.
 *
 * Values
 *   Numbers, true, false, objects and arrays are their own text. A string is
 *   what lies between its quotes, and so also a view of the input; only where
 *   a string of a column has escapes in a batch, that column gets an area of
 *   its own in which all its values are packed.
 *
 * How
 *   The text goes through simdjson in spans of many lines (json_walk.h), as
 *   each call has its price. Where something is wrong with a span's bytes, a
 *   smaller one is tried, down to the line with the fault; after a bad record
 *   spans are as short as what was good before it, and grow again. So a file
 *   full of bad records costs a line's work for a line.
 *
 *   Records mostly have the keys of the record before them, in its order (the
 *   "shape"). So a key is first compared with the one at its place there; then
 *   with the one that followed its predecessor last time; and only then looked
 *   up by its hash.
 *
 *   Positions lie in a table, cells, of one row a record and two numbers a
 *   column: start and end of the value in the piece of input.
 */
#define _GNU_SOURCE /* memrchr */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "format/formats.h"
#include "format/json_walk.h"
#include "format/lines.h"

/* Text that goes through simdjson at once, unless a line is longer. */
#define SPAN_MAX FL_KIB(64)
#define SPAN_MIN ((size_t)64)

/*
 * Values of a batch: where each record brings new keys, rows and columns both
 * grow, and their product must not.
 */
#define BATCH_VALUES ((size_t)1 << 20)

/* The longest record, whatever --max-record says: positions are 32 bits. */
#define RECORD_LIMIT (FL_JSON_MAX - 2 * FL_BATCH_BYTES)

#define NO_KEY UINT32_MAX
#define NO_TAG 0xff

/* A key of the file: a column, and how its values in this batch look. */
struct key {
	uint64_t head, tail; /* the first and last bytes of the name and a quote */
	uint64_t mask;       /* the bytes of both that count; 0: a long name */
	uint32_t tail_at;    /* where tail begins in the name */
	const char *name;    /* the header's */
	uint32_t len;
	bool plain;    /* the name stands in JSON as it is: no quote, no backslash */
	uint8_t tag;   /* of all values so far, or NO_TAG */
	bool mixed;    /* tags is in use, one a row */
	bool escaped;  /* a value lies in the unescaped strings */
	uint32_t next; /* the key that followed it last time */
	uint32_t seen; /* the record (serial) that had it last */
	uint64_t hash;
	struct fl_buf tags;
	struct fl_buf bytes, ends; /* if escaped: the packed values */
};

struct jsonl {
	struct fl_reader base;
	struct fl_json_walk walk;
	size_t record_max;
	size_t span;     /* bytes to try next */

	struct fl_header header; /* the columns; key[i] belongs to column i */
	struct key *key;
	uint32_t key_cap;
	uint32_t *table;     /* open addressing: indexes of keys, or NO_KEY */
	uint32_t table_size; /* a power of two */
	uint64_t seed;

	uint32_t *shape;      /* the keys of the last record, in order */
	uint32_t *shape_next; /* the same of the present one, where it differs */
	uint32_t shape_len;
	uint32_t *absent; /* the keys that the last record did not have */
	uint32_t absent_len;
	uint32_t serial;

	uint32_t *cells;
	size_t cells_cap; /* elements */
	uint32_t width;   /* columns that a row of cells has room for */
	uint32_t rows;
	uint32_t rows_max; /* rows that fit into cells */
	const char *piece; /* what cells are positions of */
	struct fl_vec *vec;
	uint32_t vec_cap;
};

/* ---- keys ------------------------------------------------------------- */

static uint64_t
load8(const char *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof x);
	return x;
}

/*
 * Names of up to 15 bytes, together with the quote behind them, are compared
 * as two words that may overlap.
 */
static void
key_init(struct key *k, const char *name, size_t len, uint64_t hash)
{
	char head[16] = { 0 };

	*k = (struct key){ .name = name,
			   .len = (uint32_t)len,
			   .tag = FL_TAG_ABSENT,
			   .next = NO_KEY,
			   .hash = hash };
	k->plain = !memchr(name, '"', len) && !memchr(name, '\\', len);
	if (len >= sizeof head || !k->plain)
		return;
	memcpy(head, name, len);
	head[len] = '"';
	k->tail_at = len < 8 ? 0 : (uint32_t)len - 7;
	k->head = load8(head);
	k->tail = load8(head + k->tail_at);
	memset(head, 0xff, len + 1);
	k->mask = load8(head);
}

static void
key_release(struct key *k)
{
	fl_buf_release(&k->tags);
	fl_buf_release(&k->bytes);
	fl_buf_release(&k->ends);
}

/* Whether the next token, a quote, begins the key k. */
static inline bool
key_is_next(const struct key *k, const struct fl_json_walk *w)
{
	const char *p = w->p + *w->i + 1;

	if (k->mask)
		return (((load8(p) ^ k->head) | (load8(p + k->tail_at) ^ k->tail)) & k->mask) == 0;
	return k->plain && k->len + 1 < w->i[1] - *w->i && memcmp(p, k->name, k->len) == 0 &&
	       p[k->len] == '"';
}

/* The slot of the key so named, or the free one where it belongs. */
static uint32_t *
table_slot(const struct jsonl *r, const char *name, size_t len, uint64_t hash)
{
	uint32_t mask = r->table_size - 1, at = (uint32_t)hash & mask;

	for (;; at = (at + 1) & mask) {
		const struct key *k;

		if (r->table[at] == NO_KEY)
			return &r->table[at];
		k = &r->key[r->table[at]];
		if (k->hash == hash && k->len == len && memcmp(k->name, name, len) == 0)
			return &r->table[at];
	}
}

static void
table_fill(struct jsonl *r, uint32_t size)
{
	r->table = fl_xreallocarray(r->table, size, sizeof *r->table);
	r->table_size = size;
	memset(r->table, 0xff, size * sizeof *r->table);
	for (uint32_t i = 0; i < r->header.column_count; i++) {
		const struct key *k = &r->key[i];

		*table_slot(r, k->name, k->len, k->hash) = i;
	}
}

static void
grow_keys(struct jsonl *r)
{
	r->key_cap = r->key_cap ? 2 * r->key_cap : 16;
	r->key = fl_xreallocarray(r->key, r->key_cap, sizeof *r->key);
	r->shape = fl_xreallocarray(r->shape, r->key_cap, sizeof *r->shape);
	r->shape_next = fl_xreallocarray(r->shape_next, r->key_cap, sizeof *r->shape_next);
	r->absent = fl_xreallocarray(r->absent, r->key_cap, sizeof *r->absent);
	table_fill(r, 4 * r->key_cap);
}

/* The key so named; it is added if it is new. */
static uint32_t
find_key(struct jsonl *r, const char *name, size_t len)
{
	uint64_t hash = XXH3_64bits_withSeed(name, len, r->seed);
	uint32_t *slot = table_slot(r, name, len, hash), found = *slot;

	if (found != NO_KEY)
		return found;
	if (r->header.column_count == r->key_cap) {
		grow_keys(r);
		slot = table_slot(r, name, len, hash);
	}
	found = fl_header_add(&r->header, name, len, FL_TEXT);
	*slot = found;
	key_init(&r->key[found], r->header.columns[found].name, len, hash);
	return found;
}

/*
 * Forget the keys from count on, which a bad record has brought. The last that
 * came into the table leave it first, so no chain of it breaks.
 */
static void
forget_keys(struct jsonl *r, uint32_t count)
{
	while (r->header.column_count > count) {
		uint32_t last = r->header.column_count - 1;
		struct key *k = &r->key[last];

		*table_slot(r, k->name, k->len, k->hash) = NO_KEY;
		key_release(k);
		free(r->header.columns[last].name);
		r->header.column_count--;
	}
}

/* ---- rows ------------------------------------------------------------- */

/* Give rows, and the one after them, width columns; new ones are not filled. */
static void
set_width(struct jsonl *r, uint32_t width)
{
	size_t need = ((size_t)r->rows + 1) * width * 2;
	size_t old = (size_t)r->width * 2, new = (size_t)width * 2;

	if (need > r->cells_cap) {
		r->cells_cap = need + need / 2;
		r->cells = fl_xreallocarray(r->cells, r->cells_cap, sizeof *r->cells);
	}
	for (size_t i = 0; new < old &&i < r->rows; i++)
		memmove(r->cells + i * new, r->cells + i * old, new * sizeof *r->cells);
	for (size_t i = (size_t)r->rows + 1; new > old &&i-- > 0;)
		memmove(r->cells + i * new, r->cells + i * old, old * sizeof *r->cells);
	r->width = width;
	r->rows_max = width ? (uint32_t)(r->cells_cap / new) : UINT32_MAX;
}

/* Room for one more row. */
static void
reserve_row(struct jsonl *r)
{
	if (r->rows < r->rows_max)
		return;
	r->cells_cap += r->cells_cap / 2 + (size_t)r->width * 2;
	r->cells = fl_xreallocarray(r->cells, r->cells_cap, sizeof *r->cells);
	r->rows_max = (uint32_t)(r->cells_cap / (2 * (size_t)r->width));
}

/* Note a value's tag where it is not that of all the column's values before. */
static void
mix_tag(struct jsonl *r, struct key *k, uint8_t tag)
{
	if (!k->mixed && (k->tag == NO_TAG || r->rows == 0)) {
		k->tag = tag;
		return;
	}
	if (!k->mixed) {
		fl_buf_clear(&k->tags);
		memset(fl_buf_reserve(&k->tags, (size_t)r->rows + 1), k->tag, r->rows);
		k->mixed = true;
	}
	k->tags.len = r->rows; /* equal keys in one record: the last counts */
	fl_buf_putc(&k->tags, (char)tag);
}

static inline void
set_tag(struct jsonl *r, struct key *k, uint8_t tag)
{
	if (k->mixed || k->tag != tag)
		mix_tag(r, k, tag);
}

static inline void
set_cell(struct jsonl *r, uint32_t row, uint32_t column, uint32_t start, uint32_t end)
{
	uint32_t *cell = r->cells + ((size_t)row * r->width + column) * 2;

	cell[0] = start;
	cell[1] = end;
}

/* ---- one record ------------------------------------------------------- */

/* Where a record is while it is read. */
struct record {
	uint32_t base;      /* the walk's text begins here in the piece */
	uint32_t fields;    /* values so far */
	uint32_t last;      /* the key before this one, or NO_KEY */
	bool off_shape;     /* it differs from the record before */
	bool spaced;        /* it has white space between tokens: maybe a line end */
	bool full;          /* a new key and no room: it belongs in the next batch */
	bool too_many;      /* more than FL_COLUMNS_MAX keys */
	uint32_t shape_len; /* off_shape: entries of shape_next */
};

/* The record's keys up to here were those of the shape; now they differ. */
static void
leave_shape(struct jsonl *r, struct record *rec)
{
	rec->off_shape = true;
	rec->shape_len = rec->fields;
	rec->last = rec->fields ? r->shape[rec->fields - 1] : NO_KEY;
	for (uint32_t i = 0; i < rec->fields; i++) {
		r->shape_next[i] = r->shape[i];
		r->key[r->shape[i]].seen = r->serial;
	}
}

/*
 * The key with the name between start and end in the text, by looking it up.
 * NO_KEY: a bad name, or rec->full or too_many.
 */
static uint32_t
look_up(struct jsonl *r, struct record *rec, uint32_t start, uint32_t end, bool escaped)
{
	struct fl_json_walk *w = &r->walk;
	const char *name = w->p + start;
	size_t len = end - start, scratch = w->scratch.len;
	uint32_t found, count = r->header.column_count;

	if (escaped) {
		if (!fl_json_walk_unescape(w, start, end))
			return NO_KEY;
		name = w->scratch.data + scratch;
		len = w->scratch.len - scratch;
		w->scratch.len = scratch;
	}
	found = find_key(r, name, len);
	if (r->header.column_count == count)
		return found;
	rec->too_many = count == FL_COLUMNS_MAX;
	rec->full = r->rows > 0 && ((size_t)r->rows + 1) * (count + 1) > BATCH_VALUES;
	if (rec->too_many || rec->full)
		return NO_KEY;
	if (found >= r->width)
		set_width(r, 2 * found + 1);
	for (uint32_t i = 0; i < r->rows; i++)
		set_cell(r, i, found, 0, 0);
	return found;
}

/* The next key, which is not the one that the shape has here. */
static uint32_t
find_off_shape(struct jsonl *r, struct record *rec)
{
	struct fl_json_walk *w = &r->walk;
	uint32_t start, end, key, hint = NO_KEY;
	bool escaped;

	if (!rec->off_shape)
		leave_shape(r, rec);
	if (rec->last != NO_KEY)
		hint = r->key[rec->last].next;
	if (hint < r->header.column_count && key_is_next(&r->key[hint], w)) {
		key = hint;
		w->i++;
	} else {
		if (!fl_json_walk_string(w, &start, &end, &escaped))
			return NO_KEY;
		key = look_up(r, rec, start, end, escaped);
		if (key == NO_KEY)
			return NO_KEY;
		if (rec->last != NO_KEY)
			r->key[rec->last].next = key;
	}
	if (r->key[key].seen != r->serial) {
		r->key[key].seen = r->serial;
		r->shape_next[rec->shape_len++] = key;
	}
	rec->last = key;
	return key;
}

/* A value that is a string with escapes: it lies behind the piece, as it were. */
static bool
put_unescaped(struct jsonl *r, uint32_t key, const struct fl_json_value *v)
{
	struct fl_json_walk *w = &r->walk;
	uint32_t start = FL_JSON_MAX + (uint32_t)w->scratch.len;

	if (!fl_json_walk_unescape(w, v->start, v->end))
		return false;
	set_cell(r, r->rows, key, start, FL_JSON_MAX + (uint32_t)w->scratch.len);
	r->key[key].escaped = true;
	return true;
}

/* One "key": value and what ends it: ',' or '}', which *ret_end is. */
static inline bool
read_field(struct jsonl *r, struct record *rec, char *ret_end)
{
	struct fl_json_walk *w = &r->walk;
	uint32_t key, colon;
	struct fl_json_value v;

	if (w->end - w->i < 4 || w->p[*w->i] != '"') /* key, colon, value, end */
		return false;
	rec->spaced |= w->p[*w->i - 1] != ',' && w->p[*w->i - 1] != '{';
	if (rec->fields < r->shape_len && !rec->off_shape &&
	    key_is_next(&r->key[r->shape[rec->fields]], w)) {
		key = r->shape[rec->fields];
		w->i++;
	} else {
		key = find_off_shape(r, rec);
		if (key == NO_KEY)
			return false;
	}
	colon = *w->i;
	if (w->p[colon] != ':')
		return false;
	w->i++;
	rec->spaced |= w->p[colon - 1] != '"' || *w->i != colon + 1;
	if (!fl_json_walk_value(w, 1, &v))
		return false;
	set_tag(r, &r->key[key], v.tag);
	if (v.tag == FL_TAG_STRING && v.escaped) {
		if (!put_unescaped(r, key, &v))
			return false;
	} else {
		set_cell(r, r->rows, key, rec->base + v.start, rec->base + v.end);
	}
	if (w->i == w->end)
		return false;
	rec->spaced |= v.tag >= FL_TAG_OBJECT || fl_json_is_space(w->p[*w->i - 1]);
	*ret_end = w->p[*w->i];
	if (*ret_end != ',' && *ret_end != '}')
		return false;
	w->i++;
	rec->fields++;
	return true;
}

/* The record had other keys than the one before: it is the shape now. */
static void
take_shape(struct jsonl *r, struct record *rec)
{
	uint32_t *shape = r->shape;

	if (!rec->off_shape)
		leave_shape(r, rec); /* it had less keys */
	r->shape = r->shape_next;
	r->shape_next = shape;
	r->shape_len = rec->shape_len;
	r->absent_len = 0;
	for (uint32_t i = 0; i < r->header.column_count; i++) {
		if (r->key[i].seen != r->serial)
			r->absent[r->absent_len++] = i;
	}
}

/*
 * Read the object at the next token. False: it is bad, or rec->full or too_many;
 * what is wrong with it, explain finds.
 */
static bool
read_object(struct jsonl *r, struct record *rec)
{
	struct fl_json_walk *w = &r->walk;
	char c = ',';

	if (w->p[*w->i] != '{')
		return false;
	w->i++;
	reserve_row(r);
	r->serial++;
	if (fl_json_peek(w) == '}') {
		rec->spaced = *w->i != w->i[-1] + 1;
		w->i++;
		c = '}';
	}
	while (c == ',') {
		if (!read_field(r, rec, &c))
			return false;
	}
	return true;
}

/* The record is good: fill in what it did not have, and count it. */
static void
end_row(struct jsonl *r, struct record *rec)
{
	if (rec->off_shape || rec->fields != r->shape_len)
		take_shape(r, rec);
	for (uint32_t i = 0; i < r->absent_len; i++) {
		set_cell(r, r->rows, r->absent[i], 0, 0);
		set_tag(r, &r->key[r->absent[i]], FL_TAG_ABSENT);
	}
	r->rows++;
}

/* ---- lines ------------------------------------------------------------ */

/* How a span, or a line of it, was read. */
enum outcome {
	DONE,     /* to its end */
	FULL,     /* the batch ends before the record at *pos */
	BAD,      /* the record at *pos is bad */
	TOO_LONG, /* the record at *pos is longer than --max-record */
	TOO_MANY, /* the record at *pos brings more keys than there may be */
	NO_MEMORY,
};

/* Bytes of the line at p without its end. */
static size_t
line_length(const char *p, size_t n)
{
	const char *end = n ? memchr(p, '\n', n) : NULL;
	size_t len = end ? (size_t)(end - p) : n;

	return len && p[len - 1] == '\r' ? len - 1 : len;
}

/*
 * Pass the white space before the next token, *pos being the start of a line:
 * *pos becomes the start of the line with the token, or the span's end.
 */
static enum outcome
skip_blank_lines(struct jsonl *r, uint32_t *pos, uint64_t *ret_lines)
{
	struct fl_json_walk *w = &r->walk;

	while (*pos < w->len) {
		const char *p = w->p + *pos;
		const char *end = memchr(p, '\n', *w->i - *pos);
		uint32_t next = end ? (uint32_t)(end - w->p) + 1 : w->len;

		if (!end && w->i < w->end)
			return DONE;
		if (line_length(p, next - *pos) > r->record_max)
			return TOO_LONG;
		*pos = next;
		++*ret_lines;
	}
	return DONE;
}

/*
 * Behind the object of the line that begins at pos: find the line's end, and
 * make sure that nothing but white space is left of it, and that the object
 * did not go over it.
 */
static bool
end_line(struct jsonl *r, const struct record *rec, uint32_t pos, uint32_t *ret_next)
{
	struct fl_json_walk *w = &r->walk;
	uint32_t close = w->i[-1] + 1;
	const char *end;

	if (rec->spaced && memchr(w->p + pos, '\n', close - pos))
		return false;
	if (close < w->len && w->p[close] == '\n') {
		*ret_next = close + 1;
		return true;
	}
	end = memchr(w->p + close, '\n', *w->i - close);
	if (!end && w->i < w->end)
		return false;
	*ret_next = end ? (uint32_t)(end - w->p) + 1 : w->len;
	return true;
}

/* Read the line at *pos, which has the next token; *pos moves behind it. */
static enum outcome
read_line(struct jsonl *r, uint32_t base, uint32_t *pos)
{
	struct record rec = { .base = base, .last = NO_KEY };
	struct fl_json_walk *w = &r->walk;
	uint32_t keys = r->header.column_count, next = 0;
	size_t scratch = w->scratch.len;
	enum outcome how = BAD;
	bool good = read_object(r, &rec) && end_line(r, &rec, *pos, &next);
	size_t most = (good ? next : w->len) - *pos;

	if (most > r->record_max && line_length(w->p + *pos, most) > r->record_max)
		how = TOO_LONG;
	else if (good)
		how = DONE;
	else if (rec.full || rec.too_many)
		how = rec.full ? FULL : TOO_MANY;
	if (how == DONE) {
		*pos = next;
		end_row(r, &rec);
	} else {
		w->scratch.len = scratch;
		forget_keys(r, keys);
	}
	return how;
}

static bool
is_full(const struct jsonl *r)
{
	return r->rows == FL_BATCH_ROWS ||
	       (r->rows && ((size_t)r->rows + 1) * r->width > BATCH_VALUES);
}

/* Read the lines of the walk's text, which begins at base in the piece. */
static enum outcome
read_lines(struct jsonl *r, uint32_t base, uint32_t *pos, uint64_t *ret_blank)
{
	struct fl_json_walk *w = &r->walk;
	enum outcome o = DONE;
	uint64_t blank;

	*pos = 0;
	while (*pos < w->len) {
		if (w->i == w->end || *w->i != *pos) {
			uint32_t start = *pos;

			blank = 0;
			o = skip_blank_lines(r, pos, &blank);
			if (blank && r->rows > 0) {
				*pos = start; /* the lines of a batch follow each other */
				return FULL;
			}
			*ret_blank += blank;
			if (o != DONE || *pos == w->len)
				return o;
		}
		if (is_full(r))
			return FULL;
		o = read_line(r, base, pos);
		if (o != DONE)
			return o;
	}
	return DONE;
}

/* ---- batches ---------------------------------------------------------- */

static void
begin_batch(struct jsonl *r, const char *piece)
{
	r->piece = piece;
	r->rows = 0;
	r->width = 0;
	r->walk.scratch.len = 0;
	set_width(r, r->header.column_count);
	for (uint32_t i = 0; i < r->header.column_count; i++) {
		r->key[i].tag = NO_TAG;
		r->key[i].mixed = false;
		r->key[i].escaped = false;
	}
}

/*
 * A column with unescaped strings: its values, from the piece and from the
 * unescaped strings, into an area of its own.
 */
static void
pack(struct jsonl *r, uint32_t column, struct fl_vec *v)
{
	const struct fl_buf *scratch = &r->walk.scratch;
	const uint32_t *cell = r->cells + (size_t)column * 2;
	struct key *k = &r->key[column];
	uint32_t *end;

	fl_buf_clear(&k->bytes);
	fl_buf_clear(&k->ends);
	end = (uint32_t *)(void *)fl_buf_reserve(&k->ends, ((size_t)r->rows + 1) * sizeof *end);
	*end++ = 0;
	for (uint32_t i = 0; i < r->rows; i++, cell += (size_t)r->width * 2) {
		const char *p = cell[0] >= FL_JSON_MAX ? scratch->data + (cell[0] - FL_JSON_MAX)
						       : r->piece + cell[0];

		fl_buf_put(&k->bytes, p, cell[1] - cell[0]);
		*end++ = (uint32_t)k->bytes.len;
	}
	(void)fl_buf_reserve(&k->bytes, 1); /* an area is not NULL */
	v->bytes = k->bytes.data;
	v->bytes_len = k->bytes.len;
	v->off = (const uint32_t *)(const void *)k->ends.data;
	v->stride = 1;
}

/* Whether no value can need quotes in CSV; strings are not looked into. */
static bool
is_clean(const struct key *k)
{
	const unsigned clean = 1u << FL_TAG_NUMBER | 1u << FL_TAG_BOOL | 1u << FL_TAG_NULL |
			       1u << FL_TAG_ABSENT;

	return !k->mixed && (clean >> k->tag & 1);
}

static void
end_batch(struct jsonl *r, size_t taken, struct fl_batch *b)
{
	uint32_t cols = r->header.column_count;

	*b = (struct fl_batch){ .rows = r->rows, .line = r->base.line };
	if (r->rows == 0)
		return;
	if (r->width > cols)
		set_width(r, cols);
	if (r->vec_cap < cols) {
		r->vec_cap = r->key_cap;
		r->vec = fl_xreallocarray(r->vec, r->vec_cap, sizeof *r->vec);
	}
	b->cols = cols;
	b->col = r->vec;
	for (uint32_t i = 0; i < cols; i++) {
		struct key *k = &r->key[i];
		struct fl_vec *v = &r->vec[i];

		*v = (struct fl_vec){
			.kind = FL_TEXT,
			.tag = k->tag,
			.clean = is_clean(k),
			.stride = 2 * cols,
			.tags = k->mixed ? (const uint8_t *)k->tags.data : NULL,
			.bytes = r->piece,
			.bytes_len = taken,
			.off = r->cells + (size_t)i * 2,
		};
		if (k->escaped)
			pack(r, i, v);
	}
}

/* ---- bad records ------------------------------------------------------ */

static const char *
tag_name(uint8_t tag)
{
	switch (tag) {
	case FL_TAG_STRING:
		return "a string";
	case FL_TAG_NUMBER:
		return "a number";
	case FL_TAG_BOOL:
		return "true or false";
	case FL_TAG_ARRAY:
		return "an array";
	default:
		return "null";
	}
}

/* Why the line at p, which was refused, is no record: read it again, alone. */
static void
explain(struct jsonl *r, const char *p, size_t n, struct fl_bad *bad)
{
	struct fl_json_walk *w = &r->walk;
	size_t scratch = w->scratch.len;
	struct fl_json_value v;
	enum fl_json_error e = fl_json_walk_start(w, p, n);

	if (e)
		fl_json_walk_explain(w, e, p, n);
	if (e || !fl_json_walk_text(w, &v)) {
		char found[24] = "";

		if (w->wrong_at < n && p[w->wrong_at] >= ' ' && p[w->wrong_at] < 0x7f)
			(void)snprintf(found, sizeof found, ", at '%c'", p[w->wrong_at]);
		(void)snprintf(bad->reason, sizeof bad->reason, "not JSON: %s%s, byte %zu of %zu",
			       w->wrong, found, (size_t)w->wrong_at + 1, n);
	} else {
		(void)snprintf(bad->reason, sizeof bad->reason, "expected an object, found %s",
			       tag_name(v.tag));
	}
	w->scratch.len = scratch;
}

/* The line at p is a bad record: fill ret->bad. Returns its bytes with its end. */
static size_t
report_bad(struct jsonl *r, const char *p, size_t n, struct fl_read_result *ret)
{
	const char *end = memchr(p, '\n', n);

	ret->has_bad = true;
	ret->bad.line = r->base.line + r->rows;
	ret->bad.text = p;
	ret->bad.len = line_length(p, n);
	explain(r, p, ret->bad.len, &ret->bad);
	return end ? (size_t)(end - p) + 1 : n;
}

/* ---- the reader ------------------------------------------------------- */

/*
 * The next span at p: about r->span bytes of whole lines, at least one line.
 * 0: there is no whole line.
 */
static size_t
next_span(const struct jsonl *r, const char *p, size_t n, bool at_end)
{
	size_t span = r->span < n ? r->span : n;
	const char *end;

	if (at_end && span == n)
		return n;
	end = memrchr(p, '\n', span);
	if (!end)
		end = memchr(p + span, '\n', n - span);
	if (end)
		return (size_t)(end - p) + 1;
	return at_end ? n : 0;
}

/* Read the span of len bytes at *pos, whole lines; *pos moves on. */
static enum outcome
read_span(struct jsonl *r, size_t *pos, size_t len)
{
	const char *p = r->piece + *pos;
	enum fl_json_error e;
	enum outcome how;
	uint64_t blank = 0;
	uint32_t done;

	if (len > r->record_max && line_length(p, len) > r->record_max)
		return TOO_LONG;
	if (*pos + len > FL_JSON_MAX)
		return FULL;
	e = fl_json_walk_start(&r->walk, p, len);
	if (e == FL_JSON_MEMORY)
		return NO_MEMORY;
	if (e) { /* some line of it: try less */
		r->span = len / 2;
		return memchr(p, '\n', len - 1) ? DONE : BAD;
	}
	how = read_lines(r, (uint32_t)*pos, &done, &blank);
	*pos += done;
	r->base.line += blank;
	r->span = how == DONE ? 2 * r->span : done;
	r->span = r->span < SPAN_MIN ? SPAN_MIN : r->span > SPAN_MAX ? SPAN_MAX : r->span;
	return how;
}

/* The error that ends all reading, if there is one. */
static int
fatal(const struct jsonl *r, enum outcome how, struct fl_err *err)
{
	switch (how) {
	case TOO_LONG:
		return fl_record_too_long(r->base.line, r->record_max, err);
	case TOO_MANY:
		return fl_fail(err, FL_ELIMIT, "line %" PRIu64 ": more than %u different keys",
			       r->base.line, FL_COLUMNS_MAX);
	case NO_MEMORY:
		return fl_fail(err, FL_ELIMIT, "line %" PRIu64 ": out of memory", r->base.line);
	default:
		return 0;
	}
}

static int
jsonl_read(struct fl_reader *reader, const char *p, size_t n, bool at_end,
	   struct fl_read_result *ret, struct fl_err *err)
{
	struct jsonl *r = (struct jsonl *)reader;
	enum outcome how = DONE;
	size_t pos = 0;

	*ret = (struct fl_read_result){ 0 };
	begin_batch(r, p);
	if (r->base.file_start && n > 0) {
		int mark = fl_bom_at(p, n, at_end);

		if (mark < 0)
			return 0;
		pos = (size_t)mark;
		r->base.file_start = false;
	}
	while (how == DONE && pos < n && pos < FL_BATCH_BYTES) {
		size_t len = next_span(r, p + pos, n - pos, at_end);

		if (len == 0) {
			if (line_length(p + pos, n - pos) > r->record_max)
				how = TOO_LONG;
			break;
		}
		how = read_span(r, &pos, len);
	}
	if (r->rows == 0 && fatal(r, how, err)) /* else at the next call */
		return err->code;
	if (how == BAD)
		pos += report_bad(r, p + pos, n - pos, ret);
	end_batch(r, pos, &ret->batch);
	ret->taken = pos;
	r->base.line += r->rows + ret->has_bad;
	return 0;
}

static void
jsonl_destroy(struct fl_reader *reader)
{
	struct jsonl *r = (struct jsonl *)reader;

	for (uint32_t i = 0; i < r->header.column_count; i++)
		key_release(&r->key[i]);
	fl_header_release(&r->header);
	fl_json_walk_release(&r->walk);
	free(r->key);
	free(r->table);
	free(r->shape);
	free(r->shape_next);
	free(r->absent);
	free(r->cells);
	free(r->vec);
	free(r);
}

static struct fl_reader *
jsonl_create(const struct fl_reader_options *o, struct fl_err *err)
{
	struct jsonl *r = fl_xcalloc(1, sizeof *r);
	const void *random = (const void *)getauxval(AT_RANDOM); /* NOLINT: it is an address */

	r->base.type = &fl_jsonl_reader;
	r->base.line = 1;
	r->base.file_start = true;
	r->span = SPAN_MAX;
	r->record_max = o->record_max && o->record_max < RECORD_LIMIT ? o->record_max
								      : RECORD_LIMIT;
	fl_header_init(&r->header);
	if (random) /* only where keys lie in the table depends on it */
		memcpy(&r->seed, random, sizeof r->seed);
	if (fl_json_walk_init(&r->walk, err)) {
		jsonl_destroy(&r->base);
		return NULL;
	}
	grow_keys(r);
	return &r->base;
}

static void
jsonl_file(struct fl_reader *reader)
{
	struct jsonl *r = (struct jsonl *)reader;

	r->base.line = 1;
	r->base.file_start = true;
}

static const struct fl_header *
jsonl_columns(const struct fl_reader *reader)
{
	return &((const struct jsonl *)reader)->header;
}

static int
jsonl_add_column(struct fl_reader *reader, const char *name, size_t len, struct fl_err *err)
{
	(void)err;
	(void)find_key((struct jsonl *)reader, name, len);
	return 0;
}

const struct fl_reader_type fl_jsonl_reader = {
	.name = "jsonl",
	.create = jsonl_create,
	.file = jsonl_file,
	.read = jsonl_read,
	.columns = jsonl_columns,
	.add_column = jsonl_add_column,
	.destroy = jsonl_destroy,
};
