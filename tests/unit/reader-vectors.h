/* SPDX-License-Identifier: Apache-2.0 */
/* Texts and what a reader makes of them, cut anywhere. The words: ../fuzz/read-all.h. */
#ifndef TESTS_UNIT_READER_VECTORS_H
#define TESTS_UNIT_READER_VECTORS_H

#include "tap.h"

#include "../fuzz/read-all.h"

struct vector {
	const char *title;
	const char *format;
	struct fl_reader_options options;
	const char *text;
	size_t n; /* 0: up to its NUL */
	const char *want;
};

#define TEXT(s) .text = (s), .n = sizeof(s) - 1

static inline struct fl_reader *
new_reader(const char *format, struct fl_reader_options o)
{
	struct fl_err err;

	o.record_max = o.record_max ? o.record_max : FL_MIB(16);
	o.separator = o.separator ? o.separator : ',';
	return fl_reader_new(fl_reader_type(format), &o, &err);
}

/* Two pieces: the first is *arg bytes. */
static inline size_t
cut_once(void *arg, size_t have)
{
	const size_t *at = arg;

	return have < *at ? *at : SIZE_MAX;
}

static inline size_t
cut_every(void *arg, size_t have)
{
	return have + *(const size_t *)arg;
}

static inline void
test_vector(const struct vector *v)
{
	size_t n = v->n ? v->n : strlen(v->text), one = 1;
	struct fl_buf out = { 0 };
	struct fl_reader *r = new_reader(v->format, v->options);
	bool same = true;

	read_text(r, v->text, n, NULL, NULL, &out, true);
	(void)tap_eq_str(out.data, v->want, "%s: %s", v->format, v->title);
	fl_reader_free(r);
	for (size_t at = 0; at <= n && same; at++) {
		fl_buf_clear(&out);
		r = new_reader(v->format, v->options);
		if (at)
			read_text(r, v->text, n, cut_once, &at, &out, true);
		else
			read_text(r, v->text, n, cut_every, &one, &out, true);
		fl_reader_free(r);
		same = strcmp(out.data, v->want) == 0;
	}
	if (!tap_ok(same, "%s: %s, cut anywhere", v->format, v->title))
		printf("# %s\n", out.data);
	fl_buf_release(&out);
}

#endif
