/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What fdedup, frank and fover keep of a key on disk, damaged in every way: it is read as
 * something, or told to be damaged; nothing else happens.
 */
#define _GNU_SOURCE /* nftw */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint/dir.h"
#include "rank/dedup.h"
#include "rank/over.h"
#include "rank/rank.h"
#include "run/options.h"
#include "tap.h"
#include "time/timestamp.h"

static uint64_t seed = 3;

static uint64_t
rnd(uint64_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % below;
}

/* ---- a runner -------------------------------------------------------------------------- */

struct fl_run {
	struct fl_header in, out;
	struct fl_options options;
	struct fl_ckdir *dir;
	uint64_t checkpoint_id;
	struct fl_backend *backend;
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

int
fl_emit(struct fl_run *run, const struct fl_batch *b, struct fl_err *err)
{
	(void)run;
	(void)b;
	(void)err;
	return 0;
}

void
fl_run_late(struct fl_run *run, uint64_t records, const char *path)
{
	(void)run;
	(void)records;
	(void)path;
}

struct fl_side *
fl_run_side(struct fl_run *run, const char *path, const struct fl_header *h, struct fl_err *err)
{
	(void)run;
	(void)path;
	(void)h;
	(void)err;
	return NULL;
}

int
fl_side_write(struct fl_side *s, const struct fl_header *h, const struct fl_batch *b,
	      struct fl_err *err)
{
	(void)s;
	(void)h;
	(void)b;
	(void)err;
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
	(void)run;
	return FL_TIME_MIN;
}

int64_t
fl_run_now(const struct fl_run *run)
{
	(void)run;
	return 0;
}

void
fl_run_timer(struct fl_run *run, int64_t at_ms)
{
	(void)run;
	(void)at_ms;
}

/* ---- the operators ----------------------------------------------------------------------- */

enum what { DEDUP, DEDUP_LAST, RANK, RETRACTING_RANK, SESSIONS, OVER, OPERATORS };

static const char *const names[] = {
	"dedup", "dedup --within", "rank", "rank of a changelog", "rank of sessions", "over"
};

struct job {
	struct fl_run run;
	enum what what;
	struct fl_sortby order;
	struct fl_dedup dedup;
	struct fl_rank rank;
	struct fl_over over;
};

static char directory[100];
static struct fl_ckdir checkpoints = { .path = directory };
static uint64_t checkpoint_id;

static int
open_job(struct job *j, struct fl_err *err)
{
	struct fl_dedup_spec within = { .last = true, .within = 5000 };
	struct fl_dedup_spec first = { .within = -1 };
	struct fl_rank_spec rank = { .limit = 3, .what = "by v", .order = &j->order };
	struct fl_over_spec over = { .frame = FL_OVER_ROWS, .before = 4 };

	if (j->what == DEDUP || j->what == DEDUP_LAST)
		return fl_dedup_open(&j->dedup, &j->run, j->what == DEDUP ? &first : &within, err);
	if (j->what == OVER) {
		(void)fl_over_define(&j->over, "s=array_agg(v)", NULL, err);
		(void)fl_over_define(&j->over, "l=lag(v, 2)", NULL, err);
		return fl_over_open(&j->over, &j->run, &over, err);
	}
	if (fl_sortby_parse(&j->order, "v desc, k", NULL, err) < 0)
		return err->code;
	return fl_rank_open(&j->rank, &j->run, &rank, err);
}

static void
job_open(struct job *j, enum what what)
{
	struct fl_header *in = &j->run.in;
	struct fl_err err = { 0 };

	*j = (struct job){ .what = what, .run = { .dir = &checkpoints } };
	checkpoints.attempt++;
	j->run.options = (struct fl_options){ .backend = FL_STATE_ROCKSDB,
					      .memory_max = FL_MIB(16) };
	fl_header_init(in);
	fl_header_init(&j->run.out);
	(void)fl_header_add(in, "k", 1, FL_TEXT);
	(void)fl_header_add(in, "v", 1, FL_TEXT);
	in->key_count = 1;
	in->keys = fl_xcalloc(1, sizeof *in->keys);
	in->changelog = what == RETRACTING_RANK;
	in->time = what == RETRACTING_RANK ? NULL : fl_xstrdup("ts");
	if (what == SESSIONS) {
		in->window.kind = FL_WINDOW_SESSION;
		in->window.size = 1000;
		in->window.keep_count = in->window.keep_time = -1;
	}
	if (open_job(j, &err) < 0)
		(void)tap_ok(false, "open: %s", err.msg);
}

static void
job_close(struct job *j)
{
	fl_dedup_release(&j->dedup);
	fl_rank_release(&j->rank);
	fl_over_release(&j->over);
	fl_sortby_release(&j->order);
	fl_header_release(&j->run.in);
	fl_header_release(&j->run.out);
}

/* n rows of keys key, key+1 … */
static int
feed(struct job *j, unsigned key, unsigned n, int64_t wm, struct fl_err *err)
{
	const struct fl_batch *b;
	struct fl_build build;
	char text[40];
	int rc;

	fl_build_init(&build, 2);
	build.timed = j->what != RETRACTING_RANK;
	build.changelog = j->what == RETRACTING_RANK;
	for (unsigned i = key; i < key + n; i++) {
		fl_put_text(&build.col[0], text, (size_t)sprintf(text, "key number %u", i),
			    FL_TAG_PLAIN);
		fl_put_text(&build.col[1], text,
			    (size_t)sprintf(text, rnd(3) ? "%u" : "text %u", (unsigned)rnd(99)),
			    FL_TAG_PLAIN);
		fl_build_row(&build, wm + 1 + (int64_t)rnd(3000), wm, FL_INSERT);
	}
	b = fl_build_view(&build);
	rc = j->what == OVER        ? fl_over_batch(&j->over, b, err)
	     : j->what > DEDUP_LAST ? fl_rank_batch(&j->rank, b, err)
				    : fl_dedup_batch(&j->dedup, b, err);
	fl_build_release(&build);
	return rc;
}

static struct fl_save *
save(struct job *j, struct fl_err *err)
{
	struct fl_save *s = fl_save_new(-1, "memory");
	char chk[FL_CHECKPOINT_NAME_MAX], path[sizeof directory + FL_CHECKPOINT_NAME_MAX];
	int rc;

	j->run.checkpoint_id = ++checkpoint_id;
	fl_ck_path(chk, checkpoint_id, NULL);
	(void)snprintf(path, sizeof path, "%s/%s", directory, chk);
	rc = mkdir(path, 0700);
	if (j->what == OVER) {
		rc = rc < 0 ? rc : fl_over_checkpoint(&j->over, err);
		fl_over_snapshot(&j->over, s);
	} else if (j->what > DEDUP_LAST) {
		rc = rc < 0 ? rc : fl_rank_checkpoint(&j->rank, err);
		fl_rank_snapshot(&j->rank, s);
	} else {
		rc = rc < 0 ? rc : fl_dedup_checkpoint(&j->dedup, err);
		fl_dedup_snapshot(&j->dedup, s);
	}
	if (rc < 0 || fl_backend_checkpointed(j->run.backend, err) < 0 || fl_save_end(s, err) < 0)
		(void)tap_ok(false, "save: %s", err->msg);
	return s;
}

static int
load(struct job *j, const struct fl_save *s, struct fl_err *err)
{
	const struct fl_buf *file = fl_save_memory(s);
	struct fl_load *l = fl_load_from(file->data, file->len, "memory", err);
	int rc = l ? 0 : err->code;

	if (rc == 0)
		rc = j->what == OVER        ? fl_over_restore(&j->over, l, err)
		     : j->what > DEDUP_LAST ? fl_rank_restore(&j->rank, l, err)
					    : fl_dedup_restore(&j->dedup, l, err);
	fl_load_close(l);
	return rc;
}

/* ---- damage ------------------------------------------------------------------------------------ */

struct damage {
	struct fl_table table; /* value: size_t, the place of the bytes in values */
	struct fl_buf values;  /* uint32_t length, bytes */
	bool none;             /* write them as they were */
};

static void
put_damaged(void *ctx, const struct fl_entry *e, struct fl_buf *out)
{
	struct damage *d = ctx;
	uint32_t n, word = (uint32_t)rnd(8) ? (uint32_t)rnd(20) : UINT32_MAX - (uint32_t)rnd(3);
	size_t at, from = out->len;

	memcpy(&at, e->value, sizeof at);
	memcpy(&n, d->values.data + at, sizeof n);
	fl_buf_put(out, d->values.data + at + sizeof n, n);
	if (d->none)
		return;
	switch (rnd(5)) {
	case 0: /* shorter, but for what the spill itself reads first */
		out->len = from + 16 + rnd(n - 15);
		break;
	case 1: /* longer */
		fl_buf_put(out, "more of it, and more", rnd(20));
		break;
	case 2: /* a byte */
		out->data[from + rnd(n)] = (char)rnd(256);
		break;
	case 3: /* a length */
		if (n >= 24)
			memcpy(out->data + from + 16 + 4 * rnd((n - 20) / 4 + 1), &word, 4);
		break;
	default: /* all of a part */
		for (size_t i = 16 + rnd(n - 15); i < n; i++)
			out->data[from + i] = (char)rnd(256);
	}
}

/* Put all values of the checkpoint's files into d. */
static void
take_values(struct damage *d, struct fl_backend *b, struct fl_bytes ns, struct fl_err *err)
{
	struct fl_backend_walk *w = fl_backend_walk_open(b, ns);
	struct fl_bytes order, value;
	struct fl_entry *e;
	struct fl_key key;

	while (fl_backend_walk_next(w, &order, &key, &value, err) > 0) {
		size_t at = d->values.len;
		uint32_t n = (uint32_t)value.n;

		key.hash = (uint64_t)rnd(1u << 30);
		(void)fl_table_put(&d->table, &key, NULL, 1, at, &e, NULL, err);
		memcpy(e->value, &at, sizeof at);
		fl_buf_put(&d->values, &n, sizeof n);
		fl_buf_put(&d->values, value.p, n);
	}
	fl_backend_walk_close(w);
}

/* The files of checkpoint checkpoint_id, with every value damaged. Returns how many. */
static uint32_t
damage_files(bool none, struct fl_err *err)
{
	struct fl_bytes ns = { "K\x80\0\0\0\0\0\0\0", 9 };
	char name[FL_CHECKPOINT_NAME_MAX], path[FL_CHECKPOINT_NAME_MAX];
	char from[300], work[300], old[320];
	struct damage d = { .none = none };
	struct fl_budget budget;
	struct fl_entry **list;
	struct fl_backend *b;
	uint32_t n;
	int rc;

	fl_ck_file(name, fl_run_uid(NULL), checkpoints.attempt, "files");
	fl_ck_path(path, checkpoint_id, name);
	(void)snprintf(from, sizeof from, "%s/%s", directory, path);
	(void)snprintf(old, sizeof old, "%s.old", from);
	(void)snprintf(work, sizeof work, "%s/work/other", directory);
	fl_budget_init(&budget, SIZE_MAX);
	fl_table_init(&d.table, &budget, sizeof(size_t));
	b = fl_backend_open(
		&(struct fl_backend_options){ .dir = work, .from = from, .memory_max = FL_MIB(16) },
		err);
	if (!b) {
		(void)tap_ok(false, "the files: %s", err->msg);
		return 0;
	}
	take_values(&d, b, ns, err);
	n = d.table.count;
	list = fl_xcalloc(n + 1, sizeof(struct fl_entry *));
	for (uint32_t i = 0; i < n; i++)
		list[i] = fl_table_at(&d.table, i);
	rc = fl_backend_begin(b, err);
	rc = rc < 0 ? rc : fl_backend_write(b, ns, list, n, false, put_damaged, &d, err);
	rc = rc < 0 ? rc : fl_backend_end(b, err);
	rc = rc < 0 ? rc : rename(from, old);
	rc = rc < 0 ? rc : fl_backend_checkpoint(b, from, err);
	if (rc < 0 || fl_backend_checkpointed(b, err) < 0)
		(void)tap_ok(false, "damaging: %s", err->msg);
	fl_backend_close(b);
	free(list);
	fl_buf_release(&d.values);
	fl_table_release(&d.table);
	fl_budget_release(&budget);
	return n;
}

/* ---- the test ------------------------------------------------------------------------------------ */

#define KEYS 150

/* Write, damage (or not), read each key: how many were told to be damaged. */
static void
round_of(enum what what, bool none, unsigned *ret_told, unsigned *ret_read)
{
	struct fl_err err = { 0 };
	struct fl_save *s;
	struct job j;
	int rc = 0;

	job_open(&j, what);
	for (int i = 0; i < 6 && rc == 0; i++)
		rc = feed(&j, 0, KEYS, i * 500, &err);
	s = save(&j, &err);
	job_close(&j);
	if (rc < 0 || damage_files(none, &err) < KEYS / 2)
		(void)tap_ok(false, "%s: nothing was kept: %s", names[what], err.msg);
	job_open(&j, what);
	if (load(&j, s, &err) < 0)
		(void)tap_ok(false, "%s: load: %s", names[what], err.msg);
	for (unsigned i = 0; i < KEYS; i++) {
		rc = feed(&j, i, 1, 2500, &err);
		if (rc < 0 && rc != FL_EDATA)
			(void)tap_ok(false, "%s: %s", names[what], err.msg);
		*ret_told += rc == FL_EDATA;
		*ret_read += rc == 0;
	}
	job_close(&j);
	fl_save_free(s);
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

int
main(void)
{
	const char *tmp = getenv("TMPDIR");
	char work[sizeof directory + 8];

	(void)snprintf(directory, sizeof directory, "%s/flue-t-rankdisk-XXXXXX",
		       tmp && *tmp && strlen(tmp) < 60 ? tmp : "/tmp");
	if (!mkdtemp(directory))
		return 1;
	(void)snprintf(work, sizeof work, "%s/work", directory);
	(void)mkdir(work, 0700);
	for (enum what w = 0; w < OPERATORS; w++) {
		unsigned told = 0, read = 0;

		round_of(w, true, &told, &read);
		tap_ok(told == 0 && read == KEYS, "%s: what was written is read", names[w]);
		read = 0;
		for (int i = 0; i < 8; i++)
			round_of(w, false, &told, &read);
		tap_ok(told > KEYS, "%s: of %d damaged values %u are told, %u read as something",
		       names[w], 8 * KEYS, told, read);
	}
	(void)nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return tap_done();
}
