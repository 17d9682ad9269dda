/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How matches are counted
 *	A padded row, or a row of a semi or anti join, comes or goes when the number of
 *	partners of a kept row becomes 0 or stops to be 0. Without a condition all rows
 *	of a key have the same partners, those of the key: the length of a list tells, and
 *	a key with a million rows is not walked to count. With a condition each row counts
 *	its own. Equal rows count once.
 */
#include "join/regular.h"

#include <stdlib.h>

#include "join/rows.h"

#define TRIED_MAX 4096u /* candidates whose conditions are evaluated together */
#define FETCH_AHEAD 12u
#define WHAT "regular join"

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
	bool changing[2]; /* the input takes rows back */
	bool keeps[2];    /* its rows are kept; else their number is enough */
	bool outer[2];
	struct fl_budget budget;
	struct fl_table table; /* of struct key_state */
	struct fl_jrows rows[2];
	uint64_t seq;
	int64_t wm;
	struct fl_buf found; /* struct key_state *, one a record; NULL: the key is NULL */
	struct fl_buf wanted, entries;

	/* the batch in hand */
	enum fl_join_side side;
	const struct fl_batch *batch;
	/* the record in hand, x */
	uint32_t row;
	bool adds;            /* else it takes back */
	bool counts;          /* the number of different rows changes */
	bool flips;           /* no condition: it is the first of its key, or the last */
	bool settled;         /* see is_settled */
	struct fl_jrow *kept; /* the row that equals it, or NULL */
	uint64_t partners;
};

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
	g->keeps[FL_JOIN_SIDE_LEFT] = true;
	g->keeps[FL_JOIN_SIDE_RIGHT] = !g->left_only || g->has_on;
	fl_budget_init(&g->budget, fl_run_memory_max(run));
	fl_table_init(&g->table, &g->budget, sizeof(struct key_state));
	for (int s = 0; s < 2; s++) {
		fl_jrows_init(&g->rows[s], &g->budget, g->changing[s]);
		fl_jrows_compact(&g->rows[s]);
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
	return g->left_only && !g->has_on && !g->changing[FL_JOIN_SIDE_RIGHT] &&
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

/* y, for which the condition is true, is a partner of x. */
static int
match(struct regular *g, struct fl_jrow *y, struct fl_err *err)
{
	bool flips = g->flips;

	g->partners++;
	if (g->has_on && g->adds)
		flips = g->counts && y->matches++ == 0;
	else if (g->has_on)
		flips = g->counts && --y->matches == 0;
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

/* ---- batches --------------------------------------------------------------------------------- */

/* The state of each record's key, into g->found. */
static int
find_keys(struct regular *g, const struct fl_key *keys, struct fl_err *err)
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
	for (uint32_t i = 0; i < rows; i++) {
		found[i] = NULL;
		if (!fl_pairs_key_is_null(&g->pairs, &keys[i]))
			wanted[n++] = i;
	}
	if (fl_table_put(&g->table, keys, wanted, n, g->seq, entry, NULL, err) < 0)
		return err->code;
	for (uint32_t i = 0; i < n; i++)
		found[wanted[i]] = (struct key_state *)(void *)entry[i]->value;
	g->seq += rows;
	g->entries.len = n * sizeof *entry;
	return 0;
}

/* Keys that have no rows any more go, once the batch is done with them. */
static void
drop_keys(struct regular *g)
{
	struct fl_entry **entry = (struct fl_entry **)(void *)g->entries.data;
	size_t n = g->entries.len / sizeof *entry;

	for (size_t i = 0; i < n; i++) {
		const struct key_state *k = (const struct key_state *)(void *)entry[i]->value;

		if (!entry[i]->deleted && k->list[0].rows == 0 && k->list[1].rows == 0)
			fl_table_delete(&g->table, entry[i]);
	}
}

/* Whether the rows of the other side must be walked for x, no condition to ask. */
static bool
walks(const struct regular *g)
{
	return !g->left_only || (g->side == FL_JOIN_SIDE_RIGHT && g->flips);
}

/* A record some places ahead will want the first row of its key: have it brought near. */
static void
fetch_ahead(const struct regular *g, uint32_t row)
{
	struct key_state **found = (struct key_state **)(void *)g->found.data;

	if (row < g->batch->rows && found[row])
		__builtin_prefetch(found[row]->list[!g->side].first);
}

static int
join_plain(struct regular *g, struct fl_err *err)
{
	struct key_state **found = (struct key_state **)(void *)g->found.data;
	int rc = 0;

	for (uint32_t i = 0; i < g->batch->rows && rc == 0; i++) {
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
	while (at.row < g->batch->rows) {
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
	struct place at = { .row = 0 };
	bool active = false;
	int rc = 0;

	while (rc == 0 && at.row < g->batch->rows) {
		struct place end = try_some(g, at);
		const uint8_t *verdict;

		rc = fl_pairs_test(&g->pairs, &verdict, err);
		if (rc == 0)
			rc = apply_some(g, at, end, verdict, &active, err);
		at = end;
	}
	return rc;
}

static int
regular_batch(void *self, enum fl_join_side side, const struct fl_batch *b, struct fl_err *err)
{
	struct regular *g = self;
	const struct fl_key *keys;
	int rc;

	g->side = side;
	g->batch = b;
	g->wm = fl_run_watermark(g->run);
	fl_pairs_batch(&g->pairs, side, b);
	if (fl_pairs_keys(&g->pairs, side, b, &keys, err) < 0 || find_keys(g, keys, err) < 0)
		return err->code;
	rc = g->has_on ? join_on(g, err) : join_plain(g, err);
	if (rc < 0)
		return rc;
	if (g->changing[side])
		drop_keys(g);
	return fl_pairs_flush(&g->pairs, err);
}

/* ---- snapshots ----------------------------------------------------------------------- */

/*
 * Sections "left" and "right": the kept rows, each under its key, in the order of
 * arrival. "left-numbers" and "right-numbers": one entry a key with two uint32_t for each
 * of these rows: how many equal rows it stands for, and its matches; where rows are not
 * kept, one uint64_t, their number.
 */
static const char *const row_sections[2] = { "left", "right" };
static const char *const number_sections[2] = { "left-numbers", "right-numbers" };

static bool
has_numbers(const struct regular *g, int side)
{
	return !g->keeps[side] || g->changing[side] || g->has_on;
}

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

	fl_pairs_about(&g->pairs, (enum fl_join_side)side, &about);
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
	struct fl_buf numbers = { 0 };

	fl_save_section(s, number_sections[side], 1,
			"{\"namespace\":\"side\",\"value\":\"bytes\"}");
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
regular_snapshot(void *self, struct fl_save *s)
{
	const struct regular *g = self;

	fl_pairs_save(&g->pairs, WHAT, s);
	for (int side = 0; side < 2; side++) {
		if (g->keeps[side])
			save_rows(g, side, s);
		if (has_numbers(g, side))
			save_numbers(g, side, s);
	}
}

/* The state of an entry's key, made if it is not there; NULL: err. */
static struct key_state *
restored_key(struct regular *g, const struct fl_state_entry *e, struct fl_err *err)
{
	struct fl_key key = { .p = e->key, .len = e->key_len, .tags = e->key_tags };
	struct fl_entry *entry;

	fl_pairs_rehash(&g->pairs, &key);
	if (fl_table_put(&g->table, &key, NULL, 1, g->seq++, &entry, NULL, err) < 0)
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
load_side(struct regular *g, const struct fl_state_section *section, struct fl_load *l,
	  struct fl_err *err)
{
	struct fl_state_entry e;
	int rc;

	for (int side = 0; side < 2; side++) {
		bool rows = strcmp(section->name, row_sections[side]) == 0 && g->keeps[side];
		bool numbers = strcmp(section->name, number_sections[side]) == 0 &&
			       has_numbers(g, side);

		if (section->version != 1 || (!rows && !numbers))
			continue;
		while ((rc = fl_load_entry(l, &e, err)) > 0) {
			rc = rows ? load_row(g, side, &e, l, err)
				  : load_numbers(g, side, &e, l, err);
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
		rc = strcmp(section.name, FL_PAIRS_SECTION) == 0
			     ? fl_pairs_load(&g->pairs, WHAT, l, err)
			     : load_side(g, &section, l, err);
		if (rc < 0)
			return rc;
	}
	return rc;
}

static size_t
regular_state_bytes(const void *self)
{
	const struct regular *g = self;

	return g->budget.used;
}

const struct fl_join_engine fl_join_regular = {
	.name = WHAT,
	.self_size = sizeof(struct regular),
	.open = regular_open,
	.columns = regular_columns,
	.on_batch = regular_batch,
	.snapshot = regular_snapshot,
	.restore = regular_restore,
	.state_bytes = regular_state_bytes,
	.release = regular_release,
};
