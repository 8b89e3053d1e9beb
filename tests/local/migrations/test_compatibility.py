from collections.abc import Iterable
from pathlib import Path

import pytest

from sunup.local.errors import CommandError
from sunup.local.migrations import compatibility
from sunup.local.migrations.folder import open_folder


def blocked(folder: Path, applied: Iterable[str], code: Iterable[str]) -> list[str]:
    _, script = open_folder(folder)
    found = compatibility.blocking(script, applied, code)
    return [f"{each.revision} {each.reason}" for each in found]


def write(folder: Path, *bodies: str, marks: dict[int, str] | None = None) -> Path:
    """A folder with one migration for each body of `upgrade`, numbered from 0001."""
    (folder / "versions").mkdir(parents=True, exist_ok=True)
    (folder / "env.py").touch()
    for number, body in enumerate(bodies, 1):
        mark = (marks or {}).get(number)
        before = f'"{number - 1:04d}"' if number > 1 else None
        (folder / "versions" / f"{number:04d}_x.py").write_text(
            "from alembic import op\nimport sqlalchemy as sa\n"
            f'revision = "{number:04d}"\ndown_revision = {before}\n'
            + (f'compatible_with = "{mark}"\n' if mark else "")
            + f"def upgrade():\n    {body}\ndef downgrade():\n    op.drop_table('all')\n"
        )
    return folder


ADDS = "op.create_table('t', sa.Column('id', sa.Integer, nullable=False))"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (ADDS, None),
        ("op.add_column('t', sa.Column('x', sa.Text))", None),
        ("op.add_column('t', sa.Column('x', sa.Text, nullable=False, server_default=''))", None),
        ("op.create_index('i', 't', ['x'])", None),
        ("op.execute('update t set x = 1 -- drop table t')", None),
        ("op.alter_column('t', 'x', server_default='1')", None),
        ("op.add_column('t', sa.Column('x', sa.Integer, sa.Identity(), nullable=False))", None),
        (f"{ADDS}; op.create_index('i', 't', ['id'], unique=True)", None),
        ("op.get_bind().execute(sa.text('update t set x = 1'))", None),
        (
            "for each in ['a', 'b']: op.execute(f'alter table t drop {each}')",
            "drops the column t.a",
        ),
        (
            "op.get_bind().execute(sa.text('select 1')).scalar()",
            (
                "cannot be checked without a database "
                "(AttributeError: 'NoneType' object has no attribute 'scalar')"
            ),
        ),
        ("op.create_unique_constraint('u', 't', ['x'])", "adds a constraint to t"),
        ("op.alter_column('t', 'x', server_default=None)", "drops the default of the column t.x"),
        ("sa.Table('t', sa.MetaData()).drop(op.get_bind(), checkfirst=False)", "drops the table t"),
        ("op.drop_index('i')", "drops the index i, which ON CONFLICT may need"),
        ("op.drop_column('t', 'x')", "drops the column t.x"),
        ("op.drop_table('t')", "drops the table t"),
        ("op.rename_table('t', 'u')", "renames the table t"),
        ("op.alter_column('t', 'x', new_column_name='y')", "renames the column t.x"),
        ("op.alter_column('t', 'x', nullable=False)", "makes the column t.x NOT NULL"),
        ("op.alter_column('t', 'x', type_=sa.Integer)", "changes the type of the column t.x"),
        (
            "op.add_column('t', sa.Column('x', sa.Text, nullable=False))",
            "adds the column t.x that is NOT NULL and has no default",
        ),
        ("op.execute('ALTER TABLE t DROP  COLUMN x')", "drops the column t.x"),
        ("op.execute(sa.text('alter table t rename to u'))", "renames the table t"),
        (
            "op.get_bind().execute(sa.text('alter table t alter x set not null'))",
            "makes the column t.x NOT NULL",
        ),
        (
            "with op.batch_alter_table('t') as batch_op: batch_op.drop_column('x')",
            "drops the column t.x",
        ),
    ],
)
def test_what_older_code_cannot_bear(tmp_path: Path, body: str, reason: str | None) -> None:
    folder = write(tmp_path / "migrations", "pass", body)
    expected = [] if reason is None else [f"0002 {reason}"]
    assert blocked(folder, ["0001", "0002"], ["0001"]) == expected
    assert blocked(folder, ["0001", "0002"], ["0002"]) == []
    _, script = open_folder(folder)
    risky = compatibility.risky(script, ["0002_x.py"])
    assert [each.reason for each in risky] == ([] if reason is None else [reason])


def test_a_mark_says_which_code_works(tmp_path: Path) -> None:
    drops = "op.drop_column('t', 'x')"
    folder = write(tmp_path / "migrations", ADDS, ADDS, drops, ADDS, marks={3: "0002", 4: "0004"})
    everything = ["0001", "0002", "0003", "0004"]
    assert blocked(folder, everything[:3], ["0001"]) == ["0003 says compatible_with 0002"]
    assert blocked(folder, everything[:3], ["0002"]) == []
    assert blocked(folder, everything, ["0003"]) == ["0004 says compatible_with 0004"]
    assert blocked(folder, everything, []) == [
        "0003 says compatible_with 0002",
        "0004 says compatible_with 0004",
    ]
    assert blocked(folder, everything, ["0004"]) == []


def test_a_text_that_has_a_name_is_read_too(tmp_path: Path) -> None:
    folder = write(tmp_path / "migrations", ADDS, "op.execute(SQL)")
    file = folder / "versions" / "0002_x.py"
    text = file.read_text()
    file.write_text(text.replace("def upgrade", 'SQL = f"""drop table {1}"""\ndef upgrade'))
    assert blocked(folder, ["0002"], ["0001"]) == ["0002 drops the table 1"]
    file.write_text(text.replace("def upgrade", 'SQL = "create table x ()"\ndef upgrade'))
    assert blocked(folder, ["0002"], ["0001"]) == []


def test_a_mark_may_say_that_any_code_works_and_nothing_that_is_no_revision(
    tmp_path: Path,
) -> None:
    drops = "op.drop_column('t', 'x')"
    folder = write(tmp_path / "migrations", ADDS, drops, marks={2: "base"})
    assert blocked(folder, ["0001", "0002"], []) == []
    for wrong in ("0", "001", "typo"):
        write(folder, ADDS, drops, marks={2: wrong})
        _, script = open_folder(folder)
        for attempt in (
            lambda: compatibility.risky(script, ["0002_x.py"]),  # noqa: B023
            lambda: blocked(folder, ["0002"], ["0001"]),
        ):
            with pytest.raises(CommandError, match=f"{wrong}', which is not a revision") as raised:
                attempt()
            assert '0001, 0002, or "base"' in raised.value.cure


def test_what_has_no_file_is_told(tmp_path: Path) -> None:
    folder = write(tmp_path / "migrations", ADDS, ADDS, marks={2: "0009"})
    for applied, code, says in (
        (["0001"], ["0007"], "the release's code has the migration 0007"),
        (["0001", "0008"], ["0001"], "the database has the migration 0008"),
        (["0001", "0002"], ["0001"], "0002_x.py says compatible_with = '0009', which is not a"),
    ):
        with pytest.raises(CommandError, match=says):
            blocked(folder, applied, code)
    assert blocked(folder, ["0001"], ["0001"]) == []
