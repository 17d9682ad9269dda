/* SPDX-License-Identifier: Apache-2.0 */
/* Frames, batches and headers: what is written reads back, what is damaged is found. */
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/io.h"
#include "stream/frame.h"
#include "stream/raw.h"
#include "tap.h"

/* ---- a batch of every kind of column ---------------------------------------------- */

static void
fill(struct fl_build *w, uint32_t rows)
{
	for (uint32_t i = 0; i < rows; i++) {
		struct fl_dec d = { .lo = i, .hi = -1, .scale = 3 };

		fl_put_text(&w->col[0], "abcdefgh", i % 9, FL_TAG_PLAIN);
		fl_put_int(&w->col[1], (int64_t)i * 1000 - 5);
		if (i % 3)
			fl_put_dec(&w->col[2], &d);
		else
			fl_put_null(&w->col[2]);
		fl_put_double(&w->col[3], i / 7.0);
		fl_put_bool(&w->col[4], i & 1);
		fl_put_time(&w->col[5], 1700000000000 + i);
		fl_put_text(&w->col[6], "\0x", 2, i % 2 ? FL_TAG_STRING : FL_TAG_NUMBER);
		fl_build_row(w, i, (int64_t)i - 1, (enum fl_rowkind)(i % 4));
	}
}

static void
append(struct fl_buf *to, struct fl_frame_writer *w, struct iovec *iov, size_t n)
{
	fl_buf_put(to, w->out.data, w->out.len);
	fl_buf_clear(&w->out);
	for (size_t i = 0; i < n; i++)
		fl_buf_put(to, iov[i].iov_base, iov[i].iov_len);
}

static void
put_batch(struct fl_buf *to, struct fl_frame_writer *w, const struct fl_batch *b)
{
	struct fl_err err = { 0 };
	struct iovec *iov;
	size_t n;

	tap_ok(fl_frame_batch(w, b, &iov, &n, &err) == 0, "a batch of %u rows is framed", b->rows);
	append(to, w, iov, n);
}

static bool
same_vec(const struct fl_vec *a, const struct fl_vec *b, uint32_t rows)
{
	struct fl_colbuf x = { 0 }, y = { 0 };
	bool same = a->kind == b->kind;

	for (uint32_t i = 0; i < rows && same; i++) {
		same = fl_tag_of(a, i) == fl_tag_of(b, i) && fl_is_null(a, i) == fl_is_null(b, i);
		fl_put_value(&x, a, i);
		fl_put_value(&y, b, i);
	}
	same = same && x.bytes.len == y.bytes.len && x.data.len == y.data.len;
	same = same && (!x.bytes.len || memcmp(x.bytes.data, y.bytes.data, x.bytes.len) == 0);
	same = same && (!x.data.len || memcmp(x.data.data, y.data.data, x.data.len) == 0);
	for (int i = 0; i < 2; i++) {
		struct fl_colbuf *c = i ? &y : &x;

		fl_buf_release(&c->bytes);
		fl_buf_release(&c->data);
		fl_buf_release(&c->tags);
	}
	return same;
}

static bool
same_batch(const struct fl_batch *a, const struct fl_batch *b)
{
	struct fl_buf s = { 0 }, t = { 0 };
	bool same = a->rows == b->rows && a->cols == b->cols && !a->time == !b->time &&
		    !a->op == !b->op;

	for (uint32_t c = 0; c < a->cols && same; c++)
		same = same_vec(&a->col[c], &b->col[c], a->rows);
	if (same && a->time)
		same = memcmp(a->time, b->time, a->rows * sizeof *a->time) == 0;
	if (same && a->op)
		same = memcmp(a->op, b->op, a->rows) == 0;
	same = same &&
	       memcmp(fl_batch_wm(a, &s), fl_batch_wm(b, &t), a->rows * sizeof(int64_t)) == 0;
	fl_buf_release(&s);
	fl_buf_release(&t);
	return same;
}

/* Frame, parse, decode; compare. */
static void
round_trip(const struct fl_batch *b, const char *title)
{
	struct fl_frame_writer w = { .seq = 5, .started = true };
	struct fl_buf bytes = { 0 }, cols = { 0 };
	struct fl_batch back;
	struct fl_frame f;
	struct fl_err err = { 0 };
	size_t need;

	put_batch(&bytes, &w, b);
	tap_ok(fl_frame_parse(bytes.data, bytes.len, 5, &f, &need, &err) == (int64_t)bytes.len,
	       "%s: parses", title);
	tap_ok(fl_batch_decode(&f, &cols, &back, &err) == 0 && same_batch(b, &back),
	       "%s: reads back", title);
	tap_ok(fl_frame_parse(bytes.data, bytes.len, 6, &f, &need, &err) == FL_EDATA,
	       "%s: another sequence number is refused", title);
	for (size_t cut = 0; cut < bytes.len; cut += 1 + cut / 50) {
		if (fl_frame_parse(bytes.data, cut, 5, &f, &need, &err) != 0 || need <= cut) {
			tap_ok(false, "%s: cut at %zu it is not whole", title, cut);
			break;
		}
	}
	fl_buf_release(&bytes);
	fl_buf_release(&cols);
	fl_frame_writer_release(&w);
}

/* The columns of three delimited lines, as the CSV scanner gives them. */
static void
delimited(void)
{
	static const char text[] = "a,bb,\nccc,,d\n,,eeee\n";
	static const uint32_t pos[] = { UINT32_MAX, 1, 4, 5, 9, 10, 12, 13, 14, 19 };
	struct fl_vec v[3];
	struct fl_batch b = { .rows = 3, .cols = 3, .col = v, .wm_first = 7 };
	static const uint32_t pick[] = { 0, 2 };
	struct fl_buf pool = { 0 };
	struct fl_batch some;

	for (uint32_t c = 0; c < 3; c++)
		v[c] = (struct fl_vec){ .stride = 3,
					.gap = 1,
					.bytes = text,
					.bytes_len = sizeof text - 1,
					.off = pos + c,
					.clean = true };
	round_trip(&b, "delimited lines");
	fl_batch_select(&b, pick, 2, &pool, &some);
	round_trip(&some, "selected lines");
	fl_buf_release(&pool);
}

/* ---- damage --------------------------------------------------------------------------- */

/*
 * Every byte of a small stream changed in several ways: the checksum finds it.
 * Then the checksum is made right again: nothing may be read outside the payload
 * (the sanitizers watch), whether it is refused or not.
 */
static void
damage(void)
{
	struct fl_frame_writer w = { .started = true };
	struct fl_buf bytes = { 0 }, cols = { 0 };
	struct fl_build build;
	uint64_t found = 0, tried = 0, refused = 0;
	static const unsigned char change[] = { 0x01, 0x80, 0xff, 0x10 };

	fl_build_init(&build, 7);
	build.timed = build.changelog = true;
	fill(&build, 9);
	put_batch(&bytes, &w, fl_build_view(&build));
	for (size_t i = 0; i < bytes.len; i++) {
		for (size_t k = 0; k < sizeof change; k++) {
			char *copy = fl_xmalloc(
				bytes.len); /* of this size, so that a stray read shows */
			struct fl_frame f = { .type = FL_FRAME_BATCH };
			struct fl_batch b;
			struct fl_err err = { 0 };
			size_t need;
			int64_t rc;

			memcpy(copy, bytes.data, bytes.len);
			copy[i] = (char)(copy[i] ^ change[k]);
			rc = fl_frame_parse(copy, bytes.len, 0, &f, &need, &err);
			tried++;
			found += rc <= 0;
			f.payload = copy + FL_FRAME_HEAD;
			f.len = (uint32_t)(bytes.len - FL_FRAME_HEAD);
			if (i >= FL_FRAME_HEAD && fl_batch_decode(&f, &cols, &b, &err) == 0) {
				struct fl_colbuf sink = { 0 };

				for (uint32_t c = 0; c < b.cols; c++)
					for (uint32_t r = 0; r < b.rows; r++) {
						fl_buf_clear(&sink.bytes);
						fl_put_value(&sink, &b.col[c], r);
						sink.rows = 0;
						fl_buf_clear(&sink.data);
						fl_buf_clear(&sink.tags);
						sink.any = sink.tagged = false;
						sink.kind = FL_TEXT;
					}
				fl_buf_release(&sink.bytes);
				fl_buf_release(&sink.data);
				fl_buf_release(&sink.tags);
			} else {
				refused++;
			}
			free(copy);
		}
	}
	tap_ok(found == tried, "each of %llu changed bytes is found by the checksum",
	       (unsigned long long)tried);
	tap_ok(refused > 0,
	       "with the checksum out of the way %llu are refused, the others are harmless",
	       (unsigned long long)refused);
	fl_build_release(&build);
	fl_buf_release(&bytes);
	fl_buf_release(&cols);
	fl_frame_writer_release(&w);
}

/* ---- headers ---------------------------------------------------------------------------- */

static void
headers(void)
{
	struct fl_header h, back, copy;
	struct fl_buf a = { 0 }, b = { 0 };
	struct fl_err err = { 0 };

	fl_header_init(&h);
	fl_header_init(&back);
	fl_header_init(&copy);
	for (int i = 0; i < 100; i++) {
		char name[20];

		(void)fl_header_add(&h, name, (size_t)snprintf(name, sizeof name, "c%d", i),
				    (enum fl_kind)(i % FL_KINDS));
	}
	(void)fl_header_add(&h, "caf\xe9\0x", 6, FL_TEXT); /* not UTF-8, and a NUL */
	h.keys = fl_xcalloc(2, sizeof *h.keys);
	h.keys[1] = 100;
	h.key_count = 2;
	h.keyed = h.changelog = true;
	h.time = fl_xstrdup("coalesce(.a, .b)");
	h.format = fl_xstrdup("jsonl");
	h.raw = true;
	h.checkpoint_dir = fl_xstrdup("/a b/\"c");
	h.attempt = 3;
	h.window = (struct fl_window_spec){ .kind = FL_WINDOW_SLIDE,
					    .size = 300000,
					    .slide = 60000,
					    .offset = -5,
					    .lateness = 1,
					    .late = fl_xstrdup("l.csv"),
					    .trigger = FL_TRIGGER_COUNT,
					    .trigger_arg = 9,
					    .purge = true,
					    .keep_count = -1,
					    .keep_time = 77 };
	fl_header_encode(&h, &a);
	tap_ok(fl_header_decode(&back, a.data, a.len, &err) == 0, "a header reads back: %s",
	       err.msg);
	fl_header_encode(&back, &b);
	tap_ok(a.len == b.len && memcmp(a.data, b.data, a.len) == 0, "and is the same");
	tap_ok(fl_header_find(&back, "caf\xe9\0x", 6) == 100, "names may be any bytes");
	fl_header_copy(&copy, &back);
	fl_buf_clear(&b);
	fl_header_encode(&copy, &b);
	tap_ok(a.len == b.len && memcmp(a.data, b.data, a.len) == 0, "a copy is the same");
	for (size_t cut = 0; cut < a.len; cut++)
		if (fl_header_decode(&back, a.data, cut, &err) != FL_EDATA) {
			tap_ok(false, "a header cut at %zu is refused", cut);
			break;
		}
	for (size_t i = 0; i < a.len; i++) {
		char was = a.data[i];

		for (const char *c = "0\"{[x,9-"; *c; c++) {
			a.data[i] = *c;
			(void)fl_header_decode(&back, a.data, a.len, &err);
		}
		a.data[i] = was;
	}
	tap_ok(true, "changed headers are read or refused without harm");
	fl_header_release(&h);
	fl_header_release(&back);
	fl_header_release(&copy);
	fl_buf_release(&a);
	fl_buf_release(&b);
}

/* ---- control frames ------------------------------------------------------------------------ */

static void
controls(void)
{
	struct fl_frame_writer w = { 0 };
	struct fl_watermark wm = { .ms = -12345, .idle = true }, wm2;
	struct fl_barrier bar = { .id = 7,
				  .attempt = 2,
				  .injected_ms = 99,
				  .flags = FL_BARRIER_DRAIN },
			  bar2;
	struct fl_end end = { .records = 5, .checkpoint = 6, .status = FL_END_FAILED, .code = 65 },
		      end2;
	struct fl_frame f;
	struct fl_err err = { 0 };
	size_t at = FL_MAGIC_LEN, need;
	int64_t n;

	fl_frame_watermark(&w, &wm);
	tap_ok(memcmp(w.out.data, FL_MAGIC, FL_MAGIC_LEN) == 0, "a stream begins with the magic");
	tap_ok(fl_frame_parse(w.out.data + at, w.out.len - at, 0, &f, &need, &err) == FL_EDATA,
	       "a stream that begins with a WATERMARK is refused");
	fl_buf_clear(&w.out);
	fl_frame_watermark(&w, &wm);
	fl_frame_barrier(&w, &bar);
	fl_frame_end(&w, &end);
	at = 0;
	n = fl_frame_parse(w.out.data, w.out.len, 1, &f, &need, &err);
	tap_ok(n > 0 && fl_frame_get_watermark(&f, &wm2, &err) == 0 && wm2.ms == wm.ms && wm2.idle,
	       "WATERMARK reads back");
	tap_ok(fl_frame_get_barrier(&f, &bar2, &err) == FL_EDATA, "but not as a BARRIER");
	at += (size_t)n;
	n = fl_frame_parse(w.out.data + at, w.out.len - at, 2, &f, &need, &err);
	tap_ok(n > 0 && fl_frame_get_barrier(&f, &bar2, &err) == 0 &&
		       memcmp(&bar, &bar2, sizeof bar) == 0,
	       "BARRIER reads back");
	at += (size_t)n;
	n = fl_frame_parse(w.out.data + at, w.out.len - at, 3, &f, &need, &err);
	tap_ok(n > 0 && fl_frame_get_end(&f, &end2, &err) == 0 &&
		       memcmp(&end, &end2, sizeof end) == 0,
	       "END reads back");
	tap_ok(at + (size_t)n == w.out.len, "and nothing is left");
	fl_frame_writer_release(&w);
}

static void
watermarks(void)
{
	static const int64_t time[] = { 100, 50, 300, 200, 400 };
	static const int64_t want[] = { 20, 89, 89, 289, 289 };
	struct fl_batch b = {
		.rows = 5, .time = time, .wm_mode = FL_WM_DELAY, .wm_first = 20, .wm_delay = 10
	};
	struct fl_buf s = { 0 };

	tap_ok(memcmp(fl_batch_wm(&b, &s), want, sizeof want) == 0,
	       "the watermark in force before each record is max - delay - 1");
	tap_ok(fl_batch_wm_last(&b) == 389, "and behind the last");
	b.wm_first = 1000;
	tap_ok(fl_batch_wm_last(&b) == 1000 && fl_batch_wm(&b, &s)[4] == 1000,
	       "it never goes back");
	tap_ok(fl_wm_of(INT64_MIN + 3, 10) == INT64_MIN, "it does not wrap");
	fl_buf_release(&s);
}

/* ---- pieces of text ----------------------------------------------------------------- */

static bool
same_raw(const struct fl_raw *a, const struct fl_raw *b)
{
	return a->flags == b->flags && a->file == b->file && a->offset == b->offset &&
	       a->len == b->len && a->dev == b->dev && a->ino == b->ino && a->pid == b->pid &&
	       a->fd == b->fd && a->name_len == b->name_len &&
	       memcmp(a->name, b->name, a->name_len) == 0 &&
	       (!(a->flags & FL_RAW_BYTES) || memcmp(a->bytes, b->bytes, a->len) == 0);
}

/* Every byte of the payload changed: refused, or harmless. */
static void
damaged_raw(const char *payload, uint32_t len)
{
	uint64_t refused = 0, sum = 0;

	for (uint32_t i = 0; i < len; i++) {
		char *copy = fl_xmalloc(len); /* of this size, so that a stray read shows */
		struct fl_frame f = { .type = FL_FRAME_BATCH, .payload = copy, .len = len };
		struct fl_err err = { 0 };
		struct fl_raw r;

		memcpy(copy, payload, len);
		copy[i] = (char)(copy[i] ^ 0x41);
		if (fl_raw_decode(&f, &r, &err) < 0) {
			refused++;
		} else {
			for (uint32_t k = 0; k < r.name_len; k++)
				sum += (unsigned char)r.name[k];
			for (uint64_t k = 0; r.bytes && k < r.len; k++)
				sum += (unsigned char)r.bytes[k];
		}
		free(copy);
	}
	tap_ok(refused > 20 && sum > 0, "damaged pieces: %llu of %u refused, the others harmless",
	       (unsigned long long)refused, len);
}

static void
pieces(void)
{
	static const struct fl_raw raws[] = {
		{ .flags = 0, .file = 3, .offset = 1u << 30, .len = 1u << 18, .dev = 5, .ino = 6,
		  .pid = 7, .fd = 8, .name = "a b.csv", .name_len = 7 },
		{ .flags = FL_RAW_BYTES, .len = 13, .name = "-", .name_len = 1,
		  .bytes = "thirteen byte" },
		{ .flags = FL_RAW_BYTES | FL_RAW_LAST, .name = "", .bytes = "" },
		{ .flags = FL_RAW_LAST, .offset = INT64_MAX, .name = "x", .name_len = 1 },
	};

	for (size_t i = 0; i < FL_ARRAY_LEN(raws); i++) {
		struct fl_frame_writer w = { .seq = 9, .started = true };
		struct fl_err err = { 0 };
		struct fl_frame f = { 0 };
		struct fl_raw back = { 0 };
		size_t need;
		int64_t n;

		fl_frame_raw(&w, &raws[i]);
		n = fl_frame_parse(w.out.data, w.out.len, 9, &f, &need, &err);
		tap_ok(n == (int64_t)w.out.len && fl_raw_decode(&f, &back, &err) == 0 &&
			       same_raw(&raws[i], &back),
		       "piece %zu reads back", i);
		tap_ok(f.len >= 512, "piece %zu: few fit into a pipe", i);
		f.len = 64;
		tap_ok(fl_raw_decode(&f, &back, &err) == FL_EDATA, "piece %zu: cut off", i);
		if (i == 1)
			damaged_raw(w.out.data + FL_FRAME_HEAD, 512);
		fl_frame_writer_release(&w);
	}
}

int
main(void)
{
	struct fl_build build;

	fl_build_init(&build, 7);
	build.timed = build.changelog = true;
	fill(&build, 1);
	round_trip(fl_build_view(&build), "one row");
	fl_build_clear(&build);
	fill(&build, 10000);
	round_trip(fl_build_view(&build), "ten thousand rows");
	fl_build_release(&build);
	delimited();
	damage();
	headers();
	controls();
	watermarks();
	pieces();
	return tap_done();
}
