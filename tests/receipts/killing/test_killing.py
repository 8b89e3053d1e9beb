"""Exactly once, while a real PostgreSQL is killed; and that this would show where it does not hold.

Longer: `python -m tests.receipts.killing --posts 10000`.
"""

import pytest

from .scenarios import OVERTAKEN, SCENARIOS, Scenario, play
from .world import Options, in_batches, world

NAMED = [pytest.param(each, id=each.name) for each in SCENARIOS]


@pytest.mark.parametrize("scenario", NAMED)
def test_a_naive_way_fails(scenario: Scenario) -> None:
    broken, _ = play(scenario, scenario.implementation)
    assert scenario.invariant in {each.invariant for each in broken}


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
@pytest.mark.parametrize("scenario", NAMED)
def test_receipts_hold_where_a_naive_way_fails(scenario: Scenario, driver: str) -> None:
    broken, made = play(scenario, driver)
    assert broken == []
    assert made.ledger.lost  # the fault did happen


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_both_clients_are_told_what_was_committed_and_not_what_was_not(driver: str) -> None:
    broken, made = play(OVERTAKEN, driver, "twice at once")
    assert broken == []
    assert [each.status for each in made.posts[0].replies] == [201, 201]
    assert made.ledger.lost


def test_each_post_is_executed_once_whatever_is_killed() -> None:
    with world(Options(posts=40, storm=1.5, processes=4)) as made:
        assert in_batches(made, 40, lambda _: None) == []
        assert made.ask_again() == []
        assert made.ledger.lost
