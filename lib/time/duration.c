/* SPDX-License-Identifier: Apache-2.0 */
#include "time/duration.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

struct unit {
	const char *name;
	uint64_t ms;
};

/* From the largest to the smallest: the order in which they may stand. */
static const struct unit units[] = {
	{ "w", 604800000 }, { "d", 86400000 }, { "h", 3600000 },
	{ "m", 60000 },     { "s", 1000 },     { "ms", 1 },
};

static const char forms[] = "expected a duration such as 500ms, 10s, 5m, 1h30m or 1d";
static const char size_units[] = "KMGT";

/* Digits at *p, which is moved behind them; false: none, or too large. */
static bool
take_number(const char **p, uint64_t *ret)
{
	const char *start = *p;
	uint64_t v = 0;

	for (; **p >= '0' && **p <= '9'; (*p)++)
		if (__builtin_mul_overflow(v, UINT64_C(10), &v) ||
		    __builtin_add_overflow(v, (uint64_t)(**p - '0'), &v))
			return false;
	*ret = v;
	return *p > start;
}

/* The index of the unit at *p, which is moved behind it; -1: none. */
static int
take_unit(const char **p)
{
	size_t n = strspn(*p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

	for (size_t i = 0; i < FL_ARRAY_LEN(units); i++) {
		if (strlen(units[i].name) == n && strncmp(*p, units[i].name, n) == 0) {
			*p += n;
			return (int)i;
		}
	}
	return -1;
}

static int
bad_duration(const char *text, const char *what, struct fl_err *err)
{
	return fl_fail(err, FL_EUSAGE, "invalid duration \"%.100s\": %s (%s)", text, what, forms);
}

int
fl_duration_parse(const char *text, unsigned flags, int64_t *ret_ms, struct fl_err *err)
{
	static const char too_large[] = "too large";
	bool negative = *text == '-';
	uint64_t limit = (uint64_t)INT64_MAX + negative;
	uint64_t total = 0, number, part;
	const char *p = text;
	int last = -1;

	if (*p == '-' || *p == '+') {
		if (!(flags & FL_DURATION_SIGNED))
			return bad_duration(text, "a sign is not allowed here", err);
		p++;
	}
	if (*p == '\0')
		return bad_duration(text, "nothing there", err);
	if (p[0] == '0' && p[1] == '\0') {
		*ret_ms = 0;
		return 0;
	}
	while (*p) {
		int unit;

		if (*p < '0' || *p > '9')
			return bad_duration(text, "a whole number is missing", err);
		if (!take_number(&p, &number))
			return bad_duration(text, too_large, err);
		unit = take_unit(&p);
		if (unit < 0)
			return bad_duration(text, *p ? "unknown unit" : "the unit is missing", err);
		if (unit <= last)
			return bad_duration(text, "units go from large to small, each once", err);
		last = unit;
		if (__builtin_mul_overflow(number, units[unit].ms, &part) ||
		    __builtin_add_overflow(total, part, &total) || total > limit)
			return bad_duration(text, too_large, err);
	}
	*ret_ms = negative ? (int64_t)(0 - total) : (int64_t)total;
	return 0;
}

size_t
fl_duration_format(int64_t ms, char buf[FL_DURATION_TEXT_MAX])
{
	uint64_t rest = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
	size_t n = 0;

	if (ms == 0)
		return (size_t)snprintf(buf, FL_DURATION_TEXT_MAX, "0s");
	if (ms < 0)
		buf[n++] = '-';
	for (size_t i = 1; i < FL_ARRAY_LEN(units); i++) {
		uint64_t v = rest / units[i].ms;

		rest %= units[i].ms;
		if (v)
			n += (size_t)snprintf(buf + n, FL_DURATION_TEXT_MAX - n, "%" PRIu64 "%s", v,
					      units[i].name);
	}
	return n;
}

int
fl_size_parse(const char *text, uint64_t *ret_bytes, struct fl_err *err)
{
	static const char size_forms[] = "expected a size such as 64K, 16M or 1G";
	const char *p = text;
	const char *unit = NULL;
	unsigned shift = 0;
	uint64_t v;

	if (*p < '0' || *p > '9')
		return fl_fail(err, FL_EUSAGE, "invalid size \"%.100s\" (%s)", text, size_forms);
	if (!take_number(&p, &v))
		return fl_fail(err, FL_EUSAGE, "invalid size \"%.100s\": too large", text);
	if (*p) {
		unit = strchr(size_units, *p);
		if (!unit || p[1])
			return fl_fail(err, FL_EUSAGE, "invalid size \"%.100s\": unknown unit (%s)",
				       text, size_forms);
		shift = 10 * (unsigned)(unit - size_units + 1);
	}
	if (shift && v >> (64 - shift))
		return fl_fail(err, FL_EUSAGE, "invalid size \"%.100s\": too large", text);
	*ret_bytes = v << shift;
	return 0;
}

size_t
fl_size_format(uint64_t bytes, char buf[FL_SIZE_TEXT_MAX])
{
	size_t i = 0;

	while (bytes && bytes % 1024 == 0 && i < 4) {
		bytes /= 1024;
		i++;
	}
	if (i == 0)
		return (size_t)snprintf(buf, FL_SIZE_TEXT_MAX, "%" PRIu64, bytes);
	return (size_t)snprintf(buf, FL_SIZE_TEXT_MAX, "%" PRIu64 "%c", bytes, size_units[i - 1]);
}
