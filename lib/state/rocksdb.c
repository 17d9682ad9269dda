/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RocksDB as a store: a module, opened by backend.c when --backend rocksdb is chosen.
 *
 * Batches are written as sorted tables beside the database and taken in as they are:
 * no log, no memtable, no second sorting. What a checkpoint needs is then on disk
 * already, and it is hard links.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "state/store.h"

#define FILE_BYTES FL_MIB(32)
#define BITS_A_KEY 10
#define METADATA_BYTES FL_KIB(16) /* a part of a file's index, or of its filter */
#define PIECE FL_KIB(256)         /* of a file that is written */
#define READAHEAD_MIN FL_KIB(32)
#define READAHEAD_MAX FL_KIB(256)

/*
 * How it is laid out. Parts are read in long ranges: large blocks, and many batches are
 * read side by side before they are compacted, since compaction costs as much as reading
 * does. Whole values are read by key, each from the one batch that has it, and all others
 * are asked in vain: small blocks, few batches.
 */
static const struct layout {
	size_t block_bytes;
	int runs_max;
} layout_of_parts = { FL_KIB(16), 64 }, layout_of_values = { FL_KIB(4), 6 };

/*
 * Pages of a file being written, which are mapped so that they stay in the page cache:
 * RocksDB asks the system to forget what its writer of sorted tables has written, and it
 * is soon to be read.
 */
struct held {
	int fd;            /* -1: none */
	size_t done;       /* bytes that are mapped */
	size_t unlooked;   /* bytes that were put since the file was last looked at */
	struct fl_buf map; /* struct fl_bytes */
};

struct fl_store {
	rocksdb_t *db;
	rocksdb_column_family_handle_t *column; /* the only one */
	rocksdb_options_t *options;
	rocksdb_cache_t *cache;
	rocksdb_readoptions_t *read;
	rocksdb_envoptions_t *env;
	rocksdb_ingestexternalfileoptions_t *ingest;
	rocksdb_sstfilewriter_t *batch; /* being written */
	char *batch_path;
	size_t batch_keys;
	struct held held;    /* of its file */
	struct fl_buf drops; /* struct range, then from, to …: for the next batch */
	char *dir;
	struct fl_store_options said;
	struct got {
		rocksdb_pinnableslice_t **value; /* of the last get */
		size_t count, cap;
	} got[FL_STORE_LANES];
};

/* Before the two keys of a range that is dropped. */
struct range {
	size_t from, to; /* lengths */
};

struct fl_store_iter {
	rocksdb_iterator_t *it;
	rocksdb_readoptions_t *read;
	bool begun;
};

/* RocksDB's message, which is freed. */
static int
failed(struct fl_err *err, const char *what, char *message)
{
	bool damaged = strncmp(message, "Corruption", 10) == 0;
	int rc = fl_fail(err, damaged ? FL_EDATA : FL_EIO, "RocksDB cannot %s: %s", what, message);

	rocksdb_free(message);
	return rc;
}

/* ---- pages of what is written ------------------------------------------------------------ */

/* What has been written of the file is mapped. Where that cannot be it is read again. */
static void
hold_pages(struct held *h)
{
	struct fl_bytes map;
	struct stat st;
	void *p;

	h->unlooked = 0;
	if (h->fd < 0 || fstat(h->fd, &st) < 0)
		return;
	map.n = ((size_t)st.st_size - h->done) / PIECE * PIECE;
	if ((size_t)st.st_size < h->done + PIECE)
		return;
	p = mmap(NULL, map.n, PROT_READ, MAP_SHARED | MAP_POPULATE, h->fd, (off_t)h->done);
	if (p == MAP_FAILED)
		return;
	map.p = p;
	fl_buf_put(&h->map, &map, sizeof map);
	h->done += map.n;
}

/* The file is whole. */
static void
let_pages_go(struct held *h)
{
	const struct fl_bytes *map = (const struct fl_bytes *)(const void *)h->map.data;

	for (size_t i = 0; i < h->map.len / sizeof *map; i++)
		(void)munmap((void *)(uintptr_t)map[i].p, map[i].n);
	if (h->fd >= 0) {
		/* its end, that could not be mapped before it was written, and forgotten */
		(void)posix_fadvise(h->fd, (off_t)h->done, 0, POSIX_FADV_WILLNEED);
		(void)close(h->fd);
	}
	fl_buf_clear(&h->map);
	h->fd = -1;
	h->done = h->unlooked = 0;
}

/* ---- merging ---------------------------------------------------------------------------- */

static char *
merge_all(void *state, const char *key, size_t key_len, const char *existing, size_t existing_len,
	  const char *const *operand, const size_t *operand_len, int n, unsigned char *ret_ok,
	  size_t *ret_len)
{
	const struct fl_store *s = state;
	struct fl_bytes few[16], *values = few;
	size_t count = 0;
	char *merged;

	(void)key;
	(void)key_len;
	if ((size_t)n + 1 > FL_ARRAY_LEN(few))
		values = fl_xcalloc((size_t)n + 1, sizeof *values);
	if (existing)
		values[count++] = (struct fl_bytes){ existing, existing_len };
	for (int i = 0; i < n; i++)
		values[count++] = (struct fl_bytes){ operand[i], operand_len[i] };
	if (count == 1) {
		merged = fl_xstrndup(values[0].p, values[0].n);
		*ret_len = values[0].n;
	} else {
		merged = s->said.merge(s->said.merge_ctx, values, count, ret_len);
	}
	if (values != few)
		free(values);
	*ret_ok = merged != NULL;
	return merged;
}

static char *
merge_parts(void *state, const char *key, size_t key_len, const char *const *operand,
	    const size_t *operand_len, int n, unsigned char *ret_ok, size_t *ret_len)
{
	return merge_all(state, key, key_len, NULL, 0, operand, operand_len, n, ret_ok, ret_len);
}

static void
free_merged(void *state, const char *value, size_t n)
{
	(void)state;
	(void)n;
	free((char *)(uintptr_t)value);
}

static const char *
merge_name(void *state)
{
	(void)state;
	return "flue.aggregates.1";
}

static void
keep_state(void *state)
{
	(void)state;
}

/* ---- opening ------------------------------------------------------------------------------ */

/* Bytes of each file that are read at once where files are read in order. */
static size_t
ahead_bytes(const struct fl_store *s)
{
	size_t n = s->said.write_bytes / 8;

	if (n < READAHEAD_MIN)
		return READAHEAD_MIN;
	return n < READAHEAD_MAX ? n : READAHEAD_MAX;
}

static void
set_table_options(struct fl_store *s, size_t block_bytes)
{
	rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();

	s->cache = rocksdb_cache_create_lru(s->said.cache_bytes);
	rocksdb_block_based_options_set_block_cache(t, s->cache);
	rocksdb_block_based_options_set_block_size(t, block_bytes);
	rocksdb_block_based_options_set_format_version(t, 5);
	rocksdb_block_based_options_set_filter_policy(
		t, rocksdb_filterpolicy_create_bloom_full(BITS_A_KEY));
	/* within the bounds of the cache, however many files there are; in small parts, for
	 * not all of a large file's may fit */
	rocksdb_block_based_options_set_cache_index_and_filter_blocks(t, 1);
	rocksdb_block_based_options_set_index_type(
		t, rocksdb_block_based_table_index_type_two_level_index_search);
	rocksdb_block_based_options_set_partition_filters(t, 1);
	rocksdb_block_based_options_set_metadata_block_size(t, METADATA_BYTES);
	rocksdb_block_based_options_set_pin_top_level_index_and_filter(t, 1);
	rocksdb_options_set_block_based_table_factory(s->options, t);
	rocksdb_block_based_options_destroy(t);
}

static void
set_options(struct fl_store *s)
{
	const struct layout *l = s->said.merge ? &layout_of_parts : &layout_of_values;
	rocksdb_options_t *o = s->options;

	set_table_options(s, l->block_bytes);
	/* keys are read in their order: each block is wanted once, and the cache is for what
	 * leads to them */
	rocksdb_readoptions_set_fill_cache(s->read, 0);
	rocksdb_options_set_create_if_missing(o, 1);
	rocksdb_options_set_compression(o, rocksdb_no_compression);
	rocksdb_options_set_write_buffer_size(o, s->said.write_bytes);
	rocksdb_options_set_max_write_buffer_number(o, 2);
	rocksdb_options_set_target_file_size_base(o, FILE_BYTES);
	/* a batch is taken in whole: few, large compactions cost least */
	rocksdb_options_set_compaction_style(o, rocksdb_universal_compaction);
	rocksdb_options_set_level0_file_num_compaction_trigger(o, l->runs_max);
	rocksdb_options_compaction_readahead_size(o, ahead_bytes(s));
	rocksdb_options_set_max_background_jobs(o, 2);
	rocksdb_options_set_max_open_files(o, 256);
	rocksdb_options_set_keep_log_file_num(o, 1);
	rocksdb_options_set_info_log_level(o, 3);
	/* no batch has to wait for compaction: reading merges what is there */
	rocksdb_options_set_level0_slowdown_writes_trigger(o, 1 << 20);
	rocksdb_options_set_level0_stop_writes_trigger(o, 1 << 20);
	rocksdb_options_set_merge_operator(o, rocksdb_mergeoperator_create(s, keep_state, merge_all,
									   merge_parts, free_merged,
									   merge_name));
}

static void
forget_got(struct got *g)
{
	for (size_t i = 0; i < g->count; i++)
		rocksdb_pinnableslice_destroy(g->value[i]);
	g->count = 0;
}

static void
close_store(struct fl_store *s)
{
	for (unsigned lane = 0; lane < FL_STORE_LANES; lane++) {
		forget_got(&s->got[lane]);
		free(s->got[lane].value);
	}
	if (s->batch)
		rocksdb_sstfilewriter_destroy(s->batch);
	let_pages_go(&s->held);
	fl_buf_release(&s->held.map);
	if (s->column)
		rocksdb_column_family_handle_destroy(s->column);
	if (s->db) {
		rocksdb_cancel_all_background_work(s->db, 1);
		rocksdb_close(s->db);
	}
	rocksdb_ingestexternalfileoptions_destroy(s->ingest);
	rocksdb_envoptions_destroy(s->env);
	rocksdb_readoptions_destroy(s->read);
	rocksdb_options_destroy(s->options);
	rocksdb_cache_destroy(s->cache);
	fl_buf_release(&s->drops);
	free(s->batch_path);
	free(s->dir);
	free(s);
}

static struct fl_store *
open_store(const struct fl_store_options *said, struct fl_err *err)
{
	struct fl_store *s = fl_xcalloc(1, sizeof *s);
	static const char *const name = "default";
	const rocksdb_options_t *options;
	struct fl_buf path = { 0 };
	char *message = NULL;

	s->said = *said;
	s->held.fd = -1;
	s->dir = fl_xstrdup(said->dir);
	s->options = rocksdb_options_create();
	s->read = rocksdb_readoptions_create();
	s->env = rocksdb_envoptions_create();
	s->ingest = rocksdb_ingestexternalfileoptions_create();
	set_options(s);
	rocksdb_ingestexternalfileoptions_set_move_files(s->ingest, 1);
	fl_buf_printf(&path, "%s/batch.sst", s->dir);
	s->batch_path = fl_xstrndup(path.data, path.len);
	fl_buf_release(&path);
	options = s->options;
	s->db = rocksdb_open_column_families(s->options, s->dir, 1, &name, &options, &s->column,
					     &message);
	if (!message)
		return s;
	s->db = NULL;
	s->column = NULL;
	(void)failed(err, "open its files", message);
	close_store(s);
	return NULL;
}

/* ---- writing ------------------------------------------------------------------------------- */

static int
write_begin(struct fl_store *s, struct fl_err *err)
{
	char *message = NULL;

	if (s->batch) /* left by an error */
		rocksdb_sstfilewriter_destroy(s->batch);
	let_pages_go(&s->held);
	s->batch = rocksdb_sstfilewriter_create(s->env, s->options);
	s->batch_keys = 0;
	rocksdb_sstfilewriter_open(s->batch, s->batch_path, &message);
	if (message)
		return failed(err, "write", message);
	s->held.fd = open(s->batch_path, O_RDONLY | O_CLOEXEC);
	return 0;
}

static int
write_put(struct fl_store *s, struct fl_bytes key, struct fl_bytes value, bool part,
	  struct fl_err *err)
{
	char *message = NULL;

	s->batch_keys++;
	s->held.unlooked += key.n + value.n;
	if (s->held.unlooked >= PIECE)
		hold_pages(&s->held);
	if (!value.p)
		rocksdb_sstfilewriter_delete(s->batch, key.p, key.n, &message);
	else if (part)
		rocksdb_sstfilewriter_merge(s->batch, key.p, key.n, value.p, value.n, &message);
	else
		rocksdb_sstfilewriter_put(s->batch, key.p, key.n, value.p, value.n, &message);
	return message ? failed(err, "write", message) : 0;
}

/*
 * What was dropped goes into the file, too: before its keys, which it does not cover. Into
 * the database itself RocksDB 7 would take it badly: what was taken in beside a memtable
 * that is not empty can end up in the wrong order, and all that follows fails.
 */
static void
put_drops(struct fl_store *s, char **message)
{
	size_t at = 0;

	while (at < s->drops.len && !*message) {
		const char *p = s->drops.data + at;
		struct range r;

		memcpy(&r, p, sizeof r);
		p += sizeof r;
		rocksdb_sstfilewriter_delete_range(s->batch, p, r.from, p + r.from, r.to, message);
		at += sizeof r + r.from + r.to;
		s->batch_keys++;
	}
}

static int
write_end(struct fl_store *s, struct fl_err *err)
{
	const char *path = s->batch_path;
	char *message = NULL;

	put_drops(s, &message);
	if (!message && s->batch_keys)
		rocksdb_sstfilewriter_finish(s->batch, &message);
	rocksdb_sstfilewriter_destroy(s->batch);
	s->batch = NULL;
	let_pages_go(&s->held);
	if (!message && s->batch_keys)
		rocksdb_ingest_external_file(s->db, &path, 1, s->ingest, &message);
	if (message)
		return failed(err, "write", message);
	fl_buf_clear(&s->drops);
	return 0;
}

static int
drop_range(struct fl_store *s, struct fl_bytes from, struct fl_bytes to, struct fl_err *err)
{
	struct range r = { from.n, to.n };
	char *message = NULL;

	fl_buf_put(&s->drops, &r, sizeof r);
	fl_buf_put(&s->drops, from.p, from.n);
	fl_buf_put(&s->drops, to.p, to.n);
	/* whole files at once */
	rocksdb_delete_file_in_range(s->db, from.p, from.n, to.p, to.n, &message);
	return message ? failed(err, "delete", message) : 0;
}

/* What was dropped is to be gone before anything is read, or kept as a checkpoint. */
static int
settle_drops(struct fl_store *s, struct fl_err *err)
{
	if (!s->drops.len)
		return 0;
	return write_begin(s, err) < 0 || write_end(s, err) < 0 ? err->code : 0;
}

/* ---- reading ---------- */

static int
get(struct fl_store *s, unsigned lane, const struct fl_bytes *keys, size_t n, struct fl_bytes *ret,
    struct fl_err *err)
{
	const char **p = fl_xcalloc(n + 1, sizeof *p);
	size_t *len = fl_xcalloc(n + 1, sizeof *len);
	char **message = fl_xcalloc(n + 1, sizeof *message);
	struct got *g = &s->got[lane];
	int rc = 0;

	forget_got(g);
	if (n > g->cap) {
		g->cap = n;
		g->value = fl_xreallocarray(g->value, n, sizeof(rocksdb_pinnableslice_t *));
	}
	for (size_t i = 0; i < n; i++) {
		p[i] = keys[i].p;
		len[i] = keys[i].n;
	}
	rocksdb_batched_multi_get_cf(s->db, s->read, s->column, n, p, len, g->value, message, true);
	g->count = n;
	for (size_t i = 0; i < n; i++) {
		ret[i] = (struct fl_bytes){ 0 };
		if (message[i] && rc == 0)
			rc = failed(err, "read", message[i]);
		else if (message[i])
			rocksdb_free(message[i]);
		else if (g->value[i])
			ret[i].p = rocksdb_pinnableslice_value(g->value[i], &ret[i].n);
	}
	free(p);
	free(len);
	free(message);
	return rc;
}

static struct fl_store_iter *
iter_open(struct fl_store *s, struct fl_bytes from, struct fl_bytes to)
{
	struct fl_store_iter *it = fl_xcalloc(1, sizeof *it);

	it->read = rocksdb_readoptions_create();
	rocksdb_readoptions_set_iterate_upper_bound(it->read, to.p, to.n);
	rocksdb_readoptions_set_fill_cache(it->read, 0);
	rocksdb_readoptions_set_readahead_size(it->read, ahead_bytes(s));
	it->it = rocksdb_create_iterator(s->db, it->read);
	rocksdb_iter_seek(it->it, from.p, from.n);
	return it;
}

static int
iter_next(struct fl_store_iter *it, struct fl_bytes *key, struct fl_bytes *value,
	  struct fl_err *err)
{
	char *message = NULL;

	if (it->begun)
		rocksdb_iter_next(it->it);
	it->begun = true;
	if (!rocksdb_iter_valid(it->it)) {
		rocksdb_iter_get_error(it->it, &message);
		return message ? failed(err, "read", message) : 0;
	}
	key->p = rocksdb_iter_key(it->it, &key->n);
	value->p = rocksdb_iter_value(it->it, &value->n);
	return 1;
}

static void
iter_close(struct fl_store_iter *it)
{
	if (!it)
		return;
	rocksdb_iter_destroy(it->it);
	rocksdb_readoptions_destroy(it->read);
	free(it);
}

/* ---- checkpoints ---------- */

static int
checkpoint(struct fl_store *s, const char *dir, struct fl_err *err)
{
	char *message = NULL;
	rocksdb_checkpoint_t *c;

	if (settle_drops(s, err) < 0)
		return err->code;
	c = rocksdb_checkpoint_object_create(s->db, &message);
	if (!message)
		rocksdb_checkpoint_create(c, dir, 0, &message);
	if (c)
		rocksdb_checkpoint_object_destroy(c);
	return message ? failed(err, "make a checkpoint", message) : 0;
}

__attribute__((visibility("default"))) extern const struct fl_store_ops fl_store_module;
const struct fl_store_ops fl_store_module = {
	.version = FL_STORE_VERSION,
	.open = open_store,
	.close = close_store,
	.write_begin = write_begin,
	.write_put = write_put,
	.write_end = write_end,
	.drop_range = drop_range,
	.settle = settle_drops,
	.get = get,
	.iter_open = iter_open,
	.iter_next = iter_next,
	.iter_close = iter_close,
	.checkpoint = checkpoint,
};
