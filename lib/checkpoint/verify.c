/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the files that a manifest names are those that were written. And the files of a
 * state backend on disk: a directory UID.aNNN.files of a checkpoint, whose files are named
 * one by one, each with its hash. Most of them are hard links to files of the checkpoint
 * before, which never change: those are not read again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL /* other libraries export the same names, of other versions */
#include <xxhash.h>

#include "base/io.h"
#include "checkpoint/below.h"
#include "checkpoint/files.h"
#include "checkpoint/manifest.h"

/* ---- hashes ------------------------------------------------------------------------------ */

/* The hash of bytes from..to of an open file, whose name is for messages. */
static int
hash_bytes(int fd, const char *name, uint64_t from, uint64_t to, uint64_t *ret, struct fl_err *err)
{
	struct fl_buf chunk = { 0 };
	XXH3_state_t state;
	int64_t got = 1;

	if (lseek(fd, (off_t)from, SEEK_SET) < 0)
		got = 0;
	(void)XXH3_64bits_reset(&state);
	for (uint64_t left = to - from; left && got > 0; left -= (uint64_t)got) {
		size_t n = left < FL_MIB(1) ? (size_t)left : FL_MIB(1);

		got = fl_io_read(fd, fl_buf_reserve(&chunk, n), n, name, err);
		if (got <= 0)
			break;
		(void)XXH3_64bits_update(&state, chunk.data, (size_t)got);
	}
	*ret = XXH3_64bits_digest(&state);
	fl_buf_release(&chunk);
	return got < 0 ? (int)got : 0;
}

static int
open_named(const struct fl_ckdir *d, const char *name, uint64_t *ret_size, struct fl_err *err)
{
	int fd = fl__open_file(d->fd, name, ret_size, err);

	if (fd == FL_ENOINPUT)
		return fl_fail(err, FL_EDATA, "%s/%s: is missing", d->path, name);
	return fd < 0 ? fl_wrap(err, "%s", d->path) : fd;
}

static int
size_of(const struct fl_ckdir *d, const char *name, uint64_t *ret, struct fl_err *err)
{
	int fd = open_named(d, name, ret, err);

	return fd < 0 ? fd : close(fd);
}

static int
check_size(const struct fl_ckdir *d, const char *name, uint64_t size, uint64_t want, bool whole,
	   struct fl_err *err)
{
	if (whole ? size == want : size >= want)
		return 0;
	return fl_fail(err, FL_EDATA, "%s/%s: ends at byte %llu, the manifest says %llu", d->path,
		       name, (unsigned long long)size, (unsigned long long)want);
}

static int
check_hash(const struct fl_ckdir *d, const char *name, uint64_t from, uint64_t to, uint64_t found,
	   uint64_t want, struct fl_err *err)
{
	if (found == want)
		return 0;
	return fl_fail(err, FL_EDATA,
		       "%s/%s: damaged: the checksum over bytes %llu to %llu is wrong", d->path,
		       name, (unsigned long long)from, (unsigned long long)to);
}

/* ---- the files of a state backend ---------------------------------------------------------- */

/* A file that was read, by what it is. */
struct seen {
	uint64_t dev, ino, size, hash;
	int64_t mtime_ns;
};

void
fl_ck_seen_release(struct fl_ck_seen *s)
{
	fl_buf_release(&s->files);
}

static struct seen
seen_of(const struct stat *st)
{
	return (struct seen){ .dev = (uint64_t)st->st_dev,
			      .ino = (uint64_t)st->st_ino,
			      .size = (uint64_t)st->st_size,
			      .mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 +
					  st->st_mtim.tv_nsec };
}

static const struct seen *
find_seen(const struct fl_ck_seen *s, const struct seen *what)
{
	const struct seen *p = (const struct seen *)(const void *)s->files.data;

	for (size_t i = 0; i < s->files.len / sizeof *p; i++)
		if (p[i].ino == what->ino && p[i].dev == what->dev && p[i].size == what->size &&
		    p[i].mtime_ns == what->mtime_ns)
			return &p[i];
	return NULL;
}

/* Size and hash of a file below the directory; what it is goes into now. */
static int
hash_file(const struct fl_ckdir *d, const char *path, const struct fl_ck_seen *before,
	  struct fl_ck_seen *now, struct fl_ck_part *ret, struct fl_err *err)
{
	int fd = open_named(d, path, &ret->size, err), rc = 0;
	const struct seen *known;
	struct seen s = { 0 };
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) == 0)
		s = seen_of(&st);
	known = s.ino ? find_seen(before, &s) : NULL;
	s.hash = known ? known->hash : 0;
	if (!known)
		rc = hash_bytes(fd, path, 0, ret->size, &s.hash, err);
	(void)close(fd);
	ret->hash = s.hash;
	if (rc == 0)
		fl_buf_put(&now->files, &s, sizeof s);
	return rc;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct fl_ck_part *)a)->name, ((const struct fl_ck_part *)b)->name);
}

/* "UID.aNNN.files" of the operator's state file "UID.aNNN.state". */
static void
files_dir(const struct fl_ck_op *op, char out[FL_CHECKPOINT_NAME_MAX])
{
	const char *what;
	uint64_t attempt;
	size_t n;

	out[0] = '\0';
	if (fl__parse_file(op->state.name, &n, &attempt, &what))
		fl_ck_file(out, op->uid, attempt, "files");
}

void
fl_ck_files_dir(const struct fl_manifest *m, const struct fl_ck_op *op,
		char out[FL_CHECKPOINT_NAME_MAX])
{
	char dir[FL_CHECKPOINT_NAME_MAX];

	files_dir(op, dir);
	fl_ck_path(out, op->checkpoint ? op->checkpoint : m->id, dir);
	if (!dir[0])
		out[0] = '\0';
}

/* The names of the files of an operator at checkpoint id: FL_ENOINPUT if it has none. */
static int
list_files(const struct fl_ckdir *d, uint64_t id, const struct fl_ck_op *op, struct fl_buf *names,
	   struct fl_err *err)
{
	char dir[FL_CHECKPOINT_NAME_MAX], path[FL_CHECKPOINT_NAME_MAX];

	files_dir(op, dir);
	fl_ck_path(path, id, dir);
	return dir[0] ? fl__names(d, path, names, err)
		      : fl_fail(err, FL_ENOINPUT, "%s has no files", op->uid);
}

int
fl_ck_hash_files(const struct fl_ckdir *d, uint64_t id, struct fl_ck_op *op,
		 struct fl_ck_seen *seen, struct fl_err *err)
{
	char dir[FL_CHECKPOINT_NAME_MAX], path[FL_CHECKPOINT_NAME_MAX];
	struct fl_buf names = { 0 }, part = { 0 };
	struct fl_ck_seen now = { 0 };
	int rc = list_files(d, id, op, &names, err);

	files_dir(op, dir);
	for (const char *p = names.data; rc == 0 && p && p < names.data + names.len;
	     p += strlen(p) + 1) {
		op->files = fl_xreallocarray(op->files, (size_t)op->file_count + 1,
					     sizeof *op->files);
		fl_buf_clear(&part);
		fl_buf_printf(&part, "%s/%s", dir, p);
		op->files[op->file_count] = (struct fl_ck_part){ .name = fl_xstrndup(part.data,
										     part.len) };
		fl_ck_path(path, id, op->files[op->file_count].name);
		rc = hash_file(d, path, seen, &now, &op->files[op->file_count++], err);
	}
	if (op->file_count)
		qsort(op->files, op->file_count, sizeof *op->files, by_name);
	fl_buf_release(&names);
	fl_buf_release(&part);
	fl_ck_seen_release(seen);
	*seen = now;
	return rc == FL_ENOINPUT ? 0 : rc;
}

static bool
is_listed(const struct fl_ck_op *op, const char *dir, const char *name)
{
	size_t n = strlen(dir);

	for (uint32_t i = 0; i < op->file_count; i++)
		if (strncmp(op->files[i].name, dir, n) == 0 && op->files[i].name[n] == '/' &&
		    strcmp(op->files[i].name + n + 1, name) == 0)
			return true;
	return false;
}

/* Files that somebody else has put among them. */
static int
check_foreign(const struct fl_ckdir *d, uint64_t id, const struct fl_ck_op *op, struct fl_err *err)
{
	char dir[FL_CHECKPOINT_NAME_MAX], path[FL_CHECKPOINT_NAME_MAX];
	struct fl_buf names = { 0 };
	int rc = list_files(d, id, op, &names, err);

	files_dir(op, dir);
	for (const char *p = names.data; rc == 0 && p && p < names.data + names.len;
	     p += strlen(p) + 1) {
		fl_ck_path(path, id, dir);
		if (!is_listed(op, dir, p))
			rc = fl_fail(err, FL_EDATA, "%s/%s/%s: is no file of this checkpoint",
				     d->path, path, p);
	}
	fl_buf_release(&names);
	return rc;
}

/* Each file of op is as its manifest says: in size, and if they are read, in content. */
static int
check_files(const struct fl_ckdir *d, const struct fl_manifest *m, const struct fl_ck_op *op,
	    bool is_read, struct fl_ck_seen *seen, struct fl_err *err)
{
	uint64_t id = op->checkpoint ? op->checkpoint : m->id;
	struct fl_ck_seen none = { 0 };
	int rc = 0;

	for (uint32_t i = 0; i < op->file_count && rc == 0; i++) {
		const struct fl_ck_part *p = &op->files[i];
		struct fl_ck_part found = { .hash = p->hash };
		char path[FL_CHECKPOINT_NAME_MAX];

		fl_ck_path(path, id, p->name);
		rc = is_read ? hash_file(d, path, &none, seen, &found, err)
			     : size_of(d, path, &found.size, err);
		if (rc == 0)
			rc = check_size(d, path, found.size, p->size, true, err);
		if (rc == 0)
			rc = check_hash(d, path, 0, p->size, found.hash, p->hash, err);
	}
	return rc < 0 || op->file_count == 0 ? rc : check_foreign(d, id, op, err);
}

int
fl_ck_verify_files(const struct fl_ckdir *d, const struct fl_manifest *m, const struct fl_ck_op *op,
		   struct fl_ck_seen *seen, struct fl_err *err)
{
	return check_files(d, m, op, true, seen, err);
}

/* ---- a checkpoint --------------------------------------------------------------------------- */

static int
check_op(const struct fl_ckdir *d, const struct fl_manifest *m, const struct fl_ck_op *op,
	 bool is_read, struct fl_err *err)
{
	struct fl_ck_seen seen = { 0 };
	char *name;
	struct fl_load *l = fl_manifest_load(d, m, op, &name, err);
	int rc = 0;

	if (!l)
		return err->code;
	if (is_read && fl_load_rest(l, err) < 0)
		rc = fl_wrap(err, "%s", d->path);
	fl_load_close(l);
	free(name);
	if (rc == 0)
		rc = check_files(d, m, op, is_read, &seen, err);
	fl_ck_seen_release(&seen);
	return rc;
}

/* Bytes from..to of a pending file, which others may follow. */
static int
verify_pending(const struct fl_ckdir *d, const struct fl_ck_pending *p, struct fl_err *err)
{
	char path[FL_CHECKPOINT_NAME_MAX];
	uint64_t size, found = 0;
	int fd, rc;

	(void)snprintf(path, sizeof path, "pending/%.140s", p->file);
	fd = open_named(d, path, &size, err);
	if (fd < 0)
		return fd;
	rc = check_size(d, path, size, p->to, false, err);
	if (rc == 0)
		rc = hash_bytes(fd, path, p->from, p->to, &found, err);
	(void)close(fd);
	return rc < 0 ? rc : check_hash(d, path, p->from, p->to, found, p->hash, err);
}

static int
check(const struct fl_ckdir *d, const struct fl_manifest *m, bool is_read, struct fl_err *err)
{
	int rc = 0;

	for (uint32_t i = 0; i < m->op_count && rc == 0; i++)
		rc = check_op(d, m, &m->ops[i], is_read, err);
	for (uint32_t i = 0; i < m->sink_count && rc == 0; i++)
		for (uint32_t k = 0; k < m->sinks[i].pending_count && rc == 0; k++)
			rc = verify_pending(d, &m->sinks[i].pending[k], err);
	return rc;
}

int
fl_manifest_verify(const struct fl_ckdir *d, const struct fl_manifest *m, struct fl_err *err)
{
	return check(d, m, true, err);
}

int
fl_manifest_check(const struct fl_ckdir *d, const struct fl_manifest *m, struct fl_err *err)
{
	return check(d, m, false, err);
}
