/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of an SQLite file: one query a distinct key, whose rows are kept for the next
 * records with that key. What is kept is bounded, and forgotten as soon as another
 * connection has changed the database (data_version), so it is never older than the last
 * look. Opened for reading only.
 */
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "join/lookup.h"

#define CACHE_KEYS_MAX 100000u
#define CACHE_BYTES_MAX FL_MIB(64)
#define BUSY_MS 5000 /* how long a writer may hold the database */

struct sqlite {
	struct fl_lookup base;
	const char *name; /* FILE:TABLE */
	sqlite3 *db;
	sqlite3_stmt *query, *version;
	int64_t seen; /* data_version that the cache is of */
	struct fl_lookup_rows cache;
	struct fl_build row;      /* one row of the table */
	struct fl_keys row_key;   /* its key */
	struct fl_build key_text; /* the values of the key that is asked for */
};

static int
failed(struct sqlite *s, const char *what, struct fl_err *err)
{
	int code = sqlite3_errcode(s->db) & 0xff;
	bool damaged = code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
	bool busy = code == SQLITE_BUSY || code == SQLITE_LOCKED;

	return fl_fail(err,
		       damaged                ? FL_EDATA
		       : busy                 ? FL_EUNAVAILABLE
		       : code == SQLITE_NOMEM ? FL_ELIMIT
		       : code == SQLITE_IOERR ? FL_EIO
					      : FL_ENOINPUT,
		       "cannot %s %s: %s", what, s->name, sqlite3_errmsg(s->db));
}

static int
prepare(struct sqlite *s, const char *sql, sqlite3_stmt **ret, struct fl_err *err)
{
	if (sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL) == SQLITE_OK)
		return 0;
	return failed(s, "read", err);
}

/* ---- the table ---------------------------------------------------------------------------- */

/* "name", as SQL has it. */
static void
put_name(struct fl_buf *out, const char *p, size_t n)
{
	fl_buf_putc(out, '"');
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '"')
			fl_buf_putc(out, '"');
		fl_buf_putc(out, p[i]);
	}
	fl_buf_putc(out, '"');
}

static int
open_database(struct sqlite *s, const char *path, struct fl_err *err)
{
	if (sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
		return fl_fail(err, FL_ENOINPUT, "cannot open %s: %s", path,
			       s->db ? sqlite3_errmsg(s->db) : "out of memory");
	(void)sqlite3_busy_timeout(s->db, BUSY_MS);
	return prepare(s, "PRAGMA data_version", &s->version, err);
}

/* The table's columns. What a value is, is known value by value only. */
static int
read_columns(struct sqlite *s, const char *table, struct fl_err *err)
{
	struct fl_buf sql = { 0 };
	sqlite3_stmt *all = NULL;
	int rc;

	fl_buf_puts(&sql, "SELECT * FROM ");
	put_name(&sql, table, strlen(table));
	fl_buf_putc(&sql, '\0');
	rc = prepare(s, sql.data, &all, err);
	for (int c = 0; rc == 0 && c < sqlite3_column_count(all); c++) {
		const char *name = sqlite3_column_name(all, c);

		(void)fl_header_add(&s->base.header, name, strlen(name), FL_TEXT);
	}
	(void)sqlite3_finalize(all);
	fl_buf_release(&sql);
	return rc;
}

/*
 * A column without a declared type does not turn the text that it is compared with into a
 * number, as columns of numbers do: there the column must become text.
 */
static bool
has_type(struct sqlite *s, const char *table, const char *column)
{
	const char *type = NULL;

	return sqlite3_table_column_metadata(s->db, NULL, table, column, &type, NULL, NULL, NULL,
					     NULL) == SQLITE_OK &&
	       type && *type && sqlite3_strlike("%blob%", type, 0) != 0;
}

static int
prepare_query(struct sqlite *s, const char *table, struct fl_err *err)
{
	const struct fl_header *h = &s->base.header;
	struct fl_buf sql = { 0 };
	int rc;

	fl_buf_puts(&sql, "SELECT * FROM ");
	put_name(&sql, table, strlen(table));
	for (uint32_t k = 0; k < h->key_count; k++) {
		const struct fl_column *c = &h->columns[h->keys[k]];
		bool typed = has_type(s, table, c->name);

		fl_buf_puts(&sql, k ? " AND " : " WHERE ");
		fl_buf_puts(&sql, typed ? "" : "CAST(");
		put_name(&sql, c->name, c->name_len);
		fl_buf_printf(&sql, "%s = ?%u", typed ? "" : " AS TEXT)", k + 1);
	}
	fl_buf_putc(&sql, '\0');
	rc = prepare(s, sql.data, &s->query, err);
	fl_buf_release(&sql);
	return rc;
}

/* ---- looking up --------------------------------------------------------------------- */

static void
put_column(sqlite3_stmt *q, int c, struct fl_colbuf *to)
{
	const void *p;

	switch (sqlite3_column_type(q, c)) {
	case SQLITE_INTEGER:
		fl_put_int(to, sqlite3_column_int64(q, c));
		break;
	case SQLITE_FLOAT:
		fl_put_double(to, sqlite3_column_double(q, c));
		break;
	case SQLITE_NULL:
		fl_put_null(to);
		break;
	case SQLITE_TEXT:
		p = sqlite3_column_text(q, c);
		fl_put_text(to, p ? p : "", (size_t)sqlite3_column_bytes(q, c), FL_TAG_STRING);
		break;
	default:
		p = sqlite3_column_blob(q, c);
		fl_put_text(to, p ? p : "", (size_t)sqlite3_column_bytes(q, c), FL_TAG_STRING);
		break;
	}
}

static bool
same_key(const struct fl_key *a, const struct fl_key *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->p, b->p, a->len) == 0);
}

/* Keep the row that the query stands on, if its key is the one asked for to the byte. */
static int
keep_row(struct sqlite *s, const struct fl_key *key, struct fl_jlist *list, struct fl_err *err)
{
	const struct fl_key *own;
	const struct fl_batch *b;

	fl_build_clear(&s->row);
	for (uint32_t c = 0; c < s->row.cols; c++)
		put_column(s->query, (int)c, &s->row.col[c]);
	fl_build_row(&s->row, 0, 0, FL_INSERT);
	b = fl_build_view(&s->row);
	if (fl_keys_of(&s->row_key, &s->base.header, b, &own, err) < 0)
		return err->code;
	if (!same_key(own, key))
		return 0; /* 42 for the key 042: equal numbers, other keys */
	fl_jrows_take(&s->cache.rows, b, 0);
	return fl_jrows_add(&s->cache.rows, list, err) ? 0 : err->code;
}

static int
bind_key(struct sqlite *s, const struct fl_key *key, struct fl_err *err)
{
	uint32_t count = s->base.header.key_count;
	const struct fl_batch *b;

	fl_build_clear(&s->key_text);
	for (uint32_t k = 0; k < count; k++)
		fl_key_put(key, k, count, FL_TEXT, &s->key_text.col[k]);
	fl_build_row(&s->key_text, 0, 0, FL_INSERT);
	b = fl_build_view(&s->key_text);
	for (uint32_t k = 0; k < count; k++) {
		size_t n;
		const char *p = fl_text(&b->col[k], 0, &n);

		if (sqlite3_bind_text64(s->query, (int)k + 1, p, n, SQLITE_STATIC, SQLITE_UTF8) !=
		    SQLITE_OK)
			return failed(s, "look into", err);
	}
	return 0;
}

static int
ask(struct sqlite *s, const struct fl_key *key, struct fl_jlist *list, struct fl_err *err)
{
	int rc = bind_key(s, key, err), step = SQLITE_DONE;

	while (rc == 0 && (step = sqlite3_step(s->query)) == SQLITE_ROW)
		rc = keep_row(s, key, list, err);
	if (rc == 0 && step != SQLITE_DONE)
		rc = failed(s, "look into", err);
	(void)sqlite3_reset(s->query);
	return rc;
}

static void
forget(struct sqlite *s)
{
	fl_lookup_rows_release(&s->cache);
	fl_lookup_rows_init(&s->cache, s->base.keys.seed, SIZE_MAX);
}

static int
sqlite_find(struct fl_lookup *l, const struct fl_key *key, const struct fl_jlist **ret,
	    struct fl_err *err)
{
	struct sqlite *s = (struct sqlite *)l;
	struct fl_entry *e = fl_table_get(&s->cache.table, key);
	struct fl_jlist *list;

	if (e) {
		*ret = (const struct fl_jlist *)(const void *)e->value;
		return 0;
	}
	if (s->cache.table.live >= CACHE_KEYS_MAX || s->cache.budget.used >= CACHE_BYTES_MAX)
		forget(s);
	list = fl_lookup_rows_put(&s->cache, key, err);
	if (!list)
		return err->code;
	*ret = list;
	return ask(s, key, list, err);
}

static int
sqlite_refresh(struct fl_lookup *l, struct fl_err *err)
{
	struct sqlite *s = (struct sqlite *)l;
	int rc = sqlite3_step(s->version);
	int64_t now = sqlite3_column_int64(s->version, 0);

	(void)sqlite3_reset(s->version);
	if (rc != SQLITE_ROW)
		return failed(s, "look into", err);
	if (now != s->seen)
		forget(s);
	s->seen = now;
	return 0;
}

static void
sqlite_free(struct fl_lookup *l)
{
	struct sqlite *s = (struct sqlite *)l;

	fl_lookup_rows_release(&s->cache);
	(void)sqlite3_finalize(s->query);
	(void)sqlite3_finalize(s->version);
	(void)sqlite3_close(s->db);
	fl_keys_release(&s->base.keys);
	fl_keys_release(&s->row_key);
	fl_header_release(&s->base.header);
	fl_build_release(&s->row);
	fl_build_release(&s->key_text);
	free(s);
}

static const struct fl_lookup_type sqlite_type = {
	.refresh = sqlite_refresh,
	.find = sqlite_find,
	.free = sqlite_free,
};

struct fl_lookup *
fl_lookup_sqlite_open(const char *name, const char *keys, const struct fl_header *left,
		      struct fl_err *err)
{
	struct sqlite *s = fl_xcalloc(1, sizeof *s);
	const char *colon = strrchr(name, ':');
	char *path = fl_xstrndup(name, (size_t)(colon - name));
	int rc;

	s->base.type = &sqlite_type;
	s->name = name;
	fl_keys_init(&s->base.keys);
	fl_header_init(&s->base.header);
	forget(s);
	rc = open_database(s, path, err);
	if (rc == 0)
		rc = read_columns(s, colon + 1, err);
	if (rc == 0)
		rc = fl_lookup_choose_keys(&s->base, name, keys, left, err);
	if (rc == 0)
		rc = prepare_query(s, colon + 1, err);
	free(path);
	if (rc < 0) {
		sqlite_free(&s->base);
		return NULL;
	}
	fl_build_init(&s->row, s->base.header.column_count);
	fl_build_init(&s->key_text, s->base.header.key_count);
	(void)sqlite_refresh(&s->base, err);
	return &s->base;
}
