/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --segments: files that appear whole. A segment is written once, under a name that
 * begins with a dot, and renamed when the checkpoint at its end is complete. One may
 * take several checkpoints; restore cuts it back to the one it begins with, which no
 * reader can see.
 */
#define _GNU_SOURCE /* renameat2, realpath */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/io.h"
#include "run/format.h"
#include "sink.h"

#define NAME_MAX_SEGMENT 240u
#define PENDING ".pending"

/* What the manifest says of a segment: [number, bytes, whole]. */
struct segment {
	uint64_t number, bytes;
	bool whole;
};

static void
segment_name(const struct fc_sink *s, uint64_t number, char out[NAME_MAX_SEGMENT + 1])
{
	(void)snprintf(out, NAME_MAX_SEGMENT + 1, "%s%010llu%s", s->stem,
		       (unsigned long long)number, s->suffix);
}

static void
pending_name(const struct fc_sink *s, uint64_t number, char out[NAME_MAX_SEGMENT + 1])
{
	(void)snprintf(out, NAME_MAX_SEGMENT + 1, ".%s%010llu%s" PENDING, s->stem,
		       (unsigned long long)number, s->suffix);
}

/* The number in the name of a segment; 0: it is none. */
static uint64_t
number_of(const struct fc_sink *s, const char *name, bool pending)
{
	size_t stem = strlen(s->stem);
	char expect[NAME_MAX_SEGMENT + 1];
	uint64_t n;

	if (pending && *name++ != '.')
		return 0;
	if (strncmp(name, s->stem, stem) != 0)
		return 0;
	n = strtoull(name + stem, NULL, 10);
	(pending ? pending_name : segment_name)(s, n, expect);
	return strcmp(name, expect + pending) == 0 ? n : 0;
}

/* ---- where -------------------------------------------------------------------------- */

/* DIR/part-NNN.csv in a directory, else PREFIX-NNN.csv, without an ending twice. */
static int
split_path(struct fc_sink *s, char **ret_dir, struct fl_err *err)
{
	size_t len = strlen(s->output);
	const char *slash = strrchr(s->output, '/'), *stem = slash ? slash + 1 : s->output;
	const char *dot = strrchr(stem, '.');
	struct fl_buf b = { 0 };
	struct stat st;

	if (len && s->output[len - 1] != '/' &&
	    !(stat(s->output, &st) == 0 && S_ISDIR(st.st_mode))) {
		*ret_dir = slash ? fl_xstrndup(s->output, (size_t)(slash - s->output) + 1)
				 : fl_xstrdup(".");
		fl_buf_put(&b, stem,
			   dot && fl_format_by_name(stem) ? (size_t)(dot - stem) : strlen(stem));
		fl_buf_puts(&b, "-");
	} else {
		*ret_dir = fl_xstrdup(s->output);
		fl_buf_puts(&b, "part-");
	}
	s->stem = fl_xstrndup(b.data, b.len);
	fl_buf_clear(&b);
	fl_buf_printf(&b, ".%s", strcmp(s->format, "pprint") == 0 ? "txt" : s->format);
	s->suffix = fl_xstrndup(b.data, b.len);
	fl_buf_release(&b);
	if (strlen(s->stem) + strlen(s->suffix) + 40 > NAME_MAX_SEGMENT)
		return fl_fail(err, FL_EUSAGE, "-o %s: the name is too long", s->output);
	return 0;
}

static int
open_directory(struct fc_sink *s, struct fl_err *err)
{
	char *dir = NULL, *full;
	struct fl_buf b = { 0 };
	struct stat st;

	if (split_path(s, &dir, err) < 0) {
		free(dir);
		return err->code;
	}
	s->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->fd < 0 && errno == ENOENT && mkdir(dir, 0777) == 0)
		s->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->fd < 0 || fstat(s->fd, &st) < 0) {
		(void)fl_fail_errno(err, FL_ECREATE, errno, "cannot open the directory %s", dir);
		free(dir);
		return err->code;
	}
	full = realpath(dir, NULL);
	fl_buf_printf(&b, "%s/%s", full ? full : dir, s->stem);
	s->path = fl_xstrndup(b.data, b.len);
	fl_buf_release(&b);
	free(full);
	free(dir);
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	return 0;
}

/* The pending segment's lock is the sink's. */
static int
lock_part(const struct fc_sink *s, int fd, struct fl_err *err)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return fl_fail(err, FL_EUNAVAILABLE,
		       "%s is being written by another pipeline: one at a time", s->path);
}

static int
take_part(struct fc_sink *s, uint64_t number, uint64_t len, int flags, struct fl_err *err)
{
	char name[NAME_MAX_SEGMENT + 1];
	int fd;

	pending_name(s, number, name);
	fd = openat(s->fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0666);
	if (fd < 0)
		return fl_fail_errno(err, errno == ENOSPC ? FL_EIO : FL_ECREATE, errno,
				     "cannot open %s, a segment, in the directory of %s", name,
				     s->path);
	if (lock_part(s, fd, err) < 0 || lseek(fd, (off_t)len, SEEK_SET) < 0) {
		(void)close(fd);
		return err->code;
	}
	s->part = fc_part_new(fd, name, name, len);
	s->part->number = number;
	s->part_from = len;
	s->next = number + 1;
	return 0;
}

/* ---- writing -------------------------------------------------------------------------- */

/* The part is whole: its last piece. */
static int
close_part(struct fc_sink *s, struct fl_err *err)
{
	struct fc_piece piece = { .part = s->part, .from = s->part_from, .last = true };

	if (fc_part_drain(s->part, err) < 0)
		return err->code;
	piece.to = s->part->len;
	piece.hash = fc_part_hash(s->part);
	fl_buf_put(&s->pieces, &piece, sizeof piece);
	s->part = NULL;
	s->rolled = true;
	return 0;
}

static int
segments_put(struct fc_sink *s, struct fl_buf *text, struct fl_err *err)
{
	if (!text->len)
		return 0;
	if (!s->part && take_part(s, s->next, 0, O_CREAT | O_EXCL, err) < 0)
		return err->code;
	s->rolled = false;
	if (fc_part_put(s->part, text, err) < 0)
		return err->code;
	if (s->segment_size && s->part->len >= s->segment_size)
		return close_part(s, err);
	return 0;
}

static int
segments_mark(struct fc_sink *s, bool end, struct fl_err *err)
{
	struct fc_piece piece = { .part = s->part, .from = s->part_from };
	bool old;

	if (!s->part)
		return 0;
	old = s->segment_ms && (fl_clock_us() - s->part->opened_us) / 1000 >= s->segment_ms;
	if (end || old || (s->segment_size && s->part->len >= s->segment_size))
		return close_part(s, err);
	if (fc_part_drain(s->part, err) < 0)
		return err->code;
	piece.to = s->part->len;
	piece.hash = fc_part_hash(s->part);
	fl_buf_put(&s->pieces, &piece, sizeof piece);
	s->part_from = s->part->len;
	FL_FAULT("commit.pending.written");
	return 0;
}

static int
segments_settle(struct fc_sink *s, const struct fc_piece *pieces, size_t count, struct fl_err *err)
{
	FL_FAULT("commit.pending.sync");
	for (size_t i = 0; i < count; i++)
		if (pieces[i].to > pieces[i].from && fc_part_sync(pieces[i].part, err) < 0)
			return err->code;
	/* new names, and those under which the checkpoint before has let segments appear: the
	   next manifest knows of these no more */
	if (fsync(s->fd) < 0)
		return fl_fail_errno(err, FL_EIO, errno, "cannot fsync the directory of %s",
				     s->path);
	for (size_t i = 0; i < count; i++)
		pieces[i].part->durable = true;
	FL_FAULT("commit.pending.synced");
	return 0;
}

static void
segments_describe(struct fc_sink *s, const struct fc_piece *pieces, size_t count,
		  struct fl_ck_sink *to)
{
	struct fl_buf more = { 0 };
	uint64_t next = s->base + 1;
	uint64_t total = s->committed;
	const char *comma = "";

	fl_buf_puts(&more, "{\"segments\": [");
	for (size_t i = 0; i < count; i++) {
		bool again = i + 1 < count && pieces[i + 1].part == pieces[i].part;

		total += pieces[i].to - pieces[i].from;
		next = pieces[i].part->number + 1;
		if (again) /* of an abandoned checkpoint: the later piece says all */
			continue;
		fl_buf_printf(&more, "%s[%llu, %llu, %d]", comma,
			      (unsigned long long)pieces[i].part->number,
			      (unsigned long long)pieces[i].to, pieces[i].last);
		comma = ", ";
	}
	fl_buf_printf(&more, "], \"next\": %llu, \"total\": %llu}", (unsigned long long)next,
		      (unsigned long long)total);
	fl_buf_putc(&more, '\0');
	fc_sink_describe(s, to);
	to->base = 0;
	to->more = more.data;
}

/* Under its final name, unless that is there: nothing is overwritten. */
static int
appear(struct fc_sink *s, uint64_t number, struct fl_err *err)
{
	char from[NAME_MAX_SEGMENT + 1], to[NAME_MAX_SEGMENT + 1];
	int rc;

	pending_name(s, number, from);
	segment_name(s, number, to);
	FL_FAULT("commit.segment.rename");
	rc = renameat2(s->fd, from, s->fd, to, RENAME_NOREPLACE);
	if (rc < 0 && errno == EINVAL) /* a file system that cannot say so */
		rc = faccessat(s->fd, to, F_OK, 0) == 0 ? (errno = EEXIST, -1)
							: renameat(s->fd, from, s->fd, to);
	FL_FAULT("commit.segment.renamed");
	if (rc == 0)
		return 0;
	return fl_fail_errno(err, errno == EEXIST ? FL_ECONFIG : FL_EIO, errno,
			     "cannot rename %s to %s, in the directory of %s", from, to, s->path);
}

static int
segments_commit(struct fc_sink *s, struct fc_piece *pieces, size_t count, struct fl_err *err)
{
	FL_FAULT("commit.append");
	for (size_t i = 0; i < count; i++) {
		struct fc_piece *p = &pieces[i];

		s->committed += p->to - p->from;
		if (!p->last) {
			s->base = p->part->number - 1; /* the last one that has appeared */
			p->part = NULL;
			continue;
		}
		if (appear(s, p->part->number, err) < 0)
			return err->code;
		s->base = p->part->number;
		fc_part_free(p->part);
		p->part = NULL;
	}
	FL_FAULT("commit.appended");
	return 0;
}

static int
segments_finish(struct fc_sink *s, struct fl_err *err)
{
	if (fsync(s->fd) == 0)
		return 0;
	return fl_fail_errno(err, FL_EIO, errno, "cannot fsync the directory of %s", s->path);
}

/* ---- restoring ------------------------------------------------------------------------ */

/* The numbers in the sink's JSON, one by one: it has no others, and no strings with any. */
static bool
next_number(const char **p, uint64_t *ret)
{
	char *end;

	*p += strcspn(*p, "0123456789");
	if (!**p)
		return false;
	*ret = strtoull(*p, &end, 10);
	*p = end;
	return true;
}

/* The segments of the manifest, struct segment; *ret_next. */
static int
read_more(const struct fl_ck_sink *from, struct fl_buf *out, uint64_t *ret_next,
	  uint64_t *ret_total, struct fl_err *err)
{
	const char *p = from->more ? from->more : "", *close;
	const char *list = strstr(p, "\"segments\""), *next = strstr(p, "\"next\"");
	const char *total = strstr(p, "\"total\"");
	struct segment g;
	uint64_t whole;

	if (!list || !next || !next_number(&next, ret_next) || !total ||
	    !next_number(&total, ret_total))
		return fl_fail(err, FL_EDATA, "the manifest does not say which segments there are");
	for (p = list, close = strstr(list, "]]"); close && p < close;) {
		if (!next_number(&p, &g.number) || !next_number(&p, &g.bytes) ||
		    !next_number(&p, &whole))
			return fl_fail(err, FL_EDATA, "the manifest's list of segments is damaged");
		g.whole = whole != 0;
		fl_buf_put(out, &g, sizeof g);
		p += strcspn(p, "]") + 1;
		if (*p == ']')
			break;
	}
	return 0;
}

/* The one that was being written: cut back to the checkpoint. */
static int
reopen(struct fc_sink *s, const struct segment *g, struct fl_err *err)
{
	struct stat st;

	if (take_part(s, g->number, g->bytes, 0, err) < 0)
		return err->code;
	s->part->durable = true;
	if (fstat(s->part->fd, &st) < 0 || (uint64_t)st.st_size < g->bytes)
		return fl_fail(err, FL_ECONFIG,
			       "%s is shorter than the %llu bytes that the checkpoint has of it",
			       s->part->name, (unsigned long long)g->bytes);
	if (ftruncate(s->part->fd, (off_t)g->bytes) < 0)
		return fl_fail_errno(err, FL_EIO, errno, "cannot cut %s", s->part->name);
	return 0;
}

/* One that is whole: it has appeared, or does so now. */
static int
complete(struct fc_sink *s, const struct segment *g, struct fl_err *err)
{
	char pending[NAME_MAX_SEGMENT + 1], name[NAME_MAX_SEGMENT + 1];
	struct stat st;

	pending_name(s, g->number, pending);
	segment_name(s, g->number, name);
	s->base = g->number;
	if (fstatat(s->fd, pending, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if ((uint64_t)st.st_size == g->bytes)
			return appear(s, g->number, err);
		return fl_fail(err, FL_ECONFIG, "%s has %llu bytes, not %llu", pending,
			       (unsigned long long)st.st_size, (unsigned long long)g->bytes);
	}
	if (fstatat(s->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		/* a consumer may have taken it away: that is what segments are for */
		fc_sink_say(s, "%s is not there any more", name);
		return 0;
	}
	if ((uint64_t)st.st_size == g->bytes)
		return 0;
	return fl_fail(err, FL_ECONFIG, "%s has %llu bytes, but %llu were written: it was edited",
		       name, (unsigned long long)st.st_size, (unsigned long long)g->bytes);
}

/* What nobody is writing any more, and no checkpoint knows. */
static int
remove_pending(const struct fc_sink *s, const char *name, struct fl_err *err)
{
	int fd = openat(s->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int rc = fd < 0 ? 0 : lock_part(s, fd, err);

	if (rc == 0)
		(void)unlinkat(s->fd, name, 0);
	if (fd >= 0)
		(void)close(fd);
	return rc;
}

/*
 * Look at what is in the directory. Pending ones that no checkpoint knows are removed;
 * *ret_last: the highest number that has appeared.
 */
static int
look_around(struct fc_sink *s, uint64_t keep, uint64_t *ret_last, struct fl_err *err)
{
	int copy = openat(s->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *e;
	int rc = 0;

	*ret_last = 0;
	if (!dir)
		return fl_fail_errno(err, FL_EIO, errno, "cannot read the directory of %s",
				     s->path);
	while (rc == 0 && (e = readdir(dir))) {
		uint64_t n = number_of(s, e->d_name, false), p = number_of(s, e->d_name, true);

		*ret_last = n > *ret_last ? n : *ret_last;
		if (p && p != keep)
			rc = remove_pending(s, e->d_name, err);
	}
	(void)closedir(dir);
	return rc;
}

static int
restore_segments(struct fc_sink *s, const struct fl_ck_sink *from, struct fl_err *err)
{
	struct fl_buf list = { 0 };
	const struct segment *g;
	uint64_t keep = 0, last;
	int rc;

	rc = read_more(from, &list, &s->next, &s->committed, err);
	g = (const struct segment *)(const void *)list.data;
	s->base = s->next ? s->next - 1 : 0;
	for (size_t i = 0; i < list.len / sizeof *g && rc == 0; i++) {
		rc = g[i].whole ? complete(s, &g[i], err) : reopen(s, &g[i], err);
		keep = g[i].whole ? keep : g[i].number;
		s->base = g[i].whole ? g[i].number : g[i].number - 1;
	}
	fl_buf_release(&list);
	FL_FAULT("commit.restore.compared");
	if (rc == 0)
		rc = look_around(s, keep, &last, err);
	if (rc == 0)
		rc = segments_finish(s, err);
	s->rolled = s->part == NULL;
	return rc;
}

static int
segments_open(struct fc_sink *s, const struct fl_ck_sink *from, struct fl_err *err)
{
	uint64_t last;

	if (open_directory(s, err) < 0)
		return err->code;
	if (from && strcmp(s->path, from->path) != 0)
		return fl_fail(
			err, FL_ECONFIG,
			"this line writes %s*, but the checkpoints in %s belong to %s*: write "
			"there again, or begin anew with another checkpoint directory",
			s->path, s->dir->path, from->path);
	if (from)
		return restore_segments(s, from, err);
	if (look_around(s, 0, &last, err) < 0)
		return err->code;
	if (last && !s->append)
		return fl_fail(
			err, FL_ECONFIG,
			"there are segments %s* already, and no checkpoint in %s has written "
			"them: --append numbers on; or remove them",
			s->path, s->dir->path);
	s->next = last + 1;
	s->base = last;
	s->rolled = true;
	return 0;
}

const struct fc_sink_type fc_sink_segments = {
	.kind = "segments",
	.goes_on = true,
	.open = segments_open,
	.put = segments_put,
	.mark = segments_mark,
	.settle = segments_settle,
	.describe = segments_describe,
	.commit = segments_commit,
	.finish = segments_finish,
};
