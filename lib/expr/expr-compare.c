/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparisons. The common ones (a text column against a number or a word,
 * integers, times) have loops of their own; everything else goes value by value
 * through fl_x_compare.
 */
#include <stdlib.h>

#include "expr/expr-node.h"

/* Which of less, equal, greater makes the comparison true. */
static inline uint8_t
matches(int code, int order)
{
	return (uint8_t)(code >> (order + 1) & 1);
}

static inline int
order_of(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

/* The code with the sides exchanged. */
static int
mirrored(int code)
{
	return (code & FL_XC_EQ) | (code & FL_XC_LT ? FL_XC_GT : 0) |
	       (code & FL_XC_GT ? FL_XC_LT : 0);
}

static uint8_t
compare_one(struct fl_xnode *x, struct fl_xeval *ev, int code, const struct fl_vec *a,
	    const struct fl_vec *b, uint32_t i)
{
	struct fl_xval l = fl_x_get(a, i), r = fl_x_get(b, i);

	if (l.type == FL_X_NULL || r.type == FL_X_NULL)
		return FL_X_UNKNOWN;
	return matches(code, fl_x_compare(x, ev->env, &l, &r));
}

/* ---- text against a number ---------------------------------------------- */

/*
 * Up to eight digits in a few operations: the bytes are moved to the end of the
 * word, zeros put before them, all checked at once, and joined in pairs.
 */
static inline bool
digits8(uint64_t w, size_t n, int64_t *ret)
{
	w <<= 64 - 8 * n;
	if (n < 8)
		w |= UINT64_C(0x3030303030303030) >> (8 * n);
	if ((w & UINT64_C(0xf0f0f0f0f0f0f0f0)) != UINT64_C(0x3030303030303030) ||
	    ((w + UINT64_C(0x0606060606060606)) & UINT64_C(0xf0f0f0f0f0f0f0f0)) !=
		    UINT64_C(0x3030303030303030))
		return false;
	w -= UINT64_C(0x3030303030303030);
	w = w * 10 + (w >> 8);
	w = ((w & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x000f424000000064) +
	     (w >> 16 & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x0000271000000001)) >> 32;
	*ret = (int64_t)(w & 0xffffffff);
	return true;
}

/* A column most of whose values are texts and numbers; what is not is seen by is_other. */
static bool
is_plain_text(const struct fl_vec *v)
{
	return v->kind == FL_TEXT && (v->tags || v->tag <= FL_TAG_NUMBER);
}

static inline bool
is_other(const struct fl_vec *v, uint32_t i)
{
	return v->tags && v->tags[i] > FL_TAG_NUMBER;
}

/* [-] digits [. digits], at most 18 of them, as a mantissa and a scale. */
static inline bool
short_decimal(const char *p, size_t n, int64_t *ret, unsigned *ret_scale)
{
	size_t i = n && *p == '-', start = i, dot = n;
	uint64_t v = 0; /* 19 digits fit */

	if (n > 19 || n == i)
		return false;
	for (; i < n; i++) {
		unsigned d = (unsigned)(unsigned char)p[i] - '0';

		if (d <= 9) {
			v = v * 10 + d;
		} else if (p[i] == '.' && dot == n && i > start && i + 1 < n) {
			dot = i;
		} else {
			return false;
		}
	}
	*ret_scale = dot < n ? (unsigned)(n - dot - 1) : 0;
	*ret = *p == '-' ? -(int64_t)v : (int64_t)v;
	return dot < n || n - start <= 18;
}

static const int64_t powers[19] = {
	1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000,
	100000000000, 1000000000000, 10000000000000, 100000000000000, 1000000000000000,
	10000000000000000, 100000000000000000, 1000000000000000000,
};

/* A number with a fraction, against an integer. */
static inline bool
decimal_with_int(const char *p, size_t n, int64_t number, int *ret_order)
{
	unsigned scale;
	fl_int128 r;
	int64_t v;

	if (!short_decimal(p, n, &v, &scale))
		return false;
	r = (fl_int128)number * powers[scale];
	*ret_order = (v > r) - (v < r);
	return true;
}

static inline __attribute__((always_inline)) void
text_with_int_rows(struct fl_xnode *x, struct fl_xeval *ev, const uint32_t *rows, uint32_t count,
		   int code, const struct fl_vec *a, const struct fl_vec *b, int64_t number,
		   uint8_t *t)
{
	const struct fl_vec in = *a; /* a store to t could change *a for all the compiler knows */
	const char *safe = in.bytes_len >= 8 ? in.bytes + in.bytes_len - 8 : NULL;

	for (uint32_t k = 0; k < count; k++) {
		uint32_t i = rows ? rows[k] : k;
		size_t n;
		const char *p = fl_text(&in, i, &n);
		int64_t v;
		uint64_t w;
		int order;

		if (__builtin_expect(n - 1 < 8 && p <= safe && !is_other(&in, i), 1)) {
			memcpy(&w, p, sizeof w);
			if (__builtin_expect(digits8(w, n, &v), 1)) {
				t[i] = matches(code, order_of(v, number));
				continue;
			}
		}
		if (is_other(&in, i))
			t[i] = compare_one(x, ev, code, a, b, i);
		else if (fl_int_parse(p, n, &v))
			t[i] = matches(code, order_of(v, number));
		else if (decimal_with_int(p, n, number, &order))
			t[i] = matches(code, order);
		else
			t[i] = compare_one(x, ev, code, a, b, i);
	}
}

static void
text_with_int(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, int code,
	      const struct fl_vec *a, const struct fl_vec *b, int64_t number, uint8_t *t)
{
	if (sel->rows)
		text_with_int_rows(x, ev, sel->rows, sel->n, code, a, b, number, t);
	else
		text_with_int_rows(x, ev, NULL, sel->n, code, a, b, number, t);
}

static void
text_with_decimal(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, int code,
		  const struct fl_vec *a, const struct fl_vec *b, const struct fl_dec *number,
		  uint8_t *t)
{
	const struct fl_vec in = *a;
	fl_int128 mantissa = fl_dec_mantissa(number);

	for (uint32_t k = 0; k < sel->n; k++) {
		uint32_t i = fl_x_row(sel, k);
		unsigned scale;
		size_t n;
		const char *p = fl_text(&in, i, &n);
		fl_int128 l, r;
		int64_t v;

		if (is_other(&in, i) || !short_decimal(p, n, &v, &scale)) {
			t[i] = compare_one(x, ev, code, a, b, i);
			continue;
		}
		l = (fl_int128)v * (scale < number->scale ? powers[number->scale - scale] : 1);
		r = mantissa * (scale > number->scale ? powers[scale - number->scale] : 1);
		t[i] = matches(code, (l > r) - (l < r));
	}
}

/* Equal or not to a text that is no number: equal by bytes, or not at all. */
static void
text_equals(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, int code,
	    const struct fl_vec *a, const struct fl_vec *b, const struct fl_xval *c, uint8_t *t)
{
	const struct fl_vec in = *a;
	const char *word = c->p;
	size_t len = c->n;

	for (uint32_t k = 0; k < sel->n; k++) {
		uint32_t i = fl_x_row(sel, k);
		size_t n;
		const char *p = fl_text(&in, i, &n);

		if (__builtin_expect(n == 0 || is_other(&in, i), 0))
			t[i] = compare_one(x, ev, code, a, b, i);
		else
			t[i] = (code == FL_XC_EQ) == (n == len && memcmp(p, word, len) == 0);
	}
}

/* ---- which loop --------------------------------------------------------- */

static bool
compare_with_text_const(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel,
			int code, const struct fl_vec *a, const struct fl_vec *b,
			const struct fl_xval *c, uint8_t *t)
{
	struct fl_xval number;

	if (fl_x_number(c, &number)) {
		if (number.type == FL_X_INT) {
			text_with_int(x, ev, sel, code, a, b, number.i, t);
			return true;
		}
		if (number.dec.scale > 18 || fl_dec_mantissa(&number.dec) > INT64_MAX ||
		    fl_dec_mantissa(&number.dec) < INT64_MIN)
			return false;
		text_with_decimal(x, ev, sel, code, a, b, &number.dec, t);
		return true;
	}
	if (c->type == FL_X_TEXT && (code == FL_XC_EQ || code == FL_XC_NE)) {
		text_equals(x, ev, sel, code, a, b, c, t);
		return true;
	}
	return false;
}

static void
compare_ints(const struct fl_xsel *sel, int code, const struct fl_vec *a, const struct fl_vec *b,
	     uint8_t *t)
{
	for (uint32_t k = 0; k < sel->n; k++) {
		uint32_t i = fl_x_row(sel, k);

		t[i] = matches(code, order_of(a->i64[i], b->i64[i]));
	}
	if (!a->tags && !b->tags && a->tag == FL_TAG_PLAIN && b->tag == FL_TAG_PLAIN)
		return;
	for (uint32_t k = 0; k < sel->n; k++) {
		uint32_t i = fl_x_row(sel, k);

		if (fl_is_null(a, i) || fl_is_null(b, i))
			t[i] = FL_X_UNKNOWN;
	}
}

static void
compare_time_with(const struct fl_xsel *sel, int code, const struct fl_vec *a, int64_t ms,
		  uint8_t *t)
{
	for (uint32_t k = 0; k < sel->n; k++) {
		uint32_t i = fl_x_row(sel, k);

		t[i] = fl_is_null(a, i) ? FL_X_UNKNOWN : matches(code, order_of(a->i64[i], ms));
	}
}

/* Two texts that are both short integers. */
static bool
int_texts(const struct fl_vec *a, const struct fl_vec *b, uint32_t i, int *ret_order)
{
	int64_t l, r;
	size_t an, bn;
	const char *ap = fl_text(a, i, &an), *bp = fl_text(b, i, &bn);

	if (is_other(a, i) || is_other(b, i) || !fl_int_parse(ap, an, &l) ||
	    !fl_int_parse(bp, bn, &r))
		return false;
	*ret_order = order_of(l, r);
	return true;
}

/*
 * Compare two vectors. ca, cb: the nodes that gave them, to see constants; NULL
 * where they are none.
 */
static void
compare_vectors(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, int code,
		const struct fl_vec *a, const struct fl_xnode *ca, const struct fl_vec *b,
		const struct fl_xnode *cb, uint8_t *t)
{
	bool const_a = ca && ca->op == FL_XO_CONST && ca->value.type != FL_X_NULL;
	bool const_b = cb && cb->op == FL_XO_CONST && cb->value.type != FL_X_NULL;
	bool texts = is_plain_text(a) && is_plain_text(b);
	int64_t ms;

	if (const_a && !const_b) {
		compare_vectors(x, ev, sel, mirrored(code), b, cb, a, ca, t);
		return;
	}
	if (const_b && is_plain_text(a) &&
	    compare_with_text_const(x, ev, sel, code, a, b, &cb->value, t))
		return;
	if (const_b && a->kind == FL_TIME && fl_x_moment(x, ev->env, &cb->value, &ms)) {
		compare_time_with(sel, code, a, ms, t);
		return;
	}
	if (a->kind == b->kind && (a->kind == FL_INT64 || a->kind == FL_TIME)) {
		compare_ints(sel, code, a, b, t);
		return;
	}
	for (uint32_t k = 0; k < sel->n; k++) {
		uint32_t i = fl_x_row(sel, k);
		int order;

		if (texts && int_texts(a, b, i, &order))
			t[i] = matches(code, order);
		else
			t[i] = compare_one(x, ev, code, a, b, i);
	}
}

/* Evaluate all arguments into x->argv. */
static int
eval_all(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel)
{
	if (!x->argv)
		x->argv = fl_xcalloc(x->argc, sizeof *x->argv);
	for (uint32_t i = 0; i < x->argc; i++) {
		int rc = fl_x_eval(x->arg[i], ev, sel, &x->argv[i]);

		if (rc < 0)
			return rc;
	}
	return 0;
}

int
fl_x_test_compare(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, uint8_t *t)
{
	int rc = eval_all(x, ev, sel);

	if (rc == 0)
		compare_vectors(x, ev, sel, x->code, &x->argv[0], x->arg[0], &x->argv[1], x->arg[1],
				t);
	return rc;
}

/* ---- the others --------------------------------------------------------- */

static uint8_t
and3(uint8_t a, uint8_t b)
{
	if (a == FL_X_FALSE || b == FL_X_FALSE)
		return FL_X_FALSE;
	return a == FL_X_UNKNOWN || b == FL_X_UNKNOWN ? FL_X_UNKNOWN : FL_X_TRUE;
}

static uint8_t
or3(uint8_t a, uint8_t b)
{
	if (a == FL_X_TRUE || b == FL_X_TRUE)
		return FL_X_TRUE;
	return a == FL_X_UNKNOWN || b == FL_X_UNKNOWN ? FL_X_UNKNOWN : FL_X_FALSE;
}

static uint8_t
not3(uint8_t a)
{
	return a == FL_X_UNKNOWN ? a : !a;
}

/* value >= low AND value <= high, into t; with the bounds named by index. */
static void
within(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, uint32_t low,
       uint32_t high, uint8_t *t)
{
	uint8_t *other;

	fl_buf_clear(&x->scratch[0]);
	other = (uint8_t *)fl_buf_reserve(&x->scratch[0], ev->rows + 1);
	compare_vectors(x, ev, sel, FL_XC_GE, &x->argv[0], x->arg[0], &x->argv[low], x->arg[low],
			t);
	compare_vectors(x, ev, sel, FL_XC_LE, &x->argv[0], x->arg[0], &x->argv[high], x->arg[high],
			other);
	for (uint32_t k = 0; k < sel->n; k++) {
		uint32_t i = fl_x_row(sel, k);

		t[i] = and3(t[i], other[i]);
	}
}

int
fl_x_test_between(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, uint8_t *t)
{
	uint8_t *other;
	int rc = eval_all(x, ev, sel);

	if (rc < 0)
		return rc;
	within(x, ev, sel, 1, 2, t);
	if (x->code & FL_X_SYMMETRIC) {
		fl_buf_clear(&x->scratch[1]);
		other = (uint8_t *)fl_buf_reserve(&x->scratch[1], ev->rows + 1);
		within(x, ev, sel, 2, 1, other);
		for (uint32_t k = 0; k < sel->n; k++) {
			uint32_t i = fl_x_row(sel, k);

			t[i] = or3(t[i], other[i]);
		}
	}
	if (x->code & FL_X_NOT)
		for (uint32_t k = 0; k < sel->n; k++)
			t[fl_x_row(sel, k)] = not3(t[fl_x_row(sel, k)]);
	return 0;
}

int
fl_x_test_distinct(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, uint8_t *t)
{
	int rc = eval_all(x, ev, sel);

	if (rc < 0)
		return rc;
	for (uint32_t k = 0; k < sel->n; k++) {
		uint32_t i = fl_x_row(sel, k);
		struct fl_xval a = fl_x_get(&x->argv[0], i), b = fl_x_get(&x->argv[1], i);
		bool a_null = a.type == FL_X_NULL, b_null = b.type == FL_X_NULL;
		bool distinct = a_null || b_null ? a_null != b_null
						 : fl_x_compare(x, ev->env, &a, &b) != 0;

		t[i] = distinct != (x->code == FL_X_NOT);
	}
	return 0;
}

/* ---- IN ----------------------------------------------------------------- */

/*
 * The list where it is all constants, numbers and texts: sorted. Times and the
 * like depend on what they are compared with, so they go one by one.
 */
struct in_list {
	uint32_t n;
	bool sorted;
	bool has_null;
	bool words; /* no element is a number */
	const struct fl_xval *v[];
};

static int
by_value(const void *a, const void *b)
{
	const struct fl_xval *const *l = a, *const *r = b;

	return fl_x_compare(NULL, NULL, *l, *r);
}

static struct in_list *
make_list(struct fl_xnode *x)
{
	struct in_list *list = fl_xcalloc(1, sizeof *list + x->argc * sizeof *list->v);

	list->sorted = list->words = true;
	for (uint32_t i = 1; i < x->argc; i++) {
		const struct fl_xnode *arg = x->arg[i];
		struct fl_xval number;

		if (arg->op == FL_XO_CONST && arg->value.type == FL_X_NULL) {
			list->has_null = true;
			continue;
		}
		list->sorted = list->sorted && arg->op == FL_XO_CONST &&
			       (arg->value.type == FL_X_INT || arg->value.type == FL_X_DEC ||
				arg->value.type == FL_X_TEXT);
		list->v[list->n++] = &arg->value;
		list->words = list->words && !fl_x_number(&arg->value, &number);
	}
	if (list->sorted && list->n)
		qsort(list->v, list->n, sizeof *list->v, by_value);
	return list;
}

static uint8_t
in_sorted(struct fl_xnode *x, const struct fl_expr_env *env, const struct in_list *list,
	  const struct fl_xval *v)
{
	uint32_t low = 0, high = list->n;

	while (low < high) {
		uint32_t mid = (low + high) / 2;
		int c = fl_x_compare(x, env, v, list->v[mid]);

		if (c == 0)
			return FL_X_TRUE;
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return list->has_null ? FL_X_UNKNOWN : FL_X_FALSE;
}

/* A few words: by their bytes, without looking whether the value is a number. */
static uint8_t
in_words(const struct in_list *list, const struct fl_xval *v)
{
	for (uint32_t i = 0; i < list->n; i++)
		if (v->n == list->v[i]->n && memcmp(v->p, list->v[i]->p, v->n) == 0)
			return FL_X_TRUE;
	return list->has_null ? FL_X_UNKNOWN : FL_X_FALSE;
}

static uint8_t
in_any(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xval *v, uint32_t row)
{
	uint8_t t = FL_X_FALSE;

	for (uint32_t i = 1; i < x->argc; i++) {
		struct fl_xval e = fl_x_get(&x->argv[i], row);

		if (e.type == FL_X_NULL)
			t = FL_X_UNKNOWN;
		else if (fl_x_compare(x, ev->env, v, &e) == 0)
			return FL_X_TRUE;
	}
	return t;
}

int
fl_x_test_in(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, uint8_t *t)
{
	static const uint32_t few = 8;
	const struct in_list *list;
	int rc;

	if (!x->priv) {
		x->priv = make_list(x);
		x->priv_free = free;
		x->argv = fl_xcalloc(x->argc, sizeof *x->argv);
	}
	list = x->priv;
	rc = list->sorted ? fl_x_eval(x->arg[0], ev, sel, &x->argv[0]) : eval_all(x, ev, sel);
	if (rc < 0)
		return rc;
	for (uint32_t k = 0; k < sel->n; k++) {
		uint32_t i = fl_x_row(sel, k);
		struct fl_xval v = fl_x_get(&x->argv[0], i);
		uint8_t in;

		if (v.type == FL_X_NULL)
			in = x->argc > 1 ? FL_X_UNKNOWN : FL_X_FALSE;
		else if (list->sorted && list->words && list->n <= few && v.type == FL_X_TEXT)
			in = in_words(list, &v);
		else if (list->sorted && (v.type == FL_X_TEXT || v.type == FL_X_INT ||
					  v.type == FL_X_DEC))
			in = in_sorted(x, ev->env, list, &v);
		else if (list->sorted)
			in = FL_X_UNKNOWN + 1; /* another type: below */
		else
			in = in_any(x, ev, &v, i);
		if (in > FL_X_UNKNOWN) {
			in = list->has_null ? FL_X_UNKNOWN : FL_X_FALSE;
			for (uint32_t e = 0; e < list->n; e++)
				if (fl_x_compare(x, ev->env, &v, list->v[e]) == 0)
					in = FL_X_TRUE;
		}
		t[i] = x->code & FL_X_NOT ? not3(in) : in;
	}
	return 0;
}

/* ---- NULLIF, GREATEST, LEAST -------------------------------------------- */

int
fl_x_eval_nullif(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel,
		 struct fl_vec *ret)
{
	int rc = eval_all(x, ev, sel);

	if (rc < 0)
		return rc;
	fl_xres_begin(&x->res, ev->rows);
	for (uint32_t k = 0; rc == 0 && k < sel->n; k++) {
		uint32_t i = fl_x_row(sel, k);
		struct fl_xval v = fl_x_get(&x->argv[0], i);

		if (compare_one(x, ev, FL_XC_EQ, &x->argv[0], &x->argv[1], i) == FL_X_TRUE)
			v = fl_x_null();
		rc = fl_xres_put(&x->res, i, &v, ev);
	}
	fl_xres_finish(&x->res, sel, ret);
	return rc;
}

int
fl_x_eval_extreme(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel,
		  struct fl_vec *ret)
{
	int rc = eval_all(x, ev, sel), sign = x->code ? -1 : 1;

	fl_xres_begin(&x->res, ev->rows);
	for (uint32_t k = 0; rc == 0 && k < sel->n; k++) {
		uint32_t i = fl_x_row(sel, k);
		struct fl_xval best = fl_x_get(&x->argv[0], i);

		for (uint32_t a = 1; a < x->argc; a++) {
			struct fl_xval v = fl_x_get(&x->argv[a], i);

			if (v.type != FL_X_NULL &&
			    (best.type == FL_X_NULL ||
			     sign * fl_x_compare(x, ev->env, &v, &best) > 0))
				best = v;
		}
		rc = fl_xres_put(&x->res, i, &best, ev);
	}
	fl_xres_finish(&x->res, sel, ret);
	return rc;
}
