/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Aggregation without windows: one group a key over the whole input. Flink's
 * group aggregation.
 *
 * Either one row a key at the end of the input, keys by first arrival; or, with
 * updates, the changelog as it happens: +I for a group's first row, then -U +U
 * where the result has changed, -D when the last of its records was taken back.
 *
 * The input may be a changelog itself: its records are taken back as their row
 * kind says.
 *
 * With --backend rocksdb there are two ways. Where rows are wanted at the end only, and
 * records are only added, a group on disk is the sum of parts (parts.h): nothing is read
 * to add a record. What an update tells, a changelog takes back, or a TTL forgets, needs the
 * whole group: then groups are brought back for a batch at once (run/spill.h).
 *
 * With --ttl a group is forgotten when nothing was written to it for that long by the
 * clock, as Flink's StateTtlConfig does by default: each record counts as a write, and what
 * has expired is never shown. In memory some entries are looked at with each batch, and
 * those that have expired go. On disk a group is due when it expires (later by up to an
 * eighth of the TTL, so that what is written often does not make many rows of the index):
 * it is brought back and deleted, without its key having to come again, and compaction
 * gives the space back. What has expired in the meantime is not written.
 */
#ifndef FL_WINDOW_GROUPS_H
#define FL_WINDOW_GROUPS_H

#include "checkpoint/snapshot.h"
#include "run/spill.h"
#include "window/parts.h"
#include "window/results.h"

struct fl_groups {
	struct fl_run *run;
	struct fl_aggs *aggs;
	struct fl_results *results;
	bool updates;
	struct fl_budget budget;
	struct fl_keys keys;
	struct fl_table table; /* value: records, accumulator, with a TTL a time: groups.c */
	uint64_t seq;
	bool whole;            /* a group is needed at once, not as parts */
	struct fl_spill spill; /* whole */
	struct fl_parts parts; /* not whole */
	bool evicted;          /* parts: groups may be on disk: what the table has are parts */
	char *files;           /* parts: of the checkpoint that is being made */
	int64_t ttl_ms;
	int64_t forgotten_ms;   /* on disk: what had expired by then is gone */
	uint32_t swept;         /* entry that is looked at next for having expired */
	struct fl_build before; /* updates: the result of a group before a record */
	struct fl_build after;
	struct fl_buf entries, accs, chosen, rows, wm_scratch;
	struct fl_badrows bad;
};

int fl_groups_open(struct fl_groups *g, struct fl_run *run, struct fl_aggs *aggs,
		   struct fl_results *results, bool updates, struct fl_err *err);
void fl_groups_release(struct fl_groups *g);

int fl_groups_batch(struct fl_groups *g, const struct fl_batch *b, struct fl_err *err);

/* For fl_op's before_snapshot, snapshot, restore and state_bytes; between two batches. */
int fl_groups_before_save(struct fl_groups *g, struct fl_err *err);
void fl_groups_save(const struct fl_groups *g, struct fl_save *s);
int fl_groups_load(struct fl_groups *g, struct fl_load *l, struct fl_err *err);
size_t fl_groups_bytes(const struct fl_groups *g);
bool fl_groups_flat(const struct fl_groups *g); /* for snapshot_copies */

/* The end of the input: the rows, unless they were told as updates. */
int fl_groups_end(struct fl_groups *g, struct fl_err *err);

#endif
