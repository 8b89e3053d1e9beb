"""Writes the next migration: from the app's models where it has any, against a scratch database."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError as AlembicError
from alembic.util import rev_id
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from sunup.local import postgres
from sunup.local.errors import CommandError
from sunup.local.opening import open_connection
from sunup.receipts.texts import TABLE as RECEIPTS
from sunup.settings import Settings

from . import files as migration_files
from . import flask_migrate
from . import running as migrations
from .engines import handed_out
from .folder import configuration, explained, one_head, open_folder

# sunup's own tables are in no model of the app's.
_OURS = (migration_files.TABLE, RECEIPTS)

_ADD_RECEIPTS = f"""op.create_table(
        "{RECEIPTS}",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=False,
            index=True,
            server_default=sa.text("now()"),
        ),
        sa.Column("status", sa.SmallInteger),
        sa.Column("headers", sa.Text),
        sa.Column("body", sa.LargeBinary),
    )"""
_DROP_RECEIPTS = f'op.drop_table("{RECEIPTS}")'


@dataclass(frozen=True)
class Written:
    """The new file; `compared` says whether the app has models, `changes` how much differed."""

    path: Path
    compared: bool
    changes: int


def write(folder: Path, message: str) -> Written:
    """Write the next migration into `folder`/versions.

    Where env.py gives Alembic a `target_metadata`, the models are compared with a scratch
    PostgreSQL that has all the migrations so far: no database of yours is asked or needed.
    Raises `CommandError`.
    """
    _, script = open_folder(folder)
    one_head(script)
    _check_template(folder)
    revision = _next_number([each.revision for each in script.walk_revisions()])
    with scratch() as settings:
        migrations.upgrade(settings, folder)
        config = configuration(folder)
        _name_files(config)
        opened = open_connection(settings)
        engine = create_engine("postgresql+psycopg://", creator=lambda: opened, poolclass=NullPool)
        found: list[int] = []

        def count(_: object, __: object, directives: list[object]) -> None:
            for side in ("upgrade_ops", "downgrade_ops"):
                operations = getattr(directives[0], side, None)
                if operations is not None:
                    operations.ops[:] = [
                        each
                        for each in operations.ops
                        if getattr(each, "table_name", "") not in _OURS
                    ]
            operations = getattr(directives[0], "upgrade_ops", None)
            found.append(len(operations.ops) if operations is not None else 0)

        with (
            explained(folder),
            _writable(folder),
            engine.connect() as connection,
            handed_out(connection),
            flask_migrate.in_context(folder, connection),
        ):
            config.attributes["connection"] = connection
            options = {"rev_id": revision, "process_revision_directives": count}
            compared = True
            try:
                made = command.revision(config, _quoted(message), autogenerate=True, **options)  # type: ignore[arg-type]
            except AlembicError as error:
                # Alembic's words when env.py has no target_metadata.
                if "MetaData" not in str(error):
                    raise CommandError(f"no migration was written: {error}") from None
                compared = False
                made = command.revision(config, _quoted(message), rev_id=revision)
        engine.dispose()
    assert made is not None
    assert not isinstance(made, list)
    return Written(Path(made.path), compared, found[-1] if found else 0)


def merge(folder: Path, message: str) -> Path:
    """Write the migration that joins two ends; returns its file. Raises `CommandError`."""
    config, script = open_folder(folder)
    _check_template(folder)
    heads = sorted(script.get_heads())
    if len(heads) < 2:
        raise CommandError("the migrations have one head: there is nothing to merge")
    _name_files(config)
    number = _next_number([each.revision for each in script.walk_revisions()])
    with explained(folder), _writable(folder):
        made = command.merge(config, heads, _quoted(message), rev_id=number)
    assert made is not None
    return Path(made.path)


def write_receipts(folder: Path) -> Path:
    """Write the migration that adds the table of receipts. Raises `CommandError`."""
    _, script = open_folder(folder)
    one_head(script)
    _check_template(folder)
    for each in script.walk_revisions():
        if RECEIPTS in Path(each.path).read_text(encoding="utf-8", errors="replace"):
            raise CommandError(f"{Path(each.path).name} adds {RECEIPTS} already")
    config = configuration(folder)
    _name_files(config)
    named = ScriptDirectory.from_config(config)
    with explained(folder), _writable(folder):
        number = _next_number([each.revision for each in named.walk_revisions()])
        made = named.generate_revision(
            number or rev_id(),
            "receipts",
            refresh=True,
            head="head",
            upgrades=_ADD_RECEIPTS,
            downgrades=_DROP_RECEIPTS,
            imports="",
        )
    assert made is not None
    return Path(made.path)


def _quoted(message: str) -> str:
    """For the template, which writes it into a docstring."""
    return message.replace("\\", "\\\\").replace('"', '\\"')


def _name_files(config: Config) -> None:
    """As alembic.ini says, else 0002_add_orders.py."""
    if not config.get_alembic_option("file_template"):
        config.set_main_option("file_template", "%%(rev)s_%%(slug)s")


def _check_template(folder: Path) -> None:
    if not (folder / "script.py.mako").is_file():
        raise CommandError(
            f"there is no script.py.mako in {folder}: Alembic needs this template for new "
            "migrations",
            "Copy one from a folder that `alembic init` made, or from a project made by `sunup "
            "new`.",
        )


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CommandError(
            f"{folder / 'versions'} cannot be written: {error.strerror or error}",
            "Make the folder writable.",
        ) from None


@contextmanager
def scratch() -> Iterator[Settings]:
    """The settings of an empty PostgreSQL that is thrown away with the block."""
    with postgres.throwaway() as variables:
        yield Settings.from_environment(variables)


def _next_number(revisions: list[str]) -> str | None:
    """0002 after 0001; None (Alembic's random name) where they are not numbers."""
    if not all(re.fullmatch(r"\d{4}", each) for each in revisions):
        return None
    return f"{max(map(int, revisions), default=0) + 1:04d}"
