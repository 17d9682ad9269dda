/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: any expression over any values. The first line of the input is the
 * expression; every further line is a value of column x, whose tag its first byte
 * gives. Whatever is accepted must be harmless, the same when it is done again,
 * and the records that a filter lets pass those for which the value is true.
 */
#include <stdio.h>
#include <stdlib.h>

#include "expr/expr-int.h"
#include "stream/header.h"

#define ROWS_MAX 20
#define TEXT_MAX 400 /* of an expression: more teaches no more */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Column x as given, and some whose names and values invite trouble. */
struct table {
	struct fl_header header;
	struct fl_vec vec[4];
	uint32_t off[2 * ROWS_MAX];
	uint8_t tags[ROWS_MAX];
	int64_t numbers[ROWS_MAX];
	struct fl_batch batch;
};

static void
make_table(struct table *t, const char *p, size_t n)
{
	static const uint32_t whole[] = { 0, 25 };
	uint32_t rows = 0;

	memset(t, 0, sizeof *t);
	for (size_t at = 0; at < n && rows < ROWS_MAX; rows++) {
		const char *end = memchr(p + at, '\n', n - at);
		size_t stop = end ? (size_t)(end - p) : n;

		t->tags[rows] = (uint8_t)p[at] % FL_TAGS;
		if (t->tags[rows] == FL_TAG_NULL || t->tags[rows] == FL_TAG_ABSENT)
			at = stop;
		t->off[2 * rows] = (uint32_t)(at + (at < stop));
		t->off[2 * rows + 1] = (uint32_t)stop;
		t->numbers[rows] = (int64_t)(rows * UINT64_C(3000000000000000000));
		at = stop + 1;
	}
	fl_header_init(&t->header);
	(void)fl_header_add(&t->header, "x", 1, FL_TEXT);
	(void)fl_header_add(&t->header, "n", 1, FL_INT64);
	(void)fl_header_add(&t->header, "t", 1, FL_TIME);
	(void)fl_header_add(&t->header, "order.by", 8, FL_TEXT);
	t->vec[0] = (struct fl_vec){ .kind = FL_TEXT, .tags = t->tags, .stride = 2, .bytes = p,
				     .bytes_len = n, .off = t->off };
	t->vec[1] = (struct fl_vec){ .kind = FL_INT64 };
	t->vec[1].data = t->numbers;
	t->vec[2] = (struct fl_vec){ .kind = FL_TIME };
	t->vec[2].data = t->numbers;
	t->vec[3] = (struct fl_vec){ .kind = FL_TEXT, .bytes = "{\"a\":[1,\"2020-01-01\",{}]}",
				     .bytes_len = 25, .off = whole };
	t->batch = (struct fl_batch){ .rows = rows, .cols = 4, .col = t->vec };
}

static void
must(bool holds, const char *what)
{
	if (holds)
		return;
	(void)fprintf(stderr, "%s\n", what);
	abort();
}

/* All values as text: reads every byte of them. */
static void
dump(const struct fl_vec *v, uint32_t rows, struct fl_colbuf *out)
{
	memset(out, 0, sizeof *out);
	for (uint32_t i = 0; i < rows; i++)
		fl_put_value(out, v, i);
}

static void
release(struct fl_colbuf *c)
{
	fl_buf_release(&c->bytes);
	fl_buf_release(&c->data);
	fl_buf_release(&c->tags);
}

static bool
same(const struct fl_colbuf *a, const struct fl_colbuf *b)
{
	return a->kind == b->kind && a->bytes.len == b->bytes.len && a->data.len == b->data.len &&
	       (a->bytes.len == 0 || memcmp(a->bytes.data, b->bytes.data, a->bytes.len) == 0) &&
	       (a->data.len == 0 || memcmp(a->data.data, b->data.data, a->data.len) == 0);
}

static void
check_set(struct fl_expr *e, const struct table *t)
{
	struct fl_badrows bad = { 0 };
	struct fl_err err = { 0 };
	uint32_t counts[ROWS_MAX], total = 0;
	struct fl_colbuf out;
	struct fl_vec v;

	if (fl_expr_unnest(e, &t->batch, &bad, counts, &v, &err) == 0) {
		for (uint32_t i = 0; i < t->batch.rows; i++)
			total += counts[i];
		dump(&v, total, &out);
		release(&out);
	}
	fl_badrows_release(&bad);
}

static bool
is_true(const struct fl_vec *v, uint32_t i)
{
	return v->kind == FL_BOOL && !fl_is_null(v, i) && v->b[i];
}

static void
check_value(struct fl_expr *e, const struct table *t)
{
	struct fl_badrows bad = { 0 }, again_bad = { 0 };
	struct fl_err err = { 0 };
	struct fl_colbuf first, again;
	uint32_t rows[ROWS_MAX], n = 0, k = 0;
	struct fl_vec v;

	if (fl_expr_eval(e, &t->batch, &bad, &v, &err) == 0) {
		dump(&v, t->batch.rows, &first);
		must(fl_expr_eval(e, &t->batch, &again_bad, &v, &err) == 0,
		     "fails the second time");
		dump(&v, t->batch.rows, &again);
		must(same(&first, &again) && bad.count == again_bad.count,
		     "differs the second time");
		release(&first);
		release(&again);
		fl_badrows_reset(&again_bad);
		must(fl_expr_filter(e, &t->batch, &again_bad, rows, &n, &err) == 0, "filter fails");
		for (uint32_t i = 0; v.kind == FL_BOOL && i < t->batch.rows; i++) {
			bool passes = k < n && rows[k] == i;

			k += passes;
			/* a filter need not look at what cannot make the record pass */
			must(passes == is_true(&v, i), "filter and value differ");
		}
	}
	fl_badrows_release(&bad);
	fl_badrows_release(&again_bad);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data, *end = size ? memchr(p, '\n', size) : NULL;
	size_t n = end ? (size_t)(end - p) : size;
	struct fl_err err = { 0 };
	struct fl_buf signature = { 0 };
	struct fl_expr_env env = { .now_ms = 1000000000000 };
	struct fl_expr *e;
	struct table t;
	char *text;

	if (n > TEXT_MAX)
		return 0;
	text = fl_xstrndup(p, n);
	make_table(&t, end ? end + 1 : "", end ? size - n - 1 : 0);
	if (size % 2)
		t.header.format = fl_xstrdup("jsonl");
	e = fl_expr_new(text, &env);
	if (fl_expr_bind(e, &t.header, &err) == 0) {
		fl__expr_signature(e, &signature);
		must(fl_expr_bind(e, &t.header, &err) == 0, "cannot be bound twice");
		if (fl_expr_is_set(e))
			check_set(e, &t);
		else
			check_value(e, &t);
	} else {
		must(err.code == FL_EUSAGE && err.msg[0], "an error without a message");
	}
	fl_buf_release(&signature);
	fl_expr_free(e);
	fl_header_release(&t.header);
	free(text);
	return 0;
}
