/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: a state that somebody else has written, as fcheckpoint show prints it and
 * diff compares it: what sections say of themselves (checkpoint/about.h), layouts, and
 * values that are not of them. Checksums are made right before: nothing behind them would
 * be reached else.
 *
 * Each row must be one that can be printed, and the rows of an entry have no more bytes
 * than its value.
 */
#include <stdlib.h>

#include "../../tools/checkpoint/people.h"
#include "reseal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct printing {
	struct fc_table table;
	struct fl_buf text;
	uint64_t bytes; /* of the rows of the entry in hand */
};

static int
take_row(void *ctx, struct fc_entries *x, const struct fc_shown *shown, struct fl_err *err)
{
	struct printing *p = ctx;
	uint64_t key[2], value;

	fc_shown_put(x, shown, &p->table, 0);
	fc_shown_identity(x, shown, key, &value);
	p->bytes += shown->bytes;
	fl_build_row(&p->table.build, 0, 0, FL_INSERT);
	fl_buf_clear(&p->text);
	if (fl_writer_write(p->table.writer, &p->table.header, fl_build_view(&p->table.build),
			    &p->text, err) < 0)
		abort();
	fl_build_clear(&p->table.build);
	return 0;
}

static void
show_all(struct fl_load *l, struct fc_entries *x, struct printing *p)
{
	struct fl_state_section section;
	struct fl_state_entry e;
	struct fl_err err = { 0 };

	while (fl_load_section(l, &section, &err) > 0) {
		fc_entries_section(x, &section);
		while (fl_load_entry(l, &e, &err) > 0) {
			struct fc_shown shown = { .entry = &e, .bytes = e.value_len };
			struct fl_bytes parts[2] = { { e.value, e.value_len },
						     { e.value, e.value_len } };

			fc_entries_learn(x, &e);
			p->bytes = 0;
			if (fc_entries_show(x, &shown, &err) < 0 || p->bytes > e.value_len)
				abort();
			/* the same bytes as an accumulator on disk, in two parts */
			shown = (struct fc_shown){ .entry = &e, .parts = parts, .part_count = 2 };
			(void)fc_entries_show(x, &shown, &err);
		}
	}
}

static void
open_table(struct fc_table *t)
{
	static const struct fl_writer_options options = { .separator = ',' };
	static const char *const columns[] = { "section", "namespace", "key", "value" };
	struct fl_err err;

	*t = (struct fc_table){ .fd = -1 };
	fl_header_init(&t->header);
	for (uint32_t i = 0; i < FL_ARRAY_LEN(columns); i++)
		(void)fl_header_add(&t->header, columns[i], strlen(columns[i]), FL_TEXT);
	fl_build_init(&t->build, FL_ARRAY_LEN(columns));
	t->writer = fl_writer_new(fl_writer_type("jsonl"), &options, &err);
	if (!t->writer)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct fc_people people = { .otime = n > 60 ? data[60] & 1 : 0 };
	struct printing p = { .bytes = 0 };
	struct fl_buf text = { 0 };
	struct fc_entries *x;
	struct fl_load *l;
	struct fl_err err;

	fl_buf_put(&text, data, n);
	reseal_snapshot(text.data, text.len);
	l = fl_load_from(text.data, text.len, "fuzz", &err);
	if (l) {
		open_table(&p.table);
		x = fc_entries_new(&people, take_row, &p);
		show_all(l, x, &p);
		fc_entries_free(x);
		fl_writer_free(p.table.writer);
		fl_build_release(&p.table.build);
		fl_header_release(&p.table.header);
		fl_load_close(l);
	}
	fl_buf_release(&p.text);
	fl_buf_release(&text);
	return 0;
}
