# SPDX-License-Identifier: Apache-2.0
# The library. To add a file, add its line, in the order of `ls`; headers too, as
# they go into the distribution. tests/layers.bats finds a file that is not listed.

lib_LIBRARIES = lib/libflue.a
lib_libflue_a_SOURCES = \
	lib/base/err.c \
	lib/base/err.h \
	lib/base/fault.c \
	lib/base/fault.h \
	lib/base/heap.h \
	lib/base/io.c \
	lib/base/io.h \
	lib/base/itoa.h \
	lib/base/mem.c \
	lib/base/mem.h \
	lib/base/nearfile.c \
	lib/base/nearfile.h \
	lib/base/str.c \
	lib/base/str.h \
	lib/base/width.c \
	lib/base/width.h \
	lib/checkpoint/about.c \
	lib/checkpoint/about.h \
	lib/checkpoint/below.c \
	lib/checkpoint/below.h \
	lib/checkpoint/clean.c \
	lib/checkpoint/copy.c \
	lib/checkpoint/dir.c \
	lib/checkpoint/dir.h \
	lib/checkpoint/files.c \
	lib/checkpoint/files.h \
	lib/checkpoint/manifest.c \
	lib/checkpoint/manifest.h \
	lib/checkpoint/request.c \
	lib/checkpoint/sealed.c \
	lib/checkpoint/sealed.h \
	lib/checkpoint/blocks.c lib/checkpoint/blocks.h \
	lib/checkpoint/snapshot.c \
	lib/checkpoint/snapshot.h \
	lib/checkpoint/verify.c \
	lib/expr/agg-bag.c \
	lib/expr/agg-call.c \
	lib/expr/agg-cell.c \
	lib/expr/agg-int.h \
	lib/expr/agg-ints.c \
	lib/expr/agg-mem.c \
	lib/expr/agg-num.c \
	lib/expr/agg-parts.c \
	lib/expr/agg-pick.c \
	lib/expr/agg-quant.c \
	lib/expr/agg-set.c \
	lib/expr/agg-sketch.c \
	lib/expr/agg-sum.c \
	lib/expr/agg.c \
	lib/expr/agg.h \
	lib/expr/expr-arith.c \
	lib/expr/expr-cast.c \
	lib/expr/expr-compare.c \
	lib/expr/expr-eval.c \
	lib/expr/expr-int.h \
	lib/expr/expr-logic.c \
	lib/expr/expr-node.h \
	lib/expr/expr-span.c \
	lib/expr/expr-value.c \
	lib/expr/expr.c \
	lib/expr/expr.h \
	lib/expr/func-json.c \
	lib/expr/func-json.h \
	lib/expr/func-math.c \
	lib/expr/func-md5.c \
	lib/expr/func-md5.h \
	lib/expr/func-regex.c \
	lib/expr/func-regex.h \
	lib/expr/func-text.c \
	lib/expr/func-text.h \
	lib/expr/func-time.c \
	lib/expr/func-time.h \
	lib/expr/func-timefmt.c \
	lib/expr/func.c \
	lib/expr/json.c \
	lib/expr/json.h \
	lib/expr/parse-quote.c \
	lib/expr/parse-quote.h \
	lib/expr/parse.c \
	lib/expr/parse.h \
	lib/expr/paths.c \
	lib/expr/paths.h \
	lib/expr/place.c \
	lib/expr/place.h \
	lib/format/cells.c \
	lib/format/cells.h \
	lib/format/clf.c \
	lib/format/clf.h \
	lib/format/csv.c \
	lib/format/csv.h \
	lib/format/csv_writer.c \
	lib/format/formats.h \
	lib/format/guess.c \
	lib/format/guess.h \
	lib/format/gunzip.c \
	lib/format/gunzip.h \
	lib/format/json_simdjson.cc \
	lib/format/json_simdjson.h \
	lib/format/json_walk.c \
	lib/format/json_walk.h \
	lib/format/jsonl.c \
	lib/format/jsonl_writer.c \
	lib/format/lines.h \
	lib/format/linewise.c \
	lib/format/linewise.h \
	lib/format/logfmt.c \
	lib/format/logfmt_writer.c \
	lib/format/logformat.c \
	lib/format/markdown.c \
	lib/format/names.c \
	lib/format/names.h \
	lib/format/outcols.c \
	lib/format/outcols.h \
	lib/format/pprint.c \
	lib/format/reader.c \
	lib/format/reader.h \
	lib/format/regex.c \
	lib/format/scan.c \
	lib/format/scan.h \
	lib/format/syslog.c \
	lib/format/text.c \
	lib/format/writer.c \
	lib/format/writer.h \
	lib/format/xtab.c \
	lib/join/interval.c \
	lib/join/interval.h \
	lib/join/lookup-file.c \
	lib/join/lookup-sqlite.c \
	lib/join/lookup.c \
	lib/join/lookup.h \
	lib/join/pairs.c \
	lib/join/pairs.h \
	lib/join/regular.c \
	lib/join/regular.h \
	lib/join/rows.c \
	lib/join/rows.h \
	lib/join/slab.c \
	lib/join/slab.h \
	lib/join/temporal.c \
	lib/join/temporal.h \
	lib/join/window-pairs.c \
	lib/join/window-sessions.c \
	lib/join/window-slices.c \
	lib/join/windowed.c \
	lib/join/windowed.h \
	lib/join/windows.h \
	lib/rank/dedup.c \
	lib/rank/dedup.h \
	lib/rank/due.c \
	lib/rank/due.h \
	lib/rank/extsort.c \
	lib/rank/extsort.h \
	lib/rank/groupkeys.c \
	lib/rank/groupkeys.h \
	lib/rank/items.c \
	lib/rank/items.h \
	lib/rank/over.c \
	lib/rank/over.h \
	lib/rank/overchunk.c \
	lib/rank/overdef.c \
	lib/rank/oversave.c \
	lib/rank/panes.c \
	lib/rank/rank.c \
	lib/rank/rank.h \
	lib/rank/rankdisk.c \
	lib/rank/ranksave.c \
	lib/rank/rowout.c \
	lib/rank/rowout.h \
	lib/rank/saved.c \
	lib/rank/saved.h \
	lib/rank/sessions.c \
	lib/rank/sortby.c \
	lib/rank/sortby.h \
	lib/rank/sorted.c \
	lib/rank/sorted.h \
	lib/run/align.c \
	lib/run/align.h \
	lib/run/assign.c \
	lib/run/assign.h \
	lib/run/explain.c \
	lib/run/explain.h \
	lib/run/format.c \
	lib/run/format.h \
	lib/run/hint.c \
	lib/run/hint.h \
	lib/run/input.c \
	lib/run/input.h \
	lib/run/main.c \
	lib/run/op.h \
	lib/run/opt.c \
	lib/run/opt.h \
	lib/run/options.c \
	lib/run/options.h \
	lib/run/order.c \
	lib/run/order.h \
	lib/run/output.c \
	lib/run/output.h \
	lib/run/progress.c \
	lib/run/progress.h \
	lib/run/queue.c \
	lib/run/queue.h \
	lib/run/rawin.c \
	lib/run/rawin.h \
	lib/run/region.c \
	lib/run/region.h \
	lib/run/replay.c \
	lib/run/replay.h \
	lib/run/run.c \
	lib/run/run.h \
	lib/run/side.c \
	lib/run/side.h \
	lib/run/spill.c \
	lib/run/spill.h \
	lib/run/state.c \
	lib/run/state.h \
	lib/run/statefiles.c \
	lib/run/statefiles.h \
	lib/run/stats.c \
	lib/run/stats.h \
	lib/run/writeback.c \
	lib/run/writeback.h \
	lib/state/areas.c \
	lib/state/areas.h \
	lib/state/backend.c \
	lib/state/backend.h \
	lib/state/behind.c \
	lib/state/behind.h \
	lib/state/kept.c \
	lib/state/kept.h \
	lib/state/key.c \
	lib/state/key.h \
	lib/state/store.h \
	lib/state/table.c \
	lib/state/table.h \
	lib/stream/batch.c \
	lib/stream/batch.h \
	lib/stream/frame.c \
	lib/stream/frame.h \
	lib/stream/header.c \
	lib/stream/header.h \
	lib/stream/number.c \
	lib/stream/number.h \
	lib/stream/raw.c \
	lib/stream/raw.h \
	lib/stream/row.c \
	lib/stream/row.h \
	lib/stream/value.c \
	lib/stream/value.h \
	lib/stream/wire.c \
	lib/stream/wire.h \
	lib/time/civil.c \
	lib/time/civil.h \
	lib/time/duration.c \
	lib/time/duration.h \
	lib/time/timefmt.c \
	lib/time/timefmt.h \
	lib/time/timestamp.c \
	lib/time/timestamp.h \
	lib/time/timetext.c \
	lib/time/timetext.h \
	lib/time/window.c \
	lib/time/window.h \
	lib/time/zone.c \
	lib/time/zone.h \
	lib/window/groups.c \
	lib/window/groups.h \
	lib/window/keyed-int.h \
	lib/window/keyed-save.c \
	lib/window/keyed.c \
	lib/window/keyed.h \
	lib/window/late.c \
	lib/window/late.h \
	lib/window/parts.c \
	lib/window/parts.h \
	lib/window/results.c \
	lib/window/results.h \
	lib/window/save.c \
	lib/window/save.h \
	lib/window/slices.c \
	lib/window/slices.h \
	lib/window/timers.c \
	lib/window/timers.h

# The module of --backend rocksdb: opened when it is chosen, and complete in itself.
moduledir = $(pkglibdir)
module_PROGRAMS = lib/state/rocksdb.so
lib_state_rocksdb_so_SOURCES = \
	lib/base/err.c \
	lib/base/mem.c \
	lib/state/rocksdb.c
lib_state_rocksdb_so_CFLAGS = $(AM_CFLAGS) -fPIC -fvisibility=hidden
lib_state_rocksdb_so_LDFLAGS = $(FLUE_CODEGEN) -shared -Wl,-z,relro -Wl,-z,now
lib_state_rocksdb_so_LDADD = $(ROCKSDB_LIBS)

# For operators that are written elsewhere (examples/operator): what run/op.h needs, and
# what state, timers and records are made of. They include each other as "run/op.h";
# flue.pc has the path.
flue_basedir = $(includedir)/flue/base
flue_base_HEADERS = \
	lib/base/err.h \
	lib/base/mem.h \
	lib/base/str.h
flue_checkpointdir = $(includedir)/flue/checkpoint
flue_checkpoint_HEADERS = \
	lib/checkpoint/snapshot.h
flue_exprdir = $(includedir)/flue/expr
flue_expr_HEADERS = \
	lib/expr/agg.h \
	lib/expr/expr.h \
	lib/expr/place.h
flue_rundir = $(includedir)/flue/run
flue_run_HEADERS = \
	lib/run/op.h \
	lib/run/opt.h
flue_statedir = $(includedir)/flue/state
flue_state_HEADERS = \
	lib/state/areas.h \
	lib/state/key.h \
	lib/state/table.h
flue_streamdir = $(includedir)/flue/stream
flue_stream_HEADERS = \
	lib/stream/batch.h \
	lib/stream/frame.h \
	lib/stream/header.h \
	lib/stream/number.h \
	lib/stream/row.h \
	lib/stream/value.h
flue_timedir = $(includedir)/flue/time
flue_time_HEADERS = \
	lib/time/civil.h \
	lib/time/duration.h \
	lib/time/timefmt.h \
	lib/time/timestamp.h \
	lib/time/zone.h
flue_windowdir = $(includedir)/flue/window
flue_window_HEADERS = \
	lib/window/late.h \
	lib/window/timers.h

pkgconfig_DATA = flue.pc
