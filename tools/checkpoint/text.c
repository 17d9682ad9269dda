/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "run/options.h"

#define LINE_MAX_BYTES FL_MIB(1) /* of the header line that --append finds */

/* Whether the format has columns that stay as the first record has them. */
static bool
has_columns(const struct fc_text *t)
{
	return strcmp(t->sink->format, "csv") == 0 || strcmp(t->sink->format, "tsv") == 0;
}

static bool
is_segments(const struct fc_text *t)
{
	return t->sink->type == &fc_sink_segments;
}

static int
new_writer(struct fc_text *t, bool header_line, const char *columns, struct fl_err *err)
{
	struct fl_writer_options o = t->options;

	o.headerless = !header_line;
	o.columns = columns;
	fl_writer_free(t->writer);
	t->writer = fl_writer_new(fl_writer_type(t->sink->format), &o, err);
	return t->writer ? 0 : err->code;
}

int
fc_text_open(struct fc_text *t, const struct fl_options *opt, const struct fl_zone *zone,
	     struct fc_sink *sink, struct fl_err *err)
{
	bool tty = !opt->output && isatty(STDOUT_FILENO);

	fl_header_init(&t->names);
	t->sink = sink;
	t->given = opt->columns;
	t->options = (struct fl_writer_options){
		.separator = opt->ofs,
		.epoch_ms = opt->otime == 1,
		.zone = zone,
		.color = opt->color == 1 || (opt->color == 0 && tty),
		.escape_controls = tty,
	};
	t->lined = has_columns(t) && !opt->headerless;
	t->check_found = t->lined && sink->regular && sink->base > 0;
	return new_writer(t, t->lined && !t->check_found, t->given, err);
}

void
fc_text_close(struct fc_text *t)
{
	fl_writer_free(t->writer);
	fl_buf_release(&t->out);
	fl_header_release(&t->names);
	free(t->restored);
}

/* ---- columns ---------------------------------------------------------------------------- */

/* The names as --columns has them. */
static char *
columns_text(const struct fl_header *names)
{
	struct fl_buf b = { 0 };
	char *text;

	for (uint32_t i = 0; i < names->column_count; i++) {
		const struct fl_column *c = &names->columns[i];

		fl_buf_puts(&b, i ? ",\"" : "\"");
		for (size_t k = 0; k < c->name_len; k++) {
			if (c->name[k] == '"')
				fl_buf_putc(&b, '"');
			fl_buf_putc(&b, c->name[k]);
		}
		fl_buf_putc(&b, '"');
	}
	text = fl_xstrndup(b.data ? b.data : "", b.len);
	fl_buf_release(&b);
	return text;
}

/* Those that the first record has: what the writer chooses too. */
static void
choose(struct fc_text *t, const struct fl_header *h, const struct fl_batch *b)
{
	for (uint32_t c = 0; c < h->column_count; c++)
		if (fl_tag_of(fl_batch_col(b, c), 0) != FL_TAG_ABSENT)
			(void)fl_header_add(&t->names, h->columns[c].name, h->columns[c].name_len,
					    FL_TEXT);
}

/* The first line of what --append or >> found, without its end; quotes can hold line ends. */
static int
found_line(const struct fc_text *t, struct fl_buf *out, struct fl_err *err)
{
	size_t n = t->sink->base < LINE_MAX_BYTES ? (size_t)t->sink->base : LINE_MAX_BYTES, i = 0;
	char *p = fl_buf_reserve(out, n + 1);
	int64_t got = fc_read_at(t->sink->fd, t->sink->name, 0, p, n, err);
	bool quoted = false;

	if (got < 0)
		return err->code;
	for (; i < (size_t)got && (quoted || p[i] != '\n'); i++)
		quoted = quoted != (p[i] == '"');
	out->len = i > 0 && p[i - 1] == '\r' ? i - 1 : i;
	return 0;
}

/* The header line that would be written, without its end. */
static int
wanted_line(const struct fc_text *t, const struct fl_header *h, struct fl_buf *out,
	    struct fl_err *err)
{
	struct fl_writer_options o = t->options;
	char *columns = t->given ? NULL : columns_text(&t->names);
	struct fl_writer *w;
	int rc;

	o.columns = t->given ? t->given : columns;
	w = fl_writer_new(fl_writer_type(t->sink->format), &o, err);
	rc = w ? fl_writer_end(w, h, out, err) : err->code;
	if (out->len)
		out->len--;
	fl_writer_free(w);
	free(columns);
	return rc;
}

static int
compare_found(struct fc_text *t, const struct fl_header *h, struct fl_err *err)
{
	struct fl_buf found = { 0 }, wanted = { 0 };
	int rc = found_line(t, &found, err);

	if (rc == 0)
		rc = wanted_line(t, h, &wanted, err);
	if (rc == 0 && (found.len != wanted.len || memcmp(found.data, wanted.data, found.len) != 0))
		rc = fl_fail(
			err, FL_ECONFIG,
			"%s begins with the header line \"%.*s\", but these results have \"%.*s\": "
			"they cannot stand in one file",
			t->sink->name, (int)(found.len < 300 ? found.len : 300), found.data,
			(int)(wanted.len < 300 ? wanted.len : 300), wanted.data);
	t->check_found = false;
	fl_buf_release(&found);
	fl_buf_release(&wanted);
	return rc;
}

/* The columns of the restored text and those of the stream now are the same. */
static int
agree(struct fc_text *t, const struct fl_header *h, struct fl_err *err)
{
	bool same = h->column_count == t->names.column_count;
	char *now;

	t->agreed = true;
	if (fl_header_grows(h) || t->given)
		return 0;
	for (uint32_t c = 0; c < h->column_count && same; c++)
		same = fl_header_find(&t->names, h->columns[c].name, h->columns[c].name_len) !=
		       FL_NO_COLUMN;
	if (same)
		return 0;
	now = columns_text(h);
	(void)fl_fail(err, FL_ECONFIG,
		      "%s has the columns %.300s, but the results have %.300s now: write them to "
		      "another file, with another checkpoint directory",
		      t->sink->name, t->restored, now);
	free(now);
	return err->code;
}

static bool
is_there(const struct fl_vec *v, uint32_t rows)
{
	if (!v->tags)
		return v->tag != FL_TAG_ABSENT;
	for (uint32_t i = 0; i < rows; i++)
		if (v->tags[i] != FL_TAG_ABSENT)
			return true;
	return false;
}

/* The writer was told the restored columns; one more is an error, as it was before. */
static int
check_more(const struct fc_text *t, const struct fl_header *h, const struct fl_batch *b,
	   struct fl_err *err)
{
	if (!fl_header_grows(h))
		return 0;
	for (uint32_t c = 0; c < b->cols; c++) {
		const struct fl_column *col = &h->columns[c];

		if (!is_there(&b->col[c], b->rows) ||
		    fl_header_find(&t->names, col->name, col->name_len) != FL_NO_COLUMN)
			continue;
		return fl_fail(
			err, FL_EDATA,
			"a record has the column %.200s, which the first record has not: say "
			"--columns, or write JSONL",
			col->name);
	}
	return 0;
}

/* ---- rows ------------------------------------------------------------------------------- */

/* The next segment begins: a text of its own. */
static int
begin_segment(struct fc_text *t, struct fl_err *err)
{
	fl_header_clear_columns(&t->names);
	free(t->restored);
	t->restored = NULL;
	t->started = false;
	return new_writer(t, t->lined, t->given, err);
}

int
fc_text_put(struct fc_text *t, const struct fl_header *h, const struct fl_batch *b,
	    struct fl_err *err)
{
	if (!b->rows)
		return 0;
	if (is_segments(t) && t->sink->rolled && !t->out.len && begin_segment(t, err) < 0)
		return err->code;
	if (t->restored && ((!t->agreed && agree(t, h, err) < 0) || check_more(t, h, b, err) < 0))
		return err->code;
	if (has_columns(t) && !t->given && !t->names.column_count)
		choose(t, h, b);
	if (t->check_found && compare_found(t, h, err) < 0)
		return err->code;
	t->started = true;
	return fl_writer_write(t->writer, h, b, &t->out, err);
}

int
fc_text_end(struct fc_text *t, const struct fl_header *h, struct fl_err *err)
{
	if (t->restored && !t->agreed && agree(t, h, err) < 0)
		return err->code;
	return t->sink->records ? 0 : fl_writer_end(t->writer, h, &t->out, err);
}

/* ---- state ------------------------------------------------------------------------------ */

void
fc_text_save(const struct fc_text *t, struct fl_save *s)
{
	fl_save_section(s, "text", 1, "{\"value\": \"bytes\"}");
	fl_save_bytes(s, "format", t->sink->format, strlen(t->sink->format));
	if (t->given)
		fl_save_bytes(s, "columns", t->given, strlen(t->given));
	if (t->started)
		fl_save_bytes(s, "started", "1", 1);
	fl_save_section(s, "columns", 1, "{\"value\": \"bytes\"}");
	for (uint32_t i = 0; i < t->names.column_count; i++)
		fl_save_entry(s, &(struct fl_state_entry){
					 .key = t->names.columns[i].name,
					 .key_len = (uint32_t)t->names.columns[i].name_len,
				 });
}

static bool
value_is(const struct fl_state_entry *e, const char *text)
{
	return text && e->value_len == strlen(text) && memcmp(e->value, text, e->value_len) == 0;
}

static int
load_text(struct fc_text *t, struct fl_load *l, struct fl_err *err)
{
	struct fl_state_entry e;
	bool columns = false;
	int rc;

	while ((rc = fl_load_entry(l, &e, err)) > 0) {
		if (fl_state_is(&e, "started"))
			t->started = true;
		if (fl_state_is(&e, "format") && !value_is(&e, t->sink->format))
			return fl_fail(err, FL_ECONFIG,
				       "%s was written as %.*s up to the checkpoint, not as %s",
				       t->sink->name, (int)e.value_len, e.value, t->sink->format);
		if (!fl_state_is(&e, "columns"))
			continue;
		columns = true;
		if (!value_is(&e, t->given))
			return fl_fail(
				err, FL_ECONFIG,
				"%s was written with --columns %.*s up to the checkpoint: say so "
				"again",
				t->sink->name, (int)e.value_len, e.value);
	}
	if (rc == 0 && t->started && t->given && !columns && has_columns(t))
		return fl_fail(err, FL_ECONFIG,
			       "%s was written without --columns up to the checkpoint",
			       t->sink->name);
	return rc;
}

int
fc_text_load(struct fc_text *t, struct fl_load *l, const struct fl_state_section *s,
	     struct fl_err *err)
{
	struct fl_state_entry e;
	int rc;

	if (s->version != 1)
		return fl_load_unknown(l, s, err);
	if (strcmp(s->name, "text") == 0)
		return load_text(t, l, err);
	if (strcmp(s->name, "columns") != 0)
		return fl_load_unknown(l, s, err);
	while ((rc = fl_load_entry(l, &e, err)) > 0) {
		if (e.key_len == FL_STATE_NULL_KEY)
			return fl_load_damaged(l, "the name of a column is missing", err);
		(void)fl_header_add(&t->names, e.key, e.key_len, FL_TEXT);
	}
	return rc;
}

int
fc_text_go_on(struct fc_text *t, struct fl_err *err)
{
	if (!t->started)
		return 0;
	t->check_found = false;
	if (!has_columns(t))
		return 0;
	if (!t->given)
		t->restored = columns_text(&t->names);
	return new_writer(t, false, t->given ? t->given : t->restored, err);
}
