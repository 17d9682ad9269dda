/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/time: the calendar, zones, times from text and to text, durations, windows.
 * Zones are compared with what the C library says, which reads the same files
 * with other code.
 */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "time-vectors.h"

#include "base/mem.h"
#include "time/duration.h"
#include "time/timestamp.h"
#include "time/window.h"

/* Numbers that look random and are the same each time. */
static uint64_t
next_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* Any time of the years 0 to 9999. */
static int64_t
random_time(uint64_t *state)
{
	uint64_t range = (uint64_t)(FL_TIME_TEXT_LAST - FL_TIME_TEXT_FIRST) + 1;

	return FL_TIME_TEXT_FIRST + (int64_t)(next_random(state) % range);
}

/* ---- the calendar ---- */

static void
test_calendar(void)
{
	static const int64_t probes[] = { 0, -1, 1, INT64_MIN, INT64_MAX, INT64_MIN + 1,
					  INT64_MAX - 1, -86400000, 86399999,
					  INT64_C(-9223372036800000000) };
	struct fl_civil c = { 0 };
	bool same = true, back = true, none = true;
	uint64_t state = 1;
	int64_t ms;

	for (int64_t day = -800000; same && day < 3000000; day += 3) {
		time_t t = (time_t)(day * 86400 + day % 86400);
		struct tm tm;

		fl_civil_from_ms((int64_t)t * 1000 + 7, &c);
		same = gmtime_r(&t, &tm) && c.year == tm.tm_year + 1900 &&
		       c.month == tm.tm_mon + 1 && c.day == tm.tm_mday && c.hour == tm.tm_hour &&
		       c.minute == tm.tm_min && c.second == tm.tm_sec && c.ms == 7 &&
		       c.weekday == tm.tm_wday && c.yearday == tm.tm_yday + 1;
	}
	tap_ok(same, "every third day of 10,000 years is as in gmtime (%d-%d-%d)", c.year, c.month,
	       c.day);
	for (int i = 0; back && i < 200000; i++) {
		int64_t want = (int64_t)next_random(&state) >> (i % 40);

		fl_civil_from_ms(want, &c);
		back = fl_ms_from_civil(&c, &ms) == 0 && ms == want;
	}
	for (size_t i = 0; back && i < FL_ARRAY_LEN(probes); i++) {
		fl_civil_from_ms(probes[i], &c);
		back = fl_ms_from_civil(&c, &ms) == 0 && ms == probes[i];
	}
	tap_ok(back, "any int64 is taken apart and put together again");

	fl_civil_from_ms(INT64_MAX, &c);
	c.ms++;
	none &= fl_ms_from_civil(&c, &ms) < 0;
	fl_civil_from_ms(INT64_MIN, &c);
	c.ms--;
	none &= fl_ms_from_civil(&c, &ms) < 0;
	c = (struct fl_civil){ .year = INT32_MAX, .month = 1, .day = 1 };
	none &= fl_ms_from_civil(&c, &ms) < 0;
	c.year = INT32_MIN;
	none &= fl_ms_from_civil(&c, &ms) < 0;
	tap_ok(none, "one millisecond further, and years far away, are refused");
	c = (struct fl_civil){ .year = 2023, .month = 2, .day = 29 };
	tap_ok(fl_ms_from_civil(&c, &ms) < 0, "2023 has no 29 February");
	c.year = 2024;
	tap_ok(fl_ms_from_civil(&c, &ms) == 0 && ms == INT64_C(1709164800000), "2024 has one");
	tap_ok(fl_is_leap_year(2000) && !fl_is_leap_year(1900) && fl_is_leap_year(0) &&
		       fl_is_leap_year(-4) && !fl_is_leap_year(-100) && fl_is_leap_year(-400),
	       "leap years, also before 1");
	tap_ok(fl_days_in_month(2023, 2) == 28 && fl_days_in_month(2024, 2) == 29 &&
		       fl_days_in_month(2024, 12) == 31 && fl_days_in_month(2024, 4) == 30,
	       "days in a month");
}

/* ---- texts ---- */

/* "2023-11-14 22:13:20.488" by the C library. */
static int64_t
ms_of_utc(const char *utc)
{
	struct tm tm = { 0 };
	int ms;

	if (sscanf(utc, "%d-%d-%d %d:%d:%d.%d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
		   &tm.tm_min, &tm.tm_sec, &ms) != 7)
		return INT64_MIN;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	return (int64_t)timegm(&tm) * 1000 + ms;
}

/* A copy of exactly n bytes, so that a sanitizer sees every byte read too far. */
static char *
exact_copy(const char *p, size_t n)
{
	char *copy = malloc(n ? n : 1);

	fl_assert(copy);
	memcpy(copy, p, n);
	return copy;
}

static void
test_vector(const struct time_vector *v)
{
	size_t n = strlen(v->text);
	uint32_t off[2] = { 0, (uint32_t)n };
	char *text = exact_copy(v->text, n);
	struct fl_timefmt f, g;
	int64_t ms = 0, column_ms = 0;
	struct fl_err err;
	char why[400];
	int rc;

	if (fl_timefmt_init(&f, v->format, v->tz, v->year, &err) < 0 ||
	    fl_timefmt_init(&g, v->format, v->tz, v->year, &err) < 0) {
		tap_ok(false, "%s: %s", v->format, err.msg);
		free(text);
		return;
	}
	rc = fl_timefmt_parse(&f, text, n, &ms);
	fl_timefmt_why(&f, text, n, why, sizeof why);
	if (v->utc[0] == '!')
		tap_ok(rc < 0 && strncmp(why, v->utc + 1, strlen(v->utc + 1)) == 0,
		       "%s \"%s\" is an error: %s", v->format, v->text, why);
	else
		tap_ok(rc == 0 && ms == ms_of_utc(v->utc), "%s \"%s\" is %s", v->format, v->text,
		       v->utc);
	/* Twice: the second time with what was learnt. */
	for (int i = 0; i < 2; i++)
		if ((fl_timefmt_parse_column(&g, text, off, 1, 0, 1, &column_ms) == 1) !=
			    (rc == 0) || (rc == 0 && column_ms != ms))
			tap_ok(false, "the column parser says the same of \"%s\"", v->text);
	fl_timefmt_release(&f);
	fl_timefmt_release(&g);
	free(text);
}

static void
test_kind(void)
{
	static const struct { const char *text; enum fl_time_kind kind; } first[] = {
		{ "2023-11-14", FL_TIME_ISO },
		{ "1700000000", FL_TIME_EPOCH_S },
		{ "1700000000.5", FL_TIME_EPOCH_S },
		{ "1700000000123", FL_TIME_EPOCH_MS },
		{ "-1700000000123", FL_TIME_EPOCH_MS },
		{ "1700000000123456", FL_TIME_EPOCH_US },
		{ "1700000000123456789", FL_TIME_EPOCH_NS },
		{ "10/Oct/2000:13:55:36 -0700", FL_TIME_CLF },
	};
	struct fl_timefmt f;
	struct fl_err err;
	char why[400];
	int64_t ms;

	for (size_t i = 0; i < FL_ARRAY_LEN(first); i++) {
		bool kept = true;

		fl_assert(fl_timefmt_init(&f, NULL, NULL, FL_YEAR_NONE, &err) == 0);
		kept &= fl_timefmt_parse(&f, "x", 1, &ms) < 0;
		kept &= fl_timefmt_kind(&f) == FL_TIME_UNDECIDED;
		kept &= fl_timefmt_parse(&f, first[i].text, strlen(first[i].text), &ms) == 0;
		for (size_t k = 0; k < FL_ARRAY_LEN(first); k++)
			kept &= (fl_timefmt_parse(&f, first[k].text, strlen(first[k].text),
						  &ms) == 0) == (first[k].kind == first[i].kind);
		tap_ok(kept && fl_timefmt_kind(&f) == first[i].kind,
		       "auto: \"%s\" decides for kind %d, and others are errors", first[i].text,
		       (int)first[i].kind);
		fl_timefmt_release(&f);
	}
	fl_assert(fl_timefmt_init(&f, "auto", NULL, FL_YEAR_NONE, &err) == 0);
	(void)fl_timefmt_parse(&f, "1700000000123", 13, &ms);
	(void)fl_timefmt_parse(&f, "1700000000", 10, &ms);
	fl_timefmt_why(&f, "1700000000", 10, why, sizeof why);
	tap_eq_str(why, "\"1700000000\" is a time of another kind (epoch) than the first one "
		   "(epoch-ms)", "a change of kind is explained");
	tap_ok(fl_timefmt_set_kind(&f, FL_TIME_EPOCH_S, &err) == 0 &&
		       fl_timefmt_parse(&f, "1700000000", 10, &ms) == 0,
	       "auto goes on with a restored kind");
	tap_ok(fl_timefmt_set_kind(&f, FL_TIME_SYSLOG, &err) == FL_ECONFIG &&
		       fl_timefmt_set_kind(&f, -1, &err) == FL_ECONFIG &&
		       fl_timefmt_set_kind(&f, 255, &err) == FL_ECONFIG,
	       "auto refuses a kind that it never chooses");
	fl_timefmt_release(&f);
	fl_assert(fl_timefmt_init(&f, "epoch-ms", NULL, FL_YEAR_NONE, &err) == 0);
	tap_ok(fl_timefmt_set_kind(&f, FL_TIME_EPOCH_MS, &err) == 0 &&
		       fl_timefmt_set_kind(&f, FL_TIME_ISO, &err) == FL_ECONFIG,
	       "a given format takes its own kind only");
	fl_timefmt_release(&f);
}

static void
test_configuration(void)
{
	static const struct { const char *format, *tz; int year; const char *message; } bad[] = {
		{ "isoo", NULL, -1, "unknown time format \"isoo\"" },
		{ "", NULL, -1, "unknown time format \"\"" },
		{ "%Y-%Q", NULL, -1, "time format \"%Y-%Q\": unknown directive %Q" },
		{ "%Y-%", NULL, -1, "time format \"%Y-%\" ends in a single %" },
		{ "syslog", NULL, -1, "time format \"syslog\" has no year" },
		{ "%d %b %T", NULL, -1, "time format \"%d %b %T\" has no year" },
		{ "iso", "Europe/Berln", -1, "unknown time zone \"Europe/Berln\"" },
		{ "iso", "Europe", -1, "unknown time zone \"Europe\"" },
		{ "iso", "../etc/passwd", -1, "\"../etc/passwd\" is not the name" },
		{ "iso", "/etc/localtime", -1, "\"/etc/localtime\" is not the name" },
		{ "iso", "", -1, "\"\" is not the name" },
		{ "iso", "zone.tab", -1, "\"zone.tab\" is not a time zone" },
		{ "iso", "+25:00", -1, "\"+25:00\" is not the name" },
		{ "iso", NULL, 10000, "--assume-year 10000" },
	};
	struct fl_timefmt f;
	struct fl_err err;
	int64_t ms;

	for (size_t i = 0; i < FL_ARRAY_LEN(bad); i++) {
		int rc = fl_timefmt_init(&f, bad[i].format, bad[i].tz, bad[i].year, &err);

		tap_ok(rc == FL_EUSAGE && strstr(err.msg, bad[i].message) == err.msg,
		       "refused: %s", rc < 0 ? err.msg : bad[i].message);
	}
	fl_assert(fl_timefmt_init(&f, "auto", NULL, FL_YEAR_NONE, &err) == 0);
	(void)fl_timefmt_parse(&f, "2023-11-14T22:13:20Z", 20, &ms);
	tap_ok(!f.zoneless, "a value with a zone needs no warning");
	(void)fl_timefmt_parse(&f, "2023-11-14T22:13:20", 19, &ms);
	tap_ok(f.zoneless, "one without, and no --tz, is marked");
	fl_timefmt_release(&f);
	fl_assert(fl_timefmt_init(&f, "auto", "UTC", FL_YEAR_NONE, &err) == 0);
	(void)fl_timefmt_parse(&f, "2023-11-14T22:13:20", 19, &ms);
	tap_ok(!f.zoneless && !fl_timefmt_assumes_year(&f), "with --tz it is not");
	fl_timefmt_release(&f);
	fl_assert(fl_timefmt_init(&f, "syslog", NULL, 2023, &err) == 0);
	tap_ok(fl_timefmt_assumes_year(&f), "syslog assumes a year");
	fl_timefmt_release(&f);
}

/* A value like one of the vectors, or a wrecked one. Returns its length. */
static size_t
random_value(uint64_t *state, const char *like, char buf[64])
{
	static const char alphabet[] = "0123456789-:T Z.+,/OctJan[]\0\xff";
	size_t n = strlen(like);
	uint64_t r = next_random(state);

	n = n < 60 ? n : 60;
	memcpy(buf, like, n);
	if (r % 4 == 0 && n > 0) /* often a digit: stays a time */
		buf[(r >> 8) % n] = (char)('0' + (r >> 16) % 10);
	if (r % 16 == 1 && n > 0)
		buf[(r >> 8) % n] = alphabet[(r >> 16) % (sizeof alphabet - 1)];
	if (r % 32 == 2)
		n = (r >> 8) % (n + 1);
	if (r % 32 == 3)
		buf[n++] = alphabet[(r >> 16) % (sizeof alphabet - 1)];
	return n;
}

/* One column of like values by both parsers; how many values differ. */
static int
compare_parsers(uint64_t *state, const char *format, const char *tz, const char *like)
{
	enum { ROWS = 64 };
	struct fl_timefmt scalar, column;
	struct fl_buf bytes = { 0 };
	uint32_t off[ROWS + 1];
	int64_t got[ROWS], want;
	struct fl_err err;
	char value[64];
	int different = 0;
	char *area;
	size_t row = 0;

	off[0] = UINT32_MAX; /* delimited: one before the first byte */
	for (int i = 0; i < ROWS; i++) {
		fl_buf_put(&bytes, value, random_value(state, like, value));
		off[i + 1] = (uint32_t)bytes.len;
		if (i + 1 < ROWS)
			fl_buf_putc(&bytes, ',');
	}
	area = exact_copy(bytes.data, bytes.len);
	fl_assert(fl_timefmt_init(&scalar, format, tz, 2023, &err) == 0);
	fl_assert(fl_timefmt_init(&column, format, tz, 2023, &err) == 0);
	while (row < ROWS) {
		size_t n = fl_timefmt_parse_column(&column, area, off + row, 1, 1, ROWS - row,
						   got + row);

		for (size_t i = row; i < ROWS && i <= row + n; i++) {
			uint32_t start = off[i] + 1;
			bool ok = fl_timefmt_parse(&scalar, area + start, off[i + 1] - start,
						   &want) == 0;

			different += ok != (i < row + n) || (ok && want != got[i]);
		}
		row += n + 1;
	}
	different += fl_timefmt_kind(&scalar) != fl_timefmt_kind(&column) ||
		     scalar.zoneless != column.zoneless;
	fl_timefmt_release(&scalar);
	fl_timefmt_release(&column);
	fl_buf_release(&bytes);
	free(area);
	return different;
}

static void
test_column(void)
{
	static const char *const zones[] = { NULL, "UTC", "Europe/Berlin", "America/New_York" };
	uint64_t state = 2;
	int different = 0;

	for (size_t i = 0; i < FL_ARRAY_LEN(time_vectors); i++) {
		const struct time_vector *v = &time_vectors[i];

		for (size_t z = 0; z < FL_ARRAY_LEN(zones); z++)
			different += compare_parsers(&state, v->format, zones[z], v->text);
	}
	tap_eq_int(different, 0, "the column parser agrees with the scalar one on %zu columns",
		   FL_ARRAY_LEN(time_vectors) * FL_ARRAY_LEN(zones));
}

static void
test_column_shapes(void)
{
	static const char line[] = "a,2023-11-14T22:13:20Z,b\na,2023-11-14T22:13:21Z,b\n"
				   "a,2023-11-14T22:13:22Z,b\n";
	static const uint32_t delimiters[] = { UINT32_MAX, 1, 22, 24, 26, 47, 49, 51, 72, 74 };
	static const uint32_t constant[] = { 2, 22 };
	struct fl_timefmt f;
	int64_t ms[3] = { 0 };
	struct fl_err err;
	char nul[24] = { 0 };
	uint32_t nul_off[] = { 0, 24 };

	fl_assert(fl_timefmt_init(&f, "auto", NULL, FL_YEAR_NONE, &err) == 0);
	tap_ok(fl_timefmt_parse_column(&f, line, delimiters + 1, 3, 1, 3, ms) == 3 &&
		       ms[0] == INT64_C(1700000000000) && ms[1] == ms[0] + 1000 &&
		       ms[2] == ms[0] + 2000,
	       "a column of delimited lines");
	tap_ok(fl_timefmt_parse_column(&f, line, constant, 0, 0, 3, ms) == 3 && ms[0] == ms[1] &&
		       ms[1] == ms[2] && ms[0] == INT64_C(1700000000000),
	       "a constant column");
	tap_ok(fl_timefmt_parse_column(&f, line, constant, 0, 0, 0, ms) == 0, "no rows");
	fl_timefmt_release(&f);
	fl_assert(fl_timefmt_init(&f, "iso", NULL, FL_YEAR_NONE, &err) == 0);
	memcpy(nul + 11, "22:13:20.000Z", 13);
	tap_ok(fl_timefmt_parse_column(&f, nul, nul_off, 1, 0, 1, ms) == 0,
	       "a date of NUL bytes is not that of an empty cache");
	fl_timefmt_release(&f);
}

/* ---- output ---- */

static void
test_format(void)
{
	static const struct { int64_t ms; bool millis; const char *zone, *text; } vectors[] = {
		{ 0, true, NULL, "1970-01-01T00:00:00.000Z" },
		{ 0, false, NULL, "1970-01-01T00:00:00Z" },
		{ -1, true, NULL, "1969-12-31T23:59:59.999Z" },
		{ -1, false, NULL, "1969-12-31T23:59:59Z" },
		{ INT64_C(1795255500000), true, NULL, "2026-11-21T10:05:00.000Z" },
		{ INT64_C(1795255500000), false, NULL, "2026-11-21T10:05:00Z" },
		{ INT64_C(1795255500000), false, "Europe/Berlin", "2026-11-21T11:05:00+01:00" },
		{ INT64_C(1795255500000), true, "America/New_York",
		  "2026-11-21T05:05:00.000-05:00" },
		{ INT64_C(1795255500000), true, "Asia/Kolkata", "2026-11-21T15:35:00.000+05:30" },
		{ INT64_C(1795255500000), true, "+00:30", "2026-11-21T10:35:00.000+00:30" },
		{ INT64_C(1795255500000), true, "UTC", "2026-11-21T10:05:00.000+00:00" },
		{ INT64_C(-2500000000000), true, "Europe/Berlin",
		  "1890-10-11T20:26:48.000+00:53:28" },
		{ FL_TIME_TEXT_FIRST, true, NULL, "0000-01-01T00:00:00.000Z" },
		{ FL_TIME_TEXT_FIRST - 1, true, NULL, "-00001-12-31T23:59:59.999Z" },
		{ FL_TIME_TEXT_LAST, true, NULL, "9999-12-31T23:59:59.999Z" },
		{ FL_TIME_TEXT_LAST + 1, true, NULL, "+10000-01-01T00:00:00.000Z" },
		{ INT64_MAX, true, NULL, "+292278994-08-17T07:12:55.807Z" },
		{ INT64_MIN, true, NULL, "-292275055-05-16T16:47:04.192Z" },
		{ INT64_MAX, true, "Asia/Kolkata", "+292278994-08-17T12:42:55.807+05:30" },
		{ INT64_MIN, true, "America/New_York", "-292275055-05-16T11:51:02.192-04:56:02" },
	};
	char buf[FL_TIME_TEXT_MAX];
	struct fl_err err;

	for (size_t i = 0; i < FL_ARRAY_LEN(vectors); i++) {
		struct fl_zone *zone = vectors[i].zone ? fl_zone_open(vectors[i].zone, &err) : NULL;
		size_t n = fl_time_format(vectors[i].ms, zone, vectors[i].millis, buf);

		tap_ok(strcmp(buf, vectors[i].text) == 0 && n == strlen(buf),
		       "%" PRId64 " is %s: %s", vectors[i].ms, vectors[i].text, buf);
		fl_zone_free(zone);
	}
}

static void
test_round_trip(const char *zone_name)
{
	struct fl_zone *zone = NULL;
	char buf[FL_TIME_TEXT_MAX];
	int64_t want = 0, got = 0;
	uint64_t state = 3;
	struct fl_timefmt f;
	struct fl_err err;
	bool same = true;

	if (zone_name)
		zone = fl_zone_open(zone_name, &err);
	fl_assert(fl_timefmt_init(&f, "iso", NULL, FL_YEAR_NONE, &err) == 0);
	for (int i = 0; same && i < 100000; i++) {
		size_t n;

		/* Local years must have four digits too. */
		want = random_time(&state) / 100 * 99;
		n = fl_time_format(want, zone, true, buf);
		same = fl_timefmt_parse(&f, buf, n, &got) == 0 && got == want;
	}
	tap_ok(same, "what is written is read back in %s (%s)", fl_zone_name(zone), buf);
	fl_timefmt_release(&f);
	fl_zone_free(zone);
}

/* ---- zones ---- */

/* The C library's offset in its present zone. */
static int64_t
libc_offset(int64_t s)
{
	time_t t = (time_t)s;
	struct tm tm;

	fl_assert(localtime_r(&t, &tm));
	return tm.tm_gmtoff;
}

/*
 * What fl_zone_local_to_utc promises, by trying the offsets of the days around:
 * the first moment with that local time, else the offset before.
 */
static int64_t
libc_local_to_utc(int64_t local)
{
	int64_t before = libc_offset(local - libc_offset(local) - 86400);
	int64_t after = libc_offset(local - libc_offset(local) + 86400);
	int64_t first = INT64_MAX;

	if (libc_offset(local - before) == before)
		first = local - before;
	if (libc_offset(local - after) == after && local - after < first)
		first = local - after;
	return first == INT64_MAX ? local - before : first;
}

static void
test_zone(const char *name)
{
	const int64_t from = 0, until = INT64_C(4133980800); /* 1970 to 2101 */
	struct fl_err err = { 0 };
	struct fl_zone *zone;
	struct fl_zone_span span;
	int changes = 0;
	bool same = true, local = true;
	int64_t t;

	(void)setenv("TZ", name, 1);
	tzset();
	zone = fl_zone_open(name, &err);
	if (!tap_ok(zone != NULL, "%s opens %s", name, zone ? "" : err.msg))
		return;
	for (t = from; same && t < until; t += 17 * 3600 + 11)
		same = fl_zone_utc_offset(zone, t * 1000) == libc_offset(t);
	tap_ok(same, "%s: the offset is that of the C library, every 17 hours from 1970 to 2100",
	       name);
	for (t = from; local && t < until; t += 5 * 86400 + 3333)
		local = fl_zone_local_to_utc(zone, t * 1000) == libc_local_to_utc(t) * 1000;
	/* The days around each change, every 7 minutes, and the change to the second. */
	fl_zone_span_at(zone, from * 1000, &span);
	while (span.until < until * 1000) {
		int64_t change = span.until / 1000;

		changes++;
		local = local && fl_zone_utc_offset(zone, span.until - 1) == span.offset_s;
		local = local && libc_offset(change) == fl_zone_utc_offset(zone, change * 1000);
		for (t = change - 90000; local && t < change + 90000; t += 420 + 1)
			local = fl_zone_local_to_utc(zone, t * 1000) ==
				libc_local_to_utc(t) * 1000;
		fl_zone_span_at(zone, span.until, &span);
	}
	tap_ok(local, "%s: local time to UTC, in gaps and overlaps of %d changes", name, changes);
	fl_zone_free(zone);
	(void)unsetenv("TZ");
	tzset();
}

/* A rule that no file has, by way of TZ. */
static void
test_rule(const char *rule)
{
	struct fl_err err = { 0 };
	struct fl_zone *zone;
	bool same = true;
	int64_t t;

	(void)setenv("TZ", rule, 1);
	tzset();
	zone = fl_zone_open("local", &err);
	if (!tap_ok(zone != NULL, "TZ=%s opens %s", rule, zone ? "" : err.msg))
		return;
	/* The C library knows no summer time before 1970. */
	for (t = 86400; same && t < INT64_C(20000000000); t += 7 * 3600 + 17)
		same = fl_zone_utc_offset(zone, t * 1000) == libc_offset(t);
	tap_ok(same, "TZ=%s is as in the C library from 1970 to 2603 (%" PRId64 ")", rule, t);
	fl_zone_free(zone);
	(void)unsetenv("TZ");
	tzset();
}

/* RFC 9636's rule for summer time all the year (the C library has gaps at New Year). */
static void
test_summer_for_ever(void)
{
	struct fl_err err = { 0 };
	struct fl_zone *zone;
	bool same = true;

	(void)setenv("TZ", "XXX3EDT4,0/0,J365/23", 1);
	zone = fl_zone_open("local", &err);
	for (int64_t t = 0; zone && same && t < INT64_C(20000000000); t += 3600)
		same = fl_zone_utc_offset(zone, t * 1000) == -4 * 3600 &&
		       fl_zone_local_to_utc(zone, t * 1000) == (t + 4 * 3600) * 1000;
	tap_ok(zone && same, "a rule of summer time all the year");
	fl_zone_free(zone);
	(void)unsetenv("TZ");
}

static void
test_zone_spans(void)
{
	struct fl_zone_span span, again;
	struct fl_err err;
	struct fl_zone *zone = fl_zone_open("Europe/Berlin", &err);
	uint64_t state = 4;
	bool holds = true;
	int64_t t;

	for (int i = 0; holds && i < 100000; i++) {
		t = (int64_t)next_random(&state) >> (i % 32);
		fl_zone_span_at(zone, t, &span);
		holds = span.from <= t && (t < span.until || span.until == INT64_MAX);
		fl_zone_span_at(zone, span.from, &again);
		holds = holds && again.offset_s == span.offset_s;
		fl_zone_span_at(zone, span.until - 1, &again);
		holds = holds && again.offset_s == span.offset_s;
		fl_zone_span_at_local(zone, t, &span);
		holds = holds && span.from <= t && (t < span.until || span.until == INT64_MAX);
	}
	tap_ok(holds, "a span holds its moment, and one offset, for any int64");
	tap_eq_str(fl_zone_abbreviation(zone, 0), "CET", "abbreviation in winter");
	tap_eq_str(fl_zone_abbreviation(zone, INT64_C(1720000000000)), "CEST", "and in summer");
	tap_eq_str(fl_zone_abbreviation(NULL, 0), "UTC", "and of UTC");
	tap_ok(fl_zone_local_to_utc(zone, INT64_MIN) == INT64_MIN &&
		       fl_zone_utc_to_local(zone, INT64_MAX) == INT64_MAX,
	       "the ends of time saturate");
	fl_zone_free(zone);
}

/* Every cut and every flipped byte of a real file: an error or a zone, no crash. */
static void
test_zone_damage(void)
{
	FILE *file = fopen(FL_ZONEINFO_DIR "/Europe/Berlin", "rb");
	char bytes[8192];
	size_t n = file ? fread(bytes, 1, sizeof bytes, file) : 0;
	uint64_t state = 5;
	struct fl_err err;
	bool refused = true;
	struct fl_zone *zone;
	int opened = 0;

	if (file)
		(void)fclose(file);
	zone = fl_zone_from_tzif("x", bytes, n, &err);
	tap_ok(zone != NULL, "a zone from bytes");
	fl_zone_free(zone);
	for (size_t cut = 0; cut < n; cut++) {
		char *copy = exact_copy(bytes, cut);

		zone = fl_zone_from_tzif("x", copy, cut, &err);
		refused = refused && !zone;
		fl_zone_free(zone);
		free(copy);
	}
	tap_ok(refused, "a file that was cut off is refused");
	for (int i = 0; n && i < 5000; i++) {
		size_t at = next_random(&state) % n;
		char old = bytes[at];

		bytes[at] = (char)next_random(&state);
		zone = fl_zone_from_tzif("x", bytes, n, &err);
		opened += zone && fl_zone_utc_offset(zone, (int64_t)next_random(&state)) < 100000;
		opened += zone && fl_zone_local_to_utc(zone, 0) != 1;
		fl_zone_free(zone);
		bytes[at] = old;
	}
	tap_ok(opened > 0, "one whose bytes were changed is refused or read, without a crash");
}

static void
test_zones(void)
{
	static const char *const names[] = {
		"Europe/Berlin",    "Europe/Dublin",       "Europe/London",
		"America/New_York", "America/Sao_Paulo",   "America/St_Johns",
		"Asia/Kolkata",     "Asia/Tehran",         "Australia/Lord_Howe",
		"Pacific/Apia",     "Pacific/Kiritimati",  "Africa/Casablanca",
		"Antarctica/Troll", "America/Nuuk",        "Asia/Gaza",
		"Etc/GMT+12",       "Pacific/Chatham",     "Africa/Monrovia",
	};
	static const char *const rules[] = {
		"CET-1CEST,M3.5.0,M10.5.0/3", "EST5EDT", "AEST-10AEDT,M10.1.0,M4.1.0/3",
		"XXX3", "<+0330>-3:30<+0430>,J79/24,J263/24", "ABC-2:15:30DEF,59,300/-5",
		"WGT3WGST,M3.5.0/-2,M10.5.0/-1",
	};

	if (access(FL_ZONEINFO_DIR "/Europe/Berlin", R_OK) != 0) {
		tap_skip("time zones", "no " FL_ZONEINFO_DIR);
		return;
	}
	for (size_t i = 0; i < FL_ARRAY_LEN(names); i++)
		test_zone(names[i]);
	for (size_t i = 0; i < FL_ARRAY_LEN(rules); i++)
		test_rule(rules[i]);
	test_summer_for_ever();
	test_zone_spans();
	test_zone_damage();
}

static void
test_local(void)
{
	struct fl_err err = { 0 };
	struct fl_zone *zone;

	(void)setenv("TZ", ":Asia/Kolkata", 1);
	zone = fl_zone_open("local", &err);
	tap_eq_int(zone ? fl_zone_utc_offset(zone, 0) : -1, 19800, "local is TZ, with its colon");
	fl_zone_free(zone);
	(void)setenv("TZ", FL_ZONEINFO_DIR "/Asia/Kolkata", 1);
	zone = fl_zone_open("local", &err);
	tap_eq_int(zone ? fl_zone_utc_offset(zone, 0) : -1, 19800, "a path in TZ");
	fl_zone_free(zone);
	(void)setenv("TZ", "", 1);
	zone = fl_zone_open("local", &err);
	tap_eq_int(zone ? fl_zone_utc_offset(zone, 0) : -1, 0, "an empty TZ is UTC");
	fl_zone_free(zone);
	(void)setenv("TZ", "No/Where", 1);
	zone = fl_zone_open("local", &err);
	tap_ok(!zone && err.code == FL_EUSAGE, "a wrong TZ: %s", err.msg);
	fl_zone_free(zone);
	(void)unsetenv("TZ");
	zone = fl_zone_open("local", &err);
	tap_ok(zone != NULL, "without TZ /etc/localtime, or UTC");
	fl_zone_free(zone);
}

/* ---- durations and sizes ---- */

static void
test_durations(void)
{
	static const struct { const char *text; unsigned flags; int64_t ms; } good[] = {
		{ "500ms", 0, 500 }, { "10s", 0, 10000 }, { "5m", 0, 300000 },
		{ "1h30m", 0, 5400000 }, { "1d", 0, 86400000 }, { "2w", 0, 1209600000 },
		{ "0", 0, 0 }, { "0s", 0, 0 }, { "1d2h3m4s5ms", 0, 93784005 },
		{ "007s", 0, 7000 }, { "90m", 0, 5400000 }, { "-10s", FL_DURATION_SIGNED, -10000 },
		{ "+10s", FL_DURATION_SIGNED, 10000 }, { "-1h30m", FL_DURATION_SIGNED, -5400000 },
		{ "9223372036854775807ms", 0, INT64_MAX },
		{ "-9223372036854775808ms", FL_DURATION_SIGNED, INT64_MIN },
	};
	static const struct { const char *text; unsigned flags; const char *what; } bad[] = {
		{ "", 0, "nothing there" }, { "10", 0, "the unit is missing" },
		{ "10x", 0, "unknown unit" }, { "10 s", 0, "unknown unit" },
		{ "s", 0, "a whole number is missing" }, { "1.5h", 0, "unknown unit" },
		{ "-10s", 0, "a sign is not allowed" }, { "+10s", 0, "a sign is not allowed" },
		{ "-", FL_DURATION_SIGNED, "nothing there" },
		{ "--10s", FL_DURATION_SIGNED, "a whole number is missing" },
		{ "10us", 0, "unknown unit" }, { "10S", 0, "unknown unit" },
		{ "30m1h", 0, "units go from large to small" },
		{ "1m1m", 0, "units go from large to small" },
		{ "9223372036854775808ms", 0, "too large" },
		{ "106751991168d", 0, "too large" },
		{ "99999999999999999999s", 0, "too large" },
		{ "-9223372036854775809ms", FL_DURATION_SIGNED, "too large" },
	};
	char buf[FL_DURATION_TEXT_MAX];
	uint64_t state = 6;
	struct fl_err err;
	bool back = true;
	int64_t ms = -1;

	for (size_t i = 0; i < FL_ARRAY_LEN(good); i++)
		tap_ok(fl_duration_parse(good[i].text, good[i].flags, &ms, &err) == 0 &&
			       ms == good[i].ms,
		       "duration %s is %" PRId64, good[i].text, good[i].ms);
	for (size_t i = 0; i < FL_ARRAY_LEN(bad); i++)
		tap_ok(fl_duration_parse(bad[i].text, bad[i].flags, &ms, &err) == FL_EUSAGE &&
			       strstr(err.msg, bad[i].what) && strstr(err.msg, "1h30m"),
		       "refused: %s", err.msg);
	for (int i = 0; back && i < 100000; i++) {
		int64_t want = i < 2 ? (i ? INT64_MIN : INT64_MAX)
				     : (int64_t)next_random(&state) >> (i % 60);

		back = fl_duration_format(want, buf) == strlen(buf) &&
		       fl_duration_parse(buf, FL_DURATION_SIGNED, &ms, &err) == 0 && ms == want;
	}
	tap_ok(back, "any duration is written and read back");
	(void)fl_duration_format(5400000, buf);
	tap_eq_str(buf, "1h30m", "1h30m");
	(void)fl_duration_format(0, buf);
	tap_eq_str(buf, "0s", "no duration is 0s");
}

static void
test_sizes(void)
{
	static const struct { const char *text; uint64_t bytes; } good[] = {
		{ "0", 0 }, { "100", 100 }, { "64K", 65536 }, { "16M", 16777216 },
		{ "1G", 1073741824 }, { "2T", UINT64_C(2199023255552) },
		{ "18446744073709551615", UINT64_MAX }, { "16777215T", UINT64_C(16777215) << 40 },
	};
	static const char *const bad[] = { "", "K", "64k", "64KB", "-1", "1.5G", "64 K", "1E",
					   "16777216T", "18446744073709551616", " 1" };
	char buf[FL_SIZE_TEXT_MAX];
	uint64_t bytes = 1;
	struct fl_err err;

	for (size_t i = 0; i < FL_ARRAY_LEN(good); i++) {
		tap_ok(fl_size_parse(good[i].text, &bytes, &err) == 0 && bytes == good[i].bytes,
		       "size %s", good[i].text);
		(void)fl_size_format(bytes, buf);
		tap_eq_str(buf, good[i].text, "and back");
	}
	for (size_t i = 0; i < FL_ARRAY_LEN(bad); i++)
		tap_ok(fl_size_parse(bad[i], &bytes, &err) == FL_EUSAGE, "refused: %s", err.msg);
}

/* ---- windows ---- */

static void
test_window_start(void)
{
	static const struct { int64_t ts, offset, size, start; } vectors[] = {
		{ 0, 0, 10, 0 },    { 9, 0, 10, 0 },     { 10, 0, 10, 10 },  { -1, 0, 10, -10 },
		{ -10, 0, 10, -10 }, { -11, 0, 10, -20 }, { 7, 3, 10, 3 },   { 2, 3, 10, -7 },
		{ -1, 3, 10, -7 },  { -8, 3, 10, -17 },  { 5, -3, 10, -3 },
		{ 4000, 360000, 600000, -240000 }, /* 00:00:04: 23:56 to 00:06 */
		{ INT64_MAX, 0, 10, INT64_MAX - 7 }, { INT64_MIN, 0, 8, INT64_MIN },
		{ INT64_MIN + 1, 0, 10, INT64_MIN }, { INT64_MIN, -9, 10, INT64_MIN },
		{ INT64_MAX, INT64_MIN, 1, INT64_MAX }, { INT64_MIN, INT64_MAX, 1, INT64_MIN },
		{ -1, 0, INT64_MAX, -INT64_MAX },
	};

	for (size_t i = 0; i < FL_ARRAY_LEN(vectors); i++)
		tap_eq_int(fl_window_start(vectors[i].ts, vectors[i].offset, vectors[i].size),
			   vectors[i].start, "window of %" PRId64 ", offset %" PRId64
			   ", size %" PRId64, vectors[i].ts, vectors[i].offset, vectors[i].size);
}

/* Are the windows of ts those that Flink's loop gives? */
static bool
as_flink(const struct fl_windows *w, int64_t size, int64_t slide, int64_t offset, int64_t ts)
{
	int64_t count = fl_windows_count(w, ts);
	int64_t i = count;

	for (int64_t s = fl_window_start(ts, offset, slide); s > ts - size; s -= slide) {
		struct fl_window got;

		if (--i < 0)
			return false;
		got = fl_windows_nth(w, ts, i);
		if (got.start != s || got.end != s + size)
			return false;
	}
	return i == 0;
}

/* Do the slices from each window's start fill it, and hold times of the same windows? */
static bool
slices_fit(const struct fl_windows *w, int64_t ts)
{
	int64_t count = fl_windows_count(w, ts);
	struct fl_window slice = fl_slice_at(w, ts);

	if (slice.start > ts || slice.end <= ts)
		return false;
	for (int64_t t = slice.start; t < slice.end; t++) {
		struct fl_window other = fl_slice_at(w, t);

		if (fl_windows_count(w, t) != count || other.start != slice.start ||
		    other.end != slice.end)
			return false;
	}
	for (int64_t i = 0; i < count; i++) {
		struct fl_window window = fl_windows_nth(w, ts, i);
		int64_t end = window.start;

		while (end < window.end) {
			slice = fl_slice_at(w, end);
			if (slice.start != end)
				return false;
			end = slice.end;
		}
		if (end != window.end)
			return false;
	}
	return true;
}

static void
test_windows_by_force(void)
{
	struct fl_err err;
	struct fl_windows w;
	bool windows = true, slices = true, ends = true;

	for (int64_t size = 1; size <= 13; size++)
		for (int64_t slide = 1; slide <= 15; slide++)
			for (int64_t offset = 1 - slide; offset < slide; offset++) {
				fl_assert(fl_windows_slide(&w, size, slide, offset, &err) == 0);
				for (int64_t ts = -40; ts <= 40; ts++) {
					windows &= as_flink(&w, size, slide, offset, ts);
					slices &= slices_fit(&w, ts);
				}
			}
	tap_ok(windows, "sliding windows are those of Flink's loop");
	tap_ok(slices, "and their slices fill them");
	windows = slices = true;
	for (int64_t step = 1; step <= 5; step++)
		for (int64_t size = step; size <= 5 * step; size += step)
			for (int64_t offset = 1 - size; offset < size; offset++) {
				fl_assert(fl_windows_cumulate(&w, size, step, offset, &err) == 0);
				for (int64_t ts = -40; ts <= 40; ts++) {
					int64_t start = fl_window_start(ts, offset, size);
					int64_t k = 0;

					slices &= slices_fit(&w, ts);
					for (int64_t e = start + step; e <= start + size;
					     e += step) {
						struct fl_window got;

						if (e <= ts)
							continue;
						got = fl_windows_nth(&w, ts, k++);
						ends &= got.start == start && got.end == e;
					}
					windows &= fl_windows_count(&w, ts) == k;
				}
			}
	tap_ok(windows && ends, "cumulating windows grow by the step");
	tap_ok(slices, "and their slices fill them");
}

static void
test_windows(void)
{
	struct fl_windows w;
	struct fl_window got;
	struct fl_err err;

	fl_assert(fl_windows_tumble(&w, 10, -3, &err) == 0);
	got = fl_windows_nth(&w, 5, 0);
	tap_ok(fl_windows_count(&w, 5) == 1 && got.start == -3 && got.end == 7,
	       "a tumbling window");
	fl_assert(fl_windows_slide(&w, 10, 4, 0, &err) == 0);
	got = fl_windows_nth(&w, 7, 0);
	tap_ok(got.start == 0 && got.end == 10, "size 10 slide 4: 7 is in [0,10) first");
	got = fl_windows_nth(&w, 7, 1);
	tap_ok(fl_windows_count(&w, 7) == 2 && got.start == 4 && got.end == 14, "then in [4,14)");
	fl_assert(fl_windows_slide(&w, 3, 5, 0, &err) == 0);
	got = fl_windows_nth(&w, 7, 0);
	tap_ok(got.start == 5 && got.end == 8 && fl_windows_count(&w, 9) == 0,
	       "size 3 slide 5: 7 is in [5,8), 9 in none");
	got = fl_slice_at(&w, 9);
	tap_ok(got.start == 8 && got.end == 10, "9 is in the hole [8,10)");

	fl_assert(fl_windows_slide(&w, 10, 4, 0, &err) == 0);
	got = fl_windows_nth(&w, INT64_MAX - 1, fl_windows_count(&w, INT64_MAX - 1) - 1);
	tap_ok(got.start < INT64_MAX && got.end == INT64_MAX, "at the end of time ends saturate");
	got = fl_windows_nth(&w, INT64_MIN + 1, 0);
	tap_ok(got.start == INT64_MIN && got.end > INT64_MIN + 1, "at its beginning starts do");
	got = fl_slice_at(&w, INT64_MAX);
	tap_ok(got.end == INT64_MAX, "a slice at the end of time ends there");
	fl_assert(fl_windows_cumulate(&w, INT64_MAX, 1, 0, &err) == 0);
	got = fl_windows_nth(&w, -1, 0);
	tap_ok(got.start == -INT64_MAX && got.end == 0, "the longest window");

	got = (struct fl_window){ 0, 10 };
	tap_ok(fl_window_cleanup_time(&got, 0) == 9 && fl_window_cleanup_time(&got, 5) == 14 &&
		       fl_window_cleanup_time(&got, INT64_MAX) == INT64_MAX,
	       "cleanup time");
	tap_ok(fl_windows_tumble(&w, 0, 0, &err) == FL_EUSAGE, "refused: %s", err.msg);
	tap_ok(fl_windows_tumble(&w, 10, 10, &err) == FL_EUSAGE, "refused: %s", err.msg);
	tap_ok(fl_windows_tumble(&w, 10, -10, &err) == FL_EUSAGE, "refused: %s", err.msg);
	tap_ok(fl_windows_slide(&w, 10, 0, 0, &err) == FL_EUSAGE, "refused: %s", err.msg);
	tap_ok(fl_windows_slide(&w, 10, 5, 5, &err) == FL_EUSAGE, "refused: %s", err.msg);
	tap_ok(fl_windows_slide(&w, -1, 5, 0, &err) == FL_EUSAGE, "refused: %s", err.msg);
	tap_ok(fl_windows_cumulate(&w, 10, 3, 0, &err) == FL_EUSAGE, "refused: %s", err.msg);
	tap_ok(fl_windows_tumble(&w, INT64_MAX, INT64_MIN, &err) == FL_EUSAGE, "refused: %s",
	       err.msg);
}

int
main(void)
{
	test_calendar();
	for (size_t i = 0; i < FL_ARRAY_LEN(time_vectors); i++)
		test_vector(&time_vectors[i]);
	test_kind();
	test_configuration();
	test_column();
	test_column_shapes();
	test_format();
	test_round_trip(NULL);
	test_round_trip("Europe/Berlin");
	test_round_trip("America/St_Johns");
	test_zones();
	test_local();
	test_durations();
	test_sizes();
	test_window_start();
	test_windows();
	test_windows_by_force();
	return tap_done();
}
