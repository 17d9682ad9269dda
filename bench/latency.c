/* SPDX-License-Identifier: Apache-2.0
 *
 * latency: how long rows took to arrive.
 *
 *	gen live ... | TOOLS | latency COLUMN [--skip-ms MS]
 *	gen live --marks FILE ... | TOOLS | latency COLUMN --marks FILE [--skip-ms MS]
 *
 * Reads CSV with a header. Without --marks the COLUMN holds the wall clock (ns) at
 * which its row was written, and a row's latency is the time of its arrival less
 * that. With --marks the COLUMN holds the end of a window (RFC 3339, UTC), and the
 * latency counts from the row that closed the window, as recorded in FILE by gen;
 * windows that no row closed (those of the end of the input) do not count.
 * --skip-ms leaves out what arrives in the first milliseconds (default 1000), when
 * the processes are still starting. Prints "rows R p50_ms A p99_ms B max_ms C".
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	BUFFER = 1 << 20,
	MAX_FIELD = 64,
};

struct sample {
	int64_t value;			/* the column: ns, or a window's end in ms */
	int64_t arrived_ns;
};

struct list {
	struct sample *items;
	size_t count;
	size_t room;
};

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "latency: %s: %s\n", what, why);
	exit(65);
}

static int64_t wall_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void append(struct list *l, int64_t value, int64_t arrived_ns)
{
	if (l->count == l->room) {
		l->room = l->room ? l->room * 2 : 1 << 16;
		l->items = realloc(l->items, l->room * sizeof(*l->items));
		if (!l->items)
			die("samples", "out of memory");
	}
	l->items[l->count++] = (struct sample){ .value = value, .arrived_ns = arrived_ns };
}

/* Copies field `column` (from 0) of a line into `out`; false if there is none. */
static bool field(const char *line, const char *end, int column, char out[MAX_FIELD])
{
	const char *comma;
	size_t size;

	for (; column > 0; column--) {
		comma = memchr(line, ',', (size_t)(end - line));
		if (!comma)
			return false;
		line = comma + 1;
	}
	comma = memchr(line, ',', (size_t)(end - line));
	size = (size_t)((comma ? comma : end) - line);
	if (size >= MAX_FIELD)
		return false;
	memcpy(out, line, size);
	out[size] = '\0';
	return true;
}

static int find_column(const char *line, const char *end, const char *name)
{
	char text[MAX_FIELD];

	for (int i = 0; field(line, end, i, text); i++)
		if (strcmp(text, name) == 0)
			return i;
	die(name, "no such column in the header");
}

/* RFC 3339 in UTC with up to three decimals, as flue prints it, to ms. */
static int64_t time_ms(const char *text)
{
	struct tm tm = { .tm_isdst = 0 };
	int milli = 0;
	char zone;

	if (sscanf(text, "%d-%d-%dT%d:%d:%d.%3d%c", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &milli, &zone) != 8) {
		milli = 0;
		if (sscanf(text, "%d-%d-%dT%d:%d:%d%c", &tm.tm_year, &tm.tm_mon,
			   &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &zone) != 7)
			die(text, "not a time");
	}
	if (zone != 'Z')
		die(text, "not a time in UTC");
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	return (int64_t)timegm(&tm) * 1000 + milli;
}

/* Reads standard input to its end; every line of one read arrived together. */
static void collect(struct list *samples, const char *name, bool is_time)
{
	static char buffer[BUFFER];
	size_t have = 0;
	int column = -1;

	for (;;) {
		ssize_t n = read(STDIN_FILENO, buffer + have, sizeof(buffer) - have);
		int64_t now = wall_clock_ns();
		char *line = buffer, *end;
		char text[MAX_FIELD];

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			die("standard input", strerror(errno));
		if (n == 0)
			return;
		have += (size_t)n;
		while ((end = memchr(line, '\n', (size_t)(buffer + have - line)))) {
			if (column < 0)
				column = find_column(line, end, name);
			else if (field(line, end, column, text))
				append(samples, is_time ? time_ms(text) : strtoll(text, NULL, 10),
				       now);
			else
				die(name, "a row without this column");
			line = end + 1;
		}
		have = (size_t)(buffer + have - line);
		memmove(buffer, line, have);
		if (have == sizeof(buffer))
			die("standard input", "a line is too long");
	}
}

static void read_marks(struct list *marks, const char *file)
{
	FILE *f = fopen(file, "r");
	int64_t end_ms, ns;

	if (!f)
		die(file, strerror(errno));
	while (fscanf(f, "%" SCNd64 " %" SCNd64, &end_ms, &ns) == 2)
		append(marks, end_ms, ns);
	fclose(f);
}

/* The ns of the row that closed the window ending at end_ms, or -1. */
static int64_t closed_at(const struct list *marks, int64_t end_ms)
{
	size_t low = 0, high = marks->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (marks->items[middle].value < end_ms)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == marks->count || marks->items[low].value != end_ms)
		return -1;
	return marks->items[low].arrived_ns;
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void report(const struct list *samples, const struct list *marks, int64_t skip_ns)
{
	int64_t *took = calloc(samples->count + 1, sizeof(*took));
	size_t n = 0;

	if (!took)
		die("samples", "out of memory");
	for (size_t i = 0; i < samples->count; i++) {
		const struct sample *s = &samples->items[i];
		int64_t from = marks ? closed_at(marks, s->value) : s->value;

		if (from >= 0 && s->arrived_ns - samples->items[0].arrived_ns >= skip_ns)
			took[n++] = s->arrived_ns - from;
	}
	if (n == 0)
		die("standard input", "no row to measure");
	qsort(took, n, sizeof(*took), by_value);
	printf("rows %zu p50_ms %.3f p99_ms %.3f max_ms %.3f\n", n, (double)took[n / 2] / 1e6,
	       (double)took[n - 1 - n / 100] / 1e6, (double)took[n - 1] / 1e6);
	free(took);
}

int main(int argc, char **argv)
{
	struct list samples = { .count = 0 }, marks = { .count = 0 };
	const char *marks_file = NULL;
	int64_t skip_ms = 1000;
	bool good = argc >= 2 && argc % 2 == 0;

	for (int i = 2; good && i < argc; i += 2) {
		if (strcmp(argv[i], "--marks") == 0)
			marks_file = argv[i + 1];
		else if (strcmp(argv[i], "--skip-ms") == 0)
			skip_ms = strtoll(argv[i + 1], NULL, 10);
		else
			good = false;
	}
	if (!good) {
		fprintf(stderr, "usage: latency COLUMN [--marks FILE] [--skip-ms MS]\n");
		return 64;
	}
	collect(&samples, argv[1], marks_file != NULL);
	if (marks_file)
		read_marks(&marks, marks_file);
	report(&samples, marks_file ? &marks : NULL, skip_ms * 1000000);
	free(samples.items);
	free(marks.items);
	return fflush(stdout) == 0 ? 0 : 74;
}
