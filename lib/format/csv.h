/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comma-separated and tab-separated values: what reader and writer share.
 * Private to lib/format.
 *
 * CSV is RFC 4180, with any separator of one byte, LF or CRLF at the end of a
 * line, and any bytes in a field. TSV has no quotes: tab, line feed, carriage
 * return and backslash in a value are \t \n \r and \\, as Miller has them.
 */
#ifndef FL_FORMAT_CSV_H
#define FL_FORMAT_CSV_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

static inline bool
fl_csv_special(char c, char separator)
{
	return c == separator || c == '"' || c == '\n' || c == '\r';
}

/* Whether p[0..n) stands in CSV without quotes: none of separator, quote, CR, LF in it. */
static inline bool
fl_csv_plain(const char *p, size_t n, char separator)
{
	size_t i = 0;

#if defined(__SSE2__)
	for (; i + 16 <= n; i += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
		__m128i a = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
					 _mm_cmpeq_epi8(v, _mm_set1_epi8(separator)));
		__m128i b = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('\n')),
					 _mm_cmpeq_epi8(v, _mm_set1_epi8('\r')));

		if (_mm_movemask_epi8(_mm_or_si128(a, b)))
			return false;
	}
#endif
	for (; i < n; i++)
		if (fl_csv_special(p[i], separator))
			return false;
	return true;
}

#endif
