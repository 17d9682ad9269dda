/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State larger than memory: --backend rocksdb.
 *
 * The tables of an operator (table.h) are the cache, and they are written back whole, in
 * sorted batches: what has changed at a barrier, all of it when the memory is used up;
 * then the table begins empty. So nothing is ever read to add a record: what a table
 * gathers for a key that may be on disk already is a part, and parts are merged when
 * they are read, and by compaction. What must know the whole value of a key gets it for
 * a whole batch at once (fl_backend_get).
 *
 * A key on disk
 *	namespace   bytes of the caller's, of one length: a slice of time, or one byte
 *	u8          key group (fl_entry_group)
 *	u32         bits of the key's hash, big-endian: keys are sorted by numbers
 *	u8          0: the key is NULL, 1: it is not
 *	bytes       of the key
 * The namespace stands first (and not the group) because windows go as a whole: one
 * range is deleted and not 128. A group is still one range in each namespace.
 *
 * Files are in a directory of the operator's own: work/UID.aNNN in the checkpoint
 * directory, or a temporary one, and are removed by fl_backend_close. A checkpoint is a
 * directory of hard links; restoring links them back.
 */
#ifndef FL_STATE_BACKEND_H
#define FL_STATE_BACKEND_H

#include "state/store.h"
#include "state/table.h"

#define FL_BACKEND_MEMORY FL_MIB(256) /* where --max-memory says nothing */

struct fl_backend;

struct fl_backend_options {
	const char *dir;   /* where its files are; NULL: a temporary directory */
	const char *from;  /* restore: the directory of a checkpoint's files, or NULL */
	size_t memory_max; /* of everything: tables, RocksDB, what writing takes */
	char *(*merge)(void *ctx, const struct fl_bytes *values, size_t n, size_t *ret_n);
	void *merge_ctx; /* see state/store.h */
};

/* FL_EUNAVAILABLE: the module, or RocksDB, is not installed. */
struct fl_backend *fl_backend_open(const struct fl_backend_options *o, struct fl_err *err);
void fl_backend_close(struct fl_backend *b); /* NULL is fine */

/* How much the tables may hold before they have to be written. */
size_t fl_backend_cache_max(const struct fl_backend *b);

/* The value of an entry, appended to out. Nothing: the key is deleted. */
typedef void fl_backend_encode(void *ctx, const struct fl_entry *e, struct fl_buf *out);

/*
 * Write entries as one batch: begin, then write for one namespace after the other,
 * ascending, with their entries in any order, then end. part: their values are to be
 * merged with what is there; else they replace it. After an error there is no end. Values
 * are encoded in the calls; a thread writes them (behind.h): an error may be told by a
 * later call.
 */
int fl_backend_begin(struct fl_backend *b, struct fl_err *err);
int fl_backend_end(struct fl_backend *b, struct fl_err *err);
int fl_backend_write(struct fl_backend *b, struct fl_bytes ns, struct fl_entry *const *entries,
		     size_t n, bool part, fl_backend_encode *encode, void *ctx, struct fl_err *err);

/*
 * Values of n different keys; ret[i].p NULL: there is none. Valid until the next call.
 */
int fl_backend_get(struct fl_backend *b, struct fl_bytes ns, const struct fl_key *keys, size_t n,
		   struct fl_bytes *ret, struct fl_err *err);

/*
 * The same for many: each is called for every key, i its number, in the order of keys on
 * disk; the value is valid in the call. What was read is not held all at once.
 */
typedef int fl_backend_found(void *ctx, size_t i, struct fl_bytes value, struct fl_err *err);
int fl_backend_get_each(struct fl_backend *b, struct fl_bytes ns, const struct fl_key *keys,
			size_t n, fl_backend_found *each, void *ctx, struct fl_err *err);

/* All of a namespace is deleted. */
int fl_backend_drop(struct fl_backend *b, struct fl_bytes ns, struct fl_err *err);

/* All of the namespaces from .. to (not included). */
int fl_backend_drop_range(struct fl_backend *b, struct fl_bytes from, struct fl_bytes to,
			  struct fl_err *err);

/* All of a namespace, in the order of keys on disk, which is the same in all namespaces. */
struct fl_backend_walk;
struct fl_backend_walk *fl_backend_walk_open(struct fl_backend *b, struct fl_bytes ns);

/* All of the namespaces from .. to (not included), all of ns_len bytes. Copied. */
struct fl_backend_walk *fl_backend_walk_range(struct fl_backend *b, struct fl_bytes from,
					      struct fl_bytes to, size_t ns_len);

/*
 * 1, 0 at the end. order: the key on disk behind the namespace, which is the ns_len bytes
 * before it. Valid until the next.
 */
int fl_backend_walk_next(struct fl_backend_walk *w, struct fl_bytes *order, struct fl_key *key,
			 struct fl_bytes *value, struct fl_err *err);
void fl_backend_walk_close(struct fl_backend_walk *w);

/*
 * All of it as files in the new directory dir, durable but for its own name, as it is now:
 * it is begun, a thread makes it. fl_backend_checkpointed, in any thread, waits for it, and
 * tells whether it could be made.
 */
int fl_backend_checkpoint(struct fl_backend *b, const char *dir, struct fl_err *err);
int fl_backend_checkpointed(struct fl_backend *b, struct fl_err *err);

/*
 * Sorting by arrival number in bounded memory: any number of put, then finish, which
 * gives them in order. Numbers are different, but for a few that are given in any order.
 */
struct fl_arrivals;
struct fl_arrivals *fl_arrivals_new(struct fl_backend *b);
int fl_arrivals_put(struct fl_arrivals *a, uint64_t seq, const struct fl_key *key,
		    struct fl_bytes value, struct fl_err *err);

typedef int fl_arrivals_each(void *ctx, uint64_t seq, const struct fl_key *key,
			     struct fl_bytes value, struct fl_err *err);
int fl_arrivals_finish(struct fl_arrivals *a, fl_arrivals_each *each, void *ctx,
		       struct fl_err *err);
void fl_arrivals_free(struct fl_arrivals *a);

#endif
