"""The gateway lets in whom it should: tokens made, and requests signed, by libraries."""

import base64
import hashlib
import hmac
import http.client
import http.server
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives.asymmetric import rsa

from sunup.local.emulator import Emulator, GatewayOptions
from sunup.local.emulator.options import Authorization
from sunup.local.errors import CommandError
from sunup.local.testing import Emulate

ECHO = """
import json
def handler(event, context):
    return {"statusCode": 200, "headers": {"content-type": "application/json"},
            "body": json.dumps(event["requestContext"])}
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "lambda_function.py").write_text(ECHO)
    return tmp_path


def ask(aws: Emulator, token: str | None, kind: str = "Bearer ") -> httpx2.Response:
    headers = {} if token is None else {b"authorization": f"{kind}{token}".encode()}
    return httpx2.get(f"{aws.url}/x", headers=headers, timeout=20)


@pytest.fixture
def behind_jwt(emulate: Emulate, app: Path) -> Emulator:
    return emulate(app, gateway=GatewayOptions(authorization="JWT", jwt_audience=("users", "b")))


def test_a_good_token_s_claims_reach_the_function_as_text(behind_jwt: Emulator) -> None:
    aws = behind_jwt
    token = aws.token(sub="ada", n=5, admin=True, groups=["a", "b"], deep={"x": 1}, aud=["b", "c"])
    reply = ask(aws, token)
    found = reply.json()["authorizer"]["jwt"]
    assert (reply.status_code, found["scopes"]) == (200, None)
    assert found["claims"]["iss"] == aws.console_url
    del (
        found["claims"]["jti"],
        found["claims"]["iat"],
        found["claims"]["exp"],
        found["claims"]["iss"],
    )
    assert found["claims"] == {
        "sub": "ada", "aud": "[b c]", "n": "5", "admin": "true", "groups": "[a b]", "deep": '{"x": 1}',
    }  # fmt: skip
    assert ask(aws, aws.token(), kind="").status_code == 200
    assert ask(aws, aws.token(aud=None, client_id="users")).status_code == 200


def other_key(aws: Emulator, algorithm: str = "RS256", **header: str) -> str:
    key: Any = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if algorithm == "HS256":
        key = "x" * 32
    claims = {"iss": aws.console_url, "aud": "users", "exp": int(time.time()) + 60}
    kid = jwt.get_unverified_header(aws.token())["kid"]
    return jwt.encode(claims, key, algorithm, headers={"kid": kid, **header})


def unsigned(aws: Emulator, **header: Any) -> str:
    claims = {"iss": aws.console_url, "aud": "users", "exp": int(time.time()) + 60}
    parts = [json.dumps(each).encode() for each in (header, claims)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


@pytest.mark.parametrize(
    "make",
    [
        lambda aws: aws.token(exp=int(time.time()) - 1),
        lambda aws: aws.token(nbf=int(time.time()) + 60),
        lambda aws: aws.token(iss="https://other.example.com"),
        lambda aws: aws.token(aud="other"),
        lambda aws: aws.token(aud="other", client_id="users"),
        lambda aws: aws.token(aud=None),
        lambda aws: aws.token(exp=None),
        lambda aws: aws.token()[:-4] + "AAAA",
        lambda aws: aws.token().rpartition(".")[0] + ".",
        other_key,
        lambda aws: other_key(aws, "HS256"),
        lambda aws: other_key(aws, kid="other"),
        lambda _: "no.token.atall",
        lambda _: "x",
        lambda aws: unsigned(aws, alg="none"),
        lambda aws: unsigned(aws, alg="RS256", kid=["a"]),
        lambda aws: unsigned(aws, alg="RS256", kid="a\0\x0b\r\nb"),
        lambda _: "é" * 3,
    ],
)
def test_a_bad_token_is_a_401_starts_no_function_and_a_good_one_is_let_in_next(
    behind_jwt: Emulator, make: Any
) -> None:
    reply = ask(behind_jwt, make(behind_jwt))
    assert (reply.status_code, reply.json()) == (401, {"message": "Unauthorized"})
    assert reply.headers["www-authenticate"].startswith("Bearer")
    assert behind_jwt.state()["instances"] == []
    reasons = [
        each["error"] for each in behind_jwt.timeline.events if each["kind"] == "integration"
    ]
    assert reasons[0].startswith("not authorized: ")
    assert ask(behind_jwt, behind_jwt.token()).status_code == 200


def test_without_a_token_it_is_a_401(behind_jwt: Emulator) -> None:
    reply = ask(behind_jwt, None)
    assert (reply.status_code, reply.headers["www-authenticate"]) == (401, "Bearer")


def test_one_of_the_scopes_is_needed(emulate: Emulate, app: Path) -> None:
    options = GatewayOptions(authorization="JWT", jwt_scopes=("users.read", "users.write"))
    aws = emulate(app, gateway=options)
    reply = ask(aws, aws.token(scope="profile"))
    assert (reply.status_code, reply.json()) == (403, {"message": "Forbidden"})
    assert 'error="insufficient_scope"' in reply.headers["www-authenticate"]
    reply = ask(aws, aws.token(scope="profile users.read"))
    assert reply.json()["authorizer"]["jwt"]["scopes"] == ["users.read"]
    assert ask(aws, aws.token(scp=["users.write"])).status_code == 200
    assert ask(aws, aws.token(scope=5)).status_code == 403
    assert ask(aws, aws.token(scope={"users.read": 1})).status_code == 403


def test_payload_1_has_the_claims_one_level_higher(emulate: Emulate, app: Path) -> None:
    aws = emulate(app, gateway=GatewayOptions(authorization="JWT", payload="1.0"))
    found = ask(aws, aws.token(sub="ada")).json()["authorizer"]
    assert (found["claims"]["sub"], found["scopes"]) == ("ada", None)


def test_the_console_makes_tokens(behind_jwt: Emulator) -> None:
    token = httpx2.get(f"{behind_jwt.console_url}/token?sub=ada&scope=a%20b").text
    assert ask(behind_jwt, token).json()["authorizer"]["jwt"]["claims"]["scope"] == "a b"
    expired = httpx2.get(f"{behind_jwt.console_url}/token?exp=1").text
    assert ask(behind_jwt, expired).status_code == 401


def signed(aws: Emulator, body: bytes = b"", **changes: Any) -> dict[str, str]:
    """The headers of a request that botocore signed."""
    keys = aws.environ
    given = {
        "id": keys["AWS_ACCESS_KEY_ID"],
        "secret": keys["AWS_SECRET_ACCESS_KEY"],
        "token": keys["AWS_SESSION_TOKEN"],
        "region": "eu-central-1",
        "service": "execute-api",
        "path": "/a%20b?x=1&a=%C3%A4",
        **changes,
    }
    request = AWSRequest("POST", f"{aws.url}{given['path']}", {"x-own": "a  b"}, body)
    credentials = Credentials(given["id"], given["secret"], given["token"])
    SigV4Auth(credentials, given["service"], given["region"]).add_auth(request)
    return dict(request.headers)


@pytest.fixture
def behind_iam(emulate: Emulate, app: Path) -> Emulator:
    return emulate(app, gateway=GatewayOptions(authorization="AWS_IAM"))


def post(aws: Emulator, headers: dict[str, str], body: bytes = b"") -> httpx2.Response:
    return httpx2.post(f"{aws.url}/a%20b?x=1&a=%C3%A4", headers=headers, content=body, timeout=20)


def test_a_signed_request_s_identity_reaches_the_function(behind_iam: Emulator) -> None:
    reply = post(behind_iam, signed(behind_iam, b"body"), b"body")
    assert reply.status_code == 200
    found = reply.json()["authorizer"]["iam"]
    assert found["accessKey"] == behind_iam.environ["AWS_ACCESS_KEY_ID"]
    assert found["userArn"].startswith("arn:aws:sts::")


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": "x" * 30},
        {"id": "ASIAUNKNOWN"},
        {"token": "other"},
        {"region": "us-east-1"},
        {"service": "lambda"},
        {"path": "/a%20b?x=2"},
    ],
)
def test_a_request_that_is_signed_otherwise_is_a_403_and_a_good_one_is_let_in_next(
    behind_iam: Emulator, changes: dict[str, Any]
) -> None:
    reply = post(behind_iam, signed(behind_iam, **changes))
    assert (reply.status_code, reply.json()) == (403, {"message": "Forbidden"})
    assert behind_iam.state()["instances"] == []
    assert post(behind_iam, signed(behind_iam)).status_code == 200


def test_what_is_not_signed_or_changed_is_a_403(behind_iam: Emulator) -> None:
    assert post(behind_iam, {}).status_code == 403
    assert post(behind_iam, {"authorization": "AWS4-HMAC-SHA256 nonsense"}).status_code == 403
    assert post(behind_iam, signed(behind_iam), b"other body").status_code == 403
    assert post(behind_iam, signed(behind_iam) | {"x-own": "c"}).status_code == 403
    old = signed(behind_iam)
    behind_iam.do("credentials/revoke")
    assert post(behind_iam, old).status_code == 403


def test_the_terraform_module_s_words_are_the_emulator_s() -> None:
    text = Path("examples/users/terraform/variables.tf").read_text()
    for word in Authorization.__args__:  # type: ignore[attr-defined]
        assert f'"{word}"' in text


def raw(aws: Emulator, target: str, *headers: tuple[str, str | bytes]) -> tuple[int, Any]:
    """What httpx2 would put right is sent as it is."""
    host = aws.url.removeprefix("http://")
    connection = http.client.HTTPConnection("127.0.0.1", int(host.rpartition(":")[2]), timeout=20)
    connection.putrequest("POST", target, skip_host=True, skip_accept_encoding=True)
    for name, value in (("Host", host), *headers):
        connection.putheader(name, value)
    connection.endheaders()
    reply = connection.getresponse()
    found = reply.status, json.loads(reply.read())
    connection.close()
    return found


PATH = "/a%20b?x=1&a=%C3%A4"


def test_what_a_signature_does_not_cover_is_a_403_and_the_signed_request_is_let_in(
    behind_iam: Emulator,
) -> None:
    headers = [pair for pair in signed(behind_iam).items() if pair[0].lower() != "host"]
    changed = dict(headers)
    for target in (
        f"{PATH}#&role=root", "/a%20b#?x=1&a=%C3%A4", f"/{PATH}", f"/.{PATH}", f"/x/..{PATH}",
        f"xyz{PATH}", f"*{PATH}",
    ):  # fmt: skip
        assert raw(behind_iam, target, *headers)[0] in (400, 403), target
    for more in (
        [("X-Own", "evil"), *headers],
        [*headers, ("X-Own", "evil")],
        [*headers, ("X-Amz-Meta", "not signed")],
        [*headers, ("Authorization", "Basic x")],
        [*(changed | {"Authorization": changed["Authorization"][:-64] + "é" * 8}).items()],
    ):
        given = [(name, str(value).encode()) for name, value in more]
        assert raw(behind_iam, PATH, *given)[0] == 403, more
    assert raw(behind_iam, PATH, *headers)[0] == 200


def test_a_signed_header_may_be_unicode(behind_iam: Emulator) -> None:
    request = AWSRequest("POST", f"{behind_iam.url}{PATH}", {"x-city": "Łódź"}, b"")
    keys = behind_iam.environ
    credentials = Credentials(
        keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"], keys["AWS_SESSION_TOKEN"]
    )
    SigV4Auth(credentials, "execute-api", "eu-central-1").add_auth(request)
    given = [(name, str(value).encode()) for name, value in request.headers.items()]
    assert raw(behind_iam, PATH, *[pair for pair in given if pair[0].lower() != "host"])[0] == 200


def test_of_two_tokens_none_is_believed(behind_jwt: Emulator) -> None:
    good = ("Authorization", f"Bearer {behind_jwt.token()}")
    assert raw(behind_jwt, "/", ("Authorization", "Bearer bad"), good)[0] == 401
    assert raw(behind_jwt, "/", good, ("Authorization", "Bearer bad"))[0] == 401
    assert raw(behind_jwt, "/", good)[0] == 200


@pytest.mark.parametrize(("front", "authorization"), [("alb", "AWS_IAM"), ("alb", "JWT"), ("rest-api", "JWT")])  # fmt: skip
def test_an_authorizer_that_the_front_does_not_have_is_refused(
    front: Any, authorization: Any
) -> None:
    with pytest.raises(CommandError, match="has no"):
        GatewayOptions(front=front, authorization=authorization)


def test_the_console_refuses_numbers_that_are_none(behind_jwt: Emulator) -> None:
    for path in (
        "state?after=--5",
        f"state?after={'9' * 5000}",
        f"token?exp={'9' * 5000}",
        "token?exp=x",
    ):
        assert httpx2.get(f"{behind_jwt.console_url}/{path}").status_code == 400, path


def by_the_specification(aws: Emulator, headers: dict[str, str]) -> list[tuple[str, bytes]]:
    """SigV4 as AWS describes it, written out: which headers are signed is the signer's choice."""
    keys, moment = aws.environ, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    every = headers | {
        "host": aws.url.removeprefix("http://"),
        "x-amz-date": moment,
        "x-amz-security-token": keys["AWS_SESSION_TOKEN"],
    }
    names = ";".join(sorted(every))
    lines = [f"{name}:{re.sub(' +', ' ', every[name].strip(' '))}" for name in sorted(every)]
    empty = hashlib.sha256(b"").hexdigest()
    canonical = "\n".join(["POST", "/", "", *lines, "", names, empty])
    scope = f"{moment[:8]}/eu-central-1/execute-api/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{keys['AWS_SECRET_ACCESS_KEY']}".encode()
    for part in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"):
        key = hmac.digest(key, part.encode(), "sha256")
    every["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys['AWS_ACCESS_KEY_ID']}/{scope}, "
        f"SignedHeaders={names}, Signature={key.hex()}"
    )
    return [(name, value.encode()) for name, value in every.items() if name != "host"]


@pytest.mark.parametrize(
    "headers",
    [
        {"user-agent": "aws-sdk-java/1.12"},
        {"x-amzn-trace-id": "Root=1-6550a1b2-0123456789abcdef01234567"},
        {"te": "trailers", "expect": "", "x-own": "  a   b "},
        {"x-own": "a\u00a0b"},
        {"x-own": "a\u2003\u3000b"},
    ],
)
def test_a_signer_may_sign_any_header_and_only_blanks_are_folded(
    behind_iam: Emulator, headers: dict[str, str]
) -> None:
    headers = {name: value for name, value in headers.items() if value}
    assert raw(behind_iam, "/", *by_the_specification(behind_iam, headers))[0] == 200


@pytest.mark.parametrize("space", ["\u00a0", "\u2003", "\u3000", "\u0085", "\t"])
def test_another_space_is_not_what_was_signed(behind_iam: Emulator, space: str) -> None:
    signed_with = dict(by_the_specification(behind_iam, {"x-user": "a b"}))
    changed = signed_with | {"x-user": f"a{space}b".encode()}
    assert raw(behind_iam, "/", *changed.items())[0] == 403
    assert raw(behind_iam, "/", *signed_with.items())[0] == 200


@pytest.mark.parametrize(
    "options",
    [
        GatewayOptions(front="rest-api", authorization="AWS_IAM"),
        GatewayOptions(payload="1.0", authorization="AWS_IAM"),
    ],
)
def test_payload_1_names_the_identity_as_the_guide_does(
    emulate: Emulate, app: Path, options: GatewayOptions
) -> None:
    aws = emulate(app, gateway=options)
    reply = post(aws, signed(aws))
    identity = reply.json()["identity"]
    assert identity["caller"] == identity["user"] == "AROAEMULATOR:emulator"
    assert identity["userArn"].startswith("arn:aws:sts::")
    assert identity["accessKey"] == aws.environ["AWS_ACCESS_KEY_ID"]
    assert identity["sourceIp"] == "127.0.0.1"
    assert identity["cognitoIdentityId"] is None
    assert not {"callerId", "userId", "cognitoIdentity"} & set(identity)


@contextmanager
def provider(documents: Callable[[str], dict[str, bytes]]) -> Iterator[str]:
    """An OpenID provider of somebody else's: what it answers at each path, given its address."""

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n" + made[self.path])

        def log_message(self, *_: Any) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        url = f"http://localhost:{server.server_port}"
        made = documents(url)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield url
        finally:
            server.shutdown()
            thread.join()


def behind(emulate: Emulate, app: Path, issuer: str) -> Emulator:
    options = GatewayOptions(authorization="JWT", jwt_issuer=issuer, jwt_audience=("users",))
    return emulate(app, gateway=options)


DISCOVERY = "/.well-known/openid-configuration"


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512"])
def test_a_provider_s_keys_need_not_name_their_algorithm(
    emulate: Emulate, app: Path, algorithm: str
) -> None:
    """RFC 7517: `alg` is optional."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)

    def documents(url: str) -> dict[str, bytes]:
        return {
            DISCOVERY: json.dumps({"jwks_uri": f"{url}/keys"}).encode(),
            "/keys": json.dumps({"keys": [public | {"kid": "k", "use": "sig"}]}).encode(),
        }

    with provider(documents) as url:
        aws = behind(emulate, app, url)
        claims = {"iss": url, "aud": "users", "exp": time.time() + 60}
        token = jwt.encode(claims, key, algorithm=algorithm, headers={"kid": "k"})
        assert ask(aws, token).status_code == 200
        assert ask(aws, token[:-6]).status_code == 401


@pytest.mark.parametrize(
    "document", [b"{}", b"[]", b"null", b"<html>", b'{"jwks_uri": 5}', b"[" * 5000, b"\xff", b""]
)
def test_a_provider_s_document_that_is_none_is_a_401(
    emulate: Emulate, app: Path, document: bytes
) -> None:
    with provider(lambda _: {DISCOVERY: document}) as url:
        aws = behind(emulate, app, url)
        for _ in range(2):
            reply = ask(aws, other_key(aws, kid="k"))
            assert (reply.status_code, reply.json()) == (401, {"message": "Unauthorized"})
