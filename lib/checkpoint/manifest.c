/* SPDX-License-Identifier: Apache-2.0 */
/* .done and MANIFEST: their JSON, how they are written, read and verified. */
#include "checkpoint/manifest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fault.h"
#include "checkpoint/below.h"
#include "checkpoint/files.h"
#include "checkpoint/sealed.h"

#define JSON_MAX FL_MIB(256)  /* of a MANIFEST: thousands of operators and files */
#define REASON_MAX FL_KIB(64) /* of .failed */

/* ---- release ---------------------------------------------------------------------------- */

static void
op_release(struct fl_ck_op *op)
{
	free(op->uid);
	free(op->tool);
	free(op->state.name);
	for (uint32_t i = 0; i < op->file_count; i++)
		free(op->files[i].name);
	free(op->files);
	free(op->backend);
}

static void
sink_release(struct fl_ck_sink *s)
{
	free(s->uid);
	free(s->kind);
	free(s->path);
	for (uint32_t i = 0; i < s->pending_count; i++)
		free(s->pending[i].file);
	free(s->pending);
	free(s->more);
}

static void
source_release(struct fl_ck_source *s)
{
	free(s->name);
	free(s->file);
}

void
fl_ck_done_release(struct fl_ck_done *d)
{
	op_release(&d->op);
	if (d->sink)
		sink_release(d->sink);
	if (d->source)
		source_release(d->source);
	free(d->sink);
	free(d->source);
	fl_header_release(&d->lineage);
	*d = (struct fl_ck_done){ 0 };
}

void
fl_manifest_release(struct fl_manifest *m)
{
	for (uint32_t i = 0; i < m->op_count; i++)
		op_release(&m->ops[i]);
	for (uint32_t i = 0; i < m->sink_count; i++)
		sink_release(&m->sinks[i]);
	for (uint32_t i = 0; i < m->source_count; i++)
		source_release(&m->sources[i]);
	free(m->ops);
	free(m->sinks);
	free(m->sources);
	fl_header_release(&m->lineage);
	*m = (struct fl_manifest){ 0 };
}

/* ---- encoding ---------------------------------------------------------------------------- */

static void
put_text(json_t *o, const char *key, const char *s)
{
	json_object_set_new(o, key, fl__json_text(s ? s : ""));
}

static void
put_int(json_t *o, const char *key, int64_t v)
{
	json_object_set_new(o, key, json_integer((json_int_t)v));
}

static void
put_u64(json_t *o, const char *key, uint64_t v)
{
	put_int(o, key, (int64_t)v);
}

static json_t *
encode_part(const struct fl_ck_part *p)
{
	json_t *o = json_object();

	put_text(o, "name", p->name);
	put_u64(o, "size", p->size);
	json_object_set_new(o, "hash", fl__json_hash(p->hash));
	return o;
}

static json_t *
encode_op(const struct fl_ck_op *op)
{
	json_t *o = json_object(), *files = json_array();

	put_text(o, "uid", op->uid);
	put_text(o, "tool", op->tool);
	put_text(o, "backend", op->backend);
	put_u64(o, "checkpoint", op->checkpoint);
	json_object_set_new(o, "state", encode_part(&op->state));
	for (uint32_t i = 0; i < op->file_count; i++)
		json_array_append_new(files, encode_part(&op->files[i]));
	json_object_set_new(o, "files", files);
	put_u64(o, "entries", op->entries);
	put_int(o, "duration_ms", op->duration_ms);
	put_int(o, "stall_us", op->stall_us);
	put_int(o, "align_ms", op->align_ms);
	json_object_set_new(o, "finished", json_boolean(op->finished));
	return o;
}

static json_t *
encode_sink(const struct fl_ck_sink *s)
{
	json_t *o = json_object(), *pending = json_array();

	put_text(o, "uid", s->uid);
	put_text(o, "kind", s->kind);
	put_text(o, "path", s->path);
	/* any 64 bits, as the file system gives them */
	json_object_set_new(o, "device", fl__json_hash(s->dev));
	json_object_set_new(o, "inode", fl__json_hash(s->ino));
	put_u64(o, "base", s->base);
	put_u64(o, "committed", s->committed);
	put_u64(o, "tail_length", s->tail_len);
	json_object_set_new(o, "tail_hash", fl__json_hash(s->tail_hash));
	for (uint32_t i = 0; i < s->pending_count; i++) {
		json_t *p = json_object();

		put_text(p, "file", s->pending[i].file);
		put_u64(p, "from", s->pending[i].from);
		put_u64(p, "to", s->pending[i].to);
		json_object_set_new(p, "hash", fl__json_hash(s->pending[i].hash));
		json_array_append_new(pending, p);
	}
	json_object_set_new(o, "pending", pending);
	put_u64(o, "records", s->records);
	if (s->more)
		put_text(o, "more", s->more);
	return o;
}

static json_t *
encode_source(const struct fl_ck_source *s)
{
	json_t *o = json_object();

	put_text(o, "name", s->name);
	put_text(o, "file", s->file);
	put_u64(o, "offset", s->offset);
	put_u64(o, "records", s->records);
	return o;
}

/* The operators, as a stream's header holds them. */
static void
put_lineage(json_t *o, const struct fl_header *job)
{
	struct fl_header only = { .lineage = job->lineage, .lineage_count = job->lineage_count };
	struct fl_buf text = { 0 };
	json_t *j;

	if (!job->lineage_count)
		return;
	fl_header_encode(&only, &text);
	j = json_loadb(text.data, text.len, 0, NULL);
	fl_buf_release(&text);
	json_object_set_new(o, "job", j);
}

void
fl_ck_done_encode(const struct fl_ck_done *d, struct fl_buf *out)
{
	json_t *o = json_object();

	put_int(o, "version", FL_MANIFEST_VERSION);
	put_u64(o, "checkpoint", d->id);
	put_u64(o, "attempt", d->attempt);
	json_object_set_new(o, "operator", encode_op(&d->op));
	if (d->sink)
		json_object_set_new(o, "sink", encode_sink(d->sink));
	if (d->source)
		json_object_set_new(o, "source", encode_source(d->source));
	put_lineage(o, &d->lineage);
	fl__seal(o, out);
}

void
fl_manifest_encode(const struct fl_manifest *m, struct fl_buf *out)
{
	json_t *o = json_object(), *ops = json_array(), *sinks = json_array(),
	       *sources = json_array();

	put_int(o, "version", FL_MANIFEST_VERSION);
	put_u64(o, "checkpoint", m->id);
	put_u64(o, "attempt", m->attempt);
	put_int(o, "time_ms", m->time_ms);
	put_int(o, "barrier_ms", m->barrier_ms);
	json_object_set_new(o, "savepoint", json_boolean(m->savepoint));
	json_object_set_new(o, "finished", json_boolean(m->finished));
	for (uint32_t i = 0; i < m->op_count; i++)
		json_array_append_new(ops, encode_op(&m->ops[i]));
	for (uint32_t i = 0; i < m->sink_count; i++)
		json_array_append_new(sinks, encode_sink(&m->sinks[i]));
	for (uint32_t i = 0; i < m->source_count; i++)
		json_array_append_new(sources, encode_source(&m->sources[i]));
	json_object_set_new(o, "operators", ops);
	json_object_set_new(o, "sinks", sinks);
	json_object_set_new(o, "sources", sources);
	put_lineage(o, &m->lineage);
	fl__seal(o, out);
}

/* ---- decoding ----------------------------------------------------------------------------- */

static void
note(struct fl_members *m, bool ok, const char *what)
{
	if (!ok && !m->wrong)
		m->wrong = what;
}

static void
decode_part(struct fl_members *m, const json_t *o, struct fl_ck_part *p)
{
	p->name = fl__get_text(m, o, "name");
	p->size = fl__get_u64(m, o, "size");
	p->hash = fl__get_hash(m, o, "hash");
	note(m, fl__name_ok(p->name, FL_CHECKPOINT_NAME_MAX - 16), "name");
}

static char *
decode_uid(struct fl_members *m, const json_t *o)
{
	char *uid = fl__get_text(m, o, "uid");
	struct fl_err ignored;

	note(m, fl_uid_check(uid, &ignored) == 0, "uid");
	return uid;
}

static void
decode_op(struct fl_members *m, const json_t *o, struct fl_ck_op *op)
{
	const json_t *files = fl__get_array(m, o, "files");
	size_t n = json_array_size(files);

	op->uid = decode_uid(m, o);
	op->tool = fl__get_text(m, o, "tool");
	op->backend = fl__get_text(m, o, "backend");
	op->checkpoint = fl__get_u64(m, o, "checkpoint");
	decode_part(m, json_object_get(o, "state"), &op->state);
	op->files = fl_xcalloc(n, sizeof *op->files);
	for (; op->file_count < n; op->file_count++)
		decode_part(m, json_array_get(files, op->file_count), &op->files[op->file_count]);
	op->entries = fl__get_u64(m, o, "entries");
	op->duration_ms = fl__get_i64(m, o, "duration_ms");
	op->stall_us = fl__get_i64(m, o, "stall_us");
	op->align_ms = fl__get_i64(m, o, "align_ms");
	op->finished = fl__get_bool(m, o, "finished");
}

static void
decode_pending(struct fl_members *m, const json_t *o, struct fl_ck_pending *p)
{
	p->file = fl__get_text(m, o, "file");
	p->from = fl__get_u64(m, o, "from");
	p->to = fl__get_u64(m, o, "to");
	p->hash = fl__get_hash(m, o, "hash");
	note(m, fl__name_ok(p->file, FL_CHECKPOINT_NAME_MAX - 16) && !strchr(p->file, '/'), "file");
	note(m, p->from <= p->to, "from");
}

static void
decode_sink(struct fl_members *m, const json_t *o, struct fl_ck_sink *s)
{
	const json_t *pending = fl__get_array(m, o, "pending");
	size_t n = json_array_size(pending);

	s->uid = decode_uid(m, o);
	s->kind = fl__get_text(m, o, "kind");
	s->path = fl__get_text(m, o, "path");
	s->dev = fl__get_hash(m, o, "device");
	s->ino = fl__get_hash(m, o, "inode");
	s->base = fl__get_u64(m, o, "base");
	s->committed = fl__get_u64(m, o, "committed");
	s->tail_len = fl__get_u64(m, o, "tail_length");
	s->tail_hash = fl__get_hash(m, o, "tail_hash");
	s->pending = fl_xcalloc(n, sizeof *s->pending);
	for (; s->pending_count < n; s->pending_count++)
		decode_pending(m, json_array_get(pending, s->pending_count),
			       &s->pending[s->pending_count]);
	s->records = fl__get_u64(m, o, "records");
	if (json_object_get(o, "more"))
		s->more = fl__get_text(m, o, "more");
}

static void
decode_source(struct fl_members *m, const json_t *o, struct fl_ck_source *s)
{
	s->name = fl__get_text(m, o, "name");
	s->file = fl__get_text(m, o, "file");
	s->offset = fl__get_u64(m, o, "offset");
	s->records = fl__get_u64(m, o, "records");
}

static void
decode_lineage(struct fl_members *m, const json_t *o, struct fl_header *h)
{
	const json_t *job = json_object_get(o, "job");
	struct fl_buf text = { 0 };
	struct fl_err ignored;
	char *p;

	fl_header_init(h);
	if (!job)
		return;
	p = json_dumps(job, JSON_COMPACT);
	if (p)
		fl_buf_puts(&text, p);
	free(p);
	note(m, text.len && fl_header_decode(h, text.data, text.len, &ignored) == 0, "job");
	fl_buf_release(&text);
}

static int
refuse(const char *what, const char *member, struct fl_err *err)
{
	return fl_fail(err, FL_EDATA, "%s: damaged: the member \"%s\" is not what it must be", what,
		       member);
}

int
fl_ck_done_decode(struct fl_ck_done *d, const char *p, size_t n, struct fl_err *err)
{
	struct fl_members m = { 0 };
	json_t *o = fl__unseal(p, n, FL_MANIFEST_VERSION, ".done", err);
	const json_t *j;

	*d = (struct fl_ck_done){ 0 };
	if (!o)
		return err->code;
	d->id = fl__get_u64(&m, o, "checkpoint");
	d->attempt = fl__get_u64(&m, o, "attempt");
	decode_op(&m, json_object_get(o, "operator"), &d->op);
	if ((j = json_object_get(o, "sink"))) {
		d->sink = fl_xcalloc(1, sizeof *d->sink);
		decode_sink(&m, j, d->sink);
	}
	if ((j = json_object_get(o, "source"))) {
		d->source = fl_xcalloc(1, sizeof *d->source);
		decode_source(&m, j, d->source);
	}
	decode_lineage(&m, o, &d->lineage);
	json_decref(o);
	if (!m.wrong)
		return 0;
	fl_ck_done_release(d);
	return refuse(".done", m.wrong, err);
}

static void
decode_lists(struct fl_members *w, const json_t *o, struct fl_manifest *m)
{
	const json_t *ops = fl__get_array(w, o, "operators"), *sinks = fl__get_array(w, o, "sinks"),
		     *sources = fl__get_array(w, o, "sources");
	size_t n = json_array_size(ops);

	m->ops = fl_xcalloc(n, sizeof *m->ops);
	for (; m->op_count < n; m->op_count++)
		decode_op(w, json_array_get(ops, m->op_count), &m->ops[m->op_count]);
	n = json_array_size(sinks);
	m->sinks = fl_xcalloc(n, sizeof *m->sinks);
	for (; m->sink_count < n; m->sink_count++)
		decode_sink(w, json_array_get(sinks, m->sink_count), &m->sinks[m->sink_count]);
	n = json_array_size(sources);
	m->sources = fl_xcalloc(n, sizeof *m->sources);
	for (; m->source_count < n; m->source_count++)
		decode_source(w, json_array_get(sources, m->source_count),
			      &m->sources[m->source_count]);
}

int
fl_manifest_decode(struct fl_manifest *m, const char *p, size_t n, struct fl_err *err)
{
	struct fl_members w = { 0 };
	json_t *o = fl__unseal(p, n, FL_MANIFEST_VERSION, "MANIFEST", err);

	*m = (struct fl_manifest){ 0 };
	if (!o)
		return err->code;
	m->id = fl__get_u64(&w, o, "checkpoint");
	m->attempt = fl__get_u64(&w, o, "attempt");
	m->time_ms = fl__get_i64(&w, o, "time_ms");
	m->barrier_ms = fl__get_i64(&w, o, "barrier_ms");
	m->savepoint = fl__get_bool(&w, o, "savepoint");
	m->finished = fl__get_bool(&w, o, "finished");
	decode_lists(&w, o, m);
	decode_lineage(&w, o, &m->lineage);
	json_decref(o);
	if (!w.wrong)
		return 0;
	fl_manifest_release(m);
	return refuse("MANIFEST", w.wrong, err);
}

/* ---- .done and .failed --------------------------------------------------------------------- */

int
fl_ck_put_done(const struct fl_ckdir *d, const struct fl_ck_done *done, struct fl_err *err)
{
	char file[FL_CHECKPOINT_NAME_MAX], path[FL_CHECKPOINT_NAME_MAX];
	struct fl_buf text = { 0 };
	int rc;

	fl_ck_file(file, done->op.uid, done->attempt, "done");
	fl_ck_path(path, done->id, file);
	fl_ck_done_encode(done, &text);
	rc = fl_ckdir_write(d, path, text.data, text.len, err);
	fl_buf_release(&text);
	return rc;
}

int
fl_ck_put_failed(const struct fl_ckdir *d, uint64_t id, const char *uid, const char *why,
		 struct fl_err *err)
{
	char file[FL_CHECKPOINT_NAME_MAX], path[FL_CHECKPOINT_NAME_MAX];

	fl_ck_file(file, uid, d->attempt, "failed");
	fl_ck_path(path, id, file);
	/* after a loss of power nobody asks for it any more: no fsync */
	return fl__put_file(d, path, why, strlen(why), false, err);
}

/* 0 not there, FL_ETEMP with the reason. */
static int
get_failed(const struct fl_ckdir *d, uint64_t id, const char *uid, struct fl_err *err)
{
	char file[FL_CHECKPOINT_NAME_MAX], path[FL_CHECKPOINT_NAME_MAX];
	struct fl_buf why = { 0 };
	int rc;

	fl_ck_file(file, uid, d->attempt, "failed");
	fl_ck_path(path, id, file);
	rc = fl_ckdir_read(d, path, REASON_MAX, &why, err);
	if (rc == 0)
		rc = fl_fail(err, FL_ETEMP, "%s: %.*s", uid, why.len < 800 ? (int)why.len : 800,
			     why.data);
	fl_buf_release(&why);
	return rc == FL_ENOINPUT ? 0 : rc;
}

int
fl_ck_get_done(const struct fl_ckdir *d, uint64_t id, const char *uid, struct fl_ck_done *ret,
	       struct fl_err *err)
{
	char file[FL_CHECKPOINT_NAME_MAX], path[FL_CHECKPOINT_NAME_MAX];
	struct fl_buf text = { 0 };
	struct fl_err local;
	int rc;

	fl_ck_file(file, uid, d->attempt, "done");
	fl_ck_path(path, id, file);
	rc = fl_ckdir_read(d, path, JSON_MAX, &text, &local);
	if (rc == 0) {
		rc = fl_ck_done_decode(ret, text.data, text.len, &local);
		if (rc < 0)
			(void)fl_wrap(&local, "%s/%s", d->path, path);
	}
	fl_buf_release(&text);
	if (rc == FL_ENOINPUT)
		return get_failed(d, id, uid, err);
	if (rc < 0) {
		*err = local;
		return rc;
	}
	if (ret->id == id && ret->attempt == d->attempt && strcmp(ret->op.uid, uid) == 0)
		return 1;
	fl_ck_done_release(ret);
	return fl_fail(err, FL_EDATA, "%s/%s: is of another operator or checkpoint", d->path, path);
}

/* ---- MANIFEST ------------------------------------------------------------------------------- */

int
fl_manifest_write(const struct fl_ckdir *d, const struct fl_manifest *m, struct fl_err *err)
{
	char path[FL_CHECKPOINT_NAME_MAX];
	struct fl_buf text = { 0 };
	int rc;

	fl_ck_path(path, m->id, "MANIFEST");
	fl_manifest_encode(m, &text);
	rc = fl_ckdir_write(d, path, text.data, text.len, err);
	fl_buf_release(&text);
	return rc;
}

int
fl_manifest_read(const struct fl_ckdir *d, uint64_t id, struct fl_manifest *m, struct fl_err *err)
{
	char path[FL_CHECKPOINT_NAME_MAX];
	struct fl_buf text = { 0 };
	int rc;

	*m = (struct fl_manifest){ 0 };
	fl_ck_path(path, id, "MANIFEST");
	rc = fl_ckdir_read(d, path, JSON_MAX, &text, err);
	if (rc == FL_ENOINPUT)
		rc = fl_fail(err, FL_ENOINPUT, "%s has no complete checkpoint %llu", d->path,
			     (unsigned long long)id);
	else if (rc < 0 || fl_manifest_decode(m, text.data, text.len, err) < 0)
		rc = fl_wrap(err, "%s/chk-%010" PRIu64, d->path, id);
	fl_buf_release(&text);
	if (rc < 0 || m->id == id)
		return rc;
	fl_manifest_release(m);
	return fl_fail(err, FL_EDATA, "%s/%s: is of another checkpoint", d->path, path);
}

int
fl_manifest_newest(const struct fl_ckdir *d, struct fl_manifest *m, struct fl_err *err)
{
	struct fl_buf ids = { 0 };
	int rc = fl_ck_list(d, &ids, err);
	struct fl_err damage;
	uint64_t id = 0;

	*m = (struct fl_manifest){ 0 };
	for (size_t at = ids.len; rc == 0 && at; at -= sizeof id) {
		memcpy(&id, ids.data + at - sizeof id, sizeof id);
		if (fl_ck_look(d, id) == FL_CK_COMPLETE)
			break;
		id = 0;
	}
	fl_buf_release(&ids);
	if (rc < 0 || id == 0)
		return rc;
	rc = fl_manifest_read(d, id, m, &damage);
	if (rc < 0)
		return fl_fail(
			err, rc,
			"%.600s; \"fcheckpoint verify\" tells what is sound, "
			"\"fcheckpoint rewind\" goes back to it",
			damage.msg);
	return 1;
}

const struct fl_ck_op *
fl_manifest_op(const struct fl_manifest *m, const char *uid)
{
	for (uint32_t i = 0; i < m->op_count; i++)
		if (strcmp(m->ops[i].uid, uid) == 0)
			return &m->ops[i];
	return NULL;
}

struct fl_load *
fl_manifest_load(const struct fl_ckdir *d, const struct fl_manifest *m, const struct fl_ck_op *op,
		 char **ret_name, struct fl_err *err)
{
	char path[FL_CHECKPOINT_NAME_MAX];
	struct fl_load *l;

	fl_ck_path(path, op->checkpoint ? op->checkpoint : m->id, op->state.name);
	*ret_name = fl_xstrdup(path);
	l = fl_load_open(d->fd, *ret_name, err);
	if (!l && err->code == FL_ENOINPUT)
		(void)fl_fail(err, FL_EDATA, "%s: is missing", path);
	if (l && fl_load_expect(l, op->state.size, op->state.hash, err) == 0)
		return l;
	fl_load_close(l);
	free(*ret_name);
	*ret_name = NULL;
	(void)fl_wrap(err, "%s", d->path);
	return NULL;
}
