/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/row.h"

#include "stream/value.h"

static const uint8_t fixed_size[FL_KINDS] = {
	[FL_INT64] = 8, [FL_DECIMAL] = sizeof(struct fl_dec), [FL_DOUBLE] = 8, [FL_BOOL] = 1,
	[FL_TIME] = 8,
};

#define VARINT_MAX 5u /* bytes of a 32-bit number */

static void
put_varint(struct fl_buf *out, uint32_t n)
{
	for (; n >= 0x80; n >>= 7)
		fl_buf_putc(out, (char)(n | 0x80));
	fl_buf_putc(out, (char)n);
}

/* Behind it; NULL if it does not end before end. */
static const char *
get_varint(const char *p, const char *end, uint32_t *ret)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < VARINT_MAX && p < end; i++) {
		uint8_t byte = (uint8_t)*p++;

		n |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte & 0x80)
			continue;
		*ret = (uint32_t)n;
		return n <= UINT32_MAX ? p : NULL;
	}
	return NULL;
}

static void
pack_value(const struct fl_vec *v, uint32_t row, struct fl_buf *out)
{
	uint8_t size = fixed_size[v->kind];
	const char *p;
	size_t n;

	fl_buf_putc(out, (char)(v->kind | (uint8_t)(fl_tag_of(v, row) << 4)));
	if (v->kind != FL_TEXT) {
		fl_buf_put(out, (const char *)v->data + (size_t)row * size, size);
		return;
	}
	p = fl_text(v, row, &n);
	if (n < 0x80) { /* nearly all: one reservation for both */
		char *to = fl_buf_reserve(out, n + 1);

		*to = (char)n;
		memcpy(to + 1, p, n);
		out->len += n + 1;
		return;
	}
	put_varint(out, (uint32_t)n);
	fl_buf_put(out, p, n);
}

size_t
fl_row_pack(const struct fl_batch *b, uint32_t row, struct fl_buf *out)
{
	size_t before = out->len;

	for (uint32_t c = 0; c < b->cols; c++)
		pack_value(&b->col[c], row, out);
	return out->len - before;
}

size_t
fl_row_pack_some(const struct fl_batch *b, uint32_t row, const uint32_t *cols, uint32_t count,
		 struct fl_buf *out)
{
	size_t before = out->len;

	for (uint32_t i = 0; i < count; i++)
		pack_value(fl_batch_col(b, cols[i]), row, out);
	return out->len - before;
}

/* The value at p as a vector of one; behind it, or NULL if it is not whole. */
static const char *
view_value(const char *p, const char *end, struct fl_row_room *room, struct fl_vec *ret)
{
	uint8_t kind, tag;

	if (p == end)
		return NULL;
	kind = (uint8_t)*p & 0x0f;
	tag = (uint8_t)*p++ >> 4;
	if (kind >= FL_KINDS || tag >= FL_TAGS)
		return NULL;
	*ret = (struct fl_vec){ .kind = kind, .tag = tag };
	if (kind != FL_TEXT) {
		if ((size_t)(end - p) < fixed_size[kind])
			return NULL;
		memcpy(room->fixed, p, fixed_size[kind]);
		ret->data = room->fixed;
		return p + fixed_size[kind];
	}
	room->off[0] = 0;
	p = get_varint(p, end, &room->off[1]);
	if (!p || (size_t)(end - p) < room->off[1])
		return NULL;
	ret->bytes = p;
	ret->bytes_len = room->off[1];
	ret->off = room->off;
	return p + room->off[1];
}

static struct fl_vec
absent(struct fl_row_room *room)
{
	room->off[0] = room->off[1] = 0;
	return (struct fl_vec){ .tag = FL_TAG_ABSENT, .bytes = "", .off = room->off };
}

void
fl_row_put_from(const char *p, size_t n, uint32_t first, struct fl_colbuf *to, uint32_t cols)
{
	const char *end = n ? p + n : p; /* p may be NULL where nothing is there */
	struct fl_row_room room;
	struct fl_vec v;

	for (uint32_t c = 0; c < first && p && p < end; c++)
		p = view_value(p, end, &room, &v);
	for (uint32_t c = 0; c < cols; c++) {
		p = p && p < end ? view_value(p, end, &room, &v) : NULL;
		if (!p)
			v = absent(&room);
		fl_put_value(&to[c], &v, 0);
	}
}

void
fl_row_put(const char *p, size_t n, struct fl_colbuf *to, uint32_t cols)
{
	fl_row_put_from(p, n, 0, to, cols);
}

void
fl_row_put_to(const char *p, size_t n, const uint32_t *map, uint32_t count, struct fl_colbuf *col)
{
	const char *end = n ? p + n : p; /* p may be NULL where nothing is there */
	struct fl_row_room room;
	struct fl_vec v;

	for (uint32_t i = 0; i < count; i++) {
		p = p && p < end ? view_value(p, end, &room, &v) : NULL;
		if (!p)
			v = absent(&room);
		if (map[i] != UINT32_MAX)
			fl_put_value(&col[map[i]], &v, 0);
	}
}

struct fl_vec
fl_row_value(const char *p, size_t n, uint32_t c, struct fl_row_room *room)
{
	const char *end = n ? p + n : p; /* p may be NULL where nothing is there */
	struct fl_vec v;

	for (uint32_t i = 0; i <= c; i++) {
		p = p < end ? view_value(p, end, room, &v) : NULL;
		if (!p)
			return absent(room);
	}
	return v;
}

size_t
fl_row_identity(const struct fl_batch *b, uint32_t row, struct fl_buf *out)
{
	char tmp[FL_NUMBER_TEXT_MAX];
	size_t before = out->len, whole = before, n;

	for (uint32_t c = 0; c < b->cols; c++) {
		const char *p = fl_key_bytes(&b->col[c], row, tmp, &n);

		fl_buf_putc(out, p ? 1 : 0);
		if (!p)
			continue;
		put_varint(out, (uint32_t)n);
		fl_buf_put(out, p, n);
		whole = out->len;
	}
	out->len = whole; /* columns that came later are NULL in older rows */
	return out->len - before;
}

bool
fl_row_identity_put(const char *p, size_t n, struct fl_colbuf *to, uint32_t cols)
{
	const char *end = n ? p + n : p;
	uint32_t c, len;

	for (c = 0; c < cols && p < end; c++) {
		if (*p++ == 0) {
			fl_put_null(&to[c]);
			continue;
		}
		p = get_varint(p, end, &len);
		if (!p || len > (size_t)(end - p))
			return false;
		fl_put_text(&to[c], p, len, FL_TAG_PLAIN);
		p += len;
	}
	for (; c < cols; c++)
		fl_put_null(&to[c]);
	return p == end;
}

uint32_t
fl_row_columns(const char *p, size_t n)
{
	const char *end = n ? p + n : p; /* p may be NULL where nothing is there */
	struct fl_row_room room;
	struct fl_vec v;
	uint32_t count = 0;

	while (p && p < end) {
		p = view_value(p, end, &room, &v);
		count += p != NULL;
	}
	return count;
}

int
fl_row_check(const char *p, size_t n, struct fl_err *err)
{
	const char *end = n ? p + n : p; /* p may be NULL where nothing is there */
	struct fl_row_room room;
	struct fl_vec v;

	while (p && p < end)
		p = view_value(p, end, &room, &v);
	return p ? 0 : fl_fail(err, FL_EDATA, "a kept record is damaged");
}
