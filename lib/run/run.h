/* SPDX-License-Identifier: Apache-2.0 */
/* The runner's inside. Private to lib/run; operators use op.h. */
#ifndef FL_RUN_RUN_H
#define FL_RUN_RUN_H

#include <poll.h>

#include "run/align.h"
#include "run/hint.h"
#include "run/input.h"
#include "run/op.h"
#include "run/options.h"
#include "run/output.h"
#include "run/progress.h"
#include "run/region.h"
#include "run/side.h"
#include "run/stats.h"

/* What a restored snapshot says of a side file. */
struct fl_kept_side {
	char *path;
	uint64_t length;
};

struct fl_run {
	const struct fl_op *op;
	void *self;
	struct fl_options opt;
	struct fl_expr_env env;
	struct fl_zone *zone; /* --tz, or NULL */
	int argc;             /* as typed, for the lineage */
	char **argv;

	uint32_t input_count;
	struct fl_input *in;
	struct pollfd *poll; /* standard output, the inputs, SIGUSR1 */
	uint32_t headers;    /* inputs whose header has come */
	bool entered;        /* all headers have come: the region is known */
	bool opened;         /* op->open was called */
	bool was_opened;     /* … before the snapshot that was restored */
	bool in_order;       /* several inputs in the order of time */
	bool stuck;          /* nothing has come for a while */
	bool explained;      /* --explain: the plan is printed */
	struct fl_align align;

	struct fl_header out_header;
	struct fl_output out;
	struct fl_side *sides;
	struct fl_side *reject;
	bool pass;    /* batches and watermarks pass as they are */
	bool forward; /* … as frames, untouched */
	bool prefer_text;

	int64_t wm_ms; /* last given to the operator */
	int64_t now_ms;
	int64_t timer_ms;   /* INT64_MAX: none */
	uint32_t good_rows; /* after a bad record: how many came before it in its batch */
	uint64_t bad_records;
	uint64_t late_records;
	const char *late_path; /* where they are; NULL: dropped */
	struct fl_buf notes;
	uint32_t current; /* the input whose batch is in hand */
	bool ended;
	struct fl_end end; /* as it came: what is to be sent on */
	bool end_sent;
	struct fl_region region;
	struct fl_stats *stats; /* NULL before the headers have come */
	struct fl_progress progress;
	struct fl_hint hint;
	struct fl_buf kept_sides; /* struct fl_kept_side */
	int upstream_code; /* exit status told by a failed upstream, or 0 */
};

/*
 * The loop: everything between the options and the exit code. 0, or the error
 * that ended it; an upstream that failed gives its code, quiet.
 */
int fl_run_loop(struct fl_run *run, struct fl_err *err);

/* Open the output; the inputs are known. */
int fl__run_open_output(struct fl_run *run, struct fl_err *err);

/* Tell those before this tool that it ends because no more is wanted. */
void fl__run_enough(const struct fl_run *run);

/* --explain: print the plan, and end. */
int fl__run_explain(struct fl_run *run, struct fl_err *err);

/* A record of a text input that could not be read: --on-error. */
int fl__run_bad_text(struct fl_run *run, const char *file, uint64_t line, const char *reason,
		     const char *text, size_t len, struct fl_err *err);

/* For run/order.c: the next event of an input, set aside or new; what it means. */
int fl__run_event(struct fl_run *run, uint32_t i, struct fl_event *ev, struct fl_err *err);
int fl__run_handle(struct fl_run *run, uint32_t i, struct fl_event *ev, struct fl_err *err);
int fl__run_batch(struct fl_run *run, uint32_t i, const struct fl_batch *b, struct fl_err *err);
int fl__run_watermark(struct fl_run *run, const struct fl_watermark *wm, struct fl_err *err);

/* Input i has delivered barrier b, or what counts as it. */
int fl__run_delivered(struct fl_run *run, uint32_t i, const struct fl_barrier *b,
		      struct fl_err *err);

/* Before all headers have come, an input whose own has come waits. */
bool fl__run_may_read(const struct fl_run *run, uint32_t i);

#endif
