/* SPDX-License-Identifier: Apache-2.0 */
/* What values consist of, by the words of checkpoint/about.h. */
#include <stdlib.h>

#include "../../tools/checkpoint/layout.h"
#include "stream/frame.h"
#include "tap.h"

/* Rows are shown as "row SET N", accumulators as "sum N": N bytes. */
static bool
show_row(void *ctx, const char *set, const char *p, size_t n, struct fl_buf *out)
{
	(void)ctx;
	(void)p;
	fl_buf_printf(out, "{\"row %s\":%zu}", set ? set : "", n);
	return *p != '!';
}

static bool
show_sum(void *ctx, const char *p, size_t n, struct fl_buf *out)
{
	(void)ctx;
	(void)p;
	fl_buf_printf(out, "{\"sum\":%zu}", n);
	return true;
}

struct pieces {
	struct fl_buf text; /* of each: namespace=value, a space */
	uint64_t bytes;
	uint64_t longest;
	bool fails;
};

static int
add_piece(void *ctx, const struct fc_piece *p, struct fl_err *err)
{
	struct pieces *all = ctx;

	if (p->side)
		fl_buf_printf(&all->text, "%.*s=", (int)p->side_len, p->side);
	else if (p->windowed)
		fl_buf_printf(&all->text, "%lld..%lld=", (long long)p->bounds[0],
			      (long long)p->bounds[1]);
	fl_buf_put(&all->text, p->tag == FL_TAG_NULL ? "none" : p->text,
		   p->tag == FL_TAG_NULL ? 4 : p->text_len);
	fl_buf_putc(&all->text, ' ');
	all->bytes += p->bytes;
	all->longest = p->text_len > all->longest ? p->text_len : all->longest;
	return all->fails ? fl_fail(err, FL_EIO, "no room") : 0;
}

static int
show(const char *layout, const char *p, size_t n, struct pieces *all)
{
	const struct fc_layout_to to = {
		.ctx = all, .row = show_row, .aggregates = show_sum, .piece = add_piece
	};
	struct fc_layout *l = fc_layout_new(layout);
	struct fl_err err = { 0 };
	int rc;

	if (!l)
		return -1000;
	rc = fc_layout_show(l, p, n, &to, &err);
	fc_layout_free(l);
	return rc;
}

#define U32(n) n "\0\0\0"
#define U64(n) n "\0\0\0\0\0\0\0"
#define NEVER "\377\377\377\377\377\377\377\177"
#define BYTES(s) s, sizeof(s) - 1

static const struct {
	const char *layout;
	const char *value;
	size_t len;
	const char *want; /* NULL: it is not of that layout */
} cases[] = {
	{ "u8", BYTES("\7"), "7 " },
	{ "a:u8 b:u32 c:u64 d:i64",
	  BYTES("\1" U32("\2") U64("\3") "\377\377\377\377\377\377\377\377"),
	  "{\"a\":1,\"b\":2,\"c\":3,\"d\":-1} " },
	{ "a:u8? b:u8?", BYTES("\0\1"), "{\"b\":1} " },
	{ "a:u8?", BYTES("\0"), "none " },
	{ "-:u8 b:u8", BYTES("\0\1"), "{\"b\":1} " },
	{ "flag", BYTES("\2"), "true " },
	{ "a:time b:time", BYTES(U64("\1") NEVER), "{\"a\":\"1970-01-01T00:00:00.001Z\"} " },
	{ "time", BYTES(U64("\1")), "1970-01-01T00:00:00.001Z " },
	{ "duration", BYTES(U64("\1")), "1ms " },
	{ "a:word(x,y) b:word(x,y) c:word32(,z)?", BYTES("\1\2" U32("\1")),
	  "{\"a\":\"y\",\"b\":2,\"c\":\"z\"} " },
	{ "bits(a,b,c)", BYTES("\5"), "{\"a\":true,\"c\":true} " },
	{ "skip(3) a:u8", BYTES("xyz\1"), "{\"a\":1} " },
	{ "text", BYTES("it \"is\""), "it \"is\" " },
	{ "a:text", BYTES("it \"is\""), "{\"a\":\"it \\\"is\\\"\"} " },
	{ "a:bytes", BYTES("\0\n"), "{\"a\":\"0x000a\"} " },
	{ "[]{word0}", BYTES("ab\0\0c\0"), "[\"ab\",\"\",\"c\"] " },
	{ "[]{size text}", BYTES(U32("\2") "ab" U32("\1") "c"), "[\"ab\",\"c\"] " },
	{ "size a:row aggregates:aggregates", BYTES(U32("\2") "xxyyy"),
	  "{\"a\":{\"row \":2},\"aggregates\":{\"sum\":3}} " },
	{ "size a:aggregates b:u8", BYTES(U32("\0") "\1"), "{\"b\":1} " },
	{ "row:row", BYTES("!"), "{\"row\":\"!\"} " },
	{ "word(a,b) row(left,right)", BYTES("\1xx"), "{\"row right\":2} " },
	/* lists */
	{ "r[u8]{a:u8 b:u8}", BYTES("\2\1\2\3\4"),
	  "{\"r\":[{\"a\":1,\"b\":2},{\"a\":3,\"b\":4}]} " },
	{ "count skip(1) r[#]{u8}", BYTES(U32("\2") "x\1\2"), "{\"r\":[1,2]} " },
	{ "r[u32]{u8}", BYTES(U32("\0")), "{\"r\":[]} " },
	{ "r[u8]<a:u8>", BYTES("\1" U32("\3") "\1zz"), "{\"r\":[{\"a\":1}]} " },
	{ "a:u8 h[?u8]{b:u8}", BYTES("\1\1\2"), "{\"a\":1,\"h\":{\"b\":2}} " },
	{ "a:u8 h[?u8]{b:u8}", BYTES("\1\0"), "{\"a\":1} " },
	{ "a:u8 h[?]{b:u8}", BYTES("\1\2"), "{\"a\":1,\"h\":{\"b\":2}} " },
	{ "a:u8 h[?]{b:u8}", BYTES("\1"), "{\"a\":1} " },
	{ "a:u8 -[]{b:u8}", BYTES("\1\2\3"), "{\"a\":1} " },
	/* entries of their own */
	{ "@[]{u8}", BYTES("\1\2"), "1 2 " },
	{ "@p[u8]{u8} a:u8", BYTES("\2\1\2\3"), "p=1 p=2 {\"a\":3} " },
	{ "@[]{side(l,r) row:row(l,r)}", BYTES("\1xyz"), "r={\"row\":{\"row r\":3}} " },
	{ "@[]{start end -:u8 @[u8]{u8}}", BYTES(U64("\1") U64("\2") "\0\2\3\4"),
	  "1..2=3 1..2=4 " },
	{ "@[1]{rows:u8} @x[1]{rows:u8}", BYTES("\1\2"), "{\"rows\":1} x={\"rows\":2} " },
	{ "@[u8]{a:u8}", BYTES("\0"), "none " },
	/* values that are not of their layout */
	{ "u32", BYTES("\1"), NULL },
	{ "u8", BYTES("\1\2"), NULL },
	{ "size text", BYTES(U32("\3") "ab"), NULL },
	{ "r[u64]{u8}",
	  BYTES("\377\377\377\377\377\377\377\0"
		"a"),
	  NULL },
	{ "r[u64]{skip(0)}", BYTES("\377\377\377\377\377\377\377\0"), NULL },
	{ "@[]{u8} u8", BYTES("\1\2"), NULL },
	{ "r[]<u8>", BYTES(U32("\2") "a"), NULL },
	{ "word0", BYTES("ab"), NULL },
	{ "r[#]{u8}", BYTES("a"), NULL },
	{ "size size size size size size size size size",
	  BYTES("000011112222333344445555666677778888"), NULL },
};

static void
show_cases(void)
{
	for (size_t i = 0; i < FL_ARRAY_LEN(cases); i++) {
		struct pieces all = { .bytes = 0 };
		int rc = show(cases[i].layout, cases[i].value, cases[i].len, &all);

		fl_buf_putc(&all.text, '\0');
		tap_eq_int(rc, cases[i].want != NULL, "%s: %s", cases[i].layout,
			   cases[i].want ? "shown" : "another value");
		tap_eq_str(all.text.data, cases[i].want ? cases[i].want : "", "%s",
			   cases[i].layout);
		if (cases[i].want)
			tap_eq_int((int64_t)all.bytes, (int64_t)cases[i].len, "%s: all its bytes",
				   cases[i].layout);
		fl_buf_release(&all.text);
	}
}

static void
refuse_layouts(void)
{
	static const char *const bad[] = {
		"",
		" ",
		"u7",
		"a:",
		"a:u8:u8",
		"u8(",
		"word",
		"word(",
		"word(a",
		"skip",
		"skip(x)",
		"skip(1,2)",
		"skip(99999999999)",
		"r[",
		"r[]",
		"r[]{",
		"r[]{u8>",
		"r[u16]{u8}",
		"@u8",
		"@a:u8",
		"}",
		"u8 }",
		"r[]{r[]{r[]{r[]{r[]{r[]{r[]{r[]{r[]{u8}}}}}}}}}",
	};
	struct fl_buf many = { 0 };

	for (size_t i = 0; i < FL_ARRAY_LEN(bad); i++) {
		struct fc_layout *l = fc_layout_new(bad[i]);

		tap_ok(!l, "no layout: \"%s\"", bad[i]);
		fc_layout_free(l);
	}
	for (int i = 0; i < 300; i++)
		fl_buf_puts(&many, "u8 ");
	fl_buf_putc(&many, '\0');
	tap_ok(!fc_layout_new(many.data), "too many items");
	fl_buf_release(&many);
}

/* Two watermarks and two batches of three records; the last of them is cut off. */
static void
show_frames(void)
{
	struct fl_frame_writer w = { .started = true, .seq = 7 };
	struct fl_watermark wm = { .ms = 5 };
	struct pieces all = { .bytes = 0 };
	struct fl_build rows;
	struct fl_err err;
	struct iovec *iov;
	size_t n, whole;

	fl_build_init(&rows, 1);
	for (int i = 0; i < 3; i++) {
		fl_put_int(&rows.col[0], i);
		fl_build_row(&rows, 0, 0, FL_INSERT);
	}
	fl_frame_watermark(&w, &wm);
	tap_ok(fl_frame_batch(&w, fl_build_view(&rows), &iov, &n, &err) == 0 && !iov, "a batch");
	fl_frame_watermark(&w, &wm);
	whole = w.out.len;
	tap_ok(fl_frame_batch(&w, fl_build_view(&rows), &iov, &n, &err) == 0 && !iov, "another");
	tap_eq_int(show("frames", w.out.data, whole, &all), 1, "frames");
	tap_eq_int(show("frames", w.out.data, w.out.len, &all), 1, "more of them");
	tap_eq_int(show("frames", w.out.data, w.out.len - 1, &all), 1, "of which one is cut off");
	tap_eq_int(show("frames", w.out.data + 1, 3, &all), 1, "none");
	fl_buf_putc(&all.text, '\0');
	tap_eq_str(all.text.data,
		   "{\"records\":3,\"watermarks\":2} {\"records\":6,\"watermarks\":2} "
		   "{\"records\":3,\"watermarks\":2} 0x000000 ",
		   "what they have");
	fl_buf_release(&all.text);
	fl_frame_writer_release(&w);
	fl_build_release(&rows);
}

int
main(void)
{
	struct pieces all = { .fails = true };
	size_t n = 8u << 20;
	char *value = fl_xcalloc(n, 1);

	show_cases();
	refuse_layouts();
	show_frames();
	tap_eq_int(show("@[]{u8}", "ab", 2, &all), FL_EIO, "an error of who takes the pieces");
	fl_buf_release(&all.text);

	/* 8 M elements, {"a":0}: 16 MiB of text are shown */
	all = (struct pieces){ .bytes = 0 };
	tap_eq_int(show("r[]{a:u8}", value, n, &all), 1, "a long list");
	fl_buf_putc(&all.text, '\0');
	tap_ok(all.longest > 16u << 20 && all.longest < 17u << 20, "is cut");
	tap_ok(strstr(all.text.data, ",\"and 6291456 more\"]} ") != NULL,
	       "and says by how much: %s", all.text.data + all.text.len - 40);
	tap_eq_int((int64_t)all.bytes, (int64_t)n, "all its bytes");
	fl_buf_release(&all.text);
	free(value);
	return tap_done();
}
