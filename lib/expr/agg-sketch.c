/* SPDX-License-Identifier: Apache-2.0 */
/*
 * approx_count_distinct and approx_pNN: answers of a stated error from little
 * memory. Both are the same whatever the order, and whatever was merged with what.
 *
 * approx_count_distinct: HyperLogLog with 2^14 registers, standard error
 * 1.04 / sqrt(2^14) = 0.81 %. Up to 1536 different values it keeps their hashes
 * and counts exactly. The estimate is Ertl's (2017), which needs no tables of
 * corrections.
 *
 * approx_pNN: counts in bins that grow by 2 %: bin i holds 1.02^(i-1) < x <=
 * 1.02^i, and says 2 * 1.02^i / 2.02, which is less than 1 % off any of its
 * values. So the result is within 1 % of the exact percentile (of the value that
 * pNN gives). Negative values likewise; zero, NaN and infinities are themselves.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "expr/agg-int.h"

/* ---- HyperLogLog -------------------------------------------------------- */

#define HLL_BITS 14
#define HLL_REGISTERS (1u << HLL_BITS)
#define HLL_RANKS (64 - HLL_BITS) /* the largest rank is one more */
#define HASHES_MAX 1536u
#define HLL_SEED UINT64_C(0x666c7565) /* fixed: state goes from run to run */

struct hll {
	uint32_t n;   /* hashes */
	uint32_t cap; /* slots for hashes, a power of two; 0: registers */
	union {
		uint64_t hash[1]; /* 0: free */
		uint8_t reg[8];
	};
};

static struct hll **
hll_of(const struct fl__core *c, const void *acc)
{
	return fl__acc(c, acc);
}

static size_t
hll_size(uint32_t cap)
{
	return offsetof(struct hll, hash) + (cap ? cap * sizeof(uint64_t) : HLL_REGISTERS);
}

static struct hll *
hll_new(struct fl_aggs *a, uint32_t cap)
{
	struct hll *h = fl__mem_alloc(&a->mem, hll_size(cap));

	memset(h, 0, hll_size(cap));
	h->cap = cap;
	return h;
}

static void
set_register(struct hll *h, uint64_t hash)
{
	uint32_t at = (uint32_t)(hash >> HLL_RANKS);
	uint64_t rest = hash << HLL_BITS;
	uint8_t rank = rest ? (uint8_t)(__builtin_clzll(rest) + 1) : HLL_RANKS + 1;
	uint8_t *reg = (uint8_t *)h + offsetof(struct hll, reg) + at;

	if (*reg < rank)
		*reg = rank;
}

static uint64_t *
hashes_of(const struct hll *h)
{
	return (uint64_t *)(void *)((char *)(uintptr_t)h + offsetof(struct hll, hash));
}

/* Whether the hash was new. There must be a free slot. */
static bool
put_hash(struct hll *h, uint64_t hash)
{
	uint64_t *slot = hashes_of(h);
	uint32_t at = (uint32_t)hash & (h->cap - 1);

	for (; slot[at]; at = (at + 1) & (h->cap - 1))
		if (slot[at] == hash)
			return false;
	slot[at] = hash;
	h->n++;
	return true;
}

/* The same with another number of slots for hashes, or, where cap is 0, registers. */
static struct hll *
hll_convert(struct fl_aggs *a, struct hll *h, uint32_t cap)
{
	struct hll *g = hll_new(a, cap);

	for (uint32_t i = 0; i < h->cap; i++) {
		uint64_t hash = hashes_of(h)[i];

		if (hash && g->cap)
			(void)put_hash(g, hash);
		else if (hash)
			set_register(g, hash);
	}
	fl__mem_free(&a->mem, h, hll_size(h->cap));
	return g;
}

static void
hll_put(struct fl_aggs *a, struct hll **ref, uint64_t hash)
{
	struct hll *h = *ref;

	hash = hash ? hash : 1;
	if (!h)
		h = *ref = hll_new(a, 4);
	if (h->cap && h->n >= h->cap / 4 * 3)
		h = *ref = hll_convert(a, h, h->n < HASHES_MAX ? 2 * h->cap : 0);
	if (h->cap)
		(void)put_hash(h, hash);
	else
		set_register(h, hash);
}

static int
hll_add(struct fl_aggs *a, const struct fl__core *c, const struct fl__rows *r, struct fl_err *err)
{
	(void)err;
	for (uint32_t k = 0; k < r->n; k++) {
		uint32_t i = fl__row(r, k);
		struct fl__cell v;

		if (!fl__passes(c, i))
			continue;
		v = fl__cell_get(&c->arg->vec, i);
		if (v.kind != FL__CELL_NONE)
			hll_put(a, hll_of(c, r->accs[k]), fl__cell_hash(&v, HLL_SEED));
	}
	return 0;
}

static int
hll_merge(struct fl_aggs *a, const struct fl__core *c, void *dst, const void *src,
	  struct fl_err *err)
{
	struct hll **to = hll_of(c, dst);
	const struct hll *from = *hll_of(c, src);

	(void)err;
	if (!from)
		return 0;
	for (uint32_t i = 0; i < from->cap; i++)
		if (hashes_of(from)[i])
			hll_put(a, to, hashes_of(from)[i]);
	if (from->cap)
		return 0;
	if (!*to)
		*to = hll_new(a, 0);
	if ((*to)->cap)
		*to = hll_convert(a, *to, 0);
	for (uint32_t i = 0; i < HLL_REGISTERS; i++) {
		const uint8_t *f = (const uint8_t *)from + offsetof(struct hll, reg) + i;
		uint8_t *t = (uint8_t *)*to + offsetof(struct hll, reg) + i;

		*t = *f > *t ? *f : *t;
	}
	return 0;
}

static void
hll_clear(struct fl_aggs *a, const struct fl__core *c, void *acc)
{
	struct hll **ref = hll_of(c, acc);

	if (*ref)
		fl__mem_free(&a->mem, *ref, hll_size((*ref)->cap));
	*ref = NULL;
}

enum { SAVED_HASHES = 0, SAVED_REGISTERS = 1 };

static void
hll_save(const struct fl__core *c, const void *acc, struct fl_buf *out)
{
	const struct hll *h = *hll_of(c, acc);

	if (h && !h->cap) {
		fl__save_u8(out, SAVED_REGISTERS);
		fl_buf_put(out, (const char *)h + offsetof(struct hll, reg), HLL_REGISTERS);
		return;
	}
	fl__save_u8(out, SAVED_HASHES);
	fl__save_u64(out, h ? h->n : 0);
	for (uint32_t i = 0; h && i < h->cap; i++)
		if (hashes_of(h)[i])
			fl__save_fixed(out, hashes_of(h)[i]);
}

static void
hll_load(struct fl_aggs *a, const struct fl__core *c, void *acc, struct fl__reader *r)
{
	struct hll **ref = hll_of(c, acc);
	uint8_t form = fl__load_u8(r);
	uint64_t n;

	if (form == SAVED_HASHES) {
		n = fl__load_count(r, 8);
		for (uint64_t i = 0; i < n; i++)
			hll_put(a, ref, fl__load_fixed(r));
		return;
	}
	if (form != SAVED_REGISTERS || r->bad || (size_t)(r->end - r->p) < HLL_REGISTERS) {
		r->bad = true;
		return;
	}
	*ref = hll_new(a, 0);
	for (uint32_t i = 0; i < HLL_REGISTERS; i++) {
		uint8_t v = fl__load_u8(r);

		r->bad = r->bad || v > HLL_RANKS + 1;
		*((uint8_t *)*ref + offsetof(struct hll, reg) + i) = v;
	}
}

const struct fl__core_ops fl__hll_ops = {
	.id = FL__HLL, .size = sizeof(struct hll *), .add = hll_add, .merge = hll_merge,
	.clear = hll_clear, .save = hll_save, .load = hll_load,
};

/* Ertl's sums for registers of rank 0 and of the largest rank; x is their share. */
static double
ertl_sigma(double x)
{
	double y = 1, z = x, before;

	if (x == 1)
		return (double)INFINITY;
	do {
		x *= x;
		before = z;
		z += x * y;
		y += y;
	} while (z != before);
	return z;
}

static double
ertl_tau(double x)
{
	double y = 1, z = 1 - x, before;

	if (x == 0 || x == 1)
		return 0;
	do {
		x = sqrt(x);
		before = z;
		y *= 0.5;
		z -= (1 - x) * (1 - x) * y;
	} while (z != before);
	return z / 3;
}

static double
estimate(const struct hll *h)
{
	const double m = HLL_REGISTERS;
	uint32_t count[HLL_RANKS + 2] = { 0 };
	double z;

	for (uint32_t i = 0; i < HLL_REGISTERS; i++)
		count[*((const uint8_t *)h + offsetof(struct hll, reg) + i)]++;
	z = m * ertl_tau(1 - count[HLL_RANKS + 1] / m);
	for (int k = HLL_RANKS; k >= 1; k--)
		z = 0.5 * (z + count[k]);
	z += m * ertl_sigma(count[0] / m);
	return m * m / (2 * log(2) * z);
}

int
fl__result_hll(struct fl_aggs *a, const struct fl__call *call, const void *acc,
	       struct fl_colbuf *out, struct fl_err *err)
{
	const struct hll *h = *hll_of(call->core, acc);
	double n = 0;

	(void)a;
	(void)err;
	if (h)
		n = h->cap ? h->n : estimate(h);
	fl_put_int(out, n < 0x1p62 ? (int64_t)(n + 0.5) : (int64_t)1 << 62);
	return 0;
}

/* ---- percentiles -------------------------------------------------------- */

#define GROWTH 1.02
#define BIN_ONE 40000 /* bin number of 1.02^-1 < x <= 1: above all exponents of doubles */
#define BIN_INFINITY 100000
#define BIN_NAN 100001

struct bin {
	int32_t bin;
	uint32_t zero;
	uint64_t count;
};

struct sketch {
	uint64_t n;
	uint32_t bins, cap;
	struct bin bin[]; /* in order */
};

static struct sketch **
sketch_of(const struct fl__core *c, const void *acc)
{
	return fl__acc(c, acc);
}

static size_t
sketch_size(uint32_t cap)
{
	return sizeof(struct sketch) + cap * sizeof(struct bin);
}

static int32_t
bin_of(double v)
{
	int32_t i;

	if (isnan(v))
		return BIN_NAN;
	if (v == 0)
		return 0;
	if (isinf(v))
		return v > 0 ? BIN_INFINITY : -BIN_INFINITY;
	i = (int32_t)ceil(log(fabs(v)) / log(GROWTH)) + BIN_ONE;
	return v > 0 ? i : -i;
}

static double
value_of(int32_t bin)
{
	double v;

	if (bin == BIN_NAN)
		return (double)NAN;
	if (bin == 0)
		return 0;
	if (abs(bin) == BIN_INFINITY)
		return bin > 0 ? (double)INFINITY : -(double)INFINITY;
	v = exp((abs(bin) - BIN_ONE) * log(GROWTH) + log(2 / (1 + GROWTH)));
	v = v > DBL_MAX ? DBL_MAX : v;
	return bin > 0 ? v : -v;
}

/* The place of a bin, or where it would have to go. */
static uint32_t
find_bin(const struct sketch *s, int32_t bin)
{
	uint32_t low = 0, high = s->bins;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (s->bin[mid].bin < bin)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void
sketch_put(struct fl_aggs *a, struct sketch **ref, int32_t bin, uint64_t count)
{
	struct sketch *s = *ref;
	uint32_t at = s ? find_bin(s, bin) : 0;

	if (s && at < s->bins && s->bin[at].bin == bin) {
		s->bin[at].count += count;
		s->n += count;
		return;
	}
	if (!s || s->bins == s->cap) {
		uint32_t cap = s ? 2 * s->cap : 3;

		s = fl__mem_grow(&a->mem, s, s ? sketch_size(s->cap) : 0, sketch_size(cap));
		if (!*ref)
			*s = (struct sketch){ 0 };
		s->cap = cap;
		*ref = s;
	}
	memmove(&s->bin[at + 1], &s->bin[at], (s->bins - at) * sizeof(struct bin));
	s->bin[at] = (struct bin){ .bin = bin, .count = count };
	s->bins++;
	s->n += count;
}

static void
sketch_take_back(struct sketch *s, int32_t bin)
{
	uint32_t at = s ? find_bin(s, bin) : 0;

	if (!s || at == s->bins || s->bin[at].bin != bin)
		return;
	s->n--;
	if (--s->bin[at].count)
		return;
	s->bins--;
	memmove(&s->bin[at], &s->bin[at + 1], (s->bins - at) * sizeof(struct bin));
}

static int
sketch_add(struct fl_aggs *a, const struct fl__core *c, const struct fl__rows *r,
	   struct fl_err *err)
{
	(void)err;
	for (uint32_t k = 0; k < r->n; k++) {
		uint32_t i = fl__row(r, k);
		struct fl_dec d;
		int32_t bin;

		if (!fl__passes(c, i) || !fl__nums_get(&c->arg->nums, i, &d))
			continue;
		bin = bin_of(fl_dec_to_double(&d));
		if (fl__is_back(r, i))
			sketch_take_back(*sketch_of(c, r->accs[k]), bin);
		else
			sketch_put(a, sketch_of(c, r->accs[k]), bin, 1);
	}
	return 0;
}

static int
sketch_merge(struct fl_aggs *a, const struct fl__core *c, void *dst, const void *src,
	     struct fl_err *err)
{
	const struct sketch *from = *sketch_of(c, src);

	(void)err;
	for (uint32_t i = 0; from && i < from->bins; i++)
		sketch_put(a, sketch_of(c, dst), from->bin[i].bin, from->bin[i].count);
	return 0;
}

static void
sketch_clear(struct fl_aggs *a, const struct fl__core *c, void *acc)
{
	struct sketch **ref = sketch_of(c, acc);

	if (*ref)
		fl__mem_free(&a->mem, *ref, sketch_size((*ref)->cap));
	*ref = NULL;
}

static void
sketch_save(const struct fl__core *c, const void *acc, struct fl_buf *out)
{
	const struct sketch *s = *sketch_of(c, acc);

	fl__save_u64(out, s ? s->bins : 0);
	for (uint32_t i = 0; s && i < s->bins; i++) {
		fl__save_u64(out, (uint64_t)(s->bin[i].bin + BIN_NAN));
		fl__save_u64(out, s->bin[i].count);
	}
}

static void
sketch_load(struct fl_aggs *a, const struct fl__core *c, void *acc, struct fl__reader *r)
{
	uint64_t n = fl__load_count(r, 2);

	for (uint64_t i = 0; i < n && !r->bad; i++) {
		uint64_t bin = fl__load_u64(r), count = fl__load_u64(r);

		if (bin > 2 * BIN_NAN || count == 0 || count >> 48)
			r->bad = true;
		if (!r->bad)
			sketch_put(a, sketch_of(c, acc), (int32_t)bin - BIN_NAN, count);
	}
}

const struct fl__core_ops fl__sketch_ops = {
	.id = FL__SKETCH, .size = sizeof(struct sketch *), .add = sketch_add,
	.merge = sketch_merge, .clear = sketch_clear, .save = sketch_save, .load = sketch_load,
};

int
fl__result_sketch(struct fl_aggs *a, const struct fl__call *call, const void *acc,
		  struct fl_colbuf *out, struct fl_err *err)
{
	const struct sketch *s = *sketch_of(call->core, acc);
	char text[40];
	uint64_t rank;
	uint32_t i = 0;

	(void)a;
	(void)err;
	if (!s || s->n == 0) {
		fl_put_null(out);
		return 0;
	}
	rank = fl__rank(call, s->n);
	while (i + 1 < s->bins && rank > s->bin[i].count)
		rank -= s->bin[i++].count;
	/* more digits would look more exact than they are */
	(void)snprintf(text, sizeof text, "%.5e", value_of(s->bin[i].bin));
	fl_put_double(out, strtod(text, NULL));
	return 0;
}
