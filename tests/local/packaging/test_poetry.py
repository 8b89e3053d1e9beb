"""poetry.lock is read as Poetry means it."""

import hashlib
from pathlib import Path

import pytest

from sunup.local.errors import CommandError
from sunup.local.packaging import poetry

from .conftest import Wheels, Write, index, install

POETRY = """
[[package]]
name = "one"
version = "1"
groups = ["main"]
files = [{{file = "one-1-py3-none-any.whl", hash = "sha256:{digest}"}}]
[[package]]
name = "old"
version = "1"
groups = ["main"]
markers = "python_version < '3.13'"
files = []
[[package]]
name = "tests-only"
version = "1"
groups = ["dev"]
files = []
[metadata]
lock-version = "2.1"
"""


def test_poetry_s_lock_is_read(tmp_path: Path, wheels: Wheels, write: Write) -> None:
    digest = hashlib.sha256(wheels("one").read_bytes()).hexdigest()
    wheels("old")
    app = write({"poetry.lock": POETRY.format(digest=digest)})
    assert install(app, tmp_path) == ({"one"}, [])
    old = POETRY.format(digest=digest).replace('groups = ["main"]\n', "")
    with pytest.raises(CommandError, match="does not say which dependencies"):
        install(write({"poetry.lock": old}, "other"), tmp_path)


def test_poetry_s_paths_repositories_and_urls_are_kept(tmp_path: Path) -> None:
    lock = tmp_path / "poetry.lock"
    entry = (
        '[[package]]\nname = "{0}"\nversion = "1"\ngroups = ["main"]\nfiles = []\n'
        "[package.source]\n{1}\n"
    )
    sources = {
        "here": 'type = "directory"\nurl = "../lib"',
        "repo": 'type = "git"\nurl = "https://x.example/r.git"\nresolved_reference = "abc"',
        "inner": 'type = "git"\nurl = "https://x.example/r.git"\nresolved_reference = "abc"\n'
        'subdirectory = "in"',
        "away": 'type = "url"\nurl = "https://x.example/a.whl"',
    }
    lock.write_text("".join(entry.format(*each) for each in sources.items()))
    library = (tmp_path.parent / "lib").resolve().as_uri()
    assert poetry.read(lock).requirements.splitlines() == [
        f"here @ {library}",
        "repo @ git+https://x.example/r.git@abc",
        "inner @ git+https://x.example/r.git@abc#subdirectory=in",
        "away @ https://x.example/a.whl",
    ]
    for wrong in ("[metadata]", "package = 3", "package = [3]", "package"):
        lock.write_text(wrong)
        with pytest.raises(CommandError, match="cannot be read"):
            poetry.read(lock)


def test_poetry_s_other_indexes_are_asked_for_what_is_from_them(
    tmp_path: Path, wheels: Wheels, write: Write
) -> None:
    wheels("one")
    wheels("two")
    private = wheels("one", files={"private.py": ""}, into=tmp_path / "private")
    digest = hashlib.sha256(private.read_bytes()).hexdigest()
    address = index(tmp_path / "index", private)
    entry = '[[package]]\nname = "{}"\nversion = "1"\ngroups = ["main"]\nfiles = [{}]\n'
    lock = entry.format("one", f'{{file = "{private.name}", hash = "sha256:{digest}"}}')
    lock += f'[package.source]\ntype = "legacy"\nurl = "{address}"\nreference = "ours of us"\n'
    app = write({"poetry.lock": lock + entry.format("two", "")})
    assert install(app, tmp_path) == ({"private.py", "two"}, [])
    changed = lock.replace(digest, "0" * 64)
    with pytest.raises(CommandError, match="the index has another file for one"):
        install(write({"poetry.lock": changed}), tmp_path)
