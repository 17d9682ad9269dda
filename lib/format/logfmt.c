/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading logfmt: key=value pairs with white space between them.
 *
 *	at=info method=GET path="/a \"b\"" cached fwd=
 *
 * Values
 *   - A value without quotes is all up to the next white space; where it is
 *     empty, it is NULL. In quotes, \" \\ \/ \b \f \n \r \t and \uXXXX are decoded
 *     and any other backslash stays; "" is the empty string.
 *   - A key without = is true.
 *   - Every key is a column, absent where a line does not have it. Of equal keys
 *     in a line the last counts.
 *
 * Lines of white space are skipped. Bad records: no key before =, a quote that is
 * not closed, text behind a closing quote.
 */
#include <stdlib.h>

#include "format/formats.h"
#include "format/linewise.h"

struct logfmt {
	struct fl_linewise base;
	uint32_t *next; /* one a column: the one that followed it last time */
	uint32_t next_cap;
	bool grew;
};

static bool
is_space(char c)
{
	return c == ' ' || c == '\t';
}

/* The column of a key, which is often the one after the column before. */
static uint32_t
find_key(struct logfmt *r, uint32_t before, const char *key, size_t len, struct fl_err *err)
{
	const struct fl_header *h = &r->base.names.header;
	uint32_t *guess = before < r->next_cap ? &r->next[before] : NULL, c;

	if (guess && *guess < h->column_count) {
		const struct fl_column *col = &h->columns[*guess];

		if (col->name_len == len && memcmp(col->name, key, len) == 0)
			return *guess;
	}
	c = fl_names_find(&r->base.names, key, len);
	if (c == FL_NO_COLUMN) {
		if (fl_names_add(&r->base.names, key, len, err) < 0)
			return FL_NO_COLUMN;
		r->grew = true;
		c = h->column_count - 1;
	}
	if (guess)
		*guess = c;
	return c;
}

/* Four hexadecimal digits, or -1. */
static int
hex4(const char *p)
{
	int v = 0;

	for (int i = 0; i < 4; i++) {
		char c = p[i], lower = (char)(c | 0x20);
		bool digit = c >= '0' && c <= '9';

		if (!digit && !(lower >= 'a' && lower <= 'f'))
			return -1;
		v = v * 16 + (digit ? c - '0' : lower - 'a' + 10);
	}
	return v;
}

static void
put_utf8(struct fl_buf *b, uint32_t c)
{
	if (c < 0x80) {
		fl_buf_putc(b, (char)c);
		return;
	}
	if (c < 0x800) {
		fl_buf_putc(b, (char)(0xc0 | c >> 6));
	} else {
		if (c < 0x10000) {
			fl_buf_putc(b, (char)(0xe0 | c >> 12));
		} else {
			fl_buf_putc(b, (char)(0xf0 | c >> 18));
			fl_buf_putc(b, (char)(0x80 | (c >> 12 & 0x3f)));
		}
		fl_buf_putc(b, (char)(0x80 | (c >> 6 & 0x3f)));
	}
	fl_buf_putc(b, (char)(0x80 | (c & 0x3f)));
}

/* \uXXXX at p, or two that are one character: how many bytes it takes, 0: it is none. */
static size_t
decode_unicode(struct fl_buf *out, const char *p, size_t n)
{
	int high = n >= 6 ? hex4(p + 2) : -1, low;

	if (high < 0 || (high >= 0xdc00 && high < 0xe000))
		return 0;
	if (high < 0xd800 || high >= 0xe000) {
		put_utf8(out, (uint32_t)high);
		return 6;
	}
	low = n >= 12 && p[6] == '\\' && p[7] == 'u' ? hex4(p + 8) : -1;
	if (low < 0xdc00 || low >= 0xe000)
		return 0;
	put_utf8(out, 0x10000u + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00));
	return 12;
}

static void
decode(struct fl_buf *out, const char *p, size_t n)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";

	for (size_t i = 0, used; i < n; i += used) {
		const char *found = NULL;

		used = 0;
		if (p[i] == '\\' && i + 1 < n) {
			found = memchr(from, p[i + 1], sizeof from - 1);
			if (p[i + 1] == 'u')
				used = decode_unicode(out, p + i, n - i);
		}
		if (used)
			continue;
		fl_buf_putc(out, found ? to[found - from] : p[i]);
		used = found ? 2 : 1;
	}
}

/* The quoted value at p[*pos], for column c unless columns were added. */
static enum fl_line_verdict
take_quoted(struct logfmt *r, uint32_t c, size_t *pos, size_t end)
{
	struct fl_linewise *w = &r->base;
	const char *p = w->piece;
	size_t start = *pos + 1, i = start, from = w->text.len;
	bool escaped = false;

	while (i < end && p[i] != '"') {
		escaped = escaped || p[i] == '\\';
		i += p[i] == '\\' ? 2 : 1;
	}
	if (i >= end)
		return fl_linewise_bad(w, "the quote before a value of %.100s is not closed",
				       w->names.header.columns[c].name);
	*pos = i + 1;
	if (*pos < end && !is_space(p[*pos]))
		return fl_linewise_bad(w, "text behind the closing quote of %.100s",
				       w->names.header.columns[c].name);
	if (r->grew)
		return FL_LINE_OK;
	if (escaped) {
		decode(&w->text, p + start, i - start);
		fl_linewise_set_text(w, c, from, FL_TAG_PLAIN);
	} else {
		fl_linewise_set(w, c, start, i, i > start ? FL_TAG_PLAIN : FL_TAG_STRING);
	}
	return FL_LINE_OK;
}

/* The value true, which stands nowhere in the line. */
static void
set_true(struct fl_linewise *w, uint32_t c)
{
	size_t from = w->text.len;

	fl_buf_puts(&w->text, "true");
	fl_linewise_set_text(w, c, from, FL_TAG_BOOL);
}

/* What stands behind the key of column c. */
static enum fl_line_verdict
take_value(struct logfmt *r, uint32_t c, size_t *pos, size_t end)
{
	struct fl_linewise *w = &r->base;
	const char *p = w->piece;
	size_t start;

	if (*pos == end || p[*pos] != '=') {
		if (!r->grew)
			set_true(w, c);
		return FL_LINE_OK;
	}
	start = ++*pos;
	if (start < end && p[start] == '"')
		return take_quoted(r, c, pos, end);
	while (*pos < end && !is_space(p[*pos]))
		++*pos;
	if (!r->grew)
		fl_linewise_set(w, c, start, *pos, FL_TAG_PLAIN);
	return FL_LINE_OK;
}

/* Where find_key keeps its guesses: column c's at c, that of a line's start behind them. */
static uint32_t
prepare_guesses(struct logfmt *r)
{
	uint32_t n = r->base.names.header.column_count + 1;

	if (n > r->next_cap) {
		r->next = fl_xreallocarray(r->next, 2 * (size_t)n, sizeof *r->next);
		memset(r->next, 0, 2 * (size_t)n * sizeof *r->next);
		r->next_cap = 2 * n;
	}
	return r->next_cap - 1;
}

static enum fl_line_verdict
parse(struct fl_linewise *w, size_t start, size_t end, struct fl_err *err)
{
	struct logfmt *r = (struct logfmt *)w;
	uint32_t c = prepare_guesses(r);
	const char *p = w->piece;
	bool any = false;

	r->grew = false;
	for (size_t pos = start;;) {
		enum fl_line_verdict v;
		size_t key;

		while (pos < end && is_space(p[pos]))
			pos++;
		if (pos == end)
			break;
		for (key = pos; pos < end && p[pos] != '=' && !is_space(p[pos]); pos++)
			;
		if (pos == key)
			return fl_linewise_bad(w, "no key before = in column %zu", pos - start + 1);
		if (memchr(p + key, '"', pos - key) || memchr(p + key, 0, pos - key))
			return fl_linewise_bad(w, "a quote or NUL byte in a key in column %zu",
					       key - start + 1);
		c = find_key(r, c, p + key, pos - key, err);
		if (c == FL_NO_COLUMN)
			return FL_LINE_FAIL;
		v = take_value(r, c, &pos, end);
		if (v != FL_LINE_OK)
			return v;
		any = true;
	}
	if (!any)
		return FL_LINE_SKIP;
	return r->grew ? FL_LINE_GREW : FL_LINE_OK;
}

static void
logfmt_destroy(struct fl_reader *reader)
{
	struct logfmt *r = (struct logfmt *)reader;

	fl_linewise_release(&r->base);
	free(r->next);
	free(r);
}

static struct fl_reader *
logfmt_create(const struct fl_reader_options *o, struct fl_err *err)
{
	struct logfmt *r = fl_xcalloc(1, sizeof *r);

	(void)err;
	fl_linewise_init(&r->base, &fl_logfmt_reader, parse, o);
	return &r->base.base;
}

const struct fl_reader_type fl_logfmt_reader = {
	.name = "logfmt",
	.create = logfmt_create,
	.file = fl_linewise_file,
	.read = fl_linewise_read,
	.columns = fl_linewise_columns,
	.add_column = fl_linewise_add_column,
	.destroy = logfmt_destroy,
};
