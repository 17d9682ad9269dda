/* SPDX-License-Identifier: Apache-2.0 */
/* What a file's name says about its format. */
#ifndef FL_RUN_FORMAT_H
#define FL_RUN_FORMAT_H

/*
 * "csv", "tsv", "jsonl" for .csv .tsv .jsonl .ndjson, each also with .gz or .zst, and
 * "flue" for .flue; else NULL.
 */
const char *fl_format_by_name(const char *path);

/* Of a file that is written, also "md" for .md: Markdown is not read. */
const char *fl_output_format_by_name(const char *path);

#endif
