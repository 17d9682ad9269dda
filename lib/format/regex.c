/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading lines with a regular expression (PCRE2): its named groups are the
 * columns, in their order. A line must match, somewhere (^ and $ say where), or
 * it is a bad record. A group that took no part in the match is NULL, as is an
 * empty one.
 *
 * Bytes are matched, not characters, so that any text can be read; (*UTF) at the
 * start of the expression changes that. Expressions that try too long on a line
 * are stopped: the line is a bad record.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <inttypes.h>
#include <pcre2.h>
#include <stdlib.h>

#include "format/formats.h"
#include "format/linewise.h"

/* What one line may cost: steps, and memory for trying. */
#define MATCH_LIMIT 1000000u
#define HEAP_LIMIT_KIB (32u * 1024)
#define JIT_STACK_MIN FL_KIB(32)
#define JIT_STACK_MAX FL_MIB(1)

#define SHOWN_BYTES 60 /* of a line that does not match */

struct regex {
	struct fl_linewise base;
	pcre2_code *code;
	pcre2_match_data *match;
	pcre2_match_context *context;
	pcre2_jit_stack *stack;
	uint32_t *column; /* one a group: its column, or FL_NO_COLUMN */
	uint32_t groups;  /* the whole match is one */
};

static enum fl_line_verdict
no_match(struct fl_linewise *w, size_t start, size_t end)
{
	size_t n = end - start, shown = n < SHOWN_BYTES ? n : SHOWN_BYTES;

	while (shown < n && shown > 0 && (w->piece[start + shown] & 0xc0) == 0x80)
		shown--; /* no half character */
	return fl_linewise_bad(w, "the line does not match the regular expression: %.*s%s",
			       (int)shown, w->piece + start, shown < n ? "..." : "");
}

static enum fl_line_verdict
parse(struct fl_linewise *w, size_t start, size_t end, struct fl_err *err)
{
	struct regex *r = (struct regex *)w;
	const PCRE2_SIZE *o = pcre2_get_ovector_pointer(r->match);
	PCRE2_UCHAR why[128];
	int rc = pcre2_match(r->code, (PCRE2_SPTR)(w->piece + start), end - start, 0, 0, r->match,
			     r->context);

	(void)err;
	if (rc == PCRE2_ERROR_NOMATCH)
		return no_match(w, start, end);
	if (rc < 0) {
		(void)pcre2_get_error_message(rc, why, sizeof why);
		return fl_linewise_bad(w, "the regular expression: %s", (const char *)why);
	}
	for (uint32_t c = 0; c < w->cols; c++)
		fl_linewise_set(w, c, start, start, FL_TAG_NULL);
	for (uint32_t g = 1; g < r->groups; g++)
		if (r->column[g] != FL_NO_COLUMN && g < (uint32_t)rc && o[2 * g] != PCRE2_UNSET &&
		    o[2 * g] <= o[2 * g + 1]) /* \K in a lookahead can turn them around */
			fl_linewise_set(w, r->column[g], start + o[2 * g], start + o[2 * g + 1],
					FL_TAG_PLAIN);
	return FL_LINE_OK;
}

/* Columns from the names of the groups, in the order of the groups. */
static int
name_columns(struct regex *r, struct fl_err *err)
{
	struct fl_names *names = &r->base.names;
	uint32_t count = 0, size = 0, captures = 0;
	PCRE2_SPTR table = NULL;

	(void)pcre2_pattern_info(r->code, PCRE2_INFO_NAMECOUNT, &count);
	(void)pcre2_pattern_info(r->code, PCRE2_INFO_NAMEENTRYSIZE, &size);
	(void)pcre2_pattern_info(r->code, PCRE2_INFO_NAMETABLE, &table);
	(void)pcre2_pattern_info(r->code, PCRE2_INFO_CAPTURECOUNT, &captures);
	if (!count)
		return fl_fail(err, FL_EUSAGE,
			       "--iregex: there is no named group, like (?<host>\\S+)");
	r->groups = captures + 1;
	r->column = fl_xreallocarray(NULL, r->groups, sizeof *r->column);
	for (uint32_t g = 0; g < r->groups; g++) {
		r->column[g] = FL_NO_COLUMN;
		for (uint32_t i = 0; i < count; i++) {
			const unsigned char *entry = table + i * size; /* number, name, NUL */
			const char *name = (const char *)entry + 2;

			if ((uint32_t)(entry[0] << 8 | entry[1]) != g)
				continue;
			r->column[g] = fl_names_find(names, name,
						     strlen(name)); /* (?J) allows two */
			if (r->column[g] != FL_NO_COLUMN)
				continue;
			if (fl_names_add(names, name, strlen(name), err) < 0)
				return err->code;
			r->column[g] = names->header.column_count - 1;
		}
	}
	return 0;
}

static int
compile(struct regex *r, const char *pattern, struct fl_err *err)
{
	PCRE2_UCHAR why[128];
	PCRE2_SIZE at;
	int code;

	r->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_NEVER_BACKSLASH_C,
				&code, &at, NULL);
	if (!r->code) {
		(void)pcre2_get_error_message(code, why, sizeof why);
		return fl_fail(err, FL_EUSAGE, "--iregex: %s, at its byte %zu", (const char *)why,
			       (size_t)at + 1);
	}
	if (name_columns(r, err) < 0)
		return err->code;
	r->match = pcre2_match_data_create_from_pattern(r->code, NULL);
	r->context = pcre2_match_context_create(NULL);
	if (!r->match || !r->context)
		return fl_fail(err, FL_ELIMIT, "--iregex: out of memory");
	(void)pcre2_set_match_limit(r->context, MATCH_LIMIT);
	(void)pcre2_set_heap_limit(r->context, HEAP_LIMIT_KIB);
	if (pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE) == 0) { /* else it is interpreted */
		r->stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
		pcre2_jit_stack_assign(r->context, NULL, r->stack);
	}
	return 0;
}

static void
regex_destroy(struct fl_reader *reader)
{
	struct regex *r = (struct regex *)reader;

	pcre2_jit_stack_free(r->stack);
	pcre2_match_context_free(r->context);
	pcre2_match_data_free(r->match);
	pcre2_code_free(r->code);
	fl_linewise_release(&r->base);
	free(r->column);
	free(r);
}

static struct fl_reader *
regex_create(const struct fl_reader_options *o, struct fl_err *err)
{
	struct regex *r = fl_xcalloc(1, sizeof *r);

	fl_linewise_init(&r->base, &fl_regex_reader, parse, o);
	if (compile(r, o->regex ? o->regex : "", err) < 0) {
		regex_destroy(&r->base.base);
		return NULL;
	}
	return &r->base.base;
}

const struct fl_reader_type fl_regex_reader = {
	.name = "regex",
	.create = regex_create,
	.file = fl_linewise_file,
	.read = fl_linewise_read,
	.columns = fl_linewise_columns,
	.destroy = regex_destroy,
};
