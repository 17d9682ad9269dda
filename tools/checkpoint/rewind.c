/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fcheckpoint rewind DIR@ID: go back to an older checkpoint. An act of its own: a pipeline
 * never does it.
 *
 * Newer checkpoints are marked abandoned, durably, before an output is cut: what is in
 * the output is then never more than what a checkpoint says. When it is ended between the
 * two, the pipeline finds its output too long and refuses; the same rewind finishes it.
 */
#define _GNU_SOURCE /* O_NOFOLLOW */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "checkpoint.h"
#include "part.h"
#include "people.h"

#define TAIL_MAX 4096u
#define WAIT_MS 2000

static const char *const columns[] = { "what", "action", "bytes" };

struct rewind {
	struct fl_ckdir d;
	struct fl_manifest m;
	struct fc_table t;
};

static int
tell(struct rewind *r, const char *what, const char *action, int64_t bytes, struct fl_err *err)
{
	fc_put(&r->t, 0, what);
	fc_put(&r->t, 1, action);
	if (bytes >= 0)
		fl_put_int(fc_cell(&r->t, 2), bytes);
	else
		fl_put_null(fc_cell(&r->t, 2));
	return fc_table_row(&r->t, err);
}

/* ---- an output that is one file ---------------------------------------------------------- */

/* How long it was when checkpoint m was in it. */
static uint64_t
length_of(const struct fl_ck_sink *s)
{
	uint64_t n = s->base + s->committed;

	for (uint32_t i = 0; i < s->pending_count; i++)
		n += s->pending[i].to - s->pending[i].from;
	return n;
}

/* Whether what stands before the checkpoint's results is still what was there then. */
static int
check_tail(const struct fl_ck_sink *s, int fd, struct fl_err *err)
{
	uint64_t end = s->base + s->committed;
	char tail[TAIL_MAX];
	int64_t got;

	if (s->tail_len > sizeof tail || s->tail_len > end)
		return fl_fail(err, FL_EDATA, "%s: the manifest is damaged", s->path);
	got = fc_read_at(fd, s->path, end - s->tail_len, tail, (size_t)s->tail_len, err);
	if (got < 0)
		return err->code;
	if ((uint64_t)got == s->tail_len && fc_hash(tail, (size_t)got) == s->tail_hash)
		return 0;
	return fl_fail(err, FL_ECONFIG,
		       "%s was edited: the bytes before byte %llu are not those of the checkpoint; "
		       "nothing is cut",
		       s->path, (unsigned long long)end);
}

/* The output, seen to be the one of the checkpoint: a descriptor. */
static int
open_output(const struct fl_ck_sink *s, uint64_t *ret_size, struct fl_err *err)
{
	int fd = open(s->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return fl_fail_errno(err, FL_ECONFIG, errno, "cannot open the output %s", s->path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_ino != s->ino)
		(void)fl_fail(err, FL_ECONFIG,
			      "%s is another file than the one that was written; nothing is cut",
			      s->path);
	else if ((uint64_t)st.st_size < s->base + s->committed)
		(void)fl_fail(err, FL_ECONFIG,
			      "%s has %lld bytes, fewer than the %llu before the checkpoint",
			      s->path, (long long)st.st_size,
			      (unsigned long long)(s->base + s->committed));
	else if (check_tail(s, fd, err) == 0) {
		*ret_size = (uint64_t)st.st_size;
		return fd;
	}
	(void)close(fd);
	return err->code;
}

static int
cut_file(struct rewind *r, const struct fl_ck_sink *s, bool really, struct fl_err *err)
{
	uint64_t size = 0, to = length_of(s);
	int fd = open_output(s, &size, err), rc = 0;

	if (fd < 0)
		return fd;
	if (really && size > to) {
		FL_FAULT("rewind.cut");
		if (ftruncate(fd, (off_t)to) < 0 || fsync(fd) < 0)
			rc = fl_fail_errno(err, FL_EIO, errno, "cannot cut %s", s->path);
		FL_FAULT("rewind.cut.done");
	}
	(void)close(fd);
	if (rc < 0 || !really)
		return rc;
	return tell(r, s->path, size > to ? "cut" : "as it was", (int64_t)(size > to ? to : size),
		    err);
}

/* ---- segments ------------------------------------------------------------------------------ */

/*
 * The number in the name of a segment, "STEM" ten digits ".csv"; 0: it is none. pending:
 * it has not appeared yet.
 */
static uint64_t
segment_number(const char *name, const char *stem, bool *ret_pending)
{
	size_t n = strlen(name), stem_len = strlen(stem), digits;
	const char *tail = ".pending";
	uint64_t number;

	*ret_pending = name[0] == '.';
	if (*ret_pending) {
		if (n <= strlen(tail) || strcmp(name + n - strlen(tail), tail) != 0)
			return 0;
		n -= strlen(tail);
		name++;
		n--;
	}
	if (n <= stem_len || strncmp(name, stem, stem_len) != 0)
		return 0;
	digits = strspn(name + stem_len, "0123456789");
	number = strtoull(name + stem_len, NULL, 10);
	if (digits < 10 || stem_len + digits >= n || name[stem_len + digits] != '.')
		return 0;
	for (size_t i = stem_len + digits + 1; i < n; i++)
		if (name[i] < 'a' || name[i] > 'z')
			return 0;
	return number;
}

/* The segments that the checkpoint knows: "next", and the one that was not whole. */
struct segments {
	uint64_t next;  /* numbers from here on are newer */
	uint64_t open;  /* 0: none */
	uint64_t bytes; /* … of it were there */
};

static bool
take_number(const char **p, const char *end, uint64_t *ret)
{
	while (*p < end && (**p < '0' || **p > '9'))
		(*p)++;
	if (*p >= end)
		return false;
	*ret = strtoull(*p, (char **)p, 10);
	return true;
}

static int
read_segments(const struct fl_ck_sink *s, struct segments *ret, struct fl_err *err)
{
	const char *more = s->more ? s->more : "", *list = strstr(more, "\"segments\"");
	const char *next = strstr(more, "\"next\""), *end = more + strlen(more);
	uint64_t number, bytes, whole;

	*ret = (struct segments){ 0 };
	if (!list || !next || next < list || !take_number(&next, end, &ret->next))
		return fl_fail(err, FL_EDATA,
			       "%s: the manifest does not say which segments there are", s->path);
	end = strstr(list, "\"next\"");
	while (take_number(&list, end, &number) && take_number(&list, end, &bytes) &&
	       take_number(&list, end, &whole))
		if (!whole) {
			ret->open = number;
			ret->bytes = bytes;
		}
	return 0;
}

/* One file of the directory fd. */
static int
cut_segment(struct rewind *r, int fd, const char *name, const char *stem,
	    const struct segments *known, struct fl_err *err)
{
	char pending_name[300];
	bool pending;
	uint64_t n = segment_number(name, stem, &pending);

	if (n == 0 || (n < known->next && (n != known->open || pending)))
		return 0;
	FL_FAULT("rewind.segment");
	if (n == known->open) {
		/* it appeared later, as more than it was: it waits again for its end. */
		(void)snprintf(pending_name, sizeof pending_name, ".%.255s.pending", name);
		if (renameat(fd, name, fd, pending_name) < 0)
			return fl_fail_errno(err, FL_EIO, errno, "cannot rename %s", name);
		return tell(r, name, "taken back", (int64_t)known->bytes, err);
	}
	if (unlinkat(fd, name, 0) < 0 && errno != ENOENT)
		return fl_fail_errno(err, FL_EIO, errno, "cannot remove %s", name);
	return tell(r, name, "removed", -1, err);
}

static int
cut_segments(struct rewind *r, const struct fl_ck_sink *s, bool really, struct fl_err *err)
{
	const char *slash = strrchr(s->path, '/');
	char *path = fl_xstrndup(s->path, slash ? (size_t)(slash - s->path) + 1 : 0);
	struct segments known;
	const struct dirent *e;
	DIR *dir = NULL;
	int rc = read_segments(s, &known, err);

	if (rc == 0 && !(dir = opendir(*path ? path : ".")))
		rc = fl_fail_errno(err, FL_ECONFIG, errno, "cannot open the directory %s", path);
	while (rc == 0 && really && (e = readdir(dir)))
		rc = cut_segment(r, dirfd(dir), e->d_name, slash ? slash + 1 : s->path, &known,
				 err);
	if (rc == 0 && really && fsync(dirfd(dir)) < 0)
		rc = fl_fail_errno(err, FL_EIO, errno, "cannot fsync %s", path);
	if (dir)
		(void)closedir(dir);
	free(path);
	return rc;
}

/* ---- all ------------------------------------------------------------------------------------ */

/* Cut all outputs; or, not really, only see that it can be done. */
static int
cut_outputs(struct rewind *r, bool really, struct fl_err *err)
{
	int rc = 0;

	for (uint32_t i = 0; i < r->m.sink_count && rc == 0; i++) {
		const struct fl_ck_sink *s = &r->m.sinks[i];

		if (strcmp(s->kind, "file") == 0)
			rc = cut_file(r, s, really, err);
		else if (strcmp(s->kind, "segments") == 0)
			rc = cut_segments(r, s, really, err);
		else if (really)
			rc = tell(r, s->path, "cannot be taken back", -1, err);
	}
	return rc;
}

static int
abandon_newer(struct rewind *r, struct fl_err *err)
{
	struct fl_buf ids = { 0 };
	char why[80], what[40];
	uint64_t id;
	int rc = fl_ck_list(&r->d, &ids, err);

	(void)snprintf(why, sizeof why, "rewound to checkpoint %llu", (unsigned long long)r->m.id);
	for (size_t at = ids.len; at && rc == 0; at -= sizeof id) {
		memcpy(&id, ids.data + at - sizeof id, sizeof id);
		if (id <= r->m.id)
			break;
		if (fl_ck_look(&r->d, id) == FL_CK_ABANDONED)
			continue;
		FL_FAULT("rewind.abandon");
		rc = fl_ck_abandon(&r->d, id, why, err);
		(void)snprintf(what, sizeof what, "checkpoint %llu", (unsigned long long)id);
		if (rc == 0)
			rc = tell(r, what, "abandoned", -1, err);
	}
	fl_buf_release(&ids);
	return rc;
}

static int
rewind_to(struct rewind *r, struct fc_people *p, uint64_t id, struct fl_err *err)
{
	int rc = fl_ckdir_lock_alone(&r->d, WAIT_MS, err);

	if (rc == 0)
		rc = fc_people_manifest(&r->d, id, &r->m, err);
	if (rc == 0)
		rc = fl_manifest_verify(&r->d, &r->m, err);
	if (rc == 0)
		rc = cut_outputs(r, false, err);
	if (rc < 0)
		return rc;
	rc = fc_table_open(&r->t, p, columns, FL_ARRAY_LEN(columns), err);
	if (rc == 0)
		rc = abandon_newer(r, err);
	if (rc == 0)
		rc = cut_outputs(r, true, err);
	return fc_table_end(&r->t, rc, err);
}

static int
run(struct fc_people *p, char **words, int count, struct fl_err *err)
{
	struct rewind r = { 0 };
	uint64_t id;
	int rc = fc_people_open(&r.d, words[0], true, &id, err);

	(void)count;
	if (rc == 0)
		rc = rewind_to(&r, p, id, err);
	fl_manifest_release(&r.m);
	fl_ckdir_close(&r.d);
	return rc;
}

static const struct fc_subcommand command = {
	.name = "rewind",
	.usage = "DIR@ID",
	.help = "Goes back to checkpoint ID: newer ones are abandoned, and the output is cut\n"
		"back to what it held then. The next run of the pipeline goes on from there.\n",
	.words_min = 1,
	.words_max = 1,
	.run = run,
};

int
fc_rewind(int argc, char **argv)
{
	return fc_people_main(&command, argc, argv);
}
