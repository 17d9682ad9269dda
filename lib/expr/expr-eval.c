/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes: making them, constants, columns, calls, conditions, sets. */
#include <stdio.h>
#include <stdlib.h>

#include "expr/expr-node.h"
#include "expr/func-json.h"

/* What each of a node's scratch buffers is for, where it has such a use. */
enum {
	SCRATCH_BUILT = 0, /* text that a call makes */
	SCRATCH_TMP = 1,   /* text of arguments that were no text */
	SCRATCH_TRUTH = 3, /* truth values */
};

/* ---- making and freeing ------------------------------------------------- */

struct fl_xnode *
fl_x_node(enum fl_xop op, uint32_t place, uint32_t argc)
{
	struct fl_xnode *x = fl_xcalloc(1, sizeof *x);

	x->op = op;
	x->place = place;
	x->type = FL_X_ANY;
	x->column = FL_NO_COLUMN;
	x->argc = argc;
	return x;
}

void
fl_x_add_arg(struct fl_xnode *x, struct fl_xnode *arg)
{
	if ((x->argc & (x->argc - 1)) == 0) /* room grows at powers of two */
		x->arg = fl_xreallocarray(x->arg, x->argc ? 2 * (size_t)x->argc : 1,
					  sizeof(struct fl_xnode *));
	x->arg[x->argc++] = arg;
}

void
fl_x_free(struct fl_xnode *x)
{
	if (!x)
		return;
	for (uint32_t i = 0; i < x->argc; i++)
		fl_x_free(x->arg[i]);
	for (uint32_t i = 0; i < x->step_count; i++)
		free(x->step[i].key);
	if (x->op == FL_XO_CONST && x->value.type == FL_X_TEXT)
		free((char *)(uintptr_t)x->value.p);
	if (x->timefmt)
		fl_timefmt_release(x->timefmt);
	if (x->priv_free)
		x->priv_free(x->priv);
	for (size_t i = 0; i < FL_ARRAY_LEN(x->scratch); i++)
		fl_buf_release(&x->scratch[i]);
	fl_xres_release(&x->res);
	free(x->timefmt);
	free(x->step);
	free(x->column_name);
	free(x->argv);
	free(x->vals);
	free(x->arg);
	free(x);
}

/* ---- leaves ------------------------------------------------------------- */

static int
eval_const(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, struct fl_vec *ret)
{
	(void)sel;
	if (x->value.type == FL_X_TEXT) {
		*ret = (struct fl_vec){ .kind = FL_TEXT, .tag = x->value.tag, .bytes = x->value.p,
					.bytes_len = x->value.n, .off = x->off };
		return 0;
	}
	if (x->filled < ev->rows || x->res.rows == 0) {
		struct fl_xsel all = { NULL, ev->rows > 0 ? ev->rows : 1 };

		fl_xres_begin(&x->res, all.n);
		for (uint32_t i = 0; i < all.n; i++) {
			int rc = fl_xres_put(&x->res, i, &x->value, ev);

			if (rc < 0)
				return rc;
		}
		fl_xres_finish(&x->res, &all, &x->held);
		x->filled = all.n;
	}
	*ret = x->held;
	return 0;
}

struct fl_xnode *
fl_x_const(const struct fl_xval *v, uint32_t place)
{
	struct fl_xnode *x = fl_x_node(FL_XO_CONST, place, 0);

	x->value = *v;
	x->type = v->type == FL_X_NULL ? FL_X_ANY : v->type;
	if (v->type == FL_X_TEXT) {
		x->value.p = fl_xstrndup(v->n ? v->p : "", v->n);
		x->off[1] = (uint32_t)v->n;
	}
	x->eval = eval_const;
	return x;
}

/* Follow the path of x inside one value of its column. */
static int
put_path(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_vec *col, uint32_t row)
{
	struct fl_xval v = fl_x_get(col, row);
	struct fl_json at;
	bool found;

	if (v.type == FL_X_NULL)
		return fl_xres_put(&x->res, row, &v, ev);
	found = v.type == FL_X_TEXT && fl_json_open(v.p, v.n, &at);
	for (uint32_t s = x->path; found && s < x->step_count; s++) {
		const struct fl_xstep *step = &x->step[s];

		found = step->key ? fl_json_get(&at, step->key, step->len, &at)
				  : fl_json_at(&at, step->index, &at);
	}
	fl_buf_clear(&x->scratch[SCRATCH_BUILT]);
	if (found) {
		v = fl_x_json_value(&at, &x->scratch[SCRATCH_BUILT]);
	} else {
		v = fl_x_null();
		v.tag = FL_TAG_ABSENT;
	}
	return fl_xres_put(&x->res, row, &v, ev);
}

static int
eval_column(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, struct fl_vec *ret)
{
	const struct fl_vec *col;

	if (x->column == FL_NO_COLUMN || !ev->batch) {
		static const struct fl_batch none;

		*ret = *fl_batch_col(&none, 0);
		return 0;
	}
	col = fl_batch_col(ev->batch, x->column);
	if (x->path >= x->step_count) {
		*ret = *col;
		return 0;
	}
	if (x->walked && ev->paths) {
		fl_paths_get(ev->paths, x->found, ret);
		return 0;
	}
	fl_xres_begin(&x->res, ev->rows);
	for (uint32_t k = 0; k < sel->n; k++) {
		int rc = put_path(x, ev, col, fl_x_row(sel, k));

		if (rc < 0)
			return rc;
	}
	fl_xres_finish(&x->res, sel, ret);
	return 0;
}

static int
eval_slot(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, struct fl_vec *ret)
{
	(void)sel;
	*ret = ev->slots[x->slot];
	return 0;
}

static int
eval_held(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, struct fl_vec *ret)
{
	(void)ev;
	(void)sel;
	*ret = x->held;
	return 0;
}

/* ---- calls -------------------------------------------------------------- */

/* What a call keeps for each of its arguments. */
struct call_arg {
	char letter;    /* what the value is turned into */
	bool ready;     /* a constant: its value is in x->vals already */
	char text[FL_X_TEXT_MAX];
};

static struct call_arg *
call_args(struct fl_xnode *x)
{
	return (struct call_arg *)(void *)x->scratch[SCRATCH_TMP].data;
}

/* The first time: room for arguments; constants are turned into what is wanted. */
static void
prepare_args(struct fl_xcall *c)
{
	struct fl_xnode *x = c->node;
	struct call_arg *args;

	x->argv = fl_xcalloc(x->argc + 1, sizeof *x->argv);
	x->vals = fl_xcalloc(x->argc + 1, sizeof *x->vals);
	fl_buf_reserve(&x->scratch[SCRATCH_TMP], (x->argc + 1) * sizeof(struct call_arg));
	fl_buf_reserve(c->text, 1); /* functions may point into it before they write */
	args = call_args(x);
	for (uint32_t i = 0; i < x->argc; i++) {
		const struct fl_xnode *arg = x->arg[i];

		args[i].letter = fl_x_func_letter(x->func, i);
		args[i].ready = arg->op == FL_XO_CONST && arg->value.type != FL_X_NULL;
		x->vals[i] = arg->value;
		if (args[i].ready && args[i].letter != 'a')
			args[i].ready = fl_x_coerce(c, args[i].letter, &x->vals[i], args[i].text) ==
					0;
	}
}

static int
eval_args(struct fl_xcall *c, const struct fl_xsel *sel)
{
	struct fl_xnode *x = c->node;

	if (!x->argv)
		prepare_args(c);
	for (uint32_t i = 0; i < x->argc; i++) {
		int rc = fl_x_eval(x->arg[i], c->ev, sel, &x->argv[i]);

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* The arguments of one record: 1, 0 if one is NULL, or -1 for a bad one. */
static int
take_args(struct fl_xcall *c, uint32_t row)
{
	struct fl_xnode *x = c->node;
	struct call_arg *args = call_args(x);

	for (uint32_t i = 0; i < x->argc; i++) {
		struct fl_xval *v = &x->vals[i];

		if (args[i].ready)
			continue;
		*v = fl_x_get(&x->argv[i], row);
		if (v->type == FL_X_NULL) {
			if (!(x->func->flags & FL_XF_NULLS))
				return 0;
		} else if (args[i].letter != 'a' &&
			   fl_x_coerce(c, args[i].letter, v, args[i].text) < 0) {
			return -1;
		}
	}
	return 1;
}

static int
eval_call(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, struct fl_vec *ret)
{
	char reason[FL_X_REASON_MAX];
	struct fl_xcall c = { .node = x, .ev = ev, .text = &x->scratch[SCRATCH_BUILT],
			      .reason = reason };
	int rc = eval_args(&c, sel);

	fl_xres_begin(&x->res, ev->rows);
	for (uint32_t k = 0; rc == 0 && k < sel->n; k++) {
		uint32_t row = fl_x_row(sel, k);
		struct fl_xval v = fl_x_null();
		int got = take_args(&c, row);

		fl_buf_clear(c.text);
		if (got > 0)
			got = x->func->fn(&c, x->vals, x->argc, &v);
		if (got < 0) {
			fl_x_bad_row(ev, x, row, reason);
			v = fl_x_null();
		}
		rc = fl_xres_put(&x->res, row, &v, ev);
	}
	fl_xres_finish(&x->res, sel, ret);
	return rc;
}

/* ---- conditions --------------------------------------------------------- */

static uint8_t *
truth_buffer(struct fl_xnode *x, uint32_t rows)
{
	fl_buf_clear(&x->scratch[SCRATCH_TRUTH]);
	return (uint8_t *)fl_buf_reserve(&x->scratch[SCRATCH_TRUTH], rows + 1);
}

static int
eval_condition(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel,
	       struct fl_vec *ret)
{
	uint8_t *t = truth_buffer(x, ev->rows);
	int rc = x->test(x, ev, sel, t);

	if (rc == 0)
		fl_xres_truth(&x->res, t, ev->rows, sel, ret);
	return rc;
}

static uint8_t
truth_of(const struct fl_xnode *x, struct fl_xeval *ev, const struct fl_vec *v, uint32_t row)
{
	struct fl_xval val = fl_x_get(v, row);
	char shown[FL_X_SHOW_MAX], reason[FL_X_REASON_MAX];
	bool b;

	if (val.type == FL_X_NULL)
		return FL_X_UNKNOWN;
	if (fl_x_truth(&val, &b))
		return b ? FL_X_TRUE : FL_X_FALSE;
	(void)snprintf(reason, sizeof reason, "neither true nor false: %s",
		       fl_x_show(&val, ev->env, shown));
	fl_x_bad_row(ev, x, row, reason);
	return FL_X_UNKNOWN;
}

int
fl_x_test(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, uint8_t *t)
{
	struct fl_vec v;
	int rc;

	if (x->test)
		return x->test(x, ev, sel, t);
	rc = fl_x_eval(x, ev, sel, &v);
	if (rc < 0)
		return rc;
	for (uint32_t k = 0; k < sel->n; k++) {
		uint32_t i = fl_x_row(sel, k);

		if (v.kind == FL_BOOL && !v.tags && v.tag == FL_TAG_PLAIN)
			t[i] = v.b[i] != 0;
		else
			t[i] = truth_of(x, ev, &v, i);
	}
	return 0;
}

/* Each condition of an AND looks only at what the ones before have left. */
static int
filter_and(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, uint32_t *rows,
	   uint32_t *ret_n)
{
	struct fl_xsel left = *sel;

	for (uint32_t i = 0; i < x->argc; i++) {
		int rc = fl_x_filter(x->arg[i], ev, &left, rows, &left.n);

		if (rc < 0)
			return rc;
		left.rows = rows;
	}
	*ret_n = left.n;
	return 0;
}

int
fl_x_filter(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, uint32_t *rows,
	    uint32_t *ret_n)
{
	uint32_t n = 0;
	uint8_t *t;
	int rc;

	if (x->op == FL_XO_AND)
		return filter_and(x, ev, sel, rows, ret_n);
	t = truth_buffer(x, ev->rows);
	rc = fl_x_test(x, ev, sel, t);
	if (rc < 0)
		return rc;
	if (!sel->rows) {
		for (uint32_t i = 0; i < sel->n; i++) {
			rows[n] = i;
			n += t[i] == FL_X_TRUE;
		}
	} else {
		for (uint32_t k = 0; k < sel->n; k++) {
			uint32_t i = sel->rows[k];

			rows[n] = i;
			n += t[i] == FL_X_TRUE;
		}
	}
	*ret_n = n;
	return 0;
}

int
fl_x_eval(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, struct fl_vec *ret)
{
	return x->eval(x, ev, sel, ret);
}

/* ---- what a node does --------------------------------------------------- */

/* The type of all that a node may give: that of its arguments if it is one. */
static uint8_t
common_type(const struct fl_xnode *x)
{
	uint8_t type = FL_X_NULL;

	for (uint32_t i = 0; i < x->argc; i++) {
		const struct fl_xnode *arg = x->arg[i];
		bool null = arg->op == FL_XO_CONST && arg->value.type == FL_X_NULL;

		if (x->op == FL_XO_CASE) {
			uint32_t first = x->code ? 1 : 0;
			bool result = i == x->argc - 1 || (i > first && (i - first) % 2 == 1);

			if (!result)
				continue;
		}
		if (null || type == arg->type)
			continue;
		if (type == FL_X_NULL)
			type = arg->type;
		else if ((type == FL_X_INT || type == FL_X_DEC) &&
			 (arg->type == FL_X_INT || arg->type == FL_X_DEC))
			type = FL_X_DEC;
		else
			return FL_X_ANY;
	}
	return type == FL_X_NULL ? FL_X_ANY : type;
}

/* unnest(string_to_array(..)) need not build the array. */
static void
unwrap_set(struct fl_xnode *x)
{
	static const char *const pairs[][2] = {
		{ "string_to_array", "string_to_table" },
		{ "regexp_split_to_array", "regexp_split_to_table" },
	};
	struct fl_xnode *inner = x->arg[0];

	if (strcmp(x->func->name, "unnest") != 0 || inner->op != FL_XO_CALL)
		return;
	for (size_t i = 0; i < FL_ARRAY_LEN(pairs); i++) {
		if (strcmp(inner->func->name, pairs[i][0]) != 0)
			continue;
		free(x->arg);
		x->arg = inner->arg;
		x->argc = inner->argc;
		inner->arg = NULL;
		inner->argc = 0;
		x->func = fl_x_func_find(pairs[i][1]);
		fl_x_free(inner);
		return;
	}
}

static void
finish_call(struct fl_xnode *x)
{
	x->eval = eval_call;
	x->type = x->func->type;
	x->array = strcmp(x->func->name, "array") == 0 || strstr(x->func->name, "to_array") ||
		   strncmp(x->func->name, "regexp_match", 12) == 0;
	if (strcmp(x->func->name, "timezone") == 0)
		x->local = !x->arg[1]->local;
	if (x->func->flags & FL_XF_SET)
		unwrap_set(x);
}

static const struct {
	fl_xeval_fn eval;
	fl_xtest_fn test;
} how[] = {
	[FL_XO_COLUMN] = { eval_column, NULL },
	[FL_XO_SLOT] = { eval_slot, NULL },
	[FL_XO_HELD] = { eval_held, NULL },
	[FL_XO_ARITH] = { fl_x_eval_arith, NULL },
	[FL_XO_COMPARE] = { NULL, fl_x_test_compare },
	[FL_XO_BETWEEN] = { NULL, fl_x_test_between },
	[FL_XO_IN] = { NULL, fl_x_test_in },
	[FL_XO_AND] = { NULL, fl_x_test_and },
	[FL_XO_OR] = { NULL, fl_x_test_or },
	[FL_XO_NOT] = { NULL, fl_x_test_not },
	[FL_XO_IS] = { NULL, fl_x_test_is },
	[FL_XO_DISTINCT] = { NULL, fl_x_test_distinct },
	[FL_XO_CASE] = { fl_x_eval_case, NULL },
	[FL_XO_COALESCE] = { fl_x_eval_coalesce, NULL },
	[FL_XO_NULLIF] = { fl_x_eval_nullif, NULL },
	[FL_XO_EXTREME] = { fl_x_eval_extreme, NULL },
	[FL_XO_CAST] = { fl_x_eval_cast, NULL },
};

void
fl_x_finish(struct fl_xnode *x)
{
	if (x->op == FL_XO_CONST)
		return;
	if (x->op == FL_XO_CALL) {
		finish_call(x);
		return;
	}
	x->eval = how[x->op].eval;
	x->test = how[x->op].test;
	if (x->test) {
		x->eval = eval_condition;
		x->type = FL_X_BOOL;
	}
	if (x->op == FL_XO_ARITH)
		x->type = fl_x_arith_type((enum fl_xarith)x->code, x->arg[0]->type,
					  x->arg[x->argc - 1]->type);
	if (x->op == FL_XO_CASE || x->op == FL_XO_COALESCE || x->op == FL_XO_EXTREME)
		x->type = common_type(x);
	if (x->op == FL_XO_NULLIF)
		x->type = x->arg[0]->type;
	if (x->op == FL_XO_CAST) {
		x->type = fl_x_cast_type((enum fl_xcast)x->code);
		x->local = x->code == FL_XT_TIMESTAMP;
	}
	if (x->op == FL_XO_ARITH)
		x->local = x->arg[0]->local || x->arg[x->argc - 1]->local;
}

struct fl_xnode *
fl_x_fold(struct fl_xnode *x, const struct fl_expr_env *env)
{
	struct fl_badrows bad = { 0 };
	struct fl_err err = { 0 };
	struct fl_xeval ev = { .rows = 1, .env = env, .bad = &bad, .err = &err };
	struct fl_xsel one = { NULL, 1 };
	struct fl_xnode *folded = NULL;
	struct fl_vec v;

	if (x->op == FL_XO_CONST || (x->argc == 0 && x->op != FL_XO_CALL) ||
	    (x->op == FL_XO_CALL && x->func->flags & FL_XF_SET))
		return x;
	for (uint32_t i = 0; i < x->argc; i++)
		if (x->arg[i]->op != FL_XO_CONST)
			return x;
	if (fl_x_eval(x, &ev, &one, &v) == 0 && bad.count == 0) {
		struct fl_xval val = fl_x_get(&v, 0);

		folded = fl_x_const(&val, x->place);
		folded->type = x->type;
		folded->local = x->local;
		folded->array = x->array;
		fl_x_free(x);
	}
	fl_badrows_release(&bad);
	return folded ? folded : x;
}

/* ---- sets --------------------------------------------------------------- */

struct set {
	struct fl_xres *res; /* packed: data has the ends */
	struct fl_xeval *ev;
	uint32_t count;      /* of this record */
	int rc;
};

static int
put_element(void *ctx, const struct fl_xval *v)
{
	struct set *s = ctx;
	char buf[FL_X_TEXT_MAX];
	size_t n;
	const char *p = fl_x_to_text(v, s->ev->env, buf, &n);
	uint32_t end;

	if (s->res->bytes.len + n > UINT32_MAX || s->res->rows == UINT32_MAX) {
		s->rc = fl_fail(s->ev->err, FL_ELIMIT, "a batch gives more than 4 GiB of elements");
		return s->rc;
	}
	fl_buf_put(&s->res->bytes, p, n);
	end = (uint32_t)s->res->bytes.len;
	fl_buf_put(&s->res->data, &end, sizeof end);
	fl_buf_putc(&s->res->tags, (char)(v->type == FL_X_NULL || v->type == FL_X_TEXT ? v->tag
								      : FL_TAG_PLAIN));
	s->res->rows++;
	s->count++;
	return 0;
}

int
fl_x_unnest(struct fl_xnode *x, struct fl_xeval *ev, uint32_t *counts, struct fl_vec *ret)
{
	char reason[FL_X_REASON_MAX];
	struct fl_xcall c = { .node = x, .ev = ev, .text = &x->scratch[SCRATCH_BUILT],
			      .reason = reason };
	struct fl_xsel all = { NULL, ev->rows };
	struct set s = { .res = &x->res, .ev = ev };
	uint32_t zero = 0;
	int rc = eval_args(&c, &all);

	fl_buf_clear(&x->res.data);
	fl_buf_clear(&x->res.bytes);
	fl_buf_clear(&x->res.tags);
	fl_buf_put(&x->res.data, &zero, sizeof zero);
	x->res.rows = 0;
	for (uint32_t row = 0; rc == 0 && row < ev->rows; row++) {
		int got = take_args(&c, row);

		s.count = 0;
		fl_buf_clear(c.text);
		if (got > 0)
			got = fl_x_set_each(&c, x->vals, x->argc, put_element, &s);
		rc = s.rc;
		if (rc == 0 && got < 0)
			fl_x_bad_row(ev, x, row, reason);
		counts[row] = s.count;
	}
	*ret = (struct fl_vec){ .kind = FL_TEXT, .stride = 1, .bytes_len = x->res.bytes.len };
	ret->bytes = x->res.bytes.data ? x->res.bytes.data : "";
	ret->off = (const uint32_t *)(const void *)x->res.data.data;
	ret->tags = (const uint8_t *)x->res.tags.data;
	return rc;
}
