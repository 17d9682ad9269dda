/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* memmem */
#include "window/parts.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/fault.h"
#include "checkpoint/dir.h"
#include "run/options.h"

/* ---- values -------------------------------------------------------------------------- */

void
fl_part_put(struct fl_buf *out, const struct fl_part *part, const struct fl_aggs *aggs,
	    const void *acc)
{
	fl_buf_put(out, part, sizeof *part);
	fl_aggs_save(aggs, acc, out);
}

int
fl_part_head(struct fl_bytes value, struct fl_part *part, struct fl_err *err)
{
	if (value.n < sizeof *part)
		return fl_fail(err, FL_EDATA, "a value in RocksDB's files is damaged");
	memcpy(part, value.p, sizeof *part);
	return 0;
}

int
fl_part_get(struct fl_bytes value, struct fl_part *part, struct fl_aggs *aggs, void *acc,
	    struct fl_err *err)
{
	if (fl_part_head(value, part, err) < 0)
		return err->code;
	return fl_aggs_load(aggs, acc, value.p + sizeof *part, value.n - sizeof *part, err);
}

/* ---- merging --------------------------------------------------------------------------- */

/* value is newer than what *sum and the accumulator hold. */
static int
merge_one(struct fl_parts *p, struct fl_part *sum, struct fl_bytes value)
{
	struct fl_part part;
	struct fl_err err;
	int rc;

	fl_aggs_init(p->aggs, p->other);
	rc = fl_part_get(value, &part, p->aggs, p->other, &err);
	if (rc == 0)
		rc = fl_aggs_merge(p->aggs, p->acc, p->other, &err);
	fl_aggs_clear(p->aggs, p->other);
	if (rc < 0)
		return rc;
	if (part.seq < sum->seq) {
		sum->seq = part.seq;
		sum->tags = part.tags;
	}
	sum->records += part.records;
	sum->flags |= part.flags;
	return 0;
}

static char *
merge(void *ctx, const struct fl_bytes *values, size_t n, size_t *ret_n)
{
	struct fl_parts *p = ctx;
	struct fl_part sum;
	struct fl_err err;
	char *merged = NULL;
	int rc;

	(void)pthread_mutex_lock(&p->lock);
	fl_aggs_init(p->aggs, p->acc);
	rc = fl_part_get(values[0], &sum, p->aggs, p->acc, &err);
	for (size_t i = 1; i < n && rc == 0; i++)
		rc = merge_one(p, &sum, values[i]);
	if (rc == 0) {
		fl_buf_clear(&p->merged);
		fl_part_put(&p->merged, &sum, p->aggs, p->acc);
		merged = fl_xstrndup(p->merged.data, p->merged.len);
		*ret_n = p->merged.len;
	}
	fl_aggs_clear(p->aggs, p->acc);
	(void)pthread_mutex_unlock(&p->lock);
	return merged;
}

/* ---- opening ----------------------------------------------------------------------------- */

/* The same list once more. */
static int
copy_aggs(struct fl_parts *p, struct fl_run *run, const struct fl_aggs *aggs, struct fl_err *err)
{
	const struct fl_header *in = fl_run_header(run, 0);
	struct fl_buf definition = { 0 };
	int rc = 0;

	p->aggs = fl_aggs_new(fl_run_expr_env(run));
	for (size_t i = 0; i < fl_aggs_count(aggs) && rc == 0; i++) {
		fl_buf_clear(&definition);
		fl_aggs_definition(aggs, i, &definition);
		fl_buf_putc(&definition, '\0');
		rc = fl_aggs_define(p->aggs, definition.data, err);
	}
	fl_buf_release(&definition);
	if (rc == 0)
		rc = fl_aggs_bind(p->aggs, in, in->changelog, err);
	p->acc = fl_xcalloc(1, fl_aggs_size(aggs) + 8);
	p->other = fl_xcalloc(1, fl_aggs_size(aggs) + 8);
	return rc;
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

int
fl_parts_open(struct fl_parts *p, struct fl_run *run, const struct fl_aggs *aggs, const char *from,
	      struct fl_err *err)
{
	struct fl_backend_options o = { .from = from, .merge = merge, .merge_ctx = p };
	char *dir;
	int rc;

	*p = (struct fl_parts){ 0 };
	if (fl_run_options(run)->backend != FL_STATE_ROCKSDB)
		return 0;
	(void)pthread_mutex_init(&p->lock, NULL);
	rc = copy_aggs(p, run, aggs, err);
	o.dir = dir = work_dir(run);
	o.memory_max = fl_run_memory_max(run);
	if (o.memory_max == SIZE_MAX)
		o.memory_max = FL_BACKEND_MEMORY;
	if (rc == 0)
		p->backend = fl_backend_open(&o, err);
	free(dir);
	return p->backend ? 0 : err->code;
}

void
fl_parts_release(struct fl_parts *p)
{
	if (!p->aggs)
		return;
	fl_backend_close(p->backend);
	fl_aggs_free(p->aggs);
	(void)pthread_mutex_destroy(&p->lock);
	free(p->acc);
	free(p->other);
	fl_buf_release(&p->merged);
	p->aggs = NULL;
	p->backend = NULL;
}

/* ---- checkpoints ---------------------------------------------------------------------------- */

int
fl_parts_checkpoint(struct fl_parts *p, struct fl_run *run, char **ret_path, struct fl_err *err)
{
	const struct fl_ckdir *d = fl_run_checkpoints(run);
	char file[FL_CHECKPOINT_NAME_MAX], path[FL_CHECKPOINT_NAME_MAX];
	struct fl_buf whole = { 0 };
	int rc;

	fl_ck_file(file, fl_run_uid(run), d->attempt, "files");
	fl_ck_path(path, fl_run_checkpoint_id(run), file);
	fl_buf_printf(&whole, "%s/%s", d->path, path);
	fl_buf_putc(&whole, '\0');
	FL_FAULT("rocksdb.checkpoint");
	rc = fl_backend_checkpoint(p->backend, whole.data, err);
	FL_FAULT("rocksdb.linked");
	fl_buf_release(&whole);
	*ret_path = rc == 0 ? fl_xstrdup(path) : NULL;
	return rc;
}

#define SECTION "files"

void
fl_parts_save(struct fl_save *s, const char *path)
{
	fl_save_section(s, SECTION, 1, NULL);
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

static int
load_files(struct fl_parts *p, struct fl_load *l, struct fl_run *run, const struct fl_aggs *aggs,
	   struct fl_err *err)
{
	struct fl_state_entry e;
	char *dir = NULL;
	int rc;

	while ((rc = fl_load_entry(l, &e, err)) > 0)
		if (fl_state_is(&e, "directory") && !dir)
			dir = directory(run, e.value, e.value_len);
	if (rc == 0 && !dir)
		rc = fl_load_damaged(l, "it names no directory of files", err);
	if (rc == 0) {
		FL_FAULT("rocksdb.restore");
		fl_parts_release(p);
		rc = fl_parts_open(p, run, aggs, dir, err);
	}
	FL_FAULT("rocksdb.restored");
	free(dir);
	return rc < 0 ? rc : 1;
}

int
fl_parts_load(struct fl_parts *p, struct fl_load *l, struct fl_run *run, const struct fl_aggs *aggs,
	      const struct fl_aggs_loader *loader, const char *name, struct fl_err *err)
{
	struct fl_state_section s;
	int rc = fl_load_section(l, &s, err);

	if (rc <= 0)
		return rc < 0 ? rc : fl_load_damaged(l, "a section is missing", err);
	if (s.version != 1)
		return fl_load_unknown(l, &s, err);
	if (strcmp(s.name, name) == 0)
		return 0;
	if (strcmp(s.name, SECTION) != 0)
		return fl_load_unknown(l, &s, err);
	if (!p->backend)
		return fl_fail(
			err, FL_ECONFIG,
			"the state was kept with --backend rocksdb at the checkpoint, and is "
			"to be kept in memory: give the same --backend");
	if (!fl_aggs_loader_same(loader))
		return fl_fail(
			err, FL_ECONFIG,
			"with --backend rocksdb the aggregates must be those of the checkpoint, "
			"in the same order: give them as they were, or another --uid");
	return load_files(p, l, run, aggs, err);
}
