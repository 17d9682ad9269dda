/* SPDX-License-Identifier: Apache-2.0 */
/* One value kept, and how values and numbers are written into saved accumulators. */
#define XXH_INLINE_ALL
#include <math.h>
#include <xxhash.h>

#include "expr/agg-int.h"
#include "expr/json.h"
#include "time/timestamp.h"

/* ---- making ------------------------------------------------------------- */

/*
 * A text that is the usual text of a number of at most 18 digits: no plus, no
 * needless zero in front, no exponent, no -0. *ret_places are those behind the
 * point.
 */
static bool
usual_number(const char *p, size_t n, int64_t *ret, uint32_t *ret_places)
{
	size_t i = n && *p == '-', first = i, point = 0;
	bool negative = i;
	uint64_t v = 0;

	if (n - i > 19 || n == i)
		return false;
	for (; i < n; i++) {
		unsigned d = (unsigned)(unsigned char)p[i] - '0';

		if (d <= 9) {
			v = v * 10 + d;
			continue;
		}
		if (p[i] != '.' || point || i == first || i + 1 == n)
			return false;
		point = i;
	}
	if ((!point && n - first > 18) || (negative && v == 0))
		return false;
	if (p[first] == '0' && (point ? point : n) - first > 1)
		return false;
	*ret = negative ? -(int64_t)v : (int64_t)v;
	*ret_places = point ? (uint32_t)(n - point - 1) : 0;
	return true;
}

static struct fl__cell
dec_cell(const struct fl_dec *d)
{
	struct fl__cell c = { 0 };
	int64_t i;

	if (fl_dec_is_int64(d, &i)) {
		c.kind = FL__CELL_INT;
		c.i = i;
	} else if (d->scale > FL_DEC_DIGITS_MAX) {
		c.kind = FL__CELL_DOUBLE;
		memcpy(&c.i, &d->lo, sizeof d->lo);
	} else {
		c.kind = FL__CELL_DEC;
		c.n = (uint8_t)d->scale;
		c.lo = d->lo;
		c.hi = d->hi;
	}
	return c;
}

static struct fl__cell
bytes_cell(const char *p, size_t n)
{
	const struct fl_value v = { .type = FL_V_TEXT, .p = p, .n = n };
	struct fl__cell c = { .kind = n <= FL__CELL_INLINE ? FL__CELL_SHORT : FL__CELL_LONG };
	struct fl_dec d;

	if (!fl_value_number(&v, &d))
		c.flags = FL__CELL_NO_NUMBER;
	if (c.kind == FL__CELL_LONG) {
		c.len = (uint32_t)n;
		c.p = p;
		return c;
	}
	c.n = (uint8_t)n;
	if (n)
		memcpy(c.text, p, n);
	return c;
}

static struct fl__cell
text_cell(const char *p, size_t n, enum fl_tag tag)
{
	struct fl__cell c = { .tag = (uint8_t)tag };
	uint32_t places;
	int64_t i;

	if (tag <= FL_TAG_NUMBER && usual_number(p, n, &i, &places)) {
		struct fl_dec d = fl_dec_from_int(i);

		d.scale = places;
		c = dec_cell(&d);
		c.tag = (uint8_t)tag;
		c.flags = FL__CELL_WAS_TEXT;
		return c;
	}
	c = bytes_cell(p, n);
	c.tag = (uint8_t)tag;
	return c;
}

struct fl__cell
fl__cell_get(const struct fl_vec *v, size_t i)
{
	enum fl_tag tag = fl_tag_of(v, i);
	struct fl__cell c = { 0 };
	const char *p;
	size_t n;

	if (tag == FL_TAG_NULL || tag == FL_TAG_ABSENT)
		return c;
	switch ((enum fl_kind)v->kind) {
	case FL_TEXT:
		p = fl_text(v, i, &n);
		return n == 0 && tag == FL_TAG_PLAIN ? c : text_cell(p, n, tag);
	case FL_INT64:
	case FL_TIME:
		c.kind = v->kind == FL_TIME ? FL__CELL_TIME : FL__CELL_INT;
		c.i = v->i64[i];
		return c;
	case FL_DECIMAL:
		return dec_cell(&v->dec[i]);
	case FL_DOUBLE:
		c.kind = FL__CELL_DOUBLE;
		c.f = v->f64[i];
		return c;
	case FL_BOOL:
		c.kind = FL__CELL_BOOL;
		c.i = v->b[i] != 0;
		return c;
	case FL_KINDS:
		break;
	}
	return c;
}

void
fl__cell_keep(struct fl__mem *m, struct fl__cell *c)
{
	char *p;

	if (c->kind != FL__CELL_LONG)
		return;
	p = fl__mem_alloc(m, c->len);
	memcpy(p, c->p, c->len);
	c->p = p;
}

void
fl__cell_drop(struct fl__mem *m, struct fl__cell *c)
{
	if (c->kind == FL__CELL_LONG)
		fl__mem_free(m, (char *)(uintptr_t)c->p, c->len);
	*c = (struct fl__cell){ 0 };
}

/* ---- looking ------------------------------------------------------------ */

static struct fl_dec
cell_dec(const struct fl__cell *c)
{
	if (c->kind == FL__CELL_INT)
		return fl_dec_from_int(c->i);
	if (c->kind == FL__CELL_DOUBLE)
		return fl_dec_from_double(c->f);
	return (struct fl_dec){ .lo = c->lo, .hi = c->hi, .scale = c->n };
}

static bool
is_number(const struct fl__cell *c)
{
	return c->kind == FL__CELL_INT || c->kind == FL__CELL_DEC || c->kind == FL__CELL_DOUBLE;
}

/* For comparing only: a number that came as text is not given its text. */
static struct fl_value
plain_value(const struct fl__cell *c)
{
	struct fl_value v = { .type = FL_V_NULL, .tag = (enum fl_tag)c->tag };

	if (is_number(c)) {
		v.type = FL_V_NUMBER;
		v.number = cell_dec(c);
	} else if (c->kind == FL__CELL_TIME) {
		v.type = FL_V_TIME;
		v.time_ms = c->i;
	} else if (c->kind == FL__CELL_BOOL) {
		v.type = FL_V_BOOL;
		v.boolean = c->i != 0;
	} else if (c->kind != FL__CELL_NONE) {
		v.type = FL_V_TEXT;
		v.p = c->kind == FL__CELL_SHORT ? c->text : c->p;
		v.n = c->kind == FL__CELL_SHORT ? c->n : c->len;
		if (c->tag == FL_TAG_BOOL && v.n) {
			v.type = FL_V_BOOL;
			v.boolean = *v.p == 't';
		}
	}
	return v;
}

const char *
fl__cell_text(const struct fl__cell *c, char tmp[FL_NUMBER_TEXT_MAX], size_t *ret_n)
{
	struct fl_dec d;

	switch ((enum fl__cell_kind)c->kind) {
	case FL__CELL_INT:
		*ret_n = fl_int_format(c->i, tmp);
		return tmp;
	case FL__CELL_DEC:
	case FL__CELL_DOUBLE:
		d = cell_dec(c);
		*ret_n = fl_number_format(&d, tmp);
		return tmp;
	case FL__CELL_TIME:
		*ret_n = fl_time_format(c->i, NULL, true, tmp);
		return tmp;
	case FL__CELL_BOOL:
		*ret_n = c->i ? 4 : 5;
		return c->i ? "true" : "false";
	case FL__CELL_SHORT:
		*ret_n = c->n;
		return c->text;
	case FL__CELL_LONG:
		*ret_n = c->len;
		return c->p;
	case FL__CELL_NONE:
	case FL__CELL_KINDS:
		break;
	}
	*ret_n = 0;
	return "";
}

struct fl_value
fl__cell_value(const struct fl__cell *c, char tmp[FL_NUMBER_TEXT_MAX])
{
	struct fl_value v = plain_value(c);

	if (c->flags & FL__CELL_WAS_TEXT)
		v.p = fl__cell_text(c, tmp, &v.n);
	return v;
}

bool
fl__cell_number(const struct fl__cell *c, struct fl_dec *ret)
{
	struct fl_value v;

	if (is_number(c)) {
		*ret = cell_dec(c);
		return true;
	}
	v = plain_value(c);
	return fl_value_number(&v, ret);
}

static int
compare_numbers(const struct fl__cell *a, const struct fl__cell *b)
{
	struct fl_dec x = cell_dec(a), y = cell_dec(b);
	fl_int128 p = fl_dec_mantissa(&x), q = fl_dec_mantissa(&y);

	if (a->kind == b->kind && x.scale == y.scale && x.scale <= FL_DEC_DIGITS_MAX)
		return (p > q) - (p < q);
	return fl_dec_compare(&x, &y);
}

/* SHORT or LONG. */
static int
compare_texts(const struct fl__cell *a, const struct fl__cell *b)
{
	const char *ap = a->kind == FL__CELL_SHORT ? a->text : a->p;
	const char *bp = b->kind == FL__CELL_SHORT ? b->text : b->p;
	uint32_t an = a->kind == FL__CELL_SHORT ? a->n : a->len;
	uint32_t bn = b->kind == FL__CELL_SHORT ? b->n : b->len;
	int c = memcmp(ap, bp, an < bn ? an : bn);

	return c ? c : (an > bn) - (an < bn);
}

int
fl__cell_compare(const struct fl__cell *a, const struct fl__cell *b)
{
	struct fl_value x, y;

	if (a->kind == b->kind && (a->kind == FL__CELL_INT || a->kind == FL__CELL_TIME))
		return (a->i > b->i) - (a->i < b->i);
	if (is_number(a) && is_number(b))
		return compare_numbers(a, b);
	if (a->flags & b->flags & FL__CELL_NO_NUMBER && a->tag != FL_TAG_BOOL &&
	    b->tag != FL_TAG_BOOL)
		return compare_texts(a, b);
	x = plain_value(a);
	y = plain_value(b);
	return fl_value_compare(&x, &y);
}

int
fl__cell_order(const struct fl__cell *a, const struct fl__cell *b)
{
	char a_tmp[FL_NUMBER_TEXT_MAX], b_tmp[FL_NUMBER_TEXT_MAX];
	const char *ap, *bp;
	size_t an, bn;
	int c = fl__cell_compare(a, b);

	if (c || a->kind == FL__CELL_NONE)
		return c;
	if (fl__cell_same(a, b))
		return 0;
	ap = fl__cell_text(a, a_tmp, &an);
	bp = fl__cell_text(b, b_tmp, &bn);
	return an != bn ? (an < bn ? -1 : 1) : memcmp(ap, bp, an);
}

bool
fl__cell_same(const struct fl__cell *a, const struct fl__cell *b)
{
	if (a->kind != b->kind)
		return false;
	switch ((enum fl__cell_kind)a->kind) {
	case FL__CELL_INT:
	case FL__CELL_TIME:
	case FL__CELL_BOOL:
		return a->i == b->i;
	case FL__CELL_DEC:
		return a->n == b->n && a->lo == b->lo && a->hi == b->hi;
	case FL__CELL_DOUBLE:
		return a->f == b->f || (isnan(a->f) && isnan(b->f));
	case FL__CELL_SHORT:
		return a->n == b->n && memcmp(a->text, b->text, a->n) == 0;
	case FL__CELL_LONG:
		return a->len == b->len && memcmp(a->p, b->p, a->len) == 0;
	case FL__CELL_NONE:
	case FL__CELL_KINDS:
		break;
	}
	return true;
}

uint64_t
fl__cell_hash(const struct fl__cell *c, uint64_t seed)
{
	char tmp[FL_NUMBER_TEXT_MAX];
	const char *p;
	size_t n;

	if (c->kind == FL__CELL_INT) {
		int64_t i = c->i;

		return XXH3_64bits_withSeed(&i, sizeof i, seed);
	}
	p = fl__cell_text(c, tmp, &n);
	if (c->kind == FL__CELL_DOUBLE && c->f == 0) { /* -0 is equal to 0 */
		p = "0";
		n = 1;
	}
	return XXH3_64bits_withSeed(p, n, seed);
}

void
fl__cell_put(const struct fl__cell *c, struct fl_colbuf *out)
{
	char tmp[FL_NUMBER_TEXT_MAX];
	struct fl_value v;

	if (c->kind == FL__CELL_INT && !(c->flags & FL__CELL_WAS_TEXT)) {
		fl_put_int(out, c->i);
		return;
	}
	v = fl__cell_value(c, tmp);
	fl_put_fl_value(out, &v);
}

void
fl__cell_json(const struct fl__cell *c, struct fl_buf *out)
{
	char tmp[FL_NUMBER_TEXT_MAX];
	struct fl_json json;
	size_t n;
	const char *p = fl__cell_text(c, tmp, &n);
	bool raw = false;

	switch ((enum fl__cell_kind)c->kind) {
	case FL__CELL_NONE:
	case FL__CELL_KINDS:
		p = "null";
		n = 4;
		raw = true;
		break;
	case FL__CELL_INT:
	case FL__CELL_DEC:
		raw = !(c->flags & FL__CELL_WAS_TEXT) || c->tag != FL_TAG_STRING;
		break;
	case FL__CELL_DOUBLE:
		raw = isfinite(c->f);
		break;
	case FL__CELL_BOOL:
		raw = true;
		break;
	case FL__CELL_TIME:
		break;
	case FL__CELL_SHORT:
	case FL__CELL_LONG:
		if (c->tag == FL_TAG_PLAIN)
			raw = fl_json_open(p, n, &json) && json.type == FL_JSON_NUMBER &&
			      fl_json_valid(p, n);
		else
			raw = c->tag != FL_TAG_STRING;
		break;
	}
	if (raw)
		fl_buf_put(out, p, n);
	else
		fl_json_quote(p, n, out);
}

/* ---- saving and loading ------------------------------------------------- */

void
fl__save_u8(struct fl_buf *out, uint8_t v)
{
	fl_buf_putc(out, (char)v);
}

void
fl__save_u64(struct fl_buf *out, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		fl_buf_putc(out, (char)(v | 0x80));
	fl_buf_putc(out, (char)v);
}

void
fl__save_fixed(struct fl_buf *out, uint64_t v)
{
	for (int i = 0; i < 8; i++, v >>= 8)
		fl_buf_putc(out, (char)v);
}

void
fl__save_double(struct fl_buf *out, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof bits);
	fl__save_fixed(out, bits);
}

void
fl__save_cell(struct fl_buf *out, const struct fl__cell *c)
{
	fl__save_u8(out, c->kind);
	fl__save_u8(out, (uint8_t)(c->tag | (c->flags & FL__CELL_WAS_TEXT) << 7));
	switch ((enum fl__cell_kind)c->kind) {
	case FL__CELL_INT:
	case FL__CELL_TIME:
	case FL__CELL_BOOL:
		/* the sign goes into the lowest bit: small numbers take few bytes */
		fl__save_u64(out, (uint64_t)c->i << 1 ^ (uint64_t)(c->i >> 63));
		break;
	case FL__CELL_DEC:
		fl__save_u8(out, c->n);
		fl__save_fixed(out, c->lo);
		fl__save_fixed(out, (uint64_t)c->hi);
		break;
	case FL__CELL_DOUBLE:
		fl__save_double(out, c->f);
		break;
	case FL__CELL_SHORT:
		fl__save_u8(out, c->n);
		fl_buf_put(out, c->text, c->n);
		break;
	case FL__CELL_LONG:
		fl__save_u64(out, c->len);
		fl_buf_put(out, c->p, c->len);
		break;
	case FL__CELL_NONE:
	case FL__CELL_KINDS:
		break;
	}
}

/* n bytes, or NULL. */
static const char *
take(struct fl__reader *r, size_t n)
{
	const char *p = r->p;

	if (r->bad || (size_t)(r->end - r->p) < n) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	return p;
}

uint8_t
fl__load_u8(struct fl__reader *r)
{
	const char *p = take(r, 1);

	return p ? (uint8_t)*p : 0;
}

uint64_t
fl__load_u64(struct fl__reader *r)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte = fl__load_u8(r);

		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return v;
	}
	r->bad = true;
	return 0;
}

uint64_t
fl__load_fixed(struct fl__reader *r)
{
	const char *p = take(r, 8);
	uint64_t v = 0;

	for (int i = 7; p && i >= 0; i--)
		v = v << 8 | (uint8_t)p[i];
	return v;
}

double
fl__load_double(struct fl__reader *r)
{
	uint64_t bits = fl__load_fixed(r);
	double v;

	memcpy(&v, &bits, sizeof v);
	return v;
}

uint64_t
fl__load_count(struct fl__reader *r, size_t min_bytes)
{
	uint64_t n = fl__load_u64(r);

	if (n > (size_t)(r->end - r->p) / min_bytes) {
		r->bad = true;
		return 0;
	}
	return n;
}

static void
load_text(struct fl__reader *r, struct fl__cell *c)
{
	uint64_t n = c->kind == FL__CELL_SHORT ? fl__load_u8(r) : fl__load_u64(r);
	const char *p;

	if ((n <= FL__CELL_INLINE) != (c->kind == FL__CELL_SHORT) || n > UINT32_MAX) {
		r->bad = true;
		return;
	}
	p = take(r, (size_t)n);
	if (p) {
		uint8_t tag = c->tag;

		*c = bytes_cell(p, (size_t)n);
		c->tag = tag;
	}
}

bool
fl__cell_is_flat(const struct fl__cell *c)
{
	if (c->tag >= FL_TAGS || c->flags > (FL__CELL_WAS_TEXT | FL__CELL_NO_NUMBER))
		return false;
	switch ((enum fl__cell_kind)c->kind) {
	case FL__CELL_NONE:
	case FL__CELL_INT:
	case FL__CELL_DOUBLE:
	case FL__CELL_BOOL:
	case FL__CELL_TIME:
		return true;
	case FL__CELL_DEC:
		return c->n <= FL_DEC_DIGITS_MAX;
	case FL__CELL_SHORT:
		return c->n <= FL__CELL_INLINE;
	default:
		return false;
	}
}

struct fl__cell
fl__load_cell(struct fl__reader *r)
{
	struct fl__cell c = { .kind = fl__load_u8(r) };
	uint8_t tag = fl__load_u8(r);
	uint64_t v;

	c.tag = tag & 0x7f;
	c.flags = tag >> 7 ? FL__CELL_WAS_TEXT : 0;
	if (c.tag >= FL_TAGS || (c.flags && c.kind != FL__CELL_INT && c.kind != FL__CELL_DEC))
		r->bad = true;
	switch ((enum fl__cell_kind)c.kind) {
	case FL__CELL_INT:
	case FL__CELL_TIME:
	case FL__CELL_BOOL:
		v = fl__load_u64(r);
		c.i = (int64_t)(v >> 1 ^ -(v & 1));
		break;
	case FL__CELL_DEC:
		c.n = fl__load_u8(r);
		c.lo = fl__load_fixed(r);
		c.hi = (int64_t)fl__load_fixed(r);
		r->bad = r->bad || c.n > FL_DEC_DIGITS_MAX;
		break;
	case FL__CELL_DOUBLE:
		c.f = fl__load_double(r);
		break;
	case FL__CELL_SHORT:
	case FL__CELL_LONG:
		load_text(r, &c);
		break;
	case FL__CELL_NONE:
		break;
	default:
		r->bad = true;
		break;
	}
	return r->bad ? (struct fl__cell){ 0 } : c;
}
