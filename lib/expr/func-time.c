/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions of times. Fields are those of civil time in the expression's zone
 * (--tz, or UTC).
 */
#include <stdlib.h>

#include "expr/func-time.h"

enum field {
	FIELD_NONE, FIELD_US, FIELD_MS, FIELD_SECOND, FIELD_MINUTE, FIELD_HOUR, FIELD_DAY,
	FIELD_WEEK, FIELD_MONTH, FIELD_QUARTER, FIELD_YEAR, FIELD_DECADE, FIELD_CENTURY,
	FIELD_MILLENNIUM, FIELD_DOW, FIELD_ISODOW, FIELD_DOY, FIELD_ISOYEAR, FIELD_EPOCH,
};

static const struct {
	const char *name;
	enum field field;
} fields[] = {
	{ "microsecond", FIELD_US }, { "us", FIELD_US },          { "millisecond", FIELD_MS },
	{ "ms", FIELD_MS },          { "second", FIELD_SECOND },  { "sec", FIELD_SECOND },
	{ "minute", FIELD_MINUTE },  { "min", FIELD_MINUTE },     { "hour", FIELD_HOUR },
	{ "day", FIELD_DAY },        { "week", FIELD_WEEK },      { "month", FIELD_MONTH },
	{ "mon", FIELD_MONTH },      { "quarter", FIELD_QUARTER }, { "year", FIELD_YEAR },
	{ "decade", FIELD_DECADE },  { "century", FIELD_CENTURY }, { "centurie", FIELD_CENTURY },
	{ "millennium", FIELD_MILLENNIUM }, { "dow", FIELD_DOW }, { "isodow", FIELD_ISODOW },
	{ "doy", FIELD_DOY },        { "isoyear", FIELD_ISOYEAR }, { "epoch", FIELD_EPOCH },
};

static enum field
find_field(const struct fl_xval *v)
{
	size_t n = v->n;

	for (size_t i = 0; i < FL_ARRAY_LEN(fields); i++)
		if (strlen(fields[i].name) == n && strncasecmp(fields[i].name, v->p, n) == 0)
			return fields[i].field;
	if (n > 2 && (v->p[n - 1] | 0x20) == 's')
		n--; /* the plural */
	for (size_t i = 0; n < v->n && i < FL_ARRAY_LEN(fields); i++)
		if (strlen(fields[i].name) == n && strncasecmp(fields[i].name, v->p, n) == 0)
			return fields[i].field;
	return FIELD_NONE;
}

static int
bad_field(struct fl_xcall *c, const struct fl_xval *v)
{
	char shown[FL_X_SHOW_MAX];

	return fl_x_bad(c, "no field of a time: %s", fl_x_show(v, c->ev->env, shown));
}

static const struct fl_zone *
zone_of(const struct fl_xcall *c)
{
	return c->ev->env ? c->ev->env->zone : NULL;
}

static int64_t
to_local(const struct fl_xcall *c, int64_t ms)
{
	return fl_zone_utc_to_local(zone_of(c), ms);
}

/* ---- fields ------------------------------------------------------------- */

/* Monday of the week in which the year's first Thursday lies. */
static int64_t
iso_year_start(int64_t year)
{
	int64_t jan4 = fl_days_from_civil(year, 1, 4);

	return jan4 - fl_floor_mod(jan4 + 3, 7); /* 1970-01-01 was a Thursday */
}

int64_t
fl_x_iso_year(int64_t days, const struct fl_civil *civil, int64_t *ret_week)
{
	int64_t year = civil->year + (days >= iso_year_start((int64_t)civil->year + 1));

	if (days < iso_year_start(year))
		year--;
	*ret_week = (days - iso_year_start(year)) / 7 + 1;
	return year;
}

/* A number of thousandths, without places where it is whole. */
static struct fl_xval
thousandths(fl_int128 v)
{
	struct fl_dec d = v % 1000 ? fl_dec_make(v, 3) : fl_dec_make(v / 1000, 0);

	return fl_x_dec(&d);
}

static int64_t
field_of(enum field f, int64_t local, const struct fl_civil *t)
{
	int64_t days = fl_floor_div(local, FL_MS_PER_DAY), week, year = t->year;

	switch (f) {
	case FIELD_US:
		return (t->second * 1000 + t->ms) * INT64_C(1000);
	case FIELD_MS:
		return t->second * 1000 + t->ms;
	case FIELD_MINUTE:
		return t->minute;
	case FIELD_HOUR:
		return t->hour;
	case FIELD_DAY:
		return t->day;
	case FIELD_WEEK:
		(void)fl_x_iso_year(days, t, &week);
		return week;
	case FIELD_MONTH:
		return t->month;
	case FIELD_QUARTER:
		return (t->month + 2) / 3;
	case FIELD_YEAR:
		return year;
	case FIELD_DECADE:
		return fl_floor_div(year, 10);
	case FIELD_CENTURY:
		return year > 0 ? (year + 99) / 100 : -((99 - (year - 1)) / 100);
	case FIELD_MILLENNIUM:
		return year > 0 ? (year + 999) / 1000 : -((999 - (year - 1)) / 1000);
	case FIELD_DOW:
		return t->weekday;
	case FIELD_ISODOW:
		return t->weekday ? t->weekday : 7;
	case FIELD_DOY:
		return t->yearday;
	default:
		return fl_x_iso_year(days, t, &week);
	}
}

static int
extract_span(struct fl_xcall *c, enum field f, const struct fl_xspan *s, struct fl_xval *ret)
{
	int64_t years = s->months / 12;

	switch (f) {
	case FIELD_EPOCH:
		/* PostgreSQL's: a year has 365.25 days */
		*ret = thousandths((fl_int128)years * 31557600000 +
				   (fl_int128)(s->months % 12) * 30 * FL_MS_PER_DAY +
				   (fl_int128)s->days * FL_MS_PER_DAY + s->ms);
		return 0;
	case FIELD_US:
		*ret = fl_x_int(s->ms % 60000 * 1000);
		return 0;
	case FIELD_MS:
		*ret = fl_x_int(s->ms % 60000);
		return 0;
	case FIELD_SECOND:
		*ret = thousandths(s->ms % 60000);
		return 0;
	case FIELD_MINUTE:
		*ret = fl_x_int(s->ms / 60000 % 60);
		return 0;
	case FIELD_HOUR:
		*ret = fl_x_int(s->ms / 3600000);
		return 0;
	case FIELD_DAY:
		*ret = fl_x_int(s->days);
		return 0;
	case FIELD_MONTH:
		*ret = fl_x_int(s->months % 12);
		return 0;
	case FIELD_QUARTER:
		*ret = fl_x_int(s->months % 12 / 3 + 1);
		return 0;
	case FIELD_YEAR:
		*ret = fl_x_int(years);
		return 0;
	default:
		return fl_x_bad(c, "an interval has no such field");
	}
}

static int
extract(struct fl_xcall *c, enum field f, const struct fl_xval *v, struct fl_xval *ret)
{
	struct fl_civil civil;
	struct fl_xval when = *v;
	int64_t local;

	if (v->type == FL_X_SPAN)
		return extract_span(c, f, &v->span, ret);
	if (fl_x_coerce(c, 's', &when, NULL) < 0)
		return -1;
	local = to_local(c, when.i);
	fl_civil_from_ms(local, &civil);
	if (f == FIELD_EPOCH)
		*ret = thousandths(when.i);
	else if (f == FIELD_SECOND)
		*ret = thousandths(civil.second * INT64_C(1000) + civil.ms);
	else
		*ret = fl_x_int(field_of(f, local, &civil));
	return 0;
}

static int
f_extract(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	enum field f = find_field(&arg[0]);

	(void)n;
	return f == FIELD_NONE ? bad_field(c, &arg[0]) : extract(c, f, &arg[1], ret);
}

/* hour(ts) and the like: the field is the code */
static int
f_field(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	(void)n;
	return extract(c, (enum field)c->node->func->code, &arg[0], ret);
}

/* Flink's: 1 is Sunday */
static int
f_dayofweek(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	int rc = extract(c, FIELD_DOW, &arg[0], ret);

	(void)n;
	if (rc == 0)
		ret->i++;
	return rc;
}

/* ---- cutting off -------------------------------------------------------- */

/* A zone by name, kept in the node while the name stays the same. */
struct zone_cache {
	char *name;
	struct fl_zone *zone;
};

static void
free_zone(void *p)
{
	struct zone_cache *z = p;

	fl_zone_free(z->zone);
	free(z->name);
	free(z);
}

static int
open_zone(struct fl_xcall *c, const struct fl_xval *name, const struct fl_zone **ret)
{
	struct fl_xnode *x = c->node;
	struct zone_cache *z;
	struct fl_err err = { 0 };

	if (!x->priv) {
		x->priv = fl_xcalloc(1, sizeof *z);
		x->priv_free = free_zone;
	}
	z = x->priv;
	if (!z->name || strlen(z->name) != name->n || memcmp(z->name, name->p, name->n) != 0) {
		fl_zone_free(z->zone);
		free(z->name);
		z->zone = NULL;
		z->name = fl_xstrndup(name->p, name->n);
		if (memchr(name->p, '\0', name->n) || !(z->zone = fl_zone_open(z->name, &err))) {
			free(z->name);
			z->name = NULL;
			return fl_x_bad(c, "%s", err.code ? err.msg : "no time zone");
		}
	}
	*ret = z->zone;
	return 0;
}

/* The first day of the decade, century or millennium of a year. */
static int64_t
era_start(enum field f, int64_t year)
{
	int64_t size = f == FIELD_DECADE ? 10 : f == FIELD_CENTURY ? 100 : 1000;

	return f == FIELD_DECADE ? fl_floor_div(year, size) * size
				 : fl_floor_div(year - 1, size) * size + 1;
}

static bool
truncate_local(enum field f, int64_t *local)
{
	static const int64_t units[] = { [FIELD_US] = 1,
					 [FIELD_MS] = 1,
					 [FIELD_SECOND] = FL_MS_PER_SECOND,
					 [FIELD_MINUTE] = FL_MS_PER_MINUTE,
					 [FIELD_HOUR] = FL_MS_PER_HOUR,
					 [FIELD_DAY] = FL_MS_PER_DAY };
	int64_t days = fl_floor_div(*local, FL_MS_PER_DAY);
	struct fl_civil t;

	fl_civil_from_ms(*local, &t);
	switch (f) {
	case FIELD_WEEK:
		days -= t.weekday ? t.weekday - 1 : 6;
		break;
	case FIELD_MONTH:
		days = fl_days_from_civil(t.year, t.month, 1);
		break;
	case FIELD_QUARTER:
		days = fl_days_from_civil(t.year, (t.month - 1) / 3 * 3 + 1, 1);
		break;
	case FIELD_YEAR:
		days = fl_days_from_civil(t.year, 1, 1);
		break;
	case FIELD_DECADE:
	case FIELD_CENTURY:
	case FIELD_MILLENNIUM:
		days = fl_days_from_civil(era_start(f, t.year), 1, 1);
		break;
	default:
		if (f == FIELD_NONE || f > FIELD_DAY)
			return false;
		return !__builtin_mul_overflow(fl_floor_div(*local, units[f]), units[f], local);
	}
	return !__builtin_mul_overflow(days, FL_MS_PER_DAY, local);
}

/* field, time [, zone] */
static int
f_date_trunc(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	const struct fl_zone *zone = zone_of(c);
	int64_t local;

	if (n > 2 && open_zone(c, &arg[2], &zone) < 0)
		return -1;
	local = fl_zone_utc_to_local(zone, arg[1].i);
	if (!truncate_local(find_field(&arg[0]), &local))
		return bad_field(c, &arg[0]);
	*ret = fl_x_time(fl_zone_local_to_utc(zone, local));
	return 0;
}

/* stride, time [, origin] */
static int
f_date_bin(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	const struct fl_xspan *s = &arg[0].span;
	int64_t origin = n > 2 ? arg[2].i : 0, since, start;
	fl_int128 stride = fl_xspan_ms(s);

	if (s->months || stride <= 0 || stride > INT64_MAX)
		return fl_x_bad(c, "date_bin: the stride must be positive and have no months");
	if (__builtin_sub_overflow(arg[1].i, origin, &since) ||
	    __builtin_mul_overflow(fl_floor_div(since, (int64_t)stride), (int64_t)stride, &start) ||
	    __builtin_add_overflow(start, origin, &start))
		return fl_x_bad(c, "date_bin: time out of range");
	*ret = fl_x_time(start);
	return 0;
}

/*
 * AT TIME ZONE. A moment becomes the civil time of that zone (a time whose
 * fields, in the expression's zone, are those shown there); a civil time is
 * read as one of that zone and becomes a moment.
 */
static int
f_timezone(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	const struct fl_zone *zone;

	(void)n;
	if (open_zone(c, &arg[0], &zone) < 0)
		return -1;
	if (c->node->local)
		*ret = fl_x_time(fl_zone_local_to_utc(zone_of(c),
						      fl_zone_utc_to_local(zone, arg[1].i)));
	else
		*ret = fl_x_time(fl_zone_local_to_utc(zone, to_local(c, arg[1].i)));
	return 0;
}

/* ---- making times ------------------------------------------------------- */

static int
f_now(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	int64_t now = c->ev->env ? c->ev->env->now_ms : 0;

	(void)arg;
	(void)n;
	*ret = fl_x_time(now);
	if (c->node->func->code) { /* current_date */
		ret->type = FL_X_DATE;
		ret->i = fl_floor_div(to_local(c, now), FL_MS_PER_DAY);
	}
	return 0;
}

static int
from_epoch(struct fl_xcall *c, const struct fl_xval *number, int64_t per_second,
	   struct fl_xval *ret)
{
	struct fl_dec d = fl_x_to_dec(number), unit = fl_dec_from_int(1000 / per_second), whole;
	char shown[FL_X_SHOW_MAX];
	int64_t ms;

	if (fl_dec_mul(&d, &unit, &d) < 0 || fl_dec_round(&d, 0, &whole) < 0)
		return fl_x_bad(c, "time out of range");
	if (whole.scale == FL_DEC_DOUBLE) {
		double f = fl_dec_to_double(&whole);

		if (!(f > -9e18 && f < 9e18))
			return fl_x_bad(c, "time out of range: %s",
					fl_x_show(number, c->ev->env, shown));
		whole = fl_dec_from_int((int64_t)f);
	}
	if (!fl_dec_is_int64(&whole, &ms))
		return fl_x_bad(c, "time out of range: %s", fl_x_show(number, c->ev->env, shown));
	*ret = fl_x_time(ms);
	return 0;
}

/* number, or text [, format]; code 1: a date */
static int
f_to_timestamp(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	struct fl_xval number, when = arg[0];
	int64_t local;

	if (n > 1) {
		char buf[FL_X_TEXT_MAX];

		if (fl_x_coerce(c, 't', &when, buf) < 0 ||
		    fl_x_from_char(c, &when, &arg[1], &local) < 0)
			return -1;
		*ret = fl_x_time(fl_zone_local_to_utc(zone_of(c), local));
	} else if (fl_x_number(&arg[0], &number) && !c->node->func->code) {
		return from_epoch(c, &number, 1, ret);
	} else if (fl_x_coerce(c, 's', &when, NULL) < 0) {
		return -1;
	} else {
		*ret = when;
		local = to_local(c, when.i);
	}
	if (c->node->func->code)
		*ret = (struct fl_xval){ .type = FL_X_DATE,
					 .i = fl_floor_div(local, FL_MS_PER_DAY) };
	return 0;
}

/* Flink's to_timestamp_ltz(number, precision): seconds (0) or milliseconds (3) */
static int
f_to_timestamp_ltz(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	(void)n;
	if (arg[1].i != 0 && arg[1].i != 3)
		return fl_x_bad(c, "to_timestamp_ltz: the precision is 0 or 3");
	return from_epoch(c, &arg[0], arg[1].i ? 1000 : 1, ret);
}

/* code 0: milliseconds, 1: seconds */
static int
f_epoch(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	int64_t ms = n ? arg[0].i : c->ev->env ? c->ev->env->now_ms : 0;

	*ret = fl_x_int(c->node->func->code ? fl_floor_div(ms, 1000) : ms);
	return 0;
}

/* year, month, day [, hour, minute, second] */
static int
f_make(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	struct fl_civil t = { 0 };
	int32_t *const parts[] = { &t.year, &t.month, &t.day, &t.hour, &t.minute };
	struct fl_xval second;
	int64_t local;

	for (uint32_t i = 0; i < n && i < FL_ARRAY_LEN(parts); i++) {
		if (arg[i].i < -100000000 || arg[i].i > 100000000)
			return fl_x_bad(c, "no such date or time");
		*parts[i] = (int32_t)arg[i].i;
	}
	if (n > 5) {
		if (from_epoch(c, &arg[5], 1, &second) < 0)
			return -1;
		if (second.i < 0 || second.i >= 60000)
			return fl_x_bad(c, "no such date or time");
		t.second = (int32_t)(second.i / 1000);
		t.ms = (int32_t)(second.i % 1000);
	}
	if (fl_ms_from_civil(&t, &local) < 0)
		return fl_x_bad(c, "no such date or time");
	*ret = fl_x_time(fl_zone_local_to_utc(zone_of(c), local));
	if (c->node->func->code)
		*ret = (struct fl_xval){ .type = FL_X_DATE,
					 .i = fl_floor_div(local, FL_MS_PER_DAY) };
	return 0;
}

/* ---- to text ------------------------------------------------------------ */

/* The formats of numbers ('999.99') are made of digits and signs. */
static bool
has_letter(const struct fl_xval *format)
{
	for (size_t i = 0; i < format->n; i++)
		if ((format->p[i] | 0x20) >= 'a' && (format->p[i] | 0x20) <= 'z')
			return true;
	return false;
}

/*
 * The text made last, and for which times it is right: records that follow each
 * other mostly have the same minute, or day.
 */
struct format_cache {
	int64_t period_ms; /* 1: nothing is gained */
	int64_t period;    /* which one: counted from the epoch */
	struct fl_buf text; /* empty: none yet */
};

static void
free_format_cache(void *p)
{
	struct format_cache *f = p;

	fl_buf_release(&f->text);
	free(f);
}

/* The cache of a call whose format is a constant; else NULL. */
static struct format_cache *
format_cache(struct fl_xcall *c, const struct fl_xval *format, bool java)
{
	struct fl_xnode *x = c->node;
	struct format_cache *f = x->priv;

	if (f)
		return f->period_ms > 1 ? f : NULL;
	if (x->argc > 1 && x->arg[1]->op != FL_XO_CONST)
		return NULL;
	f = fl_xcalloc(1, sizeof *f);
	f->period_ms = java ? fl_x_java_period(format) : fl_x_char_period(format);
	/* offsets of zones are whole seconds, but a day or minute may begin at any */
	if (zone_of(c) && f->period_ms > FL_MS_PER_SECOND)
		f->period_ms = FL_MS_PER_SECOND;
	x->priv = f;
	x->priv_free = free_format_cache;
	return f->period_ms > 1 ? f : NULL;
}

static void
put_format(struct fl_xcall *c, int64_t ms, const struct fl_xval *format, bool java)
{
	if (java)
		fl_x_put_java(c, ms, format);
	else
		fl_x_put_char(c, ms, format);
}

/* code 0: PostgreSQL's to_char, 1: Java's patterns */
static int
f_format(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	static const char standard[] = "yyyy-MM-dd HH:mm:ss";
	struct fl_xval when = arg[0], java = fl_x_text(standard, sizeof standard - 1);
	const struct fl_xval *format = n > 1 ? &arg[1] : &java;
	struct format_cache *last;
	bool is_java = c->node->func->code;
	int64_t period;

	if (!is_java && arg[1].n && !has_letter(&arg[1]))
		return fl_x_bad(c, "to_char is for times (round(x, n) sets a number's places)");
	if (fl_x_coerce(c, 's', &when, NULL) < 0)
		return -1;
	last = format_cache(c, format, is_java);
	if (!last) {
		put_format(c, when.i, format, is_java);
		*ret = fl_x_built(c);
		return 0;
	}
	period = fl_floor_div(when.i, last->period_ms);
	if (last->text.len == 0 || period != last->period) {
		put_format(c, when.i, format, is_java);
		fl_buf_clear(&last->text);
		fl_buf_put(&last->text, c->text->data + c->start, c->text->len - c->start);
		last->period = period;
	}
	*ret = fl_x_text(last->text.data, last->text.len);
	return 0;
}

/* Flink's from_unixtime(seconds [, format]) */
static int
f_from_unixtime(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, struct fl_xval *ret)
{
	static const char standard[] = "yyyy-MM-dd HH:mm:ss";
	struct fl_xval java = fl_x_text(standard, sizeof standard - 1), when;

	if (from_epoch(c, &arg[0], 1, &when) < 0)
		return -1;
	fl_x_put_java(c, when.i, n > 1 ? &arg[1] : &java);
	*ret = fl_x_built(c);
	return 0;
}

#define T FL_X_TEXT
#define I FL_X_INT
#define TIME FL_X_TIME
const struct fl_xfunc fl_x_time_funcs[] = {
	{ "extract", "ta", FL_X_DEC, FL_XF_CHECK, 0, f_extract, "field FROM time" },
	{ "date_part", "ta", FL_X_DEC, FL_XF_CHECK, 0, f_extract, "field, time" },
	{ "year", "a", I, 0, FIELD_YEAR, f_field, "time" },
	{ "quarter", "a", I, 0, FIELD_QUARTER, f_field, "time" },
	{ "month", "a", I, 0, FIELD_MONTH, f_field, "time" },
	{ "week", "a", I, 0, FIELD_WEEK, f_field, "time" },
	{ "day", "a", I, 0, FIELD_DAY, f_field, "time" },
	{ "dayofmonth", "a", I, 0, FIELD_DAY, f_field, "time" },
	{ "dayofyear", "a", I, 0, FIELD_DOY, f_field, "time" },
	{ "dayofweek", "a", I, 0, 0, f_dayofweek, "time" },
	{ "hour", "a", I, 0, FIELD_HOUR, f_field, "time" },
	{ "minute", "a", I, 0, FIELD_MINUTE, f_field, "time" },
	{ "second", "a", FL_X_DEC, 0, FIELD_SECOND, f_field, "time" },
	{ "date_trunc", "ts|t", TIME, FL_XF_CHECK, 0, f_date_trunc, "field, time [, zone]" },
	{ "date_bin", "vs|s", TIME, 0, 0, f_date_bin, "stride, time [, origin]" },
	{ "timezone", "ts", TIME, FL_XF_CHECK, 0, f_timezone, "zone, time" },
	{ "now", "", TIME, 0, 0, f_now, "" },
	{ "current_date", "", FL_X_DATE, 0, 1, f_now, "" },
	{ "to_timestamp", "a|t", TIME, 0, 0, f_to_timestamp, "number, or text [, format]" },
	{ "to_date", "a|t", FL_X_DATE, 0, 1, f_to_timestamp, "text [, format]" },
	{ "to_timestamp_ltz", "ni", TIME, 0, 0, f_to_timestamp_ltz, "number, precision" },
	{ "epoch_ms", "s", I, 0, 0, f_epoch, "time" },
	{ "unix_timestamp", "|s", I, 0, 1, f_epoch, "[time]" },
	{ "make_date", "iii", FL_X_DATE, 0, 1, f_make, "year, month, day" },
	{ "make_timestamp", "iiiiin", TIME, 0, 0, f_make,
	  "year, month, day, hour, minute, second" },
	{ "to_char", "at", T, FL_XF_CHECK, 0, f_format, "time, format" },
	{ "date_format", "a|t", T, 0, 1, f_format, "time, format" },
	{ "from_unixtime", "n|t", T, 0, 0, f_from_unixtime, "seconds [, format]" },
	{ 0 },
};
