/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What state on disk asks of the runner, for tests that have one of their own: to be
 * included behind their struct fl_run, which has at least
 *	struct fl_options options;
 *	struct fl_ckdir *dir;
 *	uint64_t checkpoint_id;
 *	struct fl_backend *backend;  whose files the snapshot waits for
 */
#ifndef FL_TESTS_UNIT_DISK_RUN_H
#define FL_TESTS_UNIT_DISK_RUN_H

#include "checkpoint/dir.h"
#include "run/options.h"
#include "run/region.h"

const struct fl_options *
fl_run_options(const struct fl_run *run)
{
	return &run->options;
}

struct fl_ckdir *
fl_run_checkpoints(const struct fl_run *run)
{
	return run->dir;
}

const char *
fl_run_uid(const struct fl_run *run)
{
	(void)run;
	return "test-1";
}

uint64_t
fl_run_checkpoint_id(const struct fl_run *run)
{
	return run->checkpoint_id;
}

size_t
fl_run_memory_max(const struct fl_run *run)
{
	return run->options.memory_max ? run->options.memory_max : SIZE_MAX;
}

void
fl__region_files(struct fl_run *run, struct fl_backend *b)
{
	run->backend = b;
}

#endif
