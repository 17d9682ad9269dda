/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of numbers. */
#include <math.h>

#include "expr/expr-node.h"

static int
bad_range(struct fl_xcall *c)
{
	return fl_x_bad(c, "%s: number out of range", c->node->func->name);
}

static double
to_double(const struct fl_xval *v)
{
	struct fl_dec d = fl_x_to_dec(v);

	return fl_dec_to_double(&d);
}

static int
f_abs(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	struct fl_dec zero = fl_dec_from_int(0), d = fl_x_to_dec(arg);

	(void)n;
	if (fl_dec_compare(&d, &zero) < 0 && fl_dec_sub(&zero, &d, &d) < 0)
		return bad_range(c);
	*ret = fl_x_dec(&d);
	return 0;
}

static int
f_sign(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	struct fl_dec zero = fl_dec_from_int(0), d = fl_x_to_dec(arg);

	(void)c;
	(void)n;
	*ret = fl_x_int(fl_dec_compare(&d, &zero));
	return 0;
}

/* code 1: up (ceil), -1: down (floor) */
static int
f_ceil(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	struct fl_dec one = fl_dec_from_int(c->node->func->code), d = fl_x_to_dec(arg), whole;
	int order;

	(void)n;
	if (d.scale == FL_DEC_DOUBLE) {
		double f = fl_dec_to_double(&d);

		*ret = fl_x_double(c->node->func->code > 0 ? ceil(f) : floor(f));
		return 0;
	}
	if (fl_dec_trunc(&d, 0, &whole) < 0)
		return bad_range(c);
	order = fl_dec_compare(&d, &whole);
	if (order == c->node->func->code && fl_dec_add(&whole, &one, &whole) < 0)
		return bad_range(c);
	*ret = fl_x_dec(&whole);
	return 0;
}

/* code 0: round, 1: trunc */
static int
f_round(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	int64_t places = n > 1 ? arg[1].i : 0;
	struct fl_dec d = fl_x_to_dec(arg);
	int rc;

	places = places > 400 ? 400 : places < -400 ? -400 : places;
	rc = c->node->func->code ? fl_dec_trunc(&d, (int)places, &d)
				 : fl_dec_round(&d, (int)places, &d);
	if (rc < 0)
		return bad_range(c);
	*ret = fl_x_dec(&d);
	return 0;
}

/* code 0: mod, 1: div */
static int
f_mod(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	struct fl_dec a = fl_x_to_dec(&arg[0]), b = fl_x_to_dec(&arg[1]);

	(void)n;
	if (fl_dec_to_double(&b) == 0)
		return fl_x_bad(c, "division by zero");
	if ((c->node->func->code ? fl_dec_int_div(&a, &b, &a) : fl_dec_mod(&a, &b, &a)) < 0)
		return bad_range(c);
	*ret = fl_x_dec(&a);
	return 0;
}

static int
f_power(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	struct fl_dec a = fl_x_to_dec(&arg[0]), b = fl_x_to_dec(&arg[1]);
	const char *why = fl_x_power(&a, &b, &a);

	(void)n;
	if (why)
		return fl_x_bad(c, "%s", why);
	*ret = fl_x_dec(&a);
	return 0;
}

static int
f_gcd(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	uint64_t a = arg[0].i < 0 ? -(uint64_t)arg[0].i : (uint64_t)arg[0].i;
	uint64_t b = arg[1].i < 0 ? -(uint64_t)arg[1].i : (uint64_t)arg[1].i, x = a, y = b, result;

	(void)n;
	while (y) {
		uint64_t rest = x % y;

		x = y;
		y = rest;
	}
	result = x;
	if (c->node->func->code && x && __builtin_mul_overflow(a / x, b, &result))
		return bad_range(c);
	if (result > INT64_MAX)
		return bad_range(c);
	*ret = fl_x_int((int64_t)result);
	return 0;
}

/* ---- functions of one double -------------------------------------------- */

enum real {
	REAL_SQRT, REAL_CBRT, REAL_EXP, REAL_LN, REAL_LOG10, REAL_LOG2, REAL_DEGREES, REAL_RADIANS,
	REAL_SIN, REAL_COS, REAL_TAN, REAL_COT, REAL_ASIN, REAL_ACOS, REAL_ATAN, REAL_SINH,
	REAL_COSH, REAL_TANH,
};

static double
real(enum real what, double x)
{
	static const double degree = 3.14159265358979323846 / 180;

	switch (what) {
	case REAL_SQRT:
		return sqrt(x);
	case REAL_CBRT:
		return cbrt(x);
	case REAL_EXP:
		return exp(x);
	case REAL_LN:
		return log(x);
	case REAL_LOG10:
		return log10(x);
	case REAL_LOG2:
		return log2(x);
	case REAL_DEGREES:
		return x / degree;
	case REAL_RADIANS:
		return x * degree;
	case REAL_SIN:
		return sin(x);
	case REAL_COS:
		return cos(x);
	case REAL_TAN:
		return tan(x);
	case REAL_COT:
		return 1 / tan(x);
	case REAL_ASIN:
		return asin(x);
	case REAL_ACOS:
		return acos(x);
	case REAL_ATAN:
		return atan(x);
	case REAL_SINH:
		return sinh(x);
	case REAL_COSH:
		return cosh(x);
	default:
		return tanh(x);
	}
}

/* A double that must not have become NaN or infinite by itself. */
static int
give_double(struct fl_xcall *c, double v, bool finite, struct fl_xval *ret)
{
	if (finite && isnan(v))
		return fl_x_bad(c, "%s of a number for which there is none", c->node->func->name);
	if (finite && isinf(v))
		return bad_range(c);
	*ret = fl_x_double(v);
	return 0;
}

static int
f_real(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	double x = to_double(arg);

	(void)n;
	return give_double(c, real((enum real)c->node->func->code, x), isfinite(x), ret);
}

static int
f_log(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	double x = to_double(&arg[n - 1]), v = log10(x);

	if (n == 2)
		v = log(x) / log(to_double(&arg[0]));
	return give_double(c, v, isfinite(x), ret);
}

static int
f_atan2(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	(void)n;
	return give_double(c, atan2(to_double(&arg[0]), to_double(&arg[1])), false, ret);
}

static int
f_pi(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	(void)c;
	(void)arg;
	(void)n;
	*ret = fl_x_double(3.14159265358979323846);
	return 0;
}

static int
f_width_bucket(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	double x = to_double(&arg[0]), low = to_double(&arg[1]), high = to_double(&arg[2]);
	int64_t count = arg[3].i, at;
	bool down = low > high;

	(void)n;
	if (count <= 0 || count >= INT32_MAX || low == high || isnan(x) || !isfinite(low) ||
	    !isfinite(high))
		return fl_x_bad(c, "width_bucket: bounds must differ and the count be positive");
	if (down ? x > low : x < low)
		at = 0;
	else if (down ? x <= high : x >= high)
		at = count + 1;
	else
		at = (int64_t)floor((x - low) / (high - low) * (double)count) + 1;
	*ret = fl_x_int(at);
	return 0;
}

static int
f_plus(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	(void)c;
	(void)n;
	*ret = arg[0];
	return 0;
}

#define N FL_X_DEC
const struct fl_xfunc fl_x_math_funcs[] = {
	{ "abs", "n", N, 0, 0, f_abs, "number" },
	{ "ceil", "n", N, 0, 1, f_ceil, "number" },
	{ "ceiling", "n", N, 0, 1, f_ceil, "number" },
	{ "floor", "n", N, 0, -1, f_ceil, "number" },
	{ "round", "n|i", N, 0, 0, f_round, "number [, places]" },
	{ "trunc", "n|i", N, 0, 1, f_round, "number [, places]" },
	{ "truncate", "n|i", N, 0, 1, f_round, "number [, places]" },
	{ "sign", "n", FL_X_INT, 0, 0, f_sign, "number" },
	{ "mod", "nn", N, 0, 0, f_mod, "dividend, divisor" },
	{ "div", "nn", N, 0, 1, f_mod, "dividend, divisor" },
	{ "power", "nn", N, 0, 0, f_power, "base, exponent" },
	{ "pow", "nn", N, 0, 0, f_power, "base, exponent" },
	{ "gcd", "ii", FL_X_INT, 0, 0, f_gcd, "integer, integer" },
	{ "lcm", "ii", FL_X_INT, 0, 1, f_gcd, "integer, integer" },
	{ "sqrt", "n", N, 0, REAL_SQRT, f_real, "number" },
	{ "cbrt", "n", N, 0, REAL_CBRT, f_real, "number" },
	{ "exp", "n", N, 0, REAL_EXP, f_real, "number" },
	{ "ln", "n", N, 0, REAL_LN, f_real, "number" },
	{ "log", "n|n", N, 0, 0, f_log, "[base,] number" },
	{ "log10", "n", N, 0, REAL_LOG10, f_real, "number" },
	{ "log2", "n", N, 0, REAL_LOG2, f_real, "number" },
	{ "degrees", "n", N, 0, REAL_DEGREES, f_real, "radians" },
	{ "radians", "n", N, 0, REAL_RADIANS, f_real, "degrees" },
	{ "sin", "n", N, 0, REAL_SIN, f_real, "radians" },
	{ "cos", "n", N, 0, REAL_COS, f_real, "radians" },
	{ "tan", "n", N, 0, REAL_TAN, f_real, "radians" },
	{ "cot", "n", N, 0, REAL_COT, f_real, "radians" },
	{ "asin", "n", N, 0, REAL_ASIN, f_real, "number" },
	{ "acos", "n", N, 0, REAL_ACOS, f_real, "number" },
	{ "atan", "n", N, 0, REAL_ATAN, f_real, "number" },
	{ "sinh", "n", N, 0, REAL_SINH, f_real, "number" },
	{ "cosh", "n", N, 0, REAL_COSH, f_real, "number" },
	{ "tanh", "n", N, 0, REAL_TANH, f_real, "number" },
	{ "atan2", "nn", N, 0, 0, f_atan2, "y, x" },
	{ "pi", "", N, 0, 0, f_pi, "" },
	{ "width_bucket", "nnni", FL_X_INT, 0, 0, f_width_bucket, "number, low, high, count" },
	{ "+", "n", N, 0, 0, f_plus, "number" },
	{ 0 },
};
