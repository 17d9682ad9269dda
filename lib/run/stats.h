/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tool tells of itself while it runs: counters in a page of memory that another
 * tool of the pipeline can look at. Private to lib/run.
 *
 * The page is an unnamed file (memfd) that is called flue-INSTANCE. Whoever has the stream's
 * header knows the instances of all tools before it, and finds their pages among the open
 * files below /proc. So nothing has to be agreed upon, nothing is left behind when a tool
 * is killed, and what is not to be found (another user, another container) is left out.
 *
 * Each number is written by one tool and read by others as it is: they need not fit
 * together to the record.
 */
#ifndef FL_RUN_STATS_H
#define FL_RUN_STATS_H

#include <stdint.h>

#include "stream/header.h"

#define FL_STATS_VERSION 1u

struct fl_stats {
	uint32_t version;
	char instance[17];            /* as in the lineage */
	_Atomic int64_t rows_in;      /* records that have come */
	_Atomic int64_t rows_out;     /* … and that were sent on */
	_Atomic int64_t watermark_ms; /* FL_TIME_MIN: none yet */
	_Atomic int64_t state_bytes;  /* -1: keeps none */
	_Atomic int64_t keys;         /* -1: not known */
	_Atomic int64_t ended;        /* 1: END has been sent */
	_Atomic int64_t watched_ms;   /* the clock when a tool behind this one last drew it */
	_Atomic int64_t checkpoint;   /* the last one this tool made durable; 0: none */
	_Atomic int64_t checkpoint_ms;
	_Atomic int64_t checkpoint_stall_us;
	_Atomic int64_t checkpoint_bytes;
	_Atomic int64_t stood_us; /* for the child that makes one: how long its parent stood still */
};

/* Make the page of a tool; where that is not possible, one that nobody else sees. */
struct fl_stats *fl_stats_new(const char *instance);

/*
 * Find the pages of other tools: ret[i] (NULL at first) for lineage[i]. Those that are
 * there already are kept. Pages are given back by fl_stats_free.
 */
void fl_stats_find(const struct fl_lineage *lineage, uint32_t count, struct fl_stats **ret);

void fl_stats_free(struct fl_stats *s);

#endif
