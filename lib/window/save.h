/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots of aggregation: what slices.c, keyed.c and groups.c have in common.
 *
 * Section "window", entries with names: what the windows were, and the keys, the
 * aggregates (fl_aggs_parts), the watermark, the arrival number of the next record.
 * On restore the windows and the keys must be the same; the aggregates and the
 * lateness may be others, as with Flink's savepoints.
 *
 * Behind it sections with an entry a key (and window): namespace the window's bounds,
 * two int64_t, or nothing; the value
 *	u32 length of the accumulator, the accumulator (fl_aggs_save), then what the
 *	engine adds.
 * From version 2 of "sums" and "groups" on an entry whose accumulator has nothing behind it
 * is flat instead (checkpoint/snapshot.h): its value is that of the table's entry.
 * Little-endian, as everything in a snapshot.
 */
#ifndef FL_WINDOW_SAVE_H
#define FL_WINDOW_SAVE_H

#include "checkpoint/snapshot.h"
#include "expr/agg.h"
#include "run/op.h"
#include "run/spill.h"
#include "state/table.h"
#include "time/window.h"

/* The section "window". */
struct fl_window_saved {
	const char *engine; /* "slices", "keyed", "groups" */
	struct fl_window_spec spec;
	bool updates;
	int64_t wm_ms;
	uint64_t seq;
	uint64_t entries;              /* about how many keys follow: a hint */
	int64_t timer_ms;              /* keyed.c: the present moment of its timers */
	bool whole;                    /* groups on disk: by key (run/spill.h), not as parts */
	int64_t lateness;              /* loaded: that of the snapshot */
	struct fl_aggs_loader *loader; /* loaded: for the accumulators; NULL: rows */
};

void fl_window_save(struct fl_save *s, const struct fl_window_saved *w, const struct fl_header *in,
		    const struct fl_aggs *aggs);

/*
 * Read the section, which must be the next one. want: what there is now; filled with
 * what was saved where that may differ, or goes on. FL_ECONFIG: what must not differ
 * does. The caller frees want->loader, also after an error.
 */
int fl_window_load(struct fl_load *l, struct fl_window_saved *want, const struct fl_header *in,
		   struct fl_aggs *aggs, struct fl_err *err);

#define FL_WINDOW_FLAT_VERSION 2u

/* A section of that name and version 1 must come next: FL_EDATA. */
int fl_window_section(struct fl_load *l, const char *name, struct fl_err *err);

/*
 * The next section: 0 it is the one called name, whose entries are to be read; 1 it named
 * files, and the spill has them. FL_ECONFIG: another backend, another list of aggregates.
 */
int fl_window_load_state(struct fl_load *l, const struct fl_window_saved *w, const char *name,
			 struct fl_spill *spill, struct fl_err *err);

/*
 * Begin a section of entries with accumulators (aggs) or rows; fcheckpoint show can
 * print it.
 */
void fl_window_save_section(struct fl_save *s, const char *name, const struct fl_header *in,
			    const struct fl_aggs *aggs, bool by_window);

/* The same where there may be flat entries; in their values the accumulator is at acc_at. */
void fl_window_save_flat_section(struct fl_save *s, const char *name, const struct fl_header *in,
				 const struct fl_aggs *aggs, bool by_window, size_t acc_at);

/* Whether all of a table's entries are flat: saving them is copying. */
bool fl_window_all_flat(const struct fl_table *t, const struct fl_aggs *aggs);

/*
 * The flat entries of a table. Pointers to the others, struct fl_entry *, are appended to
 * ret_rest, in their order. ns may be NULL.
 */
void fl_window_save_flat(struct fl_save *s, const struct fl_window *ns, const struct fl_table *t,
			 const struct fl_aggs *aggs, size_t acc_at, struct fl_buf *ret_rest);

/*
 * What a section says about itself as a text, about the values of layout
 * (checkpoint/about.h), a NUL behind it. retract: the accumulators can take back; ns:
 * "window" or "".
 */
void fl_window_about(const struct fl_header *in, const struct fl_aggs *aggs, bool retract,
		     const char *ns, const char *layout, struct fl_buf *out);

/* A value: the accumulator, the rest is appended by the caller. */
void fl_window_put_acc(struct fl_buf *value, const struct fl_aggs *aggs, const void *acc);

/* The parts of a value, where what is added has extra bytes (or more). False: damaged. */
bool fl_window_split(const char *value, uint32_t n, size_t extra, const char **ret_acc,
		     uint32_t *ret_acc_len, const char **ret_extra, uint32_t *ret_extra_len);

void fl_window_save_entry(struct fl_save *s, const struct fl_window *ns, const struct fl_entry *e,
			  const struct fl_buf *value);

/* ---- many entries at once ---- */

#define FL_WINDOW_LOAD_BATCH 256u

/*
 * Entries, with their keys hashed; either all of them are flat, or none is. Keys, values and
 * what lies flat are borrowed until the next are asked for. A zeroed struct is ready.
 */
struct fl_window_entries {
	uint32_t key_count; /* the caller's: columns of the keys */
	bool one_ns;        /* the caller's: only entries of one namespace at once */
	/* the caller's: of a table to be filled with flat entries as they lie; else 0 */
	uint32_t flat_size;
	bool are_flat;
	const char *flat; /* all n, as they lie, of namespace ns[0]; what follows is not set */
	uint32_t n;
	struct fl_key key[FL_WINDOW_LOAD_BATCH];
	struct fl_window ns[FL_WINDOW_LOAD_BATCH];
	const char *value[FL_WINDOW_LOAD_BATCH];
	uint32_t value_len[FL_WINDOW_LOAD_BATCH];
	uint64_t seq[FL_WINDOW_LOAD_BATCH];  /* of flat ones */
	uint8_t flags[FL_WINDOW_LOAD_BATCH]; /* too */
	struct fl_state_entry held;          /* of the next namespace */
	bool holds;
};

/*
 * The next ones of the section in hand: 1, 0 at its end. by_window: their namespaces
 * must be bounds of windows; else empty.
 */
int fl_window_load_entries(struct fl_window_entries *b, struct fl_load *l, bool by_window,
			   const struct fl_keys *keys, struct fl_err *err);

/*
 * Whether the values of flat entries may be used: they have an accumulator as loader knows
 * it at acc_at. FL_EDATA.
 */
int fl_window_check_flat(const struct fl_window_entries *b, const struct fl_aggs_loader *loader,
			 size_t acc_at, struct fl_load *l, struct fl_err *err);

/* The flags that entry i had, of those that lie flat. */
static inline uint8_t
fl_window_flat_flags(const struct fl_window_entries *b, uint32_t i)
{
	return (uint8_t)b->flat[i * (size_t)b->flat_size + offsetof(struct fl_state_flat, flags)];
}

/* The flat_size for a table in memory; 0: the accumulators that were saved are others than its. */
uint32_t fl_window_flat_size(const struct fl_table *t, const struct fl_aggs_loader *loader);

#endif
