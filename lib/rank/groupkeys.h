/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys by which rows are grouped: those that fkeyby named; without, nothing (all
 * rows are one group) or, for deduplication, the whole row.
 */
#ifndef FL_RANK_GROUPKEYS_H
#define FL_RANK_GROUPKEYS_H

#include "checkpoint/snapshot.h"
#include "state/table.h"

struct fl_groupkeys {
	struct fl_keys keys;
	bool whole_rows; /* each different row is a key */
	struct fl_buf bytes, list;
};

void fl_groupkeys_init(struct fl_groupkeys *k, bool whole_rows);
void fl_groupkeys_release(struct fl_groupkeys *k);

/* As fl_keys_of. */
int fl_groupkeys_of(struct fl_groupkeys *k, const struct fl_header *h, const struct fl_batch *b,
		    const struct fl_key **ret, struct fl_err *err);

/* The key of an entry in a checkpoint; borrows from it. And the reverse. */
struct fl_key fl_groupkeys_loaded(const struct fl_groupkeys *k, const struct fl_state_entry *e);
void fl_groupkeys_save(const struct fl_entry *from, struct fl_state_entry *to);

/* Read n bytes at *p, which is moved; false: before end there are not so many. */
static inline bool
fl_take_bytes(const char **p, const char *end, void *to, size_t n)
{
	if ((size_t)(end - *p) < n)
		return false;
	memcpy(to, *p, n);
	*p += n;
	return true;
}

#endif
