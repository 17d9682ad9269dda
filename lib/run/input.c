/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* F_SETPIPE_SZ */
#include "run/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/nearfile.h"
#include "format/guess.h"
#include "run/format.h"
#include "run/rawin.h"
#include "run/run.h"

#define PIECE FL_KIB(256) /* text decoded at once: fits the second-level cache */
#define READ_SMALL FL_KIB(64)
#define PACKED FL_KIB(64)
#define PIPE_BYTES (1 << 20)
#define GRACE_MS 200 /* for what a writer sends or does at once behind what it has sent */

void
fl_input_init(struct fl_input *in, struct fl_run *run, const struct fl_options *opt,
	      const struct fl_expr_env *env, char **files, int count)
{
	*in = (struct fl_input){
		.opt = opt,
		.run = run,
		.env = env,
		.files = files,
		.file_count = count,
		.fd = -1,
		.name = "standard input",
		.wm_seen = FL_TIME_MIN,
		.wm_told = { .ms = FL_TIME_MIN },
	};
	fl_header_init(&in->header);
	fl_queue_init(&in->queue);
	fl_replay_init(&in->replay);
}

/* The frames of in, as they come, are another input's from here on; in begins anew. */
void
fl_input_take(struct fl_input *wire, struct fl_input *in)
{
	*wire = *in;
	fl_input_init(in, wire->run, wire->opt, wire->env, wire->files, wire->file_count);
	fl_header_copy(&in->header, &wire->header);
	in->header.raw = false;
}

void
fl_input_release(struct fl_input *in)
{
	if (in->raw)
		in->fd = -1; /* it is the stream's */
	if (in->fd > STDIN_FILENO)
		(void)close(in->fd);
	fl_rawin_free(in->raw);
	fl_gunzip_free(in->gunzip);
	fl_buf_release(&in->packed);
	free(in->buf);
	fl_header_release(&in->header);
	fl_buf_release(&in->cols);
	fl_queue_release(&in->queue);
	fl_replay_release(&in->replay);
	fl_reader_free(in->reader);
	fl_assigner_release(&in->assign);
	fl_badrows_release(&in->bad);
	fl_buf_release(&in->pool);
	fl_buf_release(&in->index);
}

void
fl_input_reset(struct fl_input *in)
{
	struct fl_input was = *in;

	fl_input_release(in);
	fl_input_init(in, was.run, was.opt, was.env, was.files, was.file_count);
	in->header_counted = was.header_counted;
}

int
fl_input_fd(const struct fl_input *in)
{
	if (in->raw && !in->ended)
		return fl_input_fd(in->raw->wire);
	return in->ended || in->eof || in->drained ? -1 : in->fd;
}

/* ---- bytes --------------------------------------------------------------------- */

static int
open_next(struct fl_input *in, struct fl_err *err)
{
	const char *path = in->file_count ? in->files[in->file_next] : "-";
	struct stat st;

	in->file_next++;
	in->eof = in->gzip = in->file_started = false;
	in->taken = 0;
	if (strcmp(path, "-") == 0) {
		in->fd = STDIN_FILENO;
		in->name = "standard input";
	} else {
		in->fd = open(path, O_RDONLY | O_CLOEXEC);
		in->name = path;
		if (in->fd < 0)
			return fl_fail_open(err, errno, path);
	}
	if (fstat(in->fd, &st) < 0)
		return fl_fail_errno(err, FL_ENOINPUT, errno, "cannot read %s", in->name);
	if (S_ISDIR(st.st_mode))
		return fl_fail(err, FL_ENOINPUT, "cannot read %s: it is a directory", in->name);
	if ((fcntl(in->fd, F_GETFL) & O_ACCMODE) == O_WRONLY) /* it was closed: guard_descriptors */
		return fl_fail_errno(err, FL_ENOINPUT, EBADF, "cannot read %s", in->name);
	in->regular = S_ISREG(st.st_mode);
	in->modified_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
	if (S_ISFIFO(st.st_mode))
		(void)fcntl(in->fd, F_SETPIPE_SZ, PIPE_BYTES); /* a hint */
	if (in->regular)
		(void)posix_fadvise(in->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return 0;
}

static bool
bytes_ready(const struct fl_input *in)
{
	return in->regular || !fl_queue_empty(&in->queue) || fl_io_readable(in->fd);
}

/* Up to n bytes from the queue or the descriptor; 0 at the end. */
static int64_t
read_some(struct fl_input *in, void *to, size_t n, struct fl_err *err)
{
	if (!fl_queue_empty(&in->queue))
		return fl_queue_pop(&in->queue, to, n, err);
	return fl_io_read(in->fd, to, n, in->name, err);
}

static int64_t
read_unpacked(struct fl_input *in, void *to, size_t n, struct fl_err *err)
{
	for (;;) {
		size_t taken, made;
		bool at_end;
		int rc;

		if (in->packed_done == in->packed.len && !fl_gunzip_pending(in->gunzip)) {
			int64_t got;

			fl_buf_clear(&in->packed);
			in->packed_done = 0;
			got = read_some(in, fl_buf_reserve(&in->packed, PACKED), PACKED, err);
			if (got < 0)
				return got;
			in->packed.len = (size_t)got;
		}
		at_end = in->packed.len == 0; /* the file gave nothing more */
		rc = fl_gunzip_step(in->gunzip, in->packed.data + in->packed_done,
				    in->packed.len - in->packed_done, at_end, to, n, &taken, &made,
				    err);
		if (rc < 0)
			return fl_wrap(err, "%s", in->name);
		in->packed_done += taken;
		if (made || at_end)
			return (int64_t)made;
	}
}

/* Move what is left to the front and make room for more bytes behind it. */
static void
make_room(struct fl_input *in, size_t more)
{
	size_t left = in->len - in->start;

	if (in->start && in->cap - in->len < more) {
		memmove(in->buf, in->buf + in->start, left);
		in->start = 0;
		in->len = left;
	}
	if (in->cap - in->len < more) {
		in->cap = in->len + more;
		in->buf = fl_xrealloc(in->buf, in->cap + FL_READER_PAD);
	}
}

/*
 * Read up to n more bytes behind len. FL_EV_NONE in *ret where that would wait.
 */
static int
fill(struct fl_input *in, size_t n, bool *ret_none, struct fl_err *err)
{
	int64_t got;

	*ret_none = false;
	if (!in->raw && in->packed_done == in->packed.len && !fl_gunzip_pending(in->gunzip) &&
	    !bytes_ready(in)) {
		*ret_none = true;
		return 0;
	}
	make_room(in, n);
	got = in->raw  ? fl_rawin_read(in->raw, in->buf + in->len, n, ret_none, err)
	      : in->gzip ? read_unpacked(in, in->buf + in->len, n, err)
		       : read_some(in, in->buf + in->len, n, err);
	if (got < 0)
		return (int)got;
	in->eof = got == 0 && !*ret_none;
	in->len += (size_t)got;
	in->taken += (uint64_t)got;
	return 0;
}

int
fl_input_read_ahead(struct fl_input *in, struct fl_err *err)
{
	char chunk[FL_KIB(64)];
	int64_t got;

	if (in->raw)
		return fl_input_read_ahead(in->raw->wire, err);
	if (in->regular)
		return 0; /* a file does not mind standing still */
	while (!in->drained && !in->eof && fl_io_readable(in->fd)) {
		got = fl_io_read(in->fd, chunk, sizeof chunk, in->name, err);
		if (got < 0)
			return (int)got;
		in->drained = got == 0; /* the end is seen again when its turn comes */
		if (got && fl_queue_push(&in->queue, chunk, (size_t)got, err) < 0)
			return err->code;
	}
	return 0;
}

/* ---- what is it? ----------------------------------------------------------------- */

static int
upstream_died(const struct fl_input *in, struct fl_err *err)
{
	return fl_fail(
		err, FL_ETEMP,
		"the tool before this one ended without saying so (was it killed?): %s is cut off "
		"and nothing is final; run the line again",
		in->name);
}

static int
start_text(struct fl_input *in, const char *format, struct fl_err *err)
{
	const struct fl_options *opt = in->opt;
	struct fl_reader_options ro = {
		.separator = opt->ifs,
		.implicit_header = opt->implicit_header,
		.allow_ragged = opt->allow_ragged,
		.record_max = opt->record_max,
		.regex = opt->regex,
		.logformat = opt->logformat,
	};

	in->mode = FL_INPUT_TEXT;
	in->format = fl_reader_type(format);
	fl_assert(in->format);
	in->reader = fl_reader_new(in->format, &ro, err);
	if (!in->reader)
		return err->code;
	free(in->header.format);
	in->header.format = fl_xstrdup(format);
	in->last_record_ms = fl_clock_ms();
	return fl_assigner_init(&in->assign, opt, in->env, fl_reader_time_column(in->reader),
				fl_reader_time_format(in->reader), err);
}

static int
start_frames(struct fl_input *in, struct fl_err *err)
{
	in->mode = FL_INPUT_FRAMES;
	in->start += FL_MAGIC_LEN;
	if (in->file_count > 1)
		return fl_fail(err, FL_EUSAGE, "%s is a flue stream; it has to be the only FILE",
			       in->name);
	return 0;
}

/* The text format of a file of which p[0..n) is the beginning. */
static const char *
text_format(const struct fl_input *in, const char *p, size_t n)
{
	const char *by_name = in->name ? fl_format_by_name(in->name) : NULL;
	size_t i = 0;

	if (in->opt->in)
		return in->opt->in;
	if (by_name && strcmp(by_name, "flue") != 0)
		return by_name;
	if (n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		i = 3;
	while (i < n && (p[i] == ' ' || p[i] == '\t' || p[i] == '\n' || p[i] == '\r'))
		i++;
	return i < n && p[i] == '{' ? "jsonl" : "csv";
}

/*
 * Whether p[0..n), which has no magic, was a flue stream before something changed
 * it: what is left of the magic after filters that change line ends, escape or
 * recode, or the lineage that every header has.
 */
static bool
was_frames(const char *p, size_t n)
{
	static const char *const left[] = { "FLUE\r\n\x1a", "FLUE\n\x1a", "FLUE\r\r\n", "FLUE^M",
					    "FLUE\\r" };
	static const char lineage[] = "\"lineage\":[{\"uid\":\"";

	for (size_t i = 0; i < FL_ARRAY_LEN(left); i++)
		if (memmem(p, n < 16 ? n : 16, left[i], strlen(left[i])))
			return true;
	return memmem(p, n, lineage, sizeof lineage - 1) != NULL;
}

static int
changed_frames(const struct fl_input *in, struct fl_err *err)
{
	return fl_fail(
		err, FL_EDATA,
		"damaged stream: frame 0 is not at the beginning of %s, but parts of a flue "
		"stream are there; a text filter between two tools needs text before it (--ocsv)",
		in->name);
}

static int
detect_gzip(struct fl_input *in)
{
	if (fl_packed_at(in->buf + in->start, in->len - in->start) != 1)
		return 0;
	in->gzip = true;
	fl_gunzip_free(in->gunzip);
	in->gunzip = fl_gunzip_new();
	fl_buf_clear(&in->packed);
	in->packed_done = 0;
	fl_buf_put(&in->packed, in->buf + in->start, in->len - in->start);
	in->len = in->start;
	in->taken = 0;
	in->eof = false; /* of the unpacked bytes */
	return 1;
}

/*
 * The beginning of a file: packed or not, frames or text. Needs eight bytes, or
 * as many as there are.
 */
static int
start_file(struct fl_input *in, bool *ret_none, struct fl_err *err)
{
	const char *format;
	size_t have;

	for (;;) {
		int rc;

		have = in->len - in->start;

		if (have >= 2 && !in->gzip && !in->raw && detect_gzip(in))
			continue;
		if (have && have < 4 && !in->gzip && !in->raw && !in->eof &&
		    fl_packed_at(in->buf + in->start, have) < 0) {
			rc = fill(in, READ_SMALL, ret_none, err);
			if (rc < 0 || *ret_none)
				return rc;
			continue;
		}
		if (have >= FL_MAGIC_LEN || in->eof)
			break;
		/* a short first line of a live source must not wait for more */
		if (have && memcmp(in->buf + in->start, FL_MAGIC, have) != 0 &&
		    have >= (in->raw ? 1 : 2))
			break;
		rc = fill(in, READ_SMALL, ret_none, err);
		if (rc < 0 || *ret_none)
			return rc;
	}
	in->file_started = true;
	if (have >= FL_MAGIC_LEN && memcmp(in->buf + in->start, FL_MAGIC, FL_MAGIC_LEN) == 0) {
		if (in->mode == FL_INPUT_TEXT || in->raw)
			return fl_fail(err, FL_EUSAGE,
				       "%s is a flue stream; it has to be the only FILE", in->name);
		return start_frames(in, err);
	}
	if (have && have < FL_MAGIC_LEN && !in->raw && memcmp(in->buf + in->start, FL_MAGIC, have) == 0)
		return upstream_died(in, err);
	if (in->mode == FL_INPUT_TEXT) {
		format = text_format(in, in->buf + in->start, in->len - in->start);
		if (strcmp(format, in->format->name) != 0)
			return fl_fail(err, FL_EUSAGE, "%s is %s, but the files before it are %s",
				       in->name, format, in->format->name);
		fl_reader_file(in->reader);
		return 0;
	}
	if (in->len == in->start && in->eof && !in->opt->in && !in->regular && !in->raw &&
	    !fl_format_by_name(in->name))
		return upstream_died(in, err);
	format = text_format(in, in->buf + in->start, in->len - in->start);
	if (strcmp(format, "text") != 0 && was_frames(in->buf + in->start, in->len - in->start))
		return changed_frames(in, err);
	if (start_text(in, format, err) < 0)
		return err->code;
	fl_reader_file(in->reader);
	return 0;
}

/* ---- frames ------------------------------------------------------------------------ */

/* The first header, or a later one, which may only add columns. */
static int
frame_header(struct fl_input *in, const struct fl_frame *f, struct fl_err *err)
{
	struct fl_header was = in->header;
	bool same = true;
	int rc;

	fl_header_init(&in->header);
	rc = fl_header_decode(&in->header, f->payload, f->len, err);
	for (uint32_t i = 0; i < was.column_count && rc == 0 && same; i++)
		same = i < in->header.column_count &&
		       strcmp(was.columns[i].name, in->header.columns[i].name) == 0;
	fl_header_release(&was);
	in->header_known = true;
	if (rc == 0 && !same)
		return fl_fail(err, FL_EDATA,
			       "damaged stream: the header of frame %llu takes columns away",
			       (unsigned long long)f->seq);
	return rc;
}

static int
frame_event(struct fl_input *in, const struct fl_frame *f, struct fl_event *ev, struct fl_err *err)
{
	ev->frame = *f;
	if (!in->header_known && f->type != FL_FRAME_HEADER && f->type != FL_FRAME_END)
		return fl_fail(err, FL_EDATA, "damaged stream: no header before frame %llu",
			       (unsigned long long)f->seq);
	switch (f->type) {
	case FL_FRAME_HEADER:
		ev->type = FL_EV_HEADER;
		return frame_header(in, f, err);
	case FL_FRAME_BATCH:
		ev->type = FL_EV_BATCH;
		if (in->header.raw)
			return 0;
		if (fl_batch_decode(f, &in->cols, &ev->batch, err) < 0)
			return err->code;
		if (ev->batch.cols > in->header.column_count)
			return fl_fail(err, FL_EDATA,
				       "damaged stream: frame %llu has %u columns, the header %u",
				       (unsigned long long)f->seq, ev->batch.cols,
				       in->header.column_count);
		if (in->header.time && !ev->batch.time)
			return fl_fail(
				err, FL_EDATA,
				"damaged stream: frame %llu has no times, though the header says so",
				(unsigned long long)f->seq);
		return 0;
	case FL_FRAME_WATERMARK:
		ev->type = FL_EV_WATERMARK;
		if (fl_frame_get_watermark(f, &ev->wm, err) < 0)
			return err->code;
		if (ev->wm.ms < in->wm_seen)
			return fl_fail(err, FL_EDATA,
				       "damaged stream: the watermark goes back at frame %llu",
				       (unsigned long long)f->seq);
		in->wm_seen = ev->wm.ms;
		return 0;
	case FL_FRAME_BARRIER:
		ev->type = FL_EV_BARRIER;
		return fl_frame_get_barrier(f, &ev->barrier, err);
	case FL_FRAME_END:
		if (fl_frame_get_end(f, &ev->end, err) < 0)
			return err->code;
		if (!in->header_known && ev->end.status != FL_END_FAILED && ev->end.records)
			return fl_fail(err, FL_EDATA, "damaged stream: END before any header");
		ev->type = ev->end.status == FL_END_FAILED ? FL_EV_FAILED : FL_EV_END;
		in->ended = true;
		return 0;
	}
	return fl_fail(err, FL_EBUG, "frame type %d", (int)f->type);
}

/*
 * The upstream died within a frame that was being handed on. The rest of it is made
 * up, so that the END that says so is where the next tool looks for a frame: see
 * told_behind.
 */
static int
cut_within_frame(struct fl_input *in, int to, const char *to_name, size_t missing,
		 struct fl_err *err)
{
	static const char zeros[FL_KIB(4)];

	while (missing) {
		size_t n = missing < sizeof zeros ? missing : sizeof zeros;

		if (fl_io_write(to, zeros, n, to_name, err) < 0)
			return err->code;
		missing -= n;
	}
	return upstream_died(in, err);
}

int
fl_input_forward(struct fl_input *in, const struct fl_frame *f, int to, const char *to_name,
		 struct fl_err *err)
{
	size_t whole = FL_FRAME_HEAD + f->len, have = in->len - in->start, rest;
	int64_t moved;

	have = have < whole ? have : whole;
	rest = whole - have;
	if (fl_io_write(to, in->buf + in->start, have, to_name, err) < 0)
		return err->code;
	in->start += have;
	moved = rest ? fl_io_move(in->fd, in->name, to, to_name, rest, err) : 0;
	if (moved < 0)
		return (int)moved;
	return (size_t)moved < rest ? cut_within_frame(in, to, to_name, rest - (size_t)moved, err)
				    : 0;
}

/* With heads_only: a BATCH of which the head is there. *ret_done says so. */
static int
batch_head(struct fl_input *in, struct fl_event *ev, bool *ret_done, struct fl_err *err)
{
	*ret_done = false;
	if (!in->heads_only || in->gzip || in->len - in->start < FL_FRAME_HEAD)
		return 0;
	if (fl_frame_parse_head(in->buf + in->start, in->seq, &ev->frame, err) < 0)
		return err->code;
	if (ev->frame.type != FL_FRAME_BATCH)
		return 0;
	in->seq++;
	ev->type = FL_EV_BATCH;
	*ret_done = true;
	return 0;
}

/* Bytes behind the ones in hand, if they come without much delay. */
static int
fill_soon(struct fl_input *in, struct fl_err *err)
{
	bool none;

	if (in->eof || (!bytes_ready(in) && !fl_io_wait_readable(in->fd, GRACE_MS)))
		return 0;
	return fill(in, READ_SMALL, &none, err);
}

/*
 * Behind a damaged frame of whole bytes: has the tool before this one said that it
 * failed? Then it is known, and told, why the frame is damaged.
 */
static bool
told_behind(struct fl_input *in, size_t whole, struct fl_event *ev)
{
	struct fl_err ignored;
	struct fl_frame f;
	size_t need = FL_FRAME_HEAD;

	for (;;) {
		size_t have = in->len - in->start;
		int64_t taken = have < whole
					? 0
					: fl_frame_parse(in->buf + in->start + whole, have - whole,
							 in->seq + 1, &f, &need, &ignored);

		if (taken < 0)
			return false;
		if (taken > 0)
			break;
		if (fill_soon(in, &ignored) < 0 || in->len - in->start == have)
			return false;
	}
	if (f.type != FL_FRAME_END || fl_frame_get_end(&f, &ev->end, &ignored) < 0 ||
	    ev->end.status != FL_END_FAILED)
		return false;
	ev->type = FL_EV_FAILED;
	in->ended = true;
	return true;
}

/*
 * END is the last frame. What stands behind it belongs to a second writer, whose
 * records would be lost without a word.
 */
static int
nothing_behind(struct fl_input *in, const struct fl_event *ev, struct fl_err *err)
{
	if (ev->type != FL_EV_END)
		return 0;
	if (in->header.raw) /* fcheckpoint begin stays until its files are not needed any more */
		return 0;
	if (in->start == in->len && fill_soon(in, err) < 0)
		return err->code;
	if (in->start == in->len)
		return 0;
	return fl_fail(
		err, FL_EDATA,
		"damaged stream: something follows END, frame %llu, of %s; are there two writers on "
		"one pipe?",
		(unsigned long long)in->seq - 1, in->name);
}

static int
next_frame(struct fl_input *in, struct fl_event *ev, struct fl_err *err)
{
	for (;;) {
		struct fl_frame f;
		size_t need, have = in->len - in->start;
		int64_t taken;
		bool none;

		if (batch_head(in, ev, &none, err) < 0)
			return err->code;
		if (none)
			return 0;
		taken = fl_frame_parse(in->buf + in->start, have, in->seq, &f, &need, err);
		if (taken < 0)
			return need <= have && told_behind(in, need, ev) ? 0 : (int)taken;
		if (taken > 0) {
			in->start += (size_t)taken;
			in->seq++;
			if (frame_event(in, &f, ev, err) < 0)
				return err->code;
			return nothing_behind(in, ev, err);
		}
		if (in->eof)
			return upstream_died(in, err);
		/* large frames: exactly the rest and the next head, so that the next
		 * frame begins where the buffer does and is not moved */
		need = need - have + FL_FRAME_HEAD;
		if (need < READ_SMALL && !in->heads_only)
			need = READ_SMALL;
		if (in->heads_only)
			need -= FL_FRAME_HEAD;
		if (fill(in, need, &none, err) < 0)
			return err->code;
		if (none) {
			ev->type = FL_EV_NONE;
			return 0;
		}
	}
}

/* ---- text -------------------------------------------------------------------------- */

static int
close_file(struct fl_input *in)
{
	if (in->fd > STDIN_FILENO && !in->raw)
		(void)close(in->fd);
	in->fd = -1;
	in->start = in->len = 0;
	return 0;
}

/* Take a bad record out: --on-error says how. */
static int
text_bad(struct fl_input *in, struct fl_err *err)
{
	struct fl_bad *bad = &in->result.bad;
	const char *format = in->reader->type->name;
	size_t n = strlen(bad->reason);

	in->bad_pending = false;
	if (in->opt->on_error == 0 && bad->line == 1)
		(void)snprintf(bad->reason + n, sizeof bad->reason - n, "%s",
			       fl_format_guess(bad->text, bad->len, format));
	else if (in->opt->on_error == 0 && strcmp(format, "regex") == 0)
		(void)snprintf(bad->reason + n, sizeof bad->reason - n,
			       "; --on-error skip leaves such lines out");
	return fl__run_bad_text(in->run, in->name, bad->line, bad->reason, bad->text, bad->len,
				err);
}

/*
 * The first header, or one that has grown: *ret_told if there is something to tell.
 * Records are never told before a header, be it one of no columns (a first record {}).
 */
static int
text_header(struct fl_input *in, bool *ret_told, struct fl_err *err)
{
	bool needed = in->result.batch.rows && !in->header_told;

	*ret_told = false;
	fl_header_append(&in->header, fl_reader_columns(in->reader), in->header.column_count);
	if (in->columns_told == in->header.column_count && !needed)
		return 0;
	if (in->assign.time && !in->header.time)
		in->header.time = fl_xstrdup(in->opt->time ? in->opt->time
							   : fl_reader_time_column(in->reader));
	in->header_known = in->header_told = *ret_told = true;
	in->columns_told = in->header.column_count;
	return fl_assigner_bind(&in->assign, &in->header, err);
}

/* The indexes of the records that are not bad. */
static uint32_t
good_rows(struct fl_input *in, uint32_t rows)
{
	uint32_t *index, n = 0;

	fl_buf_clear(&in->index);
	index = (uint32_t *)(void *)fl_buf_reserve(&in->index, rows * sizeof *index);

	for (uint32_t i = 0; i < rows; i++)
		if (!in->bad.mask.data[i])
			index[n++] = i;
	return n;
}

/*
 * Times and watermarks for the batch in hand. With --on-error fail the records
 * before one without a time still count: they are given first, the error then. With
 * skip, what is left is assigned once more: a skipped record moves no watermark.
 */
static int
assign(struct fl_input *in, struct fl_batch *b, struct fl_err *err)
{
	struct fl_batch rest;
	uint32_t n;
	int rc;

	fl_badrows_reset(&in->bad);
	rc = fl_assigner_assign(&in->assign, b, &in->bad, err);
	if (rc < 0 || in->bad.count == 0)
		return rc;
	rc = fl_run_bad(in->run, b, &in->bad, NULL, &in->failure);
	b->time = NULL;
	b->wm_mode = FL_WM_CONST;
	if (rc < 0) {
		b->rows = in->bad.first;
	} else {
		n = good_rows(in, b->rows);
		fl_batch_select(b, (uint32_t *)(void *)in->index.data, n, &in->pool, &rest);
		*b = rest;
	}
	fl_badrows_reset(&in->bad);
	if (b->rows == 0)
		return 0;
	rc = fl_assigner_assign(&in->assign, b, &in->bad, err);
	fl_assert(rc < 0 || in->bad.count == 0);
	return rc;
}

/*
 * Times without a year that nobody gave (--isyslog): the latest that is not after the
 * file's modification time; of what has none, a pipe, not after now.
 */
static void
say_year(struct fl_input *in)
{
	in->year_told = true;
	fl_run_note(in->run,
		    "%s: times without a year are taken as the latest before %s; --assume-year "
		    "says another",
		    in->name, in->regular ? "the file was modified" : "now");
}

static int
text_batch(struct fl_input *in, struct fl_event *ev, struct fl_err *err)
{
	struct fl_batch *b = &in->result.batch;

	if (in->assign.time_fmt.assume_year == FL_YEAR_LATEST)
		fl_timefmt_set_latest(&in->assign.time_fmt,
				      in->regular ? in->modified_ms : fl_clock_ms());
	if (assign(in, b, err) < 0)
		return err->code;
	if (in->assign.time_fmt.yearless && !in->year_told)
		say_year(in);
	ev->type = b->rows ? FL_EV_BATCH : FL_EV_NONE;
	ev->batch = *b;
	b->rows = 0;
	in->wm_pending = true;
	in->last_record_ms = in->opt->idle_ms ? fl_clock_ms() : 0;
	return 0;
}

/* The watermark behind the batch that was given last, or idleness. */
static bool
text_watermark(struct fl_input *in, struct fl_event *ev)
{
	struct fl_watermark wm = { .ms = in->assign.wm_ms, .idle = in->wm_told.idle };

	in->wm_pending = false;
	if (wm.ms > in->wm_told.ms)
		wm.idle = false;
	if (wm.ms == in->wm_told.ms && wm.idle == in->wm_told.idle)
		return false;
	in->wm_told = wm;
	ev->type = FL_EV_WATERMARK;
	ev->wm = wm;
	return true;
}

int64_t
fl_input_deadline(const struct fl_input *in)
{
	if (in->mode != FL_INPUT_TEXT || !in->opt->idle_ms || in->wm_told.idle || in->ended)
		return INT64_MAX;
	return in->last_record_ms + in->opt->idle_ms + 1; /* idle when longer than, as in Flink */
}

static bool
text_idle(struct fl_input *in, struct fl_event *ev)
{
	if (fl_input_deadline(in) == INT64_MAX || fl_clock_ms() < fl_input_deadline(in))
		return false;
	in->wm_told.idle = true;
	ev->type = FL_EV_WATERMARK;
	ev->wm = in->wm_told;
	return true;
}

/* Have the reader look at what is there; starved: it needs more. */
static int
read_records(struct fl_input *in, struct fl_err *err)
{
	struct fl_read_result *r = &in->result;
	size_t n = in->len - in->start;
	int rc;

	if (n == 0)
		return 0;
	rc = fl_reader_read(in->reader, in->buf + in->start, n, in->eof, r, err);
	if (rc < 0)
		return fl_wrap(err, "%s", in->name);
	in->start += r->taken;
	in->bad_pending = r->has_bad;
	in->starved = !r->batch.rows && !r->has_bad && r->taken == 0;
	return 0;
}

/* Read until a piece is full, the file ends, or waiting would begin. */
static int
fill_piece(struct fl_input *in, bool *ret_none, struct fl_err *err)
{
	size_t want = in->len - in->start + 1 > PIECE ? 2 * (in->len - in->start) : PIECE;
	bool any = false;

	*ret_none = false;
	if (in->start) {
		memmove(in->buf, in->buf + in->start, in->len - in->start);
		in->len -= in->start;
		in->start = 0;
	}
	while (!in->eof && in->len < want) {
		size_t before = in->len;

		if (fill(in, want - in->len, ret_none, err) < 0)
			return err->code;
		if (*ret_none)
			break;
		any = any || in->len > before || in->eof;
	}
	*ret_none = !any && !in->eof;
	return 0;
}

static int
next_text(struct fl_input *in, struct fl_event *ev, struct fl_err *err)
{
	for (;;) {
		bool told, none;

		if (in->result.batch.rows) {
			if (text_header(in, &told, err) < 0)
				return err->code;
			if (told) {
				ev->type = FL_EV_HEADER;
				return 0;
			}
			if (text_batch(in, ev, err) < 0)
				return err->code;
			if (ev->type != FL_EV_NONE)
				return 0;
		}
		if (in->wm_pending && text_watermark(in, ev))
			return 0;
		if (in->failure.code) {
			*err = in->failure;
			return err->code;
		}
		if (in->bad_pending && text_bad(in, err) < 0)
			return err->code;
		if (in->fd < 0)
			return 1; /* the next file */
		if (!in->starved && read_records(in, err) < 0)
			return err->code;
		if (in->result.batch.rows || in->bad_pending)
			continue;
		if (in->eof && in->start == in->len) {
			if (text_header(in, &told, err) < 0 || close_file(in) < 0)
				return err->code;
			if (told) {
				ev->type = FL_EV_HEADER;
				return 0;
			}
			continue;
		}
		if (fill_piece(in, &none, err) < 0)
			return err->code;
		in->starved = false;
		if (none) {
			in->starved = true;
			ev->type = FL_EV_NONE;
			if (fl_reader_columns(in->reader)->column_count && !in->header_told) {
				if (text_header(in, &told, err) < 0)
					return err->code;
				ev->type = FL_EV_HEADER;
			} else if (!in->raw || !fl_rawin_told(in->raw, ev)) {
				(void)text_idle(in, ev);
			}
			return 0;
		}
	}
}

/* The header that was known at the snapshot. */
static int
tell_again(struct fl_input *in, struct fl_event *ev, struct fl_err *err)
{
	ev->type = FL_EV_HEADER;
	if (in->assign.time && !in->header.time)
		in->header.time =
			fl_xstrdup(in->opt->time ? in->opt->time : fl_reader_time_column(in->reader));
	in->header_known = in->header_told = true;
	in->columns_told = in->header.column_count;
	return fl_assigner_bind(&in->assign, &in->header, err);
}

/* What a source told between two files, or instead of the rest of one. */
static int
raw_between(struct fl_input *in, struct fl_event *ev, struct fl_err *err)
{
	bool none;
	int rc = fl_rawin_next_file(in->raw, &none, err);

	if (rc > 0) {
		in->fd = in->raw->wire->fd;
		in->name = in->raw->name;
		in->eof = in->file_started = false;
	} else if (rc == 0 && fl_rawin_told(in->raw, ev)) {
		in->ended = ev->type != FL_EV_BARRIER;
	}
	return rc;
}

/* The same as fl_input_next for text that comes in raw batches. */
static int
next_raw(struct fl_input *in, struct fl_event *ev, struct fl_err *err)
{
	bool none = false;
	int rc;

	for (;;) {
		if (in->fd < 0) {
			rc = raw_between(in, ev, err);
			if (rc <= 0)
				return rc;
		}
		if (!in->file_started) {
			rc = start_file(in, &none, err);
			if (rc < 0)
				return rc;
			if (none && fl_rawin_told(in->raw, ev))
				in->ended = ev->type != FL_EV_BARRIER;
			if (none)
				return 0;
		}
		rc = next_text(in, ev, err);
		if (rc <= 0) {
			in->ended = in->ended || ev->type == FL_EV_END || ev->type == FL_EV_FAILED;
			return rc;
		}
	}
}

int
fl_input_next(struct fl_input *in, struct fl_event *ev, struct fl_err *err)
{
	bool none = false;
	int rc;

	ev->type = FL_EV_NONE;
	ev->frame.payload = NULL;
	for (;;) {
		if (in->ended)
			return 0;
		if (in->header_was_told && !in->header_told)
			return tell_again(in, ev, err);
		if (in->raw)
			return next_raw(in, ev, err);
		if (in->fd < 0 && in->mode != FL_INPUT_TEXT && open_next(in, err) < 0)
			return err->code;
		if (in->fd >= 0 && !in->file_started) {
			rc = start_file(in, &none, err);
			if (rc < 0 || none)
				return rc;
		}
		if (in->mode == FL_INPUT_FRAMES)
			return next_frame(in, ev, err);
		rc = next_text(in, ev, err);
		if (rc <= 0)
			return rc;
		if (in->file_next < (in->file_count ? in->file_count : 1)) {
			if (open_next(in, err) < 0)
				return err->code;
			continue;
		}
		in->ended = true;
		ev->type = FL_EV_END;
		ev->end = (struct fl_end){ .status = FL_END_COMPLETE };
		return 0;
	}
}

bool
fl_input_pending(const struct fl_input *in)
{
	return in->mode == FL_INPUT_TEXT && (in->result.batch.rows || in->bad_pending ||
					     in->wm_pending || in->failure.code);
}

void
fl_input_decode(struct fl_input *in)
{
	in->raw = fl_rawin_new(in);
}

int
fl_input_open(struct fl_input *in, struct fl_err *err)
{
	return open_next(in, err);
}

int
fl_input_skip(struct fl_input *in, uint64_t n, struct fl_err *err)
{
	bool none = false;

	while (in->taken < n && !in->eof && !none) {
		uint64_t left = n - in->taken;

		in->start = in->len = 0;
		if (fill(in, left < READ_SMALL ? (size_t)left : READ_SMALL, &none, err) < 0)
			return err->code;
		if (!in->gzip && detect_gzip(in))
			in->len = in->start;
	}
	in->start = in->len = 0;
	if (in->taken == n)
		return 0;
	return fl_fail(err, FL_ECONFIG, "%s is shorter than it was at the checkpoint", in->name);
}

int
fl_input_restore_text(struct fl_input *in, const char *format, const struct fl_header *columns,
		      uint32_t told, const struct fl_buf *reader, const struct fl_buf *assigner,
		      struct fl_err *err)
{
	if (start_text(in, format, err) < 0 ||
	    fl_reader_restore(in->reader, columns, reader->data, reader->len, err) < 0 ||
	    fl_assigner_restore(&in->assign, assigner->data, assigner->len, err) < 0)
		return err->code;
	for (uint32_t i = 0; i < columns->column_count && i < told; i++) {
		const struct fl_column *c = &columns->columns[i];

		(void)fl_header_add(&in->header, c->name, c->name_len, (enum fl_kind)c->kind);
	}
	return 0;
}

void
fl_input_restore_rest(struct fl_input *in, bool within, const struct fl_buf *rest)
{
	if (in->raw) {
		in->fd = within ? in->raw->wire->fd : -1;
		in->name = within ? in->raw->name : in->name;
	}
	in->file_started = within;
	in->eof = false;
	in->start = in->len = 0;
	make_room(in, rest->len);
	if (rest->len)
		memcpy(in->buf, rest->data, rest->len);
	in->len = rest->len;
	in->starved = true;
}
