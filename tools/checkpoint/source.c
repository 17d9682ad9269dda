/* SPDX-License-Identifier: Apache-2.0 */
/* The inputs of a source, one after the other, and its position among them. */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/nearfile.h"
#include "checkpoint/about.h"

#define SOURCE_VERSION 1u

void
fc_source_init(struct fc_source *s)
{
	*s = (struct fc_source){ .spool_in = -1, .spool_fd = -1 };
	fc_input_init(&s->in);
}

void
fc_source_release(struct fc_source *s)
{
	fc_command_kill(s);
	for (uint32_t i = 0; i < s->past_count; i++)
		fc_place_release(&s->past[i]);
	free(s->past);
	for (uint32_t i = 0; i < s->held_count; i++)
		(void)close(s->held[i].fd);
	if (s->spool_in >= 0)
		(void)close(s->spool_in);
	if (s->spool_fd >= 0)
		(void)close(s->spool_fd);
	fc_input_release(&s->in);
	fl_buf_release(&s->notes);
	fc_source_init(s);
}

void
fc_source_note(struct fc_source *s, const char *fmt, ...)
{
	char line[1200];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	fl_buf_printf(&s->notes, "%s\n", line);
}

/* ---- descriptors for the reader ------------------------------------------------------ */

void
fc_source_hold(struct fc_source *s, struct fc_input *in)
{
	if (in->kind != FC_INPUT_FILE || in->as_bytes || s->held_count == FC_HELD)
		return;
	s->held[s->held_count++] = (struct fc_held){ .fd = in->fd };
	in->fd = -1;
}

void
fc_source_barrier(struct fc_source *s, uint64_t id)
{
	for (uint32_t i = 0; i < s->held_count; i++)
		if (s->held[i].until == 0)
			s->held[i].until = id;
}

void
fc_source_complete(struct fc_source *s, uint64_t id)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < s->held_count; i++) {
		if (s->held[i].until && s->held[i].until <= id)
			(void)close(s->held[i].fd);
		else
			s->held[kept++] = s->held[i];
	}
	s->held_count = kept;
}

/* ---- files in order -------------------------------------------------------------------- */

/* Of a followed log, only the last of those that were rotated is kept. */
static void
remember(struct fc_source *s, const struct fc_place *p)
{
	if (s->mode == FC_FOLLOW && s->past_count >= s->word_count)
		fc_place_release(&s->past[--s->past_count]);
	s->past = fl_xreallocarray(s->past, s->past_count + 1, sizeof *s->past);
	s->past[s->past_count++] = *p;
	s->past[s->past_count - 1].name = fl_xstrdup(p->name);
}

/* The input in hand has ended: on to the next. */
int
fc_source_leave(struct fc_source *s, struct fl_err *err)
{
	struct fc_place here;

	if (s->in.kind == FC_INPUT_NONE)
		return 0;
	if (fc_input_here(&s->in, &here, err) < 0)
		return err->code;
	remember(s, &here);
	fc_source_hold(s, &s->in);
	fc_input_release(&s->in);
	return 0;
}

int
fc_source_open_word(struct fc_source *s, struct fl_err *err)
{
	const char *name = s->words[s->next_word];

	if (fc_input_open(&s->in, name, s->next_number, err) < 0)
		return err->code;
	s->next_word++;
	s->next_number++;
	s->in.as_bytes = s->held_count == FC_HELD;
	if (s->in.kind == FC_INPUT_STREAM)
		fc_source_note(
			s,
			"%s is a pipe and cannot be read again: what was read after the last "
			"checkpoint is lost when the line is killed (at most once); --spool "
			"FILE makes it durable first",
			strcmp(name, "-") == 0 ? "standard input" : name);
	return 0;
}

static int
next_of_files(struct fc_source *s, struct fl_raw *ret, struct fl_err *err)
{
	for (;;) {
		/* with --keep-open the next run may find more in the last FILE */
		bool grows = s->keep_open && s->in.kind == FC_INPUT_FILE &&
			     s->next_word == s->word_count;
		int rc = fc_input_next(&s->in, grows, ret, err);

		if (rc == FC_WAIT && grows)
			return FC_END;
		if (rc != FC_END)
			return rc;
		if (fc_source_leave(s, err) < 0)
			return err->code;
		if (s->next_word == s->word_count)
			return FC_END;
		if (fc_source_open_word(s, err) < 0)
			return err->code;
	}
}

static int
next_of_command(struct fc_source *s, struct fl_raw *ret, struct fl_err *err)
{
	int rc = fc_input_next(&s->in, false, ret, err);

	/* its output ends before its status is known: a failure is not the end of the data */
	if (rc == FC_PIECE && (ret->flags & FL_RAW_LAST) && fc_command_end(s, err) < 0)
		return err->code;
	return rc;
}

int
fc_source_start(struct fc_source *s, struct fl_err *err)
{
	struct stat st;

	if (s->mode == FC_COMMAND)
		return s->in.kind == FC_INPUT_NONE ? fc_command_start(s, err) : 0;
	if (s->mode == FC_SPOOL)
		return fc_spool_start(s, err);
	/* a FILE that is missing is told before anything has begun */
	for (uint32_t i = s->next_word; i < s->word_count; i++) {
		if (s->mode == FC_FOLLOW && i + 1 == s->word_count)
			break;
		if (strcmp(s->words[i], "-") != 0 && stat(s->words[i], &st) < 0)
			return fl_fail_open(err, errno, s->words[i]);
	}
	return 0;
}

int
fc_source_next(struct fc_source *s, struct fl_raw *ret, struct fl_err *err)
{
	int rc;

	switch (s->mode) {
	case FC_FOLLOW:
		rc = fc_follow_next(s, ret, err);
		break;
	case FC_COMMAND:
		rc = next_of_command(s, ret, err);
		break;
	case FC_SPOOL:
		rc = fc_spool_next(s, ret, err);
		break;
	default:
		rc = next_of_files(s, ret, err);
	}
	if (rc == FC_PIECE)
		s->total += ret->len;
	return rc;
}

void
fc_source_wait(const struct fc_source *s, int timeout_ms)
{
	int fd = s->mode == FC_SPOOL ? s->spool_in : s->in.kind == FC_INPUT_STREAM ? s->in.fd : -1;

	(void)fl_io_wait_readable(fd, timeout_ms); /* without one it only waits */
}

int
fc_source_here(struct fc_source *s, struct fc_place *ret, struct fl_err *err)
{
	if (s->in.kind != FC_INPUT_NONE)
		return fc_input_here(&s->in, ret, err);
	*ret = (struct fc_place){ 0 };
	if (s->past_count)
		*ret = s->past[s->past_count - 1];
	return 0;
}

int
fc_source_sync(struct fc_source *s, struct fl_err *err)
{
	if (s->spool_fd >= 0 && fdatasync(s->spool_fd) < 0)
		return fl_fail_errno(err, FL_EIO, errno, "cannot make %s durable", s->spool);
	return 0;
}

/* ---- snapshots ------------------------------------------------------------------------- */

#define PLACE_FORMAT \
	"number=%llu dev=%llu inode=%llu offset=%llu head=%llu:%016llx tail=%llu:%016llx " \
	"gzip=%d done=%d"

static void
save_place(struct fl_save *save, const struct fc_place *p)
{
	char text[400];
	int n = snprintf(text, sizeof text, PLACE_FORMAT, (unsigned long long)p->number,
			 (unsigned long long)p->dev, (unsigned long long)p->ino,
			 (unsigned long long)p->offset, (unsigned long long)p->head_len,
			 (unsigned long long)p->head_hash, (unsigned long long)p->tail_len,
			 (unsigned long long)p->tail_hash, (int)p->packed, (int)p->done);
	struct fl_state_entry e = { .key = p->name,
				    .key_len = (uint32_t)strlen(p->name),
				    .value = text,
				    .value_len = (uint32_t)n };

	fl_save_entry(save, &e);
}

int
fc_source_save(struct fc_source *s, struct fl_save *save, struct fl_err *err)
{
	static const char *const named[][2] = { { "mode", "word64(files,follow,command,spool)" } };
	struct fc_place here;

	fl_state_section_named(save, "source", SOURCE_VERSION, named, FL_ARRAY_LEN(named));
	fl_save_int(save, "mode", s->mode);
	fl_save_int(save, "bytes", (int64_t)s->total);
	fl_save_int(save, "next_number", (int64_t)s->next_number);
	fl_save_int(save, "truncations", (int64_t)s->truncations);
	fl_save_section(save, "files", SOURCE_VERSION, "{\"value\": \"bytes\"}");
	for (uint32_t i = 0; i < s->past_count; i++)
		save_place(save, &s->past[i]);
	if (s->in.kind == FC_INPUT_NONE)
		return 0;
	if (fc_input_here(&s->in, &here, err) < 0)
		return err->code;
	save_place(save, &here);
	return 0;
}

static int
load_place(struct fl_load *l, const struct fl_state_entry *e, struct fc_place *p,
	   struct fl_err *err)
{
	unsigned long long n[8];
	char text[400];
	int gzip, done;

	if (e->value_len >= sizeof text || e->key_len == FL_STATE_NULL_KEY)
		return fl_load_damaged(l, "the position in a file", err);
	memcpy(text, e->value, e->value_len);
	text[e->value_len] = '\0';
	if (sscanf(text, PLACE_FORMAT, &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6], &n[7],
		   &gzip, &done) != 10)
		return fl_load_damaged(l, "the position in a file", err);
	*p = (struct fc_place){
		.name = fl_xstrndup(e->key, e->key_len),
		.number = n[0],
		.dev = n[1],
		.ino = n[2],
		.offset = n[3],
		.head_len = n[4],
		.head_hash = n[5],
		.tail_len = n[6],
		.tail_hash = n[7],
		.packed = gzip != 0,
		.done = done != 0,
	};
	return 0;
}

/* What a snapshot says. */
struct saved {
	int64_t mode, bytes, next_number, truncations;
	struct fc_place *place;
	uint32_t count;
};

static void
saved_release(struct saved *v)
{
	for (uint32_t i = 0; i < v->count; i++)
		fc_place_release(&v->place[i]);
	free(v->place);
}

static int
load_ints(struct fl_load *l, struct saved *v, struct fl_err *err)
{
	const struct {
		const char *name;
		int64_t *to;
	} ints[] = {
		{ "mode", &v->mode },
		{ "bytes", &v->bytes },
		{ "next_number", &v->next_number },
		{ "truncations", &v->truncations },
	};
	struct fl_state_entry e;
	int rc;

	while ((rc = fl_load_entry(l, &e, err)) > 0)
		for (size_t i = 0; i < FL_ARRAY_LEN(ints); i++)
			if (fl_state_is(&e, ints[i].name) && fl_state_int(&e, ints[i].to, err) < 0)
				return err->code;
	return rc;
}

static int
load_files(struct fl_load *l, struct saved *v, struct fl_err *err)
{
	struct fl_state_entry e;
	int rc;

	while ((rc = fl_load_entry(l, &e, err)) > 0) {
		v->place = fl_xreallocarray(v->place, v->count + 1, sizeof *v->place);
		if (load_place(l, &e, &v->place[v->count], err) < 0)
			return err->code;
		v->count++;
	}
	return rc;
}

static int
load_all(struct fl_load *l, struct saved *v, struct fl_err *err)
{
	struct fl_state_section section;
	int rc;

	while ((rc = fl_load_section(l, &section, err)) > 0) {
		if (section.version > SOURCE_VERSION)
			return fl_load_unknown(l, &section, err);
		if (strcmp(section.name, "source") == 0)
			rc = load_ints(l, v, err);
		else if (strcmp(section.name, "files") == 0)
			rc = load_files(l, v, err);
		else
			return fl_load_unknown(l, &section, err);
		if (rc < 0)
			return rc;
	}
	return rc;
}

/* A FILE that was read to its end: it may be gone, but not be another, or have grown. */
static int
check_past(const struct fc_place *p, const char *word, struct fl_err *err)
{
	struct stat st;
	bool same = strcmp(p->name, word) == 0;

	if (stat(word, &st) < 0 || !S_ISREG(st.st_mode)) {
		if (same)
			return 0;
		return fl_fail(err, FL_ECONFIG,
			       "the checkpoint has read %s where now %s is said: FILEs may only be "
			       "added at the end",
			       p->name, word);
	}
	if (p->ino && st.st_ino != p->ino)
		return fl_fail(err, FL_ECONFIG,
			       "%s is not the file that the checkpoint was made of: it has another "
			       "inode; put it back, or, if it is a copy, say --allow-moved-input",
			       word);
	if (!p->packed && (uint64_t)st.st_size != p->offset)
		return fl_fail(err, FL_ECONFIG,
			       "%s had %llu bytes when it was read to its end, now it has %lld: "
			       "--follow reads a log that grows",
			       word, (unsigned long long)p->offset, (long long)st.st_size);
	return 0;
}

static int
resume_files(struct fc_source *s, struct saved *v, struct fl_err *err)
{
	for (uint32_t i = 0; i < v->count; i++) {
		struct fc_place *p = &v->place[i];

		if (i >= s->word_count)
			return fl_fail(err, FL_ECONFIG,
				       "the checkpoint has read %s, which is not among the FILEs: "
				       "they may only be added to",
				       p->name);
		if (p->done) {
			if (check_past(p, s->words[i], err) < 0)
				return err->code;
			remember(s, p);
			s->next_word++;
			continue;
		}
		if (fc_source_open_word(s, err) < 0)
			return err->code;
		s->in.at.number = p->number;
		if (s->in.kind == FC_INPUT_STREAM)
			s->in.at.offset = p->offset;
		else if (fc_input_seek(&s->in, p, err) < 0)
			return err->code;
	}
	return 0;
}

/* The FILEs before the log, then the log, wherever it is now. */
static int
resume_follow(struct fc_source *s, struct saved *v, struct fl_err *err)
{
	const struct fc_place *last = &v->place[v->count - 1];
	uint32_t fixed = s->word_count - 1;

	if (last->number < fixed)
		return resume_files(s, v, err);
	for (uint32_t i = 0; i < fixed && i < v->count - 1; i++) {
		if (check_past(&v->place[i], s->words[i], err) < 0)
			return err->code;
		remember(s, &v->place[i]);
	}
	s->next_word = fixed;
	return fc_follow_resume(s, last, err);
}

static int
resume(struct fc_source *s, struct saved *v, struct fl_err *err)
{
	static const char *const what[] = { "FILEs", "a followed log", "a command", "a spool" };
	struct fc_place *last = v->count ? &v->place[v->count - 1] : NULL;
	int rc = 0;

	if (v->mode != (int64_t)s->mode)
		return fl_fail(err, FL_ECONFIG, "the checkpoint was made of %s, this line reads %s",
			       v->mode >= 0 && v->mode < 4 ? what[v->mode] : "something else",
			       what[s->mode]);
	s->total = (uint64_t)v->bytes;
	s->truncations = (uint64_t)v->truncations;
	if (s->mode == FC_FILES)
		rc = resume_files(s, v, err);
	else if (s->mode == FC_FOLLOW && last)
		rc = resume_follow(s, v, err);
	else if (s->mode == FC_COMMAND && last) {
		if (fc_command_start(s, err) < 0)
			return err->code;
		rc = fc_input_seek(&s->in, last, err);
		if (rc < 0)
			rc = fc_command_failed(s, err);
	} else if (s->mode == FC_SPOOL && last) {
		if (fc_input_open(&s->in, s->spool, last->number, err) < 0)
			return err->code;
		s->in.at.offset = last->offset;
		if (s->in.size < last->offset)
			rc = fl_fail(err, FL_ECONFIG, "the spool %s is shorter than the position",
				     s->spool);
	}
	s->next_number = (uint64_t)v->next_number;
	return rc;
}

int
fc_source_load(struct fc_source *s, struct fl_load *l, struct fl_err *err)
{
	struct saved v = { 0 };
	int rc = load_all(l, &v, err);

	for (uint32_t i = 0; i < v.count && s->allow_moved_input; i++)
		v.place[i].dev = v.place[i].ino = 0; /* the hashes tell */
	if (rc == 0)
		rc = resume(s, &v, err);
	saved_release(&v);
	return rc;
}

/* ---- after the end ------------------------------------------------------------------- */

static int
grown(const char *name, struct fl_err *err)
{
	return fl_fail(
		err, FL_ECONFIG,
		"the job has finished, and %s has more than it has read: for a log that "
		"grows use begin --keep-open or --follow; to compute all of it anew, another "
		"directory and output",
		name);
}

int
fc_source_check_finished(struct fc_source *s, struct fl_load *l, struct fl_err *err)
{
	struct saved v = { 0 };
	int rc = load_all(l, &v, err);

	for (uint32_t i = 0; rc == 0 && s->mode == FC_FILES && i < s->word_count; i++) {
		const struct fc_place *p = i < v.count ? &v.place[i] : NULL;
		struct stat st;

		if (!p)
			rc = grown(s->words[i], err);
		else if (!p->packed && p->ino && stat(s->words[i], &st) == 0 &&
			 S_ISREG(st.st_mode) && (uint64_t)st.st_size > p->offset)
			rc = grown(s->words[i], err);
	}
	saved_release(&v);
	return rc;
}
