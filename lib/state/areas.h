/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks of few sizes out of areas of 2 MiB, each of which the kernel may hold in one huge
 * page (fl_pages_new): for state that is large. A fork copies one entry of a page table
 * where it would copy 512, which is most of what the stream waits for at a barrier, and
 * keys that lie anywhere miss the TLB less often.
 *
 * An area has blocks of one size. One without blocks in use is given back to the system,
 * but for a few that are kept for the next.
 */
#ifndef FL_STATE_AREAS_H
#define FL_STATE_AREAS_H

#include <stddef.h>
#include <stdint.h>

#define FL_AREAS_SIZES 8u

struct fl_area;
struct fl_areas_ahead;

/* A zeroed struct is ready. */
struct fl_areas {
	struct {
		size_t block;         /* bytes; 0: not in use */
		struct fl_area *open; /* those with room */
	} size[FL_AREAS_SIZES];
	struct fl_area *empty;
	uint32_t empty_count;
	struct fl_areas_ahead *ahead; /* NULL: nothing is prepared */
};

/*
 * A block of so many bytes, 64-byte aligned, not zeroed. NULL: blocks of that size are not
 * to be had here, as they are too large, there are too many sizes already, or memory is
 * checked by the compiler, which knows no blocks within an area.
 */
void *fl_areas_take(struct fl_areas *a, size_t bytes);
void fl_areas_give(struct fl_areas *a, void *block);

/*
 * Blocks of about so many bytes will be taken soon: a thread has the system clear their
 * memory at once, and first that of also (may be NULL), of a multiple of FL_PAGES_UNIT bytes.
 * Clearing would be a third of the time in which a state is restored. Only once at a time.
 */
void fl_areas_expect(struct fl_areas *a, size_t bytes, void *also, size_t also_bytes);

/* What was expected has come, or will not: the thread ends. Also before a fork. */
void fl_areas_settle(struct fl_areas *a);

/* All blocks must have been given back. */
void fl_areas_release(struct fl_areas *a);

#endif
