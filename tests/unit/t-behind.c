/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing behind (state/behind.h) on a store that only checks what it is given: all of it,
 * once, in order, from whichever thread; and that errors are told.
 */
#include "state/behind.h"

#include <string.h>

#include "tap.h"

#define BATCH_MAX 20000
#define VALUE_MAX 100

/* What has arrived. */
static int64_t puts_seen, fail_at;
static int drops_seen, checkpoints_seen, wrong;

static int
write_begin(struct fl_store *s, struct fl_err *err)
{
	(void)s;
	(void)err;
	return 0;
}

/* Key number n is deleted where n is divided by 7; else its value has n % 100 + 1 bytes. */
static int
write_put(struct fl_store *s, struct fl_bytes key, struct fl_bytes value, bool part,
	  struct fl_err *err)
{
	int64_t n = -1;

	(void)s;
	if (key.n == sizeof n)
		memcpy(&n, key.p, sizeof n);
	wrong += n != puts_seen || part != (n % 2 == 0) || (n % 7 == 0) != !value.p ||
		 (value.p && value.n != (size_t)(n % VALUE_MAX + 1));
	puts_seen++;
	return puts_seen == fail_at ? fl_fail(err, FL_EIO, "the disk is full") : 0;
}

static int
drop_range(struct fl_store *s, struct fl_bytes from, struct fl_bytes to, struct fl_err *err)
{
	(void)s;
	(void)err;
	wrong += from.n != 3 || to.n != 2 || memcmp(from.p, "abc", 3) != 0 ||
		 memcmp(to.p, "de", 2) != 0;
	drops_seen++;
	return 0;
}

static int
checkpoint(struct fl_store *s, const char *dir, struct fl_err *err)
{
	(void)s;
	wrong += strcmp(dir, "dir") != 0;
	return ++checkpoints_seen % 3 == 0 ? fl_fail(err, FL_EIO, "no room for links") : 0;
}

static const struct fl_store_ops ops = {
	.write_begin = write_begin,
	.write_put = write_put,
	.write_end = write_begin,
	.drop_range = drop_range,
	.checkpoint = checkpoint,
};

static int
put_batch(struct fl_behind *b, int64_t *n, int count, struct fl_err *err)
{
	static char value[VALUE_MAX];
	int rc = fl_behind_begin(b, err);

	for (int i = 0; i < count && rc == 0; i++, (*n)++) {
		struct fl_bytes key = { (const char *)n, sizeof *n };
		struct fl_bytes v = { value, (size_t)(*n % VALUE_MAX + 1) };

		if (*n % 7 == 0)
			v = (struct fl_bytes){ 0 };
		rc = fl_behind_put(b, key, v, *n % 2 == 0, err);
	}
	return rc < 0 ? rc : fl_behind_end(b, err);
}

/* 60 batches, each fifth larger than what is queued; drops and checkpoints between. */
static int
fill(struct fl_behind *b, struct fl_err *err)
{
	struct fl_bytes from = { "abc", 3 }, to = { "de", 2 };
	int failed = 0, rc = 0;
	int64_t n = 0;

	puts_seen = drops_seen = checkpoints_seen = wrong = 0;
	for (int i = 0; i < 60 && rc == 0; i++) {
		rc = put_batch(b, &n, i % 5 == 4 ? 2000 : 3 * i, err);
		if (rc == 0)
			rc = fl_behind_drop(b, from, to, err);
		if (rc == 0)
			rc = fl_behind_checkpoint(b, "dir", err);
		if (rc == 0 && i % 3 == 2) {
			struct fl_err why = { 0 };

			failed += fl_behind_checkpointed(b, &why) == FL_EIO;
		}
	}
	if (rc == 0) {
		rc = fl_behind_settle(b, err);
		tap_ok(puts_seen == n && n > 24000, "all %d keys came", (int)n);
		tap_eq_int(drops_seen, 60, "all deletions");
		tap_eq_int(checkpoints_seen, 60, "all checkpoints");
		tap_eq_int(failed, 20, "each third fails, alone");
	}
	tap_eq_int(wrong, 0, "in order, as they were given");
	return rc;
}

/* Work of the caller's, which sees what was queued before it. */
static void
note(void *ctx)
{
	*(int64_t *)ctx = puts_seen;
}

static void
test_runs(void)
{
	struct fl_behind *b = fl_behind_new(&ops, NULL, BATCH_MAX);
	int64_t n = 0, seen = -1;
	struct fl_err err = { 0 };

	puts_seen = fail_at = wrong = 0;
	tap_eq_int(put_batch(b, &n, 5000, &err), 0, "a batch larger than the queue");
	tap_eq_int(fl_behind_run(b, note, &seen, &err), 0, "work behind it");
	tap_eq_int(fl_behind_settle(b, &err), 0, "is done");
	tap_eq_int(seen, 5000, "after all of the batch");
	tap_eq_int(wrong, 0, "which came in order");
	fail_at = 5001;
	(void)put_batch(b, &n, 1, &err);
	seen = -1;
	tap_eq_int(fl_behind_settle(b, &err), FL_EIO, "the disk is full");
	tap_eq_int(fl_behind_run(b, note, &seen, &err), FL_EIO, "which is told");
	(void)fl_behind_settle(b, &err);
	tap_eq_int(seen, 5001, "but work is done all the same");
	fl_behind_close(b);
	fail_at = 0;
}

int
main(void)
{
	struct fl_err err = { 0 };
	struct fl_behind *b = fl_behind_new(&ops, NULL, BATCH_MAX);

	tap_eq_int(fill(b, &err), 0, "nothing fails");
	fl_behind_close(b);

	/* 63 keys in four small batches before it: of one that is queued */
	fail_at = 10;
	b = fl_behind_new(&ops, NULL, BATCH_MAX);
	tap_eq_int(fill(b, &err), FL_EIO, "a batch that could not be written is told later");
	tap_eq_str(err.msg, "the disk is full", "as what it was");
	tap_eq_int(puts_seen, 10, "nothing is written behind the gap");
	tap_eq_int(fl_behind_settle(b, &err), FL_EIO, "and told again");
	tap_eq_int(fl_behind_checkpointed(b, &err), FL_EIO, "no checkpoint has the gap");
	fl_behind_close(b);
	fl_behind_close(NULL);
	test_runs();
	return tap_done();
}
