# SPDX-License-Identifier: Apache-2.0
# The tools, each made from tools/NAME.c. To add one, add its line, and do what
# lib/run/op.h says under "Adding a tool".

bin_PROGRAMS += \
	tools/fcat \
	tools/ffilter \
	tools/fkeyby \
	tools/fmap \
	tools/freduce \
	tools/fwindow
