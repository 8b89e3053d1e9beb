import gc
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from sunup.adapter import startup
from sunup.local.testing import Emulate

# Where the C library keeps the environment: what a thread in getenv(3) is reading.
READING = """
import ctypes, os
from sunup import Handler

def place():
    return ctypes.c_void_p.in_dll(ctypes.CDLL(None), "environ").value

first = place()

async def app(scope, receive, send):
    told = f"{place() == first} {os.environ['_X_AMZN_TRACE_ID'][:5]}"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": told.encode()})

handler = Handler(app, lifespan="off")
"""


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


@pytest.mark.parametrize("more", [{}, {"ONE": "1"}, {"ONE": "1", "TWO": "2"}])
def test_the_environment_does_not_move_under_a_thread_that_reads_it(
    emulate: Emulate, tmp_path: Path, more: dict[str, str]
) -> None:
    # The C library grows it by two words at a time: one more variable, and it may stay by chance.
    (tmp_path / "lambda_function.py").write_text(READING)
    aws = emulate(tmp_path, environ=more)
    assert [httpx2.get(aws.url).text for _ in range(3)] == ["True Root="] * 3
