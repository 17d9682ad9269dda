/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fuzz target without a fuzzer: runs each FILE of the command line through
 * LLVMFuzzerTestOneInput, as the same target does with libFuzzer in it. Exit status
 * 66 if one cannot be read; what is found crashes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
replay(const char *path)
{
	struct fl_buf text = { 0 };
	FILE *f = fopen(path, "rb");
	uint8_t *exact;
	size_t got = 0;

	if (!f) {
		(void)fprintf(stderr, "cannot open %s: %s\n", path, strerror(errno));
		return 66;
	}
	do {
		got = fread(fl_buf_reserve(&text, 65536), 1, 65536, f);
		text.len += got;
	} while (got);
	if (ferror(f)) {
		(void)fprintf(stderr, "cannot read %s\n", path);
		return 66;
	}
	(void)fclose(f);
	exact = fl_xmalloc(text.len); /* so that reading behind its end is found */
	if (text.len)
		memcpy(exact, text.data, text.len);
	(void)fprintf(stderr, "%s: %zu bytes\n", path, text.len);
	(void)LLVMFuzzerTestOneInput(exact, text.len);
	free(exact);
	fl_buf_release(&text);
	return 0;
}

int
main(int argc, char **argv)
{
	int status = 0;

	for (int i = 1; i < argc && status == 0; i++)
		status = replay(argv[i]);
	return status;
}
