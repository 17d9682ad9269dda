/* SPDX-License-Identifier: Apache-2.0 */
#include "window/parts.h"

#include <stdlib.h>

#include "base/fault.h"
#include "run/statefiles.h"
#include "window/save.h"

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

int
fl_parts_open(struct fl_parts *p, struct fl_run *run, const struct fl_aggs *aggs, const char *from,
	      struct fl_err *err)
{
	struct fl_backend_options o = { .from = from, .merge = merge, .merge_ctx = p };

	*p = (struct fl_parts){ 0 };
	if (!fl_statefiles_wanted(run))
		return 0;
	(void)pthread_mutex_init(&p->lock, NULL);
	if (copy_aggs(p, run, aggs, err) < 0)
		return err->code;
	p->backend = fl_statefiles_open(run, o, err);
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
	return fl_statefiles_checkpoint(p->backend, run, ret_path, err);
}

void
fl_parts_save(struct fl_save *s, const char *path, const struct fl_header *in,
	      const struct fl_aggs *aggs, bool by_window)
{
	fl_window_save_section(s, FL_STATEFILES_SECTION, in, aggs, by_window);
	fl_statefiles_save(s, path);
}

static int
load_files(struct fl_parts *p, struct fl_load *l, struct fl_run *run, const struct fl_aggs *aggs,
	   struct fl_err *err)
{
	char *dir;
	int rc = fl_statefiles_load(l, run, &dir, err);

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
	if (strcmp(s.name, name) == 0 && s.version <= FL_WINDOW_FLAT_VERSION)
		return 0;
	if (strcmp(s.name, FL_STATEFILES_SECTION) != 0 || s.version != 1)
		return fl_load_unknown(l, &s, err);
	if (!p->backend)
		return fl_statefiles_refuse(err);
	if (!fl_aggs_loader_same(loader))
		return fl_fail(
			err, FL_ECONFIG,
			"with --backend rocksdb the aggregates must be those of the checkpoint, "
			"in the same order: give them as they were, or another --uid");
	return load_files(p, l, run, aggs, err);
}
