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
#include "run/queue.h"
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
	struct fl_gunzip *gunzip;
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
	uint32_t columns_told;
	bool ended;

	/* frames */
	uint64_t seq;
	struct fl_buf cols;
	int64_t wm_seen;
	struct fl_queue queue; /* read ahead while a barrier is awaited elsewhere */

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

int fl_input_next(struct fl_input *in, struct fl_event *ev, struct fl_err *err);

/*
 * After a BATCH event with heads_only: hand the frame on to a descriptor as it is.
 * What of it is not read yet goes from pipe to pipe within the kernel.
 */
int fl_input_forward(struct fl_input *in, const struct fl_frame *f, int to, const char *to_name,
		     struct fl_err *err);

/* The descriptor to wait for, or -1. */
int fl_input_fd(const struct fl_input *in);

/* When --idle-timeout next has to be looked at (clock, ms), or INT64_MAX. */
int64_t fl_input_deadline(const struct fl_input *in);

/*
 * While this input has to wait (its barrier is here, another's is not): read
 * what comes into the queue, so that no pipe stands still. Frames only.
 */
int fl_input_read_ahead(struct fl_input *in, struct fl_err *err);

#endif
