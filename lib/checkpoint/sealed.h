/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON files with a seal: a last line "xxh3 HEX", the XXH3-64 of all before it. And
 * reading members of JSON objects without trust. Private to lib/checkpoint.
 */
#ifndef FL_CHECKPOINT_SEALED_H
#define FL_CHECKPOINT_SEALED_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

/* Append the text of root, which is given up, and the seal. */
void fl__seal(json_t *root, struct fl_buf *out);

/*
 * The object in a sealed text; json_decref it. FL_EDATA (NULL): damaged, no JSON
 * object, or of a version that is not `version`. what is for messages.
 */
json_t *fl__unseal(const char *p, size_t n, int version, const char *what, struct fl_err *err);

/* Strings that need not be UTF-8 (paths): those that are not, as {"hex": …}. */
json_t *fl__json_text(const char *s);
json_t *fl__json_hash(uint64_t hash); /* 16 hex digits: JSON's numbers are not so long */

/* Members of an object. What is not as it must be is noted in *wrong, once. */
struct fl_members {
	const char *wrong;
};
uint64_t fl__get_u64(struct fl_members *m, const json_t *o, const char *key);
uint32_t fl__get_u32(struct fl_members *m, const json_t *o, const char *key);
int64_t fl__get_i64(struct fl_members *m, const json_t *o, const char *key);
bool fl__get_bool(struct fl_members *m, const json_t *o, const char *key);
uint64_t fl__get_hash(struct fl_members *m, const json_t *o, const char *key);
char *fl__get_text(struct fl_members *m, const json_t *o, const char *key); /* never NULL */
char *fl__text_of(struct fl_members *m, const json_t *j, const char *what);
const json_t *fl__get_array(struct fl_members *m, const json_t *o, const char *key);

#endif
