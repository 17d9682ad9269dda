/* SPDX-License-Identifier: Apache-2.0 */
/* Files that appear whole, checkpoints as directories, and their removal. */
#define _GNU_SOURCE /* O_NOFOLLOW */
#include "checkpoint/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/io.h"
#include "checkpoint/below.h"

/* ---- test points --------------------------------------------------------------------- */

/* "manifest.fsync": what is written, and the step that comes now. */
static void
fault(const char *file, const char *step)
{
	static const char *const kinds[] = { "attempt", "done",      "failed",  "state",
					     "request", "abandoned", "manifest" };
	const char *slash = strrchr(file, '/'), *base = slash ? slash + 1 : file;
	const char *dot = strrchr(base, '.'), *kind = "file";
	char point[64];

	if (!fl_fault_points())
		return;
	base = dot ? dot + 1 : base;
	for (size_t i = 0; i < FL_ARRAY_LEN(kinds); i++)
		if (strcasecmp(base, kinds[i]) == 0)
			kind = kinds[i];
	(void)snprintf(point, sizeof point, "%s.%s", kind, step);
	fl_fault(point);
}

/* ---- names ---------------------------------------------------------------------------- */

void
fl_ck_path(char out[FL_CHECKPOINT_NAME_MAX], uint64_t id, const char *name)
{
	int n = snprintf(out, FL_CHECKPOINT_NAME_MAX, "chk-%010" PRIu64 "%s%s", id, name ? "/" : "",
			 name ? name : "");

	/* one that is too long is refused by whoever opens it */
	if (n >= (int)FL_CHECKPOINT_NAME_MAX)
		out[0] = '\0';
}

void
fl_ck_file(char out[FL_CHECKPOINT_NAME_MAX], const char *uid, uint64_t attempt, const char *what)
{
	(void)snprintf(out, FL_CHECKPOINT_NAME_MAX, "%.*s.a%" PRIu64 ".%s", (int)FL_UID_MAX, uid,
		       attempt, what);
}

bool
fl__parse_file(const char *name, size_t *ret_uid_len, uint64_t *ret_attempt, const char **ret_what)
{
	/* a uid may have dots, and even ".a1." in it: the last that fits is meant */
	for (const char *p = name + strlen(name); p > name; p--) {
		char *end;
		uint64_t n;

		if (p[0] != '.' || p[1] != 'a' || p[2] < '1' || p[2] > '9')
			continue;
		errno = 0;
		n = strtoull(p + 2, &end, 10);
		if (errno || *end != '.')
			continue;
		*ret_uid_len = (size_t)(p - name);
		*ret_attempt = n;
		*ret_what = end + 1;
		return true;
	}
	return false;
}

static int
compare_ids(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof x);
	memcpy(&y, b, sizeof y);
	return (x > y) - (x < y);
}

int
fl_ck_list(const struct fl_ckdir *d, struct fl_buf *ret, struct fl_err *err)
{
	struct fl_buf names = { 0 };
	int rc = fl__names(d, "", &names, err);

	for (const char *p = names.data; p && p < names.data + names.len; p += strlen(p) + 1) {
		char again[FL_CHECKPOINT_NAME_MAX];
		uint64_t id = strncmp(p, "chk-", 4) == 0 ? strtoull(p + 4, NULL, 10) : 0;

		fl_ck_path(again, id, NULL);
		if (id && strcmp(p, again) == 0)
			fl_buf_put(ret, &id, sizeof id);
	}
	fl_buf_release(&names);
	if (ret->len)
		qsort(ret->data, ret->len / sizeof(uint64_t), sizeof(uint64_t), compare_ids);
	return rc;
}

int
fl__names(const struct fl_ckdir *d, const char *name, struct fl_buf *out, struct fl_err *err)
{
	int fd = *name ? fl__open_below(d->fd, name, O_RDONLY | O_DIRECTORY)
		       : openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	int rc = 0;

	if (!dir)
		return fl_fail_errno(err, errno == ENOENT ? FL_ENOINPUT : FL_EIO, errno,
				     "cannot read the directory %s/%s", d->path, name);
	while ((void)(errno = 0), (e = readdir(dir)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			fl_buf_put(out, e->d_name, strlen(e->d_name) + 1);
	if (errno)
		rc = fl_fail_errno(err, FL_EIO, errno, "cannot read the directory %s/%s", d->path,
				   name);
	(void)closedir(dir);
	return rc;
}

/* ---- files that appear whole ------------------------------------------------------------ */

static int
create_failed(const struct fl_ckdir *d, const char *name, struct fl_err *err)
{
	bool full = errno == ENOSPC || errno == EDQUOT || errno == EIO;

	return fl_fail_errno(err, full ? FL_EIO : FL_ECREATE, errno, "cannot create %s/%s", d->path,
			     name);
}

/* The name under which a file is written. Two processes may write the same one. */
static void
tmp_name(const struct fl_ckfile *f, char out[FL_CHECKPOINT_NAME_MAX + 16])
{
	(void)snprintf(out, FL_CHECKPOINT_NAME_MAX + 16, "%s.%d.tmp", f->name, f->writer);
}

static void
remove_below(const struct fl_ckdir *d, const char *name)
{
	const char *last;
	int parent = fl__open_parent(d->fd, name, &last);

	if (parent < 0)
		return;
	(void)unlinkat(parent, last, 0);
	(void)close(parent);
}

int
fl_ckfile_create(const struct fl_ckdir *d, const char *name, struct fl_ckfile *f,
		 struct fl_err *err)
{
	char tmp[FL_CHECKPOINT_NAME_MAX + 16];

	*f = (struct fl_ckfile){ .fd = -1, .writer = (int)getpid() };
	if (!fl__name_ok(name, sizeof f->name - 1))
		return fl_fail(err, FL_EDATA, "\"%.200s\" is no name of a checkpoint's file", name);
	(void)snprintf(f->name, sizeof f->name, "%s", name);
	tmp_name(f, tmp);
	remove_below(d, tmp); /* of a process that had our pid, long ago */
	f->fd = fl__open_below(d->fd, tmp, O_RDWR | O_CREAT | O_EXCL);
	if (f->fd < 0)
		return create_failed(d, name, err);
	fault(name, "tmp");
	return 0;
}

void
fl_ckfile_cancel(const struct fl_ckdir *d, struct fl_ckfile *f)
{
	char tmp[FL_CHECKPOINT_NAME_MAX + 16];

	if (f->fd < 0)
		return;
	(void)close(f->fd);
	f->fd = -1;
	tmp_name(f, tmp);
	remove_below(d, tmp);
}

/* tmp gets its name, in the directory parent. */
static int
put_in_place(const struct fl_ckdir *d, struct fl_ckfile *f, bool durable, struct fl_err *err)
{
	char tmp[FL_CHECKPOINT_NAME_MAX + 16];
	const char *last, *slash;
	int parent, rc = 0;

	tmp_name(f, tmp);
	parent = fl__open_parent(d->fd, f->name, &last);
	slash = strrchr(tmp, '/');
	fault(f->name, "rename");
	if (parent < 0 || renameat(parent, slash ? slash + 1 : tmp, parent, last) < 0)
		rc = fl_fail_errno(err, FL_EIO, errno, "cannot rename %s/%s", d->path, tmp);
	fault(f->name, "dirsync");
	/* never tried again: after a failure the kernel may take what is lost for written */
	if (rc == 0 && durable && fsync(parent) < 0)
		rc = fl_fail_errno(err, FL_EIO, errno, "cannot fsync the directory of %s/%s",
				   d->path, f->name);
	if (parent >= 0)
		(void)close(parent);
	return rc;
}

static int
commit(const struct fl_ckdir *d, struct fl_ckfile *f, bool durable, struct fl_err *err)
{
	int rc = 0;

	fault(f->name, "fsync");
	if (durable && fsync(f->fd) < 0)
		rc = fl_fail_errno(err, FL_EIO, errno, "cannot fsync %s/%s", d->path, f->name);
	if (rc == 0)
		rc = put_in_place(d, f, durable, err);
	if (rc < 0) {
		fl_ckfile_cancel(d, f);
		return rc;
	}
	fault(f->name, "durable");
	(void)close(f->fd);
	f->fd = -1;
	return 0;
}

int
fl_ckfile_commit(const struct fl_ckdir *d, struct fl_ckfile *f, struct fl_err *err)
{
	return commit(d, f, true, err);
}

int
fl__put_file(const struct fl_ckdir *d, const char *name, const void *p, size_t n, bool durable,
	     struct fl_err *err)
{
	struct fl_ckfile f;

	if (fl_ckfile_create(d, name, &f, err) < 0)
		return err->code;
	if (fl_io_write(f.fd, p, n, name, err) < 0) {
		fl_ckfile_cancel(d, &f);
		return err->code;
	}
	return commit(d, &f, durable, err);
}

int
fl_ckdir_write(const struct fl_ckdir *d, const char *name, const void *p, size_t n,
	       struct fl_err *err)
{
	return fl__put_file(d, name, p, n, true, err);
}

int
fl_ckdir_read(const struct fl_ckdir *d, const char *name, size_t max, struct fl_buf *out,
	      struct fl_err *err)
{
	uint64_t size;
	int64_t got = 0;
	int fd = fl__open_file(d->fd, name, &size, err);

	if (fd < 0)
		return fd;
	if (size > max) {
		(void)close(fd);
		return fl_fail(err, FL_EDATA, "%s: has %llu bytes; it cannot have more than %zu",
			       name, (unsigned long long)size, max);
	}
	for (uint64_t left = size; left; left -= (uint64_t)got) {
		got = fl_io_read(fd, fl_buf_reserve(out, left), left, name, err);
		if (got <= 0)
			break;
		out->len += (size_t)got;
	}
	(void)fl_buf_reserve(out, 1); /* data is never NULL, for callers of memory functions */
	(void)close(fd);
	return got < 0 ? (int)got : 0;
}

int
fl_ckdir_sync(const struct fl_ckdir *d, const char *name, struct fl_err *err)
{
	int fd = *name ? fl__open_below(d->fd, name, O_RDONLY | O_DIRECTORY) : d->fd, rc = 0;

	if (fd < 0 || fsync(fd) < 0)
		rc = fl_fail_errno(err, FL_EIO, errno, "cannot fsync %s/%s", d->path, name);
	if (fd >= 0 && *name)
		(void)close(fd);
	return rc;
}

/* ---- checkpoints ------------------------------------------------------------------------- */

int
fl_ck_create(const struct fl_ckdir *d, uint64_t id, struct fl_err *err)
{
	char name[FL_CHECKPOINT_NAME_MAX];

	fl_ck_path(name, id, NULL);
	FL_FAULT("checkpoint.mkdir");
	if (mkdirat(d->fd, name, 0700) < 0)
		return create_failed(d, name, err);
	FL_FAULT("checkpoint.dirsync");
	return fl_ckdir_sync(d, "", err);
}

static bool
has(const struct fl_ckdir *d, uint64_t id, const char *file)
{
	char name[FL_CHECKPOINT_NAME_MAX];
	struct stat st;

	fl_ck_path(name, id, file);
	return fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

enum fl_ck_state
fl_ck_look(const struct fl_ckdir *d, uint64_t id)
{
	/* one that was complete can be abandoned later: rewind */
	if (has(d, id, "ABANDONED"))
		return FL_CK_ABANDONED;
	if (has(d, id, "MANIFEST"))
		return FL_CK_COMPLETE;
	return has(d, id, NULL) ? FL_CK_OPEN : FL_CK_NONE;
}

int
fl_ck_abandon(const struct fl_ckdir *d, uint64_t id, const char *why, struct fl_err *err)
{
	char name[FL_CHECKPOINT_NAME_MAX];

	fl_ck_path(name, id, "ABANDONED");
	return fl_ckdir_write(d, name, why, strlen(why), err);
}

/* Remove the files of a directory, whose descriptor is given up, and, where depth is more
 * than 0, those of its directories. */
static bool
empty_directory(int fd, unsigned depth)
{
	DIR *dir = fdopendir(fd);
	const struct dirent *e;
	bool all = dir != NULL;

	while (dir && (e = readdir(dir))) {
		int sub;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		FL_FAULT("clean.unlink");
		if (unlinkat(fd, e->d_name, 0) == 0)
			continue;
		sub = depth == 0 ? -1
				 : openat(fd, e->d_name,
					  O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		all = sub >= 0 && empty_directory(sub, depth - 1) &&
		      unlinkat(fd, e->d_name, AT_REMOVEDIR) == 0 && all;
	}
	if (dir)
		(void)closedir(dir);
	else
		(void)close(fd);
	return all;
}

bool
fl__remove_tree(const struct fl_ckdir *d, const char *name)
{
	int fd = fl__open_below(d->fd, name, O_RDONLY | O_DIRECTORY);
	const char *last;
	int parent;
	bool gone;

	if (fd < 0)
		return errno == ENOENT;
	gone = empty_directory(fd, 3);
	parent = fl__open_parent(d->fd, name, &last);
	gone = parent >= 0 && unlinkat(parent, last, AT_REMOVEDIR) == 0 && gone;
	if (parent >= 0)
		(void)close(parent);
	return gone;
}

bool
fl__remove_path(const struct fl_ckdir *d, const char *name)
{
	const char *last;
	int parent = fl__open_parent(d->fd, name, &last);
	bool gone;

	if (parent < 0)
		return errno == ENOENT;
	FL_FAULT("clean.unlink");
	gone = unlinkat(parent, last, 0) == 0 || errno == ENOENT;
	(void)close(parent);
	return gone || fl__remove_tree(d, name);
}

int
fl__drop_manifest(const struct fl_ckdir *d, uint64_t id, struct fl_err *err)
{
	char name[FL_CHECKPOINT_NAME_MAX];

	if (!has(d, id, "MANIFEST"))
		return 0;
	fl_ck_path(name, id, "MANIFEST");
	FL_FAULT("clean.manifest");
	remove_below(d, name);
	if (has(d, id, "MANIFEST"))
		return fl_fail(err, FL_EIO, "cannot remove %s/%s", d->path, name);
	fl_ck_path(name, id, NULL);
	return fl_ckdir_sync(d, name, err);
}

/* Ids are never used again, and the next is one more than the greatest: so of the
 * newest the directory stays, abandoned and empty. */
static int
keep_number(const struct fl_ckdir *d, uint64_t id, bool *ret_newest, struct fl_err *err)
{
	struct fl_buf ids = { 0 };
	uint64_t newest = 0;
	int rc = fl_ck_list(d, &ids, err);

	if (ids.len)
		memcpy(&newest, ids.data + ids.len - sizeof newest, sizeof newest);
	fl_buf_release(&ids);
	*ret_newest = newest == id;
	return rc;
}

int
fl_ck_remove(const struct fl_ckdir *d, uint64_t id, struct fl_err *err)
{
	char name[FL_CHECKPOINT_NAME_MAX];
	bool newest, gone;
	int fd;

	if (keep_number(d, id, &newest, err) < 0 || fl__drop_manifest(d, id, err) < 0)
		return err->code;
	fl_ck_path(name, id, NULL);
	if (newest) {
		fd = fl__open_below(d->fd, name, O_RDONLY | O_DIRECTORY);
		gone = fd >= 0 && empty_directory(fd, 3);
		if (gone)
			return fl_ck_abandon(d, id, "removed", err);
	} else {
		gone = fl__remove_tree(d, name);
	}
	return gone ? 0 : fl_fail(err, FL_EIO, "cannot remove all of %s/%s", d->path, name);
}

/* ---- what earlier attempts left ------------------------------------------------------------ */

static bool
ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), e = strlen(end);

	return n >= e && strcmp(s + n - e, end) == 0;
}

void
fl__sweep(const struct fl_ckdir *d)
{
	struct fl_buf names = { 0 };
	struct fl_err ignored;
	char path[FL_CHECKPOINT_NAME_MAX * 2];

	if (fl__names(d, "", &names, &ignored) == 0)
		for (char *p = names.data; p && p < names.data + names.len; p += strlen(p) + 1)
			if (ends_with(p, ".tmp"))
				(void)unlinkat(d->fd, p, 0);
	fl_buf_clear(&names);
	if (fl__names(d, "claims", &names, &ignored) == 0) {
		for (char *p = names.data; p && p < names.data + names.len; p += strlen(p) + 1) {
			(void)snprintf(path, sizeof path, "claims/%.255s", p);
			if (p[0] == 'a' && strtoull(p + 1, NULL, 10) < d->attempt)
				remove_below(d, path);
		}
	}
	fl_buf_release(&names);
}
