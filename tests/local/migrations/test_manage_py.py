"""What is said of a manage.py that fails: the exception, with all its lines, on one."""

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
