/* SPDX-License-Identifier: Apache-2.0 */
#include "rank/sorted.h"

#include <stdlib.h>

#define SEGMENT_MAX 256u /* items of one array */
#define ARRAY_MIN 4u

/*
 * A first item stands in the struct itself. Up to SEGMENT_MAX: an array. More: segments,
 * from then until it is cleared.
 */
struct segment {
	uint32_t count;
	uint32_t class;
	struct fl_item **item; /* room for SEGMENT_MAX */
};

struct fl_segments {
	uint32_t count, cap;
	struct segment *list;
};

/* What class says; that of an array is one more than its memory's. */
#define IS_ONE 0u
#define IS_MANY UINT32_MAX

struct place {
	uint32_t segment;
	uint32_t at;
};

static struct place
place_of(const struct fl_sorted *s, uint32_t position)
{
	const struct fl_segments *m = s->many;
	struct place p = { 0, position };

	while (p.segment + 1 < m->count && p.at >= m->list[p.segment].count)
		p.at -= m->list[p.segment++].count;
	return p;
}

struct fl_item *
fl_sorted_at(const struct fl_sorted *s, uint32_t position)
{
	struct place p;

	if (s->class == IS_ONE)
		return s->one;
	if (s->class != IS_MANY)
		return s->array[position];
	p = place_of(s, position);
	return s->many->list[p.segment].item[p.at];
}

static uint32_t
find_in(struct fl_item *const *item, uint32_t n, const struct fl_sortby *o,
	const struct fl_sortkey *key, uint64_t seq)
{
	uint32_t lo = 0, hi = n;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		struct fl_sortkey other = fl_item_key(item[mid]);

		if (fl_sortby_compare(o, &other, item[mid]->seq, key, seq) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

uint32_t
fl_sorted_find(const struct fl_sorted *s, const struct fl_sortby *o, const struct fl_sortkey *key,
	       uint64_t seq)
{
	uint32_t lo = 0, hi, before = 0;
	const struct fl_segments *m;

	if (s->class == IS_ONE)
		return find_in(&s->one, s->count, o, key, seq);
	if (s->class != IS_MANY)
		return find_in(s->array, s->count, o, key, seq);
	m = s->many;
	hi = m->count;
	while (lo < hi) { /* the first segment whose last item is not before it */
		uint32_t mid = (lo + hi) / 2;
		const struct fl_item *last = m->list[mid].item[m->list[mid].count - 1];
		struct fl_sortkey other = fl_item_key(last);

		if (fl_sortby_compare(o, &other, last->seq, key, seq) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (uint32_t i = 0; i < lo; i++)
		before += m->list[i].count;
	return lo == m->count ? before
			      : before + find_in(m->list[lo].item, m->list[lo].count, o, key, seq);
}

/* ---- growing ---------------------------------------------------- */

static struct segment *
new_segment(struct fl_segments *m, struct fl_items *mem, uint32_t at)
{
	struct segment *g;

	if (m->count == m->cap) {
		m->cap = m->cap ? 2 * m->cap : 16;
		m->list = fl_xreallocarray(m->list, m->cap, sizeof *m->list);
	}
	g = &m->list[at];
	memmove(g + 1, g, (m->count - at) * sizeof *g);
	m->count++;
	*g = (struct segment){ 0 };
	g->item = fl_items_take(mem, SEGMENT_MAX * sizeof(struct fl_item *), &g->class);
	return g;
}

/* A full array becomes the first segment. */
static void
to_segments(struct fl_sorted *s, struct fl_items *mem)
{
	struct fl_segments *m = fl_xcalloc(1, sizeof *m);
	struct segment *g = new_segment(m, mem, 0);

	memcpy(g->item, s->array, s->count * sizeof(struct fl_item *));
	g->count = s->count;
	fl_items_give(mem, s->array, s->class - 1);
	s->class = IS_MANY;
	s->many = m;
}

/* Room for one more. */
static void
make_room(struct fl_sorted *s, struct fl_items *mem)
{
	uint32_t cap = ARRAY_MIN, class;
	struct fl_item **array;

	if (s->class == IS_ONE && s->count == 0)
		return;
	if (s->class != IS_ONE && s->count == SEGMENT_MAX) {
		to_segments(s, mem);
		return;
	}
	if (s->class != IS_ONE &&
	    (s->count + 1) * sizeof(struct fl_item *) <= fl_items_size(s->class - 1))
		return;
	while (cap <= s->count)
		cap *= 2;
	array = fl_items_take(mem, cap * sizeof(struct fl_item *), &class);
	if (s->class == IS_ONE) {
		array[0] = s->one;
	} else {
		memcpy(array, s->array, s->count * sizeof(struct fl_item *));
		fl_items_give(mem, s->array, s->class - 1);
	}
	s->array = array;
	s->class = class + 1;
}

static void
put(struct fl_item **item, uint32_t count, uint32_t at, struct fl_item *x)
{
	memmove(item + at + 1, item + at, (count - at) * sizeof(struct fl_item *));
	item[at] = x;
}

static void
insert_many(struct fl_sorted *s, struct fl_items *mem, uint32_t position, struct fl_item *item)
{
	struct fl_segments *m = s->many;
	struct place p = place_of(s, position);
	struct segment *g = &m->list[p.segment];

	if (g->count == SEGMENT_MAX) {
		/* where items come in order, full segments stay full */
		uint32_t keep = p.at == SEGMENT_MAX ? SEGMENT_MAX : SEGMENT_MAX / 2;
		struct segment *more = new_segment(m, mem, p.segment + 1);

		g = &m->list[p.segment];
		more->count = SEGMENT_MAX - keep;
		memcpy(more->item, g->item + keep, more->count * sizeof(struct fl_item *));
		g->count = keep;
		if (p.at > keep || keep == SEGMENT_MAX) {
			g = more;
			p.at -= keep;
		}
	}
	put(g->item, g->count, p.at, item);
	g->count++;
}

void
fl_sorted_insert(struct fl_sorted *s, struct fl_items *mem, uint32_t position, struct fl_item *item)
{
	if (s->class != IS_MANY)
		make_room(s, mem);
	if (s->class == IS_ONE)
		s->one = item;
	else if (s->class == IS_MANY)
		insert_many(s, mem, position, item);
	else
		put(s->array, s->count, position, item);
	s->count++;
}

static struct fl_item *
take_out(struct fl_item **item, uint32_t count, uint32_t at)
{
	struct fl_item *x = item[at];

	memmove(item + at, item + at + 1, (count - at - 1) * sizeof(struct fl_item *));
	return x;
}

static struct fl_item *
remove_many(struct fl_sorted *s, struct fl_items *mem, uint32_t position)
{
	struct fl_segments *m = s->many;
	struct place p = place_of(s, position);
	struct segment *g = &m->list[p.segment];
	struct fl_item *x = take_out(g->item, g->count, p.at);

	if (--g->count == 0 && m->count > 1) {
		fl_items_give(mem, g->item, g->class);
		memmove(g, g + 1, (m->count - p.segment - 1) * sizeof *g);
		m->count--;
	}
	return x;
}

struct fl_item *
fl_sorted_remove(struct fl_sorted *s, struct fl_items *mem, uint32_t position)
{
	struct fl_item *x;

	if (s->class == IS_ONE) {
		x = s->one;
		s->one = NULL;
	} else if (s->class == IS_MANY) {
		x = remove_many(s, mem, position);
	} else {
		x = take_out(s->array, s->count, position);
	}
	if (--s->count == 0)
		fl_sorted_clear(s, mem);
	return x;
}

void
fl_sorted_clear(struct fl_sorted *s, struct fl_items *mem)
{
	if (s->class == IS_MANY) {
		for (uint32_t i = 0; i < s->many->count; i++)
			fl_items_give(mem, s->many->list[i].item, s->many->list[i].class);
		free(s->many->list);
		free(s->many);
	} else if (s->class != IS_ONE) {
		fl_items_give(mem, s->array, s->class - 1);
	}
	*s = (struct fl_sorted){ 0 };
}
