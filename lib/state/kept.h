/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records that a state keeps in memory, many of them: packed like those of stream/row.h,
 * but smaller and quicker to put into a batch again. They are for one process only; in
 * files rows are as stream/row.h has them (fl_kept_unpack).
 *
 * Texts that repeat are kept once a column, as a word of its list, and the records name
 * its number. A list that does not help (fewer than one in four texts was there already)
 * is no longer added to, so nothing but 4096 words is lost.
 *
 * Format: per column one byte (bits 0-2: kind, or 7 for a word; bit 3: CSV needs no
 * quotes; bits 4-6: tag), then the value as in stream/row.h, for a word its number in
 * three bytes.
 */
#ifndef FL_STATE_KEPT_H
#define FL_STATE_KEPT_H

#include "state/table.h"
#include "stream/batch.h"

/* The words of one column. */
struct fl_words {
	uint64_t *slot; /* low half: number + 1, high half: half of its hash */
	uint32_t mask;
	uint32_t count;
	struct fl_buf text;    /* the words, one behind the other */
	struct fl_buf place;   /* where each of them is */
	uint32_t asked, found; /* since it was last judged */
	bool off;              /* it does not help */
};

struct fl_kept {
	struct fl_budget *budget;
	size_t charged; /* how many bytes the budget knows of */
	uint64_t seed;
	uint32_t cols;
	struct fl_words *words; /* one a column */
	struct fl_buf one, other;
};

void fl_kept_init(struct fl_kept *k, struct fl_budget *budget);
void fl_kept_release(struct fl_kept *k); /* a zeroed struct is fine */

/* Pack record row of b, appended to out. Returns the number of bytes. */
size_t fl_kept_pack(struct fl_kept *k, const struct fl_batch *b, uint32_t row, struct fl_buf *out);

/*
 * Put the values number first and later of a packed record into to[0..cols): what the
 * record has not is put as absent, what is too many is left out.
 */
void fl_kept_put_from(const struct fl_kept *k, const char *p, size_t n, uint32_t first,
		      struct fl_colbuf *to, uint32_t cols);

/*
 * By a map: value number i goes to col[map[i]], or nowhere where that is UINT32_MAX;
 * i < count, values that the record has not are put as absent.
 */
void fl_kept_put_to(const struct fl_kept *k, const char *p, size_t n, const uint32_t *map,
		    uint32_t count, struct fl_colbuf *col);

/* Whether two packed records have the same values, of the same kinds and tags. */
bool fl_kept_equal(struct fl_kept *k, const char *a, size_t a_len, const char *b, size_t b_len);

/* As a packed record of stream/row.h, appended to out. */
void fl_kept_unpack(const struct fl_kept *k, const char *p, size_t n, struct fl_buf *out);

/* How many values a packed record has. */
uint32_t fl_kept_columns(const char *p, size_t n);

#endif
