/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regular expressions, by PCRE2 with limits on what one match may cost: a
 * record on which a pattern runs into one is bad, it does not hang the pipeline.
 *
 * PostgreSQL's patterns are nearly PCRE's. What differs is translated (\y \m \M
 * \Y \Z) or set by options: a dot matches a newline, $ only the very end.
 * Flink's regexp_extract follows Java: its dot does not.
 */
#include "expr/func-regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

#include "expr/func-json.h"
#include "expr/func-text.h"

#define STEPS_MAX 1000000
#define DEPTH_MAX 10000
#define HEAP_KIB_MAX 16384
#define JIT_STACK_MAX FL_KIB(512)
#define RESULT_MAX FL_MIB(64)

/* A compiled pattern, kept in the node that uses it. */
struct regex {
	struct fl_buf source; /* the pattern it was made of */
	uint32_t options;
	pcre2_code *code;
	pcre2_match_data *match;
	pcre2_match_context *limits;
	pcre2_jit_stack *stack;
	struct fl_buf translated;
};

static void
free_regex(void *p)
{
	struct regex *r = p;

	pcre2_code_free(r->code);
	pcre2_match_data_free(r->match);
	pcre2_match_context_free(r->limits);
	pcre2_jit_stack_free(r->stack);
	fl_buf_release(&r->source);
	fl_buf_release(&r->translated);
	free(r);
}

/* ---- patterns ----------------------------------------------------------- */

/* PostgreSQL's word boundaries and ends, in PCRE's words. */
static void
translate(const char *p, size_t n, struct fl_buf *out)
{
	static const char *const escapes[][2] = {
		{ "y", "\\b" },        { "Y", "\\B" },        { "m", "\\b(?=\\w)" },
		{ "M", "\\b(?<=\\w)" }, { "Z", "\\z" },
	};

	fl_buf_clear(out);
	fl_buf_reserve(out, 1); /* an empty pattern is one too */
	for (size_t i = 0; i < n; i++) {
		const char *with = NULL;

		if (p[i] == '\\' && i + 1 < n) {
			for (size_t e = 0; e < FL_ARRAY_LEN(escapes); e++)
				if (p[i + 1] == escapes[e][0][0])
					with = escapes[e][1];
			if (with)
				fl_buf_puts(out, with);
			else
				fl_buf_put(out, p + i, 2);
			i++;
		} else {
			fl_buf_putc(out, p[i]);
		}
	}
}

/*
 * SIMILAR TO: % and _ as in LIKE, the rest as in a pattern that must match all;
 * the escape makes the next character stand for itself.
 */
static void
translate_similar(const char *p, size_t n, int escape, struct fl_buf *out)
{
	bool in_class = false;

	fl_buf_clear(out);
	fl_buf_puts(out, "^(?:");
	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)p[i] == escape && i + 1 < n) {
			bool plain = (unsigned char)p[i + 1] >= 0x80;

			if (!plain)
				fl_buf_putc(out, '\\');
			fl_buf_putc(out, p[++i]);
		} else if (in_class) {
			in_class = p[i] != ']';
			if (p[i] == '\\')
				fl_buf_putc(out, '\\');
			fl_buf_putc(out, p[i]);
		} else if (p[i] == '%') {
			fl_buf_puts(out, ".*");
		} else if (p[i] == '_') {
			fl_buf_putc(out, '.');
		} else if (p[i] == '.' || p[i] == '^' || p[i] == '$' || p[i] == '\\') {
			fl_buf_putc(out, '\\');
			fl_buf_putc(out, p[i]);
		} else {
			in_class = p[i] == '[';
			fl_buf_putc(out, p[i]);
		}
	}
	fl_buf_puts(out, ")\\z");
}

static struct regex *
regex_of(struct fl_xnode *x)
{
	struct regex *r = x->priv;

	if (!r) {
		r = fl_xcalloc(1, sizeof *r);
		r->limits = pcre2_match_context_create(NULL);
		if (r->limits) {
			pcre2_set_match_limit(r->limits, STEPS_MAX);
			pcre2_set_depth_limit(r->limits, DEPTH_MAX);
			pcre2_set_heap_limit(r->limits, HEAP_KIB_MAX);
		}
		x->priv = r;
		x->priv_free = free_regex;
	}
	return r;
}

static int
compile(struct fl_xcall *c, struct regex *r, const struct fl_xval *source)
{
	const struct fl_buf *t = &r->translated;
	bool constant = c->node->argc > 1 && c->node->arg[1]->op == FL_XO_CONST;
	PCRE2_SIZE at;
	int error;

	pcre2_code_free(r->code);
	pcre2_match_data_free(r->match);
	r->match = NULL;
	r->code = pcre2_compile((PCRE2_SPTR)t->data, t->len,
				r->options | PCRE2_UTF | PCRE2_MATCH_INVALID_UTF |
					PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY,
				&error, &at, NULL);
	if (!r->code) {
		char why[120];

		(void)pcre2_get_error_message(error, (PCRE2_UCHAR *)why, sizeof why);
		fl_buf_clear(&r->source);
		return fl_x_bad(c, "regular expression %.*s: %s",
				(int)(source->n < 60 ? source->n : 60), source->p, why);
	}
	r->match = pcre2_match_data_create_from_pattern(r->code, NULL);
	if (constant && pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE) == 0 && r->limits) {
		if (!r->stack)
			r->stack = pcre2_jit_stack_create(FL_KIB(32), JIT_STACK_MAX, NULL);
		pcre2_jit_stack_assign(r->limits, NULL, r->stack);
	}
	return r->match && r->limits ? 0 : fl_x_bad(c, "no memory for a regular expression");
}

/* PostgreSQL's flags; g is for who replaces or counts. */
static int
flag_options(struct fl_xcall *c, const struct fl_xval *flags, uint32_t *options, bool *ret_all)
{
	for (size_t i = 0; flags && i < flags->n; i++) {
		switch (flags->p[i]) {
		case 'i':
			*options |= PCRE2_CASELESS;
			break;
		case 'c':
			*options &= ~(uint32_t)PCRE2_CASELESS;
			break;
		case 'g':
			*ret_all = true;
			break;
		case 's':
			*options |= PCRE2_DOTALL;
			break;
		case 'n':
		case 'm':
			*options |= PCRE2_MULTILINE;
			*options &= ~(uint32_t)PCRE2_DOTALL;
			break;
		case 'x':
			*options |= PCRE2_EXTENDED;
			break;
		default:
			return fl_x_bad(c, "unknown flag of a regular expression: %c", flags->p[i]);
		}
	}
	return 0;
}

/* The compiled form of pattern; the one before is kept while it is the same. */
static struct regex *
get_regex(struct fl_xcall *c, const struct fl_xval *pattern, uint32_t options)
{
	struct regex *r = regex_of(c->node);

	if (r->code && r->options == options && r->source.len == pattern->n &&
	    memcmp(r->source.data, pattern->p, pattern->n) == 0)
		return r;
	fl_buf_clear(&r->source);
	fl_buf_reserve(&r->source, 1);
	fl_buf_put(&r->source, pattern->p, pattern->n);
	r->options = options;
	translate(pattern->p, pattern->n, &r->translated);
	return compile(c, r, pattern) < 0 ? NULL : r;
}

/* ---- matching ----------------------------------------------------------- */

/* 1: matched, 0: not, -1: a limit. */
static int
match_at(struct fl_xcall *c, struct regex *r, const struct fl_xval *s, size_t from,
	 uint32_t options)
{
	const PCRE2_SIZE *o;
	int rc = pcre2_match(r->code, (PCRE2_SPTR)s->p, s->n, from, options, r->match, r->limits);

	if (rc >= 0) {
		o = pcre2_get_ovector_pointer(r->match);
		return o[0] <= o[1] && o[1] <= s->n;
	}
	if (rc == PCRE2_ERROR_NOMATCH)
		return 0;
	return fl_x_bad(c, "a regular expression needs too many steps on this value");
}

/* Group i of the last match; false if it took no part. */
static bool
group(const struct regex *r, const struct fl_xval *s, uint32_t i, struct fl_xval *ret)
{
	const PCRE2_SIZE *o = pcre2_get_ovector_pointer(r->match);

	if (i >= pcre2_get_ovector_count(r->match) || o[2 * i] == PCRE2_UNSET ||
	    o[2 * i] > o[2 * i + 1])
		return false;
	*ret = fl_x_text(s->p + o[2 * i], o[2 * i + 1] - o[2 * i]);
	return true;
}

static uint32_t
group_count(const struct regex *r)
{
	uint32_t n = 0;

	(void)pcre2_pattern_info(r->code, PCRE2_INFO_CAPTURECOUNT, &n);
	return n;
}

/* Matches one after the other; behind an empty one the search goes on one character later. */
struct walk {
	struct regex *r;
	const struct fl_xval *s;
	size_t next;       /* where to look */
	size_t start, end; /* the match */
};

static int
walk_next(struct fl_xcall *c, struct walk *w)
{
	const PCRE2_SIZE *o;
	int got;

	if (w->next > w->s->n)
		return 0;
	got = match_at(c, w->r, w->s, w->next, 0);
	if (got <= 0)
		return got;
	o = pcre2_get_ovector_pointer(w->r->match);
	w->start = o[0];
	w->end = o[1];
	w->next = w->end;
	if (w->end == w->start)
		w->next += w->end < w->s->n ? fl_x_char_len(w->s->p + w->end, w->s->n - w->end) : 1;
	return 1;
}

/* ---- functions ---------------------------------------------------------- */

static const struct fl_xval *
optional(const struct fl_xval *arg, uint32_t n, uint32_t i)
{
	return i < n ? &arg[i] : NULL;
}

/* arg: text, pattern [, flags]; code 1: letter case is ignored. */
static struct regex *
regex_arg(struct fl_xcall *c, const struct fl_xval *arg, const struct fl_xval *flags, bool *ret_all)
{
	uint32_t options = PCRE2_DOTALL | (c->node->func->code == 1 ? PCRE2_CASELESS : 0);

	if (flag_options(c, flags, &options, ret_all) < 0)
		return NULL;
	return get_regex(c, &arg[1], options);
}

static int
f_like(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	bool all;
	struct regex *r = regex_arg(c, arg, optional(arg, n, 2), &all);
	int got = r ? match_at(c, r, arg, 0, 0) : -1;

	*ret = fl_x_bool(got > 0);
	return got < 0 ? -1 : 0;
}

static int
f_similar(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	struct regex *r = regex_of(c->node);
	int escape = '\\', got;

	if (n > 2 && arg[2].n > 1)
		return fl_x_bad(c, "the escape of SIMILAR TO must be one character");
	if (n > 2)
		escape = arg[2].n ? (unsigned char)*arg[2].p : -1;
	if (!r->code || r->source.len != arg[1].n ||
	    memcmp(r->source.data, arg[1].p, arg[1].n) != 0) {
		fl_buf_clear(&r->source);
		fl_buf_reserve(&r->source, 1);
		fl_buf_put(&r->source, arg[1].p, arg[1].n);
		r->options = PCRE2_DOTALL;
		translate_similar(arg[1].p, arg[1].n, escape, &r->translated);
		if (compile(c, r, &arg[1]) < 0)
			return -1;
	}
	got = match_at(c, r, arg, 0, 0);
	*ret = fl_x_bool(got > 0);
	return got < 0 ? -1 : 0;
}

static int
f_count(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	struct walk w = { .s = arg };
	int64_t count = 0;
	bool all;
	int got;

	if (n > 2 && arg[2].i < 1)
		return fl_x_bad(c, "regexp_count: the start counts from 1");
	w.r = regex_arg(c, arg, optional(arg, n, 3), &all);
	if (!w.r)
		return -1;
	w.next = n > 2 ? fl_x_char_offset(arg->p, arg->n, (size_t)arg[2].i - 1) : 0;
	while ((got = walk_next(c, &w)) > 0)
		count++;
	*ret = fl_x_int(count);
	return got;
}

/* text, pattern [, start [, n-th match [, flags [, group]]]] */
static int
f_substr(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	struct walk w = { .s = arg };
	int64_t nth = n > 3 ? arg[3].i : 1;
	uint32_t which = n > 5 && arg[5].i >= 0 && arg[5].i < UINT32_MAX ? (uint32_t)arg[5].i : 0;
	bool all;
	int got = 1;

	if ((n > 2 && arg[2].i < 1) || nth < 1)
		return fl_x_bad(c, "regexp_substr: start and number count from 1");
	w.r = regex_arg(c, arg, optional(arg, n, 4), &all);
	if (!w.r)
		return -1;
	w.next = n > 2 ? fl_x_char_offset(arg->p, arg->n, (size_t)arg[2].i - 1) : 0;
	while (got > 0 && nth-- > 0)
		got = walk_next(c, &w);
	if (got <= 0 || !group(w.r, arg, which, ret))
		*ret = fl_x_null();
	return got < 0 ? -1 : 0;
}

/* substring(text, pattern): the first group if there is one, else all of the match */
static int
f_substring(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	bool all;
	struct regex *r = regex_arg(c, arg, NULL, &all);
	int got = r ? match_at(c, r, arg, 0, 0) : -1;

	(void)n;
	if (got <= 0 || !group(r, arg, group_count(r) ? 1 : 0, ret))
		*ret = fl_x_null();
	return got < 0 ? -1 : 0;
}

/* Flink's regexp_extract(text, pattern [, group]): a Java pattern. */
static int
f_extract(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	struct regex *r = get_regex(c, &arg[1], 0);
	int64_t which = n > 2 ? arg[2].i : 0;
	int got = r ? match_at(c, r, arg, 0, 0) : -1;

	if (got <= 0 || which < 0 || which > UINT16_MAX || !group(r, arg, (uint32_t)which, ret))
		*ret = fl_x_null();
	return got < 0 ? -1 : 0;
}

/* The groups of the first match, or all of it, as an array. */
static int
f_match(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	bool all;
	struct regex *r = regex_arg(c, arg, optional(arg, n, 2), &all);
	int got = r ? match_at(c, r, arg, 0, 0) : -1;
	uint32_t groups;

	*ret = fl_x_null();
	if (got <= 0)
		return got;
	groups = group_count(r);
	fl_buf_putc(c->text, '[');
	for (uint32_t i = groups ? 1 : 0; i <= groups; i++) {
		struct fl_xval v;

		if (c->text->len > c->start + 1)
			fl_buf_putc(c->text, ',');
		if (group(r, arg, i, &v))
			fl_json_quote(v.p, v.n, c->text);
		else
			fl_buf_puts(c->text, "null");
	}
	fl_buf_putc(c->text, ']');
	*ret = fl_x_built(c);
	ret->tag = FL_TAG_ARRAY;
	return 0;
}

/* \1 to \9 and \& in a replacement */
static void
put_replacement(struct fl_buf *out, const struct regex *r, const struct fl_xval *s,
		const struct fl_xval *with)
{
	for (size_t i = 0; i < with->n; i++) {
		char next = i + 1 < with->n ? with->p[i + 1] : '\0';
		struct fl_xval v;

		if (with->p[i] != '\\' || !next) {
			fl_buf_putc(out, with->p[i]);
			continue;
		}
		i++;
		if (next != '&' && (next < '1' || next > '9')) {
			if (next != '\\')
				fl_buf_putc(out, '\\');
			fl_buf_putc(out, next);
		} else if (group(r, s, next == '&' ? 0 : (uint32_t)(next - '0'), &v)) {
			fl_buf_put(out, v.p, v.n);
		}
	}
}

static int
f_replace(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	struct walk w = { .s = arg };
	bool all = false;
	size_t done = 0;
	int got;

	w.r = regex_arg(c, arg, optional(arg, n, 3), &all);
	if (!w.r)
		return -1;
	while ((got = walk_next(c, &w)) > 0) {
		if (c->text->len > RESULT_MAX)
			return fl_x_bad(c, "regexp_replace: too long");
		fl_buf_put(c->text, arg->p + done, w.start - done);
		put_replacement(c->text, w.r, arg, &arg[2]);
		done = w.end;
		if (!all)
			break;
	}
	if (got < 0)
		return -1;
	fl_buf_put(c->text, arg->p + done, arg->n - done);
	*ret = fl_x_built(c);
	return 0;
}

/* As PostgreSQL: an empty match at the start, at the end or behind a match splits nothing. */
int
fl_x_regex_split(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, fl_xput_fn put,
		 void *ctx)
{
	struct walk w = { .s = arg };
	size_t done = 0;
	struct fl_xval part;
	bool all;
	int got;

	w.r = regex_arg(c, arg, optional(arg, n, 2), &all);
	if (!w.r)
		return -1;
	while ((got = walk_next(c, &w)) > 0) {
		if (w.end == w.start && (w.start == done || w.start >= arg->n))
			continue;
		part = fl_x_text(arg->p + done, w.start - done);
		if (put(ctx, &part) < 0)
			return 0;
		done = w.end;
	}
	if (got < 0)
		return -1;
	part = fl_x_text(arg->p + done, arg->n - done);
	(void)put(ctx, &part);
	return 0;
}

#define T FL_X_TEXT
#define B FL_X_BOOL
#define CHECK FL_XF_CHECK
const struct fl_xfunc fl_x_regex_funcs[] = {
	{ "~", "tt", B, CHECK, 0, f_like, "text, pattern" },
	{ "~*", "tt", B, CHECK, 1, f_like, "text, pattern" },
	{ "similar to", "tt|t", B, CHECK, 0, f_similar, "text, pattern" },
	{ "regexp_like", "tt|t", B, CHECK, 0, f_like, "text, pattern [, flags]" },
	{ "regexp", "tt|t", B, CHECK, 0, f_like, "text, pattern [, flags]" },
	{ "regexp_count", "tt|it", FL_X_INT, CHECK, 0, f_count,
	  "text, pattern [, start [, flags]]" },
	{ "regexp_substr", "tt|iiti", T, CHECK, 0, f_substr,
	  "text, pattern [, start [, number [, flags [, group]]]]" },
	{ "substring_regex", "tt", T, CHECK, 0, f_substring, "text, pattern" },
	{ "regexp_extract", "tt|i", T, CHECK, 0, f_extract, "text, pattern [, group]" },
	{ "regexp_match", "tt|t", T, CHECK, 0, f_match, "text, pattern [, flags]" },
	{ "regexp_matches", "tt|t", T, CHECK, 0, f_match, "text, pattern [, flags]" },
	{ "regexp_replace", "ttt|t", T, CHECK, 0, f_replace,
	  "text, pattern, replacement [, flags]" },
	{ 0 },
};
