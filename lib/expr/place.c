/* SPDX-License-Identifier: Apache-2.0 */
#include "expr/place.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/width.h"

#define INDENT "\n  "
#define SHOWN_COLUMNS 72 /* of the expression: with the indent, a line of 80 */
#define LEFT_COLUMNS 34  /* of them before the place, where the text is cut */
#define SHOWN_BYTES 250  /* of the expression: characters without width take room too */
#define DOTS "..."
#define DOTS_LEN 3

/* What is shown: text[from..to), with dots where something is left out. */
struct excerpt {
	const char *text;
	size_t from, to;
	bool before, after;
};

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || (c & 0x80);
}

static uint32_t
width_of(const char *text, size_t from, size_t to)
{
	uint32_t width;

	(void)fl_width_fit(text + from, to - from, UINT32_MAX, &width);
	return width;
}

static size_t
char_end(const char *text, size_t at, size_t end)
{
	uint32_t c;

	return at + fl_char_at(text + at, end - at, &c);
}

/* The line of the expression that place is in, without the space around it. */
static struct excerpt
line_at(const char *text, size_t place)
{
	struct excerpt x = { .text = text, .from = place, .to = place };

	while (x.from > 0 && text[x.from - 1] != '\n')
		x.from--;
	while (text[x.to] && text[x.to] != '\n')
		x.to++;
	while (x.from < place && is_space(text[x.from]))
		x.from++;
	while (x.to > place && is_space(text[x.to - 1]))
		x.to--;
	return x;
}

/* Leave out what does not fit on a line, first behind the place. */
static void
cut(struct excerpt *x, size_t place)
{
	uint32_t width, room = SHOWN_COLUMNS - DOTS_LEN;
	size_t start = x->from;

	if (x->to - x->from <= SHOWN_BYTES && width_of(x->text, x->from, x->to) <= SHOWN_COLUMNS)
		return;
	while (x->from < place &&
	       (place - x->from > SHOWN_BYTES / 2 ||
		width_of(x->text, x->from, place) > LEFT_COLUMNS) &&
	       (x->to - x->from > SHOWN_BYTES || width_of(x->text, x->from, x->to) > room))
		x->from = char_end(x->text, x->from, place);
	x->before = x->from > start;
	room -= x->before ? DOTS_LEN : 0;
	width = x->to - x->from <= SHOWN_BYTES ? width_of(x->text, x->from, x->to) : UINT32_MAX;
	if (width <= room)
		return;
	x->after = true;
	start = x->from + fl_width_fit(x->text + x->from, x->to - x->from, room, &width);
	while (start > x->from + SHOWN_BYTES || ((x->text[start] & 0xc0) == 0x80 && start > place))
		start--;
	x->to = start;
}

/* Where the word, the quoted text, the sign at place ends. */
static size_t
token_end(const struct excerpt *x, size_t place)
{
	const char *p = x->text;
	size_t e = place;

	if (e >= x->to)
		return e;
	if (p[e] == '\'' || p[e] == '"') {
		for (e++; e < x->to && p[e] != p[place];)
			e++;
		return e < x->to ? e + 1 : e;
	}
	if (is_word(p[e]) || (p[e] == '.' && e + 1 < x->to && is_word(p[e + 1])))
		while (e < x->to && (is_word(p[e]) || (p[e] == '.' && p[place] == '.')))
			e++;
	else
		while (e < x->to && strchr("+-*/<>=~!@#%^&|`?:", p[e]))
			e++;
	return e > place ? e : place + 1;
}

static size_t
put(char *buf, size_t at, const char *p, size_t n)
{
	memcpy(buf + at, p, n);
	return at + n;
}

/* The text of an excerpt; what would move the cursor, or worse, is one column. */
static size_t
put_text(char *buf, size_t at, const struct excerpt *x)
{
	for (size_t i = x->from, end; i < x->to; i = end) {
		uint32_t c;

		end = i + fl_char_at(x->text + i, x->to - i, &c);
		if (c == '\t' || c == '\r')
			buf[at++] = ' ';
		else if (c < ' ' || (c >= 0x7f && c < 0xa0) || (end == i + 1 && c >= 0x80))
			buf[at++] = '?';
		else
			at = put(buf, at, x->text + i, end - i);
	}
	return at;
}

void
fl_x_place(const char *text, uint32_t place, char buf[FL_X_PLACE_MAX])
{
	size_t len = strlen(text), at, end;
	struct excerpt x;
	uint32_t marks, blanks;

	while (len > 0 && is_space(text[len - 1]))
		len--; /* the end is where the next word would have stood */
	if (place > len)
		place = (uint32_t)len;
	x = line_at(text, place);
	cut(&x, place);
	end = token_end(&x, place);
	marks = end > place ? width_of(text, place, end) : 1;
	blanks = width_of(text, x.from, place) + (x.before ? DOTS_LEN : 0);

	at = put(buf, 0, INDENT, strlen(INDENT));
	at = x.before ? put(buf, at, DOTS, DOTS_LEN) : at;
	at = put_text(buf, at, &x);
	at = x.after ? put(buf, at, DOTS, DOTS_LEN) : at;
	at = put(buf, at, INDENT, strlen(INDENT));
	memset(buf + at, ' ', blanks);
	memset(buf + at + blanks, '^', marks ? marks : 1);
	buf[at + blanks + (marks ? marks : 1)] = '\0';
}

void
fl_x_point(struct fl_err *err, const char *text, uint32_t place)
{
	char shown[FL_X_PLACE_MAX];
	size_t n = strlen(err->msg);

	if (strchr(err->msg, '\n') || text[strspn(text, " \t\r\n\v\f")] == '\0')
		return;
	fl_x_place(text, place, shown);
	(void)snprintf(err->msg + n, sizeof err->msg - n, "%s", shown);
}

int
fl_x_fail(struct fl_err *err, const char *text, uint32_t place, const char *fmt, ...)
{
	char what[500];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	for (char *p = what; *p; p++)
		*p = *p == '\n' ? ' ' : *p; /* of a name: only the place has lines of its own */
	(void)fl_fail(err, FL_EUSAGE, "%s", what);
	fl_x_point(err, text, place);
	return FL_EUSAGE;
}
