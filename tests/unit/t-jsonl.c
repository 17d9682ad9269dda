/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Lines: what is accepted and refused, what comes out of it, and back. */
#include <stdlib.h>

#include "format/formats.h"
#include "format/json_walk.h"
#include "stream/number.h"

#include "tap.h"

#define RECORD_MAX FL_MIB(16)

/* ---- the grammar ------------------------------------------------------ */

struct vector {
	const char *p;
	size_t n;
};
/* clang-format off */
#define V(s) { s, sizeof(s) - 1 }

static const struct vector accepted[] = {
	/* scalars */
	V("0"), V("-0"), V("1"), V("-1"), V("10"), V("1234567"), V("12345678"), V("123456789"),
	V("-12345678"), V("0.5"), V("-0.5"), V("1.10"), V("0e1"), V("0e+1"), V("0E-1"), V("1e5"),
	V("1E05"), V("1.5e+300"), V("1e400"), V("-1e-400"), V("0.00000000000000000000000000001"),
	V("123456789012345678901234567890123456789012345678901234567890"),
	V("-9223372036854775809"), V("18446744073709551616"), V("true"), V("false"), V("null"),
	V("\"\""), V("\"a\""), V("\"abcdefghijklmnopqrstuvwxyz\""), V("\" \""), V("\"\\\"\""),
	V("\"\\\\\""), V("\"\\/\\b\\f\\n\\r\\t\""), V("\"\\u0000\""), V("\"\\u00e9\\u00E9\""),
	V("\"\\ud83d\\ude00\""), V("\"\\uD834\\udd1e\""), V("\"\\uffff\""), V("\"\\\\u000a\""),
	V("\"\x7f\""), V("\"\xc3\xa9\""), V("\"\xe2\x82\xac\""), V("\"\xf0\x9f\x98\x80\""),
	V("\"\xf4\x8f\xbf\xbf\""), V("\"\xe2\x80\xa8\xe2\x80\xa9\""), V("\"{[,:]}\""),
	V("\"\\\\\\\\\\\\\""), V("\"a\\\\\""), V("\"// no comment\""),
	/* white space */
	V(" 1"), V("1 "), V("\t1\t"), V("\n1\n"), V("\r\n1\r\n"), V("  \"a\"  "), V(" { } "),
	V(" [ ] "), V("[ 1 , 2 ]"), V("{ \"a\" : 1 , \"b\" : 2 }"), V("[\n1,\n2\n]"),
	/* arrays */
	V("[]"), V("[[]]"), V("[[],[]]"), V("[1]"), V("[1,2,3]"), V("[\"a\",1,true,null,{}]"),
	V("[[[[[[[[]]]]]]]]"), V("[[],[[]],[[[]]]]"), V("[0]"), V("[-1]"), V("[1e1]"), V("[\"]\"]"),
	V("[false]"), V("[[1,2],[3,4]]"), V("[{\"a\":1},{\"a\":2}]"),
	/* objects */
	V("{}"), V("{\"a\":1}"), V("{\"a\":1,\"b\":2}"), V("{\"a\":1,\"a\":2}"), V("{\"\":0}"),
	V("{\"a\":{}}"), V("{\"a\":[]}"), V("{\"a\":{\"b\":{\"c\":{}}}}"), V("{\"a\\nb\":1}"),
	V("{\"\\u0061\":1}"), V("{\"\\u0000\":1}"), V("{\"a\":\"\"}"), V("{\"a\":[{\"b\":[]}]}"),
	V("{\"\xc3\xa9\":1}"), V("{\"a b\":1}"), V("{\"{\":\"}\"}"), V("{\"a\":true,\"b\":null}"),
	V("{\"long key that is longer than sixteen bytes\":1}"),
};

static const struct vector refused[] = {
	/* nothing */
	V(""), V(" "), V("\n"), V("\xef\xbb\xbf"), V("\xef\xbb\xbf{}"),
	/* numbers */
	V("-"), V("+1"), V("01"), V("00"), V("-01"), V("-00"), V("1."), V(".5"), V("-.5"),
	V("1.e1"),
	V("1e"), V("1e+"), V("1e-"), V("1E"), V("1ee5"), V("1e5.5"), V("1.2.3"), V("1_000"),
	V("0x10"),
	V("0b1"), V("0o7"), V("1f"), V("1L"), V("NaN"), V("nan"), V("Infinity"), V("-Infinity"),
	V("inf"), V("- 1"), V("--1"), V("1-"), V("1+1"), V("1 2"), V("1,2"), V("0123456789"),
	V("012"), V("12345678a"), V("1234567a"), V("a1234567"), V("1,"), V("\xef\xbc\x91"), V("1a"),
	V("2147483648x"), V("0.1.2e1"), V("1e1e1"), V("1/2"), V("1:"), V("9\xe2\x82\xac"),
	/* words */
	V("tru"), V("truee"), V("True"), V("TRUE"), V("fals"), V("falsee"), V("nul"), V("nulll"),
	V("Null"), V("undefined"), V("t"), V("n"), V("f"), V("yes"), V("true false"),
	V("truefalse"),
	V("a"), V("@"), V("#"), V("*"), V("'a'"), V("`a`"), V("// a"), V("/**/1"), V("1//a"),
	V("true,"), V("null\0"), V("\0"), V("\x01"), V("\x7f"), V("\f1"), V("\v1"), V("1\f"),
	V("\xc2\xa0\x31"), V("\xe2\x80\xa8\x31"), V("nu ll"), V("$"), V("<a>"), V("\xff"),
	V("\x1a"),
	/* strings */
	V("\""), V("\"a"), V("a\""), V("\"a\"b"), V("\"a\"\"b\""), V("\"a\" \"b\""), V("\"\\\""),
	V("\"\\a\""), V("\"\\x41\""), V("\"\\'\""), V("\"\\0\""), V("\"\\u\""), V("\"\\u1\""),
	V("\"\\u123\""), V("\"\\u12g4\""), V("\"\\U0041\""), V("\"\\u 041\""), V("\"\\ud800\""),
	V("\"\\udc00\""), V("\"\\ud800\\ud800\""), V("\"\\ud800x\""), V("\"\\ud800\\u0041\""),
	V("\"\\ud83d\\n\""), V("\"\n\""), V("\"\t\""), V("\"\r\""), V("\"\0\""), V("\"a\x1f\""),
	V("\"\x80\""), V("\"\xff\""), V("\"\xc3\""), V("\"\xc3\x28\""), V("\"\xc0\x80\""),
	V("\"\xed\xa0\x80\""), V("\"\xe2\x82\""), V("\"\xf0\x9f\x98\""), V("\"\xf5\x80\x80\x80\""),
	V("\"\xf4\x90\x80\x80\""), V("\"\xf8\x88\x80\x80\x80\""), V("\"\xe0\x80\x80\""),
	V("\"\\\xc3\xa9\""), V("\"\\\n\""), V("\\\"a\\\""), V("\"a\\"), V("\"a\\\\\\\""),
	/* arrays */
	V("["), V("]"), V("[1"), V("1]"), V("[1,"), V("[1,]"), V("[,]"), V("[,1]"), V("[1,,2]"),
	V("[1 2]"), V("[1:2]"), V("[1;2]"), V("[[1]"), V("[1]]"), V("[}"), V("[1}"), V("[{]"),
	V("[{]}"), V("[\"a\""), V("[\"a\","), V("[\"a\" \"b\"]"), V("[a]"), V("[01]"), V("[1.]"),
	V("[tru]"), V("[\"\\x\"]"), V("[-]"), V("[][]"), V("[],"), V("[]x"), V("[:]"),
	V("[\"a\":1]"),
	V("[\"\\"), V("[[[[[[[["), V("[]]"), V("[1,2,3"), V("[\"a]"), V("[nul]"), V("[+1]"),
	/* objects */
	V("{"), V("}"), V("{\"a\""), V("{\"a\":"), V("{\"a\":1"), V("{\"a\":1,"), V("{\"a\":1,}"),
	V("{,}"), V("{,\"a\":1}"), V("{\"a\":1,,\"b\":2}"), V("{\"a\":1 \"b\":2}"), V("{\"a\" 1}"),
	V("{\"a\",1}"), V("{\"a\"}"), V("{a:1}"), V("{'a':1}"), V("{1:1}"), V("{null:1}"),
	V("{\"a\"::1}"), V("{\"a\":1:2}"), V("{:1}"), V("{\"a\":}"), V("{\"a\":,}"), V("{[]:1}"),
	V("{{}:1}"), V("{\"a\":1]"), V("{]"), V("{\"a\":{}"), V("{\"a\":1}}"), V("{\"a\":1}{}"),
	V("{}{}"), V("{}x"), V("{},"), V("{} 1"), V("{\"a\":01}"), V("{\"a\":tru}"), V("{\"a\":a}"),
	V("{\"a\":\"\\x\"}"), V("{\"\\x\":1}"), V("{\"\\ud800\":1}"), V("{\"a\":1}\0"),
	V("{\"a\":{\"b\":1}"), V("{\"a\":{\"b\":tru}}"), V("{\"a\":{\"b\" 1}}"), V("{\"a\":[1,]}"),
	V("{\"a\":{\"b\":[{\"c\":01}]}}"), V("{\"a\":{\"\\q\":1}}"), V("{\"a\":{b:1}}"),
	V("{\"a\":[\"\\u12\"]}"), V("{\"a\":1 ]"), V("{\"a\":\"b}"), V("{\"a\":[}"), V("{\"a\":{]"),
	V("{\"a\":1}/**/"), V("{\"a\":/**/1}"), V("{\"a\":1}#"), V("{\"a\":1};"), V("{\"\n\":1}"),
	V("\xef\xbb\xbf{\"a\":1}"), V("{\"a\":.1}"), V("{\"a\":-}"), V("{\"a\":NaN}"),
};

/* clang-format on */

static bool
valid(const char *p, size_t n)
{
	char *exact = fl_xmalloc(n); /* so that a sanitizer sees reads behind it */
	bool ok;

	memcpy(exact, p, n);
	ok = fl_json_walk_valid(exact, n);
	free(exact);
	return ok;
}

/* simdjson's own verdict; true also where it only finds a number too large. */
static bool
second_opinion(const char *p, size_t n)
{
	const char *wrong = fl_json_simdjson()->second_opinion(p, n);

	return !wrong || strstr(wrong, "parsing a number");
}

static void
test_grammar(void)
{
	const struct vector *v;

	for (v = accepted; v < accepted + FL_ARRAY_LEN(accepted); v++) {
		tap_ok(valid(v->p, v->n), "accepted: %zu %.40s", (size_t)(v - accepted), v->p);
		tap_ok(second_opinion(v->p, v->n), "and by simdjson's DOM");
	}
	for (v = refused; v < refused + FL_ARRAY_LEN(refused); v++) {
		size_t n = v->n;

		tap_ok(!valid(v->p, n), "refused: vector %zu", (size_t)(v - refused));
		tap_ok(fl_json_simdjson()->second_opinion(v->p, n) != NULL,
		       "and by simdjson's DOM");
	}
}

/* Every prefix of a JSON text in brackets is refused. */
static void
test_prefixes(void)
{
	static const char text[] =
		"{\"a\":[1,2.5e3,true,{\"b\\u0041\":\"x\\\\\"},[],{}],\"c\":null}";
	size_t n = sizeof text - 1, i;

	for (i = 0; i < n && !valid(text, i); i++)
		;
	tap_eq_int((int64_t)i, (int64_t)n, "no prefix is accepted");
	tap_ok(valid(text, n), "the whole is");
}

static void
test_depth(void)
{
	static const unsigned depths[] = { 1, 63, 64, 65, 1023, 1024, 1025, 2000, 100000 };

	for (size_t i = 0; i < FL_ARRAY_LEN(depths); i++) {
		size_t n = depths[i];
		char *text = fl_xmalloc(8 * n + 1);
		size_t len = 0;

		memset(text, '[', n);
		memset(text + n, ']', n);
		tap_ok(valid(text, 2 * n) == (n <= 1024), "%zu arrays", n);
		tap_ok(!valid(text, n), "%zu open arrays", n);
		for (size_t k = 0; k < n; k++, len += 5)
			memcpy(text + len, "{\"a\":", 5);
		text[len++] = '1';
		memset(text + len, '}', n);
		tap_ok(valid(text, len + n) == (n <= 1024), "%zu objects", n);
		text[len] = ']';
		tap_ok(!valid(text, len + n), "%zu objects and a wrong end", n);
		free(text);
	}
}

/* ---- reading ---------------------------------------------------------- */

/* What a text gave, one line a record, as text to compare. */
struct outcome {
	struct fl_buf dump;
	struct fl_err err;
	uint32_t columns;
	unsigned batches;
};

static const char tag_letters[FL_TAGS] = { 'p', 's', 'n', 'b', '0', '-', 'o', 'a' };

static void
dump_row(struct fl_buf *out, const struct fl_header *h, const struct fl_batch *b, uint32_t row)
{
	fl_buf_printf(out, "%u:", (unsigned)(b->line + row));
	for (uint32_t c = 0; c < h->column_count; c++) {
		const struct fl_vec *v = fl_batch_col(b, c);
		enum fl_tag tag = fl_tag_of(v, row);
		size_t n;
		const char *p = fl_text(v, row, &n);

		if (tag == FL_TAG_ABSENT && n == 0)
			continue;
		fl_buf_putc(out, ' ');
		fl_buf_put(out, h->columns[c].name, h->columns[c].name_len);
		fl_buf_printf(out, "=%c", tag_letters[tag]);
		fl_buf_put(out, p, n);
	}
	fl_buf_putc(out, '\n');
}

static void
dump_result(struct outcome *o, const struct fl_header *h, const struct fl_read_result *res)
{
	for (uint32_t row = 0; row < res->batch.rows; row++)
		dump_row(&o->dump, h, &res->batch, row);
	o->batches += res->batch.rows > 0;
	if (!res->has_bad)
		return;
	fl_buf_printf(&o->dump, "%u! %s [", (unsigned)res->bad.line, res->bad.reason);
	fl_buf_put(&o->dump, res->bad.text, res->bad.len);
	fl_buf_puts(&o->dump, "]\n");
}

/* Give the reader p[0..n), of which *done bytes are done with; as a runner does. */
static bool
feed(struct fl_reader *r, struct outcome *o, const char *p, size_t n, bool at_end, size_t *done)
{
	const struct fl_reader_type *t = &fl_jsonl_reader;
	bool more = true;

	while (more) {
		size_t len = n - *done;
		char *piece = fl_xmalloc(len + FL_READER_PAD);
		struct fl_read_result res;

		memcpy(piece, p + *done, len);
		memset(piece + len, '"', FL_READER_PAD); /* must not be looked at */
		if (t->read(r, piece, len, at_end, &res, &o->err)) {
			free(piece);
			return false;
		}
		dump_result(o, t->columns(r), &res);
		*done += res.taken;
		free(piece);
		more = res.taken > 0 && *done < n;
	}
	return true;
}

/* Read a text that comes in pieces of step bytes after a first of cut bytes. */
static void
read_cut(struct outcome *o, const char *p, size_t n, size_t cut, size_t step, size_t record_max)
{
	struct fl_reader_options options = { .record_max = record_max };
	struct fl_reader *r;
	size_t done = 0;

	*o = (struct outcome){ 0 };
	r = fl_jsonl_reader.create(&options, &o->err);
	fl_assert(r != NULL);
	fl_jsonl_reader.file(r);
	for (; cut < n; cut += step) {
		if (!feed(r, o, p, cut, false, &done))
			break;
	}
	if (!o->err.code)
		(void)feed(r, o, p, n, true, &done);
	if (!o->err.code && done != n)
		fl_buf_puts(&o->dump, "NOT TAKEN\n");
	o->columns = fl_jsonl_reader.columns(r)->column_count;
	fl_jsonl_reader.destroy(r);
	fl_buf_putc(&o->dump, '\0');
}

static void
read_whole(struct outcome *o, const char *p, size_t n)
{
	read_cut(o, p, n, n, 1, RECORD_MAX);
}

static void
outcome_release(struct outcome *o)
{
	fl_buf_release(&o->dump);
}

static bool
same(const struct outcome *a, const struct outcome *b)
{
	return a->dump.len == b->dump.len && memcmp(a->dump.data, b->dump.data, a->dump.len) == 0 &&
	       a->columns == b->columns && strcmp(a->err.msg, b->err.msg) == 0;
}

/* The text, cut once at each place, and into single bytes, gives the same. */
static void
expect_no_cuts(const char *p, size_t n, size_t record_max, const char *title)
{
	struct outcome whole, part;
	size_t wrong = 0;

	read_cut(&whole, p, n, n, 1, record_max);
	for (size_t cut = 0; cut <= n; cut++) {
		read_cut(&part, p, n, cut, n, record_max);
		wrong += !same(&whole, &part);
		outcome_release(&part);
	}
	for (size_t step = 1; step < 4; step++) {
		read_cut(&part, p, n, step, step, record_max);
		wrong += !same(&whole, &part);
		outcome_release(&part);
	}
	tap_eq_int((int64_t)wrong, 0, "same bytes wherever it is cut: %s", title);
	outcome_release(&whole);
}

static void
expect(const char *p, size_t n, const char *dump, const char *title)
{
	struct outcome o;

	read_whole(&o, p, n);
	tap_eq_str(o.err.code ? o.err.msg : o.dump.data, dump, "%s", title);
	outcome_release(&o);
	expect_no_cuts(p, n, RECORD_MAX, title);
}
#define EXPECT(text, dump, title) expect(text, sizeof(text) - 1, dump, title)

static void
test_values(void)
{
	EXPECT("{\"a\":1,\"b\":\"x\",\"c\":true,\"d\":null,\"e\":{\"f\":[1, 2]},\"g\":[ ]}\n",
	       "1: a=n1 b=sx c=btrue d=0 e=o{\"f\":[1, 2]} g=a[ ]\n", "one value of each tag");
	EXPECT("{\"a\":1.10,\"b\":-0,\"c\":1e400,\"d\":12345678901234567890123}\n",
	       "1: a=n1.10 b=n-0 c=n1e400 d=n12345678901234567890123\n", "numbers keep their text");
	EXPECT("{\"a\":\"\",\"b\":\" x \",\"c\":\"1\",\"d\":\"null\"}\n",
	       "1: a=s b=s x  c=s1 d=snull\n", "strings");
	EXPECT("{\"a\":\"\\\"\\\\\\/\\n\\u00e9\\ud83d\\ude00|\"}\n",
	       "1: a=s\"\\/\n\xc3\xa9\xf0\x9f\x98\x80|\n", "escapes");
	EXPECT("{\"a\":\"x\"}\n{\"a\":\"\\t\",\"b\":2}\n"
	       "{\"a\":1,\"b\":\"\\\\\"}\n{}\n{\"a\":\"y\"}\n",
	       "1: a=sx\n2: a=s\t b=n2\n3: a=n1 b=s\\\n4:\n5: a=sy\n", "escapes between others");
	EXPECT("{\"a\":{\"b\":\"\\n\\\"}\"},\"c\":[\"\\\\\"]}\n",
	       "1: a=o{\"b\":\"\\n\\\"}\"} c=a[\"\\\\\"]\n", "nested values are their text");
	EXPECT(" { \"a\" : 1 , \"b\" : \"x\" , \"c\" : [ 1 ] , \"d\" : null } \r\n{}\r\n",
	       "1: a=n1 b=sx c=a[ 1 ] d=0\n2:\n", "white space and CRLF");
	EXPECT("{\"a\":\"\xc3\xa9\xe2\x82\xac\"}\n", "1: a=s\xc3\xa9\xe2\x82\xac\n", "UTF-8");
}

static void
test_nul(void)
{
	static const char text[] = "{\"a\":\"x\\u0000y\",\"b\":1}\n{\"a\":\"z\",\"b\":2}\n";
	static const char dump[] = "1: a=sx\0y b=n1\n2: a=sz b=n2\n";
	static const char key[] = "{\"k\\u0000\":1}\n{\"k\":2}\n";
	static const char key_dump[] = "1: k\0=n1\n2: k=n2\n";
	struct outcome o;

	read_whole(&o, text, sizeof text - 1);
	tap_eq_int((int64_t)o.dump.len, sizeof dump, "a NUL in a string is data: length");
	tap_ok(memcmp(o.dump.data, dump, sizeof dump) == 0, "a NUL in a string is data: bytes");
	outcome_release(&o);
	read_whole(&o, key, sizeof key - 1);
	tap_eq_int((int64_t)o.dump.len, sizeof key_dump, "a NUL in a key is data: length");
	tap_ok(memcmp(o.dump.data, key_dump, sizeof key_dump) == 0, "a NUL in a key is data: bytes");
	outcome_release(&o);
}

static void
test_keys(void)
{
	EXPECT("{\"a\":1,\"b\":2}\n{\"b\":3,\"a\":4}\n{\"a\":5}\n{\"b\":6}\n{}\n"
	       "{\"a\":7,\"b\":8}\n",
	       "1: a=n1 b=n2\n2: a=n4 b=n3\n3: a=n5\n4: b=n6\n5:\n6: a=n7 b=n8\n",
	       "keys in another order, and missing ones");
	EXPECT("{\"a\":1}\n{\"a\":2,\"b\":1}\n{\"c\":1}\n{\"a\":3,\"b\":4,\"c\":5}\n",
	       "1: a=n1\n2: a=n2 b=n1\n3: c=n1\n4: a=n3 b=n4 c=n5\n", "keys that come later");
	EXPECT("{\"a\":1,\"a\":2}\n{\"a\":3,\"b\":1,\"a\":\"x\"}\n{\"a\":\"\\n\",\"a\":null}\n"
	       "{\"b\":1,\"b\":2,\"b\":\"\\u0041\"}\n",
	       "1: a=n2\n2: a=sx b=n1\n3: a=0\n4: b=sA\n", "of equal keys the last one counts");
	EXPECT("{\"\":1}\n{\"\":2,\"a\":3}\n", "1: =n1\n2: =n2 a=n3\n", "the empty key");
	EXPECT("{\"\\u0061\":1}\n{\"a\":2}\n{\"\\u0061\":3,\"b\":1}\n",
	       "1: a=n1\n2: a=n2\n3: a=n3 b=n1\n", "escaped and plain spelling are one key");
	EXPECT("{\"a\\\\nb\":1}\n{\"a\\nb\":2}\n{\"a\\\"b\":3}\n{\"a\\\\nb\":4,\"a\\nb\":5}\n",
	       "1: a\\nb=n1\n2: a\nb=n2\n3: a\"b=n3\n4: a\\nb=n4 a\nb=n5\n",
	       "names that look like other names' spelling");
	EXPECT("{\"1234567\":1,\"12345678\":2,\"123456789012345\":3,\"1234567890123456\":4,"
	       "\"12345678901234567890\":5}\n"
	       "{\"1234567\":1,\"12345678\":2,\"123456789012345\":3,\"1234567890123456\":4,"
	       "\"12345678901234567890\":5}\n"
	       "{\"123456\":1,\"1234567x\":2,\"123456789012x45\":3,\"x234567890123456\":4,"
	       "\"1234567890123456789\":5}\n",
	       "1: 1234567=n1 12345678=n2 123456789012345=n3 1234567890123456=n4 "
	       "12345678901234567890=n5\n"
	       "2: 1234567=n1 12345678=n2 123456789012345=n3 1234567890123456=n4 "
	       "12345678901234567890=n5\n"
	       "3: 123456=n1 1234567x=n2 123456789012x45=n3 x234567890123456=n4 "
	       "1234567890123456789=n5\n",
	       "keys of lengths around a machine word");
	EXPECT("{\"ab\":1,\"c\":2}\n{\"a\":1,\"c\":3}\n{\"abc\":1,\"c\":4}\n",
	       "1: ab=n1 c=n2\n2: c=n3 a=n1\n3: c=n4 abc=n1\n", "keys that begin alike");
}

static void
test_tags(void)
{
	EXPECT("{\"a\":1}\n{\"a\":\"1\"}\n{\"a\":null}\n{\"a\":true}\n{\"b\":1}\n{\"a\":[]}\n"
	       "{\"a\":{}}\n{\"a\":2}\n",
	       "1: a=n1\n2: a=s1\n3: a=0\n4: a=btrue\n5: b=n1\n6: a=a[]\n7: a=o{}\n8: a=n2\n",
	       "every tag in one column");
	EXPECT("{\"a\":null}\n{\"a\":null}\n", "1: a=0\n2: a=0\n", "a column of nulls");
}

static void
test_lines(void)
{
	struct outcome half;

	EXPECT("", "", "an empty file");
	EXPECT("\n", "", "an empty line");
	EXPECT("\n\n  \n\t\r\n", "", "blank lines only");
	EXPECT("{\"a\":1}", "1: a=n1\n", "no line end");
	EXPECT("{\"a\":1}\n\n\n{\"a\":2}\n  \n{\"a\":3}\n\n", "1: a=n1\n4: a=n2\n6: a=n3\n",
	       "blank lines count as lines");
	EXPECT("\xef\xbb\xbf{\"a\":1}\n{\"a\":2}", "1: a=n1\n2: a=n2\n", "a byte order mark");
	EXPECT("\xef\xbb\xbf", "", "a byte order mark and nothing");
	EXPECT("{\"a\":1}\n{\"a\":",
	       "1: a=n1\n"
	       "2! not JSON: expected a value, byte 6 of 5 [{\"a\":]\n",
	       "half a last line");
	read_whole(&half, "\xef\xbb", 2); /* what is wrong with it, CPUs' engines tell apart */
	tap_ok(strncmp(half.dump.data, "1! not JSON: ", 13) == 0, "half a byte order mark");
	outcome_release(&half);
	EXPECT("  {\"a\":1}  \n\t{\"a\":2}\t", "1: a=n1\n2: a=n2\n", "indented");
}

static void
test_bad(void)
{
	EXPECT("{\"a\":1}\nx\n{\"a\":2}\n",
	       "1: a=n1\n2! not JSON: expected a value, at 'x', byte 1 of 1 [x]\n3: a=n2\n",
	       "the reader goes on behind a bad record");
	EXPECT("[1]\n\"a\"\n1\nnull\ntrue\n{}\n",
	       "1! expected an object, found an array [[1]]\n"
	       "2! expected an object, found a string [\"a\"]\n"
	       "3! expected an object, found a number [1]\n"
	       "4! expected an object, found null [null]\n"
	       "5! expected an object, found true or false [true]\n6:\n",
	       "values that are not objects");
	EXPECT("{\"a\":1} {\"a\":2}\n{\"a\":3},\n{\"a\":4}\n",
	       "1! not JSON: something behind the value, at '{', "
	       "byte 9 of 15 [{\"a\":1} {\"a\":2}]\n"
	       "2! not JSON: something behind the value, at ',', byte 8 of 8 [{\"a\":3},]\n"
	       "3: a=n4\n",
	       "two on a line");
	EXPECT("{\"a\":1,\n\"b\":2}\n{\"a\":3}\n",
	       "1! not JSON: expected a key in quotes, byte 8 of 7 [{\"a\":1,]\n"
	       "2! not JSON: something behind the value, at ':', byte 4 of 6 [\"b\":2}]\n"
	       "3: a=n3\n",
	       "an object over two lines");
	EXPECT("{\"a\":\"x\n\"}\n{\"a\":3}\n",
	       "1! not JSON: a string without its closing quote, at '\"', "
	       "byte 6 of 7 [{\"a\":\"x]\n"
	       "2! not JSON: a string without its closing quote, at '\"', byte 1 of 2 [\"}]\n"
	       "3: a=n3\n",
	       "a string over two lines");
	EXPECT("{\"a\":1}\n{\"a\":\"\x01\"}\n{\"a\":\"\xff\"}\n{\"a\":2}\n",
	       "1: a=n1\n"
	       "2! not JSON: a control character in a string, byte 7 of 9 [{\"a\":\"\x01\"}]\n"
	       "3! not JSON: not UTF-8, byte 7 of 9 [{\"a\":\"\xff\"}]\n4: a=n2\n",
	       "bytes that the first stage refuses");
	EXPECT("{\"a\":1,\"new\":tru}\n{\"a\":2}\n{\"other\":1,\"new2\":[1,]}\n{\"b\":3}\n",
	       "1! not JSON: expected a value, at 't', byte 14 of 17 [{\"a\":1,\"new\":tru}]\n"
	       "2: a=n2\n"
	       "3! not JSON: expected a value, at ']', "
	       "byte 22 of 23 [{\"other\":1,\"new2\":[1,]}]\n"
	       "4: b=n3\n",
	       "a bad record brings no columns");
	EXPECT("{\"a\":\"\\q\"}\n{\"a\":{\"b\":\"\\u12\"}}\n{\"\\q\":1}\n"
	       "{\"a\":\"\\ud800\"}\n{\"a\":1}\n",
	       "1! not JSON: a string with a wrong escape, at '\"', "
	       "byte 6 of 10 [{\"a\":\"\\q\"}]\n"
	       "2! not JSON: a string with a wrong escape, at '\"', byte 11 of 18 "
	       "[{\"a\":{\"b\":\"\\u12\"}}]\n"
	       "3! not JSON: a string with a wrong escape, at '\"', byte 2 of 8 [{\"\\q\":1}]\n"
	       "4! not JSON: a string with a wrong escape, at '\"', byte 6 of 14 "
	       "[{\"a\":\"\\ud800\"}]\n5: a=n1\n",
	       "wrong escapes");
	EXPECT("{\"a\":1}\\\n{\"a\":2}\n\\\n\"\\\n{\"a\":3}\n",
	       "1! not JSON: something behind the value, at '\\', byte 8 of 8 [{\"a\":1}\\]\n"
	       "2: a=n2\n"
	       "3! not JSON: expected a value, at '\\', byte 1 of 1 [\\]\n"
	       "4! not JSON: a string without its closing quote, at '\"', byte 1 of 2 [\"\\]\n"
	       "5: a=n3\n",
	       "backslashes before line ends");
}

/* Each refused vector without line ends is a bad record between two good ones. */
static void
test_bad_vectors(void)
{
	unsigned wrong = 0;

	for (const struct vector *v = refused; v < refused + FL_ARRAY_LEN(refused); v++) {
		struct fl_buf text = { 0 };
		struct outcome o;

		if (memchr(v->p, '\n', v->n) || v->n == 0 || strspn(v->p, " ") == v->n)
			continue;
		fl_buf_puts(&text, "{\"a\":1}\n");
		fl_buf_put(&text, v->p, v->n);
		fl_buf_puts(&text, "\n{\"a\":2}\n");
		read_whole(&o, text.data, text.len);
		wrong += o.err.code != 0 ||
			 strncmp(o.dump.data, "1: a=n1\n2! not JSON: ", 21) != 0 ||
			 memcmp(o.dump.data + o.dump.len - 9, "3: a=n2\n", 9) != 0;
		outcome_release(&o);
		fl_buf_release(&text);
	}
	tap_eq_int(wrong, 0, "every refused vector is one bad record");
}

static void
test_deep_record(void)
{
	const size_t depth = 100000;
	struct fl_buf text = { 0 };
	struct outcome o;

	fl_buf_puts(&text, "{\"a\":");
	memset(fl_buf_reserve(&text, depth), '[', depth);
	text.len += depth;
	fl_buf_puts(&text, "\n{\"a\":2}\n");
	read_whole(&o, text.data, text.len);
	tap_ok(strstr(o.dump.data,
		      "1! not JSON: nested deeper than 1024 objects and arrays, at '[', "
		      "byte 1029 of 100005 [") == o.dump.data,
	       "100,000 arrays in a record");
	tap_ok(strstr(o.dump.data, "\n2: a=n2\n") != NULL, "and on behind it");
	outcome_release(&o);
	fl_buf_release(&text);
}

/* ---- limits ----------------------------------------------------------- */

static void
test_record_max(void)
{
	static const char fits[] = "{\"a\":1}\n{\"abc\":1}\r\n{\"a\":2}";
	static const char not [] = "{\"a\":1}\n{\"abcd\":1}\n{\"a\":2}\n";
	static const char bad[] = "{\"a\":1}\n\n{\"abcd\":x}\n{\"a\":2}\n";
	static const char blank[] = "{\"a\":1}\n          \n{\"a\":2}\n";
	struct outcome o;

	read_cut(&o, fits, sizeof fits - 1, sizeof fits, 1, 9);
	tap_eq_str(o.dump.data, "1: a=n1\n2: abc=n1\n3: a=n2\n", "records of just --max-record");
	outcome_release(&o);
	expect_no_cuts(fits, sizeof fits - 1, 9, "just --max-record");
	read_cut(&o, not, sizeof not -1, sizeof not, 1, 9);
	tap_eq_str(o.dump.data, "1: a=n1\n", "what comes before a longer one");
	tap_eq_int(o.err.code, FL_ELIMIT, "a longer one");
	tap_eq_str(o.err.msg, "line 2: a record of more than 9 bytes (--max-record)", "message");
	outcome_release(&o);
	expect_no_cuts(not, sizeof not -1, 9, "longer than --max-record");
	expect_no_cuts(bad, sizeof bad - 1, 9, "longer and bad");
	expect_no_cuts(blank, sizeof blank - 1, 9, "longer and blank");
	read_cut(&o, not, 11, 11, 1, 9);
	tap_ok(o.err.code == 0, "half a record that is not too long");
	outcome_release(&o);
}

/* A file of count records, each with a key of its own. */
static void
many_keys(struct fl_buf *text, unsigned count, bool one_record)
{
	fl_buf_clear(text);
	if (one_record)
		fl_buf_putc(text, '{');
	for (unsigned i = 0; i < count; i++)
		fl_buf_printf(text, one_record ? "%s\"k%u\":%u" : "%s{\"k%u\":%u}\n",
			      one_record && i ? "," : "", i, i);
	if (one_record)
		fl_buf_puts(text, "}\n");
}

static void
test_many_keys(void)
{
	struct fl_buf text = { 0 };
	struct outcome o;

	many_keys(&text, FL_COLUMNS_MAX, true);
	read_whole(&o, text.data, text.len);
	tap_eq_int(o.columns, FL_COLUMNS_MAX, "65,536 keys in a record");
	tap_ok(strstr(o.dump.data, " k65535=n65535\n") != NULL, "the last of them");
	outcome_release(&o);

	many_keys(&text, FL_COLUMNS_MAX + 1, true);
	read_whole(&o, text.data, text.len);
	tap_eq_int(o.err.code, FL_ELIMIT, "65,537 keys in a record");
	tap_eq_str(o.err.msg, "line 1: more than 65536 different keys", "message");
	outcome_release(&o);

	many_keys(&text, 3000, false);
	read_whole(&o, text.data, text.len);
	tap_eq_int(o.columns, 3000, "3,000 records with a key each");
	tap_ok(strncmp(o.dump.data, "1: k0=n0\n2: k1=n1\n", 18) == 0, "the first");
	tap_ok(strstr(o.dump.data, "\n3000: k2999=n2999\n") != NULL, "the last");
	tap_ok(o.batches < 20, "in %u batches", o.batches);
	outcome_release(&o);
	fl_buf_release(&text);
}

/* Many lines, over several spans and batches, some of them bad. */
static void
test_many_lines(void)
{
	struct fl_buf text = { 0 }, want = { 0 };
	struct outcome o, cut;

	for (unsigned i = 1; i <= 60000; i++) {
		if (i % 997 == 0) {
			fl_buf_puts(&text, i % 2 ? "{\"id\":}\n" : "{\"id\":\"\xff\"}\n");
			continue;
		}
		fl_buf_printf(&text, "{\"id\":%u,\"name\":\"n%s%u\"%s}\n", i, i % 5000 ? "" : "\\t",
			      i, i % 3 ? "" : ",\"third\":true");
		fl_buf_printf(&want, "%u: id=n%u name=sn%s%u%s\n", i, i, i % 5000 ? "" : "\t", i,
			      i % 3 ? "" : " third=btrue");
	}
	fl_buf_putc(&want, '\0');
	read_whole(&o, text.data, text.len);
	read_cut(&cut, text.data, text.len, 100000, 77777, RECORD_MAX);
	tap_ok(same(&o, &cut), "many lines: the same in pieces");
	outcome_release(&cut);
	for (char *p = o.dump.data, *bad; (bad = strstr(p, "! ")) != NULL;) {
		char *line = bad, *end = strchr(bad, '\n') + 1;

		while (line > o.dump.data && line[-1] != '\n')
			line--;
		memmove(line, end, strlen(end) + 1);
		p = line;
	}
	tap_ok(strcmp(o.dump.data, want.data) == 0, "many lines: all good records");
	outcome_release(&o);
	fl_buf_release(&text);
	fl_buf_release(&want);
}

/* A second file: lines count anew, columns stay. */
static void
test_files(void)
{
	struct fl_reader_options options = { .record_max = RECORD_MAX };
	struct outcome o = { 0 };
	struct fl_reader *r = fl_jsonl_reader.create(&options, &o.err);
	size_t done = 0;

	fl_jsonl_reader.file(r);
	(void)feed(r, &o, "{\"a\":1}\n{\"b\":2}", 15, true, &done);
	fl_jsonl_reader.file(r);
	done = 0;
	(void)feed(r, &o, "\xef\xbb\xbf{\"b\":3}\n", 11, true, &done);
	fl_buf_putc(&o.dump, '\0');
	tap_eq_str(o.dump.data, "1: a=n1\n2: b=n2\n1: b=n3\n", "two files");
	fl_jsonl_reader.destroy(r);
	outcome_release(&o);
}

/* ---- writing ---------------------------------------------------------- */

/* Text read as JSON Lines and written again. */
static void
expect_written(const char *p, size_t n, const char *columns, const char *want, const char *title)
{
	struct fl_reader_options options = { .record_max = RECORD_MAX };
	struct fl_writer_options wo = { .columns = columns };
	struct fl_err err = { 0 };
	struct fl_reader *r = fl_jsonl_reader.create(&options, &err);
	struct fl_writer *w = fl_jsonl_writer.create(&wo, &err);
	struct fl_header h;
	struct fl_buf out = { 0 };
	struct fl_read_result res = { 0 };
	char *piece = fl_xmalloc(n + FL_READER_PAD), format[] = "jsonl";

	memcpy(piece, p, n);
	memset(piece + n, ' ', FL_READER_PAD);
	fl_jsonl_reader.file(r);
	for (size_t done = 0; done < n && !err.code; done += res.taken) {
		if (fl_jsonl_reader.read(r, piece + done, n - done, true, &res, &err))
			break;
		h = *fl_jsonl_reader.columns(r);
		h.format = format;
		if (fl_jsonl_writer.write(w, &h, &res.batch, &out, &err))
			break;
	}
	fl_buf_putc(&out, '\0');
	tap_eq_str(err.code ? err.msg : out.data, want, "written: %s", title);
	fl_jsonl_writer.destroy(w);
	fl_jsonl_reader.destroy(r);
	fl_buf_release(&out);
	free(piece);
}
#define ROUND_TRIP(text, title) expect_written(text, sizeof(text) - 1, NULL, text, title)

static void
test_round_trip(void)
{
	ROUND_TRIP("{\"a\":1,\"b\":\"x\",\"c\":true,\"d\":null,\"e\":{\"f\":[1, 2]},\"g\":[]}\n",
		   "values of each tag");
	ROUND_TRIP("{\"a\":1.10,\"b\":-0,\"c\":1e400,\"d\":12345678901234567890123}\n", "numbers");
	ROUND_TRIP("{\"a\":\"\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u0001\\u001f\\u000b/\"}\n", "escapes");
	ROUND_TRIP("{\"a\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\",\"\xc3\xa9\":\"007\"}\n",
		   "UTF-8");
	ROUND_TRIP("{\"a\":1}\n{}\n{\"a\":null}\n{\"b\":2}\n{\"a\":3,\"b\":4}\n",
		   "absent is not null");
	ROUND_TRIP("{\"a\\\"b\":{\"x\":\"\\u00e9\"},\"\":\"long enough to be more than a word\"}\n",
		   "keys with escapes; nested text is kept");
	ROUND_TRIP(
		"{\"a\":\"0123456\\n\",\"b\":\"01234567\\n\",\"c\":\"012345678\\n90123456789\"}\n",
		"escapes around the end of a word");
}

static void
test_columns(void)
{
	static const char text[] = "{\"a\":1,\"b\":2}\n{\"c\":3}\n{\"b\":4}\n";

	expect_written(text, sizeof text - 1, "b,a", "{\"b\":2,\"a\":1}\n{}\n{\"b\":4}\n",
		       "--columns");
	expect_written(text, sizeof text - 1, "c,b", "{\"b\":2}\n{\"c\":3}\n{\"b\":4}\n",
		       "--columns with one that comes later");
}

/* A batch of two columns under construction, written. */
struct made {
	struct fl_build build;
	struct fl_header h;
	struct fl_writer_options wo;
};

static void
made_init(struct made *m, enum fl_kind kind)
{
	*m = (struct made){ 0 };
	fl_header_init(&m->h);
	(void)fl_header_add(&m->h, "v", 1, kind);
	fl_build_init(&m->build, 1);
}

static void
made_expect(struct made *m, const char *want, const char *title)
{
	struct fl_err err = { 0 };
	struct fl_writer *w = fl_jsonl_writer.create(&m->wo, &err);
	struct fl_buf out = { 0 };

	(void)fl_jsonl_writer.write(w, &m->h, fl_build_view(&m->build), &out, &err);
	if (!err.code)
		(void)fl_jsonl_writer.end(w, &m->h, &out, &err);
	fl_buf_putc(&out, '\0');
	tap_eq_str(err.code ? err.msg : out.data, want, "written: %s", title);
	fl_jsonl_writer.destroy(w);
	fl_buf_release(&out);
	fl_build_release(&m->build);
	fl_header_release(&m->h);
}

static void
put_texts(struct made *m, const struct vector *v, size_t n, enum fl_tag tag)
{
	made_init(m, FL_TEXT);
	for (size_t i = 0; i < n; i++) {
		fl_put_text(&m->build.col[0], v[i].p, v[i].n, tag);
		fl_build_row(&m->build, 0, 0, FL_INSERT);
	}
}

static void
test_written_text(void)
{
	static const struct vector plain[] = { V(""),    V("1"),    V("1.10"), V("-5e3"),
					       V("007"), V("+1"),   V("-"),    V("1."),
					       V("NaN"), V("true"), V("a b"),  V(" 1") };
	static const struct vector bytes[] = { V("a\xff\x62"),        V("\xc3"),
					       V("\xc3\xa9\x80"),     V("\xed\xa0\x80"),
					       V("\xc0\x80"),         V("\0"),
					       V("\xf4\x90\x80\x80"), V("01234567\xfe") };
	static const struct vector controls[] = { V("\x1b[31m"), V("\x7f"),
						  V("\xc2\x9b\x31\xc3\xa9") };
	static const struct vector nested[] = { V("{\"a\":\n1}"), V("[\"\x7f\",\r\n\t2]") };
	struct made m;

	put_texts(&m, plain, FL_ARRAY_LEN(plain), FL_TAG_PLAIN);
	made_expect(&m,
		    "{\"v\":null}\n{\"v\":1}\n{\"v\":1.10}\n{\"v\":-5e3}\n{\"v\":\"007\"}\n"
		    "{\"v\":\"+1\"}\n{\"v\":\"-\"}\n{\"v\":\"1.\"}\n{\"v\":\"NaN\"}\n"
		    "{\"v\":\"true\"}\n{\"v\":\"a b\"}\n{\"v\":\" 1\"}\n",
		    "text without type");
	put_texts(&m, plain, 3, FL_TAG_STRING);
	made_expect(&m, "{\"v\":\"\"}\n{\"v\":\"1\"}\n{\"v\":\"1.10\"}\n", "strings stay strings");
	put_texts(&m, bytes, FL_ARRAY_LEN(bytes), FL_TAG_PLAIN);
#define R "\xef\xbf\xbd"
	made_expect(&m,
		    "{\"v\":\"a" R "b\"}\n{\"v\":\"" R "\"}\n{\"v\":\"\xc3\xa9" R "\"}\n"
		    "{\"v\":\"" R R R "\"}\n{\"v\":\"" R R "\"}\n{\"v\":\"\\u0000\"}\n"
		    "{\"v\":\"" R R R R "\"}\n{\"v\":\"01234567" R "\"}\n",
		    "bytes that are not UTF-8");
	put_texts(&m, controls, FL_ARRAY_LEN(controls), FL_TAG_STRING);
	made_expect(&m,
		    "{\"v\":\"\\u001b[31m\"}\n{\"v\":\"\x7f\"}\n{\"v\":\"\xc2\x9b\x31\xc3\xa9\"}\n",
		    "control characters");
	put_texts(&m, controls, FL_ARRAY_LEN(controls), FL_TAG_STRING);
	m.wo.escape_controls = true;
	made_expect(&m,
		    "{\"v\":\"\\u001b[31m\"}\n{\"v\":\"\\u007f\"}\n{\"v\":\"\\u009b1\xc3\xa9\"}\n",
		    "control characters on a terminal");
	put_texts(&m, nested, FL_ARRAY_LEN(nested), FL_TAG_OBJECT);
	made_expect(&m, "{\"v\":{\"a\": 1}}\n{\"v\":[\"\x7f\",  \t2]}\n",
		    "line ends in nested text");
	put_texts(&m, nested, FL_ARRAY_LEN(nested), FL_TAG_OBJECT);
	m.wo.escape_controls = true;
	made_expect(&m, "{\"v\":{\"a\": 1}}\n{\"v\":[\"\\u007f\",  \t2]}\n", "and on a terminal");
}

static void
test_written_numbers(void)
{
	struct fl_dec dec = fl_dec_make(908000, 3);
	struct made m;

	made_init(&m, FL_INT64);
	fl_put_int(&m.build.col[0], INT64_MIN);
	fl_build_row(&m.build, 0, 0, FL_INSERT);
	fl_put_null(&m.build.col[0]);
	fl_build_row(&m.build, 0, 0, FL_INSERT);
	made_expect(&m, "{\"v\":-9223372036854775808}\n{\"v\":null}\n", "INT64");
	made_init(&m, FL_DECIMAL);
	fl_put_dec(&m.build.col[0], &dec);
	fl_build_row(&m.build, 0, 0, FL_INSERT);
	dec = fl_dec_from_double(1.0 / 0.0);
	fl_put_dec(&m.build.col[0], &dec);
	fl_build_row(&m.build, 0, 0, FL_INSERT);
	made_expect(&m, "{\"v\":908.000}\n{\"v\":null}\n", "DECIMAL");
	made_init(&m, FL_DOUBLE);
	fl_put_double(&m.build.col[0], 0.25);
	fl_build_row(&m.build, 0, 0, FL_INSERT);
	fl_put_double(&m.build.col[0], 0.0 / 0.0);
	fl_build_row(&m.build, 0, 0, FL_INSERT);
	made_expect(&m, "{\"v\":0.25}\n{\"v\":null}\n", "DOUBLE");
	made_init(&m, FL_BOOL);
	fl_put_bool(&m.build.col[0], true);
	fl_build_row(&m.build, 0, 0, FL_INSERT);
	fl_put_bool(&m.build.col[0], false);
	fl_build_row(&m.build, 0, 0, FL_INSERT);
	made_expect(&m, "{\"v\":true}\n{\"v\":false}\n", "BOOL");
}

/* Doubles of all sizes are numbers as JSON writes them. */
static void
test_doubles_are_json(void)
{
	unsigned wrong = 0;

	for (int e = -320; e <= 308; e++) {
		char text[FL_NUMBER_TEXT_MAX];
		double d = 1.2345678901234567;
		size_t n;

		for (int i = 0; i < (e < 0 ? -e : e); i++)
			d = e < 0 ? d / 10 : d * 10;
		n = fl_double_format(-d, text);
		wrong += !fl_json_is_number(text, n);
	}
	tap_eq_int(wrong, 0, "doubles are JSON numbers");
}

static void
test_written_times(void)
{
	static const struct {
		bool epoch_ms, seconds;
		const char *want;
	} cases[] = {
		{ false, false, "{\"v\":\"2026-11-21T10:05:00.000Z\"}\n{\"v\":null}\n" },
		{ false, true, "{\"v\":\"2026-11-21T10:05:00Z\"}\n{\"v\":null}\n" },
		{ true, false, "{\"v\":1795255500000}\n{\"v\":null}\n" },
	};

	for (size_t i = 0; i < FL_ARRAY_LEN(cases); i++) {
		struct made m;

		made_init(&m, FL_TIME);
		m.h.columns[0].seconds = cases[i].seconds;
		m.wo.epoch_ms = cases[i].epoch_ms;
		fl_put_time(&m.build.col[0], 1795255500000);
		fl_build_row(&m.build, 0, 0, FL_INSERT);
		fl_put_null(&m.build.col[0]);
		fl_build_row(&m.build, 0, 0, FL_INSERT);
		made_expect(&m, cases[i].want, "TIME");
	}
}

static void
test_written_changelog(void)
{
	static const enum fl_rowkind ops[] = { FL_INSERT, FL_UPDATE_BEFORE, FL_UPDATE_AFTER,
					       FL_DELETE };
	struct made m;

	for (int with_columns = 0; with_columns < 2; with_columns++) {
		made_init(&m, FL_INT64);
		m.h.changelog = m.build.changelog = true;
		m.wo.columns = with_columns ? "op,v" : NULL;
		for (size_t i = 0; i < FL_ARRAY_LEN(ops); i++) {
			fl_put_int(&m.build.col[0], (int64_t)i);
			fl_build_row(&m.build, 0, 0, ops[i]);
		}
		made_expect(&m,
			    "{\"op\":\"+I\",\"v\":0}\n{\"op\":\"-U\",\"v\":1}\n"
			    "{\"op\":\"+U\",\"v\":2}\n{\"op\":\"-D\",\"v\":3}\n",
			    "a changelog");
	}
	made_init(&m, FL_INT64);
	m.wo.columns = "vv";
	made_expect(&m, "--columns: no column vv (did you mean v?)", "an unknown column");
}

int
main(void)
{
	test_grammar();
	test_prefixes();
	test_depth();
	test_values();
	test_nul();
	test_keys();
	test_tags();
	test_lines();
	test_bad();
	test_bad_vectors();
	test_deep_record();
	test_record_max();
	test_many_keys();
	test_many_lines();
	test_files();
	test_round_trip();
	test_columns();
	test_written_text();
	test_written_numbers();
	test_doubles_are_json();
	test_written_times();
	test_written_changelog();
	return tap_done();
}
