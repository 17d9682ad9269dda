/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a section says about its entries (fl_save_section's about), for people: read
 * without trust, what is not understood is left out.
 */
#ifndef FL_CHECKPOINT_ABOUT_H
#define FL_CHECKPOINT_ABOUT_H

#include "checkpoint/snapshot.h"
#include "stream/header.h"

struct fl_state_about {
	char ns[32];             /* "window", "side", "arrival", …; "": not said */
	char value[32];          /* "aggregates", "row", "int64", "time", "bytes"; "" */
	char *side;              /* of a join: "left", "right"; or NULL */
	struct fl_header header; /* .columns of rows, .keys: those that the key is of */
	bool keyed;              /* .keys was said */
	char **aggregates;       /* "NAME=EXPR" */
	uint32_t aggregate_count;
};

/*
 * Such a text, with a NUL behind it, for entries whose keys are those of h: with the names
 * of its columns. ns and value are of the words above. Appended to out.
 */
void fl_state_about_put(const struct fl_header *h, const char *ns, const char *value,
			struct fl_buf *out);

void fl_state_about(const struct fl_state_section *s, struct fl_state_about *ret);
void fl_state_about_release(struct fl_state_about *a);

#endif
