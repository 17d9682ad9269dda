/* SPDX-License-Identifier: Apache-2.0 */
#include "time/window.h"

#include <inttypes.h>

#include "time/civil.h"

/* Edges are computed in 128 bits, so that only the result has to be fitted in. */
typedef __int128 wide;

static int64_t
narrow(wide v)
{
	if (v < INT64_MIN)
		return INT64_MIN;
	return v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

static struct fl_window
window_of(wide start, wide length)
{
	return (struct fl_window){ narrow(start), narrow(start + length) };
}

/*
 * How far ts is behind the start of its grid cell, 0 <= result < grid. Both
 * sides are reduced first: ts - offset could overflow.
 */
static int64_t
phase(int64_t ts, int64_t offset, int64_t grid)
{
	int64_t r = fl_floor_mod(ts, grid) - fl_floor_mod(offset, grid);

	return r < 0 ? r + grid : r;
}

int64_t
fl_window_start(int64_t ts, int64_t offset, int64_t size)
{
	return narrow((wide)ts - phase(ts, offset, size));
}

static int
check_offset(int64_t offset, int64_t grid, const char *what, struct fl_err *err)
{
	if (offset > -grid && offset < grid)
		return 0;
	return fl_fail(err, FL_EUSAGE,
		       "the window's offset (%" PRId64 " ms) must be smaller than its %s (%" PRId64
		       " ms)", offset, what, grid);
}

static int
check_positive(int64_t v, const char *what, struct fl_err *err)
{
	if (v > 0)
		return 0;
	return fl_fail(err, FL_EUSAGE, "the window's %s must be greater than 0", what);
}

int
fl_windows_tumble(struct fl_windows *ret, int64_t size, int64_t offset, struct fl_err *err)
{
	int rc = check_positive(size, "size", err);

	if (rc == 0)
		rc = check_offset(offset, size, "size", err);
	if (rc == 0)
		*ret = (struct fl_windows){ .size = size, .grid = size,
					    .offset = fl_floor_mod(offset, size) };
	return rc;
}

int
fl_windows_slide(struct fl_windows *ret, int64_t size, int64_t slide, int64_t offset,
		 struct fl_err *err)
{
	int rc = check_positive(size, "size", err);

	if (rc == 0)
		rc = check_positive(slide, "slide", err);
	if (rc == 0)
		rc = check_offset(offset, slide, "slide", err);
	if (rc == 0)
		*ret = (struct fl_windows){ .size = size, .grid = slide,
					    .offset = fl_floor_mod(offset, slide),
					    .cut = size % slide };
	return rc;
}

int
fl_windows_cumulate(struct fl_windows *ret, int64_t size, int64_t step, int64_t offset,
		    struct fl_err *err)
{
	int rc = check_positive(size, "size", err);

	if (rc == 0)
		rc = check_positive(step, "step", err);
	if (rc == 0)
		rc = check_offset(offset, size, "size", err);
	if (rc == 0 && size % step != 0)
		return fl_fail(err, FL_EUSAGE,
			       "the window's size (%" PRId64 " ms) must be a multiple of its "
			       "step (%" PRId64 " ms)", size, step);
	if (rc == 0)
		*ret = (struct fl_windows){ .size = size, .grid = size, .step = step,
					    .offset = fl_floor_mod(offset, size) };
	return rc;
}

int64_t
fl_windows_count(const struct fl_windows *w, int64_t ts)
{
	int64_t behind = phase(ts, w->offset, w->grid);

	if (w->step)
		return (w->size - behind - 1) / w->step + 1;
	/* Starts are at behind, behind + grid, … before ts, all within size. */
	return behind < w->size ? (w->size - 1 - behind) / w->grid + 1 : 0;
}

struct fl_window
fl_windows_nth(const struct fl_windows *w, int64_t ts, int64_t i)
{
	int64_t behind = phase(ts, w->offset, w->grid);
	wide start = (wide)ts - behind;
	int64_t count;

	if (w->step)
		return window_of(start, ((wide)(behind / w->step) + 1 + i) * w->step);
	count = (w->size - 1 - behind) / w->grid + 1;
	return window_of(start - (wide)(count - 1 - i) * w->grid, w->size);
}

struct fl_window
fl_slice_at(const struct fl_windows *w, int64_t ts)
{
	int64_t behind = phase(ts, w->offset, w->grid);
	wide start = (wide)ts - behind;

	if (w->step)
		return window_of(start + behind / w->step * w->step, w->step);
	if (behind < w->cut)
		return window_of(start, w->cut);
	return window_of(start + w->cut, (wide)w->grid - w->cut);
}

int64_t
fl_window_cleanup_time(const struct fl_window *window, int64_t lateness)
{
	return narrow((wide)window->end - 1 + lateness);
}
