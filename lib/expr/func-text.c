/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of text. Positions and lengths count characters, as in PostgreSQL. */
#define _GNU_SOURCE /* memmem, memrchr */
#include "expr/func-text.h"

#include <locale.h>
#include <stdlib.h>
#include <wctype.h>

#include "base/str.h"
#include "expr/expr-node.h"
#include "expr/func-md5.h"

#define RESULT_MAX FL_MIB(16) /* of what can grow without bound: repeat, lpad */

/* ---- characters --------------------------------------------------------- */

static bool
is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

size_t
fl_x_char_len(const char *p, size_t n)
{
	unsigned char c = (unsigned char)*p;
	size_t len = c < 0xc2 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 1;

	if (len > n)
		return 1;
	for (size_t i = 1; i < len; i++)
		if (!is_continuation(p[i]))
			return 1;
	return len;
}

size_t
fl_x_char_count(const char *p, size_t n)
{
	size_t i = 0, count;
	uint64_t eight;

	for (; n - i >= sizeof eight; i += sizeof eight) { /* ASCII needs no look at each byte */
		memcpy(&eight, p + i, sizeof eight);
		if (eight & UINT64_C(0x8080808080808080))
			break;
	}
	for (count = i; i < n; i += fl_x_char_len(p + i, n - i))
		count++;
	return count;
}

size_t
fl_x_char_offset(const char *p, size_t n, size_t chars)
{
	size_t i = 0;

	while (chars-- > 0 && i < n)
		i += fl_x_char_len(p + i, n - i);
	return i;
}

uint32_t
fl_x_char_decode(const char *p, size_t len)
{
	const unsigned char *u = (const unsigned char *)p;

	switch (len) {
	case 2:
		return (u[0] & 0x1fu) << 6 | (u[1] & 0x3fu);
	case 3:
		return (u[0] & 0xfu) << 12 | (u[1] & 0x3fu) << 6 | (u[2] & 0x3fu);
	case 4:
		return (u[0] & 7u) << 18 | (u[1] & 0x3fu) << 12 | (u[2] & 0x3fu) << 6 |
		       (u[3] & 0x3fu);
	default:
		return u[0] < 0x80 ? u[0] : 0xdc00u + u[0];
	}
}

size_t
fl_x_char_encode(uint32_t c, char out[4])
{
	if (c >= 0xdc80 && c < 0xdd00) {
		out[0] = (char)(c - 0xdc00);
		return 1;
	}
	return fl_utf8_encode(c, out);
}

/* ---- case --------------------------------------------------------------- */

/* Letter case beyond ASCII, looked up in a locale opened when it is first needed. */
struct casing {
	locale_t locale;
	bool opened;
};

static void
free_casing(void *p)
{
	struct casing *k = p;

	if (k->locale)
		freelocale(k->locale);
	free(k);
}

static uint32_t
other_case(struct fl_xnode *x, uint32_t c, bool upper)
{
	struct casing *k;

	if (!x->priv) {
		x->priv = fl_xcalloc(1, sizeof *k);
		x->priv_free = free_casing;
	}
	k = x->priv;
	if (!k->opened) {
		k->opened = true;
		k->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	}
	if (!k->locale || (c >= 0xd800 && c < 0xe000))
		return c;
	return (uint32_t)(upper ? towupper_l((wint_t)c, k->locale)
				: towlower_l((wint_t)c, k->locale));
}

enum letter_case { CASE_LOWER, CASE_UPPER, CASE_INITIAL };

static void
put_case(struct fl_xnode *x, const char *p, size_t n, enum letter_case how, struct fl_buf *out)
{
	bool in_word = false;

	for (size_t i = 0; i < n;) {
		bool upper = how == CASE_UPPER || (how == CASE_INITIAL && !in_word);
		unsigned char c = (unsigned char)p[i];
		char enc[4];
		size_t len;

		if (c < 0x80) {
			bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';

			fl_buf_putc(out, (char)(!letter ? c : upper ? c & ~0x20 : c | 0x20));
			in_word = letter || (c >= '0' && c <= '9');
			i++;
			continue;
		}
		len = fl_x_char_len(p + i, n - i);
		fl_buf_put(
			out, enc,
			fl_x_char_encode(other_case(x, fl_x_char_decode(p + i, len), upper), enc));
		in_word = true;
		i += len;
	}
}

static int
f_case(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	(void)n;
	put_case(c->node, arg->p, arg->n, (enum letter_case)c->node->func->code, c->text);
	*ret = fl_x_built(c);
	return 0;
}

/* ---- lengths and positions ---------------------------------------------- */

/* code: bits a unit; 0: characters */
static int
f_length(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	(void)n;
	*ret = fl_x_int((int64_t)(c->node->func->code ? arg->n * (size_t)c->node->func->code
						      : fl_x_char_count(arg->p, arg->n)));
	return 0;
}

static const char *
find(const struct fl_xval *in, const struct fl_xval *what)
{
	return what->n == 0 ? in->p : memmem(in->p, in->n, what->p, what->n);
}

static int
f_position(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	const char *at = find(&arg[0], &arg[1]);

	(void)c;
	(void)n;
	*ret = fl_x_int(at ? (int64_t)fl_x_char_count(arg->p, (size_t)(at - arg->p)) + 1 : 0);
	return 0;
}

enum { WHERE_START, WHERE_END, WHERE_ANY };

static int
f_has(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	const struct fl_xval *in = &arg[0], *what = &arg[1];
	bool has = what->n <= in->n;

	(void)n;
	if (has && c->node->func->code == WHERE_START)
		has = memcmp(in->p, what->p, what->n) == 0;
	else if (has && c->node->func->code == WHERE_END)
		has = memcmp(in->p + in->n - what->n, what->p, what->n) == 0;
	else if (has)
		has = find(in, what) != NULL;
	*ret = fl_x_bool(has);
	return 0;
}

/* ---- parts -------------------------------------------------------------- */

/* Characters from..from+count-1, counted from 1; from may be 0 or less. */
static int
f_substr(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	int64_t from = arg[1].i, end = INT64_MAX;
	size_t a, b;

	if (n > 2 && arg[2].i < 0)
		return fl_x_bad(c, "substring with a negative length");
	if (n > 2 && __builtin_add_overflow(from, arg[2].i, &end))
		end = INT64_MAX;
	from = from < 1 ? 1 : from;
	if (end <= from) {
		*ret = fl_x_text("", 0);
		return 0;
	}
	a = fl_x_char_offset(arg->p, arg->n, (size_t)(from - 1));
	b = end == INT64_MAX ? arg->n
			     : a + fl_x_char_offset(arg->p + a, arg->n - a, (size_t)(end - from));
	*ret = fl_x_text(arg->p + a, b - a);
	return 0;
}

/* code 0: left, 1: right. A negative count is what to leave out at the other end. */
static int
f_left(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	int64_t total = (int64_t)fl_x_char_count(arg->p, arg->n), count = arg[1].i;
	size_t at;

	(void)n;
	if (count < 0)
		count = count < -total ? 0 : total + count;
	count = count > total ? total : count;
	if (c->node->func->code == 0) {
		*ret = fl_x_text(arg->p, fl_x_char_offset(arg->p, arg->n, (size_t)count));
		return 0;
	}
	at = fl_x_char_offset(arg->p, arg->n, (size_t)(total - count));
	*ret = fl_x_text(arg->p + at, arg->n - at);
	return 0;
}

static bool
contains_char(const struct fl_xval *set, const char *p, size_t len)
{
	for (size_t i = 0; i < set->n;) {
		size_t l = fl_x_char_len(set->p + i, set->n - i);

		if (l == len && memcmp(set->p + i, p, len) == 0)
			return true;
		i += l;
	}
	return false;
}

enum { TRIM_LEFT = 1, TRIM_RIGHT = 2 };

static int
f_trim(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	struct fl_xval space = fl_x_text(" ", 1);
	const struct fl_xval *set = n > 1 ? &arg[1] : &space;
	const char *p = arg->p, *end = p + arg->n;

	while (c->node->func->code & TRIM_LEFT && p < end) {
		size_t len = fl_x_char_len(p, (size_t)(end - p));

		if (!contains_char(set, p, len))
			break;
		p += len;
	}
	while (c->node->func->code & TRIM_RIGHT && p < end) {
		const char *last = end - 1;

		while (last > p && end - last < 4 && is_continuation(*last))
			last--;
		if (fl_x_char_len(last, (size_t)(end - last)) != (size_t)(end - last))
			last = end - 1;
		if (!contains_char(set, last, (size_t)(end - last)))
			break;
		end = last;
	}
	*ret = fl_x_text(p, (size_t)(end - p));
	return 0;
}

/* Field i (from 0) of text split at sep; false if there are not so many. */
static bool
field(const struct fl_xval *text, const struct fl_xval *sep, int64_t i, struct fl_xval *ret)
{
	struct fl_xval rest = *text;

	for (;; i--) {
		const char *at = sep->n ? find(&rest, sep) : NULL;

		if (i == 0) {
			*ret = fl_x_text(rest.p, at ? (size_t)(at - rest.p) : rest.n);
			return true;
		}
		if (!at)
			return false;
		rest.n -= (size_t)(at - rest.p) + sep->n;
		rest.p = at + sep->n;
	}
}

static int64_t
count_fields(const struct fl_xval *text, const struct fl_xval *sep)
{
	struct fl_xval rest = *text;
	const char *at;
	int64_t n = 1;

	while (sep->n && (at = find(&rest, sep))) {
		rest.n -= (size_t)(at - rest.p) + sep->n;
		rest.p = at + sep->n;
		n++;
	}
	return n;
}

static int
f_split_part(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	int64_t i = arg[2].i;

	(void)n;
	if (i == 0)
		return fl_x_bad(c, "split_part counts fields from 1, or from -1 at the end");
	i = i > 0 ? i - 1 : count_fields(&arg[0], &arg[1]) + i;
	if (i < 0 || !field(&arg[0], &arg[1], i, ret))
		*ret = fl_x_text("", 0);
	return 0;
}

/* Flink's: counts from 0, and what is not there is NULL. */
static int
f_split_index(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	(void)c;
	(void)n;
	if (arg[0].n == 0 || arg[2].i < 0 || !field(&arg[0], &arg[1], arg[2].i, ret))
		*ret = fl_x_null();
	return 0;
}

/* ---- made from others --------------------------------------------------- */

static void
put_value(struct fl_xcall *c, const struct fl_xval *v)
{
	char buf[FL_X_TEXT_MAX];
	size_t n;
	const char *p = fl_x_to_text(v, c->ev->env, buf, &n);

	fl_buf_put(c->text, p, n);
}

static int
f_concat(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	for (uint32_t i = 0; i < n; i++)
		put_value(c, &arg[i]); /* NULL has no text */
	*ret = fl_x_built(c);
	return 0;
}

static int
f_concat_ws(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	bool any = false;

	if (arg[0].type == FL_X_NULL) {
		*ret = fl_x_null();
		return 0;
	}
	for (uint32_t i = 1; i < n; i++) {
		if (arg[i].type == FL_X_NULL)
			continue;
		if (any)
			put_value(c, &arg[0]);
		put_value(c, &arg[i]);
		any = true;
	}
	*ret = fl_x_built(c);
	return 0;
}

static int
f_format(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	uint32_t next = 1;

	if (arg[0].type == FL_X_NULL) {
		*ret = fl_x_null();
		return 0;
	}
	for (size_t i = 0; i < arg->n; i++) {
		char f = i + 1 < arg->n ? arg->p[i + 1] : '\0';

		if (arg->p[i] != '%') {
			fl_buf_putc(c->text, arg->p[i]);
			continue;
		}
		if (f == '%')
			fl_buf_putc(c->text, '%');
		else if (f == 's' && next < n)
			put_value(c, &arg[next++]);
		else
			return f == 's' ? fl_x_bad(c, "format has more %%s than values")
					: fl_x_bad(c, "format knows %%s and %%%% only");
		i++;
	}
	*ret = fl_x_built(c);
	return 0;
}

/* code 0: lpad, 1: rpad */
static int
f_pad(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	struct fl_xval space = fl_x_text(" ", 1);
	const struct fl_xval *fill = n > 2 ? &arg[2] : &space;
	int64_t length = arg[1].i < 0 ? 0 : arg[1].i;
	int64_t have = (int64_t)fl_x_char_count(arg->p, arg->n);
	size_t at = 0;

	if (length > (int64_t)RESULT_MAX / 4)
		return fl_x_bad(c, "%s: too long", c->node->func->name);
	if (have >= length || fill->n == 0) {
		*ret = fl_x_text(arg->p, have >= length
						 ? fl_x_char_offset(arg->p, arg->n, (size_t)length)
						 : arg->n);
		return 0;
	}
	if (c->node->func->code)
		fl_buf_put(c->text, arg->p, arg->n);
	for (; have < length; have++) {
		size_t len = fl_x_char_len(fill->p + at, fill->n - at);

		fl_buf_put(c->text, fill->p + at, len);
		at = at + len < fill->n ? at + len : 0;
	}
	if (!c->node->func->code)
		fl_buf_put(c->text, arg->p, arg->n);
	*ret = fl_x_built(c);
	return 0;
}

static int
f_repeat(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	(void)n;
	if (arg[1].i > 0 && arg->n > 0 && (uint64_t)arg[1].i > RESULT_MAX / arg->n)
		return fl_x_bad(c, "repeat: too long");
	for (int64_t i = 0; arg->n > 0 && i < arg[1].i; i++)
		fl_buf_put(c->text, arg->p, arg->n);
	*ret = fl_x_built(c);
	return 0;
}

static int
f_replace(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	struct fl_xval rest = arg[0];
	const char *at;

	(void)n;
	while (arg[1].n && (at = find(&rest, &arg[1]))) {
		fl_buf_put(c->text, rest.p, (size_t)(at - rest.p));
		fl_buf_put(c->text, arg[2].p, arg[2].n);
		rest.n -= (size_t)(at - rest.p) + arg[1].n;
		rest.p = at + arg[1].n;
		if (c->text->len > RESULT_MAX)
			return fl_x_bad(c, "replace: too long");
	}
	fl_buf_put(c->text, rest.p, rest.n);
	*ret = fl_x_built(c);
	return 0;
}

static int
f_reverse(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	char *out = fl_buf_reserve(c->text, arg->n + 1);
	size_t end = arg->n;

	(void)n;
	for (size_t i = 0; i < arg->n;) {
		size_t len = fl_x_char_len(arg->p + i, arg->n - i);

		end -= len;
		memcpy(out + end, arg->p + i, len);
		i += len;
	}
	c->text->len += arg->n;
	*ret = fl_x_built(c);
	return 0;
}

static int
f_translate(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	const struct fl_xval *from = &arg[1], *to = &arg[2];

	(void)n;
	for (size_t i = 0; i < arg->n;) {
		size_t len = fl_x_char_len(arg->p + i, arg->n - i), f = 0, t = 0, flen = 0;

		while (f < from->n) {
			flen = fl_x_char_len(from->p + f, from->n - f);
			if (flen == len && memcmp(from->p + f, arg->p + i, len) == 0)
				break;
			f += flen;
			t += t < to->n ? fl_x_char_len(to->p + t, to->n - t) : 0;
		}
		if (f >= from->n)
			fl_buf_put(c->text, arg->p + i, len);
		else if (t < to->n)
			fl_buf_put(c->text, to->p + t, fl_x_char_len(to->p + t, to->n - t));
		i += len;
	}
	*ret = fl_x_built(c);
	return 0;
}

static int
f_overlay(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	int64_t from = arg[2].i;
	int64_t count = n > 3 ? arg[3].i : (int64_t)fl_x_char_count(arg[1].p, arg[1].n);
	size_t a, b;

	if (from < 1 || count < 0)
		return fl_x_bad(c, "overlay: no such place");
	a = fl_x_char_offset(arg->p, arg->n, (size_t)(from - 1));
	b = a + fl_x_char_offset(arg->p + a, arg->n - a, (size_t)count);
	fl_buf_put(c->text, arg->p, a);
	fl_buf_put(c->text, arg[1].p, arg[1].n);
	fl_buf_put(c->text, arg->p + b, arg->n - b);
	*ret = fl_x_built(c);
	return 0;
}

static int
f_ascii(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	(void)c;
	(void)n;
	*ret = fl_x_int(arg->n == 0 ? 0
				    : fl_x_char_decode(arg->p, fl_x_char_len(arg->p, arg->n)));
	return 0;
}

static int
f_chr(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	char enc[4];

	(void)n;
	if (arg->i < 1 || arg->i > 0x10ffff || (arg->i >= 0xd800 && arg->i < 0xe000))
		return fl_x_bad(c, "chr: there is no character %lld", (long long)arg->i);
	fl_buf_put(c->text, enc, fl_x_char_encode((uint32_t)arg->i, enc));
	*ret = fl_x_built(c);
	return 0;
}

static int
f_to_hex(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	(void)n;
	fl_buf_printf(c->text, "%llx", (unsigned long long)arg->i);
	*ret = fl_x_built(c);
	return 0;
}

static int
f_md5(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	char hex[32];

	(void)n;
	fl_x_md5(arg->p, arg->n, hex);
	fl_buf_put(c->text, hex, sizeof hex);
	*ret = fl_x_built(c);
	return 0;
}

/* ---- LIKE --------------------------------------------------------------- */

/*
 * Two pointers: at a mismatch go back to behind the last % and let it take one
 * character more. escape: a byte, or -1. false in *ret_ok: ends in the escape.
 */
static bool
like(const char *s, size_t n, const char *p, size_t pn, int escape, bool *ret_ok)
{
	size_t i = 0, j = 0, star = SIZE_MAX, resume = 0;

	while (i < n) {
		size_t k = j, slen = fl_x_char_len(s + i, n - i), plen;

		if (j < pn && p[j] == '%' && (unsigned char)p[j] != escape) {
			star = ++j;
			resume = i;
			continue;
		}
		if (j < pn && p[j] == '_' && '_' != escape) {
			j++;
			i += slen;
			continue;
		}
		if (k < pn && (unsigned char)p[k] == escape && ++k >= pn) {
			*ret_ok = false;
			return false;
		}
		plen = k < pn ? fl_x_char_len(p + k, pn - k) : 0;
		if (plen && plen == slen && memcmp(s + i, p + k, plen) == 0) {
			j = k + plen;
			i += slen;
			continue;
		}
		if (star == SIZE_MAX)
			return false;
		j = star;
		resume += fl_x_char_len(s + resume, n - resume);
		i = resume;
	}
	while (j < pn && p[j] == '%' && '%' != escape)
		j++;
	return j == pn;
}

/* What most patterns are: %word%, word%, %word; the word if it is one. */
static bool
simple_like(const struct fl_xval *s, const struct fl_xval *p, int escape, bool *ret)
{
	struct fl_xval word = *p;
	bool open = word.n > 0 && word.p[0] == '%', close;

	if (escape == '%' || escape == '_')
		return false;
	word.p += open;
	word.n -= open;
	close = word.n > 0 && word.p[word.n - 1] == '%';
	word.n -= close;
	if (memchr(word.p, '%', word.n) || memchr(word.p, '_', word.n) ||
	    (escape >= 0 && memchr(word.p, escape, word.n)))
		return false;
	if (word.n > s->n)
		*ret = false;
	else if (open && close)
		*ret = find(s, &word) != NULL;
	else if (open)
		*ret = memcmp(s->p + s->n - word.n, word.p, word.n) == 0;
	else
		*ret = (close || s->n == word.n) && memcmp(s->p, word.p, word.n) == 0;
	return true;
}

/* code 1: ILIKE, both in lower case */
static int
f_like(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	struct fl_xval s = arg[0], p = arg[1];
	int escape = '\\';
	bool ok = true, is;

	if (n > 2) {
		if (arg[2].n > 1)
			return fl_x_bad(c, "the escape of LIKE must be one character");
		escape = arg[2].n ? (unsigned char)*arg[2].p : -1;
	}
	if (c->node->func->code) {
		size_t split;

		put_case(c->node, s.p, s.n, CASE_LOWER, c->text);
		split = c->text->len;
		put_case(c->node, p.p, p.n, CASE_LOWER, c->text);
		s = fl_x_text(c->text->data, split);
		p = fl_x_text(c->text->data + split, c->text->len - split);
	}
	if (!simple_like(&s, &p, escape, &is))
		is = like(s.p, s.n, p.p, p.n, escape, &ok);
	if (!ok)
		return fl_x_bad(c, "a LIKE pattern must not end with its escape");
	*ret = fl_x_bool(is);
	return 0;
}

#define T FL_X_TEXT
#define I FL_X_INT
#define B FL_X_BOOL
const struct fl_xfunc fl_x_text_funcs[] = {
	{ "length", "t", I, 0, 0, f_length, "text" },
	{ "char_length", "t", I, 0, 0, f_length, "text" },
	{ "character_length", "t", I, 0, 0, f_length, "text" },
	{ "octet_length", "t", I, 0, 1, f_length, "text" },
	{ "bit_length", "t", I, 0, 8, f_length, "text" },
	{ "lower", "t", T, 0, CASE_LOWER, f_case, "text" },
	{ "upper", "t", T, 0, CASE_UPPER, f_case, "text" },
	{ "initcap", "t", T, 0, CASE_INITIAL, f_case, "text" },
	{ "position", "tt", I, 0, 0, f_position, "text, part" },
	{ "strpos", "tt", I, 0, 0, f_position, "text, part" },
	{ "starts_with", "tt", B, 0, WHERE_START, f_has, "text, prefix" },
	{ "^@", "tt", B, 0, WHERE_START, f_has, "text, prefix" },
	{ "ends_with", "tt", B, 0, WHERE_END, f_has, "text, suffix" },
	{ "contains", "tt", B, 0, WHERE_ANY, f_has, "text, part" },
	{ "substring", "ti|i", T, 0, 0, f_substr, "text, from [, count]" },
	{ "substr", "ti|i", T, 0, 0, f_substr, "text, from [, count]" },
	{ "left", "ti", T, 0, 0, f_left, "text, count" },
	{ "right", "ti", T, 0, 1, f_left, "text, count" },
	{ "trim", "t|t", T, 0, TRIM_LEFT | TRIM_RIGHT, f_trim, "text [, characters]" },
	{ "btrim", "t|t", T, 0, TRIM_LEFT | TRIM_RIGHT, f_trim, "text [, characters]" },
	{ "ltrim", "t|t", T, 0, TRIM_LEFT, f_trim, "text [, characters]" },
	{ "rtrim", "t|t", T, 0, TRIM_RIGHT, f_trim, "text [, characters]" },
	{ "split_part", "tti", T, 0, 0, f_split_part, "text, separator, field" },
	{ "split_index", "tti", T, 0, 0, f_split_index, "text, separator, index" },
	{ "concat", "a|a*", T, FL_XF_NULLS, 0, f_concat, "value, .." },
	{ "||", "tt", T, 0, 0, f_concat, "text, text" },
	{ "concat_ws", "ta|a*", T, FL_XF_NULLS, 0, f_concat_ws, "separator, value, .." },
	{ "format", "t|a*", T, FL_XF_NULLS, 0, f_format, "format, value, .." },
	{ "lpad", "ti|t", T, 0, 0, f_pad, "text, length [, fill]" },
	{ "rpad", "ti|t", T, 0, 1, f_pad, "text, length [, fill]" },
	{ "repeat", "ti", T, 0, 0, f_repeat, "text, count" },
	{ "replace", "ttt", T, 0, 0, f_replace, "text, from, to" },
	{ "reverse", "t", T, 0, 0, f_reverse, "text" },
	{ "translate", "ttt", T, 0, 0, f_translate, "text, from, to" },
	{ "overlay", "tti|i", T, 0, 0, f_overlay, "text, new, from [, count]" },
	{ "ascii", "t", I, 0, 0, f_ascii, "text" },
	{ "chr", "i", T, 0, 0, f_chr, "code" },
	{ "to_hex", "i", T, 0, 0, f_to_hex, "integer" },
	{ "md5", "t", T, 0, 0, f_md5, "text" },
	{ "~~", "tt|t", B, FL_XF_CHECK, 0, f_like, "text, pattern" },
	{ "~~*", "tt|t", B, FL_XF_CHECK, 1, f_like, "text, pattern" },
	{ 0 },
};
