/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The temporal join (--as-of): each left row with the version of its key that was valid
 * at its time, the right row with the greatest time not after it. Flink's
 * TemporalRowTimeJoinOperator.
 *
 * Right rows are versions: an append-only stream, or a changelog, in which a -D means
 * that from its time on there is none (-U says nothing: the +U behind it does). Of two
 * with one time the later to come counts. A left row waits until the watermark has
 * reached its time, then comes out, with its own time. One version that is not after
 * the watermark is kept of a key, and all later ones; so a left row that comes too late
 * may find its version forgotten, and then has none.
 */
#ifndef FL_JOIN_TEMPORAL_H
#define FL_JOIN_TEMPORAL_H

#include "join/pairs.h"

extern const struct fl_join_engine fl_join_temporal;

#endif
