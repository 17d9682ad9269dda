/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of one operator in a checkpoint: a file of named sections, each a
 * list of entries. Written at a barrier, read at a restore, and shown to people
 * (fcheckpoint show) without the operator that wrote it.
 *
 *	fl_save_section(s, "groups", 1, "{…}");        then its entries
 *	fl_save_entry(s, &e); …
 *	fl_save_section(s, "timers", 1, NULL); …
 *
 *	while ((rc = fl_load_section(l, &section, err)) > 0)
 *		while ((rc = fl_load_entry(l, &e, err)) > 0)
 *			…
 *
 * An entry has a namespace (the bounds of a window, a side of a join; may be
 * empty), a key, and a value: bytes whose meaning the section's name and version
 * say. Sections are versioned each for itself: an operator reads those of all
 * versions that it ever wrote.
 *
 * File format, version 1, little-endian: magic "\x93FLST\r\n\x1a", then blocks
 *	u32 payload length, u8 type (1 section, 2 entries, 3 end, 4 flat), u8[3] zero,
 *	u64 XXH3-64 of those eight bytes and the payload, payload
 * so that a block that is damaged, cut off or missing is found, and named by its
 * offset. The last block, "end", has the number of sections and entries and a
 * hash over all blocks' hashes: blocks that were swapped or left out are found.
 *
 * Flat entries are of one size and lie in the file as a table has them in memory
 * (state/table.h): saving them is copying, and of a large state that is what the stream
 * waits for, or what it shares the processors with.
 *
 * Errors while saving are kept and told by the one who opened the file: a full
 * disk fails the checkpoint, not the stream. Errors while loading are FL_EDATA
 * with the file and offset.
 */
#ifndef FL_CHECKPOINT_SNAPSHOT_H
#define FL_CHECKPOINT_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

#define FL_STATE_NULL_KEY UINT32_MAX /* key_len of a key that is NULL */
#define FL_STATE_SHORT_KEY 16u       /* bytes of a key that lies in a flat entry */
#define FL_SECTION_NAME_MAX 63u

struct fl_state_entry {
	const char *ns;
	uint32_t ns_len;
	uint32_t key_len; /* or FL_STATE_NULL_KEY */
	const char *key;
	uint32_t key_tags; /* as in struct fl_key */
	uint32_t value_len;
	const char *value;

	/* when loaded from a flat block; else false, 0, 0 */
	bool is_flat;
	uint8_t flags;
	uint64_t seq;
};

/* How a flat entry begins; its value follows, up to the size of the entries. */
struct fl_state_flat {
	uint64_t seq; /* arrival number of the key */
	uint32_t zero;
	uint32_t key_len;             /* or FL_STATE_NULL_KEY */
	char key[FL_STATE_SHORT_KEY]; /* zero padded; a longer one stands behind the entries, this is 0 */
	uint32_t tags;
	uint8_t zero_byte;
	uint8_t flags; /* the operator's */
	uint8_t zeros[2];
};

/* Some of them, one behind the other; aligned to nothing. */
struct fl_state_flats {
	const char *ns;
	uint32_t ns_len;
	uint32_t n;
	const char *entries;
};

struct fl_state_section {
	char name[FL_SECTION_NAME_MAX + 1];
	uint32_t version;
	const char *about; /* JSON, or ""; borrowed until the next section */
	uint32_t about_len;
};

/* ---- saving ---- */

struct fl_save;

/*
 * Begin a section. about: JSON that tells fcheckpoint show what namespace and
 * value are, or NULL. Its members, all optional:
 *	"namespace": "window" (two int64 ms: start, end) | "side" (one byte) |
 *	             "arrival" (an int64, the arrival number of the key) | …
 *	"value": "aggregates" | "row" | "rows" | "int64" | "time" | "bytes"
 *	"aggregates": ["n=count", …]   for fl_aggs_load
 *	"columns": ["a", …]            of rows
 *	"flat": 8                      where in the value of a flat entry the accumulator begins
 */
void fl_save_section(struct fl_save *s, const char *name, uint32_t version, const char *about);
void fl_save_entry(struct fl_save *s, const struct fl_state_entry *e);

/*
 * Flat entries of one namespace. The caller writes n of entry_size bytes each to what this
 * returns (unaligned), and behind them keys_len bytes: the keys of more than 16 bytes.
 * NULL after an error. entry_size is a multiple of 8.
 */
char *fl_save_flat(struct fl_save *s, const void *ns, uint32_t ns_len, uint32_t entry_size,
		   uint32_t n, size_t keys_len);

/* How many entries of that size are best given at once. */
uint32_t fl_save_flat_room(uint32_t entry_size);

/* An entry of the section in hand with a name for a key: counters, positions. */
void fl_save_int(struct fl_save *s, const char *name, int64_t v);
void fl_save_bytes(struct fl_save *s, const char *name, const void *p, size_t n);

/*
 * Write to a descriptor (which stays the caller's; name is for messages and
 * borrowed), or, fd -1, into memory: fl_save_memory. Bytes go out in large pieces.
 */
struct fl_save *fl_save_new(int fd, const char *name);

/* Into the memory of a buffer, which is the caller's again after fl_save_free: for one who
 * saves often, as memory that is new is slow. */
struct fl_save *fl_save_new_in(struct fl_buf *room, const char *name);

/*
 * The end block, and, in memory, the hashes of all: what takes time then is here, and may be
 * in another thread. 0, or the first error of all the calls before.
 */
int fl_save_end(struct fl_save *s, struct fl_err *err);

/* How many bytes, entries; a hash of the file (of the end block). After fl_save_end. */
uint64_t fl_save_size(const struct fl_save *s);
uint64_t fl_save_entries(const struct fl_save *s);
uint64_t fl_save_hash(const struct fl_save *s);

/* In memory: the whole file, borrowed. */
const struct fl_buf *fl_save_memory(const struct fl_save *s);
void fl_save_free(struct fl_save *s); /* NULL is fine */

/* ---- loading ---- */

struct fl_load;

/* name is borrowed. FL_EDATA if it is no such file, FL_ENOINPUT if it cannot be read. */
struct fl_load *fl_load_open(int dirfd, const char *name, struct fl_err *err);
struct fl_load *fl_load_from(const char *p, size_t n, const char *name, struct fl_err *err);
void fl_load_close(struct fl_load *l); /* NULL is fine */

/*
 * Right after opening: whether it is the file of that size and fl_save_hash, as the
 * manifest names it. FL_EDATA: it is another one. Its blocks are checked as they come.
 */
int fl_load_expect(struct fl_load *l, uint64_t size, uint64_t hash, struct fl_err *err);

/* n, or how many entries a file of its size can have: where it says itself that n follow. */
uint64_t fl_load_expected(const struct fl_load *l, uint64_t n);

/* The next section (entries of the one in hand are skipped): 1, 0 at the end. */
int fl_load_section(struct fl_load *l, struct fl_state_section *ret, struct fl_err *err);

/*
 * The next entry of the section: 1, 0 if there is none. Borrowed until the next block of
 * the file is taken: until the next call if fl_load_block_ends.
 * After an error this and fl_load_section only repeat it.
 */
int fl_load_entry(struct fl_load *l, struct fl_state_entry *ret, struct fl_err *err);

/*
 * The next entries, at most max, as they lie, nothing of them looked at: if they are flat,
 * of entry_size bytes, and there are no long keys behind them. Else 0, and it is
 * fl_load_entry that says what comes. Borrowed as by that.
 */
int fl_load_flats(struct fl_load *l, uint32_t entry_size, uint32_t max, struct fl_state_flats *ret,
		  struct fl_err *err);

/* Take all that is left, to its end: then every byte of the file has been checked. */
int fl_load_rest(struct fl_load *l, struct fl_err *err);

/* Whether the next entry, if there is one, is of another block than the last. */
bool fl_load_block_ends(const struct fl_load *l);

/* Whether e is the entry that fl_save_int or fl_save_bytes wrote under a name. */
bool fl_state_is(const struct fl_state_entry *e, const char *name);

/* The value of an entry that fl_save_int wrote; FL_EDATA if it is none. */
int fl_state_int(const struct fl_state_entry *e, int64_t *ret, struct fl_err *err);

/*
 * Hashes to compare two states by: of section, namespace and key (128 bits: equal only
 * if these are), and of the value.
 */
void fl_state_identity(const struct fl_state_section *s, const struct fl_state_entry *e,
		       uint64_t ret_key[2], uint64_t *ret_value);

/* FL_EDATA: a section that this version of the operator does not know. */
int fl_load_unknown(const struct fl_load *l, const struct fl_state_section *s, struct fl_err *err);

/* FL_EDATA: the value of e is not what it should be; file and offset are named. */
int fl_load_damaged(const struct fl_load *l, const char *what, struct fl_err *err);

#endif
