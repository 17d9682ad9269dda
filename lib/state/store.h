/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a module with a store on disk offers (rocksdb.c), as one table of functions that
 * it exports under the name FL_STORE_SYMBOL. For backend.c alone.
 *
 * A store is an ordered map from bytes to bytes. It is written in sorted batches only,
 * and read in ranges or by sorted lists of keys: never a get or put a record. Under one
 * key there may be a whole value, and parts that came later; whoever reads gets them
 * merged (merge of the options), and so does compaction, in a thread of its own.
 */
#ifndef FL_STATE_STORE_H
#define FL_STATE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define FL_STORE_SYMBOL "fl_store_module"
#define FL_STORE_VERSION 3u
#define FL_STORE_LANES 3u

struct fl_store;
struct fl_store_iter;

struct fl_bytes {
	const char *p;
	size_t n;
};

struct fl_store_options {
	const char *dir;    /* made if it is not there */
	size_t cache_bytes; /* for blocks that were read */
	size_t write_bytes; /* for what is being written */
	/*
	 * Merge n >= 2 values, the oldest first, into memory from malloc; NULL: they cannot
	 * be. Called in any thread, one call at a time.
	 */
	char *(*merge)(void *ctx, const struct fl_bytes *values, size_t n, size_t *ret_n);
	void *merge_ctx;
};

struct fl_store_ops {
	uint32_t version;
	struct fl_store *(*open)(const struct fl_store_options *o, struct fl_err *err);
	void (*close)(struct fl_store *s);

	/*
	 * One batch, keys ascending, each once: begin, put … put, end. A value of which p is
	 * NULL: the key is deleted.
	 */
	int (*write_begin)(struct fl_store *s, struct fl_err *err);
	int (*write_put)(struct fl_store *s, struct fl_bytes key, struct fl_bytes value, bool part,
			 struct fl_err *err);
	int (*write_end)(struct fl_store *s, struct fl_err *err);

	/* Keys from .. to (not included) go. */
	int (*drop_range)(struct fl_store *s, struct fl_bytes from, struct fl_bytes to,
			  struct fl_err *err);

	/* After drop_range, before anything is read. */
	int (*settle)(struct fl_store *s, struct fl_err *err);

	/*
	 * Values of keys, ascending; p NULL where there is none. Valid until the next get in
	 * this lane, of FL_STORE_LANES, in each of which one thread may get at a time.
	 */
	int (*get)(struct fl_store *s, unsigned lane, const struct fl_bytes *keys, size_t n,
		   struct fl_bytes *ret, struct fl_err *err);

	/* Keys from .. to (not included; borrowed) in order. next: 1, 0 at the end. */
	struct fl_store_iter *(*iter_open)(struct fl_store *s, struct fl_bytes from,
					   struct fl_bytes to);
	int (*iter_next)(struct fl_store_iter *it, struct fl_bytes *key, struct fl_bytes *value,
			 struct fl_err *err);
	void (*iter_close)(struct fl_store_iter *it);

	/* All of it as files in a new directory, by hard links where possible, durable. */
	int (*checkpoint)(struct fl_store *s, const char *dir, struct fl_err *err);
};

#endif
