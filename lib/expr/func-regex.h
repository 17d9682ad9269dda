/* SPDX-License-Identifier: Apache-2.0 */
/* Splitting at a pattern, for the sets and arrays of func-json.c. */
#ifndef FL_EXPR_FUNC_REGEX_H
#define FL_EXPR_FUNC_REGEX_H

#include "expr/expr-node.h"

/* Each part of arg[0] between matches of arg[1] [flags arg[2]]; stops where put does. */
int fl_x_regex_split(struct fl_xcall *c, const struct fl_xval *arg, uint32_t n, fl_xput_fn put,
		     void *ctx);

#endif
