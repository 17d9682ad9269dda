/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options: one table says what a tool takes. It parses the command line,
 * prints --help, and a test holds it against the man page.
 *
 * Options may stand anywhere before "--", long ones as "--name value" or
 * "--name=value", a unique beginning of a long name is enough.
 */
#ifndef FL_RUN_OPT_H
#define FL_RUN_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum fl_opt_type {
	FL_OPT_END = 0,
	FL_OPT_FLAG,            /* bool */
	FL_OPT_STRING,          /* const char *, borrowed from argv */
	FL_OPT_CHAR,            /* char: one byte, or \t */
	FL_OPT_INT,             /* int64_t >= 0 */
	FL_OPT_DURATION,        /* int64_t ms >= 0 */
	FL_OPT_SIGNED_DURATION, /* int64_t ms */
	FL_OPT_SIZE,            /* uint64_t bytes */
	FL_OPT_SET,             /* const char *: set to value (--icsv: "csv") */
	FL_OPT_ENUM,            /* int: index of the word in value ("fail|skip") */
};

struct fl_opt {
	const char *name; /* long name without dashes */
	char letter;      /* short name, or 0 */
	enum fl_opt_type type;
	size_t offset;     /* of the member in the struct that is filled */
	const char *arg;   /* what --help calls the argument; NULL for flags */
	const char *value; /* FL_OPT_SET, FL_OPT_ENUM */
	size_t offset2;    /* FL_OPT_SET with also set (--csv): the second member, or 0 */
	const char *help;  /* one phrase */
};

/* A table and the struct it fills. */
struct fl_opt_group {
	const char *title; /* heading in --help; NULL: not shown there */
	const struct fl_opt *opts;
	void *into;
};

/*
 * Parse argv[1..argc) by the groups. What is not an option is collected in
 * words (room for argc), *ret_words of them, in order. FL_EUSAGE: an unknown
 * option with the nearest name, a missing or a bad argument.
 */
int fl_opt_parse(const struct fl_opt_group *groups, size_t group_count, int argc, char **argv,
		 char **words, int *ret_words, struct fl_err *err);

#endif
