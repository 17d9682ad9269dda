/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of aggregates, for agg.c and the agg-*.c only.
 *
 * Concepts
 *	An expression such as sum(a) / count(*) has two calls. What a call needs to
 *	remember is a core: a piece of the accumulator and five functions that keep
 *	it. Calls that need the same share one (sum(a) and avg(a)); what they make of
 *	it is their result function.
 *
 *	agg-mem.c     memory of accumulators that have no fixed size
 *	agg-cell.c    one value kept: 24 bytes
 *	agg-num.c     numbers of a column, parsed once a batch
 *	agg-sum.c     count, sum, avg, stddev, var, bool_and, bool_or
 *	agg-pick.c    min, max, first, last, arg_min, arg_max while nothing is taken back
 *	agg-bag.c     all values in order: the same with retractions, lists
 *	agg-quant.c   pNN, median, percentile_cont, percentile_disc
 *	agg-set.c     different values and how often: distinct, topk
 *	agg-ints.c    different integers
 *	agg-sketch.c  approx_count_distinct, approx_pNN
 *	agg-call.c    from a call to its core and result
 *	agg-parts.c   saved accumulators of another list
 *	agg.c         the interface, arguments, saved accumulators
 *
 * A zeroed accumulator is a valid empty one, in every core.
 */
#ifndef FL_EXPR_AGG_INT_H
#define FL_EXPR_AGG_INT_H

#include "expr/agg.h"
#include "expr/expr-int.h"
#include "stream/value.h"

struct fl__core;
struct fl__call;

/* ---- agg-mem.c ---------------------------------------------------------- */

#define FL__MEM_CLASSES 16

/* Memory in size classes; what is given back is used again. */
struct fl__mem {
	struct fl_arena arena;
	void *spare[FL__MEM_CLASSES];
	size_t bytes; /* in use, whole classes */
};

size_t fl__mem_round(size_t size); /* how much an allocation of size really has */
void *fl__mem_alloc(struct fl__mem *m, size_t size);
void fl__mem_free(struct fl__mem *m, void *p, size_t size); /* size as asked for */
void *fl__mem_grow(struct fl__mem *m, void *p, size_t old_size, size_t size);
void fl__mem_release(struct fl__mem *m); /* everything must have been freed but the arena's */

/* ---- agg-cell.c --------------------------------------------------------- */

enum fl__cell_kind {
	FL__CELL_NONE = 0, /* nothing; as a value: NULL */
	FL__CELL_INT,
	FL__CELL_DEC,
	FL__CELL_DOUBLE,
	FL__CELL_BOOL,
	FL__CELL_TIME,
	FL__CELL_SHORT, /* text of up to 20 bytes, in the cell */
	FL__CELL_LONG,  /* text elsewhere */
	FL__CELL_KINDS
};

#define FL__CELL_INLINE 20

enum {
	FL__CELL_WAS_TEXT = 1,  /* INT, DEC */
	FL__CELL_NO_NUMBER = 2, /* SHORT, LONG: fl_value_number would say no */
};

/*
 * A value. Text that is the usual text of its number (5, -3.20, but not 05) is
 * kept as the number; WAS_TEXT then says that it is to be text again, of that
 * tag. Cells of equal text are of equal kind.
 */
struct fl__cell {
	uint8_t kind;    /* enum fl__cell_kind */
	uint8_t tag;     /* enum fl_tag */
	uint8_t n;       /* SHORT: length; DEC: scale */
	uint8_t flags;   /* FL__CELL_.. */
	union {
		char text[FL__CELL_INLINE];
		struct {
			uint32_t len; /* LONG */
			union {
				int64_t i; /* INT, TIME, BOOL */
				double f;
				struct {
					uint64_t lo;
					int64_t hi;
				};
				const char *p; /* LONG */
			} __attribute__((packed, aligned(4)));
		};
	};
};
_Static_assert(sizeof(struct fl__cell) == 24, "a value kept takes 24 bytes");

/* Value i of v. Long text is borrowed from v: see fl__cell_keep. */
struct fl__cell fl__cell_get(const struct fl_vec *v, size_t i);

/* Make a cell independent of where it came from; and give that back. */
void fl__cell_keep(struct fl__mem *m, struct fl__cell *c);
void fl__cell_drop(struct fl__mem *m, struct fl__cell *c);

struct fl_value fl__cell_value(const struct fl__cell *c, char tmp[FL_NUMBER_TEXT_MAX]);
bool fl__cell_number(const struct fl__cell *c, struct fl_dec *ret);
const char *fl__cell_text(const struct fl__cell *c, char tmp[FL_NUMBER_TEXT_MAX], size_t *ret_n);

/* The order of fl_value_compare; NULL last. */
int fl__cell_compare(const struct fl__cell *a, const struct fl__cell *b);

/* The same, then by the length of the text, then by the text; tags do not matter. */
int fl__cell_order(const struct fl__cell *a, const struct fl__cell *b);

/* Equal as keys are: by their text. NULL is equal to NULL. */
bool fl__cell_same(const struct fl__cell *a, const struct fl__cell *b);
uint64_t fl__cell_hash(const struct fl__cell *c, uint64_t seed);

/* Whether these bytes are a cell, with all of its value in it. */
bool fl__cell_is_flat(const struct fl__cell *c);

void fl__cell_put(const struct fl__cell *c, struct fl_colbuf *out);
void fl__cell_json(const struct fl__cell *c, struct fl_buf *out); /* append */

/* ---- saved accumulators ------------------------------------------------- */

#define FL__SAVED_VERSION 1 /* the first byte of each */

/* Reading back: once something is wrong, bad stays and all reads give 0. */
struct fl__reader {
	const char *p;
	const char *end;
	bool bad;
};

void fl__save_u8(struct fl_buf *out, uint8_t v);
void fl__save_u64(struct fl_buf *out, uint64_t v); /* 7 bits a byte, the lowest first */
void fl__save_fixed(struct fl_buf *out, uint64_t v); /* 8 bytes */
void fl__save_double(struct fl_buf *out, double v);
void fl__save_cell(struct fl_buf *out, const struct fl__cell *c);

uint8_t fl__load_u8(struct fl__reader *r);
uint64_t fl__load_u64(struct fl__reader *r);
uint64_t fl__load_fixed(struct fl__reader *r);
double fl__load_double(struct fl__reader *r);
struct fl__cell fl__load_cell(struct fl__reader *r); /* borrows from the bytes */

/* A number of things of which each takes at least min_bytes. */
uint64_t fl__load_count(struct fl__reader *r, size_t min_bytes);

/* ---- agg-num.c: arguments ----------------------------------------------- */

/* Scales of a number column beside 0..18. */
enum {
	FL__NUM_WIDE = 253, /* exact or double: see wide */
	FL__NUM_NULL = 254,
	FL__NUM_BAD = 255,  /* not a number */
};

/* The numbers of a vector: mant[i] / 10^scale[i]. */
struct fl__nums {
	const int64_t *mant;
	const uint8_t *scale;
	const struct fl_dec *wide; /* one a row, where any is WIDE */
	int uniform;               /* the scale of all rows, or -1 */
	uint32_t bad;              /* how many are BAD */
	struct fl_buf mant_buf, scale_buf, wide_buf;
};

void fl__nums_parse(struct fl__nums *n, const struct fl_vec *v, uint32_t rows);
void fl__nums_release(struct fl__nums *n);

/* Number i as a decimal; false where it is NULL or none. */
bool fl__nums_get(const struct fl__nums *n, uint32_t i, struct fl_dec *ret);

/* Values of a batch as three-valued truth: 1, 0, FL__NUM_NULL or FL__NUM_BAD. */
void fl__truths(struct fl_buf *to, const struct fl_vec *v, uint32_t rows);

/* An argument, shared by all cores that use it. */
struct fl__arg {
	struct fl_expr *expr;
	char *signature;
	bool as_number;
	bool as_number_too;    /* min, max: saves time where most values are numbers */
	bool as_truth;
	bool has_nums;         /* nums is that of the batch */
	struct fl_badrows bad; /* of its evaluation */
	struct fl_vec vec;
	struct fl__nums nums;
	struct fl_buf truth;
};

/* FILTER (WHERE ..), shared too. */
struct fl__filter {
	struct fl_expr *expr;
	char *signature;
	struct fl_buf rows;
	struct fl_buf mask; /* one byte a record */
};

/* ---- cores -------------------------------------------------------------- */

/* What to add. */
struct fl__rows {
	void *const *accs;
	const uint32_t *rows; /* or NULL: first, first + 1, .. */
	uint32_t first;
	uint32_t n;
	uint64_t seq;         /* arrival number of the batch's record 0 */
	const uint8_t *op;    /* row kinds, where records are to be taken back */
};

static inline uint32_t
fl__row(const struct fl__rows *r, uint32_t k)
{
	return r->rows ? r->rows[k] : r->first + k;
}

/* Whether record i takes something back. */
static inline bool
fl__is_back(const struct fl__rows *r, uint32_t i)
{
	return r->op && (r->op[i] == FL_UPDATE_BEFORE || r->op[i] == FL_DELETE);
}

/* What a core keeps. The numbers stand in saved accumulators: never change one. */
enum fl__core_id {
	FL__COUNT_ALL = 1, FL__COUNT = 2, FL__SUM = 3, FL__VAR = 4, FL__TRUTHS = 5,
	FL__MIN = 6, FL__MAX = 7, FL__FIRST = 8, FL__LAST = 9, FL__ARG_MIN = 10, FL__ARG_MAX = 11,
	FL__BAG = 12, FL__SET = 13, FL__SET_SUM = 14, FL__SET_VAR = 15, FL__HLL = 16,
	FL__SKETCH = 17, FL__QUANTILES = 18, FL__DISTINCT = 19,
};

struct fl__core_ops {
	enum fl__core_id id;
	size_t size;
	size_t inner; /* where in it the sum is (DISTINCT has its set before) */
	int (*add)(struct fl_aggs *a, const struct fl__core *c, const struct fl__rows *r,
		   struct fl_err *err);
	int (*merge)(struct fl_aggs *a, const struct fl__core *c, void *dst, const void *src,
		     struct fl_err *err);
	void (*clear)(struct fl_aggs *a, const struct fl__core *c, void *acc); /* or NULL */
	void (*save)(const struct fl__core *c, const void *acc, struct fl_buf *out);
	void (*load)(struct fl_aggs *a, const struct fl__core *c, void *acc, struct fl__reader *r);

	/*
	 * Whether acc, which may be any bytes, is an accumulator with nothing behind it. NULL:
	 * none is. Such ones are saved as they lie (fl_aggs_all_flat), so where this is given
	 * the accumulator's layout is a format: see FLAT_LAYOUT in agg-parts.c.
	 */
	bool (*is_flat)(const struct fl__core *c, const void *acc);
};

/* In which order a bag keeps its values. */
enum fl__bag_order {
	FL__BY_VALUE = 0, /* equal ones once, with their number */
	FL__BY_SEQ,       /* by arrival */
	FL__BY_KEY,       /* by a second value, then by arrival */
};

struct fl__core {
	const struct fl__core_ops *ops;
	size_t offset;           /* in the accumulator */
	struct fl__arg *arg;     /* NULL: count(*) */
	struct fl__arg *by;      /* arg_min, ORDER BY */
	struct fl__filter *filter;
	const char *text;        /* of its first call, for messages */
	bool needs_number;
	bool needs_truth;
	enum fl__bag_order order;
	bool keep_nulls;         /* array_agg */
	bool keep_null_keys;     /* ORDER BY */
	bool desc;               /* of BY_KEY */
	bool nulls_first;
};

static inline void *
fl__acc(const struct fl__core *c, const void *acc)
{
	return (char *)(uintptr_t)acc + c->offset;
}

/* Whether record i counts: the filter lets it pass. */
static inline bool
fl__passes(const struct fl__core *c, uint32_t i)
{
	return !c->filter || c->filter->mask.data[i];
}

/* What to make of a core. */
typedef int (*fl__result_fn)(struct fl_aggs *a, const struct fl__call *call, const void *acc,
			     struct fl_colbuf *out, struct fl_err *err);

struct fl__call {
	char *signature;
	char *text;        /* for messages */
	struct fl__core *core;
	fl__result_fn result;
	enum fl_kind kind; /* as far as it is known */
	bool in_expression;
	uint32_t column;   /* in slots, where in_expression */
	bool distinct;     /* percentiles */
	bool largest;      /* min, max, first, last of a bag: the last in order */
	bool population;   /* var_pop, stddev_pop */
	bool root;         /* stddev */
	bool any;          /* bool_or */
	bool interpolate;  /* median, percentile_cont */
	bool descending;   /* WITHIN GROUP (ORDER BY .. DESC) */
	int64_t numerator; /* percentiles: the fraction */
	int64_t denominator;
	uint64_t k;        /* topk */
	struct fl_buf separator;
};

struct fl__result {
	char *name;
	struct fl_expr *expr;
};

struct fl_aggs {
	struct fl_expr_env env;
	bool retract;
	bool order_free;
	size_t size;
	uint64_t seed;
	struct fl__mem mem;
	struct fl__result *result;
	size_t result_count;
	struct fl__call **call;
	uint32_t call_count;
	struct fl__core **core;
	uint32_t core_count;
	struct fl__arg **arg;
	uint32_t arg_count;
	struct fl__filter **filter;
	uint32_t filter_count;
	uint32_t rows;         /* of the prepared batch */
	const uint8_t *op;
	struct fl_buf found;   /* slots of the result that is being bound */
	struct fl_build slots; /* results of calls, for expressions over them */
	struct fl_vec *slot_vec;
	struct fl_buf scratch;
};

extern const struct fl__core_ops fl__count_all_ops, fl__count_ops, fl__sum_ops, fl__var_ops,
	fl__truth_ops, fl__min_ops, fl__max_ops, fl__first_ops, fl__last_ops, fl__arg_min_ops,
	fl__arg_max_ops, fl__bag_ops, fl__set_ops, fl__set_sum_ops, fl__set_var_ops, fl__hll_ops,
	fl__sketch_ops, fl__quantile_ops, fl__distinct_ops;

/* ---- agg-ints.c --------------------------------------------------------- */

/* A set of integers; NULL is an empty one. The seed is the same in every call. */
struct fl__ints;
void fl__ints_put(struct fl__mem *m, struct fl__ints **s, int64_t v, uint64_t seed);
uint32_t fl__ints_count(const struct fl__ints *s);
void fl__ints_free(struct fl__mem *m, struct fl__ints *s);

/* v will be put soon. */
void fl__ints_prefetch(const struct fl__ints *s, int64_t v, uint64_t seed);

/* One after the other; *at is 0 before the first. False: there are no more. */
bool fl__ints_next(const struct fl__ints *s, uint64_t *at, int64_t *ret);

/* ---- agg-sum.c ---------------------------------------------------------- */

/* An exact sum. Empty: no value was added that is not NULL. */
struct fl__sum {
	uint64_t lo;   /* 128 bits with hi; or, where MORE, the struct fl__sum_more */
	int64_t hi;
	uint64_t meta; /* from the lowest: 48 bits number of values, 8 bits scale, 8 bits flags */
};

struct fl__var {
	struct fl__sum sum;
	struct fl__sum squares;
	struct fl__var_more *more; /* doubles, or NULL */
};

/* Add (or take back) one number. FL_EDATA: too large even for 256 bits. */
int fl__sum_put(struct fl_aggs *a, struct fl__sum *s, const struct fl_dec *v, bool back,
		struct fl_err *err);
int fl__var_put(struct fl_aggs *a, struct fl__var *s, const struct fl_dec *v, bool back,
		struct fl_err *err);
void fl__sum_clear(struct fl_aggs *a, struct fl__sum *s);
void fl__var_clear(struct fl_aggs *a, struct fl__var *s);

int fl__result_count(struct fl_aggs *a, const struct fl__call *call, const void *acc,
		     struct fl_colbuf *out, struct fl_err *err);
int fl__result_sum(struct fl_aggs *a, const struct fl__call *call, const void *acc,
		   struct fl_colbuf *out, struct fl_err *err);
int fl__result_avg(struct fl_aggs *a, const struct fl__call *call, const void *acc,
		   struct fl_colbuf *out, struct fl_err *err);
int fl__result_var(struct fl_aggs *a, const struct fl__call *call, const void *acc,
		   struct fl_colbuf *out, struct fl_err *err);
int fl__result_truth(struct fl_aggs *a, const struct fl__call *call, const void *acc,
		     struct fl_colbuf *out, struct fl_err *err);

/* ---- agg-bag.c ------------------------------------------------------------- */

/* Record k of r; and one value to a BY_VALUE bag. acc is that of the core. */
void fl__bag_add_one(struct fl_aggs *a, const struct fl__core *c, const struct fl__rows *r,
		     uint32_t k);
void fl__bag_put(struct fl_aggs *a, const struct fl__core *c, void *acc,
		 const struct fl__cell *v);

/* How many values a BY_VALUE bag has, and number k (from 0) in order. */
uint64_t fl__bag_count(const struct fl__core *c, const void *acc, bool distinct);
const struct fl__cell *fl__bag_select(const struct fl__core *c, const void *acc, uint64_t k,
				      bool distinct);

/* ---- agg-pick.c, agg-bag.c, agg-quant.c, agg-set.c, agg-sketch.c --------------------- */

int fl__result_pick(struct fl_aggs *a, const struct fl__call *call, const void *acc,
		    struct fl_colbuf *out, struct fl_err *err);

int fl__result_bag_end(struct fl_aggs *a, const struct fl__call *call, const void *acc,
		       struct fl_colbuf *out, struct fl_err *err);
int fl__result_percentile(struct fl_aggs *a, const struct fl__call *call, const void *acc,
			  struct fl_colbuf *out, struct fl_err *err);
int fl__result_bag_array(struct fl_aggs *a, const struct fl__call *call, const void *acc,
			 struct fl_colbuf *out, struct fl_err *err);
int fl__result_bag_string(struct fl_aggs *a, const struct fl__call *call, const void *acc,
			  struct fl_colbuf *out, struct fl_err *err);

int fl__result_distinct(struct fl_aggs *a, const struct fl__call *call, const void *acc,
			struct fl_colbuf *out, struct fl_err *err);
int fl__result_set_count(struct fl_aggs *a, const struct fl__call *call, const void *acc,
			 struct fl_colbuf *out, struct fl_err *err);
int fl__result_set_array(struct fl_aggs *a, const struct fl__call *call, const void *acc,
			 struct fl_colbuf *out, struct fl_err *err);
int fl__result_set_string(struct fl_aggs *a, const struct fl__call *call, const void *acc,
			  struct fl_colbuf *out, struct fl_err *err);
int fl__result_topk(struct fl_aggs *a, const struct fl__call *call, const void *acc,
		    struct fl_colbuf *out, struct fl_err *err);

int fl__result_hll(struct fl_aggs *a, const struct fl__call *call, const void *acc,
		   struct fl_colbuf *out, struct fl_err *err);
int fl__result_sketch(struct fl_aggs *a, const struct fl__call *call, const void *acc,
		      struct fl_colbuf *out, struct fl_err *err);

/* Which of n values in order a percentile is: 1 .. n. */
uint64_t fl__rank(const struct fl__call *call, uint64_t n);

/* ---- agg-call.c --------------------------------------------------------- */

/* Whether name is an aggregate; all of them, for suggestions. */
bool fl__is_aggregate(const char *name);
extern const char *const fl__agg_names[];
extern const size_t fl__agg_name_count;

/* struct fl__agg_hook.found, ctx is the struct fl_aggs. */
int fl__agg_found(void *ctx, struct fl__agg_call *call, uint32_t *ret_slot,
		  enum fl_kind *ret_kind, struct fl_err *err);

/* Free calls, cores, arguments and filters. */
void fl__agg_parts_free(struct fl_aggs *a);

#endif
