/* SPDX-License-Identifier: Apache-2.0 */
#include "window/late.h"

int
fl_late_open(struct fl_late *l, struct fl_run *run, const char *path, struct fl_err *err)
{
	*l = (struct fl_late){ .run = run, .path = path };
	if (!path)
		return 0;
	l->file = fl_run_side(run, path, fl_run_header(run, 0), err);
	return l->file ? 0 : err->code;
}

void
fl_late_release(struct fl_late *l)
{
	fl_buf_release(&l->rows);
	fl_buf_release(&l->pool);
}

void
fl_late_add(struct fl_late *l, uint32_t row)
{
	fl_buf_put(&l->rows, &row, sizeof row);
}

int
fl_late_flush(struct fl_late *l, const struct fl_batch *b, struct fl_err *err)
{
	uint32_t n = (uint32_t)(l->rows.len / sizeof(uint32_t));
	struct fl_batch late;
	int rc = 0;

	if (n == 0)
		return 0;
	fl_run_late(l->run, n, l->path);
	if (l->file) {
		fl_batch_select(b, (const uint32_t *)(const void *)l->rows.data, n, &l->pool,
				&late);
		rc = fl_side_write(l->file, fl_run_header(l->run, 0), &late, err);
	}
	fl_buf_clear(&l->rows);
	return rc;
}
