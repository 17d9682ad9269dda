/* SPDX-License-Identifier: Apache-2.0 */
#include "time/timetext.h"

#include <string.h>

#include "base/mem.h"

struct cursor {
	const char *p;
	const char *end;
};

static const char *const months[12] = {
	"january", "february", "march",     "april",   "may",      "june",
	"july",    "august",   "september", "october", "november", "december",
};
static const char *const weekdays[7] = {
	"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday",
};

/* ---- pieces ---- */

static bool
at_end(const struct cursor *c)
{
	return c->p == c->end;
}

static bool
is_digit(char ch)
{
	return ch >= '0' && ch <= '9';
}

static bool
is_space(char ch)
{
	return ch == ' ' || (ch >= '\t' && ch <= '\r');
}

static char
lower(char ch)
{
	return ch >= 'A' && ch <= 'Z' ? (char)(ch + ('a' - 'A')) : ch;
}

static bool
next_is_digit(const struct cursor *c)
{
	return !at_end(c) && is_digit(*c->p);
}

static bool
take(struct cursor *c, char ch)
{
	if (at_end(c) || *c->p != ch)
		return false;
	c->p++;
	return true;
}

static void
skip_spaces(struct cursor *c)
{
	while (!at_end(c) && is_space(*c->p))
		c->p++;
}

/* min to max (at most 9) digits. */
static bool
take_int(struct cursor *c, int min, int max, int32_t *ret)
{
	int32_t v = 0;
	int n = 0;

	for (; n < max && next_is_digit(c); n++)
		v = v * 10 + (*c->p++ - '0');
	*ret = v;
	return n >= min;
}

/* Digits behind the point, any number but none. */
static bool
take_fraction(struct cursor *c, struct fl_timeparts *ret)
{
	int32_t scale = 100;

	ret->ms = 0;
	ret->finer = false;
	if (!next_is_digit(c))
		return false;
	for (; next_is_digit(c); c->p++) {
		ret->ms += (*c->p - '0') * scale;
		ret->finer |= scale == 0 && *c->p != '0';
		scale /= 10;
	}
	return true;
}

/* The point or comma and the fraction behind it, if there is one. */
static bool
take_point_fraction(struct cursor *c, struct fl_timeparts *ret)
{
	if (take(c, '.') || take(c, ','))
		return take_fraction(c, ret);
	return true;
}

/* A word, whatever the case; text is lower case and has n bytes. */
static bool
take_word(struct cursor *c, const char *text, size_t n)
{
	if ((size_t)(c->end - c->p) < n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (lower(c->p[i]) != text[i])
			return false;
	c->p += n;
	return true;
}

/* One of count names or its first three letters; the index, or -1. */
static int
take_name(struct cursor *c, const char *const *names, int count)
{
	for (int i = 0; i < count; i++)
		if (take_word(c, names[i], strlen(names[i])) || take_word(c, names[i], 3))
			return i;
	return -1;
}

/* Exactly the first three letters. */
static bool
take_month(struct cursor *c, int32_t *ret)
{
	for (int i = 0; i < 12; i++) {
		if (take_word(c, months[i], 3)) {
			*ret = i + 1;
			return true;
		}
	}
	return false;
}

/* A zone by name. Only those that mean the same everywhere: RFC 2822's. */
static bool
take_zone_name(struct cursor *c, int32_t *ret_s)
{
	static const struct {
		char name[4];
		int8_t hours;
	} zones[] = {
		{ "utc", 0 },  { "gmt", 0 },  { "est", -5 }, { "edt", -4 },
		{ "cst", -6 }, { "cdt", -5 }, { "mst", -7 }, { "mdt", -6 },
		{ "pst", -8 }, { "pdt", -7 }, { "ut", 0 },   { "z", 0 },
	};

	for (size_t i = 0; i < FL_ARRAY_LEN(zones); i++) {
		if (take_word(c, zones[i].name, strlen(zones[i].name))) {
			*ret_s = zones[i].hours * 3600;
			return true;
		}
	}
	return false;
}

/* Z, +hh, +hhmm, +hh:mm, +hhmmss, +hh:mm:ss. */
static enum fl_time_fault
take_offset(struct cursor *c, struct fl_timeparts *ret)
{
	int32_t h, m = 0, s = 0;
	bool negative, colon;

	ret->has_zone = true;
	if (take(c, 'Z') || take(c, 'z')) {
		ret->offset_s = 0;
		return FL_TIME_OK;
	}
	negative = take(c, '-');
	if (!negative && !take(c, '+'))
		return FL_TIME_NO_TIME;
	if (!take_int(c, 2, 2, &h))
		return FL_TIME_NO_TIME;
	colon = take(c, ':');
	if ((colon || next_is_digit(c)) && !take_int(c, 2, 2, &m))
		return FL_TIME_NO_TIME;
	if ((colon ? take(c, ':') : next_is_digit(c)) && !take_int(c, 2, 2, &s))
		return FL_TIME_NO_TIME;
	if (h > 23 || m > 59 || s > 59)
		return FL_TIME_NO_OFFSET;
	ret->offset_s = h * 3600 + m * 60 + s;
	if (negative)
		ret->offset_s = -ret->offset_s;
	return FL_TIME_OK;
}

/* An offset or the name of a zone. */
static enum fl_time_fault
take_zone(struct cursor *c, struct fl_timeparts *ret)
{
	ret->has_zone = true;
	if (take_zone_name(c, &ret->offset_s))
		return FL_TIME_OK;
	return take_offset(c, ret);
}

/* hh:mm:ss, with a fraction if there is one. */
static bool
take_clock(struct cursor *c, struct fl_timeparts *ret)
{
	return take_int(c, 2, 2, &ret->hour) && take(c, ':') && take_int(c, 2, 2, &ret->minute) &&
	       take(c, ':') && take_int(c, 2, 2, &ret->second) &&
	       take_point_fraction(c, ret);
}

static enum fl_time_fault
whole(const struct cursor *c)
{
	return at_end(c) ? FL_TIME_OK : FL_TIME_NO_TIME;
}

static struct fl_timeparts
no_parts(void)
{
	return (struct fl_timeparts){ .year = 1970, .month = 1, .day = 1 };
}

/* ---- the fixed formats ---- */

/* Behind the date: T or a space, and the time of day; basic: without colons. */
static bool
iso_clock(struct cursor *c, bool basic, struct fl_timeparts *ret)
{
	bool more;

	if (!take(c, 'T') && !take(c, 't') && !take(c, ' '))
		return false;
	if (!take_int(c, 2, 2, &ret->hour) || !(basic || take(c, ':')) ||
	    !take_int(c, 2, 2, &ret->minute))
		return false;
	more = basic ? next_is_digit(c) : take(c, ':');
	if (!more)
		return true;
	return take_int(c, 2, 2, &ret->second) && take_point_fraction(c, ret);
}

enum fl_time_fault
fl_timetext_iso(const char *p, size_t n, struct fl_timeparts *ret)
{
	struct cursor c = { p, p + n };
	enum fl_time_fault fault;
	bool basic;

	*ret = no_parts();
	ret->has_year = true;
	if (!take_int(&c, 4, 4, &ret->year))
		return FL_TIME_NO_TIME;
	basic = !take(&c, '-');
	if (!take_int(&c, 2, 2, &ret->month) || !(basic || take(&c, '-')) ||
	    !take_int(&c, 2, 2, &ret->day))
		return FL_TIME_NO_TIME;
	if (at_end(&c))
		return basic ? FL_TIME_NO_TIME : FL_TIME_OK; /* 20231114 is a number */
	if (!iso_clock(&c, basic, ret))
		return FL_TIME_NO_TIME;
	if (at_end(&c))
		return FL_TIME_OK;
	(void)take(&c, ' ');
	ret->has_zone = true;
	if (take_word(&c, "utc", 3) || take_word(&c, "gmt", 3))
		return whole(&c);
	fault = take_offset(&c, ret);
	return fault ? fault : whole(&c);
}

enum fl_time_fault
fl_timetext_clf(const char *p, size_t n, struct fl_timeparts *ret)
{
	struct cursor c = { p, p + n };
	bool bracket = take(&c, '[');

	*ret = no_parts();
	ret->has_year = true;
	if (!take_int(&c, 1, 2, &ret->day) || !take(&c, '/') || !take_month(&c, &ret->month) ||
	    !take(&c, '/') || !take_int(&c, 4, 4, &ret->year) || !take(&c, ':') ||
	    !take_clock(&c, ret))
		return FL_TIME_NO_TIME;
	if (take(&c, ' ')) {
		enum fl_time_fault fault = take_offset(&c, ret);

		if (fault)
			return fault;
	}
	if (bracket && !take(&c, ']'))
		return FL_TIME_NO_TIME;
	return whole(&c);
}

/* Two digits are 1950..2049, three are from 1900 on: the obsolete forms. */
static bool
take_mail_year(struct cursor *c, int32_t *ret)
{
	const char *start = c->p;

	if (!take_int(c, 2, 4, ret))
		return false;
	if (c->p - start == 2)
		*ret += *ret < 50 ? 2000 : 1900;
	else if (c->p - start == 3)
		*ret += 1900;
	return true;
}

/* Behind the zone: nothing, or the zone again in words, " (CEST)". */
static bool
mail_comment(struct cursor *c)
{
	if (at_end(c))
		return true;
	skip_spaces(c);
	if (!take(c, '('))
		return false;
	while (!at_end(c) && *c->p != ')' && *c->p != '(')
		c->p++;
	return take(c, ')');
}

enum fl_time_fault
fl_timetext_rfc2822(const char *p, size_t n, struct fl_timeparts *ret)
{
	struct cursor c = { p, p + n };
	enum fl_time_fault fault;

	*ret = no_parts();
	ret->has_year = true;
	for (int i = 0; i < 7; i++) {
		if (take_word(&c, weekdays[i], 3)) {
			if (!take(&c, ','))
				return FL_TIME_NO_TIME;
			skip_spaces(&c);
			break;
		}
	}
	if (!take_int(&c, 1, 2, &ret->day))
		return FL_TIME_NO_TIME;
	skip_spaces(&c);
	if (!take_month(&c, &ret->month))
		return FL_TIME_NO_TIME;
	skip_spaces(&c);
	if (!take_mail_year(&c, &ret->year) || at_end(&c) || !is_space(*c.p))
		return FL_TIME_NO_TIME;
	skip_spaces(&c);
	if (!take_int(&c, 2, 2, &ret->hour) || !take(&c, ':') || !take_int(&c, 2, 2, &ret->minute))
		return FL_TIME_NO_TIME;
	if (take(&c, ':') && !take_int(&c, 2, 2, &ret->second))
		return FL_TIME_NO_TIME;
	skip_spaces(&c);
	fault = take_zone(&c, ret);
	if (fault)
		return fault;
	return mail_comment(&c) ? whole(&c) : FL_TIME_NO_TIME;
}

enum fl_time_fault
fl_timetext_syslog(const char *p, size_t n, struct fl_timeparts *ret)
{
	struct cursor c = { p, p + n };

	*ret = no_parts();
	if (!take_month(&c, &ret->month) || !take(&c, ' '))
		return FL_TIME_NO_TIME;
	(void)take(&c, ' '); /* a day of one digit has a space before it */
	if (!take_int(&c, 1, 2, &ret->day) || !take(&c, ' ') || !take_clock(&c, ret))
		return FL_TIME_NO_TIME;
	return whole(&c);
}

/* ---- strptime formats ---- */

/* What is only known when the whole text has been read. */
struct pattern_state {
	struct fl_timeparts *parts;
	int32_t hour12; /* -1: not given */
	bool pm, has_pm;
};

/* Directives that stand for others; NULL: none of them. */
static const char *
composite(char directive)
{
	switch (directive) {
	case 'F': return "%Y-%m-%d";
	case 'T': return "%H:%M:%S";
	case 'R': return "%H:%M";
	case 'D': return "%m/%d/%y";
	default: return NULL;
	}
}

/* A number, with spaces before it as strptime allows: "%d" reads " 9". */
static bool
take_padded(struct cursor *c, int digits, int32_t *ret)
{
	skip_spaces(c);
	return take_int(c, 1, digits, ret);
}

static bool
take_epoch(struct cursor *c, struct fl_timeparts *ret)
{
	bool negative = take(c, '-');
	int64_t v = 0;
	int n = 0;

	for (; n < 15 && next_is_digit(c); n++)
		v = v * 10 + (*c->p++ - '0');
	ret->has_epoch = true;
	ret->epoch_negative = negative;
	ret->epoch_s = v;
	return n > 0;
}

static bool
take_half(struct cursor *c, struct pattern_state *s)
{
	s->has_pm = true;
	s->pm = take_word(c, "pm", 2);
	return s->pm || take_word(c, "am", 2);
}

static bool
take_short_year(struct cursor *c, struct fl_timeparts *ret)
{
	ret->has_year = true;
	if (!take_padded(c, 2, &ret->year))
		return false;
	ret->year += ret->year < 69 ? 2000 : 1900; /* as POSIX has it */
	return true;
}

static bool
take_month_name(struct cursor *c, struct fl_timeparts *ret)
{
	ret->month = take_name(c, months, 12) + 1;
	return ret->month > 0;
}

/* One directive that is not composite. */
static enum fl_time_fault
take_directive(struct cursor *c, char directive, struct pattern_state *s)
{
	struct fl_timeparts *t = s->parts;
	bool ok = false;

	switch (directive) {
	case 'Y': t->has_year = true; ok = take_padded(c, 4, &t->year); break;
	case 'y': ok = take_short_year(c, t); break;
	case 'm': ok = take_padded(c, 2, &t->month); break;
	case 'b': case 'B': case 'h': ok = take_month_name(c, t); break;
	case 'd': case 'e': ok = take_padded(c, 2, &t->day); break;
	case 'j': ok = take_padded(c, 3, &t->yearday) && t->yearday > 0; break;
	case 'a': case 'A': ok = take_name(c, weekdays, 7) >= 0; break;
	case 'H': case 'k': ok = take_padded(c, 2, &t->hour); break;
	case 'I': case 'l': ok = take_padded(c, 2, &s->hour12); break;
	case 'M': ok = take_padded(c, 2, &t->minute); break;
	case 'S': ok = take_padded(c, 2, &t->second); break;
	case 'p': ok = take_half(c, s); break;
	case 'f': case 'N': ok = take_fraction(c, t); break;
	case 's': ok = take_epoch(c, t); break;
	case 'z': case 'Z': return take_zone(c, t);
	case 'n': case 't': skip_spaces(c); ok = true; break;
	case '%': ok = take(c, '%'); break;
	default: break;
	}
	return ok ? FL_TIME_OK : FL_TIME_NO_TIME;
}

/* As far as pattern goes; composites are one level deep. */
static enum fl_time_fault
match(struct cursor *c, const char *pattern, struct pattern_state *s)
{
	for (; *pattern; pattern++) {
		enum fl_time_fault fault = FL_TIME_OK;

		if (is_space(*pattern)) {
			skip_spaces(c);
		} else if (*pattern != '%') {
			if (!take(c, *pattern))
				return FL_TIME_NO_TIME;
		} else if (composite(*++pattern)) {
			fault = match(c, composite(*pattern), s);
		} else {
			fault = take_directive(c, *pattern, s);
		}
		if (fault)
			return fault;
	}
	return FL_TIME_OK;
}

enum fl_time_fault
fl_timetext_pattern(const char *pattern, const char *p, size_t n, struct fl_timeparts *ret)
{
	struct cursor c = { p, p + n };
	struct pattern_state s = { .parts = ret, .hour12 = -1 };
	enum fl_time_fault fault;

	*ret = no_parts();
	fault = match(&c, pattern, &s);
	if (fault)
		return fault;
	if (s.hour12 >= 0) {
		if (s.hour12 < 1 || s.hour12 > 12)
			return FL_TIME_NO_CLOCK;
		ret->hour = s.hour12 % 12 + (s.pm ? 12 : 0);
	}
	return whole(&c);
}

int
fl_timetext_check_pattern(const char *pattern, bool *ret_wants_year, struct fl_err *err)
{
	static const char known[] = "YymbBhdejaAHkIlMSpfNszZFTRDnt%";
	bool year = false, date = false, epoch = false;

	for (const char *p = strchr(pattern, '%'); p; p = strchr(p + 1, '%')) {
		p++;
		if (!*p)
			return fl_fail(err, FL_EUSAGE, "time format \"%.100s\" ends in a single %%",
				       pattern);
		if (!strchr(known, *p))
			return fl_fail(err, FL_EUSAGE, "time format \"%.100s\": unknown directive "
				       "%%%c (known: %s)", pattern, *p, FL_TIME_DIRECTIVES);
		year |= strchr("YyFD", *p) != NULL;
		date |= strchr("mbBhdej", *p) != NULL;
		epoch |= *p == 's';
	}
	*ret_wants_year = date && !year && !epoch;
	return 0;
}
