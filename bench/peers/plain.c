/* SPDX-License-Identifier: Apache-2.0
 *
 * plain: each workload as a loop written for it alone, the floor under all peers.
 *
 *	plain W1|...|W7 FILE > RESULT
 *
 * It knows the columns, their order, that nothing is quoted, how times are spelt
 * and that no row is two seconds late; it checks nothing. What a tool for any
 * input needs beyond this is the price of being one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	IN_SIZE = 1 << 20,
	OUT_SIZE = 1 << 18,
	MAX_LINE = 512,
	SLICES = 16,			/* minutes kept at once; a power of two */
	MINUTE_MS = 60000,
	LATE_MS = 2000,
	GAP_MS = 30000,
	DAY_MS = 86400000,
	TIME_SIZE = 24,			/* 2023-11-14T22:13:20.488Z */
};

struct text {
	const char *data;
	size_t size;
};

struct row {
	struct text ts;
	struct text user;
	struct text url;
	uint32_t bytes;
};

struct total {
	uint64_t count;
	uint64_t bytes;
};

/* Keys as dense numbers: open addressing over the keys' text. */
struct keys {
	uint32_t *slots;		/* number of the key + 1; 0 is empty */
	uint32_t mask;
	struct text *names;
	uint32_t count;
	uint32_t room;
};

struct slice {
	int64_t minute;
	struct total *totals;		/* by key; room for `room` */
	uint32_t room;
	bool used;
};

struct session {
	int64_t first;
	int64_t last;
	struct total total;
};

struct job {
	int kind;			/* 1 to 7 */
	struct keys keys;
	struct total *totals;		/* W1, by key */
	struct slice slices[SLICES];
	int64_t next_minute;		/* the first that is still open */
	int64_t last_minute;		/* the last that has rows */
	int64_t max_ts;
	struct session (*sessions)[2];	/* W6, by key: the newer, the one before */
	uint32_t room;			/* of totals or sessions */
	char date[10];			/* whose midnight is: */
	int64_t midnight_ms;
	char out[OUT_SIZE + MAX_LINE];
	size_t out_size;
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "plain: %s: %s\n", what, strerror(errno));
	exit(74);
}

static void *grow(void *old, size_t had, size_t want, size_t size)
{
	char *p = realloc(old, want * size);

	if (!p)
		die("memory");
	memset(p + had * size, 0, (want - had) * size);
	return p;
}

static void flush(struct job *j)
{
	for (size_t done = 0; done < j->out_size;) {
		ssize_t n = write(STDOUT_FILENO, j->out + done, j->out_size - done);

		if (n < 0)
			die("standard output");
		done += (size_t)n;
	}
	j->out_size = 0;
}

static void put(struct job *j, struct text t)
{
	memcpy(j->out + j->out_size, t.data, t.size);
	j->out_size += t.size;
}

static void put_char(struct job *j, char c)
{
	j->out[j->out_size++] = c;
}

static void put_number(struct job *j, uint64_t value)
{
	char digits[20];
	size_t n = sizeof(digits);

	do {
		digits[--n] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	put(j, (struct text){ digits + n, sizeof(digits) - n });
}

static void end_line(struct job *j)
{
	put_char(j, '\n');
	if (j->out_size >= OUT_SIZE)
		flush(j);
}

static void put_result(struct job *j, uint32_t key, struct total total)
{
	put(j, j->keys.names[key]);
	put_char(j, ',');
	put_number(j, total.count);
	put_char(j, ',');
	put_number(j, total.bytes);
	end_line(j);
}

static uint32_t two(const char *p)
{
	return (uint32_t)(p[0] - '0') * 10 + (uint32_t)(p[1] - '0');
}

static int64_t parse_time(struct job *j, const char *p)
{
	if (memcmp(p, j->date, sizeof(j->date)) != 0) {
		struct tm tm = {
			.tm_year = (int)(two(p) * 100 + two(p + 2)) - 1900,
			.tm_mon = (int)two(p + 5) - 1, .tm_mday = (int)two(p + 8),
		};

		j->midnight_ms = (int64_t)timegm(&tm) * 1000;
		memcpy(j->date, p, sizeof(j->date));
	}
	return j->midnight_ms + two(p + 11) * 3600000 + two(p + 14) * 60000 + two(p + 17) * 1000 +
	       (uint32_t)(p[20] - '0') * 100 + two(p + 21);
}

static void put_two(char *p, int64_t value)
{
	p[0] = (char)('0' + value / 10);
	p[1] = (char)('0' + value % 10);
}

/* Only a time outside the day of the last row parsed asks the C library. */
static void format_time(const struct job *j, char out[TIME_SIZE + 1], int64_t ms)
{
	int64_t left = ms - j->midnight_ms;

	memcpy(out, j->date, sizeof(j->date));
	if (left < 0 || left >= DAY_MS) {
		time_t seconds = (time_t)(ms / 1000);
		struct tm tm;

		gmtime_r(&seconds, &tm);
		strftime(out, TIME_SIZE, "%Y-%m-%d", &tm);
		left = ms % DAY_MS;
	}
	memcpy(out + 10, "T00:00:00.000Z", 15);
	put_two(out + 11, left / 3600000);
	put_two(out + 14, left / 60000 % 60);
	put_two(out + 17, left / 1000 % 60);
	out[20] = (char)('0' + left % 1000 / 100);
	put_two(out + 21, left % 100);
}

static void rehash(struct keys *k)
{
	uint32_t size = k->mask ? (k->mask + 1) * 2 : 1 << 12;
	uint32_t *old = k->slots;
	uint32_t old_size = k->mask ? k->mask + 1 : 0;

	k->slots = calloc(size, sizeof(*k->slots) * 2);
	if (!k->slots)
		die("memory");
	k->mask = size - 1;
	/* A slot is a pair: the key's number + 1, and its hash. */
	for (uint32_t i = 0; i < old_size; i++) {
		uint32_t at = old[2 * i + 1] & k->mask;

		if (!old[2 * i])
			continue;
		while (k->slots[2 * at])
			at = (at + 1) & k->mask;
		k->slots[2 * at] = old[2 * i];
		k->slots[2 * at + 1] = old[2 * i + 1];
	}
	free(old);
}

static uint32_t hash(struct text t)
{
	uint64_t h = t.size;

	for (size_t i = 0; i < t.size; i++)
		h = (h ^ (unsigned char)t.data[i]) * UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(h >> 32);
}

static uint32_t key_number(struct keys *k, struct text name)
{
	uint32_t h = hash(name), at;
	char *copy;

	if (k->count * 2 >= k->mask)
		rehash(k);
	for (at = h & k->mask; k->slots[2 * at]; at = (at + 1) & k->mask) {
		struct text *known = &k->names[k->slots[2 * at] - 1];

		if (k->slots[2 * at + 1] == h && known->size == name.size &&
		    memcmp(known->data, name.data, name.size) == 0)
			return k->slots[2 * at] - 1;
	}
	if (k->count == k->room) {
		k->names = grow(k->names, k->room, k->room * 2 + 1024, sizeof(*k->names));
		k->room = k->room * 2 + 1024;
	}
	copy = malloc(name.size + 1);
	if (!copy)
		die("memory");
	memcpy(copy, name.data, name.size);
	k->names[k->count] = (struct text){ copy, name.size };
	k->slots[2 * at] = ++k->count;
	k->slots[2 * at + 1] = h;
	return k->count - 1;
}

static struct slice *slice_of(struct job *j, int64_t minute)
{
	return &j->slices[minute & (SLICES - 1)];
}

/* Writes the window of `width` minutes that ends with `minute`. */
static void put_window(struct job *j, int64_t minute, int width)
{
	char span[2 * TIME_SIZE + 3];

	format_time(j, span, (minute - width + 1) * MINUTE_MS);
	span[TIME_SIZE] = ',';
	format_time(j, span + TIME_SIZE + 1, (minute + 1) * MINUTE_MS);
	span[2 * TIME_SIZE + 1] = ',';
	for (uint32_t key = 0; key < j->keys.count; key++) {
		struct total sum = { .count = 0 };

		for (int64_t m = minute - width + 1; m <= minute; m++) {
			struct slice *s = slice_of(j, m);

			if (!s->used || s->minute != m || key >= s->room)
				continue;
			sum.count += s->totals[key].count;
			sum.bytes += s->totals[key].bytes;
		}
		if (sum.count == 0)
			continue;
		put(j, (struct text){ span, 2 * TIME_SIZE + 2 });
		put_result(j, key, sum);
	}
}

/* Closes all minutes before `minute`. */
static void close_until(struct job *j, int64_t minute)
{
	int width = j->kind == 4 ? 5 : 1;

	for (; j->next_minute < minute; j->next_minute++) {
		struct slice *gone = slice_of(j, j->next_minute - width + 1);

		put_window(j, j->next_minute, width);
		if (gone->used)
			memset(gone->totals, 0, gone->room * sizeof(*gone->totals));
		gone->used = false;
	}
}

static void add_to_window(struct job *j, uint32_t key, int64_t ts, uint32_t bytes)
{
	int64_t minute = ts / MINUTE_MS;
	struct slice *s = slice_of(j, minute);

	if (j->max_ts == 0)
		j->next_minute = j->last_minute = (ts - LATE_MS) / MINUTE_MS;
	if (minute > j->last_minute)
		j->last_minute = minute;
	if (ts > j->max_ts) {
		j->max_ts = ts;
		close_until(j, (ts - LATE_MS) / MINUTE_MS);
	}
	if (key >= s->room) {
		s->totals = grow(s->totals, s->room, j->keys.room, sizeof(*s->totals));
		s->room = j->keys.room;
	}
	s->used = true;
	s->minute = minute;
	s->totals[key].count++;
	s->totals[key].bytes += bytes;
}

static void put_session(struct job *j, uint32_t key, const struct session *s)
{
	char span[2 * TIME_SIZE + 3];

	if (s->total.count == 0)
		return;
	format_time(j, span, s->first);
	span[TIME_SIZE] = ',';
	format_time(j, span + TIME_SIZE + 1, s->last + GAP_MS);
	span[2 * TIME_SIZE + 1] = ',';
	put(j, (struct text){ span, 2 * TIME_SIZE + 2 });
	put_result(j, key, s->total);
}

/*
 * A row that is late by less than the gap falls into the newer session, or into
 * the one before, or joins both: two a key are enough, and the older is written
 * when a third begins.
 */
static void add_to_session(struct job *j, uint32_t key, int64_t ts, uint32_t bytes)
{
	struct session *new = &j->sessions[key][0], *old = &j->sessions[key][1];
	struct session *to = new;

	if (new->total.count && ts > new->last + GAP_MS) {
		put_session(j, key, old);
		*old = *new;
		*new = (struct session){ .first = ts, .last = ts };
	} else if (new->total.count && ts < new->first - GAP_MS) {
		to = old;
	} else if (new->total.count == 0) {
		*new = (struct session){ .first = ts, .last = ts };
	}
	to->total.count++;
	to->total.bytes += bytes;
	if (ts < to->first)
		to->first = ts;
	if (ts > to->last)
		to->last = ts;
	if (old->total.count == 0 || new->first > old->last + GAP_MS)
		return;
	new->first = old->first < new->first ? old->first : new->first;
	new->total.count += old->total.count;
	new->total.bytes += old->total.bytes;
	old->total.count = 0;
}

static void on_row(struct job *j, const struct row *r)
{
	bool by_user = j->kind == 3 || j->kind == 6;
	uint32_t key;

	if (j->kind == 7) {
		if (r->bytes <= 90000)
			return;
		put(j, r->ts);
		put_char(j, ',');
		put(j, r->user);
		put_char(j, ',');
		put_number(j, r->bytes);
		end_line(j);
		return;
	}
	key = key_number(&j->keys, by_user ? r->user : r->url);
	if (j->kind != 1 && j->kind != 6) {
		add_to_window(j, key, parse_time(j, r->ts.data), r->bytes);
		return;
	}
	if (key >= j->room) {
		if (j->kind == 1)
			j->totals = grow(j->totals, j->room, j->keys.room, sizeof(*j->totals));
		else
			j->sessions = grow(j->sessions, j->room, j->keys.room,
					   sizeof(*j->sessions));
		j->room = j->keys.room;
	}
	if (j->kind == 6) {
		add_to_session(j, key, parse_time(j, r->ts.data), r->bytes);
		return;
	}
	j->totals[key].count++;
	j->totals[key].bytes += r->bytes;
}

static struct text until(const char **p, char stop)
{
	const char *begin = *p;

	while (**p != stop)
		++*p;
	return (struct text){ begin, (size_t)((*p)++ - begin) };
}

static uint32_t parse_number(const char *p)
{
	uint32_t value = 0;

	for (; *p >= '0' && *p <= '9'; p++)
		value = value * 10 + (uint32_t)(*p - '0');
	return value;
}

static void on_line(struct job *j, const char *p)
{
	struct row r;

	/* {"ts":"…","user":"…","url":"…","status":…,"bytes":…} */
	if (j->kind == 5) {
		p += sizeof("{\"ts\":\"") - 1;
		r.ts = until(&p, '"');
		p += sizeof(",\"user\":\"") - 1;
		r.user = until(&p, '"');
		p += sizeof(",\"url\":\"") - 1;
		r.url = until(&p, '"');
		p += sizeof(",\"status\":") - 1;
		until(&p, ':');
	} else {
		r.ts = until(&p, ',');
		r.user = until(&p, ',');
		r.url = until(&p, ',');
		until(&p, ',');
	}
	r.bytes = parse_number(p);
	on_row(j, &r);
}

static void read_lines(struct job *j, int fd)
{
	static char buffer[IN_SIZE + 1];
	size_t have = 0;
	bool header = j->kind != 5;

	for (;;) {
		ssize_t n = read(fd, buffer + have, IN_SIZE - have);
		char *line = buffer, *end;

		if (n < 0)
			die("read");
		if (n == 0)
			return;
		have += (size_t)n;
		while ((end = memchr(line, '\n', (size_t)(buffer + have - line)))) {
			if (!header)
				on_line(j, line);
			header = false;
			line = end + 1;
		}
		have = (size_t)(buffer + have - line);
		memmove(buffer, line, have);
	}
}

static void finish(struct job *j)
{
	if (j->kind == 1)
		for (uint32_t i = 0; i < j->keys.count; i++)
			put_result(j, i, j->totals[i]);
	if (j->kind >= 2 && j->kind <= 5)
		close_until(j, j->last_minute + (j->kind == 4 ? 5 : 1));
	for (uint32_t i = 0; j->kind == 6 && i < j->keys.count; i++) {
		put_session(j, i, &j->sessions[i][1]);
		put_session(j, i, &j->sessions[i][0]);
	}
	flush(j);
}

int main(int argc, char **argv)
{
	static const char *const headers[] = {
		"url,n,bytes\n", "window_start,window_end,url,n,bytes\n",
		"window_start,window_end,user,n,bytes\n",
		"window_start,window_end,url,n,bytes\n",
		"window_start,window_end,url,n,bytes\n",
		"window_start,window_end,user,n,bytes\n", "ts,user,bytes\n",
	};
	static struct job job;
	int fd;

	if (argc != 3 || argv[1][0] != 'W' || argv[1][1] < '1' || argv[1][1] > '7') {
		fprintf(stderr, "usage: plain W1|...|W7 FILE\n");
		return 64;
	}
	job.kind = argv[1][1] - '0';
	fd = open(argv[2], O_RDONLY);
	if (fd < 0)
		die(argv[2]);
	put(&job, (struct text){ headers[job.kind - 1], strlen(headers[job.kind - 1]) });
	read_lines(&job, fd);
	finish(&job);
	close(fd);
	return 0;
}
