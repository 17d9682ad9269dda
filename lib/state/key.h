/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of a batch: bytes by which records are the same, and their hashes.
 *
 * One key column: its bytes are the key, taken from where they lie. Several:
 * each as a length and its bytes, one behind the other. None: all records have
 * the one empty key. NULL is a key of its own, different from the empty string.
 *
 * What a key value was (string or number) does not make keys different, but is
 * kept, so that a key is printed as it first came.
 */
#ifndef FL_STATE_KEY_H
#define FL_STATE_KEY_H

#include "base/err.h"
#include "stream/batch.h"
#include "stream/header.h"

#define FL_KEY_NULL UINT32_MAX /* len of a single key that is NULL */

struct fl_key {
	const char *p;
	uint32_t len;  /* or FL_KEY_NULL */
	uint32_t tags; /* 3 bits (enum fl_tag) a key column, the first lowest */
	uint64_t hash; /* seeded; not the same in another run */
};

struct fl_keys {
	uint64_t seed;
	bool wide;           /* keep what values were of any number of columns; from the
	                        11th on it then makes keys different */
	struct fl_buf key;   /* struct fl_key, one a record */
	struct fl_buf bytes; /* what had to be made */
};

/* A fresh random seed: nobody can craft keys that collide. */
void fl_keys_init(struct fl_keys *k);
void fl_keys_release(struct fl_keys *k);

/*
 * The keys of all records of b by the key columns of h. Borrows from b; valid
 * until the next call. FL_ELIMIT: a key longer than 16 MiB.
 */
int fl_keys_of(struct fl_keys *k, const struct fl_header *h, const struct fl_batch *b,
	       const struct fl_key **ret, struct fl_err *err);

/* The hash that a key of these bytes has, for what is found by bytes of its own. */
uint64_t fl_keys_hash(const struct fl_keys *k, const char *p, size_t n);

/* The hash that fl_keys_of gives this key, which may be NULL. */
uint64_t fl_key_hash(const struct fl_keys *k, const struct fl_key *key);

/* Append the value of key column c (0 .. count-1) of a key to a column. */
void fl_key_put(const struct fl_key *key, uint32_t c, uint32_t count, enum fl_kind kind,
		struct fl_colbuf *out);

/* Whether the bytes and tags of a key that came from a file are a key of count columns, so
 * that fl_key_put may read it. */
bool fl_key_check(const struct fl_key *key, uint32_t count);

#endif
