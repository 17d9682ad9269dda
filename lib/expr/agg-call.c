/* SPDX-License-Identifier: Apache-2.0 */
/* From an aggregate call as it was written to its core and its result. */
#include <stdlib.h>

#include "expr/agg-int.h"

enum what {
	COUNT, SUM, AVG, VAR, MIN, MAX, FIRST, LAST, ARG_MIN, ARG_MAX, PERCENTILE, MEDIAN,
	PERCENTILE_OF, APPROX_PERCENTILE, APPROX_COUNT_DISTINCT, TOPK, ARRAY_AGG, STRING_AGG,
	BOOL_AND, BOOL_OR,
};

/* What DISTINCT does. */
enum distinct { REFUSED, IGNORED, MEANT };

struct definition {
	const char *name;
	enum what what;
	uint8_t args;
	enum distinct distinct;
	const char *usage;
	bool population; /* var */
	bool root;
	bool interpolate;
};

static const struct definition definitions[] = {
	{ .name = "count", .what = COUNT, .args = 1, .distinct = MEANT,
	  .usage = "count(*) or count(x)" },
	{ .name = "sum", .what = SUM, .args = 1, .distinct = MEANT, .usage = "sum(x)" },
	{ .name = "avg", .what = AVG, .args = 1, .distinct = MEANT, .usage = "avg(x)" },
	{ .name = "min", .what = MIN, .args = 1, .distinct = IGNORED, .usage = "min(x)" },
	{ .name = "max", .what = MAX, .args = 1, .distinct = IGNORED, .usage = "max(x)" },
	{ .name = "first", .what = FIRST, .args = 1, .distinct = IGNORED, .usage = "first(x)" },
	{ .name = "last", .what = LAST, .args = 1, .distinct = IGNORED, .usage = "last(x)" },
	{ .name = "median", .what = MEDIAN, .args = 1, .distinct = MEANT,
	  .usage = "median(x)", .interpolate = true },
	{ .name = "stddev", .what = VAR, .args = 1, .distinct = MEANT,
	  .usage = "stddev(x)", .root = true },
	{ .name = "stddev_samp", .what = VAR, .args = 1, .distinct = MEANT,
	  .usage = "stddev_samp(x)", .root = true },
	{ .name = "stddev_pop", .what = VAR, .args = 1, .distinct = MEANT,
	  .usage = "stddev_pop(x)", .root = true, .population = true },
	{ .name = "var", .what = VAR, .args = 1, .distinct = MEANT, .usage = "var(x)" },
	{ .name = "variance", .what = VAR, .args = 1, .distinct = MEANT, .usage = "variance(x)" },
	{ .name = "var_samp", .what = VAR, .args = 1, .distinct = MEANT, .usage = "var_samp(x)" },
	{ .name = "var_pop", .what = VAR, .args = 1, .distinct = MEANT,
	  .usage = "var_pop(x)", .population = true },
	{ .name = "approx_count_distinct", .what = APPROX_COUNT_DISTINCT, .args = 1,
	  .distinct = IGNORED, .usage = "approx_count_distinct(x)" },
	{ .name = "topk", .what = TOPK, .args = 2, .distinct = REFUSED, .usage = "topk(x, k)" },
	{ .name = "array_agg", .what = ARRAY_AGG, .args = 1, .distinct = MEANT,
	  .usage = "array_agg(x)" },
	{ .name = "string_agg", .what = STRING_AGG, .args = 2, .distinct = MEANT,
	  .usage = "string_agg(x, separator)" },
	{ .name = "arg_min", .what = ARG_MIN, .args = 2, .distinct = IGNORED,
	  .usage = "arg_min(x, by)" },
	{ .name = "arg_max", .what = ARG_MAX, .args = 2, .distinct = IGNORED,
	  .usage = "arg_max(x, by)" },
	{ .name = "bool_and", .what = BOOL_AND, .args = 1, .distinct = IGNORED,
	  .usage = "bool_and(x)" },
	{ .name = "bool_or", .what = BOOL_OR, .args = 1, .distinct = IGNORED,
	  .usage = "bool_or(x)" },
	{ .name = "percentile_cont", .what = PERCENTILE_OF, .args = 1, .distinct = MEANT,
	  .usage = "percentile_cont(0.9) WITHIN GROUP (ORDER BY x)", .interpolate = true },
	{ .name = "percentile_disc", .what = PERCENTILE_OF, .args = 1, .distinct = MEANT,
	  .usage = "percentile_disc(0.9) WITHIN GROUP (ORDER BY x)" },
};

/* pNN and approx_pNN: the number is in the name. */
static const struct definition percentile = {
	.name = "p", .what = PERCENTILE, .args = 1, .distinct = MEANT, .usage = "p99(x)",
};
static const struct definition approx_percentile = {
	.name = "approx_p", .what = APPROX_PERCENTILE, .args = 1, .distinct = REFUSED,
	.usage = "approx_p99(x)",
};

const char *const fl__agg_names[] = {
	"count", "sum", "avg", "min", "max", "first", "last", "median", "stddev", "stddev_samp",
	"stddev_pop", "var", "variance", "var_samp", "var_pop", "approx_count_distinct", "topk",
	"array_agg", "string_agg", "arg_min", "arg_max", "bool_and", "bool_or",
	"percentile_cont", "percentile_disc", "p50", "p90", "p95", "p99", "approx_p50",
	"approx_p90", "approx_p95", "approx_p99",
};
const size_t fl__agg_name_count = FL_ARRAY_LEN(fl__agg_names);

/* pNN and pNN_N: 0 to 100 per cent with up to six decimals, as a fraction. */
static bool
parse_percent(const char *p, int64_t *ret_numerator, int64_t *ret_denominator)
{
	int64_t v = 0, den = 100;
	int digits = 0;

	for (; *p >= '0' && *p <= '9'; p++, digits++)
		v = v < 1000 ? v * 10 + (*p - '0') : v;
	if (digits == 0 || digits > 3)
		return false;
	if (*p == '_' && p[1]) {
		for (p++, digits = 0; *p >= '0' && *p <= '9' && digits < 6; p++, digits++) {
			v = v * 10 + (*p - '0');
			den *= 10;
		}
	}
	*ret_numerator = v;
	*ret_denominator = den;
	return !*p && v <= den;
}

static const struct definition *
find_definition(const char *name, int64_t *ret_numerator, int64_t *ret_denominator)
{
	for (size_t i = 0; i < FL_ARRAY_LEN(definitions); i++)
		if (strcmp(definitions[i].name, name) == 0)
			return &definitions[i];
	if (*name == 'p' && parse_percent(name + 1, ret_numerator, ret_denominator))
		return &percentile;
	if (strncmp(name, "approx_p", 8) == 0 &&
	    parse_percent(name + 8, ret_numerator, ret_denominator))
		return &approx_percentile;
	return NULL;
}

bool
fl__is_aggregate(const char *name)
{
	int64_t numerator, denominator;

	return find_definition(name, &numerator, &denominator) != NULL;
}

/* ---- shared parts ------------------------------------------------------- */

static char *
signature_of(struct fl_aggs *a, const struct fl_expr *e)
{
	fl_buf_clear(&a->scratch);
	fl__expr_signature(e, &a->scratch);
	return fl_xstrndup(a->scratch.len ? a->scratch.data : "", a->scratch.len);
}

/* The argument that *e is; takes it unless the same was there. */
static struct fl__arg *
share_arg(struct fl_aggs *a, struct fl_expr **e)
{
	char *signature = signature_of(a, *e);
	struct fl__arg *arg;

	for (uint32_t i = 0; i < a->arg_count; i++) {
		if (strcmp(a->arg[i]->signature, signature) == 0) {
			free(signature);
			return a->arg[i];
		}
	}
	arg = fl_xcalloc(1, sizeof *arg);
	arg->expr = *e;
	arg->signature = signature;
	*e = NULL;
	a->arg = fl_xreallocarray(a->arg, a->arg_count + 1, sizeof *a->arg);
	a->arg[a->arg_count++] = arg;
	return arg;
}

static struct fl__filter *
share_filter(struct fl_aggs *a, struct fl_expr **e)
{
	char *signature;
	struct fl__filter *f;

	if (!*e)
		return NULL;
	signature = signature_of(a, *e);
	for (uint32_t i = 0; i < a->filter_count; i++) {
		if (strcmp(a->filter[i]->signature, signature) == 0) {
			free(signature);
			return a->filter[i];
		}
	}
	f = fl_xcalloc(1, sizeof *f);
	f->expr = *e;
	f->signature = signature;
	*e = NULL;
	a->filter = fl_xreallocarray(a->filter, a->filter_count + 1, sizeof *a->filter);
	a->filter[a->filter_count++] = f;
	return f;
}

static bool
same_core(const struct fl__core *x, const struct fl__core *y)
{
	return x->ops == y->ops && x->arg == y->arg && x->by == y->by && x->filter == y->filter &&
	       x->order == y->order && x->keep_nulls == y->keep_nulls &&
	       x->keep_null_keys == y->keep_null_keys && x->desc == y->desc &&
	       x->nulls_first == y->nulls_first;
}

/* The core that is like want; made if there is none. */
static struct fl__core *
share_core(struct fl_aggs *a, const struct fl__core *want)
{
	struct fl__core *c;

	for (uint32_t i = 0; i < a->core_count; i++) {
		c = a->core[i];
		if (same_core(c, want)) {
			c->needs_number = c->needs_number || want->needs_number;
			return c;
		}
	}
	c = fl_xcalloc(1, sizeof *c);
	*c = *want;
	c->offset = a->size;
	a->size += (c->ops->size + 7) & ~(size_t)7;
	a->core = fl_xreallocarray(a->core, a->core_count + 1, sizeof *a->core);
	a->core[a->core_count++] = c;
	return c;
}

static void
free_call(struct fl__call *call)
{
	if (!call)
		return;
	free(call->signature);
	free(call->text);
	fl_buf_release(&call->separator);
	free(call);
}

void
fl__agg_parts_free(struct fl_aggs *a)
{
	for (uint32_t i = 0; i < a->call_count; i++)
		free_call(a->call[i]);
	for (uint32_t i = 0; i < a->core_count; i++)
		free(a->core[i]);
	for (uint32_t i = 0; i < a->arg_count; i++) {
		fl_expr_free(a->arg[i]->expr);
		free(a->arg[i]->signature);
		fl_badrows_release(&a->arg[i]->bad);
		fl__nums_release(&a->arg[i]->nums);
		fl_buf_release(&a->arg[i]->truth);
		free(a->arg[i]);
	}
	for (uint32_t i = 0; i < a->filter_count; i++) {
		fl_expr_free(a->filter[i]->expr);
		free(a->filter[i]->signature);
		fl_buf_release(&a->filter[i]->rows);
		fl_buf_release(&a->filter[i]->mask);
		free(a->filter[i]);
	}
	free(a->call);
	free(a->core);
	free(a->arg);
	free(a->filter);
}

/* ---- checks ------------------------------------------------------------- */

static int
check_call(const struct definition *d, const struct fl__agg_call *call, struct fl_err *err)
{
	bool ordered_set = d->what == PERCENTILE_OF;
	bool list = d->what == ARRAY_AGG || d->what == STRING_AGG;

	if (call->star && d->what != COUNT)
		return fl_fail(err, FL_EUSAGE, "%s: only count takes *", call->text);
	if (!call->star && call->arg_count != d->args)
		return fl_fail(err, FL_EUSAGE, "%s: wrong number of arguments, want %s", call->text,
			       d->usage);
	if (call->distinct && (call->star || d->distinct == REFUSED))
		return fl_fail(err, FL_EUSAGE, "%s: DISTINCT is not possible here", call->text);
	if (call->within_group != ordered_set)
		return fl_fail(err, FL_EUSAGE, "%s: %swant %s", call->text,
			       ordered_set ? "" : "WITHIN GROUP is not for this, ", d->usage);
	if (!ordered_set && !list && call->order_count)
		return fl_fail(err, FL_EUSAGE, "%s: ORDER BY is only for array_agg and string_agg",
			       call->text);
	if (call->order_count > 1 || (ordered_set && call->order_count != 1))
		return fl_fail(err, FL_EUSAGE, "%s: ORDER BY takes one expression", call->text);
	if (list && call->distinct && call->order_count)
		return fl_fail(err, FL_EUSAGE, "%s: DISTINCT and ORDER BY cannot go together",
			       call->text);
	return 0;
}

/* The value of a constant argument. */
static int
constant(const struct fl__agg_call *call, struct fl_expr *e, const char *what,
	 struct fl__cell *ret, struct fl_err *err)
{
	struct fl_vec v;

	if (!fl__expr_is_constant(e))
		return fl_fail(err, FL_EUSAGE, "%s: %s must be a constant", call->text, what);
	if (fl__expr_constant(e, &v, err) < 0)
		return err->code;
	*ret = fl__cell_get(&v, 0);
	return 0;
}

static int
take_k(const struct fl__agg_call *call, struct fl__call *to, struct fl_err *err)
{
	struct fl__cell v;
	struct fl_dec d;
	int64_t k;

	if (constant(call, call->args[1], "k", &v, err) < 0)
		return err->code;
	if (!fl__cell_number(&v, &d) || !fl_dec_is_int64(&d, &k) || k < 1)
		return fl_fail(err, FL_EUSAGE, "%s: k must be a whole number from 1 on",
			       call->text);
	to->k = (uint64_t)k;
	return 0;
}

static int
take_separator(const struct fl__agg_call *call, struct fl__call *to, struct fl_err *err)
{
	char tmp[FL_NUMBER_TEXT_MAX];
	struct fl__cell v;
	const char *p;
	size_t n;

	if (constant(call, call->args[1], "the separator", &v, err) < 0)
		return err->code;
	p = fl__cell_text(&v, tmp, &n);
	fl_buf_put(&to->separator, p, n);
	return 0;
}

static int
take_fraction(const struct fl__agg_call *call, struct fl__call *to, struct fl_err *err)
{
	struct fl__cell v;
	struct fl_dec d;

	if (constant(call, call->args[0], "the fraction", &v, err) < 0)
		return err->code;
	if (!fl__cell_number(&v, &d) || d.scale > 15 || fl_dec_mantissa(&d) < 0)
		return fl_fail(err, FL_EUSAGE,
			       "%s: the fraction must be between 0 and 1, of up to 15 places",
			       call->text);
	to->numerator = (int64_t)d.lo;
	to->denominator = 1;
	for (uint32_t i = 0; i < d.scale; i++)
		to->denominator *= 10;
	if (d.hi != 0 || to->numerator < 0 || to->numerator > to->denominator)
		return fl_fail(err, FL_EUSAGE, "%s: the fraction must be between 0 and 1",
			       call->text);
	return 0;
}

/* ---- cores and results -------------------------------------------------- */

static void
use(struct fl__call *to, struct fl__core *c, const struct fl__core_ops *ops, fl__result_fn result,
    enum fl_kind kind)
{
	c->ops = ops;
	to->result = result;
	to->kind = kind;
}

static enum fl_kind
kind_of(const struct fl__core *c)
{
	return c->arg ? fl_expr_kind(c->arg->expr) : FL_INT64;
}

static void
choose_count(const struct fl_aggs *a, const struct fl__agg_call *call, struct fl__call *to,
	     struct fl__core *c)
{
	if (call->star)
		use(to, c, &fl__count_all_ops, fl__result_count, FL_INT64);
	else if (call->distinct)
		use(to, c, a->retract ? &fl__set_ops : &fl__distinct_ops,
		    a->retract ? fl__result_set_count : fl__result_distinct, FL_INT64);
	else
		use(to, c, &fl__count_ops, fl__result_count, FL_INT64);
}

static void
choose_sum(const struct definition *d, const struct fl__agg_call *call, struct fl__call *to,
	   struct fl__core *c)
{
	c->needs_number = true;
	if (d->what == VAR)
		use(to, c, call->distinct ? &fl__set_var_ops : &fl__var_ops, fl__result_var,
		    d->root ? FL_DOUBLE : FL_DECIMAL);
	else
		use(to, c, call->distinct ? &fl__set_sum_ops : &fl__sum_ops,
		    d->what == SUM ? fl__result_sum : fl__result_avg, FL_DECIMAL);
	to->population = d->population;
	to->root = d->root;
}

/* A bag's first or last value, instead of what agg-pick.c keeps. */
static void
choose_end(struct fl__call *to, struct fl__core *c, enum fl__bag_order order, bool largest)
{
	use(to, c, &fl__bag_ops, fl__result_bag_end, kind_of(c));
	c->order = order;
	to->largest = largest;
}

static void
choose_pick(const struct fl_aggs *a, const struct definition *d, struct fl__call *to,
	    struct fl__core *c)
{
	static const struct fl__core_ops *const ops[] = {
		[MIN] = &fl__min_ops, [MAX] = &fl__max_ops, [FIRST] = &fl__first_ops,
		[LAST] = &fl__last_ops, [ARG_MIN] = &fl__arg_min_ops, [ARG_MAX] = &fl__arg_max_ops,
	};

	if (!a->retract) {
		use(to, c, ops[d->what], fl__result_pick, kind_of(c));
		return;
	}
	if (d->what == MIN || d->what == MAX) {
		choose_end(to, c, FL__BY_VALUE, d->what == MAX);
	} else if (d->what == FIRST || d->what == LAST) {
		choose_end(to, c, FL__BY_SEQ, d->what == LAST);
	} else {
		choose_end(to, c, FL__BY_KEY, false);
		c->desc = d->what == ARG_MAX; /* of equal ones the first arrival comes first */
	}
}

static void
choose_list(const struct definition *d, const struct fl__agg_call *call, struct fl__call *to,
	    struct fl__core *c)
{
	bool array = d->what == ARRAY_AGG;

	c->keep_nulls = array;
	if (call->distinct) {
		use(to, c, &fl__set_ops, array ? fl__result_set_array : fl__result_set_string,
		    FL_TEXT);
		return;
	}
	use(to, c, &fl__bag_ops, array ? fl__result_bag_array : fl__result_bag_string, FL_TEXT);
	c->order = FL__BY_SEQ;
	if (call->order_count) {
		c->order = FL__BY_KEY;
		c->keep_null_keys = true;
		c->desc = call->order[0].desc;
		c->nulls_first = call->order[0].nulls_first;
	}
}

static int
choose_percentile(const struct fl_aggs *a, const struct definition *d,
		  const struct fl__agg_call *call, struct fl__call *to, struct fl__core *c,
		  struct fl_err *err)
{
	use(to, c, a->retract ? &fl__bag_ops : &fl__quantile_ops, fl__result_percentile,
	    kind_of(c));
	c->order = FL__BY_VALUE;
	c->needs_number = d->interpolate;
	to->interpolate = d->interpolate;
	to->distinct = call->distinct;
	if (d->what == MEDIAN) {
		to->numerator = 5;
		to->denominator = 10;
	}
	if (d->what != PERCENTILE_OF)
		return 0;
	to->descending = call->order[0].desc;
	return take_fraction(call, to, err);
}

static int
choose(struct fl_aggs *a, const struct definition *d, const struct fl__agg_call *call,
       struct fl__call *to, struct fl__core *c, struct fl_err *err)
{
	switch (d->what) {
	case COUNT:
		choose_count(a, call, to, c);
		return 0;
	case SUM:
	case AVG:
	case VAR:
		choose_sum(d, call, to, c);
		return 0;
	case MIN:
	case MAX:
	case FIRST:
	case LAST:
	case ARG_MIN:
	case ARG_MAX:
		choose_pick(a, d, to, c);
		return 0;
	case PERCENTILE:
	case MEDIAN:
	case PERCENTILE_OF:
		return choose_percentile(a, d, call, to, c, err);
	case APPROX_PERCENTILE:
		c->needs_number = true;
		use(to, c, &fl__sketch_ops, fl__result_sketch, FL_DOUBLE);
		return 0;
	case APPROX_COUNT_DISTINCT:
		if (a->retract) /* what is hashed together cannot be taken back */
			use(to, c, &fl__set_ops, fl__result_set_count, FL_INT64);
		else
			use(to, c, &fl__hll_ops, fl__result_hll, FL_INT64);
		return 0;
	case TOPK:
		use(to, c, &fl__set_ops, fl__result_topk, FL_TEXT);
		return take_k(call, to, err);
	case ARRAY_AGG:
	case STRING_AGG:
		choose_list(d, call, to, c);
		return d->what == STRING_AGG ? take_separator(call, to, err) : 0;
	case BOOL_AND:
	case BOOL_OR:
		c->needs_truth = true;
		use(to, c, &fl__truth_ops, fl__result_truth, FL_BOOL);
		to->any = d->what == BOOL_OR;
		return 0;
	}
	return fl_fail(err, FL_EBUG, "%s: not an aggregate", call->text);
}

static bool
goes_by_arrival(enum what what)
{
	return what == FIRST || what == LAST || what == ARG_MIN || what == ARG_MAX ||
	       what == ARRAY_AGG || what == STRING_AGG || what == TOPK;
}

/* What makes two calls the same. */
static char *
call_signature(struct fl_aggs *a, const struct fl__agg_call *call)
{
	struct fl_buf *b = &a->scratch;

	fl_buf_clear(b);
	fl_buf_printf(b, "%s(%s%s", call->name, call->star ? "*" : "",
		      call->distinct ? "distinct " : "");
	for (uint32_t i = 0; i < call->arg_count; i++) {
		fl__expr_signature(call->args[i], b);
		fl_buf_putc(b, ',');
	}
	for (uint32_t i = 0; i < call->order_count; i++) {
		fl_buf_printf(b, " order by %d %d ", call->order[i].desc,
			      call->order[i].nulls_first);
		fl__expr_signature(call->order[i].expr, b);
	}
	if (call->filter) {
		fl_buf_puts(b, ") filter (");
		fl__expr_signature(call->filter, b);
	}
	return fl_xstrndup(b->data, b->len);
}

static void
take_args(struct fl_aggs *a, const struct definition *d, struct fl__agg_call *call,
	  struct fl__core *c)
{
	if (d->what == PERCENTILE_OF)
		c->arg = share_arg(a, &call->order[0].expr);
	else if (call->arg_count)
		c->arg = share_arg(a, &call->args[0]);
	if (d->what == ARG_MIN || d->what == ARG_MAX)
		c->by = share_arg(a, &call->args[1]);
	else if ((d->what == ARRAY_AGG || d->what == STRING_AGG) && call->order_count)
		c->by = share_arg(a, &call->order[0].expr);
	c->filter = share_filter(a, &call->filter);
}

int
fl__agg_found(void *ctx, struct fl__agg_call *call, uint32_t *ret_slot, enum fl_kind *ret_kind,
	      struct fl_err *err)
{
	struct fl_aggs *a = ctx;
	struct fl__call *to = fl_xcalloc(1, sizeof *to);
	struct fl__core c = { 0 };
	const struct definition *d = find_definition(call->name, &to->numerator, &to->denominator);
	uint32_t slot = 0;

	if (!d || check_call(d, call, err) < 0) {
		free_call(to);
		return d ? err->code : fl_fail(err, FL_EBUG, "%s: not an aggregate", call->name);
	}
	to->signature = call_signature(a, call);
	to->text = fl_xstrdup(call->text);
	while (slot < a->call_count && strcmp(a->call[slot]->signature, to->signature) != 0)
		slot++;
	if (slot < a->call_count) {
		free_call(to);
	} else {
		take_args(a, d, call, &c);
		if (choose(a, d, call, to, &c, err) < 0) {
			free_call(to);
			return err->code;
		}
		c.text = to->text;
		to->core = share_core(a, &c);
		if (c.needs_number)
			c.arg->as_number = true;
		if (c.needs_truth)
			c.arg->as_truth = true;
		if (c.ops == &fl__min_ops || c.ops == &fl__max_ops)
			c.arg->as_number_too = true;
		a->order_free = a->order_free && !goes_by_arrival(d->what);
		a->call = fl_xreallocarray(a->call, a->call_count + 1, sizeof *a->call);
		a->call[a->call_count++] = to;
	}
	fl_buf_put(&a->found, &slot, sizeof slot);
	*ret_slot = slot;
	*ret_kind = a->call[slot]->kind;
	return 0;
}
