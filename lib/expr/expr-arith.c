/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic. A batch whose operands are all integers is computed as such, with
 * a check for overflow; the first that is none, or does not fit, turns the
 * whole batch to decimals. Times and intervals go value by value.
 */
#include <math.h>
#include <stdio.h>

#include "expr/expr-node.h"

/* One side of an operator: numbers, as integers or as decimals. */
struct operand {
	const int64_t *ints;       /* NULL: decimals */
	const struct fl_dec *decs;
};

static const char out_of_range[] = "number out of range";
static const char by_zero[] = "division by zero";

/* ---- one pair of numbers ------------------------------------------------ */

static struct fl_dec
operand_dec(const struct operand *o, uint32_t i)
{
	return o->ints ? fl_dec_from_int(o->ints[i]) : o->decs[i];
}

static bool
is_double(const struct fl_dec *d)
{
	return d->scale == FL_DEC_DOUBLE;
}

static bool
is_zero(const struct fl_dec *d)
{
	return fl_dec_to_double(d) == 0;
}

/* An integer power by squaring, for as long as it is exact. */
static bool
exact_power(const struct fl_dec *base, int64_t exponent, struct fl_dec *ret)
{
	struct fl_dec square = *base;

	if (exponent < 0 || exponent > 400 || is_double(base))
		return false;
	*ret = fl_dec_from_int(1);
	for (; exponent; exponent >>= 1) {
		if (exponent & 1 && (fl_dec_mul(ret, &square, ret) < 0 || is_double(ret)))
			return false;
		if (exponent > 1 &&
		    (fl_dec_mul(&square, &square, &square) < 0 || is_double(&square)))
			return false;
	}
	return true;
}

const char *
fl_x_power(const struct fl_dec *a, const struct fl_dec *b, struct fl_dec *ret)
{
	double x = fl_dec_to_double(a), y = fl_dec_to_double(b), v;
	int64_t exponent;

	if (fl_dec_is_int64(b, &exponent) && exact_power(a, exponent, ret))
		return NULL;
	if (x == 0 && y < 0)
		return "zero to a negative power";
	if (x < 0 && y != floor(y))
		return "a negative number to a power that is no integer";
	v = pow(x, y);
	if (isinf(v) && !isinf(x) && !isinf(y))
		return out_of_range;
	*ret = fl_dec_from_double(v);
	return NULL;
}

static const char *
bits(enum fl_xarith op, const struct fl_dec *a, const struct fl_dec *b, struct fl_dec *ret)
{
	int64_t x, y;

	if (!fl_dec_is_int64(a, &x) || !fl_dec_is_int64(b, &y))
		return "bit operators need integers";
	switch (op) {
	case FL_XA_AND:
		x &= y;
		break;
	case FL_XA_OR:
		x |= y;
		break;
	case FL_XA_XOR:
		x ^= y;
		break;
	case FL_XA_NOT:
		x = ~x;
		break;
	case FL_XA_SHL:
		x = (int64_t)((uint64_t)x << (y & 63));
		break;
	default:
		x >>= y & 63;
		break;
	}
	*ret = fl_dec_from_int(x);
	return NULL;
}

/* NULL, or why it cannot be computed. Unary operators have b equal to a. */
static const char *
compute(enum fl_xarith op, const struct fl_dec *a, const struct fl_dec *b, struct fl_dec *ret)
{
	static const struct fl_dec zero;
	int rc;

	switch (op) {
	case FL_XA_ADD:
		rc = fl_dec_add(a, b, ret);
		break;
	case FL_XA_SUB:
		rc = fl_dec_sub(a, b, ret);
		break;
	case FL_XA_MUL:
		rc = fl_dec_mul(a, b, ret);
		break;
	case FL_XA_DIV:
	case FL_XA_MOD:
		if (is_zero(b))
			return by_zero;
		rc = op == FL_XA_DIV ? fl_dec_div(a, b, ret) : fl_dec_mod(a, b, ret);
		break;
	case FL_XA_NEG:
		if (is_double(a)) {
			*ret = fl_dec_from_double(-fl_dec_to_double(a));
			return NULL;
		}
		rc = fl_dec_sub(&zero, a, ret);
		break;
	case FL_XA_POW:
		return fl_x_power(a, b, ret);
	default:
		return bits(op, a, b, ret);
	}
	return rc < 0 ? out_of_range : NULL;
}

/* ---- vectors of numbers ------------------------------------------------- */

static void
not_a_number(const struct fl_xnode *x, struct fl_xeval *ev, uint32_t row,
	     const struct fl_xval *v)
{
	char shown[FL_X_SHOW_MAX], reason[FL_X_REASON_MAX];

	(void)snprintf(reason, sizeof reason, "not a number: %s", fl_x_show(v, ev->env, shown));
	fl_x_bad_row(ev, x, row, reason);
}

/*
 * The numbers of a text column, the values of x, into room: integers while they all are, then
 * decimals. tags[i] becomes NULL for what is none.
 */
static void
parse_numbers(const struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel,
	      const struct fl_vec *v, struct fl_buf *room, uint8_t *tags, struct operand *ret)
{
	int64_t *ints = (int64_t *)(void *)fl_buf_reserve(room, ev->rows * sizeof(struct fl_dec));
	struct fl_dec *decs = NULL;

	for (uint32_t k = 0; k < sel->n; k++) {
		uint32_t i = fl_x_row(sel, k);
		struct fl_xval val = fl_x_get(v, i), number = fl_x_int(0);

		if (val.type == FL_X_NULL) {
			tags[i] = FL_TAG_NULL;
		} else if (!fl_x_number(&val, &number)) {
			if (tags[i] == FL_TAG_PLAIN)
				not_a_number(x, ev, i, &val);
			tags[i] = FL_TAG_NULL;
			number = fl_x_int(0);
		}
		if (number.type == FL_X_DEC && !decs) {
			/* in place from the end: decimals are wider */
			decs = (struct fl_dec *)(void *)ints;
			for (uint32_t j = k; j-- > 0;) {
				uint32_t r = fl_x_row(sel, j);
				int64_t kept = ints[r];

				decs[r] = fl_dec_from_int(kept);
			}
		}
		if (decs)
			decs[i] = fl_x_to_dec(&number);
		else
			ints[i] = number.i;
	}
	*ret = decs ? (struct operand){ NULL, decs } : (struct operand){ ints, NULL };
}

/* A column of short integers, the common one, without a call a value. */
static bool
parse_ints(const struct fl_xsel *sel, const struct fl_vec *v, int64_t *ints, uint8_t *tags)
{
	if (v->tags || v->tag > FL_TAG_NUMBER)
		return false;
	for (uint32_t k = 0; k < sel->n; k++) {
		uint32_t i = fl_x_row(sel, k);
		size_t n;
		const char *p = fl_text(v, i, &n);

		if (fl_int_parse(p, n, &ints[i]))
			continue;
		if (n != 0 || v->tag != FL_TAG_PLAIN)
			return false;
		ints[i] = 0;
		tags[i] = FL_TAG_NULL;
	}
	return true;
}

static void
mark_nulls(const struct fl_xsel *sel, const struct fl_vec *v, uint8_t *tags)
{
	if (!v->tags && v->tag == FL_TAG_PLAIN)
		return;
	for (uint32_t k = 0; k < sel->n; k++) {
		uint32_t i = fl_x_row(sel, k);

		if (fl_is_null(v, i))
			tags[i] = FL_TAG_NULL;
	}
}

static void
load(const struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel,
     const struct fl_vec *v, struct fl_buf *room, uint8_t *tags, struct operand *ret)
{
	int64_t *ints;

	if (v->kind == FL_INT64 || v->kind == FL_DECIMAL) {
		mark_nulls(sel, v, tags);
		*ret = v->kind == FL_INT64 ? (struct operand){ v->i64, NULL }
					   : (struct operand){ NULL, v->dec };
		return;
	}
	fl_buf_clear(room);
	if (v->kind == FL_TEXT) {
		ints = (int64_t *)(void *)fl_buf_reserve(room,
							 ev->rows * sizeof(struct fl_dec) + 1);
		if (parse_ints(sel, v, ints, tags)) {
			*ret = (struct operand){ ints, NULL };
			return;
		}
	}
	parse_numbers(x, ev, sel, v, room, tags, ret);
}

/* All as integers; false at the first result that is none. */
static bool
compute_ints(enum fl_xarith op, const struct fl_xsel *sel, const int64_t *a, const int64_t *b,
	     const uint8_t *tags, int64_t *out)
{
	uint32_t n = sel->n, lost = 0, k = 0;

	switch (op) {
	case FL_XA_ADD:
		for (k = 0; k < n; k++) {
			uint32_t i = fl_x_row(sel, k);

			lost |= __builtin_add_overflow(a[i], b[i], &out[i]);
		}
		break;
	case FL_XA_SUB:
		for (k = 0; k < n; k++) {
			uint32_t i = fl_x_row(sel, k);

			lost |= __builtin_sub_overflow(a[i], b[i], &out[i]);
		}
		break;
	case FL_XA_MUL:
		for (k = 0; k < n; k++) {
			uint32_t i = fl_x_row(sel, k);

			lost |= __builtin_mul_overflow(a[i], b[i], &out[i]);
		}
		break;
	case FL_XA_NEG:
		for (k = 0; k < n; k++) {
			uint32_t i = fl_x_row(sel, k);

			lost |= __builtin_sub_overflow(0, a[i], &out[i]);
		}
		break;
	case FL_XA_MOD:
		for (k = 0; k < n; k++) {
			uint32_t i = fl_x_row(sel, k);

			if (b[i] == 0 && tags[i] == FL_TAG_PLAIN)
				return false;
			out[i] = b[i] == 0 || b[i] == -1 ? 0 : a[i] % b[i];
		}
		break;
	default:
		return false;
	}
	return lost == 0;
}

static int
compute_decs(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel,
	     const struct operand *a, const struct operand *b, const uint8_t *tags)
{
	for (uint32_t k = 0; k < sel->n; k++) {
		uint32_t i = fl_x_row(sel, k);
		struct fl_xval v = fl_x_null();
		struct fl_dec l, r, sum;
		const char *why;
		int rc;

		if (tags[i] == FL_TAG_PLAIN) {
			l = operand_dec(a, i);
			r = operand_dec(b, i);
			why = compute((enum fl_xarith)x->code, &l, &r, &sum);
			if (why)
				fl_x_bad_row(ev, x, i, why);
			else
				v = (struct fl_xval){ .type = FL_X_DEC, .dec = sum };
		}
		rc = fl_xres_put(&x->res, i, &v, ev);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Integers are computed straight into the node's room and handed out from there. */
static int
eval_numbers(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel,
	     const struct fl_vec *va, const struct fl_vec *vb, struct fl_vec *ret)
{
	struct operand a, b;
	uint8_t *tags;
	int64_t *out;
	int rc;

	fl_buf_clear(&x->scratch[2]);
	tags = (uint8_t *)fl_buf_reserve(&x->scratch[2], ev->rows + 1);
	memset(tags, sel->rows ? FL_TAG_ABSENT : FL_TAG_PLAIN, ev->rows);
	if (sel->rows)
		for (uint32_t k = 0; k < sel->n; k++)
			tags[sel->rows[k]] = FL_TAG_PLAIN;
	load(x->arg[0], ev, sel, va, &x->scratch[0], tags, &a);
	b = a;
	if (x->argc > 1)
		load(x->arg[1], ev, sel, vb, &x->scratch[1], tags, &b);
	if (a.ints && b.ints) {
		fl_buf_clear(&x->res.data);
		out = (int64_t *)(void *)fl_buf_reserve(&x->res.data, ev->rows * sizeof *out + 1);
		if (sel->rows)
			memset(out, 0, ev->rows * sizeof *out);
		if (compute_ints((enum fl_xarith)x->code, sel, a.ints, b.ints, tags, out)) {
			*ret = (struct fl_vec){ .kind = FL_INT64 };
			ret->data = out;
			if (memchr(tags, FL_TAG_NULL, ev->rows) ||
			    (sel->rows && memchr(tags, FL_TAG_ABSENT, ev->rows)))
				ret->tags = tags;
			return 0;
		}
	}
	fl_xres_begin(&x->res, ev->rows);
	rc = compute_decs(x, ev, sel, &a, &b, tags);
	fl_xres_finish(&x->res, sel, ret);
	return rc;
}

/* ---- times and intervals ------------------------------------------------ */

static bool
is_clock(const struct fl_xval *v)
{
	return v->type == FL_X_TIME || v->type == FL_X_DATE;
}

static bool
as_span(const struct fl_xval *v, struct fl_xspan *ret)
{
	*ret = v->span;
	return v->type == FL_X_SPAN ||
	       (v->type == FL_X_TEXT && fl_xspan_parse(v->p, v->n, NULL, ret));
}

/* timestamp - timestamp: days and what is left of a day. */
static bool
difference(int64_t a, int64_t b, struct fl_xval *ret)
{
	int64_t ms, days;

	if (__builtin_sub_overflow(a, b, &ms))
		return false;
	days = ms / FL_MS_PER_DAY;
	if (days > INT32_MAX || days < INT32_MIN)
		return false;
	ret->type = FL_X_SPAN;
	ret->span = (struct fl_xspan){ 0, (int32_t)days, ms % FL_MS_PER_DAY };
	return true;
}

/* date + 3, date - 3, date - date. */
static const char *
date_days(int sign, const struct fl_xval *a, const struct fl_xval *b, struct fl_xval *ret)
{
	int64_t days;
	bool lost = sign < 0 ? __builtin_sub_overflow(a->i, b->i, &days)
			     : __builtin_add_overflow(a->i, b->i, &days);

	if (lost || days > 100000000000 || days < -100000000000)
		return "date out of range";
	*ret = fl_x_int(days);
	if (b->type == FL_X_INT)
		ret->type = FL_X_DATE;
	return NULL;
}

/* a is a time or date, or a text that should be one. */
static const char *
shift(struct fl_xnode *x, struct fl_xeval *ev, int sign, const struct fl_xval *a,
      const struct fl_xval *b, struct fl_xval *ret)
{
	struct fl_xspan s;
	int64_t ms, other;

	if (a->type == FL_X_DATE && (b->type == FL_X_INT || (b->type == FL_X_DATE && sign < 0)))
		return date_days(sign, a, b, ret);
	if (!fl_x_moment(x, ev->env, a, &ms))
		return "not a time";
	if (sign < 0 && b->type != FL_X_SPAN && b->type != FL_X_INT && b->type != FL_X_DEC &&
	    fl_x_moment(x, ev->env, b, &other))
		return difference(ms, other, ret) ? NULL : out_of_range;
	if (!as_span(b, &s))
		return "not an interval";
	*ret = fl_x_time(ms);
	return fl_xspan_shift(ms, &s, sign, ev->env ? ev->env->zone : NULL, &ret->i) ? NULL
										     : out_of_range;
}

static const char *
scale(enum fl_xarith op, const struct fl_xspan *s, const struct fl_xval *by, struct fl_xval *ret)
{
	struct fl_xval number;
	struct fl_dec d;
	double f;

	if (!fl_x_number(by, &number))
		return "not a number";
	d = fl_x_to_dec(&number);
	f = fl_dec_to_double(&d);
	if (op == FL_XA_DIV && f == 0)
		return by_zero;
	ret->type = FL_X_SPAN;
	return fl_xspan_scale(s, op == FL_XA_DIV ? 1 / f : f, &ret->span) ? NULL : out_of_range;
}

/* One of the two is a time, a date or an interval. */
static const char *
compute_times(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xval *a,
	      const struct fl_xval *b, struct fl_xval *ret)
{
	enum fl_xarith op = (enum fl_xarith)x->code;
	struct fl_xspan zero = { 0 }, s;
	int64_t ms;

	if (op == FL_XA_NEG && a->type == FL_X_SPAN) {
		ret->type = FL_X_SPAN;
		return fl_xspan_add(&zero, &a->span, -1, &ret->span) ? NULL : out_of_range;
	}
	if ((op == FL_XA_MUL || op == FL_XA_DIV) && a->type == FL_X_SPAN)
		return scale(op, &a->span, b, ret);
	if (op == FL_XA_MUL && b->type == FL_X_SPAN)
		return scale(op, &b->span, a, ret);
	if (op != FL_XA_ADD && op != FL_XA_SUB)
		return "this operator is not for times";
	if (op == FL_XA_ADD && (is_clock(b) || (a->type == FL_X_SPAN && !as_span(b, &s))) &&
	    !is_clock(a))
		return shift(x, ev, 1, b, a, ret);
	if (is_clock(a) || (a->type == FL_X_TEXT && fl_x_moment(x, ev->env, a, &ms)) || is_clock(b))
		return shift(x, ev, op == FL_XA_ADD ? 1 : -1, a, b, ret);
	ret->type = FL_X_SPAN;
	if (!as_span(a, &zero) || !as_span(b, &s))
		return "not an interval";
	return fl_xspan_add(&zero, &s, op == FL_XA_ADD ? 1 : -1, &ret->span) ? NULL : out_of_range;
}

static int
eval_times(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel,
	   const struct fl_vec *va, const struct fl_vec *vb, struct fl_vec *ret)
{
	int rc = 0;

	fl_xres_begin(&x->res, ev->rows);
	for (uint32_t k = 0; rc == 0 && k < sel->n; k++) {
		uint32_t i = fl_x_row(sel, k);
		struct fl_xval a = fl_x_get(va, i), b = fl_x_get(vb, i), v = fl_x_null();
		char reason[FL_X_REASON_MAX], l[FL_X_SHOW_MAX], r[FL_X_SHOW_MAX];
		const char *why = NULL;

		if (a.type != FL_X_NULL && b.type != FL_X_NULL)
			why = compute_times(x, ev, &a, &b, &v);
		if (why) {
			(void)snprintf(reason, sizeof reason, "%s: %s and %s", why,
				       fl_x_show(&a, ev->env, l), fl_x_show(&b, ev->env, r));
			fl_x_bad_row(ev, x, i, reason);
			v = fl_x_null();
		}
		rc = fl_xres_put(&x->res, i, &v, ev);
	}
	fl_xres_finish(&x->res, sel, ret);
	return rc;
}

static bool
is_time_kind(uint8_t kind)
{
	return kind == FL_TIME || kind == FL_XK_DATE || kind == FL_XK_SPAN;
}

int
fl_x_eval_arith(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel,
		struct fl_vec *ret)
{
	struct fl_vec a, b;
	int rc = fl_x_eval(x->arg[0], ev, sel, &a);

	if (rc < 0)
		return rc;
	b = a;
	if (x->argc > 1)
		rc = fl_x_eval(x->arg[1], ev, sel, &b);
	if (rc < 0)
		return rc;
	if (is_time_kind(a.kind) || is_time_kind(b.kind))
		return eval_times(x, ev, sel, &a, &b, ret);
	return eval_numbers(x, ev, sel, &a, &b, ret);
}

uint8_t
fl_x_arith_type(enum fl_xarith op, uint8_t a, uint8_t b)
{
	bool clock = a == FL_X_TIME || a == FL_X_DATE || b == FL_X_TIME || b == FL_X_DATE;

	if (a == FL_X_SPAN && (b == FL_X_SPAN || op == FL_XA_MUL || op == FL_XA_DIV))
		return FL_X_SPAN;
	if (b == FL_X_SPAN && op == FL_XA_MUL)
		return FL_X_SPAN;
	if (clock && (a == FL_X_SPAN || b == FL_X_SPAN))
		return FL_X_TIME;
	if (clock || a == FL_X_SPAN || b == FL_X_SPAN)
		return FL_X_ANY;
	if (op == FL_XA_DIV || op == FL_XA_POW)
		return FL_X_DEC;
	if (op >= FL_XA_AND || (a == FL_X_INT && b == FL_X_INT))
		return FL_X_INT;
	return FL_X_DEC;
}
