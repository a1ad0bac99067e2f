#!/usr/bin/env python3
"""Peak memory of a run that changes every workflow of 100 workspaces, with the live state and without.

    scripts/memory.py target/dist/flowbatch

The service is `flowbatch simulate`; it lives in a process of its own. 10,000 and 100,000 rows, or as many as FLOWBATCH_ROWS
says (1000000: the service takes 3 GB then, all of it three minutes). Exits with 1 if a peak is more than 16 MiB and 24 bytes
a row, and with the live state 24 bytes more for each workflow that lives there; a small run may take what any run takes:
the program, and with the live state 64 pages of workflows that arrive at once.
"""
import csv
import os
import subprocess
import sys
import tempfile
import time

import simulated

WORKSPACES = 100
SIZES = [int(os.environ["FLOWBATCH_ROWS"])] if "FLOWBATCH_ROWS" in os.environ else [10_000, 100_000]
BASE, A_ROW, A_WORKFLOW = 16 << 20, 24, 24
# What any run may take, by its snapshot.
ANY = {"off": 24 << 20, "required": 37 << 20}


def rows_of(program, address, folder, text):
    """The rows that describe every workflow of the service anew."""
    path, export = f"{folder}/rows.csv", f"{folder}/all.csv"
    command = [
        program, "export", *simulated.target(address, "all"), "--all-workspaces", "--out", export,
        "-q", "--rate", "100000/s",
    ]
    subprocess.run(command, check=True, env=simulated.environment(folder))
    with open(export) as table, open(path, "w") as rows:
        rows.write("workflow_id,workspace_id,description\n")
        for row in csv.DictReader(table):
            rows.write(f"{row['workflow_id']},{row['workspace_id']},{text}\n")
    os.remove(export)
    return path


def peak(program, address, rows, folder, snapshot):
    """Peak resident memory of the run, in bytes."""
    path = rows_of(program, address, folder, f"reviewed with snapshot {snapshot}")
    command = simulated.run(program, path, address, *simulated.FREELY, "--snapshot", snapshot, workspaces="all")
    begun = time.monotonic()
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=simulated.environment(folder),
    )
    out = child.stdout.read().decode()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - begun
    if os.waitstatus_to_exitcode(status) != 0 or str(rows) not in out:
        sys.exit(f"the run of {rows} rows did not end as it should:\n{out}")
    print(f"snapshot {snapshot:>8}, {rows:>7} changes: peak {usage.ru_maxrss} KiB, {seconds:.1f} s", flush=True)
    return usage.ru_maxrss << 10


def main():
    program = os.path.abspath(sys.argv[1])
    too_much = []
    for rows in SIZES:
        flags = ["--workspaces", str(WORKSPACES)]
        with simulated.simulator(program, rows // WORKSPACES, "0ms", *flags) as address:
            for snapshot, living in (("off", 0), ("required", rows)):
                with tempfile.TemporaryDirectory() as folder:
                    most = max(ANY[snapshot], BASE + A_ROW * rows + A_WORKFLOW * living)
                    taken = peak(program, address, rows, folder, snapshot)
                    print(f"  at most {most >> 10} KiB")
                    if taken > most:
                        too_much.append(f"{rows} rows, snapshot {snapshot}: {taken} bytes, at most {most}")
    if too_much:
        sys.exit("memory:\n" + "\n".join(too_much))


if __name__ == "__main__":
    main()
