import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from sunup import deadline
from sunup.adapter.loop import Loop, Overrun


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.settle(1)
    made.close()


async def answer() -> int:
    await asyncio.sleep(0)
    return 42


async def hang() -> None:
    await asyncio.sleep(100)


def test_after_one_that_ran_out_of_time_the_next_is_run_to_its_end(loop: Loop) -> None:
    for _ in range(3):
        with pytest.raises(Overrun):
            loop.run(hang(), 0.01)
        assert loop.run(answer(), 1) == 42


def test_a_stop_that_comes_late_ends_nothing(loop: Loop) -> None:
    loop.soon(loop._loop.stop)
    loop.soon(loop._loop.stop)
    assert loop.run(answer(), 1) == 42


def test_the_clean_up_of_a_cancelled_one_is_waited_for(loop: Loop) -> None:
    ended: list[str] = []

    async def careful() -> None:
        try:
            await hang()
        finally:
            await asyncio.sleep(0.05)
            ended.append("cleaned up")

    with pytest.raises(Overrun):
        loop.run(careful(), 0.01)
    assert ended == ["cleaned up"]
    assert not loop.busy


def test_one_that_does_not_end_is_left_behind_and_named(loop: Loop) -> None:
    let_go: list[bool] = []

    async def stubborn() -> None:
        while not let_go:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.02)

    began = time.monotonic()
    with pytest.raises(Overrun):
        loop.run(stubborn(), 0.01)
    assert time.monotonic() - began < deadline.CLEANUP + 0.1
    (left,) = loop.settle(0.01)
    assert "stubborn" in left
    assert loop.run(answer(), 1) == 42
    assert loop.settle(0.01) == []  # it is no longer the last one's
    let_go.append(True)
    loop.run(asyncio.sleep(0.05), 1)


def test_what_a_request_began_gets_a_bounded_time_after_it(loop: Loop) -> None:
    done: list[int] = []

    async def later(seconds: float) -> None:
        await asyncio.sleep(seconds)
        done.append(1)

    async def begin(seconds: float) -> None:
        task = asyncio.create_task(later(seconds), name="letter")
        task.set_name("letter")

    loop.run(begin(0.02), 1)
    assert loop.busy
    assert loop.settle(1) == []
    assert done == [1]
    loop.run(begin(0.3), 1)
    assert loop.settle(0.01) == [
        "letter (test_what_a_request_began_gets_a_bounded_time_after_it.<locals>.later)"
    ]
    loop.run(asyncio.sleep(0.4), 1)
    assert done == [1, 1]


def test_one_that_cancels_itself_did_not_run_out_of_time(loop: Loop) -> None:
    async def cancel_itself() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        loop.run(cancel_itself(), 1)
    assert loop.run(answer(), 1) == 42


def test_the_background_of_init_and_requests_take_turns(loop: Loop) -> None:
    started = loop.submit(answer())
    assert started.result(1) == 42
    assert loop.run(answer(), 1) == 42
    assert loop.submit(answer()).result(1) == 42
    assert loop.run(answer(), 1) == 42
