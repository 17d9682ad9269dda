/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interval join: rows of one key whose times lie within bounds of each other,
 * right.time - left.time in [lower, upper]. Flink's IntervalJoinOperator, and for
 * left, right and full Flink SQL's.
 *
 * A pair comes out when the later of the two arrives, with the greater of the times.
 * A row is kept until the watermark says that no partner can come any more: a left
 * one until it reaches time + upper, a right one until time - lower. Then, on an
 * outer side, a row without a partner comes out padded with NULLs; it carries its own
 * time, and so what is sent on as watermark lags by how long rows may wait.
 *
 * A row whose time is before the watermark (at it is in time) is late: it is not
 * joined, but counted, written to --late, and on an outer side padded at once.
 *
 * Kept rows lie packed in blocks in the order of arrival; a block goes when its last
 * row is gone. So keeping a row is a copy, and forgetting it a step along a list.
 */
#ifndef FL_JOIN_INTERVAL_H
#define FL_JOIN_INTERVAL_H

#include "join/pairs.h"

extern const struct fl_join_engine fl_join_interval;

#endif
