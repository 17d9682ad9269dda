/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a section says about its entries (fl_save_section's about), for people: read
 * without trust, what is not understood is left out.
 *
 * A layout says what a value consists of, so that fcheckpoint show needs to know nothing
 * of who wrote it. Items stand in the order of the value's bytes (little-endian, without
 * padding), spaces between them:
 *
 *	NAME:TYPE   a member NAME of an object. TYPE or -:TYPE alone are not named: the only
 *	            item that is shown is the whole value; "-" is never shown
 *	u8 u32 u64 i64
 *	flag        u8: true or false; flag64
 *	time        i64, ms; the first and the last moment mean that there is none
 *	duration    i64, ms; less than 0: none
 *	TYPE?       a number or a time: 0 means that there is none
 *	word(a,b)   u8: 0 is a, 1 is b; word32, word64
 *	bits(a,b)   u8: a member for each of these that is set, the lowest bit first; bits64
 *	start end   i64, ms: the bounds of the window that is the entry's namespace
 *	side(a,b)   u8: the entry's namespace
 *	size        u32: so many bytes has the next row, text, bytes, aggregates; else these
 *	            take all that is left
 *	count       u32, for a list [#]
 *	skip(N)     N bytes that are not shown
 *	text bytes  as size said
 *	frames      of a stream: how many records and watermarks
 *	word0       a text up to a byte that is 0
 *	row         a record (stream/row.h) of .columns; row(left,right): of .left or .right, by
 *	            the last word or side
 *	aggregates  an accumulator (fl_aggs_save)
 *
 *	NAME[]{ITEMS}   a list, up to the end; [u8] [u32] [u64]: so many; [#]: as count said;
 *	                [1]: one; [?]: one if something is left, [?u8]: if that is not 0
 *	NAME[]<ITEMS>   the same, each behind its length, u32
 *	@NAME[]…        each is shown as an entry of its own; NAME is its namespace, unless
 *	                its items say one
 */
#ifndef FL_CHECKPOINT_ABOUT_H
#define FL_CHECKPOINT_ABOUT_H

#include "checkpoint/snapshot.h"
#include "stream/header.h"

/* What is to be said; what is NULL or 0 is left out. All borrowed. */
struct fl_state_says {
	const struct fl_header *header;       /* the names of its columns, and of its key's */
	bool whole_rows;                      /* without a key, each different row is one */
	const char *ns;                       /* "window", "side", "arrival", "" (there is none) */
	const char *value;                    /* "row", "int64", "time", "bytes" */
	const char *side;                     /* of a join: the entries' namespace */
	const char *layout;                   /* instead of value */
	const struct fl_header *left, *right; /* columns of row(left), row(right) */
	const int64_t (*windows)[2];          /* where a namespace is only the start of one */
	uint32_t window_count;
	const char *const (*named)[2]; /* of entries with names: name, layout */
	uint32_t named_count;
	char *const *aggregates; /* "NAME=EXPR", of accumulators */
	uint32_t aggregate_count;
	bool changelog; /* … that can take back */
	size_t flat;    /* where in the value of a flat entry its accumulator is; 0: at once */
};

/* As a text for fl_save_section, with a NUL behind it. Appended to out. */
void fl_state_say(const struct fl_state_says *w, struct fl_buf *out);

/* The same for header, ns and value. */
void fl_state_about_put(const struct fl_header *h, const char *ns, const char *value,
			struct fl_buf *out);

/* A section whose entries have names: begun. */
void fl_state_section_named(struct fl_save *s, const char *name, uint32_t version,
			    const char *const (*named)[2], uint32_t count);

struct fl_state_named {
	char *name;
	char *layout;
};

struct fl_state_about {
	bool ns_said;
	char ns[32];             /* "window", "side", "arrival", …; "": not said */
	char value[32];          /* "aggregates", "row", "int64", "time", "bytes"; "" */
	char *side;              /* of a join: "left", "right"; or NULL */
	char *layout;            /* or NULL */
	struct fl_header header; /* .columns of rows, .keys: those that the key is of */
	struct fl_header left, right;
	bool keyed;        /* .keys was said */
	bool whole_rows;   /* a key is a whole row: fl_row_identity */
	size_t flat;       /* where in the value of a flat entry the accumulator begins */
	char **aggregates; /* "NAME=EXPR" */
	uint32_t aggregate_count;
	int64_t (*windows)[2];
	uint32_t window_count;
	struct fl_state_named *named;
	uint32_t named_count;
};

void fl_state_about(const struct fl_state_section *s, struct fl_state_about *ret);
void fl_state_about_release(struct fl_state_about *a);

#endif
