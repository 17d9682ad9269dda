/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times: int64 milliseconds since 1970-01-01T00:00:00Z, and their text.
 *
 *	time/civil.h     years, months, days
 *	time/zone.h      time zones
 *	time/timefmt.h   from text (--time-format, --tz, --assume-year)
 *	here             to text; includes the others
 */
#ifndef FL_TIME_TIMESTAMP_H
#define FL_TIME_TIMESTAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "time/civil.h"
#include "time/timefmt.h"
#include "time/zone.h"

/* The first and the last watermark. */
#define FL_TIME_MIN INT64_MIN
#define FL_TIME_MAX INT64_MAX

/* "+292278994-08-17T07:12:55.807+14:00:00" and a NUL. */
#define FL_TIME_TEXT_MAX 40

/*
 * RFC 3339: "2026-11-21T10:05:00.000Z", without millis "2026-11-21T10:05:00Z"
 * (floored to the second), in a zone other than NULL "2026-11-21T11:05:00.000+01:00"
 * (with seconds, as PostgreSQL writes them, where an old offset has them). Years
 * outside 0..9999 take ISO 8601's expanded form: a sign and at least five digits.
 * Any ms will do. Returns the length without the final NUL.
 */
size_t fl_time_format(int64_t ms, const struct fl_zone *zone, bool millis,
		      char buf[FL_TIME_TEXT_MAX]);

#endif
