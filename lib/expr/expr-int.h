/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions over aggregate calls: what agg.c needs of expr.c and nobody else
 * may use.
 *
 * Calling sequence
 *	e = fl_expr_new("sum(a) / count(*)", env)
 *	fl__expr_bind_aggs(e, header, &hook, &err)
 *	    calls hook.found once for each aggregate call, left to right; the call's
 *	    place in the tree becomes a reference to the slot that found returned
 *	fl__expr_eval_slots(e, slots, n_slots, rows, &bad, &ret, &err)
 *	    evaluates what is left, with one vector of values a slot
 *
 * The first bind parses and calls found. At a later header bind again: it only
 * resolves columns that were not there before; found is not called again (the
 * hook's owner binds the arguments it took itself, with fl_expr_bind).
 */
#ifndef FL_EXPR_EXPR_INT_H
#define FL_EXPR_EXPR_INT_H

#include "expr/expr.h"

/* One key of "agg(x ORDER BY expr [ASC|DESC] [NULLS FIRST|LAST])". */
struct fl__agg_order {
	struct fl_expr *expr;
	bool desc;
	bool nulls_first; /* as said, else PostgreSQL's: true for DESC */
};

/*
 * An aggregate call as it was written. The expressions in it are bound to the
 * header already, and are of the same kind as any: fl_expr_eval, fl_expr_filter
 * and fl_expr_bind (at later headers) work on them.
 *
 * Ownership: hook.found takes every expression that it wants to keep by
 * setting the pointer to NULL (args[i], filter, order[i].expr); what is left
 * is freed by the caller. The arrays and the name are the caller's.
 */
struct fl__agg_call {
	const char *name;             /* in lower case: "sum" */
	const char *text;             /* the call in the user's words, for messages */
	struct fl_expr **args;
	uint32_t arg_count;           /* 0 where star */
	bool star;                    /* count(*) */
	bool distinct;                /* agg(DISTINCT x) */
	bool within_group;            /* agg(..) WITHIN GROUP (ORDER BY ..): see order */
	struct fl_expr *filter;       /* FILTER (WHERE ..), or NULL */
	struct fl__agg_order *order;
	uint32_t order_count;
};

struct fl__agg_hook {
	void *ctx;

	/* Whether name (lower case) is an aggregate: asked for every function call. */
	bool (*is_agg)(void *ctx, const char *name);

	/*
	 * Take a call; *ret_slot gets the number of the slot that holds its
	 * result, *ret_kind the kind of the results as far as it is known (else
	 * FL_TEXT). Calls do not nest. Equal calls may get the same slot:
	 * fl__expr_signature tells whether two expressions are the same.
	 */
	int (*found)(void *ctx, struct fl__agg_call *call, uint32_t *ret_slot,
		     enum fl_kind *ret_kind, struct fl_err *err);

	/* Names of all aggregates, for "did you mean". May be empty. */
	const char *const *names;
	size_t name_count;
};

/* As fl_expr_bind; aggregate calls go to the hook. */
int fl__expr_bind_aggs(struct fl_expr *e, const struct fl_header *h,
		       const struct fl__agg_hook *hook, struct fl_err *err);

/*
 * Evaluate an expression bound with a hook for rows results: slots[k] has rows
 * values. *ret borrows from slots and from e until the next evaluation. A value
 * that cannot be computed (a division by zero) is in *bad, as in fl_expr_eval.
 */
int fl__expr_eval_slots(struct fl_expr *e, const struct fl_vec *slots, uint32_t slot_count,
			uint32_t rows, struct fl_badrows *bad, struct fl_vec *ret,
			struct fl_err *err);

/*
 * The slot, if the expression is nothing but one aggregate call; else
 * UINT32_MAX. Spares the evaluation.
 */
uint32_t fl__expr_slot(const struct fl_expr *e);

/*
 * Whether the expression is nothing but constants (its value is the same for
 * every record): percentile fractions, separators, the k of topk.
 */
bool fl__expr_is_constant(const struct fl_expr *e);

/*
 * The value of a constant expression: *ret has one value and borrows from e
 * until its next evaluation. FL_EUSAGE if it is not constant or has none.
 */
int fl__expr_constant(struct fl_expr *e, struct fl_vec *ret, struct fl_err *err);

/*
 * The columns that the expression refers to itself (outside aggregate calls):
 * the name of the i-th reference, or NULL; *ret_index gets its column index or
 * FL_NO_COLUMN while it has not come. The name lives as long as e.
 */
const char *fl__expr_ref(const struct fl_expr *e, size_t i, uint32_t *ret_index);

/*
 * Append a text that is equal for two expressions exactly if they compute the
 * same thing (written in the same way, white space and quoting apart).
 */
void fl__expr_signature(const struct fl_expr *e, struct fl_buf *out);

#endif
