# SPDX-License-Identifier: Apache-2.0
"""The workloads in DuckDB."""
import duckdb

import engine

MINUTES = """
    SELECT date_trunc('minute', ts) AS window_start,
           date_trunc('minute', ts) + INTERVAL 1 MINUTE AS window_end,
           {key}, count(*) AS n, sum(bytes) AS bytes
    FROM input GROUP BY ALL"""

QUERIES = {
    "W1": "SELECT url, count(*) AS n, sum(bytes) AS bytes FROM input GROUP BY url",
    "W2": MINUTES.format(key="url"),
    "W3": MINUTES.format(key='"user"'),
    # Minutes first, then five of them to a window: multiplying the rows is slower.
    "W4": """
        WITH minutes AS (
            SELECT date_trunc('minute', ts) AS minute, url, count(*) AS n,
                   sum(bytes)::BIGINT AS bytes
            FROM input GROUP BY ALL)
        SELECT minute - to_minutes(back) AS window_start,
               minute - to_minutes(back) + INTERVAL 5 MINUTE AS window_end,
               url, sum(n)::BIGINT AS n, sum(bytes)::BIGINT AS bytes
        FROM minutes, range(5) AS t(back) GROUP BY ALL""",
    "W5": MINUTES.format(key="url"),
    # The frame is RANGE, so rows of one user and moment get the same session.
    "W6": """
        WITH gaps AS (
            SELECT "user", ts, bytes,
                   ts - lag(ts) OVER (PARTITION BY "user" ORDER BY ts)
                       <= INTERVAL 30 SECOND AS goes_on
            FROM input),
        numbered AS (
            SELECT *, sum(CASE WHEN goes_on THEN 0 ELSE 1 END)
                          OVER (PARTITION BY "user" ORDER BY ts) AS session
            FROM gaps)
        SELECT min(ts) AS window_start, max(ts) + INTERVAL 30 SECOND AS window_end,
               "user", count(*) AS n, sum(bytes) AS bytes
        FROM numbered GROUP BY "user", session""",
    "W7": 'SELECT ts, "user", bytes FROM input WHERE bytes > 90000',
    # Joined by ten seconds of time as well: a join by user alone gives a hundred times as
    # many candidates. Materialized, or the file would be parsed twice.
    "W8": """
        WITH rows AS MATERIALIZED (
            SELECT *, epoch_ms(ts) // 10000 AS ten FROM input),
        errors AS (
            SELECT *, ten + unnest([-1, 0, 1]) AS near FROM rows WHERE status = 500)
        SELECT l.ts, l."user", l.url, l.status, l.bytes, r.ts, r.url, r.status, r.bytes
        FROM rows AS r JOIN errors AS l ON l."user" = r."user" AND l.near = r.ten
         AND r.ts BETWEEN l.ts - INTERVAL 10 SECOND AND l.ts + INTERVAL 10 SECOND
        WHERE r.status <> 500""",
}


def run(workload, data, result, threads):
    time_type = "VARCHAR" if workload in ("W1", "W7") else "TIMESTAMP"
    columns = (f"{{'ts': '{time_type}', 'user': 'VARCHAR', 'url': 'VARCHAR',"
               " 'status': 'INTEGER', 'bytes': 'INTEGER'}")
    if data.endswith(".jsonl"):
        source = f"read_json('{data}', format = 'newline_delimited', columns = {columns})"
    else:
        source = (f"read_csv('{data}', header = true, delim = ',', auto_detect = false,"
                  f" columns = {columns})")
    connection = duckdb.connect()
    connection.execute(f"SET threads = {threads}; SET preserve_insertion_order = false")
    connection.execute(f"CREATE VIEW input AS SELECT * FROM {source}")
    connection.execute(f"COPY ({QUERIES[workload]}) TO '{result}' (FORMAT csv, HEADER)")


engine.main(run)
