/* SPDX-License-Identifier: Apache-2.0 */
#include "window/save.h"

#include <stdlib.h>

#include "checkpoint/about.h"
#include "run/statefiles.h"
#include "time/duration.h"

#define VERSION 1u
#define SECTION "window"
#define KEYS_BYTES FL_MIB(1) /* of long keys in a block of flat entries */

/* ---- the section "window" ---------------------------------------------------------- */

/* The numbers of a specification by which two are the same windows. */
static void
numbers_of(const struct fl_window_spec *s, int64_t to[9])
{
	to[0] = s->kind;
	to[1] = s->size;
	to[2] = s->slide;
	to[3] = s->offset;
	to[4] = s->trigger;
	to[5] = s->trigger_arg;
	to[6] = s->purge;
	to[7] = s->keep_count;
	to[8] = s->keep_time;
}

static const char *const number_name[9] = {
	"kind",        "size",  "slide",      "offset",    "trigger",
	"trigger_arg", "purge", "keep_count", "keep_time",
};

static void
put_keys(const struct fl_header *in, struct fl_buf *out)
{
	for (uint32_t i = 0; i < in->key_count; i++) {
		const struct fl_column *c = &in->columns[in->keys[i]];

		if (i)
			fl_buf_putc(out, ',');
		fl_buf_put(out, c->name, c->name_len);
	}
}

/* For fcheckpoint show. */
static const char *const layouts[][2] = {
	{ "lateness", "duration" },
	{ "keep_time", "duration" },
	{ "purge", "flag64" },
	{ "processing_time", "flag64" },
	{ "updates", "flag64" },
	{ "kind", "word64(none,tumble,slide,session,cumulate,count,global)" },
	{ "trigger", "word64(default,every,count,eager)" },
	{ "watermark", "time" },
	{ "timer", "time" },
};

void
fl_window_save(struct fl_save *s, const struct fl_window_saved *w, const struct fl_header *in,
	       const struct fl_aggs *aggs)
{
	struct fl_buf b = { 0 };
	int64_t number[9];

	fl_state_section_named(s, SECTION, VERSION, layouts, FL_ARRAY_LEN(layouts));
	fl_save_bytes(s, "engine", w->engine, strlen(w->engine));
	numbers_of(&w->spec, number);
	for (size_t i = 0; i < FL_ARRAY_LEN(number); i++)
		fl_save_int(s, number_name[i], number[i]);
	fl_save_int(s, "lateness", w->spec.lateness);
	fl_save_int(s, "processing_time", w->spec.processing_time);
	fl_save_int(s, "updates", w->updates);
	fl_save_int(s, "watermark", w->wm_ms);
	fl_save_int(s, "next_record", (int64_t)w->seq);
	fl_save_int(s, "timer", w->timer_ms);
	fl_save_int(s, "entries", (int64_t)w->entries);
	if (w->whole)
		fl_save_int(s, "whole", 1);
	put_keys(in, &b);
	fl_save_bytes(s, "keys", b.data, b.len);
	if (aggs) {
		fl_buf_clear(&b);
		fl_aggs_parts(aggs, &b);
		fl_save_bytes(s, "aggregates", b.data, b.len);
	}
	fl_buf_release(&b);
}

/* The words of fwindow, for a message. */
static void
describe(const struct fl_window_spec *s, struct fl_buf *out)
{
	static const char *const kind[] = { "none",     "tumble", "slide", "session",
					    "cumulate", "count",  "global" };
	static const char *const trigger[] = { "", " --trigger every=", " --trigger count=",
					       " --trigger eager" };
	char text[FL_DURATION_TEXT_MAX];
	bool count = s->kind == FL_WINDOW_COUNT;

	fl_buf_puts(out, (unsigned)s->kind < FL_ARRAY_LEN(kind) ? kind[s->kind] : "unknown");
	for (int i = 0; i < 2; i++) {
		int64_t v = i ? s->slide : s->size;

		if (v == 0)
			continue;
		(void)fl_duration_format(v, text);
		if (count)
			fl_buf_printf(out, " %lld", (long long)v);
		else
			fl_buf_printf(out, " %s", text);
	}
	(void)fl_duration_format(s->offset, text);
	if (s->offset)
		fl_buf_printf(out, " --offset %s", text);
	fl_buf_puts(out, (unsigned)s->trigger < FL_ARRAY_LEN(trigger) ? trigger[s->trigger] : "?");
	(void)fl_duration_format(s->trigger_arg, text);
	if (s->trigger == FL_TRIGGER_EVERY)
		fl_buf_puts(out, text);
	else if (s->trigger == FL_TRIGGER_COUNT)
		fl_buf_printf(out, "%lld", (long long)s->trigger_arg);
	(void)fl_duration_format(s->keep_time, text);
	if (s->keep_time >= 0)
		fl_buf_printf(out, " --keep %s", text);
	else if (s->keep_count >= 0)
		fl_buf_printf(out, " --keep %lld", (long long)s->keep_count);
	fl_buf_puts(out, s->purge ? " --purge" : "");
	fl_buf_puts(out, s->processing_time ? " --processing-time" : "");
}

#define ADVICE \
	"give the line as it was, go back (fcheckpoint rewind), or another --uid to begin empty"

static int
check_windows(const struct fl_window_spec *now, const struct fl_window_spec *was,
	      struct fl_err *err)
{
	int64_t a[9], b[9];
	struct fl_buf old = { 0 }, new = { 0 };

	numbers_of(now, a);
	numbers_of(was, b);
	if (memcmp(a, b, sizeof a) == 0 && now->processing_time == was->processing_time)
		return 0;
	describe(was, &old);
	describe(now, &new);
	(void)fl_fail(err, FL_ECONFIG,
		      "the windows were \"%.*s\" at the checkpoint, and are \"%.*s\": " ADVICE,
		      (int)old.len, old.data, (int)new.len, new.data);
	fl_buf_release(&old);
	fl_buf_release(&new);
	return err->code;
}

static int
check_keys(const struct fl_header *in, const struct fl_buf *was, struct fl_err *err)
{
	struct fl_buf now = { 0 };
	int rc = 0;

	put_keys(in, &now);
	if (now.len != was->len || (now.len && memcmp(now.data, was->data, now.len) != 0))
		rc = fl_fail(err, FL_ECONFIG,
			     "the key was \"%.*s\" at the checkpoint, and is \"%.*s\": " ADVICE,
			     (int)was->len, was->data ? was->data : "", (int)now.len,
			     now.data ? now.data : "");
	fl_buf_release(&now);
	return rc;
}

/* What the section says, until all of it is known. */
struct found {
	struct fl_window_spec spec;
	int64_t updates;
	struct fl_buf engine, keys, parts;
	bool has_parts;
};

static int
take(struct found *f, struct fl_window_saved *to, const struct fl_state_entry *e,
     struct fl_err *err)
{
	int64_t number[9], v;

	if (fl_state_is(e, "engine"))
		fl_buf_put(&f->engine, e->value, e->value_len);
	else if (fl_state_is(e, "keys"))
		fl_buf_put(&f->keys, e->value, e->value_len);
	else if (fl_state_is(e, "aggregates"))
		fl_buf_put(&f->parts, e->value, e->value_len);
	if (fl_state_is(e, "engine") || fl_state_is(e, "keys") || fl_state_is(e, "aggregates")) {
		f->has_parts = f->has_parts || fl_state_is(e, "aggregates");
		return 0;
	}
	if (fl_state_int(e, &v, err) < 0)
		return err->code;
	numbers_of(&f->spec, number);
	for (size_t i = 0; i < FL_ARRAY_LEN(number); i++)
		number[i] = fl_state_is(e, number_name[i]) ? v : number[i];
	f->spec.kind = (enum fl_window_kind)number[0];
	f->spec.size = number[1];
	f->spec.slide = number[2];
	f->spec.offset = number[3];
	f->spec.trigger = (enum fl_trigger_kind)number[4];
	f->spec.trigger_arg = number[5];
	f->spec.purge = number[6] != 0;
	f->spec.keep_count = number[7];
	f->spec.keep_time = number[8];
	if (fl_state_is(e, "processing_time"))
		f->spec.processing_time = v != 0;
	else if (fl_state_is(e, "updates"))
		f->updates = v;
	else if (fl_state_is(e, "watermark"))
		to->wm_ms = v;
	else if (fl_state_is(e, "next_record"))
		to->seq = (uint64_t)v;
	else if (fl_state_is(e, "timer"))
		to->timer_ms = v;
	else if (fl_state_is(e, "entries"))
		to->entries = (uint64_t)v;
	else if (fl_state_is(e, "lateness"))
		to->lateness = v;
	else if (fl_state_is(e, "whole"))
		to->whole = v != 0;
	return 0;
}

static int
check_found(const struct found *f, const struct fl_window_saved *now, const struct fl_header *in,
	    bool has_aggs, struct fl_err *err)
{
	if (check_windows(&now->spec, &f->spec, err) < 0 || check_keys(in, &f->keys, err) < 0)
		return err->code;
	if (f->updates != now->updates)
		return fl_fail(
			err, FL_ECONFIG, "--updates was %s at the checkpoint, and is %s: " ADVICE,
			f->updates ? "given" : "not given", now->updates ? "given" : "not given");
	if (f->engine.len != strlen(now->engine) ||
	    memcmp(f->engine.data, now->engine, f->engine.len) != 0 || f->has_parts != has_aggs)
		return fl_fail(err, FL_ECONFIG,
			       "the state is of another computation (%.*s, not %s): " ADVICE,
			       (int)f->engine.len, f->engine.data ? f->engine.data : "",
			       now->engine);
	return 0;
}

int
fl_window_load(struct fl_load *l, struct fl_window_saved *want, const struct fl_header *in,
	       struct fl_aggs *aggs, struct fl_err *err)
{
	struct found f = { 0 };
	struct fl_state_entry e;
	int rc = fl_window_section(l, SECTION, err);

	want->loader = NULL;
	while (rc == 0 && (rc = fl_load_entry(l, &e, err)) > 0)
		rc = take(&f, want, &e, err);
	if (rc == 0)
		rc = check_found(&f, want, in, aggs != NULL, err);
	if (rc == 0 && aggs) {
		want->loader = fl_aggs_loader_new(aggs, f.parts.data ? f.parts.data : "",
						  f.parts.len, err);
		rc = want->loader ? 0 : err->code;
	}
	fl_buf_release(&f.engine);
	fl_buf_release(&f.keys);
	fl_buf_release(&f.parts);
	return rc;
}

int
fl_window_section(struct fl_load *l, const char *name, struct fl_err *err)
{
	struct fl_state_section s;
	int rc = fl_load_section(l, &s, err);

	if (rc < 0)
		return rc;
	if (rc == 0)
		return fl_load_damaged(l, "a section is missing", err);
	return strcmp(s.name, name) == 0 && s.version == VERSION ? 0 : fl_load_unknown(l, &s, err);
}

int
fl_window_load_state(struct fl_load *l, const struct fl_window_saved *w, const char *name,
		     struct fl_spill *spill, struct fl_err *err)
{
	struct fl_state_section s;
	int rc = fl_load_section(l, &s, err);

	if (rc <= 0)
		return rc < 0 ? rc : fl_load_damaged(l, "a section is missing", err);
	if (strcmp(s.name, name) == 0 && s.version <= FL_WINDOW_FLAT_VERSION)
		return 0;
	if (strcmp(s.name, FL_STATEFILES_SECTION) == 0 && fl_spill_on_disk(spill) && w->loader &&
	    !fl_aggs_loader_same(w->loader))
		return fl_fail(
			err, FL_ECONFIG,
			"with --backend rocksdb the aggregates must be those of the checkpoint, "
			"in the same order: give them as they were, or another --uid");
	rc = fl_spill_load(spill, l, &s, err);
	return rc ? rc : fl_load_unknown(l, &s, err);
}

/* ---- sections of entries --------------------------------------------------------------- */

static void
say(const struct fl_header *in, const struct fl_aggs *aggs, bool retract, const char *ns,
    const char *layout, size_t acc_at, struct fl_buf *out)
{
	uint32_t n = aggs ? (uint32_t)fl_aggs_count(aggs) : 0;
	char **definition = fl_xcalloc(n + 1, sizeof *definition);
	struct fl_buf text = { 0 };

	for (uint32_t i = 0; i < n; i++) {
		fl_buf_clear(&text);
		fl_aggs_definition(aggs, i, &text);
		definition[i] = fl_xstrndup(text.data, text.len);
	}
	fl_state_say(&(struct fl_state_says){ .header = in,
					      .ns = ns,
					      .value = aggs ? "aggregates" : "row",
					      .layout = layout,
					      .aggregates = definition,
					      .aggregate_count = n,
					      .changelog = retract,
					      .flat = acc_at },
		     out);
	for (uint32_t i = 0; i < n; i++)
		free(definition[i]);
	free(definition);
	fl_buf_release(&text);
}

void
fl_window_about(const struct fl_header *in, const struct fl_aggs *aggs, bool retract,
		const char *ns, const char *layout, struct fl_buf *out)
{
	say(in, aggs, retract, ns, layout, 0, out);
}

static void
save_section(struct fl_save *s, const char *name, uint32_t version, const struct fl_header *in,
	     const struct fl_aggs *aggs, bool by_window, size_t acc_at)
{
	struct fl_buf about = { 0 };

	say(in, aggs, in->changelog, by_window ? "window" : "", NULL, acc_at, &about);
	fl_save_section(s, name, version, about.data);
	fl_buf_release(&about);
}

void
fl_window_save_section(struct fl_save *s, const char *name, const struct fl_header *in,
		       const struct fl_aggs *aggs, bool by_window)
{
	save_section(s, name, VERSION, in, aggs, by_window, 0);
}

void
fl_window_save_flat_section(struct fl_save *s, const char *name, const struct fl_header *in,
			    const struct fl_aggs *aggs, bool by_window, size_t acc_at)
{
	save_section(s, name, FL_WINDOW_FLAT_VERSION, in, aggs, by_window, acc_at);
}

/* ---- flat entries ---------------------------------------------------------------------- */

/* What is in a file, and what is in memory: the hash is of this run only. */
#define SAME_PLACE(flat, entry) \
	(offsetof(struct fl_state_flat, flat) == offsetof(struct fl_entry, entry))
_Static_assert(SAME_PLACE(seq, seq) && SAME_PLACE(zero, hash) && SAME_PLACE(key_len, len) &&
		       SAME_PLACE(key, in) && SAME_PLACE(tags, tags) &&
		       SAME_PLACE(zero_byte, deleted) && SAME_PLACE(flags, flags) &&
		       sizeof(struct fl_state_flat) == offsetof(struct fl_entry, value),
	       "a flat entry is that of a table");

bool
fl_window_all_flat(const struct fl_table *t, const struct fl_aggs *aggs)
{
	return t->long_keys == 0 && t->live == t->count && fl_aggs_all_flat(aggs);
}

/* n entries of a table from number i on; they need not lie one behind the other. */
static void
copy_entries(char *to, const struct fl_table *t, uint32_t i, uint32_t n)
{
	char *at = to;

	for (uint32_t got; n; n -= got, i += got) {
		const struct fl_entry *e = fl_table_run(t, i, &got);

		got = got < n ? got : n;
		memcpy(at, e, got * t->entry_size);
		at += got * t->entry_size;
	}
	for (; to < at; to += t->entry_size)
		memset(to + offsetof(struct fl_state_flat, zero), 0, sizeof(uint32_t));
}

static void
copy_table(struct fl_save *s, const struct fl_window *ns, const struct fl_table *t)
{
	uint32_t size = (uint32_t)t->entry_size, room = fl_save_flat_room(size);

	for (uint32_t i = 0, n; i < t->count; i += n) {
		char *to;

		n = t->count - i < room ? t->count - i : room;
		to = fl_save_flat(s, ns, ns ? sizeof *ns : 0, size, n, 0);
		if (!to)
			return;
		copy_entries(to, t, i, n);
	}
}

/* These entries, and their long keys, as a block. */
static void
copy_chosen(struct fl_save *s, const struct fl_window *ns, const struct fl_table *t,
	    struct fl_buf *chosen, size_t keys_len)
{
	const struct fl_entry *const *e = (const struct fl_entry *const *)(void *)chosen->data;
	uint32_t n = (uint32_t)(chosen->len / sizeof(struct fl_entry *));
	char *to, *keys;

	if (n == 0)
		return;
	to = fl_save_flat(s, ns, ns ? sizeof *ns : 0, (uint32_t)t->entry_size, n, keys_len);
	keys = to + n * t->entry_size;
	for (uint32_t i = 0; i < n && to; i++, to += t->entry_size) {
		struct fl_state_flat *flat = (struct fl_state_flat *)(void *)to;

		memcpy(to, e[i], t->entry_size);
		memset((char *)flat + offsetof(struct fl_state_flat, zero), 0, sizeof flat->zero);
		if (!fl_key_is_long(e[i]->len))
			continue;
		memset(to + offsetof(struct fl_state_flat, key), 0, sizeof flat->key);
		memcpy(keys, e[i]->out.p, e[i]->len);
		keys += e[i]->len;
	}
	fl_buf_clear(chosen);
}

void
fl_window_save_flat(struct fl_save *s, const struct fl_window *ns, const struct fl_table *t,
		    const struct fl_aggs *aggs, size_t acc_at, struct fl_buf *ret_rest)
{
	uint32_t room = fl_save_flat_room((uint32_t)t->entry_size), n = 0;
	bool never = fl_aggs_never_flat(aggs), all = fl_aggs_all_flat(aggs);
	struct fl_buf chosen = { 0 };
	size_t keys_len = 0;

	if (fl_window_all_flat(t, aggs)) {
		copy_table(s, ns, t);
		return;
	}
	for (uint32_t i = 0; i < t->count; i++) {
		const struct fl_entry *e = fl_table_at(t, i);

		if (e->deleted)
			continue;
		if (never || !(all || fl_aggs_is_flat(aggs, e->value + acc_at))) {
			fl_buf_put(ret_rest, &e, sizeof e);
			continue;
		}
		fl_buf_put(&chosen, &e, sizeof e);
		keys_len += fl_key_is_long(e->len) ? e->len : 0;
		if (++n < room && keys_len < KEYS_BYTES)
			continue;
		copy_chosen(s, ns, t, &chosen, keys_len);
		n = 0;
		keys_len = 0;
	}
	copy_chosen(s, ns, t, &chosen, keys_len);
	fl_buf_release(&chosen);
}

int
fl_window_check_flat(const struct fl_window_entries *b, const struct fl_aggs_loader *loader,
		     size_t acc_at, struct fl_load *l, struct fl_err *err)
{
	size_t size = fl_aggs_loader_flat_size(loader);

	/* all are of one block, and so of one size */
	if (size == SIZE_MAX || (size_t)b->value_len[0] < acc_at || b->value_len[0] - acc_at < size)
		return fl_load_damaged(l, "an accumulator", err);
	return 0;
}

uint32_t
fl_window_flat_size(const struct fl_table *t, const struct fl_aggs_loader *loader)
{
	bool same = fl_aggs_loader_same(loader) && fl_aggs_loader_flat_size(loader) != SIZE_MAX;

	return same ? (uint32_t)t->entry_size : 0;
}

/* ---- other entries --------------------------------------------------------------------- */

void
fl_window_put_acc(struct fl_buf *value, const struct fl_aggs *aggs, const void *acc)
{
	size_t at = value->len;
	uint32_t n = 0;

	fl_buf_put(value, &n, sizeof n);
	if (aggs)
		fl_aggs_save(aggs, acc, value);
	n = (uint32_t)(value->len - at - sizeof n);
	memcpy(value->data + at, &n, sizeof n);
}

bool
fl_window_split(const char *value, uint32_t n, size_t extra, const char **ret_acc,
		uint32_t *ret_acc_len, const char **ret_extra, uint32_t *ret_extra_len)
{
	uint32_t len;

	if (n < sizeof len)
		return false;
	memcpy(&len, value, sizeof len);
	n -= (uint32_t)sizeof len;
	if (len > n || n - len < extra)
		return false;
	*ret_acc = value + sizeof len;
	*ret_acc_len = len;
	*ret_extra = *ret_acc + len;
	*ret_extra_len = n - len;
	return true;
}

void
fl_window_save_entry(struct fl_save *s, const struct fl_window *ns, const struct fl_entry *e,
		     const struct fl_buf *value)
{
	struct fl_key key = fl_entry_key(e);
	int64_t bounds[2] = { ns ? ns->start : 0, ns ? ns->end : 0 };
	struct fl_state_entry entry = {
		.ns = (const char *)bounds,
		.ns_len = ns ? sizeof bounds : 0,
		.key = key.p,
		.key_len = key.len == FL_KEY_NULL ? FL_STATE_NULL_KEY : key.len,
		.key_tags = key.tags,
		.value = value->data,
		.value_len = (uint32_t)value->len,
	};

	fl_save_entry(s, &entry);
}

/* ---- many entries at once ----------------------------------------------------------------- */

_Static_assert(FL_STATE_NULL_KEY == FL_KEY_NULL, "a key that is NULL");

/* False: it has no key of so many columns. */
static bool
add_entry(struct fl_window_entries *b, const struct fl_state_entry *e, const struct fl_keys *keys)
{
	struct fl_key *key = &b->key[b->n];

	memcpy(&b->ns[b->n], e->ns, e->ns_len);
	*key = (struct fl_key){ .p = e->key, .len = e->key_len, .tags = e->key_tags };
	key->hash = fl_key_hash(keys, key);
	b->value[b->n] = e->value;
	b->value_len[b->n] = e->value_len;
	b->are_flat = e->is_flat;
	b->seq[b->n] = e->seq;
	b->flags[b->n++] = e->flags;
	return fl_key_check(key, b->key_count);
}

/* Those that come next, as they lie: 1, 0 if they cannot be taken so. */
static int
load_flats(struct fl_window_entries *b, struct fl_load *l, size_t ns_len, struct fl_err *err)
{
	struct fl_state_flats f;
	int rc = fl_load_flats(l, b->flat_size, FL_WINDOW_LOAD_BATCH, &f, err);

	if (rc <= 0)
		return rc;
	if (f.ns_len != ns_len)
		return fl_load_damaged(l, "the bounds of a window", err);
	memcpy(&b->ns[0], f.ns, ns_len);
	b->are_flat = true;
	b->flat = f.entries;
	b->n = f.n;
	return 1;
}

int
fl_window_load_entries(struct fl_window_entries *b, struct fl_load *l, bool by_window,
		       const struct fl_keys *keys, struct fl_err *err)
{
	size_t ns_len = by_window ? sizeof b->ns[0] : 0;
	struct fl_state_entry e;
	int rc = 0;

	b->n = 0;
	b->flat = NULL;
	if (b->flat_size && !b->holds)
		rc = load_flats(b, l, ns_len, err);
	if (rc)
		return rc;
	rc = 1;
	while (b->n < FL_WINDOW_LOAD_BATCH) {
		if (b->holds)
			e = b->held;
		else if (b->n && fl_load_block_ends(l)) /* what there is would go */
			break;
		else
			rc = fl_load_entry(l, &e, err);
		b->holds = false;
		if (rc <= 0)
			break;
		if (e.ns_len != ns_len)
			return fl_load_damaged(l, "the bounds of a window", err);
		if (b->one_ns && b->n && memcmp(&b->ns[0], e.ns, ns_len) != 0) {
			b->held = e;
			b->holds = true;
			break;
		}
		if (!add_entry(b, &e, keys))
			return fl_load_damaged(l, "a key", err);
	}
	return rc < 0 ? rc : b->n > 0;
}
