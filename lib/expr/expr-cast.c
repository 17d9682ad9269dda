/* SPDX-License-Identifier: Apache-2.0 */
/* CAST, and turning arguments into what functions want. */
#include <stdio.h>

#include "expr/expr-node.h"
#include "expr/func-json.h"
#include "expr/func-text.h"

static const struct {
	const char *name;
	enum fl_xcast to;
} types[] = {
	{ "int2", FL_XT_INT2 },           { "smallint", FL_XT_INT2 },
	{ "int4", FL_XT_INT4 },           { "integer", FL_XT_INT4 },
	{ "int8", FL_XT_INT8 },           { "bigint", FL_XT_INT8 },
	{ "numeric", FL_XT_NUMERIC },     { "decimal", FL_XT_NUMERIC },
	{ "float8", FL_XT_DOUBLE },       { "float4", FL_XT_DOUBLE },
	{ "double", FL_XT_DOUBLE },       { "text", FL_XT_TEXT },
	{ "varchar", FL_XT_TEXT },        { "bpchar", FL_XT_TEXT },
	{ "char", FL_XT_TEXT },           { "string", FL_XT_TEXT },
	{ "bool", FL_XT_BOOL },           { "boolean", FL_XT_BOOL },
	{ "timestamp", FL_XT_TIMESTAMP }, { "timestamptz", FL_XT_TIMESTAMPTZ },
	{ "date", FL_XT_DATE },           { "time", FL_XT_TIME },
	{ "interval", FL_XT_SPAN },       { "json", FL_XT_JSON },
	{ "jsonb", FL_XT_JSON },
};

enum fl_xcast
fl_x_cast_find(const char *name)
{
	for (size_t i = 0; i < FL_ARRAY_LEN(types); i++)
		if (strcmp(types[i].name, name) == 0)
			return types[i].to;
	return FL_XT_NONE;
}

uint8_t
fl_x_cast_type(enum fl_xcast to)
{
	static const uint8_t results[] = {
		[FL_XT_INT2] = FL_X_INT,       [FL_XT_INT4] = FL_X_INT,
		[FL_XT_INT8] = FL_X_INT,       [FL_XT_NUMERIC] = FL_X_DEC,
		[FL_XT_DOUBLE] = FL_X_DEC,     [FL_XT_TEXT] = FL_X_TEXT,
		[FL_XT_BOOL] = FL_X_BOOL,      [FL_XT_TIMESTAMP] = FL_X_TIME,
		[FL_XT_TIMESTAMPTZ] = FL_X_TIME, [FL_XT_DATE] = FL_X_DATE,
		[FL_XT_TIME] = FL_X_TEXT,      [FL_XT_SPAN] = FL_X_SPAN,
		[FL_XT_JSON] = FL_X_ANY,       [FL_XT_NONE] = FL_X_ANY,
	};

	return results[to];
}

static int
bad_value(struct fl_xcall *c, const char *what, const struct fl_xval *v)
{
	char shown[FL_X_SHOW_MAX];

	return fl_x_bad(c, "%s: %s", what, fl_x_show(v, c->ev->env, shown));
}

/* ---- to each type ------------------------------------------------------- */

static int
to_integer(struct fl_xcall *c, enum fl_xcast to, struct fl_xval *v)
{
	int64_t max = to == FL_XT_INT2 ? INT16_MAX : to == FL_XT_INT4 ? INT32_MAX : INT64_MAX;
	struct fl_xval number;
	struct fl_dec d;
	int64_t i;

	if (v->type == FL_X_BOOL) {
		*v = fl_x_int(v->b);
		return 0;
	}
	if (!fl_x_number(v, &number))
		return bad_value(c, "not an integer", v);
	d = fl_x_to_dec(&number);
	if (fl_dec_round(&d, 0, &d) < 0 || !fl_dec_is_int64(&d, &i)) {
		struct fl_dec exact;
		char buf[FL_NUMBER_TEXT_MAX];
		size_t n = fl_number_format(&d, buf);

		/* a double that is whole */
		if (!fl_number_parse(buf, n, &exact) || fl_dec_round(&exact, 0, &exact) < 0 ||
		    !fl_dec_is_int64(&exact, &i))
			return bad_value(c, "integer out of range", v);
	}
	if (i > max || i < -max - 1)
		return bad_value(c, "integer out of range", v);
	*v = fl_x_int(i);
	return 0;
}

static int
to_numeric(struct fl_xcall *c, const struct fl_xcast_arg *a, struct fl_xval *v)
{
	char buf[FL_NUMBER_TEXT_MAX];
	struct fl_xval number;
	struct fl_dec d, limit;

	if (v->type == FL_X_BOOL || !fl_x_number(v, &number))
		return bad_value(c, "not a number", v);
	d = fl_x_to_dec(&number);
	if (d.scale == FL_DEC_DOUBLE) {
		size_t n = fl_number_format(&d, buf);

		(void)fl_number_parse(buf, n, &d); /* exact where 38 digits hold it */
	}
	if (a->precision >= 0) {
		fl_int128 m = 1;

		if (fl_dec_round(&d, a->scale, &d) < 0)
			return bad_value(c, "number out of range", v);
		for (int32_t i = a->scale; i < a->precision && i < a->scale + FL_DEC_DIGITS_MAX;
		     i++)
			m *= 10;
		limit = fl_dec_make(m, 0);
		if (fl_dec_compare(&d, &limit) >= 0)
			return bad_value(c, "number out of range", v);
		limit = fl_dec_make(-m, 0);
		if (fl_dec_compare(&d, &limit) <= 0)
			return bad_value(c, "number out of range", v);
	}
	*v = fl_x_dec(&d);
	return 0;
}

static int
to_double(struct fl_xcall *c, struct fl_xval *v)
{
	struct fl_xval number;
	struct fl_dec d;

	if (!fl_x_number(v, &number))
		return bad_value(c, "not a number", v);
	d = fl_x_to_dec(&number);
	*v = fl_x_double(fl_dec_to_double(&d));
	return 0;
}

static int
to_text(struct fl_xcall *c, const struct fl_xcast_arg *a, struct fl_xval *v)
{
	char buf[FL_X_TEXT_MAX];
	size_t n;
	const char *p = fl_x_to_text(v, c->ev->env, buf, &n);

	if (a->precision >= 0)
		n = fl_x_char_offset(p, n, (size_t)a->precision);
	fl_buf_put(c->text, p, n);
	*v = fl_x_built(c);
	return 0;
}

static int
to_boolean(struct fl_xcall *c, struct fl_xval *v)
{
	static const char *const yes[] = { "t", "true", "y", "yes", "on", "1" };
	static const char *const no[] = { "f", "false", "n", "no", "off", "0" };

	if (v->type == FL_X_BOOL)
		return 0;
	if (v->type == FL_X_INT) {
		*v = fl_x_bool(v->i != 0);
		return 0;
	}
	for (size_t i = 0; v->type == FL_X_TEXT && i < FL_ARRAY_LEN(yes); i++) {
		bool is = strlen(yes[i]) == v->n && strncasecmp(yes[i], v->p, v->n) == 0;

		if (is || (strlen(no[i]) == v->n && strncasecmp(no[i], v->p, v->n) == 0)) {
			*v = fl_x_bool(is);
			return 0;
		}
	}
	return bad_value(c, "neither true nor false", v);
}

static int
to_time(struct fl_xcall *c, const struct fl_xcast_arg *a, struct fl_xval *v)
{
	static const int64_t units[] = { 1000, 100, 10 };
	int64_t ms;

	if (!fl_x_moment(c->node, c->ev->env, v, &ms))
		return bad_value(c, "not a time", v);
	if (a->precision >= 0 && a->precision < 3 && ms < INT64_MAX - 1000) {
		int64_t unit = units[a->precision];

		ms = fl_floor_div(ms + unit / 2, unit) * unit;
	}
	*v = fl_x_time(ms);
	return 0;
}

/* Civil time in the expression's zone. */
static int64_t
local_of(const struct fl_xcall *c, int64_t ms)
{
	return fl_zone_utc_to_local(c->ev->env ? c->ev->env->zone : NULL, ms);
}

static int
to_date(struct fl_xcall *c, struct fl_xval *v)
{
	int64_t ms;

	if (v->type == FL_X_DATE)
		return 0;
	if (!fl_x_moment(c->node, c->ev->env, v, &ms))
		return bad_value(c, "not a date", v);
	*v = (struct fl_xval){ .type = FL_X_DATE,
			       .i = fl_floor_div(local_of(c, ms), FL_MS_PER_DAY) };
	return 0;
}

static int
to_clock(struct fl_xcall *c, struct fl_xval *v)
{
	struct fl_civil civil;
	int64_t ms;

	if (!fl_x_moment(c->node, c->ev->env, v, &ms))
		return bad_value(c, "not a time", v);
	fl_civil_from_ms(local_of(c, ms), &civil);
	fl_buf_printf(c->text, "%02d:%02d:%02d", civil.hour, civil.minute, civil.second);
	if (civil.ms)
		fl_buf_printf(c->text, ".%03d", civil.ms);
	*v = fl_x_built(c);
	return 0;
}

static int
to_span(struct fl_xcall *c, const char *unit, struct fl_xval *v)
{
	char buf[FL_X_TEXT_MAX];
	struct fl_xspan s;
	size_t n;
	const char *p;

	if (v->type == FL_X_SPAN)
		return 0;
	p = fl_x_to_text(v, c->ev->env, buf, &n);
	if (!fl_xspan_parse(p, n, unit, &s))
		return bad_value(c, "not an interval", v);
	*v = (struct fl_xval){ .type = FL_X_SPAN, .span = s };
	return 0;
}

static int
to_json(struct fl_xcall *c, struct fl_xval *v)
{
	struct fl_json json;

	if (v->type != FL_X_TEXT)
		return 0;
	if (!fl_json_valid(v->p, v->n) || !fl_json_open(v->p, v->n, &json))
		return bad_value(c, "not JSON", v);
	*v = fl_x_json_value(&json, c->text);
	return 0;
}

static void
trim(struct fl_xval *v)
{
	while (v->n && (*v->p == ' ' || (*v->p >= '\t' && *v->p <= '\r'))) {
		v->p++;
		v->n--;
	}
	while (v->n &&
	       (v->p[v->n - 1] == ' ' || (v->p[v->n - 1] >= '\t' && v->p[v->n - 1] <= '\r')))
		v->n--;
}

static int
cast(struct fl_xcall *c, struct fl_xval *v)
{
	enum fl_xcast to = (enum fl_xcast)c->node->code;
	const struct fl_xcast_arg *a = c->node->priv;

	if (v->type == FL_X_TEXT && to != FL_XT_TEXT && to != FL_XT_JSON)
		trim(v);
	switch (to) {
	case FL_XT_INT2:
	case FL_XT_INT4:
	case FL_XT_INT8:
		return to_integer(c, to, v);
	case FL_XT_NUMERIC:
		return to_numeric(c, a, v);
	case FL_XT_DOUBLE:
		return to_double(c, v);
	case FL_XT_TEXT:
		return to_text(c, a, v);
	case FL_XT_BOOL:
		return to_boolean(c, v);
	case FL_XT_TIMESTAMP:
	case FL_XT_TIMESTAMPTZ:
		return to_time(c, a, v);
	case FL_XT_DATE:
		return to_date(c, v);
	case FL_XT_TIME:
		return to_clock(c, v);
	case FL_XT_SPAN:
		return to_span(c, a->unit, v);
	default:
		return to_json(c, v);
	}
}

int
fl_x_eval_cast(struct fl_xnode *x, struct fl_xeval *ev, const struct fl_xsel *sel,
	       struct fl_vec *ret)
{
	char reason[FL_X_REASON_MAX];
	struct fl_xcall c = { .node = x, .ev = ev, .text = &x->scratch[0], .reason = reason };
	struct fl_vec in;
	int rc = fl_x_eval(x->arg[0], ev, sel, &in);

	fl_xres_begin(&x->res, ev->rows);
	for (uint32_t k = 0; rc == 0 && k < sel->n; k++) {
		uint32_t i = fl_x_row(sel, k);
		struct fl_xval v = fl_x_get(&in, i);

		fl_buf_clear(c.text);
		if (v.type != FL_X_NULL && cast(&c, &v) < 0) {
			fl_x_bad_row(ev, x, i, reason);
			v = fl_x_null();
		}
		rc = fl_xres_put(&x->res, i, &v, ev);
	}
	fl_xres_finish(&x->res, sel, ret);
	return rc;
}

/* ---- arguments of functions --------------------------------------------- */

static int
coerce_integer(struct fl_xcall *c, struct fl_xval *v)
{
	struct fl_xval number;
	struct fl_dec d, whole;

	if (v->type == FL_X_INT)
		return 0;
	if (!fl_x_number(v, &number))
		return bad_value(c, "not a number", v);
	if (number.type == FL_X_DEC) {
		d = number.dec;
		if (fl_dec_trunc(&d, 0, &whole) < 0 || fl_dec_compare(&d, &whole) != 0)
			return bad_value(c, "not a whole number", v);
		return to_integer(c, FL_XT_INT8, v);
	}
	*v = number;
	return 0;
}

int
fl_x_coerce(struct fl_xcall *c, char letter, struct fl_xval *v, char buf[FL_X_TEXT_MAX])
{
	struct fl_xval number;
	int64_t ms;
	bool b;

	switch (letter) {
	case 't':
		if (v->type != FL_X_TEXT) {
			size_t n;
			const char *p = fl_x_to_text(v, c->ev->env, buf, &n);

			*v = fl_x_text(p, n);
		}
		return 0;
	case 'n':
		if (!fl_x_number(v, &number))
			return bad_value(c, "not a number", v);
		*v = number;
		return 0;
	case 'i':
		return coerce_integer(c, v);
	case 'b':
		if (!fl_x_truth(v, &b))
			return bad_value(c, "neither true nor false", v);
		*v = fl_x_bool(b);
		return 0;
	case 's':
		if (!fl_x_moment(c->node, c->ev->env, v, &ms))
			return bad_value(c, "not a time", v);
		*v = fl_x_time(ms);
		return 0;
	case 'v':
		return to_span(c, NULL, v);
	default:
		return 0;
	}
}
