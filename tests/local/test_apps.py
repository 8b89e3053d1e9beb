"""Projects as their frameworks' documentation makes them."""

from pathlib import Path

import pytest

from sunup.local.apps import apps, driver

FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n"
FLASK = "from flask import Flask\ndef create_app(config=None):\n    app = Flask(__name__)\n    return app\n"


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"main.py": FASTAPI}, ["main:app"]),
        ({"app/__init__.py": "", "app/main.py": FASTAPI}, ["app.main:app"]),
        (
            {"src/shop/api.py": "import fastapi\nweb: object = fastapi.FastAPI(x=1)"},
            ["shop.api:web"],
        ),
        ({"flaskr/__init__.py": FLASK}, ["flaskr:create_app()"]),
        ({"a.py": "def create_app(settings): return Flask()"}, []),
        ({"b.py": FASTAPI, "main.py": FASTAPI}, ["main:app", "b:app"]),
        (
            {
                "mysite/asgi.py": "application = get_asgi_application()",
                "mysite/wsgi.py": "application = get_wsgi_application()",
            },
            ["mysite.wsgi:application", "mysite.asgi:application"],
        ),
        ({"tests/main.py": FASTAPI, ".venv/main.py": FASTAPI, "test_x.py": FASTAPI}, []),
        ({"main.py": "app = FastAPI(", "x.py": "app = 1"}, []),
        ({"src/__init__.py": "", "src/main.py": FASTAPI}, ["src.main:app"]),
        ({"src/main.py": FASTAPI, "src/x.py": "from src.main import app"}, ["src.main:app"]),
        ({"src/main.py": f"import src.conf\n{FASTAPI}"}, ["src.main:app"]),
        ({"src/main.py": f"from . import conf\n{FASTAPI}"}, ["src.main:app"]),
        ({"src/shop/main.py": f"from ..conf import x\n{FASTAPI}"}, ["src.shop.main:app"]),
        ({"src/shop/main.py": f"from .conf import x\n{FASTAPI}"}, ["shop.main:app"]),
        ({"src/main.py": FASTAPI, "tests/test_x.py": "import src.main"}, ["main:app"]),
        (
            {
                "app/__init__.py": "def create_app(name):\n    return Flask(name)",
                "flasky.py": "from app import create_app\napp = create_app('default')",
            },
            ["flasky:app"],
        ),
        (
            {
                "main.py": "def get_application() -> object: return FastAPI()\napp = get_application()"
            },
            ["main:app"],
        ),
        ({"main.py": "def other(): return 1\napp = other()"}, []),
    ],
)
def test_the_app_is_found_by_reading(
    tmp_path: Path, files: dict[str, str], expected: list[str]
) -> None:
    assert [each.name for each in apps(write(tmp_path, files))] == expected


MOUNTING = "admin = FastAPI()\nmain = FastAPI()\nmain.mount('/admin', {})\n"


@pytest.mark.parametrize(
    ("files", "first"),
    [
        ({"main.py": "admin = FastAPI()\napp = FastAPI()"}, "main:app"),
        ({"main.py": MOUNTING.format("admin")}, "main:main"),
        ({"main.py": MOUNTING.format("app=admin")}, "main:main"),
        ({"main.py": "admin = FastAPI()\nweb = Starlette(routes=[Mount('/', admin)])"}, "main:web"),
        (
            {
                "api.py": FASTAPI,
                "shop.py": "import api\nroot = FastAPI()\nroot.mount('/api', api.app)",
            },
            "shop:root",
        ),
        (
            {
                "api.py": FASTAPI,
                "shop.py": "from .api import app as a\nroot = FastAPI()\nroot.mount('/api', a)",
            },
            "shop:root",
        ),
        (
            {"main.py": "app = FastAPI()\napp.mount('/static', StaticFiles(directory='static'))"},
            "main:app",
        ),
    ],
)
def test_an_app_that_is_part_of_another_comes_after_it(
    tmp_path: Path, files: dict[str, str], first: str
) -> None:
    assert apps(write(tmp_path, files))[0].name == first


def test_what_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, {"main.py": FASTAPI})
    (tmp_path / "lambda_function.py").mkdir()
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere.py")
    assert [each.name for each in apps(tmp_path)] == ["main:app"]


@pytest.mark.parametrize(
    ("files", "app", "expected"),
    [
        ({"web.py": "from flask import Flask"}, "web:app", "psycopg"),
        ({"web.py": "import bottle", "other.py": "import fastapi"}, "web:app", "psycopg"),
        ({"web.py": "import bottle", "other.py": "import fastapi"}, "other:app", "asyncpg"),
        ({"web.py": "", "shop/models.py": "import django.db.models"}, "web:app", "django"),
        ({"web.py": "from .flask import x"}, "web:app", "asyncpg"),
        ({}, "web:app", "asyncpg"),
    ],
)
def test_the_driver_suits_what_is_imported(
    tmp_path: Path, files: dict[str, str], app: str, expected: str
) -> None:
    assert driver(write(tmp_path, files), app) == expected
