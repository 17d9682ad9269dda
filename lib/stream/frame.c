/* SPDX-License-Identifier: Apache-2.0 */
/* Frames and their checksums; what a BATCH holds is in wire.c. */
#include "stream/frame.h"

#define XXH_INLINE_ALL /* other libraries export the same names, of other versions */
#include <xxhash.h>

#include "stream/wire.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the stream format is little-endian");

struct head {
	uint8_t type;
	uint8_t flags[3];
	uint32_t len;
	uint64_t seq;
	uint64_t sum;
};
_Static_assert(sizeof(struct head) == FL_FRAME_HEAD, "frame head");

#define SUMMED offsetof(struct head, sum)

struct wire_watermark {
	int64_t ms;
	uint64_t idle;
};

struct wire_barrier {
	uint64_t id;
	uint64_t attempt;
	int64_t injected_ms;
	uint64_t flags;
};

struct wire_end {
	uint64_t records;
	uint64_t checkpoint;
	uint32_t status;
	int32_t code;
};

/* ---- writing ---------------------------------------------------------------- */

void
fl_frame_writer_release(struct fl_frame_writer *w)
{
	fl_buf_release(&w->out);
	fl_buf_release(&w->meta);
	fl_buf_release(&w->iov);
	fl_buf_release(&w->pack);
}

static void
start(struct fl_frame_writer *w)
{
	if (!w->started)
		fl_buf_put(&w->out, FL_MAGIC, FL_MAGIC_LEN);
	w->started = true;
}

void
fl_wire_put(struct fl_frame_writer *w, enum fl_frame_type type, const void *payload, size_t len)
{
	struct head head = { .type = (uint8_t)type, .len = (uint32_t)len };
	size_t at;

	fl_assert(len % 8 == 0 && len <= FL_FRAME_MAX);
	start(w);
	head.seq = w->seq++;
	at = w->out.len;
	fl_buf_put(&w->out, &head, SUMMED);
	fl_buf_put(&w->out, payload, len);
	/* the sum stands between the two, which are contiguous only until now */
	head.sum = XXH3_64bits(w->out.data + at, SUMMED + len);
	(void)fl_buf_reserve(&w->out, sizeof head.sum);
	memmove(w->out.data + at + FL_FRAME_HEAD, w->out.data + at + SUMMED, len);
	memcpy(w->out.data + at + SUMMED, &head.sum, sizeof head.sum);
	w->out.len += sizeof head.sum;
}

void
fl_frame_header(struct fl_frame_writer *w, const struct fl_header *h)
{
	struct fl_buf json = { 0 };

	fl_header_encode(h, &json);
	while (json.len % 8)
		fl_buf_putc(&json, ' ');
	fl_wire_put(w, FL_FRAME_HEADER, json.data, json.len);
	fl_buf_release(&json);
}

void
fl_frame_watermark(struct fl_frame_writer *w, const struct fl_watermark *wm)
{
	struct wire_watermark p = { .ms = wm->ms, .idle = wm->idle };

	fl_wire_put(w, FL_FRAME_WATERMARK, &p, sizeof p);
}

void
fl_frame_barrier(struct fl_frame_writer *w, const struct fl_barrier *b)
{
	struct wire_barrier p = {
		.id = b->id, .attempt = b->attempt, .injected_ms = b->injected_ms, .flags = b->flags
	};

	fl_wire_put(w, FL_FRAME_BARRIER, &p, sizeof p);
}

void
fl_frame_end(struct fl_frame_writer *w, const struct fl_end *end)
{
	struct wire_end p = { .records = end->records,
			      .checkpoint = end->checkpoint,
			      .status = end->status,
			      .code = end->code };

	fl_wire_put(w, FL_FRAME_END, &p, sizeof p);
}

#define SMALL 8192 /* bytes; copying these is cheaper than a list of pieces */

/* Copy the pieces of a small frame behind out. */
static void
put_pieces(struct fl_frame_writer *w, const struct iovec *iov, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fl_buf_put(&w->out, iov[i].iov_base, iov[i].iov_len);
}

int
fl_frame_batch(struct fl_frame_writer *w, const struct fl_batch *b, struct iovec **ret_iov,
	       size_t *ret_count, struct fl_err *err)
{
	struct head head = { .type = FL_FRAME_BATCH };
	XXH3_state_t sum;
	struct iovec *iov;
	size_t n, len;
	int rc;

	/* the head comes first in meta, so that it has an address that stays */
	fl_buf_clear(&w->meta);
	(void)fl_buf_reserve(&w->meta, sizeof head + fl_wire_meta_bytes(b));
	w->meta.len = sizeof head;
	fl_buf_clear(&w->iov);
	iov = (struct iovec *)(void *)fl_buf_reserve(&w->iov, fl_wire_pieces_max(b) * sizeof *iov);
	iov[0] = (struct iovec){ w->meta.data, sizeof head };
	rc = fl_wire_batch(b, &w->meta, &w->pack, iov + 1, &n, &len, err);
	if (rc < 0)
		return rc;
	n++;
	start(w);
	head.len = (uint32_t)len;
	head.seq = w->seq++;
	(void)XXH3_64bits_reset(&sum);
	(void)XXH3_64bits_update(&sum, &head, SUMMED);
	for (size_t i = 1; i < n; i++)
		(void)XXH3_64bits_update(&sum, iov[i].iov_base, iov[i].iov_len);
	head.sum = XXH3_64bits_digest(&sum);
	memcpy(w->meta.data, &head, sizeof head);
	*ret_iov = iov;
	*ret_count = n;
	if (len <= SMALL) {
		put_pieces(w, iov, n);
		*ret_iov = NULL;
		*ret_count = 0;
	}
	return 0;
}

/* ---- reading ---------------------------------------------------------------- */

static const char *
type_name(unsigned type)
{
	static const char *const names[] = {
		[FL_FRAME_HEADER] = "HEADER",
		[FL_FRAME_BATCH] = "BATCH",
		[FL_FRAME_WATERMARK] = "WATERMARK",
		[FL_FRAME_BARRIER] = "BARRIER",
		[FL_FRAME_END] = "END",
	};

	return type < FL_ARRAY_LEN(names) && names[type] ? names[type] : "unknown";
}

/* Printable bytes of what stands where a frame should: it names the culprit. */
static void
show_bytes(const char *p, size_t n, char out[40])
{
	size_t i;

	n = n < 32 ? n : 32;
	for (i = 0; i < n; i++)
		out[i] = p[i] >= ' ' && p[i] <= '~' ? p[i] : '.';
	out[i] = '\0';
}

static int
check_head(const struct head *h, const char *p, uint64_t expect, struct fl_err *err)
{
	char text[40];

	if (h->type < FL_FRAME_HEADER || h->type > FL_FRAME_END || h->flags[0] || h->flags[1] ||
	    h->flags[2] || h->len % 8 || h->len > FL_FRAME_MAX) {
		show_bytes(p, sizeof *h, text);
		return fl_fail(
			err, FL_EDATA,
			"damaged stream: no frame where frame %llu should begin (\"%s\"); was "
			"something other than a flue tool, or a second writer, put in between?",
			(unsigned long long)expect, text);
	}
	if (h->seq != expect)
		return fl_fail(
			err, FL_EDATA,
			"damaged stream: frame %llu (%s) where frame %llu should be; are there "
			"two writers on one pipe, or is a part lost?",
			(unsigned long long)h->seq, type_name(h->type), (unsigned long long)expect);
	return 0;
}

int
fl_frame_parse_head(const char *p, uint64_t expect, struct fl_frame *ret, struct fl_err *err)
{
	struct head h;

	memcpy(&h, p, sizeof h);
	if (check_head(&h, p, expect, err) < 0)
		return err->code;
	*ret = (struct fl_frame){ .type = (enum fl_frame_type)h.type, .seq = h.seq, .len = h.len };
	return 0;
}

int64_t
fl_frame_parse(const char *p, size_t have, uint64_t expect, struct fl_frame *ret, size_t *ret_need,
	       struct fl_err *err)
{
	struct head h;
	XXH3_state_t state;
	int rc;

	*ret_need = sizeof h;
	if (have < sizeof h)
		return 0;
	memcpy(&h, p, sizeof h);
	rc = check_head(&h, p, expect, err);
	if (rc < 0)
		return rc;
	*ret_need = sizeof h + h.len;
	if (have < *ret_need)
		return 0;
	(void)XXH3_64bits_reset(&state);
	(void)XXH3_64bits_update(&state, &h, SUMMED);
	(void)XXH3_64bits_update(&state, p + sizeof h, h.len);
	if (XXH3_64bits_digest(&state) != h.sum)
		return fl_fail(err, FL_EDATA,
			       "damaged stream: the checksum of frame %llu (%s, %u bytes) is wrong",
			       (unsigned long long)h.seq, type_name(h.type), h.len);
	if (h.seq == 0 && h.type != FL_FRAME_HEADER && h.type != FL_FRAME_END)
		return fl_fail(err, FL_EDATA, "damaged stream: it begins with a %s frame",
			       type_name(h.type));
	*ret = (struct fl_frame){ .type = (enum fl_frame_type)h.type,
				  .seq = h.seq,
				  .payload = p + sizeof h,
				  .len = h.len };
	return (int64_t)*ret_need;
}

static int
get(const struct fl_frame *f, void *to, size_t size, struct fl_err *err)
{
	if (f->len != size)
		return fl_fail(err, FL_EDATA,
			       "damaged stream: frame %llu (%s) has %u bytes, not %zu",
			       (unsigned long long)f->seq, type_name(f->type), f->len, size);
	memcpy(to, f->payload, size);
	return 0;
}

int
fl_frame_get_watermark(const struct fl_frame *f, struct fl_watermark *ret, struct fl_err *err)
{
	struct wire_watermark p;
	int rc = get(f, &p, sizeof p, err);

	if (rc == 0)
		*ret = (struct fl_watermark){ .ms = p.ms, .idle = p.idle != 0 };
	return rc;
}

int
fl_frame_get_barrier(const struct fl_frame *f, struct fl_barrier *ret, struct fl_err *err)
{
	struct wire_barrier p;
	int rc = get(f, &p, sizeof p, err);

	if (rc == 0)
		*ret = (struct fl_barrier){ .id = p.id,
					    .attempt = p.attempt,
					    .injected_ms = p.injected_ms,
					    .flags = p.flags };
	return rc;
}

int
fl_frame_get_end(const struct fl_frame *f, struct fl_end *ret, struct fl_err *err)
{
	struct wire_end p;
	int rc = get(f, &p, sizeof p, err);

	if (rc < 0)
		return rc;
	if (p.status > FL_END_FAILED || p.code < 0 || p.code > 255)
		return fl_fail(err, FL_EDATA, "damaged stream: an END frame of unknown status");
	*ret = (struct fl_end){
		.records = p.records, .checkpoint = p.checkpoint, .status = p.status, .code = p.code
	};
	return 0;
}
