/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part: a file that a sink writes from its beginning to its end, and that is not yet
 * the output. Small ones are written by the caller, large ones beside the computation.
 */
#ifndef TOOLS_CHECKPOINT_PART_H
#define TOOLS_CHECKPOINT_PART_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

struct fl_writeback;

struct fc_part {
	int fd;
	char *path;        /* as in messages */
	char *name;        /* as in the manifest */
	uint64_t number;   /* of a segment */
	uint64_t len;      /* bytes handed over so far */
	bool durable;      /* its name is: the directory was fsynced */
	int64_t opened_us; /* fl_clock_us */
	void *hash;        /* XXH3 of what was put since the last epoch */
	struct fl_writeback *writeback;
};

/* What one epoch wrote into one part. */
struct fc_piece {
	struct fc_part *part;
	uint64_t from, to;
	uint64_t hash; /* XXH3-64 of these bytes */
	bool last;     /* nothing more comes into the part */
};

/* fd is the part's from now on; path and name are copied. len: bytes that are there. */
struct fc_part *fc_part_new(int fd, const char *path, const char *name, uint64_t len);
void fc_part_free(struct fc_part *p); /* NULL is fine */

/* Append the content of b, which is empty afterwards. FL_EIO names the file. */
int fc_part_put(struct fc_part *p, struct fl_buf *b, struct fl_err *err);

/* Everything that was put is with the system. */
int fc_part_drain(struct fc_part *p, struct fl_err *err);

/* The hash of what was put since the last call. */
uint64_t fc_part_hash(struct fc_part *p);

/* From another thread: fsync. A failure is final. */
int fc_part_sync(const struct fc_part *p, struct fl_err *err);

/* From another thread: begin to bring to the disk what is with the system. */
void fc_part_hurry(const struct fc_part *p);

/* XXH3-64 of bytes, as the manifest has it. */
uint64_t fc_hash(const void *p, size_t n);

/* The same of bytes from..to of a file; *ret_hash. FL_EIO, FL_EDATA: it is shorter. */
int fc_hash_range(int fd, const char *path, uint64_t from, uint64_t to, uint64_t *ret_hash,
		  struct fl_err *err);

/* pread until n bytes are there; how many there were. */
int64_t fc_read_at(int fd, const char *path, uint64_t at, void *to, size_t n, struct fl_err *err);

/* pwrite all of it. */
int fc_write_at(int fd, const char *path, uint64_t at, const void *p, size_t n, struct fl_err *err);

#endif
