/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of an operator, entry by entry: that of its file, and that which was kept with
 * --backend rocksdb. The files of the checkpoint are not touched: RocksDB opens hard links
 * to them.
 *
 * Three kinds of operators write there; the first byte of a namespace says which.
 *	'G'            one group a key; values as of window/parts.h
 *	'W' u64 start  a slice of time, the same
 *	'K' i64        a table of an operator; values as of run/spill.h. 'T', when keys are
 *	               due, is not shown
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "people.h"
#include "run/statefiles.h"
#include "state/backend.h"
#include "window/parts.h"

#define MEMORY FL_MIB(64)
#define LIST UINT64_MAX /* no arrival number: a list of parts follows */

/* ---- parts --------------------------------------------------------------------------- */

static bool
is_list(struct fl_bytes v)
{
	uint64_t first = 0;

	if (v.n >= sizeof first)
		memcpy(&first, v.p, sizeof first);
	return first == LIST;
}

/*
 * Parts of one key are not added here, where nobody knows yet what they are, but put one
 * behind the other: LIST, then of each its length, u32, and its bytes.
 */
static char *
join(void *ctx, const struct fl_bytes *values, size_t n, size_t *ret_n)
{
	struct fl_buf out = { 0 };
	uint64_t list = LIST;

	(void)ctx;
	fl_buf_put(&out, &list, sizeof list);
	for (size_t i = 0; i < n; i++) {
		uint32_t len = (uint32_t)values[i].n;

		if (is_list(values[i])) {
			fl_buf_put(&out, values[i].p + sizeof list, values[i].n - sizeof list);
			continue;
		}
		fl_buf_put(&out, &len, sizeof len);
		fl_buf_put(&out, values[i].p, values[i].n);
	}
	*ret_n = out.len;
	return out.data;
}

/* The next part of a list; of a value that is none, itself. False: no more. */
static bool
next_part(struct fl_bytes *rest, bool list, struct fl_bytes *ret)
{
	uint32_t len;

	if (!rest->p)
		return false;
	*ret = *rest;
	if (!list) {
		*rest = (struct fl_bytes){ 0 };
		return true;
	}
	if (rest->n < sizeof len)
		return false;
	memcpy(&len, rest->p, sizeof len);
	if (len > rest->n - sizeof len)
		return false;
	*ret = (struct fl_bytes){ rest->p + sizeof len, len };
	rest->p += sizeof len + len;
	rest->n -= sizeof len + len;
	return true;
}

/* ---- entries -------------------------------------------------------------------------- */

struct view {
	struct fc_entries *entries;
	struct fl_buf parts; /* struct fl_bytes: accumulators */
};

static int
show_parts(struct view *v, struct fl_state_entry *e, struct fl_bytes value, struct fl_err *err)
{
	struct fc_shown shown = { .entry = e, .bytes = value.n };
	bool list = is_list(value);
	struct fl_bytes rest = value, one;
	uint64_t first = UINT64_MAX;

	if (list)
		rest = (struct fl_bytes){ value.p + sizeof first, value.n - sizeof first };
	fl_buf_clear(&v->parts);
	while (next_part(&rest, list, &one)) {
		struct fl_part part;

		if (fl_part_head(one, &part, err) < 0)
			return err->code;
		if (part.seq < first)
			e->key_tags = part.tags;
		first = part.seq < first ? part.seq : first;
		one = (struct fl_bytes){ one.p + sizeof part, one.n - sizeof part };
		fl_buf_put(&v->parts, &one, sizeof one);
	}
	e->value = value.p;
	e->value_len = (uint32_t)value.n;
	shown.parts = (const struct fl_bytes *)(void *)v->parts.data;
	shown.part_count = v->parts.len / sizeof one;
	return fc_entries_show(v->entries, &shown, err);
}

/* u8 version, u8[3] 0, u32 tags, u64 arrival, and what the operator wrote. */
static int
show_whole(struct view *v, struct fl_state_entry *e, struct fl_bytes value, struct fl_err *err)
{
	enum { TAGS = 4, HEAD = 16 };
	struct fc_shown shown = { .entry = e, .bytes = value.n };

	if (value.n < HEAD)
		return fl_fail(err, FL_EDATA, "a value in RocksDB's files is damaged");
	memcpy(&e->key_tags, value.p + TAGS, sizeof e->key_tags);
	e->value = value.p + HEAD;
	e->value_len = (uint32_t)(value.n - HEAD);
	return fc_entries_show(v->entries, &shown, err);
}

/* The number behind the first byte of a namespace: biased, so that it is sorted. */
static int64_t
number_of(const char *p)
{
	uint64_t n = 0;

	for (int i = 1; i <= 8; i++)
		n = n << 8 | (unsigned char)p[i];
	return (int64_t)(n ^ (UINT64_C(1) << 63));
}

/* kind, order: see fl_backend_walk_next. */
static int
show_entry(struct view *v, char kind, struct fl_bytes order, const struct fl_key *key,
	   struct fl_bytes value, struct fl_err *err)
{
	struct fl_state_entry e = {
		.ns = "",
		.key = key->p,
		.key_len = key->len == FL_KEY_NULL ? FL_STATE_NULL_KEY : key->len,
	};
	bool window = kind == 'W' || (kind == 'K' && fc_entries_by_window(v->entries));
	int64_t bounds[2];
	char number[32];

	if (window) {
		bounds[0] = number_of(order.p - 9);
		bounds[1] = fc_entries_window_end(v->entries, bounds[0]);
		e.ns = (const char *)bounds;
		e.ns_len = sizeof bounds;
	} else if (kind == 'K' && fc_entries_has_namespaces(v->entries)) {
		e.ns_len = (uint32_t)snprintf(number, sizeof number, "%lld",
					      (long long)number_of(order.p - 9));
		e.ns = number;
	}
	return kind == 'K' ? show_whole(v, &e, value, err) : show_parts(v, &e, value, err);
}

static int
walk(struct view *v, struct fl_backend *b, char kind, size_t ns_len, struct fl_err *err)
{
	char from[1] = { kind }, to[1] = { (char)(kind + 1) };
	struct fl_backend_walk *w = fl_backend_walk_range(b, (struct fl_bytes){ from, 1 },
							  (struct fl_bytes){ to, 1 }, ns_len);
	struct fl_bytes order, value;
	struct fl_key key;
	int rc;

	while ((rc = fl_backend_walk_next(w, &order, &key, &value, err)) > 0) {
		rc = show_entry(v, kind, order, &key, value, err);
		if (rc < 0)
			break;
	}
	fl_backend_walk_close(w);
	return rc;
}

/* ---- the files -------------------------------------------------------------------------- */

/* In the checkpoint directory, where files can be linked; else in a temporary one. */
static struct fl_backend *
open_files(const struct fl_ckdir *d, const char *files, struct fl_err *err)
{
	struct fl_backend_options o = { .memory_max = MEMORY, .merge = join };
	struct fl_buf from = { 0 }, work = { 0 };
	struct fl_attempt a = { 0 };
	struct fl_backend *b;

	fl_buf_printf(&from, "%s/%s", d->path, files);
	fl_buf_putc(&from, '\0');
	o.from = from.data;
	/* a later attempt removes what is left of it */
	if (fl_ckdir_read_attempt(d, &a, err) == 0 && faccessat(d->fd, "work", W_OK, 0) == 0) {
		fl_buf_printf(&work, "%s/work/show-%ld.a%llu", d->path, (long)getpid(),
			      (unsigned long long)a.number);
		fl_buf_putc(&work, '\0');
		o.dir = work.data;
	}
	fl_attempt_release(&a);
	b = fl_backend_open(&o, err);
	if (!b)
		(void)fl_wrap(err, "%s", from.data);
	fl_buf_release(&from);
	fl_buf_release(&work);
	return b;
}

/* Those of the section in hand, which names the files. */
static int
show_files(struct fc_entries *x, const struct fl_ckdir *d, const struct fl_manifest *m,
	   const struct fl_ck_op *op, struct fl_err *err)
{
	static const struct {
		char kind;
		size_t ns_len;
	} kinds[] = { { 'G', 1 }, { 'W', 9 }, { 'K', 9 } };
	struct view v = { .entries = x };
	struct fl_ck_seen seen = { 0 };
	char files[FL_CHECKPOINT_NAME_MAX];
	struct fl_backend *b;
	int rc = fl_ck_verify_files(d, m, op, &seen, err);

	fl_ck_seen_release(&seen);
	if (rc < 0)
		return rc;
	fl_ck_files_dir(m, op, files);
	b = open_files(d, files, err);
	if (!b)
		return err->code;
	for (size_t i = 0; i < FL_ARRAY_LEN(kinds) && rc == 0; i++)
		rc = walk(&v, b, kinds[i].kind, kinds[i].ns_len, err);
	fl_backend_close(b);
	fl_buf_release(&v.parts);
	return rc < 0 ? fl_wrap(err, "%s/%s", d->path, files) : 0;
}

/* ---- the file ----------------------------------------------------------------------------- */

/* named: the section speaks of what its files have in them, and not of their names. */
static int
show_section(struct fc_entries *x, struct fl_load *l, bool named, struct fl_err *err)
{
	struct fl_state_entry e;
	int rc;

	while ((rc = fl_load_entry(l, &e, err)) > 0) {
		struct fc_shown shown = { .entry = &e, .bytes = e.value_len, .plain = named };

		fc_entries_learn(x, &e);
		rc = fc_entries_show(x, &shown, err);
		if (rc < 0)
			break;
	}
	return rc;
}

int
fc_state_show(struct fc_entries *x, const struct fl_ckdir *d, const struct fl_manifest *m,
	      const struct fl_ck_op *op, struct fl_err *err)
{
	struct fl_state_section s;
	struct fl_load *l;
	char *name;
	int rc;

	l = fl_manifest_load(d, m, op, &name, err);
	if (!l)
		return err->code;
	while ((rc = fl_load_section(l, &s, err)) > 0) {
		bool files = op->file_count && strcmp(s.name, FL_STATEFILES_SECTION) == 0;

		fc_entries_section(x, &s);
		rc = show_section(x, l, files, err);
		if (rc == 0 && files)
			rc = show_files(x, d, m, op, err);
		if (rc < 0)
			break;
	}
	fl_load_close(l);
	free(name);
	return rc;
}
