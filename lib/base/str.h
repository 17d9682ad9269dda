/* SPDX-License-Identifier: Apache-2.0 */
/* Small things about strings. */
#ifndef FL_BASE_STR_H
#define FL_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Levenshtein distance of two counted strings, two neighbours in the wrong order being
 * one mistake, letter case ignored at no cost of its own; limit if it is that or more (so that hopeless pairs are cheap).
 */
size_t fl_edit_distance(const char *a, size_t an, const char *b, size_t bn, size_t limit);

/*
 * Of names[0..n), the nearest to name, or NULL where none is near enough to be
 * what was meant.
 */
const char *fl_nearest(const char *name, const char *const *names, size_t n);

/* The UTF-8 of a code point (at most 0x10ffff), 1 to 4 bytes; returns how many. */
size_t fl_utf8_encode(uint32_t c, char out[4]);

#endif
