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
    "migrations/versions/0002_receipts.py",
)


def test_no_example_leads_out_of_its_folder_by_a_link() -> None:
    assert not [
        path for path in EXAMPLES.rglob("*") if path.is_symlink() and ".venv" not in path.parts
    ]


# What another example has word for word, and where it may lie elsewhere.
COPIES = [
    *(("users_asgi", name, name) for name in SHARED),
    *(
        ("users_flask", name, name)
        for name in ("lambda_function.py", "parameters.py", *SHARED[-4:])
    ),
    ("users_fastapi", SHARED[-1], SHARED[-1]),
    ("users_django", "users/parameters.py", "parameters.py"),
]


@pytest.mark.parametrize(("example", "name", "first"), COPIES)
def test_what_is_copied_is_the_same(example: str, name: str, first: str) -> None:
    ours, theirs = EXAMPLES / example / name, EXAMPLES / "users" / first
    assert ours.read_text() == theirs.read_text(), f"mend both: {ours} and {theirs}"


def test_bodies_are_read_the_same_way_under_both_wsgi_frameworks() -> None:
    flask, django = "users_flask/bodies.py", "users_django/users/bodies.py"
    assert (EXAMPLES / flask).read_text() == (EXAMPLES / django).read_text()
