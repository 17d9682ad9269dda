/* SPDX-License-Identifier: Apache-2.0 */
/*
 * begin --spool FILE: what a pipe brings goes into FILE first, and is read from there.
 * It is durable when a checkpoint is, and is read again after a restore. What no
 * complete checkpoint needs is given back to the file system as a hole, so that offsets
 * stay what they are.
 */
#define _GNU_SOURCE /* fallocate */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/io.h"
#include "checkpoint/manifest.h"
#include "source.h"

#define TRIM_STEP FL_MIB(1) /* holes are made in steps of it */

int
fc_spool_start(struct fc_source *s, struct fl_err *err)
{
	struct fc_input pipe;

	s->spool_fd = open(s->spool, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (s->spool_fd < 0)
		return fl_fail_errno(err, FL_ECREATE, errno, "cannot open the spool %s", s->spool);
	if (s->in.kind == FC_INPUT_NONE) {
		if (lseek(s->spool_fd, 0, SEEK_END) > 0)
			return fl_fail(
				err, FL_ECONFIG,
				"the spool %s is not empty, and no checkpoint knows it: remove "
				"it, or name another",
				s->spool);
		if (fc_input_open(&s->in, s->spool, s->next_number++, err) < 0)
			return err->code;
	}
	s->in.kind = FC_INPUT_FILE; /* whatever its first bytes are */
	s->in.as_bytes = true;
	fc_input_init(&pipe);
	if (fc_input_open(&pipe, s->words[0], 0, err) < 0) {
		fc_input_release(&pipe);
		return err->code;
	}
	if (pipe.kind != FC_INPUT_STREAM) {
		fc_input_release(&pipe);
		return fl_fail(err, FL_EUSAGE,
			       "--spool is for a pipe: %s can be read again as it is", s->words[0]);
	}
	s->spool_in = pipe.fd;
	pipe.fd = -1;
	fc_input_release(&pipe);
	return 0;
}

/* What the pipe has now goes into the spool, within the kernel where it can. */
static int
take_in(struct fc_source *s, struct fl_err *err)
{
	int have = 0;
	int64_t n;

	if (s->spool_end || !fl_io_readable(s->spool_in))
		return 0;
	if (ioctl(s->spool_in, FIONREAD, &have) < 0)
		have = 0;
	if (have == 0) { /* the end; or what it has is not known, and comes a byte at a time */
		char c;

		n = fl_io_read(s->spool_in, &c, 1, s->words[0], err);
		if (n < 0)
			return (int)n;
		s->spool_end = n == 0;
		return n ? fl_io_write(s->spool_fd, &c, 1, s->spool, err) : 0;
	}
	n = fl_io_move(s->spool_in, s->words[0], s->spool_fd, s->spool,
		       (size_t)have < FL_RAW_PIECE ? (size_t)have : FL_RAW_PIECE, err);
	FL_FAULT("begin.spooled");
	return n < 0 ? (int)n : 0;
}

int
fc_spool_next(struct fc_source *s, struct fl_raw *ret, struct fl_err *err)
{
	int rc;

	if (take_in(s, err) < 0)
		return err->code;
	rc = fc_input_next(&s->in, true, ret, err);
	if (rc != FC_WAIT || !s->spool_end)
		return rc;
	return fc_input_next(&s->in, false, ret, err);
}

/* The lowest position in the spool that a complete checkpoint has. */
static uint64_t
lowest_needed(const struct fl_ckdir *d, const char *name)
{
	struct fl_buf ids = { 0 };
	struct fl_err ignored;
	uint64_t lowest = UINT64_MAX, id;

	if (fl_ck_list(d, &ids, &ignored) < 0)
		ids.len = 0;
	for (size_t i = 0; i < ids.len / sizeof id; i++) {
		struct fl_manifest m = { 0 };

		memcpy(&id, ids.data + i * sizeof id, sizeof id);
		if (fl_ck_look(d, id) != FL_CK_COMPLETE)
			continue;
		if (fl_manifest_read(d, id, &m, &ignored) < 0)
			lowest = 0; /* nothing is given up that might be needed */
		for (uint32_t k = 0; k < m.source_count; k++)
			if (strcmp(m.sources[k].name, name ? name : "") == 0 &&
			    m.sources[k].offset < lowest)
				lowest = m.sources[k].offset;
		fl_manifest_release(&m);
	}
	fl_buf_release(&ids);
	return lowest == UINT64_MAX ? 0 : lowest;
}

void
fc_spool_trim(struct fc_source *s, const struct fl_ckdir *d, const char *name)
{
	uint64_t keep;

	if (s->in.at.offset < s->trimmed + TRIM_STEP)
		return; /* not worth a look */
	keep = lowest_needed(d, name);
	keep -= keep % TRIM_STEP;
	if (keep <= s->trimmed)
		return;
	/* where holes cannot be made, the spool stays as long as it is */
	(void)fallocate(s->spool_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)keep);
	s->trimmed = keep;
}
