/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots of windows and groups: a run that is cut anywhere, saved, loaded into
 * fresh structures and continued gives what one run gives.
 *
 * The runner is one of this file: it keeps what is emitted, as text.
 */
#define _GNU_SOURCE /* memmem */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint/dir.h"
#include "checkpoint/snapshot.h"
#include "stream/value.h"
#include "run/options.h"
#include "tap.h"
#include "time/timestamp.h"
#include "window/groups.h"
#include "window/keyed.h"
#include "window/slices.h"

static uint64_t seed = 7;

static uint64_t
rnd(uint64_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % below;
}

/* ---- a runner --------------------------------------------------------------------- */

struct fl_run {
	struct fl_header in, out;
	struct fl_buf text; /* what was emitted, a line a row */
	struct fl_buf late; /* rows that were late: when they are told depends on the batches */
	int64_t now, timer, wm;
	struct fl_options options;
	struct fl_ckdir *dir;
	uint64_t checkpoint_id;
	struct fl_backend *backend; /* whose files the snapshot waits for */
};

#include "disk-run.h"

const struct fl_header *
fl_run_header(const struct fl_run *run, uint32_t input)
{
	(void)input;
	return &run->in;
}

struct fl_header *
fl_run_out(struct fl_run *run)
{
	return &run->out;
}

static void
print_rows(struct fl_buf *to, const struct fl_batch *b)
{
	struct fl_buf scratch = { 0 };
	const int64_t *wm = fl_batch_wm(b, &scratch);

	for (uint32_t i = 0; i < b->rows; i++) {
		fl_buf_printf(to, "row %d %lld %lld:", b->op ? b->op[i] : 0,
			      b->time ? (long long)b->time[i] : 0, (long long)wm[i]);
		for (uint32_t c = 0; c < b->cols; c++) {
			char tmp[FL_NUMBER_TEXT_MAX];
			size_t n;
			const char *p = fl_key_bytes(&b->col[c], i, tmp, &n);

			fl_buf_printf(to, " %d/%.*s", fl_tag_of(&b->col[c], i), p ? (int)n : 4,
				      p ? p : "NULL");
		}
		fl_buf_putc(to, '\n');
	}
	fl_buf_release(&scratch);
}

int
fl_emit(struct fl_run *run, const struct fl_batch *b, struct fl_err *err)
{
	(void)err;
	print_rows(&run->text, b);
	return 0;
}

void
fl_run_late(struct fl_run *run, uint64_t records, const char *path)
{
	(void)path;
	(void)run;
	(void)records;
}

struct fl_side *
fl_run_side(struct fl_run *run, const char *path, const struct fl_header *h, struct fl_err *err)
{
	(void)path;
	(void)h;
	(void)err;
	return (struct fl_side *)run;
}

int
fl_side_write(struct fl_side *s, const struct fl_header *h, const struct fl_batch *b,
	      struct fl_err *err)
{
	(void)h;
	(void)err;
	print_rows(&((struct fl_run *)s)->late, b);
	return 0;
}

int
fl_run_bad(struct fl_run *run, const struct fl_batch *b, const struct fl_badrows *bad,
	   const char *what, struct fl_err *err)
{
	(void)run;
	(void)b;
	(void)bad;
	(void)what;
	(void)err;
	return 0;
}

const struct fl_expr_env *
fl_run_expr_env(const struct fl_run *run)
{
	(void)run;
	return NULL;
}

int64_t
fl_run_watermark(const struct fl_run *run)
{
	return run->wm;
}

int64_t
fl_run_now(const struct fl_run *run)
{
	return run->now;
}

void
fl_run_timer(struct fl_run *run, int64_t at_ms)
{
	run->timer = at_ms;
}

/* ---- a computation: what freduce and fwindow do ------------------------------------------ */

enum engine { GROUPS, SLICES, KEYED, ENGINES };

static const char *const all_aggregates[] = {
	"n=count",
	"s=sum(v)",
	"first=first(v)",
	"list=array_agg(v)",
	"mean=avg(v)",
	"kinds=count(distinct v)",
	"mid=p50(v)",
	"top=topk(v, 2)",
	"low=min(v)",
	"big=count(*) filter (where v > 50)",
	"ratio=sum(v)/count(*)",
};

/* Those with nothing behind them, as a rule: texts may be long, sums large. */
static const char *const flat_aggregates[] = {
	"n=count",
	"s=sum(v)",
	"mean=avg(v)",
	"low=min(v)",
	"high=max(t)",
	"first=first(t)",
	"last=last(v)",
	"at=arg_max(v, t)",
	"dev=stddev(v)",
	"ok=bool_and(v > 10)",
	"texts=count(t)",
	"far=sum(v * 1e300) filter (where v > 97)",
};

struct plan {
	enum engine engine;
	struct fl_window_spec spec;
	bool updates;
	bool rows; /* no aggregates: the rows are the result */
	bool changelog;
	bool two_keys;
	const char *const *aggregate;
	size_t aggregates;
	bool on_disk;
	int64_t ttl_ms;
};

/* A checkpoint directory, as far as a state backend needs one. */
static char directory[100];
static struct fl_ckdir checkpoints = { .path = directory };
static uint64_t checkpoint_id;

static void
make(const char *name)
{
	char path[sizeof directory + FL_CHECKPOINT_NAME_MAX];

	(void)snprintf(path, sizeof path, "%s/%s", directory, name);
	if (mkdir(path, 0700) < 0)
		(void)tap_ok(false, "mkdir %s", path);
}

struct job {
	struct fl_run run;
	struct plan plan;
	struct fl_aggs *aggs;
	struct fl_results results;
	struct fl_late late;
	struct fl_groups groups;
	struct fl_slices slices;
	struct fl_keyed keyed;
};

static void
job_open(struct job *j, const struct plan *p)
{
	struct fl_header *in = &j->run.in;
	struct fl_err err = { 0 };
	bool bounds = p->engine != GROUPS && p->spec.kind != FL_WINDOW_COUNT &&
		      p->spec.kind != FL_WINDOW_GLOBAL;
	int rc = 0;

	*j = (struct job){ .plan = *p, .run.timer = INT64_MAX, .run.now = 1000 };
	if (p->on_disk) {
		j->run.dir = &checkpoints;
		checkpoints.attempt++;
		j->run.options.backend = FL_STATE_ROCKSDB;
		j->run.options.memory_max = FL_KIB(32); /* hardly anything stays in memory */
	}
	j->run.options.ttl_ms = p->ttl_ms;
	fl_header_init(in);
	fl_header_init(&j->run.out);
	(void)fl_header_add(in, "k", 1, FL_TEXT);
	(void)fl_header_add(in, "v", 1, FL_TEXT);
	(void)fl_header_add(in, "k2", 2, FL_TEXT);
	(void)fl_header_add(in, "t", 1, FL_TEXT);
	in->key_count = p->two_keys ? 2 : 1;
	in->keys = fl_xcalloc(2, sizeof *in->keys);
	in->keys[1] = 2;
	in->window = p->spec;
	in->changelog = p->changelog;
	if (!p->rows) {
		j->aggs = fl_aggs_new(NULL);
		for (size_t i = 0; i < p->aggregates && rc == 0; i++)
			rc = fl_aggs_define(j->aggs, p->aggregate[i], &err);
		if (rc == 0)
			rc = fl_aggs_bind(j->aggs, in, p->changelog, &err);
		fl_results_open(&j->results, &j->run, j->aggs, bounds, false, p->updates, bounds);
	} else {
		fl_header_append(&j->run.out, in, 0);
		if (bounds) {
			(void)fl_header_add(&j->run.out, "window_start", 12, FL_TIME);
			(void)fl_header_add(&j->run.out, "window_end", 10, FL_TIME);
		}
	}
	if (rc == 0)
		rc = fl_late_open(&j->late, &j->run, "late.csv", &err);
	if (rc == 0 && p->engine == GROUPS)
		rc = fl_groups_open(&j->groups, &j->run, j->aggs, &j->results, p->updates, &err);
	else if (rc == 0 && p->engine == SLICES)
		rc = fl_slices_open(&j->slices, &j->run, &p->spec, j->aggs, &j->results, &j->late,
				    p->updates, &err);
	else if (rc == 0)
		rc = fl_keyed_open(&j->keyed, &j->run, &p->spec, j->aggs,
				   j->aggs ? &j->results : NULL, &j->late, p->updates, &err);
	if (rc < 0)
		(void)tap_ok(false, "open: %s", err.msg);
}

static uint64_t evictions; /* of all jobs: how often memory was full */

static void
job_close(struct job *j)
{
	evictions += j->groups.spill.evictions + j->keyed.spill.evictions;
	fl_groups_release(&j->groups);
	fl_slices_release(&j->slices);
	fl_keyed_release(&j->keyed);
	fl_late_release(&j->late);
	if (j->aggs)
		fl_results_release(&j->results);
	fl_aggs_free(j->aggs);
	fl_header_release(&j->run.in);
	fl_header_release(&j->run.out);
	fl_buf_release(&j->run.text);
	fl_buf_release(&j->run.late);
}

static int
job_batch(struct job *j, const struct fl_batch *b, struct fl_err *err)
{
	if (j->plan.engine == GROUPS)
		return fl_groups_batch(&j->groups, b, err);
	return j->plan.engine == SLICES ? fl_slices_batch(&j->slices, b, err)
					: fl_keyed_batch(&j->keyed, b, err);
}

static int
job_advance(struct job *j, int64_t wm, struct fl_err *err)
{
	int rc = 0;

	if (j->plan.engine == SLICES)
		rc = fl_slices_advance(&j->slices, wm, err);
	else if (j->plan.engine == KEYED)
		rc = fl_keyed_advance(&j->keyed, wm, err);
	j->run.wm = wm;
	return rc < 0 || !j->aggs ? rc : fl_results_flush(&j->results, err);
}

static int
job_end(struct job *j, struct fl_err *err)
{
	if (j->plan.engine == GROUPS)
		return fl_groups_end(&j->groups, err);
	return job_advance(j, FL_TIME_MAX, err);
}

static void
job_save(struct job *j, struct fl_save *s)
{
	if (j->plan.engine == GROUPS)
		fl_groups_save(&j->groups, s);
	else if (j->plan.engine == SLICES)
		fl_slices_save(&j->slices, s);
	else
		fl_keyed_save(&j->keyed, s);
}

static int
job_load(struct job *j, const struct fl_buf *saved, struct fl_err *err)
{
	struct fl_load *l = fl_load_from(saved->data, saved->len, "memory", err);
	int rc = l ? 0 : err->code;

	if (rc == 0 && j->plan.engine == GROUPS)
		rc = fl_groups_load(&j->groups, l, err);
	else if (rc == 0 && j->plan.engine == SLICES)
		rc = fl_slices_load(&j->slices, l, err);
	else if (rc == 0)
		rc = fl_keyed_load(&j->keyed, l, err);
	fl_load_close(l);
	return rc;
}

/* ---- input ----------------------------------------------------------------------------- */

#define RECORDS 400
#define DELAY 20

struct record {
	int64_t time, wm;
	int key, value;
	uint8_t op;
};

static void
make_records(struct record *r, bool changelog)
{
	int64_t max = FL_TIME_MIN, at = 0;
	bool jumps = rnd(2);

	for (int i = 0; i < RECORDS; i++) {
		int back = i > 0 && rnd(3) == 0 ? (int)rnd((uint64_t)i) : -1;

		at += (int64_t)rnd(jumps && rnd(40) == 0 ? 400 : 5);
		r[i].time = at - (int64_t)rnd(rnd(6) ? DELAY : 5 * DELAY);
		r[i].wm = max == FL_TIME_MIN ? FL_TIME_MIN : max - DELAY - 1;
		r[i].key = (int)rnd(9);
		r[i].value = (int)rnd(100);
		r[i].op = FL_INSERT;
		max = r[i].time > max ? r[i].time : max;
		if (!changelog || back < 0 || r[back].op != FL_INSERT)
			continue;
		r[i].key = r[back].key;
		r[i].value = r[back].value;
		r[i].op = FL_DELETE;
	}
}

static void
put_record(struct fl_build *b, const struct record *r)
{
	char text[32];
	int n;

	if (r->key == 0)
		fl_put_null(&b->col[0]);
	else
		fl_put_text(&b->col[0], "ein langer Name eines Nutzers", (size_t)r->key * 3,
			    r->key % 2 ? FL_TAG_STRING : FL_TAG_PLAIN);
	n = snprintf(text, sizeof text, r->value % 7 ? "%d" : "%d.25", r->value);
	fl_put_text(&b->col[1], text, (size_t)n, FL_TAG_PLAIN);
	fl_put_int(&b->col[2], r->value % 3);
	fl_put_text(&b->col[3], "ein Text, der manchmal lang ist", r->value > 90 ? 31 : 8,
		    FL_TAG_PLAIN);
	fl_build_row(b, r->time, r->wm, (enum fl_rowkind)r->op);
}

/* Records from .. to, in batches of several sizes. */
static int
feed(struct job *j, const struct record *r, int from, int to, struct fl_err *err)
{
	struct fl_build b;
	int rc = 0;

	fl_build_init(&b, 4);
	b.timed = true;
	b.changelog = j->plan.changelog;
	while (from < to && rc == 0) {
		int n = 1 + (int)rnd(20);

		fl_build_clear(&b);
		for (; n > 0 && from < to; n--)
			put_record(&b, &r[from++]);
		rc = job_batch(j, fl_build_view(&b), err);
		if (rc == 0)
			rc = job_advance(j, r[from - 1].wm, err);
	}
	fl_build_release(&b);
	return rc;
}

/* ---- the same, cut or not ---------------------------------------------------------------- */

static uint64_t flat, mixed; /* entries that were flat; states in which not all were */

static void
count_kinds(const struct fl_buf *saved)
{
	struct fl_err err;
	struct fl_load *l = fl_load_from(saved->data, saved->len, "memory", &err);
	struct fl_state_section section;
	struct fl_state_entry e;

	while (fl_load_section(l, &section, &err) > 0) {
		uint64_t here = 0, others = 0;

		while (fl_load_entry(l, &e, &err) > 0) {
			here += e.is_flat;
			others += !e.is_flat;
		}
		flat += here;
		mixed += here && others;
	}
	fl_load_close(l);
}

static void
save(struct job *j, struct fl_buf *to)
{
	struct fl_save *s = fl_save_new(-1, "memory");
	char chk[FL_CHECKPOINT_NAME_MAX];
	struct fl_err err;
	int rc = 0;

	if (j->plan.on_disk) {
		j->run.checkpoint_id = ++checkpoint_id;
		fl_ck_path(chk, checkpoint_id, NULL);
		make(chk);
		if (j->plan.engine == GROUPS)
			rc = fl_groups_before_save(&j->groups, &err);
		else if (j->plan.engine == SLICES)
			rc = fl_slices_before_save(&j->slices, &err);
		else
			rc = fl_keyed_before_save(&j->keyed, &err);
	}
	if (rc == 0 && j->run.backend)
		rc = fl_backend_checkpointed(j->run.backend, &err);
	if (rc < 0)
		(void)tap_ok(false, "before the snapshot: %s", err.msg);
	job_save(j, s);
	if (fl_save_end(s, &err) < 0)
		(void)tap_ok(false, "save: %s", err.msg);
	fl_buf_put(to, fl_save_memory(s)->data, fl_save_memory(s)->len);
	fl_save_free(s);
	count_kinds(to);
}

/* All rows, of a run with the given cuts, appended to out. */
static int
run_cut(const struct plan *p, const struct record *r, const int *cut, int cuts, struct fl_buf *out,
	struct fl_err *err)
{
	struct job *j = fl_xcalloc(1, sizeof *j);
	struct fl_buf saved = { 0 }, late = { 0 };
	int from = 0, rc = 0;

	job_open(j, p);
	for (int i = 0; i < cuts && rc == 0; i++) {
		rc = feed(j, r, from, cut[i], err);
		from = cut[i];
		fl_buf_clear(&saved);
		save(j, &saved);
		fl_buf_put(out, j->run.text.data, j->run.text.len);
		fl_buf_put(&late, j->run.late.data, j->run.late.len);
		job_close(j);
		job_open(j, p);
		if (rc == 0)
			rc = job_load(j, &saved, err);
	}
	if (rc == 0)
		rc = feed(j, r, from, RECORDS, err);
	if (rc == 0)
		rc = job_end(j, err);
	fl_buf_put(out, j->run.text.data, j->run.text.len);
	fl_buf_puts(out, "late:\n");
	fl_buf_put(out, late.data, late.len);
	fl_buf_put(out, j->run.late.data, j->run.late.len);
	job_close(j);
	fl_buf_release(&late);
	fl_buf_release(&saved);
	free(j);
	return rc;
}

static struct plan
random_plan(enum engine engine)
{
	static const enum fl_window_kind aligned[] = { FL_WINDOW_TUMBLE, FL_WINDOW_SLIDE,
						       FL_WINDOW_CUMULATE };
	struct plan p = { .engine = engine,
			  .aggregate = all_aggregates,
			  .aggregates = FL_ARRAY_LEN(all_aggregates) };
	struct fl_window_spec *s = &p.spec;

	p.updates = rnd(2);
	p.two_keys = rnd(3) == 0;
	if (rnd(2)) {
		p.aggregate = flat_aggregates;
		p.aggregates = FL_ARRAY_LEN(flat_aggregates);
	}
	s->keep_count = s->keep_time = -1;
	if (engine == GROUPS) {
		p.changelog = rnd(2);
		return p;
	}
	s->kind = engine == SLICES ? aligned[rnd(3)] : (enum fl_window_kind)(1 + rnd(6));
	s->size = 30;
	s->lateness = rnd(2) ? 0 : (int64_t)rnd(60);
	if (s->kind == FL_WINDOW_SLIDE)
		s->slide = rnd(2) ? 7 : rnd(2) ? 10 : 45;
	if (s->kind == FL_WINDOW_CUMULATE)
		s->slide = 10;
	if (s->kind == FL_WINDOW_COUNT) {
		s->size = 1 + (int64_t)rnd(5);
		s->slide = (int64_t)rnd(3);
	}
	if (engine == SLICES)
		return p;
	s->trigger = (enum fl_trigger_kind)rnd(4);
	if (s->kind == FL_WINDOW_GLOBAL && s->trigger == FL_TRIGGER_DEFAULT)
		s->trigger = FL_TRIGGER_EVERY;
	s->trigger_arg = s->trigger == FL_TRIGGER_EVERY ? 11 : 3;
	s->purge = rnd(3) == 0;
	if (rnd(3) == 0)
		s->keep_count = (int64_t)rnd(5);
	else if (rnd(4) == 0)
		s->keep_time = (int64_t)rnd(40);
	p.rows = rnd(4) == 0;
	p.updates = p.updates && !p.rows;
	return p;
}

static void
show_difference(const struct fl_buf *a, const struct fl_buf *b)
{
	size_t at = 0, line = 0;

	while (at < a->len && at < b->len && a->data[at] == b->data[at])
		line = a->data[at++] == '\n' ? at : line;
	(void)printf("#   whole: %.*s\n#   cut:   %.*s\n", (int)strcspn(a->data + line, "\n"),
		     a->data + line, (int)strcspn(b->data + line, "\n"), b->data + line);
}

static void
cut_anywhere(enum engine engine, bool on_disk, int times, const char *name)
{
	struct record r[RECORDS];
	size_t lines = 0;
	bool same = true;

	for (int i = 0; i < times && same; i++) {
		struct plan p = random_plan(engine);
		struct fl_buf whole = { 0 }, parts = { 0 };
		struct fl_err err = { 0 };
		int cut[3] = { (int)rnd(RECORDS / 2), 0, 0 };

		cut[1] = cut[0] + (int)rnd(RECORDS / 4);
		cut[2] = cut[1] + (int)rnd(RECORDS / 4);
		make_records(r, p.changelog);
		same = run_cut(&p, r, NULL, 0, &whole, &err) == 0;
		p.on_disk = on_disk;
		same = same && run_cut(&p, r, cut, 3, &parts, &err) == 0 &&
		       whole.len == parts.len && memcmp(whole.data, parts.data, whole.len) == 0;
		for (size_t k = 0; k < whole.len; k++)
			lines += whole.data[k] == '\n';
		if (!same) {
			(void)printf(
				"#   plan %d: kind %d slide %lld lateness %lld trigger %d purge %d "
				"keep %lld %lld updates %d rows %d; %s\n",
				i, p.spec.kind, (long long)p.spec.slide, (long long)p.spec.lateness,
				p.spec.trigger, p.spec.purge, (long long)p.spec.keep_count,
				(long long)p.spec.keep_time, p.updates, p.rows, err.msg);
			fl_buf_putc(&whole, '\n');
			fl_buf_putc(&parts, '\n');
			show_difference(&whole, &parts);
		}
		fl_buf_release(&whole);
		fl_buf_release(&parts);
	}
	(void)tap_ok(same && lines > (size_t)times * 5,
		     "%s: cut in three places, a run gives what it gives whole (%zu rows)", name,
		     lines);
}

/* ---- what may change ----------------------------------------------------------------------- */

/* Run with one plan up to a cut, with the other from there. */
static int
change(const struct plan *before, const struct plan *after, const struct record *r, int cut,
       struct fl_buf *out, struct fl_err *err)
{
	struct job *j = fl_xcalloc(1, sizeof *j);
	struct fl_buf saved = { 0 };
	int rc;

	job_open(j, before);
	rc = feed(j, r, 0, cut, err);
	save(j, &saved);
	job_close(j);
	job_open(j, after);
	if (rc == 0)
		rc = job_load(j, &saved, err);
	if (rc == 0)
		rc = feed(j, r, cut, RECORDS, err);
	if (rc == 0)
		rc = job_end(j, err);
	fl_buf_put(out, j->run.text.data, j->run.text.len);
	job_close(j);
	fl_buf_release(&saved);
	free(j);
	return rc;
}

/* The rows that both have from some place on, as text without their first lines. */
static bool
ends_alike(const struct fl_buf *whole, const struct fl_buf *part)
{
	return part->len && part->len <= whole->len &&
	       memcmp(whole->data + whole->len - part->len, part->data, part->len) == 0;
}

static void
other_aggregates(enum engine engine, bool flat_ones)
{
	static const char *const lists[] = { "x=avg(v)", "gone=array_agg(v)", "n=count",
					     "p=p90(v)", "d=topk(v, 3)" };
	static const char *const plain[] = { "x=avg(v)", "gone=first(t)", "n=count", "p=min(v)",
					     "d=stddev(v)" };
	static const char *const after[] = { "sum=sum(v)", "m=count(*)" };
	struct plan a = random_plan(engine), b;
	struct record r[RECORDS];
	struct fl_buf whole = { 0 }, part = { 0 };
	struct fl_err err = { 0 };
	int rc;

	a.updates = a.changelog = a.rows = false;
	a.spec.keep_count = a.spec.keep_time = -1;
	b = a;
	a.aggregate = flat_ones ? plain : lists;
	a.aggregates = FL_ARRAY_LEN(lists);
	b.aggregate = after;
	b.aggregates = FL_ARRAY_LEN(after);
	make_records(r, false);
	rc = run_cut(&b, r, NULL, 0, &whole, &err);
	whole.len = (size_t)((char *)memmem(whole.data, whole.len, "late:\n", 6) - whole.data);
	if (rc == 0)
		rc = change(&a, &b, r, RECORDS / 2, &part, &err);
	(void)tap_ok(rc == 0 && ends_alike(&whole, &part),
		     "other aggregates: what stays keeps its sums, engine %d%s%s%s", engine,
		     flat_ones ? ", flat" : "", rc ? ": " : "", rc ? err.msg : "");
	fl_buf_release(&whole);
	fl_buf_release(&part);
}

static void
new_aggregate(const char *one, int result)
{
	const char *const before[] = { "n=count" }, *const after[] = { one, "n=count" };
	struct plan a = { .engine = GROUPS, .aggregate = before, .aggregates = 1 }, b = a;
	struct record r[RECORDS] = { { 0 } };
	struct fl_buf out = { 0 };
	struct fl_err err = { 0 };
	char want[100];
	int rc;

	for (int i = 0; i < RECORDS; i++)
		r[i] = (struct record){ .key = 1, .value = 1, .wm = FL_TIME_MIN };
	b.aggregate = after;
	b.aggregates = 2;
	rc = change(&a, &b, r, 100, &out, &err);
	fl_buf_putc(&out, '\0');
	(void)snprintf(want, sizeof want, "row 0 0 0: 1/ein 0/%d 0/%d\n", result, RECORDS);
	(void)tap_eq_int(rc, 0, "a new aggregate, %s: no error", one);
	(void)tap_eq_str(strchr(out.data, ':'), strchr(want, ':'), "it starts empty");
	fl_buf_release(&out);
}

/* Groups of which nothing came for so long are gone from disk, too. */
static int
count_one(void *self, struct fl_entry *e, struct fl_err *err)
{
	(void)err;
	((struct fl_groups *)self)->swept += !e->deleted;
	return 0;
}

static void
expired(void)
{
	struct plan p = { .engine = GROUPS,
			  .on_disk = true,
			  .two_keys = true,
			  .aggregate = all_aggregates,
			  .aggregates = FL_ARRAY_LEN(all_aggregates) };

	for (int updates = 0; updates < 2; updates++) {
		struct job *j = fl_xcalloc(1, sizeof *j);
		struct record r[RECORDS];
		struct fl_err err = { 0 };
		int rc;

		p.updates = updates;
		p.ttl_ms = 1000;
		job_open(j, &p);
		make_records(r, false);
		rc = feed(j, r, 0, 300, &err);
		j->run.now += 900;
		r[300] = r[0];
		rc = rc ? rc : feed(j, r, 300, 301, &err);
		j->run.now += 500; /* all but that one have expired, by more than an eighth */
		r[301] = r[300];
		rc = rc ? rc : feed(j, r, 301, 302, &err);
		(void)tap_eq_int(rc, 0, "with a TTL: no error");
		j->groups.swept = 0;
		rc = fl_spill_each(&j->groups.spill, 0, count_one, &err);
		(void)tap_ok(rc == 0 && j->groups.swept == 1,
			     "what has expired is gone from disk (%u groups are left)",
			     j->groups.swept);
		evictions = 0;
		job_close(j);
		(void)tap_ok(evictions > 10, "where it was (%llu evictions)",
			     (unsigned long long)evictions);
		free(j);
	}
}

static void
refused(void)
{
	struct plan a = { .engine = SLICES,
			  .spec = { .kind = FL_WINDOW_TUMBLE,
				    .size = 60000,
				    .keep_count = -1,
				    .keep_time = -1 },
			  .aggregate = all_aggregates,
			  .aggregates = 1 };
	struct plan b = a;
	struct record r[RECORDS];
	struct fl_buf out = { 0 };
	struct fl_err err = { 0 };

	make_records(r, false);
	b.spec.lateness = 5;
	(void)tap_eq_int(change(&a, &b, r, 50, &out, &err), 0, "another lateness is fine");
	b.spec.size = 120000;
	(void)tap_ok(change(&a, &b, r, 50, &out, &err) == FL_ECONFIG &&
			     strstr(err.msg, "tumble 1m") && strstr(err.msg, "tumble 2m"),
		     "another size is not: %s", err.msg);
	b = a;
	b.two_keys = true;
	(void)tap_ok(change(&a, &b, r, 50, &out, &err) == FL_ECONFIG && strstr(err.msg, "\"k\"") &&
			     strstr(err.msg, "\"k,k2\""),
		     "other keys are not: %s", err.msg);
	b = a;
	b.updates = true;
	(void)tap_ok(change(&a, &b, r, 50, &out, &err) == FL_ECONFIG, "--updates is not: %s",
		     err.msg);
	b = a;
	b.engine = GROUPS;
	b.spec.kind = FL_WINDOW_NONE;
	b.spec.size = 0;
	(void)tap_ok(change(&a, &b, r, 50, &out, &err) == FL_ECONFIG, "nor no windows: %s",
		     err.msg);
	fl_buf_release(&out);
}

static void
processing_time(void)
{
	struct plan p = { .engine = SLICES,
			  .spec = { .kind = FL_WINDOW_TUMBLE,
				    .size = 1000,
				    .keep_count = -1,
				    .keep_time = -1,
				    .processing_time = true },
			  .aggregate = all_aggregates,
			  .aggregates = 1 };

	for (int engine = SLICES; engine <= KEYED; engine++) {
		struct job *j = fl_xcalloc(1, sizeof *j);
		struct record r[RECORDS];
		struct fl_buf saved = { 0 };
		struct fl_err err = { 0 };

		p.engine = (enum engine)engine;
		make_records(r, false);
		for (int i = 0; i < RECORDS; i++)
			r[i].wm = FL_TIME_MIN;
		job_open(j, &p);
		(void)tap_ok(feed(j, r, 0, 100, &err) == 0 && j->run.timer == 1999,
			     "by the clock, engine %d: the window's end is asked for", engine);
		save(j, &saved);
		job_close(j);
		job_open(j, &p);
		(void)tap_ok(job_load(j, &saved, &err) == 0 && j->run.timer == 1999,
			     "and asked for again after a restore");
		j->run.now = 5000;
		(void)tap_ok(job_advance(j, 5000, &err) == 0 && j->run.text.len > 0,
			     "and fires, also if its time has passed meanwhile");
		job_close(j);
		fl_buf_release(&saved);
		free(j);
	}
}

/* ---- damage --------------------------------------------------------------------------------- */

/* As it was, or with a bit of what is before the value changed. */
static void
put_flat(struct fl_save *s, const struct fl_state_entry *e)
{
	bool is_long = e->key_len > 16 && e->key_len != FL_STATE_NULL_KEY;
	struct fl_state_flat flat_one = {
		.seq = e->seq, .key_len = e->key_len, .tags = e->key_tags, .flags = e->flags
	};
	uint32_t size = (uint32_t)sizeof flat_one + (e->value_len & ~7u);
	char *at = fl_save_flat(s, e->ns, e->ns_len, size, 1, is_long ? e->key_len : 0);

	if (!is_long && e->key_len != FL_STATE_NULL_KEY)
		memcpy(flat_one.key, e->key, e->key_len);
	if (rnd(20) == 0)
		((char *)&flat_one)[rnd(sizeof flat_one)] ^= (char)(1u << rnd(8));
	memcpy(at, &flat_one, sizeof flat_one);
	memcpy(at + sizeof flat_one, e->value, size - sizeof flat_one);
	if (is_long)
		memcpy(at + size, e->key, e->key_len);
}

/* The same snapshot with some bits of entries changed, and right checksums. */
static void
mutate(const struct fl_buf *from, struct fl_buf *to)
{
	struct fl_err err = { 0 };
	struct fl_load *l = fl_load_from(from->data, from->len, "memory", &err);
	struct fl_save *s = fl_save_new(-1, "memory");
	struct fl_state_section section;
	struct fl_state_entry e;
	struct fl_buf key = { 0 }, value = { 0 };
	uint64_t at = rnd(30);

	while (fl_load_section(l, &section, &err) > 0) {
		fl_save_section(s, section.name, section.version, NULL);
		while (fl_load_entry(l, &e, &err) > 0) {
			fl_buf_clear(&value);
			fl_buf_put(&value, e.value, e.value_len);
			if (at-- == 0 && value.len) {
				value.data[rnd(value.len)] ^= (char)(1u << rnd(8));
				e.value_len -= (uint32_t)rnd(2);
				at = rnd(30);
			}
			e.value = value.data;
			fl_buf_clear(&key);
			if (e.key_len != FL_STATE_NULL_KEY)
				fl_buf_put(&key, e.key, e.key_len);
			if (key.len && rnd(20) == 0)
				key.data[rnd(key.len)] ^= (char)(1u << rnd(8));
			e.key = key.data;
			if (e.is_flat)
				put_flat(s, &e);
			else
				fl_save_entry(s, &e);
		}
	}
	(void)fl_save_end(s, &err);
	fl_buf_put(to, fl_save_memory(s)->data, fl_save_memory(s)->len);
	fl_buf_release(&key);
	fl_buf_release(&value);
	fl_save_free(s);
	fl_load_close(l);
}

static void
damage(void)
{
	int found = 0, other = 0;

	for (int i = 0; i < 600; i++) {
		struct plan p = random_plan((enum engine)(i % ENGINES));
		struct job *j = fl_xcalloc(1, sizeof *j);
		struct record r[RECORDS];
		struct fl_buf saved = { 0 }, bad = { 0 };
		struct fl_err err = { 0 };
		int rc;

		make_records(r, p.changelog);
		job_open(j, &p);
		(void)feed(j, r, 0, 100, &err);
		save(j, &saved);
		job_close(j);
		mutate(&saved, &bad);
		job_open(j, &p);
		rc = job_load(j, &bad, &err);
		if (rc == 0) /* a number, a key: it cannot be seen, but must do no harm */
			(void)feed(j, r, 100, 200, &err);
		found += rc == FL_EDATA || rc == FL_ECONFIG;
		other += rc != 0 && rc != FL_EDATA && rc != FL_ECONFIG;
		job_close(j);
		fl_buf_release(&saved);
		fl_buf_release(&bad);
		free(j);
	}
	(void)tap_ok(found > 100 && other == 0, "hostile snapshots: %d of 600 found, none crashes",
		     found);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void
remove_all(const char *path)
{
	(void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int
main(void)
{
	(void)snprintf(directory, sizeof directory, "t-winstate.%d", (int)getpid());
	if (mkdir(directory, 0700) < 0)
		return 1;
	make("work");
	cut_anywhere(GROUPS, false, 100, "groups");
	cut_anywhere(SLICES, false, 150, "slices");
	cut_anywhere(KEYED, false, 400, "windows by key");
	cut_anywhere(GROUPS, true, 8, "groups on disk");
	cut_anywhere(SLICES, true, 8, "slices on disk");
	cut_anywhere(KEYED, true, 25, "windows by key on disk");
	(void)tap_ok(evictions > 500, "and memory was full often enough (%llu times)",
		     (unsigned long long)evictions);
	expired();
	(void)tap_ok(flat > 2000 && mixed > 100, "%llu entries were flat, in %llu states not all",
		     (unsigned long long)flat, (unsigned long long)mixed);
	for (int i = 0; i < 24; i++)
		other_aggregates((enum engine)(i % ENGINES), i % 2);
	new_aggregate("s=sum(v)", RECORDS - 100);
	new_aggregate("d=count(distinct v)", 1); /* which is never flat */
	refused();
	processing_time();
	damage();
	remove_all(directory);
	return tap_done();
}
