/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys and their rows in checkpoints and on disk (run/spill.h), for operators that keep
 * rows until their turn: fdedup and fover.
 *
 * A row: u64 arrival, i64 time, the packed row (stream/row.h) up to its end; sized: a u32,
 * how many bytes that is, before it.
 */
#ifndef FL_RANK_SAVED_H
#define FL_RANK_SAVED_H

#include "rank/groupkeys.h"
#include "rank/items.h"
#include "run/spill.h"

/* For fcheckpoint show (checkpoint/about.h): such a row; without event time. */
#define FL_SAVED_ROW "arrival:u64 time:time row:row"
#define FL_SAVED_ROW_UNTIMED "arrival:u64 -:time row:row"

/* A section of entries whose values are of that layout, for keys of the header. */
void fl_saved_section(struct fl_save *s, const char *name, const struct fl_header *in,
		      const char *layout, bool whole_rows);

/* The section "pending", of rows whose turn has not come. */
void fl_saved_pending(struct fl_save *s, const struct fl_header *in, bool whole_rows);

void fl_saved_put_row(struct fl_buf *to, const struct fl_item *item);
void fl_saved_put_sized(struct fl_buf *to, const struct fl_item *item);

/* A row of the bytes p .. end, as a linked item without sort values. NULL: FL_EDATA. */
struct fl_item *fl_saved_get_row(struct fl_items *mem, const char *p, const char *end,
				 struct fl_err *err);

/* A sized one at *p, which is moved. */
struct fl_item *fl_saved_get_sized(struct fl_items *mem, const char **p, const char *end,
				   struct fl_err *err);

/* An entry of a snapshot: the key of e. */
void fl_saved_entry(struct fl_save *s, const struct fl_entry *e, const struct fl_buf *value);

/* The sections of a snapshot, all of version 1. */
struct fl_saved_loader {
	const char *numbers; /* the name of the section of numbers by name */
	int (*number)(void *self, const struct fl_state_entry *e, struct fl_err *err);

	/* "keys", "pending": an entry. */
	int (*key)(void *self, struct fl_load *l, const struct fl_state_entry *e,
		   struct fl_err *err);
	int (*pending)(void *self, struct fl_load *l, const struct fl_state_entry *e,
		       struct fl_err *err);
};

/* Read them all; those of spill too. */
int fl_saved_load(const struct fl_saved_loader *loader, void *self, struct fl_spill *spill,
		  struct fl_load *l, struct fl_err *err);

#endif
