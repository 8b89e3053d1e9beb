"""Signals of a command that starts other processes; tests/local/cli/test_interrupts.py has the command."""

import signal
from pathlib import Path

import pytest

from ..processes import python

WAITS = """
import signal, threading, time
from sunup.local.interrupts import Interrupts

interrupts = Interrupts()
interrupts.__enter__()
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


STARTS = """
import signal, time
from sunup.local.interrupts import Interrupts

class Dying:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

class Wrapping:
    def __set_name__(self, owner, name):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as error:
            raise RuntimeError("as Python 3.11") from error

def wrapped():
    class Owner:
        attribute = Wrapping()

def lost():
    Dying()
    end = time.monotonic() + 5
    while time.monotonic() < end:
        pass

def failed():
    raise ValueError("ours")

def lost_and_failed():
    Dying()
    failed()

interrupts = Interrupts()
try:
    with interrupts:
        {what}()
except BaseException as error:
    print(type(error).__name__, flush=True)
signal.raise_signal(signal.SIGINT)  # what is undone then is not interrupted
time.sleep(0.1)
print("undone")
"""


@pytest.mark.parametrize("what", ["wrapped", "lost", "lost_and_failed"])
def test_an_interrupt_that_python_hides_is_one_all_the_same(tmp_path: Path, what: str) -> None:
    result = python(tmp_path, "-c", STARTS.replace("{what}", what))
    assert (result.stdout, result.stderr) == ("KeyboardInterrupt\nundone\n", "")


def test_an_error_before_any_signal_stays_itself(tmp_path: Path) -> None:
    result = python(tmp_path, "-c", STARTS.replace("{what}", "failed"))
    assert (result.stdout, result.stderr) == ("ValueError\nundone\n", "")


def test_an_error_of_its_own_after_the_start_stays_itself(tmp_path: Path) -> None:
    after = STARTS.replace("{what}()", "interrupts.started(); Dying(); interrupts.wait(); failed()")
    result = python(tmp_path, "-c", after)
    assert (result.stdout, result.stderr) == ("ValueError\nundone\n", "")


IMPORTS = """
import signal, sys

class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == "sunup.local.cli.commands":
            signal.raise_signal(signal.SIGINT)
            print("an exception comes out of it as anything")

sys.meta_path.insert(0, Interrupted())
sys.argv[1:] = ["env"]
from sunup.local.cli import main
{before}
main()
"""


def test_while_the_command_line_is_imported_a_signal_ends_it_in_silence(tmp_path: Path) -> None:
    result = python(tmp_path, "-c", IMPORTS.replace("{before}", ""))
    assert (result.stdout, result.stderr, result.returncode) == ("", "", -signal.SIGINT)


COMMAND = """
import signal, sys
from sunup.local import project
from sunup.local.cli.commands import run

class Interrupting:
    def __set_name__(self, owner, name):
        signal.raise_signal(signal.SIGINT)

def find(folder):
    class Owner:
        attribute = Interrupting()

project.find = find
sys.exit(run(["emulate"]))
"""


def test_an_interrupt_in_a_class_body_is_one_before_anything_starts_too(tmp_path: Path) -> None:
    result = python(tmp_path, "-c", COMMAND)
    assert (result.stdout, result.stderr, result.returncode) == ("", "", 130)


def test_a_command_that_was_started_to_ignore_ctrl_c_does(tmp_path: Path) -> None:
    before = "signal.signal(signal.SIGINT, signal.SIG_IGN)"
    result = python(tmp_path, "-c", IMPORTS.replace("{before}", before))
    assert "anything" in result.stdout
    assert "SUNUP_APP" in result.stdout
    assert result.returncode == 0


WRITES = """
import os, signal, tempfile
from sunup.local.interrupts import Interrupts

unlink = os.unlink

def interrupted(path, **options):
    signal.raise_signal(signal.SIGINT)
    unlink(path, **options)

tempfile._os.unlink = interrupted
Interrupts().__enter__()
"""


def test_what_python_writes_to_find_the_temporary_folder_does_not_stay(tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    result = python(tmp_path, "-c", WRITES, environ={"TMPDIR": str(temporary)})
    assert "KeyboardInterrupt" in result.stderr  # as soon as it could
    assert list(temporary.iterdir()) == []
