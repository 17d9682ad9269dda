/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, tables and timers against naive models. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/table.h"
#include "tap.h"
#include "window/timers.h"

static uint64_t seed = 42;

static uint64_t
rnd(uint64_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % below;
}

/* ---- table ------------------------------------------------------------------------ */

#define KEYS 5000

static struct fl_key
key_of(unsigned i, char *buf)
{
	struct fl_key k = { .p = buf };

	/* short ones, long ones, the empty one, NULL; hashes that collide */
	k.len = (uint32_t)sprintf(buf, i % 3 ? "k%u" : "a rather long key, number %u", i);
	if (i == 7)
		k.len = 0;
	if (i == 8)
		k.len = FL_KEY_NULL;
	k.hash = (uint64_t)(i * 2654435761u % 977) << 20;
	return k;
}

static void
table_model(void)
{
	static int64_t model[KEYS];
	static uint64_t order[KEYS];
	struct fl_budget budget;
	struct fl_table t;
	struct fl_err err = { 0 };
	uint64_t seq = 1;
	char buf[64];
	bool same = true;

	fl_budget_init(&budget, SIZE_MAX);
	fl_table_init(&t, &budget, sizeof(int64_t));
	for (int step = 0; step < 200000 && same; step++) {
		unsigned i = (unsigned)rnd(KEYS);
		struct fl_key k = key_of(i, buf);
		struct fl_entry *e;

		if (rnd(3) == 0) {
			e = fl_table_get(&t, &k);
			same = (e != NULL) == (model[i] != 0) &&
			       (!e || *(int64_t *)(void *)e->value == model[i]);
			if (e)
				fl_table_delete(&t, e);
			model[i] = 0;
			continue;
		}
		same = fl_table_put(&t, &k, NULL, 1, seq, &e, NULL, &err) == 0;
		if (!model[i])
			order[i] = seq;
		seq++;
		same = same && *(int64_t *)(void *)e->value == model[i] && e->seq == order[i];
		*(int64_t *)(void *)e->value = ++model[i];
	}
	tap_ok(same, "a table does what an array does, through 200000 puts, gets and deletes");
	{
		uint32_t live = 0, walked = 0;

		for (unsigned i = 0; i < KEYS; i++)
			live += model[i] != 0;
		for (uint32_t i = 0; i < t.count; i++)
			walked += !fl_table_at(&t, i)->deleted;
		tap_ok(live == t.live && walked == t.live, "a walk sees %u entries, each once",
		       live);
	}
	fl_table_clear(&t);
	tap_eq_int((int64_t)budget.used, 0, "a cleared table holds nothing of the budget");
	tap_ok(t.live == 0 && !fl_table_get(&t, &(struct fl_key){ .p = "k1", .len = 2 }),
	       "and no keys");
	fl_table_release(&t);
	fl_budget_release(&budget);
}

static void
table_order(void)
{
	struct fl_key keys[1000];
	struct fl_entry *e[1000];
	static char text[1000][40];
	struct fl_budget budget;
	struct fl_table t;
	struct fl_err err = { 0 };
	uint32_t made;
	bool ordered = true;

	fl_budget_init(&budget, SIZE_MAX);
	fl_table_init(&t, &budget, 24);
	for (unsigned i = 0; i < 1000; i++) {
		keys[i] = key_of((i * 7) % 500, text[i]);
		keys[i].hash = rnd(UINT32_MAX);
	}
	for (unsigned i = 500; i < 1000; i++)
		keys[i].hash = keys[i - 500].hash; /* the same 500 keys once more */
	tap_ok(fl_table_put(&t, keys, NULL, 1000, 10, e, &made, &err) == 0 && made == 500,
	       "a batch of keys: the new ones are made once");
	for (unsigned i = 0; i < 500; i++)
		ordered = ordered && fl_table_at(&t, i) == e[i] && e[i]->seq == 10 + i &&
			  e[i + 500] == e[i];
	tap_ok(ordered, "entries come by arrival, with their numbers, and do not move");
	fl_table_release(&t);
	fl_budget_release(&budget);
}

static void
budget(void)
{
	struct fl_budget b;
	struct fl_table t;
	struct fl_err err = { 0 };
	char buf[64];
	unsigned i = 0;
	int rc = 0;

	fl_budget_init(&b, FL_MIB(1));
	fl_table_init(&t, &b, 100);
	for (; rc == 0 && i < 1000000; i++) {
		struct fl_key k = key_of(i + 100, buf);
		struct fl_entry *e;

		k.hash = i * 2654435761u;
		rc = fl_table_put(&t, &k, NULL, 1, i, &e, NULL, &err);
	}
	tap_ok(rc == FL_ELIMIT && strstr(err.msg, "--max-memory 1M"), "a budget has an end: %s",
	       err.msg);
	tap_ok(b.used <= FL_MIB(1) && t.live == i - 1, "and what was there stays");
	fl_table_release(&t);
	fl_budget_release(&b);
}

/* ---- keys ---------------------------------------------------------------------------- */

static void
keys(void)
{
	struct fl_header h;
	struct fl_build w;
	struct fl_keys k;
	const struct fl_key *key;
	struct fl_err err = { 0 };
	struct fl_colbuf out = { .clean = true };

	fl_header_init(&h);
	(void)fl_header_add(&h, "a", 1, FL_TEXT);
	(void)fl_header_add(&h, "b", 1, FL_INT64);
	h.keys = fl_xcalloc(2, sizeof *h.keys);
	h.keys[1] = 1;
	fl_build_init(&w, 2);
	for (int i = 0; i < 4; i++) {
		if (i == 0)
			fl_put_null(&w.col[0]);
		else
			fl_put_text(&w.col[0], "12", i == 1 ? 0 : 2,
				    i == 3 ? FL_TAG_NUMBER : FL_TAG_STRING);
		fl_put_int(&w.col[1], i / 2);
		fl_build_row(&w, 0, 0, FL_INSERT);
	}
	fl_keys_init(&k);
	h.key_count = 1;
	tap_ok(fl_keys_of(&k, &h, fl_build_view(&w), &key, &err) == 0, "keys of one column");
	tap_ok(key[0].len == FL_KEY_NULL && key[1].len == 0 && key[0].hash != key[1].hash,
	       "NULL is a key of its own, the empty string another");
	tap_ok(key[2].len == 2 && key[2].hash == key[3].hash && memcmp(key[2].p, key[3].p, 2) == 0,
	       "a string and a number of the same text are the same key");
	fl_key_put(&key[3], 0, 1, FL_TEXT, &out);
	tap_ok(out.tag == FL_TAG_NUMBER, "which is printed as it came");
	h.key_count = 2;
	tap_ok(fl_keys_of(&k, &h, fl_build_view(&w), &key, &err) == 0, "keys of two columns");
	tap_ok(key[2].len == key[3].len && memcmp(key[2].p, key[3].p, key[2].len) == 0 &&
		       key[0].hash != key[1].hash,
	       "are compared by all of them");
	fl_key_put(&key[2], 1, 2, FL_INT64, &out);
	tap_ok(out.rows == 2 && memcmp(out.bytes.data, "121", 3) == 0, "each is there again");
	h.key_count = 0;
	tap_ok(fl_keys_of(&k, &h, fl_build_view(&w), &key, &err) == 0 && key[0].len == 0 &&
		       key[0].hash == key[3].hash,
	       "without key columns all records have one key");
	fl_buf_release(&out.bytes);
	fl_buf_release(&out.data);
	fl_buf_release(&out.tags);
	fl_keys_release(&k);
	fl_build_release(&w);
	fl_header_release(&h);
}

/* ---- timers --------------------------------------------------------------------------- */

static void
timers(void)
{
	enum { N = 3000 };
	static int64_t due[N]; /* INT64_MAX: taken */
	static const int64_t far[] = { INT64_MIN, INT64_MAX - 1, 0, -1, 1700000000000 };
	struct fl_timers t;
	int64_t at, clock = INT64_MIN;
	bool same = true;
	int n = 0, taken = 0;

	fl_timers_init(&t);
	while (taken < N && same) {
		for (int k = (int)rnd(20); k && n < N; k--, n++) {
			due[n] = rnd(10) ? clock + (int64_t)rnd(1000) : far[rnd(5)];
			if (clock == INT64_MIN)
				due[n] = (int64_t)rnd(100000) - 50000;
			fl_timers_push(&t, due[n], &due[n]);
		}
		int64_t until = clock == INT64_MIN ? 0
				: n == N           ? INT64_MAX
						   : clock + (int64_t)rnd(500),
			min;

		for (;;) {
			int64_t *p;

			min = INT64_MAX;
			for (int i = 0; i < n; i++)
				min = due[i] < min ? due[i] : min;
			if (!fl_timers_next(&t, until, &at)) {
				same = same && (min > until || min == INT64_MAX);
				break;
			}
			/* what has passed comes first, by its own time */
			same = same && at == min && fl_timers_may_be_due(&t, at);
			clock = at > clock ? at : clock;
			while ((p = fl_timers_take(&t))) {
				same = same && *p <= at && *p != INT64_MAX;
				*p = INT64_MAX;
				taken++;
			}
			if (!same)
				break;
		}
	}
	tap_ok(same && taken == N, "timers come at their time, all of them, in order");
	tap_eq_int(fl_timers_earliest(&t), INT64_MAX, "and none is left");
	fl_timers_release(&t);
}

/* A table that is filled at once: more than a thread prepares, areas, a large index. */
static void
table_filled(void)
{
	enum { COUNT = 1200000, AT_ONCE = 1000 };
	struct fl_key *keys = calloc(AT_ONCE, sizeof *keys);
	struct fl_entry **e = calloc(AT_ONCE, sizeof(struct fl_entry *));
	char(*text)[24] = calloc(AT_ONCE, sizeof *text);
	struct fl_budget budget;
	struct fl_table t;
	struct fl_err err = { 0 };
	bool good = true;

	fl_budget_init(&budget, SIZE_MAX);
	fl_table_init(&t, &budget, 4 * sizeof(int64_t));
	for (int same = 0; same < 2; same++) {
		fl_table_fill_begin(&t, COUNT);
		for (unsigned i = 0; i < COUNT && good; i += AT_ONCE) {
			for (unsigned j = 0; j < AT_ONCE; j++) {
				unsigned k = same && i + j == COUNT - 1 ? 5 : i + j;

				keys[j].p = text[j];
				keys[j].len = (uint32_t)sprintf(text[j],
								k % 9 ? "%u" : "key number %9u", k);
				keys[j].hash = (uint32_t)(k / 2 * 2654435761u);
			}
			good = fl_table_fill(&t, keys, AT_ONCE, i, e, &err) == 0;
		}
		tap_ok(good && fl_table_filled(&t, &err) == same,
		       same ? "filled: a key that is there twice is found"
			    : "filled: no key is there twice");
		for (unsigned j = 0; j < AT_ONCE && !same; j++) {
			struct fl_entry *found = fl_table_get(&t, &keys[j]);

			good = good && found && found->seq == COUNT - AT_ONCE + j;
		}
		tap_ok(good && t.live == COUNT, "filled: all are found");
		fl_table_clear(&t);
		tap_ok(budget.used == 0, "filled: all memory is given back");
	}
	fl_table_release(&t);
	fl_budget_release(&budget);
	free(keys);
	free(e);
	free(text);
}

int
main(void)
{
	table_model();
	table_order();
	table_filled();
	budget();
	keys();
	timers();
	return tap_done();
}
