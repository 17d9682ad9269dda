/* SPDX-License-Identifier: Apache-2.0 */
/*
 * min, max, first, last, arg_min, arg_max over records that are never taken back:
 * one value is kept. (agg-bag.c has them for changelogs.)
 *
 * NULLs do not count. Of values that are equal but look different (1 and 1.0)
 * min keeps the shorter, then the smaller text, and max the longer, whatever came
 * first, so that the result does not depend on the order; arg_min and arg_max
 * keep what came first.
 */
#include "expr/agg-int.h"

/* ---- min, max ----------------------------------------------------------- */

static void
replace(struct fl_aggs *a, struct fl__cell *have, struct fl__cell with)
{
	fl__cell_keep(&a->mem, &with);
	fl__cell_drop(&a->mem, have);
	*have = with;
}

/* Whether v takes the place of have. sign: 1 for min, -1 for max. */
static inline bool
is_better(const struct fl__cell *v, const struct fl__cell *have, int sign)
{
	int c;

	if (have->kind == FL__CELL_NONE)
		return true;
	c = fl__cell_order(v, have);
	if (c)
		return c > 0 ? sign < 0 : sign > 0;
	return v->tag < have->tag; /* "5" and 5 of JSON */
}

/* Whether number i is worse for sure: nothing else is to be looked at. */
static inline bool
is_worse(const struct fl__nums *nums, uint32_t i, const struct fl__cell *have, int sign)
{
	int64_t v = nums->mant[i];

	if (have->kind == FL__CELL_INT) {
		if (nums->scale[i] != 0)
			return false;
	} else if (have->kind != FL__CELL_DEC || nums->scale[i] != have->n ||
		   have->hi != ((int64_t)have->lo < 0 ? -1 : 0)) {
		return false;
	}
	/* i and lo lie in the same place */
	return sign > 0 ? v > have->i : v < have->i;
}

static inline int
extreme_add(struct fl_aggs *a, const struct fl__core *c, const struct fl__rows *r, int sign)
{
	const struct fl_vec *v = &c->arg->vec;
	const struct fl__nums *nums = c->arg->has_nums ? &c->arg->nums : NULL;

	for (uint32_t k = 0; k < r->n; k++) {
		uint32_t i = fl__row(r, k);
		struct fl__cell *have = fl__acc(c, r->accs[k]), cell;

		if (!fl__passes(c, i) || (nums && is_worse(nums, i, have, sign)))
			continue;
		cell = fl__cell_get(v, i);
		if (cell.kind != FL__CELL_NONE && is_better(&cell, have, sign))
			replace(a, have, cell);
	}
	return 0;
}

static int
min_add(struct fl_aggs *a, const struct fl__core *c, const struct fl__rows *r, struct fl_err *err)
{
	(void)err;
	return extreme_add(a, c, r, 1);
}

static int
max_add(struct fl_aggs *a, const struct fl__core *c, const struct fl__rows *r, struct fl_err *err)
{
	(void)err;
	return extreme_add(a, c, r, -1);
}

static int
extreme_merge(struct fl_aggs *a, const struct fl__core *c, void *dst, const void *src,
	      struct fl_err *err)
{
	struct fl__cell *to = fl__acc(c, dst);
	const struct fl__cell *from = fl__acc(c, src);

	(void)err;
	if (from->kind != FL__CELL_NONE && is_better(from, to, c->ops->id == FL__MIN ? 1 : -1))
		replace(a, to, *from);
	return 0;
}

static void
extreme_clear(struct fl_aggs *a, const struct fl__core *c, void *acc)
{
	fl__cell_drop(&a->mem, fl__acc(c, acc));
}

static void
extreme_save(const struct fl__core *c, const void *acc, struct fl_buf *out)
{
	fl__save_cell(out, fl__acc(c, acc));
}

static void
extreme_load(struct fl_aggs *a, const struct fl__core *c, void *acc, struct fl__reader *r)
{
	replace(a, fl__acc(c, acc), fl__load_cell(r));
}

static bool
extreme_is_flat(const struct fl__core *c, const void *acc)
{
	return fl__cell_is_flat(fl__acc(c, acc));
}

const struct fl__core_ops fl__min_ops = {
	.id = FL__MIN, .size = sizeof(struct fl__cell), .add = min_add, .merge = extreme_merge,
	.clear = extreme_clear, .save = extreme_save, .load = extreme_load,
	.is_flat = extreme_is_flat,
};

const struct fl__core_ops fl__max_ops = {
	.id = FL__MAX, .size = sizeof(struct fl__cell), .add = max_add, .merge = extreme_merge,
	.clear = extreme_clear, .save = extreme_save, .load = extreme_load,
	.is_flat = extreme_is_flat,
};

/* ---- first, last -------------------------------------------------------- */

struct arrival {
	struct fl__cell value;
	uint64_t seq;
};

static void
arrival_put(struct fl_aggs *a, const struct fl__core *c, struct arrival *have,
	    const struct fl__cell *v, uint64_t seq)
{
	bool last = c->ops->id == FL__LAST;

	if (v->kind == FL__CELL_NONE)
		return;
	if (have->value.kind != FL__CELL_NONE && (last ? seq < have->seq : seq > have->seq))
		return;
	replace(a, &have->value, *v);
	have->seq = seq;
}

static int
arrival_add(struct fl_aggs *a, const struct fl__core *c, const struct fl__rows *r,
	    struct fl_err *err)
{
	bool last = c->ops->id == FL__LAST;

	(void)err;
	for (uint32_t k = 0; k < r->n; k++) {
		uint32_t i = fl__row(r, k);
		struct arrival *have = fl__acc(c, r->accs[k]);
		struct fl__cell v;

		if (!fl__passes(c, i) || (!last && have->value.kind && have->seq <= r->seq + i))
			continue;
		v = fl__cell_get(&c->arg->vec, i);
		arrival_put(a, c, have, &v, r->seq + i);
	}
	return 0;
}

static int
arrival_merge(struct fl_aggs *a, const struct fl__core *c, void *dst, const void *src,
	      struct fl_err *err)
{
	const struct arrival *from = fl__acc(c, src);

	(void)err;
	arrival_put(a, c, fl__acc(c, dst), &from->value, from->seq);
	return 0;
}

static void
arrival_clear(struct fl_aggs *a, const struct fl__core *c, void *acc)
{
	struct arrival *have = fl__acc(c, acc);

	fl__cell_drop(&a->mem, &have->value);
	have->seq = 0;
}

static void
arrival_save(const struct fl__core *c, const void *acc, struct fl_buf *out)
{
	const struct arrival *have = fl__acc(c, acc);

	fl__save_cell(out, &have->value);
	fl__save_u64(out, have->seq);
}

static void
arrival_load(struct fl_aggs *a, const struct fl__core *c, void *acc, struct fl__reader *r)
{
	struct arrival *have = fl__acc(c, acc);

	replace(a, &have->value, fl__load_cell(r));
	have->seq = fl__load_u64(r);
}

static bool
arrival_is_flat(const struct fl__core *c, const void *acc)
{
	const struct arrival *have = fl__acc(c, acc);

	return fl__cell_is_flat(&have->value);
}

const struct fl__core_ops fl__first_ops = {
	.id = FL__FIRST, .size = sizeof(struct arrival), .add = arrival_add,
	.merge = arrival_merge, .clear = arrival_clear, .save = arrival_save,
	.load = arrival_load, .is_flat = arrival_is_flat,
};

const struct fl__core_ops fl__last_ops = {
	.id = FL__LAST, .size = sizeof(struct arrival), .add = arrival_add,
	.merge = arrival_merge, .clear = arrival_clear, .save = arrival_save,
	.load = arrival_load, .is_flat = arrival_is_flat,
};

/* ---- arg_min, arg_max --------------------------------------------------- */

struct at_extreme {
	struct fl__cell value;
	struct fl__cell by; /* NONE: nothing yet */
	uint64_t seq;
};

static void
at_put(struct fl_aggs *a, const struct fl__core *c, struct at_extreme *have,
       const struct fl__cell *value, const struct fl__cell *by, uint64_t seq)
{
	int order;

	if (by->kind == FL__CELL_NONE || value->kind == FL__CELL_NONE)
		return;
	if (have->by.kind != FL__CELL_NONE) {
		order = fl__cell_compare(by, &have->by);
		if (c->ops->id == FL__ARG_MAX)
			order = -order;
		if (order > 0 || (order == 0 && seq >= have->seq))
			return;
	}
	replace(a, &have->value, *value);
	replace(a, &have->by, *by);
	have->seq = seq;
}

static int
at_add(struct fl_aggs *a, const struct fl__core *c, const struct fl__rows *r, struct fl_err *err)
{
	(void)err;
	for (uint32_t k = 0; k < r->n; k++) {
		uint32_t i = fl__row(r, k);
		struct fl__cell value, by;

		if (!fl__passes(c, i))
			continue;
		value = fl__cell_get(&c->arg->vec, i);
		by = fl__cell_get(&c->by->vec, i);
		at_put(a, c, fl__acc(c, r->accs[k]), &value, &by, r->seq + i);
	}
	return 0;
}

static int
at_merge(struct fl_aggs *a, const struct fl__core *c, void *dst, const void *src,
	 struct fl_err *err)
{
	const struct at_extreme *from = fl__acc(c, src);

	(void)err;
	at_put(a, c, fl__acc(c, dst), &from->value, &from->by, from->seq);
	return 0;
}

static void
at_clear(struct fl_aggs *a, const struct fl__core *c, void *acc)
{
	struct at_extreme *have = fl__acc(c, acc);

	fl__cell_drop(&a->mem, &have->value);
	fl__cell_drop(&a->mem, &have->by);
	have->seq = 0;
}

static void
at_save(const struct fl__core *c, const void *acc, struct fl_buf *out)
{
	const struct at_extreme *have = fl__acc(c, acc);

	fl__save_cell(out, &have->value);
	fl__save_cell(out, &have->by);
	fl__save_u64(out, have->seq);
}

static void
at_load(struct fl_aggs *a, const struct fl__core *c, void *acc, struct fl__reader *r)
{
	struct at_extreme *have = fl__acc(c, acc);

	replace(a, &have->value, fl__load_cell(r));
	replace(a, &have->by, fl__load_cell(r));
	have->seq = fl__load_u64(r);
}

static bool
at_is_flat(const struct fl__core *c, const void *acc)
{
	const struct at_extreme *have = fl__acc(c, acc);

	return fl__cell_is_flat(&have->value) && fl__cell_is_flat(&have->by);
}

const struct fl__core_ops fl__arg_min_ops = {
	.id = FL__ARG_MIN, .size = sizeof(struct at_extreme), .add = at_add, .merge = at_merge,
	.clear = at_clear, .save = at_save, .load = at_load, .is_flat = at_is_flat,
};

const struct fl__core_ops fl__arg_max_ops = {
	.id = FL__ARG_MAX, .size = sizeof(struct at_extreme), .add = at_add, .merge = at_merge,
	.clear = at_clear, .save = at_save, .load = at_load, .is_flat = at_is_flat,
};

/* All of them begin with the value. */
int
fl__result_pick(struct fl_aggs *a, const struct fl__call *call, const void *acc,
		struct fl_colbuf *out, struct fl_err *err)
{
	(void)a;
	(void)err;
	fl__cell_put(fl__acc(call->core, acc), out);
	return 0;
}
