/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The window join: rows of one key that are in the same window, after the same fwindow
 * on both sides. Flink's WindowOperator under join and coGroup, and SQL's window join.
 *
 * A window comes out when the watermark reaches its last millisecond, with all its
 * pairs: window_start and window_end in front, its last millisecond as their time. Rows
 * of both sides make sessions together. A row that comes later, but within the allowed
 * lateness, lets its key's pairs in its windows come out again; one that comes later
 * still is dropped and counted.
 *
 * Sliding and cumulating windows share slices, so a row is kept once, however many
 * windows it is in.
 */
#ifndef FL_JOIN_WINDOWED_H
#define FL_JOIN_WINDOWED_H

#include "join/pairs.h"

extern const struct fl_join_engine fl_join_windowed;

#endif
