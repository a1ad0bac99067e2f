#!/usr/bin/env python3
"""What a row costs: flowbatch, curl --parallel and the vendor's SDK on the same work, in turn.

    cargo build --release
    python3 -m venv target/sdk && target/sdk/bin/pip install huaweicloudsdksecmaster==3.1.219
    python3 scripts/compare.py target/release/flowbatch target/sdk/bin/python

Each changes the description of so many workflows of `flowbatch simulate`, 64 at a time: flowbatch with its durable
journal, its report and no snapshot. The server has a core of its own where there are two. What is told is the CPU time
(user and system) that the kernel counts for each program, a row, as the median of the rounds, and as ratios.
"""
import http.client
import os
import statistics
import subprocess
import sys
import tempfile
import time

PROJECT = "0f9183e1c2d34b6c8a7e5d4c3b2a1908"
WORKSPACE = "909494e3-558e-46b6-a9eb-07a8e18ca621"
ROWS, SDK_ROWS, ROUNDS, CONCURRENCY = 20_000, 2_000, 5, 64

SDK = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdksecmaster.v1 import (
    ModifyAopWorkflowInfo, SecMasterClient, UpdateAopWorkflowRequest,
)
address, project, workspace, ids, number = sys.argv[1:]
config = HttpConfig.get_default_config()
client = (
    SecMasterClient.new_builder().with_http_config(config)
    .with_credentials(BasicCredentials("AK", "SK", project)).with_endpoint(address).build()
)
def update(id):
    body = ModifyAopWorkflowInfo(description=f"round {number}")
    client.update_aop_workflow(UpdateAopWorkflowRequest(workspace_id=workspace, workflow_id=id, body=body))
with ThreadPoolExecutor(64) as pool:
    for _ in pool.map(update, open(ids).read().split()):
        pass
"""


def on_core(core, command):
    """The command, on a core of its own where there are two."""
    return ["taskset", "-c", str(core), *command] if os.cpu_count() > 1 else command


def measured(command, environment):
    """CPU seconds and wall seconds of a command that has to end well."""
    begun = time.monotonic()
    child = subprocess.Popen(
        on_core(1, command), env={**os.environ, **environment},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )
    said = child.stderr.read().decode()
    _, status, usage = os.wait4(child.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"{command[0]} failed:\n{said[-2000:]}")
    return usage.ru_utime + usage.ru_stime, time.monotonic() - begun


class Work:
    """The same work, as each program wants it."""

    def __init__(self, program, python, address, folder):
        self.program, self.python, self.address, self.folder = program, python, address, folder
        self.environment = {"HW_AUTH_TOKEN": "t", "HOME": folder, "FLOWBATCH_STATE_DIR": f"{folder}/state"}
        target = ["--endpoint", address, "--project-id", PROJECT, "--workspace-id", WORKSPACE]
        self.target = target
        subprocess.run(
            [program, "export", *target, "--out", f"{folder}/all.csv", "-q", "--rate", "100000/s"],
            check=True, env={**os.environ, **self.environment},
        )
        with open(f"{folder}/all.csv") as table:
            self.ids = [line.split(",")[0] for line in table.readlines()[1:]]

    def flowbatch(self, number, *flags):
        path = f"{self.folder}/rows.csv"
        with open(path, "w") as rows:
            rows.write("workflow_id,description\n")
            rows.writelines(f"{id},round {number}\n" for id in self.ids)
        command = [
            self.program, "run", path, *self.target, "-j", str(CONCURRENCY), "--rate", "1000000/s",
            "--burst", "1000", "--progress", "none", "--yes", *flags,
        ]
        return measured(command, self.environment), len(self.ids)

    def curl(self, number):
        path = f"{self.folder}/curl.config"
        with open(path, "w") as config:
            for index, id in enumerate(self.ids):
                if index:
                    config.write("next\n")
                url = f"{self.address}/v1/{PROJECT}/workspaces/{WORKSPACE}/soc/workflows/{id}"
                config.write(
                    f'url = "{url}"\nrequest = "PUT"\nheader = "X-Auth-Token: t"\n'
                    'header = "Content-Type: application/json"\n'
                    f'data = "{{\\"description\\":\\"round {number}\\"}}"\noutput = "/dev/null"\n'
                )
        command = [
            "curl", "-s", "--fail-early", "--parallel", "--parallel-max", str(CONCURRENCY), "--config", path,
        ]
        return measured(command, self.environment), len(self.ids)

    def sdk(self, number):
        path, script = f"{self.folder}/ids", f"{self.folder}/sdk.py"
        with open(path, "w") as ids:
            ids.write("\n".join(self.ids[:SDK_ROWS]))
        with open(script, "w") as code:
            code.write(SDK)
        command = [self.python, script, self.address, PROJECT, WORKSPACE, path, str(number)]
        return measured(command, self.environment), SDK_ROWS


def serve(program, latency):
    return subprocess.Popen(
        on_core(0, [
            program, "simulate", "--workflows", str(ROWS), "--latency", latency,
            "--project-id", PROJECT, "--workspace-id", WORKSPACE,
        ]),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )


def latency_of(address, rows=40):
    """Seconds that the server takes for an answer when it has nothing else to do, on the average."""
    host = address.removeprefix("http://")
    connection = http.client.HTTPConnection(host)
    path = f"/v1/{PROJECT}/workspaces/{WORKSPACE}/soc/workflows/none"
    taken = []
    for _ in range(rows):
        begun = time.monotonic()
        connection.request("GET", path, headers={"X-Auth-Token": "t"})
        connection.getresponse().read()
        taken.append(time.monotonic() - begun)
    return statistics.mean(taken)


def throughput(program, python):
    """How much of what so many in flight could do at best, where an answer takes 50 ms."""
    server = serve(program, "50ms")
    try:
        address = server.stdout.readline().decode().strip()
        with tempfile.TemporaryDirectory() as folder:
            work = Work(program, python, address, folder)
            (_, wall), rows = work.flowbatch("slow", "--snapshot", "off")
            latency = latency_of(address)
            ideal = rows * latency / CONCURRENCY
            print(
                f"\n{latency * 1e3:.1f} ms a request, {CONCURRENCY} in flight: {rows} rows in {wall:.2f} s, "
                f"{ideal / wall * 100:.1f} % of what is possible"
            )
    finally:
        server.terminate()


def main():
    program, python = map(os.path.abspath, sys.argv[1:3])
    server = serve(program, "0ms")
    try:
        address = server.stdout.readline().decode().strip()
        with tempfile.TemporaryDirectory() as folder:
            work = Work(program, python, address, folder)
            tools = {
                "flowbatch": lambda number: work.flowbatch(number, "--snapshot", "off"),
                "flowbatch, with the snapshot": lambda number: work.flowbatch(f"{number} again"),
                "curl --parallel": work.curl,
                "the vendor's SDK, 64 threads": work.sdk,
            }
            seen = {tool: [] for tool in tools}
            for number in range(1, ROUNDS + 1):
                for tool, carry_out in tools.items():
                    (cpu, wall), rows = carry_out(number)
                    seen[tool].append((cpu / rows * 1e6, rows / wall))
            ours = statistics.median(cpu for cpu, _ in seen["flowbatch"])
            print(f"{'':30} {'CPU, us a row':>14} {'rows a second':>14} {'times ours':>11}")
            for tool, rounds in seen.items():
                cpu = statistics.median(cpu for cpu, _ in rounds)
                speed = statistics.median(speed for _, speed in rounds)
                print(f"{tool:30} {cpu:14.1f} {speed:14.0f} {cpu / ours:11.2f}")
    finally:
        server.terminate()
    throughput(program, python)


main()
