/* SPDX-License-Identifier: Apache-2.0 */
/*
 * begin --follow: a log that grows and is rotated. It is read through one descriptor, so
 * a rename or a removal takes nothing away. When the name has come to stand for another
 * file and the old one has been quiet for a while, its successor is next: the oldest of
 * the rotated siblings that is newer than it, else the file of that name.
 *
 * Siblings are NAME.1, NAME.2.gz, NAME-20261121.gz and the like. The one that was being
 * read is known again by inode and content, packed by content alone. So nothing is lost
 * that was rotated, packed or moved while nobody was reading.
 *
 * A log that is copied and truncated loses what is written between the two: that is seen
 * (it is shorter than the position, or the bytes before the position differ), counted
 * and told.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "source.h"

#define QUIET_MS 1000 /* a renamed log may still be written to by who has it open */

static const char *
live_name(const struct fc_source *s)
{
	return s->words[s->word_count - 1];
}

/* ---- rotated siblings -------------------------------------------------------------------- */

struct sibling {
	char *path;
	char *mark; /* what stands behind the name, without ".gz": "1", "20261121" */
	bool packed;
};

struct siblings {
	struct sibling *all; /* the oldest first */
	size_t count;
};

static void
siblings_release(struct siblings *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->all[i].path);
		free(l->all[i].mark);
	}
	free(l->all);
}

/* "3" is older than "2"; "20261120" than "20261121". */
static int
by_age(const void *pa, const void *pb)
{
	const struct sibling *a = pa, *b = pb;
	bool numbers = strlen(a->mark) < 6 && strlen(b->mark) < 6 &&
		       strspn(a->mark, "0123456789") == strlen(a->mark) &&
		       strspn(b->mark, "0123456789") == strlen(b->mark);
	int order;

	if (numbers) {
		long x = strtol(a->mark, NULL, 10), y = strtol(b->mark, NULL, 10);

		order = (x < y) - (x > y);
	} else {
		order = strcmp(a->mark, b->mark);
	}
	return order ? order : (int)b->packed - (int)a->packed;
}

/* Whether a name in the directory is the log's, rotated: its mark, to be freed, or NULL. */
static char *
mark_of(const char *name, const char *base, bool *ret_packed)
{
	size_t n = strlen(base), len = strlen(name);

	if (strncmp(name, base, n) != 0 || (name[n] != '.' && name[n] != '-'))
		return NULL;
	*ret_packed = len > n + 4 && strcmp(name + len - 3, ".gz") == 0;
	len -= *ret_packed ? 3 : 0;
	if (len <= n + 1 || strspn(name + n + 1, "0123456789T:._-") < len - n - 1)
		return NULL;
	return fl_xstrndup(name + n + 1, len - n - 1);
}

/* Where both the plain and the packed one stand, gzip is at work: the plain one counts. */
static void
drop_twins(struct siblings *l)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->count; i++) {
		if (l->all[i].packed && i + 1 < l->count &&
		    strcmp(l->all[i].mark, l->all[i + 1].mark) == 0) {
			free(l->all[i].path);
			free(l->all[i].mark);
		} else {
			l->all[kept++] = l->all[i];
		}
	}
	l->count = kept;
}

static void
find_siblings(const char *live, struct siblings *ret)
{
	const char *slash = strrchr(live, '/');
	const char *base = slash ? slash + 1 : live;
	char *dir = slash ? fl_xstrndup(live, slash == live ? 1 : (size_t)(slash - live))
			  : fl_xstrdup(".");
	DIR *d = opendir(dir);
	const struct dirent *e;

	*ret = (struct siblings){ 0 };
	while (d && (e = readdir(d))) {
		bool packed;
		char *mark = mark_of(e->d_name, base, &packed);
		struct fl_buf path = { 0 };

		if (!mark)
			continue;
		fl_buf_printf(&path, "%s/%s", dir, e->d_name);
		fl_buf_putc(&path, '\0');
		ret->all = fl_xreallocarray(ret->all, ret->count + 1, sizeof *ret->all);
		ret->all[ret->count++] = (struct sibling){ path.data, mark, packed };
	}
	if (d)
		(void)closedir(d);
	free(dir);
	if (ret->count)
		qsort(ret->all, ret->count, sizeof *ret->all, by_age);
	drop_twins(ret);
}

/* ---- one log ------------------------------------------------------------------------------ */

/* Open a log as the next file of the source. Its name is that of the live one: it says
 * what the text is. */
static int
open_log(struct fc_source *s, const char *path, struct fl_err *err)
{
	if (fc_input_open(&s->in, path, s->next_number, err) < 0)
		return err->code;
	if (s->in.kind == FC_INPUT_STREAM)
		return fl_fail(err, FL_EUSAGE, "--follow is for files, %s is a pipe", path);
	s->next_number++;
	free(s->in.at.name);
	s->in.at.name = fl_xstrdup(live_name(s));
	s->leaving = s->in.kind == FC_INPUT_PACKED;
	s->in.as_bytes = true;
	return 0;
}

/* Whether the file at path holds what was read as place p: then it is in s->in. */
static bool
is_same(struct fc_source *s, const char *path, const struct fc_place *p, bool by_inode)
{
	struct fc_place want = *p;
	struct fl_err ignored;
	uint64_t number = s->next_number;

	if (open_log(s, path, &ignored) == 0 && (!by_inode || s->in.at.ino == p->ino) &&
	    (by_inode || p->head_len)) {
		want.ino = s->in.at.ino;
		want.packed = s->in.at.packed;
		if (fc_input_seek(&s->in, &want, &ignored) == 0) {
			s->in.at.number = p->number;
			s->next_number = number;
			return true;
		}
	}
	s->next_number = number;
	fc_input_release(&s->in);
	return false;
}

/* Find the log that was read as place p, wherever it is now. */
static bool
find_again(struct fc_source *s, const struct fc_place *p)
{
	struct siblings l;
	bool found = is_same(s, live_name(s), p, !s->allow_moved_input);

	if (found)
		return true;
	find_siblings(live_name(s), &l);
	for (int by_inode = 1; by_inode >= 0 && !found; by_inode--)
		for (size_t i = l.count; i-- > 0 && !found;)
			if (!by_inode || !l.all[i].packed)
				found = is_same(s, l.all[i].path, p, by_inode != 0);
	siblings_release(&l);
	return found;
}

int
fc_follow_resume(struct fc_source *s, const struct fc_place *p, struct fl_err *err)
{
	if (find_again(s, p))
		return 0;
	if (!p->done && !s->allow_lost_input)
		return fl_fail(
			err, FL_ECONFIG,
			"the log that was being read (%s, inode %llu, %llu bytes read) is neither "
			"there nor among its rotated siblings: what else was in it is lost; "
			"--allow-lost-input goes on with the present one",
			p->name, (unsigned long long)p->ino, (unsigned long long)p->offset);
	if (!p->done)
		fc_source_note(
			s,
			"the log that was being read (%s, inode %llu) is gone after %llu bytes: "
			"what else was in it is lost",
			p->name, (unsigned long long)p->ino, (unsigned long long)p->offset);
	s->orphan = !p->done;
	s->orphan_number = p->number;
	s->orphan_offset = p->offset;
	return 0; /* the live one is next */
}

/* ---- what comes after it -------------------------------------------------------------------- */

/*
 * The sibling behind the log that has just been read, which is in s->in: to be freed, or
 * NULL: the live one.
 */
static char *
successor(struct fc_source *s)
{
	struct stat own, st;
	struct siblings l;
	char *next = NULL;
	size_t i, from = 0;
	bool known = false;

	if (fstat(s->in.fd, &own) < 0)
		return NULL;
	find_siblings(live_name(s), &l);
	for (i = 0; i < l.count; i++) {
		if (stat(l.all[i].path, &st) == 0 && st.st_ino == own.st_ino &&
		    st.st_dev == own.st_dev) {
			known = true;
			from = i + 1;
		}
	}
	/* a packed copy keeps the time of the last change, the siblings behind it are newer */
	for (i = from; i < l.count && !next; i++) {
		if (stat(l.all[i].path, &st) < 0)
			continue;
		if (known || st.st_mtim.tv_sec > own.st_mtim.tv_sec ||
		    (st.st_mtim.tv_sec == own.st_mtim.tv_sec &&
		     st.st_mtim.tv_nsec > own.st_mtim.tv_nsec && !l.all[i].packed))
			next = fl_xstrdup(l.all[i].path);
	}
	siblings_release(&l);
	return next;
}

/* The log in hand has been read to its end, and all of it was given. */
static int
go_on(struct fc_source *s, struct fl_err *err)
{
	bool rotated = s->in.at.number + 1 >= s->word_count && !s->truncated;
	char *next = rotated ? successor(s) : NULL;
	int rc;

	if (fc_source_leave(s, err) < 0) {
		free(next);
		return err->code;
	}
	s->truncated = false;
	if (!next)
		return 0;
	rc = open_log(s, next, err);
	free(next);
	return rc;
}

static void
tell_truncated(struct fc_source *s)
{
	s->truncations++;
	s->truncated = true;
	fc_source_note(
		s,
		"%s was cut short while it was read (copytruncate): what was written between the "
		"copy and the cut may be lost, and cannot be known; %llu time%s so far. Rotate it "
		"by rename",
		live_name(s), (unsigned long long)s->truncations, s->truncations == 1 ? "" : "s");
}

/*
 * Before more of a growing log is read: is it still the one whose first bytes were
 * read? looked is where it was when there was nothing more.
 */
static int
look_for_cut(struct fc_source *s, struct fl_err *err)
{
	struct stat st;

	if (s->in.kind != FC_INPUT_FILE || s->leaving || s->truncated)
		return 0;
	if (fstat(s->in.fd, &st) < 0)
		return fl_fail_errno(err, FL_EIO, errno, "cannot look at %s", live_name(s));
	if ((uint64_t)st.st_size < s->in.at.offset) {
		tell_truncated(s);
	} else if (s->resting && (uint64_t)st.st_size > s->in.at.offset) {
		s->resting = false;
		if (fc_input_check(&s->in, &s->rest, err) < 0)
			tell_truncated(s);
	}
	return 0;
}

/*
 * Nothing more is in the log for now. Sets s->leaving where nothing more is to come; 1:
 * the log was rotated, and may not be complete yet.
 */
static int
at_rest(struct fc_source *s, struct fl_err *err)
{
	struct stat own, named;
	int64_t now_ms = fl_clock_ms();

	if (!s->resting && fc_input_here(&s->in, &s->rest, err) < 0)
		return err->code;
	s->resting = true;
	if (stat(live_name(s), &named) < 0) /* between rename and create */
		return 0;
	if (fstat(s->in.fd, &own) < 0)
		return fl_fail_errno(err, FL_EIO, errno, "cannot look at %s", live_name(s));
	if (own.st_ino == named.st_ino && own.st_dev == named.st_dev)
		return 0;
	if (now_ms - ((int64_t)own.st_mtim.tv_sec * 1000 + own.st_mtim.tv_nsec / 1000000) >=
	    QUIET_MS)
		s->leaving = true;
	return 1;
}

/* Nothing is in hand: the next FILE that stands before the log, or the log, if there is one. */
static int
open_next(struct fc_source *s, struct fl_err *err)
{
	struct stat st;

	if (s->next_word + 1 < s->word_count) {
		s->leaving = true; /* it does not grow */
		return fc_source_open_word(s, err) < 0 ? err->code : 1;
	}
	s->next_word = s->word_count;
	if (stat(live_name(s), &st) < 0)
		return 0;
	return open_log(s, live_name(s), err) < 0 ? err->code : 1;
}

/* The reader is within a file that has no more: an empty last piece of it. */
static int
end_orphan(struct fc_source *s, struct fl_raw *ret)
{
	*ret = (struct fl_raw){
		.flags = FL_RAW_BYTES | FL_RAW_LAST,
		.file = s->orphan_number,
		.offset = s->orphan_offset,
		.name = live_name(s),
		.name_len = (uint32_t)strlen(live_name(s)),
		.bytes = "",
	};
	s->orphan = false;
	return FC_PIECE;
}

int
fc_follow_next(struct fc_source *s, struct fl_raw *ret, struct fl_err *err)
{
	int rc;

	if (s->orphan)
		return end_orphan(s, ret);
	for (;;) {
		if (s->in.kind == FC_INPUT_NONE) {
			rc = open_next(s, err);
			if (rc <= 0)
				return rc < 0 ? rc : s->keep_open ? FC_END : FC_WAIT;
		}
		if (look_for_cut(s, err) < 0)
			return err->code;
		if (s->truncated && !s->in.ended)
			return fc_input_finish(&s->in, ret);
		rc = fc_input_next(&s->in, !s->leaving, ret, err);
		if (rc == FC_PIECE)
			s->resting = false;
		if (rc == FC_PIECE || rc < 0)
			return rc;
		if (rc == FC_END) {
			s->resting = false;
			if (go_on(s, err) < 0)
				return err->code;
			continue;
		}
		rc = at_rest(s, err);
		if (rc < 0)
			return rc;
		if (!s->leaving)
			return rc == 0 && s->keep_open ? FC_END : FC_WAIT;
	}
}
