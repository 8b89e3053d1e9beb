"""Two thousand logical POSTs; and that what is naive is seen to break."""

import logging
import warnings
from collections.abc import Iterator

import pytest

from .naive import OwnTransaction
from .repeating import Counts, run
from .sequences import Broken


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def test_each_logical_post_is_there_once_and_its_client_gets_one_answer() -> None:
    total = Counts()
    for seed in range(50):
        total.add(run(seed))
    assert total.posts == 2000
    # What it is about has happened.
    assert total.lost_commits > 1
    assert total.unheard > 3
    assert total.waits > 500
    assert total.replays > 1500


def test_a_key_in_its_own_transaction_gets_stuck() -> None:
    with pytest.raises(Broken, match=r"stuck|exactly once"):
        for seed in range(20):
            run(seed, OwnTransaction)


def test_without_a_fence_a_late_commit_makes_it_twice() -> None:
    with pytest.raises(Broken, match=r"exactly once|the same answer"):
        for seed in range(100):
            run(seed, unique=False)
