/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State larger than memory: an operator whose keys come, change, become due, are deleted
 * and are forgotten does the same with hardly any memory, after checkpoints and from
 * damaged values, as an array does.
 */
#define _GNU_SOURCE /* nftw */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint/dir.h"
#include "run/spill.h"
#include "run/options.h"
#include "tap.h"

static uint64_t seed = 11;

static uint64_t
rnd(uint64_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % below;
}

/* ---- a runner -------------------------------------------------------------------------- */

struct fl_run {
	struct fl_options options;
	struct fl_ckdir *dir;
	uint64_t checkpoint_id;
	struct fl_backend *backend;
};

#include "disk-run.h"

static char directory[100];
static struct fl_ckdir checkpoints = { .path = directory };

static void
make(const char *name)
{
	char path[sizeof directory + FL_CHECKPOINT_NAME_MAX];

	(void)snprintf(path, sizeof path, "%s/%s", directory, name);
	if (mkdir(path, 0700) < 0)
		(void)tap_ok(false, "mkdir %s", path);
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

/* ---- an operator: a key has a number, and a moment at which the number is told ------------ */

#define KEYS 400
#define SPACES 3

struct value {
	int64_t number; /* 0: there is nothing */
	int64_t due;
	char bytes[200]; /* so that few fit */
};

struct op {
	struct fl_run run;
	struct fl_spill spill;
	struct fl_budget budget;
	struct fl_keys keys;
	struct fl_table table[SPACES]; /* of the namespaces -5, 2, 9 */
	bool bad;                      /* decode finds everything damaged */
	bool all_same;                 /* bytes came back as they were written */
	bool ordered;                  /* fl_spill_each */
	uint64_t last_seq;
	uint64_t seen;
};

static const int64_t spaces[SPACES] = { -5, 2, 9 };

static struct value *
value_of(struct fl_entry *e)
{
	return (struct value *)(void *)e->value;
}

static struct fl_table *
table_of(void *self, int64_t ns)
{
	struct op *o = self;

	for (unsigned i = 0; i < SPACES; i++)
		if (spaces[i] == ns)
			return &o->table[i];
	return NULL;
}

static void
encode(void *self, int64_t ns, struct fl_entry *e, struct fl_buf *out)
{
	(void)self;
	(void)ns;
	if (!value_of(e)->number)
		return;
	memset(value_of(e)->bytes, (int)(value_of(e)->number & 127), sizeof value_of(e)->bytes);
	fl_buf_put(out, e->value, sizeof(struct value));
}

static int
decode(void *self, int64_t ns, struct fl_entry *e, struct fl_bytes value, struct fl_err *err)
{
	struct op *o = self;
	struct value *v = value_of(e);

	(void)ns;
	if (value.n != sizeof *v || o->bad)
		return fl_fail(err, FL_EDATA, "damaged");
	o->all_same = o->all_same && v->number == 0 && v->due == 0;
	memcpy(v, value.p, value.n);
	for (size_t i = 0; i < sizeof v->bytes; i++)
		o->all_same = o->all_same && v->bytes[i] == (char)(v->number & 127);
	return 0;
}

static int64_t
due_of(void *self, int64_t ns, struct fl_entry *e)
{
	(void)self;
	(void)ns;
	return value_of(e)->due;
}

static void
forget(void *self)
{
	struct op *o = self;

	for (unsigned i = 0; i < SPACES; i++)
		fl_table_clear(&o->table[i]);
}

static size_t
held(const void *self)
{
	return ((const struct op *)self)->budget.used;
}

static const struct fl_spill_ops ops = {
	.version = 3,
	.table = table_of,
	.encode = encode,
	.decode = decode,
	.due = due_of,
	.forget = forget,
	.held = held,
};

static struct fl_options
on_disk(size_t memory)
{
	return (struct fl_options){ .backend = FL_STATE_ROCKSDB, .memory_max = memory };
}

static void
open_op(struct op *o, struct fl_options options, struct fl_ckdir *dir)
{
	struct fl_err err = { 0 };

	*o = (struct op){ .run = { .options = options, .dir = dir }, .all_same = true };
	checkpoints.attempt++;
	fl_keys_init(&o->keys);
	if (fl_spill_open(&o->spill, &o->run, &ops, o, &o->keys, &err) < 0)
		(void)tap_ok(false, "open: %s", err.msg);
	fl_budget_init(&o->budget, fl_spill_memory_max(&o->spill));
	for (unsigned i = 0; i < SPACES; i++)
		fl_table_init(&o->table[i], &o->budget, sizeof(struct value));
}

static void
close_op(struct op *o)
{
	for (unsigned i = 0; i < SPACES; i++)
		fl_table_release(&o->table[i]);
	fl_spill_close(&o->spill);
	fl_budget_release(&o->budget);
	fl_keys_release(&o->keys);
}

/* ---- and an array that does the same -------------------------------------------------------- */

struct model {
	int64_t number[SPACES][KEYS], due[SPACES][KEYS];
	uint64_t seq[SPACES][KEYS];
};

static struct model model;
static char names[KEYS][40];
static struct fl_key keys[KEYS];

static void
name_keys(const struct op *o)
{
	for (unsigned i = 0; i < KEYS; i++) {
		keys[i] = (struct fl_key){ .p = names[i], .tags = i % 5 };
		keys[i].len = (uint32_t)snprintf(names[i], sizeof names[i],
						 i % 2 ? "k%u" : "a rather long key, number %u", i);
		if (i == 7)
			keys[i].len = 0;
		if (i == 8)
			keys[i].len = FL_KEY_NULL;
		keys[i].hash = fl_key_hash(&o->keys, &keys[i]);
	}
}

/* Whether an entry, NULL: none, is what the model says. */
static bool
is_same(unsigned space, unsigned k, struct fl_entry *e)
{
	if (!model.number[space][k])
		return !e || value_of(e)->number == 0;
	return e && value_of(e)->number == model.number[space][k] &&
	       value_of(e)->due == model.due[space][k] && e->seq == model.seq[space][k] &&
	       e->tags == keys[k].tags;
}

/* A batch: some keys, some of them twice, are counted, deleted or looked at. */
static bool
run_batch(struct op *o, uint64_t seq, int64_t wm, struct fl_err *err)
{
	uint32_t rows[24], n = 1 + (uint32_t)rnd(24);
	unsigned space = (unsigned)rnd(SPACES), what = (unsigned)rnd(8);
	struct fl_table *t = &o->table[space];
	struct fl_entry *e[24];
	bool same = true;
	int rc;

	for (uint32_t i = 0; i < n; i++)
		rows[i] = (uint32_t)rnd(rnd(3) ? KEYS : KEYS / 20);
	rc = what < 2 ? fl_spill_get(&o->spill, spaces[space], t, keys, rows, n, e, err)
		      : fl_spill_put(&o->spill, spaces[space], t, keys, rows, n, seq, e, err);
	for (uint32_t i = 0; i < n && rc == 0; i++) {
		unsigned k = rows[i];

		if (e[i] && (e[i]->deleted || e[i]->len != keys[k].len))
			continue; /* it was there twice, and is deleted */
		same = same && is_same(space, k, e[i]);
		if (what < 2 || !same)
			continue;
		if (what == 2) {
			fl_spill_delete(&o->spill, spaces[space], t, e[i]);
			model.number[space][k] = 0;
			continue;
		}
		if (!model.number[space][k]) {
			model.seq[space][k] = e[i]->seq = seq + k;
			model.due[space][k] = rnd(3) ? FL_TIME_MAX : wm - 50 + (int64_t)rnd(300);
		}
		model.number[space][k]++;
		value_of(e[i])->number = model.number[space][k];
		value_of(e[i])->due = model.due[space][k];
	}
	return rc == 0 && same;
}

/* What is due up to until is told: the number is negated, and not due again (or later). */
static bool
tell(struct op *o, int64_t until)
{
	bool same = true;

	for (unsigned s = 0; s < SPACES; s++) {
		for (unsigned k = 0; k < KEYS; k++) {
			struct fl_entry *e;

			if (!model.number[s][k] || model.due[s][k] > until)
				continue;
			e = fl_table_get(&o->table[s], &keys[k]);
			same = same && is_same(s, k, e);
			if (!same)
				return false;
			model.due[s][k] = k % 3 ? FL_TIME_MAX : until + 50;
			model.number[s][k] = model.number[s][k] * 3 % 1000003 + 1;
			value_of(e)->due = model.due[s][k];
			value_of(e)->number = model.number[s][k];
			fl_spill_changed(&o->spill, e);
		}
	}
	return same;
}

static bool
advance(struct op *o, int64_t wm, struct fl_err *err)
{
	int64_t until;

	do {
		if (fl_spill_due(&o->spill, wm, &until, err) < 0 || !tell(o, until) ||
		    fl_spill_trim(&o->spill, err) < 0)
			return false;
	} while (until < wm);
	return true;
}

static int
see(void *self, struct fl_entry *e, struct fl_err *err)
{
	struct op *o = self;

	(void)err;
	o->ordered = o->ordered && e->seq >= o->last_seq;
	o->last_seq = e->seq;
	o->seen += value_of(e)->number != 0;
	return 0;
}

/* All that there is, by arrival. */
static bool
see_all(struct op *o, struct fl_err *err)
{
	bool same = true;

	for (unsigned s = 0; s < SPACES; s++) {
		uint64_t there = 0;

		o->ordered = true;
		o->seen = o->last_seq = 0;
		same = same && fl_spill_each(&o->spill, spaces[s], see, err) == 0;
		for (unsigned k = 0; k < KEYS; k++)
			there += model.number[s][k] != 0;
		same = same && o->ordered && o->seen == there;
	}
	return same;
}

/* ---- checkpoints ------------------------------------------------------------------------------ */

static struct fl_save *
checkpoint(struct op *o, struct fl_err *err)
{
	struct fl_save *s = fl_save_new(-1, "test");
	char name[FL_CHECKPOINT_NAME_MAX];

	o->run.checkpoint_id = ++checkpoints.attempt;
	(void)snprintf(name, sizeof name, "chk-%010llu", (unsigned long long)o->run.checkpoint_id);
	make(name);
	if (fl_spill_checkpoint(&o->spill, err) < 0 ||
	    fl_backend_checkpointed(o->run.backend, err) < 0)
		(void)tap_ok(false, "checkpoint: %s", err->msg);
	fl_spill_save(&o->spill, s);
	if (fl_save_end(s, err) < 0)
		(void)tap_ok(false, "save: %s", err->msg);
	return s;
}

static int
restore(struct op *o, const struct fl_save *s, struct fl_err *err)
{
	const struct fl_buf *file = fl_save_memory(s);
	struct fl_load *l = fl_load_from(file->data, file->len, "test", err);
	struct fl_state_section section;
	int rc = l ? fl_load_section(l, &section, err) : err->code;

	if (rc > 0)
		rc = fl_spill_load(&o->spill, l, &section, err);
	fl_load_close(l);
	return rc;
}

/* ---- tests ------------------------------------------------------------------------------------- */

/* A life, with restores where the memory is on disk. */
static void
live(bool disk, size_t memory, int steps, const char *what)
{
	struct fl_err err = { 0 };
	uint64_t evictions = 0, restores = 0;
	int64_t wm = 0;
	struct op o;
	bool same = true;

	memset(&model, 0, sizeof model);
	open_op(&o, disk ? on_disk(memory) : (struct fl_options){ .memory_max = SIZE_MAX },
		disk ? &checkpoints : NULL);
	name_keys(&o);
	for (int step = 0; step < steps && same; step++) {
		same = run_batch(&o, (uint64_t)(step + 1) * KEYS, wm, &err);
		same = same && (rnd(2) || fl_spill_trim(&o.spill, &err) == 0);
		if (same && rnd(4) == 0)
			same = advance(&o, wm += (int64_t)rnd(100), &err);
		if (same && rnd(200) == 0)
			same = fl_spill_bring(&o.spill, spaces[rnd(SPACES)], &err) == 0;
		if (same && rnd(300) == 0) {
			unsigned s = (unsigned)rnd(SPACES);

			same = fl_spill_drop(&o.spill, spaces[s], &err) == 0;
			fl_table_clear(&o.table[s]);
			memset(model.number[s], 0, sizeof model.number[s]);
		}
		if (same && rnd(150) == 0)
			same = see_all(&o, &err);
		if (same && disk && rnd(100) == 0) {
			struct fl_save *s = checkpoint(&o, &err);

			evictions += o.spill.evictions;
			same = o.all_same;
			if (rnd(2)) { /* the same process goes on, or another one */
				close_op(&o);
				open_op(&o, on_disk(memory), &checkpoints);
				name_keys(&o);
				same = same && restore(&o, s, &err) == 1;
				restores++;
			}
			fl_save_free(s);
		}
	}
	same = same && advance(&o, wm + 2000, &err) && see_all(&o, &err);
	evictions += o.spill.evictions;
	tap_ok(same && o.all_same, "%s: as an array, %d batches long%s%s", what, steps,
	       err.code ? ": " : "", err.code ? err.msg : "");
	tap_ok(disk ? evictions > 20 && restores > 0 : evictions == 0,
	       "%s: all was forgotten %llu times, and restored %llu times", what,
	       (unsigned long long)evictions, (unsigned long long)restores);
	close_op(&o);
}

/* A checkpoint for memory, of another version, with damaged values. */
static void
refuse(void)
{
	struct fl_err err = { 0 };
	struct fl_entry *e[KEYS];
	struct fl_save *s;
	struct op o;
	int rc;

	open_op(&o, on_disk(FL_KIB(64)), &checkpoints);
	name_keys(&o);
	rc = fl_spill_put(&o.spill, 2, &o.table[1], keys, NULL, KEYS, 1, e, &err);
	for (unsigned i = 0; rc == 0 && i < KEYS; i++)
		value_of(e[i])->number = 1;
	s = checkpoint(&o, &err);
	close_op(&o);
	tap_eq_int(rc, 0, "a table is written");

	open_op(&o, (struct fl_options){ .memory_max = SIZE_MAX }, &checkpoints);
	tap_eq_int(restore(&o, s, &err), FL_ECONFIG, "it is not for memory: %s", err.msg);
	close_op(&o);

	open_op(&o, on_disk(FL_KIB(64)), &checkpoints);
	name_keys(&o);
	tap_eq_int(restore(&o, s, &err), 1, "it is restored");
	tap_ok(o.spill.ns_count == 1 && fl_spill_ns_at(&o.spill, 0) == 2 &&
		       fl_spill_is_away(&o.spill, 2) && !fl_spill_is_away(&o.spill, 3),
	       "its namespaces are known");
	o.bad = true;
	tap_eq_int(fl_spill_put(&o.spill, 2, &o.table[1], keys, NULL, 3, 1, e, &err), FL_EDATA,
		   "a damaged value is told: %s", err.msg);
	close_op(&o);
	fl_save_free(s);
}

int
main(void)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(directory, sizeof directory, "%s/flue-t-spill-XXXXXX",
		       tmp && *tmp && strlen(tmp) < 60 ? tmp : "/tmp");
	if (!mkdtemp(directory))
		return 1;
	make("work");
	live(false, SIZE_MAX, 3000, "in memory");
	live(true, FL_KIB(96), 300, "on disk");
	live(true, FL_KIB(800), 3000, "on disk, with more memory");
	refuse();
	(void)nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return tap_done();
}
