/* SPDX-License-Identifier: Apache-2.0 */
#include "rank/groupkeys.h"

#include "stream/row.h"

void
fl_groupkeys_init(struct fl_groupkeys *k, bool whole_rows)
{
	*k = (struct fl_groupkeys){ .whole_rows = whole_rows };
	fl_keys_init(&k->keys);
}

void
fl_groupkeys_release(struct fl_groupkeys *k)
{
	fl_keys_release(&k->keys);
	fl_buf_release(&k->bytes);
	fl_buf_release(&k->list);
}

static const struct fl_key *
whole_rows(struct fl_groupkeys *k, const struct fl_batch *b)
{
	struct fl_key *key;
	size_t at = 0;

	fl_buf_clear(&k->bytes);
	fl_buf_clear(&k->list);
	key = (struct fl_key *)(void *)fl_buf_reserve(&k->list, b->rows * sizeof *key + 1);
	for (uint32_t i = 0; i < b->rows; i++)
		key[i] = (struct fl_key){ .len = (uint32_t)fl_row_identity(b, i, &k->bytes) };
	for (uint32_t i = 0; i < b->rows; i++) { /* the buffer has moved until now */
		key[i].p = k->bytes.data ? k->bytes.data + at : "";
		key[i].hash = fl_keys_hash(&k->keys, key[i].p, key[i].len);
		at += key[i].len;
	}
	return key;
}

int
fl_groupkeys_of(struct fl_groupkeys *k, const struct fl_header *h, const struct fl_batch *b,
		const struct fl_key **ret, struct fl_err *err)
{
	if (!k->whole_rows || h->key_count)
		return fl_keys_of(&k->keys, h, b, ret, err);
	*ret = whole_rows(k, b);
	return 0;
}

struct fl_key
fl_groupkeys_loaded(const struct fl_groupkeys *k, const struct fl_state_entry *e)
{
	struct fl_keys null = { .seed = ~k->keys.seed }; /* as state/key.c hashes NULL */
	bool is_null = e->key_len == FL_STATE_NULL_KEY;

	return (struct fl_key){
		.p = is_null ? "" : e->key,
		.len = is_null ? FL_KEY_NULL : e->key_len,
		.tags = e->key_tags,
		.hash = is_null ? fl_keys_hash(&null, "", 0)
				: fl_keys_hash(&k->keys, e->key, e->key_len),
	};
}

void
fl_groupkeys_save(const struct fl_entry *from, struct fl_state_entry *to)
{
	struct fl_key key = fl_entry_key(from);

	to->key = key.p;
	to->key_len = key.len == FL_KEY_NULL ? FL_STATE_NULL_KEY : key.len;
	to->key_tags = key.tags;
}
