/* SPDX-License-Identifier: Apache-2.0 */
#include "join/interval.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/table.h"
#include "time/timestamp.h"

#define BLOCK_BYTES FL_KIB(32)
#define SPARE_BLOCKS 64u
#define CANDIDATES_MAX 8192u /* gathered before the condition is looked at */
#define COMPACT_MIN FL_MIB(4)
#define ROW_SECTION_VERSION 1

/* A kept row. */
struct kept {
	struct kept *next; /* of the same key and side, in the order of arrival */
	struct fl_entry *entry;
	int64_t time;
	int64_t gone; /* the watermark at which it is */
	uint32_t len; /* of data */
	bool matched; /* it has had a partner */
	char data[];  /* packed: stream/row.h */
};

struct block {
	struct block *next;
	size_t cap;
	size_t used;
	int64_t gone; /* all rows are, at this watermark */
	_Alignas(16) char data[];
};

/* The value of a key: its rows of both sides. */
struct lists {
	struct kept *first[2];
	struct kept *last[2];
};

/* A row that may have to come out without a partner. */
struct waiting {
	int64_t gone;
	uint64_t seq; /* of two that go at once the one that came first is first */
	struct kept *row;
	int side;
};

struct side {
	struct block *first, *last; /* blocks in the order of arrival */
	size_t bytes;               /* of the blocks */
	size_t bytes_least;         /* after the last compaction */
	int64_t keep_ms;            /* gone = time + keep_ms */
	bool meets_later_only;      /* the range ends before the row's own time: once that is
	                               behind the watermark it need not be kept at all */
	bool told;                  /* a row without a partner comes out (outer, anti) */
};

struct interval {
	struct fl_pairs pairs;
	struct fl_run *run;
	enum fl_join_kind kind;
	int64_t lower, upper;
	bool empty; /* lower > upper: nothing matches */
	int64_t wm;
	int64_t lag_ms; /* of the watermark that is sent on */
	struct fl_budget budget;
	struct fl_table table; /* key -> struct lists */
	struct side side[2];
	struct block *spare;
	uint32_t spare_count;
	struct fl_buf heap; /* struct waiting, the least first */
	uint64_t seq;       /* of rows kept */

	/* of the batch in hand */
	struct fl_buf wms, scratch;
	struct fl_buf rows;       /* uint32_t: those that look for partners */
	struct fl_buf entries;    /* struct fl_entry *, one a record */
	struct fl_buf candidates; /* struct kept * */
	struct fl_buf counts;     /* uint32_t: how many candidates each record has */
	struct fl_buf packed;
	bool unkept; /* a key may have been made for nothing */
};

static struct lists *
lists_of(struct fl_entry *e)
{
	return (struct lists *)(void *)e->value;
}

static int64_t
add_times(int64_t a, int64_t b)
{
	int64_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return b < 0 ? FL_TIME_MIN : FL_TIME_MAX;
	return sum;
}

/* The watermark that results carry. */
static int64_t
out_wm(const struct interval *j, int64_t wm)
{
	return wm == FL_TIME_MAX ? wm : add_times(wm, -j->lag_ms);
}

/* ---- blocks of rows ------------------------------------------------------------------- */

/* The budget is looked at once a batch: --max-memory is no matter of one block. */
static struct block *
block_new(struct interval *j, size_t need)
{
	size_t cap = need > BLOCK_BYTES ? need : BLOCK_BYTES;
	struct block *b = j->spare;

	if (cap == BLOCK_BYTES && b) {
		j->spare = b->next;
		j->spare_count--;
	} else {
		b = fl_xmalloc(sizeof *b + cap);
		b->cap = cap;
	}
	j->budget.used += cap;
	b->next = NULL;
	b->used = 0;
	b->gone = FL_TIME_MIN;
	return b;
}

static void
block_free(struct interval *j, struct block *b)
{
	j->budget.used -= b->cap;
	if (b->cap != BLOCK_BYTES || j->spare_count == SPARE_BLOCKS) {
		free(b);
		return;
	}
	b->next = j->spare;
	j->spare = b;
	j->spare_count++;
}

static size_t
kept_size(const struct kept *k)
{
	return (sizeof *k + k->len + 15) & ~(size_t)15;
}

static struct kept *
first_in(struct block *b)
{
	return (struct kept *)(void *)b->data;
}

static struct kept *
behind(const struct kept *k)
{
	return (struct kept *)(void *)((char *)k + kept_size(k));
}

static bool
is_in(const struct block *b, const struct kept *k)
{
	return (const char *)k < b->data + b->used;
}

/* Room for a row of len packed bytes behind the last. */
static struct kept *
place(struct interval *j, struct side *s, uint32_t len)
{
	struct kept head = { .len = len }, *k;
	size_t size = kept_size(&head);

	if (!s->last || s->last->cap - s->last->used < size) {
		struct block *b = block_new(j, size);

		if (s->last)
			s->last->next = b;
		else
			s->first = b;
		s->last = b;
		s->bytes += b->cap;
	}
	k = (struct kept *)(void *)(s->last->data + s->last->used);
	s->last->used += size;
	k->len = len;
	return k;
}

static void
link_kept(struct interval *j, int side, struct kept *k)
{
	struct lists *l = lists_of(k->entry);
	struct block *b = j->side[side].last;

	k->next = NULL;
	if (l->last[side])
		l->last[side]->next = k;
	else
		l->first[side] = k;
	l->last[side] = k;
	if (k->gone > b->gone)
		b->gone = k->gone;
}

static void
forget_key(struct interval *j, struct fl_entry *e)
{
	const struct lists *l = lists_of(e);

	if (!l->first[0] && !l->first[1] && !e->deleted)
		fl_table_delete(&j->table, e);
}

/* The oldest block of a side goes: its rows are the first of their lists. */
static void
drop_block(struct interval *j, int side)
{
	struct side *s = &j->side[side];
	struct block *b = s->first;

	for (struct kept *k = first_in(b); is_in(b, k); k = behind(k)) {
		struct lists *l = lists_of(k->entry);

		fl_assert(l->first[side] == k);
		l->first[side] = k->next;
		if (k->next)
			continue;
		l->last[side] = NULL;
		forget_key(j, k->entry);
	}
	s->first = b->next;
	if (!s->first)
		s->last = NULL;
	s->bytes -= b->cap;
	block_free(j, b);
}

/* Copy the rows of old blocks that are not gone to new ones, and leave word where to. */
static void
copy_live(struct interval *j, int side, struct block *old)
{
	for (struct block *b = old; b; b = b->next) {
		for (struct kept *k = first_in(b); is_in(b, k); k = behind(k)) {
			struct kept *to;

			k->next = NULL;
			if (k->gone <= j->wm)
				continue;
			to = place(j, &j->side[side], k->len);
			memcpy(to, k, sizeof *k + k->len);
			link_kept(j, side, to);
			k->next = to;
		}
	}
}

/*
 * A row with a time far ahead keeps its block, and all behind it. Where that has
 * doubled a side, the rows that are not gone are copied to new blocks.
 */
static void
compact(struct interval *j, int side)
{
	struct side *s = &j->side[side];
	struct block *old = s->first, *b;
	struct waiting *w = (struct waiting *)(void *)j->heap.data;

	s->first = s->last = NULL;
	s->bytes = 0;
	for (b = old; b; b = b->next)
		for (struct kept *k = first_in(b); is_in(b, k); k = behind(k))
			lists_of(k->entry)->first[side] = lists_of(k->entry)->last[side] = NULL;
	copy_live(j, side, old);
	for (size_t i = 0; i < j->heap.len / sizeof *w; i++)
		if (w[i].side == side) /* none of them is gone: that would have been told */
			w[i].row = w[i].row->next;
	while ((b = old)) {
		for (struct kept *k = first_in(b); is_in(b, k); k = behind(k))
			if (!k->next)
				forget_key(j, k->entry);
		old = b->next;
		block_free(j, b);
	}
	s->bytes_least = s->bytes;
}

/* What can go, goes. */
static void
collect(struct interval *j)
{
	for (int i = 0; i < 2; i++) {
		struct side *s = &j->side[i];

		while (s->first && s->first->gone <= j->wm)
			drop_block(j, i);
		if (s->bytes >= 2 * s->bytes_least + COMPACT_MIN)
			compact(j, i);
	}
}

/* ---- rows that wait to be told -------------------------------------------------------- */

static bool
before(const struct waiting *a, const struct waiting *b)
{
	return a->gone < b->gone || (a->gone == b->gone && a->seq < b->seq);
}

static void
heap_push(struct interval *j, struct waiting w)
{
	size_t i = j->heap.len / sizeof w;
	struct waiting *h;

	(void)fl_buf_reserve(&j->heap, sizeof w);
	h = (struct waiting *)(void *)j->heap.data;
	j->heap.len += sizeof w;
	for (; i && before(&w, &h[(i - 1) / 2]); i = (i - 1) / 2)
		h[i] = h[(i - 1) / 2];
	h[i] = w;
}

static struct waiting
heap_pop(struct interval *j)
{
	struct waiting *h = (struct waiting *)(void *)j->heap.data, top = h[0], moved;
	size_t n = j->heap.len / sizeof *h - 1, i = 0, child;

	j->heap.len -= sizeof *h;
	moved = h[n];
	while ((child = 2 * i + 1) < n) {
		if (child + 1 < n && before(&h[child + 1], &h[child]))
			child++;
		if (!before(&h[child], &moved))
			break;
		h[i] = h[child];
		i = child;
	}
	h[i] = moved;
	return top;
}

static int
put_alone(struct interval *j, int side, struct fl_half h, int64_t time, int64_t wm,
	  struct fl_err *err)
{
	return fl_pairs_put_sided(&j->pairs, (enum fl_join_side)side, h, fl_half_none(), time,
				  out_wm(j, wm), FL_INSERT, err);
}

/* The watermark is now wm: rows that have stayed alone come out. */
static int
move_on(struct interval *j, int64_t wm, struct fl_err *err)
{
	int64_t was = j->wm;

	if (wm <= was)
		return 0;
	while (j->heap.len && ((struct waiting *)(void *)j->heap.data)->gone <= wm) {
		struct waiting w = heap_pop(j);

		if (w.row->matched)
			continue;
		if (put_alone(j, w.side, fl_half_kept(w.row->data, w.row->len), w.row->time, was,
			      err) < 0)
			return err->code;
	}
	j->wm = wm;
	return 0;
}

/* ---- records ---------------------------------------------------------------------------- */

/* The watermark in force before each record: it does not go back. */
static const int64_t *
watermarks(struct interval *j, const struct fl_batch *b)
{
	const int64_t *from;
	int64_t *to, wm = j->wm;

	fl_buf_clear(&j->wms);
	to = (int64_t *)(void *)fl_buf_reserve(&j->wms, b->rows * sizeof *to);
	from = fl_batch_wm(b, &j->scratch);
	for (uint32_t i = 0; i < b->rows; i++)
		to[i] = wm = from[i] > wm ? from[i] : wm;
	return to;
}

/*
 * The entry of each record's key; NULL for what looks for no partner: the record is
 * late, or its key is NULL, or no time matches.
 */
static int
find_keys(struct interval *j, int side, const struct fl_batch *b, const int64_t *wms,
	  struct fl_entry ***ret, struct fl_err *err)
{
	const struct fl_key *keys;
	struct fl_entry **entry;
	uint32_t *rows, n = 0;

	fl_buf_clear(&j->rows);
	fl_buf_clear(&j->entries);
	rows = (uint32_t *)(void *)fl_buf_reserve(&j->rows, b->rows * sizeof *rows);
	entry = (struct fl_entry **)(void *)fl_buf_reserve(&j->entries, b->rows * sizeof *entry);
	*ret = entry;
	if (fl_pairs_keys(&j->pairs, (enum fl_join_side)side, b, &keys, err) < 0)
		return err->code;
	for (uint32_t i = 0; i < b->rows && !j->empty; i++)
		if (b->time[i] >= wms[i] && !fl_pairs_key_is_null(&j->pairs, &keys[i]))
			rows[n++] = i;
	if (fl_table_put(&j->table, keys, rows, n, 0, entry, NULL, err) < 0)
		return err->code;
	for (uint32_t i = b->rows; i-- > 0;) {
		bool taken = n && rows[n - 1] == i;

		entry[i] = taken ? entry[--n] : NULL;
	}
	return 0;
}

/* The rows that are there and may be partners, by their times; returns how many. */
static uint32_t
gather(struct interval *j, int side, const struct fl_entry *e, int64_t time, int64_t wm)
{
	const struct lists *l = (const struct lists *)(const void *)e->value;
	bool left = side == FL_JOIN_SIDE_LEFT;
	int64_t from = add_times(time, left ? j->lower : -j->upper);
	int64_t to = add_times(time, left ? j->upper : -j->lower);
	uint32_t n = 0;

	for (struct kept *k = l->first[!side]; k; k = k->next) {
		if (k->time < from || k->time > to || k->gone <= wm)
			continue;
		fl_buf_put(&j->candidates, &k, sizeof k);
		n++;
	}
	return n;
}

static int
tell_match(struct interval *j, int side, uint32_t row, int64_t time, struct kept *other,
	   bool *matched, struct fl_err *err)
{
	struct fl_half kept = fl_half_kept(other->data, other->len);
	int64_t later = time > other->time ? time : other->time;
	bool left = side == FL_JOIN_SIDE_LEFT;
	bool told = left ? *matched : other->matched;

	*matched = true;
	other->matched = true;
	if (j->kind == FL_JOIN_ANTI || (j->kind == FL_JOIN_SEMI && told))
		return 0;
	if (j->kind == FL_JOIN_SEMI)
		later = left ? time : other->time;
	return fl_pairs_put_sided(&j->pairs, (enum fl_join_side)side, fl_half_row(row), kept, later,
				  out_wm(j, j->wm), FL_INSERT, err);
}

/* Keep a row for partners that are still to come. */
static void
keep(struct interval *j, int side, const struct fl_batch *b, uint32_t row, struct fl_entry *e,
     int64_t gone, bool matched)
{
	struct kept *k;

	fl_buf_clear(&j->packed);
	(void)fl_pairs_pack(b, row, &j->packed);
	k = place(j, &j->side[side], (uint32_t)j->packed.len);
	memcpy(k->data, j->packed.data, j->packed.len);
	k->entry = e;
	k->time = b->time[row];
	k->gone = gone;
	k->matched = matched;
	link_kept(j, side, k);
	if (j->side[side].told && !matched)
		heap_push(j, (struct waiting){ gone, j->seq, k, side });
	j->seq++;
}

/* What becomes of a row of the batch that has met those that are there. */
static int
settle(struct interval *j, int side, const struct fl_batch *b, uint32_t row, struct fl_entry *e,
       bool matched, struct fl_err *err)
{
	const struct side *s = &j->side[side];
	int64_t gone = add_times(b->time[row], s->keep_ms);
	bool left_only = j->kind == FL_JOIN_SEMI || j->kind == FL_JOIN_ANTI;

	/* a left row that has a partner is told, or never will be */
	if (left_only && side == FL_JOIN_SIDE_LEFT && matched) {
		j->unkept = true;
		return 0;
	}
	if (gone > j->wm || !s->meets_later_only) {
		/* Flink forgets at the next watermark, not at the one in force */
		keep(j, side, b, row, e, gone > j->wm ? gone : add_times(j->wm, 1), matched);
		return 0;
	}
	j->unkept = true;
	return s->told && !matched ? put_alone(j, side, fl_half_row(row), b->time[row], j->wm, err)
				   : 0;
}

/* A row that looks for no partner. */
static int
turn_away(struct interval *j, int side, const struct fl_batch *b, uint32_t row, struct fl_err *err)
{
	bool told = j->side[side].told;

	if (b->time[row] < j->wm)
		fl_pairs_late(&j->pairs, (enum fl_join_side)side, row, told);
	return told ? put_alone(j, side, fl_half_row(row), b->time[row], j->wm, err) : 0;
}

/* Records first..last of the batch, whose candidates lie one after the other. */
static int
join_rows(struct interval *j, int side, const struct fl_batch *b, const int64_t *wms,
	  struct fl_entry *const *entry, uint32_t first, uint32_t last, const uint8_t *verdict,
	  struct fl_err *err)
{
	const uint32_t *counts = (const uint32_t *)(const void *)j->counts.data;
	struct kept *const *other = (struct kept *const *)(const void *)j->candidates.data;

	for (uint32_t row = first; row < last; row++) {
		bool matched = false;
		int rc = move_on(j, wms[row], err);

		for (uint32_t n = counts[row - first]; n && rc == 0; n--, other++)
			if (!verdict || *verdict++)
				rc = tell_match(j, side, row, b->time[row], *other, &matched, err);
		if (rc == 0)
			rc = entry[row] ? settle(j, side, b, row, entry[row], matched, err)
					: turn_away(j, side, b, row, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Candidates of the records from first on; returns the first for which there was no room. */
static uint32_t
gather_rows(struct interval *j, int side, const struct fl_batch *b, const int64_t *wms,
	    struct fl_entry *const *entry, uint32_t first)
{
	uint32_t row = first, all = 0;

	fl_buf_clear(&j->candidates);
	fl_buf_clear(&j->counts);
	for (; row < b->rows && all < CANDIDATES_MAX; row++) {
		uint32_t n = entry[row] ? gather(j, side, entry[row], b->time[row], wms[row]) : 0;

		fl_buf_put(&j->counts, &n, sizeof n);
		all += n;
	}
	return row;
}

/* The condition's verdicts on the candidates; NULL: there is no condition. */
static int
judge(struct interval *j, int side, uint32_t first, const uint8_t **ret, struct fl_err *err)
{
	const uint32_t *counts = (const uint32_t *)(const void *)j->counts.data;
	struct kept *const *other = (struct kept *const *)(const void *)j->candidates.data;
	size_t rows = j->counts.len / sizeof *counts;

	*ret = NULL;
	if (!fl_pairs_has_on(&j->pairs))
		return 0;
	for (size_t i = 0; i < rows; i++)
		for (uint32_t n = counts[i]; n; n--, other++)
			fl_pairs_try_sided(&j->pairs, (enum fl_join_side)side,
					   fl_half_row(first + (uint32_t)i),
					   fl_half_kept((*other)->data, (*other)->len));
	return fl_pairs_test(&j->pairs, ret, err);
}

/* Keys that were looked up and have no rows. Only now: records of a batch share them. */
static void
forget_keys(struct interval *j, struct fl_entry *const *entry, uint32_t rows)
{
	for (uint32_t i = 0; i < rows && j->unkept; i++)
		if (entry[i])
			forget_key(j, entry[i]);
	j->unkept = false;
}

static int
on_batch(void *self, enum fl_join_side side, const struct fl_batch *b, struct fl_err *err)
{
	struct interval *j = self;
	const int64_t *wms = watermarks(j, b);
	struct fl_entry **entry;

	fl_pairs_batch(&j->pairs, side, b);
	if (find_keys(j, (int)side, b, wms, &entry, err) < 0)
		return err->code;
	for (uint32_t first = 0, last; first < b->rows; first = last) {
		const uint8_t *verdict;

		last = gather_rows(j, (int)side, b, wms, entry, first);
		if (judge(j, (int)side, first, &verdict, err) < 0 ||
		    join_rows(j, (int)side, b, wms, entry, first, last, verdict, err) < 0)
			return err->code;
	}
	forget_keys(j, entry, b->rows);
	collect(j);
	if (fl_budget_check(&j->budget, 0, err) < 0)
		return err->code;
	return fl_pairs_flush(&j->pairs, err);
}

static int
advance(void *self, int64_t wm_ms, int64_t *forward_ms, struct fl_err *err)
{
	struct interval *j = self;

	if (move_on(j, wm_ms, err) < 0)
		return err->code;
	*forward_ms = out_wm(j, wm_ms);
	collect(j);
	return fl_pairs_flush(&j->pairs, err);
}

/* ---- opening ------------------------------------------------------------------------------ */

/*
 * How long rows of a side are kept: until no row of the other side can come that is
 * in time and has them in its range. reach: how far their range goes beyond their own
 * time. At the watermark that is the very end of the range Flink's DataStream join,
 * which is inner, has forgotten them; that of SQL, which knows the other kinds, has not.
 */
static void
set_side(struct interval *j, int side, int64_t reach)
{
	struct side *s = &j->side[side];

	s->keep_ms = reach < 0 || j->kind != FL_JOIN_INNER ? reach + 1 : reach;
	s->meets_later_only = reach < 0;
	s->told = fl_join_is_outer(j->kind, (enum fl_join_side)side) ||
		  (j->kind == FL_JOIN_ANTI && side == FL_JOIN_SIDE_LEFT);
	/* what comes out after waiting comes with its own time */
	if ((s->told || (j->kind == FL_JOIN_SEMI && side == FL_JOIN_SIDE_LEFT)) &&
	    s->keep_ms > j->lag_ms)
		j->lag_ms = s->keep_ms;
}

static int
check_inputs(struct fl_run *run, struct fl_err *err)
{
	for (uint32_t i = 0; i < 2; i++) {
		const struct fl_header *h = fl_run_header(run, i);
		const char *side = i == 0 ? "left" : "right";

		if (!h->time)
			return fl_fail(err, FL_EUSAGE,
				       "the %s side has no event time: give --time where it is "
				       "decoded, on both sides",
				       side);
		if (h->changelog)
			return fl_fail(err, FL_EUSAGE,
				       "the %s side is a changelog: --between joins rows that "
				       "are only inserted",
				       side);
	}
	return 0;
}

static int
open(void *self, struct fl_run *run, const struct fl_join_options *o, struct fl_err *err)
{
	struct interval *j = self;
	struct fl_pairs_form form = { .timed = true };

	j->run = run;
	j->kind = o->kind;
	j->lower = o->lower;
	j->upper = o->upper;
	j->empty = o->lower > o->upper;
	j->wm = FL_TIME_MIN;
	fl_budget_init(&j->budget, fl_run_memory_max(run));
	fl_table_init(&j->table, &j->budget, sizeof(struct lists));
	if (check_inputs(run, err) < 0)
		return err->code;
	set_side(j, FL_JOIN_SIDE_LEFT, j->upper);
	set_side(j, FL_JOIN_SIDE_RIGHT, -j->lower);
	if (fl_pairs_open(&j->pairs, run, o, NULL, &form, err) < 0 ||
	    fl_pairs_late_open(&j->pairs, o->late, err) < 0)
		return err->code;
	fl_run_in_time_order(run);
	return 0;
}

static int
columns(void *self, struct fl_err *err)
{
	struct interval *j = self;

	return fl_pairs_columns(&j->pairs, err);
}

static int
end(void *self, struct fl_err *err)
{
	struct interval *j = self;

	(void)err;
	fl_pairs_notes(&j->pairs);
	return 0;
}

static void
release(void *self)
{
	struct interval *j = self;
	struct block *b;

	if (!j->run)
		return;
	for (int i = 0; i < 2; i++) {
		while ((b = j->side[i].first)) {
			j->side[i].first = b->next;
			free(b);
		}
	}
	while ((b = j->spare)) {
		j->spare = b->next;
		free(b);
	}
	fl_table_release(&j->table);
	fl_budget_release(&j->budget);
	fl_pairs_release(&j->pairs);
	fl_buf_release(&j->heap);
	fl_buf_release(&j->wms);
	fl_buf_release(&j->scratch);
	fl_buf_release(&j->rows);
	fl_buf_release(&j->entries);
	fl_buf_release(&j->candidates);
	fl_buf_release(&j->counts);
	fl_buf_release(&j->packed);
}

/* ---- snapshots ------------------------------------------------------------------------------ */

/* What may not change between a snapshot and its restore. */
static void
name_join(const struct interval *j, char *to, size_t cap)
{
	(void)snprintf(to, cap, "interval join of %" PRId64 " ms to %" PRId64 " ms", j->lower,
		       j->upper);
}

static const char *const row_sections[2] = { "left rows", "right rows" };

/* Before the record in an entry's value: time, the watermark at which it is gone, matched. */
#define SAVED_BYTES 17u

static void
save_side(const struct interval *j, int side, struct fl_save *s)
{
	struct fl_buf about = { 0 }, value = { 0 };
	char ns = side == FL_JOIN_SIDE_LEFT ? 'L' : 'R';

	fl_pairs_about(&j->pairs, (enum fl_join_side)side, &about);
	fl_save_section(s, row_sections[side], ROW_SECTION_VERSION, about.data);
	for (struct block *b = j->side[side].first; b; b = b->next) {
		for (struct kept *k = first_in(b); is_in(b, k); k = behind(k)) {
			struct fl_key key = fl_entry_key(k->entry);

			if (k->gone <= j->wm)
				continue;
			fl_buf_clear(&value);
			fl_buf_put(&value, &k->time, sizeof k->time);
			fl_buf_put(&value, &k->gone, sizeof k->gone);
			fl_buf_putc(&value, k->matched ? 1 : 0);
			fl_buf_put(&value, k->data, k->len);
			fl_save_entry(s,
				      &(struct fl_state_entry){ .ns = &ns,
								.ns_len = 1,
								.key = key.p,
								.key_len = key.len,
								.key_tags = key.tags,
								.value = value.data,
								.value_len = (uint32_t)value.len });
		}
	}
	fl_buf_release(&about);
	fl_buf_release(&value);
}

static void
snapshot(void *self, struct fl_save *s)
{
	struct interval *j = self;
	char what[100];

	name_join(j, what, sizeof what);
	fl_pairs_save(&j->pairs, what, s);
	fl_save_section(s, "clock", 1, NULL);
	fl_save_int(s, "watermark", j->wm);
	save_side(j, FL_JOIN_SIDE_LEFT, s);
	save_side(j, FL_JOIN_SIDE_RIGHT, s);
}

static int
load_row(struct interval *j, int side, const struct fl_state_entry *e, struct fl_load *l,
	 struct fl_err *err)
{
	struct fl_key key = { .p = e->key, .len = e->key_len, .tags = e->key_tags };
	struct fl_entry *entry;
	struct kept *k;
	uint32_t len = e->value_len - SAVED_BYTES;

	if (e->key_len == FL_STATE_NULL_KEY || e->value_len < SAVED_BYTES ||
	    fl_row_check(e->value + SAVED_BYTES, len, err) < 0)
		return fl_load_damaged(l, "a kept row", err);
	fl_pairs_rehash(&j->pairs, &key);
	if (fl_table_put(&j->table, &key, NULL, 1, 0, &entry, NULL, err) < 0)
		return err->code;
	k = place(j, &j->side[side], len);
	memcpy(&k->time, e->value, sizeof k->time);
	memcpy(&k->gone, e->value + 8, sizeof k->gone);
	k->matched = e->value[16] != 0;
	memcpy(k->data, e->value + SAVED_BYTES, len);
	k->entry = entry;
	link_kept(j, side, k);
	if (j->side[side].told && !k->matched)
		heap_push(j, (struct waiting){ k->gone, j->seq, k, side });
	j->seq++;
	return fl_budget_check(&j->budget, 0, err);
}

static int
load_clock(struct interval *j, struct fl_load *l, struct fl_err *err)
{
	struct fl_state_entry e;
	int rc;

	while ((rc = fl_load_entry(l, &e, err)) > 0)
		if (fl_state_is(&e, "watermark") && fl_state_int(&e, &j->wm, err) < 0)
			return err->code;
	return rc;
}

static int
load_rows(struct interval *j, int side, struct fl_load *l, struct fl_err *err)
{
	struct fl_state_entry e;
	int rc;

	while ((rc = fl_load_entry(l, &e, err)) > 0)
		if (load_row(j, side, &e, l, err) < 0)
			return err->code;
	return rc;
}

static int
restore(void *self, struct fl_load *l, struct fl_err *err)
{
	struct interval *j = self;
	struct fl_state_section s;
	char what[100];
	int rc;

	name_join(j, what, sizeof what);
	while ((rc = fl_load_section(l, &s, err)) > 0) {
		if (strcmp(s.name, FL_PAIRS_SECTION) == 0)
			rc = fl_pairs_load(&j->pairs, what, l, err);
		else if (strcmp(s.name, "clock") == 0)
			rc = load_clock(j, l, err);
		else if (strcmp(s.name, row_sections[0]) == 0)
			rc = load_rows(j, 0, l, err);
		else if (strcmp(s.name, row_sections[1]) == 0)
			rc = load_rows(j, 1, l, err);
		else
			rc = fl_load_unknown(l, &s, err);
		if (rc < 0)
			return rc;
	}
	return rc;
}

static size_t
state_bytes(const void *self)
{
	const struct interval *j = self;

	return j->side[0].bytes + j->side[1].bytes;
}

const struct fl_join_engine fl_join_interval = {
	.name = "interval join",
	.self_size = sizeof(struct interval),
	.open = open,
	.columns = columns,
	.on_batch = on_batch,
	.advance = advance,
	.end = end,
	.snapshot = snapshot,
	.restore = restore,
	.state_bytes = state_bytes,
	.release = release,
};
