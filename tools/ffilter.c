/* SPDX-License-Identifier: Apache-2.0 */
/* ffilter: keep the rows for which a condition is true. */
#include <stdlib.h>

#include "run/op.h"

struct ffilter {
	const char *else_path;
	const char *text;
	struct fl_expr *expr;
	struct fl_side *rest; /* --else */
	struct fl_buf rows, pool, ops;
	struct fl_badrows bad;
};

static int
words(void *self, struct fl_run *run, char **words, int count, int *ret_used, struct fl_err *err)
{
	struct ffilter *f = self;

	(void)run;
	if (count == 0)
		return fl_fail(err, FL_EUSAGE, "say which rows to keep: ffilter EXPR [FILE...]");
	f->text = words[0];
	*ret_used = 1;
	return 0;
}

static int
open(void *self, struct fl_run *run, struct fl_err *err)
{
	struct ffilter *f = self;

	f->expr = fl_expr_new(f->text, fl_run_expr_env(run));
	if (fl_expr_bind(f->expr, fl_run_header(run, 0), err) < 0)
		return err->code;
	if (fl_expr_is_set(f->expr))
		return fl_fail(err, FL_EUSAGE, "%s gives several rows, not a condition; see fmap",
			       f->text);
	if (!f->else_path)
		return 0;
	f->rest = fl_run_side(run, f->else_path, fl_run_header(run, 0), err);
	return f->rest ? 0 : err->code;
}

static int
columns(void *self, struct fl_run *run, struct fl_err *err)
{
	struct ffilter *f = self;
	const struct fl_header *in = fl_run_header(run, 0);
	struct fl_header *out = fl_run_out(run);

	fl_header_append(out, in, out->column_count);
	return fl_expr_bind(f->expr, in, err);
}

/* The rows that are neither kept nor bad, to the --else file. */
static int
write_rest(struct ffilter *f, struct fl_run *run, const struct fl_batch *b, const uint32_t *kept,
	   uint32_t n, struct fl_err *err)
{
	struct fl_batch rest;
	struct fl_buf rows = { 0 };
	uint32_t *row = (uint32_t *)(void *)fl_buf_reserve(&rows, b->rows * sizeof *row), m = 0,
		 k = 0;
	int rc;

	for (uint32_t i = 0; i < b->rows; i++) {
		if (k < n && kept[k] == i)
			k++;
		else if (!f->bad.count || !f->bad.mask.data[i])
			row[m++] = i;
	}
	fl_batch_select(b, row, m, &f->pool, &rest);
	rc = m ? fl_side_write(f->rest, fl_run_header(run, 0), &rest, err) : 0;
	fl_buf_release(&rows);
	return rc;
}

/*
 * The row kinds of what is kept of a changelog. Where only one half of an update
 * passes, a row comes or goes: +U alone is +I, -U alone is -D.
 */
static const uint8_t *
kept_kinds(struct ffilter *f, const struct fl_batch *b, const uint32_t *rows, uint32_t n)
{
	uint8_t *op;

	fl_buf_clear(&f->ops);
	op = (uint8_t *)fl_buf_reserve(&f->ops, n);
	for (uint32_t k = 0; k < n; k++) {
		op[k] = b->op[rows[k]];
		if (op[k] == FL_UPDATE_BEFORE) {
			bool paired = k + 1 < n && rows[k + 1] == rows[k] + 1 &&
				      b->op[rows[k + 1]] == FL_UPDATE_AFTER;

			op[k] = paired ? FL_UPDATE_BEFORE : FL_DELETE;
		} else if (op[k] == FL_UPDATE_AFTER) {
			bool paired = k && op[k - 1] == FL_UPDATE_BEFORE &&
				      rows[k - 1] + 1 == rows[k];

			op[k] = paired ? FL_UPDATE_AFTER : FL_INSERT;
		}
	}
	return op;
}

static int
on_batch(void *self, struct fl_run *run, uint32_t input, const struct fl_batch *b,
	 struct fl_err *err)
{
	struct ffilter *f = self;
	struct fl_batch kept;
	uint32_t *rows, n;

	(void)input;
	fl_buf_clear(&f->rows);
	rows = (uint32_t *)(void *)fl_buf_reserve(&f->rows, b->rows * sizeof *rows);
	fl_badrows_reset(&f->bad);
	if (fl_expr_filter(f->expr, b, &f->bad, rows, &n, err) < 0 ||
	    fl_run_bad(run, b, &f->bad, NULL, err) < 0)
		return err->code;
	if (f->rest && write_rest(f, run, b, rows, n, err) < 0)
		return err->code;
	if (n == b->rows && !b->op)
		return fl_emit(run, b, err);
	fl_batch_select(b, rows, n, &f->pool, &kept);
	if (b->op)
		kept.op = kept_kinds(f, b, rows, n);
	return fl_emit(run, &kept, err);
}

static int
on_end(void *self, struct fl_run *run, struct fl_err *err)
{
	struct ffilter *f = self;
	const char *name;

	(void)err;
	for (size_t i = 0; (name = fl_expr_unseen(f->expr, i)); i++)
		fl_run_unseen(run, name);
	return 0;
}

static void
close_filter(void *self)
{
	struct ffilter *f = self;

	fl_expr_free(f->expr);
	fl_buf_release(&f->rows);
	fl_buf_release(&f->pool);
	fl_buf_release(&f->ops);
	fl_badrows_release(&f->bad);
}

static const struct fl_opt opts[] = {
	{ .name = "else",
	  .type = FL_OPT_STRING,
	  .offset = offsetof(struct ffilter, else_path),
	  .arg = "FILE",
	  .help = "the rows that fail, CSV or JSONL by its name" },
	{ .type = FL_OPT_END },
};

static const struct fl_op ffilter_op = {
	.name = "ffilter",
	.summary = "keep the rows for which a condition is true",
	.usage = "EXPR [FILE...]",
	.notes = "EXPR is SQL over the columns; rows for which it is NULL are not kept.\n"
		 "\n"
		 "  ffilter 'status >= 500' access.csv\n"
		 "  ffilter \"user = 'u1' and .req.path like '/api/%'\" log.jsonl --ojsonl\n",
	.opts = opts,
	.self_size = sizeof(struct ffilter),
	.inputs_max = 1,
	.words = words,
	.open = open,
	.columns = columns,
	.on_batch = on_batch,
	.on_end = on_end,
	.close = close_filter,
};

int
main(int argc, char **argv)
{
	return fl_main(&ffilter_op, argc, argv);
}
