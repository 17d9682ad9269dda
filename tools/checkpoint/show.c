/* SPDX-License-Identifier: Apache-2.0 */
/* fcheckpoint show DIR[@ID] [UID]: what a checkpoint is made of; the state of an operator. */
#include <stdlib.h>

#include "checkpoint.h"
#include "people.h"

static const char *const op_columns[] = {
	"uid",      "tool",        "backend",  "size",     "entries",
	"finished", "duration_ms", "stall_us", "align_ms",
};
static const char *const entry_columns[] = { "section", "namespace", "key", "value", "bytes" };

static int
show_operators(struct fc_people *p, const struct fl_manifest *m, struct fl_err *err)
{
	struct fc_table t;
	int rc = fc_table_open(&t, p, op_columns, FL_ARRAY_LEN(op_columns), err);

	for (uint32_t i = 0; i < m->op_count && rc == 0; i++) {
		const struct fl_ck_op *op = &m->ops[i];

		fc_put(&t, 0, op->uid);
		fc_put(&t, 1, op->tool);
		fc_put(&t, 2, op->backend);
		fl_put_int(fc_cell(&t, 3), (int64_t)fc_op_size(op));
		fl_put_int(fc_cell(&t, 4), (int64_t)op->entries);
		fl_put_bool(fc_cell(&t, 5), op->finished);
		fl_put_int(fc_cell(&t, 6), op->duration_ms);
		fl_put_int(fc_cell(&t, 7), op->stall_us);
		fl_put_int(fc_cell(&t, 8), op->align_ms);
		rc = fc_table_row(&t, err);
	}
	return fc_table_end(&t, rc, err);
}

static int
put_row(void *ctx, struct fc_entries *x, const struct fc_shown *shown, struct fl_err *err)
{
	struct fc_table *t = ctx;

	fc_shown_put(x, shown, t, 0);
	fl_put_int(fc_cell(t, 4), (int64_t)shown->bytes);
	return fc_table_row(t, err);
}

static int
show_state(struct fc_people *p, const struct fl_ckdir *d, const struct fl_manifest *m,
	   const char *uid, struct fl_err *err)
{
	const struct fl_ck_op *op = fl_manifest_op(m, uid);
	struct fc_entries *x;
	struct fc_table t;
	int rc;

	if (!op)
		return fl_fail(err, FL_EUSAGE,
			       "checkpoint %llu of %s has no operator %s; fcheckpoint show %s@%llu "
			       "names those that it has",
			       (unsigned long long)m->id, d->path, uid, d->path,
			       (unsigned long long)m->id);
	rc = fc_table_open(&t, p, entry_columns, FL_ARRAY_LEN(entry_columns), err);
	x = fc_entries_new(p, put_row, &t);
	if (rc == 0)
		rc = fc_state_show(x, d, m, op, err);
	fc_entries_free(x);
	return fc_table_end(&t, rc, err);
}

static int
show(struct fc_people *p, char **words, int count, struct fl_err *err)
{
	struct fl_manifest m = { 0 };
	struct fl_ckdir d;
	uint64_t id;
	int rc = fc_people_open(&d, words[0], false, &id, err);

	if (rc < 0)
		return rc;
	rc = fc_people_manifest(&d, id, &m, err);
	if (rc == 0)
		rc = count > 1 ? show_state(p, &d, &m, words[1], err) : show_operators(p, &m, err);
	fl_manifest_release(&m);
	fl_ckdir_close(&d);
	return rc;
}

static const struct fc_subcommand command = {
	.name = "show",
	.usage = "DIR[@ID] [UID]",
	.help = "Checkpoint ID of DIR, or the newest: its operators. With UID, the state of\n"
		"that one: each entry with its section, namespace (a window, a side), key,\n"
		"value and size.\n",
	.words_min = 1,
	.words_max = 2,
	.run = show,
};

int
fc_show(int argc, char **argv)
{
	return fc_people_main(&command, argc, argv);
}
