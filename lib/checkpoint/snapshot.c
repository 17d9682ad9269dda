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
 * An entry, packed:
 *	u8 ns_len, u8 key_len, u16 value_len, u32 key_tags, ns, key, value
 * key_len 254: the key is NULL. key_len 255: three u32 follow the tags with the
 * lengths of all three, the others before them are 0.
 * A section block: u32 version, u32 length of the name, the name, about.
 * An end block: u64 sections, u64 entries, u64 chain. chain is 0 at first; each block
 * makes it XXH3-64 of the block's hash, seeded with the chain before.
 */
#define _GNU_SOURCE /* O_NOFOLLOW */
#include "checkpoint/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL /* other libraries export the same names, of other versions */
#include <xxhash.h>

#include "base/fault.h"
#include "base/io.h"
#include "checkpoint/below.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "snapshots are little-endian");

#define MAGIC \
	"\x93" \
	"FLST\r\n\x1a"
#define MAGIC_LEN 8u
#define BLOCK_TARGET FL_KIB(512)
#define BLOCK_MAX ((size_t)1 << 30) /* of a payload: the longest entry */

enum block_type { BLOCK_SECTION = 1, BLOCK_ENTRIES, BLOCK_END };

struct block_head {
	uint32_t len;
	uint8_t type;
	uint8_t zero[3];
	uint64_t hash;
};
_Static_assert(sizeof(struct block_head) == 16, "block head");
#define HASHED offsetof(struct block_head, hash)

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

struct end_block {
	uint64_t sections;
	uint64_t entries;
	uint64_t chain;
};

static uint64_t
hash_block(const struct block_head *h, const void *payload)
{
	XXH3_state_t state;

	(void)XXH3_64bits_reset(&state);
	(void)XXH3_64bits_update(&state, h, HASHED);
	(void)XXH3_64bits_update(&state, payload, h->len);
	return XXH3_64bits_digest(&state);
}

static uint64_t
add_to_chain(uint64_t chain, uint64_t hash)
{
	return XXH3_64bits_withSeed(&hash, sizeof hash, chain);
}

/* ---- saving --------------------------------------------------------------------- */

struct fl_save {
	int fd; /* -1: into out alone */
	const char *name;
	struct fl_buf out; /* the block in hand; fd -1: the whole file */
	size_t block;      /* where its head lies in out; SIZE_MAX: none is begun */
	uint64_t size;     /* bytes before out (fd), or in all, after the end */
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
	fl_buf_put(&s->out, MAGIC, MAGIC_LEN);
	return s;
}

void
fl_save_free(struct fl_save *s)
{
	if (!s)
		return;
	fl_buf_release(&s->out);
	free(s);
}

static void
open_block(struct fl_save *s, enum block_type type)
{
	struct block_head h = { .type = (uint8_t)type };

	s->block = s->out.len;
	fl_buf_put(&s->out, &h, sizeof h);
}

static size_t
payload_len(const struct fl_save *s)
{
	return s->out.len - s->block - sizeof(struct block_head);
}

/* Hash the block in hand, and write it. */
static void
close_block(struct fl_save *s)
{
	struct block_head h;
	char *at;

	if (s->block == SIZE_MAX)
		return;
	at = s->out.data + s->block;
	memcpy(&h, at, sizeof h);
	h.len = (uint32_t)payload_len(s);
	h.hash = hash_block(&h, at + sizeof h);
	memcpy(at, &h, sizeof h);
	s->chain = add_to_chain(s->chain, h.hash);
	s->hash = h.hash;
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
	open_block(s, BLOCK_SECTION);
	fl_buf_put(&s->out, &h, sizeof h);
	fl_buf_put(&s->out, name, h.name_len);
	if (about)
		fl_buf_puts(&s->out, about);
	fl_assert(payload_len(s) <= BLOCK_MAX);
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
	if (need > BLOCK_MAX) {
		(void)fl_fail(&s->err, FL_ELIMIT,
			      "%s: one entry of the state has %zu bytes; at most %zu can be saved",
			      s->name, need, BLOCK_MAX);
		return;
	}
	if (s->block != SIZE_MAX && payload_len(s) + need > BLOCK_TARGET)
		close_block(s);
	if (s->block == SIZE_MAX)
		open_block(s, BLOCK_ENTRIES);
	(void)fl_buf_reserve(&s->out, need);
	put_entry_head(s, e);
	fl_buf_put(&s->out, e->ns, e->ns_len);
	fl_buf_put(&s->out, e->key, key_len);
	fl_buf_put(&s->out, e->value, e->value_len);
	s->entries++;
}

void
fl_save_bytes(struct fl_save *s, const char *name, const void *p, size_t n)
{
	struct fl_state_entry e = { .key = name, .key_len = (uint32_t)strlen(name), .value = p };

	if (n > BLOCK_MAX && !s->err.code)
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

	close_block(s);
	end = (struct end_block){ s->sections, s->entries, s->chain };
	open_block(s, BLOCK_END);
	fl_buf_put(&s->out, &end, sizeof end);
	close_block(s);
	if (s->fd < 0)
		s->size = s->out.len;
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
	int fd; /* -1: from memory */
	const char *name;
	const char *memory; /* with fd -1: the whole file */
	uint64_t size;      /* of the file */
	uint64_t offset;    /* in the file: of the next block's head */
	struct fl_buf buf;  /* the payload in hand, and the next block's head */
	struct fl_buf section;
	struct block_head head; /* of the block in hand */
	struct block_head next; /* of the one behind it, if fd; read with the payload */
	bool have_next;
	const char *payload; /* of the block in hand */
	size_t pos;          /* within it */
	bool in_section;     /* a section block is in hand and not yet given out */
	bool ended;
	uint64_t entries, sections, chain;
	struct fl_err failed; /* the first error: behind it nothing is read */
};

/* Where the block in hand begins in the file. */
static uint64_t
block_offset(const struct fl_load *l)
{
	return l->offset - sizeof l->head - l->head.len;
}

static int
damaged_at(const struct fl_load *l, uint64_t offset, const char *what, struct fl_err *err)
{
	return fl_fail(err, FL_EDATA, "%s: damaged at byte %llu: %s", l->name,
		       (unsigned long long)offset, what);
}

int
fl_load_damaged(const struct fl_load *l, const char *what, struct fl_err *err)
{
	return damaged_at(l, block_offset(l) + sizeof l->head + l->pos, what, err);
}

/* n bytes from the descriptor, all of them. */
static int
read_all(struct fl_load *l, void *to, size_t n, struct fl_err *err)
{
	for (size_t done = 0; done < n;) {
		int64_t got = fl_io_read(l->fd, (char *)to + done, n - done, l->name, err);

		if (got < 0)
			return (int)got;
		if (got == 0)
			return damaged_at(l, l->offset + done, "the file became shorter", err);
		done += (size_t)got;
	}
	return 0;
}

static int
take_magic(struct fl_load *l, struct fl_err *err)
{
	char magic[MAGIC_LEN];

	if (l->size < MAGIC_LEN)
		return damaged_at(l, l->size, "it ends within its first eight bytes", err);
	if (l->fd < 0)
		memcpy(magic, l->memory, MAGIC_LEN);
	else if (read_all(l, magic, MAGIC_LEN, err) < 0)
		return err->code;
	if (memcmp(magic, MAGIC, MAGIC_LEN) != 0)
		return damaged_at(l, 0, "this is no state of an operator", err);
	l->offset = MAGIC_LEN;
	return 0;
}

static struct fl_load *
open_with(struct fl_load *l, struct fl_err *err)
{
	if (take_magic(l, err) == 0)
		return l;
	fl_load_close(l);
	return NULL;
}

struct fl_load *
fl_load_open(int dirfd, const char *name, struct fl_err *err)
{
	struct fl_load *l;
	uint64_t size;
	int fd = fl__open_file(dirfd, name, &size, err);

	if (fd < 0)
		return NULL;
	/* pages are taken once and in order */
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	l = fl_xcalloc(1, sizeof *l);
	l->fd = fd;
	l->name = name;
	l->size = size;
	return open_with(l, err);
}

struct fl_load *
fl_load_from(const char *p, size_t n, const char *name, struct fl_err *err)
{
	struct fl_load *l = fl_xcalloc(1, sizeof *l);

	l->fd = -1;
	l->memory = p;
	l->name = name;
	l->size = n;
	return open_with(l, err);
}

void
fl_load_close(struct fl_load *l)
{
	if (!l)
		return;
	if (l->fd >= 0)
		(void)close(l->fd);
	fl_buf_release(&l->buf);
	fl_buf_release(&l->section);
	free(l);
}

int
fl_load_expect(struct fl_load *l, uint64_t size, uint64_t hash, struct fl_err *err)
{
	struct block_head last;
	uint64_t at = l->size - sizeof last - sizeof(struct end_block);

	if (l->size != size)
		return fl_fail(err, FL_EDATA, "%s: has %llu bytes, the manifest says %llu", l->name,
			       (unsigned long long)l->size, (unsigned long long)size);
	if (l->size < MAGIC_LEN + sizeof last + sizeof(struct end_block))
		return damaged_at(l, l->size, "it is too short to be a state", err);
	if (l->fd < 0) {
		memcpy(&last, l->memory + at, sizeof last);
	} else {
		off_t here = lseek(l->fd, 0, SEEK_CUR);

		if (lseek(l->fd, (off_t)at, SEEK_SET) < 0 ||
		    read_all(l, &last, sizeof last, err) < 0 || lseek(l->fd, here, SEEK_SET) < 0)
			return fl_fail_errno(err, FL_EIO, errno, "cannot read %s", l->name);
	}
	if (last.hash != hash)
		return damaged_at(l, at, "it is another file than the manifest names", err);
	return 0;
}

/* The head of the next block into l->head; the payload is checked to be there. */
static int
take_head(struct fl_load *l, struct fl_err *err)
{
	struct block_head h;
	uint64_t left = l->size - l->offset;

	if (left < sizeof h)
		return damaged_at(l, l->offset,
				  left ? "it ends within a block" : "its end is missing", err);
	if (l->fd < 0)
		memcpy(&h, l->memory + l->offset, sizeof h);
	else if (l->have_next)
		h = l->next;
	else if (read_all(l, &h, sizeof h, err) < 0)
		return err->code;
	l->have_next = false;
	if (h.type < BLOCK_SECTION || h.type > BLOCK_END || h.zero[0] || h.zero[1] || h.zero[2] ||
	    h.len > BLOCK_MAX)
		return damaged_at(l, l->offset, "no block begins here", err);
	if (h.len > left - sizeof h)
		return damaged_at(l, l->offset, "it ends within this block", err);
	l->head = h;
	return 0;
}

/* The next block: head, payload, checksum. */
static int
take_block(struct fl_load *l, struct fl_err *err)
{
	uint64_t at = l->offset, behind;
	size_t also;
	int rc = take_head(l, err);

	if (rc < 0) {
		l->head.len = 0;
		return rc;
	}
	behind = l->size - at - sizeof l->head - l->head.len;
	also = l->fd >= 0 && behind >= sizeof l->next ? sizeof l->next : 0;
	l->pos = 0;
	l->offset = at + sizeof l->head;
	if (l->fd < 0) {
		l->payload = l->memory + l->offset;
	} else {
		/* one call of the system a block: the next one's head comes along */
		fl_buf_clear(&l->buf);
		l->payload = fl_buf_reserve(&l->buf, l->head.len + also + 1);
		rc = read_all(l, l->buf.data, l->head.len + also, err);
		if (rc < 0)
			return rc;
		memcpy(&l->next, l->buf.data + l->head.len, also);
		l->have_next = also > 0;
	}
	l->offset += l->head.len;
	if (hash_block(&l->head, l->payload) != l->head.hash)
		return damaged_at(l, at, "the checksum of this block is wrong", err);
	return 0;
}

static int
take_end(struct fl_load *l, struct fl_err *err)
{
	struct end_block end;

	if (l->head.len != sizeof end)
		return fl_load_damaged(l, "the end block has a wrong length", err);
	memcpy(&end, l->payload, sizeof end);
	if (end.sections != l->sections || end.entries != l->entries || end.chain != l->chain)
		return fl_load_damaged(l, "blocks are missing or not in their order", err);
	if (l->offset != l->size)
		return damaged_at(l, l->offset, "there is something behind its end", err);
	l->ended = true;
	return 0;
}

/* Advance to the next block that is of interest: 1, 0 at the end of the file. */
static int
next_block(struct fl_load *l, struct fl_err *err)
{
	int rc;

	if (l->ended)
		return 0;
	rc = take_block(l, err);
	if (rc < 0)
		return rc;
	if (l->head.type == BLOCK_END)
		return take_end(l, err);
	l->chain = add_to_chain(l->chain, l->head.hash);
	if (l->head.type == BLOCK_SECTION) {
		l->in_section = true;
		l->sections++;
		return 1;
	}
	if (l->head.len == 0 || l->sections == 0)
		return fl_load_damaged(l, "entries without a section, or an empty block", err);
	return 1;
}

static int
parse_section(struct fl_load *l, struct fl_state_section *ret, struct fl_err *err)
{
	struct section_head h;

	if (l->head.len < sizeof h)
		return fl_load_damaged(l, "a section without a name", err);
	memcpy(&h, l->payload, sizeof h);
	if (h.name_len == 0 || h.name_len > FL_SECTION_NAME_MAX ||
	    h.name_len > l->head.len - sizeof h || memchr(l->payload + sizeof h, '\0', h.name_len))
		return fl_load_damaged(l, "a section without a proper name", err);
	*ret = (struct fl_state_section){ .version = h.version };
	memcpy(ret->name, l->payload + sizeof h, h.name_len);
	fl_buf_clear(&l->section);
	ret->about_len = (uint32_t)(l->head.len - sizeof h - h.name_len);
	fl_buf_put(&l->section, l->payload + sizeof h + h.name_len, ret->about_len);
	fl_buf_putc(&l->section, '\0');
	ret->about = l->section.data;
	l->pos = l->head.len;
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
	const char *p = l->payload + l->pos;
	uint64_t left = l->head.len - l->pos, total;
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
	l->pos = (size_t)(ret->value + len[2] - l->payload);
	l->entries++;
	return 1;
}

int
fl_load_entry(struct fl_load *l, struct fl_state_entry *ret, struct fl_err *err)
{
	int rc = 1;

	if (l->failed.code) {
		*err = l->failed;
		return err->code;
	}
	while (rc > 0 && (l->pos == l->head.len || l->head.type != BLOCK_ENTRIES)) {
		if (l->in_section || l->ended)
			return 0;
		rc = next_block(l, err);
	}
	if (rc > 0)
		rc = take_entry(l, ret, err);
	if (rc < 0)
		l->failed = *err;
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
