/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON's grammar over the tokens of simdjson's first stage.
 *
 * Private to lib/format. A walk goes over the tokens of one text, in order,
 * and leaves none unseen: keys, numbers, words and escapes are all checked,
 * however deep. So a text that was walked to its end is JSON, and nothing but
 * JSON. Nothing is built; a value is where it lies in the text.
 *
 *	fl_json_walk_init(&w)                    once
 *	fl_json_walk_start(&w, p, n)             tokens of p[0..n)
 *	  fl_json_walk_value(&w, &v)             the next value, whole
 *	fl_json_walk_release(&w)
 *
 * The text may hold many lines. A string cannot span two of them, as a line
 * feed in a string is an error of the first stage; so where lines begin can be
 * looked at later.
 *
 * Reading behind the text: FL_JSON_PAD bytes behind it must be readable. Their
 * content does not matter.
 */
#ifndef FL_FORMAT_JSON_WALK_H
#define FL_FORMAT_JSON_WALK_H

#include "base/err.h"
#include "base/mem.h"
#include "format/json_simdjson.h"
#include "stream/batch.h"

/* Objects and arrays inside each other, the outermost counted. */
#define FL_JSON_DEPTH_MAX 1024

struct fl_json_walk {
	const struct fl_json_engine *engine;
	struct fl_json_lexer *lexer;
	const char *p; /* the text */
	uint32_t len;
	const uint32_t *i;     /* the next token */
	const uint32_t *end;   /* behind the last; *end is len */
	uint32_t backslash;    /* no backslash lies between where the walk is and
	                          here; one lies here, or here is len */
	uint32_t wrong_at;     /* where the grammar was broken */
	const char *wrong;     /* and how: "expected a value"; a constant */
	struct fl_buf scratch; /* unescaped strings, behind each other */
};

struct fl_json_value {
	uint32_t start; /* in the text; strings: behind the opening quote */
	uint32_t end;
	uint8_t tag;  /* enum fl_tag */
	bool escaped; /* a string with escapes: its text is not its value */
};

/* FL_ELIMIT: no memory. */
int fl_json_walk_init(struct fl_json_walk *w, struct fl_err *err);
void fl_json_walk_release(struct fl_json_walk *w); /* a zeroed struct is fine */

/* Begin with p[0..n), n <= FL_JSON_MAX; p is borrowed until the next start. */
enum fl_json_error fl_json_walk_start(struct fl_json_walk *w, const char *p, size_t n);

/*
 * Where and how the text that fl_json_walk_start refused with e is wrong:
 * fills wrong and wrong_at.
 */
void fl_json_walk_explain(struct fl_json_walk *w, enum fl_json_error e, const char *p, size_t n);

/* A whole text: one value, nothing behind it. */
bool fl_json_walk_text(struct fl_json_walk *w, struct fl_json_value *ret);

/*
 * Whether p[0..n) is one JSON text: any value, white space around it, nothing
 * else; numbers of any size, nested at most FL_JSON_DEPTH_MAX deep. Nothing
 * behind n is read. Allocates: for single texts, not for every record.
 */
bool fl_json_walk_valid(const char *p, size_t n);

/* Whether all of p[0..n) is a number as JSON writes it. n > 0. */
bool fl_json_is_number(const char *p, size_t n);

/*
 * The out-of-line cases of fl_json_walk_value: words, objects, arrays. depth:
 * containers that are open around the value.
 */
bool fl_json_walk_other(struct fl_json_walk *w, unsigned depth, struct fl_json_value *ret);

/* Append what the string stands for to w->scratch. */
bool fl_json_walk_unescape(struct fl_json_walk *w, uint32_t start, uint32_t end);

/* Whether a backslash lies in [start, end); end > w->backslash is known. */
bool fl_json_walk_backslash(struct fl_json_walk *w, uint32_t start, uint32_t end);

/* Record what is wrong at a position; false, so that "return" it is. */
static inline bool
fl_json_wrong(struct fl_json_walk *w, uint32_t at, const char *what)
{
	w->wrong = what;
	w->wrong_at = at;
	return false;
}

static inline bool
fl_json_is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* The first byte of the next token, NUL where there is none. */
static inline char
fl_json_peek(const struct fl_json_walk *w)
{
	return w->i < w->end ? w->p[*w->i] : '\0';
}

/* Where the next token, a scalar, ends. */
static inline uint32_t
fl_json_scalar_end(const struct fl_json_walk *w)
{
	uint32_t end = w->i[1];

	while (fl_json_is_space(w->p[end - 1]))
		end--;
	return end;
}

/*
 * The next token, a quote, as a string: [*ret_start, *ret_end) is what lies
 * between the quotes.
 */
static inline bool
fl_json_walk_string(struct fl_json_walk *w, uint32_t *ret_start, uint32_t *ret_end,
		    bool *ret_escaped)
{
	uint32_t start = *w->i + 1, end = fl_json_scalar_end(w) - 1;

	if (w->p[end] != '"' || end < start)
		return fl_json_wrong(w, start - 1, "a string without its closing quote");
	w->i++;
	*ret_start = start;
	*ret_end = end;
	*ret_escaped = end > w->backslash && fl_json_walk_backslash(w, start, end);
	return true;
}

/* fl_json_is_number for the usual number: a few digits. */
static inline bool
fl_json_walk_number(struct fl_json_walk *w, struct fl_json_value *ret)
{
	const uint64_t zeros = 0x3030303030303030, carry = 0x0606060606060606;
	uint32_t start = *w->i, end = fl_json_scalar_end(w), n = end - start;
	uint64_t x;

	*ret = (struct fl_json_value){ .start = start, .end = end, .tag = FL_TAG_NUMBER };
	if (n <= sizeof x && w->p[start] != '0') {
		memcpy(&x, w->p + start, sizeof x);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
		x = __builtin_bswap64(x);
#endif
		x = (x ^ zeros) << (64 - 8 * n);
		if (((x | (x + carry)) & 0xf0f0f0f0f0f0f0f0) == 0) {
			w->i++;
			return true;
		}
	}
	if (!fl_json_is_number(w->p + start, n))
		return fl_json_wrong(w, start, "not a number as JSON writes it");
	w->i++;
	return true;
}

/*
 * Walk the next value whole. There must be a token left. False: w->wrong. A
 * string's escapes are found, but not checked: fl_json_walk_unescape does both.
 */
static inline bool
fl_json_walk_value(struct fl_json_walk *w, unsigned depth, struct fl_json_value *ret)
{
	struct fl_json_value other; /* so that *ret can live in registers */
	char c = w->p[*w->i];

	if (c == '"') {
		ret->tag = FL_TAG_STRING;
		return fl_json_walk_string(w, &ret->start, &ret->end, &ret->escaped);
	}
	if ((unsigned)(c - '0') <= 9 || c == '-')
		return fl_json_walk_number(w, ret);
	if (!fl_json_walk_other(w, depth, &other))
		return false;
	*ret = other;
	return true;
}

#endif
