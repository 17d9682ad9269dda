/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: snapshots, .done and MANIFEST from a disk that somebody else has written.
 * The first byte of the input says which, and whether the checksums are made right
 * before: most of what stands behind them would never be reached else.
 *
 * What can be read is written again, and must then be read as the same.
 */
#include <stdlib.h>

#include "checkpoint/manifest.h"
#include "checkpoint/snapshot.h"
#include "reseal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { SNAPSHOT, DONE, MANIFEST, KINDS };

static void
copy_entries(struct fl_load *l, struct fl_save *s)
{
	struct fl_state_section section;
	struct fl_state_entry e;
	struct fl_err err;
	int rc;

	while ((rc = fl_load_section(l, &section, &err)) > 0) {
		fl_save_section(s, section.name, section.version, section.about);
		while ((rc = fl_load_entry(l, &e, &err)) > 0)
			fl_save_entry(s, &e);
	}
	if (rc < 0 && err.code != FL_EDATA)
		abort();
}

/* The entries of p, as the present writer puts them. NULL: no snapshot. */
static struct fl_save *
load_and_save(const char *p, size_t n)
{
	struct fl_err err;
	struct fl_load *l = fl_load_from(p, n, "fuzz", &err);
	struct fl_save *s;

	if (!l)
		return NULL;
	s = fl_save_new(-1, "fuzz");
	copy_entries(l, s);
	fl_load_close(l);
	if (fl_save_end(s, &err) < 0)
		abort();
	return s;
}

static void
try_snapshot(const char *p, size_t n)
{
	struct fl_save *s = load_and_save(p, n), *again;
	const struct fl_buf *a, *b;

	if (!s)
		return;
	a = fl_save_memory(s);
	again = load_and_save(a->data, a->len);
	b = again ? fl_save_memory(again) : NULL;
	if (!b || b->len != a->len || memcmp(a->data, b->data, a->len) != 0)
		abort();
	fl_save_free(s);
	fl_save_free(again);
}

static void
try_manifest(const char *p, size_t n)
{
	struct fl_buf a = { 0 }, b = { 0 };
	struct fl_manifest m;
	struct fl_err err;

	if (fl_manifest_decode(&m, p, n, &err) < 0)
		return;
	fl_manifest_encode(&m, &a);
	fl_manifest_release(&m);
	if (fl_manifest_decode(&m, a.data, a.len, &err) < 0)
		abort();
	fl_manifest_encode(&m, &b);
	if (a.len != b.len || memcmp(a.data, b.data, a.len) != 0)
		abort();
	fl_manifest_release(&m);
	fl_buf_release(&a);
	fl_buf_release(&b);
}

static void
try_done(const char *p, size_t n)
{
	struct fl_buf a = { 0 };
	struct fl_ck_done d;
	struct fl_err err;

	if (fl_ck_done_decode(&d, p, n, &err) < 0)
		return;
	fl_ck_done_encode(&d, &a);
	fl_ck_done_release(&d);
	if (fl_ck_done_decode(&d, a.data, a.len, &err) < 0)
		abort();
	fl_ck_done_release(&d);
	fl_buf_release(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct fl_buf text = { 0 };
	char seal[RESEAL_LEN + 1];
	unsigned kind;
	bool mend;

	if (n == 0)
		return 0;
	kind = (data[0] >> 1) % KINDS;
	mend = data[0] & 1;
	fl_buf_put(&text, data + 1, n - 1);
	if (mend && kind == SNAPSHOT) {
		reseal_snapshot(text.data, text.len);
	} else if (mend) {
		reseal_line(text.data, text.len, seal);
		fl_buf_put(&text, seal, RESEAL_LEN);
	}
	if (kind == SNAPSHOT)
		try_snapshot(text.data, text.len);
	else if (kind == DONE)
		try_done(text.data, text.len);
	else
		try_manifest(text.data, text.len);
	fl_buf_release(&text);
	return 0;
}
