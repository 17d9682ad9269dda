# SPDX-License-Identifier: Apache-2.0
# The manual. To add a page, add its line here, and one for its examples in
# tests/man-examples.bats.

dist_man_MANS += \
	man/fcat.1 \
	man/fcheckpoint.1 \
	man/fdedup.1 \
	man/ffilter.1 \
	man/fjoin.1 \
	man/fkeyby.1 \
	man/flue-checkpoint.5 \
	man/flue-cookbook.7 \
	man/flue-expressions.7 \
	man/flue-stream.5 \
	man/flue.7 \
	man/fmap.1 \
	man/fover.1 \
	man/frank.1 \
	man/freduce.1 \
	man/fsort.1 \
	man/fsource.1 \
	man/funion.1 \
	man/fwindow.1
