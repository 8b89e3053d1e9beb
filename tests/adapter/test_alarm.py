"""pytest-timeout has this process's alarm: each case runs in a process of its own."""

import subprocess
import sys
import textwrap

import pytest

PRELUDE = """
import contextlib, logging, threading, time
from sunup.adapter import alarm
from sunup.deadline import DeadlineExceeded

def call(app, seconds=0.1):
    alarm.arm(seconds, (call.__code__,))
    try:
        return app()
    finally:
        alarm.disarm()

def block(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)
"""


def run(body: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(body)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_app_that_blocks_is_ended_and_the_next_one_is_not() -> None:
    assert (
        run("""
        for _ in range(3):
            try:
                call(lambda: block(5))
            except DeadlineExceeded:
                print("ended", alarm.rang())
            print(call(lambda: "answer", 5))
            time.sleep(0.2)
        """)
        == "ended True\nanswer\n" * 3
    )


def test_except_exception_does_not_swallow_it_and_one_that_does_gets_it_again() -> None:
    assert (
        run("""
        def app():
            while True:
                try:
                    block(5)
                except Exception:
                    print("swallowed")
        try:
            call(app)
        except DeadlineExceeded:
            print("ended")

        rings = []
        def stubborn():
            while len(rings) < 3:
                try:
                    block(5)
                except BaseException as error:
                    rings.append(error)
        call(stubborn)
        print(len(rings))
        """)
        == "ended\n3\n"
    )


CLEAN_UPS = {
    "finally": "def app():\n    try: block(5)\n    finally: block(0.5); print('cleaned up')",
    "except": """
def app():
    try: block(5)
    except BaseException: block(0.5); print('cleaned up'); raise""",
    "with": """
class Block:
    def __enter__(self): pass
    def __exit__(self, *_): block(0.5); print('cleaned up')
def app():
    with Block(): block(5)""",
    "an orderly end": """
class Block:
    def __enter__(self): pass
    def __exit__(self, *_): block(0.5); print('cleaned up')
def app():
    with Block(): pass
    block(5)""",
    "context manager": """
@contextlib.contextmanager
def manager():
    try: yield
    finally: block(0.5); print('cleaned up')
def app():
    with manager(): block(5)""",
}


@pytest.mark.parametrize("kind", CLEAN_UPS)
def test_a_clean_up_is_never_interrupted(kind: str) -> None:
    ends = "\ntry: call(app)\nexcept DeadlineExceeded: print('ended')\n"
    assert run(CLEAN_UPS[kind] + ends) == "cleaned up\nended\n"


def test_a_decorator_s_context_does_not_keep_it_away() -> None:
    assert (
        run("""
        @contextlib.contextmanager
        def manager():
            yield
        @manager()
        def app():
            block(5)
        try:
            call(app)
        except DeadlineExceeded:
            print("ended")
        """)
        == "ended\n"
    )


def test_a_handler_of_logging_is_not_torn() -> None:
    assert (
        run("""
        class Slow(logging.Handler):
            def emit(self, record):
                block(0.4)
                print("written")
        logging.getLogger().addHandler(Slow())
        def app():
            logging.getLogger().warning("x")
            block(5)
        try:
            call(app)
        except DeadlineExceeded:
            print("ended")
        logging.getLogger().warning("the lock is free")
        """)
        == "written\nended\nwritten\n"
    )


def test_nothing_is_raised_when_the_app_has_returned() -> None:
    assert (
        run("""
        def call_slowly(app):
            alarm.arm(0.1, (call_slowly.__code__,))
            result = app()
            block_here = time.monotonic() + 0.3
            while time.monotonic() < block_here:
                pass
            alarm.disarm()
            return result
        print(call_slowly(lambda: "answer"), alarm.rang())
        """)
        == "answer False\n"
    )


def test_tasks_of_an_event_loop_are_ended_but_not_the_loop() -> None:
    assert (
        run("""
        import asyncio
        runs = (asyncio.events.Handle._run.__code__,)
        async def inner():
            block(5)
        async def main():
            alarm.arm(0.1, runs)
            try:
                await asyncio.wait_for(inner(), 10)
            except DeadlineExceeded:
                print("awaited")
            try:
                await asyncio.create_task(inner())
            except DeadlineExceeded:
                print("task")
            alarm.arm(0.1, runs)
            await asyncio.sleep(0.5)
            alarm.disarm()
            print("slept")
        asyncio.run(main())
        """)
        == "awaited\ntask\nslept\n"
    )
