/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What completes checkpoints, in a thread of its own, so that reading goes on.
 *
 * The epochs come in order. Of each: what is pending becomes durable, this sink's .done is
 * written, the checkpoint is decided (by the one sink that holds the lock "decider"; the
 * others watch), and what was pending is committed, or, where it was abandoned, joins the
 * next epoch. Every wait has a deadline: --timeout, from the barrier's injection on.
 */
#ifndef TOOLS_CHECKPOINT_COMMITTER_H
#define TOOLS_CHECKPOINT_COMMITTER_H

#include <pthread.h>

#include "decider.h"
#include "sink.h"
#include "stream/frame.h"

/* A barrier has come: what was written before it. */
struct fc_epoch {
	struct fl_barrier barrier;
	struct fl_ck_op op; /* the state's share of .done */
	struct fl_buf pieces;
	uint64_t records;
	bool final; /* the end of the data */
	struct fc_epoch *next;
};

struct fc_committer {
	struct fl_ckdir *dir;
	const char *uid;
	const struct fl_attempt *attempt;
	const struct fl_header *lineage;
	struct fc_sink *sink;

	bool decides;
	int decider_fd;
	struct fc_decider decider;

	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* under the lock */
	struct fc_epoch *first, *last; /* to be done; the first is in hand while busy */
	const struct fc_part *hurry;   /* a part to bring to the disk meanwhile */
	bool busy, stop, failed;
	bool carries;       /* results of abandoned checkpoints wait for the next */
	struct fl_err err;  /* why it failed */
	uint64_t completed; /* the newest checkpoint that was */
	bool finished;      /* … with the end of the data */

	/* the thread's */
	struct fl_buf carried; /* struct fc_piece: of abandoned checkpoints */
	uint32_t abandoned;    /* in a row */
	uint64_t awaited;      /* the checkpoint whose barrier has not come; 0: none … */
	int64_t awaited_ms;    /* … since when */
	uint64_t given_up;     /* the last one that was abandoned before its barrier came */
	char reason[400];      /* of the last */
};

/* All but the sinks' and lock members are set by the caller, decider too. Takes the lock "decider",
 * unless another has it; begins the thread. watch: decide nothing in any case. */
int fc_committer_start(struct fc_committer *c, bool watch, struct fl_err *err);

/* Hand over an epoch; op is copied, pieces are taken. */
void fc_committer_push(struct fc_committer *c, const struct fl_barrier *b,
		       const struct fl_ck_op *op, struct fl_buf *pieces, uint64_t records);

/* Bring a part to the disk while nothing else is to be done; not after its epoch. */
void fc_committer_hurry(struct fc_committer *c, const struct fc_part *p);

/* The error that ended it, or 0. */
int fc_committer_check(struct fc_committer *c, struct fl_err *err);

/* Whether an epoch has not been completed or abandoned yet. */
bool fc_committer_busy(struct fc_committer *c);

/* Wait for all that was handed over. */
int fc_committer_wait(struct fc_committer *c, struct fl_err *err);

/* Whether results of an abandoned checkpoint wait. */
bool fc_committer_carries(struct fc_committer *c);

/*
 * After the last epoch: go on deciding until the job has ended for all its sinks, and
 * wait until the others have written theirs.
 */
int fc_committer_finish(struct fc_committer *c, struct fl_err *err);

/* End the thread as soon as possible, and free what it has. Also after a failed start. */
void fc_committer_stop(struct fc_committer *c);

/* In the thread: wait for some time; false: it is to stop. */
bool fc_committer_sleep(struct fc_committer *c, int64_t us);

#endif
