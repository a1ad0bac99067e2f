#!/usr/bin/env python3
"""How close a named pace comes to a limit that is exactly it, in real time, and whether anything is refused.

    python3 scripts/pace.py target/dist/flowbatch

Ten seconds of rows for each limit, against `flowbatch simulate`, which counts requests as they arrive in whatever second
and answers 5 to 35 ms later. What is told is requests a second over all of the run's time, as a share of the limit.
"""
import json
import os
import subprocess
import sys
import tempfile
import time

import simulated

LIMITS, SECONDS = (10, 100, 200, 1_000), 10


def paced(program, limit):
    """Seconds, attempts and refusals of a run at the limit."""
    rows = limit * SECONDS
    pace = f"{limit}/s"
    serving = simulated.simulator(program, rows, "5ms..35ms", "--rate-limit", pace)
    with serving as address, tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/rows.csv"
        workflows = simulated.ids(program, address, folder, pace)
        simulated.describe(path, workflows, "at its pace")
        # What the list took counts no more.
        time.sleep(1.5)
        flags = ["--rate", pace, "--snapshot", "off", "--output", "json"]
        command = simulated.run(program, path, address, *flags)
        done = subprocess.run(command, env=simulated.environment(folder), capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"the run at {limit}/s failed:\n{done.stderr[-2000:]}")
        summary = json.loads(done.stdout)
        journal = f"{folder}/state/runs/{summary['run_id']}/journal.jsonl"
        with open(journal) as lines:
            left = [json.loads(line)["at"] for line in lines if '"event":"attempt"' in line]
    return rows, seconds(left[-1]) - seconds(left[0]), summary["counts"]["throttled"]


def seconds(instant):
    """Of the hour; a run of some seconds may go over its end."""
    minute, second = instant[14:16], instant[17:].rstrip("Z")
    return int(minute) * 60 + float(second)


def main():
    program = os.path.abspath(sys.argv[1])
    print(f"{'limit':>8} {'rows':>7} {'seconds':>8} {'of the limit':>13} {'refused':>8}")
    for limit in LIMITS:
        rows, took, refused = paced(program, limit)
        took %= 3_600
        # The first leaves at once; the others follow at the pace.
        share = (rows - 1) / took / limit * 100
        print(f"{limit:6}/s {rows:7} {took:8.2f} {share:11.2f} % {refused:8}")


if __name__ == "__main__":
    main()
