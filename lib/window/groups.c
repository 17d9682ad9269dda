/* SPDX-License-Identifier: Apache-2.0 */
#include "window/groups.h"

#include <stdlib.h>

#include "stream/value.h"
#include "time/timestamp.h"

enum { ENTRY_INIT = 1, ENTRY_TOLD = 2 };

static const struct fl_window everything = { FL_TIME_MIN, FL_TIME_MAX };

static int64_t *
records_of(struct fl_entry *e)
{
	return (int64_t *)(void *)e->value;
}

static void *
acc_of(struct fl_entry *e)
{
	return e->value + sizeof(int64_t);
}

void
fl_groups_open(struct fl_groups *g, struct fl_run *run, struct fl_aggs *aggs,
	       struct fl_results *results, bool updates)
{
	*g = (struct fl_groups){ .run = run, .aggs = aggs, .results = results, .updates = updates };
	fl_budget_init(&g->budget, fl_run_memory_max(run));
	fl_keys_init(&g->keys);
	fl_table_init(&g->table, &g->budget, sizeof(int64_t) + fl_aggs_size(aggs));
	fl_build_init(&g->before, (uint32_t)fl_aggs_count(aggs));
	fl_build_init(&g->after, (uint32_t)fl_aggs_count(aggs));
}

void
fl_groups_release(struct fl_groups *g)
{
	if (!g->run)
		return;
	for (uint32_t i = 0; i < g->table.count; i++)
		if (!fl_table_at(&g->table, i)->deleted)
			fl_aggs_clear(g->aggs, acc_of(fl_table_at(&g->table, i)));
	fl_table_release(&g->table);
	fl_budget_release(&g->budget);
	fl_keys_release(&g->keys);
	fl_build_release(&g->before);
	fl_build_release(&g->after);
	fl_buf_release(&g->entries);
	fl_buf_release(&g->accs);
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

static int
sign(const struct fl_batch *b, uint32_t row)
{
	return b->op && (b->op[row] == FL_UPDATE_BEFORE || b->op[row] == FL_DELETE) ? -1 : 1;
}

/* All records at once: results are wanted at the end only. */
static int
add_all(struct fl_groups *g, const struct fl_batch *b, const struct fl_key *keys,
	const uint32_t *rows, uint32_t n, struct fl_err *err)
{
	struct fl_entry **entry;
	void **accs;

	fl_buf_clear(&g->entries);
	fl_buf_clear(&g->accs);
	entry = (struct fl_entry **)(void *)fl_buf_reserve(&g->entries, n * sizeof *entry);
	accs = (void **)(void *)fl_buf_reserve(&g->accs, n * sizeof *accs);
	if (fl_table_put(&g->table, keys, rows, n, g->seq, entry, NULL, err) < 0)
		return err->code;
	for (uint32_t i = 0; i < n; i++) {
		init_entry(g, entry[i]);
		*records_of(entry[i]) += sign(b, rows ? rows[i] : i);
		accs[i] = acc_of(entry[i]);
	}
	return fl_aggs_add(g->aggs, accs, rows, 0, n, g->seq, err);
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

/* One record, and what it changes. */
static int
add_one(struct fl_groups *g, const struct fl_batch *b, const struct fl_key *keys, uint32_t row,
	int64_t wm, struct fl_err *err)
{
	struct fl_entry *e;
	void *acc;
	bool told;

	if (sign(b, row) < 0 && !fl_table_get(&g->table, &keys[row]))
		return 0; /* taking back what is not known: ignored, as in Flink */
	if (fl_table_put(&g->table, &keys[row], NULL, 1, g->seq + row, &e, NULL, err) < 0)
		return err->code;
	init_entry(g, e);
	told = e->flags & ENTRY_TOLD;
	if (told && result_of(g, e, &g->before, err) < 0)
		return err->code;
	acc = acc_of(e);
	*records_of(e) += sign(b, row);
	if (fl_aggs_add(g->aggs, &acc, &row, 0, 1, g->seq, err) < 0)
		return err->code;
	if (*records_of(e) <= 0) {
		if (told)
			(void)tell(g, e, &g->before, wm, FL_DELETE);
		fl_aggs_clear(g->aggs, acc);
		fl_table_delete(&g->table, e);
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
	if (!g->updates) {
		rc = add_all(g, b, keys, rows, n, err);
	} else {
		const int64_t *wm = fl_batch_wm(b, &g->wm_scratch);

		for (uint32_t i = 0; i < n && rc == 0; i++)
			rc = add_one(g, b, keys, rows ? rows[i] : i, wm[rows ? rows[i] : i], err);
		if (rc == 0)
			rc = fl_results_flush(g->results, err);
	}
	g->seq += b->rows;
	return rc < 0 ? rc : fl_budget_check(&g->budget, fl_aggs_extra_bytes(g->aggs), err);
}

int
fl_groups_end(struct fl_groups *g, struct fl_err *err)
{
	int rc = 0;

	for (uint32_t i = 0; i < g->table.count && !g->updates && rc == 0; i++) {
		struct fl_entry *e = fl_table_at(&g->table, i);
		void *acc = acc_of(e);

		if (!e->deleted && *records_of(e) > 0)
			rc = fl_results_put(g->results, &everything, &e, &acc, 1,
					    fl_run_watermark(g->run), FL_INSERT, err);
	}
	return rc < 0 ? rc : fl_results_flush(g->results, err);
}
