# SPDX-License-Identifier: Apache-2.0
"""The workloads in Apache DataFusion."""
import os
import sys

# Read when the engine's scheduler starts.
os.environ["TOKIO_WORKER_THREADS"] = sys.argv[4]

import datafusion  # noqa: E402
import pyarrow  # noqa: E402

import engine  # noqa: E402

MINUTES = """
    SELECT date_trunc('minute', ts) AS window_start,
           date_trunc('minute', ts) + INTERVAL '1 minute' AS window_end,
           "{key}", n, bytes
    FROM (SELECT date_trunc('minute', ts) AS ts, "{key}", count(*) AS n, sum(bytes) AS bytes
          FROM input GROUP BY 1, 2)"""

QUERIES = {
    "W1": "SELECT url, count(*) AS n, sum(bytes) AS bytes FROM input GROUP BY url",
    "W2": MINUTES.format(key="url"),
    "W3": MINUTES.format(key="user"),
    # Minutes first, then five of them to a window: multiplying the rows is slower. As
    # numbers, since unnest over intervals, or a cross join, is slower still.
    "W4": """
        WITH minutes AS (
            SELECT date_trunc('minute', ts) AS minute, url, count(*) AS n,
                   sum(bytes) AS bytes
            FROM input GROUP BY 1, 2),
        copies AS (
            SELECT CAST(minute AS BIGINT) / 60000 AS number, url, n, bytes,
                   unnest([0, 1, 2, 3, 4]) AS back
            FROM minutes),
        windows AS (
            SELECT to_timestamp_millis((number - back) * 60000) AS window_start, url,
                   sum(n) AS n, sum(bytes) AS bytes
            FROM copies GROUP BY number - back, url)
        SELECT window_start, window_start + INTERVAL '5 minutes' AS window_end, url, n, bytes
        FROM windows""",
    "W5": MINUTES.format(key="url"),
    # The frame is RANGE, so rows of one user and moment get the same session.
    "W6": """
        WITH gaps AS (
            SELECT "user", ts, bytes, CASE WHEN
                   ts - lag(ts) OVER (PARTITION BY "user" ORDER BY ts)
                       <= INTERVAL '30 seconds' THEN 0 ELSE 1 END AS begins
            FROM input),
        numbered AS (
            SELECT *, sum(begins) OVER (PARTITION BY "user" ORDER BY ts) AS session
            FROM gaps)
        SELECT min(ts) AS window_start, max(ts) + INTERVAL '30 seconds' AS window_end,
               "user", count(*) AS n, sum(bytes) AS bytes
        FROM numbered GROUP BY "user", session""",
    "W7": 'SELECT ts, "user", bytes FROM input WHERE bytes > 90000',
    # Joined by ten seconds of time as well, for fewer candidates.
    "W8": """
        WITH rows AS (
            SELECT *, CAST(ts AS BIGINT) / 10000 AS ten FROM input),
        errors AS (
            SELECT ts, "user", url, status, bytes, ten + back AS near
            FROM (SELECT *, unnest([-1, 0, 1]) AS back FROM rows WHERE status = 500))
        SELECT l.ts, l."user", l.url, l.status, l.bytes,
               r.ts AS ts_r, r.url AS url_r, r.status AS status_r, r.bytes AS bytes_r
        FROM errors AS l JOIN rows AS r ON l."user" = r."user" AND l.near = r.ten
         AND r.ts BETWEEN l.ts - INTERVAL '10 seconds' AND l.ts + INTERVAL '10 seconds'
        WHERE r.status <> 500""",
}


def run(workload, data, result, threads):
    time_type = pyarrow.string() if workload in ("W1", "W7") else pyarrow.timestamp("ms")
    schema = pyarrow.schema([
        ("ts", time_type), ("user", pyarrow.string()), ("url", pyarrow.string()),
        ("status", pyarrow.int32()), ("bytes", pyarrow.int32())])
    config = datafusion.SessionConfig().with_target_partitions(threads)
    context = datafusion.SessionContext(config)
    if data.endswith(".jsonl"):
        context.register_json("input", data, schema=schema, file_extension=".jsonl")
    else:
        context.register_csv("input", data, schema=schema)
    context.sql(QUERIES[workload]).write_csv(result, with_header=True)


engine.main(run)
