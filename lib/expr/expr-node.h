/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of expressions: values, nodes, and how they are evaluated. For the
 * files of expr.c, parse.c and func.c only.
 *
 * Concepts
 *	An expression is a tree of nodes. A node is evaluated for a selection of
 *	the batch's records, not always for all: CASE, AND, OR and COALESCE evaluate
 *	what stands behind a condition only where it matters, so that a division
 *	that CASE guards against does not make a record bad.
 *
 *	Results are positional: the value of record i is element i, whatever was
 *	selected. Elements that were not selected are NULL.
 *
 * Types are those of each value. A node's type is what all its values will
 * have, FL_X_ANY where that is not known before the data.
 *
 * Text stays text until something needs a number of it.
 */
#ifndef FL_EXPR_EXPR_NODE_H
#define FL_EXPR_EXPR_NODE_H

#include "expr/expr-int.h"
#include "expr/paths.h"
#include "stream/number.h"
#include "time/timestamp.h"

#define FL_X_DEPTH_MAX 1000 /* of a tree */

enum fl_xtype {
	FL_X_NULL = 0,
	FL_X_BOOL,
	FL_X_INT,
	FL_X_DEC,  /* any other number */
	FL_X_TIME,
	FL_X_DATE, /* a civil date: days since the epoch, without a zone */
	FL_X_SPAN, /* SQL's interval */
	FL_X_TEXT,
	FL_X_ANY,  /* of nodes only: not known */
};

/* Kinds of vectors that live inside an expression only; text outside. */
enum {
	FL_XK_DATE = FL_KINDS, /* int64_t days */
	FL_XK_SPAN,            /* struct fl_xspan */
};

/* An interval as PostgreSQL has it: months and days are not a fixed time. */
struct fl_xspan {
	int32_t months;
	int32_t days;
	int64_t ms;
};

struct fl_xval {
	uint8_t type; /* enum fl_xtype */
	uint8_t tag;  /* TEXT: its enum fl_tag; NULL: NULL or ABSENT */
	union {
		bool b;
		int64_t i; /* INT; TIME: ms; DATE: days */
		struct fl_dec dec;
		struct fl_xspan span;
		struct {
			const char *p; /* TEXT, borrowed */
			size_t n;
		};
	};
};

/* Where a node builds its results. Kept from batch to batch. */
struct fl_xres {
	uint8_t kind;      /* enum fl_kind or FL_XK_*; FL_KINDS + 9 while nothing was put */
	uint32_t rows;
	struct fl_buf data;  /* elements; TEXT: pairs of start and end */
	struct fl_buf bytes; /* TEXT */
	struct fl_buf tags;  /* one a row; ABSENT until put */
};

struct fl_xnode;
struct fl_xeval;

/* Records to evaluate for: rows[0..n), or 0..n-1 where rows is NULL. */
struct fl_xsel {
	const uint32_t *rows;
	uint32_t n;
};

static inline uint32_t
fl_x_row(const struct fl_xsel *sel, uint32_t k)
{
	return sel->rows ? sel->rows[k] : k;
}

/* A truth value is one byte. */
enum { FL_X_FALSE = 0, FL_X_TRUE = 1, FL_X_UNKNOWN = 2 };

/* One evaluation of a whole expression. */
struct fl_xeval {
	const struct fl_batch *batch;
	const struct fl_vec *slots; /* results of aggregate calls, or NULL */
	struct fl_paths *paths;     /* of the batch; or NULL: none were looked for */
	uint32_t rows;
	const struct fl_expr_env *env;
	const char *text; /* of the expression, for messages; NULL: not known */
	struct fl_badrows *bad;
	struct fl_err *err;
};

/* Evaluate a node for sel into *ret (rows elements). 0 or an enum fl_code. */
typedef int (*fl_xeval_fn)(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel,
			   struct fl_vec *ret);

/* The same for nodes that are conditions: t[i] is the truth value of record i. */
typedef int (*fl_xtest_fn)(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel,
			   uint8_t *t);

/*
 * One call of a function: for error messages, text results and what the
 * function keeps (a compiled pattern) in the node.
 */
struct fl_xcall {
	struct fl_xnode *node;
	struct fl_xeval *ev;
	struct fl_buf *text;  /* text results are appended here */
	size_t start;         /* where this call's result begins in it */
	char *reason;         /* FL_X_REASON_MAX bytes */
};
#define FL_X_REASON_MAX 256

/* 0, or -1 with c->reason filled (fl_x_bad): the record is bad. */
typedef int (*fl_xfn)(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n,
		      struct fl_xval *ret);

enum {
	FL_XF_NULLS = 1,    /* is called with NULLs; others give NULL for any */
	FL_XF_SET = 2,      /* gives several rows (unnest) */
	FL_XF_CHECK = 4,    /* constant arguments (a pattern, a field) can be wrong by themselves */
};

/*
 * A function. args has one letter an argument, and these say what the argument
 * is turned into before the call:
 *	t text  n number (INT or DEC)  i integer (INT)  b boolean  s time
 *	v interval  a as it is; behind '|' optional; '*' at the end: the last again
 */
struct fl_xfunc {
	const char *name;
	const char *args;
	uint8_t type;      /* enum fl_xtype of the results */
	uint8_t flags;
	int code;          /* tells functions with the same fn apart */
	fl_xfn fn;
	const char *usage; /* the arguments in words: "text, from [, count]" */
};

enum fl_xop {
	FL_XO_CONST,
	FL_XO_COLUMN, /* also a path into one */
	FL_XO_SLOT,   /* the result of an aggregate call */
	FL_XO_HELD,   /* what another node evaluated: CASE x WHEN .. */
	FL_XO_CALL,
	FL_XO_ARITH,
	FL_XO_COMPARE,
	FL_XO_BETWEEN,
	FL_XO_IN,
	FL_XO_AND,
	FL_XO_OR,
	FL_XO_NOT,
	FL_XO_IS,
	FL_XO_DISTINCT,
	FL_XO_CASE,
	FL_XO_COALESCE,
	FL_XO_NULLIF,
	FL_XO_EXTREME, /* GREATEST, LEAST */
	FL_XO_CAST,
};

/* One step of a JSON path. */
struct fl_xstep {
	char *key; /* NULL: an index */
	size_t len;
	int64_t index; /* negative: from the end */
};

struct fl_xnode {
	enum fl_xop op;
	int code;       /* which operator, test or type: by op */
	uint8_t type;   /* enum fl_xtype */
	bool local;     /* a time that is a civil time: AT TIME ZONE goes the other way */
	bool array;     /* an SQL array: [1] is its first element, not its second */
	uint32_t place; /* in the expression's text */
	fl_xeval_fn eval;
	fl_xtest_fn test; /* conditions, else NULL */
	struct fl_xnode **arg;
	uint32_t argc;

	struct fl_xval value; /* CONST; its text is owned */
	uint32_t off[2];      /* CONST: offsets of its text */
	uint32_t filled;      /* CONST: elements of res.data that have the value */

	struct fl_xstep *step; /* COLUMN: the words as written; owned */
	uint32_t step_count;
	uint32_t column;     /* COLUMN: index, or FL_NO_COLUMN while it has not come */
	uint32_t path;       /* COLUMN: the first step that goes into the column */
	char *column_name;   /* COLUMN: owned */
	bool walked;         /* COLUMN: a path of one key, which ev->paths finds */
	struct fl_path found; /* if so */

	uint32_t slot;               /* SLOT */
	struct fl_vec held;          /* HELD: set by the node that holds */
	const struct fl_xfunc *func; /* CALL */
	void *priv;                  /* what func, IN or CAST keeps; owned */
	void (*priv_free)(void *priv);
	struct fl_timefmt *timefmt;  /* for texts that are times; owned, made when needed */
	struct fl_vec *argv;         /* argc vectors */
	struct fl_xval *vals;        /* argc values */
	struct fl_xres res;
	struct fl_buf scratch[4];
};

struct fl_expr {
	char *text;
	struct fl_expr_env env;
	struct fl_xnode *root; /* NULL until the first bind */
	struct fl_xres out;    /* dates and intervals as text */
	struct fl_paths *paths; /* NULL: no path of one key */
	bool shared;           /* paths belong to somebody else, who begins each batch */
};

/* ---- expr-value.c: values ----------------------------------------------- */

static inline struct fl_xval
fl_x_null(void)
{
	return (struct fl_xval){ .type = FL_X_NULL, .tag = FL_TAG_NULL };
}

static inline struct fl_xval
fl_x_int(int64_t v)
{
	return (struct fl_xval){ .type = FL_X_INT, .i = v };
}

static inline struct fl_xval
fl_x_bool(bool v)
{
	return (struct fl_xval){ .type = FL_X_BOOL, .b = v };
}

static inline struct fl_xval
fl_x_time(int64_t ms)
{
	return (struct fl_xval){ .type = FL_X_TIME, .i = ms };
}

static inline struct fl_xval
fl_x_text(const char *p, size_t n)
{
	struct fl_xval v = { .type = FL_X_TEXT, .tag = FL_TAG_STRING };

	v.p = p;
	v.n = n;
	return v;
}

/* What a call appended to c->text since its start, as its result. */
struct fl_xval fl_x_built(const struct fl_xcall *c);

/* A decimal; INT where it is one of scale 0. */
struct fl_xval fl_x_dec(const struct fl_dec *d);
struct fl_xval fl_x_double(double v);

/* Value i of a vector; its text is not looked at. */
struct fl_xval fl_x_get(const struct fl_vec *v, uint32_t i);

/* Whether v is a number, or text all of which is one; then *ret is INT or DEC. */
bool fl_x_number(const struct fl_xval *v, struct fl_xval *ret);
struct fl_dec fl_x_to_dec(const struct fl_xval *number);

/* Whether v is true or false, or a text that says so; then *ret. */
bool fl_x_truth(const struct fl_xval *v, bool *ret);

/*
 * The text of v: its own, or written into buf. v is not NULL.
 */
#define FL_X_TEXT_MAX 128
const char *fl_x_to_text(const struct fl_xval *v, const struct fl_expr_env *env,
			 char buf[FL_X_TEXT_MAX], size_t *ret_len);

/* v for an error message: a number as it is, text in quotes, shortened. */
#define FL_X_SHOW_MAX 96
const char *fl_x_show(const struct fl_xval *v, const struct fl_expr_env *env,
		      char buf[FL_X_SHOW_MAX]);

/* The moment that v is: a time, a date's midnight, a text. NULL-safe: false. */
bool fl_x_moment(struct fl_xnode *x, const struct fl_expr_env *env, const struct fl_xval *v,
		 int64_t *ret_ms);

/* The order of fl_value_compare. Neither is NULL. x: whose timefmt to use. */
int fl_x_compare(struct fl_xnode *x, const struct fl_expr_env *env, const struct fl_xval *a,
		 const struct fl_xval *b);

/* Fill c->reason; returns -1. */
int fl_x_bad(struct fl_xcall *c, const char *fmt, ...) FL_PRINTF(2, 3);

/* Make the record bad in ev->bad. */
void fl_x_bad_row(struct fl_xeval *ev, const struct fl_xnode *x, uint32_t row, const char *reason);

/* Results: begin, one put a record in any order, finish. */
void fl_xres_begin(struct fl_xres *r, uint32_t rows);
int fl_xres_put(struct fl_xres *r, uint32_t row, const struct fl_xval *v, struct fl_xeval *ev);
void fl_xres_finish(struct fl_xres *r, const struct fl_xsel *sel, struct fl_vec *ret);
void fl_xres_release(struct fl_xres *r);

/* A vector of booleans from truth values. */
void fl_xres_truth(struct fl_xres *r, const uint8_t *t, uint32_t rows, const struct fl_xsel *sel,
		   struct fl_vec *ret);

/* ---- expr-span.c: intervals --------------------------------------------- */

/*
 * Parse an interval: "1 day 02:03:04", "1 year 2 mons", "1h30m", "-5 minutes".
 * unit: of a number without one ("day" of INTERVAL '1' DAY), NULL: seconds.
 */
bool fl_xspan_parse(const char *p, size_t n, const char *unit, struct fl_xspan *ret);
size_t fl_xspan_format(const struct fl_xspan *s, char buf[FL_X_TEXT_MAX]);
int fl_xspan_compare(const struct fl_xspan *a, const struct fl_xspan *b);
fl_int128 fl_xspan_ms(const struct fl_xspan *s); /* a month is 30 days, a day 24 hours */
bool fl_xspan_scale(const struct fl_xspan *s, double by, struct fl_xspan *ret);
bool fl_xspan_add(const struct fl_xspan *a, const struct fl_xspan *b, int sign,
		  struct fl_xspan *ret);

/* A moment moved by an interval, months and days in civil time of the zone. */
bool fl_xspan_shift(int64_t ms, const struct fl_xspan *s, int sign, const struct fl_zone *zone,
		    int64_t *ret);

/* ---- expr-eval.c: nodes ------------------------------------------------- */

struct fl_xnode *fl_x_node(enum fl_xop op, uint32_t place, uint32_t argc);
void fl_x_free(struct fl_xnode *x);
struct fl_xnode *fl_x_const(const struct fl_xval *v, uint32_t place); /* copies the text */
void fl_x_add_arg(struct fl_xnode *x, struct fl_xnode *arg);

/* Set eval, test and type from op, code and arguments. */
void fl_x_finish(struct fl_xnode *x);

int fl_x_eval(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel,
	      struct fl_vec *ret);
int fl_x_test(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, uint8_t *t);

/* Records of sel for which x is true, into rows. May be given sel->rows itself. */
int fl_x_filter(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel,
		uint32_t *rows, uint32_t *ret_n);

/* Evaluate a node of constants; x is replaced by its value if it has one. */
struct fl_xnode *fl_x_fold(struct fl_xnode *x, const struct fl_expr_env *env);

/* A set: all elements of all records, one after the other. */
int fl_x_unnest(struct fl_xnode *x, struct fl_xeval *ev, uint32_t *counts, struct fl_vec *ret);

/* ---- expr-arith.c, expr-compare.c, expr-logic.c, expr-cast.c ------------ */

enum fl_xarith {
	FL_XA_ADD, FL_XA_SUB, FL_XA_MUL, FL_XA_DIV, FL_XA_MOD, FL_XA_POW, FL_XA_NEG,
	FL_XA_AND, FL_XA_OR, FL_XA_XOR, FL_XA_SHL, FL_XA_SHR, FL_XA_NOT,
};
int fl_x_eval_arith(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel,
		    struct fl_vec *ret);

/* a to the power b: NULL, or why there is none. ret may be a or b. */
const char *fl_x_power(const struct fl_dec *a, const struct fl_dec *b, struct fl_dec *ret);
uint8_t fl_x_arith_type(enum fl_xarith op, uint8_t a, uint8_t b);

/* Comparison codes: a bit each for less, equal, greater. */
enum {
	FL_XC_LT = 1, FL_XC_EQ = 2, FL_XC_LE = 3, FL_XC_GT = 4, FL_XC_NE = 5, FL_XC_GE = 6,
};
int fl_x_test_compare(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel,
		      uint8_t *t);
int fl_x_test_between(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel,
		      uint8_t *t);
int fl_x_test_distinct(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel,
		       uint8_t *t);
int fl_x_test_in(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, uint8_t *t);
int fl_x_eval_nullif(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel,
		     struct fl_vec *ret);
int fl_x_eval_extreme(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel,
		      struct fl_vec *ret);
enum { FL_X_NOT = 1, FL_X_SYMMETRIC = 2 }; /* code of BETWEEN, IN, DISTINCT */

/* What IS tests for: code of FL_XO_IS, with FL_X_IS_NOT. */
enum { FL_X_IS_NULL = 0, FL_X_IS_TRUE, FL_X_IS_FALSE, FL_X_IS_UNKNOWN, FL_X_IS_NOT = 8 };
int fl_x_test_and(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, uint8_t *t);
int fl_x_test_or(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, uint8_t *t);
int fl_x_test_not(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, uint8_t *t);
int fl_x_test_is(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel, uint8_t *t);
int fl_x_eval_case(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel,
		   struct fl_vec *ret);
int fl_x_eval_coalesce(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel,
		       struct fl_vec *ret);

/* Types of CAST. */
enum fl_xcast {
	FL_XT_INT2, FL_XT_INT4, FL_XT_INT8, FL_XT_NUMERIC, FL_XT_DOUBLE, FL_XT_TEXT, FL_XT_BOOL,
	FL_XT_TIMESTAMP, FL_XT_TIMESTAMPTZ, FL_XT_DATE, FL_XT_TIME, FL_XT_SPAN, FL_XT_JSON,
	FL_XT_NONE,
};
struct fl_xcast_arg { /* priv of FL_XO_CAST; malloc'ed */
	int32_t precision; /* numeric: digits; text: characters; -1: not limited */
	int32_t scale;
	const char *unit;  /* interval: of a bare number; static */
};
int fl_x_eval_cast(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel,
		   struct fl_vec *ret);
uint8_t fl_x_cast_type(enum fl_xcast to);
enum fl_xcast fl_x_cast_find(const char *name); /* "int4", "timestamptz", … */

/* Turn a value into what a function's argument letter says. */
int fl_x_coerce(struct fl_xcall *c, char letter, struct fl_xval *v, char buf[FL_X_TEXT_MAX]);

/* ---- func.c: functions -------------------------------------------------- */

const struct fl_xfunc *fl_x_func_find(const char *name);
const char *fl_x_func_nearest(const char *name, const struct fl__agg_hook *hook);
void fl_x_func_bounds(const struct fl_xfunc *f, uint32_t *ret_min, uint32_t *ret_max);
char fl_x_func_letter(const struct fl_xfunc *f, uint32_t i);

/* Whether the constant arguments of a call make sense; -1 and the reason if not. */
int fl_x_func_check(struct fl_xnode *x, const struct fl_expr_env *env,
		    char reason[FL_X_REASON_MAX]);

/* The tables that func.c looks through; each ends in an entry without a name. */
extern const struct fl_xfunc fl_x_math_funcs[], fl_x_text_funcs[], fl_x_regex_funcs[],
	fl_x_time_funcs[], fl_x_json_funcs[];

/*
 * Elements of a set function's argument: each is passed to put in turn; stops
 * where that returns nonzero.
 */
typedef int (*fl_xput_fn)(void *ctx, const struct fl_xval *v);
int fl_x_set_each(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, fl_xput_fn put,
		  void *ctx);

/* ---- parse.c ------------------------------------------------------------ */

/* The tree of e->text. Columns are not resolved, but for arguments of aggregates. */
int fl_x_parse(struct fl_expr *e, const struct fl_header *h, const struct fl__agg_hook *hook,
	       struct fl_err *err);

#endif
