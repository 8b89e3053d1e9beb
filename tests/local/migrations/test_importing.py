"""The app's own modules, for the time of a block."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sunup.local.migrations.importing import importable


def test_the_apps_modules_are_forgotten_and_read_anew(tmp_path: Path) -> None:
    module = tmp_path / "models_of_a_test.py"
    module.write_text("name = 'one'")
    with importable(tmp_path):
        assert __import__("models_of_a_test").name == "one"
    module.write_text("name = 'another'")
    with importable(tmp_path):
        assert __import__("models_of_a_test").name == "another"
    assert "models_of_a_test" not in sys.modules


def test_what_another_thread_is_importing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was a KeyError in that thread."""
    monkeypatch.syspath_prepend(tmp_path)
    told = tmp_path / "told"
    (tmp_path / "slow_of_a_test.py").write_text(
        f"import pathlib, time\npathlib.Path({str(told)!r}).touch()\n"
        f"while pathlib.Path({str(told)!r}).exists(): time.sleep(0.01)\n"
    )
    with ThreadPoolExecutor(1) as thread:
        with importable(tmp_path):
            slow = thread.submit(__import__, "slow_of_a_test")
            while not told.exists():
                time.sleep(0.01)
        told.unlink()
        assert slow.result(10) is sys.modules.pop("slow_of_a_test")


@pytest.mark.parametrize("venv", ["venv", "env", ".venv"])
def test_what_is_installed_stays_wherever_the_environment_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, venv: str
) -> None:
    installed = tmp_path / venv / "lib" / "python3" / "site-packages"
    installed.mkdir(parents=True)
    (installed / f"library_{venv.strip('.')}.py").touch()
    monkeypatch.syspath_prepend(installed)
    name = f"library_{venv.strip('.')}"
    with importable(tmp_path):
        first = __import__(name)
    assert __import__(name) is first
    del sys.modules[name]
