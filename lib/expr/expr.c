/* SPDX-License-Identifier: Apache-2.0 */
/* The interface of expr.h and expr-int.h over the tree of nodes. */
#include "expr/expr.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "expr/expr-node.h"
#include "expr/parse.h"

/* ---- bad records -------------------------------------------------------- */

void
fl_badrows_reset(struct fl_badrows *b)
{
	fl_buf_clear(&b->mask);
	b->count = 0;
	b->first = 0;
	b->reason[0] = '\0';
	b->place[0] = '\0';
}

bool
fl_badrows_add(struct fl_badrows *b, uint32_t rows, uint32_t row, const char *fmt, ...)
{
	bool first = b->count == 0 || row < b->first;
	va_list ap;

	if (b->mask.len < rows) {
		size_t more = rows - b->mask.len;

		memset(fl_buf_reserve(&b->mask, more), 0, more);
		b->mask.len = rows;
	}
	if (b->mask.data[row])
		return false;
	b->mask.data[row] = 1;
	if (first) {
		va_start(ap, fmt);
		(void)vsnprintf(b->reason, sizeof b->reason, fmt, ap);
		va_end(ap);
		b->place[0] = '\0';
		b->first = row;
	}
	b->count++;
	return first;
}

void
fl_badrows_release(struct fl_badrows *b)
{
	fl_buf_release(&b->mask);
	*b = (struct fl_badrows){ 0 };
}

/* ---- life --------------------------------------------------------------- */

struct fl_expr *
fl_expr_new(const char *text, const struct fl_expr_env *env)
{
	struct fl_expr *e = fl_xcalloc(1, sizeof *e);

	e->text = fl_xstrdup(text);
	if (env)
		e->env = *env;
	return e;
}

void
fl_expr_free(struct fl_expr *e)
{
	if (!e)
		return;
	fl_x_free(e->root);
	fl_xres_release(&e->out);
	if (!e->shared)
		fl_paths_free(e->paths);
	free(e->text);
	free(e);
}

void
fl_expr_share(struct fl_expr *e, struct fl_paths *p)
{
	e->paths = p;
	e->shared = true;
}

#define DOTS_MAX 16 /* words of a column name with dots in it */

/* ---- names -------------------------------------------------------------- */

static bool
grows_columns(const struct fl_header *h)
{
	return h->format && strcmp(h->format, "jsonl") == 0;
}

/* The first n words of a reference, joined with dots, as a column's name. */
static size_t
join_steps(const struct fl_xnode *x, uint32_t n, struct fl_buf *out)
{
	fl_buf_clear(out);
	for (uint32_t i = 0; i < n; i++) {
		if (i)
			fl_buf_putc(out, '.');
		fl_buf_put(out, x->step[i].key, x->step[i].len);
	}
	fl_buf_putc(out, '\0');
	return out->len - 1;
}

static int
unknown_column(const struct fl_expr *e, const struct fl_xnode *x, const struct fl_header *h,
	       struct fl_err *err)
{
	const char *key = x->step[0].key;
	char advice[FL_ADVICE_MAX];

	if (e->text[x->place] == '"' && !fl_header_nearest(h, key, x->step[0].len))
		return fl_x_fail(err, e->text, x->place,
				 "unknown column \"%s\" (text is written in single quotes: '%s')", key,
				 key);
	return fl_x_fail(err, e->text, x->place, "unknown column \"%s\"%s", key,
			 fl_header_advice(h, key, x->step[0].len, advice));
}

/*
 * A column may itself have dots in its name, so the longest name that exists is
 * taken; what follows is a path into it.
 */
static int
resolve_column(struct fl_expr *e, struct fl_xnode *x, const struct fl_header *h,
	       struct fl_err *err)
{
	static const uint8_t types[FL_KINDS] = {
		[FL_TEXT] = FL_X_ANY,   [FL_INT64] = FL_X_INT, [FL_DECIMAL] = FL_X_DEC,
		[FL_DOUBLE] = FL_X_DEC, [FL_BOOL] = FL_X_BOOL, [FL_TIME] = FL_X_TIME,
	};
	struct fl_buf name = { 0 };
	uint32_t words = 1, n;

	while (words < x->step_count && words < DOTS_MAX && x->step[words].key)
		words++;
	for (n = words; n > 0 && x->column == FL_NO_COLUMN; n--) {
		size_t len = join_steps(x, n, &name);

		x->column = fl_header_find(h, name.data, len);
		if (x->column != FL_NO_COLUMN)
			x->path = n;
	}
	fl_buf_release(&name);
	if (x->column == FL_NO_COLUMN) {
		x->path = 1;
		return grows_columns(h) ? 0 : unknown_column(e, x, h, err);
	}
	x->type = x->path < x->step_count ? FL_X_ANY : types[h->columns[x->column].kind];
	free(x->column_name);
	x->column_name = fl_xstrdup(h->columns[x->column].name);
	x->walked = x->path + 1 == x->step_count && x->step[x->path].key;
	if (!x->walked)
		return 0;
	if (!e->paths)
		e->paths = fl_paths_new();
	x->found = fl_paths_want(e->paths, x->column, x->step[x->path].key,
				 x->step[x->path].len);
	return 0;
}

/* Also makes types known that depend on a column's. */
static int
resolve(struct fl_expr *e, struct fl_xnode *x, const struct fl_header *h, struct fl_err *err)
{
	if (x->op == FL_XO_COLUMN)
		return x->column == FL_NO_COLUMN ? resolve_column(e, x, h, err) : 0;
	for (uint32_t i = 0; i < x->argc; i++) {
		int rc = resolve(e, x->arg[i], h, err);

		if (rc < 0)
			return rc;
	}
	if (x->op != FL_XO_CALL && x->op != FL_XO_SLOT && x->op != FL_XO_HELD)
		fl_x_finish(x);
	return 0;
}

int
fl_x_resolve(struct fl_expr *e, const struct fl_header *h, struct fl_err *err)
{
	return resolve(e, e->root, h, err);
}

static int
bind(struct fl_expr *e, const struct fl_header *h, const struct fl__agg_hook *hook,
     struct fl_err *err)
{
	if (!e->root) {
		int rc = fl_x_parse(e, h, hook, err);

		if (rc < 0)
			return rc;
	}
	return fl_x_resolve(e, h, err);
}

int
fl_expr_bind(struct fl_expr *e, const struct fl_header *h, struct fl_err *err)
{
	return bind(e, h, NULL, err);
}

int
fl__expr_bind_aggs(struct fl_expr *e, const struct fl_header *h, const struct fl__agg_hook *hook,
		   struct fl_err *err)
{
	return bind(e, h, hook, err);
}

/* The i-th node that is a column, counted down from *i to 0. */
static const struct fl_xnode *
find_column(const struct fl_xnode *x, size_t *i)
{
	const struct fl_xnode *found = NULL;

	if (x->op == FL_XO_COLUMN)
		return (*i)-- == 0 ? x : NULL;
	for (uint32_t a = 0; !found && a < x->argc; a++)
		found = find_column(x->arg[a], i);
	return found;
}

const char *
fl__expr_ref(const struct fl_expr *e, size_t i, uint32_t *ret_index)
{
	const struct fl_xnode *x = e->root ? find_column(e->root, &i) : NULL;

	if (!x)
		return NULL;
	*ret_index = x->column;
	return x->column_name ? x->column_name : x->step[0].key;
}

const char *
fl_expr_unseen(const struct fl_expr *e, size_t i)
{
	uint32_t column;
	const char *name;

	for (size_t k = 0; (name = fl__expr_ref(e, k, &column)); k++)
		if (column == FL_NO_COLUMN && i-- == 0)
			return name;
	return NULL;
}

/* ---- what it is --------------------------------------------------------- */

enum fl_kind
fl_expr_kind(const struct fl_expr *e)
{
	switch (e->root ? e->root->type : FL_X_ANY) {
	case FL_X_BOOL:
		return FL_BOOL;
	case FL_X_INT:
		return FL_INT64;
	case FL_X_DEC:
		return FL_DECIMAL;
	case FL_X_TIME:
		return FL_TIME;
	default:
		return FL_TEXT;
	}
}

uint32_t
fl_expr_column(const struct fl_expr *e)
{
	const struct fl_xnode *x = e->root;

	return x && x->op == FL_XO_COLUMN && x->path >= x->step_count ? x->column : FL_NO_COLUMN;
}

bool
fl_expr_is_set(const struct fl_expr *e)
{
	return e->root && e->root->op == FL_XO_CALL && e->root->func->flags & FL_XF_SET;
}

uint32_t
fl__expr_slot(const struct fl_expr *e)
{
	return e->root && e->root->op == FL_XO_SLOT ? e->root->slot : UINT32_MAX;
}

/* Without columns and slots; errors at run time keep a node from being folded. */
static bool
is_constant(const struct fl_xnode *x)
{
	if (x->op == FL_XO_COLUMN || x->op == FL_XO_SLOT)
		return false;
	for (uint32_t i = 0; i < x->argc; i++)
		if (!is_constant(x->arg[i]))
			return false;
	return true;
}

bool
fl__expr_is_constant(const struct fl_expr *e)
{
	return e->root && is_constant(e->root);
}

static void
sign_value(const struct fl_xval *v, struct fl_buf *out)
{
	char buf[FL_X_TEXT_MAX];
	size_t n;
	const char *p = fl_x_to_text(v, NULL, buf, &n);

	fl_buf_printf(out, "%u:%u:%zu:", v->type, v->type == FL_X_TEXT ? v->tag : 0u, n);
	fl_buf_put(out, p, n);
}

static void
sign(const struct fl_xnode *x, struct fl_buf *out)
{
	const struct fl_xcast_arg *cast = x->op == FL_XO_CAST ? x->priv : NULL;

	fl_buf_printf(out, "(%d,%d", (int)x->op, x->code);
	if (x->op == FL_XO_CONST)
		sign_value(&x->value, out);
	if (x->op == FL_XO_SLOT)
		fl_buf_printf(out, " %u", x->slot);
	if (x->op == FL_XO_CALL)
		fl_buf_printf(out, " %s", x->func->name);
	if (cast)
		fl_buf_printf(out, " %d,%d,%s", cast->precision, cast->scale,
			      cast->unit ? cast->unit : "");
	for (uint32_t i = 0; i < x->step_count; i++) {
		const struct fl_xstep *s = &x->step[i];

		if (s->key)
			fl_buf_printf(out, " %zu:%s", s->len, s->key);
		else
			fl_buf_printf(out, " [%lld]", (long long)s->index);
	}
	for (uint32_t i = 0; i < x->argc; i++)
		sign(x->arg[i], out);
	fl_buf_putc(out, ')');
}

void
fl__expr_signature(const struct fl_expr *e, struct fl_buf *out)
{
	if (e->root)
		sign(e->root, out);
}

/* ---- evaluation --------------------------------------------------------- */

/* Dates and intervals leave an expression as text. */
static int
as_text(struct fl_expr *e, struct fl_xeval *ev, struct fl_vec *v)
{
	struct fl_xsel all = { NULL, ev->rows };
	char buf[FL_X_TEXT_MAX];

	fl_xres_begin(&e->out, ev->rows);
	for (uint32_t i = 0; i < ev->rows; i++) {
		struct fl_xval val = fl_x_get(v, i);
		size_t n;
		const char *p;
		int rc;

		if (val.type != FL_X_NULL) {
			p = fl_x_to_text(&val, ev->env, buf, &n);
			val = fl_x_text(p, n);
		}
		rc = fl_xres_put(&e->out, i, &val, ev);
		if (rc < 0)
			return rc;
	}
	fl_xres_finish(&e->out, &all, v);
	return 0;
}

static struct fl_xeval
evaluation(struct fl_expr *e, const struct fl_batch *b, struct fl_badrows *bad, struct fl_err *err)
{
	if (e->paths && !e->shared)
		fl_paths_begin(e->paths, b);
	return (struct fl_xeval){ .batch = b, .paths = e->paths, .rows = b->rows, .env = &e->env,
				  .text = e->text, .bad = bad, .err = err };
}

static int
evaluate(struct fl_expr *e, struct fl_xeval *ev, struct fl_vec *ret)
{
	struct fl_xsel all = { NULL, ev->rows };
	int rc = fl_x_eval(e->root, ev, &all, ret);

	if (rc == 0 && ret->kind >= FL_KINDS)
		rc = as_text(e, ev, ret);
	return rc;
}

int
fl_expr_eval(struct fl_expr *e, const struct fl_batch *b, struct fl_badrows *bad,
	     struct fl_vec *ret, struct fl_err *err)
{
	struct fl_xeval ev = evaluation(e, b, bad, err);

	return evaluate(e, &ev, ret);
}

int
fl__expr_eval_slots(struct fl_expr *e, const struct fl_vec *slots, uint32_t slot_count,
		    uint32_t rows, struct fl_badrows *bad, struct fl_vec *ret, struct fl_err *err)
{
	struct fl_xeval ev = { .slots = slots, .rows = rows, .env = &e->env,
			       .text = e->text, .bad = bad, .err = err };

	(void)slot_count;
	return evaluate(e, &ev, ret);
}

int
fl__expr_constant(struct fl_expr *e, struct fl_vec *ret, struct fl_err *err)
{
	struct fl_badrows bad = { 0 };
	struct fl_xeval ev = { .rows = 1, .env = &e->env, .bad = &bad, .err = err };
	int rc;

	if (!fl__expr_is_constant(e))
		return fl_x_fail(err, e->text, e->root ? e->root->place : 0, "not a constant");
	rc = evaluate(e, &ev, ret);
	if (rc == 0 && bad.count)
		rc = fl_x_fail(err, e->text, e->root->place, "%s", bad.reason);
	fl_badrows_release(&bad);
	return rc;
}

int
fl_expr_filter(struct fl_expr *e, const struct fl_batch *b, struct fl_badrows *bad, uint32_t *rows,
	       uint32_t *ret_n, struct fl_err *err)
{
	struct fl_xeval ev = evaluation(e, b, bad, err);
	struct fl_xsel all = { NULL, b->rows };

	return fl_x_filter(e->root, &ev, &all, rows, ret_n);
}

int
fl_expr_unnest(struct fl_expr *e, const struct fl_batch *b, struct fl_badrows *bad,
	       uint32_t *counts, struct fl_vec *ret, struct fl_err *err)
{
	struct fl_xeval ev = evaluation(e, b, bad, err);

	return fl_x_unnest(e->root, &ev, counts, ret);
}
