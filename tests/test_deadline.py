import threading
import time

import pytest

from sunup import deadline

NOW = 1_800_000_000.0


def test_without_a_deadline_there_is_no_limit() -> None:
    assert deadline.at() is None
    assert deadline.remaining() == deadline.NEVER


def test_within_limits_what_runs_inside_and_nothing_after() -> None:
    with deadline.within(5):
        assert 4.9 < deadline.remaining() <= 5
    assert deadline.remaining() == deadline.NEVER


def test_an_inner_deadline_cannot_lengthen_an_outer_one() -> None:
    with deadline.within(1), deadline.within(60):
        assert deadline.remaining() <= 1
    with deadline.within(60), deadline.within(1):
        assert deadline.remaining() <= 1


def test_a_deadline_that_has_passed_leaves_nothing() -> None:
    with deadline.until(time.time() - 10):
        assert deadline.remaining() == 0


def test_other_threads_have_deadlines_of_their_own() -> None:
    seen: list[float] = []
    with deadline.within(5):
        thread = threading.Thread(target=lambda: seen.append(deadline.remaining()))
        thread.start()
        thread.join()
    assert seen == [deadline.NEVER]


@pytest.mark.parametrize(
    ("remaining_ms", "started_ago", "expected"),
    [
        (60_000, 0, 29),  # the gateway gives up first, 1 s is left for the answer
        (10_000, 0, 9),  # the function ends first
        (60_000, 20, 9),  # the event waited: the gateway counts from its own start
        (60_000, 29.5, 0),  # less than the margin is left
        (60_000, 31, 59),  # nobody waits any more: a replayed or a console's test event
        (60_000, 1e9, 59),
        (60_000, -100, 29),  # a gateway's clock that is ahead grants no more
        (60_000, None, 59),  # a function URL
    ],
)
def test_the_deadline_is_the_earlier_of_the_function_s_and_the_gateway_s_end(
    remaining_ms: int, started_ago: float | None, expected: float
) -> None:
    limit = deadline.of_invocation(
        now=NOW,
        remaining_ms=remaining_ms,
        gateway_started_ms=None if started_ago is None else int((NOW - started_ago) * 1000),
        gateway_timeout=30,
        margin=1,
    )
    assert limit is not None
    assert limit - NOW == pytest.approx(expected, abs=0.01)


def test_without_any_limit_there_is_no_deadline() -> None:
    assert deadline.of_invocation(now=NOW) is None
