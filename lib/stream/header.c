/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/header.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"

#define FORMAT_VERSION 1

static const char *const kind_name[FL_KINDS] = {
	[FL_TEXT] = "text",     [FL_INT64] = "int64", [FL_DECIMAL] = "decimal",
	[FL_DOUBLE] = "double", [FL_BOOL] = "bool",   [FL_TIME] = "time",
};

static const char *const window_name[] = {
	[FL_WINDOW_NONE] = "none",         [FL_WINDOW_TUMBLE] = "tumble",
	[FL_WINDOW_SLIDE] = "slide",       [FL_WINDOW_SESSION] = "session",
	[FL_WINDOW_CUMULATE] = "cumulate", [FL_WINDOW_COUNT] = "count",
	[FL_WINDOW_GLOBAL] = "global",
};

static const char *const trigger_name[] = {
	[FL_TRIGGER_DEFAULT] = "default",
	[FL_TRIGGER_EVERY] = "every",
	[FL_TRIGGER_COUNT] = "count",
	[FL_TRIGGER_EAGER] = "eager",
};

/* ---- life cycle --------------------------------------------------------- */

void
fl_header_init(struct fl_header *h)
{
	*h = (struct fl_header){ .window = { .keep_count = -1, .keep_time = -1 } };
}

static void
lineage_release(struct fl_lineage *l)
{
	free(l->uid);
	free(l->tool);
	for (uint32_t i = 0; i < l->arg_count; i++)
		free(l->args[i]);
	free(l->args);
	free(l->inputs);
}

void
fl_header_clear_columns(struct fl_header *h)
{
	for (uint32_t i = 0; i < h->column_count; i++)
		free(h->columns[i].name);
	free(h->columns);
	free(h->keys);
	h->columns = NULL;
	h->keys = NULL;
	h->column_count = h->key_count = 0;
}

void
fl_header_release(struct fl_header *h)
{
	fl_header_clear_columns(h);
	for (uint32_t i = 0; i < h->lineage_count; i++)
		lineage_release(&h->lineage[i]);
	free(h->lineage);
	free(h->time);
	free(h->format);
	free(h->window.late);
	free(h->checkpoint_dir);
	fl_header_init(h);
}

static char *
dup_or_null(const char *s)
{
	return s ? fl_xstrdup(s) : NULL;
}

void
fl_lineage_copy(struct fl_lineage *to, const struct fl_lineage *from)
{
	*to = *from;
	to->uid = fl_xstrdup(from->uid);
	to->tool = fl_xstrdup(from->tool);
	to->args = fl_xcalloc(from->arg_count, sizeof *to->args);
	for (uint32_t i = 0; i < from->arg_count; i++)
		to->args[i] = fl_xstrdup(from->args[i]);
	to->inputs = fl_xcalloc(from->input_count, sizeof *to->inputs);
	for (uint32_t i = 0; i < from->input_count; i++)
		to->inputs[i] = from->inputs[i];
}

void
fl_header_copy(struct fl_header *to, const struct fl_header *from)
{
	fl_header_release(to);
	*to = *from;
	to->columns = NULL;
	to->column_count = 0;
	fl_header_append(to, from, 0);
	to->keys = fl_xcalloc(from->key_count, sizeof *to->keys);
	for (uint32_t i = 0; i < from->key_count; i++)
		to->keys[i] = from->keys[i];
	to->lineage = fl_xcalloc(from->lineage_count, sizeof *to->lineage);
	for (uint32_t i = 0; i < from->lineage_count; i++)
		fl_lineage_copy(&to->lineage[i], &from->lineage[i]);
	to->time = dup_or_null(from->time);
	to->format = dup_or_null(from->format);
	to->window.late = dup_or_null(from->window.late);
	to->checkpoint_dir = dup_or_null(from->checkpoint_dir);
}

/* ---- columns -------------------------------------------------------------- */

uint32_t
fl_header_find(const struct fl_header *h, const char *name, size_t len)
{
	for (uint32_t i = 0; i < h->column_count; i++)
		if (h->columns[i].name_len == len && memcmp(h->columns[i].name, name, len) == 0)
			return i;
	return FL_NO_COLUMN;
}

uint32_t
fl_header_add(struct fl_header *h, const char *name, size_t len, enum fl_kind kind)
{
	uint32_t n = h->column_count;

	if ((n & (n - 1)) == 0) /* grow at powers of two */
		h->columns = fl_xreallocarray(h->columns, n ? 2 * (size_t)n : 1,
					      sizeof *h->columns);
	h->columns[n] = (struct fl_column){
		.name = fl_xstrndup(name, len),
		.name_len = len,
		.kind = (uint8_t)kind,
	};
	h->column_count = n + 1;
	return n;
}

void
fl_header_append(struct fl_header *h, const struct fl_header *from, uint32_t first)
{
	for (uint32_t i = first; i < from->column_count; i++) {
		const struct fl_column *c = &from->columns[i];
		uint32_t at = fl_header_add(h, c->name, c->name_len, (enum fl_kind)c->kind);

		h->columns[at].seconds = c->seconds;
	}
}

bool
fl_header_grows(const struct fl_header *h)
{
	return h->format && (strcmp(h->format, "jsonl") == 0 || strcmp(h->format, "logfmt") == 0);
}

const char *
fl_header_nearest(const struct fl_header *h, const char *name, size_t len)
{
	const char *best = NULL;
	size_t distance = len > 1 ? len / 3 + 2 : 1; /* one letter is like any */

	for (uint32_t i = 0; i < h->column_count; i++) {
		const struct fl_column *c = &h->columns[i];
		size_t d = fl_edit_distance(name, len, c->name, c->name_len, distance);

		if (d < distance) {
			distance = d;
			best = c->name;
		}
	}
	return best;
}

#define ADVICE_TAIL 60 /* room for what stands behind the names */

/* The first record of a file without a header line was taken for one. */
static bool
looks_like_data(const struct fl_header *h)
{
	const struct fl_column *c = &h->columns[0];

	return c->name[0] >= '0' && c->name[0] <= '9' && strcmp(c->name, "1") != 0;
}

const char *
fl_header_advice(const struct fl_header *h, const char *name, size_t len, char buf[FL_ADVICE_MAX])
{
	const char *near = fl_header_nearest(h, name, len);
	size_t n;

	buf[0] = '\0';
	if (near)
		(void)snprintf(buf, FL_ADVICE_MAX, " (did you mean \"%s\"?)", near);
	if (near || h->column_count == 0)
		return buf;
	n = (size_t)snprintf(buf, FL_ADVICE_MAX, h->column_count == 1 ? " (the only column is "
								      : " (the columns are ");
	for (uint32_t i = 0; i < h->column_count; i++) {
		const struct fl_column *c = &h->columns[i];
		const char *comma = i ? ", " : "";

		if (n + c->name_len + ADVICE_TAIL > FL_ADVICE_MAX) {
			n += (size_t)snprintf(buf + n, FL_ADVICE_MAX - n, "%s...", comma);
			break;
		}
		n += (size_t)snprintf(buf + n, FL_ADVICE_MAX - n, "%s%s", comma, c->name);
	}
	(void)snprintf(buf + n, FL_ADVICE_MAX - n,
		       looks_like_data(h) ? "; no header line? --implicit-csv-header)" : ")");
	return buf;
}

/* ---- encoding ------------------------------------------------------------- */

/*
 * A name as JSON: a string, or, where it is not UTF-8 or holds a NUL, an
 * object with its bytes in hexadecimal, so that any header line comes through.
 */
static json_t *
encode_name(const char *p, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	json_t *j = memchr(p, '\0', n) ? NULL : json_stringn(p, n);
	struct fl_buf b = { 0 };

	if (j)
		return j;
	for (size_t i = 0; i < n; i++) {
		fl_buf_putc(&b, hex[(unsigned char)p[i] >> 4]);
		fl_buf_putc(&b, hex[(unsigned char)p[i] & 15]);
	}
	j = json_pack("{s:s%}", "hex", b.data, b.len);
	fl_buf_release(&b);
	return j;
}

static json_t *
encode_window(const struct fl_window_spec *w)
{
	json_t *j = json_pack("{s:s, s:I, s:I, s:I, s:I, s:s, s:I, s:b, s:I, s:I, s:b}", "kind",
			      window_name[w->kind], "size", (json_int_t)w->size, "slide",
			      (json_int_t)w->slide, "offset", (json_int_t)w->offset, "lateness",
			      (json_int_t)w->lateness, "trigger", trigger_name[w->trigger],
			      "trigger_arg", (json_int_t)w->trigger_arg, "purge", (int)w->purge,
			      "keep_count", (json_int_t)w->keep_count, "keep_time",
			      (json_int_t)w->keep_time, "processing_time", (int)w->processing_time);

	if (w->late)
		json_object_set_new(j, "late", encode_name(w->late, strlen(w->late)));
	return j;
}

static json_t *
encode_lineage(const struct fl_lineage *l)
{
	json_t *args = json_array(), *inputs = json_array();

	for (uint32_t i = 0; i < l->arg_count; i++)
		json_array_append_new(args, encode_name(l->args[i], strlen(l->args[i])));
	for (uint32_t i = 0; i < l->input_count; i++)
		json_array_append_new(inputs, json_integer(l->inputs[i]));
	return json_pack("{s:o, s:o, s:o, s:s, s:o}", "uid", encode_name(l->uid, strlen(l->uid)),
			 "tool", encode_name(l->tool, strlen(l->tool)), "args", args, "instance",
			 l->instance, "inputs", inputs);
}

static int
append(const char *p, size_t n, void *out)
{
	fl_buf_put(out, p, n);
	return 0;
}

void
fl_header_encode(const struct fl_header *h, struct fl_buf *out)
{
	json_t *columns = json_array(), *keys = json_array(), *lineage = json_array(), *root;

	for (uint32_t i = 0; i < h->column_count; i++) {
		const struct fl_column *c = &h->columns[i];
		json_t *j = json_pack("{s:o, s:s}", "name", encode_name(c->name, c->name_len),
				      "type", kind_name[c->kind]);

		if (c->seconds)
			json_object_set_new(j, "seconds", json_true());
		json_array_append_new(columns, j);
	}
	for (uint32_t i = 0; i < h->key_count; i++)
		json_array_append_new(keys, json_integer(h->keys[i]));
	for (uint32_t i = 0; i < h->lineage_count; i++)
		json_array_append_new(lineage, encode_lineage(&h->lineage[i]));
	root = json_pack("{s:i, s:o, s:o, s:b, s:b, s:b, s:o}", "version", FORMAT_VERSION,
			 "columns", columns, "key", keys, "keyed", (int)h->keyed, "processing_time",
			 (int)h->processing_time, "changelog", (int)h->changelog, "lineage",
			 lineage);
	if (h->time)
		json_object_set_new(root, "time", encode_name(h->time, strlen(h->time)));
	if (h->format)
		json_object_set_new(root, "format", encode_name(h->format, strlen(h->format)));
	if (h->window.kind != FL_WINDOW_NONE)
		json_object_set_new(root, "window", encode_window(&h->window));
	if (h->raw)
		json_object_set_new(root, "raw", json_true());
	if (h->checkpoint_dir)
		json_object_set_new(
			root, "checkpoint",
			json_pack("{s:o, s:I, s:I}", "directory",
				  encode_name(h->checkpoint_dir, strlen(h->checkpoint_dir)),
				  "attempt", (json_int_t)h->attempt, "restore",
				  (json_int_t)h->restore_id));
	(void)json_dump_callback(root, append, out, JSON_COMPACT);
	json_decref(root);
}

/* ---- decoding ------------------------------------------------------------- */

/* Every getter notes what is wrong once; the caller looks at the end. */
struct decoder {
	const char *wrong; /* NULL, or the first member that is not what it must be */
};

static int
hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static char *
decode_name(struct decoder *d, const json_t *j, const char *what, size_t *ret_len)
{
	const char *p = json_string_value(j);
	size_t n = json_string_length(j);
	char *name;

	if (p) {
		*ret_len = n;
		return fl_xstrndup(p, n);
	}
	p = json_string_value(json_object_get(j, "hex"));
	if (!p || (n = strlen(p)) % 2) {
		d->wrong = d->wrong ? d->wrong : what;
		p = "";
		n = 0;
	}
	name = fl_xmalloc(n / 2 + 1);
	for (size_t i = 0; i < n / 2; i++) {
		int hi = hex_digit(p[2 * i]), lo = hex_digit(p[2 * i + 1]);

		if (hi < 0 || lo < 0)
			d->wrong = what;
		name[i] = (char)(hi * 16 + lo);
	}
	name[n / 2] = '\0';
	*ret_len = n / 2;
	return name;
}

static int64_t
decode_int(struct decoder *d, const json_t *o, const char *key)
{
	const json_t *j = json_object_get(o, key);

	if (!json_is_integer(j))
		d->wrong = d->wrong ? d->wrong : key;
	return json_integer_value(j);
}

static bool
decode_bool(struct decoder *d, const json_t *o, const char *key)
{
	const json_t *j = json_object_get(o, key);

	if (!json_is_boolean(j))
		d->wrong = d->wrong ? d->wrong : key;
	return json_is_true(j);
}

/* An array of indexes, each below limit. */
static uint32_t *
decode_indexes(struct decoder *d, const json_t *o, const char *key, uint32_t limit,
	       uint32_t *ret_count)
{
	const json_t *a = json_object_get(o, key);
	size_t n = json_array_size(a);
	uint32_t *r = fl_xcalloc(n, sizeof *r);

	if (!json_is_array(a) || n > FL_COLUMNS_MAX)
		d->wrong = d->wrong ? d->wrong : key;
	for (size_t i = 0; i < n; i++) {
		const json_t *j = json_array_get(a, i);
		json_int_t v = json_integer_value(j);

		if (!json_is_integer(j) || v < 0 || v >= limit)
			d->wrong = d->wrong ? d->wrong : key;
		else
			r[i] = (uint32_t)v;
	}
	*ret_count = (uint32_t)n;
	return r;
}

static size_t
decode_choice(struct decoder *d, const json_t *o, const char *key, const char *const *names,
	      size_t n)
{
	const char *s = json_string_value(json_object_get(o, key));

	for (size_t i = 0; s && i < n; i++)
		if (strcmp(s, names[i]) == 0)
			return i;
	d->wrong = d->wrong ? d->wrong : key;
	return 0;
}

static void
decode_window(struct decoder *d, const json_t *o, struct fl_window_spec *w)
{
	const json_t *late = json_object_get(o, "late");
	size_t len;

	w->kind = (enum fl_window_kind)decode_choice(d, o, "kind", window_name,
						     FL_ARRAY_LEN(window_name));
	w->size = decode_int(d, o, "size");
	w->slide = decode_int(d, o, "slide");
	w->offset = decode_int(d, o, "offset");
	w->lateness = decode_int(d, o, "lateness");
	w->trigger = (enum fl_trigger_kind)decode_choice(d, o, "trigger", trigger_name,
							 FL_ARRAY_LEN(trigger_name));
	w->trigger_arg = decode_int(d, o, "trigger_arg");
	w->purge = decode_bool(d, o, "purge");
	w->keep_count = decode_int(d, o, "keep_count");
	w->keep_time = decode_int(d, o, "keep_time");
	w->processing_time = decode_bool(d, o, "processing_time");
	if (late)
		w->late = decode_name(d, late, "late", &len);
	if (w->kind != FL_WINDOW_GLOBAL && w->kind != FL_WINDOW_NONE && w->size <= 0)
		d->wrong = "size";
	if (w->slide < 0 || w->lateness < 0 || w->trigger_arg < 0)
		d->wrong = "slide, lateness or trigger_arg";
	if ((w->trigger == FL_TRIGGER_EVERY || w->trigger == FL_TRIGGER_COUNT) &&
	    w->trigger_arg == 0)
		d->wrong = "trigger_arg";
}

static void
decode_one_lineage(struct decoder *d, const json_t *o, uint32_t index, struct fl_lineage *l)
{
	const json_t *args = json_object_get(o, "args");
	const char *instance = json_string_value(json_object_get(o, "instance"));
	size_t len;

	l->uid = decode_name(d, json_object_get(o, "uid"), "uid", &len);
	l->tool = decode_name(d, json_object_get(o, "tool"), "tool", &len);
	l->args = fl_xcalloc(json_array_size(args), sizeof *l->args);
	for (size_t i = 0; i < json_array_size(args); i++)
		l->args[l->arg_count++] = decode_name(d, json_array_get(args, i), "args", &len);
	if (!instance || strlen(instance) != sizeof l->instance - 1)
		d->wrong = d->wrong ? d->wrong : "instance";
	else
		memcpy(l->instance, instance, sizeof l->instance);
	l->inputs = decode_indexes(d, o, "inputs", index, &l->input_count);
}

static void
decode_columns(struct decoder *d, const json_t *root, struct fl_header *h)
{
	const json_t *a = json_object_get(root, "columns");

	if (!json_is_array(a) || json_array_size(a) > FL_COLUMNS_MAX) {
		d->wrong = "columns";
		return;
	}
	for (size_t i = 0; i < json_array_size(a); i++) {
		const json_t *j = json_array_get(a, i);
		size_t len;
		char *name = decode_name(d, json_object_get(j, "name"), "name", &len);
		size_t kind = decode_choice(d, j, "type", kind_name, FL_KINDS);
		uint32_t c = fl_header_add(h, name, len, (enum fl_kind)kind);

		h->columns[c].seconds = json_is_true(json_object_get(j, "seconds"));
		free(name);
	}
}

static void
decode_lineage(struct decoder *d, const json_t *root, struct fl_header *h)
{
	const json_t *a = json_object_get(root, "lineage");
	size_t n = json_array_size(a);

	if (!json_is_array(a) || n > FL_COLUMNS_MAX) {
		d->wrong = "lineage";
		return;
	}
	h->lineage = fl_xcalloc(n, sizeof *h->lineage);
	for (; h->lineage_count < n; h->lineage_count++)
		decode_one_lineage(d, json_array_get(a, h->lineage_count), h->lineage_count,
				   &h->lineage[h->lineage_count]);
}

static void
decode_root(struct decoder *d, const json_t *root, struct fl_header *h)
{
	const json_t *j;
	size_t len;

	decode_columns(d, root, h);
	h->keys = decode_indexes(d, root, "key", h->column_count, &h->key_count);
	h->keyed = decode_bool(d, root, "keyed");
	h->processing_time = decode_bool(d, root, "processing_time");
	h->changelog = decode_bool(d, root, "changelog");
	decode_lineage(d, root, h);
	if ((j = json_object_get(root, "time")))
		h->time = decode_name(d, j, "time", &len);
	if ((j = json_object_get(root, "format")))
		h->format = decode_name(d, j, "format", &len);
	if ((j = json_object_get(root, "window")))
		decode_window(d, j, &h->window);
	h->raw = json_is_true(json_object_get(root, "raw"));
	if ((j = json_object_get(root, "checkpoint"))) {
		h->checkpoint_dir = decode_name(d, json_object_get(j, "directory"), "directory",
						&len);
		h->attempt = (uint64_t)decode_int(d, j, "attempt");
		h->restore_id = (uint64_t)decode_int(d, j, "restore");
	}
}

int
fl_header_decode(struct fl_header *h, const char *json, size_t len, struct fl_err *err)
{
	struct decoder d = { 0 };
	json_error_t jerr;
	json_t *root = json_loadb(json, len, JSON_REJECT_DUPLICATES, &jerr);
	json_int_t version;

	fl_header_release(h);
	if (!root)
		return fl_fail(err, FL_EDATA, "damaged stream: the header is not JSON: %s",
			       jerr.text);
	version = json_integer_value(json_object_get(root, "version"));
	if (version != FORMAT_VERSION) {
		json_decref(root);
		return fl_fail(err, FL_EDATA,
			       "the stream has format version %lld, this tool reads version %d: "
			       "use the same release of flue at both ends",
			       (long long)version, FORMAT_VERSION);
	}
	decode_root(&d, root, h);
	json_decref(root);
	if (!d.wrong)
		return 0;
	fl_header_release(h);
	return fl_fail(err, FL_EDATA,
		       "damaged stream: the header's member \"%s\" is not what it must be",
		       d.wrong);
}
