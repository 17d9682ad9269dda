/* SPDX-License-Identifier: Apache-2.0 */
/* What parse.c needs of expr.c. */
#ifndef FL_EXPR_PARSE_H
#define FL_EXPR_PARSE_H

#include "expr/expr-node.h"

/* Find the columns of h that e names; as fl_expr_bind after the parse. */
int fl_x_resolve(struct fl_expr *e, const struct fl_header *h, struct fl_err *err);

#endif
