/* SPDX-License-Identifier: Apache-2.0 */
/* Requests: commit, signals and people ask begin for a checkpoint or the end. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "checkpoint/files.h"
#include "checkpoint/sealed.h"

#define REQUEST_VERSION 1
#define REQUEST_MAX FL_KIB(64)

static const char *const kind_name[] = {
	[FL_REQUEST_NONE] = "none",           [FL_REQUEST_CHECKPOINT] = "checkpoint",
	[FL_REQUEST_SAVEPOINT] = "savepoint", [FL_REQUEST_STOP] = "stop",
	[FL_REQUEST_DRAIN] = "drain",         [FL_REQUEST_FAIL] = "fail",
};

struct request {
	enum fl_request_kind kind;
	uint64_t attempt;
	uint64_t serial;
	int code;
};

/* What stands in DIR/request; kind none where it is nothing that can be read. */
static void
read_request(const struct fl_ckdir *d, struct request *ret)
{
	struct fl_members m = { 0 };
	struct fl_buf text = { 0 };
	struct fl_err ignored;
	json_t *root = NULL;
	char *kind;

	*ret = (struct request){ 0 };
	if (fl_ckdir_read(d, "request", REQUEST_MAX, &text, &ignored) == 0)
		root = fl__unseal(text.data, text.len, REQUEST_VERSION, "request", &ignored);
	fl_buf_release(&text);
	if (!root)
		return;
	ret->attempt = fl__get_u64(&m, root, "attempt");
	ret->serial = fl__get_u64(&m, root, "serial");
	ret->code = (int)(fl__get_u32(&m, root, "code") & 0xff);
	kind = fl__get_text(&m, root, "kind");
	for (unsigned i = 1; i < FL_ARRAY_LEN(kind_name) && !m.wrong; i++)
		if (strcmp(kind, kind_name[i]) == 0)
			ret->kind = (enum fl_request_kind)i;
	free(kind);
	json_decref(root);
}

static int
write_request(const struct fl_ckdir *d, const struct request *r, struct fl_err *err)
{
	struct fl_buf text = { 0 };
	int rc;

	fl__seal(json_pack("{s:i, s:s, s:I, s:I, s:i}", "version", REQUEST_VERSION, "kind",
			   kind_name[r->kind], "attempt", (json_int_t)r->attempt, "serial",
			   (json_int_t)r->serial, "code", r->code),
		 &text);
	/* a loss of power ends who asked, and who was asked: no fsync */
	rc = fl__put_file(d, "request", text.data, text.len, false, err);
	fl_buf_release(&text);
	return rc;
}

int
fl_ckdir_ask(const struct fl_ckdir *d, enum fl_request_kind kind, int code, struct fl_err *err)
{
	struct request now, r = { .kind = kind, .attempt = d->attempt, .code = code & 0xff };
	struct fl_attempt a;
	int lock, rc = 0;

	if (r.attempt == 0) { /* a person, outside of the region */
		rc = fl_ckdir_read_attempt(d, &a, err);
		if (rc < 0)
			return rc;
		r.attempt = a.number;
		fl_attempt_release(&a);
	}
	fl_random(&r.serial, sizeof r.serial);
	r.serial = r.serial >> 1 | 1; /* not 0, and fits JSON's numbers */
	lock = fl__lock_files(d, err);
	if (lock < 0)
		return lock;
	read_request(d, &now);
	if (now.attempt != r.attempt || now.kind < kind)
		rc = write_request(d, &r, err);
	(void)close(lock);
	return rc;
}

enum fl_request_kind
fl_ckdir_asked(const struct fl_ckdir *d, int *ret_code, uint64_t *ret_serial)
{
	struct request r;
	struct stat st;

	*ret_code = 0;
	*ret_serial = 0;
	if (fstatat(d->fd, "request", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return FL_REQUEST_NONE;
	read_request(d, &r);
	if (r.attempt != d->attempt)
		return FL_REQUEST_NONE;
	*ret_code = r.code;
	*ret_serial = r.serial;
	return r.kind;
}

void
fl_ckdir_answered(const struct fl_ckdir *d, uint64_t serial)
{
	struct fl_err ignored;
	struct request r;
	int lock = fl__lock_files(d, &ignored);

	if (lock < 0)
		return;
	read_request(d, &r);
	if (r.serial == serial)
		(void)unlinkat(d->fd, "request", 0);
	(void)close(lock);
}
