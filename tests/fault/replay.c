/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a disk may hold after a loss of power, from a record that record.so has made.
 *
 *	replay LOG INO                      list the cases: lines "K WHAT"
 *	replay LOG INO K WHAT DIR [KEEP]    make DIR, which is empty, so
 *
 * INO is the inode that the recorded directory had. The power is lost after the K-th
 * record. Bytes are durable when their file was fsynced after them, names when their
 * directory was. WHAT is
 *	all       everything had reached the disk by itself
 *	durable   nothing but what is durable
 *	drop:J    everything but record J, which is not durable
 *	tear:J    the same, but half of the write J
 * KEEP is a file; where DIR is to have one of its inode, it is linked there: the output
 * is known by its inode. Cases whose directories would be the same are listed once; the
 * content of files under a temporary name, of locks and requests does not count.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

enum kind { CREATE, MKDIR, UNLINK, LINK, RENAME, WRITE, TRUNCATE, SYNC };

static const char *const kind_name[] = {
	"create", "mkdir", "unlink", "link", "rename", "write", "truncate", "sync",
};

/* One record. Directories and files are numbered, as inodes are used again. */
struct op {
	enum kind kind;
	size_t dir, obj, dir2;
	char name[256], name2[256];
	uint64_t offset, length;
	const char *data;
};

struct entry {
	char name[256];
	size_t obj;
};

/* A directory or a file, while a case is played. */
struct object {
	bool is_dir;
	uint64_t ino;
	struct entry *entry;
	size_t entry_count;
	char *data;
	size_t length;
};

struct record {
	struct op *op;
	size_t count;
	struct object *obj; /* the first is the recorded directory */
	size_t obj_count;
	char *text;
};

static void
die(const char *what)
{
	(void)fprintf(stderr, "replay: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *
grow(void *p, size_t count, size_t size)
{
	/* by doubling; the first call is with a count of 0 */
	if (count & (count - 1))
		return p;
	p = realloc(p, (count ? 2 * count : 1) * size);
	if (!p)
		die("memory");
	return p;
}

/* ---- reading -------------------------------------------------------------------------------- */

static size_t
new_object(struct record *r, uint64_t ino, bool is_dir)
{
	r->obj = grow(r->obj, r->obj_count, sizeof *r->obj);
	r->obj[r->obj_count] = (struct object){ .ino = ino, .is_dir = is_dir };
	return r->obj_count++;
}

/* The newest of this inode. */
static size_t
object_of(struct record *r, uint64_t ino)
{
	for (size_t i = r->obj_count; i-- > 0;)
		if (r->obj[i].ino == ino)
			return i;
	return new_object(r, ino, false);
}

static void
parse_line(struct record *r, const char *line, struct op *op)
{
	uint64_t a, b = 0, c = 0;
	char word[16];

	if (sscanf(line, "%15s %" SCNu64, word, &a) != 2)
		die(line);
	for (op->kind = CREATE; strcmp(word, kind_name[op->kind]) != 0; op->kind++)
		if (op->kind == SYNC)
			die(line);
	switch (op->kind) {
	case RENAME:
		if (sscanf(line, "%*s %*s %" SCNu64 " %255s %" SCNu64 " %255s", &b, op->name, &c,
			   op->name2) != 4)
			die(line);
		op->dir2 = object_of(r, c);
		break;
	case CREATE:
	case MKDIR:
	case UNLINK:
	case LINK:
		if (sscanf(line, "%*s %*s %" SCNu64 " %255s", &b, op->name) != 2)
			die(line);
		break;
	default:
		op->obj = object_of(r, a);
		(void)sscanf(line, "%*s %*s %" SCNu64 " %" SCNu64, &op->offset, &op->length);
		return;
	}
	op->dir = object_of(r, a);
	if (op->kind == CREATE || op->kind == MKDIR)
		op->obj = new_object(r, b, op->kind == MKDIR);
	else
		op->obj = object_of(r, b);
}

static void
read_record(struct record *r, const char *path, uint64_t root)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	char *at, *end;

	if (fd < 0 || fstat(fd, &st) < 0)
		die(path);
	r->text = malloc((size_t)st.st_size + 1);
	if (!r->text || read(fd, r->text, (size_t)st.st_size) != st.st_size)
		die(path);
	(void)close(fd);
	end = r->text + st.st_size;
	*end = '\0';
	(void)new_object(r, root, true);
	for (at = r->text; at < end;) {
		char *line = at, *nl = memchr(at, '\n', (size_t)(end - at));
		struct op op = { 0 };

		if (!nl)
			break;
		*nl = '\0';
		at = nl + 1;
		parse_line(r, line, &op);
		if (op.kind == WRITE) {
			op.data = at;
			at += op.length;
		}
		r->op = grow(r->op, r->count, sizeof *r->op);
		r->op[r->count++] = op;
	}
}

/* ---- playing -------------------------------------------------------------------------------- */

static bool
synced(const struct record *r, size_t obj, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (r->op[i].kind == SYNC && r->op[i].obj == obj)
			return true;
	return false;
}

/* Whether record i is durable after the first k. */
static bool
is_durable(const struct record *r, size_t i, size_t k)
{
	const struct op *op = &r->op[i];

	switch (op->kind) {
	case SYNC:
		return true;
	case WRITE:
	case TRUNCATE:
		return synced(r, op->obj, i + 1, k);
	case RENAME:
		return synced(r, op->dir, i + 1, k) && synced(r, op->dir2, i + 1, k);
	default:
		return synced(r, op->dir, i + 1, k);
	}
}

static void
remove_entry(struct object *dir, const char *name, size_t obj)
{
	for (size_t i = 0; i < dir->entry_count; i++)
		if (dir->entry[i].obj == obj && strcmp(dir->entry[i].name, name) == 0) {
			dir->entry[i] = dir->entry[--dir->entry_count];
			return;
		}
}

static void
set_entry(struct object *dir, const char *name, size_t obj)
{
	for (size_t i = 0; i < dir->entry_count; i++)
		if (strcmp(dir->entry[i].name, name) == 0) {
			dir->entry[i].obj = obj;
			return;
		}
	dir->entry = realloc(dir->entry, (dir->entry_count + 1) * sizeof *dir->entry);
	if (!dir->entry)
		die("memory");
	(void)strcpy(dir->entry[dir->entry_count].name, name);
	dir->entry[dir->entry_count++].obj = obj;
}

static void
set_length(struct object *o, uint64_t length)
{
	o->data = realloc(o->data, length + 1);
	if (!o->data)
		die("memory");
	if (length > o->length)
		memset(o->data + o->length, 0, length - o->length);
	o->length = length;
}

static void
apply(struct record *r, const struct op *op, bool half)
{
	struct object *dir = &r->obj[op->dir], *o = &r->obj[op->obj];
	uint64_t n = half ? op->length / 2 : op->length;

	switch (op->kind) {
	case CREATE:
	case MKDIR:
	case LINK:
		set_entry(dir, op->name, op->obj);
		break;
	case UNLINK:
		remove_entry(dir, op->name, op->obj);
		break;
	case RENAME:
		remove_entry(dir, op->name, op->obj);
		set_entry(&r->obj[op->dir2], op->name2, op->obj);
		break;
	case WRITE:
		if (op->offset + n > o->length)
			set_length(o, op->offset + n);
		memcpy(o->data + op->offset, op->data, n);
		break;
	case TRUNCATE:
		set_length(o, op->offset);
		break;
	case SYNC:
		break;
	}
}

static void
play(struct record *r, size_t k, const char *what)
{
	bool durable = strcmp(what, "durable") == 0;
	bool tear = strncmp(what, "tear:", 5) == 0;
	size_t not = strchr(what, ':') ? strtoul(strchr(what, ':') + 1, NULL, 10) : SIZE_MAX;

	for (size_t i = 0; i < r->obj_count; i++) {
		r->obj[i].entry_count = 0;
		r->obj[i].length = 0;
	}
	for (size_t i = 0; i < k; i++)
		if ((i != not || tear) && (!durable || is_durable(r, i, k)))
			apply(r, &r->op[i], i == not );
}

/* ---- listing --------------------------------------------------------------------------------- */

static bool
content_counts(const char *name)
{
	static const char *const no[] = { "lock", "leader", "decider", "request", "files" };
	size_t n = strlen(name);

	for (size_t i = 0; i < sizeof no / sizeof *no; i++)
		if (strcmp(name, no[i]) == 0)
			return false;
	return n < 4 || strcmp(name + n - 4, ".tmp") != 0;
}

/* Of the tree below an object; the order of entries does not count. */
static uint64_t
hash_tree(const struct record *r, size_t obj)
{
	const struct object *o = &r->obj[obj];
	uint64_t sum = 0;

	for (size_t i = 0; i < o->entry_count; i++) {
		const struct entry *e = &o->entry[i];
		const struct object *in = &r->obj[e->obj];
		uint64_t part = in->is_dir                ? hash_tree(r, e->obj)
				: content_counts(e->name) ? XXH3_64bits(in->data, in->length)
							  : 0;

		sum += XXH3_64bits_withSeed(e->name, strlen(e->name), part);
	}
	return sum + 1;
}

struct seen {
	uint64_t *hash;
	size_t count;
};

static void
list_case(struct record *r, struct seen *seen, size_t k, const char *what)
{
	uint64_t h;

	play(r, k, what);
	h = hash_tree(r, 0);
	for (size_t i = 0; i < seen->count; i++)
		if (seen->hash[i] == h)
			return;
	seen->hash = grow(seen->hash, seen->count, sizeof *seen->hash);
	seen->hash[seen->count++] = h;
	(void)printf("%zu %s\n", k, what);
}

static void
list(struct record *r)
{
	struct seen seen = { 0 };
	char what[32];

	for (size_t k = 0; k <= r->count; k++) {
		list_case(r, &seen, k, "all");
		list_case(r, &seen, k, "durable");
		for (size_t i = 0; i < k; i++) {
			if (is_durable(r, i, k))
				continue;
			(void)snprintf(what, sizeof what, "drop:%zu", i);
			list_case(r, &seen, k, what);
			(void)snprintf(what, sizeof what, "tear:%zu", i);
			if (r->op[i].kind == WRITE && r->op[i].length > 1)
				list_case(r, &seen, k, what);
		}
	}
	free(seen.hash);
}

/* ---- making ------------------------------------------------------------------------------------ */

static void
make_file(const struct object *o, const char *path, const char *keep)
{
	struct stat st;
	int fd;

	if (keep && stat(keep, &st) == 0 && st.st_ino == o->ino && link(keep, path) < 0)
		die(path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, o->data, o->length) != (ssize_t)o->length)
		die(path);
	(void)close(fd);
}

static void
make_tree(const struct record *r, size_t obj, const char *path, const char *keep)
{
	const struct object *o = &r->obj[obj];

	for (size_t i = 0; i < o->entry_count; i++) {
		const struct entry *e = &o->entry[i];
		char below[4096];

		(void)snprintf(below, sizeof below, "%s/%s", path, e->name);
		if (!r->obj[e->obj].is_dir) {
			make_file(&r->obj[e->obj], below, keep);
			continue;
		}
		if (mkdir(below, 0700) < 0)
			die(below);
		make_tree(r, e->obj, below, keep);
	}
}

static void
release(struct record *r)
{
	for (size_t i = 0; i < r->obj_count; i++) {
		free(r->obj[i].entry);
		free(r->obj[i].data);
	}
	free(r->obj);
	free(r->op);
	free(r->text);
}

int
main(int argc, char **argv)
{
	struct record r = { 0 };

	if (argc != 3 && argc != 6 && argc != 7) {
		(void)fprintf(stderr, "usage: replay LOG INO [K WHAT DIR [KEEP]]\n");
		return 64;
	}
	read_record(&r, argv[1], strtoull(argv[2], NULL, 10));
	if (argc == 3) {
		list(&r);
	} else {
		play(&r, strtoul(argv[3], NULL, 10), argv[4]);
		make_tree(&r, 0, argv[5], argc == 7 ? argv[6] : NULL);
	}
	release(&r);
	return 0;
}
