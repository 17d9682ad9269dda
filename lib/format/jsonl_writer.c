/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON Lines out: one object a row, its columns in the header's order or in
 * that of --columns.
 *
 *	absent               the key is left out
 *	NULL                 null; so is an empty field of CSV without quotes
 *	text without type    a number where it is one as JSON writes it (1.10, but
 *	  (CSV)              not 007 or +1); else a string
 *	string               a string, always
 *	number, boolean,     as it came
 *	  object, array
 *	INT64, DECIMAL       a number with all its digits
 *	DOUBLE               a number; null for NaN and infinities, which JSON
 *	                     does not have
 *	TIME                 RFC 3339 in quotes; --otime epoch-ms: a number
 *
 * JSON is UTF-8. Text of other encodings (CSV is read as bytes) cannot be shown
 * in it: each byte that is not part of UTF-8 becomes U+FFFD, the replacement
 * character. To keep such bytes, write CSV.
 */
#include <math.h>
#include <stdlib.h>

#include "format/formats.h"
#include "format/json_walk.h"
#include "stream/number.h"

#define NOT_COME FL_NO_COLUMN /* --columns names it, but JSON has not brought it yet */

struct out_column {
	uint32_t index;   /* in the header, or NOT_COME */
	bool seconds;     /* TIME: no fraction */
	uint32_t name_at; /* in names: ,"name": */
	uint32_t name_len;
};

struct jsonl_writer {
	const struct fl_writer_type *type; /* struct fl_writer begins so */
	bool epoch_ms;
	bool escape_controls;
	const struct fl_zone *zone;
	char *selected; /* --columns, or NULL */
	uint32_t known; /* columns of the header that out was made for */
	bool prepared;
	struct out_column *out;
	uint32_t out_count;
	struct fl_buf names;
};

/* ---- strings ---------------------------------------------------------- */

/* Whether none of 8 bytes needs a look: control characters, ", \, DEL, not ASCII. */
static inline bool
word_is_plain(const char *p)
{
	const uint64_t ones = 0x0101010101010101, tops = 0x8080808080808080;
	uint64_t x, quote, backslash, del;

	memcpy(&x, p, sizeof x);
	quote = x ^ ones * '"';
	backslash = x ^ ones * '\\';
	del = x ^ ones * 0x7f;
	/* A zero byte borrows; all is exact as long as no byte has its top bit. */
	return ((x | (x - ones * ' ') | (quote - ones) | (backslash - ones) | (del - ones)) &
		tops) == 0;
}

static inline bool
byte_is_plain(unsigned char c)
{
	return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

/* Bytes at p that can stand in a JSON string as they are. */
static size_t
plain_length(const char *p, size_t n)
{
	size_t i = 0;

	while (n - i >= sizeof(uint64_t) && word_is_plain(p + i))
		i += sizeof(uint64_t);
	while (i < n && byte_is_plain((unsigned char)p[i]))
		i++;
	return i;
}

/* Bytes of a UTF-8 character that begins with c, 0 if none does. */
static size_t
utf8_width(unsigned char c)
{
	if (c < 0x80)
		return 1;
	if (c < 0xc0 || c > 0xf7)
		return 0;
	return c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/* Bytes of the UTF-8 character at p, 0 if there is none; *ret is the character. */
static size_t
utf8_decode(const unsigned char *p, size_t n, uint32_t *ret)
{
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t width = utf8_width(p[0]);
	uint32_t c = width == 1 ? p[0] : p[0] & (0x7fu >> width);

	if (width == 0 || width > n)
		return 0;
	for (size_t i = 1; i < width; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[width] || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff)
		return 0;
	*ret = c;
	return width;
}

/* One character that is not plain; returns its bytes in p. */
static size_t
put_special(const struct jsonl_writer *w, struct fl_buf *out, const char *p, size_t n)
{
	static const char shorts[] = "btn\0fr"; /* of 8 to 13 */
	uint32_t c = 0;
	size_t width = utf8_decode((const unsigned char *)p, n, &c);

	if (width == 0) {
		fl_buf_put(out, "\xef\xbf\xbd", 3);
		return 1;
	}
	if (c == '"' || c == '\\') {
		fl_buf_putc(out, '\\');
		fl_buf_putc(out, (char)c);
	} else if (c >= 8 && c <= 13 && c != 11) {
		fl_buf_putc(out, '\\');
		fl_buf_putc(out, shorts[c - 8]);
	} else if (c < ' ' || (w->escape_controls && c >= 0x7f && c < 0xa0)) {
		fl_buf_printf(out, "\\u%04x", (unsigned)c);
	} else {
		fl_buf_put(out, p, width);
	}
	return width;
}

static void
put_string(const struct jsonl_writer *w, struct fl_buf *out, const char *p, size_t n)
{
	size_t plain = plain_length(p, n);

	(void)fl_buf_reserve(out, n + 2);
	fl_buf_putc(out, '"');
	while (plain < n) {
		fl_buf_put(out, p, plain);
		p += plain;
		n -= plain;
		plain = put_special(w, out, p, n);
		p += plain;
		n -= plain;
		plain = plain_length(p, n);
	}
	fl_buf_put(out, p, n);
	fl_buf_putc(out, '"');
}

/*
 * The text of an object or array. A line end can only be white space in it,
 * and would break the line; other control characters can only be in strings.
 */
static void
put_nested(const struct jsonl_writer *w, struct fl_buf *out, const char *p, size_t n)
{
	if (!w->escape_controls && !memchr(p, '\n', n) && !memchr(p, '\r', n)) {
		fl_buf_put(out, p, n);
		return;
	}
	for (size_t i = 0; i < n;) {
		size_t start = i, width;

		while (i < n && (byte_is_plain((unsigned char)p[i]) || memchr("\"\\\t", p[i], 3)))
			i++;
		fl_buf_put(out, p + start, i - start);
		if (i == n)
			break;
		if (p[i] == '\n' || p[i] == '\r') {
			fl_buf_putc(out, ' ');
			width = 1;
		} else {
			width = put_special(w, out, p + i, n - i);
		}
		i += width;
	}
}

/* ---- values ----------------------------------------------------------- */

static void
put_text(const struct jsonl_writer *w, struct fl_buf *out, const struct fl_vec *v, size_t row,
	 enum fl_tag tag)
{
	size_t n;
	const char *p = fl_text(v, row, &n);

	switch (tag) {
	case FL_TAG_NUMBER:
	case FL_TAG_BOOL:
		fl_buf_put(out, p, n);
		break;
	case FL_TAG_OBJECT:
	case FL_TAG_ARRAY:
		put_nested(w, out, p, n);
		break;
	case FL_TAG_PLAIN:
		if (n == 0)
			fl_buf_put(out, "null", 4);
		else if (((unsigned)(*p - '0') <= 9 || *p == '-') && fl_json_is_number(p, n))
			fl_buf_put(out, p, n);
		else
			put_string(w, out, p, n);
		break;
	default:
		put_string(w, out, p, n);
	}
}

static void
put_double(struct fl_buf *out, double d)
{
	char *to = fl_buf_reserve(out, FL_NUMBER_TEXT_MAX);

	if (isfinite(d))
		out->len += fl_double_format(d, to);
	else
		fl_buf_put(out, "null", 4);
}

static void
put_decimal(struct fl_buf *out, const struct fl_dec *d)
{
	if (d->scale == FL_DEC_DOUBLE)
		put_double(out, fl_dec_to_double(d));
	else
		out->len += fl_number_format(d, fl_buf_reserve(out, FL_NUMBER_TEXT_MAX));
}

static void
put_int(struct fl_buf *out, int64_t i)
{
	out->len += fl_int_format(i, fl_buf_reserve(out, FL_NUMBER_TEXT_MAX));
}

static void
put_time(const struct jsonl_writer *w, struct fl_buf *out, int64_t ms, bool seconds)
{
	if (w->epoch_ms) {
		put_int(out, ms);
		return;
	}
	fl_buf_putc(out, '"');
	out->len += fl_time_format(ms, w->zone, !seconds, fl_buf_reserve(out, FL_TIME_TEXT_MAX));
	fl_buf_putc(out, '"');
}

/* Value row of v, which is there. */
static void
put_value(const struct jsonl_writer *w, struct fl_buf *out, const struct fl_vec *v, size_t row,
	  const struct out_column *c)
{
	enum fl_tag tag = fl_tag_of(v, row);

	if (tag == FL_TAG_NULL) {
		fl_buf_put(out, "null", 4);
		return;
	}
	switch ((enum fl_kind)v->kind) {
	case FL_INT64:
		put_int(out, v->i64[row]);
		break;
	case FL_DECIMAL:
		put_decimal(out, &v->dec[row]);
		break;
	case FL_DOUBLE:
		put_double(out, v->f64[row]);
		break;
	case FL_BOOL:
		fl_buf_puts(out, v->b[row] ? "true" : "false");
		break;
	case FL_TIME:
		put_time(w, out, v->i64[row], c->seconds);
		break;
	default:
		put_text(w, out, v, row, tag);
	}
}

static void
put_row(const struct jsonl_writer *w, struct fl_buf *out, const struct fl_batch *b, uint32_t row,
	bool changelog)
{
	static const char *const ops[] = { "\"op\":\"+I\"", "\"op\":\"-U\"", "\"op\":\"+U\"",
					   "\"op\":\"-D\"" };
	bool first = !changelog;

	fl_buf_putc(out, '{');
	if (changelog)
		fl_buf_puts(out, ops[b->op ? b->op[row] & 3 : FL_INSERT]);
	for (uint32_t i = 0; i < w->out_count; i++) {
		const struct out_column *c = &w->out[i];
		const struct fl_vec *v;

		if (c->index >= b->cols) /* also NOT_COME */
			continue;
		v = &b->col[c->index];
		if (fl_tag_of(v, row) == FL_TAG_ABSENT)
			continue;
		fl_buf_put(out, w->names.data + c->name_at + first, c->name_len - first);
		put_value(w, out, v, row, c);
		first = false;
	}
	fl_buf_put(out, "}\n", 2);
}

/* ---- columns ---------------------------------------------------------- */

static void
add_out(struct jsonl_writer *w, const struct fl_header *h, uint32_t index, const char *name,
	size_t len)
{
	struct out_column *c = &w->out[w->out_count++];

	*c = (struct out_column){ .index = index, .name_at = (uint32_t)w->names.len };
	c->seconds = index != NOT_COME && h->columns[index].seconds;
	fl_buf_putc(&w->names, ',');
	put_string(w, &w->names, name, len);
	fl_buf_putc(&w->names, ':');
	c->name_len = (uint32_t)w->names.len - c->name_at;
}

/* JSON may still bring the column; other formats have shown all they have. */
static bool
may_come(const struct fl_header *h)
{
	return h->format && strcmp(h->format, "jsonl") == 0;
}

static int
no_column(const struct fl_header *h, const char *name, size_t len, struct fl_err *err)
{
	const char *near = fl_header_nearest(h, name, len);

	if (!near)
		return fl_fail(err, FL_EUSAGE, "--columns: no column %.*s", (int)len, name);
	return fl_fail(err, FL_EUSAGE, "--columns: no column %.*s (did you mean %s?)", (int)len,
		       name, near);
}

/* The columns that --columns names. */
static int
prepare_selected(struct jsonl_writer *w, const struct fl_header *h, struct fl_err *err)
{
	for (const char *p = w->selected;; p++) {
		size_t len = strcspn(p, ",");
		uint32_t index = fl_header_find(h, p, len);
		bool op = h->changelog && len == 2 && memcmp(p, "op", 2) == 0;

		if (index == FL_NO_COLUMN && !op && !may_come(h)) {
			return no_column(h, p, len, err);
		}
		if (index != FL_NO_COLUMN || !op) /* op comes first anyway */
			add_out(w, h, index, p, len);
		p += len;
		if (*p == '\0')
			return 0;
	}
}

static int
prepare(struct jsonl_writer *w, const struct fl_header *h, struct fl_err *err)
{
	size_t most = h->column_count;

	if (w->prepared && w->known == h->column_count)
		return 0;
	for (const char *p = w->selected; p && *p; p++)
		most += *p == ',';
	w->out = fl_xreallocarray(w->out, most + 1, sizeof *w->out);
	w->out_count = 0;
	fl_buf_clear(&w->names);
	if (w->selected && prepare_selected(w, h, err))
		return err->code;
	for (uint32_t i = 0; !w->selected && i < h->column_count; i++)
		add_out(w, h, i, h->columns[i].name, h->columns[i].name_len);
	w->known = h->column_count;
	w->prepared = true;
	return 0;
}

/* ---- the writer ------------------------------------------------------- */

static int
jsonl_write(struct fl_writer *writer, const struct fl_header *h, const struct fl_batch *b,
	    struct fl_buf *out, struct fl_err *err)
{
	struct jsonl_writer *w = (struct jsonl_writer *)writer;

	if (prepare(w, h, err))
		return err->code;
	for (uint32_t row = 0; row < b->rows; row++)
		put_row(w, out, b, row, h->changelog);
	return 0;
}

static int
jsonl_end(struct fl_writer *writer, const struct fl_header *h, struct fl_buf *out,
	  struct fl_err *err)
{
	(void)out; /* an empty file has no objects; but --columns may be wrong */
	return prepare((struct jsonl_writer *)writer, h, err);
}

static void
jsonl_destroy(struct fl_writer *writer)
{
	struct jsonl_writer *w = (struct jsonl_writer *)writer;

	fl_buf_release(&w->names);
	free(w->out);
	free(w->selected);
	free(w);
}

static struct fl_writer *
jsonl_create(const struct fl_writer_options *o, struct fl_err *err)
{
	struct jsonl_writer *w = fl_xcalloc(1, sizeof *w);

	(void)err;
	w->type = &fl_jsonl_writer;
	w->epoch_ms = o->epoch_ms;
	w->escape_controls = o->escape_controls;
	w->zone = o->zone;
	w->selected = o->columns ? fl_xstrdup(o->columns) : NULL;
	return (struct fl_writer *)w;
}

const struct fl_writer_type fl_jsonl_writer = {
	.name = "jsonl",
	.create = jsonl_create,
	.write = jsonl_write,
	.end = jsonl_end,
	.destroy = jsonl_destroy,
};
