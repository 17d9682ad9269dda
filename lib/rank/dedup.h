/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deduplication whose rows, once given, are never taken back: the first row of each
 * key, or, within a time, the first or last one of each run of rows. (A table of last
 * rows, and changelogs, are rankings: rank.h.)
 *
 *	by arrival   the first row of a key passes at once
 *	by time      the earliest row passes as soon as the watermark says that none
 *	             that is earlier can come; a row behind the watermark, of a key that
 *	             has not come yet, at once
 *	within, first   in order of time: a row passes unless it is within the time of
 *	             the one that passed last
 *	within, last    in order of time: a row replaces the one held if it is within the
 *	             time of it; the held one passes when the watermark has come so far
 *	             that none can replace it. The watermark sent on is that much behind
 *
 * Within a time the state of a key is forgotten when the watermark has passed it, and
 * rows behind the watermark are late.
 *
 * With --backend rocksdb keys are on disk, with their rows (run/spill.h).
 */
#ifndef FL_RANK_DEDUP_H
#define FL_RANK_DEDUP_H

#include "rank/due.h"
#include "rank/groupkeys.h"
#include "rank/rowout.h"
#include "rank/saved.h"
#include "window/late.h"

struct fl_dedup_spec {
	bool last;        /* only within a time */
	bool updates;     /* rows are told as +I */
	int64_t within;   /* ms, or -1 */
	const char *late; /* file, or NULL. Borrowed */
};

struct fl_dedup {
	struct fl_dedup_spec spec;
	bool timed;
	struct fl_run *run;
	struct fl_rowout out;
	struct fl_late late;
	struct fl_spill spill;
	struct fl_budget budget;
	struct fl_groupkeys keys;
	struct fl_table table; /* value: struct state of dedup.c */
	struct fl_items mem;
	struct fl_dues rows;   /* not yet decided */
	struct fl_dues expiry; /* within: of keys */
	int64_t wm_ms;         /* in force */
	uint64_t seq;
	struct fl_buf entries, chosen, pool, pack, wm_scratch;
};

/* In open. FL_EUSAGE: within a time, and no event time. */
int fl_dedup_open(struct fl_dedup *d, struct fl_run *run, const struct fl_dedup_spec *spec,
		  struct fl_err *err);
void fl_dedup_release(struct fl_dedup *d);

int fl_dedup_columns(struct fl_dedup *d, struct fl_err *err);
int fl_dedup_batch(struct fl_dedup *d, const struct fl_batch *b, struct fl_err *err);
int fl_dedup_watermark(struct fl_dedup *d, int64_t wm_ms, int64_t *forward_ms, struct fl_err *err);

int fl_dedup_checkpoint(struct fl_dedup *d, struct fl_err *err); /* before_snapshot */
void fl_dedup_snapshot(const struct fl_dedup *d, struct fl_save *s);
int fl_dedup_restore(struct fl_dedup *d, struct fl_load *l, struct fl_err *err);
size_t fl_dedup_bytes(const struct fl_dedup *d);

#endif
