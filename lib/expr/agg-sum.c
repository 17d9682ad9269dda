/* SPDX-License-Identifier: Apache-2.0 */
/*
 * count, sum, avg, stddev, var, bool_and, bool_or: what can be taken back without
 * keeping the values.
 *
 * Sums are exact and so do not depend on the order. Most are 128 bits and a
 * scale in the accumulator itself; what is larger on the way, as well as
 * doubles, moves into a piece of memory of its own (MORE), of 256 bits. Only the
 * result must have at most 38 digits.
 *
 * Doubles are added with compensation (Neumaier), apart from what is exact.
 */
#include <math.h>

#include "expr/agg-int.h"

__extension__ typedef unsigned __int128 u128;

#define COUNT_BITS 48
#define COUNT_MASK ((UINT64_C(1) << COUNT_BITS) - 1)
#define SCALE_ONE (UINT64_C(1) << COUNT_BITS)
#define MORE (UINT64_C(1) << 56)

/* Exact sums of no larger magnitude stay in the accumulator. */
#define SMALL_MAX ((fl_int128)1 << 126)

/* Mantissas below this are squared exactly: 2^47 of the squares fit into 256 bits. */
#define SQUARED_MAX ((fl_int128)1 << 104)

struct wide {
	uint64_t w[4]; /* two's complement, the lowest first */
};

struct fl__sum_more {
	struct wide exact;
	double sum, rest; /* of the finite doubles; rest: what rounding lost */
	uint64_t doubles; /* all of them */
	uint64_t nans, plus_infs, minus_infs;
	uint32_t scales, cap;
	uint64_t scale[]; /* of a changelog: count of values of each scale above 0, scale on top */
};

struct fl__var_more {
	uint64_t n;        /* finite doubles */
	uint64_t specials; /* NaN and infinities */
	double mean, m2;
};

/* ---- 256 bits ----------------------------------------------------------- */

static struct wide
wide_of(fl_int128 v)
{
	uint64_t sign = v < 0 ? UINT64_MAX : 0;

	return (struct wide){ { (uint64_t)v, (uint64_t)((u128)v >> 64), sign, sign } };
}

static bool
wide_negative(const struct wide *a)
{
	return a->w[3] >> 63;
}

static void
wide_negate(struct wide *a)
{
	u128 carry = 1;

	for (int i = 0; i < 4; i++) {
		carry += (uint64_t)~a->w[i];
		a->w[i] = (uint64_t)carry;
		carry >>= 64;
	}
}

/* False where the sum overflows; then a is not to be used. */
static bool
wide_add(struct wide *a, const struct wide *b)
{
	bool an = wide_negative(a), bn = wide_negative(b);
	u128 carry = 0;

	for (int i = 0; i < 4; i++) {
		carry += (u128)a->w[i] + b->w[i];
		a->w[i] = (uint64_t)carry;
		carry >>= 64;
	}
	return an != bn || wide_negative(a) == an;
}

/* False where the product overflows. */
static bool
wide_times(struct wide *a, uint64_t by)
{
	bool negative = wide_negative(a);
	u128 carry = 0;

	if (negative)
		wide_negate(a);
	for (int i = 0; i < 4; i++) {
		carry += (u128)a->w[i] * by;
		a->w[i] = (uint64_t)carry;
		carry >>= 64;
	}
	if (carry || wide_negative(a))
		return false;
	if (negative)
		wide_negate(a);
	return true;
}

static bool
wide_shift(struct wide *a, int places)
{
	for (; places > 0; places--)
		if (!wide_times(a, 10))
			return false;
	return true;
}

/* a / 10 if that is exact. */
static bool
wide_tenth(struct wide *a)
{
	bool negative = wide_negative(a);
	struct wide q = *a;
	u128 rest = 0;

	if (negative)
		wide_negate(&q);
	for (int i = 3; i >= 0; i--) {
		rest = rest << 64 | q.w[i];
		q.w[i] = (uint64_t)(rest / 10);
		rest %= 10;
	}
	if (rest)
		return false;
	if (negative)
		wide_negate(&q);
	*a = q;
	return true;
}

static bool
wide_fits(const struct wide *a, fl_int128 *ret)
{
	uint64_t sign = a->w[1] >> 63 ? UINT64_MAX : 0;

	*ret = (fl_int128)((u128)a->w[1] << 64 | a->w[0]);
	return a->w[2] == sign && a->w[3] == sign;
}

static double
wide_to_double(const struct wide *a, int scale)
{
	struct wide m = *a;
	fl_int128 v;
	double d = 0;

	if (wide_fits(a, &v)) {
		struct fl_dec dec = fl_dec_make(v, (uint32_t)scale);

		return fl_dec_to_double(&dec);
	}
	if (wide_negative(a))
		wide_negate(&m);
	for (int i = 3; i >= 0; i--)
		d = d * 0x1p64 + (double)m.w[i];
	d /= pow(10, scale);
	return wide_negative(a) ? -d : d;
}

/* ---- one sum ------------------------------------------------------------ */

static inline uint64_t
sum_count(const struct fl__sum *s)
{
	return s->meta & COUNT_MASK;
}

static inline int
sum_scale(const struct fl__sum *s)
{
	return (int)(s->meta >> COUNT_BITS & 0xff);
}

static void
set_scale(struct fl__sum *s, int scale)
{
	s->meta = (s->meta & ~(SCALE_ONE * 0xff)) | SCALE_ONE * (unsigned)scale;
}

static struct fl__sum_more *
more_of(const struct fl__sum *s)
{
	return s->meta & MORE ? (struct fl__sum_more *)(uintptr_t)s->lo : NULL;
}

static fl_int128
small_of(const struct fl__sum *s)
{
	return (fl_int128)((u128)(uint64_t)s->hi << 64 | s->lo);
}

static struct wide
exact_of(const struct fl__sum *s)
{
	const struct fl__sum_more *m = more_of(s);

	return m ? m->exact : wide_of(small_of(s));
}

static size_t
more_size(uint32_t cap)
{
	return sizeof(struct fl__sum_more) + cap * sizeof(uint64_t);
}

static struct fl__sum_more *
make_more(struct fl_aggs *a, struct fl__sum *s)
{
	struct fl__sum_more *m = more_of(s);

	if (m)
		return m;
	m = fl__mem_alloc(&a->mem, more_size(0));
	*m = (struct fl__sum_more){ .exact = wide_of(small_of(s)) };
	s->lo = (uint64_t)(uintptr_t)m;
	s->hi = 0;
	s->meta |= MORE;
	return m;
}

void
fl__sum_clear(struct fl_aggs *a, struct fl__sum *s)
{
	struct fl__sum_more *m = more_of(s);

	if (m)
		fl__mem_free(&a->mem, m, more_size(m->cap));
	*s = (struct fl__sum){ 0 };
}

static bool
is_small(fl_int128 v)
{
	return v < SMALL_MAX && v > -SMALL_MAX;
}

/* v * 10^places while it is small. */
static bool
small_shift(fl_int128 *v, int places)
{
	for (; places > 0; places--) {
		if (*v >= SMALL_MAX / 10 || *v <= -SMALL_MAX / 10)
			return false;
		*v *= 10;
	}
	return true;
}

static int
too_large(struct fl_err *err)
{
	return fl_fail(err, FL_EDATA, "a sum is too large: it has more than 38 digits");
}

static int
put_wide(struct fl_aggs *a, struct fl__sum *s, struct wide v, int scale, struct fl_err *err)
{
	struct fl__sum_more *m = make_more(a, s);
	int have = sum_scale(s);

	if (scale > have) {
		if (!wide_shift(&m->exact, scale - have))
			return too_large(err);
		set_scale(s, scale);
	} else if (!wide_shift(&v, have - scale)) {
		return too_large(err);
	}
	return wide_add(&m->exact, &v) ? 0 : too_large(err);
}

/* Add v / 10^scale to the exact part; the number of values is not touched. */
static int
put_exact(struct fl_aggs *a, struct fl__sum *s, fl_int128 v, int scale, struct fl_err *err)
{
	fl_int128 have = small_of(s), more = v;
	int have_scale = sum_scale(s), to = scale > have_scale ? scale : have_scale;

	if (!(s->meta & MORE) && is_small(v) && small_shift(&have, to - have_scale) &&
	    small_shift(&more, to - scale)) {
		have += more;
		if (is_small(have)) {
			s->lo = (uint64_t)have;
			s->hi = (int64_t)((u128)have >> 64);
			set_scale(s, to);
			return 0;
		}
	}
	return put_wide(a, s, wide_of(v), scale, err);
}

static void
add_double(struct fl__sum_more *m, double v)
{
	double sum = m->sum + v;

	m->rest += fabs(m->sum) >= fabs(v) ? (m->sum - sum) + v : (v - sum) + m->sum;
	m->sum = sum;
}

static void
put_double(struct fl_aggs *a, struct fl__sum *s, double v, bool back)
{
	struct fl__sum_more *m = make_more(a, s);
	uint64_t one = back ? UINT64_MAX : 1; /* -1 in unsigned */

	if (back && m->doubles == 0)
		return; /* never came */
	m->doubles += one;
	if (isnan(v))
		m->nans += one;
	else if (isinf(v) && v > 0)
		m->plus_infs += one;
	else if (isinf(v))
		m->minus_infs += one;
	else
		add_double(m, back ? -v : v);
	if (m->doubles == 0)
		m->sum = m->rest = 0;
}

/*
 * A changelog's sum keeps how many values have which scale, so that it prints as
 * if what was taken back had never been there.
 */
static void
put_scale(struct fl_aggs *a, struct fl__sum *s, uint64_t scale, uint64_t count, bool back)
{
	struct fl__sum_more *m = make_more(a, s);
	const uint64_t top = scale << COUNT_BITS;
	uint32_t i = 0;

	while (i < m->scales && m->scale[i] >> COUNT_BITS != scale)
		i++;
	if (i == m->scales) {
		if (back)
			return;
		if (m->scales == m->cap) {
			uint32_t cap = m->cap + 2;

			m = fl__mem_grow(&a->mem, m, more_size(m->cap), more_size(cap));
			m->cap = cap;
			s->lo = (uint64_t)(uintptr_t)m;
		}
		m->scale[m->scales++] = top;
	}
	if (!back)
		m->scale[i] += count;
	else if (m->scale[i] != top)
		m->scale[i] -= count;
}

int
fl__sum_put(struct fl_aggs *a, struct fl__sum *s, const struct fl_dec *v, bool back,
	    struct fl_err *err)
{
	if (back && sum_count(s) == 0)
		return 0; /* never came */
	if (back && sum_count(s) == 1) {
		fl__sum_clear(a, s);
		return 0;
	}
	if (v->scale > FL_DEC_DIGITS_MAX) {
		put_double(a, s, fl_dec_to_double(v), back);
	} else {
		fl_int128 m = fl_dec_mantissa(v);
		bool least = m == -m && m != 0; /* -2^127 of a damaged stream */

		if (a->retract && v->scale)
			put_scale(a, s, v->scale, 1, back);
		if (least || put_exact(a, s, back ? -m : m, (int)v->scale, err) < 0)
			return too_large(err);
	}
	s->meta += back ? -(uint64_t)1 : 1;
	return 0;
}

static int
sum_merge_into(struct fl_aggs *a, struct fl__sum *to, const struct fl__sum *from,
	       struct fl_err *err)
{
	const struct fl__sum_more *m = more_of(from);

	if (!m) {
		if (put_exact(a, to, small_of(from), sum_scale(from), err) < 0)
			return err->code;
		to->meta += sum_count(from);
		return 0;
	}
	if (put_wide(a, to, m->exact, sum_scale(from), err) < 0)
		return err->code;
	for (uint32_t i = 0; i < m->scales; i++)
		put_scale(a, to, m->scale[i] >> COUNT_BITS, m->scale[i] & COUNT_MASK, false);
	if (m->doubles) {
		struct fl__sum_more *t = make_more(a, to);

		t->doubles += m->doubles;
		t->nans += m->nans;
		t->plus_infs += m->plus_infs;
		t->minus_infs += m->minus_infs;
		add_double(t, m->sum);
		t->rest += m->rest;
	}
	to->meta += sum_count(from);
	return 0;
}

/* The scale that the result is to have, which for a changelog may be less than ours. */
static int
shown_scale(const struct fl_aggs *a, const struct fl__sum *s)
{
	const struct fl__sum_more *m = more_of(s);
	int scale = 0;

	if (!a->retract || !m)
		return sum_scale(s);
	for (uint32_t i = 0; i < m->scales; i++)
		if ((m->scale[i] & COUNT_MASK) && (int)(m->scale[i] >> COUNT_BITS) > scale)
			scale = (int)(m->scale[i] >> COUNT_BITS);
	return scale;
}

static int
double_value(const struct fl__sum *s, const struct fl__sum_more *m, struct fl_dec *ret,
	     struct fl_err *err)
{
	double v = m->sum + (m->rest + wide_to_double(&m->exact, sum_scale(s)));

	if (m->nans || (m->plus_infs && m->minus_infs))
		v = (double)NAN;
	else if (m->plus_infs)
		v = (double)INFINITY;
	else if (m->minus_infs)
		v = -(double)INFINITY;
	else if (!isfinite(v))
		return fl_fail(err, FL_EDATA, "a sum is too large for a double");
	*ret = fl_dec_from_double(v);
	return 0;
}

/* The sum of at least one value. */
static int
sum_value(const struct fl_aggs *a, const struct fl__sum *s, struct fl_dec *ret, struct fl_err *err)
{
	const struct fl__sum_more *m = more_of(s);
	int scale = sum_scale(s), shown = shown_scale(a, s);
	struct wide w;
	fl_int128 v;

	if (m && m->doubles)
		return double_value(s, m, ret, err);
	w = exact_of(s);
	while (scale > shown && wide_tenth(&w))
		scale--;
	if (!wide_fits(&w, &v))
		return too_large(err);
	*ret = fl_dec_make(v, (uint32_t)scale);
	/* 39 digits fit into 128 bits too */
	if (v >= (fl_int128)10000000000000000000u * 10000000000000000000u ||
	    -v >= (fl_int128)10000000000000000000u * 10000000000000000000u)
		return too_large(err);
	return 0;
}

/* ---- sum, avg ----------------------------------------------------------- */

/* One scale all through, nothing to leave out: the loop that matters. */
static int
sum_add_uniform(struct fl_aggs *a, const struct fl__core *c, const struct fl__rows *r,
		struct fl_err *err)
{
	const struct fl__nums *nums = &c->arg->nums;
	const uint64_t scale = (uint64_t)nums->uniform;

	for (uint32_t k = 0; k < r->n; k++) {
		uint32_t i = fl__row(r, k);
		struct fl__sum *s = fl__acc(c, r->accs[k]);
		int64_t v = nums->mant[i];
		struct fl_dec d;

		if (s->meta >> COUNT_BITS == scale) {
			u128 sum = ((u128)(uint64_t)s->hi << 64 | s->lo) + (u128)(fl_int128)v;

			s->lo = (uint64_t)sum;
			s->hi = (int64_t)(uint64_t)(sum >> 64);
			s->meta++;
			continue;
		}
		d = fl_dec_from_int(v);
		d.scale = (uint32_t)scale;
		if (fl__sum_put(a, s, &d, false, err) < 0)
			return err->code;
	}
	return 0;
}

static int
sum_add(struct fl_aggs *a, const struct fl__core *c, const struct fl__rows *r, struct fl_err *err)
{
	const struct fl__nums *nums = &c->arg->nums;
	struct fl_dec d;

	if (nums->uniform >= 0 && !c->filter && !r->op && !(a->retract && nums->uniform))
		return sum_add_uniform(a, c, r, err);
	for (uint32_t k = 0; k < r->n; k++) {
		uint32_t i = fl__row(r, k);

		if (!fl__passes(c, i) || !fl__nums_get(nums, i, &d))
			continue;
		if (fl__sum_put(a, fl__acc(c, r->accs[k]), &d, fl__is_back(r, i), err) < 0)
			return err->code;
	}
	return 0;
}

static int
sum_merge(struct fl_aggs *a, const struct fl__core *c, void *dst, const void *src,
	  struct fl_err *err)
{
	struct fl__sum *to = fl__acc(c, dst);
	const struct fl__sum *from = fl__acc(c, src);
	fl_int128 sum;

	if (sum_count(from) == 0)
		return 0;
	if (to->meta >> COUNT_BITS == from->meta >> COUNT_BITS && !(from->meta & MORE)) {
		sum = small_of(to) + small_of(from);
		if (is_small(sum)) {
			to->lo = (uint64_t)sum;
			to->hi = (int64_t)((u128)sum >> 64);
			to->meta += sum_count(from);
			return 0;
		}
	}
	return sum_merge_into(a, to, from, err);
}

static void
sum_clear(struct fl_aggs *a, const struct fl__core *c, void *acc)
{
	fl__sum_clear(a, fl__acc(c, acc));
}

enum { SAVED_SMALL = 0, SAVED_64 = 1, SAVED_WIDE = 2, SAVED_MORE = 4 };

static void
sum_save_one(const struct fl__sum *s, struct fl_buf *out)
{
	const struct fl__sum_more *m = more_of(s);
	bool is_64 = !m && s->hi == ((int64_t)s->lo < 0 ? -1 : 0);

	fl__save_u64(out, sum_count(s));
	fl__save_u8(out, (uint8_t)sum_scale(s));
	fl__save_u8(out, m ? SAVED_MORE : is_64 ? SAVED_64 : SAVED_SMALL);
	if (!m) {
		if (is_64) {
			fl__save_u64(out, s->lo << 1 ^ (uint64_t)((int64_t)s->lo >> 63));
		} else {
			fl__save_fixed(out, s->lo);
			fl__save_fixed(out, (uint64_t)s->hi);
		}
		return;
	}
	for (int i = 0; i < 4; i++)
		fl__save_fixed(out, m->exact.w[i]);
	fl__save_u64(out, m->doubles);
	fl__save_u64(out, m->nans);
	fl__save_u64(out, m->plus_infs);
	fl__save_u64(out, m->minus_infs);
	fl__save_double(out, m->sum);
	fl__save_double(out, m->rest);
	fl__save_u64(out, m->scales);
	for (uint32_t i = 0; i < m->scales; i++)
		fl__save_fixed(out, m->scale[i]);
}

static void
load_more(struct fl_aggs *a, struct fl__sum *s, struct fl__reader *r)
{
	struct fl__sum_more *m = make_more(a, s);
	uint64_t scales;

	for (int i = 0; i < 4; i++)
		m->exact.w[i] = fl__load_fixed(r);
	m->doubles = fl__load_u64(r);
	m->nans = fl__load_u64(r);
	m->plus_infs = fl__load_u64(r);
	m->minus_infs = fl__load_u64(r);
	m->sum = fl__load_double(r);
	m->rest = fl__load_double(r);
	scales = fl__load_count(r, 8);
	if (scales > FL_DEC_DIGITS_MAX)
		r->bad = true;
	for (uint64_t i = 0; i < scales && !r->bad; i++) {
		uint64_t v = fl__load_fixed(r), scale = v >> COUNT_BITS;

		if (scale == 0 || scale > FL_DEC_DIGITS_MAX)
			r->bad = true;
		else
			put_scale(a, s, scale, v & COUNT_MASK, false);
	}
}

static void
sum_load_one(struct fl_aggs *a, struct fl__sum *s, struct fl__reader *r)
{
	uint64_t n = fl__load_u64(r), v;
	uint8_t scale = fl__load_u8(r), form = fl__load_u8(r);

	if (n > COUNT_MASK || scale > FL_DEC_DIGITS_MAX)
		r->bad = true;
	if (r->bad)
		return;
	s->meta = n | SCALE_ONE * scale;
	if (form == SAVED_MORE) {
		load_more(a, s, r);
	} else if (form == SAVED_64) {
		v = fl__load_u64(r);
		s->lo = v >> 1 ^ -(v & 1);
		s->hi = (int64_t)s->lo >> 63;
	} else if (form == SAVED_SMALL) {
		s->lo = fl__load_fixed(r);
		s->hi = (int64_t)fl__load_fixed(r);
		r->bad = r->bad || !is_small(small_of(s));
	} else {
		r->bad = true;
	}
}

static void
sum_save(const struct fl__core *c, const void *acc, struct fl_buf *out)
{
	sum_save_one(fl__acc(c, acc), out);
}

static void
sum_load(struct fl_aggs *a, const struct fl__core *c, void *acc, struct fl__reader *r)
{
	sum_load_one(a, fl__acc(c, acc), r);
}

static bool
is_flat_sum(const struct fl__sum *s)
{
	return s->meta < MORE && sum_scale(s) <= FL_DEC_DIGITS_MAX && is_small(small_of(s));
}

static bool
sum_is_flat(const struct fl__core *c, const void *acc)
{
	return is_flat_sum(fl__acc(c, acc));
}

const struct fl__core_ops fl__sum_ops = {
	.id = FL__SUM, .size = sizeof(struct fl__sum), .add = sum_add, .merge = sum_merge,
	.clear = sum_clear, .save = sum_save, .load = sum_load, .is_flat = sum_is_flat,
};

/* The sum of a core, which with DISTINCT stands behind its set. */
static const void *
inner_of(const struct fl__core *c, const void *acc)
{
	return (const char *)fl__acc(c, acc) + c->ops->inner;
}

int
fl__result_sum(struct fl_aggs *a, const struct fl__call *call, const void *acc,
	       struct fl_colbuf *out, struct fl_err *err)
{
	const struct fl__sum *s = inner_of(call->core, acc);
	struct fl_dec d;

	if (sum_count(s) == 0) {
		fl_put_null(out);
		return 0;
	}
	if (s->hi == ((int64_t)s->lo < 0 ? -1 : 0) && s->meta >> COUNT_BITS == 0) {
		fl_put_int(out, (int64_t)s->lo);
		return 0;
	}
	if (sum_value(a, s, &d, err) < 0)
		return err->code;
	fl_put_dec(out, &d);
	return 0;
}

int
fl__result_avg(struct fl_aggs *a, const struct fl__call *call, const void *acc,
	       struct fl_colbuf *out, struct fl_err *err)
{
	const struct fl__sum *s = inner_of(call->core, acc);
	struct fl_dec d, n = fl_dec_from_int((int64_t)sum_count(s));

	if (sum_count(s) == 0) {
		fl_put_null(out);
		return 0;
	}
	if (sum_value(a, s, &d, err) < 0)
		return err->code;
	if (fl_dec_div(&d, &n, &d) < 0)
		return fl_fail(err, FL_EDATA, "an average cannot be represented");
	fl_put_dec(out, &d);
	return 0;
}

/* ---- var, stddev -------------------------------------------------------- */

void
fl__var_clear(struct fl_aggs *a, struct fl__var *s)
{
	fl__sum_clear(a, &s->sum);
	fl__sum_clear(a, &s->squares);
	fl__mem_free(&a->mem, s->more, sizeof *s->more);
	s->more = NULL;
}

static uint64_t
var_count(const struct fl__var *s)
{
	return sum_count(&s->sum) + (s->more ? s->more->n + s->more->specials : 0);
}

static struct fl__var_more *
make_var_more(struct fl_aggs *a, struct fl__var *s)
{
	if (!s->more) {
		s->more = fl__mem_alloc(&a->mem, sizeof *s->more);
		*s->more = (struct fl__var_more){ 0 };
	}
	return s->more;
}

/* Welford's way, and back. */
static void
var_put_double(struct fl__var_more *m, double v, bool back)
{
	double was = m->mean;

	if (!isfinite(v)) {
		if (!back || m->specials)
			m->specials += back ? UINT64_MAX : 1;
		return;
	}
	if (!back) {
		m->n++;
		m->mean += (v - was) / (double)m->n;
		m->m2 += (v - was) * (v - m->mean);
		return;
	}
	if (m->n <= 1) {
		m->n = 0;
		m->mean = m->m2 = 0;
		return;
	}
	m->n--;
	m->mean -= (v - was) / (double)m->n;
	m->m2 -= (v - was) * (v - m->mean);
	if (m->m2 < 0)
		m->m2 = 0;
}

/* v * v, for 0 <= v < 2^128. */
static struct wide
wide_square(u128 v)
{
	uint64_t w[2] = { (uint64_t)v, (uint64_t)(v >> 64) };
	struct wide r = { { 0 } };

	for (int i = 0; i < 2; i++) {
		u128 carry = 0;

		for (int k = 0; k < 2; k++) {
			carry += (u128)w[i] * w[k] + r.w[i + k];
			r.w[i + k] = (uint64_t)carry;
			carry >>= 64;
		}
		r.w[i + 2] = (uint64_t)carry;
	}
	return r;
}

static int
put_square(struct fl_aggs *a, struct fl__sum *s, fl_int128 v, int scale, bool back,
	   struct fl_err *err)
{
	struct wide w;

	if (v == (int64_t)v)
		return put_exact(a, s, back ? -(v * v) : v * v, 2 * scale, err);
	w = wide_square(v < 0 ? -(u128)v : (u128)v);
	if (back)
		wide_negate(&w);
	return put_wide(a, s, w, 2 * scale, err);
}

int
fl__var_put(struct fl_aggs *a, struct fl__var *s, const struct fl_dec *v, bool back,
	    struct fl_err *err)
{
	fl_int128 m = fl_dec_mantissa(v);

	if (back && var_count(s) <= 1) {
		fl__var_clear(a, s);
		return 0;
	}
	if (v->scale > FL_DEC_DIGITS_MAX / 2 || m >= SQUARED_MAX || m <= -SQUARED_MAX) {
		var_put_double(make_var_more(a, s), fl_dec_to_double(v), back);
		return 0;
	}
	if (back && sum_count(&s->sum) == 0)
		return 0; /* never came */
	if (put_exact(a, &s->sum, back ? -m : m, (int)v->scale, err) < 0 ||
	    put_square(a, &s->squares, m, (int)v->scale, back, err) < 0)
		return err->code;
	s->sum.meta += back ? -(uint64_t)1 : 1;
	return 0;
}

static int
var_add(struct fl_aggs *a, const struct fl__core *c, const struct fl__rows *r, struct fl_err *err)
{
	struct fl_dec d;

	for (uint32_t k = 0; k < r->n; k++) {
		uint32_t i = fl__row(r, k);

		if (!fl__passes(c, i) || !fl__nums_get(&c->arg->nums, i, &d))
			continue;
		if (fl__var_put(a, fl__acc(c, r->accs[k]), &d, fl__is_back(r, i), err) < 0)
			return err->code;
	}
	return 0;
}

/* Chan's way of adding two. */
static void
var_join(struct fl__var_more *to, const struct fl__var_more *from)
{
	double n = (double)to->n + (double)from->n, delta = from->mean - to->mean;

	to->specials += from->specials;
	if (from->n == 0)
		return;
	to->m2 += from->m2 + delta * delta * ((double)to->n * (double)from->n / n);
	to->mean += delta * ((double)from->n / n);
	to->n += from->n;
}

static int
var_merge(struct fl_aggs *a, const struct fl__core *c, void *dst, const void *src,
	  struct fl_err *err)
{
	struct fl__var *to = fl__acc(c, dst);
	const struct fl__var *from = fl__acc(c, src);

	if (sum_merge_into(a, &to->sum, &from->sum, err) < 0 ||
	    sum_merge_into(a, &to->squares, &from->squares, err) < 0)
		return err->code;
	if (from->more)
		var_join(make_var_more(a, to), from->more);
	return 0;
}

static void
var_clear(struct fl_aggs *a, const struct fl__core *c, void *acc)
{
	fl__var_clear(a, fl__acc(c, acc));
}

static void
var_save(const struct fl__core *c, const void *acc, struct fl_buf *out)
{
	const struct fl__var *s = fl__acc(c, acc);

	sum_save_one(&s->sum, out);
	sum_save_one(&s->squares, out);
	fl__save_u8(out, s->more != NULL);
	if (!s->more)
		return;
	fl__save_u64(out, s->more->n);
	fl__save_u64(out, s->more->specials);
	fl__save_double(out, s->more->mean);
	fl__save_double(out, s->more->m2);
}

static void
var_load(struct fl_aggs *a, const struct fl__core *c, void *acc, struct fl__reader *r)
{
	struct fl__var *s = fl__acc(c, acc);
	struct fl__var_more *m;

	sum_load_one(a, &s->sum, r);
	sum_load_one(a, &s->squares, r);
	if (!fl__load_u8(r) || r->bad)
		return;
	m = make_var_more(a, s);
	m->n = fl__load_u64(r) & COUNT_MASK;
	m->specials = fl__load_u64(r) & COUNT_MASK;
	m->mean = fl__load_double(r);
	m->m2 = fl__load_double(r);
}

static bool
var_is_flat(const struct fl__core *c, const void *acc)
{
	const struct fl__var *s = fl__acc(c, acc);

	return !s->more && is_flat_sum(&s->sum) && is_flat_sum(&s->squares);
}

const struct fl__core_ops fl__var_ops = {
	.id = FL__VAR, .size = sizeof(struct fl__var), .add = var_add, .merge = var_merge,
	.clear = var_clear, .save = var_save, .load = var_load, .is_flat = var_is_flat,
};

/*
 * n times the sum of squared distances from the mean, of the exact values:
 * n * squares - sum^2, exact, so that nothing cancels out. False where 256 bits
 * do not hold it.
 */
static bool
spread(const struct fl__var *s, struct wide *ret)
{
	struct wide sum = exact_of(&s->sum), square;
	int missing = 2 * sum_scale(&s->sum) - sum_scale(&s->squares);

	*ret = exact_of(&s->squares);
	if (wide_negative(&sum))
		wide_negate(&sum);
	if (sum.w[3] || sum.w[2] || !wide_shift(ret, missing) ||
	    !wide_times(ret, sum_count(&s->sum)))
		return false;
	square = wide_square((u128)sum.w[1] << 64 | sum.w[0]);
	if (wide_negative(&square))
		return false;
	wide_negate(&square);
	return wide_add(ret, &square);
}

/* The exact part as a double: its number, mean and sum of squared distances. */
static void
exact_part(const struct fl__var *s, struct fl__var_more *ret)
{
	struct wide sum = exact_of(&s->sum), squares = exact_of(&s->squares), w;
	double n = (double)sum_count(&s->sum);
	int scale = sum_scale(&s->sum);

	*ret = (struct fl__var_more){ .n = sum_count(&s->sum) };
	if (ret->n == 0)
		return;
	ret->mean = wide_to_double(&sum, scale) / n;
	if (spread(s, &w))
		ret->m2 = wide_to_double(&w, 2 * scale) / n;
	else
		ret->m2 = wide_to_double(&squares, sum_scale(&s->squares)) -
			  ret->mean * ret->mean * n;
	if (ret->m2 < 0)
		ret->m2 = 0;
}

/* The variance; false where there are too few values. */
static bool
variance(const struct fl__var *s, bool population, struct fl_dec *ret)
{
	uint64_t n = var_count(s);
	struct fl__var_more all;
	struct fl_dec over, by;
	struct wide w;
	fl_int128 v;

	if (n < (population ? 1 : 2))
		return false;
	if (s->more && s->more->specials) {
		*ret = fl_dec_from_double((double)NAN);
		return true;
	}
	if (!(s->more && s->more->n) && spread(s, &w) && wide_fits(&w, &v) &&
	    2 * sum_scale(&s->sum) <= FL_DEC_DIGITS_MAX) {
		over = fl_dec_make(v, 2 * (uint32_t)sum_scale(&s->sum));
		by = fl_dec_make((fl_int128)n * (population ? n : n - 1), 0);
		if (fl_dec_div(&over, &by, ret) == 0)
			return true;
	}
	exact_part(s, &all);
	if (s->more)
		var_join(&all, s->more);
	*ret = fl_dec_from_double(all.m2 / (double)(population ? n : n - 1));
	return true;
}

int
fl__result_var(struct fl_aggs *a, const struct fl__call *call, const void *acc,
	       struct fl_colbuf *out, struct fl_err *err)
{
	struct fl_dec d;

	(void)a;
	(void)err;
	if (!variance(inner_of(call->core, acc), call->population, &d))
		fl_put_null(out);
	else if (call->root)
		fl_put_double(out, sqrt(fl_dec_to_double(&d)));
	else
		fl_put_dec(out, &d);
	return 0;
}

/* ---- count -------------------------------------------------------------- */

static uint64_t *
counter(const struct fl__core *c, const void *acc)
{
	return fl__acc(c, acc);
}

static void
count_one(uint64_t *n, bool back)
{
	if (!back)
		++*n;
	else if (*n)
		--*n;
}

static int
count_all_add(struct fl_aggs *a, const struct fl__core *c, const struct fl__rows *r,
	      struct fl_err *err)
{
	(void)a;
	(void)err;
	if (!c->filter && !r->op) {
		for (uint32_t k = 0; k < r->n; k++)
			++*counter(c, r->accs[k]);
		return 0;
	}
	for (uint32_t k = 0; k < r->n; k++) {
		uint32_t i = fl__row(r, k);

		if (fl__passes(c, i))
			count_one(counter(c, r->accs[k]), fl__is_back(r, i));
	}
	return 0;
}

static int
count_add(struct fl_aggs *a, const struct fl__core *c, const struct fl__rows *r,
	  struct fl_err *err)
{
	(void)a;
	(void)err;
	for (uint32_t k = 0; k < r->n; k++) {
		uint32_t i = fl__row(r, k);

		if (fl__passes(c, i) && !fl_is_null(&c->arg->vec, i))
			count_one(counter(c, r->accs[k]), fl__is_back(r, i));
	}
	return 0;
}

static int
count_merge(struct fl_aggs *a, const struct fl__core *c, void *dst, const void *src,
	    struct fl_err *err)
{
	(void)a;
	(void)err;
	*counter(c, dst) += *counter(c, src);
	return 0;
}

static void
count_save(const struct fl__core *c, const void *acc, struct fl_buf *out)
{
	fl__save_u64(out, *counter(c, acc));
}

static void
count_load(struct fl_aggs *a, const struct fl__core *c, void *acc, struct fl__reader *r)
{
	(void)a;
	*counter(c, acc) = fl__load_u64(r);
}

/* Numbers, whatever they are. */
static bool
numbers_are_flat(const struct fl__core *c, const void *acc)
{
	(void)c;
	(void)acc;
	return true;
}

const struct fl__core_ops fl__count_all_ops = {
	.id = FL__COUNT_ALL, .size = sizeof(uint64_t), .add = count_all_add, .merge = count_merge,
	.save = count_save, .load = count_load, .is_flat = numbers_are_flat,
};

const struct fl__core_ops fl__count_ops = {
	.id = FL__COUNT, .size = sizeof(uint64_t), .add = count_add, .merge = count_merge,
	.save = count_save, .load = count_load, .is_flat = numbers_are_flat,
};

int
fl__result_count(struct fl_aggs *a, const struct fl__call *call, const void *acc,
		 struct fl_colbuf *out, struct fl_err *err)
{
	(void)a;
	(void)err;
	fl_put_int(out, (int64_t)*counter(call->core, acc));
	return 0;
}

/* ---- bool_and, bool_or -------------------------------------------------- */

struct truths {
	uint64_t n[2]; /* how many were false, how many true */
};

static int
truth_add(struct fl_aggs *a, const struct fl__core *c, const struct fl__rows *r,
	  struct fl_err *err)
{
	const uint8_t *truth = (const uint8_t *)c->arg->truth.data;

	(void)a;
	(void)err;
	for (uint32_t k = 0; k < r->n; k++) {
		uint32_t i = fl__row(r, k);
		struct truths *t = fl__acc(c, r->accs[k]);

		if (truth[i] <= 1 && fl__passes(c, i))
			count_one(&t->n[truth[i]], fl__is_back(r, i));
	}
	return 0;
}

static int
truth_merge(struct fl_aggs *a, const struct fl__core *c, void *dst, const void *src,
	    struct fl_err *err)
{
	struct truths *to = fl__acc(c, dst);
	const struct truths *from = fl__acc(c, src);

	(void)a;
	(void)err;
	to->n[0] += from->n[0];
	to->n[1] += from->n[1];
	return 0;
}

static void
truth_save(const struct fl__core *c, const void *acc, struct fl_buf *out)
{
	const struct truths *t = fl__acc(c, acc);

	fl__save_u64(out, t->n[0]);
	fl__save_u64(out, t->n[1]);
}

static void
truth_load(struct fl_aggs *a, const struct fl__core *c, void *acc, struct fl__reader *r)
{
	struct truths *t = fl__acc(c, acc);

	(void)a;
	t->n[0] = fl__load_u64(r);
	t->n[1] = fl__load_u64(r);
}

const struct fl__core_ops fl__truth_ops = {
	.id = FL__TRUTHS, .size = sizeof(struct truths), .add = truth_add, .merge = truth_merge,
	.save = truth_save, .load = truth_load, .is_flat = numbers_are_flat,
};

int
fl__result_truth(struct fl_aggs *a, const struct fl__call *call, const void *acc,
		 struct fl_colbuf *out, struct fl_err *err)
{
	const struct truths *t = fl__acc(call->core, acc);

	(void)a;
	(void)err;
	if (t->n[0] + t->n[1] == 0)
		fl_put_null(out);
	else
		fl_put_bool(out, call->any ? t->n[1] > 0 : t->n[0] == 0);
	return 0;
}
