/* SPDX-License-Identifier: Apache-2.0 */
#include "rank/rank.h"

#include <stdlib.h>

#include "stream/row.h"
#include "time/timestamp.h"

/* Rows of a changelog that look alike to the hash, the earliest first. */
struct same {
	struct fl_item *first, *last;
};

/* ---- life cycle ------------------------------------------------- */

int
fl_rank_open(struct fl_rank *r, struct fl_run *run, const struct fl_rank_spec *spec,
	     struct fl_err *err)
{
	const struct fl_header *in = fl_run_header(run, 0);
	struct fl_header *out = fl_run_out(run);
	struct fl_rowout_column rank = { spec->rank_name, FL_INT64 };
	bool windowed = in->window.kind != FL_WINDOW_NONE;
	int64_t cap;

	*r = (struct fl_rank){ .spec = *spec,
			       .order = spec->order,
			       .retracts = in->changelog,
			       .timed = in->time != NULL,
			       .run = run,
			       .windowed = windowed,
			       .wm_ms = FL_TIME_MIN,
			       .due_ms = FL_TIME_MAX };
	fl_groupkeys_init(&r->keys, spec->whole_rows);
	fl_budget_init(&r->budget, fl_run_memory_max(run));
	fl_kept_init(&r->kept, &r->budget);
	fl_table_init(&r->table, &r->budget, sizeof(struct fl_sorted));
	fl_table_init(&r->index, &r->budget, sizeof(struct same));
	fl_build_init(&r->one, in->column_count);
	fl_build_init(&r->load, in->column_count);
	fl_table_init(&r->merged, &r->budget, sizeof(struct fl_sorted));
	if (fl__rank_open_spill(r, err) < 0)
		return err->code;
	if (__builtin_add_overflow(spec->limit, spec->offset, &cap) || cap >= UINT32_MAX)
		return fl_fail(err, FL_EUSAGE, "more rows than can be kept");
	r->cap = in->changelog ? UINT32_MAX : (uint32_t)cap;
	if (fl_sortby_bind(r->order, in, err) < 0)
		return err->code;
	if (windowed && (in->changelog || spec->updates))
		return fl_fail(err, FL_EUSAGE,
			       in->changelog
				       ? "a changelog cannot be windowed"
				       : "--updates has no meaning behind windows: their rows "
					 "come once");
	if (fl_rowout_open(&r->out, run, windowed ? &in->window : NULL, &rank,
			   spec->rank_name != NULL, spec->updates, err) < 0)
		return err->code;
	r->out.build.timed = r->timed || windowed;
	r->out.kept = &r->kept;
	out->window.kind = FL_WINDOW_NONE;
	return windowed ? fl__panes_open(r, &in->window, err) : 0;
}

void
fl__rank_clear_table(struct fl_rank *r, struct fl_table *t, bool items)
{
	for (uint32_t i = 0; i < t->count; i++) {
		struct fl_entry *e = fl_table_at(t, i);
		struct fl_sorted *g = fl__rank_group(e);

		for (uint32_t k = 0; !e->deleted && items && k < g->count; k++)
			fl_item_free(&r->mem, fl_sorted_at(g, k));
		if (!e->deleted)
			fl_sorted_clear(g, &r->mem);
	}
	fl_table_clear(t);
}

void
fl_rank_release(struct fl_rank *r)
{
	if (!r->run)
		return;
	fl__panes_release(r);
	fl__rank_clear_table(r, &r->table, true);
	fl_table_release(&r->table);
	fl_table_release(&r->index);
	fl_rowout_release(&r->out);
	fl_kept_release(&r->kept);
	fl_spill_close(&r->spill);
	fl_budget_release(&r->budget);
	fl_groupkeys_release(&r->keys);
	fl_items_release(&r->mem);
	fl_buf_release(&r->cells);
	fl_buf_release(&r->pack);
	fl_buf_release(&r->entries);
	fl_buf_release(&r->rows);
	fl_buf_release(&r->wm_scratch);
	fl_buf_release(&r->load_rows);
	fl_badrows_release(&r->bad);
	fl_build_release(&r->one);
	fl_build_release(&r->load);
}

int
fl_rank_columns(struct fl_rank *r, struct fl_err *err)
{
	const struct fl_header *in = fl_run_header(r->run, 0);

	fl_build_clear(&r->one);
	fl_build_resize(&r->one, in->column_count);
	if (fl_sortby_bind(r->order, in, err) < 0)
		return err->code;
	return fl_rowout_columns(&r->out, err);
}

/* ---- rows out --------------------------------------------------- */

static int
put_item(struct fl_rank *r, const struct fl_item *item, uint32_t rank, int64_t wm,
	 enum fl_rowkind op, struct fl_err *err)
{
	fl_rowout_item(&r->out, item);
	if (r->spec.rank_name)
		fl_put_int(fl_rowout_extra(&r->out), (int64_t)rank + 1);
	return fl_rowout_end(&r->out, item->time, wm, op, err);
}

int
fl__rank_put_group(struct fl_rank *r, const struct fl_sorted *g, const struct fl_window *w,
		   int64_t wm, struct fl_err *err)
{
	uint32_t first = (uint32_t)r->spec.offset;
	int64_t behind = r->spec.offset + r->spec.limit;

	for (uint32_t i = first; i < g->count && i < behind; i++) {
		const struct fl_item *item = fl_sorted_at(g, i);
		int64_t time = item->time;

		fl_rowout_item(&r->out, item);
		if (r->spec.rank_name)
			fl_put_int(fl_rowout_extra(&r->out), (int64_t)i + 1);
		if (w) {
			fl_put_time(&r->out.build.col[0], w->start);
			fl_put_time(&r->out.build.col[1], w->end);
			time = w->end == FL_TIME_MAX ? FL_TIME_MAX : w->end - 1;
		}
		if (fl_rowout_end(&r->out, time, wm, FL_INSERT, err) < 0)
			return err->code;
	}
	return 0;
}

static bool
same_row(struct fl_rank *r, const struct fl_item *a, const struct fl_item *b)
{
	return fl_kept_equal(&r->kept, fl_item_row(a), a->row_len, fl_item_row(b), b->row_len);
}

/* At this rank stood old, and now stands new; either may be NULL. */
static int
tell_rank(struct fl_rank *r, const struct fl_item *old, const struct fl_item *new, uint32_t rank,
	  int64_t wm, struct fl_err *err)
{
	if (old && new &&same_row(r, old, new))
		return 0;
	if (old && put_item(r, old, rank, wm, new ? FL_UPDATE_BEFORE : FL_DELETE, err) < 0)
		return err->code;
	return new ? put_item(r, new, rank, wm, old ? FL_UPDATE_AFTER : FL_INSERT, err) : 0;
}

/* One row leaves the table, one enters it; either may be NULL. Ranks are not shown. */
static int
tell_move(struct fl_rank *r, const struct fl_item *leaves, const struct fl_item *enters, int64_t wm,
	  struct fl_err *err)
{
	bool update = r->spec.limit == 1 && leaves && enters;

	if (leaves && enters && same_row(r, leaves, enters))
		return 0;
	if (leaves && put_item(r, leaves, 0, wm, update ? FL_UPDATE_BEFORE : FL_DELETE, err) < 0)
		return err->code;
	return enters ? put_item(r, enters, 0, wm, update ? FL_UPDATE_AFTER : FL_INSERT, err) : 0;
}

static struct fl_item *
at_or_null(const struct fl_sorted *g, int64_t position)
{
	return position >= 0 && position < g->count ? fl_sorted_at(g, (uint32_t)position) : NULL;
}

/* An item stands at position since now; out, NULL: none, fell out behind the last. */
static int
tell_insert(struct fl_rank *r, const struct fl_sorted *g, uint32_t position, struct fl_item *out,
	    int64_t wm, struct fl_err *err)
{
	int64_t first = r->spec.offset, behind = first + r->spec.limit;
	int64_t from = position > first ? position : first;
	struct fl_item *leaves = out ? out : at_or_null(g, behind);

	if (position >= behind || from >= g->count)
		return 0;
	if (!r->spec.rank_name)
		return tell_move(r, leaves, fl_sorted_at(g, (uint32_t)from), wm, err);
	for (int64_t i = from; i < behind && i < g->count; i++) {
		struct fl_item *old = i + 1 < behind ? at_or_null(g, i + 1) : leaves;

		if (tell_rank(r, old, fl_sorted_at(g, (uint32_t)i), (uint32_t)i, wm, err) < 0)
			return err->code;
	}
	return 0;
}

/* Item gone, which is out of the group, stood at position until now. */
static int
tell_remove(struct fl_rank *r, const struct fl_sorted *g, uint32_t position, struct fl_item *gone,
	    int64_t wm, struct fl_err *err)
{
	int64_t first = r->spec.offset, behind = first + r->spec.limit;
	int64_t from = position > first ? position : first;

	if (position >= behind || from > g->count)
		return 0;
	if (!r->spec.rank_name)
		return tell_move(r, position < first ? at_or_null(g, first - 1) : gone,
				 at_or_null(g, behind - 1), wm, err);
	for (int64_t i = from; i < behind && i <= g->count; i++) {
		struct fl_item *old = i == position ? gone : at_or_null(g, i - 1);

		if (tell_rank(r, old, at_or_null(g, i), (uint32_t)i, wm, err) < 0)
			return err->code;
	}
	return 0;
}

/* ---- rows in ---------------------------------------------------- */

struct fl_item *
fl__rank_item(struct fl_rank *r, const struct fl_batch *b, uint32_t row,
	      const struct fl_sortkey *key, uint64_t seq, int64_t time)
{
	fl_buf_clear(&r->pack);
	(void)fl_kept_pack(&r->kept, b, row, &r->pack);
	if (r->retracts)
		return fl_item_new_linked(&r->mem, seq, time, key, r->order->count, r->pack.data,
					  r->pack.len);
	return fl_item_new(&r->mem, seq, time, key, r->order->count, r->pack.data, r->pack.len);
}

static struct fl_item *
new_item(struct fl_rank *r, const struct fl_batch *b, uint32_t row, const struct fl_sortkey *key)
{
	return fl__rank_item(r, b, row, key, r->seq + row, b->time ? b->time[row] : 0);
}

struct fl_item *
fl__rank_insert(struct fl_rank *r, struct fl_sorted *g, struct fl_item *item, uint32_t position)
{
	struct fl_item *out = NULL;

	if (g->count >= r->cap) /* the worst goes first: no room is made for one too many */
		out = fl_sorted_remove(g, &r->mem, g->count - 1);
	fl_sorted_insert(g, &r->mem, position, item);
	return out;
}

int
fl__rank_offer(struct fl_rank *r, struct fl_sorted *g, const struct fl_batch *b, uint32_t row,
	       int64_t wm, struct fl_err *err)
{
	struct fl_sortkey key = fl_sortby_key(r->order, row);
	uint64_t seq = r->seq + row;
	struct fl_item *item, *out;
	uint32_t position;
	int rc = 0;

	if (g->count >= r->cap) {
		const struct fl_item *worst = fl_sorted_at(g, g->count - 1);
		struct fl_sortkey bar = fl_item_key(worst);

		if (fl_sortby_compare(r->order, &key, seq, &bar, worst->seq) > 0)
			return 0;
	}
	position = g->count ? fl_sorted_find(g, r->order, &key, seq) : 0;
	item = new_item(r, b, row, &key);
	out = fl__rank_insert(r, g, item, position);
	if (r->spec.updates)
		rc = tell_insert(r, g, position, out, wm, err);
	if (out)
		fl_item_free(&r->mem, out);
	return rc;
}

int
fl__rank_put_keys(struct fl_rank *r, int64_t ns, struct fl_table *t, const struct fl_key *keys,
		  uint32_t first, uint32_t rows, struct fl_err *err)
{
	struct fl_entry **entry;

	fl_buf_clear(&r->entries);
	entry = (struct fl_entry **)(void *)fl_buf_reserve(&r->entries, rows * sizeof *entry + 1);
	return fl_spill_put(&r->spill, ns, t, keys + first, NULL, rows - first, r->seq + first,
			    entry + first, err);
}

/* All rows of an input that only grows. */
static int
add_rows(struct fl_rank *r, const struct fl_batch *b, const struct fl_key *keys, struct fl_err *err)
{
	const int64_t *wm = fl_batch_wm(b, &r->wm_scratch);
	const uint32_t *rows = NULL;
	struct fl_entry **entry;
	uint32_t n = b->rows;

	if (r->bad.count) {
		uint32_t *good;

		fl_buf_clear(&r->rows);
		good = (uint32_t *)(void *)fl_buf_reserve(&r->rows, b->rows * sizeof *good);
		n = 0;
		for (uint32_t i = 0; i < b->rows; i++)
			if (!r->bad.mask.data[i])
				good[n++] = i;
		rows = good;
	}
	fl_buf_clear(&r->entries);
	entry = (struct fl_entry **)(void *)fl_buf_reserve(&r->entries, n * sizeof *entry + 1);
	if (fl_spill_put(&r->spill, 0, &r->table, keys, rows, n, r->seq, entry, err) < 0)
		return err->code;
	for (uint32_t k = 0; k < n; k++) {
		uint32_t i = rows ? rows[k] : k;

		if (fl__rank_offer(r, fl__rank_group(entry[k]), b, i, wm[i], err) < 0)
			return err->code;
	}
	return 0;
}

/* ---- changelogs ------------------------------------------------- */

static struct fl_key
key_of_hash(const uint64_t *hash)
{
	return (struct fl_key){ .p = (const char *)hash, .len = sizeof *hash, .hash = *hash };
}

/* What a kept row looks like, appended to r->pack. */
static size_t
identity_of(struct fl_rank *r, const struct fl_item *item)
{
	fl_build_clear(&r->one);
	fl_kept_put_from(&r->kept, fl_item_row(item), item->row_len, 0, r->one.col, r->one.cols);
	fl_build_row(&r->one, 0, 0, FL_INSERT);
	return fl_row_identity(fl_build_view(&r->one), 0, &r->pack);
}

int
fl__rank_index(struct fl_rank *r, struct fl_item *item, struct fl_err *err)
{
	struct fl_key key;
	struct fl_entry *e;
	struct fl_item_link *link = fl_item_link(item);
	struct fl_item **at;
	struct same *s;
	size_t n;

	fl_buf_clear(&r->pack);
	n = identity_of(r, item);
	link->ident = fl_keys_hash(&r->keys.keys, r->pack.data, n);
	key = key_of_hash(&link->ident);
	if (fl_table_put(&r->index, &key, NULL, 1, 0, &e, NULL, err) < 0)
		return err->code;
	s = (struct same *)(void *)e->value;
	if (!s->last || s->last->seq < item->seq) { /* but for those that are read back: always */
		*(s->last ? &fl_item_link(s->last)->next : &s->first) = item;
		s->last = item;
		return 0;
	}
	for (at = &s->first; (*at)->seq < item->seq; at = &fl_item_link(*at)->next)
		;
	link->next = *at;
	*at = item;
	return 0;
}

/* Take the earliest row that looks like record row of b out of the index; NULL: none. */
static struct fl_item *
take_same(struct fl_rank *r, const struct fl_batch *b, uint32_t row)
{
	struct fl_item *item, *before = NULL;
	struct fl_entry *e;
	struct fl_key key;
	struct same *s;
	uint64_t hash;
	size_t n;

	fl_buf_clear(&r->pack);
	n = fl_row_identity(b, row, &r->pack);
	hash = fl_keys_hash(&r->keys.keys, r->pack.data, n);
	key = key_of_hash(&hash);
	e = fl_table_get(&r->index, &key);
	if (!e)
		return NULL;
	s = (struct same *)(void *)e->value;
	for (item = s->first; item; before = item, item = fl_item_link(item)->next) {
		size_t m = identity_of(r, item);
		bool same = m == n && (n == 0 || memcmp(r->pack.data, r->pack.data + n, n) == 0);

		r->pack.len = n;
		if (same)
			break;
	}
	if (!item)
		return NULL;
	*(before ? &fl_item_link(before)->next : &s->first) = fl_item_link(item)->next;
	if (s->last == item)
		s->last = before;
	if (!s->first)
		fl_table_delete(&r->index, e);
	return item;
}

static int
retract(struct fl_rank *r, const struct fl_batch *b, const struct fl_key *keys, uint32_t row,
	int64_t wm, struct fl_err *err)
{
	struct fl_entry *e = fl_table_get(&r->table, &keys[row]); /* on disk: put before */
	struct fl_item *item = e ? take_same(r, b, row) : NULL;
	struct fl_sorted *g;
	struct fl_sortkey key;
	uint32_t position;
	int rc = 0;

	if (!item)
		return 0; /* taking back what is not known: ignored, as in Flink */
	g = fl__rank_group(e);
	key = fl_item_key(item);
	position = fl_sorted_find(g, r->order, &key, item->seq);
	fl_assert(position < g->count && fl_sorted_at(g, position) == item);
	(void)fl_sorted_remove(g, &r->mem, position);
	if (r->spec.updates)
		rc = tell_remove(r, g, position, item, wm, err);
	fl_item_free(&r->mem, item);
	if (g->count == 0 && !fl_spill_on_disk(&r->spill))
		fl_table_delete(&r->table, e);
	return rc;
}

static int
insert(struct fl_rank *r, const struct fl_batch *b, const struct fl_key *keys, uint32_t row,
       int64_t wm, struct fl_err *err)
{
	struct fl_sortkey key = fl_sortby_key(r->order, row);
	struct fl_entry *e;
	struct fl_sorted *g;
	struct fl_item *item;
	uint32_t position;

	if (fl_spill_put(&r->spill, 0, &r->table, &keys[row], NULL, 1, r->seq + row, &e, err) < 0)
		return err->code;
	g = fl__rank_group(e);
	if (g->count == 0)
		e->seq = r->seq + row; /* it may have been put for a record before */
	position = fl_sorted_find(g, r->order, &key, r->seq + row);
	item = new_item(r, b, row, &key);
	fl_sorted_insert(g, &r->mem, position, item);
	if (fl__rank_index(r, item, err) < 0)
		return err->code;
	return r->spec.updates ? tell_insert(r, g, position, NULL, wm, err) : 0;
}

static int
apply_changes(struct fl_rank *r, const struct fl_batch *b, const struct fl_key *keys,
	      struct fl_err *err)
{
	const int64_t *wm = fl_batch_wm(b, &r->wm_scratch);
	int rc = 0;

	if (fl_spill_on_disk(&r->spill)) /* not one key at a time */
		rc = fl__rank_put_keys(r, 0, &r->table, keys, 0, b->rows, err);
	for (uint32_t i = 0; i < b->rows && rc == 0; i++) {
		bool back = b->op && (b->op[i] == FL_UPDATE_BEFORE || b->op[i] == FL_DELETE);

		if (r->bad.count && r->bad.mask.data[i])
			continue;
		rc = back ? retract(r, b, keys, i, wm[i], err) : insert(r, b, keys, i, wm[i], err);
	}
	return rc;
}

/* ---- batches ---------------------------------------------------- */

int
fl_rank_batch(struct fl_rank *r, const struct fl_batch *b, struct fl_err *err)
{
	const struct fl_key *keys;
	int rc;

	fl_badrows_reset(&r->bad);
	if (fl_sortby_eval(r->order, b, &r->bad, err) < 0 ||
	    fl_run_bad(r->run, b, &r->bad, "--by", err) < 0 ||
	    fl_groupkeys_of(&r->keys, fl_run_header(r->run, 0), b, &keys, err) < 0)
		return err->code;
	if (r->windowed)
		rc = fl__panes_batch(r, b, keys, err);
	else if (r->retracts)
		rc = apply_changes(r, b, keys, err);
	else
		rc = add_rows(r, b, keys, err);
	r->seq += b->rows;
	if (rc == 0 && (r->spec.updates || r->windowed))
		rc = fl_rowout_flush(&r->out, err);
	if (rc == 0)
		rc = fl_spill_trim(&r->spill, err);
	return rc < 0 ? rc : fl_budget_check(&r->budget, fl_items_bytes(&r->mem), err);
}

int
fl_rank_watermark(struct fl_rank *r, int64_t wm_ms, int64_t *forward_ms, struct fl_err *err)
{
	if (!r->windowed) {
		if (!r->spec.updates)
			*forward_ms = FL_TIME_MIN; /* the table is still to come */
		return 0;
	}
	if (r->processing_time && wm_ms < FL_TIME_MAX)
		return 0;
	if (fl__panes_advance(r, wm_ms, err) < 0 || fl_spill_trim(&r->spill, err) < 0)
		return err->code;
	return fl_rowout_flush(&r->out, err);
}

int
fl_rank_timer(struct fl_rank *r, int64_t now_ms, struct fl_err *err)
{
	if (fl__panes_advance(r, now_ms, err) < 0 || fl_spill_trim(&r->spill, err) < 0)
		return err->code;
	return fl_rowout_flush(&r->out, err);
}

static int
by_arrival(const void *a, const void *b)
{
	const struct fl_entry *x = *(struct fl_entry *const *)a, *y = *(struct fl_entry *const *)b;

	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

uint32_t
fl__rank_entries(struct fl_rank *r, const struct fl_table *t)
{
	struct fl_entry **e;
	bool sorted = true;
	uint32_t n = 0;

	fl_buf_clear(&r->entries);
	e = (struct fl_entry **)(void *)fl_buf_reserve(&r->entries, t->count * sizeof *e + 1);
	for (uint32_t i = 0; i < t->count; i++) {
		struct fl_entry *entry = fl_table_at(t, i);

		if (entry->deleted)
			continue;
		sorted = sorted && (n == 0 || e[n - 1]->seq < entry->seq);
		e[n++] = entry;
	}
	if (!sorted)
		qsort(e, n, sizeof(struct fl_entry *), by_arrival);
	return n;
}

static int
put_entry(void *self, struct fl_entry *e, struct fl_err *err)
{
	return fl__rank_put_group(self, fl__rank_group(e), NULL, FL_TIME_MIN, err);
}

int
fl_rank_end(struct fl_rank *r, struct fl_err *err)
{
	struct fl_table *t = &r->table;
	uint32_t n;

	if (r->windowed || r->spec.updates)
		return fl_rowout_flush(&r->out, err);
	if (fl_spill_on_disk(&r->spill)) {
		if (fl_spill_each(&r->spill, 0, put_entry, err) < 0)
			return err->code;
		return fl_rowout_flush(&r->out, err);
	}
	/* a restored table or one with places used again is not by arrival */
	n = t->reused || r->restored ? fl__rank_entries(r, t) : t->count;
	for (uint32_t i = 0; i < n; i++) {
		struct fl_entry *e = t->reused || r->restored
					     ? ((struct fl_entry **)(void *)r->entries.data)[i]
					     : fl_table_at(t, i);

		if (!e->deleted &&
		    fl__rank_put_group(r, fl__rank_group(e), NULL, FL_TIME_MIN, err) < 0)
			return err->code;
	}
	return fl_rowout_flush(&r->out, err);
}
