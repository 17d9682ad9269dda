/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table that is a text file: all of it is read, into rows by key. When the file has
 * been replaced or written to, it is read anew beside the rows that are in use, which
 * then give way at once; a file that cannot be read, or whose columns do not fit, leaves
 * them as they are.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/nearfile.h"
#include "format/gunzip.h"
#include "format/reader.h"
#include "join/lookup.h"
#include "run/format.h"

#define RECORD_MAX FL_MIB(16)
#define READ_BYTES FL_KIB(256)

/* Which file it was, and in which state. */
struct stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec time;
};

struct file {
	struct fl_lookup base;
	const char *path;
	size_t memory_max;
	struct stamp stamp;         /* of the content that was read last */
	bool bad;                   /* … and was refused */
	char reason[1000];          /* … why */
	struct fl_lookup_rows rows; /* in use */
	struct fl_buf map;          /* while reading: the file's column of each of the table's */
};

static struct stamp
stamp_of(const struct stat *st)
{
	return (struct stamp){ st->st_dev, st->st_ino, st->st_size, st->st_mtim };
}

static bool
same_stamp(const struct stamp *a, const struct stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->time.tv_sec == b->time.tv_sec && a->time.tv_nsec == b->time.tv_nsec;
}

/* ---- bytes -------------------------------------------------------------------------------- */

static int
unpack(const char *path, const struct fl_buf *packed, struct fl_buf *out, struct fl_err *err)
{
	struct fl_gunzip *g = fl_gunzip_new();
	size_t at = 0;
	int rc = 0;

	while (rc == 0 && (at < packed->len || fl_gunzip_pending(g))) {
		char *to = fl_buf_reserve(out, READ_BYTES);
		size_t taken = 0, made = 0;

		rc = fl_gunzip_step(g, packed->data + at, packed->len - at, true, to, READ_BYTES,
				    &taken, &made, err);
		at += taken;
		out->len += made;
		if (rc == 0 && taken == 0 && made == 0)
			break;
	}
	fl_gunzip_free(g);
	return rc < 0 ? fl_wrap(err, "%s", path) : 0;
}

/* All bytes of the file; *ret_stamp: as it was when its first and its last was read. */
static int
read_bytes(const char *path, struct fl_buf *out, struct stamp *ret_stamp, struct fl_err *err)
{
	struct stat st, after;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int64_t n = 1;

	if (fd < 0)
		return fl_fail_open(err, errno, path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		(void)close(fd);
		return fl_fail(err, FL_ENOINPUT, "cannot read %s: it is no regular file", path);
	}
	while (n > 0) {
		n = fl_io_read(fd, fl_buf_reserve(out, READ_BYTES), READ_BYTES, path, err);
		out->len += n > 0 ? (size_t)n : 0;
	}
	*ret_stamp = stamp_of(&st);
	if (n == 0 && fstat(fd, &after) == 0) {
		struct stamp end = stamp_of(&after);

		if (!same_stamp(ret_stamp, &end))
			n = fl_fail(err, FL_EDATA, "%s is being written to", path);
	}
	(void)close(fd);
	return n < 0 ? (int)n : 0;
}

/* ---- records ---------------------------------------------------------------------------- */

/* Called with each batch of a reading, and the columns that are known by then. */
struct reading {
	struct file *file;
	struct fl_lookup_rows *to; /* NULL: only the columns are wanted */
};

/* The file's column of each of the table's. */
static const uint32_t *
map_columns(struct file *f, const struct fl_header *have)
{
	const struct fl_header *h = &f->base.header;
	uint32_t *map;

	fl_buf_clear(&f->map);
	map = (uint32_t *)(void *)fl_buf_reserve(&f->map, (h->column_count + 1) * sizeof *map);
	for (uint32_t c = 0; c < h->column_count; c++)
		map[c] = fl_header_find(have, h->columns[c].name, h->columns[c].name_len);
	return map;
}

static int
keep_batch(const struct reading *r, const struct fl_header *have, const struct fl_batch *b,
	   struct fl_err *err)
{
	const struct fl_header *h = &r->file->base.header;
	const uint32_t *map = map_columns(r->file, have);
	struct fl_header keyed = { .keyed = true, .key_count = h->key_count };
	const struct fl_key *keys;
	int rc;

	keyed.keys = fl_xcalloc(h->key_count + 1, sizeof *keyed.keys);
	for (uint32_t k = 0; k < h->key_count; k++)
		keyed.keys[k] = map[h->keys[k]];
	rc = fl_keys_of(&r->to->keys, &keyed, b, &keys, err);
	for (uint32_t i = 0; i < b->rows && rc == 0; i++) {
		struct fl_jlist *list = fl_lookup_rows_put(r->to, &keys[i], err);

		if (list)
			fl_jrows_take_some(&r->to->rows, b, i, map, h->column_count);
		if (!list || !fl_jrows_add(&r->to->rows, list, err))
			rc = err->code;
	}
	free(keyed.keys);
	return rc;
}

/* All records of the text p[0..n), behind which FL_READER_PAD bytes can be read. */
static int
read_records(const struct reading *r, struct fl_reader *reader, const char *p, size_t n,
	     struct fl_err *err)
{
	struct fl_read_result got;
	size_t at = 0;

	fl_reader_file(reader);
	while (at < n) {
		int rc = fl_reader_read(reader, p + at, n - at, true, &got, err);

		if (rc < 0)
			return fl_wrap(err, "%s", r->file->path);
		if (r->to && got.batch.rows &&
		    keep_batch(r, fl_reader_columns(reader), &got.batch, err) < 0)
			return err->code;
		if (got.has_bad)
			return fl_fail(err, FL_EDATA, "%s:%llu: %s", r->file->path,
				       (unsigned long long)got.bad.line, got.bad.reason);
		at += got.taken;
	}
	return 0;
}

static int
check_columns(const struct file *f, const struct fl_header *have, struct fl_err *err)
{
	const struct fl_header *h = &f->base.header;

	for (uint32_t c = 0; c < h->column_count && !fl_header_grows(h); c++)
		if (fl_header_find(have, h->columns[c].name, h->columns[c].name_len) ==
		    FL_NO_COLUMN)
			return fl_fail(err, FL_EDATA, "%s has no column \"%.200s\" any more",
				       f->path, h->columns[c].name);
	return 0;
}

static struct fl_reader *
new_reader(const struct file *f, struct fl_err *err)
{
	struct fl_reader_options o = { .separator = ',', .record_max = RECORD_MAX };

	return fl_reader_new(fl_reader_type(f->base.header.format), &o, err);
}

/* The records of text into rows, or, rows NULL, its columns into the table's header. */
static int
read_text(struct file *f, const struct fl_buf *text, struct fl_lookup_rows *rows,
	  struct fl_err *err)
{
	struct reading r = { .file = f, .to = rows };
	struct fl_reader *reader = new_reader(f, err);
	int rc;

	if (!reader)
		return err->code;
	rc = read_records(&r, reader, text->data, text->len, err);
	if (rc == 0 && rows)
		rc = check_columns(f, fl_reader_columns(reader), err);
	else if (rc == 0)
		fl_header_append(&f->base.header, fl_reader_columns(reader), 0);
	fl_reader_free(reader);
	return rc;
}

/* ---- the source --------------------------------------------------------------------------- */

static int
read_file(const struct file *f, struct fl_buf *text, struct stamp *ret_stamp, struct fl_err *err)
{
	size_t n = strlen(f->path);
	struct fl_buf packed = { 0 };
	int rc;

	if ((n > 3 && strcmp(f->path + n - 3, ".gz") == 0) ||
	    (n > 4 && strcmp(f->path + n - 4, ".zst") == 0)) {
		rc = read_bytes(f->path, &packed, ret_stamp, err);
		if (rc == 0)
			rc = unpack(f->path, &packed, text, err);
		fl_buf_release(&packed);
	} else {
		rc = read_bytes(f->path, text, ret_stamp, err);
	}
	if (rc == 0 && text->len == 0)
		rc = fl_fail(err, FL_EDATA, "%s is empty", f->path);
	if (rc == 0)
		memset(fl_buf_reserve(text, FL_READER_PAD), 0, FL_READER_PAD);
	return rc;
}

/* Rows from the text, which take the place of those in use. */
static int
take_over(struct file *f, const struct fl_buf *text, struct fl_err *err)
{
	struct fl_lookup_rows rows;

	fl_lookup_rows_init(&rows, f->base.keys.seed, f->memory_max);
	if (read_text(f, text, &rows, err) < 0) {
		fl_lookup_rows_release(&rows);
		return err->code;
	}
	fl_lookup_rows_release(&f->rows);
	fl_lookup_rows_move(&f->rows, &rows);
	return 0;
}

static int
file_refresh(struct fl_lookup *l, struct fl_err *err)
{
	struct file *f = (struct file *)l;
	struct fl_buf text = { 0 };
	struct stamp now;
	struct stat st;
	int rc;

	if (stat(f->path, &st) < 0)
		return fl_fail_open(err, errno, f->path);
	now = stamp_of(&st);
	if (same_stamp(&now, &f->stamp))
		return f->bad ? fl_fail(err, FL_EDATA, "%s", f->reason) : 0;
	rc = read_file(f, &text, &now, err);
	if (rc == 0)
		rc = take_over(f, &text, err);
	fl_buf_release(&text);
	f->stamp = now; /* one that was found bad is not read again */
	f->bad = rc < 0;
	if (rc < 0)
		memcpy(f->reason, err->msg, sizeof f->reason);
	return rc;
}

static int
file_find(struct fl_lookup *l, const struct fl_key *key, const struct fl_jlist **ret,
	  struct fl_err *err)
{
	struct file *f = (struct file *)l;
	struct fl_entry *e = fl_table_get(&f->rows.table, key);

	(void)err;
	*ret = e ? (const struct fl_jlist *)(const void *)e->value : NULL;
	return 0;
}

static void
file_free(struct fl_lookup *l)
{
	struct file *f = (struct file *)l;

	fl_lookup_rows_release(&f->rows);
	fl_keys_release(&f->base.keys);
	fl_header_release(&f->base.header);
	fl_buf_release(&f->map);
	free(f);
}

static const struct fl_lookup_type file_type = {
	.refresh = file_refresh,
	.find = file_find,
	.free = file_free,
};

struct fl_lookup *
fl_lookup_file_open(const char *name, const char *keys, const struct fl_header *left,
		    size_t memory_max, struct fl_err *err)
{
	struct file *f = fl_xcalloc(1, sizeof *f);
	struct fl_buf text = { 0 };
	int rc;

	f->base.type = &file_type;
	f->path = name;
	f->memory_max = memory_max;
	fl_keys_init(&f->base.keys);
	fl_header_init(&f->base.header);
	f->base.header.format = fl_xstrdup(fl_format_by_name(name));
	rc = read_file(f, &text, &f->stamp, err);
	if (rc == 0)
		rc = read_text(f, &text, NULL, err);
	if (rc == 0)
		rc = fl_lookup_choose_keys(&f->base, name, keys, left, err);
	if (rc == 0)
		rc = take_over(f, &text, err);
	fl_buf_release(&text);
	if (rc == 0)
		return &f->base;
	file_free(&f->base);
	return NULL;
}
