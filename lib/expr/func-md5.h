/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FL_EXPR_FUNC_MD5_H
#define FL_EXPR_FUNC_MD5_H

#include "base/mem.h"

/* The MD5 of p[0..n) in hexadecimal; no NUL is added. */
void fl_x_md5(const char *p, size_t n, char hex[32]);

#endif
