/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "join/windows.h"

#define CANDIDATES_MAX 8192u /* pairs before the condition is looked at */

/* ---- cells ----------------------------------------------------------------------------- */

uint64_t
fl_wcell_seq(const struct fl_wcell *c)
{
	uint64_t l = c->first[0] ? c->first[0]->seq : UINT64_MAX;
	uint64_t r = c->first[1] ? c->first[1]->seq : UINT64_MAX;

	return l < r ? l : r;
}

void
fl_wcell_add(struct fl_wcell *c, enum fl_join_side side, struct fl_slab *slab, uint64_t seq,
	     const char *p, uint32_t len)
{
	struct fl_wrow *r = fl_slab_take(slab, sizeof *r + len);

	*r = (struct fl_wrow){ .seq = seq, .len = len };
	memcpy(r->data, p, len);
	if (c->last[side])
		c->last[side]->next = r;
	else
		c->first[side] = r;
	c->last[side] = r;
}

void
fl_wcell_free(struct fl_wcell *c, struct fl_slab *slab)
{
	for (int side = 0; side < 2; side++) {
		struct fl_wrow *r = c->first[side];

		while (r) {
			struct fl_wrow *next = r->next;

			fl_slab_give(slab, r, sizeof *r + r->len);
			r = next;
		}
	}
	*c = (struct fl_wcell){ 0 };
}

void
fl_wcell_save(const struct fl_wcell *c, const struct fl_window *w, const struct fl_key *key,
	      struct fl_save *s, struct fl_buf *value)
{
	int64_t ns[2] = { w->start, w->end };

	for (int side = 0; side < 2; side++) {
		for (const struct fl_wrow *r = c->first[side]; r; r = r->next) {
			fl_buf_clear(value);
			fl_buf_putc(value, (char)side);
			fl_buf_put(value, &r->seq, sizeof r->seq);
			fl_buf_put(value, r->data, r->len);
			fl_save_entry(
				s, &(struct fl_state_entry){ .ns = (const char *)ns,
							     .ns_len = sizeof ns,
							     .key = key->p,
							     .key_len = key->len,
							     .key_tags = key->tags,
							     .value = value->data,
							     .value_len = (uint32_t)value->len });
		}
	}
}

/* On disk before a row: u64 arrival number, u32 length, u8 side. */
struct saved_row {
	uint64_t seq;
	uint32_t len;
	uint8_t side;
};

#define SAVED_ROW 13u /* bytes of these, one behind the other */

void
fl_wcell_encode(const struct fl_wcell *c, struct fl_buf *out)
{
	for (uint8_t side = 0; side < 2; side++) {
		for (const struct fl_wrow *r = c->first[side]; r; r = r->next) {
			struct saved_row x = { r->seq, r->len, side };

			fl_buf_put(out, &x, SAVED_ROW);
			fl_buf_put(out, r->data, r->len);
		}
	}
}

int
fl_wcell_decode(struct fl_wcell *c, struct fl_slab *slab, struct fl_bytes *value, uint64_t rows,
		struct fl_err *err)
{
	struct saved_row x;

	for (; rows && (value->n || rows != UINT64_MAX); rows -= rows != UINT64_MAX) {
		if (value->n < SAVED_ROW)
			return fl_fail(err, FL_EDATA, "a value in RocksDB's files is damaged");
		memcpy(&x, value->p, SAVED_ROW);
		value->p += SAVED_ROW;
		value->n -= SAVED_ROW;
		if (x.len > value->n || x.side > 1 || fl_row_check(value->p, x.len, err) < 0)
			return fl_fail(err, FL_EDATA, "a value in RocksDB's files is damaged");
		fl_wcell_add(c, (enum fl_join_side)x.side, slab, x.seq, value->p, x.len);
		value->p += x.len;
		value->n -= x.len;
	}
	return 0;
}

uint64_t
fl_wcell_rows(const struct fl_wcell *c)
{
	uint64_t n = 0;

	for (int side = 0; side < 2; side++)
		for (const struct fl_wrow *r = c->first[side]; r; r = r->next)
			n++;
	return n;
}

/* ---- pairs ------------------------------------------------------------------------------- */

static int
by_seq(const void *a, const void *b)
{
	const struct fl_wrow *const *x = a, *const *y = b;

	return (*x)->seq < (*y)->seq ? -1 : (*x)->seq > (*y)->seq;
}

/* The rows of a side in all cells, in the order of arrival, appended; returns how many. */
static uint32_t
collect(const struct fl_wcell *const *cells, uint32_t n, int side, struct fl_buf *out)
{
	size_t before = out->len;
	uint64_t seq = 0;
	bool sorted = true;
	uint32_t count;

	for (uint32_t i = 0; i < n; i++) {
		for (const struct fl_wrow *r = cells[i]->first[side]; r; r = r->next) {
			sorted = sorted && r->seq >= seq;
			seq = r->seq;
			fl_buf_put(out, &r, sizeof r);
		}
	}
	count = (uint32_t)((out->len - before) / sizeof(struct fl_wrow *));
	if (!sorted)
		qsort(out->data + before, count, sizeof(struct fl_wrow *), by_seq);
	return count;
}

static const struct fl_wrow *const *
rights_of(const struct fl_wpairs *p, const struct fl_wunit *u)
{
	return (const struct fl_wrow *const *)(const void *)p->rights.data + u->right_first;
}

static struct fl_half
half_of(const struct fl_wrow *r)
{
	return fl_half_kept(r->data, r->len);
}

static int64_t
time_of(const struct fl_window *w)
{
	return w->end == INT64_MAX ? INT64_MAX : w->end - 1;
}

/* A left row: its pairs, or itself alone. */
static int
tell_left(struct fl_wpairs *p, const struct fl_wunit *u, const uint8_t **io_verdict, int64_t wm,
	  struct fl_err *err)
{
	const struct fl_wrow *const *right = rights_of(p, u);
	uint8_t *matched = (uint8_t *)p->matched.data + u->right_first;
	enum fl_join_kind kind = p->pairs.kind;
	bool found = false;
	int rc = 0;

	for (uint32_t i = 0; i < u->right_count && rc == 0; i++) {
		if (*io_verdict && !*(*io_verdict)++)
			continue;
		if (kind != FL_JOIN_ANTI && (kind != FL_JOIN_SEMI || !found))
			rc = fl_pairs_put(&p->pairs, half_of(u->left), half_of(right[i]),
					  time_of(&u->window), wm, FL_INSERT, err);
		matched[i] = 1;
		found = true;
	}
	if (found || !p->told[FL_JOIN_SIDE_LEFT] || rc < 0)
		return rc;
	return fl_pairs_put(&p->pairs, half_of(u->left), fl_half_none(), time_of(&u->window), wm,
			    FL_INSERT, err);
}

/* The right rows of a group that has ended and that have stayed alone. */
static int
tell_rights(struct fl_wpairs *p, const struct fl_wunit *u, int64_t wm, struct fl_err *err)
{
	const struct fl_wrow *const *right = rights_of(p, u);
	const uint8_t *matched = (const uint8_t *)p->matched.data + u->right_first;
	int rc = 0;

	for (uint32_t i = 0; i < u->right_count && rc == 0; i++)
		if (!matched[i])
			rc = fl_pairs_put(&p->pairs, fl_half_none(), half_of(right[i]),
					  time_of(&u->window), wm, FL_INSERT, err);
	return rc;
}

/* Tell the units that have gathered; the rights of a group in hand stay. */
static int
tell_units(struct fl_wpairs *p, int64_t wm, struct fl_err *err)
{
	const struct fl_wunit *u = (const struct fl_wunit *)(const void *)p->units.data;
	size_t n = p->units.len / sizeof *u;
	const uint8_t *verdict = NULL;
	int rc = 0;

	if (fl_pairs_has_on(&p->pairs))
		rc = fl_pairs_test(&p->pairs, &verdict, err);
	for (size_t i = 0; i < n && rc == 0; i++) {
		fl_pairs_window(&p->pairs, u[i].window.start, u[i].window.end);
		rc = u[i].left ? tell_left(p, &u[i], &verdict, wm, err)
			       : tell_rights(p, &u[i], wm, err);
	}
	fl_buf_clear(&p->units);
	return rc;
}

static void
try_left(struct fl_wpairs *p, const struct fl_wunit *u)
{
	const struct fl_wrow *const *right = rights_of(p, u);

	for (uint32_t i = 0; i < u->right_count; i++)
		fl_pairs_try(&p->pairs, half_of(u->left), half_of(right[i]));
}

int
fl_wpairs_group(struct fl_wpairs *p, const struct fl_window *w, const struct fl_wcell *const *cells,
		uint32_t n, bool null_key, int64_t wm, struct fl_err *err)
{
	struct fl_wunit u = { .window = *w };
	uint32_t lefts;

	fl_buf_clear(&p->lefts);
	lefts = collect(cells, n, FL_JOIN_SIDE_LEFT, &p->lefts);
	if (lefts == 0 && !p->told[FL_JOIN_SIDE_RIGHT])
		return 0;
	(void)fl_buf_reserve(&p->rights, sizeof(struct fl_wrow *)); /* it has an address */
	u.right_first = (uint32_t)(p->rights.len / sizeof(struct fl_wrow *));
	u.right_count = collect(cells, n, FL_JOIN_SIDE_RIGHT, &p->rights);
	memset(fl_buf_reserve(&p->matched, u.right_count), 0, u.right_count);
	p->matched.len += u.right_count;
	fl_pairs_window(&p->pairs, w->start, w->end);
	for (uint32_t i = 0; i < lefts; i++) {
		struct fl_wunit unit = u;

		unit.left = ((const struct fl_wrow *const *)(const void *)p->lefts.data)[i];
		if (null_key)
			unit.right_count = 0;
		fl_buf_put(&p->units, &unit, sizeof unit);
		if (fl_pairs_has_on(&p->pairs))
			try_left(p, &unit);
		if (fl_pairs_tried(&p->pairs) >= CANDIDATES_MAX && tell_units(p, wm, err) < 0)
			return err->code;
	}
	if (p->told[FL_JOIN_SIDE_RIGHT])
		fl_buf_put(&p->units, &u, sizeof u);
	return p->units.len >= CANDIDATES_MAX * sizeof u ? fl_wpairs_flush(p, wm, err) : 0;
}

int
fl_wpairs_flush(struct fl_wpairs *p, int64_t wm, struct fl_err *err)
{
	int rc = p->units.len ? tell_units(p, wm, err) : 0;

	fl_buf_clear(&p->rights);
	fl_buf_clear(&p->matched);
	return rc;
}

void
fl_wpairs_release(struct fl_wpairs *p)
{
	fl_pairs_release(&p->pairs);
	fl_buf_release(&p->lefts);
	fl_buf_release(&p->rights);
	fl_buf_release(&p->matched);
	fl_buf_release(&p->units);
}
