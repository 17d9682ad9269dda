/* SPDX-License-Identifier: Apache-2.0 */
#include "join/interval.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "run/spill.h"
#include "time/timestamp.h"

#define BLOCK_BYTES FL_KIB(32)
#define SPARE_BLOCKS 64u
#define CANDIDATES_MAX 8192u /* gathered before the condition is looked at */
#define COMPACT_MIN FL_MIB(4)
#define ROW_SECTION_VERSION 2

/* A kept row. */
struct kept {
	struct kept *next; /* of the same key and side, in the order of arrival */
	struct fl_entry *entry;
	int64_t time;
	int64_t gone; /* the watermark at which it is */
	uint64_t seq; /* of two that go at once the one that came first is first */
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

/* A row on its way into memory; on disk these bytes stand before the record. */
struct saved_row {
	int64_t time;
	int64_t gone;
	uint64_t seq;
	uint32_t len;
	uint8_t side;
	uint8_t matched;
};

#define SAVED_ROW 30u /* bytes of these, one behind the other */

/* The value of a key: its rows of both sides. */
struct lists {
	struct kept *first[2];
	struct kept *last[2];
};

/* A row that may have to come out without a partner. */
struct waiting {
	int64_t gone;
	uint64_t seq;
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
	int64_t past;   /* what went at or before it has been told; after wm only while the
			   watermark moves on */
	int64_t lag_ms; /* of the watermark that is sent on */
	struct fl_budget budget;
	struct fl_table table; /* key -> struct lists */
	struct fl_spill spill;
	struct side side[2];
	struct block *spare;
	uint32_t spare_count;
	struct fl_buf heap; /* struct waiting, the least first */
	uint64_t seq;       /* of rows kept */

	/* of the batch in hand */
	struct fl_buf wms, scratch;
	struct fl_buf rows;       /* uint32_t: those that look for partners */
	struct fl_buf entries;    /* struct fl_entry *, one a record of the portion in hand */
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
		fl_spill_delete(&j->spill, 0, &j->table, e);
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
			if (k->gone <= j->past)
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

/* All blocks of both sides, and what is spare. */
static void
free_blocks(struct interval *j)
{
	struct block *b;

	for (int i = 0; i < 2; i++) {
		struct side *s = &j->side[i];

		while ((b = s->first)) {
			s->first = b->next;
			block_free(j, b);
		}
		s->last = NULL;
		s->bytes = s->bytes_least = 0;
	}
	while ((b = j->spare)) {
		j->spare = b->next;
		free(b);
	}
	j->spare_count = 0;
}

/* What can go, goes. */
static void
collect(struct interval *j)
{
	for (int i = 0; i < 2; i++) {
		struct side *s = &j->side[i];

		while (s->first && s->first->gone <= j->past)
			drop_block(j, i);
		if (s->bytes >= 2 * s->bytes_least + COMPACT_MIN)
			compact(j, i);
	}
}

/* ---- rows that wait to be told -------------------------------------------------------- */

static inline bool
before(const void *a, const void *b, const void *ctx)
{
	const struct waiting *x = a, *y = b;

	(void)ctx;
	return x->gone < y->gone || (x->gone == y->gone && x->seq < y->seq);
}

static void
heap_push(struct interval *j, struct waiting w)
{
	fl_heap_push(&j->heap, &w, sizeof w, before, NULL);
}

static struct waiting
heap_pop(struct interval *j)
{
	struct waiting w;

	fl_heap_pop(&j->heap, &w, sizeof w, before, NULL);
	return w;
}

/* A row is kept, behind the others of its key. */
static void
add_row(struct interval *j, struct fl_entry *e, const struct saved_row *x, const char *data)
{
	struct kept *k = place(j, &j->side[x->side], x->len);

	memcpy(k->data, data, x->len);
	k->entry = e;
	k->time = x->time;
	k->gone = x->gone;
	k->seq = x->seq;
	k->matched = x->matched;
	link_kept(j, x->side, k);
	if (j->side[x->side].told && !x->matched)
		heap_push(j, (struct waiting){ x->gone, x->seq, k, x->side });
}

static int
put_alone(struct interval *j, int side, struct fl_half h, int64_t time, int64_t wm,
	  struct fl_err *err)
{
	return fl_pairs_put_sided(&j->pairs, (enum fl_join_side)side, h, fl_half_none(), time,
				  out_wm(j, wm), FL_INSERT, err);
}

/* Rows that go until then, and have stayed alone, come out. */
static int
tell_alone(struct interval *j, int64_t until, struct fl_err *err)
{
	while (j->heap.len && ((struct waiting *)(void *)j->heap.data)->gone <= until) {
		struct waiting w = heap_pop(j);

		if (w.row->matched)
			continue;
		fl_spill_changed(&j->spill, w.row->entry);
		if (put_alone(j, w.side, fl_half_kept(w.row->data, w.row->len), w.row->time, j->wm,
			      err) < 0)
			return err->code;
	}
	j->past = until;
	return 0;
}

/* The watermark is now wm. Nothing goes, so that what was found stays where it is. */
static int
move_on(struct interval *j, int64_t wm, struct fl_err *err)
{
	int64_t until;

	if (wm <= j->wm)
		return 0;
	if (fl_spill_due(&j->spill, wm, &until, err) < 0 || tell_alone(j, wm, err) < 0)
		return err->code;
	j->wm = wm;
	return 0;
}

/* ---- on disk ---------------------------------------------------------------------------- */

static void
encode(void *self, int64_t ns, struct fl_entry *e, struct fl_buf *out)
{
	const struct interval *j = self;

	(void)ns;
	for (uint8_t side = 0; side < 2; side++) {
		for (const struct kept *k = lists_of(e)->first[side]; k; k = k->next) {
			struct saved_row x = { k->time, k->gone, k->seq, k->len, side, k->matched };

			if (k->gone <= j->past)
				continue;
			fl_buf_put(out, &x, SAVED_ROW);
			fl_buf_put(out, k->data, k->len);
		}
	}
}

static int
decode(void *self, int64_t ns, struct fl_entry *e, struct fl_bytes value, struct fl_err *err)
{
	struct interval *j = self;
	struct saved_row x;

	(void)ns;
	for (; value.n; value.p += x.len, value.n -= x.len) {
		if (value.n < SAVED_ROW)
			return fl_fail(err, FL_EDATA, "a value in RocksDB's files is damaged");
		memcpy(&x, value.p, SAVED_ROW);
		value.p += SAVED_ROW;
		value.n -= SAVED_ROW;
		if (x.len > value.n || x.side > 1 || fl_row_check(value.p, x.len, err) < 0)
			return fl_fail(err, FL_EDATA, "a value in RocksDB's files is damaged");
		if (x.gone > j->past)
			add_row(j, e, &x, value.p);
	}
	return 0;
}

/* When the next of its rows comes out alone, or all of them are gone. */
static int64_t
due(void *self, int64_t ns, struct fl_entry *e)
{
	const struct interval *j = self;
	int64_t alone = FL_TIME_MAX, last = FL_TIME_MIN;

	(void)ns;
	for (int side = 0; side < 2; side++) {
		for (const struct kept *k = lists_of(e)->first[side]; k; k = k->next) {
			if (k->gone <= j->past)
				continue;
			last = k->gone > last ? k->gone : last;
			if (j->side[side].told && !k->matched && k->gone < alone)
				alone = k->gone;
		}
	}
	return alone < last ? alone : last > FL_TIME_MIN ? last : FL_TIME_MAX;
}

static void
forget(void *self)
{
	struct interval *j = self;

	free_blocks(j);
	fl_buf_release(&j->heap);
	fl_table_clear(&j->table);
}

static size_t
held(const void *self)
{
	const struct interval *j = self;

	return j->budget.used + j->heap.len;
}

/* For fcheckpoint show: what encode writes. */
static void
about(const void *self, struct fl_buf *out)
{
	const struct interval *j = self;

	fl_pairs_about_both(&j->pairs, "",
			    "@[]{time:time until:time arrival:u64 size side(left,right) "
			    "matched:flag row:row(left,right)}",
			    NULL, 0, out);
}

static const struct fl_spill_ops spill_ops = {
	.version = 1,
	.table_at = offsetof(struct interval, table),
	.encode = encode,
	.decode = decode,
	.due = due,
	.forget = forget,
	.held = held,
	.about = about,
};

/*
 * Keys whose rows are all gone, but still lie in blocks, are to go from disk: nothing would
 * bring them back.
 */
static void
mark_gone(struct interval *j)
{
	for (uint32_t i = 0; i < j->table.count; i++) {
		struct fl_entry *e = fl_table_at(&j->table, i);

		if (!e->deleted && due(j, 0, e) == FL_TIME_MAX)
			fl_spill_changed(&j->spill, e);
	}
}

/* No entry and no row is held across it. */
static int
trim(struct interval *j, struct fl_err *err)
{
	if (!fl_spill_is_full(&j->spill))
		return 0;
	mark_gone(j);
	return fl_spill_trim(&j->spill, err);
}

/* The same where nothing has been found yet: what goes is brought from disk in portions. */
static int
move_far(struct interval *j, int64_t wm, struct fl_err *err)
{
	int64_t until;

	while (wm > j->past) {
		if (fl_spill_due(&j->spill, wm, &until, err) < 0 || tell_alone(j, until, err) < 0)
			return err->code;
		collect(j);
		if (trim(j, err) < 0)
			return err->code;
	}
	j->wm = wm > j->wm ? wm : j->wm;
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
 * The entries of the keys of records first .. end-1, ret[0] being first's; NULL for what
 * looks for no partner: the record is late, or its key is NULL, or no time matches.
 */
static int
find_keys(struct interval *j, const struct fl_batch *b, const struct fl_key *keys,
	  const int64_t *wms, uint32_t first, uint32_t end, struct fl_entry ***ret,
	  struct fl_err *err)
{
	struct fl_entry **entry;
	uint32_t *rows, n = 0;

	fl_buf_clear(&j->rows);
	fl_buf_clear(&j->entries);
	rows = (uint32_t *)(void *)fl_buf_reserve(&j->rows, (end - first) * sizeof *rows);
	entry = (struct fl_entry **)(void *)fl_buf_reserve(&j->entries,
							   (end - first) * sizeof *entry);
	*ret = entry;
	for (uint32_t i = first; i < end && !j->empty; i++)
		if (b->time[i] >= wms[i] && !fl_pairs_key_is_null(&j->pairs, &keys[i]))
			rows[n++] = i;
	if (fl_spill_put(&j->spill, 0, &j->table, keys, rows, n, 0, entry, err) < 0)
		return err->code;
	for (uint32_t i = end; i-- > first;) {
		bool taken = n && rows[n - 1] == i;

		entry[i - first] = taken ? entry[--n] : NULL;
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
	struct saved_row x = { .time = b->time[row],
			       .gone = gone,
			       .seq = j->seq++,
			       .side = (uint8_t)side,
			       .matched = matched };

	fl_buf_clear(&j->packed);
	x.len = (uint32_t)fl_pairs_pack(b, row, &j->packed);
	add_row(j, e, &x, j->packed.data);
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

/*
 * Records first..last of the batch, whose candidates lie one after the other. entry[0] is
 * first's.
 */
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
			rc = entry[row - first]
				     ? settle(j, side, b, row, entry[row - first], matched, err)
				     : turn_away(j, side, b, row, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/*
 * Candidates of the records first .. end-1, entry[0] being first's; returns the first for
 * which there was no room.
 */
static uint32_t
gather_rows(struct interval *j, int side, const struct fl_batch *b, const int64_t *wms,
	    struct fl_entry *const *entry, uint32_t first, uint32_t end)
{
	uint32_t row = first, all = 0;

	fl_buf_clear(&j->candidates);
	fl_buf_clear(&j->counts);
	for (; row < end && all < CANDIDATES_MAX; row++) {
		const struct fl_entry *e = entry[row - first];
		uint32_t n = e ? gather(j, side, e, b->time[row], wms[row]) : 0;

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

/*
 * The end of the portion that begins with a record: it is as far as nothing more need be
 * brought from disk.
 */
static uint32_t
portion(const struct interval *j, const struct fl_batch *b, const int64_t *wms, uint32_t first)
{
	uint32_t most = fl_join_portion(&j->spill), end = first;

	if (!fl_spill_on_disk(&j->spill))
		return b->rows;
	while (end < b->rows && end - first < most && wms[end] < fl_spill_next(&j->spill))
		end++;
	return end > first ? end : first + 1;
}

static int
join_portion(struct interval *j, int side, const struct fl_batch *b, const struct fl_key *keys,
	     const int64_t *wms, uint32_t first, uint32_t end, struct fl_err *err)
{
	struct fl_entry **entry;

	if (find_keys(j, b, keys, wms, first, end, &entry, err) < 0)
		return err->code;
	for (uint32_t at = first, last; at < end; at = last) {
		struct fl_entry *const *e = entry + (at - first);
		const uint8_t *verdict;

		last = gather_rows(j, side, b, wms, e, at, end);
		if (judge(j, side, at, &verdict, err) < 0 ||
		    join_rows(j, side, b, wms, e, at, last, verdict, err) < 0)
			return err->code;
	}
	forget_keys(j, entry, end - first);
	collect(j);
	return trim(j, err);
}

static int
on_batch(void *self, enum fl_join_side side, const struct fl_batch *b, struct fl_err *err)
{
	struct interval *j = self;
	const int64_t *wms = watermarks(j, b);
	const struct fl_key *keys;

	fl_pairs_batch(&j->pairs, side, b);
	if (fl_pairs_keys(&j->pairs, side, b, &keys, err) < 0)
		return err->code;
	for (uint32_t first = 0, end; first < b->rows; first = end) {
		if (move_far(j, wms[first], err) < 0)
			return err->code;
		end = portion(j, b, wms, first);
		if (join_portion(j, (int)side, b, keys, wms, first, end, err) < 0)
			return err->code;
	}
	if (fl_budget_check(&j->budget, 0, err) < 0)
		return err->code;
	return fl_pairs_flush(&j->pairs, err);
}

static int
advance(void *self, int64_t wm_ms, int64_t *forward_ms, struct fl_err *err)
{
	struct interval *j = self;

	if (move_far(j, wm_ms, err) < 0)
		return err->code;
	*forward_ms = out_wm(j, wm_ms);
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
	j->wm = j->past = FL_TIME_MIN;
	fl_table_init(&j->table, &j->budget, sizeof(struct lists));
	if (check_inputs(run, err) < 0)
		return err->code;
	set_side(j, FL_JOIN_SIDE_LEFT, j->upper);
	set_side(j, FL_JOIN_SIDE_RIGHT, -j->lower);
	if (fl_pairs_open(&j->pairs, run, o, NULL, &form, err) < 0 ||
	    fl_pairs_late_open(&j->pairs, o->late, err) < 0 ||
	    fl_spill_open(&j->spill, run, &spill_ops, j, &j->pairs.keys, err) < 0)
		return err->code;
	fl_budget_init(&j->budget, fl_spill_memory_max(&j->spill));
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

	if (!j->run)
		return;
	fl_spill_close(&j->spill);
	free_blocks(j);
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

/*
 * Before the record in an entry's value: time, the watermark at which it is gone, matched,
 * and, since version 2, the arrival number.
 */
static const char layout_row[] = "time:time until:time matched:flag arrival:u64 row:row";

#define SAVED_BYTES 25u
#define SAVED_BYTES_1 17u

static void
save_side(const struct interval *j, int side, struct fl_save *s)
{
	struct fl_buf about = { 0 }, value = { 0 };
	char ns = side == FL_JOIN_SIDE_LEFT ? 'L' : 'R';

	fl_pairs_about(&j->pairs, (enum fl_join_side)side, layout_row, &about);
	fl_save_section(s, row_sections[side], ROW_SECTION_VERSION, about.data);
	for (struct block *b = j->side[side].first; b; b = b->next) {
		for (struct kept *k = first_in(b); is_in(b, k); k = behind(k)) {
			struct fl_key key = fl_entry_key(k->entry);

			if (k->gone <= j->past)
				continue;
			fl_buf_clear(&value);
			fl_buf_put(&value, &k->time, sizeof k->time);
			fl_buf_put(&value, &k->gone, sizeof k->gone);
			fl_buf_putc(&value, k->matched ? 1 : 0);
			fl_buf_put(&value, &k->seq, sizeof k->seq);
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
	fl_join_save(&j->pairs, what, j->wm, j->seq, s);
	if (fl_spill_on_disk(&j->spill)) {
		fl_spill_save(&j->spill, s);
		return;
	}
	save_side(j, FL_JOIN_SIDE_LEFT, s);
	save_side(j, FL_JOIN_SIDE_RIGHT, s);
}

static int
load_row(void *self, const struct fl_state_section *s, const struct fl_state_entry *e,
	 struct fl_load *l, struct fl_err *err)
{
	struct interval *j = self;
	uint32_t before = s->version == 1 ? SAVED_BYTES_1 : SAVED_BYTES;
	struct saved_row x = { .side = strcmp(s->name, row_sections[1]) == 0,
			       .len = e->value_len - before };
	struct fl_key key = { .p = e->key, .len = e->key_len, .tags = e->key_tags };
	struct fl_entry *entry;

	if (e->key_len == FL_STATE_NULL_KEY || e->value_len < before ||
	    fl_row_check(e->value + before, x.len, err) < 0)
		return fl_load_damaged(l, "a kept row", err);
	fl_pairs_rehash(&j->pairs, &key);
	if (fl_spill_put(&j->spill, 0, &j->table, &key, NULL, 1, 0, &entry, err) < 0)
		return err->code;
	memcpy(&x.time, e->value, sizeof x.time);
	memcpy(&x.gone, e->value + 8, sizeof x.gone);
	x.matched = e->value[16] != 0;
	x.seq = j->seq++;
	if (s->version > 1)
		memcpy(&x.seq, e->value + SAVED_BYTES_1, sizeof x.seq);
	add_row(j, entry, &x, e->value + before);
	return fl_budget_check(&j->budget, 0, err) < 0 ? err->code : trim(j, err);
}

static const struct fl_join_section sections[] = {
	{ "left rows", ROW_SECTION_VERSION, load_row },
	{ "right rows", ROW_SECTION_VERSION, load_row },
	{ NULL, 0, NULL },
};

static int
restore(void *self, struct fl_load *l, struct fl_err *err)
{
	struct interval *j = self;
	uint64_t arrivals = 0;
	char what[100];
	int rc;

	name_join(j, what, sizeof what);
	rc = fl_join_restore(&j->pairs, &j->spill, what, &j->wm, &arrivals, sections, j, l, err);
	j->past = j->wm;
	j->seq = arrivals > j->seq ? arrivals : j->seq;
	return rc;
}

static int
before_snapshot(void *self, struct fl_err *err)
{
	struct interval *j = self;

	if (fl_spill_on_disk(&j->spill))
		mark_gone(j);
	return fl_spill_checkpoint(&j->spill, err);
}

static size_t
state_bytes(const void *self)
{
	const struct interval *j = self;

	return fl_spill_on_disk(&j->spill) ? 0 : j->side[0].bytes + j->side[1].bytes;
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
	.before_snapshot = before_snapshot,
	.state_bytes = state_bytes,
	.release = release,
};
