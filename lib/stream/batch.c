/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/batch.h"

#include <stdlib.h>

#include "stream/number.h"
#include "time/timestamp.h"

static const size_t kind_size[FL_KINDS] = {
	[FL_TEXT] = sizeof(uint32_t),         [FL_INT64] = sizeof(int64_t),
	[FL_DECIMAL] = sizeof(struct fl_dec), [FL_DOUBLE] = sizeof(double),
	[FL_BOOL] = sizeof(uint8_t),          [FL_TIME] = sizeof(int64_t),
};

/* ---- watermarks ------------------------------------------------------- */

const int64_t *
fl_batch_wm(const struct fl_batch *b, struct fl_buf *scratch)
{
	int64_t *wm, now = b->wm_first;

	if (b->wm_mode == FL_WM_COLUMN)
		return b->wm;
	fl_buf_clear(scratch);
	wm = (int64_t *)(void *)fl_buf_reserve(scratch, (b->rows + 1) * sizeof *wm);
	for (uint32_t i = 0; i < b->rows; i++) {
		wm[i] = now;
		if (b->wm_mode == FL_WM_DELAY) {
			int64_t next = fl_wm_of(b->time[i], b->wm_delay);

			now = next > now ? next : now;
		}
	}
	return wm;
}

int64_t
fl_batch_wm_last(const struct fl_batch *b)
{
	int64_t max = INT64_MIN, wm;

	if (b->rows == 0 || b->wm_mode == FL_WM_CONST)
		return b->wm_first;
	if (b->wm_mode == FL_WM_COLUMN)
		return b->wm[b->rows - 1];
	for (uint32_t i = 0; i < b->rows; i++)
		max = b->time[i] > max ? b->time[i] : max;
	wm = fl_wm_of(max, b->wm_delay);
	return wm > b->wm_first ? wm : b->wm_first;
}

/* ---- columns under construction --------------------------------------- */

static void
col_clear(struct fl_colbuf *c)
{
	c->kind = FL_TEXT;
	c->tag = FL_TAG_PLAIN;
	c->any = false;
	c->tagged = false;
	c->clean = true;
	c->rows = 0;
	fl_buf_clear(&c->bytes);
	fl_buf_clear(&c->data);
	fl_buf_clear(&c->tags);
}

static void
col_release(struct fl_colbuf *c)
{
	fl_buf_release(&c->bytes);
	fl_buf_release(&c->data);
	fl_buf_release(&c->tags);
}

/* Note the tag of the value that is about to be put. */
static inline void
col_tag(struct fl_colbuf *c, enum fl_tag tag)
{
	if (!c->tagged) {
		if (c->rows == 0)
			c->tag = (uint8_t)tag;
		if (c->tag == tag)
			return;
		memset(fl_buf_reserve(&c->tags, c->rows + 1), c->tag, c->rows);
		c->tags.len = c->rows;
		c->tagged = true;
	}
	fl_buf_putc(&c->tags, (char)tag);
}

static inline void
put_element(struct fl_colbuf *c, const void *p, size_t size)
{
	memcpy(fl_buf_reserve(&c->data, size), p, size);
	c->data.len += size;
	c->rows++;
}

static void
put_end(struct fl_colbuf *c)
{
	uint32_t end = (uint32_t)c->bytes.len;

	fl_assert(c->bytes.len <= UINT32_MAX);
	if (c->rows == 0 && c->data.len == 0) {
		uint32_t zero = 0;

		fl_buf_put(&c->data, &zero, sizeof zero);
	}
	put_element(c, &end, sizeof end);
}

static struct fl_dec
element_dec(const struct fl_colbuf *c, uint32_t i)
{
	const char *p = c->data.data + i * kind_size[c->kind];
	struct fl_dec d;
	int64_t v;
	double f;

	if (c->kind == FL_DECIMAL) {
		memcpy(&d, p, sizeof d);
	} else if (c->kind == FL_DOUBLE) {
		memcpy(&f, p, sizeof f);
		d = fl_dec_from_double(f);
	} else {
		memcpy(&v, p, sizeof v);
		d = fl_dec_from_int(v);
	}
	return d;
}

static size_t
element_text(const struct fl_colbuf *c, uint32_t i, char *buf)
{
	struct fl_dec d;
	int64_t ms;

	if (c->kind == FL_BOOL) {
		bool v = c->data.data[i] != 0;

		memcpy(buf, v ? "true" : "false", v ? 4 : 5);
		return v ? 4 : 5;
	}
	if (c->kind == FL_TIME) {
		memcpy(&ms, c->data.data + i * sizeof ms, sizeof ms);
		return fl_time_format(ms, NULL, true, buf);
	}
	d = element_dec(c, i);
	return fl_number_format(&d, buf);
}

_Static_assert(FL_TIME_TEXT_MAX <= FL_NUMBER_TEXT_MAX, "element_text's buffer holds both");

/* Rewrite what was put so far as another kind that can hold it. */
static void
col_convert(struct fl_colbuf *c, enum fl_kind kind)
{
	struct fl_colbuf old = *c;
	size_t size = kind_size[kind];

	c->kind = (uint8_t)kind;
	c->data = (struct fl_buf){ 0 };
	c->bytes = (struct fl_buf){ 0 };
	if (kind == FL_TEXT) {
		c->rows = 0;
		c->clean = false;
		for (uint32_t i = 0; i < old.rows; i++) {
			char buf[FL_NUMBER_TEXT_MAX];
			bool null = (old.tagged ? (uint8_t)old.tags.data[i] : old.tag) !=
				    FL_TAG_PLAIN;

			fl_buf_put(&c->bytes, buf, null ? 0 : element_text(&old, i, buf));
			put_end(c);
		}
	} else {
		memset(fl_buf_reserve(&c->data, old.rows * size + 1), 0, old.rows * size);
		for (uint32_t i = 0; old.any && i < old.rows; i++) {
			struct fl_dec d = element_dec(&old, i);

			fl_assert(kind == FL_DECIMAL);
			memcpy(c->data.data + i * size, &d, sizeof d);
		}
		c->data.len = old.rows * size;
	}
	fl_buf_release(&old.data);
	fl_buf_release(&old.bytes);
}

/* Make the column ready for a value of kind; returns the kind to put it as. */
static enum fl_kind
col_kind(struct fl_colbuf *c, enum fl_kind kind)
{
	bool numbers;

	if (c->kind == kind && (c->any || kind == FL_TEXT)) {
		c->any = true;
		return kind;
	}
	if (!c->any) {
		if (c->rows)
			col_convert(c, kind);
		c->kind = (uint8_t)kind;
		c->any = true;
		return kind;
	}
	numbers = (kind == FL_INT64 || kind == FL_DOUBLE || kind == FL_DECIMAL) &&
		  (c->kind == FL_INT64 || c->kind == FL_DOUBLE || c->kind == FL_DECIMAL);
	kind = numbers ? FL_DECIMAL : FL_TEXT;
	if (c->kind != kind)
		col_convert(c, kind);
	return kind;
}

/* Whether any of eight bytes is a quote, a comma or a control character. */
static bool
any_special(uint64_t x)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
	uint64_t quote = x ^ ones * '"', comma = x ^ ones * ',';

	return (((quote - ones) & ~quote) | ((comma - ones) & ~comma) | ((x - ones * ' ') & ~x)) &
	       high;
}

bool
fl_text_is_clean(const char *p, size_t n)
{
	uint64_t x;
	uint32_t half[2];

	if (n >= sizeof x) {
		for (size_t i = 0; i + sizeof x < n; i += sizeof x) {
			memcpy(&x, p + i, sizeof x);
			if (any_special(x))
				return false;
		}
		memcpy(&x, p + n - sizeof x, sizeof x); /* may overlap what has been seen */
		return !any_special(x);
	}
	if (n >= sizeof half[0]) {
		memcpy(&half[0], p, sizeof half[0]);
		memcpy(&half[1], p + n - sizeof half[1], sizeof half[1]);
		return !any_special((uint64_t)half[0] << 32 | half[1]);
	}
	for (size_t i = 0; i < n; i++)
		if (p[i] == '"' || p[i] == ',' || (unsigned char)p[i] < ' ')
			return false;
	return true;
}

void
fl_put_text(struct fl_colbuf *c, const char *p, size_t n, enum fl_tag tag)
{
	(void)col_kind(c, FL_TEXT);
	if (c->kind != FL_TEXT)
		col_convert(c, FL_TEXT);
	if (c->clean && (!fl_text_is_clean(p, n) || (n == 0 && tag == FL_TAG_STRING)))
		c->clean = false;
	col_tag(c, tag);
	fl_buf_put(&c->bytes, p, n);
	put_end(c);
}

void
fl_put_dec(struct fl_colbuf *c, const struct fl_dec *v)
{
	char buf[FL_NUMBER_TEXT_MAX];
	int64_t i;

	if (c->kind != FL_DECIMAL && fl_dec_is_int64(v, &i)) {
		fl_put_int(c, i);
		return;
	}
	if (col_kind(c, FL_DECIMAL) == FL_TEXT) {
		fl_put_text(c, buf, fl_number_format(v, buf), FL_TAG_NUMBER);
		return;
	}
	col_tag(c, FL_TAG_PLAIN);
	put_element(c, v, sizeof *v);
}

void
fl_put_int(struct fl_colbuf *c, int64_t v)
{
	struct fl_dec d;

	if (c->kind == FL_INT64 && c->any && !c->tagged && c->tag == FL_TAG_PLAIN) {
		put_element(c, &v, sizeof v);
		return;
	}
	if (col_kind(c, FL_INT64) != FL_INT64) {
		char buf[FL_NUMBER_TEXT_MAX];

		d = fl_dec_from_int(v);
		if (c->kind == FL_TEXT) {
			fl_put_text(c, buf, fl_number_format(&d, buf), FL_TAG_NUMBER);
			return;
		}
		col_tag(c, FL_TAG_PLAIN);
		put_element(c, &d, sizeof d);
		return;
	}
	col_tag(c, FL_TAG_PLAIN);
	put_element(c, &v, sizeof v);
}

void
fl_put_double(struct fl_colbuf *c, double v)
{
	struct fl_dec d = fl_dec_from_double(v);

	if (col_kind(c, FL_DOUBLE) == FL_DOUBLE) {
		col_tag(c, FL_TAG_PLAIN);
		put_element(c, &v, sizeof v);
		return;
	}
	fl_put_dec(c, &d);
}

void
fl_put_time(struct fl_colbuf *c, int64_t ms)
{
	char buf[FL_TIME_TEXT_MAX];

	if (col_kind(c, FL_TIME) != FL_TIME) {
		fl_put_text(c, buf, fl_time_format(ms, NULL, true, buf), FL_TAG_STRING);
		return;
	}
	col_tag(c, FL_TAG_PLAIN);
	put_element(c, &ms, sizeof ms);
}

void
fl_put_time_list(struct fl_colbuf *c, const int64_t *ms, uint32_t n)
{
	uint32_t i = 0;

	for (; i < n && (i == 0 || c->kind != FL_TIME || c->tagged); i++)
		fl_put_time(c, ms[i]);
	fl_buf_put(&c->data, ms + i, (n - i) * sizeof *ms);
	c->rows += n - i;
}

/* Append the same int64 n times. */
static void
fill_int64(struct fl_buf *b, int64_t v, uint32_t n)
{
	int64_t *to = (int64_t *)(void *)fl_buf_reserve(b, n * sizeof *to);

	for (uint32_t i = 0; i < n; i++)
		to[i] = v;
	b->len += n * sizeof *to;
}

void
fl_put_times(struct fl_colbuf *c, int64_t ms, uint32_t n)
{
	uint32_t i = 0;

	for (; i < n && (i == 0 || c->kind != FL_TIME || c->tagged); i++)
		fl_put_time(c, ms);
	fill_int64(&c->data, ms, n - i);
	c->rows += n - i;
}

void
fl_put_bool(struct fl_colbuf *c, bool v)
{
	uint8_t b = v;

	if (col_kind(c, FL_BOOL) != FL_BOOL) {
		fl_put_text(c, v ? "true" : "false", v ? 4 : 5, FL_TAG_BOOL);
		return;
	}
	col_tag(c, FL_TAG_PLAIN);
	put_element(c, &b, sizeof b);
}

static void
put_missing(struct fl_colbuf *c, enum fl_tag tag)
{
	static const struct fl_dec zero;

	col_tag(c, tag);
	if (c->kind == FL_TEXT)
		put_end(c);
	else
		put_element(c, &zero, kind_size[c->kind]);
}

void
fl_put_null(struct fl_colbuf *c)
{
	put_missing(c, FL_TAG_NULL);
}

void
fl_put_value(struct fl_colbuf *c, const struct fl_vec *v, size_t i)
{
	enum fl_tag tag = fl_tag_of(v, i);
	const char *p;
	size_t n;

	if (tag == FL_TAG_NULL || tag == FL_TAG_ABSENT) {
		put_missing(c, tag);
		return;
	}
	switch ((enum fl_kind)v->kind) {
	case FL_TEXT:
		p = fl_text(v, i, &n);
		fl_put_text_known(c, p, n, tag, v->clean || !c->clean || fl_text_is_clean(p, n));
		break;
	case FL_INT64:
		fl_put_int(c, v->i64[i]);
		break;
	case FL_DECIMAL:
		fl_put_dec(c, &v->dec[i]);
		break;
	case FL_DOUBLE:
		fl_put_double(c, v->f64[i]);
		break;
	case FL_BOOL:
		fl_put_bool(c, v->b[i]);
		break;
	case FL_TIME:
		fl_put_time(c, v->i64[i]);
		break;
	case FL_KINDS:
		break;
	}
}

/* ---- batches under construction ---------------------------------------- */

void
fl_build_init(struct fl_build *w, uint32_t cols)
{
	*w = (struct fl_build){ .cols = 0 };
	fl_build_resize(w, cols);
}

void
fl_build_resize(struct fl_build *w, uint32_t cols)
{
	fl_assert(w->rows == 0 && cols >= w->cols);
	w->col = fl_xreallocarray(w->col, cols, sizeof *w->col);
	w->vec = fl_xreallocarray(w->vec, cols, sizeof *w->vec);
	for (uint32_t c = w->cols; c < cols; c++) {
		w->col[c] = (struct fl_colbuf){ 0 };
		col_clear(&w->col[c]);
	}
	w->cols = cols;
}

void
fl_build_clear(struct fl_build *w)
{
	for (uint32_t c = 0; c < w->cols; c++)
		col_clear(&w->col[c]);
	fl_buf_clear(&w->time);
	fl_buf_clear(&w->wm);
	fl_buf_clear(&w->op);
	w->rows = 0;
}

void
fl_build_release(struct fl_build *w)
{
	for (uint32_t c = 0; c < w->cols; c++)
		col_release(&w->col[c]);
	free(w->col);
	free(w->vec);
	fl_buf_release(&w->time);
	fl_buf_release(&w->wm);
	fl_buf_release(&w->op);
	*w = (struct fl_build){ 0 };
}

size_t
fl_build_bytes(const struct fl_build *w)
{
	size_t n = w->time.len + w->wm.len + w->op.len;

	for (uint32_t c = 0; c < w->cols; c++)
		n += w->col[c].bytes.len + w->col[c].data.len + w->col[c].tags.len;
	return n;
}

void
fl_build_row(struct fl_build *w, int64_t time, int64_t wm, enum fl_rowkind op)
{
	if (w->timed)
		fl_buf_put(&w->time, &time, sizeof time);
	fl_buf_put(&w->wm, &wm, sizeof wm);
	if (w->changelog)
		fl_buf_putc(&w->op, (char)op);
	w->rows++;
}

void
fl_build_rows(struct fl_build *w, uint32_t n, int64_t time, int64_t wm, enum fl_rowkind op)
{
	if (w->timed)
		fill_int64(&w->time, time, n);
	fill_int64(&w->wm, wm, n);
	if (w->changelog) {
		memset(fl_buf_reserve(&w->op, n), (int)op, n);
		w->op.len += n;
	}
	w->rows += n;
}

static void
col_view(const struct fl_colbuf *c, struct fl_vec *v)
{
	static const uint32_t none[2] = { 0, 0 };

	*v = (struct fl_vec){
		.kind = c->kind,
		.tag = c->tag,
		.clean = c->clean,
		.tags = c->tagged ? (const uint8_t *)c->tags.data : NULL,
	};
	if (c->kind != FL_TEXT) {
		v->data = c->data.data;
		return;
	}
	v->stride = 1;
	v->bytes = c->bytes.data ? c->bytes.data : "";
	v->bytes_len = c->bytes.len;
	v->off = c->rows ? (const uint32_t *)(const void *)c->data.data : none;
}

struct fl_batch *
fl_build_view(struct fl_build *w)
{
	struct fl_batch *b = &w->view;

	for (uint32_t c = 0; c < w->cols; c++) {
		fl_assert(w->col[c].rows == w->rows);
		col_view(&w->col[c], &w->vec[c]);
	}
	*b = (struct fl_batch){
		.rows = w->rows,
		.cols = w->cols,
		.col = w->vec,
		.time = w->timed ? (const int64_t *)(const void *)w->time.data : NULL,
		.op = w->changelog ? (const uint8_t *)w->op.data : NULL,
		.wm_mode = FL_WM_COLUMN,
		.wm = (const int64_t *)(const void *)w->wm.data,
	};
	if (w->rows)
		b->wm_first = b->wm[0];
	return b;
}

/* ---- selections --------------------------------------------------------- */

static void *
take(struct fl_buf *pool, size_t bytes)
{
	char *p = fl_buf_reserve(pool, bytes + 8);

	pool->len += (bytes + 7) & ~(size_t)7;
	return p;
}

static void
select_text(const struct fl_vec *from, const uint32_t *rows, uint32_t n, uint32_t *off)
{
	for (uint32_t k = 0; k < n; k++) {
		const uint32_t *o = from->off + (size_t)rows[k] * from->stride;

		off[2 * k] = o[0] + from->gap;
		off[2 * k + 1] = o[1];
	}
}

static void
select_fixed(const void *from, size_t size, const uint32_t *rows, uint32_t n, void *to)
{
	if (size == 8) {
		for (uint32_t k = 0; k < n; k++)
			((uint64_t *)to)[k] = ((const uint64_t *)from)[rows[k]];
		return;
	}
	for (uint32_t k = 0; k < n; k++)
		memcpy((char *)to + k * size, (const char *)from + rows[k] * size, size);
}

static void
select_column(const struct fl_vec *from, const uint32_t *rows, uint32_t n, struct fl_buf *pool,
	      struct fl_vec *to)
{
	*to = *from;
	if (from->tags) {
		uint8_t *tags = take(pool, n);

		select_fixed(from->tags, 1, rows, n, tags);
		to->tags = tags;
	}
	if (from->kind != FL_TEXT) {
		void *data = take(pool, n * kind_size[from->kind]);

		select_fixed(from->data, kind_size[from->kind], rows, n, data);
		to->data = data;
	} else if (from->stride) {
		uint32_t *off = take(pool, 2 * n * sizeof *off);

		select_text(from, rows, n, off);
		to->off = off;
		to->stride = 2;
		to->gap = 0;
	}
}

/* What select_column and fl_batch_select take from the pool, at the most. */
static size_t
select_bytes(const struct fl_batch *b, uint32_t n)
{
	size_t row = 8 + 8 + 1;

	for (uint32_t c = 0; c < b->cols; c++)
		row += (b->col[c].tags ? 1 : 0) +
		       (b->col[c].kind == FL_TEXT ? 8 : kind_size[b->col[c].kind]);
	return row * n + ((size_t)b->cols * 2 + 3) * 16 + b->cols * sizeof(struct fl_vec);
}

void
fl_batch_select(const struct fl_batch *b, const uint32_t *rows, uint32_t n, struct fl_buf *pool,
		struct fl_batch *ret)
{
	struct fl_buf scratch = { 0 };
	struct fl_batch r = *b;

	fl_buf_clear(pool);
	(void)fl_buf_reserve(pool, select_bytes(b, n)); /* from here on it does not move */
	r.rows = n;
	r.line = 0;
	r.col = take(pool, b->cols * sizeof *r.col);
	for (uint32_t c = 0; c < b->cols; c++)
		select_column(&b->col[c], rows, n, pool, &r.col[c]);
	if (b->time) {
		int64_t *time = take(pool, n * sizeof *time);

		select_fixed(b->time, sizeof *time, rows, n, time);
		r.time = time;
	}
	if (b->op) {
		uint8_t *op = take(pool, n);

		select_fixed(b->op, 1, rows, n, op);
		r.op = op;
	}
	if (b->wm_mode != FL_WM_CONST) {
		int64_t *wm = take(pool, n * sizeof *wm);

		select_fixed(fl_batch_wm(b, &scratch), sizeof *wm, rows, n, wm);
		r.wm = wm;
		r.wm_mode = FL_WM_COLUMN;
		fl_buf_release(&scratch);
	}
	*ret = r;
}

void
fl_batch_slice(const struct fl_batch *b, const int64_t *wm, uint32_t from, uint32_t n,
	       struct fl_vec *vec, struct fl_batch *ret)
{
	fl_assert(from + n <= b->rows);
	*ret = *b;
	ret->rows = n;
	ret->col = vec;
	for (uint32_t c = 0; c < b->cols; c++) {
		struct fl_vec v = b->col[c];

		if (v.kind == FL_TEXT)
			v.off += (size_t)from * v.stride;
		else
			v.data = (const char *)v.data + (size_t)from * kind_size[v.kind];
		v.tags = v.tags ? v.tags + from : NULL;
		vec[c] = v;
	}
	ret->time = b->time ? b->time + from : NULL;
	ret->op = b->op ? b->op + from : NULL;
	ret->wm_mode = FL_WM_COLUMN;
	ret->wm = wm + from;
	ret->wm_first = wm[from];
	ret->line = b->line ? b->line + from : 0;
}
