/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input and output on descriptors: the only place that calls read, write and
 * poll. EINTR is gone on from, short writes are completed.
 */
#ifndef FL_BASE_IO_H
#define FL_BASE_IO_H

#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "base/mem.h"

/*
 * Read up to n bytes: how many came, 0 at the end, or FL_EIO with name in the
 * message. Blocks if fd does.
 */
int64_t fl_io_read(int fd, void *to, size_t n, const char *name, struct fl_err *err);

/* Write all of it. FL_EPIPE (quiet) where the reader has gone, else FL_EIO. */
int fl_io_write(int fd, const void *p, size_t n, const char *name, struct fl_err *err);

/* The same for a list of pieces, which is changed. */
int fl_io_writev(int fd, struct iovec *iov, size_t count, const char *name, struct fl_err *err);

/*
 * Move n bytes from one descriptor to another, within the kernel where it can (one
 * of them is a pipe). Returns how many bytes were moved before the end of from, n if
 * all; FL_EPIPE (quiet) or FL_EIO.
 */
int64_t fl_io_move(int from, const char *from_name, int to, const char *to_name, size_t n,
		   struct fl_err *err);

/*
 * Write what goes at once, of a descriptor that does not block; where nothing goes, wait
 * up to timeout_ms for room. How many bytes went (0: none yet), FL_EPIPE (quiet) or FL_EIO.
 */
int64_t fl_io_write_some(int fd, const void *p, size_t n, int timeout_ms, const char *name,
			 struct fl_err *err);

/* Read at a place of a regular file: n bytes, fewer at its end, or FL_EIO. */
int64_t fl_io_read_at(int fd, void *to, size_t n, uint64_t offset, const char *name,
		      struct fl_err *err);

/*
 * For large files that are read once. fl_io_read_cached: n bytes if all of them are in the
 * page cache, else false. fl_io_set_direct: whether what is read from fd from now on goes past
 * it; memory, place and n are then multiples of the file system's block. False: it cannot.
 * fl_io_read_once: one read, of how many bytes; 0 after an error too.
 */
bool fl_io_read_cached(int fd, void *to, size_t n, uint64_t offset);
bool fl_io_set_direct(int fd, bool direct);
size_t fl_io_read_once(int fd, void *to, size_t n, uint64_t offset);

/* Whether nobody is left who could read what is written to fd, or is it so within
 * timeout_ms (0: now). Of a pipe or a socket; else no. */
bool fl_io_reader_gone(int fd, int timeout_ms);

/*
 * Against the stream: the reader of a pipe leaves word that it goes because it has
 * all that it wants (--explain), and the writer, to whom that looks like a reader
 * that died, can tell. The word is a mode bit of the pipe, which both ends share
 * and nobody else looks at. Of a pipe without a name; else nothing, and false.
 */
void fl_io_say_enough(int fd);
bool fl_io_said_enough(int fd);

/* Whether a read from fd would return at once, or does so within timeout_ms. */
bool fl_io_readable(int fd);
bool fl_io_wait_readable(int fd, int timeout_ms);

/* The clock, milliseconds since the epoch. */
int64_t fl_clock_ms(void);

/* A clock that only goes forward, microseconds since some moment: for durations. */
int64_t fl_clock_us(void);

/* n random bytes from the system. */
void fl_random(void *to, size_t n);

#endif
