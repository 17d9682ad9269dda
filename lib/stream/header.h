/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream's header: what the columns are, what is key, time and window,
 * and which operators the stream has passed.
 *
 * It comes first in every stream, and again only when columns are added; the
 * columns that were there keep their places, so a column's index never
 * changes. Everything later tools need to know about earlier ones is here,
 * and only here.
 *
 * Ownership: a header owns its strings. Names are counted bytes and may hold
 * anything, a NUL too (a JSON key can); one that is not counted follows them.
 */
#ifndef FL_STREAM_HEADER_H
#define FL_STREAM_HEADER_H

#include "base/err.h"
#include "base/mem.h"
#include "stream/batch.h"

#define FL_COLUMNS_MAX 65536u
#define FL_NO_COLUMN UINT32_MAX

struct fl_column {
	char *name;
	size_t name_len;
	uint8_t kind; /* enum fl_kind, as far as it is known: a batch may hold
	                 another kind of number */
	bool seconds; /* TIME: whole seconds by construction (the bounds of windows
	                 whose size and offset are): printed without a fraction */
};

enum fl_window_kind {
	FL_WINDOW_NONE = 0,
	FL_WINDOW_TUMBLE,
	FL_WINDOW_SLIDE,
	FL_WINDOW_SESSION,
	FL_WINDOW_CUMULATE,
	FL_WINDOW_COUNT,
	FL_WINDOW_GLOBAL,
};

enum fl_trigger_kind {
	FL_TRIGGER_DEFAULT = 0, /* at the window's end; count windows: when full; global: never */
	FL_TRIGGER_EVERY,       /* Flink's continuous trigger */
	FL_TRIGGER_COUNT,
	FL_TRIGGER_EAGER, /* at every record */
};

/* What fwindow says; ms unless it is said otherwise. */
struct fl_window_spec {
	enum fl_window_kind kind;
	int64_t size;  /* tumble, slide, cumulate: size; session: gap; count: records */
	int64_t slide; /* slide: slide; cumulate: step; count: records, 0: as size */
	int64_t offset;
	int64_t lateness;
	char *late; /* file for late rows, or NULL */
	enum fl_trigger_kind trigger;
	int64_t trigger_arg; /* every: ms; count: records */
	bool purge;
	int64_t keep_count; /* evictor: the last n; -1: none */
	int64_t keep_time;  /* evictor: ms before the newest; -1: none */
	bool processing_time;
};

/* One operator that the stream has passed. */
struct fl_lineage {
	char *uid; /* "freduce-1", or what --uid said */
	char *tool;
	char **args; /* as typed, without the tool's name */
	uint32_t arg_count;
	char instance[17]; /* 16 random hex digits: tells a shared ancestor (tee) */
	uint32_t *inputs;  /* indexes in the lineage of what it read; none: a source */
	uint32_t input_count;
};

struct fl_header {
	struct fl_column *columns;
	uint32_t column_count;
	uint32_t *keys; /* column indexes */
	uint32_t key_count;
	bool keyed;           /* fkeyby was here (key_count may be 0 only if not) */
	char *time;           /* the expression that gave the event time, or NULL */
	bool processing_time; /* records have no event time, windows go by the clock */
	bool changelog;       /* batches may carry row kinds */
	char *format;         /* text format of the first input: "csv", "jsonl", … */
	bool raw;             /* batches are pieces of text (raw.h): no tool has decoded it yet */
	struct fl_window_spec window;
	struct fl_lineage *lineage;
	uint32_t lineage_count;
	char *checkpoint_dir; /* absolute, or NULL */
	uint64_t attempt;
	uint64_t restore_id; /* 0: start afresh */
};

void fl_header_init(struct fl_header *h);
void fl_header_release(struct fl_header *h);
void fl_header_copy(struct fl_header *to, const struct fl_header *from); /* to is released first */

/* One entry; *to is overwritten. */
void fl_lineage_copy(struct fl_lineage *to, const struct fl_lineage *from);

/* Index of the column so named, or FL_NO_COLUMN. Linear; not for hot paths. */
uint32_t fl_header_find(const struct fl_header *h, const char *name, size_t len);

/* Append a column; returns its index. The name is copied. */
uint32_t fl_header_add(struct fl_header *h, const char *name, size_t len, enum fl_kind kind);

/* Append the columns of another header from index first on. */
void fl_header_append(struct fl_header *h, const struct fl_header *from, uint32_t first);

/* Whether records of its format may still bring new columns (JSONL, logfmt). */
bool fl_header_grows(const struct fl_header *h);

/* Forget all columns and keys (an operator that makes its own rows). */
void fl_header_clear_columns(struct fl_header *h);

/* JSON text of the header, as it goes into a HEADER frame, appended to out. */
void fl_header_encode(const struct fl_header *h, struct fl_buf *out);

/* The reverse. h is released first. FL_EDATA for anything that is not a header. */
int fl_header_decode(struct fl_header *h, const char *json, size_t len, struct fl_err *err);

/*
 * The nearest column name to one that does not exist, for messages: NULL if
 * none is near. Borrowed from h.
 */
const char *fl_header_nearest(const struct fl_header *h, const char *name, size_t len);

/*
 * The same as words for a message: " (did you mean "x"?)", or, where none is near,
 * " (the columns are a, b, c)". Returns buf.
 */
#define FL_ADVICE_MAX 170
const char *fl_header_advice(const struct fl_header *h, const char *name, size_t len,
			     char buf[FL_ADVICE_MAX]);

#endif
