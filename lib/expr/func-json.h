/* SPDX-License-Identifier: Apache-2.0 */
/* From JSON text to values, for paths and the JSON functions. */
#ifndef FL_EXPR_FUNC_JSON_H
#define FL_EXPR_FUNC_JSON_H

#include "expr/expr-node.h"
#include "expr/json.h"

/*
 * A JSON value: null is NULL, objects and arrays are their text. A string with
 * escapes is written into tmp, which must outlive the value; everything else
 * is borrowed from v.
 */
struct fl_xval fl_x_json_value(const struct fl_json *v, struct fl_buf *tmp);

/* Append a value as JSON: a text that is an object or array by its tag stays what it is. */
void fl_x_put_json(const struct fl_xval *v, const struct fl_expr_env *env, struct fl_buf *out);

#endif
