"""A gradual shift: a new release gets a part of the requests first, with the alarms as judges."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sunup.local.aws import explained
from sunup.local.errors import CommandError

from .releases import Live, Releases

# Seconds between two looks at the alarms.
_POLL = 10.0


@dataclass(frozen=True)
class Canary:
    """`share` of the requests, 0 to 1, for `seconds`."""

    share: float
    seconds: float = 600.0

    @classmethod
    def parse(cls, text: str, seconds: float) -> "Canary":
        """From "10%". Raises `CommandError`."""
        try:
            percent = float(text.strip().removesuffix("%"))
        except ValueError:
            percent = 0.0
        if not 0 < percent < 100:
            raise CommandError(
                f"--canary {text!r} is not a percentage",
                "Pass a share of the requests, such as --canary 10%.",
            )
        return cls(percent / 100, seconds)


class Alarms:
    """CloudWatch's alarms of one deployment. `client` is botocore's for CloudWatch."""

    def __init__(self, client: Any, names: list[str]) -> None:
        self._cloudwatch = client
        self._names = names

    def ringing(self) -> list[str]:
        """Those that are in the state ALARM. Raises `CommandError`."""
        if not self._names:
            return []
        with explained("read the alarms"):
            found = self._cloudwatch.describe_alarms(
                AlarmNames=self._names, AlarmTypes=["MetricAlarm", "CompositeAlarm"]
            )
        alarms = [*found.get("MetricAlarms", []), *found.get("CompositeAlarms", [])]
        gone = {*self._names} - {each["AlarmName"] for each in alarms}
        if gone:
            raise CommandError(
                f"the alarm {', '.join(sorted(gone))} no longer exists, so nothing can judge the "
                "release",
                "Run terraform apply to create it again.",
            )
        return sorted(each["AlarmName"] for each in alarms if each["StateValue"] == "ALARM")

    def check(self) -> None:
        """Raise `CommandError` where they could not judge."""
        if not self._names:
            raise CommandError(
                "--canary has no alarms to judge by",
                "Set alarms = true in the Terraform variables, apply once, and deploy again.",
            )
        ringing = self.ringing()
        if ringing:
            raise CommandError(
                f"--canary cannot judge: {', '.join(ringing)} is already in alarm",
                "Fix that first, or deploy without --canary.",
            )


def shift(
    releases: Releases,
    alarms: Alarms,
    live: Live,
    number: int,
    canary: Canary,
    tell: Callable[[str], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Give `number` its share, wait, and give it all; take it back where an alarm goes off.

    Also when this is interrupted. Raises `CommandError`.
    """
    old = live.number
    if old is None or old == number:
        releases.point(live, number)
        return
    try:
        releases.point(live, old, {str(number): canary.share})
        until = clock() + canary.seconds
        while (left := until - clock()) > 0:
            tell(f"Release {number} has {canary.share:.0%} of the requests for {left:.0f} s more")
            sleep(min(_POLL, left))
            _ours(releases, old, number)
            ringing = alarms.ringing()
            if ringing:
                raise CommandError(  # noqa: TRY301
                    f"release {number} was taken back: {', '.join(ringing)} went into alarm",
                    f"Release {old} is live. sunup logs --errors shows what went wrong.",
                )
        releases.point(_ours(releases, old, number), number)
    except BaseException:
        # Not where somebody else has moved the alias meanwhile.
        now = releases.live()
        if now.version == str(old) and str(number) in now.weights:
            _take_back(releases, now, old, number)
        raise


def _take_back(releases: Releases, now: Live, old: int, number: int) -> None:
    try:
        releases.point(now, old)
    except CommandError as error:
        share = f"{now.share(number):.0%}"
        raise CommandError(
            f"release {number} still has {share} of the requests, though it failed: {error.what}",
            "Run sunup rollback to end that.",
        ) from error


def _ours(releases: Releases, old: int, number: int) -> Live:
    """The alias, where the shift is still under way: a rollback or another deployment ends it."""
    now = releases.live()
    if now.version != str(old) or set(now.weights) != {str(number)}:
        raise CommandError(
            f"somebody else ended the gradual shift of release {number}: {now.version} is live",
            "See sunup releases. Run the command again to deploy yours.",
        )
    return now
