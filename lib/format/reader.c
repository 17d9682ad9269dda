/* SPDX-License-Identifier: Apache-2.0 */
#include "format/reader.h"

#include "base/mem.h"
#include "format/formats.h"

const struct fl_reader_type *
fl_reader_type(const char *name)
{
	static const struct fl_reader_type *const types[] = {
		&fl_csv_reader,    &fl_tsv_reader,       &fl_jsonl_reader,
		&fl_clf_reader,    &fl_logfmt_reader,    &fl_syslog_reader,
		&fl_regex_reader,  &fl_logformat_reader, &fl_text_reader,
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

const char *
fl_reader_time_column(const struct fl_reader *r)
{
	return r->time_column ? r->time_column : r->type->time_column;
}

const char *
fl_reader_time_format(const struct fl_reader *r)
{
	return r->time_column ? r->time_format : r->type->time_format;
}

#define STANDING_BYTES 16u /* uint64_t line, uint32_t width, uint32_t 1 at a file's start */

void
fl_reader_save(const struct fl_reader *r, struct fl_buf *out)
{
	uint32_t start = r->file_start;

	fl_buf_put(out, &r->line, sizeof r->line);
	fl_buf_put(out, &r->width, sizeof r->width);
	fl_buf_put(out, &start, sizeof start);
}

int
fl_reader_restore(struct fl_reader *r, const struct fl_header *columns, const char *p, size_t n,
		  struct fl_err *err)
{
	const struct fl_header *own = fl_reader_columns(r);
	uint32_t start;

	if (n != STANDING_BYTES)
		return fl_fail(err, FL_EDATA, "the state of a reader is damaged");
	for (uint32_t i = 0; i < columns->column_count; i++) {
		const struct fl_column *c = &columns->columns[i];

		if (i == own->column_count && r->type->add_column &&
		    r->type->add_column(r, c->name, c->name_len, err) < 0)
			return err->code;
		if (i >= own->column_count || c->name_len != own->columns[i].name_len ||
		    memcmp(c->name, own->columns[i].name, c->name_len) != 0)
			return fl_fail(err, FL_ECONFIG,
				       "column %u of the text was \"%s\" at the checkpoint, and is "
				       "another now",
				       i + 1, c->name);
	}
	memcpy(&r->line, p, sizeof r->line);
	memcpy(&r->width, p + 8, sizeof r->width);
	memcpy(&start, p + 12, sizeof start);
	r->file_start = start != 0;
	return 0;
}
