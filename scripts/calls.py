#!/usr/bin/env python3
"""How often a run parses a row and assesses it, counted by callgrind (valgrind).

    cargo build && python3 scripts/calls.py target/debug/flowbatch

Of so many rows: calls of the CSV reader and of `plan::decision::decide`, for a plain run, one whose rows have a guard, and
one with stages. What a row costs besides stands in scripts/instructions.py. A build with debug information is wanted:
there each call is one. Exits with 1 if a count is another one than ARCHITECTURE.md says.
"""
import csv
import os
import re
import subprocess
import sys
import tempfile

import simulated

ROWS = 30
READ = re.compile(r"^<?csv::reader::Reader<.*>::read_record$")
ASSESS = re.compile(r"^flowbatch::plan::decision::decide$")


def calls(program, path, address, folder):
    """Calls of each function during the run of this job."""
    out = f"{folder}/callgrind.out"
    command = [
        "valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
        *simulated.run(program, path, address, *simulated.FREELY),
    ]
    done = subprocess.run(command, env=simulated.environment(folder), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"the run of {path} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    names, counts, called = {}, {}, None
    with open(out) as lines:
        for line in lines:
            if found := re.match(r"c?fn=\((\d+)\)(?: (.*))?", line):
                if found[2]:
                    names[found[1]] = found[2].strip()
                called = found[1]
            elif found := re.match(r"calls=(\d+)", line):
                counts[called] = counts.get(called, 0) + int(found[1])
    by_name = {}
    for number, count in counts.items():
        name = re.sub(r"'\d+$", "", names.get(number, ""))
        by_name[name] = by_name.get(name, 0) + count
    return by_name


def counted(found, pattern):
    return sum(count for name, count in found.items() if pattern.match(name))


def main():
    program = os.path.abspath(sys.argv[1])
    wrong = False
    # A header, and the end of the file twice: what stands after the last row shows that no quote is open.
    header = 3
    # Rows that show what an update leaves alone: each is read again, and assessed by that, before it is sent.
    canaries = 2
    for kind, guard, staged, reads, assessments in (
        ("a plain run", False, False, ROWS + header, ROWS + canaries),
        # Each is read again just before its update.
        ("with a guard", True, False, ROWS + header, ROWS + ROWS),
        # Those of the second stage are read again, because the first one has changed them.
        ("with two stages", False, True, 2 * (ROWS + header), 2 * ROWS + canaries + ROWS),
    ):
        with simulated.simulator(program, ROWS) as address, tempfile.TemporaryDirectory() as folder:
            workflows = simulated.ids(program, address, folder, "1000/s")
            path = f"{folder}/rows.csv"
            simulated.describe(path, workflows, "reviewed")
            if guard:
                with open(f"{folder}/all.csv") as export, open(path, "w") as table:
                    table.write("workflow_id,description,expect_name\n")
                    table.writelines(f"{row['workflow_id']},reviewed,{row['name']}\n" for row in csv.DictReader(export))
            if staged:
                simulated.describe(f"{folder}/more.csv", workflows, "reviewed again")
                path = f"{folder}/job.toml"
                with open(path, "w") as job:
                    for name, rows in (("one", "rows.csv"), ("two", "more.csv")):
                        job.write(f'[[stage]]\nname = "{name}"\n[stage.rows]\nfile = "{rows}"\n')
            found = calls(program, path, address, folder)
            told = counted(found, READ), counted(found, ASSESS)
            print(f"{kind}: {ROWS} rows{' a stage' if staged else ''}, {told[0]} reads of a CSV, {told[1]} assessments")
            if told != (reads, assessments):
                print(f"  expected: {reads} and {assessments}")
                wrong = True
    if wrong:
        sys.exit("rows are parsed or assessed more often, or less, than ARCHITECTURE.md says")


if __name__ == "__main__":
    main()
