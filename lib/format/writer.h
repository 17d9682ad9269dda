/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writers: from batches to the bytes of a text format. No I/O: they append to
 * a buffer that the runner writes out.
 */
#ifndef FL_FORMAT_WRITER_H
#define FL_FORMAT_WRITER_H

#include "base/err.h"
#include "stream/batch.h"
#include "stream/header.h"
#include "time/timestamp.h"

struct fl_writer_options {
	char separator;             /* CSV: --ofs, default ',' */
	bool headerless;            /* --headerless-csv-output */
	const char *columns;        /* --columns a,b,c or NULL */
	bool epoch_ms;              /* --otime epoch-ms */
	const struct fl_zone *zone; /* --tz for times out; NULL: UTC. Borrowed */
	bool color;                 /* table: header in bold */
	bool escape_controls;       /* on a terminal: control bytes made harmless */
	size_t width;               /* table: columns of the terminal, 0: any */
};

struct fl_writer; /* begins with a const struct fl_writer_type * */

struct fl_writer_type {
	const char *name; /* "csv": --ocsv */
	struct fl_writer *(*create)(const struct fl_writer_options *o, struct fl_err *err);
	int (*write)(struct fl_writer *w, const struct fl_header *h, const struct fl_batch *b,
		     struct fl_buf *out, struct fl_err *err);
	int (*end)(struct fl_writer *w, const struct fl_header *h, struct fl_buf *out,
		   struct fl_err *err);
	void (*destroy)(struct fl_writer *w);
};

/* The type so named ("csv", "tsv", "jsonl", "logfmt", "md", "pprint", "xtab"), or NULL. */
const struct fl_writer_type *fl_writer_type(const char *name);

struct fl_writer *fl_writer_new(const struct fl_writer_type *type,
				const struct fl_writer_options *o, struct fl_err *err);
void fl_writer_free(struct fl_writer *w);

/*
 * Append the batch's rows as text. h says what the columns are. TIME is printed
 * as RFC 3339 with three decimals, without them in columns marked seconds. A
 * changelog's op (h->changelog) is the first column, named op. CSV: the header line comes with the
 * first batch (or at the end, if no row ever came and h has columns); a record
 * with a column that the first had not is FL_EDATA naming it, unless --columns
 * was given. FL_EUSAGE: --columns names a column that does not exist.
 */
int fl_writer_write(struct fl_writer *w, const struct fl_header *h, const struct fl_batch *b,
		    struct fl_buf *out, struct fl_err *err);

/* No more rows: what is still held (a table's last page) is appended. */
int fl_writer_end(struct fl_writer *w, const struct fl_header *h, struct fl_buf *out,
		  struct fl_err *err);

#endif
