"""What is said of a manage.py that fails: the exception, with all its lines, on one."""

import os
from pathlib import Path

import pytest

from sunup.local import project
from sunup.local.errors import CommandError
from sunup.local.migrations.manage_py import manage


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("raise ValueError('one\\nof two lines')", "manage.py check: ValueError: one of two lines"),
        (
            (
                "class ImproperlyConfigured(Exception): __module__ = 'django.core.exceptions'\n"
                "raise ImproperlyConfigured(\"'x' isn't an available backend. Use:\\n    'a', 'b'\")"
            ),
            "ImproperlyConfigured: 'x' isn't an available backend. Use: 'a', 'b'",
        ),
        ("import sys; sys.stderr.write('CommandError: no such command'); sys.exit(1)", "no such"),
        ("import sys; sys.exit(3)", "manage.py check: exit status 3"),
    ],
)
def test_the_reason_is_told_whole(tmp_path: Path, source: str, says: str) -> None:
    (tmp_path / "manage.py").write_text(source)
    with pytest.raises(CommandError) as raised:
        manage(project.find(tmp_path), "check")
    assert says in raised.value.what
    (tmp_path / "manage.py").write_text("print('well')")
    assert manage(project.find(tmp_path), "check") == "well\n"


def test_migrations_are_read_as_they_are_also_within_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    folder = tmp_path / "shop" / "migrations"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (tmp_path / "manage.py").write_text(
        "import importlib; print(importlib.import_module('shop.migrations.0001_first').word)"
    )
    for word in ("one", "two"):
        (folder / "0001_first.py").write_text(f"word = '{word}'")
        os.utime(folder / "0001_first.py", (1e9, 1e9))
        assert manage(project.find(tmp_path), "migrate") == f"{word}\n"
