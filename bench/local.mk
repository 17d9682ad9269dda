# SPDX-License-Identifier: Apache-2.0
# What bench/ adds to the distribution; included by the top Makefile.am, which has set
# EXTRA_DIST before. Nothing here is built or installed by make: bench/run compiles
# what it needs.

EXTRA_DIST += \
	bench/README.md \
	bench/canon.c \
	bench/gen.c \
	bench/latency.c \
	bench/run \
	bench/setup-peers \
	bench/timer.c \
	bench/works.py \
	bench/peers/engine.py \
	bench/peers/engine_clickhouse.py \
	bench/peers/engine_datafusion.py \
	bench/peers/engine_duckdb.py \
	bench/peers/engine_polars.py \
	bench/peers/minutes.awk \
	bench/peers/minutes.mlr \
	bench/peers/plain.c \
	bench/peers/time.awk \
	bench/peers/w1.awk \
	bench/peers/w4.awk \
	bench/peers/w5.awk \
	bench/peers/w6.awk \
	bench/peers/w7.awk \
	bench/peers/watermarks.awk
