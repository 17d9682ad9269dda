/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tool inside the region between fcheckpoint begin and commit: how it joins, what it
 * saves at a barrier, and how it becomes again what it was. Private to lib/run.
 *
 * A snapshot has two parts: the runner's, sections "run", "input.N" and "replay.N",
 * and behind the section "operator" what the operator's own callback writes.
 *
 * Small states are written into memory at the barrier, and a thread makes them
 * durable. Large ones (state_bytes) are written by a forked child: what stands still is
 * only the fork. Either way the barrier goes on at once.
 */
#ifndef FL_RUN_REGION_H
#define FL_RUN_REGION_H

#include <pthread.h>
#include <stdatomic.h>

#include "checkpoint/dir.h"
#include "checkpoint/manifest.h"
#include "checkpoint/snapshot.h"
#include "stream/frame.h"

struct fl_run;
struct fl_header;
struct fl_stats;
struct fl_backend;

/* A snapshot that is being made durable. */
struct fl_snapshot_job {
	bool running;
	pthread_t thread;     /* small states */
	int64_t child;        /* large ones: its pid; 0: none */
	struct fl_save *save; /* in memory */
	struct fl_buf room;   /* where small states are put, each time */
	struct fl_ck_done done;
	struct fl_ckdir *dir;
	struct fl_ck_seen *seen;
	struct fl_backend *backend; /* which makes files of this checkpoint; NULL: none does */
	bool own_done;              /* the operator writes .done */
	struct fl_buf sync;         /* int: descriptors of side files, to be fsynced */
	int64_t began_us;
	struct fl_stats *stats; /* where the numbers are told */
};

struct fl_region {
	bool joined;
	struct fl_ckdir dir;
	struct fl_attempt attempt;
	char *uid;
	char instance[17];
	uint64_t restore_id;
	bool finished;        /* restored from after its end: nothing is left to do */
	struct fl_load *load; /* at the operator's part; NULL: nothing to restore */
	char *state_name;     /* of the file that load reads */
	bool signals;         /* the thread that takes signals runs */
	atomic_bool ending;   /* … and is to end */
	pthread_t signals_thread;
	struct fl_snapshot_job job;
	struct fl_ck_seen seen;   /* the files of the state backend, as of the last checkpoint */
	int64_t first_barrier_us; /* alignment began */
};

/*
 * Header h of input i has come. In a region: join it, once; the same attempt on all
 * inputs. Outside: nothing.
 */
int fl__region_enter(struct fl_run *run, uint32_t i, const struct fl_header *h, struct fl_err *err);

/*
 * The uid of this tool behind header h: what --uid says, or the tool's name and its
 * count along the path, behind the name of the source. Appended to out.
 */
void fl__run_uid(const struct fl_run *run, const struct fl_header *h, struct fl_buf *out);

/* The operator is open: its restore, if there is something to restore. */
int fl__region_restore(struct fl_run *run, struct fl_err *err);

/* A barrier is aligned, or the end has come (finished). */
int fl__region_snapshot(struct fl_run *run, const struct fl_barrier *b, bool finished,
			struct fl_err *err);

/* In before_snapshot: the operator's backend has begun to make files of the checkpoint. */
void fl__region_files(struct fl_run *run, struct fl_backend *b);

/*
 * The tool ends with a failure of its own (not told by another): begin hears of it
 * through the directory, and does not begin what cannot be completed.
 */
void fl__region_failed(struct fl_run *run, int status, bool told);

/* Until the snapshot that was begun is durable, or has failed and said so. */
void fl__region_wait(struct fl_run *run);
void fl__region_release(struct fl_run *run);

#endif
