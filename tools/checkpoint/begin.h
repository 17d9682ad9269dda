/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fcheckpoint begin: the source of a checkpointed line. Its parts:
 *
 *	begin.c    the command line, the attempt, the restore, the loop
 *	barrier.c  when a barrier is due, and what happens at it
 *	leader.c   several begins in one directory: who numbers, who follows
 *	send.c     frames into the pipe, without ever being stuck in it
 *	source.c   the inputs in order; input.c one of them; follow.c, command.c, spool.c
 */
#ifndef TOOLS_CHECKPOINT_BEGIN_H
#define TOOLS_CHECKPOINT_BEGIN_H

#include <pthread.h>
#include <stdatomic.h>

#include "checkpoint/dir.h"
#include "checkpoint/manifest.h"
#include "source.h"
#include "stream/frame.h"

struct fc_options {
	const char *directory;
	int64_t every_ms;
	const char *min_pause; /* as typed; NULL: by --every */
	int64_t min_pause_ms;
	int64_t timeout_ms;
	int64_t max_concurrent;
	int64_t tolerate;
	int64_t retain;
	int64_t sinks;
	bool at_least_once;
	bool follow;
	bool keep_open;
	bool allow_dropped;
	bool allow_lost_input;
	bool allow_moved_input;
	const char *name;
	const char *spool;
	bool quiet;
	bool help;
};

/* Why a checkpoint is made; words stand in the leader's note to the others. */
enum fc_why {
	FC_PERIODIC = 0,
	FC_ASKED,     /* by a request: results are held back */
	FC_SAVEPOINT, /* kept; the job goes on */
	FC_STOP,      /* kept; the job ends as it stands */
	FC_PAUSE,     /* --keep-open: the input has ended, the job has not */
	FC_FINAL,     /* the end of the data: no barrier, END takes its place */
};

/* Work on the disk, beside the stream. */
struct fc_job {
	bool running;
	atomic_bool done;
	pthread_t thread;
	bool create;    /* the directory of the checkpoint; else its state */
	bool abandoned; /* the stream has no use for it any longer */
	struct fl_save *save;
	struct fl_ck_done record;
	int rc;
	struct fl_err err;
};

enum fc_phase {
	FC_RUNNING = 0,
	FC_WAITING, /* one of several, at its end: others have to come, or to their ends */
	FC_ENDING,  /* no more is read: the last checkpoint is to be made */
	FC_OVER,    /* END is in the output */
};

struct fc_begin {
	struct fc_options opt;
	int argc;
	char **argv;
	char uid[FL_UID_MAX + 8];
	char instance[17];
	struct fl_ckdir dir;
	struct fl_attempt attempt;
	int leader_fd; /* the lock; -1: another source numbers the checkpoints */
	struct fc_source source;
	uint64_t restore_id;
	bool finished;        /* restored from after the end */
	bool all_finished;    /* … of all sources */
	struct fl_buf others; /* names of the checkpoint's sources, a NUL behind each */
	/* send.c */
	struct fl_frame_writer out;
	size_t sent;      /* bytes of out.out that have gone */
	bool header_sent; /* else END stands alone */
	bool nonblocking;
	/* barrier.c */
	enum fc_phase phase;
	enum fc_why why;      /* of the checkpoint that is being made */
	bool due;             /* one is wanted … */
	enum fc_why due_why;  /* … for this reason */
	uint64_t due_serial;  /* the request that it answers; 0: none */
	uint64_t serial;      /* the same of the one that is being made */
	uint64_t seen_serial; /* the last request that was taken */
	bool making;          /* from the decision to the durable state */
	uint64_t id;          /* the last one that was decided */
	uint64_t next_id;     /* the leader's */
	bool open;            /* it is not complete or abandoned yet, as last seen */
	int64_t ended_ms;     /* when it was seen not to be open any longer */
	int64_t injected_ms;  /* its barrier */
	int64_t began_ms;     /* the interval */
	int64_t look_ms;      /* of the requests, the last time */
	int64_t look_ck_ms;   /* of the checkpoint */
	uint64_t flowed;      /* bytes given up to the last barrier */
	uint64_t restored;    /* … before this attempt */
	bool retry;           /* that one was abandoned */
	int64_t lost_look_ms; /* for processes that have died, the last time */
	bool lost;            /* there was one */
	int broken;           /* the exit code of a tool behind that has failed */
	uint32_t create_failures;
	int stop_code;
	bool final_end; /* the END of this source is that of the data */
	struct fc_job job;
	/* leader.c */
	int64_t lead_look_ms;
	int64_t lock_look_ms;
	uint64_t heard;      /* the last checkpoint of the leader that was answered */
	int64_t at_end_ms;   /* when this source came to its end */
	int64_t end_look_ms; /* for the others, the last time */
	bool all_joined;     /* … as far as it is known which there are */
};

/* ---- send.c ---- */

/* Whether standard output is one that frames may go into: a pipe or a socket. */
bool fc_send_is_pipe(void);

/* Prepare standard output: FL_EUSAGE if it is no pipe. */
int fc_send_open(struct fc_begin *b, struct fl_err *err);
bool fc_send_pending(const struct fc_begin *b);

/* Write some of what is pending, waiting at most timeout_ms. FL_EPIPE, FL_EIO. */
int fc_send_some(struct fc_begin *b, int timeout_ms, struct fl_err *err);

/* Frame a piece; the pipe is as large as suits it. */
void fc_send_piece(struct fc_begin *b, const struct fl_raw *r);
void fc_send_close(struct fc_begin *b);

/* ---- barrier.c ---- */

/*
 * Called often: looks at signals, requests and the clock, decides on checkpoints, puts
 * barriers and END into the output.
 */
int fc_coordinate(struct fc_begin *b, struct fl_err *err);

/* The directory of checkpoint b->id stands: positions, and BARRIER into the output. */
int fc_inject(struct fc_begin *b, struct fl_err *err);

/* The source has ended. */
int fc_at_end(struct fc_begin *b, struct fl_err *err);

/* Whether a process of the line has died, or has failed. Looked at from time to time. */
bool fc_has_lost(struct fc_begin *b, int64_t now_ms);

/* How long the loop may wait before it calls fc_coordinate again, ms. */
int fc_patience(const struct fc_begin *b);
void fc_job_wait(struct fc_begin *b);
void fc_job_release(struct fc_job *job);

/* SIGTERM and SIGINT; code of the stop that they ask for, 0: none. */
void fc_signals_start(void);
int fc_signals_code(void);

/* ---- leader.c ---- */

/* Become the leader, or join the leader's attempt; b->attempt is filled. */
int fc_attempt_enter(struct fc_begin *b, struct fl_err *err);

/* The leader tells the others why checkpoint id is made, durably; only with --name. */
int fc_leader_tell(struct fc_begin *b, uint64_t id, enum fc_why why, struct fl_err *err);

/* Another source: what the leader has decided since, or that it has ended or died. */
int fc_follow_leader(struct fc_begin *b, int64_t now_ms, struct fl_err *err);

/* One of several: the others are told, through the directory, that this source is at its end. */
int fc_tell_end(struct fc_begin *b, struct fl_err *err);

/*
 * At the end of this source: whether the others have joined, as far as it is known which there
 * are; where the region is kept open, whether they are at their ends too. Looked at from time
 * to time.
 */
bool fc_others_ready(struct fc_begin *b, int64_t now_ms);

/* This source has ended and leads no longer. */
void fc_leader_leave(struct fc_begin *b);

#endif
