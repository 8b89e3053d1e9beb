"""docs/testing.md is run: its tests, in an app of a few lines."""

import re
from pathlib import Path

from tests.processes import python

PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider", ".")
NOT_OURS = ("DB_", "PYTEST_")
PAGE = Path(__file__).parents[2] / "docs" / "testing.md"

APP = {
    "main.py": """
from database import db
from fastapi import FastAPI

app = FastAPI()

@app.post("/users")
async def add(name: str) -> None:
    async with db.connection() as connection:
        await connection.execute("insert into users (name) values ($1)", name)

@app.get("/users")
async def users() -> list[str]:
    async with db.connection() as connection:
        return [row["name"] for row in await connection.fetch("select name from users")]
""",
    "database.py": "from sunup.asyncpg import Database\ndb = Database()\n",
    "web.py": """
from flask import Flask, request
from sunup.psycopg import Database

db = Database()
app = Flask(__name__)

@app.post("/users")
def add():
    with db.connection() as connection:
        connection.execute("insert into users (name) values (%s)", (request.args["name"],))
    return "", 200

@app.get("/users")
def users():
    with db.connection() as connection:
        return [row[0] for row in connection.execute("select name from users")]
""",
    "lambda_function.py": (
        "from database import db\nfrom sunup import Handler\n"
        "handler = Handler('main:app', database=db)\n"
    ),
    "pyproject.toml": "[tool.sunup]\napp = 'main:app'\n",
    "migrations/env.py": """
from alembic import context
context.configure(connection=context.config.attributes["connection"], target_metadata=None)
with context.begin_transaction():
    context.run_migrations()
""",
    "migrations/versions/0001_users.py": """
from alembic import op
revision, down_revision = "0001", None
def upgrade(): op.execute("create table users (name text)")
def downgrade(): op.execute("drop table users")
""",
}


def test_each_example_of_the_page_passes(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 3
    for name, text in (*APP.items(), *blocks):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    # A proxy that is not there: what goes to localhost must not meet it.
    proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy"), "http://127.0.0.1:9")
    done = python(tmp_path, *PYTEST, without=(*NOT_OURS, "no_proxy", "NO_PROXY"), environ=proxies)
    assert re.search(r"^5 passed", done.stdout, re.MULTILINE), done.stdout


def test_a_failed_test_shows_what_the_function_logged(tmp_path: Path) -> None:
    for name, text in APP.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text.replace("select name from users", "select name from x"))
    (tmp_path / "test_it.py").write_text(
        "import urllib.request, pathlib\n"
        "def test_it(emulate):\n"
        "    aws = emulate(pathlib.Path(__file__).parent)\n"
        "    urllib.request.urlopen(aws.url + '/users')\n"
    )
    done = python(tmp_path, *PYTEST, without=NOT_OURS)
    assert "1 failed" in done.stdout
    assert "HTTP Error 500" in done.stdout
    assert 'relation "x" does not exist' in done.stdout or "UndefinedTable" in done.stdout
