/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --explain: the pipeline's plan, from the headers that have come. Private to lib/run.
 *
 * Nothing is opened, restored or computed: all that is needed stands in the lineage, which
 * has the words of each tool as they were typed.
 */
#ifndef FL_RUN_EXPLAIN_H
#define FL_RUN_EXPLAIN_H

#include "base/mem.h"

struct fl_run;

/* The plan of the tools up to this one, appended to out. All headers have come. */
void fl__explain(const struct fl_run *run, struct fl_buf *out);

#endif
