/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: the readers of text other than CSV (and CSV with ragged rows), on
 * any bytes. They must not crash, and give the same however the input is cut.
 * The first byte of the input chooses the format, the second the cut.
 */
#include <stdio.h>

#include "read-all.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static size_t
cut_every(void *arg, size_t have)
{
	return have + *(const uint8_t *)arg + 1;
}

static void
read_as(const char *format, const uint8_t *data, size_t n, uint8_t *step, struct fl_buf *out)
{
	struct fl_reader_options options = {
		.separator = ',',
		.allow_ragged = true,
		.record_max = 200,
		.regex = "^(?<a>[a-z]+)?[ =](?<b>\"[^\"]*\"|\\S*)",
		.logformat = "$a [$time_local] \"$request\" \"$b\" $c",
	};
	struct fl_err err;
	struct fl_reader *r = fl_reader_new(fl_reader_type(format), &options, &err);

	read_text(r, (const char *)data, n, step ? cut_every : NULL, step, out, true);
	fl_reader_free(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const formats[] = { "text", "clf", "logfmt",   "regex",
					       "tsv",	"csv", "syslog", "logformat" };
	struct fl_buf whole = { 0 }, cut = { 0 };
	const char *format;
	uint8_t step;

	if (n < 2)
		return 0;
	format = formats[data[0] % FL_ARRAY_LEN(formats)];
	step = data[1];
	read_as(format, data + 2, n - 2, NULL, &whole);
	read_as(format, data + 2, n - 2, &step, &cut);
	if (strcmp(whole.data, cut.data) != 0) {
		(void)fprintf(stderr, "%s, whole:\n%s\ncut:\n%s\n", format, whole.data, cut.data);
		abort();
	}
	fl_buf_release(&whole);
	fl_buf_release(&cut);
	return 0;
}
