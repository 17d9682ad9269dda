/* SPDX-License-Identifier: Apache-2.0 */
#include "layout.h"

#include <stdlib.h>

#include "state/store.h"
#include "stream/frame.h"
#include "time/duration.h"
#include "time/timestamp.h"

#define DEPTH_MAX 8u        /* lists in lists */
#define NODES_MAX 256u      /* items of a layout */
#define WORDS_MAX 64u       /* as many as bits64 has */
#define QUEUE_MAX 8u        /* sizes and counts that were read before what they are of */
#define TEXT_MAX FL_MIB(16) /* of a value; what is more of a list is left out */
#define HEX_MAX 512u        /* bytes that are shown as digits */

enum type {
	NUMBER, /* u8 u32 u64 */
	SIGNED, /* i64 */
	FLAG,
	TIME,
	DURATION,
	WORD,
	BITS,
	START,
	END,
	SIDE,
	SIZE,
	COUNT,
	SKIP,
	FRAMES,
	WORD0,
	TEXT,
	BYTES,
	ROW,
	AGGREGATES,
	LIST,
};

/* How many elements a list has. */
enum times { UP_TO_END, AS_COUNTED, AS_NUMBER, ONE, IF_LEFT, IF_FLAGGED };

struct word {
	const char *p; /* of the layout's text */
	size_t n;
};

struct node {
	enum type type;
	struct word name; /* p NULL: it has none */
	bool hidden;      /* "-" */
	bool zero_is_none;
	uint32_t width;    /* bytes of a number, of a count; SKIP: how many */
	struct word *word; /* of WORD, BITS, SIDE, ROW */
	uint32_t word_count;
	/* LIST */
	enum times times;
	bool sized;   /* each element is behind its length */
	bool entries; /* each is an entry of its own */
	uint32_t end; /* its items are those behind it, up to this one */
};

struct fc_layout {
	char *text;
	struct node *node;
	uint32_t count;
	struct fl_buf out[DEPTH_MAX + 1]; /* of the objects that are being made */
};

/* ---- parsing ------------------------------------------------------------------------- */

static const struct type_name {
	const char *name;
	enum type type;
	uint32_t width;
	bool words; /* in parentheses */
} type_names[] = {
	{ "u8", NUMBER, 1, false },
	{ "u32", NUMBER, 4, false },
	{ "u64", NUMBER, 8, false },
	{ "i64", SIGNED, 8, false },
	{ "flag", FLAG, 1, false },
	{ "flag64", FLAG, 8, false },
	{ "time", TIME, 8, false },
	{ "duration", DURATION, 8, false },
	{ "word", WORD, 1, true },
	{ "word32", WORD, 4, true },
	{ "word64", WORD, 8, true },
	{ "bits", BITS, 1, true },
	{ "bits64", BITS, 8, true },
	{ "start", START, 8, false },
	{ "end", END, 8, false },
	{ "side", SIDE, 1, true },
	{ "size", SIZE, 4, false },
	{ "count", COUNT, 4, false },
	{ "skip", SKIP, 0, true },
	{ "text", TEXT, 0, false },
	{ "bytes", BYTES, 0, false },
	{ "row", ROW, 0, true },
	{ "aggregates", AGGREGATES, 0, false },
	{ "word0", WORD0, 0, false },
	{ "frames", FRAMES, 0, false },
};

static bool
word_is(struct word w, const char *s)
{
	return w.n == strlen(s) && memcmp(w.p, s, w.n) == 0;
}

/* Up to one of the bytes of stop, or the end. */
static struct word
take_word(const char **p, const char *stop)
{
	struct word w = { *p, strcspn(*p, stop) };

	*p += w.n;
	return w;
}

/* "(a,b)" behind a type. */
static bool
parse_words(struct node *n, const char **p)
{
	n->word = fl_xcalloc(WORDS_MAX, sizeof *n->word);
	do {
		if (n->word_count == WORDS_MAX)
			return false;
		(*p)++;
		n->word[n->word_count++] = take_word(p, ",)");
	} while (**p == ',');
	if (*(*p)++ != ')')
		return false;
	n->zero_is_none = **p == '?';
	*p += n->zero_is_none;
	return true;
}

static bool
parse_number(struct word w, uint32_t *ret)
{
	*ret = 0;
	for (size_t i = 0; i < w.n; i++) {
		if (w.p[i] < '0' || w.p[i] > '9' || *ret > FL_MIB(1))
			return false;
		*ret = 10 * *ret + (uint32_t)(w.p[i] - '0');
	}
	return w.n > 0;
}

/* An item without brackets: w is its type. */
static bool
parse_type(struct node *n, struct word w, const char **p)
{
	const struct type_name *t = NULL;

	n->zero_is_none = w.n && w.p[w.n - 1] == '?';
	w.n -= n->zero_is_none;
	for (size_t i = 0; i < FL_ARRAY_LEN(type_names); i++)
		if (word_is(w, type_names[i].name))
			t = &type_names[i];
	if (!t)
		return false;
	n->type = t->type;
	n->width = t->width;
	if (**p == '(' && (!t->words || !parse_words(n, p)))
		return false;
	if (t->type == SKIP)
		return n->word_count == 1 && parse_number(n->word[0], &n->width);
	return !t->words || n->word_count || t->type == ROW;
}

/* "[…]{" behind the name of a list; *close is what ends it. */
static bool
parse_brackets(struct node *n, const char **p, char *close)
{
	static const struct {
		const char *text;
		enum times times;
		uint32_t width;
	} times[] = {
		{ "", UP_TO_END, 0 },     { "#", AS_COUNTED, 0 },  { "u8", AS_NUMBER, 1 },
		{ "u32", AS_NUMBER, 4 },  { "u64", AS_NUMBER, 8 }, { "?", IF_LEFT, 0 },
		{ "?u8", IF_FLAGGED, 1 }, { "1", ONE, 0 },
	};
	struct word w;
	bool found = false;

	n->type = LIST;
	(*p)++;
	w = take_word(p, "]");
	for (size_t i = 0; i < FL_ARRAY_LEN(times); i++) {
		if (!word_is(w, times[i].text))
			continue;
		n->times = times[i].times;
		n->width = times[i].width;
		found = true;
	}
	if (!found || *(*p)++ != ']' || (**p != '{' && **p != '<'))
		return false;
	n->sized = **p == '<';
	*close = *(*p)++ == '<' ? '>' : '}';
	return true;
}

static struct node *
add_node(struct fc_layout *l)
{
	l->node = fl_xreallocarray(l->node, l->count + 1, sizeof *l->node);
	l->node[l->count] = (struct node){ 0 };
	return &l->node[l->count++];
}

static bool parse_items(struct fc_layout *l, const char **p, char close, unsigned depth);

static bool
parse_item(struct fc_layout *l, const char **p, unsigned depth)
{
	uint32_t at = l->count;
	struct node *n = add_node(l);
	struct word w;
	char close;

	n->entries = **p == '@';
	*p += n->entries;
	w = take_word(p, " :[(}>");
	if (**p == ':' || **p == '[') {
		n->name = w;
		n->hidden = word_is(w, "-");
	}
	if (w.n == 0)
		n->name = (struct word){ 0 };
	if (**p == ':') {
		(*p)++;
		w = take_word(p, " [(}>");
	}
	if (**p != '[')
		return !n->entries && parse_type(n, w, p);
	if (!parse_brackets(n, p, &close) || !parse_items(l, p, close, depth + 1))
		return false;
	l->node[at].end = l->count;
	return true;
}

/* Up to close, or the end of the text if that is '\0'. */
static bool
parse_items(struct fc_layout *l, const char **p, char close, unsigned depth)
{
	if (depth > DEPTH_MAX)
		return false;
	for (;;) {
		*p += strspn(*p, " ");
		if (**p == close) {
			*p += close != '\0';
			return true;
		}
		if (**p == '\0' || l->count == NODES_MAX || !parse_item(l, p, depth))
			return false;
	}
}

struct fc_layout *
fc_layout_new(const char *text)
{
	struct fc_layout *l = fl_xcalloc(1, sizeof *l);
	const char *p;

	l->text = fl_xstrdup(text);
	p = l->text;
	if (parse_items(l, &p, '\0', 0) && l->count)
		return l;
	fc_layout_free(l);
	return NULL;
}

void
fc_layout_free(struct fc_layout *l)
{
	if (!l)
		return;
	for (uint32_t i = 0; i < l->count; i++)
		free(l->node[i].word);
	for (size_t i = 0; i < FL_ARRAY_LEN(l->out); i++)
		fl_buf_release(&l->out[i]);
	free(l->node);
	free(l->text);
	free(l);
}

/* ---- texts --------------------------------------------------------------------------- */

bool
fc_is_text(const char *p, size_t n)
{
	for (size_t i = 0; i < n;) {
		unsigned char c = (unsigned char)p[i];
		size_t more = c < 0x80                ? 0
			      : c >= 0xc2 && c < 0xe0 ? 1
			      : c >= 0xe0 && c < 0xf0 ? 2
						      : 3;

		if (c < ' ' || c == 0x7f || (c >= 0x80 && (c < 0xc2 || c > 0xf4)) || more >= n - i)
			return false;
		for (i++; more; more--, i++)
			if ((p[i] & 0xc0) != 0x80)
				return false;
	}
	return true;
}

void
fc_put_hex(const char *p, size_t n, struct fl_buf *out)
{
	static const char digit[] = "0123456789abcdef";
	size_t shown = n < HEX_MAX ? n : HEX_MAX;

	fl_buf_puts(out, "0x");
	for (size_t i = 0; i < shown; i++) {
		fl_buf_putc(out, digit[(unsigned char)p[i] >> 4]);
		fl_buf_putc(out, digit[(unsigned char)p[i] & 15]);
	}
	if (shown < n)
		fl_buf_puts(out, "...");
}

/* ---- showing ------------------------------------------------------------------------- */

/* What is read, and what is in force there. */
struct reading {
	const char *p, *end;
	uint32_t queue[QUEUE_MAX]; /* sizes and counts that nothing has taken yet */
	uint32_t queued;
	uint64_t chosen; /* the last word or side */
};

/* An object, or the one value that stands for it, in the making. */
struct object {
	struct fl_buf *out;
	uint32_t members;
	bool bare;       /* its one item has no name */
	bool quoted;     /* a bare text is put in quotes: it is an element of a list */
	enum fl_tag tag; /* of a bare one */
};

struct show {
	struct fc_layout *l;
	const struct fc_layout_to *to;
	bool dry;         /* only whether the value is of the layout, or what was left out of it */
	const char *told; /* up to where pieces have said their bytes */
	uint64_t pieces;
	struct fl_err *err;
	/* the namespace */
	struct word side;
	int64_t bounds[2];
	bool windowed;
};

static bool
take_bytes(struct reading *r, void *to, size_t n)
{
	if ((size_t)(r->end - r->p) < n)
		return false;
	memcpy(to, r->p, n);
	r->p += n;
	return true;
}

static bool
take_number(struct reading *r, uint32_t width, uint64_t *ret)
{
	*ret = 0;
	return take_bytes(r, ret, width); /* little-endian */
}

static bool
push(struct reading *r, uint64_t n)
{
	if (r->queued == QUEUE_MAX)
		return false;
	r->queue[r->queued++] = (uint32_t)n;
	return true;
}

static bool
pop(struct reading *r, uint64_t *ret)
{
	if (!r->queued)
		return false;
	*ret = r->queue[0];
	memmove(r->queue, r->queue + 1, --r->queued * sizeof r->queue[0]);
	return true;
}

/* The bytes of a row, a text: as size said, or all that are left. */
static bool
take_rest(struct reading *r, struct fl_bytes *ret)
{
	uint64_t n = (uint64_t)(r->end - r->p);

	if (pop(r, &n) && n > (uint64_t)(r->end - r->p))
		return false;
	*ret = (struct fl_bytes){ r->p, (size_t)n };
	r->p += n;
	return true;
}

/* Up to a byte that is 0, which is passed. */
static bool
take_word0(struct reading *r, struct fl_bytes *ret)
{
	const char *nul = memchr(r->p, '\0', (size_t)(r->end - r->p));

	if (!nul)
		return false;
	*ret = (struct fl_bytes){ r->p, (size_t)(nul - r->p) };
	r->p = nul + 1;
	return true;
}

static void
put_quoted(const char *p, size_t n, struct fl_buf *out)
{
	fl_buf_putc(out, '"');
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '"' || p[i] == '\\')
			fl_buf_putc(out, '\\');
		if ((unsigned char)p[i] < ' ')
			fl_buf_printf(out, "\\u%04x", (unsigned)(unsigned char)p[i]);
		else
			fl_buf_putc(out, p[i]);
	}
	fl_buf_putc(out, '"');
}

/* Begin a member: its name. What has none stands for the whole object. */
static struct fl_buf *
begin(struct object *o, struct word name, enum fl_tag tag)
{
	if (o->members++ == 0)
		o->bare = name.p == NULL;
	o->tag = tag;
	if (o->bare) {
		fl_buf_clear(o->out); /* two without a name: the last */
		return o->out;
	}
	fl_buf_putc(o->out, o->members == 1 ? '{' : ',');
	put_quoted(name.p ? name.p : "", name.n, o->out);
	fl_buf_putc(o->out, ':');
	return o->out;
}

static void
put_text(struct object *o, struct word name, const char *p, size_t n)
{
	struct fl_buf *out = begin(o, name, FL_TAG_STRING);

	if (o->bare && !o->quoted)
		fl_buf_put(out, p, n);
	else
		put_quoted(p, n, out);
}

static void
put_bytes(struct object *o, struct word name, struct fl_bytes b)
{
	struct fl_buf hex = { 0 };

	if (fc_is_text(b.p, b.n)) {
		put_text(o, name, b.p, b.n);
		return;
	}
	fc_put_hex(b.p, b.n, &hex);
	put_text(o, name, hex.data, hex.len);
	fl_buf_release(&hex);
}

static void
put_number(struct object *o, const struct node *n, uint64_t v)
{
	struct fl_buf *out = begin(o, n->name, FL_TAG_NUMBER);

	if (n->type == SIGNED)
		fl_buf_printf(out, "%lld", (long long)v);
	else
		fl_buf_printf(out, "%llu", (unsigned long long)v);
}

static void
put_time(struct show *s, struct object *o, struct word name, int64_t ms)
{
	char text[FL_TIME_TEXT_MAX];

	if (ms == FL_TIME_MIN || ms == FL_TIME_MAX) {
		if (!name.p)
			begin(o, name, FL_TAG_NULL);
		return;
	}
	if (s->to->epoch_ms)
		fl_buf_printf(begin(o, name, FL_TAG_NUMBER), "%lld", (long long)ms);
	else
		put_text(o, name, text, fl_time_format(ms, s->to->zone, true, text));
}

static void
put_duration(struct object *o, struct word name, int64_t ms)
{
	char text[FL_DURATION_TEXT_MAX];

	if (ms < 0)
		return;
	(void)fl_duration_format(ms, text);
	put_text(o, name, text, strlen(text));
}

static void
put_word(struct object *o, const struct node *n, uint64_t v)
{
	if (v < n->word_count)
		put_text(o, n->name, n->word[v].p, n->word[v].n);
	else
		put_number(o, n, v);
}

static void
put_bits(struct object *o, const struct node *n, uint64_t v)
{
	for (uint32_t i = 0; i < n->word_count; i++)
		if (v >> i & 1)
			fl_buf_puts(begin(o, n->word[i], FL_TAG_BOOL), "true");
}

/* A row, or what an accumulator gives; nothing where there are no bytes. */
static void
put_made(struct show *s, struct object *o, const struct node *n, uint64_t chosen, struct fl_bytes b)
{
	struct fl_buf made = { 0 };
	char set[32] = "";
	bool ok;

	if (b.n == 0)
		return;
	if (n->word_count && chosen < n->word_count && n->word[chosen].n < sizeof set)
		memcpy(set, n->word[chosen].p, n->word[chosen].n);
	else if (n->word_count == 1 && n->word[0].n < sizeof set)
		memcpy(set, n->word[0].p, n->word[0].n);
	ok = n->type == ROW ? s->to->row(s->to->ctx, *set ? set : NULL, b.p, b.n, &made)
			    : s->to->aggregates(s->to->ctx, b.p, b.n, &made);
	if (ok)
		fl_buf_put(begin(o, n->name, FL_TAG_OBJECT), made.data, made.len);
	else
		put_bytes(o, n->name, b);
	fl_buf_release(&made);
}

/* The last frame may be cut off; what does not begin with one is shown as bytes. */
static void
put_frames(struct object *o, struct word name, struct fl_bytes b)
{
	uint64_t records = 0, watermarks = 0, seq;
	struct fl_frame f;
	struct fl_err ignored;
	size_t at = 0, need;
	int64_t taken = 1;

	while (taken > 0 && b.n - at >= FL_FRAME_HEAD) {
		memcpy(&seq, b.p + at + 8, sizeof seq); /* which it is does not matter */
		taken = fl_frame_parse(b.p + at, b.n - at, seq, &f, &need, &ignored);
		if (taken <= 0)
			break;
		records += f.type == FL_FRAME_BATCH ? fl_frame_rows(&f) : 0;
		watermarks += f.type == FL_FRAME_WATERMARK;
		at += (size_t)taken;
	}
	if (at == 0)
		put_bytes(o, name, b);
	else
		fl_buf_printf(begin(o, name, FL_TAG_OBJECT),
			      "{\"records\":%llu,\"watermarks\":%llu}", (unsigned long long)records,
			      (unsigned long long)watermarks);
}

/* A value of fixed width. */
static bool
show_number(struct show *s, const struct node *n, struct reading *r, struct object *o)
{
	bool shown = !s->dry && !n->hidden;
	uint64_t v;

	if (!take_number(r, n->width, &v))
		return false;
	if (n->type == WORD || n->type == SIDE)
		r->chosen = v;
	if (n->type == SIZE || n->type == COUNT)
		return push(r, v);
	shown = shown && !(n->zero_is_none && v == 0);
	if (n->type == START || n->type == END) {
		s->bounds[n->type == END] = (int64_t)v;
		s->windowed = true;
	} else if (n->type == SIDE) {
		s->side = v < n->word_count ? n->word[v] : (struct word){ "?", 1 };
	} else if (shown && n->type == FLAG) {
		fl_buf_puts(begin(o, n->name, FL_TAG_BOOL), v ? "true" : "false");
	} else if (shown && n->type == TIME) {
		put_time(s, o, n->name, (int64_t)v);
	} else if (shown && n->type == DURATION) {
		put_duration(o, n->name, (int64_t)v);
	} else if (shown && n->type == WORD) {
		put_word(o, n, v);
	} else if (shown && n->type == BITS) {
		put_bits(o, n, v);
	} else if (shown) {
		put_number(o, n, v);
	}
	return true;
}

static bool show_list(struct show *s, uint32_t at, struct reading *r, struct object *o,
		      unsigned depth);

/* Items from .. to of the layout. False: the value is not so, or s->err. */
static bool
show_items(struct show *s, uint32_t from, uint32_t to, struct reading *r, struct object *o,
	   unsigned depth)
{
	const struct node *n;
	struct fl_bytes b;
	uint64_t skipped;

	for (uint32_t i = from; i < to; i = n->type == LIST ? n->end : i + 1) {
		n = &s->l->node[i];
		switch (n->type) {
		case LIST:
			if (!show_list(s, i, r, o, depth))
				return false;
			break;
		case SKIP:
			skipped = n->width;
			if ((uint64_t)(r->end - r->p) < skipped)
				return false;
			r->p += skipped;
			break;
		case TEXT:
		case BYTES:
		case ROW:
		case AGGREGATES:
		case FRAMES:
		case WORD0:
			if (n->type == WORD0 ? !take_word0(r, &b) : !take_rest(r, &b))
				return false;
			if (s->dry || n->hidden)
				break;
			if (n->type == ROW || n->type == AGGREGATES)
				put_made(s, o, n, r->chosen, b);
			else if (n->type == FRAMES)
				put_frames(o, n->name, b);
			else
				put_bytes(o, n->name, b);
			break;
		default:
			if (!show_number(s, n, r, o))
				return false;
		}
	}
	return true;
}

/* ---- lists --------------------------------------------------------------------------- */

static void
end_object(struct object *o)
{
	if (o->members && !o->bare) {
		fl_buf_putc(o->out, '}');
		o->tag = FL_TAG_OBJECT;
	}
}

/* What was read since the last one, up to p, is a piece. */
static bool
give_piece(struct show *s, const struct object *o, const char *p)
{
	struct fc_piece piece = { .side = s->side.p,
				  .side_len = s->side.n,
				  .windowed = s->windowed,
				  .text = o->out->data,
				  .text_len = o->out->len,
				  .tag = o->members ? o->tag : FL_TAG_NULL,
				  .bytes = (uint64_t)(p - s->told) };

	memcpy(piece.bounds, s->bounds, sizeof piece.bounds);
	s->told = p;
	s->pieces++;
	return s->to->piece(s->to->ctx, &piece, s->err) >= 0;
}

/* How many elements the list has: UINT64_MAX: up to the end. */
static bool
count_of(const struct node *n, struct reading *r, uint64_t *ret)
{
	*ret = UINT64_MAX;
	if (n->times == AS_COUNTED)
		return pop(r, ret);
	if (n->times == AS_NUMBER || n->times == IF_FLAGGED) {
		if (!take_number(r, n->width, ret))
			return false;
		*ret = n->times == IF_FLAGGED && *ret > 1 ? 1 : *ret;
	}
	if (n->times == ONE || n->times == IF_LEFT)
		*ret = n->times == ONE || r->p < r->end ? 1 : 0;
	return true;
}

/* An element: its items, into o. */
static bool
show_element(struct show *s, uint32_t at, struct reading *r, struct object *o, unsigned depth)
{
	const struct node *n = &s->l->node[at];
	struct reading own = *r;
	uint64_t len;

	own.queued = 0;
	if (n->sized) {
		if (!take_number(&own, 4, &len) || len > (uint64_t)(own.end - own.p))
			return false;
		own.end = own.p + len;
	}
	if (!show_items(s, at + 1, n->end, &own, o, depth))
		return false;
	/* a sized one may have more than is known of; others must get on */
	own.p = n->sized ? own.end : own.p;
	if (own.p == r->p)
		return false;
	r->p = own.p;
	r->chosen = own.chosen;
	return true;
}

/* Elements that are entries of their own. */
static bool
show_entries(struct show *s, uint32_t at, struct reading *r, uint64_t count, unsigned depth)
{
	const struct node *n = &s->l->node[at];
	struct word side = s->side;
	int64_t bounds[2] = { s->bounds[0], s->bounds[1] };
	bool windowed = s->windowed;

	for (; count && (count != UINT64_MAX || r->p < r->end); count -= count != UINT64_MAX) {
		struct object o = { .out = &s->l->out[depth] };

		fl_buf_clear(o.out);
		if (n->name.n)
			s->side = n->name;
		if (!show_element(s, at, r, &o, depth + 1))
			return false;
		end_object(&o);
		if (o.members && !give_piece(s, &o, r->p))
			return false;
		s->side = side;
		memcpy(s->bounds, bounds, sizeof bounds);
		s->windowed = windowed;
	}
	return true;
}

/* The element of a list, as one of an array or alone. */
static bool
put_element(struct show *s, uint32_t at, struct reading *r, struct fl_buf *out, unsigned depth)
{
	struct object o = { .out = &s->l->out[depth], .quoted = true };

	fl_buf_clear(o.out);
	if (!show_element(s, at, r, &o, depth + 1))
		return false;
	end_object(&o);
	if (o.members && o.tag != FL_TAG_NULL)
		fl_buf_put(out, o.out->data, o.out->len);
	else if (!s->dry)
		fl_buf_puts(out, "null");
	return true;
}

static bool
show_list(struct show *s, uint32_t at, struct reading *r, struct object *o, unsigned depth)
{
	const struct node *n = &s->l->node[at];
	bool was_dry = s->dry, one = n->times >= ONE, ok = true;
	uint64_t count, left_out = 0;
	struct fl_buf *out;

	if (!count_of(n, r, &count))
		return false;
	if (n->entries)
		return show_entries(s, at, r, count, depth);
	s->dry = was_dry || n->hidden;
	if (s->dry || (one && count == 0)) {
		struct fl_buf none = { 0 };

		for (; ok && count && (count != UINT64_MAX || r->p < r->end);
		     count -= count != UINT64_MAX)
			ok = put_element(s, at, r, &none, depth);
		s->dry = was_dry;
		return ok;
	}
	out = begin(o, n->name, one ? FL_TAG_OBJECT : FL_TAG_ARRAY);
	if (one)
		return put_element(s, at, r, out, depth);
	fl_buf_putc(out, '[');
	for (bool first = true; ok && count && (count != UINT64_MAX || r->p < r->end);
	     count -= count != UINT64_MAX, first = false) {
		if (!s->dry && !first)
			fl_buf_putc(out, ',');
		left_out += s->dry;
		ok = put_element(s, at, r, out, depth);
		s->dry = s->dry || out->len > TEXT_MAX;
	}
	if (left_out)
		fl_buf_printf(out, ",\"and %llu more\"", (unsigned long long)left_out);
	fl_buf_putc(out, ']');
	s->dry = was_dry;
	return ok;
}

/* ---- values -------------------------------------------------------------------------- */

/* Once through the value. */
static bool
run(struct show *s, const char *p, size_t n)
{
	struct reading r = { .p = p, .end = p + n };
	struct object o = { .out = &s->l->out[0] };

	s->told = p;
	fl_buf_clear(o.out);
	if (!show_items(s, 0, s->l->count, &r, &o, 1) || r.p != r.end)
		return false;
	if (s->dry)
		return true;
	end_object(&o);
	return (!o.members && s->pieces) || give_piece(s, &o, r.end);
}

static int
no_piece(void *ctx, const struct fc_piece *piece, struct fl_err *err)
{
	(void)ctx;
	(void)piece;
	(void)err;
	return 0;
}

int
fc_layout_show(struct fc_layout *l, const char *p, size_t n, const struct fc_layout_to *to,
	       struct fl_err *err)
{
	struct fc_layout_to nowhere = *to;
	struct show s = { .l = l, .to = &nowhere, .dry = true, .err = err };

	p = p ? p : "";
	nowhere.piece = no_piece;
	if (!run(&s, p, n))
		return 0;
	s = (struct show){ .l = l, .to = to, .err = err };
	if (run(&s, p, n))
		return 1;
	return err->code < 0 ? err->code : fl_fail(err, FL_EBUG, "a layout that changed its mind");
}
