/* SPDX-License-Identifier: Apache-2.0 */
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"

void
fc_sink_init(struct fc_sink *s)
{
	*s = (struct fc_sink){ .fd = -1, .name = "standard output", .next = 1 };
}

void
fc_sink_release(struct fc_sink *s)
{
	struct fc_piece *p = (struct fc_piece *)(void *)s->pieces.data;

	for (size_t i = 0; i < s->pieces.len / sizeof *p; i++)
		if (p[i].last)
			fc_part_free(p[i].part);
	fl_buf_release(&s->pieces);
	fc_part_free(s->part);
	if (s->fd > STDERR_FILENO)
		(void)close(s->fd);
	free(s->path);
	free(s->stem);
	free(s->suffix);
	fc_sink_init(s);
}

/* Whether FILE, or standard output, is a regular file or will be one. */
static int
is_regular(const char *file, bool *ret, struct fl_err *err)
{
	struct stat st;
	int rc = file ? stat(file, &st) : fstat(STDOUT_FILENO, &st);

	*ret = rc == 0 ? S_ISREG(st.st_mode) : true;
	if (rc == 0 && S_ISDIR(st.st_mode))
		return fl_fail(err, FL_ECREATE, "-o %s is a directory; --segments writes into one",
			       file ? file : "(standard output)");
	if (rc < 0 && (errno != ENOENT || !file))
		return fl_fail_errno(err, FL_ECREATE, errno, "cannot write %s",
				     file ? file : "standard output");
	return 0;
}

int
fc_sink_choose(struct fc_sink *s, bool segmented, bool direct, struct fl_err *err)
{
	if (segmented && !s->output)
		return fl_fail(
			err, FL_EUSAGE,
			"--segments: say where with -o, a directory or what the names of the "
			"files begin with");
	if (segmented && direct)
		return fl_fail(err, FL_EUSAGE,
			       "--segments appear when they are complete; not with "
			       "--read-uncommitted");
	s->name = s->output ? s->output : "standard output";
	if (segmented) {
		s->type = &fc_sink_segments;
		return 0;
	}
	if (is_regular(s->output, &s->regular, err) < 0)
		return err->code;
	if (direct)
		s->type = s->regular ? &fc_sink_direct_file : &fc_sink_direct_pipe;
	else
		s->type = s->regular ? &fc_sink_file : &fc_sink_pipe;
	return 0;
}

bool
fc_sink_holds(const struct fc_sink *s)
{
	return s->part && s->part->len > s->part_from;
}

void
fc_sink_say(const struct fc_sink *s, const char *fmt, ...)
{
	char line[1200];
	va_list ap;

	if (s->quiet)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, "fcheckpoint: %s\n", line);
}

void
fc_sink_describe(const struct fc_sink *s, struct fl_ck_sink *to)
{
	to->uid = fl_xstrdup(s->uid);
	to->kind = fl_xstrdup(s->type->kind);
	to->path = fl_xstrdup(s->path ? s->path : s->name);
	to->dev = s->dev;
	to->ino = s->ino;
	to->base = s->base;
	to->committed = s->committed;
}

/* ---- the mark of the end ------------------------------------------------------------ */

void
fc_sink_delivered(const struct fc_sink *s, uint64_t id)
{
	char what[FL_CHECKPOINT_NAME_MAX], path[FL_CHECKPOINT_NAME_MAX];
	struct fl_err ignored;

	fl_ck_file(what, s->uid, s->dir->attempt, "written");
	fl_ck_path(path, id, what);
	(void)fl_ckdir_write(s->dir, path, "", 0, &ignored);
}

bool
fc_sink_was_delivered(const struct fc_sink *s, uint64_t id)
{
	char path[FL_CHECKPOINT_NAME_MAX], file[FL_CHECKPOINT_NAME_MAX];
	bool found = false;

	/* by whichever attempt: this one, or the one that came to the end */
	for (uint64_t a = s->dir->attempt; a > 0 && !found; a--) {
		fl_ck_file(file, s->uid, a, "written");
		fl_ck_path(path, id, file);
		found = faccessat(s->dir->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	}
	return found;
}

/* ---- pending parts in the checkpoint directory ------------------------------------- */

static int
open_part(struct fc_sink *s, struct fl_err *err)
{
	char seq[24], name[FL_CHECKPOINT_NAME_MAX];
	struct fl_buf path = { 0 };
	int fd;

	(void)snprintf(seq, sizeof seq, "%010llu", (unsigned long long)s->next);
	fl_ck_file(name, s->uid, s->dir->attempt, seq);
	fl_buf_printf(&path, "pending/%s", name);
	fl_buf_putc(&path, '\0');
	fd = openat(s->dir->fd, path.data, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		    0600);
	if (fd < 0)
		(void)fl_fail_errno(err, errno == ENOSPC ? FL_EIO : FL_ECREATE, errno,
				    "cannot create %s/%s", s->dir->path, path.data);
	fl_buf_clear(&path);
	fl_buf_printf(&path, "%s/pending/%s", s->dir->path, name);
	fl_buf_putc(&path, '\0');
	if (fd >= 0) {
		s->part = fc_part_new(fd, path.data, name, 0);
		s->part->number = s->next++;
		s->part_from = 0;
	}
	fl_buf_release(&path);
	return fd < 0 ? err->code : 0;
}

int
fc_pending_put(struct fc_sink *s, struct fl_buf *text, struct fl_err *err)
{
	if (!text->len)
		return 0;
	if (!s->part && open_part(s, err) < 0)
		return err->code;
	return fc_part_put(s->part, text, err);
}

/* An epoch has a part of its own: what is committed can be removed as a whole. */
int
fc_pending_mark(struct fc_sink *s, bool end, struct fl_err *err)
{
	struct fc_piece piece = { .part = s->part, .last = true };

	(void)end;
	if (!s->part)
		return 0;
	if (fc_part_drain(s->part, err) < 0)
		return err->code;
	piece.to = s->part->len;
	piece.hash = fc_part_hash(s->part);
	fl_buf_put(&s->pieces, &piece, sizeof piece);
	s->part = NULL;
	FL_FAULT("commit.pending.written");
	return 0;
}

int
fc_pending_settle(struct fc_sink *s, const struct fc_piece *pieces, size_t count,
		  struct fl_err *err)
{
	bool named = true;

	for (size_t i = 0; i < count; i++) {
		if (pieces[i].part->durable)
			continue;
		FL_FAULT("commit.pending.sync");
		if (fc_part_sync(pieces[i].part, err) < 0)
			return err->code;
		named = false;
	}
	if (!named && fl_ckdir_sync(s->dir, "pending", err) < 0)
		return err->code;
	for (size_t i = 0; i < count; i++)
		pieces[i].part->durable = true;
	FL_FAULT("commit.pending.synced");
	return 0;
}

void
fc_pending_describe(const struct fc_piece *pieces, size_t count, struct fl_ck_sink *to)
{
	to->pending = fl_xcalloc(count ? count : 1, sizeof *to->pending);
	for (size_t i = 0; i < count; i++)
		to->pending[to->pending_count++] = (struct fl_ck_pending){
			.file = fl_xstrdup(pieces[i].part->name),
			.from = pieces[i].from,
			.to = pieces[i].to,
			.hash = pieces[i].hash,
		};
}

int
fc_pending_open(struct fc_sink *s, const struct fl_ck_pending *p, char **ret_path,
		struct fl_err *err)
{
	struct fl_buf path = { 0 };
	uint64_t hash = 0;
	int fd, rc;

	*ret_path = NULL;
	if (strchr(p->file, '/') || p->file[0] == '.' || p->from > p->to)
		return fl_fail(err, FL_EDATA, "%s: the manifest names the pending file \"%s\"",
			       s->dir->path, p->file);
	fl_buf_printf(&path, "pending/%s", p->file);
	fl_buf_putc(&path, '\0');
	fd = openat(s->dir->fd, path.data, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0) {
		rc = fl_fail_errno(
			err, FL_EDATA, errno,
			"%s/%s, which has results that are not in the output yet, cannot "
			"be opened",
			s->dir->path, path.data);
		fl_buf_release(&path);
		return rc;
	}
	fl_buf_clear(&path);
	fl_buf_printf(&path, "%s/pending/%s", s->dir->path, p->file);
	fl_buf_putc(&path, '\0');
	*ret_path = path.data;
	rc = fc_hash_range(fd, path.data, p->from, p->to, &hash, err);
	if (rc == 0 && hash != p->hash)
		rc = fl_fail(err, FL_EDATA,
			     "%s: bytes %llu to %llu are not those that the checkpoint has written",
			     path.data, (unsigned long long)p->from, (unsigned long long)p->to);
	if (rc == 0)
		return fd;
	(void)close(fd);
	free(*ret_path);
	*ret_path = NULL;
	return rc;
}
