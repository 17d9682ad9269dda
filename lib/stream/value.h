/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One value of a vector, for code that works value by value: comparison,
 * grouping, sorting, and the aggregates that keep values. The rules of
 * flue-expressions(7), in one place.
 */
#ifndef FL_STREAM_VALUE_H
#define FL_STREAM_VALUE_H

#include "stream/batch.h"
#include "stream/number.h"

enum fl_value_type {
	FL_V_NULL = 0,
	FL_V_BOOL,
	FL_V_NUMBER,
	FL_V_TIME, /* ms since the epoch */
	FL_V_TEXT, /* also the JSON text of objects and arrays: see tag */
};

struct fl_value {
	enum fl_value_type type;
	enum fl_tag tag;      /* TEXT: STRING, PLAIN, OBJECT, ARRAY; NULL: NULL, ABSENT */
	struct fl_dec number; /* NUMBER */
	int64_t time_ms;      /* TIME */
	bool boolean;         /* BOOL */
	const char *p;        /* the text it came as (TEXT; NUMBER and BOOL too where
	                         it was text, else NULL); borrowed */
	size_t n;
};

/*
 * Value i of v as it is by its tag: PLAIN text that is a number all through,
 * and text of a JSON number, give NUMBER; the JSON strings give TEXT, though
 * fl_value_number sees a number in them too.
 */
struct fl_value fl_value_get(const struct fl_vec *v, size_t i);

/* Whether value is a number, or text all of which is one; then *ret. */
bool fl_value_number(const struct fl_value *v, struct fl_dec *ret);

/*
 * The order of flue-expressions(7): two numbers (text that is a number counts) by value, a
 * number before other text, two other texts by bytes, times by time, a time
 * and text that is a time by time, false before true; NULL last.
 */
int fl_value_compare(const struct fl_value *a, const struct fl_value *b);

/* Put into a column under construction, keeping the text where there is one. */
void fl_put_fl_value(struct fl_colbuf *c, const struct fl_value *v);

/*
 * The bytes by which a key is equal (flue(7): "Keys are equal by their bytes
 * after decoding; NULL is a key of its own"): text as it is, fixed widths as
 * their text. tmp is used where text has to be made. Returns NULL and *ret_n 0
 * for a NULL key.
 */
const char *fl_key_bytes(const struct fl_vec *v, size_t i, char tmp[FL_NUMBER_TEXT_MAX],
			 size_t *ret_n);

#endif
