/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Aggregates (expr/agg.h): known results, random data against naive oracles,
 * and what must not matter: how records are split and merged, what came and was
 * taken back, saving and loading on the way, the order of what is summed.
 */
#include "expr/agg.h"

#include <math.h>
#include <stdlib.h>

#include "stream/value.h"
#include "tap.h"

#define LEN(a) FL_ARRAY_LEN(a)
#define TEXT_MAX 4096
#define COLUMNS 4 /* k, x, y, b */

/* ---- random ------------------------------------------------------------- */

static uint64_t random_state = 88172645463325252u;

static uint64_t
random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static uint32_t
below(uint32_t n)
{
	return (uint32_t)(random64() >> 32) % n;
}

/* ---- records ------------------------------------------------------------ */

struct cell {
	char text[80];
	enum fl_tag tag;
};

struct row {
	struct cell x, y, b; /* a number, anything, a truth value; each may be NULL */
};

static bool
is_null(const struct cell *c)
{
	return c->tag == FL_TAG_NULL || (c->tag == FL_TAG_PLAIN && !*c->text);
}

/* What numbers x has. */
enum numbers { SMALL_INTS, INTS, DECIMALS, LONG_DECIMALS, NUMBERS };

static void
random_number(struct cell *c, enum numbers kind)
{
	int64_t v = (int64_t)random64();
	int places = (int)below(5);

	*c = (struct cell){ .tag = FL_TAG_PLAIN };
	if (below(10) == 0)
		return;
	switch (kind) {
	case SMALL_INTS:
		(void)snprintf(c->text, sizeof c->text, "%d", (int)below(20) - 10);
		break;
	case INTS:
		(void)snprintf(c->text, sizeof c->text, "%" PRId64, v >> below(60));
		break;
	case DECIMALS:
		(void)snprintf(c->text, sizeof c->text, "%d.%0*u", (int)below(2000) - 1000,
			       places + 1, below(10));
		break;
	default:
		(void)snprintf(c->text, sizeof c->text, "%" PRId64 "%09u.%03u", v >> below(60),
			       below(1000000000), below(1000));
		break;
	}
}

static void
random_text(struct cell *c)
{
	static const char *const words[] = {
		"a", "b", "abc", "1", "1.0", "01", "-5", "2.50", "", "x y", "z\"q", "\xc3\xa4",
		"2026-11-21T10:05:00Z", "2026-11-21T10:05:00.000Z",
		"a text longer than 20 bytes",
	};
	uint32_t which = below(16);

	*c = (struct cell){ .tag = FL_TAG_PLAIN };
	switch (which) {
	case 0:
		c->tag = FL_TAG_NULL;
		break;
	case 1:
		c->tag = FL_TAG_STRING; /* the empty string */
		break;
	case 2:
		c->tag = FL_TAG_BOOL;
		strcpy(c->text, "true");
		break;
	case 3:
		c->tag = FL_TAG_NUMBER;
		(void)snprintf(c->text, sizeof c->text, "%u", below(5));
		break;
	case 4:
		(void)snprintf(c->text, sizeof c->text, "long-text-number-%u-of-many", below(300));
		break;
	default:
		strcpy(c->text, words[below(LEN(words))]);
		break;
	}
}

static struct row *
random_rows(uint32_t n, enum numbers kind)
{
	struct row *r = fl_xcalloc(n, sizeof *r);

	for (uint32_t i = 0; i < n; i++) {
		uint32_t b = below(8);

		random_number(&r[i].x, kind);
		random_text(&r[i].y);
		r[i].b.tag = FL_TAG_PLAIN;
		strcpy(r[i].b.text, b == 0 ? "" : b < 3 ? "false" : "true");
	}
	return r;
}

/* ---- the aggregates under test ------------------------------------------ */

static void
make_header(struct fl_header *h)
{
	static const char *const names[COLUMNS] = { "k", "x", "y", "b" };

	fl_header_init(h);
	for (int i = 0; i < COLUMNS; i++)
		(void)fl_header_add(h, names[i], 1, FL_TEXT);
	h->keys = fl_xcalloc(1, sizeof *h->keys);
	h->key_count = 1;
	h->keyed = true;
}

static struct fl_aggs *
make_aggs(const char *const *definitions, size_t n, bool retract, struct fl_err *err)
{
	struct fl_aggs *a = fl_aggs_new(NULL);
	struct fl_header h;
	int rc = 0;

	make_header(&h);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = fl_aggs_define(a, definitions[i], err);
	if (rc == 0)
		rc = fl_aggs_bind(a, &h, retract, err);
	fl_header_release(&h);
	if (rc == 0)
		return a;
	fl_aggs_free(a);
	return NULL;
}

static void *
new_acc(const struct fl_aggs *a)
{
	void *acc = fl_xmalloc(fl_aggs_size(a) + 1);

	fl_aggs_init(a, acc);
	return acc;
}

static void
free_acc(struct fl_aggs *a, void *acc)
{
	fl_aggs_clear(a, acc);
	free(acc);
}

static void
build_rows(struct fl_build *w, const struct row *rows, const uint32_t *which, uint32_t n,
	   const uint8_t *op)
{
	fl_build_init(w, COLUMNS);
	w->changelog = op != NULL;
	for (uint32_t i = 0; i < n; i++) {
		const struct row *r = &rows[which ? which[i] : i];

		fl_put_text(&w->col[0], "k", 1, FL_TAG_PLAIN);
		fl_put_text(&w->col[1], r->x.text, strlen(r->x.text), r->x.tag);
		fl_put_text(&w->col[2], r->y.text, strlen(r->y.text), r->y.tag);
		fl_put_text(&w->col[3], r->b.text, strlen(r->b.text), r->b.tag);
		fl_build_row(w, 0, 0, op ? (enum fl_rowkind)op[i] : FL_INSERT);
	}
}

/* Add rows, record i into accs[i]; one batch. 0, or what went wrong. */
static int
add_batch(struct fl_aggs *a, const struct row *rows, const uint32_t *which, uint32_t n,
	  const uint8_t *op, void *const *accs, uint64_t seq, struct fl_err *err)
{
	struct fl_badrows bad = { 0 };
	struct fl_build w;
	int rc;

	build_rows(&w, rows, which, n, op);
	rc = fl_aggs_prepare(a, fl_build_view(&w), &bad, err);
	if (rc == 0 && bad.count)
		rc = fl_fail(err, FL_EDATA, "%s", bad.reason);
	if (rc == 0)
		rc = fl_aggs_add(a, accs, NULL, 0, n, seq, err);
	fl_badrows_release(&bad);
	fl_build_release(&w);
	return rc;
}

static int
add_to_one(struct fl_aggs *a, const struct row *rows, const uint32_t *which, uint32_t n,
	   const uint8_t *op, void *acc, uint64_t seq, struct fl_err *err)
{
	void **accs = fl_xcalloc(n, sizeof *accs);
	int rc;

	for (uint32_t i = 0; i < n; i++)
		accs[i] = acc;
	rc = add_batch(a, rows, which, n, op, accs, seq, err);
	free(accs);
	return rc;
}

/* The results of one accumulator as texts, "NULL" for NULL. */
struct texts {
	size_t n;
	char **text;
};

static void
free_texts(struct texts *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->text[i]);
	free(t->text);
}

static int
results(struct fl_aggs *a, void *acc, struct texts *ret, struct fl_err *err)
{
	struct fl_build w;
	int rc;

	*ret = (struct texts){ 0 };
	fl_build_init(&w, (uint32_t)fl_aggs_count(a));
	rc = fl_aggs_results(a, &acc, 1, w.col, err);
	if (rc == 0) {
		struct fl_batch *b;

		fl_build_row(&w, 0, 0, FL_INSERT);
		b = fl_build_view(&w);
		ret->n = b->cols;
		ret->text = fl_xcalloc(b->cols, sizeof *ret->text);
		for (uint32_t c = 0; c < b->cols; c++) {
			char tmp[FL_NUMBER_TEXT_MAX];
			size_t n;
			const char *p = fl_key_bytes(&b->col[c], 0, tmp, &n);

			ret->text[c] = p ? fl_xstrndup(p, n) : fl_xstrdup("NULL");
		}
	}
	fl_build_release(&w);
	return rc;
}

/* Whether both are the same; says where not. */
static bool
same_texts(const struct fl_aggs *a, const struct texts *got, const struct texts *want)
{
	bool same = got->n == want->n;

	for (size_t i = 0; same && i < got->n; i++) {
		if (strcmp(got->text[i], want->text[i]) == 0)
			continue;
		printf("# %s: got  %.300s\n# %s: want %.300s\n", fl_aggs_name(a, i), got->text[i],
		       fl_aggs_name(a, i), want->text[i]);
		same = false;
	}
	return same;
}

/* ---- known results ------------------------------------------------------ */

static struct row
row(const char *x, const char *y, const char *b)
{
	struct row r = { .x.tag = FL_TAG_PLAIN, .y.tag = FL_TAG_PLAIN, .b.tag = FL_TAG_PLAIN };

	strcpy(r.x.text, x);
	strcpy(r.y.text, y);
	strcpy(r.b.text, b);
	return r;
}

struct known {
	const char *expr;
	const char *want;
};

static void
check_known(const char *what, const struct row *rows, uint32_t n, const struct known *cases,
	    size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char definition[300];
		const char *list[1] = { definition };
		struct fl_err err = { 0 };
		struct texts t = { 0 };
		struct fl_aggs *a;
		void *acc;
		int rc;

		(void)snprintf(definition, sizeof definition, "r=%s", cases[i].expr);
		a = make_aggs(list, 1, false, &err);
		if (!tap_ok(a != NULL, "%s: %s is understood", what, cases[i].expr)) {
			printf("# %s\n", err.msg);
			continue;
		}
		acc = new_acc(a);
		rc = add_to_one(a, rows, NULL, n, NULL, acc, 0, &err);
		rc = rc < 0 ? rc : results(a, acc, &t, &err);
		tap_eq_str(rc < 0 ? err.msg : t.text[0], cases[i].want, "%s: %s", what,
			   cases[i].expr);
		free_acc(a, acc);
		tap_eq_int((int64_t)fl_aggs_extra_bytes(a), 0, "and its memory is given back");
		free_texts(&t);
		fl_aggs_free(a);
	}
}

static void
test_known(void)
{
	const struct row rows[] = {
		row("1", "b", "true"), row("2.50", "a", "false"), row("-3", "", "true"),
		row("", "c", ""), row("2.5", "a", "true"), row("010", "B", "t"),
	};
	static const struct known cases[] = {
		{ "count", "6" }, { "count(*)", "6" }, { "COUNT(x)", "5" }, { "count(y)", "5" },
		{ "count(distinct y)", "4" }, { "count(distinct x)", "5" },
		{ "sum(x)", "13.00" }, { "sum(distinct x)", "13.00" }, { "avg(x)",
		  "2.6000000000000000" },
		{ "sum(x)/count(*)", "2.1666666666666667" }, { "min(x)", "-3" }, { "max(x)",
		  "010" },
		{ "min(y)", "B" }, { "max(y)", "c" }, { "first(x)", "1" }, { "last(x)", "010" },
		{ "first(y)", "b" }, { "last(y)", "B" }, { "median(x)", "2.5" }, { "p0(x)", "-3" },
		{ "p20(x)", "-3" }, { "p21(x)", "1" }, { "p50(x)", "2.5" }, { "p60(x)", "2.5" },
		{ "p80(x)", "2.50" }, { "p99_9(x)", "010" }, { "p100(x)", "010" }, { "p50(y)",
		  "a" },
		{ "p50(distinct y)", "a" }, { "p51(distinct y)", "b" },
		{ "percentile_cont(0.5) within group (order by x)", "2.5" },
		{ "percentile_cont(0.25) within group (order by x)", "1" },
		{ "percentile_cont(0.9) within group (order by x)", "7.00" },
		{ "percentile_cont(0.9) within group (order by x desc)", "-1.4" },
		{ "percentile_disc(0.2) within group (order by x desc)", "010" },
		{ "var(x)", "22.1750000000000000" }, { "var_pop(x)", "17.7400000000000000" },
		{ "stddev(x)", "4.709033871188442" }, { "stddev_pop(x)", "4.211887937730538" },
		{ "approx_count_distinct(y)", "4" }, { "topk(y, 2)", "[\"a\",\"b\"]" },
		{ "topk(x, 100)", "[1,2.50,-3,2.5,\"010\"]" },
		{ "array_agg(x)", "[1,2.50,-3,null,2.5,\"010\"]" },
		{ "array_agg(distinct y)", "[\"b\",\"a\",null,\"c\",\"B\"]" },
		{ "array_agg(y order by x)", "[null,\"b\",\"a\",\"a\",\"B\",\"c\"]" },
		{ "array_agg(y order by x desc)", "[\"c\",\"B\",\"a\",\"a\",\"b\",null]" },
		{ "array_agg(y order by x desc nulls last)",
		  "[\"B\",\"a\",\"a\",\"b\",null,\"c\"]" },
		{ "string_agg(y, ', ')", "b, a, c, a, B" }, { "string_agg(distinct y, '')",
		  "bacB" },
		{ "string_agg(y, '-' order by y)", "B-a-a-b-c" },
		{ "arg_min(y, x)", "b" }, { "arg_max(y, x)", "B" }, { "arg_max(x, y)", "1" },
		{ "bool_and(b)", "false" }, { "bool_or(b)", "true" },
		{ "bool_and(b) filter (where x <> 2.5)", "true" },
		{ "count(*) filter (where x > 2)", "3" }, { "sum(x) filter (where y = 'a')",
		  "5.00" },
		{ "sum(1/x) filter (where x > 100)", "NULL" }, { "max(x) - min(x)", "13" },
		{ "coalesce(sum(x) filter (where false), 0)", "0" }, { "sum(x*2)", "26.00" },
		{ "sum(distinct x*2)", "26.00" }, { "1 + 1", "2" }, { "count(*) + count(*)", "12" },
		{ "avg(distinct abs(x))", "3.8000000000000000" },
	};

	check_known("six records", rows, 6, cases, LEN(cases));
}

static void
test_known_empty(void)
{
	const struct row rows[] = { row("", "", "") };
	static const struct known cases[] = {
		{ "count(*)", "1" }, { "count(x)", "0" }, { "count(distinct x)", "0" },
		{ "sum(x)", "NULL" },
		{ "sum(distinct x)", "NULL" }, { "avg(x)", "NULL" }, { "min(x)", "NULL" },
		{ "first(x)", "NULL" }, { "last(x)", "NULL" }, { "median(x)", "NULL" },
		{ "p99(x)", "NULL" }, { "approx_p99(x)", "NULL" }, { "var(x)", "NULL" },
		{ "stddev(x)", "NULL" }, { "var_pop(x)", "NULL" }, { "approx_count_distinct(x)",
		  "0" },
		{ "topk(x, 3)", "NULL" }, { "array_agg(x)", "[null]" }, { "string_agg(x, ',')",
		  "NULL" },
		{ "array_agg(distinct x)", "[null]" }, { "arg_min(x, y)", "NULL" },
		{ "bool_and(b)", "NULL" }, { "bool_or(b)", "NULL" },
	};
	static const struct known none[] = {
		{ "count(*)", "0" }, { "sum(x)", "NULL" }, { "array_agg(x)", "NULL" },
		{ "array_agg(distinct x)", "NULL" }, { "sum(x) is null", "true" },
	};

	check_known("NULLs only", rows, 1, cases, LEN(cases));
	check_known("no record", rows, 0, none, LEN(none));
}

/* Numbers on the edge. */
static void
test_known_numbers(void)
{
	const char *half = "50000000000000000000000000000000000000"; /* of 38 digits */
	const char *most = "99999999999999999999999999999999999999";
	const struct row large[] = { row(half, "", ""), row(half, "", "") };
	const struct row back[] = { row(most, "", ""), row(most, "", ""), row("-1", "", ""),
				    row("-99999999999999999999999999999999999999", "", "") };
	const struct row mixed[] = { row(most, "", ""), row("0.1", "", "") };
	const struct row doubles[] = { row("1e100", "", ""), row("1", "", ""),
				       row("-1e100", "", "") };
	const struct row special[] = { row("NaN", "", ""), row("Infinity", "", ""),
				       row("1", "", "") };
	const struct row infinite[] = { row("Infinity", "", ""), row("5", "", "") };
	const struct row int64s[] = { row("9223372036854775807", "", ""),
				      row("9223372036854775807", "", ""), row("-7", "", "") };
	const struct row close[] = { row("1700000000000001", "", ""),
				     row("1700000000000002", "", ""),
				     row("1700000000000003", "", "") };
	static const struct known too_large[] = {
		{ "sum(x)", "sum(x): a sum is too large: it has more than 38 digits" },
	};
	static const struct known fits[] = {
		{ "sum(x)", "99999999999999999999999999999999999998" },
	};
	static const struct known of_doubles[] = {
		{ "sum(x)", "1" }, { "max(x)", "1e100" }, { "avg(x)", "0.3333333333333333" },
	};
	static const struct known of_special[] = {
		{ "sum(x)", "NaN" }, { "min(x)", "1" }, { "max(x)", "NaN" }, { "p50(x)",
		  "Infinity" },
		{ "var(x)", "NaN" }, { "approx_p50(x)", "Infinity" }, { "approx_p100(x)", "NaN" },
	};
	static const struct known of_infinite[] = {
		{ "sum(x)", "Infinity" }, { "avg(x)", "Infinity" },
	};
	static const struct known of_int64s[] = {
		{ "sum(x)", "18446744073709551607" }, { "avg(x)", "6148914691236517202" },
	};
	static const struct known of_close[] = {
		{ "var(x)", "1.00000000000000000000" }, { "stddev(x)", "1" },
	};

	check_known("too large", large, 2, too_large, 1);
	check_known("too large on the way only", back, 4, fits, 1);
	check_known("too many places", mixed, 2, too_large, 1);
	check_known("doubles", doubles, 3, of_doubles, LEN(of_doubles));
	check_known("NaN", special, 3, of_special, LEN(of_special));
	check_known("Infinity", infinite, 2, of_infinite, LEN(of_infinite));
	check_known("beyond 64 bits", int64s, 3, of_int64s, LEN(of_int64s));
	check_known("large and close", close, 3, of_close, LEN(of_close));
}

/* A message without the place that is shown under it. */
static const char *
first_line(char *message)
{
	message[strcspn(message, "\n")] = '\0';
	return message;
}

static void
test_refused(void)
{
	static const struct known cases[] = {
		{ "x", "\"x\": want NAME=EXPR" },
		{ "=count", "\"=count\": want NAME=EXPR" },
		{ "r=", "\"r=\": want NAME=EXPR" },
		{ "r=k", "r: the key \"k\" stands in the result anyway; inside an expression write "
			 "first(k)" },
		{ "r=sum(x) + y",
		  "r: column \"y\" must be inside an aggregate, as in sum(y) or last(y)" },
		{ "r=sum(x, y)", "sum(x, y): wrong number of arguments, want sum(x)" },
		{ "r=topk(x)", "topk(x): wrong number of arguments, want topk(x, k)" },
		{ "r=topk(x, 0)", "topk(x, 0): k must be a whole number from 1 on" },
		{ "r=topk(x, y)", "topk(x, y): k must be a constant" },
		{ "r=string_agg(x, y)", "string_agg(x, y): the separator must be a constant" },
		{ "r=min(*)", "min(*): only count takes *" },
		{ "r=topk(distinct x, 1)", "topk(distinct x, 1): DISTINCT is not possible here" },
		{ "r=sum(x order by y)",
		  "sum(x order by y): ORDER BY is only for array_agg and string_agg" },
		{ "r=percentile_disc(0.5)",
		  "percentile_disc(0.5): want percentile_disc(0.9) WITHIN GROUP (ORDER BY x)" },
		{ "r=percentile_cont(1.5) within group (order by x)",
		  "percentile_cont(1.5): the fraction must be between 0 and 1" },
	};
	struct fl_err err = { 0 };
	static const char *const twice[] = { "a=count", "a=sum(x)" };

	for (size_t i = 0; i < LEN(cases); i++) {
		struct fl_aggs *a = make_aggs(&cases[i].expr, 1, false, &err);

		tap_eq_str(a ? "understood" : first_line(err.msg), cases[i].want, "%s", cases[i].expr);
		tap_eq_int(err.code, FL_EUSAGE, "is a usage error");
		fl_aggs_free(a);
	}
	tap_ok(!make_aggs(twice, 2, false, &err), "a name is used once");
	for (int i = 0; i < 3; i++) {
		static const char *const unknown[] = { "r=p101(x)", "r=approx_p9x(x)", "r=p_5(x)" };

		tap_ok(!make_aggs(&unknown[i], 1, false, &err), "%s: unknown", unknown[i]);
	}
}

/* ---- bad records -------------------------------------------------------- */

static void
test_bad_records(void)
{
	const struct row rows[] = { row("1", "0", "true"), row("abc", "2", "maybe"),
				    row("3", "x", "") };
	static const struct {
		const char *definition, *reason;
		uint32_t count, first;
	} cases[] = {
		{ "r=sum(x)", "sum(x): not a number: \"abc\"", 1, 1 },
		{ "r=avg(y)", "avg(y): not a number: \"x\"", 1, 2 },
		{ "r=median(x)", "median(x): not a number: \"abc\"", 1, 1 },
		{ "r=approx_p9(x)", "approx_p9(x): not a number: \"abc\"", 1, 1 },
		{ "r=bool_or(b)", "bool_or(b): not true or false: \"maybe\"", 1, 1 },
		{ "r=sum(x) filter (where b = 'true')", "", 0, 0 },
		{ "r=sum(10/y) filter (where y <> 0)", NULL, 1, 2 },
		{ "r=count(10/y) filter (where x > 1)", NULL, 1, 2 },
		{ "r=count(10/y)", "division by zero", 2, 0 },
		{ "r=count(x)", "", 0, 0 }, { "r=max(x)", "", 0, 0 }, { "r=p50(x)", "", 0, 0 },
	};

	for (size_t i = 0; i < LEN(cases); i++) {
		struct fl_err err = { 0 };
		struct fl_aggs *a = make_aggs(&cases[i].definition, 1, false, &err);
		struct fl_badrows bad = { 0 };
		struct fl_build w;

		if (!tap_ok(a != NULL, "%s", cases[i].definition))
			continue;
		build_rows(&w, rows, NULL, 3, NULL);
		tap_eq_int(fl_aggs_prepare(a, fl_build_view(&w), &bad, &err), 0, "prepared");
		tap_ok(bad.count == cases[i].count && bad.first == cases[i].first,
		       "%u bad records (%u), the first %u (%u)", cases[i].count, bad.count,
		       cases[i].first, bad.first);
		if (cases[i].reason)
			tap_eq_str(bad.reason, cases[i].reason, "and why");
		fl_badrows_release(&bad);
		fl_build_release(&w);
		fl_aggs_free(a);
	}
}

/* ---- oracles ------------------------------------------------------------ */

/* Rows that count, by arrival. */
struct list {
	const struct row *rows;
	const uint32_t *at;
	uint32_t n;
};

static const struct row *
item(const struct list *l, uint32_t i)
{
	return &l->rows[l->at[i]];
}

static struct fl_value
value_of(const struct cell *c)
{
	static uint32_t off[8][2];
	static int turn;
	struct fl_vec v = { .kind = FL_TEXT, .tag = (uint8_t)c->tag, .bytes = c->text };

	turn = (turn + 1) % 8;
	off[turn][0] = 0;
	off[turn][1] = (uint32_t)strlen(c->text);
	v.off = off[turn];
	v.bytes_len = off[turn][1];
	return fl_value_get(&v, 0);
}

/* By value, then the shorter text, then by bytes. */
static int
compare_cells(const struct cell *a, const struct cell *b)
{
	struct fl_value x = value_of(a), y = value_of(b);
	int c = fl_value_compare(&x, &y);

	if (c)
		return c;
	if (strlen(a->text) != strlen(b->text))
		return strlen(a->text) < strlen(b->text) ? -1 : 1;
	return strcmp(a->text, b->text);
}

static void
put_json(struct fl_buf *out, const struct cell *c)
{
	struct fl_value v = value_of(c);
	size_t n = strlen(c->text);
	bool number = v.type == FL_V_NUMBER && (*c->text != '0' || n == 1 || c->text[1] == '.');

	if (is_null(c)) {
		fl_buf_puts(out, "null");
	} else if (number || c->tag == FL_TAG_BOOL) {
		fl_buf_puts(out, c->text);
	} else {
		fl_buf_putc(out, '"');
		for (const char *p = c->text; *p; p++) {
			if (*p == '"')
				fl_buf_putc(out, '\\');
			fl_buf_putc(out, *p);
		}
		fl_buf_putc(out, '"');
	}
}

/* Values of y that are the same are one; how often, and when first. */
struct different {
	uint32_t n;
	uint32_t first[4096];
	uint32_t count[4096];
};

static void
find_different(const struct list *l, bool nulls, struct different *d)
{
	d->n = 0;
	for (uint32_t i = 0; i < l->n; i++) {
		const struct cell *y = &item(l, i)->y;
		uint32_t k = 0;

		if (is_null(y) && !nulls)
			continue;
		while (k < d->n && (is_null(y) != is_null(&item(l, d->first[k])->y) ||
				    strcmp(y->text, item(l, d->first[k])->y.text) != 0))
			k++;
		if (k == d->n) {
			d->first[d->n] = i;
			d->count[d->n++] = 0;
		}
		d->count[k]++;
	}
}

static int
by_cell(const void *a, const void *b)
{
	return compare_cells(*(const struct cell *const *)a, *(const struct cell *const *)b);
}

/* The xs that are not NULL, in order. */
static uint32_t
sorted_xs(const struct list *l, const struct cell **ret)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < l->n; i++)
		if (!is_null(&item(l, i)->x))
			ret[n++] = &item(l, i)->x;
	qsort(ret, n, sizeof *ret, by_cell);
	return n;
}

static struct fl_dec
dec_of(const struct cell *c)
{
	struct fl_dec d = { 0 };

	(void)fl_number_parse(c->text, strlen(c->text), &d);
	return d;
}

static void
put_dec(struct fl_buf *out, const struct fl_dec *d)
{
	char buf[FL_NUMBER_TEXT_MAX];

	fl_buf_put(out, buf, fl_number_format(d, buf));
}

typedef void (*oracle_fn)(const struct list *l, struct fl_buf *out);

static void
want_count(const struct list *l, struct fl_buf *out)
{
	fl_buf_printf(out, "%u", l->n);
}

static void
want_count_x(const struct list *l, struct fl_buf *out)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < l->n; i++)
		n += !is_null(&item(l, i)->x);
	fl_buf_printf(out, "%u", n);
}

static void
want_count_distinct(const struct list *l, struct fl_buf *out)
{
	static struct different d;

	find_different(l, false, &d);
	fl_buf_printf(out, "%u", d.n);
}

/* Sum and number of the xs that are more than least, or of all. */
static uint32_t
sum_xs(const struct list *l, const char *least, struct fl_dec *ret)
{
	struct fl_dec d, m = { 0 };
	uint32_t n = 0;

	*ret = m;
	if (least)
		(void)fl_number_parse(least, strlen(least), &m);
	for (uint32_t i = 0; i < l->n; i++) {
		if (is_null(&item(l, i)->x))
			continue;
		d = dec_of(&item(l, i)->x);
		if (least && fl_dec_compare(&d, &m) <= 0)
			continue;
		n++;
		(void)fl_dec_add(ret, &d, ret);
	}
	return n;
}

static void
want_sum(const struct list *l, struct fl_buf *out)
{
	struct fl_dec d;

	if (sum_xs(l, NULL, &d))
		put_dec(out, &d);
	else
		fl_buf_puts(out, "NULL");
}

static void
want_sum_filter(const struct list *l, struct fl_buf *out)
{
	struct fl_dec d;

	if (sum_xs(l, "5", &d))
		put_dec(out, &d);
	else
		fl_buf_puts(out, "NULL");
}

static void
want_count_filter(const struct list *l, struct fl_buf *out)
{
	struct fl_dec d;

	fl_buf_printf(out, "%u", sum_xs(l, "5", &d));
}

static void
want_avg(const struct list *l, struct fl_buf *out)
{
	struct fl_dec d, n;
	uint32_t count = sum_xs(l, NULL, &d);

	n = fl_dec_from_int(count);
	if (count && fl_dec_div(&d, &n, &d) == 0)
		put_dec(out, &d);
	else
		fl_buf_puts(out, "NULL");
}

static void
want_ratio(const struct list *l, struct fl_buf *out)
{
	struct fl_dec d, n = fl_dec_from_int(l->n);

	if (sum_xs(l, NULL, &d) && fl_dec_div(&d, &n, &d) == 0)
		put_dec(out, &d);
	else
		fl_buf_puts(out, "NULL");
}

static void
want_x_at(const struct list *l, struct fl_buf *out, uint32_t percent)
{
	const struct cell **x = fl_xcalloc(l->n, sizeof *x);
	uint32_t n = sorted_xs(l, x), k = (percent * n + 99) / 100;

	fl_buf_puts(out, n ? x[k ? k - 1 : 0]->text : "NULL");
	free(x);
}

static void
want_p0(const struct list *l, struct fl_buf *out)
{
	want_x_at(l, out, 0);
}

static void
want_p37(const struct list *l, struct fl_buf *out)
{
	want_x_at(l, out, 37);
}

static void
want_p99(const struct list *l, struct fl_buf *out)
{
	want_x_at(l, out, 99);
}

static void
want_median(const struct list *l, struct fl_buf *out)
{
	const struct cell **x = fl_xcalloc(l->n, sizeof *x);
	uint32_t n = sorted_xs(l, x);
	struct fl_dec a, b;

	if (n == 0) {
		fl_buf_puts(out, "NULL");
	} else if (n % 2) {
		fl_buf_puts(out, x[n / 2]->text);
	} else {
		a = dec_of(x[n / 2 - 1]);
		b = dec_of(x[n / 2]);
		if (fl_dec_compare(&a, &b) == 0) {
			fl_buf_puts(out, x[n / 2 - 1]->text);
		} else {
			uint32_t scale = a.scale > b.scale ? a.scale : b.scale;
			fl_int128 m;

			(void)fl_dec_add(&a, &b, &a);
			m = fl_dec_mantissa(&a);
			a = m % 2 ? fl_dec_make(m * 5, scale + 1) : fl_dec_make(m / 2, scale);
			put_dec(out, &a);
		}
	}
	free(x);
}

/* The first and last of y in order. */
static void
want_y_end(const struct list *l, struct fl_buf *out, int sign)
{
	const struct cell *best = NULL;

	for (uint32_t i = 0; i < l->n; i++) {
		const struct cell *y = &item(l, i)->y;

		if (!is_null(y) && (!best || compare_cells(y, best) * sign < 0))
			best = y;
	}
	fl_buf_puts(out, best ? best->text : "NULL");
}

static void
want_min_y(const struct list *l, struct fl_buf *out)
{
	want_y_end(l, out, 1);
}

static void
want_max_y(const struct list *l, struct fl_buf *out)
{
	want_y_end(l, out, -1);
}

static void
want_first(const struct list *l, struct fl_buf *out)
{
	uint32_t i = 0;

	while (i < l->n && is_null(&item(l, i)->y))
		i++;
	fl_buf_puts(out, i < l->n ? item(l, i)->y.text : "NULL");
}

static void
want_last(const struct list *l, struct fl_buf *out)
{
	uint32_t i = l->n;

	while (i > 0 && is_null(&item(l, i - 1)->y))
		i--;
	fl_buf_puts(out, i > 0 ? item(l, i - 1)->y.text : "NULL");
}

static void
want_arg(const struct list *l, struct fl_buf *out, int sign)
{
	const struct row *best = NULL;

	for (uint32_t i = 0; i < l->n; i++) {
		const struct row *r = item(l, i);
		struct fl_dec a, b;

		if (is_null(&r->x) || is_null(&r->y))
			continue;
		a = dec_of(&r->x);
		if (best)
			b = dec_of(&best->x);
		if (!best || fl_dec_compare(&a, &b) * sign < 0)
			best = r;
	}
	fl_buf_puts(out, best ? best->y.text : "NULL");
}

static void
want_arg_min(const struct list *l, struct fl_buf *out)
{
	want_arg(l, out, 1);
}

static void
want_arg_max(const struct list *l, struct fl_buf *out)
{
	want_arg(l, out, -1);
}

static void
want_array(const struct list *l, struct fl_buf *out)
{
	fl_buf_puts(out, l->n ? "[" : "NULL");
	for (uint32_t i = 0; i < l->n; i++) {
		if (i)
			fl_buf_putc(out, ',');
		put_json(out, &item(l, i)->y);
	}
	fl_buf_puts(out, l->n ? "]" : "");
}

static void
want_array_distinct(const struct list *l, struct fl_buf *out)
{
	static struct different d;

	find_different(l, true, &d);
	fl_buf_puts(out, d.n ? "[" : "NULL");
	for (uint32_t i = 0; i < d.n; i++) {
		if (i)
			fl_buf_putc(out, ',');
		put_json(out, &item(l, d.first[i])->y);
	}
	fl_buf_puts(out, d.n ? "]" : "");
}

static void
want_topk(const struct list *l, struct fl_buf *out)
{
	static struct different d;
	uint32_t shown = 0;

	find_different(l, false, &d);
	for (; shown < 3 && shown < d.n; shown++) {
		uint32_t best = 0;

		for (uint32_t i = 0; i < d.n; i++)
			if (d.count[i] > d.count[best])
				best = i;
		fl_buf_puts(out, shown ? "," : "[");
		put_json(out, &item(l, d.first[best])->y);
		d.count[best] = 0;
	}
	fl_buf_puts(out, shown ? "]" : "NULL");
}

static void
want_string(const struct list *l, struct fl_buf *out)
{
	bool any = false;

	for (uint32_t i = 0; i < l->n; i++) {
		if (is_null(&item(l, i)->y))
			continue;
		if (any)
			fl_buf_putc(out, '|');
		any = true;
		fl_buf_puts(out, item(l, i)->y.text);
	}
	fl_buf_puts(out, any ? "" : "NULL");
}

static void
want_truth(const struct list *l, struct fl_buf *out, bool any)
{
	uint32_t n[2] = { 0, 0 };

	for (uint32_t i = 0; i < l->n; i++)
		if (!is_null(&item(l, i)->b))
			n[item(l, i)->b.text[0] == 't']++;
	if (n[0] + n[1] == 0)
		fl_buf_puts(out, "NULL");
	else
		fl_buf_puts(out, (any ? n[1] > 0 : n[0] == 0) ? "true" : "false");
}

static void
want_and(const struct list *l, struct fl_buf *out)
{
	want_truth(l, out, false);
}

static void
want_or(const struct list *l, struct fl_buf *out)
{
	want_truth(l, out, true);
}

static const struct {
	const char *definition;
	oracle_fn want;
	bool retractable; /* with equal results: not where the first arrival decides a tie */
} oracles[] = {
	{ "n=count", want_count, true },
	{ "nx=count(x)", want_count_x, true },
	{ "dy=count(distinct y)", want_count_distinct, true },
	{ "ay=approx_count_distinct(y)", want_count_distinct, true }, /* few: exact */
	{ "s=sum(x)", want_sum, true },
	{ "a=avg(x)", want_avg, true },
	{ "r=sum(x) / count(*)", want_ratio, true },
	{ "sf=sum(x) filter (where x > 5)", want_sum_filter, true },
	{ "nf=count(*) filter (where x > 5)", want_count_filter, true },
	{ "p0=p0(x)", want_p0, true },
	{ "lo=min(x)", want_p0, true },
	{ "p37=p37(x)", want_p37, true },
	{ "p99=p99(x)", want_p99, true },
	{ "p99d=percentile_disc(0.99) within group (order by x)", want_p99, true },
	{ "m=median(x)", want_median, true },
	{ "my=min(y)", want_min_y, true },
	{ "xy=max(y)", want_max_y, true },
	{ "fy=first(y)", want_first, true },
	{ "ly=last(y)", want_last, true },
	{ "an=arg_min(y, x)", want_arg_min, true },
	{ "ax=arg_max(y, x)", want_arg_max, true },
	{ "arr=array_agg(y)", want_array, true },
	{ "ad=array_agg(distinct y)", want_array_distinct, false },
	{ "t=topk(y, 3)", want_topk, false },
	{ "sa=string_agg(y, '|')", want_string, true },
	{ "ba=bool_and(b)", want_and, true },
	{ "bo=bool_or(b)", want_or, true },
};

static struct texts
want_texts(const struct list *l, bool retract)
{
	struct texts t = { .text = fl_xcalloc(LEN(oracles), sizeof *t.text) };

	for (size_t i = 0; i < LEN(oracles); i++) {
		struct fl_buf out = { 0 };

		if (retract && !oracles[i].retractable)
			continue;
		oracles[i].want(l, &out);
		t.text[t.n++] = fl_xstrndup(out.data ? out.data : "", out.len);
		fl_buf_release(&out);
	}
	return t;
}

static struct fl_aggs *
oracle_aggs(bool retract)
{
	const char *definitions[LEN(oracles)];
	struct fl_err err = { 0 };
	struct fl_aggs *a;
	size_t n = 0;

	for (size_t i = 0; i < LEN(oracles); i++)
		if (!retract || oracles[i].retractable)
			definitions[n++] = oracles[i].definition;
	a = make_aggs(definitions, n, retract, &err);
	if (!a) {
		tap_ok(false, "the definitions are understood: %s", err.msg);
		exit(tap_done());
	}
	return a;
}

static uint32_t *
in_order(uint32_t n)
{
	uint32_t *at = fl_xcalloc(n, sizeof *at);

	for (uint32_t i = 0; i < n; i++)
		at[i] = i;
	return at;
}

/* Save what acc holds, clear it, and load it into a fresh one. */
static bool
save_and_load(struct fl_aggs *a, void *acc)
{
	struct fl_buf saved = { 0 }, again = { 0 };
	struct fl_err err;
	bool same;

	fl_aggs_save(a, acc, &saved);
	fl_aggs_clear(a, acc);
	same = fl_aggs_load(a, acc, saved.data, saved.len, &err) == 0;
	fl_aggs_save(a, acc, &again);
	same = same && again.len == saved.len;
	fl_buf_release(&saved);
	fl_buf_release(&again);
	return same;
}

/* In batches of random sizes, saved and loaded now and then. */
static bool
check_batches(const struct row *rows, uint32_t n)
{
	struct fl_aggs *a = oracle_aggs(false);
	uint32_t *at = in_order(n);
	void *acc = new_acc(a);
	struct fl_err err = { 0 };
	bool same = true;

	for (uint32_t done = 0; done < n && same;) {
		uint32_t more = 1 + below(n - done);

		same = add_to_one(a, rows, at + done, more, NULL, acc, done, &err) == 0;
		if (!same)
			printf("# %s\n", err.msg);
		if (below(2))
			same = same && save_and_load(a, acc);
		done += more;
		if (same) {
			struct list l = { rows, at, done };
			struct texts want = want_texts(&l, false), got;

			same = results(a, acc, &got, &err) == 0 && same_texts(a, &got, &want);
			free_texts(&want);
			free_texts(&got);
		}
	}
	free_acc(a, acc);
	same = same && fl_aggs_extra_bytes(a) == 0;
	fl_aggs_free(a);
	free(at);
	return same;
}

/* Spread over some accumulators, which are then merged in any order. */
static bool
check_merge(const struct row *rows, uint32_t n)
{
	enum { PARTS = 7 };
	struct fl_aggs *a = oracle_aggs(false);
	uint32_t *at = in_order(n), left = PARTS;
	void *part[PARTS], **accs = fl_xcalloc(n, sizeof *accs);
	struct list l = { rows, at, n };
	struct texts want = want_texts(&l, false), got = { 0 };
	struct fl_err err = { 0 };
	bool same;

	for (int i = 0; i < PARTS; i++)
		part[i] = new_acc(a);
	for (uint32_t i = 0; i < n; i++)
		accs[i] = part[below(PARTS)];
	same = add_batch(a, rows, at, n, NULL, accs, 1000, &err) == 0;
	while (same && left > 1) {
		uint32_t to = below(left), from = below(left);

		if (to == from)
			continue;
		same = fl_aggs_merge(a, part[to], part[from], &err) == 0;
		free_acc(a, part[from]);
		part[from] = part[--left];
	}
	same = same && results(a, part[0], &got, &err) == 0 && same_texts(a, &got, &want);
	for (uint32_t i = 0; i < left; i++)
		free_acc(a, part[i]);
	same = same && fl_aggs_extra_bytes(a) == 0;
	free_texts(&got);
	free_texts(&want);
	fl_aggs_free(a);
	free(accs);
	free(at);
	return same;
}

/* Whether taking back row a may remove row b instead: they are the same record. */
static bool
same_row(const struct row *a, const struct row *b)
{
	return strcmp(a->x.text, b->x.text) == 0 && strcmp(a->y.text, b->y.text) == 0 &&
	       is_null(&a->y) == is_null(&b->y) && strcmp(a->b.text, b->b.text) == 0;
}

/*
 * Records come and are taken back; the results must be those of what is left.
 * Of equal values the earliest is taken back, so records here either differ in
 * every column or are the same in all.
 */
static bool
check_retract(const struct row *from, uint32_t n)
{
	struct fl_aggs *a = oracle_aggs(true);
	struct row *rows = fl_xcalloc(n, sizeof *rows);
	uint32_t *live = fl_xcalloc(n, sizeof *live), left = 0;
	void *acc = new_acc(a);
	struct fl_err err = { 0 };
	bool same = true;

	for (uint32_t i = 0; i < n && same; i++) {
		uint8_t op = below(2) ? FL_UPDATE_AFTER : FL_INSERT;
		uint32_t row_at = i, k = 0;

		rows[i] = from[i];
		for (uint32_t e = 0; e < i; e++) /* the same y: the same record */
			if (strcmp(rows[e].y.text, rows[i].y.text) == 0 &&
			    is_null(&rows[e].y) == is_null(&rows[i].y)) {
				rows[i] = rows[e];
				break;
			}
		if (left && below(5) < 2) {
			op = below(2) ? FL_UPDATE_BEFORE : FL_DELETE;
			row_at = live[below(left)];
			while (!same_row(&rows[live[k]], &rows[row_at]))
				k++;
			left--;
			memmove(live + k, live + k + 1, (left - k) * sizeof *live);
		} else {
			live[left++] = i;
		}
		same = add_to_one(a, rows, &row_at, 1, &op, acc, i, &err) == 0;
		if (below(20) == 0)
			same = same && save_and_load(a, acc);
		if (same && (below(10) == 0 || i + 1 == n || left == 0)) {
			struct list l = { rows, live, left };
			struct texts want = want_texts(&l, true), got = { 0 };

			same = results(a, acc, &got, &err) == 0 && same_texts(a, &got, &want);
			free_texts(&want);
			free_texts(&got);
		}
	}
	free_acc(a, acc);
	same = same && fl_aggs_extra_bytes(a) == 0;
	fl_aggs_free(a);
	free(rows);
	free(live);
	return same;
}

static void
test_random(void)
{
	static const char *const names[] = { "small integers", "integers", "decimals",
					     "long decimals" };

	for (int kind = 0; kind < NUMBERS; kind++) {
		bool batches = true, merge = true, retract = true;

		for (int round = 0; round < 30; round++) {
			uint32_t n = 1 + below(round % 5 ? 60 : 1500);
			struct row *rows = random_rows(n, (enum numbers)kind);

			batches = batches && check_batches(rows, n);
			merge = merge && check_merge(rows, n);
			retract = retract && check_retract(rows, n < 400 ? n : 400);
			free(rows);
		}
		tap_ok(batches, "%s: as computed by hand, in any batches, saved and loaded",
		       names[kind]);
		tap_ok(merge, "%s: parts merged in any order are the whole", names[kind]);
		tap_ok(retract, "%s: what is taken back might never have come", names[kind]);
	}
}

/* ---- sums --------------------------------------------------------------- */

static void
test_sum_order(void)
{
	static const char *const definitions[] = { "s=sum(x)", "a=avg(x)", "p=approx_p90(x)",
						   "m=min(x)", "q=p90(x)", "v=var(x)",
						   "d=stddev(x)" };
	bool same = true;

	for (int round = 0; round < 60 && same; round++) {
		uint32_t n = 2 + below(200), *at = in_order(n);
		struct row *rows = random_rows(n, (enum numbers)(round % NUMBERS));
		size_t count = LEN(definitions) - (round % 7 ? 0 : 2); /* var: doubles then */
		struct texts first = { 0 };

		for (uint32_t i = 0; round % 7 == 0 && i < n; i += 10)
			strcpy(rows[i].x.text, "99999999999999999999999999999999999999");
		for (uint32_t i = 5; round % 7 == 0 && i + 1 < n; i += 10)
			strcpy(rows[i].x.text, "-99999999999999999999999999999999999999");
		for (int order = 0; order < 4 && same; order++) {
			struct fl_err err = { 0 };
			struct fl_aggs *a = make_aggs(definitions, count, order == 3, &err);
			void *acc = new_acc(a);
			struct texts t = { 0 };
			int rc;

			rc = add_to_one(a, rows, at, n, NULL, acc, 0, &err);
			rc = rc < 0 ? rc : results(a, acc, &t, &err);
			if (rc < 0) {
				t = (struct texts){ .n = 1, .text = fl_xcalloc(1, sizeof *t.text) };
				t.text[0] = fl_xstrdup(err.msg);
			}
			if (order == 0)
				first = t;
			else
				same = same_texts(a, &t, &first);
			if (order)
				free_texts(&t);
			free_acc(a, acc);
			fl_aggs_free(a);
			for (uint32_t i = n; i > 1; i--) {
				uint32_t k = below(i), was = at[k];

				at[k] = at[i - 1];
				at[i - 1] = was;
			}
		}
		free_texts(&first);
		free(rows);
		free(at);
	}
	tap_ok(same, "sums, averages and variances do not depend on the order");
}

/* A changelog's sum prints as if what was taken back had never been there. */
static void
test_sum_scale(void)
{
	static const char *const definitions[] = { "s=sum(x)", "m=max(x)", "v=var(x)" };
	const struct row rows[] = { row("2", "", ""), row("1.10", "", ""), row("1.10", "", ""),
				    row("1e100", "", ""), row("1e100", "", ""), row("NaN", "", ""),
				    row("NaN", "", ""), row("2", "", ""), row("7", "", "") };
	static const uint8_t op[] = { FL_INSERT, FL_INSERT, FL_DELETE, FL_INSERT, FL_DELETE,
				      FL_INSERT, FL_DELETE, FL_UPDATE_BEFORE, FL_DELETE };
	static const char *const want[] = { "2", "3.10", "2", "1e+100", "2", "NaN", "2", "NULL",
					    "NULL" };
	struct fl_err err = { 0 };
	struct fl_aggs *a = make_aggs(definitions, 3, true, &err);
	void *acc = new_acc(a);

	for (uint32_t i = 0; i < LEN(rows); i++) {
		struct texts t = { 0 };

		tap_eq_int(add_to_one(a, &rows[i], NULL, 1, &op[i], acc, i, &err), 0, "added");
		tap_eq_int(results(a, acc, &t, &err), 0, "result");
		tap_eq_str(t.text[0], want[i], "the sum after %s of %s", op[i] ? "loss" : "arrival",
			   rows[i].x.text);
		free_texts(&t);
	}
	free_acc(a, acc);
	tap_eq_int((int64_t)fl_aggs_extra_bytes(a), 0, "no memory is left");
	fl_aggs_free(a);
}

/* Sample variance against the textbook's two passes. */
static void
test_variance(void)
{
	static const char *const definitions[] = { "v=var(x)", "d=stddev(x)", "p=var_pop(x)" };
	bool near = true;

	for (int round = 0; round < 200 && near; round++) {
		uint32_t n = 2 + below(300), count = 0;
		struct row *rows = random_rows(n, (enum numbers)(round % NUMBERS));
		struct fl_err err = { 0 };
		struct fl_aggs *a = make_aggs(definitions, 3, false, &err);
		void *acc = new_acc(a);
		struct texts t = { 0 };
		long double mean = 0, m2 = 0;

		if (round % 3 == 0)
			strcpy(rows[0].x.text, "1.5e60"); /* a double among them */
		for (uint32_t i = 0; i < n; i++)
			if (!is_null(&rows[i].x)) {
				mean += strtold(rows[i].x.text, NULL);
				count++;
			}
		mean /= count ? count : 1;
		for (uint32_t i = 0; i < n; i++)
			if (!is_null(&rows[i].x)) {
				long double d = strtold(rows[i].x.text, NULL) - mean;

				m2 += d * d;
			}
		near = add_to_one(a, rows, NULL, n, NULL, acc, 0, &err) == 0 &&
		       results(a, acc, &t, &err) == 0;
		if (near && count > 1) {
			long double v = m2 / (count - 1), p = m2 / count;

			near = fabsl(strtold(t.text[0], NULL) - v) <= 1e-9L * v &&
			       fabsl(strtold(t.text[1], NULL) - sqrtl(v)) <= 1e-9L * sqrtl(v) &&
			       fabsl(strtold(t.text[2], NULL) - p) <= 1e-9L * p;
			if (!near)
				printf("# %s, want %Lg of %u\n", t.text[0], v, count);
		}
		free_texts(&t);
		free_acc(a, acc);
		fl_aggs_free(a);
		free(rows);
	}
	tap_ok(near, "var and stddev as computed in two passes");
}

/* ---- approximations ----------------------------------------------------- */

/* One column of 64-bit integers, all into one accumulator. */
static int
add_ints(struct fl_aggs *a, const int64_t *v, uint32_t n, void *acc, struct fl_err *err)
{
	struct fl_vec col[COLUMNS];
	struct fl_batch b = { .rows = n, .cols = COLUMNS, .col = col };
	struct fl_badrows bad = { 0 };
	void **accs = fl_xcalloc(n, sizeof *accs);
	int rc;

	for (int c = 0; c < COLUMNS; c++) {
		col[c] = (struct fl_vec){ .kind = FL_INT64 };
		col[c].i64 = v;
	}
	for (uint32_t i = 0; i < n; i++)
		accs[i] = acc;
	rc = fl_aggs_prepare(a, &b, &bad, err);
	rc = rc < 0 ? rc : fl_aggs_add(a, accs, NULL, 0, n, 0, err);
	fl_badrows_release(&bad);
	free(accs);
	return rc;
}

static void
test_count_distinct_error(void)
{
	static const char *const definitions[] = { "n=approx_count_distinct(x)" };
	struct fl_err err = { 0 };
	struct fl_aggs *a = make_aggs(definitions, 1, false, &err);
	double squares = 0, worst = 0;
	int sizes = 0;
	bool exact = true;

	for (uint32_t n = 1; n < 400000; n += 1 + n / 4) {
		for (int turn = 0; turn < 3; turn++) {
			int64_t *v = fl_xcalloc(n, sizeof *v);
			void *acc = new_acc(a), *other = new_acc(a);
			struct texts t = { 0 };
			double error;

			for (uint32_t i = 0; i < n; i++)
				v[i] = (int64_t)i * 7 + (int64_t)turn * 1000000007;
			(void)add_ints(a, v, n / 2, acc, &err);
			(void)add_ints(a, v + n / 3, n - n / 3, other, &err); /* they overlap */
			(void)save_and_load(a, other);
			(void)fl_aggs_merge(a, acc, other, &err);
			(void)results(a, acc, &t, &err);
			error = (strtod(t.text[0], NULL) - n) / n;
			exact = exact && (n > 1536 || error == 0);
			if (n > 1536) {
				squares += error * error;
				sizes++;
				worst = fabs(error) > worst ? fabs(error) : worst;
			}
			free_texts(&t);
			free_acc(a, acc);
			free_acc(a, other);
			free(v);
		}
	}
	tap_ok(exact, "up to 1536 different values approx_count_distinct is exact");
	tap_ok(sqrt(squares / sizes) < 0.0081 * 1.3, "its standard error is near 0.81 %% (%.2f %%)",
	       100 * sqrt(squares / sizes));
	tap_ok(worst < 0.0081 * 4, "and the worst below four times that (%.2f %%)", 100 * worst);
	tap_eq_int((int64_t)fl_aggs_extra_bytes(a), 0, "no memory is left");
	fl_aggs_free(a);
}

static int
by_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
random_double(int kind)
{
	double u = (double)(random64() >> 11) / 0x1p53;

	switch (kind) {
	case 0:
		return u * 1000;
	case 1:
		return exp(u * 40 - 20);
	case 2:
		return u < 0.1 ? 0 : (u - 0.5) * 1e6;
	default:
		return (double)(1 + below(100));
	}
}

static void
test_percentile_error(void)
{
	static const char *const definitions[] = {
		"a=approx_p0(x)", "b=approx_p1(x)", "c=approx_p50(x)", "d=approx_p90(x)",
		"e=approx_p99(x)", "f=approx_p99_9(x)", "g=approx_p100(x)",
	};
	static const double percent[] = { 0, 1, 50, 90, 99, 99.9, 100 };
	double worst = 0;

	for (int round = 0; round < 40; round++) {
		uint32_t n = 1 + below(round % 2 ? 100 : 20000);
		double *v = fl_xcalloc(n, sizeof *v);
		struct row *rows = fl_xcalloc(n, sizeof *rows);
		struct fl_err err = { 0 };
		struct fl_aggs *a = make_aggs(definitions, LEN(percent), false, &err);
		void *acc = new_acc(a), *other = new_acc(a);
		struct texts t = { 0 };

		for (uint32_t i = 0; i < n; i++) {
			(void)snprintf(rows[i].x.text, sizeof rows[i].x.text, "%.17g",
				       random_double(round % 4));
			v[i] = strtod(rows[i].x.text, NULL);
		}
		(void)add_to_one(a, rows, NULL, n / 2, NULL, acc, 0, &err);
		(void)add_to_one(a, rows + n / 2, NULL, n - n / 2, NULL, other, 0, &err);
		(void)save_and_load(a, acc);
		(void)fl_aggs_merge(a, acc, other, &err);
		(void)results(a, acc, &t, &err);
		qsort(v, n, sizeof *v, by_double);
		for (size_t p = 0; p < LEN(percent); p++) {
			double rank = ceil(percent[p] * n / 100 - 1e-9);
			double want = v[rank < 1 ? 0 : (int)rank - 1];
			double got = strtod(t.text[p], NULL);
			double error = want == 0 ? fabs(got) : fabs(got - want) / fabs(want);

			worst = error > worst ? error : worst;
		}
		free_texts(&t);
		free_acc(a, acc);
		free_acc(a, other);
		fl_aggs_free(a);
		free(rows);
		free(v);
	}
	tap_ok(worst <= 0.01, "approx_pNN is within 1 %% of the exact one (%.3f %%)", 100 * worst);
}

/* Results asked for again and again while values come: sorting, then keeping order. */
static void
test_percentile_updates(void)
{
	enum { MOST = 4000 };
	static const char *const definitions[] = { "p=p90(x)", "m=median(x)", "d=p50(distinct x)" };
	struct fl_err err = { 0 };
	struct fl_aggs *a = make_aggs(definitions, 3, false, &err);
	struct row *rows = fl_xcalloc(MOST, sizeof *rows);
	void *acc = new_acc(a);
	double *v = fl_xcalloc(MOST, sizeof *v);
	bool same = true;

	for (uint32_t n = 0; n < MOST && same;) {
		uint32_t more = n < 2000 ? 500 : 1 + below(7);
		struct texts t = { 0 };
		double median;

		more = more > MOST - n ? MOST - n : more;
		for (uint32_t i = n; i < n + more; i++) {
			v[i] = below(100000);
			rows[i] = row("", "", "");
			(void)snprintf(rows[i].x.text, sizeof rows[i].x.text, "%g", v[i]);
		}
		same = add_to_one(a, rows + n, NULL, more, NULL, acc, n, &err) == 0 &&
		       results(a, acc, &t, &err) == 0;
		n += more;
		qsort(v, n, sizeof *v, by_double);
		median = n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
		same = same && strtod(t.text[0], NULL) == v[(n * 90 + 99) / 100 - 1] &&
		       strtod(t.text[1], NULL) == median;
		free_texts(&t);
	}
	tap_ok(same, "percentiles of a growing set");
	free_acc(a, acc);
	tap_eq_int((int64_t)fl_aggs_extra_bytes(a), 0, "no memory is left");
	fl_aggs_free(a);
	free(rows);
	free(v);
}

/* ---- hostile bytes ------------------------------------------------------ */

static void
test_damaged(void)
{
	struct row *rows = random_rows(300, DECIMALS);
	uint32_t loaded = 0, refused = 0;
	bool tidy = true;

	for (int retract = 0; retract < 2; retract++) {
		struct fl_aggs *a = oracle_aggs(retract);
		void *acc = new_acc(a), *other = new_acc(a);
		struct fl_err err = { 0 };
		struct fl_buf saved = { 0 };
		size_t bytes;

		(void)add_to_one(a, rows, NULL, 300, NULL, acc, 0, &err);
		fl_aggs_save(a, acc, &saved);
		bytes = fl_aggs_extra_bytes(a);
		for (int i = 0; i < 6000; i++) {
			char *copy = fl_xstrndup(saved.data, saved.len);
			size_t n = i % 3 ? saved.len : below((uint32_t)saved.len);
			struct texts t = { 0 };

			for (uint32_t k = below(4); i % 3 && k < 4; k++)
				copy[below((uint32_t)n)] = (char)random64();
			if (fl_aggs_load(a, other, copy, n, &err) == 0) {
				/* what it says may be nonsense, using it must be safe */
				loaded++;
				(void)results(a, other, &t, &err);
				(void)fl_aggs_merge(a, other, acc, &err);
				free_texts(&t);
				t = (struct texts){ 0 };
				(void)results(a, other, &t, &err);
				free_texts(&t);
			} else {
				refused += err.code == FL_EDATA;
			}
			fl_aggs_clear(a, other);
			tidy = tidy && fl_aggs_extra_bytes(a) == bytes;
			free(copy);
		}
		fl_buf_release(&saved);
		free_acc(a, acc);
		free_acc(a, other);
		fl_aggs_free(a);
	}
	tap_ok(tidy, "damaged accumulators leave no memory behind");
	tap_ok(loaded + refused == 12000 && refused > 4000,
	       "they are refused, or harmless (%u, %u)", refused, loaded);
	free(rows);
}

/* ---- the rest ----------------------------------------------------------- */

/* JSONL may grow columns: unknown ones are NULL until they come. */
static void
test_late_columns(void)
{
	struct fl_aggs *a = fl_aggs_new(NULL);
	struct fl_header h;
	struct fl_err err = { 0 };
	struct row rows[] = { row("1", "2", "") };
	struct texts t = { 0 };
	void *acc;

	make_header(&h);
	h.format = fl_xstrdup("jsonl");
	tap_eq_int(fl_aggs_define(a, "s=sum(late)", &err), 0, "defined");
	tap_eq_int(fl_aggs_define(a, "c=count(never) + count(late)", &err), 0, "defined");
	tap_eq_int(fl_aggs_bind(a, &h, false, &err), 0, "bound without the columns");
	tap_eq_str(fl_aggs_unseen(a, 0), "late", "one never came");
	tap_eq_str(fl_aggs_unseen(a, 1), "never", "another");
	tap_eq_str(fl_aggs_unseen(a, 2), NULL, "no more");
	acc = new_acc(a);
	tap_eq_int(add_to_one(a, rows, NULL, 1, NULL, acc, 0, &err), 0, "a record without it");
	h.columns[2].name[0] = 'Y';
	free(h.columns[2].name);
	h.columns[2].name = fl_xstrdup("late");
	h.columns[2].name_len = 4;
	tap_eq_int(fl_aggs_bind(a, &h, false, &err), 0, "bound again");
	tap_eq_int(add_to_one(a, rows, NULL, 1, NULL, acc, 1, &err), 0, "a record with it");
	tap_eq_int(results(a, acc, &t, &err), 0, "results");
	tap_eq_str(t.text[0], "2", "the sum of what came");
	tap_eq_str(t.text[1], "1", "and its number");
	tap_eq_str(fl_aggs_unseen(a, 0), "never", "one still has not come");
	tap_eq_str(fl_aggs_unseen(a, 1), NULL, "the other has");
	free_texts(&t);
	free_acc(a, acc);
	fl_aggs_free(a);
	fl_header_release(&h);
}

static void
test_sizes(void)
{
	static const char *const two[] = { "n=count", "s=sum(x)" };
	static const char *const shared[] = { "a=sum(x)", "b=avg(x)", "c=sum(x)/count(*)",
					      "d=count" };
	static const char *const ordered[] = { "a=first(x)" };
	struct fl_err err = { 0 };
	struct fl_aggs *a = make_aggs(two, 2, false, &err);

	tap_eq_int((int64_t)fl_aggs_size(a), 32, "count and sum take 32 bytes");
	tap_ok(fl_aggs_order_free(a), "and do not depend on the order");
	tap_eq_int(fl_aggs_kind(a, 0), FL_INT64, "a count is an integer");
	tap_eq_str(fl_aggs_name(a, 1), "s", "names are kept");
	fl_aggs_free(a);
	a = make_aggs(shared, 4, false, &err);
	tap_eq_int((int64_t)fl_aggs_size(a), 32, "calls that need the same share it");
	fl_aggs_free(a);
	a = make_aggs(ordered, 1, false, &err);
	tap_ok(!fl_aggs_order_free(a), "first goes by arrival");
	fl_aggs_free(a);
}

/* Portions of a batch, by row numbers and by range. */
static void
test_portions(void)
{
	static const char *const definitions[] = { "n=count", "s=sum(x)", "a=array_agg(x)" };
	const struct row rows[] = { row("1", "", ""), row("2", "", ""), row("3", "", ""),
				    row("4", "", "") };
	const uint32_t some[] = { 3, 0 };
	struct fl_err err = { 0 };
	struct fl_aggs *a = make_aggs(definitions, 3, false, &err);
	void *acc = new_acc(a), *accs[2] = { acc, acc };
	struct fl_badrows bad = { 0 };
	struct fl_build w;
	struct texts t = { 0 };

	build_rows(&w, rows, NULL, 4, NULL);
	tap_eq_int(fl_aggs_prepare(a, fl_build_view(&w), &bad, &err), 0, "prepared");
	tap_eq_int(fl_aggs_add(a, accs, some, 0, 2, 0, &err), 0, "two by number");
	tap_eq_int(fl_aggs_add(a, accs, NULL, 2, 1, 0, &err), 0, "one by range");
	tap_eq_int(results(a, acc, &t, &err), 0, "results");
	tap_eq_str(t.text[0], "3", "count");
	tap_eq_str(t.text[1], "8", "sum");
	tap_eq_str(t.text[2], "[1,3,4]", "in the order of arrival");
	free_texts(&t);
	fl_badrows_release(&bad);
	fl_build_release(&w);
	free_acc(a, acc);
	fl_aggs_free(a);
}

int
main(void)
{
	test_known();
	test_known_empty();
	test_known_numbers();
	test_refused();
	test_bad_records();
	test_random();
	test_sum_order();
	test_sum_scale();
	test_variance();
	test_count_distinct_error();
	test_percentile_error();
	test_percentile_updates();
	test_damaged();
	test_late_columns();
	test_sizes();
	test_portions();
	return tap_done();
}
