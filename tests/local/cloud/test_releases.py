"""Releases on moto's Lambda, which gives revisions as Lambda does."""

from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest

from sunup.local.cloud.releases import Live, Origin, Releases
from sunup.local.errors import CommandError
from tests.local.cli.cloud import like_lambda, moto_server

EMPTY = b"PK\x05\x06" + b"\0" * 18


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    like_lambda(monkeypatch)
    with moto_server(monkeypatch):
        session = botocore.session.Session()
        role = session.create_client("iam").create_role(
            RoleName="x", AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}'
        )
        made = session.create_client("lambda")
        made.create_function(
            FunctionName="users",
            Runtime="python3.13",
            Role=role["Role"]["Arn"],
            Handler="a.b",
            Code={"ZipFile": EMPTY},
        )
        made.create_alias(FunctionName="users", Name="live", FunctionVersion="$LATEST")
        yield made


@pytest.fixture
def releases(client: Any) -> Releases:
    return Releases(client, "users", "live")


def publish(client: Any, releases: Releases, description: str | None = None) -> int:
    client.update_function_code(FunctionName="users", ZipFile=EMPTY)
    sha256 = client.get_function_configuration(FunctionName="users")["CodeSha256"]
    if description is None:
        return releases.publish(sha256, Origin("abc", by="me", heads=("0001",)))
    return int(client.publish_version(FunctionName="users", Description=description)["Version"])


class Forgetful:
    """Lambda whose answer to UpdateAlias is lost, so that botocore asks a second time."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def update_alias(self, **arguments: Any) -> Any:
        self._client.update_alias(**arguments)
        return self._client.update_alias(**arguments)


def test_an_alias_whose_answer_was_lost_has_been_moved(client: Any, releases: Releases) -> None:
    publish(client, releases)
    publish(client, releases)
    forgetful = Releases(Forgetful(client), "users", "live")
    forgetful.point(forgetful.live(), 1)
    forgetful.point(forgetful.live(), 1, {"2": 0.1})
    assert (releases.live().version, releases.live().weights) == ("1", {"2": 0.1})
    stale = releases.live()
    releases.point(stale, 2)
    with pytest.raises(CommandError, match="somebody else has deployed users"):
        releases.point(stale, 1)
    releases.point(releases.live(), 1)
    assert releases.live().version == "1"


@pytest.mark.parametrize(
    ("moves", "before"),
    [
        ([1], ()),
        ([1, 2, 3], (1, 2)),
        ([1, 2, 3, 2], (1,)),  # back
        ([1, 2, 3, 2, 4], (1, 2)),
        ([1, 2, 3, 1, 3], (1,)),
        ([1, 1], ()),
        (list(range(1, 20)), tuple(range(9, 19))),
    ],
)
def test_what_was_live_before_is_remembered(moves: list[int], before: tuple[int, ...]) -> None:
    live = Live("$LATEST", "r", {})
    for number in moves:
        live = Live(str(number), "r", {}, live.moved(number))
    assert live.before == before


@pytest.mark.parametrize(
    "description",
    [
        "",
        "by hand",
        "[1]",
        '{"sunup":1,"commit":null,"by":"x","heads":[]}',
        '{"sunup":1,"commit":"a","by":5,"heads":[]}',
        '{"sunup":1,"commit":"a","by":"x","heads":"0004"}',
    ],
)
def test_versions_of_somebody_else_are_listed_and_left_alone(
    client: Any, releases: Releases, description: str
) -> None:
    publish(client, releases, description)
    for _ in range(3):
        publish(client, releases)
    releases.point(releases.live(), 4)
    assert [each.origin.ours for each in releases.listed()] == [True, True, True, False]
    assert releases.prune(2) == [2]
    assert [each.number for each in releases.listed()] == [4, 3, 1]
