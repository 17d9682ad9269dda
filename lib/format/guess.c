/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* memmem */
#include "format/guess.h"

#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' ||
	       c == '.' || c == '-';
}

/* Shape: 9 is a digit, _ a digit or a space, a a letter; anything else is itself. */
static bool
begins(const char *p, size_t n, const char *shape)
{
	size_t len = strlen(shape);

	if (n < len)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool letter = is_word(p[i]) && !is_digit(p[i]);

		if (shape[i] == '9'   ? !is_digit(p[i])
		    : shape[i] == '_' ? !is_digit(p[i]) && p[i] != ' '
		    : shape[i] == 'a' ? !letter
				      : p[i] != shape[i])
			return false;
	}
	return true;
}

static bool
is_jsonl(const char *p, size_t n)
{
	return n > 1 && p[0] == '{' && p[n - 1] == '}';
}

/* … [10/Oct/2000:13:55:36 … "GET … */
static bool
is_clf(const char *p, size_t n)
{
	const char *time = memchr(p, '[', n);

	return time && begins(time + 1, n - (size_t)(time + 1 - p), "99/aaa/9999:99:99:99") &&
	       memmem(p, n, "] \"", 3);
}

/* <34>1 … , Oct  9 22:33:20 host … , 2023-10-09T22:33:20Z host … */
static bool
is_syslog(const char *p, size_t n)
{
	return begins(p, n, "<9>") || begins(p, n, "<99>") || begins(p, n, "<999>") ||
	       begins(p, n, "aaa _9 99:99:99 a");
}

/* Two keys at least, each a word with = behind it. */
static bool
is_logfmt(const char *p, size_t n)
{
	unsigned keys = 0;
	size_t word = 0;

	for (size_t i = 0; i < n; i++) {
		keys += p[i] == '=' && i > word;
		if (!is_word(p[i]))
			word = i + 1;
	}
	return keys > 1;
}

static bool
has_separator(const char *p, size_t n, char c)
{
	const char *first = memchr(p, c, n);

	return first && first > p;
}

static bool
is_tsv(const char *p, size_t n)
{
	return has_separator(p, n, '\t');
}

static bool
is_csv(const char *p, size_t n)
{
	return has_separator(p, n, ',');
}

/* In order: what is more particular comes first. */
static const struct {
	const char *format;
	bool (*is)(const char *p, size_t n);
	const char *advice;
} looks[] = {
	{ "jsonl", is_jsonl, "; this looks like JSON lines: --ijsonl" },
	{ "clf", is_clf, "; this looks like the log of a web server: --iclf" },
	{ "syslog", is_syslog, "; this looks like syslog: --isyslog" },
	{ "logfmt", is_logfmt, "; this looks like logfmt: --ilogfmt" },
	{ "tsv", is_tsv, "; this looks like TSV: --itsv" },
	{ "csv", is_csv, "; this looks like CSV: --icsv" },
};

const char *
fl_format_guess(const char *p, size_t n, const char *format)
{
	if (memchr(p, '\0', n))
		return "; this is not text";
	if (n && p[n - 1] == '\r')
		n--;
	for (size_t i = 0; i < FL_ARRAY_LEN(looks); i++)
		if (looks[i].is(p, n))
			return strcmp(looks[i].format, format) == 0 ? "" : looks[i].advice;
	return "";
}
