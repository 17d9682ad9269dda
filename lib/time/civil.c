/* SPDX-License-Identifier: Apache-2.0 */
#include "time/civil.h"

/*
 * Dates are counted in years that begin on 1 March, so that the leap day is
 * the last day of its year and the months before it have a regular length: 153
 * days in five months.
 */
#define DAYS_PER_ERA 146097 /* 400 years */
#define EPOCH_FROM_MARCH 719468 /* 0000-03-01 to 1970-01-01 */
#define YEAR_MAX 300000000

bool
fl_is_leap_year(int64_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int32_t
fl_days_in_month(int64_t year, int32_t month)
{
	static const uint8_t days[13] = { 0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return days[month] + (month == 2 && fl_is_leap_year(year) ? 1 : 0);
}

int64_t
fl_days_from_civil(int64_t year, int32_t month, int32_t day)
{
	int64_t y = year - (month < 3);
	int64_t era = fl_floor_div(y, 400);
	int64_t of_era = y - era * 400;
	int64_t march_month = month < 3 ? month + 9 : month - 3;
	int64_t of_year = (153 * march_month + 2) / 5 + day - 1;

	return era * DAYS_PER_ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year -
	       EPOCH_FROM_MARCH;
}

void
fl_civil_from_days(int64_t days, int32_t *ret_year, int32_t *ret_month, int32_t *ret_day)
{
	int64_t shifted = days + EPOCH_FROM_MARCH;
	int64_t era = fl_floor_div(shifted, DAYS_PER_ERA);
	uint32_t day = (uint32_t)(shifted - era * DAYS_PER_ERA);
	/* Take the leap days out, and all years have 365 days. */
	uint32_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	uint32_t of_year = day - (365 * year + year / 4 - year / 100);
	uint32_t march_month = (5 * of_year + 2) / 153;
	int32_t month = (int32_t)(march_month < 10 ? march_month + 3 : march_month - 9);

	*ret_day = (int32_t)(of_year - (153 * march_month + 2) / 5 + 1);
	*ret_month = month;
	*ret_year = (int32_t)(era * 400 + year + (month < 3));
}

void
fl_civil_from_ms(int64_t ms, struct fl_civil *ret)
{
	int64_t days = fl_floor_div(ms, FL_MS_PER_DAY);
	uint32_t rest = (uint32_t)fl_floor_mod(ms, FL_MS_PER_DAY);

	fl_civil_from_days(days, &ret->year, &ret->month, &ret->day);
	ret->hour = (int32_t)(rest / 3600000);
	ret->minute = (int32_t)(rest / 60000 % 60);
	ret->second = (int32_t)(rest / 1000 % 60);
	ret->ms = (int32_t)(rest % 1000);
	ret->weekday = (int32_t)fl_floor_mod(days + 4, 7); /* 1970-01-01: Thursday */
	ret->yearday = (int32_t)(days - fl_days_from_civil(ret->year, 1, 1)) + 1;
}

int
fl_ms_from_civil(const struct fl_civil *c, int64_t *ret_ms)
{
	int64_t days, ms, of_day;

	if (c->year < -YEAR_MAX || c->year > YEAR_MAX || c->month < 1 || c->month > 12 ||
	    c->day < 1 || c->day > fl_days_in_month(c->year, c->month))
		return -1;
	if (c->hour < 0 || c->hour > 23 || c->minute < 0 || c->minute > 59 || c->second < 0 ||
	    c->second > 59 || c->ms < 0 || c->ms > 999)
		return -1;

	days = fl_days_from_civil(c->year, c->month, c->day);
	of_day = c->hour * FL_MS_PER_HOUR + c->minute * FL_MS_PER_MINUTE +
		 c->second * FL_MS_PER_SECOND + c->ms;
	/*
	 * The day in which INT64_MIN lies begins before it: before 1970 count
	 * from the end of the day, so that no step on the way overflows.
	 */
	if (days < 0) {
		days++;
		of_day -= FL_MS_PER_DAY;
	}
	if (__builtin_mul_overflow(days, FL_MS_PER_DAY, &ms) ||
	    __builtin_add_overflow(ms, of_day, &ms))
		return -1;
	*ret_ms = ms;
	return 0;
}
