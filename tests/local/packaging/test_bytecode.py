import sys
from pathlib import Path

import pytest

from sunup.local.errors import CommandError
from sunup.local.packaging import bytecode
from sunup.local.packaging.target import Target

OTHER = "3.12" if sys.version_info[:2] != (3, 12) else "3.13"


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No Python but the running one is found."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "uv"))
    return tmp_path


def fake_python(path: Path, says: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{says}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("place", [f"pyenv/versions/{OTHER}.9/bin", f"uv/cpython-{OTHER}.9/bin"])
def test_a_python_of_the_target_s_version_is_found(nowhere: Path, place: str) -> None:
    fake_python(nowhere / place / "python3", f"echo cpython {OTHER}")
    assert bytecode.interpreter(OTHER) == str(nowhere / place / "python3")


@pytest.mark.parametrize("says", [f"echo pypy {OTHER}", "echo cpython 3.9", "exit 1"])
def test_another_python_is_not_taken_for_it(nowhere: Path, says: str) -> None:
    fake_python(nowhere / f"pyenv/versions/{OTHER}.9/bin" / "python3", says)
    assert bytecode.interpreter(OTHER) is None


def test_without_one_what_lambda_would_do_is_measured(nowhere: Path) -> None:
    folder = nowhere / "package"
    folder.mkdir()
    (folder / "fine.py").write_text("a = 1\n")
    (folder / "broken.py").write_text("a = (\n")
    compiled = bytecode.compile_folder(folder, Target(OTHER, "arm64"))
    assert compiled.interpreter is None
    assert not list(folder.rglob("*.pyc"))


def test_a_python_that_cannot_compile_is_told(nowhere: Path) -> None:
    script = f'case "$*" in *-I*) echo cpython {OTHER};; *) echo no room >&2; exit 1;; esac'
    fake_python(nowhere / f"pyenv/versions/{OTHER}.9/bin" / "python3", script)
    folder = nowhere / "package"
    folder.mkdir()
    with pytest.raises(CommandError, match="cannot compile: no room"):
        bytecode.compile_folder(folder, Target(OTHER, "arm64"))


def test_what_a_newer_python_cannot_read_an_older_one_cannot(nowhere: Path) -> None:
    folder = nowhere / "package"
    (folder / "folder.py").mkdir(parents=True)
    (folder / "broken.py").write_text("a = (\n")
    assert set(bytecode.compile_folder(folder, Target("3.10", "arm64")).failed) == {"broken.py"}
    assert bytecode.compile_folder(folder, Target("3.99", "arm64")).failed == {}
    running = Target(f"{sys.version_info[0]}.{sys.version_info[1]}", "arm64")
    compiled = bytecode.compile_folder(folder, running)
    assert (compiled.files, set(compiled.failed)) == (1, {"broken.py"})


def test_why_a_file_cannot_be_compiled_is_always_said(nowhere: Path) -> None:
    folder = nowhere / "package"
    folder.mkdir()
    (folder / "deep.py").write_text(f"x = {'-' * 60_000}1\n")
    running = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for python in (running, "3.10"):
        failed = bytecode.compile_folder(folder, Target(python, "arm64")).failed
        assert failed["deep.py"]
