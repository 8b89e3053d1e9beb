"""An example is copied by whoever starts from it, so each stands alone."""

from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

SHARED = (
    "bodies.py",
    "database.py",
    "lambda_function.py",
    "parameters.py",
    "users.py",
    "migrations/env.py",
    "migrations/script.py.mako",
    "migrations/versions/0001_users.py",
)


def test_no_example_leads_out_of_its_folder_by_a_link() -> None:
    assert not [
        path for path in EXAMPLES.rglob("*") if path.is_symlink() and ".venv" not in path.parts
    ]


@pytest.mark.parametrize("name", SHARED)
def test_what_the_readme_calls_the_same_is_the_same(name: str) -> None:
    ours, theirs = EXAMPLES / "users_asgi" / name, EXAMPLES / "users" / name
    assert ours.read_text() == theirs.read_text(), f"mend both: {ours} and {theirs}"
    assert name.partition("/")[0] in (EXAMPLES / "users_asgi" / "README.md").read_text()
