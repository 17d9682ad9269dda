/* SPDX-License-Identifier: Apache-2.0 */
/* fkeyby: name the key. */
#include <stdlib.h>

#include "run/op.h"

struct fkeyby {
	const char *key; /* "a,b", borrowed from the command line */
	uint32_t *from;  /* outgoing column -> incoming one, or FL_NO_COLUMN: a key that
	                        has not come yet; NULL while they are the same */
	struct fl_vec *cols;
};

static int
words(void *self, struct fl_run *run, char **words, int count, int *ret_used, struct fl_err *err)
{
	struct fkeyby *k = self;

	(void)run;
	if (count == 0)
		return fl_fail(err, FL_EUSAGE,
			       "say which column is the key: fkeyby KEY[,KEY...] [FILE...]");
	k->key = words[0];
	*ret_used = 1;
	return 0;
}

static int
no_column(const struct fl_header *h, const char *name, size_t len, struct fl_err *err)
{
	char advice[FL_ADVICE_MAX];

	return fl_fail(err, FL_EUSAGE, "no column \"%.*s\"%s", (int)len, name,
		       fl_header_advice(h, name, len, advice));
}

/* A key that the first records of a log do not have: a column that is absent so far. */
static uint32_t
reserve(struct fkeyby *k, struct fl_header *out, const char *name, size_t len)
{
	uint32_t n = out->column_count;

	k->from = fl_xreallocarray(k->from, n + 1, sizeof *k->from);
	for (uint32_t i = 0; i < n && k->from[i] != FL_NO_COLUMN; i++)
		k->from[i] = i;
	k->from[n] = FL_NO_COLUMN;
	return fl_header_add(out, name, len, FL_TEXT);
}

static int
open(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fkeyby *k = self;
	struct fl_header *out = fl_run_out(run);
	const char *p = k->key;

	free(out->keys);
	out->keys = NULL;
	out->key_count = 0;
	out->keyed = true;
	for (;;) {
		size_t len = strcspn(p, ",");
		uint32_t c = fl_header_find(out, p, len);

		if (c == FL_NO_COLUMN && !fl_header_grows(out))
			return no_column(out, p, len, err);
		if (c == FL_NO_COLUMN)
			c = reserve(k, out, p, len);
		out->keys = fl_xreallocarray(out->keys, out->key_count + 1, sizeof *out->keys);
		out->keys[out->key_count++] = c;
		if (!p[len])
			return 0;
		p += len + 1;
	}
}

/* New columns go behind those that were there; an awaited key takes its place. */
static int
columns(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fkeyby *k = self;
	const struct fl_header *in = fl_run_header(run, 0);
	struct fl_header *out = fl_run_out(run);
	uint32_t known = 0;

	(void)err;
	for (uint32_t i = 0; k->from && i < out->column_count; i++)
		if (k->from[i] != FL_NO_COLUMN && k->from[i] >= known)
			known = k->from[i] + 1;
	for (uint32_t i = k->from ? known : out->column_count; i < in->column_count; i++) {
		const struct fl_column *c = &in->columns[i];
		uint32_t at = k->from ? fl_header_find(out, c->name, c->name_len) : FL_NO_COLUMN;

		if (at == FL_NO_COLUMN)
			at = fl_header_add(out, c->name, c->name_len, (enum fl_kind)c->kind);
		if (!k->from)
			continue;
		k->from = fl_xreallocarray(k->from, out->column_count, sizeof *k->from);
		k->from[at] = i;
	}
	return 0;
}

static int
on_batch(void *self, struct fl_run *run, uint32_t input, const struct fl_batch *b,
	 struct fl_err *err)
{
	struct fkeyby *k = self;
	struct fl_batch mapped = *b;

	(void)input;
	if (!k->from)
		return fl_emit(run, b, err);
	mapped.cols = fl_run_out(run)->column_count;
	k->cols = fl_xreallocarray(k->cols, mapped.cols, sizeof *k->cols);
	for (uint32_t i = 0; i < mapped.cols; i++)
		k->cols[i] = *fl_batch_col(b, k->from[i]);
	mapped.col = k->cols;
	return fl_emit(run, &mapped, err);
}

static int
on_end(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fkeyby *k = self;
	const struct fl_header *out = fl_run_out(run);

	(void)err;
	for (uint32_t i = 0; k->from && i < out->column_count; i++)
		if (k->from[i] == FL_NO_COLUMN)
			fl_run_unseen(run, out->columns[i].name);
	return 0;
}

static void
close_keyby(void *self)
{
	struct fkeyby *k = self;

	free(k->from);
	free(k->cols);
}

static const struct fl_op fkeyby_op = {
	.name = "fkeyby",
	.summary = "decode records, take their event time, and name the key",
	.usage = "KEY[,KEY...] [FILE...]",
	.notes = "KEY is a column. What comes next (fwindow, freduce, fjoin) works per key.\n"
		 "\n"
		 "  fkeyby --time ts --watermark 5s url clicks.csv | fwindow tumble 1m |\n"
		 "    freduce n=count 'bytes=sum(bytes)'\n"
		 "  tail -F access.log | fkeyby --iclf host | freduce --updates n=count\n",
	.self_size = sizeof(struct fkeyby),
	.inputs_max = 1,
	.words = words,
	.open = open,
	.columns = columns,
	.on_batch = on_batch,
	.on_end = on_end,
	.close = close_keyby,
};

int
main(int argc, char **argv)
{
	return fl_main(&fkeyby_op, argc, argv);
}
