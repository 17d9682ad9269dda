/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Give a changed snapshot (lib/checkpoint/snapshot.c) the checksums that it should have,
 * and a changed .done or MANIFEST its seal: so that what stands behind the checksums is
 * tested, too.
 */
#ifndef TESTS_FUZZ_RESEAL_H
#define TESTS_FUZZ_RESEAL_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static inline uint64_t
reseal_hash(const char *block, uint32_t len)
{
	XXH3_state_t state;

	(void)XXH3_64bits_reset(&state);
	(void)XXH3_64bits_update(&state, block, 8);
	(void)XXH3_64bits_update(&state, block + 16, len);
	return XXH3_64bits_digest(&state);
}

/* The blocks of a snapshot, as long as they can be followed. */
static inline void
reseal_snapshot(char *p, size_t n)
{
	uint64_t chain = 0;

	for (size_t at = 8; n >= 16 && at <= n - 16;) {
		uint64_t hash;
		uint32_t len;

		memcpy(&len, p + at, sizeof len);
		if (len > n - 16 - at)
			return;
		if (p[at + 4] == 3 && len == 24)
			memcpy(p + at + 16 + 16, &chain, sizeof chain);
		hash = reseal_hash(p + at, len);
		memcpy(p + at + 8, &hash, sizeof hash);
		chain = XXH3_64bits_withSeed(&hash, sizeof hash, chain);
		at += 16 + (size_t)len;
	}
}

#define RESEAL_LEN 22u

/* The last line of a JSON file; out has room for RESEAL_LEN + 1 bytes. */
static inline void
reseal_line(const char *p, size_t n, char *out)
{
	(void)snprintf(out, RESEAL_LEN + 1, "xxh3 %016" PRIx64 "\n", (uint64_t)XXH3_64bits(p, n));
}

#endif
