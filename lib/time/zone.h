/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time zones, read from the system's zoneinfo files.
 *
 * glibc's localtime and mktime know one zone a process, take a lock and look at
 * the environment. Here a zone is a value: a sorted table of changes, read once
 * (TZif, RFC 8536) and continued beyond the end of the file by its rule. The
 * Gregorian calendar repeats every 400 years, so the table covers that long
 * and any later time is looked up in it.
 *
 * Local times that do not name one moment
 *	gap      (clocks go forward) read with the offset before the change, so
 *	         02:30 becomes 03:30: as PostgreSQL, Java and Flink do
 *	overlap  (clocks go back) the first of the two, the one in summer time:
 *	         as Java and Flink do
 *
 * A zone does not change after it was opened, and may be shared.
 */
#ifndef FL_TIME_ZONE_H
#define FL_TIME_ZONE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define FL_ZONEINFO_DIR "/usr/share/zoneinfo"

struct fl_zone;

/* Milliseconds [from, until) in which a zone does not change. */
struct fl_zone_span {
	int64_t from;
	int64_t until;
	int32_t offset_s; /* local time minus UTC, in seconds */
};

/*
 * Open a zone by name: an IANA name ("Europe/Berlin"), "UTC" or "GMT" (need no
 * file), a fixed offset ("+05:30"), or "local": what TZ says, else
 * /etc/localtime. The caller frees it with fl_zone_free.
 *
 * NULL and FL_EUSAGE: a name that is none, or not one of this system; FL_EDATA:
 * a damaged file, or one that counts leap seconds.
 */
struct fl_zone *fl_zone_open(const char *name, struct fl_err *err);

/* The same from the bytes of a TZif file; name is for messages. */
struct fl_zone *fl_zone_from_tzif(const char *name, const void *p, size_t n, struct fl_err *err);

void fl_zone_free(struct fl_zone *zone); /* NULL is fine */

/* The name as it was given. zone may be NULL, which is UTC, here and below. */
const char *fl_zone_name(const struct fl_zone *zone);

/* Local time minus UTC in seconds at a moment; east is positive. */
int32_t fl_zone_utc_offset(const struct fl_zone *zone, int64_t at_ms);

/* The abbreviation in use at a moment: "CEST", "+0530". Lives as long as zone. */
const char *fl_zone_abbreviation(const struct fl_zone *zone, int64_t at_ms);

/* The offset at a moment and how long it holds, for callers that keep it. */
void fl_zone_span_at(const struct fl_zone *zone, int64_t at_ms, struct fl_zone_span *ret);

/* The same for a local time; from and until are local too. */
void fl_zone_span_at_local(const struct fl_zone *zone, int64_t local_ms, struct fl_zone_span *ret);

/* Local time to UTC and back, in ms; saturate at INT64_MIN and INT64_MAX. */
int64_t fl_zone_local_to_utc(const struct fl_zone *zone, int64_t local_ms);
int64_t fl_zone_utc_to_local(const struct fl_zone *zone, int64_t at_ms);

#endif
