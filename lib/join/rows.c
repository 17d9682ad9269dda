/* SPDX-License-Identifier: Apache-2.0 */
#include "join/rows.h"

#include <stdlib.h>

#include "base/heap.h"
#include "stream/row.h"

#define STEP 16u        /* small rows: memory in steps of this */
#define SMALL_MAX 2048u /* larger ones: in powers of two */
#define SMALL_CLASSES (SMALL_MAX / STEP)
#define BUCKETS_MIN 1024u
#define KEPT_EMPTY FL_MIB(1) /* memory that is kept where there are no rows */

/* Before a row that can expire: its place in the order of age. */
struct fl_jaged {
	struct fl_jaged *older, *younger; /* where it is linked */
	struct fl_jlist *list;
	int64_t written_ms;
	bool linked;
	bool queued; /* in fl_jrows.returned; its memory stays as long */
	bool dead;   /* removed meanwhile */
};

/* An element of fl_jrows.returned. */
struct returned {
	int64_t written_ms;
	struct fl_jaged *aged;
};

/* A row that can be removed. The row is the last member: its bytes follow. */
struct fl_jtracked {
	struct fl_jtracked *chain; /* of the bucket, or of what is spare */
	struct fl_jrow *prev;      /* of the key */
	uint64_t hash;             /* of its identity */
	uint32_t copies;
	uint32_t class;
	struct fl_jrow row;
};

static struct fl_jtracked *
tracked_of(const struct fl_jrow *r)
{
	return (struct fl_jtracked *)((uintptr_t)r - offsetof(struct fl_jtracked, row));
}

static struct fl_jaged *
aged_of(const struct fl_jrow *r)
{
	return (struct fl_jaged *)(void *)tracked_of(r) - 1;
}

static struct fl_jrow *
row_of(const struct fl_jaged *a)
{
	return &((struct fl_jtracked *)(uintptr_t)(a + 1))->row;
}

/* What lies before a tracked row. */
static size_t
lead(const struct fl_jrows *s)
{
	return s->aging ? sizeof(struct fl_jaged) : 0;
}

void
fl_jrows_init(struct fl_jrows *s, struct fl_budget *budget, bool changing)
{
	*s = (struct fl_jrows){ .budget = budget, .changing = changing };
	if (changing)
		fl_keys_init(&s->keys);
}

void
fl_jrows_compact(struct fl_jrows *s)
{
	s->compact = true;
	fl_kept_init(&s->kept, s->budget);
}

void
fl_jrows_age(struct fl_jrows *s)
{
	s->aging = true;
}

void
fl_jrows_release(struct fl_jrows *s)
{
	if (!s->budget)
		return;
	s->compact = false;
	fl_jrows_clear(s);
	fl_kept_release(&s->kept);
	fl_keys_release(&s->keys);
	fl_buf_release(&s->packed);
	fl_buf_release(&s->identity);
	fl_buf_release(&s->other);
	fl_build_release(&s->build);
	*s = (struct fl_jrows){ 0 };
}

/* ---- the record in hand ------------------------------------------------------------- */

/* A batch of one record, with room for cols columns, that is to be filled. */
static struct fl_build *
empty_build(struct fl_jrows *s, uint32_t cols)
{
	fl_build_clear(&s->build);
	if (s->build.cols < cols)
		fl_build_resize(&s->build, cols);
	return &s->build;
}

/* A record packed as in stream/row.h as a batch of one. */
static const struct fl_batch *
view_of(struct fl_jrows *s, const char *p, size_t n)
{
	struct fl_build *w = empty_build(s, fl_row_columns(p, n));

	fl_row_put(p, n, w->col, w->cols);
	fl_build_row(w, 0, 0, FL_INSERT);
	return fl_build_view(w);
}

/* The identity of a kept record, appended to out. */
static void
identity_of(struct fl_jrows *s, const struct fl_jrow *r, struct fl_buf *out)
{
	const struct fl_batch *b;
	struct fl_build *w;

	if (!s->compact) {
		b = view_of(s, r->data, r->len);
	} else {
		w = empty_build(s, fl_kept_columns(r->data, r->len));
		fl_kept_put_from(&s->kept, r->data, r->len, 0, w->col, w->cols);
		fl_build_row(w, 0, 0, FL_INSERT);
		b = fl_build_view(w);
	}
	(void)fl_row_identity(b, 0, out);
}

void
fl_jrows_take(struct fl_jrows *s, const struct fl_batch *b, uint32_t row)
{
	fl_buf_clear(&s->packed);
	if (s->compact)
		(void)fl_kept_pack(&s->kept, b, row, &s->packed);
	else
		(void)fl_row_pack(b, row, &s->packed);
	if (!s->changing)
		return;
	fl_buf_clear(&s->identity);
	(void)fl_row_identity(b, row, &s->identity);
	s->hash = fl_keys_hash(&s->keys, s->identity.data, s->identity.len);
}

void
fl_jrows_take_some(struct fl_jrows *s, const struct fl_batch *b, uint32_t row, const uint32_t *cols,
		   uint32_t count)
{
	fl_assert(!s->changing && !s->compact);
	fl_buf_clear(&s->packed);
	(void)fl_row_pack_some(b, row, cols, count, &s->packed);
}

void
fl_jrows_take_packed(struct fl_jrows *s, const char *p, size_t n)
{
	if (s->changing || s->compact) {
		struct fl_batch b = *view_of(s, p, n);

		b.cols = fl_row_columns(p, n); /* the builder may have more */
		fl_jrows_take(s, &b, 0);
		return;
	}
	fl_buf_clear(&s->packed);
	fl_buf_put(&s->packed, p, n);
}

/* Whether a kept row of the same hash has the values of the one in hand. */
static bool
is_in_hand(struct fl_jrows *s, const struct fl_jrow *r)
{
	if (r->len == s->packed.len && memcmp(r->data, s->packed.data, r->len) == 0)
		return true;
	/* the same values may have come in columns of another kind, or not as words */
	fl_buf_clear(&s->other);
	identity_of(s, r, &s->other);
	return s->other.len == s->identity.len &&
	       memcmp(s->other.data, s->identity.data, s->other.len) == 0;
}

struct fl_jrow *
fl_jrows_find(struct fl_jrows *s)
{
	struct fl_jtracked *t = s->bucket ? s->bucket[s->hash & s->mask] : NULL;

	for (; t; t = t->chain)
		if (t->hash == s->hash && is_in_hand(s, &t->row))
			return &t->row;
	return NULL;
}

/* ---- memory --------------------------------------------------------------------------- */

static uint32_t
class_of(size_t size)
{
	uint32_t class = SMALL_CLASSES;

	if (size <= SMALL_MAX)
		return (uint32_t)((size + STEP - 1) / STEP) - 1;
	for (size_t s = 2 * (size_t)SMALL_MAX; s < size; s *= 2)
		class ++;
	return class;
}

static size_t
class_size(uint32_t class)
{
	return class < SMALL_CLASSES ? (size_t)(class + 1) * STEP
				     : (size_t)SMALL_MAX << (class - SMALL_CLASSES + 1);
}

/* Memory from the arena; NULL: it would be more than there may be. */
static void *
take_memory(struct fl_jrows *s, size_t size, struct fl_err *err)
{
	void *p;

	if (fl_budget_check(s->budget, size, err) < 0)
		return NULL;
	p = fl_arena_alloc(&s->arena, size);
	s->budget->used += s->arena.bytes - s->charged;
	s->charged = s->arena.bytes;
	return p;
}

static struct fl_jtracked *
take_tracked(struct fl_jrows *s, size_t len, struct fl_err *err)
{
	uint32_t class = class_of(lead(s) + sizeof(struct fl_jtracked) + len);
	struct fl_jtracked *t = s->spare[class];
	char *p;

	if (t) {
		s->spare[class] = t->chain;
		return t;
	}
	p = take_memory(s, class_size(class), err);
	if (!p)
		return NULL;
	t = (struct fl_jtracked *)(void *)(p + lead(s));
	t->class = class;
	return t;
}

/* ---- the index ------------------------------------------------------------------------- */

static int
index_grow(struct fl_jrows *s, struct fl_err *err)
{
	uint32_t old = s->bucket ? s->mask + 1 : 0, buckets = old ? 2 * old : BUCKETS_MIN;
	struct fl_jtracked **bucket;
	size_t bytes = (size_t)(buckets - old) * sizeof *s->bucket;

	if (s->tracked < old)
		return 0;
	if (old > UINT32_MAX / 2)
		return fl_fail(err, FL_ELIMIT, "more than two billion rows in a join");
	if (fl_budget_check(s->budget, bytes, err) < 0)
		return err->code;
	bucket = fl_xcalloc(buckets, sizeof(struct fl_jtracked *));
	for (uint32_t i = 0; i < old; i++) {
		struct fl_jtracked *t, *next;

		for (t = s->bucket[i]; t; t = next) {
			struct fl_jtracked **to = &bucket[t->hash & (buckets - 1)];

			next = t->chain;
			t->chain = *to;
			*to = t;
		}
	}
	free(s->bucket);
	s->bucket = bucket;
	s->mask = buckets - 1;
	s->budget->used += bytes;
	return 0;
}

static struct fl_jrow *
add_tracked(struct fl_jrows *s, const struct fl_jlist *list, struct fl_err *err)
{
	struct fl_jtracked *t, **bucket;

	if (s->changing && index_grow(s, err) < 0)
		return NULL;
	t = take_tracked(s, s->packed.len, err);
	if (!t)
		return NULL;
	if (s->changing) {
		bucket = &s->bucket[s->hash & s->mask];
		t->chain = *bucket;
		*bucket = t;
		t->hash = s->hash;
	}
	if (s->aging)
		*aged_of(&t->row) = (struct fl_jaged){ 0 };
	t->prev = list->last;
	t->copies = 1;
	s->tracked++;
	return &t->row;
}

struct fl_jrow *
fl_jrows_add(struct fl_jrows *s, struct fl_jlist *list, struct fl_err *err)
{
	size_t len = s->packed.len;
	struct fl_jrow *r;

	if (len > UINT32_MAX) {
		(void)fl_fail(err, FL_ELIMIT, "a row of a join is longer than 4 GiB");
		return NULL;
	}
	r = s->changing || s->aging ? add_tracked(s, list, err)
				    : take_memory(s, sizeof *r + len, err);
	if (!r)
		return NULL;
	r->next = NULL;
	r->len = (uint32_t)len;
	r->matches = 0;
	if (len)
		memcpy(r->data, s->packed.data, len);
	if (list->last)
		list->last->next = r;
	else
		list->first = r;
	list->last = r;
	list->rows++;
	return r;
}

/* Out of the index. */
static void
forget_place(struct fl_jrows *s, const struct fl_jtracked *t)
{
	struct fl_jtracked **link = &s->bucket[t->hash & s->mask];

	while (*link != t)
		link = &(*link)->chain;
	*link = t->chain;
}

/* Out of the order of age. */
static void
forget_age(struct fl_jrows *s, struct fl_jaged *a)
{
	if (!a->linked)
		return;
	if (a->older)
		a->older->younger = a->younger;
	else
		s->oldest = a->younger;
	if (a->younger)
		a->younger->older = a->older;
	else
		s->youngest = a->older;
	a->linked = false;
}

static void
give_row(struct fl_jrows *s, struct fl_jtracked *t)
{
	t->chain = s->spare[t->class];
	s->spare[t->class] = t;
}

static inline bool
before(const void *a, const void *b, const void *ctx)
{
	(void)ctx;
	return ((const struct returned *)a)->written_ms < ((const struct returned *)b)->written_ms;
}

/* The last row has gone. */
static void
give_back(struct fl_jrows *s)
{
	fl_arena_release(&s->arena);
	s->budget->used -= s->charged;
	s->charged = 0;
	memset(s->spare, 0, sizeof s->spare);
	fl_buf_release(&s->returned);
}

void
fl_jrows_clear(struct fl_jrows *s)
{
	give_back(s);
	s->oldest = s->youngest = NULL;
	s->tracked = 0;
	if (s->bucket)
		s->budget->used -= (size_t)(s->mask + 1) * sizeof *s->bucket;
	free(s->bucket);
	s->bucket = NULL;
	s->mask = 0;
	if (!s->compact)
		return;
	fl_kept_release(&s->kept);
	fl_kept_init(&s->kept, s->budget);
}

void
fl_jrows_remove(struct fl_jrows *s, struct fl_jlist *list, struct fl_jrow *r)
{
	struct fl_jtracked *t = tracked_of(r);

	if (s->changing)
		forget_place(s, t);
	if (s->aging)
		forget_age(s, aged_of(r));
	if (t->prev)
		t->prev->next = r->next;
	else
		list->first = r->next;
	if (r->next)
		tracked_of(r->next)->prev = t->prev;
	else
		list->last = t->prev;
	list->rows--;
	s->tracked--;
	if (s->aging && aged_of(r)->queued)
		aged_of(r)->dead = true;
	else
		give_row(s, t);
	if (s->tracked == 0 && s->charged > KEPT_EMPTY)
		give_back(s);
}

void
fl_jrow_written(struct fl_jrows *s, struct fl_jlist *list, struct fl_jrow *r, int64_t now_ms)
{
	struct fl_jaged *a = aged_of(r);

	forget_age(s, a);
	a->list = list;
	a->linked = true;
	a->older = s->youngest;
	a->younger = NULL;
	a->written_ms = now_ms;
	if (s->youngest) {
		if (s->youngest->written_ms > now_ms)
			a->written_ms = s->youngest->written_ms;
		s->youngest->younger = a;
	} else {
		s->oldest = a;
	}
	s->youngest = a;
}

int64_t
fl_jrow_when(const struct fl_jrow *r)
{
	return aged_of(r)->written_ms;
}

void
fl_jrow_returned(struct fl_jrows *s, struct fl_jlist *list, struct fl_jrow *r, int64_t when_ms)
{
	struct returned x = { when_ms, aged_of(r) };

	x.aged->list = list;
	x.aged->written_ms = when_ms;
	x.aged->queued = true;
	fl_heap_push(&s->returned, &x, sizeof x, before, NULL);
}

/* The oldest of those that came back and have not been written again; NULL: none. */
static struct fl_jaged *
oldest_returned(struct fl_jrows *s)
{
	struct returned x;

	while (s->returned.len) {
		memcpy(&x, s->returned.data, sizeof x);
		if (!x.aged->dead && !x.aged->linked)
			return x.aged;
		fl_heap_pop(&s->returned, &x, sizeof x, before, NULL);
		x.aged->queued = false;
		if (x.aged->dead)
			give_row(s, tracked_of(row_of(x.aged)));
	}
	return NULL;
}

struct fl_jrow *
fl_jrows_oldest(struct fl_jrows *s, struct fl_jlist **ret_list)
{
	struct fl_jaged *a = s->oldest, *b = oldest_returned(s);

	if (b && (!a || b->written_ms < a->written_ms))
		a = b;
	if (!a)
		return NULL;
	*ret_list = a->list;
	return row_of(a);
}

uint32_t
fl_jrow_copies(const struct fl_jrows *s, const struct fl_jrow *r)
{
	return s->changing ? tracked_of(r)->copies : 1;
}

void
fl_jrow_set_copies(struct fl_jrows *s, struct fl_jrow *r, uint32_t copies)
{
	fl_assert(s->changing);
	tracked_of(r)->copies = copies;
}
