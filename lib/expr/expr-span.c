/* SPDX-License-Identifier: Apache-2.0 */
/* Intervals as PostgreSQL has them: months, days and a time. */
#include <math.h>
#include <stdio.h>

#include "expr/expr-node.h"

#define MONTH_DAYS 30

struct unit {
	const char *name;
	int64_t months, days, ms; /* of one; one of them is not 0 */
};

static const struct unit units[] = {
	{ "ms", 0, 0, 1 },          { "msec", 0, 0, 1 },        { "millisecond", 0, 0, 1 },
	{ "s", 0, 0, 1000 },        { "sec", 0, 0, 1000 },      { "second", 0, 0, 1000 },
	{ "m", 0, 0, 60000 },       { "min", 0, 0, 60000 },     { "minute", 0, 0, 60000 },
	{ "h", 0, 0, 3600000 },     { "hr", 0, 0, 3600000 },    { "hour", 0, 0, 3600000 },
	{ "d", 0, 1, 0 },           { "day", 0, 1, 0 },         { "w", 0, 7, 0 },
	{ "week", 0, 7, 0 },        { "mon", 1, 0, 0 },         { "month", 1, 0, 0 },
	{ "y", 12, 0, 0 },          { "yr", 12, 0, 0 },         { "year", 12, 0, 0 },
	{ "decade", 120, 0, 0 },    { "century", 1200, 0, 0 },
};

static const struct unit *
find_unit(const char *p, size_t n)
{
	if (n > 1 && (p[n - 1] | 0x20) == 's' && !(n == 2 && (p[0] | 0x20) == 'm'))
		n--; /* the plural */
	for (size_t i = 0; i < FL_ARRAY_LEN(units); i++)
		if (strlen(units[i].name) == n && strncasecmp(units[i].name, p, n) == 0)
			return &units[i];
	return NULL;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Fractions of a month are days of 30 to the month, those of a day are time. */
static bool
add_amount(struct fl_xspan *s, double amount, const struct unit *u)
{
	double months = amount * (double)u->months, days = amount * (double)u->days;
	double ms = amount * (double)u->ms;

	days += (months - trunc(months)) * MONTH_DAYS;
	ms += (days - trunc(days)) * (double)FL_MS_PER_DAY;
	months = trunc(months) + s->months;
	days = trunc(days) + s->days;
	ms = round(ms) + (double)s->ms;
	if (!(fabs(months) <= INT32_MAX && fabs(days) <= INT32_MAX && fabs(ms) < 9e18))
		return false;
	s->months = (int32_t)months;
	s->days = (int32_t)days;
	s->ms = (int64_t)ms;
	return true;
}

/* A number at *p, with sign and fraction; false if there is none. */
static bool
take_number(const char **p, const char *end, double *ret)
{
	const char *q = *p;
	double sign = 1, v = 0, place = 0.1;
	bool any = false;

	if (q < end && (*q == '-' || *q == '+'))
		sign = *q++ == '-' ? -1 : 1;
	for (; q < end && is_digit(*q); q++, any = true)
		v = v * 10 + (*q - '0');
	if (q < end && *q == '.')
		for (q++; q < end && is_digit(*q); q++, place /= 10, any = true)
			v += (*q - '0') * place;
	*p = q;
	*ret = sign * v;
	return any;
}

/* hh:mm[:ss[.f]] at p, whose first number was read; the sign is that of hours. */
static bool
take_clock(const char **p, const char *end, bool negative, double hours, struct fl_xspan *s)
{
	double minutes, seconds = 0, total;

	(*p)++;
	if (*p >= end || !is_digit(**p) || !take_number(p, end, &minutes))
		return false;
	if (*p < end && **p == ':') {
		(*p)++;
		if (*p >= end || !is_digit(**p) || !take_number(p, end, &seconds))
			return false;
	}
	if (minutes >= 60 || seconds >= 60)
		return false;
	total = fabs(hours) * 3600000 + minutes * 60000 + round(seconds * 1000);
	return add_amount(s, negative ? -total : total, &units[0]);
}

static const char *
skip_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || (*p >= '\t' && *p <= '\r')))
		p++;
	return p;
}

bool
fl_xspan_parse(const char *p, size_t n, const char *unit, struct fl_xspan *ret)
{
	const char *end = p + n, *word;
	const struct unit *bare = unit ? find_unit(unit, strlen(unit)) : find_unit("second", 6);
	struct fl_xspan s = { 0 };
	bool any = false;

	for (p = skip_space(p, end); p < end; p = skip_space(p, end)) {
		const struct unit *u = bare;
		bool negative = *p == '-', ok;
		double amount;

		if (any && end - p == 3 && strncasecmp(p, "ago", 3) == 0) {
			struct fl_xspan zero = { 0 };

			return fl_xspan_add(&zero, &s, -1, ret);
		}
		if (!take_number(&p, end, &amount))
			return false;
		any = true;
		if (p < end && *p == ':') {
			if (!take_clock(&p, end, negative, amount, &s))
				return false;
			continue;
		}
		word = p = skip_space(p, end);
		while (p < end && ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z')))
			p++;
		if (p > word)
			u = find_unit(word, (size_t)(p - word));
		ok = u && (p > word || p >= end) && add_amount(&s, amount, u);
		if (!ok)
			return false;
	}
	*ret = s;
	return any;
}

static size_t
put_unit(char *buf, size_t at, int32_t v, const char *name)
{
	if (v == 0)
		return at;
	return at + (size_t)snprintf(buf + at, FL_X_TEXT_MAX - at, "%s%d %s%s", at ? " " : "", v,
				     name, v == 1 ? "" : "s");
}

size_t
fl_xspan_format(const struct fl_xspan *s, char buf[FL_X_TEXT_MAX])
{
	uint64_t ms = s->ms < 0 ? -(uint64_t)s->ms : (uint64_t)s->ms;
	size_t at = 0;

	at = put_unit(buf, at, s->months / 12, "year");
	at = put_unit(buf, at, s->months % 12, "mon");
	at = put_unit(buf, at, s->days, "day");
	if (at && s->ms == 0)
		return at;
	at += (size_t)snprintf(buf + at, FL_X_TEXT_MAX - at, "%s%s%02lu:%02lu:%02lu", at ? " " : "",
			       s->ms < 0 ? "-" : "", (unsigned long)(ms / 3600000),
			       (unsigned long)(ms / 60000 % 60), (unsigned long)(ms / 1000 % 60));
	if (ms % 1000) {
		at += (size_t)snprintf(buf + at, FL_X_TEXT_MAX - at, ".%03lu",
				       (unsigned long)(ms % 1000));
		while (buf[at - 1] == '0')
			at--;
	}
	return at;
}

fl_int128
fl_xspan_ms(const struct fl_xspan *s)
{
	return ((fl_int128)s->months * MONTH_DAYS + s->days) * FL_MS_PER_DAY + s->ms;
}

int
fl_xspan_compare(const struct fl_xspan *a, const struct fl_xspan *b)
{
	fl_int128 x = fl_xspan_ms(a), y = fl_xspan_ms(b);

	return (x > y) - (x < y);
}

bool
fl_xspan_scale(const struct fl_xspan *s, double by, struct fl_xspan *ret)
{
	static const struct unit month = { "month", 1, 0, 0 }, day = { "day", 0, 1, 0 };
	struct fl_xspan sum = { 0 };

	if (!add_amount(&sum, s->months * by, &month) || !add_amount(&sum, s->days * by, &day) ||
	    !add_amount(&sum, (double)s->ms * by, &units[0]))
		return false;
	*ret = sum;
	return true;
}

bool
fl_xspan_add(const struct fl_xspan *a, const struct fl_xspan *b, int sign, struct fl_xspan *ret)
{
	struct fl_xspan s;
	bool lost;

	if (sign < 0)
		lost = __builtin_sub_overflow(a->months, b->months, &s.months) ||
		       __builtin_sub_overflow(a->days, b->days, &s.days) ||
		       __builtin_sub_overflow(a->ms, b->ms, &s.ms);
	else
		lost = __builtin_add_overflow(a->months, b->months, &s.months) ||
		       __builtin_add_overflow(a->days, b->days, &s.days) ||
		       __builtin_add_overflow(a->ms, b->ms, &s.ms);
	if (!lost)
		*ret = s;
	return !lost;
}

/* Local midnight-based ms moved by whole months; the day is cut to the month's end. */
static bool
shift_months(int64_t *local, int64_t months)
{
	int64_t days = fl_floor_div(*local, FL_MS_PER_DAY), total;
	int64_t rest = fl_floor_mod(*local, FL_MS_PER_DAY);
	int32_t year, month, day, last;

	fl_civil_from_days(days, &year, &month, &day);
	total = (int64_t)year * 12 + (month - 1) + months;
	if (total / 12 > 250000000 || total / 12 < -250000000)
		return false;
	month = (int32_t)fl_floor_mod(total, 12) + 1;
	last = fl_days_in_month(fl_floor_div(total, 12), month);
	days = fl_days_from_civil(fl_floor_div(total, 12), month, day < last ? day : last);
	return !__builtin_mul_overflow(days, FL_MS_PER_DAY, local) &&
	       !__builtin_add_overflow(*local, rest, local);
}

bool
fl_xspan_shift(int64_t ms, const struct fl_xspan *s, int sign, const struct fl_zone *zone,
	       int64_t *ret)
{
	int64_t local, by;

	if (s->months || s->days) {
		local = fl_zone_utc_to_local(zone, ms);
		if (s->months && !shift_months(&local, sign * (int64_t)s->months))
			return false;
		by = sign * (int64_t)s->days * FL_MS_PER_DAY;
		if (__builtin_add_overflow(local, by, &local))
			return false;
		ms = fl_zone_local_to_utc(zone, local);
	}
	return sign < 0 ? !__builtin_sub_overflow(ms, s->ms, ret)
			: !__builtin_add_overflow(ms, s->ms, ret);
}
