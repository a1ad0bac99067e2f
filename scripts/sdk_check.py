#!/usr/bin/env python3
"""Lets the vendor's own SDK talk to a running simulator, and checks what it gets to see.

    python3 -m venv /tmp/sdk
    /tmp/sdk/bin/pip install huaweicloudsdksecmaster==3.1.219 huaweicloudsdkiam==3.1.219
    flowbatch simulate --token TOKEN --ak AK --sk-file FILE --user USER --password-file FILE \\
        --metadata
    /tmp/sdk/bin/python scripts/sdk_check.py http://127.0.0.1:PORT PROJECT_ID WORKSPACE_ID \\
        TOKEN AK SK USER PASSWORD

Prints one line per check, and ends with 1 at the first that fails. It renames, describes and
enables the oldest workflow, and locks the access key: never point it at a real workspace.
"""

import os
import sys
import tempfile
from urllib.parse import urlsplit

# The SDK writes an id of its own to the home folder and reads credentials and regions there.
HOME = tempfile.TemporaryDirectory()
os.environ["HOME"] = HOME.name

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.auth.internal import MetadataAccessor
from huaweicloudsdkcore.client import ClientBuilder
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException, SdkException
from huaweicloudsdkcore.region.region import Region
from huaweicloudsdkcore.signer.signer import Signer
from huaweicloudsdkiam.v3 import (
    AuthScope,
    AuthScopeProject,
    IamClient,
    KeystoneCreateUserTokenByPasswordRequest,
    KeystoneCreateUserTokenByPasswordRequestBody,
    KeystoneListProjectsRequest,
    KeystoneValidateTokenRequest,
    PwdAuth,
    PwdIdentity,
    PwdPassword,
    PwdPasswordUser,
    PwdPasswordUserDomain,
)
from huaweicloudsdkiam.v3.iam_credentials import IamCredentials
from huaweicloudsdksecmaster.v1 import (
    ListAopWorkflowVersionsRequest,
    ListWorkflowsRequest,
    ListWorkspacesRequest,
    ModifyAopWorkflowInfo,
    SecMasterClient,
    ShowAopWorkflowRequest,
    ShowAopWorkflowVersionRequest,
    ShowWorkspaceRequest,
    UpdateAopWorkflowRequest,
)

PAGE = 100
# What `flowbatch simulate` calls its account and its project, if it is not told.
ACCOUNT = "simulated"
REGION = "cn-north-4"
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


def check_workflows(base, project_id, workspace, token):
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


def check_workspaces(base, project_id, workspace, token):
    secmaster = client(base, token, project_id)
    listed = secmaster.list_workspaces(ListWorkspacesRequest(offset=0, limit=PAGE))
    check("the project's workspaces are listed", [w.id for w in listed.workspaces], [workspace])
    check("they are counted", listed.count, 1)
    shown = secmaster.show_workspace(ShowWorkspaceRequest(workspace_id=workspace)).workspace
    check("a workspace is shown as it is listed", shown.to_dict(), listed.workspaces[0].to_dict())
    unset = [name for name in shown.openapi_types if getattr(shown, name) is None]
    check("no field of the SDK's model is left out", unset, [])
    check(
        "an unknown workspace to show is refused",
        refusal(lambda: secmaster.show_workspace(ShowWorkspaceRequest(workspace_id=NOBODY))),
        (400, "SecMaster.20011003", True),
    )


def signing(base, credentials):
    """A client that signs by itself, and looks its project up where it has none."""
    return (
        SecMasterClient.new_builder()
        .with_credentials(credentials.with_iam_endpoint(base))
        .with_region(Region(REGION, base))
        .build()
    )


def check_signatures(base, project_id, workspace, ak, sk):
    secmaster = signing(base, BasicCredentials(ak, sk, project_id))
    found, total = all_workflows(secmaster, workspace)
    check("a signed request gets in, with a query", len(found), total)
    request = UpdateAopWorkflowRequest(
        workspace_id=workspace,
        workflow_id=found[0].id,
        body=ModifyAopWorkflowInfo(name="Signiert 签名", description="a\n\"b\""),
    )
    check("and with a body", secmaster.update_aop_workflow(request).data.name, "Signiert 签名")
    for name in ["a b+c&d=e/f?g%h~i*j'k(l)m!", "Signiert 签"]:
        page = secmaster.list_workflows(ListWorkflowsRequest(workspace_id=workspace, name=name))
        check(f"and with {name} in its query", page.total, int(name in "Signiert 签名"))
    odd = ShowAopWorkflowRequest(workspace_id=workspace, workflow_id="ü b")
    check(
        "and with a strange path",
        refusal(lambda: secmaster.show_aop_workflow(odd)),
        (400, "SecMaster.20040611", True),
    )

    credentials = BasicCredentials(ak, sk)
    looked_up = signing(base, credentials)
    check("the SDK looks its project up", credentials.project_id, project_id)
    check("and goes on with it", all_workflows(looked_up, workspace)[1], total)

    MetadataAccessor._METADATA_ENDPOINT = base
    temporary = BasicCredentials(project_id=project_id)
    check("metadata gives a key", all_workflows(signing(base, temporary), workspace)[1], total)
    check("it is a temporary one", bool(temporary.security_token), True)

    def with_token(token):
        credentials = BasicCredentials(temporary.ak, temporary.sk, project_id)
        if token is not None:
            credentials = credentials.with_security_token(token)
        return signing(base, credentials)

    whole = with_token(temporary.security_token)
    check("it goes from hand to hand", all_workflows(whole, workspace)[1], total)
    for what, secmaster, expected in [
        ("a temporary key without its token", with_token(None), (401, "APIG.0301", True)),
        ("a temporary key with another token", with_token("x"), (401, "APIG.0301", True)),
        (
            "an unknown key",
            signing(base, BasicCredentials("UNKNOWN", sk, project_id)),
            (401, "APIG.0301", True),
        ),
        (
            "another account's project",
            signing(base, BasicCredentials(ak, sk, "ab" * 16)),
            (403, "APIG.0302", True),
        ),
    ]:
        check(f"{what} is refused", refusal(lambda: all_workflows(secmaster, workspace)), expected)


def check_iam(base, project_id, workspace, user, password):
    def iam(token):
        return (
            IamClient.new_builder()
            .with_credentials(IamCredentials(token))
            .with_endpoint(base)
            .build()
        )

    def log_in(password):
        user_wish = PwdPasswordUser(PwdPasswordUserDomain(ACCOUNT), user, password)
        identity = PwdIdentity(["password"], PwdPassword(user_wish))
        auth = PwdAuth(identity, AuthScope(project=AuthScopeProject(name=REGION)))
        return iam(None).keystone_create_user_token_by_password(
            KeystoneCreateUserTokenByPasswordRequest(
                nocatalog="1", body=KeystoneCreateUserTokenByPasswordRequestBody(auth)
            )
        )

    issued = log_in(password)
    token = issued.x_subject_token
    check("IAM issues a token by password", bool(token), True)
    check("it names the project", issued.token.project.id, project_id)
    check("and the user", (issued.token.user.name, issued.token.user.domain.name), (user, ACCOUNT))
    secmaster = client(base, token, project_id)
    check("the service takes it", bool(all_workflows(secmaster, workspace)[1]), True)
    validated = iam(token).keystone_validate_token(
        KeystoneValidateTokenRequest(x_subject_token=token, nocatalog="1")
    )
    check("IAM tells whose it is", validated.token, issued.token)
    projects = iam(token).keystone_list_projects(KeystoneListProjectsRequest(name=REGION))
    check("IAM lists the projects", [p.id for p in projects.projects], [project_id])
    nothing = iam(token).keystone_list_projects(KeystoneListProjectsRequest(name="elsewhere"))
    check("IAM lists none elsewhere", nothing.projects, [])
    for what, call, expected in [
        ("a wrong password", lambda: log_in("wrong"), (401, 401, True)),
        (
            "a wrong token at IAM",
            lambda: iam("wrong").keystone_list_projects(KeystoneListProjectsRequest()),
            (401, 401, True),
        ),
    ]:
        check(f"{what} is refused", refusal(call), expected)


def check_lock(base, project_id, workspace, ak, sk):
    wrong = signing(base, BasicCredentials(ak, sk + "x", project_id))
    right = signing(base, BasicCredentials(ak, sk, project_id))

    def why(secmaster):
        try:
            all_workflows(secmaster, workspace)
        except ClientRequestException as refused:
            return refused.status_code, refused.error_code, refused.error_msg.split(": ", 1)[1]
        return "no exception"

    for turn in range(1, 6):
        check(
            f"wrong signature {turn} is refused",
            why(wrong),
            (401, "APIG.0301", "verify aksk signature fail"),
        )
    check(
        "then the key is locked",
        why(right),
        (401, "APIG.0301", "AK access failed to reach the limit,forbidden"),
    )


def main(base, project_id, workspace, token, ak, sk, user, password):
    if urlsplit(base).hostname not in ("127.0.0.1", "localhost", "::1"):
        sys.exit("the check changes workflows: it only talks to a simulator on this machine")
    check_workflows(base, project_id, workspace, token)
    check_workspaces(base, project_id, workspace, token)
    check_signatures(base, project_id, workspace, ak, sk)
    check_iam(base, project_id, workspace, user, password)
    check_lock(base, project_id, workspace, ak, sk)


if __name__ == "__main__":
    if len(sys.argv) != 9:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except SdkException as error:
        sys.exit(f"FAILED  {error}")
