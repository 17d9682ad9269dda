/* SPDX-License-Identifier: Apache-2.0 */
#include "format/cells.h"

#include "base/itoa.h"

_Static_assert(FL_TIME_TEXT_MAX <= FL_CELL_MAX && FL_ITOA_MAX <= FL_CELL_MAX, "a cell holds both");

/* Where seconds and milliseconds stand in 2026-11-21T10:05:00.000Z. */
enum { SECONDS_AT = 17, MILLIS_AT = 20, TEXT_LEN = 24 };

/* Another moment of the same minute: only the last digits change. */
static void
set_in_minute(struct fl_time_text *t, uint32_t of_minute)
{
	uint32_t s = of_minute / 1000, ms = of_minute % 1000;

	t->text[SECONDS_AT] = (char)('0' + s / 10);
	t->text[SECONDS_AT + 1] = (char)('0' + s % 10);
	if (!t->millis)
		return;
	t->text[MILLIS_AT] = (char)('0' + ms / 100);
	t->text[MILLIS_AT + 1] = (char)('0' + ms / 10 % 10);
	t->text[MILLIS_AT + 2] = (char)('0' + ms % 10);
}

void
fl_time_text_set(struct fl_time_text *t, int64_t ms)
{
	bool plain = t->valid && !t->epoch_ms && !t->zone && t->minute != INT64_MIN;

	t->ms = ms;
	if (plain && ms >= t->minute && ms - t->minute < FL_MS_PER_MINUTE) {
		set_in_minute(t, (uint32_t)(ms - t->minute));
		return;
	}
	t->valid = true;
	t->len = t->epoch_ms ? fl_itoa(ms, t->text)
			     : fl_time_format(ms, t->zone, t->millis, t->text);
	t->minute = INT64_MIN;
	if (t->len == TEXT_LEN - (t->millis ? 0 : 4) && ms >= 0)
		t->minute = ms - ms % FL_MS_PER_MINUTE;
}

const char *
fl_rowkind_text(uint8_t op)
{
	static const char *const text[] = {
		[FL_INSERT] = "+I",
		[FL_UPDATE_BEFORE] = "-U",
		[FL_UPDATE_AFTER] = "+U",
		[FL_DELETE] = "-D",
	};

	return text[op & 3];
}

size_t
fl_cell_text(const struct fl_vec *v, size_t i, struct fl_time_text *t, char buf[FL_CELL_MAX])
{
	switch ((enum fl_kind)v->kind) {
	case FL_INT64:
		return fl_itoa(v->i64[i], buf);
	case FL_DECIMAL:
		return fl_number_format(&v->dec[i], buf);
	case FL_DOUBLE:
		return fl_double_format(v->f64[i], buf);
	case FL_BOOL:
		memcpy(buf, v->b[i] ? "true" : "false", 5);
		return v->b[i] ? 4 : 5;
	case FL_TIME:
		if (!t->valid || t->ms != v->i64[i])
			fl_time_text_set(t, v->i64[i]);
		memcpy(buf, t->text, t->len);
		return t->len;
	case FL_TEXT:
	case FL_KINDS:
		break;
	}
	return 0;
}

size_t
fl_control_at(const char *p, size_t n)
{
	unsigned char c = n ? (unsigned char)*p : ' ';

	if (c < ' ' || c == 0x7f)
		return 1;
	if (c == 0xc2 && n > 1 && (unsigned char)p[1] >= 0x80 && (unsigned char)p[1] < 0xa0)
		return 2; /* C1, U+0080 to U+009F: some terminals obey these as well */
	return 0;
}

static void
put_hex(struct fl_buf *b, const char *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];
		char text[4] = { '\\', 'x', digits[c >> 4], digits[c & 15] };

		fl_buf_put(b, text, sizeof text);
	}
}

void
fl_put_visible(struct fl_buf *b, const char *p, size_t n)
{
	for (size_t i = 0, len; i < n; i += len) {
		len = fl_control_at(p + i, n - i);
		if (!len)
			fl_buf_putc(b, p[i]);
		else if (p[i] == '\n' || p[i] == '\t' || p[i] == '\r')
			fl_buf_puts(b, p[i] == '\n' ? "\\n" : p[i] == '\t' ? "\\t" : "\\r");
		else
			put_hex(b, p + i, len);
		len += !len;
	}
}

const char *
fl_cell_any(const struct fl_vec *v, size_t i, bool seconds, struct fl_time_text *t,
	    char buf[FL_CELL_MAX], size_t *ret_len)
{
	*ret_len = 0;
	if (fl_is_null(v, i))
		return buf;
	if (v->kind == FL_TEXT)
		return fl_text(v, i, ret_len);
	t->valid = t->valid && t->millis == !seconds;
	t->millis = !seconds;
	*ret_len = fl_cell_text(v, i, t, buf);
	return buf;
}

void
fl_escape_controls(struct fl_buf *b, size_t from)
{
	struct fl_buf out = { 0 };
	size_t done = from;

	for (size_t i = from, len; i < b->len; i += len ? len : 1) {
		len = fl_control_at(b->data + i, b->len - i);
		if (!len || b->data[i] == '\n' || b->data[i] == '\t')
			continue;
		fl_buf_put(&out, b->data + done, i - done);
		put_hex(&out, b->data + i, len);
		done = i + len;
	}
	if (done == from)
		return;
	fl_buf_put(&out, b->data + done, b->len - done);
	b->len = from;
	fl_buf_put(b, out.data, out.len);
	fl_buf_release(&out);
}
