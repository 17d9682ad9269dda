/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pieces of memory of many sizes for kept rows: no allocation a row, what is given back
 * is used again for the next piece of about its size. Everything is freed together.
 */
#ifndef FL_JOIN_SLAB_H
#define FL_JOIN_SLAB_H

#include "base/mem.h"
#include "state/table.h"

#define FL_SLAB_CLASSES 160u

struct fl_slab {
	struct fl_budget *budget;
	struct fl_arena arena;
	size_t charged; /* what the budget knows of */
	size_t in_use;  /* bytes of pieces that are out */
	void *spare[FL_SLAB_CLASSES];
};

void fl_slab_init(struct fl_slab *s, struct fl_budget *budget);
void fl_slab_release(struct fl_slab *s); /* a zeroed struct is fine */

/*
 * A piece of at least size bytes, 8-byte aligned, not zeroed. The budget is charged;
 * whoever allocates asks it (fl_budget_check) once a batch.
 */
void *fl_slab_take(struct fl_slab *s, size_t size);

/* Give it back, with the size that was asked for. */
void fl_slab_give(struct fl_slab *s, void *p, size_t size);

#endif
