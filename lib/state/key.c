/* SPDX-License-Identifier: Apache-2.0 */
#include "state/key.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/io.h"
#include "stream/value.h"
#include "time/timestamp.h"

#define KEY_BYTES_MAX FL_MIB(16)
#define TAG_BITS 3
#define TAGS_MAX 10 /* of further key columns the tag is kept only if wide: above the length */
#define LEN_BITS 28
#define LEN_MASK ((UINT32_C(1) << LEN_BITS) - 1)

_Static_assert(FL_TAGS <= 1 << TAG_BITS, "a tag fits");
_Static_assert(KEY_BYTES_MAX <= LEN_MASK, "a length leaves room for a tag");

void
fl_keys_init(struct fl_keys *k)
{
	*k = (struct fl_keys){ 0 };
	fl_random(&k->seed, sizeof k->seed);
}

void
fl_keys_release(struct fl_keys *k)
{
	fl_buf_release(&k->key);
	fl_buf_release(&k->bytes);
}

static uint64_t
hash(const struct fl_keys *k, const char *p, uint32_t len)
{
	return XXH3_64bits_withSeed(p, len == FL_KEY_NULL ? 0 : len,
				    len == FL_KEY_NULL ? ~k->seed : k->seed);
}

uint64_t
fl_keys_hash(const struct fl_keys *k, const char *p, size_t n)
{
	return XXH3_64bits_withSeed(p, n, k->seed);
}

uint64_t
fl_key_hash(const struct fl_keys *k, const struct fl_key *key)
{
	return hash(k, key->p, key->len);
}

/* One key column of text: nothing is copied. */
static void
text_keys(struct fl_keys *k, const struct fl_vec *v, uint32_t rows, struct fl_key *key)
{
	for (uint32_t i = 0; i < rows; i++) {
		uint32_t tag = v->tags ? v->tags[i] : v->tag;
		size_t n;
		const char *p = fl_text(v, i, &n);
		bool null = (n == 0 && tag == FL_TAG_PLAIN) || tag == FL_TAG_NULL ||
			    tag == FL_TAG_ABSENT;

		key[i].p = p;
		key[i].len = null ? FL_KEY_NULL : (uint32_t)n;
		key[i].tags = tag;
		key[i].hash = hash(k, p, key[i].len);
	}
}

static enum fl_tag
tag_of_fixed(const struct fl_vec *v, uint32_t i)
{
	if (v->kind == FL_TEXT || fl_is_null(v, i))
		return fl_tag_of(v, i);
	if (v->kind == FL_BOOL)
		return FL_TAG_BOOL;
	return v->kind == FL_TIME ? FL_TAG_STRING : FL_TAG_NUMBER;
}

/* Append the key bytes of one value; returns its length, FL_KEY_NULL for NULL. */
static uint32_t
append_value(struct fl_keys *k, const struct fl_vec *v, uint32_t i)
{
	char tmp[FL_NUMBER_TEXT_MAX];
	size_t n;
	const char *p = fl_key_bytes(v, i, tmp, &n);

	if (!p)
		return FL_KEY_NULL;
	fl_buf_put(&k->bytes, p, n);
	return (uint32_t)n;
}

/* Several key columns, or one of fixed width: the bytes are made. */
static int
made_keys(struct fl_keys *k, const struct fl_header *h, const struct fl_batch *b,
	  struct fl_key *key, struct fl_err *err)
{
	bool several = h->key_count > 1;

	for (uint32_t i = 0; i < b->rows; i++) {
		size_t at = k->bytes.len;

		key[i].tags = 0;
		key[i].len = 0;
		for (uint32_t c = 0; c < h->key_count; c++) {
			const struct fl_vec *v = fl_batch_col(b, h->keys[c]);
			size_t length_at = k->bytes.len;
			uint32_t len = 0;

			if (several)
				fl_buf_put(&k->bytes, &len, sizeof len);
			len = append_value(k, v, i);
			if (c >= TAGS_MAX && k->wide && len <= LEN_MASK)
				len |= (uint32_t)tag_of_fixed(v, i) << LEN_BITS;
			if (several)
				memcpy(k->bytes.data + length_at, &len, sizeof len);
			else
				key[i].len = len;
			if (c < TAGS_MAX)
				key[i].tags |= (uint32_t)tag_of_fixed(v, i) << (TAG_BITS * c);
		}
		if (k->bytes.len - at > KEY_BYTES_MAX)
			return fl_fail(err, FL_ELIMIT, "a key is longer than 16 MiB");
		if (key[i].len != FL_KEY_NULL)
			key[i].len = (uint32_t)(k->bytes.len - at);
		key[i].hash = at; /* the buffer may move: pointers come at the end */
	}
	for (uint32_t i = 0; i < b->rows; i++) {
		key[i].p = k->bytes.data ? k->bytes.data + key[i].hash : "";
		key[i].hash = hash(k, key[i].p, key[i].len);
	}
	return 0;
}

int
fl_keys_of(struct fl_keys *k, const struct fl_header *h, const struct fl_batch *b,
	   const struct fl_key **ret, struct fl_err *err)
{
	struct fl_key *key;
	const struct fl_vec *v;

	fl_buf_clear(&k->key);
	fl_buf_clear(&k->bytes);
	key = (struct fl_key *)(void *)fl_buf_reserve(&k->key, b->rows * sizeof *key);
	*ret = key;
	if (h->key_count == 1 && (v = fl_batch_col(b, h->keys[0]))->kind == FL_TEXT) {
		text_keys(k, v, b->rows, key);
		return 0;
	}
	return made_keys(k, h, b, key, err);
}

static void
put_bytes(struct fl_colbuf *out, enum fl_kind kind, const char *p, uint32_t len, enum fl_tag tag)
{
	struct fl_timefmt iso;
	struct fl_err err;
	int64_t ms;

	if (len == FL_KEY_NULL) {
		fl_put_null(out);
		return;
	}
	if (kind == FL_TIME && fl_timefmt_init(&iso, "iso", NULL, FL_YEAR_NONE, &err) == 0) {
		int rc = fl_timefmt_parse(&iso, p, len, &ms);

		fl_timefmt_release(&iso);
		if (rc == 0) {
			fl_put_time(out, ms);
			return;
		}
	}
	fl_put_text(out, p, len, tag);
}

void
fl_key_put(const struct fl_key *key, uint32_t c, uint32_t count, enum fl_kind kind,
	   struct fl_colbuf *out)
{
	enum fl_tag tag = c < TAGS_MAX ? (enum fl_tag)(key->tags >> (TAG_BITS * c) & 7)
				       : FL_TAG_PLAIN;
	const char *p = key->p;
	uint32_t len = key->len;

	if (count > 1) {
		for (uint32_t k = 0;; k++) {
			memcpy(&len, p, sizeof len);
			p += sizeof len;
			if (len != FL_KEY_NULL) {
				tag = c < TAGS_MAX ? tag : (enum fl_tag)(len >> LEN_BITS);
				len &= LEN_MASK;
			}
			if (k == c)
				break;
			p += len == FL_KEY_NULL ? 0 : len;
		}
	}
	put_bytes(out, kind, p, len, tag);
}

bool
fl_key_check(const struct fl_key *key, uint32_t count)
{
	size_t left = key->len;
	const char *p = key->p;

	for (uint32_t c = 0; c < count && c < TAGS_MAX; c++)
		if ((key->tags >> (TAG_BITS * c) & 7) >= FL_TAGS)
			return false;
	if (count <= 1)
		return count == 1 || key->len == 0;
	if (key->len == FL_KEY_NULL)
		return false;
	for (uint32_t c = 0; c < count; c++) {
		uint32_t len;

		if (left < sizeof len)
			return false;
		memcpy(&len, p, sizeof len);
		p += sizeof len;
		left -= sizeof len;
		if (len == FL_KEY_NULL)
			continue;
		if (c >= TAGS_MAX && len >> LEN_BITS >= FL_TAGS)
			return false;
		len &= LEN_MASK;
		if (len > left)
			return false;
		p += len;
		left -= len;
	}
	return left == 0;
}
