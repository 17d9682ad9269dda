/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON by simdjson, for C.
 *
 * Concepts
 *   simdjson reads JSON in two stages. The first goes over the bytes with SIMD
 *   instructions, chosen for the CPU at run time: it checks UTF-8, finds where
 *   strings begin and end, refuses control characters inside them, and lists
 *   the position of every token: { } [ ] : , and the first byte of every
 *   string, number and word. That stage is what the engine here gives to C.
 *
 *   The second stage is ours (json_walk.h), because we need what neither of
 *   simdjson's own second stages gives. DOM turns numbers into doubles and
 *   refuses those that do not fit, where we keep the text; on-demand does not
 *   validate what it skips. And ours is faster for this use: for a line of 93
 *   bytes and five fields, stage one takes 16 ns; with DOM, which then only has
 *   validated, it is 54 ns; with on-demand, visiting all values, 102 ns; with
 *   ours 55 ns, and the batch is made.
 *
 * The engine is a table of functions, so that it can move into a module that
 * is loaded when the first JSON is read, as lib/state/rocksdb.c does. Linking
 * libsimdjson and libstdc++ adds 0.5 ms to the start of a process.
 *
 * Nothing here throws, prints or exits.
 */
#ifndef FL_FORMAT_JSON_SIMDJSON_H
#define FL_FORMAT_JSON_SIMDJSON_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#define FL_NOEXCEPT noexcept
#else
#define FL_NOEXCEPT
#endif

/* Bytes that unescape may read behind a string and write behind its copy. */
#define FL_JSON_PAD 64

/* The largest text that can be indexed at once. */
#define FL_JSON_MAX ((size_t)1 << 30)

/* One tokenizer: the storage of simdjson's first stage. */
struct fl_json_lexer;

/* The tokens of a text: positions in ascending order. at[count] is the length. */
struct fl_json_index {
	const uint32_t *at; /* owned by the lexer, until its next use */
	uint32_t count;
};

enum fl_json_error {
	FL_JSON_OK = 0,
	FL_JSON_MEMORY,   /* no memory for the index */
	FL_JSON_UTF8,     /* the bytes are not UTF-8 */
	FL_JSON_CONTROL,  /* a control character inside a string */
	FL_JSON_UNCLOSED, /* a string without its closing quote */
	FL_JSON_OTHER,
};

/* clang-format off */ /* it takes FL_NOEXCEPT for a name */
struct fl_json_engine {
	/* NULL: no memory. */
	struct fl_json_lexer *(*create)(void) FL_NOEXCEPT;
	void (*destroy)(struct fl_json_lexer *l) FL_NOEXCEPT; /* NULL is fine */

	/*
	 * Find the tokens of p[0..n), n <= FL_JSON_MAX; of white space there are
	 * none. Reads nothing behind n.
	 */
	enum fl_json_error (*index)(struct fl_json_lexer *l, const char *p, size_t n,
				    struct fl_json_index *ret) FL_NOEXCEPT;

	/*
	 * Copy the string whose first byte (behind its opening quote) is s to to,
	 * resolving the escapes. It must end in a quote, as strings found by index
	 * do. FL_JSON_PAD bytes behind it must be readable, to must have room for
	 * the string and FL_JSON_PAD bytes. Returns the end of the copy; NULL for
	 * an escape that JSON does not have, and for half a surrogate pair where
	 * simdjson refuses it.
	 */
	char *(*unescape)(const struct fl_json_lexer *l, const char *s, char *to) FL_NOEXCEPT;

	/* How many of the bytes p[0..n) are valid UTF-8: n, or where it is not. */
	size_t (*utf8_length)(const char *p, size_t n) FL_NOEXCEPT;

	/*
	 * What simdjson's own DOM parser thinks of p[0..n): NULL if it accepts it,
	 * else its message. The second opinion of the tests; it also refuses
	 * numbers that do not fit into 64 bits or a double.
	 */
	const char *(*second_opinion)(const char *p, size_t n) FL_NOEXCEPT;
};
/* clang-format on */

/* The engine. Lives for ever. */
const struct fl_json_engine *fl_json_simdjson(void) FL_NOEXCEPT;

#ifdef __cplusplus
}
#endif
#endif
