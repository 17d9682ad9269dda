/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checkpoint directory: the one thing that the processes of a region share.
 * "The directory is the message": nothing is told but by files that appear whole.
 *
 *	DIR/                        0700, files 0600
 *	  lock                      who is in the region: a lock on its first byte
 *	  leader                    lock: the begin that numbers checkpoints
 *	  decider                   lock: the commit that completes or abandons them
 *	  attempt                   JSON, replaced atomically: the present attempt
 *	  claims/aNNN.UID           one process each; its instance id, locked while it
 *	                            lives, emptied when its part is done
 *	  request                   JSON: a checkpoint, a savepoint, a stop is asked for
 *	  chk-0000000012/           one checkpoint; ids are never used again
 *	    UID.aNNN.state          an operator's state (snapshot.h)
 *	    UID.aNNN.files/         files of a state backend on disk, hard links
 *	    UID.aNNN.done           JSON (manifest.h): the state is durable
 *	    UID.aNNN.failed         text: why it is not
 *	    MANIFEST                JSON: complete. Restore trusts it alone
 *	    ABANDONED               text: why it will never be complete
 *	  pending/UID.aNNN.SEQ      results of a sink that are not yet in its output
 *	  work/UID.aNNN/            a state backend's open files; of no use later
 *
 * Names have a fixed grammar, [a-z0-9._-]{1,64} for uids (fl_uid_check), and are
 * opened below the directory's descriptor without following links: nothing that a
 * file says can lead out of the directory. Files whose name or content carries
 * another attempt are ignored.
 *
 * Locks are of open file descriptions (OFD): a snapshot child holds what its
 * parent held, and they go when the last holder dies, however it dies.
 *
 * Durable means: written, fsynced, renamed into place, the directory fsynced, in
 * that order. A failed fsync is final: FL_EIO, and the file is not tried again.
 *
 * Test points: where the order of steps matters, FL_FAULT("name") stands in the
 * code (base/fault.h); tests kill there.
 */
#ifndef FL_CHECKPOINT_DIR_H
#define FL_CHECKPOINT_DIR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

#define FL_UID_MAX 64u
#define FL_CHECKPOINT_NAME_MAX 160u

struct fl_ckdir {
	int fd;     /* of the directory; -1: closed */
	char *path; /* absolute, as given in messages */
	int lock_fd;
	int claim_fd;     /* locked while this process takes part; -1: it has not claimed */
	uint64_t attempt; /* of this process's region; 0: none (fcheckpoint list) */
};

/* "orders.fkeyby-1": [a-z0-9._-]{1,64}, not beginning with '.'. FL_EUSAGE. */
int fl_uid_check(const char *uid, struct fl_err *err);

/*
 * Open (begin: create, 0700, with its parents' entry made durable) the directory.
 * FL_ENOINPUT, FL_ECREATE; FL_ECONFIG where it belongs to another user, is writable by
 * others, or is not empty and no checkpoint directory.
 */
int fl_ckdir_open(struct fl_ckdir *d, const char *path, bool create, struct fl_err *err);
void fl_ckdir_close(struct fl_ckdir *d); /* gives its locks back */

/* ---- begin: the attempt (rule 1) ---- */

/* What DIR/attempt says. */
struct fl_attempt {
	uint64_t number;     /* from 1 */
	uint64_t restore_id; /* the checkpoint it goes on from; 0: none */
	uint64_t next_id;    /* no checkpoint of this attempt has a lower id */
	uint32_t sinks;      /* begin --sinks */
	bool at_least_once;
	bool allow_dropped; /* --allow-dropped-state */
	int64_t timeout_ms; /* --timeout, for the decider */
	uint32_t tolerate;  /* --tolerate */
	uint32_t retain;    /* --retain */
	int64_t every_ms;
	int64_t min_pause_ms;
	int64_t pid;    /* of the leader */
	char **sources; /* names that have joined; "" for the only, nameless one */
	uint32_t source_count;
};
void fl_attempt_release(struct fl_attempt *a);

/*
 * The leader: take the lock for the region exclusively, waiting up to wait_ms;
 * FL_EUNAVAILABLE names the pids of those that hold it. With it nobody else is in
 * the region, no orphan of an earlier attempt either.
 */
int fl_ckdir_lock_alone(struct fl_ckdir *d, int64_t wait_ms, struct fl_err *err);

/* Number the attempt, durably, as a's other members say; then the lock is shared. */
int fl_ckdir_begin(struct fl_ckdir *d, struct fl_attempt *a, struct fl_err *err);

/*
 * Every other process: join attempt number (from the header): take the lock
 * shared, check that DIR/attempt is this one. FL_EUNAVAILABLE: another attempt, or
 * a directory on another machine's disk. FL_ETEMP: a later attempt has processes now, or
 * begins: the line again may find it gone.
 */
int fl_ckdir_join(struct fl_ckdir *d, uint64_t number, struct fl_err *err);

/* Give the lock of the region back, before anything was claimed: d may join another attempt. */
void fl_ckdir_leave(struct fl_ckdir *d);

/* This process is operator uid of the attempt; FL_ECONFIG if another one is too
 * (two branches of a tee), with the advice to give --uid. Until d is closed, or
 * fl_ckdir_ended, its going is a loss. */
int fl_ckdir_claim(struct fl_ckdir *d, const char *uid, const char *instance, struct fl_err *err);

/* In a child of it: the claim is the parent's alone, whose going must be seen. */
void fl_ckdir_unclaim(struct fl_ckdir *d);

/* This process has done its part, and may go: said before END leaves it. */
void fl_ckdir_ended(const struct fl_ckdir *d);

/*
 * Whether a process that had claimed its part in this attempt has gone without having
 * done it: it was killed, has failed, or its reader had. The pipes mostly tell so at once;
 * they do not where a foreign program (tee) stands between, and nothing flows.
 */
bool fl_ckdir_lost(const struct fl_ckdir *d);

int fl_ckdir_read_attempt(const struct fl_ckdir *d, struct fl_attempt *ret, struct fl_err *err);

/* A source joins the attempt under a name (rule 7): once; FL_ECONFIG if it has. */
int fl_ckdir_join_source(struct fl_ckdir *d, const char *name, struct fl_err *err);

/*
 * Take one of the named locks ("leader", "decider") without waiting: 1 taken (held
 * until *ret_fd is closed), 0 somebody else has it.
 */
int fl_ckdir_try_lock(const struct fl_ckdir *d, const char *name, int *ret_fd, struct fl_err *err);

/*
 * Whether another process has one of the locks ("leader", "decider", and "lock": is in the
 * region, or is what is left of it), without taking or making it. It can change at any time.
 */
bool fl_ckdir_is_locked(const struct fl_ckdir *d, const char *name);

/* ---- checkpoints ---- */

enum fl_ck_state { FL_CK_NONE = 0, FL_CK_OPEN, FL_CK_COMPLETE, FL_CK_ABANDONED };

/* "chk-0000000012", with "/name" if name is given. */
void fl_ck_path(char out[FL_CHECKPOINT_NAME_MAX], uint64_t id, const char *name);

/* "UID.aNNN.WHAT" */
void fl_ck_file(char out[FL_CHECKPOINT_NAME_MAX], const char *uid, uint64_t attempt,
		const char *what);

/* The leader: make the directory of checkpoint id, durably, before any barrier. */
int fl_ck_create(const struct fl_ckdir *d, uint64_t id, struct fl_err *err);

/* What has become of it. Cheap: two calls of the system. */
enum fl_ck_state fl_ck_look(const struct fl_ckdir *d, uint64_t id);

/* All ids that have a directory, ascending: uint64_t in *ret. */
int fl_ck_list(const struct fl_ckdir *d, struct fl_buf *ret, struct fl_err *err);

/* ABANDONED, durably: never complete. */
int fl_ck_abandon(const struct fl_ckdir *d, uint64_t id, const char *why, struct fl_err *err);

/*
 * Remove a checkpoint with everything in it: its manifest first, durably. Of the newest
 * an empty, abandoned directory stays, so that its id is not used again.
 */
int fl_ck_remove(const struct fl_ckdir *d, uint64_t id, struct fl_err *err);

/* ---- files ---- */

/*
 * A file that appears whole: fl_ckfile_create opens NAME.PID.tmp below the directory,
 * fl_ckfile_commit fsyncs it, renames it to NAME and fsyncs the directory that it
 * is in. name may have one directory in it ("chk-0000000012/x").
 */
struct fl_ckfile {
	int fd;     /* -1: none */
	int writer; /* pid, in the name under which it is written */
	char name[FL_CHECKPOINT_NAME_MAX];
};
int fl_ckfile_create(const struct fl_ckdir *d, const char *name, struct fl_ckfile *f,
		     struct fl_err *err);
int fl_ckfile_commit(const struct fl_ckdir *d, struct fl_ckfile *f, struct fl_err *err);
void fl_ckfile_cancel(const struct fl_ckdir *d, struct fl_ckfile *f); /* after a failure */

/* The same for a whole content at once. */
int fl_ckdir_write(const struct fl_ckdir *d, const char *name, const void *p, size_t n,
		   struct fl_err *err);

/* A whole file of at most max bytes, appended to out. FL_ENOINPUT: not there. */
int fl_ckdir_read(const struct fl_ckdir *d, const char *name, size_t max, struct fl_buf *out,
		  struct fl_err *err);

/* fsync the directory so named below DIR ("" for DIR itself). */
int fl_ckdir_sync(const struct fl_ckdir *d, const char *name, struct fl_err *err);

/* ---- requests: commit, people and signals to begin ---- */

enum fl_request_kind {
	FL_REQUEST_NONE = 0,
	FL_REQUEST_CHECKPOINT, /* commit holds results back and nothing flows */
	FL_REQUEST_SAVEPOINT,  /* one that prune keeps; the job goes on */
	FL_REQUEST_STOP,       /* a savepoint, then the end: windows do not fire */
	FL_REQUEST_DRAIN,      /* the end as of the data: windows fire */
	FL_REQUEST_FAIL,       /* a tool has failed, with this code: end at once. A foreign program
	                          between begin and it (tee) may not tell for a long time */
};

/*
 * What was asked of this attempt, and by which exit code a stop should show (75
 * SIGTERM, 130 SIGINT, 0 --keep-open). A greater kind replaces a lesser one.
 */
int fl_ckdir_ask(const struct fl_ckdir *d, enum fl_request_kind kind, int code, struct fl_err *err);

/* begin: what is asked for, cheaply where nothing is. serial tells a new request
 * from one that was seen. */
enum fl_request_kind fl_ckdir_asked(const struct fl_ckdir *d, int *ret_code, uint64_t *ret_serial);

/* begin: it was seen to (only if it is still the one with this serial). */
void fl_ckdir_answered(const struct fl_ckdir *d, uint64_t serial);

#endif
