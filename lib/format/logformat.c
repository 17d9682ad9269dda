/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading lines by the format string of who wrote them: nginx's log_format, where a
 * field is $name, or Apache's LogFormat, where it is %h, %>s, %{Referer}i.
 *
 *	$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent
 *	%h %l %u %t "%r" %>s %b
 *
 * Any $name will do, so lines of other programs can be described in the same way;
 * common, combined, vhost_combined and cri are known by name.
 *
 * A field is all up to the text that follows it in the format, the last one all up to
 * the line's end. Between quotes, escapes are decoded, and an escaped quote does not
 * end it. What a line has behind the format is not looked at. A field that is - is
 * NULL. Of fields of one name the first counts.
 *
 * Columns: nginx's names as they are; Apache's letters by the names that --iclf has.
 * A request line is also taken apart into method, path, protocol. The first field
 * that is a time is the event time.
 */
#define _GNU_SOURCE /* memmem */
#include <stdlib.h>

#include "format/clf.h"
#include "format/formats.h"

struct field {
	uint32_t column;      /* or FL_NO_COLUMN */
	uint32_t request;     /* the first of the columns of its parts, or FL_NO_COLUMN */
	bool quoted;          /* between quotes */
	char *name;           /* as the format has it, for messages */
	struct fl_buf behind; /* the text that follows; empty: the line's end */
};

struct logformat {
	struct fl_linewise base;
	struct fl_buf before; /* the text before the first field */
	struct field *field;
	uint32_t count;
	char *time_column, *time_format;
};

/* ---- lines ------------------------------------------------------------------------ */

/* Where the quoted field at p[pos] ends: at a quote that is not escaped. */
static size_t
quote_end(const char *p, size_t pos, size_t end)
{
	while (pos < end && p[pos] != '"')
		pos += p[pos] == '\\' ? 2 : 1;
	return pos;
}

/* Where field f, which begins at p[pos], ends; false if what must follow does not. */
static bool
field_end(const struct field *f, const char *p, size_t pos, size_t end, size_t *ret)
{
	const struct fl_buf *t = &f->behind;
	const char *found;

	*ret = end;
	if (!t->len)
		return true;
	if (f->quoted) {
		*ret = quote_end(p, pos, end);
		return *ret < end && end - *ret >= t->len && memcmp(p + *ret, t->data, t->len) == 0;
	}
	found = memmem(p + pos, end - pos, t->data, t->len);
	if (found)
		*ret = (size_t)(found - p);
	return found != NULL;
}

static void
set_field(struct logformat *r, const struct field *f, size_t start, size_t end)
{
	struct fl_linewise *w = &r->base;
	bool null = end == start || (end - start == 1 && w->piece[start] == '-');

	if (f->column == FL_NO_COLUMN)
		return;
	if (f->quoted && end == start)
		fl_linewise_set(w, f->column, start, start, FL_TAG_STRING);
	else if (f->quoted)
		fl_clf_set_quoted(w, f->column, start, end);
	else
		fl_linewise_set(w, f->column, start, null ? start : end,
				null ? FL_TAG_NULL : FL_TAG_PLAIN);
	if (f->request != FL_NO_COLUMN)
		fl_clf_set_request(w, f->request, start, end);
}

static enum fl_line_verdict
parse(struct fl_linewise *w, size_t start, size_t end, struct fl_err *err)
{
	struct logformat *r = (struct logformat *)w;
	const char *p = w->piece;
	size_t pos = start, stop;

	(void)err;
	if (start == end)
		return FL_LINE_SKIP;
	if (end - start < r->before.len || memcmp(p + start, r->before.data, r->before.len) != 0)
		return fl_linewise_bad(w,
				       "the line does not begin as the log format does, with %.*s",
				       (int)r->before.len, r->before.data);
	pos += r->before.len;
	for (uint32_t i = 0; i < r->count; i++) {
		const struct field *f = &r->field[i];

		if (!field_end(f, p, pos, end, &stop))
			return fl_linewise_bad(w,
					       "the line does not fit the log format: no '%.*s' "
					       "behind %s",
					       (int)f->behind.len, f->behind.data, f->name);
		set_field(r, f, pos, stop);
		pos = stop + f->behind.len;
	}
	return FL_LINE_OK;
}

/* ---- the format --------------------------------------------------------------------- */

static const struct {
	const char *name, *format;
} known[] = {
	{ "common", "%h %l %u %t \"%r\" %>s %b" },
	{ "combined", "%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"" },
	{ "vhost_combined", "%v:%p %h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\"" },
	{ "cri", "$ts $stream $flag $msg" },
};

/* Fields that are a time, and how it is written. */
static const struct {
	const char *name, *format;
} times[] = {
	{ "ts", "auto" },        { "time", "auto" },        { "timestamp", "auto" },
	{ "time_local", "clf" }, { "time_iso8601", "iso" }, { "msec", "epoch" },
};

/* Where text that stands between fields goes. */
static struct fl_buf *
text_place(struct logformat *r)
{
	return r->count ? &r->field[r->count - 1].behind : &r->before;
}

static void
note_time(struct logformat *r, const char *name, size_t len, const char *format)
{
	if (r->time_column)
		return;
	r->time_column = fl_xstrndup(name, len);
	r->time_format = fl_xstrdup(format);
	r->base.base.time_column = r->time_column;
	r->base.base.time_format = r->time_format;
}

/* method, path and protocol, unless the format has one of them by itself. */
static int
add_request(struct logformat *r, struct field *f, struct fl_err *err)
{
	static const char *const parts[] = { "method", "path", "protocol" };
	struct fl_names *names = &r->base.names;

	for (size_t i = 0; i < FL_ARRAY_LEN(parts); i++)
		if (fl_names_find(names, parts[i], strlen(parts[i])) != FL_NO_COLUMN)
			return 0;
	f->request = names->header.column_count;
	for (size_t i = 0; i < FL_ARRAY_LEN(parts); i++)
		if (fl_names_add(names, parts[i], strlen(parts[i]), err) < 0)
			return err->code;
	return 0;
}

/* A field of column name; shown: what the format calls it. */
static int
add_field(struct logformat *r, const char *name, size_t len, const char *shown, size_t shown_len,
	  struct fl_err *err)
{
	struct fl_names *names = &r->base.names;
	struct field *f;

	if (r->count && !text_place(r)->len)
		return fl_fail(
			err, FL_EUSAGE,
			"--ilogformat: nothing stands between %s and %.*s, so where one ends "
			"cannot be seen",
			r->field[r->count - 1].name, (int)shown_len, shown);
	r->field = fl_xreallocarray(r->field, r->count + 1, sizeof *r->field);
	f = &r->field[r->count++];
	*f = (struct field){ .column = FL_NO_COLUMN,
			     .request = FL_NO_COLUMN,
			     .name = fl_xstrndup(shown, shown_len) };
	if (fl_names_find(names, name, len) != FL_NO_COLUMN)
		return 0;
	f->column = names->header.column_count;
	if (fl_names_add(names, name, len, err) < 0)
		return err->code;
	if (len == 7 && memcmp(name, "request", 7) == 0)
		return add_request(r, f, err);
	return 0;
}

/* Text between fields: the character at p, which may be escaped. Returns its length. */
static size_t
add_text(struct logformat *r, const char *p)
{
	static const char from[] = "\"\\tn", to[] = "\"\\\t\n";
	const char *found = p[0] == '\\' && p[1] ? strchr(from, p[1]) : NULL;

	fl_buf_putc(text_place(r), found ? to[found - from] : p[0]);
	return found ? 2 : 1;
}

static size_t
name_length(const char *p)
{
	return strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
}

/* nginx: the length of the $name or ${name} at p, 0: it is none. */
static size_t
nginx_field(const char *p, const char **ret_name, size_t *ret_len)
{
	bool braces = p[0] == '$' && p[1] == '{';

	*ret_name = p + 1 + braces;
	*ret_len = p[0] == '$' ? name_length(*ret_name) : 0;
	if (!*ret_len || (braces && (*ret_name)[*ret_len] != '}'))
		return 0;
	return 1 + *ret_len + (braces ? 2u : 0u);
}

static int
compile_nginx(struct logformat *r, const char *p, struct fl_err *err)
{
	while (*p) {
		const char *name;
		size_t len, taken = nginx_field(p, &name, &len);

		if (!taken) {
			p += add_text(r, p);
			continue;
		}
		if (add_field(r, name, len, p, taken, err) < 0)
			return err->code;
		for (size_t i = 0; i < FL_ARRAY_LEN(times); i++)
			if (strlen(times[i].name) == len && memcmp(times[i].name, name, len) == 0)
				note_time(r, name, len, times[i].format);
		p += taken;
	}
	return 0;
}

/* Apache's letters. */
static const char *
apache_name(char letter)
{
	static const struct {
		char letter;
		const char *name;
	} of[] = {
		{ 'a', "client" },    { 'A', "local" },    { 'b', "bytes" },
		{ 'B', "bytes" },     { 'D', "us" },       { 'f', "file" },
		{ 'h', "host" },      { 'H', "protocol" }, { 'I', "bytes_in" },
		{ 'k', "keepalive" }, { 'l', "ident" },    { 'L', "logid" },
		{ 'm', "method" },    { 'O', "bytes" },    { 'p', "port" },
		{ 'P', "pid" },       { 'q', "query" },    { 'r', "request" },
		{ 'R', "handler" },   { 's', "status" },   { 'S', "bytes_all" },
		{ 'T', "seconds" },   { 'u', "user" },     { 'U', "path" },
		{ 'v', "vhost" },     { 'V', "server" },   { 'X', "connection" },
	};

	for (size_t i = 0; i < FL_ARRAY_LEN(of); i++)
		if (of[i].letter == letter)
			return of[i].name;
	return NULL;
}

/* %{Referer}i: the header's name in small letters, - as _; User-Agent is agent. */
static int
add_header(struct logformat *r, const char *arg, size_t len, const char *shown, size_t shown_len,
	   struct fl_err *err)
{
	char *name = fl_xstrndup(arg, len);
	int rc;

	for (char *p = name; *p; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p == '-' ? '_' : *p;
	if (strcmp(name, "user_agent") == 0)
		rc = add_field(r, "agent", 5, shown, shown_len, err);
	else
		rc = add_field(r, name, len, shown, shown_len, err);
	free(name);
	return rc;
}

/* %t, in brackets by itself, or %{format}t. */
static int
add_time(struct logformat *r, const char *arg, size_t len, const char *shown, size_t shown_len,
	 struct fl_err *err)
{
	static const char *const units[][2] = { { "sec", "epoch" },
						{ "msec", "epoch-ms" },
						{ "usec", "epoch-us" } };
	char *format;

	if (!arg) {
		fl_buf_putc(text_place(r), '[');
		if (add_field(r, "ts", 2, shown, shown_len, err) < 0)
			return err->code;
		fl_buf_putc(text_place(r), ']');
		note_time(r, "ts", 2, "clf");
		return 0;
	}
	if (len > 6 && memcmp(arg, "begin:", 6) == 0) {
		arg += 6;
		len -= 6;
	}
	if (add_field(r, "ts", 2, shown, shown_len, err) < 0)
		return err->code;
	format = fl_xstrndup(arg, len);
	for (size_t i = 0; i < FL_ARRAY_LEN(units); i++)
		if (strcmp(format, units[i][0]) == 0)
			note_time(r, "ts", 2, units[i][1]);
	note_time(r, "ts", 2, format);
	free(format);
	return 0;
}

/* The directive at p, which begins with %; *ret_taken is its length. */
static int
add_directive(struct logformat *r, const char *p, size_t *ret_taken, struct fl_err *err)
{
	size_t i = 1 + strspn(p + 1, "!<>,0123456789"), len = 0;
	const char *arg = NULL, *name;

	if (p[i] == '{') {
		arg = p + i + 1;
		len = strcspn(arg, "}");
		if (!arg[len])
			return fl_fail(err, FL_EUSAGE,
				       "--ilogformat: the { of \"%.40s\" is not closed", p);
		i += len + 2;
	}
	*ret_taken = i + 1;
	if (p[i] == 't')
		return add_time(r, arg, len, p, i + 1, err);
	if (arg && p[i] && strchr("ioenC", p[i]))
		return add_header(r, arg, len, p, i + 1, err);
	name = p[i] ? apache_name(p[i]) : NULL;
	if (!name)
		return fl_fail(err, FL_EUSAGE, "--ilogformat: unknown directive \"%.*s\"",
			       (int)(i + (p[i] != '\0')), p);
	return add_field(r, name, strlen(name), p, i + 1, err);
}

static int
compile_apache(struct logformat *r, const char *p, struct fl_err *err)
{
	while (*p) {
		size_t taken = 0;

		if (p[0] == '%' && p[1] == '%') {
			fl_buf_putc(text_place(r), '%');
			taken = 2;
		} else if (p[0] != '%') {
			taken = add_text(r, p);
		} else if (add_directive(r, p, &taken, err) < 0) {
			return err->code;
		}
		p += taken;
	}
	return 0;
}

static bool
has_nginx_field(const char *p)
{
	const char *name;
	size_t len;

	for (; *p; p++)
		if (nginx_field(p, &name, &len))
			return true;
	return false;
}

static void
find_quoted(struct logformat *r)
{
	const struct fl_buf *before = &r->before;

	for (uint32_t i = 0; i < r->count; i++) {
		struct field *f = &r->field[i];

		f->quoted = before->len && before->data[before->len - 1] == '"' && f->behind.len &&
			    f->behind.data[0] == '"';
		before = &f->behind;
	}
}

static int
compile(struct logformat *r, const char *format, struct fl_err *err)
{
	int rc;

	for (size_t i = 0; i < FL_ARRAY_LEN(known); i++)
		if (strcmp(format, known[i].name) == 0)
			format = known[i].format;
	rc = has_nginx_field(format) ? compile_nginx(r, format, err)
				     : compile_apache(r, format, err);
	if (rc < 0)
		return rc;
	if (!r->count)
		return fl_fail(err, FL_EUSAGE,
			       "--ilogformat: \"%.60s\" has no field: $name as in nginx's "
			       "log_format, %%h as in Apache's LogFormat; or common, combined, "
			       "vhost_combined, cri",
			       format);
	find_quoted(r);
	return 0;
}

static void
logformat_destroy(struct fl_reader *reader)
{
	struct logformat *r = (struct logformat *)reader;

	for (uint32_t i = 0; i < r->count; i++) {
		free(r->field[i].name);
		fl_buf_release(&r->field[i].behind);
	}
	free(r->field);
	fl_buf_release(&r->before);
	free(r->time_column);
	free(r->time_format);
	fl_linewise_release(&r->base);
	free(r);
}

static struct fl_reader *
logformat_create(const struct fl_reader_options *o, struct fl_err *err)
{
	struct logformat *r = fl_xcalloc(1, sizeof *r);

	fl_linewise_init(&r->base, &fl_logformat_reader, parse, o);
	(void)fl_buf_reserve(&r->before, 1); /* data is never NULL */
	if (compile(r, o->logformat ? o->logformat : "", err) < 0) {
		logformat_destroy(&r->base.base);
		return NULL;
	}
	return &r->base.base;
}

const struct fl_reader_type fl_logformat_reader = {
	.name = "logformat",
	.create = logformat_create,
	.file = fl_linewise_file,
	.read = fl_linewise_read,
	.columns = fl_linewise_columns,
	.destroy = logformat_destroy,
};
