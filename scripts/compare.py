#!/usr/bin/env python3
"""What a row costs: flowbatch, curl --parallel and the vendor's SDK on the same work, in turn.

    cargo build --profile dist
    python3 -m venv target/sdk && target/sdk/bin/pip install huaweicloudsdksecmaster==3.1.219
    python3 scripts/compare.py target/dist/flowbatch target/sdk/bin/python

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

import simulated
from simulated import CONCURRENCY, PROJECT, TOKEN, WORKSPACE

ROWS, SDK_ROWS, ROUNDS = 20_000, 2_000, 5

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


def measured(command, environment):
    """CPU seconds and wall seconds of a command that has to end well."""
    begun = time.monotonic()
    child = subprocess.Popen(
        simulated.on_core(1, command), env=environment,
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
        self.environment = simulated.environment(folder)
        self.ids = simulated.ids(program, address, folder)

    def flowbatch(self, number, *flags):
        path = f"{self.folder}/rows.csv"
        simulated.describe(path, self.ids, f"round {number}")
        command = simulated.run(self.program, path, self.address, *simulated.FREELY, *flags)
        return measured(command, self.environment), len(self.ids)

    def curl(self, number):
        path = f"{self.folder}/curl.config"
        with open(path, "w") as config:
            for index, id in enumerate(self.ids):
                if index:
                    config.write("next\n")
                url = f"{self.address}/v1/{PROJECT}/workspaces/{WORKSPACE}/soc/workflows/{id}"
                config.write(
                    f'url = "{url}"\nrequest = "PUT"\nheader = "X-Auth-Token: {TOKEN}"\n'
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


def latency_of(address, rows=40):
    """Seconds that the server takes for an answer when it has nothing else to do, on the average."""
    host = address.removeprefix("http://")
    connection = http.client.HTTPConnection(host)
    path = f"/v1/{PROJECT}/workspaces/{WORKSPACE}/soc/workflows/none"
    taken = []
    for _ in range(rows):
        begun = time.monotonic()
        connection.request("GET", path, headers={"X-Auth-Token": TOKEN})
        connection.getresponse().read()
        taken.append(time.monotonic() - begun)
    return statistics.mean(taken)


def throughput(program, python):
    """How much of what so many in flight could do at best, where an answer takes 50 ms."""
    with simulated.simulator(program, ROWS, "50ms") as address, tempfile.TemporaryDirectory() as folder:
        work = Work(program, python, address, folder)
        (_, wall), rows = work.flowbatch("slow", "--snapshot", "off")
        latency = latency_of(address)
        ideal = rows * latency / CONCURRENCY
        print(
            f"\n{latency * 1e3:.1f} ms a request, {CONCURRENCY} in flight: {rows} rows in {wall:.2f} s, "
            f"{ideal / wall * 100:.1f} % of what is possible"
        )


def main():
    program, python = map(os.path.abspath, sys.argv[1:3])
    with simulated.simulator(program, ROWS) as address, tempfile.TemporaryDirectory() as folder:
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
    throughput(program, python)


if __name__ == "__main__":
    main()
