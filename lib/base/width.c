/* SPDX-License-Identifier: Apache-2.0 */
#include "base/width.h"

#include <stdbool.h>

#include "base/mem.h"

struct range {
	uint32_t first, last;
};

static bool
is_in(uint32_t c, const struct range *r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (c >= r[i].first && c <= r[i].last)
			return true;
	return false;
}

uint32_t
fl_char_width(uint32_t c)
{
	static const struct range zero[] = {
		{ 0x0300, 0x036f }, { 0x0483, 0x0489 }, { 0x0591, 0x05bd }, { 0x064b, 0x065f },
		{ 0x200b, 0x200f }, { 0x20d0, 0x20ff }, { 0xfe00, 0xfe0f }, { 0xfe20, 0xfe2f },
	};
	static const struct range two[] = {
		{ 0x1100, 0x115f },   { 0x2e80, 0x303e },   { 0x3041, 0xa4cf },
		{ 0xac00, 0xd7a3 },   { 0xf900, 0xfaff },   { 0xfe30, 0xfe6f },
		{ 0xff01, 0xff60 },   { 0xffe0, 0xffe6 },   { 0x1f300, 0x1f64f },
		{ 0x1f680, 0x1f6ff }, { 0x1f900, 0x1f9ff }, { 0x20000, 0x3fffd },
	};

	if (c < 0x300)
		return 1;
	if (is_in(c, zero, FL_ARRAY_LEN(zero)))
		return 0;
	return is_in(c, two, FL_ARRAY_LEN(two)) ? 2 : 1;
}

size_t
fl_char_at(const char *p, size_t n, uint32_t *ret)
{
	unsigned char c = (unsigned char)*p;
	size_t len = c < 0xc2 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 1;
	uint32_t v = len == 1 ? c : c & (0x7fu >> len);

	*ret = '?';
	if (len > n)
		return 1;
	for (size_t i = 1; i < len; i++) {
		if (((unsigned char)p[i] & 0xc0) != 0x80)
			return 1;
		v = v << 6 | ((unsigned char)p[i] & 0x3f);
	}
	*ret = v;
	return len;
}

size_t
fl_width_fit(const char *p, size_t n, uint32_t max, uint32_t *ret_width)
{
	uint32_t width = 0, c;
	size_t i = 0;

	while (i < n) {
		size_t len = fl_char_at(p + i, n - i, &c);
		uint32_t w = fl_char_width(c);

		if (w > max - width)
			break;
		width += w;
		i += len;
	}
	*ret_width = width;
	return i;
}
