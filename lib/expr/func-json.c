/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON, and arrays: an SQL array is the text of a JSON array here. Also the
 * functions that give several rows.
 */
#define _GNU_SOURCE /* memmem */
#include "expr/func-json.h"

#include "expr/func-regex.h"
#include "expr/func-text.h"

struct fl_xval
fl_x_json_value(const struct fl_json *v, struct fl_buf *tmp)
{
	struct fl_xval ret = fl_x_text(v->p, v->n);
	size_t start;

	switch (v->type) {
	case FL_JSON_NULL:
		return fl_x_null();
	case FL_JSON_BOOL:
		ret.tag = FL_TAG_BOOL;
		return ret;
	case FL_JSON_NUMBER:
		ret.tag = FL_TAG_NUMBER;
		return ret;
	case FL_JSON_OBJECT:
		ret.tag = FL_TAG_OBJECT;
		return ret;
	case FL_JSON_ARRAY:
		ret.tag = FL_TAG_ARRAY;
		return ret;
	default:
		if (!fl_json_has_escape(v))
			return ret;
		start = tmp->len;
		fl_json_unescape(v, tmp);
		return fl_x_text(tmp->data + start, tmp->len - start);
	}
}

static bool
is_json_number(const struct fl_xval *v)
{
	struct fl_xval number;
	struct fl_dec d;

	if (v->type == FL_X_TEXT && v->tag == FL_TAG_NUMBER)
		return true;
	if (v->type == FL_X_TEXT && v->tag != FL_TAG_PLAIN)
		return false;
	if (!fl_x_number(v, &number))
		return false;
	d = fl_x_to_dec(&number);
	return fl_dec_to_double(&d) - fl_dec_to_double(&d) == 0; /* NaN and infinity are none */
}

void
fl_x_put_json(const struct fl_xval *v, const struct fl_expr_env *env, struct fl_buf *out)
{
	char buf[FL_X_TEXT_MAX];
	size_t n;
	const char *p = fl_x_to_text(v, env, buf, &n);
	bool raw = v->type == FL_X_TEXT && v->tag >= FL_TAG_OBJECT;

	if (v->type == FL_X_NULL)
		fl_buf_puts(out, "null");
	else if (raw || v->type == FL_X_BOOL || (v->type == FL_X_TEXT && v->tag == FL_TAG_BOOL))
		fl_buf_put(out, p, n);
	else if (is_json_number(v) && fl_json_valid(p, n))
		fl_buf_put(out, p, n);
	else
		fl_json_quote(p, n, out);
}

/* ---- into JSON ---------------------------------------------------------- */

static bool
open_json(const struct fl_xval *v, struct fl_json *ret)
{
	return v->type == FL_X_TEXT && fl_json_open(v->p, v->n, ret);
}

/* One step: an integer is an index, anything else a key. */
static bool
step(const struct fl_json *at, const struct fl_xval *key, struct fl_json *ret)
{
	if (key->type == FL_X_INT)
		return fl_json_at(at, key->i, ret);
	return key->type == FL_X_TEXT && fl_json_get(at, key->p, key->n, ret);
}

/* What was found, as a value (code 0) or as text (code 1). */
static int
give(struct fl_xcall *c, bool found, const struct fl_json *at, struct fl_xval *ret)
{
	*ret = fl_x_null();
	ret->tag = FL_TAG_ABSENT;
	if (!found)
		return 0;
	*ret = fl_x_json_value(at, c->text);
	if (c->node->func->code && ret->type == FL_X_TEXT && ret->tag != FL_TAG_NUMBER)
		ret->tag = FL_TAG_STRING;
	return 0;
}

static int
f_get(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	struct fl_json at;

	(void)n;
	return give(c, open_json(&arg[0], &at) && step(&at, &arg[1], &at), &at, ret);
}

/* A step of a path that is text: an index inside an array. */
static bool
path_step(struct fl_json *at, const struct fl_xval *key)
{
	struct fl_xval number;

	if (at->type == FL_JSON_ARRAY)
		return fl_x_number(key, &number) && number.type == FL_X_INT &&
		       fl_json_at(at, number.i, at);
	return fl_json_get(at, key->p, key->n, at);
}

static int
f_extract_path(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	struct fl_json at;
	bool found = open_json(&arg[0], &at);

	for (uint32_t i = 1; found && i < n; i++)
		found = path_step(&at, &arg[i]);
	return give(c, found, &at, ret);
}

/* '{a,b,0}', PostgreSQL's text of an array, or a JSON array */
static int
f_path(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	const char *p = arg[1].p, *end = p + arg[1].n;
	struct fl_json at;
	bool found = open_json(&arg[0], &at), more;

	(void)n;
	if (end - p < 2 || (*p != '{' && *p != '['))
		return fl_x_bad(c, "a path is written '{key,key,..}'");
	more = end - p > 2;
	end--;
	for (p++; found && more;) {
		const char *comma = memchr(p, ',', (size_t)(end - p)), *e = comma ? comma : end;
		struct fl_xval key = fl_x_text(p, (size_t)(e - p));

		if (key.n >= 2 && key.p[0] == '"' && key.p[key.n - 1] == '"')
			key = fl_x_text(key.p + 1, key.n - 2);
		found = path_step(&at, &key);
		more = comma != NULL;
		p = e + 1;
	}
	return give(c, found, &at, ret);
}

static int
f_typeof(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	static const char *const names[] = {
		[FL_JSON_NULL] = "null",     [FL_JSON_BOOL] = "boolean",
		[FL_JSON_NUMBER] = "number", [FL_JSON_STRING] = "string",
		[FL_JSON_OBJECT] = "object", [FL_JSON_ARRAY] = "array",
	};
	/* a literal is JSON text; what comes from JSON as a string is one */
	bool literal = c->node->arg[0]->op == FL_XO_CONST;
	struct fl_json at = { .type = FL_JSON_STRING };

	(void)n;
	if (arg->type == FL_X_BOOL)
		at.type = FL_JSON_BOOL;
	else if (!(arg->type == FL_X_TEXT && literal) && is_json_number(arg))
		at.type = FL_JSON_NUMBER;
	else if (arg->type == FL_X_TEXT && (arg->tag != FL_TAG_STRING || literal) &&
		 !open_json(arg, &at))
		at.type = FL_JSON_STRING;
	*ret = fl_x_text(names[at.type], strlen(names[at.type]));
	return 0;
}

/* ---- arrays ------------------------------------------------------------- */

static int
open_array(struct fl_xcall *c, const struct fl_xval *v, struct fl_json *ret)
{
	char shown[FL_X_SHOW_MAX];

	if (open_json(v, ret) && ret->type == FL_JSON_ARRAY)
		return 0;
	return fl_x_bad(c, "not an array: %s", fl_x_show(v, c->ev->env, shown));
}

static int
f_array(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	fl_buf_putc(c->text, '[');
	for (uint32_t i = 0; i < n; i++) {
		if (i)
			fl_buf_putc(c->text, ',');
		fl_x_put_json(&arg[i], c->ev->env, c->text);
	}
	fl_buf_putc(c->text, ']');
	*ret = fl_x_built(c);
	ret->tag = FL_TAG_ARRAY;
	return 0;
}

static int
f_build_object(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	char buf[FL_X_TEXT_MAX];

	if (n % 2)
		return fl_x_bad(c, "json_build_object takes pairs of key and value");
	fl_buf_putc(c->text, '{');
	for (uint32_t i = 0; i < n; i += 2) {
		size_t len;
		const char *key = fl_x_to_text(&arg[i], c->ev->env, buf, &len);

		if (arg[i].type == FL_X_NULL)
			return fl_x_bad(c, "json_build_object: a key is NULL");
		if (i)
			fl_buf_putc(c->text, ',');
		fl_json_quote(key, len, c->text);
		fl_buf_putc(c->text, ':');
		fl_x_put_json(&arg[i + 1], c->ev->env, c->text);
	}
	fl_buf_putc(c->text, '}');
	*ret = fl_x_built(c);
	ret->tag = FL_TAG_OBJECT;
	return 0;
}

/* code 0: array_length (NULL for none), 1: cardinality */
static int
f_count(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	struct fl_json array;
	int64_t count;

	if (open_array(c, arg, &array) < 0)
		return -1;
	count = fl_json_count(&array);
	*ret = fl_x_int(count);
	if (c->node->func->code == 0 && (count == 0 || (n > 1 && arg[1].i != 1)))
		*ret = fl_x_null();
	return 0;
}

/* array[i], counted from 1 */
static int
f_element(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	struct fl_json at;

	(void)n;
	if (open_array(c, arg, &at) < 0)
		return -1;
	return give(c, arg[1].i >= 1 && fl_json_at(&at, arg[1].i - 1, &at), &at, ret);
}

/* Whether an element equals a value; NULL if none does but one is NULL. */
static int
f_contains(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	struct fl_json_iter it;
	struct fl_json array, at;

	(void)n;
	if (open_array(c, arg, &array) < 0)
		return -1;
	*ret = fl_x_bool(false);
	fl_json_iter(&array, &it);
	while (fl_json_next(&it, NULL, &at)) {
		struct fl_xval v;

		fl_buf_clear(c->text);
		v = fl_x_json_value(&at, c->text);
		if (v.type == FL_X_NULL) {
			*ret = fl_x_null();
		} else if (fl_x_compare(c->node, c->ev->env, &v, &arg[1]) == 0) {
			*ret = fl_x_bool(true);
			return 0;
		}
	}
	return 0;
}

/* array, separator [, what NULL becomes] */
static int
f_join(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	struct fl_json_iter it;
	struct fl_json array, at;
	bool any = false;

	if (open_array(c, arg, &array) < 0)
		return -1;
	fl_json_iter(&array, &it);
	while (fl_json_next(&it, NULL, &at)) {
		if (at.type == FL_JSON_NULL && n < 3)
			continue;
		if (any)
			fl_buf_put(c->text, arg[1].p, arg[1].n);
		any = true;
		if (at.type == FL_JSON_NULL)
			fl_buf_put(c->text, arg[2].p, arg[2].n);
		else if (at.type == FL_JSON_STRING)
			fl_json_unescape(&at, c->text);
		else
			fl_buf_put(c->text, at.p, at.n);
	}
	*ret = fl_x_built(c);
	return 0;
}

static int
f_to_json(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	(void)n;
	fl_x_put_json(arg, c->ev->env, c->text);
	*ret = fl_x_built(c);
	ret->tag = FL_TAG_STRING;
	return 0;
}

/* ---- splitting ---------------------------------------------------------- */

struct piece {
	fl_xput_fn put;
	void *ctx;
	const struct fl_xval *null; /* text that means NULL, or NULL */
};

static int
put_piece(const struct piece *to, const char *p, size_t n)
{
	struct fl_xval v = fl_x_text(p, n);

	if (to->null && to->null->type == FL_X_TEXT && to->null->n == n &&
	    memcmp(to->null->p, p, n) == 0)
		v = fl_x_null();
	return to->put(to->ctx, &v);
}

/* text, separator [, null]: without separator (NULL) every character is a piece. */
static void
split(const struct fl_xval *text, const struct fl_xval *sep, const struct piece *to)
{
	const char *p = text->p, *end = p + text->n;

	if (text->n == 0)
		return;
	if (sep->type == FL_X_NULL) {
		while (p < end) {
			size_t len = fl_x_char_len(p, (size_t)(end - p));

			if (put_piece(to, p, len) < 0)
				return;
			p += len;
		}
		return;
	}
	while (sep->n) {
		const char *at = sep->n == 1 ? memchr(p, *sep->p, (size_t)(end - p))
					     : memmem(p, (size_t)(end - p), sep->p, sep->n);

		if (!at)
			break;
		if (put_piece(to, p, (size_t)(at - p)) < 0)
			return;
		p = at + sep->n;
	}
	(void)put_piece(to, p, (size_t)(end - p));
}

/* Pieces as the text of an array. */
static int
append_piece(void *ctx, const struct fl_xval *v)
{
	struct fl_buf *out = ctx;

	if (out->data[out->len - 1] != '[')
		fl_buf_putc(out, ',');
	if (v->type == FL_X_NULL)
		fl_buf_puts(out, "null");
	else
		fl_json_quote(v->p, v->n, out);
	return 0;
}

static int
split_any(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, bool regex, fl_xput_fn put,
	  void *ctx)
{
	struct piece to = { put, ctx, n > 2 ? &arg[2] : NULL };

	if (arg[0].type == FL_X_NULL || (regex && arg[1].type == FL_X_NULL))
		return 0;
	if (regex)
		return fl_x_regex_split(c, arg, n, put, ctx);
	split(&arg[0], &arg[1], &to);
	return 0;
}

/* code 1: at a pattern */
static int
f_split(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	if (arg[0].type == FL_X_NULL) {
		*ret = fl_x_null();
		return 0;
	}
	fl_buf_putc(c->text, '[');
	if (split_any(c, arg, n, c->node->func->code == 1, append_piece, c->text) < 0)
		return -1;
	fl_buf_putc(c->text, ']');
	*ret = fl_x_built(c);
	ret->tag = FL_TAG_ARRAY;
	return 0;
}

/* ---- sets --------------------------------------------------------------- */

enum set { SET_ELEMENTS, SET_TEXTS, SET_KEYS, SET_SPLIT, SET_SPLIT_REGEX };

int
fl_x_set_each(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, fl_xput_fn put, void *ctx)
{
	enum set what = (enum set)c->node->func->code;
	struct fl_json_iter it;
	struct fl_json json, key, at;

	if (what == SET_SPLIT || what == SET_SPLIT_REGEX)
		return split_any(c, arg, n, what == SET_SPLIT_REGEX, put, ctx);
	if (what != SET_KEYS) {
		if (open_array(c, arg, &json) < 0)
			return -1;
	} else if (!open_json(arg, &json) || json.type != FL_JSON_OBJECT) {
		return fl_x_bad(c, "not an object");
	}
	fl_json_iter(&json, &it);
	while (fl_json_next(&it, &key, &at)) {
		struct fl_xval v;

		fl_buf_clear(c->text);
		v = fl_x_json_value(what == SET_KEYS ? &key : &at, c->text);
		if (what == SET_TEXTS && v.type == FL_X_TEXT)
			v.tag = FL_TAG_STRING;
		if (put(ctx, &v) < 0)
			return 0;
	}
	return 0;
}

#define T FL_X_TEXT
#define ANY FL_X_ANY
#define I FL_X_INT
const struct fl_xfunc fl_x_json_funcs[] = {
	{ "->", "aa", ANY, 0, 0, f_get, "json, key or index" },
	{ "->>", "aa", ANY, 0, 1, f_get, "json, key or index" },
	{ "#>", "at", ANY, 0, 0, f_path, "json, path" },
	{ "#>>", "at", ANY, 0, 1, f_path, "json, path" },
	{ "json_extract_path", "at*", ANY, 0, 0, f_extract_path, "json, key, .." },
	{ "jsonb_extract_path", "at*", ANY, 0, 0, f_extract_path, "json, key, .." },
	{ "json_extract_path_text", "at*", ANY, 0, 1, f_extract_path, "json, key, .." },
	{ "jsonb_extract_path_text", "at*", ANY, 0, 1, f_extract_path, "json, key, .." },
	{ "json_typeof", "a", T, 0, 0, f_typeof, "json" },
	{ "jsonb_typeof", "a", T, 0, 0, f_typeof, "json" },
	{ "json_array_length", "a", I, 0, 1, f_count, "array" },
	{ "jsonb_array_length", "a", I, 0, 1, f_count, "array" },
	{ "array_length", "a|i", I, 0, 0, f_count, "array [, 1]" },
	{ "cardinality", "a", I, 0, 1, f_count, "array" },
	{ "array", "|a*", T, FL_XF_NULLS, 0, f_array, "value, .." },
	{ "json_build_array", "|a*", T, FL_XF_NULLS, 0, f_array, "value, .." },
	{ "json_build_object", "|a*", T, FL_XF_NULLS, 0, f_build_object, "key, value, .." },
	{ "to_json", "a", T, FL_XF_NULLS, 0, f_to_json, "value" },
	{ "array_get", "ai", ANY, 0, 0, f_element, "array, number" },
	{ "array_contains", "aa", FL_X_BOOL, 0, 0, f_contains, "array, value" },
	{ "array_to_string", "at|t", T, 0, 0, f_join, "array, separator [, null]" },
	{ "string_to_array", "tt|t", T, FL_XF_NULLS, 0, f_split, "text, separator [, null]" },
	{ "regexp_split_to_array", "tt|t", T, 0, 1, f_split, "text, pattern [, flags]" },
	{ "unnest", "a", ANY, FL_XF_SET, SET_ELEMENTS, NULL, "array" },
	{ "json_array_elements", "a", ANY, FL_XF_SET, SET_ELEMENTS, NULL, "array" },
	{ "jsonb_array_elements", "a", ANY, FL_XF_SET, SET_ELEMENTS, NULL, "array" },
	{ "json_array_elements_text", "a", ANY, FL_XF_SET, SET_TEXTS, NULL, "array" },
	{ "jsonb_array_elements_text", "a", ANY, FL_XF_SET, SET_TEXTS, NULL, "array" },
	{ "json_object_keys", "a", T, FL_XF_SET, SET_KEYS, NULL, "object" },
	{ "jsonb_object_keys", "a", T, FL_XF_SET, SET_KEYS, NULL, "object" },
	{ "string_to_table", "tt|t", T, FL_XF_SET | FL_XF_NULLS, SET_SPLIT, NULL,
	  "text, separator [, null]" },
	{ "regexp_split_to_table", "tt|t", T, FL_XF_SET, SET_SPLIT_REGEX, NULL,
	  "text, pattern [, flags]" },
	{ 0 },
};
