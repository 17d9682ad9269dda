/* SPDX-License-Identifier: Apache-2.0 */
#include "format/reader.h"

#include "base/mem.h"
#include "format/formats.h"

const struct fl_reader_type *
fl_reader_type(const char *name)
{
	static const struct fl_reader_type *const types[] = {
		&fl_csv_reader,    &fl_tsv_reader,   &fl_jsonl_reader, &fl_clf_reader,
		&fl_logfmt_reader, &fl_regex_reader, &fl_text_reader,
	};

	for (size_t i = 0; i < FL_ARRAY_LEN(types); i++)
		if (strcmp(types[i]->name, name) == 0)
			return types[i];
	return NULL;
}

struct fl_reader *
fl_reader_new(const struct fl_reader_type *type, const struct fl_reader_options *o,
	      struct fl_err *err)
{
	return type->create(o, err);
}

void
fl_reader_free(struct fl_reader *r)
{
	if (r)
		r->type->destroy(r);
}

void
fl_reader_file(struct fl_reader *r)
{
	r->type->file(r);
}

int
fl_reader_read(struct fl_reader *r, const char *p, size_t n, bool at_end,
	       struct fl_read_result *ret, struct fl_err *err)
{
	return r->type->read(r, p, n, at_end, ret, err);
}

const struct fl_header *
fl_reader_columns(const struct fl_reader *r)
{
	return r->type->columns(r);
}

uint64_t
fl_reader_line(const struct fl_reader *r)
{
	return r->line;
}
