/* SPDX-License-Identifier: Apache-2.0 */
#include "join/rows.h"

#include <stdlib.h>

#include "stream/row.h"

#define STEP 16u        /* small rows: memory in steps of this */
#define SMALL_MAX 2048u /* larger ones: in powers of two */
#define SMALL_CLASSES (SMALL_MAX / STEP)
#define BUCKETS_MIN 1024u

/* A row that can be taken back. The row is the last member: its bytes follow. */
struct fl_jtracked {
	struct fl_jtracked *chain; /* of the bucket */
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
fl_jrows_release(struct fl_jrows *s)
{
	if (!s->budget)
		return;
	s->budget->used -= s->charged;
	fl_arena_release(&s->arena);
	fl_kept_release(&s->kept);
	fl_keys_release(&s->keys);
	free(s->bucket);
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
	uint32_t class = class_of(sizeof(struct fl_jtracked) + len);
	struct fl_jtracked *t = s->spare[class];

	if (t)
		s->spare[class] = t->chain;
	else
		t = take_memory(s, class_size(class), err);
	if (t)
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
	return 0;
}

static struct fl_jrow *
add_tracked(struct fl_jrows *s, const struct fl_jlist *list, struct fl_err *err)
{
	struct fl_jtracked *t, **bucket;

	if (index_grow(s, err) < 0)
		return NULL;
	t = take_tracked(s, s->packed.len, err);
	if (!t)
		return NULL;
	bucket = &s->bucket[s->hash & s->mask];
	t->chain = *bucket;
	*bucket = t;
	t->prev = list->last;
	t->hash = s->hash;
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
	r = s->changing ? add_tracked(s, list, err) : take_memory(s, sizeof *r + len, err);
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

void
fl_jrows_remove(struct fl_jrows *s, struct fl_jlist *list, struct fl_jrow *r)
{
	struct fl_jtracked *t = tracked_of(r), **link = &s->bucket[t->hash & s->mask];

	while (*link != t)
		link = &(*link)->chain;
	*link = t->chain;
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
	t->chain = s->spare[t->class];
	s->spare[t->class] = t;
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
