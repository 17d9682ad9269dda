/* SPDX-License-Identifier: Apache-2.0 */
/* fcheckpoint savepoint DIR: ask the running pipeline for one, and wait for it. */
#include "base/io.h"
#include "checkpoint.h"
#include "people.h"

#define LOOK_MS 20

static const char *const columns[] = { "checkpoint", "kind", "size", "path" };

#define AT(member) offsetof(struct fc_people, member)

const struct fl_opt fc_savepoint_opts[] = {
	{ .name = "stop",
	  .type = FL_OPT_FLAG,
	  .offset = AT(stop),
	  .help = "then the pipeline ends; windows do not fire" },
	{ .name = "drain",
	  .type = FL_OPT_FLAG,
	  .offset = AT(drain),
	  .help = "it ends as at the end of the data; windows fire" },
	{ .name = "to",
	  .type = FL_OPT_STRING,
	  .offset = AT(to),
	  .arg = "PATH",
	  .help = "copy it, as a checkpoint directory of its own" },
	{ .name = "timeout",
	  .type = FL_OPT_DURATION,
	  .offset = AT(timeout_ms),
	  .arg = "DUR",
	  .help = "wait no longer; default 10m" },
	{ .type = FL_OPT_END },
};

/* The greatest id that there is: what was asked for gets a greater one. */
static int
greatest_id(const struct fl_ckdir *d, uint64_t *ret, struct fl_err *err)
{
	struct fl_buf ids = { 0 };
	int rc = fl_ck_list(d, &ids, err);

	*ret = 0;
	if (ids.len)
		memcpy(ret, ids.data + ids.len - sizeof *ret, sizeof *ret);
	fl_buf_release(&ids);
	return rc;
}

/* A complete savepoint (or, after a drain, the last checkpoint) behind id: 1 and *m. */
static int
look(const struct fl_ckdir *d, uint64_t behind, bool drain, struct fl_manifest *m,
     struct fl_err *err)
{
	struct fl_buf ids = { 0 };
	int rc = fl_ck_list(d, &ids, err);
	uint64_t id;

	for (size_t at = 0; at < ids.len && rc == 0; at += sizeof id) {
		memcpy(&id, ids.data + at, sizeof id);
		if (id <= behind || fl_ck_look(d, id) != FL_CK_COMPLETE)
			continue;
		rc = fl_manifest_read(d, id, m, err);
		if (rc == 0 && (drain ? m->finished : m->savepoint || m->finished))
			rc = 1;
		else
			fl_manifest_release(m);
	}
	fl_buf_release(&ids);
	return rc;
}

/* Until it is complete; with --stop and --drain, until the pipeline has ended, too. */
static int
wait_for(const struct fc_people *p, const struct fl_ckdir *d, uint64_t behind,
	 struct fl_manifest *m, struct fl_err *err)
{
	int64_t until = fl_clock_us() + p->timeout_ms * 1000;
	bool ends = p->stop || p->drain, found = false;

	for (;;) {
		bool running = fl_ckdir_is_locked(
			d, "lock"); /* before looking: it may end in between */
		int rc = found ? 1 : look(d, behind, p->drain, m, err);

		found = rc > 0;
		if (rc < 0 || (found && (!ends || !running)))
			return rc < 0 ? rc : 0;
		if (!running)
			return fl_fail(err, FL_ETEMP,
				       "the pipeline of %s ended before the savepoint was complete",
				       d->path);
		if (fl_clock_us() >= until)
			return fl_fail(
				err, FL_ETEMP,
				found ? "the savepoint is complete, but the pipeline of %s has "
					"not ended in %lld ms"
				      : "no savepoint of %s within %lld ms",
				d->path, (long long)p->timeout_ms);
		(void)fl_io_wait_readable(-1, LOOK_MS); /* of nothing: it sleeps */
	}
}

static int
tell(struct fc_people *p, const struct fl_ckdir *d, const struct fl_manifest *m, struct fl_err *err)
{
	char name[FL_CHECKPOINT_NAME_MAX];
	struct fl_buf path = { 0 };
	struct fc_table t;
	int rc = fc_table_open(&t, p, columns, FL_ARRAY_LEN(columns), err);

	if (rc == 0) {
		fl_ck_path(name, m->id, NULL);
		fl_buf_printf(&path, "%s/%s", d->path, name);
		fl_put_int(fc_cell(&t, 0), (int64_t)m->id);
		fc_put(&t, 1, fc_manifest_kind(m));
		fl_put_int(fc_cell(&t, 2), (int64_t)fc_manifest_size(m));
		fc_put(&t, 3, p->to ? p->to : path.data);
		rc = fc_table_row(&t, err);
	}
	fl_buf_release(&path);
	return fc_table_end(&t, rc, err);
}

static int
ask(struct fc_people *p, const struct fl_ckdir *d, struct fl_manifest *m, struct fl_err *err)
{
	enum fl_request_kind kind = p->drain  ? FL_REQUEST_DRAIN
				    : p->stop ? FL_REQUEST_STOP
					      : FL_REQUEST_SAVEPOINT;
	uint64_t behind;

	if (p->stop && p->drain)
		return fl_fail(err, FL_EUSAGE, "--stop and --drain: one of them");
	if (!fl_ckdir_is_locked(d, "lock"))
		return fl_fail(err, FL_EUNAVAILABLE, "no pipeline is running with %s", d->path);
	if (greatest_id(d, &behind, err) < 0 ||
	    fl_ckdir_ask(d, kind, p->stop ? -FL_ETEMP : 0, err) < 0)
		return err->code;
	return wait_for(p, d, behind, m, err);
}

static int
savepoint(struct fc_people *p, char **words, int count, struct fl_err *err)
{
	struct fl_manifest m = { 0 };
	struct fl_ckdir d;
	uint64_t id;
	int rc = fc_people_open(&d, words[0], false, &id, err);

	(void)count;
	if (rc < 0)
		return rc;
	/* one that is there can be copied, too */
	rc = id ? fc_people_manifest(&d, id, &m, err) : ask(p, &d, &m, err);
	if (rc == 0 && id && !p->to)
		rc = fl_fail(err, FL_EUSAGE, "%s: checkpoint %llu is there; --to PATH copies it",
			     words[0], (unsigned long long)id);
	/* the output belongs to the job that goes on: not to the copy */
	if (rc == 0 && p->to)
		rc = fl_manifest_copy(&d, &m, p->to, !fl_ckdir_is_locked(&d, "lock"), err);
	if (rc == 0)
		rc = tell(p, &d, &m, err);
	fl_manifest_release(&m);
	fl_ckdir_close(&d);
	return rc;
}

static const struct fc_subcommand command = {
	.name = "savepoint",
	.usage = "DIR [--stop|--drain] [--to PATH]",
	.help = "Asks the running pipeline of DIR for a checkpoint that prune keeps, and\n"
		"waits until it is complete. DIR@ID with --to copies one that is there.\n",
	.opts = fc_savepoint_opts,
	.words_min = 1,
	.words_max = 1,
	.run = savepoint,
};

int
fc_savepoint(int argc, char **argv)
{
	return fc_people_main(&command, argc, argv);
}
