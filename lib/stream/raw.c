/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/raw.h"

#define XXH_INLINE_ALL /* other libraries export the same names, of other versions */
#include <xxhash.h>

#include "stream/wire.h"

#define RAW_MAGIC 0x57415246u /* "FRAW" */
#define RAW_FLAGS (FL_RAW_BYTES | FL_RAW_LAST)

/* Of a payload without bytes: few fit into a pipe, and the source stays near its reader. */
#define RAW_PAYLOAD_MIN 512u

struct wire_raw {
	uint32_t magic;
	uint32_t flags;
	uint64_t file;
	uint64_t offset;
	uint64_t len;
	uint64_t dev;
	uint64_t ino;
	uint64_t pid;
	uint32_t fd;
	uint32_t name_len;
	uint32_t byte_count;
	uint32_t reserved;
};
_Static_assert(sizeof(struct wire_raw) == 72, "wire_raw");

static size_t
padded(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

void
fl_frame_raw(struct fl_frame_writer *w, const struct fl_raw *r)
{
	struct wire_raw p = {
		.magic = RAW_MAGIC,
		.flags = r->flags,
		.file = r->file,
		.offset = r->offset,
		.len = r->len,
		.dev = r->dev,
		.ino = r->ino,
		.pid = r->pid,
		.fd = r->fd,
		.name_len = r->name_len,
		.byte_count = r->flags & FL_RAW_BYTES ? (uint32_t)r->len : 0,
	};
	size_t name_room = padded(r->name_len);
	size_t len = sizeof p + name_room + padded(p.byte_count);

	fl_assert(!(r->flags & FL_RAW_BYTES) || r->len <= FL_MIB(32));
	if (len < RAW_PAYLOAD_MIN)
		len = RAW_PAYLOAD_MIN;
	/* put together in w->pack, which no other frame needs any longer */
	fl_buf_clear(&w->pack);
	(void)fl_buf_reserve(&w->pack, len);
	memset(w->pack.data, 0, sizeof p + name_room);
	memcpy(w->pack.data, &p, sizeof p);
	if (r->name_len)
		memcpy(w->pack.data + sizeof p, r->name, r->name_len);
	if (p.byte_count)
		memcpy(w->pack.data + sizeof p + name_room, r->bytes, p.byte_count);
	memset(w->pack.data + sizeof p + name_room + p.byte_count, 0,
	       len - sizeof p - name_room - p.byte_count);
	fl_wire_put(w, FL_FRAME_BATCH, w->pack.data, len);
}

uint64_t
fl_raw_hash(const void *p, size_t n)
{
	return XXH3_64bits(p, n);
}

int
fl_raw_decode(const struct fl_frame *f, struct fl_raw *ret, struct fl_err *err)
{
	struct wire_raw p;
	size_t room;

	if (f->type != FL_FRAME_BATCH || f->len < sizeof p)
		goto damaged;
	memcpy(&p, f->payload, sizeof p);
	room = f->len - sizeof p;
	if (p.magic != RAW_MAGIC || p.flags & ~(uint32_t)RAW_FLAGS || p.reserved)
		goto damaged;
	if (padded(p.name_len) > room || padded(p.byte_count) > room - padded(p.name_len))
		goto damaged;
	if (p.flags & FL_RAW_BYTES ? p.byte_count != p.len : p.byte_count != 0)
		goto damaged;
	if (p.offset > INT64_MAX || p.len > INT64_MAX - p.offset || p.fd > INT32_MAX)
		goto damaged;
	*ret = (struct fl_raw){
		.flags = p.flags,
		.file = p.file,
		.offset = p.offset,
		.len = p.len,
		.dev = p.dev,
		.ino = p.ino,
		.pid = p.pid,
		.fd = p.fd,
		.name = f->payload + sizeof p,
		.name_len = p.name_len,
	};
	if (p.flags & FL_RAW_BYTES)
		ret->bytes = ret->name + padded(p.name_len);
	return 0;
damaged:
	return fl_fail(err, FL_EDATA, "damaged stream: frame %llu is no piece of text",
		       (unsigned long long)f->seq);
}
