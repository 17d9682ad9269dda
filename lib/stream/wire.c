/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/wire.h"

#include "stream/frame.h"

struct wire_batch {
	uint32_t rows;
	uint32_t cols;
	uint8_t wm_mode; /* enum fl_wm_mode */
	uint8_t reserved[3];
	uint32_t time_at; /* place of an array in the payload; 0: there is none */
	uint32_t wm_at;
	uint32_t op_at;
	int64_t wm_first;
	int64_t wm_delay;
	uint64_t line;
};
_Static_assert(sizeof(struct wire_batch) == 48, "wire_batch");

struct wire_col {
	uint8_t kind;
	uint8_t tag;
	uint8_t clean;
	uint8_t gap;
	uint32_t stride;
	uint32_t tags_at;
	uint32_t bytes_at;  /* TEXT */
	uint32_t bytes_len; /* TEXT */
	uint32_t off_at;    /* TEXT: place of this column's first position */
	uint32_t data_at;   /* fixed width */
	uint32_t reserved;
};
_Static_assert(sizeof(struct wire_col) == 32, "wire_col");

static const size_t element_size[FL_KINDS] = {
	[FL_INT64] = 8, [FL_DECIMAL] = sizeof(struct fl_dec), [FL_DOUBLE] = 8, [FL_BOOL] = 1,
	[FL_TIME] = 8,
};

/* ---- writing ---------------------------------------------------------------- */

struct layout {
	struct iovec *iov;
	size_t n;
	size_t len; /* of the payload so far */
};

size_t
fl_wire_meta_bytes(const struct fl_batch *b)
{
	return sizeof(struct wire_batch) + b->cols * sizeof(struct wire_col);
}

size_t
fl_wire_pieces_max(const struct fl_batch *b)
{
	/* per column text, positions and tags, each with its padding */
	return 2 + 2 * (3 + 3 * (size_t)b->cols);
}

static const char zeros[8];

/* Add an array as a piece of its own; returns its place. */
static uint32_t
add_array(struct layout *l, const void *p, size_t bytes)
{
	uint32_t at = (uint32_t)l->len;
	size_t pad = -bytes & 7;

	if (l->len > FL_FRAME_MAX || bytes > FL_FRAME_MAX) { /* refused at the end */
		l->len = (size_t)FL_FRAME_MAX + 8;
		return 0;
	}
	/* iov_base is not const because readv shares the struct */
	l->iov[l->n++] = (struct iovec){ (void *)(uintptr_t)p, bytes };
	if (pad)
		l->iov[l->n++] = (struct iovec){ (void *)(uintptr_t)zeros, pad };
	l->len += bytes + pad;
	return at;
}

/* What a group of columns over one area and one array of positions spans. */
struct span {
	const char *bytes;
	const uint32_t *first; /* the lowest position used by any of them */
	const uint32_t *last;  /* the highest */
	uint32_t stride;
	size_t used;  /* bytes of the values */
	uint32_t end; /* the area is used up to here */
};

static void
measure(const struct fl_vec *v, uint32_t rows, struct span *s)
{
	size_t used = 0;
	uint32_t end = 0;

	for (uint32_t i = 0; i < rows; i++) {
		const uint32_t *o = v->off + (size_t)i * v->stride;

		used += o[1] - (o[0] + v->gap);
		end = o[1] > end ? o[1] : end;
	}
	s->used += used;
	s->end = end > s->end ? end : s->end;
}

/* Whether column b's positions lie among those of a, as in delimited lines. */
static bool
same_group(const struct fl_vec *a, const struct fl_vec *b)
{
	return b->kind == FL_TEXT && a->bytes == b->bytes && a->stride == b->stride &&
	       b->off >= a->off && (size_t)(b->off - a->off) < a->stride;
}

/*
 * Delimited lines: the positions go up all through, so that the end is the last
 * one and what the values use can be told without looking at each.
 */
static void
span_of(const struct fl_batch *b, uint32_t c, uint32_t *ret_next, struct span *s)
{
	const struct fl_vec *v = &b->col[c];
	uint32_t next = c + 1;
	bool lines = v->gap == 1;

	*s = (struct span){ .bytes = v->bytes, .first = v->off, .stride = v->stride };
	s->last = v->off + (size_t)(b->rows - 1) * v->stride + 1;
	while (next < b->cols && same_group(v, &b->col[next])) {
		const uint32_t *last = b->col[next].off +
				       (size_t)(b->rows - 1) * b->col[next].stride + 1;

		s->last = last > s->last ? last : s->last;
		lines = lines && b->col[next].gap == 1;
		next++;
	}
	*ret_next = next;
	if (lines && next - c > v->stride / 2) {
		s->end = *s->last;
		s->used = s->end - (*s->first + 1);
		return;
	}
	for (uint32_t k = c; k < next; k++)
		measure(&b->col[k], b->rows, s);
}

/* Copy a column's values together; the positions become packed ones. */
static void
pack_column(struct layout *l, const struct fl_vec *v, uint32_t rows, struct fl_buf *pack,
	    struct wire_col *wc)
{
	size_t off_bytes = ((size_t)rows + 1) * sizeof(uint32_t);
	uint32_t *off = (uint32_t *)(void *)(pack->data + pack->len);
	char *text = pack->data + pack->len + ((off_bytes + 7) & ~(size_t)7), *to = text;

	off[0] = 0;
	for (uint32_t i = 0; i < rows; i++) {
		size_t n;
		const char *p = fl_text(v, i, &n);

		memcpy(to, p, n);
		to += n;
		off[i + 1] = (uint32_t)(to - text);
	}
	pack->len = ((size_t)(to - pack->data) + 7) & ~(size_t)7;
	wc->stride = 1;
	wc->gap = 0;
	wc->bytes_at = add_array(l, text, (size_t)(to - text));
	wc->bytes_len = (uint32_t)(to - text);
	wc->off_at = add_array(l, off, off_bytes);
}

static void
put_text_group(struct layout *l, const struct fl_batch *b, uint32_t c, uint32_t next,
	       const struct span *s, struct wire_col *wc)
{
	uint32_t bytes_at = add_array(l, s->bytes, s->end);
	uint32_t off_at = add_array(l, s->first,
				    (size_t)(s->last - s->first + 1) * sizeof *s->first);

	for (uint32_t k = c; k < next; k++) {
		const struct fl_vec *v = &b->col[k];

		wc[k].stride = v->stride;
		wc[k].gap = (uint8_t)v->gap;
		wc[k].bytes_at = bytes_at;
		wc[k].bytes_len = s->end;
		wc[k].off_at = off_at + (uint32_t)(v->off - s->first) * (uint32_t)sizeof *v->off;
	}
}

/* Room for packing any of the columns, so that pack does not move under pieces. */
static size_t
pack_bytes(const struct fl_batch *b)
{
	size_t n = 0;

	for (uint32_t c = 0; c < b->cols; c++) {
		struct span s = { .bytes = NULL };

		if (b->col[c].kind != FL_TEXT)
			continue;
		measure(&b->col[c], b->rows, &s);
		n += s.used + ((size_t)b->rows + 1) * sizeof(uint32_t) + 16;
	}
	return n;
}

static void
put_text(struct layout *l, const struct fl_batch *b, struct fl_buf *pack, struct wire_col *wc)
{
	uint32_t next;

	for (uint32_t c = 0; c < b->cols; c = next) {
		struct span s;

		next = c + 1;
		if (b->col[c].kind != FL_TEXT)
			continue;
		span_of(b, c, &next, &s);
		/* half of the area unused: copying what is used costs less than sending all */
		if (s.used >= s.end / 2 || b->col[c].stride == 0) {
			put_text_group(l, b, c, next, &s, wc);
			continue;
		}
		if (pack->len == 0)
			(void)fl_buf_reserve(pack, pack_bytes(b));
		for (uint32_t k = c; k < next; k++)
			pack_column(l, &b->col[k], b->rows, pack, &wc[k]);
	}
}

int
fl_wire_batch(const struct fl_batch *b, struct fl_buf *meta, struct fl_buf *pack, struct iovec *iov,
	      size_t *ret_n, size_t *ret_len, struct fl_err *err)
{
	struct layout l = { .iov = iov };
	struct wire_batch *wb;
	struct wire_col *wc;
	size_t meta_len = fl_wire_meta_bytes(b);

	fl_assert(b->rows > 0);
	fl_buf_clear(pack);
	wb = (struct wire_batch *)(void *)fl_buf_reserve(meta, meta_len);
	memset(wb, 0, meta_len);
	meta->len += meta_len;
	wc = (struct wire_col *)(wb + 1);
	*wb = (struct wire_batch){ .rows = b->rows,
				   .cols = b->cols,
				   .wm_mode = (uint8_t)b->wm_mode,
				   .wm_first = b->wm_first,
				   .wm_delay = b->wm_delay,
				   .line = b->line };
	(void)add_array(&l, wb, meta_len);
	if (b->time)
		wb->time_at = add_array(&l, b->time, b->rows * sizeof *b->time);
	if (b->wm_mode == FL_WM_COLUMN)
		wb->wm_at = add_array(&l, b->wm, b->rows * sizeof *b->wm);
	if (b->op)
		wb->op_at = add_array(&l, b->op, b->rows);
	put_text(&l, b, pack, wc);
	for (uint32_t c = 0; c < b->cols; c++) {
		const struct fl_vec *v = &b->col[c];

		wc[c].kind = v->kind;
		wc[c].tag = v->tag;
		wc[c].clean = v->clean;
		if (v->tags)
			wc[c].tags_at = add_array(&l, v->tags, b->rows);
		if (v->kind != FL_TEXT)
			wc[c].data_at = add_array(&l, v->data, b->rows * element_size[v->kind]);
	}
	if (l.len > FL_FRAME_MAX)
		return fl_fail(err, FL_ELIMIT,
			       "a batch of %u records does not fit into a frame of %u MiB", b->rows,
			       FL_FRAME_MAX >> 20);
	*ret_n = l.n;
	*ret_len = l.len;
	return 0;
}

/* ---- reading ------------------------------------------------------------------ */

struct parser {
	const char *payload;
	uint32_t len;
	bool bad;
};

/* The array of count elements of size bytes at at; notes where it cannot be. */
static const void *
array_at(struct parser *p, uint32_t at, size_t count, size_t size)
{
	size_t bytes = count * size;

	if (at < sizeof(struct wire_batch) || at % (size < 8 ? size : 8) || at > p->len ||
	    bytes > p->len - at) {
		p->bad = true;
		return NULL;
	}
	return p->payload + at;
}

/*
 * No value may lie outside the area. The differences are unsigned, so that an
 * end before its start shows as a huge length.
 */
static bool
positions_ok(const struct fl_vec *v, uint32_t rows)
{
	uint32_t len = (uint32_t)v->bytes_len, bad = 0;

	for (uint32_t i = 0; i < rows; i++) {
		const uint32_t *o = v->off + (size_t)i * v->stride;
		uint32_t start = o[0] + v->gap;

		bad |= (uint32_t)(start > o[1]) | (uint32_t)(o[1] > len);
	}
	return !bad;
}

/*
 * The positions of delimited lines, all columns of a group at once: each at
 * least one more than the one before, the last inside the area. This is the
 * check of every record that passes, so it is one loop without branches.
 */
static bool
lines_ok(const uint32_t *o, size_t n, uint32_t len)
{
	uint32_t bad = 0;

	for (size_t i = 0; i + 1 < n; i++)
		bad |= (o[i + 1] - o[i] - 1) | (len - o[i + 1]);
	/* the first may be "one before the area", so its bound is its value's start */
	return !(bad >> 31) && o[0] + 1 <= o[1];
}

static bool
tags_ok(const uint8_t *tags, uint32_t rows)
{
	uint8_t bad = 0;

	for (uint32_t i = 0; i < rows; i++)
		bad |= (uint8_t)(tags[i] >= FL_TAGS);
	return !bad;
}

static void
get_text(struct parser *p, const struct wire_col *w, uint32_t rows, struct fl_vec *v)
{
	v->stride = w->stride;
	v->gap = w->gap;
	v->bytes_len = w->bytes_len;
	v->bytes = array_at(p, w->bytes_at, w->bytes_len, 1);
	if (w->gap > 1 || w->stride > 2 * FL_COLUMNS_MAX + 2) {
		p->bad = true;
		return;
	}
	v->off = array_at(p, w->off_at, (size_t)(rows - 1) * w->stride + 2, sizeof *v->off);
}

static void
get_column(struct parser *p, const struct wire_col *w, uint32_t rows, struct fl_vec *v)
{
	*v = (struct fl_vec){ .kind = w->kind, .tag = w->tag, .clean = w->clean != 0 };
	if (w->kind >= FL_KINDS || w->tag >= FL_TAGS) {
		p->bad = true;
		return;
	}
	if (w->tags_at) {
		v->tags = array_at(p, w->tags_at, rows, 1);
		p->bad = p->bad || !tags_ok(v->tags, rows);
	}
	if (w->kind == FL_TEXT)
		get_text(p, w, rows, v);
	else
		v->data = array_at(p, w->data_at, rows, element_size[w->kind]);
}

static bool
all_positions_ok(const struct fl_vec *v, uint32_t cols, uint32_t rows)
{
	uint32_t next;

	for (uint32_t c = 0; c < cols; c = next) {
		const uint32_t *last;
		bool lines = v[c].gap == 1;

		next = c + 1;
		if (v[c].kind != FL_TEXT)
			continue;
		last = v[c].off + (size_t)(rows - 1) * v[c].stride + 1;
		for (; next < cols && same_group(&v[c], &v[next]); next++) {
			const uint32_t *l = v[next].off + (size_t)(rows - 1) * v[next].stride + 1;

			last = l > last ? l : last;
			lines = lines && v[next].gap == 1 && v[next].bytes_len == v[c].bytes_len;
		}
		if (lines &&
		    lines_ok(v[c].off, (size_t)(last - v[c].off) + 1, (uint32_t)v[c].bytes_len))
			continue;
		for (uint32_t k = c; k < next; k++)
			if (!positions_ok(&v[k], rows))
				return false;
	}
	return true;
}

/* A batch's own watermarks must not go back either. */
static bool
watermarks_ok(const int64_t *wm, uint32_t rows)
{
	bool ok = true;

	for (uint32_t i = 1; i < rows; i++)
		ok &= wm[i] >= wm[i - 1];
	return ok;
}

static void
get_record_arrays(struct parser *p, const struct wire_batch *wb, struct fl_batch *b)
{
	uint8_t bad = 0;

	if (wb->time_at)
		b->time = array_at(p, wb->time_at, b->rows, sizeof *b->time);
	if (wb->wm_mode == FL_WM_COLUMN)
		b->wm = array_at(p, wb->wm_at, b->rows, sizeof *b->wm);
	if (wb->op_at)
		b->op = array_at(p, wb->op_at, b->rows, 1);
	if (p->bad || wb->wm_mode > FL_WM_COLUMN || (wb->wm_mode == FL_WM_DELAY && !b->time)) {
		p->bad = true;
		return;
	}
	for (uint32_t i = 0; b->op && i < b->rows; i++)
		bad |= (uint8_t)(b->op[i] > FL_DELETE);
	if (bad || (b->wm && !watermarks_ok(b->wm, b->rows)))
		p->bad = true;
}

uint32_t
fl_frame_rows(const struct fl_frame *f)
{
	uint32_t rows = 0;

	if (f->len >= sizeof(struct wire_batch))
		memcpy(&rows, f->payload, sizeof rows);
	return rows;
}

int
fl_batch_decode(const struct fl_frame *f, struct fl_buf *cols, struct fl_batch *ret,
		struct fl_err *err)
{
	struct parser p = { .payload = f->payload, .len = f->len };
	struct wire_batch wb = { 0 };
	const struct wire_col *wc = NULL;

	if (f->len >= sizeof wb)
		memcpy(&wb, f->payload, sizeof wb);
	/* an absurd count must not overflow the sizes computed from it */
	if (wb.rows == 0 || wb.rows > FL_FRAME_MAX || wb.cols > FL_COLUMNS_MAX)
		p.bad = true;
	else
		wc = array_at(&p, sizeof wb, wb.cols, sizeof *wc);
	*ret = (struct fl_batch){ .rows = wb.rows,
				  .cols = wb.cols,
				  .wm_mode = (enum fl_wm_mode)wb.wm_mode,
				  .wm_first = wb.wm_first,
				  .wm_delay = wb.wm_delay,
				  .line = wb.line };
	if (!p.bad) {
		fl_buf_clear(cols);
		ret->col = (struct fl_vec *)(void *)fl_buf_reserve(cols, (wb.cols + 1) *
										 sizeof *ret->col);
		get_record_arrays(&p, &wb, ret);
	}
	for (uint32_t c = 0; c < wb.cols && !p.bad; c++)
		get_column(&p, &wc[c], wb.rows, &ret->col[c]);
	if (p.bad || !all_positions_ok(ret->col, wb.cols, wb.rows))
		return fl_fail(err, FL_EDATA, "damaged stream: frame %llu (BATCH) is not a batch",
			       (unsigned long long)f->seq);
	return 0;
}
