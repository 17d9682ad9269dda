/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fcheckpoint diff DIR@A DIR@B: entries that were added, removed or changed.
 *
 * Each state is read twice: once for the hashes of its entries, which are sorted and
 * compared, once to print those that differ. A key may have several entries (rows of a
 * join): they are compared as a bag.
 */
#include <stdlib.h>

#include "checkpoint.h"
#include "people.h"

static const char *const columns[] = { "op", "uid", "section", "namespace", "key", "value" };

struct print {
	uint64_t key[2];
	uint64_t value;
	uint64_t index; /* in the state, in its order */
};

enum mark { SAME = 0, ALONE, CHANGED };

/* One side: a checkpoint, and the state of the operator in hand. */
struct side {
	struct fl_ckdir d;
	struct fl_manifest m;
	const struct fl_ck_op *op; /* NULL: it has no such operator */
	struct fl_buf prints;      /* struct print */
	struct fl_buf marks;       /* a byte an entry */
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

static int
read_prints(struct side *s, struct fl_err *err)
{
	struct fl_state_section section;
	struct fl_state_entry e;
	struct print print = { .index = 0 };
	struct fl_load *l;
	char *name;
	int rc;

	fl_buf_clear(&s->prints);
	fl_buf_clear(&s->marks);
	if (!s->op)
		return 0;
	l = fl_manifest_load(&s->d, &s->m, s->op, &name, err);
	if (!l)
		return err->code;
	while ((rc = fl_load_section(l, &section, err)) > 0)
		while ((rc = fl_load_entry(l, &e, err)) > 0) {
			fl_state_identity(&section, &e, print.key, &print.value);
			fl_buf_put(&s->prints, &print, sizeof print);
			print.index++;
		}
	fl_load_close(l);
	free(name);
	if (print.index)
		qsort(s->prints.data, (size_t)print.index, sizeof print, compare);
	memset(fl_buf_reserve(&s->marks, (size_t)print.index + 1), SAME, (size_t)print.index + 1);
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

/* Print the entries of s that are marked. ops: for ALONE and CHANGED. */
static int
print_marked(struct fc_people *p, struct fc_table *t, struct side *s, const char *const ops[3],
	     struct fl_err *err)
{
	struct fc_entries *x;
	struct fl_state_section section;
	struct fl_state_entry e;
	struct fl_load *l;
	uint64_t index = 0;
	char *name;
	int rc = 0;

	if (!s->op)
		return 0;
	l = fl_manifest_load(&s->d, &s->m, s->op, &name, err);
	if (!l)
		return err->code;
	x = fc_entries_new(p);
	while (rc >= 0 && (rc = fl_load_section(l, &section, err)) > 0) {
		fc_entries_section(x, &section);
		while ((rc = fl_load_entry(l, &e, err)) > 0) {
			char m = s->marks.data[index++];

			fc_entries_learn(x, &e);
			if (m == SAME)
				continue;
			fc_put(t, 0, ops[(int)m]);
			fc_put(t, 1, s->op->uid);
			fc_entries_put(x, &e, t, 2);
			if ((rc = fc_table_row(t, err)) < 0)
				break;
		}
	}
	fc_entries_free(x);
	fl_load_close(l);
	free(name);
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
	rc = read_prints(a, err);
	if (rc == 0)
		rc = read_prints(b, err);
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
