/* SPDX-License-Identifier: Apache-2.0 */
#include "format/writer.h"

#include "base/mem.h"
#include "format/formats.h"

const struct fl_writer_type *
fl_writer_type(const char *name)
{
	static const struct fl_writer_type *const types[] = {
		&fl_csv_writer,
		&fl_tsv_writer,
		&fl_jsonl_writer,
		&fl_logfmt_writer,
		&fl_markdown_writer,
		&fl_pprint_writer,
		&fl_xtab_writer,
	};

	for (size_t i = 0; i < FL_ARRAY_LEN(types); i++)
		if (strcmp(types[i]->name, name) == 0)
			return types[i];
	return NULL;
}

/* How every writer begins. */
struct fl_writer {
	const struct fl_writer_type *type;
};

struct fl_writer *
fl_writer_new(const struct fl_writer_type *type, const struct fl_writer_options *o,
	      struct fl_err *err)
{
	return type->create(o, err);
}

void
fl_writer_free(struct fl_writer *w)
{
	if (w)
		w->type->destroy(w);
}

int
fl_writer_write(struct fl_writer *w, const struct fl_header *h, const struct fl_batch *b,
		struct fl_buf *out, struct fl_err *err)
{
	return w->type->write(w, h, b, out, err);
}

int
fl_writer_end(struct fl_writer *w, const struct fl_header *h, struct fl_buf *out,
	      struct fl_err *err)
{
	return w->type->end(w, h, out, err);
}
