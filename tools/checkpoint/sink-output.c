/* SPDX-License-Identifier: Apache-2.0 */
/* The file that results are appended to: which one it is, whose, and how long. */
#define _GNU_SOURCE /* F_OFD_SETLK, realpath */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sink.h"

/* The absolute path of the output, for messages and the manifest. */
static char *
absolute(const char *output)
{
	char *path = output ? realpath(output, NULL) : NULL;
	char buf[PATH_MAX];
	ssize_t n;

	if (path || output)
		return path ? path : fl_xstrdup(output);
	n = readlink("/proc/self/fd/1", buf, sizeof buf - 1);
	return n > 0 ? fl_xstrndup(buf, (size_t)n) : fl_xstrdup("standard output");
}

/* The name of a new file is durable: its directory is fsynced. */
static int
sync_parent(const char *path, struct fl_err *err)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? fl_xstrndup(path, (size_t)(slash - path) + 1) : fl_xstrdup(".");
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

	if (fd < 0 || fsync(fd) < 0)
		rc = fl_fail_errno(err, FL_EIO, errno, "cannot fsync the directory of %s", path);
	if (fd >= 0)
		(void)close(fd);
	free(dir);
	return rc;
}

/*
 * Standard output is opened anew: what the shell gave may be write only, or appending,
 * and is shared with other processes.
 */
static int
open_it(struct fc_sink *s, const struct fl_ck_sink *from, bool *ret_created, struct fl_err *err)
{
	const char *path = s->output ? s->output : "/proc/self/fd/1";

	*ret_created = false;
	s->fd = open(path, O_RDWR | O_CLOEXEC);
	if (s->fd >= 0)
		return 0;
	if (errno == ENOENT && from)
		return fl_fail(
			err, FL_ECONFIG,
			"%s is not there, but by the checkpoints in %s results are in %s. Put it "
			"back, or begin anew with another checkpoint directory",
			s->name, s->dir->path, from->path);
	if (errno != ENOENT || !s->output)
		return fl_fail_errno(err, FL_ECREATE, errno, "cannot open %s", s->name);
	s->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (s->fd < 0)
		return fl_fail_errno(err, FL_ECREATE, errno, "cannot create %s", s->name);
	*ret_created = true;
	return sync_parent(path, err);
}

int
fc_output_open(struct fc_sink *s, const struct fl_ck_sink *from, bool *ret_created,
	       struct fl_err *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	size_t len = s->output ? strlen(s->output) : 0;
	struct stat st;

	if (len > 3 && strcmp(s->output + len - 3, ".gz") == 0)
		return fl_fail(err, FL_EUSAGE, "-o %s: the output is not compressed", s->output);
	if (open_it(s, from, ret_created, err) < 0)
		return err->code;
	if (fcntl(s->fd, F_OFD_SETLK, &lock) < 0 && (errno == EAGAIN || errno == EACCES))
		return fl_fail(err, FL_EUNAVAILABLE,
			       "%s is being written by another pipeline: one at a time", s->name);
	if (fstat(s->fd, &st) < 0)
		return fl_fail_errno(err, FL_EIO, errno, "cannot look at %s", s->name);
	s->path = absolute(s->output);
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	s->base = (uint64_t)st.st_size;
	return 0;
}

int
fc_output_fresh(struct fc_sink *s, struct fl_err *err)
{
	if (s->base == 0 || s->append || !s->output)
		return 0;
	return fl_fail(
		err, FL_ECONFIG,
		"-o %s is not empty, and no checkpoint in %s has written it: --append writes "
		"behind what is there; or remove it",
		s->output, s->dir->path);
}

static int
other_file(const struct fc_sink *s, const struct fl_ck_sink *from, struct fl_err *err)
{
	if (strcmp(s->path, from->path) != 0)
		return fl_fail(
			err, FL_ECONFIG,
			"this line writes to %s, but the checkpoints in %s belong to %s: write "
			"there again, or begin anew with another checkpoint directory",
			s->path, s->dir->path, from->path);
	return fl_fail(
		err, FL_ECONFIG,
		"%s is another file (inode %llu) than the one that was written up to the last "
		"checkpoint (inode %llu): it was replaced. Put the old one back, or begin anew "
		"with another checkpoint directory",
		s->path, (unsigned long long)s->ino, (unsigned long long)from->ino);
}

/* The file ends before what is known to have been in it. */
static int
shorter(const struct fc_sink *s, uint64_t size, uint64_t least, struct fl_err *err)
{
	if (size == 0 && !s->output)
		return fl_fail(
			err, FL_ECONFIG,
			"%s was emptied, but %llu bytes of results had been written to it: was > "
			"typed where >> or -o should be? Put them back, or begin anew with an "
			"empty checkpoint directory",
			s->path, (unsigned long long)least);
	return fl_fail(err, FL_ECONFIG,
		       "%s has %llu bytes, but %llu were written to it up to the last checkpoint: "
		       "somebody shortened it. Put it back, or begin anew with an empty checkpoint "
		       "directory",
		       s->path, (unsigned long long)size, (unsigned long long)least);
}

static int
longer(const struct fc_sink *s, uint64_t size, uint64_t most, struct fl_err *err)
{
	return fl_fail(err, FL_ECONFIG,
		       "%s has %llu bytes, but only %llu were written to it up to the last "
		       "checkpoint: somebody else wrote behind them. Take away what is behind byte "
		       "%llu (truncate -s %llu), or begin anew with another checkpoint directory",
		       s->path, (unsigned long long)size, (unsigned long long)most,
		       (unsigned long long)most, (unsigned long long)most);
}

int
fc_output_same(struct fc_sink *s, const struct fl_ck_sink *from, uint64_t *ret_size,
	       struct fl_err *err)
{
	uint64_t size = s->base, least = from->base + from->committed, most = least;
	char tail[4096];
	int64_t got;

	for (uint32_t i = 0; i < from->pending_count; i++)
		most += from->pending[i].to - from->pending[i].from;
	*ret_size = size;
	if (s->ino != from->ino)
		return other_file(s, from, err);
	if (size < least)
		return shorter(s, size, least, err);
	if (size > most)
		return longer(s, size, most, err);
	s->base = from->base;
	s->committed = from->committed;
	if (from->tail_len > sizeof tail || from->tail_len > least)
		return fl_fail(err, FL_EDATA, "%s: a damaged manifest", s->dir->path);
	got = fc_read_at(s->fd, s->name, least - from->tail_len, tail, (size_t)from->tail_len, err);
	if (got < 0)
		return err->code;
	if ((uint64_t)got == from->tail_len && fc_hash(tail, (size_t)got) == from->tail_hash)
		return 0;
	return fl_fail(
		err, FL_ECONFIG,
		"%s was edited: the %llu bytes before byte %llu are not those that were written "
		"up to the last checkpoint. Put it back, or begin anew with an empty checkpoint "
		"directory",
		s->path, (unsigned long long)from->tail_len, (unsigned long long)least);
}
