"""Aurora DSQL as its control plane and IAM tell it: the cluster's state, who may connect."""

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from sunup.engines import DSQL
from sunup.local.aws import Arn, code_of
from sunup.local.cloud.dsql.cluster import ADMIN, Cluster, Clusters
from sunup.local.cloud.dsql.host import of_host
from sunup.local.errors import CommandError

from . import policies
from .finding import Examination, Finding, Findings


def cluster(examination: Examination) -> Findings:
    """The state that the control plane tells; nothing for another engine."""
    found = examination.settings
    if found is None or found.engine is not DSQL:
        return
    identifier = of_host(found.host)
    if identifier is None or examination.identity is None:
        why = "DB_HOST is not a cluster's own name" if identifier is None else "no identity"
        yield Finding("cluster", "skipped", why)
        return
    try:
        described = Clusters(examination.aws.client("dsql")).find(identifier)
    except CommandError as error:
        yield Finding("cluster", "skipped", error.what)
        return
    if described is None:
        yield Finding(
            "cluster",
            "failure",
            f"this account has no cluster {identifier} in {found.region}",
            "Use the credentials of the cluster's account, or correct DB_HOST: sunup database show "
            "--engine dsql.",
        )
        return
    yield _state(described)


def _state(described: Cluster) -> Finding:
    status = described.status
    if status == "INACTIVE":
        detail = "INACTIVE: nobody used it for long; it wakes with the first connection"
        return Finding("cluster", "warning", detail, "Wait: logins are refused until it is awake.")
    if status in ("ACTIVE", "IDLE", "UPDATING"):
        return Finding("cluster", "ok", f"{described.identifier} is {status}")
    cure = {
        "CREATING": "Wait half a minute.",
        "PENDING_SETUP": "Peer it with a cluster in another region (Terraform: dsql_peer).",
    }
    default = "Make another one: sunup database create --engine dsql."
    detail = f"{described.identifier} is {status}, and takes no connection"
    return Finding("cluster", "failure", detail, cure.get(status, default))


def policy(examination: Examination) -> Findings:
    """Whether IAM allows the function dsql:DbConnect, and these credentials what migrates."""
    found, identity = examination.settings, Arn.parse(examination.identity or "")
    identifier = None if found is None else of_host(found.host)
    if found is None or identity is None or identifier is None:
        yield Finding("policy", "skipped", "the cluster's ARN is not known")
        return
    resource = (
        f"arn:{identity.partition}:dsql:{found.region}:{identity.account}:cluster/{identifier}"
    )
    role = examination.outputs.get("lambda_iam_role_arn")
    try:
        iam = examination.aws.client("iam")
        mine = policies.principal(iam, str(examination.identity))
        yield policies.simulated(iam, mine, "dsql:DbConnectAdmin", resource, ADMIN)
        if isinstance(role, str):
            yield policies.simulated(iam, role, "dsql:DbConnect", resource, found.user)
    except ClientError as error:
        yield Finding("policy", "skipped", f"could not be checked: {code_of(error)}")
    except (BotoCoreError, CommandError, ResponseParserError) as error:
        yield Finding("policy", "skipped", f"AWS did not answer: {type(error).__name__}")
