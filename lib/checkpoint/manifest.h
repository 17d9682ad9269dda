/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of a checkpoint say: .done of one operator, and the MANIFEST that
 * makes a checkpoint complete. JSON, so that people can read it; a last line
 * "xxh3 HEX" over all before it tells damage.
 *
 * Restore trusts the manifest alone: an operator's state is the file that it names,
 * with the size and the hash that it names.
 */
#ifndef FL_CHECKPOINT_MANIFEST_H
#define FL_CHECKPOINT_MANIFEST_H

#include "checkpoint/dir.h"
#include "checkpoint/snapshot.h"
#include "stream/header.h"

#define FL_MANIFEST_VERSION 1u

/* A file in the checkpoint's directory, or below it. */
struct fl_ck_part {
	char *name; /* relative to the checkpoint's directory */
	uint64_t size;
	uint64_t hash; /* XXH3-64 of the content; a state file: fl_save_hash */
};

/* One operator's share. */
struct fl_ck_op {
	char *uid;
	char *tool;
	struct fl_ck_part state;
	struct fl_ck_part *files; /* of a state backend on disk */
	uint32_t file_count;
	char *backend;       /* "memory", "rocksdb" */
	uint64_t checkpoint; /* in whose directory the files lie: a finished operator's
	                        last one, else this one */
	uint64_t entries;
	int64_t duration_ms; /* from the barrier to being durable */
	int64_t stall_us;    /* the stream stood still */
	int64_t align_ms;    /* from the first barrier to the last */
	bool finished;       /* END has passed: it has no later state */
};

/* Results that are not in the output yet: bytes from..to of a pending file. */
struct fl_ck_pending {
	char *file; /* name below DIR/pending */
	uint64_t from, to;
	uint64_t hash; /* XXH3-64 of these bytes */
};

/* One sink's share (rule 4). */
struct fl_ck_sink {
	char *uid;
	char *kind; /* "file", "segments", "pipe" */
	char *path; /* absolute; segments: the directory or prefix */
	uint64_t dev, ino;
	uint64_t base;                 /* length of the output when the job began with it */
	uint64_t committed;            /* bytes behind base that were durable when this was written:
	                       the end of the checkpoint before */
	uint64_t tail_len;             /* at most 4096 bytes before base + committed … */
	uint64_t tail_hash;            /* … and their XXH3-64 */
	struct fl_ck_pending *pending; /* of this checkpoint (and abandoned ones before it) */
	uint32_t pending_count;
	uint64_t records; /* written in all */
	char *more;       /* JSON of the sink's own, or NULL */
};

/* One source's share, for people: where it stands. */
struct fl_ck_source {
	char *name; /* of begin --name; "" */
	char *file; /* the one being read */
	uint64_t offset;
	uint64_t records;
};

/* UID.aNNN.done */
struct fl_ck_done {
	uint64_t id, attempt;
	struct fl_ck_op op;
	struct fl_ck_sink *sink;     /* of a commit; else NULL */
	struct fl_ck_source *source; /* of a begin; else NULL */
	struct fl_header lineage;    /* of a commit: only .lineage is in use */
};

struct fl_manifest {
	uint64_t id, attempt;
	int64_t time_ms;    /* the clock when it was completed */
	int64_t barrier_ms; /* … when the barrier was injected */
	bool savepoint;     /* kept by prune and --retain */
	bool finished;      /* the end of the data: nothing goes on from it */
	struct fl_ck_op *ops;
	uint32_t op_count;
	struct fl_ck_sink *sinks;
	uint32_t sink_count;
	struct fl_ck_source *sources;
	uint32_t source_count;
	struct fl_header lineage; /* the whole job: only .lineage is in use */
};

void fl_ck_done_release(struct fl_ck_done *d);
void fl_manifest_release(struct fl_manifest *m);

void fl_ck_done_encode(const struct fl_ck_done *d, struct fl_buf *out);
int fl_ck_done_decode(struct fl_ck_done *d, const char *p, size_t n, struct fl_err *err);
void fl_manifest_encode(const struct fl_manifest *m, struct fl_buf *out);
int fl_manifest_decode(struct fl_manifest *m, const char *p, size_t n, struct fl_err *err);

/* Write UID.aNNN.done (or .failed with a reason) of an operator, durably. */
int fl_ck_put_done(const struct fl_ckdir *d, const struct fl_ck_done *done, struct fl_err *err);
int fl_ck_put_failed(const struct fl_ckdir *d, uint64_t id, const char *uid, const char *why,
		     struct fl_err *err);

/*
 * What operator uid of the present attempt says of checkpoint id: 1 done (*ret is
 * filled), 0 nothing yet, FL_ETEMP failed (err has its reason).
 */
int fl_ck_get_done(const struct fl_ckdir *d, uint64_t id, const char *uid, struct fl_ck_done *ret,
		   struct fl_err *err);

/* MANIFEST of checkpoint m->id, durably: with it the checkpoint is complete. */
int fl_manifest_write(const struct fl_ckdir *d, const struct fl_manifest *m, struct fl_err *err);

/* FL_ENOINPUT: not complete; FL_EDATA: damaged, the file is named. */
int fl_manifest_read(const struct fl_ckdir *d, uint64_t id, struct fl_manifest *m,
		     struct fl_err *err);

/*
 * The newest complete checkpoint that is not abandoned: 1 and *m, 0 if there is
 * none. A damaged one is FL_EDATA, with the advice to look at fcheckpoint verify
 * and rewind: an older one is never taken without being told to.
 */
int fl_manifest_newest(const struct fl_ckdir *d, struct fl_manifest *m, struct fl_err *err);

/* The operator of a manifest, or NULL. */
const struct fl_ck_op *fl_manifest_op(const struct fl_manifest *m, const char *uid);

/*
 * The state of an operator of m, opened, and seen to be the file that m names: its size
 * and hash. Its blocks are checked as they are read. *ret_name is the file's name, which
 * fl_load borrows; free it after fl_load_close.
 */
struct fl_load *fl_manifest_load(const struct fl_ckdir *d, const struct fl_manifest *m,
				 const struct fl_ck_op *op, char **ret_name, struct fl_err *err);

/* ---- the files of a state backend on disk (verify.c) ---- */

/* Files that were hashed, by inode: hard links to them are not read again. Zeroed: none. */
struct fl_ck_seen {
	struct fl_buf files;
};
void fl_ck_seen_release(struct fl_ck_seen *s);

/*
 * The directory of the files of an operator of m, below d: "chk-0000000012/UID.aNNN.files".
 * "": its state file has no name that tells.
 */
void fl_ck_files_dir(const struct fl_manifest *m, const struct fl_ck_op *op,
		     char out[FL_CHECKPOINT_NAME_MAX]);

/*
 * Fill op->files, whose other members are there, with the names, sizes and hashes of what is
 * in its directory UID.aNNN.files of checkpoint id; where there is none, with nothing. seen:
 * what was hashed before, and then these.
 */
int fl_ck_hash_files(const struct fl_ckdir *d, uint64_t id, struct fl_ck_op *op,
		     struct fl_ck_seen *seen, struct fl_err *err);

/*
 * Read the files of op, and compare: FL_EDATA names the one that is missing, cut off,
 * damaged, or not of this checkpoint. They are added to seen.
 */
int fl_ck_verify_files(const struct fl_ckdir *d, const struct fl_manifest *m,
		       const struct fl_ck_op *op, struct fl_ck_seen *seen, struct fl_err *err);

/* Read all files that it names, and compare sizes and hashes: FL_EDATA names the
 * file and offset. */
int fl_manifest_verify(const struct fl_ckdir *d, const struct fl_manifest *m, struct fl_err *err);

/*
 * The same before a restore, where each operator reads its state all the same, and checks
 * what it reads: that the files are there, with their sizes, and each state is the one that
 * is named (by the hash in its end). Output that waits is read.
 */
int fl_manifest_check(const struct fl_ckdir *d, const struct fl_manifest *m, struct fl_err *err);

/*
 * A checkpoint as a directory of its own, at path: created, or empty. Everything that m
 * names is copied and durable before its manifest is. with_sinks false: the copy knows
 * nothing of the output, for a job that goes on beside the one it was taken from.
 * FL_ECREATE, FL_ECONFIG (there are checkpoints already), FL_EIO.
 */
int fl_manifest_copy(const struct fl_ckdir *d, const struct fl_manifest *m, const char *path,
		     bool with_sinks, struct fl_err *err);

/*
 * Keep the newest retain complete checkpoints and all savepoints, remove the
 * others, what was abandoned, and pending and work files that no manifest kept
 * names. Never fails the stream: what cannot be removed is left, and told in
 * *ret_left. Nothing is removed that the newest manifest needs; nothing at all where a
 * complete checkpoint's manifest is damaged. An error is only that of reading DIR.
 */
int fl_ckdir_clean(const struct fl_ckdir *d, uint32_t retain, uint32_t *ret_left,
		   struct fl_err *err);

#endif
