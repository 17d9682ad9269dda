/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fquiet: an operator of one's own. It tells of keys that have not been heard of for
 * some time: hosts that no longer report, carts that were left standing.
 *
 *	fkeyby --time ts --watermark 5s host beats.csv | fquiet 1m --ocsv
 *
 * Keyed state: per key the time of its newest record. A timer per key, in event time.
 * A row goes out when the watermark reaches a key's last time plus the limit; then the
 * key is forgotten, until it comes again. As in Flink, records count as they come: one
 * that is here before the watermark has reached the limit is in time. And the end of the
 * data is the end of time: every key that is left is quiet then.
 *
 * run/op.h says what a tool is and in which order its callbacks are called. The runner
 * does everything else: formats, watermarks, barriers, the output, errors.
 */
#include <stdlib.h>

#include "checkpoint/snapshot.h"
#include "run/op.h"
#include "state/table.h"
#include "time/duration.h"
#include "time/timestamp.h"
#include "window/timers.h"

/* What is kept of a key, and, as it is, the value of an entry in a checkpoint. */
struct heard {
	int64_t last; /* time of the newest record */
	int64_t due;  /* of its timer; each entry has one */
	uint64_t seq; /* arrival of the key: orders rows that are due at one time */
};

struct fquiet {
	int64_t limit_ms;
	int64_t wm_ms; /* the watermark in force */
	uint64_t seq;  /* records so far */
	uint64_t late;
	struct fl_keys keys;
	struct fl_budget budget;
	struct fl_table table; /* key -> struct heard */
	struct fl_timers timers;
	struct fl_buf due, wm; /* scratch */
	struct fl_build rows;
};

static struct heard *
heard_of(struct fl_entry *e)
{
	return (struct heard *)(void *)e->value;
}

static int
words(void *self, struct fl_run *run, char **words, int count, int *ret_used, struct fl_err *err)
{
	struct fquiet *q = self;

	(void)run;
	if (count < 1)
		return fl_fail(err, FL_EUSAGE, "say how long is quiet, for example 10m");
	*ret_used = 1; /* what follows are FILEs */
	return fl_duration_parse(words[0], 0, &q->limit_ms, err);
}

static int
open(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fquiet *q = self;
	const struct fl_header *in = fl_run_header(run, 0);
	struct fl_header *out = fl_run_out(run);

	fl_keys_init(&q->keys);
	fl_budget_init(&q->budget, fl_run_memory_max(run));
	fl_table_init(&q->table, &q->budget, sizeof(struct heard));
	fl_timers_init(&q->timers);
	q->wm_ms = FL_TIME_MIN;
	if (!in->time || in->key_count == 0)
		return fl_fail(err, FL_EUSAGE, "needs a key and event time: fkeyby --time ... KEY");

	fl_header_clear_columns(out);
	for (uint32_t i = 0; i < in->key_count; i++) {
		const struct fl_column *c = &in->columns[in->keys[i]];

		(void)fl_header_add(out, c->name, c->name_len, FL_TEXT);
	}
	(void)fl_header_add(out, "last", 4, FL_TIME);
	fl_build_init(&q->rows, out->column_count);
	q->rows.timed = true;
	return 0;
}

static void
set_timer(struct fquiet *q, struct fl_entry *e)
{
	struct heard *h = heard_of(e);

	if (__builtin_add_overflow(h->last, q->limit_ms, &h->due))
		h->due = FL_TIME_MAX;
	fl_timers_push(&q->timers, h->due, e);
}

/* A key is quiet: a row, whose time is now, and the key is forgotten. */
static void
tell(struct fquiet *q, struct fl_entry *e)
{
	struct fl_key key = fl_entry_key(e);
	uint32_t columns = q->rows.cols - 1;

	for (uint32_t c = 0; c < columns; c++)
		fl_key_put(&key, c, columns, FL_TEXT, &q->rows.col[c]);
	fl_put_time(&q->rows.col[columns], heard_of(e)->last);
	/* with the watermark of before: for who comes next the row is not late */
	fl_build_row(&q->rows, heard_of(e)->due, q->wm_ms, FL_INSERT);
	fl_table_delete(&q->table, e);
}

static int
by_arrival(const void *a, const void *b)
{
	uint64_t x = heard_of(*(struct fl_entry *const *)a)->seq;
	uint64_t y = heard_of(*(struct fl_entry *const *)b)->seq;

	return (x > y) - (x < y);
}

/* The watermark is wm: what is due until then. A key that was heard of since waits on. */
static void
advance(struct fquiet *q, int64_t wm)
{
	struct fl_entry *e;
	int64_t at;

	if (wm <= q->wm_ms)
		return;
	while (fl_timers_next(&q->timers, wm, &at)) {
		fl_buf_clear(&q->due);
		while ((e = fl_timers_take(&q->timers)))
			fl_buf_put(&q->due, &e, sizeof e);
		qsort(q->due.data, q->due.len / sizeof e, sizeof e, by_arrival);
		for (size_t i = 0; i < q->due.len; i += sizeof e) {
			memcpy(&e, q->due.data + i, sizeof e);
			if (at < FL_TIME_MAX && heard_of(e)->last > at - q->limit_ms)
				set_timer(q, e);
			else
				tell(q, e);
		}
	}
	q->wm_ms = wm;
}

static int
flush(struct fquiet *q, struct fl_run *run, struct fl_err *err)
{
	int rc = q->rows.rows ? fl_emit(run, fl_build_view(&q->rows), err) : 0;

	fl_build_clear(&q->rows);
	return rc;
}

static int
on_batch(void *self, struct fl_run *run, uint32_t input, const struct fl_batch *b,
	 struct fl_err *err)
{
	struct fquiet *q = self;
	const int64_t *wm = fl_batch_wm(b, &q->wm);
	const struct fl_key *keys;
	struct fl_entry *e;
	uint32_t made;

	if (fl_keys_of(&q->keys, fl_run_header(run, input), b, &keys, err) < 0)
		return err->code;
	for (uint32_t i = 0; i < b->rows; i++, q->seq++) {
		advance(q, wm[i]);
		if (b->time[i] <= q->wm_ms) {
			q->late++;
			continue;
		}
		made = 0;
		if (fl_table_put(&q->table, &keys[i], NULL, 1, q->seq, &e, &made, err) < 0)
			return err->code;
		if (made || b->time[i] > heard_of(e)->last)
			heard_of(e)->last = b->time[i];
		if (made) {
			heard_of(e)->seq = q->seq;
			set_timer(q, e);
		}
	}
	return flush(q, run, err);
}

static int
on_watermark(void *self, struct fl_run *run, int64_t wm_ms, int64_t *forward_ms, struct fl_err *err)
{
	(void)forward_ms;
	advance(self, wm_ms);
	return flush(self, run, err);
}

static int
on_end(void *self, struct fl_run *run, struct fl_err *err)
{
	const struct fquiet *q = self;

	(void)err;
	fl_run_late(run, q->late, NULL);
	return 0;
}

static void
close_quiet(void *self)
{
	struct fquiet *q = self;

	if (!q->table.budget) /* it was never opened */
		return;
	fl_keys_release(&q->keys);
	fl_table_release(&q->table);
	fl_budget_release(&q->budget);
	fl_timers_release(&q->timers);
	fl_buf_release(&q->due);
	fl_buf_release(&q->wm);
	fl_build_release(&q->rows);
}

/* ---- checkpoints: what fcheckpoint begin and commit put around the line needs ------ */

static void
snapshot(void *self, struct fl_run *run, struct fl_save *s)
{
	struct fquiet *q = self;

	(void)run;
	fl_save_section(s, "quiet", 1, NULL);
	fl_save_int(s, "seq", (int64_t)q->seq);
	fl_save_int(s, "watermark", q->wm_ms);
	fl_save_int(s, "late", (int64_t)q->late);
	fl_save_section(s, "keys", 1, "{\"value\":\"bytes\"}");
	for (uint32_t i = 0; i < q->table.count; i++) {
		struct fl_entry *e = fl_table_at(&q->table, i);
		struct fl_key key = fl_entry_key(e);
		struct fl_state_entry entry = { .ns = "",
						.key = key.p,
						.key_len = key.len,
						.key_tags = key.tags,
						.value = e->value,
						.value_len = sizeof(struct heard) };

		if (!e->deleted)
			fl_save_entry(s, &entry);
	}
}

static int
restore_number(struct fquiet *q, const struct fl_state_entry *s, struct fl_err *err)
{
	int64_t v;

	if (fl_state_int(s, &v, err) < 0)
		return err->code;
	if (fl_state_is(s, "seq"))
		q->seq = (uint64_t)v;
	else if (fl_state_is(s, "late"))
		q->late = (uint64_t)v;
	else if (fl_state_is(s, "watermark"))
		q->wm_ms = v;
	return 0;
}

static int
restore_key(struct fquiet *q, const struct fl_state_entry *s, const struct fl_load *l,
	    struct fl_err *err)
{
	struct fl_key key = { .p = s->key, .len = s->key_len, .tags = s->key_tags };
	struct heard heard;
	struct fl_entry *e;

	/* what comes from a file is looked at before it is believed */
	if (s->value_len != sizeof heard || !fl_key_check(&key, q->rows.cols - 1))
		return fl_load_damaged(l, "a key", err);
	memcpy(&heard, s->value, sizeof heard);
	key.hash = fl_key_hash(&q->keys, &key);
	if (fl_table_put(&q->table, &key, NULL, 1, heard.seq, &e, NULL, err) < 0)
		return err->code;
	*heard_of(e) = heard;
	fl_timers_push(&q->timers, heard.due, e);
	return 0;
}

static int
restore(void *self, struct fl_run *run, struct fl_load *l, struct fl_err *err)
{
	struct fl_state_section section;
	struct fl_state_entry entry;
	int rc;

	(void)run;
	while ((rc = fl_load_section(l, &section, err)) > 0) {
		bool keys = strcmp(section.name, "keys") == 0;

		if (section.version != 1 || (!keys && strcmp(section.name, "quiet") != 0))
			return fl_load_unknown(l, &section, err);
		while ((rc = fl_load_entry(l, &entry, err)) > 0) {
			rc = keys ? restore_key(self, &entry, l, err)
				  : restore_number(self, &entry, err);
			if (rc < 0)
				return rc;
		}
		if (rc < 0)
			return rc;
	}
	return rc;
}

static size_t
state_bytes(const void *self)
{
	return ((const struct fquiet *)self)->budget.used;
}

static const struct fl_op fquiet_op = {
	.name = "fquiet",
	.summary = "tell of keys that have not been heard of",
	.usage = "LIMIT [FILE...]",
	.notes = "A row with the key and the time of its last record, when LIMIT has gone by.\n"
		 "\n"
		 "  fkeyby --time ts --watermark 5s host beats.csv | fquiet 1m\n"
		 "  fkeyby --time ts user clicks.csv | fquiet 30m --ocsv\n",
	.self_size = sizeof(struct fquiet),
	.inputs_max = 1,
	.words = words,
	.open = open,
	.on_batch = on_batch,
	.on_watermark = on_watermark,
	.on_end = on_end,
	.close = close_quiet,
	.snapshot = snapshot,
	.restore = restore,
	.state_bytes = state_bytes,
};

int
main(int argc, char **argv)
{
	return fl_main(&fquiet_op, argc, argv);
}
