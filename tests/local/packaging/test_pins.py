import os
from pathlib import Path

import pytest

from sunup.local.errors import CommandError
from sunup.local.packaging import pins
from sunup.local.packaging.target import Target

ARM = Target("3.13", "arm64")


def test_markers_are_those_of_the_target_not_of_this_machine() -> None:
    text = """
    # a comment
    --index-url https://index.example/simple
    one==1.0 ; python_version < '3.13'
    two==2.0 ; python_full_version >= '3.13.1'  # a note
    three==3.0 ; platform_machine == 'aarch64' and sys_platform == 'linux' \\
        --hash=sha256:aa \\
        --hash=sha256:bb
    four==4.0 ; sys_platform == 'win32'
    Five.Six[extra]==5.0
    """
    found = pins.parse(text, "requirements.txt", ARM)
    assert [pin.line for pin in found] == [
        "five-six==5.0",
        "three==3.0 --hash=sha256:aa --hash=sha256:bb",
        "two==2.0",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("one>=1", "one>=1 is not pinned to one version"),
        ("one==1.*", "is not pinned to one version"),
        ("one", "one is not pinned"),
        ("-r other.txt", "cannot use the line '-r other.txt'"),
        ("git+https://example.com/x", "cannot use the line"),
        ("one==1\none==2", "pins one twice for Python 3.13 on arm64"),
    ],
)
def test_what_is_no_pin_is_refused(text: str, says: str) -> None:
    with pytest.raises(CommandError, match=says) as raised:
        pins.parse(text, "requirements.txt", ARM)
    assert "uv pip compile" in raised.value.cure


def app(folder: Path, dependencies: str, requirements: str | None) -> Path:
    (folder / "pyproject.toml").write_text(f"[project]\nname='x'\ndependencies=[{dependencies}]\n")
    if requirements is not None:
        (folder / "requirements.txt").write_text(requirements)
    return folder


def test_sunup_is_not_among_them_but_its_driver_is(tmp_path: Path) -> None:
    folder = app(tmp_path, "'sunup[asyncpg]>=0.0.1'", "sunup==9.9.9\nasyncpg==0.32.0")
    assert [pin.name for pin in pins.read(folder, None, ARM)] == ["asyncpg"]


@pytest.mark.parametrize(
    ("dependencies", "requirements", "says"),
    [
        ("'one'", None, "there is no requirements.txt"),
        ("'one'", "two==1", "asks for one; requirements.txt has no pin for it"),
        ("'one>=2'", "one==1", "asks for one>=2; requirements.txt pins 1"),
        ("'sunup[asyncpg]'", "one==1", "asks for asyncpg>=.*; requirements.txt has no pin"),
    ],
)
def test_pins_that_are_behind_pyproject_are_refused(
    tmp_path: Path, dependencies: str, requirements: str | None, says: str
) -> None:
    with pytest.raises(CommandError, match=says):
        pins.read(app(tmp_path, dependencies, requirements), None, ARM)


def test_an_app_without_dependencies_needs_no_pins(tmp_path: Path) -> None:
    assert pins.read(app(tmp_path, "", None), None, ARM) == []
    assert pins.read(app(tmp_path, "'one; python_version < \"3\"'", "two==1"), None, ARM)


def fake_uv(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """An uv on PATH that does what is told."""
    program = folder / "bin" / "uv"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


def test_a_lock_file_of_uv_s_is_exported_by_uv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "uv.lock").touch()
    fake_uv(tmp_path, monkeypatch, 'echo "$@" > arguments; echo "msgspec==0.20.0"')
    assert [pin.line for pin in pins.read(tmp_path, None, ARM)] == ["msgspec==0.20.0"]
    assert "--frozen" in (tmp_path / "arguments").read_text()


def test_what_uv_says_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "uv.lock").touch()
    fake_uv(tmp_path, monkeypatch, "echo first >&2; echo 'the lock file is old' >&2; exit 2")
    with pytest.raises(CommandError, match="uv export failed: the lock file is old"):
        pins.read(tmp_path, None, ARM)


def test_a_lock_file_needs_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "uv.lock").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandError, match="uv is not on PATH"):
        pins.read(tmp_path, None, ARM)
