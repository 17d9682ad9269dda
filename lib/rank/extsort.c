/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* qsort_r */
#include "rank/extsort.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/heap.h"
#include "base/io.h"
#include "run/queue.h"

#define MERGE_MAX 64u /* runs that are merged at once */
#define CURSOR_BYTES FL_KIB(64)
#define CURSOR_LEAST FL_KIB(4)
#define WRITE_BYTES FL_KIB(256)
#define FILE_NAME "a temporary file"

void
fl_extsort_init(struct fl_extsort *x, const struct fl_sortby *order, size_t memory_max)
{
	*x = (struct fl_extsort){ .order = order, .memory_max = memory_max, .fd = -1 };
}

static void
free_cursors(struct fl_extsort *x)
{
	for (uint32_t i = 0; i < x->cursors; i++)
		fl_buf_release(&x->cursor[i].buf);
	free(x->cursor);
	free(x->heap);
	x->cursor = NULL;
	x->heap = NULL;
	x->count = x->cursors = 0;
	x->advance = false;
}

static struct fl_item **
items(const struct fl_extsort *x)
{
	return (struct fl_item **)(void *)x->rows.data;
}

static size_t
item_count(const struct fl_extsort *x)
{
	return x->rows.len / sizeof(struct fl_item *);
}

static void
drop_rows(struct fl_extsort *x)
{
	for (size_t i = 0; i < item_count(x); i++)
		fl_item_free(&x->mem, items(x)[i]);
	fl_buf_clear(&x->rows);
	x->bytes = 0;
}

void
fl_extsort_release(struct fl_extsort *x)
{
	drop_rows(x);
	free_cursors(x);
	fl_items_release(&x->mem);
	fl_buf_release(&x->rows);
	fl_buf_release(&x->runs);
	fl_buf_release(&x->out);
	if (x->fd > STDIN_FILENO)
		(void)close(x->fd);
}

size_t
fl_extsort_bytes(const struct fl_extsort *x)
{
	const struct fl_run_of_rows *run = (const void *)x->runs.data;
	uint64_t spilled = 0;

	for (size_t i = 0; i < x->runs.len / sizeof *run; i++)
		spilled += run[i].len;
	return x->bytes + (size_t)spilled;
}

/* ---- order ---------------------------------------------------------------------------- */

static int
compare(const struct fl_sortby *order, const struct fl_item *a, const struct fl_item *b)
{
	struct fl_sortkey x = fl_item_key(a), y = fl_item_key(b);

	return fl_sortby_compare(order, &x, a->seq, &y, b->seq);
}

static int
compare_places(const void *a, const void *b, void *order)
{
	const struct fl_item *x, *y;

	memcpy(&x, a, sizeof x);
	memcpy(&y, b, sizeof y);
	return compare(order, x, y);
}

static void
sort_rows(struct fl_extsort *x)
{
	qsort_r(x->rows.data, item_count(x), sizeof(struct fl_item *), compare_places,
		(void *)(uintptr_t)x->order);
}

/* ---- runs ------------------------------------------------------------------------------- */

/* What an item takes in a run; rows begin at multiples of 8, as in memory. */
static size_t
stored_size(const struct fl_item *i)
{
	size_t n = sizeof *i + i->cells * sizeof(struct fl_sortcell) + i->other_len + i->row_len;

	return (n + 7) & ~(size_t)7;
}

static int
flush(struct fl_extsort *x, struct fl_err *err)
{
	int rc = fl_io_write(x->fd, x->out.data, x->out.len, FILE_NAME, err);

	x->file_len += x->out.len;
	fl_buf_clear(&x->out);
	return rc;
}

static int
store(struct fl_extsort *x, const struct fl_item *item, struct fl_err *err)
{
	size_t size = sizeof *item + item->cells * sizeof(struct fl_sortcell) + item->other_len +
		      item->row_len;

	fl_buf_put(&x->out, item, size);
	fl_buf_put(&x->out, "\0\0\0\0\0\0\0", stored_size(item) - size);
	return x->out.len >= WRITE_BYTES ? flush(x, err) : 0;
}

/* The run that begins at `from` is whole. */
static int
end_run(struct fl_extsort *x, uint64_t from, struct fl_err *err)
{
	struct fl_run_of_rows run = { .offset = from };
	int rc = flush(x, err);

	run.len = x->file_len - from;
	fl_buf_put(&x->runs, &run, sizeof run);
	return rc;
}

/* The rows in memory become a run. */
static int
spill(struct fl_extsort *x, struct fl_err *err)
{
	uint64_t from = x->file_len;
	int rc = 0;

	if (x->fd < 0) {
		x->fd = fl_temp_file(err);
		if (x->fd < 0)
			return err->code;
	}
	sort_rows(x);
	for (size_t i = 0; i < item_count(x) && rc == 0; i++)
		rc = store(x, items(x)[i], err);
	drop_rows(x);
	return rc < 0 ? rc : end_run(x, from, err);
}

int
fl_extsort_add(struct fl_extsort *x, const struct fl_sortkey *key, int64_t time, const char *row,
	       size_t row_len, struct fl_err *err)
{
	struct fl_item *item = fl_item_new(&x->mem, x->seq++, time, key, x->order->count, row,
					   row_len);

	fl_buf_put(&x->rows, &item, sizeof(struct fl_item *));
	x->bytes += stored_size(item) + 2 * sizeof(struct fl_item *);
	return x->bytes >= x->memory_max ? spill(x, err) : 0;
}

/* ---- reading runs ------------------------------------------------------------------------ */

/* Have `need` bytes from done on in the buffer, if the run has as many. */
static int
fill(int fd, struct fl_runcursor *c, size_t need, size_t piece, struct fl_err *err)
{
	size_t left = c->buf.len - c->done, want;
	int64_t got;

	if (left >= need || c->offset == c->end)
		return 0;
	memmove(c->buf.data, c->buf.data + c->done, left);
	c->buf.len = left;
	c->done = 0;
	want = need > piece ? need - left : piece;
	if (want > c->end - c->offset)
		want = (size_t)(c->end - c->offset);
	got = fl_io_read_at(fd, fl_buf_reserve(&c->buf, want), want, c->offset, FILE_NAME, err);
	if (got < 0)
		return (int)got;
	if ((size_t)got < want)
		return fl_fail(err, FL_EIO, "%s has become shorter", FILE_NAME);
	c->buf.len += want;
	c->offset += want;
	return 0;
}

static void
open_cursor(struct fl_runcursor *c, const struct fl_run_of_rows *run)
{
	*c = (struct fl_runcursor){ .offset = run->offset, .end = run->offset + run->len };
	(void)fl_buf_reserve(&c->buf, 1); /* data is never NULL */
}

/* The next row of the run into c->item, NULL at its end. */
static int
next_row(int fd, struct fl_runcursor *c, size_t piece, struct fl_err *err)
{
	struct fl_item *item;

	if (c->item)
		c->done += stored_size(c->item);
	c->item = NULL;
	if (fill(fd, c, sizeof *item, piece, err) < 0)
		return err->code;
	if (c->done == c->buf.len)
		return 0;
	item = (struct fl_item *)(void *)(c->buf.data + c->done);
	if (fill(fd, c, stored_size(item), piece, err) < 0)
		return err->code;
	c->item = (struct fl_item *)(void *)(c->buf.data + c->done); /* it may have moved */
	return 0;
}

/* ---- merging ------------------------------------------------------------------------------ */

/* Cursors, by number, in the order of the rows in their hands. */
static bool
before(const void *a, const void *b, const void *ctx)
{
	const struct fl_extsort *x = ctx;
	const uint32_t *one = a, *other = b;

	return compare(x->order, x->cursor[*one].item, x->cursor[*other].item) < 0;
}

/* Let the cursor at the top sink to its place. */
static void
sink(struct fl_extsort *x)
{
	uint32_t moving = x->heap[0];

	fl_heap_sink(x->heap, x->count, 0, &moving, sizeof moving, before, x);
}

static void
rise(struct fl_extsort *x, uint32_t cursor)
{
	fl_heap_rise(x->heap, x->count++, &cursor, sizeof cursor, before, x);
}

static size_t
piece_of(const struct fl_extsort *x)
{
	size_t piece = x->memory_max / (4 * MERGE_MAX);

	return piece < CURSOR_LEAST ? CURSOR_LEAST : piece > CURSOR_BYTES ? CURSOR_BYTES : piece;
}

/* Begin to merge the runs first .. first+n. */
static int
open_merge(struct fl_extsort *x, size_t first, uint32_t n, struct fl_err *err)
{
	const struct fl_run_of_rows *run = (const void *)x->runs.data;

	free_cursors(x);
	x->cursor = fl_xcalloc(n + 1, sizeof *x->cursor);
	x->heap = fl_xcalloc(n + 1, sizeof *x->heap);
	x->cursors = n;
	for (uint32_t i = 0; i < n; i++) {
		open_cursor(&x->cursor[i], &run[first + i]);
		if (next_row(x->fd, &x->cursor[i], piece_of(x), err) < 0)
			return err->code;
		if (x->cursor[i].item)
			rise(x, i);
	}
	return 0;
}

/* The next row of the runs that are merged: 1, 0 at the end. */
static int
merge_next(struct fl_extsort *x, const struct fl_item **ret, struct fl_err *err)
{
	if (x->advance) {
		struct fl_runcursor *c = &x->cursor[x->heap[0]];

		x->advance = false;
		if (next_row(x->fd, c, piece_of(x), err) < 0)
			return err->code;
		if (!c->item)
			x->heap[0] = x->heap[--x->count];
		if (x->count)
			sink(x);
	}
	if (!x->count)
		return 0;
	*ret = x->cursor[x->heap[0]].item;
	x->advance = true;
	return 1;
}

/* Too many runs to merge at once: the first ones become one behind the others. */
static int
merge_some(struct fl_extsort *x, size_t *done, struct fl_err *err)
{
	uint64_t from = x->file_len;
	const struct fl_item *item;
	int rc = open_merge(x, *done, MERGE_MAX, err);

	while (rc == 0 && (rc = merge_next(x, &item, err)) > 0)
		rc = store(x, item, err);
	*done += MERGE_MAX;
	return rc < 0 ? rc : end_run(x, from, err);
}

int
fl_extsort_finish(struct fl_extsort *x, struct fl_err *err)
{
	size_t done = 0, n;

	if (x->fd < 0) {
		sort_rows(x);
		return 0;
	}
	if (item_count(x) && spill(x, err) < 0)
		return err->code;
	fl_items_release(&x->mem);
	while (n = x->runs.len / sizeof(struct fl_run_of_rows) - done, n > MERGE_MAX)
		if (merge_some(x, &done, err) < 0)
			return err->code;
	return open_merge(x, done, (uint32_t)n, err);
}

int
fl_extsort_next(struct fl_extsort *x, const struct fl_item **ret, struct fl_err *err)
{
	if (x->fd >= 0)
		return merge_next(x, ret, err);
	if (x->next == item_count(x))
		return 0;
	*ret = items(x)[x->next++];
	return 1;
}

/* ---- snapshots ------------------------------------------------------------------------------ */

int
fl_extsort_each(const struct fl_extsort *x, void (*visit)(void *arg, const struct fl_item *),
		void *arg, struct fl_err *err)
{
	const struct fl_run_of_rows *run = (const void *)x->runs.data;
	int rc = 0;

	for (size_t i = 0; i < item_count(x); i++)
		visit(arg, items(x)[i]);
	for (size_t r = 0; r < x->runs.len / sizeof *run && rc == 0; r++) {
		struct fl_runcursor c;

		open_cursor(&c, &run[r]);
		while ((rc = next_row(x->fd, &c, CURSOR_BYTES, err)) == 0 && c.item)
			visit(arg, c.item);
		fl_buf_release(&c.buf);
	}
	return rc;
}
