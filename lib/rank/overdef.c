/* SPDX-License-Identifier: Apache-2.0 */
/* Definitions of OVER: which are aggregates, and lag and lead. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "rank/over.h"
#include "rank/sortby.h"

static const struct word {
	const char *name;
	enum fl_over_what what;
	bool args;
} words[] = {
	{ "lag", FL_OVER_LAG, true },
	{ "lead", FL_OVER_LEAD, true },
	{ "row_number", FL_OVER_ROW_NUMBER, false },
	{ "rank", FL_OVER_RANK, false },
	{ "dense_rank", FL_OVER_DENSE_RANK, false },
};

#define PLACES_MAX 1000000

/* Whether text is "word ( … )" and nothing else; then what stands between. */
static bool
is_call(const char *text, const char *word, const char **args, size_t *n)
{
	size_t len = strlen(word), end = strlen(text);
	int depth = 0;

	while (isspace((unsigned char)*text)) {
		text++;
		end--;
	}
	while (end && isspace((unsigned char)text[end - 1]))
		end--;
	if (end <= len || strncasecmp(text, word, len) != 0)
		return false;
	while (len < end && isspace((unsigned char)text[len]))
		len++;
	if (len == end || text[len] != '(' || text[end - 1] != ')')
		return false;
	*args = text + len + 1;
	*n = end - len - 2;
	for (size_t i = 0; i < *n && depth >= 0; i++) /* not lag(a) + lag(b) */
		depth += ((*args)[i] == '(') - ((*args)[i] == ')');
	return depth >= 0;
}

/* The next part of *p[0..*n), without blanks around it; an owned string, or NULL. */
static char *
next_part(const char **p, size_t *n)
{
	size_t part = fl_list_part(*p, *n), from = 0, to = part;
	char *text;

	while (from < to && isspace((unsigned char)(*p)[from]))
		from++;
	while (to > from && isspace((unsigned char)(*p)[to - 1]))
		to--;
	text = to > from ? fl_xstrndup(*p + from, to - from) : NULL;
	*p += part + (part < *n);
	*n -= part + (part < *n);
	return text;
}

static int
parse_places(struct fl_over_def *d, const char *text, struct fl_err *err)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(text, &end, 10);
	if (errno || *end || v < 0 || v > PLACES_MAX)
		return fl_fail(err, FL_EUSAGE, "%s: \"%s\" is not a number of rows up to %d",
			       d->name, text, PLACES_MAX);
	d->places = (uint32_t)v;
	return 0;
}

static int
parse_args(struct fl_over_def *d, const char *args, size_t n, const struct fl_expr_env *env,
	   struct fl_err *err)
{
	char *part[3] = { next_part(&args, &n), NULL, NULL };
	int rc = 0;

	for (int i = 1; i < 3 && n; i++)
		part[i] = next_part(&args, &n);
	d->places = 1;
	if (!part[0] || n)
		rc = fl_fail(err, FL_EUSAGE, "%s: want x, or x, rows, or x, rows, otherwise",
			     d->name);
	if (rc == 0 && part[1])
		rc = parse_places(d, part[1], err);
	if (rc == 0)
		d->expr = fl_expr_new(part[0], env);
	if (rc == 0 && part[2])
		d->otherwise = fl_expr_new(part[2], env);
	for (int i = 0; i < 3; i++)
		free(part[i]);
	return rc;
}

int
fl_over_define(struct fl_over *o, const char *definition, const struct fl_expr_env *env,
	       struct fl_err *err)
{
	const char *equals = strchr(definition, '='), *args = NULL;
	const struct word *word = NULL;
	struct fl_over_def *d;
	size_t n = 0;

	o->def = fl_xreallocarray(o->def, o->def_count + 1, sizeof *o->def);
	d = &o->def[o->def_count++];
	*d = (struct fl_over_def){
		.name = fl_xstrndup(definition,
				    equals ? (size_t)(equals - definition) : strlen(definition)),
		.text = fl_xstrdup(definition),
	};
	for (size_t i = 0; equals && !word && i < FL_ARRAY_LEN(words); i++)
		if (is_call(equals + 1, words[i].name, &args, &n))
			word = &words[i];
	if (word) {
		d->what = word->what;
		if (word->args)
			return parse_args(d, args, n, env, err);
		return strspn(args, " \t") >= n ? 0
						: fl_fail(err, FL_EUSAGE, "%s: %s() takes nothing",
							  d->name, word->name);
	}
	if (!o->aggs)
		o->aggs = fl_aggs_new(env);
	d->column = o->agg_count++;
	return fl_aggs_define(o->aggs, definition, err);
}

/* ---- lag and lead ----------------------------------------------- */

int
fl__over_bind(struct fl_over *o, const struct fl_header *h, struct fl_err *err)
{
	/* by arrival there are no ties, and rows never leave an unbounded frame */
	if (o->aggs && fl_aggs_bind(o->aggs, h, o->spec.before >= 0, err) < 0)
		return err->code;
	for (uint32_t i = 0; i < o->def_count; i++) {
		struct fl_over_def *d = &o->def[i];

		if ((d->expr && fl_expr_bind(d->expr, h, err) < 0) ||
		    (d->otherwise && fl_expr_bind(d->otherwise, h, err) < 0))
			return fl_wrap(err, "%s", d->name);
		fl_build_resize(&d->rows, h->column_count);
	}
	return 0;
}

const char *
fl_over_unseen(const struct fl_over *o, size_t i)
{
	const char *name;
	size_t n = 0;

	for (size_t k = 0; o->aggs && (name = fl_aggs_unseen(o->aggs, k)); k++)
		if (n++ == i)
			return name;
	for (uint32_t d = 0; d < o->def_count; d++)
		for (size_t k = 0; o->def[d].expr && (name = fl_expr_unseen(o->def[d].expr, k));
		     k++)
			if (n++ == i)
				return name;
	return NULL;
}

int
fl__over_check(struct fl_over *o, const struct fl_batch *b, struct fl_err *err)
{
	struct fl_vec v;

	for (uint32_t i = 0; i < o->def_count; i++) {
		struct fl_over_def *d = &o->def[i];

		if ((d->expr && fl_expr_eval(d->expr, b, &o->bad, &v, err) < 0) ||
		    (d->otherwise && fl_expr_eval(d->otherwise, b, &o->bad, &v, err) < 0))
			return err->code;
	}
	return 0;
}

static int
put_places(struct fl_over *o, struct fl_over_def *d, const struct fl_batch *shown,
	   struct fl_err *err)
{
	struct fl_colbuf *to = &o->results.col[d->column];
	const struct fl_batch *b = fl_build_view(&d->rows);
	struct fl_vec value, otherwise;

	fl_badrows_reset(&o->bad); /* what is bad was found when it came in */
	if (fl_expr_eval(d->expr, b, &o->bad, &value, err) < 0 ||
	    (d->otherwise && fl_expr_eval(d->otherwise, shown, &o->bad, &otherwise, err) < 0))
		return err->code;
	for (uint32_t i = 0; i < b->rows; i++) {
		if (!d->missing.data[i] && !fl_is_null(&value, i))
			fl_put_value(to, &value, i);
		else if (d->missing.data[i] && d->otherwise)
			fl_put_value(to, &otherwise, i);
		else
			fl_put_null(to);
	}
	fl_build_clear(&d->rows);
	fl_buf_clear(&d->missing);
	return 0;
}

int
fl__over_places(struct fl_over *o, const struct fl_batch *shown, struct fl_err *err)
{
	int rc = 0;

	for (uint32_t i = 0; i < o->def_count && rc == 0; i++)
		if (o->def[i].expr)
			rc = put_places(o, &o->def[i], shown, err);
	return rc;
}
