/* SPDX-License-Identifier: Apache-2.0 */
#include "run/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "checkpoint/about.h"
#include "run/rawin.h"
#include "run/run.h"

#define VERSION 1u

/* For fcheckpoint show (checkpoint/about.h): what numbers and bytes of these names are. */
static const char *const layouts[][2] = {
	{ "wm", "time" },
	{ "align.wm", "time" },
	{ "out.wm", "time" },
	{ "wm.seen", "time" },
	{ "opened", "flag64" },
	{ "align.idle", "flag64" },
	{ "align.aligned", "flag64" },
	{ "out.idle", "flag64" },
	{ "idle", "flag64" },
	{ "text", "flag64" },
	{ "within", "flag64" },
	{ "told", "flag64" },
	{ "reader", FL_READER_LAYOUT },
	{ "assigner", FL_ASSIGNER_LAYOUT },
};

/* ---- saving ----------------------------------------------------------------------- */

static void
save_header(const struct fl_input *in, struct fl_save *s)
{
	struct fl_header columns; /* and nothing else: the rest is said anew by the stream */
	struct fl_buf json = { 0 };

	fl_header_init(&columns);
	fl_header_append(&columns, &in->header, 0);
	fl_header_encode(&columns, &json);
	fl_save_bytes(s, "header", json.data, json.len);
	fl_buf_release(&json);
	fl_header_release(&columns);
}

#define BEFORE_MAX 256u /* bytes before the position that tell an edited file */

/* A FILE that this tool reads for itself: which one, and up to where. */
static void
save_file(const struct fl_input *in, struct fl_save *s)
{
	char before[BEFORE_MAX];
	struct fl_err ignored;
	struct stat st;
	int64_t n = 0;

	fl_save_int(s, "file.next", in->file_next);
	fl_save_int(s, "file.taken", (int64_t)in->taken);
	if (in->fd < 0 || fstat(in->fd, &st) < 0)
		return;
	fl_save_int(s, "file.dev", (int64_t)st.st_dev);
	fl_save_int(s, "file.ino", (int64_t)st.st_ino);
	if (!in->gzip && in->taken >= BEFORE_MAX)
		n = fl_io_read_at(in->fd, before, sizeof before, in->taken - BEFORE_MAX, in->name,
				  &ignored);
	if (n > 0)
		fl_save_bytes(s, "file.before", before, (size_t)n);
}

/* A reader, between two records: what it has been given and not used is in buf. */
static void
save_text(const struct fl_input *in, struct fl_save *s)
{
	struct fl_buf b = { 0 };

	fl_save_int(s, "text", 1);
	fl_save_int(s, "within", in->fd >= 0 && in->file_started);
	fl_save_int(s, "told", in->header_told);
	fl_save_int(s, "columns", in->columns_open);
	fl_save_bytes(s, "format", in->format->name, strlen(in->format->name));
	save_header(in, s);
	fl_reader_save(in->reader, &b);
	fl_save_bytes(s, "reader", b.data, b.len);
	fl_buf_clear(&b);
	fl_assigner_save(&in->assign, &b);
	fl_save_bytes(s, "assigner", b.data, b.len);
	fl_buf_release(&b);
	fl_save_int(s, "wm", in->wm_told.ms);
	fl_save_int(s, "idle", in->wm_told.idle);
	fl_save_bytes(s, "name", in->name, strlen(in->name));
	/* there is no buffer before the first byte: no address of nothing */
	fl_save_bytes(s, "rest", in->len > in->start ? in->buf + in->start : "",
		      in->len - in->start);
	if (in->raw)
		fl_save_int(s, "raw.file", (int64_t)in->raw->file);
	else
		save_file(in, s);
}

static void
save_input(struct fl_run *run, uint32_t i, struct fl_save *s)
{
	const struct fl_input *in = &run->in[i];
	const struct fl_align_input *a = &run->align.in[i];
	char name[32];

	(void)snprintf(name, sizeof name, "input.%u", i);
	fl_state_section_named(s, name, VERSION, layouts, FL_ARRAY_LEN(layouts));
	fl_save_int(s, "align.wm", a->wm);
	fl_save_int(s, "align.idle", a->idle);
	fl_save_int(s, "align.aligned", a->aligned);
	if (in->mode == FL_INPUT_TEXT)
		save_text(in, s);
	else
		fl_save_int(s, "wm.seen", in->wm_seen);
}

int
fl__save_run(struct fl_run *run, struct fl_save *s, struct fl_buf *sync, struct fl_err *err)
{
	char name[32];
	int rc;

	fl_state_section_named(s, "run", VERSION, layouts, FL_ARRAY_LEN(layouts));
	fl_save_int(s, "inputs", run->input_count);
	fl_save_int(s, "opened", run->opened);
	fl_save_int(s, "wm", run->wm_ms);
	fl_save_int(s, "align.wm", run->align.wm);
	fl_save_int(s, "align.idle", run->align.idle);
	fl_save_int(s, "out.wm", run->out.wm.ms);
	fl_save_int(s, "out.idle", run->out.wm.idle);
	fl_save_int(s, "out.records", (int64_t)run->out.records);
	fl_save_int(s, "bad", (int64_t)run->bad_records);
	fl_save_int(s, "late", (int64_t)run->late_records);
	rc = fl_sides_save(run->sides, s, sync, err);
	for (uint32_t i = 0; i < run->input_count && rc == 0; i++) {
		save_input(run, i, s);
		if (fl_replay_empty(&run->in[i].replay))
			continue;
		(void)snprintf(name, sizeof name, "replay.%u", i);
		rc = fl_replay_save(&run->in[i].replay, name, s, err);
	}
	return rc;
}

/* ---- loading ----------------------------------------------------------------------- */

static int
load_global(struct fl_run *run, struct fl_load *l, struct fl_err *err)
{
	struct fl_state_entry e;
	int rc;

	while ((rc = fl_load_entry(l, &e, err)) > 0) {
		int64_t v;

		if (e.ns_len) { /* a side file: see fl_sides_save */
			struct fl_kept_side side = { .path = fl_xstrndup(e.key, e.key_len) };

			if (e.value_len != sizeof side.length)
				return fl_load_damaged(l, "the length of a side file", err);
			memcpy(&side.length, e.value, sizeof side.length);
			fl_buf_put(&run->kept_sides, &side, sizeof side);
			continue;
		}
		if (fl_state_int(&e, &v, err) < 0)
			return err->code;
		if (fl_state_is(&e, "inputs") && v != (int64_t)run->input_count)
			return fl_fail(err, FL_ECONFIG,
				       "%s had %lld inputs at the checkpoint, and has %u now",
				       run->region.uid, (long long)v, run->input_count);
		if (fl_state_is(&e, "opened"))
			run->was_opened = v != 0;
		else if (fl_state_is(&e, "wm"))
			run->wm_ms = v;
		else if (fl_state_is(&e, "align.wm"))
			run->align.wm = v;
		else if (fl_state_is(&e, "align.idle"))
			run->align.idle = v != 0;
		else if (fl_state_is(&e, "out.wm"))
			run->out.wm.ms = v;
		else if (fl_state_is(&e, "out.idle"))
			run->out.wm.idle = v != 0;
		else if (fl_state_is(&e, "out.records"))
			run->out.records = (uint64_t)v;
		else if (fl_state_is(&e, "bad"))
			run->bad_records = (uint64_t)v;
		else if (fl_state_is(&e, "late"))
			run->late_records = (uint64_t)v;
	}
	return rc;
}

/* What a section "input.N" said, until all of it is known. */
struct standing {
	int64_t text, within, told, columns, wm, idle, wm_seen, raw_file;
	int64_t align_wm, align_idle, align_aligned;
	int64_t file_next, file_taken, file_dev, file_ino;
	struct fl_buf format, header, reader, assigner, name, rest, before;
};

static void
standing_release(struct standing *st)
{
	fl_buf_release(&st->format);
	fl_buf_release(&st->header);
	fl_buf_release(&st->reader);
	fl_buf_release(&st->assigner);
	fl_buf_release(&st->name);
	fl_buf_release(&st->rest);
	fl_buf_release(&st->before);
}

static int
read_standing(struct standing *st, struct fl_load *l, struct fl_err *err)
{
	const struct {
		const char *name;
		int64_t *number;
		struct fl_buf *bytes;
	} member[] = {
		{ "text", &st->text, NULL },
		{ "within", &st->within, NULL },
		{ "told", &st->told, NULL },
		{ "columns", &st->columns, NULL },
		{ "wm", &st->wm, NULL },
		{ "idle", &st->idle, NULL },
		{ "wm.seen", &st->wm_seen, NULL },
		{ "raw.file", &st->raw_file, NULL },
		{ "align.wm", &st->align_wm, NULL },
		{ "align.idle", &st->align_idle, NULL },
		{ "align.aligned", &st->align_aligned, NULL },
		{ "file.next", &st->file_next, NULL },
		{ "file.taken", &st->file_taken, NULL },
		{ "file.dev", &st->file_dev, NULL },
		{ "file.ino", &st->file_ino, NULL },
		{ "format", NULL, &st->format },
		{ "header", NULL, &st->header },
		{ "reader", NULL, &st->reader },
		{ "assigner", NULL, &st->assigner },
		{ "name", NULL, &st->name },
		{ "rest", NULL, &st->rest },
		{ "file.before", NULL, &st->before },
	};
	struct fl_state_entry e;
	int rc;

	while ((rc = fl_load_entry(l, &e, err)) > 0) {
		size_t i = 0;

		while (i < FL_ARRAY_LEN(member) && !fl_state_is(&e, member[i].name))
			i++;
		if (i == FL_ARRAY_LEN(member))
			return fl_load_damaged(l, "an input has something that is not known", err);
		if (member[i].bytes)
			fl_buf_put(member[i].bytes, e.value, e.value_len);
		else if (fl_state_int(&e, member[i].number, err) < 0)
			return err->code;
	}
	return rc;
}

/* The FILE that was being read, at the place where it was. */
static int
reopen_file(struct fl_input *in, const struct standing *st, struct fl_err *err)
{
	char before[BEFORE_MAX];
	struct stat now;

	if (st->file_next < 1 || st->file_next > (in->file_count ? in->file_count : 1))
		return fl_fail(err, FL_ECONFIG, "%.*s was being read, but is no FILE of this line",
			       (int)st->name.len, st->name.data);
	in->file_next = (int)st->file_next - (st->within ? 1 : 0);
	if (!st->within)
		return 0;
	if (fl_input_open(in, err) < 0)
		return err->code;
	if (fstat(in->fd, &now) < 0 || (int64_t)now.st_dev != st->file_dev ||
	    (int64_t)now.st_ino != st->file_ino)
		return fl_fail(err, FL_ECONFIG,
			       "%s is not the file that was being read at the checkpoint",
			       in->name);
	if (fl_input_skip(in, (uint64_t)st->file_taken, err) < 0)
		return err->code;
	if (st->before.len == 0 || in->gzip)
		return 0;
	if (st->before.len != sizeof before)
		return fl_fail(err, FL_EDATA, "the place in %s is damaged", in->name);
	if (fl_io_read_at(in->fd, before, sizeof before, (uint64_t)st->file_taken - BEFORE_MAX,
			  in->name, err) < 0)
		return err->code;
	if (memcmp(before, st->before.data, sizeof before) != 0)
		return fl_fail(err, FL_ECONFIG, "%s was changed since the checkpoint", in->name);
	return 0;
}

static int
restore_text(struct fl_run *run, uint32_t i, const struct standing *st, struct fl_err *err)
{
	struct fl_input *in = &run->in[i];
	struct fl_header columns;
	char *format = fl_xstrndup(st->format.data, st->format.len);
	int rc = 0;

	fl_header_init(&columns);
	if (!in->raw) /* it was begun, to see what it is: from here on it stands elsewhere */
		fl_input_reset(in);
	if (!fl_reader_type(format) || (in->opt->in && strcmp(in->opt->in, format) != 0))
		rc = fl_fail(err, FL_ECONFIG,
			     "the input was read as %s at the checkpoint, not as %s", format,
			     in->opt->in ? in->opt->in : "?");
	if (rc == 0)
		rc = fl_header_decode(&columns, st->header.data, st->header.len, err);
	if (rc == 0)
		rc = fl_input_restore_text(in, format, &columns, (uint32_t)st->columns, &st->reader,
					   &st->assigner, err);
	if (rc == 0 && !in->raw)
		rc = reopen_file(in, st, err);
	fl_header_release(&columns);
	free(format);
	if (rc < 0)
		return rc;
	in->wm_told = (struct fl_watermark){ .ms = st->wm, .idle = st->idle != 0 };
	in->header_was_told = st->told != 0;
	if (in->raw)
		fl_rawin_restore(in->raw, (uint64_t)st->raw_file, st->within != 0, &st->name);
	fl_input_restore_rest(in, st->within != 0, &st->rest);
	return 0;
}

static int
load_input(struct fl_run *run, uint32_t i, struct fl_load *l, struct fl_err *err)
{
	struct standing st = { .wm = FL_TIME_MIN, .wm_seen = FL_TIME_MIN, .align_wm = FL_TIME_MIN };
	struct fl_align_input *a = &run->align.in[i];
	int rc = read_standing(&st, l, err);

	if (rc == 0) {
		a->wm = st.align_wm;
		a->idle = st.align_idle != 0;
		a->aligned = st.align_aligned != 0;
		if (!st.text)
			run->in[i].wm_seen = st.wm_seen;
		else
			rc = restore_text(run, i, &st, err);
	}
	standing_release(&st);
	return rc;
}

int
fl__load_run_section(struct fl_run *run, struct fl_load *l, const struct fl_state_section *s,
		     struct fl_err *err)
{
	unsigned i;

	if (s->version != VERSION)
		return fl_load_unknown(l, s, err);
	if (strcmp(s->name, "run") == 0)
		return load_global(run, l, err);
	if (sscanf(s->name, "input.%u", &i) == 1 && i < run->input_count)
		return load_input(run, i, l, err);
	if (sscanf(s->name, "replay.%u", &i) == 1 && i < run->input_count)
		return fl_replay_load(&run->in[i].replay, l, err);
	return fl_load_unknown(l, s, err);
}

int64_t
fl__side_kept(const struct fl_run *run, const char *path)
{
	const struct fl_kept_side *k = (const void *)run->kept_sides.data;

	for (size_t i = 0; i < run->kept_sides.len / sizeof *k; i++)
		if (strcmp(k[i].path, path) == 0)
			return (int64_t)k[i].length;
	return -1;
}
