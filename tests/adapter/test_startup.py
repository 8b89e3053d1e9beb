import gc
from collections.abc import Iterator

import pytest

from sunup.adapter import startup


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    startup.end()
    gc.set_threshold(*before)
    gc.enable()
    gc.unfreeze()


def test_the_collector_rests_while_the_app_is_imported_and_works_after() -> None:
    gc.set_threshold(700, 11, 12)
    startup.begin()
    assert gc.get_threshold()[0] >= 50_000
    startup.end()
    assert gc.get_threshold() == (700, 11, 12)
    assert gc.get_freeze_count() > 1000


def test_an_app_that_sets_the_threshold_during_its_import_is_obeyed() -> None:
    startup.begin()
    gc.set_threshold(5, 5, 5)
    startup.end()
    assert gc.get_threshold() == (5, 5, 5)
    assert gc.get_freeze_count() == 0


def test_a_collector_that_is_off_stays_off() -> None:
    gc.disable()
    startup.begin()
    startup.end()
    assert not gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_ending_without_a_beginning_changes_nothing() -> None:
    before = gc.get_threshold()
    startup.end()
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)
