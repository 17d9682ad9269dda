/* SPDX-License-Identifier: Apache-2.0
 *
 * gen: the benchmark's data. The same arguments and seed give the same bytes on
 * every machine, so that numbers taken elsewhere are about the same work.
 *
 *	gen csv|jsonl ROWS [--seed N] [--zipf S] [--users N] [--urls N]
 *	                   [--hours H] [--late-ms MS]
 *	gen live --rate R --seconds N [--marks FILE --window-ms MS] [...]
 *
 * csv and jsonl spread ROWS evenly over H hours of event time and move each row
 * back by less than --late-ms milliseconds, so that the rows are out of order by
 * a known bound: with that bound as the watermark's delay no row is late.
 *
 * live writes rows at a rate, one write(2) each. A row's last column, ns, is the
 * wall clock just before it was written, and its ts the same in milliseconds.
 * --marks FILE records, for each window of MS milliseconds, which moment closed
 * it: lines "END_MS NS", NS being the ns of the first row with ts >= END_MS.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	MAX_ROW = 256,			/* upper bound of one row's text */
	BUFFER = 1 << 18,
	MAX_BYTES = 100000,		/* largest value of the column bytes */
};

#define START_MS INT64_C(1700000000000)	/* 2023-11-14T22:13:20Z */
#define DAY_S 86400

struct options {
	uint64_t rows;
	uint64_t seed;
	double zipf;			/* exponent for urls; 0 is uniform */
	uint32_t users;
	uint32_t urls;
	double hours;
	uint32_t late_ms;
	uint32_t rate;			/* live: rows a second */
	double seconds;			/* live: how long */
	const char *marks;		/* live: file of window ends, or NULL */
	uint32_t window_ms;
};

/* One column of an alias table: below `cut` it is the column itself. */
struct alias {
	uint32_t cut;
	uint32_t other;
};

struct generator {
	uint64_t state;
	uint32_t users;
	uint32_t urls;
	struct alias *alias;		/* NULL: urls are uniform */
	int64_t day;			/* the day that `date` spells */
	char date[11];			/* "2023-11-14T" */
};

struct row {
	int64_t ts_ms;
	uint32_t user;
	uint32_t url;
	uint32_t status;
	uint32_t bytes;
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "gen: %s: %s\n", what, strerror(errno));
	exit(74);
}

static _Noreturn void usage(const char *why)
{
	fprintf(stderr, "gen: %s\n"
		"usage: gen csv|jsonl ROWS [--seed N] [--zipf S] [--users N] [--urls N]"
		" [--hours H] [--late-ms MS]\n"
		"       gen live --rate R --seconds N [--marks FILE --window-ms MS]\n", why);
	exit(64);
}

static void write_all(const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(STDOUT_FILENO, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			die("standard output");
		data += n;
		size -= (size_t)n;
	}
}

/* splitmix64: one addition and a mixing step a number, ample for test data. */
static uint64_t next_random(struct generator *g)
{
	uint64_t z = g->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* Maps 32 random bits to [0, n); the bias of n / 2^32 does not matter here. */
static uint32_t below(uint32_t bits, uint32_t n)
{
	return (uint32_t)(((uint64_t)bits * n) >> 32);
}

/*
 * Walker's alias method: every url gets one column of equal width, in which at
 * most one other url shares the space, so a draw costs one table look-up.
 */
static struct alias *make_zipf(uint32_t n, double exponent)
{
	struct alias *table = calloc(n, sizeof(*table));
	double *weight = calloc(n, sizeof(*weight));
	uint32_t *stack = calloc((size_t)n * 2, sizeof(*stack));
	uint32_t small = 0, large = 0;
	double total = 0;

	if (!table || !weight || !stack)
		die("zipf table");
	for (uint32_t i = 0; i < n; i++)
		total += weight[i] = pow(i + 1.0, -exponent);
	for (uint32_t i = 0; i < n; i++) {
		weight[i] *= n / total;
		if (weight[i] < 1)
			stack[small++] = i;
		else
			stack[n + large++] = i;
	}
	while (small > 0 && large > 0) {
		uint32_t s = stack[--small];
		uint32_t l = stack[n + large - 1];

		table[s].cut = (uint32_t)(weight[s] * 4294967295.0);
		table[s].other = l;
		weight[l] -= 1 - weight[s];
		if (weight[l] < 1) {
			large--;
			stack[small++] = l;
		}
	}
	/* What is left over is 1 but for rounding. */
	while (small > 0)
		table[stack[--small]].cut = UINT32_MAX;
	while (large > 0)
		table[stack[n + --large]].cut = UINT32_MAX;
	free(weight);
	free(stack);
	return table;
}

static uint32_t draw_url(struct generator *g)
{
	uint64_t r = next_random(g);
	uint32_t i = below((uint32_t)r, g->urls);

	if (!g->alias || (uint32_t)(r >> 32) <= g->alias[i].cut)
		return i;
	return g->alias[i].other;
}

static uint32_t draw_status(uint32_t bits)
{
	uint32_t percent = below(bits, 100);

	if (percent < 88)
		return 200;
	if (percent < 92)
		return 304;
	if (percent < 95)
		return 404;
	return 500;
}

/* Everything of a row but its time. */
static void draw_row(struct generator *g, struct row *row)
{
	uint64_t r = next_random(g);

	row->user = below((uint32_t)r, g->users);
	row->bytes = below((uint32_t)(r >> 32), MAX_BYTES + 1);
	row->url = draw_url(g);
	row->status = draw_status((uint32_t)(next_random(g) >> 32));
}

static char *put_text(char *p, const char *text, size_t size)
{
	memcpy(p, text, size);
	return p + size;
}

#define PUT(p, literal) put_text(p, literal, sizeof(literal) - 1)

static char *put_number(char *p, uint64_t value)
{
	char digits[20];
	size_t n = 0;

	do {
		digits[n++] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	while (n > 0)
		*p++ = digits[--n];
	return p;
}

static char *put_two(char *p, uint32_t value)
{
	*p++ = (char)('0' + value / 10);
	*p++ = (char)('0' + value % 10);
	return p;
}

/* RFC 3339 in UTC with three decimals; only a new day asks the C library. */
static char *put_time(struct generator *g, char *p, int64_t ms)
{
	int64_t seconds = ms / 1000;
	int64_t day = seconds / DAY_S;
	uint32_t left = (uint32_t)(seconds % DAY_S);
	uint32_t milli = (uint32_t)(ms % 1000);

	if (day != g->day) {
		time_t midnight = (time_t)(day * DAY_S);
		struct tm tm;
		char text[16];

		if (!gmtime_r(&midnight, &tm) ||
		    strftime(text, sizeof(text), "%Y-%m-%dT", &tm) != sizeof(g->date))
			die("event time");
		memcpy(g->date, text, sizeof(g->date));
		g->day = day;
	}
	p = put_text(p, g->date, sizeof(g->date));
	p = put_two(p, left / 3600);
	*p++ = ':';
	p = put_two(p, left / 60 % 60);
	*p++ = ':';
	p = put_two(p, left % 60);
	*p++ = '.';
	*p++ = (char)('0' + milli / 100);
	p = put_two(p, milli % 100);
	*p++ = 'Z';
	return p;
}

/* The five columns, without the end of the line. */
static char *put_csv(struct generator *g, char *p, const struct row *row)
{
	p = put_time(g, p, row->ts_ms);
	p = PUT(p, ",u");
	p = put_number(p, row->user);
	p = PUT(p, ",/p/");
	p = put_number(p, row->url);
	*p++ = ',';
	p = put_number(p, row->status);
	*p++ = ',';
	return put_number(p, row->bytes);
}

static char *put_jsonl(struct generator *g, char *p, const struct row *row)
{
	p = PUT(p, "{\"ts\":\"");
	p = put_time(g, p, row->ts_ms);
	p = PUT(p, "\",\"user\":\"u");
	p = put_number(p, row->user);
	p = PUT(p, "\",\"url\":\"/p/");
	p = put_number(p, row->url);
	p = PUT(p, "\",\"status\":");
	p = put_number(p, row->status);
	p = PUT(p, ",\"bytes\":");
	p = put_number(p, row->bytes);
	*p++ = '}';
	return p;
}

static void write_file(struct generator *g, const struct options *o, bool jsonl)
{
	static char buffer[BUFFER + MAX_ROW];
	double step = o->hours * 3600e3 / (double)o->rows;
	char *p = buffer;

	if (!jsonl)
		p = PUT(p, "ts,user,url,status,bytes\n");
	for (uint64_t i = 0; i < o->rows; i++) {
		struct row row;

		draw_row(g, &row);
		row.ts_ms = START_MS + (int64_t)((double)i * step) -
			    below((uint32_t)(next_random(g) >> 32), o->late_ms);
		p = jsonl ? put_jsonl(g, p, &row) : put_csv(g, p, &row);
		*p++ = '\n';
		if (p - buffer < BUFFER)
			continue;
		write_all(buffer, (size_t)(p - buffer));
		p = buffer;
	}
	write_all(buffer, (size_t)(p - buffer));
}

static int64_t wall_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void sleep_until(int64_t ns)
{
	struct timespec then = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };

	while (clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &then, NULL) == EINTR)
		continue;
}

static void write_live(struct generator *g, const struct options *o)
{
	uint64_t rows = (uint64_t)(o->rate * o->seconds);
	FILE *marks = o->marks ? fopen(o->marks, "w") : NULL;
	int64_t start, window_end = INT64_MAX;
	char line[MAX_ROW];
	char *p;

	if (o->marks && !marks)
		die(o->marks);
	p = PUT(line, "ts,user,url,status,bytes,ns\n");
	write_all(line, (size_t)(p - line));
	start = wall_clock_ns();
	if (marks)
		window_end = (start / 1000000 / o->window_ms + 1) * o->window_ms;
	for (uint64_t i = 0; i < rows; i++) {
		int64_t due = start + (int64_t)((double)i * 1e9 / o->rate);
		struct row row;
		int64_t now = wall_clock_ns();

		if (now < due) {
			sleep_until(due);
			now = wall_clock_ns();
		}
		draw_row(g, &row);
		row.ts_ms = now / 1000000;
		p = put_csv(g, line, &row);
		*p++ = ',';
		p = put_number(p, (uint64_t)now);
		*p++ = '\n';
		write_all(line, (size_t)(p - line));
		/* A pause longer than a window closes several with one row. */
		for (; row.ts_ms >= window_end; window_end += o->window_ms)
			fprintf(marks, "%" PRId64 " %" PRId64 "\n", window_end, now);
	}
	if (marks && fclose(marks) != 0)
		die(o->marks);
}

static double number(const char *text, const char *name, double low, double high)
{
	char *end;
	double value;

	errno = 0;
	value = strtod(text, &end);
	if (errno || end == text || *end || !(value >= low && value <= high)) {
		fprintf(stderr, "gen: %s: '%s' is not a number from %.15g to %.15g\n",
			name, text, low, high);
		exit(64);
	}
	return value;
}

static void parse_options(int argc, char **argv, struct options *o)
{
	static const struct option table[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "zipf", required_argument, NULL, 'z' },
		{ "users", required_argument, NULL, 'u' },
		{ "urls", required_argument, NULL, 'p' },
		{ "hours", required_argument, NULL, 'h' },
		{ "late-ms", required_argument, NULL, 'l' },
		{ "rate", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 't' },
		{ "marks", required_argument, NULL, 'm' },
		{ "window-ms", required_argument, NULL, 'w' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
		switch (c) {
		case 's': o->seed = (uint64_t)number(optarg, "--seed", 0, 9e15); break;
		case 'z': o->zipf = number(optarg, "--zipf", 0, 10); break;
		case 'u': o->users = (uint32_t)number(optarg, "--users", 1, 4e9); break;
		case 'p': o->urls = (uint32_t)number(optarg, "--urls", 1, 1e8); break;
		case 'h': o->hours = number(optarg, "--hours", 1e-6, 1e6); break;
		case 'l': o->late_ms = (uint32_t)number(optarg, "--late-ms", 1, 4e9); break;
		case 'r': o->rate = (uint32_t)number(optarg, "--rate", 1, 1e7); break;
		case 't': o->seconds = number(optarg, "--seconds", 0.001, 1e6); break;
		case 'm': o->marks = optarg; break;
		case 'w': o->window_ms = (uint32_t)number(optarg, "--window-ms", 1, 1e9); break;
		default: usage("unknown option, or one without its value");
		}
	}
}

int main(int argc, char **argv)
{
	struct options o = {
		.seed = 1, .users = 100000, .urls = 5000, .hours = 6, .late_ms = 2000,
		.rate = 10000, .seconds = 10, .window_ms = 100,
	};
	struct generator g;
	const char *mode;

	parse_options(argc, argv, &o);
	if (optind >= argc)
		usage("csv, jsonl or live?");
	mode = argv[optind++];
	g = (struct generator){
		.state = o.seed, .users = o.users, .urls = o.urls, .day = -1,
		.alias = o.zipf > 0 ? make_zipf(o.urls, o.zipf) : NULL,
	};
	if (strcmp(mode, "live") == 0) {
		if (optind != argc)
			usage("live takes no ROWS");
		write_live(&g, &o);
		free(g.alias);
		return 0;
	}
	if (strcmp(mode, "csv") != 0 && strcmp(mode, "jsonl") != 0)
		usage("csv, jsonl or live?");
	if (optind + 1 != argc)
		usage("one number of ROWS is needed");
	o.rows = (uint64_t)number(argv[optind], "ROWS", 1, 1e12);
	write_file(&g, &o, mode[0] == 'j');
	free(g.alias);
	return 0;
}
