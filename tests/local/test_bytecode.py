"""What is saved twice within a second, and read in between."""

import importlib
import os
import py_compile
import sys
import time
from pathlib import Path

import pytest

from sunup.local import bytecode
from sunup.local.migrations.importing import importable


@pytest.mark.parametrize("links", [False, True])
def test_a_file_that_is_new_is_read_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    folder, real = tmp_path / "folder", tmp_path / "real"
    folder.mkdir()
    real.mkdir()
    module = (real if links else folder) / "saved_twice.py"
    if links:
        (folder / "saved_twice.py").symlink_to(module)
    second = time.time() + 60
    for word in ("one", "two"):
        module.write_text(f"word = '{word}'")
        os.utime(module, (second, second))
        with importable(folder):
            assert importlib.import_module("saved_twice").word == word
    assert not list(tmp_path.rglob("*.pyc"))


def test_bytecode_that_others_made_of_a_new_file_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    module, second = tmp_path / "saved_twice.py", time.time() - 30
    module.write_text("word = 'one'")
    os.utime(module, (second, second))
    kept = Path(py_compile.compile(str(module)) or "")
    os.utime(kept, (second + 1, second + 1))
    module.write_text("word = 'two'")
    os.utime(module, (second, second))
    for _ in range(2):
        with importable(tmp_path):
            assert importlib.import_module("saved_twice").word == "two"
    assert kept.stat().st_mtime > second + 20  # and is used from now on
    # What had not changed for so long is not looked at again.
    module.write_text("word = 'six'")
    os.utime(module, (second, second))
    with importable(tmp_path):
        assert importlib.import_module("saved_twice").word == "two"


def test_what_is_installed_keeps_its_bytecode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    library = tmp_path / "venv" / "site-packages"
    library.mkdir(parents=True)
    (library / "installed_of_a_test.py").touch()
    monkeypatch.syspath_prepend(library)
    with bytecode.ignored([tmp_path]), bytecode.distrusted([tmp_path]):
        importlib.import_module("installed_of_a_test")
    del sys.modules["installed_of_a_test"]
    assert list(library.rglob("*.pyc"))


def test_where_it_may_not_be_removed_it_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    module = tmp_path / "saved_twice.py"
    module.write_text("word = 'one'")
    kept = Path(py_compile.compile(str(module)) or "")
    times = module.stat()
    module.write_text("word = 'two'")
    os.utime(module, ns=(times.st_atime_ns, times.st_mtime_ns))

    def refused(self: Path) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(bytecode, "_NEW", 0.0)
    monkeypatch.setattr(Path, "unlink", refused)
    os.utime(kept, ns=(times.st_atime_ns, times.st_mtime_ns - 10**9))
    with importable(tmp_path):
        assert importlib.import_module("saved_twice").word == "two"
