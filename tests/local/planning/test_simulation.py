"""The simulation against arithmetic: formulas of one request, and of requests that come by chance."""

import math
import random
from dataclasses import replace

import pytest

from sunup.local.planning import App, Arrivals, Range, Run, Setup, Traffic, simulate
from sunup.local.planning.traffic import CRAWLER, DAY, PING, VISIT, WAKE, WEEK, Burst

# Nothing by chance, and nothing that takes time but what is looked at.
PLAIN = Setup(
    app=App(init=0.0, processor=0.0, first_processor=0.0, queries=0.0, connect_processor=0.0, connect_trips=0.0),
    resume=Range.exactly(15),
    deep_resume=Range.exactly(35),
    instance_idle=Range.exactly(600),
    spread=0.0,
)  # fmt: skip


def run(setup: Setup, *times: float, kind: int = VISIT, seconds: float = DAY) -> Run:
    return simulate(setup, Arrivals(list(times), [kind] * len(times), seconds), random.Random(1))


def test_a_lone_request_keeps_it_awake_for_the_resume_the_session_and_the_pause() -> None:
    found = run(PLAIN, 1000.0)
    assert found.awake_seconds == pytest.approx(15 + 60 + 300 + PLAIN.pausing)
    ((at, length),) = found.waits
    assert (at, round(length, 6)) == (1000.0, 15)
    assert found.cold_starts == found.logins == found.instances == found.connections == 1
    assert found.billed_seconds == pytest.approx(15)


def test_a_second_request_is_served_by_the_same_session() -> None:
    found = run(PLAIN, 1000.0, 1030.0)
    assert found.awake_seconds == pytest.approx(30 + 60 + 300 + PLAIN.pausing)
    assert len(found.waits) == 1
    assert found.logins == 1


def test_after_the_session_has_ended_it_connects_anew_without_a_wait() -> None:
    found = run(PLAIN, 1000.0, 1200.0)
    assert (found.logins, found.cold_starts, len(found.waits)) == (2, 1, 1)


def test_after_the_pause_it_is_woken_again() -> None:
    found = run(PLAIN, 1000.0, 2000.0)
    assert [round(length) for _, length in found.waits] == [15, 15]
    assert len(found.awake) == 2


def test_a_day_of_sleep_makes_it_wake_slowly_and_that_is_a_503_first() -> None:
    first, second = 1000.0, 1000.0 + 2 * DAY
    found = run(PLAIN, first, second, seconds=3 * DAY)
    # 29 s are the deadline, 5 s later it comes again: awake at 35 s.
    assert found.failures == {"database_resuming": 1}
    at, length = found.waits[-1]
    assert (at, round(length, 6)) == (second, 35)
    assert (found.refused, found.lost) == (1, 0)
    # And a plain request after it is a plain success.
    after = run(PLAIN, first, second, second + 40, seconds=3 * DAY)
    assert len(after.waits) == len(found.waits)


def test_who_does_not_come_again_is_lost_and_his_login_holds_it_for_a_minute() -> None:
    setup = replace(PLAIN, resume=Range.exactly(40), repeats=False)
    found = run(setup, 1000.0)
    # Who gives up has waited, too.
    ((_, length),) = found.waits
    assert (found.lost, round(length)) == (1, 29)
    assert found.awake_seconds == pytest.approx(40 + 60 + 300 + PLAIN.pausing)


def test_a_login_that_waits_ends_with_its_instance() -> None:
    setup = replace(PLAIN, resume=Range.exactly(40), repeats=False, instance_idle=Range.exactly(20))
    # Frozen at 29 s, ended at 49 s; the second request finds no instance.
    found = run(setup, 1000.0, 5000.0)
    assert found.cold_starts == 2
    assert found.awake_seconds == pytest.approx(2 * (49 + 300 + PLAIN.pausing))


def test_requests_that_come_by_chance_are_as_renewal_theory_has_them() -> None:
    """Of a Poisson process: a cycle is a wake, and ends with the first gap longer than H."""
    mean_gap = 400.0
    held, resume = 60 + 300 + PLAIN.pausing, 15.0
    seconds = 2000 * DAY
    arrivals = Traffic(weekly=WEEK / mean_gap).arrivals(random.Random(7), 0.0, seconds)
    found = simulate(PLAIN, arrivals, random.Random(1))
    rate = 1 / mean_gap
    in_a_cycle = math.exp(rate * held) + rate * resume
    assert len(found.awake) / len(arrivals.times) == pytest.approx(1 / in_a_cycle, rel=0.01)
    waiting = (1 + rate * resume) / in_a_cycle
    assert len(found.waits) / len(arrivals.times) == pytest.approx(waiting, rel=0.01)
    # (e^(H x rate) - 1) / rate after the resume, until the end of the pause.
    cycle = resume + (math.exp(rate * held) - 1) / rate
    share = cycle / (in_a_cycle * mean_gap)
    assert found.awake_seconds / seconds == pytest.approx(share, rel=0.01)


@pytest.mark.parametrize(("every", "asleep"), [(300, False), (400, True)])
def test_a_monitor_keeps_it_awake_when_it_asks_often_enough(every: float, asleep: bool) -> None:
    times = [float(at) for at in range(1000, int(DAY), int(every))]
    found = run(PLAIN, *times, kind=PING)
    assert (len(found.awake) > 1) is asleep
    assert found.waits == []  # nobody's


def test_it_never_sleeps_where_it_does_not_pause() -> None:
    found = run(replace(PLAIN, pause_after=None), 1000.0, 50_000.0)
    assert found.awake_seconds == DAY
    assert found.waits == []


def test_dsql_has_no_sleep() -> None:
    found = run(replace(PLAIN, engine="dsql"), 1000.0)
    assert found.waits == []


def test_sessions_that_never_end_last_as_long_as_their_instance() -> None:
    found = run(replace(PLAIN, idle_session_timeout=0.0), 1000.0)
    assert found.awake_seconds == pytest.approx(15 + 600 + 300 + PLAIN.pausing)


def test_who_finds_no_instance_left_comes_again() -> None:
    found = run(replace(PLAIN, concurrency=1), 1000.0, 1001.0)
    assert found.failures["throttled"] > 0
    assert found.lost == 0 or found.failures["throttled"] >= 8
    # Awake: no instance is busy any more.
    assert run(replace(PLAIN, concurrency=1), 1000.0, 1020.0).failures == {}


def test_who_finds_no_connection_left_waits_for_one_until_the_deadline() -> None:
    app = replace(PLAIN.app, queries=0.01)
    setup = replace(PLAIN, app=app, max_connections=1, pause_after=None)
    # Both at once: the other's session ends after a minute only.
    found = run(setup, 1000.0, 1000.0)
    assert found.connections == 1
    assert found.failures["database_full"] >= 1
    assert found.lost == 0


def test_a_wake_spares_people_the_wait() -> None:
    arrivals = Arrivals([1000.0, 1060.0], [WAKE, VISIT], DAY)
    found = simulate(PLAIN, arrivals, random.Random(1))
    assert found.waits == []
    assert (found.at_gateway, found.invocations) == (1, 2)


def test_crawlers_wake_it_and_wait_for_themselves() -> None:
    found = run(PLAIN, 1000.0, kind=CRAWLER)
    assert found.awake_seconds > 300
    assert found.waits == []


def test_memory_makes_work_quicker() -> None:
    app = replace(PLAIN.app, processor=0.1)
    slow = run(replace(PLAIN, app=app, memory=128), 1000.0, 1030.0)
    quick = run(replace(PLAIN, app=app, memory=3538), 1000.0, 1030.0)
    assert slow.billed_seconds - 15 == pytest.approx(2 * 0.1 * 1769 / 128)
    assert quick.billed_seconds - 15 == pytest.approx(0.2)  # one thread has one processor


def test_the_same_chance_is_the_same_run() -> None:
    traffic = Traffic(weekly=500)
    runs = [
        simulate(Setup(), traffic.arrivals(random.Random(3), 0, WEEK), random.Random(4))
        for _ in range(2)
    ]
    assert runs[0] == runs[1]


def test_a_slow_start_is_no_wait_for_the_database() -> None:
    app = replace(PLAIN.app, init=2.0, queries=1.0)
    assert run(replace(PLAIN, app=app, engine="dsql"), 1000.0).waits == []
    awake = run(replace(PLAIN, app=app, pause_after=None), 1000.0)
    assert awake.waits == []


def test_fewer_instances_never_look_better() -> None:
    traffic = Traffic(weekly=200, bursts=(Burst(100, 9),))
    runs = [
        simulate(
            replace(Setup(), concurrency=most),
            traffic.arrivals(random.Random(1), 0, 4 * WEEK),
            random.Random(1),
        )
        for most in (1, 10, 100)
    ]
    lost = [each.lost for each in runs]
    assert lost == sorted(lost, reverse=True)
    assert lost[0] > 0


def test_nothing_comes_and_nothing_happens() -> None:
    found = run(PLAIN)
    assert (found.awake_seconds, found.invocations, found.waits) == (0, 0, [])
