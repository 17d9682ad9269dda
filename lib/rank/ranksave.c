/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rankings in checkpoints.
 *
 * Sections, version 1
 *	"rank"    numbers and texts by name: "seq", "watermark" (windows), "kept" (rows kept
 *	          of a group), "order" (what it was ordered by)
 *	"groups"  an entry a group: namespace empty or start and end of the slice or session
 *	          (int64 ms);
 *	          the key; and as value u64 arrival of the key, then for each row u64
 *	          arrival, i64 time, u32 length, the packed row (stream/row.h)
 *
 * Sort values are not saved: they are computed from the rows again.
 *
 * On disk (rankdisk.c), instead of "groups" the section "files", and the numbers "size",
 * "grid", "offset", "step" and "gap" of the windows, 0 where there are none.
 */
#include <stdlib.h>

#include "checkpoint/about.h"
#include "rank/rank.h"
#include "stream/row.h"
#include "time/timestamp.h"

#define LOAD_ROWS 1024u

/* A row that was read; its bytes are a row of r->load. */
struct loaded {
	struct fl_sorted *group;
	uint64_t seq;
	int64_t time;
};

static void
save_group(const struct fl_rank *r, struct fl_save *s, const struct fl_entry *e,
	   const struct fl_sorted *g, uint64_t seq, const int64_t bounds[2], struct fl_buf *value)
{
	struct fl_state_entry out;

	fl_buf_clear(value);
	fl_buf_put(value, &seq, sizeof seq);
	for (uint32_t i = 0; i < g->count; i++) {
		const struct fl_item *item = fl_sorted_at(g, i);
		size_t length_at;
		uint32_t len = 0;

		fl_buf_put(value, &item->seq, sizeof item->seq);
		fl_buf_put(value, &item->time, sizeof item->time);
		length_at = value->len;
		fl_buf_put(value, &len, sizeof len);
		fl_kept_unpack(&r->kept, fl_item_row(item), item->row_len, value);
		len = (uint32_t)(value->len - length_at - sizeof len);
		memcpy(value->data + length_at, &len, sizeof len);
	}
	out = (struct fl_state_entry){ .ns = (const char *)bounds,
				       .ns_len = bounds ? 2 * sizeof *bounds : 0,
				       .value = value->data,
				       .value_len = (uint32_t)value->len };
	fl_groupkeys_save(e, &out);
	fl_save_entry(s, &out);
}

static void
save_table(const struct fl_rank *r, struct fl_save *s, const struct fl_table *t,
	   const struct fl_rank_slice *sl, struct fl_buf *value)
{
	int64_t bounds[2] = { sl ? sl->start : 0, sl ? sl->end : 0 };

	for (uint32_t i = 0; i < t->count; i++) {
		struct fl_entry *e = fl_table_at(t, i);

		if (!e->deleted)
			save_group(r, s, e, fl__rank_group(e), e->seq, sl ? bounds : NULL, value);
	}
}

static void
save_sessions(const struct fl_rank *r, struct fl_save *s, struct fl_buf *value)
{
	const struct fl_table *t = &r->by_key;

	for (uint32_t i = 0; i < t->count; i++) {
		const struct fl_entry *e = fl_table_at(t, i);
		const struct fl_rank_session *x;

		if (e->deleted)
			continue;
		x = *(struct fl_rank_session *const *)(const void *)e->value;
		for (; x; x = x->next) {
			int64_t bounds[2] = { x->window.start, x->window.end };

			save_group(r, s, e, &x->rows, x->seq, bounds, value);
		}
	}
}

/* What the namespaces on disk go by. */
static const struct {
	const char *name;
	size_t at; /* int64_t in struct fl_rank */
} window_numbers[] = {
	{ "size", offsetof(struct fl_rank, windows.size) },
	{ "grid", offsetof(struct fl_rank, windows.grid) },
	{ "offset", offsetof(struct fl_rank, windows.offset) },
	{ "step", offsetof(struct fl_rank, windows.step) },
	{ "gap", offsetof(struct fl_rank, gap) },
};

static int64_t
window_number(const struct fl_rank *r, size_t i)
{
	return *(const int64_t *)(const void *)((const char *)r + window_numbers[i].at);
}

static void
save_windows(const struct fl_rank *r, struct fl_save *s)
{
	for (size_t i = 0; i < FL_ARRAY_LEN(window_numbers); i++)
		fl_save_int(s, window_numbers[i].name, window_number(r, i));
}

/* For fcheckpoint show: what save_group writes. */
#define GROUP(time) "-:u64 rows[]{arrival:u64 " time " size row:row}"

/* Whether rows have a time that means something. */
static bool
is_timed(const struct fl_rank *r)
{
	return fl_run_header(r->run, 0)->time != NULL;
}

void
fl_rank_snapshot(const struct fl_rank *r, struct fl_save *s)
{
	static const char *const named[][2] = {
		{ "watermark", "time" },  { "size", "duration" }, { "grid", "duration" },
		{ "offset", "duration" }, { "step", "duration" }, { "gap", "duration" },
	};
	struct fl_state_says says = {
		.header = fl_run_header(r->run, 0),
		.ns = r->windowed ? "window" : "",
		.layout = is_timed(r) ? GROUP("time:time") : GROUP("-:time"),
		.whole_rows = r->keys.whole_rows,
	};
	struct fl_buf value = { 0 };

	fl_state_section_named(s, "rank", 1, named, FL_ARRAY_LEN(named));
	fl_save_int(s, "seq", (int64_t)r->seq);
	fl_save_int(s, "watermark", r->wm_ms);
	fl_save_int(s, "kept", r->cap);
	fl_save_bytes(s, "order", r->spec.what, strlen(r->spec.what));
	if (fl_spill_on_disk(&r->spill)) {
		save_windows(r, s);
		fl_spill_save(&r->spill, s);
		return;
	}
	fl_state_say(&says, &value);
	fl_save_section(s, "groups", 1, value.data);
	save_table(r, s, &r->table, NULL, &value);
	for (uint32_t i = 0; i < r->slice_count; i++)
		save_table(r, s, &r->slice[i].table, &r->slice[i], &value);
	if (r->gap)
		save_sessions(r, s, &value);
	fl_buf_release(&value);
}

size_t
fl_rank_bytes(const struct fl_rank *r)
{
	return r->budget.used + fl_items_bytes(&r->mem);
}

/* ---- reading ---------------------------------------------------- */

/* The rows that were read go into their groups. */
static int
flush_loaded(struct fl_rank *r, struct fl_err *err)
{
	const struct loaded *row = (const struct loaded *)(const void *)r->load_rows.data;
	const struct fl_batch *b = fl_build_view(&r->load);

	fl_badrows_reset(&r->bad);
	if (fl_sortby_eval(r->order, b, &r->bad, err) < 0)
		return err->code;
	for (uint32_t i = 0; i < b->rows; i++) {
		struct fl_sortkey key = fl_sortby_key(r->order, i);
		struct fl_sorted *g = row[i].group;
		struct fl_item *item;

		item = fl__rank_item(r, b, i, &key, row[i].seq, row[i].time);
		fl_sorted_insert(g, &r->mem, fl_sorted_find(g, r->order, &key, item->seq), item);
		if (r->retracts && fl__rank_index(r, item, err) < 0)
			return err->code;
	}
	fl_build_clear(&r->load);
	fl_buf_clear(&r->load_rows);
	return fl_budget_check(&r->budget, fl_items_bytes(&r->mem), err);
}

static int
load_rows(struct fl_rank *r, struct fl_load *l, struct fl_sorted *group, const char *p,
	  const char *end, struct fl_err *err)
{
	while (p < end) {
		struct loaded row = { .group = group };
		uint32_t len;

		if (!fl_take_bytes(&p, end, &row.seq, sizeof row.seq) ||
		    !fl_take_bytes(&p, end, &row.time, sizeof row.time) ||
		    !fl_take_bytes(&p, end, &len, sizeof len) || (size_t)(end - p) < len)
			return fl_load_damaged(l, "the rows of a group", err);
		if (fl_row_check(p, len, err) < 0)
			return err->code;
		r->load.timed = true;
		fl_row_put(p, len, r->load.col, r->load.cols);
		fl_build_row(&r->load, row.time, FL_TIME_MIN, FL_INSERT);
		fl_buf_put(&r->load_rows, &row, sizeof row);
		p += len;
		if (r->load.rows >= LOAD_ROWS && flush_loaded(r, err) < 0)
			return err->code;
	}
	return 0;
}

/* The table of a slice; NULL with *err if there is no such slice. */
static struct fl_table *
slice_table(struct fl_rank *r, const int64_t bounds[2], struct fl_err *err)
{
	struct fl_rank_slice *sl = fl__panes_slice(r, bounds[0]);

	if (sl->start == bounds[0] && sl->end == bounds[1])
		return &sl->table;
	(void)fl_fail(err, FL_ECONFIG, "the windows of the checkpoint are not of this size");
	return NULL;
}

static int
load_group(struct fl_rank *r, struct fl_load *l, const struct fl_state_entry *e, struct fl_err *err)
{
	struct fl_key key = fl_groupkeys_loaded(&r->keys, e);
	const char *p = e->value, *end = p + e->value_len;
	struct fl_table *t;
	struct fl_entry *entry;
	int64_t bounds[2] = { 0 };
	uint64_t seq;

	if (e->ns_len != (r->windowed ? sizeof bounds : 0))
		return fl_fail(err, FL_ECONFIG,
			       r->windowed ? "the checkpoint is of a ranking without windows, this "
					     "one has windows"
					   : "the checkpoint is of a ranking in windows, this one "
					     "has none");
	if (!fl_take_bytes(&p, end, &seq, sizeof seq))
		return fl_load_damaged(l, "a group", err);
	if (r->windowed)
		memcpy(bounds, e->ns, sizeof bounds);
	t = r->gap ? &r->by_key : r->windowed ? slice_table(r, bounds, err) : &r->table;
	if (!t || fl_spill_put(&r->spill, r->windowed && !r->gap ? bounds[0] : 0, t, &key, NULL, 1,
			       seq, &entry, err) < 0)
		return err->code;
	if (r->gap) {
		struct fl_window w = { bounds[0], bounds[1] };

		return load_rows(r, l, &fl__sessions_add(r, entry, &w, seq)->rows, p, end, err);
	}
	return load_rows(r, l, fl__rank_group(entry), p, end, err);
}

static int
load_number(struct fl_rank *r, const struct fl_state_entry *e, struct fl_err *err)
{
	int64_t v;

	if (fl_state_is(e, "order")) {
		if (e->value_len == strlen(r->spec.what) &&
		    memcmp(e->value, r->spec.what, e->value_len) == 0)
			return 0;
		return fl_fail(err, FL_ECONFIG, "the checkpoint's rows were kept %.*s, not %s",
			       (int)(e->value_len < 200 ? e->value_len : 200), e->value,
			       r->spec.what);
	}
	if (fl_state_int(e, &v, err) < 0)
		return err->code;
	for (size_t i = 0; i < FL_ARRAY_LEN(window_numbers); i++)
		if (fl_state_is(e, window_numbers[i].name) && v != window_number(r, i))
			return fl_fail(err, FL_ECONFIG,
				       "the windows of the checkpoint are not those of this line");
	if (fl_state_is(e, "seq"))
		r->seq = (uint64_t)v;
	else if (fl_state_is(e, "watermark"))
		r->wm_ms = v;
	else if (fl_state_is(e, "kept") && v < (int64_t)r->cap)
		return fl_fail(err, FL_ECONFIG,
			       "the checkpoint has the best %lld rows of a key, this needs %lld",
			       (long long)v, (long long)r->cap);
	return 0;
}

static int
load_section(struct fl_rank *r, struct fl_load *l, const struct fl_state_section *section,
	     struct fl_err *err)
{
	bool groups = strcmp(section->name, "groups") == 0;
	struct fl_state_entry e;
	int rc = 0;

	if ((!groups && strcmp(section->name, "rank") != 0) || section->version != 1)
		return fl_load_unknown(l, section, err);
	while (rc == 0 && (rc = fl_load_entry(l, &e, err)) > 0) {
		rc = groups ? load_group(r, l, &e, err) : load_number(r, &e, err);
		if (rc == 0 && fl_spill_is_full(&r->spill) &&
		    (flush_loaded(r, err) < 0 || fl_spill_trim(&r->spill, err) < 0))
			rc = err->code;
	}
	return rc;
}

/* The slices that are on disk. */
static int
find_slices(struct fl_rank *r, struct fl_err *err)
{
	for (size_t i = 0; r->windowed && !r->gap && i < r->spill.ns_count; i++)
		if (fl__panes_slice(r, fl_spill_ns_at(&r->spill, i))->start !=
		    fl_spill_ns_at(&r->spill, i))
			return fl_fail(err, FL_EDATA,
				       "RocksDB's files have a window that cannot be");
	return 0;
}

int
fl_rank_restore(struct fl_rank *r, struct fl_load *l, struct fl_err *err)
{
	struct fl_state_section section;
	int more, rc;

	r->restored = true;
	while ((more = fl_load_section(l, &section, err)) > 0) {
		rc = fl_spill_load(&r->spill, l, &section, err);
		rc = rc > 0 ? find_slices(r, err) : rc < 0 ? rc : load_section(r, l, &section, err);
		if (rc < 0)
			return rc;
	}
	if (more < 0 || flush_loaded(r, err) < 0)
		return err->code;
	if (r->windowed)
		fl__panes_schedule(r);
	return 0;
}
