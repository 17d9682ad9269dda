/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The objects of a column mostly have the same members in the same order. So a
 * key is first compared with the one that stood at its place in the object
 * before (the "shape"), and only then looked up. The walk ends with the last
 * member that is wanted. What it does not expect (white space, nested values,
 * escapes in keys) it leaves to json.h, record by record.
 */
#include "expr/paths.h"

#include <stdlib.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "expr/json.h"

#define SHAPE_MAX 64    /* members whose place is remembered */
#define NAME_MAX_LEN 14 /* longer names are looked up each time */
#define NO_MEMBER UINT32_MAX

/* What is expected at a place: a name, and the quote and colon behind it. */
struct expected {
	uint64_t head, tail;           /* its first and its last eight bytes */
	uint64_t head_mask, tail_mask; /* those that count */
	uint32_t tail_at;
	uint32_t len;    /* with quote and colon; 0: nothing is expected */
	uint32_t member; /* or NO_MEMBER: not wanted */
};

struct member {
	char *key;
	size_t len;
	bool escaped;              /* one of the batch's strings has escapes */
	struct fl_buf bytes, ends; /* if so: the values, packed */
};

/* The members that are wanted of one column. */
struct group {
	uint32_t column;
	struct member *member;
	uint32_t count;
	bool done; /* for this batch */
	const struct fl_vec *col;
	struct expected shape[SHAPE_MAX];
	struct fl_buf cells; /* a row of pairs, start and end, a record */
	struct fl_buf tags;  /* member after member, one a record */
};

struct fl_paths {
	struct group *group;
	uint32_t count;
	const struct fl_batch *batch;
};

struct fl_paths *
fl_paths_new(void)
{
	return fl_xcalloc(1, sizeof(struct fl_paths));
}

void
fl_paths_free(struct fl_paths *p)
{
	if (!p)
		return;
	for (uint32_t i = 0; i < p->count; i++) {
		struct group *g = &p->group[i];

		for (uint32_t m = 0; m < g->count; m++) {
			fl_buf_release(&g->member[m].bytes);
			fl_buf_release(&g->member[m].ends);
			free(g->member[m].key);
		}
		free(g->member);
		fl_buf_release(&g->cells);
		fl_buf_release(&g->tags);
	}
	free(p->group);
	free(p);
}

static struct group *
group_of(struct fl_paths *p, uint32_t column)
{
	struct group *g;

	for (uint32_t i = 0; i < p->count; i++)
		if (p->group[i].column == column)
			return &p->group[i];
	p->group = fl_xreallocarray(p->group, p->count + 1, sizeof *p->group);
	g = &p->group[p->count++];
	*g = (struct group){ .column = column };
	return g;
}

static uint32_t
find_member(const struct group *g, const char *key, size_t len)
{
	for (uint32_t i = 0; i < g->count; i++)
		if (g->member[i].len == len && memcmp(g->member[i].key, key, len) == 0)
			return i;
	return NO_MEMBER;
}

struct fl_path
fl_paths_want(struct fl_paths *p, uint32_t column, const char *key, size_t len)
{
	struct group *g = group_of(p, column);
	uint32_t at = find_member(g, key, len);

	if (at == NO_MEMBER) {
		at = g->count++;
		g->member = fl_xreallocarray(g->member, g->count, sizeof *g->member);
		g->member[at] = (struct member){ .key = fl_xstrndup(key, len), .len = len };
		memset(g->shape, 0, sizeof g->shape);
		g->done = false;
	}
	return (struct fl_path){ (uint32_t)(g - p->group), at };
}

void
fl_paths_begin(struct fl_paths *p, const struct fl_batch *b)
{
	p->batch = b;
	for (uint32_t i = 0; i < p->count; i++)
		p->group[i].done = false;
}

/* ---- one object ----------------------------------------------------------- */

static uint64_t
load8(const char *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof x);
	return x;
}

static void
expect(struct expected *e, const char *name, size_t len, uint32_t member)
{
	char text[16] = { 0 }, mask[16] = { 0 };

	*e = (struct expected){ .member = member };
	if (len > NAME_MAX_LEN)
		return;
	memcpy(text, name, len);
	text[len] = '"';
	text[len + 1] = ':';
	memset(mask, 0xff, len + 2);
	e->len = (uint32_t)len + 2;
	e->tail_at = e->len > 8 ? e->len - 8 : 0;
	e->head = load8(text);
	e->tail = load8(text + e->tail_at);
	e->head_mask = load8(mask);
	e->tail_mask = load8(mask + e->tail_at);
}

/* p has 16 bytes. */
static inline bool
is_expected(const struct expected *e, const char *p)
{
	return e->len && ((load8(p) ^ e->head) & e->head_mask) == 0 &&
	       ((load8(p + e->tail_at) ^ e->tail) & e->tail_mask) == 0;
}

/* The first quote or backslash from p on, or end. Up to limit may be read. */
static inline const char *
find_quote(const char *p, const char *end, const char *limit)
{
#if defined(__SSE2__)
	const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');

	for (; p < end && limit - p >= 16; p += 16) {
		__m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
		__m128i hit = _mm_or_si128(_mm_cmpeq_epi8(x, quote), _mm_cmpeq_epi8(x, backslash));
		unsigned mask = (unsigned)_mm_movemask_epi8(hit);

		if (mask) {
			p += __builtin_ctz(mask);
			return p < end ? p : end;
		}
	}
#else
	(void)limit;
#endif
	while (p < end && *p != '"' && *p != '\\')
		p++;
	return p < end ? p : end;
}

/* A string's closing quote; p is behind the opening one. */
static const char *
closing_quote(const char *p, const char *end, const char *limit, bool *ret_escaped)
{
	*ret_escaped = false;
	for (;;) {
		p = find_quote(p, end, limit);
		if (p == end || *p == '"')
			return p;
		*ret_escaped = true;
		if (end - p < 2)
			return end;
		p += 2;
	}
}

/* Where the scalar at p ends, and what it is by its first byte. */
static inline const char *
scalar(const char *p, const char *end, uint8_t *ret_tag)
{
	char c = *p;

	if ((unsigned)(c - '0') <= 9 || c == '-')
		*ret_tag = FL_TAG_NUMBER;
	else if (c == 't' || c == 'f')
		*ret_tag = FL_TAG_BOOL;
	else if (c == 'n')
		*ret_tag = FL_TAG_NULL;
	else
		return NULL;
	while (p < end && *p != ',' && *p > ' ' && *p != '}' && *p != ']')
		p++;
	return p;
}

/* One record's values while they are looked for. */
struct row {
	struct group *g;
	const char *bytes; /* of the column */
	const char *limit; /* behind them */
	uint32_t *cell;    /* the record's pairs */
	uint8_t *tag;      /* of its first member */
	size_t rows;       /* to the tag of the next member */
	uint32_t left;     /* members not found */
};

static inline void
put(struct row *r, uint32_t member, const char *start, const char *end, uint8_t tag)
{
	uint8_t *at = &r->tag[member * r->rows];

	if (*at != FL_TAG_ABSENT)
		return; /* of equal keys the first counts */
	*at = tag;
	r->left--;
	if (tag == FL_TAG_NULL)
		return; /* no bytes */
	r->cell[2 * member] = (uint32_t)(start - r->bytes);
	r->cell[2 * member + 1] = (uint32_t)(end - r->bytes);
}

/*
 * The key at *p, behind its quote: which member it is, *p moves to its value.
 * False: it is none that can be read here.
 */
static bool
look_up(struct row *r, const char **p, const char *end, uint32_t place, uint32_t *ret_member)
{
	bool escaped;
	const char *q = closing_quote(*p, end, r->limit, &escaped);

	if (escaped || end - q < 2 || q[1] != ':')
		return false;
	*ret_member = find_member(r->g, *p, (size_t)(q - *p));
	if (place < SHAPE_MAX)
		expect(&r->g->shape[place], *p, (size_t)(q - *p), *ret_member);
	*p = q + 2;
	return true;
}

/* Walk the object [p, end), end at its closing brace. False: json.h must. */
static bool
walk(struct row *r, const char *p, const char *end)
{
	struct group *g = r->g;

	for (uint32_t place = 0; r->left && ++p < end; place++) {
		uint32_t member;
		const char *start, *stop;
		uint8_t tag = FL_TAG_STRING;
		bool escaped = false;

		if (*p++ != '"')
			return false;
		if (place < SHAPE_MAX && end - p >= 16 && is_expected(&g->shape[place], p)) {
			member = g->shape[place].member;
			p += g->shape[place].len;
		} else if (!look_up(r, &p, end, place, &member)) {
			return false;
		}
		start = p;
		if (p < end && *p == '"') {
			start = p + 1;
			stop = closing_quote(start, end, r->limit, &escaped);
			p = stop + 1;
		} else {
			p = stop = p < end ? scalar(p, end, &tag) : NULL;
		}
		if (!stop || p > end || (p < end && *p != ','))
			return false;
		if (member == NO_MEMBER)
			continue;
		g->member[member].escaped |= escaped;
		put(r, member, start, stop, tag);
	}
	return true;
}

static void
look_into(struct row *r, const char *p, size_t n)
{
	static const uint8_t tags[] = {
		[FL_JSON_NULL] = FL_TAG_NULL,     [FL_JSON_BOOL] = FL_TAG_BOOL,
		[FL_JSON_NUMBER] = FL_TAG_NUMBER, [FL_JSON_STRING] = FL_TAG_STRING,
		[FL_JSON_OBJECT] = FL_TAG_OBJECT, [FL_JSON_ARRAY] = FL_TAG_ARRAY,
	};
	struct group *g = r->g;
	struct fl_json object, v;

	for (uint32_t m = 0; m < g->count; m++)
		r->tag[m * r->rows] = FL_TAG_ABSENT; /* what a walk has found before it gave up */
	memset(r->cell, 0, 2 * (size_t)g->count * sizeof *r->cell);
	if (!fl_json_open(p, n, &object))
		return;
	for (uint32_t m = 0; m < g->count; m++) {
		if (!fl_json_get(&object, g->member[m].key, g->member[m].len, &v))
			continue;
		g->member[m].escaped |= v.type == FL_JSON_STRING && fl_json_has_escape(&v);
		put(r, m, v.p, v.p + v.n, tags[v.type]);
	}
}

/* ---- a batch -------------------------------------------------------------- */

/* The values of a member whose strings have escapes, packed. */
static void
unescape(struct group *g, uint32_t m, uint32_t rows)
{
	const uint32_t *cell = (const uint32_t *)(const void *)g->cells.data + 2 * (size_t)m;
	const uint8_t *tag = (const uint8_t *)g->tags.data + (size_t)m * rows;
	struct member *to = &g->member[m];
	uint32_t *end;

	fl_buf_clear(&to->bytes);
	fl_buf_clear(&to->ends);
	end = (uint32_t *)(void *)fl_buf_reserve(&to->ends, ((size_t)rows + 1) * sizeof *end);
	*end++ = 0;
	for (uint32_t i = 0; i < rows; i++, cell += 2 * (size_t)g->count) {
		struct fl_json text = { FL_JSON_STRING, g->col->bytes + cell[0],
					cell[1] - cell[0] };

		if (tag[i] == FL_TAG_STRING)
			fl_json_unescape(&text, &to->bytes);
		else
			fl_buf_put(&to->bytes, text.p, text.n);
		*end++ = (uint32_t)to->bytes.len;
	}
	(void)fl_buf_reserve(&to->bytes, 1); /* an area is not NULL */
}

static void
fill(struct group *g, const struct fl_batch *b)
{
	const struct fl_vec *col = fl_batch_col(b, g->column);
	size_t width = 2 * (size_t)g->count, rows = b->rows;
	struct row r = { .g = g, .bytes = col->bytes, .rows = rows };

	g->col = col;
	for (uint32_t m = 0; m < g->count; m++)
		g->member[m].escaped = false;
	fl_buf_clear(&g->cells);
	fl_buf_clear(&g->tags);
	r.cell = (uint32_t *)(void *)fl_buf_reserve(&g->cells, (rows + 1) * width * sizeof *r.cell);
	memset(r.cell, 0, (rows + 1) * width * sizeof *r.cell);
	r.tag = (uint8_t *)fl_buf_reserve(&g->tags, rows * g->count + 1);
	memset(r.tag, FL_TAG_ABSENT, rows * g->count);
	if (col->kind != FL_TEXT)
		return;
	r.limit = col->bytes + col->bytes_len;
	for (uint32_t i = 0; i < rows; i++, r.cell += width, r.tag++) {
		size_t n;
		const char *p = fl_text(col, i, &n);
		enum fl_tag tag = fl_tag_of(col, i);

		r.left = g->count;
		if (tag == FL_TAG_ABSENT)
			continue;
		if (tag == FL_TAG_NULL || (tag == FL_TAG_PLAIN && n == 0))
			for (uint32_t m = 0; m < g->count; m++)
				r.tag[m * rows] = FL_TAG_NULL;
		else if (tag != FL_TAG_OBJECT || n < 2 || !walk(&r, p, p + n - 1))
			look_into(&r, p, n);
	}
	for (uint32_t m = 0; m < g->count; m++)
		if (g->member[m].escaped)
			unescape(g, m, b->rows);
}

void
fl_paths_get(struct fl_paths *p, struct fl_path at, struct fl_vec *ret)
{
	struct group *g = &p->group[at.group];
	const struct member *m;
	const uint8_t *tag;
	size_t rows = p->batch->rows;

	if (!g->done)
		fill(g, p->batch);
	g->done = true;
	m = &g->member[at.member];
	tag = (const uint8_t *)g->tags.data + at.member * rows;
	*ret = (struct fl_vec){ .kind = FL_TEXT, .stride = 2 * g->count };
	if (rows == 0 || memcmp(tag, tag + 1, rows - 1) == 0)
		ret->tag = rows ? tag[0] : FL_TAG_ABSENT;
	else
		ret->tags = tag;
	ret->bytes = g->col->kind == FL_TEXT ? g->col->bytes : "";
	ret->bytes_len = g->col->kind == FL_TEXT ? g->col->bytes_len : 0;
	ret->off = (const uint32_t *)(const void *)g->cells.data + 2 * (size_t)at.member;
	if (!m->escaped)
		return;
	ret->bytes = m->bytes.data;
	ret->bytes_len = m->bytes.len;
	ret->off = (const uint32_t *)(const void *)m->ends.data;
	ret->stride = 1;
}
