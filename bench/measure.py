# SPDX-License-Identifier: Apache-2.0
"""How one pipeline is measured, and where data and helpers are: for run and checkpoints."""
import json
import os
import subprocess
import tempfile
import time

import works

HERE = works.HERE
LONG_RUN_S = 10                 # what takes longer is measured once
QUIET = 0.15                    # processors that others may use during a run, and
QUIET_TRIES = 4                 # how often a run is tried for that
C = ("CC", "cc", ["-std=gnu17", "-O2"], ["-lm"])
CXX = ("CXX", "c++", ["-std=c++17", "-O2"], ["-lrocksdb"])
HELPERS = {"gen": ("gen.c", C), "timer": ("timer.c", C), "canon": ("canon.c", C),
           "latency": ("latency.c", C), "plain": ("peers/plain.c", C),
           "naive": ("peers/naive.cc", CXX)}


class Failure(Exception):
    """Something that makes a measurement impossible; the message is for people."""


def busy_seconds():
    """Processor seconds that the machine has spent on anything, ever."""
    with open("/proc/stat") as file:
        user, nice, system, _idle, _wait, irq, softirq, steal = map(
            int, file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def is_newer(path, source):
    """Whether `path` exists and was made after the last change of `source`."""
    return os.path.exists(path) and os.path.getmtime(path) >= os.path.getmtime(source)


def find_flue(given):
    """The directory that holds flue's tools, or None."""
    root = os.path.dirname(HERE)
    places = [given] if given else [
        os.path.join(root, "out", "bin"), os.path.join(root, "_build"),
        os.path.join(root, "_build", "tools"), root, os.path.join(root, "tools"),
        *os.environ["PATH"].split(os.pathsep)]
    for place in places:
        if os.access(os.path.join(place, "freduce"), os.X_OK):
            return os.path.abspath(place)
    return None


def hold_to_processors():
    """Everybody has the same processors; how many these are."""
    cpus = sorted(os.sched_getaffinity(0))[:works.THREADS]
    os.sched_setaffinity(0, cpus)
    return len(cpus)


def add_common_options(parser, runs):
    """What every command here takes; `runs` says what --runs counts."""
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=3, help=runs)
    parser.add_argument("--tries", type=int, default=QUIET_TRIES,
                        help="how often to repeat a run that others disturbed")
    parser.add_argument("--dir", help="data, helpers and results",
                        default=os.path.join(tempfile.gettempdir(), "flue-bench"))
    parser.add_argument("--bin", help="directory of flue's tools")
    parser.add_argument("--json", help="write all measurements to this file")


class Bench:
    """Where things are, and how one pipeline is measured."""

    def __init__(self, options):
        self.options = options
        self.directory = options.dir
        self.results = os.path.join(self.directory, "results")
        os.makedirs(self.results, exist_ok=True)
        self.flue = find_flue(options.bin)
        self.failed = False
        self.records = []
        self.environment = dict(
            os.environ, TZ="UTC", LC_ALL="C", PYTHONDONTWRITEBYTECODE="1",
            GOMAXPROCS=str(works.THREADS), RAYON_NUM_THREADS=str(works.THREADS))
        if self.flue:
            self.environment["PATH"] = self.flue + os.pathsep + os.environ["PATH"]

    def helper(self, name):
        """Path of one of our helpers, compiled when its source is newer."""
        file, (variable, compiler, options, libraries) = HELPERS[name]
        source = os.path.join(HERE, file)
        program = os.path.join(self.directory, "bin", name)
        if is_newer(program, source):
            return program
        os.makedirs(os.path.dirname(program), exist_ok=True)
        # Renamed into place, as another run may be using the old one.
        command = [*os.environ.get(variable, compiler).split(), *options, source,
                   "-o", program + ".new", *libraries]
        if subprocess.run(command, check=False).returncode != 0:
            raise Failure(f"{file} does not compile")
        os.replace(program + ".new", program)
        return program

    def generate(self, name, *words):
        """Path of data that gen makes of these words, generated if it is not there."""
        path = os.path.join(self.directory, name)
        command = [self.helper("gen"), *map(str, words)]
        if not is_newer(path, os.path.join(HERE, "gen.c")):
            print(f"generating {path}", flush=True)
            with open(path + ".part", "wb") as file:
                subprocess.run(command, stdout=file, check=True)
            os.rename(path + ".part", path)
        return path

    def time_quietly(self, stages, output, runs=1, is_engine=False, before=None):
        """Like time(), the quietest of several tries on a machine that others use too.

        What decides is what the others used meanwhile, never how long the run took.
        `before` prepares each try.
        """
        tries = []
        for number in range(self.options.tries):
            time.sleep(number)      # what disturbed may be over
            if before:
                before()
            tries.append(self.time(stages, output, runs, is_engine))
            if tries[-1]["others"] <= QUIET or tries[-1]["wall"] > LONG_RUN_S:
                break
        return min(tries, key=lambda took: took["others"])

    def time(self, stages, output, runs=1, is_engine=False):
        """Runs a pipeline under the timer; a dictionary of what it took."""
        words = []
        for stage in stages:
            words += ["|", *stage] if words else stage
        errors = os.path.join(self.results, "errors")
        console = os.path.join(self.results, "console") if is_engine else output
        if os.path.isfile(output):
            os.remove(output)       # freeing an old result is not part of the work
        command = [self.helper("timer"), "-n", str(runs), "-o", console, "-e", errors, *words]
        busy = busy_seconds()
        reply = subprocess.run(command, env=self.environment, stdout=subprocess.PIPE,
                               check=True).stdout
        busy = busy_seconds() - busy
        took = json.loads(reply)
        codes = [stage["status"] for stage in took["stages"]]
        if any(codes):
            with open(errors, errors="replace") as file:
                told = file.read().strip().splitlines()
            raise Failure(f"exit {codes}: {told[0] if told else 'no message'}")
        sizes = [stage["rss_kib"] / 1024 for stage in took["stages"]]
        measured = {"wall": took["wall"], "cpu": (took["user"] + took["system"]) / runs,
                    "sizes": sizes, "peak": max(sizes), "sum": sum(sizes),
                    "others": max(0.0, busy - took["user"] - took["system"] - took["timer"])
                    / took["wall"] / runs}
        if is_engine:
            with open(console) as file:
                lines = [line.split() for line in file]
            measured["own"] = [float(line[1]) for line in lines
                               if line[:1] == ["engine-seconds"]][-1]
        return measured

    def digest(self, result):
        """Number of rows and digest of a result in its common spelling."""
        canon = subprocess.run([self.helper("canon"), "--digest", result],
                               stdout=subprocess.PIPE, check=False, text=True)
        if canon.returncode != 0:
            raise Failure(f"{result} is not a result")
        rows, digest = canon.stdout.split()
        return int(rows), digest

    def show_difference(self, one, other):
        """The first rows that only one of two results has; each is (name, path)."""
        canon = self.helper("canon")
        with tempfile.TemporaryDirectory(dir=self.results) as scratch:
            files = []
            for number, (_, path) in enumerate((one, other)):
                files.append(os.path.join(scratch, str(number)))
                rows = subprocess.Popen([canon, "--rows", path], stdout=subprocess.PIPE)
                subprocess.run(["sort", "-o", files[-1]], stdin=rows.stdout, check=True,
                               env=self.environment)
                rows.wait()
            for option, (name, _) in (("-23", one), ("-13", other)):
                rows = subprocess.Popen(["comm", option, *files], stdout=subprocess.PIPE,
                                        env=self.environment, text=True)
                print(f"    only in {name}:")
                for _, row in zip(range(3), rows.stdout):
                    print(f"      {row.rstrip()}")
                rows.stdout.close()
                rows.wait()

    def verdict(self, good, text):
        print(f"  {'pass' if good else 'FAIL'}: {text}")
        self.failed = self.failed or not good

    def write_records(self):
        if self.options.json:
            with open(self.options.json, "w") as file:
                json.dump(self.records, file, indent=1)
