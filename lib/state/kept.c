/* SPDX-License-Identifier: Apache-2.0 */
#include "state/kept.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/io.h"

#define WORD 7u /* in place of the kind */
#define CLEAN 0x08u
#define TAG_SHIFT 4u
#define WORD_BYTES 3u /* of a word's number */
#define NO_WORD UINT32_MAX

#define LENGTH_MIN 8u /* shorter texts take no more room than a number */
#define LENGTH_MAX 256u
#define SLOTS_MIN 1024u
#define COUNT_MAX 65536u /* words of a column */
#define JUDGED 4096u     /* a list is judged after so many texts */

_Static_assert(FL_KINDS <= WORD && FL_TAGS <= 8, "kind, mark and tag fit one byte");
_Static_assert(COUNT_MAX <= 1u << (8 * WORD_BYTES), "a number fits");

static const uint8_t fixed_size[FL_KINDS] = {
	[FL_INT64] = 8, [FL_DECIMAL] = sizeof(struct fl_dec), [FL_DOUBLE] = 8, [FL_BOOL] = 1,
	[FL_TIME] = 8,
};

struct place {
	uint32_t at;
	uint32_t len : 31;
	uint32_t clean : 1;
};

void
fl_kept_init(struct fl_kept *k, struct fl_budget *budget)
{
	*k = (struct fl_kept){ .budget = budget };
	fl_random(&k->seed, sizeof k->seed);
}

void
fl_kept_release(struct fl_kept *k)
{
	for (uint32_t c = 0; c < k->cols; c++) {
		free(k->words[c].slot);
		fl_buf_release(&k->words[c].text);
		fl_buf_release(&k->words[c].place);
	}
	if (k->budget)
		k->budget->used -= k->charged;
	free(k->words);
	fl_buf_release(&k->one);
	fl_buf_release(&k->other);
	*k = (struct fl_kept){ 0 };
}

/* ---- words ----------------------------------------------------------------------------- */

static void
charge(struct fl_kept *k, size_t bytes)
{
	k->charged += bytes;
	k->budget->used += bytes;
}

static const struct place *
place_of(const struct fl_words *w, uint32_t number)
{
	return (const struct place *)(const void *)w->place.data + number;
}

static void
more_slots(struct fl_kept *k, struct fl_words *w)
{
	uint32_t old = w->slot ? w->mask + 1 : 0, slots = old ? 2 * old : SLOTS_MIN;
	uint64_t *slot;

	if (w->count < old / 2)
		return;
	slot = fl_xcalloc(slots, sizeof *slot);
	for (uint32_t i = 0; i < old; i++) {
		uint32_t s = (uint32_t)(w->slot[i] >> 32) & (slots - 1);

		if (!w->slot[i])
			continue;
		while (slot[s])
			s = (s + 1) & (slots - 1);
		slot[s] = w->slot[i];
	}
	free(w->slot);
	w->slot = slot;
	w->mask = slots - 1;
	charge(k, (slots - old) * sizeof *slot);
}

static void
judge(struct fl_words *w)
{
	w->off = w->found < w->asked / 4;
	w->asked = w->found = 0;
}

/* The number of a text among the words, now if not before; NO_WORD: it is none. */
static uint32_t
word_of(struct fl_kept *k, struct fl_words *w, const char *p, uint32_t n, bool clean)
{
	uint32_t hash, s;
	struct place place;
	size_t before;

	if (w->asked == JUDGED)
		judge(w);
	if (w->off)
		return NO_WORD;
	w->asked++;
	more_slots(k, w);
	hash = (uint32_t)XXH3_64bits_withSeed(p, n, k->seed);
	for (s = hash & w->mask; w->slot[s]; s = (s + 1) & w->mask) {
		const struct place *at = place_of(w, (uint32_t)w->slot[s] - 1);

		if (w->slot[s] >> 32 != hash || at->len != n ||
		    memcmp(w->text.data + at->at, p, n) != 0)
			continue;
		w->found++;
		return (uint32_t)w->slot[s] - 1;
	}
	if (w->count == COUNT_MAX)
		return NO_WORD;
	place = (struct place){ .at = (uint32_t)w->text.len, .len = n };
	place.clean = clean || fl_text_is_clean(p, n);
	before = w->text.cap + w->place.cap;
	fl_buf_put(&w->text, p, n);
	fl_buf_put(&w->place, &place, sizeof place);
	charge(k, w->text.cap + w->place.cap - before);
	w->slot[s] = (uint64_t)hash << 32 | (w->count + 1);
	return w->count++;
}

/* ---- packing --------------------------------------------------------------------------- */

static void
pack_text(struct fl_kept *k, uint32_t c, const struct fl_vec *v, uint32_t row, struct fl_buf *out)
{
	size_t n;
	const char *p = fl_text(v, row, &n);
	uint32_t tag = fl_tag_of(v, row) << TAG_SHIFT;
	uint32_t number = n >= LENGTH_MIN && n <= LENGTH_MAX
				  ? word_of(k, &k->words[c], p, (uint32_t)n, v->clean)
				  : NO_WORD;
	uint8_t *to;

	if (number != NO_WORD) {
		bool clean = place_of(&k->words[c], number)->clean;

		to = (uint8_t *)fl_buf_reserve(out, 1 + WORD_BYTES);
		to[0] = (uint8_t)(WORD | (clean ? CLEAN : 0) | tag);
		to[1] = (uint8_t)number;
		to[2] = (uint8_t)(number >> 8);
		to[3] = (uint8_t)(number >> 16);
		out->len += 1 + WORD_BYTES;
		return;
	}
	to = (uint8_t *)fl_buf_reserve(out, n + 6);
	*to++ = (uint8_t)(FL_TEXT | (v->clean || fl_text_is_clean(p, n) ? CLEAN : 0) | tag);
	for (number = (uint32_t)n; number >= 0x80; number >>= 7)
		*to++ = (uint8_t)(number | 0x80);
	*to++ = (uint8_t)number;
	memcpy(to, p, n);
	out->len = (size_t)((char *)to - out->data) + n;
}

static void
more_columns(struct fl_kept *k, uint32_t cols)
{
	k->words = fl_xreallocarray(k->words, cols, sizeof *k->words);
	for (; k->cols < cols; k->cols++)
		k->words[k->cols] = (struct fl_words){ 0 };
}

size_t
fl_kept_pack(struct fl_kept *k, const struct fl_batch *b, uint32_t row, struct fl_buf *out)
{
	size_t before = out->len;

	if (b->cols > k->cols)
		more_columns(k, b->cols);
	for (uint32_t c = 0; c < b->cols; c++) {
		const struct fl_vec *v = &b->col[c];
		uint8_t size = fixed_size[v->kind];

		if (v->kind == FL_TEXT) {
			pack_text(k, c, v, row, out);
			continue;
		}
		fl_buf_putc(out, (char)(v->kind | (uint8_t)(fl_tag_of(v, row) << TAG_SHIFT)));
		fl_buf_put(out, (const char *)v->data + (size_t)row * size, size);
	}
	return out->len - before;
}

/* ---- unpacking ------------------------------------------------------------------------- */

/* A value of a packed record. */
struct value {
	uint8_t kind; /* never WORD */
	uint8_t tag;
	bool clean;
	const char *p; /* its bytes */
	uint32_t len;
};

/* Behind the value of column c at p. */
static inline const char *
read_value(const struct fl_kept *k, uint32_t c, const char *p, struct value *ret)
{
	uint8_t head = (uint8_t)*p++, kind = head & 7;
	uint32_t n;

	*ret = (struct value){ .kind = kind, .tag = head >> TAG_SHIFT, .clean = head & CLEAN };
	if (kind == WORD) {
		const struct place *at;

		n = (uint8_t)p[0] | (uint32_t)(uint8_t)p[1] << 8 | (uint32_t)(uint8_t)p[2] << 16;
		at = place_of(&k->words[c], n);
		ret->kind = FL_TEXT;
		ret->p = k->words[c].text.data + at->at;
		ret->len = at->len;
		return p + WORD_BYTES;
	}
	if (kind == FL_TEXT) {
		n = (uint8_t)*p & 0x7f;
		for (uint32_t shift = 7; *p++ & 0x80; shift += 7)
			n |= (uint32_t)(*p & 0x7f) << shift;
		ret->len = n;
	} else {
		ret->len = fixed_size[kind];
	}
	ret->p = p;
	return p + ret->len;
}

static void
put_fixed(const struct value *x, struct fl_colbuf *to)
{
	_Alignas(8) char room[sizeof(struct fl_dec)];
	struct fl_vec v = { .kind = x->kind, .tag = x->tag, .data = room };

	memcpy(room, x->p, x->len);
	fl_put_value(to, &v, 0);
}

static void
put_missing(enum fl_tag tag, struct fl_colbuf *to)
{
	static const uint32_t none[2] = { 0, 0 };
	struct fl_vec v = { .tag = (uint8_t)tag, .bytes = "", .off = none };

	fl_put_value(to, &v, 0);
}

static inline void
put_value(const struct value *x, struct fl_colbuf *to)
{
	if (x->tag == FL_TAG_NULL || x->tag == FL_TAG_ABSENT)
		put_missing(x->tag, to);
	else if (x->kind == FL_TEXT)
		fl_put_text_known(to, x->p, x->len, x->tag, x->clean);
	else
		put_fixed(x, to);
}

void
fl_kept_put_from(const struct fl_kept *k, const char *p, size_t n, uint32_t first,
		 struct fl_colbuf *to, uint32_t cols)
{
	const char *end = p + n;
	struct value x;
	uint32_t c;

	for (c = 0; c < first && p < end; c++)
		p = read_value(k, c, p, &x);
	for (c = 0; c < cols && p < end; c++) {
		p = read_value(k, first + c, p, &x);
		put_value(&x, &to[c]);
	}
	for (; c < cols; c++)
		put_missing(FL_TAG_ABSENT, &to[c]);
}

void
fl_kept_put_to(const struct fl_kept *k, const char *p, size_t n, const uint32_t *map,
	       uint32_t count, struct fl_colbuf *col)
{
	const char *end = p + n;
	struct value x;
	uint32_t c;

	for (c = 0; c < count && p < end; c++) {
		p = read_value(k, c, p, &x);
		if (map[c] != UINT32_MAX)
			put_value(&x, &col[map[c]]);
	}
	for (; c < count; c++)
		if (map[c] != UINT32_MAX)
			put_missing(FL_TAG_ABSENT, &col[map[c]]);
}

void
fl_kept_unpack(const struct fl_kept *k, const char *p, size_t n, struct fl_buf *out)
{
	const char *end = p + n;
	struct value x;

	for (uint32_t c = 0; p < end; c++) {
		p = read_value(k, c, p, &x);
		fl_buf_putc(out, (char)(x.kind | x.tag << TAG_SHIFT));
		if (x.kind == FL_TEXT) {
			n = x.len;
			for (; n >= 0x80; n >>= 7)
				fl_buf_putc(out, (char)(n | 0x80));
			fl_buf_putc(out, (char)n);
		}
		fl_buf_put(out, x.p, x.len);
	}
}

bool
fl_kept_equal(struct fl_kept *k, const char *a, size_t a_len, const char *b, size_t b_len)
{
	if (a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0))
		return true;
	/* a text may be a word in one of them only */
	fl_buf_clear(&k->one);
	fl_buf_clear(&k->other);
	fl_kept_unpack(k, a, a_len, &k->one);
	fl_kept_unpack(k, b, b_len, &k->other);
	return k->one.len == k->other.len &&
	       (k->one.len == 0 || memcmp(k->one.data, k->other.data, k->one.len) == 0);
}

uint32_t
fl_kept_columns(const char *p, size_t n)
{
	const char *end = p + n;
	uint32_t count = 0;

	for (; p < end; count++) {
		uint8_t kind = (uint8_t)*p++ & 7;
		uint32_t len = 0, shift = 0;

		if (kind == FL_TEXT) {
			do
				len |= (uint32_t)(*p & 0x7f) << shift;
			while (shift += 7, *p++ & 0x80);
		} else {
			len = kind == WORD ? WORD_BYTES : fixed_size[kind];
		}
		p += len;
	}
	return count;
}
