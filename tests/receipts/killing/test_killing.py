"""Exactly once, while a real PostgreSQL is killed; and that this would show where it does not hold.

Longer: `python -m tests.receipts.killing --posts 10000`.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .cluster import Cluster
from .drivers import DRIVERS
from .scenarios import ANSWER_LOST, OVERTAKEN, SCENARIOS, SETTINGS, Scenario, play
from .site import running
from .world import Options, in_batches, world

NAMED = [pytest.param(each, id=each.name) for each in SCENARIOS]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with (
        tempfile.TemporaryDirectory(prefix="sunup-killing-") as name,
        running(Path(name), SETTINGS) as made,
    ):
        yield made


@pytest.mark.parametrize("scenario", NAMED)
def test_a_naive_way_fails(cluster: Cluster, scenario: Scenario) -> None:
    broken, _ = play(scenario, scenario.implementation, cluster)
    assert scenario.invariant in {each.invariant for each in broken}


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
@pytest.mark.parametrize("scenario", NAMED)
def test_receipts_hold_where_a_naive_way_fails(
    cluster: Cluster, scenario: Scenario, driver: str
) -> None:
    broken, made = play(scenario, driver, cluster)
    assert broken == []
    assert made.ledger.lost  # the fault did happen


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_both_clients_are_told_what_was_committed_and_not_what_was_not(
    cluster: Cluster, driver: str
) -> None:
    broken, made = play(OVERTAKEN, driver, cluster, "twice at once")
    assert broken == []
    assert [each.status for each in made.posts[0].replies] == [201, 201]
    assert made.ledger.lost


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_work_whose_answer_is_not_kept_is_not_done_twice_for_one_request(
    cluster: Cluster, driver: str
) -> None:
    broken, made = play(ANSWER_LOST, driver, cluster, "gives up", "/limited")
    assert broken == []
    assert [each.status for each in made.posts[0].replies] == [429]


def test_each_post_is_executed_once_whatever_is_killed(cluster: Cluster) -> None:
    options = Options(posts=40, storm=1.5, processes=len(DRIVERS), drivers=tuple(DRIVERS))
    with world(options, cluster=cluster) as made:
        assert in_batches(made, 40, lambda _: None) == []
        assert made.ask_again() == []
        assert made.ledger.lost
