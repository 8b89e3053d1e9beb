"""Where an app's migrations are found."""

from pathlib import Path

import pytest

from sunup.local import project
from sunup.local.errors import CommandError
from sunup.local.migrations import of_project
from sunup.local.migrations.folder import open_folder


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, "migrations"),
        ({"alembic/env.py": ""}, "alembic"),
        ({"alembic/env.py": "", "migrations/env.py": ""}, "migrations"),
        ({"alembic.ini": "[alembic]\nscript_location = %(here)s/db/m", "db/m/env.py": ""}, "db/m"),
        ({"alembic.ini": "[alembic]\nscript_location = db", "db/env.py": ""}, "db"),
        ({"alembic.ini": "not an ini", "alembic/env.py": ""}, "alembic"),
        (
            {
                "pyproject.toml": '[tool.alembic]\nscript_location = "%(here)s/db"\n',
                "db/env.py": "",
            },
            "db",
        ),
        ({"pyproject.toml": "[tool.sunup]\nmigrations = 'x'\n", "alembic/env.py": ""}, "x"),
    ],
)
def test_alembics_folder_is_found_where_alembic_finds_it(
    tmp_path: Path, files: dict[str, str], expected: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert project.find(tmp_path).migrations == tmp_path / expected


def test_alembic_ini_counts_but_for_where_the_database_is(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db/env.py").touch()
    (tmp_path / "alembic.ini").write_text(
        "[alembic]\nscript_location = %(here)s/db\nsqlalchemy.url = driver://user:pass@host/x\n"
        "version_locations = %(here)s/db/versions\nfile_template = %%(slug)s\n"
    )
    config, script = open_folder(tmp_path / "db")
    assert config.get_main_option("sqlalchemy.url") == "postgresql+psycopg://"
    assert config.get_main_option("file_template") == "%(slug)s"
    assert Path(script.dir) == tmp_path / "db"


def test_a_folder_that_is_named_and_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.sunup]\nmigrations = 'nowhere'\n")
    with pytest.raises(CommandError, match=r"no migrations in .*/nowhere \(no env\.py\)"):
        of_project.has_any(project.find(tmp_path))
    (tmp_path / "nowhere").mkdir()
    (tmp_path / "nowhere" / "env.py").touch()
    assert of_project.has_any(project.find(tmp_path))
