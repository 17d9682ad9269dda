/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking into JSON text: one pass, nothing allocated, nothing built.
 *
 * The text is usually valid, as the JSONL reader has checked it whole; but a
 * text column may hold anything, so every function is safe on any bytes, and
 * gives "not there" where the text makes no sense. fl_json_valid is strict.
 */
#ifndef FL_EXPR_JSON_H
#define FL_EXPR_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

enum fl_json_type {
	FL_JSON_NULL,
	FL_JSON_BOOL,
	FL_JSON_NUMBER,
	FL_JSON_STRING,
	FL_JSON_OBJECT,
	FL_JSON_ARRAY,
};

/* A value where it stands: p[0..n) from its first to its last byte. */
struct fl_json {
	enum fl_json_type type;
	const char *p; /* a string's begins behind its quote */
	size_t n;
};

/* The value that text p[0..n) is; false if it begins like none or has more behind. */
bool fl_json_open(const char *p, size_t n, struct fl_json *ret);

/* A member of an object, an element of an array (negative: from the end). */
bool fl_json_get(const struct fl_json *v, const char *key, size_t len, struct fl_json *ret);
bool fl_json_at(const struct fl_json *v, int64_t index, struct fl_json *ret);

/* Members or elements one after the other; key may be NULL. */
struct fl_json_iter {
	const char *p;
	const char *end;
	bool object;
};
void fl_json_iter(const struct fl_json *v, struct fl_json_iter *ret); /* scalars have none */
bool fl_json_next(struct fl_json_iter *it, struct fl_json *key, struct fl_json *value);

int64_t fl_json_count(const struct fl_json *v); /* of members or elements */

/* Append a string's meaning; escapes that are none are kept as they are. */
void fl_json_unescape(const struct fl_json *string, struct fl_buf *out);
bool fl_json_has_escape(const struct fl_json *string);

/* Append text as a JSON string with its quotes; bytes from 0x80 on stay as they are. */
void fl_json_quote(const char *p, size_t n, struct fl_buf *out);

/* Whether p[0..n) is one JSON value (RFC 8259) of at most 512 levels. UTF-8 is not checked. */
bool fl_json_valid(const char *p, size_t n);

#endif
