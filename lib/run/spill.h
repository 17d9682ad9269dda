/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State larger than memory for operators that need all that they keep of a key at once
 * (joins, rankings, OVER, windows with triggers): --backend rocksdb. (What can be written
 * as parts that are merged later, sums, is window/parts.h's.)
 *
 * Concepts
 *	The tables of the operator, and what hangs on their entries (rows, timers, heaps),
 *	are the cache. Where they take more than fl_backend_cache_max, everything that has
 *	changed is written in one sorted batch, and the operator FORGETS ALL OF IT at once:
 *	tables, rows, heaps begin empty, so that no pointer can dangle. A key that comes
 *	again is brought back whole, with the others of its batch in one sorted read
 *	(fl_spill_put, fl_spill_get); so is one that becomes due (fl_spill_due).
 *
 *	A namespace is an int64 of the operator's: 0 where it has one table, 0 and 1 for the
 *	sides of a join, the end of a window where it has a table a window. Each has one
 *	table.
 *
 *	With --backend memory fl_spill_put is fl_table_put, fl_spill_get is fl_table_get,
 *	fl_spill_delete is fl_table_delete, *until is wm, and the rest does nothing. Entries
 *	come with their arrival numbers and tags from disk, so results are the same bytes
 *	with either backend.
 *
 * On disk (see state/backend.h for what stands behind the namespace)
 *	'K' namespace (biased, big-endian)      u8 version (of ops), u8[3] 0, u32 tags of the
 *	                                        key, u64 its arrival number, what encode gave
 *	'T' moment, namespace (both likewise)   u8 0: the key is due at this moment. A row that
 *	                                        is not true any more is harmless
 *
 * Calling sequence
 *	fl_spill_open(&s, run, &ops, self, &keys, &err)   in open; then
 *	fl_budget_init(&budget, fl_spill_memory_max(&s))
 *	a batch:
 *	    fl_spill_put(&s, ns, table, keys, rows, n, seq, entries, &err)
 *	    what it does to these entries
 *	    fl_spill_trim(&s, &err)                       no entry is held across it!
 *	a watermark (or a record's, within a batch):
 *	    do {
 *	        fl_spill_due(&s, wm, &until, &err)
 *	        everything that is due at or before until, in order
 *	        fl_spill_trim(&s, &err)
 *	    } while (until < wm)
 *	fl_spill_each(&s, ns, each, &err)                 everything, at the end
 *	fl_spill_checkpoint(&s, &err)                     in before_snapshot
 *	fl_spill_save(&s, save)                           in snapshot, instead of the entries
 *	fl_spill_load(&s, load, &section, &err)           in restore, for each section
 *	fl_spill_close(&s)
 *
 * Rules for the operator
 *	- fl_spill_trim and fl_spill_checkpoint are the only calls, with fl_spill_each, that
 *	  forget. Trim in the middle of a batch: compare s.evictions, and where it has moved
 *	  put the keys of the records that are left again. What points to entries from outside
 *	  (a chunk of results to be computed) is finished before: see fl_spill_is_full.
 *	  fl_spill_checkpoint writes and forgets nothing.
 *	- An entry that is changed must have come from fl_spill_put since the last trim or
 *	  checkpoint, or be marked with fl_spill_changed. That includes a change of its due.
 *	- In fl_entry.flags 0x80 and 0x40 are the spill's; operators use the others, and say in
 *	  encode what of them counts.
 *	- An entry with a moment at or before until has been dealt with before the next trim,
 *	  due or checkpoint: afterwards its moment is later, or FL_TIME_MAX. (One that comes
 *	  later, with a moment that has passed, is due at the next fl_spill_due.)
 *	- Nothing else than the entries' keys may find them again: an index from elsewhere is
 *	  rebuilt by decode, and gone after forget.
 *	- Tables are walked in no order of arrival any more: t->reused is set when an entry
 *	  was brought back.
 *	- What one fl_spill_put brings back, what is due at one moment and what
 *	  fl_spill_bring brings has to fit the memory: an operator takes portions where it can.
 *
 * Errors
 *	FL_EDATA: a value on disk is damaged; FL_EIO, FL_EUNAVAILABLE as of state/backend.h.
 *	After an error the state is not to be used.
 */
#ifndef FL_RUN_SPILL_H
#define FL_RUN_SPILL_H

#include "checkpoint/snapshot.h"
#include "run/op.h"
#include "state/backend.h"
#include "time/timestamp.h"

/* What an operator gives; a constant. */
struct fl_spill_ops {
	uint8_t version; /* of what encode writes; another on disk is FL_EDATA */

	/*
	 * The table of a namespace that was named in fl_spill_put, fl_spill_get or found on
	 * disk; made if it was forgotten. NULL: the namespace is gone (nothing is kept). For
	 * an operator with one table, that of namespace 0, the callback is NULL, and table_at
	 * says where in the operator it is (offsetof).
	 */
	struct fl_table *(*table)(void *self, int64_t ns);
	size_t table_at;

	/*
	 * Entries are about to be asked for their due and encoded: gather what hangs on them
	 * elsewhere (the rows of a key in a heap). Must not emit. NULL: nothing to do.
	 */
	void (*prepare)(void *self);

	/*
	 * All that is kept of the key, appended to out. Nothing appended: there is nothing,
	 * the key goes from disk too.
	 */
	void (*encode)(void *self, int64_t ns, struct fl_entry *e, struct fl_buf *out);

	/*
	 * The reverse, into an entry that is fresh: zeroed, but for its key, arrival number
	 * and tags. What hangs on entries (timers, heaps, indexes) is made again. Bytes are
	 * from a file and may be anything: FL_EDATA; the key too (fl_key_check, where its
	 * values are to be given). It may not call the spill.
	 */
	int (*decode)(void *self, int64_t ns, struct fl_entry *e, struct fl_bytes value,
		      struct fl_err *err);

	/*
	 * The watermark (or what else is given to fl_spill_due) from which on the key must be
	 * in memory; FL_TIME_MAX: never for that reason. NULL: none ever is.
	 */
	int64_t (*due)(void *self, int64_t ns, struct fl_entry *e);

	/* Begin with empty tables, rows, heaps; give their memory back. */
	void (*forget)(void *self);

	/* How many bytes forget would give back, about; asked often. */
	size_t (*held)(const void *self);

	/*
	 * What a namespace is and what encode writes, for fcheckpoint show: fl_state_say
	 * (checkpoint/about.h). NULL: nothing is said.
	 */
	void (*about)(const void *self, struct fl_buf *out);
};

/* Where a namespace is. */
struct fl_spill_ns {
	int64_t ns;
	bool stored;          /* something of it may be on disk */
	bool away;            /* … that is not in the table */
	struct fl_table gone; /* keys to be deleted on disk by the next write */
};

/* Zeroed: nothing was opened. Read only backend, evictions. */
struct fl_spill {
	struct fl_backend *backend; /* NULL: memory */
	uint64_t evictions;         /* how often all was forgotten */

	/* inside */
	struct fl_run *run;
	const struct fl_spill_ops *ops;
	void *self;
	const struct fl_keys *keys;
	int64_t least;          /* no key on disk that is not in memory is due before it */
	int64_t lowest;         /* no key on disk at all is */
	int64_t handled;        /* what was due at or before it has been dealt with */
	struct fl_spill_ns *ns; /* ascending */
	size_t ns_count, ns_cap, ns_last;
	struct fl_budget budget; /* of the tables of what is gone */
	char *files;             /* of the checkpoint, below the checkpoint directory */
	struct fl_buf list, moments, fetch, found, made;
};

/*
 * Be ready for the backend that --backend asks for. ops, self and keys (which hash what is
 * read from disk as the keys of batches are hashed) are borrowed. FL_EUNAVAILABLE: no
 * RocksDB.
 */
int fl_spill_open(struct fl_spill *s, struct fl_run *run, const struct fl_spill_ops *ops,
		  void *self, const struct fl_keys *keys, struct fl_err *err);
void fl_spill_close(struct fl_spill *s); /* a zeroed struct is fine; calls no op */

static inline bool
fl_spill_on_disk(const struct fl_spill *s)
{
	return s->backend != NULL;
}

/* For fl_budget_init: what --max-memory says, or SIZE_MAX on disk, where trim keeps it. */
size_t fl_spill_memory_max(const struct fl_spill *s);

enum {
	FL_SPILL_DIRTY = 0x80,  /* fl_entry.flags: it differs from what is on disk */
	FL_SPILL_STORED = 0x40, /* the key may have a value on disk */
};

/* The entry, which is in memory, is changed. */
static inline void
fl_spill_changed(const struct fl_spill *s, struct fl_entry *e)
{
	if (s->backend)
		e->flags |= FL_SPILL_DIRTY;
}

/*
 * As fl_table_put on t, the table of ns; what is on disk of those made is brought back
 * (then the entry is as decode made it, with the arrival number it had). All are marked
 * as changed.
 */
int fl_spill_put(struct fl_spill *s, int64_t ns, struct fl_table *t, const struct fl_key *keys,
		 const uint32_t *rows, uint32_t n, uint64_t seq, struct fl_entry **ret,
		 struct fl_err *err);

/* Only those that there are: ret[i] NULL where there is none. Not marked. */
int fl_spill_get(struct fl_spill *s, int64_t ns, struct fl_table *t, const struct fl_key *keys,
		 const uint32_t *rows, uint32_t n, struct fl_entry **ret, struct fl_err *err);

/* Instead of fl_table_delete. What hangs on the entry is the operator's to free. */
void fl_spill_delete(struct fl_spill *s, int64_t ns, struct fl_table *t, struct fl_entry *e);

/* All of a namespace goes, on disk too. The operator clears its table itself. */
int fl_spill_drop(struct fl_spill *s, int64_t ns, struct fl_err *err);

/* All of a namespace comes into memory. */
int fl_spill_bring(struct fl_spill *s, int64_t ns, struct fl_err *err);

/* Whether some of a namespace may be on disk and not in its table. */
bool fl_spill_is_away(const struct fl_spill *s, int64_t ns);

/*
 * The namespaces that there are, number i of s->ns_count, ascending: those that were named
 * in fl_spill_put and not dropped; after fl_spill_load, those on disk. With --backend
 * memory, none.
 */
static inline int64_t
fl_spill_ns_at(const struct fl_spill *s, size_t i)
{
	return s->ns[i].ns;
}

/* The slow part of fl_spill_due. */
int fl_spill_bring_due(struct fl_spill *s, int64_t wm, int64_t *until, struct fl_err *err);

/*
 * Keys that are due at or before wm are brought into memory, as far as they fit: all
 * that are due at or before *until (<= wm). All of one moment come together. wm never
 * goes back, but a wm that is less than before does no harm.
 */
static inline int
fl_spill_due(struct fl_spill *s, int64_t wm, int64_t *until, struct fl_err *err)
{
	*until = wm;
	if (!s->backend)
		return 0;
	if (wm >= s->least)
		return fl_spill_bring_due(s, wm, until, err);
	if (wm > s->handled)
		s->handled = wm;
	return 0;
}

/*
 * The first moment at which fl_spill_due may have to bring something: no key that is only on
 * disk is due before it. FL_TIME_MAX: none is, as always with --backend memory.
 */
static inline int64_t
fl_spill_next(const struct fl_spill *s)
{
	return s->least;
}

/* Whether fl_spill_trim would forget: to finish what points to entries. */
bool fl_spill_is_full(const struct fl_spill *s);

/* Write and forget all, if it takes too much memory. */
int fl_spill_trim(struct fl_spill *s, struct fl_err *err);

/*
 * All entries of a namespace, by arrival number, with either backend; each reads only.
 * Where some of it is on disk, all is forgotten before and after, and each entry is valid
 * only in its call.
 */
typedef int fl_spill_each_fn(void *self, struct fl_entry *e, struct fl_err *err);
int fl_spill_each(struct fl_spill *s, int64_t ns, fl_spill_each_fn *each, struct fl_err *err);

/* In before_snapshot: what has changed is written, and the files of the checkpoint made. */
int fl_spill_checkpoint(struct fl_spill *s, struct fl_err *err);

/* On disk: the section that names these files. In memory the operator writes entries. */
void fl_spill_save(const struct fl_spill *s, struct fl_save *to);

/*
 * In restore, for each section that fl_load_section gave: 1 it was fl_spill_save's and is
 * read, keys are on disk; 0 it is another one. FL_ECONFIG: it is, but state is to be kept
 * in memory. (A checkpoint of memory can be restored on disk: its entries are put with
 * fl_spill_put, and fl_spill_trim may be called now and then.)
 */
int fl_spill_load(struct fl_spill *s, struct fl_load *l, const struct fl_state_section *section,
		  struct fl_err *err);

#endif
