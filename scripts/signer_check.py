#!/usr/bin/env python3
"""Has the vendor's own signer sign what flowbatch sends, and compares.

    python3 -m venv /tmp/sdk && /tmp/sdk/bin/pip install huaweicloudsdkcore==3.1.219
    /tmp/sdk/bin/python scripts/signer_check.py target/release/flowbatch

Catches the requests of a run on a loopback port, with a permanent and a temporary key, and signs each
anew. Prints one line per run, and ends with 1 at the first signature that differs.
"""

import json
import os
import subprocess
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qsl, unquote, urlsplit

# The SDK writes an id of its own to the home folder.
HOME = tempfile.TemporaryDirectory()
os.environ["HOME"] = HOME.name

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer

AK, SK, TOKEN = "AKSIGNERCHECK", "sk/Signer+Check=", "token/of+a+temporary==key"
PROJECT = "0f9183e1c2d34b6c8a7e5d4c3b2a1908"
WORKSPACE = "909494e3-558e-46b6-a9eb-07a8e18ca621"
ROWS = """workflow_id,name,description,expect_name
9b9f1b1e-5a52-4d1b-8a3b-6f6f2c9f4c11,Tri\u00e4ge \u6d41\u7a0b \U0001f600,,
a.b_c~d-e,"two
lines, ""quoted"" and \\ more",<empty>,
guarded,New,,Old
"""


class Catcher(BaseHTTPRequestHandler):
    """Keeps every request as it came, and answers it well enough to be sent the next."""

    protocol_version = "HTTP/1.1"
    caught = []
    workflows = {}

    def catch(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.caught.append((self.command, self.path, dict(self.headers), body))
        last = unquote(urlsplit(self.path).path.split("/")[-1])
        if self.path.startswith("/v3/projects"):
            answer = {"projects": [{"id": PROJECT, "name": "cn-north-4"}]}
        elif last == "workspaces":
            answer = {"count": 1, "workspaces": [{"id": WORKSPACE, "name": "SOC"}]}
        elif last == "workflows":
            live = list(self.workflows.values())
            answer = {"success": True, "total": len(live), "data": live}
        else:
            self.workflows[last].update(json.loads(body or "{}"))
            answer = {"success": True, "data": self.workflows[last]}
        answer = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = catch

    def log_message(self, *_):
        pass


def signed_anew(method, target, headers, body):
    """What the vendor's signer makes of a request: its `Authorization`."""
    parts = urlsplit(target)
    headers = {name.lower(): value for name, value in headers.items()}
    names = headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    request = SdkRequest(
        method=method,
        schema="http",
        host=headers["host"],
        resource_path=parts.path,
        query_params=parse_qsl(parts.query, keep_blank_values=True),
        header_params={name: headers[name] for name in names},
        body=body or "",
    )
    signed = Signer(BasicCredentials(AK, SK, PROJECT)).sign(request)
    return headers["authorization"], signed.header_params["Authorization"]


def main(binary):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Catcher)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    with open(os.path.join(HOME.name, "rows.csv"), "w", encoding="utf-8") as rows:
        rows.write(ROWS)
    for kind, token in (("permanent", None), ("temporary", TOKEN)):
        Catcher.caught.clear()
        ids = [line.split(",")[0] for line in ROWS.splitlines()[1:] if not line.startswith("lines")]
        Catcher.workflows = {id: {"id": id, "name": "Old", "description": "as it was"} for id in ids}
        environment = {
            "HOME": HOME.name,
            "HUAWEICLOUD_SDK_AK": AK,
            "HUAWEICLOUD_SDK_SK": SK,
            # The region leads here, and so does IAM: the project is looked up.
            "HUAWEICLOUD_SDK_REGION_SECMASTER_CN_NORTH_4": address,
            "HUAWEICLOUD_SDK_IAM_ENDPOINT": address,
            "FLOWBATCH_METADATA": "off",
        }
        if token:
            environment["HUAWEICLOUD_SDK_SECURITY_TOKEN"] = token
        for command in (
            ["run", "rows.csv", "--rate", "100/s"],
            ["auth"],
        ):
            command = [binary, *command, "--region", "cn-north-4", "--workspace-id", WORKSPACE]
            done = subprocess.run(
                command, env=environment, cwd=HOME.name, capture_output=True, text=True, timeout=60
            )
            if done.returncode != 0:
                sys.exit(f"FAILED  {command} ended with {done.returncode}\n{done.stderr}{done.stdout}")
        methods = sorted(f"{method} {path.split('?')[0].split('/')[-1]}" for method, path, _, _ in Catcher.caught)
        # The project twice, the list for the run and for auth, three updates, the first of them read before and
        # after, a reading of the guarded row, and the names of the workspaces.
        if len(methods) != 11:
            sys.exit(f"FAILED  {kind}: caught {methods}")
        for request in Catcher.caught:
            ours, theirs = signed_anew(*request)
            if ours != theirs:
                sys.exit(f"FAILED  {request[0]} {request[1]}\n  ours   {ours}\n  theirs {theirs}")
        print(f"ok      {len(methods)} requests signed with a {kind} key")


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]))
