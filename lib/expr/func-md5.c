/* SPDX-License-Identifier: Apache-2.0 */
/* MD5 (RFC 1321), because PostgreSQL has it and keys are shortened with it. */
#include <math.h>

#include "expr/func-md5.h"

static uint32_t
rotate(uint32_t v, unsigned by)
{
	return v << by | v >> (32 - by);
}

static void
block(uint32_t state[4], const unsigned char *p)
{
	static const uint8_t turns[4][4] = { { 7, 12, 17, 22 }, { 5, 9, 14, 20 }, { 4, 11, 16, 23 },
					     { 6, 10, 15, 21 } };
	uint32_t a = state[0], b = state[1], c = state[2], d = state[3];

	for (unsigned i = 0; i < 64; i++) {
		unsigned round = i / 16;
		unsigned at = round == 0   ? i
			      : round == 1 ? 5 * i + 1
			      : round == 2 ? 3 * i + 5
					   : 7 * i;
		const unsigned char *w = p + 4 * (at % 16);
		uint32_t word = (uint32_t)w[0] | (uint32_t)w[1] << 8 | (uint32_t)w[2] << 16 |
				(uint32_t)w[3] << 24;
		uint32_t f = round == 0   ? (b & c) | (~b & d)
			     : round == 1 ? (d & b) | (~d & c)
			     : round == 2 ? b ^ c ^ d
					  : c ^ (b | ~d);
		uint32_t sine = (uint32_t)(int64_t)floor(fabs(sin(i + 1.0)) * 4294967296.0);

		f += a + sine + word;
		a = d;
		d = c;
		c = b;
		b += rotate(f, turns[round][i % 4]);
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
}

void
fl_x_md5(const char *p, size_t n, char hex[32])
{
	static const char digits[] = "0123456789abcdef";
	uint32_t state[4] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 };
	unsigned char last[128] = { 0 };
	size_t whole = n / 64 * 64, rest = n - whole, size = rest < 56 ? 64 : 128;
	uint64_t bit_count = (uint64_t)n * 8;

	for (size_t i = 0; i < whole; i += 64)
		block(state, (const unsigned char *)p + i);
	if (rest)
		memcpy(last, p + whole, rest);
	last[rest] = 0x80;
	for (unsigned i = 0; i < 8; i++)
		last[size - 8 + i] = (unsigned char)(bit_count >> (8 * i));
	for (size_t i = 0; i < size; i += 64)
		block(state, last + i);
	for (unsigned i = 0; i < 16; i++) {
		unsigned v = state[i / 4] >> (8 * (i % 4)) & 0xff;

		hex[2 * i] = digits[v >> 4];
		hex[2 * i + 1] = digits[v & 15];
	}
}
