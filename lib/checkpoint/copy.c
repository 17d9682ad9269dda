/* SPDX-License-Identifier: Apache-2.0 */
/* A checkpoint as a directory of its own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "checkpoint/below.h"
#include "checkpoint/files.h"
#include "checkpoint/manifest.h"

#define PIECE FL_MIB(1)

static int
copy_bytes(int from, const char *from_name, int to, const char *to_name, struct fl_err *err)
{
	char *piece = fl_xmalloc(PIECE);
	int64_t got;
	int rc = 0;

	do {
		got = fl_io_read(from, piece, PIECE, from_name, err);
		rc = got < 0 ? (int)got : fl_io_write(to, piece, (size_t)got, to_name, err);
	} while (rc == 0 && got > 0);
	free(piece);
	return rc;
}

static int
copy_file(const struct fl_ckdir *d, const char *name, const struct fl_ckdir *to, const char *as,
	  struct fl_err *err)
{
	struct fl_ckfile f;
	uint64_t size;
	int fd = fl__open_file(d->fd, name, &size, err), rc;

	if (fd < 0)
		return fl_wrap(err, "%s", d->path);
	rc = fl_ckfile_create(to, as, &f, err);
	if (rc == 0) {
		rc = copy_bytes(fd, name, f.fd, as, err);
		if (rc == 0)
			rc = fl_ckfile_commit(to, &f, err);
		else
			fl_ckfile_cancel(to, &f);
	}
	(void)close(fd);
	return rc;
}

/* The directory that a file of a state backend is in: "UID.aNNN.files". */
static int
make_parent(const struct fl_ckdir *to, uint64_t id, const char *part, struct fl_err *err)
{
	const char *slash = strchr(part, '/');
	char name[FL_CHECKPOINT_NAME_MAX], dir[FL_CHECKPOINT_NAME_MAX];

	if (!slash)
		return 0;
	(void)snprintf(dir, sizeof dir, "%.*s", (int)(slash - part), part);
	fl_ck_path(name, id, dir);
	if (mkdirat(to->fd, name, 0700) < 0 && errno != EEXIST)
		return fl_fail_errno(err, FL_ECREATE, errno, "cannot create %s/%s", to->path, name);
	fl_ck_path(name, id, NULL);
	return fl_ckdir_sync(to, name, err);
}

static int
copy_part(const struct fl_ckdir *d, uint64_t from_id, const char *part, const struct fl_ckdir *to,
	  uint64_t id, struct fl_err *err)
{
	char name[FL_CHECKPOINT_NAME_MAX], as[FL_CHECKPOINT_NAME_MAX];

	fl_ck_path(name, from_id, part);
	fl_ck_path(as, id, part);
	if (make_parent(to, id, part, err) < 0)
		return err->code;
	return copy_file(d, name, to, as, err);
}

static int
copy_parts(const struct fl_ckdir *d, const struct fl_manifest *m, const struct fl_ckdir *to,
	   struct fl_err *err)
{
	int rc = fl_ck_create(to, m->id, err);

	for (uint32_t i = 0; i < m->op_count && rc == 0; i++) {
		const struct fl_ck_op *op = &m->ops[i];
		uint64_t from = op->checkpoint ? op->checkpoint : m->id;

		rc = copy_part(d, from, op->state.name, to, m->id, err);
		for (uint32_t k = 0; k < op->file_count && rc == 0; k++)
			rc = copy_part(d, from, op->files[k].name, to, m->id, err);
	}
	return rc;
}

/* A pending file may be named more than once, with other parts of it. */
static int
copy_pending(const struct fl_ckdir *d, const struct fl_manifest *m, const struct fl_ckdir *to,
	     struct fl_err *err)
{
	char name[FL_CHECKPOINT_NAME_MAX];
	int rc = 0;

	for (uint32_t i = 0; i < m->sink_count && rc == 0; i++)
		for (uint32_t k = 0; k < m->sinks[i].pending_count && rc == 0; k++) {
			(void)snprintf(name, sizeof name, "pending/%.140s",
				       m->sinks[i].pending[k].file);
			rc = copy_file(d, name, to, name, err);
		}
	return rc;
}

/* The manifest as it is in the copy: all files lie in one directory. */
static int
write_manifest(const struct fl_ckdir *to, const struct fl_manifest *m, bool with_sinks,
	       struct fl_err *err)
{
	struct fl_manifest copy = *m;
	int rc;

	copy.ops = fl_xcalloc(m->op_count, sizeof *copy.ops);
	for (uint32_t i = 0; i < m->op_count; i++) {
		copy.ops[i] = m->ops[i];
		copy.ops[i].checkpoint = m->id;
	}
	if (!with_sinks)
		copy.sink_count = 0;
	rc = fl_manifest_write(to, &copy, err);
	free(copy.ops);
	return rc;
}

static int
copy_all(const struct fl_ckdir *d, const struct fl_manifest *m, struct fl_ckdir *to,
	 bool with_sinks, struct fl_err *err)
{
	struct fl_attempt a = { 0 };
	struct fl_buf ids = { 0 };
	int rc = fl_ckdir_lock_alone(to, 0, err);

	if (rc == 0)
		rc = fl_ck_list(to, &ids, err);
	if (rc == 0 && ids.len)
		rc = fl_fail(err, FL_ECONFIG, "%s has checkpoints already: name a new directory",
			     to->path);
	fl_buf_release(&ids);
	if (rc == 0)
		rc = fl_ckdir_read_attempt(d, &a, err);
	if (rc == 0) {
		/* attempts go on from its number: names carry it */
		a.next_id = m->id + 1;
		rc = fl__write_attempt(to, &a, err);
	}
	fl_attempt_release(&a);
	if (rc == 0)
		rc = copy_parts(d, m, to, err);
	if (rc == 0 && with_sinks)
		rc = copy_pending(d, m, to, err);
	return rc < 0 ? rc : write_manifest(to, m, with_sinks, err);
}

int
fl_manifest_copy(const struct fl_ckdir *d, const struct fl_manifest *m, const char *path,
		 bool with_sinks, struct fl_err *err)
{
	struct fl_ckdir to;
	int rc = fl_ckdir_open(&to, path, true, err);

	if (rc < 0)
		return rc;
	rc = copy_all(d, m, &to, with_sinks, err);
	fl_ckdir_close(&to);
	return rc;
}
