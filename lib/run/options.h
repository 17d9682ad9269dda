/* SPDX-License-Identifier: Apache-2.0 */
/* The options that every tool takes (flue(7), COMMON OPTIONS). Private to lib/run. */
#ifndef FL_RUN_OPTIONS_H
#define FL_RUN_OPTIONS_H

#include "run/op.h"

enum fl_state_backend { FL_STATE_MEMORY = 0, FL_STATE_ROCKSDB };

struct fl_options {
	/* input */
	const char *in; /* format, or NULL: by name or content */
	const char *regex;
	const char *logformat;
	bool implicit_header;
	bool allow_ragged;
	char ifs;
	/* output */
	const char *out;    /* format, or NULL */
	const char *output; /* -o */
	bool append;
	bool headerless;
	char ofs;
	const char *columns;
	int otime; /* 0 iso, 1 epoch-ms */
	/* time */
	const char *time;
	const char *time_format;
	const char *tz;
	int64_t assume_year; /* 0: not said */
	int64_t watermark_ms;
	const char *watermark; /* as typed; NULL: not said */
	const char *watermark_at;
	int64_t idle_ms; /* 0: never */
	/* errors, limits, identity */
	int on_error; /* 0 fail, 1 skip */
	const char *reject;
	const char *uid;
	int backend;         /* enum fl_state_backend */
	int64_t ttl_ms;      /* of state; 0: for ever */
	uint64_t memory_max; /* 0: no limit */
	uint64_t record_max;
	int color; /* 0 auto, 1 always, 2 never */
	bool quiet;
	bool progress;
	bool explain;
	bool help;
	bool version;
};

#define FL_OPTION_GROUPS 5 /* the tool's own is the first */

/* Set the defaults, and fill groups with the tables of op and these. */
void fl_options_init(struct fl_options *o, const struct fl_op *op, void *self,
		     struct fl_opt_group groups[FL_OPTION_GROUPS]);

/* What contradicts itself: FL_EUSAGE. */
int fl_options_check(struct fl_options *o, struct fl_err *err);

/* What it does, and two examples: for who types the name alone. Appended. */
void fl_options_short_help(const struct fl_op *op, struct fl_buf *out);

/* The text of --help, appended. */
void fl_options_help(const struct fl_op *op, const struct fl_opt_group groups[FL_OPTION_GROUPS],
		     struct fl_buf *out);

#endif
