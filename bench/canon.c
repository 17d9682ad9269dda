/* SPDX-License-Identifier: Apache-2.0
 *
 * canon: makes the results of different engines comparable.
 *
 *	canon --digest FILE	prints "ROWS DIGEST", whatever the order of the rows
 *	canon --rows FILE	prints the rows in their common spelling
 *
 * The first line (the header) is left out: engines name columns differently, the
 * order of the columns is what must agree. A field loses its quotes; a time in any
 * ISO 8601 spelling becomes milliseconds of the epoch (no zone means UTC); 12.0
 * becomes 12. The digest is the sum of the rows' hashes, so equal multisets of
 * rows, and for all practical purposes no others, have equal digests.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TIME_DATE = 10,			/* length of 2023-11-14 */
	TIME_SECONDS = 19,		/* length of 2023-11-14T22:13:20 */
};

struct text {
	char *data;
	size_t size;
};

static bool all_digits(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isdigit((unsigned char)p[i]))
			return false;
	return n > 0;
}

static int digits(const char *p, size_t n)
{
	int value = 0;

	for (size_t i = 0; i < n; i++)
		value = value * 10 + (p[i] - '0');
	return value;
}

/* Days since 1970-01-01 of a date in the Gregorian calendar. */
static int64_t day_number(int year, int month, int day)
{
	/* Years that begin in March have the leap day at their end. */
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t m = month <= 2 ? month + 9 : month - 3;

	return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719468;
}

static bool has_shape_of_time(struct text f)
{
	return f.size >= TIME_SECONDS && all_digits(f.data, 4) && f.data[4] == '-' &&
	       all_digits(f.data + 5, 2) && f.data[7] == '-' && all_digits(f.data + 8, 2) &&
	       (f.data[TIME_DATE] == 'T' || f.data[TIME_DATE] == ' ') &&
	       all_digits(f.data + 11, 2) && f.data[13] == ':' &&
	       all_digits(f.data + 14, 2) && f.data[16] == ':' && all_digits(f.data + 17, 2);
}

/* Z, +00, +00:00, +0000 or nothing: all that a UTC time ends with. */
static bool is_utc(const char *p, size_t n)
{
	static const char *const zones[] = { "", "Z", "+00", "+00:00", "+0000", " UTC" };

	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++)
		if (strlen(zones[i]) == n && memcmp(zones[i], p, n) == 0)
			return true;
	return false;
}

static bool parse_time(struct text f, int64_t *ms)
{
	size_t i = TIME_SECONDS;
	int64_t seconds;
	int milli = 0;

	if (!has_shape_of_time(f))
		return false;
	if (i < f.size && f.data[i] == '.') {
		int scale = 100;

		for (i++; i < f.size && isdigit((unsigned char)f.data[i]); i++) {
			milli += (f.data[i] - '0') * scale;
			scale /= 10;
		}
	}
	if (!is_utc(f.data + i, f.size - i))
		return false;
	seconds = day_number(digits(f.data, 4), digits(f.data + 5, 2), digits(f.data + 8, 2)) *
		  86400;
	seconds += digits(f.data + 11, 2) * 3600 + digits(f.data + 14, 2) * 60 +
		   digits(f.data + 17, 2);
	*ms = seconds * 1000 + milli;
	return true;
}

/* 12.0 and 12.000 are 12: some engines sum integers as floating point. */
static struct text strip_zero_fraction(struct text f)
{
	char *dot = memchr(f.data, '.', f.size);
	size_t whole;

	if (!dot || !all_digits(f.data, whole = (size_t)(dot - f.data)))
		return f;
	for (size_t i = whole + 1; i < f.size; i++)
		if (f.data[i] != '0')
			return f;
	f.size = whole;
	return f;
}

static struct text unquote(struct text f)
{
	if (f.size >= 2 && f.data[0] == '"' && f.data[f.size - 1] == '"') {
		f.data++;
		f.size -= 2;
	}
	return f;
}

/* Writes the common spelling of a line to `out`, which must hold 2 * size + 32. */
static size_t spell(struct text line, char *out)
{
	char *p = out;

	for (;;) {
		char *comma = memchr(line.data, ',', line.size);
		size_t size = comma ? (size_t)(comma - line.data) : line.size;
		struct text f = unquote((struct text){ line.data, size });
		int64_t ms;

		if (parse_time(f, &ms)) {
			p += sprintf(p, "%" PRId64, ms);
		} else {
			f = strip_zero_fraction(f);
			memcpy(p, f.data, f.size);
			p += f.size;
		}
		if (!comma)
			return (size_t)(p - out);
		*p++ = ',';
		line.data = comma + 1;
		line.size -= size + 1;
	}
}

/* FNV-1a, then a mixing step, as sums of plain FNV values could cancel out. */
static uint64_t hash(const char *p, size_t n)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)p[i]) * UINT64_C(0x100000001b3);
	h = (h ^ (h >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ (h >> 27)) * UINT64_C(0x94d049bb133111eb);
	return h ^ (h >> 31);
}

static int run(FILE *f, bool as_rows)
{
	struct text line = { .data = NULL };
	size_t room = 0, out_room = 0;
	char *out = NULL;
	uint64_t rows = 0, sum = 0;
	ssize_t n;

	for (bool header = true; (n = getline(&line.data, &room, f)) >= 0; header = false) {
		size_t size;

		line.size = (size_t)n;
		while (line.size > 0 && strchr("\r\n", line.data[line.size - 1]))
			line.size--;
		if (header)
			continue;
		if (out_room < 2 * line.size + 32) {
			out_room = 4 * line.size + 64;
			out = realloc(out, out_room);
			if (!out)
				return 71;
		}
		size = spell(line, out);
		rows++;
		sum += hash(out, size);
		if (as_rows) {
			out[size++] = '\n';
			fwrite(out, 1, size, stdout);
		}
	}
	if (!as_rows)
		printf("%" PRIu64 " %016" PRIx64 "\n", rows, sum);
	free(line.data);
	free(out);
	return ferror(f) || fflush(stdout) != 0 ? 74 : 0;
}

int main(int argc, char **argv)
{
	FILE *f;
	int code;

	if (argc != 3 || (strcmp(argv[1], "--digest") != 0 && strcmp(argv[1], "--rows") != 0)) {
		fprintf(stderr, "usage: canon --digest|--rows FILE\n");
		return 64;
	}
	f = fopen(argv[2], "r");
	if (!f) {
		fprintf(stderr, "canon: %s: %s\n", argv[2], strerror(errno));
		return 66;
	}
	code = run(f, argv[1][2] == 'r');
	fclose(f);
	return code;
}
