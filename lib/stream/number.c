/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/number.h"

#include <endian.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

__extension__ typedef unsigned __int128 u128;

/* Magnitudes are computed with unsigned, so that no input overflows a sign. */
struct u256 {
	u128 hi, lo;
};

#define E19 UINT64_C(10000000000000000000)
#define P10(n) ((u128)E19 * n##u)

static const u128 pow10_of[FL_DEC_DIGITS_MAX + 1] = {
	1,
	10,
	100,
	1000,
	10000,
	100000,
	1000000,
	10000000,
	100000000,
	1000000000,
	UINT64_C(10000000000),
	UINT64_C(100000000000),
	UINT64_C(1000000000000),
	UINT64_C(10000000000000),
	UINT64_C(100000000000000),
	UINT64_C(1000000000000000),
	UINT64_C(10000000000000000),
	UINT64_C(100000000000000000),
	UINT64_C(1000000000000000000),
	P10(1),
	P10(10),
	P10(100),
	P10(1000),
	P10(10000),
	P10(100000),
	P10(1000000),
	P10(10000000),
	P10(100000000),
	P10(1000000000),
	P10(10000000000),
	P10(100000000000),
	P10(1000000000000),
	P10(10000000000000),
	P10(100000000000000),
	P10(1000000000000000),
	P10(10000000000000000),
	P10(100000000000000000),
	P10(1000000000000000000),
	(u128)E19 *E19,
};

/* The first value that has more than 38 digits. */
#define LIMIT (pow10_of[FL_DEC_DIGITS_MAX])

/* A scale that is out of range can only come from a damaged stream: a double. */
static inline bool
is_exact(const struct fl_dec *d)
{
	return d->scale <= FL_DEC_DIGITS_MAX;
}

static inline double
double_of(const struct fl_dec *d)
{
	double v;

	memcpy(&v, &d->lo, sizeof v);
	return v;
}

static inline bool
negative(const struct fl_dec *d)
{
	return d->hi < 0;
}

static inline u128
magnitude(const struct fl_dec *d)
{
	u128 m = (u128)(uint64_t)d->hi << 64 | d->lo;

	return d->hi < 0 ? -m : m;
}

static inline struct fl_dec
make(bool neg, u128 m, uint32_t scale)
{
	if (neg)
		m = -m;
	return (struct fl_dec){
		.lo = (uint64_t)m,
		.hi = (int64_t)(uint64_t)(m >> 64),
		.scale = scale,
	};
}

/* ---- 256 bits ----------------------------------------------------------- */

static struct u256
multiply(u128 a, u128 b)
{
	uint64_t a0 = (uint64_t)a, a1 = (uint64_t)(a >> 64);
	uint64_t b0 = (uint64_t)b, b1 = (uint64_t)(b >> 64);
	u128 low = (u128)a0 * b0, mid = (u128)a1 * b0, mid2 = (u128)a0 * b1;
	u128 carry = (low >> 64) + (uint64_t)mid + (uint64_t)mid2;
	struct u256 r;

	r.lo = carry << 64 | (uint64_t)low;
	r.hi = (u128)a1 * b1 + (mid >> 64) + (mid2 >> 64) + (carry >> 64);
	return r;
}

static int
compare256(struct u256 a, struct u256 b)
{
	if (a.hi != b.hi)
		return a.hi < b.hi ? -1 : 1;
	return a.lo == b.lo ? 0 : a.lo < b.lo ? -1 : 1;
}

/* n < d: the quotient fits. Bit by bit: only numbers of many digits come here. */
static u128
divide256(struct u256 n, u128 d, u128 *ret_rest)
{
	u128 q = 0, rest = n.hi;

	for (int bit = 127; bit >= 0; bit--) {
		bool carry = rest >> 127;

		rest = rest << 1 | (n.lo >> bit & 1);
		q <<= 1;
		if (carry || rest >= d) {
			rest -= d;
			q |= 1;
		}
	}
	*ret_rest = rest;
	return q;
}

/* ---- digits ------------------------------------------------------------- */

static int
digits64(uint64_t v)
{
	/* log10(2) is about 1233 / 4096; the table corrects the guess */
	int guess = (64 - __builtin_clzll(v | 1)) * 1233 >> 12;

	return guess + (v >= (uint64_t)pow10_of[guess]);
}

/* How many decimal digits v has; 0 has none. */
static int
digits(u128 v)
{
	int n;

	if (v >> 64 == 0)
		return v ? digits64((uint64_t)v) : 0;
	for (n = 20; n <= FL_DEC_DIGITS_MAX && v >= pow10_of[n]; n++)
		;
	return n;
}

/* m * 10^places into *ret; false where it would have more than 38 digits. */
static bool
scale_up(u128 m, uint32_t places, u128 *ret)
{
	if (m == 0) {
		*ret = 0;
		return true;
	}
	if (places > FL_DEC_DIGITS_MAX || m >= pow10_of[FL_DEC_DIGITS_MAX - places])
		return false;
	*ret = m * pow10_of[places];
	return true;
}

/* ---- making ------------------------------------------------------------- */

struct fl_dec
fl_dec_make(fl_int128 mantissa, uint32_t scale)
{
	bool neg = mantissa < 0;

	return make(neg, neg ? -(u128)mantissa : (u128)mantissa, scale);
}

struct fl_dec
fl_dec_from_int(int64_t v)
{
	return (struct fl_dec){ .lo = (uint64_t)v, .hi = v < 0 ? -1 : 0 };
}

struct fl_dec
fl_dec_from_double(double v)
{
	struct fl_dec d = { .scale = FL_DEC_DOUBLE };

	memcpy(&d.lo, &v, sizeof v);
	return d;
}

/*
 * The double nearest to m * 10^exponent. Without a decimal point in the text
 * strtod does not depend on the locale.
 */
static double
nearest_double(bool neg, u128 m, int exponent)
{
	static const double exact_pow10[] = {
		1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
		1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
	};
	char buf[FL_NUMBER_TEXT_MAX];
	struct fl_dec whole = make(neg, m, 0);
	size_t n;

	if (m <= UINT64_C(1) << 53 && exponent <= 0 && exponent >= -22) {
		double v = (double)(uint64_t)m / exact_pow10[-exponent];

		return neg ? -v : v;
	}
	n = fl_number_format(&whole, buf);
	(void)snprintf(buf + n, sizeof buf - n, "e%d", exponent);
	return strtod(buf, NULL);
}

double
fl_dec_to_double(const struct fl_dec *d)
{
	if (!is_exact(d))
		return double_of(d);
	return nearest_double(negative(d), magnitude(d), -(int)d->scale);
}

bool
fl_dec_is_int64(const struct fl_dec *d, int64_t *ret)
{
	if (d->scale != 0 || d->hi != ((int64_t)d->lo < 0 ? -1 : 0))
		return false;
	*ret = (int64_t)d->lo;
	return true;
}

/* ---- reading ------------------------------------------------------------ */

/* What stands in a text: digits without leading zeros, and where the point is. */
struct text_number {
	const char *p, *end; /* from the first digit; a point may stand in between */
	int digits;          /* those that count, from the first that is not 0 */
	int places;          /* behind the point */
	int exponent;
	bool negative;
};

static inline bool
is_digit(char c)
{
	return (unsigned char)(c - '0') <= 9;
}

static bool
is_word(const char *p, size_t n, const char *word)
{
	for (; n && *word; p++, word++, n--)
		if ((*p | 0x20) != *word)
			return false;
	return n == 0 && !*word;
}

/* NaN, Infinity and the like. */
static bool
parse_special(const char *p, size_t n, struct fl_dec *ret)
{
	bool neg = n && *p == '-';
	bool sign = n && (*p == '-' || *p == '+');

	if (is_word(p, n, "nan"))
		*ret = fl_dec_from_double((double)NAN);
	else if (is_word(p + sign, n - sign, "infinity"))
		*ret = fl_dec_from_double(neg ? -(double)INFINITY : (double)INFINITY);
	else
		return false;
	return true;
}

/* Huge exponents are cut off at where they make no difference any more. */
static bool
parse_exponent(const char *p, const char *end, int *ret)
{
	bool neg = p < end && *p == '-';
	int v = 0;

	if (p < end && (*p == '-' || *p == '+'))
		p++;
	if (p == end)
		return false;
	for (; p < end; p++) {
		if (!is_digit(*p))
			return false;
		if (v < 100000000)
			v = v * 10 + (*p - '0');
	}
	*ret = neg ? -v : v;
	return true;
}

static bool
scan_number(const char *p, size_t n, struct text_number *t)
{
	const char *end = p + n;
	bool any = false, point = false;

	*t = (struct text_number){ .negative = n && *p == '-' };
	if (n && (*p == '-' || *p == '+'))
		p++;
	if ((size_t)(end - p) > INT32_MAX / 2)
		return false;
	t->p = p;
	for (; p < end; p++) {
		if (*p == '.' && !point) {
			point = true;
			continue;
		}
		if (!is_digit(*p))
			break;
		any = true;
		t->places += point;
		t->digits += t->digits || *p != '0';
	}
	t->end = p;
	if (!any)
		return false;
	return p == end || ((*p | 0x20) == 'e' && parse_exponent(p + 1, end, &t->exponent));
}

/*
 * Too many digits or too large an exponent: the nearest double. A double is
 * decided by its first 770 digits and by whether any other is not 0.
 */
static double
read_double(const struct text_number *t)
{
	enum { MOST = 780 };
	char buf[MOST + 32];
	int n = 0, left_out = 0;
	bool more = false;

	buf[n++] = t->negative ? '-' : '+';
	for (const char *p = t->p; p < t->end; p++) {
		if (*p == '.' || (n == 1 && *p == '0'))
			continue;
		if (n < MOST) {
			buf[n++] = *p;
			continue;
		}
		left_out++;
		more = more || *p != '0';
	}
	if (n == 1)
		buf[n++] = '0';
	if (more) {
		buf[n++] = '1';
		left_out--;
	}
	(void)snprintf(buf + n, sizeof buf - (size_t)n, "e%lld",
		       (long long)t->exponent - t->places + left_out);
	return strtod(buf, NULL);
}

/* Zeros at the end that are behind the point and that 38 digits have no room for. */
static int
spare_zeros(const struct text_number *t, int scale)
{
	int over = t->digits - FL_DEC_DIGITS_MAX, zeros = 0;
	const char *p = t->end;

	if (scale - FL_DEC_DIGITS_MAX > over)
		over = scale - FL_DEC_DIGITS_MAX;
	while (p > t->p && zeros < over && zeros < scale && (p[-1] == '0' || p[-1] == '.'))
		zeros += *--p == '0';
	return zeros;
}

static bool
read_exact(const struct text_number *t, struct fl_dec *ret)
{
	int scale = t->places - t->exponent, take = t->digits, zeros;
	uint64_t part = 0;
	u128 m = 0;
	int in_part = 0;

	if (t->digits == 0) {
		scale = scale < 0 ? 0 : scale > FL_DEC_DIGITS_MAX ? FL_DEC_DIGITS_MAX : scale;
		*ret = make(false, 0, (uint32_t)scale);
		return true;
	}
	zeros = spare_zeros(t, scale);
	take -= zeros;
	scale -= zeros;
	if (take > FL_DEC_DIGITS_MAX || scale > FL_DEC_DIGITS_MAX ||
	    take - scale > FL_DEC_DIGITS_MAX)
		return false;
	for (const char *p = t->p; take > 0; p++) {
		if (*p == '.' || (*p == '0' && take == t->digits - zeros && m == 0 && part == 0))
			continue;
		part = part * 10 + (uint64_t)(*p - '0');
		take--;
		if (++in_part == 19 || take == 0) {
			m = m * pow10_of[in_part] + part;
			part = 0;
			in_part = 0;
		}
	}
	if (scale < 0) {
		m *= pow10_of[-scale];
		scale = 0;
	}
	*ret = make(t->negative, m, (uint32_t)scale);
	return true;
}

bool
fl_number_parse(const char *p, size_t n, struct fl_dec *ret)
{
	struct text_number t;
	int64_t i;

	if (fl_int_parse(p, n, &i)) {
		*ret = fl_dec_from_int(i);
		return true;
	}
	if (!scan_number(p, n, &t))
		return parse_special(p, n, ret);
	if (!read_exact(&t, ret)) {
		double v = read_double(&t);

		if (isinf(v))
			return false;
		*ret = fl_dec_from_double(v);
	}
	return true;
}

/* ---- writing ------------------------------------------------------------ */

/*
 * The eight digits of v < 10^8, the first in the lowest byte, each 0 .. 9: halves,
 * quarters and single digits are split in parallel lanes of one word.
 */
static inline uint64_t
eight_digits(uint32_t v)
{
	uint64_t halves = v / 10000 | (uint64_t)(v % 10000) << 32;
	uint64_t hundreds = (halves * 10486 >> 20) & UINT64_C(0x0000007f0000007f);
	uint64_t pairs = ((halves - 100 * hundreds) << 16) + hundreds;
	uint64_t tens = (pairs * 103 >> 10) & UINT64_C(0x000f000f000f000f);

	return tens + ((pairs - 10 * tens) << 8);
}

#define ASCII_ZEROS UINT64_C(0x3030303030303030)

static inline void
put_eight(char *buf, uint32_t v)
{
	uint64_t word = htole64(eight_digits(v) | ASCII_ZEROS);

	memcpy(buf, &word, sizeof word);
}

/* v < 10^8 without leading zeros; always writes eight bytes. */
static inline size_t
put_up_to_eight(char *buf, uint32_t v)
{
	uint64_t digit = eight_digits(v);
	int zeros = v ? __builtin_ctzll(digit) / 8 : 7;
	uint64_t word = htole64((digit | ASCII_ZEROS) >> 8 * zeros);

	memcpy(buf, &word, sizeof word);
	return (size_t)(8 - zeros);
}

size_t
fl_int_format(int64_t v, char buf[FL_NUMBER_TEXT_MAX])
{
	const uint64_t e8 = 100000000;
	uint64_t m = v < 0 ? -(uint64_t)v : (uint64_t)v;
	size_t n = v < 0;

	buf[0] = '-';
	if (m < e8)
		return n + put_up_to_eight(buf + n, (uint32_t)m);
	if (m < e8 * e8) {
		n += put_up_to_eight(buf + n, (uint32_t)(m / e8));
	} else {
		n += put_up_to_eight(buf + n, (uint32_t)(m / (e8 * e8)));
		put_eight(buf + n, (uint32_t)(m / e8 % e8));
		n += 8;
	}
	put_eight(buf + n, (uint32_t)(m % e8));
	return n + 8;
}

/* The last digits of v into buf[0 .. n), with leading zeros. */
static void
put_digits(char *buf, uint64_t v, int n)
{
	for (; n >= 8; n -= 8) {
		put_eight(buf + n - 8, (uint32_t)(v % 100000000));
		v /= 100000000;
	}
	while (n) {
		buf[--n] = (char)('0' + v % 10);
		v /= 10;
	}
}

/* m with at least min digits. */
static size_t
put_whole(char *buf, u128 m, int min)
{
	int n = digits(m);

	if (n < min)
		n = min;
	if (n <= 19) {
		put_digits(buf, (uint64_t)m, n);
	} else {
		int upper = n - 19;
		u128 high = m / E19;

		if (upper > 19) { /* 39 digits: not a decimal of ours, but printable */
			buf[0] = (char)('0' + (int)(high / E19));
			put_digits(buf + upper - 19, (uint64_t)(high % E19), 19);
		} else {
			put_digits(buf, (uint64_t)high, upper);
		}
		put_digits(buf + upper, (uint64_t)(m % E19), 19);
	}
	return (size_t)n;
}

size_t
fl_number_format(const struct fl_dec *d, char buf[FL_NUMBER_TEXT_MAX])
{
	size_t n = 0, whole;
	int64_t i;

	if (fl_dec_is_int64(d, &i))
		return fl_int_format(i, buf);
	if (!is_exact(d))
		return fl_double_format(double_of(d), buf);
	if (negative(d))
		buf[n++] = '-';
	n += put_whole(buf + n, magnitude(d), (int)d->scale + 1);
	if (d->scale == 0)
		return n;
	whole = n - d->scale;
	memmove(buf + whole + 1, buf + whole, d->scale);
	buf[whole] = '.';
	return n + 1;
}

/*
 * The decimal digits of v > 0 rounded to n of them, without zeros at the end;
 * *ret_exponent is that of the first. Whether they read back as v.
 */
static bool
round_to(double v, int n, char digit[20], int *ret_n, int *ret_exponent)
{
	char text[40], back[40];
	int exponent = 0, len = 0;
	const char *p;

	(void)snprintf(text, sizeof text, "%.*e", n - 1, v);
	for (p = text; *p && *p != 'e'; p++)
		if (is_digit(*p)) /* the point is the locale's */
			digit[len++] = *p;
	(void)parse_exponent(p + 1, p + strlen(p), &exponent); /* printf always has one */
	while (len > 1 && digit[len - 1] == '0')
		len--;
	*ret_n = len;
	*ret_exponent = exponent;
	(void)snprintf(back, sizeof back, "%.*se%d", len, digit, exponent - len + 1);
	return strtod(back, NULL) == v;
}

static void
shortest(double v, char digit[20], int *ret_n, int *ret_exponent)
{
	/* 15 digits survive in every normal double, so fewer come out of 15 */
	int n = v < DBL_MIN ? 1 : 15;

	while (!round_to(v, n, digit, ret_n, ret_exponent) && n < 17)
		n++;
}

/* PostgreSQL's form: 1e+20, 1.5e-07, else plain. */
static size_t
put_exponent_form(char *buf, const char *digit, int n, int exponent)
{
	size_t len = 0;

	buf[len++] = digit[0];
	if (n > 1) {
		buf[len++] = '.';
		memcpy(buf + len, digit + 1, (size_t)n - 1);
		len += (size_t)n - 1;
	}
	return len + (size_t)snprintf(buf + len, 8, "e%c%02d", exponent < 0 ? '-' : '+',
				      exponent < 0 ? -exponent : exponent);
}

static size_t
put_plain_form(char *buf, const char *digit, int n, int exponent)
{
	size_t len = 0;

	if (exponent < 0) {
		buf[len++] = '0';
		buf[len++] = '.';
		while (++exponent < 0)
			buf[len++] = '0';
		memcpy(buf + len, digit, (size_t)n);
		return len + (size_t)n;
	}
	for (int i = 0; i < n || i <= exponent; i++) {
		if (i == exponent + 1)
			buf[len++] = '.';
		buf[len++] = i < n ? digit[i] : '0';
	}
	return len;
}

size_t
fl_double_format(double v, char buf[FL_NUMBER_TEXT_MAX])
{
	char digit[20];
	size_t sign = 0;
	int n, exponent;

	if (isnan(v)) {
		memcpy(buf, "NaN", 3);
		return 3;
	}
	if (signbit(v)) {
		buf[sign++] = '-';
		v = -v;
	}
	if (isinf(v)) {
		memcpy(buf + sign, "Infinity", 8);
		return sign + 8;
	}
	if (v < 1e15 && v == (double)(int64_t)v)
		return sign + fl_int_format((int64_t)v, buf + sign);
	shortest(v, digit, &n, &exponent);
	if (exponent < -4 || exponent >= 15)
		return sign + put_exponent_form(buf + sign, digit, n, exponent);
	return sign + put_plain_form(buf + sign, digit, n, exponent);
}

/* ---- comparing ---------------------------------------------------------- */

static int
compare_doubles(double a, double b)
{
	if (isnan(a) || isnan(b))
		return !!isnan(a) - !!isnan(b);
	return (a > b) - (a < b);
}

/* Of a.m / 10^a.scale and b.m / 10^b.scale. */
static int
compare_magnitudes(u128 a, uint32_t a_scale, u128 b, uint32_t b_scale)
{
	if (a_scale == b_scale)
		return a == b ? 0 : a < b ? -1 : 1;
	if (a_scale < b_scale)
		return compare256(multiply(a, pow10_of[b_scale - a_scale]),
				  (struct u256){ .lo = b });
	return compare256((struct u256){ .lo = a }, multiply(b, pow10_of[a_scale - b_scale]));
}

static struct u256
shift_left(u128 v, int by)
{
	struct u256 r = { .lo = v };

	if (by >= 128) {
		r.hi = by < 256 ? v << (by - 128) : 0;
		r.lo = 0;
	} else if (by > 0) {
		r.hi = v >> (128 - by);
		r.lo = v << by;
	}
	return r;
}

/*
 * An exact number with a double to which it rounds: both are near each other, so
 * that cross-multiplied they fit into 256 bits.
 */
static int
compare_near(const struct fl_dec *a, double b)
{
	int e, c;
	uint64_t f;
	u128 m = magnitude(a);

	if (b == 0)
		return m == 0 ? 0 : negative(a) ? -1 : 1;
	f = (uint64_t)ldexp(frexp(fabs(b), &e), 53);
	e -= 53;
	while (!(f & 1)) {
		f >>= 1;
		e++;
	}
	if (e >= 0) {
		struct u256 whole = shift_left(f, e);

		c = whole.hi ? -1
			     : compare256((struct u256){ .lo = m },
					  multiply(whole.lo, pow10_of[a->scale]));
	} else {
		c = compare256(shift_left(m, -e), multiply(f, pow10_of[a->scale]));
	}
	return negative(a) ? -c : c;
}

static int
compare_exact_double(const struct fl_dec *a, double b)
{
	double near = fl_dec_to_double(a);
	int c = compare_doubles(near, b);

	/* rounding keeps the order, so only equality may hide a difference */
	return c ? c : compare_near(a, b);
}

int
fl_dec_compare(const struct fl_dec *a, const struct fl_dec *b)
{
	bool an, bn;
	int c;

	if (!is_exact(a) && !is_exact(b))
		return compare_doubles(double_of(a), double_of(b));
	if (!is_exact(b))
		return compare_exact_double(a, double_of(b));
	if (!is_exact(a))
		return -compare_exact_double(b, double_of(a));
	an = negative(a);
	bn = negative(b);
	if (an != bn)
		return an ? -1 : 1;
	c = compare_magnitudes(magnitude(a), a->scale, magnitude(b), b->scale);
	return an ? -c : c;
}

/* ---- computing ---------------------------------------------------------- */

/* A double result: -1 where finite operands gave something infinite. */
static int
double_result(double a, double b, double v, struct fl_dec *ret)
{
	if (!isfinite(v) && isfinite(a) && isfinite(b))
		return -1;
	*ret = fl_dec_from_double(v);
	return 0;
}

static int
add(const struct fl_dec *a, const struct fl_dec *b, bool minus, struct fl_dec *ret)
{
	uint32_t scale = a->scale > b->scale ? a->scale : b->scale;
	bool an, bn;
	u128 x, y;
	double da, db;

	if (is_exact(a) && is_exact(b) && scale_up(magnitude(a), scale - a->scale, &x) &&
	    scale_up(magnitude(b), scale - b->scale, &y)) {
		an = negative(a);
		bn = negative(b) != minus;
		if (an != bn && y > x) {
			*ret = make(bn, y - x, scale);
			return 0;
		}
		x = an == bn ? x + y : x - y;
		if (x < LIMIT) {
			*ret = make(an, x, scale);
			return 0;
		}
	}
	da = fl_dec_to_double(a);
	db = fl_dec_to_double(b);
	return double_result(da, db, minus ? da - db : da + db, ret);
}

int
fl_dec_add(const struct fl_dec *a, const struct fl_dec *b, struct fl_dec *ret)
{
	return add(a, b, false, ret);
}

int
fl_dec_sub(const struct fl_dec *a, const struct fl_dec *b, struct fl_dec *ret)
{
	return add(a, b, true, ret);
}

int
fl_dec_mul(const struct fl_dec *a, const struct fl_dec *b, struct fl_dec *ret)
{
	double da, db;

	if (is_exact(a) && is_exact(b) && a->scale + b->scale <= FL_DEC_DIGITS_MAX) {
		struct u256 m = multiply(magnitude(a), magnitude(b));

		if (m.hi == 0 && m.lo < LIMIT) {
			*ret = make(negative(a) != negative(b), m.lo, a->scale + b->scale);
			return 0;
		}
	}
	da = fl_dec_to_double(a);
	db = fl_dec_to_double(b);
	return double_result(da, db, da * db, ret);
}

/*
 * PostgreSQL chooses the scale of a quotient by the first digits of both
 * operands to the base 10000, so that at least 16 digits count.
 */
static void
first_digit(u128 m, uint32_t scale, int *ret_weight, unsigned *ret_digit)
{
	int top, weight, shift;

	*ret_weight = 0;
	*ret_digit = 0;
	if (m == 0)
		return;
	top = digits(m) - 1 - (int)scale;
	weight = top >= 0 ? top / 4 : -((3 - top) / 4);
	shift = (int)scale + 4 * weight;
	*ret_weight = weight;
	*ret_digit = (unsigned)(shift >= 0 ? m / pow10_of[shift] : m * pow10_of[-shift]);
}

static int
quotient_scale(u128 a, uint32_t a_scale, u128 b, uint32_t b_scale)
{
	int a_weight, b_weight, weight, scale;
	unsigned a_digit, b_digit;

	first_digit(a, a_scale, &a_weight, &a_digit);
	first_digit(b, b_scale, &b_weight, &b_digit);
	weight = a_weight - b_weight - (a_digit <= b_digit);
	scale = 16 - 4 * weight;
	if (scale < (int)a_scale)
		scale = (int)a_scale;
	return scale < (int)b_scale ? (int)b_scale : scale;
}

/*
 * a * 10^places / b, rounded half away from zero (*ret_exact: nothing was
 * rounded). false where it has more than 38 digits.
 */
static bool
divide(u128 a, int places, u128 b, u128 *ret, bool *ret_exact)
{
	u128 q = a / b, rest = a % b;

	while (places > 0 && (q || rest)) {
		int step = places < FL_DEC_DIGITS_MAX ? places : FL_DEC_DIGITS_MAX;
		u128 scaled;

		if (!scale_up(q, (uint32_t)step, &q))
			return false;
		if (scale_up(rest, (uint32_t)step, &scaled)) {
			q += scaled / b;
			rest = scaled % b;
		} else {
			q += divide256(multiply(rest, pow10_of[step]), b, &rest);
		}
		places -= step;
	}
	*ret_exact = rest == 0;
	q += rest >= b - rest;
	*ret = q;
	return q < LIMIT;
}

static bool
divide_exact(const struct fl_dec *a, const struct fl_dec *b, struct fl_dec *ret)
{
	u128 x = magnitude(a), y = magnitude(b), q;
	int scale = quotient_scale(x, a->scale, y, b->scale);
	int whole = digits(x) - (int)a->scale - (digits(y) - (int)b->scale) + 1;
	bool clipped = scale > FL_DEC_DIGITS_MAX, exact;
	int least = (int)a->scale - (int)b->scale;

	if (x == 0)
		whole = 0;
	if (clipped)
		scale = FL_DEC_DIGITS_MAX;
	if (whole + scale > FL_DEC_DIGITS_MAX) /* leave out places for which there is no room */
		scale = FL_DEC_DIGITS_MAX - whole;
	if (scale < least)
		scale = least;
	if (scale < 0)
		scale = 0;
	if (!divide(x, scale - least, y, &q, &exact))
		return false;
	/* too small for 16 digits at 38 places: a double has more */
	if (clipped && !exact && q < pow10_of[16])
		return false;
	*ret = make(negative(a) != negative(b), q, (uint32_t)scale);
	return true;
}

int
fl_dec_div(const struct fl_dec *a, const struct fl_dec *b, struct fl_dec *ret)
{
	double da, db;

	if (is_exact(b) ? magnitude(b) == 0 : double_of(b) == 0)
		return -1;
	if (is_exact(a) && is_exact(b) && divide_exact(a, b, ret))
		return 0;
	da = fl_dec_to_double(a);
	db = fl_dec_to_double(b);
	return double_result(da, db, da / db, ret);
}

int
fl_dec_mod(const struct fl_dec *a, const struct fl_dec *b, struct fl_dec *ret)
{
	uint32_t scale = a->scale > b->scale ? a->scale : b->scale;
	u128 x, y, rest;
	double da, db;

	if (is_exact(b) ? magnitude(b) == 0 : double_of(b) == 0)
		return -1;
	if (!is_exact(a) || !is_exact(b)) {
		da = fl_dec_to_double(a);
		db = fl_dec_to_double(b);
		return db == 0 ? -1 : double_result(da, db, fmod(da, db), ret);
	}
	x = magnitude(a);
	y = magnitude(b);
	if (a->scale < scale) {
		/* (x * 10^k) mod y, with factors below y so that the quotient fits */
		(void)divide256(multiply(x % y, pow10_of[scale - a->scale] % y), y, &rest);
	} else {
		struct u256 divisor = multiply(y, pow10_of[scale - b->scale]);

		rest = divisor.hi ? x : x % divisor.lo;
		if (rest >= LIMIT)
			return double_result(0, 0, fl_dec_to_double(a), ret);
	}
	*ret = make(negative(a), rest, scale);
	return 0;
}

int
fl_dec_int_div(const struct fl_dec *a, const struct fl_dec *b, struct fl_dec *ret)
{
	bool neg = negative(a) != negative(b);
	double da, db;
	u128 x, y, rest, scaled;

	if (is_exact(b) ? magnitude(b) == 0 : double_of(b) == 0)
		return -1;
	if (!is_exact(a) || !is_exact(b)) {
		da = fl_dec_to_double(a);
		db = fl_dec_to_double(b);
		return db == 0 ? -1 : double_result(da, db, trunc(da / db), ret);
	}
	x = magnitude(a);
	y = magnitude(b);
	if (a->scale >= b->scale) {
		struct u256 divisor = multiply(y, pow10_of[a->scale - b->scale]);

		*ret = make(neg, divisor.hi ? 0 : x / divisor.lo, 0);
		return 0;
	}
	if (!scale_up(x / y, b->scale - a->scale, &scaled)) {
		da = fl_dec_to_double(a);
		db = fl_dec_to_double(b);
		return double_result(da, db, trunc(da / db), ret);
	}
	scaled += divide256(multiply(x % y, pow10_of[b->scale - a->scale]), y, &rest);
	*ret = make(neg, scaled, 0);
	return 0;
}

/* a with so many places, which may be negative: tens, hundreds. */
static void
set_places(const struct fl_dec *a, int places, bool half_up, struct fl_dec *ret)
{
	int drop = (int)a->scale - places;
	u128 m = magnitude(a), rest, unit;

	if (drop <= 0) { /* PostgreSQL fills up with zeros; so do we while there is room */
		uint32_t more = (uint32_t)-drop;

		if (places > FL_DEC_DIGITS_MAX || !scale_up(m, more, &m))
			*ret = *a;
		else
			*ret = make(negative(a), m, (uint32_t)places);
		return;
	}
	if (drop > FL_DEC_DIGITS_MAX) {
		m = 0;
	} else {
		unit = pow10_of[drop];
		rest = m % unit;
		m = m / unit + (half_up && rest >= unit - rest);
	}
	if (places < 0 && !scale_up(m, (uint32_t)-places, &m)) {
		*ret = fl_dec_from_double(nearest_double(negative(a), m, -places));
		return;
	}
	*ret = make(negative(a), m, places < 0 ? 0 : (uint32_t)places);
}

/* A double by the digits that are printed of it: what a user sees is rounded. */
static int
set_double_places(double v, int places, bool half_up, struct fl_dec *ret)
{
	char buf[FL_NUMBER_TEXT_MAX];
	size_t n = fl_double_format(v, buf);
	struct fl_dec d;

	if (!isfinite(v) || !fl_number_parse(buf, n, &d) || !is_exact(&d)) {
		if (isfinite(v) && fabs(v) < 1 && places < FL_DEC_DIGITS_MAX - 17)
			v = 0; /* smaller than any place that is asked for */
		*ret = fl_dec_from_double(v);
		return 0;
	}
	if (places < (int)d.scale)
		set_places(&d, places, half_up, &d);
	*ret = fl_dec_from_double(fl_dec_to_double(&d));
	return 0;
}

int
fl_dec_round(const struct fl_dec *a, int places, struct fl_dec *ret)
{
	if (places < -400)
		places = -400;
	if (!is_exact(a))
		return set_double_places(double_of(a), places, true, ret);
	set_places(a, places, true, ret);
	return 0;
}

int
fl_dec_trunc(const struct fl_dec *a, int places, struct fl_dec *ret)
{
	if (places < -400)
		places = -400;
	if (!is_exact(a))
		return set_double_places(double_of(a), places, false, ret);
	set_places(a, places, false, ret);
	return 0;
}
