# SPDX-License-Identifier: Apache-2.0
"""What is measured: the workloads, flue's pipelines for them, and the peers'.

A command is a list of stages, a stage a list of words; no shell comes between.
"""
import os
import shutil
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
PEERS = os.path.join(HERE, "peers")
THREADS = 2

# The floor: how many times as fast as the fastest engine flue must be.
TITLES_AND_FLOORS = {
    "W1": ("count and sum by url", 1.0),
    "W2": ("count and sum by url and 1-minute window", 1.5),
    "W3": ("count and sum by user and 1-minute window", 1.5),
    "W4": ("the same by url, 5-minute windows sliding by 1 minute", 1.5),
    "W5": ("W2 from JSONL", 1.5),
    "W6": ("sessions by user, gap 30 s", 2.0),
    "W7": ("bytes > 90000, three columns", 1.0),
    "W8": ("errors joined with the user's other clicks within 10 s", 1.0),
}

# The largest process of flue's pipeline may have this many MiB at its peak.
MEMORY_LIMITS = {"W1": 16, "W3": 64}

# W4 computes over W2's slices, so it may cost little more than W2.
W4_OVER_W2 = 1.3

# Miller keeps some 8 KB a group: 14 GB for W2 over 10 million rows. Only smaller files.
MILLER_LIMIT = 100_000_000


# W8 as one would type it, its first two stages aside. The shell becomes fjoin.
FLUE_W8 = """exec fjoin --between=-10s,10s --ocsv <(
    fkeyby --icsv --time ts --watermark 2s user "$0" | ffilter 'status <> 500')"""


def flue_pipeline(workload, data):
    """The pipeline as somebody would type it. `data` is a FILE, or - for a pipe (not W8)."""
    text = "--ijsonl" if workload == "W5" else "--icsv"
    reduce = ["freduce", "n=count", "bytes=sum(bytes)", "--ocsv"]
    if workload == "W1":
        return [["fkeyby", text, "url", data], reduce]
    if workload == "W7":
        return [["ffilter", "bytes > 90000", data, "--columns", "ts,user,bytes"]]
    if workload == "W8":
        return [["fkeyby", text, "--time", "ts", "--watermark", "2s", "user", data],
                ["ffilter", "status = 500"], ["bash", "-c", FLUE_W8, data]]
    key = "user" if workload in ("W3", "W6") else "url"
    window = {"W4": ["slide", "5m", "1m"], "W6": ["session", "30s"]}.get(
        workload, ["tumble", "1m"])
    return [["fkeyby", text, "--time", "ts", "--watermark", "2s", key, data],
            ["fwindow", *window], reduce]


def region(pipeline, files, directory, result, begin=(), commit=()):
    """A pipeline that reads `files`, between fcheckpoint begin and commit."""
    first, *rest = ([word for word in stage if word not in files and word != "--ocsv"]
                    for stage in pipeline)
    return [["fcheckpoint", "begin", "-d", directory, *begin, *files], first, *rest,
            ["fcheckpoint", "commit", "--ocsv", "-o", result, *commit]]


class Peer:
    """One competitor. `kind` is floor, engine (the floors are about these) or tool."""

    def __init__(self, name, kind, command, missing=None):
        self.name = name
        self.kind = kind
        self.command = command      # (workload, data, result) -> stages, or None
        self.missing = missing      # why it cannot run, or None
        self.writes_result = kind == "engine"


def _program(name, directory):
    """Path of a program on PATH or where setup-peers puts it, or None."""
    local = os.path.join(directory, "cargo", "bin", name)
    return shutil.which(name) or (local if os.access(local, os.X_OK) else None)


def _awk(program):
    def script(name):
        return ["-f", os.path.join(PEERS, name)]

    def command(workload, data, _result):
        if workload in ("W2", "W3"):
            column = {"W2": 3, "W3": 2}[workload]
            return [[program, "-v", f"key={column}", *script("time.awk"),
                     *script("minutes.awk"), data]]
        if workload in ("W4", "W5"):
            return [[program, *script("time.awk"), *script(f"{workload.lower()}.awk"), data]]
        run = [program, *script(f"{workload.lower()}.awk")]
        if workload in ("W6", "W8"):
            return [["sort", f"--parallel={THREADS}", "-S", "2G", "-t,", "-k2,2", "-k1,1",
                     data], run]
        return [[*run, data]]
    return command


def _awk_watermarks(program):
    def command(workload, data, _result):
        if workload not in ("W2", "W3"):
            return None
        column = {"W2": 3, "W3": 2}[workload]
        return [[program, "-v", f"key={column}", "-f", os.path.join(PEERS, "time.awk"),
                 "-f", os.path.join(PEERS, "watermarks.awk"), data]]
    return command


def _miller(program):
    def command(workload, data, _result):
        stats = ["stats1", "-a", "count,sum", "-f", "bytes", "-g"]
        if workload == "W1":
            return [[program, "--icsv", "--ocsv", *stats, "url", data]]
        if workload == "W7":
            return [[program, "--icsv", "--ocsv", "filter", "$bytes > 90000", "then",
                     "cut", "-o", "-f", "ts,user,bytes", data]]
        if workload not in ("W2", "W5") or os.path.getsize(data) > MILLER_LIMIT:
            return None
        return [[program, "--icsv" if workload == "W2" else "--ijsonl", "--ocsv",
                 "put", "-f", os.path.join(PEERS, "minutes.mlr"), "then",
                 *stats, "window_start,url", "then",
                 "put", "$window_end = sec2gmt(gmt2sec($window_start) + 60)", "then",
                 "cut", "-o", "-f", "window_start,window_end,url,bytes_count,bytes_sum",
                 data]]
    return command


def _xan(program):
    totals = "count() as n, sum(bytes) as bytes"

    def command(workload, data, _result):
        if workload == "W1":
            return [[program, "groupby", "-t", str(THREADS), "url", totals, data]]
        if workload == "W7":
            # Without threads: with them its filter takes eight times as long.
            return [[program, "filter", "bytes > 90000", data],
                    [program, "select", "ts,user,bytes"]]
        if workload != "W2":
            return None
        return [[program, "map", "ts[:16] as minute", data],
                [program, "groupby", "minute,url", totals],
                [program, "map", 'minute ++ ":00Z" as window_start, strftime(datetime(minute)'
                 ' + span("1m"), "%Y-%m-%dT%H:%M:%SZ") as window_end'],
                [program, "select", "window_start,window_end,url,n,bytes"]]
    return command


def _engine(python, name):
    def command(workload, data, result):
        return [[python, os.path.join(PEERS, f"engine_{name}.py"), workload, data, result,
                 str(THREADS)]]
    return command


# Flink gives its final table without a header.
FLINK = """
"$@" "$RESULT.flink" 2 >&2 || exit
echo header
cat "$RESULT.flink"
rm -f "$RESULT.flink"
"""


def _flink(compiled):
    """A process of its own for each work; the time of its start is part of it."""
    def command(workload, data, result):
        queries = os.path.join(PEERS, "flink")
        if not os.path.exists(os.path.join(queries, f"{workload}.sql")):
            return None
        opens = [f"--add-opens=java.base/java.{package}=ALL-UNNAMED"
                 for package in ("lang", "util", "util.concurrent", "time", "nio")]
        java = ["java", "-Xmx2g", *opens, "-cp", f"{compiled}/classes:{compiled}/dependency/*",
                "flue.nexmark.Main", queries, workload, data]
        return [["env", f"RESULT={result}", "bash", "-c", FLINK, "flink", *java]]
    return command


def _find_flink():
    """Flink, which bench/flink/run has compiled."""
    compiled = os.path.join(tempfile.gettempdir(), f"flue-bench-{os.getuid()}", "flink", "target")
    packages = os.path.join(compiled, "dependency")
    found = os.path.isdir(packages) and any(
        name.startswith("flink-csv") for name in os.listdir(packages))
    missing = None if found else "bench/flink/run has not compiled it"
    return Peer("flink", "tool", _flink(compiled), missing)


def find_peers(directory):
    """All peers, those that are not installed with the reason in `missing`."""
    helper = os.path.join(directory, "bin", "plain")
    peers = [
        Peer("cat|cat", "floor", lambda w, data, result: [["cat", data], ["cat"]]),
        Peer("plain", "floor",
             lambda w, data, result: None if w == "W8" else [[helper, w, data]]),
    ]
    python = os.path.join(directory, "venv", "bin", "python")
    for name, module in (("duckdb", "duckdb"), ("clickhouse", "chdb"),
                         ("datafusion", "datafusion"), ("polars", "polars")):
        packages = os.path.join(directory, "venv", "lib")
        found = any(os.path.isdir(os.path.join(packages, version, "site-packages", module))
                    for version in (os.listdir(packages) if os.path.isdir(packages) else ()))
        peers.append(Peer(name, "engine", _engine(python, name),
                          None if found else f"no package {module} in {directory}/venv"))
    for name, program, make in (("mawk", "mawk", _awk), ("mawk-wm", "mawk", _awk_watermarks),
                                ("gawk", "gawk", _awk), ("miller", "mlr", _miller),
                                ("xan", "xan", _xan)):
        path = _program(program, directory)
        peers.append(Peer(name, "tool", make(path),
                          None if path else f"no program {program}"))
    peers.append(_find_flink())
    return peers
