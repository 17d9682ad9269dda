# SPDX-License-Identifier: Apache-2.0
# What bench/ adds to the distribution; included by the top Makefile.am, which has set
# EXTRA_DIST before. Nothing here is built or installed by make: the commands
# here compile what they need.

EXTRA_DIST += \
	bench/README.md \
	bench/canon.c \
	bench/checkpoints \
	bench/flink/README.md \
	bench/flink/pom.xml \
	bench/flink/queries \
	bench/flink/run \
	bench/flink/src \
	bench/gen.c \
	bench/latency.c \
	bench/measure.py \
	bench/nexmark/README.md \
	bench/nexmark/compare \
	bench/nexmark/generate \
	bench/nexmark/generate.c \
	bench/nexmark/q0.sh \
	bench/nexmark/q1.sh \
	bench/nexmark/q2.sh \
	bench/nexmark/q3.sh \
	bench/nexmark/q4.sh \
	bench/nexmark/q5.sh \
	bench/nexmark/q6.sh \
	bench/nexmark/q7.sh \
	bench/nexmark/q8.sh \
	bench/nexmark/q9.sh \
	bench/nexmark/q10.sh \
	bench/nexmark/q11.sh \
	bench/nexmark/q12.sh \
	bench/nexmark/q13.sh \
	bench/nexmark/q14.sh \
	bench/nexmark/q15.sh \
	bench/nexmark/q16.sh \
	bench/nexmark/q17.sh \
	bench/nexmark/q18.sh \
	bench/nexmark/q19.sh \
	bench/nexmark/q20.sh \
	bench/nexmark/q21.sh \
	bench/nexmark/q22.sh \
	bench/nexmark/q23.sh \
	bench/nexmark/run \
	bench/run \
	bench/setup-peers \
	bench/timer.c \
	bench/works.py \
	bench/peers/engine.py \
	bench/peers/engine_clickhouse.py \
	bench/peers/engine_datafusion.py \
	bench/peers/engine_duckdb.py \
	bench/peers/engine_polars.py \
	bench/peers/flink/W1.sql \
	bench/peers/flink/W2.sql \
	bench/peers/flink/W3.sql \
	bench/peers/flink/W4.sql \
	bench/peers/flink/W5.sql \
	bench/peers/flink/W6.sql \
	bench/peers/flink/W7.sql \
	bench/peers/flink/W8.sql \
	bench/peers/flink/views.sql \
	bench/peers/minutes.awk \
	bench/peers/minutes.mlr \
	bench/peers/naive.cc \
	bench/peers/plain.c \
	bench/peers/time.awk \
	bench/peers/w1.awk \
	bench/peers/w4.awk \
	bench/peers/w5.awk \
	bench/peers/w6.awk \
	bench/peers/w7.awk \
	bench/peers/w8.awk \
	bench/peers/watermarks.awk

# A script beside generate.c: not to be made from it, as make would by itself.
bench/nexmark/generate: ;
