"""A gradual shift on moto's Lambda and CloudWatch."""

from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest

from sunup.local.cloud.releases import Origin, Releases
from sunup.local.cloud.shifting import Alarms, Canary, shift
from sunup.local.errors import CommandError
from tests.local.cli.cloud import like_lambda, moto_server

CANARY = Canary(0.1, seconds=30)


class Cloud:
    """A function with two releases, the first of which is live, and an alarm."""

    def __init__(self) -> None:
        session = botocore.session.Session()
        role = session.create_client("iam").create_role(
            RoleName="x", AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}'
        )
        self.function = session.create_client("lambda")
        self.function.create_function(
            FunctionName="users",
            Runtime="python3.13",
            Role=role["Role"]["Arn"],
            Handler="a.b",
            Code={"ZipFile": b"PK\x05\x06" + b"\0" * 18},
        )
        self.function.create_alias(FunctionName="users", Name="live", FunctionVersion="$LATEST")
        self.releases = Releases(self.function, "users", "live")
        self.publish()
        self.releases.point(self.releases.live(), 1)
        self.publish()
        self.cloudwatch = session.create_client("cloudwatch")
        self.cloudwatch.put_metric_alarm(
            AlarmName="errors", Namespace="n", MetricName="m", Statistic="Sum", Period=60,
            EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold",
        )  # fmt: skip
        self.alarms = Alarms(self.cloudwatch, ["errors"])
        self.ring("OK")
        self.seen: list[float] = []

    def publish(self) -> int:
        self.function.update_function_code(FunctionName="users", ZipFile=b"PK\x05\x06" + b"\0" * 18)
        now = self.function.get_function_configuration(FunctionName="users")
        return self.releases.publish(now["CodeSha256"], Origin("abc", by="me", heads=("1",)))

    def ring(self, state: str) -> None:
        self.cloudwatch.set_alarm_state(AlarmName="errors", StateValue=state, StateReason="test")

    def shift(self, during: Any = lambda: None) -> None:
        clock = iter([0.0, 0.0, 10.0, 20.0, 30.0])

        def sleep(_: float) -> None:
            self.seen.append(self.releases.live().share(2))
            during()

        live = self.releases.live()
        shift(
            self.releases, self.alarms, live, 2, CANARY, sleep=sleep, clock=lambda: next(clock)
        )  # fmt: skip


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    like_lambda(monkeypatch)
    with moto_server(monkeypatch):
        yield Cloud()


def test_a_release_gets_a_share_first_and_then_all(cloud: Cloud) -> None:
    cloud.shift()
    assert cloud.seen == [0.1, 0.1, 0.1]
    assert (cloud.releases.live().version, cloud.releases.live().weights) == ("2", {})


def test_an_alarm_takes_it_back(cloud: Cloud) -> None:
    with pytest.raises(CommandError, match="release 2 was taken back: errors went into alarm"):
        cloud.shift(lambda: cloud.ring("ALARM"))
    assert cloud.seen == [0.1]
    assert (cloud.releases.live().version, cloud.releases.live().weights) == ("1", {})
    with pytest.raises(CommandError, match="errors is already in alarm"):
        cloud.alarms.check()
    cloud.ring("OK")
    cloud.alarms.check()
    cloud.shift()
    assert cloud.releases.live().version == "2"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interruption_takes_it_back(cloud: Cloud, error: type[BaseException]) -> None:
    def interrupted() -> None:
        raise error

    with pytest.raises(error):
        cloud.shift(interrupted)
    assert (cloud.releases.live().version, cloud.releases.live().weights) == ("1", {})
    cloud.shift()
    assert cloud.releases.live().version == "2"


def test_what_somebody_else_made_live_meanwhile_stays(cloud: Cloud) -> None:
    third = cloud.publish()

    def deploy() -> None:
        cloud.releases.point(cloud.releases.live(), third)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cloud.shift(deploy)
    assert cloud.releases.live().version == str(third)


@pytest.mark.parametrize(("live", "after"), [("1", 1), ("1", 3), ("3", 1), ("3", 3)])
def test_a_rollback_or_a_deployment_ends_a_shift_that_is_under_way(
    cloud: Cloud, live: str, after: int
) -> None:
    cloud.publish()

    def by_somebody_else() -> None:
        if len(cloud.seen) == after:  # 3: while it sleeps for the last time
            cloud.releases.point(cloud.releases.live(), int(live))

    with pytest.raises(CommandError, match=f"ended the gradual shift of release 2: {live} is live"):
        cloud.shift(by_somebody_else)
    assert (cloud.releases.live().version, cloud.releases.live().weights) == (live, {})
    cloud.releases.point(cloud.releases.live(), 1)
    cloud.shift()
    assert cloud.releases.live().version == "2"


def test_an_alarm_that_is_gone_does_not_judge(cloud: Cloud) -> None:
    cloud.cloudwatch.delete_alarms(AlarmNames=["errors"])
    with pytest.raises(CommandError, match="the alarm errors no longer exists"):
        cloud.alarms.check()


def test_a_release_that_could_not_be_taken_back_is_named(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise CommandError("cannot move the alias: Rate exceeded")

    def ring() -> None:
        cloud.ring("ALARM")
        monkeypatch.setattr(cloud.releases, "point", refused)

    with pytest.raises(CommandError, match=r"release 2 still has 10% .*Rate exceeded") as raised:
        cloud.shift(ring)
    assert "sunup rollback" in raised.value.cure
    assert "errors went into alarm" in str(raised.value.__context__) or raised.value.__cause__
    monkeypatch.undo()


def test_without_alarms_nobody_could_judge(cloud: Cloud) -> None:
    with pytest.raises(CommandError, match="no alarms to judge by"):
        Alarms(cloud.cloudwatch, []).check()


@pytest.mark.parametrize(("text", "share"), [("10%", 0.1), ("5", 0.05), (" 99.5 % ", 0.995)])
def test_a_share_is_a_percentage(text: str, share: float) -> None:
    assert Canary.parse(text, 60).share == pytest.approx(share)
    for wrong in ("0", "100%", "ten", "-1", "nan"):
        with pytest.raises(CommandError, match="is not a percentage"):
            Canary.parse(wrong, 60)


def test_an_origin_is_read_back_and_others_are_empty() -> None:
    origin = Origin("1a2b3c4d5e6f", changed=True, by="Łódź" * 30, heads=("0001", "0002"))
    assert len(origin.description) <= 256
    assert Origin.parse(origin.description).heads == ("0001", "0002")
    assert Origin.parse(origin.description).changed
    for text in ("", "by hand", "[]", '{"sunup": 1}', "null"):
        assert Origin.parse(text) == Origin(ours=False)
