/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a store (store.h) behind the operator's back: batches, deletions and checkpoints
 * are queued, in order, and a thread does them, so that neither a barrier nor records wait
 * for the disk. Reading waits until everything queued is done. For backend.c alone.
 *
 * A batch is handed over in pieces while it is gathered; what is queued is bounded, and who
 * would queue more waits.
 *
 * A batch that could not be written is lost to the store: the error is kept, and every
 * later call but fl_behind_close returns it. A checkpoint that could not be made fails
 * alone.
 */
#ifndef FL_STATE_BEHIND_H
#define FL_STATE_BEHIND_H

#include "state/store.h"

struct fl_behind;

/* ops and store are borrowed; queue_max in bytes, of keys and values. */
struct fl_behind *fl_behind_new(const struct fl_store_ops *ops, struct fl_store *store,
				size_t queue_max);

/* Waits for the thread. NULL is fine. */
void fl_behind_close(struct fl_behind *b);

/* One batch: begin, put … put, end, as of struct fl_store_ops. Bytes are copied. */
int fl_behind_begin(struct fl_behind *b, struct fl_err *err);
int fl_behind_put(struct fl_behind *b, struct fl_bytes key, struct fl_bytes value, bool part,
		  struct fl_err *err);
int fl_behind_end(struct fl_behind *b, struct fl_err *err);

int fl_behind_drop(struct fl_behind *b, struct fl_bytes from, struct fl_bytes to,
		   struct fl_err *err);

/*
 * All that was queued is done: the store may be read by this thread. Does not wait where
 * the queue is empty.
 */
int fl_behind_settle(struct fl_behind *b, struct fl_err *err);

/*
 * Work of the caller's for the thread, after what is queued: run(ctx), also after an error.
 * It tells of itself in ctx, which may be looked at after fl_behind_settle.
 */
int fl_behind_run(struct fl_behind *b, void (*run)(void *ctx), void *ctx, struct fl_err *err);

/*
 * Queue a checkpoint. What has become of the last one is told by fl_behind_checkpointed,
 * which waits for it, and may be called by any thread.
 */
int fl_behind_checkpoint(struct fl_behind *b, const char *dir, struct fl_err *err);
int fl_behind_checkpointed(struct fl_behind *b, struct fl_err *err);

#endif
