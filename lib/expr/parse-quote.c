/* SPDX-License-Identifier: Apache-2.0 */
#include "expr/parse-quote.h"

#include <stdlib.h>

/*
 * libpg_query recurses over what it has parsed, without a limit of its own: a
 * chain of 100,000 operators ends it with a full stack. Signs and words
 * count; literals and commas, of which long IN lists are made, do not.
 */
#define WEIGHT_MAX 8000
#define NESTING_MAX 1000
#define TEXT_MAX FL_MIB(4)
#define WORD_MAX 24 /* no word of the syntax is longer */

struct quoter {
	const char *text;
	const char *p;     /* next byte */
	const char *end;
	const struct fl_header *h;
	struct fl_xquoted *q;
	bool operand;      /* an operand is expected here */
	bool minus;        /* behind a minus, maybe with parentheses between */
	bool interval;     /* behind INTERVAL: a unit may follow the literal */
	uint32_t weight;
	uint32_t nesting;
	char last[WORD_MAX];   /* the token before, if a word: in lower case */
	char before[WORD_MAX]; /* and the one before it */
};

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_word_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80);
}

static bool
is_word(char c)
{
	return is_word_start(c) || is_digit(c) || c == '$';
}

static const char *
word_end(const char *p, const char *end)
{
	while (p < end && is_word(*p))
		p++;
	return p;
}

static const char *
skip_space(const char *p, const char *end)
{
	while (p < end && is_space(*p))
		p++;
	return p;
}

/* The word at p in lower case; "" if there is none or it is too long. */
static void
lower_word(const char *p, const char *end, char ret[WORD_MAX])
{
	const char *e = p < end && is_word_start(*p) ? word_end(p, end) : p;
	size_t n = (size_t)(e - p) < WORD_MAX ? (size_t)(e - p) : 0;

	for (size_t i = 0; i < n; i++)
		ret[i] = (char)(p[i] >= 'A' && p[i] <= 'Z' ? p[i] + 32 : p[i]);
	ret[n] = '\0';
}

static bool
is_one_of(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(word, *list) == 0)
			return true;
	return false;
}

/* ---- output ------------------------------------------------------------- */

static void
mark(struct quoter *z, const char *at)
{
	uint32_t pair[2] = { (uint32_t)z->q->out.len, (uint32_t)(at - z->text) };

	fl_buf_put(&z->q->map, pair, sizeof pair);
}

/* Copy the text up to to. */
static void
copy(struct quoter *z, const char *to)
{
	mark(z, z->p);
	fl_buf_put(&z->q->out, z->p, (size_t)(to - z->p));
	z->p = to;
}

static void
note_word(struct quoter *z, const char *word)
{
	memcpy(z->before, z->last, WORD_MAX);
	memcpy(z->last, word, WORD_MAX);
}

static void
note_other(struct quoter *z)
{
	static const char none[WORD_MAX];

	note_word(z, none);
	z->interval = false;
}

/* Copy the next word together with the space before it, if it is this one. */
static bool
copy_word_if(struct quoter *z, const char *word)
{
	char next[WORD_MAX];
	const char *p = skip_space(z->p, z->end);

	lower_word(p, z->end, next);
	if (strcmp(next, word) != 0)
		return false;
	copy(z, word_end(p, z->end));
	z->weight++;
	return true;
}

/* ---- literals, comments ------------------------------------------------- */

/* Behind a quoted thing that opens at p; both quotes doubled stand for one. */
static const char *
quoted_end(const char *p, const char *end, bool backslash)
{
	char quote = *p++;

	for (; p < end; p++) {
		if (backslash && *p == '\\' && p + 1 < end) {
			p++;
		} else if (*p == quote) {
			if (p + 1 >= end || p[1] != quote)
				return p + 1;
			p++;
		}
	}
	return end;
}

/* Behind a $tag$ .. $tag$ that opens at p; p itself if none does. */
static const char *
dollar_end(const char *p, const char *end)
{
	const char *tag = p + 1, *body;
	size_t n;

	if (tag < end && is_digit(*tag))
		return p;
	while (tag < end && is_word(*tag) && *tag != '$')
		tag++;
	if (tag >= end || *tag != '$')
		return p;
	n = (size_t)(tag + 1 - p);
	for (body = tag + 1; body + n <= end; body++)
		if (memcmp(body, p, n) == 0)
			return body + n;
	return end;
}

static const char *
comment_end(const char *p, const char *end)
{
	unsigned depth = 0;

	if (*p == '-') {
		while (p < end && *p != '\n')
			p++;
		return p;
	}
	while (p < end) {
		if (end - p >= 2 && p[0] == '/' && p[1] == '*') {
			depth++;
			p += 2;
		} else if (end - p >= 2 && p[0] == '*' && p[1] == '/') {
			p += 2;
			if (--depth == 0)
				return p;
		} else {
			p++;
		}
	}
	return end;
}

static bool
at_comment(const char *p, const char *end)
{
	return end - p >= 2 && ((p[0] == '-' && p[1] == '-') || (p[0] == '/' && p[1] == '*'));
}

/* Behind the string literal that opens at p; p itself if none does. */
static const char *
string_end(const char *p, const char *end)
{
	char c = (char)(*p | 0x20);

	if (*p == '\'')
		return quoted_end(p, end, false);
	if (*p == '$')
		return dollar_end(p, end);
	if (end - p >= 2 && p[1] == '\'' && (c == 'e' || c == 'b' || c == 'x' || c == 'n'))
		return quoted_end(p + 1, end, c == 'e');
	if (end - p >= 3 && c == 'u' && p[1] == '&' && p[2] == '\'')
		return quoted_end(p + 2, end, false);
	return p;
}

static const char *
number_end(const char *p, const char *end)
{
	const char *e;

	while (p < end && is_digit(*p))
		p++;
	if (p < end && *p == '.')
		for (p++; p < end && is_digit(*p);)
			p++;
	if (p >= end || (*p | 0x20) != 'e')
		return p;
	e = p + 1;
	if (e < end && (*e == '+' || *e == '-'))
		e++;
	if (e >= end || !is_digit(*e))
		return p;
	while (e < end && is_digit(*e))
		e++;
	return e;
}

/*
 * libpg_query 15 loses negative integers on the way to JSON (they come out as
 * 0), so what stands behind a minus is given as 5e0, which it keeps as text.
 */
static void
number(struct quoter *z)
{
	const char *e = number_end(z->p, z->end);
	bool integer = true;

	for (const char *p = z->p; p < e; p++)
		integer = integer && is_digit(*p);
	copy(z, e);
	if (z->minus && integer)
		fl_buf_puts(&z->q->out, "e0");
	z->operand = false;
}

/* ---- references --------------------------------------------------------- */

static void
add_step(struct fl_buf *steps, const char *p, size_t n, char quote)
{
	struct fl_xstep s = { .key = fl_xmalloc(n + 1) };

	for (size_t i = 0; i < n; i++) {
		s.key[s.len++] = p[i];
		if (quote && p[i] == quote)
			i++;
	}
	s.key[s.len] = '\0';
	fl_buf_put(steps, &s, sizeof s);
}

/* A quoted step at p; returns behind it, NULL if it is not closed. */
static const char *
quoted_step(struct fl_buf *steps, const char *p, const char *end)
{
	const char *e = quoted_end(p, end, false);

	if (e - p < 2 || e[-1] != *p)
		return NULL;
	add_step(steps, p + 1, (size_t)(e - p) - 2, *p);
	return e;
}

/* "[3]", "[-1]", ["key"]: returns behind it, or NULL for another subscript. */
static const char *
bracket_step(struct fl_buf *steps, const char *p, const char *end)
{
	struct fl_xstep s = { 0 };
	const char *d, *e;

	p = skip_space(p + 1, end);
	if (p < end && (*p == '"' || *p == '\'')) {
		e = quoted_end(p, end, false);
		d = skip_space(e, end);
		if (d >= end || *d != ']')
			return NULL;
		return quoted_step(steps, p, end) ? d + 1 : NULL;
	}
	d = p + (p < end && *p == '-');
	for (e = d; e < end && is_digit(*e) && e - d < 18; e++)
		s.index = s.index * 10 + (*e - '0');
	if (e == d)
		return NULL;
	if (d > p)
		s.index = -s.index;
	e = skip_space(e, end);
	if (e >= end || *e != ']')
		return NULL;
	fl_buf_put(steps, &s, sizeof s);
	return e + 1;
}

/* The steps that follow p without a space; returns behind the last. */
static const char *
path_steps(struct fl_buf *steps, const char *p, const char *end)
{
	for (;;) {
		const char *e = NULL;

		if (end - p >= 2 && p[0] == '.' && is_word_start(p[1])) {
			e = word_end(p + 1, end);
			add_step(steps, p + 1, (size_t)(e - p) - 1, 0);
		} else if (end - p >= 2 && p[0] == '.' && p[1] == '"') {
			e = quoted_step(steps, p + 1, end);
		} else if (end - p >= 2 && p[0] == '.' && p[1] == '[') {
			e = bracket_step(steps, p + 1, end);
		} else if (end - p >= 2 && p[0] == '[') {
			e = bracket_step(steps, p, end);
		}
		if (!e)
			return p;
		p = e;
	}
}

static void
free_steps(struct fl_xstep *s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		free(s[i].key);
	free(s);
}

/*
 * A word, quoted name or path at z->p as a reference. What turns out to be the
 * name of a function (schema.name) is copied instead.
 */
static bool
reference(struct quoter *z)
{
	struct fl_buf steps = { 0 };
	const char *p = z->p, *e = p;
	struct fl_xref r = { .place = (uint32_t)(p - z->text) };

	if (is_word_start(*p)) {
		e = word_end(p, z->end);
		add_step(&steps, p, (size_t)(e - p), 0);
	} else if (*p == '"') {
		e = quoted_step(&steps, p, z->end);
	}
	if (e)
		e = path_steps(&steps, e, z->end);
	r.steps = (struct fl_xstep *)(void *)steps.data;
	r.step_count = (uint32_t)(steps.len / sizeof *r.steps);
	z->weight += r.step_count;
	p = e ? skip_space(e, z->end) : NULL;
	if (r.step_count == 0 || !r.steps[0].key || (p < z->end && *p == '(')) {
		free_steps(r.steps, r.step_count);
		return false;
	}
	mark(z, z->p);
	fl_buf_printf(&z->q->out, "\"$%zu\"", z->q->refs.len / sizeof r);
	fl_buf_put(&z->q->refs, &r, sizeof r);
	z->p = e;
	mark(z, z->p);
	z->operand = false;
	return true;
}

/* ---- words -------------------------------------------------------------- */

/* Behind ::, CAST(.. AS: a type, which may be of several words. */
static void
type_name(struct quoter *z)
{
	static const char *const more[] = { "precision", "varying", "with", "without", "time",
					    "zone", "character", "char", NULL };
	char word[WORD_MAX];
	const char *p = skip_space(z->p, z->end);

	if (p < z->end && *p == '"')
		copy(z, quoted_end(p, z->end, false));
	else if (p < z->end && is_word_start(*p))
		copy(z, word_end(p, z->end));
	while (z->p < z->end && *z->p == '.') {
		p = z->p + 1;
		copy(z, word_end(p, z->end));
	}
	for (;;) {
		p = skip_space(z->p, z->end);
		lower_word(p, z->end, word);
		if (is_one_of(word, more)) {
			copy(z, word_end(p, z->end));
		} else if (p < z->end && *p == '(') {
			while (p < z->end && *p != ')')
				p++;
			copy(z, p < z->end ? p + 1 : p);
		} else {
			break;
		}
	}
	z->operand = false;
}

/* The units behind INTERVAL '..'. */
static void
interval_units(struct quoter *z)
{
	static const char *const units[] = { "year", "month", "day", "hour", "minute", "second",
					     "to", NULL };
	char word[WORD_MAX];

	for (;;) {
		const char *p = skip_space(z->p, z->end);

		lower_word(p, z->end, word);
		if (!is_one_of(word, units))
			return;
		copy(z, word_end(p, z->end));
	}
}

/* A word where an operator is expected: always one of the syntax. */
static void
operator_word(struct quoter *z, const char *word)
{
	static const char *const ends[] = {
		"not", "end", "asc", "desc", "isnull", "notnull", NULL
	};
	static const char *const pairs[][2] = {
		{ "similar", "to" },
		{ "order", "by" },
		{ "partition", "by" },
		{ "within", "group" },
	};
	const char *p;

	copy(z, word_end(z->p, z->end));
	z->operand = !is_one_of(word, ends);
	for (size_t i = 0; i < FL_ARRAY_LEN(pairs); i++)
		if (strcmp(word, pairs[i][0]) == 0)
			copy_word_if(z, pairs[i][1]);
	if (strcmp(word, "at") == 0 && copy_word_if(z, "time"))
		copy_word_if(z, "zone");
	if (strcmp(word, "nulls") == 0) {
		(void)(copy_word_if(z, "first") || copy_word_if(z, "last"));
		z->operand = false;
	}
	if (strcmp(word, "as") == 0)
		type_name(z);
	p = skip_space(z->p, z->end);
	if (strcmp(word, "collate") == 0 && p < z->end && *p == '"') {
		copy(z, quoted_end(p, z->end, false));
		z->operand = false;
	}
	note_word(z, word);
}

/*
 * Words of the syntax where an operand is expected. Returns false if the word
 * is none there; then it names a column.
 */
static bool
syntax_word(struct quoter *z, const char *word)
{
	static const char *const prefixes[] = { "case", "when", "not", "distinct", "where", "from",
						"variadic", NULL };
	static const char *const values[] = { "null", "true", "false", NULL };
	static const char *const names[] = { "and", "or", "in", "is", "like", "ilike", "similar",
					     "between", "as", "then", "else", "end", "select",
					     NULL };
	static const char *const clock[] = { "current_date", "current_time", "current_timestamp",
					     "localtime", "localtimestamp", NULL };
	const char *e = word_end(z->p, z->end), *next = skip_space(e, z->end);
	char follower[WORD_MAX];
	bool value = is_one_of(word, values);

	lower_word(next, z->end, follower);
	if (strcmp(word, "unknown") == 0)
		value = strcmp(z->last, "is") == 0 ||
			(strcmp(z->last, "not") == 0 && strcmp(z->before, "is") == 0);
	if ((is_one_of(word, clock) || is_one_of(word, names)) &&
	    fl_header_find(z->h, z->p, (size_t)(e - z->p)) == FL_NO_COLUMN)
		value = true;
	if (is_one_of(word, prefixes) ||
	    (strcmp(word, "array") == 0 && next < z->end && *next == '[') ||
	    ((strcmp(word, "symmetric") == 0 || strcmp(word, "asymmetric") == 0) &&
	     strcmp(z->last, "between") == 0) ||
	    ((strcmp(word, "order") == 0 || strcmp(word, "partition") == 0) &&
	     strcmp(follower, "by") == 0)) {
		copy(z, e);
		if (strcmp(word, "order") == 0 || strcmp(word, "partition") == 0)
			copy_word_if(z, "by");
	} else if (value) {
		copy(z, e);
		z->operand = is_one_of(word, names) && strcmp(word, "end") != 0;
	} else {
		return false;
	}
	note_word(z, word);
	return true;
}

/* EXTRACT(field FROM .. and TRIM(BOTH ..: the word behind the parenthesis. */
static void
function_word(struct quoter *z, const char *word)
{
	static const char *const sides[] = { "both", "leading", "trailing", NULL };
	char first[WORD_MAX], second[WORD_MAX];
	const char *p = skip_space(z->p, z->end) + 1, *e;

	copy(z, p);
	z->nesting++;
	p = skip_space(p, z->end);
	e = p < z->end && is_word_start(*p) ? word_end(p, z->end) : p;
	lower_word(p, z->end, first);
	lower_word(skip_space(e, z->end), z->end, second);
	if (strcmp(word, "extract") == 0 && strcmp(second, "from") == 0) {
		copy(z, e);
		z->operand = false;
	} else if (strcmp(word, "trim") == 0 && is_one_of(first, sides) && e < z->end &&
		   *skip_space(e, z->end) != ')') {
		copy(z, e);
	}
}

static void
word(struct quoter *z)
{
	char w[WORD_MAX], follower[WORD_MAX];
	const char *e = word_end(z->p, z->end), *next = skip_space(e, z->end);
	bool call = next < z->end && *next == '(';

	z->weight++;
	lower_word(z->p, z->end, w);
	lower_word(next, z->end, follower);
	if (!z->operand) {
		operator_word(z, w);
		return;
	}
	if (!call && syntax_word(z, w))
		return;
	if (call) {
		copy(z, e);
		function_word(z, w);
	} else if (next < z->end && string_end(next, z->end) > next) {
		copy(z, e); /* a typed literal */
		z->interval = strcmp(w, "interval") == 0;
		note_word(z, w);
		return;
	} else if (strcmp(follower, "with") == 0 || strcmp(follower, "without") == 0) {
		type_name(z);
		z->operand = true;
	} else if (!reference(z)) {
		copy(z, e);
	}
	note_word(z, w);
}

/* ---- the loop ----------------------------------------------------------- */

/* A dot that is no number and belongs to no name before it. */
static void
dot(struct quoter *z)
{
	const char *e;

	if (z->operand && reference(z))
		return;
	copy(z, z->p + 1);
	if (z->operand || z->p >= z->end || !is_word_start(*z->p))
		return;
	e = word_end(z->p, z->end); /* (..).Name keeps its case */
	mark(z, z->p);
	fl_buf_putc(&z->q->out, '"');
	copy(z, e);
	fl_buf_putc(&z->q->out, '"');
}

static void
operator(struct quoter *z)
{
	static const char chars[] = "+-*/<>=~!@#%^&|`?";
	const char *e = z->p;

	while (e < z->end && *e && strchr(chars, *e) && !at_comment(e, z->end))
		e++;
	z->weight += (uint32_t)(e - z->p) + 1; /* one run of signs may be many operators */
	if (e == z->p) {
		copy(z, z->p + 1); /* a byte that PostgreSQL will complain of */
		return;
	}
	copy(z, e);
	z->minus = e[-1] == '-';
	z->operand = true;
}

static void
punctuation(struct quoter *z)
{
	char c = *z->p;
	bool minus = z->minus;

	z->minus = false;
	if (c == ':' && z->end - z->p >= 2 && z->p[1] == ':') {
		copy(z, z->p + 2);
		z->weight++;
		type_name(z);
	} else if (c == '(' || c == '[') {
		copy(z, z->p + 1);
		z->nesting++;
		z->operand = true;
		z->minus = minus;
	} else if (c == ')' || c == ']') {
		copy(z, z->p + 1);
		z->nesting -= z->nesting > 0;
		z->operand = false;
	} else if (c == ',') {
		copy(z, z->p + 1);
		z->operand = true;
	} else if (c == '.') {
		dot(z);
	} else {
		operator(z);
	}
	note_other(z);
}

static void
token(struct quoter *z)
{
	char c = *z->p;
	const char *e;

	if (is_space(c)) {
		copy(z, skip_space(z->p, z->end));
	} else if (at_comment(z->p, z->end)) {
		z->p = comment_end(z->p, z->end); /* PostgreSQL's takes n * n steps for some */
		fl_buf_putc(&z->q->out, ' ');
	} else if ((e = string_end(z->p, z->end)) > z->p) {
		bool interval = z->interval;

		copy(z, e);
		z->operand = z->minus = false;
		note_other(z);
		if (interval)
			interval_units(z);
	} else if (is_digit(c) ||
		   (c == '.' && z->operand && z->end - z->p >= 2 && is_digit(z->p[1]))) {
		number(z);
		z->minus = false;
		note_other(z);
	} else if (c == '"') {
		if (!z->operand || !reference(z))
			copy(z, quoted_end(z->p, z->end, false));
		z->minus = false;
		note_other(z);
	} else if (is_word_start(c)) {
		z->minus = false;
		word(z);
	} else {
		punctuation(z);
	}
}

int
fl_x_quote(const char *text, const struct fl_header *h, struct fl_xquoted *q, struct fl_err *err)
{
	struct quoter z = { .text = text, .p = text, .end = text + strlen(text), .h = h, .q = q,
			    .operand = true };

	if ((size_t)(z.end - text) > TEXT_MAX)
		return fl_fail(err, FL_EUSAGE, "expression too long (%zu bytes)",
			       (size_t)(z.end - text));
	fl_buf_puts(&q->out, "SELECT ");
	while (z.p < z.end) {
		token(&z);
		if (z.nesting > NESTING_MAX || z.weight > WEIGHT_MAX)
			return fl_x_fail(err, text, 0, "expression %s",
					 z.nesting > NESTING_MAX ? "nested too deeply"
								 : "has too many operators");
	}
	mark(&z, z.end);
	fl_buf_putc(&q->out, '\0');
	return 0;
}

void
fl_x_quoted_release(struct fl_xquoted *q)
{
	struct fl_xref *r = (struct fl_xref *)(void *)q->refs.data;

	for (size_t i = 0; i < q->refs.len / sizeof *r; i++)
		free_steps(r[i].steps, r[i].step_count);
	fl_buf_release(&q->refs);
	fl_buf_release(&q->map);
	fl_buf_release(&q->out);
}

uint32_t
fl_x_quoted_place(const struct fl_xquoted *q, size_t out)
{
	const uint32_t *pair = (const uint32_t *)(const void *)q->map.data;
	size_t n = q->map.len / (2 * sizeof *pair), low = 0, high = n;

	while (low + 1 < high) { /* the last pair at or before out */
		size_t mid = (low + high) / 2;

		if (pair[2 * mid] <= out)
			low = mid;
		else
			high = mid;
	}
	if (n == 0 || pair[2 * low] > out)
		return 0;
	out = pair[2 * low + 1] + (out - pair[2 * low]);
	return low + 1 < n && out > pair[2 * low + 3] ? pair[2 * low + 3] : (uint32_t)out;
}

const struct fl_xref *
fl_x_quoted_ref(const struct fl_xquoted *q, const char *name)
{
	size_t n = q->refs.len / sizeof(struct fl_xref);
	unsigned long i;
	char *end;

	if (name[0] != '$' || !is_digit(name[1]))
		return NULL;
	i = strtoul(name + 1, &end, 10);
	return *end || i >= n ? NULL : (const struct fl_xref *)(const void *)q->refs.data + i;
}
