/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the Common Log Format of web servers, and the Combined one:
 *
 *	host ident user [time] "request" status bytes
 *	host ident user [time] "request" status bytes "referer" "agent"
 *
 * What follows these fields (nginx and many sites add some) is not looked at.
 *
 * Values
 *   - A field that is -, also one in quotes, is NULL. referer and agent that a
 *     line does not have are absent.
 *   - ts is the text between the brackets.
 *   - The request "GET /a HTTP/1.1" is taken apart: a word of letters, the path,
 *     and what begins with HTTP/ at its end, if there is something. The path may
 *     have spaces in it. A request that does not begin with a word of letters
 *     and a space is path as a whole; method and protocol are NULL then.
 *   - Backslashes in quoted fields are decoded: \" \\ \b \f \n \r \t \v and \xhh,
 *     as Apache and nginx write them. Any other backslash stays.
 *   - user may have spaces in it; where it is "", it is the empty string.
 */
#include <stdlib.h>

#include "format/clf.h"
#include "format/formats.h"

enum column {
	HOST,
	IDENT,
	USER,
	TS,
	METHOD,
	PATH,
	PROTOCOL,
	STATUS,
	BYTES,
	REFERER,
	AGENT,
	COLUMNS
};

static const char *const names[COLUMNS] = {
	[HOST] = "host",     [IDENT] = "ident",     [USER] = "user",         [TS] = "ts",
	[METHOD] = "method", [PATH] = "path",       [PROTOCOL] = "protocol", [STATUS] = "status",
	[BYTES] = "bytes",   [REFERER] = "referer", [AGENT] = "agent",
};

/* A stretch of the line. */
struct span {
	size_t start, end;
};

static void
set(struct fl_linewise *r, uint32_t c, struct span s)
{
	bool null = s.end - s.start == 1 && r->piece[s.start] == '-';

	if (null)
		fl_linewise_set(r, c, s.start, s.start, FL_TAG_NULL);
	else
		fl_linewise_set(r, c, s.start, s.end, FL_TAG_PLAIN);
}

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decode the escape behind a backslash, of the n bytes at p: its length, 0 if it is none. */
static size_t
decode(const char *p, size_t n, char *ret)
{
	static const char from[] = "\"\\bfnrtv", to[] = "\"\\\b\f\n\r\t\v";
	const char *found;

	if (n == 0)
		return 0;
	if (*p == 'x' && n >= 3 && hex(p[1]) >= 0 && hex(p[2]) >= 0) {
		*ret = (char)(hex(p[1]) * 16 + hex(p[2]));
		return 3;
	}
	found = memchr(from, *p, sizeof from - 1);
	if (!found)
		return 0;
	*ret = to[found - from];
	return 1;
}

void
fl_clf_set_quoted(struct fl_linewise *r, uint32_t c, size_t start, size_t end)
{
	struct span s = { start, end };
	size_t from = r->text.len;

	if (!memchr(r->piece + s.start, '\\', s.end - s.start)) {
		set(r, c, s);
		return;
	}
	for (size_t i = s.start; i < s.end; i++) {
		char byte = r->piece[i];

		if (byte == '\\')
			i += decode(r->piece + i + 1, s.end - i - 1, &byte);
		fl_buf_putc(&r->text, byte);
	}
	fl_linewise_set_text(r, c, from, FL_TAG_PLAIN);
}

/* A word that ends in a space or with the line; *pos goes behind that. */
static bool
take_word(const char *p, size_t *pos, size_t end, struct span *ret)
{
	const char *space = *pos < end ? memchr(p + *pos, ' ', end - *pos) : NULL;

	ret->start = *pos;
	ret->end = space ? (size_t)(space - p) : end;
	*pos = ret->end + (space != NULL);
	return ret->end > ret->start;
}

/* A quoted field and the space behind it. */
static bool
take_quoted(const char *p, size_t *pos, size_t end, struct span *ret)
{
	size_t i = *pos + 1;
	const char *quote;

	if (*pos >= end || p[*pos] != '"')
		return false;
	quote = memchr(p + i, '"', end - i);
	if (quote && quote[-1] != '\\')
		i = (size_t)(quote - p);
	while (i < end && p[i] != '"') /* the long way, where a quote is escaped */
		i += p[i] == '\\' ? 2 : 1;
	if (i >= end || (i + 1 < end && p[i + 1] != ' '))
		return false;
	*ret = (struct span){ *pos + 1, i };
	*pos = i + 1 + (i + 1 < end);
	return true;
}

/* user, which may have spaces in it, and the time in brackets. */
static bool
take_user_time(const char *p, size_t *pos, size_t end, struct span *user, struct span *ts)
{
	const char *open = p + *pos, *close;

	for (;; open++) {
		open = memchr(open, '[', (size_t)(p + end - open));
		if (!open)
			return false;
		if (open > p + *pos && open[-1] == ' ')
			break;
	}
	close = memchr(open, ']', (size_t)(p + end - open));
	if (!close || close + 1 == p + end || close[1] != ' ')
		return false;
	*user = (struct span){ *pos, (size_t)(open - 1 - p) };
	*ts = (struct span){ (size_t)(open + 1 - p), (size_t)(close - p) };
	*pos = (size_t)(close + 2 - p);
	return user->end > user->start;
}

static void
set_user(struct fl_linewise *r, struct span user)
{
	if (user.end - user.start == 2 && memcmp(r->piece + user.start, "\"\"", 2) == 0)
		fl_linewise_set(r, USER, user.start, user.start, FL_TAG_STRING);
	else
		set(r, USER, user);
}

void
fl_clf_set_request(struct fl_linewise *r, uint32_t first, size_t start, size_t end)
{
	uint32_t method = first, protocol = first + 2;
	struct span request = { start, end }, path = request;
	const char *p = r->piece;
	size_t i = start, last;

	fl_linewise_set(r, method, i, i, FL_TAG_NULL);
	fl_linewise_set(r, protocol, i, i, FL_TAG_NULL);
	while (i < request.end && ((p[i] | 0x20) >= 'a' && (p[i] | 0x20) <= 'z'))
		i++;
	if (i > request.start && i < request.end && p[i] == ' ') {
		set(r, method, (struct span){ request.start, i });
		path.start = i + 1;
		for (last = request.end; last > path.start && p[last - 1] != ' '; last--)
			;
		if (last > path.start && request.end - last >= 5 &&
		    memcmp(p + last, "HTTP/", 5) == 0) {
			set(r, protocol, (struct span){ last, request.end });
			path.end = last - 1;
		}
	}
	fl_clf_set_quoted(r, first + 1, path.start, path.end);
}

static enum fl_line_verdict
parse(struct fl_linewise *r, size_t start, size_t end, struct fl_err *err)
{
	struct span host, ident, user, ts, request, status, bytes, referer, agent;
	const char *p = r->piece;
	size_t pos = start;

	(void)err;
	if (!take_word(p, &pos, end, &host) || !take_word(p, &pos, end, &ident))
		return fl_linewise_bad(r, "not a CLF line: host and ident expected first");
	if (!take_user_time(p, &pos, end, &user, &ts))
		return fl_linewise_bad(r,
				       "not a CLF line: no user and [time] behind host and ident");
	if (!take_quoted(p, &pos, end, &request))
		return fl_linewise_bad(r,
				       "not a CLF line: no \"request\" in quotes behind the time");
	if (!take_word(p, &pos, end, &status) || !take_word(p, &pos, end, &bytes))
		return fl_linewise_bad(r, "not a CLF line: no status and bytes behind the request");
	if (pos < end && p[pos] == '"') {
		if (!take_quoted(p, &pos, end, &referer))
			return fl_linewise_bad(r, "the quote before the referer is not closed");
		fl_clf_set_quoted(r, REFERER, referer.start, referer.end);
		if (pos < end && p[pos] == '"') {
			if (!take_quoted(p, &pos, end, &agent))
				return fl_linewise_bad(r,
						       "the quote before the agent is not closed");
			fl_clf_set_quoted(r, AGENT, agent.start, agent.end);
		}
	}
	set(r, HOST, host);
	set(r, IDENT, ident);
	set_user(r, user);
	set(r, TS, ts);
	fl_clf_set_request(r, METHOD, request.start, request.end);
	set(r, STATUS, status);
	set(r, BYTES, bytes);
	return FL_LINE_OK;
}

static void
clf_destroy(struct fl_reader *reader)
{
	fl_linewise_release((struct fl_linewise *)reader);
	free(reader);
}

static struct fl_reader *
clf_create(const struct fl_reader_options *o, struct fl_err *err)
{
	struct fl_linewise *r = fl_xcalloc(1, sizeof *r);

	fl_linewise_init(r, &fl_clf_reader, parse, o);
	for (size_t i = 0; i < COLUMNS; i++)
		(void)fl_names_add(&r->names, names[i], strlen(names[i]), err); /* all are good */
	return &r->base;
}

const struct fl_reader_type fl_clf_reader = {
	.name = "clf",
	.time_column = "ts",
	.time_format = "clf",
	.create = clf_create,
	.file = fl_linewise_file,
	.read = fl_linewise_read,
	.columns = fl_linewise_columns,
	.destroy = clf_destroy,
};
