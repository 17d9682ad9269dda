/* SPDX-License-Identifier: Apache-2.0 */
#include "run/side.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "checkpoint/snapshot.h"
#include "format/writer.h"
#include "run/format.h"

#define SIDE_FLUSH FL_KIB(64)

struct fl_side {
	struct fl_side *next;
	char *path;
	int fd;
	uint64_t length; /* bytes written */
	struct fl_writer *writer;
	struct fl_header header; /* as it was written last, for the end */
	struct fl_buf text;
};

/* The file, with its first kept bytes; -1 and *err. */
static int
open_at(const char *path, int64_t kept, struct fl_err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (kept < 0 ? O_TRUNC : 0), 0666);
	struct stat st;

	if (fd < 0) {
		(void)fl_fail_errno(err, FL_ECREATE, errno, "cannot create %s", path);
		return -1;
	}
	if (kept < 0)
		return fd;
	if (fstat(fd, &st) < 0 || st.st_size < kept)
		(void)fl_fail(err, FL_ECONFIG,
			      "%s has %lld bytes, but had %lld at the checkpoint: it was changed by "
			      "something else; move it away and rewind the checkpoint, or restore it",
			      path, (long long)st.st_size, (long long)kept);
	else if (ftruncate(fd, kept) < 0 || lseek(fd, kept, SEEK_SET) < 0)
		(void)fl_fail_errno(err, FL_EIO, errno, "cannot write %s", path);
	else
		return fd;
	(void)close(fd);
	return -1;
}

struct fl_side *
fl_side_open(struct fl_side **list, const char *path, const struct fl_header *h,
	     const struct fl_zone *zone, int64_t kept, struct fl_err *err)
{
	const char *format = fl_format_by_name(path);
	struct fl_writer_options w = { .separator = ',', .zone = zone, .headerless = kept > 0 };
	struct fl_side *s = fl_xcalloc(1, sizeof *s);

	if (!format || strcmp(format, "flue") == 0)
		format = "csv";
	fl_header_init(&s->header);
	s->fd = open_at(path, kept, err);
	if (s->fd < 0) {
		free(s);
		return NULL;
	}
	s->length = kept > 0 ? (uint64_t)kept : 0;
	s->path = fl_xstrdup(path);
	s->writer = fl_writer_new(fl_writer_type(format), &w, err);
	fl_assert(s->writer);
	fl_header_copy(&s->header, h);
	s->next = *list;
	*list = s;
	return s;
}

int
fl_side_write(struct fl_side *s, const struct fl_header *h, const struct fl_batch *b,
	      struct fl_err *err)
{
	int rc;

	if (h->column_count != s->header.column_count)
		fl_header_copy(&s->header, h);
	rc = fl_writer_write(s->writer, h, b, &s->text, err);
	if (rc == 0 && s->text.len >= SIDE_FLUSH)
		rc = fl_sides_flush(s, err);
	return rc;
}

int
fl_sides_flush(struct fl_side *s, struct fl_err *err)
{
	int rc = 0;

	for (; s && rc == 0; s = s->next) {
		rc = fl_io_write(s->fd, s->text.data, s->text.len, s->path, err);
		s->length += s->text.len;
		fl_buf_clear(&s->text);
	}
	return rc;
}

int
fl_sides_save(struct fl_side *list, struct fl_save *save, struct fl_buf *fds, struct fl_err *err)
{
	if (fl_sides_flush(list, err) < 0)
		return err->code;
	for (struct fl_side *s = list; s; s = s->next) {
		struct fl_state_entry e = { .ns = "side",
					    .ns_len = 4,
					    .key = s->path,
					    .key_len = (uint32_t)strlen(s->path),
					    .value = (const char *)&s->length,
					    .value_len = sizeof s->length };

		fl_save_entry(save, &e);
		fl_buf_put(fds, &s->fd, sizeof s->fd);
	}
	return 0;
}

int
fl_sides_end(struct fl_side *list, struct fl_err *err)
{
	int rc = 0;

	for (struct fl_side *s = list; s && rc == 0; s = s->next)
		rc = fl_writer_end(s->writer, &s->header, &s->text, err);
	if (rc == 0)
		rc = fl_sides_flush(list, err);
	for (struct fl_side *s = list; s && rc == 0; s = s->next) {
		if (close(s->fd) < 0 && errno != EINTR)
			rc = fl_fail_errno(err, FL_EIO, errno, "cannot write %s", s->path);
		s->fd = -1;
	}
	return rc;
}

void
fl_sides_free(struct fl_side *list)
{
	struct fl_side *next;

	for (; list; list = next) {
		next = list->next;
		if (list->fd >= 0)
			(void)close(list->fd);
		fl_writer_free(list->writer);
		fl_header_release(&list->header);
		fl_buf_release(&list->text);
		free(list->path);
		free(list);
	}
}
