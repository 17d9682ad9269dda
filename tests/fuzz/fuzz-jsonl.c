/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzing of the JSON Lines reader and writer. For any input:
 *   - what is read does not depend on where the input was cut;
 *   - a line is a bad record exactly where simdjson's DOM parser refuses it, or
 *     its value is no object (DOM may also find a number too large, or
 *     the nesting a level too deep; a key may hold a NUL);
 *   - values lie inside their areas and are what their tags say;
 *   - what is written is read as the same values.
 * libFuzzer: link with -fsanitize=fuzzer.
 */
#define _GNU_SOURCE /* memmem */
#include <stdlib.h>

#include "format/formats.h"
#include "format/json_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum verdict { BLANK = 0, GOOD, BAD };

/* What reading a text gave. */
struct outcome {
	struct fl_buf written;  /* the records, written again */
	struct fl_buf verdicts; /* enum verdict of each line */
	int code;
};

static void
judge(struct outcome *o, uint64_t line, enum verdict v)
{
	while (o->verdicts.len <= line)
		fl_buf_putc(&o->verdicts, BLANK);
	fl_assert(o->verdicts.data[line] == BLANK);
	o->verdicts.data[line] = (char)v;
}

static void
check_value(const struct fl_vec *v, uint32_t row)
{
	enum fl_tag tag = fl_tag_of(v, row);
	const uint32_t *o = v->off + (size_t)row * v->stride;
	size_t n;
	const char *p = fl_text(v, row, &n);

	fl_assert(o[0] <= o[1] && o[1] <= v->bytes_len);
	switch (tag) {
	case FL_TAG_NUMBER:
		fl_assert(n > 0 && fl_json_is_number(p, n));
		break;
	case FL_TAG_BOOL:
		fl_assert((n == 4 && memcmp(p, "true", 4) == 0) ||
			  (n == 5 && memcmp(p, "false", 5) == 0));
		break;
	case FL_TAG_NULL:
	case FL_TAG_ABSENT:
		fl_assert(n == 0);
		break;
	case FL_TAG_OBJECT:
	case FL_TAG_ARRAY:
		fl_assert(*p == (tag == FL_TAG_OBJECT ? '{' : '[') && fl_json_walk_valid(p, n));
		break;
	default:
		fl_assert(tag == FL_TAG_STRING);
	}
}

static void
take_result(struct outcome *o, struct fl_writer *w, const struct fl_header *h,
	    const struct fl_read_result *res)
{
	struct fl_err err;
	char format[] = "jsonl";
	struct fl_header json = *h;

	json.format = format;
	for (uint32_t row = 0; row < res->batch.rows; row++) {
		judge(o, res->batch.line + row, GOOD);
		for (uint32_t c = 0; c < res->batch.cols; c++)
			check_value(&res->batch.col[c], row);
	}
	fl_assert(fl_jsonl_writer.write(w, &json, &res->batch, &o->written, &err) == 0);
	if (res->has_bad)
		judge(o, res->bad.line, BAD);
}

/* Read the text in pieces of step bytes. */
static void
read_text(struct outcome *o, const char *p, size_t n, size_t step)
{
	struct fl_reader_options options = { .record_max = 1 << 16 };
	struct fl_writer_options wo = { 0 };
	struct fl_err err;
	struct fl_reader *r = fl_jsonl_reader.create(&options, &err);
	struct fl_writer *w = fl_jsonl_writer.create(&wo, &err);
	struct fl_read_result res = { 0 };
	size_t done = 0, end = 0;
	bool more = true;

	*o = (struct outcome){ 0 };
	fl_jsonl_reader.file(r);
	while (more) {
		size_t len;
		char *piece;

		end = n - end < step ? n : end + step;
		len = end - done;
		piece = fl_xmalloc(len + FL_READER_PAD);
		memcpy(piece, p + done, len);
		memset(piece + len, '"', FL_READER_PAD);
		o->code = fl_jsonl_reader.read(r, piece, len, end == n, &res, &err);
		if (o->code == 0) {
			fl_assert(res.taken <= len);
			take_result(o, w, fl_jsonl_reader.columns(r), &res);
			done += res.taken;
			end -= res.taken && end < n ? step : 0; /* this piece is not used up */
			end = end < done ? done : end;
		}
		more = o->code == 0 && done < n;
		free(piece);
	}
	fl_jsonl_reader.destroy(r);
	fl_jsonl_writer.destroy(w);
}

static void
outcome_release(struct outcome *o)
{
	fl_buf_release(&o->written);
	fl_buf_release(&o->verdicts);
}

/* simdjson's verdict of a line; BLANK: it may differ, for the reasons above. */
static enum verdict
expected(const char *p, size_t n)
{
	const char *wrong = fl_json_simdjson()->second_opinion(p, n);
	size_t start = 0;

	while (start < n && fl_json_is_space(p[start]))
		start++;
	if (wrong)
		return strstr(wrong, "number") || strstr(wrong, "depth") ? BLANK : BAD;
	if (memmem(p, n, "\\u0000", 6))
		return BLANK;
	return p[start] == '{' ? GOOD : BAD;
}

static void
check_verdicts(const struct outcome *o, const char *p, size_t n)
{
	const char *end = p + n;

	if (n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		p += 3;
	for (size_t line = 1; p < end; line++) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		size_t len = stop ? (size_t)(stop - p) : (size_t)(end - p), blank = 0;
		enum verdict got = line < o->verdicts.len ? (enum verdict)o->verdicts.data[line]
							  : BLANK;

		while (blank < len && fl_json_is_space(p[blank]))
			blank++;
		if (blank == len) {
			fl_assert(got == BLANK);
		} else {
			enum verdict want = expected(p, len);

			fl_assert(got != BLANK && (want == BLANK || want == got));
		}
		p += len + (stop != NULL);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole, part, again;
	const char *p = (const char *)data + 1;
	size_t n, step;

	if (size == 0)
		return 0;
	n = size - 1;
	step = data[0] ? data[0] : 1;
	read_text(&whole, p, n, n ? n : 1);
	read_text(&part, p, n, step);
	fl_assert(whole.code == part.code && whole.written.len == part.written.len &&
		  whole.verdicts.len == part.verdicts.len);
	fl_assert(whole.written.len == 0 ||
		  memcmp(whole.written.data, part.written.data, part.written.len) == 0);
	fl_assert(whole.verdicts.len == 0 ||
		  memcmp(whole.verdicts.data, part.verdicts.data, part.verdicts.len) == 0);
	if (whole.code == 0)
		check_verdicts(&whole, p, n);
	(void)fl_buf_reserve(&whole.written, 1); /* not NULL */
	read_text(&again, whole.written.data, whole.written.len, 1 << 16);
	fl_assert(again.code == 0 && again.written.len == whole.written.len);
	fl_assert(again.written.len == 0 ||
		  memcmp(again.written.data, whole.written.data, whole.written.len) == 0);
	outcome_release(&whole);
	outcome_release(&part);
	outcome_release(&again);
	return 0;
}
