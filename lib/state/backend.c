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

#include "base/io.h"

#define MODULE "rocksdb.so"
#define NS_MAX 32u
#define HEAD 6u /* bytes of a key on disk between namespace and key */
#define ARRIVALS_NS 'S'
#define COPY_BYTES FL_KIB(64)

struct fl_backend {
	void *module;
	const struct fl_store_ops *ops;
	struct fl_store *store;
	char *dir;
	size_t memory_max;
	uint32_t arrivals;               /* how many were begun */
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
 * Where it is installed, relative to the tool (so that a prefix can be moved), or where
 * it was built.
 */
static int
load_module(struct fl_backend *b, struct fl_err *err)
{
	static const char *const places[] = { "../lib/flue/" MODULE, "../lib/state/" MODULE,
					      "../../lib/state/" MODULE };
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	struct fl_buf path = { 0 };
	const char *why = NULL;

	while (n > 0 && self[n - 1] != '/')
		n--;
	for (size_t i = 0; i < FL_ARRAY_LEN(places) && !b->module; i++) {
		fl_buf_clear(&path);
		fl_buf_put(&path, self, n > 0 ? (size_t)n : 0);
		fl_buf_puts(&path, places[i]);
		fl_buf_putc(&path, '\0');
		if (access(path.data, R_OK) == 0) {
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
	so.cache_bytes = b->memory_max / 16;
	so.write_bytes = b->memory_max / 64;
	if (rc == 0)
		b->store = b->ops->open(&so, err);
	if (b->store)
		return b;
	fl_backend_close(b);
	return NULL;
}

void
fl_backend_close(struct fl_backend *b)
{
	if (!b)
		return;
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
	return b->ops->checkpoint(b->store, dir, err);
}

/* ---- keys on disk ----------------------------------------------------------------------- */

/* What is sorted: 40 bits, group and hash. */
struct item {
	uint64_t order;
	const void *what;
};

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

/* By order, five passes of a byte; returns where they are then, of a and b. */
static struct item *
radix_sort(struct item *a, struct item *b, size_t n)
{
	for (unsigned shift = 0; shift < 40; shift += 8) {
		size_t at[257] = { 0 };
		struct item *t;

		for (size_t i = 0; i < n; i++)
			at[(a[i].order >> shift & 255) + 1]++;
		for (unsigned d = 0; d < 256; d++)
			at[d + 1] += at[d];
		for (size_t i = 0; i < n; i++)
			b[at[a[i].order >> shift & 255]++] = a[i];
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

		item[i] = (struct item){ order_of(&k), what ? what[i] : &keys[i] };
	}
	item = radix_sort(item, other, n);
	settle_ties(item, n, what != NULL);
	return item;
}

/* ---- writing --------------------------------------------------------------------------------- */

int
fl_backend_begin(struct fl_backend *b, struct fl_err *err)
{
	return b->ops->write_begin(b->store, err);
}

int
fl_backend_end(struct fl_backend *b, struct fl_err *err)
{
	return b->ops->write_end(b->store, err);
}

int
fl_backend_write(struct fl_backend *b, struct fl_bytes ns, struct fl_entry *const *entries,
		 size_t n, bool part, fl_backend_encode *encode, void *ctx, struct fl_err *err)
{
	const struct item *item = sorted(b, (const void *const *)entries, NULL, n);
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		struct fl_key k = fl_entry_key(item[i].what);

		if (i + 8 < n)
			__builtin_prefetch(item[i + 8].what);
		fl_buf_clear(&b->key);
		fl_buf_clear(&b->value);
		put_key(&b->key, ns, item[i].order, &k);
		encode(ctx, item[i].what, &b->value);
		rc = b->ops->write_put(b->store, (struct fl_bytes){ b->key.data, b->key.len },
				       (struct fl_bytes){ b->value.data, b->value.len }, part, err);
	}
	return rc;
}

int
fl_backend_drop(struct fl_backend *b, struct fl_bytes ns, struct fl_err *err)
{
	fl_buf_clear(&b->key);
	put_end(&b->key, ns);
	return b->ops->drop_range(b->store, ns, (struct fl_bytes){ b->key.data, b->key.len }, err);
}

/* ---- reading ---------------------------------------------------------------------------------- */

int
fl_backend_get(struct fl_backend *b, struct fl_bytes ns, const struct fl_key *keys, size_t n,
	       struct fl_bytes *ret, struct fl_err *err)
{
	const struct item *item = sorted(b, NULL, keys, n);
	struct fl_bytes *key, *found;
	size_t at = 0;
	int rc;

	fl_buf_clear(&b->keys);
	fl_buf_clear(&b->order);
	fl_buf_clear(&b->found);
	key = (struct fl_bytes *)(void *)fl_buf_reserve(&b->order, n * sizeof *key + 1);
	found = (struct fl_bytes *)(void *)fl_buf_reserve(&b->found, n * sizeof *found + 1);
	for (size_t i = 0; i < n; i++) {
		size_t before = b->keys.len;

		put_key(&b->keys, ns, item[i].order, item[i].what);
		key[i].n = b->keys.len - before;
	}
	for (size_t i = 0; i < n; i++) { /* nothing moves any more */
		key[i].p = b->keys.data + at;
		at += key[i].n;
	}
	rc = b->ops->get(b->store, key, n, found, err);
	for (size_t i = 0; i < n && rc == 0; i++)
		ret[(const struct fl_key *)item[i].what - keys] = found[i];
	return rc;
}

struct fl_backend_walk {
	struct fl_backend *backend;
	struct fl_store_iter *it;
	size_t ns_len;
	char end[NS_MAX + 1];
};

struct fl_backend_walk *
fl_backend_walk_open(struct fl_backend *b, struct fl_bytes ns)
{
	struct fl_backend_walk *w = fl_xcalloc(1, sizeof *w);

	fl_assert(ns.n <= NS_MAX);
	memcpy(w->end, ns.p, ns.n);
	w->end[ns.n] = (char)FL_KEY_GROUPS;
	w->backend = b;
	w->ns_len = ns.n;
	w->it = b->ops->iter_open(b->store, ns, (struct fl_bytes){ w->end, ns.n + 1 });
	return w;
}

int
fl_backend_walk_next(struct fl_backend_walk *w, struct fl_bytes *order, struct fl_key *key,
		     struct fl_bytes *value, struct fl_err *err)
{
	struct fl_bytes stored;
	int rc = w->backend->ops->iter_next(w->it, &stored, value, err);

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

/* ---- by arrival -------------------------------------------------------------------------------- */

/* In memory while they fit; else in sorted runs, under keys of their own. */
struct fl_arrivals {
	struct fl_backend *backend;
	char ns[5];
	size_t max;
	bool stored;
	struct fl_buf bytes; /* struct arrival, key, value */
	struct fl_buf place; /* struct place */
};

struct arrival {
	uint32_t key_len; /* or FL_KEY_NULL */
	uint32_t tags;
	uint32_t value_len;
};

struct place {
	uint64_t seq;
	size_t at; /* in bytes */
};

struct fl_arrivals *
fl_arrivals_new(struct fl_backend *b)
{
	struct fl_arrivals *a = fl_xcalloc(1, sizeof *a);
	uint32_t number = b->arrivals++;

	a->backend = b;
	a->max = b->memory_max / 6;
	a->ns[0] = ARRIVALS_NS;
	for (int i = 0; i < 4; i++)
		a->ns[1 + i] = (char)(number >> (24 - 8 * i));
	return a;
}

void
fl_arrivals_free(struct fl_arrivals *a)
{
	if (!a)
		return;
	fl_buf_release(&a->bytes);
	fl_buf_release(&a->place);
	free(a);
}

static int
by_seq(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->seq != y->seq)
		return x->seq < y->seq ? -1 : 1;
	return (x->at > y->at) - (x->at < y->at);
}

static struct place *
sorted_places(struct fl_arrivals *a, size_t *ret_n)
{
	struct place *p = (struct place *)(void *)a->place.data;

	*ret_n = a->place.len / sizeof *p;
	if (*ret_n > 1)
		qsort(p, *ret_n, sizeof *p, by_seq);
	return p;
}

/* What is stored of one, whole. */
static size_t
arrival_size(const char *p)
{
	struct arrival head;

	memcpy(&head, p, sizeof head);
	return sizeof head + (head.key_len == FL_KEY_NULL ? 0 : head.key_len) + head.value_len;
}

/* A run to disk. */
static int
store_arrivals(struct fl_arrivals *a, struct fl_err *err)
{
	struct fl_backend *b = a->backend;
	size_t n;
	const struct place *p = sorted_places(a, &n);
	int rc = a->stored ? 0 : b->ops->pause(b->store, true, err);

	a->stored = true;
	if (rc == 0)
		rc = b->ops->write_begin(b->store, err);
	for (size_t i = 0; i < n && rc == 0; i++) {
		const char *record = a->bytes.data + p[i].at;
		char key[sizeof a->ns + 8];

		memcpy(key, a->ns, sizeof a->ns);
		for (int k = 0; k < 8; k++)
			key[sizeof a->ns + (size_t)k] = (char)(p[i].seq >> (56 - 8 * k));
		rc = b->ops->write_put(b->store, (struct fl_bytes){ key, sizeof key },
				       (struct fl_bytes){ record, arrival_size(record) }, false,
				       err);
	}
	fl_buf_clear(&a->bytes);
	fl_buf_clear(&a->place);
	return rc < 0 ? rc : b->ops->write_end(b->store, err);
}

int
fl_arrivals_put(struct fl_arrivals *a, uint64_t seq, const struct fl_key *key,
		struct fl_bytes value, struct fl_err *err)
{
	struct arrival head = { key->len, key->tags, (uint32_t)value.n };
	struct place place = { seq, a->bytes.len };

	fl_buf_put(&a->place, &place, sizeof place);
	fl_buf_put(&a->bytes, &head, sizeof head);
	fl_buf_put(&a->bytes, key->p, key->len == FL_KEY_NULL ? 0 : key->len);
	fl_buf_put(&a->bytes, value.p, value.n);
	if (a->bytes.len + a->place.len < a->max)
		return 0;
	return store_arrivals(a, err);
}

static int
give(uint64_t seq, const char *p, size_t n, fl_arrivals_each *each, void *ctx, struct fl_err *err)
{
	struct arrival head;
	struct fl_key key;
	size_t key_len;

	if (n < sizeof head || arrival_size(p) != n)
		return fl_fail(err, FL_EDATA, "what was sorted in RocksDB's files is damaged");
	memcpy(&head, p, sizeof head);
	key_len = head.key_len == FL_KEY_NULL ? 0 : head.key_len;
	key = (struct fl_key){ .p = p + sizeof head, .len = head.key_len, .tags = head.tags };
	return each(ctx, seq, &key, (struct fl_bytes){ key.p + key_len, head.value_len }, err);
}

static uint64_t
seq_of(struct fl_bytes key)
{
	uint64_t seq = 0;

	for (size_t i = sizeof((struct fl_arrivals *)0)->ns; i < key.n; i++)
		seq = seq << 8 | (uint8_t)key.p[i];
	return seq;
}

static int
give_stored(struct fl_arrivals *a, fl_arrivals_each *each, void *ctx, struct fl_err *err)
{
	const struct fl_store_ops *ops = a->backend->ops;
	struct fl_bytes from = { a->ns, sizeof a->ns }, key, value;
	char last[sizeof a->ns + 9];
	struct fl_bytes to = { last, sizeof last };
	struct fl_store_iter *it;
	int rc;

	memset(last, 0xff, sizeof last);
	memcpy(last, a->ns, sizeof a->ns);
	it = ops->iter_open(a->backend->store, from, to);
	while ((rc = ops->iter_next(it, &key, &value, err)) > 0) {
		rc = give(seq_of(key), value.p, value.n, each, ctx, err);
		if (rc < 0)
			break;
	}
	ops->iter_close(it);
	if (rc == 0)
		rc = ops->drop_range(a->backend->store, from, to, err);
	return rc < 0 ? rc : ops->pause(a->backend->store, false, err);
}

int
fl_arrivals_finish(struct fl_arrivals *a, fl_arrivals_each *each, void *ctx, struct fl_err *err)
{
	const struct place *p;
	size_t n;
	int rc = 0;

	if (a->stored) {
		rc = a->place.len ? store_arrivals(a, err) : 0;
		return rc < 0 ? rc : give_stored(a, each, ctx, err);
	}
	p = sorted_places(a, &n);
	for (size_t i = 0; i < n && rc == 0; i++) {
		const char *record = a->bytes.data + p[i].at;

		rc = give(p[i].seq, record, arrival_size(record), each, ctx, err);
	}
	return rc;
}
