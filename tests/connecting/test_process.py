import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from sunup.connecting.process import Local


def slow() -> object:
    time.sleep(0.05)
    return object()


def in_a_child(local: Local[object]) -> str:
    """What `get` returns in a forked child, as its parent sees it; a stuck child is a failure."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(5)
        os.write(writer, repr(local.get()).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    _, status = os.waitpid(pid, 0)
    assert status == 0, "the child was stuck"
    return text


def test_threads_that_ask_at_once_get_the_same_value() -> None:
    local = Local(slow)
    barrier = threading.Barrier(8)

    def ask(_: int) -> object:
        barrier.wait()
        return local.get()

    with ThreadPoolExecutor(8) as threads:
        values = set(threads.map(ask, range(8)))
    assert len(values) == 1
    assert local.get() in values


def test_a_failed_attempt_to_make_it_is_made_again() -> None:
    failures = [OSError("not now")]

    def make() -> str:
        if failures:
            raise failures.pop()
        return "value"

    local = Local(make)
    with pytest.raises(OSError, match="not now"):
        local.get()
    assert local.get() == "value"


def test_a_forked_child_has_a_value_of_its_own_and_leaves_its_parent_s_alone() -> None:
    local = Local(object)
    mine = local.get()
    assert in_a_child(local) != repr(mine)
    assert local.get() is mine


# Python 3.12 and newer warn of a fork in a process with threads, which is what is tested.
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_child_is_not_stuck_when_a_thread_was_making_the_value_at_the_fork() -> None:
    go_on = threading.Event()
    makers: list[int] = []

    def make() -> object:
        makers.append(os.getpid())
        if len(makers) == 1:
            go_on.wait()
        return object()

    local = Local(make)
    thread = threading.Thread(target=local.get)
    thread.start()
    while not makers:
        time.sleep(0.001)
    try:
        assert in_a_child(local)
    finally:
        go_on.set()
        thread.join()
    local.get()
    assert makers == [os.getpid()]


def test_a_signal_that_asks_while_its_thread_makes_the_value_is_not_stuck() -> None:
    seen: list[object] = []

    def make() -> object:
        if not seen:
            seen.append(None)
            signal.raise_signal(signal.SIGUSR1)
        return object()

    local = Local(make)
    before = signal.signal(signal.SIGUSR1, lambda *_: seen.append(local.get()))
    try:
        assert local.get() is not None
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen[1] is local.get()
