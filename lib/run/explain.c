/* SPDX-License-Identifier: Apache-2.0 */
#include "run/explain.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run/run.h"
#include "time/duration.h"

#define WIDTH 79
#define INDENT 16 /* where texts begin */

/* ---- words of the command lines ------------------------------------------------------- */

/* The value of option --name in the words of a tool, "" for a flag; NULL: not given. */
static const char *
option(const struct fl_lineage *l, const char *name)
{
	size_t n = strlen(name);

	for (uint32_t i = 0; i < l->arg_count; i++) {
		const char *a = l->args[i];

		if (strcmp(a, "--") == 0)
			break;
		if (strncmp(a, "--", 2) != 0 || strncmp(a + 2, name, n) != 0)
			continue;
		if (a[2 + n] == '=')
			return a + 2 + n + 1;
		if (a[2 + n] == '\0')
			return i + 1 < l->arg_count ? l->args[i + 1] : "";
	}
	return NULL;
}

/* Whether a word stands among them that begins so: -o, -oFILE. */
static bool
has_word(const struct fl_lineage *l, const char *begin)
{
	for (uint32_t i = 0; i < l->arg_count; i++)
		if (strncmp(l->args[i], begin, strlen(begin)) == 0)
			return true;
	return false;
}

static bool
is_tool(const struct fl_lineage *l, const char *tool)
{
	return strcmp(l->tool, tool) == 0;
}

/* fcheckpoint begin and commit are of one tool; the uid tells them apart. */
static bool
is_begin(const struct fl_lineage *l)
{
	return is_tool(l, "fcheckpoint") && l->input_count == 0;
}

/* A word as it has to be typed. */
static void
put_word(struct fl_buf *out, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_-+=,./:%@";

	if (*word && word[strspn(word, plain)] == '\0') {
		fl_buf_puts(out, word);
		return;
	}
	fl_buf_putc(out, '\'');
	for (; *word; word++) {
		if (*word == '\'')
			fl_buf_puts(out, "'\\''");
		else
			fl_buf_putc(out, (unsigned char)*word < 32 ? ' ' : *word);
	}
	fl_buf_putc(out, '\'');
}

/* ---- layout ----------------------------------------------------------------------------- */

/* "     state      text that is broken\n                where a line is full". */
static void
put_text(struct fl_buf *out, const char *label, const char *text, size_t n)
{
	size_t column;

	fl_buf_printf(out, "     %-*s", INDENT - 6, label);
	column = INDENT - 1;
	while (n) {
		size_t word = 0;

		while (word < n && text[word] != ' ')
			word++;
		if (column + 1 + word > WIDTH && column > INDENT) {
			fl_buf_printf(out, "\n%*s", INDENT - 1, "");
			column = INDENT - 1;
		}
		fl_buf_putc(out, ' ');
		fl_buf_put(out, text, word);
		column += 1 + word;
		word += word < n;
		text += word;
		n -= word;
	}
	fl_buf_putc(out, '\n');
}

static void
put_string(struct fl_buf *out, const char *label, const char *text)
{
	put_text(out, label, text, strlen(text));
}

static void
put_buf(struct fl_buf *out, const char *label, struct fl_buf *text)
{
	put_text(out, label, text->data, text->len);
	fl_buf_release(text);
}

/* ---- one operator --------------------------------------------------------------------------- */

/* What a tool keeps between records, and so has to save and restore. */
static const char *
state_of(const struct fl_lineage *l, bool windowed)
{
	if (is_tool(l, "freduce"))
		return windowed ? "per key and open window, an accumulator for each aggregate"
				: "per key, an accumulator for each aggregate";
	if (is_tool(l, "fjoin") && option(l, "lookup"))
		return "the table RIGHT, read again when it is replaced";
	if (is_tool(l, "fjoin"))
		return "rows of both sides, per key, as long as they can still find a partner";
	if (is_tool(l, "frank"))
		return "the best rows, per key and open window";
	if (is_tool(l, "fdedup"))
		return "the row that is kept, or its time, per key";
	if (is_tool(l, "fover"))
		return "per key, the rows that later rows are computed from";
	if (is_tool(l, "fsort"))
		return "rows that the watermark has not passed";
	return NULL;
}

static void
explain_input(const struct fl_run *run, const struct fl_lineage *list, uint32_t i,
	      struct fl_buf *out)
{
	const struct fl_lineage *l = &list[i];
	const struct fl_header *h = &run->in[0].header;
	struct fl_buf text = { 0 };

	for (uint32_t k = 0; k < l->input_count; k++)
		fl_buf_printf(&text, "%s%s", k ? ", " : "", list[l->inputs[k]].uid);
	if (l->input_count == 0) {
		fl_buf_puts(&text, "text");
		if (h->format && !is_begin(l) && !h->raw)
			fl_buf_printf(&text, " (%s)", h->format);
		if (is_begin(l))
			fl_buf_puts(&text, ", and sends barriers into it");
	}
	put_buf(out, "reads", &text);
}

static void
explain_time(const struct fl_lineage *l, struct fl_buf *out)
{
	const char *time = option(l, "time"), *wm = option(l, "watermark");
	const char *at = option(l, "watermark-at"), *idle = option(l, "idle-timeout");
	struct fl_buf text = { 0 };

	if (!time && !wm && !at)
		return;
	fl_buf_printf(&text, "%s; the watermark ", time ? time : "that of the format");
	if (at)
		fl_buf_printf(&text, "is what %s says", at);
	else
		fl_buf_printf(&text, "follows the latest by %s", wm ? wm : "0s");
	if (idle)
		fl_buf_printf(&text, "; a quiet input holds nobody back after %s", idle);
	put_buf(out, "time", &text);
}

/* fwindow's words without options: "tumble 1m". */
static void
explain_windows(const struct fl_lineage *l, struct fl_buf *out)
{
	struct fl_buf text = { 0 };
	const char *late = option(l, "lateness");

	for (uint32_t i = 0; i < l->arg_count && strncmp(l->args[i], "-", 1) != 0; i++)
		fl_buf_printf(&text, "%s%s", i ? " " : "", l->args[i]);
	fl_buf_puts(&text, option(l, "processing-time") ? ", by the clock" : ", of event time");
	if (late)
		fl_buf_printf(&text, "; late rows change results for %s more", late);
	put_buf(out, "windows", &text);
}

static void
explain_state(const struct fl_lineage *l, bool windowed, struct fl_buf *out)
{
	const char *what = state_of(l, windowed), *where = option(l, "backend");
	struct fl_buf text = { 0 };

	if (!what)
		return;
	fl_buf_printf(&text, "%s; %s", what,
		      where && strcmp(where, "rocksdb") == 0 ? "on disk (RocksDB)" : "in memory");
	if (option(l, "max-memory"))
		fl_buf_printf(&text, ", at most %s", option(l, "max-memory"));
	if (option(l, "ttl"))
		fl_buf_printf(&text, ", forgotten after %s", option(l, "ttl"));
	put_buf(out, "state", &text);
}

static void
explain_operator(const struct fl_run *run, const struct fl_lineage *list, uint32_t i, bool windowed,
		 struct fl_buf *out)
{
	const struct fl_lineage *l = &list[i];
	struct fl_buf typed = { 0 };

	fl_buf_puts(&typed, l->tool);
	for (uint32_t k = 0; k < l->arg_count; k++) {
		if (strcmp(l->args[k], "--explain") == 0)
			continue;
		fl_buf_putc(&typed, ' ');
		put_word(&typed, l->args[k]);
	}
	fl_buf_printf(out, "%3u  %s\n", i + 1, l->uid);
	put_buf(out, "command", &typed);
	explain_input(run, list, i, out);
	explain_time(l, out);
	if (is_tool(l, "fkeyby"))
		put_string(out, "key", "named here; all rows of a key go the same way");
	if (is_tool(l, "fwindow"))
		explain_windows(l, out);
	explain_state(l, windowed, out);
}

/* ---- the guarantee ----------------------------------------------------------------------------- */

enum source_kind { SOURCE_FILES, SOURCE_COMMAND, SOURCE_SPOOL, SOURCE_PIPE };

/* What begin reads, from its words: options with a value are those that do not read. */
static enum source_kind
source_kind(const struct fl_lineage *l)
{
	static const char *const flags[] = {
		"--at-least-once",    "--follow", "--keep-open", "--allow-dropped-state",
		"--allow-lost-input", "-q",       "--quiet"
	};
	enum source_kind kind = SOURCE_PIPE;

	if (option(l, "spool"))
		return SOURCE_SPOOL;
	for (uint32_t i = 0; i < l->arg_count; i++) {
		const char *a = l->args[i];
		bool flag = false;

		if (strcmp(a, "--") == 0)
			return i + 1 < l->arg_count ? SOURCE_COMMAND : kind;
		if (i == 0 && strcmp(a, "begin") == 0)
			continue;
		for (size_t k = 0; k < FL_ARRAY_LEN(flags); k++)
			flag = flag || strcmp(a, flags[k]) == 0;
		if (flag)
			continue;
		if (a[0] == '-' && a[1]) {
			i += strcmp(a, "-d") == 0 || (a[1] == '-' && !strchr(a, '='));
			continue;
		}
		if (strcmp(a, "-") != 0)
			kind = SOURCE_FILES;
	}
	return kind;
}

static bool
is_regular(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static void
no_region(const struct fl_lineage *list, uint32_t count, struct fl_buf *out)
{
	fl_buf_puts(out, "Guarantee: none after a failure\n");
	put_string(out, "",
		   "As long as no process dies, each record counts once. There is no fcheckpoint "
		   "begin before these tools: a pipeline that is killed begins again, and what it "
		   "has printed by then comes a second time.");
	put_string(out, "for more",
		   "fcheckpoint begin -d DIR FILE | ... | fcheckpoint commit -o OUT");
	(void)list;
	(void)count;
}

/* What the sources allow: NULL, or why it is not exactly once. */
static const char *
weak_source(const struct fl_lineage *list, uint32_t count, bool *ret_loses)
{
	for (uint32_t i = 0; i < count; i++) {
		if (!is_begin(&list[i]))
			continue;
		if (option(&list[i], "at-least-once"))
			return "--at-least-once: records that are in the pipes at a checkpoint may "
			       "count twice after a restore.";
		if (source_kind(&list[i]) == SOURCE_PIPE) {
			*ret_loses = true;
			return "The input is a pipe, which cannot be read again: what was read after "
			       "the last checkpoint is lost when the line is killed. begin --spool "
			       "FILE keeps it.";
		}
	}
	return NULL;
}

static bool
commits(const struct fl_run *run)
{
	return run->op->own_output;
}

static void
in_region(const struct fl_run *run, const struct fl_lineage *list, uint32_t count,
	  const struct fl_header *h, struct fl_buf *out)
{
	const struct fl_lineage *last = &list[count - 1];
	bool file = has_word(last, "-o") || has_word(last, "--output") ||
		    has_word(last, "--segments") || is_regular(STDOUT_FILENO);
	bool loses = false;
	const char *weak = weak_source(list, count, &loses);
	struct fl_buf where = { 0 };

	if (!commits(run)) {
		fl_buf_puts(out,
			    "Guarantee: exactly once up to here, if fcheckpoint commit ends it\n");
		put_string(out, "state",
			   "is saved at barriers and restored. The output is not committed here: "
			   "put fcheckpoint commit at the end.");
	} else if (weak || !file || option(last, "read-uncommitted")) {
		fl_buf_printf(out, "Guarantee: at %s once\n", loses ? "most" : "least");
		if (weak)
			put_string(out, "why", weak);
		else if (!file)
			put_string(
				out, "why",
				"The output is a pipe or a terminal: what was written there cannot "
				"be looked at, so the results of the last checkpoint come again "
				"after a restore. commit -o FILE writes each once.");
		else
			put_string(
				out, "why",
				"--read-uncommitted: rows are visible before their checkpoint is "
				"complete, and are taken back when the line goes on.");
	} else {
		fl_buf_puts(out, "Guarantee: exactly once, after kill -9 and loss of power too\n");
		put_string(
			out, "why",
			"The input can be read again from where the checkpoint was, all state is "
			"saved at the same point of the stream, and results appear only when their "
			"checkpoint is complete.");
	}
	fl_buf_printf(&where, "checkpoints are in %s", h->checkpoint_dir);
	if (h->restore_id)
		fl_buf_printf(&where, "; this run goes on from number %llu",
			      (unsigned long long)h->restore_id);
	put_buf(out, "where", &where);
	for (uint32_t i = 0; i < count; i++)
		if (is_begin(&list[i]) && source_kind(&list[i]) == SOURCE_COMMAND)
			put_string(
				out, "needs",
				"a command that prints the same bytes each time, which is checked");
}

/* ---- all of it ------------------------------------------------------------------------------------ */

static void
explain_stream(const struct fl_header *h, struct fl_buf *out)
{
	struct fl_buf text = { 0 };

	for (uint32_t i = 0; i < h->column_count; i++)
		fl_buf_printf(&text, "%s%s", i ? ", " : "", h->columns[i].name);
	fl_buf_puts(out, "\nWhat reaches the last one\n");
	if (h->raw)
		fl_buf_puts(&text, "text that it will decode");
	else if (fl_header_grows(h))
		fl_buf_printf(&text, "%s(others as they come)", h->column_count ? ", " : "");
	put_buf(out, "columns", &text);
	for (uint32_t i = 0; i < h->key_count; i++)
		fl_buf_printf(&text, "%s%s", i ? ", " : "", h->columns[h->keys[i]].name);
	if (h->key_count)
		put_buf(out, "key", &text);
	if (h->time)
		put_string(out, "event time", h->time);
	else if (!h->raw)
		put_string(out, "event time", "none");
	if (h->changelog)
		put_string(out, "changelog", "rows may be updates and retractions");
}

void
fl__explain(const struct fl_run *run, struct fl_buf *out)
{
	const struct fl_header *h = &run->out_header, *in = &run->in[0].header;
	bool windowed = false;

	fl_buf_printf(out, "Plan: %u operator%s, a process each; parallelism 1\n\n",
		      h->lineage_count, h->lineage_count == 1 ? "" : "s");
	for (uint32_t i = 0; i < h->lineage_count; i++) {
		windowed = windowed || is_tool(&h->lineage[i], "fwindow");
		explain_operator(run, h->lineage, i, windowed, out);
		windowed = windowed && !is_tool(&h->lineage[i], "freduce");
	}
	explain_stream(in, out);
	fl_buf_putc(out, '\n');
	if (h->checkpoint_dir)
		in_region(run, h->lineage, h->lineage_count, h, out);
	else
		no_region(h->lineage, h->lineage_count, out);
}
