/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exact percentiles. As long as values are usual decimals (5, -3.20) that fit,
 * they are kept in 8 bytes each, appended as they come and sorted when a result is
 * asked for. Other values, values taken back (changelogs), and results asked for
 * again and again make it a bag (agg-bag.c).
 *
 * The 8 bytes are value * 10^scale << 5 | places: the scale is that of the whole
 * list, the places are the value's own, so that it prints as it came. Their order
 * as integers is the order of the values, of equal ones the shorter text first,
 * as in a bag.
 */
#include <stdlib.h>

#include "expr/agg-int.h"

#define PLACES_BITS 5
#define PLACES_MASK ((1 << PLACES_BITS) - 1)
#define ALIGNED_MAX (INT64_C(1) << (63 - PLACES_BITS))

struct list {
	uint64_t n, cap;
	uint64_t sorted; /* so many are in order */
	uint8_t scale;
	uint8_t tag;     /* of all values */
	uint8_t flags;
	int64_t packed[];
};

/* What stands in the accumulator. The bag comes first: a core of agg-bag.c too. */
struct quantiles {
	struct bag *bag;   /* once it has become one; else NULL */
	struct list *list;
};

static struct quantiles *
acc_of(const struct fl__core *c, const void *acc)
{
	return fl__acc(c, acc);
}

static size_t
list_size(uint64_t cap)
{
	return sizeof(struct list) + cap * sizeof(int64_t);
}

/* v * 10^places, unless there is no room for it. */
static bool
align(int64_t v, int places, int64_t *ret)
{
	for (; places > 0; places--)
		if (__builtin_mul_overflow(v, 10, &v))
			return false;
	*ret = v;
	return v < ALIGNED_MAX && v >= -ALIGNED_MAX;
}

static struct fl__cell
unpack(const struct list *l, int64_t packed)
{
	struct fl__cell c = { .tag = l->tag, .flags = l->flags };
	int64_t v = packed >> PLACES_BITS;

	c.n = (uint8_t)(packed & PLACES_MASK);
	for (int i = c.n; i < l->scale; i++)
		v /= 10;
	if (c.n == 0) {
		c.kind = FL__CELL_INT;
		c.i = v;
	} else {
		c.kind = FL__CELL_DEC;
		c.lo = (uint64_t)v;
		c.hi = v < 0 ? -1 : 0;
	}
	return c;
}

static void
free_list(struct fl_aggs *a, struct quantiles *q)
{
	if (q->list)
		fl__mem_free(&a->mem, q->list, list_size(q->list->cap));
	q->list = NULL;
}

static void
become_bag(struct fl_aggs *a, const struct fl__core *c, void *acc)
{
	struct quantiles *q = acc_of(c, acc);
	const struct list *l = q->list;

	for (uint64_t i = 0; l && i < l->n; i++) {
		struct fl__cell v = unpack(l, l->packed[i]);

		fl__bag_put(a, c, acc, &v);
	}
	free_list(a, q);
}

/* Make the list's scale at least this. False: it does not fit. */
static bool
raise_scale(struct list *l, uint8_t scale)
{
	int64_t aligned;

	for (uint64_t i = 0; i < l->n; i++)
		if (!align(l->packed[i] >> PLACES_BITS, scale - l->scale, &aligned))
			return false;
	for (uint64_t i = 0; i < l->n; i++) {
		(void)align(l->packed[i] >> PLACES_BITS, scale - l->scale, &aligned);
		l->packed[i] = aligned * (1 << PLACES_BITS) | (l->packed[i] & PLACES_MASK);
	}
	l->scale = scale;
	return true;
}

/* Append v if the list can hold it. */
static bool
list_put(struct fl_aggs *a, struct list **ref, const struct fl__cell *v)
{
	struct list *l = *ref;
	uint8_t places = v->kind == FL__CELL_DEC ? v->n : 0;
	int64_t aligned;

	if ((v->kind != FL__CELL_INT && v->kind != FL__CELL_DEC) || places > 18 ||
	    (places && v->hi != ((int64_t)v->lo < 0 ? -1 : 0)))
		return false;
	if (l && (l->tag != v->tag || l->flags != v->flags))
		return false;
	if (l && places > l->scale && !raise_scale(l, places))
		return false;
	/* i and lo lie in the same place */
	if (!align(v->i, l ? l->scale - places : 0, &aligned))
		return false;
	if (!l || l->n == l->cap) {
		uint64_t cap = l ? l->cap + l->cap / 2 + 1 : 3;

		l = fl__mem_grow(&a->mem, l, l ? list_size(l->cap) : 0, list_size(cap));
		if (!*ref)
			*l = (struct list){ .scale = places, .tag = v->tag, .flags = v->flags };
		l->cap = cap;
		*ref = l;
	}
	l->packed[l->n++] = aligned * (1 << PLACES_BITS) | places;
	return true;
}

static void
quantile_put(struct fl_aggs *a, const struct fl__core *c, void *acc, const struct fl__cell *v)
{
	struct quantiles *q = acc_of(c, acc);

	if (v->kind == FL__CELL_NONE)
		return;
	if (!q->bag && list_put(a, &q->list, v))
		return;
	if (!q->bag)
		become_bag(a, c, acc);
	fl__bag_put(a, c, acc, v);
}

/* ---- the core -------------------------------------------------------------- */

static int
quantile_add(struct fl_aggs *a, const struct fl__core *c, const struct fl__rows *r,
	     struct fl_err *err)
{
	(void)err;
	for (uint32_t k = 0; k < r->n; k++) {
		uint32_t i = fl__row(r, k);
		struct fl__cell v;

		if (!fl__passes(c, i))
			continue;
		v = fl__cell_get(&c->arg->vec, i);
		quantile_put(a, c, r->accs[k], &v);
	}
	return 0;
}

static int
quantile_merge(struct fl_aggs *a, const struct fl__core *c, void *dst, const void *src,
	       struct fl_err *err)
{
	const struct quantiles *from = acc_of(c, src);

	for (uint64_t i = 0; from->list && i < from->list->n; i++) {
		struct fl__cell v = unpack(from->list, from->list->packed[i]);

		quantile_put(a, c, dst, &v);
	}
	if (!from->bag)
		return 0;
	if (!acc_of(c, dst)->bag)
		become_bag(a, c, dst);
	return fl__bag_ops.merge(a, c, dst, src, err);
}

static void
quantile_clear(struct fl_aggs *a, const struct fl__core *c, void *acc)
{
	free_list(a, acc_of(c, acc));
	fl__bag_ops.clear(a, c, acc);
}

enum { SAVED_LIST = 0, SAVED_BAG = 1 };

static void
quantile_save(const struct fl__core *c, const void *acc, struct fl_buf *out)
{
	const struct quantiles *q = acc_of(c, acc);
	const struct list *l = q->list;

	fl__save_u8(out, q->bag ? SAVED_BAG : SAVED_LIST);
	if (q->bag) {
		fl__bag_ops.save(c, acc, out);
		return;
	}
	fl__save_u64(out, l ? l->n : 0);
	for (uint64_t i = 0; l && i < l->n; i++) {
		struct fl__cell v = unpack(l, l->packed[i]);

		if (i == 0) {
			fl__save_u8(out, v.tag);
			fl__save_u8(out, v.flags);
		}
		fl__save_u64(out, (uint64_t)v.i << 1 ^ (uint64_t)(v.i >> 63));
		fl__save_u8(out, v.kind == FL__CELL_DEC ? v.n : 0);
	}
}

static void
quantile_load(struct fl_aggs *a, const struct fl__core *c, void *acc, struct fl__reader *r)
{
	uint8_t form = fl__load_u8(r), tag = 0, flags = 0;
	uint64_t n;

	if (form == SAVED_BAG) {
		fl__bag_ops.load(a, c, acc, r);
		return;
	}
	n = fl__load_count(r, 2);
	if (n) {
		tag = fl__load_u8(r);
		flags = fl__load_u8(r);
	}
	if (form != SAVED_LIST || tag >= FL_TAGS || flags > FL__CELL_WAS_TEXT)
		r->bad = true;
	for (uint64_t i = 0; i < n && !r->bad; i++) {
		uint64_t bits = fl__load_u64(r);
		struct fl__cell v = { .kind = FL__CELL_INT, .tag = tag, .flags = flags };

		v.i = (int64_t)(bits >> 1 ^ -(bits & 1));
		v.n = fl__load_u8(r);
		if (v.n) {
			v.kind = FL__CELL_DEC;
			v.hi = v.i < 0 ? -1 : 0;
		}
		if (v.n > 18)
			r->bad = true;
		if (!r->bad)
			quantile_put(a, c, acc, &v);
	}
}

const struct fl__core_ops fl__quantile_ops = {
	.id = FL__QUANTILES, .size = sizeof(struct quantiles), .add = quantile_add,
	.merge = quantile_merge, .clear = quantile_clear, .save = quantile_save,
	.load = quantile_load,
};

/* ---- sorting --------------------------------------------------------------- */

static void
insertion_sort(int64_t *v, uint64_t n, uint64_t sorted)
{
	for (uint64_t i = sorted; i < n; i++) {
		int64_t x = v[i];
		uint64_t at = i;

		for (; at > 0 && v[at - 1] > x; at--)
			v[at] = v[at - 1];
		v[at] = x;
	}
}

/* One pass of a radix sort, by one byte; false if all have the same. */
static bool
sort_byte(const int64_t *from, int64_t *to, uint64_t n, unsigned byte)
{
	const uint64_t flip = byte == 7 ? 0x80 : 0; /* negative numbers come first */
	uint64_t count[256] = { 0 }, at = 0;

	for (uint64_t i = 0; i < n; i++)
		count[((uint64_t)from[i] >> 8 * byte & 0xff) ^ flip]++;
	for (int i = 0; i < 256; i++) {
		uint64_t here = count[i];

		if (here == n)
			return false;
		count[i] = at;
		at += here;
	}
	for (uint64_t i = 0; i < n; i++)
		to[count[((uint64_t)from[i] >> 8 * byte & 0xff) ^ flip]++] = from[i];
	return true;
}

static void
sort_list(struct list *l)
{
	int64_t *other, *from = l->packed, *to;

	if (l->n - l->sorted < 8 || l->n < 64) {
		insertion_sort(l->packed, l->n, l->sorted);
		l->sorted = l->n;
		return;
	}
	other = fl_xreallocarray(NULL, l->n, sizeof *other);
	to = other;
	for (unsigned byte = 0; byte < 8; byte++) {
		if (sort_byte(from, to, l->n, byte)) {
			int64_t *was = from;

			from = to;
			to = was;
		}
	}
	if (from == other)
		memcpy(l->packed, other, l->n * sizeof *other);
	free(other);
	l->sorted = l->n;
}

/* ---- results --------------------------------------------------------------- */

uint64_t
fl__rank(const struct fl__call *call, uint64_t n)
{
	const fl_int128 den = call->denominator;
	fl_int128 rank = ((fl_int128)call->numerator * n + den - 1) / den;

	return rank < 1 ? 1 : rank > n ? n : (uint64_t)rank;
}

/* The list in order; NULL where there is a bag now, or nothing. */
static const struct list *
list_of(struct fl_aggs *a, const struct fl__call *call, const void *acc)
{
	enum { LARGE = 1024 };
	const struct fl__core *c = call->core;
	void *mem = (void *)(uintptr_t)acc;
	struct list *l;

	if (c->ops != &fl__quantile_ops)
		return NULL;
	l = acc_of(c, acc)->list;
	if (!l)
		return NULL;
	/* a result for every few records: keeping order is cheaper than sorting again */
	if (call->distinct || (l->n > LARGE && l->sorted && l->n - l->sorted < l->n / 16)) {
		become_bag(a, c, mem);
		return NULL;
	}
	if (l->sorted < l->n)
		sort_list(l);
	return l;
}

/* Where values come from, in order. */
struct source {
	const struct fl__call *call;
	const void *acc;
	const struct list *list; /* NULL: the bag */
	uint64_t n;
};

static struct fl__cell
value_at(const struct source *s, uint64_t k)
{
	if (s->call->descending)
		k = s->n - 1 - k;
	if (s->list)
		return unpack(s->list, s->list->packed[k]);
	return *fl__bag_select(s->call->core, s->acc, k, s->call->distinct);
}

/* Cut off the places that interpolation has added, as far as they are zeros. */
static void
trim(struct fl_dec *d, uint32_t scale)
{
	fl_int128 m = fl_dec_mantissa(d);
	uint32_t have = d->scale;

	if (have > FL_DEC_DIGITS_MAX)
		return;
	while (have > scale && m % 10 == 0) {
		m /= 10;
		have--;
	}
	*d = fl_dec_make(m, have);
}

/* low + (high - low) * part / denominator; the denominator is a power of ten. */
static int
interpolate(const struct fl__call *call, const struct fl__cell *low, const struct fl__cell *high,
	    int64_t part, struct fl_colbuf *out, struct fl_err *err)
{
	struct fl_dec a, b, d, f = fl_dec_from_int(part);
	uint32_t scale;

	for (int64_t den = call->denominator; den > 1; den /= 10)
		f.scale++;
	if (part == 0 || fl__cell_compare(low, high) == 0 || !fl__cell_number(low, &a) ||
	    !fl__cell_number(high, &b)) {
		fl__cell_put(low, out);
		return 0;
	}
	if (fl_dec_sub(&b, &a, &d) < 0 || fl_dec_mul(&d, &f, &d) < 0 || fl_dec_add(&a, &d, &d) < 0)
		return fl_fail(err, FL_EDATA, "a percentile cannot be represented");
	scale = a.scale > b.scale ? a.scale : b.scale;
	trim(&d, scale > FL_DEC_DIGITS_MAX ? 0 : scale);
	fl_put_dec(out, &d);
	return 0;
}

int
fl__result_percentile(struct fl_aggs *a, const struct fl__call *call, const void *acc,
		      struct fl_colbuf *out, struct fl_err *err)
{
	struct source s = { .call = call, .acc = acc, .list = list_of(a, call, acc) };
	struct fl__cell low, high;
	fl_int128 at;
	uint64_t k;

	s.n = s.list ? s.list->n : fl__bag_count(call->core, acc, call->distinct);
	if (s.n == 0) {
		fl_put_null(out);
		return 0;
	}
	if (!call->interpolate) {
		/* the rank counts from the end that the order says */
		low = value_at(&s, fl__rank(call, s.n) - 1);
		fl__cell_put(&low, out);
		return 0;
	}
	at = (fl_int128)call->numerator * (s.n - 1);
	k = (uint64_t)(at / call->denominator);
	low = value_at(&s, k);
	high = value_at(&s, k + 1 < s.n ? k + 1 : k);
	return interpolate(call, &low, &high, (int64_t)(at % call->denominator), out, err);
}
