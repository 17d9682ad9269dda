/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The proleptic Gregorian calendar: between milliseconds and civil dates.
 *
 * Years are astronomical (0 is 1 BC) and the calendar reaches back without a
 * change to the Julian one, as in ISO 8601 and PostgreSQL. There are no leap
 * seconds. Everything here is UTC: for another zone add its offset first
 * (time/zone.h).
 */
#ifndef FL_TIME_CIVIL_H
#define FL_TIME_CIVIL_H

#include <stdbool.h>
#include <stdint.h>

#define FL_MS_PER_SECOND INT64_C(1000)
#define FL_MS_PER_MINUTE INT64_C(60000)
#define FL_MS_PER_HOUR INT64_C(3600000)
#define FL_MS_PER_DAY INT64_C(86400000)

/* A moment taken apart. */
struct fl_civil {
	int32_t year;
	int32_t month;   /* 1..12 */
	int32_t day;     /* 1..31 */
	int32_t hour;    /* 0..23 */
	int32_t minute;  /* 0..59 */
	int32_t second;  /* 0..59 */
	int32_t ms;      /* 0..999 */
	int32_t weekday; /* 0 Sunday .. 6 Saturday */
	int32_t yearday; /* 1..366 */
};

/* Quotient and remainder toward minus infinity; b > 0. The remainder is 0..b-1. */
static inline int64_t
fl_floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static inline int64_t
fl_floor_mod(int64_t a, int64_t b)
{
	int64_t r = a % b;

	return r < 0 ? r + b : r;
}

bool fl_is_leap_year(int64_t year);

/* Days of a month, 28..31; month 1..12. */
int32_t fl_days_in_month(int64_t year, int32_t month);

/*
 * Days from 1970-01-01 to a date that exists. Years up to +-300 million (more
 * than int64 milliseconds reach) do not overflow.
 */
int64_t fl_days_from_civil(int64_t year, int32_t month, int32_t day);

/* The date of a day; days within int64 milliseconds, +-106,751,991,168. */
void fl_civil_from_days(int64_t days, int32_t *ret_year, int32_t *ret_month, int32_t *ret_day);

/* Take any int64 milliseconds apart. Cannot fail. */
void fl_civil_from_ms(int64_t ms, struct fl_civil *ret);

/*
 * Put together; weekday and yearday are ignored. 0, or -1 for a date or time of
 * day that does not exist and for what int64 milliseconds do not reach. Seconds
 * are 0..59: what a 60th means is for who reads text to say.
 */
int fl_ms_from_civil(const struct fl_civil *c, int64_t *ret_ms);

#endif
