#!/usr/bin/env python3
"""Instructions that a row of a whole run costs, counted by callgrind (valgrind), which counts nearly the same anywhere.

    python3 scripts/instructions.py target/release/flowbatch

Two runs, one with twice as many rows: the difference is the rows' own. Journal, report and closing are in it. Counted are a
run by default, which reads the live state, and one with `--snapshot off`; each twice, and the lesser count holds. Valgrind
knows no instructions for SHA-256, so hashes cost some eight times what they do otherwise. Exits with 1 if a row costs more
than it may: 4 % above what was reached last.
"""
import os
import re
import subprocess
import sys
import tempfile

import simulated

ROWS, COUNTS = 2_000, 2
MOST = {"required": 400_500, "off": 231_300}


def counted(program, address, workflows, text, folder, snapshot):
    """Instructions of the run that describes these workflows anew."""
    path = f"{folder}/rows.csv"
    simulated.describe(path, workflows, text)
    command = [
        "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
        *simulated.run(program, path, address, *simulated.FREELY, "--snapshot", snapshot),
    ]
    done = subprocess.run(
        simulated.on_core(1, command), env=simulated.environment(folder), capture_output=True, text=True,
    )
    found = re.search(r"I +refs: +([\d,]+)", done.stderr)
    if done.returncode != 0 or not found:
        sys.exit(f"{command[0]} failed:\n{done.stderr[-2000:]}")
    return int(found[1].replace(",", ""))


def a_row(program, snapshot, count):
    """What a row costs, by a service with as many workflows as rows."""
    runs = []
    for rows in (ROWS, 2 * ROWS):
        with simulated.simulator(program, rows) as address, tempfile.TemporaryDirectory() as folder:
            workflows = simulated.ids(program, address, folder)
            runs.append(counted(program, address, workflows, f"reviewed {count}", folder, snapshot))
    return (runs[1] - runs[0]) / ROWS


def main():
    program = os.path.abspath(sys.argv[1])
    too_many = False
    for snapshot, most in MOST.items():
        row = min(a_row(program, snapshot, count) for count in range(COUNTS))
        print(f"--snapshot {snapshot}: {row:,.0f} instructions a row; at most {most:,}")
        too_many |= row > most
    if too_many:
        sys.exit("a row costs more instructions than it may: look where with callgrind_annotate")


if __name__ == "__main__":
    main()
