/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of web servers' logs share. Private to lib/format. */
#ifndef FL_FORMAT_CLF_H
#define FL_FORMAT_CLF_H

#include "format/linewise.h"

/*
 * Set column to the text of a quoted field, piece[start..end) without its quotes:
 * escapes decoded as Apache and nginx write them, - is NULL.
 */
void fl_clf_set_quoted(struct fl_linewise *r, uint32_t column, size_t start, size_t end);

/*
 * Take a request line, "GET /a HTTP/1.1" in piece[start..end), apart into the three
 * columns method, path, protocol, which follow each other from `first` on.
 */
void fl_clf_set_request(struct fl_linewise *r, uint32_t first, size_t start, size_t end);

#endif
