/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AND, OR, NOT, IS, CASE, COALESCE: what looks at one argument only where the
 * ones before it have not decided.
 */
#include "expr/expr-node.h"

/* Scratch of a node that keeps lists of records. */
enum { ROWS_LEFT = 0, ROWS_TAKEN = 1, TRUTH = 2 };

static uint32_t *
row_buffer(struct fl_xnode *x, int which, uint32_t rows)
{
	fl_buf_clear(&x->scratch[which]);
	return (uint32_t *)(void *)fl_buf_reserve(&x->scratch[which],
						  (rows + 1) * sizeof(uint32_t));
}

static uint8_t *
truth_buffer(struct fl_xnode *x, uint32_t rows)
{
	fl_buf_clear(&x->scratch[TRUTH]);
	return (uint8_t *)fl_buf_reserve(&x->scratch[TRUTH], rows + 1);
}

/*
 * A chain of ANDs ends for a record at the first FALSE, one of ORs at the first
 * TRUE (decided); an UNKNOWN before it stays unless that comes.
 */
static int
test_chain(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, uint8_t decided,
	   uint8_t *t)
{
	uint32_t *rows = row_buffer(x, ROWS_LEFT, ev->rows);
	uint8_t *more = truth_buffer(x, ev->rows);
	struct fl_xsel left = *sel;
	int rc = fl_x_test(x->arg[0], ev, sel, t);

	for (uint32_t a = 1; rc == 0 && a < x->argc; a++) {
		uint32_t n = 0;

		for (uint32_t k = 0; k < left.n; k++) {
			uint32_t i = fl_x_row(&left, k);

			rows[n] = i;
			n += t[i] != decided;
		}
		left = (struct fl_xsel){ rows, n };
		rc = fl_x_test(x->arg[a], ev, &left, more);
		for (uint32_t k = 0; rc == 0 && k < n; k++) {
			uint32_t i = rows[k];

			if (more[i] == decided || t[i] != FL_X_UNKNOWN)
				t[i] = more[i];
		}
	}
	return rc;
}

int
fl_x_test_and(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, uint8_t *t)
{
	return test_chain(x, ev, sel, FL_X_FALSE, t);
}

int
fl_x_test_or(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, uint8_t *t)
{
	return test_chain(x, ev, sel, FL_X_TRUE, t);
}

int
fl_x_test_not(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, uint8_t *t)
{
	int rc = fl_x_test(x->arg[0], ev, sel, t);

	for (uint32_t k = 0; rc == 0 && k < sel->n; k++) {
		uint32_t i = fl_x_row(sel, k);

		t[i] = t[i] == FL_X_UNKNOWN ? FL_X_UNKNOWN : !t[i];
	}
	return rc;
}

int
fl_x_test_is(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, uint8_t *t)
{
	int what = x->code & ~FL_X_IS_NOT, rc;
	bool not = x->code & FL_X_IS_NOT;
	struct fl_vec v;

	if (what == FL_X_IS_NULL) {
		rc = fl_x_eval(x->arg[0], ev, sel, &v);
		for (uint32_t k = 0; rc == 0 && k < sel->n; k++) {
			uint32_t i = fl_x_row(sel, k);

			t[i] = fl_is_null(&v, i) != not;
		}
		return rc;
	}
	rc = fl_x_test(x->arg[0], ev, sel, t);
	for (uint32_t k = 0; rc == 0 && k < sel->n; k++) {
		uint32_t i = fl_x_row(sel, k);
		bool is = what == FL_X_IS_TRUE    ? t[i] == FL_X_TRUE
			  : what == FL_X_IS_FALSE ? t[i] == FL_X_FALSE
						  : t[i] == FL_X_UNKNOWN;

		t[i] = is != not;
	}
	return rc;
}

/* Evaluate a result for some records and put it where it belongs. */
static int
put_result(struct fl_xnode *x, struct fl_xnode *result, struct fl_xeval *ev,
	   const struct fl_xsel *sel)
{
	struct fl_vec v;
	int rc;

	if (sel->n == 0)
		return 0;
	rc = fl_x_eval(result, ev, sel, &v);
	for (uint32_t k = 0; rc == 0 && k < sel->n; k++) {
		uint32_t i = fl_x_row(sel, k);
		struct fl_xval val = fl_x_get(&v, i);

		rc = fl_xres_put(&x->res, i, &val, ev);
	}
	return rc;
}

/* CASE x WHEN ..: give each condition the value of x that it compares with. */
static int
hold_operand(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel)
{
	struct fl_vec v;
	int rc = fl_x_eval(x->arg[0], ev, sel, &v);

	for (uint32_t a = 1; rc == 0 && a + 1 < x->argc; a += 2)
		x->arg[a]->arg[0]->held = v;
	return rc;
}

int
fl_x_eval_case(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel,
	       struct fl_vec *ret)
{
	uint32_t *left = row_buffer(x, ROWS_LEFT, ev->rows);
	uint32_t *taken = row_buffer(x, ROWS_TAKEN, ev->rows);
	uint8_t *t = truth_buffer(x, ev->rows);
	struct fl_xsel now = *sel;
	uint32_t a = x->code ? 1 : 0;
	int rc = x->code ? hold_operand(x, ev, sel) : 0;

	fl_xres_begin(&x->res, ev->rows);
	for (; rc == 0 && a + 1 < x->argc && now.n > 0; a += 2) {
		uint32_t n = 0, rest = 0;

		rc = fl_x_test(x->arg[a], ev, &now, t);
		if (rc < 0)
			break;
		for (uint32_t k = 0; k < now.n; k++) {
			uint32_t i = fl_x_row(&now, k);

			if (t[i] == FL_X_TRUE)
				taken[n++] = i;
			else
				left[rest++] = i;
		}
		now = (struct fl_xsel){ left, rest };
		rc = put_result(x, x->arg[a + 1], ev, &(struct fl_xsel){ taken, n });
	}
	if (rc == 0)
		rc = put_result(x, x->arg[x->argc - 1], ev, &now);
	fl_xres_finish(&x->res, sel, ret);
	return rc;
}

int
fl_x_eval_coalesce(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel,
		   struct fl_vec *ret)
{
	uint32_t *left = row_buffer(x, ROWS_LEFT, ev->rows);
	struct fl_xsel now = *sel;
	int rc = 0;

	fl_xres_begin(&x->res, ev->rows);
	for (uint32_t a = 0; rc == 0 && a < x->argc && now.n > 0; a++) {
		uint32_t rest = 0;
		struct fl_vec v;

		rc = fl_x_eval(x->arg[a], ev, &now, &v);
		for (uint32_t k = 0; rc == 0 && k < now.n; k++) {
			uint32_t i = fl_x_row(&now, k);
			struct fl_xval val = fl_x_get(&v, i);

			rc = fl_xres_put(&x->res, i, &val, ev);
			if (val.type == FL_X_NULL)
				left[rest++] = i;
		}
		now = (struct fl_xsel){ left, rest };
	}
	fl_xres_finish(&x->res, sel, ret);
	return rc;
}
