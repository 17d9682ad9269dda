/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blocks that a state file consists of (see snapshot.h), read one after the other,
 * each with its checksum checked. Private to lib/checkpoint.
 *
 * Of a large file one thread reads some MiB ahead, and another checks what was read, so that
 * the disk, the checksums, and what is done with the entries do not wait for each other. From
 * the first bytes on that are not in the page cache it reads past it, where the file system
 * can.
 */
#ifndef FL_CHECKPOINT_BLOCKS_H
#define FL_CHECKPOINT_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define FL_STATE_MAGIC \
	"\x93" \
	"FLST\r\n\x1a"
#define FL_STATE_MAGIC_LEN 8u
#define FL_BLOCK_MAX ((size_t)1 << 30) /* of a payload */

enum fl_block_type { FL_BLOCK_SECTION = 1, FL_BLOCK_ENTRIES, FL_BLOCK_END, FL_BLOCK_FLAT };

struct fl_block_head {
	uint32_t len; /* of the payload */
	uint8_t type;
	uint8_t zero[3];
	uint64_t hash;
};

struct fl_block {
	struct fl_block_head head;
	uint64_t offset;     /* in the file, of the head */
	const char *payload; /* aligned to nothing */
};

/* What head.hash must be. */
uint64_t fl__block_hash(const struct fl_block_head *head, const void *payload);

/* FL_EDATA: name, byte offset, what. */
int fl__block_damaged(const char *name, uint64_t offset, const char *what, struct fl_err *err);

struct fl_blocks;

/*
 * From a descriptor, which is its own from here on; or from the bytes of a whole file, which
 * are borrowed, as name is. NULL: it does not begin as a state does, or cannot be read.
 */
struct fl_blocks *fl__blocks_open(int fd, uint64_t size, const char *name, struct fl_err *err);
struct fl_blocks *fl__blocks_from(const char *p, size_t n, const char *name, struct fl_err *err);
void fl__blocks_close(struct fl_blocks *b); /* NULL is fine */

uint64_t fl__blocks_size(const struct fl_blocks *b);

/* n bytes of the file from offset, which are there. Only before the first block is asked for. */
int fl__blocks_peek(struct fl_blocks *b, uint64_t offset, void *to, size_t n, struct fl_err *err);

/*
 * The next block; *ret is valid until the next call. There is one: the caller stops at the
 * block that is the end. Not to be called again after an error.
 */
int fl__blocks_next(struct fl_blocks *b, struct fl_block *ret, struct fl_err *err);

#endif
