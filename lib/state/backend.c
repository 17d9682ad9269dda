/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "state/backend.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/fault.h"
#include "base/io.h"
#include "state/behind.h"

#ifndef FLUE_PKGLIBDIR /* the Makefile says both */
#define FLUE_PKGLIBDIR "/usr/local/lib/flue"
#define FLUE_MODULE_PATH "../lib/flue"
#endif

#define MODULE "rocksdb.so"
#define NS_MAX 32u
#define HEAD 6u /* bytes of a key on disk between namespace and key */
#define COPY_BYTES FL_KIB(64)
#define SHARE_KEYS 256u /* got at once, where there are many */

struct fl_backend {
	void *module;
	const struct fl_store_ops *ops;
	struct fl_store *store;
	struct fl_behind *behind; /* what writes to it */
	char *dir;
	size_t memory_max;
	struct fl_buf items, other, key; /* scratch */
	struct fl_buf value, keys, order, found;
};

/* ---- files -------------------------------------------------------------------------- */

/* Remove a directory with the files in it. */
static void
remove_dir(const char *path)
{
	DIR *d = opendir(path);
	const struct dirent *e;

	while (d && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			(void)unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		(void)closedir(d);
	(void)rmdir(path);
}

static int
copy_file(int from_dir, int to_dir, const char *name, struct fl_err *err)
{
	int from = openat(from_dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	char *bytes = fl_xmalloc(COPY_BYTES);
	int64_t n = 1;
	int rc = 0;

	if (from < 0 || to < 0)
		rc = fl_fail_errno(err, FL_EIO, errno, "cannot copy %s", name);
	while (rc == 0 && n > 0) {
		n = fl_io_read(from, bytes, COPY_BYTES, name, err);
		rc = n < 0 ? (int)n : n > 0 ? fl_io_write(to, bytes, (size_t)n, name, err) : 0;
	}
	if (from >= 0)
		(void)close(from);
	if (to >= 0)
		(void)close(to);
	free(bytes);
	return rc;
}

static bool
is_table(const char *name)
{
	size_t n = strlen(name);

	return n > 4 && strcmp(name + n - 4, ".sst") == 0;
}

/* Files of a checkpoint back: tables never change and are linked, the rest is copied. */
static int
link_files(const char *from, const char *to, struct fl_err *err)
{
	DIR *d = opendir(from);
	int to_fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	const struct dirent *e;

	if (!d || to_fd < 0)
		rc = fl_fail_errno(err, FL_EDATA, errno, "cannot open %s", d ? to : from);
	while (rc == 0 && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		if (is_table(e->d_name) && linkat(dirfd(d), e->d_name, to_fd, e->d_name, 0) == 0)
			continue;
		rc = copy_file(dirfd(d), to_fd, e->d_name, err);
	}
	if (d)
		(void)closedir(d);
	if (to_fd >= 0)
		(void)close(to_fd);
	return rc;
}

static int
make_dir(struct fl_backend *b, const char *dir, struct fl_err *err)
{
	const char *tmp = getenv("TMPDIR");
	struct fl_buf path = { 0 };
	int rc = 0;

	if (dir) {
		b->dir = fl_xstrdup(dir);
		remove_dir(dir);
		if (mkdir(dir, 0700) < 0)
			rc = fl_fail_errno(err, FL_ECREATE, errno, "cannot create %s", dir);
		return rc;
	}
	fl_buf_printf(&path, "%s/flue-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	b->dir = fl_xstrndup(path.data, path.len);
	fl_buf_release(&path);
	if (!mkdtemp(b->dir)) {
		rc = fl_fail_errno(err, FL_ECREATE, errno, "cannot create a directory %s", b->dir);
		free(b->dir);
		b->dir = NULL;
	}
	return rc;
}

/* ---- the module ------------------------------------------------------------------------ */

/*
 * Where it is installed relative to the tool (so that a prefix can be moved), where it was
 * built (beside tools/, tests/unit/, tests/fault/bin/), or where it was configured to be:
 * libdir may be elsewhere, and so may a program that links the library. A relative place
 * may be one in which others can write: only files of root and of whoever runs the tool
 * are opened.
 */
static bool
is_trusted(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, R_OK) == 0 &&
	       (st.st_uid == 0 || st.st_uid == geteuid());
}

static int
load_module(struct fl_backend *b, struct fl_err *err)
{
	static const char *const places[] = { FLUE_MODULE_PATH "/" MODULE, "../lib/state/" MODULE,
					      "../../lib/state/" MODULE,
					      "../../../lib/state/" MODULE,
					      FLUE_PKGLIBDIR "/" MODULE };
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	struct fl_buf path = { 0 };
	const char *why = NULL;

	while (n > 0 && self[n - 1] != '/')
		n--;
	for (size_t i = 0; i < FL_ARRAY_LEN(places) && !b->module; i++) {
		fl_buf_clear(&path);
		if (places[i][0] != '/')
			fl_buf_put(&path, self, n > 0 ? (size_t)n : 0);
		fl_buf_puts(&path, places[i]);
		fl_buf_putc(&path, '\0');
		if (is_trusted(path.data)) {
			b->module = dlopen(path.data, RTLD_NOW | RTLD_LOCAL);
			why = b->module ? NULL : dlerror();
		}
	}
	if (b->module)
		b->ops = dlsym(b->module, FL_STORE_SYMBOL);
	if (!b->ops || b->ops->version != FL_STORE_VERSION)
		(void)fl_fail(err, FL_EUNAVAILABLE,
			      "--backend rocksdb: the module " MODULE " is not installed%s%s",
			      why ? ": " : "", why ? why : "");
	fl_buf_release(&path);
	return b->ops && b->ops->version == FL_STORE_VERSION ? 0 : err->code;
}

struct fl_backend *
fl_backend_open(const struct fl_backend_options *o, struct fl_err *err)
{
	struct fl_backend *b = fl_xcalloc(1, sizeof *b);
	struct fl_store_options so = { .merge = o->merge, .merge_ctx = o->merge_ctx };
	int rc = load_module(b, err);

	b->memory_max = o->memory_max < FL_BACKEND_MEMORY * 4096 ? o->memory_max
								 : FL_BACKEND_MEMORY;
	if (rc == 0)
		rc = make_dir(b, o->dir, err);
	if (rc == 0 && o->from)
		rc = link_files(o->from, b->dir, err);
	so.dir = b->dir;
	so.cache_bytes = b->memory_max / (o->merge ? 16 : 6);
	so.write_bytes = b->memory_max / 64;
	if (rc == 0)
		b->store = b->ops->open(&so, err);
	if (b->store) {
		b->behind = fl_behind_new(b->ops, b->store, b->memory_max / 64);
		return b;
	}
	fl_backend_close(b);
	return NULL;
}

void
fl_backend_close(struct fl_backend *b)
{
	if (!b)
		return;
	fl_behind_close(b->behind);
	if (b->store)
		b->ops->close(b->store);
	if (b->dir)
		remove_dir(b->dir);
	free(b->dir);
	fl_buf_release(&b->items);
	fl_buf_release(&b->other);
	fl_buf_release(&b->key);
	fl_buf_release(&b->value);
	fl_buf_release(&b->keys);
	fl_buf_release(&b->order);
	fl_buf_release(&b->found);
	/* the module stays: its library has threads and handlers of exit */
	free(b);
}

size_t
fl_backend_cache_max(const struct fl_backend *b)
{
	return b->memory_max * 3 / 8;
}

int
fl_backend_checkpoint(struct fl_backend *b, const char *dir, struct fl_err *err)
{
	return fl_behind_checkpoint(b->behind, dir, err);
}

int
fl_backend_checkpointed(struct fl_backend *b, struct fl_err *err)
{
	return fl_behind_checkpointed(b->behind, err);
}

/* ---- keys on disk ----------------------------------------------------------------------- */

/* What is sorted: 40 bits, group and hash; or by arrival number. */
struct item {
	uint64_t order;
	union {
		const void *what;
		size_t at; /* where a record is */
	};
};

#define ORDER_BITS 40u
#define DIGIT_BITS 10u /* what is counted stays in the first-level cache */

static uint64_t
order_of(const struct fl_key *k)
{
	uint64_t h = XXH3_64bits(k->p, k->len == FL_KEY_NULL ? 0 : k->len);

	return (h % FL_KEY_GROUPS) << 32 | h >> 32;
}

static void
put_key(struct fl_buf *out, struct fl_bytes ns, uint64_t order, const struct fl_key *k)
{
	char head[HEAD] = { (char)(order >> 32), (char)(order >> 24), (char)(order >> 16),
			    (char)(order >> 8),  (char)order,         k->len != FL_KEY_NULL };

	fl_buf_put(out, ns.p, ns.n);
	fl_buf_put(out, head, sizeof head);
	if (k->len != FL_KEY_NULL)
		fl_buf_put(out, k->p, k->len);
}

/* Behind everything of a namespace: groups are less than 128. */
static void
put_end(struct fl_buf *out, struct fl_bytes ns)
{
	fl_buf_put(out, ns.p, ns.n);
	fl_buf_putc(out, (char)FL_KEY_GROUPS);
}

/* By the lowest bits of order; stable. Returns where they are then, of a and b. */
static struct item *
radix_sort(struct item *a, struct item *b, size_t n, unsigned bits)
{
	const uint64_t mask = (1u << DIGIT_BITS) - 1;

	for (unsigned shift = 0; shift < bits; shift += DIGIT_BITS) {
		size_t at[(1u << DIGIT_BITS) + 1] = { 0 };
		struct item *t;

		for (size_t i = 0; i < n; i++)
			at[(a[i].order >> shift & mask) + 1]++;
		for (size_t d = 0; d < mask; d++)
			at[d + 1] += at[d];
		for (size_t i = 0; i < n; i++)
			b[at[a[i].order >> shift & mask]++] = a[i];
		t = a;
		a = b;
		b = t;
	}
	return a;
}

static struct fl_key
key_of(const struct item *i, bool entries)
{
	return entries ? fl_entry_key(i->what) : *(const struct fl_key *)i->what;
}

/* As RocksDB compares what stands behind the order. */
static int
compare_keys(const struct fl_key *a, const struct fl_key *b)
{
	uint32_t n = a->len < b->len ? a->len : b->len;
	int order;

	if (a->len == FL_KEY_NULL || b->len == FL_KEY_NULL)
		return (a->len != FL_KEY_NULL) - (b->len != FL_KEY_NULL);
	order = n ? memcmp(a->p, b->p, n) : 0;
	return order ? order : (a->len > b->len) - (a->len < b->len);
}

/* Keys of equal order are rare, and few. */
static void
settle_ties(struct item *item, size_t n, bool entries)
{
	for (size_t i = 1; i < n; i++) {
		for (size_t k = i; k > 0 && item[k].order == item[k - 1].order; k--) {
			struct fl_key a = key_of(&item[k - 1], entries);
			struct fl_key b = key_of(&item[k], entries);
			struct item t = item[k];

			if (compare_keys(&a, &b) <= 0)
				break;
			item[k] = item[k - 1];
			item[k - 1] = t;
		}
	}
}

static struct item *
sorted(struct fl_backend *b, const void *const *what, const struct fl_key *keys, size_t n)
{
	struct item *item, *other;

	fl_buf_clear(&b->items);
	fl_buf_clear(&b->other);
	item = (struct item *)(void *)fl_buf_reserve(&b->items, n * sizeof *item + 1);
	other = (struct item *)(void *)fl_buf_reserve(&b->other, n * sizeof *other + 1);
	for (size_t i = 0; i < n; i++) {
		struct fl_key k = what ? fl_entry_key(what[i]) : keys[i];

		item[i] = (struct item){ order_of(&k), { what ? what[i] : &keys[i] } };
	}
	if (n < 2)
		return item;
	item = radix_sort(item, other, n, ORDER_BITS);
	settle_ties(item, n, what != NULL);
	return item;
}

/* ---- writing ---------- */

int
fl_backend_begin(struct fl_backend *b, struct fl_err *err)
{
	FL_FAULT("rocksdb.write");
	return fl_behind_begin(b->behind, err);
}

int
fl_backend_end(struct fl_backend *b, struct fl_err *err)
{
	return fl_behind_end(b->behind, err);
}

int
fl_backend_write(struct fl_backend *b, struct fl_bytes ns, struct fl_entry *const *entries,
		 size_t n, bool part, fl_backend_encode *encode, void *ctx, struct fl_err *err)
{
	const struct item *item = sorted(b, (const void *const *)entries, NULL, n);
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		struct fl_key k = fl_entry_key(item[i].what);
		struct fl_bytes value = { 0 };

		if (i + 8 < n)
			__builtin_prefetch(item[i + 8].what);
		fl_buf_clear(&b->key);
		fl_buf_clear(&b->value);
		put_key(&b->key, ns, item[i].order, &k);
		encode(ctx, item[i].what, &b->value);
		if (b->value.len)
			value = (struct fl_bytes){ b->value.data, b->value.len };
		rc = fl_behind_put(b->behind, (struct fl_bytes){ b->key.data, b->key.len }, value,
				   part, err);
	}
	return rc;
}

int
fl_backend_drop(struct fl_backend *b, struct fl_bytes ns, struct fl_err *err)
{
	fl_buf_clear(&b->key);
	put_end(&b->key, ns);
	return fl_behind_drop(b->behind, ns, (struct fl_bytes){ b->key.data, b->key.len }, err);
}

int
fl_backend_drop_range(struct fl_backend *b, struct fl_bytes from, struct fl_bytes to,
		      struct fl_err *err)
{
	return fl_behind_drop(b->behind, from, to, err);
}

/* ---- reading ---------- */

/* Everything that was written, or dropped, is there to be read. */
static int
settle(struct fl_backend *b, struct fl_err *err)
{
	return fl_behind_settle(b->behind, err) < 0 || b->ops->settle(b->store, err) < 0 ? err->code
											 : 0;
}

/* Keys to be got, sorted. */
struct wanted {
	const struct item *item;
	struct fl_bytes *key, *found;
	size_t n;
};

static struct wanted
want(struct fl_backend *b, struct fl_bytes ns, const struct fl_key *keys, size_t n)
{
	struct wanted w = { .item = sorted(b, NULL, keys, n), .n = n };
	size_t at = 0;

	fl_buf_clear(&b->keys);
	fl_buf_clear(&b->order);
	fl_buf_clear(&b->found);
	w.key = (struct fl_bytes *)(void *)fl_buf_reserve(&b->order, n * sizeof *w.key + 1);
	w.found = (struct fl_bytes *)(void *)fl_buf_reserve(&b->found, n * sizeof *w.found + 1);
	for (size_t i = 0; i < n; i++) {
		size_t before = b->keys.len;

		put_key(&b->keys, ns, w.item[i].order, w.item[i].what);
		w.key[i].n = b->keys.len - before;
	}
	for (size_t i = 0; i < n; i++) { /* nothing moves any more */
		w.key[i].p = b->keys.data + at;
		at += w.key[i].n;
	}
	return w;
}

int
fl_backend_get(struct fl_backend *b, struct fl_bytes ns, const struct fl_key *keys, size_t n,
	       struct fl_bytes *ret, struct fl_err *err)
{
	struct wanted w = want(b, ns, keys, n);
	int rc = settle(b, err);

	if (rc == 0)
		rc = b->ops->get(b->store, 0, w.key, n, w.found, err);
	for (size_t i = 0; i < n && rc == 0; i++)
		ret[(const struct fl_key *)w.item[i].what - keys] = w.found[i];
	return rc;
}

/* Some of them, from .. to. */
struct share {
	struct fl_backend *backend;
	const struct wanted *wanted;
	size_t from, to;
	unsigned lane;
	struct fl_err err;
};

static void
get_share(void *ctx)
{
	struct share *x = ctx;
	struct fl_backend *b = x->backend;
	const struct wanted *w = x->wanted;

	x->err.code = 0;
	(void)b->ops->get(b->store, x->lane, w->key + x->from, x->to - x->from, w->found + x->from,
			  &x->err);
}

/* The next ones that nobody has taken; none: from is to. */
static void
take_share(struct share *x, size_t *taken)
{
	size_t left = x->wanted->n - *taken;

	x->from = *taken;
	x->to = *taken += left < SHARE_KEYS ? left : SHARE_KEYS;
}

static int
give_share(const struct share *x, const struct fl_key *keys, fl_backend_found *each, void *ctx,
	   struct fl_err *err)
{
	const struct wanted *w = x->wanted;
	int rc = x->err.code;

	if (rc)
		*err = x->err;
	for (size_t i = x->from; i < x->to && rc == 0; i++)
		rc = each(ctx, (size_t)((const struct fl_key *)w->item[i].what - keys), w->found[i],
			  err);
	return rc;
}

/*
 * The thread gets one share while this one gets another; then it has the next to do
 * already while both are given.
 */
static int
get_shares(struct fl_backend *b, const struct wanted *w, const struct fl_key *keys,
	   fl_backend_found *each, void *ctx, struct fl_err *err)
{
	struct share own = { .backend = b, .wanted = w, .lane = 0 };
	struct share theirs[2] = { { .backend = b, .wanted = w, .lane = 1 },
				   { .backend = b, .wanted = w, .lane = 2 } };
	struct share *behind = &theirs[0];
	size_t taken = 0;
	int rc = 0;

	take_share(&own, &taken);
	take_share(behind, &taken);
	if (behind->from < behind->to)
		rc = fl_behind_run(b->behind, get_share, behind, err);
	while (rc == 0 && own.from < own.to) {
		struct share *done = behind;

		get_share(&own);
		rc = give_share(&own, keys, each, ctx, err);
		if (rc == 0)
			rc = fl_behind_settle(b->behind, err);
		if (rc < 0)
			break;
		behind = &theirs[done == &theirs[0]];
		take_share(&own, &taken);
		take_share(behind, &taken);
		if (behind->from < behind->to)
			rc = fl_behind_run(b->behind, get_share, behind, err);
		if (rc == 0)
			rc = give_share(done, keys, each, ctx, err);
	}
	return rc;
}

int
fl_backend_get_each(struct fl_backend *b, struct fl_bytes ns, const struct fl_key *keys, size_t n,
		    fl_backend_found *each, void *ctx, struct fl_err *err)
{
	struct wanted w = want(b, ns, keys, n);
	struct fl_err ignored;
	int rc = settle(b, err);

	if (rc < 0)
		return rc;
	rc = get_shares(b, &w, keys, each, ctx, err);
	if (rc < 0) /* the thread may still look at what is gone with this call */
		(void)fl_behind_settle(b->behind, &ignored);
	return rc;
}

struct fl_backend_walk {
	struct fl_backend *backend;
	struct fl_store_iter *it;
	size_t ns_len;
	char end[NS_MAX + 1];
	struct fl_err failed; /* what was written before could not be: told by the first next */
};

struct fl_backend_walk *
fl_backend_walk_range(struct fl_backend *b, struct fl_bytes from, struct fl_bytes to, size_t ns_len)
{
	struct fl_backend_walk *w = fl_xcalloc(1, sizeof *w);

	fl_assert(ns_len <= NS_MAX && to.n <= sizeof w->end);
	memcpy(w->end, to.p, to.n);
	w->backend = b;
	w->ns_len = ns_len;
	(void)settle(b, &w->failed);
	w->it = b->ops->iter_open(b->store, from, (struct fl_bytes){ w->end, to.n });
	return w;
}

struct fl_backend_walk *
fl_backend_walk_open(struct fl_backend *b, struct fl_bytes ns)
{
	fl_buf_clear(&b->key);
	put_end(&b->key, ns);
	return fl_backend_walk_range(b, ns, (struct fl_bytes){ b->key.data, b->key.len }, ns.n);
}

int
fl_backend_walk_next(struct fl_backend_walk *w, struct fl_bytes *order, struct fl_key *key,
		     struct fl_bytes *value, struct fl_err *err)
{
	struct fl_bytes stored;
	int rc;

	if (w->failed.code) {
		*err = w->failed;
		return w->failed.code;
	}
	rc = w->backend->ops->iter_next(w->it, &stored, value, err);
	if (rc <= 0)
		return rc;
	if (stored.n < w->ns_len + HEAD)
		return fl_fail(err, FL_EDATA, "a key in RocksDB's files is damaged");
	order->p = stored.p + w->ns_len;
	order->n = stored.n - w->ns_len;
	*key = (struct fl_key){ .p = order->p + HEAD, .len = (uint32_t)(order->n - HEAD) };
	if (order->p[HEAD - 1] == 0)
		key->len = FL_KEY_NULL;
	return 1;
}

void
fl_backend_walk_close(struct fl_backend_walk *w)
{
	if (!w)
		return;
	w->backend->ops->iter_close(w->it);
	free(w);
}

/* ---- by arrival ---------- */

/* Records in the order of their putting. */
struct heap {
	struct fl_buf bytes; /* struct arrival, key, value */
	struct fl_buf items; /* struct item: arrival number, where in bytes */
	struct fl_buf other; /* room for sorting them */
};

/*
 * In memory while they fit; else in sorted runs, one behind the other in a file without a
 * name, which are merged at the end. While one heap is filled the thread sorts the other,
 * and writes it.
 */
struct fl_arrivals {
	struct fl_backend *backend;
	size_t max;
	struct heap hand;
	int fd; /* -1: all is in memory */
	/* the thread's until fl_behind_settle */
	struct heap away;
	uint64_t written;
	struct fl_buf runs; /* uint64_t: where each ends */
	struct fl_buf out;
	struct fl_err failed;
};

struct arrival {
	uint64_t seq;
	uint32_t key_len; /* or FL_KEY_NULL */
	uint32_t tags;
	uint64_t value_len;
};

/* A run that is read. */
struct run {
	uint64_t at, end; /* in the file: what is not read yet */
	struct fl_buf buf;
	size_t pos; /* in buf: the record in hand */
	struct arrival head;
};

#define RUN_NAME "a temporary file"
#define RUN_BLOCK_MIN FL_KIB(16)
#define RUN_BLOCK_MAX FL_KIB(512)

struct fl_arrivals *
fl_arrivals_new(struct fl_backend *b)
{
	struct fl_arrivals *a = fl_xcalloc(1, sizeof *a);

	a->backend = b;
	a->max = b->memory_max / 6;
	a->fd = -1;
	return a;
}

static void
release_heap(struct heap *h)
{
	fl_buf_release(&h->bytes);
	fl_buf_release(&h->items);
	fl_buf_release(&h->other);
}

void
fl_arrivals_free(struct fl_arrivals *a)
{
	struct fl_err err;

	if (!a)
		return;
	(void)fl_behind_settle(a->backend->behind, &err);
	if (a->fd >= 0)
		(void)close(a->fd);
	release_heap(&a->hand);
	release_heap(&a->away);
	fl_buf_release(&a->runs);
	fl_buf_release(&a->out);
	free(a);
}

static const struct item *
sorted_heap(struct heap *h, size_t *ret_n)
{
	struct item *item = (struct item *)(void *)h->items.data;
	size_t n = h->items.len / sizeof *item;
	unsigned bits = 0;
	uint64_t all = 0;

	*ret_n = n;
	for (size_t i = 0; i < n; i++)
		all |= item[i].order;
	while (bits < 64 && all >> bits)
		bits++;
	fl_buf_clear(&h->other);
	return radix_sort(item, (struct item *)(void *)fl_buf_reserve(&h->other, h->items.len + 1),
			  n, bits);
}

static size_t
size_of(const struct arrival *head)
{
	return sizeof *head + (head->key_len == FL_KEY_NULL ? 0 : head->key_len) + head->value_len;
}

static int
open_runs(struct fl_arrivals *a, struct fl_err *err)
{
	a->fd = open(a->backend->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (a->fd < 0) { /* a file system without it */
		struct fl_buf path = { 0 };

		fl_buf_printf(&path, "%s/run-XXXXXX", a->backend->dir);
		fl_buf_putc(&path, '\0');
		a->fd = mkostemp(path.data, O_CLOEXEC);
		if (a->fd >= 0)
			(void)unlink(path.data);
		fl_buf_release(&path);
	}
	return a->fd >= 0 ? 0
			  : fl_fail_errno(err, FL_ECREATE, errno,
					  "cannot create a temporary file in %s", a->backend->dir);
}

static int
write_out(struct fl_arrivals *a, struct fl_err *err)
{
	a->written += a->out.len;
	if (a->out.len && fl_io_write(a->fd, a->out.data, a->out.len, RUN_NAME, err) < 0)
		return err->code;
	fl_buf_clear(&a->out);
	return 0;
}

/* A heap to disk, as a run. */
static int
write_run(struct fl_arrivals *a, struct heap *h, struct fl_err *err)
{
	size_t n;
	const struct item *item = sorted_heap(h, &n);

	for (size_t i = 0; i < n; i++) {
		const char *record = h->bytes.data + item[i].at;
		struct arrival head;

		if (i + 8 < n)
			__builtin_prefetch(h->bytes.data + item[i + 8].at);
		memcpy(&head, record, sizeof head);
		fl_buf_put(&a->out, record, size_of(&head));
		if (a->out.len >= RUN_BLOCK_MAX && write_out(a, err) < 0)
			return err->code;
	}
	if (write_out(a, err) < 0)
		return err->code;
	fl_buf_put(&a->runs, &a->written, sizeof a->written);
	fl_buf_clear(&h->bytes);
	fl_buf_clear(&h->items);
	return 0;
}

static void
write_away(void *ctx)
{
	struct fl_arrivals *a = ctx;

	(void)write_run(a, &a->away, &a->failed);
}

/* What the thread was given has been written. */
static int
settle_runs(struct fl_arrivals *a, struct fl_err *err)
{
	if (fl_behind_settle(a->backend->behind, err) < 0)
		return err->code;
	if (a->failed.code)
		*err = a->failed;
	return a->failed.code;
}

/* What is in hand goes to disk. */
static int
store_run(struct fl_arrivals *a, struct fl_err *err)
{
	struct heap full = a->hand;

	if ((a->fd < 0 && open_runs(a, err) < 0) || settle_runs(a, err) < 0)
		return err->code;
	a->hand = a->away;
	a->away = full;
	return fl_behind_run(a->backend->behind, write_away, a, err);
}

int
fl_arrivals_put(struct fl_arrivals *a, uint64_t seq, const struct fl_key *key,
		struct fl_bytes value, struct fl_err *err)
{
	struct arrival head = { seq, key->len, key->tags, value.n };
	struct heap *h = &a->hand;
	struct item item = { seq, { .at = h->bytes.len } };

	fl_buf_put(&h->items, &item, sizeof item);
	fl_buf_put(&h->bytes, &head, sizeof head);
	fl_buf_put(&h->bytes, key->p, key->len == FL_KEY_NULL ? 0 : key->len);
	fl_buf_put(&h->bytes, value.p, value.n);
	return h->bytes.len + 2 * h->items.len < a->max / 2 ? 0 : store_run(a, err);
}

static int
give(const char *record, fl_arrivals_each *each, void *ctx, struct fl_err *err)
{
	struct arrival head;
	struct fl_key key;

	memcpy(&head, record, sizeof head);
	key = (struct fl_key){ .p = record + sizeof head, .len = head.key_len, .tags = head.tags };
	return each(ctx, head.seq, &key,
		    (struct fl_bytes){ record + size_of(&head) - head.value_len, head.value_len },
		    err);
}

/* Have at least n bytes at pos. */
static int
fill(struct fl_arrivals *a, struct run *r, size_t n, size_t block, struct fl_err *err)
{
	size_t left = r->buf.len - r->pos;

	if (left >= n)
		return 0;
	if (left)
		memmove(r->buf.data, r->buf.data + r->pos, left);
	r->buf.len = left;
	r->pos = 0;
	while (r->buf.len < n) {
		size_t want = r->end - r->at < block ? (size_t)(r->end - r->at) : block;
		int64_t got = want ? fl_io_read_at(a->fd, fl_buf_reserve(&r->buf, want), want,
						   r->at, RUN_NAME, err)
				   : 0;

		if (got <= 0)
			return got < 0 ? (int)got
				       : fl_fail(err, FL_EIO, "%s became shorter", RUN_NAME);
		r->buf.len += (size_t)got;
		r->at += (uint64_t)got;
	}
	return 0;
}

/* The record behind the one in hand, whole: 1, 0 at the end of the run. */
static int
advance(struct fl_arrivals *a, struct run *r, size_t block, struct fl_err *err)
{
	if (r->buf.len == r->pos && r->at == r->end)
		return 0;
	if (fill(a, r, sizeof r->head, block, err) < 0)
		return err->code;
	memcpy(&r->head, r->buf.data + r->pos, sizeof r->head);
	return fill(a, r, size_of(&r->head), block, err) < 0 ? err->code : 1;
}

/* Let heap[i] sink to its place among n. */
static void
sink(struct run **heap, size_t n, size_t i)
{
	for (size_t child; (child = 2 * i + 1) < n; i = child) {
		struct run *t = heap[i];

		if (child + 1 < n && heap[child + 1]->head.seq < heap[child]->head.seq)
			child++;
		if (t->head.seq <= heap[child]->head.seq)
			return;
		heap[i] = heap[child];
		heap[child] = t;
	}
}

static int
merge_runs(struct fl_arrivals *a, struct run *run, size_t n, fl_arrivals_each *each, void *ctx,
	   struct fl_err *err)
{
	struct run **heap = fl_xcalloc(n + 1, sizeof *heap);
	size_t block = a->max / n, live = 0;
	int rc = 0;

	block = block < RUN_BLOCK_MIN ? RUN_BLOCK_MIN : block;
	block = block > RUN_BLOCK_MAX ? RUN_BLOCK_MAX : block;
	for (size_t i = 0; i < n && rc >= 0; i++)
		if ((rc = advance(a, &run[i], block, err)) > 0)
			heap[live++] = &run[i];
	for (size_t i = live / 2; i > 0; i--)
		sink(heap, live, i - 1);
	while (rc >= 0 && live) {
		struct run *r = heap[0];

		rc = give(r->buf.data + r->pos, each, ctx, err);
		if (rc < 0)
			break;
		r->pos += size_of(&r->head);
		rc = advance(a, r, block, err);
		if (rc == 0)
			heap[0] = heap[--live];
		sink(heap, live, 0);
	}
	free(heap);
	return rc < 0 ? rc : 0;
}

/* All that is stored. */
static int
give_stored(struct fl_arrivals *a, fl_arrivals_each *each, void *ctx, struct fl_err *err)
{
	const uint64_t *end = (const uint64_t *)(const void *)a->runs.data;
	size_t n = a->runs.len / sizeof *end;
	struct run *run = fl_xcalloc(n, sizeof *run);
	int rc;

	release_heap(&a->hand); /* the memory is for reading now */
	release_heap(&a->away);
	for (size_t i = 0; i < n; i++) {
		run[i].at = i ? end[i - 1] : 0;
		run[i].end = end[i];
	}
	rc = merge_runs(a, run, n, each, ctx, err);
	for (size_t i = 0; i < n; i++)
		fl_buf_release(&run[i].buf);
	free(run);
	return rc;
}

int
fl_arrivals_finish(struct fl_arrivals *a, fl_arrivals_each *each, void *ctx, struct fl_err *err)
{
	const struct item *item;
	size_t n;
	int rc = 0;

	if (a->fd >= 0) {
		rc = a->hand.items.len ? store_run(a, err) : 0;
		if (rc == 0)
			rc = settle_runs(a, err);
		return rc < 0 ? rc : give_stored(a, each, ctx, err);
	}
	item = sorted_heap(&a->hand, &n);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = give(a->hand.bytes.data + item[i].at, each, ctx, err);
	return rc;
}
