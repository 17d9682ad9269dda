# SPDX-License-Identifier: Apache-2.0
# The tools, each made from tools/NAME.c. To add one, add its line, and do what
# lib/run/op.h says under "Adding a tool".

bin_PROGRAMS += \
	tools/fcat \
	tools/fcheckpoint \
	tools/fdedup \
	tools/ffilter \
	tools/fjoin \
	tools/fkeyby \
	tools/fmap \
	tools/fover \
	tools/frank \
	tools/freduce \
	tools/fsort \
	tools/fsource \
	tools/funion \
	tools/fwindow

# Its sources stand in a directory that is not named like the program: their objects
# stand beside it.
tools_fcheckpoint_SOURCES = \
	tools/checkpoint/barrier.c \
	tools/checkpoint/begin.c \
	tools/checkpoint/begin.h \
	tools/checkpoint/checkpoint.h \
	tools/checkpoint/command.c \
	tools/checkpoint/commit.c \
	tools/checkpoint/committer.c \
	tools/checkpoint/committer.h \
	tools/checkpoint/decider.c \
	tools/checkpoint/decider.h \
	tools/checkpoint/diff.c \
	tools/checkpoint/entry.c \
	tools/checkpoint/follow.c \
	tools/checkpoint/input.c \
	tools/checkpoint/layout.c \
	tools/checkpoint/layout.h \
	tools/checkpoint/leader.c \
	tools/checkpoint/list.c \
	tools/checkpoint/main.c \
	tools/checkpoint/part.c \
	tools/checkpoint/part.h \
	tools/checkpoint/people.c \
	tools/checkpoint/people.h \
	tools/checkpoint/prune.c \
	tools/checkpoint/rewind.c \
	tools/checkpoint/run.c \
	tools/checkpoint/savepoint.c \
	tools/checkpoint/send.c \
	tools/checkpoint/show.c \
	tools/checkpoint/sink-direct.c \
	tools/checkpoint/sink-file.c \
	tools/checkpoint/sink-output.c \
	tools/checkpoint/sink-pipe.c \
	tools/checkpoint/sink-segments.c \
	tools/checkpoint/sink.c \
	tools/checkpoint/sink.h \
	tools/checkpoint/source.c \
	tools/checkpoint/source.h \
	tools/checkpoint/spool.c \
	tools/checkpoint/stored.c \
	tools/checkpoint/text.c \
	tools/checkpoint/text.h \
	tools/checkpoint/verify.c
