/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removing what is not needed any more. What is needed is what the manifests name that
 * are kept; nothing is found by the likeness of names. Where a manifest that is to be
 * kept cannot be read, it is not known what it needs, and nothing is removed.
 */
#define _GNU_SOURCE /* O_NOFOLLOW */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fault.h"
#include "checkpoint/below.h"
#include "checkpoint/files.h"
#include "checkpoint/manifest.h"

struct cleaner {
	const struct fl_ckdir *d;
	struct fl_attempt attempt;
	const uint64_t *ids; /* ascending */
	size_t id_count;
	enum fl_ck_state *state;
	struct fl_manifest *kept;
	size_t kept_count;
	uint32_t left; /* things that could not be removed */
};

/* ---- what is kept ----------------------------------------------------------------------- */

/* The newest retain complete ones and all savepoints, newest first. */
static int
choose(struct cleaner *c, uint32_t retain, struct fl_err *err)
{
	uint32_t newer = 0;

	c->kept = fl_xcalloc(c->id_count, sizeof *c->kept);
	for (size_t i = c->id_count; i-- > 0;) {
		struct fl_manifest m;

		if (c->state[i] != FL_CK_COMPLETE)
			continue;
		if (fl_manifest_read(c->d, c->ids[i], &m, err) < 0)
			return err->code;
		if (newer++ < retain || m.savepoint)
			c->kept[c->kept_count++] = m;
		else
			fl_manifest_release(&m);
	}
	return 0;
}

static bool
is_kept(const struct cleaner *c, uint64_t id)
{
	for (size_t i = 0; i < c->kept_count; i++)
		if (c->kept[i].id == id)
			return true;
	return false;
}

/* UID.aNNN.written: the last results of a sink that has ended were handed over. */
static bool
is_mark(const struct fl_ck_op *op, const char *name)
{
	const char *what;
	uint64_t attempt;
	size_t n;

	return op->finished && fl__parse_file(name, &n, &attempt, &what) &&
	       strcmp(what, "written") == 0 && strlen(op->uid) == n &&
	       memcmp(op->uid, name, n) == 0;
}

/* Whether a manifest that is kept names the file of checkpoint id; name NULL: any. */
static bool
is_named(const struct cleaner *c, uint64_t id, const char *name)
{
	for (size_t i = 0; i < c->kept_count; i++) {
		const struct fl_manifest *m = &c->kept[i];

		for (uint32_t k = 0; k < m->op_count; k++) {
			const struct fl_ck_op *op = &m->ops[k];
			size_t n = name ? strlen(name) : 0;

			if ((op->checkpoint ? op->checkpoint : m->id) != id)
				continue;
			if (!name || strcmp(op->state.name, name) == 0 || is_mark(op, name))
				return true;
			/* UID.aNNN.files, the directory of its other files */
			for (uint32_t f = 0; f < op->file_count; f++)
				if (strncmp(op->files[f].name, name, n) == 0 &&
				    op->files[f].name[n] == '/')
					return true;
		}
	}
	return false;
}

/*
 * Whether checkpoint i may still become complete: it is open, of this attempt, and
 * newer than all that are complete.
 */
static bool
is_under_way(const struct cleaner *c, size_t i)
{
	if (c->state[i] != FL_CK_OPEN || c->ids[i] < c->attempt.next_id)
		return false;
	for (size_t k = i + 1; k < c->id_count; k++)
		if (c->state[k] == FL_CK_COMPLETE)
			return false;
	return true;
}

/* ---- checkpoints ------------------------------------------------------------------------- */

/* Of checkpoint id only some files are needed, by manifests of later ones: those of
 * operators that had finished. */
static void
strip(struct cleaner *c, uint64_t id)
{
	char dir[FL_CHECKPOINT_NAME_MAX], path[FL_CHECKPOINT_NAME_MAX * 3];
	struct fl_buf names = { 0 };
	struct fl_err ignored;

	fl_ck_path(dir, id, NULL);
	if (fl__drop_manifest(c->d, id, &ignored) < 0 ||
	    fl__names(c->d, dir, &names, &ignored) < 0) {
		c->left++;
		fl_buf_release(&names);
		return;
	}
	for (char *p = names.data; p && p < names.data + names.len; p += strlen(p) + 1) {
		if (is_named(c, id, p) || strcmp(p, "ABANDONED") == 0)
			continue;
		(void)snprintf(path, sizeof path, "%s/%.255s", dir, p);
		c->left += !fl__remove_path(c->d, path);
	}
	fl_buf_release(&names);
}

static void
clean_checkpoints(struct cleaner *c)
{
	struct fl_err ignored;

	for (size_t i = 0; i < c->id_count; i++) {
		bool newest = i == c->id_count - 1;

		if (is_kept(c, c->ids[i]) || is_under_way(c, i))
			continue;
		if (is_named(c, c->ids[i], NULL))
			strip(c, c->ids[i]);
		else if (!newest || c->state[i] != FL_CK_ABANDONED)
			c->left += fl_ck_remove(c->d, c->ids[i], &ignored) < 0;
	}
}

/* ---- pending and work --------------------------------------------------------------------- */

static bool
is_pending(const struct cleaner *c, const char *name)
{
	for (size_t i = 0; i < c->kept_count; i++)
		for (uint32_t k = 0; k < c->kept[i].sink_count; k++) {
			const struct fl_ck_sink *s = &c->kept[i].sinks[k];

			for (uint32_t p = 0; p < s->pending_count; p++)
				if (strcmp(s->pending[p].file, name) == 0)
					return true;
		}
	return false;
}

/*
 * The least number that the sink's pending files of this attempt have in the newest
 * manifest: those before it are in the output. 0: it names none.
 */
static uint64_t
least_pending(const struct cleaner *c, const char *uid, size_t uid_len)
{
	uint64_t least = 0;

	for (uint32_t k = 0; c->kept_count && k < c->kept[0].sink_count; k++) {
		const struct fl_ck_sink *s = &c->kept[0].sinks[k];

		for (uint32_t p = 0; p < s->pending_count; p++) {
			const char *what;
			uint64_t attempt, seq;
			size_t n;

			if (!fl__parse_file(s->pending[p].file, &n, &attempt, &what) ||
			    n != uid_len || memcmp(s->pending[p].file, uid, n) != 0 ||
			    attempt != c->attempt.number)
				continue;
			seq = strtoull(what, NULL, 10);
			least = least == 0 || seq < least ? seq : least;
		}
	}
	return least;
}

/* What this attempt writes now no manifest names yet: it is needed. */
static bool
may_drop_pending(const struct cleaner *c, const char *name)
{
	const char *what;
	uint64_t attempt;
	size_t n;

	if (is_pending(c, name) || !fl__parse_file(name, &n, &attempt, &what))
		return false;
	if (attempt != c->attempt.number)
		return attempt < c->attempt.number;
	return strtoull(what, NULL, 10) < least_pending(c, name, n);
}

static void
clean_pending(struct cleaner *c)
{
	struct fl_buf names = { 0 };
	struct fl_err ignored;
	char path[FL_CHECKPOINT_NAME_MAX * 2];

	if (fl__names(c->d, "pending", &names, &ignored) == 0)
		for (char *p = names.data; p && p < names.data + names.len; p += strlen(p) + 1) {
			(void)snprintf(path, sizeof path, "pending/%.255s", p);
			if (may_drop_pending(c, p))
				c->left += !fl__remove_path(c->d, path);
		}
	fl_buf_release(&names);
}

static void
clean_work(struct cleaner *c)
{
	struct fl_buf names = { 0 };
	struct fl_err ignored;
	char path[FL_CHECKPOINT_NAME_MAX * 2], again[FL_CHECKPOINT_NAME_MAX];

	if (fl__names(c->d, "work", &names, &ignored) == 0)
		for (char *p = names.data; p && p < names.data + names.len; p += strlen(p) + 1) {
			const char *what;
			uint64_t attempt;
			size_t n;

			/* UID.aNNN: with something behind it, it can be parsed */
			(void)snprintf(again, sizeof again, "%.140s.x", p);
			(void)snprintf(path, sizeof path, "work/%.255s", p);
			if (fl__parse_file(again, &n, &attempt, &what) &&
			    attempt < c->attempt.number)
				c->left += !fl__remove_path(c->d, path);
		}
	fl_buf_release(&names);
}

/* ---- all ------------------------------------------------------------------------------------ */

int
fl_ckdir_clean(const struct fl_ckdir *d, uint32_t retain, uint32_t *ret_left, struct fl_err *err)
{
	struct cleaner c = { .d = d };
	struct fl_buf ids = { 0 };
	struct fl_err damage;
	int rc = fl_ckdir_read_attempt(d, &c.attempt, err);

	if (rc == 0)
		rc = fl_ck_list(d, &ids, err);
	c.ids = (const uint64_t *)(const void *)ids.data;
	c.id_count = ids.len / sizeof *c.ids;
	c.state = fl_xcalloc(c.id_count, sizeof *c.state);
	for (size_t i = 0; i < c.id_count; i++)
		c.state[i] = fl_ck_look(d, c.ids[i]);
	if (rc == 0 && choose(&c, retain ? retain : 1, &damage) == 0) {
		clean_checkpoints(&c);
		clean_pending(&c);
		clean_work(&c);
	} else if (rc == 0) {
		c.left = 1; /* verify tells more; the stream goes on */
	}
	*ret_left = c.left;
	for (size_t i = 0; i < c.kept_count; i++)
		fl_manifest_release(&c.kept[i]);
	free(c.kept);
	free(c.state);
	fl_buf_release(&ids);
	fl_attempt_release(&c.attempt);
	return rc;
}
