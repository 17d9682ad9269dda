/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows as text that can be gone on with after a restore: the header line is written
 * once, and the columns stay those of the first record.
 */
#ifndef TOOLS_CHECKPOINT_TEXT_H
#define TOOLS_CHECKPOINT_TEXT_H

#include "checkpoint/snapshot.h"
#include "format/writer.h"
#include "sink.h"

struct fl_options;

struct fc_text {
	struct fl_buf out; /* text that nobody has taken yet */
	struct fc_sink *sink;
	struct fl_writer_options options;
	struct fl_writer *writer;
	bool lined;             /* the format has a header line, and it is to be written */
	bool started;           /* it is in the output, or was found there */
	bool check_found;       /* --append: what was found there is to be compared */
	bool ended;             /* the format's last lines are out */
	const char *given;      /* --columns, or NULL */
	char *restored;         /* the columns of the restored text, as --columns would have them */
	bool agreed;            /* … are those of the stream */
	struct fl_header names; /* .columns: chosen by the first record; empty: not yet */
};

/* Behind the sink's open. zone is borrowed, may be NULL. */
int fc_text_open(struct fc_text *t, const struct fl_options *opt, const struct fl_zone *zone,
		 struct fc_sink *sink, struct fl_err *err);
void fc_text_close(struct fc_text *t);

/* Append the rows of b to out. FL_ECONFIG: --append found other columns. */
int fc_text_put(struct fc_text *t, const struct fl_header *h, const struct fl_batch *b,
		struct fl_err *err);

/* No more rows. */
int fc_text_end(struct fc_text *t, const struct fl_header *h, struct fl_err *err);

void fc_text_save(const struct fc_text *t, struct fl_save *s);

/* Section s, if it is one of this module's; then, once, go on from what was loaded. */
int fc_text_load(struct fc_text *t, struct fl_load *l, const struct fl_state_section *s,
		 struct fl_err *err);
int fc_text_go_on(struct fc_text *t, struct fl_err *err);

#endif
