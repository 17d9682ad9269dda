/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of a state as people read them, by what their section says they consist of: a
 * layout, as checkpoint/about.h has it. Neither the layout nor a value is trusted.
 */
#ifndef TOOLS_CHECKPOINT_LAYOUT_H
#define TOOLS_CHECKPOINT_LAYOUT_H

#include "base/err.h"
#include "base/mem.h"
#include "stream/batch.h"
#include "time/zone.h"

struct fc_layout;

/* NULL: it is none. */
struct fc_layout *fc_layout_new(const char *text);
void fc_layout_free(struct fc_layout *l); /* NULL is fine */

/* What is shown as an entry: a value, or a part of it. Borrowed for the call. */
struct fc_piece {
	const char *side; /* its namespace; NULL: that of the value */
	size_t side_len;
	bool windowed; /* its namespace is this window */
	int64_t bounds[2];
	const char *text; /* the value: JSON, or a text without quotes */
	size_t text_len;
	enum fl_tag tag; /* which: OBJECT, ARRAY, STRING, NUMBER, BOOL, NULL */
	uint64_t bytes;  /* of the value; those of all pieces together are all of it */
};

/* How to show what only the caller can: false, and it is shown as bytes. */
struct fc_layout_to {
	void *ctx;
	/* A record of the columns of a set (NULL: of the entries) as a JSON object. */
	bool (*row)(void *ctx, const char *set, const char *p, size_t n, struct fl_buf *out);
	/* What an accumulator gives, as a JSON object. */
	bool (*aggregates)(void *ctx, const char *p, size_t n, struct fl_buf *out);
	int (*piece)(void *ctx, const struct fc_piece *piece, struct fl_err *err);
	const struct fl_zone *zone; /* of times */
	bool epoch_ms;              /* times are numbers */
};

/*
 * Show a value, at least as one piece: 1; 0 it is not of that layout, and no piece was
 * given; or the error of piece. A list of which the text gets too long is cut, and says
 * by how much.
 */
int fc_layout_show(struct fc_layout *l, const char *p, size_t n, const struct fc_layout_to *to,
		   struct fl_err *err);

/* ---- texts (also for what has no layout) ---- */

/* UTF-8 without control bytes: people can read it. */
bool fc_is_text(const char *p, size_t n);

/* Bytes as hexadecimal digits, cut where they are many. */
void fc_put_hex(const char *p, size_t n, struct fl_buf *out);

#endif
