/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OVER in checkpoints.
 *
 * Sections, version 1
 *	"over"     by name: numbers "seq", "agg-seq", "watermark"; text "definitions": frame
 *	           and definitions, which must be the same
 *	"keys"     an entry a key: struct fixed, its rows as length (u32) and row, the saved
 *	           accumulator
 *	"pending"  an entry a row whose turn has not come: its key, and the row
 * A row: u64 arrival, i64 time, the packed row.
 */
#include <stdlib.h>

#include "rank/over.h"
#include "stream/row.h"

/* What is said of a key, little-endian. */
struct fixed {
	uint64_t seq; /* arrival of the key */
	int64_t last_ms, shown_ms;
	uint64_t number, rank, dense;
	uint32_t count, frame, shown, added;
};

static void
put_row(struct fl_buf *value, const struct fl_item *item)
{
	fl_buf_put(value, &item->seq, sizeof item->seq);
	fl_buf_put(value, &item->time, sizeof item->time);
	fl_buf_put(value, fl_item_row(item), item->row_len);
}

static void
save_entry(struct fl_save *s, const struct fl_entry *e, const struct fl_buf *value)
{
	struct fl_state_entry out = { .ns = "",
				      .value = value->data,
				      .value_len = (uint32_t)value->len };

	fl_groupkeys_save(e, &out);
	fl_save_entry(s, &out);
}

static void
save_key(const struct fl_over *o, struct fl_save *s, struct fl_entry *e, struct fl_buf *value)
{
	const struct fl_over_key *k = fl__over_key(e);
	struct fixed f = { .seq = e->seq,
			   .last_ms = k->last_ms,
			   .shown_ms = k->shown_ms,
			   .number = k->number,
			   .rank = k->rank,
			   .dense = k->dense,
			   .count = k->count,
			   .frame = k->frame,
			   .shown = k->shown,
			   .added = k->added };

	fl_buf_clear(value);
	fl_buf_put(value, &f, sizeof f);
	for (uint32_t i = 0; i < k->count; i++) {
		const struct fl_item *item = *fl__over_at(k, i);
		uint32_t n = (uint32_t)(sizeof item->seq + sizeof item->time) + item->row_len;

		fl_buf_put(value, &n, sizeof n);
		put_row(value, item);
	}
	if (o->aggs)
		fl_aggs_save(o->aggs, fl__over_acc(e), value);
	save_entry(s, e, value);
}

/* Frame and definitions, as text. */
static void
describe(const struct fl_over *o, struct fl_buf *to)
{
	fl_buf_printf(to, "%s %lld:", o->spec.frame == FL_OVER_ROWS ? "rows" : "range",
		      (long long)o->spec.before);
	for (uint32_t i = 0; i < o->def_count; i++)
		fl_buf_printf(to, " %s", o->def[i].text);
}

void
fl_over_snapshot(const struct fl_over *o, struct fl_save *s)
{
	struct fl_buf value = { 0 };

	fl_save_section(s, "over", 1, NULL);
	fl_save_int(s, "seq", (int64_t)o->seq);
	fl_save_int(s, "agg-seq", (int64_t)o->agg_seq);
	fl_save_int(s, "watermark", o->wm_ms);
	describe(o, &value);
	fl_save_bytes(s, "definitions", value.data, value.len);
	fl_save_section(s, "keys", 1, "{\"value\":\"bytes\"}");
	for (uint32_t i = 0; i < o->table.count; i++) {
		struct fl_entry *e = fl_table_at(&o->table, i);

		if (e->flags & FL__OVER_INIT)
			save_key(o, s, e, &value);
	}
	fl_save_section(s, "pending", 1, "{\"value\":\"bytes\"}");
	for (size_t i = 0; i < fl_dues_count(&o->dues); i++) {
		fl_buf_clear(&value);
		put_row(&value, fl_dues_at(&o->dues, i)->item);
		save_entry(s, fl_dues_at(&o->dues, i)->entry, &value);
	}
	fl_buf_release(&value);
}

size_t
fl_over_bytes(const struct fl_over *o)
{
	return o->budget.used + fl_items_bytes(&o->mem) +
	       (o->aggs ? fl_aggs_extra_bytes(o->aggs) : 0);
}

/* ---- reading ---------------------------------------------------- */

/* A row up to end; NULL with *err. */
static struct fl_item *
load_row(struct fl_over *o, struct fl_load *l, const char *p, const char *end, struct fl_err *err)
{
	struct fl_sortkey none = { 0 };
	uint64_t seq;
	int64_t time;

	if (!fl_take_bytes(&p, end, &seq, sizeof seq) ||
	    !fl_take_bytes(&p, end, &time, sizeof time)) {
		(void)fl_load_damaged(l, "a row", err);
		return NULL;
	}
	if (fl_row_check(p, (size_t)(end - p), err) < 0)
		return NULL;
	return fl_item_new_linked(&o->mem, seq, time, &none, 0, p, (size_t)(end - p));
}

static int
load_rows(struct fl_over *o, struct fl_load *l, struct fl_over_key *k, uint32_t count,
	  const char **p, const char *end, struct fl_err *err)
{
	for (uint32_t i = 0; i < count; i++) {
		struct fl_item *item;
		uint32_t n;

		if (!fl_take_bytes(p, end, &n, sizeof n) || (size_t)(end - *p) < n)
			return fl_load_damaged(l, "the rows of a key", err);
		item = load_row(o, l, *p, *p + n, err);
		if (!item)
			return err->code;
		fl__over_append(o, k, item);
		*p += n;
	}
	return 0;
}

static int
load_key(struct fl_over *o, struct fl_load *l, const struct fl_state_entry *in, struct fl_err *err)
{
	struct fl_key key = fl_groupkeys_loaded(&o->keys, in);
	const char *p = in->value, *end = p + in->value_len;
	struct fl_over_key *k;
	struct fl_entry *e;
	struct fixed f;

	if (!fl_take_bytes(&p, end, &f, sizeof f) || f.frame > f.shown || f.shown > f.added ||
	    f.added > f.count)
		return fl_load_damaged(l, "a key", err);
	if (fl_table_put(&o->table, &key, NULL, 1, f.seq, &e, NULL, err) < 0)
		return err->code;
	if (e->flags & FL__OVER_INIT)
		return fl_load_damaged(l, "a key that comes twice", err);
	fl__over_init_key(o, e);
	k = fl__over_key(e);
	k->last_ms = f.last_ms;
	k->shown_ms = f.shown_ms;
	k->number = f.number;
	k->rank = f.rank;
	k->dense = f.dense;
	if (load_rows(o, l, k, f.count, &p, end, err) < 0)
		return err->code;
	k->frame = f.frame;
	k->shown = f.shown;
	k->added = f.added;
	if (!o->aggs)
		return p == end ? 0 : fl_load_damaged(l, "a key", err);
	return fl_aggs_load(o->aggs, fl__over_acc(e), p, (size_t)(end - p), err);
}

static int
load_pending(struct fl_over *o, struct fl_load *l, const struct fl_state_entry *in,
	     struct fl_err *err)
{
	struct fl_key key = fl_groupkeys_loaded(&o->keys, in);
	struct fl_item *item = load_row(o, l, in->value, in->value + in->value_len, err);
	struct fl_due due = { .item = item };

	if (!item)
		return err->code;
	due.time = item->time;
	due.seq = item->seq;
	if (fl_table_put(&o->table, &key, NULL, 1, item->seq, &due.entry, NULL, err) < 0) {
		fl_item_free(&o->mem, item);
		return err->code;
	}
	fl__over_init_key(o, due.entry);
	fl_dues_push(&o->dues, &due);
	return 0;
}

static int
load_number(struct fl_over *o, const struct fl_state_entry *e, struct fl_err *err)
{
	struct fl_buf now = { 0 };
	int64_t v;
	int rc = 0;

	if (fl_state_is(e, "definitions")) {
		describe(o, &now);
		if (e->value_len != now.len || memcmp(e->value, now.data, now.len) != 0)
			rc = fl_fail(err, FL_ECONFIG, "the checkpoint is of %.*s, not of %.*s",
				     (int)(e->value_len < 300 ? e->value_len : 300), e->value,
				     (int)(now.len < 300 ? now.len : 300), now.data);
		fl_buf_release(&now);
		return rc;
	}
	if (fl_state_int(e, &v, err) < 0)
		return err->code;
	if (fl_state_is(e, "seq"))
		o->seq = (uint64_t)v;
	else if (fl_state_is(e, "agg-seq"))
		o->agg_seq = (uint64_t)v;
	else if (fl_state_is(e, "watermark"))
		o->wm_ms = v;
	return 0;
}

int
fl_over_restore(struct fl_over *o, struct fl_load *l, struct fl_err *err)
{
	struct fl_state_section section;
	struct fl_state_entry e;
	int more, rc = 0;

	while ((more = fl_load_section(l, &section, err)) > 0) {
		bool keys = strcmp(section.name, "keys") == 0;
		bool pending = strcmp(section.name, "pending") == 0;

		if ((!keys && !pending && strcmp(section.name, "over") != 0) ||
		    section.version != 1)
			return fl_load_unknown(l, &section, err);
		while (rc == 0 && (rc = fl_load_entry(l, &e, err)) > 0)
			rc = keys      ? load_key(o, l, &e, err)
			     : pending ? load_pending(o, l, &e, err)
				       : load_number(o, &e, err);
		if (rc < 0)
			return rc;
	}
	return more;
}
