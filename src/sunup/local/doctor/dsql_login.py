"""Logging in to Aurora DSQL: why it refuses, which IAM roles may be the app's role, its rights."""

from sunup.failures import AccessRefused, DatabaseUnavailable, TokenRefused
from sunup.local.aws import Arn
from sunup.local.cloud.dsql import roles
from sunup.local.cloud.dsql.cluster import ADMIN
from sunup.local.opening import open_connection
from sunup.settings import Settings

from .finding import Connection, Examination, Finding, Findings

# What a refusal's HINT has in it, and what to do then (awslabs/agent-plugins, "dsql"; Aurora DSQL
# User Guide, "Troubleshooting").
_CURES = {
    "Signature expired": "Set this machine's clock right: timedatectl set-ntp true.",
    "Wrong user to action mapping": "The token was signed for another role: admin takes "
    "dsql:DbConnectAdmin, each other role dsql:DbConnect. Check DB_USER and DB_MIGRATION_USER.",
    "not authorized to perform": "Allow that action on the cluster's ARN in the IAM policy of "
    "these credentials.",
    "not authorized to access": "Are the credentials of the cluster's account, and may their IAM "
    "role be this role? sunup database create --grant <its ARN> lets it.",
}


def login(examination: Examination, found: Settings) -> Findings:
    """As the app, and as the admin; the app's role need not be that of these credentials."""
    refusal = None
    try:
        examination.app = _connected(examination, found)
        how = "an IAM token" if found.uses_token else "DB_PASSWORD, which was signed elsewhere"
        yield Finding("login", "ok", f"as {found.user}, with {how}")
    except (TokenRefused, AccessRefused) as error:
        refusal = error
    except DatabaseUnavailable as error:
        yield Finding("login", "failure", f"{error.message}: {error.detail}", error.cure)
        return
    if found.user == ADMIN:
        examination.owner = examination.app
        yield from () if refusal is None else (_refused(found.user, refusal),)
        return
    try:
        examination.owner = _connected(examination, examination.project.as_user(ADMIN))
        yield Finding("login", "ok", f"as {ADMIN}, who owns the tables")
    except DatabaseUnavailable as error:
        if refusal is not None:
            yield _refused(found.user, refusal)
        detail = f"as {ADMIN} (for migrations): {error.message}: {error.detail}"
        yield Finding("login", "warning", detail, _cure(error))
        return
    if refusal is not None:
        yield _as_somebody_else(examination, found, refusal)


def _as_somebody_else(
    examination: Examination, found: Settings, refusal: DatabaseUnavailable
) -> Finding:
    """The app's role was refused, the admin was not."""
    assert examination.owner is not None
    arns = roles.mapped(examination.owner, found.user)
    me = Arn.parse(examination.identity or "")
    names = [] if me is None else me.resource.split("/")
    mine = names[1] if names[:1] == ["assumed-role"] else names[-1] if names else ""
    if not arns or mine in {each.rpartition("/")[2] for each in arns}:
        return _refused(found.user, refusal)
    others = ", ".join(sorted(each.rpartition("/")[2] for each in arns))
    return Finding(
        "login",
        "skipped",
        f"as {found.user}: these credentials may not be it, which is no fault; {others} may",
        "To be it here, too: sunup database create --grant <the ARN of your IAM role>.",
    )


def role(examination: Examination) -> Findings:
    """Whether there is the app's role, the function's IAM role may be it, and it has its rights."""
    found, admin = examination.settings, examination.owner
    if found is None or admin is None:
        yield Finding("role", "skipped", f"not logged in as {ADMIN}")
        return
    if found.user == ADMIN:
        cure = "Let the app connect as a role that owns nothing: sunup database create makes one."
        yield Finding("rights", "warning", f"the app is {ADMIN}, who may do everything", cure)
        return
    may = roles.may_log_in(admin, found.user)
    if not may:
        detail = f"the role {found.user} {'does not exist' if may is None else 'may not log in'}"
        yield Finding("role", "failure", detail, "sunup database create makes it.")
        return
    yield _mapping(examination, admin, found.user)
    lacked = list(roles.lacked(admin, found.user))
    if lacked:
        detail = f"{found.user} lacks its rights on {', '.join(lacked[:5])}"
        cure = "sunup deploy grants them, and so does sunup database create."
        yield Finding("rights", "failure", detail, cure)
    else:
        yield Finding("rights", "ok", "can read and write every table, owns none")


def _mapping(examination: Examination, admin: Connection, user: str) -> Finding:
    arns = roles.mapped(admin, user)
    wanted = examination.outputs.get("lambda_iam_role_arn")
    told = ", ".join(sorted(each.rpartition("/")[2] for each in arns))
    if isinstance(wanted, str) and wanted not in arns:
        return Finding(
            "role",
            "failure",
            f"the function's IAM role may not be {user}; may: {told or 'nobody'}",
            f"sunup deploy lets it, or as {ADMIN}: AWS IAM GRANT {user} TO '{wanted}'",
        )
    if not arns:
        detail = f"no IAM role may be {user}"
        return Finding("role", "warning", detail, "sunup deploy lets the function's.")
    return Finding("role", "ok", f"{told} may be {user}")


def _refused(user: str, error: DatabaseUnavailable) -> Finding:
    return Finding("login", "failure", f"as {user}: {error.message}: {error.detail}", _cure(error))


def _cure(error: DatabaseUnavailable) -> str:
    return next((cure for hint, cure in _CURES.items() if hint in error.detail), error.cure)


def _connected(examination: Examination, settings: Settings) -> Connection:
    connection = open_connection(settings, examination.project.credentials)
    connection.autocommit = True
    examination.stack.callback(connection.close)
    return connection
