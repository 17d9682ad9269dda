/* SPDX-License-Identifier: Apache-2.0 */
/* fmap: compute columns. */
#include <stdlib.h>

#include "expr/paths.h"
#include "run/op.h"

struct definition {
	const char *name; /* borrowed from the command line */
	size_t name_len;
	struct fl_expr *expr;
	uint32_t column; /* of the output */
};

struct fmap {
	bool only;
	char **words;
	struct definition *def;
	uint32_t count;
	uint32_t set;          /* index of the unnest(...), or count */
	uint32_t *from;        /* outgoing column -> incoming one, or FL_NO_COLUMN: computed */
	uint32_t columns_seen; /* of the incoming header */
	struct fl_vec *cols;
	struct fl_paths *paths; /* of all definitions */
	struct fl_buf rows, pool, counts, good, set_pool;
	struct fl_badrows bad;
};

static int
words(void *self, struct fl_run *run, char **words, int count, int *ret_used, struct fl_err *err)
{
	struct fmap *m = self;
	uint32_t n = 0;

	(void)run;
	while ((int)n < count && strchr(words[n], '='))
		n++;
	if (n == 0)
		return fl_fail(err, FL_EUSAGE,
			       "say what to compute: NAME=EXPR, for example 'kb=bytes/1024'");
	m->words = words;
	m->count = m->set = n;
	*ret_used = (int)n;
	return 0;
}

/* The incoming columns from m->columns_seen on that the output passes on. */
static void
pass_columns(struct fmap *m, const struct fl_header *in, struct fl_header *out)
{
	for (uint32_t i = m->columns_seen; i < in->column_count; i++) {
		const struct fl_column *c = &in->columns[i];
		uint32_t at;

		if (m->only || fl_header_find(out, c->name, c->name_len) != FL_NO_COLUMN)
			continue; /* computed under the same name */
		at = fl_header_add(out, c->name, c->name_len, (enum fl_kind)c->kind);
		out->columns[at].seconds = c->seconds;
		m->from = fl_xreallocarray(m->from, at + 1, sizeof *m->from);
		m->from[at] = i;
	}
	m->columns_seen = in->column_count;
}

static int
bind(struct fmap *m, const struct fl_header *in, struct fl_err *err)
{
	for (uint32_t i = 0; i < m->count; i++) {
		if (fl_expr_bind(m->def[i].expr, in, err) < 0)
			return fl_wrap(err, "%.*s", (int)m->def[i].name_len, m->def[i].name);
		if (!fl_expr_is_set(m->def[i].expr))
			continue;
		if (m->set < m->count && m->set != i)
			return fl_fail(err, FL_EUSAGE,
				       "only one unnest() at a time; use a second fmap");
		m->set = i;
	}
	return 0;
}

/* The keys stay if all their columns do, by name. */
static void
keep_keys(const struct fl_header *in, struct fl_header *out)
{
	uint32_t *keys = fl_xcalloc(in->key_count, sizeof *keys);

	for (uint32_t i = 0; i < in->key_count; i++) {
		const struct fl_column *c = &in->columns[in->keys[i]];

		keys[i] = fl_header_find(out, c->name, c->name_len);
		if (keys[i] == FL_NO_COLUMN) {
			out->keyed = false;
			free(keys);
			return;
		}
	}
	out->keys = keys;
	out->key_count = in->key_count;
}

static int
open(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fmap *m = self;
	const struct fl_header *in = fl_run_header(run, 0);
	struct fl_header *out = fl_run_out(run);

	m->def = fl_xcalloc(m->count, sizeof *m->def);
	m->paths = fl_paths_new();
	for (uint32_t i = 0; i < m->count; i++) {
		struct definition *d = &m->def[i];

		d->name = m->words[i];
		d->name_len = (size_t)(strchr(d->name, '=') - d->name);
		d->expr = fl_expr_new(d->name + d->name_len + 1, fl_run_expr_env(run));
		fl_expr_share(d->expr, m->paths);
	}
	if (bind(m, in, err) < 0)
		return err->code;
	fl_header_clear_columns(out);
	pass_columns(m, in, out);
	for (uint32_t i = 0; i < m->count; i++) {
		struct definition *d = &m->def[i];

		d->column = fl_header_find(out, d->name, d->name_len);
		if (d->column == FL_NO_COLUMN)
			d->column = fl_header_add(out, d->name, d->name_len, fl_expr_kind(d->expr));
		m->from = fl_xreallocarray(m->from, out->column_count, sizeof *m->from);
		m->from[d->column] = FL_NO_COLUMN;
		out->columns[d->column].kind = (uint8_t)fl_expr_kind(d->expr);
		out->columns[d->column].seconds = false;
	}
	keep_keys(in, out);
	return 0;
}

static int
columns(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fmap *m = self;

	pass_columns(m, fl_run_header(run, 0), fl_run_out(run));
	return bind(m, fl_run_header(run, 0), err);
}

/* The rows to go on with: each as often as the set says, bad ones not at all. */
static const uint32_t *
chosen_rows(struct fmap *m, const struct fl_batch *b, const uint32_t *counts, uint32_t *ret_n)
{
	fl_buf_clear(&m->rows);
	for (uint32_t i = 0; i < b->rows; i++) {
		uint32_t times = counts ? counts[i] : 1;

		if (m->bad.count && m->bad.mask.data[i])
			continue;
		for (; times; times--)
			fl_buf_put(&m->rows, &i, sizeof i);
	}
	*ret_n = (uint32_t)(m->rows.len / sizeof(uint32_t));
	return (const uint32_t *)(const void *)m->rows.data;
}

/* Elements of bad records are left out of the set, too. */
static void
drop_bad_elements(struct fmap *m, const uint32_t *counts, uint32_t rows, struct fl_vec *set)
{
	struct fl_batch all = { .cols = 1, .col = set }, kept;
	uint32_t at = 0;

	fl_buf_clear(&m->good);
	for (uint32_t i = 0; i < rows; i++) {
		for (uint32_t k = 0; k < counts[i]; k++, at++)
			if (!m->bad.mask.data[i])
				fl_buf_put(&m->good, &at, sizeof at);
	}
	all.rows = at;
	fl_batch_select(&all, (const uint32_t *)(const void *)m->good.data,
			(uint32_t)(m->good.len / sizeof at), &m->set_pool, &kept);
	*set = kept.col[0];
}

static int
on_batch(void *self, struct fl_run *run, uint32_t input, const struct fl_batch *b,
	 struct fl_err *err)
{
	struct fmap *m = self;
	struct fl_batch out = *b, kept;
	struct fl_vec set;
	uint32_t *counts = NULL, n;
	const uint32_t *rows;

	(void)input;
	out.cols = fl_run_out(run)->column_count;
	m->cols = fl_xreallocarray(m->cols, out.cols, sizeof *m->cols);
	out.col = m->cols;
	fl_badrows_reset(&m->bad);
	fl_paths_begin(m->paths, b);
	for (uint32_t i = 0; i < out.cols; i++)
		if (m->from[i] != FL_NO_COLUMN)
			m->cols[i] = *fl_batch_col(b, m->from[i]);
	for (uint32_t i = 0; i < m->count; i++) {
		struct definition *d = &m->def[i];
		int rc;

		if (i == m->set) {
			m->cols[d->column] = *fl_batch_col(b, UINT32_MAX);
			continue;
		}
		rc = fl_expr_eval(d->expr, b, &m->bad, &m->cols[d->column], err);
		if (rc < 0)
			return rc;
	}
	if (m->set < m->count) {
		fl_buf_clear(&m->counts);
		counts = (uint32_t *)(void *)fl_buf_reserve(&m->counts, b->rows * sizeof *counts);
		if (fl_expr_unnest(m->def[m->set].expr, b, &m->bad, counts, &set, err) < 0)
			return err->code;
	}
	if (fl_run_bad(run, b, &m->bad, NULL, err) < 0)
		return err->code;
	if (!counts && m->bad.count == 0)
		return fl_emit(run, &out, err);
	rows = chosen_rows(m, b, counts, &n);
	fl_batch_select(&out, rows, n, &m->pool, &kept);
	if (counts) {
		if (m->bad.count)
			drop_bad_elements(m, counts, b->rows, &set);
		kept.col[m->def[m->set].column] = set;
	}
	return fl_emit(run, &kept, err);
}

static int
on_end(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fmap *m = self;
	const char *name;

	(void)err;
	for (uint32_t k = 0; m->def && k < m->count; k++)
		for (size_t i = 0; (name = fl_expr_unseen(m->def[k].expr, i)); i++)
			fl_run_unseen(run, name);
	return 0;
}

static void
close_map(void *self)
{
	struct fmap *m = self;

	for (uint32_t i = 0; m->def && i < m->count; i++)
		fl_expr_free(m->def[i].expr);
	fl_paths_free(m->paths);
	free(m->def);
	free(m->from);
	free(m->cols);
	fl_buf_release(&m->rows);
	fl_buf_release(&m->pool);
	fl_buf_release(&m->counts);
	fl_buf_release(&m->good);
	fl_buf_release(&m->set_pool);
	fl_badrows_release(&m->bad);
}

static const struct fl_opt opts[] = {
	{ .name = "only",
	  .type = FL_OPT_FLAG,
	  .offset = offsetof(struct fmap, only),
	  .help = "drop the other columns" },
	{ .type = FL_OPT_END },
};

static const struct fl_op fmap_op = {
	.name = "fmap",
	.summary = "compute columns",
	.usage = "NAME=EXPR... [FILE...]",
	.notes = "EXPR is SQL over the incoming columns. NAME is added, or replaces the column so\n"
		 "named. unnest(array) gives a row for each element.\n"
		 "\n"
		 "  fmap 'kb=bytes/1024' 'day=date_trunc($$day$$, ts)' access.csv\n"
		 "  fmap --itext --only 'word=unnest(string_to_array(line, $$ $$))' book.txt\n",
	.opts = opts,
	.self_size = sizeof(struct fmap),
	.inputs_max = 1,
	.words = words,
	.open = open,
	.columns = columns,
	.on_batch = on_batch,
	.on_end = on_end,
	.close = close_map,
};

int
main(int argc, char **argv)
{
	return fl_main(&fmap_op, argc, argv);
}
