/* SPDX-License-Identifier: Apache-2.0 */
/* Text by characters. Bytes that are no UTF-8 count one character each. */
#ifndef FL_EXPR_FUNC_TEXT_H
#define FL_EXPR_FUNC_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the character at p, 1..4; n > 0. A byte that begins none is one itself. */
size_t fl_x_char_len(const char *p, size_t n);

size_t fl_x_char_count(const char *p, size_t n);

/* Byte offset of the chars-th character, n if there are not so many. */
size_t fl_x_char_offset(const char *p, size_t n, size_t chars);

/* The character at p, of len bytes as fl_x_char_len says; a stray byte gives 0xdc00 + it. */
uint32_t fl_x_char_decode(const char *p, size_t len);
size_t fl_x_char_encode(uint32_t c, char out[4]);

#endif
