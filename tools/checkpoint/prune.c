/* SPDX-License-Identifier: Apache-2.0 */
/* fcheckpoint prune DIR: remove what is not needed any more. */
#include <stdio.h>

#include "checkpoint.h"
#include "people.h"

static const char *const columns[] = { "checkpoint", "verdict" };

const struct fl_opt fc_prune_opts[] = {
	{ .name = "retain",
	  .type = FL_OPT_INT,
	  .offset = offsetof(struct fc_people, retain),
	  .arg = "N",
	  .help = "complete ones that are kept; default: as begin said" },
	{ .type = FL_OPT_END },
};

/* A row for each that there was: is it still there? */
static int
tell(struct fc_people *p, const struct fl_ckdir *d, const struct fl_buf *ids, struct fl_err *err)
{
	struct fc_table t;
	uint64_t id;
	int rc = fc_table_open(&t, p, columns, FL_ARRAY_LEN(columns), err);

	for (size_t at = 0; at < ids->len && rc == 0; at += sizeof id) {
		enum fl_ck_state state;

		memcpy(&id, ids->data + at, sizeof id);
		state = fl_ck_look(d, id);
		fl_put_int(fc_cell(&t, 0), (int64_t)id);
		fc_put(&t, 1,
		       state == FL_CK_COMPLETE ? "kept"
		       : state == FL_CK_NONE   ? "removed"
					       : "not complete");
		rc = fc_table_row(&t, err);
	}
	return fc_table_end(&t, rc, err);
}

static int
prune(struct fc_people *p, char **words, int count, struct fl_err *err)
{
	struct fl_attempt a = { 0 };
	struct fl_buf ids = { 0 };
	struct fl_ckdir d;
	uint32_t left = 0;
	int rc = fl_ckdir_open(&d, words[0], false, err);

	(void)count;
	if (rc < 0)
		return rc;
	rc = fl_ckdir_read_attempt(&d, &a, err);
	if (rc == 0 && (p->retain == 0 || p->retain > INT32_MAX))
		rc = fl_fail(err, FL_EUSAGE, "--retain: at least 1");
	if (rc == 0)
		rc = fl_ck_list(&d, &ids, err);
	if (rc == 0)
		rc = fl_ckdir_clean(&d, p->retain < 0 ? a.retain : (uint32_t)p->retain, &left, err);
	if (rc == 0)
		rc = tell(p, &d, &ids, err);
	if (rc == 0 && left)
		rc = fl_fail(
			err, FL_EIO,
			"%u things in %s could not be removed; fcheckpoint verify tells whether "
			"a checkpoint is damaged, then nothing is",
			left, d.path);
	fl_buf_release(&ids);
	fl_attempt_release(&a);
	fl_ckdir_close(&d);
	return rc;
}

static const struct fc_subcommand command = {
	.name = "prune",
	.usage = "DIR [--retain N]",
	.help = "Removes all but the newest complete checkpoints and the savepoints, and what was\n"
		"abandoned. May be used while the pipeline runs.\n",
	.opts = fc_prune_opts,
	.words_min = 1,
	.words_max = 1,
	.run = prune,
};

int
fc_prune(int argc, char **argv)
{
	return fc_people_main(&command, argc, argv);
}
