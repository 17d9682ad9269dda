/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fcheckpoint commit: the end of a checkpointed region.
 *
 * Rows become text (as every tool's would), the text is held back by a sink (sink.h), and
 * a thread (committer.h) lets it out when the checkpoint behind it is complete.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/io.h"
#include "checkpoint.h"
#include "checkpoint/snapshot.h"
#include "committer.h"
#include "run/op.h"
#include "run/options.h"
#include "run/output.h"
#include "text.h"
#include "time/duration.h"

#define FLUSH FL_KIB(256) /* text is handed to the sink in such pieces */
#define HURRY FL_MIB(32)  /* … and to the disk when so much has come together */
#define CHECK_MS 100      /* between two looks at the thread while nothing comes */
#define REST_MS 500       /* … and while nothing is to be decided */
#define ASK_MIN_MS 100    /* held results wait so long for a barrier before one is asked for */

struct commit {
	/* options */
	const char *segments;
	bool read_uncommitted;

	bool opened;
	struct fl_attempt attempt;
	struct fl_header lineage;
	struct fc_sink sink;
	struct fc_committer committer;
	struct fc_text text;
	uint64_t hurried; /* bytes of the part when the disk was last reminded */
	int64_t held_ms;  /* since when results wait for a barrier; 0: none do */
	bool asked;       /* … and one was asked for */
	bool finished;    /* restored from after the end of the data */
};

/* ---- opening -------------------------------------------------------------------------- */

static int
parse_segments(struct commit *c, struct fl_err *err)
{
	struct fl_err ignored;

	if (!c->segments)
		return 0;
	if (fl_size_parse(c->segments, &c->sink.segment_size, &ignored) == 0 &&
	    c->sink.segment_size)
		return 0;
	c->sink.segment_size = 0;
	if (fl_duration_parse(c->segments, 0, &c->sink.segment_ms, &ignored) == 0 &&
	    c->sink.segment_ms)
		return 0;
	return fl_fail(err, FL_EUSAGE, "--segments: a size as 64M or a time as 1h, not \"%s\"",
		       c->segments);
}

static int
words(void *self, struct fl_run *run, char **words, int count, int *ret_used, struct fl_err *err)
{
	struct commit *c = self;

	(void)run;
	(void)words;
	(void)count;
	*ret_used = 0;
	fc_sink_init(&c->sink);
	fl_header_init(&c->lineage);
	return parse_segments(c, err);
}

static int
choose_format(struct commit *c, const struct fl_options *opt, const struct fl_header *h,
	      struct fl_err *err)
{
	const char *format = fl_output_format(opt, h->format, true);

	if (!format || !fl_writer_type(format))
		return fl_fail(err, FL_EUSAGE,
			       "-o %s: fcheckpoint commit writes text, not frames; say --ocsv or "
			       "another format",
			       opt->output ? opt->output : "-");
	c->sink.format = format;
	if (strcmp(format, "pprint") == 0 && c->sink.type->goes_on)
		return fl_fail(
			err, FL_EUSAGE,
			"a table cannot be gone on with after a restore: write %s with --ocsv, "
			"--otsv or --ojsonl",
			c->sink.name);
	return 0;
}

/* The share that this sink has in the checkpoint that is restored; NULL: none. */
static const struct fl_ck_sink *
find_share(const struct commit *c, const struct fl_manifest *m)
{
	for (uint32_t i = 0; i < m->sink_count; i++)
		if (strcmp(m->sinks[i].uid, c->sink.uid) == 0)
			return &m->sinks[i];
	return NULL;
}

/*
 * State that belongs to no operator of the line. Behind several sinks nobody knows the
 * whole line yet: the one that decides finds it at the first checkpoint.
 */
static int
check_dropped(struct commit *c, const struct fl_manifest *m, struct fl_err *err)
{
	struct fc_decider *d = &c->committer.decider;

	if (fc_decider_expect(d, m, &c->lineage, err) < 0)
		return err->code;
	return c->attempt.sinks > 1 ? 0 : fc_decider_check_dropped(d, &c->lineage, err);
}

static int
open_restored(struct commit *c, uint64_t id, struct fl_manifest *m, struct fl_err *err)
{
	const struct fl_ck_sink *from;
	const struct fl_ck_op *op;
	uint64_t last; /* the checkpoint of this sink's end */

	if (fl_manifest_read(c->sink.dir, id, m, err) < 0 || check_dropped(c, m, err) < 0)
		return err->code;
	from = find_share(c, m);
	op = fl_manifest_op(m, c->sink.uid);
	c->finished = op && op->finished;
	c->sink.finished = c->finished;
	if (!from && !c->attempt.allow_dropped)
		return fl_fail(
			err, FL_ECONFIG,
			"checkpoint %llu in %s knows no sink %s: it is new in this line, or had "
			"another --uid; fcheckpoint begin --allow-dropped-state lets it begin",
			(unsigned long long)id, c->sink.dir->path, c->sink.uid);
	if (from && strcmp(from->kind, c->sink.type->kind) != 0)
		return fl_fail(
			err, FL_ECONFIG,
			"checkpoint %llu in %s wrote to %s (%s), this line writes to %s (%s)",
			(unsigned long long)id, c->sink.dir->path, from->path, from->kind,
			c->sink.name, c->sink.type->kind);
	last = c->finished && op->checkpoint ? op->checkpoint : id;
	c->sink.delivered = c->finished && fc_sink_was_delivered(&c->sink, last);
	if (c->sink.type->open(&c->sink, from, err) < 0)
		return err->code;
	if (c->finished && !c->sink.delivered)
		fc_sink_delivered(&c->sink, last);
	return 0;
}

static int
open_commit(void *self, struct fl_run *run, struct fl_err *err)
{
	struct commit *c = self;
	const struct fl_options *opt = fl_run_options(run);
	const struct fl_header *h = fl_run_out(run);
	struct fl_manifest m = { 0 };
	int rc;

	fl_header_init(&m.lineage);
	c->sink.dir = fl_run_checkpoints(run);
	c->sink.uid = fl_run_uid(run);
	c->sink.output = opt->output;
	c->sink.append = opt->append;
	c->sink.quiet = opt->quiet;
	fl_header_copy(&c->lineage, h);
	fl_header_clear_columns(&c->lineage);
	if (fl_ckdir_read_attempt(c->sink.dir, &c->attempt, err) < 0 ||
	    fc_sink_choose(&c->sink, c->segments != NULL, c->read_uncommitted, err) < 0 ||
	    choose_format(c, opt, h, err) < 0)
		return err->code;
	c->committer.dir = fl_run_checkpoints(run);
	c->committer.uid = c->sink.uid;
	c->committer.attempt = &c->attempt;
	c->committer.lineage = &c->lineage;
	c->committer.sink = &c->sink;
	fc_decider_init(&c->committer.decider, c->sink.dir, &c->attempt);
	rc = h->restore_id ? open_restored(c, h->restore_id, &m, err)
			   : c->sink.type->open(&c->sink, NULL, err);
	if (rc == 0)
		rc = fc_text_open(&c->text, opt, fl_run_expr_env(run)->zone, &c->sink, err);
	if (rc == 0) {
		rc = fc_committer_start(&c->committer, c->finished, err);
		c->opened = true;
		fl_run_timer(run, fl_run_now(run) + REST_MS);
		fc_decider_seed(&c->committer.decider, &m);
	}
	fl_manifest_release(&m);
	return rc;
}

static void
close_commit(void *self)
{
	struct commit *c = self;

	if (c->opened)
		fc_committer_stop(&c->committer);
	else
		fc_decider_release(&c->committer.decider);
	fc_text_close(&c->text);
	fc_sink_release(&c->sink);
	fl_header_release(&c->lineage);
	fl_attempt_release(&c->attempt);
}

/* ---- rows ------------------------------------------------------------------------------ */

/* Text to the sink; the disk is kept busy meanwhile. */
static int
flush(struct commit *c, struct fl_err *err)
{
	const struct fc_part *part;

	if (!c->text.out.len)
		return 0;
	if (c->sink.type->put(&c->sink, &c->text.out, err) < 0)
		return err->code;
	part = c->sink.part;
	if (!part || part->len < c->hurried)
		c->hurried = 0;
	if (part && part->len - c->hurried >= HURRY) {
		c->hurried = part->len;
		fc_committer_hurry(&c->committer, part);
	}
	return 0;
}

/*
 * Results that no barrier releases are asked one for: begin makes none while nothing
 * flows. Half the interval is waited for the one that comes by itself.
 */
static void
watch_held(struct commit *c, struct fl_run *run)
{
	int64_t half = c->attempt.every_ms / 2, now = fl_run_now(run);
	bool holds = c->text.out.len || fc_sink_holds(&c->sink) ||
		     fc_committer_carries(&c->committer);
	int64_t wait = half > ASK_MIN_MS ? half : ASK_MIN_MS, next;
	struct fl_err ignored;

	if (!holds) {
		c->held_ms = 0;
	} else if (!c->held_ms) {
		c->held_ms = now;
		c->asked = false;
	} else if (!c->asked && now - c->held_ms >= wait) {
		(void)fl_ckdir_ask(c->sink.dir, FL_REQUEST_CHECKPOINT, 0, &ignored);
		c->asked = true;
	}
	/* the thread gives up what does not even arrive: so it is always looked at */
	next = now + REST_MS;
	if (fc_committer_busy(&c->committer) || (c->sink.segment_ms && c->sink.part))
		next = now + CHECK_MS;
	else if (c->held_ms && !c->asked && c->held_ms + wait < next)
		next = c->held_ms + wait;
	fl_run_timer(run, next);
}

static int
on_batch(void *self, struct fl_run *run, uint32_t input, const struct fl_batch *b,
	 struct fl_err *err)
{
	struct commit *c = self;
	bool first = !c->text.out.len && !c->held_ms;

	(void)input;
	if (fc_committer_check(&c->committer, err) < 0 ||
	    fc_text_put(&c->text, fl_run_out(run), b, err) < 0)
		return err->code;
	c->sink.records += b->rows;
	if ((c->text.out.len >= FLUSH || c->read_uncommitted) && flush(c, err) < 0)
		return err->code;
	if (first)
		watch_held(c, run);
	return 0;
}

/* A segment that is due by time, but nothing flows that would bring a barrier. */
static void
watch_segment(struct commit *c)
{
	struct fl_err ignored;
	int64_t age_us = c->sink.part ? fl_clock_us() - c->sink.part->opened_us : 0;

	if (c->sink.segment_ms && age_us / 1000 >= c->sink.segment_ms && !c->asked) {
		(void)fl_ckdir_ask(c->sink.dir, FL_REQUEST_CHECKPOINT, 0, &ignored);
		c->asked = true;
	}
}

static int
on_timer(void *self, struct fl_run *run, int64_t now_ms, struct fl_err *err)
{
	struct commit *c = self;

	(void)now_ms;
	if (fc_committer_check(&c->committer, err) < 0)
		return err->code;
	watch_segment(c);
	watch_held(c, run);
	return 0;
}

/* The last lines of a format, and the header line of a table that has no rows. */
static int
on_end(void *self, struct fl_run *run, struct fl_err *err)
{
	struct commit *c = self;

	return fc_text_end(&c->text, fl_run_out(run), err);
}

/* ---- checkpoints ------------------------------------------------------------------------- */

static void
snapshot(void *self, struct fl_run *run, struct fl_save *s)
{
	struct commit *c = self;

	(void)run;
	fl_save_section(s, "commit", 1, "{\"value\": \"int64\"}");
	fl_save_int(s, "records", (int64_t)c->sink.records);
	fc_text_save(&c->text, s);
}

static int
restore(void *self, struct fl_run *run, struct fl_load *l, struct fl_err *err)
{
	struct commit *c = self;
	struct fl_state_section s;
	struct fl_state_entry e;
	int64_t records = 0;
	int rc;

	(void)run;
	while ((rc = fl_load_section(l, &s, err)) > 0) {
		if (strcmp(s.name, "commit") != 0 || s.version != 1) {
			if (fc_text_load(&c->text, l, &s, err) < 0)
				return err->code;
			continue;
		}
		while ((rc = fl_load_entry(l, &e, err)) > 0)
			if (fl_state_is(&e, "records") && fl_state_int(&e, &records, err) < 0)
				return err->code;
		if (rc < 0)
			return rc;
	}
	c->sink.records = (uint64_t)records;
	return rc < 0 ? rc : fc_text_go_on(&c->text, err);
}

static int
on_barrier(void *self, struct fl_run *run, const struct fl_barrier *b, const struct fl_ck_op *share,
	   struct fl_err *err)
{
	struct commit *c = self;

	if (fc_committer_check(&c->committer, err) < 0 || flush(c, err) < 0 ||
	    c->sink.type->mark(&c->sink, share->finished, err) < 0)
		return err->code;
	c->hurried = 0;
	c->held_ms = 0;
	c->asked = false;
	fc_committer_push(&c->committer, b, share, &c->sink.pieces, c->sink.records);
	fl_run_timer(run, fl_run_now(run) + CHECK_MS);
	return 0;
}

/* ---- the end ----------------------------------------------------------------------------- */

static int
was_finished(struct commit *c)
{
	fc_sink_say(&c->sink, "%s: finished already, %llu bytes in %s are as they should be",
		    c->sink.dir->path, (unsigned long long)c->sink.committed, c->sink.name);
	return 0;
}

static int
stopped(struct commit *c, const struct fl_end *end, struct fl_err *err)
{
	if (c->sink.type->finish(&c->sink, err) < 0)
		return err->code;
	if (c->committer.completed != end->checkpoint)
		return fl_fail(
			err, FL_ETEMP,
			"stopped, but savepoint %llu did not become complete: %s. The same line "
			"again goes on from the last checkpoint that did",
			(unsigned long long)end->checkpoint, c->committer.reason);
	if (end->code == 0)
		return 0;
	return fl_fail(err, -end->code,
		       "stopped with savepoint %llu: the same line again goes on from it",
		       (unsigned long long)end->checkpoint);
}

static int
finish(struct commit *c, const struct fl_end *end, struct fl_err *err)
{
	if (c->finished)
		return was_finished(c);
	if (fc_committer_wait(&c->committer, err) < 0)
		return err->code;
	if (end->status == FL_END_STOPPED)
		return stopped(c, end, err);
	return fc_committer_finish(&c->committer, err);
}

static int
on_finish(void *self, struct fl_run *run, const struct fl_end *end, struct fl_err *err)
{
	struct commit *c = self;
	int rc;

	(void)run;
	if (!c->opened) /* an empty input of a known format: no header, no rows */
		return 0;
	rc = finish(c, end, err);
	if (rc == 0)
		fl_ckdir_ended(c->sink.dir);
	return rc;
}

static const struct fl_opt opts[] = {
	{ .name = "segments",
	  .type = FL_OPT_STRING,
	  .offset = offsetof(struct commit, segments),
	  .arg = "SIZE|DUR",
	  .help = "files that appear whole, of about this size or age" },
	{ .name = "read-uncommitted",
	  .type = FL_OPT_FLAG,
	  .offset = offsetof(struct commit, read_uncommitted),
	  .help = "write rows at once, not when their checkpoint is complete" },
	{ .type = FL_OPT_END },
};

static const struct fl_op commit_op = {
	.name = "fcheckpoint",
	.uid_name = "commit",
	.summary = "end what fcheckpoint begin began: write results exactly once",
	.usage = "commit [-o FILE]",
	.notes = "  fcheckpoint begin -d ckpt --every 10s clicks.csv |\n"
		 "    fkeyby --icsv --time ts --watermark 5s user | fwindow tumble 1m |\n"
		 "    freduce n=count | fcheckpoint commit -o out.csv\n",
	.opts = opts,
	.self_size = sizeof(struct commit),
	.inputs_max = 1,
	.words = words,
	.open = open_commit,
	.on_batch = on_batch,
	.on_timer = on_timer,
	.on_end = on_end,
	.close = close_commit,
	.snapshot = snapshot,
	.restore = restore,
	.own_output = true,
	.on_barrier = on_barrier,
	.on_finish = on_finish,
};

int
fc_commit(int argc, char **argv)
{
	return fl_main(&commit_op, argc, argv);
}
