/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several inputs in the order of time (fl_run_in_time_order). Private to lib/run.
 *
 * Of each input one batch is in hand. The turn is that input's whose watermark, as in
 * force before its next record, is lowest; the first on a tie. What an input without a
 * batch will bring is not known, but its last watermark is a lower bound: another may go
 * before it if it is lower than that, too. An idle input is not waited for.
 *
 * A barrier never changes the order. Where the turn is that of an input that stands at
 * its barrier, the others are read on to theirs, and what lies before is set aside
 * (run/replay.h): it is part of the snapshot, and has its turn later.
 *
 * An input whose turn has not come is left unread, which is back-pressure; but it is
 * read ahead into a queue where it shares an ancestor (a tee) with another, and where
 * the awaited one stays dry for a while: a tee of text cannot be seen in the lineage.
 */
#ifndef FL_RUN_ORDER_H
#define FL_RUN_ORDER_H

#include "run/op.h"

/* The batch of an input that is being given in parts. */
struct fl_turn {
	bool has;
	bool told_end; /* END was set aside: nothing follows */
	struct fl_batch batch;
	const int64_t *wm; /* in force before each record */
	uint32_t row;      /* next */
	struct fl_buf scratch;
	struct fl_buf vec; /* struct fl_vec, of a part */
};

/* Take what comes, or give one part; *ret_any: something was done. */
int fl__step_in_order(struct fl_run *run, bool *ret_any, struct fl_err *err);

/*
 * Before waiting: tell the operator how far all inputs are, as far as that is known of
 * batches in hand.
 */
int fl__order_settle(struct fl_run *run, struct fl_err *err);

/* Before a snapshot, in any order: rows in hand of inputs whose position is behind them. */
int fl__order_set_aside(struct fl_run *run, struct fl_err *err);

/* Whether input i is to be read now, or ahead of its turn. */
bool fl__order_wants(const struct fl_run *run, uint32_t i);
bool fl__order_ahead(const struct fl_run *run, uint32_t i);

/* All headers are known: find inputs that share an ancestor. */
void fl__order_open(struct fl_run *run);
void fl__order_release(struct fl_run *run);

#endif
