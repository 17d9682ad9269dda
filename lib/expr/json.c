/* SPDX-License-Identifier: Apache-2.0 */
#include "expr/json.h"

#include "base/str.h"

#define DEPTH_MAX 512

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *
skip_space(const char *p, const char *end)
{
	while (p < end && is_space(*p))
		p++;
	return p;
}

/* Behind the string whose quote is at p; NULL if it is not closed. */
static const char *
string_end(const char *p, const char *end)
{
	for (p++; p < end; p++) {
		if (*p == '"')
			return p + 1;
		if (*p == '\\')
			p++;
	}
	return NULL;
}

/* Behind the object or array that opens at p. Kinds of brackets are not told apart. */
static const char *
nested_end(const char *p, const char *end)
{
	size_t depth = 0;

	while (p && p < end) {
		switch (*p) {
		case '"':
			p = string_end(p, end);
			continue;
		case '{':
		case '[':
			depth++;
			break;
		case '}':
		case ']':
			if (--depth == 0)
				return p + 1;
			break;
		default:
			break;
		}
		p++;
	}
	return NULL;
}

/* A value that begins at p; returns behind it, or NULL. */
static const char *
take_value(const char *p, const char *end, struct fl_json *ret)
{
	const char *e = p;

	if (p >= end)
		return NULL;
	if (*p == '"') {
		e = string_end(p, end);
		*ret = (struct fl_json){ FL_JSON_STRING, p + 1, e ? (size_t)(e - p) - 2 : 0 };
		return e;
	}
	if (*p == '{' || *p == '[') {
		e = nested_end(p, end);
		*ret = (struct fl_json){ *p == '{' ? FL_JSON_OBJECT : FL_JSON_ARRAY, p,
					 e ? (size_t)(e - p) : 0 };
		return e;
	}
	while (e < end && *e != ',' && *e != ']' && *e != '}' && !is_space(*e))
		e++;
	*ret = (struct fl_json){ FL_JSON_NUMBER, p, (size_t)(e - p) };
	if (*p == 't' || *p == 'f')
		ret->type = FL_JSON_BOOL;
	else if (*p == 'n')
		ret->type = FL_JSON_NULL;
	else if (*p != '-' && !is_digit(*p))
		return NULL;
	return e;
}

bool
fl_json_open(const char *p, size_t n, struct fl_json *ret)
{
	const char *end = p + n, *e = take_value(skip_space(p, end), end, ret);

	return e && skip_space(e, end) == end;
}

void
fl_json_iter(const struct fl_json *v, struct fl_json_iter *ret)
{
	bool nested = v->type == FL_JSON_OBJECT || v->type == FL_JSON_ARRAY;

	ret->object = v->type == FL_JSON_OBJECT;
	ret->p = nested ? v->p + 1 : NULL;
	ret->end = nested ? v->p + v->n - 1 : NULL;
}

bool
fl_json_next(struct fl_json_iter *it, struct fl_json *key, struct fl_json *value)
{
	struct fl_json name;
	const char *p = it->p, *end = it->end;

	if (!p)
		return false;
	it->p = NULL; /* unless all goes well */
	p = skip_space(p, end);
	if (it->object) {
		if (p >= end || *p != '"' || !(p = take_value(p, end, &name)))
			return false;
		p = skip_space(p, end);
		if (p >= end || *p != ':')
			return false;
		p = skip_space(p + 1, end);
		if (key)
			*key = name;
	}
	p = take_value(p, end, value);
	if (!p)
		return false;
	p = skip_space(p, end);
	if (p < end && *p == ',')
		it->p = p + 1;
	return true;
}

/* ---- strings ------------------------------------------------------------ */

static int
hex4(const char *p, const char *end)
{
	int v = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = p[i];
		int d = is_digit(c)                ? c - '0'
			: (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
								  : -1;

		if (d < 0)
			return -1;
		v = v * 16 + d;
	}
	return v;
}

/* What follows "\u"; a surrogate without its other half is U+FFFD. */
static const char *
take_unicode(const char *p, const char *end, char out[4], size_t *ret_n)
{
	int high = hex4(p, end), low;
	uint32_t c = (uint32_t)high;

	p += 4;
	if (high >= 0xd800 && high < 0xdc00) {
		low = end - p >= 6 && p[0] == '\\' && p[1] == 'u' ? hex4(p + 2, end) : -1;
		if (low >= 0xdc00 && low < 0xe000) {
			c = 0x10000 + (((uint32_t)high - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
			p += 6;
		} else {
			c = 0xfffd;
		}
	} else if (high >= 0xdc00 && high < 0xe000) {
		c = 0xfffd;
	}
	*ret_n = fl_utf8_encode(c, out);
	return p;
}

/* One character's meaning at p into out; returns behind it. */
static const char *
take_char(const char *p, const char *end, char out[4], size_t *ret_n)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at;

	*ret_n = 1;
	out[0] = *p;
	if (*p != '\\' || p + 1 >= end)
		return p + 1;
	if (p[1] == 'u' && hex4(p + 2, end) >= 0)
		return take_unicode(p + 2, end, out, ret_n);
	at = p[1] ? memchr(from, p[1], sizeof from - 1) : NULL;
	if (!at)
		return p + 1; /* no escape: the backslash stands for itself */
	out[0] = to[at - from];
	return p + 2;
}

bool
fl_json_has_escape(const struct fl_json *string)
{
	return string->n && memchr(string->p, '\\', string->n);
}

void
fl_json_unescape(const struct fl_json *string, struct fl_buf *out)
{
	const char *p = string->p, *end = p + string->n;

	if (!fl_json_has_escape(string)) {
		fl_buf_put(out, p, string->n);
		return;
	}
	while (p < end) {
		char c[4];
		size_t n;

		p = take_char(p, end, c, &n);
		fl_buf_put(out, c, n);
	}
}

static bool
string_is(const struct fl_json *string, const char *key, size_t len)
{
	const char *p = string->p, *end = p + string->n;
	size_t at = 0;

	if (!fl_json_has_escape(string))
		return string->n == len && memcmp(p, key, len) == 0;
	while (p < end) {
		char c[4];
		size_t n;

		p = take_char(p, end, c, &n);
		if (n > len - at || memcmp(key + at, c, n) != 0)
			return false;
		at += n;
	}
	return at == len;
}

void
fl_json_quote(const char *p, size_t n, struct fl_buf *out)
{
	static const char hex[] = "0123456789abcdef";
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";

	fl_buf_putc(out, '"');
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];
		const char *at = c ? memchr(from, c, sizeof from - 1) : NULL;

		if (at) {
			fl_buf_putc(out, '\\');
			fl_buf_putc(out, to[at - from]);
		} else if (c < 0x20) {
			fl_buf_put(out, "\\u00", 4);
			fl_buf_putc(out, hex[c >> 4]);
			fl_buf_putc(out, hex[c & 15]);
		} else {
			fl_buf_putc(out, (char)c);
		}
	}
	fl_buf_putc(out, '"');
}

/* ---- members ------------------------------------------------------------ */

bool
fl_json_get(const struct fl_json *v, const char *key, size_t len, struct fl_json *ret)
{
	struct fl_json_iter it;
	struct fl_json name, value;

	if (v->type != FL_JSON_OBJECT)
		return false;
	fl_json_iter(v, &it);
	while (fl_json_next(&it, &name, &value)) {
		if (string_is(&name, key, len)) {
			*ret = value;
			return true;
		}
	}
	return false;
}

int64_t
fl_json_count(const struct fl_json *v)
{
	struct fl_json_iter it;
	struct fl_json value;
	int64_t n = 0;

	fl_json_iter(v, &it);
	while (fl_json_next(&it, NULL, &value))
		n++;
	return n;
}

bool
fl_json_at(const struct fl_json *v, int64_t index, struct fl_json *ret)
{
	struct fl_json_iter it;
	struct fl_json value;

	if (v->type != FL_JSON_ARRAY)
		return false;
	if (index < 0)
		index += fl_json_count(v);
	if (index < 0)
		return false;
	fl_json_iter(v, &it);
	while (fl_json_next(&it, NULL, &value)) {
		if (index-- == 0) {
			*ret = value;
			return true;
		}
	}
	return false;
}

/* ---- validation --------------------------------------------------------- */

static const char *
valid_string(const char *p, const char *end)
{
	for (p++; p < end; p++) {
		if (*p == '"')
			return p + 1;
		if ((unsigned char)*p < 0x20)
			return NULL;
		if (*p != '\\')
			continue;
		if (++p >= end)
			return NULL;
		if (*p == 'u' && hex4(p + 1, end) >= 0)
			p += 4;
		else if (!*p || !memchr("\"\\/bfnrt", *p, 8))
			return NULL;
	}
	return NULL;
}

static const char *
valid_digits(const char *p, const char *end)
{
	const char *e = p;

	while (e < end && is_digit(*e))
		e++;
	return e > p ? e : NULL;
}

static const char *
valid_number(const char *p, const char *end)
{
	p += *p == '-';
	if (p < end && *p == '0')
		p++;
	else if (!(p = valid_digits(p, end)))
		return NULL;
	if (p < end && *p == '.' && !(p = valid_digits(p + 1, end)))
		return NULL;
	if (p < end && (*p | 0x20) == 'e') {
		p++;
		p += p < end && (*p == '+' || *p == '-');
		p = valid_digits(p, end);
	}
	return p;
}

static const char *
valid_scalar(const char *p, const char *end)
{
	static const char *const words[] = { "true", "false", "null" };

	if (*p == '"')
		return valid_string(p, end);
	for (size_t i = 0; i < FL_ARRAY_LEN(words); i++) {
		size_t n = strlen(words[i]);

		if ((size_t)(end - p) >= n && memcmp(p, words[i], n) == 0)
			return p + n;
	}
	return *p == '-' || is_digit(*p) ? valid_number(p, end) : NULL;
}

/* Behind a member's name and colon. */
static const char *
valid_name(const char *p, const char *end)
{
	p = skip_space(p, end);
	if (p >= end || *p != '"' || !(p = valid_string(p, end)))
		return NULL;
	p = skip_space(p, end);
	return p < end && *p == ':' ? p + 1 : NULL;
}

/* Behind a whole value: closes what it ends; NULL if what follows cannot. */
static const char *
valid_after(const char *p, const char *end, const char *open, unsigned *depth)
{
	for (;;) {
		p = skip_space(p, end);
		if (*depth == 0)
			return p;
		if (p >= end)
			return NULL;
		if (*p == ',')
			return open[*depth - 1] == '{' ? valid_name(p + 1, end) : p + 1;
		if (*p != (open[*depth - 1] == '{' ? '}' : ']'))
			return NULL;
		(*depth)--;
		p++;
	}
}

bool
fl_json_valid(const char *p, size_t n)
{
	const char *end = p + n, *inside;
	char open[DEPTH_MAX];
	unsigned depth = 0;

	do {
		p = skip_space(p, end);
		if (p >= end)
			return false;
		if (*p != '{' && *p != '[') {
			p = valid_scalar(p, end);
		} else {
			if (depth == DEPTH_MAX)
				return false;
			open[depth++] = *p;
			inside = skip_space(p + 1, end);
			if (inside < end && *inside == (*p == '{' ? '}' : ']')) {
				depth--;
				p = inside + 1;
			} else {
				p = *p == '{' ? valid_name(p + 1, end) : p + 1;
				if (!p)
					return false;
				continue;
			}
		}
		p = p ? valid_after(p, end, open, &depth) : NULL;
	} while (p && depth > 0);
	return p == end;
}
