/* SPDX-License-Identifier: Apache-2.0 */
/* fcheckpoint verify DIR: read all that complete checkpoints name, and check it. */
#include "checkpoint.h"
#include "people.h"

static const char *const columns[] = { "checkpoint", "kind", "size", "verdict" };

/* A row for checkpoint id; found: what is wrong with it. */
static int
verify_one(struct fc_table *t, const struct fl_ckdir *d, uint64_t id, struct fl_err *found,
	   struct fl_err *err)
{
	struct fl_manifest m = { 0 };
	int rc = fl_manifest_read(d, id, &m, found);

	fl_put_int(fc_cell(t, 0), (int64_t)id);
	if (rc == 0) {
		fc_put(t, 1, fc_manifest_kind(&m));
		fl_put_int(fc_cell(t, 2), (int64_t)fc_manifest_size(&m));
		rc = fl_manifest_verify(d, &m, found);
	} else {
		fl_put_null(fc_cell(t, 1));
		fl_put_null(fc_cell(t, 2));
	}
	fc_put(t, 3, rc < 0 ? "damaged" : "sound");
	fl_manifest_release(&m);
	return fc_table_row(t, err);
}

/* All of one: the first damage is told when all are looked at. */
static int
verify_all(struct fc_table *t, const struct fl_ckdir *d, const struct fl_buf *ids, uint64_t only,
	   struct fl_err *err)
{
	struct fl_err first = { 0 };
	uint64_t id;

	for (size_t at = 0; at < ids->len; at += sizeof id) {
		struct fl_err found = { 0 };

		memcpy(&id, ids->data + at, sizeof id);
		if ((only && id != only) || fl_ck_look(d, id) != FL_CK_COMPLETE)
			continue;
		if (verify_one(t, d, id, &found, err) < 0)
			return err->code;
		if (found.code && !first.code)
			first = found;
	}
	if (!first.code)
		return 0;
	*err = first;
	return err->code;
}

static int
verify(struct fc_people *p, char **words, int count, struct fl_err *err)
{
	struct fl_buf ids = { 0 };
	struct fc_table t;
	struct fl_ckdir d;
	uint64_t only;
	int rc = fc_people_open(&d, words[0], false, &only, err);

	(void)count;
	if (rc < 0)
		return rc;
	rc = fl_ck_list(&d, &ids, err);
	if (rc == 0 && only && fl_ck_look(&d, only) != FL_CK_COMPLETE)
		rc = fl_fail(err, FL_ENOINPUT, "%s has no complete checkpoint %llu", d.path,
			     (unsigned long long)only);
	if (rc == 0) {
		rc = fc_table_open(&t, p, columns, FL_ARRAY_LEN(columns), err);
		if (rc == 0)
			rc = verify_all(&t, &d, &ids, only, err);
		rc = fc_table_end(&t, rc, err);
	}
	fl_buf_release(&ids);
	fl_ckdir_close(&d);
	return rc;
}

static const struct fc_subcommand command = {
	.name = "verify",
	.usage = "DIR[@ID]",
	.help = "Reads every file that a complete checkpoint names, and compares sizes and\n"
		"checksums. Exit status 65 if one is damaged, with the file and where in it.\n",
	.words_min = 1,
	.words_max = 1,
	.run = verify,
};

int
fc_verify(int argc, char **argv)
{
	return fc_people_main(&command, argc, argv);
}
