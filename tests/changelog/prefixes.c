/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prefixes [options] QUERY COMMAND: whether a pipeline gives, after any prefix of its
 * inputs, the table that SQLite's QUERY gives of the tables that the inputs are by then.
 *
 * COMMAND (bash) reads a table l as CSV from standard input and, with --two, a table r from
 * descriptor 3. It runs once, for all seeds, and prints CSV lines as changes happen. Each
 * seed is a random changelog that begins and ends with empty tables: it is written some
 * rows at a time, and behind each such piece a sentinel. What the pipeline prints before
 * what comes of the sentinel is all that comes of the piece; it is folded, and compared.
 *
 *	l  [op,] p, id, k, v [, t]      r  [op,] p, rid, k, w [, t]
 *
 * ids, keys and values are few, so that equal rows, ties and NULL are frequent. Keys are
 * those of the seed, but for NULL. p is "s", and of the sentinel numbered N "~N", as k is.
 * A line with a field that begins with "~" comes of a sentinel; the column p is not
 * compared. A column "tick" is not, either: where all rows make one, it tells that a
 * sentinel has had its effect.
 *
 * Folding is strict: what a line takes back must be there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LEFT, RIGHT };

#define ROWS_MAX 1024
#define TOLD_MAX 6000 /* of what has happened, when it goes wrong */
#define FIELDS_MAX 32
#define PATIENCE_MS 30000
#define SEPARATOR '|'

static const char *const usage =
	"usage: prefixes [options] QUERY COMMAND\n"
	"  --first S --count N --stride D   the seeds S, S+D, S+2D, ...\n"
	"  --steps N      most changes of a seed (24)\n"
	"  --two          there is a second input, r\n"
	"  --adds l|r|lr  these inputs only grow, and have no op\n"
	"  --alone l|r|lr a sentinel of this input needs no partner to be seen (l)\n"
	"  --copies N     of each sentinel's row (1)\n"
	"  --leave        not every seed takes its rows back (keys are told apart by k)\n"
	"  --no-null-keys --same-ids --texts (as values, too) --times (a column t, in order)\n"
	"  --strays       take back rows that are not there, too: nothing may come of it\n"
	"  --ordered      the order of rows counts; of what only adds\n"
	"  --bulk         all seeds at once, no sentinels: compare at the end\n";

struct row {
	long id;
	char k[24]; /* "": NULL */
	char v[24]; /* "": NULL */
	long t;
};

/* Some text that grows. */
struct text {
	char *data;
	size_t len, cap;
};

/* A table that the pipeline reads, and what is to be written to it. */
struct input {
	const char *name;
	bool adds;
	bool alone;
	bool has_sentinel; /* the last one that was written is still there */
	int fd;
	struct row have[ROWS_MAX];
	int count;
	sqlite3_stmt *insert, *remove;
	struct text piece;
};

static struct {
	const char *query, *command;
	long first, count, stride;
	int steps, copies;
	bool two, leave, no_null_keys, same_ids, texts, times, strays, ordered, bulk;
} options = { .first = 1, .count = 1, .stride = 1, .steps = 24, .copies = 1 };

static struct input input[2] = { { .name = "l", .alone = true }, { .name = "r" } };
static sqlite3 *db;
static sqlite3_stmt *query;
static uint64_t random_state;
static long seed, sentinel, clock_ms;
static struct text trace; /* what has happened in this seed */

/* What the pipeline prints. */
static struct {
	int fd;
	struct text bytes;
	size_t read; /* bytes that are lines already taken */
	bool has_header, has_op;
	int p, tick; /* columns, or -1 */
} output = { .p = -1, .tick = -1 };

/* The folded output: lines without op, p and tick. */
static struct {
	char **line;
	size_t count, cap;
} table;

/* ---- failing ---------------------------------------------------------------------- */

static void
fail(const char *format, ...)
{
	int from = trace.len > TOLD_MAX ? (int)trace.len - TOLD_MAX : 0;
	va_list args;

	printf("seed %ld: ", seed);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n%s\nquery: %s\n", options.command, options.query);
	if (trace.len)
		printf("what happened (< written, > printed):\n%.*s", (int)trace.len - from,
		       trace.data + from);
	fflush(stdout);
	exit(1);
}

static void *
need(void *p)
{
	if (!p)
		abort();
	return p;
}

static void
put(struct text *t, const char *data, size_t n)
{
	if (t->len + n > t->cap) {
		t->cap = (t->len + n) * 2 + 64;
		t->data = need(realloc(t->data, t->cap));
	}
	memcpy(t->data + t->len, data, n);
	t->len += n;
}

__attribute__((format(printf, 2, 3))) static void
print(struct text *t, const char *format, ...)
{
	char line[512];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof line, format, args);
	va_end(args);
	put(t, line, (size_t)n);
}

/* ---- random changelogs ------------------------------------------------------------- */

static long
pick(long n)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (long)((z ^ (z >> 31)) % (uint64_t)n);
}

static bool
chance(long percent)
{
	return pick(100) < percent;
}

static struct row
fresh(void)
{
	struct row r = { .id = options.same_ids ? 0 : pick(4) };
	long key = pick(options.no_null_keys ? 4 : 5);

	if (key < 4)
		snprintf(r.k, sizeof r.k, "%c%ld", (int)('a' + key), seed);
	if (options.texts && chance(25))
		snprintf(r.v, sizeof r.v, "%c", (int)('x' + pick(3)));
	else if (!chance(10))
		snprintf(r.v, sizeof r.v, "%ld", pick(8) - 2);
	if (options.times) {
		/* at most 3 ms behind: no row is late */
		r.t = clock_ms + pick(7) - 3;
		clock_ms = r.t > clock_ms ? r.t : clock_ms;
	}
	return r;
}

static void
bind_text(sqlite3_stmt *s, int at, const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (!*text)
		sqlite3_bind_null(s, at);
	else if (!*end)
		sqlite3_bind_int64(s, at, n);
	else
		sqlite3_bind_text(s, at, text, -1, SQLITE_TRANSIENT);
}

static void
change_table(sqlite3_stmt *s, const struct row *r)
{
	sqlite3_bind_int64(s, 1, r->id);
	bind_text(s, 2, r->k);
	bind_text(s, 3, r->v);
	sqlite3_bind_int64(s, 4, r->t);
	if (sqlite3_step(s) != SQLITE_DONE)
		fail("SQLite: %s", sqlite3_errmsg(db));
	sqlite3_reset(s);
}

static void
write_row(struct input *in, const char *op, const char *p, const struct row *r)
{
	size_t from = in->piece.len;

	if (!in->adds)
		print(&in->piece, "%s,", op);
	print(&in->piece, "%s,%ld,%s,%s", p, r->id, r->k, r->v);
	if (options.times)
		print(&in->piece, ",%ld", r->t);
	print(&in->piece, "\n");
	if (options.bulk)
		return;
	print(&trace, "%s< ", in->name);
	put(&trace, in->piece.data + from, in->piece.len - from);
}

static void
add_row(struct input *in, const char *op, const struct row *r)
{
	write_row(in, op, "s", r);
	change_table(in->insert, r);
	in->have[in->count++] = *r;
}

static void
take_row(struct input *in, const char *op)
{
	long i = pick(in->count);
	struct row r = in->have[i];

	in->have[i] = in->have[--in->count];
	write_row(in, op, "s", &r);
	change_table(in->remove, &r);
}

/* Take back a row that is not there, which changes nothing. */
static void
stray_row(struct input *in)
{
	struct row r = fresh();

	if (options.bulk && !*r.k) /* another seed may have it */
		return;
	for (int i = 0; i < in->count; i++)
		if (r.id == in->have[i].id && strcmp(r.k, in->have[i].k) == 0 &&
		    strcmp(r.v, in->have[i].v) == 0)
			return;
	write_row(in, chance(50) ? "-D" : "-U", "s", &r);
}

/* A change. An update may change the key, or nothing; either half may come as +I, -D. */
static void
change(struct input *in)
{
	struct row r = fresh();
	long what = pick(100);

	if (in->adds || in->count == 0) {
		if (in->count < ROWS_MAX)
			add_row(in, chance(90) ? "+I" : "+U", &r);
	} else if (what < 50 && in->count < ROWS_MAX) {
		add_row(in, chance(90) ? "+I" : "+U", &r);
	} else if (what < 75) {
		take_row(in, chance(90) ? "-D" : "-U");
	} else {
		bool update = chance(75);

		take_row(in, update ? "-U" : "-D");
		if (chance(30)) /* only the value */
			strcpy(r.k, in->have[in->count].k);
		add_row(in, update ? "+U" : "+I", &r);
	}
	if (options.strays && !in->adds && chance(15))
		stray_row(in);
}

/* ---- what is printed ----------------------------------------------------------------- */

/* Split a line of CSV in place; returns the number of fields. */
static int
split(char *line, char **field)
{
	int n = 0;

	for (char *p = line;; p++) {
		char *to = p;

		if (n == FIELDS_MAX)
			fail("a line of too many fields");
		field[n++] = p;
		if (*p == '"') {
			for (p++; *p && (*p != '"' || p[1] == '"'); p++) {
				p += *p == '"';
				*to++ = *p;
			}
			p += *p == '"';
		} else {
			p += strcspn(p, ",");
			to = p;
		}
		if (!*p) {
			*to = '\0';
			return n;
		}
		*to = '\0';
	}
}

static void
take_header(char **field, int n)
{
	output.has_header = true;
	output.has_op = strcmp(field[0], "op") == 0;
	for (int i = 0; i < n; i++) {
		if (strcmp(field[i], "p") == 0)
			output.p = i;
		if (strcmp(field[i], "tick") == 0)
			output.tick = i;
	}
}

static void
apply(const char *op, const char *line)
{
	if (*op == '+') {
		if (table.count == table.cap) {
			table.cap = table.cap * 2 + 64;
			table.line = need(realloc(table.line, table.cap * sizeof *table.line));
		}
		table.line[table.count++] = need(strdup(line));
		return;
	}
	for (size_t i = table.count; i-- > 0;) {
		if (strcmp(table.line[i], line) != 0)
			continue;
		free(table.line[i]);
		table.line[i] = table.line[--table.count];
		return;
	}
	fail("%s takes back what is not there: %.300s", op, line);
}

/* One line; true if it comes of the present sentinel. */
static bool
take_line(char *line)
{
	char *field[FIELDS_MAX], *op = "+I", row[16384] = "";
	char wanted[32];
	int n;
	bool of_sentinel = false;

	if (!options.bulk)
		print(&trace, "> %.500s\n", line);
	n = split(line, field);
	if (!output.has_header) {
		take_header(field, n);
		return false;
	}
	snprintf(wanted, sizeof wanted, "~%ld", sentinel);
	if (output.tick >= 0 && *field[0] == '+' && strcmp(field[output.tick], wanted) == 0)
		of_sentinel = true;
	for (int i = 0; i < n; i++)
		if (i != output.tick && *field[i] == '~')
			return strcmp(field[i], wanted) == 0;
	if (output.has_op)
		op = field[0];
	for (int i = output.has_op; i < n; i++) {
		size_t len = strlen(row);

		if (i == output.p || i == output.tick)
			continue;
		if (strlen(field[i]) + 2 > sizeof row - len)
			fail("a line is too long");
		snprintf(row + len, sizeof row - len, "%s%c", field[i], SEPARATOR);
	}
	apply(op, row);
	return of_sentinel;
}

/* Take a line of the output; false: there is none. */
static bool
next_line(bool *of_sentinel)
{
	char *from = output.bytes.data + output.read;
	char *end = output.read < output.bytes.len
			    ? memchr(from, '\n', output.bytes.len - output.read)
			    : NULL;

	if (!end)
		return false;
	*end = '\0';
	output.read = (size_t)(end + 1 - output.bytes.data);
	*of_sentinel = take_line(from);
	return true;
}

/* Read what there is; false: the end. */
static bool
read_output(void)
{
	char buf[65536];
	ssize_t n;

	memmove(output.bytes.data, output.bytes.data + output.read, output.bytes.len - output.read);
	output.bytes.len -= output.read;
	output.read = 0;
	n = read(output.fd, buf, sizeof buf);
	if (n > 0)
		put(&output.bytes, buf, (size_t)n);
	return n > 0;
}

static void
wait_for_sentinel(void)
{
	bool of_sentinel = false;

	for (;;) {
		struct pollfd p = { .fd = output.fd, .events = POLLIN };

		while (next_line(&of_sentinel))
			if (of_sentinel)
				return;
		if (poll(&p, 1, PATIENCE_MS) <= 0)
			fail("no answer to sentinel %ld", sentinel);
		if (!read_output())
			fail("the pipeline has ended");
	}
}

/* ---- comparing ------------------------------------------------------------------------- */

static int
compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
sort_lines(char **line, size_t n)
{
	if (!options.ordered)
		qsort(line, n, sizeof *line, compare_lines);
}

/* The rows of QUERY; returns their number. */
static size_t
expected_rows(char ***ret)
{
	static char **line;
	static size_t cap;
	size_t n = 0;
	int rc;

	while ((rc = sqlite3_step(query)) == SQLITE_ROW) {
		struct text t = { 0 };

		for (int c = 0; c < sqlite3_column_count(query); c++) {
			const char *value = (const char *)sqlite3_column_text(query, c);

			put(&t, value ? value : "", value ? strlen(value) : 0);
			put(&t, &(char){ SEPARATOR }, 1);
		}
		put(&t, "", 1);
		if (n == cap) {
			cap = cap * 2 + 64;
			line = need(realloc(line, cap * sizeof *line));
		}
		line[n++] = t.data;
	}
	if (rc != SQLITE_DONE)
		fail("SQLite: %s", sqlite3_errmsg(db));
	sqlite3_reset(query);
	*ret = line;
	return n;
}

static void
compare(void)
{
	char **want;
	size_t n = expected_rows(&want), i = 0;

	sort_lines(want, n);
	sort_lines(table.line, table.count);
	while (i < n && i < table.count && strcmp(want[i], table.line[i]) == 0)
		i++;
	if (i < n || i < table.count) {
		for (size_t k = i; k < n && k < i + 10; k++)
			printf("SQLite has: %.300s\n", want[k]);
		for (size_t k = i; k < table.count && k < i + 10; k++)
			printf("flue has:   %.300s\n", table.line[k]);
		fail("%zu rows, not %zu; the first difference is in row %zu", table.count, n, i);
	}
	for (i = 0; i < n; i++)
		free(want[i]);
}

/* ---- writing ------------------------------------------------------------------------------ */

static void
write_all(int fd, const char *data, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, data, n);

		if (done < 0 && errno != EINTR)
			fail("the pipeline does not read: %s", strerror(errno));
		data += done > 0 ? done : 0;
		n -= done > 0 ? (size_t)done : 0;
	}
}

static void
flush(struct input *in)
{
	write_all(in->fd, in->piece.data, in->piece.len);
	in->piece.len = 0;
}

/*
 * v is w + 1, that of no other row there is, and both are more than 0: conditions of the
 * queries let them pass.
 */
static void
put_sentinel(struct input *in, const char *op, long number)
{
	struct row r = { .id = 1000 + number, .t = clock_ms + 10 };
	char p[24];

	snprintf(p, sizeof p, "~%ld", number);
	strcpy(r.k, p);
	snprintf(r.v, sizeof r.v, "%ld", 50 + number % 50 * 2 + (in == &input[LEFT]));
	for (int i = 0; i < options.copies; i++)
		write_row(in, op, p, &r);
	in->has_sentinel = *op == '+';
	if (!options.times)
		return;
	/* and a row that lets the watermark pass it */
	clock_ms = r.t += 10;
	strcpy(r.k, "~");
	write_row(in, op, "~", &r);
}

/*
 * Let the pipeline have what in->piece says, and wait for what comes of it. Where the
 * sentinel needs a partner to be seen, that goes ahead, on the other side.
 */
static void
send_piece(struct input *in)
{
	struct input *other = &input[in == &input[LEFT]];

	sentinel++;
	put_sentinel(in, "+I", sentinel);
	if (!in->alone) {
		put_sentinel(other, "+I", sentinel);
		flush(other);
		if (other->alone)
			wait_for_sentinel();
	}
	flush(in);
	wait_for_sentinel();
	compare();
}

static void
take_sentinels_back(void)
{
	for (int s = 0; s <= options.two; s++)
		if (input[s].has_sentinel && !input[s].adds)
			put_sentinel(&input[s], "-D", sentinel);
}

/* ---- seeds ---------------------------------------------------------------------------------- */

static struct input *
some_input(void)
{
	return &input[options.two && chance(50)];
}

static void
drain(void)
{
	struct input *in = some_input();

	while (input[LEFT].count + input[RIGHT].count > 0) {
		in = input[LEFT].count ? &input[LEFT] : &input[RIGHT];
		if (options.two && input[RIGHT].count && chance(50))
			in = &input[RIGHT];
		if (in->adds) {
			in->count = 0;
			continue;
		}
		take_sentinels_back();
		for (long n = 1 + pick(12); n > 0 && in->count; n--)
			take_row(in, chance(90) ? "-D" : "-U");
		send_piece(in);
	}
}

/* Whether rows of this seed can stay: no other's have their keys. */
static bool
may_leave(void)
{
	for (int s = 0; s < 2; s++)
		for (int i = 0; i < input[s].count; i++)
			if (!*input[s].have[i].k)
				return false;
	return options.leave && chance(30);
}

static void
forget(void)
{
	if (sqlite3_exec(db, "delete from l; delete from r", NULL, NULL, NULL) != SQLITE_OK)
		fail("SQLite: %s", sqlite3_errmsg(db));
	input[LEFT].count = input[RIGHT].count = 0;
	if (output.tick >= 0) /* the row of no rows stays */
		return;
	for (size_t i = 0; i < table.count; i++)
		free(table.line[i]);
	table.count = 0;
}

static void
run_seed(void)
{
	long steps = 1 + pick(options.steps);

	trace.len = 0;
	while (steps > 0) {
		struct input *in = some_input();
		/* single changes; some; now and then many */
		long n = chance(55) ? 1 : chance(85) ? 1 + pick(6) : 1 + pick(30);

		take_sentinels_back();
		for (; n > 0 && steps > 0; n--, steps--)
			change(in);
		send_piece(in);
	}
	if (!may_leave())
		drain();
	forget();
}

/* All seeds, their rows mixed as they come, written by processes of their own. */
static void
run_bulk(void)
{
	bool of_sentinel;

	for (long i = 0; i < options.count; i++) {
		random_state = (uint64_t)(seed = options.first + i * options.stride);
		for (long steps = 1 + pick(options.steps); steps > 0; steps--)
			change(some_input());
		input[LEFT].count = input[RIGHT].count = 0;
	}
	seed = options.first;
	for (int s = 0; s <= options.two; s++) {
		pid_t pid = fork();

		if (pid == 0) {
			close(input[!s].fd);
			flush(&input[s]);
			_exit(0);
		}
		if (pid < 0)
			abort();
	}
	for (int s = 0; s <= options.two; s++)
		close(input[s].fd);
	while (read_output())
		while (next_line(&of_sentinel))
			;
	compare();
}

/* ---- beginning -------------------------------------------------------------------------------- */

static void
pipe_of(int *read_end, int *write_end)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC) < 0)
		abort();
	*read_end = fd[0];
	*write_end = fd[1];
}

static pid_t
start_pipeline(void)
{
	int in[2], out;
	pid_t pid;

	pipe_of(&in[LEFT], &input[LEFT].fd);
	pipe_of(&in[RIGHT], &input[RIGHT].fd);
	pipe_of(&output.fd, &out);
	pid = fork();
	if (pid == 0) {
		/* out of the way of the descriptors that they become */
		int right = fcntl(in[RIGHT], F_DUPFD_CLOEXEC, 10);

		signal(SIGPIPE, SIG_DFL);
		dup2(in[LEFT], 0);
		dup2(out, 1);
		if (options.two)
			dup2(right, 3);
		execlp("bash", "bash", "-c", options.command, (char *)NULL);
		_exit(127);
	}
	if (pid < 0)
		abort();
	close(in[LEFT]);
	close(in[RIGHT]);
	close(out);
	return pid;
}

static sqlite3_stmt *
prepare(const char *sql)
{
	sqlite3_stmt *s;

	if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
		fail("SQLite: %s", sqlite3_errmsg(db));
	return s;
}

static void
open_tables(void)
{
	static const char *const schema = "create table l (id int, k text, v, t int);"
					  "create table r (rid int, k text, w, t int);";

	if (sqlite3_open(":memory:", &db) != SQLITE_OK ||
	    sqlite3_exec(db, schema, NULL, NULL, NULL) != SQLITE_OK)
		fail("SQLite: %s", sqlite3_errmsg(db));
	if (options.bulk)
		(void)sqlite3_exec(db, "create index lk on l (k); create index rk on r (k)", NULL,
				   NULL, NULL);
	input[LEFT].insert = prepare("insert into l values (?1, ?2, ?3, ?4)");
	input[RIGHT].insert = prepare("insert into r values (?1, ?2, ?3, ?4)");
	/* of equal rows, the first that came; times are of what only adds */
	input[LEFT].remove = prepare("delete from l where rowid = (select min(rowid) from l"
				     " where id is ?1 and k is ?2 and v is ?3 and ?4 = ?4)");
	input[RIGHT].remove = prepare("delete from r where rowid = (select min(rowid) from r"
				      " where rid is ?1 and k is ?2 and w is ?3 and ?4 = ?4)");
	query = prepare(options.query);
}

static void
write_headers(void)
{
	for (int s = 0; s <= options.two; s++)
		print(&input[s].piece, "%sp,%sid,k,%s%s\n", input[s].adds ? "" : "op,",
		      s == LEFT ? "" : "r", s == LEFT ? "v" : "w", options.times ? ",t" : "");
}

static bool
take_flag(const char *word)
{
	const struct {
		const char *name;
		bool *flag;
	} flags[] = {
		{ "--two", &options.two },           { "--leave", &options.leave },
		{ "--same-ids", &options.same_ids }, { "--no-null-keys", &options.no_null_keys },
		{ "--texts", &options.texts },       { "--times", &options.times },
		{ "--strays", &options.strays },     { "--ordered", &options.ordered },
		{ "--bulk", &options.bulk },
	};

	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
		if (strcmp(word, flags[i].name) == 0)
			return *flags[i].flag = true;
	return false;
}

static bool
take_value(const char *word, const char *value)
{
	if (strcmp(word, "--first") == 0)
		options.first = atol(value);
	else if (strcmp(word, "--count") == 0)
		options.count = atol(value);
	else if (strcmp(word, "--stride") == 0)
		options.stride = atol(value);
	else if (strcmp(word, "--steps") == 0)
		options.steps = atoi(value);
	else if (strcmp(word, "--copies") == 0)
		options.copies = atoi(value);
	else if (strcmp(word, "--adds") == 0)
		for (int s = 0; s < 2; s++)
			input[s].adds = strchr(value, *input[s].name) != NULL;
	else if (strcmp(word, "--alone") == 0)
		for (int s = 0; s < 2; s++)
			input[s].alone = strchr(value, *input[s].name) != NULL;
	else
		return false;
	return true;
}

static void
take_words(int argc, char **argv)
{
	int i = 1;

	for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
		if (take_flag(argv[i]))
			continue;
		if (i + 1 == argc || !take_value(argv[i], argv[i + 1]))
			break;
		i++;
	}
	if (argc - i != 2) {
		fputs(usage, stderr);
		exit(64);
	}
	options.query = argv[i];
	options.command = argv[i + 1];
}

int
main(int argc, char **argv)
{
	int status = 0;
	pid_t pid;

	take_words(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	seed = options.first;
	open_tables();
	pid = start_pipeline();
	write_headers();
	if (options.bulk) {
		run_bulk();
	} else {
		for (int s = 0; s <= options.two; s++)
			flush(&input[s]);
		for (long i = 0; i < options.count; i++) {
			seed = options.first + i * options.stride;
			random_state = (uint64_t)seed;
			run_seed();
		}
		close(input[LEFT].fd);
		close(input[RIGHT].fd);
		while (read_output())
			output.read = output.bytes.len;
	}
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail("the pipeline ended with %d", WEXITSTATUS(status));
	return 0;
}
