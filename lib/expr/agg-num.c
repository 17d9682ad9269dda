/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments as numbers and as truth values, a whole batch at a time. */
#include <endian.h>
#include <strings.h>

#include "expr/agg-int.h"

#define ASCII_ZEROS UINT64_C(0x3030303030303030)
#define HIGH_HALVES UINT64_C(0xf0f0f0f0f0f0f0f0)

/* ---- numbers ------------------------------------------------------------ */

/*
 * An unsigned integer of 1 to 8 digits, eight bytes at once. Eight bytes from p
 * on must be readable.
 */
static inline bool
parse_eight(const char *p, size_t n, int64_t *ret)
{
	uint64_t w;

	memcpy(&w, p, sizeof w);
	w = le64toh(w) << (64 - 8 * n);
	/* the digits stand at the end; in front go zeros */
	w |= n < 8 ? ASCII_ZEROS >> 8 * n : 0;
	if ((w & HIGH_HALVES) != ASCII_ZEROS ||
	    ((w + UINT64_C(0x0606060606060606)) & HIGH_HALVES) != ASCII_ZEROS)
		return false;
	w &= ~HIGH_HALVES;
	w = (w * 10 + (w >> 8)) & UINT64_C(0x00ff00ff00ff00ff);
	w = (w * 100 + (w >> 16)) & UINT64_C(0x0000ffff0000ffff);
	*ret = (int64_t)((w * 10000 + (w >> 32)) & UINT64_C(0xffffffff));
	return true;
}

/*
 * [-] digits [. digits] with at most 18 digits: all of most columns. *ret_places
 * are those behind the point.
 */
static bool
parse_short(const char *p, size_t n, int64_t *ret, uint8_t *ret_places)
{
	size_t i = n && *p == '-', first = i, point = 0;
	uint64_t v = 0;

	if (n - i > 19 || n == i)
		return false;
	for (; i < n; i++) {
		unsigned d = (unsigned)(unsigned char)p[i] - '0';

		if (d <= 9) {
			v = v * 10 + d;
			continue;
		}
		if (p[i] != '.' || point || i == first || i + 1 == n)
			return false;
		point = i;
	}
	if (!point && n - first > 18)
		return false;
	*ret = first ? -(int64_t)v : (int64_t)v;
	*ret_places = point ? (uint8_t)(n - point - 1) : 0;
	return true;
}

static void *
room(struct fl_buf *b, size_t bytes)
{
	fl_buf_clear(b);
	return fl_buf_reserve(b, bytes + 1);
}

/* Number i goes where the exact number has more than 18 digits, or is a double. */
static void
put_wide(struct fl__nums *n, uint32_t i, uint32_t rows, const struct fl_dec *d, int64_t *mant,
	 uint8_t *scale)
{
	struct fl_dec *wide;

	if (d->scale <= 18 && d->hi == ((int64_t)d->lo < 0 ? -1 : 0)) {
		mant[i] = (int64_t)d->lo;
		scale[i] = (uint8_t)d->scale;
		return;
	}
	if (!n->wide)
		n->wide = room(&n->wide_buf, rows * sizeof *wide);
	wide = (struct fl_dec *)(void *)n->wide_buf.data;
	wide[i] = *d;
	mant[i] = 0;
	scale[i] = FL__NUM_WIDE;
}

/* A text that the short ways do not know. */
static void
parse_rest(struct fl__nums *n, const struct fl_vec *v, uint32_t i, uint32_t rows, int64_t *mant,
	   uint8_t *scale)
{
	struct fl_value value = fl_value_get(v, i);
	struct fl_dec d;

	mant[i] = 0;
	if (value.type == FL_V_NULL) {
		scale[i] = FL__NUM_NULL;
	} else if (fl_value_number(&value, &d)) {
		put_wide(n, i, rows, &d, mant, scale);
	} else {
		scale[i] = FL__NUM_BAD;
		n->bad++;
	}
}

static void
parse_text(struct fl__nums *n, const struct fl_vec *v, uint32_t rows)
{
	int64_t *mant = room(&n->mant_buf, rows * sizeof *mant);
	uint8_t *scale = room(&n->scale_buf, rows);
	const char *last = v->bytes + v->bytes_len;
	bool mixed = v->tags || v->tag > FL_TAG_NUMBER;
	uint8_t all = 0; /* 0 in the end: all scales are the same */

	for (uint32_t i = 0; i < rows; i++) {
		size_t len;
		const char *p = fl_text(v, i, &len);

		scale[i] = 0;
		if (mixed && fl_tag_of(v, i) > FL_TAG_NUMBER) {
			parse_rest(n, v, i, rows, mant, scale);
		} else if (len - 1 < 8 && last - p >= 8 && parse_eight(p, len, &mant[i])) {
			continue;
		} else if (!parse_short(p, len, &mant[i], &scale[i])) {
			parse_rest(n, v, i, rows, mant, scale);
		}
	}
	for (uint32_t i = 0; i < rows; i++)
		all |= scale[i] ^ scale[0];
	n->mant = mant;
	n->scale = scale;
	n->uniform = rows && !all && scale[0] <= 18 ? scale[0] : -1;
}

static void
take_ints(struct fl__nums *n, const struct fl_vec *v, uint32_t rows)
{
	uint8_t *scale = room(&n->scale_buf, rows);
	bool plain = !v->tags && v->tag == FL_TAG_PLAIN;

	memset(scale, 0, rows);
	for (uint32_t i = 0; i < rows && !plain; i++)
		if (fl_is_null(v, i))
			scale[i] = FL__NUM_NULL;
	n->mant = v->i64;
	n->scale = scale;
	n->uniform = plain ? 0 : -1;
}

void
fl__nums_parse(struct fl__nums *n, const struct fl_vec *v, uint32_t rows)
{
	int64_t *mant;
	uint8_t *scale;

	n->wide = NULL;
	n->bad = 0;
	n->uniform = -1;
	if (v->kind == FL_TEXT) {
		parse_text(n, v, rows);
		return;
	}
	if (v->kind == FL_INT64) {
		take_ints(n, v, rows);
		return;
	}
	mant = room(&n->mant_buf, rows * sizeof *mant);
	scale = room(&n->scale_buf, rows);
	for (uint32_t i = 0; i < rows; i++)
		parse_rest(n, v, i, rows, mant, scale);
	n->mant = mant;
	n->scale = scale;
}

void
fl__nums_release(struct fl__nums *n)
{
	fl_buf_release(&n->mant_buf);
	fl_buf_release(&n->scale_buf);
	fl_buf_release(&n->wide_buf);
}

bool
fl__nums_get(const struct fl__nums *n, uint32_t i, struct fl_dec *ret)
{
	uint8_t scale = n->scale[i];

	if (scale == FL__NUM_NULL || scale == FL__NUM_BAD)
		return false;
	if (scale == FL__NUM_WIDE) {
		*ret = n->wide[i];
		return true;
	}
	*ret = fl_dec_from_int(n->mant[i]);
	ret->scale = scale;
	return true;
}

/* ---- truth -------------------------------------------------------------- */

static uint8_t
truth_of(const struct fl_value *v)
{
	if (v->type == FL_V_NULL)
		return FL__NUM_NULL;
	if (v->type == FL_V_BOOL)
		return v->boolean;
	if (v->type != FL_V_TEXT)
		return FL__NUM_BAD;
	if ((v->n == 4 && strncasecmp(v->p, "true", 4) == 0) ||
	    (v->n == 1 && (*v->p | 0x20) == 't'))
		return 1;
	if ((v->n == 5 && strncasecmp(v->p, "false", 5) == 0) ||
	    (v->n == 1 && (*v->p | 0x20) == 'f'))
		return 0;
	return FL__NUM_BAD;
}

void
fl__truths(struct fl_buf *to, const struct fl_vec *v, uint32_t rows)
{
	uint8_t *t = room(to, rows);

	for (uint32_t i = 0; i < rows; i++) {
		struct fl_value value = fl_value_get(v, i);

		t[i] = truth_of(&value);
	}
}
