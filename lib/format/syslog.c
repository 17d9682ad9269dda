/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading syslog, as files have it and as it comes over the network:
 *
 *	Oct  9 22:33:20 host app[pid]: message               RFC 3164, traditional
 *	2023-10-09T22:33:20.003Z host app[pid]: message      the same, ISO 8601
 *	<34>Oct  9 22:33:20 host app[pid]: message           with its priority
 *	<34>1 2023-10-09T22:33:20.003Z host app pid msgid [id k="v"] message   RFC 5424
 *
 * Columns: ts host app pid msg level facility msgid data
 *   - level and facility are words, of the priority: NULL without it.
 *   - Where what follows the host is no tag (app: or app[pid]:), it is all msg.
 *   - data is RFC 5424's structured data as a JSON object: {"id":{"k":"v"}}.
 *   - A field that is - is NULL in RFC 5424.
 *
 * Empty lines are skipped. Bad records: no time, no host, a priority above 191,
 * structured data that is not closed.
 */
#include <stdlib.h>

#include "format/formats.h"
#include "format/linewise.h"

enum column { TS, HOST, APP, PID, MSG, LEVEL, FACILITY, MSGID, DATA, COLUMNS };

static const char *const names[COLUMNS] = {
	[TS] = "ts",     [HOST] = "host",   [APP] = "app",           [PID] = "pid",
	[MSG] = "msg",   [LEVEL] = "level", [FACILITY] = "facility", [MSGID] = "msgid",
	[DATA] = "data",
};

/* journalctl's words for RFC 5424's numbers. */
static const char *const levels[8] = { "emerg",   "alert",  "crit", "err",
				       "warning", "notice", "info", "debug" };

static const char *const facilities[24] = {
	"kern",   "user",   "mail",     "daemon", "auth",   "syslog", "lpr",    "news",
	"uucp",   "cron",   "authpriv", "ftp",    "ntp",    "audit",  "alert",  "clock",
	"local0", "local1", "local2",   "local3", "local4", "local5", "local6", "local7",
};

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static void
set_word(struct fl_linewise *r, enum column c, const char *word)
{
	size_t from = r->text.len;

	fl_buf_puts(&r->text, word);
	fl_linewise_set_text(r, c, from, FL_TAG_STRING);
}

static void
set_span(struct fl_linewise *r, enum column c, size_t start, size_t end)
{
	fl_linewise_set(r, c, start, end, end > start ? FL_TAG_PLAIN : FL_TAG_NULL);
}

/* Where the word at p[pos] ends. */
static size_t
word_end(const char *p, size_t pos, size_t end)
{
	const char *space = pos < end ? memchr(p + pos, ' ', end - pos) : NULL;

	return space ? (size_t)(space - p) : end;
}

/* "<34>": *ret_priority, or -1 where there is none; false where it is too large. */
static bool
take_priority(const char *p, size_t *pos, size_t end, int *ret_priority)
{
	size_t i = *pos + 1;
	int v = 0;

	*ret_priority = -1;
	if (*pos >= end || p[*pos] != '<')
		return true;
	for (; i < end && i - *pos <= 3 && is_digit(p[i]); i++)
		v = v * 10 + (p[i] - '0');
	if (i == *pos + 1 || i >= end || p[i] != '>')
		return true;
	*pos = i + 1;
	*ret_priority = v;
	return v <= 191;
}

/* Where "Oct  9 22:33:20" ends that begins at p[pos], or 0. */
static size_t
month_stamp(const char *p, size_t pos, size_t end)
{
	size_t i = pos + 3, digits;

	if (end - pos < 14 || !is_letter(p[pos]) || !is_letter(p[pos + 1]) ||
	    !is_letter(p[pos + 2]) || p[i] != ' ')
		return 0;
	i += p[i + 1] == ' ' ? 2 : 1;
	for (digits = 0; i < end && is_digit(p[i]); i++)
		digits++;
	if (digits < 1 || digits > 2 || i >= end || p[i] != ' ' || i + 1 >= end ||
	    !is_digit(p[i + 1]))
		return 0;
	return word_end(p, i + 1, end);
}

/* Where "2023-10-09T22:33:20Z" ends, or with a space in it "2023-10-09 22:33:20", or 0. */
static size_t
iso_stamp(const char *p, size_t pos, size_t end)
{
	size_t i = word_end(p, pos, end);

	if (i - pos < 10 || !is_digit(p[pos]) || p[pos + 4] != '-')
		return 0;
	if (i - pos == 10 && i + 1 < end && is_digit(p[i + 1]))
		i = word_end(p, i + 1, end);
	return i;
}

/*
 * Where a second word of a program's name ends: a version ("syslogd 1.4.1:"), or
 * any that a pid is behind ("Text Editor[7]:"). 0: it is no part of the name.
 */
static size_t
second_word(const char *p, size_t pos, size_t end)
{
	size_t i = pos, pid;

	while (i < end && (is_digit(p[i]) || (i > pos && p[i] == '.')))
		i++;
	if (i > pos && i < end && p[i] == ':')
		return i;
	while (i < end && p[i] != ' ' && p[i] != ':' && p[i] != '[')
		i++;
	if (i == pos || i == end || p[i] != '[')
		return 0;
	for (pid = i + 1; pid < end && is_digit(p[pid]);)
		pid++;
	return pid > i + 1 && pid + 1 < end && p[pid] == ']' && p[pid + 1] == ':' ? i : 0;
}

/* What follows the host: app[pid]: message, app: message, or only a message. */
static void
set_tag(struct fl_linewise *r, size_t pos, size_t end)
{
	const char *p = r->piece;
	size_t i = pos, app, pid = 0, pid_end = 0;

	while (i < end && p[i] != ' ' && p[i] != '[' &&
	       !(p[i] == ':' && (i + 1 == end || p[i + 1] == ' ')))
		i++;
	if (i > pos && i + 1 < end && p[i] == ' ' && second_word(p, i + 1, end))
		i = second_word(p, i + 1, end);
	app = i;
	if (i < end && p[i] == '[') {
		const char *close = memchr(p + i, ']', end - i);

		if (close) {
			pid = i + 1;
			pid_end = (size_t)(close - p);
			i = pid_end + 1;
		}
	}
	if (app == pos || (i < end && p[i] != ':' && !pid) || i == end) {
		set_span(r, APP, pos, pos);
		set_span(r, PID, pos, pos);
		set_span(r, MSG, pos, end);
		return;
	}
	set_span(r, APP, pos, app);
	set_span(r, PID, pid, pid_end);
	i += i < end && p[i] == ':';
	i += i < end && p[i] == ' ';
	set_span(r, MSG, i, end);
}

static enum fl_line_verdict
parse_plain(struct fl_linewise *r, size_t pos, size_t end)
{
	const char *p = r->piece;
	size_t stamp = month_stamp(p, pos, end), host;

	if (!stamp)
		stamp = iso_stamp(p, pos, end);
	if (!stamp)
		return fl_linewise_bad(r, "not a syslog line: a time such as Oct  9 22:33:20 or "
					  "2023-10-09T22:33:20Z expected first");
	set_span(r, TS, pos, stamp);
	pos = stamp;
	while (pos < end && p[pos] == ' ')
		pos++;
	host = word_end(p, pos, end);
	if (host == pos)
		return fl_linewise_bad(r, "not a syslog line: no host behind the time");
	set_span(r, HOST, pos, host);
	set_tag(r, host + (host < end), end);
	return FL_LINE_OK;
}

/* ---- RFC 5424 --------------------------------------------------------------------- */

/* Bytes of the UTF-8 character at p[0..n), n > 0; 0: it is none. */
static size_t
utf8_at(const char *p, size_t n)
{
	unsigned char c = (unsigned char)p[0], second = n > 1 ? (unsigned char)p[1] : 0;
	size_t len = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;

	if (len > n || (c == 0xe0 && second < 0xa0) || (c == 0xed && second > 0x9f) ||
	    (c == 0xf0 && second < 0x90) || (c == 0xf4 && second > 0x8f))
		return 0;
	for (size_t i = 1; i < len; i++)
		if (((unsigned char)p[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

/* p[0..n) as the inside of a JSON string; backslashes before " \ ] are escapes. */
static void
put_json(struct fl_buf *out, const char *p, size_t n)
{
	for (size_t i = 0, len; i < n; i += len) {
		if (p[i] == '\\' && i + 1 < n && memchr("\"\\]", p[i + 1], 3))
			i++;
		len = utf8_at(p + i, n - i);
		if (len == 0) {
			fl_buf_puts(out, "\\ufffd");
			len = 1;
		} else if (p[i] == '"' || p[i] == '\\') {
			fl_buf_putc(out, '\\');
			fl_buf_putc(out, p[i]);
		} else if ((unsigned char)p[i] < ' ') {
			fl_buf_printf(out, "\\u%04x", (unsigned)p[i]);
		} else {
			fl_buf_put(out, p + i, len);
		}
	}
}

/* One k="v" at p[*pos]; false where it is none. */
static bool
take_param(struct fl_buf *out, const char *p, size_t *pos, size_t end, bool first)
{
	size_t name = *pos, i = name, value;

	while (i < end && !memchr("= ]\"", p[i], 4))
		i++;
	if (i == name || i + 1 >= end || p[i] != '=' || p[i + 1] != '"')
		return false;
	fl_buf_puts(out, first ? "\"" : ",\"");
	put_json(out, p + name, i - name);
	fl_buf_puts(out, "\":\"");
	value = i + 2;
	for (i = value; i < end && p[i] != '"'; i++)
		i += p[i] == '\\' && i + 1 < end;
	if (i >= end)
		return false;
	put_json(out, p + value, i - value);
	fl_buf_putc(out, '"');
	*pos = i + 1;
	return true;
}

/* [id k="v" …] at p[*pos]. */
static bool
take_element(struct fl_buf *out, const char *p, size_t *pos, size_t end)
{
	size_t id = *pos + 1, i = id;

	while (i < end && !memchr("= ]\"", p[i], 4))
		i++;
	if (i == id)
		return false;
	fl_buf_putc(out, '"');
	put_json(out, p + id, i - id);
	fl_buf_puts(out, "\":{");
	for (bool first = true; i < end && p[i] == ' '; first = false) {
		i++;
		if (!take_param(out, p, &i, end, first))
			return false;
	}
	if (i >= end || p[i] != ']')
		return false;
	fl_buf_putc(out, '}');
	*pos = i + 1;
	return true;
}

/* Structured data: - or [id k="v"][…]. */
static bool
take_data(struct fl_linewise *r, size_t *pos, size_t end)
{
	const char *p = r->piece;
	size_t from = r->text.len;

	if (*pos < end && p[*pos] == '-') {
		set_span(r, DATA, *pos, *pos);
		++*pos;
		return *pos == end || p[*pos] == ' ';
	}
	if (*pos >= end || p[*pos] != '[')
		return false;
	fl_buf_putc(&r->text, '{');
	for (bool first = true; *pos < end && p[*pos] == '['; first = false) {
		if (!first)
			fl_buf_putc(&r->text, ',');
		if (!take_element(&r->text, p, pos, end))
			return false;
	}
	fl_buf_putc(&r->text, '}');
	fl_linewise_set_text(r, DATA, from, FL_TAG_OBJECT);
	return *pos == end || p[*pos] == ' ';
}

/* What follows the priority and the version: pos is at the time. */
static enum fl_line_verdict
parse_5424(struct fl_linewise *r, size_t pos, size_t end)
{
	static const enum column order[] = { TS, HOST, APP, PID, MSGID };
	const char *p = r->piece;

	for (size_t i = 0; i < FL_ARRAY_LEN(order); i++) {
		size_t word = word_end(p, pos, end);

		if (word == pos)
			return fl_linewise_bad(r, "not a syslog line: no %s (RFC 5424)",
					       names[order[i]]);
		set_span(r, order[i], pos, word - pos == 1 && p[pos] == '-' ? pos : word);
		pos = word + (word < end);
	}
	if (!take_data(r, &pos, end))
		return fl_linewise_bad(r, "not a syslog line: - or structured data in brackets "
					  "expected behind msgid (RFC 5424)");
	pos += pos < end;
	if (end - pos >= 3 && memcmp(p + pos, "\xef\xbb\xbf", 3) == 0)
		pos += 3;
	set_span(r, MSG, pos, end);
	return FL_LINE_OK;
}

/* Whether p[pos] is "1 ", a version; *ret_next is behind it. */
static bool
is_version(const char *p, size_t pos, size_t end, size_t *ret_next)
{
	size_t i = pos;

	while (i < end && i - pos < 3 && is_digit(p[i]))
		i++;
	*ret_next = i + 1;
	return i > pos && i < end && p[i] == ' ';
}

static enum fl_line_verdict
parse(struct fl_linewise *r, size_t start, size_t end, struct fl_err *err)
{
	size_t pos = start, next;
	int priority;

	(void)err;
	if (start == end)
		return FL_LINE_SKIP;
	if (!take_priority(r->piece, &pos, end, &priority))
		return fl_linewise_bad(r, "not a syslog line: priority %d is above 191", priority);
	for (uint32_t c = 0; c < COLUMNS; c++)
		set_span(r, c, start, start);
	if (priority >= 0) {
		set_word(r, LEVEL, levels[priority & 7]);
		set_word(r, FACILITY, facilities[priority >> 3]);
	}
	if (priority >= 0 && is_version(r->piece, pos, end, &next))
		return parse_5424(r, next, end);
	return parse_plain(r, pos, end);
}

static void
syslog_destroy(struct fl_reader *reader)
{
	fl_linewise_release((struct fl_linewise *)reader);
	free(reader);
}

static struct fl_reader *
syslog_create(const struct fl_reader_options *o, struct fl_err *err)
{
	struct fl_linewise *r = fl_xcalloc(1, sizeof *r);

	fl_linewise_init(r, &fl_syslog_reader, parse, o);
	for (size_t i = 0; i < COLUMNS; i++)
		(void)fl_names_add(&r->names, names[i], strlen(names[i]), err); /* all are good */
	return &r->base;
}

const struct fl_reader_type fl_syslog_reader = {
	.name = "syslog",
	.time_column = "ts",
	.time_format = "syslog",
	.create = syslog_create,
	.file = fl_linewise_file,
	.read = fl_linewise_read,
	.columns = fl_linewise_columns,
	.destroy = syslog_destroy,
};
