/* SPDX-License-Identifier: Apache-2.0 */
/* fcat: convert between text formats and frames; read and fold a changelog; show frames. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "checkpoint/about.h"
#include "run/op.h"
#include "state/table.h"
#include "time/timestamp.h"

struct fcat {
	bool final;
	bool frames;
	bool changelog;
	/* --changelog: the column op becomes the row kinds */
	struct fl_buf kinds, rows, pool;
	/* --final: the rows of the table, each with how often it is in it */
	uint32_t op_column;   /* of a changelog that came as text, or FL_NO_COLUMN */
	uint32_t *from;       /* outgoing column -> incoming one */
	struct fl_header row; /* the outgoing columns, all of them the key */
	struct fl_keys keys;
	struct fl_budget budget;
	struct fl_table table; /* value: int64_t */
	struct fl_vec *cols;
	uint64_t seq;
	uint64_t vacant; /* arrival number of the row that -U took away; 0: none */
	/* --frames */
	struct fl_build build;
};

/* ---- the changelog's table ---------------------------------------------------------- */

static int
open_final(struct fcat *f, struct fl_run *run, struct fl_err *err)
{
	const struct fl_header *in = fl_run_header(run, 0);
	struct fl_header *out = fl_run_out(run);

	f->op_column = in->changelog ? FL_NO_COLUMN : fl_header_find(in, "op", 2);
	if (!in->changelog && f->op_column == FL_NO_COLUMN)
		return fl_fail(err, FL_EUSAGE,
			       "--final: this is no changelog, it has no column \"op\"");
	fl_header_clear_columns(out);
	out->changelog = false;
	free(out->time); /* neither a table's rows nor frames have a time of their own */
	out->time = NULL;
	f->from = fl_xcalloc(in->column_count, sizeof *f->from);
	fl_header_init(&f->row);
	for (uint32_t i = 0; i < in->column_count; i++) {
		const struct fl_column *c = &in->columns[i];
		uint32_t at;

		if (i == f->op_column)
			continue;
		at = fl_header_add(out, c->name, c->name_len, (enum fl_kind)c->kind);
		out->columns[at].seconds = c->seconds;
		f->from[at] = i;
	}
	fl_header_copy(&f->row, out);
	f->row.keys = fl_xreallocarray(f->row.keys, out->column_count, sizeof *f->row.keys);
	for (uint32_t i = 0; i < out->column_count; i++)
		f->row.keys[i] = i;
	f->row.key_count = out->column_count;
	f->cols = fl_xcalloc(out->column_count, sizeof *f->cols);
	fl_keys_init(&f->keys);
	f->keys.wide = true; /* the key is the whole row */
	fl_budget_init(&f->budget, fl_run_memory_max(run));
	fl_table_init(&f->table, &f->budget, sizeof(int64_t));
	f->seq = 1;
	return 0;
}

static int
row_kind(const struct fcat *f, const struct fl_batch *b, uint32_t i, struct fl_badrows *bad)
{
	static const char *const names[] = { "+I", "-U", "+U", "-D" };
	const struct fl_vec *v;
	const char *p;
	size_t n;

	if (f->op_column == FL_NO_COLUMN)
		return b->op ? b->op[i] : FL_INSERT;
	v = fl_batch_col(b, f->op_column);
	p = v->kind == FL_TEXT ? fl_text(v, i, &n) : (n = 0, "");
	for (int k = 0; k < 4; k++)
		if (n == 2 && memcmp(p, names[k], 2) == 0)
			return k;
	fl_badrows_add(bad, b->rows, i, "op is +I, -U, +U or -D, not \"%.*s\"",
		       n < 20 ? (int)n : 20, p);
	return -1;
}

static int
apply(struct fcat *f, const struct fl_key *key, int kind, struct fl_err *err)
{
	bool adds = kind == FL_INSERT || kind == FL_UPDATE_AFTER;
	struct fl_entry *e = fl_table_get(&f->table, key);
	int64_t *count;

	if (!adds) {
		count = e ? (int64_t *)(void *)e->value : NULL;
		f->vacant = kind == FL_UPDATE_BEFORE && e ? e->seq : 0;
		if (count && --*count == 0)
			fl_table_delete(&f->table, e);
		return 0;
	}
	/* an updated row keeps the place of what it replaces */
	if (!e && fl_table_put(&f->table, key, NULL, 1, 0, &e, NULL, err) < 0)
		return err->code;
	count = (int64_t *)(void *)e->value;
	if (++*count == 1)
		e->seq = kind == FL_UPDATE_AFTER && f->vacant ? f->vacant : f->seq;
	f->seq++;
	f->vacant = 0;
	return 0;
}

static int
fold(struct fcat *f, struct fl_run *run, const struct fl_batch *b, struct fl_err *err)
{
	struct fl_badrows bad = { 0 };
	struct fl_batch rows = *b;
	const struct fl_key *keys;
	int rc;

	for (uint32_t c = 0; c < f->row.column_count; c++)
		f->cols[c] = *fl_batch_col(b, f->from[c]);
	rows.col = f->cols;
	rows.cols = f->row.column_count;
	rc = fl_keys_of(&f->keys, &f->row, &rows, &keys, err);
	for (uint32_t i = 0; i < b->rows && rc == 0; i++) {
		int kind = row_kind(f, b, i, &bad);

		rc = kind < 0 ? 0 : apply(f, &keys[i], kind, err);
	}
	if (rc == 0)
		rc = fl_run_bad(run, b, &bad, NULL, err);
	fl_badrows_release(&bad);
	return rc;
}

static int
by_seq(const void *a, const void *b)
{
	const struct fl_entry *x = *(struct fl_entry *const *)a, *y = *(struct fl_entry *const *)b;

	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static int
emit_table(struct fcat *f, struct fl_run *run, struct fl_err *err)
{
	struct fl_entry **e = fl_xcalloc(f->table.count, sizeof *e);
	const struct fl_header *out = fl_run_out(run);
	uint32_t n = 0, cols = f->row.column_count;
	int rc = 0;

	for (uint32_t i = 0; i < f->table.count; i++)
		if (!fl_table_at(&f->table, i)->deleted)
			e[n++] = fl_table_at(&f->table, i);
	qsort(e, n, sizeof(struct fl_entry *), by_seq);
	fl_build_init(&f->build, cols);
	for (uint32_t i = 0; i < n && rc == 0; i++) {
		struct fl_key key = fl_entry_key(e[i]);

		for (int64_t times = *(int64_t *)(void *)e[i]->value; times > 0; times--) {
			for (uint32_t c = 0; c < cols; c++)
				fl_key_put(&key, c, cols, (enum fl_kind)out->columns[c].kind,
					   &f->build.col[c]);
			fl_build_row(&f->build, 0, fl_run_watermark(run), FL_INSERT);
		}
		if (fl_build_bytes(&f->build) < FL_KIB(256) && i + 1 < n)
			continue;
		rc = fl_emit(run, fl_build_view(&f->build), err);
		fl_build_clear(&f->build);
	}
	free(e);
	return rc;
}

/* ---- the table in checkpoints ---------------------------------------------------------- */

/*
 * Sections, version 1
 *	"final"  numbers by name: "seq", "vacant"; "columns", the names, a NUL behind each
 *	"table"  an entry a row: the namespace is its arrival number, the key is the row, the
 *	         value, int64, how often it is in the table
 */

static void
put_names(const struct fl_header *h, struct fl_buf *out)
{
	for (uint32_t i = 0; i < h->column_count; i++) {
		fl_buf_put(out, h->columns[i].name, h->columns[i].name_len);
		fl_buf_putc(out, '\0');
	}
}

static void
snapshot(void *self, struct fl_run *run, struct fl_save *s)
{
	static const char *const named[][2] = { { "columns", "[]{word0}" } };
	struct fcat *f = self;
	struct fl_buf text = { 0 };

	(void)run;
	if (!f->final)
		return;
	put_names(&f->row, &text);
	fl_state_section_named(s, "final", 1, named, FL_ARRAY_LEN(named));
	fl_save_int(s, "seq", (int64_t)f->seq);
	fl_save_int(s, "vacant", (int64_t)f->vacant);
	fl_save_bytes(s, "columns", text.data, text.len);
	fl_buf_clear(&text);
	fl_state_about_put(&f->row, "arrival", "int64", &text);
	fl_save_section(s, "table", 1, text.data);
	fl_buf_release(&text);
	for (uint32_t i = 0; i < f->table.count; i++) {
		struct fl_entry *e = fl_table_at(&f->table, i);
		struct fl_key key = fl_entry_key(e);
		struct fl_state_entry out = {
			.ns = (const char *)&e->seq,
			.ns_len = sizeof e->seq,
			.key = key.p,
			.key_len = key.len == FL_KEY_NULL ? FL_STATE_NULL_KEY : key.len,
			.key_tags = key.tags,
			.value = e->value,
			.value_len = sizeof(int64_t),
		};

		if (!e->deleted)
			fl_save_entry(s, &out);
	}
}

static int
other_columns(const struct fl_state_entry *e, const struct fl_buf *now, struct fl_err *err)
{
	struct fl_buf both[2] = { 0 };
	const char *p[2] = { e->value, now->data };
	size_t n[2] = { e->value_len, now->len };

	for (int k = 0; k < 2; k++) {
		for (size_t i = 0; i + 1 < n[k]; i++)
			fl_buf_putc(&both[k], p[k][i] ? p[k][i] : ',');
		fl_buf_putc(&both[k], '\0');
	}
	(void)fl_fail(err, FL_ECONFIG,
		      "--final: the checkpoint has a table of the columns %.200s, the input has "
		      "%.200s; another --uid begins anew",
		      both[0].data, both[1].data);
	fl_buf_release(&both[0]);
	fl_buf_release(&both[1]);
	return err->code;
}

static int
load_numbers(struct fcat *f, struct fl_load *l, struct fl_err *err)
{
	int64_t seq = 1, vacant = 0;
	struct fl_buf names = { 0 };
	struct fl_state_entry e;
	int rc;

	put_names(&f->row, &names);
	while ((rc = fl_load_entry(l, &e, err)) > 0) {
		if (fl_state_is(&e, "columns") &&
		    (e.value_len != names.len || memcmp(e.value, names.data, names.len) != 0))
			rc = other_columns(&e, &names, err);
		else if (fl_state_is(&e, "seq"))
			rc = fl_state_int(&e, &seq, err);
		else if (fl_state_is(&e, "vacant"))
			rc = fl_state_int(&e, &vacant, err);
		if (rc < 0)
			break;
	}
	fl_buf_release(&names);
	f->seq = (uint64_t)seq;
	f->vacant = (uint64_t)vacant;
	return rc;
}

static int
load_row(struct fcat *f, struct fl_load *l, const struct fl_state_entry *in, struct fl_err *err)
{
	struct fl_key key = { .p = in->key, .len = in->key_len, .tags = in->key_tags };
	struct fl_entry *e;
	uint32_t made;
	int64_t count;

	if (in->key_len == FL_STATE_NULL_KEY)
		key = (struct fl_key){ .p = "", .len = FL_KEY_NULL, .tags = in->key_tags };
	if (in->ns_len != sizeof e->seq || in->value_len != sizeof count ||
	    !fl_key_check(&key, f->row.column_count))
		return fl_load_damaged(l, "a row", err);
	memcpy(&count, in->value, sizeof count);
	key.hash = fl_key_hash(&f->keys, &key);
	if (fl_table_put(&f->table, &key, NULL, 1, 0, &e, &made, err) < 0)
		return err->code;
	if (!made || count < 1)
		return fl_load_damaged(l, "a row", err);
	memcpy(&e->seq, in->ns, sizeof e->seq);
	memcpy(e->value, &count, sizeof count);
	return 0;
}

static int
restore(void *self, struct fl_run *run, struct fl_load *l, struct fl_err *err)
{
	struct fcat *f = self;
	struct fl_state_section s;
	struct fl_state_entry e;
	int rc;

	(void)run;
	while ((rc = fl_load_section(l, &s, err)) > 0) {
		bool rows = strcmp(s.name, "table") == 0;

		if (s.version != 1 || (!rows && strcmp(s.name, "final") != 0))
			return fl_load_unknown(l, &s, err);
		if (!f->final)
			return fl_fail(err, FL_ECONFIG,
				       "the checkpoint has a table of --final, which is not given: "
				       "give it, or another --uid");
		if (!rows && load_numbers(f, l, err) < 0)
			return err->code;
		while (rows && (rc = fl_load_entry(l, &e, err)) > 0)
			if (load_row(f, l, &e, err) < 0)
				return err->code;
		if (rc < 0)
			return rc;
	}
	return rc;
}

static bool
is_stateful(const void *self)
{
	return ((const struct fcat *)self)->final;
}

static size_t
state_bytes(const void *self)
{
	return ((const struct fcat *)self)->budget.used;
}

/* ---- a changelog that comes as text ---------------------------------------------------- */

static int
open_changelog(struct fcat *f, struct fl_run *run, struct fl_err *err)
{
	const struct fl_header *in = fl_run_header(run, 0);
	struct fl_header *out = fl_run_out(run);

	f->op_column = fl_header_find(in, "op", 2);
	if (in->changelog)
		return fl_fail(err, FL_EUSAGE, "--changelog: this is a changelog already");
	if (f->op_column == FL_NO_COLUMN)
		return fl_fail(err, FL_EUSAGE, "--changelog: there is no column \"op\"");
	for (uint32_t k = 0; k < out->key_count; k++) {
		if (out->keys[k] == f->op_column)
			return fl_fail(err, FL_EUSAGE,
				       "--changelog: \"op\" is the key of these records");
		out->keys[k] -= out->keys[k] > f->op_column;
	}
	/* the names behind it move up by one */
	free(out->columns[f->op_column].name);
	out->column_count--;
	memmove(&out->columns[f->op_column], &out->columns[f->op_column + 1],
		(out->column_count - f->op_column) * sizeof *out->columns);
	out->changelog = true;
	return 0;
}

static int
add_kinds(struct fcat *f, struct fl_run *run, const struct fl_batch *b, struct fl_err *err)
{
	struct fl_badrows bad = { 0 };
	struct fl_batch out;
	uint32_t *row, n = 0;
	uint8_t *kind;
	int rc;

	fl_buf_clear(&f->kinds);
	fl_buf_clear(&f->rows);
	kind = (uint8_t *)fl_buf_reserve(&f->kinds, b->rows + 1);
	row = (uint32_t *)(void *)fl_buf_reserve(&f->rows, (b->rows + 1) * sizeof *row);
	for (uint32_t i = 0; i < b->rows; i++) {
		int k = row_kind(f, b, i, &bad);

		if (k < 0)
			continue;
		kind[n] = (uint8_t)k;
		row[n++] = i;
	}
	rc = fl_run_bad(run, b, &bad, NULL, err);
	fl_badrows_release(&bad);
	if (rc < 0 || n == 0)
		return rc;
	fl_batch_select(b, row, n, &f->pool, &out);
	out.op = kind;
	if (f->op_column < out.cols) {
		out.cols--;
		memmove(&out.col[f->op_column], &out.col[f->op_column + 1],
			(out.cols - f->op_column) * sizeof *out.col);
	}
	return fl_emit(run, &out, err);
}

/* ---- frames --------------------------------------------------------------------------- */

static const char *const frame_columns[] = { "frame", "type", "bytes", "rows", "what" };

static void
open_frames(struct fl_run *run)
{
	struct fl_header *out = fl_run_out(run);

	fl_header_clear_columns(out);
	out->changelog = false;
	free(out->time); /* neither a table's rows nor frames have a time of their own */
	out->time = NULL;
	for (size_t i = 0; i < FL_ARRAY_LEN(frame_columns); i++)
		(void)fl_header_add(out, frame_columns[i], strlen(frame_columns[i]), FL_TEXT);
}

static size_t
watermark_text(const struct fl_watermark *wm, char *buf, size_t cap)
{
	char time[FL_TIME_TEXT_MAX];
	size_t n = fl_time_format(wm->ms, NULL, true, time);

	if (wm->ms == FL_TIME_MAX || wm->ms == FL_TIME_MIN)
		n = (size_t)snprintf(time, sizeof time,
				     wm->ms == FL_TIME_MAX ? "the end" : "none yet");
	return (size_t)snprintf(buf, cap, "%.*s%s", (int)n, time, wm->idle ? ", idle" : "");
}

static size_t
frame_text(const struct fl_frame *fr, char *buf, size_t cap, struct fl_err *err)
{
	static const char *const status[] = { "complete", "stopped", "failed" };
	struct fl_watermark wm;
	struct fl_barrier b;
	struct fl_end end;

	if (fr->type == FL_FRAME_WATERMARK && fl_frame_get_watermark(fr, &wm, err) == 0)
		return watermark_text(&wm, buf, cap);
	if (fr->type == FL_FRAME_BARRIER && fl_frame_get_barrier(fr, &b, err) == 0)
		return (size_t)snprintf(buf, cap, "checkpoint %" PRIu64 ", attempt %" PRIu64, b.id,
					b.attempt);
	if (fr->type == FL_FRAME_END && fl_frame_get_end(fr, &end, err) == 0)
		return (size_t)snprintf(buf, cap, "%s, %" PRIu64 " records, exit %d",
					status[end.status], end.records, end.code);
	return 0;
}

static int
on_frame(void *self, struct fl_run *run, const struct fl_frame *fr, struct fl_err *err)
{
	static const char *const types[] = {
		"?", "HEADER", "BATCH", "WATERMARK", "BARRIER", "END"
	};
	struct fcat *f = self;
	char buf[200];
	const char *what = buf;
	size_t n;
	int rc;

	if (!f->frames)
		return 0;
	if (!f->build.cols) /* the first header comes before open */
		fl_build_init(&f->build, FL_ARRAY_LEN(frame_columns));
	n = frame_text(fr, buf, sizeof buf, err);
	if (fr->type == FL_FRAME_HEADER) {
		what = fr->payload;
		for (n = fr->len; n && what[n - 1] == ' '; n--)
			;
	}
	fl_put_int(&f->build.col[0], (int64_t)fr->seq);
	fl_put_text(&f->build.col[1], types[fr->type], strlen(types[fr->type]), FL_TAG_STRING);
	fl_put_int(&f->build.col[2], fr->len);
	if (fr->type == FL_FRAME_BATCH)
		fl_put_int(&f->build.col[3], fl_frame_rows(fr));
	else
		fl_put_null(&f->build.col[3]);
	fl_put_text(&f->build.col[4], what, n, FL_TAG_PLAIN);
	fl_build_row(&f->build, 0, FL_TIME_MIN, FL_INSERT);
	if (fr->type == FL_FRAME_HEADER && fr->seq == 0)
		return 0;
	rc = fl_emit(run, fl_build_view(&f->build), err);
	fl_build_clear(&f->build);
	return rc;
}

/* ---- the operator ----------------------------------------------------------------------- */

static int
words(void *self, struct fl_run *run, char **words, int count, int *ret_used, struct fl_err *err)
{
	struct fcat *f = self;

	(void)words;
	(void)count;
	if (f->final + f->frames + f->changelog > 1)
		return fl_fail(err, FL_EUSAGE, "give one of --changelog, --final and --frames");
	if (f->frames)
		fl_run_prefer_text(run);
	*ret_used = 0;
	return 0;
}

static int
open(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fcat *f = self;

	if (f->final)
		return open_final(f, run, err);
	if (f->changelog)
		return open_changelog(f, run, err);
	if (f->frames)
		open_frames(run);
	else
		fl_run_pass(run);
	return 0;
}

static int
columns(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fcat *f = self;
	const struct fl_header *in = fl_run_header(run, 0);
	struct fl_header *out = fl_run_out(run);

	if (f->final)
		return fl_fail(err, FL_EDATA,
			       "--final: a new column, \"%s\", came after the first rows",
			       in->columns[in->column_count - 1].name);
	if (!f->frames)
		fl_header_append(out, in, out->column_count + f->changelog);
	return 0;
}

static int
on_batch(void *self, struct fl_run *run, uint32_t input, const struct fl_batch *b,
	 struct fl_err *err)
{
	struct fcat *f = self;

	(void)input;
	if (f->changelog)
		return add_kinds(f, run, b, err);
	return f->final ? fold(f, run, b, err) : 0;
}

static int
on_end(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fcat *f = self;

	return f->final ? emit_table(f, run, err) : 0;
}

static void
close_cat(void *self)
{
	struct fcat *f = self;

	if (f->from) {
		fl_table_release(&f->table);
		fl_budget_release(&f->budget);
		fl_keys_release(&f->keys);
		fl_header_release(&f->row);
	}
	free(f->from);
	free(f->cols);
	fl_buf_release(&f->kinds);
	fl_buf_release(&f->rows);
	fl_buf_release(&f->pool);
	fl_build_release(&f->build);
}

static const struct fl_opt opts[] = {
	{ .name = "changelog",
	  .type = FL_OPT_FLAG,
	  .offset = offsetof(struct fcat, changelog),
	  .help = "the text is a changelog: its column op is +I -U +U -D" },
	{ .name = "final",
	  .type = FL_OPT_FLAG,
	  .offset = offsetof(struct fcat, final),
	  .help = "fold a changelog into its table" },
	{ .name = "frames",
	  .type = FL_OPT_FLAG,
	  .offset = offsetof(struct fcat, frames),
	  .help = "print a stream's header and frames" },
	{ .type = FL_OPT_END },
};

static const struct fl_op fcat_op = {
	.name = "fcat",
	.summary = "convert between text formats and frames",
	.usage = "[FILE...]",
	.notes = "  fcat access.csv --ojsonl\n"
		 "  fkeyby word words.csv | freduce n=count --updates | fcat --final --ocsv\n",
	.opts = opts,
	.self_size = sizeof(struct fcat),
	.inputs_max = 1,
	.words = words,
	.open = open,
	.columns = columns,
	.on_batch = on_batch,
	.on_end = on_end,
	.on_frame = on_frame,
	.close = close_cat,
	.snapshot = snapshot,
	.restore = restore,
	.stateful = is_stateful,
	.state_bytes = state_bytes,
};

int
main(int argc, char **argv)
{
	return fl_main(&fcat_op, argc, argv);
}
