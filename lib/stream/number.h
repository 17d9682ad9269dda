/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers: what a text value is, and arithmetic that is exact where it can be.
 *
 * A number is an integer or decimal of up to 38 digits, held exactly as a
 * 128-bit integer and a scale (struct fl_dec), or a double beyond that. A sum,
 * difference or product keeps the scale that PostgreSQL's numeric gives it
 * (0.908 * 1000 = 908.000); a quotient gets PostgreSQL's scale for division,
 * computed exactly as far as 38 digits go. Where exact does not fit, double.
 */
#ifndef FL_STREAM_NUMBER_H
#define FL_STREAM_NUMBER_H

#include "stream/batch.h"

#define FL_NUMBER_TEXT_MAX 64

__extension__ typedef __int128 fl_int128;

static inline fl_int128
fl_dec_mantissa(const struct fl_dec *d)
{
	return (fl_int128)(((unsigned __int128)(uint64_t)d->hi << 64) | d->lo);
}

struct fl_dec fl_dec_make(fl_int128 mantissa, uint32_t scale);
struct fl_dec fl_dec_from_int(int64_t v);
struct fl_dec fl_dec_from_double(double v); /* scale FL_DEC_DOUBLE */
double fl_dec_to_double(const struct fl_dec *d);
bool fl_dec_is_int64(const struct fl_dec *d, int64_t *ret); /* scale 0 and in range */

/*
 * Read all of p[0..n) as a number: [+-] digits [. digits] [e [+-] digits], NaN
 * and [+-]Infinity in any case. false if it is not one. No white space. A value
 * with an exponent is exact too where 38 digits hold it. What is too large for a
 * double is not a number either.
 */
bool fl_number_parse(const char *p, size_t n, struct fl_dec *ret);

/* The fast case of it: an integer of at most 18 digits, sign allowed. */
static inline bool
fl_int_parse(const char *p, size_t n, int64_t *ret)
{
	uint64_t v = 0;
	bool negative = n && *p == '-';
	size_t i = negative;

	if (n - i > 18 || n == i)
		return false;
	for (; i < n; i++) {
		unsigned d = (unsigned)(unsigned char)p[i] - '0';

		if (d > 9)
			return false;
		v = v * 10 + d;
	}
	*ret = negative ? -(int64_t)v : (int64_t)v;
	return true;
}

/* Text of a number: exact decimals with all their places, doubles as the
 * shortest text that reads back. Returns the length; no NUL is added. */
size_t fl_number_format(const struct fl_dec *d, char buf[FL_NUMBER_TEXT_MAX]);
size_t fl_int_format(int64_t v, char buf[FL_NUMBER_TEXT_MAX]); /* fast */
size_t fl_double_format(double v, char buf[FL_NUMBER_TEXT_MAX]);

/* By value, across exact and double; NaN is greatest and equal to itself. */
int fl_dec_compare(const struct fl_dec *a, const struct fl_dec *b);

/* 0, or -1: cannot be represented (infinite from finite, division by zero). */
int fl_dec_add(const struct fl_dec *a, const struct fl_dec *b, struct fl_dec *ret);
int fl_dec_sub(const struct fl_dec *a, const struct fl_dec *b, struct fl_dec *ret);
int fl_dec_mul(const struct fl_dec *a, const struct fl_dec *b, struct fl_dec *ret);
int fl_dec_div(const struct fl_dec *a, const struct fl_dec *b, struct fl_dec *ret);
int fl_dec_mod(const struct fl_dec *a, const struct fl_dec *b, struct fl_dec *ret); /* sign of a */
int fl_dec_int_div(const struct fl_dec *a, const struct fl_dec *b, struct fl_dec *ret); /* div() */
int fl_dec_round(const struct fl_dec *a, int places, struct fl_dec *ret); /* half away from 0 */
int fl_dec_trunc(const struct fl_dec *a, int places, struct fl_dec *ret);

#endif
