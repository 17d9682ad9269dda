/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text that comes from fcheckpoint begin, in the raw batches of stream/raw.h: the
 * bytes of an input that decodes them, and what else comes between them. Private to
 * lib/run; only input.c and its state use it.
 */
#ifndef FL_RUN_RAWIN_H
#define FL_RUN_RAWIN_H

#include "stream/raw.h"

struct fl_input;
struct fl_event;

struct fl_rawin {
	struct fl_input *wire; /* the stream of frames */
	struct fl_raw piece;   /* in hand; its bytes borrow from wire */
	uint64_t done;         /* bytes of it that were taken */
	bool any;              /* there is a piece */
	bool within;           /* between the first and the last piece of a file */
	uint64_t file;         /* number of the file in hand */
	char *name;            /* its name, as typed */
	int fd;                /* the file, where pieces are positions; -1: not open */
	uint64_t fd_file;      /* which file that is */
	bool told;             /* event is one that is not bytes, and is due */
	struct fl_barrier barrier;
	struct fl_end end;
	int type; /* enum fl_event_type of what is due */
};

/* Take over the stream that in has been until now: its header said raw. */
struct fl_rawin *fl_rawin_new(struct fl_input *in);
void fl_rawin_free(struct fl_rawin *r);

/*
 * Up to n bytes of the file in hand: how many, 0 at its end; *ret_none where that
 * would wait, or something else is due first (fl_rawin_told).
 */
int64_t fl_rawin_read(struct fl_rawin *r, void *to, size_t n, bool *ret_none, struct fl_err *err);

/* Before a file: 1 and it is in hand (r->name), 0 *ret_none as above. */
int fl_rawin_next_file(struct fl_rawin *r, bool *ret_none, struct fl_err *err);

/* Be within file number file, or behind it, as at a snapshot. */
void fl_rawin_restore(struct fl_rawin *r, uint64_t file, bool within, const struct fl_buf *name);

/* A barrier, the end, a failure that is due now: it is handed out. */
bool fl_rawin_told(struct fl_rawin *r, struct fl_event *ev);

#endif
