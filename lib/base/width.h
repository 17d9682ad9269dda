/* SPDX-License-Identifier: Apache-2.0 */
/* How wide text is on a terminal, for tables and for marks under text. */
#ifndef FL_BASE_WIDTH_H
#define FL_BASE_WIDTH_H

#include <stddef.h>
#include <stdint.h>

/*
 * The character at p[0..n), n > 0, as UTF-8: its length in bytes, and its code
 * point in *ret. A byte that begins none is one character by itself.
 */
size_t fl_char_at(const char *p, size_t n, uint32_t *ret);

/* Columns that a character takes, 0 to 2: the blocks that matter, not all of Unicode's table. */
uint32_t fl_char_width(uint32_t c);

/*
 * The longest beginning of p[0..n) that is at most max columns wide: its length
 * in bytes; its width in *ret_width.
 */
size_t fl_width_fit(const char *p, size_t n, uint32_t max, uint32_t *ret_width);

#endif
