# SPDX-License-Identifier: Apache-2.0
"""What the peers that are Python packages have in common.

An engine's script is called as `SCRIPT WORKLOAD DATA RESULT THREADS` and prints
`engine-seconds S`. The seconds count from after the imports until the result file
is complete: what the interpreter and its modules need to start is not held against
an engine.
"""
import sys
import time


def main(run):
    """Calls run(workload, data, result, threads) and reports its time."""
    workload, data, result, threads = sys.argv[1:5]
    begin = time.perf_counter()
    run(workload, data, result, int(threads))
    print(f"engine-seconds {time.perf_counter() - begin:.6f}")
