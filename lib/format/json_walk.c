/* SPDX-License-Identifier: Apache-2.0 */
#include "format/json_walk.h"

#include <stdlib.h>

int
fl_json_walk_init(struct fl_json_walk *w, struct fl_err *err)
{
	*w = (struct fl_json_walk){ .engine = fl_json_simdjson() };
	w->lexer = w->engine->create();
	if (!w->lexer)
		return fl_fail(err, FL_ELIMIT, "out of memory");
	return 0;
}

void
fl_json_walk_release(struct fl_json_walk *w)
{
	if (w->engine)
		w->engine->destroy(w->lexer);
	fl_buf_release(&w->scratch);
	*w = (struct fl_json_walk){ 0 };
}

enum fl_json_error
fl_json_walk_start(struct fl_json_walk *w, const char *p, size_t n)
{
	struct fl_json_index index;
	enum fl_json_error e;
	const char *backslash;

	fl_assert(n <= FL_JSON_MAX);
	w->p = p;
	w->len = (uint32_t)n;
	w->i = w->end = NULL;
	w->wrong = NULL;
	e = w->engine->index(w->lexer, p, n, &index);
	if (e)
		return e;
	w->i = index.at;
	w->end = index.at + index.count;
	backslash = n ? memchr(p, '\\', n) : NULL;
	w->backslash = backslash ? (uint32_t)(backslash - p) : w->len;
	return FL_JSON_OK;
}

/* The first control character inside a string: where FL_JSON_CONTROL is. */
static uint32_t
control_at(const char *p, size_t n)
{
	bool in_string = false;

	for (size_t i = 0; i < n; i++) {
		if (p[i] == '"')
			in_string = !in_string;
		else if (p[i] == '\\')
			i++;
		else if (in_string && (unsigned char)p[i] < ' ')
			return (uint32_t)i;
	}
	return (uint32_t)n;
}

/* The last quote that is not escaped: the one that is not closed. */
static uint32_t
last_quote(const char *p, size_t n)
{
	size_t at = n;

	for (size_t i = 0; i < n; i++) {
		if (p[i] == '"')
			at = i;
		else if (p[i] == '\\')
			i++;
	}
	return (uint32_t)at;
}

void
fl_json_walk_explain(struct fl_json_walk *w, enum fl_json_error e, const char *p, size_t n)
{
	switch (e) {
	case FL_JSON_UTF8:
		(void)fl_json_wrong(w, (uint32_t)w->engine->utf8_length(p, n), "not UTF-8");
		break;
	case FL_JSON_CONTROL:
		(void)fl_json_wrong(w, control_at(p, n), "a control character in a string");
		break;
	case FL_JSON_UNCLOSED:
		(void)fl_json_wrong(w, last_quote(p, n), "a string without its closing quote");
		break;
	default:
		(void)fl_json_wrong(w, 0, "simdjson cannot read it");
	}
}

bool
fl_json_walk_backslash(struct fl_json_walk *w, uint32_t start, uint32_t end)
{
	const char *found;

	if (w->backslash < start) {
		found = memchr(w->p + start, '\\', w->len - start);
		w->backslash = found ? (uint32_t)(found - w->p) : w->len;
	}
	return w->backslash < end;
}

bool
fl_json_walk_unescape(struct fl_json_walk *w, uint32_t start, uint32_t end)
{
	char *to = fl_buf_reserve(&w->scratch, (size_t)(end - start) + FL_JSON_PAD);

	to = w->engine->unescape(w->lexer, w->p + start, to);
	if (!to)
		return fl_json_wrong(w, start - 1, "a string with a wrong escape");
	w->scratch.len = (size_t)(to - w->scratch.data);
	return true;
}

static const char *
skip_digits(const char *p, const char *end)
{
	while (p < end && (unsigned)(*p - '0') <= 9)
		p++;
	return p;
}

bool
fl_json_is_number(const char *p, size_t n)
{
	const char *end = p + n, *digits;

	p += *p == '-';
	digits = p;
	p = skip_digits(p, end);
	if (p == digits || (*digits == '0' && p - digits > 1))
		return false;
	if (p < end && *p == '.') {
		digits = ++p;
		p = skip_digits(p, end);
		if (p == digits)
			return false;
	}
	if (p < end && (*p == 'e' || *p == 'E')) {
		p++;
		p += p < end && (*p == '+' || *p == '-');
		digits = p;
		p = skip_digits(p, end);
		if (p == digits)
			return false;
	}
	return p == end;
}

/* true, false and null. */
static bool
walk_word(struct fl_json_walk *w, struct fl_json_value *ret)
{
	uint32_t start = *w->i, end = fl_json_scalar_end(w), n = end - start;
	const char *p = w->p + start;

	*ret = (struct fl_json_value){ .start = start, .end = end, .tag = FL_TAG_BOOL };
	if (n == 4 && memcmp(p, "null", 4) == 0) {
		ret->tag = FL_TAG_NULL;
		ret->end = start; /* NULL has no bytes */
	} else if (!(n == 4 && memcmp(p, "true", 4) == 0) &&
		   !(n == 5 && memcmp(p, "false", 5) == 0)) {
		return fl_json_wrong(w, start, "expected a value");
	}
	w->i++;
	return true;
}

/* Walk a string inside a nested value, where it is only checked. */
static bool
check_string(struct fl_json_walk *w)
{
	uint32_t start, end;
	size_t len = w->scratch.len;
	bool escaped;

	if (!fl_json_walk_string(w, &start, &end, &escaped))
		return false;
	if (escaped && !fl_json_walk_unescape(w, start, end))
		return false;
	w->scratch.len = len;
	return true;
}

static bool
check_key(struct fl_json_walk *w)
{
	if (fl_json_peek(w) != '"')
		return fl_json_wrong(w, *w->i, "expected a key in quotes");
	if (!check_string(w))
		return false;
	if (fl_json_peek(w) != ':')
		return fl_json_wrong(w, *w->i, "expected ':' behind a key");
	w->i++;
	return true;
}

static bool
check_scalar(struct fl_json_walk *w)
{
	struct fl_json_value v;
	char c = fl_json_peek(w);

	if (c == '"')
		return check_string(w);
	if ((unsigned)(c - '0') <= 9 || c == '-')
		return fl_json_walk_number(w, &v);
	if (w->i == w->end)
		return fl_json_wrong(w, w->len, "expected a value");
	return walk_word(w, &v);
}

/* The open containers: one bit each, set for an object. */
struct nest {
	unsigned depth; /* of them; bits[(depth - 1) / 64] has the innermost */
	uint64_t bits[FL_JSON_DEPTH_MAX / 64];
};

static bool
innermost_is_object(const struct nest *o)
{
	return o->bits[(o->depth - 1) / 64] >> ((o->depth - 1) % 64) & 1;
}

/* Enter the container at the next token, which is '{' or '['. */
static bool
enter(struct fl_json_walk *w, struct nest *o)
{
	bool object = fl_json_peek(w) == '{';
	uint64_t bit;

	if (o->depth == FL_JSON_DEPTH_MAX)
		return fl_json_wrong(w, *w->i, "nested deeper than 1024 objects and arrays");
	bit = (uint64_t)1 << (o->depth % 64);
	if (object)
		o->bits[o->depth / 64] |= bit;
	else
		o->bits[o->depth / 64] &= ~bit;
	o->depth++;
	w->i++;
	return true;
}

/*
 * Behind a value: leave what ends here, down to base containers. *ret_more:
 * another value follows.
 */
static bool
leave(struct fl_json_walk *w, struct nest *o, unsigned base, bool *ret_more)
{
	while (o->depth > base) {
		bool object = innermost_is_object(o);
		char c = fl_json_peek(w);

		if (c == ',') {
			w->i++;
			*ret_more = true;
			return object ? check_key(w) : true;
		}
		if (c != (object ? '}' : ']'))
			return fl_json_wrong(
				w, *w->i, object ? "expected ',' or '}'" : "expected ',' or ']'");
		w->i++;
		o->depth--;
	}
	*ret_more = false;
	return true;
}

/* Walk the object or array at the next token. Its depth is a number, not a stack. */
static bool
walk_nested(struct fl_json_walk *w, unsigned depth, struct fl_json_value *ret)
{
	struct nest open;
	bool more = true;

	open.depth = depth;
	*ret = (struct fl_json_value){
		.start = *w->i,
		.tag = fl_json_peek(w) == '{' ? FL_TAG_OBJECT : FL_TAG_ARRAY,
	};
	while (more) {
		char c = fl_json_peek(w);

		if (c == '{' || c == '[') {
			if (!enter(w, &open))
				return false;
			if (fl_json_peek(w) != (c == '{' ? '}' : ']')) {
				if (c == '{' && !check_key(w))
					return false;
				continue;
			}
			/* empty: leave finds its end */
		} else if (!check_scalar(w)) {
			return false;
		}
		if (!leave(w, &open, depth, &more))
			return false;
	}
	ret->end = w->i[-1] + 1;
	return true;
}

bool
fl_json_walk_other(struct fl_json_walk *w, unsigned depth, struct fl_json_value *ret)
{
	char c = fl_json_peek(w);

	if (c == '{' || c == '[')
		return walk_nested(w, depth, ret);
	return walk_word(w, ret);
}

bool
fl_json_walk_text(struct fl_json_walk *w, struct fl_json_value *ret)
{
	if (w->i == w->end)
		return fl_json_wrong(w, w->len, "expected a value");
	if (!fl_json_walk_value(w, 0, ret))
		return false;
	if (ret->tag == FL_TAG_STRING && ret->escaped &&
	    !fl_json_walk_unescape(w, ret->start, ret->end))
		return false;
	if (w->i < w->end)
		return fl_json_wrong(w, *w->i, "something behind the value");
	return true;
}

bool
fl_json_walk_valid(const char *p, size_t n)
{
	struct fl_json_walk w;
	struct fl_json_value v;
	struct fl_err err;
	char *copy;
	bool valid;

	if (n > FL_JSON_MAX || fl_json_walk_init(&w, &err))
		return false;
	copy = fl_xmalloc(n + FL_JSON_PAD);
	if (n)
		memcpy(copy, p, n);
	memset(copy + n, 0, FL_JSON_PAD);
	valid = fl_json_walk_start(&w, copy, n) == FL_JSON_OK && fl_json_walk_text(&w, &v);
	fl_json_walk_release(&w);
	free(copy);
	return valid;
}
