/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions (expr/expr.h, expr/expr-int.h): a table of expressions with what
 * they give over one record (expr-cases.h), and tests of what a table cannot
 * say. The results in the table that PostgreSQL defines were compared with it.
 */
#include <stdlib.h>

#include "base/width.h"
#include "expr/expr-int.h"
#include "expr/expr.h"
#include "expr/json.h"
#include "stream/number.h"
#include "stream/header.h"
#include "tap.h"
#include "time/timestamp.h"

#define ROWS 5 /* of the batch: the same record several times */

/* ---- the record that the table is about --------------------------------- */

struct column {
	const char *name;
	const char *text;
	enum fl_tag tag;
};

static const struct column record[] = {
	{ "i", "42", FL_TAG_PLAIN },
	{ "j", "7", FL_TAG_PLAIN },
	{ "neg", "-5", FL_TAG_PLAIN },
	{ "d", "1.10", FL_TAG_PLAIN },
	{ "z", "0", FL_TAG_PLAIN },
	{ "big", "9223372036854775807", FL_TAG_PLAIN },
	{ "s", "hello", FL_TAG_PLAIN },
	{ "empty", "", FL_TAG_STRING },
	{ "nul", "", FL_TAG_PLAIN },
	{ "t", "2026-11-21T10:05:00.000Z", FL_TAG_PLAIN },
	{ "bt", "true", FL_TAG_BOOL },
	{ "bf", "false", FL_TAG_BOOL },
	{ "obj", "{\"a\":{\"b\":[1,\"two\",null,{\"c\":true}]},\"x y\":\"q\\\"z\"}",
	  FL_TAG_OBJECT },
	{ "arr", "[1,\"two\",3.5]", FL_TAG_ARRAY },
	{ "user", "u1", FL_TAG_PLAIN },
	{ "order", "5", FL_TAG_PLAIN },
	{ "UserId", "U7", FL_TAG_PLAIN },
	{ "case", "K", FL_TAG_PLAIN },
	{ "req.path", "dotted", FL_TAG_PLAIN },
	{ "path", "/a/b/c", FL_TAG_PLAIN },
	{ "word", "na\303\257ve", FL_TAG_PLAIN },
	{ "status", "500", FL_TAG_PLAIN },
	{ "absent", "", FL_TAG_ABSENT },
	{ "time", "100", FL_TAG_PLAIN },
	{ "interval", "9", FL_TAG_PLAIN },
	{ "end", "8", FL_TAG_PLAIN },
	{ "left", "6", FL_TAG_PLAIN },
	{ "date", "2020-02-02", FL_TAG_PLAIN },
	{ "a b", "blank", FL_TAG_PLAIN },
	{ "a\"b", "quote", FL_TAG_PLAIN },
};
#define COLUMNS FL_ARRAY_LEN(record)

struct fixture {
	struct fl_header header;
	struct fl_vec vec[COLUMNS];
	uint32_t off[COLUMNS][2 * ROWS];
	struct fl_batch batch;
};

static void
fixture_init(struct fixture *f)
{
	memset(f, 0, sizeof *f);
	fl_header_init(&f->header);
	for (size_t c = 0; c < COLUMNS; c++) {
		const struct column *from = &record[c];

		(void)fl_header_add(&f->header, from->name, strlen(from->name), FL_TEXT);
		for (size_t i = 0; i < ROWS; i++)
			f->off[c][2 * i + 1] = (uint32_t)strlen(from->text);
		f->vec[c] = (struct fl_vec){ .kind = FL_TEXT,
					     .tag = (uint8_t)from->tag,
					     .stride = 2,
					     .bytes = from->text,
					     .bytes_len = strlen(from->text),
					     .off = f->off[c] };
	}
	f->batch = (struct fl_batch){ .rows = ROWS, .cols = COLUMNS, .col = f->vec };
}

/* ---- results as text ---------------------------------------------------- */

static void
show_value(const struct fl_vec *v, uint32_t i, struct fl_buf *out)
{
	char buf[FL_NUMBER_TEXT_MAX];
	const char *p = buf;
	size_t n;

	if (fl_is_null(v, i)) {
		fl_buf_puts(out, "NULL");
		return;
	}
	switch (v->kind) {
	case FL_TEXT:
		p = fl_text(v, i, &n);
		break;
	case FL_INT64:
		n = fl_int_format(v->i64[i], buf);
		break;
	case FL_DECIMAL:
		n = fl_number_format(&v->dec[i], buf);
		break;
	case FL_DOUBLE:
		n = fl_double_format(v->f64[i], buf);
		break;
	case FL_BOOL:
		p = v->b[i] ? "true" : "false";
		n = strlen(p);
		break;
	case FL_TIME:
		n = fl_time_format(v->i64[i], NULL, true, buf);
		break;
	default:
		p = "unknown kind";
		n = strlen(p);
		break;
	}
	fl_buf_put(out, p, n);
}

/*
 * "?message in: rest", where rest is what stands above and behind the mark: one
 * line for the table, that is wrong where the mark is.
 */
static void
put_error(const char *msg, struct fl_buf *out)
{
	const char *shown = strchr(msg, '\n'), *mark = shown ? strchr(shown + 1, '\n') : NULL;
	size_t at = mark ? strcspn(mark + 1, "^") : 0;
	uint32_t c;

	fl_buf_putc(out, '?');
	fl_buf_put(out, msg, shown ? (size_t)(shown - msg) : strlen(msg));
	if (!mark)
		return;
	for (shown++; at > 0 && shown < mark; at--)
		shown += fl_char_at(shown, (size_t)(mark - shown), &c);
	fl_buf_puts(out, " in: ");
	fl_buf_put(out, shown, (size_t)(mark - shown));
}

/*
 * What an expression gives, as text: the value (of a set: all, with | between),
 * "!reason" for a bad record, "?message" for an error.
 */
static const char *
run_with(struct fixture *f, const char *text, const struct fl_expr_env *env, struct fl_buf *out)
{
	struct fl_expr *e = fl_expr_new(text, env);
	struct fl_err err = { 0 };
	struct fl_badrows bad = { 0 };
	uint32_t counts[ROWS];
	struct fl_vec v;
	int rc = fl_expr_bind(e, &f->header, &err);

	fl_buf_clear(out);
	if (rc == 0)
		rc = fl_expr_is_set(e)
			     ? fl_expr_unnest(e, &f->batch, &bad, counts, &v, &err)
			     : fl_expr_eval(e, &f->batch, &bad, &v, &err);
	if (rc < 0) {
		put_error(err.msg, out);
	} else if (bad.count) {
		fl_buf_printf(out, "!%s", bad.reason);
		if (bad.count != ROWS || bad.first != 0)
			fl_buf_puts(out, " (but not all records are bad)");
	} else if (fl_expr_is_set(e)) {
		for (uint32_t i = 0; i < counts[0]; i++) {
			if (i)
				fl_buf_putc(out, '|');
			show_value(&v, i, out);
		}
	} else {
		show_value(&v, ROWS - 1, out);
	}
	fl_buf_putc(out, '\0');
	fl_badrows_release(&bad);
	fl_expr_free(e);
	return out->data;
}

static const char *
run(struct fixture *f, const char *text, struct fl_buf *out)
{
	return run_with(f, text, NULL, out);
}

/* ---- the table ---------------------------------------------------------- */

struct test_case {
	const char *text;
	const char *want;
};

/* What an unknown column is told that has none like it. */
#define ALL_COLUMNS                                                                           \
	" (the columns are i, j, neg, d, z, big, s, empty, nul, t, bt, bf, obj, arr, user, " \
	"order, UserId, case, req.path, ...)"

static const struct test_case cases[] = {
#include "expr-cases.h"
};

static void
test_table(struct fixture *f)
{
	struct fl_buf out = { 0 };

	for (size_t i = 0; i < FL_ARRAY_LEN(cases); i++)
		tap_eq_str(run(f, cases[i].text, &out), cases[i].want, "%s", cases[i].text);
	fl_buf_release(&out);
}

#ifndef GENERATE_CASES
/* ---- three-valued logic ------------------------------------------------- */

static void
test_truth_tables(struct fixture *f)
{
	static const char *const values[] = { "false", "true", "null" };
	static const char *const and_table[3][3] = { { "false", "false", "false" },
						     { "false", "true", "NULL" },
						     { "false", "NULL", "NULL" } };
	static const char *const or_table[3][3] = { { "false", "true", "NULL" },
						    { "true", "true", "true" },
						    { "NULL", "true", "NULL" } };
	/* the same values from columns, so that nothing is folded */
	static const char *const columns[] = { "bf", "bt", "(nul = 1)" };
	struct fl_buf out = { 0 };
	char text[100];

	for (int a = 0; a < 3; a++) {
		for (int b = 0; b < 3; b++) {
			(void)snprintf(text, sizeof text, "%s and %s", values[a], values[b]);
			tap_eq_str(run(f, text, &out), and_table[a][b], "%s", text);
			(void)snprintf(text, sizeof text, "%s or %s", values[a], values[b]);
			tap_eq_str(run(f, text, &out), or_table[a][b], "%s", text);
			(void)snprintf(text, sizeof text, "%s and %s", columns[a], columns[b]);
			tap_eq_str(run(f, text, &out), and_table[a][b], "%s", text);
			(void)snprintf(text, sizeof text, "%s or %s", columns[a], columns[b]);
			tap_eq_str(run(f, text, &out), or_table[a][b], "%s", text);
			(void)snprintf(text, sizeof text, "not (%s and %s)", columns[a],
				       columns[b]);
			tap_eq_str(run(f, text, &out),
				   and_table[a][b][0] == 'N'   ? "NULL"
				   : and_table[a][b][0] == 't' ? "false"
							       : "true",
				   "%s", text);
		}
	}
	fl_buf_release(&out);
}

/* ---- batches whose records differ --------------------------------------- */

/* One column of words, each a value, "" for an unquoted empty. */
struct words {
	struct fl_header header;
	struct fl_vec vec;
	uint32_t off[65];
	char bytes[1024];
	struct fl_batch batch;
};

static void
words_init(struct words *w, const char *const *values, uint32_t n)
{
	size_t at = 0;

	memset(w, 0, sizeof *w);
	fl_header_init(&w->header);
	(void)fl_header_add(&w->header, "x", 1, FL_TEXT);
	for (uint32_t i = 0; i < n; i++) {
		size_t len = strlen(values[i]);

		memcpy(w->bytes + at, values[i], len);
		at += len;
		w->off[i + 1] = (uint32_t)at;
	}
	w->vec = (struct fl_vec){ .kind = FL_TEXT, .stride = 1, .bytes = w->bytes, .bytes_len = at,
				  .off = w->off };
	w->batch = (struct fl_batch){ .rows = n, .cols = 1, .col = &w->vec };
}

/* All values of an expression, with blanks between; ! for a bad record. */
static const char *
run_words(struct words *w, const char *text, struct fl_buf *out)
{
	struct fl_expr *e = fl_expr_new(text, NULL);
	struct fl_err err = { 0 };
	struct fl_badrows bad = { 0 };
	struct fl_vec v;

	fl_buf_clear(out);
	if (fl_expr_bind(e, &w->header, &err) < 0 ||
	    fl_expr_eval(e, &w->batch, &bad, &v, &err) < 0) {
		put_error(err.msg, out);
	} else {
		for (uint32_t i = 0; i < w->batch.rows; i++) {
			if (i)
				fl_buf_putc(out, ' ');
			if (bad.count && bad.mask.data[i])
				fl_buf_putc(out, '!');
			else
				show_value(&v, i, out);
		}
	}
	fl_buf_putc(out, '\0');
	fl_badrows_release(&bad);
	fl_expr_free(e);
	return out->data;
}

static void
test_mixed(void)
{
	static const char *const values[] = {
		"1", "2.50", "", "abc", "-3", "123456789012345678901"
	};
	static const struct test_case want[] = {
		{ "x", "1 2.50 NULL abc -3 123456789012345678901" },
		{ "x + 1", "2 3.50 NULL ! -2 123456789012345678902" },
		{ "x * 2", "2 5.00 NULL ! -6 246913578024691357802" },
		{ "-x", "-1 -2.50 NULL ! 3 -123456789012345678901" },
		{ "x > 1", "false true NULL true false true" },
		{ "x < 'b'", "true true NULL true true true" },
		{ "x = 2.5", "false true NULL false false false" },
		{ "x <> 'abc'", "true true NULL false true true" },
		{ "x between -3 and 3", "true true NULL false true false" },
		{ "x in (1, 'abc')", "true false NULL true false false" },
		{ "x is null", "false false true false false false" },
		{ "coalesce(x, 'none')", "1 2.50 none abc -3 123456789012345678901" },
		{ "case when x = 1 then 1 when x = 2.5 then 2.5 else 'text' end",
		  "1 2.5 text text text text" },
		{ "case when x is null then null when x = 1 then true else x end",
		  "true 2.50 NULL abc -3 123456789012345678901" },
		{ "case when x = 'abc' then 0 else 10 / x end",
		  "10.0000000000000000 4.0000000000000000 NULL 0 -3.3333333333333333 "
		  "0.000000000000000000081000000729000007" },
		{ "x <> 'abc' and x + 1 > 1", "true true NULL false false true" },
		{ "x = 'abc' or x + 1 > 1", "true true NULL true false true" },
		{ "length(x)", "1 4 NULL 3 2 21" },
		{ "x::int", "1 3 NULL ! -3 !" },
		{ "greatest(x, 2)", "2 2.50 2 abc 2 123456789012345678901" },
		{ "least(x, 2)", "1 2 2 2 -3 2" },
	};
	struct words w;
	struct fl_buf out = { 0 };

	words_init(&w, values, FL_ARRAY_LEN(values));
	for (size_t i = 0; i < FL_ARRAY_LEN(want); i++)
		tap_eq_str(run_words(&w, want[i].text, &out), want[i].want, "mixed: %s",
			   want[i].text);
	fl_header_release(&w.header);
	fl_buf_release(&out);
}

/* The fast loops of comparisons must agree with the one that goes value by value. */
static void
test_fast_loops(void)
{
	static const char *const values[] = {
		"",   "0",     "1",     "-1",    "01",      "10",      "99999999", "100000000",
		"+5", "5.",    ".5",    "5.0",   "5.00001", "-5.5",    "1e2",      "100.0",
		"12345678", "123456789", "1234567890123456789", "99999999999999999999", "a", "1a",
		"12a45678", "1 ", " 1", "NaN",   "Infinity", "-0",     "0.0",      "--1",
		"1.2.3", "9223372036854775807", "-9223372036854775808", "5", "4.999999999999999999",
	};
	static const char *const constants[] = { "5", "100", "-1", "0", "5.0", "0.5", "-5.5", "'a'",
						 "'1a'", "12345678", "99999999999999999999", "''",
						 "4.999999999999999999" };
	static const char *const ops[] = { "<", "<=", "=", "<>", ">=", ">" };
	struct words w;
	struct fl_buf fast = { 0 }, slow = { 0 };
	bool same = true;
	char text[100];

	words_init(&w, values, FL_ARRAY_LEN(values));
	for (size_t c = 0; c < FL_ARRAY_LEN(constants); c++) {
		for (size_t o = 0; o < FL_ARRAY_LEN(ops); o++) {
			(void)snprintf(text, sizeof text, "x %s %s", ops[o], constants[c]);
			(void)run_words(&w, text, &fast);
			(void)snprintf(text, sizeof text, "coalesce(x) %s coalesce(x || null, %s)",
				       ops[o], constants[c]);
			(void)run_words(&w, text, &slow);
			same = tap_eq_str(fast.data, slow.data, "x %s %s in both ways", ops[o],
					  constants[c]) &&
			       same;
			(void)snprintf(text, sizeof text, "%s %s x", constants[c], ops[o]);
			(void)run_words(&w, text, &fast);
			(void)snprintf(text, sizeof text, "coalesce(x || null, %s) %s coalesce(x)",
				       constants[c], ops[o]);
			(void)run_words(&w, text, &slow);
			same = tap_eq_str(fast.data, slow.data, "%s %s x in both ways",
					  constants[c], ops[o]) &&
			       same;
		}
	}
	tap_ok(same, "all fast loops agree");
	fl_header_release(&w.header);
	fl_buf_release(&fast);
	fl_buf_release(&slow);
}

/* fl_expr_filter gives the records for which fl_expr_eval gives true. */
static void
test_filter(void)
{
	static const char *const values[] = { "1", "2", "", "30", "abc", "-3", "4.5", "200" };
	static const char *const conditions[] = {
		"x > 1",
		"x > 1 and x < 100",
		"x > 1 or x is null",
		"not x > 1",
		"x is null",
		"x = 'abc'",
		"x > 1 and x <> 'abc' and x * 2 > 50",
		"true",
		"false",
		"null",
		"x in (1, 2)",
		"x > 1 and (x < 3 or x > 100)",
		"case when x is null then true else x = 2 end",
	};
	struct words w;
	struct fl_err err = { 0 };

	words_init(&w, values, FL_ARRAY_LEN(values));
	for (size_t c = 0; c < FL_ARRAY_LEN(conditions); c++) {
		struct fl_expr *e = fl_expr_new(conditions[c], NULL);
		struct fl_badrows bad = { 0 };
		uint32_t rows[FL_ARRAY_LEN(values)], n = 0, k = 0;
		bool same = fl_expr_bind(e, &w.header, &err) == 0 &&
			    fl_expr_filter(e, &w.batch, &bad, rows, &n, &err) == 0;
		struct fl_vec v;

		same = same && fl_expr_eval(e, &w.batch, &bad, &v, &err) == 0;
		for (uint32_t i = 0; same && i < w.batch.rows; i++) {
			bool is = !fl_is_null(&v, i) && v.kind == FL_BOOL && v.b[i];

			if (is)
				same = k < n && rows[k++] == i;
		}
		tap_ok(same && k == n, "filter: %s", conditions[c]);
		fl_badrows_release(&bad);
		fl_expr_free(e);
	}
	fl_header_release(&w.header);
}

/* ---- typed columns ------------------------------------------------------ */

static void
test_typed(void)
{
	static const int64_t ints[] = { 1, INT64_MAX, 0 }, times[] = { 0, 86400000, 1000 };
	static const double doubles[] = { 0.5, 1e300, -2 };
	static const uint8_t bools[] = { 1, 0, 1 };
	static const uint8_t tags[] = { FL_TAG_PLAIN, FL_TAG_PLAIN, FL_TAG_NULL };
	static const struct test_case want[] = {
		{ "n + 1", "2 9223372036854775808 NULL" },
		{ "n - 1", "0 9223372036854775806 NULL" },
		{ "n * 2", "2 18446744073709551614 NULL" },
		{ "-n", "-1 -9223372036854775807 NULL" },
		{ "n % 2", "1 1 NULL" },
		{ "n > 1", "false true NULL" },
		{ "n = n", "true true NULL" },
		{ "n is null", "false false true" },
		{ "f * 2", "1 2e+300 -4" },
		{ "f > 0.4", "true true false" },
		{ "b", "true false true" },
		{ "not b", "false true false" },
		{ "b and n > 0", "true false NULL" },
		{ "t + interval '1 second'",
		  "1970-01-01T00:00:01.000Z 1970-01-02T00:00:01.000Z 1970-01-01T00:00:02.000Z" },
		{ "t >= '1970-01-02'", "false true false" },
		{ "t > t", "false false false" },
		{ "t - t", "00:00:00 00:00:00 00:00:00" },
		{ "t = 1", "false false true" },
		{ "hour(t)", "0 0 0" },
		{ "t::date", "1970-01-01 1970-01-02 1970-01-01" },
		{ "coalesce(n, f)", "1 9223372036854775807 -2" },
		{ "n || '!'", "1! 9223372036854775807! NULL" },
		{ "t::text",
		  "1970-01-01T00:00:00.000Z 1970-01-02T00:00:00.000Z 1970-01-01T00:00:01.000Z" },
	};
	struct fl_vec vec[4] = { { .kind = FL_INT64, .tags = tags }, { .kind = FL_DOUBLE },
				 { .kind = FL_BOOL }, { .kind = FL_TIME } };
	struct words w = { .batch = { .rows = 3, .cols = 4, .col = vec } };
	struct fl_buf out = { 0 };

	vec[0].data = ints;
	vec[1].data = doubles;
	vec[2].data = bools;
	vec[3].data = times;
	fl_header_init(&w.header);
	(void)fl_header_add(&w.header, "n", 1, FL_INT64);
	(void)fl_header_add(&w.header, "f", 1, FL_DOUBLE);
	(void)fl_header_add(&w.header, "b", 1, FL_BOOL);
	(void)fl_header_add(&w.header, "t", 1, FL_TIME);
	for (size_t i = 0; i < FL_ARRAY_LEN(want); i++)
		tap_eq_str(run_words(&w, want[i].text, &out), want[i].want, "typed: %s",
			   want[i].text);
	fl_header_release(&w.header);
	fl_buf_release(&out);
}

/* Values of JSON, where each has its own tag. */
static void
test_tags(void)
{
	static const char *const values[] = { "5",         "5",   "true", "",  "",
					      "{\"a\":5}", "[5]", "",     "x", "5" };
	static const uint8_t tags[] = { FL_TAG_NUMBER, FL_TAG_STRING, FL_TAG_BOOL, FL_TAG_NULL,
					FL_TAG_ABSENT, FL_TAG_OBJECT, FL_TAG_ARRAY, FL_TAG_STRING,
					FL_TAG_STRING, FL_TAG_PLAIN };
	static const struct test_case want[] = {
		{ "x = 5", "true true false NULL NULL false false false false true" },
		{ "x > 4", "true true true NULL NULL true true true true true" },
		{ "x = 5.0", "true true false NULL NULL false false false false true" },
		{ "x < 5.5", "true true false NULL NULL false false false false true" },
		{ "x = 'x'", "false false false NULL NULL false false false true false" },
		{ "x <> 'x'", "true true true NULL NULL true true true false true" },
		{ "x = ''", "false false false NULL NULL false false true false false" },
		{ "x = true", "false false true NULL NULL false false false false false" },
		{ "x in (5, 'x')", "true true false NULL NULL false false false true true" },
		{ "x + 1", "6 6 ! NULL NULL ! ! ! ! 6" },
		{ "x + 0.5", "5.5 5.5 ! NULL NULL ! ! ! ! 5.5" },
		{ "x.a", "NULL NULL NULL NULL NULL 5 NULL NULL NULL NULL" },
		{ "x[0]", "NULL NULL NULL NULL NULL NULL 5 NULL NULL NULL" },
		{ "json_typeof(x)",
		  "number string boolean NULL NULL object array string string number" },
		{ "to_json(x)", "5 \"5\" true null null {\"a\":5} [5] \"\" \"x\" 5" },
		{ "x and true", "! ! true NULL NULL ! ! ! ! !" },
		{ "x is null", "false false false true true false false false false false" },
	};
	struct words w;
	struct fl_buf out = { 0 };

	words_init(&w, values, FL_ARRAY_LEN(values));
	w.vec.tags = tags;
	for (size_t i = 0; i < FL_ARRAY_LEN(want); i++)
		tap_eq_str(run_words(&w, want[i].text, &out), want[i].want, "tags: %s",
			   want[i].text);
	fl_header_release(&w.header);
	fl_buf_release(&out);
}

static void
test_kinds(struct fixture *f)
{
	static const struct {
		const char *text;
		enum fl_kind kind;
	} want[] = {
		{ "i > 1", FL_BOOL },          { "length(s)", FL_INT64 },
		{ "i * 1.5", FL_DECIMAL },     { "lower(s)", FL_TEXT },
		{ "t::timestamp", FL_TIME },   { "t::timestamp + interval '1 day'", FL_TIME },
		{ "t::date", FL_TEXT },        { "i", FL_TEXT },
		{ "case when bt then 1 else 2 end", FL_INT64 },
		{ "case when bt then 1 else 'x' end", FL_TEXT },
	};

	for (size_t i = 0; i < FL_ARRAY_LEN(want); i++) {
		struct fl_expr *e = fl_expr_new(want[i].text, NULL);
		struct fl_err err = { 0 };

		tap_ok(fl_expr_bind(e, &f->header, &err) == 0 && fl_expr_kind(e) == want[i].kind,
		       "kind of %s", want[i].text);
		fl_expr_free(e);
	}
}

/* ---- columns that come later -------------------------------------------- */

static void
test_growing(void)
{
	struct fl_expr *e = fl_expr_new("coalesce(order, user.name, 'none')", NULL);
	struct fl_header h;
	struct fl_err err = { 0 };
	struct fl_badrows bad = { 0 };
	static const uint32_t off[2] = { 0, 1 };
	struct fl_vec col = { .kind = FL_TEXT, .tag = FL_TAG_NUMBER, .bytes = "9", .bytes_len = 1,
			      .off = off }, v;
	struct fl_batch none = { .rows = 1 }, one = { .rows = 1, .cols = 1, .col = &col };
	struct fl_buf out = { 0 };

	fl_header_init(&h);
	h.format = fl_xstrdup("jsonl");
	tap_ok(fl_expr_bind(e, &h, &err) == 0, "jsonl: unknown columns are no error");
	tap_eq_str(fl_expr_unseen(e, 0), "order", "jsonl: the first that is missing");
	tap_eq_str(fl_expr_unseen(e, 1), "user", "jsonl: the second");
	tap_eq_str(fl_expr_unseen(e, 2), NULL, "jsonl: no third");
	tap_ok(fl_expr_eval(e, &none, &bad, &v, &err) == 0, "jsonl: evaluated without columns");
	show_value(&v, 0, &out);
	fl_buf_putc(&out, '\0');
	tap_eq_str(out.data, "none", "jsonl: they are NULL");
	(void)fl_header_add(&h, "order", 5, FL_TEXT);
	tap_ok(fl_expr_bind(e, &h, &err) == 0, "jsonl: bound again");
	tap_eq_str(fl_expr_unseen(e, 0), "user", "jsonl: only one is missing now");
	tap_ok(fl_expr_eval(e, &one, &bad, &v, &err) == 0, "jsonl: evaluated with the column");
	fl_buf_clear(&out);
	show_value(&v, 0, &out);
	fl_buf_putc(&out, '\0');
	tap_eq_str(out.data, "9", "jsonl: it has come");
	fl_header_release(&h);
	fl_badrows_release(&bad);
	fl_buf_release(&out);
	fl_expr_free(e);
}

/* ---- zones -------------------------------------------------------------- */

static void
test_zone(struct fixture *f)
{
	static const struct test_case want[] = {
		{ "t::timestamp", "2026-11-21T10:05:00.000Z" },
		{ "hour(t)", "11" },
		{ "t::date", "2026-11-21" },
		{ "date_trunc('day', t)", "2026-11-20T23:00:00.000Z" },
		{ "timestamp '2026-07-01 12:00:00'", "2026-07-01T10:00:00.000Z" },
		{ "timestamp '2026-03-28 12:00:00' + interval '1 day'",
		  "2026-03-29T10:00:00.000Z" },
		{ "timestamp '2026-03-28 12:00:00' + interval '24 hours'",
		  "2026-03-29T11:00:00.000Z" },
		{ "date_format(t, 'HH:mm XXX')", "11:05 +01:00" },
		{ "to_char(t, 'HH24:MI TZH')", "11:05 +01" },
		{ "date '2026-07-01'", "2026-07-01" },
		{ "date '2026-07-01' = timestamptz '2026-06-30 22:00:00Z'", "true" },
		{ "now()", "2001-09-09T01:46:40.000Z" },
		{ "current_date", "2001-09-09" },
	};
	struct fl_err err = { 0 };
	struct fl_zone *zone = fl_zone_open("Europe/Berlin", &err);
	struct fl_expr_env env = { .zone = zone, .now_ms = INT64_C(1000000000000) };
	struct fl_buf out = { 0 };

	if (!zone) {
		tap_skip("zones", "no Europe/Berlin on this system");
		return;
	}
	for (size_t i = 0; i < FL_ARRAY_LEN(want); i++)
		tap_eq_str(run_with(f, want[i].text, &env, &out), want[i].want, "Berlin: %s",
			   want[i].text);
	fl_zone_free(zone);
	fl_buf_release(&out);
}

/* ---- limits ------------------------------------------------------------- */

static void
repeat(struct fl_buf *out, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fl_buf_puts(out, text);
}

static void
test_limits(struct fixture *f)
{
	static const struct {
		const char *open, *middle, *close;
	} shapes[] = {
		{ "(", "1", ")" },
		{ "1+", "1", "" },
		{ "", "1", "+1" },
		{ "not ", "bt", "" },
		{ "- ", "i", "" },
		{ "lower(", "s", ")" },
		{ "s||", "s", "" },
		{ "", "s", "||s" },
		{ "case when bt then ", "1", " end" },
		{ "[", "1", "]" },
		{ "array[", "1", "]" },
		{ "i=", "i", "" },
		{ "coalesce(", "s", ")" },
		{ "", "obj", ".a" },
		{ "", "s", "::text" },
		{ "/*", "1", "*/" },
		{ "(1,", "1", ")" },
		{ "'", "a", "'" },
	};
	struct fl_buf text = { 0 }, out = { 0 };

	for (size_t i = 0; i < FL_ARRAY_LEN(shapes); i++) {
		for (size_t n = 10; n <= 100000; n *= 10) {
			fl_buf_clear(&text);
			repeat(&text, shapes[i].open, n);
			fl_buf_puts(&text, shapes[i].middle);
			repeat(&text, shapes[i].close, n);
			fl_buf_putc(&text, '\0');
			(void)run(f, text.data, &out);
			tap_ok(out.len > 1, "%zu times %s..%s ends", n, shapes[i].open,
			       shapes[i].close);
		}
		if (i == 0)
			tap_ok(strncmp(out.data, "?expression nested too deeply", 29) == 0,
			       "100000 parentheses are refused");
		if (i == 1)
			tap_ok(strncmp(out.data, "?expression has too many operators", 34) == 0,
			       "100000 operators are refused");
	}
	fl_buf_clear(&text);
	fl_buf_puts(&text, "i in (0");
	repeat(&text, ",'abc'", 50000);
	fl_buf_puts(&text, ",42)");
	fl_buf_putc(&text, '\0');
	tap_eq_str(run(f, text.data, &out), "true", "a list of 50000 values is fine");
	fl_buf_release(&text);
	fl_buf_release(&out);
}

/* A pattern that takes exponential time makes the record bad. */
static void
test_regex_limit(void)
{
	static const char *const values[] = { "ab",
					      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac" };
	struct words w;
	struct fl_buf out = { 0 };

	words_init(&w, values, FL_ARRAY_LEN(values));
	tap_eq_str(run_words(&w, "x ~ '^(a|aa|aaa)*(b|bb)*$'", &out), "true !",
		   "a pattern that runs away is a bad record");
	tap_eq_str(run_words(&w, "x ~ x", &out), "true true", "a pattern from a column");
	fl_header_release(&w.header);
	fl_buf_release(&out);
}

/* ---- bytes that are no UTF-8, NULs -------------------------------------- */

static void
test_bytes(void)
{
	static const char *const values[] = { "\xff\xfe", "a\xc3", "\xe2\x82",
					      "\xf0\x9f\x98\x80x" };
	static const struct test_case want[] = {
		{ "length(x)", "2 2 2 2" },
		{ "octet_length(x)", "2 2 2 5" },
		{ "x = x", "true true true true" },
		{ "octet_length(upper(x))", "2 2 2 5" },
		{ "octet_length(lower(x))", "2 2 2 5" },
		{ "octet_length(reverse(x))", "2 2 2 5" },
		{ "octet_length(substr(x, 2))", "1 1 1 1" },
		{ "octet_length(left(x, 1))", "1 1 1 4" },
		{ "octet_length(right(x, 1))", "1 1 1 1" },
		{ "octet_length(rtrim(x, 'x'))", "2 2 2 4" },
		{ "octet_length(lpad(x, 3))", "3 3 3 6" },
		{ "octet_length(translate(x, 'a', 'b'))", "2 2 2 5" },
		{ "octet_length(initcap(x))", "2 2 2 5" },
		{ "x like '__'", "true true true true" },
		{ "x like '%x'", "false false false true" },
		{ "x ~ 'x'", "false false false true" },
		{ "x ~ '^.x$'", "false false false true" },
		{ "octet_length(regexp_replace(x, 'x', 'yy'))", "2 2 2 6" },
		{ "(x || 'a') ilike '%A'", "true true true true" },
		{ "x -> 'a' is null", "true true true true" },
	};
	static const uint32_t off[] = { 0, 3, 6 };
	struct words w;
	struct fl_buf out = { 0 };

	words_init(&w, values, FL_ARRAY_LEN(values));
	for (size_t i = 0; i < FL_ARRAY_LEN(want); i++)
		tap_eq_str(run_words(&w, want[i].text, &out), want[i].want, "bytes: %s",
			   want[i].text);
	w.vec.bytes = "a\0bc\0d";
	w.vec.bytes_len = 6;
	w.vec.off = off;
	w.batch.rows = 2;
	tap_eq_str(run_words(&w, "length(x)", &out), "3 3", "a NUL is a character");
	tap_eq_str(run_words(&w, "position('d' in x)", &out), "0 3", "found behind a NUL");
	tap_eq_str(run_words(&w, "length(upper(x) || x)", &out), "6 6", "NULs are kept");
	tap_eq_str(run_words(&w, "x like 'c%d'", &out), "false true", "LIKE sees past a NUL");
	fl_header_release(&w.header);
	fl_buf_release(&out);
}

/* ---- JSON --------------------------------------------------------------- */

static void
test_json(void)
{
	static const struct {
		const char *text;
		bool valid;
	} texts[] = {
		{ "1", true },
		{ "-0.5e+10", true },
		{ "01", false },
		{ "1.", false },
		{ ".5", false },
		{ "+1", false },
		{ "\"a\"", true },
		{ "\"a", false },
		{ "\"\\u00e9\"", true },
		{ "\"\\u00g9\"", false },
		{ "\"\\x\"", false },
		{ "\"\t\"", false },
		{ "[]", true },
		{ "[1,2]", true },
		{ "[1,]", false },
		{ "[,1]", false },
		{ "[1 2]", false },
		{ "{}", true },
		{ "{\"a\":1}", true },
		{ "{\"a\"}", false },
		{ "{\"a\":}", false },
		{ "{a:1}", false },
		{ "{\"a\":1,}", false },
		{ "[1}", false },
		{ "{\"a\":[{}]}", true },
		{ " [ 1 , { \"b\" : null } ] ", true },
		{ "true", true },
		{ "tru", false },
		{ "nul", false },
		{ "", false },
		{ " ", false },
		{ "1 1", false },
		{ "[[[]]]", true },
		{ "]", false },
		{ "[", false },
		{ "{\"a\":1 \"b\":2}", false },
		{ "-", false },
		{ "1e", false },
		{ "[1]]", false },
	};
	struct fl_buf deep = { 0 };

	for (size_t i = 0; i < FL_ARRAY_LEN(texts); i++)
		tap_ok(fl_json_valid(texts[i].text, strlen(texts[i].text)) == texts[i].valid,
		       "JSON: %s is %svalid", texts[i].text, texts[i].valid ? "" : "not ");
	repeat(&deep, "[", 512);
	repeat(&deep, "]", 512);
	tap_ok(fl_json_valid(deep.data, deep.len), "JSON: 512 levels");
	fl_buf_clear(&deep);
	repeat(&deep, "[", 100000);
	tap_ok(!fl_json_valid(deep.data, deep.len), "JSON: 100000 levels are not looked into");
	fl_buf_release(&deep);
}

/* ---- aggregates' hook --------------------------------------------------- */

struct seen {
	char log[400];
	uint32_t slots;
};

static bool
is_agg(void *ctx, const char *name)
{
	(void)ctx;
	return strcmp(name, "sum") == 0 || strcmp(name, "count") == 0 || strcmp(name, "p99") == 0;
}

static int
found(void *ctx, struct fl__agg_call *call, uint32_t *ret_slot, enum fl_kind *ret_kind,
      struct fl_err *err)
{
	struct seen *s = ctx;
	size_t n = strlen(s->log);

	(void)err;
	(void)snprintf(s->log + n, sizeof s->log - n, "%s/%u%s%s%s%s%u{%s};", call->name,
		       call->arg_count, call->star ? "*" : "", call->distinct ? "d" : "",
		       call->filter ? "f" : "", call->order_count ? "o" : "",
		       call->order_count && call->order[0].desc, call->text);
	*ret_slot = s->slots++;
	*ret_kind = FL_INT64;
	return 0;
}

static void
test_aggregates(struct fixture *f)
{
	static const int64_t sums[] = { 10, 20 }, counts[] = { 4, 0 };
	struct seen seen = { .slots = 0 };
	struct fl__agg_hook hook = { .ctx = &seen, .is_agg = is_agg, .found = found };
	struct fl_expr *e = fl_expr_new("sum(i order by j desc) filter (where s = 'x') / count(*)",
					NULL);
	struct fl_expr *one = fl_expr_new("count(distinct i)", NULL);
	struct fl_expr *nested = fl_expr_new("sum(count(*))", NULL);
	struct fl_expr *unknown = fl_expr_new("p98(i)", NULL);
	struct fl_vec slots[2] = { { .kind = FL_INT64 }, { .kind = FL_INT64 } }, v;
	struct fl_err err = { 0 };
	struct fl_badrows bad = { 0 };
	struct fl_buf out = { 0 };
	uint32_t column;

	slots[0].data = sums;
	slots[1].data = counts;
	tap_ok(fl__expr_bind_aggs(e, &f->header, &hook, &err) == 0, "aggregates are found");
	tap_eq_str(seen.log, "sum/1fo1{sum(i order by j desc)};count/0*0{count(*)};",
		   "aggregates are described");
	tap_ok(fl__expr_bind_aggs(e, &f->header, &hook, &err) == 0 && seen.slots == 2,
	       "a second bind finds nothing again");
	tap_ok(fl__expr_slot(e) == UINT32_MAX && !fl__expr_ref(e, 0, &column),
	       "no column outside of the calls");
	tap_ok(fl__expr_eval_slots(e, slots, 2, 2, &bad, &v, &err) == 0, "slots are evaluated");
	show_value(&v, 0, &out);
	fl_buf_putc(&out, '\0');
	tap_eq_str(out.data, "2.5000000000000000", "the quotient of two slots");
	tap_ok(bad.count == 1 && bad.first == 1 && strcmp(bad.reason, "division by zero") == 0,
	       "a division by zero is a bad result");
	tap_ok(fl__expr_bind_aggs(one, &f->header, &hook, &err) == 0 && fl__expr_slot(one) == 2,
	       "a bare call is its slot");
	tap_ok(fl__expr_bind_aggs(nested, &f->header, &hook, &err) == FL_EUSAGE,
	       "nested aggregates are refused");
	tap_ok(fl__expr_bind_aggs(unknown, &f->header, &hook, &err) == FL_EUSAGE,
	       "an unknown aggregate is an unknown function");
	tap_eq_str(err.msg, "unknown function p98 (did you mean pow?)\n  p98(i)\n  ^^^", "and says so");
	fl_badrows_release(&bad);
	fl_buf_release(&out);
	fl_expr_free(e);
	fl_expr_free(one);
	fl_expr_free(nested);
	fl_expr_free(unknown);
}

static void
test_signature(struct fixture *f)
{
	static const struct {
		const char *a, *b;
		bool same;
	} pairs[] = {
		{ "i+1", "i + 1", true },         { "\"i\" + 1", "i + 1", true },
		{ "i + 1", "i + 2", false },      { "i + 1", "j + 1", false },
		{ "i + 1", "i - 1", false },      { "lower(s)", "LOWER( s )", true },
		{ "s = '1'", "s = 1", false },    { "i::int", "i::bigint", false },
		{ "i::numeric(5,2)", "i::numeric(5,1)", false }, { "(i)", "i", true },
	};

	for (size_t i = 0; i < FL_ARRAY_LEN(pairs); i++) {
		struct fl_expr *a = fl_expr_new(pairs[i].a, NULL),
			       *b = fl_expr_new(pairs[i].b, NULL);
		struct fl_buf x = { 0 }, y = { 0 };
		struct fl_err err = { 0 };

		(void)fl_expr_bind(a, &f->header, &err);
		(void)fl_expr_bind(b, &f->header, &err);
		fl__expr_signature(a, &x);
		fl__expr_signature(b, &y);
		tap_ok(x.len > 0 && pairs[i].same ==
					    (x.len == y.len && memcmp(x.data, y.data, x.len) == 0),
		       "%s %s %s", pairs[i].a, pairs[i].same ? "is" : "is not", pairs[i].b);
		fl_buf_release(&x);
		fl_buf_release(&y);
		fl_expr_free(a);
		fl_expr_free(b);
	}
}

static void
test_constant(struct fixture *f)
{
	struct fl_expr *e = fl_expr_new("0.5 + 0.25", NULL), *not = fl_expr_new("i + 1", NULL);
	struct fl_err err = { 0 };
	struct fl_vec v;
	struct fl_buf out = { 0 };

	(void)fl_expr_bind(e, &f->header, &err);
	(void)fl_expr_bind(not, &f->header, &err);
	tap_ok(fl__expr_is_constant(e) && fl__expr_constant(e, &v, &err) == 0, "a constant");
	show_value(&v, 0, &out);
	fl_buf_putc(&out, '\0');
	tap_eq_str(out.data, "0.75", "its value");
	tap_ok(!fl__expr_is_constant(not) && fl__expr_constant(not, &v, &err) == FL_EUSAGE,
	       "no constant");
	fl_expr_free(e);
	fl_expr_free(not);
	fl_buf_release(&out);
}

static void
test_column(struct fixture *f)
{
	static const struct {
		const char *text;
		uint32_t column;
	} want[] = { { "j", 1 },  { "(j)", 1 }, { "\"req.path\"", 18 }, { ".j", 1 },
		     { "j + 0", FL_NO_COLUMN }, { "obj.a", FL_NO_COLUMN }, { "1", FL_NO_COLUMN } };

	for (size_t i = 0; i < FL_ARRAY_LEN(want); i++) {
		struct fl_expr *e = fl_expr_new(want[i].text, NULL);
		struct fl_err err = { 0 };

		tap_ok(fl_expr_bind(e, &f->header, &err) == 0 &&
			       fl_expr_column(e) == want[i].column,
		       "%s is %sa column", want[i].text,
		       want[i].column == FL_NO_COLUMN ? "not " : "");
		fl_expr_free(e);
	}
}

int
main(void)
{
	static struct fixture f;

	fixture_init(&f);
	test_table(&f);
	test_truth_tables(&f);
	test_mixed();
	test_fast_loops();
	test_filter();
	test_typed();
	test_tags();
	test_kinds(&f);
	test_growing();
	test_zone(&f);
	test_limits(&f);
	test_regex_limit();
	test_bytes();
	test_json();
	test_aggregates(&f);
	test_signature(&f);
	test_constant(&f);
	test_column(&f);
	fl_header_release(&f.header);
	return tap_done();
}
#endif
