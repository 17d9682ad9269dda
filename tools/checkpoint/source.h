/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where fcheckpoint begin takes its text from: files one after the other, a log that
 * grows and is rotated, a pipe, a spooled pipe, a command. It gives pieces (stream/raw.h)
 * and knows its position: which file, and how far.
 *
 * Of a regular file only positions are given; its descriptor stays open until a
 * checkpoint behind them is complete, so that the reader opens the same file, though it
 * was renamed. Everything else is given as bytes.
 *
 * A file is known again by device, inode, a hash of its first bytes and one of the bytes
 * before the position. The device alone may change: at a reboot its number does.
 */
#ifndef TOOLS_CHECKPOINT_SOURCE_H
#define TOOLS_CHECKPOINT_SOURCE_H

#include "checkpoint/snapshot.h"
#include "format/gunzip.h"
#include "stream/raw.h"

#define FC_TRACE FL_KIB(4) /* bytes at both ends of what was read that are hashed */
#define FC_HELD 64         /* descriptors that are kept for the reader */

/* A file as it was when it was left, or is now. */
struct fc_place {
	char *name;      /* as typed, or as it is found */
	uint64_t number; /* of the file, in the order of the source */
	uint64_t dev, ino;
	uint64_t offset; /* bytes that were given; of a gzip file, unpacked */
	uint64_t head_len, head_hash;
	uint64_t tail_len, tail_hash; /* of the bytes before offset */
	bool packed;
	bool done; /* to its end */
};

enum fc_input_kind {
	FC_INPUT_NONE = 0,
	FC_INPUT_FILE,   /* regular: positions */
	FC_INPUT_PACKED, /* regular, gzip: bytes */
	FC_INPUT_STREAM, /* a pipe, a socket, a command's output: bytes, once */
};

/* The input in hand. */
struct fc_input {
	enum fc_input_kind kind;
	int fd; /* -1: none */
	struct fc_place at;
	uint64_t size;      /* FC_INPUT_FILE: as last seen */
	struct fl_buf buf;  /* the piece that was given last */
	struct fl_buf head; /* FC_INPUT_PACKED, STREAM: the first bytes of the text */
	struct fl_buf tail; /* … the last ones before the position */
	struct fl_gunzip *gunzip;
	struct fl_buf in; /* packed bytes that were read … */
	size_t in_done;   /* … and unpacked */
	bool in_end;
	bool ended;    /* its last piece was given */
	bool as_bytes; /* FC_INPUT_FILE: too small, or too many are held */
};

/* A descriptor that the reader may still have to open again. */
struct fc_held {
	int fd;
	uint64_t until; /* checkpoint; 0: its barrier is still to come */
};

enum fc_mode { FC_FILES = 0, FC_FOLLOW, FC_COMMAND, FC_SPOOL };

struct fc_source {
	enum fc_mode mode;
	char **words; /* FILEs, or the command; borrowed */
	uint32_t word_count;
	const char *spool; /* --spool, or NULL */
	bool allow_lost_input;
	bool allow_moved_input; /* FILEs are known by their content alone: they were copied */
	bool keep_open;         /* the end of the last FILE is not the end of the data */
	uint32_t next_word;     /* of the FILE that is opened next */
	uint64_t next_number;
	struct fc_input in;
	struct fc_place *past; /* FILEs that were read to their ends; one a word */
	uint32_t past_count;
	struct fc_held held[FC_HELD];
	uint32_t held_count;
	uint64_t total; /* bytes that were given, in all attempts */
	/* follow.c */
	bool leaving;         /* the log in hand grows no more */
	bool resting;         /* there was nothing more in it … */
	struct fc_place rest; /* … here (its name is not owned) */
	bool truncated;       /* it was cut: begin again at its start */
	bool orphan;          /* the log that was being read is gone: its end is to be told … */
	uint64_t orphan_number, orphan_offset; /* … of this file, at this place */
	uint64_t truncations;                  /* how often that was seen */
	/* command.c */
	int64_t pid; /* of the command; 0: none */
	/* spool.c */
	int spool_in; /* the pipe behind the spool; -1: none */
	bool spool_end;
	int spool_fd;        /* the spool, to be written */
	uint64_t trimmed;    /* its first bytes are a hole */
	struct fl_buf notes; /* lines for standard error */
};

enum { FC_WAIT = 0, FC_PIECE = 1, FC_END = 2 };

void fc_source_init(struct fc_source *s);
void fc_source_release(struct fc_source *s);

/* Before anything is given: open what must be there from the start. */
int fc_source_start(struct fc_source *s, struct fl_err *err);

/* The next piece: FC_PIECE, FC_WAIT if none is there yet, FC_END, or an error. It
 * borrows from s until the next call. */
int fc_source_next(struct fc_source *s, struct fl_raw *ret, struct fl_err *err);

/* Wait for input, at most timeout_ms. */
void fc_source_wait(const struct fc_source *s, int timeout_ms);

/* The place of the input in hand, hashes and all; copies into *ret (its name borrows). */
int fc_source_here(struct fc_source *s, struct fc_place *ret, struct fl_err *err);

/* Positions into a snapshot, at a barrier; and back, before fc_source_start. */
int fc_source_save(struct fc_source *s, struct fl_save *save, struct fl_err *err);
int fc_source_load(struct fc_source *s, struct fl_load *l, struct fl_err *err);

/* FL_ECONFIG if there is more input than the finished job has read. */
int fc_source_check_finished(struct fc_source *s, struct fl_load *l, struct fl_err *err);

/* Barrier id was sent; checkpoint id is complete. */
void fc_source_barrier(struct fc_source *s, uint64_t id);
void fc_source_complete(struct fc_source *s, uint64_t id);

/* Make durable what the positions rely on, before they are. May run in a thread. */
int fc_source_sync(struct fc_source *s, struct fl_err *err);

/* ---- between the files of the source ---- */

void fc_place_release(struct fc_place *p);
void fc_input_init(struct fc_input *in);
void fc_input_release(struct fc_input *in);

/*
 * Open a FILE ("-": standard input) as input number n, at its beginning. FL_ENOINPUT,
 * FL_EDATA for a flue stream.
 */
int fc_input_open(struct fc_input *in, const char *name, uint64_t n, struct fl_err *err);

/* The same for a descriptor, which is taken over. */
int fc_input_take(struct fc_input *in, int fd, const char *name, uint64_t n, struct fl_err *err);

/*
 * Go on from place p. FL_ECONFIG names what differs: then the input does not fit.
 */
int fc_input_seek(struct fc_input *in, const struct fc_place *p, struct fl_err *err);

/* The next piece. follow: the end of the file is not the end of the input (FC_WAIT). */
int fc_input_next(struct fc_input *in, bool follow, struct fl_raw *ret, struct fl_err *err);

/* No more of it is given, though there may be more: an empty last piece. */
int fc_input_finish(struct fc_input *in, struct fl_raw *ret);

/* Whether a regular file still holds what was read of it up to place p: 0, FL_ECONFIG. */
int fc_input_check(struct fc_input *in, const struct fc_place *p, struct fl_err *err);

/* Its place now. */
int fc_input_here(struct fc_input *in, struct fc_place *ret, struct fl_err *err);

/* The input is done with: its descriptor is kept for the reader, if that needs it. */
void fc_source_hold(struct fc_source *s, struct fc_input *in);

/* Remember what was lost or weakened; printed once by begin. */
void fc_source_note(struct fc_source *s, const char *fmt, ...) FL_PRINTF(2, 3);

/* Open the next FILE of the words; leave the input in hand, which has ended. */
int fc_source_open_word(struct fc_source *s, struct fl_err *err);
int fc_source_leave(struct fc_source *s, struct fl_err *err);

int fc_follow_next(struct fc_source *s, struct fl_raw *ret, struct fl_err *err);
int fc_follow_resume(struct fc_source *s, const struct fc_place *p, struct fl_err *err);

int fc_command_start(struct fc_source *s, struct fl_err *err);
int fc_command_end(struct fc_source *s, struct fl_err *err);

/* err says what is wrong with what it gave; if it has failed, that is the reason. */
int fc_command_failed(struct fc_source *s, struct fl_err *err);
void fc_command_kill(struct fc_source *s);

int fc_spool_start(struct fc_source *s, struct fl_err *err);
int fc_spool_next(struct fc_source *s, struct fl_raw *ret, struct fl_err *err);

/* Give back what no complete checkpoint of the source's name needs any longer. */
struct fl_ckdir;
void fc_spool_trim(struct fc_source *s, const struct fl_ckdir *d, const char *name);

#endif
