/* SPDX-License-Identifier: Apache-2.0 */
/* The checkpoint directory: locks and attempts. How files are written is in files.c. */
#define _GNU_SOURCE /* F_OFD_SETLK, realpath */
#include "checkpoint/dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/io.h"
#include "checkpoint/below.h"
#include "checkpoint/files.h"
#include "checkpoint/sealed.h"

#define ATTEMPT_VERSION 1
#define SMALL_FILE FL_MIB(1)
#define RETRY_MS 50
#define LOCK_REGION 0 /* bytes of the file "lock" */
#define LOCK_FILES 1  /* whoever changes "attempt" or "request" in several steps */

int
fl_uid_check(const char *uid, struct fl_err *err)
{
	size_t n = strlen(uid);
	bool ok = n > 0 && n <= FL_UID_MAX && uid[0] != '.';

	for (const char *p = uid; ok && *p; p++)
		ok = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '.' ||
		     *p == '_' || *p == '-';
	if (ok)
		return 0;
	return fl_fail(err, FL_EUSAGE,
		       "uid \"%.*s\": 1 to %u of a-z, 0-9, '.', '_', '-', not beginning with '.'",
		       n < 100 ? (int)n : 100, uid, FL_UID_MAX);
}

/* ---- opening ---------------------------------------------------------------------- */

/* The directory that path is in is told to keep its entry. */
static int
sync_parent(int fd, const char *path, struct fl_err *err)
{
	int parent = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

	if (parent < 0 || fsync(parent) < 0)
		rc = fl_fail_errno(err, FL_EIO, errno, "cannot fsync the directory of %s", path);
	if (parent >= 0)
		(void)close(parent);
	return rc;
}

static int
check_owner(const struct fl_ckdir *d, struct fl_err *err)
{
	struct stat st;

	if (fstat(d->fd, &st) < 0)
		return fl_fail_errno(err, FL_EIO, errno, "cannot look at %s", d->path);
	if (st.st_uid != geteuid())
		return fl_fail(err, FL_ECONFIG,
			       "%s belongs to another user (uid %u): nothing is restored from it",
			       d->path, (unsigned)st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return fl_fail(
			err, FL_ECONFIG,
			"%s can be written by others (mode %03o): chmod go-w it, if you trust "
			"what is in it",
			d->path, (unsigned)st.st_mode & 0777);
	return 0;
}

static bool
is_empty(const struct fl_ckdir *d)
{
	int fd = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	bool empty = dir != NULL;

	while (dir && empty && (e = readdir(dir)))
		empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
	if (dir)
		(void)closedir(dir);
	return empty;
}

/* The file "lock" marks a checkpoint directory. */
static bool
is_marked(const struct fl_ckdir *d)
{
	struct stat st;

	return fstatat(d->fd, "lock", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

static int
check_kind(const struct fl_ckdir *d, bool create, struct fl_err *err)
{
	static const char *const dirs[] = { "claims", "pending", "work" };
	bool marked = is_marked(d);
	int fd;

	if (marked) {
		if (!create)
			return 0;
	} else if (!create || (!is_empty(d) && !is_marked(d))) {
		/* looked at twice: another source may be making it at this moment */
		return fl_fail(err, FL_ECONFIG, "%s is no checkpoint directory%s", d->path,
			       create ? ", and not empty: name a new one" : "");
	}
	fd = fl__open_below(d->fd, "lock", O_RDWR | O_CREAT);
	if (fd < 0)
		return fl_fail_errno(err, FL_ECREATE, errno, "cannot create %s/lock", d->path);
	(void)close(fd);
	/* the mark first: what a loss of power leaves must be known again */
	if (!marked && fl_ckdir_sync(d, "", err) < 0)
		return err->code;
	for (size_t i = 0; i < FL_ARRAY_LEN(dirs); i++)
		if (mkdirat(d->fd, dirs[i], 0700) < 0 && errno != EEXIST)
			return fl_fail_errno(err, FL_ECREATE, errno, "cannot create %s/%s", d->path,
					     dirs[i]);
	return fl_ckdir_sync(d, "", err);
}

static int
open_dir(struct fl_ckdir *d, const char *path, bool create, struct fl_err *err)
{
	if (create && mkdir(path, 0700) < 0 && errno != EEXIST)
		return fl_fail_errno(err, FL_ECREATE, errno, "cannot create %s", path);
	d->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->fd < 0)
		return fl_fail_errno(err, create ? FL_ECREATE : FL_ENOINPUT, errno,
				     "cannot open %s", path);
	d->path = realpath(path, NULL);
	if (!d->path)
		d->path = fl_xstrdup(path);
	return create ? sync_parent(d->fd, d->path, err) : 0;
}

static const struct fl_ckdir none_open = { .fd = -1, .lock_fd = -1, .claim_fd = -1 };

int
fl_ckdir_open(struct fl_ckdir *d, const char *path, bool create, struct fl_err *err)
{
	*d = none_open;
	if (open_dir(d, path, create, err) < 0 || check_owner(d, err) < 0 ||
	    check_kind(d, create, err) < 0) {
		fl_ckdir_close(d);
		return err->code;
	}
	return 0;
}

void
fl_ckdir_close(struct fl_ckdir *d)
{
	if (!d->path) /* a zeroed struct too */
		return;
	fl_ckdir_unclaim(d);
	fl_ckdir_leave(d);
	if (d->fd >= 0)
		(void)close(d->fd);
	free(d->path);
	*d = none_open;
}

/* ---- locks ------------------------------------------------------------------------ */

/* 1 locked, 0 somebody else has it, or the error. wait: until it is free. */
static int
lock_byte(int fd, short type, off_t byte, bool wait, const char *path, struct fl_err *err)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

	while (fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &l) < 0) {
		if (errno == EAGAIN || errno == EACCES)
			return 0;
		if (errno != EINTR)
			return fl_fail_errno(err, FL_EUNAVAILABLE, errno, "cannot lock %s", path);
	}
	return 1;
}

static int
open_lock(const struct fl_ckdir *d, const char *name, struct fl_err *err)
{
	int fd = fl__open_below(d->fd, name, O_RDWR | O_CREAT | O_APPEND);

	if (fd < 0)
		return fl_fail_errno(err, FL_ECREATE, errno, "cannot open %s/%s", d->path, name);
	return fd;
}

/* Open "lock" and lock byte 0 as type: the descriptor, -1 somebody else has it. */
static int
try_region(const struct fl_ckdir *d, short type, int *ret_fd, struct fl_err *err)
{
	struct stat mine, now;
	int fd, rc;

	*ret_fd = -1;
	fd = open_lock(d, "lock", err);
	if (fd < 0)
		return fd;
	rc = lock_byte(fd, type, LOCK_REGION, false, d->path, err);
	/* somebody may have removed the file while we waited: then it locks nothing */
	if (rc > 0 && (fstat(fd, &mine) < 0 || fstatat(d->fd, "lock", &now, 0) < 0 ||
		       mine.st_ino != now.st_ino || mine.st_dev != now.st_dev))
		rc = 0;
	if (rc <= 0)
		(void)close(fd);
	else
		*ret_fd = fd;
	return rc;
}

/* Whether process pid has the file open that st tells of. */
static bool
has_open(const char *pid, const struct stat *st)
{
	char path[64];
	const struct dirent *e;
	struct stat found;
	bool has = false;
	DIR *dir;

	(void)snprintf(path, sizeof path, "/proc/%.20s/fd", pid);
	dir = opendir(path);
	while (dir && !has && (e = readdir(dir)))
		has = fstatat(dirfd(dir), e->d_name, &found, 0) == 0 &&
		      found.st_ino == st->st_ino && found.st_dev == st->st_dev;
	if (dir)
		(void)closedir(dir);
	return has;
}

/* Those that wrote their pid into "lock" and live. */
static void
name_writers(const struct fl_ckdir *d, struct fl_buf *out)
{
	struct fl_buf text = { 0 };
	struct fl_err ignored;
	char *end;

	if (fl_ckdir_read(d, "lock", SMALL_FILE, &text, &ignored) == 0) {
		fl_buf_putc(&text, '\0');
		for (char *p = text.data;; p = end) {
			long pid = strtol(p, &end, 10);

			if (end == p)
				break;
			if (pid > 0 && pid != getpid() && kill((pid_t)pid, 0) == 0)
				fl_buf_printf(out, "%s%ld", out->len ? ", " : "", pid);
		}
	}
	fl_buf_release(&text);
}

/*
 * "1234, 1240": the living processes that have the lock. Who wrote a pid need not live
 * any more, and a snapshot child wrote none: so it is looked who has the file open.
 * Only where that cannot be seen (no /proc), what they wrote counts.
 */
static void
name_holders(const struct fl_ckdir *d, struct fl_buf *out)
{
	DIR *proc = opendir("/proc");
	const struct dirent *e;
	struct stat st;

	if (proc && fstatat(d->fd, "lock", &st, 0) == 0) {
		while ((e = readdir(proc))) {
			long pid = strtol(e->d_name, NULL, 10);

			if (pid > 0 && pid != getpid() && has_open(e->d_name, &st))
				fl_buf_printf(out, "%s%ld", out->len ? ", " : "", pid);
		}
	}
	if (proc)
		(void)closedir(proc);
	if (out->len == 0)
		name_writers(d, out);
	if (out->len == 0)
		fl_buf_puts(out, "unknown");
	fl_buf_putc(out, '\0');
}

/* Every holder leaves its pid. What cannot be written is not missed. */
static void
write_pid(int fd, bool first)
{
	char line[32];
	struct fl_err ignored;
	int n = snprintf(line, sizeof line, "%ld\n", (long)getpid());

	if (first)
		(void)ftruncate(fd, 0);
	(void)fl_io_write(fd, line, (size_t)n, "lock", &ignored);
}

int
fl_ckdir_lock_alone(struct fl_ckdir *d, int64_t wait_ms, struct fl_err *err)
{
	int64_t until = fl_clock_us() + wait_ms * 1000;
	struct fl_buf pids = { 0 };
	int rc;

	for (;;) {
		rc = try_region(d, F_WRLCK, &d->lock_fd, err);
		if (rc != 0 || fl_clock_us() >= until)
			break;
		(void)fl_io_wait_readable(-1, RETRY_MS); /* of nothing: it sleeps */
	}
	if (rc > 0)
		write_pid(d->lock_fd, true);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	name_holders(d, &pids);
	(void)fl_fail(err, FL_EUNAVAILABLE,
		      "%s is in use by a running pipeline (pid %.200s): end it first", d->path,
		      pids.data);
	fl_buf_release(&pids);
	return err->code;
}

int
fl_ckdir_try_lock(const struct fl_ckdir *d, const char *name, int *ret_fd, struct fl_err *err)
{
	int fd = open_lock(d, name, err), rc;

	*ret_fd = -1;
	if (fd < 0)
		return fd;
	rc = lock_byte(fd, F_WRLCK, 0, false, d->path, err);
	if (rc > 0)
		*ret_fd = fd;
	else
		(void)close(fd);
	return rc;
}

enum lock { UNKNOWN, FREE, LOCKED };

/* Whether somebody else holds the lock of a file. */
static enum lock
lock_of(int fd)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };

	if (fd < 0 || fcntl(fd, F_OFD_GETLK, &l) < 0)
		return UNKNOWN;
	return l.l_type == F_UNLCK ? FREE : LOCKED;
}

bool
fl_ckdir_is_locked(const struct fl_ckdir *d, const char *name)
{
	/* through a description of its own the process would find its own lock too */
	bool own = d->lock_fd >= 0 && strcmp(name, "lock") == 0;
	int fd = own ? d->lock_fd : fl__open_below(d->fd, name, O_RDWR);
	bool locked = lock_of(fd) == LOCKED;

	if (fd >= 0 && !own)
		(void)close(fd);
	return locked;
}

int
fl__lock_files(const struct fl_ckdir *d, struct fl_err *err)
{
	int fd = open_lock(d, "lock", err), rc;

	if (fd < 0)
		return fd;
	rc = lock_byte(fd, F_WRLCK, LOCK_FILES, true, d->path, err);
	if (rc > 0)
		return fd;
	(void)close(fd);
	return rc < 0 ? rc : fl_fail(err, FL_EUNAVAILABLE, "cannot lock %s", d->path);
}

/* ---- attempts ---------------------------------------------------------------------- */

void
fl_attempt_release(struct fl_attempt *a)
{
	for (uint32_t i = 0; i < a->source_count; i++)
		free(a->sources[i]);
	free(a->sources);
	*a = (struct fl_attempt){ 0 };
}

static void
encode_attempt(const struct fl_attempt *a, struct fl_buf *out)
{
	json_t *sources = json_array();
	json_t *root = json_pack(
		"{s:i, s:I, s:I, s:I, s:I, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I}", "version",
		ATTEMPT_VERSION, "attempt", (json_int_t)a->number, "restore",
		(json_int_t)a->restore_id, "next_id", (json_int_t)a->next_id, "sinks",
		(json_int_t)a->sinks, "at_least_once", (int)a->at_least_once, "allow_dropped",
		(int)a->allow_dropped, "timeout_ms", (json_int_t)a->timeout_ms, "tolerate",
		(json_int_t)a->tolerate, "retain", (json_int_t)a->retain, "every_ms",
		(json_int_t)a->every_ms, "min_pause_ms", (json_int_t)a->min_pause_ms, "pid",
		(json_int_t)a->pid);

	for (uint32_t i = 0; i < a->source_count; i++)
		json_array_append_new(sources, fl__json_text(a->sources[i]));
	json_object_set_new(root, "sources", sources);
	fl__seal(root, out);
}

static void
decode_attempt(struct fl_members *m, const json_t *o, struct fl_attempt *a)
{
	const json_t *sources = fl__get_array(m, o, "sources");
	size_t n = json_array_size(sources);

	a->number = fl__get_u64(m, o, "attempt");
	a->restore_id = fl__get_u64(m, o, "restore");
	a->next_id = fl__get_u64(m, o, "next_id");
	a->sinks = fl__get_u32(m, o, "sinks");
	a->at_least_once = fl__get_bool(m, o, "at_least_once");
	a->allow_dropped = fl__get_bool(m, o, "allow_dropped");
	a->timeout_ms = fl__get_i64(m, o, "timeout_ms");
	a->tolerate = fl__get_u32(m, o, "tolerate");
	a->retain = fl__get_u32(m, o, "retain");
	a->every_ms = fl__get_i64(m, o, "every_ms");
	a->min_pause_ms = fl__get_i64(m, o, "min_pause_ms");
	a->pid = fl__get_i64(m, o, "pid");
	a->sources = fl_xcalloc(n, sizeof *a->sources);
	for (size_t i = 0; i < n; i++)
		a->sources[a->source_count++] = fl__text_of(m, json_array_get(sources, i),
							    "sources");
}

int
fl_ckdir_read_attempt(const struct fl_ckdir *d, struct fl_attempt *ret, struct fl_err *err)
{
	struct fl_members m = { 0 };
	struct fl_buf text = { 0 };
	json_t *root = NULL;
	int rc;

	*ret = (struct fl_attempt){ 0 };
	rc = fl_ckdir_read(d, "attempt", SMALL_FILE, &text, err);
	if (rc == 0 && !(root = fl__unseal(text.data, text.len, ATTEMPT_VERSION, "attempt", err)))
		rc = err->code;
	fl_buf_release(&text);
	if (rc < 0)
		return fl_wrap(err, "%s", d->path);
	decode_attempt(&m, root, ret);
	json_decref(root);
	if (!m.wrong)
		return 0;
	fl_attempt_release(ret);
	return fl_fail(err, FL_EDATA, "%s: attempt: \"%s\" is not what it must be", d->path,
		       m.wrong);
}

int
fl__write_attempt(const struct fl_ckdir *d, const struct fl_attempt *a, struct fl_err *err)
{
	struct fl_buf text = { 0 };
	int rc;

	encode_attempt(a, &text);
	rc = fl_ckdir_write(d, "attempt", text.data, text.len, err);
	fl_buf_release(&text);
	return rc;
}

/* The number and the least id that this attempt may have: behind all before. */
static int
number_attempt(const struct fl_ckdir *d, struct fl_attempt *a, struct fl_err *err)
{
	struct fl_attempt before = { 0 };
	struct fl_buf ids = { 0 };
	const uint64_t *id;
	int rc = fl_ckdir_read_attempt(d, &before, err);

	if (rc < 0 && rc != FL_ENOINPUT) /* ENOINPUT: this is the first */
		return rc;
	rc = fl_ck_list(d, &ids, err);
	if (rc < 0) {
		fl_attempt_release(&before);
		return rc;
	}
	id = (const uint64_t *)(const void *)ids.data;
	a->number = before.number + 1;
	a->next_id = a->next_id < before.next_id ? before.next_id : a->next_id;
	a->next_id = a->next_id < 1 ? 1 : a->next_id;
	if (ids.len && id[ids.len / sizeof *id - 1] >= a->next_id)
		a->next_id = id[ids.len / sizeof *id - 1] + 1;
	fl_buf_release(&ids);
	fl_attempt_release(&before);
	return 0;
}

int
fl_ckdir_begin(struct fl_ckdir *d, struct fl_attempt *a, struct fl_err *err)
{
	fl_assert(d->lock_fd >= 0);
	FL_FAULT("attempt.begin");
	if (number_attempt(d, a, err) < 0 || fl__write_attempt(d, a, err) < 0)
		return err->code;
	d->attempt = a->number;
	/* nobody else is here: what half-written files there are were left behind */
	fl__sweep(d);
	(void)unlinkat(d->fd, "request", 0);
	if (lock_byte(d->lock_fd, F_RDLCK, LOCK_REGION, false, d->path, err) <= 0)
		return fl_fail(err, FL_EUNAVAILABLE, "cannot keep the lock of %s", d->path);
	FL_FAULT("attempt.shared");
	return 0;
}

void
fl_ckdir_leave(struct fl_ckdir *d)
{
	if (d->lock_fd >= 0)
		(void)close(d->lock_fd);
	d->lock_fd = -1;
	d->attempt = 0;
}

int
fl_ckdir_join(struct fl_ckdir *d, uint64_t number, struct fl_err *err)
{
	struct fl_attempt now;
	int rc = try_region(d, F_RDLCK, &d->lock_fd, err);

	if (rc < 0)
		return rc;
	if (rc == 0)
		return fl_fail(err, FL_ETEMP,
			       "attempt %llu of %s is over: another pipeline has begun with it",
			       (unsigned long long)number, d->path);
	rc = fl_ckdir_read_attempt(d, &now, err);
	if (rc < 0 && rc != FL_ENOINPUT) {
		fl_ckdir_leave(d);
		return rc;
	}
	if (rc < 0 || now.number != number) {
		uint64_t found = rc < 0 ? 0 : now.number;
		/* what is left of this line, or of one before, has begun anew: that passes */
		bool passes = found > number && fl_ckdir_is_locked(d, "lock");

		fl_attempt_release(&now);
		fl_ckdir_leave(d);
		return fl_fail(err, passes ? FL_ETEMP : FL_EUNAVAILABLE,
			       "the stream is of attempt %llu of %s, but that directory is at "
			       "attempt %llu: another run has begun, or it is another host's disk",
			       (unsigned long long)number, d->path, (unsigned long long)found);
	}
	fl_attempt_release(&now);
	write_pid(d->lock_fd, false);
	d->attempt = number;
	return 0;
}

int
fl_ckdir_claim(struct fl_ckdir *d, const char *uid, const char *instance, struct fl_err *err)
{
	char name[FL_CHECKPOINT_NAME_MAX];
	int fd;

	if (fl_uid_check(uid, err) < 0)
		return err->code;
	(void)snprintf(name, sizeof name, "claims/a%llu.%s", (unsigned long long)d->attempt, uid);
	fd = fl__open_below(d->fd, name, O_WRONLY | O_CREAT | O_EXCL);
	if (fd < 0 && errno == EEXIST)
		return fl_fail(err, FL_ECONFIG,
			       "two operators of this pipeline are called %s: give one of them "
			       "another name with --uid",
			       uid);
	if (fd < 0)
		return fl_fail_errno(err, FL_ECREATE, errno, "cannot create %s/%s", d->path, name);
	d->claim_fd = fd;
	/* locked first: one with content that is not locked is of a process that has gone */
	if (lock_byte(fd, F_WRLCK, 0, false, d->path, err) < 0)
		return err->code;
	return fl_io_write(fd, instance, strlen(instance), name, err);
}

void
fl_ckdir_unclaim(struct fl_ckdir *d)
{
	if (d->claim_fd >= 0)
		(void)close(d->claim_fd);
	d->claim_fd = -1;
}

void
fl_ckdir_ended(const struct fl_ckdir *d)
{
	if (d->path && d->claim_fd >= 0)
		(void)ftruncate(d->claim_fd, 0);
}

static bool
has_content(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size > 0;
}

/* It had content before its lock was free, and has it still. */
static bool
is_lost(const struct fl_ckdir *d, const char *name)
{
	char path[FL_CHECKPOINT_NAME_MAX];
	bool lost;
	int fd;

	(void)snprintf(path, sizeof path, "claims/%.140s", name);
	fd = fl__open_below(d->fd, path, O_RDWR);
	lost = fd >= 0 && has_content(fd) && lock_of(fd) == FREE && has_content(fd);
	if (fd >= 0)
		(void)close(fd);
	return lost;
}

bool
fl_ckdir_lost(const struct fl_ckdir *d)
{
	char prefix[FL_CHECKPOINT_NAME_MAX];
	struct fl_buf names = { 0 };
	struct fl_err ignored;
	bool lost = false;
	size_t n, at = 0;

	n = (size_t)snprintf(prefix, sizeof prefix, "a%llu.", (unsigned long long)d->attempt);
	if (fl__names(d, "claims", &names, &ignored) < 0)
		names.len = 0;
	for (; at < names.len && !lost; at += strlen(names.data + at) + 1)
		lost = strncmp(names.data + at, prefix, n) == 0 && is_lost(d, names.data + at);
	fl_buf_release(&names);
	return lost;
}

static int
add_source(const struct fl_ckdir *d, const char *name, struct fl_err *err)
{
	struct fl_attempt a;
	int rc = fl_ckdir_read_attempt(d, &a, err);

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < a.source_count && rc == 0; i++)
		if (strcmp(a.sources[i], name) == 0)
			rc = fl_fail(
				err, FL_ECONFIG,
				"a source called \"%s\" is in attempt %llu of %s already: each "
				"fcheckpoint begin needs a --name of its own",
				name, (unsigned long long)a.number, d->path);
	if (rc == 0) {
		a.sources = fl_xreallocarray(a.sources, a.source_count + 1, sizeof *a.sources);
		a.sources[a.source_count++] = fl_xstrdup(name);
		rc = fl__write_attempt(d, &a, err);
	}
	fl_attempt_release(&a);
	return rc;
}

int
fl_ckdir_join_source(struct fl_ckdir *d, const char *name, struct fl_err *err)
{
	int lock = fl__lock_files(d, err), rc;

	if (lock < 0)
		return lock;
	rc = add_source(d, name, err);
	(void)close(lock);
	return rc;
}
