"""Edited and deleted migrations on the embedded server: undone as they were, applied as they are."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from sunup.local import laptop, project
from sunup.local.errors import CommandError
from sunup.local.migrations import of_project

ENV = """
from alembic import context
context.configure(connection=context.config.attributes["connection"], target_metadata=None)
with context.begin_transaction():
    context.run_migrations()
"""


class App:
    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.folder = folder
        self.variables = variables
        self.undone: list[str] = []
        (folder / "migrations" / "versions").mkdir(parents=True)
        (folder / "migrations" / "env.py").write_text(ENV)

    def path(self, revision: str) -> Path:
        return self.folder / "migrations" / "versions" / f"{revision}.py"

    def write(self, revision: str, after: str | None, up: str, down: str = "") -> None:
        lines = [
            "from alembic import op",
            f"revision, down_revision = {revision!r}, {after!r}",
            f"def upgrade(): {f'op.execute({up!r})' if up else 'pass'}",
            f"def downgrade(): {f'op.execute({down!r})' if down else 'pass'}",
        ]
        self.path(revision).write_text("\n".join(lines))

    def upgrade(self) -> list[str]:
        found = laptop.with_variables(project.find(self.folder), self.variables)
        self.undone = []
        return of_project.upgrade_here(found, self.undone.extend)

    def columns(self, table: str) -> list[str]:
        with psycopg.connect(
            host=self.variables["DB_HOST"], user="postgres", dbname="postgres"
        ) as connection:
            return [
                name
                for (name,) in connection.execute(
                    "select column_name from information_schema.columns"
                    " where table_name = %s order by ordinal_position",
                    (table,),
                )
            ]


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    for name in ("DB_HOST", "DB_NAME", "DB_USER"):
        monkeypatch.delenv(name, raising=False)
    with laptop.embedded(project.find(tmp_path)) as variables:
        yield App(tmp_path, variables)


def test_a_migration_that_is_written_in_steps_is_applied_at_each(app: App) -> None:
    app.write("0001", None, "create table items (id int)", "drop table items")
    app.write("0002", "0001", "")
    assert app.upgrade() == ["0001", "0002"]
    app.write("0002", "0001", "alter table items add a int", "alter table items drop a")
    assert app.upgrade() == ["0002"]
    assert (app.undone, app.columns("items")) == (["0002"], ["id", "a"])
    app.write("0002", "0001", "alter table items add b int", "alter table items drop b")
    assert app.upgrade() == ["0002"]
    assert app.columns("items") == ["id", "b"]
    assert app.upgrade() == []
    assert app.undone == []


def test_one_that_others_follow_is_an_error_as_elsewhere(app: App) -> None:
    app.write("0001", None, "create table items (id int)", "drop table items")
    app.write("0002", "0001", "alter table items add a int", "alter table items drop a")
    app.upgrade()
    before = app.path("0001").read_text()
    app.write("0001", None, "create table items (number int)", "drop table items")
    with pytest.raises(CommandError, match=r"0001\.py was changed after it was applied"):
        app.upgrade()
    assert (app.undone, app.columns("items")) == ([], ["id", "a"])
    app.path("0001").write_text(before)
    assert app.upgrade() == []


def test_the_newest_two_are_applied_anew_together(app: App) -> None:
    app.write("0001", None, "create table items (id int)", "drop table items")
    app.write("0002", "0001", "alter table items add a int", "alter table items drop a")
    app.upgrade()
    app.write("0001", None, "create table items (number int)", "drop table items")
    app.write("0002", "0001", "alter table items add b int", "alter table items drop b")
    assert app.upgrade() == ["0001", "0002"]
    assert app.undone == ["0002", "0001"]
    assert app.columns("items") == ["number", "b"]


def test_one_that_says_the_same_is_left_alone(app: App) -> None:
    app.write("0001", None, "create table items (id int)", "drop table items")
    app.upgrade()
    text = app.path("0001").read_text()
    app.path("0001").write_text(f'"""Items."""\n# of the shop\n{text}\n\n')
    assert app.upgrade() == []
    assert app.undone == []
    assert app.upgrade() == []


def test_one_that_was_deleted_or_renamed_is_undone(app: App) -> None:
    app.write("0001", None, "create table items (id int)", "drop table items")
    app.write("0002", "0001", "alter table items add a int", "alter table items drop a")
    app.upgrade()
    app.path("0002").unlink()
    app.write("0002_other", "0001", "alter table items add c int", "alter table items drop c")
    assert app.upgrade() == ["0002_other"]
    assert (app.undone, app.columns("items")) == (["0002"], ["id", "c"])


def test_what_cannot_be_undone_is_told_and_the_next_works_when_it_is_restored(app: App) -> None:
    app.write("0001", None, "create table items (id int)", "drop table nothing")
    app.upgrade()
    before = app.path("0001").read_text()
    app.write("0001", None, "create table items (id bigint)", "drop table items")
    with pytest.raises(CommandError, match="cannot be undone") as told:
        app.upgrade()
    assert "Restore the file" in told.value.cure
    assert app.columns("items") == ["id"]
    app.path("0001").write_text(before)
    assert app.upgrade() == []


def test_a_new_one_that_is_broken_does_not_hinder_the_undoing(app: App) -> None:
    app.write("0001", None, "create table items (id int)", "drop table items")
    app.upgrade()
    app.write("0001", None, "create table items (id bigint)", "drop table items")
    app.path("0002").write_text("revision, down_revision = '0002', '0001'\nnot python")
    with pytest.raises(CommandError, match="line 2"):
        app.upgrade()
    app.path("0002").unlink()
    assert app.upgrade() == ["0001"]


def test_without_the_file_as_it_was_the_change_is_an_error_as_elsewhere(app: App) -> None:
    app.write("0001", None, "create table items (id int)", "drop table items")
    app.upgrade()
    for path in (app.folder / ".sunup" / "applied").iterdir():
        path.unlink()
    app.write("0001", None, "create table items (id bigint)", "drop table items")
    with pytest.raises(CommandError, match="was changed after it was applied"):
        app.upgrade()


def test_another_server_than_the_embedded_is_never_undone(
    app: App, database: dict[str, str]
) -> None:
    app.variables = database
    app.write("0001", None, "create table items (id int)", "drop table items")
    assert app.upgrade() == ["0001"]
    app.write("0001", None, "create table items (id bigint)", "drop table items")
    with pytest.raises(CommandError, match="was changed after it was applied"):
        app.upgrade()
    assert app.undone == []
