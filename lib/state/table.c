/* SPDX-License-Identifier: Apache-2.0 */
#include "state/table.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "time/duration.h"

#define CHUNK_BYTES FL_KIB(64)
#define INDEX_MIN 64u
#define INDEX_LARGE (UINT32_C(1) << 22) /* slots; 32 MiB */
#define AREAS_FROM FL_MIB(4)            /* in use: what comes then is taken from areas */
#define EXPECT_MAX (UINT64_C(64) << 20)
#define PARTS 256u                   /* of the index, when a table is filled */
#define FILL_MAX (UINT32_C(1) << 17) /* entries put into the index at once */
#define AHEAD_FROM FL_MIB(64)        /* a table for which memory is prepared by a thread */
#define BLOCK 32u                    /* keys looked up together: enough to hide a cache miss each */

struct fl_chunk {
	struct fl_chunk *next; /* in the budget's spare list */
	size_t bytes;
	bool in_area;
	_Alignas(64) char data[];
};

/* ---- budget --------------------------------------------------------------------- */

void
fl_budget_init(struct fl_budget *b, size_t max)
{
	*b = (struct fl_budget){ .max = max };
}

void
fl_budget_release(struct fl_budget *b)
{
	struct fl_chunk *c;

	while ((c = b->spare)) {
		b->spare = c->next;
		free(c);
	}
	b->spare_count = 0;
	fl_areas_release(&b->areas);
}

int
fl_budget_check(const struct fl_budget *b, size_t extra, struct fl_err *err)
{
	char max[FL_SIZE_TEXT_MAX];

	if (extra <= b->max && b->used <= b->max - extra)
		return 0;
	(void)fl_size_format(b->max, max);
	return fl_fail(err, FL_ELIMIT,
		       "the state has become larger than --max-memory %s; give it more, or "
		       "fewer keys or shorter windows",
		       max);
}

static struct fl_chunk *
chunk_take(struct fl_budget *b, size_t bytes, struct fl_err *err)
{
	struct fl_chunk *c = b->spare;

	if (fl_budget_check(b, bytes, err) < 0)
		return NULL;
	b->used += bytes;
	if (c && c->bytes == bytes) {
		b->spare = c->next;
		b->spare_count--;
		return c;
	}
	c = b->used >= AREAS_FROM ? fl_areas_take(&b->areas, sizeof *c + bytes) : NULL;
	if (c) {
		c->in_area = true;
	} else {
		c = fl_xmalloc(sizeof *c + bytes);
		c->in_area = false;
	}
	c->bytes = bytes;
	return c;
}

/* Kept for the next table of the same shape, up to what one is likely to need. */
static void
chunk_give(struct fl_budget *b, struct fl_chunk *c)
{
	b->used -= c->bytes;
	if (c->in_area) {
		fl_areas_give(&b->areas, c);
		return;
	}
	if (b->spare_count >= 64 || (b->spare && b->spare->bytes != c->bytes)) {
		free(c);
		return;
	}
	c->next = b->spare;
	b->spare = c;
	b->spare_count++;
}

/* ---- table ------------------------------------------------------------------------ */

void
fl_table_init(struct fl_table *t, struct fl_budget *budget, size_t value_size)
{
	size_t size = (sizeof(struct fl_entry) + value_size + 7) & ~(size_t)7;

	*t = (struct fl_table){ .budget = budget, .entry_size = size };
	while (size << (t->shift + 1) <= CHUNK_BYTES)
		t->shift++;
}

struct fl_entry *
fl_table_at(const struct fl_table *t, uint32_t i)
{
	uint32_t within = i & ((UINT32_C(1) << t->shift) - 1);

	return (struct fl_entry *)(void *)(t->chunk[i >> t->shift]->data + within * t->entry_size);
}

struct fl_entry *
fl_table_run(const struct fl_table *t, uint32_t i, uint32_t *ret_n)
{
	uint32_t chunk = UINT32_C(1) << t->shift, rest = chunk - (i & (chunk - 1));

	*ret_n = t->count - i < rest ? t->count - i : rest;
	return fl_table_at(t, i);
}

static struct fl_entry *
entry_of(const struct fl_table *t, uint64_t slot)
{
	return fl_table_at(t, (uint32_t)slot - 1);
}

static size_t
index_bytes(const struct fl_table *t)
{
	return t->index ? ((size_t)t->mask + 1) * sizeof *t->index : 0;
}

/* Zeroed. A large one is in huge pages: it is looked up anywhere. */
static uint64_t *
index_new(size_t bytes)
{
	return bytes < FL_PAGES_UNIT ? fl_xcalloc(1, bytes) : fl_pages_new(bytes);
}

static void
index_free(uint64_t *index, size_t bytes)
{
	if (bytes < FL_PAGES_UNIT)
		free(index);
	else
		fl_pages_free(index, bytes);
}

/* Slots that are to be put into the index. */
struct fl_filling {
	uint32_t n;
	uint64_t *slot, *sorted; /* FILL_MAX each */
};

static void
filling_end(struct fl_table *t)
{
	if (!t->filling)
		return;
	fl_areas_settle(&t->budget->areas);
	free(t->filling->slot);
	free(t->filling->sorted);
	free(t->filling);
	t->filling = NULL;
}

void
fl_table_clear(struct fl_table *t)
{
	filling_end(t);
	if (t->long_keys) {
		for (uint32_t i = 0; i < t->count; i++) {
			struct fl_entry *e = fl_table_at(t, i);

			if (!e->deleted && fl_key_is_long(e->len))
				free(e->out.p);
		}
	}
	for (uint32_t i = 0; i < t->chunk_count; i++)
		chunk_give(t->budget, t->chunk[i]);
	t->budget->used -= index_bytes(t) + t->long_keys;
	index_free(t->index, index_bytes(t));
	t->index = NULL;
	t->mask = t->count = t->live = t->chunk_count = t->free = 0;
	t->reused = false;
	t->long_keys = 0;
}

void
fl_table_release(struct fl_table *t)
{
	fl_table_clear(t);
	free(t->chunk);
	t->chunk = NULL;
	t->chunk_cap = 0;
}

struct fl_key
fl_entry_key(const struct fl_entry *e)
{
	return (struct fl_key){ .p = fl_key_is_long(e->len) ? e->out.p : e->in,
				.len = e->len,
				.tags = e->tags };
}

uint32_t
fl_entry_group(const struct fl_entry *e)
{
	struct fl_key k = fl_entry_key(e);

	return (uint32_t)(XXH3_64bits(k.p, k.len == FL_KEY_NULL ? 0 : k.len) % FL_KEY_GROUPS);
}

static inline uint64_t
load64(const char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static inline uint32_t
load32(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

/* memcmp for the length of most keys, without a call for each record. */
static inline bool
same_bytes(const char *a, const char *b, uint32_t n)
{
	if (n > FL_ENTRY_INLINE)
		return memcmp(a, b, n) == 0;
	if (n >= 8)
		return ((load64(a) ^ load64(b)) | (load64(a + n - 8) ^ load64(b + n - 8))) == 0;
	if (n >= 4)
		return ((load32(a) ^ load32(b)) | (load32(a + n - 4) ^ load32(b + n - 4))) == 0;
	for (uint32_t i = 0; i < n; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

static bool
same_key(const struct fl_entry *e, const struct fl_key *k)
{
	if (e->len != k->len)
		return false;
	if (k->len == FL_KEY_NULL)
		return true;
	return same_bytes(fl_key_is_long(k->len) ? e->out.p : e->in, k->p, k->len);
}

static uint32_t
home(const struct fl_table *t, uint32_t hash)
{
	return hash & t->mask;
}

/* The slot of the key: its own, or the empty one where it would go. */
static uint32_t
find(const struct fl_table *t, const struct fl_key *key)
{
	uint32_t hash = (uint32_t)key->hash, s;

	for (s = home(t, hash); t->index[s]; s = (s + 1) & t->mask)
		if (t->index[s] >> 32 == hash && same_key(entry_of(t, t->index[s]), key))
			break;
	return s;
}

/* How many keys an index may have: half of its slots; much of them where they are many. */
static uint64_t
keys_max(uint32_t slots)
{
	return slots < INDEX_LARGE ? slots / 2 : (uint64_t)slots * 3 / 4;
}

/* Double the index (or make the first one), so that it has room for so many keys. */
static int
index_grow(struct fl_table *t, uint32_t need, struct fl_err *err)
{
	uint32_t slots = t->index ? t->mask + 1 : INDEX_MIN;
	uint64_t *old = t->index;
	uint32_t old_slots = old ? t->mask + 1 : 0;
	size_t bytes, old_bytes = index_bytes(t);

	while (keys_max(slots) < need) {
		if (slots > UINT32_MAX / 2)
			return fl_fail(err, FL_ELIMIT, "more than a billion keys");
		slots *= 2;
	}
	if (slots == old_slots)
		return 0;
	bytes = (size_t)slots * sizeof *t->index;
	if (fl_budget_check(t->budget, bytes, err) < 0)
		return err->code;
	t->budget->used += bytes - old_bytes;
	t->index = index_new(bytes);
	t->mask = slots - 1;
	for (uint32_t i = 0; i < old_slots; i++) {
		uint32_t s;

		if (!old[i])
			continue;
		for (s = home(t, (uint32_t)(old[i] >> 32)); t->index[s]; s = (s + 1) & t->mask)
			;
		t->index[s] = old[i];
	}
	index_free(old, old_bytes);
	return 0;
}

struct fl_entry *
fl_table_get(const struct fl_table *t, const struct fl_key *key)
{
	uint64_t slot = t->index ? t->index[find(t, key)] : 0;

	return slot ? entry_of(t, slot) : NULL;
}

/* A place for an entry: one that was deleted, or the next. */
static struct fl_entry *
place(struct fl_table *t, uint32_t *ret_number, struct fl_err *err)
{
	struct fl_entry *e;

	if (t->free) {
		e = fl_table_at(t, t->free - 1);
		*ret_number = t->free - 1;
		t->free = (uint32_t)e->seq;
		t->reused = true;
		return e;
	}
	if (t->count == (uint64_t)t->chunk_count << t->shift) {
		size_t bytes = t->entry_size << t->shift;
		struct fl_chunk *c = chunk_take(t->budget, bytes, err);

		if (!c)
			return NULL;
		if (t->chunk_count == t->chunk_cap) {
			t->chunk_cap = t->chunk_cap ? 2 * t->chunk_cap : 16;
			t->chunk = fl_xreallocarray(t->chunk, t->chunk_cap,
						    sizeof(struct fl_chunk *));
		}
		t->chunk[t->chunk_count++] = c;
	}
	*ret_number = t->count;
	return fl_table_at(t, t->count++);
}

static struct fl_entry *
entry_new(struct fl_table *t, const struct fl_key *key, uint64_t seq, uint32_t *ret_number,
	  struct fl_err *err)
{
	struct fl_entry *e;

	if (fl_key_is_long(key->len) && fl_budget_check(t->budget, key->len, err) < 0)
		return NULL;
	e = place(t, ret_number, err);
	if (!e)
		return NULL;
	memset(e, 0, t->entry_size);
	if (fl_key_is_long(key->len)) {
		t->budget->used += key->len;
		t->long_keys += key->len;
		e->out.p = fl_xstrndup(key->p, key->len);
	} else if (key->len != FL_KEY_NULL) {
		memcpy(e->in, key->p, key->len);
	}
	e->seq = seq;
	e->hash = (uint32_t)key->hash;
	e->len = key->len;
	e->tags = key->tags;
	t->live++;
	return e;
}

static struct fl_entry *
put_one(struct fl_table *t, const struct fl_key *key, uint64_t seq, struct fl_err *err)
{
	uint32_t s = find(t, key), number;
	struct fl_entry *e;

	if (t->index[s])
		return entry_of(t, t->index[s]);
	e = entry_new(t, key, seq, &number, err);
	if (e)
		t->index[s] = key->hash << 32 | (number + 1);
	return e;
}

int
fl_table_put(struct fl_table *t, const struct fl_key *keys, const uint32_t *rows, uint32_t n,
	     uint64_t seq, struct fl_entry **ret, uint32_t *ret_made, struct fl_err *err)
{
	uint32_t before = t->live;

	for (uint32_t done = 0; done < n; done += BLOCK) {
		uint32_t block = n - done < BLOCK ? n - done : BLOCK;

		if (index_grow(t, t->live + block, err) < 0)
			return err->code;
		for (uint32_t i = done; i < done + block; i++)
			__builtin_prefetch(
				&t->index[home(t, (uint32_t)keys[rows ? rows[i] : i].hash)]);
		for (uint32_t i = done; i < done + block; i++) {
			uint64_t slot = t->index[home(t, (uint32_t)keys[rows ? rows[i] : i].hash)];

			if (slot)
				__builtin_prefetch(entry_of(t, slot));
		}
		for (uint32_t i = done; i < done + block; i++) {
			uint32_t row = rows ? rows[i] : i;

			ret[i] = put_one(t, &keys[row], seq + row, err);
			if (!ret[i])
				return err->code;
		}
	}
	if (ret_made)
		*ret_made = t->live - before;
	return 0;
}

void
fl_table_expect(struct fl_table *t, uint64_t keys)
{
	struct fl_err ignored;

	if (keys <= EXPECT_MAX)
		(void)index_grow(t, (uint32_t)keys, &ignored);
}

/* ---- filling ------------------------------------------------------------------------ */

void
fl_table_fill_begin(struct fl_table *t, uint64_t keys)
{
	struct fl_err ignored;
	uint64_t bytes = keys <= EXPECT_MAX ? keys * t->entry_size : 0;
	struct fl_filling *f = fl_xcalloc(1, sizeof *f);

	f->slot = fl_xmalloc(FILL_MAX * sizeof *f->slot);
	f->sorted = fl_xmalloc(FILL_MAX * sizeof *f->sorted);
	t->filling = f;
	fl_table_expect(t, keys);
	if (bytes >= AHEAD_FROM && index_bytes(t) >= FL_PAGES_UNIT &&
	    fl_budget_check(t->budget, bytes, &ignored) == 0)
		fl_areas_expect(&t->budget->areas, bytes, t->index, index_bytes(t));
}

/* Put a slot where it belongs; false: its key is there. */
static bool
index_put(struct fl_table *t, uint64_t slot)
{
	uint32_t s;

	for (s = home(t, (uint32_t)(slot >> 32)); t->index[s]; s = (s + 1) & t->mask) {
		struct fl_key key;

		if (t->index[s] >> 32 != slot >> 32)
			continue;
		key = fl_entry_key(entry_of(t, slot)); /* rare: it is not near */
		if (same_key(entry_of(t, t->index[s]), &key))
			return false;
	}
	t->index[s] = slot;
	return true;
}

/*
 * What waits goes into the index, one part of it after the other: each is small enough for
 * the cache, and for the TLB. 1: a key is there twice.
 */
static int
index_put_all(struct fl_table *t, struct fl_err *err)
{
	struct fl_filling *f = t->filling;
	uint32_t end[PARTS] = { 0 }, shift = 0, sum = 0;

	if (index_grow(t, t->count, err) < 0)
		return err->code;
	while (t->mask >> shift >= PARTS)
		shift++;
	for (uint32_t i = 0; i < f->n; i++)
		end[home(t, (uint32_t)(f->slot[i] >> 32)) >> shift]++;
	for (uint32_t i = 0; i < PARTS; i++) {
		uint32_t count = end[i];

		end[i] = sum;
		sum += count;
	}
	for (uint32_t i = 0; i < f->n; i++)
		f->sorted[end[home(t, (uint32_t)(f->slot[i] >> 32)) >> shift]++] = f->slot[i];
	for (uint32_t i = 0; i < f->n; i++) {
		if (i + BLOCK < f->n)
			__builtin_prefetch(
				&t->index[home(t, (uint32_t)(f->sorted[i + BLOCK] >> 32))], 1);
		if (!index_put(t, f->sorted[i]))
			return 1;
	}
	f->n = 0;
	return 0;
}

int
fl_table_fill(struct fl_table *t, const struct fl_key *keys, uint32_t n, uint64_t seq,
	      struct fl_entry **ret, struct fl_err *err)
{
	struct fl_filling *f = t->filling;
	int rc = f->n + (uint64_t)n > FILL_MAX ? index_put_all(t, err) : 0;
	uint32_t number;

	fl_assert(n <= FILL_MAX);
	for (uint32_t i = 0; i < n && rc == 0; i++) {
		ret[i] = entry_new(t, &keys[i], seq + i, &number, err);
		if (!ret[i])
			return err->code;
		f->slot[f->n++] = keys[i].hash << 32 | (number + 1);
	}
	return rc;
}

int
fl_table_fill_flat(struct fl_table *t, const char *entries, uint32_t n, const struct fl_keys *keys,
		   fl_entry_is_sound *is_sound, const void *of, struct fl_entry **ret,
		   struct fl_err *err)
{
	struct fl_filling *f = t->filling;
	int rc = f->n + (uint64_t)n > FILL_MAX ? index_put_all(t, err) : 0;
	uint32_t number;

	fl_assert(n <= FILL_MAX);
	for (uint32_t i = 0; i < n && rc == 0; i++, entries += t->entry_size) {
		struct fl_entry *e = place(t, &number, err);
		struct fl_key key;
		uint64_t hash;

		if (!e)
			return err->code;
		memcpy(e, entries, t->entry_size);
		if (fl_key_is_long(e->len) || !is_sound(of, e)) {
			memset(e, 0, t->entry_size);
			return 2;
		}
		key = fl_entry_key(e);
		hash = fl_key_hash(keys, &key);
		e->hash = (uint32_t)hash;
		e->deleted = false;
		e->flags = 0;
		t->live++;
		ret[i] = e;
		f->slot[f->n++] = hash << 32 | (number + 1);
	}
	return rc;
}

int
fl_table_filled(struct fl_table *t, struct fl_err *err)
{
	int rc = index_put_all(t, err);

	filling_end(t);
	return rc;
}

/* ---- deleting ------------------------------------------------------------------------ */

/*
 * Empty a slot of the index: what comes behind it in its run moves up, so that
 * no probe ends too early and no mark has to stay.
 */
static void
unlink_slot(struct fl_table *t, uint32_t s)
{
	uint32_t next = s;

	for (;;) {
		next = (next + 1) & t->mask;
		if (!t->index[next])
			break;
		/* may move to s only if its home is not between s and where it is */
		if (((next - home(t, (uint32_t)(t->index[next] >> 32))) & t->mask) <
		    ((next - s) & t->mask))
			continue;
		t->index[s] = t->index[next];
		s = next;
	}
	t->index[s] = 0;
}

void
fl_table_delete(struct fl_table *t, struct fl_entry *e)
{
	uint32_t s, number;

	for (s = home(t, e->hash); t->index[s]; s = (s + 1) & t->mask)
		if (t->index[s] >> 32 == e->hash && entry_of(t, t->index[s]) == e)
			break;
	fl_assert(t->index[s]);
	number = (uint32_t)t->index[s];
	unlink_slot(t, s);
	if (fl_key_is_long(e->len)) {
		free(e->out.p);
		t->budget->used -= e->len;
		t->long_keys -= e->len;
	}
	e->deleted = true;
	e->seq = t->free;
	t->free = number;
	t->live--;
}
