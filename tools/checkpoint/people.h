/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The subcommands for people (list, show, verify, diff, savepoint, rewind, prune): what
 * they have in common. Each is a constant descriptor and one callback; it reads a
 * checkpoint directory and prints rows, in the formats of every other tool.
 */
#ifndef TOOLS_CHECKPOINT_PEOPLE_H
#define TOOLS_CHECKPOINT_PEOPLE_H

#include "checkpoint/manifest.h"
#include "format/writer.h"
#include "run/opt.h"
#include "state/store.h"

/* What the options say. Those of one subcommand are in its own table. */
struct fc_people {
	const char *out;    /* format, or NULL: by the name of -o, else a table */
	const char *output; /* -o */
	bool headerless;
	char ofs;
	int otime; /* 0 iso, 1 epoch-ms */
	const char *tz;
	int color; /* 0 auto, 1 always, 2 never */
	bool quiet;
	bool help;
	int64_t retain; /* prune; -1: as begin --retain said */
	bool stop, drain;
	const char *to; /* savepoint */
	int64_t timeout_ms;
	struct fl_zone *zone; /* of --tz, or NULL */
};

extern const struct fl_opt fc_people_opts[];    /* of all of them */
extern const struct fl_opt fc_savepoint_opts[]; /* savepoint's */
extern const struct fl_opt fc_prune_opts[];     /* prune's */

struct fc_subcommand {
	const char *name;
	const char *usage; /* behind the name */
	const char *help;  /* lines of --help before the options */
	const struct fl_opt *opts;
	int words_min, words_max;
	int (*run)(struct fc_people *p, char **words, int count, struct fl_err *err);
};

/* Parse, run, tell the error: the exit status. */
int fc_people_main(const struct fc_subcommand *c, int argc, char **argv);

/* ---- DIR@ID ---- */

/*
 * Open DIR of "DIR" or "DIR@ID": *ret_id, 0 if there is none. The last '@' that a number
 * follows counts, unless a directory has that name. FL_EUSAGE: needs_id, and none is there.
 */
int fc_people_open(struct fl_ckdir *d, const char *word, bool needs_id, uint64_t *ret_id,
		   struct fl_err *err);

/* The manifest of checkpoint id, or of the newest if id is 0. FL_ENOINPUT. */
int fc_people_manifest(const struct fl_ckdir *d, uint64_t id, struct fl_manifest *m,
		       struct fl_err *err);

/* Bytes of an operator's state, and of all that the manifest names. */
uint64_t fc_op_size(const struct fl_ck_op *op);
uint64_t fc_manifest_size(const struct fl_manifest *m);

/* "checkpoint", "savepoint", "finished". */
const char *fc_manifest_kind(const struct fl_manifest *m);

/* ---- rows ---- */

struct fc_table {
	struct fl_header header;
	struct fl_build build;
	struct fl_writer *writer;
	struct fl_buf text;
	int fd;
	const char *name;
};

int fc_table_open(struct fc_table *t, const struct fc_people *p, const char *const *columns,
		  uint32_t count, struct fl_err *err);

/* A column of the row in hand: put one value into each, then end the row. */
static inline struct fl_colbuf *
fc_cell(struct fc_table *t, uint32_t c)
{
	return &t->build.col[c];
}

static inline void
fc_put(struct fc_table *t, uint32_t c, const char *s) /* NULL: null */
{
	if (s)
		fl_put_text(fc_cell(t, c), s, strlen(s), FL_TAG_STRING);
	else
		fl_put_null(fc_cell(t, c));
}

int fc_table_row(struct fc_table *t, struct fl_err *err);

/* The last rows; rc is what has happened so far, and is returned if it is an error. */
int fc_table_end(struct fc_table *t, int rc, struct fl_err *err);

/* ---- what an entry of a state means (entry.c) ---- */

struct fc_entries;
struct fc_piece;

/* What is shown as a row: an entry, or a piece of its value. Borrowed for the call. */
struct fc_shown {
	const struct fl_state_entry *entry;
	uint64_t bytes; /* of its value */
	bool plain;     /* the section does not speak of its value */
	/* instead of the entry's value, accumulators, parts of one, the oldest first */
	const struct fl_bytes *parts;
	size_t part_count;
	/* inside */
	const struct fl_state_section *section;
	const struct fc_piece *piece;
};

typedef int fc_shown_fn(void *ctx, struct fc_entries *x, const struct fc_shown *shown,
			struct fl_err *err);

/* For the entries of one section after the other of one operator; shown gets the rows. */
struct fc_entries *fc_entries_new(const struct fc_people *p, fc_shown_fn *shown, void *ctx);
void fc_entries_free(struct fc_entries *x);
void fc_entries_section(struct fc_entries *x, const struct fl_state_section *s);

/* See each entry, also one that is not shown: some say what later sections hold. */
void fc_entries_learn(struct fc_entries *x, const struct fl_state_entry *e);

/* Show an entry of the section in hand: a row, or several. Errors are those of shown. */
int fc_entries_show(struct fc_entries *x, struct fc_shown *shown, struct fl_err *err);

/* Put section, namespace, key and value into columns first … first+3. */
void fc_shown_put(struct fc_entries *x, const struct fc_shown *shown, struct fc_table *t,
		  uint32_t first);

/* As fl_state_identity: of what is shown. */
void fc_shown_identity(struct fc_entries *x, const struct fc_shown *shown, uint64_t ret_key[2],
		       uint64_t *ret_value);

/* The end of the window that begins at start_ms, as far as it is said. */
int64_t fc_entries_window_end(const struct fc_entries *x, int64_t start_ms);

/* Whether the section's entries have namespaces (true if nothing is said), and windows. */
bool fc_entries_has_namespaces(const struct fc_entries *x);
bool fc_entries_by_window(const struct fc_entries *x);

/* ---- all of a state (stored.c) ---- */

/* Each entry of op, in memory and on disk, is shown. FL_EDATA: it is damaged. */
int fc_state_show(struct fc_entries *x, const struct fl_ckdir *d, const struct fl_manifest *m,
		  const struct fl_ck_op *op, struct fl_err *err);

#endif
