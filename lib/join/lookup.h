/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lookup join: each left row with the rows that a table from outside has for its key
 * at that moment. What the table says later changes nothing that was given. The left may
 * be a changelog: its row kinds are those of the result. The table is no state: it is not
 * in checkpoints.
 *
 * A table is a source of one of two types: a file (all of it in memory) or SQLite.
 */
#ifndef FL_JOIN_LOOKUP_H
#define FL_JOIN_LOOKUP_H

#include "join/pairs.h"
#include "join/rows.h"

extern const struct fl_join_engine fl_join_lookup;

/* Rows by key, packed: all columns of the table's header. */
struct fl_lookup_rows {
	struct fl_budget budget;
	struct fl_table table; /* of struct fl_jlist */
	struct fl_jrows rows;
	struct fl_keys keys;
};

/* seed: of the keys that will be found in it. */
void fl_lookup_rows_init(struct fl_lookup_rows *r, uint64_t seed, size_t memory_max);
void fl_lookup_rows_release(struct fl_lookup_rows *r); /* a zeroed struct is fine */

/* What from holds becomes to's, which must be empty (released). */
void fl_lookup_rows_move(struct fl_lookup_rows *to, struct fl_lookup_rows *from);

/* The rows of a key, made (empty) if it is not there; NULL: FL_ELIMIT. */
struct fl_jlist *fl_lookup_rows_put(struct fl_lookup_rows *r, const struct fl_key *key,
				    struct fl_err *err);

/* How every source begins. */
struct fl_lookup {
	const struct fl_lookup_type *type;
	struct fl_header header; /* the table's columns, and its key's */
	struct fl_keys keys;     /* for the keys of left rows */
};

struct fl_lookup_type {
	/*
	 * Look whether the table has changed, and if so forget what is known of it. 0, or
	 * what stands against its new content: then what was known stays.
	 */
	int (*refresh)(struct fl_lookup *l, struct fl_err *err);

	/*
	 * The rows of a key that is not NULL; *ret NULL: none. Valid until the next refresh
	 * or find.
	 */
	int (*find)(struct fl_lookup *l, const struct fl_key *key, const struct fl_jlist **ret,
		    struct fl_err *err);
	void (*free)(struct fl_lookup *l);
};

/*
 * Name the table's key columns: those of names (a list with commas), or, NULL, those that
 * are called as the left's. FL_EUSAGE: no such column.
 */
int fl_lookup_choose_keys(struct fl_lookup *l, const char *table, const char *names,
			  const struct fl_header *left, struct fl_err *err);

/*
 * Open a table; NULL and *err on failure. name is borrowed. The key is chosen as
 * fl_lookup_choose_keys says. A file: its name ends in .csv, .tsv, .jsonl or .ndjson, each
 * also with .gz. SQLite: FILE:TABLE.
 */
struct fl_lookup *fl_lookup_file_open(const char *name, const char *keys,
				      const struct fl_header *left, size_t memory_max,
				      struct fl_err *err);
struct fl_lookup *fl_lookup_sqlite_open(const char *name, const char *keys,
					const struct fl_header *left, struct fl_err *err);

#endif
