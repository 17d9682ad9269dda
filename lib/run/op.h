/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators: what a tool is, and what the runner does for it.
 *
 * A tool is one constant descriptor and a few callbacks; its main is
 *
 *	return fl_main(&ffilter_op, argc, argv);
 *
 * The runner owns the loop. It alone reads, polls, decodes text, takes event
 * time, makes watermarks, takes the minimum of watermarks over inputs, aligns
 * barriers, writes frames or text, flushes, checks that standard output took
 * everything, and turns errors into one message and an exit code. An operator
 * keeps no globals, so several can run in one process.
 *
 * Order of calls, which the runner keeps
 *
 *	words   once, the options are parsed
 *	open    once, the first header is known; edits the outgoing header
 *	then, any number of times, in the order of the stream
 *	  columns       the header grew
 *	  on_batch      records
 *	  on_watermark  the minimum over the inputs has moved
 *	  on_timer      the clock has reached what fl_run_timer asked for
 *	on_end  once, END has come on all inputs, after the last watermark
 *	close   once, also after a failed open
 *
 * A callback that is NULL has the default said beside it. Callbacks return 0 or
 * a negative code with *err filled; the runner adds the tool's name.
 *
 * Watermarks within a batch
 *	Results are those of a watermark after every record. fl_batch_wm gives the
 *	watermark in force before each record; an operator that acts on watermarks
 *	acts on these inside on_batch, and on the one behind the batch's last record
 *	in on_watermark. What it emits carries the watermark that was in force when
 *	it was due (fl_build_row's wm), so the next tool sees the same.
 *
 * Several inputs
 *	By default they are taken as they come. After fl_run_in_time_order (said in
 *	open) the runner gives records in the order of time: always those of the input
 *	whose watermark, as in force before its next record, is lowest (the first on a
 *	tie), a batch cut into parts where the turn changes. So the watermark in force
 *	before a record is that of all inputs together, fl_batch_wm of the part says
 *	it, and bounded inputs give the same bytes each time. Where an input that was
 *	idle comes back behind the others, its records may say an older watermark than
 *	the operator has seen: the greater holds.
 *
 * Adding a tool: tools/NAME.c, its line in tools/local.mk, man/NAME.1, its line
 * in man/local.mk, examples in the man page; tests/help-man.bats fails for each
 * that is forgotten.
 */
#ifndef FL_RUN_OP_H
#define FL_RUN_OP_H

#include "base/err.h"
#include "expr/expr.h"
#include "run/opt.h"
#include "stream/batch.h"
#include "stream/frame.h"
#include "stream/header.h"

struct fl_run;
struct fl_save;
struct fl_load;
struct fl_ck_op;
struct fl_ckdir;
struct fl_options;

struct fl_op {
	const char *name;          /* "fwindow" */
	const char *uid_name;      /* what its uids begin with; NULL: name */
	const char *summary;       /* one line, as in man's NAME */
	const char *usage;         /* what stands behind the name: "KEY[,KEY...] [FILE...]" */
	const char *notes;         /* --help: lines on the words, then two examples */
	const struct fl_opt *opts; /* its own options, into self; or NULL */
	size_t self_size;          /* the runner allocates it, zeroed */
	uint32_t inputs_max;       /* 1: FILEs are read one after the other; more: each FILE is
	                         an input of its own */
	bool stdin_first;          /* of several inputs, standard input is the first */

	/*
	 * The words that are not options: take those that are not FILEs, set
	 * *ret_used. They stay valid. NULL: all words are FILEs.
	 */
	int (*words)(void *self, struct fl_run *run, char **words, int count, int *ret_used,
		     struct fl_err *err);

	/* NULL: the header passes as it is. */
	int (*open)(void *self, struct fl_run *run, struct fl_err *err);

	/* The incoming header has more columns than before. NULL: they are
	 * appended to the outgoing header. */
	int (*columns)(void *self, struct fl_run *run, struct fl_err *err);

	/* Records. NULL: as after fl_run_pass. */
	int (*on_batch)(void *self, struct fl_run *run, uint32_t input, const struct fl_batch *b,
			struct fl_err *err);

	/*
	 * The watermark has moved to wm_ms. Emit what is due; *forward_ms, which
	 * comes set to wm_ms, is what the runner sends on (never more).
	 * FL_TIME_MAX: the end of the data. NULL: forwarded.
	 */
	int (*on_watermark)(void *self, struct fl_run *run, int64_t wm_ms, int64_t *forward_ms,
			    struct fl_err *err);

	/* Processing time: now_ms >= what was asked for with fl_run_timer. */
	int (*on_timer)(void *self, struct fl_run *run, int64_t now_ms, struct fl_err *err);

	int (*on_end)(void *self, struct fl_run *run, struct fl_err *err);
	void (*close)(void *self);

	/*
	 * A barrier has come on all inputs: write all state into sections of s
	 * (checkpoint/snapshot.h). It reads only: where the state is large it runs in
	 * a forked child, while the stream goes on. It must not emit. NULL: stateless.
	 */
	void (*snapshot)(void *self, struct fl_run *run, struct fl_save *s);

	/* Whether this one keeps state, by its options. NULL: it does if snapshot is there. */
	bool (*stateful)(const void *self);

	/*
	 * After open: be as at the snapshot. Called once, with the sections that
	 * snapshot wrote, perhaps by an older version or with other arguments; what
	 * does not fit is FL_ECONFIG with both sides named.
	 */
	int (*restore)(void *self, struct fl_run *run, struct fl_load *l, struct fl_err *err);

	/* About how many bytes snapshot will write; NULL: few. */
	size_t (*state_bytes)(const void *self);

	/*
	 * Whether snapshot only copies memory as it lies (fl_save_flat). More of that is copied
	 * while the stream waits than of what must be encoded, before a child is forked for it.
	 * NULL: it does not.
	 */
	bool (*snapshot_copies)(const void *self);

	/* How many keys there is state for; NULL: not known. Both are asked often. */
	int64_t (*state_keys)(const void *self);

	/*
	 * Before snapshot, never in a child: bring a state backend on disk up to the
	 * barrier (write its cache back). NULL: nothing to do.
	 */
	int (*before_snapshot)(void *self, struct fl_run *run, struct fl_err *err);

	/*
	 * own_output: the operator is the end of the stream and writes by itself
	 * (fcheckpoint commit); the runner opens no output and forwards nothing.
	 *   on_barrier  after the snapshot of the barrier has become durable; share is
	 *               what .done has to say of it (checkpoint/manifest.h), to be copied.
	 *               The operator writes its .done itself. At the end of the data it is
	 *               called for the final checkpoint too.
	 *   on_finish   END has come and everything is given; end says which END it was.
	 *               May block. Its return is the tool's.
	 */
	bool own_output;
	int (*on_barrier)(void *self, struct fl_run *run, const struct fl_barrier *b,
			  const struct fl_ck_op *share, struct fl_err *err);
	int (*on_finish)(void *self, struct fl_run *run, const struct fl_end *end,
			 struct fl_err *err);

	/* fcat --frames: sees each frame of a stream before it is acted upon. */
	int (*on_frame)(void *self, struct fl_run *run, const struct fl_frame *f,
			struct fl_err *err);
};

/* Runs the tool; returns its exit status. */
int fl_main(const struct fl_op *op, int argc, char **argv);

/* ---- what callbacks may ask of the runner ------------------------------------ */

/* The incoming header (of input 0, 1, …), and the outgoing one, which open and
 * columns may edit. Later, both are only to be read. */
const struct fl_header *fl_run_header(const struct fl_run *run, uint32_t input);
struct fl_header *fl_run_out(struct fl_run *run);

/*
 * Send records on. The batch is the outgoing header's columns; it is written or
 * copied when the call returns.
 */
int fl_emit(struct fl_run *run, const struct fl_batch *b, struct fl_err *err);

/*
 * In open: whether the output will be text (and not frames for another tool). An
 * operator that only edits the header can then do what the next tool would.
 */
bool fl_run_writes_text(const struct fl_run *run);

/* In open: batches and watermarks pass as they are, on_batch and on_watermark are
 * not called. From frames to frames their bytes are not even looked at. */
void fl_run_pass(struct fl_run *run);

/* In open: records of several inputs in the order of time, see above. */
void fl_run_in_time_order(struct fl_run *run);

/* In words: text (CSV) into a pipe, too, if no format is asked for. */
void fl_run_prefer_text(struct fl_run *run);

/*
 * Apply --on-error to the records of b that are bad: with "fail", an error that
 * names the first; with "skip" they are counted, go to --reject, and 0 is
 * returned. The caller leaves them out. on_batch calls it before it does anything
 * else: after the error it is called once more, with the records before the first
 * bad one, so that what they give does not depend on how the input was cut. what:
 * what was being done, e.g. the expression.
 */
int fl_run_bad(struct fl_run *run, const struct fl_batch *b, const struct fl_badrows *bad,
	       const char *what, struct fl_err *err);

/* Count records that came too late; the sum is printed at exit. path: where they
 * were written, or NULL: they were dropped. Borrowed. */
void fl_run_late(struct fl_run *run, uint64_t records, const char *path);

/* A line for standard error at exit (a column that never came). Copied. */
void fl_run_note(struct fl_run *run, const char *fmt, ...) FL_PRINTF(2, 3);

/* The note that a column which was asked for never came, with the nearest that did. */
void fl_run_unseen(struct fl_run *run, const char *name);

/* What expressions may see besides columns: --tz, the start of the run. */
const struct fl_expr_env *fl_run_expr_env(const struct fl_run *run);

/* The watermark that was sent on last. */
int64_t fl_run_watermark(const struct fl_run *run);

/* The clock, ms since the epoch; the same all through one callback. */
int64_t fl_run_now(const struct fl_run *run);

/* Ask for on_timer at at_ms (INT64_MAX: not at all). One timer; the last call counts. */
void fl_run_timer(struct fl_run *run, int64_t at_ms);

/* --max-memory in bytes, or SIZE_MAX. */
size_t fl_run_memory_max(const struct fl_run *run);

/*
 * The checkpoint directory of the region that the tool is in, joined, from open on;
 * NULL outside of one. And the operator's uid in it.
 */
struct fl_ckdir *fl_run_checkpoints(const struct fl_run *run);
const char *fl_run_uid(const struct fl_run *run);

/* In before_snapshot and snapshot: of which checkpoint. */
uint64_t fl_run_checkpoint_id(const struct fl_run *run);

/* The options that every tool takes, for one with own_output (run/options.h). */
const struct fl_options *fl_run_options(const struct fl_run *run);

/*
 * A side file (--late, --else): CSV, TSV or JSONL by its name, rows of header h.
 * Opened when the first header has come; created even if nothing goes into it.
 * Owned by the runner, which flushes and closes it.
 */
struct fl_side;
struct fl_side *fl_run_side(struct fl_run *run, const char *path, const struct fl_header *h,
			    struct fl_err *err);
int fl_side_write(struct fl_side *s, const struct fl_header *h, const struct fl_batch *b,
		  struct fl_err *err);

#endif
