/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/sealed.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL /* other libraries export the same names, of other versions */
#include <xxhash.h>

#define SEAL_LEN 22u /* "xxh3 0123456789abcdef\n" */

static int
append(const char *p, size_t n, void *out)
{
	fl_buf_put(out, p, n);
	return 0;
}

static void
seal_of(const char *p, size_t n, char seal[SEAL_LEN + 1])
{
	(void)snprintf(seal, SEAL_LEN + 1, "xxh3 %016" PRIx64 "\n", (uint64_t)XXH3_64bits(p, n));
}

void
fl__seal(json_t *root, struct fl_buf *out)
{
	size_t from = out->len;
	char seal[SEAL_LEN + 1];

	fl_assert(root);
	(void)json_dump_callback(root, append, out, JSON_INDENT(1));
	json_decref(root);
	fl_buf_putc(out, '\n');
	seal_of(out->data + from, out->len - from, seal);
	fl_buf_put(out, seal, SEAL_LEN);
}

json_t *
fl__unseal(const char *p, size_t n, int version, const char *what, struct fl_err *err)
{
	char seal[SEAL_LEN + 1] = "";
	json_error_t jerr;
	json_t *root;
	json_int_t got;

	if (n >= SEAL_LEN)
		seal_of(p, n - SEAL_LEN, seal);
	if (n < SEAL_LEN || memcmp(p + n - SEAL_LEN, seal, SEAL_LEN) != 0) {
		(void)fl_fail(err, FL_EDATA,
			      "%s: damaged: the checksum over its %zu bytes, in its last line, is "
			      "wrong or missing",
			      what, n < SEAL_LEN ? n : n - SEAL_LEN);
		return NULL;
	}
	root = json_loadb(p, n - SEAL_LEN, JSON_REJECT_DUPLICATES, &jerr);
	if (!json_is_object(root)) {
		json_decref(root);
		(void)fl_fail(err, FL_EDATA, "%s: damaged: no JSON object%s%s", what,
			      root ? "" : ": ", root ? "" : jerr.text);
		return NULL;
	}
	got = json_integer_value(json_object_get(root, "version"));
	if (got == version)
		return root;
	json_decref(root);
	(void)fl_fail(err, FL_EDATA,
		      "%s: is of version %lld, this release of flue reads version %d", what,
		      (long long)got, version);
	return NULL;
}

json_t *
fl__json_text(const char *s)
{
	json_t *j = json_string(s);
	struct fl_buf hex = { 0 };

	if (j)
		return j;
	for (const char *p = s; *p; p++)
		fl_buf_printf(&hex, "%02x", (unsigned)(unsigned char)*p);
	j = json_pack("{s:s#}", "hex", hex.data, (int)hex.len);
	fl_buf_release(&hex);
	return j;
}

json_t *
fl__json_hash(uint64_t hash)
{
	char text[17];

	(void)snprintf(text, sizeof text, "%016" PRIx64, hash);
	return json_string(text);
}

static void
note(struct fl_members *m, const char *what)
{
	if (!m->wrong)
		m->wrong = what;
}

int64_t
fl__get_i64(struct fl_members *m, const json_t *o, const char *key)
{
	const json_t *j = json_object_get(o, key);

	if (!json_is_integer(j))
		note(m, key);
	return json_integer_value(j);
}

uint64_t
fl__get_u64(struct fl_members *m, const json_t *o, const char *key)
{
	int64_t v = fl__get_i64(m, o, key);

	if (v < 0)
		note(m, key);
	return v < 0 ? 0 : (uint64_t)v;
}

uint32_t
fl__get_u32(struct fl_members *m, const json_t *o, const char *key)
{
	uint64_t v = fl__get_u64(m, o, key);

	if (v > UINT32_MAX)
		note(m, key);
	return v > UINT32_MAX ? 0 : (uint32_t)v;
}

bool
fl__get_bool(struct fl_members *m, const json_t *o, const char *key)
{
	const json_t *j = json_object_get(o, key);

	if (!json_is_boolean(j))
		note(m, key);
	return json_is_true(j);
}

static int
hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

uint64_t
fl__get_hash(struct fl_members *m, const json_t *o, const char *key)
{
	const json_t *j = json_object_get(o, key);
	const char *s = json_string_value(j);
	uint64_t v = 0;

	if (!s || json_string_length(j) != 16) {
		note(m, key);
		return 0;
	}
	for (; *s; s++) {
		int digit = hex_digit(*s);

		if (digit < 0)
			note(m, key);
		v = v << 4 | (uint64_t)(digit < 0 ? 0 : digit);
	}
	return v;
}

char *
fl__text_of(struct fl_members *m, const json_t *j, const char *what)
{
	const char *s = json_string_value(j), *hex = json_string_value(json_object_get(j, "hex"));
	size_t n;
	char *text;

	if (s && strlen(s) == json_string_length(j))
		return fl_xstrdup(s);
	n = hex ? strlen(hex) : 0;
	if (!hex || n % 2)
		note(m, what);
	text = fl_xmalloc(n / 2 + 1);
	for (size_t i = 0; i < n / 2; i++) {
		int hi = hex_digit(hex[2 * i]), lo = hex_digit(hex[2 * i + 1]);

		if (hi < 0 || lo < 0 || hi + lo == 0)
			note(m, what);
		text[i] = (char)(hi * 16 + lo);
	}
	text[n / 2] = '\0';
	return text;
}

char *
fl__get_text(struct fl_members *m, const json_t *o, const char *key)
{
	return fl__text_of(m, json_object_get(o, key), key);
}

const json_t *
fl__get_array(struct fl_members *m, const json_t *o, const char *key)
{
	const json_t *j = json_object_get(o, key);

	if (!json_is_array(j))
		note(m, key);
	return j; /* json_array_size of anything else is 0 */
}
