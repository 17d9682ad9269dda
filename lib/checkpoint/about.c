/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/about.h"

#include <jansson.h>
#include <stdlib.h>

#define NAMES_MAX FL_COLUMNS_MAX

/* What is no UTF-8 cannot be said. */
static json_t *
text_of(const char *p, size_t n)
{
	json_t *text = json_stringn(p, n);

	return text ? text : json_null();
}

static json_t *
names_of(const struct fl_header *h, bool keys)
{
	uint32_t n = keys ? h->key_count : h->column_count;
	json_t *a = json_array();

	for (uint32_t i = 0; i < n; i++) {
		const struct fl_column *c = &h->columns[keys ? h->keys[i] : i];

		json_array_append_new(a, text_of(c->name, c->name_len));
	}
	return a;
}

static void
say_word(json_t *o, const char *key, const char *word)
{
	if (word)
		json_object_set_new(o, key, json_string(word));
}

void
fl_state_say(const struct fl_state_says *w, struct fl_buf *out)
{
	json_t *o = json_object(), *windows = json_array(), *named = json_object();
	json_t *aggregates = json_array();
	char *text;

	say_word(o, "namespace", w->ns);
	say_word(o, "value", w->value);
	say_word(o, "side", w->side);
	say_word(o, "layout", w->layout);
	if (w->header) {
		json_object_set_new(o, "columns", names_of(w->header, false));
		json_object_set_new(o, "key", names_of(w->header, true));
	}
	if (w->whole_rows && w->header && !w->header->key_count)
		json_object_set_new(o, "whole_rows", json_true());
	if (w->left)
		json_object_set_new(o, "left", names_of(w->left, false));
	if (w->right)
		json_object_set_new(o, "right", names_of(w->right, false));
	for (uint32_t i = 0; i < w->window_count; i++)
		json_array_append_new(windows, json_pack("[I,I]", (json_int_t)w->windows[i][0],
							 (json_int_t)w->windows[i][1]));
	if (w->window_count)
		json_object_set(o, "windows", windows);
	for (uint32_t i = 0; i < w->named_count; i++)
		say_word(named, w->named[i][0], w->named[i][1]);
	if (w->named_count)
		json_object_set(o, "named", named);
	for (uint32_t i = 0; i < w->aggregate_count; i++)
		json_array_append_new(aggregates, text_of(w->aggregates[i],
							  strlen(w->aggregates[i])));
	if (w->aggregate_count)
		json_object_set(o, "aggregates", aggregates);
	if (w->changelog)
		json_object_set_new(o, "changelog", json_true());
	if (w->flat)
		json_object_set_new(o, "flat", json_integer((json_int_t)w->flat));
	json_decref(windows);
	json_decref(named);
	json_decref(aggregates);
	text = json_dumps(o, JSON_COMPACT);
	fl_assert(text);
	fl_buf_put(out, text, strlen(text) + 1);
	free(text);
	json_decref(o);
}

void
fl_state_about_put(const struct fl_header *h, const char *ns, const char *value, struct fl_buf *out)
{
	fl_state_say(&(struct fl_state_says){ .header = h, .ns = ns, .value = value }, out);
}

void
fl_state_section_named(struct fl_save *s, const char *name, uint32_t version,
		       const char *const (*named)[2], uint32_t count)
{
	struct fl_buf about = { 0 };

	fl_state_say(&(struct fl_state_says){ .named = named, .named_count = count }, &about);
	fl_save_section(s, name, version, about.data);
	fl_buf_release(&about);
}

/* ---- reading ------------------------------------------------------------------------- */

static void
take_word(const json_t *o, const char *key, char out[32])
{
	const char *s = json_string_value(json_object_get(o, key));

	if (s && strlen(s) < 32)
		memcpy(out, s, strlen(s) + 1);
}

static void
take_columns(const json_t *o, const char *key, struct fl_header *h)
{
	const json_t *a = json_object_get(o, key);

	for (size_t i = 0; i < json_array_size(a) && i < NAMES_MAX; i++) {
		const json_t *j = json_array_get(a, i);
		bool named = json_is_string(j);

		/* one without a name has its place all the same */
		(void)fl_header_add(h, named ? json_string_value(j) : "?",
				    named ? json_string_length(j) : 1, FL_TEXT);
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

static void
take_windows(const json_t *o, struct fl_state_about *ret)
{
	const json_t *a = json_object_get(o, "windows");
	size_t n = json_array_size(a);

	ret->windows = fl_xcalloc(n + 1, sizeof *ret->windows);
	for (size_t i = 0; i < n; i++) {
		const json_t *w = json_array_get(a, i);

		ret->windows[i][0] = json_integer_value(json_array_get(w, 0));
		ret->windows[i][1] = json_integer_value(json_array_get(w, 1));
	}
	ret->window_count = (uint32_t)n;
}

static void
take_named(json_t *o, struct fl_state_about *ret)
{
	json_t *named = json_object_get(o, "named"), *layout;
	const char *name;

	ret->named = fl_xcalloc(json_object_size(named) + 1, sizeof *ret->named);
	json_object_foreach(named, name, layout)
	{
		if (!json_is_string(layout))
			continue;
		ret->named[ret->named_count++] = (struct fl_state_named){
			.name = fl_xstrdup(name),
			.layout = fl_xstrdup(json_string_value(layout)),
		};
	}
}

void
fl_state_about(const struct fl_state_section *s, struct fl_state_about *ret)
{
	json_t *o = s->about_len ? json_loadb(s->about, s->about_len, JSON_ALLOW_NUL, NULL) : NULL;
	const char *side = json_string_value(json_object_get(o, "side"));
	json_int_t flat;
	const char *layout = json_string_value(json_object_get(o, "layout"));

	*ret = (struct fl_state_about){ .ns_said = json_object_get(o, "namespace") != NULL };
	fl_header_init(&ret->header);
	fl_header_init(&ret->left);
	fl_header_init(&ret->right);
	take_word(o, "namespace", ret->ns);
	take_word(o, "value", ret->value);
	ret->side = side ? fl_xstrdup(side) : NULL;
	ret->layout = layout ? fl_xstrdup(layout) : NULL;
	take_columns(o, "columns", &ret->header);
	take_columns(o, "left", &ret->left);
	take_columns(o, "right", &ret->right);
	take_key(o, ret);
	ret->header.changelog = json_is_true(json_object_get(o, "changelog"));
	ret->whole_rows = json_is_true(json_object_get(o, "whole_rows"));
	take_aggregates(o, ret);
	flat = json_integer_value(json_object_get(o, "flat"));
	ret->flat = flat > 0 && flat <= UINT16_MAX ? (size_t)flat : 0;
	take_windows(o, ret);
	take_named(o, ret);
	json_decref(o);
}

void
fl_state_about_release(struct fl_state_about *a)
{
	for (uint32_t i = 0; i < a->aggregate_count; i++)
		free(a->aggregates[i]);
	for (uint32_t i = 0; i < a->named_count; i++) {
		free(a->named[i].name);
		free(a->named[i].layout);
	}
	free(a->aggregates);
	free(a->windows);
	free(a->named);
	free(a->side);
	free(a->layout);
	fl_header_release(&a->header);
	fl_header_release(&a->left);
	fl_header_release(&a->right);
	*a = (struct fl_state_about){ 0 };
}
