/* SPDX-License-Identifier: Apache-2.0 */
/* What keyed.c and keyed-save.c have in common; for these two alone. */
#ifndef FL_WINDOW_KEYED_INT_H
#define FL_WINDOW_KEYED_INT_H

#include "window/keyed.h"

/* A record that is kept, in a list by arrival. */
struct fl_kept {
	struct fl_kept *next;
	uint64_t seq; /* arrival */
	int64_t time;
	size_t bytes;
	char data[]; /* stream/row.h */
};

struct fl_pane {
	struct fl_pane *next; /* of the same key */
	struct fl_entry *entry;
	struct fl_window window;
	uint64_t seq;     /* arrival of its first record */
	int64_t timer_ms; /* the earliest timer, FL_TIME_MAX: none that is known */
	uint32_t timers;  /* queued; the pane is not freed before they have come up */
	bool filled;      /* a record came since it was made, or purged */
	bool end_done;    /* its end has been handled, or was passed when it came */
	bool is_due;      /* in the list of the moment */
	bool dead;
	struct fl_pane_more *more; /* behind acc; plain panes share one that never changes */
	_Alignas(8) char acc[];
};

static inline struct fl_pane **
panes_of(struct fl_entry *e)
{
	return (struct fl_pane **)(void *)e->value;
}

static inline int64_t
end_time(const struct fl_pane *p)
{
	return p->window.end == FL_TIME_MAX ? FL_TIME_MAX : p->window.end - 1;
}

static inline int64_t
cleanup_time(const struct fl_keyed *k, const struct fl_pane *p)
{
	if (p->window.end == FL_TIME_MAX)
		return FL_TIME_MAX;
	return k->spec.lateness ? fl_window_cleanup_time(&p->window, k->spec.lateness)
				: end_time(p);
}

/* The earliest moment at which something happens to the pane. */
static inline int64_t
due_time(const struct fl_keyed *k, const struct fl_pane *p)
{
	int64_t due = cleanup_time(k, p);

	if (!p->end_done && k->spec.trigger != FL_TRIGGER_COUNT && end_time(p) < due)
		due = end_time(p);
	return p->more->every_ms < due ? p->more->every_ms : due;
}

/* ---- keyed.c ---- */

/* A fresh pane of the entry, the first of its list; its timer is not set. */
struct fl_pane *fl__keyed_new_pane(struct fl_keyed *k, struct fl_entry *e,
				   const struct fl_window *w, uint64_t seq);
void fl__keyed_set_timer(struct fl_keyed *k, struct fl_pane *p);

/* It goes, without a row. */
void fl__keyed_drop_pane(struct fl_keyed *k, struct fl_pane *p);

/* A record, packed, that a pane keeps. */
void fl__keyed_link_row(struct fl_keyed *k, struct fl_pane *p, const char *packed, size_t n,
			uint64_t seq, int64_t time);

/* Forget all keys, panes and timers; nothing that has fired may be left to be put. */
void fl__keyed_clear(struct fl_keyed *k);

/* ---- keyed-save.c ---- */

/*
 * Places: moments in ms, and within each the order in which panes fire, in so many steps.
 * They are what the spill takes for moments, so that what is due at one moment (windows of
 * all keys, where they are aligned) need not fit the memory.
 */
#define FL_KEYED_PLACES 32768

int64_t fl__keyed_place_of(int64_t at, int64_t step);

/* Of the moment at which a pane is due; FL_TIME_MAX: nothing ever comes of it. */
int64_t fl__keyed_place(const struct fl_keyed *k, const struct fl_pane *p);

/* The moment of a place; FL_TIME_MAX for what is later than places can tell apart. */
int64_t fl__keyed_place_time(int64_t place);

/* Bytes that fl__keyed_clear gives back. */
size_t fl__keyed_held(const struct fl_keyed *k);

int fl__keyed_open_spill(struct fl_keyed *k, struct fl_err *err);

/* fl_run_timer for the first pane that is due. */
void fl__keyed_ask_for_timer(struct fl_keyed *k);

#endif
