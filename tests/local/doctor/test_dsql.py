"""What Aurora DSQL's control plane and IAM say, in botocore's Stubber: it checks each request."""

from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from sunup.engines import DSQL
from sunup.local.doctor import account, dsql, dsql_login
from sunup.local.doctor.finding import Examination, Finding
from sunup.local.project import Project
from sunup.settings import Settings

IDENTIFIER = "abcdefghijklmnopqrstuvwxyz"
HOST = f"{IDENTIFIER}.dsql.eu-west-1.on.aws"
ARN = f"arn:aws:dsql:eu-west-1:123456789012:cluster/{IDENTIFIER}"
ME = "arn:aws:iam::123456789012:user/anna"
ROLE = "arn:aws:iam::123456789012:role/users-function"


class Stubs:
    """Makes clients that answer as they are told."""

    def __init__(self) -> None:
        self._stubs: dict[str, Stubber] = {}

    def of(self, service: str) -> Stubber:
        if service not in self._stubs:
            session = botocore.session.Session()
            session.set_credentials("AKIA", "secret")
            stub = Stubber(session.create_client(service, region_name="eu-west-1"))
            stub.activate()
            self._stubs[service] = stub
        return self._stubs[service]

    def client(self, service: str) -> Any:
        return self.of(service).client


@pytest.fixture
def stubs() -> Stubs:
    return Stubs()


def examination(stubs: Stubs, **changes: Any) -> Examination:
    aws: Any = stubs
    host = changes.pop("host", HOST)
    found = Settings(host=host, engine_name=DSQL.name, user="users_app", region="eu-west-1")
    values = {"settings": found, "identity": ME, **changes}
    return Examination(Project(Path("app"), environ={"DB_HOST": host}), aws, **values)


def described(status: str) -> dict[str, Any]:
    return {
        "identifier": IDENTIFIER, "arn": ARN, "status": status, "creationTime": 0,
        "deletionProtectionEnabled": True, "endpoint": HOST,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "state", "says", "cure"),
    [
        ("ACTIVE", "ok", f"{IDENTIFIER} is ACTIVE", ""),
        ("IDLE", "ok", f"{IDENTIFIER} is IDLE", ""),
        ("INACTIVE", "warning", "it wakes with the first connection", "until it is awake"),
        ("CREATING", "failure", "is CREATING", "half a minute"),
        ("PENDING_SETUP", "failure", "is PENDING_SETUP", "dsql_peer"),
        ("DELETING", "failure", "is DELETING", "sunup database create --engine dsql"),
    ],
)
def test_the_cluster_s_state_is_told(
    stubs: Stubs, status: str, state: str, says: str, cure: str
) -> None:
    stubs.of("dsql").add_response("get_cluster", described(status), {"identifier": IDENTIFIER})
    [finding] = dsql.cluster(examination(stubs))
    assert finding.status == state
    assert says in finding.detail
    assert cure in finding.cure


def test_a_cluster_of_another_account_is_a_failure(stubs: Stubs) -> None:
    stubs.of("dsql").add_client_error("get_cluster", "ResourceNotFoundException", "none", 404)
    [finding] = dsql.cluster(examination(stubs))
    assert finding.status == "failure"
    assert f"no cluster {IDENTIFIER} in eu-west-1" in finding.detail


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({}, "AccessDeniedException", "AccessDeniedException"),
        ({"identity": None}, None, "no identity"),
        ({"host": "db.example"}, None, "DB_HOST is not a cluster's own name"),
    ],
)
def test_a_state_that_cannot_be_asked_for_decides_nothing(
    stubs: Stubs, changes: dict[str, Any], code: str | None, says: str
) -> None:
    if code is not None:
        stubs.of("dsql").add_client_error("get_cluster", code, "no")
    [finding] = dsql.cluster(examination(stubs, **changes))
    assert (finding.status, says in finding.detail) == ("skipped", True)


def test_of_another_engine_nothing_is_told(stubs: Stubs) -> None:
    found = Settings(host="app.cluster-abc.eu-central-1.rds.amazonaws.com", region="eu-central-1")
    assert list(dsql.cluster(examination(stubs, settings=found))) == []


def test_the_policies_are_simulated_for_who_migrates_and_for_the_function(stubs: Stubs) -> None:
    for principal, action, decision in (
        (ME, "dsql:DbConnectAdmin", "allowed"),
        (ROLE, "dsql:DbConnect", "implicitDeny"),
    ):
        stubs.of("iam").add_response(
            "simulate_principal_policy",
            {"EvaluationResults": [{"EvalActionName": action, "EvalDecision": decision}]},
            {"PolicySourceArn": principal, "ActionNames": [action], "ResourceArns": [ARN]},
        )
    made = examination(stubs, outputs={"lambda_iam_role_arn": ROLE})
    mine, function = account.policy(made)
    assert mine == Finding("policy", "ok", "anna may connect as admin")
    assert function.status == "failure"
    assert function.detail == "users-function may not connect as users_app (implicitDeny)"
    assert function.cure == f"Allow dsql:DbConnect on {ARN}."


def test_policies_that_cannot_be_simulated_decide_nothing(stubs: Stubs) -> None:
    stubs.of("iam").add_client_error("simulate_principal_policy", "AccessDenied", "no")
    [finding] = dsql.policy(examination(stubs))
    assert (finding.status, finding.detail) == ("skipped", "could not be checked: AccessDenied")
    [finding] = dsql.policy(examination(stubs, host="db.example"))
    assert finding.detail == "the cluster's ARN is not known"


def test_without_the_admin_nothing_is_said_of_the_role(stubs: Stubs) -> None:
    [finding] = dsql_login.role(examination(stubs))
    assert (finding.status, finding.detail) == ("skipped", "not logged in as admin")
