#!/usr/bin/env python3
"""Lets the vendor's own SDK talk to a running simulator, and checks what it gets to see.

    python3 -m venv /tmp/sdk && /tmp/sdk/bin/pip install huaweicloudsdksecmaster==3.1.219
    /tmp/sdk/bin/python scripts/sdk_check.py http://127.0.0.1:PORT TOKEN PROJECT_ID WORKSPACE_ID

Prints one line per check, and ends with 1 at the first that fails. It renames, describes and
enables the oldest workflow: never point it at a real workspace.
"""

import os
import sys
import tempfile
from urllib.parse import urlsplit

# The SDK writes an id of its own to the home folder and reads credentials and regions there.
HOME = tempfile.TemporaryDirectory()
os.environ["HOME"] = HOME.name

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.client import ClientBuilder
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException, SdkException
from huaweicloudsdkcore.signer.signer import Signer
from huaweicloudsdksecmaster.v1 import (
    ListAopWorkflowVersionsRequest,
    ListWorkflowsRequest,
    ModifyAopWorkflowInfo,
    SecMasterClient,
    ShowAopWorkflowRequest,
    ShowAopWorkflowVersionRequest,
    UpdateAopWorkflowRequest,
)

PAGE = 100
NOBODY = "00000000-0000-4000-8000-000000000000"


class TokenCredentials(BasicCredentials):
    """A token in place of a signature.

    The SDK's one class that does this, `huaweicloudsdkiam.v3.iam_credentials.IamCredentials`, knows
    no project id, so that no regional service can be called with it.
    """

    def __init__(self, token, project_id):
        super().__init__(project_id=project_id)
        self.token = token

    def process_auth_request(self, request, http_client):
        request.header_params["X-Auth-Token"] = self.token
        Signer.process_request_uri(request)
        return http_client.executor.submit(lambda: request)


def check(what, seen, expected):
    if seen != expected:
        print(f"FAILED  {what}: {seen!r} instead of {expected!r}")
        sys.exit(1)
    print(f"ok      {what}")


def refusal(call):
    """Status, code and whether the request is named, of what `call` raises."""
    try:
        call()
    except ClientRequestException as refused:
        return refused.status_code, refused.error_code, bool(refused.request_id)
    return "no exception"


def client(base, token, project_id):
    # SecMasterClient.new_builder() wants a class that is called BasicCredentials.
    return (
        ClientBuilder(SecMasterClient, TokenCredentials.__name__)
        .with_credentials(TokenCredentials(token, project_id))
        .with_endpoint(base)
        .build()
    )


def all_workflows(secmaster, workspace):
    found = []
    while True:
        page = secmaster.list_workflows(
            ListWorkflowsRequest(
                workspace_id=workspace,
                offset=len(found),
                limit=PAGE,
                order="ASC",
                sortby="create_time",
            )
        )
        if not page.data:
            return found, page.total
        found += page.data


def main(base, token, project_id, workspace):
    if urlsplit(base).hostname not in ("127.0.0.1", "localhost", "::1"):
        sys.exit("the check changes workflows: it only talks to a simulator on this machine")
    secmaster = client(base, token, project_id)

    def show(workflow_id):
        return secmaster.show_aop_workflow(
            ShowAopWorkflowRequest(workspace_id=workspace, workflow_id=workflow_id)
        )

    def versions(status=None):
        request = ListAopWorkflowVersionsRequest(
            workspace_id=workspace, workflow_id=workflow.id, status=status
        )
        return [version.id for version in secmaster.list_aop_workflow_versions(request).data]

    def update(workflow_id, **fields):
        return secmaster.update_aop_workflow(
            UpdateAopWorkflowRequest(
                workspace_id=workspace,
                workflow_id=workflow_id,
                body=ModifyAopWorkflowInfo(**fields),
            )
        )

    found, total = all_workflows(secmaster, workspace)
    check(f"paging reads all {total} workflows", len(found), total)
    check("paging reads each of them once", len({one.id for one in found}), total)
    if not found:
        sys.exit("the check needs a workflow")

    workflow = found[0]
    shown = show(workflow.id)
    check("a workflow is shown as it is listed", shown.data, workflow)
    check("a success says so", (shown.success, bool(shown.request_id)), (True, True))
    unset = [name for name in workflow.openapi_types if getattr(workflow, name) is None]
    check("no field of the SDK's model is left out", unset, [])

    version_id = versions("activated")[0]
    check("the version in use is the workflow's", version_id, workflow.version_id)
    check("it is among all versions", version_id in versions(), True)
    check("nothing is rejected", versions("rejected"), [])
    version = secmaster.show_aop_workflow_version(
        ShowAopWorkflowVersionRequest(workspace_id=workspace, version_id=version_id)
    ).data
    check("a version names its workflow", version.aopworkflow_id, workflow.id)

    wished = {
        "name": "Überprüft 检查",
        "description": "",
        "enabled": True,
        "version_id": version_id,
    }
    before = workflow.to_dict()
    echoed = update(workflow.id, **wished).data.to_dict()
    check("an update is echoed", {name: echoed[name] for name in wished}, wished)
    check("an update is kept", show(workflow.id).data.to_dict(), echoed)
    check("an update moves the time", echoed["update_time"] > before["update_time"], True)
    changed = {name for name in echoed if echoed[name] != before[name]}
    check("an update changes nothing else", changed - {*wished, "update_time"}, set())

    update(workflow.id, enabled=False)
    after = show(workflow.id).data
    check("what is not sent stays", (after.name, after.enabled), (wished["name"], False))

    for what, call, expected in [
        ("an unknown workflow", lambda: show(NOBODY), (400, "SecMaster.20040611", True)),
        (
            "an update of an unknown workflow",
            lambda: update(NOBODY, name="x"),
            (400, "SecMaster.20040611", True),
        ),
        (
            "enabling without a version",
            lambda: update(workflow.id, enabled=True),
            (400, "SecMaster.20041002", True),
        ),
        (
            "an unknown workspace",
            lambda: all_workflows(secmaster, NOBODY),
            (403, "SecMaster.20010001", True),
        ),
        (
            "a wrong token",
            lambda: all_workflows(client(base, "wrong", project_id), workspace),
            (401, "APIG.0301", True),
        ),
    ]:
        check(f"{what} is refused", refusal(call), expected)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except SdkException as error:
        sys.exit(f"FAILED  {error}")
