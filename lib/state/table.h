/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keyed state in memory: a hash table from keys to values of one size.
 *
 * Concepts
 *	An operator holds one table a namespace (a slice of time, or all there is):
 *	a window that has gone is one table thrown away, not a million deletes.
 *	Values live at addresses that do not change until the table is cleared or
 *	the entry is deleted, and are walked in the order in which their keys first
 *	came; each entry knows its arrival number.
 *
 *	All tables of an operator draw on one budget (--max-memory). What a table
 *	gives back is kept for the next one.
 *
 * Key groups
 *	fl_entry_group says which of the 128 groups a key belongs to, by a hash with
 *	a fixed seed: the same in every run and at every parallelism, so that state
 *	can be split and joined. The table itself is hashed with the seed of the run.
 *
 * Errors
 *	fl_table_put is FL_ELIMIT where the budget is used up, with a message that
 *	names --max-memory; the table is as before.
 */
#ifndef FL_STATE_TABLE_H
#define FL_STATE_TABLE_H

#include "base/err.h"
#include "base/mem.h"
#include "state/areas.h"
#include "state/key.h"

#define FL_KEY_GROUPS 128u
#define FL_ENTRY_INLINE 16u

/* Memory shared by the tables of an operator. */
struct fl_budget {
	size_t max;             /* SIZE_MAX: none */
	size_t used;            /* held by tables, without what is kept spare */
	struct fl_chunk *spare; /* blocks given back */
	size_t spare_count;
	struct fl_areas areas; /* of blocks, once there is much */
};

void fl_budget_init(struct fl_budget *b, size_t max);
void fl_budget_release(struct fl_budget *b);

/* FL_ELIMIT if used and extra bytes together are more than the maximum. */
int fl_budget_check(const struct fl_budget *b, size_t extra, struct fl_err *err);

/* Whether a key of that length does not lie in the entry itself. */
static inline bool
fl_key_is_long(uint32_t len)
{
	return len > FL_ENTRY_INLINE && len != FL_KEY_NULL;
}

/* One key and its value. Keys of up to 16 bytes lie in the entry itself. */
struct fl_entry {
	uint64_t seq;  /* arrival number of the key */
	uint32_t hash; /* of the key; the low half */
	uint32_t len;  /* or FL_KEY_NULL */
	union {
		char in[FL_ENTRY_INLINE]; /* zero padded */
		struct {
			char *p; /* longer keys */
			uint64_t zero;
		} out;
	};
	uint32_t tags;
	bool deleted;             /* its place is free; walks skip it */
	uint8_t flags;            /* the operator's own */
	_Alignas(8) char value[]; /* zeroed when the entry is made */
};

struct fl_filling;

struct fl_table {
	struct fl_budget *budget;
	size_t entry_size;
	uint32_t shift; /* a chunk has 1 << shift entries */
	uint32_t count; /* places in use, deleted ones too */
	uint32_t live;
	uint32_t free;   /* number + 1 of a deleted entry, linked by seq; 0: none */
	bool reused;     /* a place was used again: walks are not by arrival */
	uint32_t mask;   /* index slots - 1 */
	uint64_t *index; /* low half: entry number + 1, high half: its hash */
	struct fl_chunk **chunk;
	uint32_t chunk_count, chunk_cap;
	size_t long_keys;           /* bytes of keys outside their entries */
	struct fl_filling *filling; /* between fl_table_fill_begin and fl_table_filled */
};

/* Values of value_size bytes. Allocates nothing yet. */
void fl_table_init(struct fl_table *t, struct fl_budget *budget, size_t value_size);

/* Forget all entries; their memory goes back to the budget. */
void fl_table_clear(struct fl_table *t);
void fl_table_release(struct fl_table *t);

/* The entry of a key, or NULL. */
struct fl_entry *fl_table_get(const struct fl_table *t, const struct fl_key *key);

/*
 * The entries of keys[rows[0]] .. keys[rows[n-1]] (rows NULL: keys[0] ..
 * keys[n-1]), made where they are missing with arrival numbers seq + the
 * record's index. *ret_made (may be NULL) counts new ones.
 */
int fl_table_put(struct fl_table *t, const struct fl_key *keys, const uint32_t *rows, uint32_t n,
		 uint64_t seq, struct fl_entry **ret, uint32_t *ret_made, struct fl_err *err);

/*
 * About that many keys are to come: make the index large enough at once. A hint; what
 * is beyond 64 M, or the budget, is left to fl_table_put.
 */
void fl_table_expect(struct fl_table *t, uint64_t keys);

/*
 * To fill an empty table with many entries, whose keys differ, faster than fl_table_put
 * does: fl_table_fill_begin with about how many, as fl_table_expect; fl_table_fill for some
 * of them at a time, which get arrival numbers from seq; then fl_table_filled, before which
 * nothing else may be called but fl_table_at, fl_table_clear and fl_table_release.
 * fl_table_fill, which then gives none, and fl_table_filled are 1 where two keys were the
 * same: what is in the table is of no use.
 */
void fl_table_fill_begin(struct fl_table *t, uint64_t keys);
int fl_table_fill(struct fl_table *t, const struct fl_key *keys, uint32_t n, uint64_t seq,
		  struct fl_entry **ret, struct fl_err *err);
int fl_table_filled(struct fl_table *t, struct fl_err *err);

/*
 * As fl_table_fill, of entries that lie one behind the other as those of a table do, from
 * an address that is aligned to nothing: they are copied, and their keys hashed; flags are 0.
 * 2: one has a long key, or is_sound(of, it) is false: it is zeroed, and no more are taken.
 */
typedef bool fl_entry_is_sound(const void *of, const struct fl_entry *e);
int fl_table_fill_flat(struct fl_table *t, const char *entries, uint32_t n,
		       const struct fl_keys *keys, fl_entry_is_sound *is_sound, const void *of,
		       struct fl_entry **ret, struct fl_err *err);

void fl_table_delete(struct fl_table *t, struct fl_entry *e);

/* Soon to be deleted, or looked up by entry: have the memory that takes brought near. */
static inline void
fl_table_prefetch(const struct fl_table *t, const struct fl_entry *e)
{
	__builtin_prefetch(&t->index[e->hash & t->mask]);
}

/*
 * Entry number i of 0 .. t->count-1, in order of arrival unless t->reused; look
 * at ->deleted.
 */
struct fl_entry *fl_table_at(const struct fl_table *t, uint32_t i);

/* The same; *ret_n entries, to the last or fewer, lie one behind the other from there on. */
struct fl_entry *fl_table_run(const struct fl_table *t, uint32_t i, uint32_t *ret_n);

/* The key of an entry; borrows from it. hash is not set. */
struct fl_key fl_entry_key(const struct fl_entry *e);
uint32_t fl_entry_group(const struct fl_entry *e);

#endif
