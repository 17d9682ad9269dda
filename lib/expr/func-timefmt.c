/* SPDX-License-Identifier: Apache-2.0 */
#include "expr/func-time.h"

#include <stdlib.h>

static const char *const months[] = { "January", "February", "March",     "April",   "May",
				      "June",    "July",     "August",    "September", "October",
				      "November", "December" };
static const char *const days[] = { "Sunday",   "Monday", "Tuesday", "Wednesday",
				    "Thursday", "Friday", "Saturday" };

/* A moment with all that patterns ask of it. */
struct moment {
	struct fl_civil t;
	int64_t local;
	int32_t offset; /* seconds east of UTC */
	const char *zone;
};

static struct moment
take_apart(struct fl_xcall *c, int64_t ms)
{
	const struct fl_zone *zone = c->ev->env ? c->ev->env->zone : NULL;
	struct moment m = { .local = fl_zone_utc_to_local(zone, ms),
			    .offset = fl_zone_utc_offset(zone, ms),
			    .zone = fl_zone_abbreviation(zone, ms) };

	fl_civil_from_ms(m.local, &m.t);
	return m;
}

static int
hour12(const struct moment *m)
{
	return m->t.hour % 12 ? m->t.hour % 12 : 12;
}

/* ---- to_char ------------------------------------------------------------ */

enum pattern {
	P_YYYY, P_YYY, P_YY, P_Y, P_IYYY, P_IW, P_MM, P_MON, P_MONTH, P_DD, P_DDD, P_D, P_ID, P_DAY,
	P_DY, P_HH12, P_HH24, P_MI, P_SS, P_SSSS, P_MS, P_US, P_AM, P_AM_DOTS, P_Q, P_WW, P_W, P_CC,
	P_J, P_TZ, P_TZH, P_TZM, P_OF,
};

/* Longer names before those that they begin with. */
static const struct {
	const char *name;
	enum pattern p;
} patterns[] = {
	{ "YYYY", P_YYYY }, { "YYY", P_YYY },   { "YY", P_YY },     { "Y", P_Y },
	{ "IYYY", P_IYYY }, { "IW", P_IW },     { "ID", P_ID },     { "MM", P_MM },
	{ "MONTH", P_MONTH }, { "MON", P_MON }, { "MI", P_MI },     { "MS", P_MS },
	{ "DAY", P_DAY },   { "DY", P_DY },     { "DDD", P_DDD },   { "DD", P_DD },
	{ "D", P_D },       { "HH24", P_HH24 }, { "HH12", P_HH12 }, { "HH", P_HH12 },
	{ "SSSSS", P_SSSS }, { "SSSS", P_SSSS }, { "SS", P_SS },    { "US", P_US },
	{ "FF3", P_MS },    { "FF6", P_US },    { "AM", P_AM },     { "PM", P_AM },
	{ "A.M.", P_AM_DOTS }, { "P.M.", P_AM_DOTS }, { "Q", P_Q }, { "WW", P_WW },
	{ "W", P_W },       { "CC", P_CC },     { "J", P_J },       { "TZH", P_TZH },
	{ "TZM", P_TZM },   { "TZ", P_TZ },     { "OF", P_OF },
};

static size_t
find_pattern(const char *p, size_t n, enum pattern *ret)
{
	for (size_t i = 0; i < FL_ARRAY_LEN(patterns); i++) {
		size_t len = strlen(patterns[i].name);

		if (len <= n && strncasecmp(patterns[i].name, p, len) == 0) {
			*ret = patterns[i].p;
			return len;
		}
	}
	return 0;
}

/* A name in the letter case of the pattern: MONTH, Month or month. */
static void
put_name(struct fl_buf *out, const char *name, size_t n, const char *pattern, size_t pad)
{
	bool upper = pattern[0] < 'a', rest_upper = pattern[1] < 'a';

	for (size_t i = 0; i < n; i++) {
		char c = name[i];
		bool up = i == 0 ? upper : upper && rest_upper;

		fl_buf_putc(out, (char)(c < 'A' ? c : up ? c & ~0x20 : c | 0x20));
	}
	for (; n < pad; n++)
		fl_buf_putc(out, ' ');
}

static void
put_number(struct fl_buf *out, int64_t v, int width, bool fill)
{
	char digits[24];
	size_t n = sizeof digits;
	uint64_t rest = v < 0 ? -(uint64_t)v : (uint64_t)v;

	do {
		digits[--n] = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest);
	if (v < 0)
		fl_buf_putc(out, '-');
	for (int have = (int)(sizeof digits - n); fill && have < width; have++)
		fl_buf_putc(out, '0');
	fl_buf_put(out, digits + n, sizeof digits - n);
}

static void
put_named(struct fl_buf *out, const struct moment *m, enum pattern p, const char *at, bool fill)
{
	const char *month = months[m->t.month - 1], *day = days[m->t.weekday];
	const char *half = m->t.hour < 12 ? "AM" : "PM", *dots = m->t.hour < 12 ? "A.M." : "P.M.";

	switch (p) {
	case P_MONTH:
		put_name(out, month, strlen(month), at, fill ? 9 : 0);
		break;
	case P_MON:
		put_name(out, month, 3, at, 0);
		break;
	case P_DAY:
		put_name(out, day, strlen(day), at, fill ? 9 : 0);
		break;
	case P_DY:
		put_name(out, day, 3, at, 0);
		break;
	case P_AM:
		put_name(out, half, 2, at[0] < 'a' ? "AA" : "aa", 0);
		break;
	case P_AM_DOTS:
		put_name(out, dots, 4, at[0] < 'a' ? "AA" : "aa", 0);
		break;
	default:
		put_name(out, m->zone, strlen(m->zone), at, 0);
		break;
	}
}

static bool
is_named(enum pattern p)
{
	return p == P_MONTH || p == P_MON || p == P_DAY || p == P_DY || p == P_AM ||
	       p == P_AM_DOTS || p == P_TZ;
}

/* What number a pattern stands for, and how many digits it has. */
static int64_t
pattern_number(const struct moment *m, enum pattern p, int *width)
{
	static const int widths[] = {
		[P_YYYY] = 4, [P_YYY] = 3,  [P_YY] = 2,   [P_IYYY] = 4, [P_IW] = 2,   [P_MM] = 2,
		[P_DD] = 2,   [P_DDD] = 3,  [P_HH12] = 2, [P_HH24] = 2, [P_MI] = 2,   [P_SS] = 2,
		[P_MS] = 3,   [P_US] = 6,   [P_WW] = 2,   [P_CC] = 2,   [P_TZM] = 2,  [P_OF] = 0,
	};
	int64_t day = fl_floor_div(m->local, FL_MS_PER_DAY), week;
	int64_t iso = fl_x_iso_year(day, &m->t, &week);

	*width = widths[p] ? widths[p] : 1;
	switch (p) {
	case P_YYYY:
		return m->t.year;
	case P_YYY:
		return m->t.year % 1000;
	case P_YY:
		return m->t.year % 100;
	case P_Y:
		return m->t.year % 10;
	case P_IYYY:
		return iso;
	case P_IW:
		return week;
	case P_MM:
		return m->t.month;
	case P_DD:
		return m->t.day;
	case P_DDD:
		return m->t.yearday;
	case P_D:
		return m->t.weekday + 1;
	case P_ID:
		return m->t.weekday ? m->t.weekday : 7;
	case P_HH12:
		return hour12(m);
	case P_HH24:
		return m->t.hour;
	case P_MI:
		return m->t.minute;
	case P_SS:
		return m->t.second;
	case P_SSSS:
		return (m->t.hour * 60 + m->t.minute) * 60 + m->t.second;
	case P_MS:
		return m->t.ms;
	case P_US:
		return m->t.ms * 1000;
	case P_Q:
		return (m->t.month + 2) / 3;
	case P_WW:
		return (m->t.yearday - 1) / 7 + 1;
	case P_W:
		return (m->t.day - 1) / 7 + 1;
	case P_CC:
		return (m->t.year + 99) / 100;
	case P_TZM:
		return abs(m->offset) / 60 % 60;
	default:
		return day + 2440588; /* the Julian day */
	}
}

static void
put_pattern(struct fl_buf *out, const struct moment *m, enum pattern p, const char *at, bool fill)
{
	int hours = abs(m->offset) / 3600, minutes = abs(m->offset) / 60 % 60, width;
	int64_t v;

	if (is_named(p)) {
		put_named(out, m, p, at, fill);
		return;
	}
	if (p == P_TZH || p == P_OF) {
		fl_buf_printf(out, "%c%02d", m->offset < 0 ? '-' : '+', hours);
		if (p == P_OF && minutes)
			fl_buf_printf(out, ":%02d", minutes);
		return;
	}
	v = pattern_number(m, p, &width);
	put_number(out, v, width, fill || p == P_MS || p == P_US);
}

/* "1st", "2nd": the suffix of what was written last. */
static void
put_ordinal(struct fl_buf *out, bool upper)
{
	const char *suffix = "th";
	char last = out->len ? out->data[out->len - 1] : '0';
	bool teen = out->len > 1 && out->data[out->len - 2] == '1';

	if (!teen)
		suffix = last == '1' ? "st" : last == '2' ? "nd" : last == '3' ? "rd" : "th";
	fl_buf_putc(out, (char)(upper ? suffix[0] & ~0x20 : suffix[0]));
	fl_buf_putc(out, (char)(upper ? suffix[1] & ~0x20 : suffix[1]));
}

/* A "quoted" piece of a pattern at i; returns behind it. */
static size_t
put_quoted(struct fl_buf *out, const struct fl_xval *f, size_t i)
{
	for (i++; i < f->n && f->p[i] != '"'; i++)
		fl_buf_putc(out, f->p[i]);
	return i + 1;
}

void
fl_x_put_char(struct fl_xcall *c, int64_t ms, const struct fl_xval *f)
{
	struct moment m = take_apart(c, ms);
	bool fill = true;

	for (size_t i = 0; i < f->n;) {
		enum pattern p;
		size_t len;

		if (f->p[i] == '"') {
			i = put_quoted(c->text, f, i);
			continue;
		}
		if (f->n - i >= 2 && strncasecmp(f->p + i, "FM", 2) == 0) {
			fill = false;
			i += 2;
			continue;
		}
		if (f->n - i >= 2 &&
		    strncasecmp(f->p + i, "TM", 2) == 0) { /* there is one language */
			fill = false;
			i += 2;
			continue;
		}
		len = find_pattern(f->p + i, f->n - i, &p);
		if (len == 0) {
			fl_buf_putc(c->text, f->p[i++]);
			continue;
		}
		put_pattern(c->text, &m, p, f->p + i, fill);
		i += len;
		if (f->n - i >= 2 && strncasecmp(f->p + i, "th", 2) == 0 && !is_named(p)) {
			put_ordinal(c->text, f->p[i] == 'T');
			i += 2;
		}
		fill = true;
	}
}

/* Whether a pattern may be in a format: at any place, also where it is read otherwise. */
static bool
mentions(const struct fl_xval *f, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i + len <= f->n; i++)
		if (strncasecmp(f->p + i, name, len) == 0)
			return true;
	return false;
}

int64_t
fl_x_char_period(const struct fl_xval *f)
{
	if (mentions(f, "MS") || mentions(f, "US") || mentions(f, "FF"))
		return 1;
	if (mentions(f, "SS"))
		return FL_MS_PER_SECOND;
	if (mentions(f, "MI") || mentions(f, "HH") || mentions(f, "AM") || mentions(f, "PM") ||
	    mentions(f, "M."))
		return FL_MS_PER_MINUTE;
	return FL_MS_PER_DAY;
}

/* ---- Java's patterns ---------------------------------------------------- */

int64_t
fl_x_java_period(const struct fl_xval *f)
{
	int64_t period = FL_MS_PER_DAY, own;

	for (size_t i = 0; i < f->n; i++) {
		char letter = f->p[i];

		own = letter == 'S'                        ? 1
		      : letter == 's'                      ? FL_MS_PER_SECOND
		      : letter && strchr("HhKkma", letter) ? FL_MS_PER_MINUTE
							   : FL_MS_PER_DAY;
		period = own < period ? own : period;
	}
	return period;
}

static void
put_java_zone(struct fl_buf *out, const struct moment *m, char letter, size_t n)
{
	int hours = abs(m->offset) / 3600, minutes = abs(m->offset) / 60 % 60;

	if (letter == 'z') {
		fl_buf_puts(out, m->zone);
		return;
	}
	if (letter == 'X' && m->offset == 0) {
		fl_buf_putc(out, 'Z');
		return;
	}
	fl_buf_printf(out, "%c%02d", m->offset < 0 ? '-' : '+', hours);
	if (letter == 'X' && n == 1 && minutes == 0)
		return;
	fl_buf_printf(out, letter != 'Z' && n >= 3 ? ":%02d" : "%02d", minutes);
}

static void
put_java_text(struct fl_buf *out, const char *name, size_t n)
{
	fl_buf_put(out, name, n >= 4 ? strlen(name) : 3);
}

/* n letters of one kind */
static void
put_java_letter(struct fl_buf *out, const struct moment *m, char letter, size_t n)
{
	int width = n > 9 ? 9 : (int)n;
	int64_t week;

	switch (letter) {
	case 'y':
	case 'u':
		put_number(out, n == 2 ? m->t.year % 100 : m->t.year, width, true);
		break;
	case 'M':
	case 'L':
		if (n >= 3)
			put_java_text(out, months[m->t.month - 1], n);
		else
			put_number(out, m->t.month, width, true);
		break;
	case 'E':
		put_java_text(out, days[m->t.weekday], n);
		break;
	case 'a':
		fl_buf_puts(out, m->t.hour < 12 ? "AM" : "PM");
		break;
	case 'S':
		for (int i = 0; i < width; i++)
			fl_buf_putc(out, (char)('0' + (i == 0   ? m->t.ms / 100
						       : i == 1 ? m->t.ms / 10 % 10
						       : i == 2 ? m->t.ms % 10
								: 0)));
		break;
	case 'w':
		(void)fl_x_iso_year(fl_floor_div(m->local, FL_MS_PER_DAY), &m->t, &week);
		put_number(out, week, width, true);
		break;
	case 'z':
	case 'Z':
	case 'X':
	case 'x':
		put_java_zone(out, m, letter, n);
		break;
	default:
		put_number(out,
			   letter == 'd'   ? m->t.day
			   : letter == 'D' ? m->t.yearday
			   : letter == 'H' ? m->t.hour
			   : letter == 'k' ? (m->t.hour ? m->t.hour : 24)
			   : letter == 'K' ? m->t.hour % 12
			   : letter == 'h' ? hour12(m)
			   : letter == 'm' ? m->t.minute
			   : letter == 's' ? m->t.second
			   : letter == 'Q' ? (m->t.month + 2) / 3
					   : (m->t.weekday + 6) % 7 + 1,
			   width, true);
		break;
	}
}

void
fl_x_put_java(struct fl_xcall *c, int64_t ms, const struct fl_xval *f)
{
	static const char letters[] = "yuMLEaSwzZXxdDHkKhmsQe";
	struct moment m = take_apart(c, ms);

	for (size_t i = 0; i < f->n;) {
		size_t n = 1;

		if (f->p[i] == '\'') { /* 'text', and '' for a quote */
			if (i + 1 < f->n && f->p[i + 1] == '\'') {
				fl_buf_putc(c->text, '\'');
				i += 2;
				continue;
			}
			for (i++; i < f->n && f->p[i] != '\''; i++)
				fl_buf_putc(c->text, f->p[i]);
			i++;
			continue;
		}
		if (!f->p[i] || !strchr(letters, f->p[i])) {
			fl_buf_putc(c->text, f->p[i++]);
			continue;
		}
		while (i + n < f->n && f->p[i + n] == f->p[i])
			n++;
		put_java_letter(c->text, &m, f->p[i], n);
		i += n;
	}
}

/* ---- to_timestamp ------------------------------------------------------- */

struct reader {
	const char *p;
	const char *end;
	struct fl_civil t;
	bool pm, half_day;
	int yearday;
};

static bool
read_number(struct reader *r, int most, int *ret)
{
	int v = 0, n = 0;

	while (r->p < r->end && *r->p == ' ')
		r->p++;
	for (; n < most && r->p < r->end && *r->p >= '0' && *r->p <= '9'; n++)
		v = v * 10 + (*r->p++ - '0');
	*ret = v;
	return n > 0;
}

/* A fraction of a second: its first three digits count. */
static bool
read_fraction(struct reader *r)
{
	int v = 0, n = 0;

	for (; r->p < r->end && *r->p >= '0' && *r->p <= '9' && n < 9; n++, r->p++)
		if (n < 3)
			v = v * 10 + (*r->p - '0');
	for (int i = n; i < 3; i++)
		v *= 10;
	r->t.ms = v;
	return n > 0;
}

/* One of count names, whole or its first three letters; returns its index or -1. */
static int
read_name(struct reader *r, const char *const *names, int count)
{
	for (int i = 0; i < count; i++) {
		size_t whole = strlen(names[i]), left = (size_t)(r->end - r->p);

		for (size_t n = whole; n >= 3; n = n > 3 ? 3 : 0) {
			if (left >= n && strncasecmp(names[i], r->p, n) == 0) {
				r->p += n;
				return i;
			}
		}
	}
	return -1;
}

static bool
read_half(struct reader *r)
{
	bool dots = r->end - r->p >= 4 && r->p[1] == '.';

	if (r->end - r->p < 2)
		return false;
	r->pm = (*r->p | 0x20) == 'p';
	r->half_day = true;
	r->p += dots ? 4 : 2;
	return true;
}

static bool
read_pattern(struct reader *r, enum pattern p)
{
	int v, i;

	switch (p) {
	case P_YYYY:
	case P_IYYY:
		return read_number(r, 4, &r->t.year);
	case P_YY:
		if (!read_number(r, 2, &v))
			return false;
		r->t.year = v < 70 ? 2000 + v : 1900 + v;
		return true;
	case P_MM:
		return read_number(r, 2, &r->t.month);
	case P_MON:
	case P_MONTH:
		i = read_name(r, months, 12);
		r->t.month = i + 1;
		return i >= 0;
	case P_DAY:
	case P_DY:
		return read_name(r, days, 7) >= 0;
	case P_DD:
		return read_number(r, 2, &r->t.day);
	case P_DDD:
		return read_number(r, 3, &r->yearday);
	case P_HH12:
	case P_HH24:
		return read_number(r, 2, &r->t.hour);
	case P_MI:
		return read_number(r, 2, &r->t.minute);
	case P_SS:
		return read_number(r, 2, &r->t.second);
	case P_MS:
	case P_US:
		return read_fraction(r);
	case P_AM:
	case P_AM_DOTS:
		return read_half(r);
	default:
		return false;
	}
}

/*
 * A format with both MM and mm is one of Java's (yyyy-MM-dd HH:mm:ss, as Flink's
 * to_timestamp has it): for PostgreSQL, which ignores case, it would contradict itself.
 */
static bool
is_java(const struct fl_xval *f)
{
	bool month = false, minute = false;

	for (size_t i = 0; i + 1 < f->n; i++) {
		month |= f->p[i] == 'M' && f->p[i + 1] == 'M';
		minute |= f->p[i] == 'm' && f->p[i + 1] == 'm';
	}
	return month && minute;
}

/* What differs in Java's patterns; len may change. */
static enum pattern
java_pattern(enum pattern p, const char *at, size_t left, size_t *len)
{
	if (p == P_MM && *at == 'm')
		return P_MI;
	if (p == P_HH12 && *at == 'H')
		return P_HH24;
	if (p == P_SS && *at == 'S') {
		while (*len < left && at[*len] == 'S')
			(*len)++;
		return P_MS;
	}
	return p;
}

static bool
read_all(struct reader *r, const struct fl_xval *f)
{
	bool java = is_java(f);

	for (size_t i = 0; i < f->n;) {
		enum pattern p;
		size_t len;

		if (f->n - i >= 2 && strncasecmp(f->p + i, "FM", 2) == 0) {
			i += 2;
			continue;
		}
		len = find_pattern(f->p + i, f->n - i, &p);
		if (len > 0) {
			if (java)
				p = java_pattern(p, f->p + i, f->n - i, &len);
			if (!read_pattern(r, p))
				return false;
			i += len;
			continue;
		}
		if (f->p[i] != '"' && r->p < r->end)
			r->p++; /* as PostgreSQL: any character stands for any separator */
		i++;
	}
	return true;
}

int
fl_x_from_char(struct fl_xcall *c, const struct fl_xval *text, const struct fl_xval *f,
	       int64_t *ret_local_ms)
{
	struct reader r = { .p = text->p, .end = text->p + text->n,
			    .t = { .year = 1, .month = 1, .day = 1 } };
	char shown[FL_X_SHOW_MAX];
	bool ok = read_all(&r, f);

	if (ok && r.half_day)
		ok = r.t.hour >= 1 && r.t.hour <= 12;
	if (ok && r.half_day)
		r.t.hour = r.t.hour % 12 + (r.pm ? 12 : 0);
	if (ok && fl_ms_from_civil(&r.t, ret_local_ms) == 0) {
		*ret_local_ms += r.yearday ? (r.yearday - 1) * FL_MS_PER_DAY : 0;
		return 0;
	}
	return fl_x_bad(c, "not a time of the format %.*s: %s", (int)(f->n < 40 ? f->n : 40), f->p,
			fl_x_show(text, c->ev->env, shown));
}
