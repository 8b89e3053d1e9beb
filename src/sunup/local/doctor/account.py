"""The AWS side: clock, credentials, policies, concurrency."""

import email.utils
import http.client
import time
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from sunup.engines import DSQL
from sunup.failures import DatabaseUnavailable
from sunup.local.aws import LOG_IN, Arn, code_of
from sunup.local.capacity import DSQL_CONNECTIONS
from sunup.local.errors import CommandError
from sunup.local.project import MIGRATION_USER

from . import dsql, policies
from .finding import Examination, Finding, Findings

# SigV4 services take a clock that is off by five minutes.
_WORST_SKEW, _BAD_SKEW = 300.0, 60.0
_HTTP_TIMEOUT = 5.0

_KEPT_FREE = 10

# No network, or something that is not AWS answers.
_UNANSWERED = (BotoCoreError, CommandError, ResponseParserError)


def clock(examination: Examination) -> Findings:
    """This machine's clock against that of STS."""
    if examination.settings is None or not examination.settings.uses_token:
        yield Finding("clock", "skipped", "no IAM token is used")
        return
    url = examination.project.environ.get("AWS_ENDPOINT_URL") or (
        f"https://sts.{examination.settings.region}.amazonaws.com/"
    )
    parts = urlsplit(url)
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = connect(parts.hostname or "", parts.port, timeout=_HTTP_TIMEOUT)
    try:
        connection.request("HEAD", "/")
        stamp = connection.getresponse().getheader("Date")
        now = time.time()
        theirs = email.utils.parsedate_to_datetime(stamp or "").timestamp()
    except (OSError, http.client.HTTPException, ValueError, TypeError) as error:
        yield Finding("clock", "skipped", f"STS did not return the time: {type(error).__name__}")
        return
    finally:
        connection.close()
    skew = now - theirs
    way = "ahead" if skew > 0 else "behind"
    cure = "Turn on time synchronization: timedatectl set-ntp true."
    if abs(skew) > _WORST_SKEW:
        yield Finding("clock", "failure", f"{abs(skew):.0f} s {way}: tokens are refused", cure)
    elif abs(skew) > _BAD_SKEW:
        yield Finding("clock", "warning", f"{abs(skew):.0f} s {way}", cure)
    else:
        yield Finding("clock", "ok", "correct")


def credentials(examination: Examination) -> Findings:
    """Whether there are any, and how long they last."""
    if examination.settings is None or not examination.settings.uses_token:
        yield Finding("credentials", "skipped", "no IAM token is used")
        return
    try:
        found = examination.project.credentials.find()
    except DatabaseUnavailable as error:
        yield Finding("credentials", "failure", error.detail or error.message, LOG_IN)
        return
    examination.credentials = found
    if found.expires is not None and found.expires <= time.time():
        yield Finding("credentials", "failure", f"{found.access_key} has expired", LOG_IN)
        return
    left = (
        ""
        if found.expires is None
        else f"; expires in {(found.expires - time.time()) / 60:.0f} min"
    )
    yield Finding("credentials", "ok", f"{found.access_key}{left}")


def identity(examination: Examination) -> Findings:
    """Who AWS says that these credentials are."""
    if examination.credentials is None:
        yield Finding("identity", "skipped", "no credentials")
        return
    try:
        answer = examination.aws.client("sts").get_caller_identity()
    except ClientError as error:
        yield Finding(
            "identity",
            "failure",
            f"AWS does not accept these credentials: {code_of(error)}",
            LOG_IN,
        )
        return
    except _UNANSWERED as error:
        yield Finding("identity", "skipped", f"STS did not answer: {type(error).__name__}")
        return
    examination.identity = str(answer["Arn"])
    yield Finding("identity", "ok", examination.identity)


def policy(examination: Examination) -> Findings:
    """Whether IAM allows rds-db:connect, to these credentials and to the function's role."""
    found = examination.settings
    if found is None or examination.identity is None:
        yield Finding("policy", "skipped", "the identity is not known")
        return
    if found.engine is DSQL:
        yield from dsql.policy(examination)
        return
    try:
        cluster = _cluster_of(examination.aws.client("rds"), found.host)
        if cluster is None:
            yield Finding(
                "policy", "skipped", f"no cluster in this account has the endpoint {found.host}"
            )
            return
        if not cluster.get("IAMDatabaseAuthenticationEnabled", True):
            cure = "Enable it: aws rds modify-db-cluster --enable-iam-database-authentication ..."
            yield Finding("policy", "failure", "the cluster does not accept IAM tokens", cure)
        iam = examination.aws.client("iam")
        mine = policies.principal(iam, examination.identity)
        users = {found.user, examination.project.environ.get(MIGRATION_USER) or found.user}
        wanted = [(mine, user) for user in sorted(users)]
        role = examination.outputs.get("lambda_iam_role_arn")
        if isinstance(role, str):
            wanted.append((role, found.user))
        for principal, user in wanted:
            resource = _resource(cluster, user)
            yield policies.simulated(iam, principal, "rds-db:connect", resource, user)
    except ClientError as error:
        yield Finding("policy", "skipped", f"could not be checked: {code_of(error)}")
    except _UNANSWERED as error:
        yield Finding("policy", "skipped", f"AWS did not answer: {type(error).__name__}")


def concurrency(examination: Examination) -> Findings:
    """max_connections against the instances that Lambda may start: each holds one connection."""
    on_dsql = examination.settings is not None and examination.settings.engine is DSQL
    if examination.app is None and not on_dsql:
        yield Finding("connections", "skipped", "not logged in")
        return
    # Aurora DSQL's own max_connections means nothing, and nobody can see who is connected.
    limit, used = (DSQL_CONNECTIONS, None) if on_dsql else _connections(examination)
    raised = "" if on_dsql else ", or raise the maximum ACU"
    if used is not None and used > 0.9 * limit:
        cure = "Raise the maximum ACU, or lower reserved_concurrency."
        yield Finding("connections", "warning", f"{used} of {limit} are in use", cure)
    in_use = f"at most {limit}" if used is None else f"{used} of {limit} in use"
    function = examination.outputs.get("lambda_function_name") or examination.project.name
    instances, whose = _concurrency(examination, str(function))
    if instances is None:
        yield Finding("connections", "ok", f"{in_use}; concurrency not known")
    elif instances > limit - _KEPT_FREE:
        yield Finding(
            "connections",
            "warning",
            f"{whose} of {instances} instances, but {limit} connections: a burst would be refused",
            f"Set reserved_concurrency to {limit - _KEPT_FREE} or less{raised}.",
        )
    else:
        yield Finding("connections", "ok", f"{in_use}, {whose} of {instances}")


def _connections(examination: Examination) -> tuple[int, int | None]:
    """max_connections, and how many there are."""
    assert examination.app is not None
    row = examination.app.execute(
        "select current_setting('max_connections')::int,"
        " (select count(*) from pg_stat_activity where backend_type = 'client backend')"
    ).fetchone()
    return row or (0, 0)


def _concurrency(examination: Examination, function: str) -> tuple[int | None, str]:
    if examination.identity is None:
        return None, ""
    try:
        client = examination.aws.client("lambda")
        answer = client.get_function_concurrency(FunctionName=function)
        if "ReservedConcurrentExecutions" in answer:
            return int(answer["ReservedConcurrentExecutions"]), "reserved concurrency"
        limits = client.get_account_settings()["AccountLimit"]
        return int(limits["UnreservedConcurrentExecutions"]), "the account's concurrency"
    except (ClientError, KeyError, *_UNANSWERED):
        return None, ""


def _cluster_of(rds: Any, host: str) -> dict[str, Any] | None:
    for page in rds.get_paginator("describe_db_clusters").paginate():
        for cluster in page["DBClusters"]:
            if host in (cluster.get("Endpoint"), cluster.get("ReaderEndpoint")):
                return dict(cluster)
    return None


def _resource(cluster: dict[str, Any], user: str) -> str:
    arn = Arn.parse(cluster["DBClusterArn"])
    assert arn is not None
    resource_id = cluster["DbClusterResourceId"]
    return f"arn:{arn.partition}:rds-db:{arn.region}:{arn.account}:dbuser:{resource_id}/{user}"
