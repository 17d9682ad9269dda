/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runner, by streams made by hand: what an operator is called with, in which
 * order, and what leaves the tool. Each case runs fl_main in a child between
 * pipes; the operator under test writes a line a call to standard error.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "run/op.h"
#include "tap.h"

/* ---- the operator: tells what happens, and passes the records on --------------------- */

static int
tell_batch(void *self, struct fl_run *run, uint32_t input, const struct fl_batch *b,
	   struct fl_err *err)
{
	size_t n;

	(void)self;
	for (uint32_t i = 0; i < b->rows; i++) {
		const char *p = fl_text(&b->col[0], i, &n);

		(void)fprintf(stderr, "%u:%.*s ", input, (int)n, p);
	}
	return fl_emit(run, b, err);
}

static int
tell_watermark(void *self, struct fl_run *run, int64_t ms, int64_t *forward, struct fl_err *err)
{
	(void)self;
	(void)run;
	(void)forward;
	(void)err;
	if (ms == INT64_MAX)
		(void)fprintf(stderr, "wm:max ");
	else
		(void)fprintf(stderr, "wm:%lld ", (long long)ms);
	return 0;
}

static int
tell_end(void *self, struct fl_run *run, struct fl_err *err)
{
	(void)self;
	(void)run;
	(void)err;
	(void)fprintf(stderr, "end");
	return 0;
}

static const struct fl_op two_inputs = {
	.name = "ttell",
	.summary = "tell",
	.usage = "A B",
	.notes = "",
	.self_size = 1,
	.inputs_max = 2,
	.on_batch = tell_batch,
	.on_watermark = tell_watermark,
	.on_end = tell_end,
};

static const struct fl_op one_input = {
	.name = "ttell",
	.summary = "tell",
	.usage = "[FILE]",
	.notes = "",
	.self_size = 1,
	.inputs_max = 1,
	.on_batch = tell_batch,
	.on_watermark = tell_watermark,
	.on_end = tell_end,
};

/* ---- streams made by hand --------------------------------------------------------------- */

struct stream {
	struct fl_frame_writer w;
	struct fl_buf bytes;
};

static void
take(struct stream *s)
{
	fl_buf_put(&s->bytes, s->w.out.data, s->w.out.len);
	fl_buf_clear(&s->w.out);
}

static void
header(struct stream *s)
{
	struct fl_header h;

	fl_header_init(&h);
	(void)fl_header_add(&h, "x", 1, FL_TEXT);
	h.time = fl_xstrdup("x");
	fl_frame_header(&s->w, &h);
	fl_header_release(&h);
	take(s);
}

static void
record(struct stream *s, const char *text)
{
	struct fl_build b;
	struct fl_err err;
	struct iovec *iov;
	size_t n;

	fl_build_init(&b, 1);
	b.timed = true;
	fl_put_text(&b.col[0], text, strlen(text), FL_TAG_PLAIN);
	fl_build_row(&b, 1, 0, FL_INSERT);
	tap_ok(fl_frame_batch(&s->w, fl_build_view(&b), &iov, &n, &err) == 0 && !iov, "record %s",
	       text);
	take(s);
	fl_build_release(&b);
}

static void
watermark(struct stream *s, int64_t ms, bool idle)
{
	fl_frame_watermark(&s->w, &(struct fl_watermark){ .ms = ms, .idle = idle });
	take(s);
}

static void
barrier(struct stream *s, uint64_t id)
{
	fl_frame_barrier(&s->w, &(struct fl_barrier){ .id = id, .attempt = 1 });
	take(s);
}

static void
end(struct stream *s, uint32_t status, int code)
{
	fl_frame_end(&s->w, &(struct fl_end){ .status = status, .code = code });
	take(s);
}

static void
release(struct stream *s)
{
	fl_frame_writer_release(&s->w);
	fl_buf_release(&s->bytes);
	*s = (struct stream){ 0 };
}

/* ---- running ------------------------------------------------------------------------------ */

struct outcome {
	int status;
	char calls[4000];  /* standard error */
	struct fl_buf out; /* standard output */
};

static void
read_all(int fd, struct fl_buf *to)
{
	struct fl_err err;
	int64_t n;

	while ((n = fl_io_read(fd, fl_buf_reserve(to, 65536), 65536, "pipe", &err)) > 0)
		to->len += (size_t)n;
	(void)close(fd);
}

static void
child(const struct fl_op *op, int argc, char **argv, const int *out, const int *err)
{
	(void)dup2(out[1], STDOUT_FILENO);
	(void)dup2(err[1], STDERR_FILENO);
	for (int i = 0; i < 2; i++) {
		(void)close(out[i]);
		(void)close(err[i]);
	}
	_exit(fl_main(op, argc, argv));
}

/*
 * Run op over streams that lie whole in their pipes, so that what it sees does not
 * depend on the scheduler.
 */
static void
run(const struct fl_op *op, struct stream *s, size_t count, struct outcome *o)
{
	char names[2][64], *argv[4] = { (char *)(uintptr_t) "ttell", NULL, NULL, NULL };
	int in[2][2], out[2], err[2];
	struct fl_buf calls = { 0 };
	pid_t pid;

	tap_ok(pipe(out) == 0 && pipe(err) == 0, "pipes");
	for (size_t i = 0; i < count; i++) {
		struct fl_err e;

		tap_ok(pipe(in[i]) == 0, "a pipe for input %zu", i);
		tap_ok(s[i].bytes.len <= 60000 && fl_io_write(in[i][1], s[i].bytes.data,
							      s[i].bytes.len, "pipe", &e) == 0,
		       "the stream fits into the pipe");
		(void)close(in[i][1]);
		(void)snprintf(names[i], sizeof names[i], "/dev/fd/%d", in[i][0]);
		argv[i + 1] = names[i];
	}
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0)
		child(op, (int)count + 1, argv, out, err);
	(void)close(out[1]);
	(void)close(err[1]);
	for (size_t i = 0; i < count; i++)
		(void)close(in[i][0]);
	fl_buf_clear(&o->out);
	read_all(out[0], &o->out);
	read_all(err[0], &calls);
	(void)snprintf(o->calls, sizeof o->calls, "%.*s", (int)calls.len,
		       calls.data ? calls.data : "");
	fl_buf_release(&calls);
	(void)waitpid(pid, &o->status, 0);
	o->status = WIFEXITED(o->status) ? WEXITSTATUS(o->status) : 1000;
}

/* The frames of an output, in short: H header, x a record, W5 a watermark, B1, E0. */
static void
frames(const struct fl_buf *out, char *text, size_t cap)
{
	struct fl_buf cols = { 0 }, t = { 0 };
	size_t at = FL_MAGIC_LEN, need;
	struct fl_err err;
	uint64_t seq = 0;
	struct fl_frame f;
	int64_t n;

	while (at < out->len &&
	       (n = fl_frame_parse(out->data + at, out->len - at, seq, &f, &need, &err)) > 0) {
		struct fl_batch b;
		struct fl_watermark wm;
		struct fl_barrier bar;
		struct fl_end e;
		size_t len;

		if (f.type == FL_FRAME_HEADER)
			fl_buf_puts(&t, "H ");
		else if (f.type == FL_FRAME_BATCH && fl_batch_decode(&f, &cols, &b, &err) == 0)
			for (uint32_t i = 0; i < b.rows; i++) {
				const char *p = fl_text(&b.col[0], i, &len);

				fl_buf_printf(&t, "%.*s ", (int)len, p);
			}
		else if (f.type == FL_FRAME_WATERMARK && fl_frame_get_watermark(&f, &wm, &err) == 0)
			fl_buf_printf(&t, wm.ms == INT64_MAX ? "Wmax%s " : "W%2$lld%1$s ",
				      wm.idle ? "idle" : "", (long long)wm.ms);
		else if (f.type == FL_FRAME_BARRIER && fl_frame_get_barrier(&f, &bar, &err) == 0)
			fl_buf_printf(&t, "B%llu ", (unsigned long long)bar.id);
		else if (f.type == FL_FRAME_END && fl_frame_get_end(&f, &e, &err) == 0)
			fl_buf_printf(&t, "E%u/%d", e.status, e.code);
		at += (size_t)n;
		seq++;
	}
	(void)snprintf(text, cap, "%.*s", (int)t.len, t.data ? t.data : "");
	fl_buf_release(&t);
	fl_buf_release(&cols);
}

static void
expect(struct outcome *o, int status, const char *calls, const char *out, const char *title)
{
	char text[4000];

	frames(&o->out, text, sizeof text);
	tap_eq_int(o->status, status, "%s: exit status", title);
	if (calls)
		tap_eq_str(o->calls, calls, "%s: calls", title);
	tap_eq_str(text, out, "%s: output", title);
	fl_buf_release(&o->out);
}

/* ---- cases ---------------------------------------------------------------------------------- */

static void
one(void)
{
	struct stream s = { 0 };
	struct outcome o = { 0 };

	header(&s);
	record(&s, "a");
	watermark(&s, 5, false);
	barrier(&s, 1);
	record(&s, "b");
	watermark(&s, 5, true);
	watermark(&s, 9, false);
	end(&s, FL_END_COMPLETE, 0);
	run(&one_input, &s, 1, &o);
	expect(&o, 0, "0:a wm:5 0:b wm:9 wm:max end", "H a W5 B1 b W5idle W9 Wmax E0/0",
	       "records, watermarks, a barrier and the end of one input");
	release(&s);

	header(&s);
	record(&s, "a");
	watermark(&s, 5, false);
	run(&one_input, &s, 1, &o);
	expect(&o, 75, NULL, "H a W5 E2/75",
	       "an upstream that died: no last watermark, no end, exit 75");
	release(&s);

	header(&s);
	record(&s, "a");
	end(&s, FL_END_FAILED, 65);
	run(&one_input, &s, 1, &o);
	expect(&o, 65, "0:a ", "H a E2/65", "an upstream that failed: its code, silently");
	release(&s);

	end(&s, FL_END_FAILED, 64);
	run(&one_input, &s, 1, &o);
	expect(&o, 64, "", "E2/64", "an upstream that failed before it had a header");
	release(&s);

	header(&s);
	watermark(&s, 5, false);
	watermark(&s, 4, false);
	run(&one_input, &s, 1, &o);
	expect(&o, 65, NULL, "H W5 E2/65", "a watermark that goes back is a broken stream");
	release(&s);

	header(&s);
	record(&s, "a");
	s.w.seq++;
	record(&s, "b");
	end(&s, FL_END_COMPLETE, 0);
	run(&one_input, &s, 1, &o);
	expect(&o, 65, NULL, "H a E2/65", "a lost frame is seen");
	release(&s);
}

static void
two(void)
{
	struct stream s[2] = { 0 };
	struct outcome o = { 0 };

	header(&s[0]);
	header(&s[1]);
	watermark(&s[0], 5, false);
	watermark(&s[1], 3, false);
	watermark(&s[0], 9, false);
	watermark(&s[1], 7, false);
	end(&s[0], FL_END_COMPLETE, 0);
	watermark(&s[1], 20, false);
	end(&s[1], FL_END_COMPLETE, 0);
	run(&two_inputs, s, 2, &o);
	expect(&o, 0, "wm:3 wm:7 wm:20 wm:max end", "H W3 W7 W20 Wmax E0/0",
	       "two inputs: the minimum of their watermarks");
	release(&s[0]);
	release(&s[1]);

	/* what input 0 sends behind its barrier waits for input 1's */
	header(&s[0]);
	barrier(&s[0], 1);
	record(&s[0], "late0");
	end(&s[0], FL_END_COMPLETE, 0);
	header(&s[1]);
	record(&s[1], "a");
	record(&s[1], "b");
	record(&s[1], "c");
	barrier(&s[1], 1);
	record(&s[1], "late1");
	end(&s[1], FL_END_COMPLETE, 0);
	run(&two_inputs, s, 2, &o);
	tap_ok(strncmp(o.calls, "1:a 1:b 1:c ", 12) == 0,
	       "nothing from behind a barrier is taken before it is aligned: %s", o.calls);
	expect(&o, 0, NULL,
	       strstr(o.calls, "0:late0 1:late1") ? "H a b c B1 late0 late1 Wmax E0/0"
						  : "H a b c B1 late1 late0 Wmax E0/0",
	       "a barrier leaves once, between what came before and after it on all inputs");
	release(&s[0]);
	release(&s[1]);

	/* an input that ends counts as having delivered every later barrier */
	header(&s[0]);
	end(&s[0], FL_END_COMPLETE, 0);
	header(&s[1]);
	record(&s[1], "a");
	barrier(&s[1], 1);
	record(&s[1], "b");
	barrier(&s[1], 2);
	end(&s[1], FL_END_COMPLETE, 0);
	run(&two_inputs, s, 2, &o);
	expect(&o, 0, "1:a 1:b wm:max end", "H a B1 b B2 Wmax E0/0",
	       "a finished input and barriers");
	release(&s[0]);
	release(&s[1]);

	header(&s[0]);
	record(&s[0], "a");
	header(&s[1]);
	end(&s[1], FL_END_COMPLETE, 0);
	run(&two_inputs, s, 2, &o);
	expect(&o, 75, NULL, "H a E2/75", "one of two upstreams that died");
	release(&s[0]);
	release(&s[1]);

	header(&s[0]);
	watermark(&s[0], 50, false);
	watermark(&s[0], 50, true);
	end(&s[0], FL_END_COMPLETE, 0);
	header(&s[1]);
	watermark(&s[1], 7, true);
	end(&s[1], FL_END_COMPLETE, 0);
	run(&two_inputs, s, 2, &o);
	tap_ok(strstr(o.calls, "wm:50 ") && strstr(o.calls, "end"),
	       "when the last active input goes idle the watermark jumps to the greatest: %s",
	       o.calls);
	release(&s[0]);
	release(&s[1]);
	fl_buf_release(&o.out);
}

int
main(void)
{
	one();
	two();
	return tap_done();
}
