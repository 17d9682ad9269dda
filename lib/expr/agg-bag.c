/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bag: all values in order. For what needs them all (array_agg, string_agg,
 * percentiles that agg-quant.c does not hold more simply), and for what must find
 * the next best when one is taken back (min, max, first, last, arg_min, arg_max
 * over a changelog).
 *
 * It is a list of blocks of up to 128 entries each, so that inserting and
 * removing move little, and counting by blocks finds the n-th quickly.
 *
 * Taking back: BY_VALUE lowers the value's count. BY_SEQ and BY_KEY remove the
 * earliest arrival of the value; BY_SEQ searches for it from the front.
 */
#include "expr/agg-int.h"

#define BLOCK_MAX 128u
#define TEXT_MAX FL_MIB(64)

struct entry {
	struct fl__cell value;
	uint64_t num; /* BY_VALUE: how many; else the arrival number */
};

struct keyed_entry {
	struct entry e;
	struct fl__cell key;
};

struct block {
	uint32_t n, cap;
	uint64_t total; /* values */
	_Alignas(8) char data[];
};

struct bag {
	uint64_t total;
	uint64_t entries;
	uint32_t blocks, cap;
	struct block *block[];
};

/* Where an entry is or should be. */
struct place {
	uint32_t block;
	uint32_t at;
};

static size_t
entry_size(const struct fl__core *c)
{
	return c->order == FL__BY_KEY ? sizeof(struct keyed_entry) : sizeof(struct entry);
}

static struct bag **
bag_of(const struct fl__core *c, const void *acc)
{
	return fl__acc(c, acc);
}

static struct entry *
entry_at(const struct fl__core *c, const struct block *b, uint32_t i)
{
	return (struct entry *)(void *)((char *)(uintptr_t)b->data + i * entry_size(c));
}

/* Of an entry of a BY_KEY bag. */
static struct fl__cell *
key_of(const struct entry *e)
{
	return &((struct keyed_entry *)(uintptr_t)e)->key;
}

static uint64_t
weight(const struct fl__core *c, const struct entry *e)
{
	return c->order == FL__BY_VALUE ? e->num : 1;
}

/* ---- order -------------------------------------------------------------- */

static int
compare_seq(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int
compare_keys(const struct fl__core *c, const struct fl__cell *a, const struct fl__cell *b)
{
	bool an = a->kind == FL__CELL_NONE, bn = b->kind == FL__CELL_NONE;
	int order;

	if (an || bn)
		return an == bn ? 0 : an == c->nulls_first ? -1 : 1;
	order = fl__cell_compare(a, b);
	return c->desc ? -order : order;
}

static int
compare(const struct fl__core *c, const struct entry *a, const struct entry *b)
{
	int order;

	if (c->order == FL__BY_VALUE)
		return fl__cell_order(&a->value, &b->value);
	if (c->order == FL__BY_SEQ)
		return compare_seq(a->num, b->num);
	order = compare_keys(c, key_of(a), key_of(b));
	return order ? order : compare_seq(a->num, b->num);
}

/* The first place whose entry is not before e; maybe the end of the last block. */
static struct place
lower_bound(const struct fl__core *c, const struct bag *bag, const struct entry *e)
{
	uint32_t low = 0, high = bag->blocks - 1;
	struct place p;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		const struct block *b = bag->block[mid];

		if (compare(c, entry_at(c, b, b->n - 1), e) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	p.block = low;
	low = 0;
	high = bag->block[p.block]->n;
	if (compare(c, entry_at(c, bag->block[p.block], high - 1), e) < 0)
		low = high; /* behind the last: the common case for BY_SEQ */
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (compare(c, entry_at(c, bag->block[p.block], mid), e) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	p.at = low;
	return p;
}

/* ---- blocks ------------------------------------------------------------- */

static size_t
block_size(const struct fl__core *c, uint32_t cap)
{
	return sizeof(struct block) + cap * entry_size(c);
}

static size_t
bag_size(uint32_t cap)
{
	return sizeof(struct bag) + cap * sizeof(struct block *);
}

static struct block *
new_block(struct fl_aggs *a, const struct fl__core *c, uint32_t cap)
{
	struct block *b = fl__mem_alloc(&a->mem, block_size(c, cap));

	b->n = 0;
	b->cap = cap;
	b->total = 0;
	return b;
}

/* Put an empty block at the place i of the list. */
static struct bag *
insert_block(struct fl_aggs *a, const struct fl__core *c, struct bag *bag, uint32_t i,
	     uint32_t cap)
{
	if (!bag || bag->blocks == bag->cap) {
		uint32_t had = bag ? bag->cap : 0, want = had ? 2 * had : 1;

		bag = fl__mem_grow(&a->mem, bag, bag ? bag_size(had) : 0, bag_size(want));
		if (!had)
			*bag = (struct bag){ 0 };
		bag->cap = want;
	}
	memmove(&bag->block[i + 1], &bag->block[i], (bag->blocks - i) * sizeof(struct block *));
	bag->block[i] = new_block(a, c, cap);
	bag->blocks++;
	return bag;
}

/* Make room for one more entry at p, which may move. */
static struct bag *
make_room(struct fl_aggs *a, const struct fl__core *c, struct bag *bag, struct place *p)
{
	struct block *b = bag->block[p->block], *second;
	uint32_t keep;

	if (b->n < b->cap)
		return bag;
	if (b->cap < BLOCK_MAX) {
		uint32_t cap = b->cap * 2;

		b = fl__mem_grow(&a->mem, b, block_size(c, b->cap), block_size(c, cap));
		b->cap = cap;
		bag->block[p->block] = b;
		return bag;
	}
	bag = insert_block(a, c, bag, p->block + 1, BLOCK_MAX);
	second = bag->block[p->block + 1];
	/* what grows at its end is not split, so that its blocks are full */
	keep = p->at == b->n ? b->n : b->n / 2;
	second->n = b->n - keep;
	memcpy(second->data, entry_at(c, b, keep), second->n * entry_size(c));
	b->n = keep;
	for (uint32_t i = 0; i < second->n; i++)
		second->total += weight(c, entry_at(c, second, i));
	b->total -= second->total;
	if (p->at > keep || keep == b->cap) {
		p->block++;
		p->at -= keep;
	}
	return bag;
}

static void
bag_insert(struct fl_aggs *a, const struct fl__core *c, struct bag **ref, const struct entry *e)
{
	struct bag *bag = *ref;
	struct place p = { 0, 0 };
	struct entry *at;
	struct block *b;

	if (!bag || bag->blocks == 0) {
		bag = insert_block(a, c, bag, 0, 2);
	} else {
		p = lower_bound(c, bag, e);
		b = bag->block[p.block];
		at = entry_at(c, b, p.at);
		if (c->order == FL__BY_VALUE && p.at < b->n && compare(c, at, e) == 0) {
			at->num += e->num;
			b->total += e->num;
			bag->total += e->num;
			return;
		}
		bag = make_room(a, c, bag, &p);
	}
	*ref = bag;
	b = bag->block[p.block];
	at = entry_at(c, b, p.at);
	memmove(entry_at(c, b, p.at + 1), at, (b->n - p.at) * entry_size(c));
	memcpy(at, e, entry_size(c));
	fl__cell_keep(&a->mem, &at->value);
	if (c->order == FL__BY_KEY)
		fl__cell_keep(&a->mem, key_of(at));
	b->n++;
	b->total += weight(c, e);
	bag->total += weight(c, e);
	bag->entries++;
}

static void
drop_entry(struct fl_aggs *a, const struct fl__core *c, struct entry *e)
{
	fl__cell_drop(&a->mem, &e->value);
	if (c->order == FL__BY_KEY)
		fl__cell_drop(&a->mem, key_of(e));
}

static void
remove_at(struct fl_aggs *a, const struct fl__core *c, struct bag *bag, struct place p)
{
	struct block *b = bag->block[p.block];
	struct entry *at = entry_at(c, b, p.at);

	b->total -= weight(c, at);
	bag->total -= weight(c, at);
	bag->entries--;
	drop_entry(a, c, at);
	b->n--;
	memmove(at, entry_at(c, b, p.at + 1), (b->n - p.at) * entry_size(c));
	if (b->n)
		return;
	fl__mem_free(&a->mem, b, block_size(c, b->cap));
	bag->blocks--;
	memmove(&bag->block[p.block], &bag->block[p.block + 1],
		(bag->blocks - p.block) * sizeof(struct block *));
}

/* Go to the next entry; false at the end. */
static bool
next_place(const struct bag *bag, struct place *p)
{
	if (p->block < bag->blocks && ++p->at >= bag->block[p->block]->n) {
		p->block++;
		p->at = 0;
	}
	return p->block < bag->blocks;
}

static struct entry *
at_place(const struct fl__core *c, const struct bag *bag, struct place p)
{
	return entry_at(c, bag->block[p.block], p.at);
}

static void
bag_take_back(struct fl_aggs *a, const struct fl__core *c, struct bag *bag, const struct entry *e)
{
	struct place p = { 0, 0 };
	struct entry *at;
	bool more = bag && bag->blocks;

	if (!more)
		return;
	if (c->order != FL__BY_SEQ) {
		p = lower_bound(c, bag, e);
		if (p.at == bag->block[p.block]->n)
			return;
	}
	for (; more; more = next_place(bag, &p)) {
		at = at_place(c, bag, p);
		if (c->order != FL__BY_SEQ &&
		    (c->order == FL__BY_KEY ? compare_keys(c, key_of(at), key_of(e))
					    : compare(c, at, e)) != 0)
			return;
		if (fl__cell_same(&at->value, &e->value))
			break;
	}
	if (!more)
		return;
	if (c->order == FL__BY_VALUE && at->num > 1) {
		at->num--;
		bag->block[p.block]->total--;
		bag->total--;
		return;
	}
	remove_at(a, c, bag, p);
}

/* ---- the core ----------------------------------------------------------- */

void
fl__bag_add_one(struct fl_aggs *a, const struct fl__core *c, const struct fl__rows *r, uint32_t k)
{
	uint32_t i = fl__row(r, k);
	struct keyed_entry e;

	if (!fl__passes(c, i))
		return;
	e.e.value = fl__cell_get(&c->arg->vec, i);
	if (e.e.value.kind == FL__CELL_NONE && !c->keep_nulls)
		return;
	e.e.num = c->order == FL__BY_VALUE ? 1 : r->seq + i;
	if (c->order == FL__BY_KEY) {
		e.key = fl__cell_get(&c->by->vec, i);
		if (e.key.kind == FL__CELL_NONE && !c->keep_null_keys)
			return;
	}
	if (!fl__is_back(r, i)) {
		bag_insert(a, c, bag_of(c, r->accs[k]), &e.e);
		return;
	}
	if (c->order == FL__BY_KEY)
		e.e.num = 0; /* from the first of this key on */
	bag_take_back(a, c, *bag_of(c, r->accs[k]), &e.e);
}

static int
bag_add(struct fl_aggs *a, const struct fl__core *c, const struct fl__rows *r, struct fl_err *err)
{
	(void)err;
	for (uint32_t k = 0; k < r->n; k++)
		fl__bag_add_one(a, c, r, k);
	return 0;
}

void
fl__bag_put(struct fl_aggs *a, const struct fl__core *c, void *acc, const struct fl__cell *v)
{
	const struct entry e = { .value = *v, .num = 1 };

	bag_insert(a, c, bag_of(c, acc), &e);
}

static int
bag_merge(struct fl_aggs *a, const struct fl__core *c, void *dst, const void *src,
	  struct fl_err *err)
{
	const struct bag *from = *bag_of(c, src);
	struct place p = { 0, 0 };
	bool more = from && from->blocks;

	(void)err;
	for (; more; more = next_place(from, &p))
		bag_insert(a, c, bag_of(c, dst), at_place(c, from, p));
	return 0;
}

static void
bag_clear(struct fl_aggs *a, const struct fl__core *c, void *acc)
{
	struct bag **ref = bag_of(c, acc), *bag = *ref;

	if (!bag)
		return;
	for (uint32_t k = 0; k < bag->blocks; k++) {
		struct block *b = bag->block[k];

		for (uint32_t i = 0; i < b->n; i++)
			drop_entry(a, c, entry_at(c, b, i));
		fl__mem_free(&a->mem, b, block_size(c, b->cap));
	}
	fl__mem_free(&a->mem, bag, bag_size(bag->cap));
	*ref = NULL;
}

static void
bag_save(const struct fl__core *c, const void *acc, struct fl_buf *out)
{
	const struct bag *bag = *bag_of(c, acc);
	struct place p = { 0, 0 };
	bool more = bag && bag->blocks;

	fl__save_u8(out, (uint8_t)c->order);
	fl__save_u64(out, more ? bag->entries : 0);
	for (; more; more = next_place(bag, &p)) {
		const struct entry *e = at_place(c, bag, p);

		fl__save_cell(out, &e->value);
		fl__save_u64(out, e->num);
		if (c->order == FL__BY_KEY)
			fl__save_cell(out, key_of(e));
	}
}

static void
bag_load(struct fl_aggs *a, const struct fl__core *c, void *acc, struct fl__reader *r)
{
	uint64_t n;

	if (fl__load_u8(r) != (uint8_t)c->order)
		r->bad = true;
	n = fl__load_count(r, 3);
	for (uint64_t k = 0; k < n && !r->bad; k++) {
		struct keyed_entry e = { .e.value = fl__load_cell(r) };

		e.e.num = fl__load_u64(r);
		if (c->order == FL__BY_KEY)
			e.key = fl__load_cell(r);
		/* a count that no stream can reach would overflow the totals */
		if (c->order == FL__BY_VALUE && (e.e.num == 0 || e.e.num >> 48))
			r->bad = true;
		if (!r->bad)
			bag_insert(a, c, bag_of(c, acc), &e.e);
	}
}

const struct fl__core_ops fl__bag_ops = {
	.id = FL__BAG, .size = sizeof(struct bag *), .add = bag_add, .merge = bag_merge,
	.clear = bag_clear, .save = bag_save, .load = bag_load,
};

/* ---- min, max, first, last, arg_min, arg_max ---------------------------- */

int
fl__result_bag_end(struct fl_aggs *a, const struct fl__call *call, const void *acc,
		   struct fl_colbuf *out, struct fl_err *err)
{
	const struct fl__core *c = call->core;
	const struct bag *bag = *bag_of(c, acc);
	const struct block *b;

	(void)a;
	(void)err;
	if (!bag || bag->blocks == 0) {
		fl_put_null(out);
		return 0;
	}
	b = bag->block[call->largest ? bag->blocks - 1 : 0];
	fl__cell_put(&entry_at(c, b, call->largest ? b->n - 1 : 0)->value, out);
	return 0;
}

/* ---- percentiles --------------------------------------------------------- */

uint64_t
fl__bag_count(const struct fl__core *c, const void *acc, bool distinct)
{
	const struct bag *bag = *bag_of(c, acc);

	if (!bag)
		return 0;
	return distinct ? bag->entries : bag->total;
}

const struct fl__cell *
fl__bag_select(const struct fl__core *c, const void *acc, uint64_t k, bool distinct)
{
	const struct bag *bag = *bag_of(c, acc);
	const struct block *b;
	uint32_t i = 0;

	for (uint32_t at = 0;; at++) {
		uint64_t n;

		b = bag->block[at];
		n = distinct ? b->n : b->total;
		if (k < n || at + 1 == bag->blocks)
			break;
		k -= n;
	}
	while (i + 1 < b->n) {
		uint64_t n = distinct ? 1 : weight(c, entry_at(c, b, i));

		if (k < n)
			break;
		k -= n;
		i++;
	}
	return &entry_at(c, b, i)->value;
}

/* ---- array_agg, string_agg ---------------------------------------------- */

static int
list_too_long(struct fl_err *err)
{
	return fl_fail(err, FL_ELIMIT, "a list is longer than 64 MiB");
}

int
fl__result_bag_array(struct fl_aggs *a, const struct fl__call *call, const void *acc,
		     struct fl_colbuf *out, struct fl_err *err)
{
	const struct fl__core *c = call->core;
	const struct bag *bag = *bag_of(c, acc);
	struct place p = { 0, 0 };
	bool more = bag && bag->blocks;

	if (!more) {
		fl_put_null(out);
		return 0;
	}
	fl_buf_clear(&a->scratch);
	for (; more; more = next_place(bag, &p)) {
		fl_buf_putc(&a->scratch, a->scratch.len ? ',' : '[');
		fl__cell_json(&at_place(c, bag, p)->value, &a->scratch);
		if (a->scratch.len > TEXT_MAX)
			return list_too_long(err);
	}
	fl_buf_putc(&a->scratch, ']');
	fl_put_text(out, a->scratch.data, a->scratch.len, FL_TAG_ARRAY);
	return 0;
}

int
fl__result_bag_string(struct fl_aggs *a, const struct fl__call *call, const void *acc,
		      struct fl_colbuf *out, struct fl_err *err)
{
	const struct fl__core *c = call->core;
	const struct bag *bag = *bag_of(c, acc);
	struct place p = { 0, 0 };
	bool more = bag && bag->blocks, first = true;

	if (!more) {
		fl_put_null(out);
		return 0;
	}
	fl_buf_clear(&a->scratch);
	for (; more; more = next_place(bag, &p), first = false) {
		char tmp[FL_NUMBER_TEXT_MAX];
		size_t n;
		const char *text = fl__cell_text(&at_place(c, bag, p)->value, tmp, &n);

		if (!first)
			fl_buf_put(&a->scratch, call->separator.data, call->separator.len);
		fl_buf_put(&a->scratch, text, n);
		if (a->scratch.len > TEXT_MAX)
			return list_too_long(err);
	}
	fl_put_text(out, a->scratch.data ? a->scratch.data : "", a->scratch.len, FL_TAG_STRING);
	return 0;
}
