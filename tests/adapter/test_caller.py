"""Who calls, at each front; the events' authorizers as AWS documents them."""

from typing import Any

import pytest

from sunup import Caller, caller
from sunup.adapter.handler import Handler

from .test_events import event_1, event_2
from .test_lattice import version_2
from .test_load_balancer import event as balancer_event

CLAIMS = {"sub": "anna", "scope": "users.read", "email_verified": "true"}
IAM = {
    "accessKey": "ASIA", "accountId": "111122223333", "callerId": "AROA:s", "cognitoIdentity": None,
    "principalOrgId": None, "userArn": "arn:aws:iam::111122223333:user/anna", "userId": "AROA:s",
}  # fmt: skip


def authorized(event: dict[str, Any], authorizer: Any) -> dict[str, Any]:
    return event | {"requestContext": event["requestContext"] | {"authorizer": authorizer}}


def rest(authorizer: Any = None, **identity: Any) -> dict[str, Any]:
    event = event_1()
    del event["version"]
    found = {"sourceIp": "192.0.2.1", "userArn": None, "caller": None, **identity}
    context = event["requestContext"] | {"identity": found, "authorizer": authorizer}
    return event | {"requestContext": context}


def lattice(identity: Any) -> dict[str, Any]:
    event = version_2()
    return event | {"requestContext": event["requestContext"] | {"identity": identity}}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        # HTTP APIs: API Gateway Developer Guide, "Control access with JWT authorizers".
        (
            authorized(event_2(), {"jwt": {"claims": CLAIMS, "scopes": ["users.read"]}}),
            Caller("jwt", "anna", CLAIMS, ("users.read",)),
        ),
        (
            authorized(event_2(), {"jwt": {"claims": {"client_id": "c"}, "scopes": None}}),
            Caller("jwt", None, {"client_id": "c"}),
        ),
        (
            authorized(event_1(), {"claims": CLAIMS, "scopes": None}),
            Caller("jwt", "anna", CLAIMS),
        ),
        (authorized(event_2(), {"iam": IAM}), Caller("iam", IAM["userArn"], IAM)),
        (
            authorized(event_2(), {"lambda": {"tenant": "t", "jwt": {"claims": {"sub": "x"}}}}),
            Caller("lambda", None, {"tenant": "t", "jwt": {"claims": {"sub": "x"}}}),
        ),
        # REST APIs: Cognito, a Lambda authorizer, IAM.
        (rest({"claims": CLAIMS}), Caller("jwt", "anna", CLAIMS)),
        (
            rest({"principalId": "anna", "integrationLatency": 7, "tenant": "t", "claims": "text"}),
            Caller("lambda", "anna", {"tenant": "t", "claims": "text"}),
        ),
        (authorized(event_2(), {"lambda": None}), Caller("lambda", None, {})),
        # As a typed logger writes what is not there.
        (authorized(event_2(), {"iam": {"userArn": "", "userId": ""}, "jwt": {"claims": None}}), None),
        # A Lambda authorizer may call its own fields what it likes.
        (
            rest({"principalId": "low", "iam": {"userArn": "arn:admin"}, "claims": {"sub": "x"}}),
            Caller("lambda", "low", {"iam": {"userArn": "arn:admin"}, "claims": {"sub": "x"}}),
        ),
        (
            authorized(event_2(), {"jwt": {"claims": CLAIMS, "scopes": "ab"}}),
            Caller("jwt", "anna", CLAIMS),
        ),
        (authorized(event_2(), {}), None),
        (authorized(event_1(), {"claims": None, "scopes": None}), None),
        (rest(), None),
        (event_2(), None),
        (lattice({"sourceVpcArn": "arn:aws:ec2:::vpc/vpc-1"}), None),
        # What a client can write itself is nobody's word.
        (balancer_event(headers={"x-amzn-oidc-identity": "anna", "x-amzn-oidc-data": "e30.e30.x"}), None),
        (event_2(headers={"authorization": "Bearer e30.eyJzdWIiOiJhbm5hIn0.x"}), None),
    ],
)  # fmt: skip
def test_the_caller_is_whom_the_front_let_in(
    event: dict[str, Any], expected: Caller | None
) -> None:
    found: list[Caller | None] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        found.append(caller(environ))
        start_response("204 No Content", [])
        return []

    async def asgi(scope: Any, _: Any, send: Any) -> None:
        found.append(caller(scope))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    handler = Handler(asgi, lifespan="off")
    assert Handler(app)(event, None)["statusCode"] == 204
    assert handler(event, None)["statusCode"] == 204
    handler.close()
    assert found == [expected, expected]


def test_an_iam_identity_of_a_rest_api_and_of_lattice_is_told_by_its_arn() -> None:
    event = rest(userArn="arn:aws:iam::111122223333:user/anna", accountId="111122223333")
    found = caller({"aws.event": event})
    assert found is not None
    assert (found.kind, found.id) == ("iam", "arn:aws:iam::111122223333:user/anna")
    assert found.claims["accountId"] == "111122223333"
    identity = {"type": "AWS_IAM", "principal": "arn:aws:sts::111122223333:assumed-role/r/s"}
    found = caller({"aws.event": lattice(identity)})
    assert found == Caller("iam", identity["principal"], identity)


def test_elsewhere_nobody_is_known() -> None:
    assert caller({"type": "http"}) is None
    assert caller({"aws.event": None}) is None
    assert caller({"aws.event": {"requestContext": []}}) is None
