/* SPDX-License-Identifier: Apache-2.0 */
/* Watermarks and barriers over several inputs; the queue that keeps pipes moving. */
#include <stdlib.h>

#include "run/align.h"
#include "run/queue.h"
#include "tap.h"

#define NONE INT64_MIN

static struct fl_align a;
static struct fl_watermark told;

/* Input i tells a watermark: whether the combined one changed; then told has it. */
static bool
wm(uint32_t i, int64_t ms)
{
	return fl_align_watermark(&a, i, &(struct fl_watermark){ .ms = ms }, &told);
}

static bool
idle(uint32_t i, int64_t ms)
{
	return fl_align_watermark(&a, i, &(struct fl_watermark){ .ms = ms, .idle = true }, &told);
}

static void
minimum(void)
{
	fl_align_init(&a, 3);
	tap_ok(!wm(0, 10) && !wm(1, 20), "no watermark before all inputs have one");
	tap_ok(wm(2, 5) && told.ms == 5, "the minimum of all");
	tap_ok(wm(2, 15) && told.ms == 10, "it moves with the lowest");
	tap_ok(!wm(1, 30), "not with another");
	tap_ok(!wm(0, 3), "one that goes back changes nothing");
	tap_ok(fl_align_end(&a, 0, &told) && told.ms == 15,
	       "an input that has ended holds nobody back");
	tap_ok(fl_align_end(&a, 1, &told) == false, "nor moves anything that others hold");
	tap_ok(fl_align_end(&a, 2, &told) && told.ms == INT64_MAX,
	       "the end of all is the last watermark");
	tap_ok(fl_align_all_ended(&a), "all have ended");
	fl_align_release(&a);
}

static void
idleness(void)
{
	fl_align_init(&a, 2);
	(void)wm(0, 12000);
	tap_ok(wm(1, 5000) && told.ms == 5000, "two active inputs: the minimum");
	tap_ok(idle(1, 5000) && told.ms == 12000 && !told.idle, "an idle input is not waited for");
	tap_ok(!wm(1, 6000), "awake behind the others, it does not turn time back");
	tap_ok(wm(0, 13000) && told.ms == 13000, "nor hold them back");
	tap_ok(!wm(1, 13500), "once it has caught up it counts again …");
	tap_ok(wm(0, 20000) && told.ms == 13500, "… and is waited for");
	fl_align_release(&a);

	fl_align_init(&a, 2);
	(void)wm(0, 100);
	(void)wm(1, 50);
	tap_ok(!idle(0, 100), "the input ahead goes idle: nothing changes");
	tap_ok(idle(1, 50) && told.ms == 100 && told.idle,
	       "all idle: the watermark jumps to the greatest, then the output is idle");
	tap_ok(wm(1, 120) && told.ms == 120 && !told.idle, "and wakes with the first that does");
	fl_align_release(&a);

	fl_align_init(&a, 2);
	tap_ok(!idle(0, NONE), "an input idle from the start");
	tap_ok(wm(1, 7) && told.ms == 7, "does not hold the other back");
	fl_align_release(&a);
}

static struct fl_barrier got;

static bool
barrier(uint32_t i, uint64_t id)
{
	return fl_align_barrier(&a, i, &(struct fl_barrier){ .id = id, .attempt = 1 }, &got);
}

static void
barriers(void)
{
	struct fl_watermark w;

	fl_align_init(&a, 3);
	tap_ok(!barrier(0, 1) && fl_align_waits(&a, 0) && !fl_align_waits(&a, 1),
	       "the first to deliver a barrier waits");
	tap_ok(!barrier(2, 1), "so does the second");
	tap_ok(barrier(1, 1) && got.id == 1 && !fl_align_waits(&a, 0) && !fl_align_waits(&a, 2),
	       "with the last it is complete, and nobody waits");
	tap_ok(!barrier(0, 1) && !fl_align_waits(&a, 0), "a barrier repeated is ignored");
	(void)barrier(0, 2);
	tap_ok(!barrier(1, 4) && !fl_align_waits(&a, 0) && fl_align_waits(&a, 1),
	       "a newer one abandons the one in hand");
	tap_ok(!barrier(0, 3) && !fl_align_waits(&a, 0), "an older one is ignored");
	tap_ok(!barrier(0, 4) && barrier(2, 4) && got.id == 4, "the newer one completes");
	(void)barrier(0, 5);
	(void)barrier(1, 5);
	(void)fl_align_end(&a, 2, &w);
	tap_ok(fl_align_barrier_complete(&a, &got) && got.id == 5, "an end counts as the barrier");
	tap_ok(!barrier(0, 6) && barrier(1, 6), "and as every later one");
	tap_ok(!fl_align_barrier_complete(&a, &got), "nothing is completed twice");
	fl_align_release(&a);
	fl_align_init(&a, 1);
	tap_ok(barrier(0, 9) && got.id == 9, "one input: at once");
	fl_align_release(&a);
	fl_align_init(&a, 2);
	fl_align_give_up(&a, 7);
	tap_ok(!barrier(1, 7) && !fl_align_waits(&a, 1), "one that was given up is not waited for");
	tap_ok(!barrier(1, 8) && barrier(0, 8) && got.id == 8, "the next one is");
	fl_align_release(&a);
}

/* What goes in comes out in order, whatever is in memory and what in the file. */
static void
queue(void)
{
	struct fl_queue q;
	struct fl_err err = { 0 };
	char *chunk = fl_xmalloc(FL_MIB(1)), *back = fl_xmalloc(FL_MIB(1));
	uint64_t in = 0, out = 0, seed = 1;
	bool same = true;

	fl_queue_init(&q);
	while (in < FL_MIB(40) && same) {
		size_t n = (size_t)(seed = seed * 6364136223846793005u + 1442695040888963407u) >>
			   45;
		int64_t popped;

		n &= FL_MIB(1) - 1;
		for (size_t i = 0; i < n; i++)
			chunk[i] = (char)((in + i) * 2654435761u >> 13);
		same = fl_queue_push(&q, chunk, n, &err) == 0;
		in += n;
		if (in - out < FL_MIB(12))
			continue; /* let it spill, then drain it to various depths */
		while (same && in - out > (seed >> 60) * FL_MIB(1) &&
		       (popped = fl_queue_pop(&q, back, FL_MIB(1) - n / 2, &err)) > 0) {
			for (int64_t i = 0; i < popped; i++)
				same = same &&
				       back[i] == (char)((out + (uint64_t)i) * 2654435761u >> 13);
			out += (uint64_t)popped;
		}
	}
	tap_ok(same, "what goes into a queue comes out in order, through memory and file");
	while (fl_queue_pop(&q, back, FL_MIB(1), &err) > 0)
		;
	tap_ok(fl_queue_empty(&q), "and it can be emptied");
	fl_queue_release(&q);
	free(chunk);
	free(back);
}

int
main(void)
{
	minimum();
	idleness();
	barriers();
	queue();
	return tap_done();
}
