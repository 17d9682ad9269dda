/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time to live
 *	With --ttl each row goes so long after it was last written, by the clock: it came, an
 *	equal one came or went, or, where the join counts its partners, they changed. What it
 *	has given stays; it is no partner any more. So the number of a row's partners is that
 *	of those that it was joined with and that were not taken back, expired or not: it is
 *	counted row by row.
 *
 * How matches are counted
 *	A padded row, or a row of a semi or anti join, comes or goes when the number of
 *	partners of a kept row becomes 0 or stops to be 0. Without a condition all rows
 *	of a key have the same partners, those of the key: the length of a list tells, and
 *	a key with a million rows is not walked to count. With a condition, or a TTL, each row
 *	counts its own. Equal rows count once.
 */
#include "join/regular.h"

#include <stdlib.h>

#include "join/rows.h"
#include "run/options.h"
#include "run/spill.h"

#define TRIED_MAX 4096u /* candidates whose conditions are evaluated together */
#define FETCH_AHEAD 12u
#define SWEEP_MS 1000 /* while nothing comes, what has expired goes that often */
#define WHAT "regular join"
#define WHAT_TTL "regular join with --ttl"

/* What is kept of one key: the rows of both sides. */
struct key_state {
	struct fl_jlist list[2];
};

struct regular {
	struct fl_run *run;
	struct fl_pairs pairs;
	enum fl_join_kind kind;
	bool left_only;   /* semi, anti */
	bool has_on;      /* there is a condition */
	bool by_row;      /* each row counts its matches */
	int64_t ttl_ms;   /* 0: rows stay */
	int64_t now_ms;   /* with a TTL: of the callback in hand */
	bool changing[2]; /* the input takes rows back */
	bool keeps[2];    /* its rows are kept; else their number is enough */
	bool outer[2];
	struct fl_budget budget;
	struct fl_table table; /* of struct key_state */
	struct fl_jrows rows[2];
	struct fl_spill spill;
	uint64_t untimed; /* restored rows of which it is not yet said when they were written */
	uint64_t seq;
	int64_t wm;
	struct fl_buf found; /* struct key_state *, one a record; NULL: the key is NULL */
	struct fl_buf wanted, entries;

	/* the batch in hand */
	enum fl_join_side side;
	const struct fl_batch *batch;
	const struct fl_key *keys;
	uint32_t first, end; /* of the portion in hand */
	/* the record in hand, x */
	uint32_t row;
	struct key_state *key;
	bool adds;            /* else it takes back */
	bool counts;          /* the number of different rows changes */
	bool flips;           /* no condition: it is the first of its key, or the last */
	bool settled;         /* see is_settled */
	struct fl_jrow *kept; /* the row that equals it, or NULL */
	uint64_t partners;
};

static const struct fl_spill_ops spill_ops;

/* ---- opening -------------------------------------------------------------------------- */

static int
regular_open(void *self, struct fl_run *run, const struct fl_join_options *o, struct fl_err *err)
{
	struct regular *g = self;
	struct fl_pairs_form form = { 0 };

	g->run = run;
	g->kind = o->kind;
	g->left_only = o->kind == FL_JOIN_SEMI || o->kind == FL_JOIN_ANTI;
	for (int s = 0; s < 2; s++) {
		g->changing[s] = fl_run_header(run, (uint32_t)s)->changelog;
		g->outer[s] = fl_join_is_outer(o->kind, (enum fl_join_side)s);
	}
	form.changelog = g->changing[0] || g->changing[1] ||
			 (o->kind != FL_JOIN_INNER && o->kind != FL_JOIN_SEMI);
	if (fl_pairs_open(&g->pairs, run, o, NULL, &form, err) < 0)
		return err->code;
	g->has_on = fl_pairs_has_on(&g->pairs);
	g->ttl_ms = fl_run_options(run)->ttl_ms;
	g->by_row = g->has_on || g->ttl_ms;
	g->keeps[FL_JOIN_SIDE_LEFT] = true;
	g->keeps[FL_JOIN_SIDE_RIGHT] = !g->left_only || g->by_row;
	if (fl_spill_open(&g->spill, run, &spill_ops, g, &g->pairs.keys, err) < 0)
		return err->code;
	fl_budget_init(&g->budget, fl_spill_memory_max(&g->spill));
	fl_table_init(&g->table, &g->budget, sizeof(struct key_state));
	for (int s = 0; s < 2; s++) {
		fl_jrows_init(&g->rows[s], &g->budget, g->changing[s]);
		fl_jrows_compact(&g->rows[s]);
		if (g->ttl_ms)
			fl_jrows_age(&g->rows[s]);
		fl_pairs_kept(&g->pairs, (enum fl_join_side)s, &g->rows[s].kept);
	}
	return 0;
}

static int
regular_columns(void *self, struct fl_err *err)
{
	struct regular *g = self;

	return fl_pairs_columns(&g->pairs, err);
}

static void
regular_release(void *self)
{
	struct regular *g = self;

	if (!g->run)
		return;
	fl_spill_close(&g->spill);
	fl_jrows_release(&g->rows[0]);
	fl_jrows_release(&g->rows[1]);
	if (g->table.budget)
		fl_table_release(&g->table);
	fl_budget_release(&g->budget);
	fl_pairs_release(&g->pairs);
	fl_buf_release(&g->found);
	fl_buf_release(&g->wanted);
	fl_buf_release(&g->entries);
}

/* ---- rows of the result ------------------------------------------------------------------ */

static struct fl_half
half_of(const struct fl_jrow *r)
{
	return fl_half_kept(r->data, r->len);
}

/* x, a kept row of the other side, or both; times times. */
static int
put(struct regular *g, struct fl_half mine, struct fl_half other, uint32_t times, bool comes,
    struct fl_err *err)
{
	int rc = 0;

	for (; times > 0 && rc == 0; times--)
		rc = fl_pairs_put_sided(&g->pairs, g->side, mine, other, 0, g->wm,
					comes ? FL_INSERT : FL_DELETE, err);
	return rc;
}

/* x is joined with y, or was until now. */
static int
put_pair(struct regular *g, struct fl_jrow *y, bool flips, struct fl_err *err)
{
	const struct fl_jrows *others = &g->rows[!g->side];
	uint32_t copies = fl_jrow_copies(others, y);
	struct fl_half mine = fl_half_row(g->row);
	bool pads = flips && g->outer[!g->side];

	if (g->left_only) {
		if (g->side == FL_JOIN_SIDE_LEFT || !flips)
			return 0;
		return put(g, fl_half_none(), half_of(y), copies,
			   g->adds == (g->kind == FL_JOIN_SEMI), err);
	}
	if (g->adds && pads && put(g, fl_half_none(), half_of(y), copies, false, err) < 0)
		return err->code;
	if (put(g, mine, half_of(y), copies, g->adds, err) < 0)
		return err->code;
	return !g->adds && pads ? put(g, fl_half_none(), half_of(y), copies, true, err) : 0;
}

/* ---- one record ---------------------------------------------------------------------------- */

/*
 * In a semi or anti join whose right side only adds, a key that the right side has is
 * settled for ever: its left rows need not be kept.
 */
static bool
is_settled(const struct regular *g, const struct key_state *k)
{
	return g->left_only && !g->by_row && !g->changing[FL_JOIN_SIDE_RIGHT] &&
	       k->list[FL_JOIN_SIDE_RIGHT].rows > 0;
}

/* Take record x in hand. False: it takes back what is not there, and does nothing. */
static bool
begin_row(struct regular *g, struct key_state *k, uint32_t row)
{
	struct fl_jrows *rows = &g->rows[g->side];
	const struct fl_batch *b = g->batch;
	bool changing = g->changing[g->side];
	uint64_t mine = k->list[g->side].rows;

	g->row = row;
	g->key = k;
	g->partners = 0;
	g->kept = NULL;
	g->adds = !changing || !b->op || b->op[row] == FL_INSERT || b->op[row] == FL_UPDATE_AFTER;
	g->settled = g->side == FL_JOIN_SIDE_LEFT && is_settled(g, k);
	g->counts = true;
	if (g->settled)
		return true;
	if (g->keeps[g->side]) {
		fl_jrows_take(rows, b, row);
		if (changing) {
			g->kept = fl_jrows_find(rows);
			if (!g->adds && !g->kept)
				return false;
			g->counts = g->adds ? !g->kept : fl_jrow_copies(rows, g->kept) == 1;
		}
	} else if (!g->adds && mine == 0) {
		return false;
	}
	g->flips = g->counts && mine == (g->adds ? 0 : 1);
	return true;
}

/* A kept row of the key in hand is written now. */
static void
write_row(struct regular *g, int side, struct fl_jrow *r)
{
	if (g->ttl_ms)
		fl_jrow_written(&g->rows[side], &g->key->list[side], r, g->now_ms);
}

/* y, for which the condition is true, is a partner of x. */
static int
match(struct regular *g, struct fl_jrow *y, struct fl_err *err)
{
	bool flips = g->flips;

	g->partners++;
	if (g->by_row && g->adds)
		flips = g->counts && y->matches++ == 0;
	else if (g->by_row)
		flips = g->counts && --y->matches == 0;
	if (g->outer[!g->side] || (g->left_only && g->side == FL_JOIN_SIDE_RIGHT))
		write_row(g, !g->side, y);
	return put_pair(g, y, flips, err);
}

/* All left rows of a key that is settled now. */
static void
forget_left(struct regular *g, struct key_state *k)
{
	struct fl_jlist *list = &k->list[FL_JOIN_SIDE_LEFT];

	while (g->changing[FL_JOIN_SIDE_LEFT] && list->first)
		fl_jrows_remove(&g->rows[FL_JOIN_SIDE_LEFT], list, list->first);
	*list = (struct fl_jlist){ 0 };
}

static int
keep_row(struct regular *g, struct key_state *k, struct fl_err *err)
{
	struct fl_jrows *rows = &g->rows[g->side];
	struct fl_jlist *list = &k->list[g->side];
	uint32_t copies = g->kept ? fl_jrow_copies(rows, g->kept) : 0;

	if (g->settled)
		return 0;
	if (!g->keeps[g->side]) {
		list->rows += g->adds ? 1 : -(uint64_t)1;
		if (is_settled(g, k))
			forget_left(g, k);
		return 0;
	}
	if (g->kept && g->adds && copies == UINT32_MAX)
		return fl_fail(err, FL_ELIMIT, "a row is there more than four billion times");
	if (g->kept && (g->adds || copies > 1)) {
		fl_jrow_set_copies(rows, g->kept, g->adds ? copies + 1 : copies - 1);
		write_row(g, g->side, g->kept);
		return 0;
	}
	if (!g->adds) {
		fl_jrows_remove(rows, list, g->kept);
		return 0;
	}
	g->kept = fl_jrows_add(rows, list, err);
	if (!g->kept)
		return err->code;
	g->kept->matches = (uint32_t)g->partners;
	write_row(g, g->side, g->kept);
	return 0;
}

/* All partners of x have been seen. */
static int
end_row(struct regular *g, struct key_state *k, struct fl_err *err)
{
	struct fl_half mine = fl_half_row(g->row);
	bool alone;
	int rc = 0;

	if (!g->has_on)
		g->partners = k->list[!g->side].rows;
	alone = g->partners == 0;
	if (g->ttl_ms && !g->adds) /* what is taken back is what was given */
		alone = g->kept->matches == 0;
	if (g->left_only && g->side == FL_JOIN_SIDE_LEFT && alone == (g->kind == FL_JOIN_ANTI))
		rc = put(g, mine, fl_half_none(), 1, g->adds, err);
	else if (alone && g->outer[g->side])
		rc = put(g, mine, fl_half_none(), 1, g->adds, err);
	return rc < 0 ? rc : keep_row(g, k, err);
}

/* A record whose key is NULL has no partner, and never will. */
static int
null_row(struct regular *g, uint32_t row, struct fl_err *err)
{
	const struct fl_batch *b = g->batch;

	if (!g->outer[g->side] && !(g->kind == FL_JOIN_ANTI && g->side == FL_JOIN_SIDE_LEFT))
		return 0;
	g->adds = !g->changing[g->side] || !b->op || b->op[row] == FL_INSERT ||
		  b->op[row] == FL_UPDATE_AFTER;
	return put(g, fl_half_row(row), fl_half_none(), 1, g->adds, err);
}

/* ---- time to live ---------------------------------------------------------------------------- */

static struct fl_entry *
entry_of(struct fl_jlist *list, int side)
{
	char *value = (char *)(list - side) - offsetof(struct key_state, list);

	return (struct fl_entry *)(void *)(value - offsetof(struct fl_entry, value));
}

static bool
is_empty(const struct fl_entry *e)
{
	const struct key_state *k = (const struct key_state *)(const void *)e->value;

	return k->list[0].rows == 0 && k->list[1].rows == 0;
}

/* Rows that have expired go, the oldest first. keys: and the keys that are left empty. */
static void
expire(struct regular *g, bool keys)
{
	for (int side = 0; side < 2; side++) {
		struct fl_jlist *list;
		struct fl_jrow *r;

		while ((r = fl_jrows_oldest(&g->rows[side], &list))) {
			int64_t age;

			if (__builtin_sub_overflow(g->now_ms, fl_jrow_when(r), &age) ||
			    age < g->ttl_ms)
				break;
			fl_jrows_remove(&g->rows[side], list, r);
			if (keys && is_empty(entry_of(list, side)))
				fl_spill_delete(&g->spill, 0, &g->table, entry_of(list, side));
		}
	}
}

/* All that has expired now goes, on disk too. No entry is held across it. */
static int
sweep(struct regular *g, int64_t now_ms, struct fl_err *err)
{
	int64_t until;

	if (!g->ttl_ms)
		return 0;
	g->now_ms = now_ms;
	do {
		if (fl_spill_due(&g->spill, now_ms, &until, err) < 0)
			return err->code;
		expire(g, true);
		if (fl_spill_trim(&g->spill, err) < 0)
			return err->code;
	} while (until < now_ms);
	return 0;
}

/* Be called when something expires and nothing comes. */
static void
set_timer(struct regular *g)
{
	int64_t at = fl_spill_next(&g->spill), when;

	for (int side = 0; side < 2 && g->ttl_ms; side++) {
		struct fl_jlist *list;
		struct fl_jrow *r = fl_jrows_oldest(&g->rows[side], &list);

		if (!r || __builtin_add_overflow(fl_jrow_when(r), g->ttl_ms, &when))
			continue;
		at = when < at ? when : at;
	}
	if (g->ttl_ms)
		fl_run_timer(g->run, at > g->now_ms + SWEEP_MS ? at : g->now_ms + SWEEP_MS);
}

static int
regular_timer(void *self, int64_t now_ms, struct fl_err *err)
{
	struct regular *g = self;

	if (sweep(g, now_ms, err) < 0)
		return err->code;
	set_timer(g);
	return 0;
}

/* Whether more has to be saved of a side than its rows. */
static bool
has_numbers(const struct regular *g, int side)
{
	return !g->keeps[side] || g->changing[side] || g->by_row;
}

/* ---- on disk --------------------------------------------------------------------------------- */

/*
 * A value: of each side u64 its number of rows and, if they are kept, for each of them u32
 * how many equal rows it stands for, u32 matches, i64 when it was written (0: without a
 * TTL), u32 length, the record as in stream/row.h.
 */
struct saved_row {
	uint32_t copies;
	uint32_t matches;
	int64_t written_ms;
	uint32_t len;
};

#define SAVED_ROW 20u /* bytes of these, one behind the other */

static void
encode_row(const struct fl_jrows *rows, const struct fl_jrow *r, struct fl_buf *out)
{
	struct saved_row x = { .copies = fl_jrow_copies(rows, r), .matches = r->matches };
	size_t head = out->len;

	if (rows->aging)
		x.written_ms = fl_jrow_when(r);
	(void)fl_buf_reserve(out, SAVED_ROW);
	out->len += SAVED_ROW;
	fl_kept_unpack(&rows->kept, r->data, r->len, out);
	x.len = (uint32_t)(out->len - head - SAVED_ROW);
	memcpy(out->data + head, &x, SAVED_ROW);
}

static void
encode(void *self, int64_t ns, struct fl_entry *e, struct fl_buf *out)
{
	const struct key_state *k = (const struct key_state *)(const void *)e->value;
	struct regular *g = self;

	(void)ns;
	for (int side = 0; side < 2 && !is_empty(e); side++) {
		fl_buf_put(out, &k->list[side].rows, sizeof k->list[side].rows);
		for (const struct fl_jrow *r = k->list[side].first; r; r = r->next)
			encode_row(&g->rows[side], r, out);
	}
}

static int
damaged(struct fl_err *err)
{
	return fl_fail(err, FL_EDATA, "a value in RocksDB's files is damaged");
}

/* One row, from the front of *value. */
static int
decode_row(struct regular *g, int side, struct fl_jlist *list, struct fl_bytes *value,
	   struct fl_err *err)
{
	struct fl_jrows *rows = &g->rows[side];
	struct saved_row x;
	struct fl_jrow *r;

	if (value->n < SAVED_ROW)
		return damaged(err);
	memcpy(&x, value->p, SAVED_ROW);
	value->p += SAVED_ROW;
	value->n -= SAVED_ROW;
	if (x.len > value->n || x.copies == 0 || (x.copies != 1 && !g->changing[side]) ||
	    fl_row_check(value->p, x.len, err) < 0)
		return damaged(err);
	fl_jrows_take_packed(rows, value->p, x.len);
	value->p += x.len;
	value->n -= x.len;
	r = fl_jrows_add(rows, list, err);
	if (!r)
		return err->code;
	r->matches = x.matches;
	if (g->changing[side])
		fl_jrow_set_copies(rows, r, x.copies);
	if (g->ttl_ms && x.written_ms)
		fl_jrow_returned(rows, list, r, x.written_ms);
	return 0;
}

static int
decode(void *self, int64_t ns, struct fl_entry *e, struct fl_bytes value, struct fl_err *err)
{
	struct key_state *k = (struct key_state *)(void *)e->value;
	struct regular *g = self;

	(void)ns;
	for (int side = 0; side < 2; side++) {
		struct fl_jlist *list = &k->list[side];
		uint64_t rows;

		if (value.n < sizeof rows)
			return damaged(err);
		memcpy(&rows, value.p, sizeof rows);
		value.p += sizeof rows;
		value.n -= sizeof rows;
		if (!g->keeps[side])
			list->rows = rows;
		while (list->rows < rows)
			if (decode_row(g, side, list, &value, err) < 0)
				return err->code;
	}
	return value.n == 0 ? 0 : damaged(err);
}

/* With a TTL: when the last row of the key expires. */
static int64_t
due(void *self, int64_t ns, struct fl_entry *e)
{
	const struct key_state *k = (const struct key_state *)(const void *)e->value;
	const struct regular *g = self;
	int64_t last = FL_TIME_MIN, at;

	(void)ns;
	for (int side = 0; side < 2 && g->ttl_ms; side++)
		for (const struct fl_jrow *r = k->list[side].first; r; r = r->next)
			last = fl_jrow_when(r) > last ? fl_jrow_when(r) : last;
	return last == FL_TIME_MIN || __builtin_add_overflow(last, g->ttl_ms, &at) ? FL_TIME_MAX
										   : at;
}

static void
forget(void *self)
{
	struct regular *g = self;

	fl_jrows_clear(&g->rows[0]);
	fl_jrows_clear(&g->rows[1]);
	fl_table_clear(&g->table);
}

static size_t
held(const void *self)
{
	const struct regular *g = self;

	return g->budget.used + g->rows[0].returned.len + g->rows[1].returned.len;
}

/* For fcheckpoint show: what encode writes. */
static void
about(const void *self, struct fl_buf *out)
{
	static const char *const name[2] = { "left", "right" };
	const struct regular *g = self;
	struct fl_buf layout = { 0 };

	for (int side = 0; side < 2; side++) {
		bool numbers = has_numbers(g, side);

		if (g->keeps[side])
			fl_buf_printf(&layout, "@%s[u64]{%s %s size %srow(%s)} ", name[side],
				      numbers ? "copies:u32 matches:u32" : "skip(8)",
				      g->ttl_ms ? "written:time" : "skip(8)",
				      numbers || g->ttl_ms ? "row:" : "", name[side]);
		else
			fl_buf_printf(&layout, "@%s[1]{rows:u64} ", name[side]);
	}
	fl_buf_putc(&layout, '\0');
	fl_pairs_about_both(&g->pairs, "", layout.data, NULL, 0, out);
	fl_buf_release(&layout);
}

static const struct fl_spill_ops spill_ops = {
	.version = 1,
	.table_at = offsetof(struct regular, table),
	.encode = encode,
	.decode = decode,
	.due = due,
	.forget = forget,
	.held = held,
	.about = about,
};

/* ---- batches --------------------------------------------------------------------------------- */

/* The state of the key of each record of the portion, into g->found. */
static int
find_keys(struct regular *g, struct fl_err *err)
{
	uint32_t rows = g->batch->rows, n = 0;
	struct key_state **found;
	struct fl_entry **entry;
	uint32_t *wanted;

	fl_buf_clear(&g->found);
	fl_buf_clear(&g->wanted);
	fl_buf_clear(&g->entries);
	found = (struct key_state **)(void *)fl_buf_reserve(&g->found, rows * sizeof *found);
	wanted = (uint32_t *)(void *)fl_buf_reserve(&g->wanted, rows * sizeof *wanted);
	entry = (struct fl_entry **)(void *)fl_buf_reserve(&g->entries, rows * sizeof *entry);
	for (uint32_t i = g->first; i < g->end; i++) {
		found[i] = NULL;
		if (!fl_pairs_key_is_null(&g->pairs, &g->keys[i]))
			wanted[n++] = i;
	}
	if (fl_spill_put(&g->spill, 0, &g->table, g->keys, wanted, n, g->seq, entry, err) < 0)
		return err->code;
	for (uint32_t i = 0; i < n; i++)
		found[wanted[i]] = (struct key_state *)(void *)entry[i]->value;
	g->entries.len = n * sizeof *entry;
	return 0;
}

/* Keys that have no rows any more go, once the portion is done with them. */
static void
drop_keys(struct regular *g)
{
	struct fl_entry **entry = (struct fl_entry **)(void *)g->entries.data;
	size_t n = g->entries.len / sizeof *entry;

	for (size_t i = 0; i < n; i++)
		if (!entry[i]->deleted && is_empty(entry[i]))
			fl_spill_delete(&g->spill, 0, &g->table, entry[i]);
}

/* Whether the rows of the other side must be walked for x, no condition to ask. */
static bool
walks(const struct regular *g)
{
	return !g->left_only || (g->side == FL_JOIN_SIDE_RIGHT && (g->flips || g->by_row));
}

/* A record some places ahead will want the first row of its key: have it brought near. */
static void
fetch_ahead(const struct regular *g, uint32_t row)
{
	struct key_state **found = (struct key_state **)(void *)g->found.data;

	if (row < g->end && found[row])
		__builtin_prefetch(found[row]->list[!g->side].first);
}

static int
join_plain(struct regular *g, struct fl_err *err)
{
	struct key_state **found = (struct key_state **)(void *)g->found.data;
	int rc = 0;

	for (uint32_t i = g->first; i < g->end && rc == 0; i++) {
		struct fl_jrow *y;

		fetch_ahead(g, i + FETCH_AHEAD);
		if (!found[i]) {
			rc = null_row(g, i, err);
			continue;
		}
		if (!begin_row(g, found[i], i))
			continue;
		y = walks(g) ? found[i]->list[!g->side].first : NULL;
		for (; y && rc == 0; y = y->next)
			rc = match(g, y, err);
		if (rc == 0)
			rc = end_row(g, found[i], err);
	}
	return rc;
}

/*
 * With a condition: candidates are tried some thousands at a time. The rows of the other
 * side do not change while a batch of this one is in hand, so they can be tried before it
 * is known what the records before them do.
 */
struct place {
	uint32_t row;
	struct fl_jrow *y; /* the next candidate of row; where begun is false: its first */
	bool begun;
};

static struct fl_jrow *
first_candidate(const struct regular *g, struct place *at)
{
	struct key_state **found = (struct key_state **)(void *)g->found.data;

	if (!at->begun)
		at->y = found[at->row] ? found[at->row]->list[!g->side].first : NULL;
	at->begun = true;
	return at->y;
}

/* Try candidates from a place on; returns the place behind the last. */
static struct place
try_some(struct regular *g, struct place at)
{
	while (at.row < g->end) {
		for (at.y = first_candidate(g, &at); at.y; at.y = at.y->next) {
			if (fl_pairs_tried(&g->pairs) >= TRIED_MAX)
				return at;
			fl_pairs_try_sided(&g->pairs, g->side, fl_half_row(at.row), half_of(at.y));
		}
		at = (struct place){ .row = at.row + 1 };
	}
	return at;
}

/* Do what the verdicts on the candidates from at to end say. active: x is in hand. */
static int
apply_some(struct regular *g, struct place at, struct place end, const uint8_t *verdict,
	   bool *active, struct fl_err *err)
{
	struct key_state **found = (struct key_state **)(void *)g->found.data;
	int rc = 0;

	while (rc == 0 && (at.row < end.row || (at.row == end.row && end.begun))) {
		bool fresh = !at.begun;

		(void)first_candidate(g, &at);
		if (fresh)
			*active = found[at.row] && begin_row(g, found[at.row], at.row);
		for (; at.y && rc == 0; at.y = at.y->next) {
			if (at.row == end.row && at.y == end.y)
				return 0;
			if (*verdict++ && *active)
				rc = match(g, at.y, err);
		}
		if (rc == 0 && !found[at.row])
			rc = null_row(g, at.row, err);
		else if (rc == 0 && *active)
			rc = end_row(g, found[at.row], err);
		at = (struct place){ .row = at.row + 1 };
	}
	return rc;
}

static int
join_on(struct regular *g, struct fl_err *err)
{
	struct place at = { .row = g->first };
	bool active = false;
	int rc = 0;

	while (rc == 0 && at.row < g->end) {
		struct place end = try_some(g, at);
		const uint8_t *verdict;

		rc = fl_pairs_test(&g->pairs, &verdict, err);
		if (rc == 0)
			rc = apply_some(g, at, end, verdict, &active, err);
		at = end;
	}
	return rc;
}

/* The records g->first .. g->end-1. */
static int
join_portion(struct regular *g, struct fl_err *err)
{
	int rc = find_keys(g, err);

	if (rc == 0 && g->ttl_ms) /* what has come back from disk */
		expire(g, false);
	if (rc == 0)
		rc = g->has_on ? join_on(g, err) : join_plain(g, err);
	if (rc < 0)
		return rc;
	if (g->changing[g->side] || g->ttl_ms)
		drop_keys(g);
	return fl_spill_trim(&g->spill, err);
}

static int
regular_batch(void *self, enum fl_join_side side, const struct fl_batch *b, struct fl_err *err)
{
	struct regular *g = self;
	uint32_t most = fl_join_portion(&g->spill);

	g->side = side;
	g->batch = b;
	g->wm = fl_run_watermark(g->run);
	fl_pairs_batch(&g->pairs, side, b);
	if (fl_pairs_keys(&g->pairs, side, b, &g->keys, err) < 0 ||
	    sweep(g, fl_run_now(g->run), err) < 0)
		return err->code;
	for (g->first = 0; g->first < b->rows; g->first = g->end) {
		g->end = b->rows - g->first < most ? b->rows : g->first + most;
		if (join_portion(g, err) < 0)
			return err->code;
	}
	g->seq += b->rows;
	set_timer(g);
	return fl_pairs_flush(&g->pairs, err);
}

/* ---- snapshots ----------------------------------------------------------------------- */

/*
 * Sections "left" and "right": the kept rows, each under its key, in the order of
 * arrival. "left-numbers" and "right-numbers": one entry a key with two uint32_t for each
 * of these rows: how many equal rows it stands for, and its matches; where rows are not
 * kept, one uint64_t, their number. "left-times" and "right-times", with a TTL: the same
 * with one int64_t a row: when it was written.
 */
static const char *const row_sections[2] = { "left", "right" };
static const char *const number_sections[2] = { "left-numbers", "right-numbers" };
static const char *const time_sections[2] = { "left-times", "right-times" };

static struct fl_state_entry
state_entry(const struct fl_entry *e, int side)
{
	static const char ns[2] = { 0, 1 };
	struct fl_key key = fl_entry_key(e);

	return (struct fl_state_entry){
		.ns = &ns[side], .ns_len = 1, .key = key.p, .key_len = key.len, .key_tags = key.tags
	};
}

static void
save_rows(const struct regular *g, int side, struct fl_save *s)
{
	struct fl_buf about = { 0 }, row = { 0 };

	fl_pairs_about(&g->pairs, (enum fl_join_side)side, NULL, &about);
	fl_save_section(s, row_sections[side], 1, about.data);
	for (uint32_t i = 0; i < g->table.count; i++) {
		const struct fl_entry *e = fl_table_at(&g->table, i);
		struct fl_state_entry entry;

		if (e->deleted)
			continue;
		entry = state_entry(e, side);
		for (const struct fl_jrow *r =
			     ((const struct key_state *)(const void *)e->value)->list[side].first;
		     r; r = r->next) {
			fl_buf_clear(&row);
			fl_kept_unpack(&g->rows[side].kept, r->data, r->len, &row);
			entry.value = row.data;
			entry.value_len = (uint32_t)row.len;
			fl_save_entry(s, &entry);
		}
	}
	fl_buf_release(&about);
	fl_buf_release(&row);
}

static void
save_numbers(const struct regular *g, int side, struct fl_save *s)
{
	struct fl_buf about = { 0 }, numbers = { 0 };

	fl_pairs_about(&g->pairs, (enum fl_join_side)side,
		       g->keeps[side] ? "[]{copies:u32 matches:u32}" : "rows:u64", &about);
	fl_save_section(s, number_sections[side], 1, about.data);
	fl_buf_release(&about);
	for (uint32_t i = 0; i < g->table.count; i++) {
		const struct fl_entry *e = fl_table_at(&g->table, i);
		const struct fl_jlist *list;
		struct fl_state_entry entry;

		if (e->deleted)
			continue;
		list = &((const struct key_state *)(const void *)e->value)->list[side];
		fl_buf_clear(&numbers);
		if (!g->keeps[side])
			fl_buf_put(&numbers, &list->rows, sizeof list->rows);
		for (const struct fl_jrow *r = list->first; r; r = r->next) {
			uint32_t pair[2] = { fl_jrow_copies(&g->rows[side], r), r->matches };

			fl_buf_put(&numbers, pair, sizeof pair);
		}
		if (list->rows == 0)
			continue;
		entry = state_entry(e, side);
		entry.value = numbers.data;
		entry.value_len = (uint32_t)numbers.len;
		fl_save_entry(s, &entry);
	}
	fl_buf_release(&numbers);
}

static void
save_times(const struct regular *g, int side, struct fl_save *s)
{
	struct fl_buf about = { 0 }, times = { 0 };

	fl_pairs_about(&g->pairs, (enum fl_join_side)side, "[]{written:time}", &about);
	fl_save_section(s, time_sections[side], 1, about.data);
	fl_buf_release(&about);
	for (uint32_t i = 0; i < g->table.count; i++) {
		const struct fl_entry *e = fl_table_at(&g->table, i);
		struct fl_state_entry entry;

		fl_buf_clear(&times);
		for (const struct fl_jrow *r =
			     ((const struct key_state *)(const void *)e->value)->list[side].first;
		     r && !e->deleted; r = r->next) {
			int64_t when = fl_jrow_when(r);

			fl_buf_put(&times, &when, sizeof when);
		}
		if (times.len == 0)
			continue;
		entry = state_entry(e, side);
		entry.value = times.data;
		entry.value_len = (uint32_t)times.len;
		fl_save_entry(s, &entry);
	}
	fl_buf_release(&times);
}

static const char *
what(const struct regular *g)
{
	return g->ttl_ms ? WHAT_TTL : WHAT;
}

static int
regular_before_snapshot(void *self, struct fl_err *err)
{
	struct regular *g = self;

	return fl_spill_checkpoint(&g->spill, err);
}

static void
regular_snapshot(void *self, struct fl_save *s)
{
	const struct regular *g = self;

	fl_pairs_save(&g->pairs, what(g), s);
	if (fl_spill_on_disk(&g->spill)) {
		fl_spill_save(&g->spill, s);
		return;
	}
	for (int side = 0; side < 2; side++) {
		if (g->keeps[side])
			save_rows(g, side, s);
		if (has_numbers(g, side))
			save_numbers(g, side, s);
		if (g->ttl_ms)
			save_times(g, side, s);
	}
}

/* The state of an entry's key, made if it is not there; NULL: err. */
static struct key_state *
restored_key(struct regular *g, const struct fl_state_entry *e, struct fl_err *err)
{
	struct fl_key key = { .p = e->key, .len = e->key_len, .tags = e->key_tags };
	struct fl_entry *entry;

	fl_pairs_rehash(&g->pairs, &key);
	if (fl_spill_trim(&g->spill, err) < 0 ||
	    fl_spill_put(&g->spill, 0, &g->table, &key, NULL, 1, g->seq++, &entry, err) < 0)
		return NULL;
	return (struct key_state *)(void *)entry->value;
}

static int
load_row(struct regular *g, int side, const struct fl_state_entry *e, struct fl_load *l,
	 struct fl_err *err)
{
	struct key_state *k;

	if (fl_row_check(e->value, e->value_len, err) < 0)
		return fl_load_damaged(l, "a row of a join", err);
	k = restored_key(g, e, err);
	if (!k)
		return err->code;
	fl_jrows_take_packed(&g->rows[side], e->value, e->value_len);
	g->untimed += g->ttl_ms != 0;
	return fl_jrows_add(&g->rows[side], &k->list[side], err) ? 0 : err->code;
}

static int
load_numbers(struct regular *g, int side, const struct fl_state_entry *e, struct fl_load *l,
	     struct fl_err *err)
{
	struct key_state *k = restored_key(g, e, err);
	struct fl_jlist *list;
	uint32_t pair[2];
	size_t at = 0;

	if (!k)
		return err->code;
	list = &k->list[side];
	if (!g->keeps[side]) {
		if (e->value_len != sizeof list->rows)
			return fl_load_damaged(l, "the number of rows of a key", err);
		memcpy(&list->rows, e->value, sizeof list->rows);
		return 0;
	}
	for (struct fl_jrow *r = list->first; r; r = r->next, at += sizeof pair) {
		if (e->value_len < at + sizeof pair)
			return fl_load_damaged(l, "the numbers of a key's rows", err);
		memcpy(pair, e->value + at, sizeof pair);
		if (pair[0] == 0 || (pair[0] != 1 && !g->changing[side]))
			return fl_load_damaged(l, "the numbers of a key's rows", err);
		if (g->changing[side])
			fl_jrow_set_copies(&g->rows[side], r, pair[0]);
		r->matches = pair[1];
	}
	return at == e->value_len ? 0 : fl_load_damaged(l, "the numbers of a key's rows", err);
}

static int
load_times(struct regular *g, int side, const struct fl_state_entry *e, struct fl_load *l,
	   struct fl_err *err)
{
	struct key_state *k = restored_key(g, e, err);
	size_t at = 0;
	int64_t when;

	if (!k)
		return err->code;
	for (struct fl_jrow *r = k->list[side].first; r; r = r->next, at += sizeof when) {
		if (e->value_len < at + sizeof when || fl_jrow_when(r))
			return fl_load_damaged(l, "the times of a key's rows", err);
		memcpy(&when, e->value + at, sizeof when);
		fl_jrow_returned(&g->rows[side], &k->list[side], r, when);
		g->untimed--;
	}
	return at == e->value_len ? 0 : fl_load_damaged(l, "the times of a key's rows", err);
}

static int
load_side(struct regular *g, const struct fl_state_section *section, struct fl_load *l,
	  struct fl_err *err)
{
	struct fl_state_entry e;
	int rc;

	for (int side = 0; side < 2; side++) {
		bool rows = strcmp(section->name, row_sections[side]) == 0 && g->keeps[side];
		bool numbers = strcmp(section->name, number_sections[side]) == 0 &&
			       has_numbers(g, side);
		bool times = strcmp(section->name, time_sections[side]) == 0 && g->ttl_ms;

		if (section->version != 1 || (!rows && !numbers && !times))
			continue;
		while ((rc = fl_load_entry(l, &e, err)) > 0) {
			rc = rows      ? load_row(g, side, &e, l, err)
			     : numbers ? load_numbers(g, side, &e, l, err)
				       : load_times(g, side, &e, l, err);
			if (rc < 0)
				return rc;
		}
		return rc;
	}
	return fl_load_unknown(l, section, err);
}

static int
regular_restore(void *self, struct fl_load *l, struct fl_err *err)
{
	struct regular *g = self;
	struct fl_state_section section;
	int rc;

	while ((rc = fl_load_section(l, &section, err)) > 0) {
		if (strcmp(section.name, FL_PAIRS_SECTION) == 0)
			rc = fl_pairs_load(&g->pairs, what(g), l, err);
		else if ((rc = fl_spill_load(&g->spill, l, &section, err)) == 0)
			rc = load_side(g, &section, l, err);
		if (rc < 0)
			return rc;
	}
	if (rc == 0 && g->untimed)
		return fl_load_damaged(l, "it does not say when rows were written", err);
	g->now_ms = fl_run_now(g->run);
	set_timer(g);
	return rc;
}

static size_t
regular_state_bytes(const void *self)
{
	const struct regular *g = self;

	return fl_spill_on_disk(&g->spill) ? 0 : g->budget.used;
}

const struct fl_join_engine fl_join_regular = {
	.name = WHAT,
	.self_size = sizeof(struct regular),
	.open = regular_open,
	.columns = regular_columns,
	.on_batch = regular_batch,
	.on_timer = regular_timer,
	.snapshot = regular_snapshot,
	.restore = regular_restore,
	.state_bytes = regular_state_bytes,
	.before_snapshot = regular_before_snapshot,
	.release = regular_release,
};
