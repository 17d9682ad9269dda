/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One input of a tool: a stream of frames, or text that is decoded here and
 * given its event time. Private to lib/run.
 *
 * fl_input_next gives what comes next without ever waiting: where there is
 * nothing, FL_EV_NONE, and the runner flushes and polls fl_input_fd.
 */
#ifndef FL_RUN_INPUT_H
#define FL_RUN_INPUT_H

#include "format/gunzip.h"
#include "format/reader.h"
#include "run/assign.h"
#include "run/options.h"
#include "run/order.h"
#include "run/queue.h"
#include "run/replay.h"
#include "stream/frame.h"

enum fl_event_type {
	FL_EV_NONE = 0, /* nothing without waiting */
	FL_EV_HEADER,   /* input->header is there, or has grown */
	FL_EV_BATCH,
	FL_EV_WATERMARK,
	FL_EV_BARRIER,
	FL_EV_END,
	FL_EV_FAILED, /* the upstream has failed and said so: exit with end.code */
};

/* One event. Everything borrows from the input, until it is asked again. */
struct fl_event {
	enum fl_event_type type;
	struct fl_batch batch;
	struct fl_watermark wm;
	struct fl_barrier barrier;
	struct fl_end end;
	struct fl_frame frame; /* as it came; payload NULL for text */
};

enum fl_input_mode { FL_INPUT_UNKNOWN = 0, FL_INPUT_FRAMES, FL_INPUT_TEXT };

struct fl_rawin;

struct fl_input {
	const struct fl_options *opt;
	struct fl_run *run; /* for fl_run_bad */
	const struct fl_expr_env *env;
	bool heads_only; /* of a BATCH only the head is read: fl_input_forward follows */
	char **files;
	int file_count;
	int file_next; /* index of the file to open next */

	/* the file in hand */
	int fd;           /* -1: none */
	const char *name; /* for messages */
	bool regular;     /* never makes wait */
	bool eof;         /* fd has no more */
	bool drained;     /* read_ahead has seen its end */
	bool gzip;
	uint64_t taken; /* bytes of it that were read, unpacked */
	struct fl_gunzip *gunzip;
	int64_t modified_ms; /* the file, at its opening */
	bool year_told;      /* that it gives the year of times */
	struct fl_buf packed; /* compressed bytes not yet fed */
	size_t packed_done;

	/* bytes: buf[start..len) are there and not yet done with */
	char *buf;
	size_t cap, start, len;
	bool starved; /* what is there holds no whole record or frame */

	enum fl_input_mode mode;
	struct fl_header header;
	bool header_known;
	bool header_told;
	bool header_was_told; /* before the snapshot that was restored: tell it first */
	bool header_counted;  /* by the runner */
	uint32_t columns_told;
	uint32_t columns_open; /* known when the operator was opened: see state.c */
	bool ended;
	struct fl_rawin *raw; /* the text comes from fcheckpoint begin; else NULL */

	/* frames */
	uint64_t seq;
	struct fl_buf cols;
	int64_t wm_seen;
	struct fl_queue queue; /* read ahead while a barrier is awaited elsewhere */
	bool shares;           /* an ancestor with another input: a tee */
	struct fl_turn turn;   /* in time order: the batch in hand */
	struct fl_replay replay; /* events set aside at a barrier: they come first */

	/* text */
	const struct fl_reader_type *format;
	struct fl_reader *reader;
	bool file_started;
	struct fl_assigner assign;
	struct fl_read_result result;
	bool bad_pending;
	bool wm_pending;
	struct fl_watermark wm_told;
	int64_t last_record_ms; /* --idle-timeout: the clock when a record came */
	bool idle;
	struct fl_badrows bad;
	struct fl_err failure; /* told when the records before it have been given */
	struct fl_buf pool, index;
};

/* files stay the caller's; count 0: standard input. Opens nothing yet. */
void fl_input_init(struct fl_input *in, struct fl_run *run, const struct fl_options *opt,
		   const struct fl_expr_env *env, char **files, int count);
void fl_input_release(struct fl_input *in);

/* As after fl_input_init; that its header has been counted stays. */
void fl_input_reset(struct fl_input *in);

/*
 * What comes next. The first HEADER of a raw stream has no columns: after it the
 * runner says fl_input_decode, and the HEADER of the decoded text comes.
 */
int fl_input_next(struct fl_input *in, struct fl_event *ev, struct fl_err *err);

/*
 * After a BATCH event with heads_only: hand the frame on to a descriptor as it is.
 * What of it is not read yet goes from pipe to pipe within the kernel.
 */
int fl_input_forward(struct fl_input *in, const struct fl_frame *f, int to, const char *to_name,
		     struct fl_err *err);

/* Decode what the raw stream whose header has come brings. */
void fl_input_decode(struct fl_input *in);

/* Open the next FILE; pass over n bytes of it. */
int fl_input_open(struct fl_input *in, struct fl_err *err);
int fl_input_skip(struct fl_input *in, uint64_t n, struct fl_err *err);

/*
 * Be a reader of text as at a snapshot: its format, columns, where it stood; then, the
 * file being open if it was, the bytes that it had and did not use. The first told
 * columns are told at first, as they were when the operator was opened: what came later
 * has to come later again, or an operator that puts columns behind them would give
 * them in another order.
 */
int fl_input_restore_text(struct fl_input *in, const char *format, const struct fl_header *columns,
			  uint32_t told, const struct fl_buf *reader, const struct fl_buf *assigner,
			  struct fl_err *err);
void fl_input_restore_rest(struct fl_input *in, bool within, const struct fl_buf *rest);

/* For fl_rawin_new: wire becomes the stream of frames that in has been. */
void fl_input_take(struct fl_input *wire, struct fl_input *in);

/* The descriptor to wait for, or -1. */
int fl_input_fd(const struct fl_input *in);

/* When --idle-timeout next has to be looked at (clock, ms), or INT64_MAX. */
int64_t fl_input_deadline(const struct fl_input *in);

/* Whether fl_input_next has something to give that was read already. */
bool fl_input_pending(const struct fl_input *in);

/*
 * While this input has to wait (its barrier is here, another's is not): read
 * what comes into the queue, so that no pipe stands still. Frames only.
 */
int fl_input_read_ahead(struct fl_input *in, struct fl_err *err);

#endif
