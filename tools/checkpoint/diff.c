/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fcheckpoint diff DIR@A DIR@B: entries that were added, removed or changed.
 *
 * Each state is read twice: once for the hashes of its rows as they are shown, which are
 * sorted and compared, once to print those that differ. A key may have several (rows of a
 * join): they are compared as a bag. Of a state on disk the values are compared, and not how
 * RocksDB has them: in how many parts an aggregate is there depends on when it was written.
 */
#include <stdlib.h>

#include "checkpoint.h"
#include "people.h"
#include "run/statefiles.h"

static const char *const columns[] = { "op", "uid", "section", "namespace", "key", "value" };

struct print {
	uint64_t key[2];
	uint64_t value;
	uint64_t index; /* among the rows of the state, in their order */
};

enum mark { SAME = 0, ALONE, CHANGED };

/* One side: a checkpoint, and the state of the operator in hand. */
struct side {
	struct fl_ckdir d;
	struct fl_manifest m;
	const struct fl_ck_op *op; /* NULL: it has no such operator */
	struct fl_buf prints;      /* struct print */
	struct fl_buf marks;       /* a byte a row */
	uint64_t next;             /* index of the next row */
	struct fc_table *table;
	const char *const *ops; /* for ALONE and CHANGED */
};

static int
compare(const void *a, const void *b)
{
	const struct print *x = a, *y = b;

	for (int i = 0; i < 2; i++)
		if (x->key[i] != y->key[i])
			return x->key[i] < y->key[i] ? -1 : 1;
	return (x->value > y->value) - (x->value < y->value);
}

/* Where RocksDB's files are is another place in each checkpoint. */
static bool
is_place(const struct fc_shown *shown)
{
	return !shown->part_count && fl_state_is(shown->entry, "directory") &&
	       strcmp(shown->section->name, FL_STATEFILES_SECTION) == 0;
}

static int
take_print(void *ctx, struct fc_entries *x, const struct fc_shown *shown, struct fl_err *err)
{
	struct side *s = ctx;
	struct print print = { .index = s->next++ };

	(void)err;
	fc_shown_identity(x, shown, print.key, &print.value);
	fl_buf_put(&s->prints, &print, sizeof print);
	return 0;
}

static int
read_prints(const struct fc_people *p, struct side *s, struct fl_err *err)
{
	struct fc_entries *x;
	int rc;

	fl_buf_clear(&s->prints);
	fl_buf_clear(&s->marks);
	s->next = 0;
	if (!s->op)
		return 0;
	x = fc_entries_new(p, take_print, s);
	rc = fc_state_show(x, &s->d, &s->m, s->op, err);
	fc_entries_free(x);
	if (s->prints.len)
		qsort(s->prints.data, s->prints.len / sizeof(struct print), sizeof(struct print),
		      compare);
	memset(fl_buf_reserve(&s->marks, (size_t)s->next + 1), SAME, (size_t)s->next + 1);
	return rc;
}

static size_t
run_of(const struct print *p, size_t from, size_t count)
{
	size_t n = 1;

	while (from + n < count && p[from + n].key[0] == p[from].key[0] &&
	       p[from + n].key[1] == p[from].key[1])
		n++;
	return n;
}

/* Entries a[0..an) and b[0..bn) have one key and are sorted by their values. */
static void
mark_bag(struct side *l, const struct print *a, size_t an, struct side *r, const struct print *b,
	 size_t bn)
{
	enum mark alone = an && bn ? CHANGED : ALONE;
	size_t i = 0, k = 0;

	while (i < an || k < bn) {
		if (i < an && k < bn && a[i].value == b[k].value) {
			i++;
			k++;
		} else if (k == bn || (i < an && a[i].value < b[k].value)) {
			l->marks.data[a[i++].index] = (char)alone;
		} else {
			r->marks.data[b[k++].index] = (char)alone;
		}
	}
}

static void
mark(struct side *l, struct side *r)
{
	const struct print *a = (const struct print *)(const void *)l->prints.data;
	const struct print *b = (const struct print *)(const void *)r->prints.data;
	size_t an = l->prints.len / sizeof *a, bn = r->prints.len / sizeof *b, i = 0, k = 0;

	while (i < an || k < bn) {
		bool only_a = k == bn, only_b = i == an;
		size_t ni, nk;

		if (i < an && k < bn) {
			struct print x = a[i], y = b[k];

			x.value = y.value = 0;
			only_a = compare(&x, &y) < 0;
			only_b = compare(&x, &y) > 0;
		}
		ni = only_b ? 0 : run_of(a, i, an);
		nk = only_a ? 0 : run_of(b, k, bn);
		mark_bag(l, a ? a + i : a, ni, r, b ? b + k : b, nk);
		i += ni;
		k += nk;
	}
}

static int
put_marked(void *ctx, struct fc_entries *x, const struct fc_shown *shown, struct fl_err *err)
{
	struct side *s = ctx;
	char m = s->marks.data[s->next++];

	if (m == SAME || is_place(shown))
		return 0;
	fc_put(s->table, 0, s->ops[(int)m]);
	fc_put(s->table, 1, s->op->uid);
	fc_shown_put(x, shown, s->table, 2);
	return fc_table_row(s->table, err);
}

/* Print the rows of s that are marked. */
static int
print_marked(const struct fc_people *p, struct fc_table *t, struct side *s,
	     const char *const ops[3], struct fl_err *err)
{
	struct fc_entries *x;
	int rc;

	if (!s->op)
		return 0;
	s->table = t;
	s->ops = ops;
	s->next = 0;
	x = fc_entries_new(p, put_marked, s);
	rc = fc_state_show(x, &s->d, &s->m, s->op, err);
	fc_entries_free(x);
	return rc;
}

static int
diff_op(struct fc_people *p, struct fc_table *t, struct side *a, struct side *b, const char *uid,
	struct fl_err *err)
{
	static const char *const before[3] = { NULL, "-D", "-U" }, *const after[3] = { NULL, "+I",
										       "+U" };
	int rc;

	a->op = fl_manifest_op(&a->m, uid);
	b->op = fl_manifest_op(&b->m, uid);
	rc = read_prints(p, a, err);
	if (rc == 0)
		rc = read_prints(p, b, err);
	if (rc < 0)
		return rc;
	mark(a, b);
	rc = print_marked(p, t, a, before, err);
	return rc < 0 ? rc : print_marked(p, t, b, after, err);
}

static int
diff_all(struct fc_people *p, struct side *a, struct side *b, struct fl_err *err)
{
	struct fc_table t;
	int rc = fc_table_open(&t, p, columns, FL_ARRAY_LEN(columns), err);

	for (uint32_t i = 0; i < a->m.op_count && rc == 0; i++)
		rc = diff_op(p, &t, a, b, a->m.ops[i].uid, err);
	for (uint32_t i = 0; i < b->m.op_count && rc == 0; i++)
		if (!fl_manifest_op(&a->m, b->m.ops[i].uid))
			rc = diff_op(p, &t, a, b, b->m.ops[i].uid, err);
	return fc_table_end(&t, rc, err);
}

static int
open_side(struct side *s, const char *word, struct fl_err *err)
{
	uint64_t id;
	int rc = fc_people_open(&s->d, word, false, &id, err);

	return rc < 0 ? rc : fc_people_manifest(&s->d, id, &s->m, err);
}

static void
close_side(struct side *s)
{
	fl_manifest_release(&s->m);
	fl_ckdir_close(&s->d);
	fl_buf_release(&s->prints);
	fl_buf_release(&s->marks);
}

static int
diff(struct fc_people *p, char **words, int count, struct fl_err *err)
{
	struct side a = { 0 }, b = { 0 };
	int rc = open_side(&a, words[0], err);

	(void)count;
	if (rc == 0)
		rc = open_side(&b, words[1], err);
	if (rc == 0)
		rc = diff_all(p, &a, &b, err);
	close_side(&a);
	close_side(&b);
	return rc;
}

static const struct fc_subcommand command = {
	.name = "diff",
	.usage = "DIR@A DIR@B",
	.help = "What has changed in the state from the one checkpoint to the other, as a\n"
		"changelog: +I added, -D removed, -U and +U changed, before and after.\n",
	.words_min = 2,
	.words_max = 2,
	.run = diff,
};

int
fc_diff(int argc, char **argv)
{
	return fc_people_main(&command, argc, argv);
}
