/* SPDX-License-Identifier: Apache-2.0 */
#include "run/spill.h"

#include <stdlib.h>

#include "base/fault.h"
#include "run/statefiles.h"

#define KEYS 'K'
#define MOMENTS 'T'
#define KEYS_NS 9u     /* bytes: what, namespace */
#define MOMENTS_NS 17u /* what, moment, namespace */

#define CHUNK 512u /* keys that are due are brought back so many at once */

/* How a value begins. */
struct head {
	uint8_t version;
	uint8_t zero[3];
	uint32_t tags;
	uint64_t seq;
};

/* seq of an entry in a table of what is gone. */
#define GONE UINT64_MAX

/* A key that is due. */
struct moment {
	int64_t due, ns;
	struct fl_entry *entry;
};

/* ---- life cycle ------------------------------------------------------------------------ */

/* from: as for fl_backend_open. */
static int
open_backend(struct fl_spill *s, const char *from, struct fl_err *err)
{
	s->backend = fl_statefiles_open(s->run, (struct fl_backend_options){ .from = from }, err);
	return s->backend ? 0 : err->code;
}

int
fl_spill_open(struct fl_spill *s, struct fl_run *run, const struct fl_spill_ops *ops, void *self,
	      const struct fl_keys *keys, struct fl_err *err)
{
	*s = (struct fl_spill){ .run = run,
				.ops = ops,
				.self = self,
				.keys = keys,
				.least = FL_TIME_MAX,
				.lowest = FL_TIME_MAX,
				.handled = FL_TIME_MIN };
	fl_budget_init(&s->budget, SIZE_MAX);
	return fl_statefiles_wanted(run) ? open_backend(s, NULL, err) : 0;
}

void
fl_spill_close(struct fl_spill *s)
{
	for (size_t i = 0; i < s->ns_count; i++)
		fl_table_release(&s->ns[i].gone);
	free(s->ns);
	fl_budget_release(&s->budget);
	fl_backend_close(s->backend);
	free(s->files);
	fl_buf_release(&s->list);
	fl_buf_release(&s->moments);
	fl_buf_release(&s->fetch);
	fl_buf_release(&s->found);
	fl_buf_release(&s->made);
	*s = (struct fl_spill){ 0 };
}

size_t
fl_spill_memory_max(const struct fl_spill *s)
{
	return s->backend ? SIZE_MAX : fl_run_memory_max(s->run);
}

/* ---- namespaces -------------------------------------------------------------------------- */

/* Numbers as bytes that sort alike. */
static void
put_number(char *to, int64_t v)
{
	uint64_t u = (uint64_t)v ^ UINT64_C(1) << 63;

	for (unsigned i = 0; i < 8; i++)
		to[i] = (char)(u >> (56 - 8 * i));
}

static int64_t
get_number(const char *from)
{
	uint64_t u = 0;

	for (unsigned i = 0; i < 8; i++)
		u = u << 8 | (unsigned char)from[i];
	return (int64_t)(u ^ UINT64_C(1) << 63);
}

static struct fl_bytes
keys_ns(int64_t ns, char room[KEYS_NS])
{
	room[0] = KEYS;
	put_number(room + 1, ns);
	return (struct fl_bytes){ room, KEYS_NS };
}

static struct fl_bytes
moments_ns(int64_t due, int64_t ns, char room[MOMENTS_NS])
{
	room[0] = MOMENTS;
	put_number(room + 1, due);
	put_number(room + 9, ns);
	return (struct fl_bytes){ room, MOMENTS_NS };
}

/* Where a namespace stands, or would. */
static size_t
place_of_ns(const struct fl_spill *s, int64_t ns)
{
	size_t lo = 0, hi = s->ns_count;

	if (s->ns_last < hi && s->ns[s->ns_last].ns == ns)
		return s->ns_last;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (s->ns[mid].ns < ns)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct fl_spill_ns *
find_ns(struct fl_spill *s, int64_t ns)
{
	size_t at = place_of_ns(s, ns);

	s->ns_last = at;
	return at < s->ns_count && s->ns[at].ns == ns ? &s->ns[at] : NULL;
}

static struct fl_table *
table_of(const struct fl_spill *s, int64_t ns)
{
	if (s->ops->table)
		return s->ops->table(s->self, ns);
	return ns == 0 ? (struct fl_table *)(void *)((char *)s->self + s->ops->table_at) : NULL;
}

static struct fl_spill_ns *
make_ns(struct fl_spill *s, int64_t ns)
{
	struct fl_spill_ns *n = find_ns(s, ns);
	size_t at = s->ns_last;

	if (n)
		return n;
	if (s->ns_count == s->ns_cap) {
		s->ns_cap = s->ns_cap ? 2 * s->ns_cap : 4;
		s->ns = fl_xreallocarray(s->ns, s->ns_cap, sizeof *s->ns);
	}
	n = &s->ns[at];
	memmove(n + 1, n, (s->ns_count - at) * sizeof *n);
	s->ns_count++;
	*n = (struct fl_spill_ns){ .ns = ns };
	fl_table_init(&n->gone, &s->budget, 0);
	return n;
}

bool
fl_spill_is_away(const struct fl_spill *s, int64_t ns)
{
	size_t at = place_of_ns(s, ns);

	return at < s->ns_count && s->ns[at].ns == ns && s->ns[at].away;
}

int
fl_spill_drop(struct fl_spill *s, int64_t ns, struct fl_err *err)
{
	struct fl_spill_ns *n = s->backend ? find_ns(s, ns) : NULL;
	char room[KEYS_NS];
	int rc;

	if (!n)
		return 0;
	rc = n->stored ? fl_backend_drop(s->backend, keys_ns(ns, room), err) : 0;
	fl_table_release(&n->gone);
	s->ns_count--;
	memmove(n, n + 1, (size_t)(s->ns + s->ns_count - n) * sizeof *n);
	return rc;
}

/* ---- writing ------------------------------------------------------------------------------- */

struct encoding {
	struct fl_spill *spill;
	int64_t ns;
};

static void
encode(void *ctx, const struct fl_entry *e, struct fl_buf *out)
{
	struct encoding *x = ctx;
	struct head head = { .version = x->spill->ops->version, .tags = e->tags, .seq = e->seq };

	if (e->seq == GONE)
		return;
	fl_buf_put(out, &head, sizeof head);
	x->spill->ops->encode(x->spill->self, x->ns, (struct fl_entry *)(uintptr_t)e, out);
	if (out->len == sizeof head)
		fl_buf_clear(out);
}

static void
encode_moment(void *ctx, const struct fl_entry *e, struct fl_buf *out)
{
	(void)ctx;
	(void)e;
	fl_buf_putc(out, 0);
}

/* What of a namespace is to be written, into s->list and s->moments. */
static void
gather(struct fl_spill *s, const struct fl_spill_ns *n)
{
	const struct fl_table *t = table_of(s, n->ns);

	for (uint32_t i = 0; t && i < t->count; i++) {
		struct moment m = { .ns = n->ns, .entry = fl_table_at(t, i) };

		if (m.entry->deleted || !(m.entry->flags & FL_SPILL_DIRTY))
			continue;
		fl_buf_put(&s->list, &m.entry, sizeof m.entry);
		m.due = s->ops->due ? s->ops->due(s->self, n->ns, m.entry) : FL_TIME_MAX;
		if (m.due < FL_TIME_MAX)
			fl_buf_put(&s->moments, &m, sizeof m);
	}
	for (uint32_t i = 0; i < n->gone.count; i++) {
		struct fl_entry *e = fl_table_at(&n->gone, i);

		if (!e->deleted)
			fl_buf_put(&s->list, &e, sizeof e);
	}
}

static int
by_moment(const void *a, const void *b)
{
	const struct moment *x = a, *y = b;

	if (x->due != y->due)
		return x->due < y->due ? -1 : 1;
	return (x->ns > y->ns) - (x->ns < y->ns);
}

/* The index of what is due. */
static int
write_moments(struct fl_spill *s, struct fl_err *err)
{
	struct moment *m = (struct moment *)(void *)s->moments.data;
	size_t n = s->moments.len / sizeof *m, end;
	char room[MOMENTS_NS];
	int rc = 0;

	if (n)
		qsort(m, n, sizeof *m, by_moment);
	if (n && m[0].due < s->lowest)
		s->lowest = m[0].due;
	if (n && m[0].due <= s->handled) /* it came when its moment had passed */
		s->handled = m[0].due > FL_TIME_MIN ? m[0].due - 1 : FL_TIME_MIN;
	for (size_t i = 0; i < n && rc == 0; i = end) {
		fl_buf_clear(&s->made);
		for (end = i; end < n && by_moment(&m[i], &m[end]) == 0; end++)
			fl_buf_put(&s->made, &m[end].entry, sizeof m[end].entry);
		rc = fl_backend_write(s->backend, moments_ns(m[i].due, m[i].ns, room),
				      (struct fl_entry *const *)(void *)s->made.data, end - i,
				      false, encode_moment, NULL, err);
	}
	return rc;
}

/* Moments that have been dealt with. */
static int
drop_moments(struct fl_spill *s, struct fl_err *err)
{
	char from[MOMENTS_NS], to[MOMENTS_NS];
	struct fl_bytes end = { "U", 1 };

	if (s->lowest > s->handled || s->lowest == FL_TIME_MAX)
		return 0;
	(void)moments_ns(FL_TIME_MIN, FL_TIME_MIN, from);
	if (s->handled < FL_TIME_MAX)
		end = moments_ns(s->handled + 1, FL_TIME_MIN, to);
	s->lowest = s->handled < FL_TIME_MAX ? s->handled + 1 : FL_TIME_MAX;
	return fl_backend_drop_range(s->backend, (struct fl_bytes){ from, MOMENTS_NS }, end, err);
}

/* s->list has the entries of all namespaces; end[i] is where those of number i end. */
static int
write_lists(struct fl_spill *s, const size_t *end, struct fl_err *err)
{
	struct fl_entry *const *list = (struct fl_entry *const *)(void *)s->list.data;
	size_t from = 0;
	char room[KEYS_NS];

	if (fl_backend_begin(s->backend, err) < 0)
		return err->code;
	for (size_t i = 0; i < s->ns_count; from = end[i++]) {
		struct encoding x = { s, s->ns[i].ns };

		if (end[i] > from && fl_backend_write(s->backend, keys_ns(x.ns, room), list + from,
						      end[i] - from, false, encode, &x, err) < 0)
			return err->code;
	}
	if (write_moments(s, err) < 0)
		return err->code;
	return fl_backend_end(s->backend, err);
}

/* All of it is on disk now. */
static void
mark_written(struct fl_spill *s, const size_t *end)
{
	struct fl_entry **list = (struct fl_entry **)(void *)s->list.data;
	size_t n = s->list.len / sizeof *list;

	for (size_t i = 0; i < n; i++)
		list[i]->flags = (uint8_t)((list[i]->flags & ~FL_SPILL_DIRTY) | FL_SPILL_STORED);
	for (size_t i = 0; i < s->ns_count; i++) {
		if (end[i] > (i ? end[i - 1] : 0))
			s->ns[i].stored = true;
		fl_table_clear(&s->ns[i].gone);
	}
}

static int
write_back(struct fl_spill *s, struct fl_err *err)
{
	size_t *end = fl_xcalloc(s->ns_count + 1, sizeof *end);
	int rc;

	if (s->ops->prepare)
		s->ops->prepare(s->self);
	fl_buf_clear(&s->list);
	fl_buf_clear(&s->moments);
	for (size_t i = 0; i < s->ns_count; i++) {
		gather(s, &s->ns[i]);
		end[i] = s->list.len / sizeof(struct fl_entry *);
	}
	rc = drop_moments(s, err);
	if (rc == 0 && s->list.len)
		rc = write_lists(s, end, err);
	if (rc == 0) /* not before: what could not be written now is the next time */
		mark_written(s, end);
	fl_buf_release(&s->list);
	fl_buf_release(&s->moments);
	free(end);
	return rc;
}

static int
evict(struct fl_spill *s, struct fl_err *err)
{
	if (write_back(s, err) < 0)
		return err->code;
	s->ops->forget(s->self);
	s->evictions++;
	s->least = s->lowest;
	for (size_t i = 0; i < s->ns_count; i++)
		s->ns[i].away = s->ns[i].stored;
	return 0;
}

/* How much there is in memory. */
static size_t
held(const struct fl_spill *s)
{
	return s->ops->held(s->self) + s->budget.used;
}

bool
fl_spill_is_full(const struct fl_spill *s)
{
	return s->backend && held(s) > fl_backend_cache_max(s->backend);
}

int
fl_spill_trim(struct fl_spill *s, struct fl_err *err)
{
	return fl_spill_is_full(s) ? evict(s, err) : 0;
}

/* ---- reading ----------------------------------------------------------------------------- */

/* What is on disk becomes an entry, which is fresh. */
static int
decode(struct fl_spill *s, int64_t ns, struct fl_table *t, struct fl_entry *e,
       struct fl_bytes value, struct fl_err *err)
{
	struct head head;

	if (value.n < sizeof head)
		return fl_fail(err, FL_EDATA, "a value in RocksDB's files is damaged");
	memcpy(&head, value.p, sizeof head);
	if (head.version != s->ops->version)
		return fl_fail(err, FL_EDATA,
			       "a value in RocksDB's files is damaged, or of another version");
	e->seq = head.seq;
	e->tags = head.tags;
	e->flags = FL_SPILL_STORED;
	t->reused = true; /* walks are not by arrival */
	value.p += sizeof head;
	value.n -= sizeof head;
	return s->ops->decode(s->self, ns, e, value, err);
}

/* Begin to collect keys that may be on disk. */
static void
fetch_begin(struct fl_spill *s)
{
	fl_buf_clear(&s->fetch);
	fl_buf_clear(&s->made);
}

/* A key, whose entry is fresh. */
static void
fetch_add(struct fl_spill *s, const struct fl_key *key, struct fl_entry *e)
{
	fl_buf_put(&s->fetch, key, sizeof *key);
	fl_buf_put(&s->made, &e, sizeof(struct fl_entry *));
}

/* What was collected, when it is found. */
struct fetching {
	struct fl_spill *spill;
	struct fl_table *table;
	struct fl_entry *const *entry;
	bool *found;
	int64_t ns;
	bool keep;
};

static int
take_found(void *ctx, size_t i, struct fl_bytes value, struct fl_err *err)
{
	const struct fetching *f = ctx;

	f->found[i] = value.p != NULL;
	if (!value.p)
		return 0;
	if (decode(f->spill, f->ns, f->table, f->entry[i], value, err) < 0)
		return err->code;
	if (f->keep)
		f->entry[i]->flags |= FL_SPILL_DIRTY;
	return 0;
}

/*
 * Get what was collected: entries that are on disk are decoded, and marked as changed
 * (keep); the others stay as they are (keep), or go.
 */
static int
fetch_end(struct fl_spill *s, int64_t ns, struct fl_table *t, bool keep, struct fl_err *err)
{
	const struct fl_key *key = (const struct fl_key *)(void *)s->fetch.data;
	struct fetching f = { .spill = s, .table = t, .ns = ns, .keep = keep };
	size_t n = s->fetch.len / sizeof *key;
	char room[KEYS_NS];
	int rc;

	if (n == 0)
		return 0;
	fl_buf_clear(&s->found);
	f.entry = (struct fl_entry *const *)(void *)s->made.data;
	f.found = (bool *)(void *)fl_buf_reserve(&s->found, n * sizeof *f.found);
	rc = fl_backend_get_each(s->backend, keys_ns(ns, room), key, n, take_found, &f, err);
	for (size_t i = 0; i < n && rc == 0 && !keep; i++)
		if (!f.found[i])
			fl_table_delete(t, f.entry[i]);
	return rc;
}

static inline bool
is_fresh(const struct fl_entry *e)
{
	return !(e->flags & (FL_SPILL_DIRTY | FL_SPILL_STORED));
}

/* A key that was deleted comes again: there is nothing to be read. */
static bool
comes_again(struct fl_spill_ns *n, const struct fl_key *key, struct fl_entry *e)
{
	struct fl_entry *gone = n->gone.live ? fl_table_get(&n->gone, key) : NULL;

	if (!gone)
		return false;
	fl_table_delete(&n->gone, gone);
	e->flags |= FL_SPILL_STORED;
	return true;
}

int
fl_spill_put(struct fl_spill *s, int64_t ns, struct fl_table *t, const struct fl_key *keys,
	     const uint32_t *rows, uint32_t n, uint64_t seq, struct fl_entry **ret,
	     struct fl_err *err)
{
	struct fl_spill_ns *in;

	if (fl_table_put(t, keys, rows, n, seq, ret, NULL, err) < 0)
		return err->code;
	if (!s->backend)
		return 0;
	in = make_ns(s, ns);
	fetch_begin(s);
	for (uint32_t i = 0; i < n; i++) {
		const struct fl_key *key = &keys[rows ? rows[i] : i];
		bool fresh = is_fresh(ret[i]);

		ret[i]->flags |= FL_SPILL_DIRTY;
		if (fresh && !comes_again(in, key, ret[i]) && in->away)
			fetch_add(s, key, ret[i]);
	}
	return fetch_end(s, ns, t, true, err);
}

int
fl_spill_get(struct fl_spill *s, int64_t ns, struct fl_table *t, const struct fl_key *keys,
	     const uint32_t *rows, uint32_t n, struct fl_entry **ret, struct fl_err *err)
{
	const struct fl_spill_ns *in = s->backend ? find_ns(s, ns) : NULL;

	for (uint32_t i = 0; i < n; i++)
		ret[i] = fl_table_get(t, &keys[rows ? rows[i] : i]);
	if (!in || !in->away)
		return 0;
	fetch_begin(s);
	for (uint32_t i = 0; i < n; i++) {
		const struct fl_key *key = &keys[rows ? rows[i] : i];

		if (ret[i] || (in->gone.live && fl_table_get(&in->gone, key)))
			continue;
		if (fl_table_put(t, key, NULL, 1, 0, &ret[i], NULL, err) < 0)
			return err->code;
		if (!is_fresh(ret[i]))
			continue; /* the key is there twice */
		ret[i]->flags |= FL_SPILL_DIRTY;
		fetch_add(s, key, ret[i]);
	}
	if (fetch_end(s, ns, t, false, err) < 0)
		return err->code;
	for (uint32_t i = 0; i < n; i++)
		if (ret[i] && ret[i]->deleted)
			ret[i] = NULL;
	return 0;
}

void
fl_spill_delete(struct fl_spill *s, int64_t ns, struct fl_table *t, struct fl_entry *e)
{
	struct fl_spill_ns *n = NULL;

	if (s->backend && e->flags & FL_SPILL_STORED)
		n = find_ns(s, ns);
	if (n) {
		struct fl_key key = fl_entry_key(e);
		struct fl_entry *gone;
		struct fl_err err;

		key.hash = e->hash; /* all that tables look at */
		fl_assert(fl_table_put(&n->gone, &key, NULL, 1, GONE, &gone, NULL, &err) == 0);
	}
	fl_table_delete(t, e);
}

/*
 * A key whose value is in hand comes into memory. One that is there already, or is to be
 * deleted, is left.
 */
static int
take_value(struct fl_spill *s, const struct fl_spill_ns *n, struct fl_table *t,
	   const struct fl_key *stored, struct fl_bytes value, struct fl_entry **ret,
	   struct fl_err *err)
{
	struct fl_key key = *stored;

	*ret = NULL;
	key.hash = fl_key_hash(s->keys, &key);
	if (n->gone.live && fl_table_get(&n->gone, &key))
		return 0;
	if (fl_table_put(t, &key, NULL, 1, 0, ret, NULL, err) < 0)
		return err->code;
	return is_fresh(*ret) ? decode(s, n->ns, t, *ret, value, err) : 0;
}

int
fl_spill_bring(struct fl_spill *s, int64_t ns, struct fl_err *err)
{
	struct fl_spill_ns *n = s->backend ? find_ns(s, ns) : NULL;
	struct fl_table *t = n && n->away ? table_of(s, ns) : NULL;
	struct fl_backend_walk *w;
	struct fl_bytes order, value;
	struct fl_entry *e;
	struct fl_key key;
	char room[KEYS_NS];
	int rc;

	if (!t)
		return 0;
	w = fl_backend_walk_open(s->backend, keys_ns(ns, room));
	while ((rc = fl_backend_walk_next(w, &order, &key, &value, err)) > 0)
		if (take_value(s, n, t, &key, value, &e, err) < 0) {
			rc = err->code;
			break;
		}
	fl_backend_walk_close(w);
	if (rc == 0)
		n->away = false;
	return rc;
}

/* ---- what is due --------------------------------------------------------------------------- */

/* Keys of the index that are collected: of one namespace. */
struct due {
	int64_t ns;
	struct fl_buf bytes; /* of the keys, one behind the other */
	struct fl_buf keys;  /* struct fl_key; p is set at the end */
};

/* They come into memory. */
static int
bring_keys(struct fl_spill *s, struct due *d, struct fl_err *err)
{
	struct fl_key *key = (struct fl_key *)(void *)d->keys.data;
	size_t n = d->keys.len / sizeof *key, at = 0;
	struct fl_table *t = n && find_ns(s, d->ns) ? table_of(s, d->ns) : NULL;
	struct fl_entry **e;
	int rc = 0;

	for (size_t i = 0; i < n; i++) {
		key[i].p = d->bytes.data ? d->bytes.data + at : "";
		key[i].hash = fl_key_hash(s->keys, &key[i]);
		at += key[i].len == FL_KEY_NULL ? 0 : key[i].len;
	}
	if (t) {
		fl_buf_clear(&s->list);
		e = (struct fl_entry **)(void *)fl_buf_reserve(&s->list, n * sizeof *e);
		rc = fl_spill_get(s, d->ns, t, key, NULL, (uint32_t)n, e, err);
	}
	fl_buf_clear(&d->keys);
	fl_buf_clear(&d->bytes);
	return rc;
}

/* A row of the index. */
static int
take_moment(struct fl_spill *s, struct due *d, int64_t ns, const struct fl_key *key,
	    struct fl_err *err)
{
	size_t n = d->keys.len / sizeof *key;

	if (n && (n >= CHUNK || d->ns != ns) && bring_keys(s, d, err) < 0)
		return err->code;
	d->ns = ns;
	fl_buf_put(&d->keys, key, sizeof *key);
	fl_buf_put(&d->bytes, key->p, key->len == FL_KEY_NULL ? 0 : key->len);
	return 0;
}

/*
 * Whether it is enough, before a moment: what is due is taken while it fits, and some of
 * what is to come, so that the index is not read again for each moment.
 */
static bool
is_enough(const struct fl_spill *s, size_t taken, int64_t due, int64_t wm)
{
	size_t max = fl_backend_cache_max(s->backend);

	if (taken < CHUNK)
		return due > wm && held(s) > max;
	return held(s) > (due > wm ? max / 4 : max / 4 * 3);
}

int
fl_spill_bring_due(struct fl_spill *s, int64_t wm, int64_t *until, struct fl_err *err)
{
	char from[MOMENTS_NS];
	struct fl_bytes order, value;
	struct fl_backend_walk *w;
	struct due d = { 0 };
	struct fl_key key;
	int64_t last = FL_TIME_MIN, due = FL_TIME_MIN;
	size_t taken = 0;
	int rc;

	*until = wm;
	w = fl_backend_walk_range(s->backend, moments_ns(s->least, FL_TIME_MIN, from),
				  (struct fl_bytes){ "U", 1 }, MOMENTS_NS);
	while ((rc = fl_backend_walk_next(w, &order, &key, &value, err)) > 0) {
		due = get_number(order.p - 16);
		if (taken && due > last && is_enough(s, taken, due, wm))
			break;
		last = due;
		taken++;
		if (take_moment(s, &d, get_number(order.p - 8), &key, err) < 0) {
			rc = err->code;
			break;
		}
	}
	if (rc >= 0 && bring_keys(s, &d, err) < 0)
		rc = err->code;
	fl_backend_walk_close(w);
	fl_buf_release(&d.bytes);
	fl_buf_release(&d.keys);
	if (rc < 0)
		return rc;
	s->least = rc ? due : FL_TIME_MAX;
	if (rc && due <= wm)
		*until = due - 1;
	if (*until > s->handled)
		s->handled = *until;
	return 0;
}

/* ---- all ------------------------------------------------------------------------------------- */

static int
by_arrival(const void *a, const void *b)
{
	const struct fl_entry *x = *(struct fl_entry *const *)a, *y = *(struct fl_entry *const *)b;

	return (x->seq > y->seq) - (x->seq < y->seq);
}

/* All of a namespace that is in memory. */
static int
each_here(struct fl_spill *s, const struct fl_table *t, fl_spill_each_fn *each, struct fl_err *err)
{
	struct fl_entry **e;
	bool sorted = true;
	size_t n = 0;
	int rc = 0;

	fl_buf_clear(&s->list);
	e = (struct fl_entry **)(void *)fl_buf_reserve(&s->list, t->count * sizeof *e + 1);
	for (uint32_t i = 0; i < t->count; i++) {
		struct fl_entry *x = fl_table_at(t, i);

		if (x->deleted)
			continue;
		sorted = sorted && (n == 0 || e[n - 1]->seq < x->seq);
		e[n++] = x;
	}
	if (!sorted)
		qsort(e, n, sizeof(struct fl_entry *), by_arrival);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = each(s->self, e[i], err);
	return rc;
}

struct giving {
	struct fl_spill *spill;
	const struct fl_spill_ns *ns;
	fl_spill_each_fn *each;
};

static int
give(void *ctx, uint64_t seq, const struct fl_key *key, struct fl_bytes value, struct fl_err *err)
{
	struct giving *g = ctx;
	struct fl_spill *s = g->spill;
	struct fl_table *t = table_of(s, g->ns->ns);
	struct fl_entry *e;

	(void)seq;
	if (!t)
		return 0;
	if (take_value(s, g->ns, t, key, value, &e, err) < 0 || g->each(s->self, e, err) < 0)
		return err->code;
	if (held(s) > fl_backend_cache_max(s->backend) / 2) {
		s->ops->forget(s->self);
		s->evictions++;
	}
	return 0;
}

/* All of a namespace that is on disk. */
static int
each_there(struct fl_spill *s, const struct fl_spill_ns *n, fl_spill_each_fn *each,
	   struct fl_err *err)
{
	struct fl_arrivals *a = fl_arrivals_new(s->backend);
	struct giving g = { s, n, each };
	struct fl_backend_walk *w;
	struct fl_bytes order, value;
	struct fl_key key;
	struct head head;
	char room[KEYS_NS];
	int rc;

	w = fl_backend_walk_open(s->backend, keys_ns(n->ns, room));
	while ((rc = fl_backend_walk_next(w, &order, &key, &value, err)) > 0) {
		if (value.n < sizeof head) {
			rc = fl_fail(err, FL_EDATA, "a value in RocksDB's files is damaged");
			break;
		}
		memcpy(&head, value.p, sizeof head);
		rc = fl_arrivals_put(a, head.seq, &key, value, err);
		if (rc < 0)
			break;
	}
	fl_backend_walk_close(w);
	if (rc == 0)
		rc = fl_arrivals_finish(a, give, &g, err);
	fl_arrivals_free(a);
	return rc;
}

int
fl_spill_each(struct fl_spill *s, int64_t ns, fl_spill_each_fn *each, struct fl_err *err)
{
	const struct fl_spill_ns *n = s->backend ? find_ns(s, ns) : NULL;
	const struct fl_table *t;
	int rc;

	if (!n || !n->away) {
		t = table_of(s, ns);
		return t ? each_here(s, t, each, err) : 0;
	}
	if (evict(s, err) < 0)
		return err->code;
	rc = each_there(s, n, each, err);
	s->ops->forget(s->self);
	return rc;
}

/* ---- checkpoints ------------------------------------------------------------------------------ */

int
fl_spill_checkpoint(struct fl_spill *s, struct fl_err *err)
{
	if (!s->backend)
		return 0;
	if (write_back(s, err) < 0)
		return err->code;
	free(s->files);
	s->files = NULL;
	return fl_statefiles_checkpoint(s->backend, s->run, &s->files, err);
}

void
fl_spill_save(const struct fl_spill *s, struct fl_save *to)
{
	struct fl_buf about = { 0 };

	if (!s->backend)
		return;
	if (s->ops->about)
		s->ops->about(s->self, &about);
	fl_save_section(to, FL_STATEFILES_SECTION, 1, about.data);
	fl_statefiles_save(to, s->files);
	fl_buf_release(&about);
}

/* Which namespaces there are on disk: the first key, then the first behind its namespace … */
static int
list_ns(struct fl_spill *s, struct fl_err *err)
{
	static const char end[] = { KEYS + 1 };
	int64_t ns = FL_TIME_MIN;
	int rc = 1;

	while (rc > 0) {
		struct fl_bytes order, value;
		struct fl_backend_walk *w;
		char room[KEYS_NS];
		struct fl_key key;

		w = fl_backend_walk_range(s->backend, keys_ns(ns, room),
					  (struct fl_bytes){ end, 1 }, KEYS_NS);
		rc = fl_backend_walk_next(w, &order, &key, &value, err);
		if (rc > 0) {
			struct fl_spill_ns *n;

			ns = get_number(order.p - 8);
			n = make_ns(s, ns);
			n->stored = n->away = true;
		}
		fl_backend_walk_close(w);
		if (ns == INT64_MAX)
			break;
		ns++;
	}
	return rc < 0 ? rc : 0;
}

int
fl_spill_load(struct fl_spill *s, struct fl_load *l, const struct fl_state_section *section,
	      struct fl_err *err)
{
	char *dir;
	int rc;

	if (strcmp(section->name, FL_STATEFILES_SECTION) != 0)
		return 0;
	if (section->version != 1)
		return fl_load_unknown(l, section, err);
	if (!s->backend)
		return fl_statefiles_refuse(err);
	rc = fl_statefiles_load(l, s->run, &dir, err);
	if (rc == 0) {
		FL_FAULT("rocksdb.restore");
		fl_backend_close(s->backend);
		rc = open_backend(s, dir, err);
	}
	FL_FAULT("rocksdb.restored");
	free(dir);
	if (rc < 0)
		return rc;
	s->least = s->lowest = FL_TIME_MIN;
	rc = list_ns(s, err);
	return rc < 0 ? rc : 1;
}
