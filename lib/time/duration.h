/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durations ("1h30m") and sizes ("64K") as options have them.
 */
#ifndef FL_TIME_DURATION_H
#define FL_TIME_DURATION_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
	FL_DURATION_SIGNED = 1, /* one sign in front is allowed: --offset, --between */
};

/* "-106751991167d7h12m55s808ms" and a NUL. */
#define FL_DURATION_TEXT_MAX 32

/* "17592186044415M" and a NUL. */
#define FL_SIZE_TEXT_MAX 24

/*
 * Milliseconds of a duration: whole numbers with the units w d h m s ms, from the
 * largest to the smallest, each at most once: 500ms 10s 1h30m 1d. 0 needs no unit.
 * flags: FL_DURATION_SIGNED or 0. FL_EUSAGE says what is wrong and shows the forms.
 */
int fl_duration_parse(const char *text, unsigned flags, int64_t *ret_ms, struct fl_err *err);

/* The shortest text of ms that reads back, "1h30m", "0s"; no weeks. Returns its length. */
size_t fl_duration_format(int64_t ms, char buf[FL_DURATION_TEXT_MAX]);

/* Bytes of a size: a whole number, with K, M, G or T (powers of 1024) or nothing behind. */
int fl_size_parse(const char *text, uint64_t *ret_bytes, struct fl_err *err);

/* A size in the largest unit that leaves a whole number: "64K". Returns its length. */
size_t fl_size_format(uint64_t bytes, char buf[FL_SIZE_TEXT_MAX]);

#endif
