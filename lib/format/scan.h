/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The delimiter scanner: positions of separators and line ends, found a
 * vector of bytes at a time. Private to lib/format.
 *
 * It knows nothing of records. Positions go, one behind the other, into an
 * array that becomes the layout of a batch's columns (stream/batch.h); whether
 * they make up records is for who calls to check.
 */
#ifndef FL_FORMAT_SCAN_H
#define FL_FORMAT_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

/* Positions that may be written behind the last one that counts. */
#define FL_SCAN_SLACK 64

/* A growable array of positions. A zeroed struct is valid; free(at) releases it. */
struct fl_positions {
	uint32_t *at;
	size_t cap;
};

/* Room for n positions from the first-th on; those before it stay. */
static inline uint32_t *
fl_positions_reserve(struct fl_positions *a, size_t first, size_t n)
{
	if (first + n > a->cap || !a->at) {
		a->cap = 2 * (first + n) + FL_SCAN_SLACK;
		a->at = (uint32_t *)fl_xreallocarray(a->at, a->cap, sizeof *a->at);
	}
	return a->at + first;
}

/* What a run has found, summed over runs. */
struct fl_scan {
	uint32_t *off;   /* where the next position goes */
	uint32_t delta;  /* added to every position, modulo 2^32 */
	size_t newlines; /* line feeds */
	size_t returns;  /* carriage returns */
};

struct fl_scanner;
typedef size_t fl_scan_fn(const struct fl_scanner *s, const char *p, size_t from, size_t to,
			  struct fl_scan *scan);

struct fl_scanner {
	fl_scan_fn *run;
	uint8_t separator;
	uint8_t stop;       /* the byte before which a run ends */
	uint64_t stop_on;   /* all ones if there is such a byte, else 0 */
	uint64_t return_on; /* all ones if a carriage return is a delimiter too, else 0 */
};

enum fl_scan_level {
	FL_SCAN_PLAIN = 0,
	FL_SCAN_SSE2,
	FL_SCAN_AVX2,
	FL_SCAN_AVX512,
	FL_SCAN_LEVELS
};

/*
 * separator, stop: a byte, or -1 for none. The best that the processor has is
 * chosen, up to level. Carriage returns are no delimiters until return_on is set.
 */
void fl_scanner_init(struct fl_scanner *s, int separator, int stop, enum fl_scan_level level);

/* Whether the processor has what level needs. */
bool fl_scan_has(enum fl_scan_level level);

/*
 * Scan p[from..to). Writes the positions of separators and line feeds to
 * scan->off, which needs room for to - from + FL_SCAN_SLACK entries and is moved
 * on. Ends before the first stop byte, or at to: returns where. Reads up to 63
 * bytes behind to.
 */
static inline size_t
fl_scan(const struct fl_scanner *s, const char *p, size_t from, size_t to, struct fl_scan *scan)
{
	return s->run(s, p, from, to, scan);
}

#endif
