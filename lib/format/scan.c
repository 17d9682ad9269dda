/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each variant takes 64 bytes at a time, makes one bit a byte for each kind of
 * byte, and turns the bits of the delimiters into positions.
 */
#include "format/scan.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define BLOCK 64

/* One bit a byte of a block. */
struct masks {
	uint64_t newlines;
	uint64_t returns;
	uint64_t delimiters;
	uint64_t stops;
};

/* Keep what lies before the end of the text, and before the first stop byte. */
static inline void
cut(struct masks *m, size_t left)
{
	uint64_t keep = left < BLOCK ? ((uint64_t)1 << left) - 1 : ~(uint64_t)0;

	m->stops &= keep;
	if (m->stops)
		keep &= (m->stops & -m->stops) - 1;
	m->newlines &= keep;
	m->returns &= keep;
	m->delimiters &= keep;
}

/* ---- any processor ------------------------------------------------------ */

static size_t
scan_plain(const struct fl_scanner *s, const char *p, size_t from, size_t to, struct fl_scan *scan)
{
	uint32_t *off = scan->off;
	size_t pos;

	for (pos = from; pos < to; pos++) {
		uint8_t c = (uint8_t)p[pos];
		bool newline = c == '\n', ret = c == '\r';

		if (c == s->stop && s->stop_on)
			break;
		*off = (uint32_t)pos + scan->delta;
		off += newline | (c == s->separator) | (ret & (s->return_on != 0));
		scan->newlines += newline;
		scan->returns += ret;
	}
	scan->off = off;
	return pos;
}

#if defined(__x86_64__)

/* ---- SSE2, which every x86-64 has --------------------------------------- */

static inline uint64_t
equal_sse2(const __m128i v[4], char c)
{
	__m128i want = _mm_set1_epi8(c);
	uint64_t bits = 0;

	for (int i = 0; i < 4; i++)
		bits |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v[i], want)) << 16 * i;
	return bits;
}

static size_t
scan_sse2(const struct fl_scanner *s, const char *p, size_t from, size_t to, struct fl_scan *scan)
{
	uint32_t *off = scan->off;

	for (size_t pos = from; pos < to; pos += BLOCK) {
		struct masks m;
		__m128i v[4];
		uint32_t base = (uint32_t)pos + scan->delta;

		for (int i = 0; i < 4; i++)
			v[i] = _mm_loadu_si128((const __m128i *)(const void *)(p + pos + 16 * i));
		m.newlines = equal_sse2(v, '\n');
		m.returns = equal_sse2(v, '\r');
		m.stops = equal_sse2(v, (char)s->stop) & s->stop_on;
		m.delimiters = m.newlines | equal_sse2(v, (char)s->separator) |
			       (m.returns & s->return_on);
		if (m.stops || to - pos < BLOCK)
			cut(&m, to - pos);
		for (uint64_t bits = m.delimiters; bits; bits &= bits - 1)
			*off++ = base + (uint32_t)__builtin_ctzll(bits);
		scan->newlines += (size_t)__builtin_popcountll(m.newlines);
		scan->returns += (size_t)__builtin_popcountll(m.returns);
		if (m.stops) {
			scan->off = off;
			return pos + (size_t)__builtin_ctzll(m.stops);
		}
	}
	scan->off = off;
	return to;
}

/* ---- AVX2 --------------------------------------------------------------- */

#define AVX2 __attribute__((target("avx2,bmi,popcnt")))

AVX2 static inline uint64_t
equal_avx2(__m256i low, __m256i high, char c)
{
	__m256i want = _mm256_set1_epi8(c);
	uint32_t a = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, want));
	uint32_t b = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, want));

	return a | (uint64_t)b << 32;
}

/* Eight positions at a time whether there are so many or not: no branch to miss. */
AVX2 static inline uint32_t *
positions_avx2(uint32_t *off, uint64_t bits, uint32_t base)
{
	uint32_t *end = off + _mm_popcnt_u64(bits);

	do {
		for (int i = 0; i < 8; i++) {
			off[i] = base + (uint32_t)_tzcnt_u64(bits);
			bits = _blsr_u64(bits);
		}
		off += 8;
	} while (bits);
	return end;
}

AVX2 static size_t
scan_avx2(const struct fl_scanner *s, const char *p, size_t from, size_t to, struct fl_scan *scan)
{
	uint32_t *off = scan->off;
	size_t newlines = 0, returns = 0, pos = from;
	struct masks m = { .stops = 0 };

	for (; pos < to && !m.stops; pos += BLOCK) {
		__m256i low = _mm256_loadu_si256((const __m256i *)(const void *)(p + pos));
		__m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(p + pos + 32));

		m.newlines = equal_avx2(low, high, '\n');
		m.returns = equal_avx2(low, high, '\r');
		m.stops = equal_avx2(low, high, (char)s->stop) & s->stop_on;
		m.delimiters = m.newlines | equal_avx2(low, high, (char)s->separator) |
			       (m.returns & s->return_on);
		if (m.stops || to - pos < BLOCK)
			cut(&m, to - pos);
		off = positions_avx2(off, m.delimiters, (uint32_t)pos + scan->delta);
		newlines += (size_t)_mm_popcnt_u64(m.newlines);
		returns += (size_t)_mm_popcnt_u64(m.returns);
	}
	scan->off = off;
	scan->newlines += newlines;
	scan->returns += returns;
	return m.stops ? pos - BLOCK + (size_t)_tzcnt_u64(m.stops) : to;
}

/* ---- AVX-512 with byte compression -------------------------------------- */

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vbmi2,bmi,popcnt")))

/* Sixteen positions from sixteen byte numbers within a block. */
AVX512 static inline void
widen_avx512(uint32_t *off, __m128i numbers, uint32_t base)
{
	__m512i wide = _mm512_cvtepu8_epi32(numbers);

	_mm512_storeu_si512(off, _mm512_add_epi32(wide, _mm512_set1_epi32((int)base)));
}

AVX512 static inline uint32_t *
positions_avx512(uint32_t *off, uint64_t bits, uint32_t base, __m512i numbers)
{
	size_t n = (size_t)_mm_popcnt_u64(bits);

	numbers = _mm512_maskz_compress_epi8(bits, numbers);
	widen_avx512(off, _mm512_castsi512_si128(numbers), base);
	if (__builtin_expect(n > 16, 0)) {
		widen_avx512(off + 16, _mm512_extracti32x4_epi32(numbers, 1), base);
		widen_avx512(off + 32, _mm512_extracti32x4_epi32(numbers, 2), base);
		widen_avx512(off + 48, _mm512_extracti32x4_epi32(numbers, 3), base);
	}
	return off + n;
}

AVX512 static size_t
scan_avx512(const struct fl_scanner *s, const char *p, size_t from, size_t to, struct fl_scan *scan)
{
	static const uint8_t count[BLOCK] = {
		0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
		16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
		32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
		48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63,
	};
	const __m512i numbers = _mm512_loadu_si512(count);
	const __m512i newline = _mm512_set1_epi8('\n'), ret = _mm512_set1_epi8('\r');
	const __m512i separator = _mm512_set1_epi8((char)s->separator);
	const __m512i stop = _mm512_set1_epi8((char)s->stop);
	uint32_t *off = scan->off;
	size_t newlines = 0, returns = 0, pos = from;
	struct masks m = { .stops = 0 };

	for (; pos < to && !m.stops; pos += BLOCK) {
		__m512i v = _mm512_loadu_si512(p + pos);

		m.newlines = _mm512_cmpeq_epi8_mask(v, newline);
		m.returns = _mm512_cmpeq_epi8_mask(v, ret);
		m.stops = _mm512_cmpeq_epi8_mask(v, stop) & s->stop_on;
		m.delimiters = m.newlines | _mm512_cmpeq_epi8_mask(v, separator) |
			       (m.returns & s->return_on);
		if (m.stops || to - pos < BLOCK)
			cut(&m, to - pos);
		off = positions_avx512(off, m.delimiters, (uint32_t)pos + scan->delta, numbers);
		newlines += (size_t)_mm_popcnt_u64(m.newlines);
		returns += (size_t)_mm_popcnt_u64(m.returns);
	}
	scan->off = off;
	scan->newlines += newlines;
	scan->returns += returns;
	return m.stops ? pos - BLOCK + (size_t)_tzcnt_u64(m.stops) : to;
}

#endif

/* ---- choice --------------------------------------------------------------- */

bool
fl_scan_has(enum fl_scan_level level)
{
	switch (level) {
	case FL_SCAN_PLAIN:
		return true;
#if defined(__x86_64__)
	case FL_SCAN_SSE2:
		return true;
	case FL_SCAN_AVX2:
		return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
		       __builtin_cpu_supports("popcnt");
	case FL_SCAN_AVX512:
		return fl_scan_has(FL_SCAN_AVX2) && __builtin_cpu_supports("avx512f") &&
		       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi2");
#else
	case FL_SCAN_SSE2:
	case FL_SCAN_AVX2:
	case FL_SCAN_AVX512:
#endif
	case FL_SCAN_LEVELS:
		break;
	}
	return false;
}

void
fl_scanner_init(struct fl_scanner *s, int separator, int stop, enum fl_scan_level level)
{
	static fl_scan_fn *const run[FL_SCAN_LEVELS] = {
		[FL_SCAN_PLAIN] = scan_plain,
#if defined(__x86_64__)
		[FL_SCAN_SSE2] = scan_sse2,
		[FL_SCAN_AVX2] = scan_avx2,
		[FL_SCAN_AVX512] = scan_avx512,
#endif
	};

	if (level >= FL_SCAN_LEVELS)
		level = FL_SCAN_LEVELS - 1;
	while (!fl_scan_has(level))
		level--;
	*s = (struct fl_scanner){
		.run = run[level],
		/* a line feed is a delimiter in any case */
		.separator = (uint8_t)(separator < 0 ? '\n' : separator),
		.stop = (uint8_t)(stop < 0 ? 0 : stop),
		.stop_on = stop < 0 ? 0 : ~(uint64_t)0,
	};
}
