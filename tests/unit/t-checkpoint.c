/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots, manifests and the checkpoint directory: round trips, damage, locks, cleaning. */
#define _GNU_SOURCE /* mkdtemp, nftw */
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fuzz/reseal.h"
#include "base/io.h"
#include "checkpoint/dir.h"
#include "checkpoint/manifest.h"
#include "checkpoint/snapshot.h"
#include "tap.h"

static struct fl_err err;

static uint64_t seed = 42;

static uint64_t
rnd(uint64_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % below;
}

/* ---- a directory for each test ------------------------------------------------------- */

static char root[200], path[400];

static int
remove_one(const char *p, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(p);
}

static void
begin_test(void)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(root, sizeof root, "%s/flue-t-checkpoint.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(root))
		fl_assert(!"mkdtemp");
	(void)snprintf(path, sizeof path, "%s/ckpt", root);
}

static void
end_test(void)
{
	(void)nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Put n bytes into a file below the test's directory, as it is. */
static void
put_file(const char *name, const void *p, size_t n)
{
	char full[800];
	FILE *f;

	(void)snprintf(full, sizeof full, "%s/%s", path, name);
	f = fopen(full, "wb");
	fl_assert(f && fwrite(p, 1, n, f) == n && fclose(f) == 0);
}

static bool
exists(const char *name)
{
	char full[800];
	struct stat st;

	(void)snprintf(full, sizeof full, "%s/%s", path, name);
	return lstat(full, &st) == 0;
}

/* The mode of a file, 0 if there is none. */
static unsigned
mode_of(const char *name)
{
	char full[800];
	struct stat st;

	(void)snprintf(full, sizeof full, "%s/%s", path, name);
	return lstat(full, &st) == 0 ? (unsigned)st.st_mode & 07777 : 0;
}

/* Open the directory as begin does, with a new attempt. */
static void
open_begun(struct fl_ckdir *d, struct fl_attempt *a)
{
	char *names[] = { (char *)"" };

	fl_assert(fl_ckdir_open(d, path, true, &err) == 0);
	fl_assert(fl_ckdir_lock_alone(d, 0, &err) == 0);
	*a = (struct fl_attempt){ .sinks = 1, .retain = 3, .pid = getpid() };
	a->sources = names;
	a->source_count = 1;
	fl_assert(fl_ckdir_begin(d, a, &err) == 0);
	a->sources = NULL;
	a->source_count = 0;
}

/* ---- snapshots ----------------------------------------------------------------------- */

/* A small state with all kinds of entries. */
static struct fl_save *
small_state(int fd)
{
	struct fl_save *s = fl_save_new(fd, "small");
	static char longer[70000];
	struct fl_state_entry e = {
		.ns = "\0\1", .ns_len = 2, .key = "k\0y", .key_len = 3, .key_tags = 5, .value = "v"
	};

	memset(longer, 'x', sizeof longer);
	fl_save_section(s, "groups", 7, "{\"value\": \"bytes\"}");
	e.value_len = 1;
	fl_save_entry(s, &e);
	e.key_len = FL_STATE_NULL_KEY;
	e.ns_len = 0;
	fl_save_entry(s, &e);
	e.key = longer;
	e.key_len = 254; /* the lengths that the short form keeps for itself */
	fl_save_entry(s, &e);
	e.key_len = 255;
	fl_save_entry(s, &e);
	e.key_len = 0;
	e.value = longer;
	e.value_len = 66000;
	fl_save_entry(s, &e);
	fl_save_section(s, "empty", 1, NULL);
	fl_save_section(s, "counters", 2, NULL);
	fl_save_int(s, "seen", -3);
	fl_save_bytes(s, "where", "a\0b", 3);
	fl_assert(fl_save_end(s, &err) == 0);
	return s;
}

static void
check_entry(struct fl_load *l, size_t ns_len, uint32_t key_len, size_t value_len, const char *what)
{
	struct fl_state_entry e;

	tap_ok(fl_load_entry(l, &e, &err) == 1 && e.ns_len == ns_len && e.key_len == key_len &&
		       e.value_len == value_len && e.key_tags == 5,
	       "%s", what);
}

static void
check_small(struct fl_load *l)
{
	struct fl_state_section s;
	struct fl_state_entry e;
	int64_t v = 0;

	tap_ok(fl_load_section(l, &s, &err) == 1 && s.version == 7, "a section");
	tap_eq_str(s.name, "groups", "its name");
	tap_eq_str(s.about, "{\"value\": \"bytes\"}", "what it says about itself");
	tap_ok(fl_load_entry(l, &e, &err) == 1 && e.ns_len == 2 && e.key_len == 3 &&
		       memcmp(e.ns, "\0\1", 2) == 0 && memcmp(e.key, "k\0y", 3) == 0 &&
		       e.value_len == 1 && e.value[0] == 'v',
	       "an entry with NUL bytes in it");
	check_entry(l, 0, FL_STATE_NULL_KEY, 1, "a NULL key is not the empty one");
	check_entry(l, 0, 254, 1, "a key of 254 bytes");
	check_entry(l, 0, 255, 1, "a key of 255 bytes");
	check_entry(l, 0, 0, 66000, "a value of 66,000 bytes");
	tap_eq_int(fl_load_entry(l, &e, &err), 0, "the section's end");
	tap_eq_int(fl_load_entry(l, &e, &err), 0, "it stays the end");
	tap_ok(fl_load_section(l, &s, &err) == 1 && strcmp(s.name, "empty") == 0 &&
		       s.about_len == 0,
	       "a section about which nothing is said");
	tap_ok(fl_load_section(l, &s, &err) == 1 && strcmp(s.name, "counters") == 0,
	       "the one behind an empty one");
	tap_ok(fl_load_entry(l, &e, &err) == 1 && fl_state_is(&e, "seen") &&
		       !fl_state_is(&e, "see") && fl_state_int(&e, &v, &err) == 0 && v == -3,
	       "a number by its name");
	tap_ok(fl_load_entry(l, &e, &err) == 1 && fl_state_is(&e, "where") && e.value_len == 3 &&
		       fl_state_int(&e, &v, &err) == FL_EDATA,
	       "bytes by their name are no number");
	tap_eq_int(fl_load_section(l, &s, &err), 0, "the end");
	tap_eq_int(fl_load_section(l, &s, &err), 0, "it stays the end, too");
}

static void
snapshot_round_trip(void)
{
	struct fl_save *s = small_state(-1), *file;
	const struct fl_buf *b = fl_save_memory(s);
	struct fl_load *l = fl_load_from(b->data, b->len, "memory", &err);
	struct fl_buf text = { 0 };
	struct fl_ckdir d;
	int fd;

	tap_ok(l != NULL, "a snapshot in memory opens");
	check_small(l);
	fl_load_close(l);
	tap_eq_int((int64_t)fl_save_entries(s), 7, "entries are counted");
	tap_eq_int((int64_t)fl_save_size(s), (int64_t)b->len, "bytes are counted");

	begin_test();
	fl_assert(fl_ckdir_open(&d, path, true, &err) == 0);
	fd = openat(d.fd, "small.state", O_RDWR | O_CREAT, 0600);
	file = small_state(fd);
	(void)close(fd);
	tap_ok(fl_ckdir_read(&d, "small.state", FL_MIB(1), &text, &err) == 0 &&
		       text.len == b->len && memcmp(text.data, b->data, b->len) == 0,
	       "a file has the same bytes as memory");
	tap_ok(fl_save_size(file) == b->len && fl_save_hash(file) == fl_save_hash(s),
	       "the same size and hash");
	l = fl_load_open(d.fd, "small.state", &err);
	tap_ok(l && fl_load_expect(l, fl_save_size(s), fl_save_hash(s), &err) == 0,
	       "it is the file that was expected");
	check_small(l);
	fl_load_close(l);
	l = fl_load_open(d.fd, "small.state", &err);
	tap_eq_int(fl_load_expect(l, fl_save_size(s), fl_save_hash(s) + 1, &err), FL_EDATA,
		   "another hash is another file");
	tap_eq_int(fl_load_expect(l, fl_save_size(s) + 1, fl_save_hash(s), &err), FL_EDATA,
		   "another size is another file");
	fl_load_close(l);
	tap_ok(!fl_load_open(d.fd, "none.state", &err) && err.code == FL_ENOINPUT,
	       "a file that is not there");
	fl_ckdir_close(&d);
	fl_buf_release(&text);
	fl_save_free(s);
	fl_save_free(file);
	end_test();
}

/* Read all of it: the code at its end. */
static int
load_all(const char *p, size_t n)
{
	struct fl_load *l = fl_load_from(p, n, "damaged", &err);
	struct fl_state_section s;
	struct fl_state_entry e;
	int rc;

	if (!l)
		return err.code;
	while ((rc = fl_load_section(l, &s, &err)) > 0)
		while ((rc = fl_load_entry(l, &e, &err)) > 0)
			;
	fl_load_close(l);
	return rc;
}

/* Two flat entries with values of eight bytes; the second has a long key. */
static void
save_flat(struct fl_save *s, const char *ns)
{
	static const char longer[] = "a key of 22 characters";
	struct fl_state_flat e[2] = {
		{ .seq = 5, .key_len = 3, .key = "abc", .tags = 7, .flags = 2 },
		{ .seq = 6, .key_len = sizeof longer - 1, .tags = 1 },
	};
	uint32_t size = sizeof e[0] + 8;
	char *at = fl_save_flat(s, ns, (uint32_t)strlen(ns), size, 2, sizeof longer - 1);

	memcpy(at, &e[0], sizeof e[0]);
	memcpy(at + sizeof e[0], "value  1", 8);
	memcpy(at + size, &e[1], sizeof e[1]);
	memcpy(at + size + sizeof e[1], "value  2", 8);
	memcpy(at + 2 * (size_t)size, longer, sizeof longer - 1);
}

static void
snapshot_flat(void)
{
	struct fl_state_entry e = { .key = "key", .key_len = 3, .value = "value", .value_len = 5 };
	struct fl_save *s = fl_save_new(-1, "flat");
	struct fl_buf room = { 0 };
	const struct fl_buf *b = fl_save_memory(s);
	struct fl_state_section section;
	struct fl_load *l;

	fl_save_section(s, "a", 1, NULL);
	save_flat(s, "");
	fl_save_entry(s, &e);
	save_flat(s, "ns");
	fl_assert(fl_save_end(s, &err) == 0);
	tap_eq_int((int64_t)fl_save_entries(s), 5, "flat entries are counted");
	l = fl_load_from(b->data, b->len, "flat", &err);
	fl_assert(fl_load_section(l, &section, &err) == 1);
	tap_ok(fl_load_block_ends(l) && fl_load_entry(l, &e, &err) == 1 && e.is_flat &&
		       e.seq == 5 && e.flags == 2 && e.key_tags == 7 && e.key_len == 3 &&
		       memcmp(e.key, "abc", 3) == 0 && e.value_len == 8 && e.ns_len == 0 &&
		       memcmp(e.value, "value  1", 8) == 0,
	       "a flat entry");
	tap_ok(!fl_load_block_ends(l) && fl_load_entry(l, &e, &err) == 1 && e.seq == 6 &&
		       e.key_len == 22 && memcmp(e.key, "a key of 22", 11) == 0 &&
		       memcmp(e.value, "value  2", 8) == 0 && fl_load_block_ends(l),
	       "one with a long key, the last of its block");
	tap_ok(fl_load_entry(l, &e, &err) == 1 && !e.is_flat && e.seq == 0 && e.value_len == 5,
	       "behind them one that is not flat");
	tap_ok(fl_load_entry(l, &e, &err) == 1 && e.is_flat && e.ns_len == 2 &&
		       memcmp(e.ns, "ns", 2) == 0 && fl_load_entry(l, &e, &err) == 1 &&
		       e.ns_len == 2 && fl_load_entry(l, &e, &err) == 0,
	       "and flat ones of a namespace, to the end");
	tap_eq_int(fl_load_section(l, &section, &err), 0, "of the file");
	fl_load_close(l);
	fl_save_free(s);
	for (int i = 0; i < 2; i++) {
		s = fl_save_new_in(&room, "room");
		fl_save_section(s, "a", 1, NULL);
		save_flat(s, "");
		fl_assert(fl_save_end(s, &err) == 0);
		b = fl_save_memory(s);
		l = fl_load_from(b->data, b->len, "room", &err);
		tap_ok(l && fl_load_section(l, &section, &err) == 1 &&
			       fl_load_entry(l, &e, &err) == 1 && room.cap == (i ? b->cap : 0),
		       "memory of the caller's, %s", i ? "again" : "once");
		fl_load_close(l);
		fl_save_free(s);
	}
	fl_buf_release(&room);
}

/* A snapshot of few bytes, so that each bit can be tried. */
static struct fl_save *
tiny_state(void)
{
	struct fl_save *s = fl_save_new(-1, "tiny");
	struct fl_state_entry e = { .key = "key", .key_len = 3, .value = "value", .value_len = 5 };

	fl_save_section(s, "a", 1, NULL);
	fl_save_entry(s, &e);
	fl_save_section(s, "b", 1, "{}");
	fl_save_int(s, "n", 1);
	save_flat(s, "x");
	fl_assert(fl_save_end(s, &err) == 0);
	return s;
}

static void
snapshot_damage(void)
{
	struct fl_save *s = tiny_state();
	const struct fl_buf *b = fl_save_memory(s);
	unsigned cut = 0, flipped = 0;
	char *p = fl_xstrndup(b->data, b->len);

	tap_eq_int(load_all(p, b->len), 0, "the sound one");
	for (size_t n = 0; n < b->len; n++) {
		char *exact = fl_xmalloc(n ? n : 1); /* reading behind its end is found */

		memcpy(exact, p, n);
		cut += load_all(exact, n) == FL_EDATA;
		free(exact);
	}
	tap_eq_int(cut, (int64_t)b->len, "each truncation is found");
	for (size_t bit = 0; bit < b->len * 8; bit++) {
		p[bit / 8] = (char)(p[bit / 8] ^ 1 << bit % 8);
		flipped += load_all(p, b->len) == FL_EDATA &&
			   strstr(err.msg, "damaged: ") == err.msg;
		p[bit / 8] = (char)(p[bit / 8] ^ 1 << bit % 8);
	}
	tap_eq_int(flipped, (int64_t)b->len * 8, "each flipped bit is found, and the file named");
	p = fl_xrealloc(p, b->len + 1);
	p[b->len] = '\0';
	tap_eq_int(load_all(p, b->len + 1), FL_EDATA, "a byte behind its end is found");
	free(p);
	fl_save_free(s);
}

/* Where the blocks of a snapshot begin: at most max offsets, the end block's last. */
static size_t
blocks_of(const struct fl_buf *b, size_t *at, size_t max)
{
	size_t n = 0;

	for (size_t pos = 8; pos < b->len && n < max; n++) {
		uint32_t len;

		at[n] = pos;
		memcpy(&len, b->data + pos, sizeof len);
		pos += 16 + len;
	}
	return n;
}

/* Each block is sound, but they are not all there, or not in their order. */
static void
snapshot_blocks(void)
{
	struct fl_save *s = tiny_state();
	const struct fl_buf *b = fl_save_memory(s);
	struct fl_buf t = { 0 };
	size_t at[8], n = blocks_of(b, at, 8);

	tap_eq_int((int64_t)n, 6, "two sections, their entries, flat ones, the end");
	fl_buf_put(&t, b->data, at[2]);
	fl_buf_put(&t, b->data + at[5], b->len - at[5]);
	tap_eq_int(load_all(t.data, t.len), FL_EDATA, "blocks left out are missed");
	fl_buf_clear(&t);
	fl_buf_put(&t, b->data, 8);
	fl_buf_put(&t, b->data + at[2], at[5] - at[2]);
	fl_buf_put(&t, b->data + at[0], at[2] - at[0]);
	fl_buf_put(&t, b->data + at[5], b->len - at[5]);
	tap_eq_int(load_all(t.data, t.len), FL_EDATA, "blocks that were swapped are found");
	fl_buf_clear(&t);
	fl_buf_put(&t, b->data, 8);
	fl_buf_put(&t, b->data + at[1], b->len - at[1]);
	tap_eq_int(load_all(t.data, t.len), FL_EDATA, "entries before any section");
	fl_buf_release(&t);
	fl_save_free(s);
}

/* Lengths and types that lie, under a right checksum. */
static void
snapshot_hostile(void)
{
	static const uint8_t lies[] = { 0, 1, 2, 3, 127, 128, 253, 254, 255 };
	struct fl_save *s = tiny_state();
	const struct fl_buf *b = fl_save_memory(s);
	char *p = fl_xmalloc(b->len);
	size_t at[8], n = blocks_of(b, at, 8);
	unsigned tried = 0, wrong = 0;

	for (size_t i = 8; i < b->len; i++) {
		for (size_t k = 0; k < sizeof lies; k++) {
			int rc;

			memcpy(p, b->data, b->len);
			p[i] = (char)lies[k];
			reseal_snapshot(p, b->len);
			rc = load_all(p, b->len);
			wrong += rc != 0 && rc != FL_EDATA;
			tried++;
		}
	}
	tap_ok(wrong == 0 && tried > 1000, "%u lies are refused or make no difference", tried);
	memcpy(p, b->data, b->len);
	p[at[1] + 16 + 2] = 6; /* the value's length: one more than there is */
	reseal_snapshot(p, b->len);
	tap_ok(load_all(p, b->len) == FL_EDATA && strstr(err.msg, "longer than its block"),
	       "a value that would end behind its block");
	memcpy(p, b->data, b->len);
	p[at[1] + 16 + 1] = (char)255; /* the long form, for which there are 8 bytes */
	reseal_snapshot(p, b->len);
	tap_eq_int(load_all(p, b->len), FL_EDATA, "lengths that are cut off");
	memcpy(p, b->data, b->len);
	p[at[0] + 16 + 4] = 64; /* the section's name */
	reseal_snapshot(p, b->len);
	tap_eq_int(load_all(p, b->len), FL_EDATA, "a name that is too long");
	memcpy(p, b->data, b->len);
	p[at[4] + 16 + 4] = 3; /* one more flat entry than there is */
	reseal_snapshot(p, b->len);
	tap_ok(load_all(p, b->len) == FL_EDATA && strstr(err.msg, "flat block"),
	       "more flat entries than there are");
	memcpy(p, b->data, b->len);
	p[at[4] + 16 + 16 + 1 + 48 + 12] = 23; /* the length of the long key */
	reseal_snapshot(p, b->len);
	tap_ok(load_all(p, b->len) == FL_EDATA && strstr(err.msg, "longer than its block"),
	       "a key that would end behind its block");
	memcpy(p, b->data, b->len);
	memset(p + at[1], 0xff, 4); /* a block of 4 GiB */
	tap_eq_int(load_all(p, b->len), FL_EDATA, "a block that is longer than the file");
	memcpy(p, b->data, b->len);
	p[at[n - 1] + 16] = 9; /* sections, says the end */
	reseal_snapshot(p, b->len);
	tap_eq_int(load_all(p, b->len), FL_EDATA, "counts that do not fit");
	free(p);
	fl_save_free(s);
}

static void
snapshot_large(void)
{
	enum { N = 300000 };
	struct fl_save *s = fl_save_new(-1, "large");
	const struct fl_buf *b = fl_save_memory(s);
	struct fl_state_section section;
	struct fl_state_entry e;
	struct fl_load *l;
	uint64_t before;
	uint32_t i;
	int rc;

	seed = 7;
	fl_save_section(s, "many", 1, NULL);
	for (i = 0; i < N; i++) {
		char key[32], value[300];

		e = (struct fl_state_entry){ .key = key, .value = value, .key_tags = i };
		e.key_len = (uint32_t)snprintf(key, sizeof key, "key-%u", i);
		e.value_len = (uint32_t)rnd(sizeof value);
		memset(value, (int)(i & 0xff), sizeof value);
		fl_save_entry(s, &e);
	}
	fl_assert(fl_save_end(s, &err) == 0);
	before = seed;
	seed = 7;
	l = fl_load_from(b->data, b->len, "large", &err);
	rc = fl_load_section(l, &section, &err);
	for (i = 0; rc > 0 && (rc = fl_load_entry(l, &e, &err)) > 0; i++) {
		uint32_t len = (uint32_t)rnd(300);

		if (e.key_tags != i || e.value_len != len ||
		    (len && (uint8_t)e.value[len - 1] != (i & 0xff)))
			break;
	}
	tap_ok(rc == 0 && i == N && seed == before, "300,000 entries over many blocks");
	fl_load_close(l);
	fl_save_free(s);
}

/* How much of a file is in the page cache, in pages. */
static size_t
cached(int fd)
{
	size_t size = (size_t)lseek(fd, 0, SEEK_END), page = (size_t)sysconf(_SC_PAGESIZE), n = 0;
	size_t pages = (size + page - 1) / page;
	unsigned char *in = calloc(pages, 1);
	void *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

	fl_assert(in && p != MAP_FAILED && mincore(p, size, in) == 0);
	for (size_t i = 0; i < pages; i++)
		n += in[i] & 1;
	(void)munmap(p, size);
	free(in);
	return n;
}

static void
drop(int fd)
{
	fl_assert(fsync(fd) == 0);
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

/* The same file, of which so many pages from the first on are in the page cache. */
static struct fl_load *
open_with_cached(const struct fl_ckdir *d, int fd, uint32_t pages)
{
	char page[4096];

	drop(fd);
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	for (uint32_t i = 0; i < pages; i++)
		(void)pread(fd, page, sizeof page, (off_t)i * (off_t)sizeof page);
	return fl_load_open(d->fd, "ahead.state", &err);
}

/*
 * Large files are read ahead, as far as they are in the page cache from there, and then
 * past it.
 */
static void
snapshot_ahead(uint32_t pages)
{
	enum { N = 200000 };
	struct fl_state_section section;
	struct fl_state_entry e = { .key = "k", .key_len = 1, .value_len = 20 };
	char value[20] = { 0 }, *bytes;
	struct fl_save *s;
	struct fl_buf text = { 0 };
	struct fl_load *l;
	struct fl_ckdir d;
	uint32_t i = 0;
	int fd, rc;

	begin_test();
	fl_assert(fl_ckdir_open(&d, path, true, &err) == 0);
	fd = openat(d.fd, "ahead.state", O_RDWR | O_CREAT, 0600);
	s = fl_save_new(fd, "ahead");
	fl_save_section(s, "many", 1, NULL);
	e.value = value;
	for (i = 0; i < N; i++) {
		memcpy(value, &i, sizeof i);
		fl_save_entry(s, &e);
	}
	fl_assert(fl_save_end(s, &err) == 0);
	l = open_with_cached(&d, fd, pages);
	tap_eq_int(fl_load_expect(l, fl_save_size(s), fl_save_hash(s), &err), 0,
		   "%u pages in the page cache: a large file is the expected one", pages);
	fl_save_free(s);
	(void)fl_load_section(l, &section, &err);
	for (i = 0; (rc = fl_load_entry(l, &e, &err)) > 0; i++)
		if (memcmp(e.value, &i, sizeof i) != 0)
			break;
	tap_ok(rc == 0 && i == N, "%u entries of it, in their order", i);
	tap_eq_int(fl_load_section(l, &section, &err), 0, "its end");
	fl_load_close(l);
	l = open_with_cached(&d, fd, pages);
	(void)fl_load_section(l, &section, &err);
	tap_ok(fl_load_entry(l, &e, &err) == 1, "one of which little is read");
	fl_load_close(l);
	fl_assert(fl_ckdir_read(&d, "ahead.state", FL_MIB(16), &text, &err) == 0);
	bytes = text.data;
	bytes[text.len / 2] ^= 1;
	fl_assert(pwrite(fd, bytes, text.len, 0) == (ssize_t)text.len);
	l = open_with_cached(&d, fd, pages);
	(void)fl_load_section(l, &section, &err);
	for (i = 0; (rc = fl_load_entry(l, &e, &err)) > 0; i++)
		;
	tap_ok(rc == FL_EDATA && i > N / 4 && i < N / 2 && strstr(err.msg, "checksum"),
	       "damage in its middle, behind %u good entries", i);
	tap_eq_int(fl_load_entry(l, &e, &err), FL_EDATA, "which is said again");
	fl_load_close(l);
	fl_assert(ftruncate(fd, (off_t)text.len / 3) == 0);
	l = open_with_cached(&d, fd, pages);
	tap_ok(fl_load_section(l, &section, &err) == 1 && (rc = fl_load_section(l, &section, &err)) < 0
		       && strstr(err.msg, "ends within"),
	       "a file that was cut off");
	fl_load_close(l);
	(void)close(fd);
	fl_buf_release(&text);
	fl_ckdir_close(&d);
	end_test();
}

/* What was not in the page cache is not brought there: the memory is wanted for the state. */
static void
snapshot_past_cache(void)
{
	struct fl_save *s;
	struct fl_load *l;
	struct fl_ckdir d;
	char *bytes = calloc(1, FL_MIB(8));
	bool can;
	int fd;

	begin_test();
	fl_assert(bytes && fl_ckdir_open(&d, path, true, &err) == 0);
	fd = openat(d.fd, "ahead.state", O_RDWR | O_CREAT, 0600);
	s = fl_save_new(fd, "ahead");
	fl_save_section(s, "one", 1, NULL);
	fl_save_bytes(s, "large", bytes, FL_MIB(8));
	fl_assert(fl_save_end(s, &err) == 0);
	fl_save_free(s);
	drop(fd);
	can = cached(fd) == 0 && fl_io_set_direct(fd, true) && fl_io_set_direct(fd, false);
	l = fl_load_open(d.fd, "ahead.state", &err);
	fl_assert(fl_load_rest(l, &err) == 0);
	fl_load_close(l);
	if (can)
		tap_ok(cached(fd) < 512, "of 2,048 pages that are read few stay in memory: %zu",
		       cached(fd));
	else
		tap_skip("what is read stays not in memory", "these files are always there");
	(void)close(fd);
	free(bytes);
	fl_ckdir_close(&d);
	end_test();
}

static void
snapshot_full_disk(void)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct fl_save *s = small_state(-1), *full;

	fl_save_free(s);
	full = fl_save_new(fd, "full");
	fl_save_section(full, "a", 1, NULL);
	fl_save_int(full, "n", 1);
	tap_eq_int(fl_save_end(full, &err), FL_EIO, "a full disk is told at the end");
	fl_save_free(full);
	(void)close(fd);
}

/* ---- manifests ------------------------------------------------------------------------ */

static void
fill_op(struct fl_ck_op *op, const char *uid, uint64_t id)
{
	char name[FL_CHECKPOINT_NAME_MAX];

	fl_ck_file(name, uid, 1, "state");
	*op = (struct fl_ck_op){ .uid = fl_xstrdup(uid),
				 .tool = fl_xstrdup("freduce"),
				 .state = { fl_xstrdup(name), 10, UINT64_MAX - 1 },
				 .backend = fl_xstrdup("memory"),
				 .checkpoint = id,
				 .entries = 5,
				 .duration_ms = 12,
				 .stall_us = 13,
				 .align_ms = 14 };
}

static void
fill_sink(struct fl_ck_sink *s, const char *file)
{
	*s = (struct fl_ck_sink){ .uid = fl_xstrdup("commit"),
				  .kind = fl_xstrdup("file"),
				  .path = fl_xstrdup("/data/\xff"
						     "out.csv"),
				  .dev = UINT64_MAX,
				  .ino = 9,
				  .base = 100,
				  .committed = 200,
				  .tail_len = 4096,
				  .tail_hash = 77,
				  .pending = fl_xcalloc(1, sizeof *s->pending),
				  .pending_count = 1,
				  .records = 6,
				  .more = fl_xstrdup("{\"segment\": 3}") };
	s->pending[0] = (struct fl_ck_pending){ fl_xstrdup(file), 3, 8, 99 };
}

static void
add_lineage(struct fl_header *h)
{
	fl_header_init(h);
	h->lineage = fl_xcalloc(1, sizeof *h->lineage);
	h->lineage_count = 1;
	h->lineage[0].uid = fl_xstrdup("begin-1");
	h->lineage[0].tool = fl_xstrdup("fcheckpoint");
	memcpy(h->lineage[0].instance, "0123456789abcdef", 17);
}

static void
fill_manifest(struct fl_manifest *m, uint64_t id)
{
	*m = (struct fl_manifest){ .id = id, .attempt = 1, .time_ms = 1700, .barrier_ms = 1600 };
	m->ops = fl_xcalloc(2, sizeof *m->ops);
	m->op_count = 2;
	fill_op(&m->ops[0], "freduce-1", 0);
	fill_op(&m->ops[1], "orders.fkeyby-1", 0);
	m->ops[0].files = fl_xcalloc(1, sizeof *m->ops[0].files);
	m->ops[0].file_count = 1;
	m->ops[0].files[0] = (struct fl_ck_part){ fl_xstrdup("freduce-1.a1.files/000012.sst"), 3,
						  4 };
	m->sinks = fl_xcalloc(1, sizeof *m->sinks);
	m->sink_count = 1;
	fill_sink(&m->sinks[0], "commit.a1.3");
	m->sources = fl_xcalloc(1, sizeof *m->sources);
	m->source_count = 1;
	m->sources[0] = (struct fl_ck_source){ fl_xstrdup(""), fl_xstrdup("in.csv"), 5, 6 };
	add_lineage(&m->lineage);
}

static void
manifest_round_trip(void)
{
	struct fl_manifest m, r;
	struct fl_buf text = { 0 }, again = { 0 };

	fill_manifest(&m, 12);
	m.savepoint = true;
	m.finished = true;
	fl_manifest_encode(&m, &text);
	tap_eq_int(fl_manifest_decode(&r, text.data, text.len, &err), 0, "a manifest is read");
	fl_manifest_encode(&r, &again);
	tap_ok(text.len == again.len && memcmp(text.data, again.data, text.len) == 0,
	       "and written again it is the same");
	tap_ok(r.id == 12 && r.attempt == 1 && r.time_ms == 1700 && r.savepoint && r.finished,
	       "what it says of itself");
	tap_ok(fl_manifest_op(&r, "orders.fkeyby-1") == &r.ops[1] &&
		       !fl_manifest_op(&r, "fkeyby-1"),
	       "operators by their uid");
	tap_ok(r.ops[0].state.hash == UINT64_MAX - 1 && r.ops[0].stall_us == 13 &&
		       r.ops[0].files[0].size == 3,
	       "an operator's share");
	tap_eq_str(r.sinks[0].path, m.sinks[0].path, "a path that is not UTF-8");
	tap_ok(r.sinks[0].dev == UINT64_MAX && r.sinks[0].pending[0].to == 8, "a sink's share");
	tap_eq_str(r.lineage.lineage[0].uid, "begin-1", "the operators of the job");
	fl_manifest_release(&m);
	fl_manifest_release(&r);
	fl_buf_release(&text);
	fl_buf_release(&again);
}

/* How many truncations and flipped bits of text are not found by decode. */
static unsigned
not_found(struct fl_buf *text, int (*decode)(const char *p, size_t n))
{
	unsigned missed = 0;

	for (size_t n = 0; n < text->len; n++)
		missed += decode(text->data, n) != FL_EDATA;
	for (size_t bit = 0; bit < text->len * 8; bit++) {
		text->data[bit / 8] = (char)(text->data[bit / 8] ^ 1 << bit % 8);
		missed += decode(text->data, text->len) != FL_EDATA;
		text->data[bit / 8] = (char)(text->data[bit / 8] ^ 1 << bit % 8);
	}
	return missed;
}

static int
decode_manifest(const char *p, size_t n)
{
	struct fl_manifest m;
	int rc = fl_manifest_decode(&m, p, n, &err);

	if (rc == 0)
		fl_manifest_release(&m);
	return rc;
}

static int
decode_done(const char *p, size_t n)
{
	struct fl_ck_done d;
	int rc = fl_ck_done_decode(&d, p, n, &err);

	if (rc == 0)
		fl_ck_done_release(&d);
	return rc;
}

static void
fill_done(struct fl_ck_done *d, uint64_t id)
{
	*d = (struct fl_ck_done){ .id = id, .attempt = 1 };
	fill_op(&d->op, "commit", id);
	d->sink = fl_xcalloc(1, sizeof *d->sink);
	fill_sink(d->sink, "commit.a1.3");
	d->source = fl_xcalloc(1, sizeof *d->source);
	*d->source = (struct fl_ck_source){ fl_xstrdup(""), fl_xstrdup("in.csv"), 5, 6 };
	add_lineage(&d->lineage);
}

static void
sealed_damage(void)
{
	struct fl_buf text = { 0 };
	struct fl_manifest m;
	struct fl_ck_done d;

	fill_manifest(&m, 12);
	fl_manifest_encode(&m, &text);
	tap_eq_int(decode_manifest(text.data, text.len), 0, "a sound manifest");
	tap_eq_int(not_found(&text, decode_manifest), 0,
		   "each truncation and flipped bit of a manifest is found");
	fl_manifest_release(&m);
	fl_buf_clear(&text);
	fill_done(&d, 12);
	fl_ck_done_encode(&d, &text);
	tap_eq_int(decode_done(text.data, text.len), 0, "a sound .done");
	tap_eq_int(not_found(&text, decode_done), 0,
		   "each truncation and flipped bit of a .done is found");
	fl_ck_done_release(&d);
	fl_buf_release(&text);
}

/* Names in a manifest that would lead elsewhere, under a right checksum. */
static void
hostile_names(void)
{
	static const char *const names[] = {
		"../x", "/etc/passwd", "a/../../x",         ".x",       "a//b", "", "a/", "a b",
		"a\nb", "a/b/c/d",     "chk-0000000001\\x", "\xc3\xa4",
	};
	struct fl_buf text = { 0 };
	unsigned refused = 0;

	for (size_t i = 0; i < FL_ARRAY_LEN(names); i++) {
		for (unsigned where = 0; where < 4; where++) {
			struct fl_manifest m;
			char **name;

			fill_manifest(&m, 12);
			name = where == 0   ? &m.ops[0].state.name
			       : where == 1 ? &m.ops[0].files[0].name
			       : where == 2 ? &m.sinks[0].pending[0].file
					    : &m.ops[1].uid;
			free(*name);
			*name = fl_xstrdup(names[i]);
			fl_buf_clear(&text);
			fl_manifest_encode(&m, &text);
			refused += decode_manifest(text.data, text.len) == FL_EDATA;
			fl_manifest_release(&m);
		}
	}
	tap_eq_int(refused, 4 * (int64_t)FL_ARRAY_LEN(names),
		   "names that lead elsewhere are refused");
	fl_buf_release(&text);
}

static void
uids(void)
{
	char longest[FL_UID_MAX + 2];

	memset(longest, 'a', sizeof longest);
	longest[FL_UID_MAX] = '\0';
	tap_ok(fl_uid_check("orders.fkeyby-1_x", &err) == 0, "a uid");
	tap_ok(fl_uid_check(longest, &err) == 0, "one of 64 bytes");
	longest[FL_UID_MAX] = 'a';
	longest[FL_UID_MAX + 1] = '\0';
	tap_ok(fl_uid_check(longest, &err) == FL_EUSAGE, "one of 65 bytes");
	tap_ok(fl_uid_check("", &err) == FL_EUSAGE && fl_uid_check(".a", &err) == FL_EUSAGE &&
		       fl_uid_check("A", &err) == FL_EUSAGE &&
		       fl_uid_check("a/b", &err) == FL_EUSAGE,
	       "empty, hidden, upper case, a path");
}

/* ---- the directory --------------------------------------------------------------------- */

static void
opening(void)
{
	struct fl_ckdir d;

	begin_test();
	tap_eq_int(fl_ckdir_open(&d, path, false, &err), FL_ENOINPUT,
		   "a directory that is not there");
	tap_eq_int(fl_ckdir_open(&d, path, true, &err), 0, "is created");
	tap_ok(d.path[0] == '/' && mode_of("") == 0700 && mode_of("lock") == 0600,
	       "for its owner alone");
	fl_ckdir_close(&d);
	tap_eq_int(fl_ckdir_open(&d, path, false, &err), 0, "and then it is there");
	fl_ckdir_close(&d);
	(void)chmod(path, 0770);
	tap_ok(fl_ckdir_open(&d, path, false, &err) == FL_ECONFIG && strstr(err.msg, "chmod"),
	       "one that others can write is refused");
	(void)chmod(path, 0755);
	tap_eq_int(fl_ckdir_open(&d, path, true, &err), 0, "one that others can read is not");
	fl_ckdir_close(&d);
	end_test();

	begin_test();
	(void)mkdir(path, 0700);
	tap_eq_int(fl_ckdir_open(&d, path, false, &err), FL_ECONFIG,
		   "an empty one has no checkpoints");
	put_file("letter", "dear", 4);
	tap_ok(fl_ckdir_open(&d, path, true, &err) == FL_ECONFIG && !exists("lock"),
	       "one with somebody's files in it is left alone");
	end_test();
}

static void
attempts(void)
{
	struct fl_attempt a, r;
	struct fl_ckdir d, other;

	begin_test();
	open_begun(&d, &a);
	tap_ok(a.number == 1 && a.next_id == 1 && d.attempt == 1, "the first attempt");
	tap_ok(fl_ckdir_read_attempt(&d, &r, &err) == 0 && r.number == 1 && r.retain == 3 &&
		       r.source_count == 1,
	       "is written down");
	fl_attempt_release(&r);
	fl_assert(fl_ckdir_open(&other, path, false, &err) == 0);
	tap_eq_int(fl_ckdir_join(&other, 2, &err), FL_EUNAVAILABLE,
		   "another attempt is not joined");
	fl_ckdir_close(&other);
	fl_assert(fl_ckdir_open(&other, path, false, &err) == 0);
	tap_eq_int(fl_ckdir_join(&other, 1, &err), 0, "this one is");
	tap_eq_int(fl_ckdir_claim(&other, "freduce-1", "i1", &err), 0, "an operator's name");
	tap_ok(fl_ckdir_claim(&other, "freduce-1", "i2", &err) == FL_ECONFIG &&
		       strstr(err.msg, "--uid"),
	       "is claimed once");
	tap_eq_int(fl_ckdir_join_source(&other, "orders", &err), 0, "a source joins");
	tap_eq_int(fl_ckdir_join_source(&other, "orders", &err), FL_ECONFIG, "once");
	tap_ok(fl_ckdir_read_attempt(&d, &r, &err) == 0 && r.source_count == 2 &&
		       strcmp(r.sources[1], "orders") == 0,
	       "and is in the attempt");
	fl_attempt_release(&r);
	fl_assert(fl_ck_create(&d, 1, &err) == 0 && fl_ck_create(&d, 2, &err) == 0);
	fl_ckdir_close(&other);
	fl_ckdir_close(&d);
	put_file("x.99.tmp", "", 0);
	open_begun(&d, &a);
	tap_ok(a.number == 2 && a.next_id == 3, "the next attempt, and ids behind all before");
	tap_ok(!exists("x.99.tmp") && !exists("claims/a1.freduce-1"),
	       "what the one before left half done is gone");
	fl_ckdir_close(&d);
	end_test();
}

/* A process of the attempt that has gone is missed, unless it said that it had ended. */
static void
losses(void)
{
	struct fl_attempt a;
	struct fl_ckdir d, first, second;

	begin_test();
	open_begun(&d, &a);
	fl_assert(fl_ckdir_claim(&d, "begin-1", "i1", &err) == 0);
	fl_assert(fl_ckdir_open(&first, path, false, &err) == 0 &&
		  fl_ckdir_join(&first, 1, &err) == 0 &&
		  fl_ckdir_claim(&first, "freduce-1", "i2", &err) == 0);
	fl_assert(fl_ckdir_open(&second, path, false, &err) == 0 &&
		  fl_ckdir_join(&second, 1, &err) == 0 &&
		  fl_ckdir_claim(&second, "fwindow-1", "i3", &err) == 0);
	put_file("claims/a12.fjoin-1", "i4", 2);
	put_file("claims/a1.fmap-1", "", 0);
	tap_ok(!fl_ckdir_lost(&d), "nobody is lost: three live, one is of another attempt, one "
				   "has only begun to claim");
	fl_ckdir_ended(&first);
	fl_ckdir_close(&first);
	tap_ok(!fl_ckdir_lost(&d), "one that has ended is not lost");
	fl_ckdir_close(&second);
	tap_ok(fl_ckdir_lost(&d), "one that has gone before its end is");
	fl_ckdir_close(&d);
	open_begun(&d, &a);
	tap_ok(!fl_ckdir_lost(&d), "but not in the next attempt");
	fl_assert(fl_ckdir_open(&second, path, false, &err) == 0);
	tap_eq_int(fl_ckdir_join(&second, d.attempt - 1, &err), FL_ETEMP,
		   "a stream of the attempt before comes too early");
	tap_ok(second.lock_fd < 0 && !fl_ckdir_is_locked(&d, "lock"), "and keeps no lock");
	fl_ckdir_close(&d);
	tap_eq_int(fl_ckdir_join(&second, 1, &err), FL_EUNAVAILABLE,
		   "or, when nobody is there, too late");
	fl_ckdir_close(&second);
	end_test();
}

/* Runs f in a child that has the lock, and tells when it has; returns its pid. */
static pid_t
child_with_lock(bool alone, int *ret_fd)
{
	int ready[2];
	pid_t pid;
	char c;

	fl_assert(pipe(ready) == 0);
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		struct fl_ckdir d;
		int rc = fl_ckdir_open(&d, path, false, &err);

		if (rc == 0)
			rc = alone ? fl_ckdir_lock_alone(&d, 0, &err) : fl_ckdir_join(&d, 1, &err);
		c = rc == 0 ? 'y' : 'n';
		fl_assert(write(ready[1], &c, 1) == 1);
		(void)pause();
		_exit(0);
	}
	(void)close(ready[1]);
	fl_assert(read(ready[0], &c, 1) == 1);
	tap_ok(c == 'y', "a child takes the lock %s", alone ? "alone" : "with others");
	*ret_fd = ready[0];
	return pid;
}

static void
end_child(pid_t pid, int fd)
{
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	(void)close(fd);
}

static void
locks(void)
{
	struct fl_attempt a;
	struct fl_ckdir d, other;
	char text[32];
	pid_t pid;
	int fd, decider, again;

	begin_test();
	open_begun(&d, &a);
	fl_assert(fl_ckdir_open(&other, path, false, &err) == 0);
	tap_ok(fl_ckdir_is_locked(&other, "lock"), "a running pipeline is seen");
	tap_ok(!fl_ckdir_is_locked(&d, "lock"), "whoever runs alone sees nobody else");
	fl_ckdir_close(&other);
	tap_ok(!fl_ckdir_is_locked(&d, "decider") && faccessat(d.fd, "decider", F_OK, 0) < 0,
	       "nobody decides, and looking makes no file");
	tap_eq_int(fl_ckdir_try_lock(&d, "decider", &decider, &err), 1, "one decider");
	tap_ok(fl_ckdir_is_locked(&d, "decider"), "now somebody does");
	tap_eq_int(fl_ckdir_try_lock(&d, "decider", &again, &err), 0, "not two");
	(void)close(decider);
	tap_eq_int(fl_ckdir_try_lock(&d, "decider", &decider, &err), 1,
		   "the next when it has gone");
	(void)close(decider);
	pid = child_with_lock(false, &fd);
	fl_ckdir_close(&d);
	fl_assert(fl_ckdir_open(&d, path, true, &err) == 0);
	(void)snprintf(text, sizeof text, "pid %d)", (int)pid);
	tap_ok(fl_ckdir_lock_alone(&d, 100, &err) == FL_EUNAVAILABLE &&
		       strstr(err.msg, text) != NULL,
	       "a second leader is refused, and told who is there: %s", err.msg);
	end_child(pid, fd);
	tap_eq_int(fl_ckdir_lock_alone(&d, 0, &err), 0, "when that one is dead the lock is free");
	fl_ckdir_close(&d);
	fl_assert(fl_ckdir_open(&d, path, true, &err) == 0);
	tap_ok(!fl_ckdir_is_locked(&d, "lock"), "nobody is there");
	pid = child_with_lock(true, &fd);
	tap_eq_int(fl_ckdir_join(&d, 1, &err), FL_ETEMP,
		   "while a leader chooses, no survivor of the old attempt joins");
	end_child(pid, fd);
	fl_ckdir_close(&d);
	end_test();
}

/* A child of the holder has the lock as long as it lives: a snapshot that is written. */
static void
orphan(void)
{
	struct fl_attempt a;
	struct fl_ckdir d;
	char text[32];
	pid_t pid;

	begin_test();
	open_begun(&d, &a);
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		(void)pause();
		_exit(0);
	}
	fl_ckdir_close(&d);
	fl_assert(fl_ckdir_open(&d, path, true, &err) == 0);
	(void)snprintf(text, sizeof text, "pid %d)", (int)pid);
	tap_ok(fl_ckdir_lock_alone(&d, 0, &err) == FL_EUNAVAILABLE && strstr(err.msg, text) != NULL,
	       "an orphaned snapshot child keeps its attempt's lock, and is named");
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	tap_eq_int(fl_ckdir_lock_alone(&d, 0, &err), 0, "until it is gone");
	fl_ckdir_close(&d);
	end_test();
}

static void
files(void)
{
	struct fl_buf text = { 0 };
	struct fl_ckfile f;
	struct fl_ckdir d;
	char full[800];

	begin_test();
	fl_assert(fl_ckdir_open(&d, path, true, &err) == 0 && fl_ck_create(&d, 1, &err) == 0);
	tap_eq_int(fl_ckfile_create(&d, "chk-0000000001/x", &f, &err), 0, "a file is begun");
	tap_ok(!exists("chk-0000000001/x"), "it is not there yet");
	tap_ok(fl_ckfile_commit(&d, &f, &err) == 0 && f.fd < 0 &&
		       mode_of("chk-0000000001/x") == 0600,
	       "now it is");
	tap_eq_int(fl_ckfile_create(&d, "x", &f, &err), 0, "another one");
	fl_ckfile_cancel(&d, &f);
	fl_ckfile_cancel(&d, &f);
	tap_ok(!exists("x") && f.fd < 0, "is given up, twice");
	tap_eq_int(fl_ckdir_write(&d, "x", "abc", 3, &err), 0, "a whole one");
	tap_ok(fl_ckdir_read(&d, "x", 3, &text, &err) == 0 && text.len == 3, "is read");
	tap_eq_int(fl_ckdir_read(&d, "x", 2, &text, &err), FL_EDATA, "but not if it is too long");
	tap_eq_int(fl_ckdir_read(&d, "y", 2, &text, &err), FL_ENOINPUT, "none is there");
	tap_eq_int(fl_ckfile_create(&d, "../x", &f, &err), FL_EDATA,
		   "nothing is written elsewhere");
	tap_eq_int(fl_ckfile_create(&d, "/x", &f, &err), FL_EDATA, "nor at the root");

	/* a link to outside, as a file and as a directory on the way */
	(void)snprintf(full, sizeof full, "%s/secret", root);
	fl_assert(fl_ckdir_write(&d, "secret", "s", 1, &err) == 0);
	fl_assert(symlinkat("/etc/passwd", d.fd, "link") == 0);
	fl_assert(symlinkat("/etc", d.fd, "chk-0000000002") == 0);
	tap_ok(fl_ckdir_read(&d, "link", FL_MIB(1), &text, &err) == FL_EDATA,
	       "no link is followed");
	tap_ok(fl_ckdir_read(&d, "chk-0000000002/passwd", FL_MIB(1), &text, &err) < 0,
	       "not on the way either");
	tap_ok(!fl_load_open(d.fd, "link", &err) && err.code == FL_EDATA,
	       "nor by a snapshot's loader");
	fl_assert(mkfifoat(d.fd, "fifo", 0600) == 0);
	tap_eq_int(fl_ckdir_read(&d, "fifo", 9, &text, &err), FL_EDATA, "a FIFO is no file");
	tap_eq_int(fl_ckdir_read(&d, "pending", 9, &text, &err), FL_EDATA, "nor is a directory");
	fl_buf_release(&text);
	fl_ckdir_close(&d);
	end_test();
}

static void
requests(void)
{
	struct fl_ckdir d, people;
	struct fl_attempt a;
	uint64_t serial, later;
	int code;

	begin_test();
	open_begun(&d, &a);
	tap_eq_int(fl_ckdir_asked(&d, &code, &serial), FL_REQUEST_NONE, "nothing is asked for");
	fl_assert(fl_ckdir_open(&people, path, false, &err) == 0);
	fl_assert(fl_ckdir_ask(&people, FL_REQUEST_SAVEPOINT, 0, &err) == 0);
	tap_eq_int(fl_ckdir_asked(&d, &code, &serial), FL_REQUEST_SAVEPOINT, "a savepoint");
	fl_assert(fl_ckdir_ask(&d, FL_REQUEST_STOP, 75, &err) == 0);
	tap_eq_int(fl_ckdir_asked(&d, &code, &later), FL_REQUEST_STOP, "a stop is more");
	tap_ok(code == 75 && later != serial, "it is another request");
	fl_assert(fl_ckdir_ask(&d, FL_REQUEST_CHECKPOINT, 0, &err) == 0);
	tap_eq_int(fl_ckdir_asked(&d, &code, &later), FL_REQUEST_STOP, "a checkpoint is less");
	fl_ckdir_answered(&d, serial);
	tap_eq_int(fl_ckdir_asked(&d, &code, &later), FL_REQUEST_STOP,
		   "the answer to another request does not count");
	fl_ckdir_close(&d);
	open_begun(&d, &a);
	tap_ok(!exists("request"), "what an earlier attempt was asked is forgotten");
	d.attempt = 1; /* somebody who is left of it asks, late */
	fl_assert(fl_ckdir_ask(&d, FL_REQUEST_STOP, 75, &err) == 0);
	d.attempt = 2;
	tap_eq_int(fl_ckdir_asked(&d, &code, &serial), FL_REQUEST_NONE,
		   "what an earlier attempt was asked, this one is not");
	fl_assert(fl_ckdir_ask(&d, FL_REQUEST_DRAIN, 0, &err) == 0);
	(void)fl_ckdir_asked(&d, &code, &serial);
	fl_ckdir_answered(&d, serial);
	tap_eq_int(fl_ckdir_asked(&d, &code, &serial), FL_REQUEST_NONE, "answered");
	put_file("request", "junk", 4);
	tap_eq_int(fl_ckdir_asked(&d, &code, &serial), FL_REQUEST_NONE, "junk asks for nothing");
	fl_ckdir_close(&people);
	fl_ckdir_close(&d);
	end_test();
}

/* ---- checkpoints -------------------------------------------------------------------------- */

static void
done_files(void)
{
	struct fl_ck_done done, r;
	struct fl_attempt a;
	struct fl_ckdir d;

	begin_test();
	open_begun(&d, &a);
	fl_assert(fl_ck_create(&d, 1, &err) == 0);
	tap_eq_int(fl_ck_get_done(&d, 1, "commit", &r, &err), 0, "nothing yet");
	fill_done(&done, 1);
	tap_eq_int(fl_ck_put_done(&d, &done, &err), 0, "done");
	tap_ok(fl_ck_get_done(&d, 1, "commit", &r, &err) == 1 && r.sink && r.source, "is seen");
	fl_ck_done_release(&r);
	d.attempt = 2;
	tap_eq_int(fl_ck_get_done(&d, 1, "commit", &r, &err), 0, "by another attempt it is not");
	d.attempt = 1;
	fl_assert(fl_ck_put_failed(&d, 1, "freduce-1", "no space", &err) == 0);
	tap_ok(fl_ck_get_done(&d, 1, "freduce-1", &r, &err) == FL_ETEMP &&
		       strstr(err.msg, "no space"),
	       "failed, and why");
	/* somebody else's .done under this name */
	fl_assert(renameat(d.fd, "chk-0000000001/commit.a1.done", d.fd,
			   "chk-0000000001/other.a1.done") == 0);
	tap_eq_int(fl_ck_get_done(&d, 1, "other", &r, &err), FL_EDATA,
		   "another operator's is refused");
	/* one of an earlier attempt under the name of this one */
	fl_assert(renameat(d.fd, "chk-0000000001/other.a1.done", d.fd,
			   "chk-0000000001/commit.a2.done") == 0);
	d.attempt = 2;
	tap_eq_int(fl_ck_get_done(&d, 1, "commit", &r, &err), FL_EDATA,
		   "another attempt's is refused");
	fl_ck_done_release(&done);
	fl_ckdir_close(&d);
	end_test();
}

/* Make checkpoint id complete, with a state of freduce-1 and pending results. */
static void
complete(const struct fl_ckdir *d, uint64_t id, bool savepoint, uint64_t finished_in)
{
	struct fl_save *s = tiny_state();
	const struct fl_buf *b = fl_save_memory(s);
	char name[FL_CHECKPOINT_NAME_MAX], file[64];
	struct fl_manifest m = { .id = id, .attempt = d->attempt, .savepoint = savepoint };

	m.ops = fl_xcalloc(2, sizeof *m.ops);
	fill_op(&m.ops[m.op_count++], "freduce-1", id);
	if (finished_in)
		fill_op(&m.ops[m.op_count++], "begin-1", finished_in);
	for (uint32_t i = 0; i < m.op_count; i++) {
		m.ops[i].state.size = fl_save_size(s);
		m.ops[i].state.hash = fl_save_hash(s);
		fl_ck_path(name, m.ops[i].checkpoint, m.ops[i].state.name);
		if (m.ops[i].checkpoint == id)
			fl_assert(fl_ckdir_write(d, name, b->data, b->len, &err) == 0);
	}
	(void)snprintf(file, sizeof file, "commit.a%d.%d", (int)d->attempt, (int)id);
	m.sinks = fl_xcalloc(1, sizeof *m.sinks);
	m.sink_count = 1;
	fill_sink(&m.sinks[0], file);
	m.sinks[0].pending[0].from = 1;
	m.sinks[0].pending[0].to = 4;
	m.sinks[0].pending[0].hash = XXH3_64bits("ows", 3);
	(void)snprintf(name, sizeof name, "pending/%s", file);
	fl_assert(fl_ckdir_write(d, name, "rows", 4, &err) == 0);
	fl_header_init(&m.lineage);
	fl_assert(fl_manifest_write(d, &m, &err) == 0);
	fl_manifest_release(&m);
	fl_save_free(s);
}

static void
states(void)
{
	struct fl_manifest m;
	struct fl_attempt a;
	struct fl_ckdir d;
	struct fl_buf ids = { 0 };

	begin_test();
	open_begun(&d, &a);
	tap_eq_int(fl_manifest_newest(&d, &m, &err), 0, "no checkpoint yet");
	for (uint64_t id = 1; id <= 4; id++)
		fl_assert(fl_ck_create(&d, id, &err) == 0);
	tap_ok(fl_ck_create(&d, 4, &err) < 0, "an id is given once");
	put_file("chk-12", "", 0);
	put_file("chk-00000000005", "", 0);
	tap_ok(fl_ck_list(&d, &ids, &err) == 0 && ids.len == 4 * sizeof(uint64_t),
	       "four are listed");
	complete(&d, 1, false, 0);
	complete(&d, 2, false, 0);
	fl_assert(fl_ck_abandon(&d, 3, "too slow", &err) == 0);
	tap_ok(fl_ck_look(&d, 1) == FL_CK_COMPLETE && fl_ck_look(&d, 3) == FL_CK_ABANDONED &&
		       fl_ck_look(&d, 4) == FL_CK_OPEN && fl_ck_look(&d, 9) == FL_CK_NONE,
	       "what has become of each");
	tap_ok(fl_manifest_newest(&d, &m, &err) == 1 && m.id == 2, "the newest complete one");
	tap_eq_int(fl_manifest_verify(&d, &m, &err), 0, "is sound");
	fl_manifest_release(&m);
	fl_assert(fl_ck_abandon(&d, 2, "rewound", &err) == 0);
	tap_ok(fl_manifest_newest(&d, &m, &err) == 1 && m.id == 1,
	       "going back abandons complete ones");
	fl_manifest_release(&m);
	tap_eq_int(fl_manifest_read(&d, 3, &m, &err), FL_ENOINPUT, "an abandoned one is not read");
	fl_buf_release(&ids);
	fl_ckdir_close(&d);
	end_test();
}

static int
verify_newest(const struct fl_ckdir *d)
{
	struct fl_manifest m;
	int rc = fl_manifest_newest(d, &m, &err);

	if (rc > 0)
		rc = fl_manifest_verify(d, &m, &err);
	fl_manifest_release(&m);
	return rc;
}

static void
damaged_checkpoint(void)
{
	struct fl_buf text = { 0 };
	struct fl_attempt a;
	struct fl_ckdir d;

	begin_test();
	open_begun(&d, &a);
	fl_assert(fl_ck_create(&d, 1, &err) == 0 && fl_ck_create(&d, 2, &err) == 0);
	complete(&d, 1, false, 0);
	complete(&d, 2, false, 0);
	tap_eq_int(verify_newest(&d), 0, "a sound one");
	fl_assert(fl_ckdir_read(&d, "chk-0000000002/freduce-1.a1.state", 9999, &text, &err) == 0);
	text.data[30] = (char)(text.data[30] ^ 4);
	put_file("chk-0000000002/freduce-1.a1.state", text.data, text.len);
	tap_ok(verify_newest(&d) == FL_EDATA && strstr(err.msg, "freduce-1.a1.state") &&
		       strstr(err.msg, "byte 8"),
	       "a flipped bit in a state: %s", strrchr(err.msg, '/'));
	text.data[30] = (char)(text.data[30] ^ 4);
	put_file("chk-0000000002/freduce-1.a1.state", text.data, text.len - 1);
	tap_eq_int(verify_newest(&d), FL_EDATA, "a state that is too short");
	(void)unlinkat(d.fd, "chk-0000000002/freduce-1.a1.state", 0);
	tap_ok(verify_newest(&d) == FL_EDATA && strstr(err.msg, "missing"),
	       "a state that is missing");
	put_file("chk-0000000002/freduce-1.a1.state", text.data, text.len);
	tap_eq_int(verify_newest(&d), 0, "sound again");
	put_file("pending/commit.a1.2", "rOws", 4);
	tap_ok(verify_newest(&d) == FL_EDATA && strstr(err.msg, "bytes 1 to 4"),
	       "pending results that are others");
	put_file("pending/commit.a1.2", "row", 3);
	tap_eq_int(verify_newest(&d), FL_EDATA, "pending results that are fewer");
	(void)unlinkat(d.fd, "pending/commit.a1.2", 0);
	tap_ok(verify_newest(&d) == FL_EDATA && strstr(err.msg, "pending/commit.a1.2"),
	       "pending results that are missing");
	fl_buf_clear(&text);
	fl_assert(fl_ckdir_read(&d, "chk-0000000001/MANIFEST", 99999, &text, &err) == 0);
	put_file("chk-0000000002/MANIFEST", text.data, text.len);
	tap_ok(verify_newest(&d) == FL_EDATA && strstr(err.msg, "another checkpoint"),
	       "an older manifest in a newer checkpoint");
	put_file("chk-0000000002/MANIFEST", text.data, text.len / 2);
	tap_ok(verify_newest(&d) == FL_EDATA && strstr(err.msg, "rewind") != NULL,
	       "a damaged newest one is never passed over");
	fl_buf_release(&text);
	fl_ckdir_close(&d);
	end_test();
}

static void
cleaning(void)
{
	struct fl_attempt a;
	struct fl_ckdir d;
	uint32_t left;

	begin_test();
	open_begun(&d, &a);
	for (uint64_t id = 1; id <= 9; id++)
		fl_assert(fl_ck_create(&d, id, &err) == 0);
	complete(&d, 1, true, 0);  /* a savepoint */
	complete(&d, 2, false, 2); /* begin-1 finishes here */
	complete(&d, 3, false, 2);
	fl_assert(fl_ck_abandon(&d, 4, "slow", &err) == 0);
	complete(&d, 5, false, 2);
	complete(&d, 6, false, 2);
	complete(&d, 7, false, 2);
	put_file("chk-0000000008/freduce-1.a1.state", "", 0); /* under way */
	put_file("pending/commit.a1.8", "", 0);
	put_file("pending/commit.a1.4", "", 0); /* of one that was abandoned and joined 5 */
	fl_assert(mkdirat(d.fd, "work/freduce-1.a1", 0700) == 0);
	tap_ok(fl_ckdir_clean(&d, 2, &left, &err) == 0 && left == 0, "cleaned");
	tap_ok(fl_ck_look(&d, 7) == FL_CK_COMPLETE && fl_ck_look(&d, 6) == FL_CK_COMPLETE,
	       "the newest two are kept");
	tap_ok(fl_ck_look(&d, 5) == FL_CK_NONE && fl_ck_look(&d, 4) == FL_CK_NONE &&
		       fl_ck_look(&d, 3) == FL_CK_NONE,
	       "older and abandoned ones are not");
	tap_ok(fl_ck_look(&d, 1) == FL_CK_COMPLETE && exists("pending/commit.a1.1"),
	       "a savepoint is kept with what it needs");
	tap_ok(exists("chk-0000000002/begin-1.a1.state") && fl_ck_look(&d, 2) == FL_CK_OPEN &&
		       !exists("chk-0000000002/freduce-1.a1.state"),
	       "of an old one the file that newer manifests name");
	tap_ok(exists("chk-0000000008/freduce-1.a1.state") && exists("chk-0000000009") &&
		       exists("pending/commit.a1.8") && exists("work/freduce-1.a1"),
	       "what is under way is kept");
	tap_ok(!exists("pending/commit.a1.3") && !exists("pending/commit.a1.4") &&
		       exists("pending/commit.a1.6"),
	       "pending results that are in the output are removed");
	tap_eq_int(verify_newest(&d), 0, "the newest is sound");

	/* the next attempt: nothing of this one is under way any more */
	fl_ckdir_close(&d);
	open_begun(&d, &a);
	tap_eq_int((int64_t)a.next_id, 10, "ids go on");
	tap_ok(fl_ckdir_clean(&d, 2, &left, &err) == 0 && left == 0, "cleaned again");
	tap_ok(!exists("chk-0000000008") && !exists("work/freduce-1.a1") &&
		       !exists("pending/commit.a1.8"),
	       "what the attempt before left is gone");
	tap_eq_int(verify_newest(&d), 0, "the newest is still sound");
	fl_ckdir_close(&d);
	open_begun(&d, &a);
	tap_eq_int((int64_t)a.next_id, 10, "an id that was removed is not used again");
	put_file("chk-0000000006/MANIFEST", "junk", 4);
	fl_assert(fl_ck_create(&d, 10, &err) == 0);
	complete(&d, 10, false, 0);
	tap_ok(fl_ckdir_clean(&d, 1, &left, &err) == 0 && left > 0 &&
		       exists("chk-0000000007/MANIFEST"),
	       "while a manifest is damaged nothing is removed");
	fl_ckdir_close(&d);
	end_test();
}

static void
copying(void)
{
	char other[800], sub[900];
	struct fl_ckdir d, copy;
	struct fl_manifest m;
	struct fl_attempt a;

	begin_test();
	open_begun(&d, &a);
	fl_assert(fl_ck_create(&d, 1, &err) == 0 && fl_ck_create(&d, 2, &err) == 0);
	complete(&d, 1, false, 1);
	complete(&d, 2, true, 1);
	fl_assert(fl_manifest_newest(&d, &m, &err) == 1);
	(void)snprintf(other, sizeof other, "%s/copy", root);
	tap_eq_int(fl_manifest_copy(&d, &m, other, true, &err), 0, "a checkpoint is copied");
	tap_ok(fl_manifest_copy(&d, &m, other, true, &err) == FL_ECONFIG,
	       "into a new directory only");
	fl_manifest_release(&m);
	fl_ckdir_close(&d);
	(void)snprintf(sub, sizeof sub, "rm -rf %s", path);
	fl_assert(system(sub) == 0);
	fl_assert(fl_ckdir_open(&copy, other, false, &err) == 0);
	tap_eq_int(verify_newest(&copy), 0, "the copy needs nothing of the original");
	tap_ok(fl_manifest_newest(&copy, &m, &err) == 1 && m.sink_count == 1 &&
		       m.ops[1].checkpoint == 2,
	       "it has all in one place");
	fl_manifest_release(&m);
	fl_ckdir_close(&copy);
	(void)snprintf(path, sizeof path, "%s/copy", root);
	open_begun(&copy, &a);
	tap_ok(a.number == 2 && a.next_id == 3, "attempts and ids go on");
	fl_ckdir_close(&copy);
	end_test();
}

static void
removing(void)
{
	struct fl_attempt a;
	struct fl_ckdir d;

	begin_test();
	open_begun(&d, &a);
	for (uint64_t id = 1; id <= 3; id++)
		fl_assert(fl_ck_create(&d, id, &err) == 0);
	complete(&d, 3, false, 0);
	fl_assert(mkdirat(d.fd, "chk-0000000003/freduce-1.a1.files", 0700) == 0);
	put_file("chk-0000000003/freduce-1.a1.files/000001.sst", "x", 1);
	tap_ok(fl_ck_remove(&d, 2, &err) == 0 && !exists("chk-0000000002"), "one is removed");
	tap_ok(fl_ck_remove(&d, 3, &err) == 0 && fl_ck_look(&d, 3) == FL_CK_ABANDONED &&
		       !exists("chk-0000000003/MANIFEST") &&
		       !exists("chk-0000000003/freduce-1.a1.files"),
	       "of the newest the number stays");
	fl_ckdir_close(&d);
	open_begun(&d, &a);
	tap_eq_int((int64_t)a.next_id, 4, "so it is not used again");
	fl_ckdir_close(&d);
	end_test();
}

int
main(void)
{
	snapshot_round_trip();
	snapshot_damage();
	snapshot_blocks();
	snapshot_hostile();
	snapshot_large();
	snapshot_flat();
	snapshot_ahead(0);
	snapshot_ahead(300);
	snapshot_ahead(10000);
	snapshot_past_cache();
	snapshot_full_disk();
	manifest_round_trip();
	sealed_damage();
	hostile_names();
	uids();
	opening();
	attempts();
	losses();
	locks();
	orphan();
	files();
	requests();
	done_files();
	states();
	damaged_checkpoint();
	cleaning();
	copying();
	removing();
	return tap_done();
}
