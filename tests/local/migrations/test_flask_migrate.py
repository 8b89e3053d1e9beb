"""A Flask app with Flask-SQLAlchemy and Flask-Migrate, as their authors show it."""

import shutil
from pathlib import Path

import flask_migrate
import psycopg
import pytest

from tests.local.cli.conftest import Cli, cli

_ = cli

# The one change: engines are sunup's. docs/flask.md shows it.
APP = """
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sunup.integrations.sqlalchemy import create_engine
from sunup.psycopg import Database

database = Database()

class OnSunup(SQLAlchemy):
    def _make_engine(self, bind_key, options, app):
        return create_engine(database)

db = OnSunup()
migrate = Migrate()

class Item(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(50))

def create_app():
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "postgresql+psycopg://"
    db.init_app(app)
    migrate.init_app(app, db)

    @app.get("/")
    def count():
        return str(db.session.query(Item).count())

    return app
"""


@pytest.fixture
def shop(tmp_path: Path, sunup_database: dict[str, str]) -> Path:
    folder = tmp_path / "shop"
    template = Path(flask_migrate.__file__).parent / "templates" / "flask"
    shutil.copytree(template, folder / "migrations", ignore=shutil.ignore_patterns("*.ini.mako"))
    (folder / "migrations" / "versions").mkdir()
    shutil.copy(template / "alembic.ini.mako", folder / "migrations" / "alembic.ini")
    (folder / "flaskshop.py").write_text(APP)
    (folder / "pyproject.toml").write_text("[tool.sunup]\napp = 'flaskshop:create_app()'\n")
    lines = [f"{name}={value}" for name, value in sunup_database.items()]
    (folder / ".env").write_text("\n".join(lines))
    return folder


def test_its_env_py_stays_as_it_was_generated(
    shop: Path, cli: Cli, sunup_database: dict[str, str]
) -> None:
    status, out, err = cli("migrate", "new", "items", shop)
    assert status == 0, err
    assert "create_table('item'" in Path(out.strip()).read_text()
    assert cli("migrate", "up", shop)[1] == "Applied 0001.\n"
    with psycopg.connect(
        host=sunup_database["DB_HOST"], user="postgres", dbname=sunup_database["DB_NAME"]
    ) as connection:
        assert connection.execute("select count(*) from item").fetchone() == (0,)
    assert "applied  0001_items.py" in cli("migrate", "status", shop)[1]
    assert cli("migrate", "down", shop, "--yes")[1] == "Undone: 0001.\n"
    assert cli("migrate", "up", shop)[1] == "Applied 0001.\n"


def test_an_app_without_flask_migrate_is_told(shop: Path, cli: Cli) -> None:
    path = shop / "flaskshop.py"
    path.write_text(path.read_text().replace("    migrate.init_app(app, db)\n", ""))
    status, _, err = cli("migrate", "status", shop)
    assert (status, "has no Migrate(app, db)" in err) == (1, True), err
    path.write_text(APP)
    assert cli("migrate", "status", shop)[0] == 0
