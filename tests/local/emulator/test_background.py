import asyncio

import pytest

from sunup.local.emulator import background
from sunup.local.emulator.background import Background


def test_a_task_that_loses_its_cancellation_is_cancelled_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background, "_AGAIN", 0.05)
    met = 0

    async def work() -> None:
        nonlocal met
        while met < 2:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                met += 1

    async def main() -> None:
        tasks = Background()
        tasks.start(work())
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await tasks.stop()
            await tasks.stop()  # nothing is left

    asyncio.run(main())
    assert met == 2


def test_what_a_task_does_at_its_end_is_waited_for() -> None:
    done: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.1)
            done.append("in order")
            raise OSError("nobody asks for it")

    async def main() -> None:
        tasks = Background()
        tasks.start(work())
        await asyncio.sleep(0)
        await tasks.stop()

    asyncio.run(main())
    assert done == ["in order"]
