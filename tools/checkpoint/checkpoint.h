/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fcheckpoint: its subcommands, each a main of its own in a file of its name. argv[0]
 * is the subcommand's name; they return the exit status.
 *
 * The sources stand in tools/checkpoint, as tools/fcheckpoint is the program.
 */
#ifndef TOOLS_CHECKPOINT_H
#define TOOLS_CHECKPOINT_H

#include "base/err.h"
#include "run/opt.h"

int fc_begin(int argc, char **argv);
int fc_commit(int argc, char **argv);
int fc_run(int argc, char **argv);
int fc_list(int argc, char **argv);
int fc_show(int argc, char **argv);
int fc_verify(int argc, char **argv);
int fc_diff(int argc, char **argv);
int fc_savepoint(int argc, char **argv);
int fc_rewind(int argc, char **argv);
int fc_prune(int argc, char **argv);

/* Lines of --help for a table of options, one each. */
struct fl_buf;
void fc_help_options(const struct fl_opt *opts, struct fl_buf *out);

/* begin: the checkpoint directory, for the fcheckpoint run that has started this line,
 * if one has. */
void fc_run_tell(const char *directory);

extern const struct fl_opt fc_begin_opts[], fc_run_opts[];

#endif
