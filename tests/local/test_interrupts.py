"""Signals of a command that starts other processes; tests/local/cli/test_interrupts.py has the command."""

from pathlib import Path

from ..processes import python

WAITS = """
import signal, threading, time
from sunup.local.interrupts import Interrupts

interrupts = Interrupts()
interrupts.install()
interrupts.started()
began = time.monotonic()

def asks():
    time.sleep(0.3)
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)
    time.sleep(10)

threading.Thread(target=asks, daemon=True).start()
interrupts.wait()
assert 0.2 < time.monotonic() - began < 5
interrupts.wait()  # it stays so
print("ended")
"""


def test_a_signal_that_another_thread_was_given_is_seen(tmp_path: Path) -> None:
    assert python(tmp_path, "-c", WAITS).stdout == "ended\n"
