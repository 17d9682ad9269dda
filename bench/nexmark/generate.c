/* SPDX-License-Identifier: Apache-2.0 */
/*
 * generate: the events of the Nexmark benchmark: persons who register, auctions
 * that they open, and bids. The same arguments give the same bytes on every
 * machine: an event is a function of the seed and of its number alone.
 *
 *	generate DIR --events N [options]     DIR/events.jsonl, DIR/side_input.csv
 *	generate DIR --csv --events N ...     DIR/person.csv, auction.csv, bid.csv, too
 *	generate - --events N ...             JSON lines to standard output
 *	generate - --live --rate R ...        the same, R events a second, from now on
 *
 * Of 50 events one is a person, three are auctions, 46 are bids. Half of the bids
 * go to an auction that is hot, three quarters of them come from a bidder who is;
 * ids lead a little, so that some bids are for auctions that are still to come.
 * Event n is at base + n / rate; --ties T gives T neighbours one and the same time.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	CYCLE = 50, /* events: one person, three auctions, bids */
	PERSONS = 1,
	AUCTIONS = 3,
	FIRST_ID = 1000,
	FIRST_CATEGORY = 10,
	CATEGORIES = 5,
	HOT_AUCTION_RATIO = 2, /* one bid in 2 is not for the hot auction */
	HOT_BIDDER_RATIO = 4,
	HOT_SELLER_RATIO = 4,
	HOT_GROUP = 100, /* of 100 neighbouring ids one is hot */
	ACTIVE_PEOPLE = 1000,
	OPEN_AUCTIONS = 100,
	ID_LEAD = 10,
	CHANNELS = 10000,
	HOT_CHANNELS = 4,
	SIDE_ROWS = 10000,
	STEP = 953, /* of the numbers inside a group that is out of order */
	BUFFER = 1 << 18,
	EVENT_MAX = 1 << 16, /* upper bound of one event's text */
	EXTRA_MAX = 16384,
};

#define DEFAULT_BASE_MS INT64_C(1436918400000) /* 2015-07-15T00:00:00Z */

struct options {
	const char *dir;
	uint64_t events; /* 0: endless */
	uint64_t first;
	uint64_t seed;
	uint64_t rate;  /* events a second */
	uint64_t group; /* out of order inside groups of so many events; 1: in order */
	uint64_t ties;
	uint64_t late_per_mille;
	uint64_t late_ms;
	int64_t base_ms;
	uint64_t bytes[3]; /* average size of a person, an auction, a bid */
	bool csv;
	bool live;
};

struct rng {
	uint64_t state;
};

/* A text under construction; room for an event is made before each. */
struct out {
	FILE *to;
	char *p;
	size_t len;
};

struct channel {
	char name[16];
	char url[128];
	uint8_t name_len, url_len;
};

struct generator {
	struct options o;
	struct channel *channel; /* CHANNELS, then the hot ones */
	int64_t second;          /* what `clock` says; INT64_MIN: nothing yet */
	char clock[20];          /* "2015-07-15 00:00:00" */
	struct out all, person, auction, bid;
};

static const char *const first_names[] = {
	"Ada", "Bela", "Chen", "Dina", "Emil", "Farah", "Goran", "Hana", "Ida", "Juan", "Kofi",
};
static const char *const last_names[] = {
	"Archer", "Baker", "Cooper", "Dyer", "Fisher", "Glover", "Miller", "Potter", "Weaver",
};
static const char *const cities[] = {
	"Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland",
	"Bend",    "Redmond",     "Seattle",       "Kent",  "Cheyenne",
};
static const char *const states[] = { "AZ", "CA", "ID", "OR", "WA", "WY" };
static const char *const hot_channels[HOT_CHANNELS] = { "Google", "Facebook", "Baidu", "Apple" };

#define COUNT(array) (sizeof(array) / sizeof *(array))

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "generate: %s: %s\n", what, strerror(errno));
	exit(74);
}

static _Noreturn void
usage(const char *what)
{
	fprintf(stderr,
		"generate: %s\n"
		"usage: generate DIR|- --events N [--seed S] [--rate R] [--out-of-order G]\n"
		"                [--ties T] [--late SHARE_PER_MILLE,MS] [--base EPOCH_MS]\n"
		"                [--first N] [--bytes PERSON,AUCTION,BID] [--csv] [--live]\n",
		what);
	exit(64);
}

/* ---- random numbers: splitmix64 ----------------------------------------- */

static uint64_t
next(struct rng *r)
{
	uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* 0 .. n - 1 */
static uint64_t
below(struct rng *r, uint64_t n)
{
	return (uint64_t)((unsigned __int128)next(r) * n >> 64);
}

/* The generator of event (or channel) n, which no other one's is near to. */
static struct rng
rng_for(uint64_t seed, uint64_t n)
{
	struct rng r = { seed ^ n * UINT64_C(0xd1342543de82ef95) };

	r.state = next(&r) + n;
	return r;
}

/*
 * 100 .. 10^8, its logarithm uniform: 10^(6u) is the product of the powers that
 * u's bits stand for. Multiplications only: libm's pow may differ by machine.
 */
static uint64_t
price(struct rng *r)
{
	static const double power[20] = {
		/* 10^(6 / 2), 10^(6 / 4), .. */
		1000.0,
		31.622776601683793,
		5.623413251903491,
		2.371373705661655,
		1.539926526059492,
		1.2409377607517196,
		1.1139738599948024,
		1.055449600878603,
		1.0273507681793026,
		1.0135831333340657,
		1.0067686592927223,
		1.0033786221027048,
		1.0016878865708143,
		1.0008435874655013,
		1.000421704815275,
		1.0002108301829544,
		1.000105409535892,
		1.0000527033791229,
		1.0000263513423648,
		1.0000131755843844,
	};
	uint64_t bits = next(r);
	double v = 100;

	for (size_t i = 0; i < COUNT(power); i++)
		v *= bits >> i & 1 ? power[i] : 1;
	return (uint64_t)(v + 0.5);
}

/* ---- text ----------------------------------------------------------------- */

static void
flush(struct out *o)
{
	if (o->len && fwrite(o->p, 1, o->len, o->to) != o->len)
		die("write");
	o->len = 0;
}

static void
put(struct out *o, const char *s, size_t n)
{
	memcpy(o->p + o->len, s, n);
	o->len += n;
}

#define PUT(o, literal) put(o, literal, sizeof(literal) - 1)

static void
put_string(struct out *o, const char *s)
{
	put(o, s, strlen(s));
}

static void
put_number(struct out *o, uint64_t v)
{
	char buf[20], *p = buf + sizeof buf;

	do
		*--p = (char)('0' + v % 10);
	while (v /= 10);
	put(o, p, (size_t)(buf + sizeof buf - p));
}

/* n letters; blanks says that some of them are spaces, never the first or last. */
static void
put_letters(struct out *o, struct rng *r, uint64_t n, bool blanks)
{
	char *p = o->p + o->len;
	uint64_t bits = 0;

	for (uint64_t i = 0; i < n; i++) {
		if (i % 8 == 0)
			bits = next(r);
		p[i] = (char)('a' + ((bits & 0xff) * 26 >> 8));
		if (blanks && i && i + 1 < n && (bits & 0xff) % 13 == 12)
			p[i] = ' ';
		bits >>= 8;
	}
	o->len += n;
}

/* 3 .. max letters */
static void
put_word(struct out *o, struct rng *r, uint64_t max, bool blanks)
{
	put_letters(o, r, 3 + below(r, max - 2), blanks);
}

/* What brings an event of size bytes to about its average. */
static void
put_extra(struct out *o, struct rng *r, uint64_t size, uint64_t average)
{
	uint64_t want, delta;

	if (size >= average)
		return;
	want = average - size;
	delta = (want + 2) / 5;
	put_letters(o, r, want - delta + (delta ? below(r, 2 * delta) : 0), false);
}

static void
put_digits(char *to, uint64_t v, int n)
{
	for (int i = n; i-- > 0; v /= 10)
		to[i] = (char)('0' + v % 10);
}

/* An SQL timestamp in UTC. */
static void
put_time(struct generator *g, struct out *o, int64_t ms)
{
	int64_t second = ms / 1000;
	char fraction[4] = ".";

	if (second != g->second) {
		time_t t = (time_t)second;
		struct tm tm;

		gmtime_r(&t, &tm);
		(void)strftime(g->clock, sizeof g->clock, "%Y-%m-%d %H:%M:%S", &tm);
		g->second = second;
	}
	put(o, g->clock, sizeof g->clock - 1);
	put_digits(fraction + 1, (uint64_t)(ms % 1000), 3);
	put(o, fraction, sizeof fraction);
}

/* ---- ids ------------------------------------------------------------------ */

/* The last person, counted from 0, that event n or one before it is. */
static uint64_t
last_person(uint64_t n)
{
	return n / CYCLE * PERSONS;
}

/* The last auction, from 0; none before the first is as good as the first. */
static uint64_t
last_auction(uint64_t n)
{
	uint64_t at = n % CYCLE, before = n / CYCLE * AUCTIONS;

	if (at >= PERSONS + AUCTIONS)
		return before + AUCTIONS - 1;
	if (at >= PERSONS)
		return before + at - PERSONS;
	return before ? before - 1 : 0;
}

static uint64_t
some_person(struct rng *r, uint64_t n)
{
	uint64_t people = last_person(n) + 1;
	uint64_t active = people < ACTIVE_PEOPLE ? people : ACTIVE_PEOPLE;

	return people - active + below(r, active + ID_LEAD);
}

static uint64_t
some_auction(struct rng *r, uint64_t n)
{
	uint64_t last = last_auction(n), least = last > OPEN_AUCTIONS ? last - OPEN_AUCTIONS : 0;

	return least + below(r, last - least + 1 + ID_LEAD);
}

/* ---- events --------------------------------------------------------------- */

static int64_t
time_of(const struct generator *g, uint64_t n)
{
	uint64_t tie = n - n % g->o.ties;

	return g->o.base_ms + (int64_t)((unsigned __int128)tie * 1000 / g->o.rate);
}

/*
 * The fields of an event in the order of the columns. The same calls write JSON
 * and CSV: no text here needs quotes in CSV.
 */
struct writer {
	struct out *o;
	bool json;
	bool any;
};

static void
name(struct writer *w, const char *field)
{
	if (w->any)
		PUT(w->o, ",");
	w->any = true;
	if (!w->json)
		return;
	PUT(w->o, "\"");
	put_string(w->o, field);
	PUT(w->o, "\":");
}

static void
quote(struct writer *w)
{
	if (w->json)
		PUT(w->o, "\"");
}

static void
number(struct writer *w, const char *field, uint64_t v)
{
	name(w, field);
	put_number(w->o, v);
}

static void
string(struct writer *w, const char *field, const char *s, size_t n)
{
	name(w, field);
	quote(w);
	put(w->o, s, n);
	quote(w);
}

static void
moment(struct generator *g, struct writer *w, const char *field, int64_t ms)
{
	name(w, field);
	quote(w);
	put_time(g, w->o, ms);
	quote(w);
}

static void
extra(struct writer *w, struct rng *r, uint64_t size, uint64_t average)
{
	size_t empty;

	name(w, "extra");
	quote(w);
	empty = w->o->len;
	put_extra(w->o, r, size, average);
	if (!w->json && w->o->len == empty)
		PUT(w->o, "\"\""); /* not NULL */
	quote(w);
}

static void
person(struct generator *g, struct writer *w, struct rng *r, uint64_t n, int64_t ms)
{
	struct out *o = w->o;
	size_t start;

	number(w, "id", FIRST_ID + last_person(n));
	start = o->len;
	name(w, "name");
	quote(w);
	put_string(o, first_names[below(r, COUNT(first_names))]);
	PUT(o, " ");
	put_string(o, last_names[below(r, COUNT(last_names))]);
	quote(w);
	name(w, "emailAddress");
	quote(w);
	put_word(o, r, 7, false);
	PUT(o, "@");
	put_word(o, r, 5, false);
	PUT(o, ".com");
	quote(w);
	name(w, "creditCard");
	quote(w);
	for (int i = 0; i < 4; i++) {
		char four[5] = " ";

		put_digits(four + 1, below(r, 10000), 4);
		put(o, four + !i, 5u - !i);
	}
	quote(w);
	string(w, "city", "", 0);
	o->len -= w->json;
	put_string(o, cities[below(r, COUNT(cities))]);
	quote(w);
	string(w, "state", states[below(r, COUNT(states))], 2);
	moment(g, w, "dateTime", ms);
	extra(w, r, 8 + o->len - start, g->o.bytes[0]);
}

static void
auction(struct generator *g, struct writer *w, struct rng *r, uint64_t n, int64_t ms)
{
	uint64_t seller, first = price(r), more = price(r);
	int64_t until = time_of(g, n + OPEN_AUCTIONS * CYCLE / AUCTIONS) - time_of(g, n);
	size_t start = w->o->len;

	if (below(r, HOT_SELLER_RATIO) > 0)
		seller = last_person(n) / HOT_GROUP * HOT_GROUP;
	else
		seller = some_person(r, n);
	number(w, "id", FIRST_ID + last_auction(n));
	name(w, "itemName");
	quote(w);
	put_word(w->o, r, 20, false);
	quote(w);
	name(w, "description");
	quote(w);
	put_word(w->o, r, 100, true);
	quote(w);
	number(w, "initialBid", first);
	number(w, "reserve", first + more);
	moment(g, w, "dateTime", ms);
	moment(g, w, "expires", ms + 1 + (int64_t)below(r, until > 0 ? 2 * (uint64_t)until : 1));
	number(w, "seller", FIRST_ID + seller);
	number(w, "category", FIRST_CATEGORY + below(r, CATEGORIES));
	extra(w, r, w->o->len - start, g->o.bytes[1]);
}

static void
bid(struct generator *g, struct writer *w, struct rng *r, uint64_t n, int64_t ms)
{
	uint64_t of, bidder;
	const struct channel *c;

	if (below(r, HOT_AUCTION_RATIO) > 0)
		of = last_auction(n) / HOT_GROUP * HOT_GROUP;
	else
		of = some_auction(r, n);
	if (below(r, HOT_BIDDER_RATIO) > 0)
		bidder = last_person(n) / HOT_GROUP * HOT_GROUP + 1;
	else
		bidder = some_person(r, n);
	c = &g->channel[below(r, 2) ? CHANNELS + below(r, HOT_CHANNELS) : below(r, CHANNELS)];
	number(w, "auction", FIRST_ID + of);
	number(w, "bidder", FIRST_ID + bidder);
	number(w, "price", price(r));
	string(w, "channel", c->name, c->name_len);
	string(w, "url", c->url, c->url_len);
	moment(g, w, "dateTime", ms);
	extra(w, r, 32, g->o.bytes[2]); /* four numbers, as the other generators count it */
}

/* Its number modulo CYCLE says what event n is. */
static void
event(struct generator *g, uint64_t n)
{
	static void (*const fields[])(struct generator *, struct writer *, struct rng *, uint64_t,
				      int64_t) = { person, auction, bid };
	struct out *const csv[] = { &g->person, &g->auction, &g->bid };
	unsigned type = n % CYCLE < PERSONS ? 0 : n % CYCLE < PERSONS + AUCTIONS ? 1 : 2;
	struct rng r = rng_for(g->o.seed, n), again;
	struct writer w = { .o = &g->all, .json = true };
	int64_t ms = time_of(g, n);

	if (g->o.late_per_mille && below(&r, 1000) < g->o.late_per_mille)
		ms -= (int64_t)below(&r, g->o.late_ms + 1);
	again = r;
	PUT(w.o, "{\"event_type\":");
	put_number(w.o, type);
	if (type == 0)
		PUT(w.o, ",\"person\":{");
	else if (type == 1)
		PUT(w.o, ",\"person\":null,\"auction\":{");
	else
		PUT(w.o, ",\"person\":null,\"auction\":null,\"bid\":{");
	fields[type](g, &w, &r, n, ms);
	if (type == 0)
		PUT(w.o, "},\"auction\":null,\"bid\":null}\n");
	else if (type == 1)
		PUT(w.o, "},\"bid\":null}\n");
	else
		PUT(w.o, "}}\n");
	if (!g->o.csv)
		return;
	w = (struct writer){ .o = csv[type] };
	fields[type](g, &w, &again, n, ms);
	PUT(w.o, "\n");
	if (w.o->len > BUFFER)
		flush(w.o);
}

/* The number of the i-th event that is written. */
static uint64_t
number_of(const struct options *o, uint64_t i)
{
	uint64_t group = o->group, start = i - i % group;

	/* a last group that is cut off stays in order, else numbers would be missing */
	if (o->events && start + group > o->first + o->events)
		return i;
	return start + (i % group) * STEP % group;
}

static void
channels(struct generator *g)
{
	g->channel = calloc(CHANNELS + HOT_CHANNELS, sizeof *g->channel);
	if (!g->channel)
		die("memory");
	for (uint32_t i = 0; i < CHANNELS + HOT_CHANNELS; i++) {
		struct channel *c = &g->channel[i];
		struct rng r = rng_for(~g->o.seed, i);
		struct out url = { .p = c->url };
		uint32_t reversed = 0;
		bool hot = i >= CHANNELS;

		for (int b = 0; b < 32; b++)
			reversed |= (i >> b & 1) << (31 - b);
		if (reversed >> 31)
			reversed = -reversed; /* as a number with a sign: its absolute value */
		c->name_len = (uint8_t)snprintf(c->name, sizeof c->name, "channel-%u", i);
		if (hot)
			c->name_len = (uint8_t)snprintf(c->name, sizeof c->name, "%s",
							hot_channels[i - CHANNELS]);
		PUT(&url, "https://www.nexmark.com/");
		for (int part = 0; part < 3; part++) {
			put_word(&url, &r, 5, false);
			PUT(&url, "/");
		}
		PUT(&url, "item.htm?query=1");
		if (!hot && below(&r, 10) > 0) {
			PUT(&url, "&channel_id=");
			put_number(&url, reversed);
		}
		c->url_len = (uint8_t)url.len;
	}
}

/* ---- files ---------------------------------------------------------------- */

static void
open_out(struct out *o, const char *dir, const char *file, const char *head)
{
	char path[PATH_MAX];

	o->to = stdout;
	if (strcmp(dir, "-") != 0) {
		if (snprintf(path, sizeof path, "%s/%s", dir, file) >= (int)sizeof path)
			usage("the name of DIR is too long");
		o->to = fopen(path, "w");
	}
	if (!o->to)
		die(path);
	setvbuf(o->to, NULL, _IONBF, 0);
	o->p = malloc(BUFFER + EVENT_MAX);
	if (!o->p)
		die("memory");
	put_string(o, head);
}

static void
close_out(struct out *o)
{
	if (!o->to)
		return;
	flush(o);
	if (fclose(o->to) != 0)
		die("write");
}

static void
open_files(struct generator *g)
{
	struct out side = { 0 };
	const char *dir = g->o.dir;

	if (strcmp(dir, "-") != 0 && mkdir(dir, 0777) != 0 && errno != EEXIST)
		die(dir);
	open_out(&g->all, dir, "events.jsonl", "");
	if (strcmp(dir, "-") == 0)
		return;
	open_out(&side, dir, "side_input.csv", "key,value\n");
	for (uint64_t i = 0; i < SIDE_ROWS; i++) {
		put_number(&side, i);
		PUT(&side, ",");
		put_number(&side, i);
		PUT(&side, "\n");
	}
	close_out(&side);
	if (!g->o.csv)
		return;
	open_out(&g->person, dir, "person.csv",
		 "id,name,emailAddress,creditCard,city,state,dateTime,extra\n");
	open_out(&g->auction, dir, "auction.csv",
		 "id,itemName,description,initialBid,reserve,dateTime,expires,seller,category,"
		 "extra\n");
	open_out(&g->bid, dir, "bid.csv", "auction,bidder,price,channel,url,dateTime,extra\n");
}

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* How many events are due since start; waits a millisecond where none is. */
static uint64_t
due(const struct generator *g, uint64_t start_ns, uint64_t done)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	uint64_t n;

	for (;;) {
		n = (uint64_t)((unsigned __int128)(now_ns() - start_ns) * g->o.rate / 1000000000);
		if (n > done)
			return n;
		nanosleep(&pause, NULL);
	}
}

static void
generate(struct generator *g)
{
	uint64_t start = now_ns(), last = g->o.events ? g->o.events : UINT64_MAX, ready = last;

	if (g->o.live && g->o.base_ms == DEFAULT_BASE_MS)
		g->o.base_ms = (int64_t)(start / 1000000);
	for (uint64_t i = 0; i < last; i++) {
		if (g->o.live && (i == 0 || i == ready)) {
			flush(&g->all);
			ready = due(g, start, i);
		}
		event(g, number_of(&g->o, g->o.first + i));
		if (g->all.len > BUFFER)
			flush(&g->all);
	}
}

/* ---- options -------------------------------------------------------------- */

static uint64_t
option_number(const char *name_of, const char *text, uint64_t least, uint64_t most)
{
	char *end, message[128];
	unsigned long long v;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (!errno && end != text && !*end && *text != '-' && v >= least && v <= most)
		return v;
	(void)snprintf(message, sizeof message, "--%s: %" PRIu64 " to %" PRIu64 ", not %.40s",
		       name_of, least, most, text);
	usage(message);
}

/* "200,500,100" or "5,3000" */
static void
option_list(const char *name_of, char *text, uint64_t *ret, int count, uint64_t most)
{
	char *save = NULL, *word = strtok_r(text, ",", &save);

	for (int i = 0; i < count; i++, word = strtok_r(NULL, ",", &save))
		ret[i] = option_number(name_of, word ? word : "", 0, most);
	if (word)
		usage("too many numbers in a list");
}

static void
parse(struct options *o, int argc, char **argv)
{
	enum { EVENTS, FIRST, SEED, RATE, GROUP, TIES, BASE, LATE, BYTES, CSV, LIVE };
	static const struct option list[] = {
		{ "events", 1, NULL, EVENTS },      { "first", 1, NULL, FIRST },
		{ "seed", 1, NULL, SEED },          { "rate", 1, NULL, RATE },
		{ "out-of-order", 1, NULL, GROUP }, { "ties", 1, NULL, TIES },
		{ "base", 1, NULL, BASE },          { "late", 1, NULL, LATE },
		{ "bytes", 1, NULL, BYTES },        { "csv", 0, NULL, CSV },
		{ "live", 0, NULL, LIVE },          { 0 },
	};
	const uint64_t large = UINT64_C(1) << 40;
	uint64_t late[2] = { 0, 0 };
	int c, at = 0;

	while ((c = getopt_long(argc, argv, "", list, &at)) != -1) {
		const char *what = list[at].name;

		switch (c) {
		case EVENTS:
			o->events = option_number(what, optarg, 1, large);
			break;
		case FIRST:
			o->first = option_number(what, optarg, 0, large);
			break;
		case SEED:
			o->seed = option_number(what, optarg, 0, UINT64_MAX);
			break;
		case RATE:
			o->rate = option_number(what, optarg, 1, large);
			break;
		case GROUP:
			o->group = option_number(what, optarg, 1, 1 << 30);
			break;
		case TIES:
			o->ties = option_number(what, optarg, 1, 1 << 30);
			break;
		case BASE:
			o->base_ms = (int64_t)option_number(what, optarg, 0, large * 2);
			break;
		case LATE:
			option_list(what, optarg, late, 2, 86400000);
			break;
		case BYTES:
			option_list(what, optarg, o->bytes, 3, EXTRA_MAX);
			break;
		case CSV:
			o->csv = true;
			break;
		case LIVE:
			o->live = true;
			break;
		default:
			usage("unknown option");
		}
	}
	if (optind + 1 != argc)
		usage("say where to: DIR, or - for standard output");
	o->dir = argv[optind];
	o->late_per_mille = late[0];
	o->late_ms = late[1];
	if (o->group % STEP == 0)
		usage("--out-of-order: not a multiple of 953");
	if (!o->events && !o->live)
		usage("say --events N");
	if (o->csv && strcmp(o->dir, "-") == 0)
		usage("--csv writes three files: into a DIR");
}

int
main(int argc, char **argv)
{
	struct generator g = { .second = INT64_MIN };

	g.o = (struct options){ .seed = 1,
				.rate = 10000,
				.group = 1,
				.ties = 1,
				.base_ms = DEFAULT_BASE_MS,
				.bytes = { 200, 500, 100 } };
	parse(&g.o, argc, argv);
	channels(&g);
	open_files(&g);
	generate(&g);
	close_out(&g.all);
	close_out(&g.person);
	close_out(&g.auction);
	close_out(&g.bid);
	free(g.channel);
	return 0;
}
