/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/value.h"

#include <strings.h>

#include "time/timestamp.h"

_Static_assert(FL_TIME_TEXT_MAX <= FL_NUMBER_TEXT_MAX, "a time fits where a number does");

static inline bool
is_digit(char c)
{
	return (unsigned char)(c - '0') <= 9;
}

/* What a number can begin and end with: spares the whole parse for most other text. */
static bool
may_be_number(const char *p, size_t n)
{
	char last;

	if (n == 0)
		return false;
	last = p[n - 1] | 0x20;
	if (!is_digit(p[n - 1]) && p[n - 1] != '.' && last != 'n' && last != 'y')
		return false; /* NaN, Infinity */
	return is_digit(*p) || *p == '-' || *p == '+' || *p == '.' || (*p | 0x20) == 'n' ||
	       (*p | 0x20) == 'i';
}

static struct fl_value
null_value(enum fl_tag tag)
{
	return (struct fl_value){ .type = FL_V_NULL, .tag = tag };
}

static struct fl_value
text_value(const char *p, size_t n, enum fl_tag tag)
{
	struct fl_value v = { .type = FL_V_TEXT, .tag = tag, .p = p, .n = n };

	if (tag == FL_TAG_BOOL && n) {
		v.type = FL_V_BOOL;
		v.boolean = *p == 't';
	} else if ((tag == FL_TAG_PLAIN || tag == FL_TAG_NUMBER) && may_be_number(p, n) &&
		   fl_number_parse(p, n, &v.number)) {
		v.type = FL_V_NUMBER;
	}
	return v;
}

struct fl_value
fl_value_get(const struct fl_vec *v, size_t i)
{
	enum fl_tag tag = fl_tag_of(v, i);
	struct fl_value ret = { .type = FL_V_NUMBER, .tag = FL_TAG_PLAIN };
	const char *p;
	size_t n;

	if (tag == FL_TAG_NULL || tag == FL_TAG_ABSENT)
		return null_value(tag);
	switch ((enum fl_kind)v->kind) {
	case FL_TEXT:
		p = fl_text(v, i, &n);
		if (n == 0 && tag == FL_TAG_PLAIN)
			return null_value(FL_TAG_NULL);
		return text_value(p, n, tag);
	case FL_INT64:
		ret.number = fl_dec_from_int(v->i64[i]);
		return ret;
	case FL_DECIMAL:
		ret.number = v->dec[i];
		return ret;
	case FL_DOUBLE:
		ret.number = fl_dec_from_double(v->f64[i]);
		return ret;
	case FL_BOOL:
		ret.type = FL_V_BOOL;
		ret.boolean = v->b[i] != 0;
		return ret;
	case FL_TIME:
		ret.type = FL_V_TIME;
		ret.time_ms = v->i64[i];
		return ret;
	case FL_KINDS:
		break;
	}
	return null_value(FL_TAG_NULL);
}

bool
fl_value_number(const struct fl_value *v, struct fl_dec *ret)
{
	if (v->type == FL_V_NUMBER) {
		*ret = v->number;
		return true;
	}
	return v->type == FL_V_TEXT && may_be_number(v->p, v->n) &&
	       fl_number_parse(v->p, v->n, ret);
}

/* The text of a value that is not NULL: its own, or made in tmp. */
static const char *
text_of(const struct fl_value *v, char tmp[FL_NUMBER_TEXT_MAX], size_t *ret_n)
{
	if (v->p) {
		*ret_n = v->n;
		return v->p;
	}
	switch (v->type) {
	case FL_V_BOOL:
		*ret_n = v->boolean ? 4 : 5;
		return v->boolean ? "true" : "false";
	case FL_V_TIME:
		*ret_n = fl_time_format(v->time_ms, NULL, true, tmp);
		return tmp;
	case FL_V_NUMBER:
		*ret_n = fl_number_format(&v->number, tmp);
		return tmp;
	case FL_V_NULL:
	case FL_V_TEXT:
		break;
	}
	*ret_n = 0;
	return "";
}

static int
compare_texts(const struct fl_value *a, const struct fl_value *b)
{
	char a_tmp[FL_NUMBER_TEXT_MAX], b_tmp[FL_NUMBER_TEXT_MAX];
	size_t an, bn;
	const char *ap = text_of(a, a_tmp, &an), *bp = text_of(b, b_tmp, &bn);
	size_t n = an < bn ? an : bn;
	int c = n ? memcmp(ap, bp, n) : 0;

	return c ? (c > 0) - (c < 0) : (an > bn) - (an < bn);
}

/* A time, or a text that is one by itself: ISO 8601 or an epoch by magnitude. */
static bool
moment_of(const struct fl_value *v, int64_t *ret_ms)
{
	char tmp[FL_NUMBER_TEXT_MAX];
	struct fl_timefmt any;
	struct fl_err err;
	const char *p;
	size_t n;
	int rc;

	if (v->type == FL_V_TIME) {
		*ret_ms = v->time_ms;
		return true;
	}
	if (v->type == FL_V_BOOL || fl_timefmt_init(&any, NULL, NULL, FL_YEAR_NONE, &err) < 0)
		return false;
	p = text_of(v, tmp, &n);
	rc = fl_timefmt_parse(&any, p, n, ret_ms);
	fl_timefmt_release(&any);
	return rc == 0;
}

static bool
truth_of(const struct fl_value *v, bool *ret)
{
	if (v->type == FL_V_BOOL) {
		*ret = v->boolean;
		return true;
	}
	if (v->type != FL_V_TEXT)
		return false;
	*ret = v->n == 4 && strncasecmp(v->p, "true", 4) == 0;
	return *ret || (v->n == 5 && strncasecmp(v->p, "false", 5) == 0);
}

static int
compare_values(const struct fl_value *a, const struct fl_value *b)
{
	struct fl_dec x, y;
	bool a_number, b_number, at, bt;
	int64_t am, bm;

	if ((a->type == FL_V_TIME || b->type == FL_V_TIME) && moment_of(a, &am) &&
	    moment_of(b, &bm))
		return (am > bm) - (am < bm);
	if ((a->type == FL_V_BOOL || b->type == FL_V_BOOL) && truth_of(a, &at) && truth_of(b, &bt))
		return at - bt;
	a_number = fl_value_number(a, &x);
	b_number = fl_value_number(b, &y);
	if (a_number && b_number)
		return fl_dec_compare(&x, &y);
	if (a_number != b_number)
		return a_number ? -1 : 1;
	return compare_texts(a, b);
}

int
fl_value_compare(const struct fl_value *a, const struct fl_value *b)
{
	if (a->type == FL_V_NULL || b->type == FL_V_NULL)
		return (a->type == FL_V_NULL) - (b->type == FL_V_NULL);
	return compare_values(a, b);
}

void
fl_put_fl_value(struct fl_colbuf *c, const struct fl_value *v)
{
	if (v->type == FL_V_NULL) {
		fl_put_null(c);
		return;
	}
	if (v->p) {
		fl_put_text(c, v->p, v->n, v->tag);
		return;
	}
	switch (v->type) {
	case FL_V_BOOL:
		fl_put_bool(c, v->boolean);
		break;
	case FL_V_TIME:
		fl_put_time(c, v->time_ms);
		break;
	case FL_V_NUMBER:
		if (v->number.scale == FL_DEC_DOUBLE)
			fl_put_double(c, fl_dec_to_double(&v->number));
		else
			fl_put_dec(c, &v->number);
		break;
	case FL_V_NULL:
	case FL_V_TEXT:
		fl_put_text(c, "", 0, v->tag);
		break;
	}
}

const char *
fl_key_bytes(const struct fl_vec *v, size_t i, char tmp[FL_NUMBER_TEXT_MAX], size_t *ret_n)
{
	struct fl_value value;

	*ret_n = 0;
	if (fl_is_null(v, i))
		return NULL;
	if (v->kind == FL_TEXT)
		return fl_text(v, i, ret_n);
	if (v->kind == FL_INT64) {
		*ret_n = fl_int_format(v->i64[i], tmp);
		return tmp;
	}
	value = fl_value_get(v, i);
	return text_of(&value, tmp, ret_n);
}
