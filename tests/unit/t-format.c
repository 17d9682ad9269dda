/* SPDX-License-Identifier: Apache-2.0 */
/* The readers of lines (text, CLF, logfmt, regular expressions), and the writers. */
#include "reader-vectors.h"

#include "base/itoa.h"
#include "format/writer.h"
#include "stream/number.h"

/* ---- readers ------------------------------------------------------------------ */

#define CLF_HEAD "h - - [10/Oct/2000:13:55:36 -0700] "
#define CLF_HEAD_WANT "1: host=h ident=~ user=~ ts=10/Oct/2000:13:55:36\\20-0700 "

static const struct vector vectors[] = {
	{ "lines",
	  "text",
	  { 0 },
	  "a b\n\n\"x\",\r\nlast",
	  0,
	  "1: line=a\\20b\n2: line=\"\"\n3: line=\\22x\\22,\n4: line=last\n" },
	{ "line ends",
	  "text",
	  { 0 },
	  "a\r\n\r\n\rb\rc\r\r\nd\r",
	  0,
	  "1: line=a\n2: line=\"\"\n3: line=\\0db\\0dc\\0d\n4: line=d\n" },
	{ "nothing", "text", { 0 }, "", 0, "" },
	{ "a byte order mark", "text", { 0 }, "\xef\xbb\xbfx\n", 0, "1: line=x\n" },
	{ "NUL bytes", "text", { 0 }, TEXT("a\0b\n\0\n"), "1: line=a\\00b\n2: line=\\00\n" },
	{ "a line that is too long",
	  "text",
	  { .record_max = 3 },
	  "abc\r\nabcd\nx\n",
	  0,
	  "1: line=abc\nerror -71: line 2: a record of more than 3 bytes (--max-record)\n" },

	{ "common",
	  "clf",
	  { 0 },
	  "127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] \"GET /a.gif HTTP/1.0\" 200 2326\n",
	  0,
	  "1: host=127.0.0.1 ident=~ user=frank ts=10/Oct/2000:13:55:36\\20-0700 method=GET "
	  "path=/a.gif protocol=HTTP/1.0 status=200 bytes=2326\n" },
	{ "combined, and something more",
	  "clf",
	  { 0 },
	  CLF_HEAD
	  "\"POST /p?a=1 HTTP/1.1\" 404 - \"http://x/\" \"Agent (a; b)\" \"10.0.0.1\" 0.003\r\n",
	  0,
	  CLF_HEAD_WANT "method=POST path=/p?a=1 protocol=HTTP/1.1 status=404 bytes=~ "
			"referer=http://x/ agent=Agent\\20(a;\\20b)\n" },
	{ "a dash in quotes",
	  "clf",
	  { 0 },
	  CLF_HEAD "\"-\" 408 - \"-\" \"-\"\n",
	  0,
	  CLF_HEAD_WANT "method=~ path=~ protocol=~ status=408 bytes=~ referer=~ agent=~\n" },
	{ "escapes",
	  "clf",
	  { 0 },
	  CLF_HEAD "\"GET /a\\\"b\\\\ HTTP/1.1\" 200 1 \"\\x41\\x7g\\q\" \"\\t\\n\"\n",
	  0,
	  CLF_HEAD_WANT "method=GET path=/a\\22b\\5c protocol=HTTP/1.1 status=200 bytes=1 "
			"referer=A\\5cx7g\\5cq agent=\\09\\0a\n" },
	{ "a request with spaces in its path",
	  "clf",
	  { 0 },
	  CLF_HEAD "\"GET /a b c HTTP/1.1\" 200 1\n",
	  0,
	  CLF_HEAD_WANT "method=GET path=/a\\20b\\20c protocol=HTTP/1.1 status=200 bytes=1\n" },
	{ "a request without protocol",
	  "clf",
	  { 0 },
	  CLF_HEAD "\"GET /\" 200 1\n",
	  0,
	  CLF_HEAD_WANT "method=GET path=/ protocol=~ status=200 bytes=1\n" },
	{ "a request that is none",
	  "clf",
	  { 0 },
	  CLF_HEAD "\"\\x16\\x03 x HTTP/1.1\" 400 0\n",
	  0,
	  CLF_HEAD_WANT "method=~ path=\\16\\03\\20x\\20HTTP/1.1 protocol=~ status=400 bytes=0\n" },
	{ "an empty request, and one of a word",
	  "clf",
	  { 0 },
	  CLF_HEAD "\"\" 400 0\n" CLF_HEAD "\"GET\" 400 0\n",
	  0,
	  CLF_HEAD_WANT
	  "method=~ path=~ protocol=~ status=400 bytes=0\n"
	  "2: host=h ident=~ user=~ ts=10/Oct/2000:13:55:36\\20-0700 method=~ path=GET protocol=~ "
	  "status=400 bytes=0\n" },
	{ "a user with spaces, and an empty one",
	  "clf",
	  { 0 },
	  "h - J. R. [d] \"GET / HTTP/1.0\" 1 2\nh - \"\" [d] \"GET / HTTP/1.0\" 1 2\n",
	  0,
	  "1: host=h ident=~ user=J.\\20R. ts=d method=GET path=/ protocol=HTTP/1.0 status=1 bytes=2\n"
	  "2: host=h ident=~ user=\"\" ts=d method=GET path=/ protocol=HTTP/1.0 status=1 bytes=2\n" },
	{ "what is no CLF line",
	  "clf",
	  { 0 },
	  "\nx\nh - -\nh - - [d \"GET\" 1 2\nh - - [d] GET 1 2\nh - - [d] \"G\\\" 1 2\n"
	  "h - - [d] \"G\"x 1 2\nh - - [d] \"G\" 1\nh - - [d] \"G\" 1 2 \"r\n"
	  "h - - [d] \"G\" 1 2 \"r\" \"a\n",
	  0,
	  "1!  not a CLF line: host and ident expected first\n"
	  "2! x not a CLF line: host and ident expected first\n"
	  "3! h\\20-\\20- not a CLF line: no user and [time] behind host and ident\n"
	  "4! h\\20-\\20-\\20[d\\20\\22GET\\22\\201\\202 not a CLF line: no user and [time] behind host "
	  "and ident\n"
	  "5! h\\20-\\20-\\20[d]\\20GET\\201\\202 not a CLF line: no \"request\" in quotes behind the "
	  "time\n"
	  "6! h\\20-\\20-\\20[d]\\20\\22G\\5c\\22\\201\\202 not a CLF line: no \"request\" in quotes behind "
	  "the time\n"
	  "7! h\\20-\\20-\\20[d]\\20\\22G\\22x\\201\\202 not a CLF line: no \"request\" in quotes behind "
	  "the time\n"
	  "8! h\\20-\\20-\\20[d]\\20\\22G\\22\\201 not a CLF line: no status and bytes behind the request\n"
	  "9! h\\20-\\20-\\20[d]\\20\\22G\\22\\201\\202\\20\\22r the quote before the referer is not closed\n"
	  "10! h\\20-\\20-\\20[d]\\20\\22G\\22\\201\\202\\20\\22r\\22\\20\\22a the quote before the agent is not "
	  "closed\n" },

	{ "pairs",
	  "logfmt",
	  { 0 },
	  "at=info n=1  msg=\"a b\"\nn=2\tat=warn\n",
	  0,
	  "1: at=info n=1 msg=a\\20b\n2: at=warn n=2\n" },
	{ "keys that come later",
	  "logfmt",
	  { 0 },
	  "a=1\nb=2 a=3\n\n \t\nc=4\r\na=5",
	  0,
	  "1: a=1\n2: a=3 b=2\n5: c=4\n6: a=5\n" },
	{ "empty values, flags, equal keys",
	  "logfmt",
	  { 0 },
	  "a= b=\"\" c\nc=1 c=2 a=x=y\n",
	  0,
	  "1: a=~ b=\"\" c=true\n2: a=x=y c=2\n" },
	{ "equal keys that are decoded",
	  "logfmt",
	  { 0 },
	  "a a b=\"\\n\" b=\"\\t\" c=\"\\n\" c=1 a\nd d=x\n",
	  0,
	  "1: a=true b=\\09 c=1\n2: d=x\n" },
	{ "escapes",
	  "logfmt",
	  { 0 },
	  "a=\"\\\"\\\\\\n\\t\\u00e9\\u20ac\\ud83d\\ude00\\q\\u12\\ud800x\" b=\"\\u0041\"\n",
	  0,
	  "1: a=\\22\\5c\\0a\\09\\c3\\a9\\e2\\82\\ac\\f0\\9f\\98\\80\\5cq\\5cu12\\5cud800x b=A\n" },
	{ "bad lines",
	  "logfmt",
	  { 0 },
	  "a=1\n=2\na=\"x\na=\"x\"y\na\"=1\na=5\n",
	  0,
	  "1: a=1\n2! =2 no key before = in column 1\n"
	  "3! a=\\22x the quote before a value of a is not closed\n"
	  "4! a=\\22x\\22y text behind the closing quote of a\n"
	  "5! a\\22=1 a quote or NUL byte in a key in column 1\n6: a=5\n" },

	{ "named groups",
	  "regex",
	  { .regex = "^(?<who>\\w+)( said)? (?<what>.*)$" },
	  "bob said hi there\nx y\r\n?\nz \n",
	  0,
	  "1: who=bob what=hi\\20there\n2: who=x what=y\n"
	  "3! ? the line does not match the regular expression: ?\n4: who=z what=~\n" },
	{ "a group that takes no part",
	  "regex",
	  { .regex = "(?<a>a)|(?<b>b)|(?<c>c)" },
	  "a\nb\nc\n",
	  0,
	  "1: a=a b=~ c=~\n2: a=~ b=b c=~\n3: a=~ b=~ c=c\n" },
	{ "one name twice",
	  "regex",
	  { .regex = "(?J)(?<v>a.)|(?<v>b.)" },
	  "a1\nb2\n",
	  0,
	  "1: v=a1\n2: v=b2\n" },
	{ "bytes that are not UTF-8",
	  "regex",
	  { .regex = "(?<v>.+)" },
	  TEXT("\xff\0\n"),
	  "1: v=\\ff\\00\n" },
	{ "an expression that tries too long",
	  "regex",
	  { .regex = "^(?<v>(a+)+)$" },
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\naa\n",
	  0,
	  "1! aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab the regular expression: match limit "
	  "exceeded\n2: v=aa\n" },
};

static void
test_bad_regex(const char *regex, const char *want)
{
	struct fl_reader_options o = { .regex = regex, .record_max = 100 };
	struct fl_err err = { 0 };

	tap_ok(fl_reader_new(fl_reader_type("regex"), &o, &err) == NULL && err.code == FL_EUSAGE,
	       "%s is refused", regex);
	(void)tap_eq_str(err.msg, want, "and why");
}

/* ---- writers: batches to write ---------------------------------------------------- */

/* A batch under construction with its header. */
struct rows {
	struct fl_header h;
	struct fl_build w;
};

static void
rows_init(struct rows *r, const char *const *names, uint32_t n)
{
	fl_header_init(&r->h);
	for (uint32_t i = 0; i < n; i++)
		(void)fl_header_add(&r->h, names[i], strlen(names[i]), FL_TEXT);
	fl_build_init(&r->w, n);
}

static void
rows_release(struct rows *r)
{
	fl_header_release(&r->h);
	fl_build_release(&r->w);
}

/* One value as the tests write it: ~ NULL, ^ absent, #5 an INT64, @ms a TIME, else PLAIN text. */
static void
put(struct fl_colbuf *c, const char *s)
{
	static const uint32_t none[2] = { 0, 0 };
	static const struct fl_vec absent = { .tag = FL_TAG_ABSENT, .bytes = "", .off = none };

	if (*s == '~')
		fl_put_null(c);
	else if (*s == '^')
		fl_put_value(c, &absent, 0);
	else if (*s == '#')
		fl_put_int(c, strtoll(s + 1, NULL, 10));
	else if (*s == '@')
		fl_put_time(c, strtoll(s + 1, NULL, 10));
	else
		fl_put_text(c, s, strlen(s), *s ? FL_TAG_PLAIN : FL_TAG_STRING);
}

static void
rows_add(struct rows *r, const char *const *values, enum fl_rowkind op)
{
	for (uint32_t c = 0; c < r->w.cols; c++)
		put(&r->w.col[c], values[c]);
	fl_build_row(&r->w, 0, 0, op);
}

#define ROWS_INIT(r, ...) \
	rows_init(r, (const char *const[]){ __VA_ARGS__ }, \
		  (uint32_t)(sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *)))
#define ROW(r, ...) rows_add(r, (const char *const[]){ __VA_ARGS__ }, FL_INSERT)
#define ROW_OP(r, op, ...) rows_add(r, (const char *const[]){ __VA_ARGS__ }, op)

static struct fl_writer *
new_writer(const char *format, struct fl_writer_options o)
{
	struct fl_err err;

	o.separator = o.separator ? o.separator : ',';
	return fl_writer_new(fl_writer_type(format), &o, &err);
}

/* Write what r has, and forget it. */
static int
flush(struct fl_writer *w, struct rows *r, struct fl_buf *out, struct fl_err *err)
{
	int rc = fl_writer_write(w, &r->h, fl_build_view(&r->w), out, err);

	fl_build_clear(&r->w);
	return rc;
}

/* Everything r has through a new writer; compared with want, title says what is tested. */
static void
test_writer(const char *format, struct fl_writer_options o, struct rows *r, const char *want,
	    const char *title)
{
	struct fl_writer *w = new_writer(format, o);
	struct fl_buf out = { 0 };
	struct fl_err err;

	if (flush(w, r, &out, &err) < 0 || fl_writer_end(w, &r->h, &out, &err) < 0)
		fl_buf_printf(&out, "error %d: %s", err.code, err.msg);
	fl_buf_putc(&out, 0);
	(void)tap_eq_str(out.data, want, "%s: %s", format, title);
	fl_writer_free(w);
	fl_buf_release(&out);
	rows_release(r);
}

/* ---- CSV and TSV ---------------------------------------------------------------------- */

static void
test_csv_values(void)
{
	struct rows r;

	ROWS_INIT(&r, "a", "b,c", "");
	ROW(&r, "x", "1,5", "");
	ROW(&r, "say \"hi\"", "two\nlines", "~");
	ROW(&r, "a\rb", " spaces ", "^");
	test_writer("csv", (struct fl_writer_options){ 0 }, &r,
		    "a,\"b,c\",\"\"\nx,\"1,5\",\"\"\n\"say \"\"hi\"\"\",\"two\nlines\",\n"
		    "\"a\rb\", spaces ,\n",
		    "quotes where they are needed");
	ROWS_INIT(&r, "a", "b");
	ROW(&r, "x;y", "1,5");
	ROW(&r, "clean", "too");
	test_writer("csv", (struct fl_writer_options){ .separator = ';' }, &r,
		    "a;b\n\"x;y\";1,5\nclean;too\n", "another separator");
	ROWS_INIT(&r, "a\tb", "c");
	ROW(&r, "x\ty\nz\r\\", "");
	ROW(&r, "\"q\",", "~");
	test_writer("tsv", (struct fl_writer_options){ 0 }, &r,
		    "a\\tb\tc\nx\\ty\\nz\\r\\\\\t\n\"q\",\t\n", "escapes");
}

static void
test_csv_kinds(void)
{
	struct rows r;
	struct fl_dec d = fl_dec_make(908000, 3);

	ROWS_INIT(&r, "start", "t", "n", "d", "f", "b");
	r.h.columns[0].seconds = true;
	for (int i = 0; i < 2; i++) {
		put(&r.w.col[0], "@1700000000000");
		put(&r.w.col[1], i ? "@1700000000001" : "@1700000000000");
		put(&r.w.col[2], i ? "#-9223372036854775808" : "#42");
		fl_put_dec(&r.w.col[3], &d);
		fl_put_double(&r.w.col[4], 0.1);
		fl_put_bool(&r.w.col[5], i);
		fl_build_row(&r.w, 0, 0, FL_INSERT);
	}
	ROW(&r, "~", "~", "~", "~", "~", "~");
	test_writer(
		"csv", (struct fl_writer_options){ 0 }, &r,
		"start,t,n,d,f,b\n"
		"2023-11-14T22:13:20Z,2023-11-14T22:13:20.000Z,42,908.000,0.1,false\n"
		"2023-11-14T22:13:20Z,2023-11-14T22:13:20.001Z,-9223372036854775808,908.000,0.1,true\n"
		",,,,,\n",
		"every kind of column");
	ROWS_INIT(&r, "t");
	ROW(&r, "@-1");
	ROW(&r, "@1700000000000");
	test_writer("csv", (struct fl_writer_options){ .epoch_ms = true }, &r,
		    "t\n-1\n1700000000000\n", "times as numbers");
}

static void
test_csv_columns(void)
{
	struct rows r;

	ROWS_INIT(&r, "a", "b", "c");
	ROW(&r, "1", "2", "3");
	test_writer("csv", (struct fl_writer_options){ .columns = "c,a" }, &r, "c,a\n3,1\n",
		    "--columns");
	ROWS_INIT(&r, "a", "b,c");
	ROW(&r, "1", "2");
	test_writer("csv", (struct fl_writer_options){ .columns = "\"b,c\"" }, &r, "\"b,c\"\n2\n",
		    "--columns with a quoted name");
	ROWS_INIT(&r, "host", "b");
	ROW(&r, "1", "2");
	test_writer("csv", (struct fl_writer_options){ .columns = "hots" }, &r,
		    "error -64: --columns: there is no column hots; did you mean host?",
		    "--columns with an unknown name");
	ROWS_INIT(&r, "a");
	r.h.format = fl_xstrdup("jsonl");
	ROW(&r, "1");
	test_writer("csv", (struct fl_writer_options){ .columns = "b,a" }, &r, "b,a\n,1\n",
		    "--columns with a key that may still come");
	ROWS_INIT(&r, "a", "b", "c");
	ROW(&r, "1", "^", "3");
	ROW(&r, "^", "^", "~");
	test_writer("csv", (struct fl_writer_options){ 0 }, &r, "a,c\n1,3\n,\n",
		    "columns are those of the first record");
	ROWS_INIT(&r, "a", "b");
	ROW(&r, "1", "^");
	ROW(&r, "1", "2");
	test_writer("csv", (struct fl_writer_options){ 0 }, &r,
		    "error -65: a record has the column b, which the first record has not: "
		    "say --columns, or write JSONL",
		    "a record with another column");
	ROWS_INIT(&r, "a", "b");
	test_writer("csv", (struct fl_writer_options){ 0 }, &r, "a,b\n", "no rows");
	ROWS_INIT(&r, "a", "b");
	ROW(&r, "1", "2");
	test_writer("csv", (struct fl_writer_options){ .headerless = true }, &r, "1,2\n",
		    "no header line");
	ROWS_INIT(&r, "a");
	r.h.changelog = true;
	r.w.changelog = true;
	ROW_OP(&r, FL_INSERT, "1");
	ROW_OP(&r, FL_UPDATE_BEFORE, "1");
	ROW_OP(&r, FL_UPDATE_AFTER, "2");
	ROW_OP(&r, FL_DELETE, "2");
	test_writer("csv", (struct fl_writer_options){ .columns = "op,a" }, &r,
		    "op,a\n+I,1\n-U,1\n+U,2\n-D,2\n", "a changelog");
	ROWS_INIT(&r, "a");
	ROW(&r, "\033[31mred\r\xc2\x9b");
	ROW(&r, "two\nlines\t.");
	test_writer("csv", (struct fl_writer_options){ .escape_controls = true }, &r,
		    "a\n\"\\x1b[31mred\\x0d\\xc2\\x9b\"\n\"two\nlines\t.\"\n",
		    "control characters on a terminal");
}

/* A column that the header grew between two batches. */
static void
test_csv_growth(void)
{
	struct fl_writer *w = new_writer("csv", (struct fl_writer_options){ 0 });
	struct fl_buf out = { 0 };
	struct fl_err err;
	struct rows r;

	ROWS_INIT(&r, "a");
	ROW(&r, "1");
	(void)tap_eq_int(flush(w, &r, &out, &err), 0, "csv: a first batch");
	(void)fl_header_add(&r.h, "b", 1, FL_TEXT);
	fl_build_resize(&r.w, 2);
	ROW(&r, "2", "^");
	(void)tap_eq_int(flush(w, &r, &out, &err), 0, "csv: a new column that no record has");
	ROW(&r, "3", "x");
	(void)tap_eq_int(flush(w, &r, &out, &err), FL_EDATA, "csv: one that a record has");
	fl_buf_putc(&out, 0);
	(void)tap_eq_str(out.data, "a\n1\n2\n", "csv: what was written before");
	rows_release(&r);
	fl_writer_free(w);
	fl_buf_release(&out);
}

/* Text through reader and writer, all rows or every k-th. */
static void
test_pass_through(const char *text, uint32_t every, const char *want, const char *title)
{
	struct fl_reader *r = new_reader("csv", (struct fl_reader_options){ 0 });
	struct fl_writer *w = new_writer("csv", (struct fl_writer_options){ 0 });
	struct fl_buf in = { 0 }, out = { 0 }, pool = { 0 };
	struct fl_read_result result;
	struct fl_batch picked;
	struct fl_err err;
	uint32_t rows[64], n = 0;

	fl_buf_puts(&in, text);
	memset(fl_buf_reserve(&in, FL_READER_PAD), 'x', FL_READER_PAD);
	if (fl_reader_read(r, in.data, in.len, true, &result, &err) == 0) {
		for (uint32_t i = 0; i < result.batch.rows; i += every)
			rows[n++] = i;
		fl_batch_select(&result.batch, rows, n, &pool, &picked);
		(void)fl_writer_write(w, fl_reader_columns(r), every > 1 ? &picked : &result.batch,
				      &out, &err);
	}
	fl_buf_putc(&out, 0);
	(void)tap_eq_str(out.data, want, "csv to csv: %s", title);
	fl_reader_free(r);
	fl_writer_free(w);
	fl_buf_release(&in);
	fl_buf_release(&out);
	fl_buf_release(&pool);
}

/* Clean columns that lie in lines, whose delimiters are not those of CSV. */
static void
test_other_delimiters(const char *bytes, const char *title)
{
	static const uint32_t off[] = { UINT32_MAX, 1, 3, 5, 7 };
	struct fl_writer *w = new_writer("csv", (struct fl_writer_options){ .headerless = true });
	struct fl_vec v = { .kind = FL_TEXT,
			    .clean = true,
			    .stride = 2,
			    .gap = 1,
			    .bytes = bytes,
			    .bytes_len = 8,
			    .off = off };
	struct fl_vec cols[2] = { v, v };
	struct fl_batch b = { .rows = 2, .cols = 2, .col = cols };
	struct fl_buf out = { 0 };
	struct fl_err err;
	struct rows r;

	cols[1].off++;
	ROWS_INIT(&r, "a", "b");
	(void)fl_writer_write(w, &r.h, &b, &out, &err);
	fl_buf_putc(&out, 0);
	(void)tap_eq_str(out.data, "1,2\n3,4\n", "csv: %s", title);
	rows_release(&r);
	fl_writer_free(w);
	fl_buf_release(&out);
}

static void
test_runs(void)
{
	test_other_delimiters("1,2\n3,4\n", "columns that lie in lines");
	test_other_delimiters("1;2\n3;4\n", "columns with another separator between them");
	test_other_delimiters("1,2|3,4|", "columns with other line ends");
	test_pass_through("a,b\n1,2\n,\n3,4\n", 1, "a,b\n1,2\n,\n3,4\n", "plain rows");
	test_pass_through("a,b\r\n1,2\r\n3,4", 1, "a,b\n1,2\n3,4\n", "CRLF");
	test_pass_through("a,b\n1,2\n3,4\n5,6\n", 2, "a,b\n1,2\n5,6\n", "every other row");
	test_pass_through("a,b\n1,2\n\"x\",\"\"\n\"p,q\",4\n5,6\n", 1,
			  "a,b\n1,2\nx,\"\"\n\"p,q\",4\n5,6\n", "quoted rows among plain ones");
	test_pass_through("a\n1\n\n2\n", 1, "a\n1\n\n2\n", "one column with a NULL");
}

/* Random values through the CSV writer and the reader: they come back. */
static bool
comes_back(uint64_t *random, struct fl_buf *want, struct fl_buf *got)
{
	static const char bytes[] = "ab,;\"\n\r\t \0\377";
	struct fl_writer *w = new_writer("csv", (struct fl_writer_options){ 0 });
	struct fl_reader *r = new_reader("csv", (struct fl_reader_options){ 0 });
	struct fl_buf text = { 0 };
	uint64_t line = 2;
	struct fl_err err;
	struct rows rows;

	ROWS_INIT(&rows, "a", "b");
	fl_buf_clear(want);
	fl_buf_clear(got);
	for (int i = 0; i < 20; i++) {
		fl_buf_printf(want, "%" PRIu64 ":", line++);
		for (int c = 0; c < 2; c++) {
			char value[40];
			size_t n = (size_t)(*random >> 40) % sizeof value;

			n = n > 20 ? n : n / 4;
			for (size_t k = 0; k < n; k++) {
				*random = *random * 6364136223846793005u + 1442695040888963407u;
				value[k] = bytes[(*random >> 33) % (sizeof bytes - 1)];
				line += value[k] == '\n';
			}
			fl_buf_puts(want, c ? " b=" : " a=");
			*random = *random * 6364136223846793005u + 1442695040888963407u;
			if (n == 0 && *random >> 63)
				fl_put_null(&rows.w.col[c]);
			else
				fl_put_text(&rows.w.col[c], value, n,
					    n ? FL_TAG_PLAIN : FL_TAG_STRING);
			fl_buf_puts(want, n ? "" : *random >> 63 ? "~" : "\"\"");
			show_bytes(want, value, n);
		}
		fl_buf_putc(want, '\n');
		fl_build_row(&rows.w, 0, 0, FL_INSERT);
	}
	fl_buf_putc(want, 0);
	(void)flush(w, &rows, &text, &err);
	read_text(r, text.data, text.len, NULL, NULL, got, true);
	fl_writer_free(w);
	fl_reader_free(r);
	fl_buf_release(&text);
	rows_release(&rows);
	return strcmp(want->data, got->data) == 0;
}

static void
test_round_trip(void)
{
	struct fl_buf want = { 0 }, got = { 0 };
	uint64_t random = 1;
	bool same = true;

	for (int i = 0; i < 500 && same; i++)
		same = comes_back(&random, &want, &got);
	if (!tap_ok(same, "csv: what is written is read back"))
		printf("# want:\n%s\n# got:\n%s\n", want.data, got.data);
	fl_buf_release(&want);
	fl_buf_release(&got);
}

/* ---- tables --------------------------------------------------------------------------- */

static void
test_tables(void)
{
	struct rows r;

	ROWS_INIT(&r, "host", "n", "note");
	ROW(&r, "h-1", "#7", "x");
	ROW(&r, "long-host", "#4096", "");
	ROW(&r, "~", "~", "two\nlines");
	test_writer("pprint", (struct fl_writer_options){ 0 }, &r,
		    "host         n note\nh-1          7 x\nlong-host 4096 \"\"\n-            - "
		    "two\\nlines\n",
		    "numbers to the right, NULL a dash");
	ROWS_INIT(&r, "a", "b");
	ROW(&r, "1.5", "x");
	ROW(&r, "-20", "1");
	test_writer("pprint", (struct fl_writer_options){ 0 }, &r, "  a b\n1.5 x\n-20 1\n",
		    "text that is numbers all through");
	ROWS_INIT(&r, "\xc3\xa9t\xc3\xa9", "b");
	ROW(&r, "\xe6\x97\xa5\xe6\x9c\xac", "x");
	ROW(&r, "e\xcc\x81", "y");
	ROW(&r, "\xff\033", "z");
	test_writer("pprint", (struct fl_writer_options){ .color = true }, &r,
		    "\033[1m\xc3\xa9t\xc3\xa9   b\033[0m\n\xe6\x97\xa5\xe6\x9c\xac  x\n"
		    "e\xcc\x81     y\n\xff\\x1b z\n",
		    "characters of all widths");
	ROWS_INIT(&r, "a", "b");
	ROW(&r, "short", "abcdefghijklmnopqrstuvwxyz");
	test_writer("pprint", (struct fl_writer_options){ .width = 20 }, &r,
		    "a     b\nshort abcdefghijklm\xe2\x80\xa6\n", "cut to the screen");
	ROWS_INIT(&r, "a");
	test_writer("pprint", (struct fl_writer_options){ 0 }, &r, "a\n", "no rows");
	ROWS_INIT(&r, "a");
	r.h.changelog = true;
	r.w.changelog = true;
	ROW_OP(&r, FL_UPDATE_AFTER, "x");
	test_writer("pprint", (struct fl_writer_options){ 0 }, &r, "op a\n+U x\n", "a changelog");
}

static void
test_table_stream(void)
{
	struct fl_writer *w = new_writer("pprint", (struct fl_writer_options){ 0 });
	struct fl_buf out = { 0 };
	struct fl_err err;
	struct rows r;

	ROWS_INIT(&r, "a", "b");
	ROW(&r, "xxx", "#1");
	(void)flush(w, &r, &out, &err);
	ROW(&r, "y", "#2");
	(void)flush(w, &r, &out, &err);
	ROW(&r, "zzzz", "#3");
	(void)flush(w, &r, &out, &err);
	ROW(&r, "zzzzz", "#3");
	(void)flush(w, &r, &out, &err);
	(void)fl_header_add(&r.h, "c", 1, FL_TEXT);
	fl_build_resize(&r.w, 3);
	ROW(&r, "x", "#4", "new");
	(void)flush(w, &r, &out, &err);
	(void)fl_writer_end(w, &r.h, &out, &err);
	fl_buf_putc(&out, 0);
	(void)tap_eq_str(out.data,
			 "a   b\nxxx 1\ny   2\n\na     b\nzzzz  3\nzzzzz 3\n\na b c\nx 4 new\n",
			 "pprint: a stream stays aligned, and widens when it must");
	rows_release(&r);
	fl_writer_free(w);
	fl_buf_release(&out);
}

static void
test_itoa(void)
{
	char want[32], got[32];
	bool same = true;

	for (int shift = 0; shift < 64; shift++) {
		for (int64_t d = -2; d <= 2; d++) {
			int64_t v = (int64_t)(((uint64_t)1 << shift) + (uint64_t)d);

			(void)snprintf(want, sizeof want, "%" PRId64, v);
			got[fl_itoa(v, got)] = 0;
			same = same && strcmp(want, got) == 0;
		}
	}
	for (int64_t v = 1; v < INT64_MAX / 10; v *= 10) {
		(void)snprintf(want, sizeof want, "%" PRId64, v - 1);
		got[fl_itoa(v - 1, got)] = 0;
		same = same && strcmp(want, got) == 0;
		(void)snprintf(want, sizeof want, "%" PRId64, -v);
		got[fl_itoa(-v, got)] = 0;
		same = same && strcmp(want, got) == 0;
	}
	tap_ok(same, "integers of every length");
}

int
main(void)
{
	for (size_t i = 0; i < FL_ARRAY_LEN(vectors); i++)
		test_vector(&vectors[i]);
	test_bad_regex("(x", "--iregex: missing closing parenthesis, at its byte 3");
	test_bad_regex("(x)", "--iregex: there is no named group, like (?<host>\\S+)");
	tap_ok(fl_reader_type("xml") == NULL && fl_writer_type("clf") == NULL,
	       "formats that are not");
	test_csv_values();
	test_csv_kinds();
	test_csv_columns();
	test_csv_growth();
	test_runs();
	test_round_trip();
	test_tables();
	test_table_stream();
	test_itoa();
	return tap_done();
}
