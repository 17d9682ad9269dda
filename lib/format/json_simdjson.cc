/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simdjson behind a C interface: the one C++ file.
 *
 * It uses internal::dom_parser_implementation, the class in which simdjson's
 * header declares its first stage. simdjson's documented interface has no way
 * to run that stage alone; the class and the three members used here have been
 * the same since 1.0, and a distribution's soname pins them.
 */
#include "format/json_simdjson.h"

#include <simdjson.h>

#include <cstring>
#include <memory>
#include <new>

static_assert(FL_JSON_PAD >= simdjson::SIMDJSON_PADDING, "room that simdjson asks for");
static_assert(FL_JSON_MAX <= simdjson::SIMDJSON_MAXSIZE_BYTES, "size that simdjson can index");

struct fl_json_lexer {
	std::unique_ptr<simdjson::internal::dom_parser_implementation> impl;
	uint32_t length; /* the index of a text without tokens */
};

namespace
{

/* Containers that simdjson's own second stage, which is not used, could nest. */
constexpr size_t UNUSED_DEPTH = 1;

constexpr size_t FIRST_CAPACITY = 1024;

enum fl_json_error
translate(simdjson::error_code e) noexcept
{
	switch (e) {
	case simdjson::SUCCESS:
	case simdjson::EMPTY:
		return FL_JSON_OK;
	case simdjson::MEMALLOC:
		return FL_JSON_MEMORY;
	case simdjson::UTF8_ERROR:
		return FL_JSON_UTF8;
	case simdjson::UNESCAPED_CHARS:
		return FL_JSON_CONTROL;
	case simdjson::UNCLOSED_STRING:
		return FL_JSON_UNCLOSED;
	default:
		return FL_JSON_OTHER;
	}
}

struct fl_json_lexer *
lexer_create() noexcept
{
	std::unique_ptr<fl_json_lexer> l(new (std::nothrow) fl_json_lexer);

	if (!l)
		return nullptr;
	if (simdjson::get_active_implementation()->create_dom_parser_implementation(
		    FIRST_CAPACITY, UNUSED_DEPTH, l->impl))
		return nullptr;
	return l.release();
}

void
lexer_destroy(struct fl_json_lexer *l) noexcept
{
	delete l;
}

enum fl_json_error
lexer_index(struct fl_json_lexer *l, const char *p, size_t n, struct fl_json_index *ret) noexcept
{
	simdjson::error_code e;

	l->length = static_cast<uint32_t>(n);
	ret->at = &l->length;
	ret->count = 0;
	if (n == 0)
		return FL_JSON_OK;
	if (n > l->impl->capacity()) {
		size_t capacity = l->impl->capacity() * 2;

		e = l->impl->set_capacity(capacity > n ? capacity : n);
		if (e)
			return translate(e);
	}
	e = l->impl->stage1(reinterpret_cast<const uint8_t *>(p), n,
			    simdjson::stage1_mode::regular);
	if (e)
		return translate(e);
	ret->at = l->impl->structural_indexes.get();
	ret->count = l->impl->n_structural_indexes;
	return FL_JSON_OK;
}

char *
lexer_unescape(const struct fl_json_lexer *l, const char *s, char *to) noexcept
{
	return reinterpret_cast<char *>(l->impl->parse_string(reinterpret_cast<const uint8_t *>(s),
							      reinterpret_cast<uint8_t *>(to)));
}

/* Bytes of the character that begins with c, by its high bits; 1 if none does. */
size_t
utf8_width(unsigned char c) noexcept
{
	return c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

size_t
utf8_length(const char *p, size_t n) noexcept
{
	size_t i = 0;

	while (i < n) {
		size_t width = utf8_width(static_cast<unsigned char>(p[i]));

		if (width > n - i || !simdjson::validate_utf8(p + i, width))
			break;
		i += width;
	}
	return i;
}

const char *
second_opinion(const char *p, size_t n) noexcept
{
	try {
		simdjson::dom::parser parser;
		simdjson::error_code e = parser.parse(p, n, true).error();

		return e ? simdjson::error_message(e) : nullptr;
	} catch (...) {
		return "out of memory";
	}
}

} // namespace

const struct fl_json_engine *
fl_json_simdjson(void) noexcept
{
	static const struct fl_json_engine engine = {
		lexer_create,   lexer_destroy, lexer_index,
		lexer_unescape, utf8_length,   second_opinion,
	};

	return &engine;
}
