/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Window arithmetic: which windows a time is in, with Flink's rules.
 *
 * Windows
 *	[start, end), both in ms. A window fires when the watermark reaches
 *	end - 1. All windows of an assigner lie on a grid: their starts are
 *	offset plus a multiple of the step, also before 1970 (floor, not
 *	truncation).
 *
 *	tumble    [s, s + size)                       s on the grid of size
 *	slide     [s, s + size)                       s on the grid of the slide
 *	cumulate  [s, s + k * step), k = 1 … size / step   s on the grid of size
 *
 *	A time is in one tumbling window, in about size / slide sliding ones (in
 *	none, where it falls between windows because slide > size), and in those
 *	cumulating windows that end after it.
 *
 * Slices
 *	Records are never multiplied: aggregation is over slices, the pieces
 *	between two neighbouring edges of windows, and a window is the sum of
 *	its slices. All times of a slice are in the same windows. Where the
 *	slide divides the size a slice is as long as the slide; where it does
 *	not, there are two in each slide, cut where windows start and where they
 *	end. (Flink cuts gcd(size, slide) pieces: slide 5m 2m would be 1m, but
 *	slide 5m 7s 1 s, and so on down to 1 ms.)
 *
 *	for (s = fl_slice_at(&w, window.start);; s = fl_slice_at(&w, s.end)) {
 *		… s is a slice of window …
 *		if (s.end >= window.end)
 *			break;
 *	}
 *
 * Limits
 *	Edges that int64 cannot hold are moved to INT64_MIN or INT64_MAX. There
 *	the loop above still ends, and windows still hold their times, but for
 *	INT64_MAX itself: nothing ends after it. Times of records do not come
 *	near (years 0..9999); INT64_MIN is no event time in Flink either.
 */
#ifndef FL_TIME_WINDOW_H
#define FL_TIME_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct fl_window {
	int64_t start;
	int64_t end; /* the first time behind it */
};

/* An assigner; made by one of the functions below. All in ms. */
struct fl_windows {
	int64_t size;   /* length of the (longest) window */
	int64_t grid;   /* distance of starts: size (tumble, cumulate), slide */
	int64_t offset; /* of the grid, 0 <= offset < grid */
	int64_t step;   /* cumulate: distance of ends; 0: not cumulating */
	int64_t cut;    /* slide: where in a grid cell windows end, 0 <= cut < grid */
};

/*
 * Make an assigner. FL_EUSAGE, with the numbers in the message, where Flink
 * refuses too: sizes not > 0, |offset| not smaller than the size (slide: than the
 * slide), cumulate's size not a multiple of its step.
 */
int fl_windows_tumble(struct fl_windows *ret, int64_t size, int64_t offset, struct fl_err *err);
int fl_windows_slide(struct fl_windows *ret, int64_t size, int64_t slide, int64_t offset,
		     struct fl_err *err);
int fl_windows_cumulate(struct fl_windows *ret, int64_t size, int64_t step, int64_t offset,
			struct fl_err *err);

/*
 * The greatest start on the grid offset + n * size that is not after ts; size > 0,
 * any offset. INT64_MIN where it would be before that.
 */
int64_t fl_window_start(int64_t ts, int64_t offset, int64_t size);

/* How many windows hold ts: 0 only between the windows of a slide > size. */
int64_t fl_windows_count(const struct fl_windows *w, int64_t ts);

/* Window i of the fl_windows_count that hold ts, 0 <= i; in the order in which they end. */
struct fl_window fl_windows_nth(const struct fl_windows *w, int64_t ts, int64_t i);

/*
 * The slice in which ts lies. With slide > size this may be the hole between two
 * windows, which fl_windows_count says.
 */
struct fl_window fl_slice_at(const struct fl_windows *w, int64_t ts);

/*
 * The watermark at which a window is gone, with its state: Flink's cleanup time,
 * end - 1 + lateness, at most INT64_MAX. A record is late for the window iff that
 * is <= the watermark.
 */
int64_t fl_window_cleanup_time(const struct fl_window *window, int64_t lateness);

#endif
