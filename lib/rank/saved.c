/* SPDX-License-Identifier: Apache-2.0 */
#include "rank/saved.h"

#include "checkpoint/about.h"
#include "stream/row.h"

static void
begin_section(struct fl_save *s, const char *name, const struct fl_state_says *says)
{
	struct fl_buf about = { 0 };

	fl_state_say(says, &about);
	fl_save_section(s, name, 1, about.data);
	fl_buf_release(&about);
}

void
fl_saved_section(struct fl_save *s, const char *name, const struct fl_header *in,
		 const char *layout, bool whole_rows)
{
	begin_section(s, name,
		      &(struct fl_state_says){
			      .header = in, .layout = layout, .whole_rows = whole_rows });
}

void
fl_saved_pending(struct fl_save *s, const struct fl_header *in, bool whole_rows)
{
	begin_section(
		s, "pending",
		&(struct fl_state_says){ .header = in,
					 .side = "pending",
					 .layout = in->time ? FL_SAVED_ROW : FL_SAVED_ROW_UNTIMED,
					 .whole_rows = whole_rows });
}

void
fl_saved_put_row(struct fl_buf *to, const struct fl_item *item)
{
	fl_buf_put(to, &item->seq, sizeof item->seq);
	fl_buf_put(to, &item->time, sizeof item->time);
	fl_buf_put(to, fl_item_row(item), item->row_len);
}

void
fl_saved_put_sized(struct fl_buf *to, const struct fl_item *item)
{
	uint32_t n = (uint32_t)(sizeof item->seq + sizeof item->time) + item->row_len;

	fl_buf_put(to, &n, sizeof n);
	fl_saved_put_row(to, item);
}

struct fl_item *
fl_saved_get_row(struct fl_items *mem, const char *p, const char *end, struct fl_err *err)
{
	struct fl_sortkey none = { 0 };
	uint64_t seq;
	int64_t time;

	if (!fl_take_bytes(&p, end, &seq, sizeof seq) ||
	    !fl_take_bytes(&p, end, &time, sizeof time)) {
		(void)fl_fail(err, FL_EDATA, "a row that was kept is damaged");
		return NULL;
	}
	if (fl_row_check(p, (size_t)(end - p), err) < 0)
		return NULL;
	return fl_item_new_linked(mem, seq, time, &none, 0, p, (size_t)(end - p));
}

struct fl_item *
fl_saved_get_sized(struct fl_items *mem, const char **p, const char *end, struct fl_err *err)
{
	struct fl_item *item;
	uint32_t n;

	if (!fl_take_bytes(p, end, &n, sizeof n) || (size_t)(end - *p) < n) {
		(void)fl_fail(err, FL_EDATA, "the rows that were kept of a key are damaged");
		return NULL;
	}
	item = fl_saved_get_row(mem, *p, *p + n, err);
	*p += n;
	return item;
}

void
fl_saved_entry(struct fl_save *s, const struct fl_entry *e, const struct fl_buf *value)
{
	struct fl_state_entry out = { .ns = "",
				      .value = value->data,
				      .value_len = (uint32_t)value->len };

	fl_groupkeys_save(e, &out);
	fl_save_entry(s, &out);
}

/* ---- loading ---- */

static int
load_section(const struct fl_saved_loader *loader, void *self, struct fl_spill *spill,
	     struct fl_load *l, const struct fl_state_section *section, struct fl_err *err)
{
	bool keys = strcmp(section->name, "keys") == 0;
	bool pending = strcmp(section->name, "pending") == 0;
	struct fl_state_entry e;
	int rc = 0;

	if ((!keys && !pending && strcmp(section->name, loader->numbers) != 0) ||
	    section->version != 1)
		return fl_load_unknown(l, section, err);
	while (rc == 0 && (rc = fl_load_entry(l, &e, err)) > 0) {
		rc = keys      ? loader->key(self, l, &e, err)
		     : pending ? loader->pending(self, l, &e, err)
			       : loader->number(self, &e, err);
		if (rc == 0)
			rc = fl_spill_trim(spill, err);
	}
	return rc;
}

int
fl_saved_load(const struct fl_saved_loader *loader, void *self, struct fl_spill *spill,
	      struct fl_load *l, struct fl_err *err)
{
	struct fl_state_section section;
	int more, rc;

	while ((more = fl_load_section(l, &section, err)) > 0) {
		rc = fl_spill_load(spill, l, &section, err);
		if (rc == 0)
			rc = load_section(loader, self, spill, l, &section, err);
		if (rc < 0)
			return rc;
	}
	return more;
}
