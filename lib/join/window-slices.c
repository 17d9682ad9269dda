/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "join/windows.h"
#include "time/timestamp.h"

/* A piece of time whose records are in the same windows. */
struct slice {
	struct fl_window span;
	int64_t gone;          /* the watermark at which its last window is */
	struct fl_table table; /* key -> struct fl_wcell */
};

/* A cell of a group, for windows of several slices. */
struct link {
	const struct fl_wcell *cell;
	uint32_t next; /* number + 1 of the link behind it; 0: none */
};

/* The rows of a key in a window of several slices. */
struct group {
	uint64_t seq; /* of its first row */
	uint32_t first, last;
	bool null_key;
};

static struct slice **
slices(const struct fl_wslices *s)
{
	return (struct slice **)(void *)s->list.data;
}

static uint32_t
count(const struct fl_wslices *s)
{
	return (uint32_t)(s->list.len / sizeof(struct slice *));
}

static struct fl_wcell *
cell_of(struct fl_entry *e)
{
	return (struct fl_wcell *)(void *)e->value;
}

void
fl_wslices_init(struct fl_wslices *s, struct fl_wstate *st, const struct fl_windows *w)
{
	*s = (struct fl_wslices){
		.st = st, .windows = *w, .next_end = FL_TIME_MAX, .next_drop = FL_TIME_MAX
	};
	fl_table_init(&s->keys, st->budget, sizeof(uint32_t));
}

void
fl_wslices_release(struct fl_wslices *s)
{
	if (!s->st)
		return;
	for (uint32_t i = 0; i < count(s); i++) {
		fl_table_release(&slices(s)[i]->table);
		free(slices(s)[i]);
	}
	fl_table_release(&s->keys);
	fl_buf_release(&s->list);
	fl_buf_release(&s->groups);
	fl_buf_release(&s->links);
	fl_buf_release(&s->cells);
	fl_buf_release(&s->ahead);
	fl_buf_release(&s->entries);
}

/* ---- which slice, which windows ------------------------------------------------------------ */

/* The end of the first window of a slice that has not fired; FL_TIME_MAX: all have. */
static int64_t
next_end_of(const struct fl_wslices *s, const struct slice *p, int64_t wm)
{
	int64_t ts = p->span.start, low = 0, high = fl_windows_count(&s->windows, ts);

	while (low < high) {
		int64_t mid = low + (high - low) / 2;

		if (fl_windows_nth(&s->windows, ts, mid).end - 1 > wm)
			high = mid;
		else
			low = mid + 1;
	}
	return low < fl_windows_count(&s->windows, ts) ? fl_windows_nth(&s->windows, ts, low).end
						       : FL_TIME_MAX;
}

/* The index of the slice that begins at start, or where it would go. */
static uint32_t
find(const struct fl_wslices *s, int64_t start, bool *ret_found)
{
	uint32_t low = 0, high = count(s);

	if (s->recent < high && slices(s)[s->recent]->span.start == start) {
		*ret_found = true;
		return s->recent;
	}
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (slices(s)[mid]->span.start < start)
			low = mid + 1;
		else
			high = mid;
	}
	*ret_found = low < count(s) && slices(s)[low]->span.start == start;
	return low;
}

static struct slice *
slice_at(struct fl_wslices *s, int64_t time)
{
	struct fl_window span = fl_slice_at(&s->windows, time);
	bool found;
	uint32_t at = find(s, span.start, &found);
	int64_t windows, end;
	struct slice *p;

	s->recent = at;
	if (found)
		return slices(s)[at];
	p = fl_xcalloc(1, sizeof *p);
	p->span = span;
	windows = fl_windows_count(&s->windows, time);
	p->gone = INT64_MIN;
	if (windows > 0) {
		struct fl_window last = fl_windows_nth(&s->windows, time, windows - 1);

		p->gone = fl_window_cleanup_time(&last, s->st->lateness);
	}
	fl_table_init(&p->table, s->st->budget, sizeof(struct fl_wcell));
	(void)fl_buf_reserve(&s->list, sizeof p);
	memmove(slices(s) + at + 1, slices(s) + at, (count(s) - at) * sizeof p);
	slices(s)[at] = p;
	s->list.len += sizeof p;
	end = next_end_of(s, p, s->st->wm);
	s->next_end = end < s->next_end ? end : s->next_end;
	s->next_drop = p->gone < s->next_drop ? p->gone : s->next_drop;
	return p;
}

/* Slices whose last window is gone at wm. */
static int
drop_slices(struct fl_wslices *s, int64_t wm, struct fl_err *err)
{
	uint32_t kept = 0;
	int rc = 0;

	s->next_drop = FL_TIME_MAX;
	s->recent = 0;
	for (uint32_t i = 0; i < count(s); i++) {
		struct slice *p = slices(s)[i];

		if (p->gone > wm) {
			s->next_drop = p->gone < s->next_drop ? p->gone : s->next_drop;
			slices(s)[kept++] = p;
			continue;
		}
		if (rc == 0)
			rc = fl_spill_drop(s->st->spill, p->span.start, err);
		for (uint32_t k = 0; k < p->table.count; k++)
			fl_wcell_free(cell_of(fl_table_at(&p->table, k)), &s->st->slab);
		fl_table_release(&p->table);
		free(p);
	}
	s->list.len = kept * sizeof(struct slice *);
	return rc;
}

/* ---- firing ------------------------------------------------------------------------------------ */

static bool
is_null(const struct fl_wslices *s, const struct fl_entry *e)
{
	struct fl_key key = fl_entry_key(e);

	return fl_pairs_key_is_null(&s->st->out->pairs, &key);
}

/* A key of a window that is one slice, on disk: it is valid only now. */
static int
fire_key(void *self, struct fl_entry *e, struct fl_err *err)
{
	struct fl_wslices *s = self;
	const struct fl_wcell *c = cell_of(e);
	int64_t wm = s->st->wm;

	if (fl_wpairs_group(s->st->out, &s->firing, &c, 1, is_null(s, e), wm, err) < 0)
		return err->code;
	return fl_wpairs_flush(s->st->out, wm, err);
}

/* A window that is one slice: keys lie by first arrival. */
static int
fire_slice(struct fl_wslices *s, const struct slice *p, const struct fl_window *w,
	   struct fl_err *err)
{
	s->firing = *w;
	if (fl_spill_on_disk(s->st->spill))
		return fl_spill_each(s->st->spill, p->span.start, fire_key, err);
	for (uint32_t i = 0; i < p->table.count; i++) {
		struct fl_entry *e = fl_table_at(&p->table, i);
		const struct fl_wcell *c = cell_of(e);

		if (fl_wpairs_group(s->st->out, w, &c, 1, is_null(s, e), s->st->wm, err) < 0)
			return err->code;
	}
	return 0;
}

static int
by_seq(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* Put a cell to the group of its key. */
static int
add_cell(struct fl_wslices *s, struct fl_entry *e, struct fl_err *err)
{
	struct fl_key key = fl_entry_key(e);
	struct link l = { .cell = cell_of(e) };
	uint64_t seq = fl_wcell_seq(l.cell);
	struct fl_entry *found;
	struct group *g;
	uint32_t number;

	key.hash = e->hash; /* the table looks at the low half only */
	if (fl_table_put(&s->keys, &key, NULL, 1, 0, &found, NULL, err) < 0)
		return err->code;
	fl_buf_put(&s->links, &l, sizeof l);
	number = (uint32_t)(s->links.len / sizeof l);
	memcpy(&number, found->value, sizeof number);
	if (number == 0) {
		struct group fresh = { .seq = seq, .null_key = is_null(s, e) };

		fl_buf_put(&s->groups, &fresh, sizeof fresh);
		number = (uint32_t)(s->groups.len / sizeof fresh);
		memcpy(found->value, &number, sizeof number);
	}
	g = (struct group *)(void *)s->groups.data + number - 1;
	number = (uint32_t)(s->links.len / sizeof l);
	if (g->last)
		((struct link *)(void *)s->links.data)[g->last - 1].next = number;
	else
		g->first = number;
	g->last = number;
	g->seq = seq < g->seq ? seq : g->seq;
	return 0;
}

static int
tell_group(struct fl_wslices *s, const struct group *g, const struct fl_window *w,
	   struct fl_err *err)
{
	const struct link *links = (const struct link *)(const void *)s->links.data;
	uint32_t n = 0;

	fl_buf_clear(&s->cells);
	for (uint32_t i = g->first; i; i = links[i - 1].next, n++)
		fl_buf_put(&s->cells, &links[i - 1].cell, sizeof links->cell);
	return fl_wpairs_group(s->st->out, w,
			       (const struct fl_wcell *const *)(const void *)s->cells.data, n,
			       g->null_key, s->st->wm, err);
}

/* A window of several slices: their cells by key, keys by first arrival in the window. */
static int
fire_slices(struct fl_wslices *s, uint32_t first, uint32_t last, const struct fl_window *w,
	    struct fl_err *err)
{
	struct group *g;
	int rc = 0;

	fl_buf_clear(&s->groups);
	fl_buf_clear(&s->links);
	for (uint32_t i = first; i < last; i++)
		if (fl_spill_bring(s->st->spill, slices(s)[i]->span.start, err) < 0)
			return err->code;
	for (uint32_t i = first; i < last; i++)
		for (uint32_t k = 0; k < slices(s)[i]->table.count; k++)
			if (add_cell(s, fl_table_at(&slices(s)[i]->table, k), err) < 0)
				return err->code;
	g = (struct group *)(void *)s->groups.data;
	qsort(g, s->groups.len / sizeof *g, sizeof *g, by_seq);
	for (size_t i = 0; i < s->groups.len / sizeof *g && rc == 0; i++)
		rc = tell_group(s, &g[i], w, err);
	fl_table_clear(&s->keys);
	return rc;
}

/* The slices of a window: indexes first .. *ret_last - 1. */
static uint32_t
slices_of(const struct fl_wslices *s, const struct fl_window *w, uint32_t *ret_last)
{
	bool found;
	uint32_t first = find(s, w->start, &found), last = first;

	while (last < count(s) && slices(s)[last]->span.start < w->end)
		last++;
	*ret_last = last;
	return first;
}

/* Of the windows that have not fired at wm, the one that ends first: it ends at s->next_end. */
static struct fl_window
next_window(struct fl_wslices *s, int64_t wm)
{
	struct fl_window w = { .start = 0, .end = FL_TIME_MAX };

	s->next_end = FL_TIME_MAX;
	for (uint32_t i = 0; i < count(s); i++) {
		const struct slice *p = slices(s)[i];
		int64_t end = next_end_of(s, p, wm);

		if (end >= s->next_end)
			continue;
		s->next_end = end;
		for (int64_t k = 0; k < fl_windows_count(&s->windows, p->span.start); k++) {
			w = fl_windows_nth(&s->windows, p->span.start, k);
			if (w.end == end)
				break;
		}
	}
	return w;
}

static int
fire_window(struct fl_wslices *s, const struct fl_window *w, struct fl_err *err)
{
	uint32_t last, first = slices_of(s, w, &last);

	return last - first == 1 ? fire_slice(s, slices(s)[first], w, err)
				 : fire_slices(s, first, last, w, err);
}

/* On disk: a window has fired, make room for the next. */
static int
trim(struct fl_wslices *s, const struct fl_window *w, struct fl_err *err)
{
	if (!fl_spill_on_disk(s->st->spill))
		return 0;
	if (fl_wpairs_flush(s->st->out, s->st->wm, err) < 0 ||
	    (s->next_drop <= w->end - 1 && drop_slices(s, w->end - 1, err) < 0))
		return err->code;
	return fl_spill_trim(s->st->spill, err);
}

int
fl_wslices_advance(struct fl_wslices *s, int64_t wm, struct fl_err *err)
{
	struct fl_window w;

	if (s->next_end != FL_TIME_MAX && s->next_end - 1 <= wm) {
		for (w = next_window(s, s->st->wm); w.end != FL_TIME_MAX && w.end - 1 <= wm;
		     w = next_window(s, w.end - 1))
			if (fire_window(s, &w, err) < 0 || trim(s, &w, err) < 0)
				return err->code;
	}
	if (fl_wpairs_flush(s->st->out, s->st->wm, err) < 0)
		return err->code;
	s->st->wm = s->st->past = wm;
	return s->next_drop <= wm ? drop_slices(s, wm, err) : 0;
}

/* ---- records -------------------------------------------------------------------------------- */

/* A window that has fired and is not gone fires again for the key. */
static int
fire_again(struct fl_wslices *s, const struct fl_key *key, const struct fl_window *w,
	   struct fl_err *err)
{
	struct fl_wstate *st = s->st;
	uint32_t last, first = slices_of(s, w, &last), n = 0;

	fl_buf_clear(&s->cells);
	for (uint32_t i = first; i < last; i++) {
		struct slice *p = slices(s)[i];
		const struct fl_wcell *c;
		struct fl_entry *e;

		if (fl_spill_get(st->spill, p->span.start, &p->table, key, NULL, 1, &e, err) < 0)
			return err->code;
		if (!e)
			continue;
		c = cell_of(e);
		fl_buf_put(&s->cells, &c, sizeof c);
		n++;
	}
	if (fl_wpairs_group(st->out, w, (const struct fl_wcell *const *)(const void *)s->cells.data,
			    n, fl_pairs_key_is_null(&st->out->pairs, key), st->wm, err) < 0)
		return err->code;
	return fl_wpairs_flush(st->out, st->wm, err);
}

/* Whether a time is too late for all its windows; *ret_windows: how many they are. */
static bool
is_late(const struct fl_wslices *s, int64_t time, int64_t wm, int64_t *ret_windows)
{
	struct fl_window w = { .start = time, .end = time + 1 };

	*ret_windows = fl_windows_count(&s->windows, time);
	if (*ret_windows > 0)
		w = fl_windows_nth(&s->windows, time, *ret_windows - 1);
	return fl_window_cleanup_time(&w, s->st->lateness) <= wm;
}

/* The entry of a key in a slice. */
static int
put_key(struct fl_wslices *s, struct slice *p, const struct fl_key *key, uint64_t seq,
	struct fl_entry **ret, struct fl_err *err)
{
	return fl_spill_put(s->st->spill, p->span.start, &p->table, key, NULL, 1, seq, ret, err);
}

int
fl_wslices_add(struct fl_wslices *s, enum fl_join_side side, const struct fl_key *key, int64_t time,
	       uint64_t seq, const char *p, uint32_t len, bool *ret_late, struct fl_err *err)
{
	struct fl_wstate *st = s->st;
	int64_t windows, end;
	struct fl_window w;
	struct fl_entry *e;

	*ret_late = is_late(s, time, st->wm, &windows);
	if (*ret_late || windows == 0)
		return 0;
	if (put_key(s, slice_at(s, time), key, seq, &e, err) < 0)
		return err->code;
	fl_wcell_add(cell_of(e), side, &st->slab, seq, p, len);
	for (int64_t i = 0; i < windows; i++) {
		w = fl_windows_nth(&s->windows, time, i);
		end = w.end - 1;
		if (end > st->wm)
			break;
		if (fl_window_cleanup_time(&w, st->lateness) > st->wm &&
		    fire_again(s, key, &w, err) < 0)
			return err->code;
	}
	return 0;
}

/* ---- on disk --------------------------------------------------------------------------------- */

/* The namespace of a slice is its start. A value is fl_wcell_encode's. */
static struct fl_table *
table_of(void *self, int64_t ns)
{
	struct fl_wslices *s = self;
	bool found;
	uint32_t at = find(s, ns, &found);

	return found ? &slices(s)[at]->table : NULL;
}

static void
encode(void *self, int64_t ns, struct fl_entry *e, struct fl_buf *out)
{
	(void)self;
	(void)ns;
	fl_wcell_encode(cell_of(e), out);
}

static int
decode(void *self, int64_t ns, struct fl_entry *e, struct fl_bytes value, struct fl_err *err)
{
	struct fl_wslices *s = self;

	(void)ns;
	return fl_wcell_decode(cell_of(e), &s->st->slab, &value, UINT64_MAX, err);
}

/* The slices stay, without their rows. */
static void
forget(void *self)
{
	struct fl_wslices *s = self;

	for (uint32_t i = 0; i < count(s); i++)
		fl_table_clear(&slices(s)[i]->table);
	fl_slab_release(&s->st->slab);
	fl_slab_init(&s->st->slab, s->st->budget);
}

static size_t
held(const void *self)
{
	const struct fl_wslices *s = self;

	return s->st->budget->used;
}

/* For fcheckpoint show: what encode writes, and the slices. */
static void
about(const void *self, struct fl_buf *out)
{
	const struct fl_wslices *s = self;
	int64_t(*windows)[2] = fl_xcalloc(count(s) + 1, sizeof *windows);

	for (uint32_t i = 0; i < count(s); i++) {
		windows[i][0] = slices(s)[i]->span.start;
		windows[i][1] = slices(s)[i]->span.end;
	}
	fl_pairs_about_both(&s->st->out->pairs, "window", "@[]{" FL_WCELL_ENCODED "}",
			    (const int64_t(*)[2])windows, count(s), out);
	free(windows);
}

const struct fl_spill_ops fl_wslices_spill = {
	.version = 1,
	.table = table_of,
	.encode = encode,
	.decode = decode,
	.forget = forget,
	.held = held,
	.about = about,
};

/* Those of s->ahead that are in the slice of the first; the others are left in s->ahead. */
static int
bring_slice(struct fl_wslices *s, const struct fl_wahead *a, struct fl_err *err)
{
	uint32_t *row = (uint32_t *)(void *)s->ahead.data;
	uint32_t n = (uint32_t)(s->ahead.len / sizeof *row), mine = 0, others = 0;
	struct slice *p = slice_at(s, a->time[row[0]]);
	uint32_t *left = row + n; /* behind the list there is as much room again */
	struct fl_entry **entry;
	int rc;

	for (uint32_t i = 0; i < n; i++) {
		if (a->time[row[i]] >= p->span.start && a->time[row[i]] < p->span.end)
			row[mine++] = row[i];
		else
			left[others++] = row[i];
	}
	fl_buf_clear(&s->entries);
	entry = (struct fl_entry **)(void *)fl_buf_reserve(&s->entries, mine * sizeof *entry);
	rc = fl_spill_put(s->st->spill, p->span.start, &p->table, a->keys, row, mine, a->seq, entry,
			  err);
	memmove(row, left, others * sizeof *row);
	s->ahead.len = others * sizeof *row;
	return rc;
}

int
fl_wslices_bring(struct fl_wslices *s, const struct fl_wahead *a, struct fl_err *err)
{
	int64_t wm = s->st->wm, windows;

	fl_buf_clear(&s->ahead);
	(void)fl_buf_reserve(&s->ahead, 2 * a->count * sizeof(uint32_t));
	for (uint32_t i = 0; i < a->count; i++) {
		uint32_t row = a->rows[i];

		wm = a->wm[row] > wm ? a->wm[row] : wm;
		if (!is_late(s, a->time[row], wm, &windows) && windows > 0)
			fl_buf_put(&s->ahead, &row, sizeof row);
	}
	while (s->ahead.len)
		if (bring_slice(s, a, err) < 0)
			return err->code;
	return 0;
}

void
fl_wslices_know(struct fl_wslices *s)
{
	for (size_t i = 0; i < s->st->spill->ns_count; i++)
		(void)slice_at(s, fl_spill_ns_at(s->st->spill, i));
}

/* ---- snapshots ------------------------------------------------------------------------------- */

void
fl_wslices_save(const struct fl_wslices *s, struct fl_save *to)
{
	struct fl_buf value = { 0 };

	for (uint32_t i = 0; i < count(s); i++) {
		const struct slice *p = slices(s)[i];

		for (uint32_t k = 0; k < p->table.count; k++) {
			struct fl_entry *e = fl_table_at(&p->table, k);
			struct fl_key key = fl_entry_key(e);

			fl_wcell_save(cell_of(e), &p->span, &key, to, &value);
		}
	}
	fl_buf_release(&value);
}

int
fl_wslices_load(struct fl_wslices *s, enum fl_join_side side, const struct fl_key *key,
		const struct fl_window *window, uint64_t seq, const char *p, uint32_t len,
		struct fl_err *err)
{
	struct fl_entry *e;

	if (put_key(s, slice_at(s, window->start), key, seq, &e, err) < 0)
		return err->code;
	e->seq = seq < e->seq ? seq : e->seq;
	fl_wcell_add(cell_of(e), side, &s->st->slab, seq, p, len);
	return 0;
}
