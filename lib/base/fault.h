/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places where a test may end the process: FL_FAULT("begin.barrier") stands where the
 * order of steps matters for what is left behind. Nothing happens there, but in the
 * tools that tests/fault builds: they are linked with tests/fault/points.c, which has
 * functions of the same names. So what is tested is the code that is installed.
 * Never in a loop over records.
 */
#ifndef FL_BASE_FAULT_H
#define FL_BASE_FAULT_H

#include <stdbool.h>

#define FL_FAULT(name) fl_fault(name)

void fl_fault(const char *name);
void fl_fault_uid(const char *uid); /* who this process is */
bool fl_fault_points(void);         /* whether there are any */

#endif
