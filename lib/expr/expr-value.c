/* SPDX-License-Identifier: Apache-2.0 */
/* Single values inside an expression, and vectors of results. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "expr/expr-node.h"
#include "stream/value.h"

#define KIND_NONE (FL_KINDS + 9) /* of results: nothing was put yet */

/* ---- values ------------------------------------------------------------- */

struct fl_xval
fl_x_built(const struct fl_xcall *c)
{
	if (c->text->len == c->start)
		return fl_x_text("", 0);
	return fl_x_text(c->text->data + c->start, c->text->len - c->start);
}

struct fl_xval
fl_x_dec(const struct fl_dec *d)
{
	struct fl_xval v = { .type = FL_X_INT };

	if (!fl_dec_is_int64(d, &v.i)) {
		v.type = FL_X_DEC;
		v.dec = *d;
	}
	return v;
}

struct fl_xval
fl_x_double(double f)
{
	struct fl_xval v = { .type = FL_X_DEC };

	v.dec = fl_dec_from_double(f);
	return v;
}

static struct fl_xval
get_text(const struct fl_vec *v, uint32_t i, enum fl_tag tag)
{
	size_t n;
	const char *p = fl_text(v, i, &n);
	struct fl_xval ret = fl_x_text(p, n);

	if (n == 0 && tag == FL_TAG_PLAIN)
		return fl_x_null();
	if (tag == FL_TAG_BOOL && n > 0 && (*p == 't' || *p == 'f'))
		return fl_x_bool(*p == 't');
	ret.tag = (uint8_t)tag;
	return ret;
}

struct fl_xval
fl_x_get(const struct fl_vec *v, uint32_t i)
{
	enum fl_tag tag = fl_tag_of(v, i);
	struct fl_xval ret = { .type = FL_X_INT };

	if (tag == FL_TAG_NULL || tag == FL_TAG_ABSENT) {
		ret = fl_x_null();
		ret.tag = (uint8_t)tag;
		return ret;
	}
	switch (v->kind) {
	case FL_TEXT:
		return get_text(v, i, tag);
	case FL_INT64:
		ret.i = v->i64[i];
		return ret;
	case FL_DECIMAL:
		return fl_x_dec(&v->dec[i]);
	case FL_DOUBLE:
		return fl_x_double(v->f64[i]);
	case FL_BOOL:
		return fl_x_bool(v->b[i] != 0);
	case FL_XK_SPAN:
		ret.type = FL_X_SPAN;
		ret.span = ((const struct fl_xspan *)v->data)[i];
		return ret;
	default:
		ret.type = v->kind == FL_TIME ? FL_X_TIME : FL_X_DATE;
		ret.i = v->i64[i];
		return ret;
	}
}

/* What a number can begin with; spares the whole parse for most other text. */
static bool
may_be_number(const char *p, size_t n)
{
	static const char first[] = "0123456789+-.nNiI";

	return n > 0 && *p && memchr(first, *p, sizeof first - 1);
}

/* digits . digits, at most 18 of them: the common fraction, without the whole parser. */
static bool
short_decimal(const char *p, size_t n, struct fl_dec *ret)
{
	bool negative = n && *p == '-';
	size_t i = negative, dot = 0;
	uint64_t v = 0; /* 19 digits fit */

	if (n > 19)
		return false;
	for (; i < n; i++) {
		unsigned d = (unsigned)(unsigned char)p[i] - '0';

		if (d <= 9)
			v = v * 10 + d;
		else if (p[i] == '.' && dot == 0 && i > negative && i + 1 < n)
			dot = i;
		else
			return false;
	}
	if (dot == 0)
		return false;
	*ret = fl_dec_from_int(negative ? -(int64_t)v : (int64_t)v);
	ret->scale = (uint32_t)(n - dot - 1);
	return true;
}

bool
fl_x_number(const struct fl_xval *v, struct fl_xval *ret)
{
	struct fl_dec d;
	int64_t i;

	if (v->type == FL_X_INT || v->type == FL_X_DEC) {
		*ret = *v;
		return true;
	}
	if (v->type != FL_X_TEXT)
		return false;
	if (fl_int_parse(v->p, v->n, &i)) {
		*ret = fl_x_int(i);
		return true;
	}
	if (!short_decimal(v->p, v->n, &d) &&
	    (!may_be_number(v->p, v->n) || !fl_number_parse(v->p, v->n, &d)))
		return false;
	*ret = fl_x_dec(&d);
	return true;
}

struct fl_dec
fl_x_to_dec(const struct fl_xval *number)
{
	return number->type == FL_X_INT ? fl_dec_from_int(number->i) : number->dec;
}

bool
fl_x_truth(const struct fl_xval *v, bool *ret)
{
	if (v->type == FL_X_BOOL) {
		*ret = v->b;
		return true;
	}
	if (v->type != FL_X_TEXT)
		return false;
	if ((v->n == 4 && strncasecmp(v->p, "true", 4) == 0) ||
	    (v->n == 1 && (*v->p == 't' || *v->p == 'T')))
		*ret = true;
	else if ((v->n == 5 && strncasecmp(v->p, "false", 5) == 0) ||
		 (v->n == 1 && (*v->p == 'f' || *v->p == 'F')))
		*ret = false;
	else
		return false;
	return true;
}

static size_t
date_text(int64_t days, char *buf, size_t cap)
{
	int32_t year, month, day;

	fl_civil_from_days(days, &year, &month, &day);
	return (size_t)snprintf(buf, cap, "%04d-%02d-%02d", year, month, day);
}

const char *
fl_x_to_text(const struct fl_xval *v, const struct fl_expr_env *env, char buf[FL_X_TEXT_MAX],
	     size_t *ret_len)
{
	switch (v->type) {
	case FL_X_TEXT:
		*ret_len = v->n;
		return v->p;
	case FL_X_BOOL:
		*ret_len = v->b ? 4 : 5;
		return v->b ? "true" : "false";
	case FL_X_INT:
		*ret_len = fl_int_format(v->i, buf);
		return buf;
	case FL_X_DEC:
		*ret_len = fl_number_format(&v->dec, buf);
		return buf;
	case FL_X_TIME:
		*ret_len = fl_time_format(v->i, env ? env->zone : NULL, true, buf);
		return buf;
	case FL_X_DATE:
		*ret_len = date_text(v->i, buf, FL_X_TEXT_MAX);
		return buf;
	case FL_X_SPAN:
		*ret_len = fl_xspan_format(&v->span, buf);
		return buf;
	default:
		*ret_len = 0;
		return "";
	}
}

const char *
fl_x_show(const struct fl_xval *v, const struct fl_expr_env *env, char buf[FL_X_SHOW_MAX])
{
	static const size_t most = 40;
	char text[FL_X_TEXT_MAX];
	size_t n, at = 0;
	const char *p = fl_x_to_text(v, env, text, &n);

	if (v->type == FL_X_NULL)
		return "NULL";
	if (v->type == FL_X_TEXT)
		buf[at++] = '"';
	for (size_t i = 0; i < n && i < most; i++)
		buf[at++] = (unsigned char)p[i] < ' ' || p[i] == 0x7f ? '?' : p[i];
	if (n > most) {
		while (at > 1 && (buf[at - 1] & 0x80)) /* no half character */
			at--;
		memcpy(buf + at, "...", 3);
		at += 3;
	}
	if (v->type == FL_X_TEXT)
		buf[at++] = '"';
	buf[at] = '\0';
	return buf;
}

/* ---- times -------------------------------------------------------------- */

static bool
parse_time(struct fl_xnode *x, const struct fl_expr_env *env, const char *p, size_t n,
	   int64_t *ret_ms)
{
	const char *tz = env && env->zone ? fl_zone_name(env->zone) : NULL;
	const uint32_t off[2] = { 0, (uint32_t)n };
	struct fl_err err;

	if (!x->timefmt) {
		x->timefmt = fl_xcalloc(1, sizeof *x->timefmt);
		if (fl_timefmt_init(x->timefmt, "auto", tz, FL_YEAR_NONE, &err) < 0) {
			free(x->timefmt);
			x->timefmt = NULL;
			return false;
		}
	}
	/* a column of one text: the same as fl_timefmt_parse, which lacks its fast paths */
	if (n <= UINT32_MAX && fl_timefmt_parse_column(x->timefmt, p, off, 1, 0, 1, ret_ms) == 1)
		return true;
	/* another kind of time than the values before: fine in an expression */
	if (fl_timefmt_set_kind(x->timefmt, FL_TIME_UNDECIDED, &err) < 0)
		return false;
	return fl_timefmt_parse(x->timefmt, p, n, ret_ms) == 0;
}

bool
fl_x_moment(struct fl_xnode *x, const struct fl_expr_env *env, const struct fl_xval *v,
	    int64_t *ret_ms)
{
	char buf[FL_X_TEXT_MAX];
	const char *p;
	size_t n;

	switch (v->type) {
	case FL_X_TIME:
		*ret_ms = v->i;
		return true;
	case FL_X_DATE:
		if (__builtin_mul_overflow(v->i, FL_MS_PER_DAY, ret_ms))
			return false;
		*ret_ms = fl_zone_local_to_utc(env ? env->zone : NULL, *ret_ms);
		return true;
	case FL_X_TEXT:
	case FL_X_INT:
	case FL_X_DEC:
		p = fl_x_to_text(v, env, buf, &n);
		return parse_time(x, env, p, n, ret_ms);
	default:
		return false;
	}
}

/* ---- order -------------------------------------------------------------- */

static int
sign_of(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static int
compare_bytes(const char *a, size_t an, const char *b, size_t bn)
{
	size_t n = an < bn ? an : bn;
	int c = n ? memcmp(a, b, n) : 0;

	return c ? (c > 0) - (c < 0) : (an > bn) - (an < bn);
}

static int
compare_numbers(const struct fl_xval *a, const struct fl_xval *b)
{
	struct fl_dec x, y;

	if (a->type == FL_X_INT && b->type == FL_X_INT)
		return sign_of(a->i, b->i);
	x = fl_x_to_dec(a);
	y = fl_x_to_dec(b);
	return fl_dec_compare(&x, &y);
}

static bool
is_clock(uint8_t type)
{
	return type == FL_X_TIME || type == FL_X_DATE;
}

/* Text and whatever else by their texts. */
static int
compare_as_text(const struct fl_expr_env *env, const struct fl_xval *a, const struct fl_xval *b)
{
	char abuf[FL_X_TEXT_MAX], bbuf[FL_X_TEXT_MAX];
	const char *ap, *bp;
	size_t an, bn;

	ap = fl_x_to_text(a, env, abuf, &an);
	bp = fl_x_to_text(b, env, bbuf, &bn);
	return compare_bytes(ap, an, bp, bn);
}

static int
compare_spans(const struct fl_expr_env *env, const struct fl_xval *a, const struct fl_xval *b)
{
	struct fl_xspan s = { 0 };
	const struct fl_xval *text = a->type == FL_X_TEXT ? a : b;

	if (a->type == FL_X_SPAN && b->type == FL_X_SPAN)
		return fl_xspan_compare(&a->span, &b->span);
	if (text->type != FL_X_TEXT || !fl_xspan_parse(text->p, text->n, NULL, &s))
		return compare_as_text(env, a, b);
	return text == a ? fl_xspan_compare(&s, &b->span) : fl_xspan_compare(&a->span, &s);
}

/* As a condition, but a single letter is just a text here. */
static bool
says_truth(const struct fl_xval *v, bool *ret)
{
	return !(v->type == FL_X_TEXT && v->n == 1) && fl_x_truth(v, ret);
}

int
fl_x_compare(struct fl_xnode *x, const struct fl_expr_env *env, const struct fl_xval *a,
	     const struct fl_xval *b)
{
	struct fl_xval na, nb;
	bool a_number, b_number, at, bt;
	int64_t am, bm;

	if (a->type == FL_X_INT && b->type == FL_X_INT)
		return sign_of(a->i, b->i);
	if (a->type == FL_X_TEXT && b->type == FL_X_TEXT && a->n == b->n &&
	    memcmp(a->p, b->p, a->n) == 0)
		return 0;
	if (a->type == FL_X_SPAN || b->type == FL_X_SPAN)
		return compare_spans(env, a, b);
	if (a->type == FL_X_DATE && b->type == FL_X_DATE)
		return sign_of(a->i, b->i);
	if ((is_clock(a->type) || is_clock(b->type)) && fl_x_moment(x, env, a, &am) &&
	    fl_x_moment(x, env, b, &bm))
		return sign_of(am, bm);
	if ((a->type == FL_X_BOOL || b->type == FL_X_BOOL) && says_truth(a, &at) &&
	    says_truth(b, &bt))
		return at - bt;
	a_number = fl_x_number(a, &na);
	b_number = fl_x_number(b, &nb);
	if (a_number && b_number)
		return compare_numbers(&na, &nb);
	if (a_number != b_number)
		return a_number ? -1 : 1;
	return compare_as_text(env, a, b);
}

/* ---- bad records -------------------------------------------------------- */

int
fl_x_bad(struct fl_xcall *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(c->reason, FL_X_REASON_MAX, fmt, ap);
	va_end(ap);
	return -1;
}

void
fl_x_bad_row(struct fl_xeval *ev, const struct fl_xnode *x, uint32_t row, const char *reason)
{
	if (ev->bad && fl_badrows_add(ev->bad, ev->rows, row, "%s", reason) && ev->text)
		fl_x_place(ev->text, x->place, ev->bad->place);
}

/* ---- results ------------------------------------------------------------ */

static size_t
element_size(uint8_t kind)
{
	switch (kind) {
	case FL_TEXT:
		return 2 * sizeof(uint32_t);
	case FL_BOOL:
		return 1;
	case FL_DECIMAL:
		return sizeof(struct fl_dec);
	case FL_XK_SPAN:
		return sizeof(struct fl_xspan);
	default:
		return sizeof(int64_t);
	}
}

void
fl_xres_begin(struct fl_xres *r, uint32_t rows)
{
	r->kind = KIND_NONE;
	r->rows = rows;
	fl_buf_clear(&r->data);
	fl_buf_clear(&r->bytes);
	fl_buf_clear(&r->tags);
	memset(fl_buf_reserve(&r->tags, rows + 1), FL_TAG_ABSENT, rows);
}

/* Elements that are never put are 0: what a NULL has there goes into frames. */
static void
use_kind(struct fl_xres *r, uint8_t kind)
{
	size_t size = r->rows * element_size(kind) + 1;

	r->kind = kind;
	fl_buf_clear(&r->data);
	memset(fl_buf_reserve(&r->data, size), 0, size);
}

static uint8_t
kind_of(const struct fl_xval *v)
{
	static const uint8_t kinds[] = {
		[FL_X_BOOL] = FL_BOOL,      [FL_X_INT] = FL_INT64,    [FL_X_DEC] = FL_DECIMAL,
		[FL_X_TIME] = FL_TIME,      [FL_X_DATE] = FL_XK_DATE, [FL_X_SPAN] = FL_XK_SPAN,
		[FL_X_TEXT] = FL_TEXT,
	};

	return kinds[v->type];
}

static int
put_text(struct fl_xres *r, uint32_t row, const char *p, size_t n, enum fl_tag tag,
	 struct fl_xeval *ev)
{
	uint32_t *off = (uint32_t *)(void *)r->data.data + 2 * (size_t)row;

	if (r->bytes.len + n > UINT32_MAX)
		return fl_fail(ev->err, FL_ELIMIT, "a batch of text results is larger than 4 GiB");
	off[0] = (uint32_t)r->bytes.len;
	fl_buf_put(&r->bytes, p, n);
	off[1] = (uint32_t)r->bytes.len;
	r->tags.data[row] = (char)tag;
	return 0;
}

/* Tags of what text is made of when values of several types meet. */
static enum fl_tag
text_tag(const struct fl_xval *v)
{
	switch (v->type) {
	case FL_X_TEXT:
		return (enum fl_tag)v->tag;
	case FL_X_BOOL:
		return FL_TAG_BOOL;
	case FL_X_INT:
	case FL_X_DEC:
		return FL_TAG_PLAIN;
	default:
		return FL_TAG_STRING;
	}
}

static int
put_as_text(struct fl_xres *r, uint32_t row, const struct fl_xval *v, struct fl_xeval *ev)
{
	char buf[FL_X_TEXT_MAX];
	size_t n;
	const char *p = fl_x_to_text(v, ev->env, buf, &n);

	return put_text(r, row, p, n, text_tag(v), ev);
}

/* Values of another kind are coming: rewrite those that are there. */
static int
convert(struct fl_xres *r, uint8_t kind, struct fl_xeval *ev)
{
	struct fl_vec old = { .kind = r->kind };
	struct fl_buf data = r->data;
	int rc = 0;

	old.data = data.data;
	r->data = (struct fl_buf){ 0 };
	use_kind(r, kind);
	for (uint32_t i = 0; rc == 0 && i < r->rows; i++) {
		struct fl_xval v;

		if (r->tags.data[i] == FL_TAG_ABSENT || r->tags.data[i] == FL_TAG_NULL)
			continue;
		v = fl_x_get(&old, i);
		if (kind == FL_TEXT)
			rc = put_as_text(r, i, &v, ev);
		else
			((struct fl_dec *)(void *)r->data.data)[i] = fl_x_to_dec(&v);
	}
	fl_buf_release(&data);
	return rc;
}

/* The kind that holds both; KIND_NONE where v must become text. */
static uint8_t
joined_kind(uint8_t have, uint8_t more)
{
	bool numbers = (have == FL_INT64 || have == FL_DECIMAL) &&
		       (more == FL_INT64 || more == FL_DECIMAL);

	return have == more || have == KIND_NONE ? more : numbers ? FL_DECIMAL : FL_TEXT;
}

int
fl_xres_put(struct fl_xres *r, uint32_t row, const struct fl_xval *v, struct fl_xeval *ev)
{
	uint8_t kind;
	int rc = 0;

	if (v->type == FL_X_NULL) {
		r->tags.data[row] = (char)v->tag;
		return 0;
	}
	kind = joined_kind(r->kind, kind_of(v));
	if (r->kind == KIND_NONE)
		use_kind(r, kind);
	else if (r->kind != kind)
		rc = convert(r, kind, ev);
	if (rc < 0)
		return rc;
	if (kind == FL_TEXT)
		return put_as_text(r, row, v, ev);
	r->tags.data[row] = FL_TAG_PLAIN;
	switch (kind) {
	case FL_BOOL:
		r->data.data[row] = v->b;
		break;
	case FL_DECIMAL:
		((struct fl_dec *)(void *)r->data.data)[row] = fl_x_to_dec(v);
		break;
	case FL_XK_SPAN:
		((struct fl_xspan *)(void *)r->data.data)[row] = v->span;
		break;
	default:
		((int64_t *)(void *)r->data.data)[row] = v->i;
		break;
	}
	return 0;
}

void
fl_xres_finish(struct fl_xres *r, const struct fl_xsel *sel, struct fl_vec *ret)
{
	const uint8_t *tags = (const uint8_t *)r->tags.data;
	bool same = true;

	if (r->kind == KIND_NONE)
		use_kind(r, FL_TEXT);
	for (uint32_t i = 1; same && i < r->rows; i++)
		same = tags[i] == tags[0];
	*ret = (struct fl_vec){ .kind = r->kind };
	if (same && sel->n == r->rows && r->rows > 0)
		ret->tag = tags[0];
	else
		ret->tags = tags;
	if (r->kind != FL_TEXT) {
		ret->data = r->data.data;
		return;
	}
	ret->stride = 2;
	ret->off = (const uint32_t *)(const void *)r->data.data;
	ret->bytes = r->bytes.data ? r->bytes.data : "";
	ret->bytes_len = r->bytes.len;
}

void
fl_xres_truth(struct fl_xres *r, const uint8_t *t, uint32_t rows, const struct fl_xsel *sel,
	      struct fl_vec *ret)
{
	bool nulls = sel->n != rows;

	fl_xres_begin(r, rows);
	use_kind(r, FL_BOOL);
	for (uint32_t k = 0; k < sel->n; k++) {
		uint32_t i = fl_x_row(sel, k);

		nulls |= t[i] == FL_X_UNKNOWN;
		r->data.data[i] = t[i] == FL_X_TRUE;
		r->tags.data[i] = t[i] == FL_X_UNKNOWN ? FL_TAG_NULL : FL_TAG_PLAIN;
	}
	*ret = (struct fl_vec){ .kind = FL_BOOL };
	ret->data = r->data.data;
	if (nulls)
		ret->tags = (const uint8_t *)r->tags.data;
}

void
fl_xres_release(struct fl_xres *r)
{
	fl_buf_release(&r->data);
	fl_buf_release(&r->bytes);
	fl_buf_release(&r->tags);
}
