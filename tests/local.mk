# SPDX-License-Identifier: Apache-2.0
# The tests. To add
#   a bats file     its line in TESTS_BATS
#   a unit test     tests/unit/t-NAME.c: its line in TESTS_UNIT
#   data of a test  its file or directory in EXTRA_DIST
#   a tool           its two lines in "the tools with points"
#   a fuzz target   tests/fuzz/fuzz-NAME.c: its line in FUZZERS, two lines
#                   tests_fuzz_fuzz_NAME_… as the others have, and some small
#                   inputs in tests/fuzz/corpus/fuzz-NAME
# tests/layers.bats finds a file that is not listed.

TESTS_BATS = \
	tests/acceptance.bats \
	tests/backend.bats \
	tests/begin.bats \
	tests/changelog.bats \
	tests/comfort.bats \
	tests/commit.bats \
	tests/checkpoint-people.bats \
	tests/checkpoint-show.bats \
	tests/checkpoints.bats \
	tests/damaged.bats \
	tests/examples.bats \
	tests/follow.bats \
	tests/formats.bats \
	tests/fsort.bats \
	tests/fsource.bats \
	tests/fjoin.bats \
	tests/fjoin-regular.bats \
	tests/fuzz-replay.bats \
	tests/golden.bats \
	tests/help-man.bats \
	tests/install.bats \
	tests/man-examples.bats \
	tests/nexmark.bats \
	tests/properties.bats \
	tests/rank.bats \
	tests/robust-data.bats \
	tests/robust-exit.bats \
	tests/robust-pipes.bats \
	tests/rules.bats \
	tests/symbols.bats

# The Debian packages are built by themselves, with flags of their own, and the sources are
# the same in every build: once is enough.
if !ENABLE_SANITIZE
TESTS_BATS += tests/layers.bats tests/package.bats
endif
EXTRA_DIST += tests/layers.bats tests/package.bats

TESTS_UNIT = \
	tests/unit/t-agg \
	tests/unit/t-align \
	tests/unit/t-behind \
	tests/unit/t-checkpoint \
	tests/unit/t-csv \
	tests/unit/t-expr \
	tests/unit/t-format \
	tests/unit/t-gunzip \
	tests/unit/t-jsonl \
	tests/unit/t-layout \
	tests/unit/t-number \
	tests/unit/t-paths \
	tests/unit/t-rankdisk \
	tests/unit/t-runner \
	tests/unit/t-spill \
	tests/unit/t-state \
	tests/unit/t-stream \
	tests/unit/t-time \
	tests/unit/t-winstate

# Lines that are killed at every point, and at random; that lose power; whose calls fail.
TESTS_FAULT = \
	tests/fault/failing \
	tests/fault/matrix \
	tests/fault/powerloss \
	tests/fault/random

FUZZERS = \
	tests/fuzz/fuzz-checkpoint \
	tests/fuzz/fuzz-csv \
	tests/fuzz/fuzz-expr \
	tests/fuzz/fuzz-frame \
	tests/fuzz/fuzz-jsonl \
	tests/fuzz/fuzz-lines \
	tests/fuzz/fuzz-show \
	tests/fuzz/fuzz-time

EXTRA_DIST += \
	$(TESTS_BATS) \
	$(TESTS_FAULT) \
	tests/changelog/prefixes.c \
	tests/examples \
	tests/checkpoints \
	tests/fault/case \
	tests/fault/lines.bash \
	tests/fuzz/corpus \
	tests/fuzz/csv-oracle.h \
	tests/fuzz/read-all.h \
	tests/fuzz/reseal.h \
	tests/golden \
	tests/helper.bash \
	tests/logs \
	tests/nexmark \
	tests/robust.bash \
	tests/run-man-examples \
	tests/unit/disk-run.h \
	tests/unit/expr-cases.h \
	tests/unit/reader-vectors.h \
	tests/unit/tap.h \
	tests/unit/time-vectors.h

# ---- how they are run -------------------------------------------------------------

# Kills need the speed of the tools that are installed; what they leave behind is read by
# the other tests with sanitizers, too.
if ENABLE_SANITIZE
TESTS = $(TESTS_UNIT) $(TESTS_BATS)
FEWER_SEEDS = : $${FLUE_SEEDS:=10}; export FLUE_SEEDS;
else
FEWER_SEEDS =
TESTS = $(TESTS_UNIT) $(TESTS_BATS) $(TESTS_FAULT)
endif
check_PROGRAMS += $(TESTS_UNIT)

# The tools with points: the objects that are installed, linked with points.c, which
# takes the place of lib/base/fault.c.
FAULT_TOOLS = \
	tests/fault/bin/fcat \
	tests/fault/bin/fcheckpoint \
	tests/fault/bin/fdedup \
	tests/fault/bin/ffilter \
	tests/fault/bin/fjoin \
	tests/fault/bin/fkeyby \
	tests/fault/bin/fmap \
	tests/fault/bin/fover \
	tests/fault/bin/frank \
	tests/fault/bin/freduce \
	tests/fault/bin/funion \
	tests/fault/bin/fwindow
check_PROGRAMS += $(FAULT_TOOLS)
tests_fault_bin_fcat_SOURCES = tools/fcat.c tests/fault/points.c
tests_fault_bin_fcheckpoint_SOURCES = $(tools_fcheckpoint_SOURCES) tests/fault/points.c
tests_fault_bin_fdedup_SOURCES = tools/fdedup.c tests/fault/points.c
tests_fault_bin_ffilter_SOURCES = tools/ffilter.c tests/fault/points.c
tests_fault_bin_fjoin_SOURCES = tools/fjoin.c tests/fault/points.c
tests_fault_bin_fkeyby_SOURCES = tools/fkeyby.c tests/fault/points.c
tests_fault_bin_fmap_SOURCES = tools/fmap.c tests/fault/points.c
tests_fault_bin_fover_SOURCES = tools/fover.c tests/fault/points.c
tests_fault_bin_frank_SOURCES = tools/frank.c tests/fault/points.c
tests_fault_bin_freduce_SOURCES = tools/freduce.c tests/fault/points.c
tests_fault_bin_funion_SOURCES = tools/funion.c tests/fault/points.c
tests_fault_bin_fwindow_SOURCES = tools/fwindow.c tests/fault/points.c

# Preloaded into tools, and what reads their record.
FAULT_LIBS = \
	tests/fault/lib/failing.so \
	tests/fault/lib/record.so \
	tests/fault/lib/replay
check_PROGRAMS += $(FAULT_LIBS)
tests_fault_lib_failing_so_SOURCES = tests/fault/failing.c tests/fault/preload.h
tests_fault_lib_failing_so_CFLAGS = $(AM_CFLAGS) -fPIC
tests_fault_lib_failing_so_LDFLAGS = $(FLUE_CODEGEN) -shared
tests_fault_lib_failing_so_LDADD =
tests_fault_lib_record_so_SOURCES = tests/fault/record.c tests/fault/preload.h
tests_fault_lib_record_so_CFLAGS = $(AM_CFLAGS) -fPIC
tests_fault_lib_record_so_LDFLAGS = $(FLUE_CODEGEN) -shared
tests_fault_lib_record_so_LDADD =
tests_fault_lib_replay_SOURCES = tests/fault/replay.c

# A script beside failing.c: not to be made from it, as make would by itself.
tests/fault/failing: ;

# Both kinds print TAP, which Automake's driver reads: each test case counts.
TEST_EXTENSIONS = .bats
TAP_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
LOG_DRIVER = $(TAP_DRIVER)
BATS_LOG_DRIVER = $(TAP_DRIVER)
BATS_LOG_COMPILER = $(BATS)
AM_BATS_LOG_FLAGS = --tap

# The built tools come first; a sanitizer's report is an exit status that no tool has.
TESTS_ENV = \
	PATH='$(abs_builddir)/tools':$$PATH; \
	FLUE_BIN='$(abs_builddir)/tools'; \
	FLUE_BUILD='$(abs_builddir)'; \
	FLUE_SOURCE='$(abs_top_srcdir)'; \
	FLUE_TOOLS='$(bin_PROGRAMS:tools/%=%)'; \
	FLUE_VERSION='$(PACKAGE_VERSION)'; \
	FLUE_CC='$(CC)'; \
	FLUE_CXX='$(CXX)'; \
	FLUE_FAULT_BIN='$(abs_builddir)/tests/fault/bin'; \
	FLUE_FAULT_LIB='$(abs_builddir)/tests/fault/lib'; \
	$(FEWER_SEEDS) \
	ASAN_OPTIONS=exitcode=99:detect_stack_use_after_return=1:$$ASAN_OPTIONS; \
	UBSAN_OPTIONS=exitcode=99:print_stacktrace=1:$$UBSAN_OPTIONS; \
	export PATH FLUE_BIN FLUE_BUILD FLUE_SOURCE FLUE_TOOLS FLUE_VERSION FLUE_CC FLUE_CXX \
		FLUE_FAULT_BIN FLUE_FAULT_LIB ASAN_OPTIONS UBSAN_OPTIONS;
AM_TESTS_ENVIRONMENT = $(TESTS_ENV)

# make chaos KILLS=100000 [SEED=1]: random kills of all lines, any number; with
# ROWS=10000000 EVERY=1s KILLS=40 'LINES=chain table' of long ones (three minutes, 2 GB).
KILLS = 5000
chaos: $(FAULT_TOOLS)
	$(TESTS_ENV) SEED=$(SEED) KILLS=$(KILLS) $(srcdir)/tests/fault/random
.PHONY: chaos

# make faults: every call that fails, and every disk that a loss of power may leave. An hour.
faults: $(FAULT_TOOLS) $(FAULT_LIBS) all
	$(TESTS_ENV) FAILING=all $(srcdir)/tests/fault/failing
	$(TESTS_ENV) POWERLOSS_SECONDS=0 $(srcdir)/tests/fault/powerloss
.PHONY: faults

# make changelog-campaign SEEDS=10000 [SEED=1] [STATE="--backend rocksdb --max-memory 4K"]:
# random changelogs against SQLite; STATE: options of what keeps state.
SEED = 1
SEEDS = 1000
STATE =
changelog-campaign: all
	$(TESTS_ENV) FLUE_SEED=$(SEED) FLUE_SEEDS=$(SEEDS) FLUE_STATE='$(STATE)' \
		$(BATS) $(srcdir)/tests/changelog.bats
.PHONY: changelog-campaign

tests_unit_t_layout_SOURCES = tests/unit/t-layout.c tools/checkpoint/layout.c

# A fuzz target has libFuzzer's main, or, where that is not built in, one that replays
# files. LDFLAGS of its own stand after AM_LDFLAGS.
if ENABLE_FUZZERS
FUZZ_MAIN =
noinst_PROGRAMS += $(FUZZERS)
else
FUZZ_MAIN = tests/fuzz/replay-main.c
check_PROGRAMS += $(FUZZERS)
endif

tests_fuzz_fuzz_checkpoint_SOURCES = tests/fuzz/fuzz-checkpoint.c $(FUZZ_MAIN)
tests_fuzz_fuzz_checkpoint_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_csv_SOURCES = tests/fuzz/fuzz-csv.c $(FUZZ_MAIN)
tests_fuzz_fuzz_csv_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_expr_SOURCES = tests/fuzz/fuzz-expr.c $(FUZZ_MAIN)
tests_fuzz_fuzz_expr_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_frame_SOURCES = tests/fuzz/fuzz-frame.c $(FUZZ_MAIN)
tests_fuzz_fuzz_frame_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_jsonl_SOURCES = tests/fuzz/fuzz-jsonl.c $(FUZZ_MAIN)
tests_fuzz_fuzz_jsonl_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_lines_SOURCES = tests/fuzz/fuzz-lines.c $(FUZZ_MAIN)
tests_fuzz_fuzz_lines_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_show_SOURCES = tests/fuzz/fuzz-show.c tools/checkpoint/entry.c \
	tools/checkpoint/layout.c $(FUZZ_MAIN)
tests_fuzz_fuzz_show_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_time_SOURCES = tests/fuzz/fuzz-time.c $(FUZZ_MAIN)
tests_fuzz_fuzz_time_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
