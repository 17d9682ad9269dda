/* SPDX-License-Identifier: Apache-2.0 */
#include "run/opt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "time/duration.h"

#define NAMES_MAX 128

struct match {
	const struct fl_opt *opt;
	char *into;
	bool ambiguous;
};

static struct match
find_long(const struct fl_opt_group *g, size_t count, const char *name, size_t len)
{
	struct match found = { 0 };

	for (size_t i = 0; i < count; i++) {
		for (const struct fl_opt *o = g[i].opts; o->type != FL_OPT_END; o++) {
			if (strncmp(o->name, name, len) != 0)
				continue;
			if (o->name[len] == '\0')
				return (struct match){ o, g[i].into, false };
			found.ambiguous = found.opt != NULL;
			found.opt = o;
			found.into = g[i].into;
		}
	}
	return found;
}

static struct match
find_short(const struct fl_opt_group *g, size_t count, char letter)
{
	for (size_t i = 0; i < count; i++)
		for (const struct fl_opt *o = g[i].opts; o->type != FL_OPT_END; o++)
			if (o->letter == letter)
				return (struct match){ o, g[i].into, false };
	return (struct match){ 0 };
}

static int
unknown(const struct fl_opt_group *g, size_t count, const char *name, size_t len,
	struct fl_err *err)
{
	const char *names[NAMES_MAX], *near;
	char *asked = fl_xstrndup(name, len);
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		for (const struct fl_opt *o = g[i].opts; o->type != FL_OPT_END && n < NAMES_MAX;
		     o++)
			names[n++] = o->name;
	near = fl_nearest(asked, names, n);
	if (near)
		(void)fl_fail(err, FL_EUSAGE,
			      "unknown option --%s (did you mean --%s?); see --help", asked, near);
	else
		(void)fl_fail(err, FL_EUSAGE, "unknown option --%s; see --help", asked);
	free(asked);
	return err->code;
}

static int
set_int(const struct fl_opt *o, int64_t *to, const char *arg, struct fl_err *err)
{
	char *end;

	errno = 0;
	*to = strtoll(arg, &end, 10);
	if (errno || end == arg || *end || *to < 0)
		return fl_fail(err, FL_EUSAGE, "--%s takes a whole number, not \"%s\"", o->name,
			       arg);
	return 0;
}

static int
set_enum(const struct fl_opt *o, int *to, const char *arg, struct fl_err *err)
{
	const char *p = o->value;

	for (int i = 0; *p; i++) {
		size_t n = strcspn(p, "|");

		if (strlen(arg) == n && strncmp(arg, p, n) == 0) {
			*to = i;
			return 0;
		}
		p += n + (p[n] == '|');
	}
	return fl_fail(err, FL_EUSAGE, "--%s takes %s, not \"%s\"", o->name, o->value, arg);
}

static int
set_char(const struct fl_opt *o, char *to, const char *arg, struct fl_err *err)
{
	if (strcmp(arg, "\\t") == 0 || strcmp(arg, "tab") == 0)
		*to = '\t';
	else if (arg[0] && !arg[1] && arg[0] != '"' && arg[0] != '\n' && arg[0] != '\r')
		*to = arg[0];
	else
		return fl_fail(err, FL_EUSAGE, "--%s takes one character (not a quote), not \"%s\"",
			       o->name, arg);
	return 0;
}

static int
set(const struct match *m, const char *arg, struct fl_err *err)
{
	const struct fl_opt *o = m->opt;
	void *to = m->into + o->offset;
	int rc = 0;

	switch (o->type) {
	case FL_OPT_FLAG:
		*(bool *)to = true;
		break;
	case FL_OPT_SET:
		*(const char **)to = o->value;
		if (o->offset2)
			*(const char **)(void *)(m->into + o->offset2) = o->value;
		break;
	case FL_OPT_STRING:
		*(const char **)to = arg;
		break;
	case FL_OPT_CHAR:
		return set_char(o, to, arg, err);
	case FL_OPT_INT:
		return set_int(o, to, arg, err);
	case FL_OPT_ENUM:
		return set_enum(o, to, arg, err);
	case FL_OPT_DURATION:
	case FL_OPT_SIGNED_DURATION:
		rc = fl_duration_parse(
			arg, o->type == FL_OPT_SIGNED_DURATION ? FL_DURATION_SIGNED : 0, to, err);
		break;
	case FL_OPT_SIZE:
		rc = fl_size_parse(arg, to, err);
		break;
	case FL_OPT_END:
		break;
	}
	return rc < 0 ? fl_wrap(err, "--%s", o->name) : 0;
}

static bool
takes_arg(const struct fl_opt *o)
{
	return o->type != FL_OPT_FLAG && o->type != FL_OPT_SET;
}

static int
parse_long(const struct fl_opt_group *g, size_t count, int argc, char **argv, int *i,
	   struct fl_err *err)
{
	const char *name = argv[*i] + 2, *arg = strchr(name, '=');
	size_t len = arg ? (size_t)(arg - name) : strlen(name);
	struct match m = find_long(g, count, name, len);

	if (!m.opt)
		return unknown(g, count, name, len, err);
	if (m.ambiguous)
		return fl_fail(err, FL_EUSAGE,
			       "--%.*s is the beginning of more than one option; see --help",
			       (int)len, name);
	if (arg && !takes_arg(m.opt))
		return fl_fail(err, FL_EUSAGE, "--%s takes no argument", m.opt->name);
	if (!takes_arg(m.opt))
		return set(&m, NULL, err);
	if (arg)
		return set(&m, arg + 1, err);
	if (*i + 1 >= argc)
		return fl_fail(err, FL_EUSAGE, "--%s needs an argument: %s", m.opt->name,
			       m.opt->arg);
	return set(&m, argv[++*i], err);
}

static int
parse_short(const struct fl_opt_group *g, size_t count, int argc, char **argv, int *i,
	    struct fl_err *err)
{
	for (const char *p = argv[*i] + 1; *p; p++) {
		struct match m = find_short(g, count, *p);
		int rc;

		if (!m.opt)
			return fl_fail(err, FL_EUSAGE, "unknown option -%c; see --help", *p);
		if (takes_arg(m.opt)) {
			if (p[1])
				return set(&m, p + 1, err);
			if (*i + 1 >= argc)
				return fl_fail(err, FL_EUSAGE, "-%c needs an argument: %s", *p,
					       m.opt->arg);
			return set(&m, argv[++*i], err);
		}
		rc = set(&m, NULL, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int
fl_opt_parse(const struct fl_opt_group *groups, size_t group_count, int argc, char **argv,
	     char **words, int *ret_words, struct fl_err *err)
{
	bool options = true;
	int n = 0, rc;

	for (int i = 1; i < argc; i++) {
		char *a = argv[i];

		if (!options || a[0] != '-' || a[1] == '\0') {
			words[n++] = a;
		} else if (strcmp(a, "--") == 0) {
			options = false;
		} else {
			rc = a[1] == '-' ? parse_long(groups, group_count, argc, argv, &i, err)
					 : parse_short(groups, group_count, argc, argv, &i, err);
			if (rc < 0)
				return rc;
		}
	}
	*ret_words = n;
	return 0;
}
