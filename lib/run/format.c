/* SPDX-License-Identifier: Apache-2.0 */
#include "run/format.h"

#include <string.h>

#include "base/mem.h"

static const char *
by_ending(const char *path, size_t len)
{
	static const struct {
		const char *ending, *format;
	} known[] = {
		{ ".csv", "csv" },      { ".tsv", "tsv" },   { ".jsonl", "jsonl" },
		{ ".ndjson", "jsonl" }, { ".flue", "flue" },
	};

	for (size_t i = 0; i < FL_ARRAY_LEN(known); i++) {
		size_t n = strlen(known[i].ending);

		if (len > n && memcmp(path + len - n, known[i].ending, n) == 0)
			return known[i].format;
	}
	return NULL;
}

const char *
fl_format_by_name(const char *path)
{
	size_t len = strlen(path);

	if (len > 3 && strcmp(path + len - 3, ".gz") == 0)
		len -= 3;
	else if (len > 4 && strcmp(path + len - 4, ".zst") == 0)
		len -= 4;
	return by_ending(path, len);
}

const char *
fl_output_format_by_name(const char *path)
{
	size_t len = strlen(path);

	return len > 3 && strcmp(path + len - 3, ".md") == 0 ? "md" : fl_format_by_name(path);
}
