/* SPDX-License-Identifier: Apache-2.0 */
/* funion: merge streams by their watermarks. */
#include <stdlib.h>
#include <string.h>

#include "run/op.h"

#define INPUTS_MAX 64u

/* Where the columns of one input go. */
struct branch {
	uint32_t *from; /* outgoing column -> its own, or FL_NO_COLUMN; NULL: the same */
};

struct funion {
	struct branch branch[INPUTS_MAX];
	uint32_t count;
	struct fl_vec *cols;
};

static int
words(void *self, struct fl_run *run, char **words, int count, int *ret_used, struct fl_err *err)
{
	struct funion *u = self;

	(void)run;
	(void)words;
	(void)err;
	*ret_used = 0;
	u->count = count ? (uint32_t)count : 1;
	return 0;
}

/* Columns are the same if their names are; new ones go behind those that are known. */
static void
map_columns(struct funion *u, struct fl_run *run)
{
	struct fl_header *out = fl_run_out(run);

	for (uint32_t i = 0; i < u->count; i++) {
		const struct fl_header *in = fl_run_header(run, i);

		for (uint32_t c = 0; c < in->column_count; c++) {
			const struct fl_column *col = &in->columns[c];

			if (fl_header_find(out, col->name, col->name_len) == FL_NO_COLUMN)
				(void)fl_header_add(out, col->name, col->name_len,
						    (enum fl_kind)col->kind);
		}
	}
	for (uint32_t i = 0; i < u->count; i++) {
		const struct fl_header *in = fl_run_header(run, i);
		bool same = true;

		free(u->branch[i].from);
		u->branch[i].from = fl_xcalloc(out->column_count, sizeof(uint32_t));
		for (uint32_t c = 0; c < out->column_count; c++) {
			const struct fl_column *col = &out->columns[c];
			uint32_t at = fl_header_find(in, col->name, col->name_len);

			u->branch[i].from[c] = at;
			same = same && (at == c || (at == FL_NO_COLUMN && c >= in->column_count));
		}
		if (!same)
			continue;
		free(u->branch[i].from);
		u->branch[i].from = NULL;
	}
	u->cols = fl_xreallocarray(u->cols, out->column_count, sizeof *u->cols);
}

static bool
same_key(const struct fl_header *a, const struct fl_header *b)
{
	if (a->keyed != b->keyed || a->key_count != b->key_count)
		return false;
	for (uint32_t i = 0; i < a->key_count; i++)
		if (strcmp(a->columns[a->keys[i]].name, b->columns[b->keys[i]].name) != 0)
			return false;
	return true;
}

static bool
same_window(const struct fl_window_spec *a, const struct fl_window_spec *b)
{
	return a->kind == b->kind && a->size == b->size && a->slide == b->slide &&
	       a->offset == b->offset && a->lateness == b->lateness && a->trigger == b->trigger &&
	       a->trigger_arg == b->trigger_arg && a->purge == b->purge &&
	       a->keep_count == b->keep_count && a->keep_time == b->keep_time &&
	       a->processing_time == b->processing_time;
}

/* What all inputs agree on stays; what they must agree on is checked. */
static int
open(void *self, struct fl_run *run, struct fl_err *err)
{
	struct funion *u = self;
	struct fl_header *out = fl_run_out(run);
	const struct fl_header *first = fl_run_header(run, 0);
	bool timed = first->time != NULL, keyed = first->keyed;

	for (uint32_t i = 1; i < u->count; i++) {
		const struct fl_header *in = fl_run_header(run, i);

		if ((in->time != NULL) != timed)
			return fl_fail(err, FL_EUSAGE,
				       "some inputs have an event time and some have not: say --time "
				       "to each tool that reads text");
		if (!same_window(&first->window, &in->window))
			return fl_fail(err, FL_EUSAGE,
				       "the inputs have different windows: put fwindow behind funion");
		keyed = keyed && same_key(first, in);
		out->changelog = out->changelog || in->changelog;
	}
	if (!keyed) {
		out->keyed = false;
		out->key_count = 0;
	}
	map_columns(u, run);
	if (timed)
		fl_run_in_time_order(run);
	return 0;
}

static int
columns(void *self, struct fl_run *run, struct fl_err *err)
{
	(void)err;
	map_columns(self, run);
	return 0;
}

static int
on_batch(void *self, struct fl_run *run, uint32_t input, const struct fl_batch *b,
	 struct fl_err *err)
{
	struct funion *u = self;
	const uint32_t *from = u->branch[input].from;
	struct fl_batch mapped = *b;

	if (!from)
		return fl_emit(run, b, err);
	mapped.cols = fl_run_out(run)->column_count;
	for (uint32_t i = 0; i < mapped.cols; i++)
		u->cols[i] = *fl_batch_col(b, from[i]);
	mapped.col = u->cols;
	return fl_emit(run, &mapped, err);
}

static void
close_union(void *self)
{
	struct funion *u = self;

	for (uint32_t i = 0; i < INPUTS_MAX; i++)
		free(u->branch[i].from);
	free(u->cols);
}

static const struct fl_op funion_op = {
	.name = "funion",
	.summary = "merge streams by their watermarks",
	.usage = "[FILE...]",
	.notes = "FILE is a text file, a flue stream or a FIFO; - is standard input. Columns are\n"
		 "put together by their names.\n"
		 "\n"
		 "  funion --time ts --watermark 5s monday.csv tuesday.csv |\n"
		 "    fkeyby url | fwindow tumble 1h | freduce n=count\n"
		 "  funion <(fkeyby --time ts user a.csv) <(fkeyby --time ts user b.jsonl)\n",
	.self_size = sizeof(struct funion),
	.inputs_max = INPUTS_MAX,
	.words = words,
	.open = open,
	.columns = columns,
	.on_batch = on_batch,
	.close = close_union,
};

int
main(int argc, char **argv)
{
	return fl_main(&funion_op, argc, argv);
}
