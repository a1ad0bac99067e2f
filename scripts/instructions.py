#!/usr/bin/env python3
"""Instructions that a row of a whole run costs, counted by callgrind (valgrind), which counts the same anywhere.

    python3 scripts/instructions.py target/release/flowbatch

Two runs, one with twice as many rows: the difference is the rows' own. Journal, report and closing are in it, the live
state is not read. Valgrind knows no instructions for SHA-256, so hashes cost some eight times what they do otherwise.
Exits with 1 if a row costs more than it may.
"""
import os
import re
import subprocess
import sys
import tempfile

import simulated

ROWS, MOST = 2_000, 220_000


def counted(program, address, workflows, folder):
    """Instructions of the run that describes these workflows anew."""
    path = f"{folder}/rows.csv"
    simulated.describe(path, workflows, f"reviewed with {len(workflows)}")
    command = [
        "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
        *simulated.run(program, path, address, *simulated.FREELY, "--snapshot", "off"),
    ]
    done = subprocess.run(
        simulated.on_core(1, command), env=simulated.environment(folder), capture_output=True, text=True,
    )
    found = re.search(r"I +refs: +([\d,]+)", done.stderr)
    if done.returncode != 0 or not found:
        sys.exit(f"{command[0]} failed:\n{done.stderr[-2000:]}")
    return int(found[1].replace(",", ""))


def main():
    program = os.path.abspath(sys.argv[1])
    with simulated.simulator(program, 2 * ROWS) as address, tempfile.TemporaryDirectory() as folder:
        workflows = simulated.ids(program, address, folder)
        once = counted(program, address, workflows[:ROWS], folder)
        twice = counted(program, address, workflows, folder)
    row = (twice - once) / ROWS
    print(f"{row:,.0f} instructions a row; at most {MOST:,}")
    if row > MOST:
        sys.exit("a row costs more instructions than it may: look where with callgrind_annotate")


if __name__ == "__main__":
    main()
