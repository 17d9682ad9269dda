/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzing of what a tool reads from a pipe: frames, batches and headers. The first
 * byte of the input says what the rest is:
 *	0  frames, as they are
 *	1  frames whose heads are put right first, checksums too: what a damaged or
 *	   hostile writer could send. The checksum would hide it from the fuzzer
 *	2  the payload of a BATCH
 *	3  the payload of a HEADER
 * What is accepted must be harmless: every value lies in the frame, is shown by
 * every writer, and is the same when it was framed and read once more.
 * libFuzzer: link with -fsanitize=fuzzer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>

#include <xxhash.h>

#include "format/writer.h"
#include "stream/frame.h"
#include "stream/value.h"

#define ROWS_MAX 2000 /* a batch of many rows teaches no more, and takes long */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- batches ------------------------------------------------------------------ */

/* Look at everything that a value is. */
static void
touch_value(const struct fl_vec *v, uint32_t row)
{
	struct fl_value value = fl_value_get(v, row);
	char text[FL_NUMBER_TEXT_MAX];
	struct fl_dec number;
	struct fl_buf seen = { 0 };
	size_t n;
	const char *p = fl_key_bytes(v, row, text, &n);

	fl_buf_put(&seen, p ? p : "", n);
	if (fl_value_number(&value, &number))
		fl_assert(fl_number_format(&number, text) <= FL_NUMBER_TEXT_MAX);
	fl_assert(fl_value_compare(&value, &value) == 0);
	fl_assert(fl_is_null(v, row) == (value.type == FL_V_NULL));
	fl_buf_release(&seen);
}

/* Append the batch as text: with the same columns, the same bytes each time. */
static void
show_batch(const struct fl_batch *b, const char *format, struct fl_buf *out)
{
	struct fl_writer_options options = { .separator = ',',
					     .width = 80,
					     .escape_controls = true };
	struct fl_err err = { 0 };
	struct fl_writer *w = fl_writer_new(fl_writer_type(format), &options, &err);
	struct fl_header h;

	fl_header_init(&h);
	h.changelog = b->op != NULL;
	for (uint32_t c = 0; c < b->cols; c++) {
		char name[16];

		(void)fl_header_add(&h, name, (size_t)snprintf(name, sizeof name, "c%u", c),
				    (enum fl_kind)b->col[c].kind);
	}
	if (fl_writer_write(w, &h, b, out, &err) < 0 || fl_writer_end(w, &h, out, &err) < 0)
		fl_buf_printf(out, "error %d: %s\n", err.code, err.msg);
	fl_writer_free(w);
	fl_header_release(&h);
}

static bool
same_bytes(const struct fl_buf *a, const struct fl_buf *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static bool
same_record_arrays(const struct fl_batch *a, const struct fl_batch *b)
{
	struct fl_buf scratch_a = { 0 }, scratch_b = { 0 };
	const int64_t *wm_a = fl_batch_wm(a, &scratch_a), *wm_b = fl_batch_wm(b, &scratch_b);
	size_t bytes = a->rows * sizeof(int64_t);
	bool same = !a->time == !b->time && (!a->time || memcmp(a->time, b->time, bytes) == 0) &&
		    !a->op == !b->op && (!a->op || memcmp(a->op, b->op, a->rows) == 0) &&
		    memcmp(wm_a, wm_b, bytes) == 0 && fl_batch_wm_last(a) == fl_batch_wm_last(b);

	fl_buf_release(&scratch_a);
	fl_buf_release(&scratch_b);
	return same;
}

static void
compare_batches(const struct fl_batch *a, const struct fl_batch *b)
{
	static const char *const formats[] = { "jsonl", "csv", "tsv", "pprint" };

	fl_assert(a->rows == b->rows && a->cols == b->cols && a->line == b->line);
	fl_assert(same_record_arrays(a, b));
	for (size_t i = 0; i < FL_ARRAY_LEN(formats); i++) {
		struct fl_buf text_a = { 0 }, text_b = { 0 };

		show_batch(a, formats[i], &text_a);
		show_batch(b, formats[i], &text_b);
		fl_assert(same_bytes(&text_a, &text_b));
		fl_buf_release(&text_a);
		fl_buf_release(&text_b);
	}
}

/* Frame b, read it back, compare. */
static void
check_again(const struct fl_batch *b)
{
	struct fl_frame_writer w = { .started = true };
	struct fl_buf bytes = { 0 }, cols = { 0 };
	struct fl_err err = { 0 };
	struct fl_batch again;
	struct fl_frame f;
	struct iovec *iov;
	size_t n, need;

	w.seq = 1;
	if (fl_frame_batch(&w, b, &iov, &n, &err) == 0) {
		fl_buf_put(&bytes, w.out.data, w.out.len);
		for (size_t i = 0; i < n; i++)
			fl_buf_put(&bytes, iov[i].iov_base, iov[i].iov_len);
		fl_assert(fl_frame_parse(bytes.data, bytes.len, 1, &f, &need, &err) ==
			  (int64_t)bytes.len);
		fl_assert(fl_batch_decode(&f, &cols, &again, &err) == 0);
		compare_batches(b, &again);
	}
	fl_buf_release(&bytes);
	fl_buf_release(&cols);
	fl_frame_writer_release(&w);
}

static void
check_batch(const struct fl_frame *f)
{
	struct fl_buf cols = { 0 };
	struct fl_err err = { 0 };
	struct fl_batch b;

	if (fl_batch_decode(f, &cols, &b, &err) < 0) {
		fl_assert(err.code == FL_EDATA && err.msg[0]);
	} else if (b.rows <= ROWS_MAX && (uint64_t)b.rows * b.cols <= 4 * ROWS_MAX) {
		fl_assert(b.rows == fl_frame_rows(f));
		for (uint32_t c = 0; c < b.cols; c++)
			for (uint32_t row = 0; row < b.rows; row++)
				touch_value(&b.col[c], row);
		check_again(&b);
	}
	fl_buf_release(&cols);
}

/* ---- headers ------------------------------------------------------------------ */

static void
check_header(const char *json, size_t len)
{
	struct fl_header h, again;
	struct fl_buf first = { 0 }, second = { 0 };
	struct fl_err err = { 0 };

	fl_header_init(&h);
	fl_header_init(&again);
	if (fl_header_decode(&h, json, len, &err) < 0) {
		fl_assert(err.code == FL_EDATA && err.msg[0]);
	} else {
		fl_header_encode(&h, &first);
		fl_assert(fl_header_decode(&again, first.data, first.len, &err) == 0);
		fl_header_encode(&again, &second);
		fl_assert(same_bytes(&first, &second));
		fl_assert(h.column_count == again.column_count && h.key_count == again.key_count &&
			  h.lineage_count == again.lineage_count);
		(void)fl_header_nearest(&h, "colum", 5);
	}
	fl_header_release(&h);
	fl_header_release(&again);
	fl_buf_release(&first);
	fl_buf_release(&second);
}

/* ---- frames ------------------------------------------------------------------- */

static void
check_frame(const struct fl_frame *f)
{
	struct fl_watermark wm;
	struct fl_barrier barrier;
	struct fl_end end;
	struct fl_err err = { 0 };

	switch (f->type) {
	case FL_FRAME_HEADER:
		check_header(f->payload, f->len);
		break;
	case FL_FRAME_BATCH:
		check_batch(f);
		break;
	case FL_FRAME_WATERMARK:
		(void)fl_frame_get_watermark(f, &wm, &err);
		break;
	case FL_FRAME_BARRIER:
		(void)fl_frame_get_barrier(f, &barrier, &err);
		break;
	case FL_FRAME_END:
		if (fl_frame_get_end(f, &end, &err) == 0)
			fl_assert(end.status <= FL_END_FAILED && end.code >= 0 && end.code <= 255);
		break;
	}
}

/* Give the frame at p, of which have bytes are there, a head that is accepted. */
static void
mend(char *p, size_t have, uint64_t seq)
{
	uint32_t len;

	if (have < FL_FRAME_HEAD)
		return;
	p[0] = (char)(FL_FRAME_HEADER + (unsigned char)p[0] % FL_FRAME_END);
	if (seq == 0 && p[0] != FL_FRAME_END)
		p[0] = FL_FRAME_HEADER;
	memset(p + 1, 0, 3);
	memcpy(&len, p + 4, sizeof len);
	if (len > have - FL_FRAME_HEAD)
		len = (uint32_t)(have - FL_FRAME_HEAD);
	len &= ~7u;
	memcpy(p + 4, &len, sizeof len);
	memcpy(p + 8, &seq, sizeof seq);
	/* the sum covers head and payload, which are contiguous without it */
	char *summed = fl_xmalloc(16 + (size_t)len);

	memcpy(summed, p, 16);
	memcpy(summed + 16, p + FL_FRAME_HEAD, len);
	seq = XXH3_64bits(summed, 16 + (size_t)len);
	memcpy(p + 16, &seq, sizeof seq);
	free(summed);
}

static void
check_stream(char *p, size_t n, bool mended)
{
	for (uint64_t seq = 0;; seq++) {
		struct fl_err err = { 0 };
		struct fl_frame f;
		size_t need;
		int64_t taken;

		if (mended)
			mend(p, n, seq);
		taken = fl_frame_parse(p, n, seq, &f, &need, &err);
		fl_assert(taken < 0 || need <= FL_FRAME_HEAD + FL_FRAME_MAX);
		fl_assert(taken != 0 || need > n);
		if (taken <= 0) {
			fl_assert(taken == 0 || (err.code == FL_EDATA && err.msg[0]));
			fl_assert(!mended || n < FL_FRAME_HEAD);
			return;
		}
		fl_assert((size_t)taken <= n && f.len + FL_FRAME_HEAD == (size_t)taken);
		check_frame(&f);
		p += taken;
		n -= (size_t)taken;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy; /* aligned as input buffers are, and of just this size */

	if (size == 0)
		return 0;
	copy = fl_xmalloc(size);
	memcpy(copy, data + 1, size - 1);
	size--;
	switch (data[0] % 4) {
	case 0:
		check_stream(copy, size, false);
		break;
	case 1:
		check_stream(copy, size, true);
		break;
	case 2:
		size -= size % 8;
		check_batch(&(struct fl_frame){
			.type = FL_FRAME_BATCH, .seq = 1, .payload = copy, .len = (uint32_t)size });
		break;
	default:
		check_header(copy, size);
		break;
	}
	free(copy);
	return 0;
}
