/* SPDX-License-Identifier: Apache-2.0 */
/* fcheckpoint list DIR: what checkpoints there are. */
#include "checkpoint.h"
#include "people.h"

static const char *const columns[] = {
	"checkpoint", "time", "kind", "size", "duration_ms", "stall_us", "operators",
};

static void
put_manifest(struct fc_table *t, const struct fl_manifest *m)
{
	int64_t stall = 0, duration = 0;

	for (uint32_t i = 0; i < m->op_count; i++) {
		stall = m->ops[i].stall_us > stall ? m->ops[i].stall_us : stall;
		duration = m->ops[i].duration_ms > duration ? m->ops[i].duration_ms : duration;
	}
	if (m->barrier_ms) /* the last one has no barrier: the end is one */
		duration = m->time_ms - m->barrier_ms;
	fl_put_time(fc_cell(t, 1), m->time_ms);
	fc_put(t, 2, fc_manifest_kind(m));
	fl_put_int(fc_cell(t, 3), (int64_t)fc_manifest_size(m));
	fl_put_int(fc_cell(t, 4), duration);
	fl_put_int(fc_cell(t, 5), stall);
	fl_put_int(fc_cell(t, 6), m->op_count);
}

static int
put_checkpoint(struct fc_table *t, const struct fl_ckdir *d, uint64_t id, struct fl_err *err)
{
	enum fl_ck_state state = fl_ck_look(d, id);
	struct fl_err ignored;
	struct fl_manifest m;

	fl_put_int(fc_cell(t, 0), (int64_t)id);
	if (state == FL_CK_COMPLETE && fl_manifest_read(d, id, &m, &ignored) == 0) {
		put_manifest(t, &m);
		fl_manifest_release(&m);
		return fc_table_row(t, err);
	}
	for (uint32_t c = 1; c < FL_ARRAY_LEN(columns); c++)
		if (c != 2)
			fl_put_null(fc_cell(t, c));
	fc_put(t, 2,
	       state == FL_CK_COMPLETE    ? "damaged"
	       : state == FL_CK_ABANDONED ? "abandoned"
					  : "open");
	return fc_table_row(t, err);
}

static int
list(struct fc_people *p, char **words, int count, struct fl_err *err)
{
	struct fl_buf ids = { 0 };
	struct fc_table t;
	struct fl_ckdir d;
	uint64_t id;
	int rc = fl_ckdir_open(&d, words[0], false, err);

	(void)count;
	if (rc < 0)
		return rc;
	rc = fl_ck_list(&d, &ids, err);
	if (rc == 0) {
		rc = fc_table_open(&t, p, columns, FL_ARRAY_LEN(columns), err);
		for (size_t at = 0; at < ids.len && rc == 0; at += sizeof id) {
			memcpy(&id, ids.data + at, sizeof id);
			rc = put_checkpoint(&t, &d, id, err);
		}
		rc = fc_table_end(&t, rc, err);
	}
	fl_buf_release(&ids);
	fl_ckdir_close(&d);
	return rc;
}

static const struct fc_subcommand command = {
	.name = "list",
	.usage = "DIR",
	.help = "The checkpoints in DIR, oldest first: checkpoint, savepoint (kept by\n"
		"prune), finished (the end of the data), abandoned, open (not complete, or\n"
		"not yet) or damaged.\n",
	.words_min = 1,
	.words_max = 1,
	.run = list,
};

int
fc_list(int argc, char **argv)
{
	return fc_people_main(&command, argc, argv);
}
