"""A requirements file says what pip and uv read in it."""

from pathlib import Path

import pytest

from sunup.local.packaging import requirements

from .conftest import Wheels, Write, index, install


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_pins_are_seen_as_uv_sees_them(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "others of us").mkdir()
    (tmp_path / "others of us/more.txt").write_text("three==1 # why\n-c limits.txt\n")
    (tmp_path / "others of us/limits.txt").write_text("four==4\n")
    text = (
        "# -*-\nOne>=1,==1.2 ; python_version > '3'\ntwo[x] == 2 \\\n  --hash=sha256:00\n"
        "-r others\\ of\\ us/more.txt\nfour\nfive==5.*\nsix @ ./six\n./seven\n--no-binary=one\n--no-binary Two\n"
    )
    path = tmp_path / "requirements.txt"
    path.write_text(text, encoding=encoding)
    found = requirements.read(path)
    assert found.names == {"one", "two", "three", "four", "five", "six"}
    assert found.pins == {"one", "two", "three", "four", "six"}
    assert found.built == {"one", "two"}
    assert not found.hashed
    assert found.index is None


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("-i https://a.example/x", "https://a.example/x"),
        ("--index-url=https://a.example/x # ours", "https://a.example/x"),
        ('--index-url "https://a.example/x"', "https://a.example/x"),
        ("--no-index", None),
        ("--extra-index-url https://a.example/x", None),
    ],
)
def test_the_index_that_a_file_names(tmp_path: Path, line: str, value: str | None) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text(f"{line}\none\n")
    assert requirements.read(path).index == value


def test_only_local_folders_are_moved(tmp_path: Path) -> None:
    for name in ("lib", "our lib", "one"):
        (tmp_path / name).mkdir()
    path = tmp_path / "requirements.txt"
    rows = [
        "one==1", "one", "-c limits.txt", "two @ https://x.example/a.whl", "./gone", "--pre",
        "./lib[more] ; python_version > '3'", "-e ./our lib", "ours[x] @ ./our\\ lib",
        f"ours @ {(tmp_path / 'our lib').as_uri()} ; os_name == 'posix'", "-e .",
    ]  # fmt: skip
    path.write_text("".join(f"{row}\n" for row in rows))
    moved = requirements.read(path).with_folders(lambda each: Path("/m") / each.name, tmp_path)
    assert list(moved.rows) == [
        *rows[:6],
        "file:///m/lib[more] ; python_version > '3'",
        "file:///m/our%20lib",
        "ours[x] @ file:///m/our%20lib",
        "ours @ file:///m/our%20lib ; os_name == 'posix'",
        f"file:///m/{tmp_path.name}",
    ]


@pytest.mark.parametrize(
    "name", ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL"]
)
def test_the_file_s_index_comes_before_the_shell_s(
    tmp_path: Path, wheels: Wheels, write: Write, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    ours = index(tmp_path / "ours", wheels("one", files={"ours.py": ""}, into=tmp_path / "a"))
    theirs = index(tmp_path / "theirs", wheels("one", files={"theirs.py": ""}, into=tmp_path / "b"))
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    monkeypatch.delenv("UV_FIND_LINKS")
    monkeypatch.setenv(name, theirs)
    app = write({"requirements.txt": f"--index-url {ours}\none==1\n"})
    assert install(app, tmp_path)[0] == {"ours.py"}


def test_an_index_of_the_shell_may_be_the_file_s_with_a_password(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = tmp_path / "asked"
    program = tmp_path / "uv"
    program.write_text(f'#!/bin/sh\necho "$UV_INDEX|$UV_DEFAULT_INDEX" > "{asked}"\nexit 1\n')
    program.chmod(0o755)
    monkeypatch.setattr("sunup.local.packaging.uv.program", lambda: str(program))
    monkeypatch.setenv("UV_INDEX", "ours=https://me:word@x.example/simple https://y.example")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://y.example")
    app = write({"requirements.txt": "-i https://x.example/simple/\none==1\n"})
    with pytest.raises(Exception, match="uv: "):
        install(app, tmp_path)
    assert asked.read_text() == "ours=https://me:word@x.example/simple|\n"
