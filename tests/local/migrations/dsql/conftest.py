"""A folder of migrations, and a PostgreSQL that is taken for Aurora DSQL."""

from dataclasses import replace
from pathlib import Path

import pytest

from sunup.settings import Settings

ENV = """
from alembic import context
context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
"""


class Folder:
    """An app's migrations, written one by one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "versions").mkdir(parents=True)
        (path / "env.py").write_text(ENV)

    def add(self, number: str, up: str, down: str = "pass", after: str | None = None) -> Path:
        file = self.path / "versions" / f"{number}_x.py"

        def body(text: str) -> str:
            return "\n".join(f"    {line}" for line in text.strip().splitlines())

        file.write_text(
            "from alembic import op\nimport sqlalchemy as sa\nimport os\n"
            f'revision = "{number}"\ndown_revision = {after!r}\n'
            f"def upgrade():\n{body(up)}\ndef downgrade():\n{body(down)}\n"
        )
        return file


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "migrations")


@pytest.fixture
def dsql(settings: Settings) -> Settings:
    """PostgreSQL takes more than Aurora DSQL does; what is sent is made for the latter."""
    return replace(settings, engine_name="dsql")
