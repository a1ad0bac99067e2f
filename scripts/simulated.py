"""What the measurements share: a simulator to send to, and the command that sends."""
import contextlib
import os
import subprocess

PROJECT = "0f9183e1c2d34b6c8a7e5d4c3b2a1908"
WORKSPACE = "909494e3-558e-46b6-a9eb-07a8e18ca621"
CONCURRENCY = 64
# As long as it takes that echoes of it are looked for; a real one has some thousand characters.
TOKEN = "a-token-of-the-simulator-1234567890"


def on_core(core, command):
    """The command, on a core of its own where there are two."""
    return ["taskset", "-c", str(core), *command] if os.cpu_count() > 1 else command


@contextlib.contextmanager
def serving(command):
    """The address of the simulator that the command starts, on the first core, for as long as it is needed."""
    server = subprocess.Popen(on_core(0, command), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        yield server.stdout.readline().decode().strip()
    finally:
        server.terminate()
        server.wait()


def simulator(program, workflows, latency="0ms", *flags):
    """A simulator with so many workflows."""
    return serving([
        program, "simulate", "--workflows", str(workflows), "--latency", latency,
        "--project-id", PROJECT, "--workspace-id", WORKSPACE, *flags,
    ])


def target(address, workspaces="one"):
    """The flags that lead there, to its first workspace or (`all`) to none."""
    project = ["--endpoint", address, "--project-id", PROJECT]
    return project if workspaces == "all" else [*project, "--workspace-id", WORKSPACE]


def environment(folder):
    """Variables of a run that keeps its state in the folder."""
    return {**os.environ, "HW_AUTH_TOKEN": TOKEN, "HOME": folder, "FLOWBATCH_STATE_DIR": f"{folder}/state"}


def ids(program, address, folder, rate="100000/s"):
    """The workflows that the simulator has."""
    path = f"{folder}/all.csv"
    command = [program, "export", *target(address), "--out", path, "-q", "--rate", rate]
    subprocess.run(command, check=True, env=environment(folder))
    with open(path) as table:
        return [line.split(",")[0] for line in table.readlines()[1:]]


def describe(path, workflows, text):
    """A table that gives each workflow a description."""
    with open(path, "w") as table:
        table.write("workflow_id,description\n")
        table.writelines(f"{workflow},{text}\n" for workflow in workflows)


def run(program, path, address, *flags, workspaces="one"):
    """The command that carries out a table."""
    return [
        program, "run", path, *target(address, workspaces), "-j", str(CONCURRENCY), "--progress", "none", "--yes", *flags,
    ]


# As fast as the simulator answers.
FREELY = ("--rate", "1000000/s", "--burst", "1000")
