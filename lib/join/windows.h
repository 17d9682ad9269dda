/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the window join: kept rows, the pairs of a window, and the two ways in which
 * rows lie in windows, slices of time and sessions. Private to windowed.c,
 * window-pairs.c, window-slices.c and window-sessions.c.
 */
#ifndef FL_JOIN_WINDOWS_H
#define FL_JOIN_WINDOWS_H

#include "join/pairs.h"
#include "join/slab.h"
#include "run/spill.h"
#include "time/window.h"

/* A kept row. */
struct fl_wrow {
	struct fl_wrow *next; /* of the same cell and side */
	uint64_t seq;         /* arrival number, of both sides together */
	uint32_t len;
	char data[]; /* packed: stream/row.h */
};

/* The rows of one key in a slice or a session. */
struct fl_wcell {
	struct fl_wrow *first[2];
	struct fl_wrow *last[2];
};

/* A left row and the right rows that it may match: a number of pairs.rights. */
struct fl_wunit {
	const struct fl_wrow *left; /* NULL: the group ends, right rows left alone come out */
	uint32_t right_first;
	uint32_t right_count;
	struct fl_window window;
};

/* Pairs that are about to come out. */
struct fl_wpairs {
	struct fl_pairs pairs;
	bool told[2];          /* rows without a partner come out (outer, anti) */
	struct fl_buf lefts;   /* const struct fl_wrow *, of the group in hand */
	struct fl_buf rights;  /* the same, of groups not yet told */
	struct fl_buf matched; /* one byte a right row */
	struct fl_buf units;   /* struct fl_wunit */
};

/*
 * The pairs of one key in one window, whose rows lie in cells[0..n). They come out here
 * or, at the latest, with fl_wpairs_flush. wm: the watermark they carry. null_key: its
 * rows match nothing.
 */
int fl_wpairs_group(struct fl_wpairs *p, const struct fl_window *w,
		    const struct fl_wcell *const *cells, uint32_t n, bool null_key, int64_t wm,
		    struct fl_err *err);
int fl_wpairs_flush(struct fl_wpairs *p, int64_t wm, struct fl_err *err);
void fl_wpairs_release(struct fl_wpairs *p);

/* The row that came first; UINT64_MAX for an empty cell. */
uint64_t fl_wcell_seq(const struct fl_wcell *c);
void fl_wcell_add(struct fl_wcell *c, enum fl_join_side side, struct fl_slab *slab, uint64_t seq,
		  const char *p, uint32_t len);
void fl_wcell_free(struct fl_wcell *c, struct fl_slab *slab);

/* Write the rows of a cell as entries of the section in hand. */
void fl_wcell_save(const struct fl_wcell *c, const struct fl_window *w, const struct fl_key *key,
		   struct fl_save *s, struct fl_buf *value);

/*
 * The same for a value on disk: fl_wcell_encode appends the rows of a cell to out, and
 * fl_wcell_decode takes `rows` rows (UINT64_MAX: all that there are) from the front of *value
 * and adds them to a cell. FL_EDATA.
 */
void fl_wcell_encode(const struct fl_wcell *c, struct fl_buf *out);
int fl_wcell_decode(struct fl_wcell *c, struct fl_slab *slab, struct fl_bytes *value, uint64_t rows,
		    struct fl_err *err);

/* For fcheckpoint show: a row as fl_wcell_save writes it, and as fl_wcell_encode does. */
#define FL_WCELL_SAVED "side:word(left,right) arrival:u64 row:row(left,right)"
#define FL_WCELL_ENCODED "arrival:u64 size side:word(left,right) row:row(left,right)"

/* How many rows there are. */
uint64_t fl_wcell_rows(const struct fl_wcell *c);

/* What slices and sessions share. */
struct fl_wstate {
	struct fl_wpairs *out;
	struct fl_budget *budget;
	struct fl_spill *spill;
	struct fl_slab slab;
	int64_t lateness;
	int64_t wm;
	int64_t past; /* what was due at or before it has fired, or gone; after wm only while
			 the watermark moves on */
};

/* Records of a batch that are about to be added. */
struct fl_wahead {
	const struct fl_key *keys; /* of all records of the batch */
	const int64_t *time;
	const int64_t *wm;
	uint64_t seq;         /* of the batch's first record */
	const uint32_t *rows; /* which they are */
	uint32_t count;
};

/* ---- slices: tumble, slide, cumulate ---- */

struct fl_wslices {
	struct fl_wstate *st;
	struct fl_windows windows;
	struct fl_buf list;   /* struct fl_wslice *, by their start */
	uint32_t recent;      /* index of the one used last */
	int64_t next_end;     /* of the window that fires next; FL_TIME_MAX: none */
	int64_t next_drop;    /* watermark at which a slice goes */
	struct fl_table keys; /* of a window of several slices, for the time of firing */
	struct fl_buf groups, links, cells, ahead, entries;
	struct fl_window firing; /* on disk: the window in hand */
};

extern const struct fl_spill_ops fl_wslices_spill; /* self: the slices */

void fl_wslices_init(struct fl_wslices *s, struct fl_wstate *st, const struct fl_windows *w);
void fl_wslices_release(struct fl_wslices *s);

/* A record. Sets *ret_late if it came too late for all its windows; then it is not kept. */
int fl_wslices_add(struct fl_wslices *s, enum fl_join_side side, const struct fl_key *key,
		   int64_t time, uint64_t seq, const char *p, uint32_t len, bool *ret_late,
		   struct fl_err *err);

/* On disk: bring what is kept of the keys of these records, in sorted batches. */
int fl_wslices_bring(struct fl_wslices *s, const struct fl_wahead *a, struct fl_err *err);

/* What was restored is on disk: know its slices. */
void fl_wslices_know(struct fl_wslices *s);

/* The watermark moves on: fire what is due, and set st->wm. */
int fl_wslices_advance(struct fl_wslices *s, int64_t wm, struct fl_err *err);
void fl_wslices_save(const struct fl_wslices *s, struct fl_save *to);

/* A row that fl_wslices_save wrote; window: what its entry says. */
int fl_wslices_load(struct fl_wslices *s, enum fl_join_side side, const struct fl_key *key,
		    const struct fl_window *window, uint64_t seq, const char *p, uint32_t len,
		    struct fl_err *err);

/* ---- sessions ---- */

struct fl_wsessions {
	struct fl_wstate *st;
	int64_t gap;
	struct fl_table table; /* key -> its sessions */
	struct fl_buf heap;    /* timers */
	struct fl_buf gone;    /* sessions that go when all is told */
	struct fl_buf entries;
};

extern const struct fl_spill_ops fl_wsessions_spill; /* self: the sessions */

void fl_wsessions_init(struct fl_wsessions *s, struct fl_wstate *st, int64_t gap);
void fl_wsessions_release(struct fl_wsessions *s);
int fl_wsessions_add(struct fl_wsessions *s, enum fl_join_side side, const struct fl_key *key,
		     int64_t time, uint64_t seq, const char *p, uint32_t len, bool *ret_late,
		     struct fl_err *err);
int fl_wsessions_bring(struct fl_wsessions *s, const struct fl_wahead *a, struct fl_err *err);
int fl_wsessions_advance(struct fl_wsessions *s, int64_t wm, struct fl_err *err);
void fl_wsessions_save(const struct fl_wsessions *s, struct fl_save *to);
int fl_wsessions_load(struct fl_wsessions *s, enum fl_join_side side, const struct fl_key *key,
		      const struct fl_window *window, uint64_t seq, const char *p, uint32_t len,
		      struct fl_err *err);

#endif
