/* SPDX-License-Identifier: Apache-2.0 */
/* Finding functions by name. */
#include "base/str.h"
#include "expr/expr-node.h"

static const struct fl_xfunc *const tables[] = {
	fl_x_math_funcs, fl_x_text_funcs, fl_x_regex_funcs, fl_x_time_funcs, fl_x_json_funcs,
};

const struct fl_xfunc *
fl_x_func_find(const char *name)
{
	for (size_t t = 0; t < FL_ARRAY_LEN(tables); t++)
		for (const struct fl_xfunc *f = tables[t]; f->name; f++)
			if (strcmp(f->name, name) == 0)
				return f;
	return NULL;
}

/* Operators are in the tables too, but nobody means one by a word. */
static bool
is_word(const char *name)
{
	return *name >= 'a' && *name <= 'z' && !strchr(name, ' ');
}

static void
consider(const char *name, size_t len, const char *candidate, const char **best, size_t *distance)
{
	size_t d;

	if (!is_word(candidate))
		return;
	d = fl_edit_distance(name, len, candidate, strlen(candidate), *distance);
	if (d < *distance) {
		*distance = d;
		*best = candidate;
	}
}

const char *
fl_x_func_nearest(const char *name, const struct fl__agg_hook *hook)
{
	static const char *const syntax[] = { "coalesce", "nullif", "greatest", "least", "extract",
					      "if", "ifnull" };
	/* what other languages call them, which is not near enough */
	static const char *const elsewhere[][2] = {
		{ "len", "length" },          { "strlen", "length" },     { "size", "length" },
		{ "tolower", "lower" },       { "toupper", "upper" },     { "ucase", "upper" },
		{ "lcase", "lower" },         { "index", "strpos" },      { "instr", "strpos" },
		{ "gsub", "regexp_replace" }, { "sub", "regexp_replace" }, { "sprintf", "format" },
		{ "match", "regexp_like" },   { "split", "split_part" },  { "systime", "now" },
		{ "strftime", "to_char" },    { "strptime", "to_timestamp" }, { "int", "trunc" },
		{ "isnull", "coalesce" },     { "iif", "if" },            { "mean", "avg" },
	};
	size_t len = strlen(name), distance = len / 3 + 2;
	const char *best = NULL;

	for (size_t i = 0; i < FL_ARRAY_LEN(elsewhere); i++)
		if (strcmp(name, elsewhere[i][0]) == 0)
			return elsewhere[i][1];
	for (size_t t = 0; t < FL_ARRAY_LEN(tables); t++)
		for (const struct fl_xfunc *f = tables[t]; f->name; f++)
			consider(name, len, f->name, &best, &distance);
	for (size_t i = 0; i < FL_ARRAY_LEN(syntax); i++)
		consider(name, len, syntax[i], &best, &distance);
	for (size_t i = 0; hook && i < hook->name_count; i++)
		consider(name, len, hook->names[i], &best, &distance);
	return best;
}

void
fl_x_func_bounds(const struct fl_xfunc *f, uint32_t *ret_min, uint32_t *ret_max)
{
	uint32_t n = 0;
	bool optional = false;

	*ret_min = 0;
	for (const char *p = f->args; *p; p++) {
		if (*p == '*') {
			*ret_max = UINT32_MAX;
			return;
		}
		if (*p == '|') {
			optional = true;
			continue;
		}
		n++;
		if (!optional)
			*ret_min = n;
	}
	*ret_max = n;
}

char
fl_x_func_letter(const struct fl_xfunc *f, uint32_t i)
{
	char last = 'a';

	for (const char *p = f->args; *p && *p != '*'; p++) {
		if (*p == '|')
			continue;
		last = *p;
		if (i-- == 0)
			break;
	}
	return last;
}

/* Something that any function takes for such an argument. */
static struct fl_xval
stand_in(char letter)
{
	switch (letter) {
	case 'i':
	case 'n':
		return fl_x_int(1);
	case 't':
		return fl_x_text("", 0);
	default:
		return fl_x_time(0);
	}
}

int
fl_x_func_check(struct fl_xnode *x, const struct fl_expr_env *env, char reason[FL_X_REASON_MAX])
{
	char tmp[6][FL_X_TEXT_MAX];
	struct fl_xval args[6], ret;
	struct fl_buf text = { 0 };
	struct fl_err err = { 0 };
	struct fl_xeval ev = { .rows = 1, .env = env, .err = &err };
	struct fl_xcall c = { .node = x, .ev = &ev, .text = &text, .reason = reason };
	int rc = 0;

	if (!(x->func->flags & FL_XF_CHECK) || x->argc > FL_ARRAY_LEN(args))
		return 0;
	fl_buf_reserve(&text, 1);
	for (uint32_t i = 0; rc == 0 && i < x->argc; i++) {
		char letter = fl_x_func_letter(x->func, i);

		args[i] = stand_in(letter);
		if (x->arg[i]->op == FL_XO_CONST && x->arg[i]->value.type != FL_X_NULL) {
			args[i] = x->arg[i]->value;
			if (letter != 'a')
				rc = fl_x_coerce(&c, letter, &args[i], tmp[i]);
		}
	}
	if (rc == 0)
		rc = x->func->fn(&c, args, x->argc, &ret);
	fl_buf_release(&text);
	return rc;
}
