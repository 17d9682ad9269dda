/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON paths found together (expr/paths.h): on objects that were damaged in random
 * ways, whatever json.h finds one by one is found, and nothing outside of the text is
 * read (the area is exactly as large as its text: the sanitizers see).
 */
#include "expr/paths.h"

#include <stdlib.h>

#include "expr/json.h"
#include "tap.h"

#define ROWS 32u
#define ROUNDS 4000

static const char *const names[] = {
	"k", "auction", "dateTime", "a_name_of_14_b", "longer_than_that_", ""
};
#define NAMES (sizeof names / sizeof *names)

static uint32_t
next(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*state >> 33);
}

static void
put_value(struct fl_buf *out, uint64_t *rng)
{
	static const char *const values[] = { "1",
					      "-2.50",
					      "true",
					      "null",
					      "\"\"",
					      "\"text\"",
					      "\"with \\\"quotes\\\" and \\\\\"",
					      "[1,\"]\"]",
					      "{\"k\":{}}",
					      "\"a text of more than sixteen bytes\"",
					      "\"a text of more than sixteen bytes with \\n\"" };

	fl_buf_puts(out, values[next(rng) % (sizeof values / sizeof *values)]);
}

/* An object with some of the names, mostly in one order; now and then with spaces. */
static void
put_object(struct fl_buf *out, uint64_t *rng)
{
	const char *space = next(rng) % 8 ? "" : " ";
	uint32_t turn = next(rng) % 4 ? 0 : next(rng) % (uint32_t)NAMES;
	bool any = false;

	fl_buf_putc(out, '{');
	for (uint32_t i = 0; i < NAMES; i++) {
		if (next(rng) % 6 == 0)
			continue;
		fl_buf_printf(out, "%s%s\"%s\"%s:%s", any ? "," : "", space,
			      names[(i + turn) % NAMES], space, space);
		put_value(out, rng);
		any = true;
	}
	fl_buf_puts(out, space);
	fl_buf_putc(out, '}');
}

/* Whether the value of row i is what json.h finds; *ret says how many were found. */
static bool
agrees(const struct fl_vec *v, uint32_t i, const char *text, size_t n, const char *name,
       uint32_t *ret_found)
{
	struct fl_json object, want;
	struct fl_buf plain = { 0 };
	size_t len;
	const char *p = fl_text(v, i, &len);
	bool same;

	if (!fl_json_open(text, n, &object) || !fl_json_get(&object, name, strlen(name), &want))
		return fl_tag_of(v, i) == FL_TAG_ABSENT && len == 0;
	++*ret_found;
	if (want.type == FL_JSON_NULL)
		return fl_tag_of(v, i) == FL_TAG_NULL && len == 0;
	if (want.type == FL_JSON_STRING)
		fl_json_unescape(&want, &plain);
	else
		fl_buf_put(&plain, want.p, want.n);
	same = len == plain.len && (len == 0 || memcmp(p, plain.data, len) == 0) &&
	       (fl_tag_of(v, i) == FL_TAG_STRING) == (want.type == FL_JSON_STRING);
	fl_buf_release(&plain);
	return same;
}

/* One batch; damage: how many bytes of it are changed. */
static bool
round_agrees(struct fl_paths *paths, const struct fl_path *at, uint64_t *rng, uint32_t damage,
	     uint32_t *ret_found)
{
	struct fl_buf text = { 0 };
	uint32_t off[ROWS + 1] = { 0 };
	struct fl_vec col = { .kind = FL_TEXT, .tag = FL_TAG_OBJECT, .stride = 1, .off = off };
	struct fl_batch b = { .rows = ROWS, .cols = 1, .col = &col };
	bool good = true;
	char *area;

	for (uint32_t i = 0; i < ROWS; i++) {
		put_object(&text, rng);
		off[i + 1] = (uint32_t)text.len;
	}
	for (; damage; damage--)
		text.data[next(rng) % text.len] = "{}[]\",:\\ x0\n"[next(rng) % 12];
	area = malloc(text.len);
	if (!area)
		abort();
	memcpy(area, text.data, text.len);
	col.bytes = area;
	col.bytes_len = text.len;
	fl_paths_begin(paths, &b);
	for (uint32_t m = 0; m < NAMES; m++) {
		struct fl_vec v;

		fl_paths_get(paths, at[m], &v);
		for (uint32_t i = 0; i < ROWS; i++) {
			const char *row = area + off[i];
			size_t n = off[i + 1] - off[i], len;

			if (fl_json_valid(row, n) && *row == '{')
				good &= agrees(&v, i, row, n, names[m], ret_found);
			else
				(void)fl_text(&v, i, &len);
		}
	}
	free(area);
	fl_buf_release(&text);
	return good;
}

int
main(void)
{
	struct fl_paths *paths = fl_paths_new();
	struct fl_path at[NAMES], again;
	uint64_t rng = 1;
	uint32_t found[2] = { 0, 0 };
	bool good[2] = { true, true };

	for (uint32_t m = 0; m < NAMES; m++)
		at[m] = fl_paths_want(paths, 0, names[m], strlen(names[m]));
	again = fl_paths_want(paths, 0, names[1], strlen(names[1]));
	tap_ok(again.group == at[1].group && again.member == at[1].member,
	       "a path wanted twice is one");
	for (uint32_t i = 0; i < ROUNDS; i++)
		good[i % 2] &= round_agrees(paths, at, &rng, i % 2 ? 1 + i % 40 : 0, &found[i % 2]);
	tap_ok(good[0], "whole objects: as json.h");
	tap_ok(good[1], "damaged objects: as json.h where they still are objects");
	tap_ok(found[0] > ROUNDS * ROWS && found[1] > ROUNDS, "there were values to find");
	fl_paths_free(paths);
	return tap_done();
}
