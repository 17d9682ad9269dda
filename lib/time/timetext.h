/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grammars of time texts: from text to parts. Private to lib/time; what is
 * done with the parts (zone, assumed year, range) is in timefmt.c.
 */
#ifndef FL_TIME_TIMETEXT_H
#define FL_TIME_TIMETEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "time/timefmt.h"

/* What a text said. Numbers are as written: "30 February" is possible here. */
struct fl_timeparts {
	int32_t year, month, day;     /* 1970-01-01 where nothing was said */
	int32_t hour, minute, second; /* second may be 60 */
	int32_t ms;        /* cut off behind the third digit */
	int32_t yearday;   /* 1..366 instead of month and day; 0: not given */
	int32_t offset_s;  /* where has_zone */
	bool has_year;
	bool has_zone;
	bool finer;        /* digits that are not 0 were cut off */
	bool has_epoch;    /* seconds instead of a date; negative ones count, with */
	bool epoch_negative; /* their fraction, from 1970 backward */
	int64_t epoch_s;
};

/*
 * Each reads the whole text p[0..n) and gives FL_TIME_OK, or FL_TIME_NO_TIME
 * where it does not have the form, FL_TIME_NO_OFFSET for an impossible zone.
 */
enum fl_time_fault fl_timetext_iso(const char *p, size_t n, struct fl_timeparts *ret);
enum fl_time_fault fl_timetext_clf(const char *p, size_t n, struct fl_timeparts *ret);
enum fl_time_fault fl_timetext_rfc2822(const char *p, size_t n, struct fl_timeparts *ret);
enum fl_time_fault fl_timetext_syslog(const char *p, size_t n, struct fl_timeparts *ret);

/* By a strptime format that fl_timetext_check_pattern has accepted. */
enum fl_time_fault fl_timetext_pattern(const char *pattern, const char *p, size_t n,
				       struct fl_timeparts *ret);

/* Check a strptime format; whether it tells a date that wants a year. FL_EUSAGE. */
int fl_timetext_check_pattern(const char *pattern, bool *ret_wants_year, struct fl_err *err);

#endif
