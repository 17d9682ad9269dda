/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time formats: from text to milliseconds, as --time-format, --tz and
 * --assume-year say.
 *
 *	struct fl_timefmt f;
 *	if (fl_timefmt_init(&f, "auto", NULL, FL_YEAR_NONE, &err) < 0) …
 *	if (fl_timefmt_parse(&f, p, n, &ms) < 0)
 *		fl_timefmt_why(&f, p, n, reason, sizeof reason);
 *	fl_timefmt_release(&f);
 *
 * Formats
 *	auto      the first value that is a time decides between iso, epoch by
 *	          its magnitude (below 1e11 s, below 1e14 ms, below 1e17 us,
 *	          else ns), and clf; then every other kind is an error, also a
 *	          number of another magnitude
 *	iso       2023-11-14T22:13:20.488Z: ISO 8601 and RFC 3339. Any fraction
 *	          (after . or ,), Z, +hh, +hhmm, +hh:mm, UTC, or no zone; T or a
 *	          space; seconds optional; 2023-11-14 alone; 20231114T221320Z
 *	epoch     seconds, may be negative and have a fraction; epoch-s is the
 *	          same word; epoch-ms, epoch-us, epoch-ns: other units
 *	clf       [10/Oct/2000:13:55:36 -0700], with or without the brackets
 *	rfc2822   Thu, 21 Dec 2000 16:01:07 +0200; the weekday is not checked
 *	syslog    Oct  9 22:33:20, RFC 3164; needs assume_year; ISO 8601 as well, which
 *	          the same files have
 *	%…        a strptime format: %d.%m.%Y %H:%M and so on, FL_TIME_DIRECTIVES.
 *	          %f and %N are fractions of a second of any length; %z is Z,
 *	          +hh:mm, +hhmm or a zone of RFC 2822; white space matches any
 *
 * Rules common to all
 *	- What is finer than a millisecond is cut off toward minus infinity.
 *	- A time of day of 24:00:00 is the next midnight, a 60th second the first
 *	  of the next minute, both as in PostgreSQL; other dates and times that
 *	  do not exist are errors, as is what falls outside the years 0..9999.
 *	- No zone in the text: tz, or UTC where it is NULL. In a gap or overlap of
 *	  local time: time/zone.h.
 *	- No space around the value: it is not part of a time.
 */
#ifndef FL_TIME_TIMEFMT_H
#define FL_TIME_TIMEFMT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "time/zone.h"

#define FL_YEAR_NONE (-1)
#define FL_YEAR_LATEST (-2) /* the latest that fl_timefmt_set_latest allows */

/* What %-directives a strptime format may have, for messages and manuals. */
#define FL_TIME_DIRECTIVES \
	"%Y %y %m %b %B %h %d %e %j %a %A %H %k %I %l %M %S %p %f %N %s %z %Z %F %T %R %D %n %t %%"

/* The milliseconds of 0000-01-01T00:00:00Z and of the end of year 9999. */
#define FL_TIME_TEXT_FIRST INT64_C(-62167219200000)
#define FL_TIME_TEXT_LAST INT64_C(253402300799999)

/* What a text is read as. The numbers stand in checkpoints: never change one. */
enum fl_time_kind {
	FL_TIME_UNDECIDED = 0, /* auto, before the first value */
	FL_TIME_ISO = 1,
	FL_TIME_EPOCH_S = 2,
	FL_TIME_EPOCH_MS = 3,
	FL_TIME_EPOCH_US = 4,
	FL_TIME_EPOCH_NS = 5,
	FL_TIME_CLF = 6,
	FL_TIME_RFC2822 = 7,
	FL_TIME_SYSLOG = 8,
	FL_TIME_STRPTIME = 9,
};

/* What can be wrong with a text; fl_timefmt_why says it in words. */
enum fl_time_fault {
	FL_TIME_OK = 0,
	FL_TIME_NO_TIME,   /* does not look like the format */
	FL_TIME_OTHER,     /* auto: a time, but of another kind than the first */
	FL_TIME_NO_DATE,   /* 30 February */
	FL_TIME_NO_CLOCK,  /* 25:00 */
	FL_TIME_NO_OFFSET, /* +99:00 */
	FL_TIME_TOO_FAR,   /* outside the years 0..9999 */
};

/*
 * All members are private but zoneless, yearless and assume_year. One struct serves one column: its
 * caches live on values that resemble the one before.
 */
struct fl_timefmt {
	bool zoneless;  /* a value came without zone though no tz was given: for one warning */
	bool yearless;  /* FL_YEAR_LATEST gave a value its year: for one warning */
	bool is_auto;
	bool has_tz;    /* tz was given */
	uint8_t kind;   /* enum fl_time_kind */
	uint8_t fault;  /* enum fl_time_fault of the last parse */
	int assume_year;
	int64_t latest_ms; /* FL_YEAR_LATEST: no time is after this */
	char *pattern;  /* FL_TIME_STRPTIME; owned */
	struct fl_zone *zone; /* of text without a zone; owned; NULL: UTC */

	uint64_t units_min; /* auto: which epoch numbers are of this kind */
	uint64_t units_max;

	uint64_t date_a, date_b; /* bytes 0-7 and 3-10 of the last iso value */
	int64_t date_ms;         /* its midnight, as if UTC */
	uint64_t clf_a, clf_b;   /* bytes 0-7 and 4-11 of the last clf value */
	uint64_t clf_zone;       /* bytes 18-25 of it, without the second */
	int64_t clf_ms;          /* its midnight, in UTC */
	struct fl_zone_span span;/* of zone, in local time */
};

/*
 * Prepare f. format: see above, NULL is auto. tz: a name for fl_zone_open, NULL:
 * not given, UTC. assume_year: 0..9999, FL_YEAR_NONE or FL_YEAR_LATEST. FL_EUSAGE: unknown format
 * or directive, unknown zone, a format without a year and no assume_year; after
 * an error there is nothing to release.
 */
int fl_timefmt_init(struct fl_timefmt *f, const char *format, const char *tz, int assume_year,
		    struct fl_err *err);

/*
 * For FL_YEAR_LATEST: a time without a year is that of the latest year in which it is
 * not more than a day (zones differ) after now_ms, which is when the text was written.
 */
void fl_timefmt_set_latest(struct fl_timefmt *f, int64_t now_ms);

void fl_timefmt_release(struct fl_timefmt *f); /* a zeroed struct is fine */

/* The kind in use, for a checkpoint; auto that has seen nothing is FL_TIME_UNDECIDED. */
enum fl_time_kind fl_timefmt_kind(const struct fl_timefmt *f);

/*
 * Go on as a checkpoint says. FL_ECONFIG where the format does not allow it: not
 * auto, and another kind; or a number that is no kind auto chooses.
 */
int fl_timefmt_set_kind(struct fl_timefmt *f, int kind, struct fl_err *err);

/* Whether --assume-year gives the year of the values: worth one warning. */
bool fl_timefmt_assumes_year(const struct fl_timefmt *f);

/* Milliseconds of the text p[0..n): 0, or -1 and *ret_ms is untouched. */
int fl_timefmt_parse(struct fl_timefmt *f, const char *p, size_t n, int64_t *ret_ms);

/*
 * Parse a TEXT column of n values, where value i is
 * bytes[off[i * stride] + gap .. off[i * stride + 1]) (stream/batch.h). Gives the
 * same as fl_timefmt_parse on each, faster, and reads no byte outside a value.
 * Returns how many were parsed before the first that is no time: n if all were;
 * else fl_timefmt_why speaks of that one.
 */
size_t fl_timefmt_parse_column(struct fl_timefmt *f, const char *bytes, const uint32_t *off,
			       uint32_t stride, uint32_t gap, size_t n, int64_t *ret_ms);

/*
 * Why the last parse of p[0..n) failed, fit for a user: 'not a time: "abc"
 * (expected …)'. The text is shortened and its control bytes are escaped. Always
 * ends in a NUL; cap >= 1.
 */
void fl_timefmt_why(const struct fl_timefmt *f, const char *p, size_t n, char *buf, size_t cap);

#endif
