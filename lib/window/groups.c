/* SPDX-License-Identifier: Apache-2.0 */
#include "window/groups.h"

#include <stdlib.h>

#include "run/options.h"
#include "stream/value.h"
#include "time/timestamp.h"
#include "window/save.h"

enum { ENTRY_INIT = 1, ENTRY_TOLD = 2, ENTRY_DIRTY = 4 };

static const struct fl_window everything = { FL_TIME_MIN, FL_TIME_MAX };

#define END_PORTION 4096u /* groups given at once that come from disk */
#define SWEEP 64u         /* entries looked at in a batch, besides one a record */
#define EXPIRY_STEPS 8    /* in each TTL, groups on disk are looked at so often */

/* The value of an entry: the number of its records, ... */
static int64_t *
records_of(struct fl_entry *e)
{
	return (int64_t *)(void *)e->value;
}

#define ACC_AT sizeof(int64_t)

static void *
acc_of(struct fl_entry *e)
{
	return e->value + ACC_AT;
}

/* ... and, only with a TTL, when the last of them came. */
static int64_t *
written_of(const struct fl_groups *g, struct fl_entry *e)
{
	return (int64_t *)(void *)(e->value + ACC_AT + fl_aggs_size(g->aggs));
}

static int64_t
written_ms(const struct fl_groups *g, struct fl_entry *e)
{
	return g->ttl_ms ? *written_of(g, e) : 0;
}

static void
set_written(const struct fl_groups *g, struct fl_entry *e, int64_t ms)
{
	if (g->ttl_ms)
		*written_of(g, e) = ms;
}

/* Groups are on disk as parts. */
static bool
in_parts(const struct fl_groups *g)
{
	return g->parts.backend != NULL;
}

static bool
on_disk(const struct fl_groups *g)
{
	return in_parts(g) || fl_spill_on_disk(&g->spill);
}

static int open_spill(struct fl_groups *g, struct fl_err *err);

int
fl_groups_open(struct fl_groups *g, struct fl_run *run, struct fl_aggs *aggs,
	       struct fl_results *results, bool updates, struct fl_err *err)
{
	int rc;

	*g = (struct fl_groups){ .run = run,
				 .aggs = aggs,
				 .results = results,
				 .updates = updates,
				 .ttl_ms = fl_run_options(run)->ttl_ms };
	g->whole = updates || fl_run_header(run, 0)->changelog || g->ttl_ms;
	rc = g->whole ? open_spill(g, err) : fl_parts_open(&g->parts, run, aggs, NULL, err);
	fl_budget_init(&g->budget, on_disk(g) ? SIZE_MAX : fl_run_memory_max(run));
	fl_keys_init(&g->keys);
	fl_table_init(&g->table, &g->budget,
		      (g->ttl_ms ? 2 : 1) * sizeof(int64_t) + fl_aggs_size(aggs));
	fl_build_init(&g->before, (uint32_t)fl_aggs_count(aggs));
	fl_build_init(&g->after, (uint32_t)fl_aggs_count(aggs));
	return rc;
}

static void
clear_table(struct fl_groups *g)
{
	for (uint32_t i = 0; i < g->table.count; i++)
		if (!fl_table_at(&g->table, i)->deleted)
			fl_aggs_clear(g->aggs, acc_of(fl_table_at(&g->table, i)));
	fl_table_clear(&g->table);
}

void
fl_groups_release(struct fl_groups *g)
{
	if (!g->run)
		return;
	clear_table(g);
	fl_table_release(&g->table);
	fl_spill_close(&g->spill);
	fl_parts_release(&g->parts);
	free(g->files);
	fl_budget_release(&g->budget);
	fl_keys_release(&g->keys);
	fl_build_release(&g->before);
	fl_build_release(&g->after);
	fl_buf_release(&g->entries);
	fl_buf_release(&g->accs);
	fl_buf_release(&g->chosen);
	fl_buf_release(&g->rows);
	fl_buf_release(&g->wm_scratch);
	fl_badrows_release(&g->bad);
}

static void
init_entry(struct fl_groups *g, struct fl_entry *e)
{
	if (e->flags & ENTRY_INIT)
		return;
	fl_aggs_init(g->aggs, acc_of(e));
	e->flags |= ENTRY_INIT;
}

/* ---- TTL --------------------------------------------------------------------------------- */

static bool
has_expired(const struct fl_groups *g, struct fl_entry *e)
{
	int64_t age;

	return g->ttl_ms && !__builtin_sub_overflow(fl_run_now(g->run), *written_of(g, e), &age) &&
	       age >= g->ttl_ms;
}

/* Nothing is kept of it any more, but its place in the table. */
static void
reset(struct fl_groups *g, struct fl_entry *e)
{
	fl_aggs_clear(g->aggs, acc_of(e));
	*records_of(e) = 0;
	set_written(g, e, 0);
	e->flags &= (uint8_t)~ENTRY_TOLD;
}

/* A record is about to be added: what has expired begins anew, as a new key would. */
static void
write_to(struct fl_groups *g, struct fl_entry *e, uint64_t seq)
{
	if (*records_of(e) && has_expired(g, e)) {
		reset(g, e);
		e->seq = seq;
		g->table.reused = true; /* a walk is not by arrival any more */
	}
	set_written(g, e, fl_run_now(g->run));
}

/* Give the memory of some groups back that have expired. */
static void
sweep(struct fl_groups *g, uint32_t n)
{
	for (n += SWEEP; n > 0 && g->table.count; n--) {
		struct fl_entry *e;

		g->swept = g->swept < g->table.count ? g->swept : 0;
		e = fl_table_at(&g->table, g->swept++);
		if (e->deleted || !has_expired(g, e))
			continue;
		fl_aggs_clear(g->aggs, acc_of(e));
		fl_spill_delete(&g->spill, 0, &g->table, e);
	}
}

/* ---- on disk, whole ------------------------------------------------------------------------ */

/* A group on disk, version 1; then the accumulator. */
struct stored_group {
	int64_t records;
	int64_t written_ms;
	uint64_t flags;
};

static void
encode_whole(void *self, int64_t ns, struct fl_entry *e, struct fl_buf *out)
{
	struct fl_groups *g = self;
	struct stored_group stored = { *records_of(e), written_ms(g, e), e->flags & ENTRY_TOLD };

	(void)ns;
	if (*records_of(e) == 0 || has_expired(g, e))
		return;
	fl_buf_put(out, &stored, sizeof stored);
	fl_aggs_save(g->aggs, acc_of(e), out);
}

/* Whether its key, which came from a file, is one of ours. */
static bool
has_key(const struct fl_groups *g, const struct fl_entry *e)
{
	struct fl_key key = fl_entry_key(e);

	return fl_key_check(&key, g->results->key_count);
}

static int
decode_whole(void *self, int64_t ns, struct fl_entry *e, struct fl_bytes value, struct fl_err *err)
{
	struct fl_groups *g = self;
	struct stored_group stored;

	(void)ns;
	if (value.n < sizeof stored || !has_key(g, e))
		return fl_fail(err, FL_EDATA, "a group in RocksDB's files is damaged");
	memcpy(&stored, value.p, sizeof stored);
	init_entry(g, e);
	*records_of(e) = stored.records;
	set_written(g, e, stored.written_ms);
	e->flags |= (uint8_t)(stored.flags & ENTRY_TOLD);
	return fl_aggs_load(g->aggs, acc_of(e), value.p + sizeof stored, value.n - sizeof stored,
			    err);
}

/* By the clock, rounded up: see groups.h. */
static int64_t
due_whole(void *self, int64_t ns, struct fl_entry *e)
{
	struct fl_groups *g = self;
	int64_t step = g->ttl_ms / EXPIRY_STEPS + 1, due;

	(void)ns;
	if (__builtin_add_overflow(*written_of(g, e), g->ttl_ms, &due) ||
	    __builtin_add_overflow(due, step, &due))
		return FL_TIME_MAX;
	return due - due % step;
}

static void
forget_whole(void *self)
{
	clear_table(self);
}

static size_t
held_whole(const void *self)
{
	const struct fl_groups *g = self;

	return g->budget.used + fl_aggs_extra_bytes(g->aggs);
}

static void
about_whole(const void *self, struct fl_buf *out)
{
	const struct fl_groups *g = self;
	const struct fl_header *in = fl_run_header(g->run, 0);

	/* struct stored_group, the accumulator */
	fl_window_about(in, g->aggs, in->changelog, "", "skip(24) aggregates", out);
}

static int
open_spill(struct fl_groups *g, struct fl_err *err)
{
	static const struct fl_spill_ops ops = {
		.version = 1,
		.table_at = offsetof(struct fl_groups, table),
		.encode = encode_whole,
		.decode = decode_whole,
		.forget = forget_whole,
		.held = held_whole,
		.about = about_whole,
	};
	static const struct fl_spill_ops expiring = {
		.version = 1,
		.table_at = offsetof(struct fl_groups, table),
		.encode = encode_whole,
		.decode = decode_whole,
		.due = due_whole,
		.forget = forget_whole,
		.held = held_whole,
		.about = about_whole,
	};

	return fl_spill_open(&g->spill, g->run, g->ttl_ms ? &expiring : &ops, g, &g->keys, err);
}

/* Delete what has expired and is in memory. */
static void
delete_expired(struct fl_groups *g)
{
	for (uint32_t i = 0; i < g->table.count; i++) {
		struct fl_entry *e = fl_table_at(&g->table, i);

		if (e->deleted || !has_expired(g, e))
			continue;
		fl_aggs_clear(g->aggs, acc_of(e));
		fl_spill_delete(&g->spill, 0, &g->table, e);
	}
}

/* Now and then: what has expired on disk is brought back, and deleted. */
static int
forget_expired(struct fl_groups *g, struct fl_err *err)
{
	int64_t now = fl_run_now(g->run), step = g->ttl_ms / EXPIRY_STEPS + 1, until;

	if (!g->ttl_ms || !fl_spill_on_disk(&g->spill) || now / step == g->forgotten_ms / step)
		return 0;
	g->forgotten_ms = now;
	do {
		if (fl_spill_due(&g->spill, now, &until, err) < 0)
			return err->code;
		delete_expired(g);
		if (fl_spill_trim(&g->spill, err) < 0)
			return err->code;
	} while (until < now);
	return 0;
}

/* ---- on disk, in parts ------------------------------------------------------------------- */

static const struct fl_bytes groups_ns = { "G", 1 };

static void
encode(void *ctx, const struct fl_entry *e, struct fl_buf *out)
{
	struct fl_groups *g = ctx;
	struct fl_entry *entry = (struct fl_entry *)(uintptr_t)e;
	struct fl_part part = { e->seq, *records_of(entry), e->tags, 0 };

	fl_part_put(out, &part, g->aggs, acc_of(entry));
}

/* Write what has changed. evict: and begin with an empty table. */
static int
write_back(struct fl_groups *g, bool evict, struct fl_err *err)
{
	struct fl_backend *b = g->parts.backend;
	struct fl_entry **entry;
	size_t n = 0;

	fl_buf_clear(&g->entries);
	for (uint32_t i = 0; i < g->table.count; i++) {
		struct fl_entry *e = fl_table_at(&g->table, i);

		if (!(e->flags & ENTRY_DIRTY))
			continue;
		fl_buf_put(&g->entries, &e, sizeof e);
		n++;
	}
	entry = (struct fl_entry **)(void *)g->entries.data;
	if (n && (fl_backend_begin(b, err) < 0 ||
		  fl_backend_write(b, groups_ns, entry, n, g->evicted, encode, g, err) < 0 ||
		  fl_backend_end(b, err) < 0))
		return err->code;
	/* not before: what could not be written for one checkpoint is for the next */
	for (size_t i = 0; i < n; i++)
		entry[i]->flags &= (uint8_t)~ENTRY_DIRTY;
	fl_buf_release(&g->entries);
	if (!evict && !g->evicted)
		return 0;
	clear_table(g); /* parts that were written must not be written again */
	g->evicted = true;
	return 0;
}

static int
check_memory(struct fl_groups *g, struct fl_err *err)
{
	size_t extra = fl_aggs_extra_bytes(g->aggs);

	if (fl_spill_on_disk(&g->spill))
		return fl_spill_trim(&g->spill, err);
	if (!in_parts(g))
		return fl_budget_check(&g->budget, extra, err);
	return g->budget.used + extra > fl_backend_cache_max(g->parts.backend)
		       ? write_back(g, true, err)
		       : 0;
}

static int
sign(const struct fl_batch *b, uint32_t row)
{
	return b->op && (b->op[row] == FL_UPDATE_BEFORE || b->op[row] == FL_DELETE) ? -1 : 1;
}

/* The entries of records, with what was kept of them. */
static int
put_entries(struct fl_groups *g, const struct fl_key *keys, const uint32_t *rows, uint32_t n,
	    struct fl_entry **entry, struct fl_err *err)
{
	if (fl_spill_on_disk(&g->spill))
		return fl_spill_put(&g->spill, 0, &g->table, keys, rows, n, g->seq, entry, err);
	return fl_table_put(&g->table, keys, rows, n, g->seq, entry, NULL, err);
}

/* Entries without records go. */
static void
drop_empty(struct fl_groups *g, struct fl_entry *const *entry, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!entry[i]->deleted && *records_of(entry[i]) == 0)
			fl_spill_delete(&g->spill, 0, &g->table, entry[i]);
}

/* All records of what only adds at once: results are wanted at the end only. */
static int
add_all(struct fl_groups *g, const struct fl_key *keys, const uint32_t *rows, uint32_t n,
	struct fl_err *err)
{
	struct fl_entry **entry;
	void **accs;

	fl_buf_clear(&g->entries);
	fl_buf_clear(&g->accs);
	entry = (struct fl_entry **)(void *)fl_buf_reserve(&g->entries, n * sizeof *entry);
	accs = (void **)(void *)fl_buf_reserve(&g->accs, n * sizeof *accs);
	if (put_entries(g, keys, rows, n, entry, err) < 0)
		return err->code;
	for (uint32_t i = 0; i < n; i++) {
		init_entry(g, entry[i]);
		if (g->ttl_ms)
			write_to(g, entry[i], g->seq + (rows ? rows[i] : i));
		entry[i]->flags |= ENTRY_DIRTY;
		++*records_of(entry[i]);
		accs[i] = acc_of(entry[i]);
	}
	return fl_aggs_add(g->aggs, accs, rows, 0, n, g->seq, err);
}

/* The first record of a group: its arrival is the group's, whatever was before. */
static void
begin_anew(struct fl_groups *g, struct fl_entry *e, uint64_t seq)
{
	if (e->seq == seq)
		return;
	e->seq = seq;
	g->table.reused = true; /* a walk is not by arrival any more */
}

/*
 * The records of a changelog, as add_one takes them, but for telling: what takes back from
 * a group without records is ignored, and a group whose last record goes begins anew.
 */
static int
add_changes(struct fl_groups *g, const struct fl_batch *b, const struct fl_key *keys,
	    const uint32_t *rows, uint32_t n, struct fl_err *err)
{
	struct fl_entry **entry;
	uint32_t *chosen, m = 0;
	void **accs;

	fl_buf_clear(&g->entries);
	fl_buf_clear(&g->accs);
	fl_buf_clear(&g->chosen);
	entry = (struct fl_entry **)(void *)fl_buf_reserve(&g->entries, n * sizeof *entry);
	accs = (void **)(void *)fl_buf_reserve(&g->accs, n * sizeof *accs);
	chosen = (uint32_t *)(void *)fl_buf_reserve(&g->chosen, n * sizeof *chosen);
	if (put_entries(g, keys, rows, n, entry, err) < 0)
		return err->code;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t row = rows ? rows[i] : i;

		init_entry(g, entry[i]);
		if (g->ttl_ms)
			write_to(g, entry[i], g->seq + row);
		if (*records_of(entry[i]) == 0) {
			if (sign(b, row) < 0)
				continue;
			begin_anew(g, entry[i], g->seq + row);
		}
		entry[i]->flags |= ENTRY_DIRTY;
		*records_of(entry[i]) += sign(b, row);
		accs[m] = acc_of(entry[i]);
		chosen[m++] = row;
		if (*records_of(entry[i]) > 0)
			continue;
		if (fl_aggs_add(g->aggs, accs, chosen, 0, m, g->seq, err) < 0)
			return err->code;
		fl_aggs_clear(g->aggs, acc_of(entry[i]));
		m = 0;
	}
	if (m && fl_aggs_add(g->aggs, accs, chosen, 0, m, g->seq, err) < 0)
		return err->code;
	drop_empty(g, entry, n);
	return 0;
}

/* Whether a row would be printed the same: what -U takes back must be what was told. */
static bool
same_results(struct fl_groups *g)
{
	struct fl_batch *x = fl_build_view(&g->before), *y = fl_build_view(&g->after);

	for (uint32_t c = 0; c < x->cols; c++) {
		char abuf[FL_NUMBER_TEXT_MAX], bbuf[FL_NUMBER_TEXT_MAX];
		size_t an, bn;
		const char *a = fl_key_bytes(&x->col[c], 0, abuf, &an);
		const char *b = fl_key_bytes(&y->col[c], 0, bbuf, &bn);

		if (!a != !b || an != bn || (a && memcmp(a, b, an) != 0))
			return false;
	}
	return true;
}

/* The result of one group, as a row of its own. */
static int
result_of(struct fl_groups *g, struct fl_entry *e, struct fl_build *to, struct fl_err *err)
{
	void *acc = acc_of(e);

	fl_build_clear(to);
	if (fl_aggs_results(g->aggs, &acc, 1, to->col, err) < 0)
		return err->code;
	fl_build_row(to, 0, 0, FL_INSERT);
	return 0;
}

static int
tell(struct fl_groups *g, struct fl_entry *e, const struct fl_build *from, int64_t wm,
     enum fl_rowkind op)
{
	struct fl_build *out = &g->results->build;
	struct fl_batch *b = fl_build_view((struct fl_build *)(uintptr_t)from);
	struct fl_key key = fl_entry_key(e);
	uint32_t keys = g->results->key_count;

	for (uint32_t k = 0; k < keys; k++)
		fl_key_put(&key, k, keys, g->results->key_kind[k], &out->col[k]);
	for (uint32_t c = 0; c < b->cols; c++)
		fl_put_value(&out->col[keys + c], &b->col[c], 0);
	fl_build_row(out, 0, wm, op);
	return 0;
}

/* One record, and what it changes. A group without records is as good as none. */
static int
add_one(struct fl_groups *g, const struct fl_batch *b, const struct fl_key *key, uint32_t row,
	struct fl_entry *e, int64_t wm, struct fl_err *err)
{
	void *acc = acc_of(e);
	bool told;

	if (sign(b, row) < 0 && (*records_of(e) == 0 || has_expired(g, e)))
		return 0; /* taking back what is not known: ignored, as in Flink */
	init_entry(g, e);
	if (*records_of(e) == 0) { /* the key begins here, whatever came of it before */
		e->seq = g->seq + row;
		e->tags = key->tags;
	}
	if (g->ttl_ms)
		write_to(g, e, g->seq + row);
	told = e->flags & ENTRY_TOLD;
	if (told && result_of(g, e, &g->before, err) < 0)
		return err->code;
	*records_of(e) += sign(b, row);
	if (fl_aggs_add(g->aggs, &acc, &row, 0, 1, g->seq, err) < 0)
		return err->code;
	if (*records_of(e) <= 0) {
		if (told)
			(void)tell(g, e, &g->before, wm, FL_DELETE);
		reset(g, e);
		return 0;
	}
	if (result_of(g, e, &g->after, err) < 0)
		return err->code;
	if (told && same_results(g))
		return 0;
	if (told)
		(void)tell(g, e, &g->before, wm, FL_UPDATE_BEFORE);
	e->flags |= ENTRY_TOLD;
	return tell(g, e, &g->after, wm, told ? FL_UPDATE_AFTER : FL_INSERT);
}

/* Record by record. */
static int
add_each(struct fl_groups *g, const struct fl_batch *b, const struct fl_key *keys,
	 const uint32_t *rows, uint32_t n, struct fl_err *err)
{
	const int64_t *wm = fl_batch_wm(b, &g->wm_scratch);
	struct fl_entry **entry;
	int rc;

	fl_buf_clear(&g->entries);
	entry = (struct fl_entry **)(void *)fl_buf_reserve(&g->entries, n * sizeof *entry);
	rc = put_entries(g, keys, rows, n, entry, err);
	for (uint32_t i = 0; i < n && rc == 0; i++) {
		uint32_t row = rows ? rows[i] : i;

		rc = add_one(g, b, &keys[row], row, entry[i], wm[row], err);
	}
	if (rc < 0)
		return rc;
	drop_empty(g, entry, n);
	return fl_results_flush(g->results, err);
}

int
fl_groups_batch(struct fl_groups *g, const struct fl_batch *b, struct fl_err *err)
{
	const struct fl_key *keys;
	const uint32_t *rows = NULL;
	uint32_t n = b->rows;
	int rc = 0;

	fl_badrows_reset(&g->bad);
	if (fl_aggs_prepare(g->aggs, b, &g->bad, err) < 0 ||
	    fl_run_bad(g->run, b, &g->bad, NULL, err) < 0 ||
	    fl_keys_of(&g->keys, fl_run_header(g->run, 0), b, &keys, err) < 0)
		return err->code;
	if (g->bad.count) {
		uint32_t *good;

		fl_buf_clear(&g->rows);
		good = (uint32_t *)(void *)fl_buf_reserve(&g->rows, b->rows * sizeof *good);
		n = 0;
		for (uint32_t i = 0; i < b->rows; i++)
			if (!g->bad.mask.data[i])
				good[n++] = i;
		rows = good;
	}
	if (g->ttl_ms)
		sweep(g, n);
	rc = forget_expired(g, err);
	if (rc == 0)
		rc = g->updates ? add_each(g, b, keys, rows, n, err)
		     : b->op    ? add_changes(g, b, keys, rows, n, err)
				: add_all(g, keys, rows, n, err);
	g->seq += b->rows;
	return rc < 0 ? rc : check_memory(g, err);
}

/* ---- the end ---------------------------------------------------------------------------- */

/* The groups that the table holds. */
static int
put_table(struct fl_groups *g, struct fl_err *err)
{
	size_t n = g->entries.len / sizeof(struct fl_entry *);

	return fl_results_put(g->results, &everything,
			      (struct fl_entry *const *)(void *)g->entries.data,
			      (void *const *)(void *)g->accs.data, (uint32_t)n,
			      fl_run_watermark(g->run), FL_INSERT, err);
}

/* A group that comes from disk, in its turn. */
static int
take_group(void *ctx, uint64_t seq, const struct fl_key *key, struct fl_bytes value,
	   struct fl_err *err)
{
	struct fl_groups *g = ctx;
	struct fl_key k = *key;
	struct fl_part part;
	struct fl_entry *e;
	void *acc;

	k.hash = fl_key_hash(&g->keys, &k);
	if (fl_table_put(&g->table, &k, NULL, 1, seq, &e, NULL, err) < 0)
		return err->code;
	init_entry(g, e);
	acc = acc_of(e);
	if (!has_key(g, e))
		return fl_fail(err, FL_EDATA, "a group in RocksDB's files is damaged");
	if (fl_part_get(value, &part, g->aggs, acc, err) < 0)
		return err->code;
	fl_buf_put(&g->entries, &e, sizeof e);
	fl_buf_put(&g->accs, &acc, sizeof acc);
	if (g->table.count < END_PORTION)
		return 0;
	if (put_table(g, err) < 0)
		return err->code;
	clear_table(g);
	fl_buf_clear(&g->entries);
	fl_buf_clear(&g->accs);
	return 0;
}

/* Groups are on disk in the order of their keys, and go out in that of their arrival. */
static int
end_on_disk(struct fl_groups *g, struct fl_err *err)
{
	struct fl_arrivals *a;
	struct fl_backend_walk *w;
	struct fl_bytes order, value;
	struct fl_key key;
	struct fl_part part;
	int rc = write_back(g, true, err);

	if (rc < 0)
		return rc;
	a = fl_arrivals_new(g->parts.backend);
	w = fl_backend_walk_open(g->parts.backend, groups_ns);
	while ((rc = fl_backend_walk_next(w, &order, &key, &value, err)) > 0) {
		rc = fl_part_head(value, &part, err);
		key.tags = part.tags;
		if (rc == 0)
			rc = fl_arrivals_put(a, part.seq, &key, value, err);
		if (rc < 0)
			break;
	}
	fl_backend_walk_close(w);
	fl_buf_clear(&g->entries);
	fl_buf_clear(&g->accs);
	if (rc == 0)
		rc = fl_arrivals_finish(a, take_group, g, err);
	if (rc == 0 && g->entries.len)
		rc = put_table(g, err);
	fl_arrivals_free(a);
	return rc < 0 ? rc : fl_results_flush(g->results, err);
}

/* A group that is not as parts, in its turn. */
static int
put_group(void *self, struct fl_entry *e, struct fl_err *err)
{
	struct fl_groups *g = self;
	void *acc = acc_of(e);

	if (*records_of(e) <= 0 || has_expired(g, e))
		return 0;
	return fl_results_put(g->results, &everything, &e, &acc, 1, fl_run_watermark(g->run),
			      FL_INSERT, err);
}

static int
by_arrival(const void *a, const void *b)
{
	const struct fl_entry *x = *(struct fl_entry *const *)a, *y = *(struct fl_entry *const *)b;

	return (x->seq > y->seq) - (x->seq < y->seq);
}

int
fl_groups_end(struct fl_groups *g, struct fl_err *err)
{
	struct fl_entry **entry;
	size_t n;
	int rc = 0;

	if (g->updates)
		return fl_results_flush(g->results, err);
	if (g->evicted)
		return end_on_disk(g, err);
	if (fl_spill_on_disk(&g->spill)) {
		rc = fl_spill_each(&g->spill, 0, put_group, err);
		return rc < 0 ? rc : fl_results_flush(g->results, err);
	}
	fl_buf_clear(&g->entries);
	for (uint32_t i = 0; i < g->table.count; i++) {
		struct fl_entry *e = fl_table_at(&g->table, i);

		if (!e->deleted && *records_of(e) > 0 && !has_expired(g, e))
			fl_buf_put(&g->entries, &e, sizeof e);
	}
	n = g->entries.len / sizeof *entry;
	entry = (struct fl_entry **)(void *)g->entries.data;
	if (g->table.reused && n > 1)
		qsort(entry, n, sizeof(struct fl_entry *), by_arrival);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = put_group(g, entry[i], err);
	return rc < 0 ? rc : fl_results_flush(g->results, err);
}

/* ---- snapshots ----------------------------------------------------------------------- */

/* Behind the accumulator of an entry. */
struct saved_group {
	uint64_t seq;
	int64_t records;
	int64_t written_ms;
	uint64_t flags;
};

size_t
fl_groups_bytes(const struct fl_groups *g)
{
	if (on_disk(g))
		return 0; /* files that are there already */
	return g->budget.used + fl_aggs_extra_bytes(g->aggs);
}

int
fl_groups_before_save(struct fl_groups *g, struct fl_err *err)
{
	if (!in_parts(g))
		return fl_spill_checkpoint(&g->spill, err);
	free(g->files);
	g->files = NULL;
	if (write_back(g, false, err) < 0)
		return err->code;
	return fl_parts_checkpoint(&g->parts, g->run, &g->files, err);
}

void
fl_groups_save(const struct fl_groups *g, struct fl_save *s)
{
	const struct fl_header *in = fl_run_header(g->run, 0);
	struct fl_window_saved w = { .engine = "groups",
				     .updates = g->updates,
				     .wm_ms = FL_TIME_MIN,
				     .seq = g->seq,
				     .entries = g->table.live,
				     .whole = fl_spill_on_disk(&g->spill) };
	struct fl_buf value = { 0 }, rest = { 0 };
	struct fl_entry *const *entry;

	fl_window_save(s, &w, in, g->aggs);
	if (in_parts(g)) {
		fl_parts_save(s, g->files, in, g->aggs, false);
		return;
	}
	if (fl_spill_on_disk(&g->spill)) {
		fl_spill_save(&g->spill, s);
		return;
	}
	fl_window_save_flat_section(s, "groups", in, g->aggs, false, ACC_AT);
	fl_window_save_flat(s, NULL, &g->table, g->aggs, ACC_AT, &rest);
	entry = (struct fl_entry *const *)(void *)rest.data;
	for (size_t i = 0; i < rest.len / sizeof *entry; i++) {
		struct fl_entry *e = entry[i];
		struct saved_group more = { .seq = e->seq, .flags = e->flags & ENTRY_TOLD };

		more.records = *records_of(e);
		more.written_ms = written_ms(g, e);
		fl_buf_clear(&value);
		fl_window_put_acc(&value, g->aggs, acc_of(e));
		fl_buf_put(&value, &more, sizeof more);
		fl_window_save_entry(s, NULL, e, &value);
	}
	fl_buf_release(&value);
	fl_buf_release(&rest);
}

bool
fl_groups_flat(const struct fl_groups *g)
{
	return fl_window_all_flat(&g->table, g->aggs);
}

/* A flat entry: its value is that of the table's, by the aggregates that there were. */
static int
load_flat(struct fl_aggs_loader *loader, const struct fl_window_entries *b, uint32_t i,
	  struct fl_entry *e, struct saved_group *ret, struct fl_err *err)
{
	const char *p = b->value[i];
	size_t size = ACC_AT + fl_aggs_loader_flat_size(loader);

	*ret = (struct saved_group){ .seq = b->seq[i], .flags = b->flags[i] };
	memcpy(&ret->records, p, sizeof ret->records);
	if (b->value_len[i] - size >= sizeof ret->written_ms) /* there was a TTL */
		memcpy(&ret->written_ms, p + size, sizeof ret->written_ms);
	return fl_aggs_loader_flat(loader, acc_of(e), p + ACC_AT, err);
}

static int
load_other(struct fl_aggs_loader *loader, struct fl_load *l, const struct fl_window_entries *b,
	   uint32_t i, struct fl_entry *e, struct saved_group *ret, struct fl_err *err)
{
	const char *acc, *rest;
	uint32_t acc_len, rest_len;

	if (!fl_window_split(b->value[i], b->value_len[i], sizeof *ret, &acc, &acc_len, &rest,
			     &rest_len))
		return fl_load_damaged(l, "a group", err);
	memcpy(ret, rest, sizeof *ret);
	return fl_aggs_loader_load(loader, acc_of(e), acc, acc_len, err);
}

#define TWICE "two groups have the same key"

static bool
is_sound(const void *of, const struct fl_entry *e)
{
	const struct fl_groups *g = of;

	return has_key(g, e) && fl_aggs_is_flat(g->aggs, e->value + ACC_AT);
}

/* Entries as they lie in the table. */
static int
load_flats(struct fl_groups *g, struct fl_load *l, const struct fl_window_entries *b,
	   struct fl_err *err)
{
	struct fl_entry *entry[FL_WINDOW_LOAD_BATCH];
	int rc = fl_table_fill_flat(&g->table, b->flat, b->n, &g->keys, is_sound, g, entry, err);

	if (rc)
		return rc > 0 ? fl_load_damaged(l, rc == 1 ? TWICE : "a flat entry", err) : rc;
	for (uint32_t i = 0; i < b->n; i++)
		entry[i]->flags = ENTRY_INIT | ENTRY_DIRTY |
				  (fl_window_flat_flags(b, i) & ENTRY_TOLD);
	g->table.reused = true; /* perhaps not by arrival */
	return check_memory(g, err);
}

static int
load_entries(struct fl_groups *g, struct fl_aggs_loader *loader, struct fl_load *l,
	     const struct fl_window_entries *b, struct fl_err *err)
{
	struct fl_entry *entry[FL_WINDOW_LOAD_BATCH];
	int rc;

	if (b->flat)
		return load_flats(g, l, b, err);
	if (on_disk(g))
		rc = put_entries(g, b->key, NULL, b->n, entry, err);
	else
		rc = fl_table_fill(&g->table, b->key, b->n, g->seq, entry, err);
	if (rc > 0)
		return fl_load_damaged(l, TWICE, err);
	if (rc == 0 && b->are_flat)
		rc = fl_window_check_flat(b, loader, ACC_AT, l, err);
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < b->n; i++) {
		struct fl_entry *e = entry[i];
		struct saved_group more;

		if (e->flags & ENTRY_INIT)
			return fl_load_damaged(l, "a group", err);
		init_entry(g, e);
		rc = b->are_flat ? load_flat(loader, b, i, e, &more, err)
				 : load_other(loader, l, b, i, e, &more, err);
		if (rc < 0)
			return rc;
		e->seq = more.seq;
		e->flags |= more.flags & ENTRY_TOLD;
		e->flags |= ENTRY_DIRTY;
		fl_spill_changed(&g->spill, e);
		*records_of(e) = more.records;
		/* a TTL that was not there before begins now */
		set_written(g, e, more.written_ms ? more.written_ms : fl_run_now(g->run));
		g->table.reused = true; /* perhaps not by arrival */
	}
	return check_memory(g, err);
}

/* What comes behind the section "window": 0 entries, 1 files that are opened. */
static int
load_state(struct fl_groups *g, const struct fl_window_saved *w, struct fl_load *l,
	   struct fl_err *err)
{
	int rc;

	if (g->whole)
		rc = fl_window_load_state(l, w, "groups", &g->spill, err);
	else
		rc = fl_parts_load(&g->parts, l, g->run, g->aggs, w->loader, "groups", err);
	if (rc == 1 && w->whole != g->whole)
		return fl_fail(err, FL_ECONFIG,
			       "--ttl was %s at the checkpoint, and is %s: with --backend rocksdb "
			       "give the line as it was, or another --uid to begin empty",
			       w->whole ? "given" : "not given", g->whole ? "given" : "not given");
	g->evicted = rc == 1 && !g->whole;
	return rc;
}

int
fl_groups_load(struct fl_groups *g, struct fl_load *l, struct fl_err *err)
{
	struct fl_window_saved w = { .engine = "groups", .updates = g->updates };
	struct fl_window_entries *b = fl_xcalloc(1, sizeof *b);
	int rc = fl_window_load(l, &w, fl_run_header(g->run, 0), g->aggs, err);

	g->seq = w.seq;
	if (rc == 0)
		rc = load_state(g, &w, l, err);
	b->key_count = g->results->key_count;
	if (rc == 0 && !on_disk(g)) {
		fl_table_fill_begin(&g->table, fl_load_expected(l, w.entries));
		b->flat_size = fl_window_flat_size(&g->table, w.loader);
	}
	rc = rc == 1 ? 0 : rc;
	while (rc == 0 && (rc = fl_window_load_entries(b, l, false, &g->keys, err)) > 0)
		rc = load_entries(g, w.loader, l, b, err);
	if (rc == 0 && !on_disk(g) && (rc = fl_table_filled(&g->table, err)) > 0)
		rc = fl_load_damaged(l, TWICE, err);
	fl_aggs_loader_free(w.loader);
	free(b);
	return rc < 0 ? rc : check_memory(g, err);
}
