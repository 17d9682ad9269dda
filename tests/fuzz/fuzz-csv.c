/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: the CSV reader against libcsv alone, on any bytes, cut anywhere.
 * The first byte of the input says how the rest is cut.
 *
 *	clang -fsanitize=fuzzer,address,undefined -Ilib tests/fuzz/fuzz-csv.c …
 */
#include <stdio.h>

#include "csv-oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static size_t
cut_every(void *arg, size_t have)
{
	return have + *(const uint8_t *)arg + 1;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct fl_reader_options options = { .separator = ',', .record_max = FL_MIB(1) };
	struct fl_buf want = { 0 }, got = { 0 };
	struct fl_reader *r;
	struct fl_err err;
	uint8_t step;

	if (n == 0)
		return 0;
	step = *data++;
	n--;
	r = fl_reader_new(fl_reader_type("csv"), &options, &err);
	read_text(r, (const char *)data, n, cut_every, &step, &got, false);
	if (oracle_text((const char *)data, n, &want) && strcmp(want.data, got.data) != 0) {
		(void)fprintf(stderr, "libcsv:\n%s\nreader:\n%s\n", want.data, got.data);
		abort();
	}
	fl_reader_free(r);
	fl_buf_release(&want);
	fl_buf_release(&got);
	return 0;
}
