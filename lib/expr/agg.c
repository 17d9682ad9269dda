/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Aggregates: the interface, the arguments of a batch, saved accumulators.
 *
 * What the calls mean, where SQL leaves it open
 *	- NULLs do not count, but for count(*) and array_agg (which has null for
 *	  them). Nothing but NULLs: count is 0, everything else NULL.
 *	- sum and avg are exact as long as the values are, so they do not depend on
 *	  the order; avg has the scale that PostgreSQL gives a quotient. A value that
 *	  is a double makes the result one. var and stddev are computed from exact
 *	  sums (of values of up to 31 digits and 19 places) and are those of a sample;
 *	  var_pop and stddev_pop of the whole.
 *	- min and max keep the text as it came. Of equal numbers that look different
 *	  (1 and 1.0) min keeps the shorter text, max the longer.
 *	- first and last are the first and last value that is not NULL, by arrival.
 *	  arg_min(x, by) is x where by is least, of several the first arrival; records
 *	  in which one of them is NULL do not count.
 *	- pNN is the nearest rank: of n values in order number ceil(NN / 100 * n), so
 *	  always a value that occurs (PostgreSQL's percentile_disc). p99_9 is 99.9 %.
 *	  median lies half way between the two in the middle where their number is
 *	  even (percentile_cont(0.5)).
 *	- DISTINCT goes by text, as keys do: 1 and 1.0 are two values. It makes no
 *	  difference to min, max, first, last, arg_min, arg_max, bool_and, bool_or.
 *	- topk(x, k): a JSON array of the k values that came most often, the most
 *	  frequent first, of several the first arrival. array_agg: a JSON array.
 *	- approx_count_distinct, approx_pNN: see agg-sketch.c. Over a changelog the
 *	  first is exact.
 *
 * Changelogs: taking back what never came has no effect, as far as that can be
 * seen. first, last, array_agg and string_agg take back the earliest arrival of the
 * value, as in Flink.
 *
 * A saved accumulator, version 1
 *	byte 1 (the version), then for each core, in the order in which their calls
 *	stand in the definitions: a byte with its enum fl__core_id, and
 *
 *	COUNT_ALL, COUNT  number
 *	SUM               number of values; byte scale; byte form: 1 then the sum as a
 *	                  signed number; 0 then 16 bytes; 4 then 32 bytes, the numbers of
 *	                  doubles, NaNs, +Infinity and -Infinity, the sum of the finite
 *	                  doubles and what rounding lost of it (doubles), a number and as
 *	                  many 8-byte words: scale << 48 | values of that scale
 *	VAR               SUM, SUM of the squares, byte 0; or 1, the number of finite and
 *	                  of other doubles, their mean and sum of squared distances
 *	TRUTHS            number of false, number of true
 *	MIN, MAX          value
 *	FIRST, LAST       value, arrival number
 *	ARG_MIN, ARG_MAX  value, value of by, arrival number
 *	BAG               byte order; number of entries; each: value, number (BY_VALUE:
 *	                  how many, else arrival number), BY_KEY: value of the key
 *	SET, SET_SUM, SET_VAR  number of entries; each: value, count, arrival number
 *	HLL               byte 0, number of hashes, 8 bytes each; or 1, 16384 registers
 *	SKETCH            number of bins; each: bin + 100001, count
 *	QUANTILES         byte 1, then BAG; or 0, number of values, if there are any byte
 *	                  tag, byte was text; each: digits as a signed number, byte places
 *
 *	A number is 7 bits a byte, the lowest first, with the highest bit set in all
 *	bytes but the last; a signed number v is (v << 1) ^ (v >> 63) as a number.
 *	Everything else is little-endian. A value is a byte kind (enum
 *	fl__cell_kind), a byte tag (highest bit: was text), and: INT, BOOL, TIME a
 *	signed number; DEC a byte scale and 16 bytes; DOUBLE 8 bytes; SHORT a byte
 *	length and the bytes; LONG a number and the bytes.
 */
#include <stdlib.h>
#include <strings.h>

#include "base/io.h"
#include "base/str.h"
#include "expr/agg-int.h"

/* ---- definitions -------------------------------------------------------- */

struct fl_aggs *
fl_aggs_new(const struct fl_expr_env *env)
{
	struct fl_aggs *a = fl_xcalloc(1, sizeof *a);

	if (env)
		a->env = *env;
	a->order_free = true;
	fl_random(&a->seed, sizeof a->seed);
	return a;
}

void
fl_aggs_free(struct fl_aggs *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->result_count; i++) {
		free(a->result[i].name);
		fl_expr_free(a->result[i].expr);
	}
	fl__agg_parts_free(a);
	fl_build_release(&a->slots);
	fl_buf_release(&a->scratch);
	fl_buf_release(&a->found);
	fl__mem_release(&a->mem);
	free(a->slot_vec);
	free(a->result);
	free(a);
}

/* "count" alone is short for count(*). */
static bool
is_bare_count(const char *p)
{
	p += strspn(p, " \t");
	return strncasecmp(p, "count", 5) == 0 && p[5 + strspn(p + 5, " \t")] == '\0';
}

int
fl_aggs_define(struct fl_aggs *a, const char *definition, struct fl_err *err)
{
	const char *equals = strchr(definition, '=');
	size_t n = equals ? (size_t)(equals - definition) : 0;
	const char *text = equals ? equals + 1 : "";
	struct fl__result *r;

	if (!equals || n == 0 || text[strspn(text, " \t")] == '\0')
		return fl_fail(err, FL_EUSAGE, "\"%s\": want NAME=EXPR", definition);
	for (size_t i = 0; i < a->result_count; i++)
		if (strlen(a->result[i].name) == n && memcmp(a->result[i].name, definition, n) == 0)
			return fl_fail(err, FL_EUSAGE, "\"%s\" is defined twice",
				       a->result[i].name);
	a->result = fl_xreallocarray(a->result, a->result_count + 1, sizeof *a->result);
	r = &a->result[a->result_count++];
	r->name = fl_xstrndup(definition, n);
	r->expr = fl_expr_new(is_bare_count(text) ? "count(*)" : text, &a->env);
	return 0;
}

/* ---- binding ------------------------------------------------------------ */

static bool
is_agg(void *ctx, const char *name)
{
	(void)ctx;
	return fl__is_aggregate(name);
}

static bool
is_key(const struct fl_header *h, uint32_t column)
{
	for (uint32_t i = 0; i < h->key_count; i++)
		if (h->keys[i] == column)
			return true;
	return false;
}

static int
check_columns(const struct fl__result *r, const struct fl_header *h, struct fl_err *err)
{
	uint32_t column;
	const char *name = fl__expr_ref(r->expr, 0, &column);

	if (!name)
		return 0;
	if (is_key(h, column))
		return fl_fail(err, FL_EUSAGE,
			       "%s: the key \"%s\" stands in the result anyway; inside an "
			       "expression write first(%s)", r->name, name, name);
	return fl_fail(err, FL_EUSAGE,
		       "%s: column \"%s\" must be inside an aggregate, as in sum(%s) or last(%s)",
		       r->name, name, name, name);
}

static int
bind_result(struct fl_aggs *a, struct fl__result *r, const struct fl_header *h,
	    const struct fl__agg_hook *hook, struct fl_err *err)
{
	const uint32_t *found;

	fl_buf_clear(&a->found);
	if (fl__expr_bind_aggs(r->expr, h, hook, err) < 0 || check_columns(r, h, err) < 0)
		return err->code;
	if (fl__expr_slot(r->expr) != UINT32_MAX)
		return 0;
	found = (const uint32_t *)(const void *)a->found.data;
	for (size_t i = 0; i < a->found.len / sizeof *found; i++)
		a->call[found[i]]->in_expression = true;
	return 0;
}

/* Columns for the calls that stand in larger expressions. */
static void
make_slots(struct fl_aggs *a)
{
	uint32_t columns = 0;

	if (a->slots.cols || a->slot_vec)
		return;
	for (uint32_t i = 0; i < a->call_count; i++)
		if (a->call[i]->in_expression)
			a->call[i]->column = columns++;
	a->slot_vec = fl_xcalloc(a->call_count, sizeof *a->slot_vec);
	if (columns)
		fl_build_init(&a->slots, columns);
}

int
fl_aggs_bind(struct fl_aggs *a, const struct fl_header *h, bool retract, struct fl_err *err)
{
	const struct fl__agg_hook hook = {
		.ctx = a, .is_agg = is_agg, .found = fl__agg_found,
		.names = fl__agg_names, .name_count = fl__agg_name_count,
	};

	if (!a->slot_vec)
		a->retract = retract;
	for (size_t i = 0; i < a->result_count; i++)
		if (bind_result(a, &a->result[i], h, &hook, err) < 0)
			return err->code;
	for (uint32_t i = 0; i < a->arg_count; i++)
		if (fl_expr_bind(a->arg[i]->expr, h, err) < 0)
			return err->code;
	for (uint32_t i = 0; i < a->filter_count; i++)
		if (fl_expr_bind(a->filter[i]->expr, h, err) < 0)
			return err->code;
	make_slots(a);
	return 0;
}

size_t
fl_aggs_size(const struct fl_aggs *a)
{
	return a->size;
}

size_t
fl_aggs_count(const struct fl_aggs *a)
{
	return a->result_count;
}

const char *
fl_aggs_name(const struct fl_aggs *a, size_t i)
{
	return a->result[i].name;
}

enum fl_kind
fl_aggs_kind(const struct fl_aggs *a, size_t i)
{
	uint32_t slot = fl__expr_slot(a->result[i].expr);

	return slot != UINT32_MAX ? a->call[slot]->kind : fl_expr_kind(a->result[i].expr);
}

size_t
fl_aggs_extra_bytes(const struct fl_aggs *a)
{
	return a->mem.bytes;
}

bool
fl_aggs_order_free(const struct fl_aggs *a)
{
	return a->order_free;
}

/* All expressions one after the other; NULL behind the last. */
static const struct fl_expr *
expression(const struct fl_aggs *a, size_t i)
{
	if (i < a->result_count)
		return a->result[i].expr;
	i -= a->result_count;
	if (i < a->arg_count)
		return a->arg[i]->expr;
	i -= a->arg_count;
	return i < a->filter_count ? a->filter[i]->expr : NULL;
}

/* Whether an expression before number e has named it already. */
static bool
named_before(const struct fl_aggs *a, size_t e, const char *name)
{
	for (size_t i = 0; i < e; i++) {
		const char *other;

		for (size_t k = 0; (other = fl_expr_unseen(expression(a, i), k)); k++)
			if (strcmp(other, name) == 0)
				return true;
	}
	return false;
}

const char *
fl_aggs_unseen(const struct fl_aggs *a, size_t i)
{
	const struct fl_expr *expr;
	const char *name;

	for (size_t e = 0; (expr = expression(a, e)); e++) {
		for (size_t k = 0; (name = fl_expr_unseen(expr, k)); k++) {
			if (named_before(a, e, name))
				continue;
			if (i-- == 0)
				return name;
		}
	}
	return NULL;
}

/* ---- accumulators ------------------------------------------------------- */

void
fl_aggs_init(const struct fl_aggs *a, void *acc)
{
	memset(acc, 0, a->size);
}

void
fl_aggs_clear(struct fl_aggs *a, void *acc)
{
	for (uint32_t i = 0; i < a->core_count; i++)
		if (a->core[i]->ops->clear)
			a->core[i]->ops->clear(a, a->core[i], acc);
	memset(acc, 0, a->size);
}

/* ---- arguments of a batch ----------------------------------------------- */

static int
prepare_filter(struct fl__filter *f, const struct fl_batch *b, struct fl_badrows *bad,
	       struct fl_err *err)
{
	uint32_t *rows, n;
	char *mask;

	fl_buf_clear(&f->rows);
	fl_buf_clear(&f->mask);
	rows = (uint32_t *)(void *)fl_buf_reserve(&f->rows, b->rows * sizeof *rows + 1);
	mask = fl_buf_reserve(&f->mask, b->rows + 1);
	if (fl_expr_filter(f->expr, b, bad, rows, &n, err) < 0)
		return err->code;
	memset(mask, 0, b->rows);
	for (uint32_t i = 0; i < n; i++)
		mask[rows[i]] = 1;
	return 0;
}

static int
prepare_arg(struct fl__arg *arg, const struct fl_batch *b, struct fl_err *err)
{
	fl_badrows_reset(&arg->bad);
	if (fl_expr_eval(arg->expr, b, &arg->bad, &arg->vec, err) < 0)
		return err->code;
	arg->has_nums = arg->as_number || arg->as_number_too;
	if (arg->has_nums)
		fl__nums_parse(&arg->nums, &arg->vec, b->rows);
	if (arg->nums.bad > b->rows / 4)
		arg->as_number_too = false; /* they are not numbers: not worth trying again */
	if (arg->as_truth)
		fl__truths(&arg->truth, &arg->vec, b->rows);
	return 0;
}

/* Records of which an argument could not be computed, where the filter wants them. */
static void
collect_bad(const struct fl__core *c, const struct fl__arg *arg, uint32_t rows,
	    struct fl_badrows *bad)
{
	for (uint32_t i = 0; arg->bad.count && i < rows; i++)
		if (arg->bad.mask.data[i] && fl__passes(c, i))
			if (fl_badrows_add(bad, rows, i, "%s", arg->bad.reason))
				memcpy(bad->place, arg->bad.place, sizeof bad->place);
}

/* The value in quotes, shortened, for a message. */
static const char *
show(const struct fl_vec *v, uint32_t i, char buf[64])
{
	char tmp[FL_NUMBER_TEXT_MAX];
	struct fl__cell c = fl__cell_get(v, i);
	size_t n;
	const char *p = fl__cell_text(&c, tmp, &n);
	size_t most = n <= 40 ? n : 40, at = 0;

	while (most < n && most > 0 && (p[most] & 0xc0) == 0x80)
		most--; /* no half character */
	for (; at < most; at++)
		buf[at] = (unsigned char)p[at] < ' ' || p[at] == 0x7f ? '?' : p[at];
	memcpy(buf + at, n > most ? "..." : "", n > most ? 4 : 1);
	return buf;
}

static void
collect_wrong(const struct fl__core *c, uint32_t rows, struct fl_badrows *bad)
{
	const struct fl__arg *arg = c->arg;
	const uint8_t *is = c->needs_number ? arg->nums.scale : (const uint8_t *)arg->truth.data;
	char buf[64];

	if (c->needs_number && !arg->nums.bad)
		return;
	for (uint32_t i = 0; i < rows; i++)
		if (is[i] == FL__NUM_BAD && fl__passes(c, i))
			fl_badrows_add(bad, rows, i, "%s: not %s: \"%s\"", c->text,
				       c->needs_number ? "a number" : "true or false",
				       show(&arg->vec, i, buf));
}

int
fl_aggs_prepare(struct fl_aggs *a, const struct fl_batch *b, struct fl_badrows *bad,
		struct fl_err *err)
{
	a->rows = b->rows;
	a->op = a->retract ? b->op : NULL;
	for (uint32_t i = 0; i < a->filter_count; i++)
		if (prepare_filter(a->filter[i], b, bad, err) < 0)
			return err->code;
	for (uint32_t i = 0; i < a->arg_count; i++)
		if (prepare_arg(a->arg[i], b, err) < 0)
			return err->code;
	for (uint32_t i = 0; i < a->core_count; i++) {
		const struct fl__core *c = a->core[i];

		if (c->arg)
			collect_bad(c, c->arg, b->rows, bad);
		if (c->by)
			collect_bad(c, c->by, b->rows, bad);
		if (c->needs_number || c->needs_truth)
			collect_wrong(c, b->rows, bad);
	}
	return 0;
}

/* ---- adding, merging ---------------------------------------------------- */

int
fl_aggs_add(struct fl_aggs *a, void *const *accs, const uint32_t *rows, uint32_t first, uint32_t n,
	    uint64_t seq, struct fl_err *err)
{
	const struct fl__rows r = {
		.accs = accs, .rows = rows, .first = first, .n = n, .seq = seq, .op = a->op,
	};

	for (uint32_t i = 0; i < a->core_count; i++) {
		const struct fl__core *c = a->core[i];

		if (c->ops->add(a, c, &r, err) < 0)
			return fl_wrap(err, "%s", c->text);
	}
	return 0;
}

int
fl_aggs_merge(struct fl_aggs *a, void *dst, const void *src, struct fl_err *err)
{
	for (uint32_t i = 0; i < a->core_count; i++) {
		const struct fl__core *c = a->core[i];

		if (c->ops->merge(a, c, dst, src, err) < 0)
			return fl_wrap(err, "%s", c->text);
	}
	return 0;
}

/* ---- results ------------------------------------------------------------ */

static int
call_results(struct fl_aggs *a, const struct fl__call *call, void *const *accs, uint32_t n,
	     struct fl_colbuf *out, struct fl_err *err)
{
	for (uint32_t i = 0; i < n; i++)
		if (call->result(a, call, accs[i], out, err) < 0)
			return fl_wrap(err, "%s", call->text);
	return 0;
}

/* The results of the calls that stand in larger expressions, as vectors. */
static int
fill_slots(struct fl_aggs *a, void *const *accs, uint32_t n, struct fl_err *err)
{
	const struct fl_batch *view;

	if (a->slots.cols == 0)
		return 0;
	fl_build_clear(&a->slots);
	for (uint32_t i = 0; i < a->call_count; i++) {
		const struct fl__call *call = a->call[i];

		if (call->in_expression &&
		    call_results(a, call, accs, n, &a->slots.col[call->column], err) < 0)
			return err->code;
	}
	fl_build_rows(&a->slots, n, 0, 0, FL_INSERT);
	view = fl_build_view(&a->slots);
	for (uint32_t i = 0; i < a->call_count; i++)
		if (a->call[i]->in_expression)
			a->slot_vec[i] = view->col[a->call[i]->column];
	return 0;
}

static int
expression_results(struct fl_aggs *a, struct fl__result *r, uint32_t n, struct fl_colbuf *out,
		   struct fl_err *err)
{
	struct fl_badrows bad = { 0 };
	struct fl_vec v;
	int rc = fl__expr_eval_slots(r->expr, a->slot_vec, a->call_count, n, &bad, &v, err);

	if (rc == 0 && bad.count)
		rc = fl_fail(err, FL_EDATA, "%s: %s%s", r->name, bad.reason, bad.place);
	for (uint32_t i = 0; i < n && rc == 0; i++)
		fl_put_value(out, &v, i);
	fl_badrows_release(&bad);
	return rc;
}

int
fl_aggs_results(struct fl_aggs *a, void *const *accs, uint32_t n, struct fl_colbuf *out,
		struct fl_err *err)
{
	if (fill_slots(a, accs, n, err) < 0)
		return err->code;
	for (size_t i = 0; i < a->result_count; i++) {
		struct fl__result *r = &a->result[i];
		uint32_t slot = fl__expr_slot(r->expr);
		int rc = slot != UINT32_MAX
				 ? call_results(a, a->call[slot], accs, n, &out[i], err)
				 : expression_results(a, r, n, &out[i], err);

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- saving and loading ------------------------------------------------- */

void
fl_aggs_save(const struct fl_aggs *a, const void *acc, struct fl_buf *out)
{
	fl__save_u8(out, FL__SAVED_VERSION);
	for (uint32_t i = 0; i < a->core_count; i++) {
		fl__save_u8(out, (uint8_t)a->core[i]->ops->id);
		a->core[i]->ops->save(a->core[i], acc, out);
	}
}

int
fl_aggs_load(struct fl_aggs *a, void *acc, const char *p, size_t n, struct fl_err *err)
{
	struct fl__reader r = { .p = p, .end = p + n };

	if (fl__load_u8(&r) != FL__SAVED_VERSION)
		return fl_fail(err, FL_EDATA, "a saved accumulator has an unknown version");
	for (uint32_t i = 0; i < a->core_count && !r.bad; i++) {
		if (fl__load_u8(&r) != (uint8_t)a->core[i]->ops->id)
			r.bad = true;
		else
			a->core[i]->ops->load(a, a->core[i], acc, &r);
	}
	if (r.bad || r.p != r.end) {
		fl_aggs_clear(a, acc);
		return fl_fail(err, FL_EDATA, "a saved accumulator is damaged");
	}
	return 0;
}
