#!/usr/bin/env python3
"""Peak memory of a run against `flowbatch simulate`, for 10,000 and 100,000 rows, with the live state and without.

    scripts/memory.py target/dist/flowbatch

Prints both peaks and the time per run; exits with 1 if memory grows by more than 64 bytes a row.
The rows' duplicates check needs 8 bytes a row, the report 8 more.
"""
import os
import subprocess
import sys
import tempfile
import time

import simulated

SMALL, LARGE, MOST_PER_ROW = 10_000, 100_000, 64


def peak_kib(program, address, rows, folder, snapshot):
    path = os.path.join(folder, f"{rows}.csv")
    simulated.describe(path, (f"w{row:031x}" for row in range(rows)), "reviewed")
    flags = [*simulated.FREELY, "--max-errors", "100%", "--snapshot", snapshot]
    command = simulated.run(program, path, address, *flags)
    begun = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, env=simulated.environment(folder))
    out = child.stdout.read().decode()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - begun
    # Every row is for a workflow that is not there: each is refused, none is lost.
    if os.waitstatus_to_exitcode(status) != 1 or f"{rows}" not in out:
        sys.exit(f"the run of {rows} rows did not end as it should:\n{out}")
    print(f"snapshot {snapshot:>8}, {rows:>7} rows: peak {usage.ru_maxrss} KiB, {seconds:.1f} s")
    return usage.ru_maxrss


def main():
    program = sys.argv[1]
    with simulated.simulator(program, 1) as address, tempfile.TemporaryDirectory() as folder:
        for snapshot in ("off", "required"):
            small = peak_kib(program, address, SMALL, folder, snapshot)
            large = peak_kib(program, address, LARGE, folder, snapshot)
            growth = (large - small) * 1024 / (LARGE - SMALL)
            print(f"growth: {growth:.0f} bytes a row")
            if growth > MOST_PER_ROW:
                sys.exit(f"memory grows by more than {MOST_PER_ROW} bytes a row")


if __name__ == "__main__":
    main()
