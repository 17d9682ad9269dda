/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshot files. A block is closed when it holds BLOCK_TARGET bytes, so that one
 * read, one hash and one check of lengths serve thousands of entries; a longer entry
 * is a block by itself. Entries are borrowed from the block: nothing is allocated for
 * one, and a state of a gigabyte is loaded at the speed of reading it.
 *
 * Not compressed: a state is written at every barrier and read once, if ever, and the
 * fastest level of zlib is slower than the disk that it would save (some 100 MB/s a
 * core, which the stream needs for itself).
 *
 * An entry of an entries block, packed:
 *	u8 ns_len, u8 key_len, u16 value_len, u32 key_tags, ns, key, value
 * key_len 254: the key is NULL. key_len 255: three u32 follow the tags with the
 * lengths of all three, the others before them are 0.
 * A flat block: struct flat_head, the namespace, the entries (struct fl_state_flat and a
 * value, all of one size), then the keys longer than 16 bytes, in the order of their entries.
 * A section block: u32 version, u32 length of the name, the name, about.
 * An end block: u64 sections, u64 entries, u64 chain. chain is 0 at first; each block
 * makes it XXH3-64 of the block's hash, seeded with the chain before.
 */
#include "checkpoint/snapshot.h"

#include <stdlib.h>

#define XXH_INLINE_ALL /* other libraries export the same names, of other versions */
#include <xxhash.h>

#include "base/fault.h"
#include "base/io.h"
#include "checkpoint/below.h"
#include "checkpoint/blocks.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "snapshots are little-endian");

#define BLOCK_TARGET FL_KIB(512)

struct entry_head {
	uint8_t ns_len;
	uint8_t key_len;
	uint16_t value_len;
	uint32_t tags;
};
_Static_assert(sizeof(struct entry_head) == 8, "entry head");
#define NULL_KEY 254u
#define LONG_ENTRY 255u

struct section_head {
	uint32_t version;
	uint32_t name_len;
};

struct flat_head {
	uint32_t entry_size;
	uint32_t count;
	uint32_t ns_len;
	uint32_t zero;
};
_Static_assert(sizeof(struct fl_state_flat) == 40, "a flat entry");

struct end_block {
	uint64_t sections;
	uint64_t entries;
	uint64_t chain;
};

static uint64_t
add_to_chain(uint64_t chain, uint64_t hash)
{
	return XXH3_64bits_withSeed(&hash, sizeof hash, chain);
}

/* ---- saving --------------------------------------------------------------------- */

struct fl_save {
	int fd; /* -1: into out alone */
	const char *name;
	struct fl_buf out;   /* the block in hand; fd -1: the whole file */
	struct fl_buf *room; /* whose memory out has; NULL: its own */
	size_t block;        /* where its head lies in out; SIZE_MAX: none is begun */
	bool is_flat;        /* the block in hand */
	uint64_t size;       /* bytes before out (fd), or in all, after the end */
	uint64_t entries;
	uint64_t sections;
	uint64_t chain;
	uint64_t hash; /* of the block that was closed last */
	struct fl_err err;
};

struct fl_save *
fl_save_new(int fd, const char *name)
{
	struct fl_save *s = fl_xcalloc(1, sizeof *s);

	s->fd = fd;
	s->name = name;
	s->block = SIZE_MAX;
	fl_buf_put(&s->out, FL_STATE_MAGIC, FL_STATE_MAGIC_LEN);
	return s;
}

struct fl_save *
fl_save_new_in(struct fl_buf *room, const char *name)
{
	struct fl_save *s = fl_save_new(-1, name);

	fl_buf_release(&s->out);
	s->room = room;
	s->out = *room;
	fl_buf_clear(&s->out);
	fl_buf_put(&s->out, FL_STATE_MAGIC, FL_STATE_MAGIC_LEN);
	return s;
}

void
fl_save_free(struct fl_save *s)
{
	if (!s)
		return;
	if (s->room)
		*s->room = s->out;
	else
		fl_buf_release(&s->out);
	free(s);
}

static void
open_block(struct fl_save *s, enum fl_block_type type)
{
	struct fl_block_head h = { .type = (uint8_t)type };

	s->block = s->out.len;
	s->is_flat = type == FL_BLOCK_FLAT;
	fl_buf_put(&s->out, &h, sizeof h);
}

static size_t
payload_len(const struct fl_save *s)
{
	return s->out.len - s->block - sizeof(struct fl_block_head);
}

/* Hash the block that begins there; returns where the next one does. */
static size_t
seal_block(struct fl_save *s, size_t begin)
{
	char *at = s->out.data + begin;
	struct fl_block_head h;

	memcpy(&h, at, sizeof h);
	h.hash = fl__block_hash(&h, at + sizeof h);
	memcpy(at, &h, sizeof h);
	s->chain = add_to_chain(s->chain, h.hash);
	s->hash = h.hash;
	return begin + sizeof h + h.len;
}

/* The block in hand is complete: it is hashed and written; in memory, at the end. */
static void
close_block(struct fl_save *s)
{
	struct fl_block_head h;
	char *at;

	if (s->block == SIZE_MAX)
		return;
	at = s->out.data + s->block;
	memcpy(&h, at, sizeof h);
	h.len = (uint32_t)payload_len(s);
	memcpy(at, &h, sizeof h);
	if (s->fd >= 0)
		(void)seal_block(s, s->block);
	s->block = SIZE_MAX;
	if (s->fd < 0)
		return;
	FL_FAULT("state.write");
	if (!s->err.code)
		(void)fl_io_write(s->fd, s->out.data, s->out.len, s->name, &s->err);
	s->size += s->out.len;
	fl_buf_clear(&s->out);
}

void
fl_save_section(struct fl_save *s, const char *name, uint32_t version, const char *about)
{
	struct section_head h = { .version = version, .name_len = (uint32_t)strlen(name) };

	fl_assert(h.name_len > 0 && h.name_len <= FL_SECTION_NAME_MAX);
	if (s->err.code)
		return;
	close_block(s);
	open_block(s, FL_BLOCK_SECTION);
	fl_buf_put(&s->out, &h, sizeof h);
	fl_buf_put(&s->out, name, h.name_len);
	if (about)
		fl_buf_puts(&s->out, about);
	fl_assert(payload_len(s) <= FL_BLOCK_MAX);
	close_block(s);
	s->sections++;
}

/* The lengths of e, before its bytes. */
static void
put_entry_head(struct fl_save *s, const struct fl_state_entry *e)
{
	struct entry_head h = { .tags = e->key_tags };
	bool is_null = e->key_len == FL_STATE_NULL_KEY;

	if (e->ns_len <= UINT8_MAX && (is_null || e->key_len < NULL_KEY) &&
	    e->value_len <= UINT16_MAX) {
		h.ns_len = (uint8_t)e->ns_len;
		h.key_len = (uint8_t)(is_null ? NULL_KEY : e->key_len);
		h.value_len = (uint16_t)e->value_len;
		fl_buf_put(&s->out, &h, sizeof h);
	} else {
		uint32_t len[3] = { e->ns_len, e->key_len, e->value_len };

		h.key_len = LONG_ENTRY;
		fl_buf_put(&s->out, &h, sizeof h);
		fl_buf_put(&s->out, len, sizeof len);
	}
}

void
fl_save_entry(struct fl_save *s, const struct fl_state_entry *e)
{
	size_t key_len = e->key_len == FL_STATE_NULL_KEY ? 0 : e->key_len;
	size_t need = sizeof(struct entry_head) + 3 * sizeof(uint32_t) + (size_t)e->ns_len +
		      key_len + e->value_len;

	fl_assert(s->sections);
	if (s->err.code)
		return;
	if (need > FL_BLOCK_MAX) {
		(void)fl_fail(&s->err, FL_ELIMIT,
			      "%s: one entry of the state has %zu bytes; at most %zu can be saved",
			      s->name, need, FL_BLOCK_MAX);
		return;
	}
	if (s->block != SIZE_MAX && (s->is_flat || payload_len(s) + need > BLOCK_TARGET))
		close_block(s);
	if (s->block == SIZE_MAX)
		open_block(s, FL_BLOCK_ENTRIES);
	(void)fl_buf_reserve(&s->out, need);
	put_entry_head(s, e);
	fl_buf_put(&s->out, e->ns, e->ns_len);
	fl_buf_put(&s->out, e->key, key_len);
	fl_buf_put(&s->out, e->value, e->value_len);
	s->entries++;
}

uint32_t
fl_save_flat_room(uint32_t entry_size)
{
	return entry_size < BLOCK_TARGET ? BLOCK_TARGET / entry_size : 1;
}

char *
fl_save_flat(struct fl_save *s, const void *ns, uint32_t ns_len, uint32_t entry_size, uint32_t n,
	     size_t keys_len)
{
	struct flat_head h = { .entry_size = entry_size, .count = n, .ns_len = ns_len };
	size_t bytes = (size_t)entry_size * n + keys_len;
	char *at;

	fl_assert(s->sections && entry_size >= sizeof(struct fl_state_flat));
	if (s->err.code)
		return NULL;
	if (bytes > FL_BLOCK_MAX - sizeof h - ns_len) {
		(void)fl_fail(&s->err, FL_ELIMIT, "%s: %zu bytes of state cannot be saved at once",
			      s->name, bytes);
		return NULL;
	}
	close_block(s);
	open_block(s, FL_BLOCK_FLAT);
	fl_buf_put(&s->out, &h, sizeof h);
	fl_buf_put(&s->out, ns, ns_len);
	at = fl_buf_reserve(&s->out, bytes);
	s->out.len += bytes;
	s->entries += n;
	return at;
}

void
fl_save_bytes(struct fl_save *s, const char *name, const void *p, size_t n)
{
	struct fl_state_entry e = { .key = name, .key_len = (uint32_t)strlen(name), .value = p };

	if (n > FL_BLOCK_MAX && !s->err.code)
		(void)fl_fail(&s->err, FL_ELIMIT, "%s: \"%s\" of the state has %zu bytes", s->name,
			      name, n);
	e.value_len = (uint32_t)n;
	fl_save_entry(s, &e);
}

void
fl_save_int(struct fl_save *s, const char *name, int64_t v)
{
	fl_save_bytes(s, name, &v, sizeof v);
}

int
fl_save_end(struct fl_save *s, struct fl_err *err)
{
	struct end_block end;

	size_t at = FL_STATE_MAGIC_LEN;

	close_block(s);
	while (s->fd < 0 && at < s->out.len)
		at = seal_block(s, at);
	end = (struct end_block){ s->sections, s->entries, s->chain };
	open_block(s, FL_BLOCK_END);
	fl_buf_put(&s->out, &end, sizeof end);
	close_block(s);
	if (s->fd < 0)
		s->size = seal_block(s, at);
	if (s->err.code)
		*err = s->err;
	return s->err.code;
}

uint64_t
fl_save_size(const struct fl_save *s)
{
	return s->size;
}

uint64_t
fl_save_entries(const struct fl_save *s)
{
	return s->entries;
}

uint64_t
fl_save_hash(const struct fl_save *s)
{
	return s->hash;
}

const struct fl_buf *
fl_save_memory(const struct fl_save *s)
{
	return s->fd < 0 ? &s->out : NULL;
}

/* ---- loading -------------------------------------------------------------------- */

struct fl_load {
	struct fl_blocks *blocks;
	const char *name;
	struct fl_buf section;
	struct fl_block block; /* in hand */
	size_t pos;            /* within its payload */
	bool in_section;       /* a section block is in hand and not yet given out */
	bool ended;
	uint64_t entries, sections, chain;
	struct fl_err failed; /* the first error: behind it nothing is read */

	/* of a flat block */
	struct flat_head flat;
	uint32_t given;  /* entries */
	size_t keys_pos; /* of the next long key */
};

int
fl_load_damaged(const struct fl_load *l, const char *what, struct fl_err *err)
{
	return fl__block_damaged(l->name, l->block.offset + sizeof l->block.head + l->pos, what,
				 err);
}

static struct fl_load *
open_with(struct fl_blocks *blocks, const char *name)
{
	struct fl_load *l;

	if (!blocks)
		return NULL;
	l = fl_xcalloc(1, sizeof *l);
	l->blocks = blocks;
	l->name = name;
	return l;
}

struct fl_load *
fl_load_open(int dirfd, const char *name, struct fl_err *err)
{
	uint64_t size;
	int fd = fl__open_file(dirfd, name, &size, err);

	return fd < 0 ? NULL : open_with(fl__blocks_open(fd, size, name, err), name);
}

struct fl_load *
fl_load_from(const char *p, size_t n, const char *name, struct fl_err *err)
{
	return open_with(fl__blocks_from(p, n, name, err), name);
}

void
fl_load_close(struct fl_load *l)
{
	if (!l)
		return;
	fl__blocks_close(l->blocks);
	fl_buf_release(&l->section);
	free(l);
}

int
fl_load_expect(struct fl_load *l, uint64_t size, uint64_t hash, struct fl_err *err)
{
	uint64_t has = fl__blocks_size(l->blocks), at;
	struct fl_block_head last;

	if (has != size)
		return fl_fail(err, FL_EDATA, "%s: has %llu bytes, the manifest says %llu", l->name,
			       (unsigned long long)has, (unsigned long long)size);
	if (has < FL_STATE_MAGIC_LEN + sizeof last + sizeof(struct end_block))
		return fl__block_damaged(l->name, has, "it is too short to be a state", err);
	at = has - sizeof last - sizeof(struct end_block);
	if (fl__blocks_peek(l->blocks, at, &last, sizeof last, err) < 0)
		return err->code;
	if (last.hash != hash)
		return fl__block_damaged(l->name, at, "it is another file than the manifest names",
					 err);
	return 0;
}

uint64_t
fl_load_expected(const struct fl_load *l, uint64_t n)
{
	uint64_t max = fl__blocks_size(l->blocks) / sizeof(struct entry_head);

	return n < max ? n : max;
}

static int
take_end(struct fl_load *l, struct fl_err *err)
{
	const struct fl_block *b = &l->block;
	struct end_block end;

	if (b->head.len != sizeof end)
		return fl_load_damaged(l, "the end block has a wrong length", err);
	memcpy(&end, b->payload, sizeof end);
	if (end.sections != l->sections || end.entries != l->entries || end.chain != l->chain)
		return fl_load_damaged(l, "blocks are missing or not in their order", err);
	if (b->offset + sizeof b->head + b->head.len != fl__blocks_size(l->blocks))
		return fl__block_damaged(l->name, b->offset + sizeof b->head + b->head.len,
					 "there is something behind its end", err);
	l->ended = true;
	return 0;
}

/* The lengths of a flat block. */
static int
take_flat_head(struct fl_load *l, struct fl_err *err)
{
	struct flat_head *h = &l->flat;
	uint64_t left = l->block.head.len;

	if (left < sizeof *h)
		return fl_load_damaged(l, "a flat block is cut off", err);
	memcpy(h, l->block.payload, sizeof *h);
	left -= sizeof *h;
	if (h->zero || h->count == 0 || h->entry_size < sizeof(struct fl_state_flat) ||
	    h->ns_len > left || (uint64_t)h->count * h->entry_size > left - h->ns_len)
		return fl_load_damaged(l, "the lengths of a flat block", err);
	l->pos = sizeof *h + h->ns_len;
	l->keys_pos = l->pos + (size_t)h->count * h->entry_size;
	l->given = 0;
	return 1;
}

/* Advance to the next block that is of interest: 1, 0 at the end of the file. */
static int
next_block(struct fl_load *l, struct fl_err *err)
{
	if (l->ended)
		return 0;
	l->pos = 0;
	if (fl__blocks_next(l->blocks, &l->block, err) < 0)
		return err->code;
	if (l->block.head.type == FL_BLOCK_END)
		return take_end(l, err);
	l->chain = add_to_chain(l->chain, l->block.head.hash);
	if (l->block.head.type == FL_BLOCK_SECTION) {
		l->in_section = true;
		l->sections++;
		return 1;
	}
	if (l->block.head.len == 0 || l->sections == 0)
		return fl_load_damaged(l, "entries without a section, or an empty block", err);
	return l->block.head.type == FL_BLOCK_FLAT ? take_flat_head(l, err) : 1;
}

static int
parse_section(struct fl_load *l, struct fl_state_section *ret, struct fl_err *err)
{
	struct section_head h;

	if (l->block.head.len < sizeof h)
		return fl_load_damaged(l, "a section without a name", err);
	memcpy(&h, l->block.payload, sizeof h);
	if (h.name_len == 0 || h.name_len > FL_SECTION_NAME_MAX ||
	    h.name_len > l->block.head.len - sizeof h ||
	    memchr(l->block.payload + sizeof h, '\0', h.name_len))
		return fl_load_damaged(l, "a section without a proper name", err);
	*ret = (struct fl_state_section){ .version = h.version };
	memcpy(ret->name, l->block.payload + sizeof h, h.name_len);
	fl_buf_clear(&l->section);
	ret->about_len = (uint32_t)(l->block.head.len - sizeof h - h.name_len);
	fl_buf_put(&l->section, l->block.payload + sizeof h + h.name_len, ret->about_len);
	fl_buf_putc(&l->section, '\0');
	ret->about = l->section.data;
	l->pos = l->block.head.len;
	return 1;
}

int
fl_load_section(struct fl_load *l, struct fl_state_section *ret, struct fl_err *err)
{
	struct fl_state_entry skipped;
	int rc;

	/* also what is skipped is checked and counted */
	while ((rc = fl_load_entry(l, &skipped, err)) > 0)
		;
	if (rc < 0 || l->ended)
		return rc;
	fl_assert(l->in_section);
	l->in_section = false;
	rc = parse_section(l, ret, err);
	if (rc < 0)
		l->failed = *err;
	return rc;
}

static int
take_entry(struct fl_load *l, struct fl_state_entry *ret, struct fl_err *err)
{
	const char *p = l->block.payload + l->pos;
	uint64_t left = l->block.head.len - l->pos, total;
	struct entry_head h;
	uint32_t len[3];
	size_t key_len;

	if (left < sizeof h)
		return fl_load_damaged(l, "an entry is cut off", err);
	memcpy(&h, p, sizeof h);
	p += sizeof h;
	left -= sizeof h;
	len[0] = h.ns_len;
	len[1] = h.key_len == NULL_KEY ? FL_STATE_NULL_KEY : h.key_len;
	len[2] = h.value_len;
	if (h.key_len == LONG_ENTRY) {
		if (left < sizeof len || h.ns_len || h.value_len)
			return fl_load_damaged(l, "the lengths of an entry are cut off", err);
		memcpy(len, p, sizeof len);
		p += sizeof len;
		left -= sizeof len;
	}
	key_len = len[1] == FL_STATE_NULL_KEY ? 0 : len[1];
	total = (uint64_t)len[0] + key_len + len[2];
	if (total > left)
		return fl_load_damaged(l, "an entry is longer than its block", err);
	*ret = (struct fl_state_entry){ .ns = p,
					.ns_len = len[0],
					.key = p + len[0],
					.key_len = len[1],
					.key_tags = h.tags,
					.value = p + len[0] + key_len,
					.value_len = len[2] };
	l->pos = (size_t)(ret->value + len[2] - l->block.payload);
	l->entries++;
	return 1;
}

static int
take_flat_entry(struct fl_load *l, struct fl_state_entry *ret, struct fl_err *err)
{
	const char *p = l->block.payload + l->pos;
	struct fl_state_flat e;
	bool is_long;

	memcpy(&e, p, sizeof e);
	is_long = e.key_len > FL_STATE_SHORT_KEY && e.key_len != FL_STATE_NULL_KEY;
	if (is_long && e.key_len > l->block.head.len - l->keys_pos)
		return fl_load_damaged(l, "a key is longer than its block", err);
	*ret = (struct fl_state_entry){
		.ns = l->block.payload + sizeof l->flat,
		.ns_len = l->flat.ns_len,
		.key = is_long ? l->block.payload + l->keys_pos
			       : p + offsetof(struct fl_state_flat, key),
		.key_len = e.key_len,
		.key_tags = e.tags,
		.value = p + sizeof e,
		.value_len = l->flat.entry_size - (uint32_t)sizeof e,
		.is_flat = true,
		.flags = e.flags,
		.seq = e.seq,
	};
	l->keys_pos += is_long ? e.key_len : 0;
	l->pos += l->flat.entry_size;
	l->entries++;
	if (++l->given < l->flat.count)
		return 1;
	if (l->keys_pos != l->block.head.len)
		return fl_load_damaged(l, "there is something behind the keys", err);
	l->pos = l->block.head.len;
	return 1;
}

static bool
has_entries(const struct fl_load *l)
{
	return l->block.head.type == FL_BLOCK_ENTRIES || l->block.head.type == FL_BLOCK_FLAT;
}

bool
fl_load_block_ends(const struct fl_load *l)
{
	return l->pos == l->block.head.len || !has_entries(l);
}

/* Have the block of the next entry in hand: 1, 0 if there is none. */
static int
reach_entry(struct fl_load *l, struct fl_err *err)
{
	int rc = 1;

	if (l->failed.code) {
		*err = l->failed;
		return err->code;
	}
	while (rc > 0 && fl_load_block_ends(l)) {
		if (l->in_section || l->ended)
			return 0;
		rc = next_block(l, err);
	}
	if (rc < 0)
		l->failed = *err;
	return rc;
}

int
fl_load_entry(struct fl_load *l, struct fl_state_entry *ret, struct fl_err *err)
{
	int rc = reach_entry(l, err);

	if (rc > 0)
		rc = l->block.head.type == FL_BLOCK_FLAT ? take_flat_entry(l, ret, err)
							 : take_entry(l, ret, err);
	if (rc < 0)
		l->failed = *err;
	return rc;
}

int
fl_load_flats(struct fl_load *l, uint32_t entry_size, uint32_t max, struct fl_state_flats *ret,
	      struct fl_err *err)
{
	int rc = reach_entry(l, err);
	uint32_t n;

	if (rc <= 0 || l->block.head.type != FL_BLOCK_FLAT || l->flat.entry_size != entry_size ||
	    l->keys_pos != l->block.head.len)
		return rc < 0 ? rc : 0;
	n = l->flat.count - l->given;
	n = n < max ? n : max;
	*ret = (struct fl_state_flats){ .ns = l->block.payload + sizeof l->flat,
					.ns_len = l->flat.ns_len,
					.n = n,
					.entries = l->block.payload + l->pos };
	l->pos += (size_t)n * entry_size;
	l->given += n;
	l->entries += n;
	return 1;
}

int
fl_load_rest(struct fl_load *l, struct fl_err *err)
{
	struct fl_state_section ignored;
	int rc;

	while ((rc = fl_load_section(l, &ignored, err)) > 0)
		;
	return rc;
}

bool
fl_state_is(const struct fl_state_entry *e, const char *name)
{
	size_t n = strlen(name);

	return e->ns_len == 0 && e->key_len == n && memcmp(e->key, name, n) == 0;
}

int
fl_state_int(const struct fl_state_entry *e, int64_t *ret, struct fl_err *err)
{
	if (e->value_len != sizeof *ret)
		return fl_fail(err, FL_EDATA, "damaged state: a number of %u bytes", e->value_len);
	memcpy(ret, e->value, sizeof *ret);
	return 0;
}

void
fl_state_identity(const struct fl_state_section *s, const struct fl_state_entry *e,
		  uint64_t ret_key[2], uint64_t *ret_value)
{
	uint32_t len[2] = { e->ns_len, e->key_len };
	XXH3_state_t state;
	XXH128_hash_t h;

	(void)XXH3_128bits_reset(&state);
	(void)XXH3_128bits_update(&state, s->name, sizeof s->name);
	(void)XXH3_128bits_update(&state, len, sizeof len);
	(void)XXH3_128bits_update(&state, e->ns, e->ns_len);
	if (e->key_len != FL_STATE_NULL_KEY)
		(void)XXH3_128bits_update(&state, e->key, e->key_len);
	h = XXH3_128bits_digest(&state);
	ret_key[0] = h.high64;
	ret_key[1] = h.low64;
	*ret_value = XXH3_64bits_withSeed(e->value, e->value_len, e->key_tags);
}

int
fl_load_unknown(const struct fl_load *l, const struct fl_state_section *s, struct fl_err *err)
{
	return fl_fail(err, FL_EDATA,
		       "%s: the state has a part \"%s\" of version %u, which this release of flue "
		       "does not know",
		       l->name, s->name, s->version);
}
