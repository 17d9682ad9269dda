/* SPDX-License-Identifier: Apache-2.0 */
#include "rank/rowout.h"

#include <stdlib.h>

#include "stream/row.h"

#define EMIT_BYTES FL_KIB(256) /* held before they are emitted */
#define LOOK_ROWS 64u          /* how often that is looked at */

static int
check_names(const struct fl_header *out, bool updates, struct fl_err *err)
{
	for (uint32_t i = 0; i < out->column_count; i++) {
		const struct fl_column *c = &out->columns[i];

		if (fl_header_find(out, c->name, c->name_len) != i)
			return fl_fail(
				err, FL_EUSAGE,
				"the result would have two columns \"%s\": choose another name",
				c->name);
		if (updates && strcmp(c->name, "op") == 0)
			return fl_fail(
				err, FL_EUSAGE,
				"\"op\" is the first column of a changelog: give that column "
				"another name with fmap");
	}
	return 0;
}

static bool
whole_seconds(const struct fl_window_spec *w)
{
	return w->kind != FL_WINDOW_SESSION && w->size % 1000 == 0 && w->slide % 1000 == 0 &&
	       w->offset % 1000 == 0;
}

int
fl_rowout_open(struct fl_rowout *o, struct fl_run *run, const struct fl_window_spec *bounds,
	       const struct fl_rowout_column *extra, uint32_t extra_count, bool updates,
	       struct fl_err *err)
{
	const struct fl_header *in = fl_run_header(run, 0);
	struct fl_header *out = fl_run_out(run);

	*o = (struct fl_rowout){ .run = run,
				 .front = bounds ? 2 : 0,
				 .known = in->column_count,
				 .seen = in->column_count,
				 .extra = extra_count };
	fl_header_clear_columns(out);
	if (bounds) {
		(void)fl_header_add(out, "window_start", 12, FL_TIME);
		(void)fl_header_add(out, "window_end", 10, FL_TIME);
		out->columns[0].seconds = out->columns[1].seconds = whole_seconds(bounds);
	}
	fl_header_append(out, in, 0);
	for (uint32_t i = 0; i < extra_count; i++)
		(void)fl_header_add(out, extra[i].name, strlen(extra[i].name), extra[i].kind);
	if (in->key_count)
		out->keys = fl_xcalloc(in->key_count, sizeof *out->keys);
	for (uint32_t i = 0; i < in->key_count; i++)
		out->keys[out->key_count++] = in->keys[i] + o->front;
	out->changelog = updates;
	fl_build_init(&o->build, out->column_count);
	o->build.changelog = updates;
	return check_names(out, updates, err);
}

void
fl_rowout_release(struct fl_rowout *o)
{
	fl_build_release(&o->build);
	free(o->vecs);
}

int
fl_rowout_columns(struct fl_rowout *o, struct fl_err *err)
{
	const struct fl_header *in = fl_run_header(o->run, 0);
	struct fl_header *out = fl_run_out(o->run);

	if (fl_rowout_flush(o, err) < 0)
		return err->code;
	fl_header_append(out, in, o->seen);
	o->seen = in->column_count;
	fl_build_resize(&o->build, out->column_count);
	return check_names(out, out->changelog, err);
}

void
fl_rowout_item(struct fl_rowout *o, const struct fl_item *item)
{
	const char *row = fl_item_row(item);
	struct fl_colbuf *to = o->build.col + o->front;

	if (o->kept) {
		fl_kept_put_from(o->kept, row, item->row_len, 0, to, o->known);
		if (o->seen > o->known)
			fl_kept_put_from(o->kept, row, item->row_len, o->known,
					 to + o->known + o->extra, o->seen - o->known);
		return;
	}
	fl_row_put(row, item->row_len, to, o->known);
	if (o->seen > o->known)
		fl_row_put_from(row, item->row_len, o->known, to + o->known + o->extra,
				o->seen - o->known);
}

int
fl_rowout_end(struct fl_rowout *o, int64_t time, int64_t wm, enum fl_rowkind op, struct fl_err *err)
{
	fl_build_row(&o->build, time, wm, op);
	if (o->build.rows % LOOK_ROWS == 0 && fl_build_bytes(&o->build) >= EMIT_BYTES)
		return fl_rowout_flush(o, err);
	return 0;
}

int
fl_rowout_batch(struct fl_rowout *o, struct fl_batch *b, const struct fl_vec *extra,
		struct fl_err *err)
{
	uint32_t cols = o->front + o->seen + o->extra, at = 0;

	if (fl_rowout_flush(o, err) < 0)
		return err->code;
	o->vecs = fl_xreallocarray(o->vecs, cols, sizeof *o->vecs);
	for (uint32_t c = 0; c < o->seen; c++) {
		if (c == o->known)
			for (uint32_t k = 0; k < o->extra; k++)
				o->vecs[at++] = extra[k];
		o->vecs[at++] = *fl_batch_col(b, c);
	}
	for (uint32_t k = 0; o->seen == o->known && k < o->extra; k++)
		o->vecs[at++] = extra[k];
	b->col = o->vecs;
	b->cols = at;
	return fl_emit(o->run, b, err);
}

int
fl_rowout_flush(struct fl_rowout *o, struct fl_err *err)
{
	int rc = 0;

	if (o->build.rows)
		rc = fl_emit(o->run, fl_build_view(&o->build), err);
	fl_build_clear(&o->build);
	return rc;
}
