/* SPDX-License-Identifier: Apache-2.0 */
#include "time/timestamp.h"

#include <string.h>

#define YEAR_TEXT_LAST 9999

/* "00" … "99", one after the other. */
static const char digit_pairs[201] =
	"0001020304050607080910111213141516171819"
	"2021222324252627282930313233343536373839"
	"4041424344454647484950515253545556575859"
	"6061626364656667686970717273747576777879"
	"8081828384858687888990919293949596979899";

static inline char *
put2(char *to, uint32_t v)
{
	memcpy(to, digit_pairs + 2 * v, 2);
	return to + 2;
}

static inline char *
put2_then(char *to, uint32_t v, char then)
{
	to = put2(to, v);
	*to = then;
	return to + 1;
}

/* A sign and at least five digits. */
static char *
put_far_year(char *to, int32_t year)
{
	uint32_t v = year < 0 ? (uint32_t)-year : (uint32_t)year;
	uint32_t scale = 10000;

	*to++ = year < 0 ? '-' : '+';
	while (v / scale >= 10)
		scale *= 10;
	for (; scale > 0; scale /= 10)
		*to++ = (char)('0' + v / scale % 10);
	return to;
}

/* "+01:00", and ":ss" where the offset has seconds. */
static char *
put_offset(char *to, int32_t offset)
{
	uint32_t v = offset < 0 ? (uint32_t)-offset : (uint32_t)offset;

	*to++ = offset < 0 ? '-' : '+';
	to = put2_then(to, v / 3600, ':');
	to = put2(to, v / 60 % 60);
	if (v % 60) {
		*to++ = ':';
		to = put2(to, v % 60);
	}
	return to;
}

size_t
fl_time_format(int64_t ms, const struct fl_zone *zone, bool millis, char buf[FL_TIME_TEXT_MAX])
{
	int64_t days = fl_floor_div(ms, FL_MS_PER_DAY);
	int32_t rest = (int32_t)fl_floor_mod(ms, FL_MS_PER_DAY);
	int32_t offset = 0, year, month, day;
	uint32_t of_day;
	char *to = buf;

	if (zone) {
		/* On the parts, not on ms: local time may lie outside int64. */
		offset = fl_zone_utc_offset(zone, ms);
		rest += offset * 1000;
		days += fl_floor_div(rest, FL_MS_PER_DAY);
		rest = (int32_t)fl_floor_mod(rest, FL_MS_PER_DAY);
	}
	of_day = (uint32_t)rest;
	fl_civil_from_days(days, &year, &month, &day);
	if (year >= 0 && year <= YEAR_TEXT_LAST)
		to = put2(put2(to, (uint32_t)year / 100), (uint32_t)year % 100);
	else
		to = put_far_year(to, year);
	*to++ = '-';
	to = put2_then(to, (uint32_t)month, '-');
	to = put2_then(to, (uint32_t)day, 'T');
	to = put2_then(to, of_day / 3600000, ':');
	to = put2_then(to, of_day / 60000 % 60, ':');
	to = put2(to, of_day / 1000 % 60);
	if (millis) {
		uint32_t fraction = of_day % 1000;

		*to++ = '.';
		*to++ = (char)('0' + fraction / 100);
		to = put2(to, fraction % 100);
	}
	if (zone)
		to = put_offset(to, offset);
	else
		*to++ = 'Z';
	*to = '\0';
	return (size_t)(to - buf);
}
