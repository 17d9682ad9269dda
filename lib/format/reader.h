/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers: from bytes of a text format to batches.
 *
 * A reader does no I/O. It is given a piece of text that holds whole or half
 * records, turns the whole ones into one batch that borrows from the piece
 * (most values are views of the input itself), and says how many bytes it
 * took. The runner brings the rest again, with more behind it.
 *
 *	r = fl_reader_new("csv", &options, &err);
 *	fl_reader_file(r, "a.csv");                    at the start of each file
 *	  fl_reader_read(r, p, n, at_end, &result)     until result.taken == n
 *	fl_reader_free(r);
 *
 * Columns
 *	The reader owns the growing list of columns: fl_reader_columns. CSV and
 *	TSV learn it from the header line of the first file; the header line of
 *	a further file must be the same (FL_EDATA names both). JSONL adds keys
 *	as they come. Batches may have fewer columns than the list later has.
 *
 * Bad records
 *	A record that cannot be read is not a failure of the call: it ends the
 *	batch, and stands in result.bad with its line and reason. The runner
 *	decides (--on-error); after it the reader goes on behind that record.
 *
 * Same bytes always
 *	What comes out does not depend on where the input was cut.
 */
#ifndef FL_FORMAT_READER_H
#define FL_FORMAT_READER_H

#include "base/err.h"
#include "stream/batch.h"
#include "stream/header.h"

struct fl_reader_options {
	char separator;       /* CSV: --ifs, default ',' */
	bool implicit_header; /* CSV, TSV: columns are 1, 2, 3, … */
	bool allow_ragged;    /* CSV, TSV: short rows miss their last fields,
	                            long ones get columns 4, 5, … as in Miller */
	size_t record_max;    /* bytes; a longer record is FL_ELIMIT naming --max-record */
	const char *regex;    /* "regex": PCRE2 with named groups */
	const char *logformat; /* "logformat": a log_format or LogFormat, or a word */
};

/* A record that could not be read. */
struct fl_bad {
	uint64_t line;    /* where the record begins, from 1 */
	const char *text; /* the record's bytes without line end; borrowed */
	size_t len;
	char reason[400]; /* "expected 5 fields, found 3" */
};

struct fl_read_result {
	struct fl_batch batch; /* rows may be 0; borrows from reader and input */
	size_t taken;          /* bytes of the piece that are done with */
	bool has_bad;          /* bad comes after the batch's records */
	struct fl_bad bad;
};

/* How every reader begins. */
struct fl_reader {
	const struct fl_reader_type *type;
	uint64_t line;   /* on which the next record begins, from 1 */
	bool file_start; /* a byte order mark and a header line may come */
	uint32_t width;  /* CSV, TSV: fields of a record; 0: not known yet */
	const char *time_column; /* as in the type, where the options say which it is */
	const char *time_format;
};

/*
 * What a format is: one of these a file of lib/format, listed in reader.c.
 * add_column: a column becomes known without a record; NULL: they are fixed.
 * time_column: the column that carries the event time without being told, or NULL.
 */
struct fl_reader_type {
	const char *name;        /* "csv": --icsv */
	const char *time_column; /* "ts" for clf, else NULL */
	const char *time_format; /* "clf" for clf, else NULL: auto */
	struct fl_reader *(*create)(const struct fl_reader_options *o, struct fl_err *err);
	void (*file)(struct fl_reader *r);
	int (*read)(struct fl_reader *r, const char *p, size_t n, bool at_end,
		    struct fl_read_result *ret, struct fl_err *err);
	const struct fl_header *(*columns)(const struct fl_reader *r);
	int (*add_column)(struct fl_reader *r, const char *name, size_t len, struct fl_err *err);
	void (*destroy)(struct fl_reader *r);
};

/* The type so named ("csv", "tsv", "jsonl", "clf", "logfmt", "syslog", "logformat",
 * "regex", "text"), or NULL. */
const struct fl_reader_type *fl_reader_type(const char *name);

/* NULL and *err on failure (a bad regular expression). */
struct fl_reader *fl_reader_new(const struct fl_reader_type *type,
				const struct fl_reader_options *o, struct fl_err *err);
void fl_reader_free(struct fl_reader *r); /* NULL is fine */

/* A new file begins: line numbers restart, a header line and a BOM may come. */
void fl_reader_file(struct fl_reader *r);

/*
 * Read records from p[0..n). p has at least FL_READER_PAD readable bytes of any
 * content behind n. at_end: nothing follows in this file, so a last record
 * without line end is whole. The result borrows from p and r until the next
 * call. 0, or FL_EDATA / FL_ELIMIT for what cannot be gone on from (a header
 * line that does not fit, a record over the limit).
 */
#define FL_READER_PAD 64
int fl_reader_read(struct fl_reader *r, const char *p, size_t n, bool at_end,
		   struct fl_read_result *ret, struct fl_err *err);

/* The columns so far: only .columns and .column_count are in use. */
const struct fl_header *fl_reader_columns(const struct fl_reader *r);

/* The line on which the next record begins, from 1. */
uint64_t fl_reader_line(const struct fl_reader *r);

/*
 * The column that carries the event time without being told, and its time format
 * (time/timefmt.h), or NULL: there is none, auto.
 */
const char *fl_reader_time_column(const struct fl_reader *r);
const char *fl_reader_time_format(const struct fl_reader *r);

/*
 * Where a reader stands between two records, besides the columns that it knows; and
 * a fresh reader made to stand there. FL_ECONFIG: columns that it has by itself are
 * others than these (another regular expression); FL_EDATA: no such bytes.
 */
#define FL_READER_LAYOUT "line:u64 fields:u32? file_start:u32?" /* checkpoint/about.h */
void fl_reader_save(const struct fl_reader *r, struct fl_buf *out);
int fl_reader_restore(struct fl_reader *r, const struct fl_header *columns, const char *p, size_t n,
		      struct fl_err *err);

#endif
