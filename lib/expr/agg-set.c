/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set: the different values, how often each came and when first. For DISTINCT
 * and topk, and for approx_count_distinct over a changelog.
 *
 * Values are the same as keys are: by their text. (1 and 1.0 are two.)
 *
 * Entries stand in the order in which they came in; up to eight are searched one
 * by one, more through an open-addressing index with a seeded hash. An entry of
 * count 0 was taken back: it waits to come again, or to be swept out.
 */
#include <stdlib.h>

#include "expr/agg-int.h"

#define LINEAR_MAX 8u
#define TEXT_MAX FL_MIB(64)

struct entry {
	struct fl__cell value;
	uint64_t count;
	uint64_t seq; /* of its first arrival */
};

struct set {
	uint32_t n, cap; /* entries */
	uint32_t live;   /* of count above 0 */
	uint32_t mask;   /* slots - 1; 0: no index */
	struct entry *entry;
	uint64_t *slot;  /* high half: of the hash, low half: entry number + 1, 0: free */
};

/* What stands in the accumulator; DISTINCT sums have their sum behind it. */
struct set_acc {
	struct set *set;
	union {
		struct fl__sum sum;
		struct fl__var var;
	};
};

static struct set_acc *
acc_of(const struct fl__core *c, const void *acc)
{
	return fl__acc(c, acc);
}

/* ---- the set ------------------------------------------------------------ */

static void
index_entry(struct set *s, uint32_t i, uint64_t hash)
{
	uint32_t at = (uint32_t)hash & s->mask;

	while ((uint32_t)s->slot[at])
		at = (at + 1) & s->mask;
	s->slot[at] = (hash >> 32) << 32 | (i + 1);
}

static size_t
slots_size(const struct set *s)
{
	return s->mask ? ((size_t)s->mask + 1) * sizeof *s->slot : 0;
}

/* Sweep out what has count 0 and make room for as many entries again. */
static void
rebuild(struct fl_aggs *a, struct set *s)
{
	uint32_t n = 0, cap = s->live < 4 ? 4 : s->live + s->live / 2, slots = 32;
	struct entry *entry = fl__mem_alloc(&a->mem, cap * sizeof *entry);

	for (uint32_t i = 0; i < s->n; i++) {
		if (s->entry[i].count)
			entry[n++] = s->entry[i];
		else
			fl__cell_drop(&a->mem, &s->entry[i].value);
	}
	fl__mem_free(&a->mem, s->entry, s->cap * sizeof *entry);
	fl__mem_free(&a->mem, s->slot, slots_size(s));
	s->entry = entry;
	s->n = n;
	s->cap = cap;
	s->mask = 0;
	s->slot = NULL;
	if (cap <= LINEAR_MAX)
		return;
	while (slots / 2 < cap)
		slots *= 2;
	s->mask = slots - 1;
	s->slot = fl__mem_alloc(&a->mem, slots_size(s));
	memset(s->slot, 0, slots_size(s));
	for (uint32_t i = 0; i < n; i++)
		index_entry(s, i, fl__cell_hash(&entry[i].value, a->seed));
}

static struct entry *
find(const struct set *s, const struct fl__cell *v, uint64_t hash)
{
	uint32_t at = (uint32_t)hash & s->mask;

	if (!s->mask) {
		for (uint32_t i = 0; i < s->n; i++)
			if (fl__cell_same(&s->entry[i].value, v))
				return &s->entry[i];
		return NULL;
	}
	for (; (uint32_t)s->slot[at]; at = (at + 1) & s->mask) {
		struct entry *e = &s->entry[(uint32_t)s->slot[at] - 1];

		if (s->slot[at] >> 32 == hash >> 32 && fl__cell_same(&e->value, v))
			return e;
	}
	return NULL;
}

/* Add v count times; whether it was not there before. */
static bool
set_put(struct fl_aggs *a, struct set **ref, const struct fl__cell *v, uint64_t count,
	uint64_t seq)
{
	struct set *s = *ref;
	struct entry *e;
	uint64_t hash = 0;

	if (!s) {
		s = *ref = fl__mem_alloc(&a->mem, sizeof *s);
		*s = (struct set){ 0 };
	}
	if (s->mask)
		hash = fl__cell_hash(v, a->seed);
	e = find(s, v, hash);
	if (e) {
		bool back_again = e->count == 0;

		s->live += back_again;
		if (back_again || seq < e->seq)
			e->seq = seq;
		e->count += count;
		return back_again;
	}
	if (s->n == s->cap) {
		rebuild(a, s);
		if (s->mask)
			hash = fl__cell_hash(v, a->seed);
	}
	e = &s->entry[s->n];
	*e = (struct entry){ .value = *v, .count = count, .seq = seq };
	fl__cell_keep(&a->mem, &e->value);
	if (s->mask)
		index_entry(s, s->n, hash);
	s->n++;
	s->live++;
	return true;
}

/* Take one v back; whether it was the last. */
static bool
set_take_back(struct fl_aggs *a, struct set *s, const struct fl__cell *v)
{
	struct entry *e = s ? find(s, v, s->mask ? fl__cell_hash(v, a->seed) : 0) : NULL;

	if (!e || e->count == 0)
		return false;
	if (--e->count)
		return false;
	s->live--;
	return true;
}

static void
set_free(struct fl_aggs *a, struct set *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->n; i++)
		fl__cell_drop(&a->mem, &s->entry[i].value);
	fl__mem_free(&a->mem, s->entry, s->cap * sizeof *s->entry);
	fl__mem_free(&a->mem, s->slot, slots_size(s));
	fl__mem_free(&a->mem, s, sizeof *s);
}

/* ---- the core ----------------------------------------------------------- */

/* A value came for the first time, or left: tell the sum behind the set. */
static int
put_inner(struct fl_aggs *a, const struct fl__core *c, struct set_acc *acc,
	  const struct fl__cell *v, bool back, struct fl_err *err)
{
	struct fl_dec d;

	if (c->ops->id == FL__SET || !fl__cell_number(v, &d))
		return 0;
	if (c->ops->id == FL__SET_SUM)
		return fl__sum_put(a, &acc->sum, &d, back, err);
	return fl__var_put(a, &acc->var, &d, back, err);
}

static int
set_add(struct fl_aggs *a, const struct fl__core *c, const struct fl__rows *r, struct fl_err *err)
{
	for (uint32_t k = 0; k < r->n; k++) {
		uint32_t i = fl__row(r, k);
		struct set_acc *acc = acc_of(c, r->accs[k]);
		bool back = fl__is_back(r, i);
		struct fl__cell v;

		if (!fl__passes(c, i))
			continue;
		v = fl__cell_get(&c->arg->vec, i);
		if (v.kind == FL__CELL_NONE && !c->keep_nulls)
			continue;
		if (!(back ? set_take_back(a, acc->set, &v)
			   : set_put(a, &acc->set, &v, 1, r->seq + i)))
			continue;
		if (put_inner(a, c, acc, &v, back, err) < 0)
			return err->code;
	}
	return 0;
}

static int
set_merge(struct fl_aggs *a, const struct fl__core *c, void *dst, const void *src,
	  struct fl_err *err)
{
	struct set_acc *to = acc_of(c, dst);
	const struct set *from = acc_of(c, src)->set;

	for (uint32_t i = 0; from && i < from->n; i++) {
		const struct entry *e = &from->entry[i];

		if (e->count && set_put(a, &to->set, &e->value, e->count, e->seq) &&
		    put_inner(a, c, to, &e->value, false, err) < 0)
			return err->code;
	}
	return 0;
}

static void
set_clear(struct fl_aggs *a, const struct fl__core *c, void *mem)
{
	struct set_acc *acc = acc_of(c, mem);

	set_free(a, acc->set);
	acc->set = NULL;
	if (c->ops->id == FL__SET_SUM)
		fl__sum_clear(a, &acc->sum);
	else if (c->ops->id == FL__SET_VAR)
		fl__var_clear(a, &acc->var);
}

static void
set_save(const struct fl__core *c, const void *acc, struct fl_buf *out)
{
	const struct set *s = acc_of(c, acc)->set;

	fl__save_u64(out, s ? s->live : 0);
	for (uint32_t i = 0; s && i < s->n; i++) {
		if (!s->entry[i].count)
			continue;
		fl__save_cell(out, &s->entry[i].value);
		fl__save_u64(out, s->entry[i].count);
		fl__save_u64(out, s->entry[i].seq);
	}
}

/* The sum behind it is not saved: it follows from the values. */
static void
set_load(struct fl_aggs *a, const struct fl__core *c, void *mem, struct fl__reader *r)
{
	struct set_acc *acc = acc_of(c, mem);
	uint64_t n = fl__load_count(r, 4);
	struct fl_err err;

	for (uint64_t i = 0; i < n && !r->bad; i++) {
		struct fl__cell v = fl__load_cell(r);
		uint64_t count = fl__load_u64(r), seq = fl__load_u64(r);

		if (count == 0 || count >> 48)
			r->bad = true;
		if (r->bad)
			return;
		if (!set_put(a, &acc->set, &v, count, seq) ||
		    put_inner(a, c, acc, &v, false, &err) < 0)
			r->bad = true;
	}
}

const struct fl__core_ops fl__set_ops = {
	.id = FL__SET, .size = sizeof(struct set *), .add = set_add, .merge = set_merge,
	.clear = set_clear, .save = set_save, .load = set_load,
};

const struct fl__core_ops fl__set_sum_ops = {
	.id = FL__SET_SUM, .size = sizeof(struct set *) + sizeof(struct fl__sum),
	.inner = offsetof(struct set_acc, sum), .add = set_add, .merge = set_merge,
	.clear = set_clear, .save = set_save, .load = set_load,
};

const struct fl__core_ops fl__set_var_ops = {
	.id = FL__SET_VAR, .size = sizeof(struct set *) + sizeof(struct fl__var),
	.inner = offsetof(struct set_acc, var), .add = set_add, .merge = set_merge,
	.clear = set_clear, .save = set_save, .load = set_load,
};

/* ---- only how many ------------------------------------------------------ */

/*
 * count(DISTINCT x) while nothing is taken back: integers, which most values are,
 * take 8 bytes each; others lie in a set.
 */
struct distinct_acc {
	struct fl__ints *ints;
	struct set *others;
};

#define AHEAD 16 /* values whose places are fetched while those before are put */

/* Whether v has the text of an integer. */
static bool
is_integer(const struct fl__cell *v, int64_t *ret)
{
	char tmp[FL_NUMBER_TEXT_MAX];
	const char *p;
	size_t n;

	if (v->kind == FL__CELL_INT) {
		*ret = v->i;
		return true;
	}
	if (v->kind != FL__CELL_DOUBLE)
		return false;
	p = fl__cell_text(v, tmp, &n); /* 5.0 as a double is 5 */
	return fl_int_parse(p, n, ret);
}

static void
distinct_put(struct fl_aggs *a, struct distinct_acc *acc, const struct fl__cell *v)
{
	int64_t i;

	if (is_integer(v, &i))
		fl__ints_put(&a->mem, &acc->ints, i, a->seed);
	else
		set_put(a, &acc->others, v, 1, 0);
}

static int
distinct_add(struct fl_aggs *a, const struct fl__core *c, const struct fl__rows *r,
	     struct fl_err *err)
{
	struct distinct_acc *acc[AHEAD];
	struct fl__cell v[AHEAD];
	uint32_t n;

	(void)err;
	for (uint32_t k = 0; k < r->n;) {
		for (n = 0; k < r->n && n < AHEAD; k++) {
			uint32_t i = fl__row(r, k);

			if (!fl__passes(c, i))
				continue;
			v[n] = fl__cell_get(&c->arg->vec, i);
			acc[n] = fl__acc(c, r->accs[k]);
			if (v[n].kind == FL__CELL_NONE)
				continue;
			__builtin_prefetch(acc[n]->ints);
			n++;
		}
		for (uint32_t j = 0; j < n; j++)
			if (v[j].kind == FL__CELL_INT)
				fl__ints_prefetch(acc[j]->ints, v[j].i, a->seed);
		for (uint32_t j = 0; j < n; j++)
			distinct_put(a, acc[j], &v[j]);
	}
	return 0;
}

static int
distinct_merge(struct fl_aggs *a, const struct fl__core *c, void *dst, const void *src,
	       struct fl_err *err)
{
	struct distinct_acc *to = fl__acc(c, dst);
	const struct distinct_acc *from = fl__acc(c, src);
	uint64_t at = 0;
	int64_t v;

	(void)err;
	while (fl__ints_next(from->ints, &at, &v))
		fl__ints_put(&a->mem, &to->ints, v, a->seed);
	for (uint32_t i = 0; from->others && i < from->others->n; i++)
		set_put(a, &to->others, &from->others->entry[i].value, 1, 0);
	return 0;
}

static void
distinct_clear(struct fl_aggs *a, const struct fl__core *c, void *mem)
{
	struct distinct_acc *acc = fl__acc(c, mem);

	fl__ints_free(&a->mem, acc->ints);
	set_free(a, acc->others);
	*acc = (struct distinct_acc){ 0 };
}

static void
distinct_save(const struct fl__core *c, const void *mem, struct fl_buf *out)
{
	const struct distinct_acc *acc = fl__acc(c, mem);
	struct fl__cell v = { .kind = FL__CELL_INT };
	uint64_t at = 0;
	int64_t i;

	fl__save_u64(out, fl__ints_count(acc->ints) + (acc->others ? acc->others->n : 0));
	while (fl__ints_next(acc->ints, &at, &i)) {
		v.i = i;
		fl__save_cell(out, &v);
	}
	for (uint32_t k = 0; acc->others && k < acc->others->n; k++)
		fl__save_cell(out, &acc->others->entry[k].value);
}

static void
distinct_load(struct fl_aggs *a, const struct fl__core *c, void *mem, struct fl__reader *r)
{
	uint64_t n = fl__load_count(r, 2);

	for (uint64_t i = 0; i < n && !r->bad; i++) {
		struct fl__cell v = fl__load_cell(r);

		if (!r->bad)
			distinct_put(a, fl__acc(c, mem), &v);
	}
}

const struct fl__core_ops fl__distinct_ops = {
	.id = FL__DISTINCT, .size = sizeof(struct distinct_acc), .add = distinct_add,
	.merge = distinct_merge, .clear = distinct_clear, .save = distinct_save,
	.load = distinct_load,
};

int
fl__result_distinct(struct fl_aggs *a, const struct fl__call *call, const void *acc,
		    struct fl_colbuf *out, struct fl_err *err)
{
	const struct distinct_acc *d = fl__acc(call->core, acc);

	(void)a;
	(void)err;
	fl_put_int(out, fl__ints_count(d->ints) + (d->others ? d->others->live : 0));
	return 0;
}

/* ---- results ------------------------------------------------------------ */

int
fl__result_set_count(struct fl_aggs *a, const struct fl__call *call, const void *acc,
		     struct fl_colbuf *out, struct fl_err *err)
{
	const struct set *s = acc_of(call->core, acc)->set;

	(void)a;
	(void)err;
	fl_put_int(out, s ? s->live : 0);
	return 0;
}

static int
by_arrival(const void *a, const void *b)
{
	const struct entry *x = *(const struct entry *const *)a;
	const struct entry *y = *(const struct entry *const *)b;

	return (x->seq > y->seq) - (x->seq < y->seq);
}

static int
by_count(const void *a, const void *b)
{
	const struct entry *x = *(const struct entry *const *)a;
	const struct entry *y = *(const struct entry *const *)b;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return by_arrival(a, b);
}

/* The entries that count in some order; to be freed. NULL where there are none. */
static const struct entry **
sorted(const struct set *s, int (*order)(const void *, const void *))
{
	const struct entry **e;
	uint32_t n = 0;

	if (!s || s->live == 0)
		return NULL;
	e = fl_xreallocarray(NULL, s->live, sizeof *e);
	for (uint32_t i = 0; i < s->n; i++)
		if (s->entry[i].count)
			e[n++] = &s->entry[i];
	qsort(e, n, sizeof *e, order);
	return e;
}

/* The first n entries as a JSON array. */
static int
put_array(struct fl_aggs *a, const struct entry **e, uint64_t n, struct fl_colbuf *out,
	  struct fl_err *err)
{
	int rc = 0;

	if (!e) {
		fl_put_null(out);
		return 0;
	}
	fl_buf_clear(&a->scratch);
	fl_buf_putc(&a->scratch, '[');
	for (uint64_t i = 0; i < n && rc == 0; i++) {
		if (i)
			fl_buf_putc(&a->scratch, ',');
		fl__cell_json(&e[i]->value, &a->scratch);
		if (a->scratch.len > TEXT_MAX)
			rc = fl_fail(err, FL_ELIMIT, "a list is longer than 64 MiB");
	}
	fl_buf_putc(&a->scratch, ']');
	if (rc == 0)
		fl_put_text(out, a->scratch.data, a->scratch.len, FL_TAG_ARRAY);
	free(e);
	return rc;
}

int
fl__result_set_array(struct fl_aggs *a, const struct fl__call *call, const void *acc,
		     struct fl_colbuf *out, struct fl_err *err)
{
	const struct set *s = acc_of(call->core, acc)->set;

	return put_array(a, sorted(s, by_arrival), s ? s->live : 0, out, err);
}

int
fl__result_topk(struct fl_aggs *a, const struct fl__call *call, const void *acc,
		struct fl_colbuf *out, struct fl_err *err)
{
	const struct set *s = acc_of(call->core, acc)->set;
	uint64_t n = s ? s->live : 0;

	return put_array(a, sorted(s, by_count), n < call->k ? n : call->k, out, err);
}

int
fl__result_set_string(struct fl_aggs *a, const struct fl__call *call, const void *acc,
		      struct fl_colbuf *out, struct fl_err *err)
{
	const struct set *s = acc_of(call->core, acc)->set;
	const struct entry **e = sorted(s, by_arrival);
	int rc = 0;

	if (!e) {
		fl_put_null(out);
		return 0;
	}
	fl_buf_clear(&a->scratch);
	for (uint32_t i = 0; i < s->live && rc == 0; i++) {
		char tmp[FL_NUMBER_TEXT_MAX];
		size_t n;
		const char *text = fl__cell_text(&e[i]->value, tmp, &n);

		if (i)
			fl_buf_put(&a->scratch, call->separator.data, call->separator.len);
		fl_buf_put(&a->scratch, text, n);
		if (a->scratch.len > TEXT_MAX)
			rc = fl_fail(err, FL_ELIMIT, "a list is longer than 64 MiB");
	}
	if (rc == 0)
		fl_put_text(out, a->scratch.data ? a->scratch.data : "", a->scratch.len,
			    FL_TAG_STRING);
	free(e);
	return rc;
}
