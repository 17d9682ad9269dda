# SPDX-License-Identifier: Apache-2.0
"""The workloads in Polars, lazily and with the streaming engine."""
import os
import sys

# Read when the module is imported.
os.environ["POLARS_MAX_THREADS"] = sys.argv[4]

import polars as pl  # noqa: E402

import engine  # noqa: E402

SCHEMA = {"ts": pl.String, "user": pl.String, "url": pl.String, "status": pl.Int32,
          "bytes": pl.Int64}
TOTALS = [pl.len().alias("n"), pl.col("bytes").sum()]


def with_time(rows):
    return rows.with_columns(
        pl.col("ts").str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ", time_unit="ms"))


def minutes(rows, key):
    return (with_time(rows)
            .group_by(pl.col("ts").dt.truncate("1m").alias("window_start"), key)
            .agg(TOTALS))


def windows(rows, key, size):
    end = pl.col("window_start").dt.offset_by(size).alias("window_end")
    return rows.select("window_start", end, key, "n", "bytes")


def sliding(rows):
    """Minutes first, then five of them to a window."""
    back = pl.LazyFrame({"back": range(5)})
    start = pl.col("window_start") - pl.duration(minutes=pl.col("back"))
    return (minutes(rows, "url").join(back, how="cross")
            .group_by(start.alias("window_start"), "url")
            .agg(pl.col("n").sum(), pl.col("bytes").sum()))


def sessions(rows):
    begins = ((pl.col("user") != pl.col("user").shift(1))
              | (pl.col("ts") - pl.col("ts").shift(1) > pl.duration(seconds=30)))
    return (with_time(rows).select("user", "ts", "bytes").sort("user", "ts")
            .with_columns(begins.fill_null(True).cum_sum().alias("session"))
            .group_by("session")
            .agg(pl.col("ts").min().alias("window_start"),
                 pl.col("ts").max().dt.offset_by("30s").alias("window_end"),
                 pl.col("user").first(), *TOTALS)
            .select("window_start", "window_end", "user", "n", "bytes"))


def errors(rows):
    """Joined by ten seconds of time as well, for fewer candidates."""
    ten = pl.col("ts").dt.epoch("ms") // 10000
    back = pl.LazyFrame({"back": [-1, 0, 1]})
    near = (pl.col("ts_r") - pl.col("ts")).is_between(-pl.duration(seconds=10),
                                                      pl.duration(seconds=10))
    rows = with_time(rows)
    wrong = (rows.filter(pl.col("status") == 500).join(back, how="cross")
             .with_columns((ten + pl.col("back")).alias("ten")))
    return (wrong.join(rows.filter(pl.col("status") != 500).with_columns(ten.alias("ten")),
                       on=["user", "ten"], suffix="_r")
            .filter(near).drop("back", "ten"))


PLANS = {
    "W1": lambda rows: rows.group_by("url").agg(TOTALS),
    "W2": lambda rows: windows(minutes(rows, "url"), "url", "1m"),
    "W3": lambda rows: windows(minutes(rows, "user"), "user", "1m"),
    "W4": lambda rows: windows(sliding(rows), "url", "5m"),
    "W5": lambda rows: windows(minutes(rows, "url"), "url", "1m"),
    "W6": sessions,
    "W7": lambda rows: rows.filter(pl.col("bytes") > 90000).select("ts", "user", "bytes"),
    "W8": errors,
}


def run(workload, data, result, _threads):
    scan = pl.scan_ndjson if data.endswith(".jsonl") else pl.scan_csv
    rows = scan(data, schema=SCHEMA)
    PLANS[workload](rows).sink_csv(result, maintain_order=False, engine="streaming")


engine.main(run)
