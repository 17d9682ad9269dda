/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What libcsv alone makes of a CSV text, in the words of read-all.h: byte by byte,
 * every record, quotes or not. The reader must come to the same.
 */
#ifndef TESTS_FUZZ_CSV_ORACLE_H
#define TESTS_FUZZ_CSV_ORACLE_H

#include <csv.h>

#include "read-all.h"

struct oracle {
	struct csv_parser parser;
	struct fl_buf *out;
	struct fl_buf record; /* shown, with names before the values */
	struct fl_buf names[64];
	uint32_t fields, width;
	bool ended;
};

static inline void
oracle_field(void *p, size_t n, void *data)
{
	struct oracle *o = data;

	if (!o->width) {
		if (o->fields < FL_ARRAY_LEN(o->names))
			fl_buf_put(&o->names[o->fields], p ? p : "", n);
	} else if (o->fields < o->width) {
		fl_buf_putc(&o->record, ' ');
		show_bytes(&o->record, o->names[o->fields].data, o->names[o->fields].len);
		fl_buf_putc(&o->record, '=');
		fl_buf_puts(&o->record, !p ? "~" : n == 0 ? "\"\"" : "");
		show_bytes(&o->record, p, n);
	}
	o->fields++;
}

static inline void
oracle_end(int c, void *data)
{
	(void)c;
	((struct oracle *)data)->ended = true;
}

static inline int
oracle_never(unsigned char c)
{
	(void)c;
	return 0;
}

static inline int
oracle_any(unsigned char c)
{
	return c == '\n' || c == '\r';
}

static inline void
oracle_start(struct oracle *o)
{
	csv_free(&o->parser);
	(void)csv_init(&o->parser,
		       CSV_STRICT | CSV_STRICT_FINI | CSV_EMPTY_IS_NULL | CSV_REPALL_NL);
	csv_set_space_func(&o->parser, oracle_never);
	csv_set_term_func(&o->parser, oracle_never);
	fl_buf_clear(&o->record);
	o->fields = 0;
	o->ended = false;
}

/* Whether p[at] begins the end of a line: returns its length. */
static inline size_t
oracle_line_end(const char *p, size_t at, size_t n)
{
	if (p[at] == '\n')
		return 1;
	if (p[at] == '\r' && at + 1 == n)
		return 1;
	return p[at] == '\r' && p[at + 1] == '\n' ? 2 : 0;
}

/*
 * One record: returns where the next begins; *ret_end: where its own bytes end;
 * *ret_good: whether libcsv takes it.
 */
static inline size_t
oracle_record(struct oracle *o, const char *p, size_t at, size_t n, size_t *ret_end, bool *ret_good)
{
	oracle_start(o);
	for (;;) {
		size_t end = at < n ? oracle_line_end(p, at, n) : 0;

		*ret_end = at;
		*ret_good = true;
		if (at == n) {
			*ret_good = csv_fini(&o->parser, oracle_field, oracle_end, o) == 0;
			if (!*ret_good && n && p[n - 1] == '\n')
				*ret_end = n - (n > 1 && p[n - 2] == '\r' ? 2 : 1);
			else if (!*ret_good && n && p[n - 1] == '\r')
				*ret_end = n - 1;
			return n;
		}
		csv_set_term_func(&o->parser, end ? oracle_any : oracle_never);
		if (csv_parse(&o->parser, p + at, 1, oracle_field, oracle_end, o) != 1) {
			*ret_good = false;
			while (at < n && !(end = oracle_line_end(p, at, n)))
				at++;
			*ret_end = at;
			return at + end;
		}
		if (o->ended)
			return at + end;
		at++;
		if (end == 2) { /* a CRLF in quotes */
			(void)csv_parse(&o->parser, p + at, 1, oracle_field, oracle_end, o);
			at++;
		}
	}
}

static inline bool
oracle_blank(const char *p, size_t at, size_t n)
{
	while (at < n && oracle_line_end(p, at, n))
		at += oracle_line_end(p, at, n);
	return at == n;
}

/* The records of p[at..n) behind the header line. */
static inline void
oracle_records(struct oracle *o, const char *p, size_t at, size_t n, uint64_t line)
{
	while (at < n) {
		size_t end, next;
		bool good, empty = oracle_line_end(p, at, n) > 0;

		if (empty && o->width > 1 && oracle_blank(p, at, n))
			return;
		next = oracle_record(o, p, at, n, &end, &good);
		if (empty && o->width == 1) {
			oracle_field(NULL, 0, o);
			end = at;
		}
		if (good && o->fields == o->width) {
			fl_buf_printf(o->out, "%" PRIu64 ":", line);
			fl_buf_put(o->out, o->record.data, o->record.len);
			fl_buf_putc(o->out, '\n');
		} else {
			fl_buf_printf(o->out, "%" PRIu64 "! ", line);
			show_bytes(o->out, p + at, end - at);
			fl_buf_putc(o->out, '\n');
		}
		for (; at < next; at++)
			line += p[at] == '\n';
	}
}

/*
 * All of a text whose header line is plain enough (different names without
 * quotes, at most 64 of them); false: it is not, and nothing is said.
 */
static inline bool
oracle_text(const char *p, size_t n, struct fl_buf *out)
{
	struct oracle o = { .out = out };
	size_t at = 0, end;
	bool good;

	while (at < n && p[at] != '\n' && p[at] != '"' && p[at])
		at++;
	good = at > 0 && at < n && p[at] == '\n' && p[0] != '\r' && (unsigned char)p[0] < 0x80;
	if (good) {
		at = oracle_record(&o, p, 0, n, &end, &good);
		o.width = o.fields;
		good = good && o.width <= FL_ARRAY_LEN(o.names);
	}
	for (uint32_t a = 0; good && a < o.width; a++)
		for (uint32_t b = 0; good && b <= a; b++)
			good = o.names[a].len &&
			       (a == b || o.names[a].len != o.names[b].len ||
				memcmp(o.names[a].data, o.names[b].data, o.names[a].len) != 0);
	if (good) {
		oracle_records(&o, p, at, n, 2);
		fl_buf_putc(out, 0);
	}
	csv_free(&o.parser);
	fl_buf_release(&o.record);
	for (size_t i = 0; i < FL_ARRAY_LEN(o.names); i++)
		fl_buf_release(&o.names[i]);
	return good;
}

#endif
