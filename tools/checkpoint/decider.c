/* SPDX-License-Identifier: Apache-2.0 */
#include "decider.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/io.h"

static struct fl_ck_done *
dones(const struct fl_buf *b, size_t *ret_count)
{
	*ret_count = b->len / sizeof(struct fl_ck_done);
	return (struct fl_ck_done *)(void *)b->data;
}

static struct fl_ck_done *
find_done(const struct fl_buf *b, const char *uid)
{
	size_t n;
	struct fl_ck_done *d = dones(b, &n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(d[i].op.uid, uid) == 0)
			return &d[i];
	return NULL;
}

static void
release_dones(struct fl_buf *b)
{
	size_t n;
	struct fl_ck_done *d = dones(b, &n);

	for (size_t i = 0; i < n; i++)
		fl_ck_done_release(&d[i]);
	fl_buf_clear(b);
}

void
fc_decider_init(struct fc_decider *d, const struct fl_ckdir *dir, const struct fl_attempt *attempt)
{
	*d = (struct fc_decider){ .dir = dir, .attempt = attempt };
	fl_header_init(&d->job);
}

void
fc_decider_release(struct fc_decider *d)
{
	release_dones(&d->done);
	release_dones(&d->finished);
	fl_buf_release(&d->done);
	fl_buf_release(&d->finished);
	fl_buf_release(&d->expected);
	fl_header_release(&d->job);
}

void
fc_decider_seed(struct fc_decider *d, struct fl_manifest *m)
{
	for (uint32_t i = 0; i < m->op_count; i++) {
		struct fl_ck_done done = { .id = m->id, .attempt = m->attempt };

		if (!m->ops[i].finished)
			continue;
		fl_header_init(&done.lineage);
		done.op = m->ops[i];
		m->ops[i] = (struct fl_ck_op){ .uid = fl_xstrdup(done.op.uid) };
		for (uint32_t k = 0; k < m->sink_count; k++) {
			if (strcmp(m->sinks[k].uid, done.op.uid) != 0)
				continue;
			done.sink = fl_xcalloc(1, sizeof *done.sink);
			*done.sink = m->sinks[k];
			m->sinks[k] = (struct fl_ck_sink){ .uid = fl_xstrdup(done.op.uid) };
		}
		fl_buf_put(&d->finished, &done, sizeof done);
	}
}

/* ---- the job -------------------------------------------------------------------------- */

static uint32_t
find_operator(const struct fl_header *job, const struct fl_lineage *l)
{
	for (uint32_t i = 0; i < job->lineage_count; i++)
		if (strcmp(job->lineage[i].uid, l->uid) == 0 &&
		    strcmp(job->lineage[i].instance, l->instance) == 0)
			return i;
	return FL_NO_COLUMN;
}

/* The operators of another sink's lineage that the job has not yet. */
static void
merge_lineage(struct fl_header *job, const struct fl_header *from)
{
	uint32_t *at = fl_xcalloc((size_t)from->lineage_count + 1, sizeof *at);

	for (uint32_t i = 0; i < from->lineage_count; i++) {
		const struct fl_lineage *l = &from->lineage[i];
		struct fl_lineage copy = *l;

		at[i] = find_operator(job, l);
		if (at[i] != FL_NO_COLUMN)
			continue;
		at[i] = job->lineage_count;
		copy.uid = fl_xstrdup(l->uid);
		copy.tool = fl_xstrdup(l->tool);
		copy.args = fl_xcalloc((size_t)l->arg_count + 1, sizeof *copy.args);
		for (uint32_t k = 0; k < l->arg_count; k++)
			copy.args[k] = fl_xstrdup(l->args[k]);
		copy.inputs = fl_xcalloc((size_t)l->input_count + 1, sizeof *copy.inputs);
		for (uint32_t k = 0; k < l->input_count; k++)
			copy.inputs[k] = at[l->inputs[k]];
		job->lineage = fl_xreallocarray(job->lineage, (size_t)job->lineage_count + 1,
						sizeof *job->lineage);
		job->lineage[job->lineage_count++] = copy;
	}
	free(at);
}

/* What has ended is remembered for the checkpoints to come. */
static void
keep_finished(struct fc_decider *d)
{
	size_t n, left = 0;
	struct fl_ck_done *done = dones(&d->done, &n);

	for (size_t i = 0; i < n; i++) {
		if (done[i].op.finished && find_done(&d->finished, done[i].op.uid))
			fl_ck_done_release(&done[i]);
		else if (done[i].op.finished)
			fl_buf_put(&d->finished, &done[i], sizeof done[i]);
		else
			done[left++] = done[i];
	}
	d->done.len = left * sizeof *done;
}

void
fc_decider_begin(struct fc_decider *d, uint64_t id, const struct fl_header *lineage)
{
	keep_finished(d); /* of one that was abandoned */
	release_dones(&d->done);
	fl_header_release(&d->job);
	fl_header_init(&d->job);
	merge_lineage(&d->job, lineage);
	d->id = id;
	d->sinks = 0;
}

/* ---- state that nobody takes ------------------------------------------------------------ */

static bool
has_operator(const struct fl_header *lineage, const char *uid)
{
	for (uint32_t i = 0; i < lineage->lineage_count; i++)
		if (strcmp(lineage->lineage[i].uid, uid) == 0)
			return true;
	return false;
}

/* Whether the state file of op has more than what the runner keeps of every tool. */
static int
has_state(const struct fc_decider *d, const struct fl_manifest *m, const struct fl_ck_op *op,
	  struct fl_err *err)
{
	char *name = NULL;
	struct fl_load *l = fl_manifest_load(d->dir, m, op, &name, err);
	struct fl_state_section s;
	struct fl_state_entry e;
	bool own = false;
	int rc = l ? 0 : err->code;

	while (l && (rc = fl_load_section(l, &s, err)) > 0) {
		own = own || strcmp(s.name, "operator") == 0;
		if (own && (rc = fl_load_entry(l, &e, err)) != 0)
			break;
	}
	fl_load_close(l);
	free(name);
	return rc < 0 ? rc : rc > 0 || op->file_count > 0;
}

int
fc_decider_expect(struct fc_decider *d, const struct fl_manifest *m, const struct fl_header *known,
		  struct fl_err *err)
{
	d->restored = m->id;
	for (uint32_t i = 0; i < m->op_count && !d->attempt->allow_dropped; i++) {
		const struct fl_ck_op *op = &m->ops[i];
		int rc;

		if (op->finished || has_operator(known, op->uid))
			continue;
		rc = has_state(d, m, op, err);
		if (rc < 0)
			return rc;
		if (rc > 0)
			fl_buf_put(&d->expected, op->uid, strlen(op->uid) + 1);
	}
	return 0;
}

int
fc_decider_check_dropped(const struct fc_decider *d, const struct fl_header *lineage,
			 struct fl_err *err)
{
	struct fl_buf names = { 0 };
	const char *uid = d->expected.data;
	size_t at = 0;

	for (; at < d->expected.len && has_operator(lineage, uid); uid = d->expected.data + at)
		at += strlen(uid) + 1;
	if (at == d->expected.len)
		return 0;
	for (uint32_t i = 0; i < lineage->lineage_count; i++)
		fl_buf_printf(&names, "%s%s", i ? ", " : "", lineage->lineage[i].uid);
	fl_buf_putc(&names, '\0');
	(void)fl_fail(
		err, FL_ECONFIG,
		"checkpoint %llu in %s has state of %s, but this line (%.300s) has no such "
		"operator: put it back (--uid names one), or give its state up by fcheckpoint "
		"begin --allow-dropped-state",
		(unsigned long long)d->restored, d->dir->path, uid, names.data);
	fl_buf_release(&names);
	return err->code;
}

/* ---- looking -------------------------------------------------------------------------- */

static void
take(struct fc_decider *d, struct fl_ck_done *done)
{
	if (done->sink) {
		d->sinks++;
		merge_lineage(&d->job, &done->lineage);
	}
	fl_buf_put(&d->done, done, sizeof *done);
}

/* The .done of one operator at checkpoint id: 1 taken or known. */
static int
look_for(struct fc_decider *d, uint64_t id, const char *uid, bool only_finished, struct fl_err *err)
{
	struct fl_ck_done done;
	int rc;

	if (find_done(&d->done, uid))
		return 1;
	rc = fl_ck_get_done(d->dir, id, uid, &done, err);
	if (rc == FL_ENOINPUT || (rc < 0 && only_finished))
		return 0;
	if (rc == FL_ETEMP)
		return fl_wrap(err, "%s", uid);
	if (rc <= 0)
		return rc;
	if (only_finished && !done.op.finished) {
		fl_ck_done_release(&done);
		return 0;
	}
	take(d, &done);
	return 1;
}

/* An operator that has ended: what it left then counts for every later checkpoint. */
static bool
look_finished(struct fc_decider *d, const char *uid)
{
	struct fl_ck_done *f = find_done(&d->finished, uid);
	struct fl_err ignored;
	struct fl_buf ids = { 0 };
	bool found = false;
	struct fl_ck_done done;

	if (f) {
		done = *f;
		memmove(f, f + 1, d->finished.len - (size_t)((char *)(f + 1) - d->finished.data));
		d->finished.len -= sizeof *f;
		take(d, &done);
		return true;
	}
	if (fl_ck_list(d->dir, &ids, &ignored) == 0) {
		const uint64_t *id = (const uint64_t *)(const void *)ids.data;

		for (size_t i = ids.len / sizeof *id; i > 0 && !found; i--)
			found = id[i - 1] >= d->attempt->next_id && id[i - 1] != d->id &&
				look_for(d, id[i - 1], uid, true, &ignored) == 1;
	}
	fl_buf_release(&ids);
	return found;
}

/* UID of "UID.aNNN.done" or ".failed" of this attempt; false: another file. */
static bool
uid_of(const struct fc_decider *d, const char *name, char out[FL_UID_MAX + 1])
{
	static const char *const whats[] = { "done", "failed" };
	char end[FL_CHECKPOINT_NAME_MAX];
	size_t n = strlen(name), skip;

	for (size_t i = 0; i < FL_ARRAY_LEN(whats); i++) {
		/* what fl_ck_file makes of a uid of one letter, without it */
		fl_ck_file(end, "x", d->attempt->number, whats[i]);
		skip = strlen(end + 1);
		if (n <= skip || n - skip > FL_UID_MAX || strcmp(name + n - skip, end + 1) != 0)
			continue;
		memcpy(out, name, n - skip);
		out[n - skip] = '\0';
		return true;
	}
	return false;
}

/* Other sinks: whoever leaves a .done that has a sink's share. */
static int
look_for_sinks(struct fc_decider *d, struct fl_err *err)
{
	char path[FL_CHECKPOINT_NAME_MAX], uid[FL_UID_MAX + 1];
	const struct dirent *e;
	int fd, rc = 0;
	DIR *dir;

	fl_ck_path(path, d->id, NULL);
	fd = openat(d->dir->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	dir = fd < 0 ? NULL : fdopendir(fd);
	while (dir && rc >= 0 && (e = readdir(dir)))
		if (uid_of(d, e->d_name, uid) && !find_done(&d->done, uid))
			rc = look_for(d, d->id, uid, false, err);
	if (dir)
		(void)closedir(dir);
	/* those that ended before */
	for (size_t i = 0, n; rc >= 0 && i < (dones(&d->finished, &n), n); i++) {
		struct fl_ck_done *f = &dones(&d->finished, &n)[i];

		if (f->sink && !find_done(&d->done, f->op.uid) && look_finished(d, f->op.uid))
			i--;
	}
	return rc < 0 ? rc : 0;
}

/* A begin: what a manifest keeps of one that has ended has no more than that. */
static bool
is_source(const struct fl_ck_done *done)
{
	return strcmp(done->op.tool, "fcheckpoint") == 0 && !done->sink;
}

/* The .done of a source in checkpoint id: the number that have ended; *ret_living: others. */
static uint32_t
count_ended(const struct fc_decider *d, uint64_t id, bool *ret_living)
{
	char path[FL_CHECKPOINT_NAME_MAX], uid[FL_UID_MAX + 1];
	const struct dirent *e;
	struct fl_err ignored;
	uint32_t ended = 0;
	DIR *dir;
	int fd;

	fl_ck_path(path, id, NULL);
	fd = openat(d->dir->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	dir = fd < 0 ? NULL : fdopendir(fd);
	while (dir && (e = readdir(dir))) {
		struct fl_ck_done done;

		if (!uid_of(d, e->d_name, uid) ||
		    fl_ck_get_done(d->dir, id, uid, &done, &ignored) != 1)
			continue;
		if (is_source(&done) && done.op.finished)
			ended += !find_done(&d->finished, uid);
		else if (is_source(&done))
			*ret_living = true;
		fl_ck_done_release(&done);
	}
	if (dir)
		(void)closedir(dir);
	return ended;
}

bool
fc_decider_awaits_barrier(const struct fc_decider *d, uint64_t id)
{
	struct fl_attempt now = { 0 };
	struct fl_err ignored;
	bool living = false;
	uint32_t ended = count_ended(d, id, &living), sources = 1;
	size_t n;
	const struct fl_ck_done *f = dones(&d->finished, &n);

	for (size_t i = 0; i < n; i++)
		ended += is_source(&f[i]);
	/* others may have joined meanwhile */
	if (fl_ckdir_read_attempt(d->dir, &now, &ignored) == 0)
		sources = now.source_count;
	fl_attempt_release(&now);
	return living || ended < sources;
}

static int
too_many_sinks(const struct fc_decider *d, struct fl_err *err)
{
	size_t n;
	const struct fl_ck_done *done = dones(&d->done, &n);
	struct fl_buf names = { 0 };

	for (size_t i = 0; i < n; i++)
		if (done[i].sink)
			fl_buf_printf(&names, "%s%s", names.len ? ", " : "", done[i].op.uid);
	fl_buf_putc(&names, '\0');
	(void)fl_fail(
		err, FL_ECONFIG,
		"there are %u fcheckpoint commits (%s), but fcheckpoint begin was told of %u: "
		"say --sinks %u there",
		d->sinks, names.data, d->attempt->sinks, d->sinks);
	fl_buf_release(&names);
	return err->code;
}

int
fc_decider_look(struct fc_decider *d, bool thorough, struct fl_err *err)
{
	bool all = true;
	int rc = 0;

	if (d->attempt->sinks > 1 && d->sinks < d->attempt->sinks && look_for_sinks(d, err) < 0)
		return err->code;
	for (uint32_t i = 0; i < d->job.lineage_count; i++) {
		const char *uid = d->job.lineage[i].uid;

		rc = look_for(d, d->id, uid, false, err);
		if (rc < 0)
			return rc;
		if (rc == 0 && (find_done(&d->finished, uid) || thorough))
			rc = look_finished(d, uid);
		all = all && rc > 0;
	}
	if (d->sinks > d->attempt->sinks)
		return too_many_sinks(d, err);
	if (!all || d->sinks < d->attempt->sinks)
		return 0;
	return fc_decider_check_dropped(d, &d->job, err) < 0 ? err->code : 1;
}

void
fc_decider_missing(const struct fc_decider *d, char *buf, size_t cap)
{
	size_t n = 0;

	buf[0] = '\0';
	for (uint32_t i = 0; i < d->job.lineage_count && n < cap; i++)
		if (!find_done(&d->done, d->job.lineage[i].uid))
			n += (size_t)snprintf(buf + n, cap - n, "%s%s", n ? ", " : "",
					      d->job.lineage[i].uid);
	if (d->sinks < d->attempt->sinks && n < cap)
		(void)snprintf(buf + n, cap - n, "%s%u more fcheckpoint commit", n ? ", " : "",
			       d->attempt->sinks - d->sinks);
}

/* ---- completing ----------------------------------------------------------------------- */

int
fc_decider_complete(struct fc_decider *d, const struct fl_barrier *b, bool *ret_finished,
		    struct fl_err *err)
{
	size_t n;
	struct fl_ck_done *done = dones(&d->done, &n);
	struct fl_manifest m = {
		.id = d->id,
		.attempt = d->attempt->number,
		.time_ms = fl_clock_ms(),
		.barrier_ms = b->injected_ms,
		.savepoint = (b->flags & FL_BARRIER_SAVEPOINT) != 0,
		.finished = true,
	};
	int rc;

	/*
	 * Where a barrier comes before the first record, the operator that drops it has
	 * given the checkpoint up; inputs that end count as barriers behind it all the same.
	 */
	if (fl_ck_look(d->dir, d->id) == FL_CK_ABANDONED)
		return fl_fail(err, FL_ETEMP, "it was given up before the first record");
	/* borrowed from the .done files: only the arrays are freed */
	m.ops = fl_xcalloc(n + 1, sizeof *m.ops);
	m.sinks = fl_xcalloc(n + 1, sizeof *m.sinks);
	m.sources = fl_xcalloc(n + 1, sizeof *m.sources);
	m.lineage = d->job;
	for (size_t i = 0; i < n; i++) {
		m.ops[m.op_count++] = done[i].op;
		m.finished = m.finished && done[i].op.finished;
		if (done[i].sink)
			m.sinks[m.sink_count++] = *done[i].sink;
		if (done[i].source)
			m.sources[m.source_count++] = *done[i].source;
	}
	FL_FAULT("commit.manifest");
	rc = fl_manifest_write(d->dir, &m, err);
	FL_FAULT("commit.manifest.written");
	*ret_finished = m.finished;
	free(m.ops);
	free(m.sinks);
	free(m.sources);
	if (rc == 0)
		keep_finished(d);
	return rc;
}
