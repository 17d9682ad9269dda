/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raw batches: text before it is decoded, from fcheckpoint begin to the first tool
 * behind it, in the BATCH frames of a stream whose header says "raw". They never span
 * two files.
 *
 * A piece either brings its bytes, or says where they are: in a regular file that
 * the reader opens for itself (a reader of the region is on the same machine, rule
 * 1). Then handing the bytes on costs nothing. Such a frame is padded, so that few of
 * them fit into a pipe: the source must not run far ahead of who reads the bytes.
 *
 * Payload, little-endian, after u32 magic 0x57415246 ("FRAW") and u32 flags:
 *	u64 file number from 0, u64 offset in the file (of what is unpacked, for gzip),
 *	u64 length, u64 device, u64 inode, u64 pid, u32 descriptor, u32 length of the
 *	name, u32 length of the bytes that follow, u32 zero, name, padding to 8, bytes
 */
#ifndef FL_STREAM_RAW_H
#define FL_STREAM_RAW_H

#include "stream/frame.h"

enum {
	FL_RAW_BYTES = 1, /* the bytes are in the frame; else they are in the file */
	FL_RAW_LAST = 2,  /* the file ends with this piece (it may be empty) */
};

#define FL_RAW_PIECE FL_KIB(64)

struct fl_raw {
	uint32_t flags;
	uint64_t file;   /* number of the file in the order of the source, from 0 */
	uint64_t offset; /* of the first byte */
	uint64_t len;
	uint64_t dev, ino; /* of the file; 0 for what is none */
	uint64_t pid;      /* the source; its descriptor fd is the file: /proc/PID/fd/FD */
	uint32_t fd;
	const char *name; /* as typed, for messages and for the format; counted */
	uint32_t name_len;
	const char *bytes; /* FL_RAW_BYTES */
};

/* Frame a piece: appended to w->out. FL_RAW_BYTES: at most 32 MiB. */
void fl_frame_raw(struct fl_frame_writer *w, const struct fl_raw *r);

/* XXH3-64 of bytes of a text: by it a source knows its input again. */
uint64_t fl_raw_hash(const void *p, size_t n);

/* View the payload of a BATCH frame of a raw stream. FL_EDATA unless it is one. */
int fl_raw_decode(const struct fl_frame *f, struct fl_raw *ret, struct fl_err *err);

#endif
