/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event time and watermarks, where a stream is born: --time, --watermark,
 * --watermark-at (Flink's timestamp assigner and watermark generator; both are
 * asked at every record). Private to lib/run.
 */
#ifndef FL_RUN_ASSIGN_H
#define FL_RUN_ASSIGN_H

#include "run/options.h"
#include "time/timestamp.h"

struct fl_assigner {
	const char *time_text; /* of time, until it is bound; borrowed */
	const struct fl_expr_env *env; /* borrowed */
	struct fl_expr *time;  /* NULL: records have no event time */
	struct fl_expr *wm_at; /* NULL: bounded out-of-orderness */
	struct fl_timefmt time_fmt;
	struct fl_timefmt wm_fmt;
	int64_t delay_ms;
	int64_t wm_ms;                       /* after the last record */
	struct fl_buf times, wms, bad_index; /* of the batch in hand */
};

/*
 * time, time_format: what the format knows of itself (clf), used where the
 * options say nothing; or NULL.
 */
int fl_assigner_init(struct fl_assigner *a, const struct fl_options *opt,
		     const struct fl_expr_env *env, const char *time, const char *time_format,
		     struct fl_err *err);
void fl_assigner_release(struct fl_assigner *a);

int fl_assigner_bind(struct fl_assigner *a, const struct fl_header *h, struct fl_err *err);

/*
 * Give the records of b their times and the watermarks before them; what is set
 * in b borrows from a. Records without a readable time go into *bad; the caller
 * takes them out (fl_batch_select) and calls again with the rest, so that a bad
 * record moves no watermark.
 */
int fl_assigner_assign(struct fl_assigner *a, struct fl_batch *b, struct fl_badrows *bad,
		       struct fl_err *err);

/* The watermark and the kinds of time that were found, for a snapshot, and back. */
#define FL_ASSIGNER_KINDS \
	"word32(,iso,epoch,epoch-ms,epoch-us,epoch-ns,clf,rfc2822,syslog,strptime)?"
#define FL_ASSIGNER_LAYOUT /* checkpoint/about.h */ \
	"watermark:time time:" FL_ASSIGNER_KINDS " watermark_at:" FL_ASSIGNER_KINDS
void fl_assigner_save(const struct fl_assigner *a, struct fl_buf *out);
int fl_assigner_restore(struct fl_assigner *a, const char *p, size_t n, struct fl_err *err);

#endif
