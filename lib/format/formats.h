/* SPDX-License-Identifier: Apache-2.0 */
/* The formats there are: one reader or writer type a file. Private to lib/format. */
#ifndef FL_FORMAT_FORMATS_H
#define FL_FORMAT_FORMATS_H

#include "format/reader.h"
#include "format/writer.h"

extern const struct fl_reader_type fl_csv_reader;
extern const struct fl_reader_type fl_tsv_reader;
extern const struct fl_reader_type fl_jsonl_reader;
extern const struct fl_reader_type fl_clf_reader;
extern const struct fl_reader_type fl_logfmt_reader;
extern const struct fl_reader_type fl_logformat_reader;
extern const struct fl_reader_type fl_regex_reader;
extern const struct fl_reader_type fl_syslog_reader;
extern const struct fl_reader_type fl_text_reader;

extern const struct fl_writer_type fl_csv_writer;
extern const struct fl_writer_type fl_tsv_writer;
extern const struct fl_writer_type fl_jsonl_writer;
extern const struct fl_writer_type fl_logfmt_writer;
extern const struct fl_writer_type fl_markdown_writer;
extern const struct fl_writer_type fl_pprint_writer;
extern const struct fl_writer_type fl_xtab_writer;

#endif
