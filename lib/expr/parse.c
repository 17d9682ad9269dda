/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From text to a tree of nodes: PostgreSQL's parser (libpg_query) reads the
 * expression as "SELECT text" and gives its tree as JSON, which is walked here.
 * Everything that is not one plain expression is refused by name.
 */
#include <jansson.h>
#include <pg_query.h>
#include <stdlib.h>

#include "base/str.h"
#include "expr/expr-node.h"
#include "expr/parse-quote.h"
#include "expr/parse.h"

#define PREFIX 7 /* strlen("SELECT ") */

struct parser {
	struct fl_expr *e;
	const struct fl_header *h;
	const struct fl__agg_hook *hook;
	struct fl_xquoted q;
	struct fl_err *err;
	unsigned depth;
	bool in_agg;
};

static struct fl_xnode *parse_node(struct parser *s, json_t *wrapper);

/* ---- messages ----------------------------------------------------------- */

static uint32_t
place_of(const struct parser *s, json_t *node)
{
	json_int_t at = json_integer_value(json_object_get(node, "location"));

	return at < PREFIX ? 0 : fl_x_quoted_place(&s->q, (size_t)at);
}

#define FAIL(s, place, ...) (fl_x_fail((s)->err, (s)->e->text, place, __VA_ARGS__), NULL)

/* The word or sign at place, for messages. */
static int
token_at(const char *text, uint32_t place, const char **ret)
{
	const char *p = text + place, *e = p;

	while ((*e >= 'a' && *e <= 'z') || (*e >= 'A' && *e <= 'Z') || (*e >= '0' && *e <= '9') ||
	       *e == '_' || (*e & 0x80))
		e++;
	*ret = p;
	return e > p ? (int)(e - p) : *p != '\0';
}

/* A parenthesis is not closed, quoted ones apart. */
static bool
has_open(const char *p)
{
	char quote = 0;
	int depth = 0;

	for (; *p; p++) {
		if (quote || *p == '\'' || *p == '"')
			quote = !quote ? *p : *p == quote ? '\0' : quote;
		else
			depth += (*p == '(') - (*p == ')');
	}
	return depth > 0;
}

/* PostgreSQL's message, with our text in place of the one that it was given. */
static int
syntax_error(struct parser *s, const PgQueryError *error)
{
	const char *out = s->q.out.data, *near, *at = strstr(error->message, " at or near ");
	size_t byte = 0, left = error->cursorpos > 0 ? (size_t)error->cursorpos - 1 : 0;
	uint32_t place;
	int n;

	/* cursorpos counts characters */
	for (; left > 0 && out[byte]; left--)
		for (byte++; (out[byte] & 0xc0) == 0x80;)
			byte++;
	place = byte < PREFIX ? 0 : fl_x_quoted_place(&s->q, byte);
	if (strncmp(error->message, "memory exhausted", 16) == 0 ||
	    strstr(error->message, "stack depth"))
		return fl_x_fail(s->err, s->e->text, 0, "expression nested too deeply");
	n = token_at(s->e->text, place, &near);
	if (strstr(error->message, "at end of input") || (at && n == 0))
		return fl_x_fail(s->err, s->e->text, UINT32_MAX, "%s",
				 strncmp(error->message, "syntax error", 12) != 0
					 ? "unterminated text at the end"
				 : has_open(s->e->text) ? "syntax error at the end: a ( is open"
							: "syntax error at the end");
	if (at)
		return fl_x_fail(s->err, s->e->text, place, "%.*s at \"%.*s\"",
				 (int)(at - error->message), error->message, n, near);
	return fl_x_fail(s->err, s->e->text, place, "%s", error->message);
}

/* ---- small helpers over the JSON ---------------------------------------- */

static const char *
text_of(json_t *node, const char *key)
{
	const char *v = json_string_value(json_object_get(node, key));

	return v ? v : "";
}

/* {"String":{"sval":"x"}}; NULL if it is something else. */
static const char *
string_node(json_t *wrapper)
{
	json_t *node = json_object_get(wrapper, "String");

	return node ? text_of(node, "sval") : NULL;
}

/* The last of a list of names; ignores the schema pg_catalog, refuses others. */
static const char *
last_name(json_t *names)
{
	size_t n = json_array_size(names);
	const char *schema = n == 2 ? string_node(json_array_get(names, 0)) : NULL;

	if (n < 1 || n > 2 || (n == 2 && (!schema || strcmp(schema, "pg_catalog") != 0)))
		return NULL;
	return string_node(json_array_get(names, n - 1));
}

static bool
flag_of(json_t *node, const char *key)
{
	return json_is_true(json_object_get(node, key));
}

/* Parse each of a list as an argument of x. */
static int
parse_args(struct parser *s, struct fl_xnode *x, json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct fl_xnode *arg = parse_node(s, json_array_get(list, i));

		if (!arg)
			return FL_EUSAGE;
		fl_x_add_arg(x, arg);
	}
	return 0;
}

static int
parse_arg(struct parser *s, struct fl_xnode *x, json_t *wrapper)
{
	struct fl_xnode *arg = parse_node(s, wrapper);

	if (!arg)
		return FL_EUSAGE;
	fl_x_add_arg(x, arg);
	return 0;
}

/* Give up a node that is not complete. */
static struct fl_xnode *
drop(struct fl_xnode *x)
{
	fl_x_free(x);
	return NULL;
}

static struct fl_xnode *
finish(struct parser *s, struct fl_xnode *x)
{
	fl_x_finish(x);
	return fl_x_fold(x, &s->e->env);
}

static struct fl_xnode *
negated(struct parser *s, struct fl_xnode *x)
{
	struct fl_xnode *not;

	if (!x)
		return NULL;
	not = fl_x_node(FL_XO_NOT, x->place, 0);
	fl_x_add_arg(not, x);
	return finish(s, not);
}

/* ---- constants, columns ------------------------------------------------- */

static struct fl_xnode *
parse_const(struct parser *s, json_t *node)
{
	uint32_t place = place_of(s, node);
	json_t *v;
	struct fl_xval val;

	if (flag_of(node, "isnull")) {
		val = fl_x_null();
	} else if ((v = json_object_get(node, "ival"))) {
		val = fl_x_int(json_integer_value(json_object_get(v, "ival")));
	} else if ((v = json_object_get(node, "boolval"))) {
		val = fl_x_bool(flag_of(v, "boolval"));
	} else if ((v = json_object_get(node, "sval"))) {
		v = json_object_get(v, "sval");
		val = fl_x_text(v ? json_string_value(v) : "", json_string_length(v));
	} else if ((v = json_object_get(node, "fval"))) {
		val = fl_x_text(text_of(v, "fval"), strlen(text_of(v, "fval")));
		if (!fl_x_number(&val, &val))
			return FAIL(s, place, "number too large: %s", text_of(v, "fval"));
	} else {
		return FAIL(s, place, "bit strings are not supported");
	}
	return fl_x_const(&val, place);
}

static struct fl_xnode *
parse_column(struct parser *s, json_t *node)
{
	json_t *fields = json_object_get(node, "fields");
	const char *name = string_node(json_array_get(fields, 0));
	const struct fl_xref *r = name ? fl_x_quoted_ref(&s->q, name) : NULL;
	uint32_t place = place_of(s, node);
	struct fl_xnode *x;

	if (!r || json_array_size(fields) != 1)
		return name ? FAIL(s, place, "not a column: %s", name)
			    : FAIL(s, place, "* is not a value");
	x = fl_x_node(FL_XO_COLUMN, r->place, 0);
	x->step = fl_xcalloc(r->step_count, sizeof *x->step);
	for (; x->step_count < r->step_count; x->step_count++) {
		const struct fl_xstep *from = &r->steps[x->step_count];
		struct fl_xstep *to = &x->step[x->step_count];

		*to = *from;
		to->key = from->key ? fl_xstrndup(from->key, from->len) : NULL;
	}
	fl_x_finish(x);
	return x;
}

/* ---- calls -------------------------------------------------------------- */

static int
check_count(struct parser *s, const struct fl_xfunc *f, uint32_t n, uint32_t place)
{
	uint32_t min, max;

	fl_x_func_bounds(f, &min, &max);
	if (n >= min && n <= max)
		return 0;
	return fl_x_fail(s->err, s->e->text, place, "wrong number of arguments for %s(%s)",
			 f->name, f->usage);
}

/* x has its arguments: make it a call of the function so named. Takes x. */
static struct fl_xnode *
make_call(struct parser *s, struct fl_xnode *x, const char *name)
{
	const struct fl_xfunc *f = fl_x_func_find(name);
	char reason[FL_X_REASON_MAX];
	const char *nearest;

	if (!f) {
		nearest = fl_x_func_nearest(name, s->hook);
		fl_x_fail(s->err, s->e->text, x->place,
			  nearest ? "unknown function %s (did you mean %s?)"
				  : "unknown function %s",
			  name, nearest);
		return drop(x);
	}
	if (check_count(s, f, x->argc, x->place) < 0)
		return drop(x);
	if (f->flags & FL_XF_SET && s->hook) {
		fl_x_fail(s->err, s->e->text, x->place,
			  "%s gives several rows: that is for fmap, before or after", name);
		return drop(x);
	}
	if (f->flags & FL_XF_SET && (s->depth > 1 || s->in_agg)) {
		fl_x_fail(s->err, s->e->text, x->place,
			  "%s gives several rows, so it must be the whole expression", name);
		return drop(x);
	}
	if (strcmp(name, "mod") == 0) { /* the operator has faster loops */
		x->op = FL_XO_ARITH;
		x->code = FL_XA_MOD;
		return finish(s, x);
	}
	x->func = f;
	fl_x_finish(x);
	if (fl_x_func_check(x, &s->e->env, reason) < 0) {
		fl_x_fail(s->err, s->e->text, x->place, "%s", reason);
		return drop(x);
	}
	return fl_x_fold(x, &s->e->env);
}

/* An expression of its own around a tree: what aggregates are given. */
static struct fl_expr *
sub_expr(struct parser *s, struct fl_xnode *root)
{
	struct fl_expr *e = fl_expr_new(s->e->text, &s->e->env);

	e->root = root;
	return e;
}

static int
parse_sub(struct parser *s, json_t *wrapper, struct fl_expr **ret)
{
	struct fl_xnode *x = parse_node(s, wrapper);

	if (!x)
		return FL_EUSAGE;
	*ret = sub_expr(s, x);
	return fl_x_resolve(*ret, s->h, s->err);
}

static int
parse_order(struct parser *s, json_t *list, struct fl__agg_call *call)
{
	size_t n = json_array_size(list);

	call->order = fl_xcalloc(n + 1, sizeof *call->order);
	for (size_t i = 0; i < n; i++) {
		json_t *by = json_object_get(json_array_get(list, i), "SortBy");
		struct fl__agg_order *o = &call->order[i];

		o->desc = strcmp(text_of(by, "sortby_dir"), "SORTBY_DESC") == 0;
		o->nulls_first = strcmp(text_of(by, "sortby_nulls"), "SORTBY_NULLS_FIRST") == 0 ||
				 (o->desc &&
				  strcmp(text_of(by, "sortby_nulls"), "SORTBY_NULLS_LAST") != 0);
		call->order_count++;
		if (parse_sub(s, json_object_get(by, "node"), &o->expr) < 0)
			return FL_EUSAGE;
	}
	return 0;
}

/* The call that begins at place, in the user's words, to its closing parenthesis. */
static char *
call_text(const char *text, uint32_t place)
{
	const char *p = text + place;
	char quote = 0;
	int depth = 0;

	for (; *p; p++) {
		if (quote) {
			quote = *p == quote ? 0 : quote;
		} else if (*p == '\'' || *p == '"') {
			quote = *p;
		} else if (*p == '(') {
			depth++;
		} else if (*p == ')' && --depth <= 0) {
			p++;
			break;
		}
	}
	return fl_xstrndup(text + place, (size_t)(p - text) - place);
}

static void
release_call(struct fl__agg_call *call, char *text)
{
	for (uint32_t i = 0; i < call->arg_count; i++)
		fl_expr_free(call->args[i]);
	for (uint32_t i = 0; i < call->order_count; i++)
		fl_expr_free(call->order[i].expr);
	fl_expr_free(call->filter);
	free(call->args);
	free(call->order);
	free(text);
}

static int
fill_call(struct parser *s, json_t *node, struct fl__agg_call *call)
{
	json_t *args = json_object_get(node, "args"), *filter = json_object_get(node, "agg_filter");

	call->args = fl_xcalloc(json_array_size(args) + 1, sizeof(struct fl_expr *));
	for (size_t i = 0; i < json_array_size(args); i++)
		if (parse_sub(s, json_array_get(args, i), &call->args[call->arg_count++]) < 0)
			return FL_EUSAGE;
	if (filter && parse_sub(s, filter, &call->filter) < 0)
		return FL_EUSAGE;
	return parse_order(s, json_object_get(node, "agg_order"), call);
}

static const uint8_t type_of_kind[FL_KINDS] = {
	[FL_TEXT] = FL_X_ANY,     [FL_INT64] = FL_X_INT, [FL_DECIMAL] = FL_X_DEC,
	[FL_DOUBLE] = FL_X_DEC,   [FL_BOOL] = FL_X_BOOL, [FL_TIME] = FL_X_TIME,
};

static struct fl_xnode *
parse_aggregate(struct parser *s, json_t *node, const char *name, uint32_t place)
{
	char *text = call_text(s->e->text, place);
	struct fl__agg_call call = { .name = name, .text = text,
				     .star = flag_of(node, "agg_star"),
				     .distinct = flag_of(node, "agg_distinct"),
				     .within_group = flag_of(node, "agg_within_group") };
	enum fl_kind kind = FL_TEXT;
	struct fl_xnode *x = NULL;
	uint32_t slot = 0;
	int rc;

	if (s->in_agg) {
		free(text);
		return FAIL(s, place, "aggregates cannot be nested");
	}
	s->in_agg = true;
	rc = fill_call(s, node, &call);
	s->in_agg = false;
	if (rc == 0)
		rc = s->hook->found(s->hook->ctx, &call, &slot, &kind, s->err);
	if (rc < 0)
		fl_x_point(s->err, s->e->text, place);
	if (rc == 0) {
		x = fl_x_node(FL_XO_SLOT, place, 0);
		x->slot = slot;
		x->type = type_of_kind[kind];
		fl_x_finish(x);
	}
	release_call(&call, text);
	return x;
}

static bool
is_aggregate_name(const char *name)
{
	static const char *const names[] = { "count", "sum", "avg", "min", "max", "first", "last",
					     "median", "stddev", "variance", "var", "array_agg",
					     "string_agg", "bool_and", "bool_or" };

	for (size_t i = 0; i < FL_ARRAY_LEN(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* Names that are another construct with the syntax of a call. */
static bool
is_special(const char *name)
{
	return strcmp(name, "ifnull") == 0 || strcmp(name, "nvl") == 0 || strcmp(name, "if") == 0;
}

static struct fl_xnode *
parse_special(struct parser *s, struct fl_xnode *x, const char *name)
{
	bool is_if = strcmp(name, "if") == 0;

	if (x->argc != (is_if ? 3u : 2u)) {
		fl_x_fail(s->err, s->e->text, x->place, "wrong number of arguments for %s",
			  is_if ? "if(condition, then, else)" : "ifnull(value, other)");
		return drop(x);
	}
	x->op = is_if ? FL_XO_CASE : FL_XO_COALESCE;
	return finish(s, x);
}

/* substring(x, 'pattern') is another function than substring(x, 2). */
static const char *
real_name(const char *name, const struct fl_xnode *x)
{
	bool second = x->argc >= 2 && x->arg[1]->op == FL_XO_CONST &&
		      x->arg[1]->value.type == FL_X_TEXT;

	if (strcmp(name, "substring") == 0 && second)
		return x->argc == 3 ? "substring_similar" : "substring_regex";
	return name;
}

static struct fl_xnode *
parse_call(struct parser *s, json_t *node)
{
	const char *name = last_name(json_object_get(node, "funcname"));
	uint32_t place = place_of(s, node);
	const char *nearest;
	struct fl_xnode *x;

	if (!name)
		return FAIL(s, place, "unknown function");
	if (json_object_get(node, "over"))
		return FAIL(s, place, "%s(..) OVER is not an expression (see fover)", name);
	if (s->hook && s->hook->is_agg(s->hook->ctx, name))
		return parse_aggregate(s, node, name, place);
	if (is_aggregate_name(name) && !fl_x_func_find(name))
		return FAIL(s, place, "aggregate %s is not allowed here", name);
	if (flag_of(node, "agg_star") || flag_of(node, "agg_distinct") ||
	    json_object_get(node, "agg_filter") || json_object_get(node, "agg_order") ||
	    flag_of(node, "func_variadic")) {
		if (fl_x_func_find(name))
			return FAIL(s, place, "%s is not an aggregate", name);
		nearest = s->hook ? fl_nearest(name, s->hook->names, s->hook->name_count) : NULL;
		return FAIL(s, place,
			    nearest ? "unknown aggregate %s (did you mean %s?)"
				    : "unknown aggregate %s",
			    name, nearest);
	}
	x = fl_x_node(FL_XO_CALL, place, 0);
	s->depth++; /* arguments are inside */
	if (parse_args(s, x, json_object_get(node, "args")) < 0) {
		s->depth--;
		return drop(x);
	}
	s->depth--;
	if (is_special(name))
		return parse_special(s, x, name);
	return make_call(s, x, real_name(name, x));
}

/* ---- operators ---------------------------------------------------------- */

static const struct {
	const char *name;
	int code;
} comparisons[] = {
	{ "<", FL_XC_LT }, { "<=", FL_XC_LE }, { "=", FL_XC_EQ },
	{ "<>", FL_XC_NE }, { ">=", FL_XC_GE }, { ">", FL_XC_GT },
}, arithmetic[] = {
	{ "+", FL_XA_ADD }, { "-", FL_XA_SUB }, { "*", FL_XA_MUL }, { "/", FL_XA_DIV },
	{ "%", FL_XA_MOD }, { "^", FL_XA_POW }, { "&", FL_XA_AND }, { "|", FL_XA_OR },
	{ "#", FL_XA_XOR }, { "<<", FL_XA_SHL }, { ">>", FL_XA_SHR }, { "~", FL_XA_NOT },
};

static int
find_code(const char *name, bool comparison)
{
	size_t n = comparison ? FL_ARRAY_LEN(comparisons) : FL_ARRAY_LEN(arithmetic);

	for (size_t i = 0; i < n; i++) {
		if (strcmp(name, comparison ? comparisons[i].name : arithmetic[i].name) == 0)
			return comparison ? comparisons[i].code : arithmetic[i].code;
	}
	return -1;
}

static struct fl_xnode *
parse_unary(struct parser *s, struct fl_xnode *x, const char *name)
{
	static const char *const calls[][2] = { { "@", "abs" },
						{ "|/", "sqrt" },
						{ "||/", "cbrt" } };

	x->op = FL_XO_ARITH;
	x->code = strcmp(name, "~") == 0 ? FL_XA_NOT : FL_XA_NEG;
	if (strcmp(name, "-") == 0 || strcmp(name, "~") == 0)
		return finish(s, x);
	x->op = FL_XO_CALL;
	for (size_t i = 0; i < FL_ARRAY_LEN(calls); i++)
		if (strcmp(name, calls[i][0]) == 0)
			return make_call(s, x, calls[i][1]);
	if (strcmp(name, "+") == 0)
		return make_call(s, x, "+");
	fl_x_fail(s->err, s->e->text, x->place, "unknown operator %s", name);
	return drop(x);
}

static struct fl_xnode *
parse_operator(struct parser *s, json_t *node, const char *name)
{
	json_t *left = json_object_get(node, "lexpr");
	uint32_t sign = place_of(s, node);
	struct fl_xnode *x = fl_x_node(FL_XO_CALL, sign, 0);
	int code;

	if ((left && parse_arg(s, x, left) < 0) ||
	    parse_arg(s, x, json_object_get(node, "rexpr")) < 0)
		return drop(x);
	if (x->argc == 1)
		return parse_unary(s, x, name);
	x->place = x->arg[0]->place < x->place ? x->arg[0]->place : x->place;
	if ((code = find_code(name, true)) >= 0) {
		x->op = FL_XO_COMPARE;
		x->code = code;
		return finish(s, x);
	}
	if (strcmp(name, "~") != 0 && (code = find_code(name, false)) >= 0) {
		x->op = FL_XO_ARITH;
		x->code = code;
		return finish(s, x);
	}
	if (name[0] == '!' && fl_x_func_find(name + 1))
		return negated(s, make_call(s, x, name + 1));
	if (fl_x_func_find(name))
		return make_call(s, x, name);
	fl_x_fail(s->err, s->e->text, sign, "unknown operator %s%s", name,
		  strcmp(name, "==") == 0   ? " (did you mean =?)"
		  : strcmp(name, "&&") == 0 ? " (did you mean AND?)"
					    : "");
	return drop(x);
}

/* x LIKE p [ESCAPE e]: the pattern with an escape comes as a call of like_escape. */
static struct fl_xnode *
parse_like(struct parser *s, json_t *node, const char *name)
{
	json_t *right = json_object_get(node, "rexpr");
	json_t *call = json_object_get(right, "FuncCall");
	const char *func = call ? last_name(json_object_get(call, "funcname")) : NULL;
	struct fl_xnode *x = fl_x_node(FL_XO_CALL, place_of(s, node), 0);
	bool not = name[0] == '!';
	int rc = parse_arg(s, x, json_object_get(node, "lexpr"));

	if (func && (strcmp(func, "like_escape") == 0 || strcmp(func, "similar_to_escape") == 0))
		rc = rc < 0 ? rc : parse_args(s, x, json_object_get(call, "args"));
	else
		rc = rc < 0 ? rc : parse_arg(s, x, right);
	if (rc < 0)
		return drop(x);
	if (strcmp(text_of(node, "kind"), "AEXPR_SIMILAR") == 0)
		x = make_call(s, x, "similar to");
	else
		x = make_call(s, x, name + not);
	return not ? negated(s, x) : x;
}

static struct fl_xnode *
parse_between(struct parser *s, json_t *node, const char *kind)
{
	struct fl_xnode *x = fl_x_node(FL_XO_BETWEEN, place_of(s, node), 0);
	json_t *bounds = json_object_get(json_object_get(node, "rexpr"), "List");

	x->code = (strncmp(kind, "AEXPR_NOT", 9) == 0 ? FL_X_NOT : 0) |
		  (strstr(kind, "_SYM") ? FL_X_SYMMETRIC : 0);
	if (parse_arg(s, x, json_object_get(node, "lexpr")) < 0 ||
	    parse_args(s, x, json_object_get(bounds, "items")) < 0)
		return drop(x);
	return finish(s, x);
}

/* x IN (list), x = ANY (ARRAY[..]), x <> ALL (ARRAY[..]). */
static struct fl_xnode *
parse_in(struct parser *s, json_t *node, bool not)
{
	json_t *right = json_object_get(node, "rexpr"), *list = json_object_get(right, "List");
	struct fl_xnode *x = fl_x_node(FL_XO_IN, place_of(s, node), 0);

	x->code = not ? FL_X_NOT : 0;
	list = list ? json_object_get(list, "items")
		    : json_object_get(json_object_get(right, "A_ArrayExpr"), "elements");
	if (parse_arg(s, x, json_object_get(node, "lexpr")) < 0 || parse_args(s, x, list) < 0)
		return drop(x);
	return finish(s, x);
}

/* x = ANY (array), x <> ALL (array) where the array is a value. */
static struct fl_xnode *
parse_any(struct parser *s, json_t *node, const char *name, bool all)
{
	uint32_t place = place_of(s, node);
	struct fl_xnode *x;

	if (strcmp(name, all ? "<>" : "=") != 0)
		return FAIL(s, place, "%s %s is not supported (only %s)", name, all ? "ALL" : "ANY",
			    all ? "<> ALL" : "= ANY");
	if (json_object_get(json_object_get(node, "rexpr"), "A_ArrayExpr"))
		return parse_in(s, node, all);
	x = fl_x_node(FL_XO_CALL, place, 0);
	if (parse_arg(s, x, json_object_get(node, "rexpr")) < 0 ||
	    parse_arg(s, x, json_object_get(node, "lexpr")) < 0)
		return drop(x);
	x = make_call(s, x, "array_contains");
	return all ? negated(s, x) : x;
}

static struct fl_xnode *
parse_pair(struct parser *s, json_t *node, enum fl_xop op, int code)
{
	struct fl_xnode *x = fl_x_node(op, place_of(s, node), 0);

	x->code = code;
	if (parse_arg(s, x, json_object_get(node, "lexpr")) < 0 ||
	    parse_arg(s, x, json_object_get(node, "rexpr")) < 0)
		return drop(x);
	return finish(s, x);
}

static struct fl_xnode *
parse_a_expr(struct parser *s, json_t *node)
{
	const char *kind = text_of(node, "kind"), *name = last_name(json_object_get(node, "name"));

	if (!name)
		return FAIL(s, place_of(s, node), "unknown operator");
	if (strcmp(kind, "AEXPR_OP") == 0)
		return parse_operator(s, node, name);
	if (strcmp(kind, "AEXPR_LIKE") == 0 || strcmp(kind, "AEXPR_ILIKE") == 0 ||
	    strcmp(kind, "AEXPR_SIMILAR") == 0)
		return parse_like(s, node, name);
	if (strcmp(kind, "AEXPR_IN") == 0)
		return parse_in(s, node, name[0] == '<');
	if (strcmp(kind, "AEXPR_OP_ANY") == 0 || strcmp(kind, "AEXPR_OP_ALL") == 0)
		return parse_any(s, node, name, strcmp(kind, "AEXPR_OP_ALL") == 0);
	if (strcmp(kind, "AEXPR_DISTINCT") == 0)
		return parse_pair(s, node, FL_XO_DISTINCT, 0);
	if (strcmp(kind, "AEXPR_NOT_DISTINCT") == 0)
		return parse_pair(s, node, FL_XO_DISTINCT, FL_X_NOT);
	if (strcmp(kind, "AEXPR_NULLIF") == 0)
		return parse_pair(s, node, FL_XO_NULLIF, 0);
	if (strstr(kind, "BETWEEN"))
		return parse_between(s, node, kind);
	return FAIL(s, place_of(s, node), "operator %s is not supported", name);
}

static struct fl_xnode *
parse_bool(struct parser *s, json_t *node)
{
	const char *op = text_of(node, "boolop");
	struct fl_xnode *x = fl_x_node(strcmp(op, "AND_EXPR") == 0  ? FL_XO_AND
				       : strcmp(op, "OR_EXPR") == 0 ? FL_XO_OR
								    : FL_XO_NOT,
				       place_of(s, node), 0);

	if (parse_args(s, x, json_object_get(node, "args")) < 0)
		return drop(x);
	return finish(s, x);
}

static struct fl_xnode *
parse_is(struct parser *s, json_t *node)
{
	static const struct {
		const char *name;
		int code;
	} tests[] = {
		{ "IS_NULL", FL_X_IS_NULL },
		{ "IS_NOT_NULL", FL_X_IS_NULL | FL_X_IS_NOT },
		{ "IS_TRUE", FL_X_IS_TRUE },
		{ "IS_NOT_TRUE", FL_X_IS_TRUE | FL_X_IS_NOT },
		{ "IS_FALSE", FL_X_IS_FALSE },
		{ "IS_NOT_FALSE", FL_X_IS_FALSE | FL_X_IS_NOT },
		{ "IS_UNKNOWN", FL_X_IS_UNKNOWN },
		{ "IS_NOT_UNKNOWN", FL_X_IS_UNKNOWN | FL_X_IS_NOT },
	};
	const char *null = text_of(node, "nulltesttype"), *boolean = text_of(node, "booltesttype");
	struct fl_xnode *x = fl_x_node(FL_XO_IS, place_of(s, node), 0);

	x->code = -1;
	for (size_t i = 0; i < FL_ARRAY_LEN(tests); i++)
		if (strcmp(tests[i].name, *null ? null : boolean) == 0)
			x->code = tests[i].code;
	if (x->code < 0 || parse_arg(s, x, json_object_get(node, "arg")) < 0)
		return drop(x);
	return finish(s, x);
}

/* ---- CASE and the like -------------------------------------------------- */

/* CASE x WHEN v: the condition is x = v, where x is evaluated once, by the CASE. */
static struct fl_xnode *
case_condition(struct parser *s, json_t *expr, bool simple, uint32_t place)
{
	struct fl_xnode *x, *held;

	if (!simple)
		return parse_node(s, expr);
	x = fl_x_node(FL_XO_COMPARE, place, 0);
	x->code = FL_XC_EQ;
	held = fl_x_node(FL_XO_HELD, place, 0);
	fl_x_finish(held);
	fl_x_add_arg(x, held);
	if (parse_arg(s, x, expr) < 0)
		return drop(x);
	fl_x_finish(x);
	return x;
}

/* Arguments: [the operand of a simple CASE,] condition, result, .., else. */
static struct fl_xnode *
parse_case(struct parser *s, json_t *node)
{
	struct fl_xnode *x = fl_x_node(FL_XO_CASE, place_of(s, node), 0), *arg;
	json_t *operand = json_object_get(node, "arg"), *whens = json_object_get(node, "args");
	json_t *other = json_object_get(node, "defresult");
	struct fl_xval null = fl_x_null();

	x->code = operand != NULL;
	if (operand && parse_arg(s, x, operand) < 0)
		return drop(x);
	for (size_t i = 0; i < json_array_size(whens); i++) {
		json_t *when = json_object_get(json_array_get(whens, i), "CaseWhen");

		arg = case_condition(s, json_object_get(when, "expr"), operand != NULL,
				     place_of(s, when));
		if (!arg)
			return drop(x);
		fl_x_add_arg(x, arg);
		if (parse_arg(s, x, json_object_get(when, "result")) < 0)
			return drop(x);
	}
	if (!other)
		fl_x_add_arg(x, fl_x_const(&null, x->place));
	else if (parse_arg(s, x, other) < 0)
		return drop(x);
	return finish(s, x);
}

static struct fl_xnode *
parse_list(struct parser *s, json_t *node, enum fl_xop op, const char *key)
{
	struct fl_xnode *x = fl_x_node(op, place_of(s, node), 0);

	x->code = op == FL_XO_EXTREME && strcmp(text_of(node, "op"), "IS_LEAST") == 0;
	if (parse_args(s, x, json_object_get(node, key)) < 0)
		return drop(x);
	return op == FL_XO_CALL ? make_call(s, x, "array") : finish(s, x);
}

/* ---- casts -------------------------------------------------------------- */

static int32_t
modifier(json_t *mods, size_t i)
{
	json_t *v = json_object_get(json_array_get(mods, i), "A_Const");

	v = v ? json_object_get(v, "ival") : NULL;
	return v ? (int32_t)json_integer_value(json_object_get(v, "ival")) : -1;
}

/* PostgreSQL's mask of INTERVAL fields: the last one is what a bare number counts. */
static const char *
interval_unit(int32_t mask)
{
	static const struct {
		int32_t bit;
		const char *unit;
	} units[] = { { 1 << 12, "second" }, { 1 << 11, "minute" }, { 1 << 10, "hour" },
		      { 1 << 3, "day" },     { 1 << 1, "month" },   { 1 << 2, "year" } };

	for (size_t i = 0; mask > 0 && mask < 1 << 13 && i < FL_ARRAY_LEN(units); i++)
		if (mask & units[i].bit)
			return units[i].unit;
	return NULL;
}

static struct fl_xcast_arg *
cast_arg(enum fl_xcast to, json_t *mods)
{
	struct fl_xcast_arg *a = fl_xcalloc(1, sizeof *a);

	a->precision = a->scale = -1;
	if (to == FL_XT_SPAN) {
		a->unit = interval_unit(modifier(mods, 0));
	} else if (json_array_size(mods) > 0) {
		a->precision = modifier(mods, 0);
		a->scale = json_array_size(mods) > 1 ? modifier(mods, 1) : 0;
	}
	return a;
}

/* A literal of a type (DATE '..') must be right; CAST('x' AS date) may wait. */
static struct fl_xnode *
check_literal(struct parser *s, struct fl_xnode *x, json_t *node, const char *name, uint32_t place)
{
	bool literal = json_integer_value(json_object_get(node, "location")) < 0;

	if (literal && x->op == FL_XO_CAST && x->arg[0]->op == FL_XO_CONST) {
		fl_x_fail(s->err, s->e->text, place, "not a valid %s", name);
		return drop(x);
	}
	return x;
}

static struct fl_xnode *
parse_cast(struct parser *s, json_t *node)
{
	json_t *type = json_object_get(node, "typeName");
	const char *name = last_name(json_object_get(type, "names"));
	enum fl_xcast to = name ? fl_x_cast_find(name) : FL_XT_NONE;
	uint32_t place = place_of(s, type);
	struct fl_xnode *x;

	if (json_object_get(type, "arrayBounds"))
		return FAIL(s, place, "nothing is cast to an array (string_to_array makes one)");
	if (to == FL_XT_NONE)
		return FAIL(s, place,
			    "unknown type%s%s (there are integer, bigint, numeric, double, text, "
			    "boolean, timestamp, date, time, interval, json)",
			    name ? " " : "", name ? name : "");
	x = fl_x_node(FL_XO_CAST, place, 0);
	x->code = (int)to;
	x->priv = cast_arg(to, json_object_get(type, "typmods"));
	x->priv_free = free;
	if (parse_arg(s, x, json_object_get(node, "arg")) < 0)
		return drop(x);
	return check_literal(s, finish(s, x), node, name, place);
}

/* ---- the rest ----------------------------------------------------------- */

static struct fl_xnode *
parse_clock(struct parser *s, json_t *node)
{
	const char *op = text_of(node, "op");
	uint32_t place = place_of(s, node);
	struct fl_xnode *x = fl_x_node(FL_XO_CALL, place, 0);

	if (strcmp(op, "SVFOP_CURRENT_DATE") == 0)
		return make_call(s, x, "current_date");
	if (strncmp(op, "SVFOP_CURRENT_TIMESTAMP", 23) == 0 ||
	    strncmp(op, "SVFOP_LOCALTIMESTAMP", 20) == 0)
		return make_call(s, x, "now");
	fl_x_fail(s->err, s->e->text, place, "not supported");
	return drop(x);
}

/* (expr)[1], (expr).name: a step into an array or a JSON value each. */
static struct fl_xnode *
parse_indirection(struct parser *s, json_t *node)
{
	json_t *steps = json_object_get(node, "indirection");
	struct fl_xnode *x = parse_node(s, json_object_get(node, "arg"));

	for (size_t i = 0; x && i < json_array_size(steps); i++) {
		json_t *step = json_array_get(steps, i), *at = json_object_get(step, "A_Indices");
		const char *key = string_node(step);
		struct fl_xnode *call = fl_x_node(FL_XO_CALL, x->place, 0);
		bool array = x->array;
		struct fl_xval text = fl_x_text(key, key ? strlen(key) : 0);

		fl_x_add_arg(call, x);
		if (key)
			fl_x_add_arg(call, fl_x_const(&text, x->place));
		else if (!at || flag_of(at, "is_slice") ||
			 parse_arg(s, call, json_object_get(at, "uidx")) < 0)
			return s->err->code ? drop(call)
					    : (drop(call),
					       FAIL(s, 0, "this subscript is not supported"));
		x = make_call(s, call, array ? "array_get" : "->");
	}
	return x;
}

static struct fl_xnode *
parse_collate(struct parser *s, json_t *node)
{
	const char *name = last_name(json_object_get(node, "collname"));

	if (!name || (strcmp(name, "C") != 0 && strcmp(name, "POSIX") != 0))
		return FAIL(s, place_of(s, node), "text is compared by bytes, only COLLATE \"C\"");
	return parse_node(s, json_object_get(node, "arg"));
}

static struct fl_xnode *
parse_kind(struct parser *s, const char *kind, json_t *node)
{
	static const struct {
		const char *kind;
		struct fl_xnode *(*parse)(struct parser *s, json_t *node);
	} kinds[] = {
		{ "A_Const", parse_const },       { "ColumnRef", parse_column },
		{ "A_Expr", parse_a_expr },       { "BoolExpr", parse_bool },
		{ "NullTest", parse_is },         { "BooleanTest", parse_is },
		{ "CaseExpr", parse_case },       { "TypeCast", parse_cast },
		{ "FuncCall", parse_call },       { "SQLValueFunction", parse_clock },
		{ "CollateClause", parse_collate }, { "A_Indirection", parse_indirection },
	};

	for (size_t i = 0; i < FL_ARRAY_LEN(kinds); i++)
		if (strcmp(kind, kinds[i].kind) == 0)
			return kinds[i].parse(s, node);
	if (strcmp(kind, "CoalesceExpr") == 0)
		return parse_list(s, node, FL_XO_COALESCE, "args");
	if (strcmp(kind, "MinMaxExpr") == 0)
		return parse_list(s, node, FL_XO_EXTREME, "args");
	if (strcmp(kind, "A_ArrayExpr") == 0)
		return parse_list(s, node, FL_XO_CALL, "elements");
	if (strcmp(kind, "SubLink") == 0)
		return FAIL(s, place_of(s, node), "a subquery cannot be used");
	if (strcmp(kind, "ParamRef") == 0)
		return FAIL(s, place_of(s, node), "a parameter ($1) cannot be used");
	if (strcmp(kind, "RowExpr") == 0)
		return FAIL(s, place_of(s, node), "a list (a, b) is not a single value");
	return FAIL(s, place_of(s, node), "not a single value (%s)", kind);
}

static struct fl_xnode *
parse_node(struct parser *s, json_t *wrapper)
{
	void *member = json_object_iter(wrapper);
	struct fl_xnode *x;

	if (!member)
		return FAIL(s, 0, "not an expression");
	if (s->depth >= FL_X_DEPTH_MAX)
		return FAIL(s, 0, "expression nested too deeply");
	s->depth++;
	x = parse_kind(s, json_object_iter_key(member), json_object_iter_value(member));
	s->depth--;
	return x;
}

/* The one expression of the one plain SELECT; anything else is not one. */
static json_t *
only_target(struct parser *s, json_t *tree)
{
	json_t *stmts = json_object_get(tree, "stmts"), *select, *targets, *target;

	select = json_object_get(json_object_get(json_array_get(stmts, 0), "stmt"), "SelectStmt");
	targets = json_object_get(select, "targetList");
	target = json_object_get(json_array_get(targets, 0), "ResTarget");
	if (json_array_size(stmts) == 1 && json_array_size(targets) == 1 && target &&
	    !json_object_get(target, "name") && json_object_size(select) == 3 &&
	    strcmp(text_of(select, "op"), "SETOP_NONE") == 0)
		return json_object_get(target, "val");
	if (json_array_size(stmts) == 1 && json_array_size(targets) == 0)
		return FAIL(s, 0, "empty expression");
	if (target && json_object_get(target, "name"))
		return FAIL(s, 0, "unexpected \"%s\"", text_of(target, "name"));
	return FAIL(s, 0, "not a single expression");
}

static int
walk(struct parser *s, const char *json)
{
	json_error_t why;
	json_t *tree = json_loads(json, 0, &why), *target;

	if (!tree && json_error_code(&why) == json_error_stack_overflow)
		return fl_x_fail(s->err, s->e->text, 0, "expression nested too deeply");
	if (!tree)
		return fl_x_fail(s->err, s->e->text, 0, "not UTF-8");
	target = only_target(s, tree);
	if (target)
		s->e->root = parse_node(s, target);
	json_decref(tree);
	return s->e->root ? 0 : FL_EUSAGE;
}

int
fl_x_parse(struct fl_expr *e, const struct fl_header *h, const struct fl__agg_hook *hook,
	   struct fl_err *err)
{
	struct fl_err why = { 0 };
	struct parser s = { .e = e, .h = h, .hook = hook, .err = &why };
	int rc = fl_x_quote(e->text, h, &s.q, &why);

	if (rc == 0) {
		PgQueryParseResult r = pg_query_parse(s.q.out.data);

		rc = r.error ? syntax_error(&s, r.error) : walk(&s, r.parse_tree);
		pg_query_free_parse_result(r);
	}
	fl_x_quoted_release(&s.q);
	if (rc < 0)
		*err = why;
	return rc;
}
