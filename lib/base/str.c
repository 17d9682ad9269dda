/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"

#define COMPARED_MAX 64 /* longer names are never "near" */

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

size_t
fl_edit_distance(const char *a, size_t an, const char *b, size_t bn, size_t limit)
{
	uint8_t row[COMPARED_MAX + 1], above[COMPARED_MAX + 1] = { 0 }, two[COMPARED_MAX + 1];
	size_t gap = an > bn ? an - bn : bn - an;

	if (an > COMPARED_MAX || bn > COMPARED_MAX || gap >= limit)
		return limit;
	for (size_t j = 0; j <= bn; j++)
		row[j] = (uint8_t)j;
	for (size_t i = 1; i <= an; i++) {
		uint8_t diagonal = row[0];

		memcpy(two, above, sizeof two); /* the row before the one before */
		memcpy(above, row, bn + 1);
		row[0] = (uint8_t)i;
		for (size_t j = 1; j <= bn; j++) {
			uint8_t up = row[j];
			uint8_t best = (uint8_t)(diagonal + (lower(a[i - 1]) != lower(b[j - 1])));

			best = up + 1 < best ? (uint8_t)(up + 1) : best;
			best = row[j - 1] + 1 < best ? (uint8_t)(row[j - 1] + 1) : best;
			if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
			    lower(a[i - 2]) == lower(b[j - 1]) && two[j - 2] + 1 < best)
				best = (uint8_t)(two[j - 2] + 1);
			row[j] = best;
			diagonal = up;
		}
	}
	return row[bn] < limit ? row[bn] : limit;
}

const char *
fl_nearest(const char *name, const char *const *names, size_t n)
{
	size_t len = strlen(name), distance = len > 1 ? len / 3 + 2 : 1; /* a letter is like any */
	const char *best = NULL;

	for (size_t i = 0; i < n; i++) {
		size_t d = fl_edit_distance(name, len, names[i], strlen(names[i]), distance);

		if (d < distance) {
			distance = d;
			best = names[i];
		}
	}
	return best;
}

size_t
fl_utf8_encode(uint32_t c, char out[4])
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}
