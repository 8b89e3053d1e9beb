from pathlib import Path

import pytest

from sunup.local import engines
from tests.local.test_apps import write


@pytest.mark.parametrize(
    ("text", "maker"),
    [
        ("from sqlalchemy import create_engine\ncreate_engine('sqlite://')", "create_engine"),
        ("from sqlmodel import create_engine as make\nmake('sqlite://')", "create_engine"),
        (
            "from sqlalchemy.ext.asyncio import create_async_engine\nx = create_async_engine(url)",
            "create_async_engine",
        ),
        ("import sqlalchemy as sa\ndef f(): return sa.create_engine(url)", "create_engine"),
        ("from flask_sqlalchemy import SQLAlchemy\ndb = SQLAlchemy()", "Flask-SQLAlchemy"),
        ("from sqlalchemy import create_engine", ""),
        ("from sqlalchemy import create_engine\ncreate_engine('postgresql://', creator=f)", ""),
        ("from sunup.integrations.sqlalchemy import create_engine\ncreate_engine(db)", ""),
        ("import flask_sqlalchemy\nfrom sunup.integrations.sqlalchemy import create_engine", ""),
        ("from .sqlalchemy import create_engine\ncreate_engine(db)", ""),
    ],
)
def test_an_engine_of_the_app_s_own_is_told(tmp_path: Path, text: str, maker: str) -> None:
    told = engines.to_change(write(tmp_path, {"shop/db.py": f"{text}\n"}))
    assert [each.startswith(f"shop/db.py: {maker}") for each in told] == [True] * bool(maker)


def test_tests_and_migrations_may_have_their_own(tmp_path: Path) -> None:
    text = "import sqlalchemy\nengine = sqlalchemy.create_engine('sqlite://')\n"
    write(tmp_path, {"tests/db.py": text, "alembic/env.py": text, "shop.py": text + text})
    assert [each.partition(":")[0] for each in engines.to_change(tmp_path)] == ["shop.py"]
