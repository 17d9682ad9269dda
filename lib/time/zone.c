/* SPDX-License-Identifier: Apache-2.0 */
#include "time/zone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "time/civil.h"

#define SECONDS_PER_DAY 86400
#define SECONDS_PER_CYCLE INT64_C(12622780800) /* 400 years: 146097 days, whole weeks */
#define FILE_MAX FL_KIB(1024)
#define NAME_MAX_LEN 128
#define TYPES_MAX 256
#define CHANGES_MAX 65536
#define OFFSET_MAX (26 * 3600)     /* as RFC 8536 has it */
#define RULE_FIRST_YEAR 1970       /* of a zone that is a rule and nothing else */
#define SECOND_MIN (INT64_MIN / 1000)
#define SECOND_MAX (INT64_MAX / 1000)

/* One kind of local time that a zone has or had. */
struct ltype {
	int32_t offset; /* seconds */
	char abbreviation[16];
};

/*
 * changes[i] holds from at[i] (UTC) and from local[i] (local time) on, and
 * changes[0] from the beginning of time. Offsets of neighbours may be equal.
 */
struct fl_zone {
	char name[NAME_MAX_LEN];
	size_t count;      /* >= 1 */
	int64_t *at;       /* seconds; at[0] = INT64_MIN */
	int64_t *local;    /* seconds; local[0] = INT64_MIN; ascending */
	uint16_t *type;
	size_t capacity;
	bool whole_rule;   /* the rule holds for the past too */
	int64_t cycle_end; /* seconds: later times repeat the 400 years before it */
	uint32_t type_count;
	struct ltype types[TYPES_MAX + 2];
};

/* When in a year a rule of POSIX changes the clock. */
struct rule_date {
	enum { RULE_JULIAN, RULE_DAY, RULE_WEEKDAY } form;
	int32_t day;     /* Jn: 1..365 without 29 February; n: 0..365 */
	int32_t month, week, weekday; /* Mm.w.d */
	int32_t seconds; /* local time of day, -167..167 hours */
};

struct rule {
	bool has_dst;
	uint16_t std, dst; /* index of types */
	struct rule_date start, end;
};

/* Text of a rule that is being read. */
struct cursor {
	const char *p;
	const char *end;
};

/* ---- the table ---- */

static struct fl_zone *
zone_new(const char *name)
{
	struct fl_zone *z = fl_xcalloc(1, sizeof *z);

	(void)snprintf(z->name, sizeof z->name, "%s", name);
	z->cycle_end = INT64_MAX;
	return z;
}

void
fl_zone_free(struct fl_zone *zone)
{
	if (!zone)
		return;
	free(zone->at);
	free(zone->local);
	free(zone->type);
	free(zone);
}

static void
add_change(struct fl_zone *z, int64_t at, uint16_t type)
{
	size_t i = z->count;
	int32_t before, after;

	if (z->count == z->capacity) {
		z->capacity = z->capacity ? 2 * z->capacity : 64;
		z->at = fl_xreallocarray(z->at, z->capacity, sizeof *z->at);
		z->local = fl_xreallocarray(z->local, z->capacity, sizeof *z->local);
		z->type = fl_xreallocarray(z->type, z->capacity, sizeof *z->type);
	}
	z->count++;
	z->type[i] = type;
	if (i == 0) {
		z->at[0] = z->local[0] = INT64_MIN;
		return;
	}
	/*
	 * In a gap and in an overlap the old offset counts for as long as it
	 * can: the later of the two readings is where the new one begins.
	 */
	before = z->types[z->type[i - 1]].offset;
	after = z->types[type].offset;
	z->at[i] = at;
	z->local[i] = at + (before > after ? before : after);
	if (z->local[i] < z->local[i - 1])
		z->local[i] = z->local[i - 1];
}

static uint16_t
add_type(struct fl_zone *z, int32_t offset, const char *abbreviation, size_t n)
{
	struct ltype *t = &z->types[z->type_count];

	t->offset = offset;
	(void)snprintf(t->abbreviation, sizeof t->abbreviation, "%.*s", (int)n, abbreviation);
	return (uint16_t)z->type_count++;
}

/* The last change that is not after s; sorted ascending, [0] is INT64_MIN. */
static size_t
find_change(const int64_t *sorted, size_t count, int64_t s)
{
	size_t low = 0;

	while (count > 1) {
		size_t half = count / 2;

		low += sorted[low + half] <= s ? half : 0;
		count -= half;
	}
	return low;
}

/* How far s must be moved, a multiple of 400 years, to be looked up in the table. */
static int64_t
cycle_shift(const struct fl_zone *z, int64_t s)
{
	int64_t start = z->cycle_end - SECONDS_PER_CYCLE;

	if (s >= z->cycle_end)
		return -((s - z->cycle_end) / SECONDS_PER_CYCLE + 1) * SECONDS_PER_CYCLE;
	if (z->whole_rule && s < start)
		return ((start - 1 - s) / SECONDS_PER_CYCLE + 1) * SECONDS_PER_CYCLE;
	return 0;
}

static int64_t
to_ms_saturated(int64_t s)
{
	if (s <= SECOND_MIN)
		return INT64_MIN;
	return s >= SECOND_MAX ? INT64_MAX : s * 1000;
}

static int64_t
add_saturated(int64_t a, int64_t b)
{
	int64_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return b < 0 ? INT64_MIN : INT64_MAX;
	return sum;
}

/* sorted is z->at or z->local. Returns the index of the type. */
static uint16_t
lookup(const struct fl_zone *z, const int64_t *sorted, int64_t ms, struct fl_zone_span *ret)
{
	int64_t s = fl_floor_div(ms, 1000);
	int64_t shift = cycle_shift(z, s);
	size_t i = find_change(sorted, z->count, s + shift);
	int64_t from = sorted[i];
	int64_t until = i + 1 < z->count ? sorted[i + 1] : INT64_MAX;

	/* A span must not reach out of the part of the table that stands for its time. */
	if (z->cycle_end != INT64_MAX) {
		int64_t start = z->cycle_end - SECONDS_PER_CYCLE;

		if (until > z->cycle_end)
			until = z->cycle_end;
		if (from < start && (shift || z->whole_rule))
			from = start;
	}
	ret->from = from == INT64_MIN ? INT64_MIN : to_ms_saturated(from - shift);
	ret->until = until == INT64_MAX ? INT64_MAX : to_ms_saturated(until - shift);
	ret->offset_s = z->types[z->type[i]].offset;
	return z->type[i];
}

void
fl_zone_span_at(const struct fl_zone *zone, int64_t at_ms, struct fl_zone_span *ret)
{
	if (zone)
		(void)lookup(zone, zone->at, at_ms, ret);
	else
		*ret = (struct fl_zone_span){ INT64_MIN, INT64_MAX, 0 };
}

void
fl_zone_span_at_local(const struct fl_zone *zone, int64_t local_ms, struct fl_zone_span *ret)
{
	if (zone)
		(void)lookup(zone, zone->local, local_ms, ret);
	else
		*ret = (struct fl_zone_span){ INT64_MIN, INT64_MAX, 0 };
}

const char *
fl_zone_name(const struct fl_zone *zone)
{
	return zone ? zone->name : "UTC";
}

int32_t
fl_zone_utc_offset(const struct fl_zone *zone, int64_t at_ms)
{
	struct fl_zone_span span;

	fl_zone_span_at(zone, at_ms, &span);
	return span.offset_s;
}

const char *
fl_zone_abbreviation(const struct fl_zone *zone, int64_t at_ms)
{
	struct fl_zone_span span;

	return zone ? zone->types[lookup(zone, zone->at, at_ms, &span)].abbreviation : "UTC";
}

int64_t
fl_zone_local_to_utc(const struct fl_zone *zone, int64_t local_ms)
{
	struct fl_zone_span span;

	fl_zone_span_at_local(zone, local_ms, &span);
	return add_saturated(local_ms, -(int64_t)span.offset_s * 1000);
}

int64_t
fl_zone_utc_to_local(const struct fl_zone *zone, int64_t at_ms)
{
	return add_saturated(at_ms, (int64_t)fl_zone_utc_offset(zone, at_ms) * 1000);
}

/* ---- rules of POSIX: "CET-1CEST,M3.5.0,M10.5.0/3" ---- */

static bool
take(struct cursor *c, char ch)
{
	if (c->p == c->end || *c->p != ch)
		return false;
	c->p++;
	return true;
}

static bool
take_number(struct cursor *c, int32_t min, int32_t max, int32_t *ret)
{
	const char *start = c->p;
	int32_t v = 0;

	while (c->p < c->end && *c->p >= '0' && *c->p <= '9' && c->p - start < 4)
		v = v * 10 + (*c->p++ - '0');
	*ret = v;
	return c->p > start && v >= min && v <= max;
}

static bool
is_letter(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z');
}

static bool
take_abbreviation(struct cursor *c, struct cursor *ret)
{
	bool quoted = take(c, '<');

	ret->p = c->p;
	while (c->p < c->end && (quoted ? *c->p != '>' : is_letter(*c->p)))
		c->p++;
	ret->end = c->p;
	if (quoted && !take(c, '>'))
		return false;
	return ret->end - ret->p >= 3;
}

/* [+-]hh[:mm[:ss]] */
static bool
take_seconds(struct cursor *c, int32_t hours_max, int32_t *ret)
{
	bool negative = take(c, '-');
	int32_t h, m = 0, s = 0;

	if (!negative)
		(void)take(c, '+');
	if (!take_number(c, 0, hours_max, &h))
		return false;
	if (take(c, ':')) {
		if (!take_number(c, 0, 59, &m))
			return false;
		if (take(c, ':') && !take_number(c, 0, 59, &s))
			return false;
	}
	*ret = h * 3600 + m * 60 + s;
	if (negative)
		*ret = -*ret;
	return true;
}

static bool
take_rule_date(struct cursor *c, struct rule_date *d)
{
	bool ok;

	if (!take(c, ','))
		return false;
	if (take(c, 'M')) {
		d->form = RULE_WEEKDAY;
		ok = take_number(c, 1, 12, &d->month) && take(c, '.') &&
		     take_number(c, 1, 5, &d->week) && take(c, '.') &&
		     take_number(c, 0, 6, &d->weekday);
	} else if (take(c, 'J')) {
		d->form = RULE_JULIAN;
		ok = take_number(c, 1, 365, &d->day);
	} else {
		d->form = RULE_DAY;
		ok = take_number(c, 0, 365, &d->day);
	}
	d->seconds = 2 * 3600;
	if (ok && take(c, '/'))
		ok = take_seconds(c, 167, &d->seconds);
	return ok;
}

/* Read a rule and add its types to z. */
static bool
parse_rule(struct fl_zone *z, const char *p, size_t n, struct rule *r)
{
	/* Summer time without dates: the rule of the United States, as everywhere. */
	static const struct rule_date us_start = { RULE_WEEKDAY, 0, 3, 2, 0, 7200 };
	static const struct rule_date us_end = { RULE_WEEKDAY, 0, 11, 1, 0, 7200 };
	struct cursor c = { p, p + n };
	struct cursor name;
	int32_t west, dst_west;

	if (!take_abbreviation(&c, &name) || !take_seconds(&c, 24, &west))
		return false;
	r->std = add_type(z, -west, name.p, (size_t)(name.end - name.p));
	r->has_dst = c.p < c.end;
	if (!r->has_dst)
		return true;
	if (!take_abbreviation(&c, &name))
		return false;
	dst_west = west - 3600;
	if (c.p < c.end && *c.p != ',' && !take_seconds(&c, 24, &dst_west))
		return false;
	r->dst = add_type(z, -dst_west, name.p, (size_t)(name.end - name.p));
	if (c.p == c.end) {
		r->start = us_start;
		r->end = us_end;
		return true;
	}
	return take_rule_date(&c, &r->start) && take_rule_date(&c, &r->end) && c.p == c.end;
}

/* The local second at which d comes in a year. */
static int64_t
rule_second(const struct rule_date *d, int64_t year)
{
	int64_t day;

	if (d->form == RULE_WEEKDAY) {
		int64_t first = fl_days_from_civil(year, d->month, 1);
		int64_t weekday = fl_floor_mod(first + 4, 7);

		day = first + fl_floor_mod(d->weekday - weekday, 7) + (d->week - 1) * 7;
		if (day - first >= fl_days_in_month(year, d->month))
			day -= 7; /* week 5 is the last one */
	} else {
		day = fl_days_from_civil(year, 1, 1) + d->day;
		/* Jn: day 60 is 1 March in every year, day 1 is 1 January. */
		if (d->form == RULE_JULIAN && !(d->day > 59 && fl_is_leap_year(year)))
			day--;
	}
	return day * SECONDS_PER_DAY + d->seconds;
}

static void
add_rule_change(struct fl_zone *z, int64_t at, uint16_t type)
{
	if (at == z->at[z->count - 1])
		z->count--; /* summer time all the year: back and forth at once */
	if (at > z->at[z->count - 1])
		add_change(z, at, type);
}

/* Fill the table for 400 years behind its last change, and some more. */
static void
apply_rule(struct fl_zone *z, const struct rule *r)
{
	int32_t year = RULE_FIRST_YEAR, month, day;
	int32_t std = z->types[r->std].offset;
	int32_t dst;

	if (!r->has_dst)
		return;
	dst = z->types[r->dst].offset;
	if (z->count > 1)
		fl_civil_from_days(fl_floor_div(z->at[z->count - 1], SECONDS_PER_DAY), &year,
				   &month, &day);
	for (int64_t y = year; y <= year + 402; y++) {
		int64_t start = rule_second(&r->start, y) - std;
		int64_t end = rule_second(&r->end, y) - dst;

		if (start <= end) {
			add_rule_change(z, start, r->dst);
			add_rule_change(z, end, r->std);
		} else {
			add_rule_change(z, end, r->std);
			add_rule_change(z, start, r->dst);
		}
	}
	z->cycle_end = fl_days_from_civil((int64_t)year + 402, 1, 1) * SECONDS_PER_DAY;
}

/* A zone that is a rule, or NULL where text is none. */
static struct fl_zone *
zone_from_rule(const char *text)
{
	struct fl_zone *z = zone_new(text);
	struct rule r = { 0 };

	if (!parse_rule(z, text, strlen(text), &r)) {
		fl_zone_free(z);
		return NULL;
	}
	add_change(z, INT64_MIN, r.std);
	z->whole_rule = r.has_dst;
	apply_rule(z, &r);
	return z;
}

/* ---- TZif ---- */

/* The counts in a TZif header. */
struct tzif {
	const uint8_t *p; /* the data block */
	size_t size;      /* of the data block */
	char version;
	uint32_t isut, isstd, leap, change, type, chars;
};

static uint32_t
be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t
be_time(const uint8_t *p, size_t width)
{
	if (width == 4)
		return (int32_t)be32(p);
	return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

/* A header and data block at p[0..n), whose times have width bytes. */
static bool
tzif_block(const uint8_t *p, size_t n, size_t width, struct tzif *t)
{
	if (n < 44 || memcmp(p, "TZif", 4) != 0)
		return false;
	t->version = (char)p[4];
	t->isut = be32(p + 20);
	t->isstd = be32(p + 24);
	t->leap = be32(p + 28);
	t->change = be32(p + 32);
	t->type = be32(p + 36);
	t->chars = be32(p + 40);
	if (t->change > CHANGES_MAX || t->type > TYPES_MAX || t->leap > CHANGES_MAX ||
	    t->chars > FILE_MAX || t->isut > TYPES_MAX || t->isstd > TYPES_MAX)
		return false;
	t->p = p + 44;
	t->size = t->change * (width + 1) + t->type * 6 + t->chars + t->leap * (width + 4) +
		  t->isstd + t->isut;
	return t->size <= n - 44;
}

/* Types and changes of a block into z; false: damaged. */
static bool
tzif_load(struct fl_zone *z, const struct tzif *t, size_t width)
{
	const uint8_t *at = t->p;
	const uint8_t *index = at + t->change * width;
	const uint8_t *types = index + t->change;
	const char *chars = (const char *)types + t->type * 6;

	if (t->type == 0)
		return false;
	for (uint32_t i = 0; i < t->type; i++) {
		int32_t offset = (int32_t)be32(types + 6 * i);
		uint32_t from = types[6 * i + 5];

		if (offset < -OFFSET_MAX || offset > OFFSET_MAX || from >= t->chars)
			return false;
		(void)add_type(z, offset, chars + from, strnlen(chars + from, t->chars - from));
	}
	add_change(z, INT64_MIN, 0);
	for (uint32_t i = 0; i < t->change; i++) {
		int64_t when = be_time(at + i * width, width);

		if (index[i] >= t->type)
			return false;
		/* Before the Big Bang, as some files have it: the beginning of time. */
		if (when <= SECOND_MIN) {
			z->type[0] = index[i];
			continue;
		}
		if (when <= z->at[z->count - 1] || when >= SECOND_MAX)
			return false;
		add_change(z, when, index[i]);
	}
	return true;
}

/* The line behind the second block: newline, rule, newline. */
static bool
tzif_footer(struct fl_zone *z, const char *p, size_t n)
{
	struct rule r = { 0 };
	const char *newline;

	if (n < 2 || p[0] != '\n')
		return false;
	newline = memchr(p + 1, '\n', n - 1);
	if (!newline)
		return false;
	if (newline == p + 1)
		return true; /* no rule: the last offset stays */
	if (!parse_rule(z, p + 1, (size_t)(newline - p - 1), &r))
		return false;
	z->whole_rule = r.has_dst && z->count == 1;
	apply_rule(z, &r);
	return true;
}

struct fl_zone *
fl_zone_from_tzif(const char *name, const void *bytes, size_t n, struct fl_err *err)
{
	const uint8_t *p = bytes;
	size_t width = 4;
	struct fl_zone *z;
	struct tzif t;
	bool ok;

	if (n < 4 || memcmp(p, "TZif", 4) != 0) {
		(void)fl_fail(err, FL_EUSAGE, "\"%s\" is not a time zone", name);
		return NULL;
	}
	ok = tzif_block(p, n, width, &t);
	if (ok && t.version != '\0') { /* the same again with 64 bits */
		size_t skip = 44 + t.size;

		width = 8;
		p += skip;
		n -= skip;
		ok = tzif_block(p, n, width, &t);
	}
	if (ok && t.leap > 0) {
		(void)fl_fail(err, FL_EDATA, "time zone \"%s\" counts leap seconds, as no log "
			      "does; take it without \"right/\"", name);
		return NULL;
	}
	z = zone_new(name);
	ok = ok && tzif_load(z, &t, width);
	if (ok && width == 8)
		ok = tzif_footer(z, (const char *)p + 44 + t.size, n - 44 - t.size);
	if (!ok) {
		fl_zone_free(z);
		(void)fl_fail(err, FL_EDATA, "the file of time zone \"%s\" is damaged", name);
		return NULL;
	}
	return z;
}

/* ---- names ---- */

/* Read a whole small file; -1 and errno, or -1 and errno = EFBIG. */
static int
read_file(const char *path, struct fl_buf *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	ssize_t got = 0;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		(void)close(fd);
		errno = EISDIR;
		return -1;
	}
	while (ret->len <= FILE_MAX) {
		got = read(fd, fl_buf_reserve(ret, FL_KIB(8)), FL_KIB(8));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		ret->len += (size_t)got;
	}
	if (got > 0) {
		got = -1;
		errno = EFBIG;
	}
	(void)close(fd);
	return got < 0 ? -1 : 0;
}

static struct fl_zone *
open_path(const char *name, const char *path, struct fl_err *err)
{
	struct fl_buf file = { 0 };
	struct fl_zone *z = NULL;

	if (read_file(path, &file) == 0)
		z = fl_zone_from_tzif(name, file.data, file.len, err);
	else if (errno != ENOENT && errno != ENOTDIR && errno != EISDIR)
		(void)fl_fail_errno(err, FL_EUSAGE, errno, "time zone \"%s\": %s", name, path);
	else if (access(FL_ZONEINFO_DIR, F_OK) != 0)
		(void)fl_fail(err, FL_EUSAGE, "time zone \"%s\": there is no " FL_ZONEINFO_DIR
			      " on this system (package tzdata)", name);
	else
		(void)fl_fail(err, FL_EUSAGE, "unknown time zone \"%s\" (expected UTC, local, "
			      "+hh:mm or a name as in " FL_ZONEINFO_DIR ", such as Europe/Berlin)",
			      name);
	fl_buf_release(&file);
	return z;
}

/* Names are relative paths below the directory, and nothing else. */
static bool
is_zone_name(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n >= NAME_MAX_LEN || name[0] == '/' || strstr(name, ".."))
		return false;
	return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		      "0123456789+-_/.") == n;
}

static struct fl_zone *
open_name(const char *name, struct fl_err *err)
{
	char path[sizeof FL_ZONEINFO_DIR + NAME_MAX_LEN];

	if (!is_zone_name(name)) {
		(void)fl_fail(err, FL_EUSAGE, "\"%.100s\" is not the name of a time zone", name);
		return NULL;
	}
	(void)snprintf(path, sizeof path, "%s/%s", FL_ZONEINFO_DIR, name);
	return open_path(name, path, err);
}

/* "+05:30", or NULL. */
static struct fl_zone *
open_fixed(const char *name)
{
	struct cursor c = { name + 1, name + strlen(name) };
	struct fl_zone *z;
	int32_t h, m;

	if ((name[0] != '+' && name[0] != '-') || strlen(name) != 6 || name[3] != ':')
		return NULL;
	if (!take_number(&c, 0, 23, &h) || !take(&c, ':') || !take_number(&c, 0, 59, &m))
		return NULL;
	z = zone_new(name);
	h = h * 3600 + m * 60;
	add_change(z, INT64_MIN, add_type(z, name[0] == '-' ? -h : h, name, 6));
	return z;
}

static struct fl_zone *
zone_utc(const char *name)
{
	struct fl_zone *z = zone_new(name);

	add_change(z, INT64_MIN, add_type(z, 0, name, strlen(name)));
	return z;
}

/* What TZ means: ":name", a name, a path, or a rule; empty is UTC. */
static struct fl_zone *
open_local(struct fl_err *err)
{
	const char *tz = getenv("TZ");
	struct fl_zone *z;

	if (!tz) {
		if (access("/etc/localtime", F_OK) != 0)
			return zone_utc("UTC"); /* as everything on such a system has it */
		return open_path("local", "/etc/localtime", err);
	}
	if (tz[0] == ':')
		tz++;
	if (tz[0] == '\0')
		return zone_utc("UTC");
	if (tz[0] == '/')
		return open_path(tz, tz, err);
	z = is_zone_name(tz) ? open_name(tz, err) : NULL;
	if (!z)
		z = zone_from_rule(tz);
	if (!z)
		(void)fl_fail(err, FL_EUSAGE, "TZ is \"%.100s\", which is no time zone", tz);
	return z;
}

struct fl_zone *
fl_zone_open(const char *name, struct fl_err *err)
{
	struct fl_zone *z;

	if (strcmp(name, "local") == 0)
		return open_local(err);
	if (strcmp(name, "UTC") == 0 || strcmp(name, "GMT") == 0)
		return zone_utc(name);
	z = open_fixed(name);
	return z ? z : open_name(name, err);
}
