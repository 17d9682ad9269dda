/* SPDX-License-Identifier: Apache-2.0 */
#include "run/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/io.h"
#include "run/explain.h"
#include "run/state.h"
#include "time/timestamp.h"

/* ---- what operators may ask --------------------------------------------------- */

const struct fl_header *
fl_run_header(const struct fl_run *run, uint32_t input)
{
	return &run->in[input].header;
}

struct fl_header *
fl_run_out(struct fl_run *run)
{
	return &run->out_header;
}

const struct fl_expr_env *
fl_run_expr_env(const struct fl_run *run)
{
	return &run->env;
}

int64_t
fl_run_watermark(const struct fl_run *run)
{
	return run->out.wm.ms;
}

int64_t
fl_run_now(const struct fl_run *run)
{
	return run->now_ms;
}

void
fl_run_timer(struct fl_run *run, int64_t at_ms)
{
	run->timer_ms = at_ms;
}

size_t
fl_run_memory_max(const struct fl_run *run)
{
	return run->opt.memory_max ? run->opt.memory_max : SIZE_MAX;
}

void
fl_run_late(struct fl_run *run, uint64_t records, const char *path)
{
	run->late_path = path;
	run->late_records += records;
}

void
fl_run_note(struct fl_run *run, const char *fmt, ...)
{
	char line[500];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	fl_buf_printf(&run->notes, "%s: %s\n", run->op->name, line);
}

void
fl_run_unseen(struct fl_run *run, const char *name)
{
	char advice[FL_ADVICE_MAX];

	fl_run_note(run, "column \"%s\" never came%s", name,
		    fl_header_advice(&run->in[0].header, name, strlen(name), advice));
}

int
fl_emit(struct fl_run *run, const struct fl_batch *b, struct fl_err *err)
{
	if (b->rows == 0)
		return 0;
	if (fl_output_header(&run->out, &run->out_header, err) < 0)
		return err->code;
	return fl_output_batch(&run->out, &run->out_header, b, err);
}

bool
fl_run_writes_text(const struct fl_run *run)
{
	return fl_output_format(&run->opt, run->in[0].header.format, run->prefer_text) != NULL;
}

void
fl_run_pass(struct fl_run *run)
{
	run->pass = true;
}

void
fl_run_in_time_order(struct fl_run *run)
{
	run->in_order = run->input_count > 1;
}

struct fl_ckdir *
fl_run_checkpoints(const struct fl_run *run)
{
	return run->region.joined ? (struct fl_ckdir *)&run->region.dir : NULL;
}

const char *
fl_run_uid(const struct fl_run *run)
{
	return run->region.uid;
}

uint64_t
fl_run_checkpoint_id(const struct fl_run *run)
{
	return run->region.job.done.id;
}

const struct fl_options *
fl_run_options(const struct fl_run *run)
{
	return &run->opt;
}

void
fl_run_prefer_text(struct fl_run *run)
{
	run->prefer_text = true;
}

struct fl_side *
fl_run_side(struct fl_run *run, const char *path, const struct fl_header *h, struct fl_err *err)
{
	return fl_side_open(&run->sides, path, h, run->zone, fl__side_kept(run, path), err);
}

/* ---- bad records ----------------------------------------------------------------- */

static int
reject(struct fl_run *run, const char *file, uint64_t line, const char *reason, const char *text,
       size_t len, struct fl_err *err)
{
	static const char *const names[] = { "file", "line", "reason", "record" };
	struct fl_header h;
	struct fl_build row;
	int rc = 0;

	fl_header_init(&h);
	for (size_t i = 0; i < FL_ARRAY_LEN(names); i++)
		(void)fl_header_add(&h, names[i], strlen(names[i]), i == 1 ? FL_INT64 : FL_TEXT);
	if (!run->reject)
		run->reject = fl_run_side(run, run->opt.reject, &h, err);
	if (!run->reject) {
		fl_header_release(&h);
		return err->code;
	}
	fl_build_init(&row, FL_ARRAY_LEN(names));
	fl_put_text(&row.col[0], file, strlen(file), FL_TAG_STRING);
	if (line)
		fl_put_int(&row.col[1], (int64_t)line);
	else
		fl_put_null(&row.col[1]);
	fl_put_text(&row.col[2], reason, strlen(reason), FL_TAG_STRING);
	fl_put_text(&row.col[3], text, len, FL_TAG_STRING);
	fl_build_row(&row, 0, 0, FL_INSERT);
	rc = fl_side_write(run->reject, &h, fl_build_view(&row), err);
	fl_build_release(&row);
	fl_header_release(&h);
	return rc;
}

int
fl__run_bad_text(struct fl_run *run, const char *file, uint64_t line, const char *reason,
		 const char *text, size_t len, struct fl_err *err)
{
	if (run->opt.on_error == 0)
		return fl_fail(err, FL_EDATA, "%s:%llu: %s", file, (unsigned long long)line,
			       reason);
	run->bad_records++;
	return run->opt.reject ? reject(run, file, line, reason, text, len, err) : 0;
}

/* A record of a batch as CSV, for --reject: it is no longer the text that it was. */
static void
record_text(struct fl_run *run, const struct fl_batch *b, uint32_t row, struct fl_buf *out)
{
	const struct fl_header *h = &run->in[run->current].header;
	struct fl_writer_options wo = { .separator = ',', .headerless = true };
	struct fl_err ignored;
	struct fl_writer *w = fl_writer_new(fl_writer_type("csv"), &wo, &ignored);
	struct fl_buf pool = { 0 };
	struct fl_batch one;

	fl_batch_select(b, &row, 1, &pool, &one);
	(void)fl_writer_write(w, h, &one, out, &ignored);
	if (out->len && out->data[out->len - 1] == '\n')
		out->len--;
	fl_writer_free(w);
	fl_buf_release(&pool);
}

/*
 * The line on which record row begins: one a record and one more for each line
 * end inside a value.
 */
static uint64_t
line_of(const struct fl_batch *b, uint32_t row)
{
	uint64_t line = b->line;

	if (!line)
		return 0;
	for (uint32_t i = 0; i < row; i++) {
		line++;
		for (uint32_t c = 0; c < b->cols; c++) {
			size_t n;
			const char *p;

			if (b->col[c].kind != FL_TEXT)
				continue;
			p = fl_text(&b->col[c], i, &n);
			for (const char *e = p + n; (p = memchr(p, '\n', (size_t)(e - p))); p++)
				line++;
		}
	}
	return line;
}

int
fl_run_bad(struct fl_run *run, const struct fl_batch *b, const struct fl_badrows *bad,
	   const char *what, struct fl_err *err)
{
	const char *file = run->in[run->current].name;
	uint64_t line = line_of(b, bad->first);
	const char *colon = what ? ": " : "";
	int rc = 0;

	what = what ? what : "";
	if (bad->count == 0)
		return 0;
	if (run->opt.on_error == 0)
		run->good_rows = bad->first;
	if (run->opt.on_error == 0 && line)
		return fl_fail(err, FL_EDATA, "%s:%llu: %s%s%s%s", file, (unsigned long long)line,
			       what, colon, bad->reason, bad->place);
	if (run->opt.on_error == 0)
		return fl_fail(err, FL_EDATA, "bad record: %s%s%s%s", what, colon, bad->reason,
			       bad->place);
	run->bad_records += bad->count;
	for (uint32_t i = bad->first; run->opt.reject && i < b->rows && rc == 0; i++) {
		struct fl_buf text = { 0 };

		if (!bad->mask.data[i])
			continue;
		record_text(run, b, i, &text);
		rc = reject(run, file, line_of(b, i), bad->reason, text.data, text.len, err);
		fl_buf_release(&text);
	}
	return rc;
}

/* ---- headers ------------------------------------------------------------------------ */

/* The operators behind a further input, except those that the path has already (a tee). */
static uint32_t
merge_lineage(struct fl_header *h, const struct fl_header *from)
{
	uint32_t *place = fl_xcalloc(from->lineage_count + 1, sizeof *place), last;

	for (uint32_t i = 0; i < from->lineage_count; i++) {
		const struct fl_lineage *l = &from->lineage[i];
		uint32_t k = 0;

		while (k < h->lineage_count && strcmp(h->lineage[k].instance, l->instance) != 0)
			k++;
		place[i] = k;
		if (k < h->lineage_count)
			continue;
		h->lineage = fl_xreallocarray(h->lineage, k + 1, sizeof *h->lineage);
		fl_lineage_copy(&h->lineage[k], l);
		for (uint32_t j = 0; j < l->input_count; j++)
			h->lineage[k].inputs[j] = place[l->inputs[j]];
		h->lineage_count++;
	}
	last = from->lineage_count ? place[from->lineage_count - 1] : FL_NO_COLUMN;
	free(place);
	return last;
}

static void
add_lineage(struct fl_run *run)
{
	struct fl_header *h = &run->out_header;
	struct fl_lineage l = { .tool = fl_xstrdup(run->op->name) };
	struct fl_buf uid = { 0 };
	uint64_t random;

	fl__run_uid(run, &run->in[0].header, &uid);
	l.uid = fl_xstrndup(uid.data, uid.len);
	fl_buf_release(&uid);
	l.args = fl_xcalloc((size_t)run->argc, sizeof *l.args);
	for (int i = 1; i < run->argc; i++)
		l.args[l.arg_count++] = fl_xstrdup(run->argv[i]);
	fl_random(&random, sizeof random);
	(void)snprintf(l.instance, sizeof l.instance, "%016llx", (unsigned long long)random);
	if (run->region.joined)
		memcpy(l.instance, run->region.instance, sizeof l.instance);
	l.inputs = fl_xcalloc(run->input_count, sizeof *l.inputs);
	if (h->lineage_count)
		l.inputs[l.input_count++] = h->lineage_count - 1;
	for (uint32_t i = 1; i < run->input_count; i++) {
		uint32_t at = merge_lineage(h, &run->in[i].header);

		if (at != FL_NO_COLUMN)
			l.inputs[l.input_count++] = at;
	}
	h->lineage = fl_xreallocarray(h->lineage, h->lineage_count + 1, sizeof *h->lineage);
	h->lineage[h->lineage_count++] = l;
}

/* Whether the output is a file that is read: it must not be emptied before that, nor grow. */
static bool
replaces_input(const struct fl_run *run)
{
	struct stat out, in;
	int rc = run->opt.output ? stat(run->opt.output, &out) : fstat(STDOUT_FILENO, &out);

	if (rc < 0 || !S_ISREG(out.st_mode))
		return false;
	for (uint32_t i = 0; i < run->input_count; i++) {
		const struct fl_input *input = &run->in[i];

		if (input->fd >= 0 && fstat(input->fd, &in) == 0 && in.st_dev == out.st_dev &&
		    in.st_ino == out.st_ino)
			return true;
		for (int k = 0; k < input->file_count; k++)
			if (stat(input->files[k], &in) == 0 && in.st_dev == out.st_dev &&
			    in.st_ino == out.st_ino)
				return true;
	}
	return false;
}

int
fl__run_open_output(struct fl_run *run, struct fl_err *err)
{
	return fl_output_open(&run->out, &run->opt, run->in[0].header.format, run->prefer_text,
			      replaces_input(run), run->zone, err);
}

/* In a region text goes out at its end only, where fcheckpoint commit holds it back. */
static int
check_region(struct fl_run *run, struct fl_err *err)
{
	if (!run->region.joined) {
		if (!run->op->own_output)
			return 0;
		return fl_fail(err, FL_EUSAGE,
			       "nothing to commit: the stream does not begin with fcheckpoint begin");
	}
	if (!run->op->own_output && fl_run_writes_text(run) && !run->prefer_text)
		return fl_fail(err, FL_EUSAGE,
			       "the region that fcheckpoint begin opened ends here, without fcheckpoint "
			       "commit: its output would not be exactly once; say | fcheckpoint commit");
	for (uint32_t i = 0; i < run->input_count; i++) {
		const struct fl_input *in = &run->in[i];

		if (in->header.checkpoint_dir)
			continue;
		if (in->ended && in->mode != FL_INPUT_TEXT)
			return fl_fail(err, FL_EUSAGE,
				       "%s ends without a header line: one of several sources must "
				       "have columns; give an empty file its header line, or leave "
				       "it out",
				       in->name);
		if (in->mode != FL_INPUT_TEXT || !(in->regular || in->file_count))
			return fl_fail(err, FL_EUSAGE,
				       "%s does not begin with fcheckpoint begin, but another input does: "
				       "begin it with fcheckpoint begin -d %s --name NAME",
				       in->name, run->region.dir.path);
		run->align.in[i].source = true;
	}
	run->align.at_least_once = run->region.attempt.at_least_once;
	return 0;
}

/* The further inputs' part of what must agree: where they come from. */
static void
merge_region(struct fl_run *run)
{
	struct fl_header *h = &run->out_header;

	for (uint32_t i = 1; i < run->input_count && !h->checkpoint_dir; i++) {
		const struct fl_header *in = &run->in[i].header;

		if (!in->checkpoint_dir)
			continue;
		h->checkpoint_dir = fl_xstrdup(in->checkpoint_dir);
		h->attempt = in->attempt;
		h->restore_id = in->restore_id;
	}
}

/* Options for text make no sense where all records have been decoded. */
static int
check_decoded(const struct fl_run *run, struct fl_err *err)
{
	const struct fl_options *o = &run->opt;

	if (!o->time && !o->watermark && !o->watermark_at)
		return 0;
	for (uint32_t i = 0; i < run->input_count; i++)
		if (run->in[i].mode != FL_INPUT_FRAMES)
			return 0;
	return fl_fail(err, FL_EUSAGE,
		       "--time and --watermark are said to the tool that reads the text; %s is "
		       "already a flue stream",
		       run->in[0].name);
}

static int
open_operator(struct fl_run *run, struct fl_err *err)
{
	int rc = check_decoded(run, err);

	if (rc == 0)
		rc = check_region(run, err);

	if (rc < 0)
		return rc;
	fl_header_copy(&run->out_header, &run->in[0].header);
	add_lineage(run);
	merge_region(run);
	fl__progress_open(run);
	run->out.progress = &run->progress;
	rc = run->op->open ? run->op->open(run->self, run, err) : 0;
	if (rc == 0)
		rc = fl__region_restore(run, err);
	if (rc < 0)
		return rc;
	run->opened = true;
	for (uint32_t i = 0; i < run->input_count; i++)
		run->in[i].columns_open = run->in[i].header.column_count;
	fl__order_open(run);
	if (run->op->own_output)
		return 0;
	rc = fl__run_open_output(run, err);
	if (rc < 0) {
		run->opened = false;
		return rc;
	}
	run->pass = run->pass || !run->op->on_batch;
	run->forward = run->input_count == 1 && run->pass && run->out.frames &&
		       run->in[0].mode == FL_INPUT_FRAMES && !run->opt.progress;
	if (run->forward && run->stats)
		run->stats->rows_in = -1; /* they are not looked at */
	run->in[0].heads_only = run->forward;
	return fl_output_header(&run->out, &run->out_header, err);
}

void
fl__run_enough(const struct fl_run *run)
{
	for (uint32_t i = 0; i < run->input_count; i++)
		fl_io_say_enough(fl_input_fd(&run->in[i]));
}

int
fl__run_explain(struct fl_run *run, struct fl_err *err)
{
	struct fl_buf plan = { 0 };
	int rc;

	fl_header_copy(&run->out_header, &run->in[0].header);
	add_lineage(run);
	merge_region(run);
	fl__explain(run, &plan);
	rc = fl_io_write(STDOUT_FILENO, plan.data, plan.len, "standard output", err);
	fl_buf_release(&plan);
	fl__run_enough(run);
	run->explained = run->ended = true;
	return rc;
}

/* All headers have come, so the region is known; what is still text can be decoded. */
static int
enter(struct fl_run *run, struct fl_err *err)
{
	run->entered = true;
	for (uint32_t i = 0; i < run->input_count; i++)
		if (run->in[i].header.raw)
			fl_input_decode(&run->in[i]);
	for (uint32_t i = 0; i < run->input_count; i++)
		if (fl__region_enter(run, i, &run->in[i].header, err) < 0)
			return err->code;
	return 0;
}

/* Whether the operator cannot be opened before this input, decoded, has told its columns. */
static bool
awaits_header(const struct fl_input *in)
{
	return (in->raw || in->header_was_told) && !in->header_told && !in->ended;
}

bool
fl__run_may_read(const struct fl_run *run, uint32_t i)
{
	if (run->opened)
		return true;
	/* nothing else has a place to go before the operator is open */
	return run->entered ? awaits_header(&run->in[i]) : !run->in[i].header_counted;
}

/* The first header of an input: when all are there, and none has still to be decoded. */
static int
first_header(struct fl_run *run, uint32_t i, struct fl_err *err)
{
	run->headers += !run->in[i].header_counted;
	run->in[i].header_counted = true;
	if (run->headers < run->input_count)
		return 0;
	if (run->opt.explain)
		return fl__run_explain(run, err);
	if (!run->entered && enter(run, err) < 0)
		return err->code;
	for (uint32_t k = 0; k < run->input_count; k++)
		if (awaits_header(&run->in[k]))
			return 0;
	return open_operator(run, err);
}

static int
on_header(struct fl_run *run, uint32_t i, struct fl_err *err)
{
	int rc = 0;

	if (!run->opened)
		return first_header(run, i, err);
	if (run->region.finished)
		return 0;
	if (run->op->columns)
		rc = run->op->columns(run->self, run, err);
	else
		fl_header_append(&run->out_header, &run->in[i].header,
				 run->out_header.column_count);
	if (rc < 0 || run->op->own_output)
		return rc;
	return fl_output_header(&run->out, &run->out_header, err);
}

/* ---- events ----------------------------------------------------------------------------- */

int
fl__run_watermark(struct fl_run *run, const struct fl_watermark *wm, struct fl_err *err)
{
	struct fl_watermark out = *wm;
	int rc = 0;

	if (run->op->on_watermark && !run->pass && !run->region.finished && wm->ms > run->wm_ms) {
		rc = run->op->on_watermark(run->self, run, wm->ms, &out.ms, err);
		fl_assert(rc < 0 || out.ms <= wm->ms);
	}
	run->wm_ms = wm->ms > run->wm_ms ? wm->ms : run->wm_ms;
	if (rc < 0 || run->op->own_output)
		return rc;
	if (out.ms < run->out.wm.ms)
		out.ms = run->out.wm.ms;
	return fl_output_watermark(&run->out, &out, err);
}

/* A barrier has come on all inputs. */
static int
on_barrier(struct fl_run *run, const struct fl_barrier *b, struct fl_err *err)
{
	if (run->input_count > 1 && fl__order_set_aside(run, err) < 0)
		return err->code;
	if (run->region.joined && fl__region_snapshot(run, b, false, err) < 0)
		return err->code;
	if (run->op->own_output)
		return 0;
	FL_FAULT("barrier.forward");
	return fl_output_barrier(&run->out, b, err);
}

int
fl__run_delivered(struct fl_run *run, uint32_t i, const struct fl_barrier *b, struct fl_err *err)
{
	struct fl_barrier all;
	struct fl_err ignored;

	if (run->region.joined && b->attempt != run->region.attempt.number)
		return fl_fail(err, FL_ETEMP,
			       "a barrier of attempt %llu came to attempt %llu: what is left of an "
			       "earlier run is still there; end it and run the line again",
			       (unsigned long long)b->attempt,
			       (unsigned long long)run->region.attempt.number);
	if (!run->opened) {
		/*
		 * Nothing behind can take part before it has a header. And this input must not
		 * wait for the others: they are not read before its columns are known.
		 */
		if (run->region.joined)
			(void)fl_ck_abandon(&run->region.dir, b->id, "no record has come yet",
					    &ignored);
		fl_align_give_up(&run->align, b->id);
		return 0;
	}
	if (!run->region.first_barrier_us)
		run->region.first_barrier_us = fl_clock_us();
	return fl_align_barrier(&run->align, i, b, &all) ? on_barrier(run, &all, err) : 0;
}

/* The end on all inputs: what is due at the end, and the last snapshot. */
static int
end_all(struct fl_run *run, struct fl_err *err)
{
	struct fl_barrier last = { .id = run->end.checkpoint,
				   .attempt = run->region.attempt.number };
	bool complete = run->end.status == FL_END_COMPLETE;
	int rc = 0;

	run->ended = true;
	if (complete && run->opened && run->op->on_end && !run->region.finished)
		rc = run->op->on_end(run->self, run, err);
	if (rc == 0 && complete && run->region.joined && run->end.checkpoint &&
	    !run->region.finished)
		rc = fl__region_snapshot(run, &last, true, err);
	/* durable before END goes on: whoever is killed here is missed at once, by the
	 * end of file, and not after commit has waited for it in vain */
	fl__region_wait(run);
	/* one that has its own output has done its part when that is complete */
	if (rc == 0 && run->region.joined && !run->op->own_output)
		fl_ckdir_ended(&run->region.dir);
	FL_FAULT("end.forward");
	return rc;
}

static int
on_end(struct fl_run *run, uint32_t i, const struct fl_event *ev, struct fl_err *err)
{
	bool stopped = ev->end.status == FL_END_STOPPED;
	struct fl_watermark wm;
	struct fl_barrier barrier;
	int rc = 0;

	if (stopped || run->end.status == FL_END_COMPLETE)
		run->end.code = ev->end.code;
	run->end.status = stopped ? FL_END_STOPPED : run->end.status;
	if (ev->end.checkpoint > run->end.checkpoint)
		run->end.checkpoint = ev->end.checkpoint;
	if (run->forward)
		run->out.records = ev->end.records;
	if (!run->opened && (!run->in[i].header_counted || run->entered) && run->input_count > 1)
		rc = first_header(run, i, err); /* an empty input has no columns */
	if (rc == 0 && fl_align_end(&run->align, i, &wm) && run->opened &&
	    run->end.status == FL_END_COMPLETE)
		rc = fl__run_watermark(run, &wm, err);
	if (rc == 0 && fl_align_barrier_complete(&run->align, &barrier))
		rc = on_barrier(run, &barrier, err);
	return rc < 0 || !fl_align_all_ended(&run->align) ? rc : end_all(run, err);
}

int
fl__run_batch(struct fl_run *run, uint32_t i, const struct fl_batch *b, struct fl_err *err)
{
	struct fl_err ignored;
	struct fl_batch good = *b;
	int rc;

	if (run->pass)
		return fl_emit(run, b, err);
	run->good_rows = 0;
	rc = run->op->on_batch(run->self, run, i, b, err);
	if (rc == 0 || run->good_rows == 0)
		return rc;
	good.rows = run->good_rows;
	(void)run->op->on_batch(run->self, run, i, &good, &ignored); /* err has the reason */
	return rc;
}

int
fl__run_event(struct fl_run *run, uint32_t i, struct fl_event *ev, struct fl_err *err)
{
	struct fl_input *in = &run->in[i];
	int rc;

	run->current = i;
	rc = run->opened && !fl_replay_empty(&in->replay) ? fl_replay_pop(&in->replay, ev, err)
							  : fl_input_next(in, ev, err);
	run->now_ms = rc == 0 && ev->type != FL_EV_NONE ? fl_clock_ms() : run->now_ms;
	return rc;
}

int
fl__run_handle(struct fl_run *run, uint32_t i, struct fl_event *ev, struct fl_err *err)
{
	struct fl_watermark wm;

	run->current = i;
	if (run->op->on_frame && ev->frame.payload &&
	    run->op->on_frame(run->self, run, &ev->frame, err) < 0)
		return err->code;
	switch (ev->type) {
	case FL_EV_NONE:
		return 0;
	case FL_EV_HEADER:
		return on_header(run, i, err);
	case FL_EV_BATCH:
		if (run->stats && !run->forward)
			run->stats->rows_in += ev->batch.rows;
		return run->forward ? fl_output_forward(&run->out, &run->in[i], &ev->frame, err)
				    : fl__run_batch(run, i, &ev->batch, err);
	case FL_EV_WATERMARK:
		return fl_align_watermark(&run->align, i, &ev->wm, &wm)
			       ? fl__run_watermark(run, &wm, err)
			       : 0;
	case FL_EV_BARRIER:
		return fl__run_delivered(run, i, &ev->barrier, err);
	case FL_EV_END:
		return on_end(run, i, ev, err);
	case FL_EV_FAILED:
		(void)fl_fail(err, -ev->end.code, "the upstream failed");
		err->quiet = true;
		return err->code;
	}
	return 0;
}

/* ---- the loop ------------------------------------------------------------------------------ */

static int
check_timer(struct fl_run *run, struct fl_err *err)
{
	int64_t due = run->timer_ms;

	if (due == INT64_MAX)
		return 0;
	run->now_ms = fl_clock_ms();
	if (run->now_ms < due)
		return 0;
	run->timer_ms = INT64_MAX;
	return run->op->on_timer ? run->op->on_timer(run->self, run, run->now_ms, err) : 0;
}

/* Everything out of our hands before waiting. */
static int
flush_all(struct fl_run *run, struct fl_err *err)
{
	int rc = run->out.opened ? fl_output_flush(&run->out, err) : 0;

	return rc < 0 ? rc : fl_sides_flush(run->sides, err);
}

static int
wait_timeout(struct fl_run *run)
{
	int64_t until = run->timer_ms, left;

	until = run->hint.due_ms < until ? run->hint.due_ms : until;
	left = fl__progress_deadline(run);
	until = left < until ? left : until;
	for (uint32_t i = 0; i < run->input_count; i++) {
		int64_t d = fl_input_deadline(&run->in[i]);

		until = d < until ? d : until;
	}
	if (until == INT64_MAX)
		return -1;
	left = until - fl_clock_ms();
	return left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

/* How long an input may be awaited before the others are read ahead of their turn. */
#define PATIENCE_MS 100

/* Wait for input, the reader's going away, or a timer. */
static int
wait_for_input(struct fl_run *run, struct fl_err *err)
{
	struct pollfd *p = run->poll;
	int timeout = wait_timeout(run), rc = flush_all(run, err);
	nfds_t n = 0;

	if (rc < 0)
		return rc;
	p[n++] = (struct pollfd){ .fd = run->op->own_output ? -1 : run->out.fd, .events = 0 };
	for (uint32_t i = 0; i < run->input_count; i++) {
		bool wanted = fl__run_may_read(run, i) &&
			      (!run->in_order || fl__order_wants(run, i) || fl__order_ahead(run, i));

		p[n++] = (struct pollfd){ .fd = wanted ? fl_input_fd(&run->in[i]) : -1,
					  .events = POLLIN };
	}
	p[n++] = (struct pollfd){ .fd = run->progress.signal_fd, .events = POLLIN };
	fl__progress_sample(run);
	if (run->in_order && !run->stuck && (timeout < 0 || timeout > PATIENCE_MS))
		timeout = PATIENCE_MS;
	run->stuck = poll(p, n, timeout) == 0 && run->in_order;
	if (p[n - 1].revents)
		run->progress.sample_ms = 0; /* look at once */
	run->now_ms = fl_clock_ms();
	if ((p[0].revents & POLLERR) && (run->out.opened || fl_output_is_pipe())) {
		(void)fl_fail(err, FL_EPIPE, "the reader of %s has gone", run->out.name);
		err->quiet = true;
		return FL_EPIPE;
	}
	return 0;
}

/* One event of input i, if there is one; *ret_any then. */
static int
step(struct fl_run *run, uint32_t i, bool *ret_any, struct fl_err *err)
{
	struct fl_event ev = { .type = FL_EV_NONE };

	if (!fl__run_may_read(run, i))
		return 0;
	run->current = i;
	if (fl_align_waits(&run->align, i))
		return fl_input_read_ahead(&run->in[i], err);
	if (fl__run_event(run, i, &ev, err) < 0)
		return err->code;
	if (ev.type == FL_EV_NONE)
		return 0;
	*ret_any = true;
	return fl__run_handle(run, i, &ev, err);
}

int
fl_run_loop(struct fl_run *run, struct fl_err *err)
{
	int rc = 0;

	while (!run->ended) {
		bool any = false;

		rc = check_timer(run, err);
		fl__progress_tick(run, run->now_ms);
		fl__hint_tick(run, run->now_ms);
		if (rc == 0 && run->in_order)
			rc = fl__step_in_order(run, &any, err);
		for (uint32_t i = 0; i < run->input_count && rc == 0 && !run->ended &&
				     !run->in_order; i++)
			rc = step(run, i, &any, err);
		if (rc == 0 && !any && !run->ended && run->in_order)
			rc = fl__order_settle(run, err);
		if (rc == 0 && !any && !run->ended)
			rc = wait_for_input(run, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}
