/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the results of a checkpointed region go, and in which steps.
 *
 * The stream is cut into epochs by its barriers. What an epoch gave is pending: it is
 * written down, but not in the output, until the checkpoint of the barrier behind it is
 * complete. The steps of an epoch, in order:
 *
 *	put       rows as text                          the thread that reads
 *	mark      the barrier has come                  the thread that reads
 *	settle    what earlier epochs committed, and    the thread that completes
 *	          this one's pending bytes: durable
 *	describe  for .done and the manifest            …
 *	          (now the manifest is written)
 *	commit    the pending bytes become output       …
 *
 * An epoch whose checkpoint is abandoned hands its pieces on to the next. A sink is
 * used by two threads: put and mark touch only what is said to be the reader's.
 *
 * Kinds
 *	file      appended to one file; pending in the checkpoint directory
 *	segments  files that appear whole, by rename; pending beside them
 *	pipe      pipes and terminals: cannot be compared, so after a restore bytes may
 *	          come twice
 *	direct    --read-uncommitted: nothing is held back; a file is cut back on restore
 */
#ifndef TOOLS_CHECKPOINT_SINK_H
#define TOOLS_CHECKPOINT_SINK_H

#include "checkpoint/manifest.h"
#include "part.h"

struct fc_sink;

struct fc_sink_type {
	const char *kind; /* as in the manifest */
	bool goes_on;     /* after a restore the text goes on where it was: no format with pages */

	/* The output is there, checked, and, from a restored checkpoint, complete. */
	int (*open)(struct fc_sink *s, const struct fl_ck_sink *from, struct fl_err *err);
	int (*put)(struct fc_sink *s, struct fl_buf *text, struct fl_err *err);
	int (*mark)(struct fc_sink *s, bool end, struct fl_err *err);
	int (*settle)(struct fc_sink *s, const struct fc_piece *pieces, size_t count,
		      struct fl_err *err);
	void (*describe)(struct fc_sink *s, const struct fc_piece *pieces, size_t count,
			 struct fl_ck_sink *to);
	int (*commit)(struct fc_sink *s, struct fc_piece *pieces, size_t count, struct fl_err *err);
	/* Everything that was committed: durable. */
	int (*finish)(struct fc_sink *s, struct fl_err *err);
};

struct fc_sink {
	const struct fc_sink_type *type;
	const struct fl_ckdir *dir;
	const char *uid;
	const char *format;    /* of the text */
	const char *output;    /* -o, or NULL: standard output */
	bool append;           /* --append */
	bool quiet;            /* -q */
	bool finished;         /* restored from after the end */
	bool delivered;        /* … and its last results are known to be in the output */
	uint64_t segment_size; /* --segments; 0: not by size */
	int64_t segment_ms;    /* … 0: not by time */

	/* set by open */
	char *path;       /* absolute, as far as that is known */
	const char *name; /* for messages */
	int fd;           /* of the output; segments: of their directory */
	bool regular;
	uint64_t dev, ino;
	uint64_t base; /* length when the job began with it */

	/* the reader's */
	struct fc_part *part; /* being written, or NULL */
	uint64_t part_from;   /* where the epoch began in it */
	uint64_t next;        /* number of the next part */
	bool rolled;          /* segments: the next text begins a file */
	struct fl_buf pieces; /* struct fc_piece: of the epoch in hand */
	uint64_t records;     /* counted by the caller */

	/* the completing thread's */
	uint64_t committed; /* bytes behind base */
	char *stem;         /* segments: names begin so, in the directory fd */
	char *suffix;       /* … and end so */
};

void fc_sink_init(struct fc_sink *s);
void fc_sink_release(struct fc_sink *s);

/*
 * Choose the kind: segmented, direct (--read-uncommitted) or by what -o or standard
 * output is. Opens nothing. FL_EUSAGE, FL_ECREATE.
 */
int fc_sink_choose(struct fc_sink *s, bool segmented, bool direct, struct fl_err *err);

/* Whether bytes wait that no barrier has ended yet. */
bool fc_sink_holds(const struct fc_sink *s);

/* A line on standard error, unless -q. */
void fc_sink_say(const struct fc_sink *s, const char *fmt, ...) FL_PRINTF(2, 3);

/*
 * The mark that the results of the last epoch, which ended with checkpoint id, have been
 * handed over: to the other sinks, which wait for it, and to a pipe after a restore, which
 * cannot be looked at. What cannot be written is not missed: then they come once more.
 */
void fc_sink_delivered(const struct fc_sink *s, uint64_t id);
bool fc_sink_was_delivered(const struct fc_sink *s, uint64_t id);

/* ---- between the files of the sink ---- */

extern const struct fc_sink_type fc_sink_file, fc_sink_pipe, fc_sink_segments;
extern const struct fc_sink_type fc_sink_direct_file, fc_sink_direct_pipe;

/* Pending parts in the checkpoint directory: put and mark of file and pipe; settle's part. */
int fc_pending_put(struct fc_sink *s, struct fl_buf *text, struct fl_err *err);
int fc_pending_mark(struct fc_sink *s, bool end, struct fl_err *err);
int fc_pending_settle(struct fc_sink *s, const struct fc_piece *pieces, size_t count,
		      struct fl_err *err);
void fc_pending_describe(const struct fc_piece *pieces, size_t count, struct fl_ck_sink *to);

/* A pending file that a manifest names, open and with the right hash; FL_EDATA. */
int fc_pending_open(struct fc_sink *s, const struct fl_ck_pending *p, char **ret_path,
		    struct fl_err *err);

/* The members of to that all kinds set alike. */
void fc_sink_describe(const struct fc_sink *s, struct fl_ck_sink *to);

/*
 * Open and lock the output file; *ret_created: it was not there. from: the
 * checkpoint's share, which says that it is there, or NULL. FL_ECONFIG, FL_ECREATE,
 * FL_EUNAVAILABLE: locked.
 */
int fc_output_open(struct fc_sink *s, const struct fl_ck_sink *from, bool *ret_created,
		   struct fl_err *err);

/* The output as a fresh job finds it: empty, or to be appended to. FL_ECONFIG. */
int fc_output_fresh(struct fc_sink *s, struct fl_err *err);

/* Is it the file of the checkpoint? FL_ECONFIG with both sides and the way out. */
int fc_output_same(struct fc_sink *s, const struct fl_ck_sink *from, uint64_t *ret_size,
		   struct fl_err *err);

#endif
