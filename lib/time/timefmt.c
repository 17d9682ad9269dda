/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three layers: the scalar parser, which defines what is a time; fast paths for
 * the layouts that logs are full of, which take a value only if they are sure
 * of it and leave the rest to the first; and the column loop.
 *
 * The fast paths read eight bytes at once and check and compute all of them
 * together. They rest on neighbours being alike: the bytes of the date are
 * compared with those of the value before, whose day is known.
 */
#include "time/timefmt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "time/civil.h"
#include "time/timetext.h"

#define QUOTED_MAX 60 /* bytes of a bad value that a message shows */

static const struct {
	const char *name;
	const char *example;
} kinds[] = {
	[FL_TIME_UNDECIDED] = { "auto", "ISO 8601, epoch s, ms, us or ns, or CLF" },
	[FL_TIME_ISO] = { "iso", "iso, as 2023-11-14T22:13:20.488Z" },
	[FL_TIME_EPOCH_S] = { "epoch", "epoch, as 1700000000" },
	[FL_TIME_EPOCH_MS] = { "epoch-ms", "epoch-ms, as 1700000000123" },
	[FL_TIME_EPOCH_US] = { "epoch-us", "epoch-us, as 1700000000123456" },
	[FL_TIME_EPOCH_NS] = { "epoch-ns", "epoch-ns, as 1700000000123456789" },
	[FL_TIME_CLF] = { "clf", "clf, as 10/Oct/2000:13:55:36 -0700" },
	[FL_TIME_RFC2822] = { "rfc2822", "rfc2822, as Thu, 21 Dec 2000 16:01:07 +0200" },
	[FL_TIME_SYSLOG] = { "syslog", "syslog, as Oct  9 22:33:20" },
};

/* ---- configuration ---- */

/* Choose how values are read; the caches are those of another kind. */
static void
use_kind(struct fl_timefmt *f, enum fl_time_kind kind)
{
	/* From which number on an epoch is taken for one of the next smaller unit. */
	static const uint64_t from[] = {
		[FL_TIME_EPOCH_S] = 0,
		[FL_TIME_EPOCH_MS] = UINT64_C(100000000000),      /* s: year 5138 */
		[FL_TIME_EPOCH_US] = UINT64_C(100000000000000),   /* ms: the same year */
		[FL_TIME_EPOCH_NS] = UINT64_C(100000000000000000),
	};

	f->kind = (uint8_t)kind;
	f->units_min = 0;
	f->units_max = UINT64_MAX;
	if (!f->is_auto || kind < FL_TIME_EPOCH_S || kind > FL_TIME_EPOCH_NS)
		return;
	f->units_min = from[kind];
	if (kind < FL_TIME_EPOCH_NS)
		f->units_max = from[kind + 1] - 1;
}

/* The kind that a word of --time-format names, or -1. */
static int
kind_of_name(const char *name)
{
	if (strcmp(name, "epoch-s") == 0)
		return FL_TIME_EPOCH_S;
	for (size_t i = 0; i < FL_ARRAY_LEN(kinds); i++)
		if (strcmp(name, kinds[i].name) == 0)
			return (int)i;
	return -1;
}

static int
choose_format(struct fl_timefmt *f, const char *format, struct fl_err *err)
{
	int kind = kind_of_name(format);
	bool wants_year = kind == FL_TIME_SYSLOG;

	if (kind < 0) {
		if (!strchr(format, '%'))
			return fl_fail(err, FL_EUSAGE, "unknown time format \"%.100s\" (expected "
				       "auto, iso, epoch, epoch-ms, epoch-us, epoch-ns, clf, "
				       "rfc2822, syslog, or a strptime format such as "
				       "\"%%d.%%m.%%Y %%H:%%M:%%S\")", format);
		if (fl_timetext_check_pattern(format, &wants_year, err) < 0)
			return err->code;
		kind = FL_TIME_STRPTIME;
	}
	if (wants_year && f->assume_year == FL_YEAR_NONE)
		return fl_fail(err, FL_EUSAGE, "time format \"%.100s\" has no year: say which one "
			       "it is with --assume-year", format);
	f->is_auto = kind == FL_TIME_UNDECIDED;
	if (kind == FL_TIME_STRPTIME)
		f->pattern = fl_xstrdup(format);
	use_kind(f, (enum fl_time_kind)kind);
	return 0;
}

int
fl_timefmt_init(struct fl_timefmt *f, const char *format, const char *tz, int assume_year,
		struct fl_err *err)
{
	int rc;

	*f = (struct fl_timefmt){ .assume_year = assume_year, .has_tz = tz != NULL };
	/* No text has these: the two words share bytes, which cannot be both. */
	f->date_a = f->clf_a = UINT64_MAX;
	if (assume_year != FL_YEAR_NONE && assume_year != FL_YEAR_LATEST && (assume_year < 0 || assume_year > 9999))
		return fl_fail(err, FL_EUSAGE, "--assume-year %d: a year is 0 to 9999",
			       assume_year);
	rc = choose_format(f, format ? format : "auto", err);
	if (rc == 0 && tz && strcmp(tz, "UTC") != 0) {
		f->zone = fl_zone_open(tz, err);
		rc = f->zone ? 0 : err->code;
	}
	if (rc < 0)
		fl_timefmt_release(f);
	return rc;
}

void
fl_timefmt_set_latest(struct fl_timefmt *f, int64_t now_ms)
{
	f->latest_ms = now_ms + FL_MS_PER_DAY;
}

void
fl_timefmt_release(struct fl_timefmt *f)
{
	free(f->pattern);
	fl_zone_free(f->zone);
	*f = (struct fl_timefmt){ 0 };
}

enum fl_time_kind
fl_timefmt_kind(const struct fl_timefmt *f)
{
	return (enum fl_time_kind)f->kind;
}

int
fl_timefmt_set_kind(struct fl_timefmt *f, int kind, struct fl_err *err)
{
	if (f->is_auto ? kind >= FL_TIME_UNDECIDED && kind <= FL_TIME_CLF : kind == f->kind) {
		use_kind(f, (enum fl_time_kind)kind);
		return 0;
	}
	return fl_fail(err, FL_ECONFIG, "the checkpoint was made with another --time-format");
}

bool
fl_timefmt_assumes_year(const struct fl_timefmt *f)
{
	bool wants_year = false;
	struct fl_err err;

	if (f->kind == FL_TIME_STRPTIME)
		(void)fl_timetext_check_pattern(f->pattern, &wants_year, &err);
	return wants_year || f->kind == FL_TIME_SYSLOG;
}

/* ---- the scalar parser ---- */

/* Local time of a text without a zone to UTC. */
static int64_t
local_to_utc(struct fl_timefmt *f, int64_t local)
{
	f->zoneless |= !f->has_tz;
	if (!f->zone)
		return local;
	if (local < f->span.from || local >= f->span.until)
		fl_zone_span_at_local(f->zone, local, &f->span);
	return local - f->span.offset_s * FL_MS_PER_SECOND; /* years 0..9999: no overflow */
}

static enum fl_time_fault
in_range(int64_t ms, int64_t *ret_ms)
{
	if (ms < FL_TIME_TEXT_FIRST || ms > FL_TIME_TEXT_LAST)
		return FL_TIME_TOO_FAR;
	*ret_ms = ms;
	return FL_TIME_OK;
}

/* Days since 1970 of the date in t. */
static enum fl_time_fault
date_of_parts(const struct fl_timefmt *f, const struct fl_timeparts *t, int64_t *ret_days)
{
	int32_t year = t->has_year || f->assume_year < 0 ? t->year : f->assume_year;

	if (t->yearday) {
		if (t->yearday > 365 + fl_is_leap_year(year))
			return FL_TIME_NO_DATE;
		*ret_days = fl_days_from_civil(year, 1, 1) + t->yearday - 1;
		return FL_TIME_OK;
	}
	if (t->month < 1 || t->month > 12 || t->day < 1 ||
	    t->day > fl_days_in_month(year, t->month))
		return FL_TIME_NO_DATE;
	*ret_days = fl_days_from_civil(year, t->month, t->day);
	return FL_TIME_OK;
}

static bool
is_clock(const struct fl_timeparts *t)
{
	if (t->hour == 24)
		return t->minute == 0 && t->second == 0 && t->ms == 0 && !t->finer;
	return t->hour < 24 && t->minute < 60 && t->second <= 60;
}

static enum fl_time_fault
ms_of_dated(struct fl_timefmt *f, const struct fl_timeparts *t, int64_t *ret_ms)
{
	enum fl_time_fault fault;
	int64_t days, ms;

	if (t->has_epoch) {
		ms = t->epoch_s * FL_MS_PER_SECOND + t->ms; /* 15 digits: no overflow */
		if (t->epoch_negative)
			ms = -ms - t->finer;
		return in_range(ms, ret_ms);
	}
	fault = date_of_parts(f, t, &days);
	if (fault)
		return fault;
	if (!is_clock(t))
		return FL_TIME_NO_CLOCK;
	ms = days * FL_MS_PER_DAY + t->hour * FL_MS_PER_HOUR + t->minute * FL_MS_PER_MINUTE +
	     t->second * FL_MS_PER_SECOND + t->ms;
	if (t->has_zone)
		ms -= t->offset_s * FL_MS_PER_SECOND;
	else
		ms = local_to_utc(f, ms);
	return in_range(ms, ret_ms);
}

/* How many years back a 29 February is found at the latest. */
#define LEAP_GAP 8

/* A time without a year: see fl_timefmt_set_latest. */
static enum fl_time_fault
ms_of_latest(struct fl_timefmt *f, struct fl_timeparts t, int64_t *ret_ms)
{
	enum fl_time_fault fault = FL_TIME_NO_DATE;
	struct fl_civil latest;

	fl_civil_from_ms(f->latest_ms, &latest);
	t.has_year = true;
	for (int32_t back = 0; back <= LEAP_GAP; back++) {
		int64_t ms;

		t.year = latest.year - back;
		fault = ms_of_dated(f, &t, &ms);
		if (fault && fault != FL_TIME_NO_DATE)
			return fault;
		if (fault || ms > f->latest_ms)
			continue;
		*ret_ms = ms;
		f->yearless = true;
		return FL_TIME_OK;
	}
	return fault;
}

static enum fl_time_fault
ms_of_parts(struct fl_timefmt *f, const struct fl_timeparts *t, int64_t *ret_ms)
{
	if (f->assume_year == FL_YEAR_LATEST && !t->has_year && !t->has_epoch)
		return ms_of_latest(f, *t, ret_ms);
	return ms_of_dated(f, t, ret_ms);
}

static size_t
count_digits(const char *p, size_t n)
{
	size_t i = 0;

	while (i < n && p[i] >= '0' && p[i] <= '9')
		i++;
	return i;
}

/* [-]digits[.digits], taken apart. */
struct number {
	bool negative;
	bool huge;      /* units does not fit */
	uint64_t units; /* before the point */
	uint32_t thousandths; /* the first three digits behind it */
	bool finer;     /* further digits that are not 0 */
};

static bool
read_number(const char *p, size_t n, struct number *ret)
{
	size_t digits, i;

	*ret = (struct number){ .negative = n > 0 && p[0] == '-' };
	p += ret->negative;
	n -= ret->negative;
	digits = count_digits(p, n);
	if (digits == 0)
		return false;
	for (i = 0; i < digits; i++)
		ret->huge |= __builtin_mul_overflow(ret->units, UINT64_C(10), &ret->units) ||
			     __builtin_add_overflow(ret->units, (uint64_t)(p[i] - '0'),
						    &ret->units);
	if (digits == n)
		return true;
	p += digits + 1;
	n -= digits + 1;
	if (p[-1] != '.' || n == 0 || count_digits(p, n) != n)
		return false;
	for (i = 0; i < 3; i++)
		ret->thousandths = ret->thousandths * 10 + (i < n ? (uint32_t)(p[i] - '0') : 0);
	for (; i < n; i++)
		ret->finer |= p[i] != '0';
	return true;
}

static enum fl_time_kind
kind_by_magnitude(const struct number *v)
{
	if (v->huge || v->units >= UINT64_C(100000000000000000))
		return FL_TIME_EPOCH_NS;
	if (v->units >= UINT64_C(100000000000000))
		return FL_TIME_EPOCH_US;
	return v->units >= UINT64_C(100000000000) ? FL_TIME_EPOCH_MS : FL_TIME_EPOCH_S;
}

static enum fl_time_fault
ms_of_number(enum fl_time_kind kind, const struct number *v, int64_t *ret_ms)
{
	uint64_t per_ms = kind == FL_TIME_EPOCH_NS ? 1000000 : kind == FL_TIME_EPOCH_US ? 1000 : 1;
	bool finer = v->finer;
	uint64_t ms;

	if (v->huge)
		return FL_TIME_TOO_FAR;
	if (kind == FL_TIME_EPOCH_S) {
		if (v->units > (uint64_t)FL_TIME_TEXT_LAST / 1000)
			return FL_TIME_TOO_FAR;
		ms = v->units * 1000 + v->thousandths;
	} else {
		ms = v->units / per_ms;
		finer |= v->units % per_ms != 0 || v->thousandths != 0;
	}
	if (ms > (uint64_t)FL_TIME_TEXT_LAST)
		return FL_TIME_TOO_FAR;
	return in_range(v->negative ? -(int64_t)ms - finer : (int64_t)ms, ret_ms);
}

/* Of the kinds auto knows, the one that the text may be. */
static enum fl_time_kind
detect(const char *p, size_t n)
{
	size_t digits = count_digits(p, n);
	struct number v;

	if (n && (p[0] == '[' || (digits && digits < n && p[digits] == '/')))
		return FL_TIME_CLF;
	return read_number(p, n, &v) ? kind_by_magnitude(&v) : FL_TIME_ISO;
}

static enum fl_time_fault
parse_number(const struct fl_timefmt *f, enum fl_time_kind kind, const char *p, size_t n,
	     int64_t *ret_ms)
{
	struct number v;

	if (!read_number(p, n, &v))
		return FL_TIME_NO_TIME;
	if (f->is_auto && kind_by_magnitude(&v) != kind)
		return FL_TIME_OTHER;
	return ms_of_number(kind, &v, ret_ms);
}

static enum fl_time_fault
parse_as(struct fl_timefmt *f, enum fl_time_kind kind, const char *p, size_t n, int64_t *ret_ms)
{
	enum fl_time_fault fault = FL_TIME_NO_TIME;
	struct fl_timeparts parts;

	switch (kind) {
	case FL_TIME_EPOCH_S:
	case FL_TIME_EPOCH_MS:
	case FL_TIME_EPOCH_US:
	case FL_TIME_EPOCH_NS:
		return parse_number(f, kind, p, n, ret_ms);
	case FL_TIME_CLF:
		fault = fl_timetext_clf(p, n, &parts);
		break;
	case FL_TIME_RFC2822:
		fault = fl_timetext_rfc2822(p, n, &parts);
		break;
	case FL_TIME_SYSLOG:
		fault = n && p[0] >= '0' && p[0] <= '9' ? fl_timetext_iso(p, n, &parts)
							: fl_timetext_syslog(p, n, &parts);
		break;
	case FL_TIME_STRPTIME:
		fault = fl_timetext_pattern(f->pattern, p, n, &parts);
		break;
	case FL_TIME_ISO:
		fault = fl_timetext_iso(p, n, &parts);
		break;
	case FL_TIME_UNDECIDED:
		break;
	}
	return fault ? fault : ms_of_parts(f, &parts, ret_ms);
}

int
fl_timefmt_parse(struct fl_timefmt *f, const char *p, size_t n, int64_t *ret_ms)
{
	enum fl_time_kind kind = (enum fl_time_kind)f->kind;
	enum fl_time_fault fault;

	if (kind == FL_TIME_UNDECIDED)
		kind = detect(p, n);
	fault = parse_as(f, kind, p, n, ret_ms);
	f->fault = (uint8_t)fault;
	if (fault)
		return -1;
	if (f->kind != (uint8_t)kind)
		use_kind(f, kind);
	return 0;
}

/* ---- fast paths ---- */

#define EACH_BYTE UINT64_C(0x0101010101010101)
#define HIGH_BITS (0x80 * EACH_BYTE)

/* Bytes in the order of the text, the first in the lowest bits. */
static inline uint64_t
load64(const char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

static inline uint32_t
load32(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap32(v);
#endif
	return v;
}

/*
 * "22:13:20" to the ms of the day; false for anything else, 24:00:00 and leap
 * seconds too. After the exclusive or each byte is its digit, and a colon 0. The
 * sum reaches the high bit of a byte that is above its limit: 2 for the first
 * digit, 5 for tens of minutes and seconds, 9, 0 for what must be a colon.
 */
static inline bool
fast_clock(const char *p, int64_t *ret_ms)
{
	uint64_t x = load64(p) ^ UINT64_C(0x30303a30303a3030);
	uint64_t two;
	uint32_t hour;

	if (((x + UINT64_C(0x767a7f767a7f767d)) | x) & HIGH_BITS)
		return false;
	two = x * 10 + (x >> 8);
	hour = two & 0xff;
	*ret_ms = (int64_t)((hour * 3600 + (two >> 24 & 0xff) * 60 + (two >> 48 & 0xff)) * 1000);
	return hour < 24;
}

/* ".488" to 488. */
static inline bool
fast_millis(const char *p, int64_t *ret_ms)
{
	uint32_t x = load32(p) ^ 0x3030302eu;

	if (((x + 0x7676767fu) | x) & 0x80808080u)
		return false;
	*ret_ms = (int64_t)((x >> 8 & 0xff) * 100 + (x >> 16 & 0xff) * 10 + (x >> 24));
	return true;
}

/* Eight digits to their number. */
static inline bool
fast_digits(uint64_t text, uint64_t *ret)
{
	uint64_t x = text ^ (0x30 * EACH_BYTE);
	uint64_t even, odd;

	if (((x + 0x76 * EACH_BYTE) | x) & HIGH_BITS)
		return false;
	x = x * 10 + (x >> 8); /* pairs, in bytes 0, 2, 4, 6 */
	even = x & UINT64_C(0x000000ff000000ff);
	odd = x >> 16 & UINT64_C(0x000000ff000000ff);
	/* The upper half becomes (pair0 * 100 + pair1) * 10000 + pair2 * 100 + pair3. */
	*ret = (even * (100 + (UINT64_C(1000000) << 32)) + odd * (1 + (UINT64_C(10000) << 32))) >>
	       32;
	return true;
}

/* Keep the day of "2023-11-14T"; false if that is none. */
static bool
learn_date(struct fl_timefmt *f, const char *p)
{
	struct fl_timeparts parts;
	int64_t days;

	if ((p[10] != 'T' && p[10] != ' ') || fl_timetext_iso(p, 10, &parts) ||
	    date_of_parts(f, &parts, &days))
		return false;
	f->date_a = load64(p);
	f->date_b = load64(p + 3);
	f->date_ms = days * FL_MS_PER_DAY;
	return true;
}

/* What stands behind the seconds. */
struct tail {
	int64_t millis;
	int64_t offset_ms; /* where zoned */
	bool zoned;
};

static inline bool
two_digits(const char *p, uint32_t max, uint32_t *ret)
{
	uint32_t tens = (uint32_t)(unsigned char)p[0] - '0';
	uint32_t ones = (uint32_t)(unsigned char)p[1] - '0';

	*ret = tens * 10 + ones;
	return tens <= 9 && ones <= 9 && *ret <= max;
}

/* Any fraction, then nothing, Z or +hh:mm: ".488123+01:00". */
static bool
fast_tail(const char *p, size_t n, struct tail *ret)
{
	uint32_t h, m;

	if (n && p[0] == '.') {
		size_t digits = count_digits(p + 1, n - 1);
		int32_t scale = 100;

		if (digits == 0)
			return false;
		for (size_t i = 1; i <= digits && i <= 3; i++, scale /= 10)
			ret->millis += (p[i] - '0') * scale;
		p += digits + 1;
		n -= digits + 1;
	}
	ret->zoned = n > 0;
	if (n == 0 || (n == 1 && p[0] == 'Z'))
		return true;
	if (n != 6 || (p[0] != '+' && p[0] != '-') || p[3] != ':' || !two_digits(p + 1, 23, &h) ||
	    !two_digits(p + 4, 59, &m))
		return false;
	ret->offset_ms = h * FL_MS_PER_HOUR + m * FL_MS_PER_MINUTE;
	if (p[0] == '-')
		ret->offset_ms = -ret->offset_ms;
	return true;
}

/* "2023-11-14T22:13:20", then perhaps ".488", then perhaps "Z" or "+01:00". */
static inline bool
fast_iso(struct fl_timefmt *f, const char *p, size_t n, int64_t *ret_ms)
{
	struct tail tail = { .zoned = n == 24 || n == 20 };
	int64_t ms;

	if (n < 19)
		return false;
	if ((load64(p) != f->date_a || load64(p + 3) != f->date_b) && !learn_date(f, p))
		return false;
	if (!fast_clock(p + 11, &ms))
		return false;
	if (n == 24 || n == 23) {
		if (!fast_millis(p + 19, &tail.millis) || (n == 24 && p[23] != 'Z'))
			return false;
	} else if (n == 20) {
		if (p[19] != 'Z')
			return false;
	} else if (!fast_tail(p + 19, n - 19, &tail)) {
		return false;
	}
	ms += f->date_ms + tail.millis - tail.offset_ms;
	if (!tail.zoned)
		ms = local_to_utc(f, ms);
	*ret_ms = ms;
	return ms >= FL_TIME_TEXT_FIRST && ms <= FL_TIME_TEXT_LAST;
}

/* "10/Oct/2000:13:55:36 -0700", also in brackets. */
static inline bool
fast_clf(struct fl_timefmt *f, const char *p, size_t n, int64_t *ret_ms)
{
	uint64_t a, b, zone;
	int64_t of_day;

	if (n == 28 && p[0] == '[' && p[27] == ']') {
		p++;
		n -= 2;
	}
	if (n != 26 || !fast_clock(p + 12, &of_day))
		return false;
	a = load64(p);
	b = load64(p + 4);
	zone = load64(p + 18) >> 16;
	if (a != f->clf_a || b != f->clf_b || zone != f->clf_zone) {
		int64_t ms;

		if (parse_as(f, FL_TIME_CLF, p, n, &ms))
			return false;
		f->clf_a = a;
		f->clf_b = b;
		f->clf_zone = zone;
		f->clf_ms = ms - of_day;
	}
	*ret_ms = f->clf_ms + of_day;
	return *ret_ms >= FL_TIME_TEXT_FIRST && *ret_ms <= FL_TIME_TEXT_LAST;
}

/* 9 to 16 digits: two words that overlap. */
static inline bool
fast_epoch(const struct fl_timefmt *f, const char *p, size_t n, int64_t *ret_ms)
{
	uint64_t high, low, zeros, v;

	if (n < 9 || n > 16)
		return false;
	/* The upper n - 8 digits, moved behind as many zeros as are missing. */
	zeros = 0x30 * EACH_BYTE >> 8 * (n - 8) % 64;
	high = n == 16 ? load64(p) : load64(p) << 8 * (16 - n) | zeros;
	if (!fast_digits(high, &v) || !fast_digits(load64(p + n - 8), &low))
		return false;
	v = v * 100000000 + low;
	if (v < f->units_min || v > f->units_max)
		return false;
	if (f->kind == FL_TIME_EPOCH_S)
		v *= 1000;
	else if (f->kind == FL_TIME_EPOCH_US)
		v /= 1000;
	else if (f->kind == FL_TIME_EPOCH_NS)
		v /= 1000000;
	*ret_ms = (int64_t)v;
	return v <= (uint64_t)FL_TIME_TEXT_LAST;
}

/* ---- columns ---- */

static inline bool
fast_parse(struct fl_timefmt *f, enum fl_time_kind kind, const char *p, size_t n, int64_t *ret_ms)
{
	switch (kind) {
	case FL_TIME_ISO:
		return fast_iso(f, p, n, ret_ms);
	case FL_TIME_CLF:
		return fast_clf(f, p, n, ret_ms);
	case FL_TIME_EPOCH_S:
	case FL_TIME_EPOCH_MS:
	case FL_TIME_EPOCH_US:
	case FL_TIME_EPOCH_NS:
		return fast_epoch(f, p, n, ret_ms);
	default:
		return false;
	}
}

size_t
fl_timefmt_parse_column(struct fl_timefmt *f, const char *bytes, const uint32_t *off,
			uint32_t stride, uint32_t gap, size_t n, int64_t *ret_ms)
{
	for (size_t i = 0; i < n; i++, off += stride) {
		uint32_t start = off[0] + gap; /* wraps: one before the first byte */
		const char *p = bytes + start;
		size_t len = off[1] - start;

		if (fast_parse(f, (enum fl_time_kind)f->kind, p, len, &ret_ms[i]))
			continue;
		if (fl_timefmt_parse(f, p, len, &ret_ms[i]) < 0)
			return i;
	}
	return n;
}

/* ---- messages ---- */

/* p[0..n) in quotes; to has room for four times QUOTED_MAX and some more. */
static void
quote(char *to, const char *p, size_t n)
{
	size_t shown = n < QUOTED_MAX ? n : QUOTED_MAX;

	*to++ = '"';
	for (size_t i = 0; i < shown; i++) {
		unsigned char ch = (unsigned char)p[i];

		if (ch == '"' || ch == '\\')
			*to++ = '\\';
		if (ch < 0x20 || ch >= 0x7f)
			to += snprintf(to, 5, "\\x%02x", ch);
		else
			*to++ = (char)ch;
	}
	(void)memcpy(to, shown < n ? "…\"" : "\"", shown < n ? sizeof "…\"" : sizeof "\"");
}

/* The name of a format other than auto's choice that reads the text, or NULL. */
static const char *
other_format(const struct fl_timefmt *f, const char *p, size_t n)
{
	struct fl_timefmt scratch = { .is_auto = true, .has_tz = true, .assume_year = 2000 };
	int64_t ms;

	if (!f->is_auto)
		return NULL;
	if (fl_timefmt_parse(&scratch, p, n, &ms) == 0)
		return kinds[scratch.kind].name;
	if (parse_as(&scratch, FL_TIME_RFC2822, p, n, &ms) == FL_TIME_OK)
		return kinds[FL_TIME_RFC2822].name;
	if (parse_as(&scratch, FL_TIME_SYSLOG, p, n, &ms) == FL_TIME_OK)
		return kinds[FL_TIME_SYSLOG].name;
	return NULL;
}

/*
 * The strptime format that reads a time of which auto knows nothing, or NULL:
 * the ones that logs have. What may be read in two ways is not among them.
 */
static const char *
likely_pattern(const struct fl_timefmt *f, const char *p, size_t n)
{
	static const char *const patterns[] = {
		"%a %b %d %H:%M:%S %Y",  "%a %b %d %H:%M:%S.%f %Y", "%a %b %d %H:%M:%S %Z %Y",
		"%Y-%m-%d-%H.%M.%S.%f",  "%Y-%m-%d-%H.%M.%S",       "%Y-%m-%d %H:%M:%S:%f",
		"%Y%m%d-%H:%M:%S:%f",    "%Y%m%d-%H:%M:%S.%f",      "%Y%m%d-%H:%M:%S",
		"%Y%m%d %H:%M:%S.%f",    "%Y%m%d %H:%M:%S",         "%Y%m%d %H%M%S",
		"%y%m%d %H%M%S",         "%y%m%d %H:%M:%S",         "%y/%m/%d %H:%M:%S",
		"%Y/%m/%d %H:%M:%S.%f",  "%Y/%m/%d %H:%M:%S",       "%Y/%m/%d-%H:%M:%S",
		"%Y.%m.%d %H:%M:%S.%f",  "%Y.%m.%d %H:%M:%S",       "%Y-%m-%d_%H:%M:%S",
		"%d.%m.%Y %H:%M:%S.%f",  "%d.%m.%Y %H:%M:%S",       "%d.%m.%Y %H:%M",
		"%d %b %Y %H:%M:%S.%f",  "%d %b %Y %H:%M:%S,%f",    "%d %b %Y %H:%M:%S",
		"%d-%b-%Y %H:%M:%S.%f",  "%d-%b-%Y %H:%M:%S",       "%d/%b/%Y %H:%M:%S",
		"%b %d, %Y %H:%M:%S",    "%b %d, %Y %I:%M:%S %p",   "%b %d %Y %H:%M:%S",
		"%m-%d %H:%M:%S.%f",     "%m-%d %H:%M:%S",          "%m.%d %H:%M:%S",
		"%m/%d %H:%M:%S",        "%b %d %H:%M:%S.%f",
	};
	struct fl_timefmt scratch = { .has_tz = true, .assume_year = 2000 };
	bool open = f->kind == FL_TIME_UNDECIDED || f->kind == FL_TIME_STRPTIME;
	int64_t ms;

	for (size_t i = 0; open && i < FL_ARRAY_LEN(patterns); i++) {
		struct fl_timeparts parts;

		if (fl_timetext_pattern(patterns[i], p, n, &parts) == FL_TIME_OK &&
		    ms_of_parts(&scratch, &parts, &ms) == FL_TIME_OK)
			return patterns[i];
	}
	return NULL;
}

static void
why_no_time(const struct fl_timefmt *f, const char *quoted, const char *other, const char *likely,
	    char *buf, size_t cap)
{
	const char *year = likely && !strchr(likely, 'Y') && !strchr(likely, 'y')
				   ? " --assume-year Y"
				   : "";

	if (other && f->kind != FL_TIME_UNDECIDED)
		(void)snprintf(buf, cap, "%s is a time of another kind (%s) than the first one "
			       "(%s)", quoted, other, kinds[f->kind].name);
	else if (other)
		(void)snprintf(buf, cap, "not a time: %s (it is one with --time-format %s)", quoted,
			       other);
	else if (likely)
		(void)snprintf(buf, cap, "not a time: %s (perhaps --time-format '%s'%s)", quoted,
			       likely, year);
	else if (f->kind == FL_TIME_STRPTIME)
		(void)snprintf(buf, cap, "not a time: %s (expected \"%.100s\")", quoted,
			       f->pattern);
	else
		(void)snprintf(buf, cap, "not a time: %s (expected %s%s)", quoted,
			       kinds[f->kind].example,
			       f->kind == FL_TIME_UNDECIDED ? "; others: --time-format" : "");
}

void
fl_timefmt_why(const struct fl_timefmt *f, const char *p, size_t n, char *buf, size_t cap)
{
	static const char *const what[] = {
		[FL_TIME_OK] = "a time",
		[FL_TIME_NO_DATE] = "no such date",
		[FL_TIME_NO_CLOCK] = "no such time of day",
		[FL_TIME_NO_OFFSET] = "no such offset from UTC",
		[FL_TIME_TOO_FAR] = "time outside the years 0000 to 9999",
	};
	char quoted[4 * QUOTED_MAX + 8];

	quote(quoted, p, n);
	if (f->fault == FL_TIME_NO_TIME || f->fault == FL_TIME_OTHER)
		why_no_time(f, quoted, other_format(f, p, n), likely_pattern(f, p, n),
			    buf, cap);
	else
		(void)snprintf(buf, cap, "%s: %s", what[f->fault], quoted);
}
