/* SPDX-License-Identifier: Apache-2.0 */
/* Integers to decimal digits, for writers: two digits at a time, no branches on locale. */
#ifndef FL_BASE_ITOA_H
#define FL_BASE_ITOA_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* "-9223372036854775808" */
#define FL_ITOA_MAX 20

static inline size_t
fl_utoa_length(uint64_t v)
{
	size_t n = 1;

	for (; v >= 10000; v /= 10000)
		n += 4;
	return n + (v >= 10) + (v >= 100) + (v >= 1000);
}

/* Write v as digits to `to`, which has room for FL_ITOA_MAX bytes; no NUL. The length. */
static inline size_t
fl_itoa(int64_t v, char *to)
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324"
				    "25262728293031323334353637383940414243444546474849"
				    "50515253545556575859606162636465666768697071727374"
				    "75767778798081828384858687888990919293949596979899";
	uint64_t u = v < 0 ? -(uint64_t)v : (uint64_t)v;
	size_t n = fl_utoa_length(u), sign = v < 0;
	char *end = to + sign + n;

	*to = '-';
	for (; u >= 100; u /= 100)
		memcpy(end -= 2, pairs + 2 * (u % 100), 2);
	if (u >= 10)
		memcpy(end - 2, pairs + 2 * u, 2);
	else
		end[-1] = (char)('0' + u);
	return sign + n;
}

#endif
