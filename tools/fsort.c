/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fsort: rows in order. By event time they wait until the watermark has reached their
 * time, and are dropped as late where it has already. --by: all rows to the end of the
 * input, in memory and then on disk.
 *
 * In checkpoints, sections of version 1
 *	"fsort"  by name: numbers "seq" and "watermark", text "by" ("" for time)
 *	"rows"   an entry a row that waits: u64 arrival, i64 time, the packed row
 */
#include "checkpoint/about.h"
#include "rank/due.h"
#include "rank/extsort.h"
#include "rank/groupkeys.h"
#include "rank/rowout.h"
#include "rank/saved.h"
#include "stream/row.h"
#include "time/timestamp.h"
#include "window/late.h"

#define MEMORY FL_MIB(256) /* of --by, where --max-memory says nothing */

struct fsort {
	const char *by;
	const char *late_path;
	struct fl_run *run;
	struct fl_rowout out;
	struct fl_late late;
	struct fl_items mem;
	struct fl_dues dues;
	size_t bytes;  /* of the rows in dues */
	int64_t wm_ms; /* in force */
	uint64_t seq;
	struct fl_sortby order;
	struct fl_extsort rows; /* --by */
	struct fl_buf pack, wms;
	struct fl_badrows bad;
	struct fl_build one; /* a row of a checkpoint */
};

static int
words(void *self, struct fl_run *run, char **words, int count, int *ret_used, struct fl_err *err)
{
	struct fsort *f = self;

	(void)words;
	(void)count;
	*ret_used = 0;
	if (f->by && f->late_path)
		return fl_fail(err, FL_EUSAGE,
			       "--late goes with the order of time; with --by no row is late");
	return f->by ? fl_sortby_parse(&f->order, f->by, fl_run_expr_env(run), err) : 0;
}

static int
check_input(const struct fsort *f, const struct fl_header *in, struct fl_err *err)
{
	if (in->changelog)
		return fl_fail(err, FL_EUSAGE,
			       "a changelog has an order of its own: make a table of it first "
			       "(fcat --final)");
	if (in->window.kind != FL_WINDOW_NONE)
		return fl_fail(err, FL_EUSAGE, "fsort goes before fwindow, not behind it");
	if (!f->by && !in->time)
		return fl_fail(
			err, FL_EUSAGE,
			"there is no event time to sort by: give --time (and --watermark) to "
			"the tool that reads the text, or --by COLUMN");
	return 0;
}

static int
open(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fsort *f = self;
	const struct fl_header *in = fl_run_header(run, 0);
	size_t memory = fl_run_memory_max(run);

	f->run = run;
	f->wm_ms = FL_TIME_MIN;
	fl_build_init(&f->one, in->column_count);
	fl_extsort_init(&f->rows, &f->order, memory == SIZE_MAX ? MEMORY : memory);
	if (check_input(f, in, err) < 0 || fl_sortby_bind(&f->order, in, err) < 0 ||
	    fl_rowout_open(&f->out, run, NULL, NULL, 0, false, err) < 0)
		return err->code;
	f->out.build.timed = in->time != NULL;
	return fl_late_open(&f->late, run, f->late_path, err);
}

static int
columns(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fsort *f = self;

	fl_build_resize(&f->one, fl_run_header(run, 0)->column_count);
	if (fl_sortby_bind(&f->order, fl_run_header(run, 0), err) < 0)
		return err->code;
	return fl_rowout_columns(&f->out, err);
}

/* ---- by time --------------------------------------------------------------------- */

static size_t
item_bytes(const struct fl_item *item)
{
	return sizeof *item + item->row_len + sizeof(struct fl_due);
}

static void
push(struct fsort *f, uint64_t seq, int64_t time, const char *row, size_t n)
{
	struct fl_sortkey none = { 0 };
	struct fl_due due = { .time = time, .seq = seq };

	due.item = fl_item_new(&f->mem, seq, time, &none, 0, row, n);
	f->bytes += item_bytes(due.item);
	fl_dues_push(&f->dues, &due);
}

/* The watermark is wm_ms: what it has reached comes out, under the one before. */
static int
advance(struct fsort *f, int64_t wm_ms, struct fl_err *err)
{
	const struct fl_due *first;
	int rc = 0;

	if (wm_ms <= f->wm_ms)
		return 0;
	while (rc == 0 && (first = fl_dues_first(&f->dues)) && first->time <= wm_ms) {
		struct fl_due due = fl_dues_pop(&f->dues);

		f->bytes -= item_bytes(due.item);
		fl_rowout_item(&f->out, due.item);
		rc = fl_rowout_end(&f->out, due.time, f->wm_ms, FL_INSERT, err);
		fl_item_free(&f->mem, due.item);
	}
	f->wm_ms = wm_ms;
	return rc;
}

static int
take_timed(struct fsort *f, const struct fl_batch *b, struct fl_err *err)
{
	const int64_t *wm = fl_batch_wm(b, &f->wms);

	for (uint32_t i = 0; i < b->rows; i++) {
		if (advance(f, wm[i], err) < 0)
			return err->code;
		if (b->time[i] <= f->wm_ms) {
			fl_late_add(&f->late, i);
			continue;
		}
		fl_buf_clear(&f->pack);
		(void)fl_row_pack(b, i, &f->pack);
		push(f, f->seq++, b->time[i], f->pack.data, f->pack.len);
	}
	if (fl_rowout_flush(&f->out, err) < 0 || fl_late_flush(&f->late, b, err) < 0)
		return err->code;
	if (f->bytes > fl_run_memory_max(f->run))
		return fl_fail(err, FL_ELIMIT,
			       "the rows that wait for the watermark take more than --max-memory: "
			       "allow more, or a smaller --watermark");
	return 0;
}

/* ---- by columns -------------------------------------------------------------------- */

static int
take_by(struct fsort *f, const struct fl_batch *b, struct fl_err *err)
{
	fl_badrows_reset(&f->bad);
	if (fl_sortby_eval(&f->order, b, &f->bad, err) < 0 ||
	    fl_run_bad(f->run, b, &f->bad, "--by", err) < 0)
		return err->code;
	for (uint32_t i = 0; i < b->rows; i++) {
		struct fl_sortkey key = fl_sortby_key(&f->order, i);

		if (f->bad.count && f->bad.mask.data[i])
			continue;
		fl_buf_clear(&f->pack);
		(void)fl_row_pack(b, i, &f->pack);
		if (fl_extsort_add(&f->rows, &key, b->time ? b->time[i] : 0, f->pack.data,
				   f->pack.len, err) < 0)
			return err->code;
	}
	return 0;
}

static int
on_end(void *self, struct fl_run *run, struct fl_err *err)
{
	struct fsort *f = self;
	const struct fl_item *item;
	const char *unseen;
	int rc;

	if (!f->by)
		return 0;
	for (size_t i = 0; (unseen = fl_sortby_unseen(&f->order, i)); i++)
		fl_run_note(run, "--by: no record had the column %s", unseen);
	rc = fl_extsort_finish(&f->rows, err);
	while (rc == 0 && (rc = fl_extsort_next(&f->rows, &item, err)) > 0) {
		fl_rowout_item(&f->out, item);
		rc = fl_rowout_end(&f->out, item->time, FL_TIME_MIN, FL_INSERT, err);
	}
	return rc < 0 ? rc : fl_rowout_flush(&f->out, err);
}

/* ---- both -------------------------------------------------------------------------- */

static int
on_batch(void *self, struct fl_run *run, uint32_t input, const struct fl_batch *b,
	 struct fl_err *err)
{
	struct fsort *f = self;

	(void)run;
	(void)input;
	return f->by ? take_by(f, b, err) : take_timed(f, b, err);
}

static int
on_watermark(void *self, struct fl_run *run, int64_t wm_ms, int64_t *forward_ms, struct fl_err *err)
{
	struct fsort *f = self;

	(void)run;
	if (f->by) {
		*forward_ms = FL_TIME_MIN; /* the first row may be the last to come */
		return 0;
	}
	if (advance(f, wm_ms, err) < 0)
		return err->code;
	return fl_rowout_flush(&f->out, err);
}

static void
close_sort(void *self)
{
	struct fsort *f = self;

	while (fl_dues_count(&f->dues))
		fl_item_free(&f->mem, fl_dues_pop(&f->dues).item);
	fl_dues_release(&f->dues);
	fl_items_release(&f->mem);
	fl_extsort_release(&f->rows);
	fl_sortby_release(&f->order);
	fl_rowout_release(&f->out);
	fl_late_release(&f->late);
	fl_build_release(&f->one);
	fl_badrows_release(&f->bad);
	fl_buf_release(&f->pack);
	fl_buf_release(&f->wms);
}

/* ---- checkpoints ------------------------------------------------------------------- */

struct saving {
	struct fl_save *save;
	struct fl_buf value;
};

static void
save_row(void *arg, const struct fl_item *item)
{
	struct saving *s = arg;
	struct fl_state_entry e = { .ns = "", .key = "" };

	fl_buf_clear(&s->value);
	fl_buf_put(&s->value, &item->seq, sizeof item->seq);
	fl_buf_put(&s->value, &item->time, sizeof item->time);
	fl_buf_put(&s->value, fl_item_row(item), item->row_len);
	e.value = s->value.data;
	e.value_len = (uint32_t)s->value.len;
	fl_save_entry(s->save, &e);
}

static void
snapshot(void *self, struct fl_run *run, struct fl_save *save)
{
	struct fsort *f = self;
	static const char *const named[][2] = { { "watermark", "time" } };
	const struct fl_header *in = fl_run_header(run, 0);
	struct saving s = { .save = save };
	struct fl_err err;

	fl_state_section_named(save, "fsort", 1, named, FL_ARRAY_LEN(named));
	fl_save_int(save, "seq", (int64_t)(f->by ? f->rows.seq : f->seq));
	fl_save_int(save, "watermark", f->wm_ms);
	fl_save_bytes(save, "by", f->by ? f->by : "", f->by ? strlen(f->by) : 0);
	fl_saved_section(save, "rows", in, in->time ? FL_SAVED_ROW : FL_SAVED_ROW_UNTIMED, false);
	for (size_t i = 0; i < fl_dues_count(&f->dues); i++)
		save_row(&s, fl_dues_at(&f->dues, i)->item);
	/* rows that cannot be read back are lost: no checkpoint may say that they are there */
	if (f->by && fl_extsort_each(&f->rows, save_row, &s, &err) < 0)
		fl_save_section(save, "unreadable", 1, NULL);
	fl_buf_release(&s.value);
}

static size_t
state_bytes(const void *self)
{
	const struct fsort *f = self;

	return f->bytes + fl_extsort_bytes(&f->rows);
}

static int
load_values(struct fsort *f, struct fl_load *l, struct fl_err *err)
{
	const char *by = f->by ? f->by : "";
	struct fl_state_entry e;
	int64_t seq = 0;
	int rc;

	while ((rc = fl_load_entry(l, &e, err)) > 0) {
		if (fl_state_is(&e, "seq"))
			rc = fl_state_int(&e, &seq, err);
		else if (fl_state_is(&e, "watermark"))
			rc = fl_state_int(&e, &f->wm_ms, err);
		else if (fl_state_is(&e, "by") &&
			 (e.value_len != strlen(by) || memcmp(e.value, by, e.value_len) != 0))
			rc = fl_fail(err, FL_ECONFIG,
				     "the checkpoint's rows were sorted by \"%.*s\", not \"%s\"",
				     (int)e.value_len, e.value, by);
		if (rc < 0)
			return rc;
	}
	f->seq = (uint64_t)seq;
	return rc;
}

/* One row with its sort values, which are computed again. */
static int
load_sorted(struct fsort *f, uint64_t seq, int64_t time, const char *row, size_t n,
	    struct fl_err *err)
{
	struct fl_batch *b;
	struct fl_sortkey key;

	fl_build_clear(&f->one);
	fl_row_put(row, n, f->one.col, f->one.cols);
	fl_build_row(&f->one, time, FL_TIME_MIN, FL_INSERT);
	b = fl_build_view(&f->one);
	fl_badrows_reset(&f->bad);
	if (fl_sortby_eval(&f->order, b, &f->bad, err) < 0)
		return err->code;
	key = fl_sortby_key(&f->order, 0);
	f->rows.seq = seq; /* they come in any order */
	return fl_extsort_add(&f->rows, &key, time, row, n, err);
}

static int
load_rows(struct fsort *f, struct fl_load *l, struct fl_err *err)
{
	struct fl_state_entry e;
	int rc;

	while ((rc = fl_load_entry(l, &e, err)) > 0) {
		const char *p = e.value, *end = p + e.value_len;
		uint64_t seq;
		int64_t time;

		if (!fl_take_bytes(&p, end, &seq, sizeof seq) ||
		    !fl_take_bytes(&p, end, &time, sizeof time) ||
		    fl_row_check(p, (size_t)(end - p), err) < 0)
			return fl_load_damaged(l, "a row", err);
		if (!f->by)
			push(f, seq, time, p, (size_t)(end - p));
		else if (load_sorted(f, seq, time, p, (size_t)(end - p), err) < 0)
			return err->code;
	}
	f->rows.seq = f->seq;
	return rc;
}

static int
restore(void *self, struct fl_run *run, struct fl_load *l, struct fl_err *err)
{
	struct fsort *f = self;
	struct fl_state_section s;
	int rc;

	(void)run;
	while ((rc = fl_load_section(l, &s, err)) > 0) {
		if (strcmp(s.name, "fsort") == 0 && s.version == 1)
			rc = load_values(f, l, err);
		else if (strcmp(s.name, "rows") == 0 && s.version == 1)
			rc = load_rows(f, l, err);
		else
			rc = fl_load_unknown(l, &s, err);
		if (rc < 0)
			return rc;
	}
	return rc;
}

#define AT(m) offsetof(struct fsort, m)

static const struct fl_opt opts[] = {
	{ .name = "by",
	  .type = FL_OPT_STRING,
	  .offset = AT(by),
	  .arg = "ORDER",
	  .help = "the whole input, by 'price desc, ts'" },
	{ .name = "late",
	  .type = FL_OPT_STRING,
	  .offset = AT(late_path),
	  .arg = "FILE",
	  .help = "rows that came too late" },
	{ .type = FL_OPT_END },
};

static const struct fl_op fsort_op = {
	.name = "fsort",
	.summary = "rows in the order of event time, or of columns",
	.usage = "[FILE...]",
	.notes = "Rows wait until the watermark has reached their time. With --by: until the end.\n"
		 "\n"
		 "  fsort --time ts --watermark 10s access.csv --ocsv\n"
		 "  fsort --by 'bytes desc, ts' access.csv | head\n",
	.opts = opts,
	.self_size = sizeof(struct fsort),
	.inputs_max = 1,
	.words = words,
	.open = open,
	.columns = columns,
	.on_batch = on_batch,
	.on_watermark = on_watermark,
	.on_end = on_end,
	.close = close_sort,
	.snapshot = snapshot,
	.restore = restore,
	.state_bytes = state_bytes,
};

int
main(int argc, char **argv)
{
	return fl_main(&fsort_op, argc, argv);
}
