/* SPDX-License-Identifier: Apache-2.0 */
/* fkeyby: name the key. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "expr/expr.h"
#include "run/op.h"

/* A key that is a JSON path, .user.id: a column is made of it. */
struct path {
	struct fl_expr *expr;
	uint32_t column; /* of what goes out */
};

struct fkeyby {
	const char *key; /* "a,b", borrowed from the command line */
	uint32_t *from;  /* outgoing column -> incoming one, or FL_NO_COLUMN: a path, or a key
	                        that has not come yet; NULL while they are the same */
	struct path *path;
	uint32_t path_count;
	struct fl_vec *cols;
	struct fl_badrows bad;
	struct fl_buf rows, pool; /* of a batch with bad records: those that are not */
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

/* A column that does not come in, or not yet: absent, or what a path leads to. */
static uint32_t
reserve(struct fkeyby *k, struct fl_header *out, const char *name, size_t len)
{
	uint32_t n = out->column_count;

	if (!k->from) {
		k->from = fl_xcalloc(n + 1, sizeof *k->from);
		for (uint32_t i = 0; i < n; i++)
			k->from[i] = i;
	}
	k->from = fl_xreallocarray(k->from, n + 1, sizeof *k->from);
	k->from[n] = FL_NO_COLUMN;
	return fl_header_add(out, name, len, FL_TEXT);
}

/* .user.id, .tags[0]; in JSON user.id, too. */
static bool
is_path_text(const struct fl_header *h, const char *p, size_t len)
{
	size_t dot = *p == '.', first = strcspn(p + dot, ".[,"), word = dot;

	while (word < len && (isalnum((unsigned char)p[word]) || strchr("_.[]", p[word])))
		word++;
	return dot + first < len && first > 0 &&
	       (dot || (word == len && !isdigit((unsigned char)*p) && fl_header_grows(h)));
}

/* The column for .user.id, called user.id, by which expressions find it too. */
static int
add_path(struct fkeyby *k, struct fl_run *run, const char *text, size_t len, uint32_t *ret,
	 struct fl_err *err)
{
	char *word = fl_xstrndup(text, len);
	struct fl_expr *e = fl_expr_new(word, fl_run_expr_env(run));
	struct path *p;

	free(word);
	k->path = fl_xreallocarray(k->path, k->path_count + 1, sizeof *k->path);
	p = &k->path[k->path_count++];
	*p = (struct path){ .expr = e };
	if (fl_expr_bind(e, fl_run_header(run, 0), err) < 0)
		return err->code;
	p->column = *ret = reserve(k, fl_run_out(run), text + (*text == '.'), len - (*text == '.'));
	return 0;
}

/* The column that KEY names: one there is, one that may still come, or a path. */
static int
find_key(struct fkeyby *k, struct fl_run *run, const char *p, size_t len, uint32_t *ret,
	 struct fl_err *err)
{
	struct fl_header *out = fl_run_out(run);

	*ret = fl_header_find(out, p, len);
	if (*ret == FL_NO_COLUMN && len > 1 && *p == '.')
		*ret = fl_header_find(out, p + 1, len - 1);
	if (*ret != FL_NO_COLUMN)
		return 0;
	if (is_path_text(fl_run_header(run, 0), p, len))
		return add_path(k, run, p, len, ret, err);
	p += *p == '.' && len > 1;
	len = strcspn(p, ",");
	if (!fl_header_grows(out))
		return no_column(out, p, len, err);
	*ret = reserve(k, out, p, len);
	return 0;
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
		uint32_t c;

		if (find_key(k, run, p, len, &c, err) < 0)
			return err->code;
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
	for (uint32_t i = 0; i < k->path_count; i++)
		if (fl_expr_bind(k->path[i].expr, in, err) < 0)
			return err->code;
	return 0;
}

/* What is not bad of a batch. */
static int
emit_good(struct fkeyby *k, struct fl_run *run, const struct fl_batch *b, struct fl_err *err)
{
	struct fl_batch good;

	fl_buf_clear(&k->rows);
	for (uint32_t i = 0; i < b->rows; i++)
		if (!k->bad.mask.data[i])
			fl_buf_put(&k->rows, &i, sizeof i);
	fl_batch_select(b, (const uint32_t *)(const void *)k->rows.data,
			(uint32_t)(k->rows.len / sizeof(uint32_t)), &k->pool, &good);
	return fl_emit(run, &good, err);
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
	fl_badrows_reset(&k->bad);
	for (uint32_t i = 0; i < k->path_count; i++) {
		struct path *p = &k->path[i];

		if (fl_expr_eval(p->expr, b, &k->bad, &k->cols[p->column], err) < 0)
			return err->code;
	}
	if (fl_run_bad(run, b, &k->bad, NULL, err) < 0)
		return err->code;
	return k->bad.count ? emit_good(k, run, &mapped, err) : fl_emit(run, &mapped, err);
}

static bool
is_path(const struct fkeyby *k, uint32_t column)
{
	for (uint32_t i = 0; i < k->path_count; i++)
		if (k->path[i].column == column)
			return true;
	return false;
}

static int
on_end(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fkeyby *k = self;
	const struct fl_header *out = fl_run_out(run);
	const char *name;

	(void)err;
	for (uint32_t i = 0; k->from && i < out->column_count; i++)
		if (k->from[i] == FL_NO_COLUMN && !is_path(k, i))
			fl_run_unseen(run, out->columns[i].name);
	for (uint32_t p = 0; p < k->path_count; p++)
		for (size_t i = 0; (name = fl_expr_unseen(k->path[p].expr, i)); i++)
			fl_run_unseen(run, name);
	return 0;
}

static void
close_keyby(void *self)
{
	struct fkeyby *k = self;

	for (uint32_t i = 0; i < k->path_count; i++)
		fl_expr_free(k->path[i].expr);
	free(k->path);
	free(k->from);
	free(k->cols);
	fl_badrows_release(&k->bad);
	fl_buf_release(&k->rows);
	fl_buf_release(&k->pool);
}

static const struct fl_op fkeyby_op = {
	.name = "fkeyby",
	.summary = "decode records, take their event time, and name the key",
	.usage = "KEY[,KEY...] [FILE...]",
	.notes = "KEY is a column or a JSON path (.req.path). What comes next (fwindow, freduce,\n"
		 "fjoin) works per key.\n"
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
