# SPDX-License-Identifier: Apache-2.0
"""The workloads in ClickHouse's embedded build (chdb)."""
import chdb

import engine

MINUTES = """
    SELECT toStartOfMinute(ts) AS window_start, window_start + INTERVAL 1 MINUTE AS window_end,
           {key}, count() AS n, sum(bytes) AS bytes
    FROM {{input}} GROUP BY window_start, {key}"""

QUERIES = {
    "W1": "SELECT url, count() AS n, sum(bytes) AS bytes FROM {input} GROUP BY url",
    "W2": MINUTES.format(key="url"),
    "W3": MINUTES.format(key="user"),
    # Minutes first, then five of them to a window: multiplying the rows is slower.
    "W4": """
        SELECT minute - toIntervalMinute(back) AS window_start,
               window_start + INTERVAL 5 MINUTE AS window_end, url,
               sum(n) AS n, sum(total) AS bytes
        FROM (SELECT toStartOfMinute(ts) AS minute, url, count() AS n, sum(bytes) AS total
              FROM {input} GROUP BY minute, url)
        ARRAY JOIN range(5) AS back
        GROUP BY window_start, url""",
    "W5": MINUTES.format(key="url"),
    # One sorted array a user, split where the gap is: faster here than window functions.
    "W6": """
        SELECT tupleElement(session[1], 1) AS window_start,
               tupleElement(session[-1], 1) + INTERVAL 30 SECOND AS window_end,
               user, length(session) AS n,
               arraySum(row -> tupleElement(row, 2), session) AS bytes
        FROM (SELECT user, arraySort(groupArray((ts, bytes))) AS list,
                     arrayMap(row -> toUnixTimestamp64Milli(tupleElement(row, 1)), list)
                         AS times,
                     arraySplit((row, gap) -> gap > 30000, list, arrayDifference(times))
                         AS sessions
              FROM {input} GROUP BY user)
        ARRAY JOIN sessions AS session""",
    "W7": "SELECT ts, user, bytes FROM {input} WHERE bytes > 90000",
    # Joined by ten seconds of time as well, for fewer candidates. The table of the join is
    # the right side: the smaller one.
    "W8": """
        SELECT e.ts, e.user, e.url, e.status, e.bytes, o.ts, o.url, o.status, o.bytes
        FROM (SELECT *, intDiv(toUnixTimestamp64Milli(ts), 10000) AS ten
              FROM {input} WHERE status <> 500) AS o
        INNER JOIN (SELECT *, intDiv(toUnixTimestamp64Milli(ts), 10000) + back AS ten
                    FROM {input} ARRAY JOIN [-1, 0, 1] AS back WHERE status = 500) AS e
            ON o.user = e.user AND o.ten = e.ten
        WHERE o.ts BETWEEN e.ts - INTERVAL 10 SECOND AND e.ts + INTERVAL 10 SECOND""",
}


def run(workload, data, result, threads):
    time_type = "String" if workload in ("W1", "W7") else "DateTime64(3, \\'UTC\\')"
    columns = f"ts {time_type}, user String, url String, status UInt16, bytes UInt32"
    layout = "JSONEachRow" if data.endswith(".jsonl") else "CSVWithNames"
    source = f"file('{data}', {layout}, '{columns}')"
    query = QUERIES[workload].format(input=source)
    chdb.query(f"""
        INSERT INTO FUNCTION file('{result}', CSVWithNames) {query}
        SETTINGS max_threads = {threads}, date_time_input_format = 'best_effort',
                 engine_file_truncate_on_insert = 1""")


engine.main(run)
