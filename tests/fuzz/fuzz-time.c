/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target of lib/time, for libFuzzer or anything that calls
 * LLVMFuzzerTestOneInput:
 *
 *	clang -fsanitize=fuzzer,address,undefined -Ilib tests/fuzz/fuzz-time.c \
 *		lib/time/(all).c lib/base/err.c lib/base/mem.c
 *
 * The first byte says what the rest is:
 *	a column   second byte: format and zone; then values, one a line. The
 *	           column parser and the scalar one must agree on each
 *	a pattern  a strptime format, a newline, then values as above
 *	a zone     a TZif file, which must be refused or work
 *	a word     durations and sizes, which must be read back when written
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "time/duration.h"
#include "time/timestamp.h"

#define ROWS_MAX 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

/* What is accepted is within the promised years, and is read back when written. */
static void
check_time(int64_t ms)
{
	char text[FL_TIME_TEXT_MAX];
	struct fl_timefmt f;
	struct fl_err err;
	int64_t again;
	size_t n;

	must(ms >= FL_TIME_TEXT_FIRST && ms <= FL_TIME_TEXT_LAST);
	n = fl_time_format(ms, NULL, true, text);
	must(fl_timefmt_init(&f, "iso", NULL, FL_YEAR_NONE, &err) == 0);
	must(fl_timefmt_parse(&f, text, n, &again) == 0 && again == ms);
	fl_timefmt_release(&f);
}

/* Row i of the column by the scalar parser; whether it is a time. */
static bool
scalar_row(struct fl_timefmt *f, const char *text, const uint32_t *off, size_t i, int64_t *ret_ms)
{
	uint32_t start = off[i] + 1;
	size_t len = off[i + 1] - start;
	bool ok = fl_timefmt_parse(f, text + start, len, ret_ms) == 0;
	char why[100];

	if (ok) {
		check_time(*ret_ms);
	} else {
		fl_timefmt_why(f, text + start, len, why, sizeof why);
		must(strlen(why) > 0 && strlen(why) < sizeof why);
	}
	return ok;
}

static void
compare(struct fl_timefmt *column, struct fl_timefmt *scalar, const char *text, size_t n)
{
	uint32_t off[ROWS_MAX + 1] = { UINT32_MAX };
	int64_t got[ROWS_MAX], want;
	size_t rows = 0, row = 0;

	for (size_t i = 0; i <= n && rows < ROWS_MAX; i++)
		if (i == n || text[i] == '\n')
			off[++rows] = (uint32_t)i;
	while (row < rows) {
		size_t done = fl_timefmt_parse_column(column, text, off + row, 1, 1, rows - row,
						      got + row);

		for (size_t i = row; i < row + done; i++)
			must(scalar_row(scalar, text, off, i, &want) && want == got[i]);
		row += done;
		if (row < rows)
			must(!scalar_row(scalar, text, off, row, &want) &&
			     scalar->fault == column->fault);
		row++;
	}
	must(fl_timefmt_kind(column) == fl_timefmt_kind(scalar));
	must(column->zoneless == scalar->zoneless);
}

static void
fuzz_column(const char *format, const char *tz, const char *text, size_t n)
{
	struct fl_timefmt column, scalar;
	char *exact;
	struct fl_err err;

	if (fl_timefmt_init(&column, format, tz, 2024, &err) < 0)
		return;
	must(fl_timefmt_init(&scalar, format, tz, 2024, &err) == 0);
	exact = fl_xmalloc(n); /* without anything behind the last value */
	memcpy(exact, text, n);
	compare(&column, &scalar, exact, n);
	free(exact);
	fl_timefmt_release(&column);
	fl_timefmt_release(&scalar);
}

static void
fuzz_known(const char *p, size_t n)
{
	static const char *const formats[] = { "auto",     "iso",      "epoch", "epoch-ms",
					       "epoch-us", "epoch-ns", "clf",   "rfc2822",
					       "syslog",   "%Y-%m-%d %H:%M:%S.%f" };
	static const char *const zones[] = { NULL, "UTC", "+05:45", "Europe/Berlin" };
	unsigned choice;

	if (n == 0)
		return;
	choice = (unsigned char)p[0];
	fuzz_column(formats[choice % FL_ARRAY_LEN(formats)],
		    zones[choice / FL_ARRAY_LEN(formats) % FL_ARRAY_LEN(zones)], p + 1, n - 1);
}

static void
fuzz_pattern(const char *p, size_t n)
{
	const char *newline = memchr(p, '\n', n);
	char *pattern;

	if (!newline)
		return;
	pattern = fl_xstrndup(p, (size_t)(newline - p));
	fuzz_column(pattern, "America/New_York", newline + 1, (size_t)(p + n - newline - 1));
	free(pattern);
}

static void
fuzz_zone(const char *p, size_t n)
{
	static const int64_t probes[] = { INT64_MIN, INT64_MIN + 1, FL_TIME_TEXT_FIRST, -1, 0,
					  INT64_C(1700000000000), INT64_C(4000000000000),
					  FL_TIME_TEXT_LAST, INT64_MAX };
	char text[FL_TIME_TEXT_MAX];
	struct fl_zone_span span;
	struct fl_err err;
	struct fl_zone *zone = fl_zone_from_tzif("fuzz", p, n, &err);

	for (size_t i = 0; zone && i < FL_ARRAY_LEN(probes); i++) {
		must(fl_time_format(probes[i], zone, true, text) < FL_TIME_TEXT_MAX);
		must(strlen(fl_zone_abbreviation(zone, probes[i])) < 16);
		(void)fl_zone_local_to_utc(zone, probes[i]);
		fl_zone_span_at(zone, probes[i], &span);
		must(span.from <= probes[i]);
		must(span.until > probes[i] || probes[i] == INT64_MAX);
	}
	fl_zone_free(zone);
}

static void
fuzz_word(const char *p, size_t n)
{
	char *word = fl_xstrndup(p, n);
	char text[FL_DURATION_TEXT_MAX];
	char size_text[FL_SIZE_TEXT_MAX];
	int64_t ms, again_ms;
	uint64_t bytes, again;
	struct fl_err err;

	if (fl_duration_parse(word, FL_DURATION_SIGNED, &ms, &err) == 0) {
		(void)fl_duration_format(ms, text);
		must(fl_duration_parse(text, FL_DURATION_SIGNED, &again_ms, &err) == 0);
		must(again_ms == ms);
	}
	if (fl_size_parse(word, &bytes, &err) == 0) {
		(void)fl_size_format(bytes, size_text);
		must(fl_size_parse(size_text, &again, &err) == 0 && again == bytes);
	}
	free(word);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data + 1;

	if (size == 0)
		return 0;
	switch (data[0] % 4) {
	case 0: fuzz_known(p, size - 1); break;
	case 1: fuzz_pattern(p, size - 1); break;
	case 2: fuzz_zone(p, size - 1); break;
	default: fuzz_word(p, size - 1); break;
	}
	return 0;
}
