/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a checkpoint is complete: every operator of the job has left a .done in it,
 * or had left one for good when it came to its end. The job is the union of the lineages
 * that the sinks know.
 */
#ifndef TOOLS_CHECKPOINT_DECIDER_H
#define TOOLS_CHECKPOINT_DECIDER_H

#include "checkpoint/dir.h"
#include "checkpoint/manifest.h"
#include "stream/frame.h"

struct fc_decider {
	const struct fl_ckdir *dir;
	const struct fl_attempt *attempt;
	struct fl_buf finished; /* struct fl_ck_done: of operators that have ended */
	struct fl_buf expected; /* uids, a NUL behind each: fc_decider_expect */
	uint64_t restored;      /* the checkpoint that they are from */
	/* of the checkpoint in hand */
	uint64_t id;
	struct fl_buf done;   /* struct fl_ck_done */
	struct fl_header job; /* .lineage: what is known of the job */
	uint32_t sinks;       /* found so far */
};

void fc_decider_init(struct fc_decider *d, const struct fl_ckdir *dir,
		     const struct fl_attempt *attempt);
void fc_decider_release(struct fc_decider *d);

/* The operators that had ended when the checkpoint was made that the job goes on from. */
void fc_decider_seed(struct fc_decider *d, struct fl_manifest *m);

/*
 * The operators whose state checkpoint m has, and that had not ended: they must be in the
 * line, unless --allow-dropped-state gives their state up. known is what is seen of the
 * line already; what is not in it is looked for when the whole line is known, at the first
 * checkpoint. FL_EDATA.
 */
int fc_decider_expect(struct fc_decider *d, const struct fl_manifest *m,
		      const struct fl_header *known, struct fl_err *err);

/* FL_ECONFIG: one of them is not in lineage; err names both sides, and the way out. */
int fc_decider_check_dropped(const struct fc_decider *d, const struct fl_header *lineage,
			     struct fl_err *err);

/*
 * Whether a barrier of checkpoint id is on its way, or should be: a source has not said
 * that its end is its part in it. False: all have ended, and what comes next may take its
 * time, as the results of the end do.
 */
bool fc_decider_awaits_barrier(const struct fc_decider *d, uint64_t id);

/* Begin with checkpoint id; lineage is what this sink knows of the job. */
void fc_decider_begin(struct fc_decider *d, uint64_t id, const struct fl_header *lineage);

/*
 * Look what has come. thorough: also for operators that ended before, and for other
 * sinks. 1: all are there; 0: not yet; FL_ETEMP: one has failed, err says which and why;
 * FL_ECONFIG: there are more sinks than --sinks, or state of none of the line's operators.
 */
int fc_decider_look(struct fc_decider *d, bool thorough, struct fl_err *err);

/* Names of those that are missing, for a message. */
void fc_decider_missing(const struct fc_decider *d, char *buf, size_t cap);

/* All are there: write the manifest. *ret_finished: the job has ended with it. */
int fc_decider_complete(struct fc_decider *d, const struct fl_barrier *b, bool *ret_finished,
			struct fl_err *err);

#endif
