/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* memmem */
#include "run/statefiles.h"

#include <stdlib.h>

#include "checkpoint/dir.h"
#include "run/options.h"
#include "run/run.h"

bool
fl_statefiles_wanted(const struct fl_run *run)
{
	return fl_run_options(run)->backend == FL_STATE_ROCKSDB;
}

/* work/UID.aNNN in the checkpoint directory; NULL outside of a region. */
static char *
work_dir(struct fl_run *run)
{
	const struct fl_ckdir *d = fl_run_checkpoints(run);
	struct fl_buf path = { 0 };
	char *dir;

	if (!d)
		return NULL;
	fl_buf_printf(&path, "%s/work/%s.a%llu", d->path, fl_run_uid(run),
		      (unsigned long long)d->attempt);
	dir = fl_xstrndup(path.data, path.len);
	fl_buf_release(&path);
	return dir;
}

struct fl_backend *
fl_statefiles_open(struct fl_run *run, struct fl_backend_options o, struct fl_err *err)
{
	struct fl_backend *b;
	char *dir = work_dir(run);

	o.dir = dir;
	o.memory_max = fl_run_memory_max(run);
	if (o.memory_max == SIZE_MAX)
		o.memory_max = FL_BACKEND_MEMORY;
	b = fl_backend_open(&o, err);
	free(dir);
	return b;
}

int
fl_statefiles_checkpoint(struct fl_backend *b, struct fl_run *run, char **ret_path,
			 struct fl_err *err)
{
	const struct fl_ckdir *d = fl_run_checkpoints(run);
	char file[FL_CHECKPOINT_NAME_MAX], path[FL_CHECKPOINT_NAME_MAX];
	struct fl_buf whole = { 0 };
	int rc;

	fl_ck_file(file, fl_run_uid(run), d->attempt, "files");
	fl_ck_path(path, fl_run_checkpoint_id(run), file);
	fl_buf_printf(&whole, "%s/%s", d->path, path);
	fl_buf_putc(&whole, '\0');
	rc = fl_backend_checkpoint(b, whole.data, err);
	if (rc == 0)
		fl__region_files(run, b);
	fl_buf_release(&whole);
	*ret_path = rc == 0 ? fl_xstrdup(path) : NULL;
	return rc;
}

void
fl_statefiles_save(struct fl_save *s, const char *path)
{
	fl_save_bytes(s, "directory", path, strlen(path));
}

/* The directory of such a path; NULL: it is none. */
static char *
directory(struct fl_run *run, const char *path, size_t n)
{
	const struct fl_ckdir *d = fl_run_checkpoints(run);
	struct fl_buf whole = { 0 };
	char *dir;

	if (!d || n < 4 || n >= FL_CHECKPOINT_NAME_MAX || memcmp(path, "chk-", 4) != 0 ||
	    memchr(path, '\0', n) || memmem(path, n, "..", 2))
		return NULL;
	fl_buf_printf(&whole, "%s/%.*s", d->path, (int)n, path);
	dir = fl_xstrndup(whole.data, whole.len);
	fl_buf_release(&whole);
	return dir;
}

int
fl_statefiles_load(struct fl_load *l, struct fl_run *run, char **ret_dir, struct fl_err *err)
{
	struct fl_state_entry e;
	char *dir = NULL;
	int rc;

	while ((rc = fl_load_entry(l, &e, err)) > 0)
		if (fl_state_is(&e, "directory") && !dir)
			dir = directory(run, e.value, e.value_len);
	if (rc == 0 && !dir)
		rc = fl_load_damaged(l, "it names no directory of files", err);
	if (rc < 0) {
		free(dir);
		dir = NULL;
	}
	*ret_dir = dir;
	return rc;
}

int
fl_statefiles_refuse(struct fl_err *err)
{
	return fl_fail(err, FL_ECONFIG,
		       "the state was kept with --backend rocksdb at the checkpoint, and is "
		       "to be kept in memory: give the same --backend");
}
