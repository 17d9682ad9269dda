/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saved accumulators of another list of aggregates.
 *
 * The parts of a list, version 2: byte 2; number of cores; each: byte enum fl__core_id,
 * byte enum fl__bag_order, byte flags, then three signatures (argument, second argument,
 * filter), each as a number 0 where there is none, or its length + 1 and its bytes; then
 * FLAT_LAYOUT, and how many bytes of a flat accumulator are the core's. Version 1 had
 * not those two, and there were no flat ones.
 */
#include <stdlib.h>

#include "expr/agg-int.h"
#include "expr/expr-node.h"

#define PARTS_VERSION 2

/*
 * The layout of flat accumulators, of all cores: the structs of agg-sum.c and agg-pick.c.
 * If one changes, this becomes 2, and fl_aggs_loader_flat makes the new of the old.
 */
#define FLAT_LAYOUT 1
_Static_assert(sizeof(struct fl__cell) == 24 && sizeof(struct fl__sum) == 24 &&
		       sizeof(struct fl__var) == 56,
	       "FLAT_LAYOUT is of these");

enum { KEEP_NULLS = 1, KEEP_NULL_KEYS = 2, DESC = 4, NULLS_FIRST = 8, FLAGS = 15 };

static const struct fl__core_ops *const all_ops[] = {
	[FL__COUNT_ALL] = &fl__count_all_ops,
	[FL__COUNT] = &fl__count_ops,
	[FL__SUM] = &fl__sum_ops,
	[FL__VAR] = &fl__var_ops,
	[FL__TRUTHS] = &fl__truth_ops,
	[FL__MIN] = &fl__min_ops,
	[FL__MAX] = &fl__max_ops,
	[FL__FIRST] = &fl__first_ops,
	[FL__LAST] = &fl__last_ops,
	[FL__ARG_MIN] = &fl__arg_min_ops,
	[FL__ARG_MAX] = &fl__arg_max_ops,
	[FL__BAG] = &fl__bag_ops,
	[FL__SET] = &fl__set_ops,
	[FL__SET_SUM] = &fl__set_sum_ops,
	[FL__SET_VAR] = &fl__set_var_ops,
	[FL__HLL] = &fl__hll_ops,
	[FL__SKETCH] = &fl__sketch_ops,
	[FL__QUANTILES] = &fl__quantile_ops,
	[FL__DISTINCT] = &fl__distinct_ops,
};

/* A part of the saved list. */
struct part {
	const struct fl__core *to; /* where it goes; NULL: it is dropped */
	struct fl__core gone;      /* to read over it */
	size_t at, size;           /* in a flat accumulator */
};

struct fl_aggs_loader {
	struct fl_aggs *aggs;
	bool same; /* the lists are equal */
	struct part *part;
	uint32_t count;
	void *scratch; /* an accumulator of one part that is dropped */
	bool has_layout; /* of flat accumulators; they have flat_size bytes */
	size_t flat_size;
};

/* ---- saving --------------------------------------------------------------------- */

static uint8_t
flags_of(const struct fl__core *c)
{
	return (uint8_t)((c->keep_nulls ? KEEP_NULLS : 0) |
			 (c->keep_null_keys ? KEEP_NULL_KEYS : 0) | (c->desc ? DESC : 0) |
			 (c->nulls_first ? NULLS_FIRST : 0));
}

static void
put_signature(struct fl_buf *out, const char *signature)
{
	size_t n = signature ? strlen(signature) : 0;

	fl__save_u64(out, signature ? n + 1 : 0);
	fl_buf_put(out, signature, n);
}

static void
put_part(struct fl_buf *out, const struct fl__core *c)
{
	fl__save_u8(out, (uint8_t)c->ops->id);
	fl__save_u8(out, (uint8_t)c->order);
	fl__save_u8(out, flags_of(c));
	put_signature(out, c->arg ? c->arg->signature : NULL);
	put_signature(out, c->by ? c->by->signature : NULL);
	put_signature(out, c->filter ? c->filter->signature : NULL);
}

void
fl_aggs_definition(const struct fl_aggs *a, size_t i, struct fl_buf *out)
{
	fl_buf_printf(out, "%s=%s", a->result[i].name, a->result[i].expr->text);
}

void
fl_aggs_parts(const struct fl_aggs *a, struct fl_buf *out)
{
	fl__save_u8(out, PARTS_VERSION);
	fl__save_u64(out, a->core_count);
	for (uint32_t i = 0; i < a->core_count; i++) {
		put_part(out, a->core[i]);
		fl__save_u64(out, FLAT_LAYOUT);
		fl__save_u64(out, (a->core[i]->ops->size + 7) & ~(size_t)7);
	}
}

bool
fl_aggs_never_flat(const struct fl_aggs *a)
{
	bool never = false;

	for (uint32_t i = 0; i < a->core_count; i++)
		never = never || !a->core[i]->ops->is_flat;
	return never;
}

bool
fl_aggs_all_flat(const struct fl_aggs *a)
{
	return fl_aggs_extra_bytes(a) == 0 && !fl_aggs_never_flat(a);
}

bool
fl_aggs_is_flat(const struct fl_aggs *a, const void *acc)
{
	for (uint32_t i = 0; i < a->core_count; i++)
		if (!a->core[i]->ops->is_flat || !a->core[i]->ops->is_flat(a->core[i], acc))
			return false;
	return true;
}

/* ---- loading -------------------------------------------------------------------- */

static void
skip_signature(struct fl__reader *r)
{
	uint64_t n = fl__load_u64(r);

	if (n && n - 1 > (uint64_t)(r->end - r->p))
		r->bad = true;
	else if (n)
		r->p += n - 1;
}

/* The core of a that is described by the bytes p[0..n); NULL: none. */
static const struct fl__core *
find_core(const struct fl_aggs *a, const char *p, size_t n)
{
	const struct fl__core *found = NULL;
	struct fl_buf mine = { 0 };

	for (uint32_t i = 0; i < a->core_count && !found; i++) {
		fl_buf_clear(&mine);
		put_part(&mine, a->core[i]);
		if (mine.len == n && memcmp(mine.data, p, n) == 0)
			found = a->core[i];
	}
	fl_buf_release(&mine);
	return found;
}

static void
read_part(const struct fl_aggs *a, struct fl__reader *r, struct part *part)
{
	const char *from = r->p;
	uint8_t id = fl__load_u8(r), order = fl__load_u8(r), flags = fl__load_u8(r);

	for (int i = 0; i < 3; i++)
		skip_signature(r);
	if (id == 0 || id >= FL_ARRAY_LEN(all_ops) || order > FL__BY_KEY || flags > FLAGS)
		r->bad = true;
	if (r->bad)
		return;
	part->to = find_core(a, from, (size_t)(r->p - from));
	part->gone = (struct fl__core){ .ops = all_ops[id],
					.text = "",
					.order = (enum fl__bag_order)order,
					.keep_nulls = flags & KEEP_NULLS,
					.keep_null_keys = flags & KEEP_NULL_KEYS,
					.desc = flags & DESC,
					.nulls_first = flags & NULLS_FIRST };
}

/* Where the part is in a flat accumulator; as each is as large as ours, until layouts differ. */
static void
read_layout(struct fl_aggs_loader *l, struct part *part, struct fl__reader *r)
{
	uint64_t layout = fl__load_u64(r), size = fl__load_u64(r);

	if (layout != FLAT_LAYOUT || size != ((part->gone.ops->size + 7) & ~(size_t)7))
		r->bad = true;
	part->at = l->flat_size;
	part->size = (size_t)size;
	l->flat_size += (size_t)size;
}

struct fl_aggs_loader *
fl_aggs_loader_new(struct fl_aggs *a, const char *parts, size_t n, struct fl_err *err)
{
	struct fl_aggs_loader *l = fl_xcalloc(1, sizeof *l);
	struct fl__reader r = { .p = parts, .end = parts + n };
	size_t largest = 8;
	uint8_t version = fl__load_u8(&r);
	uint64_t count;

	l->aggs = a;
	l->has_layout = version > 1;
	if (version < 1 || version > PARTS_VERSION)
		r.bad = true;
	count = fl__load_count(&r, 6);
	l->part = fl_xcalloc(count + 1, sizeof *l->part);
	l->same = count == a->core_count;
	for (; l->count < count && !r.bad; l->count++) {
		struct part *p = &l->part[l->count];

		read_part(a, &r, p);
		if (!r.bad && l->has_layout)
			read_layout(l, p, &r);
		if (r.bad)
			break;
		l->same = l->same && p->to == a->core[l->count];
		largest = p->gone.ops->size > largest ? p->gone.ops->size : largest;
	}
	for (uint32_t i = 0; i < l->count && !r.bad; i++) /* one part would be filled twice */
		for (uint32_t k = 0; k < i; k++)
			r.bad = r.bad || (l->part[i].to && l->part[i].to == l->part[k].to);
	l->scratch = fl_xcalloc(1, largest);
	if (!r.bad && r.p == r.end)
		return l;
	fl_aggs_loader_free(l);
	(void)fl_fail(err, FL_EDATA, "the saved list of aggregates is damaged");
	return NULL;
}

void
fl_aggs_loader_free(struct fl_aggs_loader *l)
{
	if (!l)
		return;
	free(l->part);
	free(l->scratch);
	free(l);
}

bool
fl_aggs_loader_same(const struct fl_aggs_loader *l)
{
	return l->same;
}

/* A part that nobody wants any more. */
static void
read_over(struct fl_aggs_loader *l, const struct fl__core *gone, struct fl__reader *r)
{
	memset(l->scratch, 0, gone->ops->size);
	gone->ops->load(l->aggs, gone, l->scratch, r);
	if (gone->ops->clear)
		gone->ops->clear(l->aggs, gone, l->scratch);
}

int
fl_aggs_loader_load(struct fl_aggs_loader *l, void *acc, const char *p, size_t n,
		    struct fl_err *err)
{
	struct fl__reader r = { .p = p, .end = p + n };

	if (l->same)
		return fl_aggs_load(l->aggs, acc, p, n, err);
	if (fl__load_u8(&r) != FL__SAVED_VERSION)
		return fl_fail(err, FL_EDATA, "a saved accumulator has an unknown version");
	for (uint32_t i = 0; i < l->count && !r.bad; i++) {
		const struct part *part = &l->part[i];

		if (fl__load_u8(&r) != (uint8_t)part->gone.ops->id)
			r.bad = true;
		else if (part->to)
			part->to->ops->load(l->aggs, part->to, acc, &r);
		else
			read_over(l, &part->gone, &r);
	}
	if (!r.bad && r.p == r.end)
		return 0;
	fl_aggs_clear(l->aggs, acc);
	return fl_fail(err, FL_EDATA, "a saved accumulator is damaged");
}

size_t
fl_aggs_loader_flat_size(const struct fl_aggs_loader *l)
{
	return l->has_layout ? l->flat_size : SIZE_MAX;
}

int
fl_aggs_loader_flat(struct fl_aggs_loader *l, void *acc, const char *p, struct fl_err *err)
{
	struct fl_aggs *a = l->aggs;
	bool ok = true;

	if (l->same)
		memcpy(acc, p, a->size);
	for (uint32_t i = 0; i < l->count && !l->same; i++)
		if (l->part[i].to)
			memcpy((char *)acc + l->part[i].to->offset, p + l->part[i].at,
			       l->part[i].size);
	for (uint32_t i = 0; i < l->count && ok; i++) {
		const struct fl__core *to = l->part[i].to;

		ok = !to || (to->ops->is_flat && to->ops->is_flat(to, acc));
	}
	if (ok)
		return 0;
	memset(acc, 0, a->size);
	return fl_fail(err, FL_EDATA, "a saved accumulator is damaged");
}
