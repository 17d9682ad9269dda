/* SPDX-License-Identifier: Apache-2.0 */
/* gzip input: members, pieces of any size, damage. */
#include <stdlib.h>
#include <zlib.h>

#include "format/gunzip.h"

#include "tap.h"

/* Append text as one gzip member. */
static void
pack(struct fl_buf *out, const char *text, size_t n)
{
	z_stream z = { 0 };
	uLong bound;

	fl_assert(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	bound = deflateBound(&z, (uLong)n);
	z.next_in = (Bytef *)(uintptr_t)text;
	z.avail_in = (uInt)n;
	z.next_out = (Bytef *)fl_buf_reserve(out, bound);
	z.avail_out = (uInt)bound;
	fl_assert(deflate(&z, Z_FINISH) == Z_STREAM_END);
	out->len += bound - z.avail_out;
	(void)deflateEnd(&z);
}

/*
 * Unpack, the packed text coming in pieces of step bytes, with room for room
 * bytes at each call. Returns what the last call did.
 */
static int
unpack(const struct fl_buf *packed, size_t step, size_t room, struct fl_buf *out,
       struct fl_err *err)
{
	struct fl_gunzip *g = fl_gunzip_new();
	size_t done = 0, end = 0, taken, made;
	int rc = 0;

	fl_buf_clear(out);
	*err = (struct fl_err){ 0 };
	for (;;) {
		bool at_end;

		if (done == end && !fl_gunzip_pending(g))
			end = packed->len - end < step ? packed->len : end + step;
		at_end = done == end && !fl_gunzip_pending(g);
		rc = fl_gunzip_step(g, packed->data + done, end - done, at_end,
				    fl_buf_reserve(out, room), room, &taken, &made, err);
		if (rc || at_end)
			break;
		fl_assert(taken <= end - done && made <= room);
		done += taken;
		out->len += made;
	}
	fl_gunzip_free(g);
	return rc;
}

static void
expect(const struct fl_buf *packed, const char *want, size_t n, const char *title)
{
	static const size_t sizes[] = { 1, 2, 3, 7, 64, 1000, 1 << 20 };
	struct fl_buf out = { 0 };
	struct fl_err err;
	unsigned wrong = 0;

	for (size_t i = 0; i < FL_ARRAY_LEN(sizes); i++) {
		for (size_t k = 0; k < FL_ARRAY_LEN(sizes); k++) {
			int rc = unpack(packed, sizes[i], sizes[k], &out, &err);

			wrong += rc != 0 || out.len != n || memcmp(out.data, want, n) != 0;
		}
	}
	tap_eq_int(wrong, 0, "%s, in pieces and rooms of all sizes", title);
	fl_buf_release(&out);
}

static void
expect_damaged(const struct fl_buf *packed, size_t n, const char *message, const char *title)
{
	struct fl_buf part = { 0 }, out = { 0 };
	struct fl_err err;

	fl_buf_put(&part, packed->data, n);
	tap_eq_int(unpack(&part, 5, 1000, &out, &err), FL_EDATA, "%s", title);
	tap_eq_str(err.msg, message, "%s: message", title);
	fl_buf_release(&part);
	fl_buf_release(&out);
}

static void
test_members(void)
{
	static const char text[] = "a,b\n1,2\n3,4\n5,6\n7,8\n9,10\n";
	size_t n = sizeof text - 1;
	struct fl_buf packed = { 0 }, long_text = { 0 };

	pack(&packed, text, n);
	expect(&packed, text, n, "one member");
	fl_buf_clear(&packed);
	for (size_t i = 0; i < n; i++)
		pack(&packed, text + i, 1);
	expect(&packed, text, n, "a member a byte");
	fl_buf_clear(&packed);
	pack(&packed, text, 10);
	pack(&packed, "", 0);
	pack(&packed, text + 10, n - 10);
	expect(&packed, text, n, "an empty member between others");
	memset(fl_buf_reserve(&packed, 100), 0, 100);
	packed.len += 100;
	expect(&packed, text, n, "zero bytes behind the last");
	fl_buf_clear(&packed);
	pack(&packed, "", 0);
	expect(&packed, "", 0, "an empty member");
	for (int i = 0; i < 3000; i++)
		fl_buf_printf(&long_text, "%d,the same again,%d\n", i, i / 7);
	fl_buf_clear(&packed);
	pack(&packed, long_text.data, long_text.len);
	expect(&packed, long_text.data, long_text.len, "much more than a room");
	fl_buf_release(&packed);
	fl_buf_release(&long_text);
}

static void
test_damage(void)
{
	static const char text[] = "a,b\n1,2\n3,4\n";
	struct fl_buf packed = { 0 }, out = { 0 };
	struct fl_err err;
	unsigned accepted = 0;

	pack(&packed, text, sizeof text - 1);
	for (size_t n = 0; n < packed.len; n++) {
		struct fl_buf part = { .data = packed.data, .len = n };
		int rc = unpack(&part, 5, 1000, &out, &err);

		accepted += rc != FL_EDATA;
	}
	tap_eq_int(accepted, 0, "cut off anywhere");
	expect_damaged(&packed, 0, "gzip data damaged at byte 0: it is cut off", "an empty file");
	expect_damaged(&packed, 15, "gzip data damaged at byte 15: it is cut off", "cut off");
	fl_buf_puts(&packed, "x,y\n");
	tap_eq_int(unpack(&packed, 1 << 20, 1000, &out, &err), FL_EDATA, "other bytes behind it");
	packed.data[packed.len - 6] ^= 1; /* the checksum's and the length's bytes come last */
	packed.len -= 4;
	tap_eq_int(unpack(&packed, 1 << 20, 1000, &out, &err), FL_EDATA, "a wrong length");
	tap_ok(strstr(err.msg, "incorrect length check") != NULL, "message: %s", err.msg);
	fl_buf_clear(&packed);
	fl_buf_puts(&packed, "a,b\n1,2\n");
	tap_eq_int(unpack(&packed, 3, 1000, &out, &err), FL_EDATA, "text is not gzip");
	tap_ok(strstr(err.msg, "incorrect header check") != NULL, "message: %s", err.msg);
	fl_buf_release(&packed);
	fl_buf_release(&out);
}

int
main(void)
{
	test_members();
	test_damage();
	return tap_done();
}
