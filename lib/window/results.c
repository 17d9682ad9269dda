/* SPDX-License-Identifier: Apache-2.0 */
#include "window/results.h"

#include <stdlib.h>

#include "time/timestamp.h"

#define PORTION 4096u          /* rows made at once */
#define EMIT_BYTES FL_KIB(256) /* held before they are emitted */

void
fl_results_open(struct fl_results *r, struct fl_run *run, struct fl_aggs *aggs, bool bounds,
		bool seconds, bool changelog, bool timed)
{
	const struct fl_header *in = fl_run_header(run, 0);
	struct fl_header *out = fl_run_out(run);
	uint32_t cols = 0;

	*r = (struct fl_results){
		.run = run, .aggs = aggs, .key_count = in->key_count, .bounds = bounds ? 2 : 0
	};
	r->key_kind = fl_xcalloc(in->key_count, sizeof *r->key_kind);
	fl_header_clear_columns(out);
	if (bounds) {
		(void)fl_header_add(out, "window_start", 12, FL_TIME);
		(void)fl_header_add(out, "window_end", 10, FL_TIME);
		out->columns[0].seconds = out->columns[1].seconds = seconds;
	}
	out->keys = fl_xcalloc(in->key_count, sizeof *out->keys);
	for (uint32_t i = 0; i < in->key_count; i++) {
		const struct fl_column *c = &in->columns[in->keys[i]];
		uint32_t k = fl_header_add(out, c->name, c->name_len, (enum fl_kind)c->kind);

		out->columns[k].seconds = c->seconds;
		out->keys[out->key_count++] = k;
		r->key_kind[i] = (enum fl_kind)c->kind;
	}
	for (size_t i = 0; i < fl_aggs_count(aggs); i++) {
		const char *name = fl_aggs_name(aggs, i);

		(void)fl_header_add(out, name, strlen(name), fl_aggs_kind(aggs, i));
	}
	cols = out->column_count;
	fl_build_init(&r->build, cols);
	r->build.changelog = changelog;
	r->build.timed = timed;
}

void
fl_results_release(struct fl_results *r)
{
	free(r->key_kind);
	fl_build_release(&r->build);
	fl_buf_release(&r->accs);
	fl_buf_release(&r->entries);
}

int
fl_results_flush(struct fl_results *r, struct fl_err *err)
{
	int rc = 0;

	if (r->build.rows)
		rc = fl_emit(r->run, fl_build_view(&r->build), err);
	fl_build_clear(&r->build);
	return rc;
}

static int64_t
time_of(const struct fl_window *w)
{
	return w->end == FL_TIME_MAX ? FL_TIME_MAX : w->end - 1;
}

static void
put_keys(struct fl_results *r, struct fl_entry *const *entry, uint32_t n)
{
	for (uint32_t k = 0; k < r->key_count; k++) {
		struct fl_colbuf *col = &r->build.col[r->bounds + k];

		for (uint32_t i = 0; i < n; i++) {
			struct fl_key key = fl_entry_key(entry[i]);

			fl_key_put(&key, k, r->key_count, r->key_kind[k], col);
		}
	}
}

static int
put_portion(struct fl_results *r, const struct fl_window *w, struct fl_entry *const *entry,
	    void *const *accs, uint32_t n, int64_t wm, enum fl_rowkind op, struct fl_err *err)
{
	struct fl_build *b = &r->build;

	if (!accs) {
		void **a;

		fl_buf_clear(&r->accs);
		a = (void **)(void *)fl_buf_reserve(&r->accs, n * sizeof *a);
		for (uint32_t i = 0; i < n; i++)
			a[i] = entry[i]->value;
		accs = a;
	}
	if (r->bounds) {
		fl_put_times(&b->col[0], w->start, n);
		fl_put_times(&b->col[1], w->end, n);
	}
	put_keys(r, entry, n);
	if (fl_aggs_results(r->aggs, accs, n, &b->col[r->bounds + r->key_count], err) < 0)
		return err->code;
	fl_build_rows(b, n, time_of(w), wm, op);
	return fl_build_bytes(b) >= EMIT_BYTES ? fl_results_flush(r, err) : 0;
}

int
fl_results_put(struct fl_results *r, const struct fl_window *w, struct fl_entry *const *entry,
	       void *const *accs, uint32_t n, int64_t wm, enum fl_rowkind op, struct fl_err *err)
{
	for (uint32_t done = 0; done < n; done += PORTION) {
		uint32_t portion = n - done < PORTION ? n - done : PORTION;

		if (put_portion(r, w, entry + done, accs ? accs + done : NULL, portion, wm, op,
				err) < 0)
			return err->code;
	}
	return 0;
}

static void
put_bounds(struct fl_results *r, const struct fl_result *row, uint32_t n)
{
	int64_t start[64], end[64]; /* on the stack: written here, read at once */

	for (uint32_t done = 0, k; done < n; done += k) {
		for (k = 0; k < FL_ARRAY_LEN(start) && done + k < n; k++) {
			start[k] = row[done + k].window.start;
			end[k] = row[done + k].window.end;
		}
		fl_put_time_list(&r->build.col[0], start, k);
		fl_put_time_list(&r->build.col[1], end, k);
	}
}

static int
put_each(struct fl_results *r, const struct fl_result *row, uint32_t n, struct fl_err *err)
{
	struct fl_build *b = &r->build;
	struct fl_entry **entry;
	void **accs;

	fl_buf_clear(&r->accs);
	fl_buf_clear(&r->entries);
	accs = (void **)(void *)fl_buf_reserve(&r->accs, n * sizeof *accs);
	entry = (struct fl_entry **)(void *)fl_buf_reserve(&r->entries, n * sizeof *entry);
	for (uint32_t i = 0; i < n; i++) {
		accs[i] = row[i].acc;
		entry[i] = row[i].entry;
	}
	if (r->bounds)
		put_bounds(r, row, n);
	put_keys(r, entry, n);
	if (fl_aggs_results(r->aggs, accs, n, &b->col[r->bounds + r->key_count], err) < 0)
		return err->code;
	for (uint32_t i = 0; i < n; i++)
		fl_build_row(b, time_of(&row[i].window), row[i].wm, row[i].op);
	return fl_build_bytes(b) >= EMIT_BYTES ? fl_results_flush(r, err) : 0;
}

int
fl_results_put_each(struct fl_results *r, const struct fl_result *row, uint32_t n,
		    struct fl_err *err)
{
	for (uint32_t done = 0; done < n; done += PORTION) {
		uint32_t portion = n - done < PORTION ? n - done : PORTION;

		if (put_each(r, row + done, portion, err) < 0)
			return err->code;
	}
	return 0;
}
