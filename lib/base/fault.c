/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fault.h"

void
fl_fault(const char *name)
{
	(void)name;
}

void
fl_fault_uid(const char *uid)
{
	(void)uid;
}

bool
fl_fault_points(void)
{
	return false;
}
