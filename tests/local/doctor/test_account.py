"""What the doctor says where AWS does not answer, or not as wished."""

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from sunup.connecting.credentials import Credentials
from sunup.local.doctor import account
from sunup.local.doctor.finding import Examination, Finding
from sunup.local.project import Project
from sunup.settings import Settings

RDS = "app.cluster-abc.eu-central-1.rds.amazonaws.com"


class Answering:
    """Clients whose calls return, or raise, what is told."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers

    def client(self, _: str) -> Any:
        return self

    def __getattr__(self, name: str) -> Any:
        def call(**_: Any) -> Any:
            answer = self._answers[name]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, **_: Any) -> Any:
        clusters = self._answers["describe_db_clusters"]
        if isinstance(clusters, Exception):
            raise clusters
        return [{"DBClusters": clusters}]


def examined(
    check: Any, identity: str | None = None, settings: Settings | None = None, **answers: Any
) -> list[Finding]:
    aws: Any = Answering(**answers)
    project = Project(Path("app"), environ={})
    examination = Examination(project, aws, settings=settings, identity=identity)
    examination.credentials = Credentials("AKIDEXAMPLE", "secret")
    return list(check(examination))


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "Call")


def test_credentials_that_aws_does_not_accept_are_a_failure() -> None:
    [finding] = examined(account.identity, get_caller_identity=refused("ExpiredToken"))
    assert (finding.status, finding.detail) == (
        "failure",
        "AWS does not accept these credentials: ExpiredToken",
    )


def test_an_sts_that_cannot_be_reached_decides_nothing() -> None:
    error = ConnectTimeoutError(endpoint_url="https://sts")
    [finding] = examined(account.identity, get_caller_identity=error)
    assert finding.status == "skipped"


def test_a_policy_of_nobody_is_not_looked_at() -> None:
    [finding] = examined(account.policy)
    assert (finding.status, finding.detail) == ("skipped", "the identity is not known")


def test_a_cluster_of_another_account_has_no_policy_here() -> None:
    arn = "arn:aws:iam::123456789012:user/me"
    settings = Settings(host=RDS)
    [finding] = examined(account.policy, arn, settings, describe_db_clusters=[])
    assert (finding.status, finding.detail) == (
        "skipped",
        f"no cluster in this account has the endpoint {RDS}",
    )


def test_a_policy_that_may_not_be_read_decides_nothing() -> None:
    arn = "arn:aws:iam::123456789012:user/me"
    settings = Settings(host=RDS)
    error = refused("AccessDenied")
    findings = examined(account.policy, arn, settings, describe_db_clusters=error)
    assert [each.status for each in findings] == ["skipped"]
    assert "AccessDenied" in findings[0].detail


def test_a_cluster_that_takes_no_tokens_is_named() -> None:
    arn = "arn:aws:iam::123456789012:user/me"
    cluster = {
        "Endpoint": RDS,
        "IAMDatabaseAuthenticationEnabled": False,
        "DBClusterArn": "arn:aws:rds:eu-central-1:123456789012:cluster:app",
        "DbClusterResourceId": "cluster-X",
    }
    findings = examined(
        account.policy,
        arn,
        Settings(host=RDS, user="app"),
        describe_db_clusters=[cluster],
        simulate_principal_policy={"EvaluationResults": [{"EvalDecision": "implicitDeny"}]},
    )
    assert findings[0].detail == "the cluster does not accept IAM tokens"
    assert {each.status for each in findings} <= {"failure", "skipped"}


@pytest.mark.parametrize("check", [account.identity, account.policy])
def test_without_credentials_nothing_is_asked(check: Any) -> None:
    examination = Examination(Project(Path("app"), environ={}), Answering())  # type: ignore[arg-type]
    [finding] = check(examination)
    assert finding.status == "skipped"
