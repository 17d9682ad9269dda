/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one output of a tool: frames into a pipe, or text. Private to lib/run.
 *
 * Nothing is opened, created or truncated before fl_output_open, which the
 * runner calls when the first header has come. What is written is complete
 * lines and frames; they leave the process when a good deal has come together,
 * or at fl_output_flush, which the runner calls before it waits.
 */
#ifndef FL_RUN_OUTPUT_H
#define FL_RUN_OUTPUT_H

#include "format/writer.h"
#include "run/options.h"
#include "run/writeback.h"
#include "stream/frame.h"

struct fl_progress;

struct fl_output {
	int fd;
	const char *name; /* for messages */
	char *beside;     /* -o is an input too: written here, renamed at the end */
	bool opened;
	bool frames;              /* else text */
	struct fl_writer *writer; /* text */
	struct fl_frame_writer frame;
	struct fl_buf text;
	bool is_file;                   /* text into a regular file */
	struct fl_writeback *writeback; /* that writes it, once it has become large */
	uint32_t columns_sent;          /* frames: of the last HEADER */
	bool header_sent;
	struct fl_err failed;     /* of a write, once one has failed */
	struct fl_watermark wm; /* last sent */
	uint64_t records;
	struct fl_progress *progress; /* a block that is drawn where text goes; or NULL */
};

void fl_output_init(struct fl_output *o);
void fl_output_release(struct fl_output *o);

/*
 * The text format that will be written, or NULL: frames. prefer_text: text into a
 * pipe, too, where nothing is said.
 */
const char *fl_output_format(const struct fl_options *opt, const char *input_format,
			     bool prefer_text);

/*
 * Open it, and decide on frames or text. replaces_input: the output is a file that is
 * being read; with -o it stays as it is until the end, without it is refused. zone:
 * for times out, or NULL.
 */
int fl_output_open(struct fl_output *o, const struct fl_options *opt, const char *input_format,
		   bool prefer_text, bool replaces_input, const struct fl_zone *zone,
		   struct fl_err *err);

int fl_output_header(struct fl_output *o, const struct fl_header *h, struct fl_err *err);
int fl_output_batch(struct fl_output *o, const struct fl_header *h, const struct fl_batch *b,
		    struct fl_err *err);
int fl_output_watermark(struct fl_output *o, const struct fl_watermark *wm, struct fl_err *err);
int fl_output_barrier(struct fl_output *o, const struct fl_barrier *b, struct fl_err *err);

/* Hand on a frame of an input as it is (its number must be the one that is due). */
struct fl_input;
int fl_output_forward(struct fl_output *o, struct fl_input *in, const struct fl_frame *f,
		      struct fl_err *err);

int fl_output_flush(struct fl_output *o, struct fl_err *err);

/* The end: END or the text's last lines, flush, close, with every error told. */
int fl_output_end(struct fl_output *o, const struct fl_header *h, const struct fl_end *end,
		  struct fl_err *err);

/*
 * Tell those behind that this tool has failed with an exit status, as far as
 * that is still possible. want_frames: what standard output would have been,
 * if it was not opened yet.
 */
void fl_output_fail(struct fl_output *o, bool want_frames, int status);

/* Whether standard output takes frames if nothing is said: it is a pipe. */
bool fl_output_is_pipe(void);

#endif
