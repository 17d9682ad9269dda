/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue of bytes that never makes its writer wait: in memory at first, then
 * in an unlinked temporary file (TMPDIR). It stands between a pipe that has to
 * be kept moving and an operator whose turn has not come. Private to lib/run.
 */
#ifndef FL_RUN_QUEUE_H
#define FL_RUN_QUEUE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/mem.h"

#define FL_QUEUE_MEMORY FL_MIB(4) /* held in memory before the file is used */

struct fl_queue {
	struct fl_buf mem;
	size_t mem_done;
	int fd; /* the spill file; -1: none */
	off_t file_done, file_len;
};

/*
 * A temporary file in TMPDIR that has no name: its descriptor, for reading and writing,
 * or FL_ECREATE. For others than the queue, too.
 */
int fl_temp_file(struct fl_err *err);

void fl_queue_init(struct fl_queue *q);
void fl_queue_release(struct fl_queue *q);

static inline bool
fl_queue_empty(const struct fl_queue *q)
{
	return q->mem_done == q->mem.len && q->file_done == q->file_len;
}

static inline uint64_t
fl_queue_bytes(const struct fl_queue *q)
{
	return q->mem.len - q->mem_done + (uint64_t)(q->file_len - q->file_done);
}

/* Append; FL_ECREATE or FL_EIO where the spill file fails. */
int fl_queue_push(struct fl_queue *q, const void *p, size_t n, struct fl_err *err);

/* Take up to n bytes from the front: how many, or FL_EIO. */
int64_t fl_queue_pop(struct fl_queue *q, void *to, size_t n, struct fl_err *err);

#endif
