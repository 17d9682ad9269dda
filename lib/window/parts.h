/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Aggregates in a state backend on disk: the values of keys, and how parts of one are
 * merged. Used by groups.c and slices.c.
 *
 * A value, version 1
 *	u64 arrival number of the key, i64 records, u32 tags of the key, u32 flags of the
 *	engine, then the accumulator (fl_aggs_save)
 * Parts of one key: the earlier arrival number and its tags, the sum of records, the
 * flags of both, the accumulators merged.
 */
#ifndef FL_WINDOW_PARTS_H
#define FL_WINDOW_PARTS_H

#include <pthread.h>

#include "checkpoint/snapshot.h"
#include "expr/agg.h"
#include "run/op.h"
#include "state/backend.h"

struct fl_part {
	uint64_t seq;
	int64_t records;
	uint32_t tags;
	uint32_t flags;
};

/* Both backends make what is in the store from a list of aggregates of their own, as
 * compaction merges in another thread. */
struct fl_parts {
	struct fl_backend *backend; /* NULL: memory */
	struct fl_aggs *aggs;       /* only under the lock */
	pthread_mutex_t lock;
	void *acc, *other;
	struct fl_buf merged;
};

/*
 * Open the backend that --backend asks for; memory: nothing happens. from: as for
 * fl_backend_open. Afterwards the tables' limit is p->backend's.
 */
int fl_parts_open(struct fl_parts *p, struct fl_run *run, const struct fl_aggs *aggs,
		  const char *from, struct fl_err *err);
void fl_parts_release(struct fl_parts *p);

void fl_part_put(struct fl_buf *out, const struct fl_part *part, const struct fl_aggs *aggs,
		 const void *acc);

/* The parts of a value; the accumulator goes into acc, which is initialised. FL_EDATA. */
int fl_part_get(struct fl_bytes value, struct fl_part *part, struct fl_aggs *aggs, void *acc,
		struct fl_err *err);

/* Only its head. */
int fl_part_head(struct fl_bytes value, struct fl_part *part, struct fl_err *err);

/*
 * In before_snapshot, all that changed has been written: the files of this checkpoint.
 * *ret_path is where they are, below the checkpoint directory; free it.
 */
int fl_parts_checkpoint(struct fl_parts *p, struct fl_run *run, char **ret_path,
			struct fl_err *err);

/* A section that names them, and says what they hold, instead of one with the entries. */
void fl_parts_save(struct fl_save *s, const char *path, const struct fl_header *in,
		   const struct fl_aggs *aggs, bool by_window);

/*
 * The next section: 0 it is the one called name, whose entries are to be read; 1 it
 * named files, and p's backend has them. FL_ECONFIG: another backend, another list.
 */
int fl_parts_load(struct fl_parts *p, struct fl_load *l, struct fl_run *run,
		  const struct fl_aggs *aggs, const struct fl_aggs_loader *loader, const char *name,
		  struct fl_err *err);

#endif
