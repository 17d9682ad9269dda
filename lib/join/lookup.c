/* SPDX-License-Identifier: Apache-2.0 */
#include "join/lookup.h"

#include <stdlib.h>

#include "run/format.h"

#define TRIED_MAX 4096u      /* candidates whose conditions are evaluated together */
#define REFRESH_EVERY_MS 100 /* looking whether the table has changed costs a system call */

struct lookup {
	struct fl_run *run;
	struct fl_pairs pairs;
	const struct fl_join_options *options;
	struct fl_lookup *table;
	int64_t refreshed_ms;
	bool complained; /* that the table's new content is bad */
	struct fl_buf wm_scratch;

	/* the batch in hand */
	const struct fl_batch *batch;
	const int64_t *wm;
};

/* ---- rows by key --------------------------------------------------------------------- */

void
fl_lookup_rows_init(struct fl_lookup_rows *r, uint64_t seed, size_t memory_max)
{
	*r = (struct fl_lookup_rows){ .keys.seed = seed };
	fl_budget_init(&r->budget, memory_max);
	fl_table_init(&r->table, &r->budget, sizeof(struct fl_jlist));
	fl_jrows_init(&r->rows, &r->budget, false);
}

void
fl_lookup_rows_release(struct fl_lookup_rows *r)
{
	if (!r->table.budget)
		return;
	fl_jrows_release(&r->rows);
	fl_table_release(&r->table);
	fl_budget_release(&r->budget);
	fl_keys_release(&r->keys);
	*r = (struct fl_lookup_rows){ 0 };
}

void
fl_lookup_rows_move(struct fl_lookup_rows *to, struct fl_lookup_rows *from)
{
	*to = *from;
	to->table.budget = &to->budget;
	to->rows.budget = &to->budget;
	*from = (struct fl_lookup_rows){ 0 };
}

struct fl_jlist *
fl_lookup_rows_put(struct fl_lookup_rows *r, const struct fl_key *key, struct fl_err *err)
{
	struct fl_entry *e;

	if (fl_table_put(&r->table, key, NULL, 1, r->table.live, &e, NULL, err) < 0)
		return NULL;
	return (struct fl_jlist *)(void *)e->value;
}

/* ---- opening ---------------------------------------------------------------------------- */

static int
no_column(const struct fl_lookup *l, const char *table, const char *name, size_t len, bool said,
	  struct fl_err *err)
{
	const char *near = fl_header_nearest(&l->header, name, len);

	return fl_fail(err, FL_EUSAGE, "%s has no column \"%.*s\"%s%s%s", table,
		       (int)(len < 200 ? len : 200), name,
		       near   ? "; did you mean "
		       : said ? ""
			      : ": name those that must equal the left's key with --lookup-key",
		       near ? near : "", near ? "?" : "");
}

static int
add_key(struct fl_lookup *l, const char *table, const char *name, size_t len, bool said,
	struct fl_err *err)
{
	uint32_t c = fl_header_find(&l->header, name, len);

	if (c == FL_NO_COLUMN)
		return no_column(l, table, name, len, said, err);
	l->header.keys = fl_xreallocarray(l->header.keys, l->header.key_count + 1,
					  sizeof *l->header.keys);
	l->header.keys[l->header.key_count++] = c;
	return 0;
}

int
fl_lookup_choose_keys(struct fl_lookup *l, const char *table, const char *names,
		      const struct fl_header *left, struct fl_err *err)
{
	int rc = 0;

	l->header.keyed = true;
	for (uint32_t k = 0; !names && k < left->key_count && rc == 0; k++) {
		const struct fl_column *c = &left->columns[left->keys[k]];

		rc = add_key(l, table, c->name, c->name_len, false, err);
	}
	while (names && rc == 0) {
		size_t n = strcspn(names, ",");

		rc = add_key(l, table, names, n, true, err);
		names = names[n] ? names + n + 1 : NULL;
	}
	return rc;
}

static struct fl_lookup *
open_table(const struct fl_join_options *o, const struct fl_header *left, size_t memory_max,
	   struct fl_err *err)
{
	const char *format = fl_format_by_name(o->right);

	if (format && strcmp(format, "flue") != 0)
		return fl_lookup_file_open(o->right, o->lookup_key, left, memory_max, err);
	if (strrchr(o->right, ':'))
		return fl_lookup_sqlite_open(o->right, o->lookup_key, left, err);
	(void)fl_fail(err, FL_EUSAGE,
		      "--lookup: the table is a file named .csv, .tsv, .jsonl or .ndjson, or a "
		      "table of an SQLite file, FILE:TABLE; not %s",
		      o->right);
	return NULL;
}

static int
lookup_open(void *self, struct fl_run *run, const struct fl_join_options *o, struct fl_err *err)
{
	struct lookup *j = self;
	const struct fl_header *left = fl_run_header(run, 0);
	struct fl_pairs_form form = { .changelog = left->changelog, .timed = left->time != NULL };

	j->run = run;
	j->options = o;
	if (o->kind != FL_JOIN_INNER && o->kind != FL_JOIN_LEFT)
		return fl_fail(err, FL_EUSAGE, "--lookup: an inner or a left join, not %s",
			       fl_join_kind_name(o->kind));
	if (!left->keyed)
		return fl_fail(err, FL_EUSAGE,
			       "--lookup: the left side has no key: name with fkeyby what is to be "
			       "looked up");
	j->table = open_table(o, left, fl_run_memory_max(run), err);
	if (!j->table)
		return err->code;
	j->refreshed_ms = fl_run_now(run);
	return fl_pairs_open(&j->pairs, run, o, &j->table->header, &form, err);
}

static int
lookup_columns(void *self, struct fl_err *err)
{
	struct lookup *j = self;

	return fl_pairs_columns(&j->pairs, err);
}

static void
lookup_release(void *self)
{
	struct lookup *j = self;

	fl_pairs_release(&j->pairs);
	if (j->table)
		j->table->type->free(j->table);
	fl_buf_release(&j->wm_scratch);
}

/* ---- batches ----------------------------------------------------------------------------- */

/*
 * Between two batches: has the table changed? What cannot be read now is told at the end,
 * once, and what is known stays in use: the next look may find a file that is whole.
 */
static void
refresh(struct lookup *j)
{
	int64_t now = fl_run_now(j->run);
	struct fl_err err = { 0 };

	if (now >= j->refreshed_ms && now - j->refreshed_ms < REFRESH_EVERY_MS)
		return;
	j->refreshed_ms = now;
	if (j->table->type->refresh(j->table, &err) == 0) {
		j->complained = false;
		return;
	}
	if (!j->complained)
		fl_run_note(j->run, "--lookup: %s: went on with the table as it was before",
			    err.msg);
	j->complained = true;
}

static int
put(struct lookup *j, uint32_t row, const struct fl_jrow *r, struct fl_err *err)
{
	const struct fl_batch *b = j->batch;

	return fl_pairs_put(&j->pairs, fl_half_row(row),
			    r ? fl_half_kept(r->data, r->len) : fl_half_none(),
			    b->time ? b->time[row] : 0, j->wm[row],
			    b->op ? (enum fl_rowkind)b->op[row] : FL_INSERT, err);
}

/* The rows of r and behind it, as far as their condition is true; *ret_any: one was. */
static int
put_true(struct lookup *j, uint32_t row, const struct fl_jrow *r, bool *ret_any, struct fl_err *err)
{
	while (r) {
		const struct fl_jrow *first = r;
		const uint8_t *verdict;
		int rc;

		for (; r && fl_pairs_tried(&j->pairs) < TRIED_MAX; r = r->next)
			fl_pairs_try(&j->pairs, fl_half_row(row), fl_half_kept(r->data, r->len));
		rc = fl_pairs_test(&j->pairs, &verdict, err);
		for (; rc == 0 && first != r; first = first->next, verdict++) {
			if (!*verdict)
				continue;
			*ret_any = true;
			rc = put(j, row, first, err);
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int
join_row(struct lookup *j, uint32_t row, const struct fl_key *key, struct fl_err *err)
{
	const struct fl_jlist *found = NULL;
	bool any = false;
	int rc = 0;

	if (!fl_pairs_key_is_null(&j->pairs, key))
		rc = j->table->type->find(j->table, key, &found, err);
	if (rc == 0 && found && fl_pairs_has_on(&j->pairs))
		rc = put_true(j, row, found->first, &any, err);
	else
		for (const struct fl_jrow *r = found ? found->first : NULL; r && rc == 0;
		     r = r->next, any = true)
			rc = put(j, row, r, err);
	if (rc == 0 && !any && j->options->kind == FL_JOIN_LEFT)
		rc = put(j, row, NULL, err);
	return rc;
}

static int
lookup_batch(void *self, enum fl_join_side side, const struct fl_batch *b, struct fl_err *err)
{
	struct lookup *j = self;
	const struct fl_key *keys;
	int rc = 0;

	refresh(j);
	j->batch = b;
	j->wm = fl_batch_wm(b, &j->wm_scratch);
	fl_pairs_batch(&j->pairs, side, b);
	if (fl_keys_of(&j->table->keys, fl_run_header(j->run, 0), b, &keys, err) < 0)
		return err->code;
	for (uint32_t i = 0; i < b->rows && rc == 0; i++)
		rc = join_row(j, i, &keys[i], err);
	return rc < 0 ? rc : fl_pairs_flush(&j->pairs, err);
}

const struct fl_join_engine fl_join_lookup = {
	.name = "lookup join",
	.self_size = sizeof(struct lookup),
	.open = lookup_open,
	.columns = lookup_columns,
	.on_batch = lookup_batch,
	.release = lookup_release,
};
