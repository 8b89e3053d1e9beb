"""The app's own modules, for the time of a block."""

import importlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

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


def test_nor_is_a_package_taken_from_a_module_that_is_being_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "package_of_a_test"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "slow.py").write_text(
        "import pathlib, time\ntold = pathlib.Path(__file__).parent / 'told'\ntold.touch()\n"
        "while told.exists(): time.sleep(0.01)\n"
    )
    with ThreadPoolExecutor(1) as thread:
        with importable(tmp_path):
            slow = thread.submit(importlib.import_module, "package_of_a_test.slow")
            while not (package / "told").exists():
                time.sleep(0.01)
        (package / "told").unlink()
        assert slow.result(10) is sys.modules.pop("package_of_a_test.slow")
        sys.modules.pop("package_of_a_test")


def test_what_a_module_says_of_itself_does_no_harm(tmp_path: Path) -> None:
    class Lazy(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise ImportError(f"optional dependency missing: {name}")

    odd: dict[str, ModuleType] = {"lazy_of_a_test": Lazy("lazy_of_a_test")}
    for number, file in enumerate((b"x.py", "a\0b", "<generated>", 3, None)):
        odd[f"odd_{number}"] = ModuleType(f"odd_{number}")
        vars(odd[f"odd_{number}"])["__file__"] = file
    with pytest.raises(ValueError, match="the block's own"), importable(tmp_path):
        sys.modules.update(odd)
        raise ValueError("the block's own")
    for name, module in odd.items():
        assert sys.modules.pop(name) is module


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
