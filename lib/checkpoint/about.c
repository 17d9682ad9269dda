/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/about.h"

#include <jansson.h>
#include <stdlib.h>

#define NAMES_MAX FL_COLUMNS_MAX

/* What is no UTF-8 has no name there. */
static json_t *
name_of(const struct fl_column *c)
{
	json_t *name = json_stringn(c->name, c->name_len);

	return name ? name : json_null();
}

void
fl_state_about_put(const struct fl_header *h, const char *ns, const char *value, struct fl_buf *out)
{
	json_t *columns = json_array(), *key = json_array();
	json_t *o = json_pack("{s:s, s:s}", "namespace", ns, "value", value);
	char *text;

	for (uint32_t i = 0; i < h->column_count; i++)
		json_array_append_new(columns, name_of(&h->columns[i]));
	for (uint32_t i = 0; i < h->key_count; i++)
		json_array_append_new(key, name_of(&h->columns[h->keys[i]]));
	json_object_set_new(o, "columns", columns);
	json_object_set_new(o, "key", key);
	text = json_dumps(o, JSON_COMPACT);
	fl_assert(text);
	fl_buf_put(out, text, strlen(text) + 1);
	free(text);
	json_decref(o);
}

static void
take_word(const json_t *o, const char *key, char out[32])
{
	const char *s = json_string_value(json_object_get(o, key));

	if (s && strlen(s) < 32)
		memcpy(out, s, strlen(s) + 1);
}

static void
take_columns(const json_t *o, struct fl_header *h)
{
	const json_t *a = json_object_get(o, "columns");

	for (size_t i = 0; i < json_array_size(a) && i < NAMES_MAX; i++) {
		const json_t *j = json_array_get(a, i);

		if (json_is_string(j))
			(void)fl_header_add(h, json_string_value(j), json_string_length(j),
					    FL_TEXT);
	}
}

/* A key column that is none of the columns is made one: it needs a name. */
static void
take_key(const json_t *o, struct fl_state_about *ret)
{
	const json_t *a = json_object_get(o, "key");
	struct fl_header *h = &ret->header;
	size_t n = json_array_size(a);

	ret->keyed = json_is_array(a) && n <= NAMES_MAX;
	if (!ret->keyed)
		return;
	h->keys = fl_xcalloc(n, sizeof *h->keys);
	for (size_t i = 0; i < n; i++) {
		const json_t *j = json_array_get(a, i);
		const char *name = json_is_string(j) ? json_string_value(j) : "key";
		size_t len = json_is_string(j) ? json_string_length(j) : 3;
		uint32_t c = fl_header_find(h, name, len);

		h->keys[h->key_count++] = c == FL_NO_COLUMN ? fl_header_add(h, name, len, FL_TEXT)
							    : c;
	}
	h->keyed = n > 0;
}

static void
take_aggregates(const json_t *o, struct fl_state_about *ret)
{
	const json_t *a = json_object_get(o, "aggregates");
	size_t n = json_array_size(a);

	ret->aggregates = fl_xcalloc(n, sizeof *ret->aggregates);
	for (size_t i = 0; i < n; i++) {
		const char *s = json_string_value(json_array_get(a, i));

		if (s)
			ret->aggregates[ret->aggregate_count++] = fl_xstrdup(s);
	}
}

void
fl_state_about(const struct fl_state_section *s, struct fl_state_about *ret)
{
	json_t *o = s->about_len ? json_loadb(s->about, s->about_len, 0, NULL) : NULL;
	const char *side = json_string_value(json_object_get(o, "side"));

	*ret = (struct fl_state_about){ 0 };
	fl_header_init(&ret->header);
	take_word(o, "namespace", ret->ns);
	take_word(o, "value", ret->value);
	ret->side = side ? fl_xstrdup(side) : NULL;
	take_columns(o, &ret->header);
	take_key(o, ret);
	ret->header.changelog = json_is_true(json_object_get(o, "changelog"));
	take_aggregates(o, ret);
	json_decref(o);
}

void
fl_state_about_release(struct fl_state_about *a)
{
	for (uint32_t i = 0; i < a->aggregate_count; i++)
		free(a->aggregates[i]);
	free(a->aggregates);
	free(a->side);
	fl_header_release(&a->header);
	*a = (struct fl_state_about){ 0 };
}
