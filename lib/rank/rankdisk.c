/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rankings on disk (run/spill.h). Namespaces: 0, or the start of a slice.
 *
 * The value of a key
 *	a group, or, of sessions, for each: i64 start, i64 end, u64 its first arrival, a group
 * A group: u32 rows, then for each
 *	u64 arrival, i64 time, u32 length of the sort values that are not numbers, u32 length
 *	of the packed row, the cells of the sort values, those that are not numbers, the row
 *	(stream/row.h)
 * Sort values stand there, unlike in checkpoints, because a batch is in hand when keys are
 * brought back, and expressions are evaluated for one batch at a time.
 */
#include <stdlib.h>

#include "checkpoint/about.h"
#include "rank/rank.h"
#include "stream/row.h"
#include "time/timestamp.h"

/* How a row begins. */
struct head {
	uint64_t seq;
	int64_t time;
	uint32_t other_len, row_len;
};

struct session_head {
	int64_t start, end;
	uint64_t seq;
};

static int
damaged(struct fl_err *err)
{
	return fl_fail(err, FL_EDATA, "the rows that were kept of a key are damaged");
}

/* ---- writing ---- */

static void
put_item(const struct fl_rank *r, const struct fl_item *item, struct fl_buf *out)
{
	struct head head = { .seq = item->seq, .time = item->time, .other_len = item->other_len };
	size_t at = out->len, row;

	fl_buf_put(out, &head, sizeof head);
	fl_buf_put(out, item->data, item->cells * sizeof(struct fl_sortcell) + item->other_len);
	row = out->len;
	fl_kept_unpack(&r->kept, fl_item_row(item), item->row_len, out);
	head.row_len = (uint32_t)(out->len - row);
	memcpy(out->data + at, &head, sizeof head);
}

static void
put_group(const struct fl_rank *r, const struct fl_sorted *g, struct fl_buf *out)
{
	fl_buf_put(out, &g->count, sizeof g->count);
	for (uint32_t i = 0; i < g->count; i++)
		put_item(r, fl_sorted_at(g, i), out);
}

static void
encode(void *self, int64_t ns, struct fl_entry *e, struct fl_buf *out)
{
	const struct fl_rank *r = self;

	(void)ns;
	if (!r->gap) {
		if (fl__rank_group(e)->count)
			put_group(r, fl__rank_group(e), out);
		return;
	}
	for (const struct fl_rank_session *s = *fl__sessions_of(e); s; s = s->next) {
		struct session_head head = { s->window.start, s->window.end, s->seq };

		fl_buf_put(out, &head, sizeof head);
		put_group(r, &s->rows, out);
	}
}

/* ---- reading ---- */

/* The cells at p into r->cells, where they are aligned; false: they are none. */
static bool
take_cells(struct fl_rank *r, const char *p, uint32_t other_len)
{
	uint32_t n = r->order->count;
	const struct fl_sortcell *cell;
	struct fl_err ignored;

	fl_buf_clear(&r->cells);
	fl_buf_put(&r->cells, p, n * sizeof *cell);
	cell = (const struct fl_sortcell *)(const void *)r->cells.data;
	p += n * sizeof *cell;
	for (uint32_t i = 0; i < n; i++) {
		if (cell[i].type > FL_SORT_OTHER)
			return false;
		if (cell[i].type != FL_SORT_OTHER)
			continue;
		if (cell[i].i < 0 || cell[i].off > other_len ||
		    cell[i].i > (int64_t)(other_len - cell[i].off) ||
		    fl_row_check(p + cell[i].off, (size_t)cell[i].i, &ignored) < 0)
			return false;
	}
	return true;
}

/* The row at *p, which is moved. */
static struct fl_item *
take_item(struct fl_rank *r, const char **p, const char *end, struct fl_err *err)
{
	size_t cells = r->order->count * sizeof(struct fl_sortcell);
	struct fl_sortkey key;
	struct head head;

	if (!fl_take_bytes(p, end, &head, sizeof head) ||
	    (uint64_t)(end - *p) < (uint64_t)cells + head.other_len + head.row_len ||
	    !take_cells(r, *p, head.other_len)) {
		(void)damaged(err);
		return NULL;
	}
	key.cell = (const struct fl_sortcell *)(const void *)r->cells.data;
	key.other = *p + cells;
	*p += cells + head.other_len;
	if (fl_row_check(*p, head.row_len, err) < 0)
		return NULL;
	fl_build_clear(&r->one);
	fl_row_put(*p, head.row_len, r->one.col, r->one.cols);
	fl_build_row(&r->one, 0, 0, FL_INSERT);
	*p += head.row_len;
	return fl__rank_item(r, fl_build_view(&r->one), 0, &key, head.seq, head.time);
}

static int
take_group(struct fl_rank *r, struct fl_sorted *g, const char **p, const char *end,
	   struct fl_err *err)
{
	uint32_t n;

	if (!fl_take_bytes(p, end, &n, sizeof n))
		return damaged(err);
	while (n--) {
		struct fl_item *item = take_item(r, p, end, err);
		struct fl_sortkey key;

		if (!item)
			return err->code;
		key = fl_item_key(item); /* their order is not taken from a file */
		fl_sorted_insert(g, &r->mem, fl_sorted_find(g, r->order, &key, item->seq), item);
		if (r->retracts && fl__rank_index(r, item, err) < 0)
			return err->code;
	}
	return 0;
}

static int
decode(void *self, int64_t ns, struct fl_entry *e, struct fl_bytes value, struct fl_err *err)
{
	const char *p = value.p, *end = p + value.n;
	struct fl_rank *r = self;
	struct session_head head;
	int rc = 0;

	(void)ns;
	if (!r->gap) {
		rc = take_group(r, fl__rank_group(e), &p, end, err);
		return rc < 0 || p == end ? rc : damaged(err);
	}
	while (p < end && rc == 0) {
		struct fl_window w;

		if (!fl_take_bytes(&p, end, &head, sizeof head) || head.start >= head.end)
			return damaged(err);
		w = (struct fl_window){ head.start, head.end };
		rc = take_group(r, &fl__sessions_add(r, e, &w, head.seq)->rows, &p, end, err);
	}
	return rc;
}

/* ---- the rest ---- */

static struct fl_table *
table_of(void *self, int64_t ns)
{
	struct fl_rank *r = self;

	if (r->gap)
		return &r->by_key;
	if (!r->windowed)
		return &r->table;
	for (uint32_t lo = 0, hi = r->slice_count; lo < hi;) {
		uint32_t mid = (lo + hi) / 2;

		if (r->slice[mid].start == ns)
			return &r->slice[mid].table;
		if (r->slice[mid].start < ns)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static int64_t
due_of(void *self, int64_t ns, struct fl_entry *e)
{
	const struct fl_rank *r = self;
	int64_t due = FL_TIME_MAX;

	(void)ns;
	if (!r->gap)
		return due;
	for (const struct fl_rank_session *s = *fl__sessions_of(e); s; s = s->next)
		due = s->window.end - 1 < due ? s->window.end - 1 : due;
	return due;
}

static void
forget(void *self)
{
	struct fl_rank *r = self;

	fl__rank_clear_table(r, &r->table, true);
	fl_table_clear(&r->index);
	for (uint32_t i = 0; i < r->slice_count; i++)
		fl__rank_clear_table(r, &r->slice[i].table, true);
	fl__sessions_forget(r);
	fl_items_release(&r->mem);
	fl_kept_release(&r->kept);
	fl_kept_init(&r->kept, &r->budget);
}

static size_t
held(const void *self)
{
	return fl_rank_bytes(self);
}

/* For fcheckpoint show: a group, and those of sessions. */
static void
about(const void *self, struct fl_buf *out)
{
	const struct fl_rank *r = self;
	const struct fl_header *in = fl_run_header(r->run, 0);
	int64_t(*windows)[2] = fl_xcalloc(r->slice_count + 1, sizeof *windows);
	struct fl_buf layout = { 0 };

	fl_buf_printf(&layout, "rows[u32]{arrival:u64 %s size size skip(%zu) -:bytes row:row}",
		      in->time ? "time:time" : "-:time",
		      r->order->count * sizeof(struct fl_sortcell));
	fl_buf_putc(&layout, '\0');
	if (r->gap) {
		struct fl_buf group = layout;

		layout = (struct fl_buf){ 0 };
		fl_buf_printf(&layout, "@[]{start end -:u64 %s}", group.data);
		fl_buf_putc(&layout, '\0');
		fl_buf_release(&group);
	}
	for (uint32_t i = 0; i < r->slice_count; i++) {
		windows[i][0] = r->slice[i].start;
		windows[i][1] = r->slice[i].end;
	}
	fl_state_say(
		&(struct fl_state_says){
			.header = in,
			.ns = r->windowed && !r->gap ? "window" : "",
			.layout = layout.data,
			.whole_rows = r->keys.whole_rows,
			.windows = (const int64_t(*)[2])windows,
			.window_count = r->slice_count,
		},
		out);
	fl_buf_release(&layout);
	free(windows);
}

static const struct fl_spill_ops spill_ops = {
	.version = 1,
	.table = table_of,
	.encode = encode,
	.decode = decode,
	.due = due_of,
	.forget = forget,
	.held = held,
	.about = about,
};

int
fl__rank_open_spill(struct fl_rank *r, struct fl_err *err)
{
	if (fl_spill_open(&r->spill, r->run, &spill_ops, r, &r->keys.keys, err) < 0)
		return err->code;
	r->budget.max = fl_spill_memory_max(&r->spill);
	return 0;
}

int
fl_rank_checkpoint(struct fl_rank *r, struct fl_err *err)
{
	return fl_spill_checkpoint(&r->spill, err);
}
