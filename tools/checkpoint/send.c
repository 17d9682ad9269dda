/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* F_SETPIPE_SZ */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/io.h"
#include "begin.h"

#define PIPE_POSITIONS 4096 /* few of them: the source must not run ahead of the reader */
#define PIPE_BYTES ((int)FL_RAW_PIECE)
#define OUT "standard output"

bool
fc_send_is_pipe(void)
{
	struct stat st;

	return fstat(STDOUT_FILENO, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

int
fc_send_open(struct fc_begin *b, struct fl_err *err)
{
	int flags;

	if (!fc_send_is_pipe())
		return fl_fail(err, FL_EUSAGE,
			       "standard output is no pipe: a tool and fcheckpoint commit belong "
			       "behind it, as in: fcheckpoint begin -d DIR FILE | fkeyby … | "
			       "freduce … | fcheckpoint commit -o OUT");
	flags = fcntl(STDOUT_FILENO, F_GETFL);
	if (flags >= 0)
		b->nonblocking = fcntl(STDOUT_FILENO, F_SETFL, flags | O_NONBLOCK) == 0;
	return 0;
}

void
fc_send_close(struct fc_begin *b)
{
	int flags = b->nonblocking ? fcntl(STDOUT_FILENO, F_GETFL) : -1;

	if (flags >= 0) /* the description may be shared with the shell */
		(void)fcntl(STDOUT_FILENO, F_SETFL, flags & ~O_NONBLOCK);
	b->nonblocking = false;
}

bool
fc_send_pending(const struct fc_begin *b)
{
	return b->sent < b->out.out.len;
}

int
fc_send_some(struct fc_begin *b, int timeout_ms, struct fl_err *err)
{
	struct fl_buf *out = &b->out.out;
	int64_t n = fl_io_write_some(STDOUT_FILENO, out->data + b->sent, out->len - b->sent,
				     timeout_ms, OUT, err);

	if (n < 0)
		return (int)n;
	b->sent += (size_t)n;
	if (b->sent == out->len) {
		fl_buf_clear(out);
		b->sent = 0;
	}
	return 0;
}

void
fc_send_piece(struct fc_begin *b, const struct fl_raw *r)
{
	/* the reader makes the pipe small too when it sees the header, so look each time */
	int want = r->flags & FL_RAW_BYTES ? PIPE_BYTES : PIPE_POSITIONS;
	int have = r->flags & FL_RAW_BYTES && r->len < PIPE_POSITIONS
			   ? want
			   : fcntl(STDOUT_FILENO, F_GETPIPE_SZ);

	if (have > 0 && have != want)
		(void)fcntl(STDOUT_FILENO, F_SETPIPE_SZ, want); /* a hint */
	fl_frame_raw(&b->out, r);
}
