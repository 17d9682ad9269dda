/* SPDX-License-Identifier: Apache-2.0 */
#include "run/assign.h"

#include <string.h>

#include "stream/value.h"

static int
open_format(struct fl_timefmt *f, const struct fl_options *opt, const char *format,
	    struct fl_err *err)
{
	/* a format that is by itself without year is no mistake of who typed the line */
	int year = opt->assume_year                               ? (int)opt->assume_year
		   : format && !opt->time_format && strcmp(format, "syslog") == 0 ? FL_YEAR_LATEST
									 : FL_YEAR_NONE;

	return fl_timefmt_init(f,
			       opt->time_format ? opt->time_format
			       : format         ? format
						: "auto",
			       opt->tz, year, err);
}

int
fl_assigner_init(struct fl_assigner *a, const struct fl_options *opt, const struct fl_expr_env *env,
		 const char *time, const char *time_format, struct fl_err *err)
{
	int rc;

	*a = (struct fl_assigner){ .delay_ms = opt->watermark_ms, .wm_ms = FL_TIME_MIN };
	if (opt->time && !(time && strcmp(opt->time, time) == 0)) {
		time = opt->time;
		time_format = NULL;
	}
	if (!time) {
		if (opt->watermark || opt->watermark_at || opt->time_format)
			return fl_fail(err, FL_EUSAGE, "--%s needs --time",
				       opt->watermark      ? "watermark"
				       : opt->watermark_at ? "watermark-at"
							   : "time-format");
		return 0;
	}
	rc = open_format(&a->time_fmt, opt, time_format, err);
	if (rc < 0)
		return rc;
	a->time = fl_expr_new(time, env);
	a->time_text = time;
	a->env = env;
	if (!opt->watermark_at)
		return 0;
	rc = open_format(&a->wm_fmt, opt, time_format, err);
	a->wm_at = fl_expr_new(opt->watermark_at, env);
	return rc;
}

void
fl_assigner_release(struct fl_assigner *a)
{
	fl_expr_free(a->time);
	fl_expr_free(a->wm_at);
	fl_timefmt_release(&a->time_fmt);
	fl_timefmt_release(&a->wm_fmt);
	fl_buf_release(&a->times);
	fl_buf_release(&a->wms);
	fl_buf_release(&a->bad_index);
}

static int
bind(struct fl_expr *e, const struct fl_header *h, struct fl_err *err)
{
	if (!e)
		return 0;
	if (fl_expr_bind(e, h, err) < 0)
		return err->code;
	return fl_expr_is_set(e) ? fl_fail(err, FL_EUSAGE, "it gives several values, not one time")
				 : 0;
}

/*
 * --time 1, --time 'event time': the name of a column as it is, though as an expression it
 * would be a number, or a mistake.
 */
static int
name_time(struct fl_assigner *a, const struct fl_header *h, struct fl_err *err)
{
	const char *text = a->time_text;
	struct fl_buf quoted = { 0 };

	a->time_text = NULL;
	if (fl_header_find(h, text, strlen(text)) == FL_NO_COLUMN)
		return text[strspn(text, "0123456789")] == '\0'
			       ? fl_fail(err, FL_EUSAGE, "no column %s", text)
			       : 0;
	fl_buf_putc(&quoted, '"');
	for (; *text; text++)
		fl_buf_puts(&quoted, *text == '"' ? "\"\"" : (char[]){ *text, '\0' });
	fl_buf_puts(&quoted, "\"");
	fl_buf_putc(&quoted, '\0');
	fl_expr_free(a->time);
	a->time = fl_expr_new(quoted.data, a->env);
	fl_buf_release(&quoted);
	return 0;
}

int
fl_assigner_bind(struct fl_assigner *a, const struct fl_header *h, struct fl_err *err)
{
	int rc = a->time_text ? name_time(a, h, err) : 0;

	if (rc == 0)
		rc = bind(a->time, h, err);

	if (rc < 0)
		return fl_wrap(err, "--time");
	rc = bind(a->wm_at, h, err);
	return rc < 0 ? fl_wrap(err, "--watermark-at") : 0;
}

/* The time of one value of any kind; false and a reason in why. */
static bool
time_of(struct fl_timefmt *f, const struct fl_vec *v, uint32_t i, int64_t *ret, char *why,
	size_t cap)
{
	char buf[FL_NUMBER_TEXT_MAX];
	const char *p;
	size_t n;

	if (v->kind == FL_TIME && !fl_is_null(v, i)) {
		*ret = v->i64[i];
		return true;
	}
	p = fl_key_bytes(v, i, buf, &n);
	if (p && fl_timefmt_parse(f, p, n, ret) == 0)
		return true;
	if (p)
		fl_timefmt_why(f, p, n, why, cap);
	else
		memcpy(why, "no time", cap < 8 ? cap : 8);
	return false;
}

static void
parse_times(struct fl_assigner *a, const struct fl_vec *v, uint32_t rows, int64_t *times,
	    struct fl_badrows *bad)
{
	char why[256];
	uint32_t i = 0;

	while (i < rows) {
		if (v->kind == FL_TEXT)
			i += (uint32_t)fl_timefmt_parse_column(
				&a->time_fmt, v->bytes, v->off + (size_t)i * v->stride, v->stride,
				v->gap, rows - i, times + i);
		if (i == rows)
			break;
		times[i] = 0;
		if (!time_of(&a->time_fmt, v, i, &times[i], why, sizeof why))
			fl_badrows_add(bad, rows, i, "%s", why);
		i++;
	}
}

/* Punctuated: after a record, the value of --watermark-at, if it is one and more. */
static void
punctuate(struct fl_assigner *a, const struct fl_vec *v, uint32_t rows, int64_t *wms,
	  int64_t *ret_last, struct fl_badrows *bad)
{
	int64_t now = a->wm_ms, next;
	char why[256];

	for (uint32_t i = 0; i < rows; i++) {
		wms[i] = now;
		if (fl_is_null(v, i))
			continue;
		if (!time_of(&a->wm_fmt, v, i, &next, why, sizeof why))
			fl_badrows_add(bad, rows, i, "--watermark-at: %s", why);
		else if (next > now)
			now = next;
	}
	*ret_last = now;
}

int
fl_assigner_assign(struct fl_assigner *a, struct fl_batch *b, struct fl_badrows *bad,
		   struct fl_err *err)
{
	struct fl_vec v;
	int64_t *times, last;
	int rc;

	b->wm_first = a->wm_ms;
	b->wm_mode = FL_WM_CONST;
	if (!a->time)
		return 0;
	rc = fl_expr_eval(a->time, b, bad, &v, err);
	if (rc < 0)
		return rc;
	fl_buf_clear(&a->times);
	times = (int64_t *)(void *)fl_buf_reserve(&a->times, b->rows * sizeof *times);
	parse_times(a, &v, b->rows, times, bad);
	b->time = times;
	if (a->wm_at) {
		int64_t *wms;

		rc = fl_expr_eval(a->wm_at, b, bad, &v, err);
		if (rc < 0)
			return rc;
		fl_buf_clear(&a->wms);
		wms = (int64_t *)(void *)fl_buf_reserve(&a->wms, b->rows * sizeof *wms);
		punctuate(a, &v, b->rows, wms, &last, bad);
		b->wm_mode = FL_WM_COLUMN;
		b->wm = wms;
	} else {
		b->wm_mode = FL_WM_DELAY;
		b->wm_delay = a->delay_ms;
		last = fl_batch_wm_last(b);
	}
	if (bad->count == 0)
		a->wm_ms = last;
	return 0;
}

struct saved {
	int64_t wm_ms;
	int32_t time_kind, wm_kind; /* enum fl_time_kind */
};

void
fl_assigner_save(const struct fl_assigner *a, struct fl_buf *out)
{
	struct saved s = { .wm_ms = a->wm_ms };

	if (a->time)
		s.time_kind = (int32_t)fl_timefmt_kind(&a->time_fmt);
	if (a->wm_at)
		s.wm_kind = (int32_t)fl_timefmt_kind(&a->wm_fmt);
	fl_buf_put(out, &s, sizeof s);
}

int
fl_assigner_restore(struct fl_assigner *a, const char *p, size_t n, struct fl_err *err)
{
	struct saved s;

	if (n != sizeof s)
		return fl_fail(err, FL_EDATA, "the state of the event time is damaged");
	memcpy(&s, p, sizeof s);
	a->wm_ms = s.wm_ms;
	if (a->time && s.time_kind &&
	    fl_timefmt_set_kind(&a->time_fmt, s.time_kind, err) < 0)
		return fl_wrap(err, "--time");
	if (a->wm_at && s.wm_kind && fl_timefmt_set_kind(&a->wm_fmt, s.wm_kind, err) < 0)
		return fl_wrap(err, "--watermark-at");
	return 0;
}
