/* SPDX-License-Identifier: Apache-2.0 */
/* The CSV and TSV reader, and the scanner under it. */
#include "reader-vectors.h"

#include "../fuzz/csv-oracle.h"
#include "format/scan.h"

/* ---- random numbers ------------------------------------------------------- */

static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static uint32_t
below(uint64_t *state, uint32_t n)
{
	return (uint32_t)(next_random(state) >> 33) % n;
}

/* ---- the scanner ------------------------------------------------------------ */

#define SCAN_MAX 700

static bool
same_scan(enum fl_scan_level level, uint64_t *random)
{
	char text[SCAN_MAX + 64];
	uint32_t want[SCAN_MAX + FL_SCAN_SLACK], got[SCAN_MAX + FL_SCAN_SLACK];
	struct fl_scanner a, b;
	struct fl_scan sa = { .off = want }, sb = { .off = got };
	size_t n = below(random, SCAN_MAX), from = n ? below(random, (uint32_t)n) : 0, ra, rb;
	bool dense = below(random, 2);

	for (size_t i = 0; i < sizeof text; i++)
		text[i] = below(random, dense ? 2 : 9) ? 'x' : ",\n\r;,"[below(random, 5)];
	if (n && below(random, 2))
		text[below(random, (uint32_t)n)] = '"';
	fl_scanner_init(&a, ',', '"', FL_SCAN_PLAIN);
	fl_scanner_init(&b, ',', '"', level);
	a.return_on = b.return_on = below(random, 2) ? ~(uint64_t)0 : 0;
	sa.delta = sb.delta = below(random, 2) * 0xfffffff0u;
	ra = fl_scan(&a, text, from, n, &sa);
	rb = fl_scan(&b, text, from, n, &sb);
	return ra == rb && sa.off - want == sb.off - got && sa.newlines == sb.newlines &&
	       sa.returns == sb.returns &&
	       memcmp(want, got, (size_t)(sa.off - want) * sizeof *want) == 0;
}

static void
test_scanner(void)
{
	static const char *const name[] = { "plain", "SSE2", "AVX2", "AVX-512" };

	for (int level = FL_SCAN_SSE2; level < FL_SCAN_LEVELS; level++) {
		uint64_t random = 88172645463325252;
		bool same = true;

		if (!fl_scan_has((enum fl_scan_level)level)) {
			tap_skip(name[level], "not on this processor");
			continue;
		}
		for (int i = 0; same && i < 20000; i++)
			same = same_scan((enum fl_scan_level)level, &random);
		tap_ok(same, "scanning with %s finds what scanning byte by byte does", name[level]);
	}
}

/* ---- vectors ------------------------------------------------------------------ */

static const struct vector vectors[] = {
	{ "plain rows", "csv", { 0 }, "a,b\n1,2\n3,4\n", 0, "2: a=1 b=2\n3: a=3 b=4\n" },
	{ "no newline at the end", "csv", { 0 }, "a,b\n1,2\n3,4", 0, "2: a=1 b=2\n3: a=3 b=4\n" },
	{ "CRLF", "csv", { 0 }, "a,b\r\n1,2\r\n3,4\r\n", 0, "2: a=1 b=2\n3: a=3 b=4\n" },
	{ "CRLF, the last one halved",
	  "csv",
	  { 0 },
	  "a,b\r\n1,2\r\n3,4\r",
	  0,
	  "2: a=1 b=2\n3: a=3 b=4\n" },
	{ "LF and CRLF mixed",
	  "csv",
	  { 0 },
	  "a,b\n1,2\r\n3,4\n5,6\r\n7,8\r\n",
	  0,
	  "2: a=1 b=2\n3: a=3 b=4\n4: a=5 b=6\n5: a=7 b=8\n" },
	{ "CRLF and LF mixed",
	  "csv",
	  { 0 },
	  "a,b\r\n1,2\r\n3,4\n5,6\r\n7,8\n",
	  0,
	  "2: a=1 b=2\n3: a=3 b=4\n4: a=5 b=6\n5: a=7 b=8\n" },
	{ "a CR within a line is data",
	  "csv",
	  { 0 },
	  "a,b\n\r1,2\r3\n4\r,\r5\n",
	  0,
	  "2: a=\\0d1 b=2\\0d3\n3: a=4\\0d b=\\0d5\n" },
	{ "a CR within a line that ends in CRLF is data",
	  "csv",
	  { 0 },
	  "a,b\r\n1\r,2\r\n3,\r4\r\n",
	  0,
	  "2: a=1\\0d b=2\n3: a=3 b=\\0d4\n" },
	{ "two CRs before LF: one is data", "csv", { 0 }, "a,b\n1,2\r\r\n", 0, "2: a=1 b=2\\0d\n" },
	{ "spaces are data",
	  "csv",
	  { 0 },
	  "a, b \n 1 , 2 \n\" 3 \", \n",
	  0,
	  "2: a=\\201\\20 \\20b\\20=\\202\\20\n3: a=\\203\\20 \\20b\\20=\\20\n" },
	{ "empty is NULL, quoted empty is not",
	  "csv",
	  { 0 },
	  "a,b,c\n,\"\",\n\"\",,x\n",
	  0,
	  "2: a=~ b=\"\" c=~\n3: a=\"\" b=~ c=x\n" },
	{ "quotes, doubled quotes, separators in quotes",
	  "csv",
	  { 0 },
	  "a,b\n\"x,y\",\"say \"\"hi\"\"\"\n\"\"\"\",1\n",
	  0,
	  "2: a=x,y b=say\\20\\22hi\\22\n3: a=\\22 b=1\n" },
	{ "line ends in quotes; lines are counted",
	  "csv",
	  { 0 },
	  "a,b\n\"x\ny\",1\n\"p\r\nq\",2\n\"\n\n\",3\n4,5\n",
	  0,
	  "2: a=x\\0ay b=1\n4: a=p\\0d\\0aq b=2\n6: a=\\0a\\0a b=3\n9: a=4 b=5\n" },
	{ "quoted fields and CRLF",
	  "csv",
	  { 0 },
	  "a,b\r\n\"x\",\"y\"\r\n\"p\",q\r\n",
	  0,
	  "2: a=x b=y\n3: a=p b=q\n" },
	{ "a quoted last field without newline", "csv", { 0 }, "a,b\n1,\"x\"", 0, "2: a=1 b=x\n" },
	{ "a quoted number stays as it is", "csv", { 0 }, "a\n\"007\"\n", 0, "2: a=007\n" },
	{ "a quote inside a bare field",
	  "csv",
	  { 0 },
	  "a,b\n1,2\nx\"y,2\n3,4\n",
	  0,
	  "2: a=1 b=2\n3! x\\22y,2 a quote inside field 1, which does not begin with one\n"
	  "4: a=3 b=4\n" },
	{ "text behind a closing quote",
	  "csv",
	  { 0 },
	  "a,b\n1,\"x\"y\n3,4\n",
	  0,
	  "2! 1,\\22x\\22y field 2 goes on behind its closing quote\n3: a=3 b=4\n" },
	{ "a space behind a closing quote",
	  "csv",
	  { 0 },
	  "a,b\n\"x\" ,1\n",
	  0,
	  "2! \\22x\\22\\20,1 field 1 goes on behind its closing quote\n" },
	{ "a quote that is never closed",
	  "csv",
	  { 0 },
	  "a,b\n1,2\n\"x\ny\",\"z\n3,4\n5,6\n",
	  0,
	  "2: a=1 b=2\n3! \\22x\\0ay\\22,\\22z\\0a3,4\\0a5,6 "
	  "the quote that opens field 2 on line 4 is never closed\n" },
	{ "a lone quote",
	  "csv",
	  { 0 },
	  "a\n\"",
	  0,
	  "2! \\22 the quote that opens field 1 on line 2 is never closed\n" },
	{ "short and long rows",
	  "csv",
	  { 0 },
	  "a,b,c\n1,2\n1,2,3\n1,2,3,4\n",
	  0,
	  "2! 1,2 expected 3 fields, found 2\n3: a=1 b=2 c=3\n4! 1,2,3,4 expected 3 fields, found 4\n" },
	{ "two short rows that make up a long one",
	  "csv",
	  { 0 },
	  "a,b,c,d\n1,2\n3,4\n5,6,7,8\n",
	  0,
	  "2! 1,2 expected 4 fields, found 2\n3! 3,4 expected 4 fields, found 2\n"
	  "4: a=5 b=6 c=7 d=8\n" },
	{ "a long quoted row",
	  "csv",
	  { 0 },
	  "a\n\"1\",2\n",
	  0,
	  "2! \\221\\22,2 expected 1 field, found 2\n" },
	{ "half a last line",
	  "csv",
	  { 0 },
	  "a,b,c\n1,2,3\n1,2",
	  0,
	  "2: a=1 b=2 c=3\n3! 1,2 expected 3 fields, found 2\n" },
	{ "ragged rows allowed",
	  "csv",
	  { .allow_ragged = true },
	  "a,b,c\n1,2\n1,2,3\n1,2,3,4,5\n\n6\n\"7\",\"\"\n",
	  0,
	  "2: a=1 b=2\n3: a=1 b=2 c=3\n4: a=1 b=2 c=3 4=4 5=5\n6: a=6\n"
	  "7: a=7 b=\"\"\n" },
	{ "an empty line in the middle",
	  "csv",
	  { 0 },
	  "a,b\n1,2\n\n3,4\n",
	  0,
	  "2: a=1 b=2\n3!  expected 2 fields, found an empty line\n4: a=3 b=4\n" },
	{ "empty lines at the end", "csv", { 0 }, "a,b\n1,2\n\n\r\n\n", 0, "2: a=1 b=2\n" },
	{ "an empty line of one column is NULL",
	  "csv",
	  { 0 },
	  "a\n1\n\n2\n\n",
	  0,
	  "2: a=1\n3: a=~\n4: a=2\n5: a=~\n" },
	{ "an empty line of one column with CRLF is NULL",
	  "csv",
	  { 0 },
	  "a\r\n1\r\n\r\n2\r\n",
	  0,
	  "2: a=1\n3: a=~\n4: a=2\n" },
	{ "no bytes at all", "csv", { 0 }, "", 0, "" },
	{ "a header line only", "csv", { 0 }, "a,b\n", 0, "" },
	{ "a header line only, without newline", "csv", { 0 }, "a,b", 0, "" },
	{ "an empty header line",
	  "csv",
	  { 0 },
	  "\na,b\n",
	  0,
	  "error -65: line 1: the header line is empty\n" },
	{ "a broken header line",
	  "csv",
	  { 0 },
	  "a,b\"c\n1,2\n",
	  0,
	  "error -65: line 1: in the header line: a quote inside field 2, which does not begin "
	  "with one\n" },
	{ "a quoted header of two lines",
	  "csv",
	  { 0 },
	  "\"a\nb\",c\n1,2\n",
	  0,
	  "3: a\\0ab=1 c=2\n" },
	{ "namesakes and empty names",
	  "csv",
	  { 0 },
	  "a,a,,a_2,a\n1,2,3,4,5\n",
	  0,
	  "2: a=1 a_2=2 3=3 a_2_2=4 a_3=5\n" },
	{ "a byte order mark",
	  "csv",
	  { 0 },
	  "\xef\xbb\xbf"
	  "a,b\n1,2\n",
	  0,
	  "2: a=1 b=2\n" },
	{ "a byte order mark before a quote",
	  "csv",
	  { 0 },
	  "\xef\xbb\xbf\"a\",b\n1,2\n",
	  0,
	  "2: a=1 b=2\n" },
	{ "nothing but a byte order mark", "csv", { 0 }, "\xef\xbb\xbf", 0, "" },
	{ "UTF-16",
	  "csv",
	  { 0 },
	  TEXT("\xff\xfe"
	       "a\0\n\0"),
	  "error -65: the text is UTF-16; make it UTF-8 first (iconv)\n" },
	{ "NUL bytes are data", "csv", { 0 }, TEXT("a,b\n\0,\"x\0y\"\n"), "2: a=\\00 b=x\\00y\n" },
	{ "NUL bytes in names are not",
	  "csv",
	  { 0 },
	  TEXT("a,b\0c\n1,2\n"),
	  "error -65: line 1: the name of column 2 has a NUL byte in it: this is not text\n" },
	{ "invalid UTF-8 passes", "csv", { 0 }, "a\n\xff\xc3(\n", 0, "2: a=\\ff\\c3(\n" },
	{ "implicit header",
	  "csv",
	  { .implicit_header = true },
	  "x,y\n1,2\n",
	  0,
	  "1: 1=x 2=y\n2: 1=1 2=2\n" },
	{ "implicit header and a byte order mark",
	  "csv",
	  { .implicit_header = true },
	  "\xef\xbb\xbf\"x\",y\n",
	  0,
	  "1: 1=x 2=y\n" },
	{ "implicit header and a bad first row",
	  "csv",
	  { .implicit_header = true },
	  "x\"\n1,2\n",
	  0,
	  "1! x\\22 a quote inside field 1, which does not begin with one\n2: 1=1 2=2\n" },
	{ "another separator",
	  "csv",
	  { .separator = ';' },
	  "a;b\n1,5;2\n\"x;y\";3\n",
	  0,
	  "2: a=1,5 b=2\n3: a=x;y b=3\n" },
	{ "TSV",
	  "tsv",
	  { 0 },
	  "a\tb\n1\t2\n\"x\t,\n\t\n",
	  0,
	  "2: a=1 b=2\n3: a=\\22x b=,\n4: a=~ b=~\n" },
	{ "TSV escapes",
	  "tsv",
	  { 0 },
	  "a\\tb\tc\nx\\ny\t\\\\t\\r\\q\\\n1\t2\n",
	  0,
	  "2: a\\09b=x\\0ay c=\\5ct\\0d\\5cq\\5c\n3: a\\09b=1 c=2\n" },
	{ "TSV with CRLF", "tsv", { 0 }, "a\tb\r\n1\t\\\\\r\n", 0, "2: a=1 b=\\5c\n" },
	{ "TSV rows of the wrong length",
	  "tsv",
	  { 0 },
	  "a\tb\n1\n1\t2\n",
	  0,
	  "2! 1 expected 2 fields, found 1\n3: a=1 b=2\n" },
	{ "a record that is too long",
	  "csv",
	  { .record_max = 5 },
	  "a,b\n1,2\n12,34\n123,45\n",
	  0,
	  "2: a=1 b=2\n3: a=12 b=34\nerror -71: line 4: a record of more than 5 bytes (--max-record)\n" },
	{ "a record just short enough, with CRLF",
	  "csv",
	  { .record_max = 5 },
	  "a,b\r\n12,34\r\n",
	  0,
	  "2: a=12 b=34\n" },
	{ "a quoted record that is too long",
	  "csv",
	  { .record_max = 8 },
	  "a,b\n\"x\",\"y\"\n\"x\",\"yz\n\"\n",
	  0,
	  "2: a=x b=y\nerror -71: line 3: a record of more than 8 bytes (--max-record)\n" },
	{ "a header line that is too long",
	  "csv",
	  { .record_max = 5 },
	  "abc,def\n1,2\n",
	  0,
	  "error -71: line 1: a record of more than 5 bytes (--max-record)\n" },
};

/* ---- against libcsv -------------------------------------------------------------- */

/* A text of rows that mostly fit; odd: one in so many bytes is none of them. */
static void
make_text(uint64_t *random, struct fl_buf *b, size_t n, uint32_t odd, bool crlf)
{
	static const char *const pieces[] = {
		"\"",    "\"\"",   ",",       "\n",   "\r",    "\r\n",
		"\"x\"", "\"\n\"", "\"a,b\"", "\n\n", ",\"\"", "\xff"
	};
	uint32_t cols = 1 + below(random, 5);

	fl_buf_clear(b);
	for (uint32_t c = 0; c < cols; c++)
		fl_buf_printf(b, "%sc%u", c ? "," : "", c);
	fl_buf_puts(b, crlf ? "\r\n" : "\n");
	while (b->len < n) {
		for (uint32_t c = 0; c < cols; c++) {
			if (c)
				fl_buf_putc(b, ',');
			for (uint32_t k = below(random, 12); k; k--)
				fl_buf_putc(b, (char)('a' + below(random, 26)));
			if (below(random, odd) == 0)
				fl_buf_puts(b, pieces[below(random, FL_ARRAY_LEN(pieces))]);
		}
		fl_buf_puts(b, crlf ? "\r\n" : "\n");
	}
	if (below(random, 3) == 0)
		b->len -= 1 + below(random, 3);
}

static bool
same_as_libcsv(uint64_t *random, size_t n, uint32_t odd, bool report)
{
	struct fl_buf text = { 0 }, want = { 0 }, got = { 0 };
	struct fl_reader *r = new_reader("csv", (struct fl_reader_options){ 0 });
	size_t step;
	bool same = true;

	make_text(random, &text, n, odd, below(random, 2));
	step = 1 + below(random, (uint32_t)text.len);
	if (oracle_text(text.data, text.len, &want)) {
		read_text(r, text.data, text.len, below(random, 2) ? cut_every : NULL, &step, &got,
			  false);
		same = strcmp(want.data, got.data) == 0;
	}
	if (!same && report)
		printf("# text:\n%.*s\n# libcsv:\n%s\n# reader:\n%s\n", (int)text.len, text.data,
		       want.data, got.data);
	fl_reader_free(r);
	fl_buf_release(&text);
	fl_buf_release(&want);
	fl_buf_release(&got);
	return same;
}

static void
test_against_libcsv(void)
{
	static const struct {
		size_t bytes;
		uint32_t odd;
		int rounds;
	} kinds[] = { { 60, 4, 20000 },
		      { 600, 20, 4000 },
		      { 100000, 400, 30 },
		      { 3000000, 3000, 3 },
		      { 2500000, 1000000000, 3 } };
	uint64_t random = 2463534242;

	for (size_t k = 0; k < FL_ARRAY_LEN(kinds); k++) {
		bool same = true;

		for (int i = 0; i < kinds[k].rounds && same; i++)
			same = same_as_libcsv(&random, kinds[k].bytes, kinds[k].odd, k < 2);
		tap_ok(same, "what libcsv says of texts of %zu bytes, 1 field in %u odd",
		       kinds[k].bytes, kinds[k].odd);
	}
}

/* ---- limits, files, layout ---------------------------------------------------------- */

static void
test_many_columns(uint32_t columns, bool fits)
{
	struct fl_buf text = { 0 }, out = { 0 };
	struct fl_reader *r = new_reader("csv", (struct fl_reader_options){ 0 });

	for (uint32_t c = 0; c < columns; c++)
		fl_buf_printf(&text, "%sc%u", c ? "," : "", c);
	fl_buf_putc(&text, '\n');
	for (int row = 0; row < 3; row++) {
		for (uint32_t c = 0; c + 1 < columns; c++)
			fl_buf_putc(&text, ',');
		fl_buf_puts(&text, "x\n");
	}
	read_text(r, text.data, text.len, NULL, NULL, &out, true);
	if (fits)
		tap_ok(fl_reader_columns(r)->column_count == columns && fl_reader_line(r) == 5 &&
			       strncmp(out.data, "2: c0=~ ", 8) == 0,
		       "%u columns", columns);
	else
		(void)tap_eq_str(out.data, "error -71: line 1: more than 65536 columns\n",
				 "%u columns", columns);
	fl_reader_free(r);
	fl_buf_release(&text);
	fl_buf_release(&out);
}

/* Further files have to have the first one's columns. */
static void
test_files(void)
{
	static const struct {
		const char *text, *want, *title;
	} files[] = {
		{ "a,b\n1,2\n", "2: a=1 b=2\n", "a first file" },
		{ "a,b\r\n3,4", "2: a=3 b=4\n", "a second file with the same header line" },
		{ "", "", "a third, empty" },
		{ "a,b\n\"5\",6\n", "2: a=5 b=6\n", "a fourth" },
		{ "a,c\n1,2\n",
		  "error -65: line 1: column 2 is \"c\" in the header line, but \"b\" in that of "
		  "the first file\n",
		  "a header line with another name" },
		{ "a\n1\n",
		  "error -65: line 1: the header line has 1 columns, that of the first file 2\n",
		  "a header line with fewer names" },
	};
	struct fl_reader *r = new_reader("csv", (struct fl_reader_options){ 0 });
	struct fl_buf out = { 0 };

	for (size_t i = 0; i < FL_ARRAY_LEN(files); i++) {
		fl_buf_clear(&out);
		read_text(r, files[i].text, strlen(files[i].text), NULL, NULL, &out, true);
		(void)tap_eq_str(out.data, files[i].want, "%s", files[i].title);
	}
	fl_reader_free(r);
	fl_buf_release(&out);
}

static void
test_layout(void)
{
	static const char text[] = "a,b\n1,2\n3,4\n"
				   "................................"
				   "................................";
	struct fl_reader *r = new_reader("csv", (struct fl_reader_options){ 0 });
	struct fl_read_result result;
	struct fl_err err;
	const struct fl_vec *v;

	(void)tap_eq_int(fl_reader_read(r, text, 12, true, &result, &err), 0,
			 "a plain text is read");
	v = result.batch.col;
	tap_ok(result.batch.rows == 2 && result.batch.cols == 2 && result.taken == 12 &&
		       result.batch.line == 2,
	       "all of it is one batch");
	tap_ok(v[0].bytes == text + 4 && v[1].bytes == text + 4,
	       "its columns are views of the input");
	tap_ok(v[1].off == v[0].off + 1 && v[0].stride == 2 && v[0].gap == 1 &&
		       v[0].off[0] == UINT32_MAX,
	       "that share the positions of the delimiters");
	tap_ok(v[0].clean && v[1].clean && !v[0].tags, "and need no quotes");
	fl_reader_free(r);
}

static void
test_separator(void)
{
	struct fl_reader_options o = { .separator = '"', .record_max = 100 };
	struct fl_err err;

	tap_ok(fl_reader_new(fl_reader_type("csv"), &o, &err) == NULL && err.code == FL_EUSAGE,
	       "a quote is no separator");
}

int
main(void)
{
	test_scanner();
	for (size_t i = 0; i < FL_ARRAY_LEN(vectors); i++)
		test_vector(&vectors[i]);
	test_against_libcsv();
	test_many_columns(65536, true);
	test_many_columns(65537, false);
	test_files();
	test_layout();
	test_separator();
	return tap_done();
}
